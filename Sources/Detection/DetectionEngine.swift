import Columnar
import Evaluation
import KQL
import Matcher
import Rules

/// Survivors of one leg from one chunk, with the raw records they stem from (64 KiB each at most).
public struct SurvivorRows: Sendable {
    public let matches: Matches
    public let raw: [RecordHash: String]
    public init(matches: Matches, raw: [RecordHash: String]) {
        self.matches = matches
        self.raw = raw
    }
}

/// State changes since the last checkpoint: what the store writes in one transaction with the resume positions.
public struct CheckpointDelta: Sendable {
    public struct SegmentID: Sendable, Hashable {
        public let rule: String
        public let leg: Int
        public let id: Int64
    }
    public var added: [(id: SegmentID, bytes: [UInt8])] = []
    public var dropped: [SegmentID] = []
    /// Fingerprint → state of rules that changed.
    public var rules: [(fingerprint: String, bytes: [UInt8])] = []
    /// The engine's own state.
    public var engine: [UInt8] = []
    public init() {}

    /// One document of it.
    public enum Change: Sendable {
        case added(SegmentID, [UInt8])
        case dropped(SegmentID)
        case rule(_ fingerprint: String, [UInt8])
        case engine([UInt8])
    }

    public func forEachChange(_ body: (Change) throws -> Void) rethrows {
        for s in added { try body(.added(s.id, s.bytes)) }
        for id in dropped { try body(.dropped(id)) }
        for r in rules { try body(.rule(r.fingerprint, r.bytes)) }
        if !engine.isEmpty { try body(.engine(engine)) }
    }
}

/// All state as the store gives it back.
public struct SavedState: Sendable {
    public var segments: [(id: CheckpointDelta.SegmentID, bytes: [UInt8])] = []
    public var rules: [String: [UInt8]] = [:]
    public var engine: [UInt8]?
    public init() {}
}

extension CheckpointDelta.SegmentID {
    public init(fingerprint: String, leg: Int, id: Int64) { self.init(rule: fingerprint, leg: leg, id: id) }
}

/// A rule's figures for `status` and the heartbeat.
public struct RuleFigures: Sendable {
    let program: RuleProgram
    public var id: String { program.rule.id }
    public var name: String { program.rule.name }
    public let retainedRows: Int
    /// Of these, on the disk.
    public let spilledRows: Int
    public let evidenceBytes: Int
    /// Groups that are kept by panes, over all summarizes of the rule.
    public let groups: Int
    /// Cells of these: pairs of group and pane.
    public let cells: Int
    /// Memory of rows and groups, roughly.
    public let stateBytes: Int
    public let openEpisodes: Int
    public let lateRows: Int
    public let heldTicks: Int
    /// Ticks of a rule about absence that were left out of a silence of more than ten thousand ticks.
    public let skippedTicks: Int
    public let suppressedOpenings: Int
    public let evaluations: Int
    /// Of these, ticks that saw the rows of the tick before, whose result was taken over.
    public let repeats: Int
    public let lastAlert: Int64?
    public let failure: String?
    /// The tick that was left out because its window had not closed when the input ended.
    public let incompleteTick: Int64?
}

/// The rule runtime: takes survivors, keeps windows, and turns the passing of event time into alerts.
///
/// Results do not depend on the order in which survivors arrive before their ticks become final, so the pipeline may deliver chunks of
/// different sources in any order. One thread at a time.
public final class DetectionEngine {
    public private(set) var programs: [RuleProgram]
    public private(set) var ruleSet: RuleSet
    public let options: DetectionOptions
    private var runtimes: [RuleRuntime]
    private var clockGroups: [ClockGroup] = []
    /// The clock group of each runtime.
    private var groupOfRule: [Int] = []
    private let functions: any FunctionCatalog
    /// Keeps compiled literals from run to run.
    private let literals: (any LiteralStore)?
    /// Least and greatest event time seen, by table.
    private var seen: [String: (least: Int64, greatest: Int64)] = [:]
    /// Sees the rows of every evaluation of every rule.
    package var observer: ((TickObservation) -> Void)? {
        didSet { for r in runtimes { r.observer = observer } }
    }
    /// Allowed disorder by table, in ticks.
    private let lateness: @Sendable (_ table: String) -> Int64

    public init(
        _ programs: [RuleProgram], options: DetectionOptions, functions: any FunctionCatalog,
        literals: (any LiteralStore)? = nil, lateness: @escaping @Sendable (String) -> Int64
    ) throws {
        self.programs = programs
        self.options = options
        self.functions = functions
        self.literals = literals
        self.lateness = lateness
        runtimes = programs.map { RuleRuntime($0, options: options) }
        ruleSet = try DetectionEngine.compile(programs, functions, literals)
        renewClockGroups()
    }

    private static func compile(
        _ programs: [RuleProgram], _ functions: any FunctionCatalog, _ literals: (any LiteralStore)?
    ) throws -> RuleSet {
        try RuleSet(
            programs.enumerated().flatMap { rule, p in p.split.legs.map { (LegReference(rule: rule, leg: $0.index), $0) } },
            functions: functions, store: literals)
    }

    /// Puts another set of rules in place. Rules that behave as before keep their state; what they show of themselves (names, severity,
    /// entities, details) is that of the new set.
    public func reload(_ programs: [RuleProgram]) throws {
        let set = try DetectionEngine.compile(programs, functions, literals)
        catchUp()
        var known: [String: RuleRuntime] = [:]
        for r in runtimes { known[r.program.fingerprint] = r }
        runtimes = programs.map { p in
            guard let kept = known[p.fingerprint] else { return RuleRuntime(p, options: options) }
            if kept.program.presentation != p.presentation { kept.adopt(p) }
            return kept
        }
        for r in runtimes { r.observer = observer }
        renewClockGroups()
        // A kept runtime holds the legs of its own program, whose column identities it was built with.
        self.programs = runtimes.map(\.program)
        ruleSet =
            self.programs.map(\.fingerprint) == programs.map(\.fingerprint)
            ? try DetectionEngine.compile(self.programs, functions, literals) : set
    }

    /// Stands for every table in ``observe(table:least:greatest:)``: how far logs reach does not depend on what rules read.
    public static let allTables = ""

    /// Notes the event times of a chunk's rows, whether they matched or not.
    public func observe(table: String, least: Int64, greatest: Int64) {
        let s = seen[table]
        seen[table] = (min(s?.least ?? least, least), max(s?.greatest ?? greatest, greatest))
    }

    /// The highest event time seen in any table.
    public var highestTime: Int64? { seen.values.map(\.greatest).max() }
    public var lowestTime: Int64? { seen.values.map(\.least).min() }

    /// Records of the last ``accept(_:)`` that are older than everything retained.
    public private(set) var late: [LateRow] = []

    /// Takes survivors. Alerts come at once only for stateless rules and rows older than everything retained.
    public func accept(_ survivors: [SurvivorRows]) -> [AlertEvent] {
        var events: [AlertEvent] = []
        var refusals: [LateRow.Refusal] = []
        for (i, s) in survivors.enumerated() where runtimes.indices.contains(s.matches.leg.rule) {
            let rule = s.matches.leg.rule
            let runtime = runtimes[rule]
            let group = groupOfRule[rule]
            clockGroups[group].wake(rule, runtime, earliest: earliest(clockGroups[group].tables))
            events += runtime.accept(leg: s.matches.leg.leg, rows: s.matches.rows, raw: s.raw)
            if !runtime.refused.isEmpty {
                refusals.append(LateRow.Refusal(survivors: i, program: runtime.program, keys: runtime.refused))
            }
        }
        late = refusals.isEmpty ? [] : LateRow.collect(refusals, of: survivors)
        if !survivors.isEmpty { shed() }
        return events
    }

    /// Keeps evidence inside its budget by giving up the oldest raw records of the rule that holds most.
    private func shed() {
        var total = clockGroups.reduce(0) { $0 + $1.rawBytes }
        while total > options.evidenceBudget {
            guard let r = clockGroups.compactMap(\.richest).max(by: { $0.rawBytes < $1.rawBytes }) else { return }
            let freed = r.shedRaw()
            guard freed > 0 else { return }
            total -= freed
        }
    }

    /// The least time seen in a rule's own tables: its first tick must not depend on what other tables brought before.
    private func earliest(_ tables: Set<String>) -> Int64? {
        var least: Int64?
        for t in tables { if let s = seen[t] { least = min(least ?? s.least, s.least) } }
        return least
    }

    private func renewClockGroups(marks: [Set<String>: Int64]? = nil) {
        let marks = marks ?? Dictionary(clockGroups.compactMap { g in g.mark.map { (g.tables, $0) } }, uniquingKeysWith: { a, _ in a })
        var places: [Set<String>: Int] = [:]
        clockGroups = []
        groupOfRule = []
        for (i, r) in runtimes.enumerated() {
            let tables = r.program.tables
            let place = places[tables] ?? clockGroups.count
            if place == clockGroups.count {
                places[tables] = place
                clockGroups.append(ClockGroup(tables: tables, lateness: tables.map(lateness).max() ?? 0, mark: marks[tables]))
            }
            clockGroups[place].add(i, r)
            groupOfRule.append(place)
        }
    }

    /// Makes every idle rule as final as its group.
    private func catchUp() {
        let starts = clockGroups.map { earliest($0.tables) }
        for (r, g) in zip(runtimes, groupOfRule) { clockGroups[g].catchUp(r, earliest: starts[g]) }
    }

    /// Finalises ticks that the watermark (a time before which nothing more is expected, by table) has passed by the lateness.
    public func advance(watermark: (_ table: String) -> Int64?) -> [AlertEvent] {
        var events: [AlertEvent] = []
        for i in clockGroups.indices {
            guard let mark = clockGroups[i].tables.compactMap(watermark).min() else { continue }
            clockGroups[i].advance(watermark: mark, earliest: earliest(clockGroups[i].tables), into: &events)
        }
        return events
    }

    /// Raises what monotone rules can raise before their windows close.
    public func raiseEarly() -> [AlertEvent] {
        var events: [AlertEvent] = []
        for i in clockGroups.indices { clockGroups[i].raiseEarly(earliest: earliest(clockGroups[i].tables), into: &events) }
        return events
    }

    /// The input has ended. Without `to`, ticks are finalised up to the first at or after the highest event time.
    public func finish(to: Int64? = nil) -> [AlertEvent] {
        guard let highest = highestTime else { return [] }
        catchUp()
        // A rule whose tables never showed up has been silent since the logs began.
        let starts = clockGroups.map { earliest($0.tables) ?? lowestTime }
        return zip(runtimes, groupOfRule).flatMap { r, g in
            r.finish(through: to ?? highest, isComplete: to != nil, earliest: starts[g])
        }
    }

    /// Rows that came late, over all rules.
    public var lateRows: Int { runtimes.reduce(0) { $0 + $1.lateRows } }

    public var figures: [RuleFigures] {
        runtimes.map { r in
            RuleFigures(
                program: r.program, retainedRows: r.retainedRows, spilledRows: r.spilledRows,
                evidenceBytes: r.rawBytes, groups: r.panes?.groups ?? 0, cells: r.panes?.cells ?? 0, stateBytes: r.stateBytes,
                openEpisodes: r.openEpisodes, lateRows: r.lateRows, heldTicks: r.heldTicks, skippedTicks: r.skippedTicks,
                suppressedOpenings: r.suppressedOpenings,
                evaluations: r.evaluations, repeats: r.repeats, lastAlert: r.lastAlert, failure: r.failure, incompleteTick: r.incompleteTick
            )
        }
    }

    /// What the runtimes know of their costs, in order of the programs.
    var ruleCosts: [RuleCost] {
        runtimes.map { r in
            var c = RuleCost(id: r.program.rule.id, name: r.program.rule.name)
            (c.acceptTime, c.evaluationTime, c.evaluations) = (r.acceptTime, r.evaluationTime, r.evaluations)
            (c.retainedRows, c.groups, c.stateBytes, c.evidenceBytes) = (r.retainedRows, r.panes?.groups ?? 0, r.stateBytes, r.rawBytes)
            return c
        }
    }

    // MARK: Checkpoints

    /// What changed since ``checkpointed()``, all of it at once.
    public func checkpointDelta() -> CheckpointDelta {
        var delta = CheckpointDelta()
        forEachChange {
            switch $0 {
            case .added(let id, let bytes): delta.added.append((id, bytes))
            case .dropped(let id): delta.dropped.append(id)
            case .rule(let fingerprint, let bytes): delta.rules.append((fingerprint, bytes))
            case .engine(let bytes): delta.engine = bytes
            }
        }
        return delta
    }

    /// Hands over what changed since ``checkpointed()``, one document at a time: a large state is not in memory twice.
    public func forEachChange(_ body: (CheckpointDelta.Change) throws -> Void) rethrows {
        for r in runtimes where r.hasChanges { try r.forEachChange(body) }
        var w = StateWriter()
        w.u8(3)
        w.int(seen.count)
        for (table, s) in seen.sorted(by: { $0.key < $1.key }) {
            w.text(table)
            w.i64(s.least)
            w.i64(s.greatest)
        }
        let marked = clockGroups.compactMap { g in g.mark.map { (tables: g.tables.sorted(), mark: $0) } }
        w.int(marked.count)
        for g in marked.sorted(by: { $0.tables.lexicographicallyPrecedes($1.tables) }) {
            w.texts(g.tables)
            w.i64(g.mark)
        }
        try body(.engine(w.sealed()))
    }

    /// The last delta is safe.
    public func checkpointed() { for r in runtimes { r.checkpointed() } }

    /// Restores into a fresh engine. State of rules that are not loaded any more is ignored.
    public func restore(_ saved: SavedState) throws {
        var marks: [Set<String>: Int64] = [:]
        if let bytes = saved.engine {
            // Before version 3 no rule was behind the others.
            let version: UInt8 = bytes.first == 2 ? 2 : 3
            var r = try StateReader(sealed: bytes, version: version, unsealed: 1, "engine state")
            for _ in 0..<(try r.count(of: 24)) {
                let table = try r.text()
                seen[table] = (try r.i64(), try r.i64())
            }
            if bytes.first == 3 {
                for _ in 0..<(try r.count(of: 16)) {
                    let tables = Set(try r.texts())
                    marks[tables] = try r.i64()
                }
            }
            try r.end()
        }
        var segments: [String: [(leg: Int, id: Int64, bytes: [UInt8])]] = [:]
        for s in saved.segments { segments[s.id.rule, default: []].append((s.id.leg, s.id.id, s.bytes)) }
        for r in runtimes {
            if let bytes = saved.rules[r.program.fingerprint] { try r.restore(state: bytes) }
            if let mine = segments[r.program.fingerprint] { try r.restore(segments: mine) }
            r.recompute(earliest: earliest(r.program.tables))
        }
        renewClockGroups(marks: marks)
    }
}
