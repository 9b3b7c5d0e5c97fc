import Columnar
import Evaluation
import Rules
import Testing

@testable import Detection

/// Which rules keep groups by panes, and that nobody can tell by their alerts.
@Suite struct PaneStateTests {
    static let strategies: [(query: String, strategy: RuleProgram.Strategy, says: String)] = [
        ("Events | where User == 'a'", .rowLocal, "each row"),
        (
            "Events | summarize n = count() by User | where n > 3", .panes,
            "groups of Events from 01:00:00 to 0 before the tick: count by 1 keys"
        ),
        ("Events | distinct User", .panes, "distinct keys by 1 keys"),
        (
            "Events | summarize dcount(Where), make_set(User) by bin(TimeGenerated, 5m) | where dcount_Where > array_length(set_User)",
            .panes, "dcount, make_set by 1 keys"
        ),
        ("union Events, Others | summarize count() by User", .panes, "groups of Events"),
        (
            "Events | where TimeGenerated > ago(10m) | summarize n = count() by User"
                + " | join kind=leftanti (Events | where TimeGenerated between (ago(1h) .. ago(10m)) | summarize count() by User) on User",
            .panes, "from 01:00:00 to 00:10:00 before the tick"
        ),
        (
            "let l = toscalar(Others | summarize count()); Events | summarize n = count() by User | where n > l", .panes,
            "groups of Others"
        ),
        ("Events | summarize n = count() by User | summarize m = max(n) | where m > 3", .panes, "count by 1 keys"),
        (
            "Events | where TimeGenerated > ago(5m) | join kind=leftanti (Events | where TimeGenerated < ago(5m) | distinct User) on User",
            .panesAndRows, "rows of Events from 00:05:00 to 0 before the tick"
        ),
        ("Events | join kind=inner (Others) on User", .rows, "at each tick"),
        ("Events | join kind=inner (Others) on User", .rows, "both sides by 1 keys; a tick reads rows that have a partner"),
        ("Events | join kind=leftanti (Others) on User", .rows, "a tick reads all rows of the left side, which are results"),
        ("Events | join kind=fullouter (Others) on User", .rows, "join kind=fullouter: all rows are read at each tick"),
        ("Events | join kind=inner (Others | top 3 by Count) on User", .rows, "the other side is no rows of tables"),
        ("Events | summarize n = dcount(Where) by User | where n > 3", .panes, "standard error"),
        ("Events | summarize n = countif(TimeGenerated > ago(5m)) by User | where n > 2", .rows, "why rows: a summarize reads now()"),
        ("Events | where TimeGenerated > startofday(ago(1h)) | summarize count() by User", .rows, "not at a fixed distance from now()"),
        ("Events | where rand() > 2 | summarize count() by User", .rows, "why rows"),
        ("Events | summarize n = count() by User, toscalar(Others | count)", .panesAndRows, "why rows: a summarize reads another query"),
        ("Events | top 3 by Count | summarize count() by User", .rows, "more than row-local operators"),
    ]

    @Test("strategies", arguments: strategies.indices) func strategy(_ n: Int) throws {
        let (query, strategy, says) = PaneStateTests.strategies[n]
        let program = try compile(rule(query, every: says.contains("a tick reads") ? 1 : 5, over: 60))
        #expect(program.strategy == strategy)
        #expect(program.strategyDescription.contains(says), "\(program.strategyDescription)")
    }

    private static let query = "Events | where Count < 9 | summarize n = count(), s = make_set(Where), m = max(Count) by User | where n > 2"

    /// Events of an hour and a half, some of them late within two minutes.
    private static func events() -> [Event] {
        var g = SplitMix(4)
        return (0..<300).map { i in
            Event(
                max(0, i / 3 - Int.random(in: 0...2, using: &g)), ["a", "b", "c", "d"][Int.random(in: 0...3, using: &g)],
                place: "p\(Int.random(in: 0...4, using: &g))", count: Int64.random(in: 0...9, using: &g))
        }
    }

    private func run(
        every: Int = 7, checkpoints: Bool = false, _ change: (inout DetectionOptions) -> Void = { _ in }
    ) throws -> (bench: Bench, most: Int, resident: Int) {
        let r = rule(PaneStateTests.query, over: 30) {
            $0.grouping = .alertPerResult
            $0.customDetails = [field("n", "n"), field("s", "s"), field("m", "m")]
        }
        let bench = try Bench([r], lateness: 2, change)
        let all = PaneStateTests.events()
        var most = 0
        for start in stride(from: 0, to: all.count, by: every) {
            let part = Array(all[start..<min(all.count, start + every)])
            try bench.feed(part)
            bench.advance(to: max(0, (part.last?.at ?? 0) - 3))
            most = max(most, bench.engine.figures[0].cells)
            if checkpoints {
                _ = bench.engine.checkpointDelta()
                bench.engine.checkpointed()
            }
        }
        bench.advance(to: 120)
        return (bench, most, bench.engine.figures[0].stateBytes)
    }

    @Test("panes that are full leave the rest as rows, on disk too; alerts are the same", arguments: [1, 20, 61])
    func overflow(_ limit: Int) throws {
        let expected = try run().bench.alerts
        #expect(expected.count > 3)
        let tight = try run { $0.retainedRowsPerRule = limit }
        #expect(tight.bench.alerts == expected)
        #expect(tight.bench.engine.figures[0].failure == nil)
        #expect(tight.most <= max(1, limit / 2))
    }

    @Test("checkpoints and replays do not show", arguments: [true, false]) func saving(_ takes: Bool) throws {
        let expected = try run().bench.alerts
        #expect(try run(every: 2, checkpoints: takes) { $0.takesCheckpoints = takes }.bench.alerts == expected)
    }

    // MARK: Failures

    /// A burst of groups that may not be held, then a quiet hour, then rows again.
    private func burst(_ query: String, kills: Bool = false) throws -> Bench {
        let bench = try Bench([rule(query, over: 15) { $0.grouping = .alertPerResult }], lateness: 0) {
            $0.limits = EvaluationLimits(heldRows: 20)
        }
        try bench.feed([Event(1, "a"), Event(2, "a"), Event(3, "a")])
        bench.advance(to: 6)
        try bench.feed((0..<50).map { Event(7, "user\($0)") } + [Event(8, "b"), Event(8, "b"), Event(8, "b")])
        bench.advance(to: 40)
        try bench.feed([Event(41, "c"), Event(42, "c"), Event(43, "c")])
        bench.advance(to: 80)
        return bench
    }

    @Test("panes that could not take a row up are begun anew: windows behind it are whole again")
    func recovery() throws {
        let bench = try burst("Events | summarize n = count() by User | where n > 2")
        let figures = bench.engine.figures[0]
        #expect(
            figures.failure?.contains("its groups are begun anew with rows after 2026-03-02T00:08:00") == true, "\(figures.failure ?? "")")
        // Before the burst, and behind it.
        #expect(bench.firstTicks == [5, 45])
        #expect(bench.alerts.values.allSatisfy { $0.status != .merged && $0.isWindowComplete })
    }

    @Test("a rule whose results can shrink says nothing of windows with lost rows") func silence() throws {
        let bench = try burst("Events | summarize n = count() by User | where n == 3")
        #expect(bench.firstTicks == [5, 45])
    }

    @Test("an evaluation that fails costs its tick and no other") func failedTick() throws {
        let bench = try Bench([rule("Events | summarize n = count() by User | where n > 1 | extend x = 1", over: 5)]) {
            $0.limits = EvaluationLimits(resultRows: 3)
        }
        for i in 0..<6 { try bench.feed([Event(1, "u\(i)"), Event(1, "u\(i)")]) }
        try bench.feed([Event(12, "a"), Event(13, "a")])
        bench.advance(to: 30)
        #expect(bench.firstTicks == [15])
        #expect(bench.engine.figures[0].failure?.contains("the tick 2026-03-02T00:05:00") == true)
    }

    @Test("evidence of a group is there however many rows it has") func evidence() throws {
        let bench = try Bench([rule("Events | summarize n = count() by User | where n > 400", over: 30)]) { $0.takesCheckpoints = false }
        for i in 0..<500 { try bench.feed([Event(1 + i / 30, "a")]) }
        bench.advance(to: 30)
        let alert = try #require(bench.alerts.values.max { $0.eventCount < $1.eventCount })
        #expect(alert.evidence.count == 10 && alert.evidence.allSatisfy { $0.raw != nil })
        // Raw records that no alert can show any more are not kept.
        let figures = bench.engine.figures[0]
        #expect(figures.evidenceBytes < 300 * 12)
        #expect(figures.cells <= 8 && figures.groups == 1 && figures.retainedRows == 500)
    }

    @Test("nothing is left when the rows have left") func leaving() throws {
        let bench = try Bench([rule(PaneStateTests.query, over: 30)]) { $0.takesCheckpoints = false }
        try bench.feed(PaneStateTests.events())
        bench.advance(to: 60)
        #expect(bench.engine.figures[0].cells > 0)
        bench.advance(to: 600)
        let f = bench.engine.figures[0]
        #expect(f.cells == 0 && f.groups == 0 && f.retainedRows == 0 && f.evidenceBytes == 0)
    }

    @Test("a window that has not changed is not evaluated again") func repeats() throws {
        let bench = try Bench([rule(PaneStateTests.query, every: 1, over: 60) { $0.grouping = .alertPerResult }])
        try bench.feed([Event(1, "a"), Event(1, "a"), Event(2, "a"), Event(2, "b")])
        bench.advance(to: 40)
        #expect(bench.engine.figures[0].evaluations > 30 && bench.engine.figures[0].repeats > 30)
        #expect(bench.alerts.count == 1)
    }
}
