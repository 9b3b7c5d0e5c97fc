import Columnar

/// Reads the content of `dynamic(...)`: JSON, with what KQL adds to it — single-quoted and verbatim strings, adjacent strings, typed
/// literals (`datetime(...)`, kept as their text, since a dynamic has no such types), timespans, a trailing comma.
struct DynamicReader {
    private let bytes: LiteralReader.Bytes
    private var position: Int
    private let depth: Int
    private var problem: (String, String?)?

    init(_ bytes: LiteralReader.Bytes, depth: Int) {
        self.bytes = bytes
        position = bytes.startIndex
        self.depth = depth
    }

    mutating func read() -> LiteralReader.Outcome {
        skipBlanks()
        guard position < bytes.endIndex else {
            return .wrong("`dynamic()` is empty", mend: "write `dynamic(null)`, `dynamic([])` or `dynamic({})`")
        }
        let value = value(depth)
        skipBlanks()
        if let value, position >= bytes.endIndex { return .value(value == .null ? .null(.dynamic) : .dynamic(value)) }
        let (message, mend) = problem ?? ("There is text after the end of the dynamic value: \(nearby())", nil)
        return .wrong(message, mend: mend)
    }

    private mutating func fail(_ message: String, mend: String? = nil) -> Dynamic? {
        if problem == nil { problem = (message, mend) }
        return nil
    }

    /// A little of the text ahead, for messages.
    private func nearby() -> String {
        let rest = bytes[min(position, bytes.endIndex)...].prefix { $0 != 0x0A && $0 != 0x0D }
        guard !rest.isEmpty else { return "the end" }
        let text = String(decoding: rest, as: UTF8.self)
        return "`\(text.prefix(20))\(text.count > 20 ? "…" : "")`"
    }

    private func peek(_ offset: Int = 0) -> UInt8 {
        let i = position + offset
        return i >= bytes.startIndex && i < bytes.endIndex ? bytes[i] : 0
    }

    private mutating func skipBlanks() {
        while position < bytes.endIndex {
            let c = bytes[position]
            if c == 0x20 || (c >= 0x09 && c <= 0x0D) {
                position += 1
            } else if c == 0xC2, peek(1) == 0xA0 {
                position += 2
            } else if c == 0x2F, peek(1) == 0x2F {
                while position < bytes.endIndex, bytes[position] != 0x0A { position += 1 }
            } else {
                return
            }
        }
    }

    private mutating func eat(_ c: UInt8) -> Bool {
        guard peek() == c, position < bytes.endIndex else { return false }
        position += 1
        return true
    }

    private mutating func value(_ depth: Int) -> Dynamic? {
        guard depth < 64 else { return fail("This dynamic value is nested too deeply", mend: "at most 64 levels are read") }
        switch peek() {
        case 0x7B: return object(depth)
        case 0x5B: return array(depth)
        case _ where endOfString() != nil: return string().map(Dynamic.string)
        case 0x2D, 0x2B, 0x2E, 0x30...0x39: return number()
        default: return word(depth)
        }
    }

    private mutating func object(_ depth: Int) -> Dynamic? {
        position += 1
        var members: [Dynamic.Member] = []
        var places: [ByteKey: Int] = [:]
        while true {
            skipBlanks()
            if eat(0x7D) { return .object(members) }
            guard let key = string() else {
                return fail("A property name in quotes is expected, not \(nearby())", mend: "write `{\"name\": value}`")
            }
            skipBlanks()
            guard eat(0x3A) else { return fail("`:` is missing after the property name `\(key)`") }
            skipBlanks()
            guard let v = value(depth + 1) else { return nil }
            if let place = places[ByteKey(key)] {
                members[place].value = v
            } else {
                places[ByteKey(key)] = members.count
                members.append(Dynamic.Member(key, v))
            }
            skipBlanks()
            if eat(0x2C) { continue }
            guard eat(0x7D) else { return fail("`,` or `}` is expected, not \(nearby())") }
            return .object(members)
        }
    }

    private mutating func array(_ depth: Int) -> Dynamic? {
        position += 1
        var items: [Dynamic] = []
        while true {
            skipBlanks()
            if eat(0x5D) { return .array(items) }
            guard let v = value(depth + 1) else { return nil }
            items.append(v)
            skipBlanks()
            if eat(0x2C) { continue }
            guard eat(0x5D) else { return fail("`,` or `]` is expected, not \(nearby())") }
            return .array(items)
        }
    }

    /// One string or several side by side.
    private mutating func string() -> String? {
        var out: String?
        while let end = endOfString() {
            let token = bytes[position..<end]
            // The lexer judges this token alone: closing quote and escapes.
            var lexer = Lexer(Array(token))
            _ = lexer.string(prefix: lexer.startsString(at: 0) ? 0 : 1)
            if let d = lexer.diagnostics.first {
                _ = fail(d.message, mend: d.mend)
                return nil
            }
            out = (out ?? "") + LiteralReader.string(token)
            position = end
            skipBlanks()
        }
        return out
    }

    /// Where the string that starts here ends; nil if none starts here.
    private func endOfString() -> Int? {
        var p = position
        func at(_ i: Int) -> UInt8 { i < bytes.endIndex ? bytes[i] : 0 }
        if at(p) | 0x20 == 0x68 { p += 1 }
        let c = at(p)
        if c == 0x60 || c == 0x7E {
            guard at(p + 1) == c, at(p + 2) == c else { return nil }
            p += 3
            while p < bytes.endIndex, !(at(p) == c && at(p + 1) == c && at(p + 2) == c) { p += 1 }
            return min(p + 3, bytes.endIndex)
        }
        let verbatim = c == 0x40
        if verbatim { p += 1 }
        let quote = at(p)
        guard quote == 0x22 || quote == 0x27 else { return nil }
        p += 1
        while p < bytes.endIndex, at(p) != 0x0A {
            if at(p) == quote {
                guard verbatim, at(p + 1) == quote else { return p + 1 }
                p += 2
            } else {
                p += at(p) == 0x5C && !verbatim ? 2 : 1
            }
        }
        return min(p, bytes.endIndex)
    }

    private mutating func number() -> Dynamic? {
        let start = position
        let negative = eat(0x2D)
        if !negative { _ = eat(0x2B) }
        let first = position
        while Lexer.isIdentifierByte(peek()) || peek() == 0x2E || ((peek() == 0x2B || peek() == 0x2D) && (peek(-1) | 0x20) == 0x65) {
            position += 1
        }
        let token = bytes[first..<position]
        if let f = token.first, Lexer.isDigit(f) || f == 0x2E {
            if let v = LiteralReader.long(token, negative: negative) { return .long(v) }
            if let v = LiteralReader.real(token) { return .real(negative ? -v : v) }
            if let v = LiteralReader.timespan(token) { return .string(KustoTime.timespanString(negative ? 0 &- v : v)) }
        }
        position = start
        return fail("\(nearby()) is not a number")
    }

    private mutating func word(_ depth: Int) -> Dynamic? {
        let start = position
        while Lexer.isIdentifierByte(peek()) { position += 1 }
        let name = String(decoding: bytes[start..<position], as: UTF8.self)
        switch name {
        case "null": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if Lexer.typedLiteralNames.contains(name), let (content, end) = typedContent(isDynamic: name == "dynamic") {
            position = end
            switch LiteralReader.typed(name: name, content: content, depth: depth + 1) {
            case .value(let v): return DynamicReader.dynamic(v)
            case .wrong(let message, let mend): return fail(message, mend: mend)
            }
        }
        position = start
        return fail(
            "\(nearby()) is not a value that a dynamic literal can hold",
            mend: "put text in quotes; to build a value from columns use `pack_array` or `bag_pack`")
    }

    /// What the parentheses ahead hold, and the place after them; nil if there are none. Only `dynamic` nests.
    private func typedContent(isDynamic: Bool) -> (LiteralReader.Bytes, Int)? {
        var p = position
        while p < bytes.endIndex, bytes[p] == 0x20 || bytes[p] == 0x09 { p += 1 }
        guard p < bytes.endIndex, bytes[p] == 0x28 else { return nil }
        if !isDynamic {
            guard let close = bytes[p...].firstIndex(of: 0x29) else { return nil }
            return (bytes[(p + 1)..<close], close + 1)
        }
        var lexer = Lexer(Array(bytes[p...]))
        lexer.typedLiteral(from: 0)
        guard lexer.diagnostics.isEmpty, lexer.position > 1 else { return nil }
        return (bytes[(p + 1)..<(p + lexer.position - 1)], p + lexer.position)
    }

    /// A scalar as a dynamic holds it; times and guids become their text.
    static func dynamic(_ value: Value) -> Dynamic {
        switch value {
        case .null: .null
        case .bool(let v): .bool(v)
        case .int(let v): .long(Int64(v))
        case .long(let v): .long(v)
        case .real(let v): .real(v)
        case .decimal(let v): .string(v.description)
        case .string(let v): .string(v)
        case .datetime(let v): .string(KustoTime.isoString(v))
        case .timespan(let v): .string(KustoTime.timespanString(v))
        case .guid(let v): .string(guidText(v))
        case .dynamic(let v): v
        }
    }

    private static func guidText(_ v: UInt128) -> String {
        let hex = String(v, radix: 16)
        let d = Array(String(repeating: "0", count: max(0, 32 - hex.utf8.count)) + hex)
        return "\(String(d[0..<8]))-\(String(d[8..<12]))-\(String(d[12..<16]))-\(String(d[16..<20]))-\(String(d[20..<32]))"
    }
}
