import Columnar
import KQL

/// The elements of lists and bags as they arrive: JSON text by (group, order).
private struct ElementStore {
    var groups = ContiguousArray<UInt32>()
    var orders = ContiguousArray<RowKey>()
    var texts = ByteStrings()
    /// Element numbers by group, in order, after ``seal()``.
    private var sorted = ContiguousArray<Int32>()
    private var starts = ContiguousArray<Int32>()

    /// Memory in use, roughly.
    var bytes: Int { texts.bytes.count + groups.count * (8 + MemoryLayout<RowKey>.stride) }

    mutating func append(_ text: String, group: UInt32, order: RowKey) throws {
        guard texts.bytes.count + text.utf8.count <= Int(UInt32.max) else {
            throw EvaluationError("the elements of one aggregate take more than 4 GiB")
        }
        groups.append(group)
        orders.append(order)
        texts.append(text)
    }

    mutating func append(_ other: ElementStore, into map: ContiguousArray<UInt32>) throws {
        for i in other.groups.indices { try append(other.texts[i], group: map[Int(other.groups[i])], order: other.orders[i]) }
    }

    mutating func seal(groupCount: Int) {
        starts = ContiguousArray(repeating: 0, count: groupCount + 1)
        for g in groups { starts[Int(g) + 1] += 1 }
        for g in 0..<groupCount { starts[g + 1] += starts[g] }
        var next = starts
        sorted = ContiguousArray(repeating: 0, count: groups.count)
        for (i, g) in groups.enumerated() {
            sorted[Int(next[Int(g)])] = Int32(truncatingIfNeeded: i)
            next[Int(g)] += 1
        }
        for g in 0..<groupCount {
            let range = Int(starts[g])..<Int(starts[g + 1])
            if zip(range, range.dropFirst()).contains(where: { orders[Int(sorted[$1])] < orders[Int(sorted[$0])] }) {
                // Ties keep their arrival: expanded rows of one record arrive in order.
                let part = sorted[range].sorted { a, b in
                    let (x, y) = (orders[Int(a)], orders[Int(b)])
                    return x == y ? a < b : x < y
                }
                sorted.replaceSubrange(range, with: part)
            }
        }
    }

    func elements(_ group: UInt32) -> ArraySlice<Int32> {
        let g = Int(group)
        guard g + 1 < starts.count else { return [] }
        return ArraySlice(sorted[Int(starts[g])..<Int(starts[g + 1])])
    }
}

/// The most elements of a made list or set, by default and at most.
let maximumCollectionSize: Int64 = 1_048_576

func collectionSize(_ setup: AggregateSetup, at position: Int) throws -> Int {
    guard let value = setup.constant(position) else { return Int(maximumCollectionSize) }
    guard let n = value.integer, n > 0 else { throw EvaluationError("\(setup.name): the maximum size must be a positive integer") }
    return Int(min(n, maximumCollectionSize))
}

/// `make_list`, `make_list_with_nulls`: the values in row order.
final class ListAccumulator: Accumulator {
    private var store = ElementStore()
    private var groupCount = 0
    private let keepsNulls: Bool
    private let size: Int
    private let limits: EvaluationLimits

    init(_ setup: AggregateSetup, keepsNulls: Bool) throws {
        self.keepsNulls = keepsNulls
        size = try collectionSize(setup, at: 1)
        limits = setup.limits
    }

    var bytes: Int { store.bytes }
    func resize(_ groups: Int) { groupCount = max(groupCount, groups) }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        for i in 0..<input.rows {
            if !keepsNulls, column.isNull(i) { continue }
            try store.append(Cells.json(column, i), group: input.groups[i], order: input.order[i])
        }
        try limits.check(held: store.groups.count, by: "make_list")
    }

    func merge(_ other: any Accumulator, into groups: ContiguousArray<UInt32>) throws {
        guard let other = other as? ListAccumulator else { throw EvaluationError.unlikeStates }
        try store.append(other.store, into: groups)
    }

    func seal() throws { store.seal(groupCount: groupCount) }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.dynamic)
        for g in groups {
            var out = "["
            for (n, i) in store.elements(g).prefix(size).enumerated() {
                if n > 0 { out += "," }
                out += store.texts[Int(i)]
            }
            b.append(json: out + "]")
        }
        return [b.finish()]
    }
}

/// `make_set`: the distinct values, ordered by the first row that has each. The elements of arrays are taken one by one.
final class SetAccumulator: Accumulator {
    private let type: ScalarType
    private var values: Interner
    private var pairs = IntTable()
    private var firsts = ContiguousArray<(order: RowKey, position: Int32)>()
    private var groupCount = 0
    private var sorted = ContiguousArray<ContiguousArray<UInt32>>()
    private let size: Int
    private let limits: EvaluationLimits

    init(_ setup: AggregateSetup) throws {
        type = setup.type(0)
        values = Interner(type)
        size = try collectionSize(setup, at: 1)
        limits = setup.limits
    }

    var bytes: Int { values.memory + pairs.bytes + firsts.count * MemoryLayout<(RowKey, Int32)>.stride }
    func resize(_ groups: Int) { groupCount = max(groupCount, groups) }

    private func note(_ group: UInt32, _ value: UInt32, _ order: RowKey, _ position: Int32) {
        let id = Int(pairs.intern(UInt64(group) << 32 | UInt64(value)))
        if id == firsts.count {
            firsts.append((order, position))
        } else if order < firsts[id].order || (order == firsts[id].order && position < firsts[id].position) {
            firsts[id] = (order, position)
        }
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        if type == .dynamic { return try addDynamic(column, input) }
        let ids = try values.intern(column)
        for i in 0..<input.rows where !column.isNull(i) { note(input.groups[i], ids[i], input.order[i], 0) }
        try limits.check(held: pairs.count, by: "make_set")
    }

    private func addDynamic(_ column: Column, _ input: AggregateInput) throws {
        var b = ColumnBuilder(.dynamic)
        var rows: [(row: Int, position: Int32)] = []
        for i in 0..<input.rows {
            guard case .dynamic(let d) = column.value(i) else { continue }
            if case .array(let items) = d {
                for (n, item) in items.enumerated() where item != .null {
                    b.append(.dynamic(item))
                    rows.append((i, Int32(truncatingIfNeeded: n)))
                }
            } else {
                b.append(.dynamic(d))
                rows.append((i, 0))
            }
        }
        let ids = try values.intern(b.finish())
        for (n, r) in rows.enumerated() { note(input.groups[r.row], ids[n], input.order[r.row], r.position) }
        try limits.check(held: pairs.count, by: "make_set")
    }

    func merge(_ other: any Accumulator, into groups: ContiguousArray<UInt32>) throws {
        guard let other = other as? SetAccumulator, other.type == type else { throw EvaluationError.unlikeStates }
        let map = try values.intern(other.values.column((0..<other.values.count).map { UInt32(truncatingIfNeeded: $0) }))
        for (i, pair) in other.pairs.keys.enumerated() {
            note(groups[Int(pair >> 32)], map[Int(pair & 0xFFFF_FFFF)], other.firsts[i].order, other.firsts[i].position)
        }
    }

    func seal() throws {
        sorted = ContiguousArray(repeating: [], count: groupCount)
        let order = pairs.keys.indices.sorted { a, b in
            let (x, y) = (firsts[a], firsts[b])
            return x.order == y.order ? (x.position == y.position ? a < b : x.position < y.position) : x.order < y.order
        }
        for i in order { sorted[Int(pairs.keys[i] >> 32)].append(UInt32(truncatingIfNeeded: pairs.keys[i])) }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.dynamic)
        for g in groups {
            let column = values.column(sorted[Int(g)].prefix(size))
            b.append(json: "[" + (0..<column.count).map { Cells.json(column, $0) }.joined(separator: ",") + "]")
        }
        return [b.finish()]
    }
}

/// `make_bag`: the properties of all bags in one; a key that comes again keeps the value of its first row.
final class BagAccumulator: Accumulator {
    private var store = ElementStore()
    private var groupCount = 0
    private let size: Int
    private let limits: EvaluationLimits

    init(_ setup: AggregateSetup) throws {
        size = try collectionSize(setup, at: 1)
        limits = setup.limits
    }

    var bytes: Int { store.bytes }
    func resize(_ groups: Int) { groupCount = max(groupCount, groups) }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        for i in 0..<input.rows {
            guard case .dynamic(.object(let members)) = column.value(i) else { continue }
            try store.append(JSONText.compact(.object(members)), group: input.groups[i], order: input.order[i])
        }
        try limits.check(held: store.groups.count, by: "make_bag")
    }

    func merge(_ other: any Accumulator, into groups: ContiguousArray<UInt32>) throws {
        guard let other = other as? BagAccumulator else { throw EvaluationError.unlikeStates }
        try store.append(other.store, into: groups)
    }

    func seal() throws { store.seal(groupCount: groupCount) }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.dynamic)
        for g in groups {
            var members: [Dynamic.Member] = []
            var seen = Set<TextKey>()
            for i in store.elements(g) {
                guard case .object(let more)? = JSONText.parse(store.texts[Int(i)]) else { continue }
                for m in more where members.count < size && seen.insert(TextKey(m.key)).inserted { members.append(m) }
            }
            b.append(.dynamic(.object(members)))
        }
        return [b.finish()]
    }
}
