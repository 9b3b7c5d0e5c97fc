import Columnar

// Queries with several results: statements one after the other, `fork`, `facet`, and `graph-to-table` of nodes and edges.

/// One table that a query gives.
struct QueryResult {
    /// From `as`, `fork` or `graph-to-table`; nil: unnamed.
    let name: String?
    let relation: Relation
    /// Only names the table for later statements, where there are some.
    var isDefinition = false
}

extension BindingSession {
    /// Binds a query statement; names that its end gives to later statements (`as`, `graph-to-table nodes as N`) go into `env`.
    func bindResults(_ e: Expr, _ env: inout Environment?) -> [QueryResult]? {
        if case .query(let q) = e.kind, let last = q.operators.last {
            switch last.kind {
            case .fork(let branches): return bindFork(branches, q, last, env)
            case .facet(let columns, let with): return bindFacet(columns, with, q, last, env)
            case .evaluate(let call, _):
                if case .call(let plugin, let args) = call.kind, plugin.text == "preview" { return bindPreview(args, q, last, env) }
            case .graphToTable(let tables) where tables.count > 1: return bindGraphTables(tables, q, last, &env)
            case .alias(let name):
                guard let r = bindTabular(e, env) else { return nil }
                env = Environment(name.text, .tabular(e, env ?? Environment.root), parent: env)
                return [QueryResult(name: name.text, relation: r)]
            default: break
            }
        }
        return bindTabular(e, env).map { [QueryResult(name: nil, relation: $0)] }
    }

    /// All operators but the last, as rows computed once.
    private func shared(before last: Operator, _ q: Query, _ env: Environment?) -> (SharedPlan, Relation)? {
        guard let r = bindPrefix(q, env) else { return nil }
        guard r.graph == nil else {
            _ = applyToGraph(last, r, GraphShape(properties: 0, source: 0, target: 0))
            return nil
        }
        return (share(r.plan), r)
    }

    private func applyToGraph(_ op: Operator, _ r: Relation, _ shape: GraphShape) -> Relation {
        var env: Environment?
        return applyToGraph(op, r, shape, &env)
    }

    private func bindPrefix(_ q: Query, _ env: Environment?) -> Relation? {
        let rest = Query(source: q.source, operators: Array(q.operators.dropLast()), range: q.range)
        let r = deeper(q.range) { checked(bindQuery(rest, env), q.range) }
        guard let r, !r.isUnknown else { return nil }
        return r
    }

    /// Operators over rows bound before.
    private func bindBranch(_ operators: [Operator], _ input: Relation, _ env: Environment?) -> QueryResult? {
        var current = input
        var env = env
        var name: String?
        for o in operators {
            guard admit(o.range), let next = checked(apply(o, current, &env), o.range) else { return nil }
            current = next
            if case .alias(let n) = o.kind { name = n.text } else { name = nil }
        }
        if let g = current.graph {
            _ = g
            error(.graphKind, "a graph is no result", input.plan.range, mend: "turn it into rows with `graph-to-table`")
            return nil
        }
        return current.isUnknown ? nil : QueryResult(name: name, relation: current)
    }

    private func bindFork(_ branches: [Expr], _ q: Query, _ op: Operator, _ env: Environment?) -> [QueryResult]? {
        guard let (shared, input) = shared(before: op, q, env) else { return nil }
        var out: [QueryResult] = []
        var failed = false
        for b in branches {
            var name: String?
            var body = b
            if case .named(let names, let inner) = b.kind { (name, body) = (names.first?.text, inner) }
            guard case .query(let branch) = body.kind else { continue }
            if let r = bindBranch(branch.operators, reference(shared, input, body.range), env) {
                out.append(QueryResult(name: name ?? r.name, relation: r.relation))
            } else {
                failed = true
            }
        }
        return failed ? nil : out
    }

    /// `evaluate preview(n)`: some rows, then the number of all.
    private func bindPreview(_ args: [Expr], _ q: Query, _ op: Operator, _ env: Environment?) -> [QueryResult]? {
        guard let (shared, input) = shared(before: op, q, env) else { return nil }
        guard args.count == 1, let n = bind(args[0], Scope(env)), n.type.isInteger else {
            error(.argumentCount, "`preview` takes a number of rows", op.range)
            return nil
        }
        let rows = reference(shared, input, op.range)
        let all = reference(shared, input, op.range)
        let count = column("Count", .long)
        let aggregate = BoundAggregate(name: "count", arguments: [], outputs: [count])
        return [
            QueryResult(name: nil, relation: Relation(plan: Plan(.take(rows.plan, n), columns: rows.columns, range: op.range))),
            QueryResult(
                name: nil,
                relation: Relation(plan: Plan(.summarize(all.plan, keys: [], aggregates: [aggregate]), columns: [count], range: op.range))),
        ]
    }

    /// The table of `with` first, then the values of each column with their counts.
    private func bindFacet(_ columns: [Expr], _ with: [Operator], _ q: Query, _ op: Operator, _ env: Environment?) -> [QueryResult]? {
        guard let (shared, input) = shared(before: op, q, env) else { return nil }
        var out: [QueryResult] = []
        var failed = false
        if !with.isEmpty {
            if let r = bindBranch(with, reference(shared, input, op.range), env) { out.append(r) } else { failed = true }
        }
        for c in columns {
            let rows = reference(shared, input, c.range)
            let scope = Scope(env, row: row(rows))
            guard let key = bind(c, scope) else {
                failed = true
                continue
            }
            guard let source = referencedColumn(c, scope) else {
                error(.notColumn, "`facet` takes columns", c.range)
                failed = true
                continue
            }
            if key.type == .dynamic {
                error(.dynamicKey, "a facet must not be dynamic", c.range, mend: "convert it first with tostring()")
                failed = true
                continue
            }
            let count = column("count_\(source.name)", .long)
            let aggregate = BoundAggregate(name: "count", arguments: [], outputs: [count])
            let plan = Plan(.summarize(rows.plan, keys: [key], aggregates: [aggregate]), columns: [source, count], range: c.range)
            out.append(QueryResult(name: nil, relation: Relation(plan: plan)))
        }
        return failed ? nil : out
    }

    private func bindGraphTables(_ tables: [GraphTable], _ q: Query, _ op: Operator, _ env: inout Environment?) -> [QueryResult]? {
        guard let g = bindPrefix(q, env) else { return nil }
        guard let shape = g.graph else {
            _ = refuseRows(op)
            return nil
        }
        let shared = share(g.plan)
        var out: [QueryResult] = []
        for t in tables {
            let r = graphTable(t, reference(shared, g, op.range), shape, op)
            if r.isUnknown { return nil }
            if let name = t.name { env = Environment(name.text, .shared(share(r.plan), r), parent: env) }
            out.append(QueryResult(name: t.name?.text, relation: r, isDefinition: t.name != nil))
        }
        return out
    }

    /// The plan of several results: `custom("results")`, whose inputs are the tables.
    func combine(_ results: [QueryResult], _ range: SourceRange) -> Plan? {
        if results.count < 2 { return results.first?.relation.plan }
        return Plan(.custom(name: "results", inputs: results.map(\.relation.plan), arguments: [], options: [:]), columns: [], range: range)
    }
}

extension BindingSession {
    /// `consume` reads its rows and gives none; as in Kusto a result without columns would be no table, so the columns stay.
    func bindConsume(_ input: Relation, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        let never = BoundExpr(.constant(.bool(false)), .bool, op.range)
        return input.with(Plan(.filter(input.plan, never), columns: input.columns, range: op.range))
    }
}
