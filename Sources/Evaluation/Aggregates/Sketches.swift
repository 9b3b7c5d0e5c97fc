import Columnar
import Glibc
import KQL

// Sketches as values: `hll` and `tdigest`, their merges, and what is read from them.

/// A set of hashes with the number of its registers: the value of `hll`.
///
/// As a dynamic value it is `[bits, [hashes]]` while it holds few values, so that counts are exact, and `[bits, "registers in base64"]` beyond.
struct HyperLogLog {
    /// Hashes up to which the value holds them all.
    static let mostStored = 4096
    private(set) var sketch = DistinctSketch()
    private(set) var bits: Int

    init(bits: Int) { self.bits = bits }

    /// By the accuracy argument 0 ... 4, as Kusto documents it; nil for another one.
    static func bits(accuracy: Int64) -> Int? { (0...4).contains(accuracy) ? [12, 14, 16, 17, 18][Int(accuracy)] : nil }

    mutating func insert(_ hash: UInt64) { sketch.insert(hash, bits: bits) }

    /// The union. Of two accuracies the lower one is left.
    mutating func merge(_ other: HyperLogLog) {
        var theirs = other.sketch
        if other.bits > bits { theirs.fold(from: other.bits, to: bits) }
        if other.bits < bits {
            sketch.fold(from: bits, to: other.bits)
            bits = other.bits
        }
        sketch.merge(theirs, bits: bits)
    }

    /// Sets of which one is a mere estimate, up to which their intersection is computed: it takes the unions of all their subsets.
    static let mostEstimated = 8

    /// How many values all the sets have in common. Exact for sets that hold their values, else by inclusion and exclusion of unions.
    static func common(_ sets: [HyperLogLog]) throws -> Int64 {
        let held = sets.compactMap(\.sketch.hashes)
        guard held.count < sets.count else {
            guard var left = held.first.map(Set.init) else { return 0 }
            for other in held.dropFirst() { left.formIntersection(other) }
            return Int64(left.count)
        }
        guard sets.count <= mostEstimated else {
            throw EvaluationError("dcount_intersect: at most \(mostEstimated) sets of more than \(mostStored) values")
        }
        var size: Int64 = 0
        for subset in 1..<(1 << sets.count) {
            let members = sets.indices.filter { subset >> $0 & 1 == 1 }
            guard var union = members.first.map({ sets[$0] }) else { continue }
            for m in members.dropFirst() { union.merge(sets[m]) }
            size += members.count.isMultiple(of: 2) ? -union.sketch.estimate : union.sketch.estimate
        }
        return max(size, 0)
    }

    var value: Dynamic {
        var stored = sketch
        stored.limit(to: HyperLogLog.mostStored, bits: bits)
        if let hashes = stored.hashes {
            return .array([.long(Int64(bits)), .array(hashes.sorted().map { .long(Int64(bitPattern: $0)) })])
        }
        return .array([.long(Int64(bits)), .string(base64Encode(stored.registers ?? []))])
    }

    /// Reads what ``value`` wrote; nil for anything else.
    init?(_ d: Dynamic) {
        guard case .array(let parts) = d, parts.count == 2, case .long(let b) = parts[0], (4...18).contains(b) else { return nil }
        bits = Int(b)
        switch parts[1] {
        case .array(let hashes):
            guard hashes.count <= DistinctSketch.exactLimit else { return nil }
            for h in hashes {
                guard case .long(let n) = h else { return nil }
                insert(UInt64(bitPattern: n))
            }
        case .string(let text):
            guard let bytes = base64Decode(text), let made = DistinctSketch(registers: bytes, bits: bits) else { return nil }
            sketch = made
        default: return nil
        }
    }
}

/// `hll` (over values) and `hll_merge` (over the values of `hll`).
final class HyperLogLogAccumulator: Accumulator {
    private var states = ContiguousArray<HyperLogLog>()
    private let bits: Int
    private let merges: Bool

    init(_ setup: AggregateSetup, merges: Bool) throws {
        guard let bits = HyperLogLog.bits(accuracy: merges ? 4 : setup.constant(1)?.integer ?? 1) else {
            throw EvaluationError("\(setup.name): the accuracy must be from 0 to 4")
        }
        self.bits = bits
        self.merges = merges
    }

    var readsOrder: Bool { false }
    var entries: Int { states.reduce(0) { $0 + $1.sketch.held } }
    func resize(_ groups: Int) { states.grow(to: groups, HyperLogLog(bits: bits)) }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        if merges {
            for i in 0..<input.rows {
                guard case .dynamic(let d) = column.value(i) else { continue }
                guard let other = HyperLogLog(d) else { throw EvaluationError("hll_merge: a value was not made by hll") }
                states[Int(input.groups[i])].merge(other)
            }
            return
        }
        let hashes = CellHash.hashes(column)
        for i in 0..<input.rows where !column.isNull(i) { states[Int(input.groups[i])].insert(hashes[i]) }
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? HyperLogLogAccumulator, other.bits == bits else { throw EvaluationError.unlikeStates }
        for (f, t) in zip(from, to) { states[Int(t)].merge(other.states[Int(f)]) }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.dynamic)
        for g in groups { b.append(.dynamic(states[Int(g)].value)) }
        return [b.finish()]
    }
}

/// Values with their weights: the value of `tdigest`.
///
/// As a dynamic value it is `[kind, [values], [weights]]`, values ascending. Up to ``mostStored`` different values it is exact; beyond, runs of
/// neighbours of about equal weight stand under their means, and the ends stay as they are. It depends on the values alone, not on the way they
/// were put together, as long as it is exact.
struct Digest {
    static let mostStored = 2048
    private static let runs = 1024.0

    /// long, real, datetime or timespan.
    private(set) var type: ScalarType?
    /// Weights by the word of a value: whole numbers and ticks as they are, reals in their order (``CellOrder``).
    private(set) var weights: [Int64: Double] = [:]

    init() {}

    private static func kind(_ t: ScalarType) -> ScalarType {
        switch t {
        case .int, .long, .bool: .long
        case .datetime, .timespan: t
        default: .real
        }
    }

    static func word(_ v: Value) -> (Int64, ScalarType)? {
        switch v {
        case .int(let n): (Int64(n), .long)
        case .long(let n): (n, .long)
        case .bool(let b): (b ? 1 : 0, .long)
        case .datetime(let t): (t, .datetime)
        case .timespan(let t): (t, .timespan)
        case .real(let d): d.isNaN ? nil : (CellOrder.word(d), .real)
        case .decimal(let d): (CellOrder.word(d.doubleValue), .real)
        case .dynamic(.long(let n)): (n, .long)
        case .dynamic(.real(let d)): d.isNaN ? nil : (CellOrder.word(d), .real)
        default: nil
        }
    }

    private static func widened(_ w: Int64, _ from: ScalarType, _ to: ScalarType) -> Int64 {
        from == .long && to == .real ? CellOrder.word(Double(w)) : w
    }

    /// False if the value's type does not go with those here.
    mutating func add(_ word: Int64, _ t: ScalarType, weight: Double) -> Bool {
        let common: ScalarType
        switch (type, t) {
        case (nil, _): common = t
        case (let known?, _) where known == t: common = t
        case (.long?, .real), (.real?, .long): common = .real
        default: return false
        }
        if let type, type != common {
            var wide: [Int64: Double] = [:]
            for (w, n) in weights { wide[Digest.widened(w, type, common), default: 0] += n }
            weights = wide
        }
        type = common
        weights[Digest.widened(word, t, common), default: 0] += weight
        return true
    }

    mutating func merge(_ other: Digest) -> Bool {
        guard let t = other.type else { return true }
        // In order, so that sums of weights do not depend on the table's.
        for (w, n) in other.weights.sorted(by: { $0.key < $1.key }) { guard add(w, t, weight: n) else { return false } }
        return true
    }

    /// Words and weights, ascending.
    var sorted: [(word: Int64, weight: Double)] { weights.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    private func shortened() -> [(word: Int64, weight: Double)] {
        let all = sorted
        guard all.count > Digest.mostStored, let last = all.last else { return all }
        let total = all.reduce(0) { $0 + $1.weight }
        var out = [all[0]]
        var run: [(word: Int64, weight: Double)] = []
        var held = 0.0
        func flush() {
            guard held > 0, let first = run.first else { return }
            let mean: Int64
            if type == .real {
                mean = CellOrder.word(run.reduce(0) { $0 + CellOrder.real($1.word) * ($1.weight / held) })
            } else {
                let shift = run.reduce(0.0) { $0 + (Double($1.word) - Double(first.word)) * ($1.weight / held) }
                mean = first.word.addingReportingOverflow(Int64(exactly: shift.rounded()) ?? 0).partialValue
            }
            out.append((mean, held))
            run = []
            held = 0
        }
        for item in all[1..<(all.count - 1)] {
            run.append(item)
            held += item.weight
            if held >= total / Digest.runs { flush() }
        }
        flush()
        out.append(last)
        return out
    }

    var value: Value {
        guard let type else { return .null(.dynamic) }
        let all = shortened()
        return .dynamic(
            .array([
                .string(type.rawValue),
                .array(all.map { type == .real ? .real(CellOrder.real($0.word)) : .long($0.word) }),
                .array(all.map { $0.weight == $0.weight.rounded() && $0.weight < 9e15 ? .long(Int64($0.weight)) : .real($0.weight) }),
            ]))
    }

    init?(_ d: Dynamic) {
        guard case .array(let parts) = d, parts.count == 3, case .string(let name) = parts[0], let t = ScalarType(kqlName: name),
            [.long, .real, .datetime, .timespan].contains(t), case .array(let values) = parts[1], case .array(let counts) = parts[2],
            values.count == counts.count, values.count <= 1 << 20
        else { return nil }
        for (v, n) in zip(values, counts) {
            guard let w = Value.dynamic(n).number, w > 0, w.isFinite else { return nil }
            switch v {
            case .long(let x): guard add(t == .real ? CellOrder.word(Double(x)) : x, t, weight: w) else { return nil }
            case .real(let x) where t == .real && !x.isNaN: guard add(CellOrder.word(x), t, weight: w) else { return nil }
            default: return nil
            }
        }
    }

    var total: Double { sorted.reduce(0) { $0 + $1.weight } }

    private func cell(_ word: Int64) -> Value {
        switch type {
        case .datetime?: .datetime(word)
        case .timespan?: .timespan(word)
        case .real?: .real(CellOrder.real(word))
        default: .long(word)
        }
    }

    /// The value at the nearest rank; nil where there is none.
    func percentile(_ p: Double) -> Value? {
        let all = sorted
        guard (0...100).contains(p), let last = all.last else { return nil }
        let total = all.reduce(0) { $0 + $1.weight }
        let rank = max(1, (p / 100 * total - 1e-9 * total).rounded(.up))
        var passed = 0.0
        for item in all {
            passed += item.weight
            if passed >= rank { return cell(item.word) }
        }
        return cell(last.word)
    }

    /// The weight of the values at or below one; nil for a value of another type.
    func rank(_ v: Value) -> Double? {
        guard let type, let (word, t) = Digest.word(v) else { return nil }
        guard t == type || (t == .long && type == .real) || (t == .real && type == .long) else { return nil }
        if t == .real, type == .long {
            let limit = CellOrder.real(word)
            return sorted.reduce(0) { $0 + (Double($1.word) <= limit ? $1.weight : 0) }
        }
        let limit = Digest.widened(word, t, type)
        return sorted.reduce(0) { $0 + ($1.word <= limit ? $1.weight : 0) }
    }
}

extension Value {
    /// A number, dynamic ones included, as a double.
    var number: Double? {
        switch self {
        case .dynamic(.long(let n)): Double(n)
        case .dynamic(.real(let d)): d
        default: double ?? integer.map(Double.init)
        }
    }
}

/// `tdigest` (over values, with weights) and `tdigest_merge` (over the values of `tdigest`).
final class DigestAccumulator: Accumulator {
    private var digests: [Digest] = []
    private let merges: Bool
    private let limits: EvaluationLimits
    private var held = 0

    init(_ setup: AggregateSetup, merges: Bool) {
        self.merges = merges
        limits = setup.limits
    }

    /// Means of reals are weighed in the order of their values, but weights that are no whole numbers add up as rows come.
    var readsOrder: Bool { false }
    var entries: Int { held }
    func resize(_ groups: Int) { while digests.count < groups { digests.append(Digest()) } }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        let weights = arguments.count > 1 ? arguments[1].materialized(rows: input.rows) : nil
        for i in 0..<input.rows where !column.isNull(i) {
            let g = Int(input.groups[i])
            let before = digests[g].weights.count
            if merges {
                guard case .dynamic(let d) = column.value(i) else { continue }
                guard let other = Digest(d) else { throw EvaluationError("tdigest_merge: a value was not made by tdigest") }
                guard digests[g].merge(other) else { throw EvaluationError("tdigest_merge: the digests are of different types") }
            } else {
                // Whole weights: their sums do not depend on the order of rows.
                let weight = weights.map { ($0.value(i).number ?? 0).rounded(.down) } ?? 1
                guard weight >= 1, weight.isFinite, let (word, t) = Digest.word(column.value(i)) else { continue }
                guard digests[g].add(word, t, weight: weight) else { throw EvaluationError("tdigest: the values are of different types") }
            }
            held += digests[g].weights.count - before
        }
        try limits.check(held: held, by: merges ? "tdigest_merge" : "tdigest")
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? DigestAccumulator else { throw EvaluationError.unlikeStates }
        for (f, t) in zip(from, to) {
            let before = digests[Int(t)].weights.count
            guard digests[Int(t)].merge(other.digests[Int(f)]) else { throw EvaluationError("tdigest: the values are of different types") }
            held += digests[Int(t)].weights.count - before
        }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.dynamic)
        for g in groups { b.append(digests[Int(g)].value) }
        return [b.finish()]
    }
}

extension AggregateRegistry {
    static let sketches: [AggregateFunction] = {
        let expr = SignatureParameter("expr", .any)
        let hll = AggregateFunction(
            "hll", [expr, SignatureParameter("accuracy", .constantInteger, optional: true)], .type(.dynamic), .prefixed("hll"),
            "The set of distinct values as a sketch, for hll_merge and dcount_hll; exact up to 4,096 values."
        ) { try HyperLogLogAccumulator($0, merges: false) }
        return [
            hll, hll.filtered("hll_if", .prefixed("hll_if"), predicate: 1, "hll over the rows where the predicate holds."),
            AggregateFunction(
                "hll_merge", [SignatureParameter("hll", .dynamic)], .type(.dynamic), .prefixed("hll_merge"), "The union of sketches of hll."
            ) { try HyperLogLogAccumulator($0, merges: true) },
            AggregateFunction(
                "tdigest", [SignatureParameter("expr", .summable), SignatureParameter("weight", .numeric, optional: true)], .type(.dynamic),
                .prefixed("tdigest"), "The values as a digest, for percentile_tdigest; exact up to 2,048 different values."
            ) { DigestAccumulator($0, merges: false) },
            AggregateFunction(
                "tdigest_merge", [SignatureParameter("digest", .dynamic)], .type(.dynamic), .prefixed("tdigest_merge"),
                aliases: ["merge_tdigest"], "The union of digests of tdigest."
            ) { DigestAccumulator($0, merges: true) },
        ]
    }()
}

extension Functions {
    /// What is read from sketches.
    static let sketches: [ScalarFunction] = {
        @Sendable func digest(_ v: Value) -> Digest? { if case .dynamic(let d) = v { Digest(d) } else { nil } }
        @Sendable func percentiles(_ a: [Value]) -> [Double]? {
            var out: [Double] = []
            for v in a.dropFirst() {
                if case .dynamic(.array(let items)) = v {
                    for i in items { if let n = Value.dynamic(i).number { out.append(n) } else { return nil } }
                } else if let n = v.number {
                    out.append(n)
                } else {
                    return nil
                }
            }
            return out
        }
        let three = "dynamic(['long', [1, 2, 3], [1, 1, 1]])"
        let set = "dynamic([14, [11, 12, 13]])"
        return [
            ScalarFunction(
                "dcount_hll", "hll:dynamic", .type(.long), "The number of distinct values in a sketch of hll.", "dcount_hll(\(set)) == 3",
                .strict { a in
                    guard case .dynamic(let d) = a[0], let h = HyperLogLog(d) else { return .null(.long) }
                    return .long(h.sketch.estimate)
                }),
            ScalarFunction(
                "dcount_hll_intersect", "hll:dynamic ...", .type(.long),
                "The number of values that sketches of hll have in common: what the plugin dcount_intersect computes.",
                "dcount_hll_intersect(\(set), dynamic([14, [11, 12, 99]])) == 2",
                .strict { a in
                    let sets = a.compactMap { v -> HyperLogLog? in if case .dynamic(let d) = v { HyperLogLog(d) } else { nil } }
                    return sets.count == a.count ? .long(try HyperLogLog.common(sets)) : .null(.long)
                }),
            ScalarFunction(
                "hll_merge", "hll:dynamic other:dynamic ...", .type(.dynamic), "The union of sketches of hll.",
                "dcount_hll(hll_merge(\(set), dynamic([14, [9, 11]]))) == 4",
                .lenient { a in
                    var all: HyperLogLog?
                    for v in a {
                        guard case .dynamic(let d) = v, let h = HyperLogLog(d) else { continue }
                        if all?.merge(h) == nil { all = h }
                    }
                    return all.map { .dynamic($0.value) } ?? .null(.dynamic)
                }),
            ScalarFunction(
                "tdigest_merge", "digest:dynamic other:dynamic ...", .type(.dynamic), aliases: ["merge_tdigest"],
                "The union of digests of tdigest.", "percentile_tdigest(tdigest_merge(\(three), \(three)), 50) == 2",
                .lenient { a in
                    var all = Digest()
                    for v in a { if let d = digest(v), !all.merge(d) { return .null(.dynamic) } }
                    return all.value
                }),
            ScalarFunction(
                "percentile_tdigest", "expr:dynamic percentile1:numeric typeLiteral:constant?",
                .custom { _, c in c.count > 2 ? namedType(c[2]) ?? .dynamic : .dynamic },
                "The value at a percentile of a digest, as a type.",
                "percentile_tdigest(\(three), 50, typeof(long)) == 2",
                .prepared(strict: true) { site in
                    { a in
                        guard let found = digest(a[0])?.percentile(real(a, 1)) else { return .missing(site.type) }
                        return convertValue(found, to: site.type)
                    }
                }),
            ScalarFunction(
                "percentiles_array_tdigest", "tdigest:dynamic percentile:any ...", .type(.dynamic), aliases: ["percentile_array_tdigest"],
                "The values at percentiles of a digest.",
                "percentiles_array_tdigest(\(three), 0, 100)",
                .strict { a in
                    guard let d = digest(a[0]), let ranks = percentiles(a) else { return .null(.dynamic) }
                    return .dynamic(
                        .array(
                            ranks.map { p in
                                guard let v = d.percentile(p), case .dynamic(let item) = convertValue(v, to: .dynamic) else { return .null }
                                return item
                            }))
                }),
            ScalarFunction(
                "rank_tdigest", "digest:dynamic value:any", .type(.real), "How many values of a digest are at or below a value.",
                "rank_tdigest(\(three), 2) == 2.0", .strict { a in optional(digest(a[0])?.rank(a[1]), Value.real, .real) }),
            ScalarFunction(
                "percentrank_tdigest", "digest:dynamic value:any", .type(.real),
                "How many of a hundred values of a digest are at or below a value.",
                "percentrank_tdigest(\(three), 3) == 100.0",
                .strict { a in
                    guard let d = digest(a[0]), let r = d.rank(a[1]), d.total > 0 else { return .null(.real) }
                    return .real(100 * r / d.total)
                }),
        ]
    }()
}
