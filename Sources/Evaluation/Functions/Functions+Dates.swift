import Columnar
import KQL

/// Text that `todatetime` reads.
enum DateText {
    /// Ticks of a point in time: what `datetime(...)` reads, then digits alone (`yyyyMMdd`, `yyyyMMddHHmmss`) and month-day-year with hyphens.
    static func parse(_ text: String) -> Int64? {
        let t = trimmed(text)
        let bytes = Array(t.utf8)
        guard !bytes.isEmpty, bytes.count <= 64 else { return nil }
        if bytes.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
            func number(_ r: Range<Int>) -> Int { r.reduce(0) { $0 * 10 + Int(bytes[$1] - 0x30) } }
            switch bytes.count {
            case 8: return KustoTime.ticks(year: number(0..<4), month: number(4..<6), day: number(6..<8))
            case 14:
                return KustoTime.ticks(
                    year: number(0..<4), month: number(4..<6), day: number(6..<8), hour: number(8..<10), minute: number(10..<12),
                    second: number(12..<14))
            default: return bytes.count == 4 ? DateTimeText.parse(t) : nil
            }
        }
        if let ticks = DateTimeText.parse(t) { return ticks }
        // MM-dd-yyyy: as with slashes.
        let head = bytes.prefix { $0 != 0x20 && $0 != 0x54 }
        let parts = head.split(separator: 0x2D, omittingEmptySubsequences: false)
        if parts.count == 3, parts[2].count == 4, parts[0].count <= 2, parts[1].count <= 2,
            head.allSatisfy({ $0 == 0x2D || ($0 >= 0x30 && $0 <= 0x39) })
        {
            let slashed = head.map { $0 == 0x2D ? 0x2F : $0 } + bytes[head.count...]
            return DateTimeText.parse(String(decoding: slashed, as: UTF8.self))
        }
        return nil
    }
}

/// The parts of time that functions name.
enum TimePart: String {
    case year, quarter, month, week, day, hour, minute, second, millisecond, microsecond, nanosecond
    case dayofyear, weekOfYear

    init?(name: String) {
        switch name.lowercased() {
        case "week_of_year", "weekofyear": self = .weekOfYear
        case "dayofyear": self = .dayofyear
        default:
            guard let part = TimePart(rawValue: name.lowercased()) else { return nil }
            self = part
        }
    }

    /// Length in ticks of parts that have one; nanoseconds have none.
    var ticks: Int64? {
        switch self {
        case .week: 7 * KustoTime.ticksPerDay
        case .day: KustoTime.ticksPerDay
        case .hour: KustoTime.ticksPerHour
        case .minute: KustoTime.ticksPerMinute
        case .second: KustoTime.ticksPerSecond
        case .millisecond: KustoTime.ticksPerMillisecond
        case .microsecond: 10
        default: nil
        }
    }
}

func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    let q = a / b
    return a % b < 0 ? q - 1 : q
}

/// Days since 0001-01-01, a Monday.
private func dayNumber(_ ticks: Int64) -> Int64 { floorDivide(ticks, KustoTime.ticksPerDay) }

/// 0 for Sunday.
func dayOfWeek(_ ticks: Int64) -> Int64 { (dayNumber(ticks) + 1) % 7 }

func dayOfYear(_ ticks: Int64) -> Int64 {
    let year = KustoTime.civil(ticks).year
    return dayNumber(ticks) - KustoTime.daysFromCivil(year: year, month: 1, day: 1) + 1
}

/// The ISO 8601 week number.
func isoWeek(_ ticks: Int64) -> Int64 {
    let weekday = dayNumber(ticks) % 7
    let thursday = (dayNumber(ticks) - weekday + 3) * KustoTime.ticksPerDay
    return (dayOfYear(thursday) - 1) / 7 + 1
}

/// Months added; the day is cut to the month's length. Nil outside the calendar.
func addMonths(_ ticks: Int64, _ months: Int64) -> Int64? {
    guard months.magnitude < 200_000 else { return nil }
    let (y, m, d) = KustoTime.civil(ticks)
    let index = Int64(y) * 12 + Int64(m - 1) + months
    let year = Int(floorDivide(index, 12)), month = Int(index - floorDivide(index, 12) * 12) + 1
    guard (1...9999).contains(year),
        let day = KustoTime.ticks(year: year, month: month, day: min(d, KustoTime.daysInMonth(year, month)))
    else { return nil }
    return day + (ticks - dayNumber(ticks) * KustoTime.ticksPerDay)
}

/// The start of the day, week (Sunday), month or year of a time, moved by a number of them.
private func startOf(_ part: TimePart, _ ticks: Int64, _ offset: Int64) -> Int64? {
    guard offset.magnitude < (part == .week ? 500_000 : 4_000_000) else { return nil }
    let day = dayNumber(ticks)
    switch part {
    case .day: return (day + offset) * KustoTime.ticksPerDay
    case .week: return (day - dayOfWeek(ticks) + 7 * offset) * KustoTime.ticksPerDay
    case .month:
        let (y, m, _) = KustoTime.civil(ticks)
        return KustoTime.ticks(year: y, month: m, day: 1).flatMap { addMonths($0, offset) }
    default:
        let year = KustoTime.civil(ticks).year
        return KustoTime.ticks(year: year + Int(offset), month: 1, day: 1)
    }
}

private func boundary(_ name: String, _ part: TimePart, end: Bool) -> ScalarFunction {
    ScalarFunction(
        name, "time:datetime offset:integer?", .type(.datetime),
        "The \(end ? "end" : "start") of the \(part.rawValue) of a time, moved by a number of them.",
        "\(name)(datetime(2017-01-01 10:10:17))",
        .strict { a in
            guard let start = startOf(part, long(a, 0), long(a, 1) &+ (end ? 1 : 0)) else {
                // The last year has no successor; its end is the end of time.
                return end && Int64(KustoTime.civil(long(a, 0)).year) &+ long(a, 1) == 9999
                    ? .datetime(KustoTime.maximum) : .null(.datetime)
            }
            return datetimeValue(end ? start - 1 : start)
        })
}

private func datePart(
    _ name: String, aliases: [String] = [], _ type: ScalarType, _ summary: String, _ example: String,
    _ f: @escaping @Sendable (Int64) -> Int64
) -> ScalarFunction {
    ScalarFunction(
        name, "time:datetime", .type(type), aliases: aliases, summary, example,
        .columns(price: 2) { v, c in
            guard !v[0].isConstantNull, let ticks = longOperand(v[0]) else { return .constant(.null(type)) }
            if case .constant(let t) = ticks { return .constant(.integer(f(t), as: type)) }
            let out = zipOperands(ticks, .constant(0), rows: c.rows) { (t: Int64, _: Int) in f(t) }
            let valid = validity(v[0])
            return .column(
                Column(
                    type, .longs(valid.map { ok in ContiguousArray(out.enumerated().map { ok[$0.offset] ? $0.element : 0 }) } ?? out),
                    validity: valid))
        })
}

private func unixTime(_ unit: String, _ ticks: Double) -> ScalarFunction {
    ScalarFunction(
        "unixtime_\(unit)_todatetime", "value:numeric", .type(.datetime), "A count of \(unit) since 1970 as a datetime.",
        "unixtime_\(unit)_todatetime(0) == datetime(1970-01-01)",
        .strict { a in
            if let n = a[0].integer {
                if ticks < 1 { return datetimeValue(KustoTime.unixEpoch + floorDivide(n, 100)) }
                let (product, overflow) = n.multipliedReportingOverflow(by: Int64(ticks))
                let (sum, past) = product.addingReportingOverflow(KustoTime.unixEpoch)
                return overflow || past ? .null(.datetime) : datetimeValue(sum)
            }
            let v = real(a, 0) * ticks
            guard v.magnitude < 9e17 else { return .null(.datetime) }
            return datetimeValue(KustoTime.unixEpoch + Int64(v.rounded()))
        })
}

private func partOf(_ a: [Value], _ i: Int, _ function: String) throws -> TimePart {
    guard let part = TimePart(name: text(a, i)) else { throw EvaluationError("`\(function)` knows no part `\(text(a, i))`") }
    return part
}

extension Functions {
    static let dateParts: [ScalarFunction] = [
        datePart("dayofweek", .timespan, "The days since Sunday, as a timespan.", "dayofweek(datetime(1970-05-12)) == 2d") {
            dayOfWeek($0) * KustoTime.ticksPerDay
        },
        datePart("dayofmonth", .int, "The day of the month.", "dayofmonth(datetime(2015-12-14)) == 14") { Int64(KustoTime.civil($0).day) },
        datePart("dayofyear", .int, "The day of the year.", "dayofyear(datetime(2015-12-14)) == 348") { dayOfYear($0) },
        datePart("hourofday", .int, "The hour of the day.", "hourofday(datetime(2015-12-14 18:54)) == 18") {
            floorDivide($0, KustoTime.ticksPerHour) - dayNumber($0) * 24
        },
        datePart(
            "week_of_year", aliases: ["weekofyear"], .long, "The ISO 8601 week of the year.", "week_of_year(datetime(2020-12-31)) == 53"
        ) { isoWeek($0) },
        datePart("monthofyear", aliases: ["getmonth"], .int, "The month, 1 to 12.", "monthofyear(datetime(2015-12-14)) == 12") {
            Int64(KustoTime.civil($0).month)
        },
        datePart("getyear", .int, "The year.", "getyear(datetime(2015-12-14)) == 2015") { Int64(KustoTime.civil($0).year) },
        boundary("startofday", .day, end: false), boundary("startofweek", .week, end: false), boundary("startofmonth", .month, end: false),
        boundary("startofyear", .year, end: false), boundary("endofday", .day, end: true), boundary("endofweek", .week, end: true),
        boundary("endofmonth", .month, end: true), boundary("endofyear", .year, end: true),
        unixTime("seconds", 1e7), unixTime("milliseconds", 1e4), unixTime("microseconds", 10), unixTime("nanoseconds", 0.01),
    ]

    static let dates: [ScalarFunction] = [
        ScalarFunction(
            "datetime_add", "period:string amount:integer datetime:datetime", .type(.datetime), "A time moved by an amount of a part.",
            "datetime_add(\"day\", 1, datetime(2017-01-01))",
            .strict { a in
                let part = try partOf(a, 0, "datetime_add")
                let n = long(a, 1), t = long(a, 2)
                switch part {
                case .year: return optional(addMonths(t, n &* 12), datetimeValue, .datetime)
                case .quarter: return optional(addMonths(t, n &* 3), datetimeValue, .datetime)
                case .month: return optional(addMonths(t, n), datetimeValue, .datetime)
                default:
                    let (length, overflow) = part == .nanosecond ? (n / 100, false) : n.multipliedReportingOverflow(by: part.ticks ?? 0)
                    let (sum, past) = t.addingReportingOverflow(length)
                    return overflow || past ? .null(.datetime) : datetimeValue(sum)
                }
            }),
        ScalarFunction(
            "datetime_diff", "period:string datetime1:datetime datetime2:datetime", .type(.long),
            "How many boundaries of a part lie between two times.",
            "datetime_diff(\"day\", datetime(2017-01-03), datetime(2017-01-01)) == 2",
            .strict { a in
                let part = try partOf(a, 0, "datetime_diff")
                let x = long(a, 1), y = long(a, 2)
                func months(_ t: Int64) -> Int64 {
                    let c = KustoTime.civil(t)
                    return Int64(c.year) * 12 + Int64(c.month - 1)
                }
                switch part {
                case .year: return .long(months(x) / 12 - months(y) / 12)
                case .quarter: return .long(months(x) / 3 - months(y) / 3)
                case .month: return .long(months(x) - months(y))
                case .week: return .long(floorDivide(dayNumber(x) + 1, 7) - floorDivide(dayNumber(y) + 1, 7))
                case .nanosecond: return .long((x - y) &* 100)
                default: return .long(floorDivide(x, part.ticks ?? 1) - floorDivide(y, part.ticks ?? 1))
                }
            }),
        ScalarFunction(
            "datetime_part", "part:string date:datetime", .type(.long), aliases: ["datepart"], "A part of a time, as a number.",
            "datetime_part(\"year\", datetime(2017-10-30)) == 2017",
            .strict { a in
                let t = long(a, 1)
                let c = KustoTime.civil(t)
                let inDay = t - dayNumber(t) * KustoTime.ticksPerDay
                switch try partOf(a, 0, "datetime_part") {
                case .year: return .long(Int64(c.year))
                case .quarter: return .long(Int64((c.month - 1) / 3 + 1))
                case .month: return .long(Int64(c.month))
                case .week, .weekOfYear: return .long(isoWeek(t))
                case .day: return .long(Int64(c.day))
                case .dayofyear: return .long(dayOfYear(t))
                case .hour: return .long(inDay / KustoTime.ticksPerHour)
                case .minute: return .long(inDay / KustoTime.ticksPerMinute % 60)
                case .second: return .long(inDay / KustoTime.ticksPerSecond % 60)
                case .millisecond: return .long(inDay % KustoTime.ticksPerSecond / 10_000)
                case .microsecond: return .long(inDay % KustoTime.ticksPerSecond / 10)
                case .nanosecond: return .long(inDay % KustoTime.ticksPerSecond * 100)
                }
            }),
        ScalarFunction(
            "make_datetime", "year:integer month:integer day:integer hour:integer? minute:integer? second:numeric?", .type(.datetime),
            "A datetime from its parts; null if they name none.", "make_datetime(2017, 10, 1) == datetime(2017-10-01)",
            .strict { a in
                let seconds = a.count > 5 ? real(a, 5) : 0
                guard seconds >= 0, seconds < 60 else { return .null(.datetime) }
                let ticks = Int64((seconds * 1e7).rounded())
                return optional(
                    KustoTime.ticks(
                        year: Int(clamping: long(a, 0)), month: Int(clamping: long(a, 1)), day: Int(clamping: long(a, 2)),
                        hour: Int(clamping: long(a, 3)), minute: Int(clamping: long(a, 4))),
                    { datetimeValue($0 + ticks) }, .datetime)
            }),
        ScalarFunction(
            "make_timespan", "first:integer second:integer third:numeric? fourth:numeric?", .type(.timespan),
            "A timespan from [days,] hours, minutes [and seconds].", "make_timespan(1, 30) == 90m",
            .strict { a in
                let days = a.count > 3 ? long(a, 0) : 0
                let hours = long(a, a.count > 3 ? 1 : 0)
                let minutes = a.count > 3 ? real(a, 2) : Double(long(a, 1))
                let seconds = a.count > 3 ? real(a, 3) : (a.count > 2 ? real(a, 2) : 0)
                guard days >= 0, days < 10_675_199, (0...23).contains(hours), minutes >= 0, minutes < 60, seconds >= 0, seconds < 60 else {
                    return .null(.timespan)
                }
                return .timespan(
                    days * KustoTime.ticksPerDay + hours * KustoTime.ticksPerHour + Int64(minutes) * KustoTime.ticksPerMinute
                        + Int64((seconds * 1e7).rounded()))
            }),
        ScalarFunction(
            "format_datetime", "date:datetime format:string", .type(.string), "A time by a format of `y M d h H m s f F t` and separators.",
            "format_datetime(datetime(2017-01-29), \"yy-MM-dd\") == \"17-01-29\"",
            .strict { a in .string(formatTime(long(a, 0), text(a, 1), isSpan: false)) }),
        ScalarFunction(
            "format_timespan", "timespan:timespan format:string", .type(.string),
            "A timespan by a format of `d H h m s f F` and separators.",
            "format_timespan(90m, \"hh:mm\") == \"01:30\"",
            .strict { a in .string(formatTime(long(a, 0), text(a, 1), isSpan: true)) }),
        ScalarFunction(
            "datetime_utc_to_local", "from:datetime timezone:string", .type(.datetime),
            "A UTC time as the wall clock of a time zone shows it.",
            "datetime_utc_to_local(datetime(2025-07-01 12:00), \"US/Pacific\")",
            .strict { a in
                let zone = try TimeZoneTable.named(text(a, 1))
                return datetimeValue(long(a, 0) + zone.offset(atUTC: long(a, 0)))
            }),
        ScalarFunction(
            "datetime_local_to_utc", "from:datetime timezone:string", .type(.datetime), "A wall-clock time of a time zone as UTC.",
            "datetime_local_to_utc(datetime(2020-02-02 20:02), \"Europe/Paris\")",
            .strict { a in
                let zone = try TimeZoneTable.named(text(a, 1))
                let local = long(a, 0)
                let guess = local - zone.offset(atUTC: local)
                return datetimeValue(local - zone.offset(atUTC: guess))
            }),
    ]

    /// Runs of a specifier letter longer than its forms are read as the longest form, then again.
    private static func formatTime(_ ticks: Int64, _ format: String, isSpan: Bool) -> String {
        let magnitude = isSpan ? (ticks == .min ? Int64.max : abs(ticks)) : ticks
        let day = dayNumber(magnitude)
        let inDay = magnitude - day * KustoTime.ticksPerDay
        let hour = inDay / KustoTime.ticksPerHour, minute = inDay / KustoTime.ticksPerMinute % 60
        let second = inDay / KustoTime.ticksPerSecond % 60, fraction = inDay % KustoTime.ticksPerSecond
        let civil = isSpan ? (year: 0, month: 0, day: Int(day)) : KustoTime.civil(ticks)
        func pad(_ v: Int64, _ width: Int) -> String {
            let s = String(v)
            return s.utf8.count < width ? String(repeating: "0", count: width - s.utf8.count) + s : s
        }
        var out = ""
        var rest = Array(format)[...]
        while let c = rest.first {
            let longest: Int
            switch c {
            case "d": longest = isSpan ? 8 : 2
            case "f", "F": longest = 7
            case "y": longest = isSpan ? 0 : 4
            case "h", "H", "m", "s": longest = 2
            case "M", "t": longest = isSpan ? 0 : 2
            default: longest = 0
            }
            if longest == 0 {
                out.append(c)
                rest.removeFirst()
                continue
            }
            let n = min(rest.prefix { $0 == c }.count, longest)
            rest = rest.dropFirst(n)
            switch c {
            case "d": out += pad(Int64(civil.day), n)
            case "M": out += pad(Int64(civil.month), n)
            case "y": out += n <= 2 ? pad(Int64(civil.year % 100), n) : pad(Int64(civil.year), n)
            case "H": out += pad(hour, n)
            case "h": out += isSpan ? pad(hour, n) : pad(hour % 12 == 0 ? 12 : hour % 12, n)
            case "m": out += pad(minute, n)
            case "s": out += pad(second, n)
            case "t": out += String((hour < 12 ? "AM" : "PM").prefix(n))
            default:
                let digits = String(pad(fraction, 7).prefix(n))
                if c == "f" || digits.contains(where: { $0 != "0" }) { out += digits }
            }
        }
        return out
    }
}
