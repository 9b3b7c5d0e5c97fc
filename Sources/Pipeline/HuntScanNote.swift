import KQL

/// What one scan asked of the files: for `--explain`.
public struct HuntScanNote: Sendable {
    public struct Read: Sendable {
        public let table: String
        /// The identities of the columns, by which the plan's node is found.
        public let columnIDs: [ColumnID]
        /// Columns that are made; their JSON paths are all that is taken out of a record.
        public let columns: [String]
        /// Conditions that are decided where the rows are made.
        public let filters: [BoundExpr]
        /// Rows that were handed over or kept, those that the filters turned away left out.
        public var rows = 0
    }

    /// A closed interval of event time, in ticks; `Int64.min` and `.max` stand for open ends.
    public struct Interval: Sendable {
        public let least: Int64
        public let greatest: Int64
    }

    /// The table that was asked for, and those that are read in the same pass.
    public var reads: [Read]
    /// Texts of which a record must hold one to be taken apart; empty: all are.
    public let needles: [String]
    /// What the reads want; empty: all.
    public let times: [Interval]
    public let files: Int
    /// Files left alone because of their names or what they held before.
    public let passedOver: Int

    // What came of it; zero for a scan that was only planned.

    public var records = 0
    /// Records that were taken apart; the others do not hold the needles.
    public var takenApart = 0
    /// Rows that were made of each table, before any filter.
    public var made: [String: Int] = [:]
    /// Nanoseconds of reading, without what was done with the rows.
    public var nanoseconds: UInt64 = 0
}
