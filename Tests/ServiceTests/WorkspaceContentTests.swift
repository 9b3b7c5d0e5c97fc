import Columnar
import Detection
import Evaluation
import Glibc
import KQL
import Matcher
import Rules
import Tables
import Testing

@testable import Service

@Suite struct WorkspaceContentTests {
    private func store(functions: [(String, String)] = [], watchlists: [(String, String)] = []) throws -> WorkspaceStore {
        let folder = try Folder()
        var settings = ContentSettings()
        for (name, text) in functions { settings.functions.append(folder.write(name, text)) }
        for (name, text) in watchlists { settings.watchlists.append(folder.write(name, text)) }
        return withExtendedLifetime(folder) { WorkspaceStore(settings) }
    }

    private func bind(_ query: String, _ store: WorkspaceStore) -> BoundQuery {
        KQLCompiler.bind(
            query, functions: FunctionRegistry.standard, schemas: WorkspaceCatalog().holding(store),
            options: BinderOptions(fold: ConstantFolder.fold))
    }

    /// Every parser of a schema gives the same columns: else a union of them would split columns by type.
    @Test(arguments: ["Authentication", "AuditEvent", "NetworkSession"]) func parsersOfASchemaAgree(_ schema: String) throws {
        let store = try store()
        let names = store.savedFunctionNames.filter { $0.contains(schema) }
        #expect(names.count >= 10)
        var columns: Set<[String]> = []
        for name in names {
            let bound = bind(name, store)
            #expect(store.shown(bound.diagnostics).isEmpty, "\(name): \(bound.diagnostics)")
            columns.insert(try #require(bound.plan, "\(name)").columns.map { "\($0.name):\($0.type.rawValue)" })
        }
        #expect(columns.count == 1)
        let required = [
            "TimeGenerated:datetime", "Type:string", "EventCount:int", "EventResult:string", "EventVendor:string",
            "EventSchemaVersion:string",
        ]
        #expect(Set(required).isSubset(of: columns.first ?? []))
    }

    private func split(_ query: String) throws -> SplitQuery {
        let bound = bind(query, try store())
        let plan = try #require(bound.plan, "\(bound.diagnostics)")
        return LegSplitter.split(plan, nextColumnID: bound.nextColumnID, functions: FunctionRegistry.standard)
    }

    private func operators(_ plan: Plan) -> Int {
        var n = 0
        PlanTools.forEachNode(plan) { p in if case .filter = p.kind { n += 1 } }
        return n
    }

    /// A rule over a unifying parser has a leg a table, and its conditions are in the legs.
    @Test func conditionsReachTheTables() throws {
        let s = try split(
            "_Im_Authentication | where EventResult == 'Failure' and TargetUsername has 'eve' | project TimeGenerated, SrcIpAddr")
        #expect(
            s.legs.map(\.table).sorted() == [
                "AADManagedIdentitySignInLogs", "AADNonInteractiveUserSignInLogs", "AADServicePrincipalSignInLogs", "AWSCloudTrail",
                "SigninLogs",
            ])
        #expect(s.legs.allSatisfy { operators($0.prefix) >= 1 })
        #expect(operators(s.suffix) == 0)
    }

    @Test func defaultsOfFiltersCostNothing() throws {
        let plain = try split("_Im_NetworkSession_AWSVPC")
        // The table's own condition alone.
        #expect(operators(plain.legs[0].prefix) == 1)
        let filtered = try split("_Im_NetworkSession_AWSVPC(dstportnumber=22, eventresult='Failure')")
        #expect(operators(filtered.legs[0].prefix) > 1)
    }

    /// `now()` bounds each leg's view and keeps nothing from reaching the tables.
    @Test(arguments: [
        "_Im_Authentication(starttime=ago(1h), endtime=now()) | where EventResult == 'Failure'",
        "_Im_Authentication | where TimeGenerated > ago(1h) | where EventResult == 'Failure'",
        "_Im_Authentication | where ago(1h) <= TimeGenerated and EventResult == 'Failure'",
    ]) func timesBecomeHorizons(_ query: String) throws {
        let s = try split(query)
        #expect(s.legs.count == 5)
        #expect(s.legs.allSatisfy { !$0.horizon.isEmpty })
        #expect(operators(s.suffix) == 0)
    }

    /// An upper bound above a union must not turn a rule into a comparison with the past.
    @Test func upperBoundsStayAboveUnions() throws {
        let s = try split("union SigninLogs, AADNonInteractiveUserSignInLogs | where TimeGenerated between (ago(2h) .. ago(1h))")
        #expect(s.legs.allSatisfy { $0.horizon.isEmpty })
        #expect(operators(s.suffix) == 1)
    }

    @Test func functionsTakeDefaultsNamesAndTables() throws {
        let store = try store(functions: [
            ("a.kql", "// Twice(n: long = 4)\nn * 2"), ("b.kql", "// Rows(T: (*), n: long = 1)\nT | extend y = x + n | where y > Twice(1)"),
        ])
        #expect(bind("print a = Twice(), b = Twice(n = 3)", store).plan != nil)
        #expect(bind("Rows((range x from 1 to 3 step 1), n = 5)", store).plan?.columns.map(\.name) == ["x", "y"])
        #expect(bind("range x from 1 to 3 step 1 | invoke Rows(2)", store).plan?.columns.map(\.name) == ["x", "y"])
        #expect(bind("let Twice = (n: string) { n }; print Twice('own')", store).plan?.columns.first?.type == .string)
    }

    @Test func recursionNamesItsCycle() throws {
        let store = try store(functions: [
            ("a.kql", "// A()\nB | take 1"), ("b.kql", "// B()\nunion (A()), (print 1)"), ("c.kql", "// C()\nC"),
        ])
        let direct = bind("C", store).diagnostics.filter { $0.severity == .error }
        #expect(direct.map(\.code) == ["VK0106"])
        #expect(direct.first?.message.contains("C → C") == true)
        let d = try #require(bind("A | count", store).diagnostics.first { $0.severity == .error })
        #expect(d.message.contains("A → B → A"))
        #expect(store.librarySource(of: d.range)?.file.hasSuffix("b.kql") == true)
    }

    @Test func findingsPointIntoTheFunction() throws {
        let store = try store(functions: [("f.kql", "// F()\nSigninLogs\n| where Nope == 1\n")])
        let query = "F | take 1"
        let d = try #require(bind(query, store).diagnostics.first { $0.severity == .error })
        let text = DiagnosticRenderer(source: query).render(d, content: store)
        #expect(text.contains("f.kql:3:9: error[VK0100]"))
        #expect(text.contains("| where Nope == 1"))
    }

    @Test func rulesSayWhereAFunctionIsWrong() throws {
        let folder = try Folder()
        var settings = ContentSettings()
        settings.functions = [folder.write("f.kql", "// F()\nSigninLogs\n| where UserPrincipalName == 'a@b.c'\n| where Nope == 1\n")]
        settings.watchlists = [folder.write("vips.csv", "UPN\neve\n")]
        let rule = folder.write(
            "r.yaml",
            """
            id: 00000009-0000-4000-8000-0000000000a1
            name: R
            description: R.
            severity: Low
            queryFrequency: 1h
            queryPeriod: 1h
            triggerOperator: gt
            triggerThreshold: 0
            tactics: [Discovery]
            relevantTechniques: [T1087]
            query: F
            version: 1.0.0
            """)
        let book = try withExtendedLifetime(folder) {
            try RuleBook.load([rule], catalog: WorkspaceCatalog().holding(WorkspaceStore(settings)))
        }
        let entry = try #require(book.entries.first)
        #expect(entry.state == .refused)
        let f = try #require(entry.findings.first { $0.severity == .error })
        #expect(f.file?.hasSuffix("f.kql") == true)
        #expect([f.line, f.column] == [4, 9])
        #expect(entry.firstError.contains("f.kql:4:9"))
        #expect(entry.rendered(notes: true).contains("4 | | where Nope == 1"))
    }

    @Test func lintsOfFunctionsAreShownInTheirFile() throws {
        let folder = try Folder()
        var settings = ContentSettings()
        settings.functions = [folder.write("f.kql", "// F()\nSigninLogs\n| where UserPrincipalName == 'a@b.c'\n")]
        let rule = folder.write(
            "r.yaml",
            "id: 00000009-0000-4000-8000-0000000000a2\nname: R\ndescription: R.\nseverity: Low\nkind: NRT\ntactics: [Discovery]\nrelevantTechniques: [T1087]\nquery: F\nversion: 1.0.0\n"
        )
        let book = try withExtendedLifetime(folder) {
            try RuleBook.load([rule], catalog: WorkspaceCatalog().holding(WorkspaceStore(settings)))
        }
        let lint = try #require(book.entries.first?.findings.first { $0.code == "VK0504" })
        #expect(lint.file?.hasSuffix("f.kql") == true)
        #expect(lint.line == 3)
    }

    // MARK: Watchlists

    @Test(arguments: [
        ("_GetWatchlist('vips') | project SearchKey, Dept", ["SearchKey", "Dept"]),
        ("_GetWatchlist('VIPS', dynamic(['eve'])) | project UPN", ["UPN"]),
        ("_GetWatchlistAlias", ["WatchlistAlias"]), ("let a = 'vips'; _GetWatchlist(a) | project UPN", ["UPN"]),
        ("print x = 1 | where 'eve' in ((_GetWatchlist('vips') | project UPN))", ["x"]),
        (
            "SigninLogs | lookup kind=leftouter _GetWatchlist('vips') on $left.UserPrincipalName == $right.SearchKey | project Dept",
            ["Dept"]
        ),
    ]) func watchlistsAreTables(_ query: String, _ columns: [String]) throws {
        let bound = bind(query, try store(watchlists: [("vips.csv", "UPN,Dept\neve,HR\nbob,IT\n")]))
        #expect(bound.plan?.columns.map(\.name) == columns, "\(bound.diagnostics)")
    }

    @Test(arguments: [
        ("_GetWatchlist('vip')", "VK0210", "did you mean `vips`?"), ("_GetWatchlist('zzzzzz')", "VK0210", "`vips`"),
        ("_GetWatchlist('bad')", "VK0211", ""), ("_GetWatchlist('vips') | where Detp == ''", "VK0100", "did you mean `Dept`?"),
        ("print a = 'x' | extend l = toscalar(_GetWatchlist(a) | count)", "VK0100", ""), ("_GetWatchlist()", "VK0107", ""),
        ("_GetWatchlist('vips', 'x')", "VK0109", ""),
    ]) func watchlistMistakes(_ query: String, _ code: String, _ mend: String) throws {
        let bound = bind(query, try store(watchlists: [("vips.csv", "UPN,Dept\neve,HR\n"), ("bad.csv", "")]))
        let d = try #require(bound.diagnostics.first { $0.severity == .error })
        #expect(d.code == code, "\(d)")
        #expect((d.mend ?? "").contains(mend))
    }

    /// Other rows keep a rule's state, other columns or another function do not.
    @Test func versionsOfContent() throws {
        let rule = AnalyticsRule(
            id: "r", name: "R", query: "F | where UserPrincipalName in (_GetWatchlist('vips') | project UPN)",
            queryFrequency: 36_000_000_000,
            queryPeriod: 36_000_000_000)
        func compiled(_ function: String, _ list: String) throws -> RuleProgram {
            let content = try store(functions: [("f.kql", "// F()\n" + function)], watchlists: [("vips.csv", list)])
            let compiler = RuleCompiler(functions: FunctionRegistry.standard, schemas: WorkspaceCatalog().holding(content))
            let (program, diagnostics) = compiler.compile(rule)
            return try #require(program, "\(diagnostics)")
        }
        let first = try compiled("SigninLogs", "UPN\neve\n")
        #expect(try compiled("SigninLogs", "UPN\nbob\n").fingerprint == first.fingerprint)
        #expect(try compiled("SigninLogs", "UPN,New\neve,1\n").fingerprint != first.fingerprint)
        #expect(try compiled("SigninLogs | where ResultType == '0'", "UPN\neve\n").fingerprint != first.fingerprint)
    }
}

@Suite struct ExternalDataTests {
    private func read(_ query: String, _ allowed: [String], maximumBytes: Int = 1 << 20) -> BoundQuery {
        var settings = ContentSettings()
        settings.external.allowed = allowed
        settings.external.maximumBytes = maximumBytes
        return KQLCompiler.bind(
            query, functions: FunctionRegistry.standard, schemas: WorkspaceCatalog().holding(WorkspaceStore(settings)),
            options: BinderOptions(fold: ConstantFolder.fold))
    }

    private func rows(_ b: BoundQuery) -> [[Value]]? {
        guard let plan = b.plan, case .rows(let rows) = plan.kind else { return nil }
        return rows
    }

    @Test func formats() throws {
        let f = try Folder()
        defer { withExtendedLifetime(f) {} }
        let csv = f.write("a.csv", "name,n\n\"x,y\",3\nz,no\n")
        let json = f.write("a.json", "{\"name\":\"x\",\"n\":3}\n{\"n\":null,\"name\":{\"a\":1}}\n")
        let txt = f.write("a.txt", "one\r\ntwo\n")
        let tsv = f.write("a.tsv", "\"q\t7\n")
        #expect(
            rows(read("externaldata (name: string, n: long) [@'\(csv)'] with (format='csv', ignoreFirstRecord=true)", [f.path]))
                == [[.string("x,y"), .long(3)], [.string("z"), .null(.long)]])
        #expect(
            rows(read("externaldata (name: string, n: int) ['\(json)'] with (format=multijson)", [f.path]))
                == [[.string("x"), .int(3)], [.string("{\"a\":1}"), .null(.int)]])
        #expect(rows(read("externaldata (line: string) ['\(txt)']", [f.path])) == [[.string("one")], [.string("two")]])
        #expect(
            rows(read("externaldata (a: string, b: real, c: string) ['\(tsv)']", [f.path])) == [[.string("\"q"), .real(7), .string("")]])
        #expect(rows(read("externaldata (all: string) ['\(txt)'] with (format='raw')", [f.path])) == [[.string("one\r\ntwo\n")]])
        #expect(
            rows(read("externaldata (l: string) [h'\(txt)', '\(txt);secret'] with (format=txt, ignoreFirstRecord=true)", [f.path]))
                == [[.string("two")], [.string("two")]])
    }

    private func refusal(_ b: BoundQuery) -> String { b.diagnostics.first { $0.severity == .error && $0.code == "VK0212" }?.message ?? "" }

    @Test func filesOutsideAreRefused() throws {
        let f = try Folder()
        defer { withExtendedLifetime(f) {} }
        let inside = f.path + "/in"
        mkdir(inside, 0o700)
        let secret = f.write("secret.csv", "s\n")
        symlink(secret, inside + "/link.csv")
        mkdir(f.path + "/inside", 0o700)
        let beside = f.write("inside/b.csv", "s\n")
        for path in [
            secret, inside + "/link.csv", inside + "/../secret.csv", "file://" + secret, beside, "/proc/self/environ", "/nowhere/x",
        ] {
            #expect(refusal(read("externaldata (s: string) ['\(path)']", [inside])).contains("is not allowed"), "\(path)")
        }
        #expect(refusal(read("externaldata (s: string) ['\(inside)/gone.csv']", [inside])).contains("No such file"))
        #expect(refusal(read("externaldata (s: string) ['\(inside)']", [inside])).contains("no regular file"))
        #expect(refusal(read("externaldata (s: string) ['\(secret)']", [])).contains("is not allowed"))
        #expect(refusal(read("externaldata (s: string) ['\(secret)']", [f.path], maximumBytes: 1)).contains("larger than 1 bytes"))
        #expect(refusal(read("externaldata (s: string) ['ftp://h/x']", [f.path])).contains("neither a file nor"))
    }

    @Test(arguments: [
        ("https://h/p/x.csv", "https://h/p", true), ("https://h/p/x.csv", "https://h/p/", true), ("https://H:443/p", "https://h/p", true),
        ("https://h/px", "https://h/p", false), ("https://h/p?q=1", "https://h/p", true), ("http://h/p", "https://h/p", false),
        ("https://h:444/p", "https://h/p", false), ("https://h.evil/p", "https://h/p", false), ("https://h@evil/p", "https://h", false),
        ("https://evil#@h/p", "https://h", false), ("https://h/p/../q", "https://h/p", false),
        ("https://h/p/%2e%2E/q", "https://h/p", false),
        ("https://h/p\\..\\q", "https://h/p", false), ("https://h/a b", "https://h", false), ("https://h", "https://h/", true),
        ("https://h/p/..%2fq", "https://h/p", false), ("https://h:443@evil/", "https://h", false),
    ]) func prefixes(_ url: String, _ prefix: String, _ want: Bool) { #expect(ExternalData.isAllowed(url, by: [prefix]) == want) }

    @Test(arguments: [
        ("externaldata (a: string) ['x'] with (format='avro')", "VK0205"), ("externaldata (a: string) ['x'] with (mystery=1)", "VK0205"),
        ("externaldata (a: string, a: long) ['x']", "VK0105"), ("externaldata (a: string) [tostring(now())]", "VK0109"),
        ("externaldata (a: string) ['https://example.com/x']", "VK0212"),
    ]) func mistakes(_ query: String, _ code: String) {
        #expect(read(query, []).diagnostics.first { $0.severity == .error }?.code == code)
    }
}
