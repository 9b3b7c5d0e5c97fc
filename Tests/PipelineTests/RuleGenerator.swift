import Columnar
import Rules

/// A column that generated text may use.
struct QueryColumn: Sendable {
    var name: String
    var type: ScalarType
    /// Strings that occur in it.
    var words: [String] = []
}

/// A piece of KQL with the columns that it gives.
struct QueryPiece: Sendable {
    var text: String
    var columns: [QueryColumn]

    func of(_ types: ScalarType...) -> [QueryColumn] { columns.filter { types.contains($0.type) } }
}

/// Makes random analytics rules that bind: text of KQL over the tables of ``LogGenerator``, with random clocks, triggers and grouping.
struct RuleGenerator {
    var g: Generator
    let scale: TimeScale
    /// To be picked from.
    let tables: [String]
    var serial = 0
    /// `let` statements of the query being made.
    var lets: [String] = []
    /// Fewer conditions, and triggers that mostly ask for a row: more rules alert.
    var isLoose = false

    init(seed: UInt64, scale: TimeScale, tables: [String] = RuleGenerator.tableNames) {
        g = Generator(seed)
        self.scale = scale
        self.tables = tables
    }

    mutating func fresh(_ stem: String = "x") -> String {
        serial += 1
        return "\(stem)\(serial)"
    }

    // MARK: Rules

    /// A rule of a shape, or of any.
    mutating func rule(_ number: Int, shape: RuleShape? = nil) -> AnalyticsRule {
        lets = []
        let isNRT = scale.suffix == "m" && g.chance(6)
        let frequency = isNRT ? 1 : Int64(g.pick([2, 5, 10, 15, 30]))
        let period = isNRT ? 1 : g.pick([frequency, frequency, 2 * frequency, 3 * frequency + 1, 60, 90])
        let body = shape.map { query($0, period: Int(period)) } ?? query(period: Int(period))
        var text = lets.joined(separator: "\n")
        if !text.isEmpty { text += "\n" }
        text += body.text
        var r = AnalyticsRule(
            id: "00000000-0000-4000-8000-" + String(String(1_000_000_000_000 + number).suffix(12)), name: "Law rule \(number)", query: text,
            queryFrequency: frequency * scale.unit, queryPeriod: period * scale.unit)
        r.kind = isNRT ? .nrt : .scheduled
        switch isLoose ? g.below(12) * 3 : g.below(12) {
        case 0: (r.triggerOperator, r.triggerThreshold) = (.lessThan, 1 + g.below(3))
        case 1: (r.triggerOperator, r.triggerThreshold) = (.equal, g.below(3))
        case 2: (r.triggerOperator, r.triggerThreshold) = (.notEqual, g.below(2))
        case 3: (r.triggerOperator, r.triggerThreshold) = (.greaterThan, 1 + g.below(3))
        default: (r.triggerOperator, r.triggerThreshold) = (.greaterThan, 0)
        }
        r.tactics = g.some(["InitialAccess", "Persistence", "Discovery"], g.below(3))
        r.techniques = g.some(["T1078", "T1110.003", "T1098", "T1087.004"], g.below(3))
        if g.chance(20) { r.startTime = LogGenerator.start + g.upTo(30) * scale.unit / 2 }
        if g.chance(25) { r.suppression = Int64(g.pick([5, 20, 60])) * scale.unit }
        r.grouping = g.chance(55) ? .alertPerResult : .singleAlert
        if g.chance(60) {
            for c in g.some(body.columns, 1 + g.below(2)) {
                let field = AnalyticsRule.FieldMapping(identifier: g.pick(["Name", "FullName"]), columnName: c.name)
                r.entityMappings.append(AnalyticsRule.EntityMapping(entityType: "Account", fields: [field]))
            }
        }
        // Columns that nothing maps are never computed: both ways are to be seen.
        let mapped = g.chance(75) ? body.columns : g.some(body.columns, 2)
        r.customDetails = mapped.map { AnalyticsRule.FieldMapping(identifier: $0.name, columnName: $0.name) }
        return r
    }

    // MARK: Queries

    mutating func query(period: Int) -> QueryPiece {
        switch g.below(25) {
        case 23: return series(period)
        case 24: return firstSeen(period)
        case 18: return summary(rows(), period: period)
        case 19: return groupedBaseline(period)
        case 20: return groupedJoin(period)
        case 21: return groupedUnion(period)
        case 22: return plugin()
        case 15: return literalList()
        case 16: return expandedBody()
        case 17: return function(period)
        case 0, 1: return rows()
        case 2, 3: return summary(rows(), period: period)
        case 4, 5: return joined(period)
        case 6: return united(period)
        case 7: return membership(period)
        case 8: return baseline(period)
        case 9: return absence(period)
        case 10: return scalarThreshold()
        case 11: return ranked(rows())
        case 12: return sharedTwice(period)
        case 13: return distinct(rows())
        default: return filtered(summary(joined(period), period: period))
        }
    }

    /// A table with up to four row-local steps.
    mutating func rows(_ table: String? = nil) -> QueryPiece {
        var q = RuleGenerator.table(table ?? g.pick(tables))
        if g.chance(isLoose ? 40 : 65) { q.text += "\n| where " + predicate(q, depth: g.below(3)) }
        for _ in 0..<g.below(isLoose ? 3 : 4) { q = step(q) }
        return q
    }

    /// One row-local step.
    mutating func step(_ q: QueryPiece) -> QueryPiece {
        var q = q
        switch g.below(9) {
        case 0, 1: q.text += "\n| where " + predicate(q, depth: g.below(3))
        case 2, 3:
            let e = expression(q)
            q.text += "\n| extend \(e.name) = \(e.text)"
            q.columns.append(QueryColumn(name: e.name, type: e.type, words: e.words))
        case 4:
            // The window always goes by the row's own time, whatever the query makes of the column.
            guard let time = q.of(.datetime).first(where: { $0.name == "TimeGenerated" }) else { return q }
            let how = g.pick(["bin(TimeGenerated, 7\(scale.suffix))", "TimeGenerated - 3\(scale.suffix)"])
            q.text += "\n| extend \(time.name) = \(how)"
        case 5:
            let kept = g.some(q.columns, max(2, q.columns.count - 2))
            q.text += "\n| project " + kept.map(\.name).joined(separator: ", ")
            q.columns = kept
        case 6:
            guard q.columns.count > 3, let gone = q.columns.randomElement(using: &g) else { return q }
            q.text += "\n| project-away \(gone.name)"
            q.columns.removeAll { $0.name == gone.name }
        case 7:
            guard let c = q.of(.dynamic).randomElement(using: &g) else { return q }
            let typed = g.chance(40)
            let index = g.chance(25) ? fresh("i") : nil
            q.text += "\n| mv-expand " + (index.map { "with_itemindex=\($0) " } ?? "") + c.name + (typed ? " to typeof(string)" : "")
            if g.chance(20) { q.text += " limit 2" }
            if typed { q.columns = q.columns.map { $0.name == c.name ? QueryColumn(name: c.name, type: .string, words: ["a", "b"]) : $0 } }
            if let index { q.columns.append(QueryColumn(name: index, type: .long)) }
        default:
            guard let c = q.of(.string).randomElement(using: &g) else { return q }
            let (a, b) = (fresh("p"), fresh("p"))
            q.text += "\n| parse \(c.name) with \(a) \(g.pick(["'.'", "'-'", "'@'", "'/'"])) \(b)"
            q.columns += [QueryColumn(name: a, type: .string), QueryColumn(name: b, type: .string)]
        }
        return q
    }

    mutating func filtered(_ q: QueryPiece) -> QueryPiece {
        guard g.chance(isLoose ? 25 : 60) else { return q }
        var q = q
        q.text += "\n| where " + predicate(q, depth: 0)
        return q
    }

    mutating func summary(_ q: QueryPiece, period: Int) -> QueryPiece {
        var keys: [(text: String, column: QueryColumn)] = []
        for c in g.some(q.of(.string, .bool, .int, .long), g.below(3)) { keys.append((c.name, c)) }
        if g.chance(30), q.columns.contains(where: { $0.name == "TimeGenerated" }) {
            let name = fresh("w")
            keys.append(
                ("\(name) = bin(TimeGenerated, \(g.pick([5, 7, 60]))\(scale.suffix))", QueryColumn(name: name, type: .datetime)))
        }
        if g.chance(12), let c = q.of(.dynamic).randomElement(using: &g) {
            let name = fresh("d")
            keys.append(("\(name) = tostring(\(c.name))", QueryColumn(name: name, type: .string)))
        }
        var aggregates: [(text: String, column: QueryColumn)] = []
        for _ in 0..<(1 + g.below(3)) { aggregates.append(aggregate(q)) }
        let by = keys.isEmpty ? "" : " by " + keys.map(\.text).joined(separator: ", ")
        var out = QueryPiece(
            text: q.text + "\n| summarize " + aggregates.map(\.text).joined(separator: ", ") + by,
            columns: keys.map(\.column) + aggregates.map(\.column))
        if g.chance(isLoose ? 40 : 70), let n = out.of(.long).last {
            out.text += "\n| where \(n.name) \(g.pick([">", ">=", ">", "<", "==", "!="])) \(g.below(4))"
        }
        if g.chance(25) { out = step(out) }
        return out
    }

    mutating func aggregate(_ q: QueryPiece) -> (text: String, column: QueryColumn) {
        let name = fresh("a")
        func made(_ text: String, _ type: ScalarType) -> (String, QueryColumn) {
            ("\(name) = \(text)", QueryColumn(name: name, type: type))
        }
        let any = g.pick(q.columns)
        let number = q.of(.long, .int, .real).randomElement(using: &g)
        let scalar = q.columns.filter { $0.type != .dynamic }.randomElement(using: &g) ?? any
        let ordered = q.of(.string, .long, .int, .real, .datetime, .timespan).randomElement(using: &g)
        switch g.below(16) {
        case 0, 1, 2: return made("count()", .long)
        case 3: return made("dcount(\(scalar.name))", .long)
        case 4: return made("countif(\(predicate(q, depth: 0)))", .long)
        case 5: if let n = number { return made("sum(\(n.name))", n.type == .real ? .real : .long) }
        case 6, 7: if let o = ordered { return made("\(g.pick(["min", "max"]))(\(o.name))", o.type) }
        case 8: return made("make_set(\(any.name))", .dynamic)
        case 9: return made("make_list(\(any.name), \(g.pick([2, 5, 100])))", .dynamic)
        case 10: return made("count_distinct(\(scalar.name))", .long)
        case 11: if let n = number { return made("avg(\(n.name))", .real) }
        case 12: return made("make_set_if(\(any.name), \(predicate(q, depth: 0)))", .dynamic)
        case 13: return made("take_any(\(any.name))", any.type)
        case 14 where g.chance(40):
            if let n = number { return made("\(g.pick(["stdev", "variance"]))(\(n.name))", .real) }
        case 14:
            if q.columns.contains(where: { $0.name == "TimeGenerated" }) {
                return ("arg_max(TimeGenerated, \(name) = \(any.name))", QueryColumn(name: name, type: any.type))
            }
        default: if let n = number { return made("percentile(\(n.name), 50)", n.type == .real ? .real : .long) }
        }
        return made("count()", .long)
    }

    mutating func distinct(_ q: QueryPiece) -> QueryPiece {
        let kept = g.some(q.columns.filter { $0.type != .dynamic }, 1 + g.below(3))
        guard !kept.isEmpty else { return q }
        return QueryPiece(text: q.text + "\n| distinct " + kept.map(\.name).joined(separator: ", "), columns: kept)
    }
}
