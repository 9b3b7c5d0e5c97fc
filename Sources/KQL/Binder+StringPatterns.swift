import Columnar

// `declare pattern`: its calls are the bodies that their texts are mapped to.

extension BindingSession {
    /// The pattern that `name(...)` or `name(...).path` calls; nil if it calls something else.
    func patternCall(_ e: Expr, _ env: Environment?) -> (PatternDeclaration, [Expr], Name?, Environment)? {
        switch e.kind {
        case .call(let name, let args):
            guard case .pattern(let p, let home)? = lookup(name.text, env) else { return nil }
            return (p, args, nil, home)
        case .member(let base, let path):
            guard case .call(let name, let args) = base.kind, case .pattern(let p, let home)? = lookup(name.text, env) else { return nil }
            return (p, args, path, home)
        default: return nil
        }
    }

    /// The rows of a pattern's case. Kusto compares the texts as they are; there are no wildcards.
    func bindPattern(_ p: PatternDeclaration, _ args: [Expr], _ path: Name?, _ home: Environment, _ e: Expr, _ env: Environment?)
        -> Relation?
    {
        guard admit(e.range) else { return nil }
        guard let values = constantTexts(args, env, else: "pattern `\(p.name.text)` takes constant texts") else { return nil }
        guard let found = p.cases.first(where: { $0.arguments == values && $0.path == path?.text }) else {
            let shown = values.map { "'\($0)'" }.joined(separator: ", ")
            error(
                .unknownTable, "pattern `\(p.name.text)` has no case for (\(shown))" + (path.map { ".['\($0.text)']" } ?? ""), e.range,
                mend: "declare it")
            return nil
        }
        var inner = home
        let names = p.parameters.map(\.name) + (p.path.map { [$0] } ?? [])
        for (name, text) in zip(names, values + (path.map { [$0.text] } ?? [])) {
            inner = Environment(name.text, .scalar(constant(.string(text), e.range), row: nil), parent: inner)
        }
        return callTabularFunction(p.name, [], found.body, inner, [], Scope(env), kind: "pattern", e.range)
    }
}
