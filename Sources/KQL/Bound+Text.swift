import Columnar

// Bound plans and expressions as people read them: in KQL's own notation, with names instead of identities. What was inlined shows.

extension Plan {
    /// The operator in KQL's notation, without its inputs: `where Caller == 'x' and n > 2`. An operator of several forms is shortened.
    public var text: String {
        var names: [ColumnID: String] = [:]
        for input in children { for c in input.columns where names[c.id] == nil { names[c.id] = c.name } }
        func list(_ e: [BoundExpr]) -> String { e.map { $0.text(names) }.joined(separator: ", ") }
        func order(_ keys: [BoundSortKey]) -> String {
            keys.map { k in
                // Kusto's own place of nulls is not said.
                let nulls = k.nullsFirst == !k.descending ? "" : k.nullsFirst ? " nulls first" : " nulls last"
                return "\(k.expr.text(names)) \(k.descending ? "desc" : "asc")\(nulls)"
            }.joined(separator: ", ")
        }
        func items(_ m: [BoundMvItem]) -> String {
            m.map { $0.type == .dynamic ? $0.expr.text(names) : "\($0.expr.text(names)) to typeof(\($0.type.rawValue))" }.joined(
                separator: ", ")
        }
        func limit(_ e: BoundExpr?) -> String { e.map { " limit \($0.text(names))" } ?? "" }
        switch kind {
        case .table(let name): return name
        case .rows(let rows): return "datatable, \(rows.count) \(rows.count == 1 ? "row" : "rows")"
        case .print(let e): return "print \(assignments(e, names))"
        case .range(let f, let t, let s):
            return "range \(columns.first?.name ?? "") from \(f.text(names)) to \(t.text(names)) step \(s.text(names))"
        case .filter(_, let e): return "where \(e.text(names))"
        case .project(let input, let e): return projection(input, e, names)
        case .summarize(_, let keys, let aggregates): return summary(keys, aggregates, names)
        case .sort(_, let keys): return "sort by \(order(keys))"
        case .top(_, let n, let keys): return "top \(n.text(names)) by \(order(keys))"
        case .take(_, let n): return "take \(n.text(names))"
        case .join(let kind, let left, let right, let keys):
            let l = Dictionary(left.columns.map { ($0.id, $0.name) }) { a, _ in a }
            let r = Dictionary(right.columns.map { ($0.id, $0.name) }) { a, _ in a }
            let on = keys.map { k in
                let (a, b) = (k.left.text(l), k.right.text(r))
                return a == b ? a : "$left.\(a) == $right.\(b)"
            }
            return "join kind=\(kind.rawValue) on \(on.joined(separator: ", "))"
        case .union(let branches, _, let source): return "union of \(branches.count)\(source == nil ? "" : " with source")"
        case .mvExpand(_, let m, _, let most, let bags): return "mv-expand \(bags ? "kind=array " : "")\(items(m))\(limit(most))"
        case .mvApply(_, let m, _, let most, _): return "mv-apply \(items(m))\(limit(most))"
        case .subquerySource: return word
        case .parse(_, let parse, _): return "\(parse.filters ? "parse-where" : "parse") \(parse.source.text(names))"
        case .serialize, .getschema: return word
        case .shared: return "shared rows"
        case .sample(_, let n): return "sample \(n.text(names))"
        case .custom(let name, _, let arguments, _): return arguments.isEmpty ? name : "\(name) \(list(arguments))"
        }
    }

    /// `a, b = f(x)`: the values of this plan's columns.
    private func assignments(_ exprs: [BoundExpr], _ names: [ColumnID: String]) -> String {
        zip(columns, exprs).map { c, e in
            let value = e.text(names)
            return value == BoundExpr.name(c.name) ? value : "\(BoundExpr.name(c.name)) = \(value)"
        }.joined(separator: ", ")
    }

    /// `extend` where all columns of the input are handed on in their places, else `project`.
    private func projection(_ input: Plan, _ exprs: [BoundExpr], _ names: [ColumnID: String]) -> String {
        let kept = zip(zip(columns, exprs), input.columns).prefix { pair, c in
            if case .column(let id) = pair.1.kind { return id == c.id && pair.0.name == c.name }
            return false
        }.count
        guard kept == input.columns.count, kept < columns.count, kept > 0 else { return "project \(assignments(exprs, names))" }
        let added = zip(columns, exprs).dropFirst(kept).map { c, e in "\(BoundExpr.name(c.name)) = \(e.text(names))" }
        return "extend \(added.joined(separator: ", "))"
    }

    private func summary(_ keys: [BoundExpr], _ aggregates: [BoundAggregate], _ names: [ColumnID: String]) -> String {
        let by = zip(columns, keys).map { c, e -> String in
            let value = e.text(names)
            return value == BoundExpr.name(c.name) ? value : "\(BoundExpr.name(c.name)) = \(value)"
        }.joined(separator: ", ")
        let made = aggregates.map { a -> String in
            let call = "\(a.name)(\(a.arguments.map { $0.text(names) }.joined(separator: ", ")))"
            let outputs = a.outputs.map { BoundExpr.name($0.name) }
            return outputs.count == 1 ? "\(outputs[0]) = \(call)" : call
        }.joined(separator: ", ")
        if made.isEmpty { return "distinct \(by)" }
        return by.isEmpty ? "summarize \(made)" : "summarize \(made) by \(by)"
    }

    /// The plan, an operator a line, the result first and its inputs indented below it.
    public func outline() -> String {
        var out = ""
        func write(_ plan: Plan, _ depth: Int) {
            out += String(repeating: "  ", count: depth) + plan.text + "\n"
            for p in plan.children { write(p, depth + 1) }
        }
        write(self, 0)
        return out
    }
}

extension BoundExpr {
    /// The expression in KQL's notation. `names`: what columns are called; one without a name shows its identity.
    public func text(_ names: [ColumnID: String] = [:]) -> String { text(names, above: 0) }

    /// A name as KQL writes it.
    static func name(_ n: String) -> String {
        let isPlain = n.utf8.allSatisfy {
            $0 == 0x5F || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x24
        }
        return isPlain && !n.isEmpty ? n : BindingSession.quoted(n)
    }

    private func text(_ names: [ColumnID: String], above: Int) -> String {
        switch kind {
        case .constant(let v): return BoundExpr.literal(v)
        case .column(let id): return names[id].map(BoundExpr.name) ?? "#\(id)"
        case .call(let name, let args): return call(name, args, names, above)
        case .member(let b, let name): return "\(b.text(names, above: 9)).\(BoundExpr.name(name))"
        case .element(let b, let i): return "\(b.text(names, above: 9))[\(i.text(names))]"
        case .scalarQuery(let p): return "toscalar(\(BoundExpr.chain(p)))"
        case .inQuery(let op, let l, let p): return "\(l.text(names, above: 3)) \(op.rawValue) ((\(BoundExpr.chain(p))))"
        }
    }

    private func call(_ name: String, _ args: [BoundExpr], _ names: [ColumnID: String], _ above: Int) -> String {
        func operand(_ i: Int, _ level: Int) -> String { args[i].text(names, above: level) }
        if args.count == 2, let op = BinaryOperator(rawValue: name) {
            let level = BoundExpr.level(op)
            // `a - (b - c)`: the right side of the same level is set apart, but chains of `and` and of `or` are not.
            let right = op == .and || op == .or ? level - 1 : level
            let out = "\(operand(0, level - 1)) \(name) \(operand(1, right))"
            return level <= above ? "(\(out))" : out
        }
        if args.count > 1, ListOperator(rawValue: name) != nil {
            let out = "\(operand(0, 3)) \(name) (\(args.dropFirst().map { $0.text(names) }.joined(separator: ", ")))"
            return above >= 3 ? "(\(out))" : out
        }
        if args.count == 3, name == "between" || name == "!between" {
            let out = "\(operand(0, 3)) \(name) (\(operand(1, 3)) .. \(operand(2, 3)))"
            return above >= 3 ? "(\(out))" : out
        }
        return "\(name)(\(args.map { $0.text(names) }.joined(separator: ", ")))"
    }

    /// How tightly an operator binds: `or` least.
    private static func level(_ op: BinaryOperator) -> Int {
        switch op {
        case .or: 1
        case .and: 2
        case .add, .subtract: 4
        case .multiply, .divide, .modulo: 5
        default: 3
        }
    }

    /// A query on one line.
    private static func chain(_ plan: Plan) -> String {
        let inputs = plan.children
        guard let first = inputs.first else { return plan.text }
        if inputs.count > 1 { return "... | \(plan.text)" }
        return "\(chain(first)) | \(plan.text)"
    }

    private static func literal(_ v: Value) -> String {
        switch v {
        case .string(let s): BindingSession.literal(s)
        case .datetime(let t): "datetime(\(KustoTime.isoString(t)))"
        case .timespan(let t): "time(\(KustoTime.timespanString(t)))"
        case .guid: "guid(\(BoundExpr.text(v)))"
        default: BoundExpr.text(v)
        }
    }
}
