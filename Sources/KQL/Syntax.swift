import Columnar

// The typed syntax tree. Every node has the range of its text; full fidelity comes from `SyntaxTree.tokens`, which with their trivia
// reproduce the source exactly. Nodes are immutable classes so that subtrees are shared, never copied.

/// An identifier as written: bare, bracket-quoted (`['a b']`) or with wildcards (`Sign*`).
public struct Name: Sendable, Hashable {
    public let text: String
    public let range: SourceRange
    public let isQuoted: Bool
    public init(_ text: String, range: SourceRange, isQuoted: Bool = false) {
        self.text = text
        self.range = range
        self.isQuoted = isQuoted
    }
    /// A `*` inside a bare name: a pattern over names.
    public var hasWildcard: Bool { !isQuoted && text.utf8.contains(0x2A) }
}

/// A scalar or tabular expression.
public final class Expr: Sendable {
    public indirect enum Kind: Sendable {
        /// A literal of any type: `1`, `1.5`, `'a'`, `5m`, `datetime(...)`, `dynamic(...)`, `long(null)`.
        case literal(Value)
        case name(Name)
        /// `base.name`
        case member(Expr, Name)
        /// `base[index]`
        case element(Expr, Expr)
        case call(Name, [Expr])
        /// `base.f(args)`: `cluster('c').database('d')`, `graph` functions.
        case methodCall(Expr, Name, [Expr])
        case binary(BinaryOperator, Expr, Expr)
        /// `-x` / `+x`
        case sign(negative: Bool, Expr)
        /// `x in (a, b)`, `x has_any (list)`: the right side's items in order.
        case list(ListOperator, Expr, [Expr])
        case between(Expr, low: Expr, high: Expr, negated: Bool)
        /// A pipeline used as an expression: a let value, a join's right side, `toscalar(T | count)`, `in (T | project x)`.
        case query(Query)
        /// `(expr)` kept for its range; no meaning of its own.
        case paren(Expr)
        /// `*`
        case star
        /// `name = expr`; several names for `(a, b) = expr`.
        case named([Name], Expr)
        /// `typeof(long)` or `typeof(a: string, b: long)` (then with names).
        case typeOf([TypedName])
        /// `expr asc nulls last` where the grammar allows an order on a column (project-reorder, partition).
        case ordered(Expr, descending: Bool, nullsFirst: Bool?)
        /// Missing or unreadable text, already reported.
        case missing
    }

    public let kind: Kind
    public let range: SourceRange
    public init(_ kind: Kind, _ range: SourceRange) {
        self.kind = kind
        self.range = range
    }
}

/// `name: type`; the name is empty for a bare `typeof(long)`.
public struct TypedName: Sendable {
    public let name: Name
    /// Nil if the type's name is unknown (reported).
    public let type: ScalarType?
    public let typeRange: SourceRange
    public init(name: Name, type: ScalarType?, typeRange: SourceRange) {
        self.name = name
        self.type = type
        self.typeRange = typeRange
    }
}

/// Raw values are KQL's spellings and the names of the functions that the bound tree calls.
public enum BinaryOperator: String, Sendable, Hashable, CaseIterable {
    case or, and
    case equal = "==", notEqual = "!=", equalIgnoringCase = "=~", notEqualIgnoringCase = "!~"
    case less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case add = "+", subtract = "-", multiply = "*", divide = "/", modulo = "%"
    case has, notHas = "!has", hasCS = "has_cs", notHasCS = "!has_cs"
    case hasPrefix = "hasprefix", notHasPrefix = "!hasprefix", hasPrefixCS = "hasprefix_cs", notHasPrefixCS = "!hasprefix_cs"
    case hasSuffix = "hassuffix", notHasSuffix = "!hassuffix", hasSuffixCS = "hassuffix_cs", notHasSuffixCS = "!hassuffix_cs"
    case contains, notContains = "!contains", containsCS = "contains_cs", notContainsCS = "!contains_cs"
    case startsWith = "startswith", notStartsWith = "!startswith", startsWithCS = "startswith_cs", notStartsWithCS = "!startswith_cs"
    case endsWith = "endswith", notEndsWith = "!endswith", endsWithCS = "endswith_cs", notEndsWithCS = "!endswith_cs"
    case matchesRegex = "matches regex"
}

/// Operators with a parenthesised list on the right.
public enum ListOperator: String, Sendable, Hashable, CaseIterable {
    case isIn = "in", notIn = "!in", isInIgnoringCase = "in~", notInIgnoringCase = "!in~"
    case hasAny = "has_any", hasAll = "has_all"
}

/// A pipeline: a source and the operators after its bars.
public final class Query: Sendable {
    /// Where rows come from.
    public indirect enum Source: Sendable {
        /// A table, a function call, a let name, a parenthesised query.
        case expression(Expr)
        /// An operator that needs no input: union, print, range, datatable, externaldata, find, search, evaluate ...
        case generator(Operator)
    }
    public let source: Source
    public let operators: [Operator]
    public let range: SourceRange
    public init(source: Source, operators: [Operator], range: SourceRange) {
        self.source = source
        self.operators = operators
        self.range = range
    }
}

/// `name = value` settings of an operator: `kind=inner`, `hint.strategy=shuffle`, `isfuzzy=true`, `withsource=T`.
public struct OperatorParameter: Sendable {
    public let name: Name
    public let value: Expr
    public init(name: Name, value: Expr) {
        self.name = name
        self.value = value
    }
}

public struct SortKey: Sendable {
    public let expr: Expr
    public let descending: Bool
    /// Nil: the default (nulls last when descending, first when ascending).
    public let nullsFirst: Bool?
    public init(expr: Expr, descending: Bool, nullsFirst: Bool?) {
        self.expr = expr
        self.descending = descending
        self.nullsFirst = nullsFirst
    }
}

/// One operator of a pipeline.
public final class Operator: Sendable {
    public let kind: OperatorKind
    public let keyword: Name
    public let parameters: [OperatorParameter]
    public let range: SourceRange
    public init(_ kind: OperatorKind, keyword: Name, parameters: [OperatorParameter] = [], range: SourceRange) {
        self.kind = kind
        self.keyword = keyword
        self.parameters = parameters
        self.range = range
    }

    /// The value of a parameter by name, case as KQL writes it.
    public func parameter(_ name: String) -> Expr? { parameters.last { $0.name.text == name }?.value }
}

public struct MvItem: Sendable {
    /// `name = expr` or `expr`.
    public let expr: Expr
    /// From `to typeof(type)`.
    public let type: TypedName?
    public init(expr: Expr, type: TypedName?) {
        self.expr = expr
        self.type = type
    }
}

/// A part of a `parse` pattern.
public enum ParseSegment: Sendable {
    case text(String, SourceRange)
    case star(SourceRange)
    /// A column with its type (string when not given).
    case column(TypedName)
}

public indirect enum OperatorKind: Sendable {
    case filter(Expr)
    case extend([Expr])
    case project([Expr])
    case projectAway([Expr])
    case projectKeep([Expr])
    case projectRename([Expr])
    case projectReorder([Expr])
    case take(Expr)
    case top(Expr, [SortKey])
    case sort([SortKey])
    case distinct([Expr])
    case count(as: Name?)
    case summarize(aggregates: [Expr], keys: [Expr])
    /// Kind and hints are parameters.
    case join(right: Expr, on: [Expr])
    case lookup(right: Expr, on: [Expr])
    case union([Expr])
    case mvExpand([MvItem], limit: Expr?)
    case mvApply([MvItem], limit: Expr?, body: [Operator])
    /// `parse` and `parse-where`; kind and flags are parameters.
    case parse(Expr, [ParseSegment], filters: Bool)
    case parseKv(Expr, [TypedName])
    case print([Expr])
    case range(Name, from: Expr, to: Expr, step: Expr)
    case datatable([TypedName], [Expr])
    case externaldata([TypedName], [Expr])
    case serialize([Expr])
    case evaluate(Expr, schema: [TypedName]?)
    case invoke(Expr)
    case alias(Name)
    case getschema
    case sample(Expr)
    case sampleDistinct(Expr, of: Expr)
    case consume
    case render(Name?)
    case makeSeries(aggregates: [Expr], on: Expr, from: Expr?, to: Expr?, step: Expr?, keys: [Expr])
    case partition(by: Expr, body: Expr)
    case fork([Expr])
    case facet([Expr], with: [Operator])
    case topNested([TopNestedLevel])
    case topHitters(Expr, of: Expr, by: Expr?)
    case search(Expr, in: [Expr])
    case find(in: [Expr], predicate: Expr, project: [Expr])
    case reduce(Expr)
    /// Operators that are read into parts but have no typed form yet (`scan`, `make-graph`, `graph-match` ...): keyword and expressions.
    case other([Expr])
}

public struct TopNestedLevel: Sendable {
    public let count: Expr?
    public let of: Expr
    public let others: Expr?
    public let by: Expr
    public init(count: Expr?, of: Expr, others: Expr?, by: Expr) {
        self.count = count
        self.of = of
        self.others = others
        self.by = by
    }
}

/// A parameter of a let function or of `declare query_parameters`.
public struct Parameter: Sendable {
    public enum Kind: Sendable {
        case scalar(ScalarType?)
        /// `T: (a: string, b: long)`; nil columns for `T: (*)`.
        case tabular([TypedName]?)
    }
    public let name: Name
    public let kind: Kind
    public let defaultValue: Expr?
    public init(name: Name, kind: Kind, defaultValue: Expr?) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
    }
}

/// The body of a let function: statements, then a scalar or tabular expression.
public final class FunctionBody: Sendable {
    public let statements: [Statement]
    public let result: Expr
    public init(statements: [Statement], result: Expr) {
        self.statements = statements
        self.result = result
    }
}

public final class Statement: Sendable {
    public indirect enum Kind: Sendable {
        case letValue(Name, Expr)
        case letFunction(Name, [Parameter], FunctionBody)
        /// A tabular or scalar expression statement: the query itself.
        case expression(Expr)
        case set(Name, Expr?)
        case declareParameters([Parameter])
        /// `alias`, `restrict`, `declare pattern`: read, and refused by the binder.
        case other(Name)
    }
    public let kind: Kind
    public let range: SourceRange
    public init(_ kind: Kind, _ range: SourceRange) {
        self.kind = kind
        self.range = range
    }
}

/// A parsed query: its text, tokens with trivia, statements, and what was wrong with it.
public final class SyntaxTree: Sendable {
    public let source: String
    public let tokens: [Token]
    public let statements: [Statement]
    public let diagnostics: [Diagnostic]
    public init(source: String, tokens: [Token], statements: [Statement], diagnostics: [Diagnostic]) {
        self.source = source
        self.tokens = tokens
        self.statements = statements
        self.diagnostics = diagnostics
    }
}

/// A lexical token with the blanks and comments before it. Tokens tile the source: trivia and text of all, in order, are the source.
public struct Token: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case identifier
        /// A literal; the parser reads its value from the text.
        case string, long, real, timespan
        /// `datetime(...)`, `dynamic(...)`, `guid(...)` ...: the name of a typed literal, its raw content follows as one token.
        case typedLiteral
        case punctuation
        case unknown
        case endOfText
    }
    public let kind: Kind
    /// Where the leading trivia starts; equals `range.lower` when there is none.
    public let triviaStart: Int
    public let range: SourceRange
    public init(kind: Kind, triviaStart: Int, range: SourceRange) {
        self.kind = kind
        self.triviaStart = triviaStart
        self.range = range
    }
}
