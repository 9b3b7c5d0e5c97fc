import Glibc
import Service
import Synchronization

/// A line on the terminal with bytes, rate and time left; silent in a pipe. Safe to call from any thread.
final class ProgressBar: Sendable {
    private let total: Int
    private let isShown: Bool
    private let start = WallClock.monotonic
    private let done = Atomic<Int>(0)
    private let rows = Atomic<Int>(0)
    private let lastDraw = Atomic<Int64>(0)

    /// `total`: bytes to come; 0 if unknown.
    init(total: Int, isShown: Bool = Terminal.isErrorTerminal) {
        self.total = total
        self.isShown = isShown
    }

    /// Counts records that were read, for the line.
    func add(rows n: Int) { rows.add(n, ordering: .relaxed) }

    func add(_ n: Int) {
        let now = done.add(n, ordering: .relaxed).newValue
        guard isShown else { return }
        let time = WallClock.monotonic
        let last = lastDraw.load(ordering: .relaxed)
        guard time - last > 1_000_000, lastDraw.compareExchange(expected: last, desired: time, ordering: .relaxed).exchanged else { return }
        let seconds = Double(time - start) / 1e7
        let rate = seconds > 0 ? Double(now) / seconds : 0
        var line = "\(Figures.bytes(Double(now)))"
        if total > 0 {
            let part = min(1, Double(now) / Double(total))
            let filled = Int(part * 24)
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
            let left = rate > 0 ? Double(max(0, total - now)) / rate : 0
            line =
                "\(bar) \(Int(part * 100)) %  \(line) of \(Figures.bytes(Double(total)))  \(Figures.bytes(rate))/s  \(Figures.seconds(left)) left"
        } else {
            line += "  \(Figures.bytes(rate))/s"
        }
        let read = rows.load(ordering: .relaxed)
        if read > 0 { line += "  \(Figures.count(read)) rows" }
        Terminal.err("\r\u{1B}[K\(line)", terminator: "")
    }

    /// Clears the line.
    func finish() { if isShown, lastDraw.load(ordering: .relaxed) > 0 { Terminal.err("\r\u{1B}[K", terminator: "") } }
}
