/// Rows in columns: the unit that operators, matcher and runtime hand to each other.
///
/// The schema (names and column identities) belongs to the plan node that made the batch; here are only cells.
public struct Batch: Sendable {
    public var columns: [Column]
    public let count: Int
    /// The identity and order of each row; nil where nothing downstream is order-sensitive.
    public var keys: ContiguousArray<RowKey>?
    /// What each row was made of; nil unless the rule runtime asked. With `keys` and no lineage, a row stands for itself.
    public var lineage: ContiguousArray<Lineage>?

    /// Columns must all have `count` rows.
    public init(columns: [Column], count: Int, keys: ContiguousArray<RowKey>? = nil, lineage: ContiguousArray<Lineage>? = nil) {
        assert(columns.allSatisfy { $0.count == count }, "Batch: ragged columns")
        self.columns = columns
        self.count = count
        self.keys = keys
        self.lineage = lineage
    }

    /// The rows given, in that order.
    public func gather(_ rows: ContiguousArray<Int32>) -> Batch {
        Batch(
            columns: columns.map { $0.gather(rows) }, count: rows.count,
            keys: keys.map { k in ContiguousArray(rows.lazy.map { k[Int($0)] }) },
            lineage: lineage.map { l in ContiguousArray(rows.lazy.map { l[Int($0)] }) })
    }

    /// The rows whose bit is set.
    public func filter(_ selection: Bitmap) -> Batch { selection.isFull ? self : gather(selection.indices) }
}

extension Batch {
    /// Memory of cells and keys, roughly: a dictionary that batches share counts in each.
    public var bytes: Int { columns.reduce(keys.map { $0.count * MemoryLayout<RowKey>.stride } ?? 0) { $0 + $1.bytes } }
}

extension Column {
    /// Memory of the cells, roughly.
    public var bytes: Int {
        switch data {
        case .bools: count / 8
        case .longs, .reals: count * 8
        case .decimals: count * MemoryLayout<Decimal128>.stride
        case .guids: count * 16
        case .strings(let s), .dynamics(let s): s.values.bytes.count + 4 * s.values.count + 4 * (s.codes?.count ?? 0)
        }
    }
}
