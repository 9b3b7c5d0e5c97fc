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

/// Tables over historical log files: every scan reads the files that can hold the table, in path order, in bounded memory.
public final class HuntTables: TableProvider {
    private let inputs: [HuntInput]
    private let catalog: WorkspaceCatalog
    private let limits: IngestLimits
    private let progress: @Sendable (Int) -> Void
    private let isCancelled: @Sendable () -> Bool
    private let state = Mutex(State())

    private struct State {
        var figures = HuntFigures()
        /// Tables that a file held when it was read; files are skipped for others.
        var held: [String: Set<String>] = [:]
        var counted: Set<String> = []
    }

    public init(
        inputs: [HuntInput], catalog: WorkspaceCatalog, limits: IngestLimits = IngestLimits(),
        progress: @escaping @Sendable (Int) -> Void = { _ in }, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.inputs = inputs
        self.catalog = catalog
        self.limits = limits
        self.progress = progress
        self.isCancelled = isCancelled
    }

    public var figures: HuntFigures { state.withLock { $0.figures } }

    public func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws {
        let needed = columns.map { SchemaColumn($0.name, $0.type) }
        let normalizer = Normalizer(catalog: catalog, needs: [NormalizedTable(name: table, columns: needed)])
        let session = normalizer.makeSession()
        let chunk = Chunk()
        for input in inputs {
            let path = input.file.path
            if let held = state.withLock({ $0.held[path] }), !held.contains(table) { continue }
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
                    guard try emit(batch.keyed(in: chunk.data)) else {
                        goOn = false
                        break
                    }
                }
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
