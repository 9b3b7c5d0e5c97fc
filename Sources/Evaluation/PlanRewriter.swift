import Columnar
import KQL

/// Rewrites of plans that do not change results.
public enum PlanRewriter {
    /// The operands of nested `and`s, left to right; the expression itself if it is no `and`.
    public static func conjuncts(_ expr: BoundExpr) -> [BoundExpr] {
        if case .call(let name, let arguments) = expr.kind, name == BinaryOperator.and.rawValue { return arguments.flatMap(conjuncts) }
        return [expr]
    }

    /// Whether an expression runs a plan of its own.
    public static func hasSubquery(_ expr: BoundExpr) -> Bool {
        switch expr.kind {
        case .scalarQuery, .inQuery: true
        case .call(_, let arguments): arguments.contains(where: hasSubquery)
        case .member(let base, _): hasSubquery(base)
        case .element(let base, let index): hasSubquery(base) || hasSubquery(index)
        case .constant, .column: false
        }
    }

    /// The columns that an expression reads, those inside its sub-queries left out.
    public static func columns(of expr: BoundExpr) -> Set<ColumnID> {
        var out = Set<ColumnID>()
        collect(expr, into: &out)
        return out
    }

    private static func collect(_ expr: BoundExpr, into out: inout Set<ColumnID>) {
        switch expr.kind {
        case .column(let id): out.insert(id)
        case .call(_, let arguments): for a in arguments { collect(a, into: &out) }
        case .member(let base, _): collect(base, into: &out)
        case .element(let base, let index):
            collect(base, into: &out)
            collect(index, into: &out)
        case .inQuery(_, let left, _): collect(left, into: &out)
        case .constant, .scalarQuery: break
        }
    }

    /// The plan with every column dropped that does not bear on its result; the columns of the plan itself stay as they are.
    ///
    /// Tables end up with the columns that are read; projections, aggregates and the returned columns of `arg_max(x, *)` that nothing
    /// above uses are not computed.
    public static func prune(_ plan: Plan) -> Plan {
        var pruner = Pruner()
        // What shared plans must give is known once all their references were seen; references sit in shared plans too.
        for _ in 0..<32 {
            let before = pruner.sharedNeeds
            let out = pruner.prune(plan, Set(plan.columns.map(\.id)))
            if pruner.sharedNeeds.isEmpty { return out }
            pruner.rewritten = [:]
            if pruner.sharedNeeds == before { break }
        }
        let out = pruner.prune(plan, Set(plan.columns.map(\.id)))
        // A need that appears only now would leave a shared plan without its column: give up pruning rather than be wrong.
        return pruner.isConsistent ? out : plan
    }
}

private struct Pruner {
    /// Positions that references of each shared plan use.
    var sharedNeeds: [Int: Set<Int>] = [:]
    /// Shared plans already rewritten in this pass, with the needs they were rewritten for.
    var rewritten: [Int: (plan: SharedPlan, needs: Set<Int>)] = [:]
    var isConsistent: Bool { rewritten.allSatisfy { $0.value.needs == sharedNeeds[$0.key] } }

    /// `needed` are identities of the plan's columns. The result has at least those columns, in the plan's order.
    mutating func prune(_ plan: Plan, _ needed: Set<ColumnID>) -> Plan {
        let kept = plan.columns.indices.filter { needed.contains(plan.columns[$0].id) }
        let columns = kept.map { plan.columns[$0] }
        func made(_ kind: Plan.Kind, _ columns: [BoundColumn]) -> Plan { Plan(kind, columns: columns, range: plan.range) }
        switch plan.kind {
        case .table: return made(plan.kind, columns)
        case .rows(let rows):
            if kept.count == plan.columns.count { return plan }
            return made(.rows(rows.map { row in kept.map { $0 < row.count ? row[$0] : .missing(plan.columns[$0].type) } }), columns)
        case .print(let exprs): return made(.print(kept.map { rewrite(exprs[$0]) }), columns)
        case .range(let from, let to, let step):
            return made(.range(from: rewrite(from), to: rewrite(to), step: rewrite(step)), plan.columns)
        case .filter(let input, let predicate):
            let inner = prune(input, needed.union(PlanRewriter.columns(of: predicate)))
            return made(.filter(inner, rewrite(predicate)), inner.columns)
        case .project(let input, let exprs):
            let used = kept.map { exprs[$0] }
            let inner = prune(input, used.reduce(into: []) { $0.formUnion(PlanRewriter.columns(of: $1)) })
            return made(.project(inner, used.map { rewrite($0) }), columns)
        case .summarize(let input, let keys, let aggregates): return summarize(plan, input, keys, aggregates, needed)
        case .sort(let input, let keys):
            let inner = prune(input, needed.union(keys.flatMap { PlanRewriter.columns(of: $0.expr) }))
            return made(.sort(inner, keys.map { rewrite($0) }), inner.columns)
        case .top(let input, let n, let keys):
            let inner = prune(input, needed.union(keys.flatMap { PlanRewriter.columns(of: $0.expr) }))
            return made(.top(inner, rewrite(n), keys.map { rewrite($0) }), inner.columns)
        case .take(let input, let n):
            let inner = prune(input, needed)
            return made(.take(inner, rewrite(n)), inner.columns)
        case .serialize(let input):
            let inner = prune(input, needed)
            return made(.serialize(inner), inner.columns)
        case .sample(let input, let n):
            let inner = prune(input, needed)
            return made(.sample(inner, rewrite(n)), inner.columns)
        case .join(let kind, let left, let right, let keys): return join(plan, kind, left, right, keys, needed)
        case .union(let branches, let map, let source):
            var inners: [Plan] = []
            var maps: [[Int?]] = []
            for (i, branch) in branches.enumerated() {
                let used = Set(kept.compactMap { $0 < map[i].count ? map[i][$0] : nil }.map { branch.columns[$0].id })
                let inner = prune(branch, used)
                inners.append(inner)
                maps.append(
                    kept.map { j in
                        guard j < map[i].count, let p = map[i][j] else { return nil }
                        return inner.columns.firstIndex { $0.id == branch.columns[p].id }
                    })
            }
            // The name of the branch is the first column or nothing.
            let named = source != nil && kept.first == 0 ? source : nil
            return made(.union(inners, map: maps, source: named), columns)
        case .mvExpand(let input, let items, let outputs, let limit, let bagArrays):
            let (inner, mapped, used) = expansion(input, items, kept.map { outputs[$0] }, also: [])
            return made(.mvExpand(inner, used, outputs: mapped, limit: limit.map { rewrite($0) }, bagArrays: bagArrays), columns)
        case .mvApply(let input, let items, let outputs, let limit, let body):
            // The body reads the expanded rows by position: they stay whole.
            let inner = prune(input, Set(input.columns.map(\.id)))
            let shorter = prune(body, needed.intersection(body.columns.map(\.id)))
            return made(
                .mvApply(
                    inner, items.map { BoundMvItem(expr: rewrite($0.expr), type: $0.type) }, outputs: outputs, limit: limit, body: shorter),
                columns)
        case .subquerySource: return plan
        case .parse(let input, let parse, let outputs):
            let (inner, mapped, _) = expansion(input, [], kept.map { outputs[$0] }, also: PlanRewriter.columns(of: parse.source))
            let bound = BoundParse(source: rewrite(parse.source), mode: parse.mode, segments: parse.segments, filters: parse.filters)
            return made(.parse(inner, bound, outputs: mapped), columns)
        case .shared(let s): return shared(plan, s, kept)
        case .getschema: return plan
        case .custom(let name, let inputs, let arguments, let options):
            let inners = inputs.map { prune($0, Set($0.columns.map(\.id))) }
            return made(.custom(name: name, inputs: inners, arguments: arguments.map { rewrite($0) }, options: options), plan.columns)
        }
    }

    private mutating func summarize(
        _ plan: Plan, _ input: Plan, _ keys: [BoundExpr], _ aggregates: [BoundAggregate], _ needed: Set<ColumnID>
    ) -> Plan {
        var used: [BoundAggregate] = []
        for a in aggregates {
            let wanted = a.outputs.indices.filter { needed.contains(a.outputs[$0].id) }
            if wanted.isEmpty { continue }
            // One output an argument (`arg_max(x, a, b)`, `take_any(a, b)`): drop the unused, but the first, which decides.
            if a.outputs.count == a.arguments.count, a.outputs.count > 1, ["arg_max", "arg_min", "take_any"].contains(a.name) {
                let positions = wanted.first == 0 ? wanted : [0] + wanted
                // A single column of take_any means something else than one of several.
                if a.name != "take_any" || positions.count > 1 {
                    used.append(
                        BoundAggregate(name: a.name, arguments: positions.map { a.arguments[$0] }, outputs: positions.map { a.outputs[$0] })
                    )
                    continue
                }
            }
            used.append(a)
        }
        let read = (keys + used.flatMap(\.arguments)).reduce(into: Set<ColumnID>()) { $0.formUnion(PlanRewriter.columns(of: $1)) }
        let inner = prune(input, read)
        let rewrittenAggregates = used.map {
            BoundAggregate(name: $0.name, arguments: $0.arguments.map { rewrite($0) }, outputs: $0.outputs)
        }
        return Plan(
            .summarize(inner, keys: keys.map { rewrite($0) }, aggregates: rewrittenAggregates),
            columns: Array(plan.columns.prefix(keys.count)) + used.flatMap(\.outputs), range: plan.range)
    }

    private mutating func join(
        _ plan: Plan, _ kind: JoinKind, _ left: Plan, _ right: Plan, _ keys: [JoinKey], _ needed: Set<ColumnID>
    ) -> Plan {
        let onLeft = keys.reduce(into: Set<ColumnID>()) { $0.formUnion(PlanRewriter.columns(of: $1.left)) }
        let onRight = keys.reduce(into: Set<ColumnID>()) { $0.formUnion(PlanRewriter.columns(of: $1.right)) }
        let a = prune(left, needed.intersection(left.columns.map(\.id)).union(onLeft))
        let b = prune(right, needed.intersection(right.columns.map(\.id)).union(onRight))
        let columns: [BoundColumn] =
            switch kind {
            case .leftanti, .leftsemi: a.columns
            case .rightanti, .rightsemi: b.columns
            default: a.columns + b.columns
            }
        let rewrittenKeys = keys.map { JoinKey(left: rewrite($0.left), right: rewrite($0.right)) }
        return Plan(.join(kind, a, b, keys: rewrittenKeys), columns: named(columns, plan), range: plan.range)
    }

    /// The columns with the names that the plan gives them.
    private func named(_ columns: [BoundColumn], _ plan: Plan) -> [BoundColumn] {
        let byID = Dictionary(plan.columns.map { ($0.id, $0) }) { a, _ in a }
        return columns.map { byID[$0.id] ?? $0 }
    }

    /// Input, outputs and items of an mv-expand or parse whose outputs are `outputs`.
    private mutating func expansion(
        _ input: Plan, _ items: [BoundMvItem], _ outputs: [MvOutput], also: Set<ColumnID>
    ) -> (Plan, [MvOutput], [BoundMvItem]) {
        var read = also
        for o in outputs { if case .input(let p) = o { read.insert(input.columns[p].id) } }
        for i in items { read.formUnion(PlanRewriter.columns(of: i.expr)) }
        let inner = prune(input, read)
        let mapped = outputs.map { o -> MvOutput in
            guard case .input(let p) = o else { return o }
            return .input(inner.columns.firstIndex { $0.id == input.columns[p].id } ?? p)
        }
        return (inner, mapped, items.map { BoundMvItem(expr: rewrite($0.expr), type: $0.type) })
    }

    private mutating func shared(_ plan: Plan, _ s: SharedPlan, _ kept: [Int]) -> Plan {
        sharedNeeds[s.id, default: []].formUnion(kept)
        let needs = sharedNeeds[s.id] ?? []
        if rewritten[s.id] == nil {
            let inner = prune(s.plan, Set(needs.map { s.plan.columns[$0].id }))
            rewritten[s.id] = (SharedPlan(id: s.id, plan: inner), needs)
        }
        guard let r = rewritten[s.id] else { return plan }
        // The columns of a reference correspond by position to what the shared plan gives now: a part of what it gave, in its order.
        var position = 0
        var columns: [BoundColumn] = []
        for c in r.plan.plan.columns {
            while position < s.plan.columns.count, s.plan.columns[position].id != c.id { position += 1 }
            guard position < plan.columns.count else { return plan }
            columns.append(plan.columns[position])
            position += 1
        }
        return Plan(.shared(r.plan), columns: columns, range: plan.range)
    }

    private mutating func rewrite(_ key: BoundSortKey) -> BoundSortKey {
        BoundSortKey(expr: rewrite(key.expr), descending: key.descending, nullsFirst: key.nullsFirst)
    }

    /// Prunes the plans inside an expression: of those only the first column counts.
    private mutating func rewrite(_ expr: BoundExpr) -> BoundExpr {
        guard PlanRewriter.hasSubquery(expr) else { return expr }
        func first(_ plan: Plan) -> Set<ColumnID> { Set(plan.columns.prefix(1).map(\.id)) }
        switch expr.kind {
        case .scalarQuery(let plan): return BoundExpr(.scalarQuery(leading(plan)), expr.type, expr.range)
        case .inQuery(let op, let left, let plan): return BoundExpr(.inQuery(op, rewrite(left), leading(plan)), expr.type, expr.range)
        case .call(let name, let arguments): return BoundExpr(.call(name, arguments.map { rewrite($0) }), expr.type, expr.range)
        case .member(let base, let key): return BoundExpr(.member(rewrite(base), key), expr.type, expr.range)
        case .element(let base, let index): return BoundExpr(.element(rewrite(base), rewrite(index)), expr.type, expr.range)
        case .constant, .column: return expr
        }
    }

    /// A plan pruned to its first column, which stays first.
    private mutating func leading(_ plan: Plan) -> Plan {
        guard let first = plan.columns.first else { return plan }
        let inner = prune(plan, [first.id])
        if inner.columns.first?.id == first.id { return inner }
        return Plan(.project(inner, [BoundExpr(.column(first.id), first.type, plan.range)]), columns: [first], range: plan.range)
    }
}
