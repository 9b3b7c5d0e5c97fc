import Columnar
import Rules
import Testing

@testable import Detection

/// What may raise before its window has closed. A wrong "yes" is a false alert; a wrong "no" is a late one.
@Suite struct MonotoneTests {
    @Test(
        "what only grows with rows may raise early",
        arguments: [
            "Events | where User == 'a'", "Events | extend x = strcat(User, '!') | where x has 'b'",
            "Events | project User | distinct User",
            "Events | summarize n = count() by User | where n > 3", "Events | summarize n = count() by User | where n >= 3",
            "Events | summarize n = count() by User | where 3 < n", "Events | summarize n = count() by User | where n > 3 and User != 'b'",
            "Events | summarize n = count() by User | project-rename k = n | where k > 3", "Events | count | where Count > 10",
            "Events | summarize d = dcount(User) by Where | where d > 2", "Events | summarize n = countif(Count > 1) by User | where n > 2",
            "Events | summarize m = max(Count) by User | where m > 5",
            "Events | summarize d = count_distinct(User) by Where | where d > 90000",
            "Events | summarize d = dcount(User) by Where | where 50000 <= d",
            "Events | summarize n = count() by User | summarize m = max(n) by User | where m > 3",
            "Events | join kind=inner (Others | project User, w = Where) on User | where w == 'x'",
            "Events | join kind=leftsemi (Others) on User", "Events | join kind=rightsemi (Others) on User",
            "Events | join kind=inner (Others | summarize k = count() by User) on User | where k > 2",
            "union Events, Others | where User == 'a'",
            "union (Events | summarize n = count() by User), (Others | summarize n = count() by User) | where n > 1",
            "Events | mv-expand Tags | where tostring(Tags) == 'a'", "Events | mv-expand Tags limit 2",
            "Events | parse User with a '@' b | where b == 'x'",
            "Events | sort by Count desc", "Events | where User in ((Others | project User))",
        ])
    func grows(_ query: String) throws { #expect(try compile(rule(query)).isMonotone) }

    @Test(
        "what rows may take back waits",
        arguments: [
            "Events | summarize n = count() by User | where n < 3", "Events | summarize n = count() by User | where n == 3",
            "Events | summarize n = count() by User | where n != 3", "Events | summarize n = count() by User | where n between (3 .. 9)",
            "Events | summarize n = count() by User | where n > 3 and n < 9", "Events | summarize n = count() by User | where n % 2 == 0",
            "Events | summarize n = count() by User | where 3 > n", "Events | summarize n = count(), m = max(Count) by User | where n > m",
            "Events | summarize d = dcount(User) by Where | where d > 90000",
            "Events | summarize d = dcount(User) by c = Count | where d > c",
            "Events | summarize m = min(Count) by User | where m > 5", "Events | summarize s = sum(Count) by User | where s > 5",
            "Events | summarize a = avg(Count) by User | where a > 5", "Events | summarize s = make_set(Where) by User | where s[0] == 'x'",
            "Events | summarize arg_max(TimeGenerated, Where) by User | where Where == 'x'",
            "Events | summarize t = take_any(Where) by User | where t == 'x'",
            "Events | summarize n = count() by User | summarize m = count() by n",
            "Events | summarize n = count() by User | where toscalar(Others | count) > 2 and n > 1",
            "Events | join kind=leftanti (Others) on User", "Events | join kind=rightanti (Others) on User",
            "Events | join kind=fullouter (Others) on User",
            "Events | join kind=leftouter (Others | project User, w = Where) on User | where isempty(w)",
            "Events | join kind=rightouter (Others | project User, w = Where) on User | where isempty(Where)",
            "Events | join kind=innerunique (Others | project User, w = Where) on User | where Where == 'x'",
            "union (Events | summarize n = count() by User), (Others | summarize n = min(Count) by User) | where n > 1",
            "Events | top 3 by Count", "Events | take 3", "Events | mv-apply Tags on (take 1)",
            "Events | sort by TimeGenerated asc | extend p = prev(User) | where p != User",
            "Events | where User !in ((Others | project User))", "Events | where User in ((Others | top 3 by Count | project User))",
            "Events | where Count > toscalar(Others | summarize max(Count))",
        ])
    func waits(_ query: String) throws { #expect(try !compile(rule(query)).isMonotone) }

    @Test(
        arguments: [
            (.greaterThan, 0, true), (.greaterThan, 5, true), (.notEqual, 0, true), (.notEqual, 3, false), (.equal, 3, false),
            (.equal, 0, false),
            (.lessThan, 3, false),
        ] as [(AnalyticsRule.TriggerOperator, Int, Bool)])
    func trigger(_ c: (trigger: AnalyticsRule.TriggerOperator, threshold: Int, expected: Bool)) throws {
        let program = try compile(rule("Events | where Count > 1") { ($0.triggerOperator, $0.triggerThreshold) = (c.trigger, c.threshold) })
        #expect(program.isMonotone == c.expected)
        for count in 0...6 {
            let fires =
                [
                    .greaterThan: count > c.threshold, .lessThan: count < c.threshold, .equal: count == c.threshold,
                    .notEqual: count != c.threshold,
                ] as [AnalyticsRule.TriggerOperator: Bool]
            #expect(RuleProgram.triggers(program.rule, count: count) == fires[c.trigger])
        }
    }

    @Test(
        "alerts a row must keep their group",
        arguments: [
            ("Events | where Count > 1", nil, true), ("Events | summarize n = count() by User", nil, true),
            ("Events | summarize n = count()", "n", false), ("Events | summarize arg_max(Count, Where) by User", "Where", true),
            ("Events | join kind=innerunique (Others | project User) on User", nil, true),
            ("union (Events | summarize n = count()), (Others | summarize n = count())", "n", false),
        ] as [(String, String?, Bool)])
    func groups(_ c: (query: String, entity: String?, expected: Bool)) throws {
        let program = try compile(
            rule(c.query) {
                $0.grouping = .alertPerResult
                if let e = c.entity { $0.entityMappings = [mapping("Account", [("Name", e)])] }
            })
        #expect(program.isMonotone == c.expected)
    }

    @Test("an early verdict is never taken back", arguments: 0..<40 as Range<UInt64>) func neverTakenBack(_ seed: UInt64) throws {
        // Random rows one by one: once a monotone rule has raised for its tick, no further row of the window may take that away.
        var random = SplitMix(seed)
        let queries = [
            "Events | summarize n = count() by User | where n > 2", "Events | summarize d = dcount(Where) by User | where d >= 2",
            "Events | summarize m = max(Count) by User | where m > 6", "Events | where User == 'a' | mv-expand Tags",
        ]
        let bench = try Bench([rule(queries[Int(seed) % queries.count]) { $0.grouping = .alertPerResult }], lateness: 10)
        var raised: Set<String> = []
        for _ in 0..<25 {
            let e = Event(
                Int.random(in: 1...5, using: &random), ["a", "b", "c"].randomElement(using: &random) ?? "",
                place: "p\(Int.random(in: 0..<3, using: &random))",
                count: Int64.random(in: 0..<9, using: &random), tags: "[1,2]")
            for event in try bench.feed([e], early: true) {
                #expect(event.alert.status == .open)
                raised.insert(event.alert.id)
            }
        }
        bench.advance(to: 40)
        #expect(Set(bench.alerts.keys) == raised && bench.alerts.values.allSatisfy { $0.status == .closed })
    }
}
