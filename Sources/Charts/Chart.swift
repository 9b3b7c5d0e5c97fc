import Columnar
import KQL

/// A result as a drawing: what is shown, not how. The same chart is drawn in a terminal (``TerminalChart``) or as SVG (``SVGChart``).
///
/// Which columns become axis, values and series follows Kusto's `render` operator: the x axis is the first column that fits the form
/// (a datetime for `timechart`), values are the numbers behind it, series are named by text columns and by the names of several values.
/// Arrays as `make-series` gives them are taken apart, one series a row.
public struct Chart: Sendable {
    public enum Form: String, Sendable {
        /// Lines over a scale.
        case line
        case area
        /// Horizontal bars of categories.
        case bar
        /// Vertical bars.
        case column
        case pie
        case scatter
        /// Figures alone.
        case card
    }

    public enum Axis: Sendable, Equatable {
        /// `Point.x` is a position in `categories`.
        case categories
        case number
        /// `Point.x` is in ticks of 100 ns.
        case time
    }

    public struct Point: Sendable, Equatable {
        public var x: Double
        public var y: Double
        public var isAnomaly = false
    }

    public struct Series: Sendable, Equatable {
        public var name: String
        /// Ascending by x; nulls are left out.
        public var points: [Point]
    }

    public enum Stacking: Sendable { case none, stacked, percent }

    public var form: Form
    public var axis: Axis
    public var title: String
    public var xTitle: String
    public var yTitle: String
    public var categories: [String]
    public var series: [Series]
    public var stacking: Stacking
    public var yMin: Double?
    public var yMax: Double?
    public var isLogarithmic: Bool
    public var showsLegend: Bool
    /// What is not drawn, in words; empty if all is.
    public var notes: [String] = []

    /// Series that are drawn; more make no readable picture. What is left out is said in ``notes``.
    public static let mostSeries = 40
    /// Categories that are drawn.
    public static let mostCategories = 200
    /// Slices of a pie; the smallest make one together.
    public static let mostSlices = 12

    /// Least and greatest value that the y axis spans.
    public var yRange: ClosedRange<Double> {
        var low = Double.infinity
        var high = -Double.infinity
        if stacking == .none {
            for s in series { for p in s.points { (low, high) = (min(low, p.y), max(high, p.y)) } }
        } else {
            for (_, parts) in stacks { for p in parts { (low, high) = (min(low, p.from, p.to), max(high, p.from, p.to)) } }
        }
        if !low.isFinite || !high.isFinite { (low, high) = (0, 1) }
        // Lengths and surfaces begin at zero; lines need not, but only leave it if it is far away.
        if !isLogarithmic, form != .scatter, low > 0, form != .line || low < 0.5 * high { low = 0 }
        if !isLogarithmic, form != .scatter, high < 0 { high = 0 }
        if let yMin { low = yMin }
        if let yMax { high = yMax }
        if low == high { (low, high) = low == 0 ? (0, 1) : (min(low, 0), max(high, 0)) }
        return low < high ? low...high : high...low
    }

    /// Least and greatest x.
    public var xRange: ClosedRange<Double> {
        if axis == .categories { return 0...Double(max(1, categories.count - 1)) }
        let all = series.flatMap { $0.points.map(\.x) }
        guard let low = all.min(), let high = all.max() else { return 0...1 }
        return low < high ? low...high : low - 1...high + 1
    }

    public struct Part: Sendable {
        public let series: Int
        public let from: Double
        public let to: Double
    }

    /// The category at a position; empty if there is none.
    func label(_ x: Double) -> String {
        let i = SVGChart.index(x)
        return categories.indices.contains(i) ? categories[i] : ""
    }

    /// The stacked parts at each x, negative values below zero.
    public var stacks: [(x: Double, parts: [Part])] {
        var byX: [Double: [(Int, Double)]] = [:]
        for (i, s) in series.enumerated() { for p in s.points { byX[p.x, default: []].append((i, p.y)) } }
        return byX.keys.sorted().map { x in
            let values = byX[x] ?? []
            let total = values.reduce(0) { $0 + abs($1.1) }
            var (up, down) = (0.0, 0.0)
            var parts: [Part] = []
            for (i, y) in values {
                let v = stacking == .percent ? (total > 0 ? 100 * abs(y) / total : 0) : y
                if v >= 0 {
                    parts.append(Part(series: i, from: up, to: up + v))
                    up += v
                } else {
                    parts.append(Part(series: i, from: down, to: down + v))
                    down += v
                }
            }
            return (x, parts)
        }
    }
}

/// Why a result cannot be drawn.
public struct ChartProblem: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
