import Columnar
import Evaluation
import KQL
import TestSupport
import Testing

/// Plugins of `evaluate` that mine patterns, sequences and user activity. Queries and results are those of Kusto's documentation where it has
/// any.
@Suite struct PluginTests {
    private static let visits = """
        let T = datatable(UserId:string, Timestamp:datetime)['A', datetime(2017-08-01), 'D', datetime(2017-08-01), 'J', datetime(2017-08-01),
            'B', datetime(2017-08-01), 'C', datetime(2017-08-02), 'T', datetime(2017-08-02), 'J', datetime(2017-08-02),
            'H', datetime(2017-08-03), 'T', datetime(2017-08-03), 'T', datetime(2017-08-03), 'J', datetime(2017-08-03),
            'B', datetime(2017-08-03), 'S', datetime(2017-08-03), 'S', datetime(2017-08-04)];

        """
    private static let days = """
        let Users = datatable(Timestamp:datetime, users:dynamic)[datetime(2019-11-01), dynamic([0,2,3,4]),
            datetime(2019-11-02), dynamic([0,1,3,4,5]), datetime(2019-11-03), dynamic([0,2,4,5]), datetime(2019-11-04), dynamic([0,1,2,3]),
            datetime(2019-11-05), dynamic([0,1,2,3,4])] | mv-expand user = users to typeof(long);

        """
    private static func day(_ n: Int, _ rest: String, month: String = "2017-08") -> String { "\(month)-0\(n)T00:00:00.0000000Z|\(rest)" }

    @Test(arguments: [
        QueryCase(
            visits + "T | evaluate activity_counts_metrics(UserId, Timestamp, datetime(2017-08-01), datetime(2017-08-04), 1d)",
            [day(1, "4|4|4|4"), day(2, "3|3|2|6"), day(3, "6|5|2|8"), day(4, "1|1|0|8")]),
        QueryCase(
            visits + "T | extend g = iff(UserId in ('J', 'T'), 'x', '') | evaluate activity_counts_metrics(UserId, Timestamp, "
                + "datetime(2017-08-01), datetime(2017-08-03), 2d, g)",
            [day(1, "|4|4|4|4"), day(1, "x|3|2|2|2"), day(3, "|3|3|2|6"), day(3, "x|3|2|0|2")]),
        QueryCase(
            visits + "T | evaluate activity_metrics(UserId, Timestamp, datetime(2017-08-01), datetime(2017-08-04), 1d)",
            [day(1, "4|4|NaN|NaN"), day(2, "3|2|0.25|0.75"), day(3, "5|3|0.6666666666666666|0.3333333333333333"), day(4, "1|0|0.2|0.8")]),
        QueryCase(
            visits + "T | evaluate activity_metrics(UserId, Timestamp, 'month')", [day(1, "8|8|NaN|NaN")]),
        QueryCase(
            visits + "T | evaluate activity_engagement(UserId, Timestamp, datetime(2017-08-03), datetime(2017-08-04), 1d, 3d)",
            [day(3, "5|8|0.625"), day(4, "1|6|0.16666666666666666")]),
        QueryCase(
            visits + "T | evaluate sliding_window_counts(UserId, Timestamp, datetime(2017-08-01), datetime(2017-08-06), 3d, 1d)",
            [day(1, "4|4"), day(2, "7|6"), day(3, "13|8"), day(4, "10|6"), day(5, "7|5"), day(6, "1|1")]),
        QueryCase(
            """
            let T = datatable(User:string, Timestamp:datetime)["B", datetime(2018-06-29), "B", datetime(2018-06-30), "A", datetime(2018-07-02),
                "B", datetime(2018-07-04), "B", datetime(2018-07-08), "A", datetime(2018-07-10), "A", datetime(2018-07-14),
                "A", datetime(2018-07-17), "A", datetime(2018-07-20), "B", datetime(2018-07-24)];
            T | evaluate active_users_count(User, Timestamp, datetime(2018-07-01), datetime(2018-07-31), 8d, 1d, 3, 7d)
            """, ["2018-07-01T00:00:00.0000000Z|1", "2018-07-15T00:00:00.0000000Z|1"]),
        QueryCase(
            "datatable(u:long, t:long)[1,0, 1,3, 1,20, 2,5, 2,21, 1,24] | evaluate session_count(u, t, 0, 30, 10, 5)",
            ["0|2", "20|2"]),
        QueryCase(
            days + "Users | evaluate new_activity_metrics(user, Timestamp, datetime(2019-11-01), datetime(2019-11-07) - 1tick, 1d) "
                + "| where from_Timestamp == datetime(2019-11-01) | project to_Timestamp, dcount_new_values, dcount_retained_values, "
                + "dcount_churn_values, retention_rate, churn_rate",
            [
                day(1, "4|4|0|1|0", month: "2019-11"), day(2, "2|3|1|0.75|0.25", month: "2019-11"),
                day(3, "1|3|1|0.75|0.25", month: "2019-11"), day(4, "1|3|1|0.75|0.25", month: "2019-11"),
                day(5, "1|4|0|1|0", month: "2019-11"), day(6, "0|0|4|0|1", month: "2019-11"),
            ]),
        QueryCase(
            days + "Users | evaluate new_activity_metrics(user, Timestamp, datetime(2019-11-02), datetime(2019-11-04), 1d, "
                + "datetime(2019-11-02), (Users | where Timestamp < datetime(2019-11-02))) | project to_Timestamp, dcount_new_values, "
                + "dcount_retained_values, dcount_churn_values",
            [day(2, "2|2|0", month: "2019-11"), day(3, "0|1|1", month: "2019-11"), day(4, "0|1|1", month: "2019-11")]),
    ])
    func activity(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        (
            "activity_counts_metrics(u, t, datetime(2024-01-01), datetime(2024-02-01), 1d, k)",
            ["t", "k", "count", "dcount", "new_dcount", "aggregated_dcount"]
        ),
        ("activity_metrics(u, t, 1d, k)", ["t", "dcount_values", "dcount_newvalues", "retention_rate", "churn_rate", "k"]),
        (
            "activity_engagement(u, t, 1d, 7d, k)", ["t", "dcount_activities_inner", "dcount_activities_outer", "activity_ratio", "k"]
        ),
        ("active_users_count(u, t, datetime(2024-01-01), datetime(2024-02-01), 7d, 1d, 2, 7d, k)", ["t", "k", "dcount"]),
        ("session_count(u, t, datetime(2024-01-01), datetime(2024-02-01), 1d, 30m, k)", ["t", "k", "count_sessions"]),
        ("sliding_window_counts(u, t, datetime(2024-01-01), datetime(2024-02-01), 7d, 'week', k)", ["t", "k", "Count", "Dcount"]),
        (
            "new_activity_metrics(u, t, datetime(2024-01-01), datetime(2024-02-01), 'month', k)",
            ["from_t", "to_t", "dcount_new_values", "dcount_retained_values", "dcount_churn_values", "retention_rate", "churn_rate", "k"]
        ),
        ("basket()", ["SegmentId", "Count", "Percent", "u", "t", "k"]),
        ("autocluster()", ["SegmentId", "Count", "Percent", "u", "t", "k"]),
        ("diffpatterns(k, 'a', 'b')", ["SegmentId", "CountA", "CountB", "PercentA", "PercentB", "PercentDiffAB", "u", "t"]),
        ("sequence_detect(t, 1h, 1d, e1 = (k == 'a'), e2 = (k == 'b'), u)", ["u", "e1_t", "e2_t", "Duration"]),
        (
            "funnel_sequence_completion(u, t, datetime(2024-01-01), datetime(2024-02-01), 1d, k, dynamic(['a', 'b']), dynamic([1h]))",
            ["t", "k", "Period", "dcount"]
        ),
    ])
    func schemas(_ call: String, _ columns: [String]) throws {
        #expect(try QueryRunner().names("datatable(u:string, t:datetime, k:string)[] | evaluate \(call)") == columns)
    }

    @Test(arguments: [
        ("session_count(u, t, 1, 10, 1, 1)", "the timeline is a datetime"), ("activity_metrics(u, k, 1d)", "the timeline of"),
        ("activity_metrics(u, t, 'day')", "'week', 'month' or 'year'"), ("activity_engagement(u, t, 'week', 7d)", "a span of time"),
        ("sliding_window_counts(u, t, datetime(2024-01-01), datetime(2024-02-01), 7d, 0d)", "more than zero"),
        ("sequence_detect(t, 1h, 1d, u)", "at least one condition"), ("basket(7)", "from 0.015 to 1.0"),
        ("basket(0.1, k)", "the weight is a number"), ("diffpatterns(k, 'a')", "two of its values"),
        ("autoclusta()", "unknown plugin"), ("diffpatterns_text(k, 'a')", "is not published"),
        ("python(typeof(*), 'x')", "other languages"), ("rows_near(k == 'a', 2)", "no longer"),
        ("dcount_intersect(pack_array(k))", "2 to 8 sketches"), ("dcount_intersect(k, u)", "sketches of hll, not a string"),
    ])
    func refusals(_ call: String, _ words: String) {
        do {
            _ = try QueryRunner().plan("datatable(u:string, t:datetime, k:string)[] | evaluate \(call)")
            Issue.record("\(call) is bound")
        } catch { #expect("\(error)".contains(words), "\(error)") }
    }

    // MARK: Intersections of sketches

    @Test(arguments: [
        QueryCase(
            """
            range x from 1 to 100 step 1 | extend even = x % 2 == 0, third = x % 3 == 0, fifth = x % 5 == 0
            | summarize a = hll(iif(even, x, 0), 2), b = hll(iif(third, x, 0), 2), c = hll(iif(fifth, x, 0), 2)
            | evaluate dcount_intersect(a, b, c) | project s0 - 1, s1 - 1, s2 - 1
            """, ["50|16|3"]),
        QueryCase(
            "datatable(k:string, x:long, y:long)['p',1,2, 'p',2,2, 'q',1,3] | summarize a = hll(x), b = hll(y) by k | sort by k asc "
                + "| evaluate dcount_intersect(b, a)", ["1|1", "1|0"]),
    ])
    func intersections(_ c: QueryCase) throws { try check(c) }

    @Test("intersections of sets that are mere sketches err as the sketches do") func estimatedIntersections() throws {
        let query = "range x from 1 to 30000 step 1 | summarize a = hll(x, 4), b = hll(2 * x, 4), c = hll(3 * x, 4) | evaluate "
        let rows = try QueryRunner().rows(query + "dcount_intersect(a, b, c)")
        let sizes = rows.first?.split(separator: "|").compactMap { Double(String($0)) } ?? []
        #expect(sizes.count == 3)
        for (size, exact) in zip(sizes, [30000.0, 15000, 5000]) { #expect(abs(size - exact) < 600, "\(size) for \(exact)") }
        let nine = Array(repeating: "a", count: 9).joined(separator: ", ")
        #expect(throws: (any Error).self) { try QueryRunner().rows(query + "dcount_intersect(\(nine))") }
    }

    // MARK: Patterns

    private static let storms = """
        let T = range i from 1 to 100 step 1 | project State = strcat('S', i % 10), Event = iff(i <= 40, 'Hail', iff(i <= 65, 'Wind',
            strcat('E', i % 7))), Damage = iff(i <= 38, 'NO', iff(i % 3 == 0, 'YES', 'NO')), Crops = iff(i % 17 == 0, 5, 0);

        """

    @Test(arguments: [
        QueryCase(
            storms + "T | evaluate basket(0.35)",
            [
                "0|75|75||NO|0", "1|37|37|Hail|NO|0", "2|95|95|||0", "3|79|79||NO|null", "4|39|39|Hail|NO|null", "5|38|38|Hail||0",
                "6|40|40|Hail||null",
            ].map { r in
                let cells = r.split(separator: "|", omittingEmptySubsequences: false)
                return (cells[..<3] + [""] + cells[3...]).joined(separator: "|")
            }),
        QueryCase(
            storms + "T | project Event, Crops | evaluate basket('~', '~', 1, '*', -1) | where Event == '*'", ["0|95|95|*|0", "10|5|5|*|5"]),
        QueryCase(
            "datatable(a:string, n:long)['x',3, 'x',2, 'y',95] | evaluate basket(0.05, n)", ["0|95|95|y", "1|5|5|x"]),
        QueryCase(storms + "T | evaluate autocluster(0.6)", ["0|75|75|||NO|0", "1|25|25||Wind||null"]),
        QueryCase(storms + "T | where Event == 'none' | evaluate autocluster()", []),
        QueryCase(
            storms + "T | evaluate diffpatterns(Damage, 'NO', 'YES', '~', 0.1)",
            ["0|39|1|49.37|4.76|44.61||Hail|null", "1|17|8|21.52|38.1|16.58||Wind|null"]),
    ])
    func patterns(_ c: QueryCase) throws { try check(c) }

    @Test("basket gives the closed patterns that trying all of them gives", arguments: 0..<40) func basket(_ seed: Int) throws {
        var random = TestRandom(state: UInt64(seed))
        let rows = (0..<(5 + Int(random.next() % 40))).map { _ in (0..<3).map { _ in Int(random.next() % 3) } }
        let share = [0.1, 0.2, 0.34][Int(random.next() % 3)]
        // Every choice of set columns and values: a pattern is closed if no other with the same rows sets more.
        var wanted: Set<String> = []
        for code in 0..<64 {
            let cells = (0..<3).map { c -> Int? in
                let v = code / [1, 4, 16][c] % 4
                return v == 3 ? nil : v
            }
            let mine = rows.filter { r in (0..<3).allSatisfy { cells[$0] == nil || cells[$0] == r[$0] } }
            guard cells.contains(where: { $0 != nil }), Double(mine.count) >= share * Double(rows.count), !mine.isEmpty else { continue }
            let isClosed = (0..<3).allSatisfy { c in cells[c] != nil || Set(mine.map { $0[c] }).count > 1 }
            if isClosed { wanted.insert("\(mine.count)|" + cells.map { $0.map(String.init) ?? "null" }.joined(separator: "|")) }
        }
        let table = "datatable(a:long, b:long, c:long)[" + rows.flatMap { $0.map(String.init) }.joined(separator: ",") + "]"
        let found = try QueryRunner().rows("\(table) | evaluate basket(\(share)) | project Count, a, b, c")
        #expect(Set(found) == wanted, "seed \(seed)")
        #expect(found.count == wanted.count, "seed \(seed)")
    }

    @Test func tooManyPatternsAreAnError() throws {
        var runner = QueryRunner()
        runner.limits.heldRows = 500
        let columns = (0..<12).map { "c\($0) = hash(i * 31 + \($0 * 7919), 2)" }.joined(separator: ", ")
        do {
            _ = try runner.rows("range i from 1 to 40 step 1 | project \(columns) | evaluate basket(0.015, '~', 10)")
            Issue.record("no limit was reached")
        } catch { #expect("\(error)".contains("looked at 500 patterns"), "\(error)") }
    }

    // MARK: Sequences

    @Test(arguments: [
        QueryCase(
            """
            datatable(t:datetime, e:string, s:string)[datetime(2007-05-08), 'h', 'CA', datetime(2007-05-08 16:02), 'w', 'CA',
                datetime(2007-05-10 11:30), 'w', 'CA', datetime(2007-05-20), 'w', 'CA', datetime(2007-07-23 12:00), 'h', 'SD',
                datetime(2007-07-27 09:00), 'w', 'SD', datetime(2007-07-27 09:00), 'w', 'SD']
            | evaluate sequence_detect(t, 5d, 5d, heat=(e == 'h'), wildfire=(e == 'w'), s) | project s, Duration
            """, ["CA|16:02:00", "CA|2.11:30:00", "SD|3.21:00:00"]),
        QueryCase(
            """
            datatable(id:long, t:datetime, e:string)[1, datetime(2007-01-01), 'Hail', 1, datetime(2007-01-01 00:30), 'Tornado',
                1, datetime(2007-01-01 02:00), 'Wind', 2, datetime(2007-01-01), 'Hail', 3, datetime(2007-02-01), 'Tornado',
                3, datetime(2007-02-02), 'Hail']
            | evaluate funnel_sequence_completion(id, t, datetime(2007-01-01), datetime(2008-01-01), 365d, e,
                dynamic(['Hail', 'Tornado', 'Wind']), dynamic([1h, 4h])) | project e, Period, dcount
            """,
            [
                "Hail|01:00:00|3", "Tornado|01:00:00|1", "Wind|01:00:00|0", "Hail|04:00:00|3", "Tornado|04:00:00|1", "Wind|04:00:00|1",
            ]),
        QueryCase(
            "datatable(id:long, t:long, e:string)[1,0,'a', 1,0,'a', 2,0,'a', 2,3,'a'] | evaluate funnel_sequence_completion(id, t, 0, 9, 10, e, "
                + "dynamic(['a', 'a']), dynamic([5])) | project e, Period, dcount", ["a|5|2", "a|5|1"]),
    ])
    func sequences(_ c: QueryCase) throws { try check(c) }

    @Test("sequences are those that trying all triples gives", arguments: 0..<40) func enumerated(_ seed: Int) throws {
        var random = TestRandom(state: UInt64(seed))
        let rows = (0..<(3 + Int(random.next() % 30))).map { _ in (Int(random.next() % 20), Int(random.next() % 4), Int(random.next() % 2))
        }
        let (step, span) = (Int(random.next() % 6), Int(random.next() % 10))
        var wanted: Set<String> = []
        for a in rows where a.1 == 0 {
            for b in rows where b.1 == 1 && b.2 == a.2 && b.0 >= a.0 && b.0 - a.0 <= min(step, span) {
                for c in rows where c.1 <= 2 && c.1 >= 1 && c.2 == a.2 && c.0 >= b.0 && c.0 - b.0 <= step && c.0 - a.0 <= span {
                    wanted.insert("\(a.2)|\(a.0)|\(b.0)|\(c.0)|\(c.0 - a.0)")
                }
            }
        }
        let table = "datatable(t:long, e:long, g:long)[" + rows.map { "\($0.0),\($0.1),\($0.2)" }.joined(separator: ",") + "]"
        let found = try QueryRunner().rows(
            "\(table) | evaluate sequence_detect(t, \(step), \(span), x=(e == 0), y=(e == 1), z=(e in (1, 2)), g)")
        #expect(found.sorted() == wanted.sorted(), "seed \(seed)")
    }

    // MARK: Look-ups

    @Test(arguments: [
        QueryCase(
            """
            let L = datatable(network:string, c:string, n:string)['1.2.3.0/24', 'a', 'A', '1.2.3.0/24', 'b', 'B'];
            datatable(ip:string, c:string)['1.2.3.4', 'b', '1.2.3.5', 'x'] | evaluate ipv4_lookup(L, ip, network, c, return_unmatched = true)
            """, ["1.2.3.4|b|1.2.3.0/24|B", "1.2.3.5|x||"]),
        QueryCase(
            """
            let L = datatable(network:string, n:int, m:long)['::/0', 1, 5, '1.2.3.0/24', int(null), 6];
            datatable(ip:string, n:long, m:long)['1.2.3.4', 1, 5, '1.2.3.5', long(null), 6] | evaluate ipv6_lookup(L, ip, network, n, m)
            """, ["1.2.3.4|1|5|::/0"]),
    ])
    func furtherKeys(_ c: QueryCase) throws { try check(c) }

    /// Columns with the names of settings are columns.
    @Test(arguments: [
        QueryCase("print d = 1 | mv-expand id = range(d, d + 1, 1) to typeof(long)", ["1|1", "1|2"]),
        QueryCase("print d = dynamic([[1], [2]]) | mv-expand kind = array_reverse(d)", ["[[1],[2]]|[2]", "[[1],[2]]|[1]"]),
        QueryCase("print d = dynamic({'a':1}) | mv-expand kind=array d", ["[\"a\",1]"]),
    ])
    func expandedNames(_ c: QueryCase) throws { try check(c) }
}

/// Sketches as values.
@Suite struct SketchTests {
    @Test(arguments: [
        QueryCase("range x from 1 to 1000 step 1 | summarize h = hll(x) | project dcount_hll(h)", ["1000"]),
        QueryCase(
            "range x from 1 to 100 step 1 | summarize h = hll(x) by g = x % 3 | summarize m = hll_merge(h) | project dcount_hll(m)", ["100"]
        ),
        QueryCase("range x from 1 to 100 step 1 | summarize h = hll_if(x % 10, x > 50) | project dcount_hll(h)", ["10"]),
        QueryCase("datatable(x:long)[] | summarize h = hll(x) | project dcount_hll(h)", ["0"]),
        QueryCase("print dcount_hll(dynamic([14, 'x'])), dcount_hll(dynamic(null)), dcount_hll(dynamic([99, [1]]))", ["null|null|null"]),
        QueryCase(
            "range x from 1 to 1000 step 1 | summarize t = tdigest(x) | project rank_tdigest(t, 685), percentrank_tdigest(t, 250)",
            ["685|25"]),
        QueryCase(
            "range x from 1 to 100 step 1 | summarize t = tdigest(x) by g = x % 4 | summarize m = tdigest_merge(t) "
                + "| project percentile_tdigest(m, 90), percentile_tdigest(m, 50, typeof(long)), percentiles_array_tdigest(m, 0, 25, 100)",
            ["90|50|[1,25,100]"]),
        QueryCase(
            "datatable(x:datetime)[datetime(2024-01-01), datetime(2024-01-03)] | summarize t = tdigest(x) "
                + "| project percentile_tdigest(t, 100, typeof(datetime)), rank_tdigest(t, datetime(2024-01-02))",
            ["2024-01-03T00:00:00.0000000Z|1"]),
        QueryCase(
            "datatable(x:real, w:long)[1.5, 3, 2.5, 1, 9.5, 0] | summarize t = tdigest(x, w) | project rank_tdigest(t, 2), rank_tdigest(t, 3)",
            ["3|4"]),
        QueryCase("datatable(x:real)[] | summarize t = tdigest(x) | project percentile_tdigest(t, 50, typeof(real))", ["null"]),
    ])
    func values(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase(
            "range x from 1 to 100 step 1 | summarize a = hll(iif(x % 2 == 0, x, 0), 2), b = hll(iif(x % 3 == 0, x, 0), 2), "
                + "c = hll(iif(x % 5 == 0, x, 0), 2) | evaluate dcount_intersect(a, b, c) | project s0 - 1, s1 - 1, s2 - 1", ["50|16|3"]),
        QueryCase(
            "range x from 1 to 3 step 1 | summarize a = hll(x), b = hll(x + 5) | evaluate dcount_intersect(a, b) | project s0, s1", ["3|0"]),
        QueryCase("print a = dynamic(null), b = dynamic(null) | evaluate dcount_intersect(a, b)", ["0|0"]),
    ])
    func intersections(_ c: QueryCase) throws { try check(c) }

    static let oneSchema = "let s1 = datatable(Uri:string, HttpStatus:int)[] | getschema; "

    @Test(arguments: [
        QueryCase(
            oneSchema
                + "let s2 = datatable(Uri:string, HttpStatus:int, Referrer:string)[] | getschema; union s1, s2 | evaluate schema_merge()",
            ["Uri|0|System.String|string", "HttpStatus|1|System.Int32|int", "Referrer|2|System.String|string"]),
        QueryCase(
            oneSchema
                + "let s2 = datatable(Uri:string, Referrer:string, HttpStatus:int)[] | getschema; union s1, s2 | evaluate schema_merge()",
            [
                "Uri|0|System.String|string", "Referrer|1|System.String|string",
                "HttpStatus|-1|ERROR(unknown CSL type:ERROR(columns are out of order))|ERROR(columns are out of order)",
            ]),
        QueryCase(
            oneSchema + "let s2 = datatable(Uri:string, Referrer:string, HttpStatus:int)[] | getschema; "
                + "union s1, s2 | evaluate schema_merge(PreserveOrder = false)",
            ["Uri|0|System.String|string", "Referrer|1|System.String|string", "HttpStatus|2|System.Int32|int"]),
    ])
    func schemas(_ c: QueryCase) throws { try check(c) }

    @Test func severalTypes() {
        #expect(throws: EvaluationError.self) {
            try QueryRunner().rows("union (print a = 1 | getschema), (print a = 'x' | getschema) | evaluate schema_merge()")
        }
    }

    /// Beyond what is held exactly: the same value whatever the parts, with the error that the accuracy promises.
    @Test func large() throws {
        let all = try QueryRunner().rows("range x from 1 to 20000 step 1 | summarize h = hll(x) | project h, dcount_hll(h)")
        let parts = try QueryRunner().rows(
            "range x from 1 to 20000 step 1 | summarize h = hll(x) by x % 7 | summarize h = hll_merge(h) | project h, dcount_hll(h)")
        #expect(all == parts)
        let count = try #require(all.first?.split(separator: "|").last.flatMap { Int($0) })
        #expect(abs(count - 20000) < 20000 * 3 / 100)
        // The lower accuracy is left, and the sketch is that of the union at it.
        let folded = try QueryRunner().rows(
            "let a = range x from 1 to 20000 step 1; union (a | summarize h = hll(x, 4)), (a | summarize h = hll(x, 0)) "
                + "| summarize h = hll_merge(h) | project dcount_hll(h), same = tostring(h) == tostring(toscalar(a | summarize hll(x, 0)))")
        #expect(folded.first?.hasSuffix("|true") ?? false, "\(folded)")
        let p = try QueryRunner().rows(
            "range x from 1 to 20000 step 1 | summarize t = tdigest(x) | project percentile_tdigest(t, 50, typeof(long)), "
                + "percentile_tdigest(t, 100, typeof(long)), percentile_tdigest(t, 0, typeof(long))")
        let cells = try #require(p.first).split(separator: "|").compactMap { Int($0) }
        #expect(cells.count == 3 && abs(cells[0] - 10000) < 100 && cells[1] == 20000 && cells[2] == 1, "\(p)")
    }
}
