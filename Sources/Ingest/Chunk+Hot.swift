import CKernels

/// The inflated bytes of one unit of work, and the records found in them.
///
/// Invariants: `bytes` is one allocation of `capacity + padding` bytes; the first `count` are data; the `padding` bytes behind the data are
/// readable (the JSON extractor reads past the end of a record). Record ranges lie inside the data. `frames.positions` is one allocation of
/// `frames.capacity` entries, enough for all bytes; index ranges of records lie inside its first `frames.count`. Owned by one thread at a time:
/// handed from reader to worker and back through a pool, never shared.
public final class Chunk: @unchecked Sendable {
    /// Bytes that may be read behind the data.
    public static let padding = 64
    /// Data a chunk aims at; a single longer record makes it grow.
    public static let targetSize = 1 << 20

    public private(set) var bytes: UnsafeMutableRawPointer
    public private(set) var capacity: Int
    public fileprivate(set) var count = 0

    /// A record: range in the chunk and position in the stream.
    public struct Record: Sendable, Hashable {
        public let offset: Int
        public let length: Int
        /// Offset of the first byte in the inflated stream.
        public let position: UInt64
        /// Index in its envelope or array; 0 for a bare value.
        public let index: UInt64
        /// Where the record's structural index lies in ``Chunk/positions``; empty: it has none.
        public let structure: Range<UInt32>
        /// Without this, the record is ASCII. Only with a structural index.
        public let mayHaveNonASCII: Bool
    }

    public internal(set) var records: [Record] = []
    /// What could not be read, in order.
    public internal(set) var problems: [RecordProblem] = []
    /// Compressed bytes consumed and inflated bytes produced for this chunk.
    public internal(set) var consumed = 0
    public internal(set) var produced = 0

    /// What the framer found of the structure of the records.
    var frames = vk_frame_index()
    /// The structural indices of the records: positions in the record, for the JSON extractor. Valid as long as the data.
    public var positions: UnsafePointer<UInt32>? { UnsafePointer(frames.positions) }

    /// `capacity`: bytes of data for which there is room at first.
    public init(capacity: Int = Chunk.targetSize) {
        self.capacity = max(1, capacity)
        frames.capacity = self.capacity + 256
        frames.positions = .allocate(capacity: frames.capacity)
        vk_frame_index_reset(&frames)
        bytes = UnsafeMutableRawPointer.allocate(byteCount: self.capacity + Chunk.padding, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: self.capacity + Chunk.padding)
    }

    deinit {
        bytes.deallocate()
        frames.positions?.deallocate()
    }

    /// The data.
    public var data: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: count) }

    func reset() {
        count = 0
        records.removeAll(keepingCapacity: true)
        problems.removeAll(keepingCapacity: true)
        consumed = 0
        produced = 0
        vk_frame_index_reset(&frames)
        // A chunk that grew for one huge record does not keep the memory for ever.
        if capacity > 4 * Chunk.targetSize { resize(Chunk.targetSize) }
    }

    private func resize(_ n: Int) {
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: n + Chunk.padding, alignment: 64)
        fresh.initializeMemory(as: UInt8.self, repeating: 0, count: n + Chunk.padding)
        fresh.copyMemory(from: bytes, byteCount: min(count, n))
        bytes.deallocate()
        bytes = fresh
        capacity = n
        // Nothing was framed since the last reset: there is nothing to keep.
        frames.positions?.deallocate()
        frames.capacity = n + 256
        frames.positions = .allocate(capacity: frames.capacity)
        vk_frame_index_reset(&frames)
    }

    /// Room for `n` more bytes.
    func spare(_ n: Int) -> UnsafeMutableRawBufferPointer {
        if capacity - count < n { resize(max(capacity * 2, count + n)) }
        return UnsafeMutableRawBufferPointer(start: bytes + count, count: n)
    }

    func advance(_ n: Int) {
        precondition(n >= 0 && n <= capacity - count, "Chunk: \(n) bytes into \(capacity - count)")
        count += n
    }

    func append(_ other: [UInt8]) {
        guard !other.isEmpty else { return }
        other.withUnsafeBytes { source in
            spare(other.count).copyMemory(from: source)
            advance(other.count)
        }
    }

    func copy(_ range: Range<Int>) -> [UInt8] {
        let r = range.clamped(to: 0..<count)
        return Array(UnsafeRawBufferPointer(start: bytes + r.lowerBound, count: r.count))
    }
}
