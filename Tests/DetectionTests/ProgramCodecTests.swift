import Columnar
import Evaluation
import KQL
import Rules
import Tables
import Testing

@testable import Detection
@testable import Matcher

/// What is kept of a compiled rule is all of it.
@Suite struct ProgramCodecTests {
    static let queries = [
        "AzureActivity | where OperationNameValue =~ 'x' and Caller has 'y' | summarize n = count() by Caller | where n > 3",
        "SigninLogs | where tostring(DeviceDetail.os) in ('a', 'b') or UserAgent matches regex 'a[0-9]+' | project TimeGenerated, UserPrincipalName",
        "let a = AuditLogs | where TimeGenerated > ago(1h) | summarize by Identity; AuditLogs | where TimeGenerated between (ago(14d) .. ago(1h)) | join kind=leftanti a on Identity",
        "union withsource = T AWSCloudTrail, AzureActivity | where TimeGenerated > ago(1d) | extend x = iff(isempty(T), 1.5, real(null)), g = guid(74be27de-1e4e-49d9-b579-fe0b331d3642), d = decimal(1.25), t = 3d",
        "AzureActivity | parse OperationName with * 'a' x:long 'b' y | mv-expand z = parse_json(Properties).items to typeof(string) | where x > 3 | top 5 by TimeGenerated asc nulls first",
        "let m = materialize(SigninLogs | summarize c = count() by IPAddress); m | where c > toscalar(m | summarize avg(c)) | sort by c",
        "SigninLogs | where UserPrincipalName in ((AuditLogs | distinct Identity)) | sample 5 | take 3",
        "SigninLogs | make-series n = count() default = 0 on TimeGenerated from ago(1d) to now() step 1h by AppDisplayName | extend a = series_decompose_anomalies(n)",
        "SigninLogs | sort by TimeGenerated | serialize r = row_number(), p = prev(IPAddress) | mv-apply i = range(1, 3) to typeof(int) on (where i > 1)",
        "datatable(a: long, b: dynamic) [1, dynamic({\"x\": [1, 2.5, null, true]}), 2, dynamic(\"s\")] | partition by a (take 1)",
        "SigninLogs | getschema", "range x from 1 to 3 step 1", "print 1",
        "SigninLogs | project ResultType, UserPrincipalName | evaluate narrow()",
        "SigninLogs | parse-where kind=regex flags=i UserAgent with * 'v' v:real *",
        "AzureActivity | where TimeGenerated < ago(1h) | summarize arg_max(TimeGenerated, *), percentiles(strlen(Caller), 5, 95) by bin(TimeGenerated, 1h)",
    ]

    static func rule(_ query: String) -> AnalyticsRule {
        var rule = AnalyticsRule(
            id: "74be27de-1e4e-49d9-b579-fe0b331d3642", name: "n", query: query, queryFrequency: KustoTime.ticksPerHour,
            queryPeriod: 14 * KustoTime.ticksPerDay)
        rule.entityMappings = [.init(entityType: "Account", fields: [.init(identifier: "FullName", columnName: "Caller")])]
        rule.grouping = .alertPerResult
        return rule
    }

    static func compile(_ query: String) throws -> RuleProgram {
        let (program, diagnostics) = RuleCompiler(functions: FunctionRegistry.standard, schemas: WorkspaceCatalog()).compile(rule(query))
        return try #require(program, "\(query): \(diagnostics.map { $0.message })")
    }

    static func bytes(_ program: RuleProgram) throws -> [UInt8] {
        var w = PackedWriter()
        try program.write(to: &w)
        return w.bytes
    }

    static func read(_ r: inout PackedReader, of bytes: [UInt8]) throws -> RuleProgram {
        // Each atom keeps trees of its own, so that all bytes are the same again.
        var parts = StoredParts(sharesAtoms: false)
        return try RuleProgram(from: &r, of: bytes, file: "f", functions: FunctionRegistry.standard, parts: &parts)
    }

    @Test(arguments: queries) func aProgramIsReadAsItWasWritten(query: String) throws {
        let program = try ProgramCodecTests.compile(query)
        let bytes = try ProgramCodecTests.bytes(program)
        var r = PackedReader(bytes)
        let again = try ProgramCodecTests.read(&r, of: bytes)
        #expect(r.isAtEnd)
        var rule = program.rule
        rule.file = "f"
        #expect("\(again.rule)" == "\(rule)" && again.isEnabled == rule.isEnabled && again.identifier == program.identifier)
        // Written once more, it is the same: every tree with ranges, types and sharing.
        #expect(try ProgramCodecTests.bytes(again) == bytes)
        #expect(again.split.suffix.dump() == program.split.suffix.dump())
        #expect(again.split.suffix.weight == program.split.suffix.weight && again.split.suffix.levels == program.split.suffix.levels)
        for (a, b) in zip(again.split.legs, program.split.legs) {
            #expect(a.prefix.dump() == b.prefix.dump() && a.horizon.map { $0.dump() } == b.horizon.map { $0.dump() })
            #expect(a.index == b.index && a.table == b.table && a.source == b.source && a.timeColumn == b.timeColumn)
            #expect(a.columns == b.columns)
        }
        #expect(again.split.legs.count == program.split.legs.count)
        #expect(again.fingerprint == program.fingerprint && again.presentation == program.presentation)
        #expect(again.isMonotone == program.isMonotone && again.isRowLocal == program.isRowLocal)
        #expect(again.isBaseline == program.isBaseline && again.needsEmptyTicks == program.needsEmptyTicks)
        #expect(again.groupColumns == program.groupColumns && again.tables == program.tables && again.clock == program.clock)
        #expect(again.columns == program.columns && again.horizons.map(\.count) == program.horizons.map(\.count))
        #expect(again.strategyDescription == program.strategyDescription)
        #expect(again.builder.mapper.columns == program.builder.mapper.columns)
    }

    @Test(arguments: queries) func damagedBytesGiveAnErrorNeverATrap(query: String) throws {
        let program = try ProgramCodecTests.compile(query)
        let bytes = try ProgramCodecTests.bytes(program)
        var dice = SystemRandomNumberGenerator()
        func read(_ bytes: [UInt8]) {
            var r = PackedReader(bytes)
            guard let p = try? ProgramCodecTests.read(&r, of: bytes) else { return }
            _ = p.rule
            _ = p.split.suffix.levels
            for leg in p.split.legs {
                _ = leg.prefix.levels
                for c in leg.knownClauses ?? [] { for a in c.atoms { _ = a.trees.expr.levels + a.fingerprint.utf8.count } }
            }
        }
        for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64)) { read(Array(bytes.prefix(length))) }
        for _ in 0..<300 {
            var b = bytes
            b[Int.random(in: 0..<b.count, using: &dice)] ^= UInt8(1 << Int.random(in: 0..<8, using: &dice))
            read(b)
        }
    }

    /// A new stored property must be carried from run to run (or be made anew), and then be named here.
    @Test func everyStoredPropertyIsKnownToTheCodec() throws {
        func labels(_ x: Any) -> Set<String> { Set(Mirror(reflecting: x).children.compactMap(\.label)) }
        let program = try ProgramCodecTests.compile(ProgramCodecTests.queries[0])
        #expect(
            labels(program) == [
                "isEnabled", "identifier", "split", "clock", "behaviour", "presentation", "isMonotone", "isRowLocal", "isBaseline",
                "needsEmptyTicks", "groupColumns", "functions", "stored", "made", "readsReferenceData", "tables",
            ])
        #expect(labels(program.split) == ["legs", "tree", "suffixUsesNow", "emptyGivesEmpty"])
        let leg = try #require(program.split.legs.first)
        #expect(labels(leg) == ["index", "table", "input", "timeColumn", "stored", "read", "witness", "made"])
        let atom = try #require(leg.knownClauses?.first?.atoms.first)
        #expect(labels(atom) == ["column", "type", "form", "written", "subjectFingerprint", "digest", "stored", "read", "tested"])
        #expect(labels(atom.trees) == ["expr", "input", "subject"])
        #expect(labels(atom.trees.expr) == ["kind", "type", "range", "levels", "weight"])
        #expect(labels(program.split.suffix) == ["kind", "columns", "range", "levels", "weight"])
        #expect(
            labels(program.rule) == [
                "id", "name", "description", "severity", "kind", "query", "queryFrequency", "queryPeriod", "triggerOperator",
                "triggerThreshold", "startTime", "tactics", "techniques", "entityMappings", "sentinelEntityColumns", "customDetails",
                "detailsOverride", "grouping", "suppression", "isEnabled", "version", "file", "queryLine", "queryColumn",
            ])
    }

    @Test func aRuleIsReadAsItWasWritten() throws {
        var rule = ProgramCodecTests.rule("print 1")
        rule.description = "Ünï"
        rule.severity = .high
        rule.kind = .nrt
        rule.triggerOperator = .notEqual
        rule.triggerThreshold = 7
        rule.startTime = 5
        rule.tactics = ["Impact"]
        rule.techniques = ["T1485"]
        rule.sentinelEntityColumns = ["E"]
        rule.customDetails = [.init(identifier: "a", columnName: "b")]
        var o = AnalyticsRule.DetailsOverride()
        o.displayNameFormat = "{{a}}"
        o.severityColumn = "s"
        o.dynamicProperties = [.init(identifier: "ProductName", columnName: "p")]
        rule.detailsOverride = o
        rule.suppression = 9
        rule.isEnabled = false
        rule.version = "1.0.0"
        rule.queryLine = 12
        rule.queryColumn = 3
        rule.file = "f"
        var w = PackedWriter()
        rule.write(to: &w)
        var r = PackedReader(w.bytes)
        #expect("\(try AnalyticsRule(from: &r, file: "f"))" == "\(rule)" && r.isAtEnd)
    }
}
