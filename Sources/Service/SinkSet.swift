import Columnar
import Detection
import Dispatch
import Logging
import Pipeline
import Sinks
import Storage
import Synchronization

/// How much may wait for an output, and what happens then.
public struct OutboxLimits: Sendable, Hashable {
    public enum WhenFull: String, Sendable, Hashable, CaseIterable {
        /// Reading pauses until the output takes alerts again: nothing is lost.
        case pause
        /// The oldest alerts are given up and counted; they stay in the alert store.
        case dropOldest = "drop_oldest"
    }
    public var alerts = 100_000
    public var bytes = 128 << 20
    public var whenFull = WhenFull.pause
    public init() {}
}

/// The outputs of the daemon, each with the alerts that it has not taken yet.
///
/// A failing output holds back no other: its alerts wait in the outbox, which is part of every checkpoint, and are offered again, after
/// a pause that grows. Files are written inside the checkpoint; outputs over a network by a queue of their own, so that a server that does
/// not answer does not stop detection. Used by the daemon's thread only.
final class SinkSet {
    /// Pauses between attempts, in ticks.
    static let firstPause = KustoTime.ticksPerSecond / 2
    static let longestPause = 30 * KustoTime.ticksPerSecond
    /// Alerts offered at once.
    static let slice = 256

    private final class Entry {
        let sink: any AlertSink
        /// Oldest first, encoded; the first ``inFlight`` are being delivered now.
        var waiting: ArraySlice<OutboxItem>
        var bytes: Int
        var inFlight = 0
        var outcome: Outcome?
        /// The last number given; the last that is in the database; the last that was taken or given up.
        var last: Int64
        var stored: Int64
        var taken: Int64
        var changed = false
        var failure: String?
        var pause = SinkSet.firstPause
        var nextTry: Int64 = 0
        var delivered = 0
        var dropped = 0
        var wasFull = false

        init(_ sink: any AlertSink, _ waiting: [OutboxItem]) {
            self.sink = sink
            self.waiting = waiting[...]
            bytes = waiting.reduce(0) { $0 + $1.bytes.count }
            last = waiting.last?.number ?? 0
            stored = last
            taken = (waiting.first?.number ?? 1) - 1
        }
    }

    /// The result of a delivery on another thread.
    private final class Outcome: Sendable {
        let result = Mutex<(delivered: Int, failure: String?)?>(nil)
        let done = DispatchSemaphore(value: 0)
    }

    private let entries: [Entry]
    private let limits: OutboxLimits
    private let log: Logger
    private let network = DispatchQueue(label: "vedette.outputs", attributes: .concurrent)

    init(_ sinks: [(sink: any AlertSink, waiting: [OutboxItem])], limits: OutboxLimits, log: Logger) {
        entries = sinks.map { Entry($0.sink, $0.waiting) }
        self.limits = limits
        self.log = log
    }

    // MARK: Delivery

    /// Takes new alerts for every output, and tries to deliver.
    func deliver(_ alerts: [Alert]) throws {
        for e in entries {
            if e.waiting.isEmpty, !e.sink.isRemote, !alerts.isEmpty {
                // The common way: straight into the file, nothing is encoded.
                var taken = alerts.count
                do {
                    try e.sink.deliver(alerts)
                    succeed(e)
                } catch {
                    taken = (error as? SinkError)?.delivered ?? 0
                    fail(e, "\(error)")
                }
                e.delivered += taken
                enqueue(e, alerts[taken...])
            } else {
                enqueue(e, alerts[...])
            }
            bound(e)
        }
        try pump()
    }

    private func enqueue(_ e: Entry, _ alerts: ArraySlice<Alert>) {
        for a in alerts {
            e.last += 1
            let item = OutboxItem(number: e.last, bytes: AlertCodec.encode([a]))
            e.waiting.append(item)
            e.bytes += item.bytes.count
            e.changed = true
        }
    }

    private func isFull(_ e: Entry) -> Bool { e.waiting.count > limits.alerts || e.bytes > limits.bytes }

    private func bound(_ e: Entry) {
        guard isFull(e) else {
            e.wasFull = false
            return
        }
        if !e.wasFull {
            e.wasFull = true
            log.error(
                limits.whenFull == .pause
                    ? "outbox is full; reading pauses until the output takes alerts again"
                    : "outbox is full; its oldest alerts are given up (they stay in the alert store)",
                metadata: ["output": "\(e.sink.name)", "alerts": "\(e.waiting.count)", "bytes": "\(e.bytes)"])
        }
        // What is under way may have arrived; it is soon over.
        guard limits.whenFull == .dropOldest, e.inFlight == 0 else { return }
        while isFull(e) {
            remove(1, of: e)
            e.dropped += 1
        }
    }

    private func remove(_ n: Int, of e: Entry) {
        for item in e.waiting.prefix(n) {
            e.bytes -= item.bytes.count
            e.taken = item.number
            e.changed = true
        }
        e.waiting = e.waiting.dropFirst(n)
        // The slice would keep what stood before it.
        if e.waiting.startIndex > 4 * SinkSet.slice, e.waiting.startIndex > e.waiting.count { e.waiting = Array(e.waiting)[...] }
    }

    private func succeed(_ e: Entry) {
        if e.failure != nil { log.notice("output works again", metadata: ["output": "\(e.sink.name)", "waiting": "\(e.waiting.count)"]) }
        e.failure = nil
        e.pause = SinkSet.firstPause
        e.nextTry = 0
    }

    private func fail(_ e: Entry, _ reason: String) {
        if e.failure == nil {
            log.error(
                "output failed; its alerts wait and are offered again", metadata: ["output": "\(e.sink.name)", "reason": "\(reason)"])
        }
        e.failure = reason
        e.nextTry = WallClock.monotonic + e.pause
        e.pause = min(2 * e.pause, SinkSet.longestPause)
    }

    /// Goes on with what waits. Throws only if the outbox cannot be read (damaged state).
    func pump() throws {
        let now = WallClock.monotonic
        for e in entries {
            collect(e)
            bound(e)
            guard e.inFlight == 0, !e.waiting.isEmpty, now >= e.nextTry else { continue }
            if e.sink.isRemote { try launch(e) } else { try write(e) }
        }
    }

    private func next(_ e: Entry) throws -> [Alert] { try e.waiting.prefix(SinkSet.slice).flatMap { try AlertCodec.decode($0.bytes) } }

    private func write(_ e: Entry) throws {
        while !e.waiting.isEmpty {
            let alerts = try next(e)
            do {
                try e.sink.deliver(alerts)
                e.delivered += alerts.count
                remove(alerts.count, of: e)
            } catch {
                let n = (error as? SinkError)?.delivered ?? 0
                e.delivered += n
                remove(n, of: e)
                return fail(e, "\(error)")
            }
        }
        succeed(e)
    }

    private func launch(_ e: Entry) throws {
        let alerts = try next(e)
        let outcome = Outcome()
        e.inFlight = alerts.count
        e.outcome = outcome
        // The sink is left alone until the outcome is there.
        let sink = Unchecked(e.sink)
        network.async {
            var done = (delivered: alerts.count, failure: String?.none)
            do { try sink.value.deliver(alerts) } catch { done = ((error as? SinkError)?.delivered ?? 0, "\(error)") }
            outcome.result.withLock { $0 = done }
            outcome.done.signal()
        }
    }

    private func collect(_ e: Entry) {
        guard let result = e.outcome?.result.withLock({ $0 }) else { return }
        e.outcome = nil
        e.inFlight = 0
        e.delivered += result.delivered
        remove(result.delivered, of: e)
        if let failure = result.failure { fail(e, failure) } else { succeed(e) }
    }

    /// Lets deliveries that are under way come to an end, and the outputs that work take what waits, until this says that it is over.
    func drain(isOver: () -> Bool) throws {
        while true {
            try pump()
            guard let outcome = entries.first(where: { $0.inFlight > 0 })?.outcome else { return }
            while outcome.done.wait(timeout: .now() + .milliseconds(20)) != .success { if isOver() { return } }
        }
    }

    // MARK: State

    var waitingCount: Int { entries.reduce(0) { $0 + $1.waiting.count } }
    /// A delivery is under way.
    var isBusy: Bool { entries.contains { $0.inFlight > 0 } }
    var hasChanges: Bool { entries.contains(where: \.changed) }
    /// The output for which reading must pause.
    var blocking: String? { limits.whenFull == .pause ? entries.first(where: isFull)?.sink.name : nil }

    /// Reopens what can be; an output that is being delivered to is not open twice.
    func reopen() {
        for e in entries where e.inFlight == 0 {
            do { try e.sink.reopen() } catch {
                log.error("cannot reopen output", metadata: ["output": "\(e.sink.name)", "reason": "\(error)"])
            }
        }
    }

    /// What the next checkpoint must say of the outputs.
    func checkpoint() -> (marks: [String: FileMark], outbox: [OutboxDelta]) {
        var marks: [String: FileMark] = [:]
        var outbox: [OutboxDelta] = []
        for e in entries {
            if !e.sink.isRemote {
                do { try e.sink.flush() } catch {
                    log.error("output cannot be brought to the disk", metadata: ["output": "\(e.sink.name)", "reason": "\(error)"])
                }
                if let m = e.sink.mark { marks[e.sink.name] = FileMark(inode: m.inode, length: m.length) }
            }
            guard e.changed else { continue }
            outbox.append(OutboxDelta(sink: e.sink.name, takenThrough: e.taken, added: e.waiting.filter { $0.number > e.stored }))
            e.stored = e.last
            e.changed = false
        }
        return (marks, outbox)
    }

    /// For `vedette status`.
    var status: Dynamic {
        .array(
            entries.map { e in
                .object([
                    .init("name", .string(e.sink.name)), .init("waiting", .long(Int64(e.waiting.count))),
                    .init("waiting_bytes", .long(Int64(e.bytes))), .init("delivered", .long(Int64(e.delivered))),
                    .init("dropped", .long(Int64(e.dropped))), .init("full", .bool(isFull(e))),
                    .init("failure", e.failure.map { .string($0) } ?? .null),
                ])
            })
    }
}
