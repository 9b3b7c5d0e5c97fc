import Detection
import Glibc

/// Writes alerts to a file. The state database keeps its length, so after a crash the file is cut back to what was committed: each
/// version of an alert stands in it exactly once.
public final class FileSink: AlertSink {
    public let name: String
    public let path: String
    private let format: AlertFormat
    private var descriptor: Int32 = -1
    private var length: UInt64 = 0

    /// Opens for appending. `committed`: the length of the last checkpoint; what stands behind it is cut off.
    public init(path: String, format: AlertFormat, committed: UInt64?) throws {
        self.path = path
        self.format = format
        name = "file:" + path
        try openFile()
        if let committed, committed < length {
            guard ftruncate(descriptor, off_t(clamping: committed)) == 0 else { throw FileSink.error(path) }
            length = committed
            lseek(descriptor, 0, SEEK_END)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private static func error(_ path: String) -> SinkError { SinkError("\(path): \(String(cString: strerror(errno)))") }

    private func openFile() throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw FileSink.error(path) }
        var s = stat()
        length = fstat(descriptor, &s) == 0 ? UInt64(max(0, s.st_size)) : 0
    }

    public var committedLength: UInt64? { length }

    public func deliver(_ alerts: [Alert]) throws {
        var text: [UInt8] = []
        for a in alerts { text += Array(((format == .jsonl ? a.jsonLine : a.summaryLine) + "\n").utf8) }
        let before = length
        var done = 0
        while done < text.count {
            let n = text.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, text.count - done) }
            if n < 0 {
                if errno == EINTR { continue }
                let problem = FileSink.error(path)
                // A half-written line must not stay: the same alerts come again.
                ftruncate(descriptor, off_t(clamping: before))
                length = before
                throw problem
            }
            done += n
            length += UInt64(n)
        }
    }

    public func flush() throws {
        guard fdatasync(descriptor) == 0 || errno == EINVAL else { throw FileSink.error(path) }
    }

    public func reopen() throws {
        if descriptor >= 0 { close(descriptor) }
        try openFile()
    }
}

/// Writes alerts to standard output. May repeat the last ones after a crash.
public final class StandardOutputSink: AlertSink {
    public let name = "stdout"
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
