import Columnar

/// What the binder must know of functions. `Evaluation` implements it from the registry that also holds kernels and documentation.
public protocol FunctionCatalog: Sendable {
    /// A scalar function by the name written in KQL (exact case), aliases included; its signature has the canonical name.
    func scalar(_ name: String) -> ScalarSignature?
    /// An aggregate function by name, aliases included.
    func aggregate(_ name: String) -> AggregateSignature?
    /// Functions and aggregates of the language that exist in Kusto but cannot be executed, with the reason: refused by name, not as a typo.
    func refusal(_ name: String) -> String?
    /// Every callable name, for suggestions.
    var names: [String] { get }
}

/// Which argument types a parameter takes. Where an argument does not fit, the binder tries the implicit conversions of Kusto
/// (int to long to real; dynamic to any scalar; string literal to datetime, timespan or guid where those are asked for).
public enum ParameterKind: Sendable, Hashable {
    case exactly(ScalarType)
    /// string or dynamic (taken as its text).
    case string
    /// int, long, real, decimal.
    case numeric
    /// int or long.
    case integer
    /// Numeric, datetime or timespan.
    case summable
    case dynamic
    /// bool, or an expression that converts to it.
    case bool
    case datetime
    case timespan
    /// Any type.
    case any
    /// A constant string (a pattern, a format, a part name).
    case constantString
    /// A constant integer.
    case constantInteger
    /// A constant of any type.
    case constant
}

public struct SignatureParameter: Sendable {
    public let name: String
    public let kind: ParameterKind
    public let isOptional: Bool
    public init(_ name: String, _ kind: ParameterKind, optional: Bool = false) {
        self.name = name
        self.kind = kind
        isOptional = optional
    }
}

/// How a call's type follows from its arguments.
public enum ResultRule: Sendable {
    case type(ScalarType)
    /// That of the argument at this position.
    case argument(Int)
    /// The common type of the arguments from this position on (int < long < real < decimal; equal types; else dynamic or an error).
    case common(from: Int)
    /// Decides from argument types and, where known, constant values; nil: this combination is an error. A `typeof(T)` argument appears as
    /// the constant string "T", as KQL prints the type, and is not matched to its parameter's kind.
    case custom(@Sendable ([ScalarType], [Value?]) -> ScalarType?)
}

public struct ScalarSignature: Sendable {
    /// Canonical name: the key of the kernel.
    public let name: String
    public let parameters: [SignatureParameter]
    /// The last parameter may repeat.
    public let isVariadic: Bool
    public let result: ResultRule
    /// Same arguments, same result, on any row at any time. False for `rand`, `new_guid`, `now`.
    public let isDeterministic: Bool
    /// False for functions that look at other rows (`prev`, `row_number`) and so need a serialised input.
    public let isRowLocal: Bool
    /// For functions with several results (`series_fit_line`): names and types of the results, in order. The kernel then gives one dynamic
    /// array with an item for each, which the binder takes apart. Empty for all others.
    public let tuple: [SchemaColumn]
    public init(
        name: String, parameters: [SignatureParameter], isVariadic: Bool = false, result: ResultRule, isDeterministic: Bool = true,
        isRowLocal: Bool = true, tuple: [SchemaColumn] = []
    ) {
        self.name = name
        self.parameters = parameters
        self.isVariadic = isVariadic
        self.result = result
        self.isDeterministic = isDeterministic
        self.isRowLocal = isRowLocal
        self.tuple = tuple
    }
}

public struct AggregateSignature: Sendable {
    public let name: String
    public let parameters: [SignatureParameter]
    public let isVariadic: Bool
    public let result: ResultRule
    /// How the result column is called when the query gives no name.
    public let naming: AggregateNaming
    public init(name: String, parameters: [SignatureParameter], isVariadic: Bool = false, result: ResultRule, naming: AggregateNaming) {
        self.name = name
        self.parameters = parameters
        self.isVariadic = isVariadic
        self.result = result
        self.naming = naming
    }
}

public enum AggregateNaming: Sendable, Hashable {
    /// `prefix_` + name of the first argument's column (`sum_x`, `dcount_x`), or `prefix_` when the argument has no name.
    case prefixed(String)
    /// `count_`, `countif_`: a fixed name.
    case fixed(String)
    /// `arg_max(x, a, *)`, `arg_min`: the result columns keep their own names (the extreme first as `x`, or `max_x` style in old engines).
    case argExtreme
    /// `take_any(a, b)`, `any`: the columns keep their names for `*`/several, `any_a` in the old form.
    case columns
    /// `percentile_x_95`, `percentiles`.
    case percentiles
}

/// The tables that a query may name.
public protocol SchemaCatalog: Sendable {
    /// A table by exact name; nil if there is none.
    func table(_ name: String) -> TableSchema?
    /// Every table name, for suggestions and for wildcard unions, sorted.
    var tableNames: [String] { get }
    /// Saved functions, watchlists and external data; nil where there are none.
    var content: (any WorkspaceContent)? { get }
}

/// A column as declared.
public struct SchemaColumn: Sendable, Hashable {
    public let name: String
    public let type: ScalarType
    public init(_ name: String, _ type: ScalarType) {
        self.name = name
        self.type = type
    }
}

public struct TableSchema: Sendable {
    public let name: String
    public let columns: [SchemaColumn]
    /// Open tables (AzureDiagnostics, `_CL`): `name_s|_d|_b|_t|_g` binds to its suffix type and is null until seen, other undeclared
    /// columns are dynamic, with a warning.
    public let isOpen: Bool
    /// Known but fed by no configured input: loads with a warning, listed as blind.
    public let isBlind: Bool
    public init(name: String, columns: [SchemaColumn], isOpen: Bool = false, isBlind: Bool = false) {
        self.name = name
        self.columns = columns
        self.isOpen = isOpen
        self.isBlind = isBlind
    }
}
