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
    public var source: [BoundColumn] { input.columns }
    /// ``source``, which legs that were read from a cache may share.
    let input: SourceColumns
    /// Row-local operators over ``source``; its leaf is `.table(name: table)` with exactly those columns.
    public var prefix: Plan { trees.prefix }
    /// Conjuncts over the unmodified `TimeGenerated` and `now()`, applied to the row's time at each tick.
    public var horizon: [BoundExpr] { trees.horizon }
    /// The identity of `TimeGenerated` in ``horizon``.
    public let timeColumn: ColumnID?

    /// What is not looked at before some row may survive: read back from a cache when first asked for.
    struct Trees: Sendable {
        let prefix: Plan
        let horizon: [BoundExpr]
    }
    private let stored: StoredTree?
    private let read: Mutex<Trees?>
    var trees: Trees {
        read.withLock { known in
            if let known { return known }
            let new = stored?.legTrees() ?? Trees(prefix: Stored.damaged, horizon: [])
            known = new
            return new
        }
    }

    public init(index: Int, table: String, source: [BoundColumn], prefix: Plan, horizon: [BoundExpr], timeColumn: ColumnID?) {
        self.index = index
        self.table = table
        input = SourceColumns(source)
        stored = nil
        read = Mutex(Trees(prefix: prefix, horizon: horizon))
        self.timeColumn = timeColumn
        witness = Mutex(nil)
    }

    /// A leg that was compiled before: its trees are read when they are needed.
    init(index: Int, table: String, input: SourceColumns, timeColumn: ColumnID?, clauses: [Clause], stored: StoredTree) {
        self.index = index
        self.table = table
        self.input = input
        self.timeColumn = timeColumn
        self.stored = stored
        read = Mutex(nil)
        witness = Mutex(clauses)
    }

    // What is derived from the leg once, and used by every rule set that the leg is in.
    private let witness: Mutex<[Clause]?>
    private let made = Mutex<CompiledPrefix?>(nil)

    /// What wakes the leg. `functions` must be the same at every call.
    func clauses(_ functions: any FunctionCatalog) -> [Clause] {
        if let known = witness.withLock({ $0 }) { return known }
        let new = WitnessFinder.find(self, functions: functions)
        witness.withLock { $0 = new }
        return new
    }

    /// What wakes the leg, where that has been found out already.
    var knownClauses: [Clause]? { witness.withLock { $0 } }

    /// The prefix, ready to run. Throws if it cannot be compiled.
    func compiled() throws -> CompiledPrefix {
        if let known = made.withLock({ $0 }) { return known }
        let new = try Stored.withStack(levels: prefix.levels) { try CompiledPrefix(self) }
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
    public var suffix: Plan { tree.plan }
    let tree: SuffixTree
    /// The suffix itself reads `now()`.
    public let suffixUsesNow: Bool
    /// With no rows in any leg the result is empty: ticks over empty windows need no evaluation.
    public let emptyGivesEmpty: Bool

    public init(legs: [Leg], suffix: Plan, suffixUsesNow: Bool, emptyGivesEmpty: Bool) {
        self.init(legs: legs, tree: SuffixTree(suffix), suffixUsesNow: suffixUsesNow, emptyGivesEmpty: emptyGivesEmpty)
    }

    init(legs: [Leg], tree: SuffixTree, suffixUsesNow: Bool, emptyGivesEmpty: Bool) {
        self.legs = legs
        self.tree = tree
        self.suffixUsesNow = suffixUsesNow
        self.emptyGivesEmpty = emptyGivesEmpty
    }
}

/// The columns that a leg reads. One object for legs that are known to read the same.
final class SourceColumns: Sendable {
    let columns: [BoundColumn]
    init(_ columns: [BoundColumn]) { self.columns = columns }
}

/// A suffix: read back from a cache when it is first asked for.
final class SuffixTree: Sendable {
    private let stored: StoredTree?
    private let read: Mutex<Plan?>

    init(_ plan: Plan) {
        stored = nil
        read = Mutex(plan)
    }

    init(stored: StoredTree) {
        self.stored = stored
        read = Mutex(nil)
    }

    var plan: Plan {
        read.withLock { known in
            if let known { return known }
            let new = stored?.plan() ?? Stored.damaged
            known = new
            return new
        }
    }
}
