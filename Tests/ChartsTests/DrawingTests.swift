import Columnar
import KQL
import Testing

@testable import Charts

private func bars(_ form: Chart.Form, _ values: [(String, Double)], stacking: Chart.Stacking = .none) -> Chart {
    Chart(
        form: form, axis: .categories, title: "", xTitle: "k", yTitle: "n", categories: values.map(\.0),
        series: [Chart.Series(name: "n", points: values.enumerated().map { Chart.Point(x: Double($0), y: $1.1) })], stacking: stacking,
        yMin: nil, yMax: nil, isLogarithmic: false, showsLegend: true)
}

private func line(_ series: [(String, [(Double, Double)])]) -> Chart {
    Chart(
        form: .line, axis: .number, title: "T", xTitle: "x", yTitle: "y", categories: [],
        series: series.map { Chart.Series(name: $0.0, points: $0.1.map { Chart.Point(x: $0.0, y: $0.1) }) }, stacking: .none, yMin: nil,
        yMax: nil, isLogarithmic: false, showsLegend: true)
}

@Suite struct TerminalChartTests {
    @Test func barsAreProportional() {
        let drawn = TerminalChart(width: 40).draw(bars(.bar, [("one", 10), ("half", 5), ("none", 0)]))
        #expect(
            drawn == """
                one  \(String(repeating: "█", count: 26)) 10
                half \(String(repeating: "█", count: 13)) 5
                none  0
                """)
    }

    @Test func columnsHaveAnAxisAndLabels() {
        let drawn = TerminalChart(width: 30, height: 4).draw(bars(.column, [("a", 4), ("b", 2)]))
        #expect(drawn.split(separator: "\n").count == 6)
        #expect(drawn.hasSuffix("a") || drawn.contains("a "))
        #expect(drawn.contains("┤"))
    }

    @Test func seriesAreBandsOnOneScale() {
        let drawn = TerminalChart(width: 60, height: 8).draw(line([("small", [(0, 1), (1, 1)]), ("large", [(0, 8), (1, 8)])]))
        let lines = drawn.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines[0] == "T")
        #expect(lines.contains("small") && lines.contains("large"))
        // The small one fills an eighth of its band, the large one all of it.
        #expect(drawn.filter { $0 == "█" }.count > 200)
        #expect(!drawn.contains("\u{1B}"))
    }

    @Test func colourOnlyOnRequest() {
        #expect(TerminalChart(width: 60, usesColor: true).draw(bars(.bar, [("a", 1)])).contains("\u{1B}["))
    }

    @Test(arguments: [Chart.Form.line, .area, .scatter, .column, .bar]) func hugeNumbersAreDrawn(_ form: Chart.Form) {
        var c = line([("a", [(-1e300, -1e300), (0, 1), (1e300, 1e308)])])
        c.form = form
        if form == .column || form == .bar {
            c.axis = .categories
            c.categories = ["a"]
        }
        #expect(!TerminalChart(width: 40).draw(c).isEmpty)
        #expect(!SVGChart().draw(c).contains("nan"))
    }

    @Test func controlCharactersDoNotReachTheTerminal() {
        let drawn = TerminalChart(width: 60).draw(bars(.bar, [("a\u{1B}[2Jb", 1)]))
        #expect(!drawn.contains("\u{1B}"))
    }

    @Test(arguments: [Chart.Form.bar, .column, .pie, .line, .area, .scatter, .card], [20, 33, 80, 200])
    func linesFitTheWidth(_ form: Chart.Form, _ width: Int) {
        var c = bars(form, (0..<9).map { ("category number \($0)", Double($0 * 37 % 11)) })
        c.series.append(Chart.Series(name: "second", points: [Chart.Point(x: 2, y: 7)]))
        if form == .line || form == .area || form == .scatter { c.axis = .number }
        for l in TerminalChart(width: width, height: 6).draw(c).split(separator: "\n") { #expect(l.count <= width, "\(l)") }
    }
}

@Suite struct SVGChartTests {
    @Test(arguments: [Chart.Form.bar, .column, .pie, .line, .area, .scatter, .card]) func isWellFormed(_ form: Chart.Form) {
        var c = bars(form, [("a & <b>", 3), ("\"q\"\u{1}", 1)])
        c.title = "x < y & z"
        if form == .line { c.axis = .time }
        let svg = SVGChart().draw(c)
        #expect(svg.hasPrefix("<?xml"))
        #expect(svg.contains("x &lt; y &amp; z"))
        #expect(!svg.contains("<b>") && !svg.contains("\u{1}"))
        #expect(!svg.contains("nan") && !svg.contains("inf"))
        // Every element that is opened is closed.
        var depth = 0
        for part in svg.split(separator: "<").dropFirst() {
            if part.hasPrefix("/") { depth -= 1 } else if !part.contains("/>") { depth += 1 }
        }
        #expect(depth == 0)
    }

    @Test func pageHoldsChartQueryAndRows() {
        let page = HTMLPage.make(
            query: "T | where a < 1", columns: [BoundColumn(id: 0, name: "k", type: .string)], rows: [[.string("<script>")]],
            chart: bars(.bar, [("a", 1)]), text: { if case .string(let s) = $0 { s } else { "" } })
        #expect(page.contains("T | where a &lt; 1"))
        #expect(page.contains("&lt;script&gt;") && !page.contains("<script"))
        #expect(page.contains("<svg"))
    }
}
