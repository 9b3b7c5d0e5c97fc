import Columnar

@testable import KQL

/// Prints trees in a short bracketed form, for tables of expectations.
enum TreeText {
    static func text(_ source: String) -> String {
        let tree = SyntaxTree.parse(source)
        let body = tree.statements.map(statement).joined(separator: "; ")
        let errors = tree.diagnostics.map { "\($0.code)" }.joined(separator: " ")
        return errors.isEmpty ? body : body + " !! " + errors
    }

    /// The tree of `print <expression>`, without the print.
    static func expression(_ source: String) -> String {
        let tree = SyntaxTree.parse("print " + source)
        guard tree.diagnostics.isEmpty else { return tree.diagnostics.map { "\($0.code) \($0.message)" }.joined(separator: "; ") }
        guard tree.statements.count == 1, case .expression(let e)? = tree.statements.first?.kind, case .query(let q) = e.kind,
            case .generator(let op) = q.source, case .print(let items) = op.kind
        else { return "no print" }
        return items.map(text).joined(separator: ", ")
    }

    /// The operators of `T | <operators>`.
    static func operators(_ source: String) -> String {
        let tree = SyntaxTree.parse("T | " + source)
        guard tree.diagnostics.isEmpty else { return tree.diagnostics.map { "\($0.code) \($0.message)" }.joined(separator: "; ") }
        guard case .expression(let e)? = tree.statements.first?.kind, case .query(let q) = e.kind else { return "no query" }
        return q.operators.map(text).joined(separator: " | ")
    }

    static func statement(_ s: Statement) -> String {
        switch s.kind {
        case .letValue(let n, let e): "let \(name(n)) = \(text(e))"
        case .letFunction(let n, let ps, let body):
            "let \(name(n)) = (\(ps.map(parameter).joined(separator: ", "))) {\((body.statements.map(statement) + [text(body.result)]).joined(separator: "; "))}"
        case .expression(let e): text(e)
        case .set(let n, let e): "set \(name(n))" + (e.map { " = \(text($0))" } ?? "")
        case .declareParameters(let ps): "declare(\(ps.map(parameter).joined(separator: ", ")))"
        case .declarePattern(let p):
            "pattern \(name(p.name)) = (\(p.parameters.map(parameter).joined(separator: ", ")))\(p.path.map { "[\(parameter($0))]" } ?? "") {"
                + p.cases.map { c in
                    "(\(c.arguments.joined(separator: ", ")))\(c.path.map { ".[\($0)]" } ?? "") = \((c.body.statements.map(statement) + [text(c.body.result)]).joined(separator: "; "))"
                }.joined(separator: "; ") + "}"
        case .other(let n): "other \(name(n))"
        }
    }

    static func parameter(_ p: Parameter) -> String {
        let kind =
            switch p.kind {
            case .scalar(let t): t?.rawValue ?? "?"
            case .tabular(let columns): columns.map { "(\($0.map(text).joined(separator: ", ")))" } ?? "(*)"
            }
        return "\(name(p.name)):\(kind)" + (p.defaultValue.map { "=\(text($0))" } ?? "")
    }

    static func name(_ n: Name) -> String { n.isQuoted ? "['\(n.text)']" : n.text }

    static func text(_ t: TypedName) -> String { "\(name(t.name)):\(t.type?.rawValue ?? "?")" }

    static func list(_ items: [Expr]) -> String { items.map(text).joined(separator: ", ") }

    static func text(_ e: Expr) -> String {
        switch e.kind {
        case .literal(let v): return literal(v)
        case .name(let n): return name(n)
        case .member(let b, let n): return "\(text(b)).\(name(n))"
        case .element(let b, let i): return "\(text(b))[\(text(i))]"
        case .call(let n, let args): return "\(name(n))(\(list(args)))"
        case .methodCall(let b, let n, let args): return "\(text(b)).\(name(n))(\(list(args)))"
        case .binary(let op, let a, let b): return "{\(text(a)) \(op.rawValue) \(text(b))}"
        case .sign(let negative, let x): return "{\(negative ? "-" : "+")\(text(x))}"
        case .list(let op, let x, let items): return "{\(text(x)) \(op.rawValue) [\(list(items))]}"
        case .between(let x, let low, let high, let negated): return "{\(text(x)) \(negated ? "!" : "")between \(text(low))..\(text(high))}"
        case .query(let q): return text(q)
        case .paren(let x): return "(\(text(x)))"
        case .star: return "*"
        case .named(let names, let x): return "\(names.map(name).joined(separator: "&"))=\(text(x))"
        case .typeOf(let columns): return "typeof(\(columns.map(text).joined(separator: ", ")))"
        case .ordered(let x, let descending, let nulls): return text(x) + order(descending, nulls)
        case .defaulted(let x, let value): return "\(text(x)) default \(text(value))"
        case .missing: return "<missing>"
        }
    }

    static func order(_ descending: Bool, _ nullsFirst: Bool?) -> String {
        (descending ? " desc" : " asc") + (nullsFirst.map { $0 ? " nulls-first" : " nulls-last" } ?? "")
    }

    static func keys(_ keys: [SortKey]) -> String {
        keys.map { text($0.expr) + order($0.descending, $0.nullsFirst) }.joined(separator: ", ")
    }

    static func literal(_ v: Value) -> String {
        switch v {
        case .null(let t): "null:\(t.rawValue)"
        case .bool(let v): "\(v)"
        case .int(let v): "int(\(v))"
        case .long(let v): "\(v)"
        case .real(let v): "real(\(v))"
        case .decimal(let v): "decimal(\(v))"
        case .string(let v): JSONText.compact(.string(v))
        case .datetime(let v): KustoTime.isoString(v)
        case .timespan(let v): "<\(KustoTime.timespanString(v))>"
        case .guid(let v): "guid(\(String(v, radix: 16)))"
        case .dynamic(let v): "dynamic(\(JSONText.compact(v)))"
        }
    }

    static func text(_ q: Query) -> String {
        let source =
            switch q.source {
            case .expression(let e): text(e)
            case .generator(let op): text(op)
            case .input: "@"
            }
        return ([source] + q.operators.map(text)).joined(separator: " | ")
    }

    static func text(_ op: Operator) -> String {
        let parameters = op.parameters.map { "\($0.name.text):\(text($0.value))" }.joined(separator: " ")
        let body = body(op.kind)
        return [op.keyword.text, parameters.isEmpty ? "" : "<\(parameters)>", body].filter { !$0.isEmpty }.joined(separator: " ")
    }

    static func body(_ kind: OperatorKind) -> String {
        switch kind {
        case .filter(let e), .take(let e), .sample(let e), .invoke(let e), .reduce(let e): return text(e)
        case .extend(let l), .project(let l), .projectAway(let l), .projectKeep(let l), .projectRename(let l), .projectReorder(let l),
            .distinct(let l), .union(let l), .print(let l), .serialize(let l), .fork(let l), .other(let l), .projectByNames(let l):
            return list(l)
        case .top(let n, let k): return "\(text(n)) by \(keys(k))"
        case .sort(let k): return keys(k)
        case .count(let n): return n.map(name) ?? ""
        case .summarize(let a, let k): return "[\(list(a))] by [\(list(k))]"
        case .join(let r, let on), .lookup(let r, let on): return "\(text(r)) on [\(list(on))]"
        case .mvExpand(let items, let limit): return mv(items, limit)
        case .mvApply(let items, let limit, let body): return mv(items, limit) + " on (\(body.map(text).joined(separator: " | ")))"
        case .parse(let e, let segments, let filters):
            return "\(text(e)) \(filters ? "where " : "")with \(segments.map(segment).joined(separator: " "))"
        case .parseKv(let e, let c): return "\(text(e)) as (\(c.map(text).joined(separator: ", ")))"
        case .range(let n, let a, let b, let c): return "\(name(n)) \(text(a)) \(text(b)) \(text(c))"
        case .datatable(let c, let v), .externaldata(let c, let v): return "(\(c.map(text).joined(separator: ", ")))[\(list(v))]"
        case .evaluate(let e, let schema): return text(e) + (schema.map { " : (\($0.map(text).joined(separator: ", ")))" } ?? "")
        case .alias(let n): return name(n)
        case .getschema, .consume, .graphMarkComponents: return ""
        case .sampleDistinct(let n, let of): return "\(text(n)) of \(text(of))"
        case .render(let n): return n.map(name) ?? ""
        case .makeSeries(let a, let on, let from, let to, let step, let k):
            return "[\(list(a))] on \(text(on)) \([from, to, step].map { $0.map(text) ?? "-" }.joined(separator: " ")) by [\(list(k))]"
        case .partition(let by, let body): return "by \(text(by)) (\(text(body)))"
        case .facet(let by, let with): return "by \(list(by)) (\(with.map(text).joined(separator: " | ")))"
        case .topNested(let levels):
            return levels.map { l in
                "\(l.count.map(text) ?? "-") of \(text(l.of))\(l.others.map { " others \(text($0))" } ?? "") by \(text(l.by))"
            }.joined(separator: ", ")
        case .topHitters(let n, let of, let by): return "\(text(n)) of \(text(of))" + (by.map { " by \(text($0))" } ?? "")
        case .search(let e, let tables): return "[\(list(tables))] \(text(e))"
        case .find(let tables, let e, let project): return "[\(list(tables))] \(text(e)) project [\(list(project))]"
        case .assertSchema(let c): return "(\(c.map(text).joined(separator: ", ")))"
        case .scan(let s): return scan(s)
        case .makeGraph(let g):
            let nodes = g.nodes.map { "\(text($0.table)) on \(text($0.id))" }.joined(separator: ", ")
            let part = g.partitionedBy.map { " by \(text($0)) (\(g.body.map(text).joined(separator: " | ")))" } ?? ""
            return "\(text(g.source)) -> \(text(g.target)) [\(nodes)]\(part)"
        case .graphMatch(let g), .graphShortestPaths(let g):
            let paths = g.patterns.map { $0.map(element).joined() }.joined(separator: ", ")
            return "\(paths) where \(g.predicate.map(text) ?? "-") project [\(list(g.project))]"
        case .graphToTable(let tables):
            return tables.map { t in
                let p = t.parameters.map { " \($0.name.text):\(text($0.value))" }.joined()
                return (t.isNodes ? "nodes" : "edges") + (t.name.map { " as \(name($0))" } ?? "") + p
            }.joined(separator: ", ")
        case .graphWhere(let nodes, let e): return "\(nodes ? "nodes" : "edges") \(text(e))"
        }
    }

    private static func mv(_ items: [MvItem], _ limit: Expr?) -> String {
        items.map { text($0.expr) + ($0.type.map { " to \($0.type?.rawValue ?? "?")" } ?? "") }.joined(separator: ", ")
            + (limit.map { " limit \(text($0))" } ?? "")
    }

    private static func segment(_ s: ParseSegment) -> String {
        switch s {
        case .text(let t, _): JSONText.compact(.string(t))
        case .star: "*"
        case .column(let c): text(c)
        }
    }

    private static func scan(_ s: ScanClause) -> String {
        let steps = s.steps.map { step in
            "\(name(step.name))\(step.isOptional ? "?" : "") \(step.output.rawValue): \(text(step.condition)) => \(list(step.assignments))"
        }
        return
            "order [\(keys(s.orderBy))] partition [\(list(s.partitionBy))] declare [\(s.declared.map(parameter).joined(separator: ", "))] "
            + "steps [\(steps.joined(separator: "; "))]"
    }

    private static func element(_ e: GraphPatternElement) -> String {
        switch e {
        case .node(let n, _): return "(\(n.map(name) ?? ""))"
        case .edge(let n, let direction, let hops, _):
            let inner = (n.map(name) ?? "") + (hops.map { "*\(text($0.low))..\(text($0.high))" } ?? "")
            switch direction {
            case .forward: return "-\(inner)>"
            case .backward: return "<\(inner)-"
            case .any: return "-\(inner)-"
            }
        }
    }
}
