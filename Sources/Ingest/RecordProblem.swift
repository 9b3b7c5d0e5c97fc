/// Bytes of a stream that gave no row, and why.
public struct RecordProblem: Error, Sendable, Hashable {
    /// Bytes kept of an unreadable record.
    public static let keptBytes = 64 << 10

    /// Where the record began in the inflated stream.
    public let position: UInt64
    /// gzip member or zstd frame, from 0.
    public let member: UInt64
    /// Index in its envelope.
    public let index: UInt64
    /// What was wrong, for a person.
    public let reason: String
    /// The record's length in bytes.
    public let length: UInt64
    /// Its first bytes.
    public let bytes: [UInt8]
    /// SHA-256 of a record of which not all bytes were kept; nil if all were, or if it was cut by a restart.
    public let sha256: [UInt8]?

    public init(
        position: UInt64, member: UInt64, index: UInt64, reason: String, length: UInt64, bytes: [UInt8], sha256: [UInt8]? = nil
    ) {
        self.position = position
        self.member = member
        self.index = index
        self.reason = reason
        self.length = length
        self.bytes = bytes
        self.sha256 = sha256
    }
}
