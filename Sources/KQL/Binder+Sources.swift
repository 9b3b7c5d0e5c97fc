import Columnar

// Where rows come from: tables, lets, functions that give rows, pipelines, and the operators that need no input.

extension BindingSession {
    /// Binds an expression that gives rows. Nil: reported, or caused by something reported.
    func bindTabular(_ e: Expr, _ env: Environment?) -> Relation? {
        guard let r = bindRelation(e, env) else { return nil }
        guard r.graph == nil else {
            error(.graphKind, "a graph is given where rows are needed", e.range, mend: "turn it into rows with `graph-to-table`")
            return nil
        }
        return r
    }

    /// As ``bindTabular(_:_:)``, where a graph will do.
    func bindRelation(_ e: Expr, _ env: Environment?) -> Relation? {
        deeper(e.range) { checked(bindTabularKind(e, env), e.range) }
    }

    private func bindTabularKind(_ e: Expr, _ env: Environment?) -> Relation? {
        if let call = patternCall(e, env) { return bindPattern(call, e.range, env) }
        switch e.kind {
        case .paren(let inner): return bindRelation(inner, env)
        case .query(let q): return bindQuery(q, env)
        case .name(let n): return bindTableName(n, e.range, env)
        case .call(let name, let args): return bindTabularCall(name, args, e.range, env)
        case .methodCall(_, let name, _), .member(_, let name):
            error(.unsupportedSource, "`\(name.text)` of another cluster, database or workspace is not supported", e.range)
            return nil
        case .missing: return nil
        default:
            error(.notTabular, "a value is given where rows are needed", e.range)
            return nil
        }
    }

    private func bindTableName(_ n: Name, _ range: SourceRange, _ env: Environment?) -> Relation? {
        guard admit(range) else { return nil }
        switch lookup(n.text, env) {
        case .tabular(let e, let home)?: return bindRelation(e, home)
        case .shared(let shared, let r)?: return reference(shared, r, range)
        case .function(let p, let body, let home)?: return callTabularFunction(n, p, body, home, [], Scope(env), range)
        case .scalar?:
            error(.notTabular, "`\(n.text)` is a value, not a table", range)
            return nil
        case .failed?: return nil
        case .pattern?:
            error(.argumentCount, "`\(n.text)` is a pattern and needs its texts", range)
            return nil
        case .marker?, nil: break
        }
        if let r = bindTable(n.text, range) { return r }
        if n.text == "_GetWatchlistAlias" { return watchlistAliases(range) }
        if schemas.content?.brokenFunction(n.text) != nil || BindingSession.isParserName(n.text) || functions.refusal(n.text) != nil {
            refuse(n, tabular: true)
        } else {
            unknown(
                .unknownTable, "table", n.text, range,
                among: schemas.tableNames + (env?.names ?? []) + (schemas.content?.savedFunctionNames ?? []))
        }
        return nil
    }

    static func isParserName(_ n: String) -> Bool { n.hasPrefix("_Im_") || n.hasPrefix("_ASim_") || n.hasPrefix("ASim") }

    /// A table of the catalogue, its columns under new identities.
    func bindTable(_ name: String, _ range: SourceRange) -> Relation? {
        guard let schema = schemas.table(name) else { return nil }
        if schema.isBlind {
            warning(.blindTable, "table `\(name)` is known, but no configured input feeds it", range)
        }
        var columns = schema.columns.map { column($0.name, $0.type) }
        for (c, use) in open.byTable[schema.name] ?? [] where !schema.columns.contains(where: { $0.name == c.name }) {
            warning(
                .openColumn, "`\(schema.name)` does not declare column `\(c.name)`; it is read as \(c.type.rawValue)", use,
                mend: "declare it in a schema file")
            columns.append(column(c.name, c.type))
        }
        return Relation(
            plan: Plan(.table(name: schema.name), columns: columns, range: range), open: schema.isOpen ? [[schema.name]] : [])
    }

    /// A reference to a shared plan, with fresh identities.
    func reference(_ shared: SharedPlan, _ r: Relation, _ range: SourceRange) -> Relation {
        let columns = r.columns.map { c -> BoundColumn in
            let fresh = column(c.name, c.type)
            if poisoned.contains(c.id) { poisoned.insert(fresh.id) }
            return fresh
        }
        var out = r
        out.plan = Plan(.shared(shared), columns: columns, range: range)
        // Its plan is bound already: undeclared columns of open tables cannot be added through it unless the let is bound again, which
        // happens with the whole query.
        return out
    }

    private func bindTabularCall(_ name: Name, _ args: [Expr], _ range: SourceRange, _ env: Environment?) -> Relation? {
        guard admit(range) else { return nil }
        switch lookup(name.text, env) {
        case .function(let p, let body, let home)?: return callTabularFunction(name, p, body, home, args, Scope(env), range)
        case .failed?: return nil
        default: break
        }
        switch name.text {
        case "materialize":
            guard args.count == 1 else {
                error(.argumentCount, "`materialize` takes one argument", range)
                return nil
            }
            guard isTabular(args[0], env) else {
                error(.notTabular, "`materialize` takes rows", args[0].range)
                return nil
            }
            guard let (shared, r) = bindMaterialized(args[0], args[0], env) else { return nil }
            return reference(shared, r, range)
        case "view" where args.isEmpty:
            break
        case "_GetWatchlist": return bindWatchlist(name, args, range, env)
        case "_GetWatchlistAlias" where args.isEmpty: return watchlistAliases(range)
        case "table":
            guard let first = args.first, let n = bind(first, Scope(env)) else { return nil }
            guard case .constant(.string(let table)) = n.kind else {
                error(.notConstant, "`table()` takes a constant name", first.range)
                return nil
            }
            if let r = bindTable(table, range) { return r }
            unknown(.unknownTable, "table", table, first.range, among: schemas.tableNames)
            return nil
        case "graph":
            error(
                .unsupportedSource, "`graph()` reads a stored graph; only graphs made in the query are supported", range,
                mend: "make it with `make-graph`")
            return nil
        default:
            if args.isEmpty, schemas.table(name.text) != nil {
                error(.unknownFunction, "`\(name.text)` is a table, not a function", range, mend: "leave out the parentheses")
                return nil
            }
            if scalarSignature(name.text) != nil || BindingSession.builtinScalars.contains(name.text) {
                error(.notTabular, "function `\(name.text)` gives a value where rows are needed", range)
                return nil
            }
        }
        refuse(name, tabular: true)
        return nil
    }

    // MARK: Pipelines

    func bindQuery(_ q: Query, _ env: Environment?) -> Relation? {
        var env = env
        var relation: Relation?
        switch q.source {
        case .expression(let e):
            relation = bindRelation(e, env)
            if q.operators.isEmpty { return relation }
        case .generator(let op):
            relation = bindGenerator(op, env)
        case .input:
            error(.unsupportedSource, "there is no outer input here", q.range)
        }
        // A source that failed still gets its operators bound, for errors that do not depend on it.
        var current = relation ?? unknownRelation(q.range)
        for op in q.operators {
            guard admit(op.range), let next = checked(apply(op, current, &env), op.range) else { return nil }
            current = next
        }
        return current.isUnknown && relation == nil ? nil : current
    }

    func unknownRelation(_ range: SourceRange) -> Relation {
        Relation(plan: Plan(.rows([]), columns: [], range: range), isUnknown: true, isSerialized: true)
    }

    private func bindGenerator(_ op: Operator, _ env: Environment?) -> Relation? {
        guard admit(op.range) else { return nil }
        switch op.kind {
        case .print(let items): return bindPrint(items, op, env)
        case .range(let name, let from, let to, let step): return bindRange(name, from, to, step, op, env)
        case .datatable(let columns, let cells): return bindDatatable(columns, cells, op, env)
        case .union(let branches): return bindUnion(nil, branches, op, env)
        case .externaldata(let columns, let addresses): return bindExternalData(columns, addresses, op, env)
        case .search(let predicate, let tables): return bindSearch(predicate, tables, nil, op, env)
        case .find(let tables, let predicate, let columns): return bindFind(tables, predicate, columns, op, env)
        default:
            unsupported(op)
            return nil
        }
    }

    private func bindPrint(_ items: [Expr], _ op: Operator, _ env: Environment?) -> Relation? {
        var p = Projection()
        for (i, item) in items.enumerated() { addItem(item, i, into: &p, Scope(env), .print) }
        return Relation(plan: Plan(.print(p.exprs), columns: p.columns, range: op.range), isSerialized: true)
    }

    private func bindRange(_ name: Name, _ from: Expr, _ to: Expr, _ step: Expr, _ op: Operator, _ env: Environment?) -> Relation? {
        let scope = Scope(env)
        let bf = bind(from, scope), bt = bind(to, scope), bs = bind(step, scope)
        guard var f = bf, var t = bt, var s = bs else { return nil }
        let type: ScalarType
        switch (f.type, t.type, s.type) {
        case (.datetime, .datetime, .timespan), (.timespan, .timespan, .timespan):
            type = f.type
        default:
            if f.type == .dynamic { f = convert(f, to: .long) }
            if t.type == .dynamic { t = convert(t, to: .long) }
            if s.type == .dynamic { s = convert(s, to: .long) }
            guard let w = TypeRules.widest(f.type, t.type).flatMap({ TypeRules.widest($0, s.type) }) else {
                error(
                    .rangeTypes, "`range` is not defined from \(f.type.rawValue) to \(t.type.rawValue) step \(s.type.rawValue)", op.range,
                    mend: "use numbers, or datetimes with a timespan as step")
                return nil
            }
            type = w
            (f, t, s) = (convert(f, to: w), convert(t, to: w), convert(s, to: w))
        }
        let c = column(name.text, type)
        return Relation(plan: Plan(.range(from: f, to: t, step: s), columns: [c], range: op.range), isSerialized: true)
    }

    private func bindDatatable(_ declared: [TypedName], _ cells: [Expr], _ op: Operator, _ env: Environment?) -> Relation? {
        var columns: [BoundColumn] = []
        for d in declared {
            guard let type = d.type else { return nil }
            if columns.contains(where: { $0.name == d.name.text }) {
                error(.duplicateColumn, "column `\(d.name.text)` is declared twice", d.name.range)
                return nil
            }
            columns.append(column(d.name.text, type))
        }
        guard !columns.isEmpty else {
            error(.datatableCells, "a datatable needs at least one column", op.range)
            return nil
        }
        guard cells.count % columns.count == 0 else {
            error(.datatableCells, "\(count(cells.count, "value")) do not fill rows of \(count(columns.count, "column"))", op.range)
            return nil
        }
        var rows: [[Value]] = []
        rows.reserveCapacity(cells.count / columns.count)
        var failed = false
        var row: [Value] = []
        for (i, cell) in cells.enumerated() {
            let type = columns[i % columns.count].type
            if let v = bind(cell, Scope(env)).flatMap({ self.cell($0, type) }) { row.append(v) } else { failed = true }
            if i % columns.count == columns.count - 1 {
                rows.append(row)
                row.removeAll(keepingCapacity: true)
            }
        }
        if failed { return nil }
        return Relation(plan: Plan(.rows(rows), columns: columns, range: op.range), isSerialized: true)
    }

    /// A datatable's cell as its column's type: literals are converted, as when data is read.
    private func cell(_ e: BoundExpr, _ type: ScalarType) -> Value? {
        guard let v = constantValue(e) else {
            error(.datatableCells, "a datatable's value must be a constant", e.range)
            return nil
        }
        if v.type == type { return v }
        if v.isNull { return .missing(type) }
        if type == .dynamic { return ConstantFold.dynamic(v).map { $0 == .null ? .null(.dynamic) : .dynamic($0) } }
        if case .constant(let c) = convert(e, to: type).kind { return c }
        if v.type == .string { return .missing(type) }
        error(.datatableCells, "a \(v.type.rawValue) does not fit a column of type \(type.rawValue)", e.range)
        return nil
    }
}
