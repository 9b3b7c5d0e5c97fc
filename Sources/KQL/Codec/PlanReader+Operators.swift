import Columnar

extension PlanReader {
    /// A node's kind, whose number has been read.
    mutating func operation(_ code: UInt8) throws -> Plan.Kind {
        switch code {
        case 1: return .table(name: try text())
        case 2: return .rows(try list { r in try r.list { try $0.value() } })
        case 3: return .print(try expressions())
        case 4:
            let all = try expressions()
            guard all.count == 3 else { throw PackedError("a range has \(all.count) ends") }
            return .range(from: all[0], to: all[1], step: all[2])
        case 5:
            let input = try plan()
            return .filter(input, try expr())
        case 6:
            let input = try plan()
            return .project(input, try expressions())
        case 7:
            let input = try plan()
            let keys = try expressions()
            let aggregates = try list { r in
                let name = try r.text()
                let arguments = try r.expressions()
                return BoundAggregate(name: name, arguments: arguments, outputs: try r.columns())
            }
            return .summarize(input, keys: keys, aggregates: aggregates)
        case 8:
            let input = try plan()
            return .sort(input, try sortKeys())
        case 9:
            let input = try plan()
            let n = try expr()
            return .top(input, n, try sortKeys())
        case 10:
            let input = try plan()
            return .take(input, try expr())
        case 11:
            let kind = try raw(JoinKind.self)
            let left = try plan()
            let right = try plan()
            let keys = try list { r in
                let l = try r.expr()
                return JoinKey(left: l, right: try r.expr())
            }
            return .join(kind, left, right, keys: keys)
        case 12:
            let branches = try list { try $0.plan() }
            let map: [[Int?]] = try list { r in
                try r.list { r in
                    let n = try r.number()
                    return n == 0 ? nil : n - 1
                }
            }
            let isNamed = try bool()
            let names = try texts()
            return .union(branches, map: map, source: isNamed ? names : nil)
        case 13:
            let input = try plan()
            let (items, outputs, limit) = try expanded()
            return .mvExpand(input, items, outputs: outputs, limit: limit, bagArrays: try bool())
        case 14:
            let input = try plan()
            let (items, outputs, limit) = try expanded()
            return .mvApply(input, items, outputs: outputs, limit: limit, body: try plan())
        case 15: return .subquerySource
        case 16:
            let input = try plan()
            let pattern = try pattern()
            return .parse(input, pattern, outputs: try outputs())
        case 17: return .serialize(try plan())
        case 18: return .shared(try sharedPlan())
        case 19: return .getschema(try plan())
        case 20:
            let input = try plan()
            return .sample(input, try expr())
        case 21:
            let name = try text()
            let inputs = try list { try $0.plan() }
            let arguments = try expressions()
            let pairs = try list { r in
                let key = try r.text()
                return (key, try r.value())
            }
            return .custom(
                name: name, inputs: inputs, arguments: arguments, options: Dictionary(pairs, uniquingKeysWith: { _, last in last }))
        default: throw PackedError("no operator has the number \(code)")
        }
    }

    private mutating func sortKeys() throws -> [BoundSortKey] {
        try list { r in
            let e = try r.expr()
            let descending = try r.bool()
            return BoundSortKey(expr: e, descending: descending, nullsFirst: try r.bool())
        }
    }

    private mutating func expanded() throws -> ([BoundMvItem], [MvOutput], BoundExpr?) {
        let items = try list { r in
            let e = try r.expr()
            return BoundMvItem(expr: e, type: try r.type())
        }
        let outputs = try outputs()
        return (items, outputs, try bool() ? try expr() : nil)
    }

    private mutating func outputs() throws -> [MvOutput] {
        try list { r in
            switch try r.byte() {
            case 0: .input(try r.number())
            case 1: .item(try r.number())
            case 2: .index
            case let code: throw PackedError("no output has the number \(code)")
            }
        }
    }

    private mutating func pattern() throws -> BoundParse {
        let source = try expr()
        let mode: BoundParse.Mode
        switch try byte() {
        case 0: mode = .simple
        case 1: mode = .relaxed
        case 2: mode = .regex(flags: try text())
        case let code: throw PackedError("no mode has the number \(code)")
        }
        let filters = try bool()
        let segments: [BoundParse.Segment] = try list { r in
            switch try r.byte() {
            case 0: return .text(try r.text())
            case 1: return .star
            case 2:
                let n = try r.number()
                return .column(n, try r.type())
            case let code: throw PackedError("no segment has the number \(code)")
            }
        }
        return BoundParse(source: source, mode: mode, segments: segments, filters: filters)
    }
}
