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
}

/// Standard input, or another descriptor that cannot seek.
public final class PipeInput: RawInput {
    private let descriptor: Int32
    private let name: String
    /// Gives up waiting when this says so: lets a signal end a blocked read.
    private let isCancelled: @Sendable () -> Bool

    public init(descriptor: Int32 = STDIN_FILENO, name: String = "-", isCancelled: @escaping @Sendable () -> Bool = { false }) {
        self.descriptor = descriptor
        self.name = name
        self.isCancelled = isCancelled
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            var p = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&p, 1, 200)
            if ready == 0 {
                if isCancelled() { return 0 }
                continue
            }
            if ready < 0 {
                if errno == EINTR { continue }
                throw IngestError("\(name): \(FileInput.reason(errno))")
            }
            let n = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if n >= 0 { return n }
            if errno != EINTR && errno != EAGAIN { throw IngestError("\(name): \(FileInput.reason(errno))") }
        }
    }

    public func seek(to offset: UInt64) throws -> Bool { offset == 0 }
}
