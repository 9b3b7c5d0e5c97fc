import Columnar

// Operators by operand type. After binding, the operands of a comparison have one type or one of them is dynamic, and arithmetic has the
// operand types of ``TypeRules/arithmetic(_:_:_:)``.

extension BindingSession {
    func bindBinary(_ op: BinaryOperator, _ l: Expr, _ r: Expr, _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        if case .star = l.kind { return bindAnyColumn(op, r, range, scope) }
        switch op {
        case .and, .or:
            // Long chains lean left; a loop keeps the stack flat.
            var rights: [(Expr, SourceRange)] = [(r, range)]
            var first = l
            while case .binary(let inner, let ll, let rr) = first.kind, inner == op {
                rights.append((rr, first.range))
                first = ll
            }
            var result = condition(first, scope, "an operand of `\(op.rawValue)`")
            for (e, whole) in rights.reversed() {
                let right = condition(e, scope, "an operand of `\(op.rawValue)`")
                guard let a = result, let b = right else {
                    result = nil
                    continue
                }
                result = logical(op, a, b, whole)
            }
            return result
        default:
            let left = bind(l, scope), right = bind(r, scope)
            guard let a = left, let b = right else { return nil }
            return combine(op, a, b, range)
        }
    }

    func combine(_ op: BinaryOperator, _ a: BoundExpr, _ b: BoundExpr, _ range: SourceRange) -> BoundExpr? {
        switch op {
        case .and, .or: return logical(op, a, b, range)
        case .add, .subtract, .multiply, .divide, .modulo: return arithmetic(op, a, b, range)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: return compare(op, a, b, range)
        default: return text(op, a, b, range)
        }
    }

    // MARK: Arithmetic

    private func arithmetic(_ op: BinaryOperator, _ a: BoundExpr, _ b: BoundExpr, _ range: SourceRange) -> BoundExpr? {
        // A string literal beside a time is read as one.
        var a = a, b = b
        if b.type == .string, a.type == .datetime, let v = literal(b, as: .datetime) ?? literal(b, as: .timespan) { b = v }
        if a.type == .string, b.type == .datetime, let v = literal(a, as: .datetime) { a = v }
        guard let rule = TypeRules.arithmetic(op, a.type, b.type) else {
            let mend: String? =
                op == .add && (a.type == .string || b.type == .string)
                ? "concatenate strings with strcat()"
                : a.type == .string || b.type == .string ? "convert the string first, for example with tolong() or todatetime()" : nil
            error(.arithmeticTypes, "`\(op.rawValue)` is not defined for \(a.type.rawValue) and \(b.type.rawValue)", range, mend: mend)
            return nil
        }
        let l = convert(a, to: rule.left), r = convert(b, to: rule.right)
        if let x = constantValue(l), let y = constantValue(r),
            let v = ConstantFold.arithmetic(op, x, y, rule.result) ?? options.fold?(op.rawValue, [x, y]), v.type == rule.result
        {
            return constant(v, range)
        }
        return BoundExpr(.call(op.rawValue, [l, r]), rule.result, range)
    }

    // MARK: Comparison

    private func compare(_ op: BinaryOperator, _ a: BoundExpr, _ b: BoundExpr, _ range: SourceRange) -> BoundExpr? {
        let isOrder = op != .equal && op != .notEqual
        guard let (l, r) = comparable(a, b) else {
            notComparable(a, b, range)
            return nil
        }
        if isOrder, l.type == .string || r.type == .string || l.type == .guid {
            error(
                .notOrdered, "`\(op.rawValue)` is not defined for \(a.type.rawValue) and \(b.type.rawValue)", range,
                mend: l.type == .string && r.type == .string ? "use strcmp(a, b) \(op.rawValue) 0" : "convert the operands to numbers first"
            )
            return nil
        }
        return BoundExpr(.call(op.rawValue, [l, r]), .bool, range)
    }

    private func notComparable(_ a: BoundExpr, _ b: BoundExpr, _ range: SourceRange) {
        let mend: String?
        switch (a.type, b.type) {
        case (.string, let t) where t != .string:
            mend = "convert the string with \(t.conversionFunction)(), or the other side with tostring()"
        case (let t, .string): mend = "convert the string with \(t.conversionFunction)(), or the other side with tostring()"
        default: mend = "convert one side to the other's type"
        }
        error(.notComparable, "values of types \(a.type.rawValue) and \(b.type.rawValue) cannot be compared", range, mend: mend)
    }

    /// The two as one type, or one of them dynamic; nil if Kusto does not compare them.
    func comparable(_ a: BoundExpr, _ b: BoundExpr) -> (BoundExpr, BoundExpr)? {
        if a.type == b.type { return (a, b) }
        if let w = TypeRules.widest(a.type, b.type) { return (convert(a, to: w), convert(b, to: w)) }
        switch (a.type, b.type) {
        case (.bool, let t) where t.isNumeric: return comparable(convert(a, to: .long), b)
        case (let t, .bool) where t.isNumeric: return comparable(a, convert(b, to: .long))
        case (.dynamic, .datetime), (.dynamic, .timespan), (.dynamic, .guid), (.dynamic, .decimal): return (convert(a, to: b.type), b)
        case (.datetime, .dynamic), (.timespan, .dynamic), (.guid, .dynamic), (.decimal, .dynamic): return (a, convert(b, to: a.type))
        case (.dynamic, _), (_, .dynamic): return (a, b)
        case (.guid, .string):
            if let v = literal(b, as: .guid) { return (a, v) }
            return (convert(a, to: .string), b)
        case (.string, .guid):
            if let v = literal(a, as: .guid) { return (v, b) }
            return (a, convert(b, to: .string))
        // Texts spell truth in any case: the text is read as a bool.
        case (.string, .bool) where constantValue(a) == nil && constantValue(b) != nil: return (convert(a, to: .bool), b)
        case (.bool, .string) where constantValue(a) != nil && constantValue(b) == nil: return (a, convert(b, to: .bool))
        // A literal takes the other side's type; two columns of different types do not compare.
        case (_, .string): return comparableLiteral(b, a.type).map { (a, $0) } ?? comparableLiteral(a, .string).map { ($0, b) }
        case (.string, _): return comparableLiteral(a, b.type).map { ($0, b) } ?? comparableLiteral(b, .string).map { (a, $0) }
        default: return nil
        }
    }

    /// A constant as the type it is compared to, where its text has a value of that type.
    private func comparableLiteral(_ e: BoundExpr, _ type: ScalarType) -> BoundExpr? {
        guard let v = constantValue(e), !v.isNull else { return nil }
        if let parsed = literal(e, as: type) { return parsed }
        switch (v, type) {
        case (.string(let s), .int): return Int32(s).map { constant(.int($0), e.range) }
        case (.string(let s), .long): return Int64(s).map { constant(.long($0), e.range) }
        case (.string(let s), .real): return Double(s).map { constant(.real($0), e.range) }
        case (.string(let s), .decimal): return Decimal128(text: s).map { constant(.decimal($0), e.range) }
        case (.string(let s), .bool):
            switch s.lowercased() {
            case "true", "1": return constant(.bool(true), e.range)
            case "false", "0": return constant(.bool(false), e.range)
            default: return nil
            }
        case (.bool, .string), (.int, .string), (.long, .string): return convert(e, to: .string)
        case (.real, .string), (.decimal, .string):
            let c = convert(e, to: .string)
            return constantValue(c) == nil ? nil : c
        default: return nil
        }
    }

    func bindBetween(
        _ value: Expr, _ low: Expr, _ high: Expr, _ negated: Bool, _ range: SourceRange, _ scope: Scope
    ) -> BoundExpr? {
        let bv = bind(value, scope), bl = bind(low, scope), bh = bind(high, scope)
        guard var v = bv, var lo = bl, var hi = bh else { return nil }
        let name = negated ? "!between" : "between"
        if v.type == .dynamic, lo.type != .dynamic { v = convert(v, to: lo.type) }
        if v.type == .datetime || v.type == .timespan || v.type == .guid {
            if let x = literal(lo, as: v.type) { lo = x }
            if let x = literal(hi, as: v.type) { hi = x }
            if lo.type == .dynamic { lo = convert(lo, to: v.type) }
            if hi.type == .dynamic { hi = convert(hi, to: v.type) }
            // `datetime between (start .. length)`
            if v.type == .datetime, lo.type == .datetime, hi.type == .timespan, let end = arithmetic(.add, lo, hi, hi.range) { hi = end }
        } else if v.type.isNumeric {
            if lo.type == .dynamic { lo = convert(lo, to: v.type) }
            if hi.type == .dynamic { hi = convert(hi, to: v.type) }
        }
        if let w = TypeRules.widest(v.type, lo.type).flatMap({ TypeRules.widest($0, hi.type) }) {
            (v, lo, hi) = (convert(v, to: w), convert(lo, to: w), convert(hi, to: w))
        }
        guard v.type == lo.type, lo.type == hi.type else {
            error(
                .notComparable, "`\(name)` needs one type, not \(v.type.rawValue) with \(lo.type.rawValue) and \(hi.type.rawValue)", range,
                mend: "convert the bounds to \(v.type.rawValue)")
            return nil
        }
        guard v.type.isNumeric || v.type == .datetime || v.type == .timespan else {
            error(.notOrdered, "`\(name)` is not defined for \(v.type.rawValue)", range, mend: "use numbers, datetimes or timespans")
            return nil
        }
        return BoundExpr(.call(name, [v, lo, hi]), .bool, range)
    }

    // MARK: Text

    /// An operand of a string operator as text: string, or dynamic (and guid) converted.
    private func asText(_ e: BoundExpr, _ op: String) -> BoundExpr? {
        switch e.type {
        case .string: return e
        case .dynamic, .guid: return convert(e, to: .string)
        default:
            error(.notText, "`\(op)` needs a string, not a \(e.type.rawValue)", e.range, mend: "convert it with tostring()")
            return nil
        }
    }

    private func text(_ op: BinaryOperator, _ a: BoundExpr, _ b: BoundExpr, _ range: SourceRange) -> BoundExpr? {
        let left = asText(a, op.rawValue), right = asText(b, op.rawValue)
        guard let l = left, let r = right else { return nil }
        return BoundExpr(.call(op.rawValue, [l, r]), .bool, range)
    }

    /// `* has "x"`: true where any column of text matches.
    private func bindAnyColumn(_ op: BinaryOperator, _ r: Expr, _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        guard let row = scope.row, let right = bind(r, scope) else { return nil }
        if row.relation.isUnknown { return nil }
        var result: BoundExpr?
        for c in row.columns where !poisoned.contains(c.id) {
            let l = BoundExpr(.column(c.id), c.type, range)
            guard c.type == right.type || (right.type == .string && c.type == .dynamic), let test = combine(op, l, right, range) else {
                continue
            }
            result = result.map { BoundExpr(.call(BinaryOperator.or.rawValue, [$0, test]), .bool, range) } ?? test
        }
        return result ?? constant(.bool(false), range)
    }

    // MARK: Lists

    func bindList(_ op: ListOperator, _ l: Expr, _ items: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        let left = bind(l, scope)
        if items.count == 1, isTabularList(items[0], scope) {
            guard let r = bindTabular(items[0], scope.env), !r.isUnknown, let v = left else { return nil }
            return bindMembership(op, v, r, items[0].range, range)
        }
        var bound: [BoundExpr] = []
        var failed = false
        for i in items {
            if let b = bind(i, scope) { bound.append(b) } else { failed = true }
        }
        guard !failed, let v = left else { return nil }
        return finishList(op, v, bound, range)
    }

    private func isTabularList(_ e: Expr, _ scope: Scope) -> Bool {
        switch e.kind {
        case .paren(let inner): return isTabularList(inner, scope)
        case .query(let q) where q.operators.isEmpty:
            if case .expression(let inner) = q.source { return isTabularList(inner, scope) }
            return true
        case .query: return true
        case .name(let n):
            let isColumn = scope.row?.column(n.text) != nil
            switch lookup(n.text, scope.env) {
            // A list that stands alone and names rows means the rows, even beside a column of this name.
            case .tabular?, .shared?: return true
            case .function?: return !isColumn && isTabular(e, scope.env)
            case .scalar?, .marker?, .failed?, .pattern?: return false
            case nil: return !isColumn && schemas.table(n.text) != nil
            }
        case .call: return isTabular(e, scope.env)
        default: return false
        }
    }

    private func bindMembership(_ op: ListOperator, _ v: BoundExpr, _ r: Relation, _ inner: SourceRange, _ range: SourceRange) -> BoundExpr?
    {
        guard let c = r.columns.first else {
            error(.listTypes, "the query in the list has no columns", inner)
            return nil
        }
        if poisoned.contains(c.id) { return nil }
        let needsText = op != .isIn && op != .notIn
        var left = v
        var plan = r.plan
        var type = c.type
        func cast(_ t: ScalarType) {
            let out = column(c.name, t)
            plan = Plan(.project(plan, [convert(BoundExpr(.column(c.id), c.type, inner), to: t)]), columns: [out], range: plan.range)
            type = t
        }
        if needsText {
            guard let t = asText(v, op.rawValue) else { return nil }
            left = t
            if type != .string && type != .dynamic { cast(.string) }
        } else if type != left.type, type != .dynamic {
            if left.type == .dynamic {
                left = convert(left, to: type)
            } else if let w = TypeRules.widest(left.type, type) {
                left = convert(left, to: w)
                if type != w { cast(w) }
            } else if (left.type == .guid && type == .string) || (left.type == .string && type == .guid) {
                left = convert(left, to: .string)
                if type == .guid { cast(.string) }
            } else if let x = literal(left, as: type) {
                left = x
            } else {
                error(
                    .listTypes, "a \(left.type.rawValue) cannot be looked up among values of type \(type.rawValue)", range,
                    mend: "convert one of them, for example with \(type.conversionFunction)()")
                return nil
            }
        }
        if r.columns.count > 1, plan === r.plan {
            plan = Plan(.project(plan, [BoundExpr(.column(c.id), c.type, inner)]), columns: [c], range: plan.range)
        }
        return BoundExpr(.inQuery(op, left, plan), .bool, range)
    }

    /// Items in flat form: constant dynamic arrays are taken apart. An item that stays dynamic while the left side is not is a list known
    /// only at run time.
    private func finishList(_ op: ListOperator, _ v: BoundExpr, _ items: [BoundExpr], _ range: SourceRange) -> BoundExpr? {
        var flat: [BoundExpr] = []
        for i in items {
            if case .constant(.dynamic(.array(let members))) = i.kind {
                for m in members { flat.append(constant(m == .null ? .null(.dynamic) : .dynamic(m), i.range)) }
            } else if case .constant(.dynamic(.object(let members))) = i.kind {
                for m in members { flat.append(constant(.dynamic(.string(m.key)), i.range)) }
            } else {
                flat.append(i)
            }
        }
        if op == .isIn || op == .notIn { return finishIn(op, v, flat, range) }
        guard let left = asText(v, op.rawValue) else { return nil }
        var out: [BoundExpr] = []
        for i in flat {
            switch i.kind {
            case .constant(.dynamic(let d)): out.append(constant(ConstantFold.scalar(d, as: .string) ?? .string(""), i.range))
            case .constant: out.append(convert(i, to: .string))
            default: out.append(i.type == .dynamic || i.type == .string ? i : convert(i, to: .string))
            }
        }
        return BoundExpr(.call(op.rawValue, [left] + out), .bool, range)
    }

    private func finishIn(_ op: ListOperator, _ v: BoundExpr, _ flat: [BoundExpr], _ range: SourceRange) -> BoundExpr? {
        var left = v
        if v.type == .dynamic {
            // One type among the items decides how the dynamic value is read.
            let texts = flat.allSatisfy { item in
                if case .constant(.dynamic(.string)) = item.kind { return true }
                return item.type == .string
            }
            let times = flat.first.map(\.type).flatMap { [.datetime, .timespan, .guid].contains($0) ? $0 : nil }
            if texts, !flat.isEmpty {
                left = convert(v, to: .string)
            } else if let t = times {
                left = convert(v, to: t)
            } else {
                let out = flat.map { i -> BoundExpr in
                    if let c = constantValue(i), c.type != .dynamic, let d = ConstantFold.dynamic(c) {
                        return constant(.dynamic(d), i.range)
                    }
                    return i
                }
                return BoundExpr(.call(op.rawValue, [v] + out), .bool, range)
            }
        }
        // Numbers meet at the widest type.
        if left.type.isNumeric {
            var w = left.type
            for i in flat {
                switch i.kind {
                case .constant(.dynamic(.real)): w = TypeRules.widest(w, .real) ?? w
                case .constant(.dynamic(.long)): w = TypeRules.widest(w, .long) ?? w
                default: w = TypeRules.widest(w, i.type) ?? w
                }
            }
            left = convert(left, to: w)
        }
        var out: [BoundExpr] = []
        for i in flat {
            if case .constant(.dynamic(let d)) = i.kind {
                // An item of another kind is never equal, and needs no test.
                if let c = member(d, as: left.type) { out.append(constant(c, i.range)) }
            } else if i.type == .dynamic {
                out.append(i)
            } else if let (l, r) = comparable(left, i), l.type == left.type || constantValue(i) == nil {
                if l.type != left.type {
                    error(
                        .listTypes, "the list mixes \(left.type.rawValue) and \(i.type.rawValue)", i.range,
                        mend: "convert it with \(left.type.conversionFunction)()")
                    return nil
                }
                out.append(r)
            } else {
                error(
                    .listTypes, "a \(left.type.rawValue) cannot be looked up among values of type \(i.type.rawValue)", i.range,
                    mend: "convert it with \(left.type.conversionFunction)()")
                return nil
            }
        }
        return BoundExpr(.call(op.rawValue, [left] + out), .bool, range)
    }

    /// An item of a dynamic list as the type it is compared to; nil if its kind is another.
    private func member(_ d: Dynamic, as type: ScalarType) -> Value? {
        switch (d, type) {
        case (.string, .string), (.bool, .bool), (.long, .int), (.long, .long), (.long, .real), (.long, .decimal), (.real, .real),
            (.string, .datetime), (.string, .timespan), (.string, .guid):
            return ConstantFold.scalar(d, as: type)
        case (.real(let v), .decimal): return Decimal128(v).map(Value.decimal)
        default: return nil
        }
    }
}
