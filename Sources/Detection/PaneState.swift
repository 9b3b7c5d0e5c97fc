import Columnar
import Evaluation
import KQL
import Matcher

/// The part of a rule's state that is kept by panes: the groups of its summarizes, and of legs that nothing else reads, which panes have
/// rows, and the raw records that alerts may show.
///
/// One thread at a time.
final class PaneState {
    /// Rows of a leg in one pane.
    private struct Pane {
        let number: Int64
        var least: Int64
        var greatest: Int64
        var rows: Int
        var raw: [RecordHash: String] = [:]
        var rawBytes = 0
        /// Raw records when those that no sample names were last given up.
        var pruned = 0
    }

    let plan: PanePlan
    let nodes: [PaneAggregation]
    /// Cells and values that may be held; rows beyond are kept as rows, in ``overflow``.
    private let budget: Int
    /// By leg; ascending. Empty for legs that keep their rows.
    private var panes: [[Pane]]
    /// By leg: rows that came when the panes were full. The storage has them as well.
    private(set) var overflow: [LegStore]
    private(set) var rawBytes = 0

    /// Nil if nothing of the rule is kept by panes, or if an expression cannot be compiled (the suffix will say so).
    init?(_ plan: PanePlan, options: DetectionOptions) {
        guard !plan.nodes.isEmpty else { return nil }
        var made: [PaneAggregation] = []
        for n in plan.nodes {
            guard
                let a = try? PaneAggregation(
                    n.plan, inputs: n.inputs.map(\.input), clocks: n.inputs.map { plan.clocks[$0.leg] }, limits: options.limits)
            else { return nil }
            made.append(a)
        }
        self.plan = plan
        nodes = made
        budget = max(1, options.retainedRowsPerRule / 2)
        panes = plan.views.map { _ in [] }
        overflow = plan.views.map { _ in LegStore() }
    }

    /// Nothing but panes reads the leg.
    func isThin(_ leg: Int) -> Bool { !plan.rowLegs.contains(leg) }

    // MARK: Figures

    var cells: Int { nodes.reduce(0) { $0 + $1.cells } }
    /// Rows in panes, of the legs that keep none.
    var rowCount: Int { panes.reduce(0) { $0 + $1.reduce(0) { $0 + $1.rows } } }
    var groups: Int { nodes.reduce(0) { $0 + $1.groups } }
    var held: Int { nodes.reduce(0) { $0 + $1.cells + $1.entries } }
    var bytes: Int {
        nodes.reduce(0) { $0 + $1.bytes } + overflow.reduce(0) { $0 + $1.bytes }
            + panes.reduce(0) { $0 + $1.count * MemoryLayout<Pane>.stride }
    }
    /// Why a row is not in its groups; nil if all are.
    var failure: (any Error)? { nodes.lazy.compactMap(\.failure).first }
    var isEmpty: Bool { nodes.allSatisfy(\.isEmpty) && panes.allSatisfy(\.isEmpty) && overflow.allSatisfy(\.segments.isEmpty) }

    // MARK: Rows

    func accept(leg: Int, _ rows: Batch, raw: [RecordHash: String]) {
        guard let keys = rows.keys else { return }
        if held + rows.count > budget {
            overflow[leg].append(rows, raw: isThin(leg) ? raw : [:])
            return
        }
        for (n, node) in plan.nodes.enumerated() {
            for (i, input) in node.inputs.enumerated() where input.leg == leg { nodes[n].add(rows, input: i) }
        }
        if isThin(leg) { note(leg, keys, raw) }
    }

    private func note(_ leg: Int, _ keys: ContiguousArray<RowKey>, _ raw: [RecordHash: String]) {
        var at = -1
        for k in keys {
            let number = plan.clocks[leg].pane(of: k.time)
            if at < 0 || panes[leg][at].number != number {
                at = position(number, leg)
                if at == panes[leg].count || panes[leg][at].number != number {
                    panes[leg].insert(Pane(number: number, least: k.time, greatest: k.time, rows: 0), at: at)
                }
            }
            panes[leg][at].least = min(panes[leg][at].least, k.time)
            panes[leg][at].greatest = max(panes[leg][at].greatest, k.time)
            panes[leg][at].rows += 1
            let hash = RecordHash(k)
            if let text = raw[hash], panes[leg][at].raw.updateValue(text, forKey: hash) == nil {
                panes[leg][at].rawBytes += text.utf8.count
                rawBytes += text.utf8.count
                if panes[leg][at].raw.count > 2 * panes[leg][at].pruned + 32 { prune(leg, at) }
            }
        }
    }

    /// Gives up the raw records of a pane that no group's sample names: no alert will show them.
    private func prune(_ leg: Int, _ at: Int) {
        var named: Set<RecordHash> = []
        for (n, node) in plan.nodes.enumerated() {
            for (i, input) in node.inputs.enumerated() where input.leg == leg {
                nodes[n].forEachSampled(in: panes[leg][at].number, input: i) { named.insert(RecordHash($0)) }
            }
        }
        let before = panes[leg][at].rawBytes
        panes[leg][at].raw = panes[leg][at].raw.filter { named.contains($0.key) }
        panes[leg][at].rawBytes = panes[leg][at].raw.values.reduce(0) { $0 + $1.utf8.count }
        panes[leg][at].pruned = panes[leg][at].raw.count
        rawBytes += panes[leg][at].rawBytes - before
    }

    /// The position of the first pane with this number or a higher one.
    private func position(_ number: Int64, _ leg: Int) -> Int {
        if let last = panes[leg].last, last.number < number { return panes[leg].count }
        var (low, high) = (0, panes[leg].count)
        while low < high {
            let middle = (low + high) / 2
            if panes[leg][middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func raw(_ key: RowKey, leg: Int) -> String? {
        let at = position(plan.clocks[leg].pane(of: key.time), leg)
        if at < panes[leg].count, let found = panes[leg][at].raw[RecordHash(key)] { return found }
        return overflow[leg].raw(RecordHash(key))
    }

    /// Gives up the raw records of the oldest pane that has any; the bytes freed.
    func shedRaw() -> Int {
        var oldest: (leg: Int, at: Int, time: Int64)?
        for leg in panes.indices {
            if let at = panes[leg].firstIndex(where: { $0.rawBytes > 0 }), panes[leg][at].greatest < oldest?.time ?? .max {
                oldest = (leg, at, panes[leg][at].greatest)
            }
        }
        guard let (leg, at, _) = oldest else {
            for i in overflow.indices where overflow[i].rawBytes > 0 { return overflow[i].shedRaw() }
            return 0
        }
        let freed = panes[leg][at].rawBytes
        panes[leg][at].raw = [:]
        panes[leg][at].rawBytes = 0
        rawBytes -= freed
        return freed
    }

    // MARK: Times

    var earliest: Int64? {
        (panes.compactMap { $0.first?.least } + overflow.indices.filter(isThin).compactMap { overflow[$0].earliest }).min()
    }

    /// The least row time that is at or after a time, of the legs that keep no rows. Exact at the ends of views.
    func nextTime(atOrAfter time: Int64) -> Int64? {
        panes.indices.filter(isThin).compactMap { leg in
            let at = position(plan.clocks[leg].pane(of: time), leg)
            let here = panes[leg][at...].lazy.filter { $0.greatest >= time }.map { max($0.least, time) }.first
            return [here, overflow[leg].nextTime(atOrAfter: time)].compactMap { $0 }.min()
        }.min()
    }

    /// Whether any row's time lies in the closed interval, of the legs that keep no rows. Both ends must be ends of views.
    func hasRows(from: Int64, to: Int64) -> Bool {
        panes.indices.contains { isThin($0) && hasRows(leg: $0, from: from, to: to) }
    }

    func hasRows(leg: Int, from: Int64, to: Int64) -> Bool {
        let at = position(plan.clocks[leg].pane(of: from), leg)
        return (at < panes[leg].count && panes[leg][at].number <= plan.clocks[leg].pane(of: to))
            || overflow[leg].hasRows(from: from, to: to)
    }

    /// A time of every pane that has rows, of the legs that keep none: the same ticks cover all rows of a pane.
    var times: [Int64] {
        panes.flatMap { $0.flatMap { [$0.least, $0.greatest] } } + overflow.flatMap { $0.segments.flatMap(\.times) }
    }

    // MARK: Going

    /// Forgets what lies before a time, which must be an end of the leg's view at some tick.
    func expire(leg: Int, before time: Int64) {
        let number = plan.clocks[leg].pane(of: time)
        let gone = position(number, leg)
        if gone > 0 {
            for p in panes[leg][0..<gone] { rawBytes -= p.rawBytes }
            panes[leg].removeFirst(gone)
        }
        for (n, node) in plan.nodes.enumerated() {
            for (i, input) in node.inputs.enumerated() where input.leg == leg { nodes[n].expire(before: number, input: i) }
        }
        overflow[leg].expire(before: time)
    }

    /// Whether anything lies before a time.
    func holdsExpired(leg: Int, before time: Int64) -> Bool {
        panes[leg].first.map { $0.greatest < time } ?? false || overflow[leg].segments.contains { $0.greatest < time }
    }

    /// No rows are expected before a time.
    func cool(before time: Int64) {
        for (n, node) in plan.nodes.enumerated() {
            for (i, input) in node.inputs.enumerated() { nodes[n].cool(before: plan.clocks[input.leg].pane(of: time), input: i) }
        }
    }

    func spillOverflow(_ leg: Int, to file: SpillFile) throws { try overflow[leg].spillOldest(to: file) }
}
