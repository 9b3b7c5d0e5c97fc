import Columnar
import KQL

extension Execution {
    /// Hash join: the right side is held, the left one streams past (`innerunique` holds the left rows that it keeps too).
    ///
    /// Null keys are equal to each other, as empty strings are. Matches of a left row come in the row order of the right side.
    func join(
        _ plan: Plan, _ kind: JoinKind, _ left: Plan, _ right: Plan, _ keys: [JoinKey], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let rightKeys = try keys.map { try compiled($0.right, of: plan, over: right.columns, side: 1) }
        let leftKeys = try keys.map { try compiled($0.left, of: plan, over: left.columns) }
        let work = JoinWork(
            kind: kind, leftKeys: leftKeys, rightKeys: rightKeys, leftColumns: left.columns, rightColumns: right.columns,
            keyTypes: keys.map(\.right.type), isLeftOrdered: isOrdered(left), isRightOrdered: isOrdered(right))
        if let known = preparedJoin(plan) { return try join(work, JoinRows(plan: left, environment: environment), known, emit) }
        return try join(work, JoinRows(plan: left, environment: environment), JoinRows(plan: right, environment: environment), 0, emit)
    }

    /// Joins with a right side that is held.
    private func join(_ work: JoinWork, _ left: JoinRows, _ build: JoinTable, _ emit: (Batch) throws -> Bool) throws -> Bool {
        let kind = work.kind
        let leftKeys = work.leftKeys
        switch kind {
        case .inner, .leftouter, .rightouter, .fullouter: return try probe(work, left, build, nil, emit)
        case .innerunique: return try probe(work, left, build, try uniqueLeft(work, left, build), emit)
        case .leftsemi, .leftanti:
            return try read(left) { batch in
                let groups = try build.find(
                    try leftKeys.map { try $0.evaluate(batch, context).materialized(rows: batch.count) }, batch.count)
                let chosen = Bitmap(groups.map { ($0 >= 0) == (kind == .leftsemi) })
                return chosen.isEmpty ? true : try emit(batch.filter(chosen))
            }
        case .rightsemi, .rightanti:
            var matched = ContiguousArray<Bool>(repeating: false, count: build.groupCount)
            _ = try read(left) { batch in
                let groups = try build.find(
                    try leftKeys.map { try $0.evaluate(batch, context).materialized(rows: batch.count) }, batch.count)
                for g in groups where g >= 0 { matched[Int(g)] = true }
                return true
            }
            let rows = (0..<build.store.count).filter { matched[Int(build.groups[$0])] == (kind == .rightsemi) }
            return try build.store.emit(rows, batchRows: options.batchRows, emit)
        }
    }

    /// Joins two sides, holding the right one. One that does not fit is put aside with the left side, both divided by key, and the
    /// divisions are joined one by one. `level`: how often the rows were divided before.
    private func join(
        _ work: JoinWork, _ left: JoinRows, _ right: JoinRows, _ level: Int, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        var store = RowStore(work.rightColumns)
        var bytes = 0
        var aside: KeyPartitions?
        func put(_ batch: Batch, _ keys: [CompiledExpression], _ parts: KeyPartitions) throws {
            try parts.add(batch, keys: try keys.map { try $0.evaluate(batch, context).materialized(rows: batch.count) })
        }
        _ = try read(right) { batch in
            if let aside {
                try put(batch, work.rightKeys, aside)
                return true
            }
            try store.append(batch, limits, by: "join")
            bytes += batch.bytes
            guard bytes > limits.heldBytes, !work.rightKeys.isEmpty, batch.lineage == nil, level < KeyPartitions.mostLevels else {
                return true
            }
            let parts = KeyPartitions(level: level, folder: limits.folder)
            for held in store.batches { try put(held, work.rightKeys, parts) }
            store = RowStore(work.rightColumns)
            aside = parts
            return true
        }
        guard let aside else { return try join(work, left, try JoinTable(self, work, store), emit) }
        let leftAside = KeyPartitions(level: level, folder: limits.folder)
        _ = try read(left) {
            try put($0, work.leftKeys, leftAside)
            return true
        }
        for part in 0..<KeyPartitions.count {
            let a = JoinRows(file: try leftAside.reader(part, work.leftColumns.map(\.type)))
            let b = JoinRows(file: try aside.reader(part, work.rightColumns.map(\.type)))
            if a.file == nil, b.file == nil { continue }
            if try !join(work, a, b, level + 1, emit) { return false }
            leftAside.drop(part)
            aside.drop(part)
        }
        return true
    }

    /// Hands over the rows of a side.
    private func read(_ rows: JoinRows, _ emit: (Batch) throws -> Bool) throws -> Bool {
        if let file = rows.file {
            while let batch = try file.next() { if try !emit(batch) { return false } }
            return true
        }
        guard let plan = rows.plan else { return true }
        return try run(plan, rows.environment, emit)
    }

    /// Whether a join can take its left side in parts; if so, its right side is held from now on.
    func prepareJoin(_ plan: Plan, _ kind: JoinKind, _ left: Plan, _ right: Plan, _ keys: [JoinKey]) throws -> Bool {
        switch kind {
        case .inner, .leftouter, .leftsemi, .leftanti: break
        case .innerunique, .rightouter, .fullouter, .rightsemi, .rightanti: return false
        }
        for key in keys { _ = try compiled(key.left, of: plan, over: left.columns) }
        let rightKeys = try keys.map { try compiled($0.right, of: plan, over: right.columns, side: 1) }
        var store = RowStore(right.columns)
        var bytes = 0
        try run(right, Environment()) { batch in
            try store.append(batch, limits, by: "join")
            bytes += batch.bytes
            return bytes <= limits.heldBytes
        }
        // Too large to hold: the join puts it aside, on one thread.
        if bytes > limits.heldBytes { return false }
        let work = JoinWork(
            kind: kind, leftKeys: [], rightKeys: rightKeys, leftColumns: left.columns, rightColumns: right.columns,
            keyTypes: keys.map(\.right.type), isLeftOrdered: isOrdered(left), isRightOrdered: isOrdered(right))
        prepareJoin(plan, try JoinTable(self, work, store))
        return true
    }

    /// The least left row of each key that the right side has, in the order in which they came. Held are about as many rows as the right
    /// side has keys.
    private func uniqueLeft(_ work: JoinWork, _ left: JoinRows, _ build: JoinTable) throws -> (store: RowStore, rows: [Int]) {
        var store = RowStore(work.leftColumns)
        var orders = ContiguousArray<RowKey>()
        /// The held row of each key; -1: none.
        var best = ContiguousArray<Int>(repeating: -1, count: build.groupCount)
        var start = 0
        _ = try read(left) { batch in
            let groups = try build.find(
                try work.leftKeys.map { try $0.evaluate(batch, context).materialized(rows: batch.count) }, batch.count)
            let order = self.orders(batch, positional: work.isLeftOrdered, start: start)
            start += batch.count
            var chosen = ContiguousArray<Int32>()
            for i in groups.indices where groups[i] >= 0 {
                let g = Int(groups[i])
                if best[g] >= 0, !(order[i] < orders[best[g]]) { continue }
                best[g] = store.count + chosen.count
                chosen.append(Int32(truncatingIfNeeded: i))
                orders.append(order[i])
            }
            if chosen.isEmpty { return true }
            try store.append(chosen.count == batch.count ? batch : batch.gather(chosen), limits, by: "join")
            if store.count > 2 * build.groupCount + 4 * options.batchRows {
                // Rows whose places others have taken are dropped.
                let kept = best.filter { $0 >= 0 }.sorted()
                store = try store.keeping(kept, batchRows: options.batchRows, limits, by: "join")
                var places = [Int: Int](minimumCapacity: kept.count)
                for (to, from) in kept.enumerated() { places[from] = to }
                orders = ContiguousArray(kept.lazy.map { orders[$0] })
                for g in best.indices where best[g] >= 0 { best[g] = places[best[g]] ?? -1 }
            }
            return true
        }
        return (store, best.filter { $0 >= 0 }.sorted())
    }

    /// Looks the left rows up (those of `held` if given) and hands the pairs over, then the right rows that an outer join keeps.
    private func probe(
        _ work: JoinWork, _ left: JoinRows, _ build: JoinTable, _ held: (store: RowStore, rows: [Int])?,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let kind = work.kind
        let leftKeys = work.leftKeys
        let keepsLeft = kind == .leftouter || kind == .fullouter
        let keepsRight = kind == .rightouter || kind == .fullouter
        var matched = ContiguousArray<Bool>(repeating: false, count: build.groupCount)
        var goesOn = true
        func pair(_ batch: Batch) throws -> Bool {
            let groups = try build.find(try leftKeys.map { try $0.evaluate(batch, context).materialized(rows: batch.count) }, batch.count)
            if build.isUnique, !keepsRight {
                let (rows, partners) = build.partners(groups, keepsUnmatched: keepsLeft)
                if rows.isEmpty { return true }
                goesOn = try emit(joined(batch, rows, build.store, partners))
                return goesOn
            }
            var leftRows = ContiguousArray<Int32>()
            var rightRows: [Int] = []
            leftRows.reserveCapacity(min(batch.count, options.batchRows))
            rightRows.reserveCapacity(min(batch.count, options.batchRows))
            func flush() throws {
                if leftRows.isEmpty || !goesOn { return }
                goesOn = try emit(joined(batch, leftRows, build.store, rightRows))
                leftRows.removeAll(keepingCapacity: true)
                rightRows.removeAll(keepingCapacity: true)
            }
            for i in 0..<batch.count {
                let g = groups[i]
                let row = Int32(truncatingIfNeeded: i)
                if g < 0 {
                    if keepsLeft {
                        leftRows.append(row)
                        rightRows.append(-1)
                    }
                } else {
                    matched[Int(g)] = true
                    for r in build.rows(Int(g)) {
                        leftRows.append(row)
                        rightRows.append(Int(r))
                        if leftRows.count >= options.batchRows {
                            try flush()
                            if !goesOn { return false }
                        }
                    }
                }
                if leftRows.count >= options.batchRows { try flush() }
            }
            try flush()
            return goesOn
        }
        if let held {
            _ = try held.store.emit(held.rows, batchRows: options.batchRows, pair)
        } else {
            _ = try read(left, pair)
        }
        if !goesOn || !keepsRight { return goesOn }
        let rest = (0..<build.store.count).filter { !matched[Int(build.groups[$0])] }
        return try build.store.emit(rest, batchRows: options.batchRows) { batch in
            let nulls = work.leftColumns.map { Column.nulls($0.type, count: batch.count) }
            return try emit(Batch(columns: nulls + batch.columns, count: batch.count, keys: batch.keys, lineage: batch.lineage))
        }
    }

    /// Rows of the left batch beside rows of the right store (-1: nulls). Lineages merge; a side without one adds none.
    private func joined(_ left: Batch, _ leftRows: ContiguousArray<Int32>, _ store: RowStore, _ rightRows: [Int]) -> Batch {
        let a = left.gatherOuter(leftRows)
        let b = store.gather(rightRows)
        var keys = a.keys
        var lineage = a.lineage
        if keys != nil || lineage != nil {
            for (i, r) in rightRows.enumerated() where r >= 0 {
                let (part, row) = store.place(r)
                if let key = store.batches[part].keys?[row], let mine = keys?[i] { keys?[i] = mine.joined(key) }
                if let other = store.batches[part].lineage?[row] { lineage?[i].merge(other) }
            }
        }
        if lineage == nil, options.lineage { lineage = b.lineage }
        return Batch(columns: a.columns + b.columns, count: a.count, keys: keys, lineage: lineage)
    }
}

/// What a join computes.
struct JoinWork {
    let kind: JoinKind
    let leftKeys: [CompiledExpression]
    let rightKeys: [CompiledExpression]
    let leftColumns: [BoundColumn]
    let rightColumns: [BoundColumn]
    let keyTypes: [ScalarType]
    let isLeftOrdered: Bool
    let isRightOrdered: Bool
}

/// The rows of one side of a join: those of a plan, or of a file.
struct JoinRows {
    var plan: Plan?
    var environment = Environment()
    var file: SpillFile.Reader?
}

/// The held side of a join: its rows by key.
struct JoinTable {
    let store: RowStore
    /// The key group of each held row.
    let groups: ContiguousArray<UInt32>
    let groupCount: Int
    /// No two held rows have the same key.
    let isUnique: Bool
    private let table: GroupTable
    private let hasKeys: Bool
    /// Row numbers by group, each group in row order.
    private var sorted = ContiguousArray<Int32>()
    private var starts = ContiguousArray<Int>()

    init(_ execution: Execution, _ work: JoinWork, _ store: RowStore) throws {
        let keys = work.rightKeys
        var table = GroupTable(types: work.keyTypes)
        var groups = ContiguousArray<UInt32>()
        groups.reserveCapacity(store.count)
        for batch in store.batches {
            if keys.isEmpty {
                groups.append(contentsOf: repeatElement(0, count: batch.count))
            } else {
                groups.append(
                    contentsOf: try table.intern(
                        try keys.map { try $0.evaluate(batch, execution.context).materialized(rows: batch.count) }))
            }
        }
        hasKeys = !keys.isEmpty
        groupCount = keys.isEmpty ? (store.count > 0 ? 1 : 0) : table.count
        let held = store
        self.store = store.flattened()
        self.groups = groups
        self.table = table
        starts = ContiguousArray(repeating: 0, count: groupCount + 1)
        for g in groups { starts[Int(g) + 1] += 1 }
        for g in 0..<groupCount { starts[g + 1] += starts[g] }
        var next = starts
        sorted = ContiguousArray(repeating: 0, count: held.count)
        isUnique = groupCount == held.count && held.count < Int(Int32.max)
        if isUnique {
            // One row a key: no order among them to find.
            for row in 0..<held.count { sorted[Int(groups[row])] = Int32(truncatingIfNeeded: row) }
            return
        }
        for row in held.ordered(positional: work.isRightOrdered) {
            let g = Int(groups[row])
            sorted[next[g]] = Int32(truncatingIfNeeded: row)
            next[g] += 1
        }
    }

    /// For held rows that all have keys of their own: the rows that have a partner, and the partners.
    func partners(_ found: ContiguousArray<Int64>, keepsUnmatched: Bool) -> (rows: ContiguousArray<Int32>, partners: [Int]) {
        var rows = ContiguousArray<Int32>()
        var partners: [Int] = []
        rows.reserveCapacity(found.count)
        partners.reserveCapacity(found.count)
        for i in found.indices {
            let g = found[i]
            if g >= 0 {
                rows.append(Int32(truncatingIfNeeded: i))
                partners.append(Int(sorted[Int(g)]))
            } else if keepsUnmatched {
                rows.append(Int32(truncatingIfNeeded: i))
                partners.append(-1)
            }
        }
        return (rows, partners)
    }

    /// The held rows of a group.
    func rows(_ group: Int) -> ArraySlice<Int32> { ArraySlice(sorted[starts[group]..<starts[group + 1]]) }

    /// The group of each probing row; -1 where no held row has its key.
    func find(_ columns: [Column], _ count: Int) throws -> ContiguousArray<Int64> {
        if !hasKeys { return ContiguousArray(repeating: groupCount > 0 ? 0 : -1, count: count) }
        return table.find(columns)
    }
}
