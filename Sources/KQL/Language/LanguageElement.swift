/// A word of the language that is neither a scalar function nor an aggregate: what it means, and whether it is supported.
///
/// Parser and binder read their names from here, so that nothing is accepted that is not listed. Functions and aggregates have entries of
/// their own where their kernels are (`Evaluation`).
public struct LanguageElement: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case statement
        case tabularOperator = "operator"
        case joinKind = "join kind"
        case textOperator = "string operator"
        case source
        case plugin
        case graphFunction = "graph function"
        case function
        case aggregate
    }

    public enum Support: Sendable, Hashable {
        case supported
        /// Refused with this diagnostic.
        case refused(code: String, reason: String)
    }

    public let kind: Kind
    public let name: String
    /// Other names that mean the same.
    public let aliases: [String]
    public let syntax: String
    /// One sentence.
    public let summary: String
    /// A whole query.
    public let example: String
    public let support: Support
    /// What is special, or missing, here.
    public let notes: String

    public init(
        _ kind: Kind, _ name: String, aliases: [String] = [], _ syntax: String, _ summary: String, _ example: String,
        support: Support = .supported, notes: String = ""
    ) {
        self.kind = kind
        self.name = name
        self.aliases = aliases
        self.syntax = syntax
        self.summary = summary
        self.example = example
        self.support = support
        self.notes = notes
    }

    /// The name and its aliases.
    public var names: [String] { [name] + aliases }

    public var isSupported: Bool { support == .supported }

    public var refusal: String? {
        if case .refused(_, let reason) = support { return reason }
        return nil
    }
}

/// The elements of the language, functions and aggregates excepted.
public enum Language {
    public static let elements: [LanguageElement] =
        statements + operators + joinKinds + textOperators + sources + columnFunctions + plugins + graphFunctions

    /// The names of a kind, aliases included.
    static func names(_ elements: [LanguageElement]) -> Set<String> { Set(elements.flatMap(\.names)) }

    /// The element of a kind by name or alias; exact case.
    public static func element(_ kind: LanguageElement.Kind, _ name: String) -> LanguageElement? {
        elements.first { $0.kind == kind && $0.names.contains(name) }
    }
}
