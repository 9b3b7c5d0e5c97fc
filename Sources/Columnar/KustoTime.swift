/// Ticks of 100 ns since 0001-01-01T00:00:00Z: the unit of `datetime`; and of `timespan`, as a length.
public enum KustoTime {
    public static let ticksPerSecond: Int64 = 10_000_000
    public static let ticksPerMillisecond: Int64 = 10_000
    public static let ticksPerMinute: Int64 = 600_000_000
    public static let ticksPerHour: Int64 = 36_000_000_000
    public static let ticksPerDay: Int64 = 864_000_000_000
    /// 1970-01-01T00:00:00Z.
    public static let unixEpoch: Int64 = 621_355_968_000_000_000
    /// 9999-12-31T23:59:59.9999999Z, the greatest datetime.
    public static let maximum: Int64 = 3_155_378_975_999_999_999

    /// Year, month (1...12), day (1...31) of a tick count at or after year 1.
    public static func civil(_ ticks: Int64) -> (year: Int, month: Int, day: Int) {
        var days = ticks / ticksPerDay
        if ticks % ticksPerDay < 0 { days -= 1 }
        // Days since 0000-03-01, in eras of 400 years (the well-known civil-from-days method).
        let z = days + 306
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let doe = z - era * 146_097
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100)
        let mp = (5 * doy + 2) / 153
        let day = doy - (153 * mp + 2) / 5 + 1
        let month = mp < 10 ? mp + 3 : mp - 9
        return (Int(yoe + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }

    /// Days from 0001-01-01 to the date given (proleptic Gregorian calendar).
    public static func daysFromCivil(year: Int, month: Int, day: Int) -> Int64 {
        let y = Int64(month <= 2 ? year - 1 : year)
        let era = (y >= 0 ? y : y - 399) / 400
        let yoe = y - era * 400
        let mp = Int64(month > 2 ? month - 3 : month + 9)
        let doy = (153 * mp + 2) / 5 + Int64(day) - 1
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy
        return era * 146_097 + doe - 306
    }

    public static func isLeap(_ year: Int) -> Bool { (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 }

    public static func daysInMonth(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Ticks of a UTC date and time; nil when a part is out of its range.
    public static func ticks(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, fraction: Int64 = 0)
        -> Int64?
    {
        guard (1...9999).contains(year), (1...12).contains(month), day >= 1, day <= daysInMonth(year, month),
            (0...23).contains(hour), (0...59).contains(minute), (0...59).contains(second), (0..<ticksPerSecond).contains(fraction)
        else { return nil }
        let days = daysFromCivil(year: year, month: month, day: day)
        return days * ticksPerDay + Int64(hour) * ticksPerHour + Int64(minute) * ticksPerMinute + Int64(second) * ticksPerSecond + fraction
    }

    public static func fromUnixNanoseconds(_ ns: Int64) -> Int64 { unixEpoch + ns / 100 }

    /// `yyyy-MM-ddTHH:mm:ss.fffffffZ`, the form of Kusto's JSON results. Trailing zeros of the fraction are kept.
    public static func isoString(_ ticks: Int64) -> String {
        let (y, mo, d) = civil(ticks)
        let t = ((ticks % ticksPerDay) + ticksPerDay) % ticksPerDay
        let h = t / ticksPerHour, mi = t / ticksPerMinute % 60, s = t / ticksPerSecond % 60, f = t % ticksPerSecond
        return "\(pad(Int64(y), 4))-\(pad(Int64(mo), 2))-\(pad(Int64(d), 2))T\(pad(h, 2)):\(pad(mi, 2)):\(pad(s, 2)).\(pad(f, 7))Z"
    }

    /// `[-][d.]hh:mm:ss[.fffffff]`, the .NET constant form that Kusto prints for a timespan.
    public static func timespanString(_ ticks: Int64) -> String {
        let negative = ticks < 0
        let t = ticks.magnitude
        let day = UInt64(ticksPerDay)
        let d = t / day, r = Int64(t % day)
        var out = negative ? "-" : ""
        if d > 0 { out += "\(d)." }
        out += "\(pad(r / ticksPerHour, 2)):\(pad(r / ticksPerMinute % 60, 2)):\(pad(r / ticksPerSecond % 60, 2))"
        let f = r % ticksPerSecond
        if f > 0 { out += ".\(pad(f, 7))" }
        return out
    }

    static func pad(_ v: Int64, _ width: Int) -> String {
        let s = String(v)
        return s.utf8.count >= width ? s : String(repeating: "0", count: width - s.utf8.count) + s
    }

    /// Parses the ISO 8601 forms that logs carry: `yyyy-MM-dd`, with `T` or blank, `HH:mm[:ss[.f…]]`, then `Z`, `±HH:mm`, `±HHmm` or nothing
    /// (UTC). Up to seven fraction digits count, further ones are cut. Nil for anything else.
    public static func parseISO(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        var p = 0
        let n = bytes.count
        func number(_ width: Int) -> Int? {
            guard p + width <= n else { return nil }
            var v = 0
            for i in p..<(p + width) {
                let c = bytes[i]
                guard c >= 0x30, c <= 0x39 else { return nil }
                v = v * 10 + Int(c - 0x30)
            }
            p += width
            return v
        }
        func eat(_ c: UInt8) -> Bool {
            guard p < n, bytes[p] == c else { return false }
            p += 1
            return true
        }
        guard let year = number(4), eat(0x2D), let month = number(2), eat(0x2D), let day = number(2) else { return nil }
        var hour = 0, minute = 0, second = 0
        var fraction: Int64 = 0
        var offset: Int64 = 0
        if p < n {
            guard eat(0x54) || eat(0x74) || eat(0x20) else { return nil }
            guard let h = number(2), eat(0x3A), let m = number(2) else { return nil }
            hour = h
            minute = m
            if eat(0x3A) {
                guard let s = number(2) else { return nil }
                second = s
                if eat(0x2E) || eat(0x2C) {
                    var scale = ticksPerSecond
                    var any = false
                    while p < n, bytes[p] >= 0x30, bytes[p] <= 0x39 {
                        any = true
                        scale /= 10
                        fraction += Int64(bytes[p] - 0x30) * scale
                        p += 1
                    }
                    guard any else { return nil }
                }
            }
            if eat(0x5A) || eat(0x7A) {
            } else if p < n, bytes[p] == 0x2B || bytes[p] == 0x2D {
                let sign: Int64 = bytes[p] == 0x2B ? 1 : -1
                p += 1
                guard let oh = number(2) else { return nil }
                _ = eat(0x3A)
                guard let om = number(2), oh <= 14, om <= 59 else { return nil }
                offset = sign * (Int64(oh) * ticksPerHour + Int64(om) * ticksPerMinute)
            }
            guard p == n else { return nil }
        }
        guard let t = ticks(year: year, month: month, day: day, hour: hour, minute: minute, second: second, fraction: fraction) else {
            return nil
        }
        let r = t - offset
        return r >= 0 && r <= maximum ? r : nil
    }

    /// Parses like ``parseISO(_:)-(UnsafeRawBufferPointer)``.
    public static func parseISO(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { parseISO(UnsafeRawBufferPointer($0)) }
    }

    /// As ``isoString(_:)`` without the fraction's trailing zeros, and without a fraction of zero: a datetime cell of Kusto's REST results
    /// (`2014-01-01T01:01:01Z`, `2018-04-30T12:25:11.0778Z`).
    public static func restString(_ ticks: Int64) -> String {
        var text = isoString(ticks).utf8.dropLast()
        while text.last == 0x30 { text = text.dropLast() }
        if text.last == 0x2E { text = text.dropLast() }
        return String(Substring(text)) + "Z"
    }

    /// Parses a .NET timespan `[-][d.]hh:mm[:ss[.fffffff]]` (hours at most 23 when days or a second colon are given), or a bare integer
    /// number of days, as Kusto's `totimespan` of a string does. Nil for anything else, and for what 64 bits of ticks do not hold (a little
    /// more than 10,675,199 days).
    public static func parseTimespan(_ text: some StringProtocol) -> Int64? {
        var s = Array(text.utf8)[...]
        while let f = s.first, f == 0x20 { s.removeFirst() }
        while let l = s.last, l == 0x20 { s.removeLast() }
        var negative = false
        if s.first == 0x2D {
            negative = true
            s.removeFirst()
        }
        func int(_ part: ArraySlice<UInt8>) -> UInt64? {
            guard !part.isEmpty, part.count <= 12 else { return nil }
            var v: UInt64 = 0
            for c in part {
                guard c >= 0x30, c <= 0x39 else { return nil }
                v = v * 10 + UInt64(c - 0x30)
            }
            return v
        }
        func span(_ n: UInt64, _ unit: Int64) -> UInt64 { n * UInt64(unit) }
        // Days are bounded below, so the sum stays far from the end of 64 unsigned bits; whether it fits signed ones is seen at the end.
        let mostDays: UInt64 = 10_675_199
        var total: UInt64 = 0
        let parts = s.split(separator: 0x3A, omittingEmptySubsequences: false)
        if parts.count == 1 {
            guard let days = int(s), days <= mostDays else { return nil }
            total = span(days, ticksPerDay)
        } else {
            guard parts.count == 2 || parts.count == 3 else { return nil }
            var hoursPart = parts[0]
            if let dot = hoursPart.firstIndex(of: 0x2E) {
                guard let days = int(hoursPart[..<dot]), days <= mostDays else { return nil }
                total += span(days, ticksPerDay)
                hoursPart = hoursPart[(dot + 1)...]
            }
            guard let h = int(hoursPart), h <= 23, let m = int(parts[1]), m <= 59 else { return nil }
            total += span(h, ticksPerHour) + span(m, ticksPerMinute)
            if parts.count == 3 {
                let sec = parts[2].split(separator: 0x2E, maxSplits: 1, omittingEmptySubsequences: false)
                guard let whole = int(sec[0]), whole <= 59 else { return nil }
                total += span(whole, ticksPerSecond)
                if sec.count == 2 {
                    guard !sec[1].isEmpty, sec[1].count <= 7, var fraction = int(sec[1]) else { return nil }
                    for _ in sec[1].count..<7 { fraction *= 10 }
                    total += fraction
                }
            }
        }
        if negative { return total == Int64.min.magnitude ? .min : Int64(exactly: total).map { -$0 } }
        return Int64(exactly: total)
    }
}
