import Columnar
import Evaluation
import Foundation
import Testing

@testable import KQL

/// The list of the language is what parser and binder go by, says the truth about what is supported, and is what the documentation shows.
@Suite("the language reference")
struct LanguageReferenceTests {
    private static let context = EvaluationContext(now: KustoTime.unixEpoch + 1_700_000_000 * KustoTime.ticksPerSecond, seed: 7)

    /// A workspace with one table, which no query finds rows in.
    private struct Workspace: SchemaCatalog {
        var tableNames: [String] { ["SigninLogs"] }
        func table(_ name: String) -> TableSchema? {
            name == "SigninLogs" ? TableSchema(name: name, columns: [SchemaColumn("TimeGenerated", .datetime)]) : nil
        }
        var content: (any WorkspaceContent)? { nil }
    }

    private func bind(_ query: String) -> BoundQuery {
        var options = BinderOptions(fold: ConstantFolder.fold)
        options.severalResults = true
        return KQLCompiler.bind(query, functions: FunctionRegistry.standard, schemas: Workspace(), options: options)
    }

    private func errors(_ q: BoundQuery) -> [Diagnostic] { q.diagnostics.filter { $0.severity == .error } }

    /// What needs content of a workspace to run: its examples are bound by the tests of that content.
    private static let needContent: Set<String> = [
        "externaldata", "_GetWatchlist", "_GetWatchlistAlias", "table", "geo_info_from_ip_address", "parse_user_agent",
    ]

    static let supported = LanguageReference.elements.filter { $0.isSupported && !needContent.contains($0.name) }
    static let refused = LanguageReference.elements.filter { !$0.isSupported }

    @Test("every example of what is supported runs", arguments: supported)
    func examples(_ e: LanguageElement) throws {
        let bound = bind(e.example)
        guard let plan = bound.plan else {
            Issue.record("\(e.name): \(e.example): \(errors(bound).map { "\($0.code) \($0.message)" })")
            return
        }
        let executor = Executor(provider: MemoryTables(), context: LanguageReferenceTests.context)
        try executor.runResults(plan) { _, _ in true }
        #expect(bound.diagnostics.allSatisfy { $0.severity != .error })
    }

    @Test("whatever is not supported is refused with its code", arguments: refused)
    func refusals(_ e: LanguageElement) {
        guard case .refused(let code, let reason) = e.support else { return }
        let found = errors(bind(e.example))
        #expect(found.contains { $0.code == code }, "\(e.name): \(e.example): \(found.map { "\($0.code) \($0.message)" })")
        #expect(!reason.isEmpty && !e.summary.isEmpty)
    }

    @Test("entries are whole, and a kind has each name once")
    func entries() {
        var seen: Set<String> = []
        for e in LanguageReference.elements {
            #expect(!e.syntax.isEmpty && !e.example.isEmpty && e.summary.hasSuffix("."), "\(e.name)")
            for n in e.names { #expect(seen.insert("\(e.kind) \(n)").inserted, "\(e.kind.rawValue) \(n) twice") }
        }
        #expect(LanguageReference.elements(of: .function).count > 350)
        #expect(LanguageReference.elements(of: .aggregate).count > 50)
    }

    @Test("all that parser and binder accept is listed")
    func complete() {
        func listed(_ kind: LanguageElement.Kind) -> Set<String> { Set(LanguageReference.elements(of: kind).flatMap(\.names)) }
        #expect(Parser.operatorNames == listed(.tabularOperator))
        #expect(Set(JoinKind.allCases.map(\.rawValue)).isSubset(of: listed(.joinKind)))
        let ordering: Set<String> = ["or", "and", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"]
        #expect(Set(BinaryOperator.allCases.map(\.rawValue)).subtracting(ordering).isSubset(of: listed(.textOperator)))
        #expect(Set(ListOperator.allCases.map(\.rawValue)).isSubset(of: listed(.textOperator)))
        #expect(BindingSession.tabularFunctions.union(["toscalar", "totable"]) == listed(.source))
        #expect(BindingSession.graphFunctions == listed(.graphFunction))
        let callable = listed(.function).union(listed(.aggregate)).union(listed(.source))
        #expect(BindingSession.builtinScalars.isSubset(of: callable), "\(BindingSession.builtinScalars.subtracting(callable))")
        #expect(Set(FunctionRegistry.standard.names).isSubset(of: callable))
    }

    @Test("names that are nearly a plugin's are mended, others are refused")
    func plugins() {
        let near = errors(bind("print d = dynamic({}) | evaluate bag_unpck(d)"))
        #expect(near.map(\.code) == ["VK0201"])
        #expect(near.first?.mend == "did you mean `bag_unpack`?")
    }

    @Test("options of the service are accepted with a warning, unless they would change the rows")
    func options() {
        let bound = bind("set notruncation; set servertimeout = 10m; print 1")
        #expect(bound.plan != nil)
        #expect(bound.diagnostics.map(\.code) == ["VK0183", "VK0183"])
        #expect(bound.diagnostics.allSatisfy { $0.severity == .warning })
        #expect(errors(bind("set query_now = datetime(2020-01-01); print now()")).map(\.code) == ["VK0205"])
    }

    @Test("hints are accepted wherever they may stand")
    func hints() {
        for query in [
            "print x = 1 | join hint.strategy=shuffle hint.shufflekey=x kind=inner (print x = 1) on x",
            "print x = 1 | summarize hint.strategy=shuffle hint.num_partitions=8 count() by x",
            "print x = 1 | lookup hint.remote=local (print x = 1) on x",
            "union hint.concurrency=2 hint.spread=1 (print x = 1), (print x = 2)",
            "print x = 1 | partition hint.strategy=native hint.concurrency=2 by x (count)",
            "print x = 1 | distinct hint.strategy=shuffle x",
            "print x = 1 | evaluate hint.distribution=per_node narrow()", "print x = 1 | as hint.materialized=true T | where x in (T)",
            "print x = 1 | top hint.pass_filters=x 1 by x",
        ] {
            let bound = bind(query)
            #expect(bound.plan != nil && bound.diagnostics.isEmpty, "\(query): \(bound.diagnostics.map(\.message))")
        }
    }

    @Test("the page shows the registry as it is")
    func page() throws {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/kql.md")
        let text = try String(contentsOf: url, encoding: .utf8)
        let parts = text.components(separatedBy: "<!-- vedette functions --format markdown -->\n")
        #expect(parts.count == 2)
        let expected = LanguageReference.markdown()
        #expect(
            parts.last?.trimmingCharacters(in: .newlines) == expected.trimmingCharacters(in: .newlines),
            "docs/kql.md is stale: run Tools/update-kql-reference.sh")
    }
}

extension LanguageElement: CustomTestStringConvertible {
    public var testDescription: String { "\(kind.rawValue) \(name)" }
}
