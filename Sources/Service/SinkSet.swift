import Detection
import Logging
import Sinks

/// The outputs of the daemon, each with the alerts that it has not taken yet.
///
/// A failing output holds back nobody: its alerts wait in the outbox, which is part of every checkpoint, and are offered again.
final class SinkSet {
    /// Alerts that wait for one output; beyond, the oldest wait on disk only as counted losses would be worse than a stop.
    static let maximumWaiting = 100_000

    private struct Entry {
        let sink: any AlertSink
        var waiting: [Alert]
        var changed = false
        var failure: String?
        var nextTry: Int64 = 0
    }
    private var entries: [Entry]
    private let log: Logger

    init(_ sinks: [(sink: any AlertSink, waiting: [Alert])], log: Logger) {
        entries = sinks.map { Entry(sink: $0.sink, waiting: $0.waiting) }
        self.log = log
    }

    func deliver(_ alerts: [Alert]) {
        let now = WallClock.monotonic
        for i in entries.indices {
            if !alerts.isEmpty {
                entries[i].waiting += alerts
                entries[i].changed = true
            }
            guard !entries[i].waiting.isEmpty, now >= entries[i].nextTry else { continue }
            do {
                try entries[i].sink.deliver(entries[i].waiting)
                if entries[i].failure != nil { log.notice("output works again", metadata: ["output": "\(entries[i].sink.name)"]) }
                entries[i].waiting = []
                entries[i].changed = true
                entries[i].failure = nil
            } catch {
                if entries[i].failure == nil {
                    log.error(
                        "output failed; its alerts wait and are offered again",
                        metadata: ["output": "\(entries[i].sink.name)", "reason": "\(error)"])
                }
                entries[i].failure = "\(error)"
                entries[i].nextTry = now + 50_000_000
            }
        }
    }

    var waitingCount: Int { entries.reduce(0) { $0 + $1.waiting.count } }
    var isOverfull: Bool { entries.contains { $0.waiting.count > SinkSet.maximumWaiting } }

    func reopen() {
        for e in entries {
            do { try e.sink.reopen() } catch {
                log.error("cannot reopen output", metadata: ["output": "\(e.sink.name)", "reason": "\(error)"])
            }
        }
    }

    /// What the next checkpoint must say of the outputs.
    func checkpoint() -> (lengths: [String: UInt64], outbox: [String: [UInt8]]) {
        var lengths: [String: UInt64] = [:]
        var outbox: [String: [UInt8]] = [:]
        for i in entries.indices {
            try? entries[i].sink.flush()
            if let l = entries[i].sink.committedLength { lengths[entries[i].sink.name] = l }
            if entries[i].changed {
                outbox[entries[i].sink.name] = entries[i].waiting.isEmpty ? [] : AlertCodec.encode(entries[i].waiting)
                entries[i].changed = false
            }
        }
        return (lengths, outbox)
    }
}
