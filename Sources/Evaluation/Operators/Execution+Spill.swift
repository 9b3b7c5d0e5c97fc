import Columnar
import Glibc
import KQL

extension EvaluationLimits {
    /// Where temporary files are made.
    var folder: String { temporaryFolder ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }
}

/// Rows divided by the hash of their keys: equal keys, nulls among them, meet in one file.
final class KeyPartitions {
    static let count = 16
    /// Divisions on top of each other; keys that are still together then are equal, or hardly differ.
    static let mostLevels = 6
    /// Made when the first row comes.
    private var files = [SpillFile?](repeating: nil, count: KeyPartitions.count)
    private let level: Int
    private let folder: String

    /// `level`: how often the rows were divided before.
    init(level: Int, folder: String) {
        self.level = level
        self.folder = folder
    }

    /// Adds the rows of a batch; `keys` are their key cells.
    func add(_ batch: Batch, keys: [Column]) throws {
        var hashes = ContiguousArray<UInt64>(repeating: 0, count: batch.count)
        for column in keys {
            let own = CellHash.hashes(column)
            for i in hashes.indices {
                let cell = column.isNull(i) ? 0 : own[i]
                hashes[i] = (hashes[i] ^ cell) &* 0x9E37_79B9_7F4A_7C15
                hashes[i] ^= hashes[i] >> 31
            }
        }
        var rows = [ContiguousArray<Int32>](repeating: [], count: KeyPartitions.count)
        let shift = UInt64(4 * level + 8)
        for i in hashes.indices { rows[Int(hashes[i] >> shift & 15)].append(Int32(truncatingIfNeeded: i)) }
        for (p, chosen) in rows.enumerated() where !chosen.isEmpty {
            let file = try files[p] ?? SpillFile(directory: folder)
            files[p] = file
            try file.append(batch.gather(chosen))
        }
    }

    /// The rows of one division, in the order in which they came; nil if there are none.
    func reader(_ part: Int, _ types: [ScalarType]) throws -> SpillFile.Reader? { try files[part]?.reader(types) }

    /// Closes the file of a division that is done with.
    func drop(_ part: Int) { files[part] = nil }
}

// MARK: sort

extension Execution {
    /// Sorts rows of which more come than memory holds: sorted runs on disk, merged at the end. Ties as without: by row order.
    func sort(
        _ plan: Plan, _ input: Plan, _ keys: [BoundSortKey], _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        var store = RowStore(input.columns)
        var bytes = 0
        var runs: [SpillFile] = []
        func putAside() throws {
            let file = try SpillFile(directory: limits.folder)
            _ = try store.emit(try sorted(store, plan, input, keys), batchRows: options.batchRows) {
                try file.append($0)
                return true
            }
            runs.append(file)
            store = RowStore(input.columns)
            bytes = 0
        }
        try run(input, environment) { batch in
            try store.append(batch, limits, by: "sort")
            bytes += batch.bytes
            if bytes > limits.heldBytes, batch.lineage == nil { try putAside() }
            return true
        }
        if runs.isEmpty {
            return try store.emit(try sorted(store, plan, input, keys), batchRows: options.batchRows, emit)
        }
        if store.count > 0 { try putAside() }
        let merge = try RunMerge(self, plan, input, keys, runs)
        return try merge.emit(batchRows: options.batchRows, emit)
    }
}

/// Merges sorted runs.
private final class RunMerge {
    private struct Cursor {
        let reader: SpillFile.Reader
        var batch: Batch
        var keys: [Column]
        var row = 0
    }
    private let execution: Execution
    private let types: [ScalarType]
    private let expressions: [CompiledExpression]
    private let order: [BoundSortKey]
    /// Rows of a run that came earlier go first among equals; else those with the lesser key.
    private let positional: Bool
    private var cursors: [Cursor] = []
    /// A heap of positions in `cursors`, the first row on top.
    private var heap: [Int] = []

    init(_ execution: Execution, _ plan: Plan, _ input: Plan, _ keys: [BoundSortKey], _ runs: [SpillFile]) throws {
        self.execution = execution
        types = input.columns.map(\.type)
        order = keys
        positional = execution.isOrdered(input)
        expressions = try keys.map { try execution.compiled($0.expr, of: plan, over: input.columns) }
        for run in runs {
            let reader = try run.reader(types)
            guard let batch = try reader.next() else { continue }
            cursors.append(Cursor(reader: reader, batch: batch, keys: try self.keys(batch)))
        }
        heap = Array(cursors.indices)
        for i in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(i) }
    }

    private func keys(_ batch: Batch) throws -> [Column] {
        try expressions.map { try $0.evaluate(batch, execution.context).materialized(rows: batch.count) }
    }

    /// Whether the row of a run comes before that of another.
    private func precedes(_ x: Int, _ y: Int) -> Bool {
        let (a, b) = (cursors[x], cursors[y])
        for (k, key) in order.enumerated() {
            let (p, q) = (a.keys[k], b.keys[k])
            let (nullP, nullQ) = (p.isNull(a.row), q.isNull(b.row))
            if nullP || nullQ {
                if nullP == nullQ { continue }
                return nullP == key.nullsFirst
            }
            let (nanP, nanQ) = (CellOrder.isNaN(p, a.row), CellOrder.isNaN(q, b.row))
            if nanP != nanQ { return nanP == key.nullsFirst }
            let c = CellOrder.compare(p, a.row, q, b.row)
            if c != 0 { return (c < 0) != key.descending }
        }
        if !positional, let p = a.batch.keys?[a.row], let q = b.batch.keys?[b.row], p != q { return p < q }
        return x < y
    }

    private func sink(_ from: Int) {
        var i = from
        while true {
            var least = i
            for child in [2 * i + 1, 2 * i + 2] where child < heap.count && precedes(heap[child], heap[least]) { least = child }
            if least == i { return }
            heap.swapAt(i, least)
            i = least
        }
    }

    func emit(batchRows: Int, _ emit: (Batch) throws -> Bool) throws -> Bool {
        var builders = types.map { ColumnBuilder($0) }
        var keys: ContiguousArray<RowKey>? = cursors.allSatisfy { $0.batch.keys != nil } ? [] : nil
        var n = 0
        func flush() throws -> Bool {
            if n == 0 { return true }
            let batch = Batch(columns: builders.indices.map { builders[$0].finish() }, count: n, keys: keys)
            builders = types.map { ColumnBuilder($0) }
            if keys != nil { keys = [] }
            n = 0
            return try emit(batch)
        }
        while let top = heap.first {
            let row = cursors[top].row
            for (c, column) in cursors[top].batch.columns.enumerated() { builders[c].append(column, row: row) }
            if let key = cursors[top].batch.keys?[row] { keys?.append(key) }
            n += 1
            cursors[top].row += 1
            if cursors[top].row == cursors[top].batch.count {
                if let next = try cursors[top].reader.next() {
                    cursors[top].batch = next
                    cursors[top].keys = try self.keys(next)
                    cursors[top].row = 0
                } else {
                    heap.swapAt(0, heap.count - 1)
                    heap.removeLast()
                }
            }
            sink(0)
            if n >= batchRows, try !flush() { return false }
        }
        return try flush()
    }
}
