/// A fixed number of bits in 64-bit words: predicate results, validity, selections.
///
/// Invariant: bits at and past `count` in the last word are zero, so `popcount` and word-wise comparison need no mask.
public struct Bitmap: Sendable, Hashable {
    public private(set) var count: Int
    /// Bit `i` is bit `i % 64` of word `i / 64`.
    public var words: ContiguousArray<UInt64>

    public init(repeating bit: Bool = false, count: Int) {
        self.count = count
        words = ContiguousArray(repeating: bit ? ~0 : 0, count: (count + 63) >> 6)
        if bit { clearTail() }
    }

    public init(words: ContiguousArray<UInt64>, count: Int) {
        precondition(words.count == (count + 63) >> 6, "Bitmap: \(words.count) words for \(count) bits")
        self.words = words
        self.count = count
        clearTail()
    }

    public init(_ bits: some Collection<Bool>) {
        self.init(repeating: false, count: bits.count)
        for (i, bit) in bits.enumerated() where bit { words[i >> 6] |= 1 << UInt64(i & 63) }
    }

    /// Restores the invariant after words were written by a kernel.
    public mutating func clearTail() {
        let used = count & 63
        if used != 0 { words[words.count - 1] &= (1 << UInt64(used)) - 1 }
    }

    @inlinable
    public subscript(i: Int) -> Bool {
        get { words[i >> 6] >> UInt64(i & 63) & 1 != 0 }
        set {
            if newValue {
                words[i >> 6] |= 1 << UInt64(i & 63)
            } else {
                words[i >> 6] &= ~(1 << UInt64(i & 63))
            }
        }
    }

    public mutating func append(_ bit: Bool) {
        if count & 63 == 0 { words.append(0) }
        if bit { words[count >> 6] |= 1 << UInt64(count & 63) }
        count += 1
    }

    public var popcount: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
    public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    public var isFull: Bool { popcount == count }

    public mutating func formAnd(_ other: Bitmap) {
        precondition(count == other.count, "Bitmap: and of \(count) with \(other.count) bits")
        for i in words.indices { words[i] &= other.words[i] }
    }

    public mutating func formOr(_ other: Bitmap) {
        precondition(count == other.count, "Bitmap: or of \(count) with \(other.count) bits")
        for i in words.indices { words[i] |= other.words[i] }
    }

    public mutating func formAndNot(_ other: Bitmap) {
        precondition(count == other.count, "Bitmap: and-not of \(count) with \(other.count) bits")
        for i in words.indices { words[i] &= ~other.words[i] }
    }

    public mutating func invert() {
        for i in words.indices { words[i] = ~words[i] }
        clearTail()
    }

    public static func & (a: Bitmap, b: Bitmap) -> Bitmap {
        var r = a
        r.formAnd(b)
        return r
    }

    public static func | (a: Bitmap, b: Bitmap) -> Bitmap {
        var r = a
        r.formOr(b)
        return r
    }

    public static prefix func ~ (a: Bitmap) -> Bitmap {
        var r = a
        r.invert()
        return r
    }

    /// Calls `body` with each set index, ascending.
    @inlinable
    public func forEachSet(_ body: (Int) throws -> Void) rethrows {
        for w in words.indices {
            var word = words[w]
            while word != 0 {
                try body(w << 6 + word.trailingZeroBitCount)
                word &= word &- 1
            }
        }
    }
}
