import Columnar
import Foundation
import KQL
import Testing

/// Lints over the workspace-like tables below: code, the text that they point at, a part of the mend.
@Suite struct LintTests {
    struct Tables: SchemaCatalog {
        func table(_ name: String) -> TableSchema? {
            let columns = [
                SchemaColumn("TimeGenerated", .datetime), SchemaColumn("OperationNameValue", .string), SchemaColumn("Text", .string),
                SchemaColumn("n", .long),
            ]
            return name == "A" || name == "B" ? TableSchema(name: name, columns: columns) : nil
        }
        var tableNames: [String] { ["A", "B"] }
    }

    static let day: Int64 = 864_000_000_000

    private func lints(_ query: String, _ use: Lints.Use) throws -> [Diagnostic] {
        let bound = KQLCompiler.bind(query, functions: FixtureFunctions(), schemas: Tables(), options: BinderOptions())
        return Lints.findings(try #require(bound.plan, "\(query): \(bound.schema)"), use: use)
    }

    static let inRules: [(String, String, String, String)] = [
        ("A | where Text contains 'malware'", "VK0500", "Text contains 'malware'", "`has`"),
        ("A | where Text !contains 'malware'", "VK0500", "Text !contains 'malware'", "`!has`"),
        ("A | where Text has 'x' | join (B) on n", "VK0501", "B", "before the join"),
        ("let b = B | extend m = n + 1; A | where n > 1 | join kind=inner (b) on n", "VK0501", "B", "before the join"),
        ("A | where n > 1 | join (B | where TimeGenerated > ago(1h)) on n", "VK0501", "B", "before"),
        ("A | where TimeGenerated > ago(2d)", "VK0503", "TimeGenerated > ago(2d)", "queryPeriod"),
        ("A | where TimeGenerated between (ago(3d) .. ago(1d))", "VK0503", "TimeGenerated between (ago(3d) .. ago(1d))", "queryPeriod"),
        ("A | where OperationNameValue == 'Microsoft.Sql/write'", "VK0504", "OperationNameValue == 'Microsoft.Sql/write'", "`=~`"),
        ("A | where OperationNameValue in ('a', 'b')", "VK0504", "OperationNameValue in ('a', 'b')", "`in~`"),
        ("A | project o = OperationNameValue | where o !in ('a')", "VK0504", "o !in ('a')", "`!in~`"),
        ("A | where tolower(Text) == 'x'", "VK0505", "tolower(Text) == 'x'", "`=~`"),
        ("A | where Text matches regex 'abc def'", "VK0506", "Text matches regex 'abc def'", "`contains_cs`"),
    ]
    @Test(arguments: inRules)
    func found(query: String, code: String, text: String, mend: String) throws {
        let found = try lints(query, .rule(period: Self.day))
        #expect(found.map(\.code) == [code], "\(query): \(found)")
        let d = try #require(found.first)
        #expect(d.severity == .warning)
        let bytes = Array(query.utf8)
        #expect(String(decoding: bytes[d.range.lower..<min(bytes.count, d.range.upper)], as: UTF8.self) == text)
        #expect(d.mend?.contains(mend) == true, "\(d.mend ?? "")")
    }

    @Test(arguments: [
        "A | where Text has 'malware'", "A | where Text contains '.exe'", "A | where Text contains 'ab'",
        "A | extend x = Text contains 'malware'",
        "A | where TimeGenerated > ago(1d)", "A | where TimeGenerated between (ago(1d) .. now())",
        "A | where OperationNameValue =~ 'Microsoft.Sql/write'", "A | where OperationNameValue == '123'",
        "A | where Text == 'x'", "A | extend OperationNameValue = Text | where OperationNameValue == 'x'",
        "A | where n > 1 | join (B | where n < 5) on n", "A | summarize count() by n | join (B | summarize count() by n) on n",
        "A | where Text matches regex 'a.c'", "A | where tolower(Text) has 'x'", "A",
    ])
    func quiet(query: String) throws {
        #expect(try lints(query, .rule(period: Self.day)) == [])
    }

    /// Only hunts have no window of their own.
    @Test func timeOfHunts() throws {
        #expect(try lints("A | where n > 1", .hunt).map(\.code) == ["VK0502"])
        #expect(try lints("A | where n > 1", .rule(period: Self.day)) == [])
        #expect(try lints("A | where TimeGenerated > ago(30d) | where n > 1", .hunt) == [])
        #expect(try lints("A | where n > 1 | where TimeGenerated > ago(30d)", .hunt) == [])
        #expect(try lints("union A, B | where TimeGenerated > ago(30d)", .hunt) == [])
        #expect(try lints("A | where n in (B | project n)", .hunt).map(\.code) == ["VK0502", "VK0502"])
    }

    /// A function used twice says it once.
    @Test func once() throws {
        let query = "let f = () { A | where Text contains 'malware' }; union f(), f()"
        #expect(try lints(query, .rule(period: Self.day)).map(\.code) == ["VK0500"])
    }

    @Test func codesAreDocumented() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let listed = try String(contentsOf: root.appending(path: "docs/diagnostics.md"), encoding: .utf8)
        let sources = try String(contentsOf: root.appending(path: "Sources/KQL/Lints.swift"), encoding: .utf8)
        let codes = sources.matches(of: /= "(VK0\d\d\d)"/).map { String($0.output.1) }
        #expect(codes.count == 7)
        for code in codes { #expect(listed.contains("`\(code)`"), "\(code) is not documented") }
    }
}
