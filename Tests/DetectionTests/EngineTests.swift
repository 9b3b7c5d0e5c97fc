import Columnar
import Rules
import Testing

@testable import Detection

@Suite struct EngineTests {
    static let counting = "Events | summarize n = count() by User | where n > 1"

    @Test("a reload keeps the state of rules that behave as before, and takes over how they show themselves") func reload() throws {
        let first = rule(EngineTests.counting, over: 30) { $0.grouping = .alertPerResult }
        let other = rule("Events | where User == 'x'") { $0.id = "00000000-0000-4000-8000-000000000002" }
        let bench = try Bench([first, other])
        try bench.feed([Event(1, "a")])
        var renamed = first
        renamed.name = "Renamed"
        renamed.severity = .high
        renamed.tactics = ["Impact"]
        renamed.customDetails = [field("Who", "User")]
        try bench.engine.reload([compile(other), compile(renamed)])
        #expect(bench.engine.programs.map(\.rule.name) == ["Rule", "Renamed"])
        #expect(bench.engine.figures.map(\.retainedRows) == [0, 1])
        try bench.feed([Event(2, "a"), Event(3, "x")])
        bench.advance(to: 5)
        #expect(bench.alerts.count == 2)
        let alert = try #require(bench.alerts.values.first { $0.ruleName == "Renamed" })
        // The row from before the reload counts.
        #expect(alert.eventCount == 2 && alert.severity == .high && alert.tactics == ["Impact"])
        #expect(alert.customDetails.map(\.values) == [["a"]])
        #expect(alert.evidence.compactMap(\.raw).count == 2)
    }

    @Test("an unchanged rule keeps its very program; a changed one begins anew", arguments: 0..<9) func changes(_ n: Int) throws {
        let before = rule(EngineTests.counting, over: 30)
        let changes: [(inout AnalyticsRule) -> Void] = [
            { $0.query += " | where n > 2" }, { $0.queryPeriod += minute }, { $0.queryFrequency += minute }, { $0.triggerThreshold = 1 },
            { $0.triggerOperator = .notEqual }, { $0.grouping = .alertPerResult }, { $0.suppression = minute },
            { $0.startTime = start + 1 },
            { $0.id = "00000000-0000-4000-8000-000000000009" },
        ]
        let bench = try Bench([before])
        try bench.feed([Event(1, "a")])
        let program = bench.engine.programs[0]
        try bench.engine.reload([compile(before)])
        #expect(bench.engine.programs[0] === program && bench.engine.figures[0].retainedRows == 1)
        var after = before
        changes[n](&after)
        try bench.engine.reload([compile(after)])
        #expect(bench.engine.programs[0] !== program && bench.engine.figures[0].retainedRows == 0)
        #expect(bench.engine.programs[0].fingerprint != program.fingerprint)
    }

    @Test("entities that tell alerts apart are behaviour; others are looks") func entityChange() throws {
        func program(_ query: String, _ grouping: AnalyticsRule.Grouping, _ columns: [String]) throws -> RuleProgram {
            try compile(
                rule(query) {
                    $0.grouping = grouping
                    $0.entityMappings = columns.map { mapping("Account", [("Name", $0)]) }
                })
        }
        for (query, grouping, isSame) in [
            ("Events", .alertPerResult, false), ("Events", .singleAlert, true), ("Events | distinct User, Where", .alertPerResult, true),
        ] as [(String, AnalyticsRule.Grouping, Bool)] {
            let (a, b) = (try program(query, grouping, ["User", "Where"]), try program(query, grouping, ["Where", "User"]))
            #expect((a.fingerprint == b.fingerprint) == isSame && a.presentation != b.presentation, "\(query)")
        }
    }

    @Test("an open episode outlives a reload that renames its rule") func reloadOpenEpisode() throws {
        let before = rule("Events | where User == 'a'")
        let bench = try Bench([before])
        try bench.feed([Event(1, "a"), Event(6, "a")])
        bench.advance(to: 5)
        let id = try #require(bench.alerts.keys.first)
        var after = before
        after.name = "Renamed"
        try bench.engine.reload([compile(after)])
        bench.advance(to: 10)
        #expect(bench.alerts.count == 1)
        #expect(bench.alerts[id]?.eventCount == 1 && bench.alerts[id]?.lastTick == start + 10 * minute)
    }

    @Test("a revision that brings an entity notifies, a closing does not") func notification() throws {
        let bench = try Bench([rule("Events", over: 10) { $0.entityMappings = [mapping("Account", [("Name", "User")])] }])
        try bench.feed([Event(1, "a"), Event(7, "b")])
        let opening = bench.advance(to: 5)
        #expect(opening.map(\.notifies) == [true] && opening.first?.alert.revision == 1)
        let revision = bench.advance(to: 10)
        #expect(revision.map(\.notifies) == [true])
        #expect(revision.first?.alert.revision == 2 && revision.first?.alert.id == opening.first?.alert.id)
        #expect(revision.first?.alert.entities.compactMap { $0["Name"] } == ["a", "b"])
        // The tick at 15 has only what was there before; at 20 there is nothing.
        let rest = bench.advance(to: 15) + bench.advance(to: 25)
        #expect(rest.map(\.notifies) == [false] && rest.first?.alert.status == .closed && rest.first?.alert.revision == 2)
    }

    @Test("an alert that an earlier tick's episode takes over says which") func merged() throws {
        let bench = try Bench([rule("Events | where User == 'a'")], lateness: 30)
        let later = try #require(try bench.feed([Event(12, "a")], early: true).first?.alert)
        #expect(later.firstTick == start + 15 * minute && !later.isWindowComplete)
        let events = try bench.feed([Event(7, "a")], early: true)
        let earlier = try #require(events.first { $0.alert.status == .open }?.alert)
        #expect(earlier.firstTick == start + 10 * minute && earlier.lastTick == start + 15 * minute && earlier.eventCount == 1)
        let taken = try #require(events.first { $0.alert.status == .merged })
        #expect(taken.notifies && taken.alert.id == later.id && taken.alert.mergedInto == earlier.id && taken.alert.revision == 2)
        bench.advance(to: 60)
        #expect(bench.firstTicks == [10] && bench.alerts[earlier.id]?.status == .closed)
    }

    @Test("a late row amends a final tick") func amended() throws {
        let bench = try Bench([rule("Events | summarize n = count() by User | where n > 1", every: 5, over: 5)], lateness: 10)
        try bench.feed([Event(1, "a"), Event(30, "z")])
        #expect(bench.advance(to: 16).isEmpty)
        try bench.feed([Event(2, "a")])
        let events = bench.advance(to: 17)
        #expect(events.map(\.alert.isAmended) == [true] && bench.firstTicks == [5])
        #expect(bench.engine.figures[0].lateRows == 1)
    }

    @Test("a rule that waits is as final as its clock when a row comes, also after a restart") func waiting() throws {
        let rules = [
            rule(EngineTests.counting, over: 10) { $0.id = "00000000-0000-4000-8000-00000000000a" },
            rule("Events | where User == 'z'") { $0.id = "00000000-0000-4000-8000-00000000000b" },
        ]
        let bench = try Bench(rules)
        try bench.feed([Event(1, "z")])
        for t in 1...20 { bench.advance(to: 5 * t) }
        let delta = bench.engine.checkpointDelta()
        var saved = SavedState()
        saved.segments = delta.added.map { ($0.id, $0.bytes) }
        saved.rules = Dictionary(uniqueKeysWithValues: delta.rules.map { ($0.fingerprint, $0.bytes) })
        saved.engine = delta.engine
        bench.engine.checkpointed()
        for t in 21...40 { bench.advance(to: 5 * t) }
        // Nothing of a rule changed; how far the clock is stands in the engine's state.
        let later = bench.engine.checkpointDelta()
        #expect(later.rules.isEmpty && later.added.isEmpty && later.engine != delta.engine)
        saved.engine = later.engine
        let restored = try Bench(rules)
        try restored.engine.restore(saved)
        for b in [bench, restored] {
            try b.feed([Event(190, "z"), Event(191, "z"), Event(210, "a")])
            b.advance(to: 230)
            #expect(b.engine.figures.map(\.lateRows) == [2, 2])
        }
        #expect(bench.engine.checkpointDelta().engine == restored.engine.checkpointDelta().engine)
    }

    @Test("suppressed openings are counted, not made up for") func suppression() throws {
        let bench = try Bench([rule("Events | where User == 'a'") { $0.suppression = 20 * minute }])
        try bench.feed([Event(1, "a"), Event(12, "a"), Event(22, "a"), Event(32, "a")])
        bench.advance(to: 60)
        #expect(bench.firstTicks == [5, 35] && bench.engine.figures[0].suppressedOpenings == 2)
    }

    @Test("evidence is the first five and the last five records with exact counts", arguments: [1, 10, 11, 25]) func evidence(_ count: Int)
        throws
    {
        var random = SplitMix(UInt64(count))
        let bench = try Bench([rule("Events | summarize n = count()", every: 60, over: 60)])
        for e in (0..<count).map({ Event(1 + $0, "a") }).shuffled(using: &random) { try bench.feed([e]) }
        bench.advance(to: 60)
        let alert = try #require(bench.alerts.values.first)
        let minutes = (1...count).filter { $0 <= 5 || $0 > count - 5 }
        #expect(alert.evidence.map { Int(($0.key.time - start) / minute) } == minutes)
        #expect(alert.eventCount == Int64(count) && alert.resultCount == 1)
        #expect(alert.evidence.allSatisfy { $0.table == "Events" && $0.raw == "{\"n\":\($0.key.hashLow)}" })
    }

    @Test("in parity mode each triggering tick alerts for itself") func parity() throws {
        let bench = try Bench([rule("Events", over: 15)]) { $0.mode = .parity }
        try bench.feed([Event(1, "a"), Event(12, "a")])
        bench.advance(to: 40)
        #expect(bench.firstTicks == [5, 10, 15, 20, 25])
        #expect(bench.alerts.values.allSatisfy { $0.status == .closed && $0.revision == 1 })
    }

    @Test("identity is a function of rule, group and tick") func identity() throws {
        let program = try compile(rule())
        let other = try compile(rule { $0.id = "00000000-0000-4000-8000-000000000002" })
        var ids: Set<String> = []
        for p in [program, other] {
            for group in ["", "a", "caf\u{e9}", "cafe\u{301}"] {
                for tick in [start, start + 1] {
                    let id = p.alertID(group, tick)
                    #expect(id == p.alertID(group, tick) && id.utf8.count == 32)
                    ids.insert(id)
                }
            }
        }
        #expect(ids.count == 16)
    }
}
