import Columnar
import KQL

/// `evaluate` plugins and operators that the binder hands over by name.
extension Execution {
    func custom(
        _ plan: Plan, _ name: String, _ inputs: [Plan], _ arguments: [BoundExpr], _ options: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        if name == "partition-key" {
            guard let type = plan.columns.first?.type, let value = options["id"]?.integer.flatMap({ partitionKeys[$0] }) else {
                throw EvaluationError("a partition's key is used outside of it", at: plan.range)
            }
            var b = ColumnBuilder(type)
            b.append(value)
            return try emit(Batch(columns: [b.finish()], count: 1))
        }
        guard let input = inputs.first else { throw EvaluationError("\(name) has no input", at: plan.range) }
        switch name {
        case "bag_unpack": return try bagUnpack(plan, input, arguments, options, environment, emit)
        case "pivot": return try pivot(plan, input, arguments, options, environment, emit)
        case "make-series": return try makeSeries(plan, input, arguments, options, environment, emit)
        case "patterns": return try patterns(plan, input, arguments, options, environment, emit)
        case "sequence_detect": return try sequences(plan, input, arguments, options, environment, emit)
        case "funnel_completion": return try funnelCompletion(plan, input, arguments, options, environment, emit)
        case "narrow": return try narrow(plan, input, environment, emit)
        case "parse-kv": return try parseKeyValues(plan, input, arguments, options, environment, emit)
        case "ipv4_lookup", "ipv6_lookup":
            guard inputs.count == 2, arguments.count >= 2, arguments.count.isMultiple(of: 2) else {
                throw EvaluationError("\(name) needs a table and two keys", at: plan.range)
            }
            return try addressLookup(plan, name, input, inputs[1], arguments, options, environment, emit)
        case "partition":
            guard inputs.count == 2, let key = arguments.first else { throw EvaluationError("partition needs a key", at: plan.range) }
            if let id = options["id"]?.integer { return try queryPartition(plan, input, inputs[1], key, id, environment, emit) }
            return try partition(plan, input, inputs[1], key, environment, emit)
        case "graph-match", "graph-shortest-paths", "graph-nodes", "graph-edges", "graph-partition":
            return try graphRows(plan, name, inputs, arguments, options, environment, emit)
        case "reduce": return try reduce(plan, input, arguments, options, environment, emit)
        case "scan": return try scan(plan, input, arguments, options, environment, emit)
        default: throw EvaluationError("\(name) cannot be executed yet", at: plan.range)
        }
    }

    // MARK: bag_unpack

    /// Columns of the input keep their cells; the others are properties of the bag (behind the prefix), cast to their types.
    private func bagUnpack(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard let argument = arguments.first else { throw EvaluationError("bag_unpack needs a bag", at: plan.range) }
        let bag = try compiled(argument, of: plan, over: input.columns)
        var prefix = ""
        if case .string(let p)? = settings["prefix"] { prefix = p }
        let sources = plan.columns.map { c in input.columns.firstIndex { $0.id == c.id } }
        return try run(input, environment) { batch in
            let bags = try bag.evaluate(batch, context).materialized(rows: batch.count)
            var builders = plan.columns.map { ColumnBuilder($0.type) }
            let open = plan.columns.indices.filter { sources[$0] == nil }
            for row in 0..<batch.count {
                let value = bags.value(row)
                for c in open {
                    let column = plan.columns[c]
                    guard case .dynamic(let d) = value, column.name.hasPrefix(prefix),
                        let property = d[String(column.name.dropFirst(prefix.count))]
                    else {
                        builders[c].appendNull()
                        continue
                    }
                    let cell =
                        column.type == .dynamic ? Execution.cast(property, to: .dynamic) : convertValue(.dynamic(property), to: column.type)
                    builders[c].append(cell)
                }
            }
            let columns = plan.columns.indices.map { c -> Column in
                if let p = sources[c] { return batch.columns[p] }
                return builders[c].finish()
            }
            return try emit(Batch(columns: columns, count: batch.count, keys: batch.keys, lineage: batch.lineage))
        }
    }

    // MARK: pivot

    /// One row a group, one column a declared value of the key; a cell without rows has the aggregate of no rows.
    private func pivot(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let ready = try arguments.map { try compiled($0, of: plan, over: input.columns) }
        guard let key = ready.first, case .string(let name)? = settings["aggregate"] else {
            throw EvaluationError("pivot needs a column", at: plan.range)
        }
        let taken = Int(settings["aggregateArguments"]?.integer ?? 0)
        guard taken >= 0, 1 + taken <= ready.count else { throw EvaluationError("pivot lacks the arguments of \(name)", at: plan.range) }
        let aggregateArguments = Array(arguments[1..<(1 + taken)])
        let groupExprs = Array(ready[(1 + taken)...])
        let groupIDs = arguments[(1 + taken)...].map { e -> ColumnID? in if case .column(let id) = e.kind { id } else { nil } }
        let open = plan.columns.filter { c in !groupIDs.contains(c.id) }
        let output = open.first ?? BoundColumn(id: -1, name: name, type: .long)
        let state = try AggregateRegistry.accumulator(
            BoundAggregate(name: name, arguments: aggregateArguments, outputs: [output]),
            constants: ready[1..<(1 + taken)].map(\.constant), limits: limits)
        let slots = Dictionary(open.enumerated().map { ($0.element.name, $0.offset) }) { a, _ in a }

        var table = GroupTable(types: arguments[(1 + taken)...].map(\.type))
        var rows = GroupRows(hasKeys: options.keys)
        var cells = IntTable()
        let positional = !options.keys || isOrdered(input)
        var start = 0
        try run(input, environment) { batch in
            let n = batch.count
            let order = orders(batch, positional: positional, start: start)
            start += n
            var ids = ContiguousArray<UInt32>(repeating: 0, count: n)
            if !groupExprs.isEmpty { ids = try table.intern(try groupExprs.map { try $0.evaluate(batch, context).materialized(rows: n) }) }
            rows.resize(groupExprs.isEmpty ? 1 : table.count)
            rows.add(ids, order, batch)
            let keys = castDatum(try key.evaluate(batch, context), to: .string, rows: n).materialized(rows: n)
            var chosen = ContiguousArray<Int32>()
            var groups = ContiguousArray<UInt32>()
            for i in 0..<n {
                guard case .string(let text) = keys.value(i), let slot = slots[text] else { continue }
                chosen.append(Int32(truncatingIfNeeded: i))
                groups.append(cells.intern(UInt64(ids[i]) << 32 | UInt64(slot)))
            }
            state.resize(cells.count)
            let part = batch.gather(chosen)
            let values = try ready[1..<(1 + taken)].map { try $0.evaluate(part, context) }
            try state.add(
                values, AggregateInput(rows: chosen.count, groups: groups, order: ContiguousArray(chosen.map { order[Int($0)] })))
            try limits.check(held: cells.count, by: "pivot")
            return true
        }
        let empty = UInt32(truncatingIfNeeded: cells.count)
        state.resize(cells.count + 1)
        try state.seal()
        let sequence = rows.sequence
        let keyColumns = groupExprs.isEmpty ? [] : table.columns(sequence)
        let columns = try plan.columns.map { c -> Column in
            if let k = groupIDs.firstIndex(where: { $0 == c.id }) { return keyColumns[k] }
            let slot = UInt64(slots[c.name] ?? 0)
            let ids = ContiguousArray(sequence.map { cells.find(UInt64($0) << 32 | slot) ?? empty })
            let made = try state.finish(ids).first ?? Column.nulls(c.type, count: ids.count)
            return castDatum(.column(made), to: c.type, rows: ids.count).materialized(rows: ids.count)
        }
        return try emit(rows.batch(columns, sequence))
    }

    // MARK: narrow

    private func narrow(_ plan: Plan, _ input: Plan, _ environment: Environment, _ emit: (Batch) throws -> Bool) throws -> Bool {
        var number = 0
        return try run(input, environment) { batch in
            var (rows, names, values) = (ColumnBuilder(.long), ColumnBuilder(.string), ColumnBuilder(.string))
            var keys = ContiguousArray<RowKey>()
            var lineage = ContiguousArray<Lineage>()
            let texts = batch.columns.map { castDatum(.column($0), to: .string, rows: batch.count).materialized(rows: batch.count) }
            for row in 0..<batch.count {
                for (c, text) in texts.enumerated() {
                    rows.append(Int64(number))
                    names.append(input.columns[c].name)
                    values.append(text, row: row)
                    if let k = batch.keys { keys.append(k[row].expanded(c)) }
                    if let l = batch.lineage { lineage.append(l[row]) }
                }
                number += 1
            }
            let columns = [rows.finish(), names.finish(), values.finish()]
            return try emit(
                Batch(
                    columns: columns, count: columns[0].count, keys: batch.keys == nil ? nil : keys,
                    lineage: batch.lineage == nil ? nil : lineage))
        }
    }

    // MARK: partition

    /// The body over the rows of each key in turn, keys in row order.
    private func partition(
        _ plan: Plan, _ input: Plan, _ body: Plan, _ key: BoundExpr, _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let store = try self.store(input, environment, by: "partition")
        let e = try compiled(key, of: plan, over: input.columns)
        var interner = Interner(key.type)
        var ids = ContiguousArray<UInt32>()
        for b in store.batches { ids.append(contentsOf: try interner.intern(try e.evaluate(b, context).materialized(rows: b.count))) }
        var rows = [[Int]](repeating: [], count: interner.count)
        var sequence: [UInt32] = []
        for row in store.ordered(positional: isOrdered(input)) {
            if rows[Int(ids[row])].isEmpty { sequence.append(ids[row]) }
            rows[Int(ids[row])].append(row)
        }
        let names = ownNames(of: body)
        for id in sequence {
            var source: [Batch] = []
            _ = try store.emit(rows[Int(id)], batchRows: options.batchRows) {
                source.append($0)
                return true
            }
            guard try run(body: body, over: source, names: names, emit) else { return false }
        }
        return true
    }

    /// A partition whose body is a query of its own: it runs for each key, in the order of their first rows. Nothing is shared between the
    /// runs, because anything in the body may depend on the key.
    private func queryPartition(
        _ plan: Plan, _ input: Plan, _ body: Plan, _ key: BoundExpr, _ id: Int64, _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let store = try self.store(input, environment, by: "partition")
        let e = try compiled(key, of: plan, over: input.columns)
        var seen: Set<Value> = []
        var total = 0
        for row in store.ordered(positional: isOrdered(input)) {
            let value = try e.evaluate(store.gather([row]), context).materialized(rows: 1).value(0)
            guard seen.insert(value).inserted else { continue }
            let inner = Execution(
                provider: provider, context: context, options: options, partitionKeys: partitionKeys.merging([id: value]) { $1 })
            // The rows of different keys must not have the same keys.
            let more = try inner.run(body, environment) { batch in
                var batch = batch
                if batch.keys != nil { batch.keys = ContiguousArray((total..<(total + batch.count)).lazy.map { .ordinal($0) }) }
                total += batch.count
                return try emit(batch)
            }
            if !more { return false }
        }
        return true
    }
}
