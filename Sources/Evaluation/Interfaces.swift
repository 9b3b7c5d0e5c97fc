import Columnar
import KQL

/// What an evaluation depends on besides its rows. One value per execution of a query (per tick, for a rule).
public struct EvaluationContext: Sendable {
    /// `now()` in ticks: the tick of a rule, `--at` or the wall clock of a hunt.
    public var now: Int64
    /// Seeds `rand()`, `new_guid()` and `sample`: results are a pure function of (seed, row key).
    public var seed: UInt64
    /// Rows, bytes and time that one execution may use; reaching one is an error that names it.
    public var limits: EvaluationLimits
    /// Looks at the clock and the memory of this execution, if either is limited; ``Executor`` makes one unless it is given. Sources whose
    /// reading takes long ask it too.
    public var watch: QueryWatch?

    public init(now: Int64, seed: UInt64 = 0, limits: EvaluationLimits = EvaluationLimits()) {
        self.now = now
        self.seed = seed
        self.limits = limits
    }
}

/// An execution that cannot go on: a limit, a function's error, a failing source.
public struct EvaluationError: Error, Sendable, CustomStringConvertible {
    public let message: String
    /// Where in the query, if known.
    public let range: SourceRange?
    /// A limit was reached: never to be taken for an answer.
    public let isLimit: Bool
    public init(_ message: String, at range: SourceRange? = nil, isLimit: Bool = false) {
        self.message = message
        self.range = range
        self.isLimit = isLimit
    }
    public var description: String { message }
}

/// An argument or a result of a columnar kernel: the same value for every row, or a column.
public enum Datum: Sendable {
    case constant(Value)
    case column(Column)

    public var type: ScalarType {
        switch self {
        case .constant(let v): v.type
        case .column(let c): c.type
        }
    }

    /// As a column of `rows` rows.
    public func materialized(rows: Int) -> Column {
        switch self {
        case .constant(let v): Column(repeating: v, count: rows)
        case .column(let c): c
        }
    }
}

/// One of several parts in which a table is read at the same time. Parts are numbered in row order.
public struct ScanPart: Sendable, Hashable {
    public let index: Int
    public let count: Int
    public init(index: Int, count: Int) {
        self.index = index
        self.count = count
    }
}

/// A source whose tables can be read in parts by several threads.
public protocol DividedTableProvider: TableProvider {
    /// As ``TableProvider/scan(table:columns:filters:context:emit:)``, the rows of one part: parts of one count are disjoint, hold all rows
    /// together, and are the whole in its order when put one after the other.
    func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, part: ScanPart,
        emit: (Batch) throws -> Bool
    ) throws
}

/// The rows of tables for one execution: files of a hunt, the retained survivors of a rule's legs, or test data.
public protocol TableProvider: Sendable {
    /// Hands over the batches of a table, columns as in `columns` (matched by name; absent ones null), until `emit` returns false.
    /// Batches carry row keys. `filters` are conjuncts over `columns` which the source may use to skip rows; they are applied again after.
    func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws
}
