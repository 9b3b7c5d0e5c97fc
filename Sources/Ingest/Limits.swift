/// Bounds on what a stream may contain. Every one has a stated outcome: the record or the rest of the stream becomes a dead letter.
public struct IngestLimits: Sendable, Hashable {
    /// Bytes of one unwrapped record.
    public var recordBytes: Int
    /// Nesting depth of one unwrapped record.
    public var depth: Int
    /// Inflated bytes per compressed byte, looked at once 64 MiB came out.
    public var expansionRatio: Int

    public init(recordBytes: Int = 1 << 20, depth: Int = 128, expansionRatio: Int = 1000) {
        self.recordBytes = recordBytes
        self.depth = depth
        self.expansionRatio = expansionRatio
    }

    /// Output below this is never taken for a bomb.
    static let expansionGrace: UInt64 = 64 << 20
}
