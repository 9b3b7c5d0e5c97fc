import Columnar
import KQL

// Functions that describe a series: statistics, lines, periods, decomposition. Those with several results give them as a tuple; the forms
// that end in `_dynamic` give them as a property bag.

private func tuple(_ items: [Dynamic]) -> Value { .dynamic(.array(items)) }

private func bag(_ names: [SchemaColumn], _ items: [Dynamic]) -> Dynamic {
    .object(zip(names, items).map { Dynamic.Member($0.name, $1) })
}

private func columns(_ type: ScalarType, _ names: String...) -> [SchemaColumn] { names.map { SchemaColumn($0, type) } }

private let statNames: [SchemaColumn] = [
    SchemaColumn("min", .real), SchemaColumn("min_idx", .long), SchemaColumn("max", .real), SchemaColumn("max_idx", .long),
    SchemaColumn("avg", .real), SchemaColumn("stdev", .real), SchemaColumn("variance", .real),
]

/// The statistics of ``statNames``, then sum and length; nil if a point is no finite number and such are not passed over.
private func statistics(_ a: [Value]) -> [Dynamic]? {
    guard let items = array(a, 0) else { return nil }
    var ignores = false
    if a.count > 1, case .bool(let b) = unwrapped(a[1]) { ignores = b }
    var points: [(index: Int, value: Double)] = []
    for (i, d) in items.enumerated() {
        if let v = seriesNumber(d), v.isFinite {
            points.append((i, v))
        } else if !ignores {
            return nil
        }
    }
    guard var least = points.first, var most = points.first else { return nil }
    var sum = 0.0
    for p in points {
        if p.value < least.value { least = p }
        if p.value > most.value { most = p }
        sum += p.value
    }
    let n = Double(points.count), mean = sum / n
    let squares = points.reduce(0) { $0 + ($1.value - mean) * ($1.value - mean) }
    let variance = points.count > 1 ? squares / (n - 1) : 0
    return [
        .real(least.value), .long(Int64(least.index)), .real(most.value), .long(Int64(most.index)), .real(mean),
        .real(variance.squareRoot()), .real(variance), .real(sum), .long(Int64(points.count)),
    ]
}

private let lineNames: [SchemaColumn] =
    columns(.real, "rsquare", "slope", "variance", "rvariance", "interception") + columns(.dynamic, "line_fit")

private func line(_ a: [Value]) -> [Dynamic]? {
    guard let y = seriesNumbers(a, 0), let f = LineFit(y) else { return nil }
    return [
        .real(f.rSquare), .real(f.slope), .real(f.variance), .real(f.residualVariance), .real(f.interception),
        seriesValue(f.values(y.count)),
    ]
}

private let partNames: [SchemaColumn] = columns(.real, "rsquare", "slope", "interception", "variance", "rvariance")

private let twoLineNames: [SchemaColumn] =
    [
        SchemaColumn("rsquare", .real), SchemaColumn("split_idx", .long), SchemaColumn("variance", .real),
        SchemaColumn("rvariance", .real), SchemaColumn("line_fit", .dynamic),
    ] + partNames.map { SchemaColumn("right_" + $0.name, $0.type) } + partNames.map { SchemaColumn("left_" + $0.name, $0.type) }

private func part(_ f: LineFit) -> [Dynamic] {
    [.real(f.rSquare), .real(f.slope), .real(f.interception), .real(f.variance), .real(f.residualVariance)]
}

/// The results of ``twoLineNames`` up to the line, then those of the right and of the left part.
private func twoLines(_ a: [Value]) -> (whole: [Dynamic], right: [Dynamic], left: [Dynamic])? {
    guard let y = seriesNumbers(a, 0), let f = TwoLineFit(y) else { return nil }
    return (
        [.real(f.rSquare), .long(Int64(f.split)), .real(f.variance), .real(f.residualVariance), seriesValue(f.values(y.count))],
        part(f.right), part(f.left)
    )
}

private let polynomialNames: [SchemaColumn] = [
    SchemaColumn("rsquare", .real), SchemaColumn("coefficients", .dynamic), SchemaColumn("variance", .real),
    SchemaColumn("rvariance", .real), SchemaColumn("poly_fit", .dynamic),
]

private func polynomial(_ a: [Value]) -> [Dynamic]? {
    guard let y = seriesNumbers(a, 0) else { return nil }
    let x: [Double]
    if a.count > 1, !a[1].isNull {
        guard let given = seriesNumbers(a, 1), given.count == y.count else { return nil }
        x = given
    } else {
        x = y.indices.map { Double($0 + 1) }
    }
    guard let f = PolynomialFit(x: x, y: y, degree: Int(clamping: long(a, 2, default: 1))) else { return nil }
    return [.real(f.rSquare), seriesValue(f.coefficients), .real(f.variance), .real(f.residualVariance), seriesValue(f.values)]
}

extension Functions {
    /// Statistics and fitted lines.
    static let seriesFits: [ScalarFunction] = [
        ScalarFunction(
            "series_stats", "series:dynamic ignore_nonfinite:bool?", .type(.dynamic), tuple: statNames,
            "Minimum, maximum and their positions, average, sample standard deviation and variance, as columns.",
            "series_stats(dynamic([1,2,3])) == 1.0",
            .lenient { a in statistics(a).map { tuple(Array($0.prefix(statNames.count))) } ?? .null(.dynamic) }),
        ScalarFunction(
            "series_stats_dynamic", "series:dynamic ignore_nonfinite:bool?", .type(.dynamic),
            "The statistics of series_stats with sum and len, as a property bag.", "series_stats_dynamic(dynamic([1,2,3])).avg == 2.0",
            .lenient { a in
                guard let s = statistics(a) else { return .null(.dynamic) }
                return .dynamic(bag(statNames + columns(.real, "sum", "len"), s))
            }),
        ScalarFunction(
            "series_fit_line", "series:dynamic", .type(.dynamic), tuple: lineNames,
            "The line of least squares through a series: how well it fits, slope, variances, interception and its points.",
            "series_fit_line(dynamic([1,2,3])) == 1.0", .lenient { a in line(a).map(tuple) ?? .null(.dynamic) }),
        ScalarFunction(
            "series_fit_line_dynamic", "series:dynamic", .type(.dynamic), "The results of series_fit_line as a property bag.",
            "series_fit_line_dynamic(dynamic([1,2,3])).slope == 1.0",
            .lenient { a in line(a).map { .dynamic(bag(lineNames, $0)) } ?? .null(.dynamic) }),
        ScalarFunction(
            "series_fit_poly", "y_series:dynamic x_series:dynamic? degree:integer?", .type(.dynamic), tuple: polynomialNames,
            "The polynomial of least squares through a series: how well it fits, its coefficients from the highest power down, variances and points.",
            "round(series_fit_poly(dynamic([1,4,9,16]), dynamic([1,2,3,4]), 2), 6) == 1.0",
            .lenient { a in polynomial(a).map(tuple) ?? .null(.dynamic) }),
        ScalarFunction(
            "series_fit_2lines", "series:dynamic", .type(.dynamic), tuple: twoLineNames,
            "Two lines through the parts of a series, split where they fit best.", "series_fit_2lines(dynamic([1,2,3,2,1])) == 1.0",
            .lenient { a in twoLines(a).map { tuple($0.whole + $0.right + $0.left) } ?? .null(.dynamic) }),
        ScalarFunction(
            "series_fit_2lines_dynamic", "series:dynamic", .type(.dynamic),
            "The results of series_fit_2lines as a property bag, with bags for the right and the left part.",
            "series_fit_2lines_dynamic(dynamic([1,2,3,2,1])).right.slope == -1.0",
            .lenient { a in
                guard let f = twoLines(a) else { return .null(.dynamic) }
                let names = Array(twoLineNames.prefix(f.whole.count)) + columns(.dynamic, "right", "left")
                return .dynamic(bag(names, f.whole + [bag(partNames, f.right), bag(partNames, f.left)]))
            }),
    ]
}
