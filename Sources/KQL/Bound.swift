import Columnar

// The bound tree: the binder's output and the evaluator's logical plan. Lets and functions are inlined, names are resolved to column
// identities, implicit conversions are explicit calls, and every node has a type or a schema.

/// Identity of a column's values within one bound query. A column that passes through an operator unchanged (renamed or not) keeps its
/// identity; every computed column gets a new one. Two references to one shared plan get different identities.
public typealias ColumnID = Int

public struct BoundColumn: Sendable, Hashable {
    public let id: ColumnID
    public let name: String
    public let type: ScalarType
    public init(id: ColumnID, name: String, type: ScalarType) {
        self.id = id
        self.name = name
        self.type = type
    }
}

/// A typed scalar expression over the columns of its operator's input.
public final class BoundExpr: Sendable {
    public indirect enum Kind: Sendable {
        case constant(Value)
        case column(ColumnID)
        /// A scalar function or operator by canonical name: catalogue functions (`strcat`, `tostring` ...) and the operators by the raw
        /// values of ``BinaryOperator`` and ``ListOperator`` (arguments: left, then right or the items), `between` / `!between`
        /// (value, low, high), `not`, `negate`, `now` (no arguments; the evaluation time).
        ///
        /// Operands have one type, or one of them is dynamic; arithmetic follows `TypeRules`. An item of a list that is dynamic while the
        /// left side is not stands for a list known only at run time. `ingestion_time` has the row's TimeGenerated as its argument where
        /// there is one. `bag_pack_nonempty` is `bag_pack` without null and empty values.
        case call(String, [BoundExpr])
        /// A property of a dynamic value.
        case member(BoundExpr, String)
        /// An element of a dynamic value: integer index (negative from the end) or string key.
        case element(BoundExpr, BoundExpr)
        /// The first cell of a plan, or null: `toscalar(...)`. Evaluated once per execution.
        case scalarQuery(Plan)
        /// Membership in the first column of a plan.
        case inQuery(ListOperator, BoundExpr, Plan)
    }
    public let kind: Kind
    public let type: ScalarType
    public let range: SourceRange
    /// Levels of the tree below and with this node, plans of sub-queries included: bounds the stack of whoever walks it.
    public let levels: Int
    /// Nodes that a walk visits: shared subtrees count wherever they appear. Stops growing at ``TreeSize/most``.
    public let weight: Int
    public init(_ kind: Kind, _ type: ScalarType, _ range: SourceRange) {
        self.kind = kind
        self.type = type
        self.range = range
        var size = TreeSize()
        switch kind {
        case .constant, .column: break
        case .call(_, let arguments): for a in arguments { size.add(a) }
        case .member(let base, _): size.add(base)
        case .element(let base, let index):
            size.add(base)
            size.add(index)
        case .scalarQuery(let plan): size.add(plan)
        case .inQuery(_, let left, let plan):
            size.add(left)
            size.add(plan)
        }
        levels = size.levels + 1
        weight = size.weight
    }
}

/// Sums up the parts of a node.
public struct TreeSize {
    /// Larger weights are not told apart.
    public static let most = 1 << 40
    var levels = 0
    var weight = 1
    mutating func add(_ e: BoundExpr) {
        levels = max(levels, e.levels)
        weight = min(TreeSize.most, weight + e.weight)
    }
    mutating func add(_ p: Plan) {
        levels = max(levels, p.levels)
        weight = min(TreeSize.most, weight + p.weight)
    }
}

public struct BoundSortKey: Sendable {
    public let expr: BoundExpr
    public let descending: Bool
    public let nullsFirst: Bool
    public init(expr: BoundExpr, descending: Bool, nullsFirst: Bool) {
        self.expr = expr
        self.descending = descending
        self.nullsFirst = nullsFirst
    }
}

/// One aggregate of a summarize. Most give one column; `arg_max(x, *)`, `take_any(a, b)` and `percentiles` give several: of `arg_max`,
/// `arg_min` and `take_any`, output `i` is argument `i` in the chosen row; of `percentiles`, output `i` belongs to argument `i + 1`
/// (`i + 2` with weights).
public struct BoundAggregate: Sendable {
    /// Canonical catalogue name.
    public let name: String
    public let arguments: [BoundExpr]
    public let outputs: [BoundColumn]
    public init(name: String, arguments: [BoundExpr], outputs: [BoundColumn]) {
        self.name = name
        self.arguments = arguments
        self.outputs = outputs
    }
}

public enum JoinKind: String, Sendable, Hashable, CaseIterable {
    case innerunique, inner, leftouter, rightouter, fullouter, leftanti, rightanti, leftsemi, rightsemi
}

/// An operator with its inputs; the schema of its rows is `columns`.
public final class Plan: Sendable {
    public indirect enum Kind: Sendable {
        /// All rows of a table. `columns` is its full schema, or a subset after pruning. The leg of a rule.
        case table(name: String)
        /// Literal rows, one value a column.
        case rows([[Value]])
        /// One row of expressions without columns.
        case print([BoundExpr])
        case range(from: BoundExpr, to: BoundExpr, step: BoundExpr)
        case filter(Plan, BoundExpr)
        /// All projections: column `i` is expression `i` over the input. extend, project, -away, -keep, -rename and -reorder end here.
        case project(Plan, [BoundExpr])
        /// Columns: the keys, then the outputs of each aggregate. `distinct` is a summarize without aggregates.
        case summarize(Plan, keys: [BoundExpr], aggregates: [BoundAggregate])
        case sort(Plan, [BoundSortKey])
        case top(Plan, BoundExpr, [BoundSortKey])
        case take(Plan, BoundExpr)
        /// `keys` pairs an expression over the left input with one over the right, of one type. Columns: left's then right's, with the
        /// inputs' identities; only one side's for anti and semi joins.
        case join(JoinKind, Plan, Plan, keys: [JoinKey])
        /// `columns[j]` of branch `i` is its column at position `map[i][j]`, or null where nil. `source` names each branch where a
        /// `withsource` column was asked for (it is the first column; its map entries are nil).
        case union([Plan], map: [[Int?]], source: [String]?)
        /// Output column `i` comes from `outputs[i]`.
        case mvExpand(Plan, [BoundMvItem], outputs: [MvOutput], limit: BoundExpr?, bagArrays: Bool)
        /// As mvExpand, then `body` runs over each input row's expanded rows (``subquerySource``, whose columns `outputs` describes). Of
        /// the columns here, those whose identity the body has are the body's, the others are the input row's.
        case mvApply(Plan, [BoundMvItem], outputs: [MvOutput], limit: BoundExpr?, body: Plan)
        /// The rows that the enclosing mvApply or partition hands to its body.
        case subquerySource
        /// Columns: the input's (those that the pattern assigns are replaced in place), then new ones; `outputs` as for mvExpand.
        case parse(Plan, BoundParse, outputs: [MvOutput])
        /// Marks the order as meaningful; row functions (`prev`, `row_number` ...) appear in the projects above it.
        case serialize(Plan)
        /// A plan computed once per execution and read in several places, matched by `SharedPlan` identity. The columns of this node
        /// correspond by position to those of the shared plan, under new identities.
        case shared(SharedPlan)
        /// Rows of (ColumnName, ColumnOrdinal, DataType, ColumnType).
        case getschema(Plan)
        case sample(Plan, BoundExpr)
        /// A plugin or an operator with its own executor, by name: inputs, expressions, and constant options by name. `bag_unpack`,
        /// `pivot`, `ipv4_lookup`, `ipv6_lookup`, `narrow`, `parse-kv`, `partition` (its second input is the body over
        /// ``subquerySource``), `make-series`, `scan`, the graph operators and `results` are documented where the binder makes them.
        case custom(name: String, inputs: [Plan], arguments: [BoundExpr], options: [String: Value])
    }
    public let kind: Kind
    public let columns: [BoundColumn]
    public let range: SourceRange
    /// As ``BoundExpr/levels``, through inputs, expressions and shared plans.
    public let levels: Int
    /// As ``BoundExpr/weight``; a shared plan counts where it is made, not where it is read.
    public let weight: Int
    public init(_ kind: Kind, columns: [BoundColumn], range: SourceRange) {
        self.kind = kind
        self.columns = columns
        self.range = range
        let size = Plan.size(kind)
        levels = size.levels + 1
        weight = size.weight
    }

    private static func size(_ kind: Kind) -> TreeSize {
        var size = TreeSize()
        switch kind {
        case .table, .rows, .subquerySource: break
        case .print(let exprs): for e in exprs { size.add(e) }
        case .range(let from, let to, let step): for e in [from, to, step] { size.add(e) }
        case .filter(let p, let e), .take(let p, let e), .sample(let p, let e):
            size.add(p)
            size.add(e)
        case .project(let p, let exprs):
            size.add(p)
            for e in exprs { size.add(e) }
        case .summarize(let p, let keys, let aggregates):
            size.add(p)
            for e in keys { size.add(e) }
            for a in aggregates { for e in a.arguments { size.add(e) } }
        case .sort(let p, let keys):
            size.add(p)
            for k in keys { size.add(k.expr) }
        case .top(let p, let e, let keys):
            size.add(p)
            size.add(e)
            for k in keys { size.add(k.expr) }
        case .join(_, let l, let r, let keys):
            size.add(l)
            size.add(r)
            for k in keys {
                size.add(k.left)
                size.add(k.right)
            }
        case .union(let branches, _, _): for b in branches { size.add(b) }
        case .mvExpand(let p, let items, _, let limit, _):
            size.add(p)
            for i in items { size.add(i.expr) }
            if let limit { size.add(limit) }
        case .mvApply(let p, let items, _, let limit, let body):
            size.add(p)
            for i in items { size.add(i.expr) }
            if let limit { size.add(limit) }
            size.add(body)
        case .parse(let p, let parse, _):
            size.add(p)
            size.add(parse.source)
        case .serialize(let p), .getschema(let p): size.add(p)
        case .shared(let s): size.levels = s.plan.levels
        case .custom(_, let inputs, let arguments, _):
            for p in inputs { size.add(p) }
            for e in arguments { size.add(e) }
        }
        return size
    }
}

public struct JoinKey: Sendable {
    public let left: BoundExpr
    public let right: BoundExpr
    public init(left: BoundExpr, right: BoundExpr) {
        self.left = left
        self.right = right
    }
}

public struct BoundMvItem: Sendable {
    /// A dynamic expression over the input.
    public let expr: BoundExpr
    /// Type of the expanded column: dynamic, or from `to typeof`.
    public let type: ScalarType
    public init(expr: BoundExpr, type: ScalarType) {
        self.expr = expr
        self.type = type
    }
}

public enum MvOutput: Sendable, Hashable {
    /// The input's column at this position.
    case input(Int)
    /// Expanded item (or parsed column) of this number.
    case item(Int)
    /// `with_itemindex`: the 0-based index, long.
    case index
}

public struct BoundParse: Sendable {
    public enum Mode: Sendable, Hashable { case simple, relaxed, regex(flags: String) }
    public enum Segment: Sendable, Hashable {
        case text(String)
        case star
        /// Number of the parsed column and its type.
        case column(Int, ScalarType)
    }
    public let source: BoundExpr
    public let mode: Mode
    public let segments: [Segment]
    /// `parse-where`: rows that do not match are dropped.
    public let filters: Bool
    public init(source: BoundExpr, mode: Mode, segments: [Segment], filters: Bool) {
        self.source = source
        self.mode = mode
        self.segments = segments
        self.filters = filters
    }
}

/// A plan with an identity, so that `materialize` (and a let used twice) is computed once.
public final class SharedPlan: Sendable {
    public let id: Int
    public let plan: Plan
    public init(id: Int, plan: Plan) {
        self.id = id
        self.plan = plan
    }
}

/// What the binder gives: a plan if there were no errors, and everything it had to say.
public struct BoundQuery: Sendable {
    public let plan: Plan?
    public let diagnostics: [Diagnostic]
    /// From `| render kind` at the end; nil without.
    public let render: String?
    /// The first column identity that the query does not use: rewrites allocate from here.
    public let nextColumnID: ColumnID
    /// Of a query with several results (``BinderOptions/severalResults``), the name of each, nil where it has none; else empty. The plan is
    /// then `custom("results")`, whose inputs are the plans of the tables.
    public let resultNames: [String?]
    /// Texts of the saved functions and headers of the reference data that the query uses: what it means besides its own text.
    public let sources: [String]
    /// Versions of the reference data that stand in the plan.
    public let versions: [String]
    public init(
        plan: Plan?, diagnostics: [Diagnostic], render: String? = nil, nextColumnID: ColumnID = 0, resultNames: [String?] = [],
        sources: [String] = [], versions: [String] = []
    ) {
        self.plan = plan
        self.diagnostics = diagnostics
        self.render = render
        self.nextColumnID = nextColumnID
        self.resultNames = resultNames
        self.sources = sources
        self.versions = versions
    }
}
