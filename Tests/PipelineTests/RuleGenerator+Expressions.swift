import Columnar
import KQL
import Tables

extension RuleGenerator {
    static let tableNames = ["AWSCloudTrail", "SigninLogs", "AzureActivity", "Law_CL"]

    /// The columns of a table that generated queries name.
    static func table(_ name: String) -> QueryPiece {
        let people = ["alice", "bob", "Bob", "çelik", "root"]
        let time = QueryColumn(name: "TimeGenerated", type: .datetime)
        func text(_ n: String, _ words: [String]) -> QueryColumn { QueryColumn(name: n, type: .string, words: words) }
        func other(_ n: String) -> QueryColumn { QueryColumn(name: n, type: LogGenerator.catalog.type(of: n, in: name) ?? .dynamic) }
        switch name {
        case "AWSCloudTrail":
            return QueryPiece(
                text: name,
                columns: [
                    time, text("EventName", LogGenerator.events), text("UserIdentityUserName", people),
                    text("SourceIpAddress", LogGenerator.addresses), text("ErrorCode", ["AccessDenied", "17"]), other("ReadOnly"),
                    text("RequestParameters", ["alice", "size"]), text("EventSource", ["iam.amazonaws.com", "s3"]),
                ])
        case "SigninLogs":
            return QueryPiece(
                text: name,
                columns: [
                    time, text("UserPrincipalName", people.map { $0 + "@contoso.example" }), text("IPAddress", LogGenerator.addresses),
                    text("ResultType", LogGenerator.results), text("Location", ["NL", "PA", "Łódź"]),
                    text("AppDisplayName", ["Office", "office"]), other("DurationMs"), other("IsInteractive"),
                    other("LocationDetails"), other("NetworkLocationDetails"),
                    other("ConditionalAccessPolicies"),
                ])
        case "AzureActivity":
            return QueryPiece(
                text: name,
                columns: [
                    time, text("OperationNameValue", LogGenerator.operations), text("Caller", people),
                    text("CallerIpAddress", LogGenerator.addresses), text("ActivityStatusValue", ["Start", "Success", "Failure"]),
                    text("ResourceGroup", ["RG-0", "rg-1"]), other("Authorization_d"), other("Claims_d"),
                ])
        default:
            return QueryPiece(
                text: name,
                columns: LogGenerator.custom.columns.filter { $0.name != "Type" }.map {
                    QueryColumn(
                        name: $0.name, type: $0.type,
                        words: $0.name == "User" ? people : $0.name == "Host" ? ["web-1", "DB 1", "größe"] : [])
                })
        }
    }

    func literal(_ s: String) -> String { "'" + s + "'" }

    mutating func word(_ c: QueryColumn) -> String { literal(c.words.isEmpty ? g.pick(["a", "b", "web", "1"]) : g.pick(c.words)) }

    /// A part of a word that occurs.
    mutating func part(_ c: QueryColumn) -> String {
        let w = Array(c.words.isEmpty ? "abc" : g.pick(c.words))
        guard w.count > 1 else { return literal(String(w)) }
        let from = g.below(w.count - 1)
        return literal(String(w[from..<min(w.count, from + 1 + g.below(4))]))
    }

    mutating func predicate(_ q: QueryPiece, depth: Int) -> String {
        if depth > 0 {
            switch g.below(6) {
            case 0: return "not(" + predicate(q, depth: depth - 1) + ")"
            case 1, 2, 3: return "(" + predicate(q, depth: depth - 1) + " or " + predicate(q, depth: depth - 1) + ")"
            default: return "(" + predicate(q, depth: depth - 1) + " and " + predicate(q, depth: depth - 1) + ")"
            }
        }
        let c = g.pick(q.columns)
        let n = c.name
        let u = scale.suffix
        switch c.type {
        case .string:
            switch g.below(18) {
            case 0, 1: return "\(n) == \(word(c))"
            case 2: return "\(n) =~ \(word(c))"
            case 3: return "\(n) != \(word(c))"
            case 4: return "\(n) \(g.pick(["has", "has_cs", "!has"])) \(word(c))"
            case 5: return "\(n) \(g.pick(["contains", "!contains", "contains_cs"])) \(part(c))"
            case 6: return "\(n) \(g.pick(["startswith", "!startswith", "endswith", "startswith_cs"])) \(part(c))"
            case 7: return "\(n) in (\(word(c)), \(word(c)))"
            case 8: return "\(n) \(g.pick(["in~", "!in", "!in~"])) (\(word(c)), \(word(c)))"
            case 9: return "\(n) matches regex \(literal(g.pick(["^[a-z]+$", "[0-9]{2}", "(?i)bob|write", "^$"])))"
            case 10: return "\(n) has_any (\(word(c)), \(word(c)))"
            case 11: return "isnotempty(\(n))"
            case 12: return "isempty(\(n))"
            case 13: return "strlen(\(n)) \(g.pick([">", "<", "=="])) \(g.below(12))"
            case 14: return "tolower(\(n)) == \(literal("bob"))"
            case 15: return "\(n) !~ \(word(c))"
            case 16: return "iff(isempty(\(n)), 'none', \(n)) == \(g.pick(["'none'", word(c)]))"
            default: return "\(n) has_all (\(word(c)), \(part(c)))"
            }
        case .int, .long, .real:
            switch g.below(7) {
            case 0: return "isnull(\(n))"
            case 1: return "isnotnull(\(n))"
            case 2: return "\(n) in (0, 1, 3)"
            case 3: return "\(n) between (1 .. 3)"
            case 4: return "\(n) \(g.pick(["==", "!="])) \(g.pick(["0", "1", "2.5", "-4"]))"
            default: return "\(n) \(g.pick([">", ">=", "<", "<="])) \(g.pick(["0", "1", "2", "2.5", "-3"]))"
            }
        case .bool:
            return g.pick(["\(n)", "\(n) == true", "\(n) != false", "not(\(n))", "isnull(\(n))", "\(n) == false"])
        case .dynamic:
            switch g.below(9) {
            case 0: return "\(n).k == 'v'"
            case 1: return "tostring(\(n).k) has 'v'"
            case 2: return "\(n).n > 1"
            case 3: return "array_length(\(n)) > \(g.below(2))"
            case 4: return "\(n)[0] == 'a'"
            case 5: return "isnotempty(\(n))"
            case 6: return "\(n) has 'b'"
            case 7: return "tostring(\(n)) contains '\(g.pick(["k", "Owner", "NL", "a"]))'"
            default: return "toint(\(n).n) \(g.pick(["==", "<"])) 2"
            }
        case .datetime:
            if n == "TimeGenerated", g.chance(60) {
                let x = g.pick([1, 3, 10, 30])
                return g.pick([
                    "\(n) > ago(\(x)\(u))", "\(n) >= ago(\(x)\(u))", "\(n) <= ago(\(x)\(u))", "\(n) between (ago(\(2 * x)\(u)) .. now())",
                    "\(n) < now() - \(x)\(u)", "\(n) + \(x)\(u) > now()",
                ])
            }
            return g.pick([
                "isnull(\(n))", "isnotnull(\(n))", "\(n) > datetime(2026-03-02T10:30:00Z)", "hourofday(\(n)) >= 11",
                "\(n) < datetime(2026-03-03)", "\(n) != datetime(2026-03-01)", "datetime_part('minute', \(n)) < 30",
            ])
        case .timespan: return g.pick(["\(n) > 1s", "isnull(\(n))", "\(n) < 1h", "\(n) == 5s"])
        default: return g.pick(["isnull(\(n))", "isnotnull(\(n))", "isnotempty(tostring(\(n)))"])
        }
    }

    mutating func expression(_ q: QueryPiece) -> (name: String, text: String, type: ScalarType, words: [String]) {
        let name = fresh()
        let s = q.of(.string).randomElement(using: &g)
        let number = q.of(.long, .int).randomElement(using: &g)
        let d = q.of(.dynamic).randomElement(using: &g)
        switch g.below(15) {
        case 13: if let s { return (name, "parse_json(\(s.name)).name", .dynamic, []) }
        case 14: if let s { return (name, "column_ifexists('\(g.pick([s.name, "NoSuchColumn"]))', 'none')", .string, s.words) }
        case 0: if let s { return (name, "tolower(\(s.name))", .string, s.words.map { $0.lowercased() }) }
        case 1:
            if let s { return (name, "strcat(\(s.name), '-', \(g.pick(q.columns.filter { $0.type != .dynamic }).name))", .string, s.words) }
        case 2: if let s { return (name, "iff(\(predicate(q, depth: 0)), 'yes', \(s.name))", .string, ["yes"] + s.words) }
        case 3: if let number { return (name, "coalesce(tolong(\(number.name)), long(7))", .long, []) }
        case 4: if let number { return (name, "\(number.name) \(g.pick(["+ 1", "% 3", "* 2", "/ 2"]))", .long, []) }
        case 5: if let d { return (name, "tostring(\(d.name).k)", .string, ["v", "w"]) }
        case 6: if let s { return (name, "tostring(split(\(s.name), '.')[0])", .string, []) }
        case 7: if let s { return (name, "strlen(\(s.name))", .long, []) }
        case 8: if let d { return (name, "\(d.name)[0]", .dynamic, []) }
        case 9: if let t = q.of(.datetime).first { return (name, "bin(\(t.name), 10\(scale.suffix))", .datetime, []) }
        case 10: return (name, "now()", .datetime, [])
        case 11: if let t = q.of(.datetime).first { return (name, "datetime_diff('minute', now(), \(t.name))", .long, []) }
        default: if let s { return (name, "extract('([a-z]+)', 1, \(s.name))", .string, []) }
        }
        return (name, "case(\(predicate(q, depth: 0)), 1, \(predicate(q, depth: 0)), 2, 3)", .long, [])
    }
}
