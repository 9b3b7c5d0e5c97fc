import Columnar
import Detection
import Dispatch
import Ingest
import KQL
import Matcher
import Synchronization
import Tables

/// Figures of a replay, for the summary.
public struct ReplaySummary: Sendable {
    public var files = 0
    public var records = 0
    public var rows = 0
    public var rowsByTable: [String: Int] = [:]
    public var rawBytes = 0
    public var compressedBytes = 0
    public var deadLetters = 0
    public var lateRows = 0
    /// Records that came when no rule could take them into a window any more.
    public var lateRecords = 0
    public var futureTimes = 0
    /// Files that were read without recognising a record.
    public var unrecognizedFiles: [String] = []
    public var problems: [String] = []
    public var counters = MatchCounters()
    /// What the legs' own work took, over all threads.
    public var costs: [LegReference: LegCost] = [:]
    public init() {}
}

/// Settings of a replay.
public struct ReplayOptions: Sendable {
    public var threads = 1
    public var limits = IngestLimits()
    /// Event times wanted, in ticks; both ends closed.
    public var from: Int64?
    public var to: Int64?
    /// Records of every file are rows of this table, unless they have a native form of it.
    public var table: String?
    public var normalizer = NormalizerOptions()
    public init() {}
}

/// Reads historical logs through the daemon's own pipeline, in event time.
///
/// Files start in the order of their first record's time; each worker takes the lowest pending one through the whole chain. Threads without
/// a file read ahead for the others, so that one large file is inflated on one core and searched on another. The engine's
/// watermark is the least of what unfinished and unstarted files may still bring, so ticks become final as the replay moves on.
public final class Replay: Sendable {
    private struct State {
        var next = 0
        var clocks: [SourceClock?]
        var finished: [Bool]
        var summary = ReplaySummary()
        var events: [AlertEvent] = []
        var failure: (any Error)?
    }

    private let options: ReplayOptions
    private let catalog: WorkspaceCatalog

    public init(catalog: WorkspaceCatalog, options: ReplayOptions) {
        self.catalog = catalog
        self.options = options
    }

    /// Runs to the end. `standardInput`: a pipe is read as well, after the files. `progress` gets compressed bytes done and is called
    /// from any thread; `deadLetter`, `late` (records older than everything retained) and the engine are used by one thread at a time.
    /// Returns the events in the order in which they arose.
    public func run(
        files: [InputFile], standardInput: Bool, engine: DetectionEngine, deadLetter: @escaping (DeadLetter) -> Void,
        late: @escaping (_ record: LateRow, _ source: String) -> Void = { _, _ in },
        progress: @escaping @Sendable (Int) -> Void, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> (events: [AlertEvent], summary: ReplaySummary) {
        let normalizer = ChunkProcessor.normalizer(for: engine.ruleSet, catalog: catalog, options: options.normalizer)
        let ordered = order(files, normalizer: normalizer)
        let low = options.from ?? 0
        let isBounded = options.from != nil || options.to != nil
        let interval: ClosedRange<Int64>? = isBounded ? low...max(low, options.to ?? KustoTime.maximum) : nil
        let total = ordered.count + (standardInput ? 1 : 0)
        let state = Mutex(
            State(
                clocks: ordered.map { SourceClock(watermark: $0.lowerBound > 0 ? $0.lowerBound : nil) }
                    + (standardInput ? [SourceClock()] : []), finished: Array(repeating: false, count: total)))
        // The engine and the sinks of dead letters and late records are used under the mutex only.
        let shared = Unchecked((engine: engine, deadLetter: deadLetter, late: late))
        let rules = engine.ruleSet
        let workers = max(1, min(options.threads, total))
        let spare = SpareCores(options.threads - workers)
        DispatchQueue.concurrentPerform(iterations: workers) { _ in
            let processor = ChunkProcessor(rules: rules, normalizer: normalizer, interval: interval)
            let chunk = Chunk()
            while !isCancelled() {
                let index = state.withLock { s -> Int? in
                    guard s.next < total, s.failure == nil else { return nil }
                    defer { s.next += 1 }
                    return s.next
                }
                guard let index else { break }
                let path = index < ordered.count ? ordered[index].path : "-"
                do {
                    let input: any RawInput = index < ordered.count ? try FileInput(path: path) : PipeInput(isCancelled: isCancelled)
                    let reader = RecordReader(input, limits: options.limits)
                    var stream = normalizer.stream(path: path, table: options.table)
                    let chunks = ReadAhead(reader, chunk: chunk, spare: spare)
                    defer { chunks.finish() }
                    while !isCancelled(), let chunk = try chunks.next() {
                        let result = try processor.process(chunk, stream: &stream)
                        progress(result.compressedBytes)
                        state.withLock { s in
                            deliver(result, index, path, &s, shared.value.engine, shared.value.deadLetter)
                            s.summary.lateRecords += shared.value.engine.late.count
                            for r in shared.value.engine.late { shared.value.late(r, path) }
                        }
                    }
                    let recognized = stream.recognized > 0 || stream.unrecognized == 0
                    state.withLock { s in
                        s.finished[index] = true
                        s.summary.files += 1
                        if !recognized { s.summary.unrecognizedFiles.append(path) }
                        s.summary.futureTimes += s.clocks[index]?.futureTimes ?? 0
                        advance(&s, shared.value.engine)
                    }
                } catch let error as IngestError {
                    state.withLock { s in
                        s.finished[index] = true
                        s.summary.problems.append(error.description)
                        advance(&s, shared.value.engine)
                    }
                } catch {
                    state.withLock { s in if s.failure == nil { s.failure = error } }
                }
            }
            spare.give()
            state.withLock { s in
                s.summary.counters.add(processor.counters)
                s.summary.costs.merge(processor.costs) { a, b in
                    var sum = a
                    sum.add(b)
                    return sum
                }
            }
        }
        return try state.withLock { s in
            if let failure = s.failure { throw failure }
            s.events += engine.finish(to: options.to)
            s.summary.lateRows = engine.lateRows
            s.summary.unrecognizedFiles.sort()
            s.summary.problems.sort()
            return (s.events, s.summary)
        }
    }

    private func deliver(
        _ result: ChunkResult, _ index: Int, _ path: String, _ s: inout State, _ engine: DetectionEngine, _ deadLetter: (DeadLetter) -> Void
    ) {
        s.summary.records += result.records
        s.summary.rows += result.rows
        s.summary.rawBytes += result.rawBytes
        s.summary.compressedBytes += result.compressedBytes
        s.summary.deadLetters += result.problems.count
        for p in result.problems { deadLetter(DeadLetter(source: path, problem: p)) }
        for (table, t) in result.times { engine.observe(table: table, least: t.least, greatest: t.greatest) }
        for t in result.clockTimes { s.clocks[index]?.observe(t) }
        s.events += engine.accept(result.survivors)
        advance(&s, engine)
    }

    /// The least time that any unfinished source may still bring.
    private func advance(_ s: inout State, _ engine: DetectionEngine) {
        var least = Int64.max
        for (i, clock) in s.clocks.enumerated() where !s.finished[i] {
            guard let mark = clock?.watermark else { return }
            least = min(least, mark)
        }
        if least == .max { return }
        s.events += engine.advance { _ in least }
    }

    /// Peeks at each file's first record, so that files start in event order.
    private func order(_ files: [InputFile], normalizer: Normalizer) -> [InputFile] {
        guard files.count > 1 else { return files }
        let chunk = Chunk()
        let times = Normalizer(catalog: catalog, needs: [String: Set<String>](), options: options.normalizer).makeSession()
        return files.map { file -> InputFile in
            var f = file
            guard let input = try? FileInput(path: file.path) else { return f }
            let reader = RecordReader(input, limits: options.limits)
            reader.returnsEarly = true
            guard (try? reader.next(into: chunk, final: true)) == .chunk, let first = chunk.records.first else { return f }
            var stream = normalizer.stream(path: file.path, table: options.table)
            times.normalize(
                chunk: chunk.data, records: [RecordSlice(offset: first.offset, length: first.length)], stream: &stream
            ) { _, _ in }
            _ = times.finish()
            if stream.lastTime > 0 { f.lowerBound = stream.lastTime }
            return f
        }.sorted { ($0.lowerBound, $0.path) < ($1.lowerBound, $1.path) }
    }
}

/// Carries a value into concurrent code that guards it by other means (said at the use).
package struct Unchecked<T>: @unchecked Sendable {
    package let value: T
    package init(_ value: T) { self.value = value }
}
