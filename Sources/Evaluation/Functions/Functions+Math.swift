import Columnar
import Glibc
import KQL

private func realFunction(
    _ name: String, aliases: [String] = [], _ summary: String, _ example: String, _ f: @escaping @Sendable (Double) -> Double?
)
    -> ScalarFunction
{
    ScalarFunction(
        name, "x:numeric", .type(.real), aliases: aliases, summary, example,
        .strict { a in
            let x = real(a, 0)
            // Outside its domain a function is null; a NaN stays one.
            if x.isNaN { return .real(x) }
            return optional(f(x), Value.real, .real)
        })
}

/// Half away from zero, to a number of decimal places (negative: tens, hundreds).
func roundReal(_ v: Double, _ places: Int) -> Double {
    guard v.isFinite, places.magnitude <= 300 else { return v }
    if places == 0 { return v.rounded(.toNearestOrAwayFromZero) }
    if places > 0 {
        guard places <= 15 else { return v }
        let scale = pow(10, Double(places))
        let scaled = v * scale
        return scaled.isFinite ? scaled.rounded(.toNearestOrAwayFromZero) / scale : v
    }
    let scale = pow(10, Double(-places))
    return (v / scale).rounded(.toNearestOrAwayFromZero) * scale
}

/// The greatest multiple of the bin at or below the value; null where the bin is not positive.
func binValue(_ a: [Value], type: ScalarType) -> Value {
    guard a.count > 1 else { return convertValue(.real(real(a, 0).rounded(.down)), to: type) }
    return binAt(a[0], a[1], nil, type: type)
}

private func binAt(_ value: Value, _ size: Value, _ fixed: Value?, type: ScalarType) -> Value {
    if type == .real || type == .decimal || size.type == .real || value.type == .real {
        guard let v = value.double, let s = size.double, s > 0 else { return .null(type) }
        let origin = fixed?.double ?? 0
        return coerceValue(.real(((v - origin) / s).rounded(.down) * s + origin), to: type)
    }
    guard let v = value.integer, let s = size.integer, s > 0 else { return .null(type) }
    let origin = fixed?.integer ?? 0
    let (distance, overflow) = v.subtractingReportingOverflow(origin)
    if overflow { return .null(type) }
    let rest = distance % s
    let result = v &- (rest < 0 ? rest &+ s : rest)
    return type == .datetime ? datetimeValue(result) : .integer(result, as: type)
}

private func binResult(_ types: [ScalarType]) -> ScalarType? {
    guard let first = types.first else { return nil }
    switch first {
    case .datetime, .timespan: return first
    case .bool: return .long
    case .dynamic: return types.count > 1 ? types[1] : .real
    case .string: return nil
    default: return types.count > 1 && types[1].isNumeric ? commonType(first, types[1]) : first
    }
}

/// `bin` of integers and times over whole columns; the rest by value.
private func binColumns(_ v: [Datum], _ c: KernelContext) throws -> Datum {
    if v.count == 2, case .column(let column) = v[0], case .longs(let cells) = column.data, let size = v[1].constantValue,
        size.type != .real,
        size.type != .decimal, let s = size.integer, s > 0, c.type == column.type
    {
        let out = binned(cells, s)
        return .column(Column(c.type, .longs(out), validity: column.validity))
    }
    let type = c.type
    return try applyRows(v, rows: c.rows, type: type, strict: true) { a in
        if case .bool(let b) = a[0] { return binValue([.long(b ? 1 : 0)] + a.dropFirst(), type: type) }
        return binValue(a.map { unwrapped($0) }, type: type)
    }
}

/// `bin_at` of longs and times over whole columns with constant size and point; the rest by value.
private func binAtColumns(_ v: [Datum], _ c: KernelContext) throws -> Datum {
    let type = c.type
    if v.count == 3, type == .long || type == .datetime || type == .timespan, case .column(let column) = v[0], column.type == type,
        case .longs(let cells) = column.data, let size = v[1].constantValue, let origin = v[2].constantValue,
        size.type != .real, size.type != .decimal, origin.type != .real, origin.type != .decimal, let s = size.integer, s > 0,
        let fixed = origin.integer, let out = binned(cells, s, at: fixed, valid: column.validity, isTime: type == .datetime)
    {
        return .column(Column(type, .longs(out), validity: column.validity))
    }
    return try applyRows(v, rows: c.rows, type: type, strict: true) { a in binAt(a[0], a[1], a[2], type: type) }
}

/// Numbers go with numbers; times and timespans with a timespan as distance.
private func aroundResult(_ t: [ScalarType]) -> ScalarType? {
    guard t.count == 3 else { return nil }
    func isNumber(_ t: ScalarType) -> Bool { t.isNumeric || t == .dynamic }
    switch (t[0], t[1], t[2]) {
    case (.datetime, .datetime, .timespan), (.timespan, .timespan, .timespan): return .bool
    case (let a, let b, let c) where isNumber(a) && isNumber(b) && isNumber(c): return .bool
    default: return nil
    }
}

private func around(_ value: Value, _ center: Value, _ delta: Value) -> Value {
    if let v = value.integer, let c = center.integer, let d = delta.integer {
        return .bool(Int128(v) >= Int128(c) - Int128(d) && Int128(v) <= Int128(c) + Int128(d))
    }
    guard let v = value.double, let c = center.double, let d = delta.double else { return .null(.bool) }
    return .bool(v >= c - d && v <= c + d)
}

extension Functions {
    static let math: [ScalarFunction] = [
        realFunction("sqrt", "The square root; null below zero.", "sqrt(4) == 2.0") { $0 < 0 ? nil : $0.squareRoot() },
        realFunction("exp", "e to a power.", "exp(0) == 1.0") { Glibc.exp($0) },
        realFunction("exp2", "2 to a power.", "exp2(3) == 8.0") { Glibc.exp2($0) },
        realFunction("exp10", "10 to a power.", "exp10(2) == 100.0") { Glibc.pow(10, $0) },
        realFunction("log", "The natural logarithm; NaN below zero.", "log(1) == 0.0") { Glibc.log($0) },
        realFunction("log2", "The logarithm to base 2; NaN below zero.", "log2(8) == 3.0") { Glibc.log2($0) },
        realFunction("log10", "The logarithm to base 10; NaN below zero.", "log10(100) == 2.0") { Glibc.log10($0) },
        realFunction("sin", "The sine of an angle in radians.", "sin(0) == 0.0") { $0.isFinite ? Glibc.sin($0) : nil },
        realFunction("cos", "The cosine of an angle in radians.", "cos(0) == 1.0") { $0.isFinite ? Glibc.cos($0) : nil },
        realFunction("tan", "The tangent of an angle in radians.", "tan(0) == 0.0") { $0.isFinite ? Glibc.tan($0) : nil },
        realFunction("cot", "The cotangent of an angle in radians.", "cot(1)") { $0.isFinite ? 1 / Glibc.tan($0) : nil },
        realFunction("asin", "The angle of a sine; null outside -1..1.", "asin(0) == 0.0") { $0.magnitude <= 1 ? Glibc.asin($0) : nil },
        realFunction("acos", "The angle of a cosine; null outside -1..1.", "acos(1) == 0.0") { $0.magnitude <= 1 ? Glibc.acos($0) : nil },
        realFunction("atan", "The angle of a tangent.", "atan(0) == 0.0") { Glibc.atan($0) },
        realFunction("degrees", "Radians as degrees.", "degrees(pi()) == 180.0") { $0 * 180 / .pi },
        realFunction("radians", "Degrees as radians.", "radians(180) == pi()") { $0 * .pi / 180 },
        realFunction("gamma", "The gamma function.", "gamma(5) == 24.0") { Glibc.tgamma($0) },
        realFunction("loggamma", "The logarithm of the gamma function.", "loggamma(1) == 0.0") { Glibc.lgamma($0) },
        realFunction("erf", "The error function.", "erf(0) == 0.0") { Glibc.erf($0) },
        realFunction("erfc", "One less the error function.", "erfc(0) == 1.0") { Glibc.erfc($0) },
        ScalarFunction(
            "pi", "", .type(.real), "The ratio of a circle's circumference to its diameter.", "pi()", .strict { _ in .real(.pi) }),
        ScalarFunction(
            "pow", "base:numeric exponent:numeric", .type(.real), "A power.", "pow(2, 3) == 8.0",
            .strict { a in .real(Glibc.pow(real(a, 0), real(a, 1))) }),
        ScalarFunction(
            "atan2", "y:numeric x:numeric", .type(.real), "The angle between the x axis and the point (x, y).", "atan2(0, 1) == 0.0",
            .strict { a in .real(Glibc.atan2(real(a, 0), real(a, 1))) }),
        ScalarFunction(
            "abs", "number:summable", .argument(0), "The absolute value.", "abs(-5) == 5",
            .strict { a in
                switch a[0] {
                case .real(let v): .real(v.magnitude)
                case .decimal(let v): .decimal(Decimal128(mantissa: abs(v.mantissa), exponent: Int(v.exponent)))
                default: a[0].integer.map { .integer($0 < 0 ? 0 &- $0 : $0, as: a[0].type) } ?? a[0]
                }
            }),
        ScalarFunction(
            "sign", "number:numeric", .type(.real), "-1, 0 or 1.", "sign(-4) == -1.0",
            .strict { a in
                let x = real(a, 0)
                return .real(x > 0 ? 1 : (x < 0 ? -1 : x))
            }),
        ScalarFunction(
            "round", "number:numeric precision:integer?", .custom { t, _ in t.first == .decimal ? .decimal : .real },
            "Rounded, half away from zero, to a number of places.",
            "round(2.345, 2) == 2.35", .strict { a in .real(roundReal(real(a, 0), Int(clamping: long(a, 1)))) }),
        ScalarFunction(
            "ceiling", "number:numeric", .custom { t, _ in t.first == .int || t.first == .long ? t.first : .real }, aliases: ["ceil"],
            "The least whole number not below.", "ceiling(1.2) == 2.0",
            .strict { a in a[0].integer != nil ? a[0] : .real(real(a, 0).rounded(.up)) }),
        ScalarFunction(
            "bin", "value:any roundTo:any", .custom { t, _ in binResult(t) }, "The greatest multiple of a size at or below the value.",
            "bin(7, 5) == 5",
            .columns(price: 2) { v, c in try binColumns(v, c) }),
        ScalarFunction(
            "floor", "value:any roundTo:any?", .custom { t, _ in binResult(t) },
            "As bin; with one argument the greatest whole number not above.",
            "floor(7.5, 1) == 7.0", .columns(price: 2) { v, c in try binColumns(v, c) }),
        ScalarFunction(
            "bin_at", "value:any bin_size:any fixed_point:any", .custom { t, _ in binResult(t) },
            "As bin, with the bins aligned to a point.",
            "bin_at(13, 10, 11) == 11", .columns(price: 2) { v, c in try binAtColumns(v, c) }),
        ScalarFunction(
            "around", "value:any center:any delta:any", .custom { t, _ in aroundResult(t) },
            "Whether a number or a time lies within a distance of another, ends included.", "around(11, 10, 1) == true",
            .strict { a in around(unwrapped(a[0]), unwrapped(a[1]), unwrapped(a[2])) }),
        ScalarFunction(
            "rand", "N:integer?", .custom { t, _ in t.isEmpty ? .real : .long }, deterministic: false,
            "A random number below 1, or a random integer below a bound; a function of the seed and the row.", "rand()",
            .seeded { a, key, seed in
                let bits = mix(key, seed)
                if a.isEmpty { return .real(Double(bits >> 11) * 0x1p-53) }
                let bound = long(a, 0)
                return bound > 0 ? .long(Int64(bits % UInt64(bound))) : .null(.long)
            }),
        ScalarFunction(
            "new_guid", "", .type(.guid), deterministic: false, "A random guid; a function of the seed and the row.", "new_guid()",
            .seeded { _, key, seed in
                let high = (mix(key, seed) & ~0xF000) | 0x4000
                let low = (mix(key, seed ^ 0x5851_F42D_4C95_7F2D) & (~0 >> 2)) | (1 << 63)
                return .guid(UInt128(high) << 64 | UInt128(low))
            }),
    ]

    static let bits: [ScalarFunction] = [
        ScalarFunction(
            "binary_and", "value1:integer value2:integer", .type(.long), "Bitwise and.", "binary_and(6, 3) == 2",
            .strict { .long(long($0, 0) & long($0, 1)) }),
        ScalarFunction(
            "binary_or", "value1:integer value2:integer", .type(.long), "Bitwise or.", "binary_or(6, 3) == 7",
            .strict { .long(long($0, 0) | long($0, 1)) }),
        ScalarFunction(
            "binary_xor", "value1:integer value2:integer", .type(.long), "Bitwise exclusive or.", "binary_xor(6, 3) == 5",
            .strict { .long(long($0, 0) ^ long($0, 1)) }),
        ScalarFunction(
            "binary_not", "value:integer", .type(.long), "Bitwise complement.", "binary_not(0) == -1", .strict { .long(~long($0, 0)) }),
        ScalarFunction(
            "binary_shift_left", "value:integer shift:integer", .type(.long), "Shifted left, by the bits modulo 64.",
            "binary_shift_left(1, 4) == 16",
            .strict { a in
                let n = long(a, 1)
                return n < 0 ? .null(.long) : .long(long(a, 0) &<< (n & 63))
            }),
        ScalarFunction(
            "binary_shift_right", "value:integer shift:integer", .type(.long), "Shifted right, by the bits modulo 64.",
            "binary_shift_right(16, 4) == 1",
            .strict { a in
                let n = long(a, 1)
                return n < 0 ? .null(.long) : .long(long(a, 0) &>> (n & 63))
            }),
        ScalarFunction(
            "bitset_count_ones", "value:integer", .type(.long), "The number of bits set.", "bitset_count_ones(42) == 3",
            .strict { .long(Int64(long($0, 0).nonzeroBitCount)) }),
        ScalarFunction(
            "tohex", "value:integer minLength:integer?", .type(.string),
            "Hexadecimal digits, at least so many; negative numbers in two's complement.",
            "tohex(256) == \"100\"",
            .prepared(strict: true) { site in
                let isInt = site.argumentTypes.first == .int
                return { a in
                    let v = long(a, 0)
                    let digits = String(isInt ? UInt64(UInt32(truncatingIfNeeded: v)) : UInt64(bitPattern: v), radix: 16)
                    let missing = Int(min(max(long(a, 1), 0), 64)) - digits.utf8.count
                    return .string(missing > 0 && missing <= 64 ? String(repeating: "0", count: missing) + digits : digits)
                }
            }),
        ScalarFunction(
            "parsehex", "text:string", .type(.long), "Hexadecimal digits as a number.", "parsehex(\"a0\") == 160",
            .strict { a in optional(UInt64(trimmed(text(a, 0)), radix: 16), { .long(Int64(bitPattern: $0)) }, .long) }),
    ]
}

/// 64 well-mixed bits of a row and a seed.
private func mix(_ key: RowKey, _ seed: UInt64) -> UInt64 {
    var x = seed
    for part in [UInt64(bitPattern: key.time), key.hashHigh, key.hashLow, key.path] {
        x = (x ^ part) &+ 0x9E37_79B9_7F4A_7C15
        x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
        x ^= x >> 31
    }
    return x
}
