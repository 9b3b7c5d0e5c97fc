import Columnar
import KQL

// Periods, decomposition and anomalies of series.

private func points(_ a: [Value], _ i: Int) -> [Double?]? { array(a, i)?.map(seriesNumber) }

/// An optional argument; nil where it is not given or null.
private func given(_ a: [Value], _ i: Int) -> Value? { i < a.count && !a[i].isNull ? a[i] : nil }

/// The settings that the functions of decomposition share.
private struct DecompositionSettings {
    var seasonality: Int64 = -1
    var trend = SeriesDecomposition.Trend.average
    var testPoints = 0
    var threshold = 0.6

    /// Positions of the arguments; nil where a function has none.
    init(_ a: [Value], seasonality s: Int, trend t: Int, testPoints p: Int, threshold h: Int) throws {
        if let v = given(a, s)?.integer { seasonality = v }
        guard seasonality >= -1 else { throw EvaluationError("the seasonality of a series must be -1, 0 or a period, not \(seasonality)") }
        if given(a, t) != nil, !text(a, t).isEmpty {
            guard let kind = SeriesDecomposition.Trend(rawValue: text(a, t)) else {
                throw EvaluationError("the trend of a series must be avg, linefit or none, not \(text(a, t))")
            }
            trend = kind
        }
        if let v = given(a, p)?.integer {
            guard v >= 0 else { throw EvaluationError("the number of test points of a series must not be negative") }
            testPoints = Int(clamping: v)
        }
        if given(a, h) != nil { threshold = real(a, h) }
    }

    func decompose(_ x: [Double?]) -> SeriesDecomposition {
        var period = Int(clamping: seasonality)
        if period < 0 {
            let learned = Array(x.prefix(max(0, x.count - testPoints)))
            // Without its trend: the documentation shows periods found in a series that rises by more than they vary.
            let best = SeriesPeriods(learned, detrended: true).detect(0...Double.infinity).first
            period = best.flatMap { $0.score >= threshold ? $0.period : nil } ?? 0
        }
        return SeriesDecomposition(x, period: period, trend: trend, testPoints: testPoints)
    }
}

private func residual(_ x: [Double?], _ baseline: [Double]) -> [Double?] { zip(x, baseline).map { v, b in v.map { $0 - b } } }

private func dynamics(_ numbers: [Double?]) -> Dynamic { .array(numbers.map { $0.map(Dynamic.real) ?? .null }) }

private func outlierTest(_ kind: String) throws -> OutlierScores {
    switch kind {
    case "", "ctukey": return .custom
    case "tukey": return .standard
    default: throw EvaluationError("the test for outliers must be ctukey or tukey, not \(kind)")
    }
}

private func outliers(_ a: [Value]) throws -> Value {
    guard var x = points(a, 0) else { return .null(.dynamic) }
    var test = try outlierTest(given(a, 1) == nil ? "" : text(a, 1))
    if given(a, 2) != nil {
        let ignored = real(a, 2)
        x = x.map { $0 == ignored ? nil : $0 }
    }
    if test.low == OutlierScores.custom.low, given(a, 3) != nil || given(a, 4) != nil {
        let low = given(a, 3) != nil ? real(a, 3) : test.low, high = given(a, 4) != nil ? real(a, 4) : test.high
        guard low >= 2, high <= 98, low < high else {
            throw EvaluationError("the percentiles of series_outliers must rise and lie between 2 and 98")
        }
        test = OutlierScores(low: low, high: high)
    }
    return .dynamic(seriesValue(test.scores(x)))
}

private func anomalies(_ a: [Value]) throws -> Value {
    guard let x = points(a, 0) else { return .null(.dynamic) }
    let threshold = given(a, 1) == nil ? 1.5 : real(a, 1)
    let baseline = try DecompositionSettings(a, seasonality: 2, trend: 3, testPoints: 4, threshold: 6).decompose(x).baseline
    let scores = try outlierTest(given(a, 5) == nil ? "" : text(a, 5)).scores(residual(x, baseline))
    let flags = scores.map { Dynamic.long($0 > threshold ? 1 : ($0 < -threshold ? -1 : 0)) }
    return .dynamic(.array([.array(flags), seriesValue(scores), seriesValue(baseline)]))
}

private let periodNames = [SchemaColumn("periods", .dynamic), SchemaColumn("scores", .dynamic)]

extension Functions {
    /// Periods, decomposition and anomalies.
    static let seriesPatterns: [ScalarFunction] = [
        ScalarFunction(
            "series_outliers",
            "series:dynamic kind:string? ignore:numeric? min_percentile:numeric? max_percentile:numeric?", .type(.dynamic),
            "How far each point lies outside the percentiles of the series (Tukey's test); beyond 1.5 it is an anomaly.",
            "series_outliers(dynamic([1,2,1,2,1,2,30]))", .lenient { a in try outliers(a) }),
        ScalarFunction(
            "series_periods_detect", "series:dynamic min_period:numeric max_period:numeric num_periods:integer", .type(.dynamic),
            tuple: periodNames, "The most significant periods of a series, with scores between 0 and 1.",
            "series_periods_detect(dynamic([1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1,0,0,0,0]), 4.0, 9.0, 1)[0] == 5.0",
            .lenient { a in
                guard let x = points(a, 0), !a[1].isNull, !a[2].isNull else { return .null(.dynamic) }
                let low = real(a, 1), high = real(a, 2), count = long(a, 3)
                guard low <= high, count >= 0, count <= 10_000 else {
                    throw EvaluationError("series_periods_detect needs rising periods and a count from 0 to 10000")
                }
                var found = SeriesPeriods(x).detect(low...high).prefix(Int(count)).map { (period: Double($0.period), score: $0.score) }
                while found.count < Int(count) { found.append((period: 0, score: 0)) }
                return .dynamic(.array([seriesValue(found.map(\.period)), seriesValue(found.map(\.score))]))
            }),
        ScalarFunction(
            "series_periods_validate", "series:dynamic period:numeric ...", .type(.dynamic), tuple: periodNames,
            "Whether a series has certain periods: a score between 0 and 1 for each.",
            "series_periods_validate(dynamic([1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1,0,0,0,0]), 5.0)[0] == 5.0",
            .lenient { a in
                guard let x = points(a, 0) else { return .null(.dynamic) }
                guard a.count <= 17 else { throw EvaluationError("series_periods_validate takes up to 16 periods") }
                let asked = a.indices.dropFirst().map { real(a, $0) }
                let periods = SeriesPeriods(x)
                let scores = asked.map { p in Int(exactly: p.rounded()).map { periods.score($0) } ?? 0 }
                return .dynamic(.array([seriesValue(asked), seriesValue(scores)]))
            }),
        ScalarFunction(
            "series_seasonal", "series:dynamic period:integer?", .type(.dynamic),
            "The periodic part of a series: the median of all points of one phase; zeros where no period is found.",
            "series_seasonal(dynamic([1,3,5,2,4,6]), 3)[0] == 1.5",
            .lenient { a in
                guard let x = points(a, 0) else { return .null(.dynamic) }
                var period = Int(clamping: given(a, 1)?.integer ?? -1)
                if period == -1 {
                    let best = SeriesPeriods(x).detect(0...Double.infinity).first
                    period = best.flatMap { $0.score >= 0.7 ? $0.period : nil } ?? 0
                }
                return .dynamic(seriesValue(SeriesDecomposition.seasonal(x, period: period, count: x.count)))
            }),
        ScalarFunction(
            "series_decompose", "series:dynamic seasonality:integer? trend:string? test_points:integer? threshold:numeric?",
            .type(.dynamic), tuple: ["baseline", "seasonal", "trend", "residual"].map { SchemaColumn($0, .dynamic) },
            "A series taken apart into a periodic part, a trend and the rest.", "series_decompose(dynamic([1,2,1,2]), 2)[0] == 1.0",
            .lenient { a in
                guard let x = points(a, 0) else { return .null(.dynamic) }
                let d = try DecompositionSettings(a, seasonality: 1, trend: 2, testPoints: 3, threshold: 4).decompose(x)
                return .dynamic(
                    .array([
                        seriesValue(d.baseline), seriesValue(d.seasonal), seriesValue(d.trend), dynamics(residual(x, d.baseline)),
                    ]))
            }),
        ScalarFunction(
            "series_decompose_anomalies",
            "series:dynamic threshold:numeric? seasonality:integer? trend:string? test_points:integer? method:string? "
                + "seasonality_threshold:numeric?",
            .type(.dynamic), tuple: ["ad_flag", "ad_score", "baseline"].map { SchemaColumn($0, .dynamic) },
            "Points that a decomposition does not explain: 1 above, -1 below the expectation, with scores and the expectation.",
            "series_decompose_anomalies(dynamic([1,2,1,2,1,2,30]))[6] == 1", .lenient { a in try anomalies(a) }),
        ScalarFunction(
            "series_decompose_forecast",
            "series:dynamic points:integer seasonality:integer? trend:string? seasonality_threshold:numeric?", .type(.dynamic),
            "A series whose last points are predicted from those before them.",
            "series_decompose_forecast(dynamic([1,2,3,0]), 1, 0, \"linefit\")[3] == 4.0",
            .lenient { a in
                guard let x = points(a, 0), !a[1].isNull else { return .null(.dynamic) }
                let d = try DecompositionSettings(a, seasonality: 2, trend: 3, testPoints: 1, threshold: 4).decompose(x)
                return .dynamic(seriesValue(d.baseline))
            }),
    ]
}
