import CKernels

/// What tells a stream's content under another name: a hash of its first inflated bytes (``RecordReader/identityBytes`` or all), and
/// hashes of shorter beginnings, so that a copy in the making can be told from other data early.
final class StreamHead {
    static let firstRung = 16

    private(set) var length = 0
    /// Hashes of the first 16, 32, 64, ... bytes.
    private(set) var rungs: [UInt64] = []
    private var state: OpaquePointer?
    private var digest = vk_hash128()

    init() {
        state = vk_xxh3_new(0)
        digest = vk_xxh3_128(nil, 0, 0)
    }

    deinit { vk_xxh3_free(state) }

    var isComplete: Bool { length >= RecordReader.identityBytes }

    /// The hash of all bytes taken, as ``text(_:)`` writes it.
    var hash: String {
        if let state { digest = vk_xxh3_digest128(state) }
        return StreamHead.text(digest)
    }

    static func text(_ h: vk_hash128) -> String { String(h.high, radix: 16) + "-" + String(h.low, radix: 16) }

    static func hash(_ bytes: some RandomAccessCollection<UInt8>) -> String {
        let array = Array(bytes)
        return text(array.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) })
    }

    /// Takes the next bytes of the stream; those past the limit are not looked at.
    func take(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty, !isComplete, let state {
            let rung = StreamHead.firstRung << rungs.count
            let n = min(rest.count, rung - length)
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(n))
            vk_xxh3_update(state, piece.baseAddress, n)
            length += n
            rest = rest.dropFirst(n)
            if length == rung { rungs.append(vk_xxh3_digest64(state)) }
        }
        if isComplete, let state {
            digest = vk_xxh3_digest128(state)
            vk_xxh3_free(state)
            self.state = nil
        }
    }

    enum Relation {
        /// The bytes begin with everything that the head was made of.
        case same
        /// They are fewer, and agree as far as can be told.
        case undecided
        case different
    }

    /// Compares the beginning of other data with a head known by its hash, length and rungs.
    static func compare(_ bytes: [UInt8], hash expected: String, length: Int, rungs: [UInt64]) -> Relation {
        if bytes.count >= length { return hash(bytes.prefix(length)) == expected ? .same : .different }
        var rung = 0
        while rung < rungs.count, firstRung << (rung + 1) <= bytes.count { rung += 1 }
        guard rung < rungs.count, bytes.count >= firstRung << rung else { return .undecided }
        let own = bytes.withUnsafeBytes { vk_xxh3_64($0.baseAddress, firstRung << rung, 0) }
        return own == rungs[rung] ? .undecided : .different
    }
}
