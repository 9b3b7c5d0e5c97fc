import Columnar
import KQL

private func member(_ key: String, _ value: String) -> Dynamic.Member { Dynamic.Member(key, .string(value)) }

/// `a=1&b=2` as an object; a repeated key keeps its last value.
private func query(_ s: String) -> Dynamic {
    var out: [Dynamic.Member] = []
    for pair in splitText(s, "&") where !pair.isEmpty {
        let cut = pair.firstIndex(of: "=")
        let key = String(cut.map { pair[..<$0] } ?? pair[...])
        let value = cut.map { String(pair[pair.index(after: $0)...]) } ?? ""
        if let i = out.firstIndex(where: { ByteText.equal($0.key, key) }) {
            out[i].value = .string(value)
        } else {
            out.append(member(key, value))
        }
    }
    return .object(out)
}

private func parseURL(_ s: String) -> Dynamic {
    var rest = Substring(s)
    var scheme = "", host = "", port = "", user = "", password = "", fragment = "", parameters = ""
    if let hash = rest.firstIndex(of: "#") {
        fragment = String(rest[rest.index(after: hash)...])
        rest = rest[..<hash]
    }
    if let mark = rest.firstIndex(of: "?") {
        parameters = String(rest[rest.index(after: mark)...])
        rest = rest[..<mark]
    }
    if let colon = rest.firstIndex(of: ":"), rest[colon...].hasPrefix("://") {
        scheme = String(rest[..<colon])
        rest = rest[colon...].dropFirst(3)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = rest[..<slash]
        rest = rest[slash...]
        if let at = authority.lastIndex(of: "@") {
            let login = authority[..<at]
            let cut = login.firstIndex(of: ":")
            user = String(cut.map { login[..<$0] } ?? login)
            password = cut.map { String(login[login.index(after: $0)...]) } ?? ""
            authority = authority[authority.index(after: at)...]
        }
        if authority.hasPrefix("["), let close = authority.firstIndex(of: "]") {
            host = String(authority[...close])
            authority = authority[authority.index(after: close)...]
            if authority.hasPrefix(":") { port = String(authority.dropFirst()) }
        } else if let colon = authority.lastIndex(of: ":") {
            host = String(authority[..<colon])
            port = String(authority[authority.index(after: colon)...])
        } else {
            host = String(authority)
        }
    }
    return .object([
        member("Scheme", scheme), member("Host", host), member("Port", port), member("Path", String(rest)), member("Username", user),
        member("Password", password), Dynamic.Member("Query Parameters", query(parameters)), member("Fragment", fragment),
    ])
}

/// Slashes of both kinds part a path. A drive is its root; a colon behind the file's name begins an alternate data stream.
private func parsePath(_ s: String) -> Dynamic {
    var scheme = "", root = "", stream = ""
    var rest = Substring(s)
    if let range = splitOnce(rest, "://") {
        scheme = String(range.0)
        rest = range.1
    }
    func isSeparator(_ c: Character) -> Bool { c == "\\" || c == "/" }
    let long = rest.hasPrefix("\\\\?\\") ? rest.dropFirst(4) : rest
    if long.dropFirst().first == ":", let letter = long.first, letter.isLetter {
        root = String(rest[..<long.index(long.startIndex, offsetBy: 2)])
    }
    let cut = rest.lastIndex(where: isSeparator)
    let directory = cut.map { String(rest[..<$0]) } ?? ""
    var file = cut.map { rest[rest.index(after: $0)...] } ?? rest[...]
    let afterRoot = cut == nil ? file.dropFirst(root.count) : file
    if let colon = afterRoot.firstIndex(of: ":") {
        stream = String(file[file.index(after: colon)...])
        file = file[..<colon]
    }
    let directoryName = directory.lastIndex(where: isSeparator).map { String(directory[directory.index(after: $0)...]) } ?? directory
    let dot = file.lastIndex(of: ".")
    return .object([
        member("Scheme", scheme), member("RootPath", root), member("DirectoryPath", directory), member("DirectoryName", directoryName),
        member("Filename", String(file)), member("Extension", dot.map { String(file[file.index(after: $0)...]) } ?? ""),
        member("AlternateDataStreamName", stream),
    ])
}

private func splitOnce(_ s: Substring, _ mark: String) -> (Substring, Substring)? {
    var at = s.startIndex
    while at < s.endIndex {
        if s[at...].hasPrefix(mark) { return (s[..<at], s[at...].dropFirst(mark.count)) }
        at = s.index(after: at)
    }
    return nil
}

/// The fields of the first record of CSV text.
private func parseCSV(_ s: String) -> [String] {
    var fields: [String] = []
    var field: [UInt8] = []
    var quoted = false
    let bytes = Array(s.utf8)
    var i = 0
    while i < bytes.count {
        let c = bytes[i]
        i += 1
        if quoted {
            if c == 0x22 {
                if i < bytes.count, bytes[i] == 0x22 {
                    field.append(c)
                    i += 1
                } else {
                    quoted = false
                }
            } else {
                field.append(c)
            }
        } else if c == 0x22, field.isEmpty {
            quoted = true
        } else if c == 0x2C {
            fields.append(String(decoding: field, as: UTF8.self))
            field.removeAll()
        } else if c == 0x0A || c == 0x0D {
            break
        } else {
            field.append(c)
        }
    }
    fields.append(String(decoding: field, as: UTF8.self))
    return fields
}

/// The arguments of a Windows command line: quotes group, a backslash escapes a quote.
private func parseCommandLine(_ s: String) -> [String] {
    var out: [String] = []
    var word = ""
    var inWord = false, quoted = false
    var slashes = 0
    for c in s {
        if c == "\\" {
            slashes += 1
            inWord = true
            continue
        }
        if c == "\"" {
            word += String(repeating: "\\", count: slashes / 2)
            if slashes % 2 == 1 { word.append(c) } else { quoted.toggle() }
            slashes = 0
            inWord = true
            continue
        }
        word += String(repeating: "\\", count: slashes)
        slashes = 0
        if !quoted, c == " " || c == "\t" {
            if inWord { out.append(word) }
            word = ""
            inWord = false
        } else {
            word.append(c)
            inWord = true
        }
    }
    word += String(repeating: "\\", count: slashes)
    if inWord { out.append(word) }
    return out
}

/// Up to four numeric parts, eight digits each, as one decimal.
private func parseVersion(_ s: String) -> Decimal128? {
    let parts = s.split(separator: ".", omittingEmptySubsequences: false)
    guard (1...4).contains(parts.count) else { return nil }
    var v: Int128 = 0
    for i in 0..<4 {
        var part: Int128 = 0
        if i < parts.count {
            guard !parts[i].isEmpty, parts[i].utf8.count <= 8, let n = UInt32(parts[i]), n <= 99_999_999 else { return nil }
            part = Int128(n)
        }
        v = v * 100_000_000 + part
    }
    return Decimal128(mantissa: v, exponent: 0)
}

extension Functions {
    static let parsing: [ScalarFunction] = [
        ScalarFunction(
            "parse_url", "url:string", .type(.dynamic), aliases: ["parseurl"], "The parts of a URL, as a bag.",
            "parse_url(\"https://a.example/x\").Host == \"a.example\"",
            .strict { a in .dynamic(parseURL(text(a, 0))) }),
        ScalarFunction(
            "parse_urlquery", "query:string", .type(.dynamic), "The parameters of a URL's query, as a bag.",
            "parse_urlquery(\"a=1\")[\"Query Parameters\"].a == \"1\"",
            .strict { a in
                let s = text(a, 0)
                return .dynamic(.object([Dynamic.Member("Query Parameters", query(s.hasPrefix("?") ? String(s.dropFirst()) : s))]))
            }),
        ScalarFunction(
            "parse_path", "path:string", .type(.dynamic), "The parts of a file's path, as a bag.",
            "parse_path(\"/a/b.txt\").Filename == \"b.txt\"",
            .strict { a in .dynamic(parsePath(text(a, 0))) }),
        ScalarFunction(
            "parse_csv", "csv_text:string", .type(.dynamic), "The fields of the first record, as an array of texts.",
            "parse_csv(\"a,b\")[1] == \"b\"",
            .strict { a in .dynamic(.array(parseCSV(text(a, 0)).map(Dynamic.string))) }),
        ScalarFunction(
            "parse_command_line", "command_line:string parser_type:cstring", .type(.dynamic), "The arguments of a Windows command line.",
            "parse_command_line(\"a b\", \"windows\")[1] == \"b\"",
            .strict { a in
                guard text(a, 1).lowercased() == "windows" else {
                    throw EvaluationError("parse_command_line knows the parser `windows` only")
                }
                let words = parseCommandLine(text(a, 0))
                return words.isEmpty ? .null(.dynamic) : .dynamic(.array(words.map(Dynamic.string)))
            }),
        ScalarFunction(
            "parse_version", "version:string", .type(.decimal), "A version of up to four parts as one number that sorts like it.",
            "parse_version(\"0.2\") < parse_version(\"0.10\")",
            .strict { a in optional(parseVersion(trimmed(text(a, 0))), Value.decimal, .decimal) }),
        ScalarFunction(
            "parse_xml", "xml:string", .type(.dynamic), "XML as a bag: elements by name, attributes as `@name`, text as `#text`.",
            "parse_xml(\"<a>1</a>\").a == \"1\"",
            .strict { a in
                var reader = XMLReader(text(a, 0))
                return reader.document().map(dynamicValue) ?? .null(.dynamic)
            }),
        ScalarFunction(
            "extract_json", "jsonPath:string dataSource:any type:constant?",
            .custom { _, c in c.count > 2 ? namedType(c[2]) ?? .string : .string },
            aliases: ["extractjson"],
            "The value at a JSON path, as a type.", "extract_json(\"$.a\", '{\"a\":1}', typeof(long)) == 1",
            .prepared(strict: true) { site in
                { a in
                    guard let steps = jsonPath(text(a, 0)) else { return .missing(site.type) }
                    var at: Dynamic
                    if case .string(let s) = a[1] {
                        guard let tree = JSONText.parse(s) else { return .missing(site.type) }
                        at = tree
                    } else {
                        at = dynamic(a, 1)
                    }
                    for step in steps {
                        switch step {
                        case .key(let key): at = at[key] ?? .null
                        case .index(let i): at = dynamicElement(at, .long(Int64(i)))
                        }
                    }
                    return convertValue(dynamicValue(at), to: site.type)
                }
            }),
    ]
}
