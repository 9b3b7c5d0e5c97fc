import Columnar
import KQL
import Synchronization

/// One table reference of a rule's query with everything that can be done to its rows as they arrive (`docs/semantics.md`,
/// "Ticks, windows, legs").
public final class Leg: Sendable {
    /// Number within the rule.
    public let index: Int
    public let table: String
    /// The table's columns that the prefix reads, under the identities of this reference.
    public let source: [BoundColumn]
    /// Row-local operators over ``source``; its leaf is `.table(name: table)` with exactly those columns.
    public let prefix: Plan
    /// Conjuncts over the unmodified `TimeGenerated` and `now()`, applied to the row's time at each tick.
    public let horizon: [BoundExpr]
    /// The identity of `TimeGenerated` in ``horizon``.
    public let timeColumn: ColumnID?

    public init(index: Int, table: String, source: [BoundColumn], prefix: Plan, horizon: [BoundExpr], timeColumn: ColumnID?) {
        self.index = index
        self.table = table
        self.source = source
        self.prefix = prefix
        self.horizon = horizon
        self.timeColumn = timeColumn
    }

    /// What is derived from the leg once, on the thread that compiles its rule, and used by every rule set that the leg is in.
    struct Derived {
        let prefix: CompiledPrefix
        let clauses: [Clause]
    }

    private let made = Mutex<Derived?>(nil)

    /// Throws if the prefix cannot be compiled. `functions` must be the same at every call.
    func derived(_ functions: any FunctionCatalog) throws -> Derived {
        if let known = made.withLock({ $0 }) { return known }
        let new = Derived(prefix: try CompiledPrefix(self), clauses: WitnessFinder.find(self, functions: functions))
        made.withLock { $0 = new }
        return new
    }

    /// What survivors carry: the schema of the stored rows.
    public var columns: [BoundColumn] { prefix.columns }

    /// The name under which the suffix reads this leg's retained rows.
    public static func storeName(_ index: Int) -> String { "$leg\(index)" }
}

/// A query cut at its legs.
public struct SplitQuery: Sendable {
    public let legs: [Leg]
    /// The rest: its leaves are `.table(name: Leg.storeName(i))`, with the columns of that leg's survivors.
    public let suffix: Plan
    /// The suffix itself reads `now()`.
    public let suffixUsesNow: Bool
    /// With no rows in any leg the result is empty: ticks over empty windows need no evaluation.
    public let emptyGivesEmpty: Bool
}
