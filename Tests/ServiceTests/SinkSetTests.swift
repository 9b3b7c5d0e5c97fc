import Columnar
import Glibc
import Logging
import Rules
import Sinks
import Storage
import Synchronization
import Testing

@testable import Detection
@testable import Service

/// A sink that does as it is told.
final class FakeSink: AlertSink {
    enum Behaviour { case takes, fails, takesSome(Int), hangs }
    private struct State {
        var behaviour: Behaviour
        var taken: [String] = []
        var calls = 0
    }
    private let state: Mutex<State>
    let name: String
    let isRemote: Bool

    init(_ behaviour: Behaviour, isRemote: Bool, name: String = "fake") {
        state = Mutex(State(behaviour: behaviour))
        self.isRemote = isRemote
        self.name = name
    }

    var taken: [String] { state.withLock(\.taken) }
    var calls: Int { state.withLock(\.calls) }
    func become(_ b: Behaviour) { state.withLock { $0.behaviour = b } }

    func deliver(_ alerts: [Alert]) throws {
        let b = state.withLock { s in
            s.calls += 1
            return s.behaviour
        }
        var n = alerts.count
        switch b {
        case .takes: break
        case .fails: n = 0
        case .takesSome(let some): n = min(n, some)
        case .hangs: while case .hangs = state.withLock({ $0.behaviour }) { usleep(5000) }
        }
        state.withLock { $0.taken += alerts.prefix(n).map(\.id) }
        if n < alerts.count || { if case .fails = b { true } else { false } }() { throw SinkError("planted", delivered: n) }
    }
}

@Suite struct SinkSetTests {
    static func alert(_ id: Int, bytes: Int = 0) -> Alert {
        Alert(
            id: "\(id)", revision: 1, status: .open, ruleID: "r", ruleName: "rule", ruleVersion: nil, name: "n",
            description: String(repeating: "d", count: bytes), severity: .low, tactics: [], techniques: [], entities: [], details: [],
            startTime: 1, endTime: 2, firstTick: 3, lastTick: 3, period: 1, frequency: 1, isWindowComplete: true, isHistoryComplete: true,
            resultCount: 1, eventCount: 1, evidence: [], groupKey: "g")
    }

    static let log: Logger = {
        var l = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        l.logLevel = .critical
        return l
    }()

    static func set(_ sinks: [FakeSink], waiting: [[OutboxItem]]? = nil, _ change: (inout OutboxLimits) -> Void = { _ in }) -> SinkSet {
        var limits = OutboxLimits()
        change(&limits)
        return SinkSet(zip(sinks, waiting ?? sinks.map { _ in [] }).map { ($0, $1) }, limits: limits, log: log)
    }

    /// Pumps until something holds, three seconds at most.
    static func pump(_ s: SinkSet, until done: () -> Bool) throws {
        for _ in 0..<300 where !done() {
            try s.pump()
            usleep(10_000)
        }
    }

    static func ids(_ r: ClosedRange<Int>) -> [String] { r.map(String.init) }
    static func field(_ s: SinkSet, _ key: String, of i: Int = 0) -> Dynamic? {
        if case .array(let a) = s.status { a[i][key] } else { nil }
    }

    @Test func aWorkingFileNeedsNoOutbox() throws {
        let sink = FakeSink(.takes, isRemote: false)
        let s = SinkSetTests.set([sink])
        try s.deliver((1...5).map { SinkSetTests.alert($0) })
        #expect(sink.taken == SinkSetTests.ids(1...5) && s.waitingCount == 0 && !s.hasChanges && s.checkpoint().outbox.isEmpty)
        #expect(SinkSetTests.field(s, "delivered") == .long(5) && s.blocking == nil)
    }

    /// Every state of the outbox that a crash may find gives all alerts, in order, at least once.
    @Test(arguments: [false, true]) func whatIsNotTakenWaitsInTheDatabase(_ isRemote: Bool) throws {
        let f = try Folder()
        let store = try StateStore(directory: f.path)
        func commit(_ s: SinkSet) throws {
            var c = Checkpoint()
            (c.fileMarks, c.outbox) = s.checkpoint()
            try store.commit(c, now: 1)
        }
        func stored() throws -> [String] { try store.outbox("fake").flatMap { try AlertCodec.decode($0.bytes).map(\.id) } }

        let sink = FakeSink(.takesSome(2), isRemote: isRemote)
        let s = SinkSetTests.set([sink])
        try s.deliver((1...5).map { SinkSetTests.alert($0) })
        try commit(s)
        try SinkSetTests.pump(s) { sink.calls > 0 && !s.isBusy }
        try s.pump()
        try commit(s)
        #expect(sink.taken == ["1", "2"] && s.waitingCount == 3)
        #expect(try stored() == SinkSetTests.ids(3...5))
        // More come while it is down; only they are written.
        sink.become(.fails)
        try s.deliver([SinkSetTests.alert(6)])
        let delta = s.checkpoint().outbox
        #expect(delta.count == 1 && delta.first?.added.count == 1 && delta.first?.takenThrough == (isRemote ? 2 : 0))
        try store.commit(
            {
                var c = Checkpoint(); c.outbox = delta; return c
            }(), now: 2)
        #expect(try stored() == SinkSetTests.ids(3...6))

        // The process dies; the next one goes on.
        let again = FakeSink(.takes, isRemote: isRemote)
        let t = SinkSetTests.set([again], waiting: [try store.outbox("fake")])
        #expect(t.waitingCount == 4)
        try t.deliver([SinkSetTests.alert(7)])
        try SinkSetTests.pump(t) { t.waitingCount == 0 }
        #expect(again.taken == SinkSetTests.ids(3...7))
        try store.commit(
            {
                var c = Checkpoint(); c.outbox = t.checkpoint().outbox; return c
            }(), now: 3)
        #expect(try stored().isEmpty)
        // Numbers begin anew without harm.
        let third = FakeSink(.fails, isRemote: isRemote)
        let u = SinkSetTests.set([third], waiting: [try store.outbox("fake")])
        try u.deliver([SinkSetTests.alert(8)])
        try store.commit(
            {
                var c = Checkpoint(); c.outbox = u.checkpoint().outbox; return c
            }(), now: 4)
        #expect(try stored() == ["8"])
    }

    @Test func triesAgainAfterAPauseThatGrows() throws {
        let sink = FakeSink(.fails, isRemote: false)
        let s = SinkSetTests.set([sink])
        try s.deliver([SinkSetTests.alert(1)])
        let start = WallClock.monotonic
        while WallClock.monotonic - start < 3 * KustoTime.ticksPerSecond / 2 {
            try s.pump()
            usleep(5000)
        }
        // At once, after half a second, and not yet again after another.
        #expect(sink.calls == 2)
        #expect(SinkSetTests.field(s, "failure") == .string("planted"))
        sink.become(.takes)
        try SinkSetTests.pump(s) { s.waitingCount == 0 }
        #expect(sink.taken == ["1"] && SinkSetTests.field(s, "failure") == .null)
    }

    @Test func aSlowServerHoldsUpNobody() throws {
        let slow = FakeSink(.hangs, isRemote: true, name: "slow")
        let fast = FakeSink(.takes, isRemote: true, name: "fast")
        let file = FakeSink(.takes, isRemote: false, name: "file")
        let s = SinkSetTests.set([slow, fast, file])
        try s.deliver([SinkSetTests.alert(1)])
        #expect(file.taken == ["1"] && s.isBusy)
        try SinkSetTests.pump(s) { !fast.taken.isEmpty }
        #expect(fast.taken == ["1"] && slow.taken.isEmpty)
        try s.deliver([SinkSetTests.alert(2)])
        slow.become(.takes)
        try s.drain { false }
        #expect(slow.taken == ["1", "2"] && fast.taken == ["1", "2"] && s.waitingCount == 0)
    }

    @Test func drainingDoesNotWaitForADeadServer() throws {
        let sink = FakeSink(.hangs, isRemote: true)
        let s = SinkSetTests.set([sink])
        try s.deliver([SinkSetTests.alert(1)])
        let start = WallClock.monotonic
        try s.drain { WallClock.monotonic - start > KustoTime.ticksPerSecond / 5 }
        #expect(s.waitingCount == 1 && s.isBusy && sink.taken.isEmpty)
        sink.become(.takes)
    }

    @Test func aFullOutboxBlocksByDefault() throws {
        let sink = FakeSink(.fails, isRemote: false)
        let s = SinkSetTests.set([sink]) { $0.alerts = 10 }
        for i in 1...10 { try s.deliver([SinkSetTests.alert(i)]) }
        #expect(s.blocking == nil)
        try s.deliver([SinkSetTests.alert(11)])
        #expect(s.blocking == "fake" && SinkSetTests.field(s, "full") == .bool(true))
        // What is raised all the same is kept: the bound is for reading.
        try s.deliver([SinkSetTests.alert(12)])
        #expect(s.waitingCount == 12 && SinkSetTests.field(s, "dropped") == .long(0))
        sink.become(.takes)
        try SinkSetTests.pump(s) { s.blocking == nil }
        #expect(s.blocking == nil && sink.taken == SinkSetTests.ids(1...12))
    }

    @Test func bytesCountToo() throws {
        let s = SinkSetTests.set([FakeSink(.fails, isRemote: false)]) { $0.bytes = 10_000 }
        try s.deliver([SinkSetTests.alert(1, bytes: 6000)])
        #expect(s.blocking == nil)
        try s.deliver([SinkSetTests.alert(2, bytes: 6000)])
        #expect(s.blocking == "fake")
    }

    @Test(arguments: [false, true]) func theOldestCanBeGivenUp(_ isRemote: Bool) throws {
        let sink = FakeSink(.fails, isRemote: isRemote)
        let s = SinkSetTests.set([sink]) {
            $0.alerts = 10
            $0.whenFull = .dropOldest
        }
        for i in 1...25 { try s.deliver([SinkSetTests.alert(i)]) }
        try SinkSetTests.pump(s) { !s.isBusy && s.waitingCount == 10 }
        #expect(s.blocking == nil && s.waitingCount == 10 && SinkSetTests.field(s, "dropped") == .long(15))
        let delta = s.checkpoint().outbox
        #expect(delta.first?.takenThrough == 15 && delta.first?.added.map(\.number) == Array(16...25))
        sink.become(.takes)
        try SinkSetTests.pump(s) { s.waitingCount == 0 }
        #expect(sink.taken == SinkSetTests.ids(16...25))
    }

    @Test func aLongBacklogGoesInSlicesAndInOrder() throws {
        let sink = FakeSink(.fails, isRemote: true)
        let s = SinkSetTests.set([sink])
        try s.deliver((1...2000).map { SinkSetTests.alert($0) })
        sink.become(.takes)
        try SinkSetTests.pump(s) { s.waitingCount == 0 }
        #expect(sink.taken == SinkSetTests.ids(1...2000) && sink.calls >= 2000 / SinkSet.slice)
        #expect(SinkSetTests.field(s, "waiting_bytes") == .long(0))
    }
}
