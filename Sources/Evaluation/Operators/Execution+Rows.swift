import CKernels
import Columnar
import KQL

/// Operators that pass, drop, compute or order rows.
extension Execution {
    // MARK: Filter and project

    func filter(
        _ plan: Plan, _ input: Plan, _ predicate: BoundExpr, _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        if RowFunctions.appear(in: predicate) {
            return try withRowFunctions(plan, input, [predicate], environment) { batch, results in
                let chosen = Cells.isTrue(results[0], rows: batch.count)
                return chosen.isEmpty ? true : try emit(batch.filter(chosen))
            }
        }
        // Filters stacked on a table are handed to its source together.
        var predicates: [(plan: Plan, expr: BoundExpr)] = [(plan, predicate)]
        var base = input
        while case .filter(let inner, let p) = base.kind, !RowFunctions.appear(in: p) {
            predicates.append((base, p))
            base = inner
        }
        predicates.reverse()
        let compiledPredicates = try predicates.map { try compiled($0.expr, of: $0.plan, over: base.columns) }
        var unread: [Int] = []
        if let needed = environment.needed { unread = base.columns.indices.filter { !needed.contains(base.columns[$0].id) } }
        func apply(_ rows: Batch) throws -> Bool {
            if compiledPredicates.count == 1, let only = compiledPredicates.first {
                let chosen = try only.select(rows, context)
                return chosen.isEmpty ? true : try emit(narrowed(rows, chosen, base, unread))
            }
            var batch = rows
            for p in compiledPredicates {
                let chosen = try p.select(batch, context)
                if chosen.isEmpty { return true }
                batch = batch.filter(chosen)
            }
            return try emit(batch)
        }
        if case .table(let name) = base.kind {
            let pushed = predicates.flatMap { PlanRewriter.conjuncts($0.expr) }.filter { !PlanRewriter.hasSubquery($0) }
            return try table(base, name, pushed, environment, apply)
        }
        return try run(base, environment, apply)
    }

    /// The rows chosen. Columns that nothing above reads are not copied: they become empty ones.
    private func narrowed(_ batch: Batch, _ chosen: Bitmap, _ plan: Plan, _ unread: [Int]) -> Batch {
        if unread.isEmpty || chosen.isFull { return batch.filter(chosen) }
        let rows = chosen.indices
        var columns: [Column] = []
        columns.reserveCapacity(batch.columns.count)
        var next = unread[...]
        for (i, c) in batch.columns.enumerated() {
            if i == next.first {
                next = next.dropFirst()
                columns.append(Column.nulls(c.type, count: rows.count))
            } else {
                columns.append(c.gather(rows))
            }
        }
        return Batch(
            columns: columns, count: rows.count, keys: batch.keys.map { k in ContiguousArray(rows.lazy.map { k[Int($0)] }) },
            lineage: batch.lineage.map { l in ContiguousArray(rows.lazy.map { l[Int($0)] }) })
    }

    func project(
        _ plan: Plan, _ input: Plan, _ exprs: [BoundExpr], _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        if exprs.contains(where: RowFunctions.appear) {
            return try withRowFunctions(plan, input, exprs, environment) { batch, results in
                try emit(
                    Batch(
                        columns: results.map { $0.materialized(rows: batch.count) }, count: batch.count, keys: batch.keys,
                        lineage: batch.lineage))
            }
        }
        let ready = try exprs.map { try compiled($0, of: plan, over: input.columns) }
        let needed = exprs.reduce(into: Set<ColumnID>()) { $0.formUnion(PlanRewriter.columns(of: $1)) }
        return try run(input, environment, needed: needed) { batch in
            let columns = try ready.map { try $0.evaluate(batch, context).materialized(rows: batch.count) }
            return try emit(Batch(columns: columns, count: batch.count, keys: batch.keys, lineage: batch.lineage))
        }
    }

    // MARK: Order

    /// Row numbers of a store in the order of the keys; ties by row order.
    func sorted(_ store: RowStore, _ plan: Plan, _ input: Plan, _ keys: [BoundSortKey]) throws -> [Int] {
        let order = store.orders(positional: isOrdered(input))
        let columns = try keys.map { key -> SortColumn in
            let e = try compiled(key.expr, of: plan, over: input.columns)
            var column = SortColumn(key, type: key.expr.type)
            for b in store.batches { column.append(try e.evaluate(b, context).materialized(rows: b.count)) }
            return column
        }
        if columns.count == 1, let only = columns.first, only.isWord {
            return (0..<store.count).sorted { a, b in
                let c = only.compareWords(a, b)
                return c != 0 ? c < 0 : (order[a] == order[b] ? a < b : order[a] < order[b])
            }
        }
        return (0..<store.count).sorted { a, b in
            for column in columns {
                let c = column.compare(a, b)
                if c != 0 { return c < 0 }
            }
            return order[a] == order[b] ? a < b : order[a] < order[b]
        }
    }

    func top(
        _ plan: Plan, _ input: Plan, _ n: BoundExpr, _ keys: [BoundSortKey], _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let wanted = try count(n, of: plan, name: "top")
        if wanted == 0 { return true }
        let best = try least(wanted, input, environment, by: "top") { store in try self.sorted(store, plan, input, keys) }
        return try best.store.emit(best.rows, batchRows: options.batchRows, emit)
    }

    /// The first `wanted` rows of a plan in the order that `sorting` gives to any part of them.
    private func least(
        _ wanted: Int, _ input: Plan, _ environment: Environment, by name: String, _ sorting: (RowStore) throws -> [Int]
    ) throws -> (store: RowStore, rows: [Int]) {
        var store = RowStore(input.columns)
        let most = wanted > Int.max / 8 ? Int.max : 4 * wanted + 4 * options.batchRows
        try run(input, environment) { batch in
            try store.append(batch, limits, by: name)
            if store.count > most {
                // Survivors stay in arrival order, so positions still tell which of two ties came first.
                let kept = try sorting(store).prefix(wanted).sorted()
                store = try store.keeping(kept, batchRows: options.batchRows, limits, by: name)
            }
            return true
        }
        return (store, Array(try sorting(store).prefix(wanted)))
    }

    func take(
        _ plan: Plan, _ input: Plan, _ n: BoundExpr, _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let wanted = try count(n, of: plan, name: "take")
        if wanted == 0 { return true }
        if options.stableTake, options.keys, !isOrdered(input) {
            let best = try least(wanted, input, environment, by: "take") { $0.ordered(positional: false) }
            return try best.store.emit(best.rows, batchRows: options.batchRows, emit)
        }
        var left = wanted
        var goesOn = true
        try run(input, environment) { batch in
            let part =
                batch.count <= left ? batch : batch.gather(ContiguousArray((0..<left).lazy.map { Int32(truncatingIfNeeded: $0) }))
            left -= part.count
            goesOn = try emit(part)
            return goesOn && left > 0
        }
        return goesOn
    }

    func serialize(_ plan: Plan, _ input: Plan, _ environment: Environment, _ emit: (Batch) throws -> Bool) throws -> Bool {
        if !options.keys || isOrdered(input) { return try run(input, environment, emit) }
        let store = try self.store(input, environment, by: "serialize")
        return try store.emit(store.ordered(positional: false), batchRows: options.batchRows, emit)
    }

    func sample(
        _ plan: Plan, _ input: Plan, _ n: BoundExpr, _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let wanted = try count(n, of: plan, name: "sample")
        if wanted == 0 { return true }
        let store = try self.store(input, environment, by: "sample")
        // A row's lot is a hash of seed and row key, so the choice depends on the rows alone.
        let order = store.orders(positional: isOrdered(input))
        let seed = context.seed
        let lots = order.map { key in
            withUnsafeBytes(of: (key.time, key.hashHigh, key.hashLow, key.path)) { vk_xxh3_64($0.baseAddress, $0.count, seed) }
        }
        let sequence = store.ordered(positional: isOrdered(input))
        let chosen = Set(sequence.sorted { lots[$0] < lots[$1] }.prefix(wanted))
        return try store.emit(sequence.filter(chosen.contains), batchRows: options.batchRows, emit)
    }

    // MARK: Union

    func union(
        _ plan: Plan, _ branches: [Plan], _ map: [[Int?]], _ source: [String]?, _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        for (i, branch) in branches.enumerated() {
            guard i < map.count else { throw EvaluationError("a union lacks the columns of a branch", at: plan.range) }
            let positions = map[i]
            let goesOn = try run(branch, environment) { batch in
                let columns = plan.columns.enumerated().map { j, c -> Column in
                    if j == 0, let source, i < source.count { return Column(repeating: .string(source[i]), count: batch.count) }
                    if j < positions.count, let p = positions[j], p < batch.columns.count {
                        let column = batch.columns[p]
                        return column.type == c.type
                            ? column : castDatum(.column(column), to: c.type, rows: batch.count).materialized(rows: batch.count)
                    }
                    return Column.nulls(c.type, count: batch.count)
                }
                return try emit(Batch(columns: columns, count: batch.count, keys: batch.keys, lineage: batch.lineage))
            }
            if !goesOn { return false }
        }
        return true
    }
}

/// One sort key over all held rows.
struct SortColumn {
    private let descending: Bool
    private let nullsFirst: Bool
    let isWord: Bool
    /// Order-preserving integers where the type has them, else the columns themselves.
    private var words = ContiguousArray<Int64>()
    private var nulls = ContiguousArray<Bool>()
    private var columns: [Column] = []
    private var places = ContiguousArray<(part: Int32, row: Int32)>()

    init(_ key: BoundSortKey, type: ScalarType) {
        descending = key.descending
        nullsFirst = key.nullsFirst
        isWord = CellCode.isWord(type)
    }

    mutating func append(_ column: Column) {
        for i in 0..<column.count { nulls.append(column.isNull(i)) }
        switch column.data {
        case .longs(let a) where isWord: words.append(contentsOf: a)
        case .reals(let a) where isWord:
            // NaN has no place among the numbers: it stands beside the nulls, whichever way the numbers run.
            let nan = descending == nullsFirst ? Int64.max : Int64.min
            words.append(contentsOf: a.lazy.map { $0.isNaN ? nan : CellOrder.word($0) })
        case .bools(let b) where isWord: words.append(contentsOf: (0..<b.count).lazy.map { b[$0] ? 1 : 0 })
        default:
            let part = Int32(truncatingIfNeeded: columns.count)
            places.append(contentsOf: (0..<column.count).lazy.map { (part, Int32(truncatingIfNeeded: $0)) })
            columns.append(column)
        }
    }

    @inline(__always)
    func compareWords(_ a: Int, _ b: Int) -> Int {
        if nulls[a] || nulls[b] { return compareNulls(a, b) }
        let (x, y) = (words[a], words[b])
        return x == y ? 0 : ((x < y) != descending ? -1 : 1)
    }

    private func compareNulls(_ a: Int, _ b: Int) -> Int {
        if nulls[a] == nulls[b] { return 0 }
        return nulls[a] == nullsFirst ? -1 : 1
    }

    func compare(_ a: Int, _ b: Int) -> Int {
        if isWord { return compareWords(a, b) }
        if nulls[a] || nulls[b] { return compareNulls(a, b) }
        let (p, q) = (places[a], places[b])
        let c = CellOrder.compare(columns[Int(p.part)], Int(p.row), columns[Int(q.part)], Int(q.row))
        return descending ? -c : c
    }
}
