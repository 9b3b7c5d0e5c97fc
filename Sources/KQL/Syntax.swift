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
        /// `expr default = value`: an aggregate of make-series.
        case defaulted(Expr, value: Expr)
        /// Missing or unreadable text, already reported.
        case missing
    }

    public let kind: Kind
    public let range: SourceRange
    /// Levels of expressions below this one, itself included. The parser keeps it under ``Parser/maximumHeight``.
    let height: Int
    public init(_ kind: Kind, _ range: SourceRange) {
        self.kind = kind
        self.range = range
        height = 1 + kind.children.reduce(0) { max($0, $1.height) }
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
        /// The rows that the enclosing operator hands in: bodies of partition and fork (`partition by x (top 1 by y)`).
        case input
    }
    public let source: Source
    public let operators: [Operator]
    public let range: SourceRange
    let height: Int
    public init(source: Source, operators: [Operator], range: SourceRange) {
        self.source = source
        self.operators = operators
        self.range = range
        let base =
            switch source {
            case .expression(let e): e.height
            case .generator(let o): o.height
            case .input: 0
            }
        height = operators.reduce(base) { max($0, $1.height) }
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
    /// The greatest height of the expressions in it, as the parser counted.
    let height: Int
    public convenience init(_ kind: OperatorKind, keyword: Name, parameters: [OperatorParameter] = [], range: SourceRange) {
        self.init(kind, keyword: keyword, parameters: parameters, range: range, height: 0)
    }
    init(_ kind: OperatorKind, keyword: Name, parameters: [OperatorParameter], range: SourceRange, height: Int) {
        self.kind = kind
        self.keyword = keyword
        self.parameters = parameters
        self.range = range
        self.height = height
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
    /// Columns and addresses; the `with (...)` properties are parameters.
    case externaldata([TypedName], [Expr])
    case serialize([Expr])
    /// The schema after `:`; a `*` in it is a name `*` without type.
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
    /// `name = (...)` gives a `.named` body.
    case fork([Expr])
    case facet([Expr], with: [Operator])
    case topNested([TopNestedLevel])
    case topHitters(Expr, of: Expr, by: Expr?)
    case search(Expr, in: [Expr])
    case find(in: [Expr], predicate: Expr, project: [Expr])
    case reduce(Expr)
    /// Columns by name, wildcards and `dynamic` arrays of names.
    case projectByNames([Expr])
    /// `assert-schema (a: string, b: long)`.
    case assertSchema([TypedName])
    case scan(ScanClause)
    case makeGraph(MakeGraphClause)
    case graphMatch(GraphPatternClause)
    /// `output=all` is a parameter.
    case graphShortestPaths(GraphPatternClause)
    /// `kind=weak|strong` and `with_component_id=` are parameters.
    case graphMarkComponents
    case graphToTable([GraphTable])
    /// `graph-where-nodes` / `graph-where-edges`.
    case graphWhere(nodes: Bool, Expr)
    /// Operators that are read into parts but have no typed form (`macro-expand` ...): keyword and expressions.
    case other([Expr])
}

/// The parts of `scan`. `with_match_id` and `with_step_name` are parameters.
public struct ScanClause: Sendable {
    public let orderBy: [SortKey]
    public let partitionBy: [Expr]
    /// Declared columns with their default values.
    public let declared: [Parameter]
    public let steps: [ScanStep]
    public init(orderBy: [SortKey], partitionBy: [Expr], declared: [Parameter], steps: [ScanStep]) {
        self.orderBy = orderBy
        self.partitionBy = partitionBy
        self.declared = declared
        self.steps = steps
    }
}

/// `step name optional output=all: condition => column = expr, ...;`
public struct ScanStep: Sendable {
    public enum Output: String, Sendable, Hashable, CaseIterable { case all, last, none }
    public let name: Name
    public let isOptional: Bool
    public let output: Output
    public let condition: Expr
    /// Each a `.named` expression.
    public let assignments: [Expr]
    public init(name: Name, isOptional: Bool, output: Output, condition: Expr, assignments: [Expr]) {
        self.name = name
        self.isOptional = isOptional
        self.output = output
        self.condition = condition
        self.assignments = assignments
    }
}

/// `make-graph source --> target with Nodes on id`. `with_node_id=` is a parameter.
public struct MakeGraphClause: Sendable {
    public let source: Expr
    public let target: Expr
    public let nodes: [GraphNodeTable]
    /// `partitioned-by column (subquery)`.
    public let partitionedBy: Expr?
    public let body: [Operator]
    public init(source: Expr, target: Expr, nodes: [GraphNodeTable], partitionedBy: Expr?, body: [Operator]) {
        self.source = source
        self.target = target
        self.nodes = nodes
        self.partitionedBy = partitionedBy
        self.body = body
    }
}

/// `Table on IdColumn`.
public struct GraphNodeTable: Sendable {
    public let table: Expr
    public let id: Expr
    public init(table: Expr, id: Expr) {
        self.table = table
        self.id = id
    }
}

/// One step of a graph pattern; a pattern alternates nodes and edges and begins and ends with a node.
public enum GraphPatternElement: Sendable {
    /// `(name)`; nil for `()`.
    case node(Name?, SourceRange)
    /// `-[name]->`, `<-[name*1..3]-`, `--`: hops is nil for one edge.
    case edge(Name?, GraphEdgeDirection, hops: GraphHops?, SourceRange)
}

public enum GraphEdgeDirection: Sendable, Hashable { case forward, backward, any }

/// `*low..high` of a variable-length edge.
public struct GraphHops: Sendable {
    public let low: Expr
    public let high: Expr
    public init(low: Expr, high: Expr) {
        self.low = low
        self.high = high
    }
}

/// `graph-match pattern, pattern where predicate project columns`. `cycles=` is a parameter.
public struct GraphPatternClause: Sendable {
    public let patterns: [[GraphPatternElement]]
    public let predicate: Expr?
    public let project: [Expr]
    public init(patterns: [[GraphPatternElement]], predicate: Expr?, project: [Expr]) {
        self.patterns = patterns
        self.predicate = predicate
        self.project = project
    }
}

/// `graph-to-table nodes as N with_node_id=id, edges as E`.
public struct GraphTable: Sendable {
    /// `nodes`, or `edges`.
    public let isNodes: Bool
    public let name: Name?
    public let parameters: [OperatorParameter]
    public init(isNodes: Bool, name: Name?, parameters: [OperatorParameter]) {
        self.isNodes = isNodes
        self.name = name
        self.parameters = parameters
    }
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
    /// Declared as `view ()`: `search` and wildcards see it as a table.
    public let isView: Bool
    public init(statements: [Statement], result: Expr, isView: Bool = false) {
        self.statements = statements
        self.result = result
        self.isView = isView
    }
}

/// `declare pattern name = (a: string)[path: string] { ('x').['y'] = { rows }; ... }`: texts, each list of which stands for rows.
public final class PatternDeclaration: Sendable {
    public struct Case: Sendable {
        public let arguments: [String]
        public let path: String?
        public let body: FunctionBody
        public init(arguments: [String], path: String?, body: FunctionBody) {
            self.arguments = arguments
            self.path = path
            self.body = body
        }
    }
    public let name: Name
    public let parameters: [Parameter]
    /// What stands in brackets behind the arguments, or behind a point; nil where nothing does.
    public let path: Parameter?
    /// None for a pattern that is declared without a definition.
    public let cases: [Case]
    public init(name: Name, parameters: [Parameter], path: Parameter?, cases: [Case]) {
        self.name = name
        self.parameters = parameters
        self.path = path
        self.cases = cases
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
        case declarePattern(PatternDeclaration)
        /// `alias`, `restrict`: read, and refused by the binder.
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
        /// `datetime(...)`, `dynamic(...)`, `guid(...)` ...: a typed literal whole, from its name to the closing parenthesis.
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
