import Columnar

/// Marks along an axis: round numbers, round times.
enum ChartScale {
    struct Mark: Equatable {
        let value: Double
        let label: String
    }

    /// About `count` marks at 1, 2 or 5 times a power of ten, within the range.
    static func numbers(_ range: ClosedRange<Double>, count: Int) -> [Mark] {
        let span = range.upperBound - range.lowerBound
        guard span > 0, span.isFinite, count > 0 else { return [Mark(value: range.lowerBound, label: label(range.lowerBound))] }
        let step = roundStep(span / Double(count))
        var marks: [Mark] = []
        var i = (range.lowerBound / step).rounded(.up)
        // The number of marks is bounded by the step; the limit only guards against rounding.
        while i * step <= range.upperBound + step * 1e-9, marks.count < 100 {
            let v = i * step
            marks.append(Mark(value: abs(v) < step * 1e-9 ? 0 : v, label: label(abs(v) < step * 1e-9 ? 0 : v, step: step)))
            i += 1
        }
        return marks
    }

    /// Powers of ten within the range; the bounds where there are none.
    static func powers(_ range: ClosedRange<Double>) -> [Mark] {
        guard range.lowerBound > 0 else { return [] }
        var marks: [Mark] = []
        var v = power(of: range.lowerBound)
        while v <= range.upperBound * 1.0000001, marks.count < 40 {
            if v >= range.lowerBound * 0.9999999 { marks.append(Mark(value: v, label: label(v))) }
            v *= 10
        }
        return marks.isEmpty ? [range.lowerBound, range.upperBound].map { Mark(value: $0, label: label($0)) } : marks
    }

    private static func power(of v: Double) -> Double {
        var p = 1.0
        while p > v, p > 1e-300 { p /= 10 }
        while p * 10 <= v, p < 1e300 { p *= 10 }
        return p
    }

    private static func roundStep(_ raw: Double) -> Double {
        let base = power(of: raw)
        for m in [1.0, 2, 5] where base * m >= raw * 0.999999 { return base * m }
        return base * 10
    }

    private static let suffixes: [(Double, String)] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]

    /// `12.5 k`: at most four digits and a suffix. `step`: how far neighbours are apart, which decides the digits.
    static func label(_ v: Double, step: Double? = nil) -> String {
        guard v.isFinite else { return v.isNaN ? "" : v < 0 ? "-∞" : "∞" }
        if v == 0 { return "0" }
        let size = abs(v)
        if size >= 1e15 || size < 1e-4 { return scientific(v) }
        let (scale, suffix) = suffixes.first { size >= $0.0 } ?? (1, "")
        let scaled = v / scale
        var digits = 0
        var unit = step.map { $0 / scale } ?? (abs(scaled) >= 100 ? 1 : abs(scaled) >= 10 ? 0.1 : abs(scaled) >= 1 ? 0.01 : 0.0001)
        while unit < 0.9999, digits < 6 {
            unit *= 10
            digits += 1
        }
        let text = fixed(scaled, digits)
        return suffix.isEmpty ? text : "\(text) \(suffix)"
    }

    /// A value beside its bar: whole numbers in full, `12,345`.
    static func figure(_ v: Double) -> String {
        guard v == v.rounded(), abs(v) < 1e12 else { return label(v) }
        let digits = Array(String(Int64(abs(v))))
        var out = v < 0 ? "-" : ""
        for (i, c) in digits.enumerated() {
            if i > 0, (digits.count - i) % 3 == 0 { out += "," }
            out.append(c)
        }
        return out
    }

    /// Fixed digits behind the point, trailing zeros left out.
    static func fixed(_ v: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = (abs(v) * scale).rounded()
        guard whole < 1e18 else { return scientific(v) }
        let n = Int64(whole)
        let unit = Int64(scale)
        var text = String(n / unit)
        var rest = n % unit
        if rest > 0 {
            var tail = String(rest)
            tail = String(repeating: "0", count: digits - tail.utf8.count) + tail
            while tail.hasSuffix("0") { tail.removeLast() }
            text += "." + tail
            rest = 0
        }
        return v < 0 && n != 0 ? "-" + text : text
    }

    private static func scientific(_ v: Double) -> String {
        var mantissa = abs(v)
        var exponent = 0
        while mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
        while mantissa < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
        return (v < 0 ? "-" : "") + fixed(mantissa, 2) + "e\(exponent)"
    }

    private static let timeSteps: [Int64] = {
        let s = KustoTime.ticksPerSecond
        let d = 86_400 * s
        return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200].map { $0 * s }
            + [1, 2, 7, 14, 28, 91, 182, 364, 728, 1820, 3640].map { $0 * d }
    }()

    /// About `count` round times within a range of ticks.
    static func times(_ range: ClosedRange<Double>, count: Int) -> [Mark] {
        let low = Int64(clamping(range.lowerBound))
        let high = Int64(clamping(range.upperBound))
        guard high > low, count > 0 else { return [Mark(value: Double(low), label: time(low, step: 0))] }
        let raw = (high - low) / Int64(count)
        let step = timeSteps.first { $0 >= raw } ?? (timeSteps.last.map { $0 * 10 } ?? 1)
        var marks: [Mark] = []
        var t = (low + step - 1) / step * step
        var day: Int64 = -1
        while t <= high, marks.count < 100 {
            let today = t / (86_400 * KustoTime.ticksPerSecond)
            marks.append(Mark(value: Double(t), label: time(t, step: step, showsDay: today != day)))
            day = today
            t += step
        }
        return marks
    }

    private static func clamping(_ v: Double) -> Double { min(max(v, 0), 3e18) }

    /// A time as short as its distance from the neighbours allows: `2026-03-02`, `03-02 14:00`, `14:00`, `14:00:05`.
    static func time(_ ticks: Int64, step: Int64, showsDay: Bool = true) -> String {
        let iso = KustoTime.isoString(ticks)
        guard iso.utf8.count >= 19 else { return iso }
        let text = Array(iso.utf8)
        func part(_ r: Range<Int>) -> String { String(decoding: text[r], as: UTF8.self) }
        let day = 86_400 * KustoTime.ticksPerSecond
        if step >= 28 * day { return part(0..<10) }
        if step >= day { return part(5..<10) }
        let clock = step > 0 && step % (60 * KustoTime.ticksPerSecond) == 0 ? part(11..<16) : part(11..<19)
        return showsDay ? part(5..<10) + " " + clock : clock
    }
}
