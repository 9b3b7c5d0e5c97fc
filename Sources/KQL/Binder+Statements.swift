import Columnar

// Statements, lets and let functions.

extension BindingSession {
    /// Binds the statements of a query; the plan of its last tabular expression statement.
    func bindTree(_ tree: SyntaxTree) -> Plan? {
        var env: Environment?
        var results: [QueryResult] = []
        var failed = false
        var resultRange: SourceRange?
        for s in tree.statements {
            guard admit(s.range) else { return nil }
            switch s.kind {
            case .expression(let e):
                if let first = resultRange, !options.severalResults {
                    error(
                        .severalQueries, "a query gives one result; this is a second one", e.range,
                        mend: "remove it or union it with the first, which ends at offset \(first.upper)")
                    continue
                }
                resultRange = e.range
                if isMissing(e) { continue }
                if isTabular(e, env) {
                    guard let more = bindResults(e, &env) else {
                        failed = true
                        continue
                    }
                    if more.count > 1, !options.severalResults {
                        error(.severalResults, "the query gives \(more.count) tables; only one is possible here", e.range)
                    }
                    // `graph-to-table nodes as N, edges as E; N; E` gives two tables.
                    results = results.filter { !$0.isDefinition } + more
                } else if bind(e, Scope(env)) != nil {
                    error(.notTabular, "the query gives a scalar, not rows", e.range, mend: "write `print` before it")
                }
            default:
                env = declare(s, env)
            }
        }
        if resultRange == nil, !tree.diagnostics.contains(where: { $0.severity == .error }) {
            let end = tree.source.utf8.count
            error(.noQuery, "there is no query after the statements", SourceRange(end, end))
        }
        if results.count > 1 { resultNames = results.map(\.name) }
        return failed ? nil : combine(results, resultRange ?? SourceRange(0, 0))
    }

    /// The environment after a statement that declares something.
    func declare(_ s: Statement, _ env: Environment?, row: RowScope? = nil) -> Environment? {
        switch s.kind {
        case .letValue(let name, let value):
            return Environment(name.text, letEntry(value, env, row), parent: env)
        case .letFunction(let name, let parameters, let body):
            return Environment(name.text, .function(parameters, body, env ?? Environment.root), parent: env)
        case .declareParameters(let parameters):
            var e = env
            for p in parameters { e = declareParameter(p, e) }
            return e
        case .declarePattern(let p):
            return Environment(p.name.text, .pattern(p, env ?? Environment.root), parent: env)
        case .other(let keyword):
            error(.unsupportedStatement, "statement `\(keyword.text)` is not supported", s.range)
            return env
        case .set(let name, let value):
            switch name.text.lowercased() {
            case "query_bin_auto_size" where value != nil: autoBins.size = value
            case "query_bin_auto_at" where value != nil: autoBins.origin = value
            case let option where BindingSession.answeringOptions.contains(option):
                error(
                    .unsupportedOption, "the option `\(name.text)` changes what a query gives and is not supported", name.range,
                    mend: "leave it out")
            default: warning(.optionIgnored, "`set \(name.text)` is an option of Kusto's service and has no effect here", name.range)
            }
            return env
        case .expression:
            return env
        }
    }

    /// Options of `set` that would give other rows.
    private static let answeringOptions: Set<String> = ["query_now", "query_take_max_records"]

    private func declareParameter(_ p: Parameter, _ env: Environment?) -> Environment? {
        guard case .scalar(let type) = p.kind else {
            error(.unsupportedStatement, "a query parameter must be a scalar", p.name.range)
            return Environment(p.name.text, .failed, parent: env)
        }
        let value: BoundExpr?
        if let v = options.parameters[p.name.text] {
            value = BoundExpr(.constant(v), v.type, p.name.range)
        } else if let d = p.defaultValue {
            value = bind(d, Scope(env))
        } else {
            error(.missingParameter, "query parameter `\(p.name.text)` has no value", p.name.range)
            value = nil
        }
        guard let v = value, let fitted = type.map({ assign(v, to: $0) }) ?? v else {
            return Environment(p.name.text, .failed, parent: env)
        }
        return Environment(p.name.text, .scalar(fitted, row: nil), parent: env)
    }

    private func letEntry(_ value: Expr, _ env: Environment?, _ row: RowScope?) -> Environment.Entry {
        if isMissing(value) { return .failed }
        if isTabular(value, env) {
            if let call = materializeArgument(value) {
                guard let (shared, relation) = bindMaterialized(value, call, env) else { return .failed }
                return .shared(shared, relation)
            }
            // Bound once here for its errors, then again at each use.
            guard let r = bindRelation(value, env), !r.isUnknown else { return .failed }
            return .tabular(value, env ?? Environment.root)
        }
        guard let e = bind(value, Scope(env, row: row)) else { return .failed }
        return .scalar(e, row: usesColumns(e) ? row?.serial : nil)
    }

    /// The argument of `materialize(...)`, if the expression is such a call.
    func materializeArgument(_ e: Expr) -> Expr? {
        switch e.kind {
        case .paren(let inner): return materializeArgument(inner)
        case .query(let q) where q.operators.isEmpty:
            if case .expression(let inner) = q.source { return materializeArgument(inner) }
            return nil
        case .call(let name, let args) where name.text == "materialize" && args.count == 1: return args.first
        default: return nil
        }
    }

    func bindMaterialized(_ node: Expr, _ argument: Expr, _ env: Environment?) -> (SharedPlan, Relation)? {
        let key = ObjectIdentifier(node)
        if expanding.isEmpty, let known = materialized[key] { return known }
        guard let r = bindTabular(argument, env), !r.isUnknown else { return nil }
        let entry = (share(r.plan), r)
        if expanding.isEmpty { materialized[key] = entry }
        return entry
    }

    func isMissing(_ e: Expr) -> Bool {
        if case .missing = e.kind { return true }
        if case .query(let q) = e.kind, q.operators.isEmpty, case .expression(let s) = q.source { return isMissing(s) }
        return false
    }

    // MARK: Kinds

    /// Whether an expression gives rows rather than one value. Names that are not known count as tables where a table is as likely.
    func isTabular(_ e: Expr, _ env: Environment?) -> Bool {
        switch e.kind {
        case .paren(let inner): return isTabular(inner, env)
        case .query(let q):
            if !q.operators.isEmpty { return true }
            switch q.source {
            case .generator, .input: return true
            case .expression(let s): return isTabular(s, env)
            }
        case .name(let n):
            switch lookup(n.text, env) {
            case .scalar?: return false
            case .tabular?, .shared?, .pattern?: return true
            case .marker(let tabular)?: return tabular
            case .function(let p, let body, let e)?: return isTabularFunction(body, p, e)
            case .failed?: return true
            case nil: return true
            }
        case .methodCall: return true
        case .member(let base, _):
            if patternCall(e, env) != nil { return true }
            if case .call(let n, _) = base.kind { return n.text == "database" || n.text == "cluster" || n.text == "workspace" }
            if case .methodCall = base.kind { return true }
            return false
        case .call(let n, _):
            if patternCall(e, env) != nil { return true }
            if case .function(let p, let body, let e)? = lookup(n.text, env) { return isTabularFunction(body, p, e) }
            if n.text == "toscalar" { return false }
            if BindingSession.tabularFunctions.contains(n.text) { return true }
            if BindingSession.builtinScalars.contains(n.text) || scalarSignature(n.text) != nil || functions.aggregate(n.text) != nil {
                return false
            }
            if functions.refusal(n.text) != nil { return false }
            // Saved functions that give rows are customarily capitalised; scalar functions never are.
            return n.text.first.map { $0 == "_" || $0.isUppercase } ?? true
        default: return false
        }
    }

    /// Asked again and again of the same functions, which call each other: each is looked into once.
    private func isTabularFunction(_ body: FunctionBody, _ parameters: [Parameter], _ env: Environment) -> Bool {
        let key = FunctionKey(body: ObjectIdentifier(body), home: ObjectIdentifier(env))
        if let known = functionKinds[key] { return known.isTabular }
        kindDepth += 1
        defer { kindDepth -= 1 }
        // Deeper calls than this are refused when they are bound.
        let result = kindDepth <= 100 && isTabular(body, parameters, env)
        functionKinds[key] = (result, env)
        return result
    }

    private func isTabular(_ body: FunctionBody, _ parameters: [Parameter], _ env: Environment) -> Bool {
        var e = env
        for p in parameters {
            if case .tabular = p.kind {
                e = Environment(p.name.text, .marker(isTabular: true), parent: e)
            } else {
                e = Environment(p.name.text, .marker(isTabular: false), parent: e)
            }
        }
        for s in body.statements {
            switch s.kind {
            case .letValue(let n, let v): e = Environment(n.text, .marker(isTabular: isTabular(v, e)), parent: e)
            case .letFunction(let n, let p, let b): e = Environment(n.text, .function(p, b, e), parent: e)
            default: break
            }
        }
        return isTabular(body.result, e)
    }

    // MARK: Let functions

    /// The environment of a function's body with its arguments bound; `piped` is the table of `invoke`.
    func enter(
        _ name: Name, _ parameters: [Parameter], _ arguments: [Expr], _ home: Environment, _ caller: Scope, piped: Relation? = nil
    ) -> Environment? {
        guard expanding.count < 64 else {
            error(.recursion, "functions are nested too deeply at `\(name.text)`", name.range)
            return nil
        }
        var given: [Int: Expr] = [:]
        var position = piped == nil ? 0 : 1
        var failed = false
        for a in arguments {
            if case .named(let names, let value) = a.kind, let n = names.first {
                guard let i = parameters.firstIndex(where: { $0.name.text == n.text }) else {
                    unknown(.namedArgument, "parameter", n.text, n.range, among: parameters.map(\.name.text))
                    failed = true
                    continue
                }
                given[i] = value
                position = max(position, i + 1)
            } else {
                given[position] = a
                position += 1
            }
        }
        let expected = parameters.count
        if position > expected {
            error(.argumentCount, "`\(name.text)` takes \(count(expected, "argument")), not \(position)", name.range)
            return nil
        }
        if failed { return nil }
        var env = home
        for (i, p) in parameters.enumerated() {
            let entry: Environment.Entry
            if i == 0, let piped {
                guard case .tabular(let columns) = p.kind else {
                    error(.argumentType, "`invoke` needs a function whose first parameter is tabular", name.range)
                    return nil
                }
                let fitted = fit(piped, to: columns, name.range)
                entry = .shared(share(fitted.plan), fitted)
            } else if let a = given[i] {
                entry = argument(a, for: p, caller)
            } else if let d = p.defaultValue {
                entry = argument(d, for: p, Scope(home))
            } else {
                error(.argumentCount, "`\(name.text)` needs an argument for parameter `\(p.name.text)`", name.range)
                return nil
            }
            if case .failed = entry { failed = true }
            env = Environment(p.name.text, entry, parent: env)
        }
        return failed ? nil : env
    }

    private func argument(_ a: Expr, for p: Parameter, _ caller: Scope) -> Environment.Entry {
        switch p.kind {
        case .tabular(let columns):
            guard isTabular(a, caller.env) else {
                error(.notTabular, "parameter `\(p.name.text)` takes a table", a.range)
                return .failed
            }
            guard let r = bindTabular(a, caller.env), !r.isUnknown else { return .failed }
            guard let columns else { return .tabular(a, caller.env ?? Environment.root) }
            var missing = false
            for c in columns where r.columns.first(where: { $0.name == c.name.text })?.type != c.type ?? .dynamic {
                error(
                    .argumentType, "the table given for `\(p.name.text)` lacks column `\(c.name.text)` of type \(c.type?.rawValue ?? "?")",
                    a.range)
                missing = true
            }
            return missing ? .failed : .tabular(a, caller.env ?? Environment.root)
        case .scalar(let type):
            guard let v = bind(a, caller) else { return .failed }
            guard let type else { return .scalar(v, row: usesColumns(v) ? caller.row?.serial : nil) }
            guard let fitted = assign(v, to: type) else { return .failed }
            return .scalar(fitted, row: usesColumns(fitted) ? caller.row?.serial : nil)
        }
    }

    /// The piped table as the parameter declares it: the columns named, in their order; all with `(*)`.
    private func fit(_ r: Relation, to columns: [TypedName]?, _ range: SourceRange) -> Relation {
        guard let columns, !r.isUnknown else { return r }
        for c in columns where !r.columns.contains(where: { $0.name == c.name.text }) {
            unknown(.unknownColumn, "column", c.name.text, range, among: r.columns.map(\.name))
        }
        return r
    }

    /// The body's statements declared on top of its parameters.
    func bodyEnvironment(_ body: FunctionBody, _ env: Environment, row: RowScope? = nil) -> Environment {
        var e: Environment? = env
        for s in body.statements { e = declare(s, e, row: row) }
        return e ?? env
    }

    func callScalarFunction(
        _ name: Name, _ p: [Parameter], _ body: FunctionBody, _ home: Environment, _ args: [Expr], _ scope: Scope, _ range: SourceRange
    ) -> BoundExpr? {
        guard let env = enter(name, p, args, home, scope), expand(name, body) else { return nil }
        defer { leave(body) }
        // The body sees no columns by name, but arguments may carry the caller's.
        let blind = scope.row.map { self.blind($0) }
        let inner = bodyEnvironment(body, env, row: blind)
        if isTabular(body.result, inner) {
            error(.notScalar, "function `\(name.text)` gives rows where a value is needed", range, mend: "wrap the call in toscalar()")
            return nil
        }
        return bind(body.result, Scope(inner, row: blind))
    }

    /// A row scope with the same identity but without names.
    private func blind(_ row: RowScope) -> RowScope {
        RowScope(
            Relation(plan: Plan(.rows([]), columns: [], range: row.relation.plan.range), isSerialized: row.relation.isSerialized),
            serial: row.serial)
    }

    func callTabularFunction(
        _ name: Name, _ p: [Parameter], _ body: FunctionBody, _ home: Environment, _ args: [Expr], _ scope: Scope, piped: Relation? = nil,
        kind: String = "function", _ range: SourceRange
    ) -> Relation? {
        guard let env = enter(name, p, args, home, scope, piped: piped), expand(name, body) else { return nil }
        defer { leave(body) }
        let inner = bodyEnvironment(body, env)
        guard isTabular(body.result, inner) else {
            error(.notTabular, "\(kind) `\(name.text)` gives a value where rows are needed", range)
            return nil
        }
        return bindRelation(body.result, inner)
    }

    func count(_ n: Int, _ what: String) -> String { n == 1 ? "1 \(what)" : "\(n) \(what)s" }
}

extension Environment {
    /// The empty environment, for closures made at top level.
    static var root: Environment { Environment("", .failed, parent: nil) }
}
