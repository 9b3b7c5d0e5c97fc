import Columnar
import Testing

@Suite struct KustoTimeTests {
    @Test(arguments: [
        (1, 1, 1, Int64(0)), (1970, 1, 1, KustoTime.unixEpoch), (2000, 2, 29, 630_873_792_000_000_000),
        (9999, 12, 31, 3_155_378_112_000_000_000),
    ])
    func knownDates(year: Int, month: Int, day: Int, ticks: Int64) {
        #expect(KustoTime.ticks(year: year, month: month, day: day) == ticks)
        let civil = KustoTime.civil(ticks)
        #expect(civil.year == year && civil.month == month && civil.day == day)
    }

    /// Every day of the calendar, from its number and back, each one after the last.
    @Test func everyDay() {
        var (y, m, d) = (1, 1, 1)
        for n in stride(from: Int64(0), to: 3_652_059, by: 1) {
            guard KustoTime.daysFromCivil(year: y, month: m, day: d) == n else {
                Issue.record("\(y)-\(m)-\(d) is not day \(n)")
                return
            }
            if n % 97 == 0 || d == 1 {
                let c = KustoTime.civil(n * KustoTime.ticksPerDay + KustoTime.ticksPerDay - 1)
                guard c.year == y, c.month == m, c.day == d else {
                    Issue.record("day \(n) is \(c), not \(y)-\(m)-\(d)")
                    return
                }
            }
            d += 1
            if d > KustoTime.daysInMonth(y, m) { (d, m) = (1, m + 1) }
            if m > 12 { (m, y) = (1, y + 1) }
        }
        #expect(y == 10_000 && m == 1 && d == 1)
    }

    @Test(arguments: [
        (0, 1, 1), (10_000, 1, 1), (2023, 2, 29), (1900, 2, 29), (2024, 13, 1), (2024, 0, 1), (2024, 4, 31), (2024, 1, 0),
    ])
    func datesThatAreNone(year: Int, month: Int, day: Int) { #expect(KustoTime.ticks(year: year, month: month, day: day) == nil) }

    @Test func clockParts() {
        #expect(KustoTime.ticks(year: 2024, month: 1, day: 1, hour: 24) == nil)
        #expect(KustoTime.ticks(year: 2024, month: 1, day: 1, minute: 60) == nil)
        #expect(KustoTime.ticks(year: 2024, month: 1, day: 1, second: 60) == nil)
        #expect(KustoTime.ticks(year: 2024, month: 1, day: 1, fraction: 10_000_000) == nil)
        #expect(KustoTime.ticks(year: 9999, month: 12, day: 31, hour: 23, minute: 59, second: 59, fraction: 9_999_999) == KustoTime.maximum)
        #expect(KustoTime.fromUnixNanoseconds(1_500_000_000_123_456_789) == KustoTime.unixEpoch + 15_000_000_001_234_567)
    }

    @Test(arguments: 0..<4)
    func isoRoundTrip(seed: Int) {
        var g = Seeded(UInt64(seed))
        for _ in 0..<500 {
            let t = Int64.random(in: 0...KustoTime.maximum, using: &g)
            #expect(KustoTime.parseISO(KustoTime.isoString(t)) == t)
            #expect(KustoTime.parseISO(KustoTime.restString(t)) == t)
            #expect(KustoTime.isoString(t).utf8.count == 28)
        }
        #expect(KustoTime.isoString(KustoTime.maximum) == "9999-12-31T23:59:59.9999999Z")
    }

    @Test(arguments: [
        ("2014-01-01T01:01:01Z", "2014-01-01T01:01:01Z"), ("2018-04-30T12:25:11.0778000Z", "2018-04-30T12:25:11.0778Z"),
        ("2018-04-30T12:25:00Z", "2018-04-30T12:25:00Z"), ("2000-01-01T00:00:00.0000001Z", "2000-01-01T00:00:00.0000001Z"),
        ("2000-10-10T10:10:10.1Z", "2000-10-10T10:10:10.1Z"),
    ])
    func restForm(text: String, expected: String) throws {
        #expect(KustoTime.restString(try #require(KustoTime.parseISO(text))) == expected)
    }

    @Test(arguments: [
        ("2026-03-02", "2026-03-02T00:00:00.0000000Z"), ("2026-03-02T10:11", "2026-03-02T10:11:00.0000000Z"),
        ("2026-03-02 10:11:12", "2026-03-02T10:11:12.0000000Z"), ("2026-03-02t10:11:12z", "2026-03-02T10:11:12.0000000Z"),
        ("2026-03-02T10:11:12.5Z", "2026-03-02T10:11:12.5000000Z"), ("2026-03-02T10:11:12,5Z", "2026-03-02T10:11:12.5000000Z"),
        ("2026-03-02T10:11:12.123456789Z", "2026-03-02T10:11:12.1234567Z"), ("2026-03-02T10:11:12+02:00", "2026-03-02T08:11:12.0000000Z"),
        ("2026-03-02T10:11:12-0530", "2026-03-02T15:41:12.0000000Z"), ("2026-03-02T23:30:00-14:00", "2026-03-03T13:30:00.0000000Z"),
    ])
    func isoForms(text: String, expected: String) throws {
        #expect(KustoTime.isoString(try #require(KustoTime.parseISO(text))) == expected)
    }

    @Test(arguments: [
        "", "2026", "2026-3-2", "2026-03-02T", "2026-03-02T10", "2026-03-02T10:11:", "2026-03-02T10:11:12.", "2026-03-02T10:11:12Z ",
        "2026-03-02T10:11:12+15:00", "2026-03-02T10:11:12+02:60", "2026-03-02X10:11", "2026-02-30", "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00", "2026-03-02Z", "٢٠٢٦-03-02",
    ])
    func isoRefused(_ text: String) { #expect(KustoTime.parseISO(text) == nil) }

    @Test(arguments: [
        ("00:00", Int64(0)), ("1", KustoTime.ticksPerDay), ("-1", -KustoTime.ticksPerDay), ("01:02:03", 37_230_000_000),
        ("2.03:04:05.6789", 2 * KustoTime.ticksPerDay + 110_456_789_000), ("-00:00:00.0000001", -1), (" 23:59 ", 863_400_000_000),
        ("10675199.02:48:05.4775807", Int64.max), ("-10675199.02:48:05.4775807", -Int64.max), ("-10675199.02:48:05.4775808", Int64.min),
        ("10675199", 10_675_199 * KustoTime.ticksPerDay),
    ])
    func timespans(text: String, ticks: Int64) { #expect(KustoTime.parseTimespan(text) == ticks) }

    /// Among them the first lengths that 64 bits do not hold.
    @Test(arguments: [
        "", " ", "-", "x", "24:00", "00:60", "00:00:60", "1.24:00:00", "00:00:00.", "00:00:00.12345678", "1:2:3:4", "--1", "1.5", "+1",
        "10675199.02:48:05.4775808", "-10675199.02:48:05.4775809", "10675199.23:59:59", "10675199.23:59:59.9999999", "-10675199.23:59:59",
        "10675200", "999999999999", "9999999999999", "999999999999.00:00:00", "-", ":", "1.:00", ".00:00",
    ])
    func timespansRefused(_ text: String) { #expect(KustoTime.parseTimespan(text) == nil) }

    @Test(arguments: 0..<4)
    func timespanRoundTrip(seed: Int) {
        var g = Seeded(UInt64(seed) &+ 100)
        for _ in 0..<500 {
            let t = g.long()
            #expect(KustoTime.parseTimespan(KustoTime.timespanString(t)) == t, "\(t)")
        }
    }

    @Test(arguments: [
        (Int64(0), "00:00:00"), (1, "00:00:00.0000001"), (-KustoTime.ticksPerDay, "-1.00:00:00"), (37_230_000_000, "01:02:03"),
        (Int64.max, "10675199.02:48:05.4775807"), (Int64.min, "-10675199.02:48:05.4775808"), (10_010_000, "00:00:01.0010000"),
    ])
    func timespanForms(ticks: Int64, text: String) { #expect(KustoTime.timespanString(ticks) == text) }

    @Test func monthsAndLeapYears() {
        #expect([1900, 2000, 2023, 2024, 2100].map(KustoTime.isLeap) == [false, true, false, true, false])
        #expect((1...12).map { KustoTime.daysInMonth(2023, $0) } == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
        #expect(KustoTime.daysInMonth(2024, 2) == 29)
    }
}
