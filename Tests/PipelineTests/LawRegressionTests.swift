import Columnar
import KQL
import Matcher
import Rules
import Testing

@testable import Detection

/// Defects that the law's random cases, or a look behind them, have found: each as the smallest case that shows it.
@Suite struct LawRegressionTests {
    static let minute = KustoTime.ticksPerMinute

    /// A row of the row-form table, `at` in minutes after the start.
    static func row(_ at: Double, _ fields: String = "") -> LogRecord {
        let time = LogGenerator.start + Int64(at * Double(minute))
        let text = JSONText.compact(.string(KustoTime.isoString(time)))
        return LogRecord(
            time: time, table: "Law_CL", json: "{\"Type\":\"Law_CL\",\"TimeGenerated\":\(text)\(fields.isEmpty ? "" : "," + fields)}")
    }

    static func trail(_ at: Double, _ user: String = "alice") -> LogRecord {
        let time = LogGenerator.start + Int64(at * Double(minute))
        let text = JSONText.compact(.string(KustoTime.isoString(time)))
        return LogRecord(
            time: time, table: "AWSCloudTrail",
            json:
                "{\"eventVersion\":\"1.08\",\"awsRegion\":\"eu-west-1\",\"eventID\":\"e\",\"eventTime\":\(text),\"eventSource\":\"iam.amazonaws.com\",\"eventName\":\"GetUser\","
                + "\"userIdentity\":{\"type\":\"IAMUser\",\"userName\":\"\(user)\"}}")
    }

    static func rule(_ query: String, every: Int64 = 5, over: Int64 = 5, _ change: (inout AnalyticsRule) -> Void = { _ in })
        -> AnalyticsRule
    {
        var r = AnalyticsRule(
            id: "00000000-0000-4000-8000-000000000001", name: "Law", query: query, queryFrequency: every * minute,
            queryPeriod: over * minute)
        change(&r)
        return r
    }

    static func lawCase(_ sources: [[LogRecord]], _ rule: AnalyticsRule, lateness: Int64 = 0) throws -> LawCase {
        let log = RandomLog(sources: sources, scale: .minutes, start: LogGenerator.start, lateness: lateness * minute)
        return try LawCase(seed: 1, log: log, rules: [rule])
    }

    static func program(_ query: String, _ change: (inout AnalyticsRule) -> Void = { _ in }) throws -> RuleProgram {
        let compiled = RuleCompiler(functions: LawCase.functions, schemas: LawCase.catalog).compile(rule(query, change))
        return try #require(compiled.program, "\(compiled.diagnostics.map(\.message))")
    }

    private func holds(_ lawCase: LawCase, _ configurations: [LawConfiguration]) throws {
        let harness = try LawHarness(lawCase)
        for c in configurations {
            for text in harness.differences(try LawRun(lawCase, c).run(), raisesEarly: c.raisesEarly) { Issue.record("[\(c)] \(text)") }
        }
    }

    static let plain = [1, 2, 1024].map { LawConfiguration(batch: $0) }

    @Test("rows at the very instant of a tick may come one by one") func tiesAtATick() throws {
        let rows = [LawRegressionTests.row(3), LawRegressionTests.row(5), LawRegressionTests.row(5), LawRegressionTests.row(5)]
        try holds(
            try LawRegressionTests.lawCase([rows], LawRegressionTests.rule("Law_CL | summarize n = count() | where n > 2")),
            LawRegressionTests.plain)
    }

    @Test("a row before the first one is not late while lateness lasts") func rowBeforeTheFirst() throws {
        let rows = [LawRegressionTests.row(3), LawRegressionTests.row(-1), LawRegressionTests.row(-3), LawRegressionTests.row(9)]
        try holds(
            try LawRegressionTests.lawCase([rows], LawRegressionTests.rule("Law_CL | summarize n = count()"), lateness: 10),
            LawRegressionTests.plain)
    }

    @Test("an absence rule begins with its own table, however records are batched") func firstTickOfAbsence() throws {
        let sources = [
            (0..<12).map { LawRegressionTests.trail(Double($0) * 5 + 1) } + [LawRegressionTests.row(61), LawRegressionTests.trail(90)]
        ]
        let rule = LawRegressionTests.rule("Law_CL | summarize n = count() | where n == 0")
        let alone = try LawRegressionTests.lawCase(sources, rule)
        try holds(alone, LawRegressionTests.plain)
        // Another rule that reads the other table changes nothing.
        let both = try LawCase(
            seed: 1, log: alone.log,
            rules: [
                rule, LawRegressionTests.rule("AWSCloudTrail | summarize n = count()") { $0.id = "00000000-0000-4000-8000-000000000002" },
            ])
        try holds(both, LawRegressionTests.plain)
        #expect(try LawHarness(alone).answers[0].alerts.count == 1)
    }

    @Test("the end of the logs is that of all records, read by a rule or not") func endOfLogs() throws {
        let sources = [[LawRegressionTests.row(1), LawRegressionTests.trail(42)]]
        let lawCase = try LawRegressionTests.lawCase(sources, LawRegressionTests.rule("Law_CL | where isempty(User)", over: 30))
        try holds(lawCase, LawRegressionTests.plain)
        #expect(try LawHarness(lawCase).answers[0].ticks.count == 8)
    }

    @Test("a rule whose tables bring nothing is silent from the first record on") func tableNeverSeen() throws {
        let sources = [[LawRegressionTests.trail(1), LawRegressionTests.trail(22)]]
        try holds(
            try LawRegressionTests.lawCase(
                sources, LawRegressionTests.rule("Law_CL") { ($0.triggerOperator, $0.triggerThreshold) = (.lessThan, 1) }),
            LawRegressionTests.plain)
    }

    @Test("a restart evaluates no tick before the first row") func restartBeforeTheFirstRow() throws {
        let rows = (0..<20).map { LawRegressionTests.row(Double($0) * 2 + 1) }
        try holds(
            try LawRegressionTests.lawCase([rows], LawRegressionTests.rule("Law_CL | summarize n = count() | where n < 3"), lateness: 20),
            (1...6).map { LawConfiguration(batch: 2, kills: 3, arrival: UInt64($0)) })
    }

    @Test("an early alert outlives a restart") func earlyAlertAndRestart() throws {
        let rows = (0..<30).map { LawRegressionTests.row(Double($0) * 1.5, "\"User\":\"u\($0 % 3)\"") }
        let rule = LawRegressionTests.rule("Law_CL | summarize n = count() by User | where n > 1", over: 15) {
            $0.grouping = .alertPerResult
        }
        try holds(
            try LawRegressionTests.lawCase([rows], rule, lateness: 10),
            (1...6).map { LawConfiguration(batch: 2, kills: 3, raisesEarly: true, arrival: UInt64($0)) })
    }

    @Test("early alerts leave out no tick before them") func earlyWithoutGaps() throws {
        // One source is far behind the other: early ticks between are as open as those at the front.
        let ahead = [LawRegressionTests.row(2, "\"User\":\"a\""), LawRegressionTests.row(43, "\"User\":\"b\"")]
        let behind = [LawRegressionTests.row(1), LawRegressionTests.row(30), LawRegressionTests.row(44)]
        let rule = LawRegressionTests.rule("Law_CL | where isnotempty(User) | distinct User", over: 60) { $0.grouping = .alertPerResult }
        let lawCase = try LawRegressionTests.lawCase([ahead, behind], rule)
        let outcome = try LawRun(lawCase, LawConfiguration(batch: 1, raisesEarly: true)).run()
        #expect(outcome.alerts.values.allSatisfy { $0.status != .merged })
        try holds(
            lawCase,
            (0...4).map { LawConfiguration(batch: 1, raisesEarly: true, arrival: UInt64($0)) }
                + [LawConfiguration(batch: 2, threads: 4, raisesEarly: true)])
    }

    @Test("an early alert that a row out of order suppresses names what suppressed it") func earlyAndSuppressed() throws {
        let rows = [LawRegressionTests.row(12), LawRegressionTests.row(4), LawRegressionTests.row(40)]
        let rule = LawRegressionTests.rule("Law_CL | where isempty(User)") { $0.suppression = 30 * LawRegressionTests.minute }
        let lawCase = try LawRegressionTests.lawCase([rows], rule, lateness: 10)
        try holds(lawCase, [LawConfiguration(batch: 1, raisesEarly: true)])
        let outcome = try LawRun(lawCase, LawConfiguration(batch: 1, raisesEarly: true)).run()
        #expect(outcome.alerts.values.contains { $0.status == .merged })
    }

    @Test("a rule that fires without rows fires at the open tick, too") func alwaysFiring() throws {
        let rule = LawRegressionTests.rule("Law_CL | where User == 'nobody' | summarize n = count()", every: 10, over: 10) {
            $0.customDetails = [AnalyticsRule.FieldMapping(identifier: "n", columnName: "n")]
        }
        let lawCase = try LawRegressionTests.lawCase([[LawRegressionTests.row(1), LawRegressionTests.row(23)]], rule)
        try holds(lawCase, LawRegressionTests.plain + [LawConfiguration(batch: 1, raisesEarly: true)])
        try holds(try LawCase(seed: 1, log: lawCase.log, rules: [rule], mode: .parity), LawRegressionTests.plain)
    }

    @Test(
        "a result that no row contributed to begins with the window",
        arguments: [
            "Law_CL | where User == 'nobody' | summarize n = count()",
            "datatable(User: string) ['nobody'] | join kind=leftanti (Law_CL) on User",
        ])
    func noContribution(_ query: String) throws {
        let lawCase = try LawRegressionTests.lawCase(
            [[LawRegressionTests.row(1), LawRegressionTests.row(5)]], LawRegressionTests.rule(query))
        try holds(lawCase, LawRegressionTests.plain)
        let alert = try #require(try LawHarness(lawCase).answers[0].alerts.values.first)
        #expect(alert.startTime == LogGenerator.start)
        #expect(alert.evidence.isEmpty)
    }

    @Test("rows from literals do not count as evidence") func literalRows() throws {
        let query =
            "Law_CL | join kind=inner (datatable(User: string, Why: string) ['a', 'x', 'a', 'y']) on User | summarize n = count() by User"
        let lawCase = try LawRegressionTests.lawCase(
            [[LawRegressionTests.row(1, "\"User\":\"a\""), LawRegressionTests.row(6)]], LawRegressionTests.rule(query))
        try holds(lawCase, LawRegressionTests.plain)
        let alert = try #require(try LawHarness(lawCase).answers[0].alerts.values.first)
        #expect(alert.startTime == LogGenerator.start + LawRegressionTests.minute)
        #expect(alert.evidence.count == 1)
    }

    @Test("what mv-expand makes of a record is evidence of one record") func expandedEvidence() throws {
        let rows = [
            LawRegressionTests.row(1, "\"Tags\":[\"a\",\"b\",\"c\"]"), LawRegressionTests.row(2, "\"Tags\":[\"a\"]"),
            LawRegressionTests.row(7),
        ]
        let lawCase = try LawRegressionTests.lawCase(
            [rows], LawRegressionTests.rule("Law_CL | mv-expand Tags | where isnotempty(Tags) | summarize n = count()"))
        try holds(lawCase, LawRegressionTests.plain + [LawConfiguration(batch: 1, kills: 2)])
        let alert = try #require(try LawRun(lawCase, LawConfiguration(batch: 1)).run().alerts.values.min { $0.firstTick < $1.firstTick })
        #expect(alert.evidence.count == 2)
        #expect(alert.eventCount == 4)
    }

    @Test("a column that has two names has both after mv-apply") func renamedThroughApply() throws {
        let rows = [LawRegressionTests.row(1, "\"User\":\"a\",\"Bag\":[1,2]"), LawRegressionTests.row(7)]
        try holds(
            try LawRegressionTests.lawCase(
                [rows],
                LawRegressionTests.rule("Law_CL | extend Who = User | mv-apply e = Bag on (take 1) | summarize n = count() by Who, User")),
            LawRegressionTests.plain)
    }

    @Test("expanded rows without columns keep their lineage when segments are merged") func mergedLineageWithoutColumns() throws {
        let rows = (0..<(2 * LegStore.mergeAbove)).map { LawRegressionTests.row(Double($0) / 10, "\"Tags\":[1,2]") }
        try holds(
            try LawRegressionTests.lawCase(
                [rows], LawRegressionTests.rule("Law_CL | mv-expand Tags | summarize n = count() | where n > 9", every: 30, over: 30)),
            [LawConfiguration(batch: 1), LawConfiguration(batch: 1, kills: 2)])
    }

    @Test("a segment that lost its raw records leaves the store when it is merged") func shedSegment() throws {
        var store = LegStore()
        func batch(_ n: UInt64) -> Batch {
            Batch(
                columns: [Column(repeating: .long(Int64(n)), count: 1)], count: 1,
                keys: [RowKey(time: Int64(n), hashHigh: n, hashLow: n)])
        }
        store.append(batch(1), raw: [RecordHash(high: 1, low: 1): "raw"])
        store.checkpointed()
        #expect(store.shedRaw() > 0)
        for n in 2...UInt64(LegStore.mergeAbove + 1) { store.append(batch(n), raw: [:]) }
        #expect(store.segments.count < LegStore.mergeAbove)
        #expect(!store.segments.contains { $0.id == 1 })
        #expect(store.dropped == [1])
        #expect(store.rowCount == LegStore.mergeAbove + 1)
        store.checkpointed()
        // And what never reached the store need not be dropped from it.
        let known = Set(store.segments.map(\.id))
        store.append(batch(200), raw: [:])
        store.expire(before: 1000)
        #expect(store.dropped == known)
    }

    @Test(
        "only what can no longer change may raise early",
        arguments: [
            ("Law_CL | where Count > 1", true),
            ("Law_CL | summarize n = count() by User | where n > 3", true),
            ("Law_CL | summarize n = count() by User | where n < 3", false),
            ("Law_CL | sort by TimeGenerated asc | extend p = prev(User) | where p != User", false),
            ("Law_CL | sort by TimeGenerated asc | extend r = row_number() | where r == 1", false),
            ("Law_CL | where User in ((AWSCloudTrail | distinct UserIdentityUserName))", true),
            ("Law_CL | where Count in ((AWSCloudTrail | summarize n = count() by UserIdentityUserName | project n))", false),
            ("Law_CL | where User !in ((AWSCloudTrail | distinct UserIdentityUserName))", false),
            ("Law_CL | join kind=leftanti (AWSCloudTrail) on $left.User == $right.UserIdentityUserName", false),
        ])
    func monotone(_ query: String, _ expected: Bool) throws {
        #expect(try LawRegressionTests.program(query).isMonotone == expected)
    }

    @Test("groups that still change do not raise early") func monotoneGroups() throws {
        let join = "Law_CL | project k = User | join kind=leftouter (AWSCloudTrail | project k = UserIdentityUserName, EventName) on k"
        let entity = AnalyticsRule.EntityMapping(
            entityType: "Account", fields: [AnalyticsRule.FieldMapping(identifier: "Name", columnName: "n")])
        let union = "union (Law_CL | summarize n = count()), (AWSCloudTrail | summarize n = count())"
        #expect(try LawRegressionTests.program(join).isMonotone)
        #expect(try !LawRegressionTests.program(join) { $0.grouping = .alertPerResult }.isMonotone)
        #expect(
            try !LawRegressionTests.program(union) {
                $0.grouping = .alertPerResult
                $0.entityMappings = [entity]
            }.isMonotone)
    }

    @Test("a stateless rule tries every tick for a row that comes too late") func forgottenRowAndHorizon() throws {
        // The row's first tick does not let it through: it is not ten minutes old then.
        let rule = LawRegressionTests.rule("Law_CL | where User == 'late' | where TimeGenerated < ago(10m)", over: 30)
        let rows = (0..<40).map { LawRegressionTests.row(Double($0) * 10) } + [LawRegressionTests.row(7, "\"User\":\"late\"")]
        let outcome = try LawRun(try LawRegressionTests.lawCase([rows], rule), LawConfiguration(batch: 1)).run()
        let alerts = outcome.alerts.values.filter { $0.status != .merged }
        #expect(alerts.count == 1)
        #expect(alerts.first?.isAmended == true)
        #expect(alerts.first?.firstTick == LogGenerator.start + 20 * LawRegressionTests.minute)
    }
}
