import Columnar

/// A chart as a self-contained SVG document: no scripts, fonts or links; title and description for screen readers; dark where the viewer
/// is dark.
public struct SVGChart {
    public let width: Double
    public let height: Double

    public init(width: Double = 960, height: Double = 480) {
        self.width = max(200, width)
        self.height = max(120, height)
    }

    static let colors = [
        "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#b5bd00", "#8c564b", "#3b8686", "#a05d56", "#6b6ecf",
    ]

    /// The document, or, with `isEmbedded`, the `svg` element alone for an HTML page.
    public func draw(_ chart: Chart, isEmbedded: Bool = false) -> String {
        var out = isEmbedded ? "" : "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        let title = chart.title.isEmpty ? "\(chart.yTitle) by \(chart.xTitle)" : chart.title
        out +=
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(n(width))\" height=\"\(n(height))\" viewBox=\"0 0 \(n(width)) \(n(height))\""
        out += " role=\"img\" aria-labelledby=\"chart-title chart-description\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\""
        out += " font-size=\"12\">\n"
        out += "<title id=\"chart-title\">\(SVGChart.escaped(title))</title>\n"
        out += "<desc id=\"chart-description\">\(SVGChart.escaped(description(chart)))</desc>\n"
        out += "<style>.paper{fill:#fff}.ink{fill:#222}.faint{fill:#666}.grid{stroke:#e3e3e3}.axis{stroke:#888}"
        out +=
            "@media (prefers-color-scheme:dark){.paper{fill:#16181c}.ink{fill:#e8e8e8}.faint{fill:#a8a8a8}.grid{stroke:#33363c}.axis{stroke:#777}}"
        out += "</style>\n"
        out += "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
        if !chart.title.isEmpty { out += text(chart.title, x: 16, y: 26, size: 16, weight: "600") }
        switch chart.form {
        case .card: out += cards(chart)
        case .pie: out += pie(chart)
        case .bar: out += bars(chart)
        case .line, .area, .column, .scatter: out += plot(chart)
        }
        for (i, note) in chart.notes.enumerated() { out += text(note, x: 16, y: height - 8 - 14 * Double(i), size: 11, style: "faint") }
        return out + "</svg>\n"
    }

    /// One sentence that says what a picture shows.
    private func description(_ chart: Chart) -> String {
        let points = chart.series.reduce(0) { $0 + $1.points.count }
        let names = chart.series.prefix(5).map(\.name).joined(separator: ", ")
        let more = chart.series.count > 5 ? " and \(chart.series.count - 5) more" : ""
        return "A \(chart.form.rawValue) chart of \(points) values; series: \(names)\(more)."
    }

    // MARK: Text

    func n(_ v: Double) -> String { v.isFinite ? ChartScale.fixed(v, 2) : "0" }

    /// A position among categories; one that is none is out of their range.
    static func index(_ x: Double) -> Int { x >= 0 && x < 1e6 ? Int(x) : -1 }

    static func escaped(_ s: String) -> String {
        var out = ""
        for u in s.unicodeScalars {
            switch u {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            default:
                // What XML does not allow.
                if (u.value < 0x20 && u != "\t" && u != "\n") || u.value == 0xFFFE || u.value == 0xFFFF {
                    out += "\u{FFFD}"
                } else {
                    out.unicodeScalars.append(u)
                }
            }
        }
        return out
    }

    private func text(
        _ s: String, x: Double, y: Double, size: Double = 12, anchor: String = "start", weight: String = "400", style: String = "ink",
        turn: Double? = nil
    ) -> String {
        let rotation = turn.map { " transform=\"rotate(\(n($0)) \(n(x)) \(n(y)))\"" } ?? ""
        return
            "<text class=\"\(style)\" x=\"\(n(x))\" y=\"\(n(y))\" font-size=\"\(n(size))\" font-weight=\"\(weight)\" text-anchor=\"\(anchor)\"\(rotation)>\(SVGChart.escaped(s))</text>\n"
    }

    private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> String {
        "<line class=\"\(style)\" x1=\"\(n(x1))\" y1=\"\(n(y1))\" x2=\"\(n(x2))\" y2=\"\(n(y2))\"/>\n"
    }

    private func rect(_ x: Double, _ y: Double, _ w: Double, _ h: Double, _ series: Int, _ tip: String) -> String {
        "<rect x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(max(0, w)))\" height=\"\(n(max(0, h)))\" fill=\"\(color(series))\"><title>\(SVGChart.escaped(tip))</title></rect>\n"
    }

    private func color(_ i: Int) -> String { SVGChart.colors[i % SVGChart.colors.count] }

    /// Room that a text takes, about.
    private func room(_ s: String, _ size: Double = 12) -> Double { Double(s.count) * size * 0.58 }

    private func cut(_ s: String, _ n: Int) -> String { s.isEmpty ? "(empty)" : s.count > n ? String(s.prefix(n - 1)) + "…" : s }

    // MARK: Frame

    private struct Frame {
        var left: Double
        var top: Double
        var right: Double
        var bottom: Double
        var width: Double { right - left }
        var height: Double { bottom - top }
    }

    private func frame(_ chart: Chart, left: Double) -> Frame {
        let hasLegend = chart.showsLegend && chart.series.count > 1 && chart.form != .pie
        let longest = chart.series.prefix(24).map { room(cut($0.name, 28)) }.max() ?? 0
        return Frame(
            left: left, top: chart.title.isEmpty ? 20 : 44, right: width - (hasLegend ? min(longest + 40, width * 0.35) : 24),
            bottom: height - 46 - 14 * Double(chart.notes.count))
    }

    private func legend(_ chart: Chart, _ f: Frame) -> String {
        guard chart.showsLegend, chart.series.count > 1 else { return "" }
        var out = ""
        let fitting = max(1, Int(f.height / 17))
        let shown = chart.series.count > fitting ? fitting - 1 : chart.series.count
        for i in 0..<shown {
            let y = f.top + 6 + 17 * Double(i)
            out += "<rect x=\"\(n(f.right + 14))\" y=\"\(n(y - 9))\" width=\"11\" height=\"11\" fill=\"\(color(i))\"/>\n"
            out += text(cut(chart.series[i].name, 28), x: f.right + 30, y: y)
        }
        if shown < chart.series.count {
            out += text("\(chart.series.count - shown) more", x: f.right + 30, y: f.top + 6 + 17 * Double(shown), style: "faint")
        }
        return out
    }

    // MARK: Forms

    private func plot(_ chart: Chart) -> String {
        let range = chart.yRange
        let marks = chart.isLogarithmic ? ChartScale.powers(range) : ChartScale.numbers(range, count: 6)
        let f = frame(chart, left: 30 + (marks.map { room($0.label) }.max() ?? 10) + (chart.yTitle.isEmpty ? 0 : 14))
        var out = ""
        func y(_ v: Double) -> Double { f.bottom - chart.share(v, range) * f.height }
        for m in marks {
            out += line(f.left, y(m.value), f.right, y(m.value), "grid")
            out += text(m.label, x: f.left - 8, y: y(m.value) + 4, anchor: "end", style: "faint")
        }
        if !chart.yTitle.isEmpty {
            out += text(chart.yTitle, x: 16, y: (f.top + f.bottom) / 2, anchor: "middle", style: "faint", turn: -90)
        }
        out += text(chart.xTitle, x: (f.left + f.right) / 2, y: f.bottom + 38, anchor: "middle", style: "faint")
        out += chart.axis == .categories ? categories(chart, f, y) : continuous(chart, f, y)
        let zero = range.contains(0) && !chart.isLogarithmic ? y(0) : f.bottom
        return out + line(f.left, zero, f.right, zero, "axis") + legend(chart, f)
    }

    private func continuous(_ chart: Chart, _ f: Frame, _ y: (Double) -> Double) -> String {
        let xs = chart.xRange
        func x(_ v: Double) -> Double { f.left + (v - xs.lowerBound) / (xs.upperBound - xs.lowerBound) * f.width }
        var out = ""
        let count = max(2, Int(f.width / 110))
        for m in chart.axis == .time ? ChartScale.times(xs, count: count) : ChartScale.numbers(xs, count: count) {
            out += line(x(m.value), f.bottom, x(m.value), f.bottom + 5, "axis")
            out += text(m.label, x: x(m.value), y: f.bottom + 19, anchor: "middle", style: "faint")
        }
        if chart.stacking != .none, chart.form == .area { return out + stackedAreas(chart, x, y) }
        for (i, s) in chart.series.enumerated() where !s.points.isEmpty {
            if chart.form == .scatter {
                for p in s.points { out += dot(x(p.x), y(p.y), 3, color(i), "\(s.name): \(ChartScale.label(p.y))") }
                continue
            }
            let path = s.points.enumerated().map { "\($0.offset == 0 ? "M" : "L")\(n(x($0.element.x))) \(n(y($0.element.y)))" }.joined()
            if chart.form == .area, let first = s.points.first, let last = s.points.last {
                out +=
                    "<path d=\"\(path)L\(n(x(last.x))) \(n(y(0)))L\(n(x(first.x))) \(n(y(0)))Z\" fill=\"\(color(i))\" fill-opacity=\"0.25\"/>\n"
            }
            out +=
                "<path d=\"\(path)\" fill=\"none\" stroke=\"\(color(i))\" stroke-width=\"2\" stroke-linejoin=\"round\"><title>\(SVGChart.escaped(s.name))</title></path>\n"
            // Few points, or one alone, are seen as such.
            if s.points.count <= 60 {
                for p in s.points { out += dot(x(p.x), y(p.y), 2.5, color(i), "\(s.name): \(ChartScale.label(p.y))") }
            }
            for p in s.points where p.isAnomaly { out += dot(x(p.x), y(p.y), 5, "#c00", "anomaly: \(ChartScale.label(p.y))") }
        }
        return out
    }

    private func stackedAreas(_ chart: Chart, _ x: (Double) -> Double, _ y: (Double) -> Double) -> String {
        let stacks = chart.stacks
        var out = ""
        for i in chart.series.indices {
            // Where a series has no value it is as high as what is below it.
            var tops: [(Double, Double, Double)] = []
            for s in stacks {
                let below = s.parts.last { $0.series < i }?.to ?? 0
                let own = s.parts.first { $0.series == i }
                tops.append((s.x, own?.from ?? below, own?.to ?? below))
            }
            let up = tops.enumerated().map { "\($0.offset == 0 ? "M" : "L")\(n(x($0.element.0))) \(n(y($0.element.2)))" }.joined()
            let down = tops.reversed().map { "L\(n(x($0.0))) \(n(y($0.1)))" }.joined()
            out +=
                "<path d=\"\(up)\(down)Z\" fill=\"\(color(i))\" fill-opacity=\"0.8\"><title>\(SVGChart.escaped(chart.series[i].name))</title></path>\n"
        }
        return out
    }

    private func dot(_ x: Double, _ y: Double, _ r: Double, _ color: String, _ tip: String) -> String {
        "<circle cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"\(n(r))\" fill=\"\(color)\"><title>\(SVGChart.escaped(tip))</title></circle>\n"
    }

    private func categories(_ chart: Chart, _ f: Frame, _ y: (Double) -> Double) -> String {
        let each = f.width / Double(max(1, chart.categories.count))
        var out = ""
        let slanted = (chart.categories.map { room(cut($0, 18)) }.max() ?? 0) > each
        // Labels that would overlap are thinned out; every bar has its own on pointing.
        let every = max(1, Int((13 / each).rounded(.up)))
        for (i, c) in chart.categories.enumerated() where i % every == 0 {
            let x = f.left + each * (Double(i) + 0.5)
            out +=
                slanted
                ? text(cut(c, 18), x: x + 3, y: f.bottom + 14, size: 10, anchor: "end", style: "faint", turn: -28)
                : text(cut(c, 18), x: x, y: f.bottom + 17, anchor: "middle", style: "faint")
        }
        let isLine = chart.form == .line || chart.form == .area || chart.form == .scatter
        if chart.stacking != .none, !isLine {
            for s in chart.stacks {
                for p in s.parts {
                    let (a, b) = (y(p.from), y(p.to))
                    out += rect(
                        f.left + each * s.x + each * 0.12, min(a, b), each * 0.76, abs(a - b), p.series,
                        "\(chart.label(s.x)), \(chart.series[p.series].name): \(ChartScale.label(p.to - p.from))")
                }
            }
            return out
        }
        let part = each * 0.8 / Double(max(1, chart.series.count))
        for (i, s) in chart.series.enumerated() {
            if isLine {
                let at = s.points.map { (f.left + each * ($0.x + 0.5), y($0.y)) }
                if chart.form != .scatter {
                    let path = at.enumerated().map { "\($0.offset == 0 ? "M" : "L")\(n($0.element.0)) \(n($0.element.1))" }.joined()
                    out += "<path d=\"\(path)\" fill=\"none\" stroke=\"\(color(i))\" stroke-width=\"2\"/>\n"
                }
                for (p, place) in zip(s.points, at) { out += dot(place.0, place.1, 3, color(i), "\(s.name): \(ChartScale.label(p.y))") }
                continue
            }
            for p in s.points where chart.categories.indices.contains(SVGChart.index(p.x)) {
                let (a, b) = (y(max(0, chart.yRange.lowerBound)), y(p.y))
                out += rect(
                    f.left + each * p.x + each * 0.1 + part * Double(i), min(a, b), max(0.5, part - 1), abs(a - b), i,
                    "\(chart.categories[SVGChart.index(p.x)]), \(s.name): \(ChartScale.label(p.y))")
            }
        }
        return out
    }

    private func bars(_ chart: Chart) -> String {
        let longest = chart.categories.map { room(cut($0, 32)) }.max() ?? 0
        let f = frame(chart, left: min(24 + longest, width * 0.4))
        let range = chart.yRange
        func x(_ v: Double) -> Double { f.left + chart.share(v, range) * f.width }
        let marks = chart.isLogarithmic ? ChartScale.powers(range) : ChartScale.numbers(range, count: max(2, Int(f.width / 110)))
        var out = ""
        for m in marks {
            out += line(x(m.value), f.top, x(m.value), f.bottom, "grid")
            out += text(m.label, x: x(m.value), y: f.bottom + 16, anchor: "middle", style: "faint")
        }
        out += text(chart.yTitle, x: (f.left + f.right) / 2, y: f.bottom + 36, anchor: "middle", style: "faint")
        let each = f.height / Double(max(1, chart.categories.count))
        let every = max(1, Int((12 / each).rounded(.up)))
        for (i, c) in chart.categories.enumerated() where i % every == 0 {
            out += text(
                cut(c, 32), x: f.left - 8, y: f.top + each * (Double(i) + 0.5) + 4, size: min(12, max(8, each)), anchor: "end",
                style: "faint")
        }
        if chart.stacking != .none {
            for s in chart.stacks {
                for p in s.parts {
                    let (a, b) = (x(min(p.from, p.to)), x(max(p.from, p.to)))
                    out += rect(
                        a, f.top + each * s.x + each * 0.12, b - a, each * 0.76, p.series,
                        "\(chart.label(s.x)), \(chart.series[p.series].name): \(ChartScale.label(p.to - p.from))")
                }
            }
        } else {
            let part = each * 0.8 / Double(max(1, chart.series.count))
            for (i, s) in chart.series.enumerated() {
                for p in s.points where chart.categories.indices.contains(SVGChart.index(p.x)) {
                    let (a, b) = (x(max(0, range.lowerBound)), x(p.y))
                    out += rect(
                        min(a, b), f.top + each * p.x + each * 0.1 + part * Double(i), abs(a - b), max(0.5, part - 1), i,
                        "\(chart.categories[SVGChart.index(p.x)]), \(s.name): \(ChartScale.label(p.y))")
                }
            }
        }
        return out + line(f.left, f.top, f.left, f.bottom, "axis") + legend(chart, f)
    }

    private func pie(_ chart: Chart) -> String {
        let values = chart.series.first?.points.map(\.y) ?? []
        let total = values.reduce(0, +)
        guard total > 0 else { return "" }
        let top = chart.title.isEmpty ? 16.0 : 44
        let radius = (height - top - 20) / 2
        let (cx, cy) = (24 + radius, top + radius)
        var out = ""
        var turn = 0.0
        for (i, v) in values.enumerated() {
            let share = v / total
            let tip = "\(chart.categories[i]): \(ChartScale.label(v)) (\(ChartScale.fixed(share * 100, 1)) %)"
            if share > 0.99999 {
                out += dot(cx, cy, radius, color(i), tip)
            } else {
                let a = Chart.onCircle(turn, radius: radius)
                let b = Chart.onCircle(turn + share, radius: radius)
                out +=
                    "<path d=\"M\(n(cx)) \(n(cy))L\(n(cx + a.x)) \(n(cy + a.y))A\(n(radius)) \(n(radius)) 0 \(share > 0.5 ? 1 : 0) 1 \(n(cx + b.x)) \(n(cy + b.y))Z\" fill=\"\(color(i))\" stroke=\"#fff\" stroke-width=\"1\"><title>\(SVGChart.escaped(tip))</title></path>\n"
            }
            turn += share
            let y = top + 14 + 22 * Double(i)
            out += "<rect x=\"\(n(cx + radius + 36))\" y=\"\(n(y - 10))\" width=\"12\" height=\"12\" fill=\"\(color(i))\"/>\n"
            out += text(
                "\(cut(chart.categories[i], 40))  \(ChartScale.fixed(share * 100, 1)) %  (\(ChartScale.label(v)))", x: cx + radius + 56,
                y: y)
        }
        return out
    }

    private func cards(_ chart: Chart) -> String {
        let each = (width - 32) / Double(max(1, chart.series.count))
        return zip(chart.series, chart.categories).enumerated().map { i, pair in
            text(pair.0.name, x: 24 + each * Double(i), y: height / 2 - 24, size: 14, style: "faint")
                + text(cut(pair.1, 24), x: 24 + each * Double(i), y: height / 2 + 16, size: 34, weight: "600")
        }.joined()
    }
}
