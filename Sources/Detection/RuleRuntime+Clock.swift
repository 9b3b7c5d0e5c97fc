import Columnar
import KQL

// The passing of event time: which ticks are evaluated when.
extension RuleRuntime {
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
                guard let time = nextTime(atOrAfter: from) else { break }
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
        finalThrough != nil && !program.needsEmptyTicks && stores.allSatisfy { $0.segments.isEmpty } && (panes?.isEmpty ?? true)
            && results.isEmpty && dirty.isEmpty
            && provisional.isEmpty && amended.isEmpty && emitted.isEmpty && base.open.isEmpty
    }

    /// The least watermark at which ``advance(watermark:lateness:earliest:)`` has something to do, unless a row comes before.
    func due(lateness: Int64) -> Int64 {
        guard dirty.isEmpty, let final = finalThrough else { return .min }
        let (at, overflow) = (final + program.clock.frequency).addingReportingOverflow(lateness + 1)
        return overflow ? .max : at
    }

    // Of the legs that keep rows, and of those that panes stand for. Ends of intervals are ends of windows.

    func nextTime(atOrAfter time: Int64) -> Int64? {
        (rowStores.compactMap { $0.nextTime(atOrAfter: time) } + [panes?.nextTime(atOrAfter: time)].compactMap { $0 }).min()
    }

    func hasRows(from: Int64, to: Int64) -> Bool {
        rowStores.contains { $0.hasRows(from: from, to: to) } || panes?.hasRows(from: from, to: to) ?? false
    }

    func hasRows(leg: Int, from: Int64, to: Int64) -> Bool {
        if let panes, panes.isThin(leg) { return panes.hasRows(leg: leg, from: from, to: to) }
        return stores[leg].hasRows(from: from, to: to)
    }

    private var earliestTime: Int64? { (rowStores.compactMap(\.earliest) + [panes?.earliest].compactMap { $0 }).min() }

    private var rowStores: [LegStore] { panes == nil ? stores : stores.filter(\.keepsRows) }

    /// Ticks over empty windows that are evaluated one after another. A longer silence is taken for a hole in the logs (a record with a
    /// wrong clock makes one of decades): the rule waits for the next row.
    static let longestSilence = 10_000

    /// For a rule about absence: nil if there are rows in the tick's window; the tick itself while the silence is short; after that the
    /// first tick that sees a row again (`.max`: none yet).
    func endOfSilence(_ tick: Int64) -> Int64? {
        let from = tick - program.clock.period
        if hasRows(from: from, to: tick) {
            silentTicks = 0
            return nil
        }
        if silentTicks < RuleRuntime.longestSilence {
            silentTicks += 1
            return tick
        }
        guard let time = nextTime(atOrAfter: from) else { return .max }
        return program.clock.covering(time).first
    }

    /// Ticks beyond the last final one that are looked at early. A source far behind the others (a backlog being read) leaves more of
    /// them open; the alerts of those come when they are final.
    static let earlyTicks: Int64 = 64

    /// Streaming: raises for ticks whose window has not closed, where the plan is proved monotone.
    func raiseEarly(earliest: Int64?) -> [AlertEvent] {
        guard program.isMonotone, options.mode == .streaming, let fresh = freshTimes else { return [] }
        freshTimes = nil
        let step = program.clock.frequency
        guard let first = program.needsEmptyTicks ? earliest : earliestTime else { return [] }
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
                guard let time = nextTime(atOrAfter: tick - program.clock.period) else { break }
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
        let hasRows = hasRows(from: from, to: tick)
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

    func record(_ tick: Int64, _ result: TickResult?) {
        if results[tick] != result { isDirty = true }
        results[tick] = result
    }
}
