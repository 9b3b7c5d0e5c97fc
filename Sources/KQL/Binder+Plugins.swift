import Columnar

// `evaluate`: plugins whose result schema is known before the data is.

extension BindingSession {
    func bindEvaluate(_ call: Expr, _ schema: [TypedName]?, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        guard case .call(let name, let args) = call.kind else {
            error(.unsupportedPlugin, "`evaluate` takes a plugin call", call.range)
            return unknownRelation(op.range)
        }
        switch name.text {
        case "bag_unpack": return bindBagUnpack(name, args, schema, input, scope, op)
        case "pivot": return bindPivot(name, args, schema, input, scope, op)
        case "ipv4_lookup", "ipv6_lookup": return bindIPLookup(name, args, input, scope, op)
        case "narrow": return bindNarrow(name, args, input, op)
        case "dcount_intersect": return bindDistinctIntersection(name, args, input, scope, op)
        case "schema_merge": return bindSchemaMerge(name, args, input, scope, op)
        case "rolling_percentile": return bindRollingPercentile(name, args, input, scope, op)
        case "autocluster", "basket", "diffpatterns": return bindPatterns(name, args, input, scope, op)
        case "sequence_detect": return bindSequence(name, args, input, scope, op)
        case "funnel_sequence_completion": return bindFunnelCompletion(name, args, input, scope, op)
        case "geo_line_lookup", "geo_polygon_lookup": return bindGeoLookup(name, args, input, scope, op)
        default:
            if let activity = bindActivity(name, args, input, scope, op) { return activity }
            let reason =
                name.text == "preview"
                ? "it gives two tables, which only the end of a hunt can" : Language.element(.plugin, name.text)?.refusal
            if let reason {
                error(.unsupportedPlugin, "plugin `\(name.text)` is not supported: \(reason)", name.range)
            } else {
                unknown(.unsupportedPlugin, "plugin", name.text, name.range, among: Language.plugins.filter(\.isSupported).map(\.name))
            }
            return unknownRelation(op.range)
        }
    }

    /// The declared result columns; `*` stands for the columns given. Nil after reporting.
    private func declared(_ schema: [TypedName]?, star: [BoundColumn], _ name: Name) -> [(column: BoundColumn, isInput: Bool)]? {
        guard let schema else {
            error(
                .needsSchema, "the result columns of `\(name.text)` depend on the data and must be declared", name.range,
                mend: "write evaluate \(name.text)(...) : (column: type, ...)")
            return nil
        }
        var out: [(BoundColumn, Bool)] = []
        for s in schema {
            if s.name.text == "*" {
                for c in star { out.append((c, true)) }
            } else if let c = star.first(where: { $0.name == s.name.text }), s.type == nil || c.type == s.type {
                out.append((c, true))
            } else {
                out.append((column(s.name.text, s.type ?? .dynamic), false))
            }
        }
        return out
    }

    private func bindBagUnpack(
        _ name: Name, _ args: [Expr], _ schema: [TypedName]?, _ input: Relation, _ scope: Scope, _ op: Operator
    ) -> Relation {
        guard let first = args.first, let bag = bind(first, scope) else { return unknownRelation(op.range) }
        guard bag.type == .dynamic else {
            error(.notDynamic, "`bag_unpack` needs a dynamic column, not a \(bag.type.rawValue)", first.range)
            return unknownRelation(op.range)
        }
        let bagColumn = referencedColumn(first, scope)
        let rest = input.columns.filter { $0.id != bagColumn?.id }
        var options: [String: Value] = [:]
        var position = 0
        for a in args.dropFirst() {
            var key = ["prefix", "columnsConflict", "ignoredProperties"][min(position, 2)]
            var value = a
            if case .named(let n, let v) = a.kind, let given = n.first { (key, value) = (given.text, v) } else { position += 1 }
            guard ["prefix", "OutputColumnPrefix", "columnsConflict", "ignoredProperties"].contains(key) else {
                unknown(.badParameter, "setting", key, a.range, among: ["columnsConflict", "ignoredProperties", "OutputColumnPrefix"])
                return unknownRelation(op.range)
            }
            guard let v = bind(value, Scope(scope.env)).flatMap(constantValue) else {
                error(.notConstant, "`\(key)` must be a constant", value.range)
                return unknownRelation(op.range)
            }
            options[key == "OutputColumnPrefix" ? "prefix" : key] = v
        }
        var columns: [(column: BoundColumn, isInput: Bool)]
        if schema == nil, options.isEmpty || self.options.probe != nil, let found = probed(bag, input, op) {
            guard let inferred = bagColumns(found, rest, options, op) else { return unknownRelation(op.range) }
            columns = inferred
        } else {
            guard let given = declared(schema, star: rest, name) else { return unknownRelation(op.range) }
            columns = given
        }
        return Relation(
            plan: Plan(
                .custom(name: "bag_unpack", inputs: [input.plan], arguments: [bag], options: options), columns: columns.map(\.column),
                range: op.range))
    }

    /// Most columns that a plugin may make of data.
    private static let mostColumns = 2000

    /// The values of an expression over the input's rows, by running them; nil where that cannot be done.
    private func probed(_ e: BoundExpr, _ input: Relation, _ op: Operator) -> [Value]? {
        guard let probe = options.probe, !input.isUnknown else { return nil }
        let c = column("$probe", e.type)
        do {
            let rows = try probe(Plan(.project(input.plan, [e]), columns: [c], range: op.range))
            return rows.flatMap { b in b.columns.first.map { c in (0..<b.count).map { c.value($0) } } ?? [] }
        } catch {
            self.error(.needsSchema, "the rows that the result's columns depend on cannot be computed: \(error)", op.range)
            return nil
        }
    }

    /// The columns that bags give: their keys in order, each of the type of its values, dynamic where those differ.
    private func bagColumns(
        _ values: [Value], _ rest: [BoundColumn], _ options: [String: Value], _ op: Operator
    ) -> [(column: BoundColumn, isInput: Bool)]? {
        var types: [ByteKey: ScalarType?] = [:]
        var ignored: Set<String> = []
        if case .dynamic(.array(let names))? = options["ignoredProperties"] {
            for case .string(let n) in names { ignored.insert(n) }
        }
        for v in values {
            guard case .dynamic(.object(let members)) = v else { continue }
            for m in members where !ignored.contains(m.key) {
                let type: ScalarType?
                switch m.value {
                case .null: type = nil
                case .bool: type = .bool
                case .long: type = .long
                case .real: type = .real
                case .string: type = .string
                case .array, .object: type = .dynamic
                }
                let key = ByteKey(m.key)
                guard let type else {
                    if types[key] == nil { types[key] = .some(nil) }
                    continue
                }
                switch types[key] {
                case .some(.some(let known)) where known != type: types[key] = .dynamic
                case .some(.some): break
                default: types[key] = type
                }
            }
        }
        guard types.count <= BindingSession.mostColumns else {
            error(
                .tooLarge, "the bags have \(types.count) different properties; at most \(BindingSession.mostColumns) can become columns",
                op.range, mend: "declare those that are needed")
            return nil
        }
        var prefix = ""
        if case .string(let p)? = options["prefix"] { prefix = p }
        var conflict = "error"
        if case .string(let c)? = options["columnsConflict"] { conflict = c }
        guard ["error", "replace_source", "keep_source"].contains(conflict) else {
            error(.badParameter, "`columnsConflict` is error, replace_source or keep_source, not `\(conflict)`", op.range)
            return nil
        }
        var source = rest
        var made: [(column: BoundColumn, isInput: Bool)] = []
        for (key, type) in types.sorted(by: { $0.key < $1.key }) {
            let name = prefix + key.text
            if let at = source.firstIndex(where: { $0.name == name }) {
                // The column that is kept stands where the property's would, as the page shows.
                if conflict == "keep_source" {
                    made.append((source.remove(at: at), true))
                    continue
                }
                guard conflict == "replace_source" else {
                    error(
                        .duplicateColumn, "there is a column `\(name)` already", op.range,
                        mend: "give a prefix, or columnsConflict='replace_source'")
                    return nil
                }
                source.remove(at: at)
            }
            made.append((column(name, type ?? .dynamic), false))
        }
        return source.map { ($0, true) } + made
    }

    private func bindPivot(
        _ name: Name, _ args: [Expr], _ schema: [TypedName]?, _ input: Relation, _ scope: Scope, _ op: Operator
    ) -> Relation {
        guard let first = args.first, let key = bind(first, scope) else { return unknownRelation(op.range) }
        let collector = AggregateCollector(keyColumns: [])
        var inner = scope
        inner.aggregates = collector
        var aggregate: BoundAggregate?
        var groups = args.dropFirst()
        if let second = groups.first, case .call(let fn, let fnArgs) = second.kind, let sig = functions.aggregate(fn.text) {
            guard let a = bindAggregate(sig, fn, fnArgs, second.range, inner) else { return unknownRelation(op.range) }
            aggregate = a
            groups = groups.dropFirst()
        }
        var used: Set<ColumnID> = []
        collectColumns(key, into: &used)
        for a in aggregate?.arguments ?? [] { collectColumns(a, into: &used) }
        var by: [BoundColumn] = []
        if groups.isEmpty {
            by = input.columns.filter { !used.contains($0.id) }
        } else {
            for g in groups {
                guard let c = referencedColumn(g, scope) else {
                    if bind(g, scope) != nil { error(.notColumn, "`pivot` groups by columns", g.range) }
                    return unknownRelation(op.range)
                }
                by.append(c)
            }
        }
        var found: [(column: BoundColumn, isInput: Bool)]?
        if schema == nil, let values = probed(convert(key, to: .string), input, op) {
            var names: Set<ByteKey> = []
            for v in values { if case .string(let s) = v { names.insert(ByteKey(s)) } }
            let type = aggregate?.outputs.first?.type ?? .long
            found = by.map { ($0, true) } + names.sorted().map { (column($0.text, type), false) }
        }
        guard let columns = found ?? declared(schema, star: by, name) else { return unknownRelation(op.range) }
        // Arguments: the pivoted value, those of the aggregate, then the group columns.
        let options: [String: Value] = [
            "aggregate": .string(aggregate?.name ?? "count"), "aggregateArguments": .long(Int64(aggregate?.arguments.count ?? 0)),
        ]
        let groupExprs = by.map { BoundExpr(.column($0.id), $0.type, op.range) }
        return Relation(
            plan: Plan(
                .custom(
                    name: "pivot", inputs: [input.plan], arguments: [key] + (aggregate?.arguments ?? []) + groupExprs, options: options),
                columns: columns.map(\.column), range: op.range))
    }

    private func bindIPLookup(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var positional: [Expr] = []
        var unmatched = false
        for a in args {
            if case .named(let n, let v) = a.kind, n.first?.text == "return_unmatched" {
                if case .constant(.bool(let b))? = bind(v, Scope(scope.env))?.kind { unmatched = b }
            } else {
                positional.append(a)
            }
        }
        if positional.count > 3, case .literal(.bool(let b))? = positional.last?.kind {
            unmatched = b
            positional.removeLast()
        }
        guard positional.count >= 3 else {
            error(.argumentCount, "`\(name.text)` takes a table, the source's key and the table's key", op.range)
            return unknownRelation(op.range)
        }
        guard let table = bindTabular(positional[0], scope.env), !table.isUnknown, let source = bind(positional[1], scope),
            let key = bind(positional[2], Scope(scope.env, row: row(table)))
        else { return unknownRelation(op.range) }
        guard source.type == .string, key.type == .string else {
            error(.joinKeyTypes, "`\(name.text)` needs string keys", op.range, mend: "convert them with tostring()")
            return unknownRelation(op.range)
        }
        if input.isUnknown { return input }
        // Arguments: the key over the first input, the key over the second; then in turn the further keys over each.
        var arguments = [source, key]
        var shared: Set<ColumnID> = []
        for a in positional.dropFirst(3) {
            guard let mine = columnArguments([a], name, scope)?.first, let left = reference(mine, a.range) else {
                return unknownRelation(op.range)
            }
            guard let theirs = table.columns.first(where: { $0.name == mine.name }) else {
                unknown(.unknownColumn, "column of the table", mine.name, a.range, among: table.columns.map(\.name))
                return unknownRelation(op.range)
            }
            guard let type = TypeRules.common([mine.type, theirs.type]), type != .dynamic else {
                error(
                    .joinKeyTypes, "`\(mine.name)` is a \(mine.type.rawValue) here and a \(theirs.type.rawValue) in the table", a.range,
                    mend: "convert one of them")
                return unknownRelation(op.range)
            }
            arguments += [convert(left, to: type), convert(BoundExpr(.column(theirs.id), theirs.type, a.range), to: type)]
            shared.insert(theirs.id)
        }
        // A further key has one value on both sides, so it is given once, as `lookup` does.
        return Relation(
            plan: Plan(
                .custom(
                    name: name.text, inputs: [input.plan, table.plan], arguments: arguments,
                    options: ["return_unmatched": .bool(unmatched)]),
                columns: joined(input.columns, table.columns.filter { !shared.contains($0.id) }), range: op.range))
    }

    private func bindNarrow(_ name: Name, _ args: [Expr], _ input: Relation, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        let columns = [column("Row", .long), column("Column", .string), column("Value", .string)]
        return Relation(
            plan: Plan(.custom(name: "narrow", inputs: [input.plan], arguments: [], options: [:]), columns: columns, range: op.range))
    }
}
