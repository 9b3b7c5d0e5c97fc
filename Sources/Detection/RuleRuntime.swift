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
    /// Rows that one rule may retain; beyond, it is reported and stops taking rows.
    public var retainedRowsPerRule = 5_000_000
    public var limits = EvaluationLimits()
    public init() {}
}

/// The state of one rule: retained rows, tick results, episodes, and what was emitted.
///
/// Not thread-safe: the engine runs each rule on one thread at a time.
final class RuleRuntime {
    let program: RuleProgram
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
    private let fold: EpisodeFold

    private(set) var lateRows = 0
    private(set) var heldTicks = 0
    private(set) var evaluations = 0
    private(set) var lastAlert: Int64?
    private(set) var failure: String?
    private(set) var isOverBudget = false
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
        fold = EpisodeFold(
            rule: program.rule, frequency: program.clock.frequency, period: program.clock.period,
            identify: { [program] group, tick in program.alertID(group, tick) })
    }

    var retainedRows: Int { stores.reduce(0) { $0 + $1.rowCount } }
    var openEpisodes: Int { base.open.count }
    var suppressedOpenings: Int { base.suppressedOpenings }
    var rawBytes: Int { stores.reduce(0) { $0 + $1.rawBytes } }

    // MARK: Input

    func accept(leg: Int, rows: Batch, raw: [RecordHash: String]) -> [AlertEvent] {
        guard stores.indices.contains(leg), let keys = rows.keys else { return [] }
        guard retainedRows + rows.count <= options.retainedRowsPerRule else {
            isOverBudget = true
            failure = "retains more than \(options.retainedRowsPerRule) rows: its conditions let too much through for its period"
            return []
        }
        isDirty = true
        stores[leg].append(rows, raw: raw)
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
            if program.isRowLocal, last <= baseTick { events += raiseForgotten(tick: first) }
        }
        return events
    }

    /// A stateless rule fires for a row however late it is: its tick's state is gone, so the alert stands alone.
    private func raiseForgotten(tick: Int64) -> [AlertEvent] {
        guard let result = evaluate(tick, complete: true, earliest: nil, amended: true) else { return [] }
        let (alerts, _) = fold.fold(EpisodeFold.State(), [(tick, result)])
        return alerts.values.sorted { $0.id < $1.id }.filter { emitted[$0.id] == nil }.map { alert in
            var a = alert
            a.status = .closed
            attachEvidence(&a)
            return AlertEvent(alert: a, notifies: true)
        }
    }

    // MARK: Clock

    /// Evaluates every tick that the watermark has passed by `lateness`. `earliest` is the least event time that the rule's tables have seen.
    func advance(watermark: Int64, lateness: Int64, earliest: Int64?) -> [AlertEvent] {
        guard let earliest, watermark > Int64.min + lateness else { return [] }
        let limit = program.clock.last(atOrBefore: watermark - lateness)
        if dirty.isEmpty, let final = finalThrough, limit <= final { return [] }
        var changed = false
        for tick in dirty.sorted() {
            amended.insert(tick)
            record(tick, evaluate(tick, complete: true, earliest: earliest, amended: true))
            changed = true
        }
        dirty = []
        var next = finalThrough.map { $0 + program.clock.frequency } ?? program.clock.first(atOrAfter: earliest)
        while next <= limit {
            if !program.needsEmptyTicks {
                let from = next - program.clock.period
                guard let time = stores.compactMap({ $0.nextTime(atOrAfter: from) }).min() else { break }
                let covering = program.clock.covering(time).first
                if covering > next { next = covering }
                if next > limit { break }
            }
            provisional.remove(next)
            record(next, evaluate(next, complete: true, earliest: earliest, amended: amended.contains(next)))
            changed = true
            next += program.clock.frequency
        }
        let start = program.clock.first(atOrAfter: earliest) - program.clock.frequency
        let reached = max(limit, start)
        if reached > finalThrough ?? .min {
            finalThrough = reached
            isDirty = true
            changed = changed || !base.open.isEmpty || !emitted.isEmpty
        }
        guard changed else { return [] }
        let events = emit()
        trim(lateness: lateness)
        return events
    }

    /// Streaming: raises for ticks whose window has not closed, where the plan is proved monotone.
    func raiseEarly(earliest: Int64?) -> [AlertEvent] {
        guard program.isMonotone, options.mode == .streaming, let fresh = freshTimes else { return [] }
        freshTimes = nil
        let step = program.clock.frequency
        var tick = max(program.clock.first(atOrAfter: fresh.least), finalThrough.map { $0 + step } ?? .min)
        let last = program.clock.first(atOrAfter: fresh.greatest)
        var changed = false
        while tick <= last {
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
        var events = advance(watermark: through, lateness: 0, earliest: earliest)
        guard !isComplete else { return events }
        let tick = program.clock.first(atOrAfter: through)
        guard tick > through, tick > finalThrough ?? .min else { return events }
        let from = tick - program.clock.period
        let hasRows = stores.contains { $0.hasRows(from: from, to: tick) }
        if program.isMonotone {
            guard hasRows else { return events }
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
        evaluations += 1
        do {
            let context = EvaluationContext(now: tick, seed: UInt64(bitPattern: tick), limits: options.limits)
            let provider = try WindowProvider(program, stores, from: window.from, to: window.to, context: context)
            var executorOptions = ExecutorOptions()
            executorOptions.lineage = true
            executorOptions.stableTake = true
            let executor = Executor(provider: provider, context: context, options: executorOptions)
            var rows: [ResultRow] = []
            try executor.run(program.split.suffix) { batch in
                for r in 0..<batch.count {
                    rows.append(
                        ResultRow(
                            batch: batch, row: r, key: batch.keys.map { $0[r] } ?? .ordinal(rows.count),
                            lineage: batch.lineage.map { $0[r] } ?? batch.keys.map { Lineage($0[r]) }))
                }
                return true
            }
            guard RuleProgram.triggers(program.rule, count: rows.count) else { return nil }
            let hasHistory = earliest.map { $0 <= window.from } ?? true
            if program.isBaseline, !hasHistory, !options.coldRaise {
                heldTicks += 1
                return nil
            }
            rows.sort { $0.key < $1.key }
            return TickResult(
                groups: groups(rows, tick), isWindowComplete: complete, isHistoryComplete: hasHistory, isAmended: amended)
        } catch {
            failure = "\(error)"
            return nil
        }
    }

    private struct ResultRow {
        let batch: Batch
        let row: Int
        let key: RowKey
        let lineage: Lineage?
    }

    private func groups(_ rows: [ResultRow], _ tick: Int64) -> [GroupResult] {
        if program.rule.grouping == .singleAlert { return [group("", rows)] }
        var order: [String] = []
        var members: [String: [ResultRow]] = [:]
        for (i, r) in rows.enumerated() {
            let key = options.mode == .parity ? "row\(i)" : groupKey(r)
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(r)
        }
        let cap = options.mode == .parity ? (program.rule.kind == .nrt ? 30 : 150) : options.alertsPerTick
        if options.mode == .streaming { order.sort() }
        guard order.count > cap, cap > 0 else { return order.map { group($0, members[$0] ?? []) } }
        let overflow = order.dropFirst(cap - 1).flatMap { members[$0] ?? [] }
        return order.prefix(cap - 1).map { group($0, members[$0] ?? []) } + [group("\u{1}overflow", overflow)]
    }

    private func groupKey(_ r: ResultRow) -> String {
        if let columns = program.groupColumns {
            return columns.map { CellText.text(r.batch.columns[$0].value(r.row)) }.joined(separator: "\u{1f}")
        }
        let entities = program.builder.mapper.columns
        let values = entities.map { CellText.text(r.batch.columns[$0].value(r.row)) }
        if values.contains(where: { !$0.isEmpty }) { return values.joined(separator: "\u{1f}") }
        return "\(r.key.time):\(r.key.hashHigh):\(r.key.hashLow):\(r.key.path)"
    }

    private func group(_ key: String, _ rows: [ResultRow]) -> GroupResult {
        var lineage: Lineage?
        for r in rows {
            guard let l = r.lineage else { continue }
            if lineage == nil { lineage = l } else { lineage?.merge(l) }
        }
        return GroupResult(
            key: key, lineage: lineage, resultCount: rows.count, content: program.builder.content(rows.map { ($0.batch, $0.row) }))
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
            alert.mergedInto =
                alerts.values.filter {
                    $0.groupKey == alert.groupKey && $0.firstTick <= alert.firstTick
                        && $0.lastTick >= alert.firstTick - program.clock.frequency
                }.min { $0.firstTick < $1.firstTick }?.id
            events.append(AlertEvent(alert: remember(&alert, revision: before.revision + 1), notifies: true))
        }
        if let newest = events.map(\.alert.endTime).max() { lastAlert = max(lastAlert ?? .min, newest) }
        if !events.isEmpty { isDirty = true }
        return events
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
            baseTick = cut
            let open = Set(base.open.values.map(\.alert.id))
            emitted = emitted.filter { $0.value.alert.lastTick > cut || open.contains($0.key) }
        }
        let horizon = (baseTick == .min ? final : baseTick) - program.clock.period
        for i in stores.indices { stores[i].expire(before: horizon) }
    }

    func shedRaw() -> Int {
        guard let i = stores.indices.max(by: { stores[$0].rawBytes < stores[$1].rawBytes }) else { return 0 }
        return stores[i].shedRaw()
    }

    // MARK: Checkpoints

    /// State apart from the retained rows.
    func encoded() -> [UInt8] {
        var w = StateWriter()
        w.u8(1)
        w.bool(finalThrough != nil)
        w.i64(finalThrough ?? 0)
        w.i64(baseTick)
        w.bool(base.suppressedUntil != nil)
        w.i64(base.suppressedUntil ?? 0)
        w.int(base.suppressedOpenings)
        w.int(base.open.count)
        for (group, open) in base.open.sorted(by: { $0.key < $1.key }) {
            w.text(group)
            w.i64(open.lastTick)
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
        w.int(amended.count)
        for t in amended.sorted() { w.i64(t) }
        w.int(lateRows)
        w.int(heldTicks)
        w.bool(lastAlert != nil)
        w.i64(lastAlert ?? 0)
        return w.bytes
    }

    func checkpointDelta() -> (segments: [(leg: Int, id: Int64, bytes: [UInt8])], dropped: [(leg: Int, id: Int64)]) {
        var segments: [(Int, Int64, [UInt8])] = []
        var dropped: [(Int, Int64)] = []
        for (leg, store) in stores.enumerated() {
            for id in store.added.sorted() { if let bytes = store.encoded(id) { segments.append((leg, id, bytes)) } }
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
        }
    }

    func restore(state bytes: [UInt8]) throws {
        var r = StateReader(bytes)
        guard try r.u8() == 1 else { throw StateError("rule state of an unknown version") }
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
            let lineage = try r.lineage()
            base.open[group] = EpisodeFold.Open(alert: try r.alert(), lineage: lineage, lastTick: last)
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
        lateRows = try r.int()
        heldTicks = try r.int()
        let hasAlert = try r.bool()
        let alertTime = try r.i64()
        lastAlert = hasAlert ? alertTime : nil
    }

    /// After both restores: tick results are recomputed from the retained rows, because they follow from them.
    func recompute(earliest: Int64?) {
        guard let final = finalThrough else { return }
        var times: Set<Int64> = []
        for s in stores {
            for segment in s.segments {
                for k in segment.rows.keys ?? [] {
                    var (tick, last) = program.clock.covering(k.time)
                    tick = max(tick, baseTick == .min ? tick : program.clock.first(atOrAfter: baseTick + 1))
                    last = min(last, final)
                    while tick <= last {
                        times.insert(tick)
                        tick += program.clock.frequency
                    }
                    freshTimes = (min(freshTimes?.least ?? k.time, k.time), max(freshTimes?.greatest ?? k.time, k.time))
                }
            }
        }
        if program.needsEmptyTicks, baseTick != .min {
            var tick = program.clock.first(atOrAfter: baseTick + 1)
            while tick <= final {
                times.insert(tick)
                tick += program.clock.frequency
            }
        }
        let held = heldTicks
        for tick in times { results[tick] = evaluate(tick, complete: true, earliest: earliest, amended: amended.contains(tick)) }
        heldTicks = held
    }
}
