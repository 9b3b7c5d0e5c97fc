import Columnar
import Matcher
import Rules

// Alerts from tick results.
extension RuleRuntime {
    /// Folds the tick results and hands out what differs from what was handed out before.
    func emit() -> [AlertEvent] {
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
        where alerts[id] == nil && before.alert.firstTick > baseTick && before.alert.status != .merged && !isGapped(before.alert.firstTick)
        {
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
    func successor(of alert: Alert, among alerts: [String: Alert]) -> String? {
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
    func parity(_ ordered: [(tick: Int64, result: TickResult)]) -> ([String: Alert], EpisodeFold.State) {
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
    func remember(_ alert: inout Alert, revision: Int) -> Alert {
        let folded = alert
        alert.revision = revision
        attachEvidence(&alert)
        emitted[alert.id] = Emitted(alert: folded, revision: revision, evidence: alert.evidence)
        return alert
    }

    func attachEvidence(_ alert: inout Alert) {
        let before = emitted[alert.id]?.evidence ?? []
        alert.evidence = alert.evidence.map { e in
            let hash = RecordHash(e.key)
            for (leg, store) in zip(program.split.legs, stores) {
                if let raw = panes?.raw(e.key, leg: leg.index) ?? store.raw(hash) {
                    return Evidence(key: e.key, table: leg.table, raw: raw)
                }
            }
            if let known = before.first(where: { $0.key == e.key }) { return known }
            return Evidence(key: e.key, table: program.split.legs.count == 1 ? program.split.legs.first?.table ?? "" : "", raw: nil)
        }
    }
}
