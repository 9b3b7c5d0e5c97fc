import Columnar

/// Recursive descent over the tokens. It never throws and never gives up early, with one exception: text nested beyond
/// ``maximumNesting``. What is unreadable is reported once and skipped up to the next `|`, `;` or closing bracket.
struct Parser {
    /// Recursive steps within each other: operands, operators and function bodies, two or three for a pair of brackets. Bounds the
    /// stack: a release build stays within 512 KiB.
    static let maximumNesting = 200
    /// Levels of an expression, long chains of `+` included. Bounds the stack of whoever walks the tree.
    static let maximumHeight = 240
    /// Further errors of one text are not told.
    static let maximumErrors = 100
    /// Longer texts are not read, in bytes.
    static let maximumLength = 4 << 20

    let source: String
    let bytes: BasedBytes
    let tokens: [Token]
    /// The text of identifiers and punctuation; empty for other tokens.
    let words: [String]
    var index = 0
    var diagnostics: [Diagnostic]
    var nesting = 0
    /// The greatest height of an expression made since the last reset: how operators learn theirs.
    var peak = 0
    /// Set once the text was found to be nested too deeply: nothing more is read or reported.
    var gaveUp = false
    /// In a `search` predicate, where `column:"text"` is a term match.
    var isSearching = false

    /// `base`: the offset of the text's first byte in the ranges given (``LibrarySource``).
    init(_ source: String, base: Int = 0) {
        self.source = source
        var lexer = Lexer(source)
        if lexer.bytes.count > Parser.maximumLength {
            lexer.position = lexer.bytes.count
            lexer.tokens = [Token(kind: .unknown, triviaStart: 0, range: SourceRange(0, lexer.bytes.count))]
            let end = lexer.bytes.count
            lexer.report("VK0025", "The query is longer than \(Parser.maximumLength >> 20) MiB", from: 0, to: 0)
            lexer.tokens.append(Token(kind: .endOfText, triviaStart: end, range: SourceRange(end, end)))
            gaveUp = true
        } else {
            lexer.run()
        }
        bytes = BasedBytes(storage: lexer.bytes, base: base)
        tokens = base == 0 ? lexer.tokens : lexer.tokens.map { $0.moved(by: base) }
        diagnostics = base == 0 ? lexer.diagnostics : lexer.diagnostics.map { $0.moved(by: base) }
        words = lexer.tokens.map { token in
            switch token.kind {
            case .identifier, .punctuation: String(decoding: lexer.bytes[token.range.lower..<token.range.upper], as: UTF8.self)
            default: ""
            }
        }
        if gaveUp { index = tokens.count - 1 }
    }

    mutating func parse() -> SyntaxTree {
        var statements = gaveUp ? [] : statementList(inBody: false)
        // A query must have something to run: texts of lets alone are libraries, which have no place here.
        let hasResult = statements.contains { if case .expression = $0.kind { true } else { false } }
        if !hasResult, !diagnostics.contains(where: { $0.severity == .error }) {
            let end = current.range.lower
            if statements.isEmpty {
                error("VK0021", "The query is empty", SourceRange(end, end))
            } else {
                let last = statements.last?.range ?? SourceRange(end, end)
                error(
                    "VK0021", "The query ends without an expression that gives rows", SourceRange(last.upper, last.upper),
                    mend: "add the query itself after the `let` statements")
            }
        }
        if gaveUp { statements = [] }
        diagnostics.sort { ($0.range.lower, $0.code) < ($1.range.lower, $1.code) }
        return SyntaxTree(source: source, tokens: tokens, statements: statements, diagnostics: diagnostics)
    }

    // MARK: Tokens

    var current: Token { tokens[min(index, tokens.count - 1)] }
    var word: String { words[min(index, tokens.count - 1)] }
    var isAtEnd: Bool { current.kind == .endOfText }
    /// Where the last token that was read ends.
    var previousEnd: Int { index > 0 ? tokens[min(index, tokens.count) - 1].range.upper : 0 }

    func token(_ ahead: Int) -> Token { tokens[min(index + ahead, tokens.count - 1)] }
    func word(_ ahead: Int) -> String { words[min(index + ahead, tokens.count - 1)] }

    mutating func advance() { if index < tokens.count - 1 { index += 1 } }

    func at(_ text: String) -> Bool { word == text }

    mutating func eat(_ text: String) -> Bool {
        guard word == text else { return false }
        advance()
        return true
    }

    /// Does the token at a distance begin right where its predecessor ends?
    func isTight(_ ahead: Int) -> Bool {
        let t = token(ahead)
        return t.triviaStart == t.range.lower && index + ahead > 0 && index + ahead < tokens.count
    }

    func bytes(of token: Token) -> ArraySlice<UInt8> { bytes[token.range.lower..<token.range.upper] }

    /// The current token for a message: quoted, shortened.
    var shown: String {
        if isAtEnd { return "the end of the query" }
        let text = String(decoding: bytes(of: current), as: UTF8.self)
        let line = text.prefix { $0 != "\n" && $0 != "\r\n" }
        return line.count > 24 ? "`\(line.prefix(24))…`" : "`\(line)`"
    }

    /// Where something is missing: the token found instead, or the end of the line above when that stands on a later line.
    var here: SourceRange {
        let t = current
        guard index > 0, bytes[t.triviaStart..<t.range.lower].contains(0x0A) || t.kind == .endOfText else { return t.range }
        return SourceRange(previousEnd, previousEnd)
    }

    func range(from start: Int) -> SourceRange { SourceRange(start, max(start, previousEnd)) }

    // MARK: Reporting

    mutating func error(_ code: String, _ message: String, _ range: SourceRange, mend: String? = nil, fixIts: [Diagnostic.FixIt] = []) {
        // One finding a place: what follows from an unreadable token is noise.
        guard !gaveUp, diagnostics.count < Parser.maximumErrors,
            !diagnostics.contains(where: { $0.severity == .error && $0.range.lower == range.lower })
        else { return }
        diagnostics.append(Diagnostic(.error, code, message, at: range, mend: mend, fixIts: fixIts))
    }

    /// Reports nesting beyond the limit and drops the rest of the text.
    mutating func giveUp() {
        error(
            "VK0016", "The query is nested too deeply", current.range,
            mend:
                "about \(Parser.maximumNesting / 3) levels of brackets and \(Parser.maximumHeight) chained operations are read; split it with `let`"
        )
        gaveUp = true
        index = tokens.count - 1
    }

    /// Enters a level of nesting; false if there are too many, and then the caller returns at once.
    mutating func enter() -> Bool {
        nesting += 1
        if nesting > Parser.maximumNesting, !gaveUp { giveUp() }
        return !gaveUp
    }

    /// Reads a token that must be there.
    @discardableResult
    mutating func expect(_ text: String, after what: String? = nil, opened: Token? = nil) -> Bool {
        if eat(text) { return true }
        var mend: String?
        if let opened, !gaveUp {
            let place = SourceText(source).position(at: opened.range.lower)
            mend = "the opening bracket is at line \(place.line), column \(place.column)"
        }
        error("VK0011", "`\(text)` is expected\(what.map { " after \($0)" } ?? ""), not \(shown)", here, mend: mend)
        return false
    }

    // MARK: Recovery

    /// Skips to the next `|`, `;` or closing bracket of this level, over whole bracketed groups.
    mutating func skipToBoundary(comma: Bool = false) {
        var depth = 0
        while !isAtEnd {
            switch word {
            case "(", "[", "{": depth += 1
            case ")", "]", "}":
                if depth == 0 { return }
                depth -= 1
            case "|", ";": if depth == 0 { return }
            case ",": if depth == 0, comma { return }
            default: break
            }
            advance()
        }
    }

    /// Closes a bracket: where something else stands, it is reported and skipped up to the closing one.
    mutating func close(_ bracket: String, opened: Token) {
        if eat(bracket) { return }
        expect(bracket, opened: opened)
        skipToBoundary()
        while at("|") && !isAtEnd {
            advance()
            skipToBoundary()
        }
        if !eat(bracket), at(")") || at("]") || at("}"), nesting > 0 { advance() }
    }

    // MARK: Nodes

    mutating func make(_ kind: Expr.Kind, _ range: SourceRange) -> Expr {
        let e = Expr(kind, range)
        guard e.height <= Parser.maximumHeight else {
            giveUp()
            return Expr(.missing, range)
        }
        peak = max(peak, e.height)
        return e
    }

    func missing(_ start: Int) -> Expr { Expr(.missing, SourceRange(start, start)) }

    // MARK: Names and types

    /// Words that never stand for a value: they would hide that an operand is missing.
    static let reservedWords: Set<String> = [
        "and", "or", "by", "between", "has", "has_cs", "hasprefix", "hasprefix_cs", "hassuffix", "hassuffix_cs", "contains", "contains_cs",
        "startswith", "startswith_cs", "endswith", "endswith_cs", "has_any", "has_all", "in",
    ]

    /// Is there a name, bare or in brackets, at a distance? In brackets it takes three tokens.
    func isName(_ ahead: Int = 0) -> Bool {
        token(ahead).kind == .identifier || (word(ahead) == "[" && token(ahead + 1).kind == .string && word(ahead + 2) == "]")
    }

    func nameLength(_ ahead: Int = 0) -> Int { token(ahead).kind == .identifier ? 1 : 3 }

    /// Reads a name if there is one.
    mutating func name() -> Name? {
        let start = current.range
        if current.kind == .identifier {
            defer { advance() }
            return Name(word, range: start)
        }
        guard isName() else { return nil }
        let text = LiteralReader.string(bytes(of: token(1)))
        for _ in 0..<3 { advance() }
        return Name(text, range: range(from: start.lower), isQuoted: true)
    }

    /// Reads a name that must be there.
    mutating func requireName(_ what: String) -> Name {
        if let n = name() { return n }
        error("VK0014", "\(what) is expected, not \(shown)", here, mend: "names with other characters are written `['a name']`")
        return Name("", range: SourceRange(current.range.lower, current.range.lower))
    }

    /// A name with wildcards if one stands here: tight pieces of words, numbers and `*`, of which at least one is `*`.
    mutating func pattern() -> Name? {
        var count = 0
        var text = ""
        var stars = 0
        while true {
            let t = token(count)
            let piece = word(count) == "*" || t.kind == .identifier || (count > 0 && t.kind == .long)
            guard piece, count == 0 || isTight(count) else { break }
            if word(count) == "*" { stars += 1 }
            text += String(decoding: bytes(of: t), as: UTF8.self)
            count += 1
        }
        guard stars > 0 else { return nil }
        let start = current.range.lower
        for _ in 0..<count { advance() }
        return Name(text, range: range(from: start))
    }

    /// The type name that must be here.
    mutating func type() -> (type: ScalarType?, range: SourceRange) {
        let r = current.range
        guard current.kind == .identifier else {
            error(
                "VK0015", "A type is expected, not \(shown)", r,
                mend: "types are \(ScalarType.allCases.map(\.rawValue).joined(separator: ", "))")
            return (nil, SourceRange(r.lower, r.lower))
        }
        let text = word
        advance()
        if let type = ScalarType(kqlName: text) { return (type, r) }
        let near = Suggestions.nearest(text, in: ScalarType.allCases.map(\.rawValue))
        error(
            "VK0015", "`\(text)` is not a type", r,
            mend: near.map { "did you mean `\($0)`?" } ?? "types are \(ScalarType.allCases.map(\.rawValue).joined(separator: ", "))")
        return (nil, r)
    }

    /// `(name: type, ...)`; `star`: a `*` may stand among them.
    mutating func schema(star: Bool = false) -> [TypedName] {
        let open = current
        guard expect("(") else { return [] }
        var columns: [TypedName] = []
        while !at(")"), !isAtEnd {
            let before = index
            if star, at("*") {
                columns.append(TypedName(name: Name("*", range: current.range), type: nil, typeRange: current.range))
                advance()
            } else if isName() {
                columns.append(typedName())
            } else {
                error("VK0014", "A column name is expected, not \(shown)", here)
                skipToBoundary(comma: true)
            }
            if !nextItem(opened: open) || index == before { break }
        }
        close(")", opened: open)
        return columns
    }

    /// `name: type`.
    private mutating func typedName() -> TypedName {
        let n = requireName("A column name")
        guard expect(":", after: "the column name") else {
            return TypedName(name: n, type: nil, typeRange: SourceRange(n.range.upper, n.range.upper))
        }
        let (type, r) = type()
        return TypedName(name: n, type: type, typeRange: r)
    }
}
