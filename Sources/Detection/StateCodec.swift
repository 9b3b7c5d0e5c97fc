import CKernels
import Columnar
import KQL

/// Bytes of the runtime's state: little-endian, length-prefixed, versioned by the first byte of each document.
public struct StateWriter {
    public private(set) var bytes: [UInt8] = []
    public init() {}

    /// The bytes with their checksum behind them: a document as it is kept. Its first byte is its version. Nothing may be written after it.
    public mutating func sealed() -> [UInt8] {
        u64(StateWriter.checksum(bytes))
        return bytes
    }

    static func checksum(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { vk_xxh3_64($0.baseAddress, $0.count, 0) } }

    public mutating func u8(_ v: UInt8) { bytes.append(v) }
    public mutating func bool(_ v: Bool) { bytes.append(v ? 1 : 0) }
    public mutating func u64(_ v: UInt64) { withUnsafeBytes(of: v.littleEndian) { bytes.append(contentsOf: $0) } }
    public mutating func i64(_ v: Int64) { u64(UInt64(bitPattern: v)) }
    public mutating func int(_ v: Int) { i64(Int64(v)) }
    public mutating func text(_ s: String) {
        int(s.utf8.count)
        bytes.append(contentsOf: s.utf8)
    }
    public mutating func optionalText(_ s: String?) {
        bool(s != nil)
        if let s { text(s) }
    }

    public mutating func key(_ k: RowKey) {
        i64(k.time)
        u64(k.hashHigh)
        u64(k.hashLow)
        u64(k.path)
    }

    public mutating func column(_ c: Column) {
        text(c.type.rawValue)
        int(c.count)
        bool(c.validity != nil)
        if let v = c.validity { for w in v.words { u64(w) } }
        switch c.data {
        case .bools(let b): for w in b.words { u64(w) }
        case .longs(let a): for v in a { i64(v) }
        case .reals(let a): for v in a { u64(v.bitPattern) }
        case .decimals(let a): for v in a { text(v.description) }
        case .guids(let a):
            for v in a {
                u64(UInt64(truncatingIfNeeded: v >> 64))
                u64(UInt64(truncatingIfNeeded: v))
            }
        case .strings(let s), .dynamics(let s):
            for r in 0..<s.count {
                s.withBytes(r) {
                    int($0.count)
                    bytes.append(contentsOf: $0)
                }
            }
        }
    }

    /// Columns and keys, and the lineage of rows that do not stand for themselves.
    public mutating func batch(_ b: Batch) {
        int(b.count)
        int(b.columns.count)
        for c in b.columns { column(c) }
        for k in b.keys ?? ContiguousArray((0..<b.count).map(RowKey.ordinal)) { key(k) }
        bool(b.lineage != nil)
        for l in b.lineage ?? [] { lineage(l) }
    }
}

/// State bytes that cannot be read: cut short, of another version, or damaged.
public struct StateError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Reads what ``StateWriter`` wrote. Every length is checked against what is left, so damaged bytes give an error, never a trap.
public struct StateReader {
    private let bytes: [UInt8]
    private var position = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Opens what ``StateWriter/sealed`` gave and reads past its version. `unsealed` is the version before there were checksums.
    public init(sealed bytes: [UInt8], version: UInt8, unsealed: UInt8, _ what: String) throws {
        switch bytes.first {
        case unsealed: self.init(bytes)
        case version:
            let content = Array(bytes.dropLast(8))
            var seal = StateReader(Array(bytes.suffix(8)))
            guard !content.isEmpty, try seal.u64() == StateWriter.checksum(content) else { throw StateError("\(what) is damaged") }
            self.init(content)
        case nil: throw StateError("state is cut short")
        default: throw StateError("\(what) of an unknown version")
        }
        position = 1
    }

    /// Throws unless everything has been read.
    public func end() throws { guard isAtEnd else { throw StateError("state goes on past its end") } }

    public var isAtEnd: Bool { position == bytes.count }

    public mutating func u8() throws -> UInt8 {
        guard position < bytes.count else { throw StateError("state is cut short") }
        defer { position += 1 }
        return bytes[position]
    }
    public mutating func bool() throws -> Bool { try u8() != 0 }
    public mutating func u64() throws -> UInt64 {
        guard bytes.count - position >= 8 else { throw StateError("state is cut short") }
        var v: UInt64 = 0
        for i in 0..<8 { v |= UInt64(bytes[position + i]) << UInt64(8 * i) }
        position += 8
        return v
    }
    public mutating func i64() throws -> Int64 { Int64(bitPattern: try u64()) }
    public mutating func int() throws -> Int { Int(try i64()) }

    /// A count of items that take at least `size` bytes each.
    public mutating func count(of size: Int) throws -> Int {
        let n = try int()
        guard n >= 0, n <= (bytes.count - position) / max(1, size) else { throw StateError("state has an impossible length \(n)") }
        return n
    }
    private mutating func slice() throws -> ArraySlice<UInt8> {
        let n = try count(of: 1)
        defer { position += n }
        return bytes[position..<(position + n)]
    }
    public mutating func text() throws -> String { String(decoding: try slice(), as: UTF8.self) }
    public mutating func optionalText() throws -> String? { try bool() ? try text() : nil }

    public mutating func key() throws -> RowKey {
        RowKey(time: try i64(), hashHigh: try u64(), hashLow: try u64(), path: try u64())
    }

    private mutating func bitmap(_ n: Int) throws -> Bitmap {
        let count = (n + 63) >> 6
        guard count <= (bytes.count - position) / 8 else { throw StateError("state has an impossible length \(n)") }
        var words = ContiguousArray<UInt64>()
        for _ in 0..<count { words.append(try u64()) }
        return Bitmap(words: words, count: n)
    }

    public mutating func column() throws -> Column {
        guard let type = ScalarType(rawValue: try text()) else { throw StateError("state has an unknown column type") }
        let n = try int()
        // Every cell takes at least one bit.
        guard n >= 0, n / 8 <= bytes.count - position else { throw StateError("state has an impossible length \(n)") }
        let validity = try bool() ? try bitmap(n) : nil
        if type == .bool { return Column(type, .bools(try bitmap(n)), validity: validity) }
        let least = type == .guid ? 16 : 8
        guard n <= (bytes.count - position) / least else { throw StateError("state has an impossible length \(n)") }
        switch type {
        case .bool, .int, .long, .datetime, .timespan:
            var a = ContiguousArray<Int64>()
            a.reserveCapacity(n)
            for _ in 0..<n { a.append(try i64()) }
            return Column(type, .longs(a), validity: validity)
        case .real:
            var a = ContiguousArray<Double>()
            for _ in 0..<n { a.append(Double(bitPattern: try u64())) }
            return Column(type, .reals(a), validity: validity)
        case .decimal:
            var a = ContiguousArray<Decimal128>()
            for _ in 0..<n {
                guard let d = Decimal128(text: try text()) else { throw StateError("state has a damaged decimal") }
                a.append(d)
            }
            return Column(type, .decimals(a), validity: validity)
        case .guid:
            var a = ContiguousArray<UInt128>()
            for _ in 0..<n { a.append(UInt128(try u64()) << 64 | UInt128(try u64())) }
            return Column(type, .guids(a), validity: validity)
        case .string, .dynamic:
            var b = ByteStrings()
            for _ in 0..<n {
                let s = try slice()
                s.withUnsafeBytes { b.append($0) }
            }
            return Column(type, type == .string ? .strings(StringColumn(b)) : .dynamics(StringColumn(b)), validity: validity)
        }
    }

    public mutating func batch() throws -> Batch {
        let n = try int()
        let width = try count(of: 1)
        var columns: [Column] = []
        for _ in 0..<width {
            let c = try column()
            guard c.count == n else { throw StateError("state has ragged columns") }
            columns.append(c)
        }
        guard n >= 0, n <= (bytes.count - position) / 32 else { throw StateError("state has an impossible length \(n)") }
        var keys = ContiguousArray<RowKey>()
        keys.reserveCapacity(n)
        for _ in 0..<n { keys.append(try key()) }
        guard try bool() else { return Batch(columns: columns, count: n, keys: keys) }
        var lineages = ContiguousArray<Lineage>()
        lineages.reserveCapacity(n)
        for key in keys { lineages.append(try lineage() ?? Lineage(key)) }
        return Batch(columns: columns, count: n, keys: keys, lineage: lineages)
    }
}
