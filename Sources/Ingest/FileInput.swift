import Glibc

/// A file, by descriptor. Reads go on past what was the end before, so a growing file can be followed.
public final class FileInput: RawInput {
    public let path: String
    private let descriptor: Int32
    /// (device, inode) of what was opened: renaming does not change it.
    public let device: UInt64
    public let inode: UInt64

    /// Opens for reading. Throws with the path and the system's reason.
    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw IngestError("\(path): \(FileInput.reason(errno))") }
        var s = stat()
        guard fstat(descriptor, &s) == 0 else {
            let e = errno
            close(descriptor)
            throw IngestError("\(path): \(FileInput.reason(e))")
        }
        guard s.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw IngestError("\(path): is a directory")
        }
        device = UInt64(s.st_dev)
        inode = UInt64(s.st_ino)
    }

    deinit { close(descriptor) }

    public static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

    /// The file's present size.
    public var size: UInt64 {
        var s = stat()
        return fstat(descriptor, &s) == 0 ? UInt64(max(0, s.st_size)) : 0
    }

    /// The same open file with a position of its own, whatever happened to its name.
    func again() throws -> FileInput { try FileInput(path: "/proc/self/fd/\(descriptor)") }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let n = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if n >= 0 { return n }
            if errno != EINTR { throw IngestError("\(path): \(FileInput.reason(errno))") }
        }
    }

    public func seek(to offset: UInt64) throws -> Bool {
        guard let o = off_t(exactly: offset) else { return false }
        return lseek(descriptor, o, SEEK_SET) >= 0
    }

    public func bytes(at offset: UInt64, count: Int) throws -> [UInt8]? {
        guard let start = off_t(exactly: offset), count >= 0, Int64(start) <= Int64.max - Int64(count) else { return nil }
        var out = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let n = out.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress.map { $0 + done }, count - done, start + off_t(done)) }
            if n > 0 {
                done += n
            } else if n == 0 {
                break
            } else if errno == ESPIPE {
                return nil
            } else if errno != EINTR {
                throw IngestError("\(path): \(FileInput.reason(errno))")
            }
        }
        return Array(out.prefix(done))
    }
}
