import CKernels
import Columnar
import KQL

extension Functions {
    static let strings: [ScalarFunction] = [
        ScalarFunction(
            "strcat", "argument:any ...", .type(.string), "The arguments' texts one after another.", "strcat(\"a\", 1) == \"a1\"",
            .columns(price: 4) { v, c in concatenate(v, rows: c.rows) }),
        ScalarFunction(
            "strcat_delim", "delimiter:string argument:any ...", .type(.string),
            "The other arguments' texts with a delimiter between them.",
            "strcat_delim(\"-\", 1, 2) == \"1-2\"",
            .lenient { a in .string(a.dropFirst().map(textValue).joined(separator: text(a, 0))) }),
        ScalarFunction(
            "strcat_array", "array:dynamic delimiter:string", .type(.string), aliases: ["array_strcat"],
            "The elements' texts with a delimiter between them.",
            "strcat_array(dynamic([1,2]), \"-\") == \"1-2\"",
            .lenient { a in .string((array(a, 0) ?? []).map(dynamicText).joined(separator: text(a, 1))) }),
        ScalarFunction(
            "strlen", "source:string", .type(.long), "The number of characters (code points).", "strlen(\"héllo\") == 5",
            .strict { .long(Int64(text($0, 0).unicodeScalars.count)) }),
        ScalarFunction(
            "string_size", "source:string", .type(.long), "The number of UTF-8 bytes.", "string_size(\"hello\") == 5",
            .strict { .long(Int64(text($0, 0).utf8.count)) }),
        ScalarFunction(
            "substring", "source:string startingIndex:integer length:integer?", .type(.string),
            "Characters from a position (negative from the end) on.",
            "substring(\"abcdefg\", 1, 2) == \"bc\"",
            .strict { a in .string(substring(text(a, 0), long(a, 1), a.count > 2 ? long(a, 2) : nil)) }),
        ScalarFunction(
            "indexof", "string:string match:any start:integer? length:integer? occurrence:integer?", .type(.long),
            "The position of a string, -1 if it is absent.", "indexof(\"abcdefg\", \"cde\") == 2",
            .strict { a in optional(indexOf(a), Value.long, .long) }),
        ScalarFunction(
            "tolower", "value:string", .type(.string), "In lower case.", "tolower(\"ABC\") == \"abc\"",
            .columns(price: 3) { v, _ in mapCase(v[0], upper: false) }),
        ScalarFunction(
            "toupper", "value:string", .type(.string), "In upper case.", "toupper(\"abc\") == \"ABC\"",
            .columns(price: 3) { v, _ in mapCase(v[0], upper: true) }),
        ScalarFunction(
            "split", "source:string delimiter:string requestedIndex:integer?", .type(.dynamic),
            "The parts between delimiters, as an array.",
            "split(\"a_b\", \"_\")[1] == \"b\"",
            .lenient { a in
                let parts = splitText(text(a, 0), text(a, 1))
                guard a.count > 2, let i = a[2].integer else { return .dynamic(.array(parts.map(Dynamic.string))) }
                guard i >= 0, i < Int64(parts.count) else { return .dynamic(.array([])) }
                return .dynamic(.array([.string(parts[Int(i)])]))
            }),
        ScalarFunction(
            "replace_string", "text:string lookup:string rewrite:string", .type(.string), "All occurrences of a string replaced.",
            "replace_string(\"a cat\", \"cat\", \"dog\") == \"a dog\"",
            .strict { a in .string(replaceAll(text(a, 0), text(a, 1), text(a, 2))) }),
        ScalarFunction(
            "replace_strings", "text:string lookups:dynamic rewrites:dynamic", .type(.string), "Several strings replaced, in order.",
            "replace_strings(\"a b\", dynamic([\"a\",\"b\"]), dynamic([\"1\",\"2\"])) == \"1 2\"",
            .strict { a in replaceSeveral(a) }),
        ScalarFunction(
            "reverse", "value:any", .type(.string), "The characters in reverse order.", "reverse(\"abc\") == \"cba\"",
            .lenient { a in
                var out = String.UnicodeScalarView()
                out.append(contentsOf: textValue(a[0]).unicodeScalars.reversed())
                return .string(String(out))
            }),
        ScalarFunction(
            "strrep", "value:any multiplier:integer delimiter:string?", .type(.string), "A text repeated.", "strrep(\"ab\", 2) == \"abab\"",
            .strict { a in .string(try repeated(textValue(a[0]), long(a, 1), separator: text(a, 2))) }),
        ScalarFunction(
            "repeat", "value:any count:integer", .type(.dynamic), "An array of one value repeated.", "array_length(repeat(1, 3)) == 3",
            .lenient { a in
                let n = long(a, 1)
                guard !a[1].isNull, n >= 0, n <= 1_000_000 else { return .null(.dynamic) }
                return .dynamic(.array(Array(repeating: wrapDynamic(a[0]), count: Int(n))))
            }),
        ScalarFunction(
            "padleft", "text:string length:integer pad:string?", .type(.string), aliases: ["pad_left"], "Padded on the left to a length.",
            "padleft(\"7\", 3, \"0\") == \"007\"", .strict { a in .string(try padded(a, left: true)) }),
        ScalarFunction(
            "padright", "text:string length:integer pad:string?", .type(.string), aliases: ["pad_right"],
            "Padded on the right to a length.",
            "padright(\"7\", 3, \"0\") == \"700\"", .strict { a in .string(try padded(a, left: false)) }),
        ScalarFunction(
            "translate", "searchList:string replacementList:string source:string", .type(.string),
            "Characters replaced by those at the same place of another list.",
            "translate(\"abc\", \"x\", \"abcd\") == \"xxxd\"", .strict { a in .string(translate(a)) }),
        ScalarFunction(
            "has_any_index", "source:string values:dynamic", .type(.long), "The index of the first term that the text has, else -1.",
            "has_any_index(\"this is\", dynamic([\"is\"])) == 0",
            .strict { a in
                let predicate = TextPredicate(op: VK_TEXT_HAS, ignoreCase: true, negated: false)
                let terms = array(a, 1) ?? [dynamic(a, 1)]
                return .long(Int64(terms.firstIndex { predicate.matches(text(a, 0), dynamicText($0)) } ?? -1))
            }),
        ScalarFunction(
            "unicode_codepoints_from_string", "text:string", .type(.dynamic), aliases: ["to_utf8"], "The code points, as an array.",
            "unicode_codepoints_from_string(\"ab\")[0] == 97",
            .strict { a in .dynamic(.array(text(a, 0).unicodeScalars.map { .long(Int64($0.value)) })) }),
        ScalarFunction(
            "unicode_codepoints_to_string", "code:any ...", .type(.string), aliases: ["make_string"],
            "The text of code points, given singly or in arrays.",
            "unicode_codepoints_to_string(75, 117) == \"Ku\"",
            .lenient { a in
                var out = String.UnicodeScalarView()
                func add(_ d: Dynamic) {
                    switch d {
                    case .array(let items): for i in items { add(i) }
                    default:
                        if let code = convertDynamic(d, to: .long).integer, let u = UInt32(exactly: code).flatMap(Unicode.Scalar.init) {
                            out.append(u)
                        }
                    }
                }
                for v in a { add(wrapDynamic(v)) }
                return .string(String(out))
            }),
        ScalarFunction(
            "isascii", "text:string", .type(.bool), "Whether all characters are ASCII.", "isascii(\"abc\") == true",
            .strict { .bool(text($0, 0).utf8.allSatisfy { $0 < 0x80 }) }),
        ScalarFunction(
            "isutf8", "text:string", .type(.bool), "Whether the text is UTF-8, which it always is here.", "isutf8(\"abc\") == true",
            .strict { _ in .bool(true) }),
        ScalarFunction(
            "string_similarity", "a:string b:string", .type(.real), "1 less the edit distance over the greater length.",
            "string_similarity(\"ab\", \"ab\") == 1.0",
            .strict { a in .real(similarity(Array(text(a, 0).unicodeScalars), Array(text(a, 1).unicodeScalars))) }),
        ScalarFunction(
            "format_bytes", "size:numeric precision:integer? units:string? base:integer?", .type(.string), "A size with its unit.",
            "format_bytes(1024) == \"1 KB\"", .strict { a in .string(formatBytes(a)) }),
    ]

    private static func substring(_ s: String, _ start: Int64, _ length: Int64?) -> String {
        if let length, length <= 0 { return "" }
        let scalars = s.unicodeScalars
        let isASCII = s.utf8.allSatisfy { $0 < 0x80 }
        let count = isASCII ? s.utf8.count : scalars.count
        var from = start
        if from < 0 { from = max(0, Int64(count) &+ from) }
        if from >= Int64(count) { return "" }
        let n = min(length ?? Int64(count), Int64(count) - from)
        if isASCII { return String(s.utf8.dropFirst(Int(from)).prefix(Int(n))) ?? "" }
        return String(String.UnicodeScalarView(scalars.dropFirst(Int(from)).prefix(Int(n))))
    }

    private static func indexOf(_ a: [Value]) -> Int64? {
        let source = Array(text(a, 0).unicodeScalars), needle = Array(text(a, 1).unicodeScalars)
        var start = long(a, 2)
        let length = long(a, 3, default: -1), occurrence = long(a, 4, default: 1)
        guard length >= -1, occurrence >= 1 else { return nil }
        if start < 0 { start = max(0, Int64(source.count) &+ start) }
        if start > Int64(source.count) { return -1 }
        // The length is counted anew behind each occurrence: so Kusto finds the second "cde" of "abcdefgabcdefg" within 10 from 1.
        func end(_ from: Int) -> Int { length < 0 ? source.count : Int(min(Int64(source.count), Int64(from) &+ min(length, 1 << 40))) }
        var seen: Int64 = 0
        var at = Int(clamping: start)
        var limit = end(at)
        while at + needle.count <= limit {
            if source[at..<(at + needle.count)].elementsEqual(needle) {
                seen += 1
                if seen == occurrence { return Int64(at) }
                limit = end(at + 1)
            }
            at += 1
        }
        return -1
    }

    private static func replaceSeveral(_ a: [Value]) -> Value {
        guard let lookups = array(a, 1), let rewrites = array(a, 2), lookups.count == rewrites.count else { return .string(text(a, 0)) }
        // A part that was replaced is not looked at again.
        var parts: [(text: String, done: Bool)] = [(text(a, 0), false)]
        for (lookup, rewrite) in zip(lookups.map(dynamicText), rewrites.map(dynamicText)) where !lookup.isEmpty {
            var next: [(text: String, done: Bool)] = []
            for part in parts {
                if part.done {
                    next.append(part)
                    continue
                }
                for (i, piece) in splitText(part.text, lookup).enumerated() {
                    if i > 0 { next.append((rewrite, true)) }
                    next.append((piece, false))
                }
            }
            parts = next
        }
        return .string(parts.map(\.text).joined())
    }

    private static func repeated(_ s: String, _ n: Int64, separator: String) throws -> String {
        guard n > 0 else { return "" }
        guard n <= 1024, (s.utf8.count + separator.utf8.count) * Int(n) <= 1 << 24 else {
            throw EvaluationError("strrep: at most 1024 repetitions")
        }
        return Array(repeating: s, count: Int(n)).joined(separator: separator)
    }

    private static func padded(_ a: [Value], left: Bool) throws -> String {
        let s = text(a, 0)
        let missing = long(a, 1) &- Int64(s.unicodeScalars.count)
        guard missing > 0 else { return s }
        guard missing <= 1 << 20 else { throw EvaluationError("A text cannot be padded by more than a million characters") }
        let pad = text(a, 2).unicodeScalars.first ?? " "
        let fill = String(repeating: String(Character(pad)), count: Int(missing))
        return left ? fill + s : s + fill
    }

    private static func translate(_ a: [Value]) -> String {
        let search = Array(text(a, 0).unicodeScalars), replacement = Array(text(a, 1).unicodeScalars)
        var out = String.UnicodeScalarView()
        for u in text(a, 2).unicodeScalars {
            if let i = search.firstIndex(of: u) {
                if let r = i < replacement.count ? replacement[i] : replacement.last { out.append(r) }
            } else {
                out.append(u)
            }
        }
        return String(out)
    }

    private static func similarity(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Double {
        let longest = max(a.count, b.count)
        if longest == 0 { return 1 }
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                diagonal = above
            }
        }
        return 1 - Double(row[b.count]) / Double(longest)
    }

    private static func formatBytes(_ a: [Value]) -> String {
        let names = ["Bytes", "KB", "MB", "GB", "TB", "PB", "EB"]
        let base = long(a, 3, default: 1024) == 1000 ? 1000.0 : 1024.0
        var v = real(a, 0)
        var unit = 0
        if let wanted = names.firstIndex(of: text(a, 2)) {
            for _ in 0..<wanted { v /= base }
            unit = wanted
        } else {
            while v.magnitude >= base, unit < names.count - 1 {
                v /= base
                unit += 1
            }
        }
        return KustoNumber.real(roundReal(v, Int(clamping: long(a, 1))), wholeSuffix: false) + " " + names[unit]
    }
}

/// The parts of a text between occurrences of a delimiter; an empty delimiter gives the whole.
func splitText(_ s: String, _ delimiter: String) -> [String] {
    let needle = Array(delimiter.utf8)
    if needle.isEmpty { return [s] }
    let bytes = Array(s.utf8)
    var parts: [String] = []
    var start = 0
    while let hit = firstIndex(of: needle, in: bytes, from: start) {
        parts.append(String(decoding: bytes[start..<hit], as: UTF8.self))
        start = hit + needle.count
    }
    parts.append(String(decoding: bytes[start...], as: UTF8.self))
    return parts
}

func replaceAll(_ s: String, _ lookup: String, _ rewrite: String) -> String {
    lookup.isEmpty ? s : splitText(s, lookup).joined(separator: rewrite)
}

/// `tolower` and `toupper`: ASCII by the kernel, other characters by Unicode's simple mapping.
private func mapCase(_ datum: Datum, upper: Bool) -> Datum {
    func map(_ s: String) -> String {
        var out = String.UnicodeScalarView()
        for u in s.unicodeScalars {
            let mapped = (upper ? u.properties.uppercaseMapping : u.properties.lowercaseMapping).unicodeScalars
            out.append(mapped.count == 1 ? mapped.first ?? u : u)
        }
        return String(out)
    }
    switch datum {
    case .constant(let v): return .constant(.string(map(textValue(v))))
    case .column(let c):
        guard case .strings(let s) = c.data else { return datum }
        var out = ByteStrings()
        out.reserve(strings: s.values.count, bytes: s.values.bytes.count)
        var buffer: [UInt8] = []
        for i in 0..<s.values.count {
            s.values.withBytes(i) { bytes in
                if bytes.allSatisfy({ $0 < 0x80 }) {
                    buffer.removeAll(keepingCapacity: true)
                    if upper {
                        for b in bytes { buffer.append(b >= 0x61 && b <= 0x7A ? b & 0xDF : b) }
                    } else {
                        for b in bytes { buffer.append(b >= 0x41 && b <= 0x5A ? b | 0x20 : b) }
                    }
                    buffer.withUnsafeBytes { out.append($0) }
                } else {
                    out.append(map(String(decoding: bytes, as: UTF8.self)))
                }
            }
        }
        return .column(Column(.string, .strings(s.codes.map { StringColumn(codes: $0, values: out) } ?? StringColumn(out))))
    }
}

/// `strcat`: the bytes of each argument's text, row by row, or per dictionary value when one argument alone varies.
private func concatenate(_ arguments: [Datum], rows: Int) -> Datum {
    let texts = arguments.map { castDatum($0, to: .string, rows: rows) }
    let columns = texts.filter { $0.constantValue == nil }
    if columns.isEmpty { return .constant(.string(texts.map { textValue($0.constantValue ?? .string("")) }.joined())) }
    func build(_ n: Int, _ cell: (StringColumn, Int) -> Int) -> ByteStrings {
        var out = ByteStrings()
        out.reserve(strings: n, bytes: n * 24)
        var buffer: [UInt8] = []
        for row in 0..<n {
            buffer.removeAll(keepingCapacity: true)
            for t in texts {
                switch t {
                case .constant(let v): buffer.append(contentsOf: textValue(v).utf8)
                case .column(let c):
                    if case .strings(let s) = c.data { s.values.withBytes(cell(s, row)) { buffer.append(contentsOf: $0) } }
                }
            }
            buffer.withUnsafeBytes { out.append($0) }
        }
        return out
    }
    if columns.count == 1, case .column(let c) = columns[0], case .strings(let s) = c.data, let codes = s.codes, s.values.count <= rows {
        return .column(Column(.string, .strings(StringColumn(codes: codes, values: build(s.values.count) { $1 }))))
    }
    return .column(Column(.string, .strings(StringColumn(build(rows) { $0.code($1) }))))
}
