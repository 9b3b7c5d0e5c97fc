import Columnar
import KQL

/// Rows held by an operator: batches as they came, addressed by a running number.
struct RowStore {
    let types: [ScalarType]
    private(set) var batches: [Batch] = []
    /// Number of the first row of each batch.
    private var starts: [Int] = []
    private(set) var count = 0
    /// Memory of the rows, roughly.
    private(set) var bytes = 0

    init(_ columns: [BoundColumn]) { types = columns.map(\.type) }

    private init(types: [ScalarType]) { self.types = types }

    /// Throws when the operator `name` would hold more rows, or more memory, than the limits allow.
    mutating func append(_ batch: Batch, _ limits: EvaluationLimits, by name: String) throws {
        if batch.count == 0 { return }
        batches.append(batch)
        starts.append(count)
        count += batch.count
        bytes += batch.bytes
        try limits.check(held: count, by: name)
        try limits.check(bytes: bytes, by: name)
    }

    /// The same rows as one batch, where their number and text allow it: rows are then found without a search.
    func flattened() -> RowStore {
        if batches.count < 2 { return self }
        var columns: [Column] = []
        for (c, type) in types.enumerated() {
            guard let whole = Column.joined(batches.map { $0.columns[c] }, type: type) else { return self }
            columns.append(whole)
        }
        let keyed = batches.allSatisfy { $0.keys != nil }
        let traced = batches.allSatisfy { $0.lineage != nil }
        guard keyed || batches.allSatisfy({ $0.keys == nil }), traced || batches.allSatisfy({ $0.lineage == nil }) else { return self }
        var out = RowStore(types: types)
        out.batches = [
            Batch(
                columns: columns, count: count, keys: keyed ? ContiguousArray(batches.lazy.compactMap(\.keys).joined()) : nil,
                lineage: traced ? ContiguousArray(batches.lazy.compactMap(\.lineage).joined()) : nil)
        ]
        out.starts = [0]
        out.count = count
        out.bytes = bytes
        return out
    }

    /// Batch and row of a row number.
    func place(_ n: Int) -> (batch: Int, row: Int) {
        if starts.count == 1 { return (0, n) }
        var low = 0, high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= n { low = middle } else { high = middle }
        }
        return (low, n - starts[low])
    }

    /// The rows given, in that order; -1 gives a row of nulls.
    func gather(_ rows: some Collection<Int>) -> Batch {
        if batches.count == 1, let only = batches.first, rows.count < Int(Int32.max) {
            return only.gatherOuter(ContiguousArray(rows.lazy.map { Int32(truncatingIfNeeded: $0) }))
        }
        let places = rows.map { $0 < 0 ? (batch: -1, row: -1) : place($0) }
        if let first = places.first, first.batch >= 0, places.allSatisfy({ $0.batch == first.batch }) {
            let b = batches[first.batch]
            if places.count == b.count, places.enumerated().allSatisfy({ $0.offset == $0.element.row }) { return b }
            return b.gather(ContiguousArray(places.map { Int32(truncatingIfNeeded: $0.row) }))
        }
        let columns = types.indices.map { c in
            var b = ColumnBuilder(types[c])
            b.reserve(places.count)
            for p in places {
                if p.batch < 0 { b.appendNull() } else { b.append(batches[p.batch].columns[c], row: p.row) }
            }
            return b.finish()
        }
        var keys: ContiguousArray<RowKey>?
        if batches.allSatisfy({ $0.keys != nil }), places.allSatisfy({ $0.batch >= 0 }) {
            keys = ContiguousArray(places.map { batches[$0.batch].keys?[$0.row] ?? .ordinal(0) })
        }
        var lineage: ContiguousArray<Lineage>?
        if places.contains(where: { $0.batch >= 0 && batches[$0.batch].lineage != nil }), places.allSatisfy({ $0.batch >= 0 }) {
            lineage = ContiguousArray(
                places.map { p in batches[p.batch].lineage?[p.row] ?? .none })
        }
        return Batch(columns: columns, count: places.count, keys: keys, lineage: lineage)
    }

    /// A store of the rows given, in that order.
    func keeping(_ rows: [Int], batchRows: Int, _ limits: EvaluationLimits, by name: String) throws -> RowStore {
        var next = RowStore(types: types)
        var at = 0
        while at < rows.count {
            let end = min(rows.count, at + batchRows)
            try next.append(gather(rows[at..<end]), limits, by: name)
            at = end
        }
        return next
    }

    /// The order of every row: its key, or its number where rows have none or their order is already meaningful.
    func orders(positional: Bool) -> ContiguousArray<RowKey> {
        var out = ContiguousArray<RowKey>()
        out.reserveCapacity(count)
        for b in batches {
            if !positional, let keys = b.keys {
                out.append(contentsOf: keys)
            } else {
                for _ in 0..<b.count { out.append(.ordinal(out.count)) }
            }
        }
        return out
    }

    /// Row numbers in row order: by key, equal keys as they came.
    func ordered(positional: Bool) -> [Int] {
        if positional || batches.contains(where: { $0.keys == nil }) { return Array(0..<count) }
        let orders = orders(positional: false)
        return (0..<count).sorted { orders[$0] == orders[$1] ? $0 < $1 : orders[$0] < orders[$1] }
    }

    /// Hands the rows given over in batches; false if `emit` wanted no more.
    func emit(_ rows: [Int], batchRows: Int, _ emit: (Batch) throws -> Bool) throws -> Bool {
        var at = 0
        while at < rows.count {
            let end = min(rows.count, at + batchRows)
            guard try emit(gather(rows[at..<end])) else { return false }
            at = end
        }
        return true
    }
}

extension Batch {
    /// The rows given, -1 for rows of nulls; those have no keys and no lineage, so then no row of the result has.
    func gatherOuter(_ rows: ContiguousArray<Int32>) -> Batch {
        if !rows.contains(where: { $0 < 0 }) {
            return rows.count == count && rows.indices.allSatisfy { Int(rows[$0]) == $0 } ? self : gather(rows)
        }
        return Batch(columns: columns.map { $0.gather(rows) }, count: rows.count)
    }
}
