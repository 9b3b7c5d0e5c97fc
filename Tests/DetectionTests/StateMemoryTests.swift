import CKernels
import Columnar
import Evaluation
import Testing

@testable import Detection

/// What the runtime says that it holds, against what the allocator has handed out.
@Suite struct StateMemoryTests {
    static let cases: [(name: String, query: String, groups: Int, rows: Int)] = [
        ("count", "Events | summarize n = count() by User | where n > 1000000", 30_000, 60_000),
        ("sum", "Events | summarize n = sum(Count) by User | where n < -1", 30_000, 60_000),
        ("max", "Events | summarize n = max(Count) by User | where n < 0", 30_000, 60_000),
        ("dcount", "Events | summarize n = dcount(Where) by User | where n > 1000000", 5_000, 60_000),
        ("make_set", "Events | summarize s = make_set(Where) by User | where array_length(s) > 1000000", 5_000, 60_000),
        ("rows", "Events | where Count >= 0 | top 1 by Count | where Count < 0", 30_000, 60_000),
        ("row join", "Events | join kind=inner (Others) on User", 30_000, 60_000),
    ]

    struct Measured {
        let allocated: Int
        let accounted: Int
    }

    /// Rows over half an hour, in chunks; without raw records.
    static func measure(_ query: String, groups: Int, rows: Int) throws -> Measured {
        let bench = try Bench([rule(query, every: 5, over: 60)]) {
            $0.takesCheckpoints = false
            $0.joinIndexTicks = 0
        }
        func feed(_ range: Range<Int>) throws {
            try bench.feed(
                range.map { Event(1 + $0 * 30 / rows, "user\($0 % groups)", place: "place\($0 * 7919 % rows)", count: Int64($0 % 100)) },
                raw: false)
        }
        try feed(0..<1)
        bench.advance(to: 0)
        func accounted() -> Int { bench.engine.figures[0].stateBytes }
        let (before, known) = (Int(vk_allocated_bytes()), accounted())
        for first in stride(from: 1, to: rows, by: 1_000) { try feed(first..<min(rows, first + 1_000)) }
        bench.advance(to: 30)
        return Measured(allocated: Int(vk_allocated_bytes()) - before, accounted: accounted() - known)
    }

    /// In a process of its own: other tests allocate, too.
    @Test("state bytes are what the allocator says, within a quarter") func accounting() async {
        let child = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            guard vk_allocated_bytes() > 0 else { return }
            for c in StateMemoryTests.cases {
                let m = try StateMemoryTests.measure(c.query, groups: c.groups, rows: c.rows)
                print(
                    "state memory: \(c.name): \(m.allocated) allocated, \(m.accounted) accounted, \(m.allocated / c.rows) a row,"
                        + " \(m.allocated / c.groups) a group")
                #expect(abs(m.accounted - m.allocated) * 4 <= m.allocated, "\(c.name): \(m.allocated) allocated, \(m.accounted) accounted")
            }
        }
        // What docs/scaling.md quotes.
        let lines = String(decoding: child?.standardOutputContent ?? [], as: UTF8.self).split(separator: "\n")
        for line in lines where line.hasPrefix("state memory") { print(line) }
    }
}
