import Columnar
import KQL

extension Execution {
    /// Hash aggregation. A group's row key is the least of its rows; groups come out in that order, or, without keys, as first seen.
    func summarize(
        _ plan: Plan, _ input: Plan, _ keys: [BoundExpr], _ aggregates: [BoundAggregate], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let needed = (keys + aggregates.flatMap(\.arguments)).reduce(into: Set<ColumnID>()) { $0.formUnion(PlanRewriter.columns(of: $1)) }
        let work = AggregationPlan(plan: plan, input: input, keys: keys, aggregates: aggregates)
        if let parts = try partitions(of: input, environment), let goesOn = try summarize(work, parts, needed: needed, emit) {
            return goesOn
        }
        let aggregation = try Aggregation(self, work, mayPutAside: true)
        try run(input, environment, needed: needed) { try aggregation.add($0) }
        return try aggregation.finish(emit)
    }

    /// The same over parts of the rows on threads of their own; nil, before anything was handed over, when the groups do not fit: they are
    /// made once more, on one thread that puts rows aside.
    private func summarize(
        _ work: AggregationPlan, _ parts: [Environment], needed: Set<ColumnID>, _ emit: (Batch) throws -> Bool
    ) throws -> Bool? {
        let divisions = try GroupDivisions(self, work)
        let made = try inParallel(parts) { environment -> AggregationPart in
            let part = try AggregationPart(self, work, divisions, environment.part ?? ScanPart(index: 0, count: 1))
            try run(work.input, environment, needed: needed) { try part.add($0) }
            if !part.isFull { _ = try part.flush() }
            return part
        }
        for part in made { try part.finish() }
        if made.contains(where: \.isFull) { return nil }
        if let divisions, divisions.isDivided { return try divisions.finish(rows: made.map(\.rows), parts, emit) }
        guard let first = made.first?.whole else { return nil }
        for other in made.dropFirst() { if let whole = other.whole { try first.merge(whole) } }
        return try first.finish(emit)
    }
}

/// What a `summarize` computes.
struct AggregationPlan {
    let plan: Plan
    let input: Plan
    let keys: [BoundExpr]
    let aggregates: [BoundAggregate]
}

/// The groups of one `summarize`, or of a part of its rows.
///
/// When the groups take more memory than allowed, no new ones are made: rows of other groups are put aside on disk, divided by key, and
/// each division is aggregated by itself at the end. Groups then come out division by division.
final class Aggregation {
    private let execution: Execution
    private let work: AggregationPlan
    private let level: Int
    private let mayPutAside: Bool
    /// The groups take all memory that they may.
    private(set) var isFull = false
    private var aside: KeyPartitions?
    private let keyExprs: [CompiledExpression]
    private let argumentExprs: [[CompiledExpression]]
    private var states: [any Accumulator]
    private let positional: Bool
    private let readsOrder: Bool
    private let isSingle: Bool
    private var table: GroupTable
    private var groups: GroupRows
    private var start = 0
    /// The groups of a batch's rows where all are of one.
    private var zeros = ContiguousArray<UInt32>()

    /// `level`: how often the rows were divided before.
    init(_ execution: Execution, _ work: AggregationPlan, mayPutAside: Bool, level: Int = 0) throws {
        let (plan, input, keys, aggregates) = (work.plan, work.input, work.keys, work.aggregates)
        self.execution = execution
        self.work = work
        self.mayPutAside = mayPutAside
        self.level = level
        keyExprs = try keys.map { try execution.compiled($0, of: plan, over: input.columns) }
        let arguments = try aggregates.map { a in try a.arguments.map { try execution.compiled($0, of: plan, over: input.columns) } }
        argumentExprs = arguments
        let made = try aggregates.enumerated().map { i, a in
            try AggregateRegistry.accumulator(a, constants: arguments[i].map(\.constant), limits: execution.limits)
        }
        states = made
        positional = !execution.options.keys || execution.isOrdered(input)
        readsOrder = made.contains { $0.readsOrder }
        isSingle = keys.isEmpty
        table = GroupTable(types: keys.map(\.type))
        groups = GroupRows(hasKeys: execution.options.keys, isPositional: positional)
        if isSingle { resize(1) }
    }

    var groupCount: Int { groups.count }

    private func resize(_ n: Int) {
        groups.resize(n)
        for s in states { s.resize(n) }
    }

    /// Adds the rows of a batch; always wants more.
    func add(_ batch: Batch) throws -> Bool {
        let n = batch.count
        if n == 0 { return true }
        let order = readsOrder || !positional ? execution.orders(batch, positional: positional, start: start) : []
        start += n
        if isSingle {
            if zeros.count != n { zeros = ContiguousArray(repeating: 0, count: n) }
            try add(batch, zeros, order)
            return true
        }
        let keys = try keyExprs.map { try $0.evaluate(batch, execution.context).materialized(rows: n) }
        if let aside {
            try addKnown(batch, keys, order, aside)
        } else {
            try addAll(batch, keys, order)
        }
        return true
    }

    private func addAll(_ batch: Batch, _ keys: [Column], _ order: ContiguousArray<RowKey>) throws {
        let ids = try table.intern(keys)
        try execution.limits.check(held: table.count, by: "summarize")
        resize(table.count)
        try add(batch, ids, order)
        if bytes > execution.limits.heldBytes, batch.lineage == nil, level < KeyPartitions.mostLevels {
            isFull = true
            if mayPutAside { aside = KeyPartitions(level: level, folder: execution.limits.folder) }
        } else if aside == nil {
            try execution.limits.check(bytes: bytes, by: "summarize")
        }
    }

    /// Adds the rows of known groups, and puts the others aside with their place in the order.
    private func addKnown(_ batch: Batch, _ keys: [Column], _ order: ContiguousArray<RowKey>, _ aside: KeyPartitions) throws {
        let found = table.find(keys)
        var known = ContiguousArray<Int32>()
        var unknown = ContiguousArray<Int32>()
        for i in found.indices {
            if found[i] >= 0 { known.append(Int32(truncatingIfNeeded: i)) } else { unknown.append(Int32(truncatingIfNeeded: i)) }
        }
        func chosen(_ rows: ContiguousArray<Int32>) -> ContiguousArray<RowKey> {
            order.isEmpty ? [] : ContiguousArray(rows.lazy.map { order[Int($0)] })
        }
        if !known.isEmpty {
            try add(batch.gather(known), ContiguousArray(known.lazy.map { UInt32(truncatingIfNeeded: found[Int($0)]) }), chosen(known))
        }
        if !unknown.isEmpty {
            // The order, where it is not that of the keys, travels in columns of its own.
            var rows = batch.gather(unknown)
            let orders = chosen(unknown)
            let places = ContiguousArray(unknown.indices.lazy.map { $0 < orders.count ? Int64(bitPattern: orders[$0].hashLow) : 0 })
            rows.columns.append(Column(.long, .longs(places)))
            try aside.add(rows, keys: keys.map { $0.gather(unknown) })
        }
    }

    /// Adds rows that were put aside; `places` are their places in the order if that is positional.
    private func addAside(_ rows: Batch) throws {
        var batch = rows
        guard let last = batch.columns.popLast(), case .longs(let places) = last.data else { return }
        let order: ContiguousArray<RowKey>
        if !positional, let keys = batch.keys {
            order = keys
        } else {
            order = readsOrder || !positional ? ContiguousArray(places.lazy.map { .ordinal(Int($0)) }) : []
        }
        let keys = try keyExprs.map { try $0.evaluate(batch, execution.context).materialized(rows: batch.count) }
        if let aside { try addKnown(batch, keys, order, aside) } else { try addAll(batch, keys, order) }
    }

    /// Memory of the groups, roughly.
    private var bytes: Int {
        states.reduce(table.bytes + groups.count * (execution.options.keys ? 80 : 8)) { $0 + max($1.bytes, 16 * groups.count) }
    }

    private func add(_ batch: Batch, _ ids: ContiguousArray<UInt32>, _ order: ContiguousArray<RowKey>) throws {
        let n = batch.count
        let context = execution.context
        groups.add(ids, order, batch)
        let input = AggregateInput(rows: n, groups: ids, order: order, isSingle: isSingle)
        for (i, s) in states.enumerated() { try s.add(try argumentExprs[i].map { try $0.evaluate(batch, context) }, input) }
    }

    /// Adds the groups of another part, whose rows come behind those of this one.
    func merge(_ other: Aggregation) throws {
        let count = other.groups.count
        if count == 0 { return }
        var map = ContiguousArray<UInt32>(repeating: 0, count: count)
        if !isSingle {
            let all = ContiguousArray((0..<count).lazy.map { UInt32(truncatingIfNeeded: $0) })
            map = try table.intern(other.table.columns(all))
            try execution.limits.check(held: table.count, by: "summarize")
            resize(table.count)
        }
        groups.merge(other.groups, into: map)
        for (mine, theirs) in zip(states, other.states) { try mine.merge(theirs, into: map) }
        start += other.start
    }

    func finish(_ emit: (Batch) throws -> Bool) throws -> Bool {
        for s in states { try s.seal() }
        let sequence = groups.sequence
        let batchRows = execution.options.batchRows
        var at = 0
        while at < sequence.count {
            let part = ContiguousArray(sequence[at..<min(sequence.count, at + batchRows)])
            var columns = isSingle ? [] : table.columns(part)
            for s in states { columns += try s.finish(part) }
            guard columns.count == work.plan.columns.count else {
                throw EvaluationError("summarize made \(columns.count) columns for \(work.plan.columns.count)", at: work.plan.range)
            }
            guard try emit(groups.batch(columns, part)) else { return false }
            at += part.count
        }
        return try finishAside(emit)
    }

    /// The groups of the rows that were put aside, a division at a time.
    private func finishAside(_ emit: (Batch) throws -> Bool) throws -> Bool {
        guard let aside else { return true }
        // What was handed over makes room for the next.
        table = GroupTable(types: [])
        groups = GroupRows(hasKeys: false)
        states = []
        let types = work.input.columns.map(\.type) + [.long]
        for part in 0..<KeyPartitions.count {
            guard let reader = try aside.reader(part, types) else { continue }
            let inner = try Aggregation(execution, work, mayPutAside: true, level: level + 1)
            while let rows = try reader.next() { try inner.addAside(rows) }
            if try !inner.finish(emit) { return false }
            aside.drop(part)
        }
        return true
    }
}

/// What is known of each group besides its aggregates: order, row key, lineage.
struct GroupRows {
    private let hasKeys: Bool
    /// Groups are in the order of their first rows, which is that of their numbers (``GroupTable``), not in that of keys.
    private let isPositional: Bool
    private(set) var count = 0
    private var orders = ContiguousArray<RowKey?>()
    private var keys = ContiguousArray<RowKey?>()
    private var lineage = ContiguousArray<Lineage?>()
    private var anyLineage = false

    init(hasKeys: Bool, isPositional: Bool = false) {
        self.hasKeys = hasKeys
        self.isPositional = isPositional
    }

    mutating func resize(_ n: Int) {
        count = max(count, n)
        if !isPositional { orders.grow(to: n, nil) }
        if hasKeys { keys.grow(to: n, nil) }
    }

    /// `order` may be empty if positional.
    mutating func add(_ groups: ContiguousArray<UInt32>, _ order: ContiguousArray<RowKey>, _ batch: Batch) {
        if !isPositional {
            for i in groups.indices {
                let g = Int(groups[i])
                if let known = orders[g], known <= order[i] { continue }
                orders[g] = order[i]
            }
        }
        guard hasKeys else { return }
        if let rowKeys = batch.keys {
            for i in groups.indices {
                let g = Int(groups[i])
                if let known = keys[g], known <= rowKeys[i] { continue }
                keys[g] = rowKeys[i]
            }
        }
        if let rows = batch.lineage {
            anyLineage = true
            lineage.grow(to: count, nil)
            for i in groups.indices { add(rows[i], Int(groups[i])) }
        }
    }

    private mutating func add(_ other: Lineage, _ g: Int) {
        // Taken out while it changes, so that its sample is not copied.
        guard var l = lineage[g] else {
            lineage[g] = other
            return
        }
        lineage[g] = nil
        l.merge(other)
        lineage[g] = l
    }

    /// Adds another part's groups, group `g` of which is `map[g]` here.
    mutating func merge(_ other: GroupRows, into map: ContiguousArray<UInt32>) {
        if other.anyLineage {
            anyLineage = true
            lineage.grow(to: count, nil)
        }
        for from in 0..<other.count {
            let g = Int(map[from])
            if !isPositional, let order = other.orders[from], orders[g].map({ order < $0 }) ?? true {
                orders[g] = order
            }
            if hasKeys, let key = other.keys[from], keys[g].map({ key < $0 }) ?? true { keys[g] = key }
            if other.anyLineage, from < other.lineage.count, let l = other.lineage[from] { add(l, g) }
        }
    }

    /// Groups in row order; equal orders (rows of several inputs) as they were first seen.
    var sequence: ContiguousArray<UInt32> {
        let all = ContiguousArray((0..<count).lazy.map { UInt32(truncatingIfNeeded: $0) })
        if isPositional { return all }
        func key(_ g: UInt32) -> RowKey { orders[Int(g)] ?? .ordinal(0) }
        if zip(all, all.dropFirst()).allSatisfy({ key($0) <= key($1) }) { return all }
        return ContiguousArray(
            all.sorted { a, b in
                let (x, y) = (key(a), key(b))
                return x == y ? a < b : x < y
            })
    }

    func batch(_ columns: [Column], _ part: ContiguousArray<UInt32>) -> Batch {
        func key(_ g: UInt32) -> RowKey { keys[Int(g)] ?? .ordinal(Int(g)) }
        return Batch(
            columns: columns, count: part.count, keys: hasKeys ? ContiguousArray(part.map(key)) : nil,
            lineage: anyLineage
                ? ContiguousArray(part.map { g in (Int(g) < lineage.count ? lineage[Int(g)] : nil) ?? .none }) : nil)
    }
}
