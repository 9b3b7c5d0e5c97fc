import Columnar
import KQL

// Shorthands for kernels by value. Arguments have been fitted to the parameters' types.

func text(_ a: [Value], _ i: Int) -> String {
    guard i < a.count else { return "" }
    if case .string(let s) = a[i] { return s }
    return textValue(a[i])
}

func long(_ a: [Value], _ i: Int, default d: Int64 = 0) -> Int64 { i < a.count ? a[i].integer ?? d : d }

func real(_ a: [Value], _ i: Int, default d: Double = .nan) -> Double {
    guard i < a.count else { return d }
    if case .real(let v) = a[i] { return v }
    return a[i].double ?? a[i].integer.map { Double($0) } ?? d
}

func dynamic(_ a: [Value], _ i: Int) -> Dynamic { i < a.count ? wrapDynamic(a[i]) : .null }

func array(_ a: [Value], _ i: Int) -> [Dynamic]? {
    if case .array(let items) = dynamic(a, i) { return items }
    return nil
}

func object(_ a: [Value], _ i: Int) -> [Dynamic.Member]? {
    if case .object(let members) = dynamic(a, i) { return members }
    return nil
}

/// The value made of something, or the null of a type (the empty string for `string`).
func optional<T>(_ v: T?, _ make: (T) -> Value, _ type: ScalarType) -> Value {
    guard let v else { return Value.missing(type) }
    return make(v)
}

private func castKernel(_ type: ScalarType) -> Kernel {
    .columns(price: 3) { v, c in castDatum(v[0], to: type, rows: c.rows) }
}

/// The bytes of a value: the width of its type, for a text its UTF-8. (The binder lets no dynamic values through: Kusto keeps them in a
/// form of its own.)
private func dataSize(_ v: Value) -> Int64 {
    if case .string(let s) = v { return Int64(s.utf8.count) }
    switch v.type {
    case .bool: return 1
    case .int: return 4
    case .long, .real, .datetime, .timespan: return 8
    case .decimal, .guid: return 16
    case .string, .dynamic: return 0
    }
}

extension Functions {
    static let conversion: [ScalarFunction] = [
        ScalarFunction(
            "tostring", "value:any", .type(.string), "The value as text; null gives the empty string.", "tostring(12) == \"12\"",
            castKernel(.string)),
        ScalarFunction("tolong", "value:any", .type(.long), "The value as a 64-bit integer.", "tolong(\"0x10\") == 16", castKernel(.long)),
        ScalarFunction("toint", "value:any", .type(.int), "The value as a 32-bit integer.", "toint(\"12\") == 12", castKernel(.int)),
        ScalarFunction(
            "toreal", "value:any", .type(.real), aliases: ["todouble"], "The value as a real.", "toreal(\"1e3\") == 1000.0",
            castKernel(.real)),
        ScalarFunction("todecimal", "value:any", .type(.decimal), "The value as a decimal.", "todecimal(\"3.14\")", castKernel(.decimal)),
        ScalarFunction(
            "tobool", "value:any", .type(.bool), aliases: ["toboolean"], "The value as a bool; numbers are true when not zero.",
            "tobool(\"true\") == true", castKernel(.bool)),
        ScalarFunction(
            "todatetime", "value:any", .type(.datetime), "The value as a datetime (UTC).", "todatetime(\"2022-12-02\")",
            castKernel(.datetime)),
        ScalarFunction(
            "totimespan", "value:any", .type(.timespan), aliases: ["totime"], "The value as a timespan.",
            "totimespan(\"0.00:01:00\") == 1m",
            castKernel(.timespan)),
        ScalarFunction(
            "toguid", "value:any", .type(.guid), "The value as a guid.", "toguid(\"70fc66f7-8279-44fc-9092-d364d70fce44\")",
            castKernel(.guid)),
        ScalarFunction(
            "parse_json", "json:any", .type(.dynamic), aliases: ["todynamic", "toobject", "parsejson"],
            "JSON text as a dynamic; text that is no JSON gives a dynamic string.", "parse_json('{\"a\":1}').a == 1",
            .columns(price: 4) { v, c in parseJSONDatum(v[0], rows: c.rows) }),
        ScalarFunction(
            "gettype", "value:any", .type(.string), "The name of the value's type.", "gettype(1) == \"long\"",
            .lenient { a in
                if case .dynamic(let d) = a[0] { return .string(d.typeName) }
                return .string(a[0].isNull && a[0].type == .dynamic ? "null" : a[0].type.rawValue)
            }),
        ScalarFunction(
            "estimate_data_size", "column:any ...", .type(.long),
            "The bytes that values take, by their types and the lengths of texts; `*` stands for all columns.",
            "estimate_data_size(7, \"abc\") == 11", .lenient { a in .long(a.reduce(0) { $0 + dataSize($1) }) }),
        ScalarFunction(
            "isnull", "value:any", .type(.bool), "Whether the value is null; strings never are.", "isnull(long(null)) == true",
            .columns(price: 1) { v, c in nullness(v[0], rows: c.rows, wanted: true) }),
        ScalarFunction(
            "isnotnull", "value:any", .type(.bool), aliases: ["notnull"], "Whether the value is not null.", "isnotnull(1) == true",
            .columns(price: 1) { v, c in nullness(v[0], rows: c.rows, wanted: false) }),
        ScalarFunction(
            "isempty", "value:any", .type(.bool), "Whether the value is null or the empty string.", "isempty(\"\") == true",
            .columns(price: 1) { v, c in emptiness(v[0], rows: c.rows, wanted: true) }),
        ScalarFunction(
            "isnotempty", "value:any", .type(.bool), aliases: ["notempty"], "Whether the value is neither null nor the empty string.",
            "isnotempty(\"a\") == true", .columns(price: 1) { v, c in emptiness(v[0], rows: c.rows, wanted: false) }),
        ScalarFunction(
            "isnan", "number:numeric", .type(.bool), "Whether a real is not a number.", "isnan(0.0/0.0) == true",
            .strict { .bool(real($0, 0).isNaN) }),
        ScalarFunction(
            "isinf", "number:numeric", .type(.bool), "Whether a real is infinite.", "isinf(1.0/0.0) == true",
            .strict { .bool(real($0, 0).isInfinite) }),
        ScalarFunction(
            "isfinite", "number:numeric", .type(.bool), "Whether a real is finite.", "isfinite(1.0) == true",
            .strict { .bool(real($0, 0).isFinite) }),
    ]

    /// Conditions and the like; most are compiled into nodes of their own.
    static let conditional: [ScalarFunction] = [
        ScalarFunction(
            "iff", "if:bool then:any else:any", .common(from: 1), aliases: ["iif"],
            "One of two values by a condition; null counts as false.",
            "iff(1 < 2, \"a\", \"b\") == \"a\"", .compiled),
        ScalarFunction(
            "case", "predicate:any then:any else:any ...",
            .custom { types, _ in
                var common: ScalarType?
                for (i, t) in types.enumerated() where i % 2 == 1 || i == types.count - 1 { common = common.map { commonType($0, t) } ?? t }
                return common
            }, "The value after the first true condition, else the last.",
            "case(7 < 3, \"small\", 7 < 9, \"medium\", \"large\") == \"medium\"", .compiled),
        ScalarFunction(
            "coalesce", "arg:any arg:any? ...",
            .custom { types, constants in
                var common: ScalarType?
                for (t, c) in zip(types, constants) where !(c?.isNull ?? false) { common = common.map { commonType($0, t) } ?? t }
                return common ?? types.first
            }, "The first argument that is not null (not empty, for strings).",
            "coalesce(long(null), 5) == 5", .compiled),
        ScalarFunction("not", "value:bool", .type(.bool), "The negation; null stays null.", "not(false) == true", .compiled),
        ScalarFunction(
            "now", "offset:timespan?", .type(.datetime), deterministic: false, "The time of the evaluation, plus an offset.", "now(-1d)",
            .compiled),
        ScalarFunction(
            "ago", "timespan:timespan", .type(.datetime), deterministic: false, "The time of the evaluation minus a length.", "ago(1h)",
            .columns(price: 1) { v, c in integerArithmetic(.subtract, .constant(.datetime(c.context.now)), v[0], .datetime, rows: c.rows) }),
        ScalarFunction(
            "ingestion_time", "", .type(.datetime), deterministic: false, "When the record was received.", "ingestion_time() > ago(1h)",
            .compiled),
        ScalarFunction(
            "max_of", "arg:any arg:any? ...", .common(from: 0), "The greatest argument; nulls are passed over.", "max_of(1, 3, 2) == 3",
            .lenient { extreme($0, sign: 1) }),
        ScalarFunction(
            "min_of", "arg:any arg:any? ...", .common(from: 0), "The least argument; nulls are passed over.", "min_of(1, 3, 2) == 1",
            .lenient { extreme($0, sign: -1) }),
        ScalarFunction(
            "assert", "condition:bool message:cstring", .type(.bool), deterministic: false, "True, or an error with the message.",
            "assert(1 < 2, \"no\") == true",
            .columns(price: 1) { v, c in
                let t = truth(v[0], rows: c.rows)
                guard c.rows == 0 || t.yes.isFull else { throw EvaluationError("assert: \(v[1].constantValue.map(textValue) ?? "failed")") }
                return .column(Column(.bool, .bools(t.yes)))
            }),
    ]

    private static func extreme(_ a: [Value], sign: Int) -> Value {
        var best: Value?
        for v in a where !v.isNull {
            guard let b = best else {
                best = v
                continue
            }
            if let order = orderValues(unwrapped(v), unwrapped(b)), order != .min, order * sign > 0 { best = v }
        }
        return best ?? a.first.map { .missing($0.type) } ?? .null(.long)
    }
}

/// `parse_json` over a column: well-formed text is taken as it is.
func parseJSONDatum(_ datum: Datum, rows: Int) -> Datum {
    switch datum {
    case .constant(.string(let s)):
        if trimmed(s).isEmpty { return .constant(.null(.dynamic)) }
        return .constant(JSONText.parse(s).map(dynamicValue) ?? .dynamic(.string(s)))
    case .constant(let v):
        return .constant(convertValue(v, to: .dynamic))
    case .column(let c):
        guard case .strings(let s) = c.data else { return castDatum(datum, to: .dynamic, rows: rows) }
        var out = ByteStrings()
        out.reserve(strings: s.values.count, bytes: s.values.bytes.count)
        var valid = Bitmap(repeating: true, count: s.values.count)
        for i in 0..<s.values.count {
            s.values.withBytes(i) { whole in
                let bytes = trimBlanks(whole)
                if bytes.isEmpty || (bytes.count == 4 && bytes.elementsEqual("null".utf8)) {
                    out.append("")
                    valid[i] = false
                } else if JSONCursor.isWellFormed(bytes) {
                    out.append(bytes)
                } else {
                    out.append(JSONText.compact(.string(String(decoding: whole, as: UTF8.self))))
                }
            }
        }
        let values = Column(.dynamic, .dynamics(StringColumn(out)), validity: valid)
        return .column(s.codes.map { spread(values, codes: $0) } ?? values)
    }
}

private func trimBlanks(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    func blank(_ c: UInt8) -> Bool { c == 0x20 || c == 9 || c == 10 || c == 13 }
    var low = 0, high = bytes.count
    while low < high, blank(bytes[low]) { low += 1 }
    while high > low, blank(bytes[high - 1]) { high -= 1 }
    return UnsafeRawBufferPointer(rebasing: bytes[low..<high])
}

private func nullness(_ datum: Datum, rows: Int, wanted: Bool) -> Datum {
    switch datum {
    case .constant(let v): return .constant(.bool(v.isNull == wanted))
    case .column(let c):
        guard let valid = c.validity else { return .constant(.bool(!wanted)) }
        return .column(Column(.bool, .bools(wanted ? ~valid : valid)))
    }
}

private func emptiness(_ datum: Datum, rows: Int, wanted: Bool) -> Datum {
    func isEmpty(_ v: Value) -> Bool {
        switch v {
        case .null, .string(""), .dynamic(.string("")): true
        default: false
        }
    }
    switch datum {
    case .constant(let v): return .constant(.bool(isEmpty(v) == wanted))
    case .column(let c):
        var present = presence(datum, rows: rows)
        if case .dynamics(let s) = c.data {
            var table = Bitmap(repeating: true, count: s.values.count)
            // JSON text may have blanks around it.
            for i in 0..<s.values.count where s.values.length(i) >= 2 {
                let isEmptyText = s.values.withBytes(i) { bytes in
                    guard let first = bytes.firstIndex(where: { $0 > 0x20 }), bytes[first] == 0x22 else { return false }
                    let rest = bytes[(first + 1)...]
                    return rest.first == 0x22 && rest.dropFirst().allSatisfy { $0 <= 0x20 }
                }
                if isEmptyText { table[i] = false }
            }
            present.formAnd(s.codes.map { spreadBits(table, codes: $0) } ?? table)
        }
        return .column(Column(.bool, .bools(wanted ? ~present : present)))
    }
}
