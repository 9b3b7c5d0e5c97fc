import Columnar
import KQL

/// The elements of lists and bags as they arrive: JSON text by (group, order).
struct ElementStore {
    var groups = ContiguousArray<UInt32>()
    var orders = ContiguousArray<RowKey>()
    var texts = ByteStrings()
    /// Element numbers by group, in order, after ``seal()``.
    private var sorted = ContiguousArray<Int32>()
    private var starts = ContiguousArray<Int32>()

    mutating func append(_ text: String, group: UInt32, order: RowKey) throws {
        guard texts.bytes.count + text.utf8.count <= Int(UInt32.max) else {
            throw EvaluationError("the elements of one aggregate take more than 4 GiB")
        }
        groups.append(group)
        orders.append(order)
        texts.append(text)
    }

    /// The elements of the groups `from`, under `to`.
    func items(_ from: ContiguousArray<UInt32>, _ to: ContiguousArray<UInt32>) -> [(item: Int, group: UInt32)] {
        GroupChains(isOn: false).items(from, to, count: groups.count) { groups[$0] }
    }

    mutating func append(_ other: ElementStore, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        for (i, g) in other.items(from, to) { try append(other.texts[i], group: g, order: other.orders[i]) }
    }

    var bytes: Int { groups.count * 40 + texts.bytes.count }

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

/// An accumulator that keeps every value, as text in row order, until it finishes.
protocol ElementAccumulator: Accumulator {
    var store: ElementStore { get set }
    var groupCount: Int { get set }
}

extension ElementAccumulator {
    var entries: Int { store.groups.count }
    var bytes: Int { store.bytes }
    var holdsEveryRow: Bool { true }
    func resize(_ groups: Int) { groupCount = max(groupCount, groups) }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? Self else { throw EvaluationError.unlikeStates }
        try store.append(other.store, from, into: to)
    }

    func seal() throws { store.seal(groupCount: groupCount) }
}

/// The most elements of a made list or set, by default and at most.
let maximumCollectionSize: Int64 = 1_048_576

func collectionSize(_ setup: AggregateSetup, at position: Int) throws -> Int {
    guard let value = setup.constant(position) else { return Int(maximumCollectionSize) }
    guard let n = value.integer, n > 0 else { throw EvaluationError("\(setup.name): the maximum size must be a positive integer") }
    return Int(min(n, maximumCollectionSize))
}

/// `make_list`, `make_list_with_nulls`: the values in row order.
final class ListAccumulator: ElementAccumulator {
    var store = ElementStore()
    var groupCount = 0
    private let keepsNulls: Bool
    private let size: Int
    private let limits: EvaluationLimits

    init(_ setup: AggregateSetup, keepsNulls: Bool) throws {
        self.keepsNulls = keepsNulls
        size = try collectionSize(setup, at: 1)
        limits = setup.limits
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        for i in 0..<input.rows {
            if !keepsNulls, column.isNull(i) { continue }
            try store.append(Cells.json(column, i), group: input.groups[i], order: input.order[i])
        }
        try limits.check(held: store.groups.count, by: "make_list")
    }

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
    private var chains: GroupChains

    init(_ setup: AggregateSetup) throws {
        type = setup.type(0)
        values = Interner(type)
        size = try collectionSize(setup, at: 1)
        limits = setup.limits
        chains = GroupChains(isOn: setup.isLasting)
    }

    var entries: Int { pairs.count }
    var bytes: Int { values.memory + pairs.bytes + firsts.count * 40 + chains.bytes }

    func resize(_ groups: Int) {
        groupCount = max(groupCount, groups)
        chains.resize(groups)
    }

    private func note(_ group: UInt32, _ value: UInt32, _ order: RowKey, _ position: Int32) {
        let id = Int(pairs.intern(UInt64(group) << 32 | UInt64(value)))
        if id == firsts.count {
            firsts.append((order, position))
            chains.append(group)
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

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? SetAccumulator, other.type == type else { throw EvaluationError.unlikeStates }
        let items = other.chains.items(from, to, count: other.pairs.count) { UInt32(truncatingIfNeeded: other.pairs.key($0) >> 32) }
        let ids = ContiguousArray(items.lazy.map { UInt32(truncatingIfNeeded: other.pairs.key($0.item)) })
        let mine = other === self ? ids : try values.intern(other.values.column(ids))
        for (n, item) in items.enumerated() {
            let first = other.firsts[item.item]
            note(item.group, mine[n], first.order, first.position)
        }
    }

    func seal() throws {
        sorted = ContiguousArray(repeating: [], count: groupCount)
        let order = (0..<pairs.count).sorted { a, b in
            let (x, y) = (firsts[a], firsts[b])
            return x.order == y.order ? (x.position == y.position ? a < b : x.position < y.position) : x.order < y.order
        }
        for i in order {
            let pair = pairs.key(i)
            sorted[Int(pair >> 32)].append(UInt32(truncatingIfNeeded: pair))
        }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.dynamic)
        // One column of all elements: making a column costs the dictionary of all values.
        let column = values.column(ContiguousArray(groups.lazy.map { self.sorted[Int($0)].prefix(self.size) }.joined()))
        var at = 0
        for g in groups {
            let end = at + min(size, sorted[Int(g)].count)
            var out = "["
            for i in at..<end {
                if i > at { out += "," }
                out += Cells.json(column, i)
            }
            b.append(json: out + "]")
            at = end
        }
        return [b.finish()]
    }
}

/// `make_bag`: the properties of all bags in one; a key that comes again keeps the value of its first row.
final class BagAccumulator: ElementAccumulator {
    var store = ElementStore()
    var groupCount = 0
    private let size: Int
    private let limits: EvaluationLimits

    init(_ setup: AggregateSetup) throws {
        size = try collectionSize(setup, at: 1)
        limits = setup.limits
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        for i in 0..<input.rows {
            guard case .dynamic(.object(let members)) = column.value(i) else { continue }
            try store.append(JSONText.compact(.object(members)), group: input.groups[i], order: input.order[i])
        }
        try limits.check(held: store.groups.count, by: "make_bag")
    }

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
