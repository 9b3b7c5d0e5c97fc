import Foundation
import Testing

@testable import KQL

@Suite struct DiagnosticTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")

    static let cases: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".kql") }.map { String($0.dropLast(4)) }.sorted()
    }()

    @Test func thereAreGoldenFiles() { #expect(DiagnosticTests.cases.count >= 5) }

    /// Findings of `Golden/<name>.kql` against `Golden/<name>.txt`. `VEDETTE_RECORD=1` writes the latter.
    @Test(arguments: cases) func golden(name: String) throws {
        let source = try String(contentsOf: DiagnosticTests.folder.appendingPathComponent(name + ".kql"), encoding: .utf8)
        let text = DiagnosticRenderer(source: source, file: name + ".kql").render(SyntaxTree.parse(source).diagnostics) + "\n"
        let url = DiagnosticTests.folder.appendingPathComponent(name + ".txt")
        if ProcessInfo.processInfo.environment["VEDETTE_RECORD"] == "1" {
            try text.write(to: url, atomically: true, encoding: .utf8)
        }
        let expected = try String(contentsOf: url, encoding: .utf8)
        #expect(text == expected)
    }

    @Test func placesInAnEmbeddingFile() {
        let source = "T\n| projct a"
        let tree = SyntaxTree.parse(source)
        let renderer = DiagnosticRenderer(source: source, file: "r.yaml", origin: .init(line: 12, firstColumn: 2, indent: 2))
        #expect(
            renderer.render(tree.diagnostics) == """
                r.yaml:13:5: error[VK0012]: `projct` is not an operator
                   13 | | projct a
                      |   ^^^^^^
                      = help: did you mean `project`?
                """)
    }

    @Test(arguments: [
        (0, 1, 1), (1, 1, 2), (3, 1, 3), (5, 2, 1), (9, 2, 2), (10, 2, 3), (99, 4, 1), (11, 3, 1),
    ])
    func columnsCountCharacters(offset: Int, line: Int, column: Int) {
        // Line 1: `aé` (3 bytes) + CR LF; line 2: an emoji (4 bytes), `b`; then an empty line and the end.
        let text = SourceText("aé\r\n😀b\n\n")
        #expect(text.position(at: offset) == .init(line: line, column: column))
    }

    @Test func linesOfAText() {
        let text = SourceText("a\r\nb\rc\n")
        #expect(text.lineCount == 4)
        #expect((1...5).map { text.text(ofLine: $0) } == ["a", "b", "c", "", ""])
        #expect(text.start(ofLine: 2) == 3)
        #expect(SourceText("").position(at: 5) == .init(line: 1, column: 1))
    }

    @Test func longLinesAreCut() {
        let source = "print " + String(repeating: "a + ", count: 100) + "# + b"
        let lines = DiagnosticRenderer(source: source).render(SyntaxTree.parse(source).diagnostics).split(separator: "\n")
        #expect(lines.count >= 3)
        #expect(lines.allSatisfy { $0.count < 140 })
        guard lines.count >= 3, let caret = lines[2].firstIndex(of: "^") else {
            Issue.record("no marker")
            return
        }
        let at = lines[2].distance(from: lines[2].startIndex, to: caret)
        #expect(Array(lines[1])[at] == "#")
    }

    @Test(
        arguments: [
            ("projct", "project"), ("sumarize", "summarize"), ("Where", "where"), ("wehre", "where"), ("xyzzy", nil), ("", nil),
            ("tk", nil), ("mvexpnd", "mv-expand"),
        ] as [(String, String?)])
    func suggestions(name: String, expected: String?) {
        let names = ["project", "project-away", "summarize", "where", "take", "mv-expand"]
        #expect(Suggestions.nearest(name, in: names) == expected)
    }

    @Test func suggestionsAreStable() {
        #expect(Suggestions.nearest("cat", in: ["car", "bat", "cut"]) == "bat")
        #expect(Suggestions.nearest("cat", in: ["cut", "car", "bat"]) == "bat")
        #expect(Suggestions.distance(Array("abcd".utf8), Array("abdc".utf8)) == 1)
        #expect(Suggestions.distance(Array("kitten".utf8), Array("sitting".utf8)) == 3)
    }

    @Test func fixItsMend() {
        for (source, code) in [
            ("T | where a = 1", "VK0020"), ("T | projct a", "VK0012"), ("T | where a && b", "VK0002"),
            ("let a = 1\nlet b = 2; T", "VK0019"), ("T\n| where a\nproject b", "VK0018"), ("T | where a not in (1)", "VK0024"),
            ("T | where a == \u{201C}x\u{201D}", "VK0001"),
        ] {
            let tree = SyntaxTree.parse(source)
            #expect(tree.diagnostics.map(\.code) == [code])
            guard let fix = tree.diagnostics.first?.fixIts.first else {
                Issue.record("no fix for \(source)")
                continue
            }
            var bytes = Array(source.utf8)
            bytes.replaceSubrange(fix.range.lower..<fix.range.upper, with: Array(fix.replacement.utf8))
            let mended = String(decoding: bytes, as: UTF8.self)
            #expect(SyntaxTree.parse(mended).diagnostics.isEmpty, "\(mended)")
        }
    }
}
