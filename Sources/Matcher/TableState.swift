import Columnar
import Evaluation
import KQL

/// What one worker knows of one table: which atoms hold for the values it has seen, and which rows of the batch at hand are candidates.
///
/// Each distinct set of atoms that some value satisfies has a number (an atom list); rows are then looked at by list number alone, and a
/// value that satisfies no atom costs one comparison a row.
final class TableState {
    private let table: RuleSet.Table
    private var memos: [ValueMemo]
    private var lists: [AtomLists]
    private var scanners: [[LiteralScanner?]]
    /// The clause of each leg whose atoms are looked for; the others are asked for its rows only.
    private var firstClause: [Int]
    /// Rows counted for each atom in the batches that were sampled.
    private var rowsOf: [Int64]
    private var batches = 0
    /// Candidate rows by leg, reused from batch to batch; `touched` names those in use.
    private var candidates: [ContiguousArray<Int32>]
    private var touched: [Int] = []

    /// The atom list of each cell of an indexed column in the batch at hand.
    private struct View {
        /// Codes into `numbers`; nil: one number a row.
        var codes: ContiguousArray<UInt32>?
        var numbers: ContiguousArray<Int32>
        /// Some number is not 0.
        var any: Bool
    }
    private var views: [View] = []

    init(_ table: RuleSet.Table) {
        self.table = table
        memos = table.indexes.map { _ in ValueMemo() }
        lists = table.indexes.map { _ in AtomLists() }
        scanners = table.indexes.map { $0.subjects.map { $0.literals.flatMap { LiteralScanner($0) } } }
        firstClause = table.legs.map(\.firstClause)
        rowsOf = Array(repeating: 0, count: table.occurrences.count)
        candidates = Array(repeating: [], count: table.legs.count)
    }

    // MARK: Memory

    /// Distinct lists of atoms of one column, beyond which its values are tested anew.
    static let mostLists = 1 << 16

    /// Forgets the values that did not come since the last time but one.
    func forgetUnused() { for i in memos.indices { memos[i].age() } }

    /// Values remembered, and the memory that they take, roughly.
    var remembered: (values: Int, bytes: Int) { memos.reduce((0, 0)) { ($0.0 + $1.count, $0.1 + $1.bytes) } }

    // MARK: Candidates

    func findCandidates(_ batch: Batch, context: EvaluationContext, counters: inout MatchCounters) throws {
        for leg in touched { candidates[leg].removeAll(keepingCapacity: true) }
        touched.removeAll(keepingCapacity: true)
        views.removeAll(keepingCapacity: true)
        for i in table.indexes.indices { views.append(try view(batch, i, context, &counters)) }
        for i in views.indices where views[i].any { mark(i, rows: batch.count) }
        learn(rows: batch.count)
    }

    /// Candidate rows of each leg that has some, legs and rows ascending.
    func forEachCandidate(rows: Int, _ body: (Int, ContiguousArray<Int32>) throws -> Void) rethrows {
        if !table.always.isEmpty {
            let all = ContiguousArray(0..<Int32(rows))
            for leg in table.always {
                candidates[leg] = all
                touched.append(leg)
            }
        }
        touched.sort()
        for leg in touched { try body(leg, candidates[leg]) }
    }

    private func mark(_ i: Int, rows: Int) {
        let view = views[i]
        let wakes = lists[i].wakes
        guard view.numbers.contains(where: { !wakes[Int($0)].isEmpty }) else { return }
        for row in 0..<rows {
            let number = view.codes.map { view.numbers[Int($0[row])] } ?? view.numbers[row]
            if number == 0 { continue }
            for leg in wakes[Int(number)] where passes(Int(leg), row) { add(Int32(row), to: Int(leg)) }
        }
    }

    private func add(_ row: Int32, to leg: Int) {
        guard let last = candidates[leg].last else {
            touched.append(leg)
            candidates[leg].append(row)
            return
        }
        if last < row {
            candidates[leg].append(row)
        } else if last > row {
            // A clause over several columns: rows come again, in order, for each.
            var low = 0
            var high = candidates[leg].count
            while low < high {
                let middle = (low + high) / 2
                if candidates[leg][middle] < row { low = middle + 1 } else { high = middle }
            }
            if candidates[leg][low] != row { candidates[leg].insert(row, at: low) }
        }
    }

    /// Whether the row satisfies the leg's other clauses.
    private func passes(_ leg: Int, _ row: Int) -> Bool {
        let clauses = table.legs[leg].clauses
        if clauses.count == 1 { return true }
        for c in clauses.indices where c != firstClause[leg] {
            let holds = clauses[c].contains { place in
                let view = views[Int(place.index)]
                let number = view.codes.map { view.numbers[Int($0[row])] } ?? view.numbers[row]
                return number != 0 && lists[Int(place.index)].atoms[Int(number)].contains(place.atom)
            }
            if !holds { return false }
        }
        return true
    }

    // MARK: Learning

    /// Counts, in some batches, how many rows each atom lets through, and from time to time lets each leg look for its rarest clause
    /// first. The candidates are the same whichever that is.
    private func learn(rows: Int) {
        batches += 1
        let isPowerOfTwo = batches & (batches - 1) == 0
        guard isPowerOfTwo || batches % 64 == 0 else { return }
        for (i, view) in views.enumerated() where view.any {
            var counts = [Int64](repeating: 0, count: lists[i].atoms.count)
            if let codes = view.codes {
                for row in 0..<rows { counts[Int(view.numbers[Int(codes[row])])] += 1 }
            } else {
                for row in 0..<rows { counts[Int(view.numbers[row])] += 1 }
            }
            for (number, count) in counts.enumerated() where count > 0 { for a in lists[i].atoms[number] { rowsOf[Int(a)] += count } }
        }
        guard isPowerOfTwo || batches % 4096 == 0 else { return }
        for (leg, entry) in table.legs.enumerated() where entry.clauses.count > 1 {
            func seen(_ clause: Int) -> Int64 { entry.clauses[clause].reduce(0) { $0 + rowsOf[Int($1.atom)] } }
            let best = entry.clauses.indices.min { seen($0) < seen($1) } ?? 0
            if seen(best) < seen(firstClause[leg]) { firstClause[leg] = best }
        }
        for i in lists.indices { lists[i].renewWakes { wakes($0) } }
    }

    /// The legs whose first clause has one of these atoms, ascending.
    private func wakes(_ atoms: ContiguousArray<Int32>) -> ContiguousArray<Int32> {
        var legs = Set<Int32>()
        for a in atoms {
            for o in table.occurrences[Int(a)] where Int(o.clause) == firstClause[Int(o.leg)] { legs.insert(o.leg) }
        }
        return ContiguousArray(legs.sorted())
    }

    // MARK: Values

    private func view(_ batch: Batch, _ i: Int, _ context: EvaluationContext, _ counters: inout MatchCounters) throws -> View {
        let column = batch.columns[table.indexes[i].position]
        let text: StringColumn
        switch column.data {
        case .strings(let s): text = s
        case .dynamics(let s): text = s
        default: return try scanned(column, i, context, &counters)
        }
        guard let codes = text.codes else { return try scanned(column, i, context, &counters) }
        if lists[i].atoms.count >= TableState.mostLists {
            memos[i] = ValueMemo()
            lists[i] = AtomLists()
        }
        // Dictionary column: each distinct value is looked up once, and tested once in the memo's life.
        var numbers = ContiguousArray<Int32>(repeating: 0, count: text.values.count)
        var missed = ContiguousArray<Int32>()
        var hashes = ContiguousArray<UInt64>()
        var any = false
        var found = 0
        for v in 0..<text.values.count {
            text.values.withBytes(v) { bytes in
                let h = ValueMemo.hash(bytes)
                if let known = memos[i].find(bytes, hash: h) ?? memos[i].revive(bytes, hash: h) {
                    numbers[v] = known
                    any = any || known != 0
                    found += 1
                } else {
                    missed.append(Int32(v))
                    hashes.append(h)
                }
            }
        }
        if !missed.isEmpty {
            let values = StringColumn(text.values).gather(missed)
            var fresh = Column(column.type, .strings(values))
            if column.type == .dynamic {
                // Null cells have empty text, and only they.
                let valid = Bitmap((0..<values.count).map { values.values.length($0) > 0 })
                fresh = Column(column.type, .dynamics(values), validity: valid.isFull ? nil : valid)
            }
            let hits = try test(fresh, i, context, &counters)
            for (k, v) in missed.enumerated() {
                let number = number(of: hits[k], i)
                numbers[Int(v)] = number
                any = any || number != 0
                text.values.withBytes(Int(v)) { bytes in
                    if bytes.count <= ValueMemo.maximumLength { memos[i].insert(bytes, hash: hashes[k], wake: number) }
                }
            }
        }
        counters.memoHits += Int64(found)
        memos[i].settle(found: found)
        return View(codes: codes, numbers: numbers, any: any)
    }

    /// A column without a dictionary: every row is tested.
    private func scanned(_ column: Column, _ i: Int, _ context: EvaluationContext, _ counters: inout MatchCounters) throws -> View {
        if lists[i].atoms.count >= TableState.mostLists {
            memos[i] = ValueMemo()
            lists[i] = AtomLists()
        }
        let hits = try test(column, i, context, &counters)
        var view = View(codes: nil, numbers: ContiguousArray(repeating: 0, count: column.count), any: false)
        for (row, atoms) in hits.enumerated() where !atoms.isEmpty {
            view.numbers[row] = number(of: atoms, i)
            view.any = true
        }
        return view
    }

    private func number(of atoms: ContiguousArray<Int32>, _ i: Int) -> Int32 {
        if atoms.isEmpty { return 0 }
        return lists[i].number(atoms) { wakes($0) }
    }

    /// For each cell, the atoms that hold, ascending.
    private func test(
        _ column: Column, _ i: Int, _ context: EvaluationContext, _ counters: inout MatchCounters
    ) throws -> ContiguousArray<ContiguousArray<Int32>> {
        let index = table.indexes[i]
        var hits = ContiguousArray<ContiguousArray<Int32>>(repeating: [], count: column.count)
        counters.valuesTested += Int64(column.count)
        let batch = Batch(columns: [column], count: column.count)
        for (s, subject) in index.subjects.enumerated() {
            var texts = column
            if let expression = subject.expression { texts = try expression.evaluate(batch, context).materialized(rows: column.count) }
            guard case .strings(let text) = texts.data else { continue }
            if !subject.exact.isEmpty || !subject.folded.isEmpty {
                counters.atomKernels += 1
                let (exact, folded) = (subject.exact, subject.folded)
                for row in 0..<text.count {
                    text.withBytes(row) { bytes in
                        if !exact.isEmpty { exact.find(bytes) { hits[row].append($0) } }
                        if !folded.isEmpty { folded.findFolded(bytes) { hits[row].append($0) } }
                    }
                }
            }
            if subject.literals != nil { try scan(text, batch, subject, scanners[i][s], context, &hits, &counters) }
        }
        for atom in index.general { try decide(atom, nil, batch, context, &hits, &counters) }
        for row in hits.indices where hits[row].count > 1 { hits[row] = ContiguousArray(Set(hits[row]).sorted()) }
        return hits
    }

    /// One pass finds which literals each text contains; the atoms' own predicates decide for those rows.
    private func scan(
        _ text: StringColumn, _ batch: Batch, _ subject: RuleSet.Subject, _ scanner: LiteralScanner?, _ context: EvaluationContext,
        _ hits: inout ContiguousArray<ContiguousArray<Int32>>, _ counters: inout MatchCounters
    ) throws {
        counters.atomKernels += 1
        var rows: [Int: ContiguousArray<Int32>] = [:]
        var unknown = ContiguousArray<Int32>()
        for row in 0..<text.count {
            let known =
                text.withBytes(row) { bytes in
                    scanner?.scan(bytes) { atom in
                        if rows[atom]?.last != Int32(row) { rows[atom, default: []].append(Int32(row)) }
                    }
                } ?? false
            if !known { unknown.append(Int32(row)) }
        }
        for (atom, found) in rows.sorted(by: { $0.key < $1.key }) { try decide(atom, found, batch, context, &hits, &counters) }
        if !unknown.isEmpty { for atom in subject.literalAtoms { try decide(atom, unknown, batch, context, &hits, &counters) } }
    }

    /// Evaluates an atom over the rows given, or over all.
    private func decide(
        _ atom: Int, _ rows: ContiguousArray<Int32>?, _ batch: Batch, _ context: EvaluationContext,
        _ hits: inout ContiguousArray<ContiguousArray<Int32>>, _ counters: inout MatchCounters
    ) throws {
        guard let predicate = table.predicates[atom] else { return }
        counters.atomKernels += 1
        guard let rows else {
            try predicate.select(batch, context).forEachSet { hits[$0].append(Int32(atom)) }
            return
        }
        try predicate.select(batch.gather(rows), context).forEachSet { hits[Int(rows[$0])].append(Int32(atom)) }
    }
}

/// The distinct sets of atoms that values of one column satisfy; number 0 is the empty one.
struct AtomLists {
    private(set) var atoms: ContiguousArray<ContiguousArray<Int32>> = [[]]
    /// The legs that each list wakes.
    private(set) var wakes: ContiguousArray<ContiguousArray<Int32>> = [[]]
    private var numbers: [ContiguousArray<Int32>: Int32] = [[]: 0]

    mutating func number(_ list: ContiguousArray<Int32>, _ waking: (ContiguousArray<Int32>) -> ContiguousArray<Int32>) -> Int32 {
        if let n = numbers[list] { return n }
        let n = Int32(atoms.count)
        atoms.append(list)
        wakes.append(waking(list))
        numbers[list] = n
        return n
    }

    mutating func renewWakes(_ waking: (ContiguousArray<Int32>) -> ContiguousArray<Int32>) {
        for n in atoms.indices { wakes[n] = waking(atoms[n]) }
    }
}
