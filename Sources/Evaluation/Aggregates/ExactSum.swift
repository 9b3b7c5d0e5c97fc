/// A sum of doubles without rounding error: the exact sum is held as a few doubles and rounded once, at the end.
///
/// So the result is the same for any order of the terms and any split into partial sums, which a running sum does not give. Two doubles
/// hold the sum of most data exactly; what they cannot hold goes to a list of non-overlapping partials (Shewchuk's method).
struct ExactSum: Sendable {
    private var high = 0.0
    private var low = 0.0
    private var rest: [Double] = []
    /// Terms of 2^960 and more, scaled by 2^-120, so that no partial overflows.
    private var huge: [Double] = []
    /// Infinities and NaN decide the sum alone.
    private var positiveInfinity = false
    private var negativeInfinity = false
    private var notANumber = false

    private static let hugeFrom = 0x1p960
    private static let scale = 0x1p-120

    @inline(__always)
    static func twoSum(_ a: Double, _ b: Double) -> (sum: Double, error: Double) {
        let s = a + b
        let t = s - a
        return (s, (a - (s - t)) + (b - t))
    }

    /// The product as an exact sum of two doubles (barring underflow).
    @inline(__always)
    static func twoProduct(_ a: Double, _ b: Double) -> (product: Double, error: Double) {
        let p = a * b
        return (p, (-p).addingProduct(a, b))
    }

    @inline(__always)
    mutating func add(_ x: Double) {
        guard x.magnitude < ExactSum.hugeFrom else { return addExtreme(x) }
        let (s, e) = ExactSum.twoSum(high, x)
        high = s
        if e != 0 {
            let (l, f) = ExactSum.twoSum(low, e)
            low = l
            if f != 0 { ExactSum.grow(&rest, f) }
        }
    }

    private mutating func addExtreme(_ x: Double) {
        if x.isNaN {
            notANumber = true
        } else if x.isInfinite {
            if x > 0 { positiveInfinity = true } else { negativeInfinity = true }
        } else {
            ExactSum.grow(&huge, x * ExactSum.scale)
        }
    }

    private static func grow(_ partials: inout [Double], _ term: Double) {
        var x = term
        var kept = 0
        for i in partials.indices {
            let (s, e) = twoSum(x, partials[i])
            if e != 0 {
                partials[kept] = e
                kept += 1
            }
            x = s
        }
        partials.removeSubrange(kept...)
        partials.append(x)
    }

    mutating func add(_ other: ExactSum) {
        add(other.high)
        add(other.low)
        for x in other.rest { add(x) }
        for x in other.huge { ExactSum.grow(&huge, x) }
        positiveInfinity = positiveInfinity || other.positiveInfinity
        negativeInfinity = negativeInfinity || other.negativeInfinity
        notANumber = notANumber || other.notANumber
    }

    /// Rounds ascending, non-overlapping partials to the nearest double, ties to even.
    private static func round(_ partials: [Double]) -> Double {
        guard var high = partials.last else { return 0 }
        var low = 0.0
        var i = partials.count - 1
        while i > 0 {
            i -= 1
            let x = high, y = partials[i]
            high = x + y
            low = y - (high - x)
            if low != 0 { break }
        }
        // A remainder of exactly half a unit rounds by the sign of what is below it.
        if i > 0, (low < 0 && partials[i - 1] < 0) || (low > 0 && partials[i - 1] > 0) {
            let y = low * 2
            let x = high + y
            if y == x - high { high = x }
        }
        return high
    }

    private var smallPartials: [Double] {
        var all = rest
        ExactSum.grow(&all, low)
        ExactSum.grow(&all, high)
        return all.filter { $0 != 0 }
    }

    /// The sum, correctly rounded.
    var value: Double { parts.high }

    /// The sum as its nearest double and what that leaves, also rounded.
    var parts: (high: Double, low: Double) {
        if notANumber || (positiveInfinity && negativeInfinity) { return (.nan, 0) }
        if positiveInfinity { return (.infinity, 0) }
        if negativeInfinity { return (-.infinity, 0) }
        if rest.isEmpty, huge.isEmpty {
            let (s, e) = ExactSum.twoSum(high, low)
            return (s, e)
        }
        var partials = smallPartials
        let small = ExactSum.round(partials)
        if !huge.isEmpty { return (ExactSum.round(huge.filter { $0 != 0 }) / ExactSum.scale + small, 0) }
        ExactSum.grow(&partials, -small)
        return (small, ExactSum.round(partials.filter { $0 != 0 }))
    }
}

/// An exact sum of decimals: one integer an exponent, put together at the end, so that rounding does not depend on the order.
struct ExactDecimalSum: Sendable {
    private var terms: [Int32: Int128] = [:]

    mutating func add(mantissa: Int128, exponent: Int32) {
        let (sum, overflow) = (terms[exponent] ?? 0).addingReportingOverflow(mantissa)
        guard overflow else {
            terms[exponent] = sum
            return
        }
        // Past 38 digits at one exponent: carry the old sum upwards.
        terms[exponent] = mantissa
        let old = sum &- mantissa
        add(mantissa: old / 1_000_000, exponent: exponent &+ 6)
        add(mantissa: old % 1_000_000, exponent: exponent)
    }

    mutating func add(_ other: ExactDecimalSum) {
        for (e, m) in other.terms.sorted(by: { $0.key < $1.key }) { add(mantissa: m, exponent: e) }
    }

    /// Terms from the greatest exponent down: (mantissa, exponent).
    var sorted: [(mantissa: Int128, exponent: Int32)] { terms.sorted { $0.key > $1.key }.map { ($0.value, $0.key) } }
}

extension ExactDecimalSum {
    /// The sum, rounded to what a decimal holds.
    var value: (mantissa: Int128, exponent: Int) {
        var mantissa: Int128 = 0
        var exponent = 0
        for (m, e) in sorted where m != 0 {
            if mantissa == 0 {
                (mantissa, exponent) = (m, Int(e))
                continue
            }
            // Bring the higher term down to the lower exponent while it fits; cut the lower one where it does not.
            while exponent > Int(e), mantissa.magnitude < UInt128(1) << 120 {
                mantissa *= 10
                exponent -= 1
            }
            var lower = m
            var lowerExponent = Int(e)
            while lowerExponent < exponent, lower != 0 {
                lower /= 10
                lowerExponent += 1
            }
            mantissa = mantissa &+ lower
        }
        return (mantissa, exponent)
    }
}
