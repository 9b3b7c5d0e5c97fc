import CKernels
import Columnar
import Detection
import Dispatch
import Evaluation
import Glibc
import Ingest
import KQL
import Logging
import Matcher
import Pipeline
import Sinks
import Storage
import Synchronization
import Tables

/// What asks the daemon to stop or to reload: set from signal handlers, read by the loop.
public final class DaemonControl: Sendable {
    private let stop = Atomic<Bool>(false)
    private let reload = Atomic<Bool>(false)
    public init() {}
    public func requestStop() { stop.store(true, ordering: .relaxed) }
    public func requestReload() { reload.store(true, ordering: .relaxed) }
    public var isStopping: Bool { stop.load(ordering: .relaxed) }
    func takeReload() -> Bool { reload.exchange(false, ordering: .relaxed) }
}

/// How a run ended.
public struct DaemonOutcome: Sendable {
    public let deadLetters: UInt64
    public let alerts: Int
}

/// `vedette run`: follows its inputs, detects, and keeps its state.
///
/// One loop on one thread owns tails, engine, sinks and store; only the way from chunk to survivors runs on several threads. A checkpoint
/// is taken between rounds, when every accepted chunk is in the engine and none is under way: that is the barrier.
public final class Daemon {
    private let configuration: VedetteConfiguration
    private let log: Logger
    private let control: DaemonControl
    private let store: StateStore
    private let lock: DirectoryLock
    private let loadRules: () throws -> RuleBook
    private let exitWhenIdle: Bool

    private var book: RuleBook
    private let engine: DetectionEngine
    private let sinks: SinkSet
    private let deadLetters: DeadLetterFile
    private var normalizer: Normalizer
    private var processors: [ChunkProcessor] = []
    private var chunks: [Chunk] = []
    private var sources: [String: SourceState] = [:]
    private var dirtyStreams: Set<String> = []
    private var pendingAlerts: [Alert] = []
    private var bytesSinceCheckpoint = 0
    private var lastCheckpoint = WallClock.monotonic
    private var lastStatus: Int64 = 0
    private var lastHeartbeat = WallClock.monotonic
    private var totals = (records: 0, rows: 0, raw: 0, alerts: 0, dead: UInt64(0))
    private var retired = MatchCounters()

    private struct SourceState {
        var stream: StreamState
        var clock: SourceClock
        var tables: Set<String> = []
        var lastData: Int64
        var records: UInt64 = 0
        var isIdle = false
        var path: String
        var warnedUnrecognized = false
    }

    /// Prepares everything: lock, state, rules, outputs. `loadRules` is called again at each SIGHUP.
    public init(
        configuration: VedetteConfiguration, log: Logger, control: DaemonControl, exitWhenIdle: Bool,
        loadRules: @escaping () throws -> RuleBook
    ) throws {
        self.configuration = configuration
        self.log = log
        self.control = control
        self.loadRules = loadRules
        self.exitWhenIdle = exitWhenIdle
        lock = try DirectoryLock(directory: configuration.stateDirectory)
        store = try StateStore(directory: configuration.stateDirectory)
        book = try loadRules()
        var options = DetectionOptions()
        options.mode = configuration.mode
        options.coldRaise = configuration.coldRaise
        engine = try DetectionEngine(book.programs, options: options, functions: book.functions, lateness: configuration.latenessOf)
        try engine.restore(try store.savedState())
        var outputs: [(sink: any AlertSink, waiting: [Alert])] = []
        for o in configuration.outputs.isEmpty ? [VedetteConfiguration.Output(kind: .stdout, format: .jsonl)] : configuration.outputs {
            let sink: any AlertSink
            switch o.kind {
            case .stdout: sink = StandardOutputSink(format: o.format)
            case .file(let path):
                sink = try FileSink(path: path, format: o.format, committed: try store.sinkLength("file:" + path))
            case .syslog(let address): sink = SyslogSink(address: address)
            }
            let waiting = try store.outbox(sink.name).map { try AlertCodec.decode($0) } ?? []
            outputs.append((sink, waiting))
        }
        sinks = SinkSet(outputs, log: log)
        deadLetters = DeadLetterFile(
            path: configuration.deadLetterPath ?? configuration.stateDirectory + "/dead-letter.jsonl",
            maximumBytes: configuration.deadLetterBytes, maximumFiles: configuration.deadLetterFiles)
        normalizer = ChunkProcessor.normalizer(for: engine.ruleSet, catalog: book.catalog)
        makeProcessors()
    }

    private func makeProcessors() {
        for p in processors { retired.add(p.counters) }
        var options = NormalizerOptions()
        options.maximumDepth = configuration.limits.depth
        normalizer = ChunkProcessor.normalizer(for: engine.ruleSet, catalog: book.catalog, options: options)
        let n = configuration.effectiveThreads
        processors = (0..<n).map { _ in ChunkProcessor(rules: engine.ruleSet, normalizer: normalizer) }
        while chunks.count < n { chunks.append(Chunk()) }
    }

    // MARK: The loop

    /// Runs until the input ends or a stop is asked for. Throws on problems that leave nothing to do (state cannot be written).
    public func run() throws -> DaemonOutcome {
        log.notice(
            "vedette starts",
            metadata: ["rules": "\(engine.programs.count)", "state": "\(configuration.stateDirectory)", "threads": "\(processors.count)"])
        if configuration.readsStandardInput { try runPipe() } else { try runTail() }
        log.notice(
            "vedette stops",
            metadata: ["records": "\(totals.records)", "alerts": "\(totals.alerts)", "dead_letters": "\(totals.dead)"])
        return DaemonOutcome(deadLetters: totals.dead, alerts: totals.alerts)
    }

    private func runPipe() throws {
        let control = self.control
        let reader = RecordReader(PipeInput(isCancelled: { control.isStopping }), limits: configuration.limits)
        reader.returnsEarly = true
        source("-", path: "-", table: nil, watermark: nil)
        Notify.send("READY=1\nSTATUS=reading standard input")
        var ended = false
        while !ended {
            try housekeeping()
            switch try reader.next(into: chunks[0], final: true) {
            case .chunk:
                let result = try processChunk(0, id: "-")
                accept(result, id: "-", path: "-")
                settle()
            case .waiting: break
            case .ended: ended = true
            }
            try checkpointIfDue(streams: [])
        }
        if !control.isStopping { handle(engine.finish()) }
        Notify.send("STOPPING=1")
        try checkpoint(streams: [], final: true)
    }

    private func runTail() throws {
        let log = self.log
        let tails = TailSet(
            specs: configuration.inputs, startAt: configuration.startAt, limits: configuration.limits,
            saved: configuration.checkpoints ? try store.streams().map(\.saved) : []
        ) { Daemon.report($0, log) }
        tails.scan()
        for s in tails.streams { dirtyStreams.insert(s.id) }
        try checkpoint(streams: tails.streams, final: false)
        Notify.send("READY=1\nSTATUS=following \(tails.streams.count) files")
        var lastScan = WallClock.monotonic
        var quietRounds = 0
        while !control.isStopping {
            try housekeeping()
            let now = WallClock.monotonic
            if now - lastScan >= KustoTime.ticksPerSecond {
                tails.scan()
                lastScan = now
            }
            let worked = try round(tails)
            let finished = tails.removeFinished()
            if !finished.isEmpty {
                for s in finished {
                    dirtyStreams.insert(s.id)
                    if s.isFinished { sources[s.id] = nil }
                }
                try checkpoint(streams: finished, final: false)
            }
            settle()
            try checkpointIfDue(streams: tails.streams)
            if worked {
                quietRounds = 0
                continue
            }
            quietRounds += 1
            if exitWhenIdle, quietRounds > 3, tails.streams.allSatisfy({ $0.lag == 0 }) { break }
            if tails.wait(milliseconds: 200) {
                tails.scan()
                lastScan = WallClock.monotonic
            }
        }
        Notify.send("STOPPING=1")
        if exitWhenIdle, !control.isStopping { handle(engine.finish()) }
        try checkpoint(streams: tails.streams, final: true)
    }

    /// One chunk of every stream that has data, in parallel. True if there was any.
    private func round(_ tails: TailSet) throws -> Bool {
        var ready: [TailedStream] = []
        for s in tails.streams where s.lag > 0 || s.isClosing { ready.append(s) }
        guard !ready.isEmpty else { return false }
        var worked = false
        var next = 0
        while next < ready.count, !control.isStopping {
            let slice = Array(ready[next..<min(ready.count, next + processors.count)])
            next += slice.count
            // Reading is part of the parallel work; each stream is touched by one thread.
            let results = Mutex<[Int: Result<ChunkResult, any Error>]>([:])
            for s in slice where sources[s.id] == nil {
                source(s.id, path: s.path, table: s.table, watermark: s.watermark > 0 ? s.watermark : nil)
            }
            let states = Mutex(slice.map { sources[$0.id]?.stream })
            let shared = Unchecked((slice: slice, processors: processors, chunks: chunks))
            let work: @Sendable (Int) -> Void = { i in
                let (slice, processors, chunks) = (shared.value.slice, shared.value.processors, shared.value.chunks)
                let outcome = Result<ChunkResult, any Error> {
                    guard try slice[i].next(into: chunks[i]) == .chunk, var stream = states.withLock({ $0[i] }) else {
                        return ChunkResult()
                    }
                    let r = try processors[i].process(chunks[i], stream: &stream)
                    states.withLock { $0[i] = stream }
                    return r
                }
                results.withLock { $0[i] = outcome }
            }
            if slice.count == 1 { work(0) } else { DispatchQueue.concurrentPerform(iterations: slice.count, execute: work) }
            let outcomes = results.withLock { $0 }
            let after = states.withLock { $0 }
            for (i, s) in slice.enumerated() {
                if let stream = after[i] { sources[s.id]?.stream = stream }
                switch outcomes[i] {
                case .success(let r)?:
                    if r.compressedBytes > 0 || r.records > 0 || !r.problems.isEmpty {
                        worked = true
                        accept(r, id: s.id, path: s.path)
                        s.deadLetters += UInt64(r.problems.count)
                        s.watermark = sources[s.id]?.clock.watermark ?? 0
                        dirtyStreams.insert(s.id)
                    }
                case .failure(let error as IngestError)?:
                    log.error("cannot read", metadata: ["path": "\(s.path)", "reason": "\(error)"])
                    s.abandon()
                case .failure(let error)?: throw error
                case nil: break
                }
            }
        }
        return worked
    }

    private func processChunk(_ i: Int, id: String) throws -> ChunkResult {
        guard var stream = sources[id]?.stream else { return ChunkResult() }
        let r = try processors[i].process(chunks[i], stream: &stream)
        sources[id]?.stream = stream
        return r
    }

    private func source(_ id: String, path: String, table: String?, watermark: Int64?) {
        var stream = normalizer.stream(path: path, table: table)
        stream.lastTime = watermark ?? 0
        sources[id] = SourceState(stream: stream, clock: SourceClock(watermark: watermark), lastData: WallClock.monotonic, path: path)
    }

    private func accept(_ r: ChunkResult, id: String, path: String) {
        totals.records += r.records
        totals.rows += r.rows
        totals.raw += r.rawBytes
        totals.dead += UInt64(r.problems.count)
        bytesSinceCheckpoint += r.rawBytes
        for p in r.problems { deadLetters.append(DeadLetter(source: path, problem: p)) }
        for (table, t) in r.times {
            engine.observe(table: table, least: t.least, greatest: t.greatest)
            sources[id]?.tables.insert(table)
        }
        for t in r.clockTimes { sources[id]?.clock.observe(t) }
        sources[id]?.records += UInt64(r.records)
        sources[id]?.lastData = WallClock.monotonic
        sources[id]?.isIdle = false
        if let s = sources[id], !s.warnedUnrecognized, s.stream.recognized == 0, s.stream.unrecognized > 0 {
            sources[id]?.warnedUnrecognized = true
            log.warning(
                "no record was recognised; name the table of this input if its rows belong to one",
                metadata: ["path": "\(path)", "custom_table": "\(s.stream.customTable)"])
        }
        handle(engine.accept(r.survivors))
    }

    /// Lets event time move on: final ticks, then what monotone rules can raise early.
    private func settle() {
        let now = WallClock.monotonic
        for (id, s) in sources where !s.isIdle && now - s.lastData > configuration.idleTimeout {
            sources[id]?.isIdle = true
            log.info("source is idle and holds nobody back", metadata: ["path": "\(s.path)"])
        }
        handle(engine.advance { table in watermark(of: table) })
        if configuration.mode == .streaming { handle(engine.raiseEarly()) }
    }

    private func watermark(of table: String) -> Int64? {
        var least: Int64?
        var idle: Int64?
        for s in sources.values where s.tables.contains(table) {
            guard let mark = s.clock.watermark else { continue }
            if s.isIdle { idle = max(idle ?? mark, mark) } else { least = min(least ?? mark, mark) }
        }
        if let least { return least }
        guard let idle else { return nil }
        // Everybody is silent: wall time takes over, if the logs are about the present at all.
        let wall = WallClock.now
        return wall - idle < 7 * KustoTime.ticksPerDay ? max(idle, wall - configuration.idleTimeout) : idle
    }

    private func handle(_ events: [AlertEvent]) {
        guard !events.isEmpty else { return }
        for e in events {
            if e.notifies { totals.alerts += e.alert.revision == 1 ? 1 : 0 }
            pendingEvents.append(e)
        }
    }
    private var pendingEvents: [AlertEvent] = []

    // MARK: Checkpoints

    private func checkpointIfDue(streams: [TailedStream]) throws {
        let now = WallClock.monotonic
        let due = now - lastCheckpoint >= configuration.checkpointInterval || bytesSinceCheckpoint >= 64 << 20
        // A new alert asks for a barrier at once.
        guard !pendingEvents.isEmpty || (due && (!dirtyStreams.isEmpty || bytesSinceCheckpoint > 0)) || sinks.waitingCount > 0 else {
            return
        }
        try checkpoint(streams: streams, final: false)
    }

    private func checkpoint(streams: [TailedStream], final: Bool) throws {
        let events = pendingEvents
        pendingEvents = []
        sinks.deliver(events.filter(\.notifies).map(\.alert))
        var c = Checkpoint()
        let wall = WallClock.now
        if configuration.checkpoints {
            c.delta = engine.checkpointDelta()
            for s in streams where dirtyStreams.contains(s.id) { c.streams.append(StreamRecord(s, records: sources[s.id]?.records ?? 0)) }
        }
        c.alerts = events.map(\.alert)
        (c.sinkLengths, c.outbox) = sinks.checkpoint()
        if final || wall - lastStatus > 5 * KustoTime.ticksPerSecond {
            c.status = status(streams)
            lastStatus = wall
        }
        try store.commit(c, now: wall)
        engine.checkpointed()
        dirtyStreams.subtract(streams.map(\.id))
        bytesSinceCheckpoint = 0
        lastCheckpoint = WallClock.monotonic
    }

    // MARK: Housekeeping

    private func housekeeping() throws {
        if control.takeReload() { reload() }
        let now = WallClock.monotonic
        Notify.watchdog(now)
        guard now - lastHeartbeat >= KustoTime.ticksPerMinute else { return }
        lastHeartbeat = now
        var lag = 0
        for s in sources.values { lag = max(lag, Int((WallClock.now - (s.clock.watermark ?? WallClock.now)) / KustoTime.ticksPerSecond)) }
        log.info(
            "heartbeat",
            metadata: [
                "sources": "\(sources.count)", "records": "\(totals.records)", "raw_mb": "\(totals.raw / 1_000_000)",
                "alerts": "\(totals.alerts)", "dead_letters": "\(totals.dead)",
                "retained_rows": "\(engine.figures.reduce(0) { $0 + $1.retainedRows })",
                "event_time_lag_s": "\(lag)", "memory_mb": "\(vk_resident_bytes() / 1_000_000)", "outbox": "\(sinks.waitingCount)",
            ])
        for f in engine.figures {
            if let failure = f.failure { log.error("rule failed", metadata: ["rule": "\(f.name)", "reason": "\(failure)"]) }
        }
        if let problem = deadLetters.failure { log.error("dead letters cannot be written", metadata: ["reason": "\(problem)"]) }
        if let keep = configuration.alertRetention { _ = try store.prune(alertsBefore: WallClock.now - keep) }
    }

    private func reload() {
        Notify.send("RELOADING=1\nMONOTONIC_USEC=\(WallClock.monotonic / 10)")
        defer { Notify.send("READY=1") }
        sinks.reopen()
        deadLetters.reopen()
        do {
            let fresh = try loadRules()
            guard fresh.refused.isEmpty else {
                for r in fresh.refused {
                    log.error(
                        "rule is not valid; the old rules stay in force", metadata: ["file": "\(r.file)", "reason": "\(r.firstError)"])
                }
                return
            }
            try engine.reload(fresh.programs)
            book = fresh
            makeProcessors()
            for id in sources.keys {
                guard let old = sources[id] else { continue }
                var stream = normalizer.stream(path: old.path, table: old.stream.configuredTable)
                stream.lastTime = old.stream.lastTime
                stream.recognized = old.stream.recognized
                stream.unrecognized = old.stream.unrecognized
                sources[id]?.stream = stream
            }
            log.notice("rules reloaded", metadata: ["rules": "\(fresh.programs.count)"])
        } catch {
            log.error("reload failed; the old rules stay in force", metadata: ["reason": "\(error)"])
        }
    }

    private static func report(_ e: TailEvent, _ log: Logger) {
        switch e {
        case .opened(let path, let from): log.info("following", metadata: ["path": "\(path)", "from": "\(from)"])
        case .rotated(let from, let to): log.info("rotated", metadata: ["from": "\(from)", "to": "\(to)"])
        case .truncated(let path): log.notice("file was truncated; reading it from its beginning", metadata: ["path": "\(path)"])
        case .finished(let path): log.info("finished", metadata: ["path": "\(path)"])
        case .unreadable(let path, let reason): log.warning("cannot read", metadata: ["path": "\(path)", "reason": "\(reason)"])
        case .noMatch(let pattern): log.warning("no file matches (yet)", metadata: ["pattern": "\(pattern)"])
        }
    }

    /// The JSON that `vedette status` prints.
    private func status(_ streams: [TailedStream]) -> String {
        func time(_ t: Int64?) -> Dynamic { t.map { $0 > 0 ? .string(KustoTime.isoString($0)) : .null } ?? .null }
        let sourceList: [Dynamic] = sources.sorted { $0.value.path < $1.value.path }.map { id, s in
            let stream = streams.first { $0.id == id }
            return .object([
                .init("path", .string(s.path)), .init("position", .long(Int64(clamping: stream?.reader.rawOffset ?? 0))),
                .init("lag_bytes", .long(Int64(clamping: stream?.lag ?? 0))), .init("records", .long(Int64(clamping: s.records))),
                .init("dead_letters", .long(Int64(clamping: stream?.deadLetters ?? 0))), .init("event_time", time(s.clock.watermark)),
                .init("future_times", .long(Int64(s.clock.futureTimes))), .init("idle", .bool(s.isIdle)),
                .init("tables", .array(s.tables.sorted().map { .string($0) })),
            ])
        }
        let rules: [Dynamic] = engine.figures.map { f in
            .object([
                .init("id", .string(f.id)), .init("name", .string(f.name)), .init("retained_rows", .long(Int64(f.retainedRows))),
                .init("evidence_bytes", .long(Int64(f.evidenceBytes))), .init("open_alerts", .long(Int64(f.openEpisodes))),
                .init("late_rows", .long(Int64(f.lateRows))), .init("held_ticks", .long(Int64(f.heldTicks))),
                .init("suppressed", .long(Int64(f.suppressedOpenings))), .init("evaluations", .long(Int64(f.evaluations))),
                .init("last_alert", time(f.lastAlert)), .init("failure", f.failure.map { .string($0) } ?? .null),
            ])
        }
        var counters = retired
        for p in processors { counters.add(p.counters) }
        let o: Dynamic = .object([
            .init("written", time(WallClock.now)), .init("pid", .long(Int64(getpid()))), .init("records", .long(Int64(totals.records))),
            .init("rows", .long(Int64(totals.rows))), .init("raw_bytes", .long(Int64(totals.raw))),
            .init("dead_letters", .long(Int64(clamping: totals.dead))), .init("alerts", .long(Int64(totals.alerts))),
            .init("outbox", .long(Int64(sinks.waitingCount))), .init("sources", .array(sourceList)), .init("rules", .array(rules)),
            .init(
                "matcher",
                .object([
                    .init("batches", .long(counters.batches)), .init("atom_kernels", .long(counters.atomKernels)),
                    .init("values_tested", .long(counters.valuesTested)), .init("memo_hits", .long(counters.memoHits)),
                    .init("residual_rows", .long(counters.residualRows)), .init("survivors", .long(counters.survivors)),
                ])),
        ])
        return JSONText.compact(o)
    }
}

extension StreamRecord {
    init(_ s: TailedStream, records: UInt64) {
        let saved = TailSet.saved(s)
        self.init(
            id: s.id, path: s.path, device: saved.device, inode: saved.inode, resume: saved.resume, records: records,
            deadLetters: s.deadLetters, watermark: s.watermark, size: s.input.size, isFinished: s.isFinished, headHash: saved.headHash,
            headLength: saved.headLength)
    }

    var saved: SavedStream {
        SavedStream(
            id: id, path: path, device: device, inode: inode, resume: resume, isFinished: isFinished, headHash: headHash,
            headLength: headLength, deadLetters: deadLetters, watermark: watermark)
    }
}

/// sd_notify: readiness, status and watchdog for systemd; silent elsewhere.
enum Notify {
    static func send(_ message: String) {
        guard let socket = getenv("NOTIFY_SOCKET") else { return }
        _ = vk_sd_notify(socket, message)
    }

    private static let lastBeat = Atomic<Int64>(0)

    /// Sends WATCHDOG=1 at a third of the interval that systemd asks for.
    static func watchdog(_ now: Int64) {
        guard let text = getenv("WATCHDOG_USEC"), let microseconds = Int64(String(cString: text)), microseconds > 0 else { return }
        guard now - lastBeat.load(ordering: .relaxed) > microseconds * 10 / 3 else { return }
        lastBeat.store(now, ordering: .relaxed)
        send("WATCHDOG=1")
    }
}

/// Carries a value into concurrent code that touches each part from one thread only (said at the use).
struct Unchecked<T>: @unchecked Sendable {
    let value: T
    init(_ value: T) { self.value = value }
}
