import Columnar
import Evaluation
import KQL
import Testing

private let people = "datatable(n:string, a:long)['x',3, 'y',long(null), 'z',1, 'w',3]"

@Suite struct OperatorTests {
    @Test(arguments: [
        QueryCase("\(people) | sort by a", ["x|3", "w|3", "z|1", "y|null"]),
        QueryCase("\(people) | sort by a asc", ["y|null", "z|1", "x|3", "w|3"]),
        QueryCase("\(people) | sort by a asc nulls last", ["z|1", "x|3", "w|3", "y|null"]),
        QueryCase("\(people) | sort by a desc nulls first, n asc", ["y|null", "w|3", "x|3", "z|1"]),
        QueryCase("\(people) | top 2 by a", ["x|3", "w|3"]),
        QueryCase("\(people) | top 0 by a", []),
        QueryCase("\(people) | top 99 by n asc | take 2", ["w|3", "x|3"]),
        QueryCase("\(people) | take 2", ["x|3", "y|null"]),
        QueryCase("\(people) | where a > 1 | project b = a + 1, n", ["4|x", "4|w"]),
        QueryCase("datatable(s:string)['b', '', 'B', 'ä', 'a'] | sort by s asc", ["", "B", "a", "b", "ä"]),
        QueryCase("datatable(r:real)[1.5, real(nan), -0.5, real(-inf)] | sort by r asc", ["NaN", "-Infinity", "-0.5", "1.5"]),
        QueryCase("datatable(b:bool)[true, false, bool(null)] | sort by b asc", ["null", "false", "true"]),
        QueryCase("datatable(g:decimal)[decimal(10), decimal(9.5)] | sort by g asc", ["9.5", "10"]),
        QueryCase("range x from 1 to 3 step 1 | count", ["3"]),
        QueryCase("range x from 5 to 1 step -2", ["5", "3", "1"]),
        QueryCase("range x from 1 to 0 step 1", []),
        QueryCase("range r from 0.0 to 1.0 step 0.25 | summarize sum(r)", ["2.5"]),
        QueryCase("range t from datetime(2024-01-01) to datetime(2024-01-02) step 12h | count", ["3"]),
        QueryCase("print a = 1, b = 'x' | extend c = strcat(b, a)", ["1|x|x1"]),
        QueryCase("print a = 1 | getschema", ["a|0|System.Int64|long"]),
    ])
    func rows(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase("union (print x = 1), (print x = 2, y = 'b')", ["1|", "2|b"]),
        QueryCase("union withsource=T (datatable(x:long)[1]), (datatable(z:string)['q']) | project x, z", ["1|", "null|q"]),
        QueryCase("let a = datatable(x:long)[1]; union a, a | summarize sum(x)", ["2"]),
        QueryCase(
            "let m = materialize(range x from 1 to 3 step 1 | extend y = x * 10); m | join kind=inner (m | project x, z = y) on x | project x, z",
            ["1|10", "2|20", "3|30"]),
        QueryCase("range x from 1 to 5 step 1 | where x > toscalar(range y from 1 to 3 step 1 | summarize avg(y))", ["3", "4", "5"]),
        QueryCase("range x from 1 to 5 step 1 | where x in ((datatable(y:long, z:long)[2,9, 4,9]))", ["2", "4"]),
        QueryCase("print n = isnull(toscalar(datatable(x:long)[]))", ["true"]),
    ])
    func combinations(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase("range x from 1 to 4 step 1 | serialize p = prev(x), n = next(x, 2, -1)", ["1|null|3", "2|1|4", "3|2|-1", "4|3|-1"]),
        QueryCase(
            "range x from 1 to 4 step 1 | serialize r = row_number(), s = row_cumsum(x), t = row_number(10, x == 3)",
            ["1|1|1|10", "2|2|3|11", "3|3|6|10", "4|4|10|11"]),
        QueryCase("range x from 1 to 5 step 1 | serialize s = row_cumsum(x, x % 2 == 0)", ["1|1", "2|2", "3|5", "4|4", "5|9"]),
        QueryCase(
            "datatable(x:long)[2,3,3,3,100] | sort by x asc | extend d = row_rank_dense(x), m = row_rank_min(x)",
            ["2|1|1", "3|2|2", "3|2|2", "3|2|2", "100|3|5"]),
        QueryCase("datatable(x:long)[5,1,1,4] | sort by x asc | where x != prev(x)", ["1", "4", "5"]),
        QueryCase("range x from 1 to 3 step 1 | serialize d = x - prev(x, 1, 0) + row_number()", ["1|2", "2|3", "3|4"]),
        QueryCase(
            "datatable(i:string, t:datetime)['1', datetime(2024-04-11 10:00), '2', datetime(2024-04-11 10:18), '1', datetime(2024-04-11 11:00), '2', datetime(2024-04-11 10:16)]"
                + " | sort by i asc, t asc | extend s = row_window_session(t, 1h, 5m, i != prev(i)) | project i, format_datetime(s, 'HH:mm')",
            ["1|10:00", "1|11:00", "2|10:16", "2|10:16"]),
    ])
    func rowFunctions(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase(
            "datatable(a:long, b:dynamic)[1, dynamic([10,20]), 2, dynamic('x'), 3, dynamic([]), 4, dynamic(null)] | mv-expand b",
            ["1|10", "1|20", "2|\"x\"", "4|null"]),
        QueryCase("datatable(b:dynamic)[dynamic({'p':1,'q':2})] | mv-expand b", ["{\"p\":1}", "{\"q\":2}"]),
        QueryCase("datatable(b:dynamic)[dynamic({'p':1,'q':2})] | mv-expand kind=array b", ["[\"p\",1]", "[\"q\",2]"]),
        QueryCase(
            "datatable(a:dynamic, b:dynamic)[dynamic([1,2,3]), dynamic(['x'])] | mv-expand with_itemindex=i a, b",
            ["1|\"x\"|0", "2|null|1", "3|null|2"]),
        QueryCase(
            "datatable(a:dynamic)[dynamic([1, 2.5, -2.5, '2', true, null])] | mv-expand a to typeof(int)",
            ["1", "2", "-2", "null", "null", "null"]),
        QueryCase(
            "datatable(a:dynamic)[dynamic([1, 2.5, '2', true, null])] | mv-expand a to typeof(string)", ["1", "2.5", "2", "true", ""]),
        QueryCase(
            "datatable(a:dynamic)[dynamic([1, 2.5, '2', true, null])] | mv-expand a to typeof(bool)",
            ["true", "null", "null", "true", "null"]),
        // A step may replace a column of the input; the state holds what was put in its place.
        QueryCase(
            "datatable(t:long, v:long)[1, 5, 2, long(null), 3, long(null), 4, 7] | sort by t asc "
                + "| scan with (step s: true => v = iff(isnull(v), s.v, v);)", ["1|5", "2|5", "3|5", "4|7"]),
        QueryCase(
            "range x from 1 to 3 step 1 | scan declare (n: long = 0) with (step s: true => n = s.n + 1, x = x * 10;) | where x > 10",
            ["20|2", "30|3"]),
        QueryCase("print a = pow(exponent = 3, base = 2), b = substring('abcdef', startingIndex = 2, length = 2)", ["8|cd"]),
        QueryCase("datatable(a:dynamic)[dynamic([1,2,3,4])] | mv-expand a limit 2", ["1", "2"]),
        QueryCase("range x from 1 to 3 step 1 | mv-expand y = range(1, x) to typeof(long) | summarize sum(y) by x", ["1|1", "2|3", "3|6"]),
        QueryCase(
            "datatable(r:long, a:dynamic)[0, dynamic([5,1,3]), 1, dynamic([4,10,8]), 2, dynamic([])] | mv-apply v = a to typeof(long) on (top 1 by v) | project r, v",
            ["0|5", "1|10"]),
        QueryCase(
            "datatable(r:long, a:dynamic)[0, dynamic([5,1,3]), 1, dynamic([4,10,8])] | mv-apply v = a to typeof(long) on (summarize s = sum(v)) | project r, s",
            ["0|9", "1|22"]),
        QueryCase(
            "datatable(r:long, a:dynamic)[0, dynamic([5,1,3])] | mv-apply with_itemindex=i v = a to typeof(long) on (where i >= 1) | project r, v, i",
            ["0|1|1", "0|3|2"]),
    ])
    func expansion(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase("print s = 'y=1,x=2,x=9' | parse s with * 'x=' v ',' * | project v", ["2"]),
        QueryCase("print s = 'k=1,k=2,end' | parse s with 'k=' v ',' | project v", [""]),
        QueryCase("print s = 'a=1, b=xy' | parse s with 'a=' a | project a", ["1, b=xy"]),
        QueryCase("print s = 'a=,b=2' | parse s with 'a=' a:long ',b=' b | project a, b", ["null|"]),
        QueryCase("print s = 'a=,b=2' | parse kind=relaxed s with 'a=' a:long ',b=' b | project a, b", ["null|2"]),
        QueryCase("print s = 'n=42 rest of it, m=7' | parse s with 'n=' n:long * 'm=' m:int | project n, m", ["42|7"]),
        QueryCase("print s = 'b=TRUE|' | parse s with 'b=' b:bool '|' | project b", ["true"]),
        QueryCase("print s = 'v=1.|Q' | parse kind=regex s with 'v=' c:real @'\\|Q' | project c", ["null"]),
        QueryCase("print s = 'axbZ' | parse kind=regex s with 'a.b' v | project v", ["Z"]),
        QueryCase("print s = 'A1-B2' | parse kind=regex flags=i s with '(a)' x:long '-b' y:long | project x, y", ["1|2"]),
        QueryCase("datatable(s:string)['a=1', 'zz', 'a=x'] | parse-where s with 'a=' a:long | project a", ["1"]),
        QueryCase("datatable(s:string)['zz', 'a=1'] | parse s with 'a=' s", ["", "1"]),
        QueryCase(
            "print s = 'k=1 q=\"a b\" t=x' | parse-kv s as (q:string, k:long, z:string) with (pair_delimiter=' ', kv_delimiter='=', quote='\"') | project k, q, z",
            ["1|a b|"]),
    ])
    func parsing(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase(
            "datatable(d:dynamic, k:string)[dynamic({'n':'J','a':20}), 's', dynamic({'n':'D'}), 't'] | evaluate bag_unpack(d) : (*, n:string, a:long)",
            ["s|J|20", "t|D|null"]),
        QueryCase(
            "datatable(g:string, k:string, v:long)['x','a',1, 'x','b',2, 'y','a',5, 'x','a',3] | evaluate pivot(k, sum(v), g) : (g:string, a:long, b:long)",
            ["x|4|2", "y|5|0"]),
        QueryCase("datatable(a:long, b:string)[1,'p', 2,'q'] | evaluate narrow()", ["0|a|1", "0|b|p", "1|a|2", "1|b|q"]),
        QueryCase(
            "let n = datatable(net:string, name:string)['10.0.0.0/8','ten', '10.1.0.0/16','sub', 'bad','x']; datatable(ip:string)['10.1.2.3', '192.0.2.1'] | evaluate ipv4_lookup(n, ip, net) | project ip, name",
            ["10.1.2.3|sub", "10.1.2.3|ten"]),
        QueryCase(
            "datatable(t:datetime, v:long)[datetime(2024-01-01 01:00), 1, datetime(2024-01-01 23:00), 2, datetime(2024-01-03), 5] | make-series s = sum(v) on t from datetime(2024-01-01) to datetime(2024-01-04) step 1d | project s",
            ["[3,0,5]"]),
        QueryCase(
            "datatable(d:dynamic)[dynamic({'n':1}), dynamic({'n':9}), dynamic({'n':5})] | sort by tolong(d.n) desc | evaluate bag_unpack(d) : (n:long) | take 2",
            ["9", "5"]),
        QueryCase("datatable(g:string, v:long)['x',1, 'y',2, 'x',3] | partition by g (summarize s = sum(v)) | sort by s asc", ["2", "4"]),
    ])
    func plugins(_ c: QueryCase) throws { try check(c) }

    @Test("unknown plugins are refused")
    func refusals() {
        let plan = Plan(
            .custom(name: "autocluster", inputs: [Plan(.rows([]), columns: [], range: SourceRange(0, 0))], arguments: [], options: [:]),
            columns: [], range: SourceRange(0, 0))
        #expect(throws: EvaluationError.self) { try Executor(provider: MemoryTables(), context: EvaluationContext(now: 0)).collect(plan) }
    }
}

@Suite struct JoinTests {
    private static let sides = """
        let L = datatable(k:long, a:string)[1,'a1', 2,'a2', 2,'a3', long(null),'an', 4,'a4'];
        let R = datatable(k:long, b:string)[2,'b2', 2,'b3', long(null),'bn', 4,'b4', 5,'b5'];
        """

    @Test(arguments: [
        QueryCase("\(sides) L | join kind=inner R on k | project a, b", ["a2|b2", "a2|b3", "a3|b2", "a3|b3", "an|bn", "a4|b4"]),
        QueryCase("\(sides) L | join R on k | project a, b", ["a2|b2", "a2|b3", "an|bn", "a4|b4"]),
        QueryCase("\(sides) L | join kind=leftouter R on k | project a, b", ["a1|", "a2|b2", "a2|b3", "a3|b2", "a3|b3", "an|bn", "a4|b4"]),
        QueryCase(
            "\(sides) L | join kind=rightouter R on k | project a, b", ["a2|b2", "a2|b3", "a3|b2", "a3|b3", "an|bn", "a4|b4", "|b5"]),
        QueryCase(
            "\(sides) L | join kind=fullouter R on k | project k, a, k1, b | where isnull(k) or isnull(k1)",
            ["1|a1|null|", "null|an|null|bn", "null||5|b5"]),
        QueryCase("\(sides) L | join kind=leftanti R on k", ["1|a1"]),
        QueryCase("\(sides) L | join kind=leftsemi R on k | project a", ["a2", "a3", "an", "a4"]),
        QueryCase("\(sides) L | join kind=rightanti R on k", ["5|b5"]),
        QueryCase("\(sides) L | join kind=rightsemi R on k | project b", ["b2", "b3", "bn", "b4"]),
        QueryCase("\(sides) L | lookup R on k | project a, b | take 2", ["a1|", "a2|b2"]),
        QueryCase("\(sides) L | extend k = k + 0 | join kind=inner (R | where b == 'b4') on $left.k == $right.k | count", ["1"]),
        QueryCase(
            "datatable(a:string, b:long)['x',1, 'x',2, 'y',1] | join kind=inner (datatable(a:string, b:long, c:real)['x',2,0.5, 'y',2,1.5]) on a, b | project a, b, c",
            ["x|2|0.5"]),
        QueryCase("datatable(a:string)[''] | join kind=inner (datatable(a:string, c:long)['',7]) on a | project c", ["7"]),
        QueryCase("\(sides) L | join kind=inner (R | where false) on k | count", ["0"]),
        QueryCase("\(sides) L | where false | join kind=fullouter (R | take 1) on k | project k, k1", ["null|2"]),
    ])
    func kinds(_ c: QueryCase) throws { try check(QueryCase(c.query, c.rows, anyOrder: true)) }

    @Test("matches of one left row may pass a batch")
    func wideMatches() throws {
        let runner = QueryRunner()
        #expect(
            try runner.rows(
                "print k = 1 | join kind=inner (range x from 1 to 10000 step 1 | extend k = 1) on k | summarize count(), sum(x)")
                == ["10000|50005000"])
        #expect(
            try runner.rows("print k = 1 | join kind=inner (range x from 1 to 10000 step 1 | extend k = 1) on k | take 3 | count") == ["3"])
    }
}
