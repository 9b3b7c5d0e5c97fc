import Columnar
import KQL
import Yams

/// A finding about a rule document: like a query's `Diagnostic`, but placed by line and column of the file.
public struct RuleFinding: Sendable, Hashable {
    public let severity: Diagnostic.Severity
    /// `VR` and four digits for the document, `VK…` for its query.
    public let code: String
    public let message: String
    public let line: Int
    public let column: Int
    public let mend: String?
    /// Line and column behind the last character that is meant; nil where only the start is known.
    public let end: SourceText.Position?
    /// The file that is meant where it is not the rule's own: a saved function's; nil otherwise.
    public let file: String?
    /// The text of that file, for excerpts.
    public let text: String?

    public init(
        _ severity: Diagnostic.Severity, _ code: String, _ message: String, line: Int, column: Int, mend: String? = nil,
        end: SourceText.Position? = nil, file: String? = nil, text: String? = nil
    ) {
        self.severity = severity
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.mend = mend
        self.end = end
        self.file = file
        self.text = text
    }
}

/// The lines of a text by number, from 0, as bytes: Swift takes CR LF for one character, which is no line feed.
struct TextLines {
    private let bytes: [UInt8]
    /// Where lines begin, and one behind the end of the text.
    private let starts: [Int]

    init(_ text: String) {
        bytes = Array(text.utf8)
        var starts = [0]
        for (i, byte) in bytes.enumerated() where byte == 0x0A { starts.append(i + 1) }
        starts.append(bytes.count + 1)
        self.starts = starts
    }

    var count: Int { starts.count - 1 }
    subscript(line: Int) -> ArraySlice<UInt8> { bytes[starts[line]..<(starts[line + 1] - 1)] }
}

/// Decodes one YAML document into a rule, collecting everything that is wrong with it.
struct RuleDecoder {
    private(set) var findings: [RuleFinding] = []
    /// The rule as far as it could be read; nil if it has no query.
    private(set) var draft: AnalyticsRule?
    private let lines: TextLines

    init(lines: TextLines) { self.lines = lines }

    mutating func note(_ severity: Diagnostic.Severity, _ code: String, _ message: String, _ node: Node?, mend: String? = nil) {
        findings.append(
            RuleFinding(severity, code, message, line: node?.mark?.line ?? 1, column: node?.mark?.column ?? 1, mend: mend))
    }

    mutating func error(_ code: String, _ message: String, _ node: Node?, mend: String? = nil) {
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
        // Lengths count UTF-16 units, as Sentinel's validation does.
        if name.utf16.count > 256 {
            error("VR0013", "`name` has \(name.utf16.count) characters; the limit is 256", node("name") ?? node("displayname"))
        }
        let query = text("query") ?? ""
        if query.isEmpty { error("VR0014", "`query` is missing", root) }
        if query.utf16.count > 10_000 {
            error("VR0015", "`query` has \(query.utf16.count) characters; the limit is 10,000", node("query"))
        }

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
        if rule.description.isEmpty {
            note(.note, "VR0052", "`description` is missing", root, mend: "say what the rule finds and why it matters")
        }
        if rule.description.utf16.count > 5000 {
            error("VR0017", "`description` has more than 5,000 characters", node("description"))
        }
        if let s = text("severity") {
            if let v = AnalyticsRule.Severity.allCases.first(where: { $0.rawValue.lowercased() == s.lowercased() }) {
                rule.severity = v
            } else {
                error("VR0018", "`severity` is `\(s)`", node("severity"), mend: "it is Informational, Low, Medium or High")
            }
        } else {
            error("VR0019", "`severity` is missing", root, mend: "it is Informational, Low, Medium or High")
        }
        if kind == .scheduled { trigger(&rule, node("triggeroperator"), node("triggerthreshold"), root) }
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
        incidents(rule, node("incidentconfiguration"))
        if let grouping = node("eventgroupingsettings") {
            let kind = grouping.mapping.flatMap { RuleDecoder.field($0, "aggregationKind") }
            switch (kind?.string ?? "").lowercased() {
            case "singlealert": rule.grouping = .singleAlert
            case "alertperresult": rule.grouping = .alertPerResult
            case "" where kind == nil:
                note(.warning, "VR0054", "`eventGroupingSettings` has no `aggregationKind`; SingleAlert is taken", grouping)
            default: error("VR0050", "`aggregationKind` is `\(kind?.string ?? "")`", kind, mend: "it is SingleAlert or AlertPerResult")
            }
        }
        suppression(&rule, node("suppressionenabled"), node("suppressionduration"), root)
        if let e = node("enabled") { rule.isEnabled = flag("enabled", e, fallback: true) }
        rule.version = text("version")
        if let v = rule.version, v.count > 20 || !v.allSatisfy({ $0.isNumber || $0 == "." }) {
            note(.warning, "VR0051", "`version` is not of the form a.b.c", node("version"))
        }
        place(&rule, node("query"))
        scope(rule)
        if !query.isEmpty { draft = rule }
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
            let indent = text.prefix { $0 == 0x20 }.count
            if !text.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) {
                rule.queryLine = line + 1
                rule.queryColumn = indent + 1
                return
            }
            line += 1
        }
    }

    /// A duration in ticks; an hour where it is missing or unreadable, which is reported.
    private mutating func duration(_ name: String, _ node: Node?, _ root: Node) -> Int64 {
        guard let node, let text = node.string else {
            error("VR0020", "`\(name)` is missing", root, mend: "write a duration such as 5m, 1h or 14d")
            return KustoTime.ticksPerHour
        }
        guard let ticks = RuleDurations.parse(text) else {
            error("VR0025", "`\(name)` is no duration: `\(text)`", node, mend: "write 5m, 1h, 14d, 01:00:00 or PT1H")
            return KustoTime.ticksPerHour
        }
        if RuleDurations.isBareNumber(text) {
            note(.warning, "VR0056", "`\(name)` is a bare number, which means \(text) days", node, mend: "write the unit: \(text)d")
        }
        if name != "suppressionDuration", ticks < 5 * KustoTime.ticksPerMinute || ticks > 14 * KustoTime.ticksPerDay {
            error("VR0026", "`\(name)` is \(text); it must be from 5 minutes to 14 days", node)
        }
        return max(ticks, KustoTime.ticksPerMinute)
    }

    /// Suppression holds for 5 minutes to 24 hours. Where it is off, a wrong duration does no harm.
    private mutating func suppression(_ rule: inout AnalyticsRule, _ enabled: Node?, _ length: Node?, _ root: Node) {
        guard let enabled, flag("suppressionEnabled", enabled) else {
            if let length, RuleDurations.parse(length.string ?? "") == nil {
                note(.warning, "VR0053", "`suppressionDuration` is no duration; suppression is off", length)
            }
            return
        }
        let before = findings.count
        let ticks = duration("suppressionDuration", length, root)
        rule.suppression = ticks
        if findings.count == before, ticks < 5 * KustoTime.ticksPerMinute || ticks > KustoTime.ticksPerDay {
            error("VR0053", "`suppressionDuration` is \(length?.string ?? ""); it must be from 5 minutes to 24 hours", length)
        }
    }

    /// Queries over every table are not allowed in rules: `search *`, `union *`.
    private mutating func scope(_ rule: AnalyticsRule) {
        let bytes = Array(rule.query.utf8)
        // Most queries have no star at all.
        guard bytes.contains(0x2A) else { return }
        let tokens = SyntaxTree.parse(rule.query).tokens
        func word(_ i: Int) -> String {
            guard tokens.indices.contains(i), tokens[i].range.upper <= bytes.count, tokens[i].kind != .string else { return "" }
            return String(decoding: bytes[tokens[i].range.lower..<tokens[i].range.upper], as: UTF8.self)
        }
        for i in tokens.indices where word(i) == "search" || word(i) == "union" {
            // Only where an operator may begin: elsewhere it is a name, and the star multiplies.
            guard i == 0 || ["|", ";", "(", "{"].contains(word(i - 1)) || (word(i - 1) == "=" && word(i - 3) == "let") else { continue }
            var next = i + 1
            while tokens.indices.contains(next), tokens[next].kind == .identifier, word(next + 1) == "=" { next += 3 }
            guard word(next) == "*", !(next + 1 < tokens.count && isTight(tokens[next + 1], tokens[next])) else { continue }
            let place = SourceText(rule.query).position(at: tokens[i].range.lower)
            findings.append(
                RuleFinding(
                    .error, "VR0057", "`\(word(i)) *` reads every table, which rules may not", line: rule.queryLine + place.line - 1,
                    column: rule.queryColumn + place.column - 1, mend: "name the tables"))
        }
    }

    /// Whether a name goes on right after the star: `union *Events` is a pattern.
    private func isTight(_ token: Token, _ before: Token) -> Bool {
        token.kind == .identifier && token.triviaStart == token.range.lower && token.range.lower == before.range.upper
    }

    private mutating func trigger(_ rule: inout AnalyticsRule, _ op: Node?, _ threshold: Node?, _ root: Node) {
        if let op {
            switch (op.string ?? "").lowercased() {
            case "gt", "greaterthan": rule.triggerOperator = .greaterThan
            case "lt", "lessthan": rule.triggerOperator = .lessThan
            case "eq", "equal": rule.triggerOperator = .equal
            case "ne", "notequal": rule.triggerOperator = .notEqual
            default: error("VR0027", "`triggerOperator` is `\(op.string ?? "")`", op, mend: "it is gt, lt, eq or ne")
            }
        } else {
            error("VR0029", "`triggerOperator` is missing", root, mend: "write gt with a triggerThreshold of 0 to alert on any row")
        }
        guard let threshold else {
            error("VR0029", "`triggerThreshold` is missing", root, mend: "write 0 with a triggerOperator of gt to alert on any row")
            return
        }
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
        if listed.isEmpty, !rule.techniques.isEmpty {
            note(.note, "VR0036", "the rule lists techniques and no tactic", techniques.first { $0 != nil } ?? nil)
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

    // MARK: Nodes

    static func items(_ node: Node?) -> [Node] {
        guard let node else { return [] }
        if let list = node.sequence { return Array(list) }
        if case .scalar(let s) = node, s.string.isEmpty || s.string == "[]" { return [] }
        return [node]
    }

    static func field(_ map: Node.Mapping, _ name: String) -> Node? {
        for (k, v) in map where k.string?.lowercased() == name.lowercased() { return v }
        return nil
    }

    /// A switch; anything but true and false is an error and counts as `fallback`.
    mutating func flag(_ name: String, _ node: Node, fallback: Bool = false) -> Bool {
        switch (node.string ?? "").lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default:
            error("VR0055", "`\(name)` is neither true nor false", node)
            return fallback
        }
    }

    static func isColumnName(_ s: String) -> Bool {
        guard let first = s.unicodeScalars.first, first == "_" || (first.isASCII && first.properties.isAlphabetic), s.utf16.count <= 500
        else { return false }
        return s.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
    }

    private static func isGUID(_ s: String) -> Bool {
        guard s.utf8.count == 36 else { return false }
        return s.utf8.enumerated().allSatisfy { i, c in
            if [8, 13, 18, 23].contains(i) { return c == 0x2D }
            return (0x30...0x39).contains(c) || (0x41...0x46).contains(c & 0xDF)
        }
    }

    /// Official files wrap descriptions in single quotes inside a block: one pair is taken off.
    private static func unquoted(_ s: String) -> String {
        var t = s
        while let l = t.last, l.isNewline || l == " " { t.removeLast() }
        if t.count >= 2, t.first == "'", t.last == "'" { t = String(t.dropFirst().dropLast()) }
        return t
    }
}
