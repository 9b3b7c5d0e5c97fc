import Columnar
import Evaluation
import KQL

// What a rule may retain, and what happens beyond.
extension RuleRuntime {
    /// Whether rows fit into what the rule may retain in memory and on disk. Those that do not are refused, and with them every tick that
    /// they belong to: a monotone rule's alerts there say that they are incomplete, another rule does not alert.
    func admit(_ keys: ContiguousArray<RowKey>) -> Bool {
        let room = options.retainedRowsPerRule + (canSpill ? options.spilledRowsPerRule : 0)
        guard keptRows + (panes?.held ?? 0) + keys.count > room else { return true }
        isDirty = true
        for k in keys { gap = (min(gap?.least ?? k.time, k.time), max(gap?.greatest ?? k.time, k.time)) }
        failure =
            "retains more than \(room) rows and refuses others: its conditions let too much through for its period"
            + (spillProblem.map { "; \($0)" } ?? "")
        return false
    }

    /// Whether rows of a tick's window were refused or lost.
    func isGapped(_ tick: Int64) -> Bool { gap.map { $0.least <= tick && $0.greatest >= tick - program.clock.period } ?? false }

    /// Panes that could not take a row up hold a part of the rows. They are given up, and new ones begun: the rows so far count as refused,
    /// so no result is drawn from what is left of their windows, and windows behind them are whole again.
    func replaceFailedPanes(_ rows: Batch? = nil) {
        guard let broken = panes, let reason = broken.failure else { return }
        let known = broken.times + stores.flatMap { $0.segments.flatMap { [$0.least, $0.greatest] } } + (rows?.keys ?? []).map(\.time)
        if let least = known.min(), let greatest = known.max() {
            gap = (min(gap?.least ?? least, least), max(gap?.greatest ?? greatest, greatest))
            failure = "\(reason); its groups are begun anew with rows after \(KustoTime.isoString(greatest))"
        }
        panes = PaneState(program.panes, options: options)
        latest = nil
        isDirty = true
    }

    var canSpill: Bool { spillProblem == nil && options.spilledRowsPerRule > 0 }

    /// Moves the oldest rows to the disk while more are in memory than may be.
    func spill() {
        var resident = residentRows
        guard canSpill, resident > options.retainedRowsPerRule else { return }
        let file = spillFile ?? SpillFile(directory: options.spillDirectory)
        spillFile = file
        while resident > options.retainedRowsPerRule / 4 * 3 {
            let overflow = panes?.overflow ?? []
            let oldest = (stores + overflow).map { $0.oldestResident ?? .max }
            guard let i = oldest.indices.min(by: { oldest[$0] < oldest[$1] }), oldest[i] < .max else { return }
            do {
                if i < stores.count { try stores[i].spillOldest(to: file) } else { try panes?.spillOverflow(i - stores.count, to: file) }
            } catch {
                spillProblem = "\(error)"
                return
            }
            resident = residentRows
        }
    }

    /// Rows, cells of panes and values in memory.
    private var residentRows: Int {
        stores.reduce(panes.map { p in p.overflow.reduce(p.held) { $0 + $1.residentRows } } ?? 0) { $0 + $1.residentRows }
    }

    /// Rows that are on the disk.
    var spilledRows: Int { (stores + (panes?.overflow ?? [])).reduce(0) { $0 + $1.spilledRows } }

    /// Whether rows are retained that no tick will read again.
    func holdsExpired(lateness: Int64) -> Bool {
        guard let final = finalThrough else { return false }
        let tick = program.clock.last(atOrBefore: final - max(lateness, program.clock.frequency))
        return stores.indices.contains { i in
            let horizon = self.horizon(of: i, at: tick)
            return stores[i].segments.contains { $0.greatest < horizon } || panes?.holdsExpired(leg: i, before: horizon) ?? false
        }
    }

    /// The time before which no tick after the given one reads a leg. Of a rule about absence, the whole window tells how long a silence is.
    private func horizon(of leg: Int, at tick: Int64) -> Int64 {
        let lowest = program.needsEmptyTicks ? nil : program.panes.views[leg]?.lowest
        return tick + max(lowest ?? -program.clock.period, -program.clock.period)
    }

    /// Folds old ticks into the base and lets go of rows that no tick will read again.
    func trim(lateness: Int64) {
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
        let tick = baseTick == .min ? final : baseTick
        for i in stores.indices {
            let horizon = self.horizon(of: i, at: tick)
            stores[i].expire(before: horizon)
            panes?.expire(leg: i, before: horizon)
        }
        panes?.cool(before: final)
        replaceFailedPanes()
        let horizon = tick - program.clock.period
        if let g = gap, g.greatest < horizon { gap = nil }
    }

    func shedRaw() -> Int {
        if let panes {
            let freed = panes.shedRaw()
            if freed > 0 { return freed }
        }
        guard let i = stores.indices.filter({ stores[$0].keepsRows }).max(by: { stores[$0].rawBytes < stores[$1].rawBytes }) else {
            return 0
        }
        return stores[i].shedRaw()
    }
}
