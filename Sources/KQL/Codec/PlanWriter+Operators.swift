import Columnar

extension PlanWriter {
    /// The kind of a node and its parts.
    mutating func operation(_ p: Plan) throws {
        switch p.kind {
        case .table(let name):
            with { w in
                w.byte(1)
                w.text(name)
            }
        case .rows(let rows):
            code(2)
            count(rows.count)
            for r in rows {
                count(r.count)
                for v in r { try value(v) }
            }
        case .print(let all):
            code(3)
            try exprs(all)
        case .range(let from, let to, let step):
            code(4)
            try exprs([from, to, step])
        case .filter(let input, let predicate):
            code(5)
            try plan(input)
            try expr(predicate)
        case .project(let input, let all):
            code(6)
            try plan(input)
            try exprs(all)
        case .summarize(let input, let keys, let aggregates):
            code(7)
            try plan(input)
            try exprs(keys)
            count(aggregates.count)
            for a in aggregates {
                with { $0.text(a.name) }
                try exprs(a.arguments)
                columns(a.outputs)
            }
        case .sort(let input, let keys):
            code(8)
            try plan(input)
            try sortKeys(keys)
        case .top(let input, let n, let keys):
            code(9)
            try plan(input)
            try expr(n)
            try sortKeys(keys)
        case .take(let input, let n):
            code(10)
            try plan(input)
            try expr(n)
        case .join(let kind, let left, let right, let keys):
            code(11)
            with { $0.text(kind.rawValue) }
            try plan(left)
            try plan(right)
            count(keys.count)
            for k in keys {
                try expr(k.left)
                try expr(k.right)
            }
        case .union(let branches, let map, let source):
            code(12)
            try plans(branches)
            count(map.count)
            for m in map {
                count(m.count)
                for at in m { count(at.map { $0 + 1 } ?? 0) }
            }
            with { w in
                w.bool(source != nil)
                w.texts(source ?? [])
            }
        case .mvExpand(let input, let items, let outputs, let limit, let bagArrays):
            code(13)
            try plan(input)
            try expanded(items, outputs, limit)
            with { $0.bool(bagArrays) }
        case .mvApply(let input, let items, let outputs, let limit, let body):
            code(14)
            try plan(input)
            try expanded(items, outputs, limit)
            try plan(body)
        case .subquerySource: code(15)
        case .parse(let input, let parse, let outputs):
            code(16)
            try plan(input)
            try pattern(parse)
            self.outputs(outputs)
        case .serialize(let input):
            code(17)
            try plan(input)
        case .shared(let s):
            code(18)
            try sharedPlan(s)
        case .getschema(let input):
            code(19)
            try plan(input)
        case .sample(let input, let n):
            code(20)
            try plan(input)
            try expr(n)
        case .custom(let name, let inputs, let arguments, let options):
            code(21)
            with { $0.text(name) }
            try plans(inputs)
            try exprs(arguments)
            count(options.count)
            for (key, v) in options.sorted(by: { ByteText.precedes($0.key, $1.key) }) {
                with { $0.text(key) }
                try value(v)
            }
        }
    }

    private mutating func code(_ c: UInt8) { with { $0.byte(c) } }
    private mutating func count(_ n: Int) { with { $0.count(n) } }

    private mutating func plans(_ all: [Plan]) throws {
        count(all.count)
        for p in all { try plan(p) }
    }

    private mutating func sortKeys(_ keys: [BoundSortKey]) throws {
        count(keys.count)
        for k in keys {
            try expr(k.expr)
            with { w in
                w.bool(k.descending)
                w.bool(k.nullsFirst)
            }
        }
    }

    private mutating func expanded(_ items: [BoundMvItem], _ outputs: [MvOutput], _ limit: BoundExpr?) throws {
        count(items.count)
        for i in items {
            try expr(i.expr)
            type(i.type)
        }
        self.outputs(outputs)
        with { $0.bool(limit != nil) }
        if let limit { try expr(limit) }
    }

    private mutating func outputs(_ all: [MvOutput]) {
        count(all.count)
        for o in all {
            switch o {
            case .input(let n):
                code(0)
                count(n)
            case .item(let n):
                code(1)
                count(n)
            case .index: code(2)
            }
        }
    }

    private mutating func pattern(_ p: BoundParse) throws {
        try expr(p.source)
        with { w in
            switch p.mode {
            case .simple: w.byte(0)
            case .relaxed: w.byte(1)
            case .regex(let flags):
                w.byte(2)
                w.text(flags)
            }
            w.bool(p.filters)
            w.count(p.segments.count)
        }
        for s in p.segments {
            switch s {
            case .text(let t):
                code(0)
                with { $0.text(t) }
            case .star: code(1)
            case .column(let n, let t):
                code(2)
                count(n)
                type(t)
            }
        }
    }
}
