import Detection
import Glibc

/// Writes alerts to a file. The state database keeps its identity and length, so after a crash the file is cut back to what was
/// committed: each version of an alert stands in it exactly once.
public final class FileSink: AlertSink {
    public let name: String
    public let path: String
    private let format: AlertFormat
    private var descriptor: Int32 = -1

    /// Opens for appending. `committed`: the mark of the last checkpoint; what stands behind it is cut off. A file with another inode was put
    /// there by somebody else and is left as it is (an inode of 0 in the mark stands for any).
    public init(path: String, format: AlertFormat, committed: (inode: UInt64, length: UInt64)?) throws {
        self.path = path
        self.format = format
        name = "file:" + path
        try openFile()
        if let committed, let now = mark, committed.inode == 0 || committed.inode == now.inode, committed.length < now.length {
            guard ftruncate(descriptor, off_t(clamping: committed.length)) == 0 else { throw FileSink.error(path) }
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private static func error(_ path: String) -> SinkError { SinkError("\(path): \(String(cString: strerror(errno)))") }

    private func openFile() throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw FileSink.error(path) }
    }

    /// Asked of the system each time: others may truncate the file (`copytruncate`).
    public var mark: (inode: UInt64, length: UInt64)? {
        var s = stat()
        guard descriptor >= 0, fstat(descriptor, &s) == 0 else { return nil }
        return (UInt64(s.st_ino), UInt64(max(0, s.st_size)))
    }

    public func deliver(_ alerts: [Alert]) throws {
        if descriptor < 0 { try openFile() }
        var text: [UInt8] = []
        for a in alerts { text += Array(((format == .jsonl ? a.jsonLine : a.summaryLine) + "\n").utf8) }
        let before = mark?.length
        var done = 0
        while done < text.count {
            let n = text.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, text.count - done) }
            if n < 0, errno == EINTR { continue }
            if n <= 0 {
                let problem = FileSink.error(path)
                // A half-written line must not stay: the same alerts come again.
                if done > 0, let before { ftruncate(descriptor, off_t(clamping: before)) }
                throw problem
            }
            done += n
        }
    }

    public func flush() throws {
        // Pipes and terminals cannot be brought to a disk.
        guard descriptor < 0 || fdatasync(descriptor) == 0 || errno == EINVAL || errno == EROFS else { throw FileSink.error(path) }
    }

    public func reopen() throws {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        try openFile()
    }
}

/// Writes alerts to standard output. May repeat the last ones after a crash.
public final class StandardOutputSink: AlertSink {
    public let name = "stdout"
    /// A reader that takes nothing blocks the writer.
    public var isRemote: Bool { true }
    private let format: AlertFormat
    /// The reader has gone (broken pipe): writing stops, the program goes on.
    public private(set) var isClosed = false

    public init(format: AlertFormat) { self.format = format }

    public func deliver(_ alerts: [Alert]) throws {
        guard !isClosed else { return }
        var text: [UInt8] = []
        for a in alerts { text += Array(((format == .jsonl ? a.jsonLine : a.summaryLine) + "\n").utf8) }
        var done = 0
        while done < text.count {
            let n = text.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress.map { $0 + done }, text.count - done) }
            if n < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE {
                    isClosed = true
                    return
                }
                throw SinkError("standard output: \(String(cString: strerror(errno)))")
            }
            done += n
        }
    }
}
