import Columnar
import KQL

/// Walks and rewrites over plans.
public enum PlanTools {
    /// Calls `body` for each table leaf, those in sub-queries and shared plans included (a shared plan once).
    public static func forEachTable(_ plan: Plan, _ body: (String, [BoundColumn]) -> Void) {
        var seen: Set<Int> = []
        walk(plan, &seen) { p in if case .table(let name) = p.kind { body(name, p.columns) } }
    }

    /// Calls `body` on every node, parents first.
    public static func forEachNode(_ plan: Plan, _ body: (Plan) -> Void) {
        var seen: Set<Int> = []
        walk(plan, &seen, body)
    }

    private static func walk(_ plan: Plan, _ seen: inout Set<Int>, _ body: (Plan) -> Void) {
        if case .shared(let s) = plan.kind {
            guard seen.insert(s.id).inserted else { return }
        }
        body(plan)
        for child in children(plan) { walk(child, &seen, body) }
        for e in expressions(plan) { walk(e, &seen, body) }
    }

    private static func walk(_ e: BoundExpr, _ seen: inout Set<Int>, _ body: (Plan) -> Void) {
        switch e.kind {
        case .constant, .column: break
        case .call(_, let args): for a in args { walk(a, &seen, body) }
        case .member(let base, _): walk(base, &seen, body)
        case .element(let base, let index):
            walk(base, &seen, body)
            walk(index, &seen, body)
        case .scalarQuery(let p): walk(p, &seen, body)
        case .inQuery(_, let v, let p):
            walk(v, &seen, body)
            walk(p, &seen, body)
        }
    }

    /// Input plans of a node.
    public static func children(_ plan: Plan) -> [Plan] { plan.children }

    /// Expressions of a node itself.
    public static func expressions(_ plan: Plan) -> [BoundExpr] { plan.expressions }

    /// The node with its inputs and expressions mapped.
    public static func mapChildren(_ plan: Plan, plans: (Plan) -> Plan, exprs: (BoundExpr) -> BoundExpr) -> Plan {
        func keys(_ k: [BoundSortKey]) -> [BoundSortKey] {
            k.map { BoundSortKey(expr: exprs($0.expr), descending: $0.descending, nullsFirst: $0.nullsFirst) }
        }
        func items(_ m: [BoundMvItem]) -> [BoundMvItem] { m.map { BoundMvItem(expr: exprs($0.expr), type: $0.type) } }
        let kind: Plan.Kind
        switch plan.kind {
        case .table, .rows, .subquerySource: kind = plan.kind
        case .print(let e): kind = .print(e.map(exprs))
        case .range(let a, let b, let c): kind = .range(from: exprs(a), to: exprs(b), step: exprs(c))
        case .filter(let p, let e): kind = .filter(plans(p), exprs(e))
        case .project(let p, let e): kind = .project(plans(p), e.map(exprs))
        case .summarize(let p, let k, let a):
            kind = .summarize(
                plans(p), keys: k.map(exprs),
                aggregates: a.map { BoundAggregate(name: $0.name, arguments: $0.arguments.map(exprs), outputs: $0.outputs) })
        case .sort(let p, let k): kind = .sort(plans(p), keys(k))
        case .top(let p, let n, let k): kind = .top(plans(p), exprs(n), keys(k))
        case .take(let p, let n): kind = .take(plans(p), exprs(n))
        case .join(let j, let l, let r, let k):
            let left = plans(l)
            let right = plans(r)
            kind = .join(j, left, right, keys: k.map { JoinKey(left: exprs($0.left), right: exprs($0.right)) })
        case .union(let b, let map, let source): kind = .union(b.map(plans), map: map, source: source)
        case .mvExpand(let p, let m, let o, let limit, let bag):
            kind = .mvExpand(plans(p), items(m), outputs: o, limit: limit.map(exprs), bagArrays: bag)
        case .mvApply(let p, let m, let o, let limit, let body):
            let input = plans(p)
            kind = .mvApply(input, items(m), outputs: o, limit: limit.map(exprs), body: plans(body))
        case .parse(let p, let parse, let o):
            kind = .parse(
                plans(p), BoundParse(source: exprs(parse.source), mode: parse.mode, segments: parse.segments, filters: parse.filters),
                outputs: o)
        case .serialize(let p): kind = .serialize(plans(p))
        case .shared(let s): kind = .shared(SharedPlan(id: s.id, plan: plans(s.plan)))
        case .getschema(let p): kind = .getschema(plans(p))
        case .sample(let p, let n): kind = .sample(plans(p), exprs(n))
        case .custom(let name, let inputs, let arguments, let options):
            kind = .custom(name: name, inputs: inputs.map(plans), arguments: arguments.map(exprs), options: options)
        }
        return Plan(kind, columns: plan.columns, range: plan.range)
    }

    /// True if the plan gives no row when every table is empty. Conservative: false when in doubt.
    public static func emptyGivesEmpty(_ plan: Plan) -> Bool {
        switch plan.kind {
        case .table: true
        case .rows(let rows): rows.isEmpty
        case .print, .range, .subquerySource, .getschema, .custom: false
        case .filter(let p, _), .project(let p, _), .sort(let p, _), .top(let p, _, _), .take(let p, _), .mvExpand(let p, _, _, _, _),
            .mvApply(let p, _, _, _, _), .parse(let p, _, _), .serialize(let p), .sample(let p, _):
            emptyGivesEmpty(p)
        case .summarize(let p, let keys, _): !keys.isEmpty && emptyGivesEmpty(p)
        case .join(let kind, let l, let r, _):
            switch kind {
            case .inner, .innerunique, .leftsemi, .rightsemi: emptyGivesEmpty(l) || emptyGivesEmpty(r)
            case .leftouter, .leftanti: emptyGivesEmpty(l)
            case .rightouter, .rightanti: emptyGivesEmpty(r)
            case .fullouter: emptyGivesEmpty(l) && emptyGivesEmpty(r)
            }
        case .union(let branches, _, _): branches.allSatisfy(emptyGivesEmpty)
        case .shared(let s): emptyGivesEmpty(s.plan)
        }
    }
}
