import Columnar
import Evaluation
import KQL
import Testing

/// Forms of operators that Kusto's pages document, with the results they show.
@Suite struct DocumentedOperatorTests {
    static let sessions = """
        let E1 = datatable(Id:string, Level:string, Text:string, Version:string)
            ['a', 'Information', 'Some Text1', 'v1', 'a', 'Error', 'Some Text2', 'v1', 'b', 'Error', 'Some Text3', 'v2'];
        let E2 = datatable(Id:string, Level:string, Text:string, EventName:string)
            ['c', 'Information', 'Other Text1', 'Event1', 'a', 'Error', 'Other Text3', 'Event3'];

        """

    @Test(
        "find gives the columns in common, those of the condition, and packs the rest",
        arguments: [
            (
                "find in (E1, E2) where Id == 'a'", ["source_", "Id", "Level", "Text", "pack_"],
                [
                    #"E1|a|Information|Some Text1|{"Version":"v1"}"#, #"E1|a|Error|Some Text2|{"Version":"v1"}"#,
                    #"E2|a|Error|Other Text3|{"EventName":"Event3"}"#,
                ]
            ),
            (
                "find in (E1, E2) where Id == 'a' and Level == 'Error' project Text, Version, EventName, pack_all()",
                ["source_", "Text", "Version", "EventName", "pack_"],
                [
                    #"E1|Some Text2|v1||{"Id":"a","Level":"Error"}"#, #"E2|Other Text3||Event3|{"Id":"a","Level":"Error"}"#,
                ]
            ),
            (
                "find withsource=T in (E1, E2) where Version == 'v2' or EventName == 'Event1' project Id, Version, EventName",
                ["T", "Id", "Version", "EventName"], ["E1|b|v2|", "E2|c||Event1"]
            ),
            (
                "find in (E1) where Id == 'b' project Id, Level, Text, Version, pack(*)",
                ["source_", "Id", "Level", "Text", "Version", "pack_"], ["E1|b|Error|Some Text3|v2|{}"]
            ),
        ] as [(String, [String], [String])])
    func find(_ query: String, _ names: [String], _ rows: [String]) throws {
        #expect(try QueryRunner().names(Self.sessions + query) == names)
        try check(QueryCase(Self.sessions + query, rows))
    }

    @Test(arguments: [
        QueryCase("range x from 1 to 1 step 1 | as T1 | union withsource=T (range x from 1 to 1 step 1 | as T2)", ["T1|1", "T2|1"]),
        QueryCase("union withsource=T (print x = 1 | as T1), (print x = 2 | as T2 | where x > 0)", ["T1|1", "union_arg1|2"]),
        QueryCase("let A = print x = 1 | as B; union withsource=T A, (print x = 2)", ["A|1", "union_arg1|2"]),
        QueryCase("print x = 'a b' | as T1 | search 'b'", ["T1|a b"]),
    ])
    func namesGivenByAs(_ c: QueryCase) throws { try check(c) }

    static let parts = "datatable(x:long, m:real, d:string)[1, 2.0, 'a', 2, 3.0, 'a', 3, 5.0, 'b'] | "
    static let bags = "datatable(x:long, m:dynamic)[1, dynamic([1, 2]), 1, dynamic([5]), 2, dynamic([7])] | "

    @Test(
        "a sub-query in the body of partition and mv-apply reads the rows that `as` named there",
        arguments: [
            QueryCase(
                parts + "partition by d (as P | extend p = m * 100.0 / toscalar(P | summarize sum(m)))",
                ["1|2|a|40", "2|3|a|60", "3|5|b|100"]),
            QueryCase(parts + "partition by d (as P | where x in ((P | summarize max(x)))) | project x", ["2", "3"]),
            QueryCase(parts + "partition by d (as P | join kind=inner (P | project x, y = m) on x | count)", ["2", "1"]),
            QueryCase(
                bags + "mv-apply m to typeof(long) on (as P | extend p = m * 10 / toscalar(P | summarize sum(m)))",
                ["1|1|3", "1|2|6", "1|5|10", "2|7|10"]),
            QueryCase(
                bags
                    + "partition by x (as Q | mv-apply m to typeof(long) on (as P | extend p = toscalar(P | summarize sum(m)), q = toscalar(Q | count), r = toscalar(print 3)))",
                ["1|1|3|2|3", "1|2|3|2|3", "1|5|5|2|3", "2|7|7|1|3"]),
        ])
    func bodies(_ c: QueryCase) throws { try check(c) }

    @Test(
        "the older spelling of mv-expand has a limit of its own",
        arguments: [("mvexpand a", "128"), ("mv-expand a", "200"), ("mvexpand a limit 150", "150")])
    func limits(_ expand: String, _ count: String) throws {
        try check(QueryCase("range x from 1 to 200 step 1 | summarize a = make_list(x) | \(expand) | count", [count]))
    }

    @Test("a column that the body of mv-apply computes takes the place of the input's")
    func replaced() throws {
        let query = "datatable(a:int, b:dynamic)[1, dynamic([1, 2])] | mv-apply b to typeof(long) on (summarize a = sum(b))"
        #expect(try QueryRunner().names(query) == ["a"])
        try check(QueryCase(query, ["3"]))
    }

    @Test(arguments: [
        QueryCase(
            "datatable(s:string)['fooZ1', 'fooZ2', 'bar', 'fooZ3'] | reduce kind=source by s with characters='Z'",
            ["fooZ1|foo*", "fooZ2|foo*", "bar|others", "fooZ3|foo*"]),
        QueryCase("range x from 1 to 10 step 1 | project str = strcat('foo', 'Z', tostring(x)) | reduce by str", ["others|10|"]),
        QueryCase(
            "range x from 1 to 10 step 1 | project str = strcat('foo', 'Z', tostring(x)) | reduce by str with characters='Z'",
            ["foo*|10|fooZ1"]),
    ])
    func reduce(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase(
            "print s = '2021-01-01T10:00:34 [INFO] ThreadId:458745723, Machine:Node001, Text: Started' | parse-kv s as (Text:string, ThreadId:long, Machine:string) | project-away s",
            ["Started|458745723|Node001"]),
        QueryCase(
            #"print s = "10:00:34 [INFO] Id:45, Text: 'The service \\' is up'" | parse-kv s as (Text:string, Id:long) with (quote="'", escape='\\') | project-away s"#,
            ["The service ' is up|45"]),
        QueryCase(
            "print s = 'a=1 failure=(connection aborted) (event time)=(2021-01-01 10:00:54)' | parse-kv s as (['event time']:datetime, failure:string, a:long) with (pair_delimiter=' ', kv_delimiter='=', quote='()') | project-away s",
            ["2021-01-01T10:00:54.0000000Z|connection aborted|1"]),
        QueryCase(
            #"print s = "a='x y' b=(c d) e" | parse-kv s as (a:string, b:string) with (pair_delimiter=' ', kv_delimiter='=', quote="'", quote='()') | project-away s"#,
            ["x y|c d"]),
        QueryCase(
            "print s = 'a : 1 ,  b:  two words ' | parse-kv s as (a:long, b:string) with (pair_delimiter=',', kv_delimiter=':') | project a, b = strcat('<', b, '>')",
            ["1|<two words>"]),
        QueryCase(
            "print s = 'aa:1 a:2 k.a:3' | parse-kv s as (a:long, aa:long) | project-away s", ["2|1"]),
    ])
    func parseKeyValues(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        // Both ends are in; the bins are those of bin(), so the start itself need not be one.
        QueryCase(
            "datatable(t:long, v:real)[1, 2.0, 5, 3.0, 10, 1.0, 11, 9.0] | make-series s = sum(v), c = count() on t in range(1, 10, 2)",
            ["[2.0,0.0,3.0,0.0,0.0,1.0]|[1,0,1,0,0,1]|[0,2,4,6,8,10]"]),
        QueryCase(
            "datatable(t:long, v:real)[1, 2.0, 5, 3.0] | make-series s = sum(v) on t from 1 to 7 step 2", ["[2.0,0.0,3.0]|[1,3,5]"]),
    ])
    func series(_ c: QueryCase) throws { try check(c) }

    static let nested = """
        let D = datatable(a:string, b:string, c:string, x:long)
            ['k', 'p', 'l1', 5, 'k', 'p', 'l2', 3, 'k', 'q', 'l1', 2, 'k', 'r', 'l4', 1, 't', 'p', 'l1', 4, 'u', 'p', 'l1', 2, 'v', 'q', 'l2', 1];
        D | top-nested
        """

    @Test(
        "others of top-nested stay others at the levels below, with null at those that have none",
        arguments: [
            QueryCase(
                nested
                    + " 2 of a with others='rest' by sum(x), top-nested 2 of b by sum(x), top-nested 1 of c with others='more' by sum(x)",
                [
                    "k|11|p|8|l1|5", "k|11|p|8|more|3", "k|11|q|2|l1|2", "k|11||null|more|1", "t|4|p|4|l1|4", "rest|3||null|more|3",
                ], anyOrder: true),
            QueryCase(
                nested + " 1 of a with others='rest' by sum(x), top-nested 1 of b by count()", ["k|11|p|2", "rest|7||null"], anyOrder: true),
            QueryCase(
                nested + " 1 of a by sum(x), top-nested 1 of b with others='rest' by s=sum(x)",
                ["k|11|p|8", "k|11|rest|3", "||rest|7"].map { $0.hasPrefix("|") ? "|null|rest|7" : $0 }, anyOrder: true),
            // A value that is called like the others is not one of them.
            QueryCase(nested + " 1 of a with others='k' by sum(x)", ["k|11", "k|7"], anyOrder: true),
        ])
    func nestedOthers(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase("datatable(s:string)['Lab 1 PC', 'LabPC', 'xLab PC'] | search 'Lab*PC' | project s", ["Lab 1 PC", "LabPC"]),
        QueryCase("datatable(s:string)['Lab 1', 'xLab'] | search s:'La*' | project s", ["Lab 1"]),
        QueryCase("datatable(s:string)['Lab 1', 'xLab'] | search s:'*ab*' and * : '1' | project s", ["Lab 1"]),
        QueryCase("datatable(s:string)['Lab 1', 'lab'] | search kind=case_sensitive s:'lab' | project s", ["lab"]),
        QueryCase("datatable(s:string)['Lab 1', 'Lab*'] | search s has 'Lab*' | project s", ["Lab*"]),
        QueryCase("let T = datatable(A:string, B:int)[]; print Columns = column_names_of(T)", [#"["A","B"]"#]),
        QueryCase("let f = (p:int) { print A = '', B = 1 }; print Columns = column_names_of(f(1))", [#"["A","B"]"#]),
        QueryCase(
            "let L = datatable(Name:string, Age:int, Country:string)['P', 39, 'USA']; let F = (S:(Name:string), more: dynamic) { S | lookup L on Name | project-by-names column_names_of(S), more }; datatable(Name:string, Data:string)['P', 'd'] | invoke F(dynamic(['Country', 'None']))",
            ["P|d|USA"]),
    ])
    func others(_ c: QueryCase) throws { try check(c) }

    static let apps = """
        declare pattern App = (id: string)[scope: string] {
            ('a1').['Data'] = { range x from 1 to 2 step 1 | project App = id, Data = x };
            ('a2').['Data'] = { print App = id, Scope = scope };
        };

        """

    @Test(arguments: [
        QueryCase(
            "declare pattern country = (name:string)[state:string] { ('USA').['New York'] = { print Capital = 'Albany' }; "
                + "('Canada').['Alberta'] = { print Capital = 'Edmonton' }; }; country('Canada').Alberta", ["Edmonton"]),
        QueryCase(
            "declare pattern m = (ip:string) { ('10.10.10.10') = { print Lat = 37.4, Long = -122.0 }; }; m('10.10.10.10')", ["37.4|-122"]),
        QueryCase(apps + "union App('a2').Data, App('a1').['Data'] | project App, Data, Scope", ["a2|null|Data", "a1|1|", "a1|2|"]),
        QueryCase(apps + "let n = 'a1'; print toscalar(App(n).Data | count), 'a2' in (App('a2').Data)", ["2|true"]),
    ])
    func patterns(_ c: QueryCase) throws { try check(c) }

    @Test(
        "a pattern's call without a case, its arguments or rows is refused",
        arguments: [
            ("App('a1').['*'] | count", "VK0101"), ("App('a1')", "VK0101"), ("App", "VK0107"), ("print App('a1').Data", "VK0104"),
            ("let x = App(strcat('a', tostring(now()))).Data; x", "VK0109"),
        ])
    func patternErrors(_ query: String, _ code: String) {
        let bound = Binder(functions: FunctionRegistry.standard, schemas: MemoryTables()).bind(SyntaxTree.parse(Self.apps + query))
        #expect(bound.diagnostics.filter { $0.severity == .error }.map(\.code) == [code], "\(bound.diagnostics)")
    }

    @Test(arguments: [
        QueryCase("let T = print x = 1; let f = (n: string) { table(n) | extend y = 2 }; f('T')", ["1|2"]),
        QueryCase("let T = print x = 1; let f = (n: string) { let T = (table(n) | extend y = 2); T }; f('T')", ["1|2"]),
    ])
    func tablesOfTheQueryByName(_ c: QueryCase) throws { try check(c) }

    @Test func expandTakes() throws {
        try check(QueryCase("print x = range(1, 5) | mv-expand x to typeof(long) take 2", ["1", "2"]))
    }

    static let specials = "datatable(x:real)[real(nan), -5, real(+inf), real(null), 5, real(-inf), 0] | "

    @Test(
        "NaN stands beside the nulls, whichever way the numbers run",
        arguments: [
            ("x asc", ["null", "NaN", "-Infinity", "-5", "0", "5", "Infinity"]),
            ("x", ["Infinity", "5", "0", "-5", "-Infinity", "NaN", "null"]),
            ("x asc nulls last", ["-Infinity", "-5", "0", "5", "Infinity", "NaN", "null"]),
            ("x desc nulls first", ["null", "NaN", "Infinity", "5", "0", "-5", "-Infinity"]),
        ])
    func specialNumbers(_ order: String, _ expected: [String]) throws {
        try check(QueryCase(Self.specials + "sort by \(order)", expected))
        try check(QueryCase(Self.specials + "top 3 by \(order)", Array(expected.prefix(3))))
        try check(QueryCase(Self.specials + "extend k = 'a' | sort by k asc, \(order) | project x", expected))
    }

    @Test(arguments: [
        QueryCase(
            "range x from 1 to 10 step 1 | extend Text = '1234567890' | summarize Total = sum(estimate_data_size(*))", ["180"]),
        QueryCase(
            "print b = true, i = int(1), r = 1.5, d = decimal(1), t = now(), s = 1h, g = new_guid(), e = 'é' "
                + "| project estimate_data_size(*), estimate_data_size(i, e)", ["63|6"]),
    ])
    func sizes(_ c: QueryCase) throws { try check(c) }

    @Test func coalesceOfSeveralTypes() throws {
        try check(
            QueryCase(
                "datatable(b:string, d:datetime)['', datetime(2020-01-01), 'x', datetime(2020-01-01)] | project coalesce(b, d)",
                ["\"2020-01-01T00:00:00.0000000Z\"", "\"x\""]))
    }

    @Test("columns are named as the operators' pages and Kusto's parser name them") func names() throws {
        let runner = QueryRunner()
        #expect(
            try runner.names("datatable(t:long, v:real)[1, 2.0] | make-series percentile(v, 50), max(v) + 1 on t step 1")
                == ["percentile_v_50", "Column1", "t"])
        #expect(
            try runner.names("datatable(t:long, v:real)[1, 2.0] | make-series max(v) + 1, min(v) + 1 on -t step 1")
                == ["Column1", "Column2", "Column3"])
        #expect(
            try runner.names("datatable(x:long)[1] | summarize binary_all_or(x), tdigest(x) by y = 1 | summarize merge_tdigest(tdigest_x)")
                == ["merge_tdigests_tdigest_x"])
        #expect(try runner.names("datatable(x:long)[1] | summarize binary_all_or(x), binary_all_and(x + 1)") == ["x", "binary_all_and_"])
        #expect(
            try runner.names("datatable(a:string, x:long)['a', 1] | top-nested 2 of a by sum(x), top-nested 1 of a by sum(x)")
                == ["a", "aggregated_a", "a1", "aggregated_a1"])
    }
}
