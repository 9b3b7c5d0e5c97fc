import Columnar
import KQL

extension Execution {
    /// Hash aggregation. A group's row key is the least of its rows; groups come out in that order.
    func summarize(
        _ plan: Plan, _ input: Plan, _ keys: [BoundExpr], _ aggregates: [BoundAggregate], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let keyExprs = try keys.map { try compiled($0, of: plan, over: input.columns) }
        let argumentExprs = try aggregates.map { a in try a.arguments.map { try compiled($0, of: plan, over: input.columns) } }
        let states = try aggregates.enumerated().map { i, a in
            try AggregateRegistry.accumulator(a, constants: argumentExprs[i].map(\.constant), limits: limits)
        }
        let positional = !options.keys || isOrdered(input)
        var table = GroupTable(types: keys.map(\.type))
        var groups = GroupRows(hasKeys: options.keys)
        if keys.isEmpty {
            groups.resize(1)
            for s in states { s.resize(1) }
        }
        var start = 0
        try run(input, environment) { batch in
            let n = batch.count
            if n == 0 { return true }
            let order = orders(batch, positional: positional, start: start)
            start += n
            var ids = ContiguousArray<UInt32>(repeating: 0, count: n)
            if !keys.isEmpty {
                ids = try table.intern(try keyExprs.map { try $0.evaluate(batch, context).materialized(rows: n) })
                try limits.check(held: table.count, by: "summarize")
                groups.resize(table.count)
                for s in states { s.resize(table.count) }
            }
            groups.add(ids, order, batch)
            let aggregateInput = AggregateInput(rows: n, groups: ids, order: order)
            for (i, s) in states.enumerated() { try s.add(try argumentExprs[i].map { try $0.evaluate(batch, context) }, aggregateInput) }
            return true
        }
        for s in states { try s.seal() }
        let sequence = groups.sequence
        var at = 0
        while at < sequence.count {
            let part = ContiguousArray(sequence[at..<min(sequence.count, at + options.batchRows)])
            var columns = keys.isEmpty ? [] : table.columns(part)
            for s in states { columns += try s.finish(part) }
            guard columns.count == plan.columns.count else {
                throw EvaluationError("summarize made \(columns.count) columns for \(plan.columns.count)", at: plan.range)
            }
            guard try emit(groups.batch(columns, part)) else { return false }
            at += part.count
        }
        return true
    }
}

/// What is known of each group besides its aggregates: order, row key, lineage.
struct GroupRows {
    private let hasKeys: Bool
    private var count = 0
    private var orders = ContiguousArray<RowKey?>()
    private var keys = ContiguousArray<RowKey?>()
    private var lineage = ContiguousArray<Lineage?>()
    private var anyLineage = false

    init(hasKeys: Bool) { self.hasKeys = hasKeys }

    mutating func resize(_ n: Int) {
        count = max(count, n)
        orders.grow(to: n, nil)
        if hasKeys { keys.grow(to: n, nil) }
    }

    mutating func add(_ groups: ContiguousArray<UInt32>, _ order: ContiguousArray<RowKey>, _ batch: Batch) {
        for i in groups.indices {
            let g = Int(groups[i])
            if let known = orders[g], known <= order[i] { continue }
            orders[g] = order[i]
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
            for i in groups.indices {
                let g = Int(groups[i])
                // Taken out while it changes, so that its sample is not copied.
                guard var l = lineage[g] else {
                    lineage[g] = rows[i]
                    continue
                }
                lineage[g] = nil
                l.merge(rows[i])
                lineage[g] = l
            }
        }
    }

    /// Groups in row order; equal orders (rows of several inputs) as they were first seen.
    var sequence: ContiguousArray<UInt32> {
        let all = ContiguousArray((0..<count).lazy.map { UInt32(truncatingIfNeeded: $0) })
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
