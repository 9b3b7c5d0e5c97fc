import Columnar
import Glibc
import KQL

// Series: dynamic arrays of numbers, as `make-series` and `make_list` give them.

/// A number of a series; nil for an element that is none.
func seriesNumber(_ d: Dynamic) -> Double? {
    switch d {
    case .long(let v): Double(v)
    case .real(let v): v
    case .string(let s): specialReal(s)
    default: nil
    }
}

/// A series whose elements are all numbers; nil otherwise.
func seriesNumbers(_ a: [Value], _ i: Int) -> [Double]? {
    guard let items = array(a, i) else { return nil }
    var out: [Double] = []
    out.reserveCapacity(items.count)
    for d in items {
        guard let v = seriesNumber(d) else { return nil }
        out.append(v)
    }
    return out
}

func seriesValue(_ numbers: [Double]) -> Dynamic { .array(numbers.map(Dynamic.real)) }

/// An operand of a function of two series: an array, or a number that stands for an array of itself.
private enum SeriesOperand {
    case array([Dynamic])
    case number(Dynamic)

    init?(_ a: [Value], _ i: Int) {
        switch dynamic(a, i) {
        case .array(let items): self = .array(items)
        case .long(let v): self = .number(.long(v))
        case .real(let v): self = .number(.real(v))
        default:
            guard i < a.count, let v = a[i].double else { return nil }
            self = .number(.real(v))
        }
    }

    var count: Int? { if case .array(let items) = self { items.count } else { nil } }

    func element(_ i: Int) -> Dynamic {
        switch self {
        case .array(let items): i < items.count ? items[i] : .null
        case .number(let d): d
        }
    }

    /// Both operands side by side, through the longer of them or the shorter; nil unless one at least is an array.
    static func pairs(_ a: [Value], truncated: Bool) -> [(Dynamic, Dynamic)]? {
        guard let x = SeriesOperand(a, 0), let y = SeriesOperand(a, 1) else { return nil }
        let counts = [x.count, y.count].compactMap { $0 }
        guard let n = truncated ? counts.min() : counts.max() else { return nil }
        return (0..<n).map { (x.element($0), y.element($0)) }
    }

    /// Arrays and numbers are series; of two operands one must be an array.
    static func result(_ type: ScalarType) -> ResultRule {
        .custom { types, _ in
            types.allSatisfy { $0 == .dynamic || $0.isNumeric } && types.contains(.dynamic) ? type : nil
        }
    }
}

private func pairwise(
    _ name: String, _ summary: String, _ example: String, _ f: @escaping @Sendable (Dynamic, Dynamic) -> Dynamic
) -> ScalarFunction {
    ScalarFunction(
        name, "series1:any series2:any", SeriesOperand.result(.dynamic), summary, example,
        .lenient { a in
            guard let pairs = SeriesOperand.pairs(a, truncated: false) else { return .null(.dynamic) }
            return .dynamic(.array(pairs.map { f($0, $1) }))
        })
}

/// Integers stay integers, as in the operators; one real makes the result real.
private func arithmetic(
    _ name: String, _ summary: String, _ example: String, _ integers: @escaping @Sendable (Int64, Int64) -> Int64,
    _ reals: @escaping @Sendable (Double, Double) -> Double
) -> ScalarFunction {
    pairwise(name, summary, example) { x, y in
        if case .long(let p) = x, case .long(let q) = y { return .long(integers(p, q)) }
        guard let p = seriesNumber(x), let q = seriesNumber(y) else { return .null }
        return .real(reals(p, q))
    }
}

private func realArithmetic(
    _ name: String, _ summary: String, _ example: String, _ f: @escaping @Sendable (Double, Double) -> Double
) -> ScalarFunction {
    pairwise(name, summary, example) { x, y in
        guard let p = seriesNumber(x), let q = seriesNumber(y) else { return .null }
        return .real(f(p, q))
    }
}

private func comparison(
    _ name: String, _ summary: String, _ example: String, _ integers: @escaping @Sendable (Int64, Int64) -> Bool,
    _ reals: @escaping @Sendable (Double, Double) -> Bool
) -> ScalarFunction {
    pairwise(name, summary, example) { x, y in
        if case .long(let p) = x, case .long(let q) = y { return .bool(integers(p, q)) }
        guard let p = seriesNumber(x), let q = seriesNumber(y) else { return .null }
        return .bool(reals(p, q))
    }
}

private func elementwise(_ name: String, _ summary: String, _ example: String, _ f: @escaping @Sendable (Dynamic) -> Dynamic)
    -> ScalarFunction
{
    ScalarFunction(
        name, "series:dynamic", .type(.dynamic), summary, example,
        .lenient { a in
            guard let items = array(a, 0) else { return .null(.dynamic) }
            return .dynamic(.array(items.map(f)))
        })
}

/// By the real value of each element; nil (outside the function's domain) gives null.
private func realElementwise(_ name: String, _ summary: String, _ example: String, _ f: @escaping @Sendable (Double) -> Double?)
    -> ScalarFunction
{
    elementwise(name, summary, example) { d in seriesNumber(d).flatMap(f).map(Dynamic.real) ?? .null }
}

extension Functions {
    /// Functions that work element by element.
    static let seriesElements: [ScalarFunction] = [
        arithmetic(
            "series_add", "The sums of two series, element by element.", "series_add(dynamic([1,2]), dynamic([4,2]))[0] == 5", { $0 &+ $1 },
            { $0 + $1 }),
        arithmetic(
            "series_subtract", "The differences of two series, element by element.",
            "series_subtract(dynamic([1,2]), dynamic([4,2]))[0] == -3", { $0 &- $1 }, { $0 - $1 }),
        arithmetic(
            "series_multiply", "The products of two series, element by element.",
            "series_multiply(dynamic([1,2]), dynamic([4,2]))[0] == 4", { $0 &* $1 }, { $0 * $1 }),
        realArithmetic(
            "series_divide", "The quotients of two series, element by element, as reals.",
            "series_divide(dynamic([1,2]), dynamic([4,2]))[0] == 0.25"
        ) { $0 / $1 },
        realArithmetic(
            "series_pow", "The powers of two series, element by element, as reals.",
            "series_pow(dynamic([1,2]), dynamic([1,3]))[1] == 8.0"
        ) { Glibc.pow($0, $1) },
        comparison(
            "series_equals", "Whether elements are equal.", "series_equals(dynamic([1,2]), dynamic([4,2]))[1] == true", { $0 == $1 },
            { $0 == $1 }),
        comparison(
            "series_not_equals", "Whether elements differ.", "series_not_equals(dynamic([1,2]), dynamic([4,2]))[0] == true", { $0 != $1 },
            { $0 != $1 }),
        comparison(
            "series_less", "Whether elements are less than those of the second series.",
            "series_less(dynamic([1,2]), dynamic([4,2]))[0] == true", { $0 < $1 }, { $0 < $1 }),
        comparison(
            "series_less_equals", "Whether elements are less than or equal to those of the second series.",
            "series_less_equals(dynamic([1,2]), dynamic([4,2]))[1] == true", { $0 <= $1 }, { $0 <= $1 }),
        comparison(
            "series_greater", "Whether elements are greater than those of the second series.",
            "series_greater(dynamic([1,2]), dynamic([4,1]))[1] == true", { $0 > $1 }, { $0 > $1 }),
        comparison(
            "series_greater_equals", "Whether elements are greater than or equal to those of the second series.",
            "series_greater_equals(dynamic([1,2]), dynamic([4,2]))[1] == true", { $0 >= $1 }, { $0 >= $1 }),
        elementwise("series_abs", "The absolute values of the elements.", "series_abs(dynamic([-6,8]))[0] == 6") { d in
            switch d {
            case .long(let v): .long(v < 0 ? 0 &- v : v)
            case .real(let v): .real(v.magnitude)
            default: .null
            }
        },
        elementwise("series_sign", "The signs of the elements: -1, 0 or 1.", "series_sign(dynamic([-6,8]))[0] == -1") { d in
            guard let v = seriesNumber(d), !v.isNaN else { return .null }
            return .long(v > 0 ? 1 : (v < 0 ? -1 : 0))
        },
        realElementwise("series_ceiling", "The elements rounded up.", "series_ceiling(dynamic([-1.5,2.5]))[0] == -1.0") {
            $0.rounded(.up)
        },
        realElementwise("series_floor", "The elements rounded down.", "series_floor(dynamic([-1.5,2.5]))[0] == -2.0") {
            $0.rounded(.down)
        },
        realElementwise("series_exp", "e to the power of each element.", "series_exp(dynamic([0]))[0] == 1.0") { Glibc.exp($0) },
        realElementwise("series_log", "The natural logarithms of the elements.", "series_log(dynamic([1]))[0] == 0.0") { Glibc.log($0) },
        realElementwise("series_sin", "The sines of the elements.", "series_sin(dynamic([0]))[0] == 0.0") {
            $0.isFinite ? Glibc.sin($0) : nil
        },
        realElementwise("series_cos", "The cosines of the elements.", "series_cos(dynamic([0]))[0] == 1.0") {
            $0.isFinite ? Glibc.cos($0) : nil
        },
        realElementwise("series_tan", "The tangents of the elements.", "series_tan(dynamic([0]))[0] == 0.0") {
            $0.isFinite ? Glibc.tan($0) : nil
        },
        realElementwise("series_asin", "The angles whose sines the elements are.", "series_asin(dynamic([0]))[0] == 0.0") {
            $0.magnitude <= 1 ? Glibc.asin($0) : nil
        },
        realElementwise("series_acos", "The angles whose cosines the elements are.", "series_acos(dynamic([1]))[0] == 0.0") {
            $0.magnitude <= 1 ? Glibc.acos($0) : nil
        },
        realElementwise("series_atan", "The angles whose tangents the elements are.", "series_atan(dynamic([0]))[0] == 0.0") {
            Glibc.atan($0)
        },
    ]

    /// Functions that give one number for a series or two.
    static let seriesProducts: [ScalarFunction] = [
        ScalarFunction(
            "series_sum", "series:dynamic", .type(.real), "The sum of the elements.", "series_sum(dynamic([1,2])) == 3.0",
            .lenient { a in optional(seriesNumbers(a, 0)?.reduce(0, +), Value.real, .real) }),
        ScalarFunction(
            "series_product", "series:dynamic", .type(.real), "The product of the elements.", "series_product(dynamic([2,3])) == 6.0",
            .lenient { a in optional(seriesNumbers(a, 0)?.reduce(1, *), Value.real, .real) }),
        ScalarFunction(
            "series_magnitude", "series:dynamic", .type(.real), "The length of the vector that the elements make.",
            "series_magnitude(dynamic([3,4])) == 5.0",
            .lenient { a in
                guard let x = array(a, 0)?.compactMap(seriesNumber), !x.isEmpty else { return .null(.real) }
                return .real(x.reduce(0) { $0 + $1 * $1 }.squareRoot())
            }),
        ScalarFunction(
            "series_dot_product", "series1:any series2:any", SeriesOperand.result(.real),
            "The sum of the products of elements; other elements than numbers are passed over, the longer series is cut.",
            "series_dot_product(dynamic([1,2]), dynamic([4,2])) == 8.0",
            .lenient { a in
                guard let pairs = SeriesOperand.pairs(a, truncated: true), !pairs.isEmpty else { return .null(.real) }
                var sum = 0.0
                for (x, y) in pairs { if let p = seriesNumber(x), let q = seriesNumber(y) { sum += p * q } }
                return .real(sum)
            }),
        ScalarFunction(
            "series_cosine_similarity", "series1:dynamic series2:dynamic magnitude1:numeric? magnitude2:numeric?", .type(.real),
            "The cosine of the angle between two vectors; their magnitudes may be given.",
            "series_cosine_similarity(dynamic([3,4]), dynamic([6,8])) == 1.0",
            .lenient { a in
                guard let pairs = SeriesOperand.pairs(a, truncated: true), !pairs.isEmpty else { return .null(.real) }
                var product = 0.0, first = 0.0, second = 0.0
                for (x, y) in pairs {
                    guard let p = seriesNumber(x), let q = seriesNumber(y) else { continue }
                    product += p * q
                    first += p * p
                    second += q * q
                }
                let m = a.count > 2 && !a[2].isNull ? real(a, 2) : first.squareRoot()
                let n = a.count > 3 && !a[3].isNull ? real(a, 3) : second.squareRoot()
                return .real(product / (m * n))
            }),
        ScalarFunction(
            "series_pearson_correlation", "series1:dynamic series2:dynamic", .type(.real),
            "The correlation coefficient of two series of one length; null where an element is no number.",
            "series_pearson_correlation(dynamic([1,2,3]), dynamic([2,4,6])) == 1.0",
            .lenient { a in
                guard let x = seriesNumbers(a, 0), let y = seriesNumbers(a, 1), x.count == y.count, !x.isEmpty else { return .null(.real) }
                let n = Double(x.count), mx = x.reduce(0, +) / n, my = y.reduce(0, +) / n
                var xy = 0.0, xx = 0.0, yy = 0.0
                for (p, q) in zip(x, y) {
                    xy += (p - mx) * (q - my)
                    xx += (p - mx) * (p - mx)
                    yy += (q - my) * (q - my)
                }
                return .real(xy / (xx * yy).squareRoot())
            }),
    ]
}
