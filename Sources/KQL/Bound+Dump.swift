import Columnar

// Plans as indented text, for tests and for `explain`.

extension Plan {
    /// One line an operator, the result first and inputs indented below it, each with its columns (`name#identity:type`).
    public func dump() -> String {
        var out = ""
        write(to: &out, depth: 0)
        return out
    }

    private func write(to out: inout String, depth: Int) {
        out += String(repeating: "  ", count: depth)
        let (head, inputs) = line
        out += "\(head) -> [\(columns.map { "\($0.name)#\($0.id):\($0.type.rawValue)" }.joined(separator: ", "))]\n"
        for i in inputs { i.write(to: &out, depth: depth + 1) }
    }

    private var line: (String, [Plan]) {
        func list(_ e: [BoundExpr]) -> String { e.map { $0.dump() }.joined(separator: ", ") }
        func order(_ keys: [BoundSortKey]) -> String {
            keys.map { "\($0.expr.dump()) \($0.descending ? "desc" : "asc") nulls \($0.nullsFirst ? "first" : "last")" }
                .joined(separator: ", ")
        }
        func outputs(_ o: [MvOutput]) -> String {
            o.map {
                switch $0 {
                case .input(let i): "in\(i)"
                case .item(let i): "item\(i)"
                case .index: "index"
                }
            }.joined(separator: " ")
        }
        func items(_ m: [BoundMvItem]) -> String { m.map { "\($0.expr.dump()) as \($0.type.rawValue)" }.joined(separator: ", ") }
        switch kind {
        case .table(let name): return ("table \(name)", [])
        case .rows(let rows): return ("rows \(rows.count)", [])
        case .print(let e): return ("print \(list(e))", [])
        case .range(let f, let t, let s): return ("range \(f.dump()) to \(t.dump()) step \(s.dump())", [])
        case .filter(let p, let e): return ("filter \(e.dump())", [p])
        case .project(let p, let e): return ("project \(list(e))", [p])
        case .summarize(let p, let keys, let aggregates):
            let a = aggregates.map { "\($0.name)(\(list($0.arguments)))" }.joined(separator: ", ")
            return ("summarize \(a) by \(list(keys))", [p])
        case .sort(let p, let keys): return ("sort \(order(keys))", [p])
        case .top(let p, let n, let keys): return ("top \(n.dump()) by \(order(keys))", [p])
        case .take(let p, let n): return ("take \(n.dump())", [p])
        case .join(let kind, let l, let r, let keys):
            return ("join \(kind.rawValue) on \(keys.map { "\($0.left.dump()) == \($0.right.dump())" }.joined(separator: ", "))", [l, r])
        case .union(let branches, let map, let source):
            let m = map.map { "(" + $0.map { $0.map { String($0) } ?? "-" }.joined(separator: " ") + ")" }.joined(separator: " ")
            return ("union \(m)\(source.map { " source \($0.joined(separator: ","))" } ?? "")", branches)
        case .mvExpand(let p, let m, let o, let limit, let bags):
            return (
                "mv-expand \(items(m)) [\(outputs(o))]\(limit.map { " limit \($0.dump())" } ?? "")\(bags ? " bags as arrays" : "")", [p]
            )
        case .mvApply(let p, let m, let o, let limit, let body):
            return ("mv-apply \(items(m)) [\(outputs(o))]\(limit.map { " limit \($0.dump())" } ?? "")", [p, body])
        case .subquerySource: return ("subquery source", [])
        case .parse(let p, let parse, let o):
            return ("\(parse.filters ? "parse-where" : "parse") \(parse.source.dump()) \(parse.mode) [\(outputs(o))]", [p])
        case .serialize(let p): return ("serialize", [p])
        case .shared(let s): return ("shared \(s.id)", [s.plan])
        case .getschema(let p): return ("getschema", [p])
        case .sample(let p, let n): return ("sample \(n.dump())", [p])
        case .custom(let name, let inputs, let arguments, let options):
            let o = options.keys.sorted().map { "\($0)=\(options[$0].map { BoundExpr.text($0) } ?? "")" }.joined(separator: " ")
            return ("custom \(name)(\(list(arguments))) \(o)", inputs)
        }
    }
}

extension BoundExpr {
    /// The expression in prefix form: constants as KQL would print them, columns as `#identity`.
    public func dump() -> String {
        switch kind {
        case .constant(let v): BoundExpr.text(v)
        case .column(let id): "#\(id)"
        case .call(let name, let args): "\(name)(\(args.map { $0.dump() }.joined(separator: ", ")))"
        case .member(let b, let name): "\(b.dump()).\(name)"
        case .element(let b, let i): "\(b.dump())[\(i.dump())]"
        case .scalarQuery(let p): "toscalar{\(p.dump().split(separator: "\n").joined(separator: ";"))}"
        case .inQuery(let op, let l, let p): "\(op.rawValue)(\(l.dump()), {\(p.dump().split(separator: "\n").joined(separator: ";"))})"
        }
    }

    static func text(_ v: Value) -> String {
        switch v {
        case .null(let t): "\(t.rawValue)(null)"
        case .bool(let b): b ? "true" : "false"
        case .int(let i): "int(\(i))"
        case .long(let i): String(i)
        case .real(let d): "\(d)"
        case .decimal(let d): "decimal(\(d))"
        case .string(let s): "'\(s)'"
        case .datetime(let t): KustoTime.isoString(t)
        case .timespan(let t): KustoTime.timespanString(t)
        case .guid(let g): ConstantFold.text(g)
        case .dynamic(let d): "dynamic(\(JSONText.compact(d)))"
        }
    }
}
