import Glibc

/// Periods of a series: candidates from its spectrum, judged by its autocorrelation.
///
/// Kusto does not publish its method; this one gives the results of its documentation. A period stands where the autocorrelation has a
/// peak, and scores as much as it correlates after one period and after two.
struct SeriesPeriods {
    /// The least period that is looked for.
    static let least = 4

    private let count: Int
    /// Autocorrelation by lag, each divided by the number of its products; up to lag n - 1. Empty for a constant series.
    private let correlation: [Double]
    private let centred: [Double]

    /// Missing points count as the mean. `detrended`: what a straight line leaves of the points.
    init(_ points: [Double?], detrended: Bool = false) {
        let known = points.compactMap { $0 }
        count = points.count
        guard let low = known.min(), let high = known.max(), low < high, (high - low).isFinite else {
            centred = []
            correlation = []
            return
        }
        let mean = known.reduce(0, +) / Double(known.count)
        // Scaled, so that squares of large numbers stay finite.
        var d = points.map { (($0 ?? mean) - mean) / (high - low) }
        if detrended, let line = LineFit(d) { d = zip(d, line.values(d.count)).map { $0 - $1 } }
        // What is left of a straight line is rounding.
        guard d.contains(where: { $0.magnitude > 1e-9 }) else {
            centred = []
            correlation = []
            return
        }
        centred = d
        var size = 2
        while size < 2 * d.count { size *= 2 }
        let padding = [Double](repeating: 0, count: size - d.count)
        var f = FourierTransform(real: d + padding, imaginary: [Double](repeating: 0, count: size))
        f.transform()
        var power = FourierTransform(
            real: zip(f.real, f.imaginary).map { $0 * $0 + $1 * $1 }, imaginary: [Double](repeating: 0, count: size))
        power.invert()
        let n = Double(d.count), whole = power.real[0]
        correlation = (0..<d.count).map { power.real[$0] / whole * n / (n - Double($0)) }
    }

    /// 0 (none) to 1; 0 outside 4 ... n / 2, and where the autocorrelation has no peak.
    func score(_ period: Int) -> Double {
        guard period >= SeriesPeriods.least, period <= (correlation.count - 1) / 2, isPeak(period) else { return 0 }
        return min(1, max(0, min(correlation[period], correlation[2 * period])))
    }

    private func isPeak(_ lag: Int) -> Bool {
        let tolerance = 1e-9
        return correlation[lag] >= correlation[lag - 1] - tolerance && correlation[lag] >= correlation[lag + 1] - tolerance
    }

    /// Periods with their scores, best first.
    func detect(_ range: ClosedRange<Double>) -> [(period: Int, score: Double)] {
        guard correlation.count > 2 * SeriesPeriods.least else { return [] }
        var f = FourierTransform(real: centred, imaginary: [Double](repeating: 0, count: count))
        f.transform()
        let n = Double(count)
        let power = (0...(count / 2)).map { f.real[$0] * f.real[$0] + f.imaginary[$0] * f.imaginary[$0] }
        let mean = power.dropFirst().reduce(0, +) / Double(power.count - 1)
        var found: [Int: Double] = [:]
        // A frequency well above the average names a narrow range of periods; the autocorrelation tells which it is.
        for k in power.indices where k > 0 && power[k] > 2 * mean {
            let f = Double(k)
            let low = max(SeriesPeriods.least, Int((n / (f + 1) + n / f) / 2 - 1))
            let high = min((count - 1) / 2, Int((k > 1 ? (n / f + n / (f - 1)) / 2 + 1 : n).rounded(.up)))
            guard low <= high, let best = (low...high).max(by: { correlation[$0] < correlation[$1] - 1e-9 }) else { continue }
            let score = score(best)
            if score > 0, range.contains(Double(best)) { found[best] = score }
        }
        return found.map { (period: $0.key, score: $0.value) }.sorted { a, b in
            a.score == b.score ? a.period < b.period : a.score > b.score
        }
    }
}

/// A series taken apart into a periodic part, a trend and the rest.
struct SeriesDecomposition {
    enum Trend: String { case average = "avg", line = "linefit", none = "none" }

    private(set) var seasonal: [Double]
    private(set) var trend: [Double]

    /// `period` 0: no seasonal part. The last `testPoints` points are predicted, not learned from.
    init(_ points: [Double?], period: Int, trend kind: Trend, testPoints: Int) {
        let n = points.count
        let learned = points.prefix(max(0, n - max(0, testPoints)))
        seasonal = SeriesDecomposition.seasonal(Array(learned), period: period, count: n)
        let rest = zip(learned, seasonal).map { x, s in x.map { $0 - s } }
        let known = rest.compactMap { $0 }
        switch kind {
        case .none: trend = [Double](repeating: 0, count: n)
        case .average:
            trend = [Double](repeating: known.isEmpty ? 0 : known.reduce(0, +) / Double(known.count), count: n)
        case .line:
            // A gap takes the value of the point before it.
            var last = known.first ?? 0
            let filled = rest.map { v -> Double in
                last = v ?? last
                return last
            }
            trend = LineFit(filled)?.values(n) ?? [Double](repeating: last, count: n)
        }
    }

    var baseline: [Double] { zip(seasonal, trend).map { $0 + $1 } }

    /// The median of the points of one phase, for every point.
    static func seasonal(_ points: [Double?], period: Int, count: Int) -> [Double] {
        guard period > 0 else { return [Double](repeating: 0, count: count) }
        // A period longer than the series is no longer than it.
        let period = max(1, min(period, count))
        var medians: [Double] = []
        for phase in 0..<period {
            let members = stride(from: phase, to: points.count, by: period).compactMap { points[$0] }.sorted()
            medians.append(percentile(members, 0.5) ?? 0)
        }
        return (0..<count).map { medians[$0 % period] }
    }
}

/// A percentile (0 to 1) of sorted numbers, interpolated between neighbours; nil of none.
func percentile(_ sorted: [Double], _ p: Double) -> Double? {
    guard let last = sorted.last else { return nil }
    let place = p * Double(sorted.count - 1)
    let i = Int(place)
    guard i + 1 < sorted.count else { return last }
    let fraction = place - Double(i)
    return fraction == 0 ? sorted[i] : sorted[i] + (sorted[i + 1] - sorted[i]) * fraction
}

/// Tukey's test between two percentiles.
struct OutlierScores {
    /// As the percentages that queries give.
    let low: Double
    let high: Double

    static let standard = OutlierScores(low: 25, high: 75)
    static let custom = OutlierScores(low: 10, high: 90)

    /// 0 for points between the percentiles; else the distance from the nearer one in units of their range, scaled so that 1.5 means what
    /// it means between the quartiles of a normal distribution. Points that are missing score 0.
    func scores(_ points: [Double?]) -> [Double] {
        let sorted = points.compactMap { $0 }.filter { !$0.isNaN }.sorted()
        guard let bottom = percentile(sorted, low / 100), let top = percentile(sorted, high / 100) else { return points.map { _ in 0 } }
        let (down, up) = scale
        return points.map { p in
            guard let v = p, !v.isNaN else { return 0 }
            if v > top { return (v - top) / (top - bottom) * up }
            if v < bottom { return (v - bottom) / (top - bottom) * down }
            return 0
        }
    }

    private var scale: (down: Double, up: Double) {
        if low == 25, high == 75 { return (1, 1) }
        // Kusto's own factor, as its results show it; a little off what the exact normal distribution gives.
        if low == 10, high == 90 { return (2.772605605507915, 2.772605605507915) }
        let a = OutlierScores.normalQuantile(low / 100), b = OutlierScores.normalQuantile(high / 100)
        let fence = 4 * OutlierScores.normalQuantile(0.75)
        return (1.5 * (b - a) / (fence + a), 1.5 * (b - a) / (fence - b))
    }

    /// By Newton's method, for probabilities from 0.02 to 0.98.
    static func normalQuantile(_ p: Double) -> Double {
        var x = 0.0
        for _ in 0..<60 {
            let step = (0.5 * erfc(-x / 2.0.squareRoot()) - p) / (exp(-x * x / 2) / (2 * .pi).squareRoot())
            x -= step
            if step.magnitude < 1e-15 { break }
        }
        return x
    }
}
