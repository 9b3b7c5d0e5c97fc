import Columnar

extension Parser {
    /// Statements up to the end of the text, or of the function body.
    mutating func statementList(inBody: Bool) -> [Statement] {
        var out: [Statement] = []
        while !isAtEnd, !gaveUp {
            if eat(";") { continue }
            if inBody, at("}") { break }
            let before = index
            if let s = statement() { out.append(s) }
            if at(";") || isAtEnd || (inBody && at("}")) { continue }
            if startsStatement {
                error(
                    "VK0019", "`;` is missing before `\(word)`", SourceRange(current.range.lower, current.range.upper),
                    mend: "end the statement above with `;`",
                    fixIts: [.init(range: SourceRange(previousEnd, previousEnd), replacement: ";")])
            } else {
                unexpected()
                skipToBoundary()
                if !inBody || !at("}"), !at(";") { advance() }
            }
            if index == before { advance() }
        }
        return out
    }

    /// Text after the end of an expression or an operator.
    mutating func unexpected() {
        let r = current.range
        if word == "=" {
            error("VK0020", "`=` gives a name; it does not compare", r, mend: "write `==`", fixIts: [.init(range: r, replacement: "==")])
        } else if [")", "]", "}"].contains(word) {
            error("VK0013", "`\(word)` closes nothing", r, mend: "remove it, or open the bracket before it")
        } else if current.kind == .string {
            error("VK0013", "Unexpected text \(shown)", r, mend: "is an operator or a comma missing before it?")
        } else {
            error(
                "VK0013", "Unexpected \(shown)", r,
                mend: current.kind == .identifier ? "is an operator, a comma or a `|` missing before it?" : nil)
        }
    }

    /// A statement keyword that cannot go on with the text before it.
    private var startsStatement: Bool {
        switch word {
        case "let": isName(1) && word(1 + nameLength(1)) == "="
        case "declare": word(1) == "query_parameters" || word(1) == "pattern"
        case "set": token(1).kind == .identifier && ["=", ";"].contains(word(2))
        default: false
        }
    }

    private mutating func statement() -> Statement? {
        let start = current.range.lower
        if startsStatement {
            switch word {
            case "let": return letStatement()
            case "set": return setStatement()
            default: return declareStatement()
            }
        }
        if at("let"), token(1).kind != .punctuation || isAtEnd {
            advance()
            _ = requireName("A name")
            expect("=", after: "the name")
            skipToBoundary()
            return nil
        }
        if (at("alias") && word(1) == "database") || (at("restrict") && word(1) == "access") {
            let keyword = Name(word, range: current.range)
            skipToBoundary()
            return Statement(.other(keyword), range(from: start))
        }
        if at("."), token(1).kind == .identifier {
            error(
                "VK0028", "`.\(word(1))` is a management command, not a query", SourceRange(start, token(1).range.upper),
                mend: "only queries are run here")
            skipToBoundary()
            return nil
        }
        let e = pipeExpression()
        return Statement(.expression(e), range(from: start))
    }

    private mutating func letStatement() -> Statement {
        let start = current.range.lower
        advance()
        let name = requireName("A name")
        expect("=")
        let isView = at("view") && word(1) == "("
        if isView || opensFunction {
            if isView { advance() }
            let parameters = parameterList()
            let read = functionBody()
            let body = isView ? FunctionBody(statements: read.statements, result: read.result, isView: true) : read
            return Statement(.letFunction(name, parameters, body), range(from: start))
        }
        let value = pipeExpression()
        return Statement(.letValue(name, value), range(from: start))
    }

    /// Is this `( ... ) {`? Parameter lists have no `;` or `|`, which bounds the search.
    private var opensFunction: Bool {
        guard at("(") else { return false }
        var depth = 0
        var ahead = 0
        while token(ahead).kind != .endOfText {
            switch word(ahead) {
            case "(", "[": depth += 1
            case ")", "]":
                depth -= 1
                if depth == 0 { return word(ahead + 1) == "{" }
            case ";", "|", "{", "}": return false
            default: break
            }
            ahead += 1
        }
        return false
    }

    /// `(a: string, b: long = 5, T: (x: string), U: (*))`.
    mutating func parameterList() -> [Parameter] {
        let open = current
        guard expect("(") else { return [] }
        var parameters: [Parameter] = []
        while !at(")"), !isAtEnd {
            let before = index
            parameters.append(parameter())
            if !nextItem(opened: open) || index == before { break }
        }
        close(")", opened: open)
        return parameters
    }

    private mutating func parameter() -> Parameter {
        let name = requireName("A parameter name")
        guard expect(":", after: "the parameter name") else { return Parameter(name: name, kind: .scalar(nil), defaultValue: nil) }
        if at("(") {
            if word(1) == "*", word(2) == ")" {
                for _ in 0..<3 { advance() }
                return Parameter(name: name, kind: .tabular(nil), defaultValue: nil)
            }
            return Parameter(name: name, kind: .tabular(schema()), defaultValue: nil)
        }
        let (type, _) = type()
        return Parameter(name: name, kind: .scalar(type), defaultValue: eat("=") ? expression() : nil)
    }

    private mutating func functionBody() -> FunctionBody {
        let open = current
        defer { nesting -= 1 }
        guard enter(), expect("{", after: "the parameters") else { return FunctionBody(statements: [], result: missing(open.range.lower)) }
        var statements = statementList(inBody: true)
        let end = current
        close("}", opened: open)
        if let last = statements.last, case .expression(let result) = last.kind {
            statements.removeLast()
            return FunctionBody(statements: statements, result: result)
        }
        error("VK0023", "This function has no result", end.range, mend: "end its body with an expression")
        return FunctionBody(statements: statements, result: missing(end.range.lower))
    }

    private mutating func setStatement() -> Statement {
        let start = current.range.lower
        advance()
        let name = requireName("An option")
        let value: Expr? = eat("=") ? expression() : nil
        return Statement(.set(name, value), range(from: start))
    }

    private mutating func declareStatement() -> Statement {
        let start = current.range.lower
        advance()
        if eat("query_parameters") {
            let parameters = parameterList()
            return Statement(.declareParameters(parameters), range(from: start))
        }
        advance()
        let declaration = patternDeclaration()
        return Statement(.declarePattern(declaration), range(from: start))
    }

    /// What follows `declare pattern`.
    private mutating func patternDeclaration() -> PatternDeclaration {
        let name = requireName("A pattern's name")
        guard eat("=") else { return PatternDeclaration(name: name, parameters: [], path: nil, cases: []) }
        let parameters = parameterList()
        var path: Parameter?
        if at("[") {
            let open = current
            advance()
            path = parameter()
            close("]", opened: open)
        }
        let open = current
        var cases: [PatternDeclaration.Case] = []
        if expect("{", after: "the parameters") {
            while !at("}"), !isAtEnd, !gaveUp {
                if eat(";") { continue }
                guard at("("), let found = patternCase() else {
                    unexpected()
                    skipToBoundary()
                    break
                }
                cases.append(found)
            }
            close("}", opened: open)
        }
        return PatternDeclaration(name: name, parameters: parameters, path: path, cases: cases)
    }

    /// `('x', 'y').['path'] = { rows }`; nil after something else than a constant text.
    private mutating func patternCase() -> PatternDeclaration.Case? {
        func text(_ e: Expr) -> String? {
            if case .literal(.string(let s)) = e.kind { s } else { nil }
        }
        let items = arguments(named: false)
        let texts = items.compactMap(text)
        guard texts.count == items.count else { return nil }
        var path: String?
        if eat(".") {
            let open = current
            guard eat("["), let s = text(expression()) else { return nil }
            path = s
            close("]", opened: open)
        }
        guard expect("=", after: "the texts") else { return nil }
        return PatternDeclaration.Case(arguments: texts, path: path, body: functionBody())
    }
}
