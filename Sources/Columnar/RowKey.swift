/// The identity and total order of a row (`docs/semantics.md`, "Rows and order").
///
/// Leaf rows: event time, the 128-bit hash of the raw record's bytes, and a path for records that give several rows. Ties of every
/// order-sensitive operator are broken by this key, so results depend on the rows alone. It holds no file, offset or arrival order.
public struct RowKey: Sendable, Hashable, Comparable {
    /// `TimeGenerated` in ticks; 0 for rows without a time.
    public var time: Int64
    public var hashHigh: UInt64
    public var hashLow: UInt64
    /// Child index of the record, then mv-expand indices, most significant first.
    public var path: UInt64

    public init(time: Int64, hashHigh: UInt64, hashLow: UInt64, path: UInt64 = 0) {
        self.time = time
        self.hashHigh = hashHigh
        self.hashLow = hashLow
        self.path = path
    }

    /// The key of row `n` of a `datatable`, `range` or `print`.
    public static func ordinal(_ n: Int) -> RowKey { RowKey(time: 0, hashHigh: 0, hashLow: UInt64(n), path: 0) }

    /// The key of the row that mv-expand makes of element `index`.
    public func expanded(_ index: Int) -> RowKey {
        let (shifted, lost) = (path << 20, path >> 44)
        // Past three levels the oldest index no longer fits: it moves into the hash, so keys stay distinct though no longer in order.
        let folded = lost == 0 ? hashLow : hashLow ^ (lost &* 0x9E37_79B9_7F4A_7C15)
        return RowKey(time: time, hashHigh: hashHigh, hashLow: folded, path: shifted | UInt64(min(index + 1, 0xFFFFF)))
    }

    /// The key of a joined row: ordered as the left row, then by the right one.
    public func joined(_ right: RowKey) -> RowKey {
        var mix =
            right.hashHigh ^ (right.hashLow &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(bitPattern: right.time)
            ^ (right.path &* 0xD6E8_FEB8_6659_FD93)
        mix = (mix ^ (mix >> 32)) &* 0xD6E8_FEB8_6659_FD93
        return RowKey(time: time, hashHigh: hashHigh, hashLow: hashLow, path: (path << 32) ^ (mix ^ (mix >> 29)))
    }

    public static func < (a: RowKey, b: RowKey) -> Bool {
        if a.time != b.time { return a.time < b.time }
        if a.hashHigh != b.hashHigh { return a.hashHigh < b.hashHigh }
        if a.hashLow != b.hashLow { return a.hashLow < b.hashLow }
        return a.path < b.path
    }
}

/// What a result row was made of: carried as a hidden column through every operator when the rule runtime asks for it.
public struct Lineage: Sendable, Hashable {
    /// How many of the first and of the last contributing rows are kept.
    public static let sampleSide = 5

    public private(set) var least: RowKey
    public private(set) var greatest: RowKey
    /// Contributing leaf rows, exact.
    public private(set) var count: Int64
    /// Up to ten keys, ascending: the five least and the five greatest.
    public private(set) var sample: [RowKey]

    /// Of a row that no leaf row contributed to (a count of nothing, a literal row): neutral in ``merge(_:)``.
    public static let none = Lineage(
        least: RowKey(time: .max, hashHigh: .max, hashLow: .max, path: .max), greatest: RowKey(time: .min, hashHigh: 0, hashLow: 0),
        count: 0, sample: [])

    public init(_ key: RowKey) {
        least = key
        greatest = key
        count = 1
        sample = [key]
    }

    /// From stored parts; `sample` ascending.
    public init(least: RowKey, greatest: RowKey, count: Int64, sample: [RowKey]) {
        self.least = least
        self.greatest = greatest
        self.count = count
        self.sample = sample
    }

    /// Adds the rows of another lineage. Associative and commutative.
    public mutating func merge(_ other: Lineage) {
        least = min(least, other.least)
        greatest = max(greatest, other.greatest)
        count &+= other.count
        if sample.count == 2 * Lineage.sampleSide, other.sample.count == 1, let k = other.sample.first,
            k >= sample[Lineage.sampleSide - 1], k <= sample[Lineage.sampleSide]
        {
            return
        }
        var all: [RowKey] = []
        all.reserveCapacity(sample.count + other.sample.count)
        var i = 0, j = 0
        while i < sample.count || j < other.sample.count {
            let takeLeft = j >= other.sample.count || (i < sample.count && sample[i] <= other.sample[j])
            let next = takeLeft ? sample[i] : other.sample[j]
            if takeLeft { i += 1 } else { j += 1 }
            if all.last != next { all.append(next) }
        }
        if all.count > 2 * Lineage.sampleSide { all.removeSubrange(Lineage.sampleSide..<(all.count - Lineage.sampleSide)) }
        sample = all
    }
}
