import Columnar
import KQL

/// The groups of one `summarize`, kept by panes of time (``PaneClock``) while rows come and go.
///
/// Each row is added once, to the **cell** of its pane and group. At a tick, the cells of the panes that the tick sees are merged into
/// groups: the result is that of the summarize over the rows of these panes, in every byte, because aggregates are functions of the
/// multiset of (row, key). Cells of adjacent panes that have many groups in common are merged beforehand, into nodes of a tree
/// (`PaneAggregation+Tree.swift`); so an evaluation costs the order of the groups, not of the rows or panes.
///
/// One thread at a time.
public final class PaneAggregation {
    struct Pane {
        let number: Int64
        var cells = ContiguousArray<UInt32>()
        /// Positions in ``cells`` by group; made when a row comes, dropped when none is expected any more.
        var index: IntTable?
    }

    /// The panes of one input, ascending, with the tree over them.
    struct Panes {
        var all: [Pane] = []
        var nodes: [PaneNodeID: PaneNode] = [:]
        /// Numbers of panes that have an index.
        var warm: [Int64] = []
        /// No node covers a pane above this.
        var coveredThrough = Int64.min
    }

    public let columns: [BoundColumn]
    private let aggregates: [BoundAggregate]
    private let limits: EvaluationLimits
    private let context: EvaluationContext
    private let steps: [PaneSteps]
    private let clocks: [PaneClock]
    private let keyExprs: [CompiledExpression]
    private let keyTypes: [ScalarType]
    private let argumentExprs: [[CompiledExpression]]
    private let isSingle: Bool
    /// Merged cells are no smaller than their parts: a tree would not pay.
    let holdsEveryRow: Bool

    private var table: GroupTable
    /// Cells of panes by group; 0: nobody has it.
    private var references = ContiguousArray<UInt32>()
    var inputs: [Panes]
    /// The group of each cell.
    private(set) var groupOf = ContiguousArray<UInt32>()
    private var states: [any Accumulator]
    private var rows = PaneRows()
    /// Cells that no pane and no node has any more.
    private var dead = 0
    /// Why the rows are not all in the cells: nothing can be evaluated any more.
    public private(set) var failure: (any Error)?

    // Marks of groups, for counting and numbering: valid where the stamp is the current one.
    private var stamps = ContiguousArray<UInt32>()
    private var numbers = ContiguousArray<UInt32>()
    private var stamp: UInt32 = 0

    /// For a `summarize` whose keys and arguments depend on their row alone. `inputs` and `clocks` correspond. Throws ``EvaluationError`` if
    /// an expression cannot be compiled.
    public init(_ plan: Plan, inputs: [PaneInput], clocks: [PaneClock], limits: EvaluationLimits) throws {
        guard case .summarize(let input, let keys, let aggregates) = plan.kind, inputs.count == clocks.count else {
            throw EvaluationError("only a summarize can be kept by panes", at: plan.range)
        }
        columns = plan.columns
        self.aggregates = aggregates
        self.limits = limits
        self.clocks = clocks
        context = EvaluationContext(now: 0, limits: limits)
        steps = try inputs.map { try PaneSteps($0) }
        func compiled(_ e: BoundExpr) throws -> CompiledExpression {
            try CompiledExpression(e, input: input.columns, subqueries: NoSubqueries())
        }
        keyExprs = try keys.map(compiled)
        keyTypes = keys.map(\.type)
        argumentExprs = try aggregates.map { try $0.arguments.map(compiled) }
        isSingle = keys.isEmpty
        if isSingle { references = [0] }
        table = GroupTable(types: keyTypes)
        self.inputs = inputs.map { _ in Panes() }
        states = []
        states = try PaneAggregation.states(aggregates, argumentExprs, limits, isLasting: true)
        holdsEveryRow = states.contains { $0.holdsEveryRow }
    }

    private static func states(
        _ aggregates: [BoundAggregate], _ arguments: [[CompiledExpression]], _ limits: EvaluationLimits, isLasting: Bool
    ) throws -> [any Accumulator] {
        try aggregates.enumerated().map { i, a in
            try AggregateRegistry.accumulator(a, constants: arguments[i].map(\.constant), limits: limits, isLasting: isLasting)
        }
    }

    // MARK: Figures

    /// Cells in use: pairs of pane and group, and those of nodes.
    public var cells: Int { groupOf.count - dead }
    /// Groups with a cell.
    public private(set) var groups = 0
    /// Values held besides: elements of sets, lists and distinct counts.
    public var entries: Int { states.reduce(0) { $0 + $1.entries } }
    /// Memory, roughly.
    public var bytes: Int {
        let panes = inputs.reduce(0) { $0 + $1.all.count * 64 + $1.all.reduce(0) { $0 + $1.cells.count * 4 + ($1.index?.bytes ?? 0) } }
        let marks = (references.count + stamps.count + numbers.count + groupOf.count) * 4
        return states.reduce(table.bytes + rows.bytes + panes + marks) { $0 + max($1.bytes, 0) }
    }
    public var isEmpty: Bool { inputs.allSatisfy(\.all.isEmpty) }

    // MARK: Rows

    /// Adds rows of a leg. If that fails, ``failure`` says why, and every later ``evaluate(_:through:extra:lineage:)`` throws it.
    public func add(_ batch: Batch, input: Int) {
        guard failure == nil else { return }
        do { try addRows(batch, input) } catch { failure = error }
    }

    private func addRows(_ batch: Batch, _ input: Int) throws {
        let batch = try steps[input].run(batch, context)
        let n = batch.count
        guard n > 0, let keys = batch.keys else { return }
        let groups = try intern(batch)
        let cells = try cells(groups, keys, input)
        for s in states { s.resize(groupOf.count) }
        rows.resize(groupOf.count)
        let data = AggregateInput(rows: n, groups: cells, order: keys)
        for (i, s) in states.enumerated() { try s.add(try argumentExprs[i].map { try $0.evaluate(batch, context) }, data) }
        for i in 0..<n { rows.add(Int(cells[i]), keys[i], batch.lineage.map { $0[i] }) }
    }

    private func intern(_ batch: Batch) throws -> ContiguousArray<UInt32> {
        if isSingle { return ContiguousArray(repeating: 0, count: batch.count) }
        let ids = try table.intern(try keyExprs.map { try $0.evaluate(batch, context).materialized(rows: batch.count) })
        references.grow(to: table.count, 0)
        try limits.check(held: table.count, by: "summarize")
        return ids
    }

    /// The cell of each row; new ones are made.
    private func cells(_ groups: ContiguousArray<UInt32>, _ keys: ContiguousArray<RowKey>, _ input: Int) throws -> ContiguousArray<UInt32> {
        guard groupOf.count + groups.count < Int(Int32.max) else { throw EvaluationError("summarize keeps too many groups in panes") }
        var out = ContiguousArray<UInt32>(repeating: 0, count: groups.count)
        var current = -1
        for i in groups.indices {
            let number = clocks[input].pane(of: keys[i].time)
            if current < 0 || inputs[input].all[current].number != number { current = pane(number, input) }
            out[i] = cell(groups[i], current, input)
        }
        return out
    }

    /// The position of a pane, which is made if there is none. Nodes over it are out of date.
    private func pane(_ number: Int64, _ input: Int) -> Int {
        let at = position(number, input)
        if at == inputs[input].all.count || inputs[input].all[at].number != number {
            inputs[input].all.insert(Pane(number: number), at: at)
        }
        if inputs[input].all[at].index == nil {
            var index = IntTable()
            for c in inputs[input].all[at].cells { _ = index.intern(UInt64(groupOf[Int(c)])) }
            inputs[input].all[at].index = index
            inputs[input].warm.append(number)
        }
        if number <= inputs[input].coveredThrough { forgetNodes(over: number, input) }
        return at
    }

    /// The position of the first pane with this number or a higher one.
    func position(_ number: Int64, _ input: Int) -> Int {
        let all = inputs[input].all
        if let last = all.last, last.number < number { return all.count }
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func cell(_ group: UInt32, _ pane: Int, _ input: Int) -> UInt32 {
        let local = Int(inputs[input].all[pane].index?.intern(UInt64(group)) ?? 0)
        if local < inputs[input].all[pane].cells.count { return inputs[input].all[pane].cells[local] }
        let cell = UInt32(truncatingIfNeeded: groupOf.count)
        groupOf.append(group)
        inputs[input].all[pane].cells.append(cell)
        if references[Int(group)] == 0 { groups += 1 }
        references[Int(group)] += 1
        return cell
    }

    /// No rows are expected before a pane any more: what finds their cells is dropped. It is made again if they come.
    public func cool(before number: Int64, input: Int) {
        for n in inputs[input].warm where n < number {
            let at = position(n, input)
            if at < inputs[input].all.count, inputs[input].all[at].number == n { inputs[input].all[at].index = nil }
        }
        inputs[input].warm.removeAll { $0 < number }
    }

    /// The sampled rows of a pane: those of which an alert may show the record.
    public func forEachSampled(in number: Int64, input: Int, _ body: (RowKey) -> Void) {
        let at = position(number, input)
        guard at < inputs[input].all.count, inputs[input].all[at].number == number else { return }
        for c in inputs[input].all[at].cells { rows.forEachSampled(Int(c), body) }
    }

    // MARK: Going

    /// Forgets the panes before one.
    public func expire(before number: Int64, input: Int) {
        let gone = position(number, input)
        if gone == 0 { return }
        for p in inputs[input].all[0..<gone] {
            dead += p.cells.count
            for c in p.cells {
                let g = Int(groupOf[Int(c)])
                references[g] -= 1
                if references[g] == 0 { groups -= 1 }
            }
        }
        inputs[input].all.removeFirst(gone)
        forgetNodes(startingBefore: number, input)
        if dead > cells + 64 { compact() }
    }

    func drop(_ cells: Int) { dead += cells }

    /// Moves the cells in use together, and the groups if most are gone.
    private func compact() {
        guard failure == nil else { return }
        do {
            var live = ContiguousArray<UInt32>()
            live.reserveCapacity(cells)
            func renumber(_ cells: inout ContiguousArray<UInt32>) {
                for i in cells.indices {
                    live.append(cells[i])
                    cells[i] = UInt32(truncatingIfNeeded: live.count - 1)
                }
            }
            for i in inputs.indices {
                for p in inputs[i].all.indices { renumber(&inputs[i].all[p].cells) }
                for id in inputs[i].nodes.keys where inputs[i].nodes[id]?.isBuilt ?? false {
                    renumber(&inputs[i].nodes[id, default: .empty].cells)
                }
            }
            let fresh = try PaneAggregation.states(aggregates, argumentExprs, limits, isLasting: true)
            let to = ContiguousArray((0..<live.count).lazy.map { UInt32(truncatingIfNeeded: $0) })
            for (new, old) in zip(fresh, states) {
                new.resize(live.count)
                try new.merge(old, live, into: to)
            }
            states = fresh
            var kept = PaneRows()
            kept.resize(live.count)
            for (i, c) in live.enumerated() { kept.add(i, rows, Int(c)) }
            rows = kept
            groupOf = ContiguousArray(live.lazy.map { self.groupOf[Int($0)] })
            dead = 0
            if !isSingle, references.count > 2 * groups + 64 { try compactGroups() }
        } catch { failure = error }
    }

    private func compactGroups() throws {
        let live = ContiguousArray((0..<references.count).lazy.filter { self.references[$0] > 0 }.map { UInt32(truncatingIfNeeded: $0) })
        var fresh = GroupTable(types: keyTypes)
        let ids = live.isEmpty ? [] : try fresh.intern(table.columns(live))
        var map = ContiguousArray<UInt32>(repeating: 0, count: references.count)
        var counts = ContiguousArray<UInt32>(repeating: 0, count: fresh.count)
        for (old, new) in zip(live, ids) {
            map[Int(old)] = new
            counts[Int(new)] = references[Int(old)]
        }
        for i in groupOf.indices { groupOf[i] = map[Int(groupOf[i])] }
        for i in inputs.indices {
            inputs[i].warm = []
            for p in inputs[i].all.indices { inputs[i].all[p].index = nil }
        }
        table = fresh
        references = counts
        stamps = []
        numbers = []
    }

    // MARK: Ticks

    /// The result of the summarize over the rows in the panes of `views` (by input; nil: none), and `extra` rows of legs that are kept
    /// elsewhere. Panes up to `through` (by input) are not expected to change any more. `lineage`: with what each group was made of.
    ///
    /// Throws ``EvaluationError`` when a limit is reached or a row could not be added before. What only this evaluation met is gone with it.
    public func evaluate(
        _ views: [ClosedRange<Int64>?], through: [Int64], extra: [[Batch]] = [], lineage: Bool = true
    ) throws -> [Batch] {
        if let failure { throw failure }
        let chosen = try views.enumerated().map { i, v in try v.map { try cover($0, through: through[i], input: i) } ?? [] }
        return try result(chosen, extra, lineage)
    }

    private func result(_ chosen: [ContiguousArray<UInt32>], _ extra: [[Batch]], _ lineage: Bool) throws -> [Batch] {
        var added: [[(rows: Batch, groups: ContiguousArray<UInt32>)]] = []
        for (i, batches) in extra.enumerated() {
            added.append(
                try batches.compactMap { b in
                    let rows = try steps[i].run(b, context)
                    return rows.count > 0 ? (rows, try intern(rows)) : nil
                })
        }
        beginMarks()
        var members = ContiguousArray<UInt32>()
        if isSingle {
            _ = number(0)
            members.append(0)
        }
        func targets(_ groups: some Collection<UInt32>) -> ContiguousArray<UInt32> {
            ContiguousArray(
                groups.map { g in
                    let n = number(g)
                    if Int(n) == members.count { members.append(g) }
                    return n
                })
        }
        let maps = chosen.map { cells in targets(cells.lazy.map { self.groupOf[Int($0)] }) }
        let extraMaps = added.map { $0.map { targets($0.groups) } }
        let n = members.count
        try limits.check(held: n, by: "summarize")
        let merged = try PaneAggregation.states(aggregates, argumentExprs, limits, isLasting: false)
        for s in merged { s.resize(n) }
        var groupRows = PaneRows(keysOnly: !lineage)
        groupRows.resize(n)
        for i in chosen.indices {
            for (new, old) in zip(merged, states) { try new.merge(old, chosen[i], into: maps[i]) }
            for (c, g) in zip(chosen[i], maps[i]) { groupRows.add(Int(g), rows, Int(c)) }
            for (b, groups) in zip(added.indices.contains(i) ? added[i] : [], extraMaps.indices.contains(i) ? extraMaps[i] : []) {
                try add(b.rows, groups, merged, &groupRows)
            }
        }
        return try finish(members, merged, groupRows)
    }

    private func add(_ batch: Batch, _ groups: ContiguousArray<UInt32>, _ states: [any Accumulator], _ rows: inout PaneRows) throws {
        guard let keys = batch.keys else { return }
        let input = AggregateInput(rows: batch.count, groups: groups, order: keys)
        for (i, s) in states.enumerated() { try s.add(try argumentExprs[i].map { try $0.evaluate(batch, context) }, input) }
        for i in groups.indices { rows.add(Int(groups[i]), keys[i], batch.lineage.map { $0[i] }) }
    }

    private func finish(_ members: ContiguousArray<UInt32>, _ states: [any Accumulator], _ rows: PaneRows) throws -> [Batch] {
        for s in states { try s.seal() }
        var sequence = ContiguousArray((0..<members.count).lazy.map { UInt32(truncatingIfNeeded: $0) })
        sequence.sort { a, b in
            let (x, y) = (rows.key(Int(a)), rows.key(Int(b)))
            return x == y ? a < b : x < y
        }
        var out: [Batch] = []
        var at = 0
        while at < sequence.count {
            let part = ContiguousArray(sequence[at..<min(sequence.count, at + 2048)])
            var cells = isSingle ? [] : table.columns(ContiguousArray(part.lazy.map { members[Int($0)] }))
            for s in states { cells += try s.finish(part) }
            guard cells.count == columns.count else { throw EvaluationError("summarize made \(cells.count) columns for \(columns.count)") }
            out.append(
                Batch(
                    columns: cells, count: part.count, keys: ContiguousArray(part.lazy.map { rows.key(Int($0)) }),
                    lineage: rows.keysOnly ? nil : ContiguousArray(part.lazy.map { rows.lineage(Int($0)) })))
            at += part.count
        }
        return out
    }

    /// Nodes that were given cells of their own so far.
    private(set) var nodesBuilt = 0

    // MARK: Marks

    func beginMarks() {
        stamps.grow(to: references.count, 0)
        numbers.grow(to: references.count, 0)
        stamp &+= 1
        if stamp == 0 {
            for i in stamps.indices { stamps[i] = 0 }
            stamp = 1
        }
        marked = 0
    }

    private(set) var marked = 0

    /// The number of a group since ``beginMarks()``, in order of first sight.
    func number(_ group: UInt32) -> UInt32 {
        let g = Int(group)
        if stamps[g] != stamp {
            stamps[g] = stamp
            numbers[g] = UInt32(truncatingIfNeeded: marked)
            marked += 1
        }
        return numbers[g]
    }

    /// Makes a cell for each marked group and merges cells into them.
    func mergeCells(_ from: ContiguousArray<UInt32>, _ to: ContiguousArray<UInt32>, _ groups: ContiguousArray<UInt32>) throws
        -> ContiguousArray<UInt32>
    {
        guard groupOf.count + groups.count < Int(Int32.max) else { throw EvaluationError("summarize keeps too many groups in panes") }
        let first = groupOf.count
        groupOf.append(contentsOf: groups)
        let target = ContiguousArray(to.lazy.map { UInt32(truncatingIfNeeded: first + Int($0)) })
        rows.resize(groupOf.count)
        do {
            for s in states { s.resize(groupOf.count) }
            for s in states { try s.merge(s, from, into: target) }
        } catch {
            // No node has the cells that were begun.
            drop(groups.count)
            throw error
        }
        for (f, t) in zip(from, target) { rows.add(Int(t), own: Int(f)) }
        nodesBuilt += 1
        return ContiguousArray((first..<groupOf.count).lazy.map { UInt32(truncatingIfNeeded: $0) })
    }
}
