import Glibc

/// A file of lines: appended to, rotated at a size, capped in number. What the cap deletes is counted.
///
/// For exact files a caller commits ``mark()`` with the position in its input, and after a crash cuts back what came later with
/// ``restore(to:)``: the lines come again when the input behind the position is read again.
public final class LineFile {
    /// The file that was written to, and its length then.
    public struct Mark: Sendable, Hashable {
        public let inode: UInt64
        public let length: UInt64
        public init(inode: UInt64, length: UInt64) {
            self.inode = inode
            self.length = length
        }
    }

    public let path: String
    private let maximumBytes: Int
    private let maximumFiles: Int
    private var descriptor: Int32 = -1
    private var size = 0
    private var needsFlush = false
    /// Lines written, and lines that could not be.
    public private(set) var written = 0
    public private(set) var dropped = 0
    /// Old files (and their bytes) that were deleted because the cap was reached.
    public private(set) var discardedFiles = 0
    public private(set) var discardedBytes = 0
    /// The first failure to write since the last success, for the log.
    public private(set) var failure: String?

    /// `maximumBytes` a file and `maximumFiles` in all: the oldest is deleted when another begins.
    public init(path: String, maximumBytes: Int, maximumFiles: Int) {
        self.path = path
        self.maximumBytes = max(4096, maximumBytes)
        self.maximumFiles = max(1, maximumFiles)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private func fail(_ path: String) {
        if failure == nil { failure = "\(path): \(FileInput.reason(errno))" }
    }

    private func openFile() -> Bool {
        if descriptor >= 0 { return true }
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            fail(path)
            return false
        }
        var s = stat()
        size = fstat(descriptor, &s) == 0 ? Int(s.st_size) : 0
        var last: UInt8 = 0
        if size > 0, pread(descriptor, &last, 1, off_t(size - 1)) == 1, last != UInt8(ascii: "\n") {
            // A line that a crash cut short ends here.
            _ = add([UInt8(ascii: "\n")])
        }
        return true
    }

    /// Opens the file before there is a line, so that ``mark()`` knows it. A problem shows in ``failure``.
    public func prepare() { _ = openFile() }

    /// Closes the file, so that the next line opens it anew (log rotation by others).
    public func reopen() {
        flush()
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    private func rotate() -> Bool {
        reopen()
        let oldest = maximumFiles == 1 ? path : "\(path).\(maximumFiles - 1)"
        var s = stat()
        if stat(oldest, &s) == 0 {
            guard unlink(oldest) == 0 else {
                fail(oldest)
                return false
            }
            discardedFiles += 1
            discardedBytes += Int(s.st_size)
        }
        for i in stride(from: maximumFiles - 1, through: 1, by: -1) {
            let from = name(i - 1)
            if rename(from, name(i)) != 0, errno != ENOENT {
                fail(from)
                return false
            }
        }
        return true
    }

    private func name(_ i: Int) -> String { i == 0 ? path : "\(path).\(i)" }

    /// Writes all or nothing.
    private func add(_ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let n = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
            if n < 0, errno == EINTR { continue }
            if n <= 0 {
                fail(path)
                if done > 0, ftruncate(descriptor, off_t(size)) != 0 { reopen() }
                return false
            }
            done += n
        }
        size += bytes.count
        needsFlush = true
        return true
    }

    /// Appends a line (its end is added). What cannot be written is counted in ``dropped``; ``failure`` says why. True if it was written.
    @discardableResult
    public func append(_ line: String) -> Bool {
        let bytes = Array((line + "\n").utf8)
        guard openFile(), size == 0 || size + bytes.count <= maximumBytes || (rotate() && openFile()), add(bytes) else {
            dropped += 1
            return false
        }
        written += 1
        failure = nil
        return true
    }

    // MARK: Checkpoints

    /// Brings what was written to the disk.
    private func flush() {
        guard needsFlush, descriptor >= 0 else { return }
        if fdatasync(descriptor) != 0, errno != EINVAL, errno != EROFS { fail(path) }
        needsFlush = false
    }

    /// Makes what was written durable and says where it ends; nil while there is no file.
    public func mark() -> Mark? {
        flush()
        var s = stat()
        guard descriptor >= 0 ? fstat(descriptor, &s) == 0 : stat(path, &s) == 0 else { return nil }
        return Mark(inode: UInt64(s.st_ino), length: UInt64(max(0, s.st_size)))
    }

    /// Cuts off what was written after a mark, before the first line is appended. A file that is not ours any more is left alone.
    public func restore(to mark: Mark) {
        guard descriptor < 0, let at = (0..<maximumFiles).first(where: { inode($0) == mark.inode }) else { return }
        var s = stat()
        if stat(name(at), &s) == 0, UInt64(max(0, s.st_size)) > mark.length, truncate(name(at), off_t(clamping: mark.length)) != 0 {
            fail(name(at))
        }
        // Files that were begun after the mark hold nothing from before it.
        guard at > 0 else { return }
        for i in 0..<at { unlink(name(i)) }
        for i in at..<maximumFiles { if rename(name(i), name(i - at)) != 0, errno != ENOENT { fail(name(i)) } }
    }

    private func inode(_ i: Int) -> UInt64? {
        var s = stat()
        return stat(name(i), &s) == 0 ? UInt64(s.st_ino) : nil
    }
}
