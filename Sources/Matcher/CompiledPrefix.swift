import Columnar
import Evaluation
import KQL

/// The row-local operators of a leg, ready to run over candidate rows.
final class CompiledPrefix: Sendable {
    private enum Step: Sendable {
        case filter(CompiledExpression)
        case project([CompiledExpression])
        /// mv-expand and parse: the node over a stand-in for its input.
        case node(Plan, input: [BoundColumn])
    }

    static let inputName = "$in"
    private let steps: [Step]
    let columns: [BoundColumn]
    let source: [BoundColumn]

    init(_ leg: Leg) throws {
        var steps: [Step] = []
        try CompiledPrefix.compile(leg.prefix, into: &steps)
        self.steps = steps
        columns = leg.prefix.columns
        source = leg.source
    }

    private static func compile(_ plan: Plan, into steps: inout [Step]) throws {
        switch plan.kind {
        case .table: break
        case .filter(let input, let predicate):
            try compile(input, into: &steps)
            steps.append(.filter(try CompiledExpression(predicate, input: input.columns, subqueries: NoSubqueries())))
        case .project(let input, let exprs):
            try compile(input, into: &steps)
            steps.append(.project(try exprs.map { try CompiledExpression($0, input: input.columns, subqueries: NoSubqueries()) }))
        default:
            guard let input = PlanTools.children(plan).first else { throw EvaluationError("a prefix operator without input") }
            try compile(input, into: &steps)
            let standIn = Plan(.table(name: inputName), columns: input.columns, range: input.range)
            steps.append(.node(PlanTools.mapChildren(plan, plans: { _ in standIn }, exprs: { $0 }), input: input.columns))
        }
    }

    /// Runs over the candidate `rows` of `batch` (columns as ``source``). Keys are computed for the rows that pass the leading filters;
    /// those are the origins, of which later steps may drop some or make several rows.
    func run(
        _ batch: Batch, rows: ContiguousArray<Int32>, context: EvaluationContext, key: (Int) -> RowKey
    ) throws -> (survivors: Batch, origins: ContiguousArray<Int32>)? {
        var rows = rows
        var current = batch.gather(rows)
        var keyed = false
        func attachKeys() {
            guard !keyed else { return }
            keyed = true
            var keys = ContiguousArray<RowKey>()
            keys.reserveCapacity(rows.count)
            for r in rows { keys.append(key(Int(r))) }
            current.keys = keys
        }
        for step in steps {
            guard current.count > 0 else { return nil }
            switch step {
            case .filter(let predicate):
                let selection = try predicate.select(current, context)
                if selection.isFull { continue }
                let kept = selection.indices
                if !keyed { rows = ContiguousArray(kept.lazy.map { rows[Int($0)] }) }
                current = current.gather(kept)
            case .project(let exprs):
                attachKeys()
                var columns: [Column] = []
                columns.reserveCapacity(exprs.count)
                for e in exprs { columns.append(try e.evaluate(current, context).materialized(rows: current.count)) }
                current = Batch(columns: columns, count: current.count, keys: current.keys, lineage: current.lineage)
            case .node(let plan, let input):
                attachKeys()
                // Rows that come of one row stand for that row, as they do in a plain run.
                if current.lineage == nil, case .mvExpand = plan.kind, let keys = current.keys {
                    current.lineage = ContiguousArray(keys.lazy.map { Lineage($0) })
                }
                let executor = Executor(
                    provider: OneBatch(source: input, batch: current), context: context,
                    options: ExecutorOptions(lineage: current.lineage != nil))
                var merged: Batch?
                try executor.run(plan) { part in
                    merged = merged.map { $0.appending(part) } ?? part
                    return true
                }
                guard let result = merged else { return nil }
                current = result
            }
        }
        guard current.count > 0 else { return nil }
        attachKeys()
        return (current, rows)
    }
}

/// Serves one batch under any name.
struct OneBatch: TableProvider {
    let source: [BoundColumn]
    let batch: Batch
    func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws {
        let picked = columns.map { c in
            source.firstIndex { $0.id == c.id }.map { batch.columns[$0] } ?? Column.nulls(c.type, count: batch.count)
        }
        _ = try emit(Batch(columns: picked, count: batch.count, keys: batch.keys, lineage: batch.lineage))
    }
}
