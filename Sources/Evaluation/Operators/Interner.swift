import Columnar
import KQL

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

    /// Memory in use, roughly.
    var memory: Int { words.bytes + bytes.bytes }

    /// Makes room for so many values, if they are words.
    mutating func reserve(_ n: Int) { if CellCode.isWord(type) { words.reserve(n) } }

    private mutating func internNull() -> UInt32 {
        if nullID < 0 { nullID = count }
        return UInt32(truncatingIfNeeded: nullID)
    }

    @inline(__always)
    private func shifted(_ id: UInt32) -> UInt32 { nullID >= 0 && Int(id) >= nullID ? id + 1 : id }

    /// Moves ids behind that of null up by one; puts null's id where the column is null.
    private func finished(_ ids: inout ContiguousArray<UInt32>, _ nulls: Bitmap?) {
        guard nullID >= 0 else { return }
        let none = UInt32(truncatingIfNeeded: nullID)
        for i in ids.indices where ids[i] >= none { ids[i] += 1 }
        if let nulls { for i in ids.indices where !nulls[i] { ids[i] = none } }
    }

    /// The ids of a column's cells; new values get new ids.
    mutating func intern(_ column: Column) throws -> ContiguousArray<UInt32> {
        let n = column.count
        let nulls = column.validity
        if let nulls, nullID < 0, let first = (0..<n).first(where: { !nulls[$0] }) {
            // Null's id is fixed at its first row: ids are in order of first sight, null's too.
            if first > 0 { _ = try intern(column.gather(ContiguousArray((0..<first).lazy.map { Int32(truncatingIfNeeded: $0) }))) }
            _ = internNull()
        }
        switch column.data {
        case .longs, .reals, .bools:
            guard let keys = WordKeys.of(column) else { return ContiguousArray(repeating: 0, count: n) }
            if let nulls { return internWords(keys, nulls) }
            var out = words.intern(keys)
            finished(&out, nil)
            return out
        case .strings(let s) where s.codes == nil:
            var out = ContiguousArray<UInt32>(repeating: 0, count: n)
            try out.withUnsafeMutableBufferPointer { if let to = $0.baseAddress { try bytes.intern(s.values, to) } }
            finished(&out, nil)
            return out
        case .strings(let s): return try internCodes(s, nil) { try $0.intern(s.values, at: $1) }
        case .dynamics(let s):
            return try internCodes(s, nulls) { table, i in try CellCode.withCompact(s.values, i) { try table.intern($0) } }
        case .guids, .decimals:
            var out = ContiguousArray<UInt32>(repeating: 0, count: n)
            for i in 0..<n where nulls?[i] ?? true { out[i] = try CellCode.withBytes(column.data, i) { try bytes.intern($0) } }
            finished(&out, nulls)
            return out
        }
    }

    /// Words of which some stand under nulls: only the others are interned.
    private mutating func internWords(_ keys: ContiguousArray<UInt64>, _ valid: Bitmap) -> ContiguousArray<UInt32> {
        let rows = valid.indices
        let ids = words.intern(ContiguousArray(rows.lazy.map { keys[Int($0)] }))
        var out = ContiguousArray<UInt32>(repeating: UInt32(truncatingIfNeeded: nullID), count: keys.count)
        for (n, row) in rows.enumerated() { out[Int(row)] = shifted(ids[n]) }
        return out
    }

    /// Text with a dictionary: every value that occurs is looked up once.
    private mutating func internCodes(
        _ s: StringColumn, _ nulls: Bitmap?, _ value: (inout ByteTable, Int) throws -> UInt32
    ) throws -> ContiguousArray<UInt32> {
        let n = s.count
        var out = ContiguousArray<UInt32>(repeating: 0, count: n)
        guard let codes = s.codes else {
            for i in 0..<n where nulls?[i] ?? true { out[i] = try value(&bytes, i) }
            finished(&out, nulls)
            return out
        }
        let unknown = UInt32.max
        var map = ContiguousArray<UInt32>(repeating: unknown, count: s.values.count)
        for i in 0..<n where nulls?[i] ?? true {
            let c = Int(codes[i])
            if map[c] == unknown { map[c] = try value(&bytes, c) }
            out[i] = map[c]
        }
        finished(&out, nulls)
        return out
    }

    /// The ids of a column's cells; -1 for values never interned.
    func find(_ column: Column) -> ContiguousArray<Int64> {
        let n = column.count
        var out: ContiguousArray<Int64>
        if let keys = WordKeys.of(column) {
            out = words.find(keys)
        } else if case .strings(let s) = column.data {
            let found = bytes.find(s.values)
            out = s.codes.map { codes in ContiguousArray(codes.lazy.map { found[Int($0)] }) } ?? found
        } else {
            out = ContiguousArray(repeating: -1, count: n)
            for i in 0..<n where !column.isNull(i) {
                if let id = CellCode.withBytes(column.data, i, { bytes.find($0) }) { out[i] = Int64(id) }
            }
        }
        let none = Int64(nullID)
        if none >= 0 { for i in 0..<n where out[i] >= none { out[i] += 1 } }
        if let valid = column.validity { for i in 0..<n where !valid[i] { out[i] = none } }
        return out
    }

    /// A column of the values with the ids given.
    func column(_ ids: some Collection<UInt32>) -> Column {
        // Ids as positions in the tables; null is -1.
        let rows = ContiguousArray<Int32>(
            ids.lazy.map { id in
                if nullID < 0 || Int(id) < nullID { return Int32(truncatingIfNeeded: id) }
                return Int(id) == nullID ? -1 : Int32(truncatingIfNeeded: id) - 1
            })
        let validity = nullID < 0 ? nil : Bitmap(rows.lazy.map { $0 >= 0 })
        switch type {
        case .int, .long, .datetime, .timespan:
            let cells = ContiguousArray(rows.lazy.map { $0 < 0 ? 0 : Int64(bitPattern: words.key(Int($0))) })
            return Column(type, .longs(cells), validity: validity)
        case .real:
            let cells = ContiguousArray(rows.lazy.map { $0 < 0 ? 0 : Double(bitPattern: words.key(Int($0))) })
            return Column(type, .reals(cells), validity: validity)
        case .string: return Column(type, .strings(StringColumn(bytes.strings).gather(rows)))
        case .dynamic: return Column(type, .dynamics(StringColumn(bytes.strings).gather(rows)), validity: validity)
        case .bool, .guid, .decimal: return built(ids)
        }
    }

    /// The same, a cell at a time.
    private func built(_ ids: some Collection<UInt32>) -> Column {
        var b = ColumnBuilder(type)
        b.reserve(ids.count)
        for shiftedID in ids {
            if Int(shiftedID) == nullID {
                b.appendNull()
                continue
            }
            let id = nullID >= 0 && Int(shiftedID) > nullID ? Int(shiftedID) - 1 : Int(shiftedID)
            switch type {
            case .bool: b.append(words.key(id) != 0)
            case .int, .long, .datetime, .timespan: b.append(Int64(bitPattern: words.key(id)))
            case .real: b.append(Double(bitPattern: words.key(id)))
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

    /// Memory in use, roughly.
    var bytes: Int { interners.reduce(0) { $0 + $1.memory } + pairs.reduce(0) { $0 + $1.bytes } }

    /// Makes room for so many groups.
    mutating func reserve(_ n: Int) {
        if pairs.isEmpty { interners[0].reserve(n) } else { pairs[pairs.count - 1].reserve(n) }
    }

    /// The group of each row; new combinations become new groups. There must be at least one key.
    mutating func intern(_ columns: [Column]) throws -> ContiguousArray<UInt32> {
        var ids = try interners[0].intern(columns[0])
        for k in 1..<max(1, interners.count) {
            let next = try interners[k].intern(columns[k])
            ids = pairs[k - 1].intern(WordKeys.pairs(ids, next))
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
            out.append(interners[k].column(ids.map { UInt32(truncatingIfNeeded: table.key(Int($0))) }))
            for i in ids.indices { ids[i] = UInt32(truncatingIfNeeded: table.key(Int(ids[i])) >> 32) }
        }
        if let first = interners.first { out.append(first.column(ids)) }
        return out.reversed()
    }
}
