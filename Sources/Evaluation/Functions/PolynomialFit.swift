/// The polynomial of least squares through points.
struct PolynomialFit {
    /// From the highest power down, over the x given.
    let coefficients: [Double]
    /// The polynomial at each x.
    let values: [Double]
    /// Sample variance of the points, and of the points about the polynomial, as ``LineFit`` has them.
    let variance: Double
    let residualVariance: Double
    /// The part of the variance that the polynomial explains; 0 where there is no variance.
    let rSquare: Double

    private static let greatestDegree = 64

    /// Nil for fewer points than coefficients, for points that are no finite numbers, and where different x are too few.
    init?(x: [Double], y: [Double], degree: Int) {
        let n = y.count
        guard (0...PolynomialFit.greatestDegree).contains(degree), x.count == n, n > max(degree, 1), let least = x.min(),
            let most = x.max(), (x + y).allSatisfy(\.isFinite)
        else { return nil }
        // Over -1 ... 1 the powers stay apart.
        let middle = least / 2 + most / 2, half = max(most / 2 - least / 2, 0)
        guard half > 0 || degree == 0 else { return nil }
        let scale = half > 0 ? half : 1
        let u = x.map { ($0 - middle) / scale }
        guard let c = PolynomialFit.leastSquares(u, y, degree + 1) else { return nil }
        let fitted = u.map { t in c.reversed().reduce(0) { $0 * t + $1 } }
        coefficients = PolynomialFit.composed(c, slope: 1 / scale, shift: -middle / scale)
        values = fitted
        let mean = y.reduce(0, +) / Double(n)
        let total = y.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let rest = zip(y, fitted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        variance = total / Double(n - 1)
        residualVariance = rest / Double(n - 1)
        rSquare = total > 0 ? max(0, 1 - rest / total) : 0
    }

    /// Coefficients of powers 0 ..< m, by Householder's reflections; nil if the powers are not independent.
    private static func leastSquares(_ u: [Double], _ y: [Double], _ m: Int) -> [Double]? {
        let n = u.count
        var columns = [[Double]](repeating: [Double](repeating: 1, count: n), count: m)
        for j in 1..<max(m, 1) { for i in 0..<n { columns[j][i] = columns[j - 1][i] * u[i] } }
        var right = y
        var diagonal = [Double](repeating: 0, count: m)
        for j in 0..<m {
            var norm = 0.0
            for i in j..<n { norm += columns[j][i] * columns[j][i] }
            norm = norm.squareRoot()
            guard norm > 1e-13 * Double(n).squareRoot() else { return nil }
            let head = columns[j][j] > 0 ? -norm : norm
            diagonal[j] = head
            var v = Array(columns[j][j...])
            v[0] -= head
            let length = v.reduce(0) { $0 + $1 * $1 }
            guard length > 0 else { continue }
            func reflect(_ column: inout [Double]) {
                var dot = 0.0
                for i in j..<n { dot += v[i - j] * column[i] }
                let factor = 2 * dot / length
                for i in j..<n { column[i] -= factor * v[i - j] }
            }
            for k in (j + 1)..<max(m, j + 1) { reflect(&columns[k]) }
            reflect(&right)
        }
        var out = [Double](repeating: 0, count: m)
        for j in (0..<m).reversed() {
            var sum = right[j]
            for k in (j + 1)..<max(m, j + 1) { sum -= columns[k][j] * out[k] }
            out[j] = sum / diagonal[j]
        }
        return out
    }

    /// The polynomial c (powers ascending) of `slope * x + shift`, powers descending.
    private static func composed(_ c: [Double], slope: Double, shift: Double) -> [Double] {
        var out: [Double] = []
        for coefficient in c.reversed() {
            var next = [Double](repeating: 0, count: out.count + 1)
            for (power, value) in out.enumerated() {
                next[power] += value * shift
                next[power + 1] += value * slope
            }
            next[0] += coefficient
            out = next
        }
        return out.reversed()
    }
}
