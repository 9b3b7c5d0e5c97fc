import Columnar

// Queries whose state can be kept by panes: groups of one view against groups of another.

extension RuleGenerator {
    /// A window of the past with ends at some distance from the tick, open or closed.
    private mutating func span(from: Int, to: Int) -> String {
        let u = scale.suffix
        switch g.below(4) {
        case 0: return "TimeGenerated between (ago(\(from)\(u)) .. ago(\(to)\(u)))"
        case 1: return "TimeGenerated >= ago(\(from)\(u)) and TimeGenerated < ago(\(to)\(u))"
        case 2: return "TimeGenerated > now() - \(from)\(u) and TimeGenerated <= ago(\(to)\(u))"
        default: return to == 0 ? "TimeGenerated > ago(\(from)\(u))" : "TimeGenerated < ago(\(to)\(u))"
        }
    }

    private mutating func groups(_ table: String, _ span: String, by key: QueryColumn) -> (text: String, counts: [QueryColumn]) {
        var q = RuleGenerator.table(table)
        q.text += "\n| where \(span)"
        if g.chance(50) { q.text += "\n| where " + predicate(q, depth: g.below(2)) }
        var aggregates: [(text: String, column: QueryColumn)] = [("", QueryColumn(name: fresh("n"), type: .long))]
        aggregates[0].text = aggregates[0].column.name + " = count()"
        for _ in 0..<g.below(3) { aggregates.append(aggregate(q)) }
        return (q.text + "\n| summarize " + aggregates.map(\.text).joined(separator: ", ") + " by \(key.name)", aggregates.map(\.column))
    }

    /// The last while against what was before, both in groups, sometimes over two horizons of the past.
    mutating func groupedBaseline(_ period: Int) -> QueryPiece {
        let table = g.pick(tables)
        let near = max(1, period / g.pick([2, 3, 5]))
        guard let key = stringKey(RuleGenerator.table(table), &g) else { return summary(rows(table), period: period) }
        let now = groups(table, span(from: near, to: 0), by: key)
        let past = groups(table, span(from: period, to: near), by: key)
        var text = now.text
        var columns = [key] + now.counts
        switch g.below(4) {
        case 0: text += "\n| join kind=leftanti (\(past.text)) on \(key.name)"
        case 1:
            text += "\n| join kind=inner (\(past.text)) on \(key.name)\n| where \(now.counts[0].name) > \(past.counts[0].name)"
            columns += [QueryColumn(name: key.name + "1", type: .string)] + past.counts
        case 2:
            text +=
                "\n| join kind=leftouter (\(past.text)) on \(key.name)\n| where \(now.counts[0].name) >= coalesce(\(past.counts[0].name), 1)"
            columns += [QueryColumn(name: key.name + "1", type: .string)] + past.counts
        default:
            let older = groups(table, span(from: period, to: max(near, period / 2)), by: key)
            text +=
                "\n| join kind=leftanti (\(past.text)) on \(key.name)\n| join kind=\(g.pick(["leftanti", "leftsemi"])) (\(older.text)) on \(key.name)"
        }
        return QueryPiece(text: text, columns: columns)
    }

    /// Groups of two tables.
    mutating func groupedJoin(_ period: Int) -> QueryPiece {
        let left = g.pick(tables)
        let right = g.pick(tables)
        guard let a = stringKey(RuleGenerator.table(left), &g), let b = stringKey(RuleGenerator.table(right), &g) else {
            return summary(rows(left), period: period)
        }
        let l = groups(left, span(from: period, to: 0), by: a)
        let r = groups(right, span(from: max(1, period / 2), to: 0), by: b)
        let kind = g.pick(["inner", "leftouter", "leftanti", "leftsemi", "innerunique"])
        return QueryPiece(
            text: l.text + "\n| join kind=\(kind) (\(r.text)) on $left.\(a.name) == $right.\(b.name)", columns: [a] + l.counts)
    }

    /// One summarize over rows of several views, or several summarizes over one.
    mutating func groupedUnion(_ period: Int) -> QueryPiece {
        let (k, t) = (fresh("k"), fresh("t"))
        var branches: [String] = []
        for _ in 0..<2 {
            let q = rows()
            guard let key = stringKey(q, &g), q.columns.contains(where: { $0.name == "TimeGenerated" }) else { continue }
            branches.append("(\(q.text)\n| where \(horizon(period))\n| project \(k) = \(key.name), \(t) = TimeGenerated)")
        }
        guard branches.count == 2 else { return summary(rows(), period: period) }
        let n = fresh("n")
        let how = g.pick(["count()", "dcount(\(t))", "make_set(\(t))", "arg_max(\(t), \(k))", "make_list(\(t), 5)", "take_any(\(t))"])
        let by = how.hasPrefix("arg_max") ? "by bin(\(t), 10\(scale.suffix))" : "by \(k)"
        if how.hasPrefix("arg_max") {
            return QueryPiece(
                text: "union \(branches.joined(separator: ", "))\n| summarize \(how) \(by)", columns: [QueryColumn(name: k, type: .string)])
        }
        let type: ScalarType = how.hasPrefix("make") ? .dynamic : how.hasPrefix("take") ? .datetime : .long
        return filtered(
            QueryPiece(
                text: "union \(branches.joined(separator: ", "))\n| summarize \(n) = \(how) \(by)",
                columns: [QueryColumn(name: k, type: .string), QueryColumn(name: n, type: type)]))
    }
}
