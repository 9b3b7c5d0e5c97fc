extension Batch {
    /// This batch's rows, then the other's. Both have the same column types; keys and lineage survive only if both have them.
    public func appending(_ other: Batch) -> Batch {
        var mergedKeys: ContiguousArray<RowKey>?
        if let a = keys, let b = other.keys { mergedKeys = a + b }
        var mergedLineage: ContiguousArray<Lineage>?
        if let a = lineage, let b = other.lineage { mergedLineage = a + b }
        return Batch(
            columns: zip(columns, other.columns).map { $0.concatenated($1) }, count: count + other.count, keys: mergedKeys,
            lineage: mergedLineage)
    }
}
