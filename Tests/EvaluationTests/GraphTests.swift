import Columnar
import KQL
import Testing

@testable import Evaluation

@Suite struct GraphTests {
    static let ring = "let E = datatable(s:string, t:string)['A','B', 'B','C', 'C','A']; E | make-graph s --> t with_node_id=id | "

    @Test(arguments: [
        QueryCase(ring + "graph-match (a)-->(b)-->(c) project a.id, c.id", ["A|C", "B|A", "C|B"], anyOrder: true),
        QueryCase(
            ring + "graph-match (a)-[p*1..2]->(b) where a.id == 'A' project b.id, n = array_length(p)", ["B|1", "C|2"], anyOrder: true),
        QueryCase(ring + "graph-match (a)-->(b)<--(c) project a.id", []),
        QueryCase(ring + "graph-match cycles=all (a)-->(b)<--(c) project a.id", ["A", "B", "C"], anyOrder: true),
        QueryCase(ring + "graph-match cycles=none (a)-[p*1..3]->(a) project a.id", []),
        QueryCase(ring + "graph-match (a)-[p*0..1]->(b) where a.id == 'A' project b.id", ["A", "B"], anyOrder: true),
        QueryCase(
            ring + "graph-shortest-paths (a)-[p*1..9]->(b) where a.id == 'A' project b.id, n = array_length(p)", ["B|1", "C|2"],
            anyOrder: true),
        QueryCase(ring + "graph-mark-components kind=strong | graph-to-table nodes | summarize dcount(ComponentId)", ["1"]),
        QueryCase(ring + "graph-to-table edges | count", ["3"]),
    ])
    func rows(_ c: QueryCase) throws { try check(c) }

    /// Random graphs of up to six nodes.
    private static func graph(_ random: inout TestRandom) -> (nodes: Int, edges: [(Int, Int)]) {
        let nodes = Int.random(in: 1...6, using: &random)
        let edges = (0..<Int.random(in: 1...9, using: &random)).map { _ in
            (Int.random(in: 0..<nodes, using: &random), Int.random(in: 0..<nodes, using: &random))
        }
        return (nodes, edges)
    }

    private static func query(_ edges: [(Int, Int)]) -> String {
        "datatable(s:long, t:long, n:long)[" + edges.enumerated().map { "\($1.0),\($1.1),\($0)" }.joined(separator: ", ")
            + "] | make-graph s --> t with_node_id=id | "
    }

    @Test("patterns match what trying everything matches", arguments: 0..<60) func enumerated(_ seed: Int) throws {
        var random = TestRandom(state: UInt64(seed))
        let (_, edges) = GraphTests.graph(&random)
        let present = Set(edges.flatMap { [$0.0, $0.1] }).sorted()
        // (a)-[x]->(b)-[y]-(c), every edge once.
        var wanted: [String] = []
        for a in present {
            for (i, x) in edges.enumerated() where x.0 == a {
                for (j, y) in edges.enumerated() where i != j {
                    if y.0 == x.1 { wanted.append("\(a)|\(i)|\(j)|\(y.1)") }
                    if y.1 == x.1, y.0 != y.1 { wanted.append("\(a)|\(i)|\(j)|\(y.0)") }
                }
            }
        }
        let found = try QueryRunner().rows(
            GraphTests.query(edges) + "graph-match (a)-[x]->(b)-[y]-(c) project a.id, x.n, y.n, c.id")
        #expect(found.sorted() == wanted.sorted())
        // Paths of one to three edges, every edge once.
        var paths: [String] = []
        func walk(_ start: Int, _ at: Int, _ used: [Int]) {
            if !used.isEmpty { paths.append("\(start)|\(at)|[" + used.map(String.init).joined(separator: ",") + "]") }
            if used.count == 3 { return }
            for (i, e) in edges.enumerated() where e.0 == at && !used.contains(i) { walk(start, e.1, used + [i]) }
        }
        for a in present { walk(a, a, []) }
        let walked = try QueryRunner().rows(
            GraphTests.query(edges) + "graph-match (a)-[p*1..3]->(b) project a.id, b.id, map(p, n)")
        #expect(walked.sorted() == paths.sorted())
    }

    @Test("shortest paths are as short as a plain search finds", arguments: 0..<60) func shortest(_ seed: Int) throws {
        var random = TestRandom(state: UInt64(1000 + seed))
        let (_, edges) = GraphTests.graph(&random)
        let present = Set(edges.flatMap { [$0.0, $0.1] }).sorted()
        var wanted: [String] = []
        for a in present {
            var distance = [a: 0]
            var level = [a]
            while !level.isEmpty {
                var next: [Int] = []
                for v in level {
                    for e in edges where e.0 == v && distance[e.1] == nil {
                        distance[e.1] = (distance[v] ?? 0) + 1
                        next.append(e.1)
                    }
                }
                level = next
            }
            for (b, d) in distance where b != a { wanted.append("\(a)|\(b)|\(d)") }
        }
        let found = try QueryRunner().rows(
            GraphTests.query(edges) + "graph-shortest-paths (a)-[p*1..20]->(b) project a.id, b.id, array_length(p)")
        #expect(found.sorted() == wanted.sorted())
    }

    @Test("a search without end is cut off by a limit that says so") func limit() throws {
        var runner = QueryRunner()
        runner.limits = EvaluationLimits(heldRows: 1000)
        let dense = "range x from 0 to 20 step 1 | extend k = 1 | join kind=inner (range y from 0 to 20 step 1 | extend k = 1) on k"
        #expect(throws: EvaluationError.self) {
            _ = try runner.rows("\(dense) | make-graph x --> y with_node_id=id | graph-match (a)-[p*1..9]->(b) project a.id")
        }
    }
}

@Suite struct ScanTests {
    static let events = """
        let Events = datatable(Ts:timespan, Event:string)[0m,'A', 1m,'Start', 2m,'B', 3m,'D', 4m,'Stop', 6m,'C', 8m,'Start', 11m,'E', 12m,'Stop'];
        Events | sort by Ts asc |
        """

    @Test(arguments: [
        QueryCase(
            "range x from 1 to 5 step 1 | scan declare (c:long=0) with (step s1: true => c = x + s1.c;)",
            ["1|1", "2|3", "3|6", "4|10", "5|15"]),
        QueryCase(
            events
                + " scan with_match_id=m with (step s1: Event == 'Start'; step s2: Event != 'Start' and Event != 'Stop' and Ts - s1.Ts <= 5m; "
                + "step s3: Event == 'Stop' and Ts - s1.Ts <= 5m;) | project Event, m",
            ["Start|0", "B|0", "D|0", "Stop|0", "Start|1", "E|1", "Stop|1"]),
        QueryCase(
            events + " scan with (step s1 output=none: Event == 'Start'; step s2 output=last: Event != 'Stop'; step s3: Event == 'Stop';) "
                + "| project Event", ["D", "Stop", "E", "Stop"]),
    ])
    func rows(_ c: QueryCase) throws { try check(c) }
}

@Suite struct SearchAndTemplateTests {
    static let people = "let D = datatable(a:string, b:string, n:long)['x one','p',1, 'x','q',2, 'y','p',5, 'z','r',1, 'x','p',4]; D | "

    @Test(arguments: [
        QueryCase(people + "search 'one' or n == 5 | project a", ["x one", "y"], anyOrder: true),
        QueryCase(people + "search 'on*' | project a", ["x one"]), QueryCase(people + "search b:'r' | project a", ["z"]),
        QueryCase(people + "search * has 'y' | project a", ["y"]),
        QueryCase(people + "search not('x') | project a", ["y", "z"], anyOrder: true),
        QueryCase(people + "search kind=case_sensitive 'X' | count", ["0"]),
        QueryCase(
            "let A = view () { print x = 'foo', n = 1 }; let B = view () { print y = 'foobar', n = 2 }; find in (A, B) where n > 0 project x, n",
            ["A|foo|1", "B||2"], anyOrder: true),
        QueryCase(people + "top-nested 2 of a by sum(n), top-nested 1 of b by sum(n)", ["x|6|p|4", "y|5|p|5"], anyOrder: true),
        QueryCase(people + "top-nested 1 of a with others='rest' by s = sum(n)", ["x|6", "rest|7"], anyOrder: true),
        QueryCase(people + "top-hitters 1 of b by n", ["p|10"]),
        QueryCase("range x from 1 to 9 step 1 | project s = strcat('foo-', x) | reduce by s | project Pattern, Count", ["foo-*|9"]),
    ])
    func rows(_ c: QueryCase) throws { try check(c) }

    @Test("the columns of bags and pivots follow from the rows where those can be run") func probes() throws {
        let runner = QueryRunner()
        var options = BinderOptions(fold: ConstantFolder.fold)
        options.probe = { plan in
            try Executor(provider: MemoryTables(), context: EvaluationContext(now: 0)).collect(plan).batches
        }
        func names(_ query: String) -> [String]? {
            KQLCompiler.bind(query, functions: FunctionRegistry.standard, schemas: runner.tables, options: options).plan?.columns.map {
                "\($0.name):\($0.type.rawValue)"
            }
        }
        let bags = "datatable(i:long, d:dynamic)[1, dynamic({'b':1,'a':'x'}), 2, dynamic({'b':2.5,'c':[1]}), 3, dynamic({'c':true})]"
        #expect(names("\(bags) | evaluate bag_unpack(d)") == ["i:long", "a:string", "b:dynamic", "c:dynamic"])
        #expect(
            names("\(bags) | evaluate bag_unpack(d, 'p_', 'replace_source', dynamic(['a']))") == ["i:long", "p_b:dynamic", "p_c:dynamic"])
        #expect(names("\(bags) | extend a = 1 | evaluate bag_unpack(d)") == nil)
        #expect(
            names("\(bags) | extend a = 1 | evaluate bag_unpack(d, columnsConflict='keep_source')") == [
                "i:long", "a:long", "b:dynamic", "c:dynamic",
            ])
        // As the page has it: the column that is kept stands among those of the bag.
        #expect(
            names(
                "datatable(Name:string, d:dynamic)['Old', dynamic({'Name':'John','Age':20})] | evaluate bag_unpack(d, columnsConflict='keep_source')"
            )
                == ["Age:long", "Name:string"])
        #expect(names("datatable(k:string, v:long)['y',1,'x',2] | evaluate pivot(k, sum(v))") == ["x:long", "y:long"])
    }

    @Test("a table's name is in scope of lookups by place") func places() throws {
        let query = """
            let roads = datatable(name:string, road:dynamic)['r', dynamic({'type':'LineString','coordinates':[[0,0],[0,1]]})];
            datatable(n:string, x:real, y:real)['p',0.0,0.5, 'q',3.0,3.0] | evaluate geo_line_lookup(roads, road, x, y, 100
            """
        #expect(try QueryRunner().rows(query + ")") == ["p|0|0.5|r"])
        #expect(try QueryRunner().rows(query + ", return_unmatched=true) | sort by n asc | project n, name") == ["p|r", "q|"])
    }
}
