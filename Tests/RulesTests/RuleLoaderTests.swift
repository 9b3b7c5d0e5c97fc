import Foundation
import Rules
import Testing

/// A rule with every part that a test may want to change.
private let base = """
    id: 19bb731e-bbe8-472d-a589-71197cc3ab10
    name: A rule
    description: |
      'Something happened.'
    severity: Medium
    queryFrequency: 15m
    queryPeriod: 1h
    triggerOperator: gt
    triggerThreshold: 0
    tactics:
      - CredentialAccess
    relevantTechniques:
      - T1110.003
    query: |
      SigninLogs
      | where ResultType == 0
    entityMappings:
      - entityType: IP
        fieldMappings:
          - identifier: Address
            columnName: IPAddress
    version: 1.0.0
    kind: Scheduled

    """

private func decode(_ text: String) -> LoadedRule? { RuleLoader.decode(text, file: "R.yaml").first }

/// The base with a piece replaced.
private func changed(_ old: String, _ new: String) -> String { base.replacingOccurrences(of: old, with: new) }

private func incident(_ grouping: String) -> String {
    "incidentConfiguration: { createIncident: true, groupingConfiguration: { enabled: true, \(grouping) } }"
}

private func codes(_ rule: LoadedRule?) -> [String] { rule?.findings.map(\.code) ?? ["none"] }

@Suite struct RuleDocumentTests {
    @Test func readsEveryField() throws {
        let text =
            base + """
                customDetails:
                  Users: UserCount
                  Codes: ResultCodes
                alertDetailsOverride:
                  alertDisplayNameFormat: "Seen from {{IPAddress}}"
                  alertDescriptionFormat: "{{A}} and {{B}}"
                  alertSeverityColumnName: Sev
                  alertTacticsColumnName: Tac
                  alertDynamicProperties:
                    - alertProperty: AlertLink
                      value: Link
                eventGroupingSettings:
                  aggregationKind: AlertPerResult
                suppressionEnabled: true
                suppressionDuration: PT5H
                enabled: false
                sentinelEntitiesMappings:
                  - columnName: Entities
                startTimeUtc: 2026-01-02T03:04:05Z
                tags:
                  - SchemaVersion: 0.1.0
                metadata: { author: { name: x } }
                """
        let loaded = try #require(decode(text))
        #expect(loaded.findings.isEmpty)
        let rule = try #require(loaded.rule)
        #expect(
            rule.id == "19bb731e-bbe8-472d-a589-71197cc3ab10" && rule.name == "A rule" && rule.file == "R.yaml" && rule.version == "1.0.0")
        #expect(rule.description == "Something happened.")
        #expect(rule.severity == .medium && rule.kind == .scheduled && !rule.isEnabled && rule.grouping == .alertPerResult)
        #expect(rule.queryFrequency == 15 * 600_000_000 && rule.queryPeriod == 36_000_000_000 && rule.suppression == 5 * 36_000_000_000)
        #expect(rule.triggerOperator == .greaterThan && rule.triggerThreshold == 0)
        #expect(rule.tactics == ["CredentialAccess"] && rule.techniques == ["T1110.003"])
        #expect(rule.query == "SigninLogs\n| where ResultType == 0\n")
        #expect(rule.entityMappings == [.init(entityType: "IP", fields: [.init(identifier: "Address", columnName: "IPAddress")])])
        #expect(rule.sentinelEntityColumns == ["Entities"])
        #expect(
            rule.customDetails.map(\.identifier) == ["Users", "Codes"]
                && rule.customDetails.map(\.columnName) == ["UserCount", "ResultCodes"])
        let details = try #require(rule.detailsOverride)
        #expect(details.displayNameFormat == "Seen from {{IPAddress}}" && details.descriptionFormat == "{{A}} and {{B}}")
        #expect(details.severityColumn == "Sev" && details.tacticsColumn == "Tac")
        #expect(details.dynamicProperties == [.init(identifier: "AlertLink", columnName: "Link")])
        #expect(rule.startTime != nil)
        #expect(rule.queryLine == 15 && rule.queryColumn == 3)
    }

    /// A change to the base, and the findings that it must give.
    @Test(
        arguments: [
            ("kind: Scheduled", "kind: scheduled", []), ("kind: Scheduled\n", "\n", []), ("severity: Medium", "severity: HIGH", []),
            ("kind: Scheduled", "kind: Fusion", ["VR0016"]), ("severity: Medium", "severity: Urgent", ["VR0018"]),
            ("severity: Medium\n", "", ["VR0019"]),
            ("id: 19bb731e-bbe8-472d-a589-71197cc3ab10\n", "", ["VR0010"]), ("id: 19bb731e-", "id: x-", ["VR0011"]),
            ("name: A rule\n", "", ["VR0012"]),
            ("queryFrequency: 15m\n", "", ["VR0020"]), ("queryFrequency: 15m", "queryFrequency: soon", ["VR0025"]),
            ("queryFrequency: 15m", "queryFrequency: 1m", ["VR0026"]),
            ("queryPeriod: 1h", "queryPeriod: 15d", ["VR0022", "VR0026"]), ("queryPeriod: 1h", "queryPeriod: 10m", ["VR0021"]),
            ("queryPeriod: 1h", "queryPeriod: 2d", ["VR0022"]),
            ("queryFrequency: 15m", "queryFrequency: 00:15:00", []), ("queryPeriod: 1h", "queryPeriod: PT1H", []),
            ("triggerOperator: gt", "triggerOperator: GreaterThan", []), ("triggerOperator: gt", "triggerOperator: above", ["VR0027"]),
            ("triggerThreshold: 0", "triggerThreshold: -1", ["VR0028"]), ("triggerThreshold: 0", "triggerThreshold: 10001", ["VR0028"]),
            ("triggerThreshold: 0", "triggerThreshold: many", ["VR0028"]), ("triggerThreshold: 0\n", "", ["VR0029"]),
            ("triggerOperator: gt\n", "", ["VR0029"]), ("triggerThreshold: 0", "triggerThreshold: null", ["VR0029"]),
            ("triggerThreshold: 0", "triggerThreshold: 1.5", ["VR0028"]), ("triggerThreshold: 0", "triggerThreshold: 10000", []),
            ("queryPeriod: 1h", "queryPeriod: 1", ["VR0056"]), ("queryFrequency: 15m", "queryFrequency: 5m", []),
            ("queryFrequency: 15m", "queryFrequency: 4m", ["VR0026"]), ("queryPeriod: 1h", "queryPeriod: PT1H30M", []),
            ("queryPeriod: 1h", "queryPeriod: P999999W999999W", ["VR0025"]),
            ("queryPeriod: 1h", "queryPeriod: 10675199.23:59:59", ["VR0025"]),
            ("queryFrequency: 15m\nqueryPeriod: 1h", "queryFrequency: 14d\nqueryPeriod: P14D", []),
            ("- CredentialAccess", "- CommandandControl\n  - CredentialAccess", []),
            ("- CredentialAccess", "- Sorcery\n  - CredentialAccess", ["VR0030"]),
            ("T1110.003", "T1110.3", ["VR0031"]), ("T1110.003", "T9999", ["VR0032"]), ("T1110.003", "T1485", ["VR0033"]),
            ("T1110.003", "T1026", ["VR0035"]),
            ("entityType: IP", "entityType: Ip", []), ("entityType: IP", "entityType: Address", ["VR0042"]),
            ("identifier: Address", "identifier: address", []),
            ("identifier: Address", "identifier: AddressScope", ["VR0048"]),
            ("entityType: IP", "entityType: URL", ["VR0044"]), ("- entityType: IP\n    fieldMappings:", "- fieldMappings:", ["VR0041"]),
            ("columnName: IPAddress", "columnName: IPAddress\n      - identifier: Address\n        columnName: Other", ["VR0046"]),
            ("columnName: IPAddress", "columnName: \(String(repeating: "c", count: 501))", ["VR0045"]),
            ("columnName: IPAddress", "columnName: 1IP", ["VR0045"]), ("columnName: IPAddress", "columnName: éIP", ["VR0045"]),
            ("version: 1.0.0", "sentinelEntitiesMappings: [ { columnName: E }, { column: F } ]", ["VR0043"]),
            (
                "version: 1.0.0", "sentinelEntitiesMappings: [ \((1...6).map { "{ columnName: E\($0) }" }.joined(separator: ", ")) ]",
                ["VR0049"]
            ),
            ("identifier: Address", "identifier: Range", ["VR0044"]), ("columnName: IPAddress", "columnName: IP Address", ["VR0045"]),
            ("columnName: IPAddress", "column: IPAddress", ["VR0043", "VR0047"]),
            ("version: 1.0.0", "version: one", ["VR0051"]), ("version: 1.0.0", "colour: red", ["VR0003"]),
            ("name: A rule", "name: A rule\nNAME: B", ["VR0002"]),
            ("version: 1.0.0", "customDetails: { a: [b] }", ["VR0063"]), ("version: 1.0.0", "customDetails: { a: b c }", ["VR0045"]),
            ("version: 1.0.0", "customDetails: { _a: b }", ["VR0062"]),
            ("version: 1.0.0", "customDetails: { aaaaaaaaaaaaaaaaaaaa: b }", []),
            ("version: 1.0.0", "customDetails: { \((1...21).map { "k\($0): c" }.joined(separator: ", ")) }", ["VR0061"]),
            ("version: 1.0.0", "customDetails: { \((1...20).map { "k\($0): c" }.joined(separator: ", ")) }", []),
            ("version: 1.0.0", "customDetails: { 1a: b }", ["VR0062"]), ("version: 1.0.0", "customDetails: [a]", ["VR0060"]),
            ("version: 1.0.0", "customDetails: { aaaaaaaaaaaaaaaaaaaaa: b }", ["VR0062"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDisplayNameFormat: '{{a}}{{b}}{{c}}{{d}}' }", ["VR0074"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertnameFormat: x }", ["VR0072"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDisplayNameFormat: '{{a}} {{ b }} {{c}}' }", []),
            ("version: 1.0.0", "alertDetailsOverride: { alertDisplayNameFormat: '{{a' }", ["VR0075"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDescriptionFormat: 'from {{a b}} and {{}}' }", ["VR0075", "VR0075"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDescriptionFormat: '' }", ["VR0077"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDescriptionFormat: null, alertTacticsColumnName: ~ }", []),
            ("version: 1.0.0", "alertDetailsOverride: { alertDisplayNameFormat: [a] }", ["VR0073"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDisplayNameFormat: '\(String(repeating: "x", count: 257))' }", ["VR0073"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDisplayNameFormat: '\(String(repeating: "x", count: 256))' }", []),
            ("version: 1.0.0", "alertDetailsOverride: { alertDescriptionFormat: '\(String(repeating: "x", count: 5001))' }", ["VR0073"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertSeverityColumnName: 'a b' }", ["VR0045"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertTacticsColumnName: [a] }", ["VR0045"]),
            ("version: 1.0.0", "alertDetailsOverride: [a]", ["VR0070"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDynamicProperties: [ { alertProperty: alertlink, value: L } ] }", []),
            ("version: 1.0.0", "alertDetailsOverride: { alertDynamicProperties: [ { alertProperty: Colour, value: L } ] }", ["VR0076"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDynamicProperties: [ { alertProperty: AlertLink } ] }", ["VR0071"]),
            ("version: 1.0.0", "alertDetailsOverride: { alertDisplaynameFormat: 'x' }", []),
            ("version: 1.0.0", "eventGroupingSettings: { aggregationKind: Both }", ["VR0050"]),
            ("version: 1.0.0", "eventGroupingSettings: {}", ["VR0054"]),
            ("version: 1.0.0", "eventGroupingSettings: SingleAlert", ["VR0054"]),
            ("version: 1.0.0", "suppressionEnabled: true", ["VR0020"]),
            ("version: 1.0.0", "suppressionEnabled: true\nsuppressionDuration: 4m", ["VR0053"]),
            ("version: 1.0.0", "suppressionEnabled: true\nsuppressionDuration: 25h", ["VR0053"]),
            ("version: 1.0.0", "suppressionEnabled: true\nsuppressionDuration: soon", ["VR0025"]),
            ("version: 1.0.0", "suppressionEnabled: true\nsuppressionDuration: 1.00:00:00", []),
            ("version: 1.0.0", "suppressionEnabled: true\nsuppressionDuration: PT5M", []),
            ("version: 1.0.0", "suppressionEnabled: false\nsuppressionDuration: soon", ["VR0053"]),
            ("version: 1.0.0", "suppressionEnabled: maybe", ["VR0055"]), ("version: 1.0.0", "enabled: perhaps", ["VR0055"]),
            ("version: 1.0.0", "enabled: 'False'", []),
            ("version: 1.0.0", "suppressionEnabled: false\nsuppressionDuration: 5h", []),
            ("version: 1.0.0", "startTimeUtc: soon", ["VR0024"]), ("version: 1.0.0", "properties: { a: 1 }", ["VR0003", "VR0004"]),
            ("version: 1.0.0", "tags: null\nstatus: Available", []),
            ("name: A rule", "name: \(String(repeating: "n", count: 257))", ["VR0013"]),
            ("name: A rule", "name: \(String(repeating: "n", count: 256))", []),
            // Sentinel counts UTF-16 units: an emoji is two.
            ("name: A rule", "name: \(String(repeating: "😀", count: 129))", ["VR0013"]),
            ("name: A rule", "name: \(String(repeating: "😀", count: 128))", []),
            ("'Something happened.'", String(repeating: "d", count: 5001), ["VR0017"]), ("'Something happened.'", "''", ["VR0052"]),
            ("| where ResultType == 0", "| where a == '\(String(repeating: "q", count: 10_000))'", ["VR0015"]),
            ("tactics:\n  - CredentialAccess\n", "", ["VR0036"]),
            ("version: 1.0.0", "incidentConfiguration: { createIncident: true }", []),
            ("version: 1.0.0", "incidentConfiguration: x", ["VR0080"]), ("version: 1.0.0", "incidentConfiguration: {}", ["VR0081"]),
            ("version: 1.0.0", "incidentConfiguration: { createIncident: perhaps }", ["VR0081"]),
            ("version: 1.0.0", incident("lookbackDuration: 5h, matchingMethod: AllEntities"), []),
            ("version: 1.0.0", incident("lookbackDuration: 4m"), ["VR0082"]),
            ("version: 1.0.0", incident("lookbackDuration: P8D"), ["VR0082"]),
            ("version: 1.0.0", incident("matchingMethod: Some"), ["VR0083"]),
            ("version: 1.0.0", incident("matchingMethod: Selected, groupByEntities: [Ip]"), []),
            ("version: 1.0.0", incident("matchingMethod: Selected, groupByEntities: [Host]"), ["VR0084"]),
            ("version: 1.0.0", incident("matchingMethod: Selected, groupByAlertDetails: [Colour]"), ["VR0084"]),
            ("version: 1.0.0", incident("matchingMethod: Selected, groupByCustomDetails: [x]"), ["VR0084"]),
            ("version: 1.0.0", incident("matchingMethod: Selected, groupByEntities: []"), ["VR0085"]),
            ("  SigninLogs\n", "  search *\n", ["VR0057"]), ("  SigninLogs\n", "  union *\n", ["VR0057"]),
            ("  SigninLogs\n", "  union isfuzzy=true withsource=T *\n", ["VR0057"]),
            ("  SigninLogs\n", "  let a = union *;\n  a\n", ["VR0057"]), ("  SigninLogs\n", "  SigninLogs | union *\n", ["VR0057"]),
            ("  SigninLogs\n", "  SigninLogs | join (search *) on X\n", ["VR0057"]),
            ("  SigninLogs\n", "  union Sign*\n", []), ("  SigninLogs\n", "  union *Logs\n", []),
            ("  SigninLogs\n", "  SigninLogs // union *\n", []), ("  SigninLogs\n", "  SigninLogs | where a == 'search *'\n", []),
            ("  SigninLogs\n", "  SigninLogs | extend a = union * 2, search = 1 | extend b = search * 3\n", []),
        ] as [(String, String, [String])])
    func findings(old: String, new: String, expected: [String]) {
        let loaded = decode(changed(old, new))
        #expect(codes(loaded).sorted() == expected)
        // Warnings and notes leave the rule alone; errors refuse it.
        let warnings: Set<String> = [
            "VR0003", "VR0023", "VR0033", "VR0034", "VR0035", "VR0036", "VR0044", "VR0048", "VR0049", "VR0051", "VR0052", "VR0054",
            "VR0056",
            "VR0072", "VR0075", "VR0076", "VR0077", "VR0080", "VR0081", "VR0082", "VR0083", "VR0084", "VR0085",
        ]
        // A suppression that is off harms nobody.
        if new.contains("suppressionEnabled: false") { return #expect(loaded?.rule != nil) }
        #expect((loaded?.rule != nil) == expected.allSatisfy { warnings.contains($0) })
    }

    @Test func allErrorsOfARuleAreTold() {
        let text = "severity: Urgent\nqueryFrequency: x\nqueryPeriod: 1m\ntriggerThreshold: -1\nquery: T\n"
        let found = Set(codes(decode(text)))
        #expect(found.isSuperset(of: ["VR0010", "VR0012", "VR0018", "VR0025", "VR0026", "VR0028"]))
    }

    @Test func findingsPointAtTheirPlace() throws {
        let finding = try #require(decode(changed("severity: Medium", "severity: Urgent"))?.findings.first)
        #expect(finding.line == 5 && finding.column == 11)
        let deep = try #require(decode(changed("identifier: Address", "identifier: Range"))?.findings.first)
        #expect(deep.line == 20 && deep.column == 21)
        // Inside the query: the operator, in the file's lines.
        let inQuery = try #require(decode(changed("  SigninLogs\n", "  SigninLogs\n  | take 1\n  | union kind=outer *\n"))?.findings.first)
        #expect(inQuery.line == 17 && inQuery.column == 5 && inQuery.code == "VR0057")
    }

    @Test func nrtRulesHaveNoSchedule() throws {
        let text = base.replacingOccurrences(of: "kind: Scheduled", with: "kind: NRT").replacingOccurrences(
            of: "queryFrequency: 15m\nqueryPeriod: 1h\ntriggerOperator: gt\ntriggerThreshold: 0\n", with: "")
        let loaded = try #require(decode(text))
        #expect(loaded.findings.isEmpty)
        let rule = try #require(loaded.rule)
        #expect(rule.kind == .nrt && rule.queryFrequency == 600_000_000 && rule.queryPeriod == 600_000_000)
        #expect(codes(decode(changed("kind: Scheduled", "kind: nrt"))) == ["VR0023", "VR0023", "VR0023", "VR0023"])
    }

    @Test func revokedTechniquesAreMapped() throws {
        let rule = try #require(decode(changed("T1110.003", "T1086"))?.rule)
        #expect(rule.techniques == ["T1059.001"] || rule.techniques == ["T1086"])
        let v19 = try #require(
            decode(base.replacingOccurrences(of: "CredentialAccess", with: "Stealth").replacingOccurrences(of: "T1110.003", with: "T1684"))?
                .rule)
        #expect(v19.tactics == ["Stealth"] && v19.techniques == ["T1684"])
    }

    @Test(arguments: [
        ("query: |\n  SigninLogs", 15, 3), ("query: |-\n\n\n    SigninLogs", 17, 5), ("query: 'SigninLogs'\n#", 14, 9),
        ("query: SigninLogs\n#", 14, 8),
    ])
    func queriesArePlaced(form: String, line: Int, column: Int) throws {
        var text = changed("query: |\n  SigninLogs\n  | where ResultType == 0\n", form + "\n")
        if form.hasSuffix("#") { text = text.replacingOccurrences(of: "\n#\n", with: "\n") }
        let rule = try #require(decode(text)?.rule)
        #expect(rule.queryLine == line && rule.queryColumn == column)
        // The same with the line ends of Windows.
        let windows = try #require(decode(text.replacingOccurrences(of: "\n", with: "\r\n"))?.rule)
        #expect(windows.queryLine == line && windows.queryColumn == column)
    }
}

@Suite struct RuleLoaderTests {
    @Test func severalDocumentsInAFile() {
        let text = base + "---\n" + changed("severity: Medium", "severity: Urgent") + "---\n" + changed("19bb731e", "29bb731e")
        let loaded = RuleLoader.decode(text, file: "R.yaml")
        #expect(loaded.map { $0.rule != nil } == [true, false, true])
    }

    @Test(arguments: [
        ("a: [1", "VR0009"), ("a: 1\na: 2\nquery: T", "VR0009"), ("- 1", "VR0001"), ("just text", "VR0001"), ("\u{1}", "VR0009"),
        ("a: *b", "VR0009"),
        ("resources: []\n$schema: x", "VR0004"),
    ])
    func unreadable(text: String, code: String) {
        let loaded = RuleLoader.decode(text, file: "R.yaml")
        #expect(loaded.count == 1 && loaded.first?.rule == nil)
        #expect(codes(loaded.first).contains(code))
    }

    /// Small texts whose aliases stand for more than any memory holds; in keys, comparing them would never end.
    @Test(arguments: [
        (0..<30).map { "a\($0): &a\($0) [\($0 == 0 ? "x" : "*a\($0 - 1), *a\($0 - 1)")]\n" }.joined() + base,
        (0..<60).map { "a\($0): &a\($0) [\($0 == 0 ? "x" : "*a\($0 - 1), *a\($0 - 1)")]\n" }.joined() + "? *a59\n: 1\n? *a58\n: 2\n" + base,
        "a: &a {k: v}\nb: {<<: *a}\n" + base, "a: &a [1]\r\nb: [*a]\r\n" + base.replacingOccurrences(of: "\n", with: "\r\n"),
        "- &a x\n- *a\n", "a: &a x\nb: >-  # remark\n  text *c\nd: *a\n", "a: !!str &a x\nb: !!str *a\n",
        "a: &a x\nb: \"q\"\nc: { d: *a}\n",
        "a: &a x\nb:\n  - c: |\n      text\n    d: *a\n", "a: &a x\nb: 'it''s'\nc: [1,\n  *a]\n", "a: &a x\nb: plain\n\nc:\n  *a\n",
        "--- &a x\n--- *a\n", "a: &a x\n- - ? *a\n", "a: &a x\nb: {\"k\":*a}\n",
    ])
    func aliasesAreRefused(text: String) {
        let loaded = RuleLoader.decode(text, file: "R.yaml")
        #expect(loaded.count == 1 && loaded.first?.rule == nil)
        #expect(codes(loaded.first) == ["VR0009"])
    }

    /// A star or an ampersand that is no alias or anchor.
    @Test(arguments: [
        "description: 'a *b* & c &d'", "description: |\n  * a\n  *b\n  - *c\n  &d", "description: >\n  x\n\n  *y",
        "description: a &b and *b", "description: \"[*a, *b] &c\"", "tags: ['*a', a*b, \"&c\"]",
        "description: a # [*a]", "# *a\ndescription: x",
        "description: a [b\n  *c and {d", "description: x\n  - *y\n  > *z", "description: a] *b} , *c",
        "tags: [a - *b, 'it''s *c', \"\\\" *d\"]", "tags:\n- \"a\n  *b\"\n- x: |\n    *c\n  y: d",
        "tags: [ab,\n  c\n  *d]", "description: http://a/*b", "tags: [a:*b]",
    ])
    func starsInTextAreNone(field: String) {
        let text = changed("description: |\n  'Something happened.'", field.contains("description:") ? field : "description: x\n" + field)
        #expect(codes(decode(text)) == [])
    }

    @Test func deepNestingIsRefused() {
        for text in [
            String(repeating: "[", count: 50_000), String(repeating: "{a: ", count: 50_000), String(repeating: "- ", count: 50_000) + "x",
        ] {
            #expect(codes(RuleLoader.decode(text, file: "R.yaml").first) == ["VR0009"])
        }
    }

    /// Damaged files give rules or findings, never nothing and never a crash.
    @Test func damagedFilesAreTold() {
        var state: UInt64 = 7
        func below(_ n: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(max(1, n)))
        }
        let spice = [
            "[", "]", "{", "}", "'", "\"", "|", ">", ": ", "- ", "&a ", "*a", "\n", "\r\n", "  ", "#", "? ", "---\n", "!!str ", "\t", "é",
            "\u{1}",
        ]
        for _ in 0..<1500 {
            var text = Array(base.unicodeScalars)
            for _ in 0...below(4) {
                let at = below(text.count)
                switch below(3) {
                case 0: text.removeSubrange(at..<min(text.count, at + 1 + below(12)))
                case 1: text.insert(contentsOf: Array(spice[below(spice.count)].unicodeScalars), at: at)
                default: text.swapAt(at, below(text.count))
                }
            }
            var source = ""
            source.unicodeScalars.append(contentsOf: text)
            let loaded = RuleLoader.decode(source, file: "R.yaml")
            #expect(!loaded.isEmpty, "\(source)")
            #expect(loaded.allSatisfy { $0.rule != nil || !$0.findings.isEmpty })
            #expect(loaded.allSatisfy { $0.findings.allSatisfy { $0.line >= 1 && $0.column >= 1 } })
        }
    }

    private func folder(_ files: [String: String]) throws -> String {
        let path = NSTemporaryDirectory() + "rules-\(UUID().uuidString)"
        for (name, text) in files {
            let url = URL(fileURLWithPath: path + "/" + name)
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
        }
        return path
    }

    @Test func foldersAreSearchedInOrder() throws {
        let root = try folder([
            "b.yaml": changed("19bb", "2222"), "a/z.yml": changed("19bb", "3333"), "a.test.yaml": "cases: []", "c.yaml": "colour: red\n",
            "d.txt": base, ".hidden.yaml": base,
            "e.json": "{}",
        ])
        defer { try? FileManager.default.removeItem(atPath: root) }
        let loaded = RuleLoader.load([root, root + "/b.yaml"])
        #expect(loaded.map { $0.file.replacingOccurrences(of: root, with: "") } == ["/a/z.yml", "/b.yaml"])
        #expect(loaded.allSatisfy { $0.rule != nil })
        // Named by itself, a file that is no rule is told.
        #expect(RuleLoader.load([root + "/c.yaml"]).first?.rule == nil)
    }

    @Test func repeatedIdentifiersAreRefused() throws {
        let root = try folder(["a.yaml": base, "b.yaml": base.replacingOccurrences(of: "19bb731e", with: "19BB731E")])
        defer { try? FileManager.default.removeItem(atPath: root) }
        let loaded = RuleLoader.load([root])
        #expect(loaded.map { $0.rule != nil } == [true, false])
        #expect(codes(loaded.last) == ["VR0006"])
    }

    @Test func unreadableFilesDoNotStopTheOthers() throws {
        let root = try folder([
            "a.yaml": base, "big.yaml": base + "# " + String(repeating: "x", count: RuleLoader.maximumFileBytes), "c.yaml": "a: [1",
        ])
        defer { try? FileManager.default.removeItem(atPath: root) }
        try Data([0x69, 0x64, 0x3A, 0x20, 0xFF, 0xFE]).write(to: URL(fileURLWithPath: root + "/bytes.yaml"))
        let loaded = RuleLoader.load([root, root + "/missing.yaml"])
        #expect(loaded.compactMap(\.rule).map(\.name) == ["A rule"])
        #expect(Set(loaded.flatMap { codes($0) }) == ["VR0005", "VR0007", "VR0008", "VR0009"])
    }
}
