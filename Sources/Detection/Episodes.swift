import Columnar
import Rules

/// What one group of a triggering tick looked like.
struct GroupResult: Sendable, Hashable {
    let key: String
    /// Contributing rows; nil for a result without any (absence).
    let lineage: Lineage?
    let resultCount: Int
    let content: AlertContent
}

/// The parts of an alert that come from result rows.
struct AlertContent: Sendable, Hashable {
    var name: String
    var description: String
    var severity: AnalyticsRule.Severity
    var tactics: [String]
    var techniques: [String]
    var entities: [Entity]
    var droppedEntities: Int
    var details: [Alert.Detail]
    var properties: [Dynamic.Member]
}

/// The outcome of one tick that triggered. Ticks that did not trigger leave no record.
struct TickResult: Sendable, Hashable {
    var groups: [GroupResult]
    var isWindowComplete: Bool
    var isHistoryComplete: Bool
    /// Evaluated again after it was final.
    var isAmended: Bool
}

/// The episodes of a rule as a pure function of its tick results (`docs/semantics.md`, "Alerts").
///
/// Folding is deterministic and has no memory besides the base state: a late row changes some tick's result, the fold is run again, and
/// the difference to what was emitted before is what sinks get. Batching, threads and restarts therefore cannot show.
struct EpisodeFold: Sendable {
    /// An episode that later ticks may revise.
    struct Open: Sendable, Hashable {
        var alert: Alert
        var lineage: Lineage?
        var lastTick: Int64
        /// Its span is used up: it is closed, and stands here until the group brings rows that it had not, or is gone.
        var isFull = false
    }

    /// State before the first tick that is still kept.
    struct State: Sendable, Hashable {
        var open: [ByteKey: Open] = [:]
        var suppressedUntil: Int64?
        /// Openings that suppression swallowed.
        var suppressedOpenings = 0
    }

    let rule: AnalyticsRule
    let frequency: Int64
    let period: Int64
    let identify: @Sendable (_ group: String, _ tick: Int64) -> String

    /// An episode may not span more than this.
    var maximumSpan: Int64 { max(period, frequency, KustoTime.ticksPerDay) }

    /// Folds the results, ascending by tick. Returns every episode that was touched, latest version, by id; and the state after.
    func fold(_ base: State, _ results: [(tick: Int64, result: TickResult)]) -> (alerts: [String: Alert], state: State) {
        var state = base
        var alerts: [String: Alert] = [:]
        for (tick, result) in results {
            // Episodes that missed a tick are closed: "closes at the first tick without".
            for (group, open) in state.open where open.lastTick < tick - frequency { close(group, open, &state, &alerts) }
            let present = Set(result.groups.map { ByteKey($0.key) })
            for (group, open) in state.open where !present.contains(group) { close(group, open, &state, &alerts) }
            // Suppression looks at openings of earlier ticks only: groups of one tick do not suppress each other.
            let suppressed = state.suppressedUntil.map { tick <= $0 } ?? false
            var opened = false
            for g in result.groups {
                let key = ByteKey(g.key)
                if var open = state.open[key] {
                    if tick - open.alert.firstTick < maximumSpan {
                        revise(&open, g, tick, result)
                        state.open[key] = open
                        alerts[open.alert.id] = open.alert
                        continue
                    }
                    close(key, open, &state, &alerts)
                    // The span is full: a new episode needs rows that the old one had not seen.
                    if !EpisodeFold.hasNews(open.lineage, g.lineage) {
                        open.alert.status = .closed
                        open.lineage = g.lineage
                        open.lastTick = tick
                        open.isFull = true
                        state.open[key] = open
                        continue
                    }
                }
                if suppressed {
                    state.suppressedOpenings += 1
                    continue
                }
                opened = true
                let alert = self.alert(g, tick, result)
                state.open[key] = Open(alert: alert, lineage: g.lineage, lastTick: tick)
                alerts[alert.id] = alert
            }
            if opened, let d = rule.suppression { state.suppressedUntil = tick + d }
        }
        return (alerts, state)
    }

    /// Closes what the passing of time closes: episodes whose next tick is final and did not trigger.
    func closeBefore(_ finalTick: Int64, _ state: inout State, _ alerts: inout [String: Alert]) {
        for (group, open) in state.open where open.lastTick < finalTick { close(group, open, &state, &alerts) }
    }

    private func close(_ group: ByteKey, _ open: Open, _ state: inout State, _ alerts: inout [String: Alert]) {
        state.open[group] = nil
        var alert = open.alert
        alert.status = .closed
        alerts[alert.id] = alert
    }

    /// Whether rows have come. Rows that only left the window are no news.
    private static func hasNews(_ before: Lineage?, _ now: Lineage?) -> Bool {
        guard let now else { return false }
        guard let before else { return true }
        return now.greatest > before.greatest || now.count > before.count
    }

    private func revise(_ open: inout Open, _ g: GroupResult, _ tick: Int64, _ result: TickResult) {
        open.lastTick = tick
        if result.isAmended { open.alert.isAmended = true }
        guard open.lineage != g.lineage, let now = g.lineage else { return }
        let before = open.lineage
        open.lineage = now
        guard EpisodeFold.hasNews(before, now) else { return }
        var a = open.alert
        a.revision += 1
        a.lastTick = tick
        a.startTime = min(a.startTime, now.least.time)
        a.endTime = max(a.endTime, now.greatest.time)
        a.resultCount = g.resultCount
        a.eventCount = now.count
        a.isWindowComplete = result.isWindowComplete
        a.isHistoryComplete = a.isHistoryComplete && result.isHistoryComplete
        let known = Set(a.entities)
        let fresh = g.content.entities.filter { !known.contains($0) }
        let room = max(0, EntityMapper.limit - a.entities.count)
        a.entities += fresh.prefix(room)
        a.droppedEntities = max(a.droppedEntities, g.content.droppedEntities) + max(0, fresh.count - room)
        for d in g.content.details {
            if let i = a.details.firstIndex(where: { $0.key == d.key }) {
                for v in d.values
                where !a.details[i].values.contains(where: { ByteText.equal($0, v) })
                    && a.details[i].values.count < AlertBuilder.detailValues
                {
                    a.details[i].values.append(v)
                }
            } else {
                a.details.append(d)
            }
        }
        a.severity = max(a.severity, g.content.severity)
        var keys = a.evidence.map(\.key)
        for k in now.sample where !keys.contains(k) { keys.append(k) }
        a.evidence = EpisodeFold.sample(keys)
        open.alert = a
    }

    /// The five least and five greatest keys; raw records are attached when the alert is emitted.
    static func sample(_ keys: [RowKey]) -> [Evidence] {
        var sorted = keys.sorted()
        let side = Lineage.sampleSide
        if sorted.count > 2 * side { sorted.removeSubrange(side..<(sorted.count - side)) }
        return sorted.map { Evidence(key: $0, table: "", raw: nil) }
    }

    func alert(_ g: GroupResult, _ tick: Int64, _ result: TickResult) -> Alert {
        Alert(
            id: identify(g.key, tick), revision: 1, status: .open, isAmended: result.isAmended, ruleID: rule.id, ruleName: rule.name,
            ruleVersion: rule.version, name: g.content.name, description: g.content.description, severity: g.content.severity,
            tactics: g.content.tactics, techniques: g.content.techniques, entities: g.content.entities,
            droppedEntities: g.content.droppedEntities, details: g.content.details, dynamicProperties: g.content.properties,
            startTime: g.lineage?.least.time ?? tick - period, endTime: g.lineage?.greatest.time ?? tick, firstTick: tick, lastTick: tick,
            period: period, frequency: frequency, isWindowComplete: result.isWindowComplete, isHistoryComplete: result.isHistoryComplete,
            resultCount: g.resultCount, eventCount: g.lineage?.count ?? 0,
            evidence: EpisodeFold.sample(g.lineage?.sample ?? []), groupKey: g.key)
    }
}
