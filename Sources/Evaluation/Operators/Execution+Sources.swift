import Columnar
import KQL

/// Operators that make rows.
extension Execution {
    func table(
        _ plan: Plan, _ name: String, _ filters: [BoundExpr], _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        var start = 0
        var goesOn = true
        try scan(plan, name, filters, environment.part) { batch in
            try context.watch?.check()
            if batch.count == 0 { return true }
            guard batch.columns.count == plan.columns.count else {
                throw EvaluationError("table \(name) gave \(batch.columns.count) columns for \(plan.columns.count)", at: plan.range)
            }
            var batch = batch
            if !options.keys {
                batch.keys = nil
                batch.lineage = nil
            } else {
                let first = start
                let count = batch.count
                let keys = batch.keys ?? ContiguousArray((0..<count).lazy.map { .ordinal(first + $0) })
                batch.keys = keys
                if !options.lineage {
                    batch.lineage = nil
                } else if batch.lineage == nil {
                    batch.lineage = ContiguousArray(keys.lazy.map { Lineage($0) })
                }
            }
            start += batch.count
            goesOn = try emit(batch)
            return goesOn
        }
        return goesOn
    }

    private func scan(
        _ plan: Plan, _ name: String, _ filters: [BoundExpr], _ part: ScanPart?, _ emit: (Batch) throws -> Bool
    ) throws {
        if let part, let divided = provider as? any DividedTableProvider {
            try divided.scan(table: name, columns: plan.columns, filters: filters, context: context, part: part, emit: emit)
        } else {
            try provider.scan(table: name, columns: plan.columns, filters: filters, context: context, emit: emit)
        }
    }

    private func made(_ columns: [Column], count: Int, start: Int) -> Batch {
        Batch(columns: columns, count: count, keys: options.keys ? ContiguousArray((0..<count).lazy.map { .ordinal(start + $0) }) : nil)
    }

    func literalRows(_ plan: Plan, _ rows: [[Value]], _ emit: (Batch) throws -> Bool) throws -> Bool {
        var at = 0
        while at < rows.count {
            let end = min(rows.count, at + options.batchRows)
            let columns = plan.columns.indices.map { c in
                let type = plan.columns[c].type
                var b = ColumnBuilder(type)
                b.reserve(end - at)
                for r in at..<end {
                    let v = c < rows[r].count ? rows[r][c] : .missing(type)
                    b.append(v.type == type ? v : convertValue(v, to: type))
                }
                return b.finish()
            }
            guard try emit(made(columns, count: end - at, start: at)) else { return false }
            at = end
        }
        return true
    }

    func printRow(_ plan: Plan, _ exprs: [BoundExpr], _ emit: (Batch) throws -> Bool) throws -> Bool {
        let one = made([], count: 1, start: 0)
        let columns = try exprs.map { try compiled($0, of: plan, over: []).evaluate(one, context).materialized(rows: 1) }
        return try emit(made(columns, count: 1, start: 0))
    }

    func rangeRows(
        _ plan: Plan, _ from: BoundExpr, _ to: BoundExpr, _ step: BoundExpr, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard let column = plan.columns.first else { return true }
        let type = column.type
        func value(_ e: BoundExpr, _ t: ScalarType) throws -> Value {
            let v = try constant(e, of: plan)
            return v.type == t ? v : convertValue(v, to: t)
        }
        let stepType: ScalarType = type == .datetime ? .timespan : type
        let (first, last, increment) = (try value(from, type), try value(to, type), try value(step, stepType))
        if first.isNull || last.isNull || increment.isNull { return true }
        if type == .real, let a = first.double, let b = last.double, let s = increment.double {
            return try realRange(plan, a, b, s, emit)
        }
        guard type.isIntegerBacked, let a = first.integer, let b = last.integer, let s = increment.integer else {
            throw EvaluationError("range does not run over \(type.rawValue)", at: plan.range)
        }
        guard s != 0 else { throw EvaluationError("the step of a range must not be zero", at: step.range) }
        if s > 0 ? a > b : a < b { return true }
        let steps = (Int128(b) - Int128(a)) / Int128(s)
        guard steps < Int128(limits.heldRows) else {
            throw limits.reached(.heldRows, "range makes more than \(limits.heldRows) rows", at: plan.range)
        }
        let total = Int(steps) + 1
        var at = 0
        while at < total {
            let n = min(options.batchRows, total - at)
            let cells = ContiguousArray((0..<n).lazy.map { a + Int64(at + $0) * s })
            guard try emit(made([Column(type, .longs(cells))], count: n, start: at)) else { return false }
            at += n
        }
        return true
    }

    private func realRange(_ plan: Plan, _ a: Double, _ b: Double, _ s: Double, _ emit: (Batch) throws -> Bool) throws -> Bool {
        guard s != 0, s.isFinite, a.isFinite, b.isFinite else {
            throw EvaluationError("the bounds of a range must be finite and its step not zero", at: plan.range)
        }
        // A slack of a billionth of a step: 0.1 * 10 counts as 1.
        let steps = ((b - a) / s + 1e-9).rounded(.down)
        if steps < 0 { return true }
        guard steps < Double(limits.heldRows) else {
            throw limits.reached(.heldRows, "range makes more than \(limits.heldRows) rows", at: plan.range)
        }
        let total = Int(steps) + 1
        var at = 0
        while at < total {
            let n = min(options.batchRows, total - at)
            let cells = ContiguousArray((0..<n).lazy.map { a + Double(at + $0) * s })
            guard try emit(made([Column(.real, .reals(cells))], count: n, start: at)) else { return false }
            at += n
        }
        return true
    }

    func getschema(_ plan: Plan, _ input: Plan, _ emit: (Batch) throws -> Bool) throws -> Bool {
        let rows: [[Value]] = input.columns.enumerated().map { i, c in
            let dotnet = c.type == .decimal ? "Data.SqlTypes.SqlDecimal" : c.type.dataTypeName
            let ordinal =
                plan.columns.count > 1 && plan.columns[1].type == .long ? Value.long(Int64(i)) : .int(Int32(truncatingIfNeeded: i))
            return [.string(c.name), ordinal, .string("System." + dotnet), .string(c.type.rawValue)]
        }
        return try literalRows(plan, rows, emit)
    }
}
