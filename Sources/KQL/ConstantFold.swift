import Columnar

/// What the binder computes itself: conversions and arithmetic of constants. Functions are folded by the hook in ``BinderOptions``.
enum ConstantFold {
    /// A constant converted as the `to...` functions do; nil when the conversion is left to them.
    static func convert(_ v: Value, to type: ScalarType) -> Value? {
        if v.type == type { return v }
        if v.isNull { return .missing(type) }
        switch (v, type) {
        case (.bool(let b), .long): return .long(b ? 1 : 0)
        case (.bool(let b), .int): return .int(b ? 1 : 0)
        case (.bool(let b), .string): return .string(b ? "True" : "False")
        case (.int(let i), .long): return .long(Int64(i))
        case (.int(let i), .real): return .real(Double(i))
        case (.int(let i), .decimal): return .decimal(Decimal128(Int64(i)))
        case (.int(let i), .string): return .string(String(i))
        case (.long(let i), .int): return Int32(exactly: i).map(Value.int)
        case (.long(let i), .real): return .real(Double(i))
        case (.long(let i), .decimal): return .decimal(Decimal128(i))
        case (.long(let i), .string): return .string(String(i))
        case (.real(let d), .decimal): return Decimal128(d).map(Value.decimal)
        case (.decimal(let d), .real): return .real(d.doubleValue)
        case (.string(let s), .datetime): return DateTimeText.parse(s).map(Value.datetime)
        case (.string(let s), .timespan): return KustoTime.parseTimespan(s).map(Value.timespan)
        case (.string(let s), .guid): return guid(s).map(Value.guid)
        case (.dynamic(let d), _): return scalar(d, as: type)
        default: return nil
        }
    }

    /// A scalar inside a dynamic value, as the type given; nil if it is not of that kind.
    static func scalar(_ d: Dynamic, as type: ScalarType) -> Value? {
        switch (d, type) {
        case (_, .dynamic): return d == .null ? .null(.dynamic) : .dynamic(d)
        case (.null, _): return .missing(type)
        case (.string(let s), .string): return .string(s)
        case (.bool(let b), .bool): return .bool(b)
        case (.long(let v), .long): return .long(v)
        case (.long(let v), .int): return Int32(exactly: v).map(Value.int)
        case (.long(let v), .real): return .real(Double(v))
        case (.long(let v), .decimal): return .decimal(Decimal128(v))
        case (.real(let v), .real): return .real(v)
        case (.string(let s), .datetime), (.string(let s), .timespan), (.string(let s), .guid):
            return convert(.string(s), to: type)
        case (_, .string): return .string(JSONText.compact(d))
        default: return nil
        }
    }

    /// A constant as an item of a dynamic array or bag; nil for types that JSON has no form for.
    static func dynamic(_ v: Value) -> Dynamic? {
        switch v {
        case .null: .null
        case .bool(let b): .bool(b)
        case .int(let i): .long(Int64(i))
        case .long(let i): .long(i)
        case .real(let d): .real(d)
        case .string(let s): .string(s)
        case .dynamic(let d): d
        case .datetime(let t): .string(KustoTime.isoString(t))
        case .timespan(let t): .string(KustoTime.timespanString(t))
        case .decimal(let d): .string(d.description)
        case .guid(let g): .string(text(g))
        }
    }

    /// `+ - * / %` of two constants whose types fit already; nil on overflow, division by zero and for decimals.
    static func arithmetic(_ op: BinaryOperator, _ l: Value, _ r: Value, _ result: ScalarType) -> Value? {
        if l.isNull || r.isNull { return .null(result) }
        switch (l, r) {
        case (.long(let a), .long(let b)):
            return integer(op, a, b).map(Value.long)
        case (.real(let a), .real(let b)):
            switch op {
            case .add: return .real(a + b)
            case .subtract: return .real(a - b)
            case .multiply: return .real(a * b)
            case .divide: return b == 0 ? nil : .real(a / b)
            default: return nil
            }
        case (.timespan(let a), .timespan(let b)):
            switch op {
            case .add, .subtract: return integer(op, a, b).map(Value.timespan)
            case .divide: return b == 0 ? nil : .real(Double(a) / Double(b))
            default: return nil
            }
        case (.datetime(let a), .timespan(let b)) where op == .add || op == .subtract: return time(integer(op, a, b))
        case (.timespan(let a), .datetime(let b)) where op == .add: return time(integer(op, a, b))
        case (.datetime(let a), .datetime(let b)) where op == .subtract: return .timespan(a - b)
        case (.timespan(let a), .long(let b)) where op == .multiply: return integer(op, a, b).map(Value.timespan)
        case (.long(let a), .timespan(let b)) where op == .multiply: return integer(op, a, b).map(Value.timespan)
        default: return nil
        }
    }

    static func negate(_ v: Value) -> Value? {
        switch v {
        case .null: v
        case .int(let i): i == .min ? nil : .int(-i)
        case .long(let i): i == .min ? nil : .long(-i)
        case .real(let d): .real(-d)
        case .timespan(let t): t == .min ? nil : .timespan(-t)
        case .decimal(let d): .decimal(Decimal128(mantissa: -d.mantissa, exponent: Int(d.exponent)))
        default: nil
        }
    }

    private static func time(_ ticks: Int64?) -> Value? {
        guard let t = ticks, t >= 0, t <= KustoTime.maximum else { return nil }
        return .datetime(t)
    }

    private static func integer(_ op: BinaryOperator, _ a: Int64, _ b: Int64) -> Int64? {
        let (v, overflow): (Int64, Bool)
        switch op {
        case .add: (v, overflow) = a.addingReportingOverflow(b)
        case .subtract: (v, overflow) = a.subtractingReportingOverflow(b)
        case .multiply: (v, overflow) = a.multipliedReportingOverflow(by: b)
        case .divide where b != 0: (v, overflow) = a.dividedReportingOverflow(by: b)
        default: return nil
        }
        return overflow ? nil : v
    }

    /// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, with or without dashes and braces.
    static func guid(_ text: String) -> UInt128? {
        var v: UInt128 = 0
        var digits = 0
        for c in text.utf8 {
            let d: UInt8
            switch c {
            case 0x30...0x39: d = c - 0x30
            case 0x61...0x66: d = c - 0x61 + 10
            case 0x41...0x46: d = c - 0x41 + 10
            case 0x2D, 0x7B, 0x7D: continue
            default: return nil
            }
            digits += 1
            guard digits <= 32 else { return nil }
            v = v << 4 | UInt128(d)
        }
        return digits == 32 ? v : nil
    }

    static func text(_ guid: UInt128) -> String {
        let hex = String(guid, radix: 16)
        let all = Array(String(repeating: "0", count: max(0, 32 - hex.utf8.count)) + hex)
        return [all[0..<8], all[8..<12], all[12..<16], all[16..<20], all[20..<32]].map { String($0) }.joined(separator: "-")
    }
}
