import Columnar
import Glibc
import Synchronization

/// The offsets of a time zone, read from the system's compiled zone files (RFC 8536).
///
/// Times behind the last listed transition use the rule of the file's footer.
struct TimeZoneTable: Sendable {
    private var transitions: [Int64] = []
    private var kinds: [UInt8] = []
    private var offsets: [Int64] = []
    private var footer: PosixZone?

    private static let cache = Mutex<[String: TimeZoneTable]>([:])

    /// The zone by its name in the tz database. Throws `EvaluationError` for unknown names.
    static func named(_ name: String) throws -> TimeZoneTable {
        if let known = cache.withLock({ $0[name] }) { return known }
        let isPlain =
            !name.isEmpty
            && name.utf8.allSatisfy { c in
                (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5A) || (c >= 0x61 && c <= 0x7A) || c == 0x2F || c == 0x5F || c == 0x2D
                    || c == 0x2B
            }
        guard isPlain, !name.hasPrefix("/"), let bytes = read("/usr/share/zoneinfo/" + name), let table = TimeZoneTable(bytes) else {
            throw EvaluationError("The time zone `\(name)` is not known to this system")
        }
        cache.withLock { $0[name] = table }
        return table
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        let n = fread(&bytes, 1, bytes.count, file)
        return n > 0 ? Array(bytes[..<n]) : nil
    }

    init?(_ bytes: [UInt8]) {
        func number(_ at: Int, _ width: Int) -> Int64? {
            guard at >= 0, at + width <= bytes.count else { return nil }
            var v: UInt64 = 0
            for i in 0..<width { v = v << 8 | UInt64(bytes[at + i]) }
            return width == 4 ? Int64(Int32(truncatingIfNeeded: v)) : Int64(bitPattern: v)
        }
        func counts(_ at: Int) -> [Int]? {
            let c = (0..<6).compactMap { number(at + 20 + 4 * $0, 4).map(Int.init) }
            return c.count == 6 && c.allSatisfy { $0 >= 0 && $0 < 1 << 20 } ? c : nil
        }
        guard bytes.count > 44, Array(bytes[..<4]) == Array("TZif".utf8), bytes[4] >= 0x32, let first = counts(0) else { return nil }
        // The first block has 32-bit times; the second, wanted one follows it.
        let start = 44 + first[3] * 5 + first[4] * 6 + first[5] + first[2] * 8 + first[1] + first[0]
        guard let c = counts(start) else { return nil }
        let (isUT, isStandard, leaps, times, types, letters) = (c[0], c[1], c[2], c[3], c[4], c[5])
        var at = start + 44
        for i in 0..<times {
            guard let t = number(at + 8 * i, 8) else { return nil }
            transitions.append(t)
        }
        at += 8 * times
        for i in 0..<times {
            guard at + i < bytes.count, Int(bytes[at + i]) < types else { return nil }
            kinds.append(bytes[at + i])
        }
        at += times
        for i in 0..<types {
            guard let offset = number(at + 6 * i, 4) else { return nil }
            offsets.append(offset)
        }
        guard !offsets.isEmpty else { return nil }
        at += 6 * types + letters + 12 * leaps + isStandard + isUT
        if at < bytes.count, bytes[at] == 0x0A {
            footer = PosixZone(String(decoding: bytes[(at + 1)...].prefix { $0 != 0x0A }, as: UTF8.self))
        }
    }

    /// What local time is ahead of UTC, in ticks, at a UTC time in ticks.
    func offset(atUTC ticks: Int64) -> Int64 {
        let seconds = floorDivide(ticks - KustoTime.unixEpoch, KustoTime.ticksPerSecond)
        if let last = transitions.last, seconds >= last, let footer { return footer.offset(atUnix: seconds) * KustoTime.ticksPerSecond }
        var low = 0, high = transitions.count
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        if low == 0, transitions.isEmpty, let footer { return footer.offset(atUnix: seconds) * KustoTime.ticksPerSecond }
        return (low == 0 ? offsets[0] : offsets[Int(kinds[low - 1])]) * KustoTime.ticksPerSecond
    }
}

/// The rule of a POSIX TZ text: `CET-1CEST,M3.5.0,M10.5.0/3`.
private struct PosixZone: Sendable {
    private struct Change: Sendable {
        let month: Int
        let week: Int
        let weekday: Int
        let time: Int64

        /// Local seconds since 1970 in a year.
        func seconds(_ year: Int) -> Int64 {
            let first = KustoTime.daysFromCivil(year: year, month: month, day: 1)
            let firstWeekday = Int((first + 1) % 7)
            var day = 1 + (weekday - firstWeekday + 7) % 7 + 7 * (week - 1)
            while day > KustoTime.daysInMonth(year, month) { day -= 7 }
            return (first + Int64(day - 1)) * 86_400 - KustoTime.unixEpoch / KustoTime.ticksPerSecond + time
        }
    }
    private var standard: Int64 = 0
    private var summer: Int64 = 0
    private var begin: Change?
    private var end: Change?

    init?(_ text: String) {
        let parts = text.split(separator: ",")
        guard let head = parts.first else { return nil }
        var rest = Array(head.utf8)[...]
        func name() -> Bool {
            if rest.first == 0x3C {
                guard let close = rest.firstIndex(of: 0x3E) else { return false }
                rest = rest[(close + 1)...]
                return true
            }
            let letters = rest.prefix { ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x61 && $0 <= 0x7A) }
            rest = rest.dropFirst(letters.count)
            return letters.count >= 3
        }
        func offset() -> Int64? {
            let t = rest.prefix { ($0 >= 0x30 && $0 <= 0x3A) || $0 == 0x2B || $0 == 0x2D }
            rest = rest.dropFirst(t.count)
            return PosixZone.time(String(decoding: t, as: UTF8.self))
        }
        guard name(), let first = offset() else { return nil }
        standard = -first
        summer = standard + 3600
        guard !rest.isEmpty else { return }
        guard name() else { return nil }
        if !rest.isEmpty {
            guard let second = offset() else { return nil }
            summer = -second
        }
        guard parts.count == 3, let from = PosixZone.change(parts[1]), let to = PosixZone.change(parts[2]) else { return nil }
        begin = from
        end = to
    }

    private static func time(_ text: String) -> Int64? {
        let negative = text.hasPrefix("-")
        let parts = text.drop { $0 == "-" || $0 == "+" }.split(separator: ":").map { Int64($0) }
        guard let hours = parts.first ?? nil, hours <= 167 else { return nil }
        let minutes = parts.count > 1 ? parts[1] ?? 0 : 0, seconds = parts.count > 2 ? parts[2] ?? 0 : 0
        let total = hours * 3600 + minutes * 60 + seconds
        return negative ? -total : total
    }

    private static func change(_ text: Substring) -> Change? {
        let halves = text.split(separator: "/")
        guard let date = halves.first, date.hasPrefix("M") else { return nil }
        let numbers = date.dropFirst().split(separator: ".").compactMap { Int($0) }
        guard numbers.count == 3, (1...12).contains(numbers[0]), (1...5).contains(numbers[1]), (0...6).contains(numbers[2]) else {
            return nil
        }
        return Change(
            month: numbers[0], week: numbers[1], weekday: numbers[2], time: halves.count > 1 ? time(String(halves[1])) ?? 7200 : 7200)
    }

    func offset(atUnix seconds: Int64) -> Int64 {
        guard let begin, let end else { return standard }
        let year = KustoTime.civil(KustoTime.unixEpoch + (seconds + standard) * KustoTime.ticksPerSecond).year
        let from = begin.seconds(year) - standard, to = end.seconds(year) - summer
        let isSummer = from < to ? seconds >= from && seconds < to : seconds >= from || seconds < to
        return isSummer ? summer : standard
    }
}
