import Columnar
import KQL

/// `sequence_detect` and `funnel_sequence_completion`.
extension Execution {
    /// A point on a timeline as a number; nil for null.
    private static func instant(_ v: Value) -> Int64? {
        switch v {
        case .datetime(let t): t
        case .long(let n): n
        case .int(let n): Int64(n)
        default: nil
        }
    }

    /// The points in time at which one step of a group happened, with what they were made of.
    private struct Moments {
        var times: [Int64: (key: RowKey, lineage: Lineage?)] = [:]
        var sorted: [Int64] = []
    }

    /// One row for each way to go through the steps: points in time that do not fall, each at most `step` after the one before, the last at
    /// most `span` after the first. Rows of one step at one time count once. Arguments and options: `BindingSession.bindSequence`.
    func sequences(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard let steps = settings["steps"]?.integer.map({ Int($0) }), let step = settings["step"]?.integer,
            let span = settings["span"]?.integer, steps > 0, arguments.count > steps
        else { throw EvaluationError("sequence_detect lacks its settings", at: plan.range) }
        let ready = try arguments.map { try compiled($0, of: plan, over: input.columns) }
        let dimensions = ready[(1 + steps)...]
        var table = GroupTable(types: arguments[(1 + steps)...].map(\.type))
        var rows = GroupRows(hasKeys: options.keys)
        var moments: [[Moments]] = []
        let positional = !options.keys || isOrdered(input)
        var start = 0
        var held = 0
        try run(input, environment) { batch in
            let n = batch.count
            let order = orders(batch, positional: positional, start: start)
            start += n
            var ids = ContiguousArray<UInt32>(repeating: 0, count: n)
            if !dimensions.isEmpty { ids = try table.intern(try dimensions.map { try $0.evaluate(batch, context).materialized(rows: n) }) }
            let groups = dimensions.isEmpty ? 1 : table.count
            rows.resize(groups)
            rows.add(ids, order, batch)
            while moments.count < groups { moments.append(Array(repeating: Moments(), count: steps)) }
            let times = try ready[0].evaluate(batch, context).materialized(rows: n)
            for s in 0..<steps {
                let holds = try ready[1 + s].evaluate(batch, context).materialized(rows: n)
                for i in 0..<n {
                    guard holds.value(i) == .bool(true), let t = Execution.instant(times.value(i)) else { continue }
                    let g = Int(ids[i])
                    let key = batch.keys?[i] ?? .ordinal(start - n + i)
                    if var known = moments[g][s].times[t] {
                        known.key = min(known.key, key)
                        if let l = batch.lineage?[i] {
                            if known.lineage?.merge(l) == nil { known.lineage = l }
                        }
                        moments[g][s].times[t] = known
                    } else {
                        moments[g][s].times[t] = (key, batch.lineage?[i])
                        held += 1
                    }
                }
            }
            try limits.check(held: held, by: "sequence_detect")
            return true
        }
        let sequence = rows.sequence
        let keyColumns = dimensions.isEmpty ? [] : table.columns(sequence)
        var builders = plan.columns.map { ColumnBuilder($0.type) }
        var keys = ContiguousArray<RowKey>()
        var lineage = ContiguousArray<Lineage>()
        let isTraced = options.lineage
        var made = 0
        func value(_ t: Int64, _ type: ScalarType) -> Value {
            switch type {
            case .datetime: .datetime(t)
            case .timespan: .timespan(t)
            case .int: .int(Int32(truncatingIfNeeded: t))
            default: .long(t)
            }
        }
        for (row, g) in sequence.enumerated() where Int(g) < moments.count {
            var group = moments[Int(g)]
            for s in 0..<steps { group[s].sorted = group[s].times.keys.sorted() }
            var chosen: [Int64] = []
            func go() throws {
                let s = chosen.count
                if s == steps {
                    made += 1
                    try limits.check(held: made, by: "sequence_detect")
                    for c in keyColumns.indices { builders[c].append(keyColumns[c], row: row) }
                    for (i, t) in chosen.enumerated() {
                        builders[keyColumns.count + i].append(value(t, plan.columns[keyColumns.count + i].type))
                    }
                    let last = plan.columns.count - 1
                    builders[last].append(value((chosen.last ?? 0) &- (chosen.first ?? 0), plan.columns[last].type))
                    if options.keys { keys.append(.ordinal(made - 1)) }
                    if isTraced {
                        var whole: Lineage?
                        for (i, t) in chosen.enumerated() {
                            guard let l = group[i].times[t]?.lineage else { continue }
                            if whole?.merge(l) == nil { whole = l }
                        }
                        lineage.append(whole ?? .none)
                    }
                    return
                }
                let all = group[s].sorted
                guard let first = chosen.first, let last = chosen.last else {
                    for t in all {
                        chosen.append(t)
                        try go()
                        chosen.removeLast()
                    }
                    return
                }
                let end = min(
                    last.addingReportingOverflow(step).overflow ? Int64.max : last + step,
                    first.addingReportingOverflow(span).overflow ? Int64.max : first + span)
                var at = lowerBound(all, last)
                while at < all.count, all[at] <= end {
                    chosen.append(all[at])
                    try go()
                    chosen.removeLast()
                    at += 1
                }
            }
            try go()
        }
        let columns = builders.indices.map { builders[$0].finish() }
        return try emit(
            Batch(columns: columns, count: made, keys: options.keys ? keys : nil, lineage: isTraced ? lineage : nil))
    }

    /// The first place whose number is not below `x`.
    private func lowerBound(_ all: [Int64], _ x: Int64) -> Int {
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle] < x { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: funnel_sequence_completion

    /// Of each part of the timeline and each window the number of ids that came as far as each state of a sequence, counted from a first
    /// state inside the part and reached within the window. Arguments and options: `BindingSession.bindFunnelCompletion`.
    func funnelCompletion(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard arguments.count == 5, plan.columns.count == 4, let step = settings["step"]?.integer, step > 0,
            case .dynamic(.array(let names))? = settings["sequence"], case .dynamic(.array(let lengths))? = settings["periods"],
            let from = Execution.instant(try constant(arguments[3], of: plan)),
            let to = Execution.instant(try constant(arguments[4], of: plan))
        else { throw EvaluationError("funnel_sequence_completion lacks its settings", at: plan.range) }
        let states = names.map { s -> String in if case .string(let t) = s { t } else { "" } }
        let periods = lengths.map { n -> Int64 in if case .long(let l) = n { l } else { 0 } }
        let ready = try arguments[..<3].map { try compiled($0, of: plan, over: input.columns) }
        var interner = Interner(arguments[0].type)
        // Of each id the times of each state, by the state's first place in the sequence.
        let places = Dictionary(states.enumerated().map { (ByteKey($0.element), $0.offset) }) { first, _ in first }
        var times: [[Set<Int64>]] = []
        var held = 0
        try run(input, environment) { batch in
            let n = batch.count
            let columns = try ready.map { try $0.evaluate(batch, context).materialized(rows: n) }
            let ids = try interner.intern(columns[0])
            while times.count < interner.count { times.append(Array(repeating: [], count: states.count)) }
            for i in 0..<n {
                guard case .string(let s) = columns[2].value(i), let place = places[ByteKey(s)],
                    let t = Execution.instant(columns[1].value(i)), t >= from, t <= to
                else { continue }
                if times[Int(ids[i])][place].insert(t).inserted { held += 1 }
            }
            try limits.check(held: held, by: "funnel_sequence_completion")
            return true
        }
        struct Cell: Hashable {
            let bin: Int64
            let period: Int
        }
        // How many ids reach each depth.
        var counts: [Cell: [Int64]] = [:]
        for id in times {
            let sorted = id.map { $0.sorted() }
            guard let firsts = sorted.first else { continue }
            var best: [Cell: Int] = [:]
            for t in firsts {
                let bin = from + (t - from) / step * step
                for (p, length) in periods.enumerated() {
                    let end = t.addingReportingOverflow(length).overflow ? Int64.max : t + length
                    var (depth, last) = (1, t)
                    while depth < states.count, let place = places[ByteKey(states[depth])] {
                        // The same state again is another event, so a later one.
                        let least = states[depth] == states[depth - 1] ? last + 1 : last
                        let at = lowerBound(sorted[place], least)
                        guard at < sorted[place].count, sorted[place][at] <= end else { break }
                        last = sorted[place][at]
                        depth += 1
                    }
                    let cell = Cell(bin: bin, period: p)
                    best[cell] = max(best[cell] ?? 0, depth)
                }
            }
            for (cell, depth) in best {
                var reached = counts[cell] ?? Array(repeating: 0, count: states.count)
                for d in 0..<depth { reached[d] += 1 }
                counts[cell] = reached
            }
        }
        var builders = plan.columns.map { ColumnBuilder($0.type) }
        var made = 0
        for cell in counts.keys.sorted(by: { ($0.bin, $0.period) < ($1.bin, $1.period) }) {
            for (d, n) in (counts[cell] ?? []).enumerated() {
                builders[0].append(
                    plan.columns[0].type == .datetime ? .datetime(cell.bin) : coerceValue(.long(cell.bin), to: plan.columns[0].type))
                builders[1].append(.string(states[d]))
                builders[2].append(plan.columns[2].type == .timespan ? .timespan(periods[cell.period]) : .long(periods[cell.period]))
                builders[3].append(.long(n))
                made += 1
            }
        }
        let columns = builders.indices.map { builders[$0].finish() }
        return try emit(
            Batch(columns: columns, count: made, keys: options.keys ? ContiguousArray((0..<made).lazy.map { .ordinal($0) }) : nil))
    }
}
