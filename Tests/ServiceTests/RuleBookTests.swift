import Columnar
import Glibc
import Rules
import Tables
import Testing

@testable import Detection
@testable import Service

@Suite struct RuleBookTests {
    static func rule(_ n: Int, _ query: String, enabled: Bool = true) -> String {
        """
        id: 0000000\(n)-0000-4000-a000-00000000000\(n)
        name: rule \(n)
        description: For tests.
        severity: Low
        requiredDataConnectors: []
        queryFrequency: 15m
        queryPeriod: 30m
        triggerOperator: gt
        triggerThreshold: 0
        enabled: \(enabled)
        tactics: [Impact]
        relevantTechniques: [T1485]
        query: |
          \(query.replacing("\n", with: "\n  "))
        entityMappings: []
        version: 1.0.0
        kind: Scheduled
        """
    }
    static let good = "AzureActivity\n| where OperationNameValue == \"x\"\n| summarize n = count() by Caller\n| where n > 1"

    @Test func eachRuleHasItsState() throws {
        let f = try Folder()
        f.write("a.yaml", RuleBookTests.rule(1, RuleBookTests.good))
        f.write("b.yaml", RuleBookTests.rule(2, RuleBookTests.good, enabled: false))
        f.write("sub/c.yaml", RuleBookTests.rule(3, "AzureActivity\n| where OperationNameValu == 1"))
        f.write("d.yaml", "id: [\n")
        f.write("README.md", "no rule")
        let book = try RuleBook.load([f.path], catalog: .init())
        var states: [String: RuleBook.Entry.State] = [:]
        for e in book.entries { states[e.file.replacing(f.path + "/", with: "")] = e.state }
        #expect(states == ["a.yaml": .loaded, "b.yaml": .disabled, "sub/c.yaml": .refused, "d.yaml": .refused])
        #expect(book.programs.map(\.rule.name) == ["rule 1"] && book.refused.count == 2)
        // The error stands where the query's text stands in the file.
        let c = try #require(book.entries.first { $0.file.hasSuffix("c.yaml") })
        #expect(c.firstError.contains("c.yaml:15:11: "), "\(c.firstError)")
        #expect(
            c.rendered(notes: false).contains("15 |   | where OperationNameValu == 1\n    |           ^"), "\(c.rendered(notes: false))")
        #expect(c.rendered(notes: false).contains("OperationNameValue"))
    }

    @Test func twoRulesOfOneIdentityAreRefused() throws {
        let f = try Folder()
        f.write("a.yaml", RuleBookTests.rule(1, RuleBookTests.good))
        f.write("b.yaml", RuleBookTests.rule(1, RuleBookTests.good))
        f.write("c.yaml", RuleBookTests.rule(2, RuleBookTests.good))
        let book = try RuleBook.load([f.path], catalog: .init())
        #expect(book.programs.map(\.rule.name) == ["rule 1", "rule 2"])
        let refused = try #require(book.refused.first)
        #expect(refused.file.hasSuffix("b.yaml") && refused.firstError.contains("a.yaml"), "\(refused.firstError)")
        // Naming a file twice is no conflict of two rules.
        #expect(try RuleBook.load([f["a.yaml"], f["a.yaml"]], catalog: .init()).refused.isEmpty)
    }

    /// Unchanged rules keep their runtime; changed ones begin anew.
    @Test func reloadKeepsWhatDidNotChange() throws {
        let f = try Folder()
        f.write("a.yaml", RuleBookTests.rule(1, RuleBookTests.good))
        f.write("b.yaml", RuleBookTests.rule(2, RuleBookTests.good))
        let first = try RuleBook.load([f.path], catalog: .init())
        let engine = try DetectionEngine(first.programs, options: DetectionOptions(), functions: first.functions) { _ in 0 }
        let before = engine.programs.map(\.fingerprint)
        f.write("b.yaml", RuleBookTests.rule(2, RuleBookTests.good.replacing("n > 1", with: "n > 2")))
        f.write("c.yaml", RuleBookTests.rule(3, RuleBookTests.good))
        let second = try RuleBook.load([f.path], catalog: .init())
        try engine.reload(second.programs)
        let after = engine.programs.map(\.fingerprint)
        #expect(after.count == 3 && after[0] == before[0] && after[1] != before[1])
        #expect(engine.programs[0] === first.programs[0] && engine.programs[1] === second.programs[1])
        // A description is no behaviour.
        f.write("a.yaml", RuleBookTests.rule(1, RuleBookTests.good).replacing("For tests.", with: "For other tests."))
        try engine.reload(RuleBook.load([f.path], catalog: .init()).programs)
        #expect(engine.programs[0].fingerprint == before[0])
    }
}
