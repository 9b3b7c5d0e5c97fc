import Columnar
import Evaluation
import KQL
import TestSupport
import Testing

/// Series functions, with the values of Kusto's documentation where it gives some, else computed by hand.
@Suite struct SeriesTests {
    static let traffic =
        "dynamic([80,139,87,110,68,54,50,51,53,133,86,141,97,156,94,149,95,140,77,61,50,54,47,133,72,152,94,148,105,162,101,160,87,63,53,55,54,"
        + "151,103,189,108,183,113,175,113,178,90,71,62,62,65,165,109,181,115,182,121,178,114,170])"
    static let sample = "dynamic([-3, 2.4, 15, 3.9, 5, 6, 4.5, 5.2, 3, 4, 5, 16, 7, 5, 5, 4])"

    /// The value with and without folding by the binder, which must agree.
    private func both(_ text: String) throws -> Value {
        let value = try evaluateConstant(text)
        #expect(show(try evaluateConstant(text, fold: false)) == show(value), "\(text)")
        return value
    }

    private func numbers(_ text: String) throws -> [Double] {
        guard case .dynamic(.array(let items)) = try both(text) else { throw TestFailure(description: "\(text) is no array") }
        return items.map { d in
            switch d {
            case .long(let v): Double(v)
            case .real(let v): v
            default: .nan
            }
        }
    }

    private func isClose(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-9) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { ($0 - $1).magnitude <= tolerance * max(1, $1.magnitude) }
    }

    @Test(arguments: [
        ("series_add(dynamic([1,2,4]), dynamic([4,2,1]))", "[5,4,5]"), ("series_add(dynamic([1,2]), dynamic([0.5,2]))", "[1.5,4]"),
        ("series_add(dynamic([1,2,4]), 10)", "[11,12,14]"), ("series_add(0.5, dynamic([1,2]))", "[1.5,2.5]"),
        ("series_add(dynamic([1,2,4]), dynamic([4]))", "[5,null,null]"),
        ("series_add(dynamic([1,'a',null]), dynamic([1,1,1]))", "[2,null,null]"),
        ("series_add(dynamic([9223372036854775807]), 1)", "[-9223372036854775808]"), ("series_add(dynamic({'a':1}), dynamic([1]))", "null"),
        ("series_subtract(dynamic([1,2,4]), dynamic([4,2,1]))", "[-3,0,3]"),
        ("series_multiply(dynamic([1,2,4]), dynamic([4,2,1]))", "[4,4,4]"),
        ("series_divide(dynamic([1,2,4]), dynamic([4,2,1]))", "[0.25,1.0,4.0]"), ("series_divide(dynamic([1]), 0)", "[\"Infinity\"]"),
        ("series_pow(dynamic([1,2,3]), 2)", "[1.0,4.0,9.0]"), ("series_abs(dynamic([-6.5,0,8,'x']))", "[6.5,0,8,null]"),
        ("series_sign(dynamic([-6,0,8]))", "[-1,0,1]"), ("series_sign(dynamic([-0.5,null]))", "[-1,null]"),
        ("series_ceiling(dynamic([-1.5,1,2.5]))", "[-1.0,1.0,3.0]"), ("series_floor(dynamic([-1.5,1,2.5]))", "[-2.0,1.0,2.0]"),
        ("series_exp(dynamic([0]))", "[1.0]"), ("series_log(dynamic([1,2,3]))", "[0.0,0.6931471805599453,1.0986122886681098]"),
        ("series_sin(dynamic([0]))", "[0.0]"), ("series_cos(dynamic([0]))", "[1.0]"), ("series_tan(dynamic([0]))", "[0.0]"),
        ("series_asin(dynamic([0,2]))", "[0.0,null]"), ("series_acos(dynamic([1,-2]))", "[0.0,null]"),
        ("series_atan(dynamic([0]))", "[0.0]"),
        ("series_exp(dynamic([]))", "[]"), ("series_exp(dynamic(null))", "null"),
    ])
    func arithmetic(_ text: String, _ expected: String) throws { #expect(show(try both(text)) == expected) }

    @Test(arguments: [
        ("equals", "[false,true,false]"), ("not_equals", "[true,false,true]"), ("less", "[true,false,false]"),
        ("less_equals", "[true,true,false]"), ("greater", "[false,false,true]"), ("greater_equals", "[false,true,true]"),
    ])
    func comparisons(_ name: String, _ expected: String) throws {
        #expect(show(try both("series_\(name)(dynamic([1,2,4]), dynamic([4,2,1]))")) == expected)
        #expect(show(try both("series_\(name)(dynamic([1,2,4]), dynamic([4,2.0,1]))")) == expected)
        #expect(
            show(try both("series_\(name)(dynamic([1,2,4]), 2)")).hasSuffix(name.contains("less") || name == "equals" ? "false]" : "true]"))
        #expect(show(try both("series_\(name)(dynamic(['a',null]), dynamic([4]))")) == "[null,null]")
    }

    @Test(arguments: [
        ("series_sum(dynamic([1,2,3,4]))", "10.0"), ("series_sum(dynamic([1,'a']))", "null"),
        ("series_product(dynamic([1,2,3,4]))", "24.0"),
        ("series_dot_product(dynamic([1,2,4]), dynamic([4,2,1]))", "12.0"), ("series_dot_product(dynamic([1,2,3]), 10)", "60.0"),
        ("series_dot_product(2, dynamic([3,4]))", "14.0"), ("series_dot_product(dynamic([1,2,3]), dynamic([4,5]))", "14.0"),
        ("series_dot_product(dynamic([1,'a',3]), dynamic([4,5,6]))", "22.0"), ("series_dot_product(dynamic([]), dynamic([1]))", "null"),
        ("series_magnitude(dynamic([1,2,3,4]))", "5.477225575051661"), ("series_magnitude(dynamic([]))", "null"),
        ("round(series_cosine_similarity(dynamic([0.1,0.2,0.1,0.2]), dynamic([0.11,0.2,0.11,0.21])), 12)", "0.999353438255"),
        ("round(series_cosine_similarity(dynamic([0.1,0.2,0.1,0.2]), dynamic([1,2,3,4])), 12)", "0.923760430703"),
        ("series_cosine_similarity(dynamic([3,4]), dynamic([3,4]), 5, 10)", "0.5"),
        ("series_pearson_correlation(dynamic([1,2,3,4,5]), dynamic([2,4,6,8,10]))", "1.0"),
        ("series_pearson_correlation(dynamic([1,2,3]), dynamic([3,2,1]))", "-1.0"),
        ("series_pearson_correlation(dynamic([1,2]), dynamic([1]))", "null"),
        ("series_pearson_correlation(dynamic([1,2]), dynamic([1,null]))", "null"),
    ])
    func products(_ text: String, _ expected: String) throws { #expect(show(try both(text)) == expected) }

    @Test(arguments: [
        ("series_fill_const(dynamic([111,null,36,null]), 0.0)", "[111,0.0,36,0.0]"),
        ("series_fill_const(dynamic([111,null,36]), -1)", "[111,-1,36]"),
        ("series_fill_const(dynamic([0,null,36]), 7, 0)", "[7,null,36]"),
        ("series_fill_forward(dynamic([null,null,36,41,null,null,16,61,33,null,null]))", "[null,null,36,41,41,41,16,61,33,33,33]"),
        ("series_fill_backward(dynamic([111,null,36,41,null,null,16,61,33,null,null]))", "[111,36,36,41,16,16,16,61,33,null,null]"),
        ("series_fill_forward(dynamic([5,0,3]), 0)", "[5,5,3]"), ("series_fill_backward(dynamic([5,0.0,3]), 0)", "[5,3,3]"),
        ("series_fill_linear(dynamic([null,111,null,36,41,null,null,16,61,33,null,null]))", "[111,111,73,36,41,32,24,16,61,33,33,33]"),
        (
            "series_fill_linear(dynamic([null,111.0,null,36.0,null]), double(null), false)", "[null,111.0,73.5,36.0,null]"
        ),
        ("series_fill_linear(dynamic([null,null]))", "[0.0,0.0]"),
        ("series_fill_linear(dynamic([null,null]), double(null), true, 3.14159)", "[3.14159,3.14159]"),
        ("series_fill_linear(dynamic([null,null]), double(null), true, double(null))", "[null,null]"),
        ("series_fill_linear(dynamic([]))", "[]"),
        ("series_fill_linear(dynamic([-1,-1,4,-1,8]), -1)", "[4,4,4,6,8]"),
        ("series_fill_linear(dynamic([4,-1,8,null,-1]), -1)", "[4,6,8,null,null]"),
        ("series_iir(dynamic([0,1,2,3,4]), dynamic([1]), dynamic([1,-1]))", "[0.0,1.0,3.0,6.0,10.0]"),
        ("series_iir(dynamic([1,2]), dynamic([1]), dynamic([0,-1]))", "null"),
        ("series_iir(dynamic([2,4]), dynamic([1,1]), dynamic([2]))", "[1.0,3.0]"),
        ("series_fir(dynamic([0,0,10,20,40,100]), dynamic([1,1,1,1,1]))", "[0.0,0.0,2.0,6.0,14.0,34.0]"),
        (
            "series_fir(dynamic([0,0,10,20,40,100]), dynamic([1,1,1]), true, true)",
            "[0.0,3.3333333333333335,10.0,23.333333333333336,53.33333333333333,46.666666666666664]"
        ),
        ("series_fir(dynamic([0,0,2,2,3,3]), dynamic([1,-1]), false, false)", "[0.0,0.0,2.0,0.0,1.0,0.0]"),
        ("series_fir(dynamic([0,0,2,2,3,3]), dynamic([1,-1]))", "[0.0,0.0,2.0,0.0,1.0,0.0]"),
        ("series_fir(dynamic([1]), dynamic([1,-1]), true)", "null"),
    ])
    func filters(_ text: String, _ expected: String) throws {
        let value = try both(text)
        if expected.contains("333") {
            let wanted = expected.dropFirst().dropLast().split(separator: ",").compactMap { Double($0) }
            #expect(isClose(try numbers(text), wanted))
        } else {
            #expect(show(value) == expected)
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 12, 16, 30, 31])
    func transformIsTheDiscreteFourierTransformAndIsUndone(_ n: Int) throws {
        var g = TestRandom(state: UInt64(n))
        let re = (0..<n).map { _ in Double(g.next() % 1000) / 10 - 50 }, im = (0..<n).map { _ in Double(g.next() % 1000) / 10 - 50 }
        func cosine(_ x: Double) throws -> Double { try #require(try evaluateConstant("cos(\(x))").double) }
        let a = "dynamic(\(re))", b = "dynamic(\(im))"
        var runner = QueryRunner()
        runner.now = 0
        let rows = try runner.rows(
            "print a = \(a), b = \(b) | extend (p, q) = series_fft(a, b) | extend (c, d) = series_ifft(p, q) | project p, q, c, d")
        let cells = try #require(rows.first).split(separator: "|").map { c in
            c.dropFirst().dropLast().split(separator: ",").compactMap { Double($0) }
        }
        #expect(isClose(cells[2], re, 1e-11))
        #expect(isClose(cells[3], im, 1e-11))
        let twoPi = 2 * Double.pi
        for k in 0..<n {
            var sumRe = 0.0, sumIm = 0.0
            for t in 0..<n {
                let angle = twoPi * Double((k * t) % n) / Double(n)
                let c = try cosine(angle), s = try cosine(angle - .pi / 2)
                sumRe += re[t] * c + im[t] * s
                sumIm += im[t] * c - re[t] * s
            }
            #expect((cells[0][k] - sumRe).magnitude < 1e-9 * Double(n) * 100)
            #expect((cells[1][k] - sumIm).magnitude < 1e-9 * Double(n) * 100)
        }
    }

    @Test func statistics() throws {
        let text = "dynamic([23, 46, 23, 87, 4, 8, 3, 75, 2, 56, 13, 75, 32, 16, 29])"
        let runner = QueryRunner()
        let query = "print x = \(text) | project series_stats(x)"
        #expect(
            try runner.names(query)
                == ["min", "min_idx", "max", "max_idx", "avg", "stdev", "variance"].map { "series_stats_x_\($0)" })
        #expect(try runner.rows(query) == ["2|8|87|3|32.8|28.503633853548269|812.45714285714291"] || roughly(try runner.rows(query)))
        #expect(try runner.names("print x = \(text) | extend (a, b) = series_stats(x)") == ["x", "a", "b"])
        #expect(try runner.names("print x = \(text) | project (a, b, c, d, e, f) = series_stats(x)").last == "series_stats_x_variance")
        #expect(show(try both("series_stats_dynamic(\(text)).sum")) == "492.0")
        #expect(show(try both("series_stats_dynamic(\(text)).len")) == "15")
        #expect(show(try both("series_stats_dynamic(dynamic([1,null,3]))")) == "null")
        #expect(show(try both("series_stats_dynamic(dynamic([1,null,3]), true).max_idx")) == "2")
        #expect(try runner.rows("print x = dynamic([1,null]) | project (a, b) = series_stats(x) | project a, b") == ["null|null"])

        func roughly(_ rows: [String]) -> Bool {
            let cells = rows.first?.split(separator: "|").compactMap { Double($0) } ?? []
            return isClose(cells, [2, 8, 87, 3, 32.8, 28.503633853548269, 812.45714285714291], 1e-13)
        }
    }

    @Test func lines() throws {
        let text = "dynamic([2, 5, 6, 8, 11, 15, 17, 18, 25, 26, 30, 30])"
        let rows = try QueryRunner().rows(
            "print y = \(text) | extend (RSquare, Slope, Variance, RVariance, Interception, LineFit) = series_fit_line(y) | project-away y")
        let cells = try #require(rows.first).split(separator: "|")
        let printed = [0.982, 2.730, 98.628, 1.686, -1.666]
        for (cell, wanted) in zip(cells, printed) { #expect((try #require(Double(cell)) - wanted).magnitude < 1.01e-3) }
        let fitted = try numbers("series_fit_line_dynamic(\(text)).line_fit")
        let wanted = [1.064, 3.7945, 6.526, 9.256, 11.987, 14.718, 17.449, 20.180, 22.910, 25.641, 28.371, 31.102]
        #expect(fitted.count == 12 && zip(fitted, wanted).allSatisfy { ($0 - $1).magnitude < 1.01e-3 })
        #expect(show(try both("series_fit_line(dynamic([1,2,3]))")) == "1.0")
        #expect(show(try both("series_fit_line_dynamic(dynamic([5,5,5])).rsquare")) == "0.0")
        #expect(show(try both("series_fit_line_dynamic(dynamic([5]))")) == "null")
        #expect(show(try both("series_fit_line_dynamic(dynamic([5,null]))")) == "null")
    }

    @Test func twoLines() throws {
        let runner = QueryRunner()
        let query = "print y = dynamic([1,2,3,4,10,8,6,4]) | project series_fit_2lines(y)"
        let names = [
            "rsquare", "split_idx", "variance", "rvariance", "line_fit", "right_rsquare", "right_slope", "right_interception",
            "right_variance",
            "right_rvariance", "left_rsquare", "left_slope", "left_interception", "left_variance", "left_rvariance",
        ]
        #expect(try runner.names(query) == names.map { "series_fit_2lines_y_\($0)" })
        // Sum of squares 246 - 38^2 / 8 = 65.5 over 7; the parts 20 / 3 and 5 / 3.
        let cells = try #require(try runner.rows(query).first).split(separator: "|")
        #expect(cells[1] == "4")
        #expect(cells[4].filter { $0 != "." && $0 != "0" || $0 == "," }.contains("1,2,3,4,1,8,6,4"))
        let others = cells.enumerated().filter { $0.offset != 4 }.compactMap { Double($0.element) }
        let wanted = [1, 4, 65.5 / 7, 0, 1, -2, 12, 20.0 / 3, 0, 1, 1, 0, 5.0 / 3, 0]
        #expect(isClose(others, wanted))
        #expect(show(try both("series_fit_2lines_dynamic(dynamic([1,2,3,4,10,8,6,4])).right.slope")) == "-2.0")
        #expect(show(try both("series_fit_2lines_dynamic(dynamic([1,2,3,4,10,8,6,4])).split_idx")) == "4")
        #expect(show(try both("series_fit_2lines_dynamic(dynamic([1,2,3]))")) == "null")
    }

    /// The fast search for the split against fitting every split.
    @Test(arguments: 1...20) func twoLinesFindTheBestSplit(_ seed: Int) throws {
        var g = TestRandom(state: UInt64(seed))
        let y = (0..<(4 + seed)).map { _ in Double(g.next() % 100) }
        func rest(_ part: ArraySlice<Double>) throws -> Double {
            let v = try #require(try evaluateConstant("todouble(series_fit_line_dynamic(dynamic(\(Array(part)))).rvariance)").double)
            return v * Double(part.count - 1)
        }
        let rests = try (2...(y.count - 2)).map { try rest(y[..<$0]) + rest(y[$0...]) }
        let found = try #require(try evaluateConstant("toreal(series_fit_2lines_dynamic(dynamic(\(y))).rvariance)").double)
        #expect((found * Double(y.count - 1) - (rests.min() ?? -1)).magnitude < 1e-7)
    }

    @Test func outliers() throws {
        // Kusto's own scores for this series.
        let scores =
            [-1.9040785483608571, -0.10021466044004519, 1.3361954725339347] + [Double](repeating: 0, count: 8) + [
                1.6702443406674186, 0, 0, 0, 0,
            ]
        #expect(isClose(try numbers("series_outliers(\(SeriesTests.sample))"), scores, 1e-12))
        // Quartiles 3.975 and 5.4; the scale is 1.
        let tukey = try numbers("series_outliers(\(SeriesTests.sample), 'tukey')")
        #expect((tukey[0] - (-3 - 3.975) / 1.425).magnitude < 1e-12)
        #expect((tukey[2] - (15 - 5.4) / 1.425).magnitude < 1e-12)
        #expect(tukey[4] == 0)
        #expect(isClose(try numbers("series_outliers(dynamic([1,null,1,2,2,50]), 'ctukey', 50)"), [0, 0, 0, 0, 0, 0]))
        #expect(show(try both("series_outliers(dynamic([1,1,1,1,1,1,1,1,1,1,1,5]))")).hasSuffix("0.0,\"Infinity\"]"))
        // Between other percentiles the fence of a normal distribution still scores 1.5: at 2.5 %, 1.5 (2 z) / (2.698 - z) with z = 1.96.
        let wide = try numbers("series_outliers(range(0, 100, 1), 'ctukey', double(null), 2.5, 97.5)")
        #expect((wide[100] - 2.5 / 95 * 1.5 * 2 * 1.9599639845400545 / (4 * 0.6744897501960817 - 1.9599639845400545)).magnitude < 1e-9)
        #expect((wide[0] + wide[100]).magnitude < 1e-9)
        for bad in ["'other'", "'ctukey', 0, 1, 90", "'ctukey', 0, 60, 40"] {
            #expect(throws: (any Error).self) { try evaluateConstant("series_outliers(dynamic([1,2]), \(bad))", fold: false) }
        }
    }

    @Test func periods() throws {
        let runner = QueryRunner()
        let detect = "print y = \(SeriesTests.traffic) | project series_periods_detect(y, 0.0, 50.0, 2)"
        #expect(try runner.names(detect) == ["series_periods_detect_y_periods", "series_periods_detect_y_scores"])
        let found = try #require(try runner.rows(detect).first).split(separator: "|")
        #expect(found.first == "[14.0,0.0]")
        #expect(found.last?.hasPrefix("[0.84") == true && found.last?.hasSuffix(",0.0]") == true)
        let validated = try #require(
            try runner.rows("print y = \(SeriesTests.traffic) | project series_periods_validate(y, 14.0, 10.0, 3, 31)").first
        ).split(separator: "|")
        #expect(validated.first == "[14.0,10.0,3.0,31.0]")
        #expect(validated.last?.hasPrefix("[0.84") == true && validated.last?.hasSuffix(",0.0,0.0,0.0]") == true)
        #expect(try runner.rows("print series_periods_detect(dynamic([5,5,5,5,5,5,5,5,5,5,5,5]), 0, 50, 1)") == ["[0.0]|[0.0]"])
    }

    @Test(arguments: [
        (
            "series_seasonal(dynamic([2,5,3,4,3,2,1,2,3,4,3,2,1,2,3,4,3,2,1,2,3,4,3,2,1]))",
            "[1.0,2.0,3.0,4.0,3.0,2.0,1.0,2.0,3.0,4.0,3.0,2.0,1.0,2.0,3.0,4.0,3.0,2.0,1.0,2.0,3.0,4.0,3.0,2.0,1.0]"
        ),
        (
            "series_seasonal(dynamic([8,12,14,12,10,10,12,14,12,10,10,12,14,12,10,10,12,14,12,10]))",
            "[10.0,12.0,14.0,12.0,10.0,10.0,12.0,14.0,12.0,10.0,10.0,12.0,14.0,12.0,10.0,10.0,12.0,14.0,12.0,10.0]"
        ),
        ("series_seasonal(dynamic([1,3,5,2,4,6,1,3,5,2,4,6]))", "[0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0]"),
        ("series_seasonal(dynamic([1,3,5,1,3,5,2,4,6]), 3)", "[1.0,3.0,5.0,1.0,3.0,5.0,1.0,3.0,5.0]"),
        ("series_seasonal(dynamic([1,3,5,2,4,6,1,3,5,2,4,6]), 3)", "[1.5,3.5,5.5,1.5,3.5,5.5,1.5,3.5,5.5,1.5,3.5,5.5]"),
        ("series_seasonal(dynamic([1,3,5]), 0)", "[0.0,0.0,0.0]"), ("series_seasonal(dynamic([]))", "[]"),
        ("series_seasonal(dynamic([1,3]), 9)", "[1.0,3.0]"),
    ])
    func seasonal(_ text: String, _ expected: String) throws { #expect(show(try both(text)) == expected) }

    @Test func decomposition() throws {
        let runner = QueryRunner()
        let query = "print y = dynamic([1,5,3,7,5,9,100]) | project series_decompose(y, 2, 'linefit', 1)"
        #expect(
            try runner.names(query) == ["baseline", "seasonal", "trend", "residual"].map { "series_decompose_y_\($0)" })
        // Phases 1,3,5 and 5,7,9: medians 3 and 7. The rest -2,-2,0,0,2,2 has the slope 32/35 through its middle 0 at 2.5.
        let cells = try #require(try runner.rows(query).first).split(separator: "|").map { c in
            c.dropFirst().dropLast().split(separator: ",").compactMap { Double($0) }
        }
        let trend = (0..<7).map { (Double($0) - 2.5) * 32 / 35 }
        let seasonal = [3.0, 7, 3, 7, 3, 7, 3]
        #expect(isClose(cells[1], seasonal))
        #expect(isClose(cells[2], trend))
        #expect(isClose(cells[0], zip(seasonal, trend).map { $0 + $1 }))
        #expect((cells[3][6] - (100 - 3 - trend[6])).magnitude < 1e-9)
        #expect(isClose(try numbers("series_decompose_forecast(dynamic([1,2,3,0,0]), 2, 0, 'linefit')"), [1, 2, 3, 4, 5]))
        #expect(isClose(try numbers("series_decompose_forecast(dynamic([1,2,3,0,0]), 2)"), [2, 2, 2, 2, 2]))
        #expect(isClose(try numbers("series_decompose_forecast(dynamic([1,2,3,0,0]), 2, 0, 'none')"), [0, 0, 0, 0, 0]))
        #expect(isClose(try numbers("series_decompose_forecast(dynamic([1,2]), 5)"), [0, 0]))
        for bad in ["1, 0, 'other'", "-1", "1, -2"] {
            #expect(throws: (any Error).self) { try evaluateConstant("series_decompose_forecast(dynamic([1,2]), \(bad))", fold: false) }
        }
    }

    @Test func anomalies() throws {
        let runner = QueryRunner()
        let query = "print x = \(SeriesTests.sample) | extend (flag, score, base) = series_decompose_anomalies(x, 1.5, 0, 'none')"
        #expect(try runner.names(query) == ["x", "flag", "score", "base"])
        #expect(
            try runner.rows(query + " | project flag, base") == [
                "[-1,0,0,0,0,0,0,0,0,0,0,1,0,0,0,0]|[" + Array(repeating: "0.0", count: 16).joined(separator: ",") + "]"
            ])
        #expect(
            try runner.names("print x = \(SeriesTests.sample) | extend series_decompose_anomalies(x)")
                == ["x"] + ["ad_flag", "ad_score", "baseline"].map { "series_decompose_anomalies_x_\($0)" })
        // An average of 1.75 shifts all residuals alike and so changes no score.
        #expect(
            isClose(
                try numbers("series_decompose_anomalies(\(SeriesTests.sample), 1.6, 0)"),
                [-1] + [Double](repeating: 0, count: 10) + [1, 0, 0, 0, 0]))
        #expect(isClose(try numbers("series_decompose_anomalies(\(SeriesTests.sample), 1.7, 0)"), [-1] + [Double](repeating: 0, count: 15)))
        #expect(throws: (any Error).self) {
            try evaluateConstant("series_decompose_anomalies(dynamic([1]), 1.5, 0, 'avg', 0, 'x')", fold: false)
        }
    }

    /// The example of the documentation, with noise that is the same on every run: a week of hours, six outliers.
    @Test(arguments: [
        ("10", "", "1.5, -1"), ("5", " + t / 72.0", "2.5, -1, 'linefit'"), ("5", " + t / 72.0", "2.5, 168, 'linefit'"),
    ])
    func weeklySeasonality(_ night: String, _ trend: String, _ settings: String) throws {
        let query = """
            range t from 1 to 24 * 7 * 5 step 1
            | extend y = 2 * (abs(hash(t)) % 1000) / 1000.0 + iff((t / 24) % 7 >= 5, \(night).0, 15.0) - (((t % 24) / 10) * ((t % 24) / 10))\(trend)
            | extend y = iff(t == 150 or t == 200 or t == 780, y - 8.0, y)
            | extend y = iff(t == 300 or t == 400 or t == 600, y + 8.0, y)
            | summarize t = make_list(t), y = make_list(y)
            | extend (flag, score, base) = series_decompose_anomalies(y, \(settings))
            | mv-expand t to typeof(long), flag to typeof(long)
            | where flag != 0 | project t, flag
            """
        let rows = try QueryRunner().rows(query)
        #expect(Set(rows).isSuperset(of: ["150|-1", "200|-1", "300|1", "400|1", "600|1", "780|-1"]))
        #expect(rows.count < 40)
    }

    /// What is left of a straight line is rounding, in which no period may be found.
    @Test(arguments: ["range(0.1, 20.0, 0.1)", "repeat(0.1, 50)"]) func straightLinesHaveNoSeason(_ series: String) throws {
        let seasonal = try QueryRunner().rows(
            "print y = \(series) | project (b, s) = series_decompose(y) | project array_sum(s), array_length(s) > 40")
        #expect(seasonal == ["0|true"])
    }

    /// Anything that JSON can hold, at any length, gives a value or an error.
    @Test(arguments: FunctionRegistry.standard.functions.map(\.signature.name).filter { $0.hasPrefix("series_") })
    func anyInputIsBorne(_ name: String) throws {
        let signature = try #require(FunctionRegistry.standard.scalar(name))
        var g = TestRandom(state: 11)
        let elements = [
            "0", "1", "-1", "2.5", "1e308", "-1e308", "9223372036854775807", "-9223372036854775808", "null", "\"x\"", "\"Infinity\"", "[1]",
            "true",
        ]
        let numbers = ["0", "-1", "3", "7", "1000000", "9223372036854775807", "-9223372036854775807"]
        func pick(_ all: [String], _ count: Int) -> String { all[Int(g.next() % UInt64(count))] }
        func argument(_ kind: ParameterKind, _ position: Int) -> String {
            switch kind {
            case .numeric: return pick(numbers + ["1e300", "real(nan)", "0.5", "double(null)"], 11)
            case .integer: return pick(numbers + ["long(null)"], 8)
            case .string: return pick(["'ctukey'", "'tukey'", "'linefit'", "'avg'", "'none'", "''"], 6)
            case .bool: return pick(["true", "false", "bool(null)"], 3)
            default:
                if position > 0 && g.next() % 8 == 0 { return "2" }
                // Half of them plain numbers, so that the arithmetic is reached.
                let kinds = g.next() % 2 == 0 ? 4 : elements.count
                let n = [0, 1, 2, 3, 4, 5, 8, 9, 17, 30][Int(g.next() % 10)]
                return "dynamic([" + (0..<n).map { _ in pick(elements, kinds) }.joined(separator: ",") + "])"
            }
        }
        var values = 0
        for _ in 0..<60 {
            let required = signature.parameters.count { !$0.isOptional }
            let count = required + Int(g.next() % UInt64(signature.parameters.count - required + 1))
            let arguments = signature.parameters.prefix(count).enumerated().map { argument($1.kind, $0) }
            let value = try? evaluateConstant("\(name)(\(arguments.joined(separator: ", ")))", fold: false)
            if value != nil { values += 1 }
        }
        #expect(values > 5)
    }

    /// The usual shape of a rule: bins with an empty background, a spike, rows again.
    @Test func spikeOverAnEmptyBackground() throws {
        let query = """
            range d from 0 to 13 step 1
            | extend t = datetime(2024-01-01) + d * 1d, user = 'u'
            | where d in (12)
            | mv-expand n = range(1, 5, 1)
            | make-series total = count() on t from datetime(2024-01-01) to datetime(2024-01-15) step 1d by user
            | extend (anomalies, score, baseline) = series_decompose_anomalies(total, 1.5, -1, 'avg')
            | mv-expand t to typeof(datetime), total to typeof(long), anomalies to typeof(double), score to typeof(double), baseline to typeof(double)
            | where anomalies > 0 and score > 3
            | project t, total, anomalies
            """
        #expect(try QueryRunner().rows(query) == ["2024-01-13T00:00:00.0000000Z|5|1"])
    }

    /// JSON holds them as texts; they are numbers again where numbers are asked for.
    @Test func infiniteScoresStayNumbers() throws {
        let query = """
            print s = dynamic([1.5, "Infinity", "-Infinity"])
            | extend a = s[1] > 2, b = todouble(s[1]) > 2, c = s[2] < 2.5, d = s[1] == 1, e = series_greater(s, 2), f = s[1] == "Infinity"
            | project a, b, c, d, e, f
            """
        #expect(try QueryRunner().rows(query) == ["true|true|true|false|[false,true,false]|true"])
    }

    @Test(arguments: [
        ("print series_add(1, 2)", "not defined"), ("print series_exp(1)", "must be dynamic"),
        ("print series_add('a', dynamic([1]))", "not defined"),
        ("print series_shapes_fl(dynamic([1]))", "not supported"),
    ])
    func refusals(_ query: String, _ reason: String) {
        #expect { try QueryRunner().plan(query) } throws: { "\($0)".contains(reason) }
    }

    @Test func secondOccurrenceOfATextIsSearchedForInAWholeLength() throws {
        #expect(show(try both("indexof('abcdefgabcdefg', 'cde', 1, 10, 2)")) == "9")
        #expect(show(try both("indexof('abcdefgabcdefg', 'cde', 1, -1, 3)")) == "-1")
        #expect(show(try both("indexof('abcdefgabcdefg', 'cde', 1, 3, 2)")) == "-1")
    }

    @Test func listOfRowsBesideAColumnOfItsName() throws {
        let query = """
            let R = datatable(a: int)[1, 9];
            let v = R | where a == 1;
            R | project v = a | where v in (v)
            """
        #expect(try QueryRunner().rows(query) == ["1"])
        #expect(try QueryRunner().names("datatable(x: long, w: long)[1, 2] | summarize percentilesw_array(x, w, 50)") == ["percentile_x"])
    }

    @Test("a polynomial is found again, over any x, and one of degree 1 is series_fit_line")
    func polynomials() throws {
        let x = (1...20).map { Double($0) * 1.5 - 7 }
        let y = x.map { 2 * $0 * $0 * $0 - 8 * $0 + 3 }
        let call = "series_fit_poly(dynamic(\(y)), dynamic(\(x)), 3)"
        #expect(isClose(try named(call, "coefficients"), [2, 0, -8, 3], 1e-9))
        #expect(isClose(try named(call, "poly_fit"), y, 1e-9))
        let line = "series_fit_poly(\(SeriesTests.traffic))"
        #expect(isClose(try named(line, "poly_fit"), try numbers("series_fit_line_dynamic(\(SeriesTests.traffic)).line_fit"), 1e-9))
        for (poly, straight) in [("rsquare", "rsquare"), ("variance", "variance"), ("rvariance", "rvariance")] {
            let a = try #require(try first("\(line)", poly).double)
            let b = try #require(try evaluateConstant("todouble(series_fit_line_dynamic(\(SeriesTests.traffic)).\(straight))").double)
            #expect(isClose([a], [b]))
        }
        for bad in [
            "dynamic([1])", "dynamic([1,'a'])", "dynamic([1,2]), dynamic([1,2]), 2", "dynamic([1,2]), dynamic([1,1]), 1",
            "dynamic([1,2]), dynamic([1,2]), -1",
        ] {
            #expect(try first("series_fit_poly(\(bad))", "rsquare").isNull, "\(bad)")
        }
    }

    /// One result of `series_fit_poly`; a null has no type of its own here.
    private func first(_ call: String, _ name: String) throws -> Value {
        let query = "print a = 1 | extend (rsquare, coefficients, variance, rvariance, poly_fit) = \(call) | project \(name)"
        return try #require(try QueryRunner().collect(query).batches.first?.columns.first?.value(0))
    }

    private func named(_ call: String, _ name: String) throws -> [Double] {
        guard case .dynamic(.array(let items)) = try first(call, name) else { return [] }
        return items.map { d in if case .real(let v) = d { v } else { .nan } }
    }
}
