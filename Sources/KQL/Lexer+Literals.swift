extension Lexer {
    /// Names that, before a parenthesis, make a typed literal: the parentheses hold literal text, not an expression.
    static let typedLiteralNames: Set<String> = [
        "bool", "boolean", "int", "int32", "long", "int64", "real", "double", "decimal", "datetime", "date", "timespan", "time", "guid",
        "uuid", "uniqueid", "dynamic",
    ]

    static let timespanUnits: [String: Int64] = {
        var units: [String: Int64] = [:]
        func add(_ names: String, _ ticks: Int64) { for name in names.split(separator: " ") { units[String(name)] = ticks } }
        add("d day days", 864_000_000_000)
        add("h hr hrs hour hours", 36_000_000_000)
        add("m min mins minute minutes", 600_000_000)
        add("s sec secs second seconds", 10_000_000)
        add("ms milli millis millisec millisecs millisecond milliseconds", 10_000)
        add("micro micros microsec microsecs microsecond microseconds", 10)
        add("tick ticks", 1)
        // A tick is 100 ns: nanoseconds are rounded by the reader of the literal.
        add("nano nanos nanosec nanosecs nanosecond nanoseconds", 0)
        return units
    }()

    // MARK: Numbers

    /// `1`, `0x1F`, `1.5`, `1e3`, `1.5h`, `10minutes`; digits that run on into letters otherwise are an identifier (`3rdParty`).
    mutating func number() -> Token.Kind {
        let start = position
        while Lexer.isDigit(peek()) { position += 1 }
        if position == start + 1, bytes[start] == 0x30, peek() == 0x78 || peek() == 0x58, Lexer.hexDigit(peek(1)) != nil {
            position += 1
            while Lexer.hexDigit(peek()) != nil { position += 1 }
            return identifierIfWordGoesOn(.long)
        }
        var isReal = false
        if peek() == 0x2E, peek(1) != 0x2E, Lexer.isDigit(peek(1)) || !Lexer.startsWord(peek(1)) {
            isReal = true
            position += 1
            while Lexer.isDigit(peek()) { position += 1 }
        }
        if peek() == 0x65 || peek() == 0x45 {
            let sign = peek(1) == 0x2B || peek(1) == 0x2D ? 1 : 0
            if Lexer.isDigit(peek(1 + sign)) {
                isReal = true
                position += 1 + sign
                while Lexer.isDigit(peek()) { position += 1 }
                return isRealGoingOn() ? .unknown : .real
            }
        }
        let unitStart = position
        while Lexer.isIdentifierByte(peek()) { position += 1 }
        if position == unitStart { return isReal ? .real : .long }
        if Lexer.timespanUnits[String(decoding: bytes[unitStart..<position], as: UTF8.self)] != nil { return .timespan }
        if !isReal { return .identifier }
        report(
            "VK0003", "`\(String(decoding: bytes[start..<position], as: UTF8.self))` is neither a number nor a timespan", from: start,
            mend: "timespan units are d, h, m, s, ms, microsecond and tick")
        return .unknown
    }

    private mutating func identifierIfWordGoesOn(_ kind: Token.Kind) -> Token.Kind {
        guard Lexer.isIdentifierByte(peek()) else { return kind }
        while Lexer.isIdentifierByte(peek()) { position += 1 }
        return .identifier
    }

    private mutating func isRealGoingOn() -> Bool {
        let start = position
        while Lexer.isIdentifierByte(peek()) { position += 1 }
        guard position > start else { return false }
        report("VK0003", "A number cannot be followed by letters", from: start)
        return true
    }

    static func startsWord(_ c: UInt8) -> Bool { (isIdentifierByte(c) && !isDigit(c)) || c >= 0x80 }

    static func hexDigit(_ c: UInt8) -> UInt32? {
        switch c {
        case 0x30...0x39: UInt32(c - 0x30)
        case 0x41...0x46: UInt32(c - 0x37)
        case 0x61...0x66: UInt32(c - 0x57)
        default: nil
        }
    }

    // MARK: Strings

    /// A string in any of its forms, `prefix` bytes of `h` before it. One that is not closed ends at its line's end.
    mutating func string(prefix: Int) -> Token.Kind {
        let start = position
        position += prefix
        let c = peek()
        if c == 0x60 || c == 0x7E {
            position += 3
            while position < bytes.count, !isFence(c, at: 0) { position += 1 }
            if position < bytes.count {
                position += 3
            } else {
                let fence = c == 0x60 ? "```" : "~~~"
                report(
                    "VK0004", "This multi-line string is never closed", from: start, to: start + prefix + 3,
                    mend: "close it with `\(fence)`")
            }
            return .string
        }
        let isVerbatim = c == 0x40
        if isVerbatim { position += 1 }
        let quote = peek()
        position += 1
        while position < bytes.count {
            let b = bytes[position]
            if b == quote {
                if isVerbatim, peek(1) == quote {
                    position += 2
                    continue
                }
                position += 1
                return .string
            }
            if b == 0x0A || b == 0x0D { break }
            if b == 0x5C, !isVerbatim { checkEscape() } else { position += 1 }
        }
        let mark = quote == 0x22 ? "\"" : "'"
        report(
            "VK0004", "This string is never closed", from: start,
            mend: "close it with `\(mark)` on the same line, or use ``` for several lines")
        return .string
    }

    private mutating func checkEscape() {
        let start = position
        position += 1
        let e = peek()
        switch e {
        case 0x5C, 0x22, 0x27, 0x61, 0x62, 0x66, 0x6E, 0x72, 0x74, 0x76, 0x30...0x37:
            position += 1
        case 0x75, 0x55, 0x78:
            position += 1
            let wanted = e == 0x75 ? 4 : e == 0x55 ? 8 : 2
            var digits = 0
            while digits < wanted, Lexer.hexDigit(peek()) != nil {
                position += 1
                digits += 1
            }
            if digits < wanted {
                report(
                    "VK0005", "This escape needs \(wanted) hexadecimal digits", from: start,
                    mend: "write `\\\\` for a backslash, or `@\"...\"`")
            }
        default:
            if position < bytes.count, e != 0x0A, e != 0x0D, e < 0x80 { position += 1 }
            report(
                "VK0005", "`\(String(decoding: bytes[start..<position], as: UTF8.self))` is not an escape of KQL strings", from: start,
                mend: "write `\\\\` for a backslash, or use a verbatim string `@\"...\"`")
        }
    }

    // MARK: Typed literals

    /// Does an opening parenthesis follow, blanks allowed?
    func opensTypedLiteral() -> Bool {
        var p = position
        while p < bytes.count, bytes[p] == 0x20 || bytes[p] == 0x09 { p += 1 }
        return p < bytes.count && bytes[p] == 0x28
    }

    /// Moves past the closing parenthesis that belongs to the opening one ahead. Brackets and strings inside are respected; where
    /// nothing closes it, the literal ends with its line.
    mutating func typedLiteral(from start: Int) {
        while peek() != 0x28 { position += 1 }
        let open = position
        var depth = 0
        while position < bytes.count, unclosedLiterals < 8 {
            let c = bytes[position]
            switch c {
            case 0x28, 0x5B, 0x7B:
                depth += 1
                position += 1
            case 0x29, 0x5D, 0x7D:
                depth -= 1
                position += 1
                if depth <= 0 { return }
            case 0x22, 0x27: skipQuoted(quote: c, verbatim: false)
            case 0x40 where peek(1) == 0x22 || peek(1) == 0x27:
                position += 1
                skipQuoted(quote: peek(), verbatim: true)
            case 0x2F where peek(1) == 0x2F:
                while position < bytes.count, bytes[position] != 0x0A { position += 1 }
            default: position += 1
            }
        }
        unclosedLiterals += 1
        position = open
        while position < bytes.count, bytes[position] != 0x0A, bytes[position] != 0x3B { position += 1 }
        let name = String(decoding: bytes[start..<min(open, bytes.count)], as: UTF8.self)
        report("VK0006", "`\(name)(` is never closed", from: start, to: open + 1, mend: "close it with `)`")
    }

    private mutating func skipQuoted(quote: UInt8, verbatim: Bool) {
        position += 1
        while position < bytes.count {
            let c = bytes[position]
            if c == 0x0A || c == 0x0D { return }
            position += 1
            if c == quote {
                if verbatim, peek() == quote { position += 1 } else { return }
            } else if c == 0x5C, !verbatim, position < bytes.count, bytes[position] != 0x0A {
                position += 1
            }
        }
    }
}
