import Columnar

// join and lookup: kinds, conditions, the columns of both sides.

extension BindingSession {
    /// The kind from the operator's parameters, legacy spellings included; nil after reporting an unknown one.
    private func joinKind(_ op: Operator, default standard: JoinKind, allowed: [String: JoinKind]) -> JoinKind? {
        guard let e = op.parameter("kind") else { return standard }
        let text = parameterText(e)
        if let kind = allowed[text] { return kind }
        unknown(.badParameter, "kind", text, e.range, among: allowed.keys.sorted())
        return nil
    }

    /// The text of a parameter's value: a bare word or a string.
    func parameterText(_ e: Expr) -> String {
        switch e.kind {
        case .name(let n): n.text
        case .literal(.string(let s)): s
        case .literal(.bool(let b)): b ? "true" : "false"
        case .paren(let inner): parameterText(inner)
        default: ""
        }
    }

    private static let joinKinds: [String: JoinKind] = Dictionary(
        Language.joinKinds.flatMap { e in JoinKind(rawValue: e.name).map { kind in e.names.map { ($0, kind) } } ?? [] },
        uniquingKeysWith: { a, _ in a })

    private func bindRight(_ right: Expr, _ env: Environment?) -> Relation? {
        if isMissing(right) { return nil }
        guard isTabular(right, env) else {
            error(.missingRight, "the right side of the join must be rows", right.range)
            return nil
        }
        return bindTabular(right, env)
    }

    func bindJoin(_ right: Expr, _ on: [Expr], _ left: Relation, _ env: Environment?, _ op: Operator) -> Relation {
        let kind = joinKind(op, default: .innerunique, allowed: BindingSession.joinKinds)
        guard let r = bindRight(right, env) else { return unknownRelation(op.range) }
        let keys = joinKeys(on, left, r, env, op)
        if left.isUnknown || r.isUnknown { return unknownRelation(op.range) }
        let k = kind ?? .inner
        switch k {
        case .leftanti, .leftsemi:
            return Relation(plan: Plan(.join(k, left.plan, r.plan, keys: keys), columns: left.columns, range: op.range), open: left.open)
        case .rightanti, .rightsemi:
            return Relation(plan: Plan(.join(k, left.plan, r.plan, keys: keys), columns: r.columns, range: op.range), open: r.open)
        default:
            let columns = joined(left.columns, r.columns)
            return Relation(
                plan: Plan(.join(k, left.plan, r.plan, keys: keys), columns: columns, range: op.range), open: left.open + r.open)
        }
    }

    func bindLookup(_ right: Expr, _ on: [Expr], _ left: Relation, _ env: Environment?, _ op: Operator) -> Relation {
        let kind = joinKind(op, default: .leftouter, allowed: ["leftouter": .leftouter, "inner": .inner])
        guard let r = bindRight(right, env) else { return unknownRelation(op.range) }
        let keys = joinKeys(on, left, r, env, op)
        if left.isUnknown || r.isUnknown { return unknownRelation(op.range) }
        var keyIDs: Set<ColumnID> = []
        for k in keys { collectColumns(k.right, into: &keyIDs) }
        let both = joined(left.columns, r.columns)
        let join = Plan(.join(kind ?? .leftouter, left.plan, r.plan, keys: keys), columns: both, range: op.range)
        // The right side's keys repeat the left's and are left out.
        let result = joined(left.columns, r.columns.filter { !keyIDs.contains($0.id) })
        return Relation(
            plan: Plan(.project(join, result.map { BoundExpr(.column($0.id), $0.type, op.range) }), columns: result, range: op.range),
            open: left.open + r.open)
    }

    /// Left's columns, then right's; a right name that is taken gets a number.
    func joined(_ left: [BoundColumn], _ right: [BoundColumn]) -> [BoundColumn] {
        var p = Projection()
        let none = BoundExpr(.constant(.null(.dynamic)), .dynamic, SourceRange(0, 0))
        for c in left + right { p.add(c, none) }
        return p.columns
    }

    func collectColumns(_ e: BoundExpr, into ids: inout Set<ColumnID>) {
        switch e.kind {
        case .column(let id): ids.insert(id)
        case .call(_, let args): for a in args { collectColumns(a, into: &ids) }
        case .member(let b, _): collectColumns(b, into: &ids)
        case .element(let b, let i):
            collectColumns(b, into: &ids)
            collectColumns(i, into: &ids)
        case .inQuery(_, let l, _): collectColumns(l, into: &ids)
        case .constant, .scalarQuery: break
        }
    }

    // MARK: Conditions

    private func joinKeys(_ on: [Expr], _ left: Relation, _ right: Relation, _ env: Environment?, _ op: Operator) -> [JoinKey] {
        if on.isEmpty {
            error(.joinCondition, "`\(op.keyword.text)` needs an `on` condition", op.keyword.range)
            return []
        }
        let l = row(left), r = row(right)
        var keys: [JoinKey] = []
        for e in on { addKeys(e, l, r, env, &keys) }
        return keys
    }

    private func addKeys(_ e: Expr, _ l: RowScope, _ r: RowScope, _ env: Environment?, _ keys: inout [JoinKey]) {
        switch e.kind {
        case .paren(let inner):
            addKeys(inner, l, r, env, &keys)
        case .binary(.and, let a, let b):
            addKeys(a, l, r, env, &keys)
            addKeys(b, l, r, env, &keys)
        case .name(let n):
            let a = bind(e, Scope(env, row: l)), b = bind(e, Scope(env, row: r))
            if l.column(n.text) == nil, l.relation.open.isEmpty, !l.relation.isUnknown { return }
            if let a, let b { addKey(a, b, e.range, &keys) }
        case .binary(.equal, let a, let b):
            let both = Scope(env, row: row(left: l, right: r))
            let first = bind(a, both), second = bind(b, both)
            guard let x = first, let y = second else { return }
            switch (side(x, l, r), side(y, l, r)) {
            case (.left?, .right?): addKey(x, y, e.range, &keys)
            case (.right?, .left?): addKey(y, x, e.range, &keys)
            default:
                error(
                    .joinCondition, "a join condition compares a column of $left with one of $right", e.range,
                    mend: "write $left.column == $right.column")
            }
        case .missing: break
        default:
            error(
                .joinCondition, "a join condition is a column's name or an equality of $left and $right", e.range,
                mend: "filter other conditions with `where` after the join")
        }
    }

    private enum Side { case left, right }

    /// The one side that an expression reads; nil for none or both.
    private func side(_ e: BoundExpr, _ l: RowScope, _ r: RowScope) -> Side? {
        var ids: Set<ColumnID> = []
        collectColumns(e, into: &ids)
        if ids.isEmpty { return nil }
        if ids.isSubset(of: Set(l.columns.map(\.id))) { return .left }
        if ids.isSubset(of: Set(r.columns.map(\.id))) { return .right }
        return nil
    }

    private func addKey(_ a: BoundExpr, _ b: BoundExpr, _ range: SourceRange, _ keys: inout [JoinKey]) {
        if a.type == .dynamic || b.type == .dynamic {
            error(.dynamicKey, "a join key must not be dynamic", range, mend: "convert it first: extend key = tostring(...)")
            return
        }
        if a.type == b.type {
            keys.append(JoinKey(left: a, right: b))
        } else if let w = TypeRules.widest(a.type, b.type) {
            keys.append(JoinKey(left: convert(a, to: w), right: convert(b, to: w)))
        } else {
            error(
                .joinKeyTypes, "join keys have different types: \(a.type.rawValue) and \(b.type.rawValue)", range,
                mend: "convert one side first, for example with \(a.type.conversionFunction)()")
        }
    }
}
