import Columnar
import Rules
import Testing

@testable import Detection

/// What alerts of a rule with per-result grouping are told apart by.
@Suite struct GroupKeyTests {
    static let composed = "caf\u{e9}"
    static let decomposed = "cafe\u{301}"

    static func groups(_ query: String, _ events: [Event], _ change: (inout AnalyticsRule) -> Void = { _ in }) throws -> [String] {
        let bench = try Bench([
            rule(query) {
                $0.grouping = .alertPerResult
                change(&$0)
            }
        ])
        try bench.feed(events)
        bench.advance(to: 10)
        return bench.groups
    }

    static func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    @Test("the keys of the last summarize, distinct or join, never an aggregate")
    func byKeys() throws {
        let events = [Event(1, "a", place: "x"), Event(1, "a", place: "y"), Event(2, "b", place: "x"), Event(2, "b", place: "x")]
        let cases: [(String, [String])] = [
            ("Events | summarize n = count() by User", ["a", "b"]),
            ("Events | summarize n = count() by User, Where", ["a\u{1f}x", "a\u{1f}y", "b\u{1f}x"]),
            ("Events | distinct User | where User == 'b'", ["b"]),
            ("Events | summarize n = count() by User | sort by n desc | project n, User", ["a", "b"]),
            ("Events | summarize n = count() by c = Count, User", ["0\u{1f}a", "0\u{1f}b"]),
            ("Events | summarize n = count() by bin(TimeGenerated, 1m)", ["2026-03-02T00:01:00.0000000Z", "2026-03-02T00:02:00.0000000Z"]),
            ("Events | join kind=inner (Events | distinct User) on User", ["a\u{1f}a", "b\u{1f}b"]),
        ]
        for (query, expected) in cases { #expect(try GroupKeyTests.groups(query, events) == expected, "\(query)") }
    }

    @Test("else the mapped entities, else the row itself") func entitiesAndRows() throws {
        let events = [Event(1, "a"), Event(2, "a"), Event(3, "b"), Event(4), Event(4)]
        let byEntity = try GroupKeyTests.groups("Events", events) { $0.entityMappings = [mapping("Account", [("Name", "User")])] }
        // Rows without entity values stand for themselves.
        #expect(byEntity.count == 4 && Set(["a", "b"]).isSubset(of: byEntity))
        let byRow = try GroupKeyTests.groups("Events", events)
        #expect(byRow.count == 5 && byRow.allSatisfy { $0.split(separator: ":").count == 4 })
    }

    @Test("one alert for a rule without per-result grouping") func single() throws {
        #expect(try GroupKeyTests.groups("Events", [Event(1, "a"), Event(2, "b")]) { $0.grouping = .singleAlert } == [""])
    }

    @Test(
        "texts that look alike but have other bytes are other groups",
        arguments: ["Events | summarize n = count() by User", "Events", "Events | distinct Where, User"])
    func equivalent(_ query: String) throws {
        let events = [Event(1, GroupKeyTests.composed), Event(2, GroupKeyTests.decomposed), Event(3, GroupKeyTests.composed)]
        let groups = try GroupKeyTests.groups(query, events) { $0.entityMappings = [mapping("Account", [("Name", "User")])] }
        #expect(groups.count == 2)
        #expect(
            Set(GroupKeyTests.bytes(groups.map { String($0.split(separator: "\u{1f}").last ?? "") }))
                == Set(GroupKeyTests.bytes([GroupKeyTests.composed, GroupKeyTests.decomposed])))
        // Whatever comes first.
        #expect(
            try GroupKeyTests.bytes(
                GroupKeyTests.groups(query, events.reversed()) { $0.entityMappings = [mapping("Account", [("Name", "User")])] })
                == GroupKeyTests.bytes(groups))
    }

    @Test("their episodes stay apart over ticks and a restart") func equivalentEpisodes() throws {
        let rules = [rule("Events | summarize n = count() by User") { $0.grouping = .alertPerResult }]
        let bench = try Bench(rules)
        try bench.feed([
            Event(1, GroupKeyTests.composed), Event(2, GroupKeyTests.decomposed), Event(6, GroupKeyTests.composed),
            Event(11, GroupKeyTests.decomposed),
        ])
        bench.advance(to: 5)
        let delta = bench.engine.checkpointDelta()
        let again = try Bench(rules)
        var saved = SavedState()
        saved.segments = delta.added
        for r in delta.rules { saved.rules[r.fingerprint] = r.bytes }
        saved.engine = delta.engine
        try again.engine.restore(saved)
        for b in [bench, again] { b.advance(to: 15) }
        // Composed: one episode over two ticks. Decomposed: closed by the tick without it, and opened again.
        #expect(bench.firstTicks == [5, 5, 15])
        #expect(again.alerts.count == 3)
        for (id, alert) in again.alerts { #expect(bench.alerts[id] == alert) }
        #expect(bench.alerts.values.filter { Array($0.groupKey.utf8) == Array(GroupKeyTests.composed.utf8) }.map(\.revision) == [2])
    }

    @Test("several values make one text that no other values make") func joined() {
        let parts = ["", "a", "\u{1f}", "\u{1b}", "u", "\u{1b}u", "a\u{1f}b", "\u{1f}\u{1f}", "\u{1b}\u{1b}"]
        var seen: [[UInt8]: [String]] = [:]
        for a in parts {
            for b in parts {
                for values in [[a, b], [a, b, "a"], [a, "a", b]] {
                    let text = Array(TickGrouping.join(values).utf8)
                    if let other = seen[text] { #expect(other == values) }
                    seen[text] = values
                }
            }
        }
        // Usual values are joined plainly, and one value is itself.
        #expect(
            TickGrouping.join(["a", "b"]) == "a\u{1f}b" && TickGrouping.join(["a\u{1f}b"]) == "a\u{1f}b" && TickGrouping.join([]).isEmpty)
    }

    @Test("beyond the cap the last group stands for the others, with exact counts", arguments: [(1, 1), (4, 2), (5, 3), (6, 3)])
    func overflow(_ c: (groups: Int, rows: Int)) throws {
        let events = (0..<c.groups).flatMap { g in (0..<c.rows).map { Event($0 + 1, "u\(g)") } }
        let bench = try Bench([
            rule {
                $0.grouping = .alertPerResult
                $0.entityMappings = [mapping("Account", [("Name", "User")])]
            }
        ]) { $0.alertsPerTick = 4 }
        try bench.feed(events)
        bench.advance(to: 5)
        #expect(bench.alerts.count == min(4, c.groups))
        #expect(bench.alerts.values.reduce(0) { $0 + $1.resultCount } == events.count)
        #expect(bench.alerts.values.reduce(0) { $0 + $1.eventCount } == Int64(events.count))
        #expect(bench.groups.contains("\u{1}overflow") == (c.groups > 4))
    }
}
