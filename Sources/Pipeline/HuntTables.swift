import CKernels
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
    /// Its records are rows of that table, whatever they look like.
    public let isTableCertain: Bool
    public init(file: InputFile, table: String?, isTableCertain: Bool = false) {
        self.file = file
        self.table = table
        self.isTableCertain = isTableCertain
    }
}

/// Figures of a hunt's scans.
public struct HuntFigures: Sendable {
    public var files = 0
    /// Files left alone because their names tell that all their records are too old.
    public var skippedFiles = 0
    public var records = 0
    public var rawBytes = 0
    public var deadLetters = 0
    /// The newest event time seen.
    public var newest: Int64 = 0
    public var problems: [String] = []
    /// A scan ended before its files did: it was cancelled.
    public var isPartial = false
    public init() {}
}

/// Tables over historical log files, in path order, in bounded memory.
///
/// A query that reads several tables, or one several times, reads the files once: the first scan also takes along the rows that the other
/// reads of the plan want (`expect(_:)`). Rows that do not fit `keptBytes` are not kept; their scan reads the files again.
public final class HuntTables: TableProvider {
    private let inputs: [HuntInput]
    private let catalog: WorkspaceCatalog
    private let limits: IngestLimits
    private let keptBytes: Int
    private let threads: Int
    private let progress: @Sendable (Int) -> Void
    private let isCancelled: @Sendable () -> Bool
    private let state = Mutex(State())

    private struct State {
        var figures = HuntFigures()
        var scans: [HuntScanNote] = []
        /// Tables that a file held when it was read; files are skipped for others.
        var held: [String: Set<String>] = [:]
        /// Least and greatest time of a file's rows of some tables.
        var times: [String: (least: Int64, greatest: Int64, tables: Set<String>)] = [:]
        var skipped: Set<String> = []
        var counted: Set<String> = []
        var reads: [HuntRead.ID: HuntRead] = [:]
        /// Rows taken along for scans to come.
        var kept: [HuntRead.ID: [Batch]] = [:]
        var isPipeRead = false
        var isKeyed = true
    }

    /// `keptBytes`: memory for rows taken along. `threads`: files that are read at the same time; what comes out does not depend on it.
    public init(
        inputs: [HuntInput], catalog: WorkspaceCatalog, limits: IngestLimits = IngestLimits(), keptBytes: Int = 256 << 20, threads: Int = 1,
        progress: @escaping @Sendable (Int) -> Void = { _ in }, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.inputs = inputs
        self.catalog = catalog
        self.limits = limits
        self.keptBytes = keptBytes
        self.threads = max(1, threads)
        self.progress = progress
        self.isCancelled = isCancelled
    }

    public var figures: HuntFigures { state.withLock { $0.figures } }

    /// What was asked of the files, scan by scan.
    public var scans: [HuntScanNote] { state.withLock { $0.scans } }

    /// Announces the reads of the plan that is about to run: the plan as the executor sees it, unused columns pruned. `keyed`: whether
    /// rows get keys, which costs a hash of every record.
    public func expect(_ plan: Plan, keyed: Bool = true) {
        let reads = HuntRead.reads(of: plan)
        state.withLock {
            $0.reads = reads
            $0.isKeyed = keyed
        }
    }

    public func scan(
        table: String, columns: [BoundColumn], filters: [BoundExpr], context: EvaluationContext, emit: (Batch) throws -> Bool
    ) throws {
        let own = HuntRead(table: table, columns: columns, filters: filters)
        if let batches = state.withLock({ $0.kept[own.id] }) {
            for b in batches { if try !emit(b) { return } }
            return
        }
        // In a stable order, so that what overflows does not depend on hashing.
        let others = state.withLock { s in s.reads.values.filter { $0.id != own.id && s.kept[$0.id] == nil } }
            .sorted { $0.id < $1.id }
        let used = state.withLock { s in s.kept.values.joined().reduce(0) { $0 + $1.bytes } }
        let reads = [own] + others
        let plan = ScanPlan(reads, catalog: catalog, context: context, keyed: state.withLock { $0.isKeyed })
        // A pipe cannot be read again: what others want of it is taken to its end.
        let readsPipe = inputs.contains { $0.file.path == "-" }
        if readsPipe, hasReadPipe() {
            let most = "\(keptBytes >> 20) MiB"
            throw EvaluationError(
                "standard input is read once, and its rows of \(table) are more than the \(most) that are kept: write it to a file first")
        }
        var shelf = HuntShelf(others, limit: keptBytes - used)
        var wantsMore = true
        let files = inputs.filter { wants($0, plan) }
        var asked = note(reads, plan, files: files.count)
        let place = state.withLock { s -> Int in
            s.scans.append(asked)
            return s.scans.count - 1
        }
        let began = vk_monotonic_ns()
        var downstream: UInt64 = 0
        defer {
            asked.nanoseconds = vk_monotonic_ns() &- began &- downstream
            state.withLock { $0.scans[place] = asked }
        }
        try HuntScan(files).run(threads: threads, read: { try self.read($0, plan, $1) }) { file, portion in
            try context.watch?.check()
            switch portion {
            case .rows(let rows, let consumed):
                progress(consumed)
                for r in rows {
                    asked.reads[r.read].rows += r.batch.count
                    if r.read > 0 {
                        shelf.add(r.batch, of: reads[r.read].id)
                    } else if wantsMore {
                        let handed = vk_monotonic_ns()
                        wantsMore = try emit(r.batch)
                        downstream &+= vk_monotonic_ns() &- handed
                    }
                }
            case .end(let summary):
                asked.records += summary.records
                asked.takenApart += summary.takenApart
                for (t, n) in summary.made { asked.made[plan.normalizer.tables[t].name, default: 0] += n }
                note(files[file].file.path, summary, plan.tables)
            }
            if isCancelled() {
                // What was read counts: the operators above make of it what they can.
                state.withLock { $0.figures.isPartial = true }
                return false
            }
            return wantsMore || (readsPipe && !shelf.isEmpty)
        }
        if wantsMore || readsPipe { state.withLock { $0.kept.merge(shelf.rows) { a, _ in a } } }
    }

    /// What a plan would ask of the files, without reading them; nil for one that reads no table.
    public func outline(_ plan: Plan, context: EvaluationContext) -> HuntScanNote? {
        let reads = HuntRead.reads(of: plan).values.sorted { $0.id < $1.id }
        guard !reads.isEmpty else { return nil }
        let scan = ScanPlan(reads, catalog: catalog, context: context, keyed: false)
        return note(reads, scan, files: inputs.count { wants($0, scan) })
    }

    private func note(_ reads: [HuntRead], _ plan: ScanPlan, files: Int) -> HuntScanNote {
        HuntScanNote(
            reads: reads.map {
                .init(table: $0.table, columnIDs: $0.columns.map(\.id), columns: $0.columns.map(\.name), filters: $0.filters)
            },
            needles: plan.needles?.alternatives.map { String(decoding: $0.bytes, as: UTF8.self) } ?? [],
            times: plan.times.allSatisfy(\.isBounded) ? plan.times.map { .init(least: $0.least, greatest: $0.greatest) } : [],
            files: files, passedOver: inputs.count - files)
    }

    /// What the reading threads share.
    private struct ScanPlan: Sendable {
        let normalizer: Normalizer
        let sieves: [HuntSieve]
        let times: [HuntTimes]
        let needles: HuntNeedles?
        let tables: Set<String>
        let context: EvaluationContext
        let keyed: Bool

        init(_ reads: [HuntRead], catalog: WorkspaceCatalog, context: EvaluationContext, keyed: Bool) {
            let names = Set(reads.map(\.table))
            let normalizer = Normalizer(
                catalog: catalog,
                needs: names.sorted().map { NormalizedTable(name: $0, columns: HuntRead.columns(of: reads, table: $0)) })
            self.normalizer = normalizer
            self.context = context
            self.keyed = keyed
            tables = names
            sieves = reads.map { HuntSieve($0, normalizer: normalizer, context: context) }
            times = reads.map { HuntTimes($0, context: context) }
            needles = HuntNeedles(reads, normalizer)
        }
    }

    /// Whether a file may hold rows that some read wants: by its name, and by what was seen when it was read before.
    private func wants(_ input: HuntInput, _ plan: ScanPlan) -> Bool {
        let path = input.file.path
        let (held, times) = state.withLock { ($0.held[path], $0.times[path]) }
        if let held, held.isDisjoint(with: plan.tables) { return false }
        if let times, plan.tables.isSubset(of: times.tables), !plan.times.contains(where: { $0.meets(times.least, times.greatest) }) {
            return false
        }
        guard input.file.path != "-", plan.times.allSatisfy(\.isBounded), let arrival = HuntTimes.arrival(path: path) else { return true }
        if plan.times.contains(where: { $0.meets(.min, arrival &+ HuntTimes.slack) }) { return true }
        state.withLock { s in
            s.figures.newest = max(s.figures.newest, arrival)
            if s.skipped.insert(path).inserted { s.figures.skippedFiles += 1 }
        }
        progress(Int(input.file.size))
        return false
    }

    /// Reads one file; runs on a thread of its own.
    private func read(_ input: HuntInput, _ plan: ScanPlan, _ add: (HuntScan.Portion) throws -> Bool) throws {
        let path = input.file.path
        var summary = HuntFile()
        let reader: RecordReader
        do {
            let raw: any RawInput = path == "-" ? PipeInput(isCancelled: isCancelled) : try FileInput(path: path)
            reader = RecordReader(raw, limits: limits)
        } catch let error as IngestError {
            summary.problem = error.description
            _ = try add(.end(summary))
            return
        }
        let session = plan.normalizer.makeSession()
        let chunk = Chunk()
        var stream = plan.normalizer.stream(path: path, table: input.table, isTableCertain: input.isTableCertain)
        var goesOn = true
        var isWhole = true
        while goesOn {
            if isCancelled() { break }
            do { guard try reader.next(into: chunk, final: true) == .chunk else { break } } catch let error as IngestError {
                summary.problem = error.description
                break
            }
            summary.bytes += chunk.produced
            summary.records += chunk.records.count
            summary.dead += chunk.problems.count
            let (dead, taken) = normalize(chunk, session, plan, &stream, &isWhole)
            summary.dead += dead
            summary.takenApart += taken
            for t in session.recordTimes { summary.newest = max(summary.newest, t) }
            var rows: [HuntRows] = []
            for batch in session.finish() where batch.count > 0 {
                summary.made[batch.table, default: 0] += batch.count
                for t in batch.times where t > 0 {
                    summary.least = min(summary.least, t)
                    summary.greatest = max(summary.greatest, t)
                }
                for (i, sieve) in plan.sieves.enumerated() {
                    if let found = try sieve.rows(batch, in: chunk.data, keyed: plan.keyed) { rows.append(HuntRows(read: i, batch: found)) }
                }
            }
            goesOn = try add(.rows(rows, consumed: chunk.consumed))
        }
        // Where records were left alone, it is not known which tables and times there are.
        summary.isComplete = goesOn && isWhole
        summary.tables = Set(session.takeCounts().records.keys)
        _ = try add(.end(summary))
    }

    /// Makes the rows of a chunk; returns how many records cannot be read and how many were taken apart. `isWhole` becomes false when
    /// records were left alone.
    private func normalize(
        _ chunk: Chunk, _ session: NormalizerSession, _ plan: ScanPlan, _ stream: inout StreamState, _ isWhole: inout Bool
    ) -> (dead: Int, taken: Int) {
        var dead = 0
        if let needles = plan.needles {
            let slices = needles.candidates(chunk)
            if slices.count < chunk.records.count {
                let before = stream
                session.normalize(chunk: chunk.data, records: slices, positions: chunk.positions, stream: &stream) { _, _ in dead += 1 }
                // A record without a time takes over that of the one before, which may have been left alone.
                if stream.inheritedTimes == before.inheritedTimes {
                    isWhole = false
                    return (dead, slices.count)
                }
                _ = session.finish()
                stream = before
                dead = 0
            }
        }
        let slices = chunk.records.map { RecordSlice($0) }
        session.normalize(chunk: chunk.data, records: slices, positions: chunk.positions, stream: &stream) { _, _ in dead += 1 }
        return (dead, slices.count)
    }

    private func note(_ path: String, _ file: HuntFile, _ tables: Set<String>) {
        state.withLock { s in
            s.figures.newest = max(s.figures.newest, file.newest)
            if file.isComplete, file.problem == nil || file.records > 0 {
                s.held[path] = file.tables
                s.times[path] = (file.least, file.greatest, tables)
            }
            guard s.counted.insert(path).inserted else { return }
            if let problem = file.problem { s.figures.problems.append(problem) }
            s.figures.files += 1
            s.figures.records += file.records
            s.figures.rawBytes += file.bytes
            s.figures.deadLetters += file.dead
        }
    }

    /// Whether standard input was read before; from now on it was.
    private func hasReadPipe() -> Bool {
        state.withLock { s in
            defer { s.isPipeRead = true }
            return s.isPipeRead
        }
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
            let stream = normalizer.stream(path: input.file.path, table: input.table, isTableCertain: input.isTableCertain)
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
