import Columnar
import Evaluation
import KQL
import Tables
import Testing

@testable import Service

/// `parse_user_agent` over a file of patterns; the rules are those of uap-core's specification.
@Suite struct UserAgentFileTests {
    private static let patterns = #"""
        user_agent_parsers:
          - regex: '(AdobeAIR)/(\d+)\.(\d+)(?:\.(\d+)|)'
          - regex: '(Minefield|Shiretoko)/(\d+)\.(\d+)'
            family_replacement: 'Firefox ($1)'
          - regex: 'Tool/\d+'
            family_replacement: 'Tool'
            v1_replacement: '7'
          - regex: '(Tool)'
        os_parsers:
          - regex: '(Symbian)OS/(\d+)\.(\d+)'
            os_replacement: '$1 OS'
          - regex: 'Win(95|98)'
            os_replacement: 'Windows'
            os_v1_replacement: '$1'
          - regex: '(a)(b)(c)(d)(e)'
        device_parsers:
          - regex: '; (PEDI)_(PLUS)_(W) Build/'
            device_replacement: '$1_$2_$3'
            brand_replacement: 'Odys'
            model_replacement: ' $1 $2 $3 $9 '
          - regex: 'phone (x+)'
            regex_flag: 'i'
        """#

    private func store(_ text: String) throws -> WorkspaceStore {
        let folder = try Folder()
        var settings = ContentSettings()
        settings.userAgents = folder.write("regexes.yaml", text)
        return withExtendedLifetime(folder) {
            let store = WorkspaceStore(settings)
            // The folder goes; patterns are read when they are first asked for.
            _ = store.userAgents
            return store
        }
    }

    private func bind(_ query: String, _ store: WorkspaceStore) -> BoundQuery {
        KQLCompiler.bind(
            query, functions: FunctionRegistry.standard, schemas: WorkspaceCatalog().holding(store),
            options: BinderOptions(fold: ConstantFolder.fold))
    }

    private func answer(_ expression: String) throws -> String {
        let bound = bind("print x = \(expression)", try store(UserAgentFileTests.patterns))
        let plan = try #require(bound.plan, "\(bound.diagnostics)")
        let context = EvaluationContext(now: KustoTime.unixEpoch)
        let rows = try Executor(provider: MemoryTables(), context: context).collect(plan).batches
        guard case .dynamic(let d)? = rows.first?.columns.first?.value(0) else { return "null" }
        return JSONText.compact(d)
    }

    @Test(arguments: [
        ("'x AdobeAIR/2.5.1', 'browser'", #"{"Browser":{"Family":"AdobeAIR","MajorVersion":"2","MinorVersion":"5","Patch":"1"}}"#),
        ("'x AdobeAIR/2.5', 'browser'", #"{"Browser":{"Family":"AdobeAIR","MajorVersion":"2","MinorVersion":"5","Patch":""}}"#),
        (
            "'Minefield/4.0.1pre', 'browser'",
            #"{"Browser":{"Family":"Firefox (Minefield)","MajorVersion":"4","MinorVersion":"0","Patch":""}}"#
        ),
        ("'Tool/3', 'browser'", #"{"Browser":{"Family":"Tool","MajorVersion":"7","MinorVersion":"","Patch":""}}"#),
        ("'Tool', 'browser'", #"{"Browser":{"Family":"Tool","MajorVersion":"","MinorVersion":"","Patch":""}}"#),
        ("'', 'browser'", #"{"Browser":{"Family":"Other","MajorVersion":"","MinorVersion":"","Patch":""}}"#),
        (
            "'SymbianOS/9.2', 'os'",
            #"{"OperatingSystem":{"Family":"Symbian OS","MajorVersion":"9","MinorVersion":"2","Patch":"","PatchMinor":""}}"#
        ),
        ("'Win98', 'os'", #"{"OperatingSystem":{"Family":"Windows","MajorVersion":"98","MinorVersion":"","Patch":"","PatchMinor":""}}"#),
        ("'abcde', 'os'", #"{"OperatingSystem":{"Family":"a","MajorVersion":"b","MinorVersion":"c","Patch":"d","PatchMinor":"e"}}"#),
        (
            "'x; PEDI_PLUS_W Build/J', dynamic(['device'])",
            #"{"Device":{"Family":"PEDI_PLUS_W","Brand":"Odys","Model":"PEDI PLUS W"}}"#
        ),
        (
            "'PHONE xxx', dynamic(['device', 'os'])",
            #"{"Device":{"Family":"xxx","Brand":"","Model":"xxx"},"OperatingSystem":{"Family":"Other","MajorVersion":"","MinorVersion":"","Patch":"","PatchMinor":""}}"#
        ),
    ])
    func answers(_ arguments: String, _ want: String) throws {
        #expect(try answer("parse_user_agent(\(arguments))") == want)
    }

    @Test("what is looked for may come from a column; anything else than the three is an error")
    func lookFor() throws {
        #expect(try answer("parse_user_agent('Win95', iff(rand() < 2, 'os', 'x')).OperatingSystem.MajorVersion") == #""95""#)
        #expect(throws: EvaluationError.self) { try answer("parse_user_agent('Win95', 'cpu')") }
    }

    @Test func withoutPatterns() throws {
        let bound = KQLCompiler.bind(
            "print parse_user_agent('x', 'os')", functions: FunctionRegistry.standard, schemas: WorkspaceCatalog(),
            options: BinderOptions())
        let error = try #require(bound.diagnostics.first { $0.severity == .error })
        #expect(error.code == "VK0214")
        #expect(error.mend?.contains("uap-core") == true)
    }

    @Test(arguments: [
        "", "a: 1", "user_agent_parsers: []\nos_parsers: []", "user_agent_parsers: [{a: b}]\nos_parsers: []\ndevice_parsers: []", "a: [",
    ])
    func badFiles(_ text: String) throws {
        let store = try store(text)
        #expect(store.findings.map(\.code) == ["VK0214"])
        #expect(bind("print parse_user_agent('x', 'os')", store).diagnostics.map(\.code) == ["VK0214"])
    }

    @Test("a pattern that is none is an error when it is first needed")
    func badPattern() throws {
        let text = UserAgentFileTests.patterns.replacing("'Win(95|98)'", with: "'Win(95'")
        let bound = bind("print x = parse_user_agent('x', 'os'), y = parse_user_agent('x', 'browser')", try store(text))
        let plan = try #require(bound.plan)
        #expect(throws: EvaluationError.self) {
            try Executor(provider: MemoryTables(), context: EvaluationContext(now: 0)).collect(plan)
        }
    }
}
