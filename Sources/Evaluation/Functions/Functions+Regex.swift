import Columnar
import KQL

/// The pattern of a call: compiled once when it is constant, else cached by text, and nil where a row holds a malformed one.
private func patternSource(_ constant: Value?, wrap: @escaping @Sendable (String) -> String = { $0 }) throws
    -> @Sendable (Value) throws -> Regex2?
{
    if let constant {
        let regex = try Regex2(wrap(textValue(constant)))
        return { _ in regex }
    }
    let cache = RegexCache()
    return { try cache.regex(wrap(textValue($0))) }
}

/// The type that a `typeof(...)` argument names, given as its name.
func namedType(_ value: Value?) -> ScalarType? {
    guard case .string(let name)? = value else { return nil }
    return ScalarType(kqlName: name)
}

/// The characters that may mean something in a regular expression.
private let regexSigns = Set("\\.+*?()|[]{}^$#&-~")

extension Functions {
    static let regex: [ScalarFunction] = [
        ScalarFunction(
            "extract", "regex:string captureGroup:integer source:string typeLiteral:constant?",
            .custom { _, c in c.count > 3 ? namedType(c[3]) ?? .string : .string },
            "A group of the first match, converted to a type.", "extract(@\"id=(\\d+)\", 1, \"id=7\", typeof(long)) == 7",
            .prepared(strict: true) { site in
                let pattern = try patternSource(site.constants[0])
                return { a in
                    let bytes = Array(text(a, 2).utf8)
                    let group = long(a, 1)
                    guard let regex = try pattern(a[0]), group >= 0, group <= Int64(regex.groupCount),
                        let found = regex.captures(bytes, from: 0, groups: Int(group)),
                        let range = found[Int(group)]
                    else { return .missing(site.type) }
                    return convertValue(.string(String(decoding: bytes[range], as: UTF8.self)), to: site.type)
                }
            }),
        ScalarFunction(
            "extract_all", "regex:string captureGroups:any source:string?", .type(.dynamic), aliases: ["extractall"],
            "All matches: texts of the only group, or arrays of groups.", "extract_all(@\"(\\d)\", \"a1b2\")[1] == \"2\"",
            .prepared(strict: true) { site in
                let pattern = try patternSource(site.constants[0])
                return { a in try pattern(a[0]).map { try extractAll($0, named: textValue(a[0]), a) } ?? .null(.dynamic) }
            }),
        ScalarFunction(
            "replace_regex", "source:string lookup_regex:string rewrite_pattern:string", .type(.string),
            "All matches replaced; `\\1` stands for a group.",
            "replace_regex(\"a1\", @\"\\d\", \"x\") == \"ax\"",
            .prepared(strict: true) { site in
                let pattern = try patternSource(site.constants[1])
                return { a in .string(try pattern(a[1]).map { replace($0, text(a, 0), text(a, 2)) } ?? text(a, 0)) }
            }),
        ScalarFunction(
            "regex_quote", "string:string", .type(.string), "A text as a regular expression that matches just it.",
            "regex_quote(\"(so$me.Te^xt)\") == @\"\\(so\\$me\\.Te\\^xt\\)\"",
            .strict { a in .string(String(text(a, 0).flatMap { regexSigns.contains($0) ? ["\\", $0] : [$0] })) }),
        ScalarFunction(
            "replace", "regex:string rewrite:string text:string", .type(.string), "As replace_regex, with the text last.",
            "replace(@\"\\d\", \"x\", \"a1\") == \"ax\"",
            .prepared(strict: true) { site in
                let pattern = try patternSource(site.constants[0])
                return { a in .string(try pattern(a[0]).map { replace($0, text(a, 2), text(a, 1)) } ?? text(a, 2)) }
            }),
        ScalarFunction(
            "trim", "regex:string source:string", .type(.string), "Without leading and trailing matches.", "trim(\" +\", \" a \") == \"a\"",
            trimKernel(start: true, end: true)),
        ScalarFunction(
            "trim_start", "regex:string source:string", .type(.string), "Without a leading match.", "trim_start(\" +\", \" a \") == \"a \"",
            trimKernel(start: true, end: false)),
        ScalarFunction(
            "trim_end", "regex:string source:string", .type(.string), "Without a trailing match.", "trim_end(\" +\", \" a \") == \" a\"",
            trimKernel(start: false, end: true)),
        ScalarFunction(
            "countof", "source:string search:string kind:cstring?", .type(.long), "The number of occurrences; plain ones may overlap.",
            "countof(\"aaa\", \"aa\") == 2",
            .prepared(strict: true) { site in
                let isRegex = site.constants.count > 2 && site.constants[2] == .string("regex")
                let pattern = try patternSource(isRegex ? site.constants[1] : .string(""))
                return { a in
                    let bytes = Array(text(a, 0).utf8)
                    if !isRegex { return .long(countOverlapping(bytes, Array(text(a, 1).utf8))) }
                    var n: Int64 = 0
                    forEachMatch(try pattern(a[1]), bytes, groups: 0) { groups in
                        if let whole = groups[0], !whole.isEmpty { n += 1 }
                        return true
                    }
                    return .long(n)
                }
            }),
        ScalarFunction(
            "indexof_regex", "string:string match:string start:integer? length:integer? occurrence:integer?", .type(.long),
            "The position of a match, -1 if there is none.", "indexof_regex(\"abc\", @\"b.\") == 1",
            .prepared(strict: true) { site in
                let pattern = try patternSource(site.constants[1])
                return { a in
                    let start = long(a, 2), length = long(a, 3, default: -1), occurrence = long(a, 4, default: 1)
                    guard start >= 0, length >= -1, occurrence >= 1 else { return .null(.long) }
                    let scalars = text(a, 0).unicodeScalars
                    let tail = scalars.dropFirst(Int(clamping: start))
                    let part = length < 0 ? tail : tail.prefix(Int(clamping: length))
                    let bytes = Array(String(part).utf8)
                    var seen: Int64 = 0
                    var result: Int64 = -1
                    forEachMatch(try pattern(a[1]), bytes, groups: 0) { groups in
                        seen += 1
                        guard seen == occurrence, let whole = groups[0] else { return true }
                        result = start + Int64(String(decoding: bytes[..<whole.lowerBound], as: UTF8.self).unicodeScalars.count)
                        return false
                    }
                    return .long(result)
                }
            }),
    ]

    private static func trimKernel(start: Bool, end: Bool) -> Kernel {
        .prepared(strict: true) { site in
            let head = try patternSource(site.constants[0]) { "^(?:\($0))" }
            let tail = try patternSource(site.constants[0]) { "(?:\($0))$" }
            return { a in
                var bytes = Array(text(a, 1).utf8)
                if start, let whole = try head(a[0])?.captures(bytes, from: 0, groups: 0)?[0], !whole.isEmpty {
                    bytes.removeSubrange(whole)
                }
                if end, let whole = try tail(a[0])?.captures(bytes, from: 0, groups: 0)?[0], !whole.isEmpty { bytes.removeSubrange(whole) }
                return .string(String(decoding: bytes, as: UTF8.self))
            }
        }
    }

    private static func extractAll(_ regex: Regex2, named pattern: String, _ a: [Value]) throws -> Value {
        let hasGroups = a.count > 2
        let bytes = Array(text(a, hasGroups ? 2 : 1).utf8)
        let count = regex.groupCount
        guard count > 0 else { throw EvaluationError("extract_all: the pattern needs at least one group") }
        var wanted: [Int] = []
        if hasGroups, let items = array(a, 1) {
            for item in items {
                switch item {
                case .long(let g) where g >= 0 && g <= Int64(count): wanted.append(Int(g))
                case .string(let name): if let g = groupNames(pattern)[name] { wanted.append(g) }
                default: break
                }
            }
        }
        if wanted.isEmpty { wanted = Array(1...count) }
        var matches: [Dynamic] = []
        forEachMatch(regex, bytes, groups: count) { groups in
            let texts = wanted.map { g in Dynamic.string(groups[g].map { String(decoding: bytes[$0], as: UTF8.self) } ?? "") }
            matches.append(texts.count == 1 ? texts[0] : .array(texts))
            return true
        }
        return matches.isEmpty ? .null(.dynamic) : .dynamic(.array(matches))
    }

    private static func replace(_ regex: Regex2, _ source: String, _ rewrite: String) -> String {
        let bytes = Array(source.utf8), template = Array(rewrite.utf8)
        var out: [UInt8] = []
        var copied = 0
        forEachMatch(regex, bytes, groups: regex.groupCount) { groups in
            guard let whole = groups[0] else { return true }
            out.append(contentsOf: bytes[copied..<whole.lowerBound])
            copied = whole.upperBound
            var i = 0
            while i < template.count {
                if template[i] == 0x5C, i + 1 < template.count {
                    let c = template[i + 1]
                    if c >= 0x30, c <= 0x39 {
                        let g = Int(c - 0x30)
                        if g < groups.count, let r = groups[g] { out.append(contentsOf: bytes[r]) }
                    } else {
                        if c != 0x5C { out.append(0x5C) }
                        out.append(c)
                    }
                    i += 2
                } else {
                    out.append(template[i])
                    i += 1
                }
            }
            return true
        }
        if copied == 0, out.isEmpty { return source }
        out.append(contentsOf: bytes[copied...])
        return String(decoding: out, as: UTF8.self)
    }
}

/// The numbers of the groups that a pattern names, as `(?<name>` or `(?P<name>`.
private func groupNames(_ pattern: String) -> [String: Int] {
    var out: [String: Int] = [:]
    var group = 0
    var inClass = false
    var rest = Substring(pattern)
    while let c = rest.popFirst() {
        switch c {
        case "\\": _ = rest.popFirst()
        case "[" where !inClass:
            inClass = true
            // A bracket right behind the opening one, or its `^`, is a literal.
            if rest.first == "^" { _ = rest.popFirst() }
            if rest.first == "]" { _ = rest.popFirst() }
        case "]": inClass = false
        case "(" where !inClass:
            guard rest.first == "?" else {
                group += 1
                continue
            }
            for opening in ["?P<", "?<"] where rest.hasPrefix(opening) {
                group += 1
                let name = rest.dropFirst(opening.count).prefix { $0 != ">" }
                out[String(name)] = group
                break
            }
        default: break
        }
    }
    return out
}

/// Calls `body` with the groups of each match, from left to right, until it returns false. Empty matches advance by one character.
func forEachMatch(_ regex: Regex2?, _ bytes: [UInt8], groups: Int, _ body: ([Range<Int>?]) -> Bool) {
    guard let regex else { return }
    var at = 0
    while at <= bytes.count, let found = regex.captures(bytes, from: at, groups: groups), let whole = found[0] {
        if !body(found) { return }
        at = whole.upperBound
        if whole.isEmpty {
            at += 1
            while at < bytes.count, bytes[at] & 0xC0 == 0x80 { at += 1 }
        }
    }
}

private func countOverlapping(_ text: [UInt8], _ needle: [UInt8]) -> Int64 {
    guard !needle.isEmpty, needle.count <= text.count else { return 0 }
    var n: Int64 = 0
    for i in 0...(text.count - needle.count) where text[i] == needle[0] && text[i..<(i + needle.count)].elementsEqual(needle) { n += 1 }
    return n
}
