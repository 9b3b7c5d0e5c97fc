import Glibc

/// The dead-letter file: JSON lines, rotated at a size, capped in number. Reaching the cap is counted, and said once.
public final class DeadLetterFile {
    public let path: String
    private let maximumBytes: Int
    private let maximumFiles: Int
    private var descriptor: Int32 = -1
    private var size = 0
    /// Letters written, and letters that could not be.
    public private(set) var written = 0
    public private(set) var dropped = 0
    /// Old files (and their bytes) that were deleted because the cap was reached.
    public private(set) var discardedFiles = 0
    public private(set) var discardedBytes = 0
    /// The first failure to write, for the log.
    public private(set) var failure: String?

    /// `maximumBytes` a file and `maximumFiles` in all: the oldest is deleted when another begins.
    public init(path: String, maximumBytes: Int = 64 << 20, maximumFiles: Int = 4) {
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

    /// Closes the file, so that the next letter opens it anew (log rotation by others).
    public func reopen() {
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
            let from = i == 1 ? path : "\(path).\(i - 1)"
            if rename(from, "\(path).\(i)") != 0, errno != ENOENT {
                fail(from)
                return false
            }
        }
        return true
    }

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
        return true
    }

    /// Appends a letter. What cannot be written is counted in ``dropped``; ``failure`` says why.
    public func append(_ letter: DeadLetter) {
        let line = Array((letter.jsonLine + "\n").utf8)
        guard openFile(), size == 0 || size + line.count <= maximumBytes || (rotate() && openFile()), add(line) else {
            dropped += 1
            return
        }
        written += 1
    }
}
