import Columnar
import Rules
import Testing

@testable import Detection

@Suite struct AlertBuilderTests {
    static func content(_ table: ResultTable, _ change: (inout AnalyticsRule) -> Void) -> AlertContent {
        let r = rule {
            $0.name = "static name"
            $0.description = "static description"
            $0.severity = .medium
            $0.tactics = ["Impact"]
            change(&$0)
        }
        return AlertBuilder(r, columns: table.columns).content(table.rows)
    }

    static func overridden(_ table: ResultTable, _ change: (inout AnalyticsRule.DetailsOverride) -> Void) -> AlertContent {
        content(table) {
            var o = AnalyticsRule.DetailsOverride()
            change(&o)
            $0.detailsOverride = o
        }
    }

    @Test(
        "placeholders are filled from the first row",
        arguments: [
            ("{{User}} did it", "eve did it"), ("by {{ User }} from {{Where}}", "by eve from here"), ("{{User}}{{User}}", "eveeve"),
            ("no placeholder", "no placeholder"),
            // Empty or missing: the rule's own.
            ("{{Empty}} did it", "static name"), ("{{Gone}}", "static name"), ("{{User}} {{Gone}}", "static name"),
            // What is no placeholder stays as it is.
            ("100 {{ of {{", "100 {{ of {{"), ("{{User}} and {{Where", "eve and {{Where"),
            ("{{not a name}} {{User}}", "{{not a name}} eve"),
            ("{{}} }} {x}", "{{}} }} {x}"), ("{{7up}}", "{{7up}}"), ("{{{User}}}", "{{{User}}}"),
        ])
    func placeholders(_ c: (format: String, expected: String)) {
        let table = ResultTable(["User", "Where", "Empty"], [["eve", "here", ""], ["bob", "there", "x"]])
        let found = AlertBuilderTests.overridden(table) { $0.displayNameFormat = c.format }
        #expect(found.name == c.expected && found.description == "static description")
        #expect(
            AlertBuilderTests.overridden(table) { $0.descriptionFormat = c.format }.description
                == (c.expected == "static name" ? "static description" : c.expected))
    }

    @Test("no rows, no placeholders filled") func noRows() {
        #expect(AlertBuilderTests.overridden(ResultTable(["User"], [])) { $0.displayNameFormat = "{{User}}" }.name == "static name")
    }

    @Test("limits count code points, however they are written", arguments: ["x", "\u{e9}", "e\u{301}", "\u{1F469}\u{200D}\u{1F4BB}"])
    func limits(_ unit: String) {
        let table = ResultTable(["C"], [[String(repeating: unit, count: 6000)]])
        let found = AlertBuilderTests.overridden(table) {
            $0.displayNameFormat = "{{C}}"
            $0.descriptionFormat = "{{C}}"
            $0.dynamicProperties = [field("AlertLink", "C"), field("ProductName", "Gone")]
        }
        #expect(found.name.unicodeScalars.count == 256 && found.description.unicodeScalars.count == 5000)
        #expect(found.properties.map(\.key) == ["AlertLink"])
        #expect(found.properties.first.map { CellText.text(.dynamic($0.value)).unicodeScalars.count } == 5000)
    }

    @Test(
        arguments: [
            ("High", AnalyticsRule.Severity.high), ("high", .high), ("INFORMATIONAL", .informational), ("Critical", .medium), ("", .medium),
            (" High", .medium),
        ])
    func severity(_ c: (text: String, expected: AnalyticsRule.Severity)) {
        let table = ResultTable(["S"], [[c.text], ["Low"]])
        #expect(AlertBuilderTests.overridden(table) { $0.severityColumn = "S" }.severity == c.expected)
        #expect(AlertBuilderTests.overridden(table) { $0.severityColumn = "Gone" }.severity == .medium)
    }

    @Test(
        arguments: [
            ("Persistence", ["Persistence"]), ("Persistence, Initial Access ", ["Persistence", "InitialAccess"]),
            (#"["Persistence","Impact"]"#, ["Persistence", "Impact"]), ("Persistence,Persistence", ["Persistence"]),
            // Not all known: the rule's own.
            ("Persistence,Mischief", ["Impact"]), ("", ["Impact"]), ("[]", ["Impact"]),
        ])
    func tactics(_ c: (text: String, expected: [String])) {
        #expect(AlertBuilderTests.overridden(ResultTable(["T"], [[c.text]])) { $0.tacticsColumn = "T" }.tactics == c.expected)
    }

    @Test("custom details: distinct values in order, without empty ones or missing columns") func details() {
        let table = ResultTable(["A", "B"], [["x", ""], ["y", ""], ["x", ""], ["\u{e9}", ""], ["e\u{301}", ""]])
        let found = AlertBuilderTests.content(table) {
            $0.customDetails = [field("First", "A"), field("Second", "B"), field("Third", "Gone")]
        }
        #expect(found.details.map(\.key) == ["First"])
        #expect(found.details.first?.values.map { Array($0.utf8) } == ["x", "y", "\u{e9}", "e\u{301}"].map { Array($0.utf8) })
    }

    @Test("custom details: no more than 50 values a key and 2 KB in all") func detailLimits() {
        let numbers = ResultTable(["A"], (0..<70).map { ["\($0)"] })
        let found = AlertBuilderTests.content(numbers) { $0.customDetails = [field("K", "A")] }
        #expect(found.details.first?.values == (0..<AlertBuilder.detailValues).map { "\($0)" })
        let long = ResultTable(["A", "B", "C"], [[String(repeating: "a", count: 2000), String(repeating: "b", count: 49), "c"]])
        let cut = AlertBuilderTests.content(long) { $0.customDetails = [field("A", "A"), field("B", "B"), field("C", "C")] }
        // 2,000 bytes leave 48: B does not fit, C does.
        #expect(cut.details.map(\.key) == ["A", "C"])
        #expect(cut.details.flatMap(\.values).reduce(0) { $0 + $1.utf8.count } <= AlertBuilder.detailBytes)
    }

    @Test("entities of all rows, each once, up to the limit", arguments: [499, 500, 501, 700]) func entities(_ count: Int) {
        let table = ResultTable(["A"], (Array(0..<count) + Array(0..<20)).map { (i: Int) -> [String] in ["10.0.\(i / 256).\(i % 256)"] })
        let found = AlertBuilderTests.content(table) { $0.entityMappings = [mapping("IP", [("Address", "A")])] }
        #expect(found.entities.count == min(count, 500) && found.droppedEntities == max(0, count - 500))
        #expect(found.entities.first?["Address"] == "10.0.0.0")
    }

    @Test("every column that alerts read is asked of the query") func columnNames() {
        let r = rule {
            $0.entityMappings = [mapping("IP", [("Address", "A")])]
            $0.sentinelEntityColumns = ["B"]
            $0.customDetails = [field("K", "C")]
            var o = AnalyticsRule.DetailsOverride()
            o.displayNameFormat = "{{ D }} {{not a name}}"
            o.descriptionFormat = "{{E}} {{F"
            (o.severityColumn, o.tacticsColumn) = ("G", "H")
            o.dynamicProperties = [field("AlertLink", "I")]
            $0.detailsOverride = o
        }
        #expect(AlertBuilder.columnNames(r) == ["A", "B", "C", "D", "E", "G", "H", "I"])
    }
}
