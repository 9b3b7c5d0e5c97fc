import Foundation
import Rules
import Testing

/// The reference of diagnostics against the source: no code without its line, no line without its code.
@Suite struct DiagnosticDocumentTests {
    private static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The codes that stand between `before` and `after`: `VK` or `VR` and four digits.
    private static func codes(in data: Data, after before: String, before after: String) -> [String] {
        let lead = Data(before.utf8)
        var out: [String] = []
        var from = data.startIndex
        while let found = data.range(of: lead, in: from..<data.endIndex) {
            from = found.upperBound
            let code = data[from...].prefix(6)
            let digits = code.dropFirst(2).allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
            guard code.count == 6, digits, code.first == 0x56, code.dropFirst().first == 0x4B || code.dropFirst().first == 0x52,
                data[code.endIndex...].starts(with: after.utf8)
            else { continue }
            out.append(String(decoding: code, as: UTF8.self))
        }
        return out
    }

    private static func sources() throws -> Set<String> {
        let folder = root.appending(path: "Sources")
        let names = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
        var all: Set<String> = []
        for name in names where name.hasSuffix(".swift") {
            all.formUnion(codes(in: try Data(contentsOf: folder.appending(path: name)), after: "\"", before: "\""))
        }
        return all
    }

    @Test func everyCodeHasItsLine() throws {
        let document = try Data(contentsOf: Self.root.appending(path: "docs/diagnostics.md"))
        let documented = Self.codes(in: document, after: "\n| `", before: "` |")
        let used = try Self.sources()
        #expect(used.count > 150)
        #expect(used.subtracting(documented).sorted() == [])
        #expect(Set(documented).subtracting(used).sorted() == [])
        #expect(documented.count == Set(documented).count)
    }

    /// What the document calls an error, a warning or a note is one.
    @Test(arguments: [
        ("severity: Urgent", "VR0018"), ("colour: red", "VR0003"), ("version: one", "VR0051"), ("enabled: perhaps", "VR0055"),
    ])
    func severities(field: String, code: String) throws {
        let document = try String(contentsOf: Self.root.appending(path: "docs/diagnostics.md"), encoding: .utf8)
        let finding = try #require(RuleLoader.decode(field + "\nquery: T\n", file: "R").first?.findings.first { $0.code == code })
        #expect(document.contains("\n| `\(code)` | \(finding.severity) |"))
    }
}
