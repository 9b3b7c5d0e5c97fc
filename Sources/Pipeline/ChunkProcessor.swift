import Columnar
import Detection
import Evaluation
import Ingest
import KQL
import Matcher
import Tables

/// What the pipeline needs to know of a chunk once its bytes are gone.
public struct ChunkResult: Sendable {
    public var survivors: [SurvivorRows] = []
    /// Least and greatest event time by table that some rule reads, and of all records under `DetectionEngine/allTables`.
    public var times: [String: (least: Int64, greatest: Int64)] = [:]
    /// Event times in record order, for the source's clock.
    public var clockTimes: ContiguousArray<Int64> = []
    public var records = 0
    public var rows = 0
    public var rawBytes = 0
    public var compressedBytes = 0
    public var problems: [Ingest.RecordProblem] = []
    public init() {}
}

/// One thread's way from chunk to survivors: normaliser session and match worker.
///
/// Nothing it returns refers to the chunk.
public final class ChunkProcessor {
    /// Bytes of a raw record kept as evidence.
    public static let evidenceBytes = 64 << 10

    private let session: NormalizerSession
    private let normalizer: Normalizer
    private let worker: MatchWorker
    private let rules: RuleSet
    /// For each table of the normaliser, positions of the rule set's columns in its batches.
    private let positions: [[Int]]
    private var slices: [RecordSlice] = []
    /// Closed interval of event times that are wanted.
    private let interval: ClosedRange<Int64>?

    public init(rules: RuleSet, normalizer: Normalizer, interval: ClosedRange<Int64>? = nil) {
        self.rules = rules
        self.normalizer = normalizer
        self.interval = interval
        session = normalizer.makeSession()
        worker = MatchWorker(rules)
        positions = normalizer.tables.map { table in
            (rules.columns(of: table.name) ?? []).compactMap { c in table.columns.firstIndex { $0.name == c.name } }
        }
    }

    public var counters: MatchCounters { worker.counters }
    public var costs: [LegReference: LegCost] { worker.costs }
    /// Values whose atoms are remembered, and the memory that they take, roughly.
    public var remembered: (values: Int, bytes: Int) { worker.remembered }

    /// ``MatchWorker/forgetUnused()``
    public func forgetUnused() { worker.forgetUnused() }

    /// A normaliser that materialises what the rules read.
    public static func normalizer(for rules: RuleSet, catalog: WorkspaceCatalog, options: NormalizerOptions = NormalizerOptions())
        -> Normalizer
    {
        let needs = rules.needs.keys.sorted().map { name in
            NormalizedTable(name: name, columns: rules.columns(of: name) ?? [])
        }
        return Normalizer(catalog: catalog, needs: needs, options: options)
    }

    public func process(_ chunk: Chunk, stream: inout StreamState) throws -> ChunkResult {
        var result = ChunkResult()
        result.problems = chunk.problems
        result.records = chunk.records.count
        result.rawBytes = chunk.produced
        result.compressedBytes = chunk.consumed
        slices.removeAll(keepingCapacity: true)
        for r in chunk.records { slices.append(RecordSlice(r)) }
        let data = chunk.data
        var unreadable: [(Int, String)] = []
        session.normalize(chunk: data, records: slices, positions: chunk.positions, stream: &stream) { index, problem in
            unreadable.append((index, problem.reason))
        }
        for t in session.recordTimes where t > 0 && interval?.contains(t) ?? true { result.clockTimes.append(t) }
        if let least = result.clockTimes.min(), let greatest = result.clockTimes.max() {
            result.times[DetectionEngine.allTables] = (least, greatest)
        }
        let batches = session.finish()
        for (index, reason) in unreadable where chunk.records.indices.contains(index) {
            let r = chunk.records[index]
            let kept = min(r.length, Ingest.RecordProblem.keptBytes)
            result.problems.append(
                Ingest.RecordProblem(
                    position: r.position, member: 0, index: r.index, reason: reason, length: UInt64(r.length),
                    bytes: Array(UnsafeRawBufferPointer(rebasing: data[r.offset..<(r.offset + kept)]))))
        }
        for table in batches { try match(table, data, &result) }
        return result
    }

    private func match(_ whole: TableBatch, _ data: UnsafeRawBufferPointer, _ result: inout ChunkResult) throws {
        var selection: ContiguousArray<Int32>?
        var least = Int64.max
        var greatest = Int64.min
        for t in whole.times {
            // A row without any time (0) says nothing of how far logs reach.
            if t <= 0 || !(interval?.contains(t) ?? true) { continue }
            least = min(least, t)
            greatest = max(greatest, t)
        }
        if let interval, whole.times.contains(where: { !interval.contains($0) }) {
            selection = ContiguousArray(whole.times.indices.filter { interval.contains(whole.times[$0]) }.map { Int32($0) })
        }
        let count = selection?.count ?? whole.count
        guard count > 0 else { return }
        result.rows += count
        if least <= greatest {
            let seen = result.times[whole.name]
            result.times[whole.name] = (min(seen?.least ?? least, least), max(seen?.greatest ?? greatest, greatest))
        }
        guard positions.indices.contains(whole.table), rules.columns(of: whole.name) != nil else { return }
        let columns = positions[whole.table].map { whole.batch.columns[$0] }
        var batch = Batch(columns: columns, count: whole.count)
        if let selection { batch = batch.gather(selection) }
        func row(_ i: Int) -> Int { selection.map { Int($0[i]) } ?? i }
        // `now()` has no meaning in a prefix: the splitter keeps it out.
        let context = EvaluationContext(now: 0)
        let matches = try worker.evaluate(batch, table: whole.name, context: context) { i in whole.rowKey(row(i), in: data) }
        for m in matches {
            var raw: [RecordHash: String] = [:]
            for o in m.origins {
                let r = row(Int(o))
                let key = whole.rowKey(r, in: data)
                let hash = RecordHash(key)
                guard raw[hash] == nil else { continue }
                raw[hash] = String(decoding: whole.rawRecord(r, in: data).prefix(ChunkProcessor.evidenceBytes), as: UTF8.self)
            }
            result.survivors.append(SurvivorRows(matches: m, raw: raw))
        }
    }
}

extension RecordSlice {
    init(_ r: Chunk.Record) {
        self.init(offset: r.offset, length: r.length, structure: r.structure, mayHaveNonASCII: r.mayHaveNonASCII)
    }
}
