import Columnar

/// What is known of each cell besides its aggregates: the least row key, the rows' count and their sample (``Lineage``).
///
/// A cell of one row takes 48 bytes: its key is its sample.
struct PaneRows {
    /// The first key of the sample.
    private var firsts = ContiguousArray<RowKey>()
    /// The other keys of the sample; nil for none.
    private var rests = ContiguousArray<ContiguousArray<RowKey>?>()
    private var counts = ContiguousArray<Int64>()
    /// Least row keys, where rows do not stand for themselves (after mv-expand); else empty.
    private var keys = ContiguousArray<RowKey>()
    private var scratch = ContiguousArray<RowKey>()
    /// Keys in ``rests``.
    private(set) var sampled = 0
    /// Samples are left out.
    let keysOnly: Bool

    init(keysOnly: Bool = false) { self.keysOnly = keysOnly }

    var count: Int { counts.count }
    /// With what the allocator takes for each list of further keys.
    var bytes: Int {
        let key = MemoryLayout<RowKey>.stride
        return count * (key + 16) + keys.count * key + sampled * key + min(sampled, count) * 48
    }

    private static let none = RowKey(time: 0, hashHigh: 0, hashLow: 0)

    mutating func resize(_ n: Int) {
        firsts.grow(to: n, PaneRows.none)
        rests.grow(to: n, nil)
        counts.grow(to: n, 0)
        if !keys.isEmpty { keys.grow(to: n, PaneRows.none) }
    }

    func key(_ cell: Int) -> RowKey { keys.isEmpty ? firsts[cell] : keys[cell] }

    func lineage(_ cell: Int) -> Lineage {
        guard counts[cell] > 0 else { return .none }
        let sample = [firsts[cell]] + (rests[cell].map(Array.init) ?? [])
        return Lineage(least: firsts[cell], greatest: sample[sample.count - 1], count: counts[cell], sample: sample)
    }

    func forEachSampled(_ cell: Int, _ body: (RowKey) -> Void) {
        guard counts[cell] > 0 else { return }
        body(firsts[cell])
        for k in rests[cell] ?? [] { body(k) }
    }

    /// Adds a row to a cell; `lineage` nil: it stands for itself.
    mutating func add(_ cell: Int, _ key: RowKey, _ lineage: Lineage?) {
        if keysOnly { return noteFirst(cell, key) }
        if let lineage, lineage != Lineage(key), keys.isEmpty { keys = ContiguousArray(firsts) }
        noteKey(cell, key)
        if counts[cell] == 0 {
            set(cell, lineage ?? Lineage(key))
            return
        }
        if lineage == nil, addQuickly(cell, key) { return }
        merge(cell, lineage ?? Lineage(key))
    }

    /// A row behind all others, or in the middle of a full sample: nearly every row is one.
    private mutating func addQuickly(_ cell: Int, _ key: RowKey) -> Bool {
        let side = Lineage.sampleSide
        guard let count = rests[cell]?.count, count > 0, let last = rests[cell]?[count - 1] else {
            guard key > firsts[cell] else { return false }
            rests[cell] = [key]
            counts[cell] &+= 1
            sampled += 1
            return true
        }
        let isFull = count == 2 * side - 1
        if key > last {
            if isFull { rests[cell]?.remove(at: side - 1) } else { sampled += 1 }
            rests[cell]?.append(key)
        } else if !isFull || key < rests[cell]?[side - 2] ?? key || key > rests[cell]?[side - 1] ?? key {
            return false
        }
        counts[cell] &+= 1
        return true
    }

    private mutating func noteFirst(_ cell: Int, _ key: RowKey) {
        if counts[cell] == 0 || key < firsts[cell] { firsts[cell] = key }
        counts[cell] = 1
    }

    /// Adds a cell of these or other rows.
    mutating func add(_ cell: Int, _ other: PaneRows, _ from: Int) {
        if other.counts[from] == 0 { return }
        if keysOnly { return noteFirst(cell, other.key(from)) }
        if !other.keys.isEmpty, keys.isEmpty { keys = ContiguousArray(firsts) }
        noteKey(cell, other.key(from))
        add(cell, first: other.firsts[from], rest: other.rests[from], count: other.counts[from])
    }

    /// The same within these rows.
    mutating func add(_ cell: Int, own from: Int) {
        if counts[from] == 0 { return }
        noteKey(cell, key(from))
        add(cell, first: firsts[from], rest: rests[from], count: counts[from])
    }

    private mutating func add(_ cell: Int, first: RowKey, rest: ContiguousArray<RowKey>?, count: Int64) {
        if counts[cell] == 0 {
            firsts[cell] = first
            rests[cell] = rest
            counts[cell] = count
            sampled += rest?.count ?? 0
            return
        }
        merge(cell, first: first, rest: rest ?? [])
        counts[cell] &+= count
    }

    /// The sample of both, as ``Lineage/merge(_:)`` makes it.
    private mutating func merge(_ cell: Int, first: RowKey, rest: ContiguousArray<RowKey>) {
        let mine = rests[cell] ?? []
        scratch.removeAll(keepingCapacity: true)
        var i = -1
        var j = -1
        while i < mine.count || j < rest.count {
            let a = i < 0 ? firsts[cell] : i < mine.count ? mine[i] : nil
            let b = j < 0 ? first : j < rest.count ? rest[j] : nil
            let next: RowKey
            if let a, b.map({ a <= $0 }) ?? true {
                next = a
                i += 1
            } else if let b {
                next = b
                j += 1
            } else {
                break
            }
            if scratch.last != next { scratch.append(next) }
        }
        let side = Lineage.sampleSide
        if scratch.count > 2 * side { scratch.removeSubrange(side..<(scratch.count - side)) }
        firsts[cell] = scratch[0]
        rests[cell] = scratch.count > 1 ? ContiguousArray(scratch[1...]) : nil
        sampled += scratch.count - 1 - mine.count
    }

    private mutating func noteKey(_ cell: Int, _ key: RowKey) {
        if !keys.isEmpty, counts[cell] == 0 || key < keys[cell] { keys[cell] = key }
    }

    private mutating func merge(_ cell: Int, _ other: Lineage) {
        var l = lineage(cell)
        l.merge(other)
        set(cell, l)
    }

    private mutating func set(_ cell: Int, _ l: Lineage) {
        sampled -= rests[cell]?.count ?? 0
        firsts[cell] = l.least
        rests[cell] = l.sample.count > 1 ? ContiguousArray(l.sample.dropFirst()) : nil
        counts[cell] = l.count
        sampled += rests[cell]?.count ?? 0
    }
}
