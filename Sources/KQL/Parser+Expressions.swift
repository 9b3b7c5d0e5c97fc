import Columnar

extension Parser {
    /// Levels of binding, loosest first. String operators bind tighter than arithmetic, as in Kusto's grammar.
    enum Level: Int { case or, and, equality, relational, additive, multiplicative, string }

    enum InfixKind {
        case binary(BinaryOperator)
        case list(ListOperator)
        case between(negated: Bool)
    }

    struct Infix {
        let kind: InfixKind
        let level: Level
        /// Tokens that it takes.
        var length = 1
    }

    /// Spellings beside the raw values of ``BinaryOperator`` and ``ListOperator``.
    private static let aliases: [String: BinaryOperator] = [
        "<>": .notEqual, "&&": .and, "||": .or, "notcontains": .notContains, "notcontainscs": .notContainsCS, "containscs": .containsCS,
    ]

    private static let infixes: [String: Infix] = {
        var table: [String: Infix] = ["between": Infix(kind: .between(negated: false), level: .equality)]
        table["!between"] = Infix(kind: .between(negated: true), level: .equality)
        for op in ListOperator.allCases { table[op.rawValue] = Infix(kind: .list(op), level: .equality) }
        func level(_ op: BinaryOperator) -> Level {
            switch op {
            case .or: .or
            case .and: .and
            case .equal, .notEqual: .equality
            case .less, .lessOrEqual, .greater, .greaterOrEqual: .relational
            case .add, .subtract: .additive
            case .multiply, .divide, .modulo: .multiplicative
            default: .string
            }
        }
        for op in BinaryOperator.allCases where op != .matchesRegex { table[op.rawValue] = Infix(kind: .binary(op), level: level(op)) }
        for (name, op) in aliases { table[name] = Infix(kind: .binary(op), level: level(op)) }
        return table
    }()

    /// The operator that stands here; unknown ones and forms of other languages are reported and read as what was meant.
    private mutating func infix() -> Infix? {
        let t = current
        guard t.kind == .identifier || t.kind == .punctuation else { return nil }
        let w = word
        if let found = Parser.infixes[w] { return found }
        if w == "matches" {
            if word(1) == "regex" { return Infix(kind: .binary(.matchesRegex), level: .string, length: 2) }
            return nil
        }
        if w == ":", isSearching { return Infix(kind: .binary(.has), level: .string) }
        if w == "not", let positive = Parser.infixes[word(1)], Parser.infixes["!" + word(1)] != nil {
            let whole = SourceRange(t.range.lower, token(1).range.upper)
            error(
                "VK0024", "`not \(word(1))` is not an operator of KQL", whole, mend: "write `!\(word(1))`",
                fixIts: [.init(range: whole, replacement: "!" + word(1))])
            return Infix(kind: Parser.infixes["!" + word(1)]?.kind ?? positive.kind, level: positive.level, length: 2)
        }
        if w == "like" || w == "notlike" || w == "!like" {
            error("VK0024", "`\(w)` is not supported", t.range, mend: "use `contains`, `startswith`, `endswith` or `matches regex`")
            return Infix(kind: .binary(.contains), level: .string)
        }
        if w == "is", word(1) == "null" || word(1) == "not" {
            error("VK0024", "`is \(word(1))` is not an operator of KQL", t.range, mend: "write `isnull(x)`, `isnotnull(x)` or `isempty(x)`")
            return nil
        }
        if w.hasPrefix("!"), w.utf8.count > 1 {
            let near = Suggestions.nearest(w, in: Parser.infixes.keys.filter { $0.hasPrefix("!") })
            let mend = w == "!matches" ? "write `not(x matches regex y)`" : near.map { "did you mean `\($0)`?" }
            error("VK0024", "`\(w)` is not an operator", t.range, mend: mend)
            return Infix(kind: .binary(.notEqual), level: .string, length: w == "!matches" && word(1) == "regex" ? 2 : 1)
        }
        return nil
    }

    /// A scalar expression (or a table's name, call or parenthesised query).
    mutating func expression() -> Expr { binary(.or) }

    /// Operators of `level` and tighter ones, by climbing.
    mutating func binary(_ level: Level) -> Expr {
        let start = current.range.lower
        defer { nesting -= 1 }
        guard enter() else { return missing(start) }
        var left = unary()
        // The loosest level that may still follow: comparisons do not chain.
        var limit = Level.string.rawValue
        while !gaveUp, let op = infix(), op.level.rawValue >= level.rawValue {
            if op.level.rawValue > limit {
                error(
                    "VK0017", "Comparisons do not chain", current.range, mend: "put the first one in parentheses, or join two with `and`")
            }
            limit = op.level == .equality || op.level == .relational ? op.level.rawValue - 1 : op.level.rawValue
            switch op.level {
            case .or, .and:
                left = chain(left, op.level)
                continue
            default: break
            }
            for _ in 0..<op.length { advance() }
            switch op.kind {
            case .binary(let o):
                guard let tighter = Level(rawValue: op.level.rawValue + 1) else {
                    let right = unary()
                    left = make(.binary(o, left, right), range(from: start))
                    continue
                }
                let right = binary(tighter)
                left = make(.binary(o, left, right), range(from: start))
            case .list(let o):
                let items = listItems(o)
                left = make(.list(o, left, items), range(from: start))
            case .between(let negated): left = between(left, start, negated: negated)
            }
        }
        return left
    }

    /// `a or b or c ...`: both are associative, so the tree is built balanced and stays low for lists of thousands.
    private mutating func chain(_ first: Expr, _ level: Level) -> Expr {
        var operands = [first]
        while !gaveUp, let op = infix(), op.level == level, let tighter = Level(rawValue: level.rawValue + 1) {
            advance()
            operands.append(binary(tighter))
        }
        return balanced(operands[...], level == .or ? .or : .and)
    }

    private mutating func balanced(_ operands: ArraySlice<Expr>, _ op: BinaryOperator) -> Expr {
        guard let first = operands.first, let last = operands.last else { return missing(current.range.lower) }
        if operands.count == 1 { return first }
        let middle = operands.startIndex + operands.count / 2
        let left = balanced(operands[..<middle], op)
        let right = balanced(operands[middle...], op)
        return make(.binary(op, left, right), first.range.union(last.range))
    }

    private mutating func listItems(_ op: ListOperator) -> [Expr] {
        guard at("(") else {
            // `x in list`, without parentheses.
            return [unary()]
        }
        return arguments(named: false)
    }

    private mutating func between(_ value: Expr, _ start: Int, negated: Bool) -> Expr {
        let open = current
        guard expect("(", after: "`between`") else {
            skipToBoundary(comma: true)
            return missing(start)
        }
        let low = binary(.additive)
        if !eat("..") {
            let mend = at(",") || at("and") ? "write `between (low .. high)`" : nil
            error("VK0011", "`..` is expected between the bounds, not \(shown)", here, mend: mend)
            if at(",") || at("and") { advance() }
        }
        let high = at(")") ? missing(current.range.lower) : binary(.additive)
        close(")", opened: open)
        return make(.between(value, low: low, high: high, negated: negated), range(from: start))
    }

    // MARK: Operands

    mutating func unary() -> Expr {
        if at("-") || at("+") { return signed() }
        return postfix()
    }

    private mutating func signed() -> Expr {
        let start = current.range.lower
        let negative = at("-")
        // A sign before a number belongs to it.
        let number = token(1)
        if number.kind == .long || number.kind == .real || number.kind == .timespan {
            advance()
            let value = numberValue(number, negative: negative)
            advance()
            let e = make(.literal(value), range(from: start))
            return at(".") || at("[") ? postfix(after: e, start) : e
        }
        defer { nesting -= 1 }
        guard enter() else { return missing(start) }
        advance()
        let operand = unary()
        return make(.sign(negative: negative, operand), range(from: start))
    }

    mutating func postfix() -> Expr {
        let start = current.range.lower
        let root = primary()
        return at(".") || at("[") ? postfix(after: root, start) : root
    }

    /// Members, elements and method calls after an operand.
    private mutating func postfix(after root: Expr, _ start: Int) -> Expr {
        var e = root
        while !gaveUp {
            if at("[") {
                e = element(of: e, start)
            } else if at(".") {
                advance()
                if at("["), !isName() {
                    e = element(of: e, start)
                    continue
                }
                // A wildcard ends a path: `database('x').Sign*`.
                if let p = pattern() {
                    e = make(.member(e, p), range(from: start))
                    continue
                }
                guard let n = name() else {
                    error(
                        "VK0014", "A property name is expected after `.`, not \(shown)", here,
                        mend: "write `['name']` for names with other characters")
                    return e
                }
                if at("("), !n.isQuoted {
                    let args = arguments(named: true)
                    e = make(.methodCall(e, n, args), range(from: start))
                } else {
                    e = make(.member(e, n), range(from: start))
                }
            } else {
                return e
            }
        }
        return e
    }

    private mutating func element(of base: Expr, _ start: Int) -> Expr {
        let open = current
        advance()
        let i = at("]") ? missing(current.range.lower) : expression()
        if case .missing = i.kind { error("VK0010", "An index is expected in `[]`", current.range) }
        close("]", opened: open)
        return make(.element(base, i), range(from: start))
    }

    /// Call arguments or list items in parentheses: pipelines are allowed, `name = value` where `named`.
    mutating func arguments(named: Bool) -> [Expr] {
        let open = current
        advance()
        var items: [Expr] = []
        while !at(")"), !isAtEnd {
            let before = index
            if at("*"), word(1) == "," || word(1) == ")" {
                items.append(make(.star, current.range))
                advance()
            } else if named, isName(), word(nameLength()) == "=" {
                items.append(namedExpression(piped: true))
            } else {
                items.append(pipeExpression())
            }
            if !nextItem(opened: open) || index == before { break }
        }
        close(")", opened: open)
        return items
    }

    /// After an item of a list in parentheses: true if another one, or the end, follows.
    mutating func nextItem(opened: Token) -> Bool {
        if eat(",") || at(")") { return true }
        if at("=") {
            unexpected()
        } else if !gaveUp {
            let place = SourceText(source).position(at: opened.range.lower - bytes.base)
            error(
                "VK0011", "`,` or `)` is expected, not \(shown)", here,
                mend: "the opening bracket is at line \(place.line), column \(place.column)")
        }
        skipToBoundary(comma: true)
        return eat(",")
    }

    private mutating func primary() -> Expr {
        switch current.kind {
        case .identifier: return nameOrCall()
        case .punctuation where at("("): return parenthesised()
        default: return leaf()
        }
    }

    private mutating func parenthesised() -> Expr {
        let open = current
        advance()
        let inner = pipeExpression()
        close(")", opened: open)
        return make(.paren(inner), range(from: open.range.lower))
    }

    /// Operands that nest nothing.
    private mutating func leaf() -> Expr {
        let t = current
        switch t.kind {
        case .long, .real, .timespan:
            advance()
            return make(.literal(numberValue(t, negative: false)), t.range)
        case .string: return stringLiteral()
        case .typedLiteral:
            advance()
            return make(.literal(typedValue(t)), t.range)
        case .punctuation:
            if at("*") {
                advance()
                return make(.star, t.range)
            }
            if isName(), let n = name() { return make(.name(n), n.range) }
        case .unknown:
            // Reported by the lexer.
            advance()
            return missing(t.range.lower)
        case .identifier, .endOfText: break
        }
        expectedExpression()
        return missing(t.range.lower)
    }

    private mutating func expectedExpression() {
        let mend: String? =
            current.kind == .identifier && Parser.reservedWords.contains(word) ? "a column of this name is written `['\(word)']`" : nil
        error("VK0010", "An expression is expected, not \(shown)", here, mend: mend)
    }

    private mutating func nameOrCall() -> Expr {
        if let special = specialWord() { return special }
        let start = current.range.lower
        guard let n = name() else { return missing(start) }
        guard at("(") else { return make(.name(n), n.range) }
        return call(n, start)
    }

    private mutating func call(_ n: Name, _ start: Int) -> Expr {
        let args = arguments(named: true)
        return make(.call(n, args), range(from: start))
    }

    /// Words that are no plain name: constants, `typeof`, tables written in place, and those that cannot stand for a value.
    private mutating func specialWord() -> Expr? {
        switch word {
        case "true", "True", "TRUE": return constant(.bool(true))
        case "false", "False", "FALSE": return constant(.bool(false))
        case "typeof" where word(1) == "(": return typeOf()
        case "datatable" where opensSchema, "externaldata" where opensSchema, "external_data" where opensSchema: return inlineTable()
        case "toscalar" where word(1) == "kind" && word(2) == "=" && word(4) == "(",
            "totable" where word(1) == "kind" && word(2) == "=" && word(4) == "(":
            let n = Name(word, range: current.range)
            for _ in 0..<4 { advance() }
            return call(n, n.range.lower)
        case "entity_group" where word(1) == "[": return entityGroup()
        case let w where Parser.reservedWords.contains(w) && word(1) != "(":
            expectedExpression()
            return missing(current.range.lower)
        default: return nil
        }
    }

    private mutating func inlineTable() -> Expr {
        let op = sourceOperator()
        return make(.query(Query(source: .generator(op), operators: [], range: op.range)), op.range)
    }

    private mutating func entityGroup() -> Expr {
        let n = Name(word, range: current.range)
        advance()
        let open = current
        advance()
        let items = expressionList { $0.pipeExpression() }
        close("]", opened: open)
        return make(.call(n, items), range(from: n.range.lower))
    }

    /// After `datatable` or `externaldata`: the schema, or settings before it?
    private var opensSchema: Bool { word(1) == "(" || (token(1).kind == .identifier && word(2) == "=") }

    private mutating func constant(_ value: Value) -> Expr {
        let r = current.range
        advance()
        return make(.literal(value), r)
    }

    private mutating func typeOf() -> Expr {
        let start = current.range.lower
        advance()
        if isName(1), word(1 + nameLength(1)) == ":" {
            let columns = schema()
            return make(.typeOf(columns), range(from: start))
        }
        let open = current
        advance()
        let (type, r) = type()
        close(")", opened: open)
        let bare = TypedName(name: Name("", range: SourceRange(r.lower, r.lower)), type: type, typeRange: r)
        return make(.typeOf([bare]), range(from: start))
    }

    // MARK: Literals

    mutating func stringLiteral() -> Expr {
        let start = current.range.lower
        var text = ""
        while current.kind == .string {
            text += LiteralReader.string(bytes(of: current))
            advance()
        }
        return make(.literal(.string(text)), range(from: start))
    }

    private mutating func numberValue(_ t: Token, negative: Bool) -> Value {
        let b = bytes(of: t)
        switch t.kind {
        case .long:
            if let v = LiteralReader.long(b, negative: negative) { return .long(v) }
            error(
                "VK0003", "This number does not fit into 64 bits", t.range,
                mend: "use `real(\(LiteralReader.text(b)))` or `decimal(\(LiteralReader.text(b)))`")
            return .null(.long)
        case .real:
            if let v = LiteralReader.real(b) { return .real(negative ? -v : v) }
            error("VK0003", "This number is out of the range of real", t.range, mend: "use `real(+inf)` for infinity")
            return .null(.real)
        default:
            if let v = LiteralReader.timespan(b) { return .timespan(negative ? 0 &- v : v) }
            error("VK0003", "This timespan is out of range", t.range, mend: "a timespan holds about 29,000 years")
            return .null(.timespan)
        }
    }

    private mutating func typedValue(_ t: Token) -> Value {
        let b = bytes(of: t)
        guard let open = b.firstIndex(of: 0x28) else { return .null(.dynamic) }
        let name = LiteralReader.text(LiteralReader.trimmed(b[..<open]))
        let type = ScalarType(kqlName: name) ?? .dynamic
        // Reported by the lexer when nothing closes it.
        guard b.last == 0x29 || b.last == 0x5D || b.last == 0x7D else { return .null(type) }
        switch LiteralReader.typed(name: name, content: b[(open + 1)..<(b.endIndex - 1)]) {
        case .value(let v): return v
        case .wrong(let message, let mend):
            error(type == .dynamic ? "VK0008" : "VK0007", message, t.range, mend: mend)
            return .null(type)
        }
    }

    // MARK: Lists

    /// Comma-separated things; a bad one is skipped to the next comma or boundary.
    mutating func expressionList(_ item: (inout Parser) -> Expr) -> [Expr] {
        var out: [Expr] = []
        repeat {
            out.append(item(&self))
        } while !gaveUp && eat(",")
        return out
    }

    /// `name = expr`, `(a, b) = expr` or `expr`.
    mutating func namedExpression(piped: Bool = false) -> Expr {
        let start = current.range.lower
        if isName(), word(nameLength()) == "=", let n = name() {
            advance()
            let e = piped ? pipeExpression() : expression()
            return make(.named([n], e), range(from: start))
        }
        if at("("), let count = nameListLength(), word(count) == "=" {
            advance()
            var names: [Name] = []
            while let n = name() {
                names.append(n)
                if !eat(",") { break }
            }
            expect(")")
            expect("=")
            let e = expression()
            return make(.named(names, e), range(from: start))
        }
        return expression()
    }

    /// Tokens of `(a, b)` ahead, if it is a list of names.
    private func nameListLength() -> Int? {
        var ahead = 1
        while isName(ahead) {
            ahead += nameLength(ahead)
            if word(ahead) == ")" { return ahead + 1 }
            guard word(ahead) == "," else { return nil }
            ahead += 1
        }
        return nil
    }
}
