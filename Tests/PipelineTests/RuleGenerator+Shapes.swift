import Columnar

// Queries over more than one leg, or over an order: what a rule's suffix is made of.

extension RuleGenerator {
    /// Projects to a key and a few columns under fresh names.
    mutating func keyed(_ q: QueryPiece, _ key: QueryColumn, _ name: String) -> QueryPiece {
        var columns = [QueryColumn(name: name, type: key.type, words: key.words)]
        var parts = ["\(name) = \(key.name)"]
        for c in g.some(q.columns, 1 + g.below(3)) {
            let n = fresh("c")
            parts.append("\(n) = \(c.name)")
            columns.append(QueryColumn(name: n, type: c.type, words: c.words))
        }
        return QueryPiece(text: q.text + "\n| project " + parts.joined(separator: ", "), columns: columns)
    }

    func stringKey(_ q: QueryPiece, _ g: inout Generator) -> QueryColumn? { q.of(.string).randomElement(using: &g) }

    mutating func horizon(_ period: Int) -> String {
        let near = max(1, period / 3)
        let u = scale.suffix
        switch g.below(6) {
        case 0: return "TimeGenerated > ago(\(near)\(u))"
        case 1: return "TimeGenerated >= ago(\(near)\(u))"
        case 2: return "TimeGenerated < ago(\(near)\(u))"
        case 3: return "TimeGenerated <= now() - \(near)\(u)"
        case 4: return "TimeGenerated between (ago(\(2 * near)\(u)) .. ago(\(near)\(u)))"
        default: return "ago(\(near)\(u)) < TimeGenerated"
        }
    }

    mutating func joined(_ period: Int, kinds: [String]? = nil) -> QueryPiece {
        let same = g.chance(40)
        let first = g.pick(tables)
        var left = rows(first)
        var right = rows(same ? first : nil)
        if same || g.chance(30) {
            if left.columns.contains(where: { $0.name == "TimeGenerated" }) { left.text += "\n| where " + horizon(period) }
            if right.columns.contains(where: { $0.name == "TimeGenerated" }) { right.text += "\n| where " + horizon(period) }
        }
        if g.chance(20) { right = summary(right, period: period) }
        guard let a = stringKey(left, &g), let b = stringKey(right, &g) else { return summary(left, period: period) }
        let key = fresh("k")
        let l = keyed(left, a, key)
        let r = keyed(right, b, key)
        let kind = g.pick(
            kinds ?? [
                "inner", "inner", "innerunique", "leftouter", "leftouter", "leftanti", "leftsemi", "rightsemi", "rightouter", "rightanti",
                "fullouter", "",
            ])
        var out = QueryPiece(text: l.text + "\n| join " + (kind.isEmpty ? "" : "kind=\(kind) ") + "(" + r.text + ") on \(key)", columns: [])
        switch kind {
        case "leftanti", "leftsemi": out.columns = l.columns
        case "rightanti", "rightsemi": out.columns = r.columns
        default:
            out.columns = l.columns + r.columns.map { $0.name == key ? QueryColumn(name: key + "1", type: $0.type, words: $0.words) : $0 }
        }
        return filtered(out)
    }

    /// A plugin of `evaluate` behind rows.
    mutating func plugin() -> QueryPiece {
        var q = rows()
        guard let key = stringKey(q, &g), let time = q.of(.datetime).randomElement(using: &g) else { return distinct(q) }
        let u = scale.suffix
        switch g.below(4) {
        case 0:
            let conditions = (predicate(q, depth: 0), predicate(q, depth: 0))
            q.text +=
                "\n| evaluate sequence_detect(\(time.name), 3\(u), 5\(u), e1 = (\(conditions.0)), e2 = (\(conditions.1)), \(key.name))"
            q.columns = [
                key, QueryColumn(name: "e1_\(time.name)", type: .datetime, words: []),
                QueryColumn(name: "e2_\(time.name)", type: .datetime, words: []),
            ]
        case 1:
            q.text += "\n| evaluate activity_metrics(\(key.name), \(time.name), 2\(u))"
            q.columns = [time, QueryColumn(name: "dcount_values", type: .long, words: ["1", "2"])]
        case 2:
            q.text += "\n| evaluate sliding_window_counts(\(key.name), \(time.name), ago(6\(u)), now(), 3\(u), 1\(u))"
            q.columns = [time, QueryColumn(name: "Count", type: .long, words: ["1", "5"])]
        default:
            q.text += "\n| project \(key.name) | evaluate basket(\(g.pick(["0.05", "0.3"])))"
            q.columns = [key, QueryColumn(name: "Count", type: .long, words: ["1", "5"])]
        }
        return g.chance(40) ? filtered(q) : q
    }

    mutating func united(_ period: Int) -> QueryPiece {
        var branches: [QueryPiece] = []
        let shape: [ScalarType] = [.string, g.pick([.string, .long]), .datetime]
        let names = shape.map { _ in fresh("u") }
        for _ in 0..<(2 + g.below(2)) {
            let q = rows()
            var parts: [String] = []
            for (name, type) in zip(names, shape) {
                if let c = q.of(type).randomElement(using: &g) {
                    parts.append("\(name) = \(c.name)")
                } else {
                    parts.append("\(name) = \(type == .string ? "'none'" : type == .long ? "long(3)" : "datetime(2026-03-02T10:00:00Z)")")
                }
            }
            branches.append(QueryPiece(text: q.text + "\n| project " + parts.joined(separator: ", "), columns: []))
        }
        let bare = g.chance(30)
        var out: QueryPiece
        if bare {
            // Whole tables: columns are unified by name, those of one table are null in the other.
            out = QueryPiece(
                text: "union AWSCloudTrail, Law_CL",
                columns: RuleGenerator.table("AWSCloudTrail").columns + RuleGenerator.table("Law_CL").columns.dropFirst())
        } else {
            out = QueryPiece(
                text: "union " + branches.map { "(" + $0.text + ")" }.joined(separator: ", "),
                columns: zip(names, shape).map { QueryColumn(name: $0, type: $1, words: ["alice", "none", "bob"]) })
        }
        if g.chance(60) { out.text += "\n| where " + predicate(out, depth: g.below(2)) }
        if bare, g.chance(40) { out.text += "\n| where " + horizon(period) }
        if g.chance(40) { out = step(out) }
        if g.chance(50) { out = summary(out, period: period) }
        return out
    }

    mutating func membership(_ period: Int) -> QueryPiece {
        let inner = g.chance(60) ? distinct(rows()) : summary(rows(), period: period)
        guard let key = inner.columns.first(where: { $0.type == .string || $0.type == .long }) else { return inner }
        var q = rows()
        guard let column = q.of(key.type).randomElement(using: &g) else { return summary(q, period: period) }
        let name = fresh("list")
        if g.chance(70) {
            lets.append("let \(name) = \(inner.text)\n| project \(key.name);")
            q.text += "\n| where \(column.name) \(g.pick(["in", "!in"])) (\(name))"
        } else {
            q.text += "\n| where \(column.name) \(g.pick(["in", "!in"])) ((\(inner.text)\n| project \(key.name)))"
        }
        return g.chance(40) ? summary(q, period: period) : q
    }

    /// The present against the past of the same table.
    mutating func baseline(_ period: Int) -> QueryPiece {
        let table = g.pick(tables)
        let near = max(1, period / 3)
        let u = scale.suffix
        var now = RuleGenerator.table(table)
        var past = RuleGenerator.table(table)
        now.text += "\n| where TimeGenerated \(g.pick([">", ">="])) ago(\(near)\(u))"
        past.text += g.pick([
            "\n| where TimeGenerated < ago(\(near)\(u))", "\n| where TimeGenerated between (ago(\(period)\(u)) .. ago(\(near)\(u)))",
        ])
        if g.chance(60) { now.text += "\n| where " + predicate(now, depth: 1) }
        if g.chance(40) { past.text += "\n| where " + predicate(past, depth: 1) }
        let key = g.pick(now.of(.string))
        if g.chance(50) {
            return QueryPiece(
                text: now.text + "\n| join kind=leftanti (" + past.text + "\n| distinct \(key.name)) on \(key.name)", columns: now.columns)
        }
        let (a, b) = (fresh("n"), fresh("n"))
        return QueryPiece(
            text: now.text + "\n| summarize \(a) = count() by \(key.name)\n| join kind=leftouter ("
                + past.text + "\n| summarize \(b) = count() by \(key.name)) on \(key.name)\n| where \(a) > coalesce(\(b), 0)",
            columns: [
                key, QueryColumn(name: a, type: .long), QueryColumn(name: key.name + "1", type: .string), QueryColumn(name: b, type: .long),
            ])
    }

    mutating func absence(_ period: Int) -> QueryPiece {
        let q = rows()
        let n = fresh("n")
        return QueryPiece(
            text: q.text + "\n| summarize \(n) = count()\n| where \(n) \(g.pick(["== 0", "< 2", "<= 1"]))",
            columns: [QueryColumn(name: n, type: .long)])
    }

    mutating func scalarThreshold() -> QueryPiece {
        let n = fresh("limit")
        lets.append("let \(n) = toscalar(\(rows().text)\n| summarize count());")
        var q = rows()
        let key = stringKey(q, &g)
        let c = fresh("n")
        if let key {
            q = QueryPiece(
                text: q.text + "\n| summarize \(c) = count() by \(key.name)\n| where \(c) \(g.pick([">", "<="])) \(n) / 2",
                columns: [key, QueryColumn(name: c, type: .long)])
        }
        return q
    }

    /// Operators over an order.
    mutating func ranked(_ q: QueryPiece) -> QueryPiece {
        var out = q
        let by = g.pick(q.columns.filter { $0.type != .dynamic && $0.type != .guid && $0.type != .bool } + [q.columns[0]])
        guard by.type != .dynamic else { return summary(q, period: 10) }
        let direction = g.pick(["asc", "desc"])
        switch g.below(5) {
        case 0: out.text += "\n| top \(1 + g.below(3)) by \(by.name) \(direction)"
        case 1: out.text += "\n| take \(1 + g.below(3))"
        case 2:
            let n = fresh("r")
            out.text += "\n| sort by \(by.name) \(direction)\n| extend \(n) = row_number()"
            out.columns.append(QueryColumn(name: n, type: .long))
            if g.chance(60) { out.text += "\n| where \(n) \(g.pick(["<= 2", "> 1", "== 1"]))" }
        case 3:
            let n = fresh("r")
            out.text += "\n| sort by \(by.name) \(direction)\n| extend \(n) = prev(\(by.name))"
            out.columns.append(QueryColumn(name: n, type: by.type))
            if g.chance(60) { out.text += "\n| where \(n) != \(by.name)" }
        default:
            guard let key = stringKey(q, &g) else { return out }
            out.text += "\n| summarize arg_\(g.pick(["max", "min"]))(\(by.name), *) by \(key.name)"
            // Arguments come back in another order and may be renamed; only the key is sure.
            out.columns = [key]
        }
        return out
    }

    /// A table against literal rows.
    mutating func literalList() -> QueryPiece {
        let q = rows()
        guard let key = stringKey(q, &g) else { return summary(q, period: 10) }
        let words = key.words.isEmpty ? ["a", "b"] : g.some(key.words, 2)
        let (list, n) = (fresh("list"), fresh("n"))
        switch g.below(3) {
        case 0:
            lets.append("let \(list) = dynamic([\(words.map(literal).joined(separator: ", "))]);")
            return QueryPiece(
                text: q.text + "\n| where \(key.name) \(g.pick(["in", "!in", "in~", "has_any"])) (\(list))", columns: q.columns)
        case 1:
            let cells = words.map { "\(literal($0)), \(1 + g.below(3))" }.joined(separator: ", ")
            lets.append("let \(list) = datatable(\(key.name): string, \(n): long) [\(cells)];")
            let kind = g.pick(["inner", "leftouter", "leftanti", "rightanti", "innerunique"])
            let text = q.text + "\n| project \(key.name)\n| join kind=\(kind) (\(list)) on \(key.name)"
            return QueryPiece(text: text, columns: [QueryColumn(name: key.name, type: .string, words: key.words)])
        default:
            let cells = words.map { "\(literal($0)), \(1 + g.below(3))" }.joined(separator: ", ")
            lets.append("let \(list) = datatable(\(key.name): string, \(n): long) [\(cells)];")
            return filtered(
                QueryPiece(text: q.text + "\n| lookup (\(list)) on \(key.name)", columns: q.columns + [QueryColumn(name: n, type: .long)]))
        }
    }

    /// A body over the elements of each row.
    mutating func expandedBody() -> QueryPiece {
        let q = rows("Law_CL")
        guard let c = q.of(.dynamic).randomElement(using: &g) else { return summary(q, period: 10) }
        let (e, n) = (fresh("e"), fresh("n"))
        let body = g.pick(["where tostring(\(e)) == 'b'", "summarize \(n) = count()", "take 1"])
        var out = QueryPiece(text: q.text + "\n| mv-apply \(e) = \(c.name) on (\(body))", columns: q.columns)
        out.columns.append(body.hasPrefix("summarize") ? QueryColumn(name: n, type: .long) : QueryColumn(name: e, type: .dynamic))
        return g.chance(40) ? summary(out, period: 10) : out
    }

    /// A function with arguments, called for two spans.
    mutating func function(_ period: Int) -> QueryPiece {
        let q = RuleGenerator.table(g.pick(tables))
        guard let key = stringKey(q, &g) else { return rows() }
        let (f, n) = (fresh("f"), fresh("n"))
        let near = max(1, period / 2)
        let u = scale.suffix
        lets.append(
            "let \(f) = (from: timespan, to: timespan, least: long) { \(q.text)\n"
                + "| where TimeGenerated between (ago(from) .. ago(to))\n| summarize \(n) = count() by \(key.name)\n| where \(n) >= least };"
        )
        let kind = g.pick(["inner", "leftanti", "leftouter", "rightsemi"])
        return QueryPiece(
            text: "\(f)(\(near)\(u), 0\(u), \(g.below(3)))\n| join kind=\(kind) (\(f)(\(period)\(u), \(near)\(u), 1)) on \(key.name)",
            columns: [key, QueryColumn(name: n, type: .long)])
    }

    /// A let that is read in two places.
    mutating func sharedTwice(_ period: Int) -> QueryPiece {
        let base = rows()
        guard let key = stringKey(base, &g) else { return summary(base, period: period) }
        let name = fresh("base")
        lets.append("let \(name) = " + (g.chance(40) ? "materialize(\(base.text))" : base.text) + ";")
        let n = fresh("n")
        let left = summary(QueryPiece(text: name, columns: base.columns), period: period)
        if g.chance(50), let column = left.of(.string).first {
            return QueryPiece(
                text: left.text
                    + "\n| join kind=\(g.pick(["inner", "leftouter", "leftanti"])) (\(name)\n| summarize \(n) = count() by \(column.name) = \(key.name)) on \(column.name)",
                columns: left.columns)
        }
        let both = QueryPiece(
            text:
                "union (\(name)\n| summarize \(n) = count() by \(key.name)), (\(name)\n| summarize \(n) = dcount(\(key.name)) by \(key.name))",
            columns: [key, QueryColumn(name: n, type: .long)])
        return filtered(both)
    }
}
