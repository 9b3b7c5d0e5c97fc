import Columnar
import KQL
import Synchronization

/// The groups of a `summarize` that has so many of them that one table of all is dear: it misses the caches at every row, and tables of
/// several threads take as long to merge as to make.
///
/// Rows are divided by the hash of their keys. Each division has a table of its own, small enough for the caches, to which all threads
/// add: no two divisions have a group in common, so nothing is merged. Groups come out in the order of their first rows.
final class GroupDivisions {
    private let execution: Execution
    private let work: AggregationPlan
    let keyExprs: [CompiledExpression]
    let argumentExprs: [[CompiledExpression]]
    private let divisions: [Division]
    /// Whether groups are many; nil while no thread has seen enough rows. Once said, it holds for all.
    private let choice = Mutex<Bool?>(nil)
    private let groupCount = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)

    /// Nil if the plan is not of a kind that can be divided: rows must be in the order of arrival, and states of a fixed size.
    init?(_ execution: Execution, _ work: AggregationPlan) throws {
        guard !execution.options.keys, !work.keys.isEmpty else { return nil }
        self.execution = execution
        self.work = work
        keyExprs = try work.keys.map { try execution.compiled($0, of: work.plan, over: work.input.columns) }
        let arguments = try work.aggregates.map { a in
            try a.arguments.map { try execution.compiled($0, of: work.plan, over: work.input.columns) }
        }
        argumentExprs = arguments
        divisions = try (0..<DividedBatch.divisions).map { _ in
            Division(
                types: work.keys.map(\.type),
                states: try work.aggregates.enumerated().map { i, a in
                    try AggregateRegistry.accumulator(a, constants: arguments[i].map(\.constant), limits: execution.limits)
                })
        }
        guard divisions[0].states.allSatisfy({ $0.isFixedSize && !$0.readsOrder }) else { return nil }
    }

    /// Says whether groups are many, unless another thread has; returns what holds.
    func settle(isMany: Bool) -> Bool {
        choice.withLock { c in
            if let c { return c }
            c = isMany
            return isMany
        }
    }

    var isDivided: Bool { choice.withLock { $0 ?? false } }

    /// Adds a part's rows; false when the groups take more memory than they may.
    func add(_ batches: [DividedBatch], part: Int, of parts: Int) throws -> Bool {
        // Each thread begins elsewhere, so that they seldom meet.
        let first = part * DividedBatch.divisions / max(1, parts)
        for k in 0..<DividedBatch.divisions {
            let d = (first + k) % DividedBatch.divisions
            let count = batches.reduce(0) { $0 + $1.range(d).count }
            if count == 0 { continue }
            guard let rows = columns(of: batches, division: d) else { return false }
            let places = DividedBatch.ordinals(batches, division: d, count: count, part: part)
            let (groups, memory) = try divisions[d].add(rows.keys, rows.arguments, places)
            let known = groupCount.add(groups, ordering: .relaxed).newValue
            try execution.limits.check(held: known, by: "summarize")
            if bytes.add(memory, ordering: .relaxed).newValue > execution.limits.heldBytes { return false }
        }
        try execution.limits.check(bytes: bytes.load(ordering: .relaxed), by: "summarize")
        return true
    }

    /// The rows of one division as keys and arguments; nil when they do not fit one column.
    private func columns(of batches: [DividedBatch], division: Int) -> (keys: [Column], arguments: [[Datum]])? {
        var at = 0
        func next() -> Column? {
            defer { at += 1 }
            return DividedBatch.joined(batches, column: at, division: division)
        }
        var keys: [Column] = []
        for _ in work.keys {
            guard let c = next() else { return nil }
            keys.append(c)
        }
        var arguments: [[Datum]] = []
        for exprs in argumentExprs {
            var own: [Datum] = []
            for e in exprs {
                if let constant = e.constant {
                    own.append(.constant(constant))
                } else {
                    guard let c = next() else { return nil }
                    own.append(.column(c))
                }
            }
            arguments.append(own)
        }
        return (keys, arguments)
    }

    /// Hands the groups over in the order of their first rows. `rows`: how many each part had. False: `emit` wanted no more. Nil, before
    /// anything was handed over: a column does not fit.
    func finish(rows: [Int], _ parts: [Environment], _ emit: (Batch) throws -> Bool) throws -> Bool? {
        let made = try execution.inParallel(parts) { part -> [[Column]] in
            let (i, n) = (part.part?.index ?? 0, part.part?.count ?? 1)
            let own = (DividedBatch.divisions * i / n)..<(DividedBatch.divisions * (i + 1) / n)
            return try own.map { try self.divisions[$0].finish() }
        }.joined()
        var places = ContiguousArray<UInt64>()
        places.reserveCapacity(groupCount.load(ordering: .relaxed))
        for d in divisions { places.append(contentsOf: d.firsts) }
        let order = RowPlaces.order(places, rows: rows)
        let types = work.plan.columns.map(\.type)
        guard made.allSatisfy({ $0.count == types.count }) else {
            throw EvaluationError("summarize made other columns than \(types.count)", at: work.plan.range)
        }
        var columns: [Column] = []
        for (c, type) in types.enumerated() {
            guard let column = DividedBatch.joined(made.map { ($0[c], 0..<$0[c].count) }, type: type) else { return nil }
            columns.append(column)
        }
        var at = 0
        while at < order.count {
            let part = ContiguousArray(
                order[at..<min(order.count, at + execution.options.batchRows)].lazy.map { Int32(truncatingIfNeeded: $0) })
            guard try emit(Batch(columns: columns.map { $0.gather(part) }, count: part.count)) else { return false }
            at += part.count
        }
        return true
    }
}

/// The groups whose keys' hashes begin alike.
private final class Division {
    let states: [any Accumulator]
    private(set) var firsts = ContiguousArray<UInt64>()
    private var table: GroupTable
    private var bytes = 0
    private let lock = Mutex<Void>(())

    init(types: [ScalarType], states: [any Accumulator]) {
        self.states = states
        table = GroupTable(types: types)
    }

    /// Returns by how many groups and bytes it has grown.
    func add(_ keys: [Column], _ arguments: [[Datum]], _ places: ContiguousArray<UInt64>) throws -> (groups: Int, bytes: Int) {
        try lock.withLock { _ in
            let before = (groups: firsts.count, bytes: bytes)
            // The first rows tell how many groups there may be: a table that grows is filled again and again.
            if firsts.isEmpty { table.reserve(places.count) }
            let ids = try table.intern(keys)
            let count = table.count
            firsts.grow(to: count, .max)
            RowPlaces.note(ids, places, in: &firsts)
            let input = AggregateInput(rows: places.count, groups: ids, order: [])
            for (s, a) in zip(states, arguments) {
                s.resize(count)
                try s.add(a, input)
            }
            bytes = states.reduce(table.bytes + 16 * count) { $0 + max($1.bytes, 16 * count) }
            return (count - before.groups, bytes - before.bytes)
        }
    }

    /// The key columns and results of all groups.
    func finish() throws -> [Column] {
        for s in states { try s.seal() }
        let all = ContiguousArray((0..<firsts.count).lazy.map { UInt32(truncatingIfNeeded: $0) })
        var columns = table.columns(all)
        table = GroupTable(types: [])
        for s in states { columns += try s.finish(all) }
        return columns
    }
}

/// One thread's part of a `summarize`: its groups in one table, or its rows handed to ``GroupDivisions``, as the first rows tell.
final class AggregationPart {
    /// Rows after which it is known whether groups are many.
    static let looks = 1 << 15
    /// Memory of divided rows that wait.
    private static let waitingBytes = 48 << 20

    private let execution: Execution
    private let divisions: GroupDivisions?
    private let part: ScanPart
    /// The groups, unless they are divided.
    private(set) var whole: Aggregation?
    /// What was added to `whole` while it was not known how many groups there are.
    private var seen: [Batch] = []
    private(set) var rows = 0
    private var waiting: [DividedBatch] = []
    private var waitingBytes = 0
    private(set) var isFull = false

    init(_ execution: Execution, _ work: AggregationPlan, _ divisions: GroupDivisions?, _ part: ScanPart) throws {
        self.execution = execution
        self.divisions = divisions
        self.part = part
        whole = try Aggregation(execution, work, mayPutAside: false)
    }

    /// Adds the rows of a batch; false when the groups do not fit.
    func add(_ batch: Batch) throws -> Bool {
        if batch.count == 0 { return true }
        guard let whole else { return try divide(batch) }
        _ = try whole.add(batch)
        if whole.isFull {
            isFull = true
            return false
        }
        if let divisions, rows < execution.options.looksAtRows {
            seen.append(batch)
            rows += batch.count
            if rows >= execution.options.looksAtRows {
                // With several rows a group, one table of all is as good.
                if divisions.settle(isMany: whole.groupCount * 4 >= rows * 3) { return try divideSeen() }
                seen = []
            }
        }
        return true
    }

    /// No more rows come. Called once all threads are done, for what they have found to be known.
    func finish() throws {
        guard let divisions, divisions.isDivided, !isFull else { return }
        if whole != nil { _ = try divideSeen() }
        if !isFull { _ = try flush() }
    }

    /// Makes room early: on the part's own thread, once its rows have been read.
    func flush() throws -> Bool {
        guard let divisions, !waiting.isEmpty else { return true }
        let batches = waiting
        waiting = []
        waitingBytes = 0
        if try divisions.add(batches, part: part.index, of: part.count) { return true }
        isFull = true
        return false
    }

    private func divideSeen() throws -> Bool {
        let batches = seen
        seen = []
        whole = nil
        rows = 0
        for b in batches { if try !divide(b) { return false } }
        return true
    }

    private func divide(_ batch: Batch) throws -> Bool {
        guard let divisions else { return true }
        let n = batch.count
        let keys = try divisions.keyExprs.map { try $0.evaluate(batch, execution.context).materialized(rows: n) }
        var columns = keys
        for e in divisions.argumentExprs.joined() where e.constant == nil {
            columns.append(try e.evaluate(batch, execution.context).materialized(rows: n))
        }
        let divided = DividedBatch(keys: keys, columns: columns, count: n, base: rows)
        rows += n
        waiting.append(divided)
        waitingBytes += divided.bytes
        return waitingBytes > min(AggregationPart.waitingBytes, execution.limits.heldBytes / 2) ? try flush() : true
    }
}
