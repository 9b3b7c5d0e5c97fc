/// Cuts time into panes, so that every view of every tick is a whole number of them.
///
/// A tick is anchor + k x frequency; an end of a view lies at a fixed offset from it. So the ends of all views fall on a few residues modulo
/// the frequency. Each such instant is a pane of its own (an even number), and so is the open interval up to the next (an odd one): a view
/// takes a row that lies exactly on its end or leaves it, as its end is closed or open. Panes are as wide as that allows.
public struct PaneClock: Sendable, Hashable {
    public let anchor: Int64
    public let frequency: Int64
    /// Ascending, in 0 ..< frequency; never empty.
    private let residues: [Int64]

    /// `offsets`: distances of the ends of views from a tick.
    public init(anchor: Int64, frequency: Int64, offsets: [Int64]) {
        self.anchor = anchor
        self.frequency = max(1, frequency)
        let f = self.frequency
        residues = Set([0] + offsets.map { (($0 % f) + f) % f }).sorted()
    }

    /// The pane of an instant.
    public func pane(of time: Int64) -> Int64 {
        let d = time &- anchor
        var k = d / frequency
        var rest = d % frequency
        if rest < 0 {
            rest += frequency
            k -= 1
        }
        var j = residues.count - 1
        while residues[j] > rest { j -= 1 }
        return 2 &* (k &* Int64(residues.count) &+ Int64(j)) + (residues[j] == rest ? 0 : 1)
    }
}

/// The part of time that a tick sees of a table: bounds at fixed distances from the tick.
public struct PaneView: Sendable, Hashable {
    public struct Bound: Sendable, Hashable {
        /// From the tick.
        public let offset: Int64
        public let isLower: Bool
        /// The instant itself belongs to the view.
        public let isClosed: Bool
        public init(offset: Int64, isLower: Bool, isClosed: Bool) {
            self.offset = offset
            self.isLower = isLower
            self.isClosed = isClosed
        }
    }
    public let bounds: [Bound]

    public init(_ bounds: [Bound]) { self.bounds = bounds }

    /// How far before a tick the view begins at the latest.
    public var lowest: Int64? { bounds.lazy.filter(\.isLower).map(\.offset).max() }

    /// The panes of the view at a tick; nil if there are none. The clock must know the bounds' offsets.
    public func panes(at tick: Int64, _ clock: PaneClock) -> ClosedRange<Int64>? {
        var low = Int64.min
        var high = Int64.max
        for b in bounds {
            let (time, overflow) = tick.addingReportingOverflow(b.offset)
            if overflow { continue }
            let edge = clock.pane(of: time)
            if b.isLower { low = max(low, b.isClosed ? edge : edge + 1) } else { high = min(high, b.isClosed ? edge : edge - 1) }
        }
        return low <= high ? low...high : nil
    }
}
