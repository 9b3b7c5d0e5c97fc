import Columnar
import Evaluation
import KQL
import Matcher
import Rules

/// A change of an alert that the store must see, and sinks if ``notifies``.
public struct AlertEvent: Sendable, Hashable {
    public let alert: Alert
    /// Openings, revisions and merges go to sinks; closings only to the store.
    public let notifies: Bool
}

/// Settings of the rule runtime.
public struct DetectionOptions: Sendable {
    public enum Mode: String, Sendable, Hashable, CaseIterable { case streaming, parity }
    public var mode = Mode.streaming
    /// Baseline rules raise even without their history.
    public var coldRaise = false
    /// Alerts of one rule and tick with per-result grouping; the last one stands for the overflow.
    public var alertsPerTick = 150
    /// Raw records kept for evidence, over all rules.
    public var evidenceBudget = 256 << 20
    /// Rows that one rule may retain in memory; beyond, the oldest are moved to a temporary file.
    public var retainedRowsPerRule = 5_000_000
    /// Ticks that read a row, from which on joins of rows are kept by key: with fewer, reading the rows again costs less than the index.
    public var joinIndexTicks: Int64 = 48
    /// Checkpoints are taken, so rows that only a restart needs must wait for one.
    public var takesCheckpoints = true
    /// Rows that one rule may have in that file; beyond, it is reported and refuses rows.
    public var spilledRowsPerRule = 50_000_000
    public var spillDirectory = "/tmp"
    public var limits = EvaluationLimits()
    public init() {}
}

/// The state of one rule: retained rows, tick results, episodes, and what was emitted.
///
/// Not thread-safe: the engine runs each rule on one thread at a time.
final class RuleRuntime {
    var program: RuleProgram
    let options: DetectionOptions
    /// By leg; empty until ``prepare()``.
    var stores: [LegStore] = []
    /// What is kept by panes instead of rows; nil: nothing.
    var panes: PaneState?
    /// The rows of joins by key; nil: nothing.
    private(set) var joins: RowJoins?
    private var isPrepared = false
    /// The last evaluated tick triggered: the next one probably does.
    var triggered = false
    /// What the last evaluated tick gave, while no row has come since.
    var latest: (tick: Int64, batches: [Batch], groups: [GroupResult]?)?
    /// Ticks whose result was that of the tick before.
    var repeats = 0

    /// Results of triggering ticks after ``baseTick``.
    var results: [Int64: TickResult] = [:]
    /// Ticks whose result was computed before their window closed.
    var provisional: Set<Int64> = []
    /// Ticks at or before this are evaluated and final.
    var finalThrough: Int64?
    /// Results up to here are folded into ``base`` and forgotten.
    var baseTick = Int64.min
    var base = EpisodeFold.State()
    /// Final ticks that a late row touched.
    var dirty: Set<Int64> = []
    var amended: Set<Int64> = []
    /// Times of rows since the last provisional evaluation.
    var freshTimes: (least: Int64, greatest: Int64)?
    var emitted: [String: Emitted] = [:]
    lazy var fold = RuleRuntime.fold(of: program)
    /// Sees the rows of every evaluation.
    var observer: ((TickObservation) -> Void)?

    var lateRows = 0
    /// Rows of the last ``accept(leg:rows:raw:)`` whose ticks are all final and forgotten.
    var refused: [RowKey] = []
    var heldTicks = 0
    var evaluations = 0
    /// Time that evaluations took, and what rows cost as they came.
    var evaluationTime = Duration.zero
    var acceptTime = Duration.zero
    /// Rows taken since the start.
    var acceptedRows = 0
    /// Ticks since a window last held a row.
    var silentTicks = 0
    /// Ticks that were left out of a long silence.
    var skippedTicks = 0
    var lastAlert: Int64?
    var failure: String?
    /// Least and greatest time of rows that were refused.
    var gap: (least: Int64, greatest: Int64)?
    var spillFile: SpillFile?
    /// Why rows cannot be moved to the disk.
    var spillProblem: String?
    /// Something changed since the last checkpoint.
    var isDirty = false
    /// The tick whose window had not closed when the input ended.
    var incompleteTick: Int64?

    struct Emitted {
        /// As folded: evidence by key only, so that versions compare.
        var alert: Alert
        var revision: Int
        /// Evidence with raw records, kept because the rows themselves expire.
        var evidence: [Evidence] = []
    }

    init(_ program: RuleProgram, options: DetectionOptions) {
        self.program = program
        self.options = options
    }

    /// Makes what holds rows. Before a rule takes its first row there is nothing to hold, and most rules never take one: they cost no time
    /// at a start, and no memory.
    func prepare() {
        guard !isPrepared else { return }
        isPrepared = true
        if !program.isRowLocal {
            panes = PaneState(program.panes, options: options)
            if program.clock.ticksOfRow >= options.joinIndexTicks {
                joins = RowJoins(program.panes, limits: options.limits)
            }
        }
        let thin = panes
        stores = program.split.legs.map { LegStore(keepsRows: !(thin?.isThin($0.index) ?? false)) }
    }

    static func fold(of program: RuleProgram) -> EpisodeFold {
        EpisodeFold(
            rule: program.rule, frequency: program.clock.frequency, period: program.clock.period,
            identify: { group, tick in program.alertID(group, tick) })
    }

    /// Goes on under another program of the same fingerprint: one that behaves alike and shows its alerts in another way. The rows that
    /// are retained fit, because the fingerprint covers names, types and order of the legs' columns.
    func adopt(_ other: RuleProgram) {
        program = other
        latest = nil
        fold = RuleRuntime.fold(of: other)
    }

    /// Rows that the state holds, as rows or in panes.
    var retainedRows: Int { keptRows + (panes?.rowCount ?? 0) }
    /// Rows that evaluations read as rows.
    var keptRows: Int {
        stores.reduce(0) { $0 + ($1.keepsRows ? $1.rowCount : 0) } + (panes?.overflow.reduce(0) { $0 + $1.rowCount } ?? 0)
    }
    /// Memory of rows, panes and joins' indexes, roughly; raw records not counted.
    var stateBytes: Int { stores.reduce((panes?.bytes ?? 0) + (joins?.bytes ?? 0)) { $0 + $1.bytes } }
    var openEpisodes: Int { base.open.values.count { !$0.isFull } }
    var suppressedOpenings: Int { base.suppressedOpenings }
    /// Rows came since the last look at open ticks.
    var hasFreshRows: Bool { freshTimes != nil }
    /// Rows that wait for a checkpoint share their raw records with the panes.
    var rawBytes: Int {
        stores.reduce(panes.map { p in p.overflow.reduce(p.rawBytes) { $0 + $1.rawBytes } } ?? 0) { $0 + ($1.keepsRows ? $1.rawBytes : 0) }
    }

    // MARK: Input

    func accept(leg: Int, rows: Batch, raw: [RecordHash: String]) -> [AlertEvent] {
        refused = []
        prepare()
        guard stores.indices.contains(leg), let keys = rows.keys else { return [] }
        guard admit(keys) else { return [] }
        isDirty = true
        let began = ContinuousClock.now
        defer { acceptTime += began.duration(to: .now) }
        acceptedRows += rows.count
        take(leg, rows, raw)
        spill()
        var events: [AlertEvent] = []
        for k in keys {
            freshTimes = (min(freshTimes?.least ?? k.time, k.time), max(freshTimes?.greatest ?? k.time, k.time))
            guard let final = finalThrough else { continue }
            let (first, last) = program.clock.covering(k.time)
            guard first <= final else { continue }
            lateRows += 1
            var tick = max(first, baseTick == .min ? first : program.clock.first(atOrAfter: baseTick + 1))
            while tick <= min(last, final) {
                dirty.insert(tick)
                tick += program.clock.frequency
            }
            if last <= baseTick { refused.append(k) }
            if program.isRowLocal, last <= baseTick { events += raiseForgotten(ticks: first, last) }
        }
        return events
    }

    func take(_ leg: Int, _ rows: Batch, _ raw: [RecordHash: String]) {
        // What panes hold is kept as rows for a restart alone.
        if stores[leg].keepsRows || options.takesCheckpoints { stores[leg].append(rows, raw: raw) }
        panes?.accept(leg: leg, rows, raw: raw)
        replaceFailedPanes(rows)
        latest = nil
    }

    /// A stateless rule fires for a row however late it is: its tick's state is gone, so the alert stands alone.
    func raiseForgotten(ticks first: Int64, _ last: Int64) -> [AlertEvent] {
        // The first tick that covers the row and whose horizon lets it through.
        var tick = first
        var found: TickResult?
        while tick <= last, found == nil {
            found = evaluate(tick, complete: true, earliest: nil, amended: true)
            if found == nil { tick += program.clock.frequency }
        }
        guard let result = found else { return [] }
        let (alerts, _) = fold.fold(EpisodeFold.State(), [(tick, result)])
        return alerts.values.sorted { $0.id < $1.id }.filter { emitted[$0.id] == nil }.map { alert in
            var a = alert
            a.status = .closed
            attachEvidence(&a)
            return AlertEvent(alert: a, notifies: true)
        }
    }
}
