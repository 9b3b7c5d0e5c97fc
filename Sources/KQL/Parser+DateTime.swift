import Columnar

/// The ways to write a point in time that Kusto reads in `datetime(...)` and `todatetime`: ISO 8601 with one or two digits a part and any
/// precision from the year on, month/day/year (or with dashes) with an optional AM/PM, RFC 822 and RFC 850.
public enum DateTimeText {
    /// Ticks (`KustoTime`) of a text in UTC, or with its zone applied; nil if it is no date. Literals may have blanks about the dashes, as in
    /// `datetime(2017 - 08 - 01)` of the plugins' pages.
    public static func parse(_ text: String, isLiteral: Bool = false) -> Int64? {
        if let v = KustoTime.parseISO(text) { return v }
        var reader = DateTimeReader(Array(text.utf8), spaced: isLiteral)
        return reader.read()
    }
}

private struct DateTimeReader {
    let bytes: [UInt8]
    var position = 0
    var year = 1, month = 1, day = 1, hour = 0, minute = 0, second = 0
    var fraction: Int64 = 0
    /// What local time is ahead of UTC, in ticks.
    var offset: Int64 = 0

    /// Whether blanks may stand about the dashes of a date.
    private let spaced: Bool

    init(_ bytes: [UInt8], spaced: Bool) {
        self.bytes = bytes
        self.spaced = spaced
    }

    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    mutating func read() -> Int64? {
        skipBlanks()
        guard date() else { return nil }
        guard atEnd || time() else { return nil }
        skipBlanks()
        guard atEnd,
            let ticks = KustoTime.ticks(
                year: year, month: month, day: day, hour: hour, minute: minute, second: second, fraction: fraction)
        else { return nil }
        let utc = ticks - offset
        return utc >= 0 && utc <= KustoTime.maximum ? utc : nil
    }

    private var atEnd: Bool { position >= bytes.count }
    private func peek() -> UInt8 { position < bytes.count ? bytes[position] : 0 }

    private mutating func skipBlanks() { while peek() == 0x20 || peek() == 0x09 { position += 1 } }

    private mutating func eat(_ c: UInt8) -> Bool {
        guard !atEnd, bytes[position] == c else { return false }
        position += 1
        return true
    }

    /// Digits, at most `most`; nil if there is none or one too many.
    private mutating func number(_ most: Int) -> (value: Int, digits: Int)? {
        var v = 0, n = 0
        while Lexer.isDigit(peek()) {
            guard n < most else { return nil }
            v = v * 10 + Int(peek() - 0x30)
            n += 1
            position += 1
        }
        return n > 0 ? (v, n) : nil
    }

    private mutating func letters() -> String {
        let start = position
        while (peek() | 0x20) >= 0x61, (peek() | 0x20) <= 0x7A { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self).lowercased()
    }

    private mutating func date() -> Bool {
        if !Lexer.isDigit(peek()) {
            let name = letters()
            guard DateTimeReader.days.contains(where: { name.hasPrefix($0) }) else { return false }
            _ = eat(0x2C)
            skipBlanks()
        }
        guard let first = number(4) else { return false }
        if first.digits == 4 { return yearFirst(first.value) }
        guard first.digits <= 2 else { return false }
        if peek() == 0x2F || (peek() == 0x2D && position + 1 < bytes.count && Lexer.isDigit(bytes[position + 1])) {
            let separator = peek()
            position += 1
            return monthFirst(first.value, separator)
        }
        return dayFirst(first.value)
    }

    /// `2024`, `2024-3`, `2024-03-31`, `2024/03/31`.
    private mutating func yearFirst(_ value: Int) -> Bool {
        year = value
        let start = position
        if spaced { skipBlanks() }
        let separator = peek()
        guard separator == 0x2D || separator == 0x2F else {
            position = start
            return atEnd
        }
        position += 1
        if spaced { skipBlanks() }
        guard let m = number(2) else { return false }
        month = m.value
        if spaced { skipBlanks() }
        guard eat(separator) else { return atEnd }
        if spaced { skipBlanks() }
        guard let d = number(2) else { return false }
        day = d.value
        return true
    }

    /// `3/31/2024`, `3-31-2024`.
    private mutating func monthFirst(_ value: Int, _ separator: UInt8) -> Bool {
        month = value
        guard let d = number(2), eat(separator), let y = number(4), y.digits == 4 else { return false }
        day = d.value
        year = y.value
        return true
    }

    /// `31 Mar 24`, `31-Mar-24`, `31 March 2024`.
    private mutating func dayFirst(_ value: Int) -> Bool {
        day = value
        guard eat(0x20) || eat(0x2D) else { return false }
        let name = letters()
        guard name.utf8.count >= 3, let m = DateTimeReader.months.firstIndex(where: { name.hasPrefix($0) }) else { return false }
        month = m + 1
        guard eat(0x20) || eat(0x2D), let y = number(4), y.digits == 4 || y.digits == 2 else { return false }
        year = y.digits == 4 ? y.value : y.value + (y.value < 50 ? 2000 : 1900)
        return true
    }

    private mutating func time() -> Bool {
        guard eat(0x54) || eat(0x74) || peek() == 0x20 else { return zone() }
        skipBlanks()
        if atEnd { return true }
        guard let h = number(2) else { return zone() }
        hour = h.value
        if eat(0x3A) {
            guard let m = number(2) else { return false }
            minute = m.value
            if eat(0x3A) {
                guard let s = number(2) else { return false }
                second = s.value
                if eat(0x2E) || eat(0x2C) {
                    guard readFraction() else { return false }
                }
            }
        }
        skipBlanks()
        let mark = position
        let half = letters()
        if half == "am" || half == "pm" {
            guard (1...12).contains(hour) else { return false }
            hour = hour % 12 + (half == "pm" ? 12 : 0)
            skipBlanks()
        } else {
            position = mark
        }
        return zone()
    }

    private mutating func readFraction() -> Bool {
        var scale = KustoTime.ticksPerSecond
        let start = position
        while Lexer.isDigit(peek()) {
            scale /= 10
            fraction += Int64(peek() - 0x30) * scale
            position += 1
        }
        return position > start
    }

    private mutating func zone() -> Bool {
        if atEnd { return true }
        if peek() == 0x2B || peek() == 0x2D {
            let sign: Int64 = peek() == 0x2B ? 1 : -1
            position += 1
            guard let h = number(4) else { return false }
            var hours = h.value, minutes = 0
            if h.digits > 2 {
                (hours, minutes) = (h.value / 100, h.value % 100)
            } else if eat(0x3A) {
                guard let m = number(2) else { return false }
                minutes = m.value
            }
            guard hours <= 14, minutes <= 59 else { return false }
            offset = sign * (Int64(hours) * KustoTime.ticksPerHour + Int64(minutes) * KustoTime.ticksPerMinute)
            return true
        }
        switch letters() {
        case "z", "utc", "gmt": return true
        default: return false
        }
    }
}
