import Columnar
import Glibc
import KQL

func power(_ x: Double, _ y: Double) -> Double { pow(x, y) }

/// `autocluster`, `basket`, `diffpatterns`: see `docs/kql.md` for the method, which Kusto does not publish.
extension Execution {
    /// Patterns that may be looked at before the search is given up.
    private static let mostPatterns = 100_000
    /// The part of the weight that a pattern of `autocluster` covers at least: the least threshold of the other plugins.
    private static let leastShare = 0.015

    /// Arguments and options: `BindingSession.bindPatterns`.
    func patterns(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard case .string(let kind)? = settings["kind"] else { throw EvaluationError("patterns of no kind", at: plan.range) }
        let isSplit = kind == "diffpatterns"
        let isWeighted = settings["weighted"] == .bool(true)
        let ready = try arguments.map { try compiled($0, of: plan, over: input.columns) }
        let places = (isSplit ? 1 : 0)..<(arguments.count - (isWeighted ? 1 : 0))
        guard !places.isEmpty else { throw EvaluationError("\(kind) has no columns", at: plan.range) }
        let types = arguments[places].map(\.type)
        var sides: (a: String, b: String) = ("", "")
        if case .string(let a)? = settings["a"], case .string(let b)? = settings["b"] { sides = (a, b) }

        // Equal rows once, with the sums of their weights in each set.
        var table = GroupTable(types: types)
        var rows = GroupRows(hasKeys: false)
        var sums: [(SumOfWeights, SumOfWeights)] = []
        let positional = !options.keys || isOrdered(input)
        var start = 0
        try run(input, environment) { batch in
            let n = batch.count
            let order = orders(batch, positional: positional, start: start)
            start += n
            let ids = try table.intern(try ready[places].map { try $0.evaluate(batch, context).materialized(rows: n) })
            rows.resize(table.count)
            rows.add(ids, order, Batch(columns: [], count: n))
            while sums.count < table.count { sums.append((SumOfWeights(), SumOfWeights())) }
            let split = isSplit ? try ready[0].evaluate(batch, context).materialized(rows: n) : nil
            let weights = isWeighted ? try ready[arguments.count - 1].evaluate(batch, context).materialized(rows: n) : nil
            for i in 0..<n {
                let w = weights.map { c in c.value(i).double ?? c.value(i).integer.map(Double.init) ?? 0 } ?? 1
                guard w > 0, w.isFinite else { continue }
                let g = Int(ids[i])
                guard let split else {
                    sums[g].0.add(w)
                    continue
                }
                guard case .string(let side) = split.value(i) else { continue }
                if side == sides.a { sums[g].0.add(w) } else if side == sides.b { sums[g].1.add(w) }
            }
            try limits.check(held: table.count, by: kind)
            return true
        }
        let sequence = rows.sequence
        let columns = table.columns(sequence)
        var interners = types.map(Interner.init)
        let ids = try columns.indices.map { try interners[$0].intern(columns[$0]) }
        var mining = PatternRows(width: types.count, values: interners.map(\.count))
        // The row in which each value is found again.
        var examples: [[UInt32: Int]] = Array(repeating: [:], count: types.count)
        for (row, g) in sequence.enumerated() {
            for c in ids.indices where examples[c][ids[c][row]] == nil { examples[c][ids[c][row]] = row }
            let (a, b) = (sums[Int(g)].0.value, sums[Int(g)].1.value)
            if a > 0 || b > 0 { mining.append(ids.map { $0[row] }, first: a, second: b) }
        }
        let found: [PatternRows.Pattern]
        do { found = try search(kind, mining, settings) } catch let e as PatternRows.TooMany {
            throw EvaluationError(
                "\(kind) looked at \(e.limit) patterns and was not at the end; project fewer columns, or give a higher threshold or fewer dimensions",
                at: plan.range)
        }

        var builders = plan.columns.map { ColumnBuilder($0.type) }
        let (totalA, totalB) = (mining.totalFirst, mining.totalSecond)
        let fixed = plan.columns.count - types.count
        func count(_ d: Double) -> Value { .long(Int64(exactly: d.rounded()) ?? Int64.max) }
        for (n, p) in found.enumerated() {
            var cells: [Value] = [.long(Int64(n))]
            if isSplit {
                let (a, b) = (share(p.first, totalA), share(p.second, totalB))
                cells += [
                    count(p.first), count(p.second), .real(rounded(a, 100)), .real(rounded(b, 100)), .real(rounded(abs(a - b), 100)),
                ]
            } else {
                cells += [count(p.first), .real(rounded(share(p.first, totalA), 10))]
            }
            for (i, v) in cells.enumerated() where i < fixed { builders[i].append(v) }
            for c in types.indices {
                if let value = p.cells[c], let row = examples[c][value] {
                    builders[fixed + c].append(columns[c], row: row)
                } else {
                    builders[fixed + c].append(settings["wildcard." + types[c].rawValue] ?? .missing(types[c]))
                }
            }
        }
        let made = builders.indices.map { builders[$0].finish() }
        return try emit(
            Batch(
                columns: made, count: found.count,
                keys: options.keys ? ContiguousArray((0..<found.count).lazy.map { .ordinal($0) }) : nil))
    }

    private func share(_ part: Double, _ whole: Double) -> Double { whole > 0 ? 100 * part / whole : 0 }
    private func rounded(_ d: Double, _ places: Double) -> Double { (d * places).rounded() / places }

    /// The patterns of one of the plugins, in the order of the result.
    private func search(_ kind: String, _ rows: PatternRows, _ settings: [String: Value]) throws -> [PatternRows.Pattern] {
        let depth = Int(settings["dimensions"]?.integer ?? 100)
        let threshold = settings["threshold"]?.double ?? 0.05
        // Sorting keeps equals in the order in which they were found, which is that of the rows.
        func sorted(_ list: [PatternRows.Pattern], by rank: (PatternRows.Pattern) -> (Double, Double)) -> [PatternRows.Pattern] {
            let ranks = list.map(rank)
            return list.indices.sorted { i, j in
                let (a, b) = (ranks[i], ranks[j])
                return a == b ? i < j : (a.0 == b.0 ? a.1 > b.1 : a.0 > b.0)
            }.map { list[$0] }
        }
        switch kind {
        case "basket":
            return sorted(try rows.frequent(share: threshold, depth: depth, limit: min(limits.heldRows, Execution.mostPatterns))) {
                ($0.first * Double($0.size), $0.first)
            }
        case "diffpatterns":
            let all = try rows.frequent(share: threshold, depth: depth, limit: min(limits.heldRows, Execution.mostPatterns))
            func difference(_ p: PatternRows.Pattern) -> Double {
                abs(share(p.first, rows.totalFirst) - share(p.second, rows.totalSecond))
            }
            // The least number of values first, where the difference is the same.
            return PatternRows.apart(sorted(all.filter { difference($0) >= threshold * 100 }) { (difference($0), -Double($0.size)) })
        default:
            let found = rows.seeded(size: settings["size"]?.double ?? 0.5, seeds: Int(settings["seeds"]?.integer ?? 25))
            let order = found.indices.sorted { found[$0].score == found[$1].score ? $0 < $1 : found[$0].score > found[$1].score }
            // Patterns of very few rows say nothing of the whole.
            let shared = order.map { found[$0].pattern }.filter { $0.first >= Execution.leastShare * rows.totalFirst }
            return PatternRows.apart(shared)
        }
    }
}

/// A sum that does not depend on the order of its parts where they are whole numbers below 2^53; others are rounded to 2^-20 first.
private struct SumOfWeights {
    private var whole: Int64 = 0
    private var parts: Int64 = 0
    private static let unit = Double(1 << 20)

    mutating func add(_ w: Double) {
        let floor = w.rounded(.down)
        let (sum, overflow) = whole.addingReportingOverflow(Int64(exactly: min(floor, 9e15)) ?? 0)
        whole = overflow ? Int64.max : sum
        parts = min(parts &+ Int64(((w - floor) * SumOfWeights.unit).rounded()), Int64.max / 2)
    }

    var value: Double { Double(whole) + Double(parts) / SumOfWeights.unit }
}
