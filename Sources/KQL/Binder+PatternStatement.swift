import Columnar

// `declare pattern`: `name('a', 'b').['path']` stands for the rows that the declaration gives these texts. Texts are compared as they are,
// without wildcards.

/// A use of a declared pattern.
struct PatternCall {
    let name: Name
    let declaration: PatternDeclaration
    /// Where the pattern was declared: what its bodies see.
    let home: Environment
    let arguments: [Expr]
    let path: Expr?
}

extension BindingSession {
    /// The use of a pattern that an expression is; nil for any other expression.
    func patternCall(_ e: Expr, _ env: Environment?) -> PatternCall? {
        let call: Expr
        let path: Expr?
        switch e.kind {
        case .call: (call, path) = (e, nil)
        case .member(let base, let name): (call, path) = (base, Expr(.literal(.string(name.text)), name.range))
        case .element(let base, let index): (call, path) = (base, index)
        default: return nil
        }
        guard case .call(let name, let arguments) = call.kind, case .pattern(let declaration, let home)? = lookup(name.text, env) else {
            return nil
        }
        return PatternCall(name: name, declaration: declaration, home: home, arguments: arguments, path: path)
    }

    func bindPattern(_ call: PatternCall, _ range: SourceRange, _ env: Environment?) -> Relation? {
        var texts: [String] = []
        for a in call.arguments + (call.path.map { [$0] } ?? []) {
            guard let value = bind(a, Scope(env)) else { return nil }
            guard case .constant(.string(let s)) = value.kind else {
                error(.notConstant, "the pattern `\(call.name.text)` takes constant texts", a.range)
                return nil
            }
            texts.append(s)
        }
        let path = call.path == nil ? nil : texts.popLast()
        if let found = call.declaration.cases.first(where: { $0.arguments == texts && $0.path == path }) {
            return callTabularFunction(call.name, [], found.body, call.home, [], Scope(env), range)
        }
        let shown = "(" + texts.map { "'\($0)'" }.joined(separator: ", ") + ")" + (path.map { ".['\($0)']" } ?? "")
        error(.unknownTable, "the pattern `\(call.name.text)` has nothing for \(shown)", range, mend: "declare it in the pattern")
        return nil
    }
}
