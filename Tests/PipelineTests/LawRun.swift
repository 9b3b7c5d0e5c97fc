import Columnar
import Detection
import Dispatch
import Ingest
import KQL
import Matcher
import Pipeline
import Synchronization
import Tables

/// One way of feeding a log to the engine. None of it may show in the results.
struct LawConfiguration: Sendable, CustomStringConvertible {
    /// Records of a batch.
    var batch = 7
    var threads = 1
    /// Losses of everything since the last barrier.
    var kills = 0
    /// Monotone rules raise before their windows close, as in the daemon.
    var raisesEarly = false
    /// A watermark for each table, from the sources that have it.
    var watermarkByTable = false
    /// Rows and bytes of raw records kept in memory are so few that rules spill and evidence is given up.
    var isTight = false
    /// Another order of arrival within lateness, other interleaving of the sources.
    var arrival: UInt64 = 0

    var description: String {
        "batches of \(batch), \(threads) threads, \(kills) kills"
            + (isTight ? ", tight" : "") + (raisesEarly ? ", early" : "") + (watermarkByTable ? ", watermark by table" : "")
            + ", arrival \(arrival)"
    }
}

/// What a run gave.
struct LawOutcome {
    var observations: [TickObservation] = []
    /// Last version of each alert.
    var alerts: [String: Alert] = [:]
    var lateRows = 0
    var failures: [String] = []
    var restores = 0
}

/// Bytes in memory, read like a file.
final class MemoryInput: RawInput {
    private let content: [UInt8]
    private var position = 0

    init(_ content: [UInt8]) { self.content = content }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let n = min(buffer.count, content.count - position)
        guard n > 0 else { return 0 }
        buffer.copyBytes(from: content[position..<(position + n)])
        position += n
        return n
    }

    func seek(to offset: UInt64) throws -> Bool { false }
}

/// Carries a value into concurrent code that guards it by other means.
struct Guarded<T>: @unchecked Sendable {
    let value: T
    init(_ value: T) { self.value = value }
}

/// A pipeline in the shape of the daemon's: sources with clocks, chunk processors on threads, one engine, barriers, crashes.
final class LawRun {
    private struct Source {
        /// Records taken up, and records whose survivors the engine has.
        var position = 0
        var delivered = 0
        var stream: StreamState
        var clock = SourceClock()
    }

    /// What a store would hold after a barrier.
    private struct Barrier {
        var positions: [Int]
        var lastTimes: [Int64]
        var watermarks: [Int64?]
        var segments: [CheckpointDelta.SegmentID: [UInt8]] = [:]
        var rules: [String: [UInt8]] = [:]
        var engine: [UInt8] = []
        var alerts: [String: Alert] = [:]
    }

    private let lawCase: LawCase
    private let configuration: LawConfiguration
    private let records: [[LogRecord]]
    private let tablesOf: [Set<String>]
    private var engine: DetectionEngine
    private var normalizer: Normalizer
    private var processors: [ChunkProcessor]
    private let chunks: [Chunk]
    private var sources: [Source]
    private var barrier: Barrier
    private var g: Generator
    private var outcome = LawOutcome()
    /// Tampers with the records on their way, to prove that the comparison can fail.
    var spoil: ((LogRecord) -> LogRecord?)?
    /// Forgets a stored segment at each restart, for the same reason.
    var losesSegment = false
    /// Leaves out what the matcher found in every third chunk that has any, as a witness would that is not necessary.
    var losesSurvivors = false
    private var matchedChunks = 0

    init(_ lawCase: LawCase, _ configuration: LawConfiguration) throws {
        self.lawCase = lawCase
        self.configuration = configuration
        g = Generator(lawCase.seed &+ configuration.arrival &* 7919 &+ UInt64(configuration.batch))
        records = LawRun.arrange(lawCase.log, configuration.arrival)
        tablesOf = records.map { Set($0.map(\.table)) }
        engine = try LawRun.makeEngine(lawCase, isTight: configuration.isTight)
        normalizer = ChunkProcessor.normalizer(for: engine.ruleSet, catalog: LawCase.catalog)
        processors = []
        chunks = (0..<configuration.threads).map { _ in Chunk() }
        sources = []
        barrier = Barrier(
            positions: records.map { _ in 0 }, lastTimes: records.map { _ in 0 }, watermarks: records.map { _ in nil })
    }

    static func makeEngine(_ lawCase: LawCase, isTight: Bool = false, takesCheckpoints: Bool = true) throws -> DetectionEngine {
        let lateness = lawCase.log.lateness
        var options = lawCase.options
        options.takesCheckpoints = takesCheckpoints
        if isTight {
            options.retainedRowsPerRule = 9
            options.evidenceBudget = 3000
        }
        return try DetectionEngine(
            lawCase.programs, options: options, functions: LawCase.functions, literals: lawCase.literals, lateness: { _ in lateness })
    }

    /// Another order of the same records in which none is later than lateness allows.
    private static func arrange(_ log: RandomLog, _ arrival: UInt64) -> [[LogRecord]] {
        guard arrival > 0, !log.hasTimeless else { return log.sources }
        var g = Generator(arrival &+ 17)
        let all = log.sources.joined().map { $0 }
        let count = 1 + g.below(4)
        var parts: [[(LogRecord, Int64, Int)]] = Array(repeating: [], count: count)
        for (i, r) in all.shuffled(using: &g).enumerated() { parts[g.below(count)].append((r, r.time + g.upTo(log.lateness), i)) }
        return parts.filter { !$0.isEmpty }.map { p in p.sorted { ($0.1, $0.2) < ($1.1, $1.2) }.map(\.0) }
    }

    func run() throws -> LawOutcome {
        start()
        var kills = configuration.kills
        let waves = (records.reduce(0) { $0 + $1.count } + configuration.batch - 1) / max(1, configuration.batch)
        while sources.indices.contains(where: { sources[$0].position < records[$0].count }) {
            try wave()
            if g.chance(30) { checkpoint() }
            if kills > 0, g.chance(max(8, 150 / max(1, waves))) {
                kills -= 1
                try restore()
            }
        }
        if configuration.kills > 0 {
            checkpoint()
            try restore()
        }
        handle(engine.finish(to: lawCase.completeThrough))
        outcome.lateRows = engine.figures.reduce(0) { $0 + $1.lateRows }
        outcome.failures = engine.figures.compactMap(\.failure)
        return outcome
    }

    private func start() {
        engine.observer = { [unowned self] in outcome.observations.append($0) }
        processors = (0..<configuration.threads).map { _ in ChunkProcessor(rules: engine.ruleSet, normalizer: normalizer) }
        sources = records.indices.map { i in
            var stream = normalizer.stream(path: "source\(i).json")
            stream.lastTime = barrier.lastTimes[i]
            return Source(
                position: barrier.positions[i], delivered: barrier.positions[i], stream: stream,
                clock: SourceClock(watermark: barrier.watermarks[i]))
        }
        outcome.alerts = barrier.alerts
    }

    /// A batch from each of some sources, worked on at the same time and delivered in turn.
    private func wave() throws {
        let open = sources.indices.filter { sources[$0].position < records[$0].count }
        let picked = g.some(open, configuration.threads)
        let work = picked.map { i -> (source: Int, bytes: [UInt8]) in
            let end = min(records[i].count, sources[i].position + configuration.batch)
            var text = ""
            for r in records[i][sources[i].position..<end] {
                guard let kept = spoil.map({ $0(r) }) ?? r else { continue }
                text += kept.json + "\n"
            }
            sources[i].position = end
            return (i, Array(text.utf8))
        }
        let results = Mutex<[Int: Result<(ChunkResult, StreamState), any Error>]>([:])
        let shared = Guarded((processors: processors, chunks: chunks, streams: picked.map { sources[$0].stream }))
        DispatchQueue.concurrentPerform(iterations: work.count) { slot in
            let result = Result {
                try LawRun.process(
                    work[slot].bytes, shared.value.processors[slot], shared.value.chunks[slot], shared.value.streams[slot])
            }
            results.withLock { $0[slot] = result }
        }
        for (slot, item) in work.enumerated() {
            guard let (result, stream) = try results.withLock({ $0[slot] })?.get() else { continue }
            sources[item.source].stream = stream
            sources[item.source].delivered = sources[item.source].position
            for (table, t) in result.times { engine.observe(table: table, least: t.least, greatest: t.greatest) }
            for t in result.clockTimes { sources[item.source].clock.observe(t) }
            handle(engine.accept(kept(result.survivors)))
            if g.chance(50) { settle() }
        }
        settle()
    }

    private func kept(_ survivors: [SurvivorRows]) -> [SurvivorRows] {
        guard losesSurvivors, !survivors.isEmpty else { return survivors }
        matchedChunks += 1
        return matchedChunks % 3 == 0 ? [] : survivors
    }

    private static func process(
        _ bytes: [UInt8], _ processor: ChunkProcessor, _ chunk: Chunk, _ stream: StreamState
    ) throws -> (ChunkResult, StreamState) {
        var stream = stream
        let reader = RecordReader(MemoryInput(bytes))
        var all = ChunkResult()
        while try reader.next(into: chunk, final: true) == .chunk {
            let r = try processor.process(chunk, stream: &stream)
            all.survivors += r.survivors
            all.clockTimes += r.clockTimes
            all.times.merge(r.times) { (min($0.least, $1.least), max($0.greatest, $1.greatest)) }
        }
        return (all, stream)
    }

    private func settle() {
        if configuration.watermarkByTable {
            handle(engine.advance { table in watermark(sources.indices.filter { tablesOf[$0].contains(table) }) })
        } else {
            let mark = watermark(Array(sources.indices))
            handle(engine.advance { _ in mark })
        }
        if configuration.raisesEarly { handle(engine.raiseEarly()) }
    }

    /// The least that unfinished sources may still bring; once all have ended, what they have reached.
    private func watermark(_ these: [Int]) -> Int64? {
        let open = these.filter { sources[$0].delivered < records[$0].count }
        if open.isEmpty { return these.compactMap { sources[$0].clock.watermark }.max() }
        var least = Int64.max
        for i in open {
            // Nothing is known of a source that has not begun.
            guard let mark = sources[i].clock.watermark else { return .min }
            least = min(least, mark)
        }
        return least
    }

    private func handle(_ events: [AlertEvent]) { for e in events { outcome.alerts[e.alert.id] = e.alert } }

    private func checkpoint() {
        let delta = engine.checkpointDelta()
        for s in delta.added { barrier.segments[s.id] = s.bytes }
        for id in delta.dropped { barrier.segments[id] = nil }
        for r in delta.rules { barrier.rules[r.fingerprint] = r.bytes }
        barrier.engine = delta.engine
        barrier.alerts = outcome.alerts
        barrier.positions = sources.map(\.position)
        barrier.lastTimes = sources.map(\.stream.lastTime)
        barrier.watermarks = sources.map(\.clock.watermark)
        engine.checkpointed()
    }

    /// A new process after a crash: only the barrier's bytes are left.
    private func restore() throws {
        outcome.restores += 1
        engine = try LawRun.makeEngine(lawCase, isTight: configuration.isTight)
        start()
        var saved = SavedState()
        saved.segments = barrier.segments.map { ($0.key, $0.value) }.sorted {
            ($0.0.rule, $0.0.leg, $0.0.id) < ($1.0.rule, $1.0.leg, $1.0.id)
        }
        if losesSegment, !saved.segments.isEmpty { saved.segments.removeLast() }
        saved.rules = barrier.rules
        saved.engine = barrier.engine.isEmpty ? nil : barrier.engine
        try engine.restore(saved)
    }
}
