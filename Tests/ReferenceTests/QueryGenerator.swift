/// Writes random queries over ``RandomTables`` whose results KQL defines up to the order of rows, or with it.
struct QueryGenerator {
    enum Kind: CaseIterable { case long, real, string, bool, datetime, timespan, dynamic, guid }

    struct Column {
        let name: String
        let kind: Kind
    }

    /// How the rows come: as they stand in the table, sorted to the last tie, or in no order.
    enum Order { case table, sorted, open }

    private(set) var dice: Dice
    private var columns: [Column] = []
    private var order = Order.table
    private var made = 0

    init(_ dice: Dice) { self.dice = dice }

    private static let source: [Column] = [
        Column(name: "id", kind: .long), Column(name: "s", kind: .string), Column(name: "u", kind: .string), Column(name: "n", kind: .long),
        Column(name: "i", kind: .long), Column(name: "r", kind: .real), Column(name: "b", kind: .bool), Column(name: "t", kind: .datetime),
        Column(name: "p", kind: .timespan), Column(name: "d", kind: .dynamic), Column(name: "g", kind: .guid),
    ]

    private mutating func fresh() -> String {
        made += 1
        return "x\(made)"
    }

    private mutating func column(_ kind: Kind) -> String? {
        let fitting = columns.filter { $0.kind == kind }
        return fitting.isEmpty ? nil : dice.pick(fitting).name
    }

    private func has(_ kind: Kind) -> Bool { columns.contains { $0.kind == kind } }

    // MARK: Expressions

    private mutating func literal(_ kind: Kind) -> String {
        switch kind {
        case .long: return dice.pick(["0", "1", "2", "-1", "5", "3", "100", "9223372036854775807", "long(null)"])
        case .real: return dice.pick(["0.0", "0.5", "-1.25", "2.0", "1e300", "real(nan)", "real(+inf)", "real(null)"])
        case .string:
            return dice.pick([
                "'alpha'", "'beta'", "'ALPHA'", "'e1'", "'école'", "'É'", "'.'", "'a'", "''", "'admin'", "'1.2'", "' '", "'日本'", "'x-y'",
                "'d'",
                "'user@example'", "'ab a'", "'straße'", "'\\\\'", "'-'",
            ])
        case .bool: return dice.pick(["true", "false", "bool(null)"])
        case .datetime: return dice.pick(["datetime(2023-11-15)", "datetime(2023-11-14T22:30:00Z)", "datetime(null)"])
        case .timespan: return dice.pick(["1h", "0s", "-15m", "1d", "timespan(null)"])
        case .dynamic: return dice.pick(["dynamic([1, 'alpha', null])", "dynamic({'k': 1})", "dynamic(2)", "dynamic(null)"])
        case .guid: return dice.pick(["guid(00000000-0000-0000-0000-000000000001)", "guid(null)"])
        }
    }

    private mutating func scalar(_ kind: Kind, _ depth: Int) -> String {
        if depth <= 0 || dice.chance(3) { return (dice.chance(5) ? nil : column(kind)) ?? literal(kind) }
        func both(_ op: String) -> String {
            let (a, b) = (scalar(kind, depth - 1), scalar(kind, depth - 1))
            return "(\(a) \(op) \(b))"
        }
        switch dice.below(12) {
        case 0: return "iff(\(condition(depth - 1)), \(scalar(kind, depth - 1)), \(scalar(kind, depth - 1)))"
        case 1: return "coalesce(\(scalar(kind, depth - 1)), \(scalar(kind, depth - 1)))"
        case 2:
            return
                "case(\(condition(depth - 1)), \(scalar(kind, depth - 1)), \(condition(depth - 1)), \(scalar(kind, depth - 1)), \(scalar(kind, depth - 1)))"
        default: break
        }
        let inner = depth - 1
        switch kind {
        case .long:
            switch dice.below(9) {
            case 0, 1: return both(dice.pick(["+", "-", "*", "/", "%"]))
            case 2: return "strlen(\(scalar(.string, inner)))"
            case 3: return "bin(\(scalar(.long, inner)), \(dice.pick(["1", "2", "10", "7"])))"
            case 4: return "indexof(\(scalar(.string, inner)), \(literal(.string)))"
            case 5: return "tolong(\(scalar(dice.pick([.real, .bool]), inner)))"
            case 6: return "array_length(\(scalar(.dynamic, inner)))"
            case 7: return "hourofday(\(scalar(.datetime, inner)))"
            default: return "-\(column(.long) ?? "1")"
            }
        case .real:
            switch dice.below(5) {
            case 0, 1: return both(dice.pick(["+", "-", "*", "/"]))
            case 2: return "todouble(\(scalar(.long, inner)))"
            case 3: return "bin(\(scalar(.real, inner)), \(dice.pick(["0.5", "2.0"])))"
            default: return "abs(\(scalar(.real, inner)))"
            }
        case .string:
            switch dice.below(9) {
            case 0: return "strcat(\(scalar(.string, inner)), \(scalar(dice.pick([.string, .long, .bool]), inner)))"
            case 1: return "tolower(\(scalar(.string, inner)))"
            case 2: return "toupper(\(scalar(.string, inner)))"
            case 3: return "substring(\(scalar(.string, inner)), \(dice.below(6)), \(dice.below(6)))"
            case 4: return "tostring(\(scalar(dice.pick([.long, .bool, .datetime, .timespan, .dynamic, .guid]), inner)))"
            case 5: return "replace_string(\(scalar(.string, inner)), \(dice.pick(["'a'", "'é'", "'.'", "'alpha'"])), \(literal(.string)))"
            case 6: return "reverse(\(scalar(.string, inner)))"
            case 7: return "substring(\(scalar(.string, inner)), \(dice.below(6)))"
            default: return "tostring(\(column(.dynamic) ?? "dynamic(1)").k)"
            }
        case .bool: return condition(depth)
        case .datetime:
            switch dice.below(3) {
            case 0: return "(\(scalar(.datetime, inner)) \(dice.pick(["+", "-"])) \(scalar(.timespan, inner)))"
            case 1: return "startofday(\(scalar(.datetime, inner)))"
            default: return "bin(\(scalar(.datetime, inner)), 1h)"
            }
        case .timespan:
            return dice.chance(2) ? "(\(scalar(.datetime, inner)) - \(scalar(.datetime, inner)))" : both(dice.pick(["+", "-"]))
        case .dynamic:
            let base = column(.dynamic) ?? "dynamic({'k': [1]})"
            return dice.pick([
                "\(base).k", "\(base)[0]", "\(base)[-1]", "\(base)['v']", "\(base).k.v", "split(\(scalar(.string, inner)), '.')",
            ])
        case .guid: return column(.guid) ?? literal(.guid)
        }
    }

    private mutating func condition(_ depth: Int) -> String {
        if depth > 0 {
            switch dice.below(5) {
            case 0: return "(\(condition(depth - 1)) and \(condition(depth - 1)))"
            case 1: return "(\(condition(depth - 1)) or \(condition(depth - 1)))"
            case 2: return "not(\(condition(depth - 1)))"
            default: break
            }
        }
        switch dice.below(9) {
        case 0, 1, 2:
            let op = dice.pick([
                "has", "!has", "has_cs", "hasprefix", "hassuffix", "!hasprefix", "hasprefix_cs", "hassuffix_cs", "contains", "!contains",
                "contains_cs", "startswith", "!startswith", "startswith_cs", "endswith", "endswith_cs", "!endswith", "=~", "!~", "==", "!=",
            ])
            return "\(scalar(.string, depth - 1)) \(op) \(dice.chance(6) ? scalar(.string, depth - 1) : literal(.string))"
        case 3:
            let op = dice.pick(["in", "!in", "in~", "!in~", "has_any", "has_all"])
            let items = (0..<(1 + dice.below(4))).map { _ in literal(.string) }
            return "\(scalar(.string, depth - 1)) \(op) (\(items.joined(separator: ", ")))"
        case 4:
            let items = (0..<(1 + dice.below(4))).map { _ in dice.pick(["0", "1", "-1", "2", "5"]) }
            return "\(scalar(.long, depth - 1)) \(dice.pick(["in", "!in"])) (\(items.joined(separator: ", ")))"
        case 5:
            let kind: Kind = dice.pick([.long, .real, .datetime, .timespan])
            return "\(scalar(kind, depth - 1)) \(dice.pick(["between", "!between"])) (\(literal(kind)) .. \(literal(kind)))"
        case 6:
            let kind: Kind = dice.pick([.long, .real, .bool, .datetime, .dynamic, .guid])
            return "\(dice.pick(["isnull", "isnotnull", "isempty", "isnotempty"]))(\(scalar(kind, depth - 1)))"
        case 7:
            let base = column(.dynamic) ?? "dynamic({'k': 2})"
            return "\(base).k \(dice.pick(["==", "!=", ">", "<="])) \(dice.pick(["2", "0.625", "'alpha'", "1"]))"
                .replacing("> 'alpha'", with: "== 'alpha'").replacing("<= 'alpha'", with: "!= 'alpha'")
        default:
            let kind: Kind = dice.pick([.long, .real, .bool, .datetime, .timespan, .guid])
            let ops = kind == .guid || kind == .bool ? ["==", "!="] : ["==", "!=", "<", "<=", ">", ">="]
            return "\(scalar(kind, depth - 1)) \(dice.pick(ops)) \(scalar(kind, depth - 1))"
        }
    }

    // MARK: Operators

    /// A query and how its rows are to be compared: in order, or as a bag.
    mutating func query() -> (text: String, isOrdered: Bool) {
        columns = QueryGenerator.source
        order = .table
        var text = "T"
        if dice.chance(8) {
            let condition = condition(1)
            text = "let M = materialize(T | where \(condition)); M"
        }
        for _ in 0..<(1 + dice.below(4)) { text += "\n| " + step() }
        if dice.chance(4), let sort = sort() { text += "\n| " + sort }
        return (text, order != .open)
    }

    private mutating func step() -> String {
        while true {
            switch dice.below(17) {
            case 0, 1, 2: return "where \(condition(2))"
            case 3, 4:
                let kind = dice.pick(Kind.allCases)
                let name = fresh()
                let e = scalar(kind, 3)
                columns.append(Column(name: name, kind: kind))
                return "extend \(name) = \(e)"
            case 5:
                let kept = columns.filter { $0.name == "id" || dice.chance(2) }
                guard !kept.isEmpty else { continue }
                columns = kept
                return "project \(kept.map(\.name).joined(separator: ", "))"
            case 6, 7: return summarize()
            case 8:
                let keys = columns.filter { $0.kind != .dynamic && dice.chance(3) }
                guard !keys.isEmpty else { continue }
                columns = keys
                order = .open
                return "distinct \(keys.map(\.name).joined(separator: ", "))"
            case 9:
                guard let text = sort() else { continue }
                return text
            case 10:
                guard order != .open else { continue }
                return "take \(dice.pick([0, 1, 3, 20, 100]))"
            case 11:
                guard order != .open, let key = column(dice.pick([.long, .real, .string, .datetime])) else { continue }
                order = .sorted
                return "top \(dice.pick([1, 3, 10])) by \(key) \(dice.pick(["asc", "desc", "asc nulls last", "desc nulls first"]))"
            case 12: return join()
            case 13:
                guard let d = column(.dynamic), dice.chance(2) else { continue }
                let limit = dice.chance(3) ? " limit \(1 + dice.below(3))" : ""
                switch dice.below(3) {
                case 0: return "mv-expand \(d)\(limit)"
                case 1:
                    let name = fresh()
                    columns.append(Column(name: name, kind: .string))
                    return "mv-expand \(name) = \(d) to typeof(string)\(limit)"
                default:
                    let (index, name) = (fresh(), fresh())
                    columns += [Column(name: index, kind: .long), Column(name: name, kind: .long)]
                    return "mv-expand with_itemindex=\(index) \(name) = \(d) to typeof(long)\(limit)"
                }
            case 14:
                guard let s = column(.string) else { continue }
                let (a, b) = (fresh(), fresh())
                columns += [Column(name: a, kind: .string), Column(name: b, kind: .string)]
                let pattern = dice.pick(["* 'a' \(a) '.' \(b)", "\(a) '.' \(b)", "\(a) ' ' * '.' \(b)", "'a' \(a) '-' \(b) *"])
                return "\(dice.pick(["parse", "parse-where"])) \(s) with \(pattern)"
            case 15:
                guard order != .open, let n = column(.long), columns.count < 20 else { continue }
                let (a, b, c) = (fresh(), fresh(), fresh())
                columns += [Column(name: a, kind: .long), Column(name: b, kind: .long), Column(name: c, kind: .long)]
                order = order == .table ? .table : .sorted
                return
                    "serialize \(a) = row_number(), \(b) = \(dice.pick(["prev", "next"]))(\(n), \(1 + dice.below(2))), \(c) = row_cumsum(\(n))"
            default:
                guard let d = column(.dynamic), let s = column(.string) else { continue }
                let (item, count) = (fresh(), fresh())
                if dice.chance(2) {
                    columns.append(Column(name: count, kind: .long))
                    return "mv-apply \(item) = \(d) on (summarize \(count) = countif(isnotnull(\(item))))"
                }
                columns.append(Column(name: item, kind: .string))
                return "mv-apply \(item) = split(\(s), '.') to typeof(string) on (where \(item) != '' | take 2)"
            }
        }
    }

    /// Sorts by every column that can be a key, so that only equal rows tie.
    private mutating func sort() -> String? {
        let keys = columns.filter { $0.kind != .dynamic && $0.kind != .guid }
        guard !keys.isEmpty else { return nil }
        if order != .open, dice.chance(2) {
            order = .sorted
            let key = dice.pick(keys).name
            return "sort by \(key) \(dice.pick(["asc", "desc", "asc nulls last", "desc nulls first"]))"
        }
        if keys.count == columns.count || columns.contains(where: { $0.name == "id" }) && order != .open { order = .sorted }
        let shuffled = keys.shuffled(using: &dice)
        return "sort by " + shuffled.map { "\($0.name) \(dice.pick(["asc", "desc"]))" }.joined(separator: ", ")
    }

    private mutating func summarize() -> String {
        var out: [Column] = []
        var terms: [String] = []
        func add(_ kind: Kind, _ text: String) {
            let name = fresh()
            terms.append("\(name) = \(text)")
            out.append(Column(name: name, kind: kind))
        }
        for _ in 0..<(1 + dice.below(3)) {
            switch dice.below(order == .open ? 9 : 13) {
            case 0: add(.long, "count()")
            case 1: add(.long, "countif(\(condition(1)))")
            case 2: add(.long, "sum(\(scalar(.long, 1)))")
            case 3: add(.long, "dcount(\(scalar(dice.pick([.long, .bool, .string, .datetime]), 1)))")
            case 4, 5:
                let kind: Kind = dice.pick([.long, .real, .datetime, .timespan, .bool, .string])
                add(kind, "\(dice.pick(["min", "max"]))(\(column(kind) ?? literal(kind)))")
            case 6:
                guard let n = column(.long) else { continue }
                add(.long, "percentile(\(n), \(dice.pick(["5", "50", "95", "100", "0"])))")
            case 7: add(.long, "sumif(\(column(.long) ?? "1"), \(condition(1)))")
            case 8: add(.timespan, "sum(\(column(.timespan) ?? "1h"))")
            case 9: add(.dynamic, "make_list(\(column(dice.pick([.long, .string, .bool])) ?? "1"))")
            case 10: add(.dynamic, "make_set(\(column(dice.pick([.long, .string, .dynamic])) ?? "1"), \(1 + dice.below(100)))")
            case 11: add(.string, "arg_max(\(column(dice.pick([.long, .real, .datetime])) ?? "1"), \(column(.string) ?? "'a'"))")
            default: add(.dynamic, "make_list(\(column(.datetime) ?? "now()"), 5)")
            }
        }
        // `x = arg_max(...)` names the value compared; its type is that of the column, so it is not read again.
        let arguments = terms.map { $0.contains("arg_max") ? String($0.drop { $0 != "a" }) : $0 }
        let unread = Set(zip(terms, out).filter { $0.0.contains("arg_max") }.map(\.1.name))
        var keys: [Column] = []
        var by: [String] = []
        for c in columns where keys.count < 3 && c.kind != .dynamic && dice.chance(5) {
            if c.kind == .datetime, dice.chance(2) {
                let name = fresh()
                by.append("\(name) = bin(\(c.name), 1h)")
                keys.append(Column(name: name, kind: .datetime))
            } else {
                by.append(c.name)
                keys.append(c)
            }
        }
        order = .open
        columns = keys + out.filter { !unread.contains($0.name) }
        let list = terms.isEmpty ? "count_ = count()" : arguments.joined(separator: ", ")
        if columns.isEmpty { columns = [Column(name: "count_", kind: .long)] }
        return "summarize \(list)" + (by.isEmpty ? "" : " by \(by.joined(separator: ", "))")
            + (unread.isEmpty ? "" : "\n| project \(columns.map(\.name).joined(separator: ", "))")
    }

    private mutating func join() -> String {
        let names = ["s", "n", "b", "t", "i", "g"].filter { name in columns.contains { $0.name == name } }
        guard !names.isEmpty else { return "where true" }
        let keys = Set((0..<(1 + dice.below(2))).map { _ in dice.pick(names) }).sorted()
        // Which left row of a key innerunique keeps hangs on their order.
        var kinds = ["inner", "leftouter", "rightouter", "fullouter", "leftanti", "rightanti", "leftsemi", "rightsemi"]
        if order == .table { kinds.append("innerunique") }
        let kind = dice.pick(kinds)
        let right =
            "U | project \(keys.joined(separator: ", ")), un = n, us = u"
            + (dice.chance(3) ? " | where \(dice.pick(["un > 0", "us has 'alpha'"]))" : "")
        order = .open
        let added = [Column(name: "un", kind: .long), Column(name: "us", kind: .string)].filter { c in
            !columns.contains { $0.name == c.name }
        }
        guard added.count == 2 else { return "where true" }
        switch kind {
        case "leftanti", "leftsemi": break
        case "rightanti", "rightsemi": columns = columns.filter { keys.contains($0.name) } + added
        default: columns += added
        }
        if kind == "leftouter" || kind == "inner", dice.chance(4) {
            return "lookup kind=\(kind) (\(right)) on \(keys.joined(separator: ", "))"
        }
        return "join kind=\(kind) (\(right)) on \(keys.joined(separator: ", "))"
    }
}
