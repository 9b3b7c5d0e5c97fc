import Columnar
import Evaluation
import KQL
import Matcher

/// The rows of a rule's legs inside one tick's window: what the suffix reads. Segments are taken one after the other, so that of rows which
/// were spilled only one segment is in memory at a time.
struct WindowProvider: TableProvider {
    /// The groups that are kept by panes, as they are at the tick. Used by the thread that runs the rule.
    private struct Groups: @unchecked Sendable {
        let state: PaneState
        let stable: Int64
        let lineage: Bool
    }
    private struct Source: Sendable {
        let columns: [BoundColumn]
        let segments: [LegStore.Segment]
        let horizon: [CompiledExpression]
        /// The rows of each segment that matter, ascending; nil: all.
        var chosen: [Int64: ContiguousArray<Int32>]?
    }
    private let legs: [String: Source]
    private let panes: Groups?
    private let overflow: [[LegStore.Segment]]
    private let horizons: [[CompiledExpression]]
    private let nodes: [PanePlan.Node]
    private let from: Int64
    private let to: Int64
    private let context: EvaluationContext

    /// Rows with a time in [from, to], both ends closed, whose horizon conditions hold at `context.now`.
    /// Rows up to `stable` are all there, as far as is known; `lineage`: groups are asked for what they were made of.
    /// `joins` must be up to date.
    init(
        _ program: RuleProgram, _ stores: [LegStore], _ panes: PaneState?, _ joins: RowJoins?, from: Int64, to: Int64, stable: Int64,
        lineage: Bool, context: EvaluationContext
    ) {
        horizons = program.horizons
        var legs: [String: Source] = [:]
        for (i, leg) in program.split.legs.enumerated() {
            legs[Leg.storeName(leg.index)] = Source(
                columns: leg.columns, segments: stores[i].segments.filter { $0.greatest >= from && $0.least <= to },
                horizon: horizons[i])
        }
        for (j, join) in program.panes.joins.enumerated() {
            for (s, side) in join.sides.enumerated() where side.isReduced {
                let partnered = joins?.partnered(j, side: s)
                for (i, input) in side.inputs.enumerated() {
                    guard var source = legs[Leg.storeName(input.leg)] else { continue }
                    if let partnered {
                        var chosen: [Int64: ContiguousArray<Int32>] = [:]
                        for s in source.segments { chosen[s.id] = partnered[JoinIndex.SegmentID(input: i, id: s.id)] }
                        source.chosen = chosen
                    }
                    legs[JoinPlan.name(j, side: s, input: i)] = source
                }
            }
        }
        self.legs = legs
        self.panes = panes.map { Groups(state: $0, stable: stable, lineage: lineage) }
        overflow = (panes?.overflow ?? []).map { $0.segments.filter { $0.greatest >= from && $0.least <= to } }
        nodes = program.panes.nodes
        self.from = from
        self.to = to
        self.context = context
    }

    private func window(
        _ s: LegStore.Segment, _ horizon: [CompiledExpression], _ chosen: [Int64: ContiguousArray<Int32>]? = nil
    ) throws -> Batch? {
        var rows: Batch
        if let chosen {
            guard let wanted = chosen[s.id] else { return nil }
            rows = try s.rows().gather(wanted)
        } else {
            rows = try s.rows()
        }
        guard let keys = rows.keys else { return nil }
        var selection = Bitmap(repeating: s.least >= from && s.greatest <= to, count: rows.count)
        if selection.isEmpty { for r in 0..<rows.count where keys[r].time >= from && keys[r].time <= to { selection[r] = true } }
        if !horizon.isEmpty {
            let times = Column(.datetime, .longs(ContiguousArray(keys.lazy.map(\.time))))
            let batch = Batch(columns: [times], count: rows.count)
            for h in horizon { selection.formAnd(try h.select(batch, context)) }
        }
        return selection.isEmpty ? nil : rows.filter(selection)
    }

    func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws {
        if let panes, let node = nodes.indices.first(where: { PanePlan.Node.name($0) == table }) {
            return try groups(node, panes, columns: columns, emit: emit)
        }
        guard let leg = legs[table] else { throw EvaluationError("no leg is called `\(table)`") }
        let positions = columns.map { c in leg.columns.firstIndex { $0.id == c.id } }
        for s in leg.segments {
            guard let b = try window(s, leg.horizon, leg.chosen) else { continue }
            let picked = zip(columns, positions).map { c, p in p.map { b.columns[$0] } ?? Column.nulls(c.type, count: b.count) }
            guard try emit(Batch(columns: picked, count: b.count, keys: b.keys, lineage: b.lineage)) else { return }
        }
    }

    /// The groups of a summarize that is kept by panes.
    private func groups(_ node: Int, _ panes: Groups, columns: [BoundColumn], emit: (Batch) throws -> Bool) throws {
        let plan = panes.state.plan
        let inputs = nodes[node].inputs
        let batches = try panes.state.nodes[node].evaluate(
            inputs.map { plan.views[$0.leg]?.panes(at: to, plan.clocks[$0.leg]) },
            through: inputs.map { plan.clocks[$0.leg].pane(of: panes.stable) },
            extra: try inputs.map { input in try overflow[input.leg].compactMap { try window($0, horizons[input.leg]) } },
            lineage: panes.lineage)
        let positions = columns.map { c in nodes[node].plan.columns.firstIndex { $0.id == c.id } }
        for b in batches {
            let picked = zip(columns, positions).map { c, p in p.map { b.columns[$0] } ?? Column.nulls(c.type, count: b.count) }
            guard try emit(Batch(columns: picked, count: b.count, keys: b.keys, lineage: b.lineage)) else { return }
        }
    }
}
