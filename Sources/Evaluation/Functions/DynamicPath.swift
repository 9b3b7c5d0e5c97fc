import CKernels
import Columnar
import Glibc

// Hot file: reads JSON text through borrowed buffers.
// Invariant: a buffer is used only inside the call that lends it, and every index is checked against its count.

/// A chain of accesses into a dynamic value, run over JSON text without building trees.
struct DynamicPath: Sendable {
    enum Step: Sendable, Hashable {
        /// A property by exact name; the last of duplicates counts.
        case key(String)
        /// An element; negative from the end.
        case index(Int)
    }
    let steps: [Step]

    /// The slice of the value at the end of the path; nil when a step finds nothing or the value is JSON null.
    func find(in text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var slice = text
        for step in steps {
            var cursor = JSONCursor(slice)
            guard let next = cursor.descend(step) else { return nil }
            slice = UnsafeRawBufferPointer(rebasing: slice[next])
        }
        return slice.count == 4 && slice[0] == 0x6E ? nil : slice
    }
}

/// Access along a path as one node.
struct PathNode: ExpressionNode {
    let base: any ExpressionNode
    let path: DynamicPath
    var type: ScalarType { .dynamic }
    var cost: Int { base.cost + 6 }

    func run(_ frame: ExpressionFrame) throws -> Datum {
        let datum = try base.run(frame)
        switch datum {
        case .constant(let v):
            guard case .dynamic(let d) = v else { return .constant(.null(.dynamic)) }
            var at = d
            for step in path.steps {
                switch step {
                case .key(let key): at = at[key] ?? .null
                case .index(let i): at = dynamicElement(at, .long(Int64(i)))
                }
            }
            return .constant(dynamicValue(at))
        case .column(let column):
            let text: StringColumn
            switch column.data {
            case .dynamics(let s): text = s
            default: return .constant(.null(.dynamic))
            }
            return .column(extract(text))
        }
    }

    private func extract(_ text: StringColumn) -> Column {
        var out = ByteStrings()
        out.reserve(strings: text.values.count, bytes: text.values.count * 16)
        var valid = Bitmap(repeating: true, count: text.values.count)
        for i in 0..<text.values.count {
            text.values.withBytes(i) { bytes in
                if let slice = path.find(in: bytes) {
                    out.append(slice)
                } else {
                    out.append("")
                    valid[i] = false
                }
            }
        }
        let values = Column(.dynamic, .dynamics(StringColumn(out)), validity: valid)
        return text.codes.map { spread(values, codes: $0) } ?? values
    }
}

/// The element of a tree: by key of an object, by position of an array.
func dynamicElement(_ d: Dynamic, _ index: Value) -> Dynamic {
    switch index {
    case .string(let key): return d[key] ?? .null
    case .dynamic(.string(let key)): return d[key] ?? .null
    case .dynamic(.long(let i)): return dynamicElement(d, .long(i))
    default:
        guard case .array(let items) = d, let i = index.integer else { return .null }
        let position = i < 0 ? Int64(items.count) &+ i : i
        guard position >= 0, position < Int64(items.count) else { return .null }
        return items[Int(position)]
    }
}

/// A skipping reader of JSON text. It checks what it passes, and gives up (nil, false) on malformed text.
struct JSONCursor {
    let bytes: UnsafeRawBufferPointer
    var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func skipBlanks() {
        while at < bytes.count {
            let c = bytes[at]
            guard c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09 else { return }
            at += 1
        }
    }

    /// Whether the whole text is one well-formed value.
    static func isWellFormed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var cursor = JSONCursor(bytes)
        cursor.skipBlanks()
        guard cursor.skipValue(depth: 0) else { return false }
        cursor.skipBlanks()
        return cursor.at == bytes.count
    }

    /// The range of the value that a step leads to.
    mutating func descend(_ step: DynamicPath.Step) -> Range<Int>? {
        skipBlanks()
        guard at < bytes.count else { return nil }
        switch step {
        case .key(let key):
            guard bytes[at] == 0x7B else { return nil }
            return member(key)
        case .index(let index):
            guard bytes[at] == 0x5B else { return nil }
            if index >= 0 { return element(index) }
            var counter = self
            guard let n = counter.countElements(), n + index >= 0 else { return nil }
            return element(n + index)
        }
    }

    private mutating func member(_ key: String) -> Range<Int>? {
        var found: Range<Int>?
        at += 1
        skipBlanks()
        if at < bytes.count, bytes[at] == 0x7D { return nil }
        while true {
            skipBlanks()
            let keyStart = at + 1
            guard at < bytes.count, bytes[at] == 0x22, skipString() else { return nil }
            let isMatch = keyMatches(keyStart..<(at - 1), key)
            skipBlanks()
            guard at < bytes.count, bytes[at] == 0x3A else { return nil }
            at += 1
            skipBlanks()
            let start = at
            guard skipValue(depth: 1) else { return nil }
            if isMatch { found = start..<at }
            skipBlanks()
            guard at < bytes.count else { return nil }
            if bytes[at] == 0x7D { return found }
            guard bytes[at] == 0x2C else { return nil }
            at += 1
        }
    }

    private func keyMatches(_ range: Range<Int>, _ key: String) -> Bool {
        let raw = UnsafeRawBufferPointer(rebasing: bytes[range])
        if raw.count == key.utf8.count {
            let same = key.utf8.withContiguousStorageIfAvailable { k in
                guard let a = raw.baseAddress, let b = k.baseAddress else { return true }
                return memcmp(a, b, k.count) == 0
            }
            if same ?? raw.elementsEqual(key.utf8) { return true }
        }
        guard raw.contains(0x5C) else { return false }
        let quoted = UnsafeRawBufferPointer(rebasing: bytes[(range.lowerBound - 1)..<(range.upperBound + 1)])
        if case .string(let s)? = JSONText.parse(quoted) { return s.utf8.elementsEqual(key.utf8) }
        return false
    }

    private mutating func element(_ index: Int) -> Range<Int>? {
        at += 1
        skipBlanks()
        if at < bytes.count, bytes[at] == 0x5D { return nil }
        var i = 0
        while true {
            skipBlanks()
            let start = at
            guard skipValue(depth: 1) else { return nil }
            if i == index { return start..<at }
            i += 1
            skipBlanks()
            guard at < bytes.count, bytes[at] == 0x2C else { return nil }
            at += 1
        }
    }

    /// The number of elements of the array here; nil if it is no array.
    mutating func countElements() -> Int? {
        skipBlanks()
        guard at < bytes.count, bytes[at] == 0x5B else { return nil }
        at += 1
        skipBlanks()
        if at < bytes.count, bytes[at] == 0x5D { return 0 }
        var n = 0
        while true {
            skipBlanks()
            guard skipValue(depth: 1) else { return nil }
            n += 1
            skipBlanks()
            guard at < bytes.count else { return nil }
            if bytes[at] == 0x5D { return n }
            guard bytes[at] == 0x2C else { return nil }
            at += 1
        }
    }

    private mutating func skipString() -> Bool {
        at += 1
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
        while at < bytes.count {
            at += vk_json_plain_run(base + at, bytes.count - at)
            guard at < bytes.count else { return false }
            let c = bytes[at]
            at += 1
            if c == 0x22 { return true }
            if c < 0x20 { return false }
            if c == 0x5C {
                guard at < bytes.count else { return false }
                switch bytes[at] {
                case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: at += 1
                case 0x75:
                    guard at + 4 < bytes.count else { return false }
                    for i in 1...4 where hexDigit(bytes[at + i]) == nil { return false }
                    at += 5
                default: return false
                }
            }
        }
        return false
    }

    mutating func skipValue(depth: Int) -> Bool {
        guard at < bytes.count, depth <= JSONText.maximumDepth else { return false }
        switch bytes[at] {
        case 0x22: return skipString()
        case 0x7B:
            at += 1
            skipBlanks()
            if at < bytes.count, bytes[at] == 0x7D {
                at += 1
                return true
            }
            while true {
                skipBlanks()
                guard at < bytes.count, bytes[at] == 0x22, skipString() else { return false }
                skipBlanks()
                guard at < bytes.count, bytes[at] == 0x3A else { return false }
                at += 1
                skipBlanks()
                guard skipValue(depth: depth + 1) else { return false }
                skipBlanks()
                guard at < bytes.count else { return false }
                at += 1
                if bytes[at - 1] == 0x7D { return true }
                if bytes[at - 1] != 0x2C { return false }
            }
        case 0x5B:
            at += 1
            skipBlanks()
            if at < bytes.count, bytes[at] == 0x5D {
                at += 1
                return true
            }
            while true {
                skipBlanks()
                guard skipValue(depth: depth + 1) else { return false }
                skipBlanks()
                guard at < bytes.count else { return false }
                at += 1
                if bytes[at - 1] == 0x5D { return true }
                if bytes[at - 1] != 0x2C { return false }
            }
        case 0x74: return skipWord("true")
        case 0x66: return skipWord("false")
        case 0x6E: return skipWord("null")
        default: return skipNumber()
        }
    }

    private mutating func skipWord(_ word: StaticString) -> Bool {
        let n = word.utf8CodeUnitCount
        guard at + n <= bytes.count else { return false }
        for i in 0..<n where bytes[at + i] != word.utf8Start[i] { return false }
        at += n
        return true
    }

    private mutating func skipDigits() -> Int {
        let start = at
        while at < bytes.count, bytes[at] >= 0x30, bytes[at] <= 0x39 { at += 1 }
        return at - start
    }

    private mutating func skipNumber() -> Bool {
        if bytes[at] == 0x2D { at += 1 }
        let first = at
        let whole = skipDigits()
        guard whole > 0, !(whole > 1 && bytes[first] == 0x30) else { return false }
        if at < bytes.count, bytes[at] == 0x2E {
            at += 1
            guard skipDigits() > 0 else { return false }
        }
        if at < bytes.count, bytes[at] == 0x65 || bytes[at] == 0x45 {
            at += 1
            if at < bytes.count, bytes[at] == 0x2B || bytes[at] == 0x2D { at += 1 }
            guard skipDigits() > 0 else { return false }
        }
        return true
    }
}
