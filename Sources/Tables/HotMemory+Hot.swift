import CKernels
import Glibc

// Hot file: small memory helpers of the record loop. All of them are trivial structs; their owner frees them.

/// Bytes somewhere: in the chunk, in a scratch buffer or in the plan. Valid until the next write to the same scratch.
struct Text {
    let p: UnsafePointer<UInt8>
    let n: Int

    @inline(__always)
    init(_ p: UnsafePointer<UInt8>, _ n: Int) {
        self.p = p
        self.n = n
    }

    @inline(__always) var isEmpty: Bool { n == 0 }

    /// Bytes `[from, from + count)`, which the caller has checked to lie inside.
    @inline(__always)
    func part(_ from: Int, _ count: Int) -> Text { Text(p + from, count) }

    /// Equality with ASCII letters folded; `other` is written in lower case.
    @inline(__always)
    func isFolded(_ other: StaticString) -> Bool {
        guard n == other.utf8CodeUnitCount else { return false }
        for i in 0..<n where asciiLower(p[i]) != other.utf8Start[i] { return false }
        return true
    }

    /// Whether it begins with `prefix` (lower case), ASCII letters folded.
    @inline(__always)
    func startsFolded(_ prefix: StaticString) -> Bool {
        let k = prefix.utf8CodeUnitCount
        return n >= k && Text(p, k).isFolded(prefix)
    }

    func hasSuffix(_ suffix: StaticString) -> Bool {
        let k = suffix.utf8CodeUnitCount
        return n >= k && memcmp(p + (n - k), suffix.utf8Start, k) == 0
    }

    /// Whether `needle` (lower case) occurs, ASCII letters folded.
    func containsFolded(_ needle: StaticString) -> Bool {
        let k = needle.utf8CodeUnitCount
        guard n >= k else { return false }
        for i in 0...(n - k) where asciiLower(p[i]) == needle.utf8Start[0] && Text(p + i, k).isFolded(needle) { return true }
        return false
    }

    func index(of byte: UInt8) -> Int? {
        guard n > 0, let at = memchr(p, Int32(byte), n) else { return nil }
        return UnsafePointer(at.assumingMemoryBound(to: UInt8.self)) - p
    }

    var string: String { String(decoding: UnsafeBufferPointer(start: p, count: n), as: UTF8.self) }
}

@inline(__always)
func asciiLower(_ c: UInt8) -> UInt8 { c &- 0x41 < 26 ? c | 0x20 : c }

@inline(__always)
func asciiUpper(_ c: UInt8) -> UInt8 { c &- 0x61 < 26 ? c & 0xDF : c }

/// A growing buffer that keeps `VK_JSON_PADDING` readable bytes behind its end.
struct Scratch {
    private(set) var p: UnsafeMutablePointer<UInt8>
    var count = 0
    private(set) var capacity: Int

    init(capacity: Int = 4096) {
        self.capacity = capacity
        p = .allocate(capacity: capacity + 64)
        p.initialize(repeating: 0, count: capacity + 64)
    }

    func free() { p.deallocate() }

    /// Room for `n` more bytes. Pointers into the buffer are void afterwards.
    @inline(__always)
    mutating func reserve(_ n: Int) {
        if capacity &- count < n { grow(n) }
    }

    private mutating func grow(_ n: Int) {
        let size = max(capacity * 2, count + n)
        let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: size + 64)
        grown.update(from: p, count: count)
        (grown + count).initialize(repeating: 0, count: size + 64 - count)
        p.deallocate()
        p = grown
        capacity = size
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        reserve(1)
        p[count] = byte
        count &+= 1
    }

    @inline(__always)
    mutating func append(_ text: Text) {
        reserve(text.n)
        memcpy(p + count, text.p, text.n)
        count &+= text.n
    }

    mutating func append(_ text: StaticString) { append(Text(text.utf8Start, text.utf8CodeUnitCount)) }

    /// The text between quotes, escaped for JSON.
    mutating func appendQuoted(_ text: Text) {
        append(0x22)
        reserve(text.n &* 6)
        count &+= min(vk_json_escape(text.p, text.n, p + count, capacity - count), capacity - count)
        append(0x22)
    }

    var text: Text { Text(UnsafePointer(p), count) }
}

/// An immutable map from bytes, ASCII letters folded, to integers.
struct ByteMap {
    private let slots: UnsafeMutablePointer<Int32>
    private let mask: Int
    private let keys: UnsafeMutablePointer<UInt8>
    private let offsets: UnsafeMutablePointer<Int32>
    private let values: UnsafeMutablePointer<Int32>
    let count: Int

    /// A later entry replaces an earlier one with the same key.
    init(_ entries: [(String, Int32)]) {
        let folded = entries.map { Array($0.0.utf8.map(asciiLower)) }
        count = entries.count
        var size = 8
        while size < entries.count * 3 { size *= 2 }
        mask = size - 1
        slots = .allocate(capacity: size)
        slots.initialize(repeating: -1, count: size)
        keys = .allocate(capacity: max(1, folded.reduce(0) { $0 + $1.count }))
        offsets = .allocate(capacity: entries.count + 1)
        values = .allocate(capacity: max(1, entries.count))
        offsets[0] = 0
        for (i, key) in folded.enumerated() {
            let start = Int(offsets[i])
            for (j, c) in key.enumerated() { keys[start + j] = c }
            offsets[i + 1] = Int32(start + key.count)
            values[i] = entries[i].1
            var at = Self.hash(UnsafePointer(keys) + start, key.count) & mask
            while slots[at] >= 0, !matches(Int(slots[at]), UnsafePointer(keys) + start, key.count) { at = (at + 1) & mask }
            slots[at] = Int32(i)
        }
    }

    func free() {
        slots.deallocate()
        keys.deallocate()
        offsets.deallocate()
        values.deallocate()
    }

    @inline(__always)
    private static func hash(_ p: UnsafePointer<UInt8>, _ n: Int) -> Int {
        var h: UInt64 = 0xCBF2_9CE4_8422_2325
        for i in 0..<n { h = (h ^ UInt64(asciiLower(p[i]))) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: h ^ (h >> 29)) & Int.max
    }

    @inline(__always)
    private func matches(_ entry: Int, _ p: UnsafePointer<UInt8>, _ n: Int) -> Bool {
        let start = Int(offsets[entry])
        guard Int(offsets[entry + 1]) - start == n else { return false }
        for i in 0..<n where keys[start + i] != asciiLower(p[i]) { return false }
        return true
    }

    /// The value of a key, -1 when it is not there. Keys over 128 bytes never are.
    @inline(__always)
    func find(_ text: Text) -> Int32 {
        guard text.n <= 128 else { return -1 }
        var at = Self.hash(text.p, text.n) & mask
        while slots[at] >= 0 {
            if matches(Int(slots[at]), text.p, text.n) { return values[Int(slots[at])] }
            at = (at + 1) & mask
        }
        return -1
    }
}

/// Compact JSON: the same text without blanks between tokens. Returns the source itself when it has none, else text in `scratch`.
@inline(__always)
func compactJSON(_ source: Text, _ scratch: inout Scratch) -> Text {
    var i = 0
    var runStart = 0
    var any = false
    let p = source.p, n = source.n
    while i < n {
        let c = p[i]
        if c == 0x22 {
            i &+= 1
            while i < n, let quote = memchr(p + i, 0x22, n - i) {
                let at = UnsafePointer(quote.assumingMemoryBound(to: UInt8.self)) - p
                var back = at
                while back > i, p[back - 1] == 0x5C { back -= 1 }
                i = at &+ 1
                if (at - back) & 1 == 0 { break }
            }
        } else if c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09 {
            if !any {
                any = true
                scratch.count = 0
            }
            scratch.append(Text(p + runStart, i - runStart))
            i &+= 1
            while i < n, p[i] == 0x20 || p[i] == 0x0A || p[i] == 0x0D || p[i] == 0x09 { i &+= 1 }
            runStart = i
        } else {
            i &+= 1
        }
    }
    if !any { return source }
    scratch.append(Text(p + runStart, n - runStart))
    return scratch.text
}
