// `declare pattern`: a name that maps texts to rows.

/// `declare pattern name = (argument: string, ...)[path: string] { (value, ...).[path] = { body }; ... }`; an empty one has no cases.
public final class PatternDeclaration: Sendable {
    public let name: Name
    public let parameters: [Parameter]
    public let path: Name?
    public let cases: [PatternCase]
    public init(name: Name, parameters: [Parameter], path: Name?, cases: [PatternCase]) {
        self.name = name
        self.parameters = parameters
        self.path = path
        self.cases = cases
    }
}

/// What a pattern gives for one combination of values.
public struct PatternCase: Sendable {
    public let arguments: [String]
    public let path: String?
    public let body: FunctionBody
    public init(arguments: [String], path: String?, body: FunctionBody) {
        self.arguments = arguments
        self.path = path
        self.body = body
    }
}
