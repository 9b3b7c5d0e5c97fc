import Columnar

/// The watermark of one source: its highest credible event time (`docs/semantics.md`, "Streaming, lateness, absence").
///
/// A record more than an hour ahead does not advance it until two later ones agree, so one wrong clock cannot close everybody's windows.
public struct SourceClock: Sendable {
    static let credibleJump = KustoTime.ticksPerHour
    /// Records beyond the jump that must agree.
    static let quorum = 3

    public private(set) var watermark: Int64?
    private var ahead: [Int64] = []
    /// Records that were ahead when they came.
    public private(set) var futureTimes = 0

    public init(watermark: Int64? = nil) { self.watermark = watermark }

    public mutating func observe(_ time: Int64) {
        guard time > 0 else { return }
        guard let mark = watermark else {
            watermark = time
            return
        }
        if time <= mark { return }
        if time - mark <= SourceClock.credibleJump {
            watermark = time
            ahead.removeAll(keepingCapacity: true)
            return
        }
        futureTimes += 1
        ahead.append(time)
        if ahead.count >= SourceClock.quorum {
            // The least of them is supported by all.
            watermark = ahead.min()
            ahead.removeAll(keepingCapacity: true)
        }
    }
}
