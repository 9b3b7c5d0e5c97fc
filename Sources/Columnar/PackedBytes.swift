/// Writes what is kept for another run of the same program: variable-length integers and length-prefixed texts.
///
/// There is no version inside: whoever keeps the bytes says which program wrote them, and reads them with no other.
public struct PackedWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    public init() {}

    public mutating func byte(_ v: UInt8) { bytes.append(v) }
    public mutating func bool(_ v: Bool) { bytes.append(v ? 1 : 0) }

    /// Seven bits a byte, low ones first.
    public mutating func unsigned(_ v: UInt64) {
        var v = v
        while v >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: v) | 0x80)
            v >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: v))
    }

    public mutating func count(_ v: Int) { unsigned(UInt64(bitPattern: Int64(v))) }
    /// Small magnitudes take few bytes.
    public mutating func integer(_ v: Int64) { unsigned(UInt64(bitPattern: (v << 1) ^ (v >> 63))) }
    public mutating func int(_ v: Int) { integer(Int64(v)) }

    public mutating func word(_ v: UInt64) { withUnsafeBytes(of: v.littleEndian) { bytes.append(contentsOf: $0) } }

    public mutating func text(_ s: String) {
        count(s.utf8.count)
        bytes.append(contentsOf: s.utf8)
    }
    public mutating func optionalText(_ s: String?) {
        bool(s != nil)
        if let s { text(s) }
    }
    public mutating func texts(_ all: [String]) {
        count(all.count)
        for s in all { text(s) }
    }
    /// Bytes with their number before them.
    public mutating func block(_ other: [UInt8]) {
        count(other.count)
        bytes.append(contentsOf: other)
    }
}

/// Packed bytes that do not hold what is asked of them.
public struct PackedError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Reads what ``PackedWriter`` wrote, inside a part of an array. Every length is checked against what is left: damaged bytes give an error.
public struct PackedReader: Sendable {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    public init(_ bytes: [UInt8], in range: Range<Int>? = nil) {
        self.bytes = bytes
        position = max(0, min(range?.lowerBound ?? 0, bytes.count))
        end = max(position, min(range?.upperBound ?? bytes.count, bytes.count))
    }

    public var isAtEnd: Bool { position == end }

    private static func short() -> PackedError { PackedError("the bytes are cut short") }

    public mutating func byte() throws -> UInt8 {
        guard position < end else { throw PackedReader.short() }
        defer { position += 1 }
        return bytes[position]
    }
    public mutating func bool() throws -> Bool { try byte() != 0 }

    public mutating func unsigned() throws -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let b = try byte()
            value |= UInt64(b & 0x7F) << shift
            if b < 0x80 { return value }
            shift += 7
            guard shift < 64 else { throw PackedError("a number is too long") }
        }
    }

    public mutating func integer() throws -> Int64 {
        let v = try unsigned()
        return Int64(bitPattern: v >> 1) ^ -Int64(bitPattern: v & 1)
    }
    public mutating func int() throws -> Int { Int(try integer()) }

    /// A number of items of at least a byte each.
    public mutating func count() throws -> Int {
        let n = try unsigned()
        guard n <= UInt64(end - position) else { throw PackedError("an impossible length \(n)") }
        return Int(n)
    }

    public mutating func word() throws -> UInt64 {
        guard end - position >= 8 else { throw PackedReader.short() }
        var v: UInt64 = 0
        for i in 0..<8 { v |= UInt64(bytes[position + i]) << UInt64(8 * i) }
        position += 8
        return v
    }

    public mutating func text() throws -> String {
        let range = try block()
        return String(decoding: bytes[range], as: UTF8.self)
    }
    public mutating func optionalText() throws -> String? { try bool() ? try text() : nil }
    public mutating func texts() throws -> [String] { try list { try $0.text() } }

    /// As many items as stand there.
    public mutating func list<T>(_ item: (inout PackedReader) throws -> T) throws -> [T] {
        let n = try count()
        var out: [T] = []
        out.reserveCapacity(n)
        for _ in 0..<n { out.append(try item(&self)) }
        return out
    }

    /// Where a block's bytes stand; they are passed over.
    public mutating func block() throws -> Range<Int> {
        let n = try count()
        defer { position += n }
        return position..<(position + n)
    }
}
