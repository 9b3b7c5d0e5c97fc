import Columnar

/// A chart in block characters. Lines and surfaces over time are drawn as one band of columns a series, all on one scale, so that series can be
/// told apart without colour; bars are drawn in eighths of a character.
public struct TerminalChart {
    /// Columns of the terminal.
    public let width: Int
    /// Lines that a drawing should take, about.
    public let height: Int
    /// Colours series with ANSI codes.
    public let usesColor: Bool

    public init(width: Int, height: Int = 20, usesColor: Bool = false) {
        self.width = max(20, width)
        self.height = max(4, height)
        self.usesColor = usesColor
    }

    static let eighths = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
    private static let leftEighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    /// Fillings of stacked parts where there is no colour.
    private static let shades = ["█", "▓", "▒", "░", "▚", "▞", "▤", "▥"]
    private static let colors = [36, 33, 35, 32, 34, 31, 96, 93, 95, 92, 94, 91]

    /// The drawing, lines without a last line end.
    public func draw(_ chart: Chart) -> String {
        var lines: [String] = []
        if !chart.title.isEmpty { lines += [bold(cut(chart.title, width)), ""] }
        switch chart.form {
        case .card: lines += cards(chart)
        case .pie: lines += slices(chart)
        case .bar: lines += bars(chart)
        case .column: lines += columns(chart)
        case .scatter: lines += chart.axis == .categories ? bars(chart) : scatter(chart)
        case .line, .area: lines += chart.axis == .categories ? columns(chart) : bands(chart)
        }
        for n in chart.notes { lines.append(dim("(\(n))")) }
        return lines.joined(separator: "\n")
    }

    /// A double as a number of characters: anything else than a sensible number is at the edge.
    private func whole(_ v: Double) -> Int { v.isNaN ? 0 : Int(min(1e6, max(-1e6, v))) }

    // MARK: Text

    func cut(_ s: String, _ n: Int) -> String {
        let clean = String(
            String.UnicodeScalarView(s.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : $0 }))
        return clean.count > n ? String(clean.prefix(max(0, n - 1))) + "…" : clean
    }
    func right(_ s: String, _ n: Int) -> String { String(repeating: " ", count: max(0, n - s.count)) + s }
    func left(_ s: String, _ n: Int) -> String { s + String(repeating: " ", count: max(0, n - s.count)) }
    func bold(_ s: String) -> String { usesColor ? "\u{1B}[1m\(s)\u{1B}[0m" : s }
    func dim(_ s: String) -> String { usesColor ? "\u{1B}[2m\(s)\u{1B}[0m" : s }
    func paint(_ s: String, _ series: Int) -> String {
        usesColor && !s.isEmpty ? "\u{1B}[\(TerminalChart.colors[series % TerminalChart.colors.count])m\(s)\u{1B}[0m" : s
    }

    /// A bar of `cells` characters, in eighths.
    private func bar(_ cells: Double) -> String {
        let eighths = whole((max(0, cells) * 8).rounded())
        let full = String(repeating: "█", count: eighths / 8)
        // What is there shows, however small.
        return eighths == 0 && cells > 0 ? "▏" : full + TerminalChart.leftEighths[eighths % 8]
    }

    // MARK: Forms

    private func cards(_ chart: Chart) -> [String] {
        zip(chart.series, chart.categories).flatMap { s, figure in [dim(cut(s.name, width)), bold(cut(figure, width)), ""] }.dropLast()
    }

    private func slices(_ chart: Chart) -> [String] {
        let values = chart.series.first?.points.map(\.y) ?? []
        let total = values.reduce(0, +)
        guard total > 0 else { return [] }
        let names = chart.categories.map { cut($0.isEmpty ? "(empty)" : $0, max(4, width / 4)) }
        let nameWidth = names.map(\.count).max() ?? 0
        let figures = values.map { "\(ChartScale.fixed(100 * $0 / total, 1)) %  \(ChartScale.figure($0))" }
        let room = max(4, width - nameWidth - (figures.map(\.count).max() ?? 0) - 3)
        let most = values.max() ?? 1
        return values.indices.map { i in
            // A figure that is too long for a narrow terminal gives way to the name.
            let name = left(names[i], nameWidth)
            let drawn = bar(values[i] / most * Double(max(1, min(room, width - nameWidth - figures[i].count - 2))))
            return "\(name) \(paint(drawn, i)) \(cut(figures[i], max(1, width - nameWidth - drawn.count - 2)))"
        }
    }

    private func bars(_ chart: Chart) -> [String] {
        let names = chart.categories.map { cut($0.isEmpty ? "(empty)" : $0, max(8, width / 3)) }
        let nameWidth = names.map(\.count).max() ?? 0
        let range = chart.yRange
        let figureWidth = chart.series.flatMap { $0.points.map { ChartScale.figure($0.y).count } }.max().map { max(8, $0 + 1) } ?? 8
        let room = Double(max(4, width - nameWidth - figureWidth - 2))
        let span = range.upperBound - range.lowerBound
        func length(_ v: Double) -> Double {
            if chart.isLogarithmic { return room * Chart.logShare(v, range) }
            return room * min(1, max(0, abs(v - max(0, range.lowerBound))) / span)
        }
        var lines: [String] = legend(chart)
        if chart.stacking != .none {
            let stacks = Dictionary(chart.stacks.map { (whole($0.x), $0.parts) }) { a, _ in a }
            for i in names.indices {
                var text = ""
                var drawn = 0
                var total = 0.0
                for p in stacks[i] ?? [] {
                    let end = whole(length(max(abs(p.from), abs(p.to))).rounded())
                    text += paint(String(repeating: fill(p.series), count: max(0, end - drawn)), p.series)
                    drawn = max(drawn, end)
                    total += p.to - p.from
                }
                lines.append("\(left(names[i], nameWidth)) \(text) \(ChartScale.figure(total))")
            }
            return lines
        }
        for i in names.indices {
            var isFirst = true
            for (s, series) in chart.series.enumerated() {
                for p in series.points where whole(p.x) == i {
                    let label = isFirst ? left(names[i], nameWidth) : String(repeating: " ", count: nameWidth)
                    lines.append("\(label) \(p.y < 0 ? "-" : "")\(paint(bar(length(p.y)), s)) \(ChartScale.figure(p.y))")
                    isFirst = false
                }
            }
        }
        return lines
    }

    /// A series' filling where several share a line.
    private func fill(_ series: Int) -> String { usesColor ? "█" : TerminalChart.shades[series % TerminalChart.shades.count] }

    private func legend(_ chart: Chart) -> [String] {
        guard chart.showsLegend, chart.series.count > 1 else { return [] }
        let items = chart.series.enumerated().map { i, s in
            chart.stacking == .none ? paint("■", i) + " " + cut(s.name, 30) : paint(fill(i), i) + " " + cut(s.name, 30)
        }
        var lines = [""]
        var used = 0
        for (i, item) in items.enumerated() {
            let n = min(30, chart.series[i].name.count) + 4
            if used > 0, used + n > width {
                lines.append("")
                used = 0
            }
            lines[lines.count - 1] += (used > 0 ? "  " : "") + item
            used += n
        }
        return lines + [""]
    }

    /// Vertical bars where all categories fit, else horizontal ones.
    private func columns(_ chart: Chart) -> [String] {
        let range = chart.yRange
        let marks = chart.isLogarithmic ? ChartScale.powers(range) : ChartScale.numbers(range, count: max(2, height / 4))
        let margin = (marks.map(\.label.count).max() ?? 1) + 2
        let each = (width - margin) / max(1, chart.categories.count)
        let sub = chart.stacking == .none ? max(1, chart.series.count) : 1
        guard each >= max(4, sub + 1), range.lowerBound >= 0 else { return bars(chart) }
        let cell = min(each, 16)
        let thickness = max(1, min(8, (cell - 1) / sub))
        var cells = Array(repeating: [String](), count: height)
        let stacks = Dictionary(chart.stacks.map { (whole($0.x), $0.parts) }) { a, _ in a }
        for i in chart.categories.indices {
            for row in 0..<height {
                let low = Double(height - 1 - row)
                var text = ""
                if chart.stacking == .none {
                    for (s, series) in chart.series.enumerated() {
                        let v = series.points.first { whole($0.x) == i }?.y
                        let part = v.map { chart.share($0, range) * Double(height) - low } ?? 0
                        text += paint(String(repeating: TerminalChart.eighths[eighth(part)], count: thickness), s)
                    }
                } else {
                    let at = (low + 0.5) / Double(height)
                    let part = (stacks[i] ?? []).first { chart.share($0.from, range) <= at && at < chart.share($0.to, range) }
                    text =
                        part.map { paint(String(repeating: fill($0.series), count: thickness), $0.series) }
                        ?? String(
                            repeating: " ", count: thickness)
                }
                cells[row].append(text + String(repeating: " ", count: cell - thickness * sub))
            }
        }
        var lines = legend(chart)
        for row in 0..<height { lines.append(axis(row, height, marks, chart, range, margin) + cells[row].joined()) }
        lines.append(String(repeating: " ", count: margin - 1) + "└" + String(repeating: "─", count: cell * chart.categories.count))
        lines.append(
            String(repeating: " ", count: margin) + chart.categories.map { left(cut($0.isEmpty ? "(empty)" : $0, cell - 1), cell) }.joined()
        )
        return lines
    }

    private func eighth(_ part: Double) -> Int { part >= 1 ? 8 : part <= 0 ? 0 : max(0, min(8, whole((part * 8).rounded()))) }

    /// The left margin of a line: the mark that falls into it, and the axis.
    private func axis(
        _ row: Int, _ rows: Int, _ marks: [ChartScale.Mark], _ chart: Chart, _ range: ClosedRange<Double>, _ margin: Int
    ) -> String {
        let mark = marks.first { m in
            min(rows - 1, max(0, rows - 1 - whole((chart.share(m.value, range) * Double(rows) - 0.001).rounded(.down)))) == row
        }
        return right(mark?.label ?? "", margin - 2) + " " + (mark == nil ? "│" : "┤")
    }

    /// One band of columns a series over a common x axis.
    private func bands(_ chart: Chart) -> [String] {
        let range = chart.yRange
        let xs = chart.xRange
        let shown = chart.series
        // The least distance of two points: the room of the last.
        let step =
            shown.flatMap { s in zip(s.points.dropFirst(), s.points).map { $0.x - $1.x } }.filter { $0 > 0 }.min()
            ?? xs.upperBound - xs.lowerBound
        let rows = max(2, min(height, (height + shown.count) / max(1, shown.count)))
        let marks = chart.isLogarithmic ? ChartScale.powers(range) : ChartScale.numbers(range, count: max(1, rows / 3))
        let margin = (marks.map(\.label.count).max() ?? 1) + 2
        let room = width - margin
        var lines: [String] = []
        for (s, series) in shown.enumerated() {
            if shown.count > 1 || series.name != chart.yTitle {
                lines.append(paint(cut(series.name.isEmpty ? "(empty)" : series.name, width), s))
            }
            let heights = spread(series, xs, step, room)
            for row in 0..<rows {
                let low = Double(rows - 1 - row)
                var text = ""
                for h in heights {
                    guard let h else {
                        text += " "
                        continue
                    }
                    let share = chart.share(h.value, range) * Double(rows) - low
                    let block = TerminalChart.eighths[eighth(row == rows - 1 && h.value > range.lowerBound ? max(share, 0.125) : share)]
                    text += h.isAnomaly && block != " " ? (usesColor ? "\u{1B}[31m\(block)\u{1B}[0m" : block) : paint(block, s)
                }
                lines.append(axis(row, rows, marks, chart, range, margin) + text)
            }
            let flags = heights.map { $0?.isAnomaly == true ? "▲" : " " }.joined()
            if flags.contains("▲") { lines.append(String(repeating: " ", count: margin) + flags) }
        }
        return lines + scale(chart, xs, step, margin, room)
    }

    /// The greatest value of each column of characters; points that stand apart fill the columns up to the next.
    private func spread(_ series: Chart.Series, _ xs: ClosedRange<Double>, _ step: Double, _ room: Int) -> [(
        value: Double, isAnomaly: Bool
    )?] {
        var out: [(value: Double, isAnomaly: Bool)?] = Array(repeating: nil, count: room)
        let span = xs.upperBound - xs.lowerBound
        guard !series.points.isEmpty, span > 0 else { return out }
        let gap = zip(series.points.dropFirst(), series.points).map { $0.x - $1.x }.filter { $0 > 0 }.min() ?? span
        // The last point has room too.
        let scale = Double(room) / (span + step)
        for p in series.points {
            let first = whole((p.x - xs.lowerBound) * scale)
            let last = max(first, whole((p.x - xs.lowerBound + gap) * scale) - 1)
            for c in max(0, min(first, room))...max(0, min(last, room)) where c < room {
                if let known = out[c], known.value >= p.y {
                    out[c]?.isAnomaly = known.isAnomaly || p.isAnomaly
                } else {
                    out[c] = (p.y, p.isAnomaly || out[c]?.isAnomaly == true)
                }
            }
        }
        return out
    }

    /// The line below with its marks.
    private func scale(_ chart: Chart, _ xs: ClosedRange<Double>, _ step: Double, _ margin: Int, _ room: Int) -> [String] {
        let count = max(1, room / 16)
        let marks = chart.axis == .time ? ChartScale.times(xs, count: count) : ChartScale.numbers(xs, count: count)
        var line = Array(repeating: "─", count: room)
        var text = Array(repeating: Character(" "), count: room)
        var free = 0
        for m in marks {
            let at = whole((m.value - xs.lowerBound) / (xs.upperBound - xs.lowerBound + step) * Double(step > 0 ? room : room - 1))
            guard at >= free, at >= 0, at < room else { continue }
            line[at] = "┬"
            let label = Array(m.label)
            guard at + label.count <= room else { continue }
            for (i, c) in label.enumerated() { text[at + i] = c }
            free = at + label.count + 1
        }
        let pad = String(repeating: " ", count: margin - 1)
        return [pad + "└" + line.joined(), pad + " " + String(text)]
    }

    private func scatter(_ chart: Chart) -> [String] {
        let range = chart.yRange
        let xs = chart.xRange
        let marks = chart.isLogarithmic ? ChartScale.powers(range) : ChartScale.numbers(range, count: max(2, height / 4))
        let margin = (marks.map(\.label.count).max() ?? 1) + 2
        let room = width - margin
        var grid: [[(count: Int, series: Int)]] = Array(repeating: Array(repeating: (0, 0), count: room), count: height)
        for (s, series) in chart.series.enumerated() {
            for p in series.points {
                let column = whole((p.x - xs.lowerBound) / (xs.upperBound - xs.lowerBound) * Double(room - 1))
                let row = height - 1 - whole(chart.share(p.y, range) * Double(height - 1))
                guard grid.indices.contains(row), grid[row].indices.contains(column) else { continue }
                grid[row][column] = (grid[row][column].count + 1, s)
            }
        }
        let signs = chart.series.count > 1 ? ["●", "○", "■", "□", "▲", "△", "◆", "◇"] : []
        var lines: [String] = []
        if signs.count > 0, chart.showsLegend {
            lines.append(
                chart.series.enumerated().map { paint(signs[$0 % signs.count], $0) + " " + cut($1.name, 30) }.joined(separator: "  "))
        }
        for row in 0..<height {
            let text = grid[row].map { c in
                if c.count == 0 { return " " }
                return paint(signs.isEmpty ? (c.count == 1 ? "·" : c.count < 5 ? "•" : "●") : signs[c.series % signs.count], c.series)
            }
            lines.append(axis(row, height, marks, chart, range, margin) + text.joined())
        }
        return lines + scale(chart, xs, 0, margin, room)
    }
}

extension Chart {
    /// Where a value lies in the range, from 0 to 1.
    func share(_ v: Double, _ range: ClosedRange<Double>) -> Double {
        if isLogarithmic { return Chart.logShare(v, range) }
        return min(1, max(0, (v - range.lowerBound) / (range.upperBound - range.lowerBound)))
    }

    static func logShare(_ v: Double, _ range: ClosedRange<Double>) -> Double {
        guard v > 0, range.lowerBound > 0, range.upperBound > range.lowerBound else { return 0 }
        let low = Chart.log10(range.lowerBound) - 0.05
        return min(1, max(0, (Chart.log10(v) - low) / (Chart.log10(range.upperBound) - low)))
    }
}
