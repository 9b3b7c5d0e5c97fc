import Columnar
import KQL

/// A `parse` pattern made ready: finds the text of each column in a string.
///
/// Plain patterns (simple, relaxed) match the whole string: a text at the start or the end of the pattern must stand there, any other is
/// taken at its first place behind the one before. Regex patterns become one regular expression.
struct ParsePattern: Sendable {
    let types: [ScalarType]
    /// Whether a cell that does not convert makes the whole row a miss.
    let isStrict: Bool
    private let parts: [Part]
    private let regex: (expression: Regex2, groups: [Int])?

    /// Columns and stars, then the text behind them; the last part has no text.
    private struct Part: Sendable {
        var gaps: [Gap] = []
        var text: [UInt8]?
    }
    private enum Gap: Sendable, Equatable {
        case star
        case column(Int)
    }

    /// Throws when a regular expression is malformed or a flag unknown.
    init(_ parse: BoundParse) throws {
        var types: [ScalarType] = []
        for case .column(let n, let type) in parse.segments {
            while types.count <= n { types.append(.string) }
            types[n] = type
        }
        self.types = types
        isStrict = parse.mode != .relaxed
        if case .regex(let flags) = parse.mode {
            parts = []
            regex = try ParsePattern.compile(parse.segments, flags, types)
            return
        }
        regex = nil
        var parts: [Part] = []
        var current = Part()
        for segment in parse.segments {
            switch segment {
            case .star: if current.gaps.last != .star { current.gaps.append(.star) }
            case .column(let n, _): current.gaps.append(.column(n))
            case .text(let t):
                if t.isEmpty { continue }
                if current.gaps.isEmpty, let last = parts.indices.last, let before = parts[last].text {
                    parts[last].text = before + Array(t.utf8)
                } else {
                    current.text = Array(t.utf8)
                    parts.append(current)
                    current = Part()
                }
            }
        }
        parts.append(current)
        self.parts = parts
    }

    // MARK: Regular expressions

    private static func compile(
        _ segments: [BoundParse.Segment], _ flags: String, _ types: [ScalarType]
    ) throws -> (expression: Regex2, groups: [Int]) {
        guard flags.allSatisfy({ "imsU".contains($0) }) else { throw EvaluationError("parse: unknown regex flags \(flags)") }
        var pattern = flags.isEmpty ? "" : "(?\(flags))"
        // Without `U` a lone star is lazy and a string column greedy; with it RE2 swaps both, and the star is written the other way round.
        let star = flags.contains("U") ? ".*" : ".*?"
        var groups = [Int](repeating: 0, count: types.count)
        var next = 1
        pattern += "^"
        for segment in segments {
            switch segment {
            case .text(let t):
                next += try Regex2(t).groupCount
                pattern += "(?:\(t))"
            case .star: pattern += star
            case .column(let n, let type):
                groups[n] = next
                next += 1
                switch type {
                case .int, .long: pattern += #"([\-\+]?\d+)"#
                case .real, .decimal: pattern += #"([\-\+]?\d+(?:\.\d+)?(?:[eE][\-\+]?\d+)?)"#
                default: pattern += "(.*)"
                }
            }
        }
        return (try Regex2(pattern + "$"), groups)
    }

    // MARK: Matching

    /// The range of each column's text; nil when the string does not match.
    func match(_ bytes: UnsafeRawBufferPointer) -> [Range<Int>?]? {
        if let regex {
            guard let found = regex.expression.captures(Array(bytes), from: 0, groups: regex.expression.groupCount) else { return nil }
            return regex.groups.map { $0 < found.count ? found[$0] : nil }
        }
        var out = [Range<Int>?](repeating: nil, count: types.count)
        var position = 0
        for (i, part) in parts.enumerated() {
            guard let text = part.text else {
                return fill(part.gaps, position..<bytes.count, bytes, &out) ? out : nil
            }
            let isLast = i == parts.count - 2 && parts[i + 1].gaps.isEmpty
            let start: Int
            if isLast {
                start = bytes.count - text.count
                guard start >= position, ParsePattern.stands(text, bytes, start), !part.gaps.isEmpty || start == position else {
                    return nil
                }
            } else if part.gaps.isEmpty {
                guard ParsePattern.stands(text, bytes, position) else { return nil }
                start = position
            } else {
                guard let found = ParsePattern.find(text, bytes, from: position) else { return nil }
                start = found
            }
            guard fill(part.gaps, position..<start, bytes, &out) else { return nil }
            position = start + text.count
        }
        return out
    }

    private static func stands(_ text: [UInt8], _ bytes: UnsafeRawBufferPointer, _ at: Int) -> Bool {
        guard at >= 0, at + text.count <= bytes.count else { return false }
        for i in 0..<text.count where bytes[at + i] != text[i] { return false }
        return true
    }

    private static func find(_ text: [UInt8], _ bytes: UnsafeRawBufferPointer, from: Int) -> Int? {
        guard let first = text.first else { return from }
        var i = from
        while i + text.count <= bytes.count {
            if bytes[i] == first, stands(text, bytes, i) { return i }
            i += 1
        }
        return nil
    }

    /// Shares the bytes between two texts out to the columns and stars there; false when they do not fit.
    private func fill(_ gaps: [Gap], _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ out: inout [Range<Int>?]) -> Bool {
        if gaps.isEmpty { return range.isEmpty }
        var position = range.lowerBound
        for (i, gap) in gaps.enumerated() {
            let isLast = i == gaps.count - 1
            switch gap {
            case .star:
                if isLast { return true }
                if case .column(let n) = gaps[i + 1], types[n] != .string {
                    while position < range.upperBound, !ParsePattern.begins(bytes[position]) { position += 1 }
                }
            case .column(let n):
                if isLast {
                    out[n] = position..<range.upperBound
                    return true
                }
                let end = types[n] == .string ? position : ParsePattern.prefix(types[n], bytes, position..<range.upperBound)
                out[n] = position..<end
                position = end
            }
        }
        return position == range.upperBound
    }

    private static func begins(_ c: UInt8) -> Bool { (c >= 0x30 && c <= 0x39) || c == 0x2D || c == 0x2B }

    /// The end of the longest beginning that may be a value of the type.
    private static func prefix(_ type: ScalarType, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int {
        var i = range.lowerBound
        func digit(_ c: UInt8) -> Bool { c >= 0x30 && c <= 0x39 }
        if type == .int || type == .long || type == .real || type == .decimal {
            if i < range.upperBound, bytes[i] == 0x2D || bytes[i] == 0x2B { i += 1 }
            while i < range.upperBound, digit(bytes[i]) { i += 1 }
            if type == .real || type == .decimal, i + 1 < range.upperBound, bytes[i] == 0x2E, digit(bytes[i + 1]) {
                i += 1
                while i < range.upperBound, digit(bytes[i]) { i += 1 }
            }
            return i
        }
        // Letters, digits and the marks of times and guids; blanks only before a digit, as between date and time.
        while i < range.upperBound {
            let c = bytes[i]
            let letter = (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7A
            let mark = c == 0x2D || c == 0x2B || c == 0x2E || c == 0x3A || c == 0x2F
            let blank = c == 0x20 && i + 1 < range.upperBound && digit(bytes[i + 1])
            guard letter || digit(c) || mark || blank else { break }
            i += 1
        }
        return i
    }

    // MARK: Values

    /// The value of a column's text; nil when it does not convert. Numbers must be plain digits throughout.
    static func value(_ text: String, _ type: ScalarType) -> Value? {
        var rest = text.utf8[...]
        func digits() -> Bool {
            let before = rest.count
            rest = rest.drop { $0 >= 0x30 && $0 <= 0x39 }
            return rest.count < before
        }
        func sign() { if let c = rest.first, c == 0x2D || c == 0x2B { rest = rest.dropFirst() } }
        let v: Value
        switch type {
        case .string: return .string(text)
        case .int, .long:
            sign()
            guard digits(), rest.isEmpty else { return nil }
            if type == .int { return Int32(text).map(Value.int) }
            return Int64(text).map(Value.long)
        case .real, .decimal:
            sign()
            guard digits() else { return nil }
            if rest.first == 0x2E {
                rest = rest.dropFirst()
                guard digits() else { return nil }
            }
            if let c = rest.first, c == 0x65 || c == 0x45 {
                rest = rest.dropFirst()
                sign()
                guard digits() else { return nil }
            }
            guard rest.isEmpty else { return nil }
            return type == .real ? Double(text).map(Value.real) : Decimal128(text: text).map(Value.decimal)
        case .bool:
            switch text.lowercased() {
            case "true": return .bool(true)
            case "false": return .bool(false)
            default: return Int64(text).map { .bool($0 != 0) }
            }
        case .dynamic: v = .dynamic(JSONText.parse(text) ?? .string(text))
        case .datetime, .timespan, .guid: v = convertValue(.string(text), to: type)
        }
        return v.isNull ? nil : v
    }
}

extension Execution {
    func parse(
        _ plan: Plan, _ input: Plan, _ parse: BoundParse, _ outputs: [MvOutput], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let source = try compiled(parse.source, of: plan, over: input.columns)
        let pattern = try ParsePattern(parse)
        return try run(input, environment) { batch in
            let text = castDatum(try source.evaluate(batch, context), to: .string, rows: batch.count).materialized(rows: batch.count)
            guard case .strings(let strings) = text.data else {
                throw EvaluationError("parse reads text, not \(text.type.rawValue)", at: parse.source.range)
            }
            var builders = pattern.types.map { ColumnBuilder($0) }
            var matched = Bitmap(repeating: false, count: batch.count)
            for row in 0..<batch.count {
                let values = strings.withBytes(row) { bytes -> [Value]? in
                    guard let ranges = pattern.match(bytes) else { return nil }
                    var values: [Value] = []
                    for (type, range) in zip(pattern.types, ranges) {
                        let cell = range.map { String(decoding: UnsafeRawBufferPointer(rebasing: bytes[$0]), as: UTF8.self) } ?? ""
                        if let v = ParsePattern.value(cell, type) {
                            values.append(v)
                        } else if pattern.isStrict {
                            return nil
                        } else {
                            values.append(.missing(type))
                        }
                    }
                    return values
                }
                if values != nil { matched[row] = true }
                for i in builders.indices {
                    if let v = values?[i] { builders[i].append(v) } else { builders[i].appendNull() }
                }
            }
            let parsed = builders.indices.map { builders[$0].finish() }
            let columns = outputs.map { output -> Column in
                switch output {
                case .input(let p): batch.columns[p]
                case .item(let i): parsed[i]
                case .index: Column.nulls(.long, count: batch.count)
                }
            }
            let whole = Batch(columns: columns, count: batch.count, keys: batch.keys, lineage: batch.lineage)
            if !parse.filters { return try emit(whole) }
            return matched.isEmpty ? true : try emit(whole.filter(matched))
        }
    }
}
