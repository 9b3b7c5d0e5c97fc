import CKernels
import Columnar
import KQL

extension ExpressionCompiler {
    /// A call by canonical name, its arguments compiled.
    func compileCall(_ name: String, _ arguments: [any ExpressionNode], _ expr: BoundExpr) throws -> any ExpressionNode {
        func need(_ n: Int) throws {
            guard arguments.count == n else {
                throw EvaluationError("`\(name)` takes \(n) arguments, not \(arguments.count)", at: expr.range)
            }
        }
        if let comparison = Comparison(rawValue: name) {
            try need(2)
            return fold(compileComparison(comparison, arguments[0], arguments[1]))
        }
        if let op = ArithmeticOperator(rawValue: name) {
            try need(2)
            return fold(try compileArithmetic(op, arguments[0], arguments[1], expr.type))
        }
        if let predicate = TextPredicate.byName[name] {
            try need(2)
            return fold(compilePredicate(predicate, arguments[0], arguments[1]))
        }
        if let op = ListOperator(rawValue: name) {
            guard let left = arguments.first else { throw EvaluationError("`\(name)` lacks its left side", at: expr.range) }
            return try compileList(op, left, Array(arguments.dropFirst()))
        }
        switch name {
        case "and", "or":
            guard !arguments.isEmpty else { throw EvaluationError("`\(name)` lacks operands", at: expr.range) }
            return compileLogic(arguments, isAnd: name == "and")
        case "not":
            try need(1)
            return fold(
                KernelNode(arguments: arguments, type: .bool, price: 1) { values, c in
                    if values[0].isConstantNull { return .constant(.null(.bool)) }
                    var t = truth(values[0], rows: c.rows)
                    t.yes.invert()
                    if let known = t.known { t.yes.formAnd(known) }
                    return t.datum
                })
        case "negate":
            try need(1)
            let zero: Value = arguments[0].type == .real ? .real(0) : .integer(0, as: arguments[0].type)
            if arguments[0].type == .decimal || arguments[0].type == .dynamic || arguments[0].type == .real {
                return valueNode([arguments[0]], expr.type, strict: true) { a in
                    switch convertValue(a[0], to: expr.type) {
                    case .real(let v): .real(-v)
                    case .decimal(let d): .decimal(Decimal128(mantissa: -d.mantissa, exponent: Int(d.exponent)))
                    case .long(let v): .long(0 &- v)
                    default: .missing(expr.type)
                    }
                }
            }
            return fold(try compileArithmetic(.subtract, ConstantNode(value: zero), arguments[0], expr.type))
        case "between", "!between":
            try need(3)
            return fold(compileBetween(arguments, negated: name == "!between"))
        case "matches regex":
            try need(2)
            return fold(try compileRegexMatch(converted(arguments[0], to: .string), converted(arguments[1], to: .string)))
        case "now":
            if let offset = arguments.first { return try compileCall("+", [try compileCall("now", [], expr), offset], expr) }
            return KernelNode(arguments: [], type: .datetime, price: 0) { _, c in .constant(datetimeValue(c.context.now)) }
        case "ingestion_time":
            // The binder hands over the table's time column where there is one.
            if let time = arguments.first { return converted(time, to: .datetime) }
            return KernelNode(arguments: [], type: .datetime, price: 2) { _, c in
                var builder = ColumnBuilder(.datetime)
                for row in 0..<c.rows {
                    let time = c.frame.key(row).time
                    if time > 0 { builder.append(time) } else { builder.appendNull() }
                }
                return .column(builder.finish())
            }
        case "iff", "iif":
            try need(3)
            return compileCase([arguments[0]], [arguments[1], arguments[2]], expr.type)
        case "case":
            guard arguments.count >= 3, arguments.count % 2 == 1 else {
                throw EvaluationError("`case` takes pairs of a condition and a value, then a default", at: expr.range)
            }
            let pairs = stride(from: 0, to: arguments.count - 1, by: 2)
            return compileCase(
                pairs.map { arguments[$0] }, pairs.map { arguments[$0 + 1] } + arguments.suffix(1), expr.type)
        case "coalesce":
            // Constants that hold nothing drop out; one that holds something ends the list.
            var present: [any ExpressionNode] = []
            for a in arguments {
                let value = (a as? ConstantNode)?.value
                if value?.isNull ?? false || value == .string("") { continue }
                present.append(a)
                if value != nil { break }
            }
            guard let first = present.first else { return ConstantNode(value: .missing(expr.type)) }
            if present.count == 1 { return converted(first, to: expr.type) }
            return CoalesceNode(arguments: present, type: expr.type)
        default:
            return try compileFunction(name, arguments, expr)
        }
    }

    private func compileLogic(_ arguments: [any ExpressionNode], isAnd: Bool) -> any ExpressionNode {
        // A constant that decides, or that is neutral, leaves the tree.
        var rest: [any ExpressionNode] = []
        for a in arguments {
            if let value = (a as? ConstantNode)?.value, case .bool(let b) = convertValue(value, to: .bool) {
                if b != isAnd { return ConstantNode(value: .bool(b)) }
            } else {
                rest.append(a)
            }
        }
        switch rest.count {
        case 0: return ConstantNode(value: .bool(isAnd))
        case 1: return converted(rest[0], to: .bool)
        default:
            if rest.allSatisfy({ $0 is ConstantNode }) { return ConstantNode(value: .null(.bool)) }
            return LogicNode(rest, isAnd: isAnd)
        }
    }

    private func compileCase(
        _ conditions: [any ExpressionNode], _ branches: [any ExpressionNode], _ type: ScalarType
    ) -> any ExpressionNode {
        var liveConditions: [any ExpressionNode] = []
        var liveBranches: [any ExpressionNode] = []
        for (i, condition) in conditions.enumerated() {
            if let value = (condition as? ConstantNode)?.value {
                if case .bool(true) = convertValue(value, to: .bool) {
                    liveBranches.append(branches[i])
                    break
                }
            } else {
                liveConditions.append(condition)
                liveBranches.append(branches[i])
            }
        }
        if liveBranches.count == liveConditions.count, let last = branches.last { liveBranches.append(last) }
        if liveConditions.isEmpty { return converted(liveBranches[0], to: type) }
        return CaseNode(conditions: liveConditions, branches: liveBranches, type: type)
    }

    // MARK: Comparison

    func compileComparison(_ op: Comparison, _ left: any ExpressionNode, _ right: any ExpressionNode) -> any ExpressionNode {
        func node(
            _ l: any ExpressionNode, _ r: any ExpressionNode, price: Int, _ kernel: @escaping @Sendable ([Datum], Int) throws -> Datum
        )
            -> any ExpressionNode
        {
            KernelNode(arguments: [l, r], type: .bool, price: price) { values, c in try kernel(values, c.rows) }
        }
        let (lt, rt) = (left.type, right.type)
        switch (lt, rt) {
        case (.string, .string), (.string, .dynamic), (.dynamic, .string):
            let l = converted(left, to: .string), r = converted(right, to: .string)
            return node(l, r, price: 4) { v, rows in compareTextDatums(op, v[0], v[1], rows: rows) }
        case (.string, _):
            return compileComparison(op, converted(left, to: rt), right)
        case (_, .string):
            return compileComparison(op, left, converted(right, to: lt))
        case (.bool, .bool) where op == .equal || op == .notEqual:
            return node(left, right, price: 1) { v, rows in
                let a = truth(v[0], rows: rows), b = truth(v[1], rows: rows)
                var same = a.yes
                for i in same.words.indices { same.words[i] ^= b.yes.words[i] }
                if op == .equal { same.invert() }
                return finishComparison(op, same, a.known, b.known)
            }
        case (.dynamic, _), (_, .dynamic), (.decimal, _), (_, .decimal), (.guid, _), (_, .guid):
            return node(left, right, price: 8) { v, rows in
                try applyRows(v, rows: rows, type: .bool, strict: false) { compareValues(op, $0[0], $0[1]) }
            }
        case (.bool, _), (_, .bool):
            return compileComparison(op, converted(left, to: .long), converted(right, to: .long))
        case (.real, _), (_, .real):
            return node(left, right, price: 1) { v, rows in
                let a = realOperand(v[0]) ?? .constant(0), b = realOperand(v[1]) ?? .constant(0)
                return finishComparison(op, compareReals(op, a, b, rows: rows), knownRows(v[0], rows), knownRows(v[1], rows))
            }
        default:
            return node(left, right, price: 1) { v, rows in
                let a = longOperand(v[0]) ?? .constant(0), b = longOperand(v[1]) ?? .constant(0)
                return finishComparison(op, compareLongs(op, a, b, rows: rows), knownRows(v[0], rows), knownRows(v[1], rows))
            }
        }
    }

    private func compileBetween(_ arguments: [any ExpressionNode], negated: Bool) -> any ExpressionNode {
        let value = arguments[0]
        var high = arguments[2]
        if value.type == .datetime, high.type == .timespan, arguments[1].type == .datetime {
            // `between (start .. length)`
            high = fold((try? compileArithmetic(.add, arguments[1], high, .datetime)) ?? high)
        }
        let low = compileComparison(.greaterOrEqual, value, arguments[1])
        let upper = compileComparison(.lessOrEqual, value, high)
        return KernelNode(arguments: [fold(low), fold(upper)], type: .bool, price: 1) { v, c in
            let a = truth(v[0], rows: c.rows), b = truth(v[1], rows: c.rows)
            var yes = a.yes & b.yes
            let known = bothValid(a.known, b.known)
            if negated { yes.invert() }
            if let known { yes.formAnd(known) }
            return Truth(yes: yes, known: known).datum
        }
    }

    private func compileRegexMatch(_ text: any ExpressionNode, _ pattern: any ExpressionNode) throws -> any ExpressionNode {
        if let constant = (pattern as? ConstantNode)?.value {
            let regex = try Regex2(textValue(constant))
            return KernelNode(arguments: [text], type: .bool, price: 10) { v, c in
                switch v[0] {
                case .constant(let s): .constant(.bool(regex.matches(textValue(s))))
                case .column(let column):
                    if case .strings(let s) = column.data {
                        .column(Column(.bool, .bools(regex.match(s))))
                    } else {
                        .constant(.null(.bool))
                    }
                }
            }
        }
        let cache = RegexCache()
        return valueNode([text, pattern], .bool, strict: true) { a in
            .bool(try cache.regex(textValue(a[1]))?.matches(textValue(a[0])) ?? false)
        }
    }
}

/// Validity for comparisons: constant nulls are unknown everywhere.
func knownRows(_ datum: Datum, _ rows: Int) -> Bitmap? {
    if datum.isConstantNull { return Bitmap(repeating: false, count: rows) }
    return validity(datum)
}

/// Nulls in comparisons: a null differs from every value; two nulls compare as null, and so does an order with a null.
func finishComparison(_ op: Comparison, _ raw: Bitmap, _ a: Bitmap?, _ b: Bitmap?) -> Datum {
    guard a != nil || b != nil else { return .column(Column(.bool, .bools(raw))) }
    let all = Bitmap(repeating: true, count: raw.count)
    let (va, vb) = (a ?? all, b ?? all)
    let both = va & vb
    var yes = raw & both
    switch op {
    case .equal: return Truth(yes: yes, known: va | vb).datum
    case .notEqual:
        let either = va | vb
        var one = either
        one.formAndNot(both)
        yes.formOr(one)
        return Truth(yes: yes, known: either).datum
    default: return Truth(yes: yes, known: both).datum
    }
}

/// One comparison of values of any types. Dynamics compare by what they hold; types without a common order give null.
func compareValues(_ op: Comparison, _ a: Value, _ b: Value) -> Value {
    let x = unwrapped(a, against: b.type), y = unwrapped(b, against: a.type)
    switch (x.isNull, y.isNull) {
    case (true, true): return .null(.bool)
    case (true, false), (false, true):
        switch op {
        case .equal: return .bool(false)
        case .notEqual: return .bool(true)
        default: return .null(.bool)
        }
    default: break
    }
    guard let order = orderValues(x, y) else {
        switch op {
        case .equal: return .bool(false)
        case .notEqual: return .bool(true)
        default: return .null(.bool)
        }
    }
    return .bool(order == .min ? op == .notEqual : op.holds(order))
}

/// A dynamic's content as a plain value, read as a time or guid where the other side is one.
func unwrapped(_ value: Value, against other: ScalarType = .dynamic) -> Value {
    guard case .dynamic(let d) = value else { return value }
    switch d {
    case .null: return .null(.dynamic)
    case .bool(let b): return .bool(b)
    case .long(let v): return .long(v)
    case .real(let v): return .real(v)
    case .string(let s):
        switch other {
        case .datetime, .timespan, .guid: return convertValue(.string(s), to: other)
        case .int, .long, .real: return specialReal(s).map(Value.real) ?? .string(s)
        default: return .string(s)
        }
    case .array, .object: return value
    }
}

/// -1, 0, 1; `Int.min` when a NaN is unordered; nil for types that do not compare.
func orderValues(_ a: Value, _ b: Value) -> Int? {
    switch (a, b) {
    case (.string(let x), .string(let y)): return orderTexts(x, y)
    case (.bool(let x), .bool(let y)): return x == y ? 0 : (x ? 1 : -1)
    case (.guid(let x), .guid(let y)): return x == y ? 0 : (x < y ? -1 : 1)
    case (.dynamic(let x), .dynamic(let y)): return orderTexts(JSONText.compact(x), JSONText.compact(y))
    case (.decimal, _) where b.type.isNumeric, (_, .decimal) where a.type.isNumeric:
        guard case .decimal(let x) = convertValue(a, to: .decimal), case .decimal(let y) = convertValue(b, to: .decimal) else { return nil }
        return Decimal128.compare(x, y)
    case (.real, _) where b.type.isNumeric, (_, .real) where a.type.isNumeric:
        guard let x = a.double, let y = b.double else { return nil }
        return x.isNaN || y.isNaN ? .min : (x < y ? -1 : (x > y ? 1 : 0))
    default:
        let comparable = a.type == b.type || (a.type.isNumeric && b.type.isNumeric)
        guard comparable, let x = a.integer, let y = b.integer else { return nil }
        return x < y ? -1 : (x > y ? 1 : 0)
    }
}

/// The order of UTF-8 bytes.
func orderTexts(_ a: String, _ b: String) -> Int {
    if a.utf8.elementsEqual(b.utf8) { return 0 }
    return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
}
