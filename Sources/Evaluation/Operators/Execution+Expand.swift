import Columnar
import KQL

/// One input batch taken apart: which input row and which element each output row has.
private struct Expansion {
    /// The elements of each item, by input row.
    var elements: [[[Dynamic]]]
    var rows = ContiguousArray<Int32>()
    var indices = ContiguousArray<Int64>()
}

extension Execution {
    // MARK: mv-expand

    func mvExpand(
        _ plan: Plan, _ input: Plan, _ items: [BoundMvItem], _ outputs: [MvOutput], _ limit: BoundExpr?, _ bagArrays: Bool,
        _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let ready = try items.map { try compiled($0.expr, of: plan, over: input.columns) }
        let most = try limit.map { try count($0, of: plan, name: "the limit of mv-expand") } ?? Int(Int32.max)
        return try run(input, environment) { batch in
            let columns = try ready.map { try $0.evaluate(batch, context).materialized(rows: batch.count) }
            if columns.count == 1, case .dynamics(let texts) = columns[0].data, let item = items.first {
                return try expandSlices(batch, columns[0], texts, item.type, most, bagArrays, outputs, emit)
            }
            var from = 0
            // Input rows are taken in portions, so that large arrays do not make an output of unbounded size.
            while from < batch.count {
                var e = Expansion(elements: Array(repeating: [], count: items.count))
                let to = expand(batch.count, columns, most, bagArrays, from: from, into: &e)
                if !e.rows.isEmpty, try !emitExpanded(batch, e, items, outputs, firstRow: from, emit) { return false }
                from = to
            }
            return true
        }
    }

    /// Expands input rows from `from` on until some thousand output rows are there; returns the next input row.
    private func expand(_ count: Int, _ columns: [Column], _ most: Int, _ bagArrays: Bool, from: Int, into e: inout Expansion) -> Int {
        var row = from
        while row < count, e.rows.count < options.batchRows {
            var n = 0
            for (i, c) in columns.enumerated() {
                let elements = Execution.elements(c.value(row), bagArrays)
                n = max(n, elements.count)
                e.elements[i].append(elements)
            }
            for index in 0..<min(n, most) {
                e.rows.append(Int32(truncatingIfNeeded: row))
                e.indices.append(Int64(index))
            }
            row += 1
        }
        return row
    }

    /// The elements of a value: of an array, the properties of a bag, a scalar as it is, one null for null; none for an empty array or bag.
    static func elements(_ value: Value, _ bagArrays: Bool) -> [Dynamic] {
        switch value {
        case .dynamic(.array(let items)): return items
        case .dynamic(.object(let members)):
            return members.map { m in bagArrays ? .array([.string(m.key), m.value]) : .object([m]) }
        case .dynamic(let d): return [d]
        case .null: return [.null]
        default:
            if case .dynamic(let d) = convertValue(value, to: .dynamic) { return [d] }
            return [.null]
        }
    }

    private func emitExpanded(
        _ batch: Batch, _ e: Expansion, _ items: [BoundMvItem], _ outputs: [MvOutput], firstRow: Int, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        var at = 0
        while at < e.rows.count {
            let end = min(e.rows.count, at + options.batchRows)
            let rows = ContiguousArray(e.rows[at..<end])
            let indices = ContiguousArray(e.indices[at..<end])
            let columns = outputs.map { output -> Column in
                switch output {
                case .input(let p): return batch.columns[p].gather(rows)
                case .index: return Column(.long, .longs(indices))
                case .item(let i):
                    var b = ColumnBuilder(items[i].type)
                    b.reserve(rows.count)
                    for (n, row) in rows.enumerated() {
                        let elements = e.elements[i][Int(row) - firstRow]
                        let index = Int(indices[n])
                        b.append(index < elements.count ? Execution.cast(elements[index], to: items[i].type) : .missing(items[i].type))
                    }
                    return b.finish()
                }
            }
            let keys = batch.keys.map { k in ContiguousArray(zip(rows, indices).map { k[Int($0)].expanded(Int($1)) }) }
            let lineage = batch.lineage.map { l in ContiguousArray(rows.map { l[Int($0)] }) }
            guard try emit(Batch(columns: columns, count: rows.count, keys: keys, lineage: lineage)) else { return false }
            at = end
        }
        return true
    }

    /// `to typeof`: a cast without parsing; what is not of the type is null. (Times and guids are strings inside dynamic values.)
    static func cast(_ d: Dynamic, to type: ScalarType) -> Value {
        switch (type, d) {
        case (.dynamic, .null): return .null(.dynamic)
        case (.dynamic, _): return .dynamic(d)
        case (.string, .string(let s)): return .string(s)
        case (.string, .null): return .string("")
        case (.string, .bool(let b)): return .string(b ? "true" : "false")
        case (.string, _): return .string(JSONText.compact(d))
        case (.bool, .bool(let b)): return .bool(b)
        case (.bool, .long(let v)): return .bool(v != 0)
        case (.int, .long(let v)): return Int32(exactly: v).map(Value.int) ?? .null(.int)
        case (.int, .real(let v)): return v.isFinite ? Int32(exactly: v.rounded(.towardZero)).map(Value.int) ?? .null(.int) : .null(.int)
        case (.long, .long(let v)): return .long(v)
        case (.long, .real(let v)):
            return v.isFinite ? Int64(exactly: v.rounded(.towardZero)).map(Value.long) ?? .null(.long) : .null(.long)
        case (.real, .long(let v)): return .real(Double(v))
        case (.real, .real(let v)): return .real(v)
        case (.real, .string(let s)): return specialReal(s).map(Value.real) ?? .null(.real)
        case (.decimal, .long(let v)): return .decimal(Decimal128(v))
        case (.decimal, .real(let v)): return Decimal128(v).map(Value.decimal) ?? .null(.decimal)
        case (.datetime, .string(let s)), (.timespan, .string(let s)), (.guid, .string(let s)):
            return convertValue(.string(s), to: type)
        default: return .null(type)
        }
    }

    // MARK: mv-apply

    /// Columns of the result that the body does not give are those of the input row, repeated.
    func mvApply(
        _ plan: Plan, _ input: Plan, _ items: [BoundMvItem], _ outputs: [MvOutput], _ limit: BoundExpr?, _ body: Plan,
        _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let ready = try items.map { try compiled($0.expr, of: plan, over: input.columns) }
        let most = try limit.map { try count($0, of: plan, name: "the limit of mv-apply") } ?? Int(Int32.max)
        let fromBody = plan.columns.map { c in body.columns.firstIndex { $0.id == c.id } }
        let fromInput = plan.columns.map { c in input.columns.firstIndex { $0.id == c.id } }
        for i in plan.columns.indices where fromBody[i] == nil && fromInput[i] == nil {
            throw EvaluationError("mv-apply lacks its column \(plan.columns[i].name)", at: plan.range)
        }
        let names = ownNames(of: body)
        return try run(input, environment) { batch in
            let columns = try ready.map { try $0.evaluate(batch, context).materialized(rows: batch.count) }
            for row in 0..<batch.count {
                try context.watch?.check()
                var e = Expansion(elements: Array(repeating: [], count: items.count))
                _ = expand(row + 1, columns, most, false, from: row, into: &e)
                if e.rows.isEmpty { continue }
                var source: [Batch] = []
                _ = try emitExpanded(batch, e, items, outputs, firstRow: row) {
                    source.append($0)
                    return true
                }
                let goesOn = try run(body: body, over: source, names: names) { result in
                    if result.count == 0 { return true }
                    let repeated = ContiguousArray(repeating: Int32(truncatingIfNeeded: row), count: result.count)
                    let out = plan.columns.indices.map { i -> Column in
                        if let p = fromBody[i] { return result.columns[p] }
                        return batch.columns[fromInput[i] ?? 0].gather(repeated)
                    }
                    // The rows of the body all come from this one input row.
                    return try emit(
                        Batch(
                            columns: out, count: result.count, keys: result.keys,
                            lineage: batch.lineage.map { ContiguousArray(repeating: $0[row], count: result.count) }))
                }
                if !goesOn { return false }
            }
            return true
        }
    }
}
