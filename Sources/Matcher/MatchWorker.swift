import Columnar
import Evaluation
import KQL

/// What the matcher did: the evidence that work is shared (`vedette status`, benchmarks, tests).
public struct MatchCounters: Sendable, Hashable {
    public var rows: Int64 = 0
    public var batches: Int64 = 0
    /// Kernel calls for atoms: one an atom and batch with new values.
    public var atomKernels: Int64 = 0
    /// Values tested against atoms (distinct values where the column is memoised).
    public var valuesTested: Int64 = 0
    public var memoHits: Int64 = 0
    /// Rows on which a leg's prefix was evaluated.
    public var residualRows: Int64 = 0
    /// Prefix evaluations: one a leg and batch with candidates.
    public var residualRuns: Int64 = 0
    public var survivors: Int64 = 0

    public init() {}

    public mutating func add(_ o: MatchCounters) {
        rows += o.rows
        batches += o.batches
        atomKernels += o.atomKernels
        valuesTested += o.valuesTested
        memoHits += o.memoHits
        residualRows += o.residualRows
        residualRuns += o.residualRuns
        survivors += o.survivors
    }
}

/// What a leg's own work took: its prefix over candidate rows. The atoms that woke it are shared, and nobody's in particular.
public struct LegCost: Sendable, Hashable {
    /// Candidate rows.
    public var rows: Int64 = 0
    public var survivors: Int64 = 0
    public var time = Duration.zero

    public init() {}

    init(rows: Int, survivors: Int, time: Duration) {
        self.rows = Int64(rows)
        self.survivors = Int64(survivors)
        self.time = time
    }

    public mutating func add(_ o: LegCost) {
        rows += o.rows
        survivors += o.survivors
        time += o.time
    }
}

/// Survivors of one leg in one batch.
public struct Matches: Sendable {
    public let leg: LegReference
    /// Columns as the leg's survivors; carries keys.
    public let rows: Batch
    /// Rows of the input batch that passed the leading filters: a superset of those that ``rows`` stem from. Their raw records are
    /// what evidence is made of.
    public let origins: ContiguousArray<Int32>
}

/// Evaluates batches against a rule set. One a thread: it owns the value memos and its counters.
public final class MatchWorker {
    private let rules: RuleSet
    private var states: [String: TableState] = [:]
    public private(set) var counters = MatchCounters()
    /// Of the legs that had candidates.
    public private(set) var costs: [LegReference: LegCost] = [:]

    public init(_ rules: RuleSet) { self.rules = rules }

    /// Lets go of what is known of values that came neither since the last call nor between it and the one before. To be called from time to
    /// time by who runs for long: memory then follows what comes, not how long it has come.
    public func forgetUnused() { for s in states.values { s.forgetUnused() } }

    /// Values whose atoms are remembered, and the memory that they take, roughly.
    public var remembered: (values: Int, bytes: Int) {
        states.values.reduce((0, 0)) {
            let (values, bytes) = $1.remembered
            return ($0.0 + values, $0.1 + bytes)
        }
    }

    /// Finds the survivors of every leg that reads `table`. `batch` has the columns of ``RuleSet/columns(of:)`` in that order;
    /// `key` gives the identity of a row, and is asked for rows that pass the leading filters of some leg only.
    public func evaluate(_ batch: Batch, table name: String, context: EvaluationContext, key: (Int) -> RowKey) throws -> [Matches] {
        guard let table = rules.tables[name], batch.count > 0 else { return [] }
        let state: TableState
        if let known = states[name] {
            state = known
        } else {
            state = TableState(table)
            states[name] = state
        }
        counters.rows += Int64(batch.count)
        counters.batches += 1
        try state.findCandidates(batch, context: context, counters: &counters)
        var out: [Matches] = []
        try state.forEachCandidate(rows: batch.count) { number, rows in
            let entry = table.legs[number]
            counters.residualRows += Int64(rows.count)
            counters.residualRuns += 1
            let began = ContinuousClock.now
            var survived = 0
            defer {
                costs[entry.reference, default: LegCost()].add(
                    LegCost(rows: rows.count, survivors: survived, time: began.duration(to: .now)))
            }
            let input = Batch(columns: entry.positions.map { batch.columns[$0] }, count: batch.count)
            if let (survivors, origins) = try entry.leg.compiled().run(input, rows: rows, context: context, key: key) {
                survived = survivors.count
                counters.survivors += Int64(survived)
                out.append(Matches(leg: entry.reference, rows: survivors, origins: origins))
            }
        }
        return out
    }
}
