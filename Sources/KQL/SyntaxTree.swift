extension Expr.Kind {
    /// Sub-expressions, and queries as stand-ins for theirs: for measuring height only.
    var children: [any HasHeight] {
        switch self {
        case .literal, .name, .star, .typeOf, .missing: []
        case .member(let e, _), .sign(_, let e), .paren(let e), .named(_, let e), .ordered(let e, _, _): [e]
        case .element(let a, let b), .binary(_, let a, let b), .defaulted(let a, let b): [a, b]
        case .call(_, let args): args
        case .methodCall(let e, _, let args): [e] + args
        case .list(_, let e, let items): [e] + items
        case .between(let e, let low, let high, _): [e, low, high]
        case .query(let q): [q]
        }
    }
}

/// Something whose depth of nesting is known.
protocol HasHeight { var height: Int { get } }

extension Expr: HasHeight {}
extension Query: HasHeight {}

extension SyntaxTree {
    /// Reads a query. Never fails: what cannot be read is in `diagnostics`, and the tree holds what could.
    public static func parse(_ source: String) -> SyntaxTree {
        var parser = Parser(source)
        return parser.parse()
    }

    /// True if there was no error; warnings and notes are allowed.
    public var isValid: Bool { !diagnostics.contains { $0.severity == .error } }

    /// The text of a range, clamped to the source.
    public func text(_ range: SourceRange) -> String {
        let bytes = Array(source.utf8)
        let lower = min(max(0, range.lower), bytes.count)
        return String(decoding: bytes[lower..<max(lower, min(range.upper, bytes.count))], as: UTF8.self)
    }
}
