import Columnar
import KQL

/// The percentile family: exact nearest ranks, over values that may carry weights.
final class PercentileAccumulator: Accumulator {
    enum Shape { case columns, array }
    private let shape: Shape
    private let weighted: Bool
    private let type: ScalarType
    private let outputTypes: [ScalarType]
    private let ranks: [Double]
    private var groups = ContiguousArray<UInt32>()
    /// Order-preserving integers (``CellOrder``); decimals are kept apart.
    private var words = ContiguousArray<Int64>()
    private var decimals = ContiguousArray<Decimal128>()
    private var weights = ContiguousArray<Int64>()
    private var groupCount = 0
    private var sorted = ContiguousArray<ContiguousArray<Int32>>()
    private let limits: EvaluationLimits

    init(_ setup: AggregateSetup, shape: Shape, weighted: Bool) throws {
        self.shape = shape
        self.weighted = weighted
        type = setup.type(0)
        outputTypes = setup.outputTypes
        limits = setup.limits
        var ranks: [Double] = []
        for i in (weighted ? 2 : 1)..<max(weighted ? 2 : 1, setup.constants.count) {
            switch setup.constants[i] {
            case .dynamic? where shape == .columns:
                throw EvaluationError("\(setup.name): percentiles are given one by one; percentiles_array takes an array of them")
            case .dynamic(.array(let items))?:
                for item in items {
                    switch item {
                    case .long(let v): ranks.append(Double(v))
                    case .real(let v): ranks.append(v)
                    default: throw EvaluationError("\(setup.name): a percentile must be a number")
                    }
                }
            case let value?:
                guard let v = value.double else { throw EvaluationError("\(setup.name): a percentile must be a number") }
                ranks.append(v)
            case nil: throw EvaluationError("\(setup.name): percentiles must be constants")
            }
        }
        guard !ranks.isEmpty, ranks.allSatisfy({ $0 >= 0 && $0 <= 100 }) else {
            throw EvaluationError("\(setup.name): percentiles must be from 0 to 100")
        }
        self.ranks = ranks
    }

    var readsOrder: Bool { false }
    func resize(_ n: Int) { groupCount = max(groupCount, n) }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        let weightColumn = weighted && arguments.count > 1 ? arguments[1].materialized(rows: input.rows) : nil
        for i in 0..<input.rows where !column.isNull(i) {
            var weight: Int64 = 1
            if let weightColumn {
                guard let w = Cells.double(weightColumn, i), w >= 1 else { continue }
                weight = Int64(exactly: w.rounded(.down)) ?? Int64.max >> 16
            }
            switch column.data {
            case .longs(let a): words.append(a[i])
            case .bools(let b): words.append(b[i] ? 1 : 0)
            case .decimals(let a): decimals.append(a[i])
            default:
                guard let v = Cells.double(column, i) else { continue }
                words.append(CellOrder.word(v))
            }
            groups.append(input.groups[i])
            weights.append(weight)
        }
        try limits.check(held: groups.count, by: "percentile")
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? PercentileAccumulator, other.type == type else { throw EvaluationError.unlikeStates }
        let items = GroupChains(isOn: false).items(from, to, count: other.groups.count) { other.groups[$0] }
        for (i, g) in items {
            let weight = other.weights[i]
            if type == .decimal {
                let value = other.decimals[i]
                decimals.append(value)
            } else {
                let word = other.words[i]
                words.append(word)
            }
            groups.append(g)
            weights.append(weight)
        }
    }

    var entries: Int { groups.count }
    var bytes: Int { groups.count * (type == .decimal ? 44 : 20) }
    var holdsEveryRow: Bool { true }

    func seal() throws {
        sorted = ContiguousArray(repeating: [], count: groupCount)
        for (i, g) in groups.enumerated() { sorted[Int(g)].append(Int32(truncatingIfNeeded: i)) }
        for g in sorted.indices {
            if type == .decimal {
                sorted[g].sort { decimals[Int($0)] < decimals[Int($1)] }
            } else {
                sorted[g].sort { words[Int($0)] < words[Int($1)] }
            }
        }
    }

    private func value(_ g: Int, _ percentile: Double) -> Value {
        let rows = sorted[g]
        var total: Int64 = 0
        for r in rows { total = total.addingReportingOverflow(weights[Int(r)]).overflow ? Int64.max : total + weights[Int(r)] }
        guard total > 0 else { return .null(type) }
        // Nearest rank; the small slack keeps 99.9 % of 1000 at rank 999 although 99.9 / 100 is no binary fraction.
        let rank = max(1, (percentile / 100 * Double(total) - 1e-9 * Double(total)).rounded(.up))
        var row = rows.last ?? 0
        if weighted {
            var passed = 0.0
            for r in rows {
                passed += Double(weights[Int(r)])
                if passed >= rank {
                    row = r
                    break
                }
            }
        } else {
            row = rows[min(rows.count - 1, Int(rank) - 1)]
        }
        switch type {
        case .decimal: return .decimal(decimals[Int(row)])
        case .int, .long, .datetime, .timespan: return .integer(words[Int(row)], as: type)
        case .bool: return .long(words[Int(row)])
        default: return .real(CellOrder.real(words[Int(row)]))
        }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        if shape == .array {
            var b = ColumnBuilder(.dynamic)
            for g in groups {
                if sorted[Int(g)].isEmpty {
                    b.appendNull()
                    continue
                }
                var cells = ColumnBuilder(value(Int(g), 50).type)
                for p in ranks { cells.append(value(Int(g), p)) }
                let column = cells.finish()
                b.append(json: "[" + (0..<column.count).map { Cells.json(column, $0) }.joined(separator: ",") + "]")
            }
            return [b.finish()]
        }
        return ranks.enumerated().map { i, p in
            let output = i < outputTypes.count ? outputTypes[i] : type
            var b = ColumnBuilder(output)
            for g in groups {
                let v = value(Int(g), p)
                b.append(v.type == output ? v : convertValue(v, to: output))
            }
            return b.finish()
        }
    }
}
