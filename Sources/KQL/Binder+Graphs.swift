import Columnar

// Graphs: `make-graph` and the operators over a graph that do not match patterns (`Binder+GraphPatterns.swift` has those).
//
// A graph is a relation of its own kind: its plan is an operator by name whose columns are the properties of the nodes, three columns of
// the nodes that every graph has (``GraphShape/hidden``), and the columns of the edges. No operator over rows reads such a plan.

/// What the binder knows of a graph besides its columns.
struct GraphShape {
    /// Columns of every node behind its properties: the identifier as it came, incoming and outgoing edges.
    static let hidden = 3

    /// Properties of the nodes, the first columns of the plan.
    var properties: Int
    /// Positions of the edges' ends among the edges' columns.
    var source: Int
    var target: Int
    /// Open tables whose undeclared columns may be asked for as properties.
    var openNodes: [String] = []
    var openEdges: [String] = []

    func nodes(_ plan: Plan) -> ArraySlice<BoundColumn> { plan.columns.prefix(properties) }
    func edges(_ plan: Plan) -> ArraySlice<BoundColumn> { plan.columns.dropFirst(properties + GraphShape.hidden) }
    func key(_ plan: Plan) -> BoundColumn { plan.columns[properties] }
}

extension BindingSession {
    /// Binds an operator over a graph.
    func applyToGraph(_ op: Operator, _ input: Relation, _ shape: GraphShape, _ env: inout Environment?) -> Relation {
        switch op.kind {
        case .graphMatch(let clause): return bindGraphPattern(clause, input, shape, env, op, shortest: false)
        case .graphShortestPaths(let clause): return bindGraphPattern(clause, input, shape, env, op, shortest: true)
        case .graphMarkComponents: return bindMarkComponents(input, shape, op)
        case .graphToTable(let tables):
            guard tables.count == 1, let table = tables.first else {
                error(
                    .severalResults, "`graph-to-table` with nodes and edges gives two tables; only the end of a query may do so", op.range,
                    mend: "write it twice, once for the nodes and once for the edges")
                return unknownRelation(op.range)
            }
            return graphTable(table, input, shape, op)
        case .alias(let name):
            let shared = share(input.plan)
            env = Environment(name.text, .shared(shared, input), parent: env)
            return reference(shared, input, op.range)
        case .graphWhere:
            error(
                .unsupportedOperator, "operator `\(op.keyword.text)` is not supported: its results are not documented", op.keyword.range,
                mend: "filter the edges and nodes before `make-graph`")
        default:
            error(
                .graphKind, "`\(op.keyword.text)` works on rows, but this is a graph", op.keyword.range,
                mend: "turn it into rows with `graph-match`, `graph-shortest-paths` or `graph-to-table`")
        }
        return unknownRelation(op.range)
    }

    /// Refuses a graph operator over rows.
    func refuseRows(_ op: Operator) -> Relation {
        error(.graphKind, "`\(op.keyword.text)` works on a graph, but these are rows", op.keyword.range, mend: "put `make-graph` before it")
        return unknownRelation(op.range)
    }

    // MARK: make-graph

    /// `custom("make-graph")`: inputs are the edges and the tables of nodes; arguments the edges' source and target, the nodes' identifiers
    /// table by table, then, with a partition, its column in the same tables. Options: `properties`, for every property of the nodes the
    /// array of its places `[table, column, ...]` and, last, whether the identifier stands in for it where a node has no row; `partitioned`.
    func bindMakeGraph(_ clause: MakeGraphClause, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if let named = op.parameter("with_node_id"), !clause.nodes.isEmpty {
            error(.badParameter, "`with_node_id` is for graphs without tables of nodes", named.range, mend: "leave one of them out")
            return unknownRelation(op.range)
        }
        var tables: [Relation] = []
        var scopes = [scope]
        for n in clause.nodes {
            guard let r = bindTabular(n.table, scope.env), !r.isUnknown else { return unknownRelation(op.range) }
            tables.append(r)
            scopes.append(Scope(scope.env, row: row(r)))
        }
        if input.isUnknown { return input }
        var ends = [edgeEnd(clause.source, scope), edgeEnd(clause.target, scope)]
        for (i, n) in clause.nodes.enumerated() { ends.append(edgeEnd(n.id, scopes[i + 1])) }
        var ids = ends.compactMap { $0 }
        guard ids.count == ends.count, let first = ids.first else { return unknownRelation(op.range) }
        for (i, e) in ids.enumerated() where e.type != first.type {
            guard e.type.isInteger, first.type.isInteger else {
                error(
                    .joinKeyTypes, "node identifiers are of different types: \(first.type.rawValue) and \(e.type.rawValue)", e.range,
                    mend: "convert them to one type")
                return unknownRelation(op.range)
            }
            ids[0] = convert(ids[0], to: .long)
            ids[i] = convert(e, to: .long)
        }
        let type = ids[0].type
        for i in ids.indices { ids[i] = convert(ids[i], to: type) }
        var keys: [BoundExpr] = []
        if let by = clause.partitionedBy {
            for s in scopes {
                guard let k = edgeEnd(by, s) else { return unknownRelation(op.range) }
                if let first = keys.first, first.type != k.type {
                    error(.joinKeyTypes, "the partition's column has different types in the edges and the nodes", k.range)
                    return unknownRelation(op.range)
                }
                keys.append(k)
            }
        }
        guard let (properties, places) = nodeProperties(clause, tables, ids, op) else { return unknownRelation(op.range) }
        let hidden = [column("$key", type), column("$in", .long), column("$out", .long)]
        let edges = input.columns.map { column($0.name, $0.type) }
        for (old, new) in zip(input.columns, edges) where poisoned.contains(old.id) { poisoned.insert(new.id) }
        func position(_ e: Expr) -> Int { referencedColumn(e, scope).flatMap { c in input.columns.firstIndex { $0.id == c.id } } ?? 0 }
        let shape = GraphShape(
            properties: properties.count, source: position(clause.source), target: position(clause.target),
            openNodes: tables.flatMap { $0.open.first ?? [] }, openEdges: input.open.first ?? [])
        var out = Relation(
            plan: Plan(
                .custom(
                    name: "make-graph", inputs: [input.plan] + tables.map(\.plan), arguments: ids + keys,
                    options: ["properties": .dynamic(.array(places)), "partitioned": .bool(!keys.isEmpty)]),
                columns: properties + hidden + edges, range: op.range))
        out.graph = shape
        guard clause.partitionedBy != nil else { return out }
        return bindGraphPartitions(clause.body, out, shape, scope, op)
    }

    /// A column that identifies nodes.
    private func edgeEnd(_ e: Expr, _ scope: Scope) -> BoundExpr? {
        guard let b = bind(e, scope) else { return nil }
        guard referencedColumn(e, scope) != nil else {
            error(.notColumn, "a column's name is needed here", e.range)
            return nil
        }
        guard b.type != .dynamic else {
            error(.dynamicKey, "a node identifier must not be dynamic", e.range, mend: "convert it first with tostring()")
            return nil
        }
        return b
    }

    /// The properties of the nodes: the union of the tables' columns, or the identifier under the name that `with_node_id` gives.
    private func nodeProperties(
        _ clause: MakeGraphClause, _ tables: [Relation], _ ids: [BoundExpr], _ op: Operator
    ) -> ([BoundColumn], [Dynamic])? {
        if let named = op.parameter("with_node_id") {
            return ([column(parameterText(named), ids[0].type)], [.array([.bool(true)])])
        }
        var columns: [BoundColumn] = []
        var places: [[Dynamic]] = []
        var stands: Set<String> = []
        for (t, table) in tables.enumerated() {
            if case .column(let id) = ids[t + 2].kind, let c = table.columns.first(where: { $0.id == id }) {
                stands.insert(c.name)
            } else if case .name(let n) = clause.nodes[t].id.kind {
                stands.insert(n.text)
            }
            for (i, c) in table.columns.enumerated() {
                let place: [Dynamic] = [.long(Int64(t)), .long(Int64(i))]
                if let known = columns.firstIndex(where: { $0.name == c.name }) {
                    guard columns[known].type == c.type else {
                        error(
                            .joinKeyTypes,
                            "property `\(c.name)` has type \(columns[known].type.rawValue) in one table of nodes and "
                                + "\(c.type.rawValue) in another", clause.nodes[t].table.range, mend: "convert or rename it")
                        return nil
                    }
                    places[known] += place
                } else {
                    let fresh = column(c.name, c.type)
                    if poisoned.contains(c.id) { poisoned.insert(fresh.id) }
                    columns.append(fresh)
                    places.append(place)
                }
            }
        }
        return (columns, zip(columns, places).map { c, p in .array(p + [.bool(stands.contains(c.name))]) })
    }

    /// `partitioned-by`: the operators over each partition's graph. The second input's graph is the subquery source.
    private func bindGraphPartitions(
        _ body: [Operator], _ graph: Relation, _ shape: GraphShape, _ scope: Scope, _ op: Operator
    ) -> Relation {
        var inner = graph
        inner.plan = Plan(.subquerySource, columns: graph.columns, range: op.range)
        var env = scope.env
        for o in body {
            guard admit(o.range) else { break }
            inner = apply(o, inner, &env)
        }
        if inner.isUnknown { return inner }
        guard inner.graph == nil else {
            error(
                .graphKind, "the operators of `partitioned-by` must give rows", op.range,
                mend: "end them with `graph-match`, `graph-shortest-paths` or `graph-to-table`")
            return unknownRelation(op.range)
        }
        return Relation(
            plan: Plan(
                .custom(name: "graph-partition", inputs: [graph.plan, inner.plan], arguments: [], options: [:]), columns: inner.columns,
                range: op.range))
    }

    // MARK: Components

    /// `custom("graph-mark-components")`: a graph whose last property of the nodes is the component's number.
    private func bindMarkComponents(_ input: Relation, _ shape: GraphShape, _ op: Operator) -> Relation {
        var strong = false
        if let kind = op.parameter("kind") {
            switch parameterText(kind) {
            case "weak": break
            case "strong": strong = true
            case let other: unknown(.badParameter, "kind", other, kind.range, among: ["strong", "weak"])
            }
        }
        let name = op.parameter("with_component_id").map(parameterText) ?? "ComponentId"
        if shape.nodes(input.plan).contains(where: { $0.name == name }) {
            error(
                .duplicateColumn, "the nodes have a property `\(name)` already", op.range,
                mend: "give the component another name with `with_component_id=`")
            return unknownRelation(op.range)
        }
        var columns = input.columns
        columns.insert(column(name, .long), at: shape.properties)
        var out = input
        out.plan = Plan(
            .custom(
                name: "graph-mark-components", inputs: [input.plan], arguments: [],
                options: ["strong": .bool(strong), "properties": .long(Int64(shape.properties))]), columns: columns, range: op.range)
        out.graph?.properties += 1
        return out
    }

    // MARK: graph-to-table

    /// `custom("graph-nodes")` and `custom("graph-edges")`: the properties and identifiers of the nodes, the columns of the edges. The
    /// identifiers asked for are hashes, as in Kusto.
    func graphTable(_ table: GraphTable, _ input: Relation, _ shape: GraphShape, _ op: Operator) -> Relation {
        func wanted(_ name: String) -> Expr? { table.parameters.last { $0.name.text == name }?.value }
        var p = Projection()
        func hash(_ parameter: String, _ id: BoundColumn) {
            guard let named = wanted(parameter) else { return }
            let e = BoundExpr(.call("hash", [BoundExpr(.column(id.id), id.type, op.range)]), .long, op.range)
            p.add(column(parameterText(named), .long), e)
        }
        let columns: [BoundColumn]
        let name: String
        for n in table.isNodes ? ["with_source_id", "with_target_id"] : ["with_node_id"] {
            if let e = wanted(n) { error(.badParameter, "`\(n)` is no setting of \(table.isNodes ? "`nodes`" : "`edges`")", e.range) }
        }
        if table.isNodes {
            (name, columns) = ("graph-nodes", Array(input.columns.prefix(shape.properties + 1)))
            hash("with_node_id", shape.key(input.plan))
            for c in columns.dropLast() { p.add(c, BoundExpr(.column(c.id), c.type, op.range)) }
        } else {
            (name, columns) = ("graph-edges", Array(shape.edges(input.plan)))
            hash("with_source_id", columns[shape.source])
            hash("with_target_id", columns[shape.target])
            for c in columns { p.add(c, BoundExpr(.column(c.id), c.type, op.range)) }
        }
        let rows = Plan(
            .custom(name: name, inputs: [input.plan], arguments: [], options: ["properties": .long(Int64(shape.properties))]),
            columns: columns, range: op.range)
        return Relation(plan: Plan(.project(rows, p.exprs), columns: p.columns, range: op.range))
    }
}
