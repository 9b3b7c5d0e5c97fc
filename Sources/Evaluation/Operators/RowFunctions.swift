import Columnar
import KQL

/// The functions that look at other rows of a serialised input: `prev`, `next`, `row_number`, `row_cumsum`, `row_rank_dense`,
/// `row_rank_min`, `row_window_session`.
enum RowFunctions {
    static let names: Set<String> = [
        "prev", "next", "row_number", "row_cumsum", "row_rank_dense", "row_rank_min", "row_window_session",
    ]

    /// Whether an expression calls one of them.
    static func appear(in expr: BoundExpr) -> Bool {
        switch expr.kind {
        case .call(let name, let arguments): names.contains(name) || arguments.contains(where: appear)
        case .member(let base, _): appear(in: base)
        case .element(let base, let index): appear(in: base) || appear(in: index)
        case .inQuery(_, let left, _): appear(in: left)
        case .constant, .column, .scalarQuery: false
        }
    }

    /// One call to compute, innermost first; its result becomes a column.
    struct Step {
        let name: String
        let arguments: [BoundExpr]
        let column: BoundColumn
        let range: SourceRange
    }

    /// Replaces calls by columns that the steps compute. Identities are negative, which no bound column is.
    static func lift(_ expr: BoundExpr, into steps: inout [Step]) -> BoundExpr {
        switch expr.kind {
        case .call(let name, let arguments):
            let lifted = arguments.map { lift($0, into: &steps) }
            guard names.contains(name) else { return BoundExpr(.call(name, lifted), expr.type, expr.range) }
            let column = BoundColumn(id: -1 - steps.count, name: name, type: expr.type)
            steps.append(Step(name: name, arguments: lifted, column: column, range: expr.range))
            return BoundExpr(.column(column.id), expr.type, expr.range)
        case .member(let base, let key): return BoundExpr(.member(lift(base, into: &steps), key), expr.type, expr.range)
        case .element(let base, let index):
            return BoundExpr(.element(lift(base, into: &steps), lift(index, into: &steps)), expr.type, expr.range)
        case .inQuery(let op, let left, let plan):
            return BoundExpr(.inQuery(op, lift(left, into: &steps), plan), expr.type, expr.range)
        case .constant, .column, .scalarQuery: return expr
        }
    }
}

extension Execution {
    /// Holds the input in order, computes the row functions of `exprs` over all of it, then hands over each batch with the results.
    func withRowFunctions(
        _ plan: Plan, _ input: Plan, _ exprs: [BoundExpr], _ environment: Environment, _ body: (Batch, [Datum]) throws -> Bool
    ) throws -> Bool {
        let store = try self.store(input, environment, by: "a row function")
        var batches: [Batch] = []
        _ = try store.emit(store.ordered(positional: isOrdered(input)), batchRows: options.batchRows) {
            batches.append($0)
            return true
        }
        var steps: [RowFunctions.Step] = []
        let lifted = exprs.map { RowFunctions.lift($0, into: &steps) }
        var columns = input.columns
        var extended = batches
        for step in steps {
            let arguments = try step.arguments.map { argument -> CellSequence in
                let e = try CompiledExpression(argument, input: columns, subqueries: self)
                return CellSequence(try extended.map { try e.evaluate($0, context).materialized(rows: $0.count) })
            }
            let result = try rowFunction(step, arguments, rows: store.count)
            var at = 0
            for i in extended.indices {
                let n = extended[i].count
                let part = result.gather(ContiguousArray((at..<(at + n)).lazy.map { Int32(truncatingIfNeeded: $0) }))
                extended[i] = Batch(columns: extended[i].columns + [part], count: n, keys: extended[i].keys, lineage: extended[i].lineage)
                at += n
            }
            columns.append(step.column)
        }
        let ready = try lifted.map { try CompiledExpression($0, input: columns, subqueries: self) }
        for (i, batch) in extended.enumerated() {
            let results = try ready.map { try $0.evaluate(batch, context) }
            guard try body(batches[i], results) else { return false }
        }
        return true
    }

    private func rowFunction(_ step: RowFunctions.Step, _ arguments: [CellSequence], rows: Int) throws -> Column {
        let type = step.column.type
        var b = ColumnBuilder(type)
        b.reserve(rows)
        func restarts(_ position: Int, _ row: Int) -> Bool { position < arguments.count && arguments[position].isTrue(row) }
        func put(_ v: Value) { b.append(v.type == type || v.isNull ? v : convertValue(v, to: type)) }
        switch step.name {
        case "prev", "next":
            guard let cells = arguments.first else { break }
            for row in 0..<rows {
                let offset = arguments.count > 1 ? arguments[1].value(row).integer ?? 1 : 1
                guard offset >= 0 else { throw EvaluationError("\(step.name) needs an offset that is not negative", at: step.range) }
                let distance = Int(min(offset, Int64(rows)))
                let from = step.name == "prev" ? row - distance : row + distance
                if from >= 0, from < rows {
                    put(cells.value(from))
                } else if arguments.count > 2 {
                    put(arguments[2].value(row))
                } else {
                    b.appendNull()
                }
            }
        case "row_number":
            var next: Int64 = 1
            for row in 0..<rows {
                let start = arguments.isEmpty ? 1 : arguments[0].value(row).integer ?? 1
                next = row == 0 || restarts(1, row) ? start : next &+ 1
                put(.long(next))
            }
        case "row_cumsum":
            guard let cells = arguments.first else { break }
            var whole: Int64 = 0
            var real = ExactSum()
            for row in 0..<rows {
                if row > 0, restarts(1, row) {
                    whole = 0
                    real = ExactSum()
                }
                let v = cells.value(row)
                if type == .real || type == .decimal {
                    if let x = v.double { real.add(x) }
                    put(.real(real.value))
                } else {
                    whole = whole &+ (v.integer ?? 0)
                    put(.integer(whole, as: type))
                }
            }
        case "row_rank_dense", "row_rank_min":
            guard let cells = arguments.first else { break }
            var rank: Int64 = 0
            var position: Int64 = 0
            for row in 0..<rows {
                if row == 0 || restarts(1, row) {
                    rank = 1
                    position = 1
                } else {
                    position += 1
                    if cells.value(row) != cells.value(row - 1) { rank = step.name == "row_rank_min" ? position : rank + 1 }
                }
                put(.long(rank))
            }
        case "row_window_session":
            guard arguments.count >= 3 else { break }
            var start: Value?
            for row in 0..<rows {
                let v = arguments[0].value(row)
                var begins = row == 0 || restarts(3, row)
                if !begins, let now = v.integer {
                    let first = start?.integer
                    let previous = arguments[0].value(row - 1).integer
                    let (fromFirst, between) = (arguments[1].value(row).integer, arguments[2].value(row).integer)
                    if let first, let fromFirst, now.subtractingReportingOverflow(first).partialValue > fromFirst { begins = true }
                    if let previous, let between, now.subtractingReportingOverflow(previous).partialValue > between { begins = true }
                    if first == nil { begins = true }
                }
                if begins { start = v }
                put(start ?? .null(type))
            }
        default: break
        }
        guard b.count == rows else { throw EvaluationError("\(step.name) lacks an argument", at: step.range) }
        return b.finish()
    }
}

/// The cells of one column over several batches, by running row number.
struct CellSequence {
    private let parts: [Column]
    private let starts: [Int]

    init(_ parts: [Column]) {
        self.parts = parts
        var starts: [Int] = []
        var n = 0
        for p in parts {
            starts.append(n)
            n += p.count
        }
        self.starts = starts
    }

    private func place(_ n: Int) -> (part: Int, row: Int) {
        var low = 0, high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= n { low = middle } else { high = middle }
        }
        return (low, n - starts[low])
    }

    func value(_ n: Int) -> Value {
        let p = place(n)
        return parts[p.part].value(p.row)
    }

    func isTrue(_ n: Int) -> Bool {
        switch value(n) {
        case .bool(let b): b
        case .int(let v): v != 0
        case .long(let v): v != 0
        default: false
        }
    }
}
