/// Cuts a query's text into tokens that tile it. Never fails: what is no token of KQL becomes one of kind `unknown`, with a diagnostic.
///
/// Words with a dash (`project-away`) come out in pieces; the parser joins them where an operator is expected, since elsewhere the dash
/// is a minus. Operators with a bang or a tilde (`!has`, `in~`) are one punctuation token.
struct Lexer {
    let bytes: [UInt8]
    var position = 0
    var tokens: [Token] = []
    var diagnostics: [Diagnostic] = []

    /// Typed literals found open at the end of the text: after a few the rest is not searched, so that hostile texts stay linear.
    var unclosedLiterals = 0

    init(_ source: String) { self.init(Array(source.utf8)) }

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// All tokens; the last one is `endOfText`.
    static func tokens(of source: String) -> (tokens: [Token], diagnostics: [Diagnostic]) {
        var lexer = Lexer(source)
        lexer.run()
        return (lexer.tokens, lexer.diagnostics)
    }

    mutating func run() {
        while true {
            let triviaStart = position
            skipTrivia()
            let start = position
            guard start < bytes.count else {
                tokens.append(Token(kind: .endOfText, triviaStart: triviaStart, range: SourceRange(start, start)))
                return
            }
            let kind = next()
            // Whatever happens, a token has at least one byte: the loop ends.
            if position <= start { position = start + 1 }
            tokens.append(Token(kind: kind, triviaStart: triviaStart, range: SourceRange(start, position)))
        }
    }

    /// The byte at a distance from the position; 0 outside the text.
    func peek(_ offset: Int = 0) -> UInt8 {
        let i = position + offset
        return i >= 0 && i < bytes.count ? bytes[i] : 0
    }

    mutating func report(_ code: String, _ message: String, from start: Int, to end: Int? = nil, mend: String? = nil) {
        diagnostics.append(Diagnostic(.error, code, message, at: SourceRange(start, end ?? position), mend: mend))
    }

    // MARK: Trivia

    mutating func skipTrivia() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D:
                position += 1
            case 0x2F where peek(1) == 0x2F:
                while position < bytes.count, bytes[position] != 0x0A, bytes[position] != 0x0D { position += 1 }
            case 0xC2...0xEF:
                let (scalar, length) = scalarHere()
                guard let scalar, Lexer.isBlank(scalar) else { return }
                position += length
            default:
                return
            }
        }
    }

    /// Blanks outside ASCII that Kusto skips: texts copied from web pages are full of them.
    static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0xA0, 0x1680, 0x180E, 0x2000...0x200B, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF: true
        default: false
        }
    }

    /// The Unicode scalar at the position and its length in bytes.
    func scalarHere() -> (Unicode.Scalar?, Int) {
        let first = peek()
        let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard position + length <= bytes.count else { return (nil, 1) }
        var value = UInt32(length == 1 ? first : first & (0xFF >> UInt8(length + 1)))
        for i in 1..<max(1, length) { value = value << 6 | UInt32(bytes[position + i] & 0x3F) }
        return (Unicode.Scalar(value), length)
    }

    // MARK: Tokens

    static func isIdentifierByte(_ c: UInt8) -> Bool {
        (c >= 0x61 && c <= 0x7A) || (c >= 0x41 && c <= 0x5A) || (c >= 0x30 && c <= 0x39) || c == 0x5F
    }

    static func isDigit(_ c: UInt8) -> Bool { c >= 0x30 && c <= 0x39 }

    mutating func next() -> Token.Kind {
        let c = peek()
        switch c {
        case 0x30...0x39: return number()
        case 0x2E where Lexer.isDigit(peek(1)) && !followsOperand(): return number()
        case 0x22, 0x27: return string(prefix: 0)
        case 0x40 where peek(1) == 0x22 || peek(1) == 0x27: return string(prefix: 0)
        case 0x60 where isFence(0x60, at: 0), 0x7E where isFence(0x7E, at: 0): return string(prefix: 0)
        case _ where c | 0x20 == 0x68 && startsString(at: 1): return string(prefix: 1)
        case 0x61...0x7A, 0x41...0x5A, 0x5F, 0x24: return word()
        case 0x80...: return foreign()
        default: return punctuation()
        }
    }

    /// Is the previous token one that a member access could follow, without a blank between?
    private func followsOperand() -> Bool {
        guard let last = tokens.last, last.range.upper == position, last.range.upper > last.range.lower else { return false }
        let end = bytes[last.range.upper - 1]
        return last.kind != .punctuation || end == 0x29 || end == 0x5D
    }

    func isFence(_ c: UInt8, at offset: Int) -> Bool { peek(offset) == c && peek(offset + 1) == c && peek(offset + 2) == c }

    func startsString(at offset: Int) -> Bool {
        switch peek(offset) {
        case 0x22, 0x27: true
        case 0x40: peek(offset + 1) == 0x22 || peek(offset + 1) == 0x27
        case 0x60: isFence(0x60, at: offset)
        case 0x7E: isFence(0x7E, at: offset)
        default: false
        }
    }

    private mutating func word() -> Token.Kind {
        let start = position
        position += 1
        skipWord()
        if peek() == 0x7E, peek(1) != 0x7E, position - start == 2, bytes[start] == 0x69, bytes[start + 1] == 0x6E {
            position += 1  // in~
            return .punctuation
        }
        if Lexer.typedLiteralNames.contains(String(decoding: bytes[start..<position], as: UTF8.self)), opensTypedLiteral() {
            typedLiteral(from: start)
            return .typedLiteral
        }
        return .identifier
    }

    private mutating func skipWord() {
        while position < bytes.count {
            if Lexer.isIdentifierByte(bytes[position]) {
                position += 1
            } else if bytes[position] >= 0x80 {
                let (scalar, length) = scalarHere()
                guard let scalar, scalar.properties.isAlphabetic else { return }
                position += length
            } else {
                return
            }
        }
    }

    /// A letter outside ASCII starts an identifier; anything else outside ASCII is not KQL.
    private mutating func foreign() -> Token.Kind {
        let start = position
        let (scalar, length) = scalarHere()
        position += length
        guard let scalar else { return .unknown }
        if scalar.properties.isAlphabetic {
            skipWord()
            return .identifier
        }
        if Lexer.isTypographicQuote(scalar) {
            typographicString(from: start)
            return .unknown
        }
        let mend: String? =
            switch scalar.value {
            case 0x2013, 0x2014, 0x2212: "replace it by a hyphen `-`"
            default: "remove it"
            }
        let hex = String(scalar.value, radix: 16, uppercase: true)
        report(
            "VK0001", "Unexpected character `\(scalar)` (U+\(String(repeating: "0", count: max(0, 4 - hex.utf8.count)))\(hex))",
            from: start, mend: mend)
        return .unknown
    }

    private static func isTypographicQuote(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x2018, 0x2019, 0x201C, 0x201D: true
        default: false
        }
    }

    /// Text in quotes that a word processor has bent: one token and one finding, up to the next such quote on the line.
    private mutating func typographicString(from start: Int) {
        let content = position
        var p = position
        while p < bytes.count, bytes[p] != 0x0A, bytes[p] != 0x0D {
            position = p
            let (scalar, length) = scalarHere()
            p += length
            guard let scalar, Lexer.isTypographicQuote(scalar) else { continue }
            let text = String(decoding: bytes[content..<position], as: UTF8.self)
            position = p
            let whole = SourceRange(start, p)
            diagnostics.append(
                Diagnostic(
                    .error, "VK0001", "Typographic quotes do not make a string", at: whole, mend: "write `\"\(text)\"`",
                    fixIts: text.contains("\"") || text.contains("\\") ? [] : [.init(range: whole, replacement: "\"\(text)\"")]))
            return
        }
        position = content
        report("VK0001", "A typographic quote does not begin a string", from: start, mend: "replace it by `\"` or `'`")
    }

    private mutating func punctuation() -> Token.Kind {
        let start = position
        let c = peek(), d = peek(1)
        position += 1
        switch (c, d) {
        case (0x3D, 0x3D), (0x3D, 0x7E), (0x3D, 0x3E),  // == =~ =>
            (0x21, 0x3D), (0x21, 0x7E),  // != !~
            (0x3C, 0x3D), (0x3C, 0x3E), (0x3E, 0x3D),  // <= <> >=
            (0x2E, 0x2E):  // ..
            position += 1
            return .punctuation
        case (0x21, 0x61...0x7A):  // !has, !in~, !contains_cs ...
            skipWord()
            if peek() == 0x7E, position - start == 3 { position += 1 }
            return .punctuation
        case (0x26, 0x26), (0x7C, 0x7C):
            position += 1
            let (symbol, wordForm) = c == 0x26 ? ("&&", "and") : ("||", "or")
            diagnostics.append(
                Diagnostic(
                    .error, "VK0002", "`\(symbol)` is not an operator of KQL", at: SourceRange(start, position),
                    mend: "write `\(wordForm)`",
                    fixIts: [.init(range: SourceRange(start, position), replacement: wordForm)]))
            return .punctuation
        default: break
        }
        switch c {
        case 0x28, 0x29, 0x5B, 0x5D, 0x7B, 0x7D, 0x2C, 0x3A, 0x3B, 0x2E, 0x7C, 0x3D, 0x3C, 0x3E, 0x2B, 0x2D, 0x2A, 0x2F, 0x25:
            return .punctuation
        default:
            let shown =
                c >= 0x20 && c < 0x7F
                ? "`\(Character(Unicode.Scalar(c)))`" : "U+00\(c < 16 ? "0" : "")\(String(c, radix: 16, uppercase: true))"
            report("VK0001", "Unexpected character \(shown)", from: start, mend: "remove it, or put the text in quotes")
            return .unknown
        }
    }
}
