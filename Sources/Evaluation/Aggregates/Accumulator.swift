import Columnar
import KQL

/// The rows of one batch as an aggregate sees them.
struct AggregateInput {
    let rows: Int
    /// The group of each row.
    let groups: ContiguousArray<UInt32>
    /// The order of each row among all rows: ties and lists follow it, so results do not depend on arrival. Empty when no aggregate of
    /// the operator reads it (``Accumulator/readsOrder``).
    let order: ContiguousArray<RowKey>
    /// All rows are of group 0.
    let isSingle: Bool
    /// Above every group.
    let groupLimit: Int

    init(rows: Int, groups: ContiguousArray<UInt32>, order: ContiguousArray<RowKey>, isSingle: Bool = false) {
        self.rows = rows
        self.groups = groups
        self.order = order
        self.isSingle = isSingle
        groupLimit = isSingle ? 1 : groups.limit
    }

    func gather(_ rows: ContiguousArray<Int32>) -> AggregateInput {
        AggregateInput(
            rows: rows.count, groups: ContiguousArray(rows.lazy.map { groups[Int($0)] }),
            order: order.isEmpty ? [] : ContiguousArray(rows.lazy.map { order[Int($0)] }), isSingle: isSingle)
    }
}

/// The state of one aggregate function over all groups.
///
/// Decomposable: the states of disjoint sets of rows merge to the state of their union, whatever the split. Every result is a function of
/// the multiset of (row, order) alone.
protocol Accumulator: AnyObject {
    /// Makes room for groups `0 ..< groups`; never shrinks.
    func resize(_ groups: Int)
    /// Adds the rows of a batch. `arguments` are those of the call, in order.
    func add(_ arguments: [Datum], _ input: AggregateInput) throws
    /// Adds some groups of another state of the same function: its group `from[i]` is `to[i]` here. No group is in `from` twice. `other`
    /// may be this state itself if no group is in both.
    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws
    /// Called once, after the last row.
    func seal() throws
    /// The result columns of the groups given, after ``seal()``.
    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column]
    /// Whether ``AggregateInput/order`` bears on the result.
    var readsOrder: Bool { get }
    /// Memory of the state, roughly; 0 where it is not known.
    var bytes: Int { get }
    /// Values held besides the fixed size of a group: elements of sets and lists.
    var entries: Int { get }
    /// A group takes as much memory whatever its rows, and adding rows reaches no limit of its own.
    var isFixedSize: Bool { get }
    /// A merged group is as large as its parts together: it holds a value for every row.
    var holdsEveryRow: Bool { get }
}

extension Accumulator {
    func seal() throws {}
    var readsOrder: Bool { true }
    var bytes: Int { 0 }
    var entries: Int { 0 }
    var holdsEveryRow: Bool { false }
    var isFixedSize: Bool { false }

    /// Adds another state of the same function, whose group `g` is `groups[g]` here.
    func merge(_ other: any Accumulator, into groups: ContiguousArray<UInt32>) throws {
        try merge(other, ContiguousArray((0..<groups.count).lazy.map { UInt32(truncatingIfNeeded: $0) }), into: groups)
    }
}

/// The items of each group, newest first, where a state keeps items of all groups in one list. Off until it is switched on: states that are
/// merged as a whole need none.
struct GroupChains {
    private let isOn: Bool
    private var heads = ContiguousArray<Int32>()
    private var nexts = ContiguousArray<Int32>()

    init(isOn: Bool) { self.isOn = isOn }

    var bytes: Int { 4 * (heads.count + nexts.count) }

    mutating func resize(_ groups: Int) { if isOn { heads.grow(to: groups, -1) } }

    /// Notes the next item of the list.
    mutating func append(_ group: UInt32) {
        guard isOn else { return }
        nexts.append(heads[Int(group)])
        heads[Int(group)] = Int32(truncatingIfNeeded: nexts.count - 1)
    }

    /// The items of the groups `from`, each with its entry of `to`; `groupOf` gives the group of each of `count` items.
    func items(
        _ from: ContiguousArray<UInt32>, _ to: ContiguousArray<UInt32>, count: Int, groupOf: (Int) -> UInt32
    ) -> [(item: Int, group: UInt32)] {
        var out: [(item: Int, group: UInt32)] = []
        if isOn {
            for (f, t) in zip(from, to) where Int(f) < heads.count {
                let start = out.count
                var i = heads[Int(f)]
                while i >= 0 {
                    out.append((Int(i), t))
                    i = nexts[Int(i)]
                }
                // In the order in which they came.
                out[start...].reverse()
            }
            return out
        }
        var targets = ContiguousArray<Int64>(repeating: -1, count: from.limit)
        for (f, t) in zip(from, to) { targets[Int(f)] = Int64(t) }
        for i in 0..<count {
            let g = Int(groupOf(i))
            if g < targets.count, targets[g] >= 0 { out.append((i, UInt32(truncatingIfNeeded: targets[g]))) }
        }
        return out
    }
}

/// What an aggregate's state is made from.
struct AggregateSetup {
    let name: String
    let argumentTypes: [ScalarType]
    /// The constant arguments.
    let constants: [Value?]
    let outputTypes: [ScalarType]
    let limits: EvaluationLimits
    /// The state stays: groups are added and merged over days, a few at a time.
    var isLasting = false

    func type(_ i: Int) -> ScalarType { i < argumentTypes.count ? argumentTypes[i] : .dynamic }
    func constant(_ i: Int) -> Value? { i < constants.count ? constants[i] : nil }
    func output(_ i: Int = 0) -> ScalarType { i < outputTypes.count ? outputTypes[i] : .dynamic }

    /// Without the argument at a position.
    func removing(_ i: Int) -> AggregateSetup {
        var (types, values) = (argumentTypes, constants)
        if i < types.count { types.remove(at: i) }
        if i < values.count { values.remove(at: i) }
        return AggregateSetup(
            name: name, argumentTypes: types, constants: values, outputTypes: outputTypes, limits: limits, isLasting: isLasting)
    }
}

/// The `...if` form of an aggregate: only rows whose predicate holds reach it.
final class FilteredAccumulator: Accumulator {
    private let base: any Accumulator
    private let predicate: Int

    init(_ base: any Accumulator, predicate: Int) {
        self.base = base
        self.predicate = predicate
    }

    func resize(_ groups: Int) { base.resize(groups) }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard predicate < arguments.count else { throw EvaluationError("an aggregate lacks its predicate") }
        var rest = arguments
        let condition = rest.remove(at: predicate)
        let chosen = Cells.isTrue(condition, rows: input.rows)
        if chosen.isEmpty { return }
        if chosen.isFull { return try base.add(rest, input) }
        let rows = chosen.indices
        let narrowed = rest.map { datum -> Datum in
            if case .column(let c) = datum { return .column(c.gather(rows)) }
            return datum
        }
        try base.add(narrowed, input.gather(rows))
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? FilteredAccumulator else { throw EvaluationError.unlikeStates }
        try base.merge(other.base, from, into: to)
    }

    func seal() throws { try base.seal() }
    var readsOrder: Bool { base.readsOrder }
    var bytes: Int { base.bytes }
    var entries: Int { base.entries }
    var holdsEveryRow: Bool { base.holdsEveryRow }
    var isFixedSize: Bool { base.isFixedSize }
    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] { try base.finish(groups) }
}

extension EvaluationError {
    /// Two aggregate states that do not belong together.
    static let unlikeStates = EvaluationError("states of different aggregates were merged")
}

/// Views of arguments.
enum Cells {
    /// Rows where a condition holds: bool true, or a number that is not zero.
    static func isTrue(_ datum: Datum, rows: Int) -> Bitmap {
        let column = datum.materialized(rows: rows)
        var out: Bitmap
        switch column.data {
        case .bools(let b): out = b
        case .longs(let a): out = Bitmap(a.map { $0 != 0 })
        case .reals(let a): out = Bitmap(a.map { $0 != 0 && !$0.isNaN })
        default: out = Bitmap((0..<rows).map { Cells.flag(column.value($0)) })
        }
        if let v = column.validity { out.formAnd(v) }
        return out
    }

    private static func flag(_ value: Value) -> Bool {
        if case .dynamic(.bool(let b)) = value { return b }
        if case .dynamic(.long(let v)) = value { return v != 0 }
        return false
    }

    /// A number as a double; nil for nulls and for dynamic cells that are no number.
    static func double(_ column: Column, _ row: Int) -> Double? {
        if column.isNull(row) { return nil }
        switch column.data {
        case .longs(let a): return Double(a[row])
        case .reals(let a): return a[row]
        case .bools(let b): return b[row] ? 1 : 0
        case .decimals(let a): return a[row].doubleValue
        case .dynamics:
            if case .dynamic(let d) = column.value(row) {
                if case .long(let v) = d { return Double(v) }
                if case .real(let v) = d { return v }
            }
            return nil
        case .guids, .strings: return nil
        }
    }

    /// The JSON text of a cell that is not null, as `make_list` holds it: times, timespans, guids and decimals become strings.
    static func json(_ column: Column, _ row: Int) -> String {
        switch column.value(row) {
        case .null: return "null"
        case .bool(let v): return v ? "true" : "false"
        case .int(let v): return String(v)
        case .long(let v): return String(v)
        case .real(let v): return JSONText.real(v)
        case .string(let v): return quoted(v)
        case .datetime(let v): return quoted(KustoTime.isoString(v))
        case .timespan(let v): return quoted(KustoTime.timespanString(v))
        case .decimal(let v): return quoted(v.description)
        case .guid(let v): return quoted(guidText(v))
        case .dynamic(let d): return JSONText.compact(d)
        }
    }

    private static func quoted(_ s: String) -> String {
        var out = ""
        JSONText.appendQuoted(s, to: &out)
        return out
    }

    private static func guidText(_ v: UInt128) -> String {
        let hex = String(v, radix: 16)
        let d = String(repeating: "0", count: 32 - hex.utf8.count) + hex
        var out = ""
        for (i, c) in d.enumerated() {
            if i == 8 || i == 12 || i == 16 || i == 20 { out.append("-") }
            out.append(c)
        }
        return out
    }
}
