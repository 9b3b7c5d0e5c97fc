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
    private(set) var program: RuleProgram
    let options: DetectionOptions
    private(set) var stores: [LegStore]

    /// Results of triggering ticks after ``baseTick``.
    private var results: [Int64: TickResult] = [:]
    /// Ticks whose result was computed before their window closed.
    private var provisional: Set<Int64> = []
    /// Ticks at or before this are evaluated and final.
    private(set) var finalThrough: Int64?
    /// Results up to here are folded into ``base`` and forgotten.
    private var baseTick = Int64.min
    private var base = EpisodeFold.State()
    /// Final ticks that a late row touched.
    private var dirty: Set<Int64> = []
    private var amended: Set<Int64> = []
    /// Times of rows since the last provisional evaluation.
    private var freshTimes: (least: Int64, greatest: Int64)?
    private var emitted: [String: Emitted] = [:]
    private var fold: EpisodeFold
    /// Sees the rows of every evaluation.
    var observer: ((TickObservation) -> Void)?

    private(set) var lateRows = 0
    /// Rows of the last ``accept(leg:rows:raw:)`` whose ticks are all final and forgotten.
    private(set) var refused: [RowKey] = []
    private(set) var heldTicks = 0
    private(set) var evaluations = 0
    /// Ticks since a window last held a row.
    private var silentTicks = 0
    /// Ticks that were left out of a long silence.
    private(set) var skippedTicks = 0
    private(set) var lastAlert: Int64?
    private(set) var failure: String?
    /// Least and greatest time of rows that were refused.
    private var gap: (least: Int64, greatest: Int64)?
    private var spillFile: SpillFile?
    /// Why rows cannot be moved to the disk.
    private var spillProblem: String?
    /// Something changed since the last checkpoint.
    private(set) var isDirty = false
    /// The tick whose window had not closed when the input ended.
    private(set) var incompleteTick: Int64?

    private struct Emitted {
        /// As folded: evidence by key only, so that versions compare.
        var alert: Alert
        var revision: Int
        /// Evidence with raw records, kept because the rows themselves expire.
        var evidence: [Evidence] = []
    }

    init(_ program: RuleProgram, options: DetectionOptions) {
        self.program = program
        self.options = options
        stores = program.split.legs.map { _ in LegStore() }
        fold = RuleRuntime.fold(of: program)
    }

    private static func fold(of program: RuleProgram) -> EpisodeFold {
        EpisodeFold(
            rule: program.rule, frequency: program.clock.frequency, period: program.clock.period,
            identify: { group, tick in program.alertID(group, tick) })
    }

    /// Goes on under another program of the same fingerprint: one that behaves alike and shows its alerts in another way. The rows that
    /// are retained fit, because the fingerprint covers names, types and order of the legs' columns.
    func adopt(_ other: RuleProgram) {
        program = other
        fold = RuleRuntime.fold(of: other)
    }

    var retainedRows: Int { stores.reduce(0) { $0 + $1.rowCount } }
    var openEpisodes: Int { base.open.values.count { !$0.isFull } }
    var suppressedOpenings: Int { base.suppressedOpenings }
    /// Rows came since the last look at open ticks.
    var hasFreshRows: Bool { freshTimes != nil }
    var rawBytes: Int { stores.reduce(0) { $0 + $1.rawBytes } }

    // MARK: Input

    func accept(leg: Int, rows: Batch, raw: [RecordHash: String]) -> [AlertEvent] {
        refused = []
        guard stores.indices.contains(leg), let keys = rows.keys else { return [] }
        guard admit(keys) else { return [] }
        isDirty = true
        stores[leg].append(rows, raw: raw)
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

    /// A stateless rule fires for a row however late it is: its tick's state is gone, so the alert stands alone.
    private func raiseForgotten(ticks first: Int64, _ last: Int64) -> [AlertEvent] {
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

    // MARK: Budget

    /// Whether rows fit into what the rule may retain in memory and on disk. Those that do not are refused, and with them every tick that
    /// they belong to: a monotone rule's alerts there say that they are incomplete, another rule does not alert.
    private func admit(_ keys: ContiguousArray<RowKey>) -> Bool {
        let room = options.retainedRowsPerRule + (canSpill ? options.spilledRowsPerRule : 0)
        guard retainedRows + keys.count > room else { return true }
        isDirty = true
        for k in keys { gap = (min(gap?.least ?? k.time, k.time), max(gap?.greatest ?? k.time, k.time)) }
        failure =
            "retains more than \(room) rows and refuses others: its conditions let too much through for its period"
            + (spillProblem.map { "; \($0)" } ?? "")
        return false
    }

    private var canSpill: Bool { spillProblem == nil && options.spilledRowsPerRule > 0 }

    /// Moves the oldest rows to the disk while more are in memory than may be.
    private func spill() {
        var resident = stores.reduce(0) { $0 + $1.residentRows }
        guard canSpill, resident > options.retainedRowsPerRule else { return }
        let file = spillFile ?? SpillFile(directory: options.spillDirectory)
        spillFile = file
        while resident > options.retainedRowsPerRule / 4 * 3 {
            guard
                let i = stores.indices.filter({ stores[$0].oldestResident != nil })
                    .min(by: { stores[$0].oldestResident ?? .max < stores[$1].oldestResident ?? .max })
            else { return }
            do { try stores[i].spillOldest(to: file) } catch {
                spillProblem = "\(error)"
                return
            }
            resident = stores.reduce(0) { $0 + $1.residentRows }
        }
    }

    /// Rows that are on the disk.
    var spilledRows: Int { stores.reduce(0) { $0 + $1.rowCount - $1.residentRows } }

    // MARK: Clock

    /// Evaluates every tick that the watermark has passed by `lateness`: rows of the watermark's own instant may still come, and so may
    /// rows of a tick that lies there. `earliest` is the least event time that the rule's tables have seen; ticks before it are nobody's.
    func advance(watermark: Int64, lateness: Int64, earliest: Int64?) -> [AlertEvent] {
        guard let earliest, watermark > Int64.min + lateness + 1 else { return [] }
        let limit = program.clock.last(atOrBefore: watermark - lateness - 1)
        if dirty.isEmpty, let final = finalThrough, limit <= final { return [] }
        var changed = false
        for tick in dirty.sorted() {
            amended.insert(tick)
            record(tick, evaluate(tick, complete: true, earliest: earliest, amended: true))
            changed = true
        }
        dirty = []
        var next = max(finalThrough.map { $0 + program.clock.frequency } ?? .min, program.clock.first(atOrAfter: earliest))
        while next <= limit {
            if !program.needsEmptyTicks {
                let from = next - program.clock.period
                guard let time = stores.compactMap({ $0.nextTime(atOrAfter: from) }).min() else { break }
                let covering = program.clock.covering(time).first
                if covering > next { next = covering }
                if next > limit { break }
            } else if let resume = endOfSilence(next) {
                if resume > next {
                    skippedTicks += Int((min(resume - 1, limit) - next) / program.clock.frequency) + 1
                    next = resume
                    continue
                }
            }
            provisional.remove(next)
            record(next, evaluate(next, complete: true, earliest: earliest, amended: amended.contains(next)))
            changed = true
            next += program.clock.frequency
        }
        if limit > finalThrough ?? .min {
            finalThrough = limit
            isDirty = true
            changed = changed || !base.open.isEmpty || !emitted.isEmpty || holdsExpired(lateness: lateness)
        }
        guard changed else { return [] }
        let events = emit()
        trim(lateness: lateness)
        return events
    }

    /// Nothing is held that the passing of time could change; only ``finalThrough`` would move.
    var isIdle: Bool {
        finalThrough != nil && !program.needsEmptyTicks && stores.allSatisfy(\.segments.isEmpty) && results.isEmpty && dirty.isEmpty
            && provisional.isEmpty && amended.isEmpty && emitted.isEmpty && base.open.isEmpty
    }

    /// The least watermark at which ``advance(watermark:lateness:earliest:)`` has something to do, unless a row comes before.
    func due(lateness: Int64) -> Int64 {
        guard dirty.isEmpty, let final = finalThrough else { return .min }
        let (at, overflow) = (final + program.clock.frequency).addingReportingOverflow(lateness + 1)
        return overflow ? .max : at
    }

    /// Ticks over empty windows that are evaluated one after another. A longer silence is taken for a hole in the logs (a record with a
    /// wrong clock makes one of decades): the rule waits for the next row.
    static let longestSilence = 10_000

    /// For a rule about absence: nil if there are rows in the tick's window; the tick itself while the silence is short; after that the
    /// first tick that sees a row again (`.max`: none yet).
    private func endOfSilence(_ tick: Int64) -> Int64? {
        let from = tick - program.clock.period
        if stores.contains(where: { $0.hasRows(from: from, to: tick) }) {
            silentTicks = 0
            return nil
        }
        if silentTicks < RuleRuntime.longestSilence {
            silentTicks += 1
            return tick
        }
        guard let time = stores.compactMap({ $0.nextTime(atOrAfter: from) }).min() else { return .max }
        return program.clock.covering(time).first
    }

    /// Ticks beyond the last final one that are looked at early. A source far behind the others (a backlog being read) leaves more of
    /// them open; the alerts of those come when they are final.
    private static let earlyTicks: Int64 = 64

    /// Streaming: raises for ticks whose window has not closed, where the plan is proved monotone.
    func raiseEarly(earliest: Int64?) -> [AlertEvent] {
        guard program.isMonotone, options.mode == .streaming, let fresh = freshTimes else { return [] }
        freshTimes = nil
        let step = program.clock.frequency
        guard let first = program.needsEmptyTicks ? earliest : stores.compactMap(\.earliest).min() else { return [] }
        // Without gaps from the last final tick on: an episode is known by its first tick, so none before may be left out.
        var tick = max(finalThrough.map { $0 + step } ?? .min, program.clock.first(atOrAfter: first))
        let touched = program.clock.first(atOrAfter: fresh.least)
        let last = min(
            max(program.clock.first(atOrAfter: fresh.greatest), provisional.max() ?? .min), tick + RuleRuntime.earlyTicks * step)
        var changed = false
        while tick <= last {
            if tick < touched, provisional.contains(tick) {
                tick += step
                continue
            }
            if !program.needsEmptyTicks {
                guard let time = stores.compactMap({ $0.nextTime(atOrAfter: tick - program.clock.period) }).min() else { break }
                tick = max(tick, program.clock.covering(time).first)
                if tick > last { break }
            }
            provisional.insert(tick)
            record(tick, evaluate(tick, complete: false, earliest: earliest, amended: false))
            changed = true
            tick += step
        }
        return changed ? emit() : []
    }

    /// The end of the input: `through` is the highest event time, or what `--to` says (then `isComplete`).
    func finish(through: Int64, isComplete: Bool, earliest: Int64?) -> [AlertEvent] {
        guard let earliest else { return [] }
        var events = advance(watermark: through &+ 1, lateness: 0, earliest: earliest)
        guard !isComplete else { return events }
        let tick = program.clock.first(atOrAfter: through)
        guard tick > through, tick > finalThrough ?? .min else { return events }
        let from = tick - program.clock.period
        let hasRows = stores.contains { $0.hasRows(from: from, to: tick) }
        if program.isMonotone {
            guard hasRows || program.needsEmptyTicks else { return events }
            provisional.insert(tick)
            record(tick, evaluate(tick, complete: false, earliest: earliest, amended: false))
            events += emit()
        } else if hasRows || program.needsEmptyTicks {
            incompleteTick = tick
        }
        return events
    }

    private func record(_ tick: Int64, _ result: TickResult?) {
        if results[tick] != result { isDirty = true }
        results[tick] = result
    }

    // MARK: Evaluation of a tick

    private func evaluate(_ tick: Int64, complete: Bool, earliest: Int64?, amended: Bool) -> TickResult? {
        let window = (from: tick - program.clock.period, to: tick)
        if !program.needsEmptyTicks, !stores.contains(where: { $0.hasRows(from: window.from, to: window.to) }) { return nil }
        // Rows of this window were refused: what only grows with them is still true, all else is not known.
        let isGapped = gap.map { $0.least <= window.to && $0.greatest >= window.from } ?? false
        if isGapped, !program.isMonotone { return nil }
        evaluations += 1
        do {
            let context = EvaluationContext(now: tick, seed: UInt64(bitPattern: tick), limits: options.limits)
            let provider = WindowProvider(program, stores, from: window.from, to: window.to, context: context)
            var executorOptions = ExecutorOptions()
            executorOptions.lineage = true
            executorOptions.stableTake = true
            let executor = Executor(provider: provider, context: context, options: executorOptions)
            var batches: [Batch] = []
            try executor.run(program.split.suffix) { batch in
                batches.append(batch)
                return true
            }
            observer?(
                TickObservation(
                    ruleID: program.rule.id, tick: tick, isComplete: complete, columns: program.split.suffix.columns, batches: batches))
            let count = batches.reduce(0) { $0 + $1.count }
            guard RuleProgram.triggers(program.rule, count: count) else { return nil }
            let hasHistory = earliest.map { $0 <= window.from } ?? true
            if program.isBaseline, !hasHistory, !options.coldRaise {
                heldTicks += 1
                return nil
            }
            return TickResult(
                groups: TickGrouping(program: program, options: options).groups(ResultRow.ordered(batches)),
                isWindowComplete: complete && !isGapped,
                isHistoryComplete: hasHistory, isAmended: amended)
        } catch {
            failure = "\(error)"
            return nil
        }
    }

    // MARK: Emission

    /// Folds the tick results and hands out what differs from what was handed out before.
    private func emit() -> [AlertEvent] {
        let ordered = results.sorted { $0.key < $1.key }.map { (tick: $0.key, result: $0.value) }
        var (alerts, state) = options.mode == .parity ? parity(ordered) : fold.fold(base, ordered)
        if options.mode == .streaming, let final = finalThrough { fold.closeBefore(final, &state, &alerts) }
        var events: [AlertEvent] = []
        for id in alerts.keys.sorted() {
            guard var alert = alerts[id] else { continue }
            if let before = emitted[id] {
                var same = before.alert
                same.status = alert.status
                same.revision = alert.revision
                let news = same != alert
                guard news || before.alert.status != alert.status else { continue }
                let revision = news ? max(alert.revision, before.revision + 1) : before.revision
                events.append(AlertEvent(alert: remember(&alert, revision: revision), notifies: news))
            } else {
                events.append(AlertEvent(alert: remember(&alert, revision: alert.revision), notifies: true))
            }
        }
        // Raised before, gone now: an earlier tick has taken the episode over.
        for (id, before) in emitted.sorted(by: { $0.key < $1.key })
        where alerts[id] == nil && before.alert.firstTick > baseTick && before.alert.status != .merged {
            var alert = before.alert
            alert.status = .merged
            alert.mergedInto = successor(of: alert, among: alerts)
            events.append(AlertEvent(alert: remember(&alert, revision: before.revision + 1), notifies: true))
        }
        if let newest = events.map(\.alert.endTime).max() { lastAlert = max(lastAlert ?? .min, newest) }
        if !events.isEmpty { isDirty = true }
        return events
    }

    /// The alert that stands for one whose group still triggers at its first tick: the episode that was open then, else the one whose
    /// opening suppressed it. Nil: the group is gone, because a late row took its result away.
    private func successor(of alert: Alert, among alerts: [String: Alert]) -> String? {
        let tick = alert.firstTick
        guard results[tick]?.groups.contains(where: { ByteText.equal($0.key, alert.groupKey) }) ?? false else { return nil }
        let episode = alerts.values.filter { ByteText.equal($0.groupKey, alert.groupKey) && $0.firstTick < tick }
            .max { $0.firstTick < $1.firstTick }
        if let episode { return episode.id }
        guard let d = program.rule.suppression else { return nil }
        return alerts.values.filter { $0.firstTick < tick && tick <= $0.firstTick + d }
            .max { ($0.firstTick, $0.id) < ($1.firstTick, $1.id) }?.id
    }

    /// Sentinel's own rhythm: each triggering tick alerts for itself.
    private func parity(_ ordered: [(tick: Int64, result: TickResult)]) -> ([String: Alert], EpisodeFold.State) {
        var alerts: [String: Alert] = [:]
        var state = base
        for (tick, result) in ordered {
            if let until = state.suppressedUntil, tick <= until {
                state.suppressedOpenings += 1
                continue
            }
            for g in result.groups {
                var a = fold.alert(g, tick, result)
                a.status = .closed
                alerts[a.id] = a
            }
            if !result.groups.isEmpty, let d = program.rule.suppression { state.suppressedUntil = tick + d }
        }
        return (alerts, state)
    }

    /// Notes a version as emitted; returns it with its revision and raw evidence.
    private func remember(_ alert: inout Alert, revision: Int) -> Alert {
        let folded = alert
        alert.revision = revision
        attachEvidence(&alert)
        emitted[alert.id] = Emitted(alert: folded, revision: revision, evidence: alert.evidence)
        return alert
    }

    private func attachEvidence(_ alert: inout Alert) {
        let before = emitted[alert.id]?.evidence ?? []
        alert.evidence = alert.evidence.map { e in
            let hash = RecordHash(e.key)
            for (leg, store) in zip(program.split.legs, stores) {
                if let raw = store.raw(hash) { return Evidence(key: e.key, table: leg.table, raw: raw) }
            }
            if let known = before.first(where: { $0.key == e.key }) { return known }
            return Evidence(key: e.key, table: program.split.legs.count == 1 ? program.split.legs.first?.table ?? "" : "", raw: nil)
        }
    }

    /// Whether rows are retained that no tick will read again.
    private func holdsExpired(lateness: Int64) -> Bool {
        guard let final = finalThrough else { return false }
        let horizon = program.clock.last(atOrBefore: final - max(lateness, program.clock.frequency)) - program.clock.period
        return stores.contains { $0.segments.contains { $0.greatest < horizon } }
    }

    /// Folds old ticks into the base and lets go of rows that no tick will read again.
    private func trim(lateness: Int64) {
        guard let final = finalThrough else { return }
        let keep = max(lateness, program.clock.frequency)
        let cut = program.clock.last(atOrBefore: final - keep)
        if cut > baseTick {
            let old = results.filter { $0.key <= cut }.sorted { $0.key < $1.key }.map { (tick: $0.key, result: $0.value) }
            if options.mode == .parity {
                base = parity(old).1
            } else {
                var (alerts, state) = fold.fold(base, old)
                fold.closeBefore(cut, &state, &alerts)
                base = state
            }
            results = results.filter { $0.key > cut }
            amended = amended.filter { $0 > cut }
            provisional = provisional.filter { $0 > final }
            baseTick = cut
            let open = Set(base.open.values.map(\.alert.id))
            emitted = emitted.filter { $0.value.alert.lastTick > cut || open.contains($0.key) }
        }
        let horizon = (baseTick == .min ? final : baseTick) - program.clock.period
        for i in stores.indices { stores[i].expire(before: horizon) }
        if let g = gap, g.greatest < horizon { gap = nil }
    }

    func shedRaw() -> Int {
        guard let i = stores.indices.max(by: { stores[$0].rawBytes < stores[$1].rawBytes }) else { return 0 }
        return stores[i].shedRaw()
    }

    // MARK: Checkpoints

    /// State apart from the retained rows.
    func encoded() -> [UInt8] {
        var w = StateWriter()
        w.u8(3)
        w.bool(finalThrough != nil)
        w.i64(finalThrough ?? 0)
        w.i64(baseTick)
        w.bool(base.suppressedUntil != nil)
        w.i64(base.suppressedUntil ?? 0)
        w.int(base.suppressedOpenings)
        w.int(base.open.count)
        for (group, open) in base.open.sorted(by: { $0.key < $1.key }) {
            w.text(group.text)
            w.i64(open.lastTick)
            w.bool(open.isFull)
            w.lineage(open.lineage)
            w.alert(open.alert)
        }
        w.int(emitted.count)
        for (_, e) in emitted.sorted(by: { $0.key < $1.key }) {
            w.int(e.revision)
            w.alert(e.alert)
            w.int(e.evidence.count)
            for v in e.evidence {
                w.key(v.key)
                w.text(v.table)
                w.optionalText(v.raw)
            }
        }
        // A tick that is still to be run again will be amended then.
        for ticks in [amended.union(dirty), provisional] {
            w.int(ticks.count)
            for t in ticks.sorted() { w.i64(t) }
        }
        w.int(lateRows)
        w.int(heldTicks)
        w.int(silentTicks)
        w.int(skippedTicks)
        w.bool(lastAlert != nil)
        w.i64(lastAlert ?? 0)
        w.bool(gap != nil)
        w.i64(gap?.least ?? 0)
        w.i64(gap?.greatest ?? 0)
        return w.sealed
    }

    func checkpointDelta() -> (segments: [(leg: Int, id: Int64, bytes: [UInt8])], dropped: [(leg: Int, id: Int64)]) {
        var segments: [(Int, Int64, [UInt8])] = []
        var dropped: [(Int, Int64)] = []
        for (leg, store) in stores.enumerated() {
            for id in store.added.sorted() {
                do { if let bytes = try store.encoded(id) { segments.append((leg, id, bytes)) } } catch {
                    failure = "rows cannot be saved: \(error)"
                }
            }
            for id in store.dropped.sorted() { dropped.append((leg, id)) }
        }
        return (segments, dropped)
    }

    /// What ``checkpointDelta()`` gave is safe on disk.
    func checkpointed() {
        for i in stores.indices { stores[i].checkpointed() }
        isDirty = false
    }

    var hasChanges: Bool { isDirty || stores.contains { !$0.added.isEmpty || !$0.dropped.isEmpty } }

    func restore(segments: [(leg: Int, id: Int64, bytes: [UInt8])]) throws {
        for s in segments.sorted(by: { $0.id < $1.id }) where stores.indices.contains(s.leg) {
            try stores[s.leg].restore(id: s.id, bytes: s.bytes, columns: program.split.legs[s.leg].columns)
            spill()
        }
    }

    func restore(state bytes: [UInt8]) throws {
        var r = try StateReader(sealed: bytes, version: 3, unsealed: 2, "rule state")
        let hasFinal = try r.bool()
        let final = try r.i64()
        finalThrough = hasFinal ? final : nil
        baseTick = try r.i64()
        let hasSuppressed = try r.bool()
        let suppressed = try r.i64()
        base.suppressedUntil = hasSuppressed ? suppressed : nil
        base.suppressedOpenings = try r.int()
        for _ in 0..<(try r.count(of: 16)) {
            let group = try r.text()
            let last = try r.i64()
            let isFull = bytes.first == 2 ? false : try r.bool()
            let lineage = try r.lineage()
            base.open[ByteKey(group)] = EpisodeFold.Open(alert: try r.alert(), lineage: lineage, lastTick: last, isFull: isFull)
        }
        for _ in 0..<(try r.count(of: 16)) {
            let revision = try r.int()
            let alert = try r.alert()
            var evidence: [Evidence] = []
            for _ in 0..<(try r.count(of: 32)) {
                evidence.append(Evidence(key: try r.key(), table: try r.text(), raw: try r.optionalText()))
            }
            emitted[alert.id] = Emitted(alert: alert, revision: revision, evidence: evidence)
        }
        for _ in 0..<(try r.count(of: 8)) { amended.insert(try r.i64()) }
        for _ in 0..<(try r.count(of: 8)) { provisional.insert(try r.i64()) }
        lateRows = try r.int()
        heldTicks = try r.int()
        if bytes.first != 2 { (silentTicks, skippedTicks) = (try r.int(), try r.int()) }
        let hasAlert = try r.bool()
        let alertTime = try r.i64()
        lastAlert = hasAlert ? alertTime : nil
        if !r.isAtEnd {
            let (hasGap, least, greatest) = (try r.bool(), try r.i64(), try r.i64())
            gap = hasGap ? (least, greatest) : nil
        }
        try r.end()
    }

    /// After both restores: tick results are recomputed from the retained rows, because they follow from them.
    func recompute(earliest: Int64?) {
        let step = program.clock.frequency
        let from = baseTick == .min ? Int64.min : program.clock.first(atOrAfter: baseTick + 1)
        var ticks: Set<Int64> = []
        for s in stores {
            for segment in s.segments {
                for time in segment.times {
                    freshTimes = (min(freshTimes?.least ?? time, time), max(freshTimes?.greatest ?? time, time))
                    guard let final = finalThrough else { continue }
                    var (tick, last) = program.clock.covering(time)
                    tick = max(tick, from)
                    last = min(last, final)
                    while tick <= last {
                        ticks.insert(tick)
                        tick += step
                    }
                }
            }
        }
        if program.needsEmptyTicks, let final = finalThrough, let earliest {
            var tick = max(from, program.clock.first(atOrAfter: earliest))
            while tick <= final {
                ticks.insert(tick)
                tick += step
            }
        }
        let held = heldTicks
        for tick in ticks { results[tick] = evaluate(tick, complete: true, earliest: earliest, amended: amended.contains(tick)) }
        for tick in provisional where tick > finalThrough ?? .min {
            results[tick] = evaluate(tick, complete: false, earliest: earliest, amended: false)
        }
        heldTicks = held
    }
}
