import Columnar
import Evaluation
import KQL
import Matcher

/// The rows of a rule's legs inside one tick's window: what the suffix reads.
struct WindowProvider: TableProvider {
    private let legs: [String: (columns: [BoundColumn], batches: [Batch])]

    /// Rows with a time in [from, to], both ends closed, whose horizon conditions hold at `context.now`.
    init(_ program: RuleProgram, _ stores: [LegStore], from: Int64, to: Int64, context: EvaluationContext) throws {
        var legs: [String: (columns: [BoundColumn], batches: [Batch])] = [:]
        for (i, leg) in program.split.legs.enumerated() {
            var batches: [Batch] = []
            for s in stores[i].segments where s.greatest >= from && s.least <= to {
                guard let keys = s.rows.keys else { continue }
                var selection = Bitmap(repeating: s.least >= from && s.greatest <= to, count: s.rows.count)
                if selection.isEmpty { for r in 0..<s.rows.count where keys[r].time >= from && keys[r].time <= to { selection[r] = true } }
                if !program.horizons[i].isEmpty {
                    let times = Column(.datetime, .longs(ContiguousArray(keys.lazy.map(\.time))))
                    let batch = Batch(columns: [times], count: s.rows.count)
                    for h in program.horizons[i] { selection.formAnd(try h.select(batch, context)) }
                }
                if !selection.isEmpty { batches.append(s.rows.filter(selection)) }
            }
            legs[Leg.storeName(leg.index)] = (leg.columns, batches)
        }
        self.legs = legs
    }

    func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws {
        guard let leg = legs[table] else { throw EvaluationError("no leg is called `\(table)`") }
        let positions = columns.map { c in leg.columns.firstIndex { $0.id == c.id } }
        for b in leg.batches {
            let picked = zip(columns, positions).map { c, p in p.map { b.columns[$0] } ?? Column.nulls(c.type, count: b.count) }
            guard try emit(Batch(columns: picked, count: b.count, keys: b.keys)) else { return }
        }
    }
}
