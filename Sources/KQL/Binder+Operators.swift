import Columnar

// Operators with one input whose result is a filter, a projection or an order.

/// How columns are listed: what the operator does with names that suggest themselves or are taken.
enum ProjectionStyle {
    case project, extend, print
}

extension BindingSession {
    /// Binds an operator over its input. Never fails: what could not be bound is reported, and the result is as near as it can be.
    func apply(_ op: Operator, _ input: Relation, _ env: inout Environment?) -> Relation {
        if let shape = input.graph { return applyToGraph(op, input, shape, &env) }
        let scope = Scope(env, row: row(input))
        switch op.kind {
        case .filter(let e): return bindFilter(e, input, scope, op)
        case .extend(let items): return bindExtend(items, input, scope, op)
        case .project(let items): return bindProject(items, input, scope, op)
        case .projectAway(let items): return bindProjectAway(items, input, op, keep: false)
        case .projectKeep(let items): return bindProjectAway(items, input, op, keep: true)
        case .projectRename(let items): return bindProjectRename(items, input, scope, op)
        case .projectReorder(let items): return bindProjectReorder(items, input, op)
        case .take(let n):
            guard let count = rowCount(n, scope) else { return input }
            return input.with(Plan(.take(input.plan, count), columns: input.columns, range: op.range))
        case .top(let n, let keys):
            let count = rowCount(n, scope)
            guard let sorted = sortKeys(keys, scope), let count else { return input.serialized(true) }
            return input.with(Plan(.top(input.plan, count, sorted), columns: input.columns, range: op.range)).serialized(true)
        case .sort(let keys):
            guard let sorted = sortKeys(keys, scope) else { return input.serialized(true) }
            return input.with(Plan(.sort(input.plan, sorted), columns: input.columns, range: op.range)).serialized(true)
        case .distinct(let items): return bindDistinct(items, input, scope, op)
        case .count(let name): return bindCount(name, input, op)
        case .summarize(let aggregates, let keys): return bindSummarize(aggregates, keys, input, scope, op)
        case .join(let right, let on): return bindJoin(right, on, input, env, op)
        case .lookup(let right, let on): return bindLookup(right, on, input, env, op)
        case .union(let branches): return bindUnion(input, branches, op, env) ?? unknownRelation(op.range)
        case .mvExpand(let items, let limit): return bindMvExpand(items, limit, input, scope, op)
        case .mvApply(let items, let limit, let body): return bindMvApply(items, limit, body, input, scope, op)
        case .parse(let e, let segments, let filters): return bindParse(e, segments, filters, input, scope, op)
        case .parseKv(let e, let columns): return bindParseKv(e, columns, input, scope, op)
        case .serialize(let items):
            let ordered = input.with(Plan(.serialize(input.plan), columns: input.columns, range: op.range)).serialized(true)
            if items.isEmpty { return ordered }
            return bindExtend(items, ordered, Scope(env, row: row(ordered)), op)
        case .getschema:
            if let kind = op.parameter("kind") {
                error(.unsupportedOption, "`kind` of `getschema` is not supported: it is not documented", kind.range, mend: "leave it out")
                return unknownRelation(op.range)
            }
            if input.isUnknown { return input }
            let columns = [
                column("ColumnName", .string), column("ColumnOrdinal", .int), column("DataType", .string), column("ColumnType", .string),
            ]
            return Relation(plan: Plan(.getschema(input.plan), columns: columns, range: op.range), isSerialized: true)
        case .sample(let n):
            guard let count = rowCount(n, scope) else { return input }
            return input.with(Plan(.sample(input.plan, count), columns: input.columns, range: op.range)).serialized(false)
        case .sampleDistinct(let n, let of):
            let count = rowCount(n, scope)
            let distinct = bindDistinct([of], input, scope, op)
            guard let count, !distinct.isUnknown else { return distinct }
            return distinct.with(Plan(.take(distinct.plan, count), columns: distinct.columns, range: op.range))
        case .alias(let name):
            if input.isUnknown {
                env = Environment(name.text, .failed, parent: env)
                return input
            }
            let shared = share(input.plan)
            env = Environment(name.text, .shared(shared, input), parent: env)
            var named = reference(shared, input, op.range)
            named.alias = name.text
            return named
        case .render(let kind):
            render = bindRender(kind, op)
            return input
        case .makeSeries(let items, let on, let from, let to, let step, let keys):
            return bindMakeSeries(items, on: on, from: from, to: to, step: step, keys: keys, input, scope, op)
        case .partition(let by, let body): return bindPartition(by, body, input, scope, op)
        case .projectByNames(let items): return bindProjectByNames(items, input, scope, op)
        case .scan(let clause): return bindScan(clause, input, scope, op)
        case .makeGraph(let clause): return bindMakeGraph(clause, input, scope, op)
        case .graphMatch, .graphShortestPaths, .graphMarkComponents, .graphToTable, .graphWhere:
            return input.isUnknown ? input : refuseRows(op)
        case .consume: return bindConsume(input, op)
        case .fork, .facet:
            error(
                .severalResults, "`\(op.keyword.text)` gives several tables; only the end of a query may do so", op.keyword.range,
                mend: "use one query for each table, or union them")
            return unknownRelation(op.range)
        case .search(let predicate, let tables):
            if let first = tables.first {
                error(.unsupportedOption, "`in` is for `search` without an input", first.range, mend: "leave it out")
                return unknownRelation(op.range)
            }
            if input.isUnknown { return input }
            return bindSearch(predicate, [], input, op, scope.env) ?? unknownRelation(op.range)
        case .topNested(let levels): return bindTopNested(levels, input, scope, op)
        case .topHitters(let n, let of, let by): return bindTopHitters(n, of, by, input, scope, op)
        case .reduce(let e): return bindReduce(e, input, scope, op)
        case .invoke(let call): return bindInvoke(call, input, scope, op)
        case .evaluate(let call, let schema): return bindEvaluate(call, schema, input, scope, op)
        case .print, .range, .datatable:
            // The parser has said that it takes no input.
            return unknownRelation(op.range)
        default:
            unsupported(op)
            return unknownRelation(op.range)
        }
    }

    /// Refuses an operator by its name.
    func unsupported(_ op: Operator) {
        let mend: String?
        switch op.kind {
        case .externaldata: mend = "inline the data with `datatable`"
        case .find: mend = "write it at the start of the query"
        default: mend = nil
        }
        let reason = Language.element(.tabularOperator, op.keyword.text)?.refusal ?? "it is not supported here"
        error(.unsupportedOperator, "operator `\(op.keyword.text)` is not supported: \(reason)", op.keyword.range, mend: mend)
    }

    /// A row count: an integer that does not depend on the row.
    func rowCount(_ e: Expr, _ scope: Scope) -> BoundExpr? {
        guard let n = bind(e, Scope(scope.env)) else { return nil }
        if n.type == .dynamic { return convert(n, to: .long) }
        if case .constant(.real(let d)) = n.kind, d == d.rounded(), abs(d) < 9e15 { return constant(.long(Int64(d)), n.range) }
        guard n.type.isInteger else {
            error(.rowCount, "a number of rows must be an integer, not a \(n.type.rawValue)", e.range)
            return nil
        }
        if let v = constantValue(n)?.integer, v < 0 {
            error(.rowCount, "a number of rows must not be negative", e.range)
            return nil
        }
        return convert(n, to: .long)
    }

    func sortKeys(_ keys: [SortKey], _ scope: Scope) -> [BoundSortKey]? {
        var out: [BoundSortKey] = []
        var failed = false
        for k in keys {
            guard let e = bind(k.expr, scope) else {
                failed = true
                continue
            }
            // Kusto sorts nulls as the least value.
            out.append(BoundSortKey(expr: e, descending: k.descending, nullsFirst: k.nullsFirst ?? !k.descending))
        }
        return failed ? nil : out
    }

    // MARK: Filters

    private func bindFilter(_ e: Expr, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        guard let c = condition(e, scope, "the condition of `where`") else { return input }
        return filter(input, c, op.range)
    }

    /// A filter; a condition with row functions becomes a column first, because those are computed in projections only.
    func filter(_ input: Relation, _ c: BoundExpr, _ range: SourceRange) -> Relation {
        if !savedStack.isEmpty, truth(c) == true { return input }
        guard usesRowFunctions(c) else { return input.with(Plan(.filter(input.plan, c), columns: input.columns, range: range)) }
        let flag = column("$condition", .bool)
        let references = input.columns.map { BoundExpr(.column($0.id), $0.type, range) }
        let extended = Plan(.project(input.plan, references + [c]), columns: input.columns + [flag], range: range)
        let filtered = Plan(.filter(extended, BoundExpr(.column(flag.id), .bool, range)), columns: extended.columns, range: range)
        return input.with(Plan(.project(filtered, references), columns: input.columns, range: range))
    }

    func usesRowFunctions(_ e: BoundExpr) -> Bool {
        switch e.kind {
        case .call(let name, let args): !(scalarSignature(name)?.isRowLocal ?? true) || args.contains(where: usesRowFunctions)
        case .member(let b, _): usesRowFunctions(b)
        case .element(let b, let i): usesRowFunctions(b) || usesRowFunctions(i)
        case .inQuery(_, let l, _): usesRowFunctions(l)
        default: false
        }
    }

    // MARK: Projections

    private func bindExtend(_ items: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var p = Projection()
        for c in input.columns { p.add(c, BoundExpr(.column(c.id), c.type, op.range)) }
        for (i, item) in items.enumerated() { addItem(item, i, into: &p, scope, .extend) }
        return input.with(Plan(.project(input.plan, p.exprs), columns: p.columns, range: op.range))
    }

    private func bindProject(_ items: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var p = Projection()
        p.reserved = givenNames(items, scope)
        for (i, item) in items.enumerated() { addItem(item, i, into: &p, scope, .project) }
        return Relation(
            plan: Plan(.project(input.plan, p.exprs), columns: p.columns, range: op.range), isSerialized: input.isSerialized)
    }

    /// Names that a list gives itself: `x = ...`, and columns that stand alone.
    private func givenNames(_ items: [Expr], _ scope: Scope) -> Set<String> {
        Set(
            items.flatMap { item -> [String] in
                if case .named(let names, _) = item.kind { return names.map(\.text) }
                return referencedColumn(item, scope).map { [$0.name] } ?? []
            })
    }

    /// Adds the columns of one listed expression.
    func addItem(_ item: Expr, _ index: Int, into p: inout Projection, _ scope: Scope, _ style: ProjectionStyle) {
        switch item.kind {
        case .star:
            for c in scope.row?.columns ?? [] { p.add(c, BoundExpr(.column(c.id), c.type, item.range), replacing: true) }
        case .named(let names, let value):
            if names.count > 1 || tupleResults(value, scope) != nil {
                addTuple(names, value, into: &p, scope, style)
                return
            }
            guard let name = names.first else { return }
            let c: BoundColumn, e: BoundExpr
            let source = referencedColumn(value, scope)
            if let bound = source.map({ reference($0, value.range) }) ?? bind(value, scope) {
                e = bound
                c = source.map { renamed($0, name.text) } ?? column(name.text, for: bound)
            } else {
                c = poison(name.text)
                e = constant(.null(.dynamic), item.range)
            }
            if p.isDeclared(name.text) {
                error(.duplicateColumn, "column `\(name.text)` is given twice", name.range, mend: "give one of them another name")
                return
            }
            p.add(c, e, replacing: style == .extend || source != nil, declared: true)
        default:
            if tupleResults(item, scope) != nil {
                addTuple([], item, into: &p, scope, style)
                return
            }
            let source = style == .print ? nil : referencedColumn(item, scope)
            let suggested = style == .print ? "print_\(index)" : resultName(item, scope)
            let bound = source.map { reference($0, item.range) } ?? bind(item, scope)
            if let source {
                if p.isDeclared(source.name) {
                    error(.duplicateColumn, "column `\(source.name)` is given twice", item.range, mend: "give one of them another name")
                    return
                }
                p.add(
                    bound == nil ? poison(source.name) : source, bound ?? constant(.null(.dynamic), item.range), declared: style == .project
                )
                return
            }
            let name = suggested.flatMap { $0.isEmpty ? nil : $0 } ?? defaultName { p.contains($0) || p.reserved.contains($0) }
            if let bound {
                p.add(column(name, for: bound), bound, replacing: style == .extend)
            } else {
                p.add(poison(name), constant(.null(.dynamic), item.range), replacing: style == .extend)
            }
        }
    }

    /// Names and types of the results of a call with several; nil for other expressions.
    private func tupleResults(_ e: Expr, _ scope: Scope) -> [SchemaColumn]? {
        switch e.kind {
        case .paren(let inner): return tupleResults(inner, scope)
        case .call(let n, let args):
            if lookup(n.text, scope.env) != nil { return nil }
            if n.text == "array_sort_asc" || n.text == "array_sort_desc" {
                let arrays = args.filter { if case .literal(.bool) = $0.kind { false } else { true } }
                if arrays.count < 2 { return nil }
                return arrays.enumerated().map { i, a in SchemaColumn("\(resultName(a, scope) ?? "array\(i)")_sorted", .dynamic) }
            }
            guard let tuple = scalarSignature(n.text)?.tuple, !tuple.isEmpty else { return nil }
            let argument = args.first.flatMap { resultName($0, scope) } ?? ""
            return tuple.map {
                SchemaColumn(argument.isEmpty ? "\(n.text)_\($0.name)" : "\(n.text)_\(argument)_\($0.name)", $0.type)
            }
        default: return nil
        }
    }

    /// `(a, b) = f(x)`, or `f(x)` of a function with several results: names given first, then the function's own.
    private func addTuple(_ names: [Name], _ value: Expr, into p: inout Projection, _ scope: Scope, _ style: ProjectionStyle) {
        var inner = value
        while case .paren(let x) = inner.kind { inner = x }
        guard case .call(let name, let args) = inner.kind, let results = tupleResults(inner, scope), let sig = scalarSignature(name.text)
        else {
            _ = bind(value, scope)
            error(.tupleNames, "the expression gives one value for \(count(names.count, "name"))", value.range)
            return
        }
        guard let call = bindScalar(sig, name, args, inner.range, scope) else {
            for n in names { p.add(poison(n.text), constant(.null(.dynamic), value.range), replacing: style == .extend) }
            return
        }
        if names.count > results.count {
            error(.tupleNames, "`\(name.text)` gives \(count(results.count, "value")) for \(count(names.count, "name"))", value.range)
        }
        for (i, result) in results.enumerated() {
            let e = tupleItem(call, i, result.type, value.range)
            if i < names.count {
                p.add(column(names[i].text, e.type), e, replacing: style == .extend, declared: true)
            } else if style == .project || names.isEmpty {
                // Kusto's documentation: `project` adds the results that are left under their own names, `extend` and `print` do not.
                p.add(column(result.name, e.type), e)
            }
        }
    }

    /// The input's columns that a list of names and wildcards selects, in the list's order.
    private func matches(_ item: Expr, _ input: Relation) -> [BoundColumn] {
        switch item.kind {
        case .paren(let inner): return matches(inner, input)
        case .star: return input.columns
        case .ordered(let inner, let descending, _):
            let found = matches(inner, input).sorted { a, b in
                let x = a.name.lowercased(), y = b.name.lowercased()
                return x == y ? a.name < b.name : x < y
            }
            return descending ? found.reversed() : found
        case .name(let n):
            if n.hasWildcard { return input.columns.filter { Wildcard.matches($0.name, n.text) } }
            if let c = input.columns.first(where: { $0.name == n.text }) { return [c] }
            if !input.isUnknown, input.open.isEmpty {
                unknown(.unknownColumn, "column", n.text, n.range, among: input.columns.map(\.name))
            }
            return []
        case .missing: return []
        default:
            error(.notColumn, "a column's name is needed here", item.range)
            return []
        }
    }

    private func bindProjectAway(_ items: [Expr], _ input: Relation, _ op: Operator, keep: Bool) -> Relation {
        var named: Set<String> = []
        for i in items { for c in matches(i, input) { named.insert(c.name) } }
        return select(input, input.columns.filter { named.contains($0.name) == keep }, op.range, closes: keep)
    }

    private func bindProjectReorder(_ items: [Expr], _ input: Relation, _ op: Operator) -> Relation {
        var seen: Set<String> = []
        var columns: [BoundColumn] = []
        for i in items { for c in matches(i, input) where seen.insert(c.name).inserted { columns.append(c) } }
        return select(input, columns + input.columns.filter { !seen.contains($0.name) }, op.range, closes: false)
    }

    /// `project-by-names`: columns by constant names and patterns, single or in dynamic arrays.
    private func bindProjectByNames(_ items: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var columns: [BoundColumn] = []
        for i in items {
            guard let e = bind(i, Scope(scope.env)) else { continue }
            var patterns: [String] = []
            switch e.kind {
            case .constant(.string(let s)), .constant(.dynamic(.string(let s))): patterns = [s]
            case .constant(.dynamic(.array(let members))):
                patterns = members.compactMap { if case .string(let s) = $0 { s } else { nil } }
            default: error(.notConstant, "`project-by-names` takes constant names", i.range)
            }
            for n in patterns {
                for c in input.columns where Wildcard.matches(c.name, n) && !columns.contains(c) { columns.append(c) }
            }
        }
        return select(input, columns, op.range, closes: true)
    }

    /// Some of the input's columns, unchanged.
    func select(_ input: Relation, _ columns: [BoundColumn], _ range: SourceRange, closes: Bool) -> Relation {
        var out = input.with(
            Plan(.project(input.plan, columns.map { BoundExpr(.column($0.id), $0.type, range) }), columns: columns, range: range))
        if closes { out.open = [] }
        return out
    }

    private func bindProjectRename(_ items: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var names = input.columns.map(\.name)
        var given: Set<String> = []
        for i in items {
            guard case .named(let new, let old) = i.kind, let n = new.first else {
                error(.renameForm, "`project-rename` takes `new = old`", i.range)
                continue
            }
            guard let source = referencedColumn(old, scope) else {
                if bind(old, scope) != nil { error(.renameForm, "`project-rename` takes a column, not an expression", old.range) }
                continue
            }
            guard let at = input.columns.firstIndex(where: { $0.name == source.name }) else { continue }
            if !given.insert(n.text).inserted || names.enumerated().contains(where: { $0.offset != at && $0.element == n.text }) {
                error(
                    .duplicateColumn, "there is a column `\(n.text)` already", n.range,
                    mend: "choose another name or remove that column first")
                continue
            }
            names[at] = n.text
        }
        let columns = zip(input.columns, names).map { renamed($0, $1) }
        return input.with(
            Plan(.project(input.plan, columns.map { BoundExpr(.column($0.id), $0.type, op.range) }), columns: columns, range: op.range))
    }

    // MARK: Distinct and count

    private func bindDistinct(_ items: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown, items.contains(where: { if case .star = $0.kind { true } else { false } }) { return input }
        var p = Projection()
        for (i, item) in items.enumerated() { addItem(item, i, into: &p, scope, .project) }
        return Relation(plan: Plan(.summarize(input.plan, keys: p.exprs, aggregates: []), columns: p.columns, range: op.range))
    }

    private func bindCount(_ name: Name?, _ input: Relation, _ op: Operator) -> Relation {
        let out = column(name?.text ?? "Count", .long)
        let aggregate = BoundAggregate(name: "count", arguments: [], outputs: [out])
        return Relation(
            plan: Plan(.summarize(input.plan, keys: [], aggregates: [aggregate]), columns: [out], range: op.range), isSerialized: true)
    }

    // MARK: Invoke

    private func bindInvoke(_ call: Expr, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        let name: Name, args: [Expr]
        switch call.kind {
        case .call(let n, let a): (name, args) = (n, a)
        case .name(let n): (name, args) = (n, [])
        default:
            error(.notTabular, "`invoke` takes a function call", call.range)
            return unknownRelation(op.range)
        }
        if input.isUnknown { return input }
        switch lookup(name.text, scope.env) {
        case .function(let p, let body, let home)?:
            return callTabularFunction(name, p, body, home, args, Scope(scope.env), piped: input, op.range) ?? unknownRelation(op.range)
        case .failed?: break
        default:
            if name.text == "FileProfile" {
                error(.unsupportedFunction, "`FileProfile` needs Defender's file data, which is not available here", name.range)
            } else {
                refuse(name, tabular: true)
            }
        }
        return unknownRelation(op.range)
    }
}

extension Relation {
    func with(_ plan: Plan) -> Relation {
        var out = self
        out.plan = plan
        out.alias = nil
        return out
    }

    func serialized(_ isSerialized: Bool) -> Relation {
        var out = self
        out.isSerialized = isSerialized
        return out
    }
}

/// Patterns over names: `*` stands for any text.
enum Wildcard {
    static func matches(_ name: String, _ pattern: String) -> Bool {
        let text = Array(name.utf8), p = Array(pattern.utf8)
        var i = 0, j = 0
        var star: (at: Int, from: Int)?
        while i < text.count {
            if j < p.count, p[j] == 0x2A {
                star = (j, i)
                j += 1
            } else if j < p.count, p[j] == text[i] {
                i += 1
                j += 1
            } else if let s = star {
                star = (s.at, s.from + 1)
                i = s.from + 1
                j = s.at + 1
            } else {
                return false
            }
        }
        while j < p.count, p[j] == 0x2A { j += 1 }
        return j == p.count
    }
}
