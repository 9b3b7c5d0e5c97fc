/// Where raw bytes come from.
public protocol RawInput: AnyObject {
    /// Reads up to `buffer.count` bytes: 0 at the present end. Throws ``IngestError`` on I/O errors.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
    /// Moves to an absolute raw offset; false if this input cannot (a pipe).
    func seek(to offset: UInt64) throws -> Bool
    /// Bytes that stand at an offset now, fewer at the end, without moving; nil if this input cannot tell.
    func bytes(at offset: UInt64, count: Int) throws -> [UInt8]?
}

extension RawInput {
    public func bytes(at offset: UInt64, count: Int) throws -> [UInt8]? { nil }
}

/// A failing system call or an unusable input.
public struct IngestError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// The input does not hold what was read before: it was replaced, cut, or rewritten.
public struct ContentChanged: Error, Sendable, CustomStringConvertible {
    /// What there is agrees, but there is less of it.
    public let holdsLess: Bool
    public var description: String {
        holdsLess ? "the input holds less than was read before" : "the input holds other data than was read before"
    }
}

/// Where a stream can be taken up again: everything that ``RecordReader`` needs to go on with the next record.
public struct ResumePoint: Sendable, Hashable {
    /// Raw offset behind which nothing was consumed.
    public var rawOffset: UInt64
    /// Inflated bytes consumed.
    public var inflated: UInt64
    /// Opaque: decoder snapshot, framer state, bytes of an unfinished record, hashes of what was read. Sealed by a checksum.
    public var bytes: [UInt8]
    public init(rawOffset: UInt64, inflated: UInt64, bytes: [UInt8]) {
        self.rawOffset = rawOffset
        self.inflated = inflated
        self.bytes = bytes
    }
}
