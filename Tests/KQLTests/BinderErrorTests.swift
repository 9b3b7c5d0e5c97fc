import Columnar
import Foundation
import KQL
import Testing

/// What the binder refuses: code, the text it points at, and how to mend it.
@Suite struct BinderErrorTests {
    /// Query, code, the text of the range, a part of the mend (empty: none is required).
    static let cases: [(String, String, String, String)] = [
        // Names
        ("declare pattern p = (a: string) { ('x') = { T } }; p('y')", "VK0101", "p('y')", "declare it"),
        ("declare pattern p = (a: string)[b: string] { ('x').['*'] = { T } }; p('x')", "VK0101", "p('x')", "declare it"),
        ("declare pattern p; p('y').z", "VK0101", "p('y').z", "declare it"),
        ("declare pattern p = (a: string) { ('x') = { T } }; p(tostring(now()))", "VK0109", "tostring(now())", ""),
        ("declare pattern p = (a: string) { ('x') = { T } }; p | count", "VK0107", "p", ""),
        ("T | project estimate_data_size(*)", "VK0205", "*", "tostring"),
        ("T | where A > 1", "VK0100", "A", "`a`"),
        ("T | where TimeGeneratd > ago(1d)", "VK0100", "TimeGeneratd", "`TimeGenerated`"),
        ("T | project-away zz", "VK0100", "zz", ""),
        ("T | join Small on $left.zz == $right.k", "VK0100", "zz", ""),
        ("T | join Small on $left.v == $right.k", "VK0100", "v", "swap"),
        ("Smal | take 1", "VK0101", "Smal", "`Small`"),
        ("union Small, Missing", "VK0101", "Missing", ""),
        ("T | where strct(b, 'x') == 'y'", "VK0102", "strct", "`strcat`"),
        ("let x = 5; x | take 1", "VK0103", "x", ""),
        ("print 1 | union 5", "VK0103", "5", ""),
        ("1 + 1", "VK0103", "1 + 1", "print"),
        ("let q = Small | count; T | where a > q", "VK0104", "q", "toscalar"),
        ("T | project a, a", "VK0105", "a", ""),
        ("T | extend x = 1, x = 2", "VK0105", "x", ""),
        ("T | project-rename b = a", "VK0105", "b", ""),
        ("let f = (x: long) { f(x) }; print f(1)", "VK0106", "f", ""),
        ("T | where strlen() > 1", "VK0107", "strlen", ""),
        ("T | where strlen(b, b) > 1", "VK0107", "strlen", ""),
        ("T | extend x = case(f, 1)", "VK0107", "case(f, 1)", ""),
        ("T | extend x = array_length(b)", "VK0108", "b", "parse_json"),
        ("T | extend x = startofday(b)", "VK0108", "b", "todatetime"),
        ("let f = (x: long) { x }; print f('y')", "VK0108", "'y'", "tolong"),
        ("T | extend x = extract(b, 1, b)", "VK0109", "b", ""),
        ("datatable(x: long)[rand()]", "VK0156", "rand()", ""),
        ("T | where count() > 1", "VK0111", "count()", "summarize"),
        ("T | summarize sum(count())", "VK0111", "count()", "summarize"),
        ("T | summarize x = a + count()", "VK0112", "a", "take_any"),
        ("T | extend p = prev(a)", "VK0113", "prev(a)", "serialize"),
        ("T | sort by a | summarize count() by b | extend p = row_number()", "VK0113", "row_number()", "serialize"),
        ("let f = (x: long) { x }; print f(y = 1)", "VK0114", "y", ""),
        ("let f = (x: long) { toscalar(U | where a == x | count) }; T | extend n = f(a)", "VK0115", "x", "join"),
        ("T | project-away d.x", "VK0116", "d.x", ""),
        ("T | extend (x, y) = a", "VK0117", "a", ""),
        // Types
        ("T | where a == 'x'", "VK0130", "a == 'x'", "tolong"),
        ("T | where b == a", "VK0130", "b == a", "tostring"),
        ("T | where TimeGenerated > 5", "VK0130", "TimeGenerated > 5", ""),
        ("T | where TimeGenerated == b", "VK0130", "TimeGenerated == b", "todatetime"),
        ("T | where b < 'z'", "VK0131", "b < 'z'", "strcmp"),
        ("T | where b between ('a' .. 'b')", "VK0131", "b between ('a' .. 'b')", ""),
        ("T | extend x = b + 'y'", "VK0132", "b + 'y'", "strcat"),
        ("T | extend x = f * 2", "VK0132", "f * 2", ""),
        ("T | where b", "VK0133", "b", "isnotempty"),
        ("T | where a and f", "VK0133", "a", "!= 0"),
        ("T | where a has 'x'", "VK0134", "a", "tostring"),
        ("T | where b in (TimeGenerated, 'x')", "VK0136", "TimeGenerated", ""),
        ("T | where a in ((U | project u))", "VK0136", "a in ((U | project u))", "tostring"),
        ("T | where b.x == 1", "VK0137", "b.x", "parse_json"),
        ("T | extend x = d[f]", "VK0138", "f", ""),
        ("T | extend x = iff(f, 1, 'x')", "VK0139", "iff(f, 1, 'x')", "tostring"),
        // Operators
        ("T | summarize count() by d", "VK0150", "d", "tostring"),
        ("T | join (T | project d) on d", "VK0150", "d", ""),
        ("T | join (Small | project a = k) on a", "VK0151", "a", ""),
        ("T | join U on $left.a > $right.a", "VK0152", "$left.a > $right.a", "where"),
        ("T | join U on $left.a == $left.b", "VK0152", "$left.a == $left.b", "$right"),
        ("T | join kind=sideways U on a", "VK0153", "sideways", ""),
        ("T | parse kind=regex flags=iX b with 'a' b", "VK0153", "iX", "ungreedy"),
        ("T | parse-kv b as (k: long) with (pair_delimiter=',')", "VK0153", "parse-kv", "other"),
        ("T | reduce kind=target by b", "VK0153", "target", ""),
        ("T | getschema kind=csl", "VK0205", "csl", ""), ("find in (T) where a == 1 project-away b", "VK0205", "project", "project-away"),
        ("union isfuzzy=true Missing", "VK0154", "union isfuzzy=true Missing", ""),
        ("T | mv-expand b", "VK0155", "b", "parse_json"),
        ("datatable(a: long, b: long)[1, 2, 3]", "VK0156", "datatable(a: long, b: long)[1, 2, 3]", ""),
        ("range x from 1 to 5 step 1h", "VK0157", "range x from 1 to 5 step 1h", ""),
        ("T | take 'x'", "VK0158", "'x'", ""),
        ("T | project-rename a", "VK0159", "a", ""),
        ("T | evaluate bag_unpack(d)", "VK0160", "bag_unpack", "evaluate bag_unpack"),
        ("T | count; U | count", "VK0171", "U | count", ""),
        // Not supported
        ("print a = 1 | print b = 2", "VK0026", "print", ""),
        ("T | evaluate diffpatterns_text(a)", "VK0201", "diffpatterns_text", ""),
        ("print geo_info_from_ip_address('1.2.3.4')", "VK0202", "geo_info_from_ip_address", ""),
        ("_GetWatchlist('vips') | take 1", "VK0210", "'vips'", "watchlists"),
        ("_Im_Dns(starttime=ago(1d)) | take 1", "VK0204", "_Im_Dns", ""),
        ("workspace('w').T | take 1", "VK0204", "", ""),
    ]

    @Test(arguments: cases)
    func refuses(_ query: String, _ code: String, _ text: String, _ mend: String) throws {
        let bound = bindFixture(query)
        #expect(bound.plan == nil)
        let errors = bound.diagnostics.filter { $0.severity == .error }
        let found = try #require(
            errors.first { $0.code == code }, "\(query): \(bound.diagnostics.map { "\($0.code) \($0.message)" })")
        if !text.isEmpty { #expect(SyntaxTree.parse(query).text(found.range) == text, "\(query)") }
        if !mend.isEmpty { #expect(found.mend?.contains(mend) ?? false, "\(query): \(found.mend ?? "no mend")") }
        // One cause, one error.
        #expect(errors.count == 1, "\(query): \(errors.map { "\($0.code) \($0.message)" })")
    }

    @Test func everyErrorIsReported() {
        let bound = bindFixture("T | where aa > 1 and nope(b) | extend x = yy + 1 | project x, TimeGenerated, zz")
        #expect(bound.diagnostics.filter { $0.severity == .error }.map(\.code).sorted() == ["VK0100", "VK0100", "VK0100", "VK0102"])
    }

    @Test func oneCauseOneError() {
        // An unknown table hides its columns; a failed let is reported where it is declared, once.
        #expect(bindFixture("Missing | where x > 1 | summarize count() by y | project y").diagnostics.count == 1)
        let bound = bindFixture("let q = T | where nope > 1; union q, (q | project a), q")
        #expect(bound.diagnostics.map(\.code) == ["VK0100"])
        #expect(bindFixture("T | extend x = nope | where x > 1 and x has 'y' | summarize count() by x").diagnostics.count == 1)
    }

    @Test func fixItsMendTheQuery() throws {
        let query = "T | where TimeGeneratd > ago(1d) | project A"
        var bytes = Array(query.utf8)
        let edits = bindFixture(query).diagnostics.flatMap(\.fixIts).sorted { $0.range.lower > $1.range.lower }
        #expect(edits.count == 2)
        for e in edits { bytes.replaceSubrange(e.range.lower..<e.range.upper, with: e.replacement.utf8) }
        #expect(bindFixture(String(decoding: bytes, as: UTF8.self)).schema == "a:long")
    }

    @Test func openTables() throws {
        let bound = bindFixture("Open_CL | where name_s == 'x' and n_d > 1 | summarize max(when_t), take_any(flag_b, id_g, other)")
        #expect(bound.schema == "max_when_t:datetime, flag_b:bool, id_g:guid, other:dynamic")
        #expect(bound.diagnostics.map(\.code) == Array(repeating: "VK0180", count: 6))
        // Every reference to the table has the columns, and a projection closes it.
        #expect(bindFixture("union Open_CL, (Open_CL | where x_s == 'y') | project x_s").schema == "x_s:string")
        #expect(bindFixture("let q = materialize(Open_CL); q | where x_s == 'y' | project x_s").schema == "x_s:string")
        #expect(bindFixture("Open_CL | project TimeGenerated | where x_s == 'y'").schema.hasPrefix("VK0100"))
        #expect(bindFixture("Open_CL | join kind=inner (Small) on $left.k_s == $right.k | project k_s, v").schema == "k_s:string, v:long")
        #expect(bindFixture("Open_CL | project x = column_ifexists('zz_s', 'none')").schema == "x:string")
    }

    @Test func warnings() {
        #expect(bindFixture("Blind | take 1").diagnostics.map(\.code) == ["VK0182"])
        #expect(bindFixture("Blind | take 1").plan != nil)
        #expect(bindFixture("union isfuzzy=true Small, Missing").diagnostics.map(\.code) == ["VK0181"])
    }

    @Test func growthIsLimited() {
        var query = "let q0 = Small;"
        for i in 1...20 { query += "let q\(i) = union q\(i - 1), q\(i - 1);" }
        let bound = bindFixture(query + "q20", options: BinderOptions(operatorLimit: 2000))
        #expect(bound.plan == nil)
        #expect(bound.diagnostics.map(\.code).contains("VK0172"))
    }

    /// Half-written queries, as an editor has them: no trap, and a plan only where there is no error.
    @Test(arguments: [
        BinderSchemaTests.cases.map(\.0), BinderErrorTests.cases.map(\.0),
        [
            "let f = (t: (a: long), n: long = 3) { let m = materialize(t | where a > n); m | join kind=inner (m) on $left.a == $right.a }; f(T, 7)"
        ],
    ])
    func prefixes(_ queries: [String]) {
        for query in queries {
            let bytes = Array(query.utf8)
            for end in stride(from: 0, through: bytes.count, by: 3) {
                let bound = bindFixture(String(decoding: bytes[..<end], as: UTF8.self))
                let failed = bound.diagnostics.contains { $0.severity == .error }
                #expect(failed == (bound.plan == nil))
                for d in bound.diagnostics { #expect(d.range.lower >= 0 && d.range.upper <= end) }
            }
        }
    }

    /// Functions nested beyond what the stack takes are refused.
    @Test func nestedFunctions() {
        var query = "let f0 = (x: long) { x + 1 };"
        for i in 1...80 { query += "let f\(i) = (x: long) { f\(i - 1)(x) + 1 };" }
        let bound = bindFixture(query + "print f80(1)")
        #expect(bound.plan == nil)
        #expect(bound.diagnostics.map(\.code) == ["VK0106"])
        #expect(bindFixture(query + "print f40(1)").plan != nil)

        let chain = String(repeating: " + 1", count: 200)
        var deep = "let f0 = (x: long) { x\(chain) };"
        for i in 1...40 { deep += "let f\(i) = (x: long) { f\(i - 1)(x)\(chain) };" }
        #expect(bindFixture(deep + "print f2(1)").schema == "print_0:long")
        #expect(bindFixture(deep + "print f40(1)").diagnostics.map(\.code) == ["VK0172"])
    }

    /// Every code that the binder can give is in the documentation.
    @Test func codesAreDocumented() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let listed = try String(contentsOf: root.appending(path: "docs/diagnostics.md"), encoding: .utf8)
        let sources = try String(contentsOf: root.appending(path: "Sources/KQL/BinderCodes.swift"), encoding: .utf8)
        let codes = sources.matches(of: /"(VK0\d\d\d)"/).map { String($0.output.1) }
        #expect(codes.count > 50)
        #expect(Set(codes).count == codes.count)
        for code in codes { #expect(listed.contains("`\(code)`"), "\(code) is not documented") }
    }
}
