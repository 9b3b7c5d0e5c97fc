import Columnar

// The conversions of Kusto, one value at a time: what `tostring`, `tolong`, `todatetime` ... do.
// Sources: the functions' pages in Microsoft's Kusto documentation; numbers and booleans in text follow the engine's observed behaviour.

/// The value as another type; null (the empty string for `string`) where it has no such form.
func convertValue(_ value: Value, to type: ScalarType) -> Value {
    if value.type == type { return value }
    if value.isNull { return .missing(type) }
    if case .dynamic(let d) = value, type != .dynamic { return convertDynamic(d, to: type) }
    switch type {
    case .string: return .string(textValue(value))
    case .dynamic: return dynamicValue(wrapDynamic(value))
    case .bool:
        switch value {
        case .string(let s): return parseBool(s).map(Value.bool) ?? .null(.bool)
        case .int, .long: return .bool(value.integer != 0)
        case .real(let v): return v.isNaN ? .null(.bool) : .bool(v != 0)
        case .decimal(let v): return .bool(v.mantissa != 0)
        default: return .null(.bool)
        }
    case .int:
        return toInteger(
            value, text: { parseInteger($0).flatMap { Int32(exactly: $0) }.map(Int64.init) }, least: Int64(Int32.min),
            most: Int64(Int32.max)
        ).map { .int(Int32(clamping: $0)) } ?? .null(.int)
    case .long: return toInteger(value, text: parseInteger, least: .min, most: .max).map(Value.long) ?? .null(.long)
    case .real:
        switch value {
        case .string(let s): return parseReal(s).map(Value.real) ?? .null(.real)
        case .bool(let b): return .real(b ? 1 : 0)
        case .datetime(let t), .timespan(let t): return .real(Double(t))
        default: return value.double.map(Value.real) ?? .null(.real)
        }
    case .decimal:
        switch value {
        case .string(let s): return Decimal128(text: trimmed(s)).map(Value.decimal) ?? .null(.decimal)
        case .bool(let b): return .decimal(Decimal128(b ? 1 : 0))
        case .real(let v): return Decimal128(v).map(Value.decimal) ?? .null(.decimal)
        default: return value.integer.map { .decimal(Decimal128($0)) } ?? .null(.decimal)
        }
    case .datetime:
        switch value {
        case .string(let s): return DateText.parse(s).map(Value.datetime) ?? .null(.datetime)
        case .int, .long, .timespan, .real, .decimal:
            guard let ticks = toInteger(value, text: { _ in nil }, least: .min, most: .max) else { return .null(.datetime) }
            return datetimeValue(ticks)
        default: return .null(.datetime)
        }
    case .timespan:
        switch value {
        case .string(let s): return parseTimespanText(s).map(Value.timespan) ?? .null(.timespan)
        case .bool(let b): return .timespan(b ? 1 : 0)
        default: return toInteger(value, text: { _ in nil }, least: .min, most: .max).map(Value.timespan) ?? .null(.timespan)
        }
    case .guid:
        if case .string(let s) = value { return GuidText.parse(s).map(Value.guid) ?? .null(.guid) }
        return .null(.guid)
    }
}

/// What a dynamic holds, as a type. Text inside is read as text is; containers have a form as `string` only.
func convertDynamic(_ d: Dynamic, to type: ScalarType) -> Value {
    switch d {
    case .null: return .missing(type)
    case .bool(let b):
        if type == .string { return .string(b ? "true" : "false") }
        return convertValue(.bool(b), to: type)
    case .long(let v): return convertValue(.long(v), to: type)
    case .real(let v):
        if type == .string { return .string(dynamicText(d)) }
        return convertValue(.real(v), to: type)
    case .string(let s):
        if type == .real, let v = specialReal(s) { return .real(v) }
        return convertValue(.string(s), to: type)
    case .array, .object: return type == .string ? .string(JSONText.compact(d)) : .missing(type)
    }
}

/// The reals that JSON has no numbers for and holds as texts.
func specialReal(_ s: String) -> Double? {
    switch s {
    case "Infinity": .infinity
    case "-Infinity": -.infinity
    case "NaN": .nan
    default: nil
    }
}

/// Fits a kernel's result to the type that the binder announced: numbers widen, anything may become dynamic.
func coerceValue(_ value: Value, to type: ScalarType) -> Value {
    switch (value, type) {
    case (.long(let v), .int): Int32(exactly: v).map(Value.int) ?? .null(.int)
    default: convertValue(value, to: type)
    }
}

/// A datum as another type, by `convertValue`.
func castDatum(_ datum: Datum, to type: ScalarType, rows: Int) -> Datum {
    if datum.type == type { return datum }
    guard case .column(let column) = datum else {
        return .constant(datum.constantValue.map { convertValue($0, to: type) } ?? .missing(type))
    }
    switch (column.data, type) {
    case (.longs(let a), .long) where column.type == .int, (.longs(let a), .timespan) where column.type == .long:
        return .column(Column(type, .longs(a), validity: column.validity))
    case (.longs(let a), .long) where column.type != .int:
        return .column(Column(.long, .longs(a), validity: column.validity))
    case (.longs(let a), .real):
        return .column(Column(.real, .reals(ContiguousArray(a.lazy.map { Double($0) })), validity: column.validity))
    case (.dynamics(let s), .string):
        return .column(dynamicsToText(s))
    default:
        let function: ValueFunction = { convertValue($0[0], to: type) }
        return (try? applyRows([datum], rows: rows, type: type, strict: false, function)) ?? .constant(.missing(type))
    }
}

/// `tostring` of a column of dynamics. Plain text is copied without building trees.
private func dynamicsToText(_ s: StringColumn) -> Column {
    var out = ByteStrings()
    out.reserve(strings: s.values.count, bytes: s.values.bytes.count)
    for i in 0..<s.values.count {
        s.values.withBytes(i) { bytes in
            if bytes.count == 0 {
                out.append("")
            } else if bytes[0] == 0x22, bytes.count >= 2, !bytes.contains(0x5C) {
                out.append(UnsafeRawBufferPointer(rebasing: bytes[1..<(bytes.count - 1)]))
            } else if bytes.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2D }), bytes.count < 18 {
                out.append(bytes)
            } else {
                out.append(JSONText.parse(bytes).map(dynamicText) ?? "")
            }
        }
    }
    return Column(.string, .strings(s.codes.map { StringColumn(codes: $0, values: out) } ?? StringColumn(out)))
}

/// `tostring` of a dynamic: strings without quotes, null as the empty string, the rest as compact JSON.
func dynamicText(_ d: Dynamic) -> String {
    switch d {
    case .null: ""
    case .string(let s): s
    default: JSONText.compact(d)
    }
}

/// `tostring` of any value.
func textValue(_ value: Value) -> String {
    switch value {
    case .null: ""
    case .bool(let b): b ? "True" : "False"
    case .int(let v): String(v)
    case .long(let v): String(v)
    case .real(let v): KustoNumber.real(v, wholeSuffix: true)
    case .decimal(let v): v.description
    case .string(let s): s
    case .datetime(let t): KustoTime.isoString(t)
    case .timespan(let t): KustoTime.timespanString(t)
    case .guid(let g): GuidText.print(g)
    case .dynamic(let d): dynamicText(d)
    }
}

/// A scalar inside a dynamic: times and guids become text, decimals reals.
func wrapDynamic(_ value: Value) -> Dynamic {
    switch value {
    case .null: .null
    case .bool(let b): .bool(b)
    case .int(let v): .long(Int64(v))
    case .long(let v): .long(v)
    case .real(let v): .real(v)
    case .decimal(let v): .real(v.doubleValue)
    case .string(let s): .string(s)
    case .datetime, .timespan, .guid: .string(textValue(value))
    case .dynamic(let d): d
    }
}

/// A dynamic as a value; JSON null is the null of the type.
func dynamicValue(_ d: Dynamic) -> Value {
    if case .null = d { return .null(.dynamic) }
    return .dynamic(d)
}

/// A datetime if the ticks are in range, else null.
func datetimeValue(_ ticks: Int64) -> Value {
    ticks >= 0 && ticks <= KustoTime.maximum ? .datetime(ticks) : .null(.datetime)
}

private func toInteger(_ value: Value, text: (String) -> Int64?, least: Int64, most: Int64) -> Int64? {
    switch value {
    case .string(let s): return text(s)
    case .bool(let b): return b ? 1 : 0
    case .real(let v):
        if v.isNaN { return nil }
        if v >= 9.2233720368547748e18 { return most }
        if v <= -9.2233720368547758e18 { return least }
        return min(max(Int64(v), least), most)
    case .decimal(let v):
        let d = v.doubleValue
        if let exact = exactInteger(v) { return min(max(exact, least), most) }
        return d.isNaN ? nil : (d > 0 ? most : least)
    case .int, .long, .datetime, .timespan: return value.integer.map { min(max($0, least), most) }
    default: return nil
    }
}

/// The integer part of a decimal, if it fits.
private func exactInteger(_ v: Decimal128) -> Int64? {
    var m = v.mantissa
    var e = v.exponent
    while e < 0, m != 0 {
        m /= 10
        e += 1
    }
    while e > 0, m != 0 {
        let (r, overflow) = m.multipliedReportingOverflow(by: 10)
        if overflow { return nil }
        m = r
        e -= 1
    }
    return Int64(exactly: m)
}

func trimmed(_ s: String) -> String {
    var bytes = s.utf8[...]
    while let c = bytes.first, c == 0x20 || (c >= 9 && c <= 13) { bytes = bytes.dropFirst() }
    while let c = bytes.last, c == 0x20 || (c >= 9 && c <= 13) { bytes = bytes.dropLast() }
    return bytes.count == s.utf8.count ? s : String(Substring(bytes))
}

/// An integer in text: blanks around, a sign, decimal digits or `0x` and hexadecimal ones. Fractions and exponents are refused.
func parseInteger(_ text: String) -> Int64? {
    let t = trimmed(text)
    if let v = Int64(t) { return v }
    let negative = t.hasPrefix("-")
    let body = t.hasPrefix("-") || t.hasPrefix("+") ? String(t.dropFirst()) : t
    guard body.hasPrefix("0x") || body.hasPrefix("0X"), body.utf8.count <= 18,
        let bits = UInt64(body.dropFirst(2), radix: 16), !body.dropFirst(2).hasPrefix("+")
    else { return nil }
    let v = Int64(bitPattern: bits)
    return negative ? 0 &- v : v
}

/// A real in text: decimal notation with an optional exponent, `NaN`, `inf`.
func parseReal(_ text: String) -> Double? {
    let t = trimmed(text)
    switch t.lowercased() {
    case "nan": return .nan
    case "inf", "+inf", "infinity", "+infinity": return .infinity
    case "-inf", "-infinity": return -.infinity
    default: break
    }
    guard t.utf8.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2E || $0 == 0x2B || $0 == 0x2D || $0 == 0x65 || $0 == 0x45 }) else {
        return nil
    }
    return Double(t)
}

func parseBool(_ text: String) -> Bool? {
    let t = trimmed(text)
    switch t.lowercased() {
    case "true": return true
    case "false": return false
    default: return parseInteger(t).map { $0 != 0 }
    }
}

/// A timespan in text needs a colon: a bare number is no timespan to the conversion.
func parseTimespanText(_ text: String) -> Int64? {
    let t = trimmed(text)
    return t.utf8.contains(0x3A) ? KustoTime.parseTimespan(t) : nil
}

/// Guids as the canonical text of 32 hexadecimal digits, most significant first.
enum GuidText {
    /// Reads the forms with and without hyphens, in braces or parentheses or bare.
    static func parse(_ text: String) -> UInt128? {
        var bytes = Array(trimmed(text).utf8)[...]
        if let f = bytes.first, let l = bytes.last, (f == 0x7B && l == 0x7D) || (f == 0x28 && l == 0x29) {
            bytes = bytes.dropFirst().dropLast()
        }
        let start = bytes.startIndex
        if bytes.count == 36 {
            for i in [8, 13, 18, 23] where bytes[start + i] != 0x2D { return nil }
        } else if bytes.count != 32 {
            return nil
        }
        var v: UInt128 = 0
        var digits = 0
        for c in bytes {
            if c == 0x2D { continue }
            guard let h = hexDigit(c) else { return nil }
            v = v << 4 | UInt128(h)
            digits += 1
        }
        return digits == 32 ? v : nil
    }

    static func print(_ g: UInt128) -> String {
        let digits = String(g, radix: 16)
        let padded = Array((String(repeating: "0", count: 32 - digits.utf8.count) + digits).utf8)
        var out: [UInt8] = []
        for (i, c) in padded.enumerated() {
            if i == 8 || i == 12 || i == 16 || i == 20 { out.append(0x2D) }
            out.append(c)
        }
        return String(decoding: out, as: UTF8.self)
    }
}

func hexDigit(_ c: UInt8) -> UInt8? {
    switch c {
    case 0x30...0x39: c - 0x30
    case 0x41...0x46: c - 0x37
    case 0x61...0x66: c - 0x57
    default: nil
    }
}
