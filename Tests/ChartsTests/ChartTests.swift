import Columnar
import KQL
import Testing

@testable import Charts

private func column(_ name: String, _ type: ScalarType, _ id: Int) -> BoundColumn { BoundColumn(id: id, name: name, type: type) }

private func text(_ v: Value) -> String {
    switch v {
    case .string(let s): s
    case .long(let n): String(n)
    case .real(let n): String(n)
    case .datetime(let t): KustoTime.isoString(t)
    default: ""
    }
}

private let hour = KustoTime.ticksPerHour
private let start: Int64 = 639_080_064_000_000_000  // 2026-03-02

private func chart(_ spec: RenderSpec, _ columns: [(String, ScalarType)], _ rows: [[Value]]) throws -> Chart {
    try Chart.make(spec, columns: columns.enumerated().map { column($1.0, $1.1, $0) }, rows: rows, text: text)
}

@Suite struct ChartBuilderTests {
    @Test func timechartTakesTheTimeAndSplitsByText() throws {
        let rows: [[Value]] = [
            [.string("b"), .datetime(start + hour), .long(2)], [.string("a"), .datetime(start), .long(1)],
            [.string("b"), .datetime(start), .long(5)], [.string("a"), .datetime(start + hour), .null(.long)],
        ]
        let c = try chart(RenderSpec(kind: "timechart"), [("Who", .string), ("TimeGenerated", .datetime), ("n", .long)], rows)
        #expect(c.axis == .time)
        #expect(c.series.map(\.name) == ["b", "a"])
        #expect(c.series[0].points.map(\.y) == [5, 2])
        #expect(c.series[1].points.map(\.y) == [1])
        #expect(c.xTitle == "TimeGenerated" && c.yTitle == "n")
    }

    @Test func seriesOfMakeSeriesAreTakenApart() throws {
        let times = Dynamic.array((0..<3).map { .string(KustoTime.isoString(start + Int64($0) * hour)) })
        let rows: [[Value]] = [
            [
                .string("x"), .dynamic(.array([.long(1), .null, .real(2.5)])), .dynamic(times),
                .dynamic(.array([.long(0), .long(0), .long(1)])),
            ]
        ]
        var spec = RenderSpec(kind: "anomalychart")
        spec.anomalyColumns = ["flag"]
        let c = try chart(spec, [("k", .string), ("n", .dynamic), ("TimeGenerated", .dynamic), ("flag", .dynamic)], rows)
        #expect(c.series.map(\.name) == ["x"])
        #expect(c.series[0].points.map(\.y) == [1, 2.5])
        #expect(c.series[0].points.map(\.isAnomaly) == [false, true])
        #expect(c.series[0].points.map(\.x) == [Double(start), Double(start + 2 * hour)])
    }

    @Test func barsNameCategoriesAndKeepTheirOrder() throws {
        let rows: [[Value]] = [[.string("z"), .long(3), .long(1)], [.string("a"), .long(4), .long(2)]]
        let c = try chart(RenderSpec(kind: "barchart"), [("k", .string), ("n", .long), ("m", .long)], rows)
        #expect(c.categories == ["z", "a"])
        #expect(c.series.map(\.name) == ["n", "m"])
        #expect(c.yRange == 0...4)
    }

    @Test func stackedBarsReachTheirSum() throws {
        var spec = RenderSpec(kind: "columnchart")
        spec.layout = "stacked"
        let rows: [[Value]] = [[.string("a"), .long(3), .long(1)], [.string("b"), .long(-4), .long(2)]]
        let c = try chart(spec, [("k", .string), ("n", .long), ("m", .long)], rows)
        #expect(c.yRange == -4...4)
        let parts: [[[Double]]] = c.stacks.map { stack in stack.parts.map { part in [part.from, part.to] } }
        let expected: [[[Double]]] = [[[0, 3], [3, 4]], [[0, -4], [0, 2]]]
        #expect(parts == expected)
        spec.layout = "stacked100"
        #expect(try chart(spec, [("k", .string), ("n", .long), ("m", .long)], [rows[0]]).yRange == 0...100)
    }

    @Test func rowsOfOneCategoryAreAddedUp() throws {
        let rows: [[Value]] = [[.string("a"), .long(3)], [.string("b"), .long(1)], [.string("a"), .long(4)]]
        for kind in ["barchart", "columnchart"] {
            #expect(try chart(RenderSpec(kind: kind), [("k", .string), ("n", .long)], rows).series[0].points.map(\.y) == [7, 1])
        }
    }

    @Test func whatHasNoPlaceIsCounted() throws {
        let rows: [[Value]] = [[.long(1), .real(1)], [.long(2), .real(.infinity)], [.null(.long), .real(2)]]
        let c = try chart(RenderSpec(kind: "linechart"), [("x", .long), ("n", .real)], rows)
        #expect(c.notes == ["2 values without a place are not drawn"])
    }

    @Test func smallSlicesBecomeOne() throws {
        let rows = (0..<30).map { [Value.string("k\($0)"), .long(Int64(100 - $0))] }
        let c = try chart(RenderSpec(kind: "piechart"), [("k", .string), ("n", .long)], rows)
        #expect(c.categories.count == Chart.mostSlices)
        #expect(c.categories.last == "19 others")
        #expect(c.series[0].points.reduce(0) { $0 + $1.y } == (0..<30).reduce(0) { $0 + Double(100 - $1) })
    }

    @Test func accumulates() throws {
        var spec = RenderSpec(kind: "linechart")
        spec.accumulates = true
        let c = try chart(spec, [("x", .long), ("n", .long)], [[.long(1), .long(2)], [.long(2), .long(3)]])
        #expect(c.series[0].points.map(\.y) == [2, 5])
    }

    @Test func whatIsLeftOutIsSaid() throws {
        let rows = (0..<60).map { [Value.string("s\($0)"), .datetime(start), .long(1)] }
        let c = try chart(RenderSpec(kind: "timechart"), [("k", .string), ("t", .datetime), ("n", .long)], rows)
        #expect(c.series.count == Chart.mostSeries)
        #expect(c.notes == ["20 of 60 series are not drawn"])
    }

    @Test(arguments: [
        ("timechart", [("k", ScalarType.string), ("n", .long)], "a `timechart` needs a datetime column"),
        ("barchart", [("k", .string), ("l", .string)], "beside `k` no column is a number: summarize to one, or name it with `ycolumns`"),
    ]) func problemsAreNamed(_ kind: String, _ columns: [(String, ScalarType)], _ message: String) {
        let row = columns.map { $0.1 == .long ? Value.long(1) : .string("x") }
        do {
            _ = try chart(RenderSpec(kind: kind), columns, [row])
            Issue.record("no problem")
        } catch { #expect("\(error)" == message) }
    }

    @Test func unknownColumnsAreProblems() {
        var spec = RenderSpec(kind: "barchart")
        spec.yColumns = ["nothing"]
        #expect(throws: ChartProblem.self) { try chart(spec, [("k", .string), ("n", .long)], [[.string("a"), .long(1)]]) }
        #expect(throws: ChartProblem.self) { try chart(RenderSpec(kind: "barchart"), [("k", .string), ("n", .long)], []) }
    }
}

@Suite struct ChartScaleTests {
    private static let ranges: [(ClosedRange<Double>, [String])] = [
        (0...10, ["0", "2", "4", "6", "8", "10"]), (0...0.5, ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (-1500...1500, ["-1 k", "0", "1 k"]),
    ]

    @Test(arguments: ranges) func roundNumbers(_ range: ClosedRange<Double>, _ labels: [String]) {
        #expect(ChartScale.numbers(range, count: labels.count).map(\.label) == labels)
    }

    @Test func roundTimes() {
        let marks = ChartScale.times(Double(start + hour / 2)...Double(start + 26 * hour), count: 5)
        #expect(marks.map(\.label) == ["03-02 06:00", "12:00", "18:00", "03-03 00:00"])
    }

    private static let figures: [(Double, String)] = [
        (0, "0"), (1234, "1.23 k"), (12.5, "12.5"), (5_000_000, "5 M"), (0.00001, "1e-5"), (-3, "-3"), (1e18, "1e18"),
    ]

    @Test(arguments: figures) func labels(_ v: Double, _ label: String) { #expect(ChartScale.label(v) == label) }

    @Test func hostileRangesEnd() {
        #expect(ChartScale.numbers(0...Double.infinity, count: 5).count == 1)
        #expect(ChartScale.numbers(1...1, count: 5).count == 1)
        #expect(ChartScale.numbers(-1e308...1e308, count: 5).count <= 100)
        #expect(ChartScale.times(-1e300...1e300, count: 3).count <= 100)
        #expect(ChartScale.powers(1e-300...1e300).count <= 40)
    }
}
