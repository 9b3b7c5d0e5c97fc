import KQL

/// Everything of the language in one list: statements, operators, functions, aggregates, plugins; supported or not.
///
/// `vedette functions` and the table in `docs/kql.md` are made of it.
public enum LanguageReference {
    public static let elements: [LanguageElement] = Language.elements.filter { $0.kind != .function } + functions + aggregates

    /// The elements of a name or alias.
    public static func named(_ name: String) -> [LanguageElement] { elements.filter { $0.names.contains(name) } }

    public static func elements(of kind: LanguageElement.Kind) -> [LanguageElement] { elements.filter { $0.kind == kind } }

    /// Every name, for suggestions.
    public static var names: [String] { elements.flatMap(\.names) }

    private static func refused(_ kind: LanguageElement.Kind, _ name: String, _ reason: String) -> LanguageElement {
        LanguageElement(
            kind, name, "\(name)(...)", "A function of Kusto that is not computed here.", "print \(name)(1)",
            support: .refused(code: "VK0202", reason: reason))
    }

    private static let functions: [LanguageElement] = {
        let registry = FunctionRegistry.standard
        let known = registry.functions.map { f in
            LanguageElement(
                .function, f.signature.name, aliases: f.aliases.sorted(), f.signature.text, f.summary, query(of: f),
                notes: f.signature.isRowLocal ? "" : "needs rows in a defined order (`serialize`, `sort`)")
        }
        let supported = Set(known.flatMap(\.names) + AggregateRegistry.names)
        let missing = FunctionNames.scalar + registry.refusedNames
        let written = Language.elements.filter { $0.kind == .function }
        let others = Set(missing).subtracting(supported).subtracting(Language.elements.filter(\.isSupported).flatMap(\.names))
            .subtracting(FunctionNames.aggregate).subtracting(Language.elements.filter { $0.kind == .source }.flatMap(\.names))
        return (known + written + others.map { refused(.function, $0, registry.refusal($0) ?? "") }).sorted { $0.name < $1.name }
    }()

    private static let aggregates: [LanguageElement] = {
        let known = AggregateRegistry.functions.map { f in
            LanguageElement(
                .aggregate, f.signature.name, aliases: f.aliases.sorted(), f.signature.text, f.summary, AggregateExamples.query(of: f))
        }
        let others = Set(FunctionNames.aggregate).subtracting(known.flatMap(\.names))
        return
            (known
            + others.map {
                let r = refused(.aggregate, $0, "it is not supported yet")
                return LanguageElement(
                    .aggregate, $0, r.syntax, r.summary, "range x from 1 to 3 step 1 | summarize \($0)(x)", support: r.support)
            }).sorted { $0.name < $1.name }
    }()

    /// A query that shows a function; its example is an expression.
    private static func query(of f: ScalarFunction) -> String {
        if f.signature.isRowLocal { return "print " + f.example }
        let rows = "range x from 1 to 3 step 1 | extend t = datetime(2026-01-01) + x * 1m | sort by x asc"
        return "\(rows) | extend r = \(f.example)"
    }

    // MARK: The page

    /// One table for each kind, as Markdown.
    public static func markdown(_ kinds: [LanguageElement.Kind] = LanguageElement.Kind.allCases) -> String {
        var out = ""
        for kind in kinds {
            let all = elements(of: kind)
            let refused = all.filter { !$0.isSupported }
            out += "\n### \(title(kind))\n\n\(all.count - refused.count) supported"
            out += refused.isEmpty ? ".\n" : ", \(refused.count) refused.\n"
            out += "\n| \(kind.rawValue) | | what it does | notes |\n| --- | --- | --- | --- |\n"
            for e in all {
                let names = ([e.name] + e.aliases).map { "`\($0)`" }.joined(separator: ", ")
                var notes = e.notes
                if case .refused(let code, let reason) = e.support {
                    notes = [reason, e.notes, code].filter { !$0.isEmpty }.joined(separator: "; ")
                }
                out += "| \(cell(names)) | \(e.isSupported ? "yes" : "no") | \(cell(e.summary)) | \(cell(notes)) |\n"
            }
        }
        return String(out.dropFirst())
    }

    private static func cell(_ text: String) -> String {
        text.replacing("|", with: "\\|").replacing("\n", with: " ")
    }

    private static func title(_ kind: LanguageElement.Kind) -> String {
        switch kind {
        case .statement: "Statements"
        case .tabularOperator: "Operators"
        case .joinKind: "Kinds of join"
        case .textOperator: "String and list operators"
        case .source: "Functions that give or take rows"
        case .plugin: "Plugins of evaluate"
        case .graphFunction: "Graph functions"
        case .function: "Scalar functions"
        case .aggregate: "Aggregates"
        }
    }
}

extension ScalarSignature {
    /// `name(a, [b], ...)`.
    public var text: String { "\(name)(\(SignatureParameter.list(parameters, isVariadic)))" }
}

extension AggregateSignature {
    /// `name(a, [b], ...)`.
    public var text: String { "\(name)(\(SignatureParameter.list(parameters, isVariadic)))" }
}

extension SignatureParameter {
    fileprivate static func list(_ parameters: [SignatureParameter], _ isVariadic: Bool) -> String {
        (parameters.map { $0.isOptional ? "[\($0.name)]" : $0.name } + (isVariadic ? ["..."] : [])).joined(separator: ", ")
    }
}
