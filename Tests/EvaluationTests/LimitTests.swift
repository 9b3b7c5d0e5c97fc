import Columnar
import Evaluation
import KQL
import Testing

@Suite("limits of an execution")
struct LimitTests {
    private func message(_ query: String, _ limits: EvaluationLimits) -> String {
        var runner = QueryRunner()
        runner.limits = limits
        do {
            let rows = try runner.rows(query)
            return "\(rows.count) rows"
        } catch { return "\(error)" }
    }

    private static let endless = "range x from 1 to 3000000 step 1 | extend k = 1 "

    /// Queries that would run for hours, each busy in another operator.
    static let slow = [
        endless + "| join kind=inner (range y from 1 to 1000000 step 1 | extend k = 1) on k | where x < 0",
        endless + "| join kind=inner (range y from 1 to 1000000 step 1 | extend k = 1) on k | summarize sum(x) by y",
        endless + "| mv-expand y = range(1, 100000) | where x < 0",
        endless + "| mv-apply y = range(1, 100) on (where x < 0)",
        endless + "| mv-apply y = range(1, 100) on (summarize s = sum(tolong(y)))",
        endless + "| sort by x desc | scan declare (n: long = 0) with (step s: true => n = s.n + 1;) | where n < 0",
        "range x from 1 to 3000 step 1 | extend t = tostring(x % 50), u = tostring((x * 7) % 50) | make-graph t --> u with_node_id=id "
            + "| graph-match (a)-[e*1..12]->(b) where b.id == 'none' project a.id",
        endless + "| union (range x from 1 to 3000000 step 1), (range x from 1 to 3000000 step 1) | extend y = hash_sha256(tostring(x)) "
            + "| summarize dcount(y)",
    ]

    @Test("time is looked at within every operator", arguments: slow)
    func time(_ query: String) {
        var limits = EvaluationLimits(heldRows: 200_000_000)
        limits.seconds = 0.2
        limits.settings = [.seconds: "--timeout"]
        let clock = ContinuousClock()
        var text = ""
        let taken = clock.measure { text = message(query, limits) }
        #expect(text == "the query takes longer than 0.2 s (limit seconds); raise it with --timeout")
        #expect(taken < .seconds(20))
    }

    @Test("a query within its time is not touched")
    func enough() {
        var limits = EvaluationLimits()
        limits.seconds = 60
        #expect(message("range x from 1 to 1000 step 1 | summarize count() by x % 10", limits) == "10 rows")
    }

    /// Operators that hold rows and cannot put them aside.
    static let holders = [
        ("serialize | extend y = prev(s) | where y == 'x'", "a row function"),
        ("make-series count() on x from 1 to 100000 step 10000 by k = x % 7, s", ""), ("sample 5", "sample"),
        ("as T | where x in (T | project x)", ""),
        ("scan with (step a: x > 1;)", "scan"), ("top 300000 by x", "top"), ("partition by s (top 1 by x)", ""),
        ("join kind=innerunique (range x from 1 to 100000 step 1) on x", "join"), ("make-graph s --> t | graph-to-table nodes", ""),
    ]

    @Test("memory that operators hold", arguments: holders)
    func held(_ operation: String, _ name: String) {
        var limits = EvaluationLimits()
        limits.memoryBytes = 1 << 20
        limits.settings = [.memoryBytes: "limits.query_bytes"]
        let query = "range x from 1 to 100000 step 1 | extend s = strcat('some text ', x), t = strcat('other ', x) | " + operation
        let text = message(query, limits)
        #expect(text.hasSuffix("holds more than 1 MiB of memory (limit memoryBytes); raise it with limits.query_bytes"), "\(text)")
        #expect(text.hasPrefix(name), "\(text)")
    }

    @Test("groups without room on the disk")
    func groups() {
        var limits = EvaluationLimits()
        limits.memoryBytes = 1 << 20
        let text = message("range x from 1 to 300000 step 1 | summarize count() by x", limits)
        #expect(text.contains("summarize holds more than 1 MiB"), "\(text)")
        // With a lower limit for putting aside, the same query has its answer.
        limits.heldBytes = 1 << 18
        #expect(message("range x from 1 to 300000 step 1 | summarize count() by x", limits) == "300000 rows")
    }

    @Test("memory of the process")
    func process() {
        var limits = EvaluationLimits()
        limits.countsProcess = true
        limits.memoryBytes = 1 << 20
        limits.settings = [.memoryBytes: "--max-memory"]
        #expect(
            message("range x from 1 to 100000 step 1 | summarize count()", limits)
                == "the query needs more than 1 MiB of memory (limit memoryBytes); raise it with --max-memory")
        #expect((ProcessMemory.resident ?? 0) > 1 << 20)
        #expect(ProcessMemory.installed > ProcessMemory.resident ?? .max)
    }

    @Test("rows of the result, and of a range")
    func rows() {
        var limits = EvaluationLimits(heldRows: 1000, resultRows: 10)
        limits.settings = [.resultRows: "--max-rows", .heldRows: "--max-held-rows"]
        #expect(
            message("range x from 1 to 11 step 1", limits)
                == "the result has more than 10 rows (limit resultRows); raise it with --max-rows")
        #expect(message("range x from 1 to 10 step 1", limits) == "10 rows")
        for query in [
            "range x from 1 to 1000000000000 step 1", "range x from 1.0 to 1e12 step 1.0",
            "range t from datetime(2000-01-01) to datetime(2020-01-01) step 1ms",
        ] {
            #expect(
                message(query, limits) == "range makes more than 1000 rows (limit heldRows); raise it with --max-held-rows", "\(query)")
        }
    }

    @Test("a large expression, constant or from rows, is an error and no empty answer")
    func regex() {
        // About 1,000 copies of a class of many ranges: more than RE2 gets.
        let pattern = "(?:[[:alpha:]][^\\\\p{L}\\\\p{N}]){1000}\\\\p{L}{1000}"
        for query in [
            "print 'a' matches regex '\(pattern)'", "datatable(p: string)['\(pattern)'] | where 'a' matches regex p",
            "datatable(p: string)['\(pattern)'] | extend y = extract(p, 0, 'a')",
        ] {
            let text = message(query, EvaluationLimits())
            #expect(text.contains("needs more than 8192 KiB (limit regexBytes); raise it with"), "\(query): \(text)")
        }
        // A malformed one from rows is data.
        #expect(message("datatable(p: string)['('] | where 'a' matches regex p", EvaluationLimits()) == "0 rows")
    }
}
