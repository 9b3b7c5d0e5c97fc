import Columnar

/// What a rule's query is made of: each stands for a way in which state is kept, or for an operator of its own.
enum RuleShape: String, Sendable, CaseIterable {
    case rowLocal, groups, groupedJoin, groupedBaseline, firstSeen, rowJoin, antiJoin, union, series, absence, expand, argMax
}

extension RuleGenerator {
    mutating func query(_ shape: RuleShape, period: Int) -> QueryPiece {
        switch shape {
        case .rowLocal: rows()
        case .groups: summary(rows(), period: period)
        case .groupedJoin: groupedJoin(period)
        case .groupedBaseline: groupedBaseline(period)
        case .firstSeen: firstSeen(period)
        case .rowJoin: joined(period)
        case .antiJoin: joined(period, kinds: ["leftanti", "rightanti", "leftsemi", "rightsemi"])
        case .union: united(period)
        case .series: series(period)
        case .absence: absence(period)
        case .expand: expanded(period)
        case .argMax: latest(period)
        }
    }

    /// Values whose first sight in the window is recent.
    mutating func firstSeen(_ period: Int) -> QueryPiece {
        var q = RuleGenerator.table(g.pick(tables))
        if g.chance(40) { q.text += "\n| where " + predicate(q, depth: 0) }
        guard let key = stringKey(q, &g) else { return summary(q, period: period) }
        let (first, n) = (fresh("first"), fresh("n"))
        let near = max(1, period / g.pick([2, 3, 5]))
        let text = q.text + "\n| summarize \(first) = min(TimeGenerated), \(n) = count() by \(key.name)"
        return QueryPiece(
            text: text + "\n| where \(first) \(g.pick([">", ">="])) ago(\(near)\(scale.suffix))",
            columns: [key, QueryColumn(name: first, type: .datetime), QueryColumn(name: n, type: .long)])
    }

    /// A series by time, with fixed ends or those of the rows.
    mutating func series(_ period: Int) -> QueryPiece {
        let q = rows()
        guard let key = stringKey(q, &g), q.columns.contains(where: { $0.name == "TimeGenerated" }) else {
            return summary(q, period: period)
        }
        let n = fresh("n")
        let u = scale.suffix
        let number = q.of(.long, .int).randomElement(using: &g)
        let how = g.pick(["count()", number.map { "sum(\($0.name))" } ?? "count()", "dcount(\(key.name))"])
        let range = g.chance(70) ? "from ago(\(period)\(u)) to now() step \(max(1, period / 4))\(u)" : "step \(max(1, period / 3))\(u)"
        var text = q.text + "\n| make-series \(n) = \(how) default=\(g.below(2)) on TimeGenerated \(range) by \(key.name)"
        switch g.below(4) {
        case 0: text += "\n| where array_length(\(n)) > 1"
        case 1: text += "\n| where tolong(\(n)[-1]) > tolong(\(n)[0])"
        case 2:
            text += "\n| mv-expand \(n) to typeof(long)\n| where \(n) > 0"
            return QueryPiece(text: text, columns: [key, QueryColumn(name: n, type: .long)])
        default: break
        }
        return QueryPiece(text: text, columns: [key, QueryColumn(name: n, type: .dynamic)])
    }

    /// Elements of arrays as rows, in the prefix or behind a summary.
    mutating func expanded(_ period: Int) -> QueryPiece {
        let q = rows("Law_CL")
        guard let c = q.of(.dynamic).randomElement(using: &g) else { return expandedBody() }
        var out = q
        out.text += "\n| mv-expand \(c.name)" + (g.chance(50) ? " to typeof(string)" : "")
        if g.chance(40), let key = stringKey(q, &g) {
            let (s, n) = (fresh("s"), fresh("n"))
            out.text += "\n| summarize \(s) = make_set(\(c.name)) by \(key.name)\n| mv-expand \(s) to typeof(string)"
            out.text += "\n| summarize \(n) = count() by \(s)"
            return QueryPiece(text: out.text, columns: [QueryColumn(name: s, type: .string), QueryColumn(name: n, type: .long)])
        }
        if out.text.hasSuffix("typeof(string)") {
            out.columns = out.columns.map { $0.name == c.name ? QueryColumn(name: c.name, type: .string, words: ["a", "b"]) : $0 }
        }
        return g.chance(40) ? summary(out, period: period) : filtered(out)
    }

    /// The last or first row of each key.
    mutating func latest(_ period: Int) -> QueryPiece {
        let q = rows()
        let orders = q.columns.filter { $0.type != .dynamic && $0.type != .guid && $0.type != .bool }
        guard let key = stringKey(q, &g), let by = orders.randomElement(using: &g) else { return summary(q, period: period) }
        let name = fresh("a")
        let any = g.pick(q.columns)
        return QueryPiece(
            text: q.text + "\n| summarize arg_\(g.pick(["max", "min"]))(\(by.name), \(name) = \(any.name)) by \(key.name)",
            columns: [key, QueryColumn(name: name, type: any.type)])
    }
}
