import Columnar
import Glibc
import KQL

extension Functions {
    /// Distributions and tests.
    static let distributions: [ScalarFunction] = [
        ScalarFunction(
            "beta_cdf", "x:numeric alpha:numeric beta:numeric", .type(.real), "The cumulative beta distribution; NaN outside its domain.",
            "beta_cdf(0.5, 1.0, 1.0) == 0.5",
            .strict { a in
                let x = real(a, 0), p = real(a, 1), q = real(a, 2)
                return .real(x < 0 || x > 1 || p <= 0 || q <= 0 ? .nan : incompleteBeta(x, p, q))
            }),
        ScalarFunction(
            "beta_pdf", "x:numeric alpha:numeric beta:numeric", .type(.real),
            "The density of the beta distribution; NaN outside its domain, ends excluded.", "beta_pdf(0.5, 1.0, 1.0) == 1.0",
            .strict { a in
                let x = real(a, 0), p = real(a, 1), q = real(a, 2)
                guard x > 0, x < 1, p > 0, q > 0 else { return .real(.nan) }
                let whole: Double = Glibc.lgamma(p + q) - Glibc.lgamma(p) - Glibc.lgamma(q)
                return .real(Glibc.exp((p - 1) * Glibc.log(x) + (q - 1) * Glibc.log1p(-x) + whole))
            }),
        ScalarFunction(
            "beta_inv", "probability:numeric alpha:numeric beta:numeric", .type(.real),
            "The inverse of beta_cdf; null for what is no probability above 0, NaN where alpha or beta is not positive.",
            "beta_inv(0.5, 1.0, 1.0) == 0.5",
            .strict { a in
                let x = real(a, 0), p = real(a, 1), q = real(a, 2)
                guard p > 0, q > 0, p.isFinite, q.isFinite else { return .real(.nan) }
                // The documentation's example, not its note, says which is null and which is NaN.
                guard x > 0, x <= 1 else { return .null(.real) }
                return .real(inverseBeta(x, p, q))
            }),
        ScalarFunction(
            "welch_test", "mean1:numeric variance1:numeric count1:numeric mean2:numeric variance2:numeric count2:numeric", .type(.real),
            "The two-sided p-value of Welch's test that two samples have equal means; NaN where it is not defined.",
            "round(welch_test(20.8, 7.9, 15, 23.0, 3.8, 15), 2) == 0.02",
            .strict { a in .real(welch(real(a, 0), real(a, 1), real(a, 2), real(a, 3), real(a, 4), real(a, 5))) }),
    ]
}

/// Twice the tail of Student's distribution beyond Welch's t, with the degrees of freedom after Welch and Satterthwaite.
private func welch(_ m1: Double, _ v1: Double, _ n1: Double, _ m2: Double, _ v2: Double, _ n2: Double) -> Double {
    guard n1 > 1, n2 > 1, v1 >= 0, v2 >= 0 else { return .nan }
    let s1 = v1 / n1, s2 = v2 / n2
    let spread = s1 + s2
    let freedom = spread * spread / (s1 * s1 / (n1 - 1) + s2 * s2 / (n2 - 1))
    let t2 = (m1 - m2) * (m1 - m2) / spread
    guard freedom.isFinite, t2.isFinite else { return .nan }
    return incompleteBeta(freedom / (freedom + t2), freedom / 2, 0.5)
}

/// The regularised incomplete beta function by its continued fraction.
private func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
    if x.isNaN { return x }
    if x <= 0 { return 0 }
    if x >= 1 { return 1 }
    let front = Glibc.exp(Glibc.lgamma(a + b) - Glibc.lgamma(a) - Glibc.lgamma(b) + a * Glibc.log(x) + b * Glibc.log(1 - x))
    return x < (a + 1) / (a + b + 2) ? front * fraction(x, a, b) / a : 1 - front * fraction(1 - x, b, a) / b
}

/// Where the distribution reaches a probability: by halves until neighbouring numbers are left, since the function rises everywhere.
private func inverseBeta(_ p: Double, _ a: Double, _ b: Double) -> Double {
    if p >= 1 { return 1 }
    var low = 0.0, high = 1.0
    while true {
        let middle = low + (high - low) / 2
        guard middle > low, middle < high else { break }
        let found = incompleteBeta(middle, a, b)
        if found == p { return middle }
        if found < p { low = middle } else { high = middle }
    }
    return low + (high - low) / 2
}

private func fraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    let tiny = 1e-300
    func keep(_ v: Double) -> Double { v.magnitude < tiny ? tiny : v }
    var c = 1.0
    var d = 1 / keep(1 - (a + b) * x / (a + 1))
    var h = d
    for i in 1...300 {
        let m = Double(i)
        let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / keep(1 + even * d)
        c = keep(1 + even / c)
        h *= d * c
        let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / keep(1 + odd * d)
        c = keep(1 + odd / c)
        h *= d * c
        if (d * c - 1).magnitude < 1e-15 { break }
    }
    return h
}
