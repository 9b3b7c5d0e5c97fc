import Columnar
import Testing

@testable import Detection

@Suite struct TickClockTests {
    /// Every small clock against the definition: T = anchor + k x frequency, window [T - period, T] with both ends.
    @Test(arguments: [-7, -1, 0, 3, 10] as [Int64], 1...6 as ClosedRange<Int64>)
    func agreesWithTheDefinition(_ anchor: Int64, _ frequency: Int64) {
        let ticks = (-60...60).map { anchor + Int64($0) * frequency }
        for period in 1...13 as ClosedRange<Int64> {
            let clock = TickClock(anchor: anchor, frequency: frequency, period: period)
            for time in -30...30 as ClosedRange<Int64> {
                #expect(clock.first(atOrAfter: time) == ticks.first { $0 >= time }, "\(clock) at \(time)")
                #expect(clock.last(atOrBefore: time) == ticks.last { $0 <= time }, "\(clock) at \(time)")
                let covering = ticks.filter { $0 - period <= time && time <= $0 }
                let (first, last) = clock.covering(time)
                #expect(Array(stride(from: first, through: last, by: Int(frequency))) == covering, "\(clock) at \(time)")
            }
        }
    }

    @Test(
        "times on the edges of windows",
        arguments: [
            // Every 5 over 5: a row on a tick belongs to that tick and the next.
            (0, 5, 5, 10, 10, 15), (0, 5, 5, 11, 15, 15), (0, 5, 5, 9, 10, 10),
            // Every 5 over 15: on an edge four ticks, else three.
            (0, 5, 15, 10, 10, 25), (0, 5, 15, 12, 15, 25),
            // Anchored between the hours, before and after the row.
            (7, 60, 60, 7, 7, 67), (7, 60, 60, 6, 7, 7), (7, 60, 60, -53, -53, 7), (1000, 60, 120, 45, 100, 160),
            (-5, 10, 10, -5, -5, 5), (-5, 10, 10, -6, -5, -5),
        ] as [(Int64, Int64, Int64, Int64, Int64, Int64)])
    func edges(_ c: (anchor: Int64, frequency: Int64, period: Int64, time: Int64, first: Int64, last: Int64)) {
        let (first, last) = TickClock(anchor: c.anchor, frequency: c.frequency, period: c.period).covering(c.time)
        #expect(first == c.first && last == c.last)
    }

    @Test("no tick covers a row in the gap that a period shorter than the frequency leaves") func gap() {
        let clock = TickClock(anchor: 0, frequency: 60, period: 10)
        #expect(clock.covering(30).first > clock.covering(30).last)
        #expect(clock.covering(50).first == 60 && clock.covering(50).last == 60)
        #expect(clock.covering(49).first > clock.covering(49).last)
    }

    @Test("a clock without a length still goes on", arguments: [(0, 0), (-5, -5), (0, 5)] as [(Int64, Int64)])
    func degenerate(_ c: (frequency: Int64, period: Int64)) {
        let clock = TickClock(anchor: 3, frequency: c.frequency, period: c.period)
        #expect(clock.frequency >= 1 && clock.period >= 1)
        #expect(clock.first(atOrAfter: 17) == 17)
    }

    @Test("the whole range of datetimes", arguments: [0, 1, KustoTime.unixEpoch - 1, KustoTime.unixEpoch, KustoTime.maximum])
    func range(_ time: Int64) {
        let clock = TickClock(anchor: KustoTime.unixEpoch, frequency: KustoTime.ticksPerDay, period: 14 * KustoTime.ticksPerDay)
        let (first, last) = clock.covering(time)
        #expect(first >= time && first - time < clock.frequency && last - clock.period <= time)
        #expect((last - first) / clock.frequency == (first == time ? 14 : 13))
    }
}
