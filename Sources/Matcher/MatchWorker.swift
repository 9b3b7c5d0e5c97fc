import Columnar
import Evaluation
import KQL

/// What the matcher did: the evidence that work is shared (`vedette status`, benchmarks, tests).
public struct MatchCounters: Sendable, Hashable {
    public var rows: Int64 = 0
    public var batches: Int64 = 0
    /// Kernel calls for atoms: one an atom and batch with new values.
    public var atomKernels: Int64 = 0
    /// Values tested against atoms (distinct values where the column is memoised).
    public var valuesTested: Int64 = 0
    public var memoHits: Int64 = 0
    /// Rows on which a leg's prefix was evaluated.
    public var residualRows: Int64 = 0
    /// Prefix evaluations: one a leg and batch with candidates.
    public var residualRuns: Int64 = 0
    public var survivors: Int64 = 0

    public init() {}

    public mutating func add(_ o: MatchCounters) {
        rows += o.rows
        batches += o.batches
        atomKernels += o.atomKernels
        valuesTested += o.valuesTested
        memoHits += o.memoHits
        residualRows += o.residualRows
        residualRuns += o.residualRuns
        survivors += o.survivors
    }
}

/// Survivors of one leg in one batch.
public struct Matches: Sendable {
    public let leg: LegReference
    /// Columns as the leg's survivors; carries keys.
    public let rows: Batch
    /// Rows of the input batch that passed the leading filters: a superset of those that ``rows`` stem from. Their raw records are
    /// what evidence is made of.
    public let origins: ContiguousArray<Int32>
}

/// Evaluates batches against a rule set. One a thread: it owns the value memos and its counters.
public final class MatchWorker {
    private let rules: RuleSet
    private var memos: [String: [ValueMemo]] = [:]
    /// Sets of legs that a value can wake; list 0 is empty.
    private var wakeLists: [String: WakeLists] = [:]
    public private(set) var counters = MatchCounters()

    private struct WakeLists {
        var lists: ContiguousArray<ContiguousArray<Int32>> = [[]]
        var numbers: [ContiguousArray<Int32>: Int32] = [[]: 0]

        mutating func number(_ list: ContiguousArray<Int32>) -> Int32 {
            if let n = numbers[list] { return n }
            let n = Int32(lists.count)
            lists.append(list)
            numbers[list] = n
            return n
        }
    }

    public init(_ rules: RuleSet) { self.rules = rules }

    /// Finds the survivors of every leg that reads `table`. `batch` has the columns of ``RuleSet/columns(of:)`` in that order;
    /// `key` gives the identity of a row, and is asked for rows that pass the leading filters of some leg only.
    public func evaluate(_ batch: Batch, table name: String, context: EvaluationContext, key: (Int) -> RowKey) throws -> [Matches] {
        guard let table = rules.tables[name], batch.count > 0 else { return [] }
        counters.rows += Int64(batch.count)
        counters.batches += 1
        var candidates = ContiguousArray<Bitmap?>(repeating: nil, count: table.legs.count)
        for leg in table.always { candidates[leg] = Bitmap(repeating: true, count: batch.count) }
        var tableMemos = memos[name] ?? Array(repeating: ValueMemo(), count: table.indexes.count)
        var lists = wakeLists[name] ?? WakeLists()
        memos[name] = nil
        wakeLists[name] = nil
        defer {
            memos[name] = tableMemos
            wakeLists[name] = lists
        }
        for (i, index) in table.indexes.enumerated() {
            try probe(batch, table, index, memo: &tableMemos[i], lists: &lists, context: context, candidates: &candidates)
        }
        var out: [Matches] = []
        for (number, rows) in candidates.enumerated() {
            guard let rows, !rows.isEmpty else { continue }
            let entry = table.legs[number]
            let selected = rows.indices
            counters.residualRows += Int64(selected.count)
            counters.residualRuns += 1
            let input = Batch(columns: entry.positions.map { batch.columns[$0] }, count: batch.count)
            if let (survivors, origins) = try entry.prefix.run(input, rows: selected, context: context, key: key) {
                counters.survivors += Int64(survivors.count)
                out.append(Matches(leg: entry.reference, rows: survivors, origins: origins))
            }
        }
        return out
    }

    private func probe(
        _ batch: Batch, _ table: RuleSet.Table, _ index: RuleSet.ColumnIndex, memo: inout ValueMemo, lists: inout WakeLists,
        context: EvaluationContext, candidates: inout ContiguousArray<Bitmap?>
    ) throws {
        let column = batch.columns[index.position]
        let text: StringColumn
        switch column.data {
        case .strings(let s): text = s
        case .dynamics(let s): text = s
        default: return try scan(column, table, index, context: context, candidates: &candidates)
        }
        guard let codes = text.codes, column.validity == nil else {
            return try scan(column, table, index, context: context, candidates: &candidates)
        }
        // Dictionary column: each distinct value is looked up once, and tested once in the memo's life.
        var wake = ContiguousArray<Int32>(repeating: 0, count: text.values.count)
        var missed = ContiguousArray<Int32>()
        var hashes = ContiguousArray<UInt64>()
        var any = false
        for v in 0..<text.values.count {
            text.values.withBytes(v) { bytes in
                let h = ValueMemo.hash(bytes)
                if let known = memo.find(bytes, hash: h) {
                    wake[v] = known
                    any = any || known != 0
                    counters.memoHits += 1
                } else {
                    missed.append(Int32(v))
                    hashes.append(h)
                }
            }
        }
        if !missed.isEmpty {
            let values = StringColumn(text.values).gather(missed)
            let fresh = Column(column.type, column.type == .dynamic ? .dynamics(values) : .strings(values))
            let hits = try test(fresh, table, index, context: context)
            for (k, v) in missed.enumerated() {
                let list = lists.number(hits[k])
                wake[Int(v)] = list
                any = any || list != 0
                text.values.withBytes(Int(v)) { bytes in
                    if bytes.count <= ValueMemo.maximumLength { memo.insert(bytes, hash: hashes[k], wake: list) }
                }
            }
        }
        guard any else { return }
        for row in 0..<batch.count {
            let list = wake[Int(codes[row])]
            if list != 0 { for leg in lists.lists[Int(list)] { mark(&candidates, Int(leg), row, batch.count) } }
        }
    }

    /// A column without a dictionary: every row is tested.
    private func scan(
        _ column: Column, _ table: RuleSet.Table, _ index: RuleSet.ColumnIndex, context: EvaluationContext,
        candidates: inout ContiguousArray<Bitmap?>
    ) throws {
        let hits = try test(column, table, index, context: context)
        for (row, legs) in hits.enumerated() { for leg in legs { mark(&candidates, Int(leg), row, column.count) } }
    }

    private func mark(_ candidates: inout ContiguousArray<Bitmap?>, _ leg: Int, _ row: Int, _ count: Int) {
        if candidates[leg] == nil { candidates[leg] = Bitmap(repeating: false, count: count) }
        candidates[leg]?[row] = true
    }

    /// For each cell, the legs that it wakes, ascending.
    private func test(
        _ column: Column, _ table: RuleSet.Table, _ index: RuleSet.ColumnIndex, context: EvaluationContext
    ) throws -> ContiguousArray<ContiguousArray<Int32>> {
        var hits = ContiguousArray<ContiguousArray<Int32>>(repeating: [], count: column.count)
        counters.valuesTested += Int64(column.count)
        if !index.exact.isEmpty || !index.folded.isEmpty, case .strings(let s) = column.data {
            for row in 0..<s.count {
                let value = s[row]
                if let atoms = index.exact[value] { for a in atoms { hits[row] += table.wakes[a] } }
                if !index.folded.isEmpty, let atoms = index.folded[value.lowercased()] { for a in atoms { hits[row] += table.wakes[a] } }
            }
        }
        let batch = Batch(columns: [column], count: column.count)
        for (atom, predicate) in index.general {
            counters.atomKernels += 1
            try predicate.select(batch, context).forEachSet { hits[$0] += table.wakes[atom] }
        }
        for row in hits.indices where hits[row].count > 1 { hits[row] = ContiguousArray(Set(hits[row]).sorted()) }
        return hits
    }
}
