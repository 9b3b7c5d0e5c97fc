import Columnar
import Foundation
import KQL
import Testing

@testable import Rules

/// A folder that goes with its test.
final class ContentFolder {
    let path: String
    init() throws {
        path = NSTemporaryDirectory() + "vedette-content-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
    func write(_ name: String, _ text: String) throws -> String {
        let file = path + "/" + name
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }
}

@Suite struct FunctionLibraryTests {
    private func library(_ files: [(String, String)]) throws -> FunctionLibrary {
        let folder = try ContentFolder()
        for (name, text) in files { _ = try folder.write(name, text) }
        var l = FunctionLibrary()
        withExtendedLifetime(folder) { l.load([folder.path]) }
        return l
    }

    @Test func commentHeaderGivesNameAndParameters() throws {
        let l = try library([("x.kql", "// Recent(T: (*), span: timespan = 1h)\n// What is new.\nT | where TimeGenerated > ago(span)\n")])
        let f = try #require(l.function("Recent"))
        #expect(f.parameters.map(\.name.text) == ["T", "span"])
        #expect(f.summary == "What is new.")
        #expect(l.findings.isEmpty)
    }

    @Test func createFunctionFormIsRead() throws {
        let l = try library([
            ("y.kql", ".create-or-alter function with (docstring = 'x)', folder='f') Named(a: string = \"(}\") {\n  print b = a\n}\n")
        ])
        #expect(l.function("Named")?.parameters.count == 1)
        #expect(l.findings.isEmpty)
    }

    @Test func aFileWithoutHeaderIsNamedAfterItself() throws {
        #expect(try library([("Plain.kql", "print 1")]).function("Plain")?.parameters.isEmpty == true)
    }

    @Test func asimFormHasBothNamesAndQuotesTextDefaults() throws {
        let l = try library([
            (
                "p.yaml",
                """
                ParserName: vimDnsAcme
                EquivalentBuiltInParser: _Im_Dns_Acme
                ParserParams:
                  - Name: starttime
                    Type: datetime
                    Default: datetime(null)
                  - Name: eventresult
                    Type: string
                    Default: '*'
                ParserQuery: |
                  Acme_CL | where eventresult == '*'
                """
            )
        ])
        #expect(l.findings.isEmpty, "\(l.findings)")
        #expect(l.function("vimDnsAcme")?.parameters.map(\.name.text) == ["starttime", "eventresult"])
        #expect(l.function("_Im_Dns_Acme") != nil)
    }

    @Test func savedSearchFormTakesParametersAsText() throws {
        let l = try library([("s.yaml", "FunctionAlias: Twice\nFunctionParameters: \"n: long = 2\"\nFunctionQuery: print x = n * 2\n")])
        #expect(l.function("Twice")?.parameters.first?.defaultValue != nil)
    }

    @Test(arguments: [
        ("b.kql", "// F()\nT | | count\n", "VK0", 2), ("b.yaml", "FunctionName: F\nFunctionQuery: |\n\n  T\n  | wher x\n", "VK0", 5),
        ("n.yaml", "FunctionQuery: T\n", "VR0102", 1), ("q.yaml", "FunctionName: F\n", "VR0102", 1),
        ("w.yaml", "FunctionName: 'not a name'\nFunctionQuery: T\n", "VR0102", 1), ("y.yaml", "a: [", "VR0101", 2),
    ]) func mistakesHaveTheirPlace(_ name: String, _ text: String, _ code: String, _ line: Int) throws {
        let l = try library([(name, text)])
        let f = try #require(l.findings.first)
        #expect(f.code.hasPrefix(code))
        #expect(f.line == line)
        #expect(f.file?.hasSuffix("/" + name) == true)
    }

    @Test func aNameTakenIsRefused() throws {
        let l = try library([("a.kql", "// F()\nprint 1"), ("b.kql", "// F()\nprint 2")])
        #expect(l.findings.map(\.code) == ["VR0103"])
        #expect(l.function("F")?.source.file.hasSuffix("/a.kql") == true)
    }

    @Test func aFileReplacesAShippedFunction() throws {
        let folder = try ContentFolder()
        _ = try folder.write("a.kql", "// imAuthentication()\nprint 1")
        var l = FunctionLibrary.builtIn
        withExtendedLifetime(folder) { l.load([folder.path]) }
        #expect(l.findings.isEmpty)
        #expect(l.function("imAuthentication")?.source.isBuiltIn == false)
        #expect(l.function("_Im_Authentication")?.source.isBuiltIn == true)
    }

    @Test func shippedFunctionsAreRead() {
        let l = FunctionLibrary.builtIn
        #expect(l.findings.isEmpty, "\(l.findings)")
        for schema in ["Authentication", "AuditEvent", "NetworkSession"] {
            for name in ["_Im_\(schema)", "_ASim_\(schema)", "im\(schema)", "ASim\(schema)"] { #expect(l.function(name) != nil, "\(name)") }
            #expect(l.function("_Im_\(schema)")?.parameters.allSatisfy { $0.defaultValue != nil } == true)
        }
    }

    @Test func rangesTellTheirText() throws {
        let l = try library([("a.kql", "// A()\nprint a = 1"), ("b.kql", "// B()\nprint b = 2")])
        let f = try #require(l.function("B"))
        #expect(l.source(of: f.body.result.range)?.file.hasSuffix("/b.kql") == true)
        #expect(l.source(of: SourceRange(0, 3)) == nil)
        let local = f.source.local(Diagnostic(.error, "VK0100", "x", at: f.body.result.range))
        #expect(local.range == SourceRange(7, 18))
    }
}

@Suite struct WatchlistTests {
    private func made(_ text: String, json: Bool = false, key: String? = nil) throws -> ReferenceTable {
        try Watchlists.make(text, isJSON: json, alias: "Vips", searchKey: key, updated: 5).get()
    }

    private func refusal(_ text: String, json: Bool = false, key: String? = nil) -> String {
        switch Watchlists.make(text, isJSON: json, alias: "Vips", searchKey: key, updated: 5) {
        case .success: "accepted"
        case .failure(let r): r.message
        }
    }

    @Test func columnsAreSentinels() throws {
        let t = try made("UPN,Dept\r\na@x,HR\r\n\"b,\"\"c\",IT\r\n", key: "dept")
        #expect(
            t.columns.map { "\($0.name):\($0.type.rawValue)" } == [
                "_DTItemId:string", "LastUpdatedTimeUTC:datetime", "SearchKey:string", "UPN:string", "Dept:string",
            ])
        #expect(
            t.rows.map { Array($0[1...]) } == [
                [.datetime(5), .string("HR"), .string("a@x"), .string("HR")],
                [.datetime(5), .string("IT"), .string("b,\"c"), .string("IT")],
            ])
    }

    @Test func itemsAreToldApart() throws {
        let t = try made("A\nx\nx\ny\n")
        #expect(Set(t.rows.map { "\($0[0])" }).count == 3)
        #expect(try made("A\nx\nx\ny\n").version == t.version)
        #expect(try made("A\nx\ny\ny\n").version != t.version)
    }

    @Test func jsonItemsMayLackColumns() throws {
        let t = try made(#"[{"a":"1","b":{"c":2}},{"d":null,"a":3}]"#, json: true)
        #expect(t.columns.dropFirst(3).map(\.name) == ["a", "b", "d"])
        #expect(
            t.rows.map { Array($0[3...]) } == [
                [.string("1"), .string(#"{"c":2}"#), .string("")], [.string("3"), .string(""), .string("")],
            ])
    }

    @Test(arguments: [
        ("", false, "the file is empty"), ("a,b\n1\n", false, "line 2 has 1 cells, the header 2"),
        ("a,a\n1,2\n", false, "column `a` stands twice in the header"), ("a,\n1,2\n", false, "column 2 has no name"),
        ("a\n\"x\n", false, "line 2: a quote that opens here is not closed"), ("{}", true, "the file is no JSON array of objects"),
        ("[1]", true, "item 1 is no object"), ("[]", true, "the file holds no item, so its columns are not known"),
    ]) func refuses(_ text: String, _ json: Bool, _ want: String) { #expect(refusal(text, json: json) == want) }

    @Test func aSearchKeyMustBeAColumn() { #expect(refusal("UPN\nx\n", key: "UPM").contains("`UPM` is no column")) }

    @Test func folderIsReadWithAliasesFromFileNames() throws {
        let folder = try ContentFolder()
        _ = try folder.write("Vips.csv", "\u{FEFF}UPN\na\n")
        _ = try folder.write("nets.json", #"[{"net":"10.0.0.0/8"}]"#)
        _ = try folder.write("notes.txt", "not read")
        _ = try folder.write("bad.csv", "")
        let w = withExtendedLifetime(folder) { Watchlists([folder.path], keys: ["gone": "x"]) }
        #expect(w.aliases == ["Vips", "bad", "nets"])
        #expect(try w.list("VIPS")?.get().columns.last?.name == "UPN")
        #expect(w.findings.map(\.code) == ["VR0104", "VR0104"])
    }
}
