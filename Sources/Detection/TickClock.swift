/// The ticks of a rule: T_k = anchor + k x frequency. The only instants at which a rule is evaluated, in every mode.
public struct TickClock: Sendable, Hashable {
    public let anchor: Int64
    public let frequency: Int64
    public let period: Int64

    /// How many ticks read a row.
    var ticksOfRow: Int64 { period / frequency }

    public init(anchor: Int64, frequency: Int64, period: Int64) {
        self.anchor = anchor
        self.frequency = max(1, frequency)
        self.period = max(1, period)
    }

    /// The first tick at or after a time.
    public func first(atOrAfter time: Int64) -> Int64 {
        let d = time - anchor
        let k = d >= 0 ? (d + frequency - 1) / frequency : -((-d) / frequency)
        return anchor + k * frequency
    }

    /// The last tick at or before a time.
    public func last(atOrBefore time: Int64) -> Int64 {
        let t = first(atOrAfter: time)
        return t == time ? t : t - frequency
    }

    /// The ticks whose window [T - period, T] holds a time: first and last.
    public func covering(_ time: Int64) -> (first: Int64, last: Int64) { (first(atOrAfter: time), last(atOrBefore: time + period)) }
}
