import Columnar
import KQL
import Matcher

// What outlives the process.
extension RuleRuntime {
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
        return w.sealed()
    }

    /// Hands over what changed since the last checkpoint, one encoded document at a time.
    func forEachChange(_ body: (CheckpointDelta.Change) throws -> Void) rethrows {
        func segment(_ leg: Int, _ id: Int64) -> CheckpointDelta.SegmentID { .init(rule: program.fingerprint, leg: leg, id: id) }
        for (leg, store) in stores.enumerated() {
            for id in store.added.sorted() {
                var encoded: [UInt8]?
                do { encoded = try store.encoded(id) } catch { failure = "rows cannot be saved: \(error)" }
                if let encoded { try body(.added(segment(leg, id), encoded)) }
            }
            for id in store.dropped.sorted() { try body(.dropped(segment(leg, id))) }
        }
        try body(.rule(program.fingerprint, encoded()))
    }

    /// What ``forEachChange(_:)`` gave is safe on disk.
    func checkpointed() {
        for i in stores.indices { stores[i].checkpointed() }
        isDirty = false
    }

    var hasChanges: Bool { isDirty || stores.contains { !$0.added.isEmpty || !$0.dropped.isEmpty } }

    func restore(segments: [(leg: Int, id: Int64, bytes: [UInt8])]) throws {
        prepare()
        for s in segments.sorted(by: { $0.id < $1.id }) where stores.indices.contains(s.leg) {
            try stores[s.leg].restore(id: s.id, bytes: s.bytes, columns: program.split.legs[s.leg].columns)
            if let panes {
                if let (rows, raw) = try stores[s.leg].content(s.id) {
                    panes.accept(leg: s.leg, rows, raw: raw)
                    replaceFailedPanes(rows)
                }
                stores[s.leg].releaseRestored()
            }
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
        func note(_ time: Int64) {
            freshTimes = (min(freshTimes?.least ?? time, time), max(freshTimes?.greatest ?? time, time))
            guard let final = finalThrough else { return }
            var (tick, last) = program.clock.covering(time)
            tick = max(tick, from)
            last = min(last, final)
            while tick <= last {
                ticks.insert(tick)
                tick += step
            }
        }
        for s in stores where s.keepsRows { for segment in s.segments { for time in segment.times { note(time) } } }
        for time in panes?.times ?? [] { note(time) }
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
