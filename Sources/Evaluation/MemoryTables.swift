import Columnar
import KQL

/// Tables held in memory: watchlists, inline data, tests.
public struct MemoryTables: DividedTableProvider, SchemaCatalog {
    private struct Table: Sendable {
        let schema: TableSchema
        let batches: [Batch]
    }
    private var tables: [String: Table] = [:]

    public init() {}

    /// Adds a table of batches whose columns are those of the schema, in order. Batches without keys are numbered in their order.
    public mutating func add(_ schema: TableSchema, batches: [Batch]) {
        var start = 0
        let keyed = batches.map { batch -> Batch in
            var batch = batch
            let first = start
            if batch.keys == nil { batch.keys = ContiguousArray((0..<batch.count).lazy.map { .ordinal(first + $0) }) }
            start += batch.count
            return batch
        }
        tables[schema.name] = Table(schema: schema, batches: keyed)
    }

    /// Adds a table of rows, one value a column; values of other types than the column's are converted. `keys` default to row numbers.
    public mutating func add(_ schema: TableSchema, rows: [[Value]], keys: [RowKey]? = nil, batchRows: Int = 2048) {
        var batches: [Batch] = []
        var at = 0
        while at < rows.count {
            let end = min(rows.count, at + max(1, batchRows))
            let columns = schema.columns.enumerated().map { c, column in
                var b = ColumnBuilder(column.type)
                for r in at..<end {
                    let v = c < rows[r].count ? rows[r][c] : .missing(column.type)
                    b.append(v.type == column.type ? v : convertValue(v, to: column.type))
                }
                return b.finish()
            }
            let keyed = keys.map { k in ContiguousArray((at..<end).map { $0 < k.count ? k[$0] : .ordinal($0) }) }
            batches.append(Batch(columns: columns, count: end - at, keys: keyed))
            at = end
        }
        add(schema, batches: batches)
    }

    public func table(_ name: String) -> TableSchema? { tables[name]?.schema }
    public var tableNames: [String] { tables.keys.sorted() }

    /// Throws `EvaluationError` for an unknown table. Columns that the table lacks, or has with another type, are null.
    public func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws {
        try scan(
            table: table, columns: columns, filters: filters, context: context, part: ScanPart(index: 0, count: 1), emit: emit)
    }

    public func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, part: ScanPart,
        emit: (Batch) throws -> Bool
    ) throws {
        guard let t = tables[table] else { throw EvaluationError("there is no table \(table)") }
        let positions = columns.map { c in t.schema.columns.firstIndex { $0.name == c.name && $0.type == c.type } }
        let (n, parts) = (t.batches.count, max(1, part.count))
        for batch in t.batches[(n * part.index / parts)..<(n * (part.index + 1) / parts)] {
            let picked = zip(columns, positions).map { c, p in p.map { batch.columns[$0] } ?? Column.nulls(c.type, count: batch.count) }
            if try !emit(Batch(columns: picked, count: batch.count, keys: batch.keys, lineage: batch.lineage)) { return }
        }
    }
}
