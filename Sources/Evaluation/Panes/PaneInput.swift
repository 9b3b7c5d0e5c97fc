import Columnar
import KQL

/// How rows of a leg become rows of a summarize's input: row-local steps, one after the other.
public struct PaneInput: Sendable {
    public enum Step: Sendable {
        /// Column `i` is the column at position `positions[i]`, or null of the type where nil.
        case pick(positions: [Int?], types: [ScalarType])
        /// Over rows of these columns.
        case filter(BoundExpr, [BoundColumn])
        case project([BoundExpr], [BoundColumn])
    }
    public let steps: [Step]
    public init(steps: [Step]) { self.steps = steps }
}

/// The steps of an input, compiled.
struct PaneSteps {
    private enum Step {
        case pick([Int?], [ScalarType])
        case filter(CompiledExpression)
        case project([CompiledExpression])
    }
    private let steps: [Step]

    /// `filters`: conditions are applied; else rows stay and correspond to those that come.
    init(_ input: PaneInput, filters: Bool = true) throws {
        steps = try input.steps.compactMap { step in
            switch step {
            case .pick(let positions, let types): .pick(positions, types)
            case .filter where !filters: nil
            case .filter(let e, let columns): .filter(try CompiledExpression(e, input: columns, subqueries: NoSubqueries()))
            case .project(let exprs, let columns):
                .project(try exprs.map { try CompiledExpression($0, input: columns, subqueries: NoSubqueries()) })
            }
        }
    }

    func run(_ rows: Batch, _ context: EvaluationContext) throws -> Batch {
        var batch = rows
        for step in steps {
            switch step {
            case .pick(let positions, let types):
                let count = batch.count
                batch.columns = zip(positions, types).map { p, t in
                    guard let p, p < batch.columns.count else { return Column.nulls(t, count: count) }
                    let column = batch.columns[p]
                    return column.type == t ? column : castDatum(.column(column), to: t, rows: count).materialized(rows: count)
                }
            case .filter(let e): batch = batch.filter(try e.select(batch, context))
            case .project(let exprs):
                let count = batch.count
                batch.columns = try exprs.map { try $0.evaluate(batch, context).materialized(rows: count) }
            }
            if batch.count == 0 { break }
        }
        return batch
    }
}
