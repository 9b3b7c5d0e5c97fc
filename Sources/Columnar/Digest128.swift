import CKernels

/// 128 bits of XXH3 over some bytes: what is equal has equal digests, and what differs as good as never has.
///
/// Not made against people who look for collisions: what must not be taken for something else is compared itself.
public struct Digest128: Sendable, Hashable {
    public let high: UInt64
    public let low: UInt64

    public init(_ bytes: [UInt8]) {
        let h = bytes.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        (high, low) = (h.high, h.low)
    }

    public init(from r: inout PackedReader) throws {
        high = try r.word()
        low = try r.word()
    }

    public func write(to w: inout PackedWriter) {
        w.word(high)
        w.word(low)
    }

    /// The bits are mixed already.
    public func hash(into hasher: inout Hasher) { hasher.combine(low) }

    /// 32 hexadecimal digits.
    public var text: String { Digest128.hex(high) + Digest128.hex(low) }

    private static func hex(_ v: UInt64) -> String {
        let s = String(v, radix: 16)
        return String(repeating: "0", count: 16 - s.utf8.count) + s
    }
}
