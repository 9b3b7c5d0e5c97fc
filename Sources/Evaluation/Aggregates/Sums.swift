import Columnar
import KQL

/// `sum` and `avg`: exact over integers, timespans and decimals, and over reals (``ExactSum``).
final class SumAccumulator: Accumulator {
    private let type: ScalarType
    private let output: ScalarType
    private let average: Bool
    private var integers = ContiguousArray<Int128>()
    /// High and low part of each group's sum; what they cannot hold is in ``overflows``.
    private var pairs = ContiguousArray<Double>()
    private var overflows: [Int: ExactSum] = [:]
    private var decimals = ContiguousArray<ExactDecimalSum>()
    private var counts = ContiguousArray<Int64>()
    /// Sums that are not averages need no counts: a sum of nothing is zero.
    private var groupCount = 0

    init(_ setup: AggregateSetup, average: Bool) {
        type = setup.type(0)
        output = setup.output()
        self.average = average
    }

    var readsOrder: Bool { false }
    var bytes: Int { groupCount * 24 }
    // Sums of decimals keep a term for every exponent.
    var isFixedSize: Bool { type != .decimal }

    func resize(_ groups: Int) {
        groupCount = max(groupCount, groups)
        if average { counts.grow(to: groups, 0) }
        if type.isIntegerBacked || type == .bool {
            integers.grow(to: groups, 0)
        } else if type == .decimal {
            decimals.grow(to: groups, ExactDecimalSum())
        } else {
            pairs.grow(to: 2 * groups, 0)
        }
    }

    /// Adds a term that two doubles may not hold.
    private func addSlowly(_ g: Int, _ x: Double) {
        overflows[g, default: ExactSum()].add(x)
    }

    private func sum(_ g: Int) -> ExactSum {
        var s = overflows[g] ?? ExactSum()
        s.add(pairs[2 * g])
        s.add(pairs[2 * g + 1])
        return s
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        let valid = column.validity
        switch column.data {
        case .longs(let a):
            input.sum(a, valid, into: &integers)
            if average { input.count(valid, into: &counts) }
        case .bools(let b):
            for i in 0..<input.rows where valid?[i] ?? true {
                let g = Int(input.groups[i])
                integers[g] &+= b[i] ? 1 : 0
                if average { counts[g] &+= 1 }
            }
        case .decimals(let a):
            for i in 0..<input.rows where valid?[i] ?? true {
                let g = Int(input.groups[i])
                decimals[g].add(mantissa: a[i].mantissa, exponent: a[i].exponent)
                if average { counts[g] &+= 1 }
            }
        case .reals(let a):
            input.sum(a, valid, into: &pairs) { g, x, _ in addSlowly(g, x) }
            if average { input.count(valid, into: &counts) }
        case .dynamics, .strings, .guids:
            for i in 0..<input.rows {
                guard let v = Cells.double(column, i) else { continue }
                let g = Int(input.groups[i])
                addSlowly(g, v)
                if average { counts[g] &+= 1 }
            }
        }
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? SumAccumulator, other.type == type else { throw EvaluationError.unlikeStates }
        for (f, t) in zip(from, to) {
            let (g, to) = (Int(f), Int(t))
            if average {
                let n = other.counts[g]
                counts[to] &+= n
            }
            if type.isIntegerBacked || type == .bool {
                let s = other.integers[g]
                integers[to] &+= s
            } else if type == .decimal {
                let s = other.decimals[g]
                decimals[to].add(s)
            } else {
                let (high, low) = (other.pairs[2 * g], other.pairs[2 * g + 1])
                if high != 0 { add(high, to) }
                if low != 0 { add(low, to) }
                if !other.overflows.isEmpty, let s = other.overflows[g] { overflows[to, default: ExactSum()].add(s) }
            }
        }
    }

    /// Adds a term to a group's two doubles, or to its overflow.
    private func add(_ x: Double, _ g: Int) {
        let (s, e) = ExactSum.twoSum(pairs[2 * g], x)
        let (l, f) = ExactSum.twoSum(pairs[2 * g + 1], e)
        guard f == 0, s.magnitude < 0x1p960 else { return addSlowly(g, x) }
        pairs[2 * g] = s
        pairs[2 * g + 1] = l
    }

    private func result(_ g: Int) -> Value {
        let n = average ? counts[g] : 1
        // Kusto divides by zero where there is nothing (example of the summarize page); only reals can tell.
        if n == 0 { return output == .real ? .real(.nan) : .missing(output) }
        if type.isIntegerBacked || type == .bool {
            let sum = integers[g]
            if !average { return .integer(Int64(truncatingIfNeeded: sum), as: output == .int ? .long : output) }
            switch output {
            case .datetime, .timespan: return .integer(Int64(truncatingIfNeeded: sum / Int128(n)), as: output)
            default: return .real(Double(sum) / Double(n))
            }
        }
        if type == .decimal {
            let (m, e) = decimals[g].value
            let sum = Decimal128(mantissa: m, exponent: e)
            return .decimal(average ? sum.divided(by: n) : sum)
        }
        let total = sum(g).value
        return .real(average ? total / Double(n) : total)
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        if !average, type.isIntegerBacked, output.isIntegerBacked, output != .int {
            let integers = integers
            return [Column(output, .longs(ContiguousArray(groups.lazy.map { Int64(truncatingIfNeeded: integers[Int($0)]) })))]
        }
        if !average, output == .real, overflows.isEmpty, !pairs.isEmpty {
            let pairs = pairs
            return [Column(.real, .reals(ContiguousArray(groups.lazy.map { pairs[2 * Int($0)] + pairs[2 * Int($0) + 1] })))]
        }
        var b = ColumnBuilder(output)
        for g in groups {
            let v = result(Int(g))
            b.append(v.type == output ? v : convertValue(v, to: output))
        }
        return [b.finish()]
    }
}

extension Decimal128 {
    /// The quotient by a count, to the digits that a decimal keeps.
    func divided(by n: Int64) -> Decimal128 {
        guard n != 0 else { return Decimal128(0) }
        var m = mantissa
        var e = Int(exponent)
        var quotient: Int128 = 0
        // Long division: one more digit each turn until nothing remains or the digits are used up.
        for _ in 0..<40 {
            quotient = quotient &+ m / Int128(n)
            m = m % Int128(n)
            if m == 0 || quotient.magnitude > UInt128(1) << 112 { break }
            quotient *= 10
            m *= 10
            e -= 1
        }
        return Decimal128(mantissa: quotient, exponent: e)
    }
}

/// `stdev`, `stdevp`, `variance`, `variancep`, and the covariances: from exact sums of values and products, so order does not matter.
final class MomentAccumulator: Accumulator {
    private let covariance: Bool
    private let population: Bool
    private let root: Bool
    private var counts = ContiguousArray<Int64>()
    private var x = ContiguousArray<ExactSum>()
    private var y = ContiguousArray<ExactSum>()
    private var xy = ContiguousArray<ExactSum>()

    var readsOrder: Bool { false }
    var bytes: Int { counts.count * (covariance ? 3 : 2) * MemoryLayout<ExactSum>.stride }

    init(covariance: Bool, population: Bool, root: Bool) {
        self.covariance = covariance
        self.population = population
        self.root = root
    }

    func resize(_ groups: Int) {
        counts.grow(to: groups, 0)
        x.grow(to: groups, ExactSum())
        if covariance { y.grow(to: groups, ExactSum()) }
        xy.grow(to: groups, ExactSum())
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let first = arguments.first?.materialized(rows: input.rows) else { return }
        let second = covariance && arguments.count > 1 ? arguments[1].materialized(rows: input.rows) : first
        for i in 0..<input.rows {
            guard let a = Cells.double(first, i), let b = covariance ? Cells.double(second, i) : a else { continue }
            let g = Int(input.groups[i])
            counts[g] &+= 1
            x[g].add(a)
            if covariance { y[g].add(b) }
            let (p, e) = ExactSum.twoProduct(a, b)
            xy[g].add(p)
            if e.isFinite { xy[g].add(e) }
        }
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? MomentAccumulator, other.covariance == covariance else { throw EvaluationError.unlikeStates }
        for (f, t) in zip(from, to) {
            let (g, to) = (Int(f), Int(t))
            let (n, a, b) = (other.counts[g], other.x[g], other.xy[g])
            counts[to] &+= n
            x[to].add(a)
            xy[to].add(b)
            if covariance {
                let c = other.y[g]
                y[to].add(c)
            }
        }
    }

    /// (sum of products - product of sums / n) / (n or n - 1), the difference in twice the precision of a double.
    private func result(_ g: Int) -> Double {
        let n = Double(counts[g])
        if n == 0 || (n == 1 && !population) { return 0 }
        let sx = x[g].parts
        let sy = covariance ? y[g].parts : sx
        let sp = xy[g].parts
        let (left, leftError) = ExactSum.twoProduct(sp.high, n)
        let (right, rightError) = ExactSum.twoProduct(sx.high, sy.high)
        let (d, e) = ExactSum.twoSum(left, -right)
        let tail = leftError + sp.low * n - rightError - sx.high * sy.low - sx.low * sy.high
        var v = (d + (e + tail)) / n / (population ? n : n - 1)
        if !covariance, v < 0 { v = 0 }
        return root ? v.squareRoot() : v
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        [Column(.real, .reals(ContiguousArray(groups.lazy.map { self.result(Int($0)) })))]
    }
}
