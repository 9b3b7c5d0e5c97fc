import Columnar

// `declare pattern`.

extension Parser {
    /// What follows `declare pattern`.
    mutating func patternDeclaration() -> PatternDeclaration {
        let name = requireName("A pattern's name")
        guard eat("=") else { return PatternDeclaration(name: name, parameters: [], path: nil, cases: []) }
        let parameters = parameterList()
        var path: Name?
        if at("[") {
            let open = current
            advance()
            path = requireName("The path's name")
            if expect(":", after: "the path's name") { _ = type() }
            close("]", opened: open)
        }
        var cases: [PatternCase] = []
        let open = current
        defer { nesting -= 1 }
        guard enter(), expect("{", after: "the pattern's arguments") else {
            return PatternDeclaration(name: name, parameters: parameters, path: path, cases: [])
        }
        while !at("}"), !isAtEnd, !gaveUp {
            if eat(";") { continue }
            let before = index
            if let c = patternCase(parameters.count, hasPath: path != nil) { cases.append(c) }
            if index == before { advance() }
        }
        close("}", opened: open)
        return PatternDeclaration(name: name, parameters: parameters, path: path, cases: cases)
    }

    /// `('value', ...).['path'] = { body }`.
    private mutating func patternCase(_ count: Int, hasPath: Bool) -> PatternCase? {
        let open = current
        guard expect("(") else {
            skipToBoundary()
            return nil
        }
        var values: [String] = []
        while !at(")"), !isAtEnd {
            let before = index
            if let v = patternValue() { values.append(v) }
            if !nextItem(opened: open) || index == before { break }
        }
        close(")", opened: open)
        if values.count != count {
            error("VK0029", "This case has \(values.count) values for \(count) arguments", range(from: open.range.lower))
        }
        var path: String?
        if hasPath {
            if expect(".", after: "the values"), at("[") {
                let bracket = current
                advance()
                path = patternValue()
                close("]", opened: bracket)
            } else {
                error("VK0029", "This case has no path", here, mend: "write `.['path']` after the values")
            }
        }
        guard expect("=", after: "the values") else {
            skipToBoundary()
            return nil
        }
        return PatternCase(arguments: values, path: path, body: functionBody())
    }

    private mutating func patternValue() -> String? {
        guard current.kind == .string, case .literal(.string(let s)) = stringLiteral().kind else {
            error("VK0029", "A text is expected, not \(shown)", here)
            return nil
        }
        return s
    }
}
