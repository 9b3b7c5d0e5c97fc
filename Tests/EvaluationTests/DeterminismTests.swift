import Columnar
import Evaluation
import KQL
import Testing

/// Tables whose rows may come in any order and in batches of any size: results must not show it.
@Suite struct DeterminismTests {
    private static let schema = TableSchema(
        name: "T", columns: [SchemaColumn("t", .datetime), SchemaColumn("u", .string), SchemaColumn("v", .long), SchemaColumn("r", .real)])

    private struct Generator {
        var state: UInt64
        mutating func next(_ n: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % n
        }
    }

    /// Rows with their keys, shuffled by the seed.
    private static func tables(shuffle seed: UInt64, batchRows: Int) -> MemoryTables {
        var random = Generator(state: 99)
        var rows: [(RowKey, [Value])] = (0..<300).map { i in
            let time = Int64(random.next(20)) * KustoTime.ticksPerMinute
            let row: [Value] = [
                .datetime(KustoTime.unixEpoch + time), .string("u\(random.next(7))"),
                random.next(5) == 0 ? .null(.long) : .long(Int64(random.next(9))),
                .real(Double(random.next(1_000_000)) * 1.1e-3),
            ]
            return (RowKey(time: KustoTime.unixEpoch + time, hashHigh: UInt64(random.next(1 << 30)), hashLow: UInt64(i)), row)
        }
        var order = Generator(state: seed)
        for i in rows.indices.dropFirst() { rows.swapAt(i, order.next(i + 1)) }
        var tables = MemoryTables()
        tables.add(schema, rows: rows.map(\.1), keys: rows.map(\.0), batchRows: batchRows)
        return tables
    }

    @Test(
        "the same rows in another order give the same result",
        arguments: [
            "T | summarize count(), sum(r), avg(r), stdev(r), make_list(v), make_set(u), take_any(v) by u",
            "T | summarize arg_max(v, *), arg_min(r, u) by bin(t, 5m)",
            "T | summarize arg_max(v, r, t) by u | where r > 0",
            "T | take 10", "T | top 7 by v", "T | sort by u asc, v desc", "T | sort by v asc | take 20",
            "T | join kind=innerunique (T | where v > 3) on u | project u, r, r1 | take 40",
            "T | join kind=leftouter (T | where v == 8 | project u, w = r) on u | summarize make_list(w, 5), sum(w) by u",
            "T | serialize n = row_number(), p = prev(v) | summarize make_list(p) by n % 3",
            "T | distinct u, v | take 12",
            "T | mv-expand x = range(1, v) to typeof(long) | summarize make_list(x) by u",
            "let s = T | where v > 4; union s, (T | where v < 2) | summarize make_list(r), dcount(u) by v",
            "T | summarize percentiles(r, 5, 50, 95), make_list(t) by v",
            "T | sample 9 | project u, r", "T | where v in ((T | summarize v = max(v) by u | project v)) | count",
        ])
    func order(query: String) throws {
        var expected: [String]?
        for (seed, size) in [(1, 2048), (2, 7), (3, 1), (4, 100)] as [(UInt64, Int)] {
            var runner = QueryRunner(tables: DeterminismTests.tables(shuffle: seed, batchRows: size))
            runner.options.batchRows = size
            let got = try runner.rows(query)
            #expect(!got.isEmpty)
            if let expected { #expect(got == expected, "seed \(seed), batches of \(size)") } else { expected = got }
        }
    }

    @Test("lineage counts and bounds the contributing rows")
    func lineage() throws {
        for size in [1, 50, 2048] {
            var runner = QueryRunner(tables: DeterminismTests.tables(shuffle: UInt64(size), batchRows: size))
            runner.options = ExecutorOptions(lineage: true, batchRows: size)
            func lineages(_ query: String) throws -> [Lineage] { try runner.collect(query).batches.flatMap { Array($0.lineage ?? []) } }
            let all = try lineages("T | summarize count()")
            #expect(all.count == 1)
            #expect(all[0].count == 300)
            #expect(all[0].sample.count == 10)
            let groups = try lineages("T | where isnotnull(v) | summarize count() by u | extend z = 1 | sort by u")
            let counts = try runner.rows("T | where isnotnull(v) | summarize c = count() by u | sort by u | project c")
            #expect(groups.map { String($0.count) } == counts)
            // A row joined with itself is counted on both sides; inline data adds nothing.
            #expect(try lineages("T | join kind=inner (datatable(u:string, n:long)['u1', 7]) on u | summarize count()")[0].count > 0)
            let joined = try lineages("T | where u == 'u1' | lookup (datatable(u:string, n:long)['u1', 7]) on u")
            #expect(joined.allSatisfy { $0.count == 1 && $0.least.time >= KustoTime.unixEpoch })
            #expect(try lineages("T | take 3 | mv-expand x = dynamic([1,2])").map(\.count) == [1, 1, 1, 1, 1, 1])
        }
    }

    @Test("row keys: filters keep them, groups take the least, expansion makes new ones")
    func keys() throws {
        let runner = QueryRunner(tables: DeterminismTests.tables(shuffle: 5, batchRows: 64))
        func keys(_ query: String) throws -> [RowKey] { try runner.collect(query).batches.flatMap { Array($0.keys ?? []) } }
        let all = try keys("T")
        #expect(Set(all).count == 300)
        #expect(try keys("T | summarize count()") == [all.min()])
        #expect(Set(try keys("T | where v > 3 | extend w = v")).isSubset(of: Set(all)))
        let expanded = try keys("T | mv-expand x = dynamic([1,2])")
        #expect(Set(expanded).count == 600)
        let joined = try keys("T | join kind=inner (T) on u")
        #expect(Set(joined).count == joined.count)
    }
}

@Suite struct PlanTests {
    /// Records what was asked of it.
    private final class Recorder: TableProvider, @unchecked Sendable {
        // Used by one test on one thread.
        let tables: MemoryTables
        var columns: [[String]] = []
        var filters: [Int] = []
        var batches = 0
        init(_ tables: MemoryTables) { self.tables = tables }
        func scan(
            table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
        ) throws {
            self.columns.append(columns.map(\.name))
            self.filters.append(filters.count)
            try tables.scan(table: table, columns: columns, filters: filters, context: context) {
                batches += 1
                return try emit($0)
            }
        }
    }

    private static var tables: MemoryTables {
        var t = MemoryTables()
        t.add(
            TableSchema(
                name: "T",
                columns: [SchemaColumn("a", .long), SchemaColumn("b", .string), SchemaColumn("c", .real), SchemaColumn("d", .dynamic)]),
            rows: (0..<100).map { [.long(Int64($0)), .string("s\($0 % 3)"), .real(Double($0)), .null(.dynamic)] }, batchRows: 10)
        return t
    }

    private func run(_ query: String, stableTake: Bool = true) throws -> (Recorder, [String]) {
        let runner = QueryRunner(tables: PlanTests.tables)
        let recorder = Recorder(PlanTests.tables)
        let executor = Executor(provider: recorder, context: EvaluationContext(now: 0), options: ExecutorOptions(stableTake: stableTake))
        let result = try executor.collect(runner.plan(query))
        return (
            recorder, result.batches.flatMap { b in (0..<b.count).map { i in b.columns.map { text($0.value(i)) }.joined(separator: "|") } }
        )
    }

    @Test(
        "tables are read with the columns that matter",
        arguments: [
            ("T | count", [[]]), ("T | where a > 5 | summarize count() by b", [["a", "b"]]),
            ("T | extend x = c + 1 | project a", [["a"]]), ("T | summarize arg_max(a, *) by b | project b, c", [["a", "b", "c"]]),
            ("T | join kind=inner (T | project b, q = c) on b | project a", [["b"], ["a", "b"]]),
            ("T | mv-expand d | project c", [["c", "d"]]), ("T | sort by c | project b", [["b", "c"]]),
            ("let s = materialize(T | where a > 1); union (s | project b), (s | project c)", [["a", "b", "c"]]),
            ("T | where a in ((T | where c > 3 | project a, b)) | project b", [["a", "c"], ["a", "b"]]),
            ("T", [["a", "b", "c", "d"]]),
        ] as [(String, [[String]])])
    func pruning(query: String, columns: [[String]]) throws {
        let (recorder, _) = try run(query)
        #expect(Set(recorder.columns) == Set(columns))
    }

    @Test("conjuncts of filters over a table reach its source")
    func pushDown() throws {
        #expect(try run("T | where a > 5 and b == 's1' | where c < 50 | count").0.filters == [3])
        #expect(try run("T | extend x = a | where x > 5 | count").0.filters == [0])
        #expect(try run("T | where a in ((print 3)) and a < 9").0.filters.max() == 1)
    }

    @Test("take stops the scan in a hunt")
    func earlyStop() throws {
        let (hunt, rows) = try run("T | where a >= 0 | take 12", stableTake: false)
        #expect(hunt.batches == 2)
        #expect(rows.count == 12)
        let (rule, _) = try run("T | take 12")
        #expect(rule.batches == 10)
    }

    @Test("a plan that is named twice runs once, and top holds few rows")
    func onceAndFew() throws {
        #expect(try run("let s = materialize(T | where a > 1); union s, s | summarize count() by b | as q | union q").0.columns.count == 1)
        #expect(
            try run("let s = materialize(T | where a > 1); s | where a > toscalar(s | summarize avg(a)) | join kind=inner (s) on a").0
                .columns
                .count == 1)
        var runner = QueryRunner(tables: PlanTests.tables)
        runner.options = ExecutorOptions(batchRows: 4)
        runner.limits.heldRows = 40
        #expect(try runner.rows("T | top 2 by a desc | project a") == ["99", "98"])
        #expect(throws: EvaluationError.self) { _ = try runner.rows("T | sort by a desc") }
    }

    @Test(
        "pruned plans give the rows of the plain ones",
        arguments: [
            "T | summarize arg_max(a, *), take_any(c), percentiles(c, 5, 50), count() by b | project-away c",
            "T | join kind=fullouter (T | where a < 5) on a | project b, c1 | summarize count() by b, isnull(c1)",
            "T | parse b with 's' n:long | mv-expand with_itemindex=i x = range(0, n) | project i, n | summarize sum(i) by n",
            "let s = materialize(T | extend e = a * 2, f = b); s | join kind=inner (s | where e > 10 | project f, e) on f | summarize sum(e1) by b",
            "union T, (T | extend z = 1) | summarize sum(z), dcount(a) by b",
        ])
    func equivalence(query: String) throws {
        let runner = QueryRunner(tables: PlanTests.tables)
        let plan = try runner.plan(query)
        let pruned = PlanRewriter.prune(plan)
        #expect(pruned.columns.map(\.name) == plan.columns.map(\.name))
        #expect(try runner.rows(query).count > 0)
        // Pruning twice changes nothing more.
        #expect(PlanRewriter.prune(pruned).columns == pruned.columns)
    }
}
