import Columnar
import KQL

// Filling of gaps, filters and transforms.

/// The gaps of a series that are to be filled. Without a placeholder nulls are gaps; with one only its own value is.
private func gaps(_ items: [Dynamic], _ a: [Value], _ at: Int) -> [Bool] {
    let placeholder = dynamic(a, at)
    guard placeholder != .null else { return items.map { $0 == .null } }
    let number = seriesNumber(placeholder)
    return items.map { $0 == placeholder || (number != nil && seriesNumber($0) == number) }
}

private func fill(
    _ name: String, _ parameters: String, _ summary: String, _ example: String,
    _ f: @escaping @Sendable ([Dynamic], [Value]) -> [Dynamic]
) -> ScalarFunction {
    ScalarFunction(
        name, parameters, .type(.dynamic), summary, example,
        .lenient { a in
            guard let items = array(a, 0) else { return .null(.dynamic) }
            return .dynamic(.array(f(items, a)))
        })
}

private func carried(_ items: [Dynamic], _ missing: [Bool], backward: Bool) -> [Dynamic] {
    var out = items
    var last: Dynamic?
    for step in items.indices {
        let i = backward ? items.count - 1 - step : step
        if !missing[i] { last = items[i] } else if let last { out[i] = last }
    }
    return out
}

/// Straight lines between the neighbours of a gap; integer series get the whole part.
private func interpolated(_ items: [Dynamic], _ a: [Value]) -> [Dynamic] {
    let missing = gaps(items, a, 1)
    var fillsEdges = true
    if a.count > 2, case .bool(let b) = unwrapped(a[2]) { fillsEdges = b }
    let known = items.indices.filter { !missing[$0] }
    guard let first = known.first, let last = known.last else {
        let constant = a.count > 3 ? dynamic(a, 3) : .real(0)
        return constant == .null ? items : items.map { _ in constant }
    }
    let isInteger = known.allSatisfy { i in
        switch items[i] {
        case .long, .null: true
        default: false
        }
    }
    var out = items
    if fillsEdges {
        for i in 0..<first { out[i] = items[first] }
        for i in (last + 1)..<max(last + 1, items.count) { out[i] = items[last] }
    }
    for (low, high) in zip(known, known.dropFirst()) where high > low + 1 {
        guard let x = seriesNumber(items[low]), let y = seriesNumber(items[high]) else { continue }
        for i in (low + 1)..<high {
            let v = x + (y - x) * Double(i - low) / Double(high - low)
            out[i] = isInteger ? Int64(exactly: v.rounded(.towardZero)).map(Dynamic.long) ?? .null : .real(v)
        }
    }
    return out
}

/// A filter of finite response: weighted sums of each point and those before it (or around it). Beyond the ends the series is 0.
private func finiteResponse(_ a: [Value]) throws -> Value {
    guard let x = seriesNumbers(a, 0), var weights = seriesNumbers(a, 1), !weights.isEmpty else { return .null(.dynamic) }
    func flag(_ i: Int) -> Bool? { if i < a.count, case .bool(let b) = unwrapped(a[i]) { b } else { nil } }
    let hasNegative = weights.contains { $0 < 0 }
    if flag(2) ?? !hasNegative {
        if hasNegative { return .null(.dynamic) }
        let sum = weights.reduce(0, +)
        weights = weights.map { $0 / sum }
    }
    let shift = flag(3) ?? false ? (weights.count - 1) / 2 : 0
    try checkWork(x.count, weights.count)
    return .dynamic(
        seriesValue(
            x.indices.map { i in
                var sum = 0.0
                for (j, w) in weights.enumerated() {
                    let k = i + shift - j
                    if k >= 0 && k < x.count { sum += w * x[k] }
                }
                return sum
            }))
}

/// y[i] = (sum of b[j] x[i-j] - sum of a[j] y[i-j], j > 0) / a[0]
private func infiniteResponse(_ a: [Value]) throws -> Value {
    guard let x = seriesNumbers(a, 0), let numerators = seriesNumbers(a, 1), let denominators = seriesNumbers(a, 2),
        let lead = denominators.first, lead != 0
    else { return .null(.dynamic) }
    try checkWork(x.count, numerators.count + denominators.count)
    var y: [Double] = []
    y.reserveCapacity(x.count)
    for i in x.indices {
        var sum = 0.0
        for (j, b) in numerators.enumerated() where j <= i { sum += b * x[i - j] }
        for (j, c) in denominators.enumerated() where j > 0 && j <= i { sum -= c * y[i - j] }
        y.append(sum / lead)
    }
    return .dynamic(seriesValue(y))
}

/// Refuses filters whose cost is out of all proportion.
private func checkWork(_ n: Int, _ m: Int) throws {
    guard n.multipliedReportingOverflow(by: max(1, m)).overflow == false, n * max(1, m) <= 1 << 32 else {
        throw EvaluationError("a filter of \(m) coefficients over a series of \(n) points is too large")
    }
}

private func transform(_ a: [Value], inverse: Bool) -> Value {
    guard let x = seriesNumbers(a, 0) else { return .null(.dynamic) }
    var imaginary = [Double](repeating: 0, count: x.count)
    if a.count > 1, !a[1].isNull {
        guard let y = seriesNumbers(a, 1), y.count == x.count else { return .null(.dynamic) }
        imaginary = y
    }
    var f = FourierTransform(real: x, imaginary: imaginary)
    if inverse { f.invert() } else { f.transform() }
    return .dynamic(.array([seriesValue(f.real), seriesValue(f.imaginary)]))
}

extension Functions {
    /// Gaps, filters and the Fourier transform.
    static let seriesFilters: [ScalarFunction] = [
        fill(
            "series_fill_const", "series:dynamic constant_value:any missing_value_placeholder:any?", "Gaps filled with a constant.",
            "series_fill_const(dynamic([1,null]), 0)[1] == 0"
        ) { items, a in
            let constant = dynamic(a, 1)
            return zip(items, gaps(items, a, 2)).map { $1 ? constant : $0 }
        },
        fill(
            "series_fill_forward", "series:dynamic missing_value_placeholder:any?", "Gaps filled with the value before them.",
            "series_fill_forward(dynamic([1,null]))[1] == 1"
        ) { items, a in carried(items, gaps(items, a, 1), backward: false) },
        fill(
            "series_fill_backward", "series:dynamic missing_value_placeholder:any?", "Gaps filled with the value behind them.",
            "series_fill_backward(dynamic([null,1]))[0] == 1"
        ) { items, a in carried(items, gaps(items, a, 1), backward: true) },
        fill(
            "series_fill_linear", "series:dynamic missing_value_placeholder:any? fill_edges:bool? constant_value:any?",
            "Gaps filled along straight lines; the edges with the nearest value; a series of nothing but gaps with a constant.",
            "series_fill_linear(dynamic([1,null,3]))[1] == 2", { items, a in interpolated(items, a) }),
        ScalarFunction(
            "series_fir", "series:dynamic filter:dynamic normalize:bool? center:bool?", .type(.dynamic),
            "A filter of finite impulse response: moving averages, differences.",
            "series_fir(dynamic([2,4]), dynamic([1,1]))[1] == 3.0", .lenient { a in try finiteResponse(a) }),
        ScalarFunction(
            "series_iir", "series:dynamic numerators:dynamic denominators:dynamic", .type(.dynamic),
            "A filter of infinite impulse response.", "series_iir(dynamic([1,2]), dynamic([1]), dynamic([1,-1]))[1] == 3.0",
            .lenient { a in try infiniteResponse(a) }),
        ScalarFunction(
            "series_fft", "x_real:dynamic x_imaginary:dynamic?", .type(.dynamic),
            tuple: [SchemaColumn("real", .dynamic), SchemaColumn("imag", .dynamic)],
            "The discrete Fourier transform: real and imaginary parts.", "series_fft(dynamic([1,1]))[0] == 2.0",
            .lenient { a in transform(a, inverse: false) }),
        ScalarFunction(
            "series_ifft", "x_real:dynamic x_imaginary:dynamic?", .type(.dynamic),
            tuple: [SchemaColumn("real", .dynamic), SchemaColumn("imag", .dynamic)],
            "The inverse of the discrete Fourier transform: real and imaginary parts.", "series_ifft(dynamic([2,0]))[0] == 1.0",
            .lenient { a in transform(a, inverse: true) }),
    ]
}
