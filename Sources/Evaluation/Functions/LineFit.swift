/// The straight line of least squares through a series over its positions, counted from 1 as Kusto's interceptions show.
struct LineFit {
    var slope = 0.0
    var interception = 0.0
    /// Sample variance of the points.
    var variance = 0.0
    /// Sample variance of the points about the line.
    var residualVariance = 0.0
    /// The part of the variance that the line explains; 0 where there is no variance.
    var rSquare = 0.0

    /// Nil for less than two points.
    init?(_ y: some RandomAccessCollection<Double>) {
        let n = y.count
        guard n >= 2 else { return nil }
        let count = Double(n), middle = (count + 1) / 2, mean = y.reduce(0, +) / count
        var xx = 0.0, xy = 0.0, yy = 0.0
        for (i, v) in y.enumerated() {
            let x = Double(i + 1) - middle
            xx += x * x
            xy += x * (v - mean)
            yy += (v - mean) * (v - mean)
        }
        slope = xy / xx
        interception = mean - slope * middle
        var rest = 0.0
        for (i, v) in y.enumerated() {
            let e = v - value(i + 1)
            rest += e * e
        }
        variance = yy / (count - 1)
        residualVariance = rest / (count - 1)
        rSquare = yy > 0 ? max(0, 1 - rest / yy) : 0
    }

    func value(_ position: Int) -> Double { interception + slope * Double(position) }

    /// The line at the first n positions.
    func values(_ n: Int) -> [Double] { (0..<n).map { value($0 + 1) } }
}

/// Two lines through the parts of a series before and from a position: the split that leaves the least residual.
struct TwoLineFit {
    let split: Int
    let left: LineFit
    let right: LineFit
    let variance: Double
    let residualVariance: Double
    let rSquare: Double

    /// Nil for less than four points: each line takes two at least.
    init?(_ y: [Double]) {
        let n = y.count
        guard n >= 4 else { return nil }
        let mean = y.reduce(0, +) / Double(n)
        let leftRest = TwoLineFit.residuals(y.lazy.map { $0 - mean })
        let rightRest = TwoLineFit.residuals(y.reversed().lazy.map { $0 - mean })
        var best = 2
        for i in 2...(n - 2) where leftRest[i] + rightRest[n - i] < leftRest[best] + rightRest[n - best] { best = i }
        guard let a = LineFit(y[..<best]), let b = LineFit(y[best...]) else { return nil }
        split = best
        left = a
        right = b
        let total = y.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let rest = a.residualVariance * Double(best - 1) + b.residualVariance * Double(n - best - 1)
        variance = total / Double(n - 1)
        residualVariance = rest / Double(n - 1)
        rSquare = total > 0 ? max(0, 1 - rest / total) : 0
    }

    func values(_ n: Int) -> [Double] { left.values(split) + right.values(n - split) }

    /// The sum of squares about the line through the first k points, for every k.
    private static func residuals(_ y: some Sequence<Double>) -> [Double] {
        var out = [0.0]
        var n = 0.0, mx = 0.0, my = 0.0, xx = 0.0, xy = 0.0, yy = 0.0
        for v in y {
            // Welford's update: no cancellation between large sums.
            let x = n
            n += 1
            let dx = x - mx, dy = v - my
            mx += dx / n
            my += dy / n
            xx += dx * (x - mx)
            xy += dx * (v - my)
            yy += dy * (v - my)
            out.append(xx > 0 ? max(0, yy - xy * xy / xx) : 0)
        }
        return out
    }
}
