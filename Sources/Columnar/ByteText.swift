import Glibc

/// Comparison of strings by their UTF-8 bytes, as Kusto compares them.
///
/// Swift's own `==`, `<` and hashing of `String` go by canonical equivalence, under which "é" in one scalar equals "e" with a combining
/// accent. Kusto keeps the two apart, so values, keys of bags and whatever decides about rows must not use Swift's.
public enum ByteText {
    /// Whether both are the same bytes.
    @inlinable
    public static func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count else { return false }
        guard let p = a.baseAddress, let q = b.baseAddress else { return true }
        return memcmp(p, q, a.count) == 0
    }

    /// Whether two strings have the same bytes.
    public static func equal(_ a: String, _ b: String) -> Bool {
        if a.utf8.count != b.utf8.count { return false }
        let fast = a.utf8.withContiguousStorageIfAvailable { x in
            b.utf8.withContiguousStorageIfAvailable { equal(UnsafeRawBufferPointer(x), UnsafeRawBufferPointer($0)) }
        }
        if let outer = fast, let known = outer { return known }
        return a.utf8.elementsEqual(b.utf8)
    }

    /// Whether the bytes of `a` come before those of `b`; a prefix comes first.
    public static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    /// Whether the bytes of `word` stand somewhere in `text`.
    public static func contains(_ word: String, in text: String) -> Bool {
        let (word, text) = (Array(word.utf8), Array(text.utf8))
        guard let first = word.first else { return true }
        guard word.count <= text.count else { return false }
        return (0...(text.count - word.count)).contains { start in
            text[start] == first && text[start...].starts(with: word)
        }
    }

    /// Feeds the bytes and an end mark, which no UTF-8 text contains, to a hasher.
    public static func hash(_ s: String, into hasher: inout Hasher) {
        let done: Void? = s.utf8.withContiguousStorageIfAvailable { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        if done == nil { for byte in s.utf8 { hasher.combine(byte) } }
        hasher.combine(0xFF as UInt8)
    }
}

/// A string as the key of a dictionary or the member of a set, equal by bytes.
public struct ByteKey: Sendable, Hashable, Comparable {
    public let text: String
    public init(_ text: String) { self.text = text }
    public static func == (a: ByteKey, b: ByteKey) -> Bool { ByteText.equal(a.text, b.text) }
    public static func < (a: ByteKey, b: ByteKey) -> Bool { ByteText.precedes(a.text, b.text) }
    public func hash(into hasher: inout Hasher) { ByteText.hash(text, into: &hasher) }
}
