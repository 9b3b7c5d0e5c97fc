import Columnar
import Glibc
import KQL
import Testing

@testable import Evaluation

/// Rows put aside on disk when memory is short: the same answers, no files left, failures that name themselves.
@Suite struct SpillTests {
    static let queries = [
        "T | sort by s asc, k desc | project s, k, t", "T | sort by t desc nulls last, r asc", "T | sort by b asc | project b, k, d",
        "T | summarize n = count(), a = sum(k), c = max(s), e = avg(r) by s, k", "T | summarize make_list(k), arg_max(t, s) by k, b",
        "T | summarize count() by bin(t, 1d), s, k", "T | summarize dcount(s), sum(r) by k", "T | summarize count()",
        "T | join kind=inner U on k | project k, s, s1", "T | join kind=leftouter U on k, s | project k, s, k1, t1",
        "T | join kind=rightouter U on s", "T | join kind=fullouter U on k | summarize count() by k, k1",
        "T | join U on k | project k, s, s1",
        "T | join kind=leftanti U on k", "T | join kind=leftsemi U on s", "T | join kind=rightanti U on k",
        "T | join kind=rightsemi U on k",
        "T | summarize c = count() by k, s | sort by c desc, k asc, s asc | take 7",
    ]

    @Test("any limit gives the same rows", arguments: queries, [true, false])
    func sameRows(query: String, keys: Bool) throws {
        let tables = FastPathTests.tables(rows: 150)
        var plain = QueryRunner(tables: tables)
        plain.options = ExecutorOptions(keys: keys, batchRows: 16)
        let expected = try plain.rows(query)
        for heldBytes in [1, 6000] {
            for threads in [1, 3] {
                var runner = QueryRunner(tables: tables)
                runner.options = ExecutorOptions(keys: keys, batchRows: 16, threads: threads)
                runner.limits.heldBytes = heldBytes
                let got = try runner.rows(query)
                // Only sorted rows have an order.
                if query.contains("sort") { #expect(got == expected) } else { #expect(sorted(got) == sorted(expected)) }
            }
        }
    }

    /// By bytes: Swift holds some different texts for equal.
    private func sorted(_ rows: [String]) -> [ByteKey] { rows.map { ByteKey($0) }.sorted() }

    @Test("temporary files have no names and are closed")
    func filesAreGone() throws {
        var folder = Array("/tmp/vedette-spill-test-XXXXXX".utf8CString)
        _ = mkdtemp(&folder)
        let path = String(decoding: folder.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { rmdir(path) }
        var runner = QueryRunner(tables: FastPathTests.tables(rows: 200))
        runner.limits = EvaluationLimits(heldBytes: 1, temporaryFolder: path)
        let file = try SpillFile(directory: path)
        try file.append(Batch(columns: [Column(.long, .longs([1, 2, 3]))], count: 3))
        #expect(try file.reader([.long]).next()?.count == 3)
        for query in SpillTests.queries { _ = try runner.rows(query) }
        // A folder with a name left in it could not be removed.
        #expect(rmdir(path) == 0)
        mkdir(path, 0o700)
    }

    @Test("what is written is read back", arguments: FastPathTests.types)
    func roundTrip(type: ScalarType) throws {
        var dice = FastPathTests.Dice(state: 71)
        let file = try SpillFile(directory: "/tmp")
        var parts: [Column] = []
        for rows in [1, 64, 65, 0, 1000] {
            let c = FastPathTests.column(type, rows: rows, &dice)
            parts.append(c)
            let keys = ContiguousArray((0..<rows).map { RowKey(time: Int64($0), hashHigh: 1, hashLow: 2, path: UInt64($0)) })
            try file.append(Batch(columns: [c, c], count: rows, keys: keys))
        }
        for _ in 0..<2 {
            let reader = try file.reader([type, type])
            for c in parts where c.count > 0 {
                let batch = try #require(try reader.next())
                #expect(FastPathTests.texts(batch.columns[1]) == FastPathTests.texts(c))
                #expect(batch.keys?.last?.path == UInt64(c.count - 1))
            }
            #expect(try reader.next() == nil)
        }
    }

    @Test("a folder that cannot be written and a full disk are errors that say so")
    func failures() throws {
        var runner = QueryRunner(tables: FastPathTests.tables(rows: 100))
        runner.limits = EvaluationLimits(heldBytes: 1, temporaryFolder: "/nonexistent/folder")
        #expect { _ = try runner.rows("T | sort by s asc") } throws: {
            "\($0)".contains("/nonexistent/folder") && "\($0)".contains("No such file")
        }
        let full = try SpillFile(writingTo: "/dev/full")
        try full.append(Batch(columns: [Column(.long, .longs([1]))], count: 1))
        #expect { _ = try full.reader([.long]) } throws: { "\($0)".contains("No space left on device") }
    }
}
