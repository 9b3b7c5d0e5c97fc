import Columnar
import KQL

/// `scan` (`Binder+Scan.swift` describes its plan): steps over the rows in order, as the operator's page defines them.
extension Execution {
    func scan(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let store = try self.store(input, environment, by: "scan")
        var machine = try ScanMachine(self, plan, input, arguments, settings)
        var out = ScanOutput(plan, width: input.columns.count, limits: limits)
        for row in store.ordered(positional: isOrdered(input)) {
            try context.watch?.check()
            let batch = store.gather([row])
            try machine.take(batch, into: &out)
            if out.count >= options.batchRows, try !emit(out.batch(keys: options.keys, lineage: options.lineage)) { return false }
        }
        machine.finish(&out)
        return out.count == 0 ? true : try emit(out.batch(keys: options.keys, lineage: options.lineage))
    }
}

/// Rows that steps have put out.
private struct ScanOutput {
    private let types: [ScalarType]
    private let width: Int
    private let limits: EvaluationLimits
    private var builders: [ColumnBuilder]
    private var lineage: ContiguousArray<Lineage> = []
    private(set) var count = 0
    private var total = 0

    init(_ plan: Plan, width: Int, limits: EvaluationLimits) {
        types = plan.columns.map(\.type)
        self.width = width
        self.limits = limits
        builders = types.map { ColumnBuilder($0) }
    }

    mutating func add(_ record: ScanMachine.Record, match: Int64, hasMatch: Bool) {
        for i in 0..<width { builders[i].append(record.row.columns[i], row: 0) }
        for (i, v) in record.declared.enumerated() { builders[width + i].append(v) }
        if hasMatch { builders[types.count - 1].append(.long(match)) }
        if let l = record.row.lineage { lineage.append(l[0]) } else if let k = record.row.keys { lineage.append(Lineage(k[0])) }
        count += 1
        total += 1
    }

    mutating func batch(keys: Bool, lineage wanted: Bool) -> Batch {
        let columns = builders.indices.map { builders[$0].finish() }
        builders = types.map { ColumnBuilder($0) }
        defer {
            count = 0
            lineage = []
        }
        return Batch(
            columns: columns, count: count, keys: keys ? ContiguousArray(((total - count)..<total).lazy.map { .ordinal($0) }) : nil,
            lineage: wanted && lineage.count == count ? lineage : nil)
    }
}

/// The state of a scan: for each step with an active sequence, the records that stand for it and the steps before it.
private struct ScanMachine {
    struct Record {
        var row: Batch
        var declared: [Value]
    }

    private struct State {
        var records: [Record?]
        var match: Int64
    }

    private struct Step {
        let condition: CompiledExpression
        let assignments: [(at: Int, value: CompiledExpression)]
        let output: String
    }

    private let context: EvaluationContext
    private let steps: [Step]
    private let initial: [Value]
    /// What the columns behind the input's hold: step and position.
    private let slots: [(step: Int, position: Int, type: ScalarType)]
    private let width: Int
    private let hasMatch: Bool
    private var states: [State?]
    private var nextMatch: Int64 = 0
    /// For steps with `output=last`: the last record of the running series.
    private var last: [(record: Record, match: Int64)?]

    init(
        _ execution: Execution, _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value]
    ) throws {
        func broken() -> EvaluationError { EvaluationError("the plan of scan is damaged", at: plan.range) }
        func list(_ name: String) throws -> [Dynamic] {
            guard case .dynamic(.array(let items))? = settings[name] else { throw broken() }
            return items
        }
        func numbers(_ d: Dynamic) -> [Int] {
            guard case .array(let items) = d else { return [] }
            return items.compactMap { if case .long(let v) = $0 { Int(clamping: v) } else { nil } }
        }
        context = execution.context
        width = input.columns.count
        hasMatch = settings["matchID"] == .bool(true)
        let declared = Int(settings["declared"]?.integer ?? 0)
        guard declared >= 0, declared <= arguments.count else { throw broken() }
        let places = declared + input.columns.count
        initial = try arguments.suffix(declared).map { try execution.constant($0, of: plan) }
        let types = input.columns.map(\.type) + initial.map(\.type)
        let ids = numbers(.array(try list("slotIDs")))
        slots = try list("slots").map { d in
            let pair = numbers(d)
            guard pair.count == 2, types.indices.contains(pair[1]) else { throw broken() }
            return (pair[0], pair[1], types[pair[1]])
        }
        guard ids.count == slots.count else { throw broken() }
        let columns =
            input.columns
            + zip(ids, slots).map { BoundColumn(id: ColumnID($0), name: "$\($0)", type: $1.type) }
        var made: [Step] = []
        var at = 0
        let outputs = try list("outputs")
        for (k, positions) in try list("assigned").enumerated() {
            let positions = numbers(positions)
            guard at + positions.count < arguments.count - declared, outputs.indices.contains(k), case .string(let output) = outputs[k],
                positions.allSatisfy({ (0..<places).contains($0) })
            else { throw broken() }
            let condition = try execution.compiled(arguments[at], of: plan, over: columns)
            var assignments: [(at: Int, value: CompiledExpression)] = []
            for (i, p) in positions.enumerated() {
                assignments.append((p, try execution.compiled(arguments[at + 1 + i], of: plan, over: columns)))
            }
            made.append(Step(condition: condition, assignments: assignments, output: output))
            at += 1 + positions.count
        }
        steps = made
        states = Array(repeating: nil, count: made.count)
        last = Array(repeating: nil, count: made.count)
    }

    /// A row with the values of a state behind its columns.
    private func view(_ row: Batch, _ state: State?) -> Batch {
        var columns = row.columns
        for s in slots {
            var b = ColumnBuilder(s.type)
            if let record = state?.records.indices.contains(s.step) == true ? state?.records[s.step] : nil {
                if s.position < width {
                    b.append(record.row.columns[s.position], row: 0)
                } else {
                    b.append(record.declared[s.position - width])
                }
            } else if s.position >= width {
                b.append(initial[s.position - width])
            } else {
                b.append(Value.missing(s.type))
            }
            columns.append(b.finish())
        }
        return Batch(columns: columns, count: 1, keys: row.keys, lineage: row.lineage)
    }

    private func meets(_ k: Int, _ view: Batch) throws -> Bool {
        try steps[k].condition.evaluate(view, context).materialized(rows: 1).value(0) == .bool(true)
    }

    private func extended(_ k: Int, _ row: Batch, _ view: Batch) throws -> Record {
        var record = Record(row: row, declared: initial)
        var columns: [Column]?
        for a in steps[k].assignments {
            let cell = try a.value.evaluate(view, context).materialized(rows: 1)
            if a.at < initial.count {
                record.declared[a.at] = cell.value(0)
            } else {
                columns = columns ?? row.columns
                columns?[a.at - initial.count] = cell
            }
        }
        if let columns { record.row = Batch(columns: columns, count: 1, keys: row.keys, lineage: row.lineage) }
        return record
    }

    mutating func take(_ row: Batch, into out: inout ScanOutput) throws {
        for k in steps.indices.reversed() {
            if k > 0, let before = states[k - 1] {
                let seen = view(row, before)
                if try meets(k, seen) {
                    // A new series of this step: the one before ends.
                    release(k, &out)
                    let record = try extended(k, row, seen)
                    var promoted = before
                    promoted.records[k] = record
                    states[k] = promoted
                    states[k - 1] = nil
                    release(k - 1, &out)
                    put(k, record, promoted.match, &out)
                    continue
                }
            }
            guard k == 0 || states[k] != nil else { continue }
            let seen = view(row, states[k])
            guard try meets(k, seen) else { continue }
            let record = try extended(k, row, seen)
            if k == 0, states[0] == nil {
                states[0] = State(records: Array(repeating: nil, count: steps.count), match: nextMatch)
                nextMatch += 1
            }
            states[k]?.records[k] = record
            put(k, record, states[k]?.match ?? 0, &out)
        }
    }

    private mutating func put(_ k: Int, _ record: Record, _ match: Int64, _ out: inout ScanOutput) {
        switch steps[k].output {
        case "none": break
        case "last": last[k] = (record, match)
        default: out.add(record, match: match, hasMatch: hasMatch)
        }
    }

    private mutating func release(_ k: Int, _ out: inout ScanOutput) {
        guard let held = last[k] else { return }
        last[k] = nil
        out.add(held.record, match: held.match, hasMatch: hasMatch)
    }

    mutating func finish(_ out: inout ScanOutput) { for k in steps.indices { release(k, &out) } }
}
