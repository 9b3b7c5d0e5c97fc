import Columnar
import KQL
import Yams

/// A finding about a rule document: like a query's ``Diagnostic``, but placed by line and column of the file.
public struct RuleFinding: Sendable, Hashable {
    public let severity: Diagnostic.Severity
    /// `VR` and four digits for the document, `VK…` for its query.
    public let code: String
    public let message: String
    public let line: Int
    public let column: Int
    public let mend: String?

    public init(_ severity: Diagnostic.Severity, _ code: String, _ message: String, line: Int, column: Int, mend: String? = nil) {
        self.severity = severity
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.mend = mend
    }
}

/// Decodes one YAML document into a rule, collecting everything that is wrong with it.
struct RuleDecoder {
    private(set) var findings: [RuleFinding] = []
    private let lines: [Substring]

    init(lines: [Substring]) { self.lines = lines }

    private mutating func note(_ severity: Diagnostic.Severity, _ code: String, _ message: String, _ node: Node?, mend: String? = nil) {
        findings.append(
            RuleFinding(severity, code, message, line: node?.mark?.line ?? 1, column: node?.mark?.column ?? 1, mend: mend))
    }

    private mutating func error(_ code: String, _ message: String, _ node: Node?, mend: String? = nil) {
        note(.error, code, message, node, mend: mend)
    }

    private static let known: Set<String> = [
        "id", "name", "description", "severity", "kind", "query", "queryfrequency", "queryperiod", "triggeroperator", "triggerthreshold",
        "starttimeutc", "tactics", "relevanttechniques", "techniques", "subtechniques", "entitymappings", "sentinelentitiesmappings",
        "customdetails", "alertdetailsoverride", "eventgroupingsettings", "incidentconfiguration", "suppressionenabled",
        "suppressionduration", "enabled", "version", "metadata", "tags", "status", "requireddataconnectors", "displayname",
        "alertruletemplatename", "templateversion", "datatypes", "severitysortorder",
    ]

    /// The rule, or nil with at least one error.
    mutating func decode(_ root: Node, file: String) -> AnalyticsRule? {
        guard let map = root.mapping else {
            error("VR0001", "the document is no map of rule fields", root)
            return nil
        }
        var fields: [String: (key: Node, value: Node)] = [:]
        for (key, value) in map {
            guard let name = key.string else { continue }
            let lower = name.lowercased()
            if fields[lower] != nil { error("VR0002", "the field `\(name)` stands twice", key) }
            fields[lower] = (key, value)
            if !RuleDecoder.known.contains(lower) { note(.note, "VR0003", "the field `\(name)` is not known and is ignored", key) }
        }
        func node(_ name: String) -> Node? {
            guard let v = fields[name]?.value else { return nil }
            if case .scalar(let s) = v, s.style == .plain, s.string == "null" || s.string == "~" || s.string.isEmpty { return nil }
            return v
        }
        func text(_ name: String) -> String? { node(name)?.string }

        if fields["properties"] != nil || fields["resources"] != nil {
            error("VR0004", "this is an ARM or REST export, which is not read yet", root, mend: "export the rule as YAML")
            return nil
        }
        let id = text("id") ?? ""
        if id.isEmpty {
            error("VR0010", "`id` is missing", root, mend: "give the rule a GUID")
        } else if !RuleDecoder.isGUID(id) {
            error("VR0011", "`id` is not a GUID: `\(id)`", node("id"), mend: "write it as 8-4-4-4-12 hexadecimal digits")
        }
        let name = (text("name") ?? text("displayname")) ?? ""
        if name.isEmpty { error("VR0012", "`name` is missing", root) }
        if name.count > 256 { error("VR0013", "`name` has \(name.count) characters; the limit is 256", node("name")) }
        let query = text("query") ?? ""
        if query.isEmpty { error("VR0014", "`query` is missing", root) }
        if query.count > 10_000 { error("VR0015", "`query` has \(query.count) characters; the limit is 10,000", node("query")) }

        var kind = AnalyticsRule.Kind.scheduled
        if let k = text("kind") {
            switch k.lowercased() {
            case "scheduled": kind = .scheduled
            case "nrt": kind = .nrt
            default: error("VR0016", "`kind` is `\(k)`", node("kind"), mend: "Scheduled and NRT can be run")
            }
        }
        var frequency = KustoTime.ticksPerMinute
        var period = KustoTime.ticksPerMinute
        if kind == .scheduled {
            frequency = duration("queryFrequency", node("queryfrequency"), root)
            period = duration("queryPeriod", node("queryperiod"), root)
            if period < frequency {
                error(
                    "VR0021", "`queryPeriod` is shorter than `queryFrequency`", node("queryperiod"),
                    mend: "rows between two runs would never be seen")
            }
            if period >= 2 * KustoTime.ticksPerDay, frequency < KustoTime.ticksPerHour {
                error("VR0022", "with a `queryPeriod` of 2 days or more, `queryFrequency` must be 1 hour or more", node("queryfrequency"))
            }
        } else {
            for n in ["queryfrequency", "queryperiod", "triggeroperator", "triggerthreshold"] where fields[n] != nil {
                note(.warning, "VR0023", "NRT rules have no `\(fields[n]?.key.string ?? n)`; it is ignored", fields[n]?.key)
            }
        }
        var rule = AnalyticsRule(id: id, name: name, query: query, queryFrequency: frequency, queryPeriod: period)
        rule.kind = kind
        rule.file = file
        rule.description = RuleDecoder.unquoted(text("description") ?? "")
        if rule.description.count > 5000 { error("VR0017", "`description` has more than 5,000 characters", node("description")) }
        if let s = text("severity") {
            if let v = AnalyticsRule.Severity.allCases.first(where: { $0.rawValue.lowercased() == s.lowercased() }) {
                rule.severity = v
            } else {
                error("VR0018", "`severity` is `\(s)`", node("severity"), mend: "it is Informational, Low, Medium or High")
            }
        } else {
            error("VR0019", "`severity` is missing", root, mend: "it is Informational, Low, Medium or High")
        }
        if kind == .scheduled { trigger(&rule, node("triggeroperator"), node("triggerthreshold")) }
        if let start = node("starttimeutc") {
            if let t = KustoTime.parseISO(start.string ?? "") {
                rule.startTime = t
            } else {
                error("VR0024", "`startTimeUtc` is no time", start)
            }
        }
        attack(&rule, node("tactics"), [node("relevanttechniques"), node("techniques"), node("subtechniques")])
        entities(&rule, node("entitymappings"), node("sentinelentitiesmappings"))
        details(&rule, node("customdetails"))
        overrides(&rule, node("alertdetailsoverride"))
        if let grouping = node("eventgroupingsettings")?.mapping, let g = RuleDecoder.field(grouping, "aggregationKind") {
            switch (g.string ?? "").lowercased() {
            case "singlealert": rule.grouping = .singleAlert
            case "alertperresult": rule.grouping = .alertPerResult
            default: error("VR0050", "`aggregationKind` is `\(g.string ?? "")`", g, mend: "it is SingleAlert or AlertPerResult")
            }
        }
        if let on = node("suppressionenabled"), RuleDecoder.isTrue(on) {
            rule.suppression = duration("suppressionDuration", node("suppressionduration"), root)
        }
        if let e = node("enabled") { rule.isEnabled = RuleDecoder.isTrue(e) }
        rule.version = text("version")
        if let v = rule.version, v.count > 20 || !v.allSatisfy({ $0.isNumber || $0 == "." }) {
            note(.warning, "VR0051", "`version` is not of the form a.b.c", node("version"))
        }
        place(&rule, node("query"))
        return findings.contains { $0.severity == .error } ? nil : rule
    }

    /// Finds where the query's first character stands in the file, so that its diagnostics point there.
    private func place(_ rule: inout AnalyticsRule, _ query: Node?) {
        guard case .scalar(let s)? = query, let mark = s.mark else { return }
        rule.queryLine = mark.line
        rule.queryColumn = mark.column
        guard s.style == .literal || s.style == .folded else {
            if s.style == .singleQuoted || s.style == .doubleQuoted { rule.queryColumn += 1 }
            return
        }
        // The text of a block begins on the next line that is not blank; its indentation is that of this line.
        var line = mark.line
        while line < lines.count {
            let text = lines[line]
            let indent = text.prefix { $0 == " " }.count
            if indent < text.count, !text.allSatisfy({ $0 == " " || $0 == "\r" }) {
                rule.queryLine = line + 1
                rule.queryColumn = indent + 1
                return
            }
            line += 1
        }
    }

    private mutating func duration(_ name: String, _ node: Node?, _ root: Node) -> Int64 {
        guard let node, let text = node.string else {
            error("VR0020", "`\(name)` is missing", root, mend: "write a duration such as 5m, 1h or 14d")
            return KustoTime.ticksPerHour
        }
        guard let ticks = RuleDurations.parse(text) else {
            error("VR0025", "`\(name)` is no duration: `\(text)`", node, mend: "write 5m, 1h, 14d, 01:00:00 or PT1H")
            return KustoTime.ticksPerHour
        }
        if ticks < 5 * KustoTime.ticksPerMinute || ticks > 14 * KustoTime.ticksPerDay, name != "suppressionDuration" {
            error("VR0026", "`\(name)` is \(text); it must be from 5 minutes to 14 days", node)
        }
        return max(ticks, KustoTime.ticksPerMinute)
    }

    private mutating func trigger(_ rule: inout AnalyticsRule, _ op: Node?, _ threshold: Node?) {
        switch (op?.string ?? "gt").lowercased() {
        case "gt", "greaterthan": rule.triggerOperator = .greaterThan
        case "lt", "lessthan": rule.triggerOperator = .lessThan
        case "eq", "equal": rule.triggerOperator = .equal
        case "ne", "notequal": rule.triggerOperator = .notEqual
        default: error("VR0027", "`triggerOperator` is `\(op?.string ?? "")`", op, mend: "it is gt, lt, eq or ne")
        }
        guard let threshold else { return }
        if let n = Int(threshold.string ?? ""), (0...10_000).contains(n) {
            rule.triggerThreshold = n
        } else {
            error("VR0028", "`triggerThreshold` is no whole number from 0 to 10,000", threshold)
        }
    }

    private mutating func attack(_ rule: inout AnalyticsRule, _ tactics: Node?, _ techniques: [Node?]) {
        var listed: [Tactic] = []
        for t in RuleDecoder.items(tactics) {
            guard let text = t.string else { continue }
            if let tactic = Tactic(name: text) {
                listed.append(tactic)
                if !rule.tactics.contains(tactic.rawValue) { rule.tactics.append(tactic.rawValue) }
            } else {
                error(
                    "VR0030", "`\(text)` is no ATT&CK tactic", t,
                    mend: Suggestions.nearest(text, in: Tactic.allCases.map(\.rawValue)).map { "did you mean `\($0)`?" })
            }
        }
        for t in techniques.flatMap({ RuleDecoder.items($0) }) {
            guard let text = t.string else { continue }
            guard AttackCatalog.isWellFormed(text) else {
                error("VR0031", "`\(text)` is no technique id", t, mend: "write T1098 or T1098.001")
                continue
            }
            switch AttackCatalog.resolve(text) {
            case .current(let technique):
                accept(technique, listed, t, &rule)
            case .replaced(let technique, let old):
                // Sentinel still speaks version 18.1: its ids are kept; those that were revoked before are mapped.
                if old.formerTactics.isEmpty {
                    note(.warning, "VR0034", "\(old.id) is revoked; it is now \(technique.id)", t)
                    accept(technique, listed, t, &rule)
                } else {
                    accept(old, listed, t, &rule)
                }
            case .deprecated(let technique):
                note(.warning, "VR0035", "\(technique.id) is deprecated", t)
                append(technique.id, &rule)
            case .unknown:
                error(
                    "VR0032", "ATT&CK has no technique \(text)", t,
                    mend: Suggestions.nearest(text, in: AttackCatalog.identifiers).map { "did you mean \($0)?" })
            }
        }
        // A parent that is only there because a sub-technique is says nothing more.
        let parents = Set(rule.techniques.compactMap { $0.contains(".") ? String($0.prefix { $0 != "." }) : nil })
        if techniques.count > 2, techniques[2] != nil { rule.techniques.removeAll { parents.contains($0) } }
    }

    private mutating func accept(_ technique: Technique, _ listed: [Tactic], _ node: Node, _ rule: inout AnalyticsRule) {
        append(technique.id, &rule)
        if !listed.isEmpty, !listed.contains(where: { technique.serves($0) }) {
            note(.warning, "VR0033", "\(technique.id) serves none of the rule's tactics", node)
        }
    }

    private func append(_ id: String, _ rule: inout AnalyticsRule) { if !rule.techniques.contains(id) { rule.techniques.append(id) } }

    private mutating func entities(_ rule: inout AnalyticsRule, _ mappings: Node?, _ arrays: Node?) {
        let list = RuleDecoder.items(mappings)
        if list.count > 10 { error("VR0040", "\(list.count) entity mappings; the limit is 10", mappings) }
        for m in list {
            guard let map = m.mapping, let typeNode = RuleDecoder.field(map, "entityType"), let type = typeNode.string else {
                error("VR0041", "an entity mapping needs `entityType` and `fieldMappings`", m)
                continue
            }
            guard let entity = EntityCatalog.type(type) else {
                error(
                    "VR0042", "`\(type)` is no entity type", typeNode,
                    mend: Suggestions.nearest(type, in: EntityCatalog.names).map { "did you mean `\($0)`?" })
                continue
            }
            var fields: [AnalyticsRule.FieldMapping] = []
            for f in RuleDecoder.items(RuleDecoder.field(map, "fieldMappings")) {
                guard let field = f.mapping, let idNode = RuleDecoder.field(field, "identifier"), let identifier = idNode.string,
                    let columnNode = RuleDecoder.field(field, "columnName"), let column = columnNode.string
                else {
                    error("VR0043", "a field mapping needs `identifier` and `columnName`", f)
                    continue
                }
                let canonical = entity.identifiers.first { $0.lowercased() == identifier.lowercased() }
                if canonical == nil {
                    note(
                        .warning, "VR0044", "`\(identifier)` is no identifier of \(entity.name)", idNode,
                        mend: "it takes " + entity.identifiers.joined(separator: ", "))
                }
                if !RuleDecoder.isColumnName(column) { error("VR0045", "`\(column)` is no column name", columnNode) }
                if fields.contains(where: { $0.identifier == canonical ?? identifier }) {
                    error("VR0046", "`\(identifier)` stands twice in one mapping", idNode)
                }
                fields.append(AnalyticsRule.FieldMapping(identifier: canonical ?? identifier, columnName: column))
            }
            if fields.isEmpty || fields.count > 3 { error("VR0047", "a mapping has 1 to 3 field mappings, this one \(fields.count)", m) }
            rule.entityMappings.append(AnalyticsRule.EntityMapping(entityType: entity.name, fields: fields))
        }
        for a in RuleDecoder.items(arrays) {
            if let map = a.mapping, let c = RuleDecoder.field(map, "columnName")?.string { rule.sentinelEntityColumns.append(c) }
        }
    }

    private mutating func details(_ rule: inout AnalyticsRule, _ node: Node?) {
        guard let node else { return }
        guard let map = node.mapping else { return error("VR0060", "`customDetails` is a map of names to columns", node) }
        if map.count > 20 { error("VR0061", "\(map.count) custom details; the limit is 20", node) }
        for (key, value) in map {
            guard let name = key.string, let column = value.string else { continue }
            if name.count > 20 || !RuleDecoder.isColumnName(name) || name.hasPrefix("_") {
                error(
                    "VR0062", "`\(name)` cannot name a custom detail", key,
                    mend: "a letter, then letters, digits or _, 20 characters at most")
            }
            if !RuleDecoder.isColumnName(column) { error("VR0045", "`\(column)` is no column name", value) }
            rule.customDetails.append(AnalyticsRule.FieldMapping(identifier: name, columnName: column))
        }
    }

    private mutating func overrides(_ rule: inout AnalyticsRule, _ node: Node?) {
        guard let node else { return }
        guard let map = node.mapping else { return error("VR0070", "`alertDetailsOverride` is a map", node) }
        var o = AnalyticsRule.DetailsOverride()
        for (key, value) in map {
            switch (key.string ?? "").lowercased() {
            case "alertdisplaynameformat": o.displayNameFormat = format(value, limit: 256)
            case "alertdescriptionformat": o.descriptionFormat = format(value, limit: 5000)
            case "alertseveritycolumnname": o.severityColumn = value.string
            case "alerttacticscolumnname": o.tacticsColumn = value.string
            case "alertdynamicproperties":
                for p in RuleDecoder.items(value) {
                    guard let m = p.mapping, let property = RuleDecoder.field(m, "alertProperty")?.string,
                        let column = RuleDecoder.field(m, "value")?.string
                    else {
                        error("VR0071", "a dynamic property needs `alertProperty` and `value`", p)
                        continue
                    }
                    o.dynamicProperties.append(AnalyticsRule.FieldMapping(identifier: property, columnName: column))
                }
            default: note(.warning, "VR0072", "`\(key.string ?? "")` is no override and is ignored", key)
            }
        }
        rule.detailsOverride = o
    }

    private mutating func format(_ node: Node, limit: Int) -> String? {
        guard let text = node.string else { return nil }
        if text.count > limit { error("VR0073", "the format has more than \(limit) characters", node) }
        var placeholders = 0
        var rest = text[...]
        while let start = rest.firstRange(of: "{{") {
            placeholders += 1
            rest = rest[start.upperBound...]
        }
        if placeholders > 3 { error("VR0074", "the format has \(placeholders) placeholders; the limit is 3", node) }
        return text
    }

    // MARK: Nodes

    private static func items(_ node: Node?) -> [Node] {
        guard let node else { return [] }
        if let list = node.sequence { return Array(list) }
        if case .scalar(let s) = node, s.string.isEmpty || s.string == "[]" { return [] }
        return [node]
    }

    private static func field(_ map: Node.Mapping, _ name: String) -> Node? {
        for (k, v) in map where k.string?.lowercased() == name.lowercased() { return v }
        return nil
    }

    private static func isTrue(_ node: Node) -> Bool { ["true", "yes", "on"].contains((node.string ?? "").lowercased()) }

    private static func isColumnName(_ s: String) -> Bool {
        guard let first = s.first, first.isLetter || first == "_", s.count <= 500 else { return false }
        return s.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
    }

    private static func isGUID(_ s: String) -> Bool {
        let parts = s.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.allSatisfy(\.isHexDigit) }
    }

    /// Official files wrap descriptions in single quotes inside a block: one pair is taken off.
    private static func unquoted(_ s: String) -> String {
        var t = s
        while let l = t.last, l.isNewline || l == " " { t.removeLast() }
        if t.count >= 2, t.first == "'", t.last == "'" { t = String(t.dropFirst().dropLast()) }
        return t
    }
}

/// Durations in the three spellings of rule files: `5m`, `1.02:00:00`, `P1DT2H`.
public enum RuleDurations {
    /// Ticks; nil for anything else.
    public static func parse(_ text: String) -> Int64? {
        let t = text.filter { $0 != " " }
        guard let first = t.first else { return nil }
        if first == "P" || first == "p" { return iso(t.uppercased().dropFirst()) }
        if t.contains(":") || t.allSatisfy(\.isNumber) { return KustoTime.parseTimespan(t).flatMap { $0 > 0 ? $0 : nil } }
        guard let n = Int64(t.dropLast()), n > 0, n < 1_000_000, let unit = t.last.flatMap({ units[$0] }) else { return nil }
        return n * unit
    }

    private static let units: [Character: Int64] = [
        "s": KustoTime.ticksPerSecond, "m": KustoTime.ticksPerMinute, "h": KustoTime.ticksPerHour, "d": KustoTime.ticksPerDay,
    ]

    private static func iso(_ text: Substring) -> Int64? {
        var total: Int64 = 0
        var inTime = false
        var digits = ""
        for c in text {
            if c.isNumber {
                digits.append(c)
                if digits.count > 6 { return nil }
                continue
            }
            if c == "T", digits.isEmpty {
                inTime = true
                continue
            }
            guard let n = Int64(digits) else { return nil }
            digits = ""
            switch (c, inTime) {
            case ("W", false): total += n * 7 * KustoTime.ticksPerDay
            case ("D", false): total += n * KustoTime.ticksPerDay
            case ("H", true): total += n * KustoTime.ticksPerHour
            case ("M", true): total += n * KustoTime.ticksPerMinute
            case ("S", true): total += n * KustoTime.ticksPerSecond
            default: return nil
            }
        }
        return digits.isEmpty && total > 0 ? total : nil
    }
}
