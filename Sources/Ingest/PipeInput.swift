import Glibc

/// Standard input, or another descriptor that cannot seek.
public final class PipeInput: RawInput {
    private let descriptor: Int32
    private let name: String
    /// Gives up waiting when this says so: lets a signal end a blocked read.
    private let isCancelled: @Sendable () -> Bool
    private let patience: Int32?
    /// The writer has closed the pipe, and everything was read.
    public private(set) var hasEnded = false

    /// `patience`: milliseconds after which a read gives up waiting for data; nil waits until some comes. Nothing read is the end only if
    /// ``hasEnded`` says so.
    public init(
        descriptor: Int32 = STDIN_FILENO, name: String = "-", patience: Int32? = nil,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.descriptor = descriptor
        self.name = name
        self.patience = patience
        self.isCancelled = isCancelled
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while !isCancelled() {
            var p = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&p, 1, patience ?? 200)
            if ready == 0 {
                if patience == nil { continue }
                return 0
            }
            if ready < 0 {
                if errno == EINTR { continue }
                throw IngestError("\(name): \(FileInput.reason(errno))")
            }
            let n = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if n >= 0 {
                hasEnded = n == 0
                return n
            }
            if errno != EINTR && errno != EAGAIN { throw IngestError("\(name): \(FileInput.reason(errno))") }
        }
        return 0
    }

    public func seek(to offset: UInt64) throws -> Bool { false }
}
