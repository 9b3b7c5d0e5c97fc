import Columnar
import KQL

/// `make-graph` and the operators over graphs. Their plans are described where the binder makes them (`Binder+Graphs.swift`).
extension Execution {
    /// The graph of a plan whose rows are not rows.
    func graph(_ plan: Plan, _ environment: Environment) throws -> Graph {
        switch plan.kind {
        case .shared(let s):
            return try sharedGraph(s) { try graph(s.plan, Environment()) }
        case .subquerySource:
            guard let graph = environment.graph else { throw EvaluationError("a sub-query has no graph to run over", at: plan.range) }
            return graph
        case .custom("make-graph", let inputs, let arguments, let settings):
            return try makeGraph(plan, inputs, arguments, settings, environment)
        case .custom("graph-mark-components", let inputs, _, let settings):
            guard let input = inputs.first else { throw EvaluationError("graph-mark-components has no graph", at: plan.range) }
            let graph = try graph(input, environment)
            let strong = settings["strong"] == .bool(true)
            return graph.adding(Column(.long, .longs(strong ? graph.strongComponents() : graph.weakComponents())))
        default: throw EvaluationError("this operator gives no graph", at: plan.range)
        }
    }

    /// All rows of a plan as one batch, in row order.
    private func whole(_ plan: Plan, _ environment: Environment) throws -> Batch {
        let store = try self.store(plan, environment, by: "make-graph")
        guard store.count <= Int(Int32.max) else {
            throw EvaluationError("a graph has more than \(Int32.max) nodes or edges", at: plan.range)
        }
        return store.gather(store.ordered(positional: isOrdered(plan)))
    }

    private func makeGraph(
        _ plan: Plan, _ inputs: [Plan], _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment
    ) throws -> Graph {
        let tables = inputs.count - 1
        let partitioned = settings["partitioned"] == .bool(true)
        guard tables >= 0, arguments.count == (tables + 2) + (partitioned ? tables + 1 : 0), let type = arguments.first?.type else {
            throw EvaluationError("make-graph lacks its columns", at: plan.range)
        }
        let batches = try inputs.map { try whole($0, environment) }
        func cells(_ argument: Int, _ table: Int) throws -> Column {
            try compiled(arguments[argument], of: plan, over: inputs[table].columns, side: table)
                .evaluate(batches[table], context).materialized(rows: batches[table].count)
        }
        // Identifiers in the order of the nodes: the tables' rows, then each edge's source and target.
        var ids = ColumnBuilder(type)
        var keys = partitioned ? ColumnBuilder(arguments[tables + 2].type) : nil
        for t in 0..<tables {
            ids.append(contentsOf: try cells(t + 2, t + 1))
            if partitioned { keys?.append(contentsOf: try cells(tables + 3 + t, t + 1)) }
        }
        let edges = batches[0]
        let (from, to) = (try cells(0, 0), try cells(1, 0))
        let edgeKeys = partitioned ? try cells(tables + 2, 0) : nil
        for i in 0..<edges.count {
            ids.append(from, row: i)
            ids.append(to, row: i)
            if let edgeKeys {
                keys?.append(edgeKeys, row: i)
                keys?.append(edgeKeys, row: i)
            }
        }
        let idColumn = ids.finish()
        let keyColumn = keys?.finish()
        var table = GroupTable(types: (keyColumn.map { [$0.type] } ?? []) + [type])
        let numbers = try table.intern((keyColumn.map { [$0] } ?? []) + [idColumn])
        let count = table.count
        try limits.check(held: count, by: "make-graph")

        var rows: [ContiguousArray<Int32>] = []
        var at = 0
        for t in 0..<tables {
            var first = ContiguousArray<Int32>(repeating: -1, count: count)
            for i in 0..<batches[t + 1].count {
                let n = Int(numbers[at + i])
                if first[n] < 0 { first[n] = Int32(truncatingIfNeeded: i) }
            }
            at += batches[t + 1].count
            rows.append(first)
        }
        let all = ContiguousArray((0..<UInt32(truncatingIfNeeded: count)))
        let groups = table.columns(all)
        guard let nodeIDs = groups.last else { throw EvaluationError("make-graph lacks its identifiers", at: plan.range) }
        let properties = try nodeProperties(plan, settings, Array(batches.dropFirst()), rows, nodeIDs)
        var partitions: ContiguousArray<UInt32>?
        var partitionCount = 0
        if partitioned, let key = groups.first {
            var interner = Interner(key.type)
            partitions = try interner.intern(key)
            partitionCount = interner.count
        }
        let lineage = options.lineage ? nodeLineage(Array(batches.dropFirst()), rows, count) : nil
        return Graph(
            properties: Batch(columns: properties, count: count, lineage: lineage), ids: nodeIDs, edges: edges,
            source: ContiguousArray((0..<edges.count).lazy.map { Int32(truncatingIfNeeded: numbers[at + 2 * $0]) }),
            target: ContiguousArray((0..<edges.count).lazy.map { Int32(truncatingIfNeeded: numbers[at + 2 * $0 + 1]) }),
            partitions: partitions, partitionCount: partitionCount)
    }

    /// A property is that of the first table that has it for the node; identifiers stand in for themselves.
    private func nodeProperties(
        _ plan: Plan, _ settings: [String: Value], _ tables: [Batch], _ rows: [ContiguousArray<Int32>], _ ids: Column
    ) throws -> [Column] {
        guard case .dynamic(.array(let places))? = settings["properties"] else { return [] }
        return try places.enumerated().map { number, place in
            guard case .array(let items) = place, case .bool(let stands)? = items.last else {
                throw EvaluationError("make-graph does not know its properties", at: plan.range)
            }
            let integers = items.compactMap { if case .long(let v) = $0 { Int(v) } else { nil } }
            let sources = stride(from: 0, to: integers.count - 1, by: 2).map { (table: integers[$0], column: integers[$0 + 1]) }
            if sources.isEmpty { return ids }
            if sources.count == 1, !stands { return tables[sources[0].table].columns[sources[0].column].gather(rows[sources[0].table]) }
            let type = plan.columns[number].type
            var b = ColumnBuilder(type)
            b.reserve(ids.count)
            for n in 0..<ids.count {
                let found = sources.first { s in
                    let row = Int(rows[s.table][n])
                    return row >= 0 && !tables[s.table].columns[s.column].isNull(row)
                }
                if let s = found {
                    b.append(tables[s.table].columns[s.column], row: Int(rows[s.table][n]))
                } else if stands {
                    // Only the type of an identifier may differ (int and long).
                    if ids.type == type { b.append(ids, row: n) } else { b.append(coerceValue(ids.value(n), to: type)) }
                } else {
                    b.appendNull()
                }
            }
            return b.finish()
        }
    }

    private func nodeLineage(_ tables: [Batch], _ rows: [ContiguousArray<Int32>], _ count: Int) -> ContiguousArray<Lineage> {
        ContiguousArray(
            (0..<count).map { n in
                var l = Lineage.none
                for (t, batch) in tables.enumerated() where rows[t][n] >= 0 {
                    if let other = batch.lineage?[Int(rows[t][n])] { l.merge(other) }
                }
                return l
            })
    }

    // MARK: Rows of graphs

    /// Operators over graphs that give rows.
    func graphRows(
        _ plan: Plan, _ name: String, _ inputs: [Plan], _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard let input = inputs.first else { throw EvaluationError("\(name) has no graph", at: plan.range) }
        let graph = try self.graph(input, environment)
        switch name {
        case "graph-nodes":
            // The properties and the identifier.
            let columns = Array(graph.nodes.columns.prefix(plan.columns.count))
            return try portions(Batch(columns: columns, count: graph.nodeCount, lineage: graph.nodes.lineage), emit)
        case "graph-edges": return try portions(graph.edges, emit)
        case "graph-partition":
            guard inputs.count == 2, let partitions = graph.partitions else {
                throw EvaluationError("the graph has no partitions", at: plan.range)
            }
            var members = [ContiguousArray<Int32>](repeating: [], count: graph.partitionCount)
            for (n, p) in partitions.enumerated() { members[Int(p)].append(Int32(truncatingIfNeeded: n)) }
            for nodes in members {
                var inner = Environment()
                inner.graph = graph.induced(nodes)
                guard try run(inputs[1], inner, emit) else { return false }
            }
            return true
        default:
            let request = try GraphRequest(self, plan, graph, input, arguments, settings)
            return try withoutActuallyEscaping(emit) { emit in
                let sink = GraphSink(
                    request, limits: limits, watch: context.watch, keys: options.keys, lineage: options.lineage,
                    batchRows: options.batchRows, emit)
                if name == "graph-shortest-paths" {
                    var search = try ShortestPaths(request, sink)
                    try search.run()
                } else {
                    var search = PatternSearch(request, sink)
                    try search.run()
                }
                return try sink.finish()
            }
        }
    }

    /// A batch in portions, its rows' keys their numbers.
    private func portions(_ batch: Batch, _ emit: (Batch) throws -> Bool) throws -> Bool {
        var at = 0
        while at < batch.count {
            let end = min(batch.count, at + options.batchRows)
            var part = batch.gather(ContiguousArray((at..<end).lazy.map { Int32(truncatingIfNeeded: $0) }))
            part.keys = options.keys ? ContiguousArray((at..<end).lazy.map { .ordinal($0) }) : nil
            guard try emit(part) else { return false }
            at = end
        }
        return true
    }
}
