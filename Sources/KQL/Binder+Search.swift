import Columnar

// `search` and `find`: a condition over the columns of many tables, in which a bare text is looked for in every column.

extension BindingSession {
    /// `search`, over tables or over the piped rows: the rows that meet the condition, with the name of their table in `$table`. A table
    /// that lacks a column of the condition does not match there.
    func bindSearch(_ predicate: Expr, _ tables: [Expr], _ input: Relation?, _ op: Operator, _ env: Environment?) -> Relation? {
        var caseSensitive = false
        if let e = op.parameter("kind") {
            switch parameterText(e) {
            case "case_sensitive": caseSensitive = true
            case "default", "case_insensitive": break
            case let other: unknown(.badParameter, "kind", other, e.range, among: ["case_insensitive", "case_sensitive", "default"])
            }
        }
        guard let sources = input.map({ [Branch(relation: $0, name: $0.alias ?? "union_arg0")] }) ?? searched(tables, op, env) else {
            return nil
        }
        let isNamed = input != nil || !tables.isEmpty
        guard let branches = matching(predicate, sources, caseSensitive, isNamed: isNamed, op, env), !branches.isEmpty else { return nil }
        return merge(branches, isInner: false, source: "$table", op)
    }

    /// The tables that `in (...)` names, or all tables and views.
    private func searched(_ tables: [Expr], _ op: Operator, _ env: Environment?) -> [Branch]? {
        var out: [Branch] = []
        var failed = false
        func add(_ name: String, _ range: SourceRange) {
            let e = Expr(.name(Name(name, range: range, isQuoted: true)), range)
            if case .function? = env?.lookup(name) {
                if let r = bindTabular(Expr(.call(Name(name, range: range), []), range), env), !r.isUnknown {
                    out.append(Branch(relation: r, name: name))
                } else {
                    failed = true
                }
            } else if let r = bindTabular(e, env), !r.isUnknown {
                out.append(Branch(relation: r, name: name))
            } else {
                failed = true
            }
        }
        if tables.isEmpty {
            for v in env?.views.reversed() ?? [] { add(v, op.keyword.range) }
            for t in schemas.tableNames { if let r = bindTable(t, op.keyword.range) { out.append(Branch(relation: r, name: t)) } }
        }
        for t in tables {
            if let n = wildcard(t) {
                let names = (env?.views.reversed() ?? []).filter { Wildcard.matches($0, n.text) }
                let found = schemas.tableNames.filter { Wildcard.matches($0, n.text) }
                if names.isEmpty, found.isEmpty {
                    error(.unknownTable, "no table matches `\(n.text)`", n.range)
                    failed = true
                }
                for v in names { add(v, n.range) }
                for f in found { if let r = bindTable(f, n.range) { out.append(Branch(relation: r, name: f)) } }
            } else if let name = branchName(t), case .function(let p, _, _)? = env?.lookup(name), p.isEmpty {
                add(name, t.range)
            } else if let r = bindTabular(t, env), !r.isUnknown {
                out.append(Branch(relation: r, name: branchName(t) ?? r.alias ?? "union_arg\(out.count)"))
            } else {
                failed = true
            }
        }
        if failed { return nil }
        if out.isEmpty {
            error(.emptyUnion, "there is no table to look into", op.keyword.range)
            return nil
        }
        return out
    }

    /// The sources under the condition, without those that cannot meet it. Nil after reporting.
    private func matching(
        _ predicate: Expr, _ sources: [Branch], _ caseSensitive: Bool, isNamed: Bool, _ op: Operator, _ env: Environment?
    ) -> [Branch]? {
        // Tables that may have any column are asked for undeclared ones only where the query names them.
        let sources =
            isNamed
            ? sources
            : sources.map { s in
                var relation = s.relation
                relation.open = []
                return Branch(relation: relation, name: s.name)
            }
        var missing: Set<String> = []
        columnNames(predicate, env, into: &missing)
        for name in missing.sorted() where !sources.contains(where: { s in s.relation.columns.contains { $0.name == name } }) {
            // A table that may have any column is asked.
            if sources.contains(where: { !$0.relation.open.isEmpty }) { continue }
            unknown(
                .unknownColumn, "column", name, place(of: name, in: predicate) ?? predicate.range,
                among: Array(Set(sources.flatMap { $0.relation.columns.map(\.name) })))
            return nil
        }
        var out: [Branch] = []
        for s in sources {
            let rows = row(s.relation)
            guard let c = searchCondition(predicate, Scope(env, row: rows), rows, caseSensitive) else { return nil }
            if case .constant(.bool(false)) = c.kind { continue }
            out.append(Branch(relation: filter(s.relation, c, op.range), name: s.name))
        }
        if out.isEmpty, let s = sources.first {
            let never = constant(.bool(false), op.range)
            out = [Branch(relation: filter(s.relation, never, op.range), name: s.name)]
        }
        return out
    }

    /// A condition in which texts stand for themselves; constant false where a column is missing.
    private func searchCondition(_ e: Expr, _ scope: Scope, _ rows: RowScope, _ caseSensitive: Bool) -> BoundExpr? {
        switch e.kind {
        case .paren(let inner): return searchCondition(inner, scope, rows, caseSensitive)
        case .binary(let op, let l, let r) where op == .and || op == .or:
            guard let x = searchCondition(l, scope, rows, caseSensitive), let y = searchCondition(r, scope, rows, caseSensitive) else {
                return nil
            }
            return combined(op, x, y, e.range)
        case .call(let name, let args) where name.text == "not" && args.count == 1:
            guard let x = searchCondition(args[0], scope, rows, caseSensitive) else { return nil }
            return BoundExpr(.call("not", [x]), .bool, e.range)
        case .star: return constant(.bool(true), e.range)
        case .literal(let v):
            let text: String
            switch v {
            case .string(let s): text = s
            case .long(let n): text = String(n)
            default: return condition(e, scope, "the condition of `search`")
            }
            return anyColumn(rows, e.range) { term(text, $0, caseSensitive, e.range) }
        case .binary(.has, let l, let r) where isColon(l, r):
            guard case .literal(.string(let text)) = r.kind else { return plain(e, scope, rows) }
            if case .star = l.kind { return anyColumn(rows, e.range) { term(text, $0, caseSensitive, e.range) } }
            var names: Set<String> = []
            columnNames(l, scope.env, into: &names)
            if rows.relation.open.isEmpty, names.contains(where: { rows.column($0) == nil }) { return constant(.bool(false), e.range) }
            return bind(l, scope).map { term(text, convert($0, to: .string), caseSensitive, e.range) }
        case .binary(let op, let l, let r):
            if case .star = l.kind {
                return anyColumn(rows, e.range) { c in Expr(.binary(op, c, r), e.range) }(scope, self)
            }
            return plain(e, scope, rows)
        default: return plain(e, scope, rows)
        }
    }

    /// `column:"text"`, which the parser reads as `has`: stars in its text stand for anything, as in a bare text.
    private func isColon(_ l: Expr, _ r: Expr) -> Bool {
        var between = Lexer(written(SourceRange(l.range.upper, max(l.range.upper, r.range.lower))))
        between.skipTrivia()
        return between.peek() == UInt8(ascii: ":")
    }

    private func combined(_ op: BinaryOperator, _ x: BoundExpr, _ y: BoundExpr, _ range: SourceRange) -> BoundExpr {
        for (a, b) in [(x, y), (y, x)] {
            if case .constant(.bool(let known)) = a.kind { return known == (op == .or) ? a : b }
        }
        return BoundExpr(.call(op.rawValue, [x, y]), .bool, range)
    }

    private func plain(_ e: Expr, _ scope: Scope, _ rows: RowScope) -> BoundExpr? {
        var names: Set<String> = []
        columnNames(e, scope.env, into: &names)
        if rows.relation.open.isEmpty, names.contains(where: { rows.column($0) == nil }) { return constant(.bool(false), e.range) }
        return condition(e, scope, "the condition of `search`")
    }

    private func anyColumn(_ rows: RowScope, _ range: SourceRange, _ make: (BoundExpr) -> BoundExpr) -> BoundExpr {
        var out: BoundExpr?
        for c in rows.columns where c.type != .bool {
            let value = convert(BoundExpr(.column(c.id), c.type, range), to: .string)
            let test = make(value)
            out = out.map { BoundExpr(.call(BinaryOperator.or.rawValue, [$0, test]), .bool, range) } ?? test
        }
        return out ?? constant(.bool(false), range)
    }

    /// `* operator value` over the columns of text.
    private func anyColumn(
        _ rows: RowScope, _ range: SourceRange, _ make: @escaping (Expr) -> Expr
    ) -> (Scope, BindingSession) -> BoundExpr? {
        { scope, session in
            var out: BoundExpr?
            for c in rows.columns where c.type == .string || c.type == .dynamic {
                let name = Expr(.name(Name(c.name, range: range, isQuoted: true)), range)
                let e = c.type == .string ? name : Expr(.call(Name("tostring", range: range), [name]), range)
                guard let test = session.condition(make(e), scope, "the condition of `search`") else { return nil }
                out = out.map { BoundExpr(.call(BinaryOperator.or.rawValue, [$0, test]), .bool, range) } ?? test
            }
            return out ?? session.constant(.bool(false), range)
        }
    }

    /// A text looked for as a whole term; stars at its ends and inside stand for anything.
    private func term(_ text: String, _ value: BoundExpr, _ caseSensitive: Bool, _ range: SourceRange) -> BoundExpr {
        func call(_ op: BinaryOperator, _ cs: BinaryOperator, _ literal: String) -> BoundExpr {
            BoundExpr(.call((caseSensitive ? cs : op).rawValue, [value, constant(.string(literal), range)]), .bool, range)
        }
        var inner = Substring(text)
        let starts = inner.hasPrefix("*")
        if starts { inner = inner.dropFirst() }
        let ends = inner.hasSuffix("*")
        if ends { inner = inner.dropLast() }
        if inner.isEmpty { return starts || ends ? constant(.bool(true), range) : call(.has, .hasCS, "") }
        if inner.utf8.contains(0x2A) {
            let parts = inner.split(separator: "*", omittingEmptySubsequences: false).map { RegexText.quoted(String($0)) }
            var pattern = (starts ? "" : #"\b"#) + parts.joined(separator: ".*") + (ends ? "" : #"\b"#)
            if !caseSensitive { pattern = "(?i)" + pattern }
            return BoundExpr(.call(BinaryOperator.matchesRegex.rawValue, [value, constant(.string(pattern), range)]), .bool, range)
        }
        let literal = String(inner)
        switch (starts, ends) {
        case (true, true): return call(.contains, .containsCS, literal)
        case (true, false): return call(.hasSuffix, .hasSuffixCS, literal)
        case (false, true): return call(.hasPrefix, .hasPrefixCS, literal)
        case (false, false): return call(.has, .hasCS, literal)
        }
    }

    /// Names that stand for columns: those that no let declares.
    private func columnNames(_ e: Expr, _ env: Environment?, into out: inout Set<String>) {
        switch e.kind {
        case .name(let n): if env?.lookup(n.text) == nil { out.insert(n.text) }
        case .query: break
        default: for case let c as Expr in e.kind.children { columnNames(c, env, into: &out) }
        }
    }

    private func place(of name: String, in e: Expr) -> SourceRange? {
        if case .name(let n) = e.kind, n.text == name { return n.range }
        for case let c as Expr in e.kind.children { if let found = place(of: name, in: c) { return found } }
        return nil
    }

    // MARK: find

    /// `find`: as `search`, with the name of the table in `source_` and the columns that are asked for; without any, those that all the
    /// tables have in common, those of the condition and, in `pack_`, all others.
    func bindFind(_ tables: [Expr], _ predicate: Expr, _ columns: [Expr], _ op: Operator, _ env: Environment?) -> Relation? {
        let source = (op.parameter("withsource") ?? op.parameter("with_source")).map(parameterText) ?? "source_"
        guard let sources = searched(tables, op, env), let branches = matching(predicate, sources, false, isNamed: !tables.isEmpty, op, env)
        else { return nil }
        var wanted: [(name: String, type: ScalarType?)] = []
        var packs = columns.isEmpty
        for c in columns {
            switch c.kind {
            case .name(let n): wanted.append((n.text, nil))
            case .typeOf(let t): if let first = t.first { wanted.append((first.name.text, first.type)) }
            case .call(let n, let args) where n.text == "pack" || n.text == "pack_all":
                if args.allSatisfy({ if case .star = $0.kind { true } else { false } }) { packs = true }
            default:
                error(.notColumn, "`project` of `find` takes columns and `pack(*)`", c.range)
                return nil
            }
        }
        if columns.isEmpty {
            var names: Set<String> = []
            columnNames(predicate, env, into: &names)
            var order = commonColumns(branches)
            for b in branches {
                for c in b.relation.columns where names.contains(c.name) && !order.contains(c.name) { order.append(c.name) }
            }
            wanted = order.map { ($0, nil) }
            packs = branches.contains { b in b.relation.columns.contains { !order.contains($0.name) } }
        }
        for w in wanted where w.type == nil {
            if branches.contains(where: { b in b.relation.columns.contains { $0.name == w.name } }) { continue }
            unknown(
                .unknownColumn, "column", w.name, columns.first?.range ?? op.range,
                among: Array(Set(branches.flatMap { $0.relation.columns.map(\.name) })))
            return nil
        }
        // A column of one type stands in every branch, so that the result has the order asked for.
        wanted = wanted.map { w in
            let types = Set(branches.flatMap { b in b.relation.columns.filter { $0.name == w.name }.map(\.type) })
            return w.type == nil && types.count == 1 ? (w.name, types.first) : w
        }
        let narrowed = branches.map { b -> Branch in
            var p = Projection()
            let rows = row(b.relation)
            for w in wanted {
                if let c = rows.column(w.name) {
                    let e = BoundExpr(.column(c.id), c.type, op.range)
                    if let type = w.type, type != c.type { p.add(column(w.name, type), convert(e, to: type)) } else { p.add(c, e) }
                } else if let type = w.type {
                    p.add(column(w.name, type), constant(.missing(type), op.range))
                }
            }
            if packs {
                let others = b.relation.columns.filter { c in !wanted.contains { $0.name == c.name } }
                let parts = others.flatMap { c in [constant(.string(c.name), op.range), BoundExpr(.column(c.id), c.type, op.range)] }
                let none = constant(.dynamic(.object([])), op.range)
                p.add(column("pack_", .dynamic), parts.isEmpty ? none : BoundExpr(.call("bag_pack", parts), .dynamic, op.range))
            }
            return Branch(
                relation: Relation(plan: Plan(.project(b.relation.plan, p.exprs), columns: p.columns, range: op.range)), name: b.name)
        }
        let all = merge(narrowed, isInner: false, source: source, op)
        return select(all, all.columns.filter { $0.name != "pack_" } + all.columns.filter { $0.name == "pack_" }, op.range, closes: false)
    }

    /// The names of the columns that all branches have, with one type, in the order of the first.
    private func commonColumns(_ branches: [Branch]) -> [String] {
        guard let first = branches.first else { return [] }
        return first.relation.columns.filter { c in
            branches.allSatisfy { b in b.relation.columns.contains { $0.name == c.name && $0.type == c.type } }
        }.map(\.name)
    }
}

/// Text as a regular expression that matches itself.
enum RegexText {
    static func quoted(_ text: String) -> String {
        var out = ""
        for c in text.unicodeScalars {
            if #"\.+*?()|[]{}^$"#.unicodeScalars.contains(c) { out += "\\" }
            out.unicodeScalars.append(c)
        }
        return out
    }
}
