import Columnar
import KQL

extension Chart {
    /// The forms of `render` that are drawn; nil for those that show a table.
    static func form(_ kind: String?) -> (form: Form, time: Bool)? {
        switch kind {
        case "timechart", "timelinechart", "anomalychart": (.line, true)
        case "linechart": (.line, false)
        case "areachart", "stackedareachart": (.area, false)
        case "barchart": (.bar, false)
        case "columnchart": (.column, false)
        case "piechart": (.pie, false)
        case "scatterchart": (.scatter, false)
        case "card": (.card, false)
        default: nil
        }
    }

    /// Whether `render` of this kind draws something else than a table.
    public static func draws(_ spec: RenderSpec) -> Bool { form(spec.kind) != nil }

    /// Makes a chart of rows. `text` prints a cell.
    ///
    /// Throws ``ChartProblem`` if no column can be an axis or nothing is a number.
    public static func make(_ spec: RenderSpec, columns: [BoundColumn], rows: [[Value]], text: @escaping (Value) -> String) throws -> Chart
    {
        guard let (form, isTime) = form(spec.kind) else { throw ChartProblem("`render \(spec.kind ?? "")` shows a table") }
        let builder = ChartBuilder(spec: spec, form: form, wantsTime: isTime, columns: columns, text: text)
        return try builder.build(rows)
    }
}

private struct ChartBuilder {
    let spec: RenderSpec
    let form: Chart.Form
    let wantsTime: Bool
    let columns: [BoundColumn]
    let text: (Value) -> String

    func build(_ rows: [[Value]]) throws -> Chart {
        guard !rows.isEmpty else { throw ChartProblem("there are no rows to draw") }
        let arrays = columns.indices.filter { c in columns[c].type == .dynamic && rows.contains { isArray($0[c]) } }
        if form == .card { return try card(rows) }
        let x = try xColumn(rows, arrays)
        let ys = try yColumns(rows, x, arrays)
        let names = try seriesColumns(x, ys)
        var chart = Chart(
            form: form, axis: axis(x, rows), title: spec.title ?? "", xTitle: spec.xTitle ?? columns[x].name,
            yTitle: spec.yTitle ?? (ys.count == 1 ? columns[ys[0]].name : ""), categories: [], series: [], stacking: stacking,
            yMin: spec.yMin, yMax: spec.yMax, isLogarithmic: spec.isLogarithmic, showsLegend: spec.showsLegend)
        var order: [String] = []
        var points: [String: [Chart.Point]] = [:]
        var places: [String: Int] = [:]
        var undrawn = 0
        func place(_ v: Value) -> Double {
            if chart.axis != .categories { return number(v) ?? .nan }
            let label = text(v)
            if let known = places[label] { return Double(known) }
            places[label] = chart.categories.count
            chart.categories.append(label)
            return Double(chart.categories.count - 1)
        }
        for row in rows {
            let prefix = names.map { text(row[$0]) }.joined(separator: ", ")
            for y in ys {
                let name = names.isEmpty ? columns[y].name : ys.count > 1 ? "\(prefix): \(columns[y].name)" : prefix
                if points[name] == nil {
                    order.append(name)
                    points[name] = []
                }
                let flags = anomalies(row, y, ys)
                for (i, (at, value)) in pairs(row[x], row[y]).enumerated() {
                    // A null is a gap; what is a number and cannot be drawn is counted.
                    guard let n = number(value) else { continue }
                    let p = place(at)
                    guard n.isFinite, p.isFinite, !spec.isLogarithmic || n > 0 else {
                        undrawn += 1
                        continue
                    }
                    points[name]?.append(Chart.Point(x: p, y: n, isAnomaly: flags.indices.contains(i) && flags[i]))
                }
            }
        }
        chart.series = order.map { name in
            let all = (points[name] ?? []).enumerated().sorted { ($0.element.x, $0.offset) < ($1.element.x, $1.offset) }.map(\.element)
            let single = form == .bar || form == .column ? summed(all) : all
            return Chart.Series(name: name, points: spec.accumulates ? accumulated(single) : single)
        }
        if undrawn > 0 {
            chart.notes.append(
                "\(undrawn) value\(undrawn == 1 ? "" : "s") without a place \(spec.isLogarithmic ? "on the logarithmic scale " : "")\(undrawn == 1 ? "is" : "are") not drawn"
            )
        }
        limit(&chart)
        guard chart.series.contains(where: { !$0.points.isEmpty }) else { throw ChartProblem("there is no number to draw") }
        return chart
    }

    private var stacking: Chart.Stacking {
        switch spec.layout {
        case "stacked": .stacked
        case "stacked100": .percent
        default: spec.kind == "stackedareachart" ? .stacked : .none
        }
    }

    /// One bar a category: rows of one category are added up, as stacks and slices do.
    private func summed(_ points: [Chart.Point]) -> [Chart.Point] {
        var out: [Chart.Point] = []
        for p in points {
            if let last = out.last, last.x == p.x {
                out[out.count - 1].y += p.y
                out[out.count - 1].isAnomaly = last.isAnomaly || p.isAnomaly
            } else {
                out.append(p)
            }
        }
        return out
    }

    private func accumulated(_ points: [Chart.Point]) -> [Chart.Point] {
        var sum = 0.0
        return points.map { p in
            sum += p.y
            return Chart.Point(x: p.x, y: sum, isAnomaly: p.isAnomaly)
        }
    }

    /// Leaves out what no picture can show, and says so.
    private func limit(_ chart: inout Chart) {
        if chart.series.count > Chart.mostSeries {
            chart.notes.append("\(chart.series.count - Chart.mostSeries) of \(chart.series.count) series are not drawn")
            chart.series.removeLast(chart.series.count - Chart.mostSeries)
        }
        if form == .pie {
            slices(&chart)
        } else if chart.categories.count > Chart.mostCategories {
            chart.notes.append("\(chart.categories.count - Chart.mostCategories) of \(chart.categories.count) categories are not drawn")
            chart.categories.removeLast(chart.categories.count - Chart.mostCategories)
            for i in chart.series.indices { chart.series[i].points.removeAll { $0.x >= Double(Chart.mostCategories) } }
        }
    }

    /// One series, a slice a category, the largest first; the smallest are put together.
    private func slices(_ chart: inout Chart) {
        var sums = [Double](repeating: 0, count: chart.categories.count)
        for s in chart.series { for p in s.points where p.x >= 0 && Int(p.x) < sums.count && p.y > 0 { sums[Int(p.x)] += p.y } }
        var order = sums.indices.filter { sums[$0] > 0 }.sorted { (sums[$1], $0) < (sums[$0], $1) }
        var labels = order.map { chart.categories[$0] }
        var values = order.map { sums[$0] }
        if order.count > Chart.mostSlices {
            let kept = Chart.mostSlices - 1
            labels = labels[..<kept] + ["\(order.count - kept) others"]
            values = values[..<kept] + [values[kept...].reduce(0, +)]
            order.removeLast(order.count - Chart.mostSlices)
        }
        chart.categories = labels
        chart.series = [
            Chart.Series(name: chart.yTitle, points: values.enumerated().map { Chart.Point(x: Double($0.offset), y: $0.element) })
        ]
    }

    private func card(_ rows: [[Value]]) throws -> Chart {
        guard let row = rows.first, !columns.isEmpty else { throw ChartProblem("there is no figure to show") }
        var chart = Chart(
            form: .card, axis: .categories, title: spec.title ?? "", xTitle: "", yTitle: "", categories: [], series: [], stacking: .none,
            yMin: nil, yMax: nil, isLogarithmic: false, showsLegend: false)
        for (c, v) in zip(columns, row) {
            chart.categories.append(text(v))
            chart.series.append(Chart.Series(name: c.name, points: []))
        }
        if rows.count > 1 { chart.notes.append("the first of \(rows.count) rows is shown") }
        return chart
    }

    // MARK: Columns

    private func named(_ name: String, _ what: String) throws -> Int {
        guard let i = columns.firstIndex(where: { $0.name == name }) else {
            throw ChartProblem("`\(what)` names the column `\(name)`, which the result does not have")
        }
        return i
    }

    private func xColumn(_ rows: [[Value]], _ arrays: [Int]) throws -> Int {
        if let name = spec.xColumn { return try named(name, "xcolumn") }
        // make-series: the array of times or numbers that stands behind the values.
        if let a = arrays.last(where: { c in rows.contains { holdsTimes($0[c]) } }) { return a }
        let times = columns.firstIndex { $0.type == .datetime }
        if wantsTime {
            guard let times else { throw ChartProblem("a `\(spec.kind ?? "")` needs a datetime column") }
            return times
        }
        if form == .line || form == .area || form == .scatter {
            if let first = columns.indices.first(where: { columns[$0].type == .datetime || columns[$0].type.isNumeric }) {
                // A number alone is a value, not an axis.
                if columns[first].type == .datetime || columns.indices.contains(where: { $0 != first && columns[$0].type.isNumeric }) {
                    return first
                }
            }
        }
        guard let first = columns.indices.first else { throw ChartProblem("the result has no columns") }
        return first
    }

    private func yColumns(_ rows: [[Value]], _ x: Int, _ arrays: [Int]) throws -> [Int] {
        if !spec.yColumns.isEmpty { return try spec.yColumns.map { try named($0, "ycolumns") } }
        let skipped = Set(try spec.series.map { try named($0, "series") } + spec.anomalyColumns.map { try named($0, "anomalycolumns") })
        let found = columns.indices.filter { c in
            guard c != x, !skipped.contains(c) else { return false }
            if arrays.contains(x) { return arrays.contains(c) && rows.contains { isNumbers($0[c]) } }
            return columns[c].type.isNumeric || columns[c].type == .timespan
        }
        guard !found.isEmpty else {
            throw ChartProblem("beside `\(columns[x].name)` no column is a number: summarize to one, or name it with `ycolumns`")
        }
        return form == .pie ? [found[0]] : found
    }

    private func seriesColumns(_ x: Int, _ ys: [Int]) throws -> [Int] {
        if !spec.series.isEmpty { return try spec.series.map { try named($0, "series") } }
        if form == .pie { return [] }
        return columns.indices.filter { c in
            c != x && !ys.contains(c) && (columns[c].type == .string || columns[c].type == .guid || columns[c].type == .bool)
        }
    }

    private func axis(_ x: Int, _ rows: [[Value]]) -> Chart.Axis {
        if form == .pie || form == .bar { return .categories }
        if columns[x].type == .datetime || rows.contains(where: { holdsTimes($0[x]) }) { return form == .column ? .categories : .time }
        if form == .column { return .categories }
        if columns[x].type.isNumeric || rows.contains(where: { isNumbers($0[x]) }) { return .number }
        return .categories
    }

    // MARK: Cells

    private func isArray(_ v: Value) -> Bool {
        if case .dynamic(.array) = v { return true }
        return false
    }

    private func isNumbers(_ v: Value) -> Bool {
        guard case .dynamic(.array(let items)) = v else { return false }
        return items.contains {
            switch $0 {
            case .long, .real: true
            default: false
            }
        }
    }

    private func holdsTimes(_ v: Value) -> Bool {
        guard case .dynamic(.array(let items)) = v, case .string(let s)? = items.first else { return false }
        return DateTimeText.parse(s) != nil
    }

    /// A row's points: one, or as many as its arrays have items.
    private func pairs(_ x: Value, _ y: Value) -> [(Value, Value)] {
        if case .dynamic(.array(let xs)) = x, case .dynamic(.array(let ys)) = y { return zip(xs, ys).map { (item($0), item($1)) } }
        return [(x, y)]
    }

    private func item(_ d: Dynamic) -> Value {
        switch d {
        case .long(let n): .long(n)
        case .real(let n): .real(n)
        case .string(let s): DateTimeText.parse(s).map { .datetime($0) } ?? .string(s)
        default: .dynamic(d)
        }
    }

    private func number(_ v: Value) -> Double? {
        switch v {
        case .int(let n): Double(n)
        case .long(let n): Double(n)
        case .real(let n): n
        case .decimal(let n): Double(n.description)
        case .datetime(let t): Double(t)
        // Timespans are drawn in seconds.
        case .timespan(let t): Double(t) / Double(KustoTime.ticksPerSecond)
        case .bool(let b): b ? 1 : 0
        default: nil
        }
    }

    /// The flags of a row's points: of an `anomalychart`, the named columns, in the order of the values.
    private func anomalies(_ row: [Value], _ y: Int, _ ys: [Int]) -> [Bool] {
        guard let at = ys.firstIndex(of: y), spec.anomalyColumns.indices.contains(at),
            let c = columns.firstIndex(where: { $0.name == spec.anomalyColumns[at] })
        else { return [] }
        guard case .dynamic(.array(let items)) = row[c] else { return [number(row[c]).map { $0 != 0 } ?? false] }
        return items.map { number(item($0)).map { $0 != 0 } ?? false }
    }
}
