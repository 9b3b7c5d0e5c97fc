import Columnar
import KQL

/// The common aggregates over all argument values of a group, in row order.
enum ReferenceAggregates {
    static func compute(_ name: String, _ rows: [[Value]], _ constants: [Value?], _ outputs: [BoundColumn]) throws -> [Value] {
        let type = outputs.first?.type ?? .long
        // The `...if` forms take their condition last.
        let conditional = ["countif", "sumif", "avgif", "minif", "maxif", "dcountif"].contains(name)
        if conditional {
            let kept = rows.filter { $0.last.map { ReferenceValues.convert($0, to: .bool) == .bool(true) } ?? false }.map {
                Array($0.dropLast())
            }
            return try compute(String(name.dropLast(2)), kept, Array(constants.dropLast()), outputs)
        }
        let present = rows.compactMap(\.first).filter { !$0.isNull }
        switch name {
        case "count": return [.long(Int64(rows.count))]
        case "sum":
            if type == .real { return [.real(exactSum(present.compactMap(\.double)))] }
            return [.integer(Int64(truncatingIfNeeded: present.compactMap(\.integer).reduce(Int128(0)) { $0 + Int128($1) }), as: type)]
        case "avg":
            if present.isEmpty { return [.missing(type)] }
            if present[0].type != .real, present[0].type.isIntegerLike {
                let sum = present.compactMap(\.integer).reduce(Int128(0)) { $0 + Int128($1) }
                if type != .real { return [.integer(Int64(truncatingIfNeeded: sum / Int128(present.count)), as: type)] }
                return [.real(Double(sum) / Double(present.count))]
            }
            return [.real(exactSum(present.compactMap(\.double)) / Double(present.count))]
        case "min", "max":
            var best: Value?
            for v in present {
                guard let known = best else {
                    best = v
                    continue
                }
                let order = ReferenceOrder.total(v, known)
                if name == "min" ? order < 0 : order > 0 { best = v }
            }
            return [ReferenceValues.present(best, type)]
        case "dcount", "count_distinct": return [.long(Int64(Set(present.map(ReferenceKey.init)).count))]
        case "make_list": return [.dynamic(.array(present.prefix(limit(constants)).map(element)))]
        case "make_list_with_nulls": return [.dynamic(.array(rows.compactMap(\.first).map(element)))]
        case "make_set":
            var seen = Set<ReferenceKey>()
            let flat = present.flatMap { v -> [Value] in
                if case .dynamic(.array(let items)) = v { return items.map { $0 == .null ? .null(.dynamic) : .dynamic($0) } }
                return [v]
            }
            let distinct = flat.filter { !$0.isNull && seen.insert(ReferenceKey($0)).inserted }
            return [.dynamic(.array(distinct.prefix(limit(constants)).map(element)))]
        case "arg_max", "arg_min":
            var best: [Value]?
            for row in rows where !row[0].isNull {
                guard let known = best else {
                    best = row
                    continue
                }
                let order = ReferenceOrder.total(row[0], known[0])
                if name == "arg_max" ? order > 0 : order < 0 { best = row }
            }
            var chosen: [Value] = []
            for (i, o) in outputs.enumerated() { chosen.append(ReferenceValues.present(best.map { $0[i] }, o.type)) }
            return chosen
        case "percentile", "percentiles":
            // The least value that as many per cent of the values do not exceed.
            let sorted = present.sorted { ReferenceOrder.total($0, $1) < 0 }
            var found: [Value] = []
            for (i, o) in outputs.enumerated() {
                guard !sorted.isEmpty, let p = constants[i + 1]?.double else {
                    found.append(.missing(o.type))
                    continue
                }
                let place = Int((p * Double(sorted.count) / 100).rounded(.up))
                found.append(ReferenceValues.convert(sorted[max(0, min(sorted.count, place) - 1)], to: o.type))
            }
            return found
        case "variance", "stdev", "variancep", "stdevp":
            let all = present.compactMap(\.double)
            let population = name.hasSuffix("p")
            if all.count < 2 { return [.real(0)] }
            let mean = exactSum(all) / Double(all.count)
            let squares = exactSum(all.map { ($0 - mean) * ($0 - mean) })
            let v = squares / Double(population ? all.count : all.count - 1)
            return [.real(name.hasPrefix("stdev") ? v.squareRoot() : v)]
        default: throw ReferenceGap("aggregate \(name)")
        }
    }

    private static func limit(_ constants: [Value?]) -> Int { constants.count > 1 ? Int(constants[1]?.integer ?? 1_048_576) : 1_048_576 }

    private static func element(_ v: Value) -> Dynamic {
        if case .dynamic(let d) = ReferenceValues.convert(v, to: .dynamic) { return d }
        return .null
    }

    /// A sum with the rounding errors kept (Neumaier): enough for tests that compare with a tolerance.
    static func exactSum(_ all: [Double]) -> Double {
        var (sum, lost) = (0.0, 0.0)
        for x in all {
            let t = sum + x
            lost += abs(sum) >= abs(x) ? (sum - t) + x : (x - t) + sum
            sum = t
        }
        return sum.isFinite ? sum + lost : all.reduce(0, +)
    }
}

extension ScalarType {
    var isIntegerLike: Bool { [.int, .long, .datetime, .timespan].contains(self) }
}
