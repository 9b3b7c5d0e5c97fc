import Columnar

/// Durations in the three spellings of rule files: `5m`, `1.02:00:00`, `P1DT2H`.
public enum RuleDurations {
    /// Ticks; nil for anything else.
    public static func parse(_ text: String) -> Int64? {
        let t = text.filter { $0 != " " }
        guard let first = t.first else { return nil }
        if first == "P" || first == "p" { return iso(t.uppercased().dropFirst()) }
        if t.contains(":") || isBareNumber(t) { return KustoTime.parseTimespan(t).flatMap { $0 > 0 ? $0 : nil } }
        guard let n = Int64(t.dropLast()), n > 0, n < 1_000_000, let unit = t.last.flatMap({ units[$0] }) else { return nil }
        return n * unit
    }

    /// Whether a duration is a bare number, which stands for days.
    static func isBareNumber(_ text: String) -> Bool {
        let t = text.filter { $0 != " " }
        return !t.isEmpty && t.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    private static let units: [Character: Int64] = [
        "s": KustoTime.ticksPerSecond, "m": KustoTime.ticksPerMinute, "h": KustoTime.ticksPerHour, "d": KustoTime.ticksPerDay,
    ]

    private static func iso(_ text: Substring) -> Int64? {
        var total: Int64 = 0
        var inTime = false
        var digits = ""
        for c in text {
            if c.isASCII, c.isNumber {
                digits.append(c)
                if digits.count > 6 { return nil }
                continue
            }
            if c == "T", digits.isEmpty {
                inTime = true
                continue
            }
            guard let n = Int64(digits) else { return nil }
            digits = ""
            let unit: Int64
            switch (c, inTime) {
            case ("W", false): unit = 7 * KustoTime.ticksPerDay
            case ("D", false): unit = KustoTime.ticksPerDay
            case ("H", true): unit = KustoTime.ticksPerHour
            case ("M", true): unit = KustoTime.ticksPerMinute
            case ("S", true): unit = KustoTime.ticksPerSecond
            default: return nil
            }
            // Six digits of weeks still fit; several such parts may not.
            let (sum, overflow) = total.addingReportingOverflow(n * unit)
            if overflow { return nil }
            total = sum
        }
        return digits.isEmpty && total > 0 ? total : nil
    }
}
