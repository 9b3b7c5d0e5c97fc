import Columnar
import KQL

/// Comparison, arithmetic and conversion of single values, as Kusto defines them.
enum ReferenceValues {
    /// The value, or what stands for its absence. (Not by `??`: values in its closure are misaligned by debug builds of Swift 6.3.)
    static func present(_ v: Value?, _ type: ScalarType) -> Value {
        if let v { return v }
        return .missing(type)
    }

    // MARK: Dynamic access

    static func member(_ base: Value, _ index: Value) -> Value {
        guard case .dynamic(let d) = base else { return .null(.dynamic) }
        let found: Dynamic?
        switch (d, index) {
        case (.object, .string(let key)), (.object, .dynamic(.string(let key))): found = d[key]
        case (.array(let items), .long), (.array(let items), .int), (.array(let items), .dynamic(.long)):
            var i: Int64 = 0
            if case .dynamic(.long(let v)) = index { i = v } else { i = index.integer ?? 0 }
            let at = i < 0 ? i + Int64(items.count) : i
            found = at >= 0 && at < Int64(items.count) ? items[Int(at)] : nil
        default: found = nil
        }
        guard let found, found != .null else { return .null(.dynamic) }
        return .dynamic(found)
    }

    // MARK: Text of values

    /// What a value prints as where text is asked for; empty for null.
    static func text(_ v: Value) -> String {
        switch v {
        case .null: ""
        case .bool(let b): b ? "true" : "false"
        case .int(let i): "\(i)"
        case .long(let i): "\(i)"
        case .real(let d): KustoNumber.real(d, wholeSuffix: true)
        case .decimal(let d): d.description
        case .string(let s): s
        case .datetime(let t): KustoTime.isoString(t)
        case .timespan(let t): KustoTime.timespanString(t)
        case .guid(let g): guid(g)
        case .dynamic(.string(let s)): s
        case .dynamic(.null): ""
        case .dynamic(.bool(let b)): b ? "true" : "false"
        case .dynamic(let d): JSONText.compact(d)
        }
    }

    private static func guid(_ g: UInt128) -> String {
        let digits = String(g, radix: 16)
        let all = Array(String(repeating: "0", count: 32 - digits.count) + digits)
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(all[$0]) }.joined(separator: "-")
    }

    // MARK: Comparison

    /// What a dynamic holds, so that it compares with plain values.
    private static func content(_ v: Value) -> Value {
        switch v {
        case .dynamic(.null): .null(.dynamic)
        case .dynamic(.bool(let b)): .bool(b)
        case .dynamic(.long(let i)): .long(i)
        case .dynamic(.real(let d)): .real(d)
        case .dynamic(.string(let s)): .string(s)
        default: v
        }
    }

    /// Null differs from every value; two nulls give null, and so does an order with a null.
    static func compare(_ op: BinaryOperator, _ left: Value, _ right: Value) -> Value {
        let (a, b) = (content(left), content(right))
        if a.isNull || b.isNull {
            if a.isNull && b.isNull { return .null(.bool) }
            switch op {
            case .equal: return .bool(false)
            case .notEqual: return .bool(true)
            default: return .null(.bool)
            }
        }
        // Truth inside a dynamic is no number.
        let mixed = (left.type == .dynamic || right.type == .dynamic) && (a.type == .bool) != (b.type == .bool)
        guard !mixed, let order = order(a, b) else {
            // Types that do not compare are not equal.
            return op == .equal ? .bool(false) : op == .notEqual ? .bool(true) : .null(.bool)
        }
        switch op {
        case .equal: return .bool(order == .same)
        case .notEqual: return .bool(order != .same)
        case .less: return .bool(order == .before)
        case .lessOrEqual: return .bool(order == .before || order == .same)
        case .greater: return .bool(order == .after)
        default: return .bool(order == .after || order == .same)
        }
    }

    enum Order { case before, same, after, unordered }

    private static func of<T: Comparable>(_ a: T, _ b: T) -> Order { a < b ? .before : a == b ? .same : .after }

    /// The order of two values that are not null; nil where the types have none in common. NaN is unordered.
    static func order(_ a: Value, _ b: Value) -> Order? {
        switch (a, b) {
        case (.string(let x), .string(let y)):
            if Array(x.utf8) == Array(y.utf8) { return .same }
            return x.utf8.lexicographicallyPrecedes(y.utf8) ? .before : .after
        case (.bool(let x), .bool(let y)): return of(x ? 1 : 0, y ? 1 : 0)
        case (.guid(let x), .guid(let y)): return of(x, y)
        case (.datetime(let x), .datetime(let y)), (.timespan(let x), .timespan(let y)): return of(x, y)
        case (.dynamic(let x), .dynamic(let y)): return order(.string(JSONText.compact(x)), .string(JSONText.compact(y)))
        case (.bool(let x), _) where b.type.isNumeric: return order(.long(x ? 1 : 0), b)
        case (_, .bool(let y)) where a.type.isNumeric: return order(a, .long(y ? 1 : 0))
        default:
            guard a.type.isNumeric, b.type.isNumeric else { return nil }
            if case .decimal(let x) = a, case .decimal(let y) = b { return of(Decimal128.compare(x, y), 0) }
            if let x = a.integer, let y = b.integer { return of(x, y) }
            guard let x = a.double, let y = b.double else { return nil }
            if x.isNaN || y.isNaN { return .unordered }
            return of(x, y)
        }
    }

    // MARK: Arithmetic

    private static func wrapped(_ v: Int128, _ type: ScalarType) -> Value {
        let low = Int64(truncatingIfNeeded: v)
        switch type {
        case .int: return .int(Int32(truncatingIfNeeded: low))
        case .datetime: return low < 0 || low > KustoTime.maximum ? .null(.datetime) : .datetime(low)
        case .timespan: return .timespan(low)
        default: return .long(low)
        }
    }

    static func arithmetic(_ op: BinaryOperator, _ left: Value, _ right: Value, _ type: ScalarType) throws -> Value {
        let (a, b) = (content(left), content(right))
        if a.isNull || b.isNull { return .missing(type) }
        let ticks = type == .datetime || type == .timespan || [a.type, b.type].contains { $0 == .datetime || $0 == .timespan }
        if let x = a.integer, let y = b.integer {
            if ticks, op == .divide, type == .real { return .real(Double(x) / Double(y)) }
            return integers(op, Int128(x), Int128(y), type)
        }
        guard let x = number(a), let y = number(b), type != .decimal else { throw ReferenceGap("\(a.type) \(op.rawValue) \(b.type)") }
        let result: Double
        switch op {
        case .add: result = x + y
        case .subtract: result = x - y
        case .multiply: result = x * y
        case .divide: result = x / y
        default:
            let r = x.truncatingRemainder(dividingBy: y)
            result = r < 0 ? r + abs(y) : r
        }
        guard type == .timespan else { return .real(result) }
        return result.isFinite && abs(result) < 9.2e18 ? .timespan(Int64(result)) : .null(.timespan)
    }

    private static func number(_ v: Value) -> Double? { v.integer.map(Double.init) ?? v.double }

    /// Integers wrap; division cuts towards zero; a remainder is not negative; a zero divisor gives null.
    private static func integers(_ op: BinaryOperator, _ x: Int128, _ y: Int128, _ type: ScalarType) -> Value {
        switch op {
        case .add: return wrapped(x + y, type)
        case .subtract: return wrapped(x - y, type)
        case .multiply: return wrapped(x * y, type)
        case .divide: return y == 0 ? .missing(type) : wrapped(x / y, type)
        default:
            if y == 0 { return .missing(type) }
            let r = x % y
            return wrapped(r < 0 ? r + (y < 0 ? -y : y) : r, type)
        }
    }

    // MARK: Conversion

    /// The implicit conversions and the `to...` functions, without the reading of numbers and times out of text beyond plain integers.
    static func convert(_ v: Value, to type: ScalarType) -> Value {
        if v.type == type { return v }
        let v = content(v)
        if v.type == type { return v }
        if v.isNull { return .missing(type) }
        switch (type, v) {
        case (.string, _): return .string(text(v))
        case (.dynamic, .bool(let b)): return .dynamic(.bool(b))
        case (.dynamic, .int), (.dynamic, .long): return .dynamic(.long(v.integer ?? 0))
        case (.dynamic, .real(let d)): return .dynamic(d.isFinite ? .real(d) : .string(text(v)))
        case (.dynamic, .string(let s)): return .dynamic(.string(s))
        case (.dynamic, .datetime), (.dynamic, .timespan), (.dynamic, .guid): return .dynamic(.string(text(v)))
        case (.bool, .int), (.bool, .long): return .bool(v.integer != 0)
        case (.bool, .real(let d)): return d.isNaN ? .null(.bool) : .bool(d != 0)
        case (.bool, .string(let s)):
            switch ReferenceText.folded(s) {
            case "true": return .bool(true)
            case "false": return .bool(false)
            default: return present(Int64(s).map { .bool($0 != 0) }, .bool)
            }
        case (.long, .bool(let b)): return .long(b ? 1 : 0)
        case (.int, .bool(let b)): return .int(b ? 1 : 0)
        case (.long, .int(let i)): return .long(Int64(i))
        case (.long, .datetime(let t)), (.long, .timespan(let t)): return .long(t)
        case (.int, .long(let i)): return present(Int32(exactly: i).map(Value.int), .int)
        case (.long, .real(let d)): return present(cut(d).map(Value.long), .long)
        case (.int, .real(let d)): return present(cut(d).flatMap { Int32(exactly: $0) }.map(Value.int), .int)
        case (.long, .string(let s)): return present(Int64(s).map(Value.long), .long)
        case (.int, .string(let s)): return present(Int32(s).map(Value.int), .int)
        case (.real, .bool(let b)): return .real(b ? 1 : 0)
        case (.real, .int), (.real, .long): return .real(Double(v.integer ?? 0))
        case (.real, .string(let s)): return present(Double(s).map(Value.real), .real)
        case (.timespan, .long(let t)): return .timespan(t)
        default: return .missing(type)
        }
    }

    /// Cut towards zero; beyond the range its end; nil for NaN.
    private static func cut(_ d: Double) -> Int64? {
        if d.isNaN { return nil }
        return Int64(exactly: d.rounded(.towardZero)) ?? (d < 0 ? .min : .max)
    }
}
