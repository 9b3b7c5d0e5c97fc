import Columnar
import KQL

/// Rows as the reference has them.
public struct ReferenceTable: Sendable {
    public let columns: [BoundColumn]
    public let rows: [[Value]]
}

/// Runs bound plans row by row over tables of values: plain, slow, obviously right. The oracle of the engine's kernels, plan rewrites,
/// hash tables, threads and spilling.
///
/// Rows come in the order of their sources, groups in the order of their first row; where KQL leaves an order open, compare as bags.
public struct ReferenceEvaluator {
    private let tables: [String: (columns: [SchemaColumn], rows: [[Value]])]
    private let now: Int64
    /// The rows that mv-apply and partition hand to their bodies.
    private var source: [[Value]] = []

    public init(tables: [String: (columns: [SchemaColumn], rows: [[Value]])], now: Int64) {
        self.tables = tables
        self.now = now
    }

    /// Throws ``ReferenceGap`` for what the reference does not know.
    public func run(_ plan: Plan) throws -> ReferenceTable { ReferenceTable(columns: plan.columns, rows: try rows(plan)) }

    private var expressions: ReferenceExpressions { ReferenceExpressions(now: now) { try rows($0) } }

    private func scope(_ columns: [BoundColumn], _ row: [Value]) -> [ColumnID: Value] {
        Dictionary(zip(columns.map(\.id), row)) { a, _ in a }
    }

    private func value(_ e: BoundExpr, _ plan: Plan, _ row: [Value]) throws -> Value {
        try expressions.evaluate(e, scope(plan.columns, row))
    }

    private func number(_ e: BoundExpr) throws -> Int { Int(try expressions.evaluate(e, [:]).integer ?? 0) }

    private func rows(_ plan: Plan) throws -> [[Value]] {
        switch plan.kind {
        case .table(let name):
            guard let table = tables[name] else { throw ReferenceGap("table \(name)") }
            let positions = plan.columns.map { c in table.columns.firstIndex { $0.name == c.name && $0.type == c.type } }
            return table.rows.map { row in
                var cells: [Value] = []
                for (c, p) in zip(plan.columns, positions) { cells.append(ReferenceValues.present(p.map { row[$0] }, c.type)) }
                return cells
            }
        case .rows(let rows): return rows
        case .print(let exprs): return [try exprs.map { try expressions.evaluate($0, [:]) }]
        case .filter(let input, let predicate):
            return try rows(input).filter {
                ReferenceValues.convert(try value(predicate, input, $0), to: .bool) == .bool(true)
            }
        case .project(let input, let exprs):
            if exprs.contains(where: ReferenceRowFunctions.appear) {
                return try ReferenceRowFunctions.project(rows(input), exprs) { try value($0, input, $1) }
            }
            return try rows(input).map { row in try exprs.map { try value($0, input, row) } }
        case .summarize(let input, let keys, let aggregates): return try summarize(input, keys, aggregates)
        case .sort(let input, let keys): return try sorted(input, keys)
        case .top(let input, let n, let keys): return Array(try sorted(input, keys).prefix(try number(n)))
        case .take(let input, let n): return Array(try rows(input).prefix(try number(n)))
        case .join(let kind, let left, let right, let keys): return try join(kind, left, right, keys)
        case .union(let branches, let map, let source):
            return try branches.enumerated().flatMap { i, branch in
                try rows(branch).map { row in
                    plan.columns.enumerated().map { j, column in
                        if let source, j == 0 { return .string(source[i]) }
                        return ReferenceValues.present(map[i][j].map { row[$0] }, column.type)
                    }
                }
            }
        case .mvExpand(let input, let items, let outputs, let limit, let bagArrays):
            let most = try limit.map { try number($0) } ?? .max
            return try rows(input).flatMap { try expand(input, $0, items, outputs, most, bagArrays) }
        case .mvApply(let input, let items, let outputs, let limit, let body):
            let most = try limit.map { try number($0) } ?? .max
            var out: [[Value]] = []
            for row in try rows(input) {
                var inner = self
                inner.source = try expand(input, row, items, outputs, most, false)
                if inner.source.isEmpty { continue }
                for result in try inner.rows(body) {
                    out.append(
                        try plan.columns.map { c in
                            if let p = body.columns.firstIndex(where: { $0.id == c.id }) { return result[p] }
                            guard let p = input.columns.firstIndex(where: { $0.id == c.id }) else { throw ReferenceGap("mv-apply") }
                            return row[p]
                        })
                }
            }
            return out
        case .subquerySource: return source
        case .parse(let input, let parse, let outputs):
            return try rows(input).compactMap { row in
                let text = ReferenceValues.text(try value(parse.source, input, row))
                let (matched, found) = try ReferenceParse.match(text, parse)
                if parse.filters, !matched { return nil }
                return try outputs.map { o in
                    switch o {
                    case .input(let p): return row[p]
                    case .item(let i): return ReferenceValues.present(found[i], plan.columns[outputs.firstIndex(of: o) ?? 0].type)
                    case .index: throw ReferenceGap("parse index")
                    }
                }
            }
        case .serialize(let input): return try rows(input)
        case .shared(let s): return try rows(s.plan)
        case .range(let from, let to, let step): return try range(plan, from, to, step)
        case .custom(let name, let inputs, let arguments, let options):
            switch name {
            case "partition": return try partition(inputs, arguments)
            case "make-series": return try makeSeries(plan, inputs[0], arguments, options)
            default: throw ReferenceGap(name)
            }
        case .getschema, .sample: throw ReferenceGap("operator")
        }
    }

    // MARK: Order

    private func sorted(_ input: Plan, _ keys: [BoundSortKey]) throws -> [[Value]] {
        let all = try rows(input).map { row in (row: row, keys: try keys.map { try value($0.expr, input, row) }) }
        return all.enumerated().sorted { a, b in
            for (i, key) in keys.enumerated() {
                let (x, y) = (a.element.keys[i], b.element.keys[i])
                if x.isNull != y.isNull { return x.isNull == key.nullsFirst }
                if x.isNull { continue }
                func isNaN(_ v: Value) -> Bool { if case .real(let d) = v { d.isNaN } else { false } }
                if isNaN(x) != isNaN(y) { return isNaN(x) == key.nullsFirst }
                switch ReferenceOrder.total(x, y) {
                case 0: continue
                case let order: return (order < 0) != key.descending
                }
            }
            return a.offset < b.offset
        }.map(\.element.row)
    }

    // MARK: Groups

    private func summarize(_ input: Plan, _ keys: [BoundExpr], _ aggregates: [BoundAggregate]) throws -> [[Value]] {
        var order: [[ReferenceKey]] = []
        var groups: [[ReferenceKey]: (keys: [Value], rows: [[ColumnID: Value]])] = [:]
        for row in try rows(input) {
            let scope = scope(input.columns, row)
            let values = try keys.map { try expressions.evaluate($0, scope) }
            let key = values.map(ReferenceKey.init)
            if groups[key] == nil {
                groups[key] = (values, [])
                order.append(key)
            }
            groups[key]?.rows.append(scope)
        }
        // Without keys there is one group, also over no rows.
        if keys.isEmpty, groups.isEmpty { return [try aggregates.flatMap { try aggregate($0, []) }] }
        return try order.compactMap { groups[$0] }.map { group in
            try group.keys + aggregates.flatMap { try aggregate($0, group.rows) }
        }
    }

    private func aggregate(_ a: BoundAggregate, _ rows: [[ColumnID: Value]]) throws -> [Value] {
        let arguments = try rows.map { row in try a.arguments.map { try expressions.evaluate($0, row) } }
        let constants = try a.arguments.map { e in PlanConstant.isConstant(e) ? try expressions.evaluate(e, [:]) : nil }
        return try ReferenceAggregates.compute(a.name, arguments, constants, a.outputs)
    }

    // MARK: Join

    private func join(_ kind: JoinKind, _ left: Plan, _ right: Plan, _ keys: [JoinKey]) throws -> [[Value]] {
        var lefts = try rows(left).map { row in (row: row, key: try keys.map { ReferenceKey(try value($0.left, left, row)) }) }
        let rights = try rows(right).map { row in (row: row, key: try keys.map { ReferenceKey(try value($0.right, right, row)) }) }
        if kind == .innerunique {
            var seen = Set<[ReferenceKey]>()
            lefts = lefts.filter { seen.insert($0.key).inserted }
        }
        let noLeft = left.columns.map { Value.missing($0.type) }, noRight = right.columns.map { Value.missing($0.type) }
        let isMatched: ([ReferenceKey]) -> Bool = { key in rights.contains { $0.key == key } }
        let rightIsMatched: ([ReferenceKey]) -> Bool = { key in lefts.contains { $0.key == key } }
        switch kind {
        case .leftsemi: return lefts.filter { isMatched($0.key) }.map(\.row)
        case .leftanti: return lefts.filter { !isMatched($0.key) }.map(\.row)
        case .rightsemi: return rights.filter { rightIsMatched($0.key) }.map(\.row)
        case .rightanti: return rights.filter { !rightIsMatched($0.key) }.map(\.row)
        case .inner, .innerunique, .leftouter, .rightouter, .fullouter: break
        }
        var out: [[Value]] = []
        for l in lefts {
            let matches = rights.filter { $0.key == l.key }
            out += matches.map { l.row + $0.row }
            if matches.isEmpty, kind == .leftouter || kind == .fullouter { out.append(l.row + noRight) }
        }
        if kind == .rightouter || kind == .fullouter { out += rights.filter { !rightIsMatched($0.key) }.map { noLeft + $0.row } }
        return out
    }

    // MARK: Expansion

    private func expand(
        _ input: Plan, _ row: [Value], _ items: [BoundMvItem], _ outputs: [MvOutput], _ most: Int, _ bagArrays: Bool
    ) throws -> [[Value]] {
        let elements = try items.map { item -> [Dynamic] in
            switch ReferenceValues.convert(try value(item.expr, input, row), to: .dynamic) {
            case .dynamic(.array(let all)): return all
            case .dynamic(.object(let members)):
                return members.map { bagArrays ? .array([.string($0.key), $0.value]) : .object([$0]) }
            case .dynamic(let d): return [d]
            default: return [.null]
            }
        }
        let count = min(most, elements.map(\.count).max() ?? 0)
        return try (0..<count).map { i in
            try outputs.map { o in
                switch o {
                case .input(let p): return row[p]
                case .index: return .long(Int64(i))
                case .item(let n):
                    let d = i < elements[n].count ? elements[n][i] : .null
                    switch items[n].type {
                    case .dynamic: return d == .null ? .null(.dynamic) : .dynamic(d)
                    case .string: return .string(ReferenceValues.text(.dynamic(d)))
                    case .long, .real:
                        // A cast: texts are not read as numbers.
                        switch d {
                        case .long, .real: return ReferenceValues.convert(.dynamic(d), to: items[n].type)
                        default: return .null(items[n].type)
                        }
                    default: throw ReferenceGap("to typeof(\(items[n].type))")
                    }
                }
            }
        }
    }

    // MARK: Others

    private func range(_ plan: Plan, _ from: BoundExpr, _ to: BoundExpr, _ step: BoundExpr) throws -> [[Value]] {
        guard let a = try expressions.evaluate(from, [:]).integer, let b = try expressions.evaluate(to, [:]).integer,
            let s = try expressions.evaluate(step, [:]).integer, s != 0, let type = plan.columns.first?.type
        else { throw ReferenceGap("range") }
        return stride(from: Int128(a), through: Int128(b), by: Int(s)).map { [.integer(Int64($0), as: type)] }
    }

    private func partition(_ inputs: [Plan], _ arguments: [BoundExpr]) throws -> [[Value]] {
        guard inputs.count == 2, let key = arguments.first else { throw ReferenceGap("partition") }
        var order: [ReferenceKey] = []
        var parts: [ReferenceKey: [[Value]]] = [:]
        for row in try rows(inputs[0]) {
            let k = ReferenceKey(try value(key, inputs[0], row))
            if parts[k] == nil { order.append(k) }
            parts[k, default: []].append(row)
        }
        return try order.flatMap { k in
            var inner = self
            inner.source = parts[k] ?? []
            return try inner.rows(inputs[1])
        }
    }

    /// Rows of (keys, bin, values) laid out over a common axis with both bounds given.
    private func makeSeries(_ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ options: [String: Value]) throws -> [[Value]] {
        let keyCount = Int(options["keys"]?.integer ?? 0)
        let type = input.columns[keyCount].type
        guard let from = try expressions.evaluate(arguments[0], [:]).integer, let to = try expressions.evaluate(arguments[1], [:]).integer,
            let step = try expressions.evaluate(arguments[2], [:]).integer, step > 0
        else { throw ReferenceGap("make-series without bounds") }
        guard case .dynamic(.array(let defaults))? = options["defaults"] else { throw ReferenceGap("make-series without defaults") }
        let points = Array(stride(from: from, to: to, by: Int(step)))
        var order: [[ReferenceKey]] = []
        var groups: [[ReferenceKey]: (keys: [Value], cells: [Int64: [Value]])] = [:]
        for row in try rows(input) {
            let keys = Array(row.prefix(keyCount))
            let key = keys.map(ReferenceKey.init)
            if groups[key] == nil {
                groups[key] = (keys, [:])
                order.append(key)
            }
            if let at = row[keyCount].integer { groups[key]?.cells[at] = Array(row.dropFirst(keyCount + 1)) }
        }
        func element(_ v: Value) -> Dynamic {
            if case .dynamic(let d) = ReferenceValues.convert(v, to: .dynamic) { return d }
            return .null
        }
        return order.compactMap { groups[$0] }.map { group in
            let series = defaults.indices.map { v in
                Value.dynamic(.array(points.map { p in group.cells[p].map { element($0[v]) } ?? defaults[v] }))
            }
            return group.keys + series + [.dynamic(.array(points.map { element(.integer($0, as: type)) }))]
        }
    }
}

enum PlanConstant {
    static func isConstant(_ e: BoundExpr) -> Bool {
        switch e.kind {
        case .constant: true
        case .call(_, let arguments): arguments.allSatisfy(isConstant)
        default: false
        }
    }
}
