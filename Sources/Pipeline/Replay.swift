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
    /// What is known of all files; changed by one thread at a time.
    private struct State {
        var clocks: [SourceClock]
        var finished: [Bool]
        var summary = ReplaySummary()
        var events: [AlertEvent] = []
    }

    /// What a worker brings: of one file in order.
    private struct Item: Sendable {
        enum News: Sendable {
            case chunk(ChunkResult)
            case end(recognized: Bool)
            case problem(String)
        }
        let index: Int
        let path: String
        /// The file's clock behind what is brought.
        let clock: SourceClock
        let news: News
    }

    /// Who takes things in; used by one thread at a time.
    private struct Receiver {
        let engine: DetectionEngine
        let deadLetter: (DeadLetter) -> Void
        let late: (_ record: LateRow, _ source: String) -> Void
    }

    /// Chunks that may wait for the engine; rows that survive count as well, since they are what takes memory.
    private static let waitingChunks = 16
    private static let rowsPerChunk = 64

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
        let ordered = FileOrder(normalizer: normalizer, options: options).sorted(files)
        let low = options.from ?? 0
        let isBounded = options.from != nil || options.to != nil
        let interval: ClosedRange<Int64>? = isBounded ? low...max(low, options.to ?? KustoTime.maximum) : nil
        let total = ordered.count + (standardInput ? 1 : 0)
        let clocks =
            ordered.map { SourceClock(watermark: $0.lowerBound > 0 ? $0.lowerBound : nil) } + (standardInput ? [SourceClock()] : [])
        let handover = Handover<State, Item>(
            State(clocks: clocks, finished: Array(repeating: false, count: total)), room: Replay.waitingChunks)
        let pending = Mutex((next: 0, failure: (any Error)?.none))
        // Used by the thread that is inside the handover.
        let shared = Unchecked(Receiver(engine: engine, deadLetter: deadLetter, late: late))
        let rules = engine.ruleSet
        let workers = max(1, min(options.threads, total))
        let spare = SpareCores(options.threads - workers)
        DispatchQueue.concurrentPerform(iterations: workers) { _ in
            let processor = ChunkProcessor(rules: rules, normalizer: normalizer, interval: interval)
            let chunk = Chunk()
            while !isCancelled() {
                let index = pending.withLock { p -> Int? in
                    guard p.next < total, p.failure == nil else { return nil }
                    defer { p.next += 1 }
                    return p.next
                }
                guard let index else { break }
                let path = index < ordered.count ? ordered[index].path : "-"
                var clock = clocks[index]
                func bring(_ news: Item.News, weight: Int = 1) {
                    handover.bring(Item(index: index, path: path, clock: clock, news: news), weight: weight) { s, item in
                        self.take(item, &s, shared.value)
                    }
                }
                do {
                    let input: any RawInput = index < ordered.count ? try FileInput(path: path) : PipeInput(isCancelled: isCancelled)
                    let reader = RecordReader(input, limits: options.limits)
                    var stream = normalizer.stream(path: path, table: options.table)
                    let chunks = ReadAhead(reader, chunk: chunk, spare: spare)
                    defer { chunks.finish() }
                    while !isCancelled(), let chunk = try chunks.next() {
                        var result = try processor.process(chunk, stream: &stream)
                        progress(result.compressedBytes)
                        for t in result.clockTimes { clock.observe(t) }
                        result.clockTimes = []
                        let rows = result.survivors.reduce(0) { $0 + $1.matches.rows.count }
                        bring(.chunk(result), weight: 1 + rows / Replay.rowsPerChunk)
                    }
                    bring(.end(recognized: stream.recognized > 0 || stream.unrecognized == 0))
                } catch let error as IngestError {
                    bring(.problem(error.description))
                } catch {
                    pending.withLock { p in if p.failure == nil { p.failure = error } }
                }
            }
            spare.give()
            handover.withState { s in
                s.summary.counters.add(processor.counters)
                s.summary.costs.merge(processor.costs) { a, b in
                    var sum = a
                    sum.add(b)
                    return sum
                }
            }
        }
        if let failure = pending.withLock({ $0.failure }) { throw failure }
        return handover.withState { s in
            s.events += engine.finish(to: options.to)
            s.summary.lateRows = engine.lateRows
            s.summary.unrecognizedFiles.sort()
            s.summary.problems.sort()
            return (s.events, s.summary)
        }
    }

    private func take(_ item: Item, _ s: inout State, _ receiver: Receiver) {
        s.clocks[item.index] = item.clock
        switch item.news {
        case .chunk(let result): deliver(result, item.path, &s, receiver)
        case .end(let recognized):
            s.finished[item.index] = true
            s.summary.files += 1
            if !recognized { s.summary.unrecognizedFiles.append(item.path) }
            s.summary.futureTimes += item.clock.futureTimes
            advance(&s, receiver.engine)
        case .problem(let text):
            s.finished[item.index] = true
            s.summary.problems.append(text)
            advance(&s, receiver.engine)
        }
    }

    private func deliver(_ result: ChunkResult, _ path: String, _ s: inout State, _ receiver: Receiver) {
        let engine = receiver.engine
        s.summary.records += result.records
        s.summary.rows += result.rows
        s.summary.rawBytes += result.rawBytes
        s.summary.compressedBytes += result.compressedBytes
        s.summary.deadLetters += result.problems.count
        for p in result.problems { receiver.deadLetter(DeadLetter(source: path, problem: p)) }
        for (table, t) in result.times { engine.observe(table: table, least: t.least, greatest: t.greatest) }
        s.events += engine.accept(result.survivors)
        advance(&s, engine)
        s.summary.lateRecords += engine.late.count
        for r in engine.late { receiver.late(r, path) }
    }

    /// The least time that any unfinished source may still bring.
    private func advance(_ s: inout State, _ engine: DetectionEngine) {
        var least = Int64.max
        for (i, clock) in s.clocks.enumerated() where !s.finished[i] {
            guard let mark = clock.watermark else { return }
            least = min(least, mark)
        }
        if least == .max { return }
        s.events += engine.advance { _ in least }
    }
}

/// Carries a value into concurrent code that guards it by other means (said at the use).
package struct Unchecked<T>: @unchecked Sendable {
    package let value: T
    package init(_ value: T) { self.value = value }
}
