import Columnar
import Evaluation
import KQL
import Rules

/// Rows of external data from their text.
enum ExternalRows {
    /// The format that an address's ending names; csv without.
    static func format(of address: String) -> ExternalRequest.Format {
        var path = address.prefix { $0 != "?" && $0 != "#" }.lowercased()
        if path.hasSuffix(".gz") { path = String(path.dropLast(3)) }
        for f in ExternalRequest.Format.allCases where path.hasSuffix("." + f.rawValue) { return f }
        return path.hasSuffix(".jsonl") || path.hasSuffix(".ndjson") ? .json : .csv
    }

    static func read(_ text: String, format: ExternalRequest.Format, _ request: ExternalRequest, name: String) -> Result<
        [[Value]], ContentRefusal
    > {
        let text = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
        let columns = request.columns
        switch format {
        case .csv, .tsv, .scsv, .psv:
            let separator: UInt8 = format == .csv ? 0x2C : format == .tsv ? 0x09 : format == .scsv ? 0x3B : 0x7C
            let rows: [DelimitedText.Row]
            do { rows = try DelimitedText.rows(text, separator: separator, isQuoted: format != .tsv) } catch {
                return .failure(ContentRefusal("\(name), line \(error.line): \(error.message)"))
            }
            return .success(
                rows.dropFirst(request.ignoresFirstRecord ? 1 : 0).map { row in
                    columns.indices.map { i in i < row.cells.count ? value(row.cells[i], columns[i].type) : .missing(columns[i].type) }
                })
        case .txt:
            var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
            if lines.last?.isEmpty ?? false { lines.removeLast() }
            return .success(
                lines.dropFirst(request.ignoresFirstRecord ? 1 : 0).map { line in
                    columns.indices.map { i in i == 0 ? value(String(line), columns[i].type) : .missing(columns[i].type) }
                })
        case .raw:
            return .success([columns.indices.map { i in i == 0 ? value(text, columns[i].type) : .missing(columns[i].type) }])
        case .json, .multijson:
            return json(text, columns, name)
        }
    }

    /// Objects one after the other, on lines of their own or not, or in one array.
    private static func json(_ text: String, _ columns: [SchemaColumn], _ name: String) -> Result<[[Value]], ContentRefusal> {
        var records: [Dynamic] = []
        if let whole = JSONText.parse(text) {
            if case .array(let items) = whole { records = items } else { records = [whole] }
        } else {
            for (i, part) in documents(text).enumerated() {
                guard let v = JSONText.parse(String(part)) else {
                    return .failure(ContentRefusal("\(name): record \(i + 1) is no JSON"))
                }
                records.append(v)
            }
        }
        var rows: [[Value]] = []
        for (i, r) in records.enumerated() {
            guard case .object = r else { return .failure(ContentRefusal("\(name): record \(i + 1) is no JSON object")) }
            rows.append(columns.map { c in r[c.name].map { value($0, c.type) } ?? .missing(c.type) })
        }
        return .success(rows)
    }

    /// Cuts concatenated JSON documents at the end of each outermost value.
    private static func documents(_ text: String) -> [Substring] {
        var out: [Substring] = []
        let utf8 = text.utf8
        var start = utf8.startIndex
        var depth = 0
        var inString = false
        var escaped = false
        var i = utf8.startIndex
        while i < utf8.endIndex {
            let b = utf8[i]
            let next = utf8.index(after: i)
            if inString {
                if escaped { escaped = false } else if b == 0x5C { escaped = true } else if b == 0x22 { inString = false }
            } else if b == 0x22 {
                inString = true
            } else if b == 0x7B || b == 0x5B {
                if depth == 0 { start = i }
                depth += 1
            } else if b == 0x7D || b == 0x5D {
                depth -= 1
                if depth == 0 {
                    out.append(text[start..<next])
                    start = next
                }
                if depth < 0 { depth = 0 }
            } else if depth == 0, b > 0x20, b != 0x2C {
                // Text between documents: left in, so that it is reported.
                out.append(text[i..<next])
            }
            i = next
        }
        if depth > 0 { out.append(text[start...]) }
        return out
    }

    /// A cell as the column's type; null where it is none.
    static func value(_ text: String, _ type: ScalarType) -> Value {
        if type == .string { return .string(text) }
        if text.isEmpty { return .missing(type) }
        if type == .dynamic { return JSONText.parse(text).map { $0 == .null ? .null(.dynamic) : .dynamic($0) } ?? .dynamic(.string(text)) }
        let v = ConstantFolder.fold(name: conversion(type), args: [.string(text)])
        return v?.type == type ? v ?? .missing(type) : .missing(type)
    }

    private static func value(_ v: Dynamic, _ type: ScalarType) -> Value {
        switch (v, type) {
        case (.null, _): return .missing(type)
        case (_, .dynamic): return .dynamic(v)
        case (.string(let s), _): return value(s, type)
        case (_, .string): return .string(JSONText.compact(v))
        case (.bool(let b), .bool): return .bool(b)
        case (.long(let n), .long): return .long(n)
        default: return value(JSONText.compact(v), type)
        }
    }

    private static func conversion(_ type: ScalarType) -> String {
        switch type {
        case .bool: "tobool"
        case .int: "toint"
        case .long: "tolong"
        case .real: "toreal"
        case .decimal: "todecimal"
        case .datetime: "todatetime"
        case .timespan: "totimespan"
        case .guid: "toguid"
        case .dynamic: "todynamic"
        case .string: "tostring"
        }
    }
}
