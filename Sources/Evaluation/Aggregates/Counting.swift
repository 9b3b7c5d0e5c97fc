import CKernels
import Columnar
import Glibc
import KQL

/// `count`: rows.
final class CountAccumulator: Accumulator {
    private var counts = ContiguousArray<Int64>()

    var readsOrder: Bool { false }
    var bytes: Int { counts.count * 8 }
    var isFixedSize: Bool { true }
    func resize(_ groups: Int) { counts.grow(to: groups, 0) }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws { input.count(nil, into: &counts) }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? CountAccumulator else { throw EvaluationError.unlikeStates }
        let theirs = other.counts
        for (f, t) in zip(from, to) { counts[Int(t)] &+= theirs[Int(f)] }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        // A local array: each look at a property of a class asks whether somebody changes it meanwhile.
        let counts = counts
        return [Column(.long, .longs(ContiguousArray(groups.lazy.map { counts[Int($0)] })))]
    }
}

extension ContiguousArray {
    mutating func grow(to n: Int, _ element: @autoclosure () -> Element) {
        if count < n { append(contentsOf: repeatElement(element(), count: n - count)) }
    }
}

extension ContiguousArray where Element: BitwiseCopyable {
    /// As for all elements; large arrays move to large pages when they grow.
    mutating func grow(to n: Int, _ element: @autoclosure () -> Element) {
        if count >= n { return }
        if n > capacity, n * MemoryLayout<Element>.stride >= LargeMemory.least {
            self = LargeMemory.array(self, count: n, filling: element(), capacity: Swift.max(n, 2 * count))
        } else {
            append(contentsOf: repeatElement(element(), count: n - count))
        }
    }
}

/// A set of 64-bit hashes that counts exactly up to ``exactLimit`` and estimates beyond (HyperLogLog over the same hashes).
///
/// The estimate is a function of the set alone: the exact hashes enter the registers when the limit is passed.
struct DistinctSketch: Sendable {
    /// Distinct values up to which the count is exact.
    static let exactLimit = 100_000

    private enum State: Sendable {
        case few(ContiguousArray<UInt64>)
        case exact(Set<UInt64>)
        case registers(ContiguousArray<UInt8>)
    }
    private var state = State.few([])

    /// Words of memory.
    var held: Int {
        switch state {
        case .few(let a): a.count
        case .exact(let s): s.count
        case .registers(let r): r.count / 8
        }
    }

    mutating func insert(_ hash: UInt64, bits: Int) {
        switch state {
        case .few(var a):
            if a.contains(hash) { return }
            state = .few([])
            a.append(hash)
            state = a.count <= 16 ? .few(a) : .exact(Set(a))
        case .exact(var s):
            state = .few([])
            s.insert(hash)
            state = s.count <= DistinctSketch.exactLimit ? .exact(s) : .registers(DistinctSketch.registers(of: s, bits: bits))
        case .registers(var r):
            state = .few([])
            DistinctSketch.record(hash, &r, bits)
            state = .registers(r)
        }
    }

    mutating func merge(_ other: DistinctSketch, bits: Int) {
        if case .few(let mine) = state, mine.isEmpty {
            state = other.state
            return
        }
        switch other.state {
        case .few(let a): for h in a { insert(h, bits: bits) }
        case .exact(let s): for h in s { insert(h, bits: bits) }
        case .registers(var r):
            switch state {
            case .few(let a): for h in a { DistinctSketch.record(h, &r, bits) }
            case .exact(let s): for h in s { DistinctSketch.record(h, &r, bits) }
            case .registers(let mine): for i in r.indices { r[i] = max(r[i], mine[i]) }
            }
            state = .registers(r)
        }
    }

    private static func registers(of hashes: Set<UInt64>, bits: Int) -> ContiguousArray<UInt8> {
        var r = ContiguousArray<UInt8>(repeating: 0, count: 1 << bits)
        for h in hashes { record(h, &r, bits) }
        return r
    }

    private static func record(_ hash: UInt64, _ r: inout ContiguousArray<UInt8>, _ bits: Int) {
        let index = Int(truncatingIfNeeded: hash >> UInt64(64 - bits))
        let rank = UInt8(truncatingIfNeeded: min((hash << UInt64(bits)).leadingZeroBitCount, 64 - bits) + 1)
        if rank > r[index] { r[index] = rank }
    }

    var estimate: Int64 {
        switch state {
        case .few(let a): return Int64(a.count)
        case .exact(let s): return Int64(s.count)
        case .registers(let r):
            let m = Double(r.count)
            var sum = 0.0
            var zeros = 0
            for x in r {
                sum += Double(sign: .plus, exponent: -Int(x), significand: 1)
                if x == 0 { zeros += 1 }
            }
            let raw = 0.7213 / (1 + 1.079 / m) * m * m / sum
            if raw <= 2.5 * m, zeros > 0 { return Int64((m * log(m / Double(zeros))).rounded()) }
            return Int64(raw.rounded())
        }
    }
}

/// A sketch as a value (`hll`).
extension DistinctSketch {
    /// The hashes; nil where registers stand for them.
    var hashes: [UInt64]? {
        switch state {
        case .few(let a): Array(a)
        case .exact(let s): Array(s)
        case .registers: nil
        }
    }

    var registers: [UInt8]? { if case .registers(let r) = state { Array(r) } else { nil } }

    /// From registers; nil if they are not those of so many bits.
    init?(registers: [UInt8], bits: Int) {
        guard registers.count == 1 << bits, registers.allSatisfy({ Int($0) <= 65 - bits }) else { return nil }
        state = .registers(ContiguousArray(registers))
    }

    /// Registers instead of more than `most` hashes.
    mutating func limit(to most: Int, bits: Int) {
        guard case .exact(let s) = state, s.count > most else { return }
        state = .registers(DistinctSketch.registers(of: s, bits: bits))
    }

    /// The registers that the same set has with fewer bits.
    mutating func fold(from bits: Int, to fewer: Int) {
        guard case .registers(let r) = state, fewer < bits else { return }
        let dropped = bits - fewer
        var out = ContiguousArray<UInt8>(repeating: 0, count: 1 << fewer)
        for (i, rank) in r.enumerated() where rank > 0 {
            // The bits dropped from the index now stand before the others, so they decide the rank unless all are zero.
            let tail = UInt64(i & ((1 << dropped) - 1))
            let known = tail == 0 ? dropped + Int(rank) : tail.leadingZeroBitCount - (64 - dropped) + 1
            out[i >> dropped] = max(out[i >> dropped], UInt8(clamping: known))
        }
        state = .registers(out)
    }
}

/// `dcount`: distinct values that are not null; exact up to ``DistinctSketch/exactLimit`` a group.
final class DistinctCountAccumulator: Accumulator {
    private var sketches = ContiguousArray<DistinctSketch>()
    private var repeats: SeenPairs
    /// Hashes in the sketches that are still exact.
    private(set) var entries = 0
    /// log2 of the registers, by the accuracy argument 0 ... 4 as Kusto documents it.
    private let bits: Int

    init(_ setup: AggregateSetup) throws {
        let accuracy = setup.constant(1)?.integer ?? 1
        guard (0...4).contains(accuracy) else { throw EvaluationError("\(setup.name): the accuracy must be from 0 to 4") }
        bits = [12, 14, 16, 17, 18][Int(accuracy)]
        repeats = SeenPairs(isOpen: !setup.isLasting)
    }

    var readsOrder: Bool { false }
    /// With what the allocator takes for each list of hashes.
    var bytes: Int { sketches.count * MemoryLayout<DistinctSketch>.stride + entries * 16 + min(sketches.count, entries) * 48 }
    func resize(_ groups: Int) { sketches.grow(to: groups, DistinctSketch()) }

    private func insert(_ hash: UInt64, _ g: Int) {
        let before = sketches[g].held
        sketches[g].insert(hash, bits: bits)
        entries += sketches[g].held - before
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let first = arguments.first else { return }
        let column = first.materialized(rows: input.rows)
        let hashes = CellHash.hashes(column)
        guard repeats.isOpen else {
            for i in 0..<input.rows where !column.isNull(i) { insert(hashes[i], Int(input.groups[i])) }
            return
        }
        // Most rows repeat a pair of group and value that was seen: only the others touch a sketch.
        for row in repeats.fresh(hashes, input.groups, column.validity) {
            let i = Int(row)
            insert(hashes[i], Int(input.groups[i]))
        }
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? DistinctCountAccumulator else { throw EvaluationError.unlikeStates }
        for (f, t) in zip(from, to) {
            let theirs = other.sketches[Int(f)]
            let before = sketches[Int(t)].held
            sketches[Int(t)].merge(theirs, bits: bits)
            entries += sketches[Int(t)].held - before
        }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        [Column(.long, .longs(ContiguousArray(groups.lazy.map { self.sketches[Int($0)].estimate })))]
    }
}

/// Pairs of group and hash that have been seen: a filter before the sketches. Gives up when the pairs hardly repeat or are too many.
struct SeenPairs {
    /// Pairs kept at most.
    static let most = 1 << 20
    private var hashes = IntTable()
    private var pairs = IntTable()
    private var rows = 0
    private(set) var isOpen: Bool

    /// A closed filter lets everything through.
    init(isOpen: Bool = true) { self.isOpen = isOpen }

    /// The rows with a pair that was not seen before. A pair may come out more than once.
    mutating func fresh(_ values: ContiguousArray<UInt64>, _ groups: ContiguousArray<UInt32>, _ valid: Bitmap?) -> ContiguousArray<Int32> {
        // Nulls take no part: what stands under them is the hash of some value.
        let chosen = valid?.indices
        let before = pairs.count
        let ids: ContiguousArray<UInt32>
        if let chosen {
            ids = pairs.intern(
                WordKeys.pairs(
                    ContiguousArray(chosen.lazy.map { groups[Int($0)] }),
                    hashes.intern(ContiguousArray(chosen.lazy.map { values[Int($0)] }))))
        } else {
            ids = pairs.intern(WordKeys.pairs(groups, hashes.intern(values)))
        }
        var out = ContiguousArray<Int32>()
        for i in ids.indices where Int(ids[i]) >= before { out.append(chosen.map { $0[i] } ?? Int32(truncatingIfNeeded: i)) }
        rows += ids.count
        if pairs.count > SeenPairs.most || (rows > 1 << 16 && pairs.count * 2 > rows) {
            isOpen = false
            hashes = IntTable()
            pairs = IntTable()
        }
        return out
    }
}

/// Hashes of cells, equal for equal values.
enum CellHash {
    static func hashes(_ column: Column) -> ContiguousArray<UInt64> {
        let n = column.count
        var out = ContiguousArray<UInt64>(repeating: 0, count: n)
        if case .strings(let s) = column.data {
            if s.codes == nil { return ByteTable.hashes(of: s.values) }
            if let codes = s.codes, s.values.count <= 2 * n {
                let distinct = ByteTable.hashes(of: s.values)
                for i in 0..<n { out[i] = distinct[Int(codes[i])] }
                return out
            }
        }
        for i in 0..<n { out[i] = CellCode.withBytes(column.data, i) { vk_xxh3_64($0.baseAddress, $0.count, 0) } }
        return out
    }
}

/// `count_distinct`: distinct values, always exact; nulls are not counted.
final class ExactDistinctAccumulator: Accumulator {
    private var values: Interner
    private var seen = IntTable()
    private var counts = ContiguousArray<Int64>()
    private let limits: EvaluationLimits
    private var chains: GroupChains

    init(_ setup: AggregateSetup) {
        values = Interner(setup.type(0))
        limits = setup.limits
        chains = GroupChains(isOn: setup.isLasting)
    }

    var readsOrder: Bool { false }
    var entries: Int { seen.count }
    var bytes: Int { values.memory + seen.bytes + counts.count * 8 + chains.bytes }
    func resize(_ groups: Int) {
        counts.grow(to: groups, 0)
        chains.resize(groups)
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let first = arguments.first else { return }
        let column = first.materialized(rows: input.rows)
        let ids = try values.intern(column)
        if column.validity == nil {
            note(input.groups, ids)
        } else {
            for i in 0..<input.rows where !column.isNull(i) { note(group: input.groups[i], value: ids[i]) }
        }
        try limits.check(held: seen.count, by: "count_distinct")
    }

    /// Values by rows, none of them null.
    private func note(_ groups: ContiguousArray<UInt32>, _ values: ContiguousArray<UInt32>) {
        let before = seen.count
        _ = seen.intern(WordKeys.pairs(groups, values))
        for pair in seen.keys[before...] {
            counts[Int(pair >> 32)] &+= 1
            chains.append(UInt32(truncatingIfNeeded: pair >> 32))
        }
    }

    private func note(group: UInt32, value: UInt32) {
        let before = seen.count
        _ = seen.intern(UInt64(group) << 32 | UInt64(value))
        guard seen.count > before else { return }
        counts[Int(group)] &+= 1
        chains.append(group)
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? ExactDistinctAccumulator else { throw EvaluationError.unlikeStates }
        let (groups, ids) = other.pairs(of: from, to)
        if ids.isEmpty { return }
        note(groups, other === self ? ids : try own(ids, of: other))
    }

    /// The ids that values of another state have here.
    private func own(_ ids: ContiguousArray<UInt32>, of other: ExactDistinctAccumulator) throws -> ContiguousArray<UInt32> {
        let all = other.values.count
        if ids.count < all / 4 { return try values.intern(other.values.column(ids)) }
        // Each value is looked up once, however many groups have it.
        var map = ContiguousArray<UInt32>(repeating: .max, count: all)
        var fresh = ContiguousArray<UInt32>()
        for id in ids where map[Int(id)] == .max {
            map[Int(id)] = 0
            fresh.append(id)
        }
        for (id, known) in zip(fresh, try values.intern(other.values.column(fresh))) { map[Int(id)] = known }
        return ContiguousArray(ids.lazy.map { map[Int($0)] })
    }

    /// The values of the groups `from`: the entry of `to` that belongs to each, and its id.
    private func pairs(
        of from: ContiguousArray<UInt32>, _ to: ContiguousArray<UInt32>
    ) -> (groups: ContiguousArray<UInt32>, ids: ContiguousArray<UInt32>) {
        let seen = seen
        let items = chains.items(from, to, count: seen.count) { UInt32(truncatingIfNeeded: seen.key($0) >> 32) }
        return (
            ContiguousArray(items.lazy.map(\.group)), ContiguousArray(items.lazy.map { UInt32(truncatingIfNeeded: seen.key($0.item)) })
        )
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        [Column(.long, .longs(ContiguousArray(groups.lazy.map { self.counts[Int($0)] })))]
    }
}

/// `binary_all_and`, `binary_all_or`, `binary_all_xor` over long.
final class BinaryAllAccumulator: Accumulator {
    enum Operation { case and, or, xor }
    private let operation: Operation
    private var states = ContiguousArray<Int64?>()

    init(_ operation: Operation) { self.operation = operation }

    var readsOrder: Bool { false }
    var bytes: Int { states.count * 16 }
    var isFixedSize: Bool { true }

    func resize(_ groups: Int) { states.grow(to: groups, nil) }

    private func fold(_ g: Int, _ v: Int64) {
        guard let s = states[g] else {
            states[g] = v
            return
        }
        switch operation {
        case .and: states[g] = s & v
        case .or: states[g] = s | v
        case .xor: states[g] = s ^ v
        }
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows), case .longs(let a) = column.data else { return }
        for i in 0..<input.rows where !column.isNull(i) { fold(Int(input.groups[i]), a[i]) }
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? BinaryAllAccumulator else { throw EvaluationError.unlikeStates }
        for (f, t) in zip(from, to) { if let s = other.states[Int(f)] { fold(Int(t), s) } }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.long)
        for g in groups { if let s = states[Int(g)] { b.append(s) } else { b.appendNull() } }
        return [b.finish()]
    }
}
