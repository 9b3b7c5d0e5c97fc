import Columnar
import Detection
import Ingest
import Logging
import Pipeline

/// How event time moves on.
extension Daemon {
    /// Lets event time move on: final ticks, then what monotone rules can raise early.
    func settle() {
        let now = WallClock.monotonic
        for (id, s) in sources where !s.isIdle && now - s.lastData > configuration.idleTimeout {
            sources[id]?.isIdle = true
            if !s.isDone { log.info("source is idle and holds nobody back", metadata: ["path": "\(s.path)"]) }
        }
        forgetSources()
        handle(engine.advance { table in watermark(of: table) })
        if configuration.mode == .streaming { handle(engine.raiseEarly()) }
    }

    /// Sources that have ended or are not open any more, and from which nothing has come for long, leave only the time they reached.
    private func forgetSources() {
        guard let tails, sources.count > tails.streams.count else { return }
        let followed = Set(tails.streams.map(\.id))
        for (id, s) in sources where s.isIdle && !followed.contains(id) {
            if let mark = s.clock.watermark { for t in s.tables { pastMarks[t] = max(pastMarks[t] ?? mark, mark) } }
            sources[id] = nil
        }
    }

    private func watermark(of table: String) -> Int64? {
        var least: Int64?
        var past = pastMarks[table]
        var isSilent = true
        for s in sources.values where s.tables.contains(table) {
            guard let mark = s.clock.watermark else { continue }
            if !s.isIdle, !s.isDone { least = min(least ?? mark, mark) } else { past = max(past ?? mark, mark) }
            if !s.isIdle { isSilent = false }
        }
        if let least { return least }
        guard let past, isSilent else { return past }
        // Everybody is silent: wall time takes over, if the logs are about the present at all.
        let wall = WallClock.now
        return wall - past < 7 * KustoTime.ticksPerDay ? max(past, wall - configuration.idleTimeout) : past
    }

    func handle(_ events: [AlertEvent]) {
        for e in events where e.notifies && e.alert.revision == 1 { totals.alerts += 1 }
        pendingEvents += events
    }
}
