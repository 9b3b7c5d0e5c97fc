import Columnar
import KQL

enum ArithmeticOperator: String, Sendable {
    case add = "+", subtract = "-", multiply = "*", divide = "/", modulo = "%"
}

extension ExpressionCompiler {
    /// Arithmetic on numbers, datetimes and timespans; the binder has decided the result's type. Nulls give null. Integers wrap; integer
    /// division cuts towards zero; a zero divisor gives null for integers, infinity or NaN for reals; a remainder is never negative.
    func compileArithmetic(
        _ op: ArithmeticOperator, _ left: any ExpressionNode, _ right: any ExpressionNode, _ type: ScalarType
    ) throws -> any ExpressionNode {
        var (l, r) = (left, right)
        if type == .dynamic {
            return valueNode([l, r], .dynamic, strict: true) { a in
                let x = unwrapped(a[0]), y = unwrapped(a[1])
                guard x.type.isNumeric, y.type.isNumeric else { return .null(.dynamic) }
                if let p = x.integer, let q = y.integer {
                    return convertValue(
                        integerArithmetic(op, .constant(.long(p)), .constant(.long(q)), .long, rows: 1).value(0), to: .dynamic)
                }
                guard let p = x.double, let q = y.double, let z = realArithmetic(op, .constant(p), .constant(q), rows: 1).first else {
                    return .null(.dynamic)
                }
                return .dynamic(.real(z))
            }
        }
        if l.type == .dynamic { l = converted(l, to: r.type == .dynamic ? type : (r.type.isNumeric ? type : r.type)) }
        if r.type == .dynamic { r = converted(r, to: l.type.isNumeric ? type : l.type) }
        let isTime = { (t: ScalarType) in t == .datetime || t == .timespan }
        if l.type == .string { l = converted(l, to: isTime(r.type) ? .datetime : type) }
        if r.type == .string { r = converted(r, to: isTime(l.type) ? l.type : type) }
        if l.type == .bool { l = converted(l, to: .long) }
        if r.type == .bool { r = converted(r, to: .long) }
        if isTime(l.type) || isTime(r.type) { return timeArithmetic(op, l, r, type) }
        switch type {
        case .real:
            return arithmeticNode(converted(l, to: .real), converted(r, to: .real), .real) { v, rows in
                guard let a = realOperand(v[0]), let b = realOperand(v[1]) else { return .constant(.null(.real)) }
                return .column(
                    Column(.real, .reals(realArithmetic(op, a, b, rows: rows)), validity: bothValid(validity(v[0]), validity(v[1]))))
            }
        case .decimal:
            return valueNode([converted(l, to: .decimal), converted(r, to: .decimal)], .decimal, strict: true) { a in
                guard case .decimal(let x) = a[0], case .decimal(let y) = a[1] else { return .null(.decimal) }
                return decimalArithmetic(op, x, y).map(Value.decimal) ?? .null(.decimal)
            }
        default:
            // Reals here mean that the binder announced an integer for a mixed operation: compute as real, then cut.
            if l.type == .real || r.type == .real || l.type == .decimal || r.type == .decimal {
                return converted(try compileArithmetic(op, l, r, .real), to: type)
            }
            return arithmeticNode(l, r, type) { v, rows in integerArithmetic(op, v[0], v[1], type, rows: rows) }
        }
    }

    private func arithmeticNode(
        _ l: any ExpressionNode, _ r: any ExpressionNode, _ type: ScalarType, _ kernel: @escaping @Sendable ([Datum], Int) -> Datum
    ) -> any ExpressionNode {
        fold(
            KernelNode(arguments: [l, r], type: type, price: 1) { v, c in
                v[0].isConstantNull || v[1].isConstantNull ? .constant(.missing(type)) : kernel(v, c.rows)
            })
    }

    private func timeArithmetic(_ op: ArithmeticOperator, _ l: any ExpressionNode, _ r: any ExpressionNode, _ type: ScalarType)
        -> any ExpressionNode
    {
        let isReal = { (t: ScalarType) in t == .real || t == .decimal }
        switch (op, l.type, r.type) {
        case (.divide, _, _) where !r.type.isNumeric:
            // Length over length is a number.
            return converted(
                arithmeticNode(l, r, .real) { v, rows in
                    guard let a = longOperand(v[0]), let b = longOperand(v[1]) else { return .constant(.null(.real)) }
                    let out = zipOperands(a, b, rows: rows) { (x: Int64, y: Int64) in Double(x) / Double(y) }
                    return .column(Column(.real, .reals(out), validity: bothValid(validity(v[0]), validity(v[1]))))
                }, to: type)
        case (.multiply, _, _) where isReal(l.type) || isReal(r.type), (.divide, _, _) where isReal(r.type):
            let (a, b) = (tickReals(l), tickReals(r))
            return arithmeticNode(a, b, type) { v, rows in
                guard let x = realOperand(v[0]), let y = realOperand(v[1]) else { return .constant(.null(type)) }
                let product = realArithmetic(op, x, y, rows: rows)
                var valid = bothValid(validity(v[0]), validity(v[1])) ?? Bitmap(repeating: true, count: rows)
                var out = ContiguousArray<Int64>(repeating: 0, count: rows)
                for (i, p) in product.enumerated() {
                    if p.magnitude < 9.2e18 { out[i] = Int64(p) } else { valid[i] = false }
                }
                return .column(Column(type, .longs(out), validity: valid))
            }
        default:
            return arithmeticNode(l, r, type) { v, rows in
                let datum = integerArithmetic(op, v[0], v[1], type, rows: rows)
                guard type == .datetime, case .column(let c) = datum, case .longs(let ticks) = c.data else { return datum }
                guard ticks.contains(where: { $0 < 0 || $0 > KustoTime.maximum }) else { return datum }
                var valid = c.validity ?? Bitmap(repeating: true, count: rows)
                for (i, t) in ticks.enumerated() where t < 0 || t > KustoTime.maximum { valid[i] = false }
                return .column(
                    Column(type, .longs(ContiguousArray(ticks.enumerated().map { valid[$0.offset] ? $0.element : 0 })), validity: valid))
            }
        }
    }

    /// Ticks or numbers as reals.
    private func tickReals(_ node: any ExpressionNode) -> any ExpressionNode {
        switch node.type {
        case .real: node
        default:
            fold(
                KernelNode(arguments: [node], type: .real, price: 1) { v, c in
                    switch v[0] {
                    case .constant(let x): .constant(x.integer.map { .real(Double($0)) } ?? convertValue(x, to: .real))
                    case .column: castDatum(v[0], to: .real, rows: c.rows)
                    }
                })
        }
    }
}

func realArithmetic(_ op: ArithmeticOperator, _ a: Operand<Double>, _ b: Operand<Double>, rows: Int) -> ContiguousArray<Double> {
    switch op {
    case .add: zipOperands(a, b, rows: rows) { (x: Double, y: Double) in x + y }
    case .subtract: zipOperands(a, b, rows: rows) { (x: Double, y: Double) in x - y }
    case .multiply: zipOperands(a, b, rows: rows) { (x: Double, y: Double) in x * y }
    case .divide: zipOperands(a, b, rows: rows) { (x: Double, y: Double) in x / y }
    case .modulo:
        zipOperands(a, b, rows: rows) { (x: Double, y: Double) in
            let r = x.truncatingRemainder(dividingBy: y)
            return r < 0 ? r + y.magnitude : r
        }
    }
}

/// Arithmetic on 64-bit integers (and on 32-bit ones, cut to 32 bits).
func integerArithmetic(_ op: ArithmeticOperator, _ left: Datum, _ right: Datum, _ type: ScalarType, rows: Int) -> Datum {
    guard let a = longOperand(left), let b = longOperand(right) else { return .constant(.missing(type)) }
    var valid = bothValid(validity(left), validity(right))
    var out: ContiguousArray<Int64>
    switch op {
    case .add: out = zipOperands(a, b, rows: rows) { (x: Int64, y: Int64) in x &+ y }
    case .subtract: out = zipOperands(a, b, rows: rows) { (x: Int64, y: Int64) in x &- y }
    case .multiply: out = zipOperands(a, b, rows: rows) { (x: Int64, y: Int64) in x &* y }
    case .divide:
        out = zipOperands(a, b, rows: rows) { (x: Int64, y: Int64) in y == 0 ? 0 : (y == -1 ? 0 &- x : x / y) }
        valid = nonZero(b, valid, rows: rows)
    case .modulo:
        out = zipOperands(a, b, rows: rows) { (x: Int64, y: Int64) in
            if y == 0 || y == -1 { return 0 }
            let r = x % y
            return r < 0 ? r &+ (y < 0 ? 0 &- y : y) : r
        }
        valid = nonZero(b, valid, rows: rows)
    }
    if type == .int { for i in out.indices { out[i] = Int64(Int32(truncatingIfNeeded: out[i])) } }
    if let valid { for i in out.indices where out[i] != 0 && !valid[i] { out[i] = 0 } }
    return .column(Column(type, .longs(out), validity: valid))
}

private func nonZero(_ divisor: Operand<Int64>, _ valid: Bitmap?, rows: Int) -> Bitmap? {
    switch divisor {
    case .constant(let d): return d == 0 ? Bitmap(repeating: false, count: rows) : valid
    case .column(let a):
        guard a.contains(0) else { return valid }
        var out = valid ?? Bitmap(repeating: true, count: rows)
        for (i, d) in a.enumerated() where d == 0 { out[i] = false }
        return out
    }
}

/// Decimal arithmetic to 34 digits; nil for a zero divisor or a result out of reach.
func decimalArithmetic(_ op: ArithmeticOperator, _ a: Decimal128, _ b: Decimal128) -> Decimal128? {
    switch op {
    case .add: return decimalSum(a, b)
    case .subtract: return decimalSum(a, Decimal128(mantissa: -b.mantissa, exponent: Int(b.exponent)))
    case .multiply:
        let (product, overflow) = a.mantissa.multipliedReportingOverflow(by: b.mantissa)
        if !overflow { return Decimal128(mantissa: product, exponent: Int(a.exponent) + Int(b.exponent)) }
        // Too many digits for an exact product: 17 digits of each factor decide.
        let x = shortened(a, digits: 18), y = shortened(b, digits: 18)
        return Decimal128(mantissa: x.mantissa * y.mantissa, exponent: x.exponent + y.exponent)
    case .divide:
        guard b.mantissa != 0 else { return nil }
        var numerator = a.mantissa
        var exponent = Int(a.exponent) - Int(b.exponent)
        while true {
            let (next, overflow) = numerator.multipliedReportingOverflow(by: 10)
            if overflow || numerator == 0 { break }
            numerator = next
            exponent -= 1
        }
        return Decimal128(mantissa: numerator / b.mantissa, exponent: exponent)
    case .modulo:
        guard b.mantissa != 0, let q = decimalArithmetic(.divide, a, b) else { return nil }
        let whole = truncatedDecimal(q)
        guard let product = decimalArithmetic(.multiply, whole, b), let r = decimalArithmetic(.subtract, a, product) else { return nil }
        return r.mantissa < 0 ? decimalSum(r, Decimal128(mantissa: abs(b.mantissa), exponent: Int(b.exponent))) : r
    }
}

func truncatedDecimal(_ v: Decimal128) -> Decimal128 {
    var m = v.mantissa
    var e = Int(v.exponent)
    while e < 0, m != 0 {
        m /= 10
        e += 1
    }
    return Decimal128(mantissa: m, exponent: m == 0 ? 0 : e)
}

private func shortened(_ v: Decimal128, digits: Int) -> (mantissa: Int128, exponent: Int) {
    var m = v.mantissa
    var e = Int(v.exponent)
    var limit: Int128 = 1
    for _ in 0..<digits { limit *= 10 }
    while m.magnitude >= limit.magnitude {
        m /= 10
        e += 1
    }
    return (m, e)
}

private func decimalSum(_ a: Decimal128, _ b: Decimal128) -> Decimal128? {
    if a.mantissa == 0 { return b }
    if b.mantissa == 0 { return a }
    var (high, low) = a.exponent >= b.exponent ? (a, b) : (b, a)
    // Bring the coarser number to the finer exponent as far as digits allow, then cut the finer one.
    var m = high.mantissa
    var e = Int(high.exponent)
    while e > Int(low.exponent) {
        let (next, overflow) = m.multipliedReportingOverflow(by: 10)
        if overflow || next.magnitude > Int128.max.magnitude / 4 { break }
        m = next
        e -= 1
    }
    var n = low.mantissa
    var le = Int(low.exponent)
    while le < e, n != 0 {
        n /= 10
        le += 1
    }
    high = Decimal128(mantissa: 0, exponent: 0)
    low = high
    let (sum, overflow) = m.addingReportingOverflow(n)
    return overflow ? nil : Decimal128(mantissa: sum, exponent: e)
}
