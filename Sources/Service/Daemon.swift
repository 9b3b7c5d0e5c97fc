import CKernels
import Columnar
import Detection
import Dispatch
import Glibc
import Ingest
import Logging
import Matcher
import Pipeline
import Rules
import Sinks
import Storage
import Synchronization
import Tables

/// `vedette run`: follows its inputs, detects, and keeps its state.
///
/// One loop on one thread owns tails, engine, sinks and store; only the way from chunk to survivors runs on several threads. A checkpoint
/// is taken between rounds, when every accepted chunk is in the engine and none is under way: that is the barrier.
public final class Daemon {
    let configuration: VedetteConfiguration
    let log: Logger
    let control: DaemonControl
    let store: StateStore
    private let lock: DirectoryLock
    let loadRules: () throws -> RuleBook
    private let exitWhenIdle: Bool
    let notify = Notify()

    var book: RuleBook
    let engine: DetectionEngine
    let sinks: SinkSet
    let deadLetters: DeadLetterFile
    let lateRecords: LineFile
    var normalizer: Normalizer
    var processors: [ChunkProcessor] = []
    private var chunks: [Chunk] = []
    var sources: [String: SourceState] = [:]
    /// The highest event time that sources which are gone have brought, by table.
    var pastMarks: [String: Int64] = [:]
    /// Nil while standard input is read.
    var tails: TailSet?
    var pendingEvents: [AlertEvent] = []
    /// Something besides records and alerts is to be committed.
    var hasNews = false
    var forgottenRules: Set<String> = []
    var bytesSinceCheckpoint = 0
    var lastCheckpoint = WallClock.monotonic
    var lastStatus: Int64 = 0
    var lastTrim: Int64 = 0
    var lastHeartbeat = WallClock.monotonic
    var totals = Totals()
    var retired = MatchCounters()
    /// By rule id: costs of processors that are gone, and the owners of the legs of those at work.
    var retiredCosts: [String: LegCost] = [:]
    var legOwners: [RuleProgram] = []
    /// By rule id, nanoseconds of its own work when its budget was last looked at; rules that were above it then.
    var lookedAt: (time: Int64, spent: [String: Double]) = (WallClock.monotonic, [:])
    var overBudget: Set<String> = []
    /// Monotonic time since which reading pauses.
    var pausedSince: Int64?
    /// Failures of rules that were logged.
    var reported: [String: String] = [:]

    struct Totals {
        var records = 0
        var rows = 0
        var raw = 0
        var alerts = 0
        var dead: UInt64 = 0
        var late = 0
    }

    struct SourceState {
        var stream: StreamState
        var clock: SourceClock
        var tables: Set<String> = []
        var lastData: Int64
        var records: UInt64 = 0
        var late = 0
        var isIdle = false
        /// Everything was read and the file is gone: it holds nobody back, and is forgotten once it counts as idle.
        var isDone = false
        var path: String
        var warnedUnrecognized = false
    }

    /// Prepares everything: lock, state, outputs. `loadRules` is called at each SIGHUP; `cache` keeps compiled literals.
    public init(
        configuration: VedetteConfiguration, rules book: RuleBook, log: Logger, control: DaemonControl, exitWhenIdle: Bool,
        cache: RuleCache? = nil, loadRules: @escaping () throws -> RuleBook
    ) throws {
        self.configuration = configuration
        self.log = log
        self.control = control
        self.loadRules = loadRules
        self.exitWhenIdle = exitWhenIdle
        self.book = book
        let directory = configuration.stateDirectory
        lock = try DirectoryLock(directory: directory)
        store = try StateStore(directory: directory)
        var options = DetectionOptions()
        options.mode = configuration.mode
        options.coldRaise = configuration.coldRaise
        options.retainedRowsPerRule = configuration.ruleRows
        options.spilledRowsPerRule = configuration.spilledRows
        options.spillDirectory = directory
        options.evidenceBudget = configuration.evidenceBytes
        options.limits = configuration.queryLimits
        engine = try DetectionEngine(
            book.programs, options: options, functions: book.functions, literals: cache, lateness: configuration.latenessOf)
        try engine.restore(try store.savedState())
        try store.retire(rulesExcept: Set(engine.programs.map(\.fingerprint)), now: WallClock.now, after: 7 * KustoTime.ticksPerDay)
        sinks = SinkSet(try Daemon.outputs(configuration, store, log), limits: configuration.outbox, log: log)
        let letters = configuration.deadLetterPath ?? directory + "/dead-letter.jsonl"
        deadLetters = DeadLetterFile(
            path: letters, maximumBytes: configuration.deadLetterBytes, maximumFiles: configuration.deadLetterFiles)
        let late = configuration.latePath ?? directory + "/late.jsonl"
        guard letters != late else { throw ConfigurationError("dead letters and late records need a file each: \(late)") }
        lateRecords = LineFile(path: late, maximumBytes: configuration.lateBytes, maximumFiles: configuration.lateFiles)
        for file in [deadLetters.file, lateRecords] {
            // What came after the checkpoint comes again from files; from a pipe it does not.
            if !configuration.readsStandardInput, let m = try store.fileMark("lines:" + file.path) {
                file.restore(to: LineFile.Mark(inode: m.inode, length: m.length))
            }
            file.prepare()
        }
        normalizer = ChunkProcessor.normalizer(for: engine.ruleSet, catalog: book.catalog)
        makeProcessors()
    }

    private static func outputs(_ c: VedetteConfiguration, _ store: StateStore, _ log: Logger) throws
        -> [(sink: any AlertSink, waiting: [OutboxItem])]
    {
        var counts = try store.outboxCounts()
        let outputs = try (c.outputs.isEmpty ? [.init(kind: .stdout, format: .jsonl)] : c.outputs).map { o in
            let sink: any AlertSink
            switch o.kind {
            case .stdout: sink = StandardOutputSink(format: o.format)
            case .file(let path):
                let mark = try store.fileMark("file:" + path)
                sink = try FileSink(path: path, format: o.format, committed: mark.map { ($0.inode, $0.length) })
            case .syslog(let address): sink = SyslogSink(address: address)
            }
            counts[sink.name] = nil
            return (sink, try store.outbox(sink.name))
        }
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) {
            log.warning(
                "alerts wait for an output that is not configured any more", metadata: ["output": "\(name)", "alerts": "\(count)"])
        }
        return outputs
    }

    func makeProcessors() {
        for p in processors {
            retired.add(p.counters)
            for (leg, cost) in p.costs where legOwners.indices.contains(leg.rule) {
                retiredCosts[legOwners[leg.rule].rule.id, default: LegCost()].add(cost)
            }
        }
        legOwners = engine.programs
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
        try prune()
        if configuration.readsStandardInput { try runPipe() } else { try runTail() }
        log.notice(
            "vedette stops",
            metadata: ["records": "\(totals.records)", "alerts": "\(totals.alerts)", "dead_letters": "\(totals.dead)"])
        return DaemonOutcome(deadLetters: totals.dead, alerts: totals.alerts)
    }

    private func runPipe() throws {
        let control = self.control
        // Silence on the pipe must not keep the loop from all else.
        let input = PipeInput(patience: 50) { control.isStopping }
        let reader = RecordReader(input, limits: configuration.limits)
        reader.returnsEarly = true
        try source("-", path: "-", table: nil, watermark: nil, lastTime: 0)
        notify.send("READY=1\nSTATUS=reading standard input")
        var ended = false
        while !ended {
            try housekeeping()
            if try pauses() {
                // A stop while reading pauses: what was read is safe, the rest is for the writer to keep.
                if control.isStopping { break }
                continue
            }
            switch try reader.next(into: chunks[0], final: input.hasEnded || control.isStopping) {
            case .chunk:
                let result = try processChunk(0, id: "-")
                accept(result, id: "-", path: "-")
                settle()
            case .waiting: settle()
            case .ended: ended = true
            }
            try checkpointIfDue()
        }
        if !control.isStopping { handle(engine.finish()) }
        try stop()
    }

    private func runTail() throws {
        let log = self.log
        let tails = TailSet(
            specs: configuration.inputs, startAt: configuration.startAt, limits: configuration.limits,
            saved: configuration.checkpoints ? try store.streams().map(\.saved) : [],
            hasHistory: configuration.checkpoints ? try store.hasHistory() : false
        ) { Daemon.report($0, log) }
        tails.remembered = configuration.rememberedFiles
        self.tails = tails
        tails.scan()
        try checkpoint(final: false)
        notify.send("READY=1\nSTATUS=following \(tails.streams.count) files")
        var quietRounds = 0
        while !control.isStopping {
            try housekeeping()
            if try pauses() { continue }
            if tails.wantsScan { tails.scan() }
            let worked = try round(tails)
            for s in tails.removeFinished() {
                hasNews = true
                if s.isFinished { sources[s.id]?.isDone = true }
            }
            settle()
            try checkpointIfDue()
            if worked {
                quietRounds = 0
                continue
            }
            quietRounds += 1
            if exitWhenIdle, quietRounds > 3, tails.streams.allSatisfy({ $0.lag == 0 }) { break }
            _ = tails.wait(milliseconds: sinks.isBusy ? 20 : 200)
        }
        if exitWhenIdle, !control.isStopping {
            for s in tails.streams { noteUnfinished(s) }
            handle(engine.finish())
        }
        try stop()
    }

    /// The input is taken as complete: a record that is begun is reported. The position stays before it, so it is read whole if its end comes.
    private func noteUnfinished(_ s: TailedStream) {
        guard let problem = s.reader.unfinished() else { return }
        deadLetters.append(DeadLetter(source: s.path, problem: problem))
        s.deadLetters += 1
        totals.dead += 1
    }

    /// Drains: what was read is evaluated and committed, and outputs that work get what waits.
    private func stop() throws {
        notify.send("STOPPING=1")
        try checkpoint(final: false)
        let start = WallClock.monotonic
        try sinks.drain { [control] in control.isStopping && WallClock.monotonic - start > 5 * KustoTime.ticksPerSecond }
        try checkpoint(final: true)
    }

    /// Whether an output is so far behind that nothing more may be read; then waits a moment.
    private func pauses() throws -> Bool {
        guard let name = sinks.blocking else {
            guard let since = pausedSince else { return false }
            pausedSince = nil
            lastStatus = 0
            hasNews = true
            // Sources were not silent, they were not asked.
            let pause = WallClock.monotonic - since
            for id in sources.keys { sources[id]?.lastData += pause }
            log.notice("reading goes on", metadata: ["paused_s": "\(pause / KustoTime.ticksPerSecond)"])
            notify.send("STATUS=reading goes on")
            return false
        }
        if pausedSince == nil {
            pausedSince = WallClock.monotonic
            // The status tells it at once.
            lastStatus = 0
            hasNews = true
            notify.send("STATUS=reading pauses: the outbox of \(name) is full")
        }
        try checkpointIfDue()
        usleep(20_000)
        return true
    }

    /// One chunk of every stream that has data, in parallel. True if there was any.
    private func round(_ tails: TailSet) throws -> Bool {
        var ready: [TailedStream] = []
        for s in tails.streams where s.lag > 0 || s.isClosing { ready.append(s) }
        guard !ready.isEmpty else { return false }
        var worked = false
        var next = 0
        while next < ready.count, !control.isStopping, sinks.blocking == nil {
            notify.watchdog(WallClock.monotonic)
            let slice = Array(ready[next..<min(ready.count, next + processors.count)])
            next += slice.count
            for s in slice where sources[s.id] == nil {
                try source(s.id, path: s.path, table: s.table, watermark: s.watermark > 0 ? s.watermark : nil, lastTime: s.lastTime)
            }
            // Reading is part of the parallel work; each stream is touched by one thread.
            let results = Mutex<[Int: Result<ChunkResult, any Error>]>([:])
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
                        s.lastTime = sources[s.id]?.stream.lastTime ?? 0
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

    private func source(_ id: String, path: String, table: String?, watermark: Int64?, lastTime: Int64) throws {
        var stream = normalizer.stream(path: path, table: table)
        stream.lastTime = lastTime
        sources[id] = SourceState(
            stream: stream, clock: SourceClock(watermark: watermark), lastData: WallClock.monotonic,
            records: configuration.checkpoints ? try store.recordCount(ofStream: id) : 0, path: path)
    }

    private func accept(_ r: ChunkResult, id: String, path: String) {
        totals.records += r.records
        totals.rows += r.rows
        totals.raw += r.rawBytes
        totals.dead += UInt64(r.problems.count)
        bytesSinceCheckpoint += max(1, r.rawBytes)
        for p in r.problems { deadLetters.append(DeadLetter(source: path, problem: p)) }
        for (table, t) in r.times {
            engine.observe(table: table, least: t.least, greatest: t.greatest)
            if table != DetectionEngine.allTables { sources[id]?.tables.insert(table) }
        }
        for t in r.clockTimes { sources[id]?.clock.observe(t) }
        sources[id]?.path = path
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
        guard !engine.late.isEmpty else { return }
        for l in engine.late { lateRecords.append(l.jsonLine(source: path)) }
        sources[id]?.late += engine.late.count
        totals.late += engine.late.count
    }
}
