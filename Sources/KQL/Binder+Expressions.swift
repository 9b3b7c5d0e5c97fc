import Columnar

// Scalar expressions: names, paths, literals, and the parts of operators that are not about types (`Binder+Comparisons.swift`).

extension BindingSession {
    /// Binds a scalar expression. Nil: reported, or caused by something reported.
    func bind(_ e: Expr, _ scope: Scope) -> BoundExpr? {
        deeper(e.range) { checked(bindKind(e, scope)) }
    }

    private func bindKind(_ e: Expr, _ scope: Scope) -> BoundExpr? {
        switch e.kind {
        case .literal(let v):
            return BoundExpr(.constant(v), v.type, e.range)
        case .name(let n):
            return bindName(n, e.range, scope)
        case .paren(let inner):
            return bind(inner, scope)
        case .member(let base, let name):
            return bindMember(base, name, e.range, scope)
        case .element(let base, let index):
            return bindElement(base, index, e.range, scope)
        case .call(let name, let args):
            return bindCall(name, args, e.range, scope)
        case .methodCall(_, let name, _):
            error(.unsupportedSource, "`\(name.text)` on another cluster or database is not supported", e.range)
            return nil
        case .binary(let op, let l, let r):
            return bindBinary(op, l, r, e.range, scope)
        case .sign(let negative, let inner):
            return bindSign(negative, inner, e.range, scope)
        case .list(let op, let l, let items):
            return bindList(op, l, items, e.range, scope)
        case .between(let value, let low, let high, let negated):
            return bindBetween(value, low, high, negated, e.range, scope)
        case .query(let q):
            if q.operators.isEmpty, case .expression(let inner) = q.source, !isTabular(inner, scope.env) { return bind(inner, scope) }
            error(.notScalar, "rows are given where a value is needed", e.range, mend: "wrap it in toscalar()")
            return nil
        case .named(_, let value):
            error(.namedArgument, "a name is not allowed here", e.range)
            _ = bind(value, scope)
            return nil
        case .star:
            error(.starMisplaced, "`*` is not allowed here", e.range)
            return nil
        case .typeOf:
            error(.argumentType, "`typeof` is not a value", e.range)
            return nil
        case .ordered(let inner, _, _):
            return bind(inner, scope)
        case .defaulted(let inner, _):
            error(.namedArgument, "`default` is not allowed here", e.range)
            _ = bind(inner, scope)
            return nil
        case .missing:
            return nil
        }
    }

    func constant(_ v: Value, _ range: SourceRange) -> BoundExpr { BoundExpr(.constant(v), v.type, range) }

    func constantValue(_ e: BoundExpr) -> Value? {
        if case .constant(let v) = e.kind { return v }
        return nil
    }

    // MARK: Names

    private func bindName(_ n: Name, _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        if let row = scope.row, let c = row.column(n.text) {
            if scope.aggregates != nil {
                error(
                    .rowInAggregate, "column `\(n.text)` stands outside an aggregate function", range,
                    mend: "aggregate it, for example with take_any(\(n.text)), or add it to the `by` list")
                return nil
            }
            return reference(c, range)
        }
        if let found = graphName(n, range, scope) ?? scanName(n, range, scope) { return found }
        switch lookup(n.text, scope.env) {
        case .scalar(let e, let row)?:
            if let row, row != scope.row?.serial {
                error(
                    .outerRow, "`\(n.text)` depends on the row of the outer query, which a query inside an expression cannot see", range,
                    mend: "join the two tables instead")
                return nil
            }
            return BoundExpr(e.kind, e.type, range)
        case .failed?: return nil
        case .function(let p, let body, let home)? where p.allSatisfy({ $0.defaultValue != nil }):
            if !isTabular(body.result, home) {
                return callScalarFunction(n, p, body, home, [], scope, range)
            }
            fallthrough
        case .tabular?, .shared?, .marker?, .pattern?:
            error(.notScalar, "`\(n.text)` is a table, not a value", range, mend: "use toscalar(\(n.text)) or `in (\(n.text))`")
            return nil
        case .function?:
            error(.argumentCount, "`\(n.text)` is a function and needs its arguments", range)
            return nil
        case nil: break
        }
        guard let row = scope.row else {
            unknown(.unknownColumn, "name", n.text, range, among: scope.env?.names ?? [])
            return nil
        }
        if row.relation.isUnknown { return nil }
        if let e = openColumn(n.text, row, range) { return e }
        if (n.text == "$left" || n.text == "$right"), row.sides != nil {
            error(.joinCondition, "`\(n.text)` needs a column after a dot", range)
            return nil
        }
        unknown(.unknownColumn, "column", n.text, range, among: row.columns.map(\.name) + (scope.env?.names ?? []))
        return nil
    }

    /// A reference to a column; nil if the column is one that failed.
    func reference(_ c: BoundColumn, _ range: SourceRange) -> BoundExpr? {
        poisoned.contains(c.id) ? nil : BoundExpr(.column(c.id), c.type, range)
    }

    /// Declares a column in the open table behind the row; the query is then bound again, so the expression given is never evaluated.
    private func openColumn(_ name: String, _ row: RowScope, _ range: SourceRange) -> BoundExpr? {
        guard let tables = row.relation.open.first, !tables.isEmpty, !name.hasPrefix("$") else { return nil }
        let type = OpenColumns.type(of: name)
        for t in tables { open.add(SchemaColumn(name, type), to: t, usedAt: range) }
        return constant(.missing(type), range)
    }

    private func bindMember(_ base: Expr, _ name: Name, _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        if case .name(let side) = base.kind, let sides = scope.row?.sides, side.text == "$left" || side.text == "$right" {
            let row = side.text == "$left" ? sides.left : sides.right
            if let c = row.column(name.text) { return reference(c, range) }
            if row.relation.isUnknown { return nil }
            if let e = openColumn(name.text, row, range) { return e }
            let other = side.text == "$left" ? sides.right : sides.left
            if other.column(name.text) != nil {
                error(.unknownColumn, "`\(name.text)` is a column of the other side of the join", name.range, mend: "swap $left and $right")
                return nil
            }
            unknown(.unknownColumn, "column", name.text, name.range, among: row.columns.map(\.name))
            return nil
        }
        if let found = graphMember(base, name, range, scope) ?? scanMember(base, name, range, scope) { return found }
        if isTabularPath(base, scope) {
            error(.notScalar, "a table of another database is given where a value is needed", range)
            return nil
        }
        guard let b = bind(base, scope) else { return nil }
        guard b.type == .dynamic else {
            error(
                .notDynamic, "`.\(name.text)` needs a dynamic value, not a \(b.type.rawValue)", range,
                mend: b.type == .string ? "parse it first: parse_json(...).\(name.text)" : nil)
            return nil
        }
        if case .constant(.dynamic(let d)) = b.kind { return constant(d[name.text].flatMap(asValue) ?? .null(.dynamic), range) }
        return BoundExpr(.member(b, name.text), .dynamic, range)
    }

    private func isTabularPath(_ base: Expr, _ scope: Scope) -> Bool {
        if case .call(let n, _) = base.kind {
            return ["database", "cluster", "workspace"].contains(n.text) && scope.row?.column(n.text) == nil
        }
        return false
    }

    private func asValue(_ d: Dynamic) -> Value { d == .null ? .null(.dynamic) : .dynamic(d) }

    private func bindElement(_ base: Expr, _ index: Expr, _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        let boundBase = bind(base, scope), boundIndex = bind(index, scope)
        guard let b = boundBase, let i = boundIndex else { return nil }
        guard b.type == .dynamic else {
            error(
                .notDynamic, "an index needs a dynamic value, not a \(b.type.rawValue)", range,
                mend: b.type == .string ? "parse it first, with parse_json() or split()" : nil)
            return nil
        }
        guard i.type == .string || i.type.isInteger || i.type == .dynamic else {
            error(.badIndex, "an index must be an integer or a string, not a \(i.type.rawValue)", index.range)
            return nil
        }
        if case .constant(.string(let key)) = i.kind, case .constant(.dynamic(let d)) = b.kind {
            return constant(d[key].flatMap(asValue) ?? .null(.dynamic), range)
        }
        if let at = constantValue(i)?.integer, case .constant(.dynamic(.array(let items))) = b.kind {
            let k = at < 0 ? at + Int64(items.count) : at
            return constant(k >= 0 && k < items.count ? asValue(items[Int(k)]) : .null(.dynamic), range)
        }
        // A constant integer index is a long; a dynamic one is an integer or a key by its own type, which only the row shows.
        let at = i.type == .int ? convert(i, to: .long) : i
        return BoundExpr(.element(b, at), .dynamic, range)
    }

    // MARK: Signs

    private func bindSign(_ negative: Bool, _ inner: Expr, _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        guard let v = bind(inner, scope) else { return nil }
        guard v.type.isNumeric || v.type == .timespan || v.type == .dynamic else {
            error(.arithmeticTypes, "`-` is not defined for a \(v.type.rawValue)", range)
            return nil
        }
        if let c = constantValue(v), let n = negative ? ConstantFold.negate(c) : c { return constant(n, range) }
        let operand = v.type == .int ? convert(v, to: .long) : v
        if !negative { return operand }
        return BoundExpr(.call("negate", [operand]), operand.type, range)
    }

    // MARK: Conversions

    /// The value as another type by the explicit conversion function; constants are converted here.
    func convert(_ e: BoundExpr, to type: ScalarType) -> BoundExpr {
        if e.type == type { return e }
        if let v = constantValue(e) {
            if let c = ConstantFold.convert(v, to: type) { return BoundExpr(.constant(c), type, e.range) }
            if let c = options.fold?(type.conversionFunction, [v]), c.type == type { return BoundExpr(.constant(c), type, e.range) }
        }
        return BoundExpr(.call(type.conversionFunction, [e]), type, e.range)
    }

    /// An implicit conversion for a declared type: numeric promotion, dynamic to scalar, a string literal to datetime, timespan or guid.
    func assign(_ e: BoundExpr, to type: ScalarType) -> BoundExpr? {
        if e.type == type { return e }
        if let v = constantValue(e), v.isNull { return constant(.missing(type), e.range) }
        if let from = e.type.numericRank, let to = type.numericRank {
            if from <= to { return convert(e, to: type) }
            if case .constant(.long(let v)) = e.kind, type == .int, Int32(exactly: v) != nil { return convert(e, to: .int) }
            if type.isInteger && e.type.isInteger { return convert(e, to: type) }
        }
        if e.type == .dynamic { return convert(e, to: type) }
        if e.type == .string, let v = literal(e, as: type) { return v }
        error(
            .argumentType, "a \(e.type.rawValue) is given where a \(type.rawValue) is needed", e.range,
            mend: type == .dynamic ? nil : "convert it with \(type.conversionFunction)()")
        return nil
    }

    /// A string literal read as a datetime, timespan or guid; nil for other types and texts.
    func literal(_ e: BoundExpr, as type: ScalarType) -> BoundExpr? {
        guard case .constant(let v) = e.kind, v.type == .string, [.datetime, .timespan, .guid].contains(type) else { return nil }
        if let c = ConstantFold.convert(v, to: type) ?? options.fold?(type.conversionFunction, [v]), c.type == type, !c.isNull {
            return constant(c, e.range)
        }
        return nil
    }

    /// Whether an expression reads columns of its row.
    func usesColumns(_ e: BoundExpr) -> Bool {
        switch e.kind {
        case .constant, .scalarQuery: false
        case .column: true
        case .call(_, let args): args.contains(where: usesColumns)
        case .member(let b, _): usesColumns(b)
        case .element(let b, let i): usesColumns(b) || usesColumns(i)
        case .inQuery(_, let l, _): usesColumns(l)
        }
    }

    /// Whether the same rows give it the same value at any time: no `now`, no sub-query, no columns.
    func isConstantLike(_ e: BoundExpr) -> Bool { !usesColumns(e) }

    /// A condition: bool, or dynamic converted to bool.
    func condition(_ e: Expr, _ scope: Scope, _ what: String) -> BoundExpr? {
        guard let v = bind(e, scope) else { return nil }
        return asBool(v, what)
    }

    func asBool(_ v: BoundExpr, _ what: String) -> BoundExpr? {
        if v.type == .bool { return v }
        if v.type == .dynamic { return convert(v, to: .bool) }
        error(
            .notBool, "\(what) must be a bool, not a \(v.type.rawValue)", v.range,
            mend: v.type == .string ? "compare it, for example with isnotempty()" : "compare it, for example with `!= 0`")
        return nil
    }
}
