import Columnar
import KQL

extension Execution {
    /// The most points of a series.
    private static let maximumPoints = 1_048_576
    /// The most values of all series of one aggregate.
    private static let maximumCells = 1 << 28

    /// `make-series`: lays groups of (keys, bin, values) out as arrays over a common axis; empty bins get the default.
    ///
    /// `arguments` are from, to (exclusive) and step; a null bound is the least or greatest bin of all rows.
    func makeSeries(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let keyCount = Int(settings["keys"]?.integer ?? 0)
        let valueCount = input.columns.count - keyCount - 1
        guard arguments.count == 3, keyCount >= 0, valueCount >= 0, plan.columns.count == keyCount + valueCount + 1 else {
            throw EvaluationError("make-series was bound to other columns than it has", at: plan.range)
        }
        var defaults = [Dynamic](repeating: .null, count: valueCount)
        if case .dynamic(.array(let items))? = settings["defaults"] {
            for (i, d) in items.enumerated() where i < valueCount { defaults[i] = d }
        }
        let axisType = input.columns[keyCount].type
        let store = try self.store(input, environment, by: "make-series")
        let batches = store.batches

        var bins: [Value] = []
        for b in batches { for row in 0..<b.count { bins.append(b.columns[keyCount].value(row)) } }
        let axis = try SeriesAxis(
            type: axisType, bins: bins, from: try constant(arguments[0], of: plan), to: try constant(arguments[1], of: plan),
            step: try constant(arguments[2], of: plan), maximum: Execution.maximumPoints)

        // Rows by group of keys, groups in the order of their first row.
        var table = GroupTable(types: input.columns.prefix(keyCount).map(\.type))
        var groups = GroupRows(hasKeys: options.keys)
        var ids = ContiguousArray<UInt32>()
        ids.reserveCapacity(store.count)
        for b in batches {
            var own = ContiguousArray<UInt32>(repeating: 0, count: b.count)
            if keyCount > 0 { own = try table.intern(Array(b.columns.prefix(keyCount))) }
            groups.resize(keyCount > 0 ? table.count : 1)
            groups.add(own, orders(b, positional: !options.keys, start: ids.count), b)
            ids.append(contentsOf: own)
        }
        if keyCount == 0, store.count == 0, case .string("nonempty")? = settings["kind"] { groups.resize(1) }
        let (cellCount, overflow) = groups.count.multipliedReportingOverflow(by: axis.count)
        guard !overflow, cellCount <= Execution.maximumCells else {
            throw EvaluationError(
                "\(groups.count) series of \(axis.count) points have more than \(Execution.maximumCells) values together", at: plan.range)
        }
        /// The row of each point of each group; -1: none.
        var rows = ContiguousArray<Int>(repeating: -1, count: cellCount)
        for (row, bin) in bins.enumerated() {
            if let p = axis.position(bin) { rows[Int(ids[row]) * axis.count + p] = row }
        }

        let sequence = groups.sequence
        var columns = keyCount > 0 ? table.columns(sequence) : []
        for v in 0..<valueCount {
            var b = ColumnBuilder(.dynamic)
            let standard = Array(JSONText.compact(defaults[v]).utf8)
            var text: [UInt8] = []
            for g in sequence {
                text.removeAll(keepingCapacity: true)
                text.append(UInt8(ascii: "["))
                for p in 0..<axis.count {
                    if p > 0 { text.append(UInt8(ascii: ",")) }
                    let row = rows[Int(g) * axis.count + p]
                    if row >= 0 {
                        let place = store.place(row)
                        text.append(contentsOf: Cells.json(batches[place.batch].columns[keyCount + 1 + v], place.row).utf8)
                    } else {
                        text.append(contentsOf: standard)
                    }
                }
                text.append(UInt8(ascii: "]"))
                text.withUnsafeBytes { b.append(json: $0) }
            }
            columns.append(b.finish())
        }
        var points = ColumnBuilder(axisType)
        for p in 0..<axis.count { points.append(axis.value(p)) }
        let pointColumn = points.finish()
        let text = "[" + (0..<axis.count).map { Cells.json(pointColumn, $0) }.joined(separator: ",") + "]"
        columns.append(Column(.dynamic, .dynamics(StringColumn(repeating: text, count: sequence.count))))
        return try emit(groups.batch(columns, sequence))
    }
}

/// The points of a series: an arithmetic sequence of an integer-backed type or of reals.
private struct SeriesAxis {
    let type: ScalarType
    let count: Int
    private let first: Value
    private let step: Value

    init(type: ScalarType, bins: [Value], from: Value, to: Value, step: Value, maximum: Int) throws {
        self.type = type
        let stepType: ScalarType = type == .datetime ? .timespan : type
        func converted(_ v: Value, _ t: ScalarType) -> Value { v.isNull ? .null(t) : (v.type == t ? v : convertValue(v, to: t)) }
        let stride = converted(step, stepType)
        self.step = stride
        let known = bins.filter { !$0.isNull }
        func number(_ v: Value) -> Double { v.integer.map(Double.init) ?? v.double ?? 0 }
        let start = from.isNull ? known.min { number($0) < number($1) } ?? .null(type) : converted(from, type)
        first = start
        guard number(stride) > 0 else { throw EvaluationError("the step of make-series must be positive") }
        if start.isNull {
            count = 0
            return
        }
        let points: Double
        if to.isNull {
            let last = known.max { number($0) < number($1) } ?? start
            points = (SeriesAxis.steps(start, last, stride) + 1e-9).rounded(.down) + 1
        } else {
            points = (SeriesAxis.steps(start, converted(to, type), stride) - 1e-9).rounded(.up)
        }
        guard points <= Double(maximum) else { throw EvaluationError("a series of make-series has more than \(maximum) points") }
        count = max(0, Int(points))
    }

    private static func steps(_ a: Value, _ b: Value, _ step: Value) -> Double {
        if let x = a.integer, let y = b.integer, let s = step.integer { return Double(Int128(y) - Int128(x)) / Double(s) }
        return ((b.double ?? 0) - (a.double ?? 0)) / (step.double ?? 1)
    }

    /// The number of the point at a bin; nil outside the axis.
    func position(_ bin: Value) -> Int? {
        if bin.isNull || first.isNull { return nil }
        let n = SeriesAxis.steps(first, bin, step).rounded()
        return n >= 0 && n < Double(count) ? Int(n) : nil
    }

    func value(_ n: Int) -> Value {
        if let x = first.integer, let s = step.integer { return .integer(x &+ Int64(n) &* s, as: type) }
        return .real((first.double ?? 0) + Double(n) * (step.double ?? 0))
    }
}
