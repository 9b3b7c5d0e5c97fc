import Columnar

// union: branches, wildcards, and the merge of schemas.

extension BindingSession {
    struct Branch {
        var relation: Relation
        let name: String
    }

    /// Binds a union; `input` is the piped branch. Nil if no branch could be bound.
    func bindUnion(_ input: Relation?, _ items: [Expr], _ op: Operator, _ env: Environment?) -> Relation? {
        var isInner = false
        if let e = op.parameter("kind") {
            switch parameterText(e) {
            case "inner": isInner = true
            case "outer": break
            case let other: unknown(.badParameter, "kind", other, e.range, among: ["inner", "outer"])
            }
        }
        let isFuzzy = op.parameter("isfuzzy").map { parameterText($0) == "true" } ?? false
        let source = (op.parameter("withsource") ?? op.parameter("with_source")).map(parameterText)
        var branches: [Branch] = []
        var failed = false
        if let input {
            if input.isUnknown { failed = true } else { branches.append(Branch(relation: input, name: input.alias ?? "union_arg0")) }
        }
        let offset = input == nil ? 0 : 1
        for (i, item) in items.enumerated() {
            let fallback = "union_arg\(i + offset)"
            if let n = wildcard(item) {
                let views = (env?.views.reversed() ?? []).filter { Wildcard.matches($0, n.text) }
                let names = tables(matching: n.text, beside: views)
                for v in views {
                    if let r = bindTabular(Expr(.call(Name(v, range: n.range), []), n.range), env), !r.isUnknown {
                        branches.append(Branch(relation: r, name: v))
                    } else {
                        failed = true
                    }
                }
                if names.isEmpty, views.isEmpty {
                    if isFuzzy {
                        warning(.fuzzyBranch, "no table matches `\(n.text)`; the branch is left out", n.range)
                    } else {
                        error(.unknownTable, "no table matches `\(n.text)`", n.range)
                        failed = true
                    }
                }
                for t in names { if let r = bindTable(t, n.range) { branches.append(Branch(relation: r, name: t)) } }
                continue
            }
            if isFuzzy, let missing = missingTable(item, env) {
                warning(.fuzzyBranch, "table `\(missing.text)` does not exist; the branch is left out", missing.range)
                continue
            }
            guard isTabular(item, env) else {
                error(.notTabular, "a branch of union must be rows", item.range)
                failed = true
                continue
            }
            guard let r = bindTabular(item, env), !r.isUnknown else {
                failed = true
                continue
            }
            branches.append(Branch(relation: r, name: branchName(item) ?? r.alias ?? fallback))
        }
        if failed { return unknownRelation(op.range) }
        guard !branches.isEmpty else {
            error(.emptyUnion, "the union has no branch that exists", op.range)
            return unknownRelation(op.range)
        }
        return merge(branches, isInner: isInner, source: source, op)
    }

    /// The tables that a wildcard means, besides the views that it matches.
    func tables(matching pattern: String, beside views: [String]) -> [String] {
        if options.withoutData, !views.isEmpty { return [] }
        return schemas.tableNames.filter { Wildcard.matches($0, pattern) }
    }

    func wildcard(_ e: Expr) -> Name? {
        switch e.kind {
        case .paren(let inner): return wildcard(inner)
        case .star: return Name("*", range: e.range)
        case .name(let n): return n.hasWildcard ? n : nil
        case .query(let q) where q.operators.isEmpty:
            if case .expression(let inner) = q.source { return wildcard(inner) }
            return nil
        default: return nil
        }
    }

    func branchName(_ e: Expr) -> String? {
        switch e.kind {
        case .paren(let inner): return branchName(inner)
        case .name(let n): return n.text
        case .query(let q) where q.operators.isEmpty:
            if case .expression(let inner) = q.source { return branchName(inner) }
            return nil
        default: return nil
        }
    }

    /// The table that a fuzzy branch reads but that does not exist: the branch's own source, through pipelines and parentheses.
    private func missingTable(_ e: Expr, _ env: Environment?) -> Name? {
        switch e.kind {
        case .paren(let inner): return missingTable(inner, env)
        case .query(let q):
            guard case .expression(let inner) = q.source else { return nil }
            return missingTable(inner, env)
        case .name(let n):
            switch lookup(n.text, env) {
            case .tabular(let inner, let home)?: return missingTable(inner, home)
            case .function(_, let body, let home)? where body.statements.isEmpty: return missingTable(body.result, home)
            case nil: return schemas.table(n.text) == nil && functions.refusal(n.text) == nil ? n : nil
            default: return nil
            }
        case .call(let n, let args):
            if case .function(_, let body, let home)? = lookup(n.text, env), body.statements.isEmpty {
                return missingTable(body.result, home)
            }
            if n.text == "materialize", let a = args.first { return missingTable(a, env) }
            if n.text == "table", case .literal(.string(let s))? = args.first?.kind, schemas.table(s) == nil {
                return Name(s, range: args[0].range)
            }
            return nil
        default: return nil
        }
    }

    /// Columns by name and type in order of appearance; a name with several types becomes one column a type, `x_long`, `x_string`.
    func merge(_ branches: [Branch], isInner: Bool, source: String?, _ op: Operator) -> Relation {
        struct Slot: Hashable {
            let name: String
            let type: ScalarType
        }
        var slots: [Slot] = []
        var seen: Set<Slot> = []
        for b in branches {
            for c in b.relation.columns where seen.insert(Slot(name: c.name, type: c.type)).inserted {
                slots.append(Slot(name: c.name, type: c.type))
            }
        }
        if isInner {
            slots = slots.filter { s in branches.allSatisfy { $0.relation.columns.contains { $0.name == s.name && $0.type == s.type } } }
        }
        var types: [String: Int] = [:]
        for s in slots { types[s.name, default: 0] += 1 }
        var p = Projection()
        let none = constant(.null(.dynamic), op.range)
        if let source { p.add(column(source, .string), none) }
        // Names of one type are kept; the others take what is left.
        for s in slots where types[s.name] == 1 { p.add(column(s.name, s.type), none) }
        for s in slots where types[s.name] != 1 { p.add(column("\(s.name)_\(s.type.rawValue)", s.type), none) }
        var named = Array(p.columns.dropFirst(source == nil ? 0 : 1))
        let order = slots.indices.filter { types[slots[$0].name] == 1 } + slots.indices.filter { types[slots[$0].name] != 1 }
        for (place, c) in zip(order, Array(named)) { named[place] = c }
        let columns = (source == nil ? [] : Array(p.columns.prefix(1))) + named
        var maps: [[Int?]] = []
        for b in branches {
            var at: [Slot: Int] = [:]
            for (i, c) in b.relation.columns.enumerated() where at[Slot(name: c.name, type: c.type)] == nil {
                at[Slot(name: c.name, type: c.type)] = i
            }
            let map = slots.map { at[$0] }
            for (j, i) in map.enumerated() {
                if let i, poisoned.contains(b.relation.columns[i].id) { poisoned.insert(columns[j + (source == nil ? 0 : 1)].id) }
            }
            maps.append(source == nil ? map : [nil] + map)
        }
        let group = branches.compactMap { $0.relation.open.first }.flatMap { $0 }
        return Relation(
            plan: Plan(
                .union(branches.map(\.relation.plan), map: maps, source: source == nil ? nil : branches.map(\.name)), columns: columns,
                range: op.range),
            open: group.isEmpty || isInner ? [] : [group])
    }
}
