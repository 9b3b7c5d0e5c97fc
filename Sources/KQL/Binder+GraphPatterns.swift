import Columnar

// `graph-match` and `graph-shortest-paths`: patterns, and the properties of their variables in `where` and `project`.

/// The variables of a graph pattern, and what expressions ask of them: every property asked for becomes a column of the match.
final class GraphScope {
    enum Variable {
        case node(Int)
        case edge(Int)
        /// An edge of variable length.
        case path(Int)
    }

    /// What a column of the match holds; the texts are the plan's.
    enum Slot: Hashable {
        /// A property of the node or edge a variable stands for: number of the node or edge, position in the graph's columns.
        case node(Int, Int)
        case edge(Int, Int)
        /// The array of a property along a path.
        case path(Int, Int)
        case length(Int)
        /// An expression over a path's edges or inner nodes: `map`, `all` or `any`, number of the path, number of the argument.
        case over(String, Int, Int, inner: Bool)
    }

    let graph: Relation
    let shape: GraphShape
    var variables: [String: Variable] = [:]
    private(set) var slots: [(slot: Slot, column: BoundColumn)] = []
    /// Expressions over the edges' or nodes' columns.
    var arguments: [BoundExpr] = []

    init(_ graph: Relation, _ shape: GraphShape) {
        self.graph = graph
        self.shape = shape
    }

    func column(_ slot: Slot, _ name: String, _ type: ScalarType, _ session: BindingSession) -> BoundColumn {
        if let known = slots.first(where: { $0.slot == slot }) { return known.column }
        let c = session.column(name, type)
        slots.append((slot, c))
        return c
    }

    /// The first position of the edges among the graph's columns.
    var edgeStart: Int { shape.properties + GraphShape.hidden }
}

/// What a row scope of a graph pattern, or of an expression over the elements of a path, knows.
enum GraphNames {
    case pattern(GraphScope)
    /// Inside `map`, `all` and `any`: over inner nodes, or over edges.
    case elements(GraphScope, nodes: Bool)
}

extension BindingSession {
    static let graphFunctions = Language.names(Language.graphFunctions)

    /// One pattern edge as the plan describes it.
    private struct PatternEdge {
        let from: Int
        let to: Int
        let direction: GraphEdgeDirection
        let hops: (low: Int, high: Int)?
        let range: SourceRange
    }

    private struct Pattern {
        var nodes = 0
        var edges: [PatternEdge] = []
    }

    /// `custom("graph-match")` and `custom("graph-shortest-paths")`: the graph; expressions over its nodes' or edges' columns. Options:
    /// `pattern`, the edges as `[from, to, direction, low, high]` with the numbers of the pattern's nodes (direction 0 forward, 1 backward,
    /// 2 any; `low` is -1 for a single edge); `nodes`, how many there are; `columns`, what each column of the match holds, as `[kind,
    /// number, position]`; `filters`, expressions that a node, an edge, or every edge or inner node of a path must meet, as `[kind, number,
    /// argument]`; `cycles`; `all`, whether shortest paths are all wanted; `properties`, how many the nodes have.
    func bindGraphPattern(
        _ clause: GraphPatternClause, _ input: Relation, _ shape: GraphShape, _ env: Environment?, _ op: Operator, shortest: Bool
    ) -> Relation {
        let scope = GraphScope(input, shape)
        guard let pattern = pattern(clause, scope, env, op, shortest: shortest), let settings = settings(op, shortest: shortest) else {
            return unknownRelation(op.range)
        }
        let empty = Relation(plan: Plan(.rows([]), columns: [], range: op.range))
        let rowScope = row(empty)
        rowScope.graph = .pattern(scope)
        let names = Scope(env, row: rowScope)
        var rest: [BoundExpr] = []
        var filters: [Dynamic] = []
        var failed = false
        if let predicate = clause.predicate {
            if let c = condition(predicate, names, "the condition of `\(op.keyword.text)`") {
                for part in BindingSession.conjuncts(c) {
                    if let f = pushed(part, scope) { filters.append(f) } else { rest.append(part) }
                }
            } else {
                failed = true
            }
        }
        if shortest, let bad = rest.first(where: { !onlyNodes($0, scope) }) {
            error(
                .unsupportedOption, "this condition on the path is not supported in `graph-shortest-paths`", bad.range,
                mend: "conditions joined by `and` on the ends, and all() over the edges or inner nodes, are; or filter the result")
            failed = true
        }
        var p = Projection()
        if clause.project.isEmpty {
            error(.needsSchema, "`\(op.keyword.text)` needs `project`", op.range, mend: "write `project n.name, e.kind`")
            return unknownRelation(op.range)
        }
        for (i, item) in clause.project.enumerated() { addGraphItem(item, i, into: &p, names) }
        if failed { return unknownRelation(op.range) }
        var options = settings
        options["nodes"] = .long(Int64(pattern.nodes))
        options["properties"] = .long(Int64(shape.properties))
        options["filters"] = .dynamic(.array(filters))
        options["pattern"] = .dynamic(
            .array(
                pattern.edges.map { e in
                    let d: Int64 = e.direction == .forward ? 0 : e.direction == .backward ? 1 : 2
                    return .array(
                        [Int64(e.from), Int64(e.to), d, Int64(e.hops?.low ?? -1), Int64(e.hops?.high ?? 1)].map { Dynamic.long($0) })
                }))
        options["columns"] = .dynamic(.array(scope.slots.map { BindingSession.describe($0.slot) }))
        var plan = Plan(
            .custom(name: op.keyword.text, inputs: [input.plan], arguments: scope.arguments, options: options),
            columns: scope.slots.map(\.column), range: op.range)
        for condition in rest { plan = Plan(.filter(plan, condition), columns: plan.columns, range: condition.range) }
        return Relation(plan: Plan(.project(plan, p.exprs), columns: p.columns, range: op.range))
    }

    private static func describe(_ slot: GraphScope.Slot) -> Dynamic {
        switch slot {
        case .node(let n, let c): .array([.string("node"), .long(Int64(n)), .long(Int64(c))])
        case .edge(let n, let c): .array([.string("edge"), .long(Int64(n)), .long(Int64(c))])
        case .path(let n, let c): .array([.string("path"), .long(Int64(n)), .long(Int64(c))])
        case .length(let n): .array([.string("length"), .long(Int64(n)), .long(0)])
        case .over(let f, let n, let a, let inner): .array([.string(f + (inner ? "-nodes" : "-edges")), .long(Int64(n)), .long(Int64(a))])
        }
    }

    static func conjuncts(_ e: BoundExpr) -> [BoundExpr] {
        if case .call(let name, let arguments) = e.kind, name == BinaryOperator.and.rawValue { return arguments.flatMap(conjuncts) }
        return [e]
    }

    /// A projected item; degrees and identifiers give their function's name to the column, as Kusto's documentation shows.
    private func addGraphItem(_ item: Expr, _ i: Int, into p: inout Projection, _ scope: Scope) {
        guard case .call(let name, _) = item.kind, name.text.hasPrefix("node_"), lookup(name.text, scope.env) == nil else {
            return addItem(item, i, into: &p, scope, .project)
        }
        if let e = bind(item, scope) {
            p.add(column(name.text, for: e), e)
        } else {
            p.add(poison(name.text), constant(.null(.dynamic), item.range))
        }
    }

    // MARK: Settings

    private func settings(_ op: Operator, shortest: Bool) -> [String: Value]? {
        var out: [String: Value] = [:]
        var failed = false
        let cycles = op.parameter("cycles").map { ($0, parameterText($0)) }
        let allowed = shortest ? ["none"] : ["all", "none", "unique_edges"]
        if let (e, text) = cycles, !allowed.contains(text) {
            if shortest, ["all", "unique_edges"].contains(text) {
                error(.unsupportedOption, "`cycles=\(text)` is not supported in `graph-shortest-paths`", e.range, mend: "leave it out")
            } else {
                unknown(.badParameter, "value of cycles", text, e.range, among: allowed)
            }
            failed = true
        }
        out["cycles"] = .string(cycles?.1 ?? (shortest ? "none" : "unique_edges"))
        if let e = op.parameter("output") {
            let text = parameterText(e)
            if !shortest {
                error(.badParameter, "`output` is no setting of `graph-match`", e.range)
                failed = true
            } else if text != "any", text != "all" {
                unknown(.badParameter, "output", text, e.range, among: ["all", "any"])
                failed = true
            }
            out["all"] = .bool(text == "all")
        }
        return failed ? nil : out
    }

    // MARK: Patterns

    private func pattern(
        _ clause: GraphPatternClause, _ scope: GraphScope, _ env: Environment?, _ op: Operator, shortest: Bool
    ) -> Pattern? {
        var out = Pattern()
        var failed = false
        for sequence in clause.patterns {
            guard case .node? = sequence.first, case .node? = sequence.last else { return nil }
            var from: Int?
            var pending: (name: Name?, direction: GraphEdgeDirection, hops: GraphHops?, range: SourceRange)?
            for element in sequence {
                switch element {
                case .edge(let name, let direction, let hops, let range): pending = (name, direction, hops, range)
                case .node(let name, let range):
                    guard let to = node(name, scope, &out, range) else {
                        failed = true
                        continue
                    }
                    if let e = pending, let from {
                        var hops: (low: Int, high: Int)?
                        if let h = e.hops {
                            guard let bounds = bounds(h, env) else {
                                failed = true
                                continue
                            }
                            hops = bounds
                        }
                        if let n = e.name {
                            if scope.variables[n.text] != nil {
                                error(.graphPattern, "the name `\(n.text)` stands for two elements of the pattern", n.range)
                                failed = true
                            }
                            scope.variables[n.text] = hops == nil ? .edge(out.edges.count) : .path(out.edges.count)
                        }
                        out.edges.append(PatternEdge(from: from, to: to, direction: e.direction, hops: hops, range: e.range))
                    }
                    from = to
                    pending = nil
                }
            }
        }
        if failed { return nil }
        // Every node must be reached from the first.
        var reached: Set<Int> = [0]
        var grew = true
        while grew {
            grew = false
            for e in out.edges where reached.contains(e.from) != reached.contains(e.to) {
                reached.formUnion([e.from, e.to])
                grew = true
            }
        }
        if reached.count < out.nodes {
            error(
                .graphPattern, "the sequences of the pattern are not connected", op.range,
                mend: "give them a node in common, or match them one by one and join the results")
            return nil
        }
        if shortest {
            guard clause.patterns.count == 1, out.edges.count == 1, out.edges[0].hops != nil, out.nodes == 2 else {
                error(
                    .graphPattern, "`graph-shortest-paths` takes one edge of variable length between two nodes", op.range,
                    mend: "write `(a)-[e*1..5]->(b)`; other patterns are not supported")
                return nil
            }
        }
        return out
    }

    /// The number of a pattern's node; a name seen before is the same node.
    private func node(_ name: Name?, _ scope: GraphScope, _ out: inout Pattern, _ range: SourceRange) -> Int? {
        if let name {
            switch scope.variables[name.text] {
            case .node(let i)?: return i
            case nil: scope.variables[name.text] = .node(out.nodes)
            default:
                error(.graphPattern, "the name `\(name.text)` stands for a node and an edge", range)
                return nil
            }
        }
        defer { out.nodes += 1 }
        return out.nodes
    }

    /// Most edges that one edge of variable length may stand for: each is a level of the search.
    private static let mostHops: Int64 = 1000

    private func bounds(_ hops: GraphHops, _ env: Environment?) -> (low: Int, high: Int)? {
        func bound(_ e: Expr) -> Int64? {
            guard let b = bind(e, Scope(env)) else { return nil }
            guard let v = constantValue(b)?.integer else {
                error(.notConstant, "the length of an edge must be a constant integer", e.range)
                return nil
            }
            return v
        }
        let l = bound(hops.low), h = bound(hops.high)
        guard let low = l, let high = h else { return nil }
        let range = SourceRange(hops.low.range.lower, hops.high.range.upper)
        guard low >= 0, high >= low, high >= 1 else {
            error(.graphPattern, "\(low)..\(high) is no range of lengths", range, mend: "write `*1..5`")
            return nil
        }
        guard high <= BindingSession.mostHops else {
            error(.graphPattern, "an edge of variable length may stand for \(BindingSession.mostHops) edges at most", range)
            return nil
        }
        return (Int(low), Int(high))
    }

    // MARK: Conditions

    /// A condition that the search can check on its own: one on a single node or edge, or on every element of a path.
    private func pushed(_ e: BoundExpr, _ scope: GraphScope) -> Dynamic? {
        if case .column(let id) = e.kind, let slot = scope.slots.first(where: { $0.column.id == id })?.slot,
            case .over("all", let path, let argument, let inner) = slot
        {
            return .array([.string(inner ? "path-nodes" : "path-edges"), .long(Int64(path)), .long(Int64(argument))])
        }
        var ids: Set<ColumnID> = []
        collectColumns(e, into: &ids)
        var owner: (kind: String, number: Int)?
        var columns: [ColumnID: BoundColumn] = [:]
        for (slot, column) in scope.slots where ids.contains(column.id) {
            let mine: (String, Int), position: Int
            switch slot {
            case .node(let n, let c): (mine, position) = (("node", n), c)
            case .edge(let n, let c): (mine, position) = (("edge", n), c)
            default: return nil
            }
            if let owner, owner != mine { return nil }
            owner = mine
            columns[column.id] = scope.graph.columns[position]
        }
        guard let owner, let moved = replaced(e, columns) else { return nil }
        scope.arguments.append(moved)
        return .array([.string(owner.kind), .long(Int64(owner.number)), .long(Int64(scope.arguments.count - 1))])
    }

    /// The expression over other columns; nil if it runs a query of its own.
    private func replaced(_ e: BoundExpr, _ columns: [ColumnID: BoundColumn]) -> BoundExpr? {
        switch e.kind {
        case .constant, .scalarQuery: return e
        case .column(let id): return columns[id].map { BoundExpr(.column($0.id), $0.type, e.range) }
        case .call(let name, let args):
            var out: [BoundExpr] = []
            for a in args {
                guard let r = replaced(a, columns) else { return nil }
                out.append(r)
            }
            return BoundExpr(.call(name, out), e.type, e.range)
        case .member(let b, let name): return replaced(b, columns).map { BoundExpr(.member($0, name), e.type, e.range) }
        case .element(let b, let i):
            guard let base = replaced(b, columns), let index = replaced(i, columns) else { return nil }
            return BoundExpr(.element(base, index), e.type, e.range)
        case .inQuery(let op, let l, let plan): return replaced(l, columns).map { BoundExpr(.inQuery(op, $0, plan), e.type, e.range) }
        }
    }

    private func onlyNodes(_ e: BoundExpr, _ scope: GraphScope) -> Bool {
        var ids: Set<ColumnID> = []
        collectColumns(e, into: &ids)
        return scope.slots.allSatisfy { slot, column in
            if case .node = slot { true } else { !ids.contains(column.id) }
        }
    }

    // MARK: Names and functions

    /// A property `variable.name` in a pattern; `.some(nil)` where it was reported, nil if `base` is no variable.
    func graphMember(_ base: Expr, _ name: Name, _ range: SourceRange, _ scope: Scope) -> BoundExpr?? {
        guard case .name(let v) = base.kind, case .pattern(let g)? = scope.row?.graph, let variable = g.variables[v.text] else {
            return nil
        }
        let isNode: Bool
        if case .node = variable { isNode = true } else { isNode = false }
        let columns = isNode ? g.shape.nodes(g.graph.plan) : g.shape.edges(g.graph.plan)
        guard let position = columns.firstIndex(where: { $0.name == name.text }) else {
            let open = isNode ? g.shape.openNodes : g.shape.openEdges
            if !open.isEmpty {
                let type = OpenColumns.type(of: name.text)
                for t in open { self.open.add(SchemaColumn(name.text, type), to: t, usedAt: range) }
                return .some(constant(.missing(type), range))
            }
            unknown(.unknownColumn, "property", name.text, name.range, among: columns.map(\.name))
            return .some(nil)
        }
        let c = columns[position]
        if poisoned.contains(c.id) { return .some(nil) }
        let label = "\(v.text)_\(c.name)"
        let made: BoundColumn
        switch variable {
        case .node(let n): made = g.column(.node(n, position), label, c.type, self)
        case .edge(let n): made = g.column(.edge(n, position), label, c.type, self)
        case .path(let n): made = g.column(.path(n, position), label, .dynamic, self)
        }
        return .some(BoundExpr(.column(made.id), made.type, range))
    }

    /// A variable of a pattern on its own; `.some(nil)` after reporting.
    func graphName(_ n: Name, _ range: SourceRange, _ scope: Scope) -> BoundExpr?? {
        switch scope.row?.graph {
        case .pattern(let g)? where g.variables[n.text] != nil:
            error(
                .unsupportedOption, "`\(n.text)` is an element of the pattern; a whole element is not supported as a value", range,
                mend: "name one of its properties: `\(n.text).name`")
            return .some(nil)
        case .elements(let g, _)? where g.variables[n.text] != nil && scope.row?.column(n.text) == nil:
            error(
                .graphPattern, "`\(n.text)` is an element of the pattern; only properties of the path's own elements can be used here",
                range)
            return .some(nil)
        default: return nil
        }
    }

    /// A function of graphs; nil if `name` is none here.
    func graphCall(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr?? {
        guard let names = scope.row?.graph, BindingSession.graphFunctions.contains(name.text) else { return nil }
        switch names {
        case .elements(let g, let nodes): return elementCall(name, args, range, g, nodes: nodes)
        case .pattern(let g): return patternCall(name, args, range, g, scope)
        }
    }

    /// `node_degree_in()` and its kin without arguments, over the inner nodes of a path.
    private func elementCall(_ name: Name, _ args: [Expr], _ range: SourceRange, _ g: GraphScope, nodes: Bool) -> BoundExpr?? {
        guard ["node_degree_in", "node_degree_out", "node_id", "labels"].contains(name.text) else {
            if name.text == "array_length" { return nil }
            error(.graphPattern, "`\(name.text)` cannot stand inside map(), all() or any()", range)
            return .some(nil)
        }
        guard args.isEmpty else {
            error(.argumentCount, "`\(name.text)` takes no argument inside map(), all() and any()", range)
            return .some(nil)
        }
        if name.text == "labels" { return .some(constant(.dynamic(.array([])), range)) }
        guard nodes else {
            error(.graphPattern, "`\(name.text)` is for nodes", range, mend: "use it over inner_nodes()")
            return .some(nil)
        }
        return .some(nodeFunction(name.text, g.graph.columns, g.shape, range))
    }

    private func nodeFunction(_ name: String, _ columns: [BoundColumn], _ shape: GraphShape, _ range: SourceRange) -> BoundExpr {
        let c = columns[shape.properties + (name == "node_id" ? 0 : name == "node_degree_in" ? 1 : 2)]
        return convert(BoundExpr(.column(c.id), c.type, range), to: name == "node_id" ? .string : .long)
    }

    private func patternCall(_ name: Name, _ args: [Expr], _ range: SourceRange, _ g: GraphScope, _ scope: Scope) -> BoundExpr?? {
        func variable(_ e: Expr?) -> GraphScope.Variable? {
            guard case .name(let n)? = e?.kind else { return nil }
            return g.variables[n.text]
        }
        switch name.text {
        case "map", "all", "any":
            guard args.count == 2 else {
                error(.argumentCount, "`\(name.text)` takes an edge of variable length and an expression", range)
                return .some(nil)
            }
            return .some(overPath(name.text, args[0], args[1], range, g, scope))
        case "array_length":
            guard args.count == 1, case .path(let n)? = variable(args[0]) else { return nil }
            let c = g.column(.length(n), "length", .long, self)
            return .some(BoundExpr(.column(c.id), .long, range))
        case "inner_nodes":
            error(.graphPattern, "`inner_nodes` can only be the first argument of map(), all() or any()", range)
            return .some(nil)
        case "labels":
            guard args.count == 1, variable(args[0]) != nil else { break }
            return .some(constant(.dynamic(.array([])), range))
        default:
            guard args.count == 1, case .node(let n)? = variable(args[0]) else { break }
            let at = g.shape.properties + (name.text == "node_id" ? 0 : name.text == "node_degree_in" ? 1 : 2)
            let c = g.graph.columns[at]
            let made = g.column(.node(n, at), c.name, c.type, self)
            return .some(convert(BoundExpr(.column(made.id), made.type, range), to: name.text == "node_id" ? .string : .long))
        }
        error(.argumentType, "`\(name.text)` takes one \(name.text == "labels" ? "variable" : "node variable") of the pattern", range)
        return .some(nil)
    }

    /// `map`, `all` and `any` over the edges or the inner nodes of a path.
    private func overPath(_ function: String, _ over: Expr, _ body: Expr, _ range: SourceRange, _ g: GraphScope, _ scope: Scope)
        -> BoundExpr?
    {
        var path = over
        var nodes = false
        if case .call(let n, let args) = over.kind, n.text == "inner_nodes", args.count == 1 { (path, nodes) = (args[0], true) }
        guard case .name(let n) = path.kind, case .path(let number)? = g.variables[n.text] else {
            error(
                .graphPattern, "`\(function)` takes an edge of variable length, or inner_nodes() of one", over.range,
                mend: "write `\(function)(e, ...)` for an edge `-[e*1..5]->`")
            return nil
        }
        let columns = nodes ? g.shape.nodes(g.graph.plan) : g.shape.edges(g.graph.plan)
        var elements = Relation(plan: Plan(.rows([]), columns: Array(columns), range: range))
        let open = nodes ? g.shape.openNodes : g.shape.openEdges
        if !open.isEmpty { elements.open = [open] }
        let elementRow = row(elements)
        elementRow.graph = .elements(g, nodes: nodes)
        let inner = Scope(scope.env, row: elementRow)
        guard let e = function == "map" ? bind(body, inner) : condition(body, inner, "the condition of `\(function)`") else { return nil }
        g.arguments.append(e)
        let type: ScalarType = function == "map" ? .dynamic : .bool
        let c = g.column(.over(function, number, g.arguments.count - 1, inner: nodes), function, type, self)
        return BoundExpr(.column(c.id), type, range)
    }
}
