import Columnar

extension Parser {
    /// What an operator gives besides its name.
    typealias Body = (kind: OperatorKind, parameters: [OperatorParameter])

    /// Operators by the names that follow a bar, today's and older spellings.
    static let operatorNames = Language.names(Language.operators)

    /// Words of other languages, and what KQL says instead.
    private static let foreignOperators: [String: String] = [
        "select": "project", "group": "summarize", "groupby": "summarize", "having": "where", "head": "take", "uniq": "distinct",
        "dedup": "distinct", "stats": "summarize", "eval": "extend", "table": "project", "fields": "project", "rename": "project-rename",
        "sort-by": "sort by", "orderby": "order by", "regex": "where x matches regex", "rex": "parse", "map": "extend", "tail": "top",
    ]

    // MARK: Pipelines

    /// A source and the operators behind its bars; a plain expression if there are none.
    mutating func pipeExpression() -> Expr {
        let start = current.range.lower
        defer { nesting -= 1 }
        guard enter() else { return missing(start) }
        let source: Query.Source
        if startsGenerator {
            source = .generator(sourceOperator())
        } else {
            let e = expression()
            guard at("|") else { return e }
            source = .expression(e)
        }
        let operators = pipedOperators()
        let r = range(from: start)
        return make(.query(Query(source: source, operators: operators, range: r)), r)
    }

    /// `| operator | operator ...`.
    private mutating func pipedOperators() -> [Operator] {
        var out: [Operator] = []
        while at("|"), !gaveUp {
            advance()
            if let op = pipedOperator() { out.append(op) }
            while startsForgottenOperator, !gaveUp {
                forgottenBar()
                if let op = pipedOperator() { out.append(op) }
            }
            if !at("|"), !at(";"), !at(")"), !at("}"), !at("]"), !at(","), !isAtEnd, !isNewStatement {
                unexpected()
                skipToBoundary()
            }
        }
        return out
    }

    private mutating func forgottenBar() {
        let r = current.range
        error(
            "VK0018", "`|` is missing before `\(operatorName().text)`", r, mend: "put a `|` before it",
            fixIts: [.init(range: SourceRange(r.lower, r.lower), replacement: "| ")])
    }

    private var isNewStatement: Bool { at("let") && isName(1) && word(1 + nameLength(1)) == "=" }

    /// A word at the start of a line that names an operator, where the one above has ended without a bar.
    private var startsForgottenOperator: Bool {
        guard current.kind == .identifier, bytes[current.triviaStart..<current.range.lower].contains(0x0A) else { return false }
        let name = operatorName().text
        return Parser.operatorNames.contains(name) && !["as", "print", "range", "union", "find", "search"].contains(name)
            && (name.utf8.contains(0x2D) || isOperand(1) || word(1) == "by")
    }

    /// Subqueries whose input is implied: `where x | top 1 by y`. A leading bar is allowed.
    mutating func bodyOperators() -> [Operator] {
        var out: [Operator] = []
        _ = eat("|")
        if let op = pipedOperator() { out.append(op) }
        return out + pipedOperators()
    }

    /// The name of the operator here, dashes included, and how many tokens it has.
    private func operatorName() -> (text: String, length: Int) {
        guard current.kind == .identifier else { return ("", 0) }
        var text = word
        var length = 1
        while word(length) == "-", isTight(length), token(length + 1).kind == .identifier, isTight(length + 1) {
            text += "-" + word(length + 1)
            length += 2
        }
        // `take-x` would not be an operator, but `count -x` has its own meaning: only known dashed names are joined.
        if length > 1, !Parser.operatorNames.contains(text), Parser.operatorNames.contains(word) { return (word, 1) }
        return (text, length)
    }

    /// One operator after a bar; nil where none could be read (reported, skipped).
    private mutating func pipedOperator() -> Operator? {
        let (text, length) = operatorName()
        guard Parser.operatorNames.contains(text) else {
            unknownOperator(text, length)
            return nil
        }
        if text == "datatable" || text == "externaldata" || text == "print" || text == "range" {
            error(
                "VK0026", "`\(text)` starts a query; it takes no input", current.range,
                mend: "use it before the first `|`, or in a `join` or `union`")
        }
        return operatorNode(text, length: length)
    }

    private mutating func unknownOperator(_ text: String, _ length: Int) {
        guard length > 0 else {
            error("VK0012", "An operator is expected after `|`, not \(shown)", here)
            skipToBoundary()
            return
        }
        let r = SourceRange(current.range.lower, token(length - 1).range.upper)
        let near =
            diagnostics.count < Parser.maximumErrors
            ? Parser.foreignOperators[text.lowercased()] ?? Suggestions.nearest(text, in: Array(Parser.operatorNames)) : nil
        error(
            "VK0012", "`\(text)` is not an operator", r, mend: near.map { "did you mean `\($0)`?" },
            fixIts: near.map { [.init(range: r, replacement: $0)] } ?? [])
        advance()
        skipToBoundary()
    }

    private mutating func operatorNode(_ text: String, length: Int) -> Operator {
        let start = current.range.lower
        let keyword = Name(text, range: SourceRange(start, token(length - 1).range.upper))
        let outer = peak
        peak = 0
        defer {
            peak = max(outer, peak)
            nesting -= 1
        }
        guard enter() else { return Operator(.consume, keyword: keyword, range: keyword.range) }
        for _ in 0..<length { advance() }
        let body = operatorBody(text)
        return Operator(body.kind, keyword: keyword, parameters: body.parameters, range: range(from: start), height: peak)
    }

    // MARK: Sources

    /// Does an operator that needs no input start here? Its name may also be a column's or a function's.
    private var startsGenerator: Bool {
        guard current.kind == .identifier else { return false }
        switch word {
        case "range": return isName(1) && word(1 + nameLength(1)) == "from"
        case "print": return isOperand(1) && word(2) != ":" || (isName(1) && word(1 + nameLength(1)) == "=")
        case "union": return isOperand(1) || word(1) == "*"
        case "search": return isOperand(1) || word(1) == "*" || word(1) == "in"
        case "find": return isOperand(1) || word(1) == "in"
        case "evaluate": return token(1).kind == .identifier && (word(2) == "(" || word(2) == "=" || word(2) == ".")
        case "macro": return operatorName().text == "macro-expand"
        default: return false
        }
    }

    /// Can an operand begin at a distance? Names count unless they are infix operators.
    private func isOperand(_ ahead: Int) -> Bool {
        switch token(ahead).kind {
        case .identifier: !Parser.reservedWords.contains(word(ahead))
        case .string, .long, .real, .timespan, .typedLiteral: true
        case .punctuation: word(ahead) == "(" || word(ahead) == "-" || word(ahead) == "+" || word(ahead) == "["
        case .unknown, .endOfText: false
        }
    }

    /// The operator that starts a pipeline here.
    mutating func sourceOperator() -> Operator {
        let (text, length) = operatorName()
        return operatorNode(text == "external_data" ? "externaldata" : text, length: max(1, length))
    }

    // MARK: Parameters

    /// `kind=inner hint.strategy=shuffle`: settings whose names are in `allowed`; hints always are. Where `strict`, any other
    /// `name =` is an unknown setting too.
    mutating func parameters(_ allowed: Set<String>, strict: Bool = false) -> [OperatorParameter] {
        var out: [OperatorParameter] = []
        while current.kind == .identifier, !gaveUp {
            let start = current.range.lower
            var text = word
            var length = 1
            if text == "hint", word(1) == ".", token(2).kind == .identifier {
                text += "." + word(2)
                length = 3
            }
            guard word(length) == "=" else { break }
            let isKnown = allowed.contains(text) || length == 3 || text.hasPrefix("__")
            guard isKnown || strict else { break }
            for _ in 0..<length { advance() }
            let name = Name(text, range: range(from: start))
            if !isKnown {
                let near = Suggestions.nearest(text, in: Array(allowed))
                let known = allowed.sorted().map { "`\($0)`" }.joined(separator: ", ")
                error(
                    "VK0022", "`\(text)` is no setting of this operator", name.range,
                    mend: near.map { "did you mean `\($0)`?" } ?? "it knows \(known)")
            }
            advance()
            out.append(OperatorParameter(name: name, value: parameterValue()))
            // `hint.shufflekey = a, hint.shufflekey = b`.
            if at(","), word(1) == "hint" || (allowed.contains(word(1)) && word(2) == "=") { advance() }
        }
        return out
    }

    /// A word or a literal.
    private mutating func parameterValue() -> Expr {
        if isName(), word != "true", word != "false", let n = name() { return make(.name(n), n.range) }
        if current.kind == .punctuation, !at("-"), !at("+") {
            error("VK0010", "A value is expected, not \(shown)", here)
            return missing(current.range.lower)
        }
        return unary()
    }

    /// `with (name = value, ...)`: properties of externaldata, parse-kv and render.
    mutating func properties() -> [OperatorParameter] {
        let open = current
        guard expect("(", after: "`with`") else { return [] }
        var out: [OperatorParameter] = []
        while !at(")"), !isAtEnd {
            let before = index
            if current.kind == .identifier, word(1) == "=", let n = name() {
                advance()
                out.append(OperatorParameter(name: n, value: binary(.additive)))
            } else if let last = out.last {
                // `ycolumns = a, b`: a further value.
                out.append(OperatorParameter(name: last.name, value: binary(.additive)))
            } else {
                error("VK0014", "A property `name = value` is expected, not \(shown)", here)
                skipToBoundary(comma: true)
            }
            if !nextItem(opened: open) || index == before { break }
        }
        close(")", opened: open)
        return out
    }

    // MARK: Shared clauses

    /// A clause keyword that must be there; the message names the operator.
    mutating func clause(_ keyword: String, of name: String, mend: String) -> Bool {
        if eat(keyword) { return true }
        error("VK0023", "`\(name)` needs `\(keyword)` here, not \(shown)", here, mend: mend)
        return false
    }

    /// `expr asc nulls last, ...`; descending unless said otherwise.
    mutating func sortKeys() -> [SortKey] {
        var keys: [SortKey] = []
        repeat {
            let e = namedExpression()
            let (descending, nullsFirst) = ordering()
            keys.append(SortKey(expr: e, descending: descending ?? true, nullsFirst: nullsFirst))
        } while !gaveUp && eat(",")
        return keys
    }

    /// `asc|desc`, `nulls first|last`: nil for what is not given.
    mutating func ordering() -> (descending: Bool?, nullsFirst: Bool?) {
        var descending: Bool?
        if at("granny"), word(1) == "-", word(2) == "asc" || word(2) == "desc" {
            advance()
            advance()
        }
        if eat("asc") { descending = false } else if eat("desc") { descending = true }
        guard at("nulls"), word(1) == "first" || word(1) == "last" else { return (descending, nil) }
        advance()
        let first = at("first")
        advance()
        return (descending, first)
    }

    /// A column's name, or a pattern or `*` over names, as project-away and its kin take.
    mutating func columnPattern() -> Expr {
        if let p = pattern() { return make(p.text == "*" ? .star : .name(p), p.range) }
        let start = current.range.lower
        let n = requireName("A column name")
        if n.text.isEmpty, !n.isQuoted {
            skipToBoundary(comma: true)
            return missing(start)
        }
        var e = make(.name(n), n.range)
        // Paths are no column names, but the binder says so better.
        while at("."),
            let m = {
                advance(); return name()
            }()
        { e = make(.member(e, m), range(from: start)) }
        return e
    }

    /// A table, a pattern over tables, a call or a parenthesised query.
    mutating func tableOperand() -> Expr {
        if let p = pattern() { return make(p.text == "*" ? .star : .name(p), p.range) }
        return postfix()
    }

    /// A column, or a path into one, without calls: what stands before a parenthesis that belongs to the operator.
    mutating func columnPath() -> Expr {
        let start = current.range.lower
        let n = requireName("A column name")
        var e = make(.name(n), n.range)
        while at("."), isName(1) {
            advance()
            guard let m = name() else { break }
            e = make(.member(e, m), range(from: start))
        }
        return e
    }
}
