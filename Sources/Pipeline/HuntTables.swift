import Columnar
import Evaluation
import Ingest
import KQL
import Synchronization
import Tables

/// Where `hunt` finds its rows.
public struct HuntInput: Sendable, Hashable {
    public let file: InputFile
    /// The table that the user named for this file.
    public let table: String?
    public init(file: InputFile, table: String?) {
        self.file = file
        self.table = table
    }
}

/// Figures of a hunt's scans.
public struct HuntFigures: Sendable {
    public var files = 0
    public var records = 0
    public var rawBytes = 0
    public var deadLetters = 0
    /// The newest event time seen.
    public var newest: Int64 = 0
    public var problems: [String] = []
    public init() {}
}

/// Tables over historical log files, in path order, in bounded memory.
///
/// A query that reads several tables, or one several times, reads the files once: the first scan also takes along the rows that the other
/// reads of the plan want (``expect(_:)``). Rows that do not fit ``keptBytes`` are not kept; their scan reads the files again.
public final class HuntTables: TableProvider {
    private let inputs: [HuntInput]
    private let catalog: WorkspaceCatalog
    private let limits: IngestLimits
    private let keptBytes: Int
    private let progress: @Sendable (Int) -> Void
    private let isCancelled: @Sendable () -> Bool
    private let state = Mutex(State())

    private struct State {
        var figures = HuntFigures()
        /// Tables that a file held when it was read; files are skipped for others.
        var held: [String: Set<String>] = [:]
        var counted: Set<String> = []
        var reads: [HuntRead.ID: HuntRead] = [:]
        /// Rows taken along for scans to come.
        var kept: [HuntRead.ID: [Batch]] = [:]
        var isPipeRead = false
    }

    /// `keptBytes`: memory for rows taken along.
    public init(
        inputs: [HuntInput], catalog: WorkspaceCatalog, limits: IngestLimits = IngestLimits(), keptBytes: Int = 256 << 20,
        progress: @escaping @Sendable (Int) -> Void = { _ in }, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.inputs = inputs
        self.catalog = catalog
        self.limits = limits
        self.keptBytes = keptBytes
        self.progress = progress
        self.isCancelled = isCancelled
    }

    public var figures: HuntFigures { state.withLock { $0.figures } }

    /// Announces the reads of the plan that is about to run: the plan as the executor sees it, unused columns pruned.
    public func expect(_ plan: Plan) {
        let reads = HuntRead.reads(of: plan)
        state.withLock { $0.reads = reads }
    }

    public func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws {
        let own = HuntRead(table: table, columns: columns, filters: [])
        if let batches = state.withLock({ $0.kept[own.id] }) {
            for b in batches { if try !emit(b) { return } }
            return
        }
        // In a stable order, so that what overflows does not depend on hashing.
        let others = state.withLock { s in s.reads.values.filter { $0.id != own.id && s.kept[$0.id] == nil } }
            .sorted { $0.id < $1.id }
        let used = state.withLock { s in s.kept.values.joined().reduce(0) { $0 + $1.bytes } }
        let shelf = HuntShelf(others, context: context, limit: keptBytes - used)
        var wanted: [String: Set<String>] = [:]
        for read in [own] + others { wanted[read.table, default: []].formUnion(read.columns.map(\.name)) }
        let needs = wanted.keys.sorted().map { name in
            NormalizedTable(name: name, columns: HuntRead.columns(of: [own] + others, table: name))
        }
        let normalizer = Normalizer(catalog: catalog, needs: needs)
        let session = normalizer.makeSession()
        let picker = HuntPicker(own, normalizer: normalizer)
        let chunk = Chunk()
        // A pipe cannot be read again: what others want of it is taken to its end.
        let readsPipe = inputs.contains { $0.file.path == "-" }
        var wantsMore = true
        for input in inputs {
            let path = input.file.path
            if let held = state.withLock({ $0.held[path] }), held.isDisjoint(with: wanted.keys) { continue }
            if path == "-", hasReadPipe() {
                let most = "\(keptBytes >> 20) MiB"
                throw EvaluationError(
                    "standard input is read once, and its rows of \(table) are more than the \(most) that are kept: write it to a file first"
                )
            }
            let reader: RecordReader
            do {
                let raw: any RawInput = path == "-" ? PipeInput(isCancelled: isCancelled) : try FileInput(path: path)
                reader = RecordReader(raw, limits: limits)
            } catch let error as IngestError {
                note(path) { $0.problems.append(error.description) }
                continue
            }
            var stream = normalizer.stream(path: path, table: input.table)
            var goOn = true
            var newest: Int64 = 0
            var records = 0
            var bytes = 0
            var dead = 0
            while goOn {
                if isCancelled() { throw HuntCancelled() }
                let outcome: RecordReader.Outcome
                do { outcome = try reader.next(into: chunk, final: true) } catch let error as IngestError {
                    note(path) { $0.problems.append(error.description) }
                    break
                }
                guard outcome == .chunk else { break }
                progress(chunk.consumed)
                bytes += chunk.produced
                records += chunk.records.count
                dead += chunk.problems.count
                let slices = chunk.records.map { RecordSlice(offset: $0.offset, length: $0.length) }
                session.normalize(chunk: chunk.data, records: slices, stream: &stream) { _, _ in dead += 1 }
                for t in session.recordTimes { newest = max(newest, t) }
                for batch in session.finish() where batch.count > 0 {
                    let keyed = batch.keyed(in: chunk.data)
                    try shelf.add(keyed, of: batch.table, normalizer)
                    if wantsMore, let rows = picker.pick(keyed, of: batch.table) { wantsMore = try emit(rows) }
                }
                goOn = wantsMore || (readsPipe && !shelf.isEmpty)
            }
            let complete = goOn
            let names = Set(session.takeCounts().records.keys)
            state.withLock { s in
                s.figures.newest = max(s.figures.newest, newest)
                if complete { s.held[path] = names }
                if s.counted.insert(path).inserted {
                    s.figures.files += 1
                    s.figures.records += records
                    s.figures.rawBytes += bytes
                    s.figures.deadLetters += dead
                }
            }
            if !goOn { return }
        }
        state.withLock { $0.kept.merge(shelf.rows) { a, _ in a } }
    }

    /// Whether standard input was read before; from now on it was.
    private func hasReadPipe() -> Bool {
        state.withLock { s in
            defer { s.isPipeRead = true }
            return s.isPipeRead
        }
    }

    private func note(_ path: String, _ body: (inout HuntFigures) -> Void) {
        state.withLock { s in if s.counted.insert(path).inserted { body(&s.figures) } }
    }

    /// The catalogue extended by what the files hold: custom tables with inferred columns, from the first records of each file in path order.
    public static func inferring(_ catalog: WorkspaceCatalog, from inputs: [HuntInput], limits: IngestLimits) -> WorkspaceCatalog {
        guard !inputs.isEmpty else { return catalog }
        var result = catalog
        var inference = SchemaInference()
        let normalizer = Normalizer(catalog: catalog, needs: [String: Set<String>]())
        let session = normalizer.makeSession()
        let chunk = Chunk()
        var budget = 10_000
        for input in inputs where budget > 0 && input.file.path != "-" {
            guard let file = try? FileInput(path: input.file.path) else { continue }
            let reader = RecordReader(file, limits: limits)
            let stream = normalizer.stream(path: input.file.path, table: input.table)
            while budget > 0, (try? reader.next(into: chunk, final: true)) == .chunk {
                var custom = false
                for r in chunk.records.prefix(budget) {
                    let bytes = UnsafeRawBufferPointer(rebasing: chunk.data[r.offset..<(r.offset + r.length)])
                    let recognition = session.recognize(bytes, stream: stream)
                    let table: String
                    switch recognition {
                    case .custom(let name): table = name
                    case .row(let name) where catalog.table(name) == nil || WorkspaceCatalog.isOpenName(name): table = name
                    default:
                        // A file holds one kind of record: a known one needs no inference.
                        budget -= 1
                        continue
                    }
                    custom = true
                    inference.add(table: table, record: bytes)
                    budget -= 1
                }
                if !custom { break }
            }
        }
        for schema in inference.schemas() { result.declare(schema) }
        return result
    }
}

/// The user stopped the hunt.
public struct HuntCancelled: Error, Sendable { public init() {} }
