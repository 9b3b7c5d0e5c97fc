import CKernels
import Columnar
import KQL

/// 64-bit keys to dense ids, in order of first sight. Open addressing, linear probing, at most half full.
struct IntTable: Sendable {
    private(set) var keys = ContiguousArray<UInt64>()
    /// id + 1; 0 is empty. A power of two long.
    private var slots = ContiguousArray<UInt32>(repeating: 0, count: 64)

    var count: Int { keys.count }

    @inline(__always)
    private static func hash(_ key: UInt64) -> UInt64 {
        var h = key ^ (key >> 32)
        h = h &* 0x9E37_79B9_7F4A_7C15
        h ^= h >> 29
        h = h &* 0xBF58_476D_1CE4_E5B9
        return h ^ (h >> 32)
    }

    /// The id of a key; a new one gets the next id.
    mutating func intern(_ key: UInt64) -> UInt32 {
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: IntTable.hash(key)) & mask
        while true {
            let slot = slots[i]
            if slot == 0 { break }
            if keys[Int(slot) - 1] == key { return slot - 1 }
            i = (i + 1) & mask
        }
        keys.append(key)
        slots[i] = UInt32(truncatingIfNeeded: keys.count)
        if keys.count * 2 > slots.count { grow() }
        return UInt32(truncatingIfNeeded: keys.count - 1)
    }

    /// The id of a key, or nil.
    func find(_ key: UInt64) -> UInt32? {
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: IntTable.hash(key)) & mask
        while true {
            let slot = slots[i]
            if slot == 0 { return nil }
            if keys[Int(slot) - 1] == key { return slot - 1 }
            i = (i + 1) & mask
        }
    }

    private mutating func grow() {
        var next = ContiguousArray<UInt32>(repeating: 0, count: slots.count * 2)
        let mask = next.count - 1
        for (id, key) in keys.enumerated() {
            var i = Int(truncatingIfNeeded: IntTable.hash(key)) & mask
            while next[i] != 0 { i = (i + 1) & mask }
            next[i] = UInt32(truncatingIfNeeded: id + 1)
        }
        slots = next
    }
}

/// Byte strings to dense ids, in order of first sight.
struct ByteTable: Sendable {
    private(set) var strings = ByteStrings()
    private var hashes = ContiguousArray<UInt64>()
    private var slots = ContiguousArray<UInt32>(repeating: 0, count: 64)

    var count: Int { strings.count }

    private func place(_ bytes: UnsafeRawBufferPointer, _ hash: UInt64) -> (slot: Int, id: UInt32?) {
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: hash) & mask
        while true {
            let slot = slots[i]
            if slot == 0 { return (i, nil) }
            let id = Int(slot) - 1
            if hashes[id] == hash, strings.length(id) == bytes.count, strings.withBytes(id, { $0.elementsEqual(bytes) }) {
                return (i, slot - 1)
            }
            i = (i + 1) & mask
        }
    }

    /// The id of a string; a new one gets the next id. Throws when the distinct strings pass 4 GiB.
    mutating func intern(_ bytes: UnsafeRawBufferPointer) throws -> UInt32 {
        let hash = vk_xxh3_64(bytes.baseAddress, bytes.count, 0)
        let (slot, id) = place(bytes, hash)
        if let id { return id }
        guard strings.bytes.count + bytes.count <= Int(UInt32.max) else {
            throw EvaluationError("the distinct values of one column take more than 4 GiB")
        }
        strings.append(bytes)
        hashes.append(hash)
        slots[slot] = UInt32(truncatingIfNeeded: strings.count)
        if strings.count * 2 > slots.count { grow() }
        return UInt32(truncatingIfNeeded: strings.count - 1)
    }

    func find(_ bytes: UnsafeRawBufferPointer) -> UInt32? {
        place(bytes, vk_xxh3_64(bytes.baseAddress, bytes.count, 0)).id
    }

    private mutating func grow() {
        var next = ContiguousArray<UInt32>(repeating: 0, count: slots.count * 2)
        let mask = next.count - 1
        for (id, hash) in hashes.enumerated() {
            var i = Int(truncatingIfNeeded: hash) & mask
            while next[i] != 0 { i = (i + 1) & mask }
            next[i] = UInt32(truncatingIfNeeded: id + 1)
        }
        slots = next
    }
}

/// How cells are made comparable by bits: one form a value, whatever its spelling.
enum CellCode {
    /// The 64 bits that stand for a double in grouping: one zero, one NaN.
    static func bits(_ v: Double) -> UInt64 { v.isNaN ? Double.nan.bitPattern : (v == 0 ? 0 : v.bitPattern) }

    /// Hands over the bytes that stand for cell `row` of a guid, decimal, string or dynamic column; valid inside `body` only.
    static func withBytes<R>(_ data: ColumnData, _ row: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        switch data {
        case .guids(let a): return try withUnsafeBytes(of: a[row]) { try body($0) }
        case .decimals(let a):
            return try withUnsafeBytes(of: (a[row].mantissa, Int128(a[row].exponent))) { try body($0) }
        case .strings(let s): return try s.withBytes(row, body)
        case .dynamics(let s): return try withCompact(s.values, s.code(row), body)
        case .longs(let a): return try withUnsafeBytes(of: a[row]) { try body($0) }
        case .reals(let a): return try withUnsafeBytes(of: bits(a[row])) { try body($0) }
        case .bools(let b): return try withUnsafeBytes(of: b[row]) { try body($0) }
        }
    }

    /// The compact text of a dynamic value.
    static func withCompact<R>(_ values: ByteStrings, _ i: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let compact: String? = values.withBytes(i) { isCompactScalar($0) ? nil : JSONText.parse($0).map(JSONText.compact) }
        guard var text = compact else { return try values.withBytes(i, body) }
        return try text.withUTF8 { try body(UnsafeRawBufferPointer($0)) }
    }

    /// A plain string without escapes or an integer: already in compact form.
    private static func isCompactScalar(_ b: UnsafeRawBufferPointer) -> Bool {
        guard let first = b.first else { return true }
        if first == 0x22 { return !b.contains(0x5C) }
        return b.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } && b.count < 19 && (first != 0x30 || b.count == 1)
    }

    /// True for the types whose cells are interned as 64-bit keys.
    static func isWord(_ type: ScalarType) -> Bool {
        switch type {
        case .bool, .int, .long, .datetime, .timespan, .real: true
        case .string, .dynamic, .guid, .decimal: false
        }
    }
}

/// Maps the cells of columns of one type to dense ids, in order of first sight. Nulls are one value of their own.
struct Interner: Sendable {
    let type: ScalarType
    private var words = IntTable()
    private var bytes = ByteTable()
    /// The id of null among all ids; -1 when none was seen. Ids after it are one higher than in the tables.
    private var nullID = -1

    init(_ type: ScalarType) { self.type = type }

    var count: Int { (CellCode.isWord(type) ? words.count : bytes.count) + (nullID >= 0 ? 1 : 0) }

    private mutating func internNull() -> UInt32 {
        if nullID < 0 { nullID = count }
        return UInt32(truncatingIfNeeded: nullID)
    }

    @inline(__always)
    private func shifted(_ id: UInt32) -> UInt32 { nullID >= 0 && Int(id) >= nullID ? id + 1 : id }

    /// The ids of a column's cells; new values get new ids.
    mutating func intern(_ column: Column) throws -> ContiguousArray<UInt32> {
        let n = column.count
        var out = ContiguousArray<UInt32>(repeating: 0, count: n)
        // The null's id is fixed before the values of the batch, so that ids stay dense in any order of cells.
        let nulls = column.validity
        if nulls != nil { _ = internNull() }
        switch column.data {
        case .longs(let a): for i in 0..<n where nulls?[i] ?? true { out[i] = shifted(words.intern(UInt64(bitPattern: a[i]))) }
        case .reals(let a): for i in 0..<n where nulls?[i] ?? true { out[i] = shifted(words.intern(CellCode.bits(a[i]))) }
        case .bools(let b): for i in 0..<n where nulls?[i] ?? true { out[i] = shifted(words.intern(b[i] ? 1 : 0)) }
        case .guids, .decimals:
            for i in 0..<n where nulls?[i] ?? true { out[i] = shifted(try CellCode.withBytes(column.data, i) { try bytes.intern($0) }) }
        case .strings(let s):
            if let codes = s.codes {
                var map = ContiguousArray<Int64>(repeating: -1, count: s.values.count)
                for i in 0..<n {
                    let c = Int(codes[i])
                    if map[c] < 0 { map[c] = Int64(shifted(try s.values.withBytes(c) { try bytes.intern($0) })) }
                    out[i] = UInt32(truncatingIfNeeded: map[c])
                }
            } else {
                for i in 0..<n { out[i] = shifted(try s.values.withBytes(i) { try bytes.intern($0) }) }
            }
        case .dynamics(let s):
            var map = ContiguousArray<Int64>(repeating: -1, count: s.codes == nil ? 0 : s.values.count)
            for i in 0..<n where nulls?[i] ?? true {
                let c = s.code(i)
                if c < map.count, map[c] >= 0 {
                    out[i] = UInt32(truncatingIfNeeded: map[c])
                    continue
                }
                out[i] = shifted(try CellCode.withCompact(s.values, c) { try bytes.intern($0) })
                if c < map.count { map[c] = Int64(out[i]) }
            }
        }
        if let nulls { for i in 0..<n where !nulls[i] { out[i] = UInt32(truncatingIfNeeded: nullID) } }
        return out
    }

    /// The ids of a column's cells; -1 for values never interned.
    func find(_ column: Column) -> ContiguousArray<Int64> {
        let n = column.count
        var out = ContiguousArray<Int64>(repeating: -1, count: n)
        for i in 0..<n {
            if column.isNull(i) {
                out[i] = Int64(nullID)
                continue
            }
            let id: UInt32?
            switch column.data {
            case .longs(let a): id = words.find(UInt64(bitPattern: a[i]))
            case .reals(let a): id = words.find(CellCode.bits(a[i]))
            case .bools(let b): id = words.find(b[i] ? 1 : 0)
            default: id = CellCode.withBytes(column.data, i) { bytes.find($0) }
            }
            if let id { out[i] = Int64(shifted(id)) }
        }
        return out
    }

    /// A column of the values with the ids given.
    func column(_ ids: some Collection<UInt32>) -> Column {
        var b = ColumnBuilder(type)
        b.reserve(ids.count)
        for shiftedID in ids {
            if Int(shiftedID) == nullID {
                b.appendNull()
                continue
            }
            let id = nullID >= 0 && Int(shiftedID) > nullID ? Int(shiftedID) - 1 : Int(shiftedID)
            switch type {
            case .bool: b.append(words.keys[id] != 0)
            case .int, .long, .datetime, .timespan: b.append(Int64(bitPattern: words.keys[id]))
            case .real: b.append(Double(bitPattern: words.keys[id]))
            case .string: bytes.strings.withBytes(id) { b.append(utf8: $0) }
            case .dynamic: bytes.strings.withBytes(id) { b.append(json: $0) }
            case .guid: b.append(.guid(bytes.strings.withBytes(id) { $0.loadUnaligned(as: UInt128.self) }))
            case .decimal:
                let (m, e) = bytes.strings.withBytes(id) {
                    ($0.loadUnaligned(as: Int128.self), $0.loadUnaligned(fromByteOffset: 16, as: Int128.self))
                }
                b.append(.decimal(Decimal128(mantissa: m, exponent: Int(truncatingIfNeeded: e))))
            }
        }
        return b.finish()
    }
}

/// Maps rows of several key columns to dense group ids, in order of first sight.
struct GroupTable: Sendable {
    private var interners: [Interner]
    /// `pairs[k]` joins the id of the first `k + 1` keys with that of key `k + 1`.
    private var pairs: [IntTable]

    init(types: [ScalarType]) {
        interners = types.map(Interner.init)
        pairs = Array(repeating: IntTable(), count: max(0, types.count - 1))
    }

    var count: Int { pairs.last?.count ?? interners.first?.count ?? 0 }

    /// The group of each row; new combinations become new groups. There must be at least one key.
    mutating func intern(_ columns: [Column]) throws -> ContiguousArray<UInt32> {
        var ids = try interners[0].intern(columns[0])
        for k in 1..<max(1, interners.count) {
            let next = try interners[k].intern(columns[k])
            for i in ids.indices { ids[i] = pairs[k - 1].intern(UInt64(ids[i]) << 32 | UInt64(next[i])) }
        }
        return ids
    }

    /// The group of each row, -1 where the combination is unknown.
    func find(_ columns: [Column]) -> ContiguousArray<Int64> {
        var ids = interners[0].find(columns[0])
        for k in 1..<max(1, interners.count) {
            let next = interners[k].find(columns[k])
            for i in ids.indices where ids[i] >= 0 {
                guard next[i] >= 0 else {
                    ids[i] = -1
                    continue
                }
                ids[i] = pairs[k - 1].find(UInt64(ids[i]) << 32 | UInt64(next[i])).map(Int64.init) ?? -1
            }
        }
        return ids
    }

    /// The key columns of the groups given.
    func columns(_ groups: ContiguousArray<UInt32>) -> [Column] {
        var out: [Column] = []
        var ids = groups
        for k in stride(from: interners.count - 1, to: 0, by: -1) {
            let table = pairs[k - 1]
            out.append(interners[k].column(ids.map { UInt32(truncatingIfNeeded: table.keys[Int($0)]) }))
            for i in ids.indices { ids[i] = UInt32(truncatingIfNeeded: table.keys[Int(ids[i])] >> 32) }
        }
        if let first = interners.first { out.append(first.column(ids)) }
        return out.reversed()
    }
}
