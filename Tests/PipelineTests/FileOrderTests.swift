import Columnar
import Detection
import Ingest
import KQL
import Matcher
import Rules
import Tables
import Testing

@testable import Pipeline

@Suite struct FileOrderTests {
    private static func row(_ minute: Int, padding: Int = 0) -> String {
        "{\"TimeGenerated\":\"2026-03-02T10:\(minute < 10 ? "0" : "")\(minute):00Z\",\"Account\":\"a\",\"x\":\"\(String(repeating: "x", count: padding))\"}\n"
    }

    private static func ticks(_ minute: Int) -> Int64 {
        (KustoTime.parseISO("2026-03-02T10:00:00Z") ?? 0) + Int64(minute) * KustoTime.ticksPerMinute
    }

    private func order(_ texts: [String], _ options: ReplayOptions = ReplayOptions()) throws -> [(file: Int, bound: Int64)] {
        let directory = try ScratchDirectory()
        let files = try texts.enumerated().map { i, text in
            InputFile(path: try directory.write("f\(i).json", text), size: UInt64(text.utf8.count))
        }
        let sorted = FileOrder(normalizer: Normalizer(catalog: WorkspaceCatalog(), needs: [String: Set<String>]()), options: options)
            .sorted(files)
        return sorted.map { f in (files.firstIndex { $0.path == f.path } ?? -1, f.lowerBound) }
    }

    @Test(arguments: [1, 2, 4]) func filesStartByTheTimeOfTheirFirstRecord(threads: Int) throws {
        var options = ReplayOptions()
        options.threads = threads
        let minutes = (0..<40).map { ($0 * 7) % 40 }
        // Later records do not count.
        let found = try order(minutes.map { Self.row($0) + Self.row(0) }, options)
        #expect(found.map(\.bound) == (0..<40).map { Self.ticks($0) })
        #expect(found.map { minutes[$0.file] } == Array(0..<40))
    }

    /// A first record that is longer than what is read at a time, and garbage before it.
    @Test func theFirstRecordMayBeLong() throws {
        let garbage = String(repeating: "no record\n", count: 10_000)
        let found = try order([Self.row(9, padding: 300_000), garbage + Self.row(5), Self.row(7)])
        #expect(found.map(\.file) == [1, 2, 0])
        #expect(found.map(\.bound) == [5, 7, 9].map { Self.ticks($0) })
    }

    /// What has no time that can be found early comes first, with the bound that it had.
    @Test func withoutATimeTheBoundStays() throws {
        let late = String(repeating: "no record\n", count: 300_000) + Self.row(1)
        let found = try order([Self.row(3), "", "{}\n", late])
        #expect(found.map(\.file) == [1, 2, 3, 0])
        #expect(found.map(\.bound) == [0, 0, 0, Self.ticks(3)])
    }

    /// Records of a table that the user named, and that a rule reads: its rows have a shape which only the rules' own normaliser knows.
    @Test func filesOfANamedTable() throws {
        let directory = try ScratchDirectory()
        let files = try (0..<3).map { i in
            InputFile(path: try directory.write("f\(i).json", Self.row(30 - 10 * i) + Self.row(31 - 10 * i)), size: 0)
        }
        let catalog = WorkspaceCatalog()
        let rule = AnalyticsRule(
            id: "00000000-0000-4000-8000-000000000001", name: "Named", query: "SecurityEvent | where Account == 'a'",
            queryFrequency: 5 * KustoTime.ticksPerMinute, queryPeriod: 5 * KustoTime.ticksPerMinute)
        let program = try #require(RuleCompiler(functions: LawCase.functions, schemas: catalog).compile(rule).program)
        let engine = try DetectionEngine([program], options: DetectionOptions(), functions: LawCase.functions, lateness: { _ in 0 })
        var options = ReplayOptions()
        options.table = "SecurityEvent"
        let result = try Replay(catalog: catalog, options: options).run(
            files: files, standardInput: false, engine: engine, deadLetter: { _ in }, progress: { _ in })
        #expect(result.summary.rows == 6)
        #expect(!result.events.isEmpty)
    }
}
