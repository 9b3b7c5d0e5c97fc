import Columnar
import Evaluation
import KQL

/// Cuts a bound query into legs (row-local prefixes over tables) and a suffix.
///
/// Soundness: an operator joins a prefix only if it is deterministic, row-local and free of `now()` and sub-queries, so its result for a
/// row is the same whenever it runs. A conjunct that compares the table's own `TimeGenerated` with a value made of `now()` and constants
/// becomes part of the leg's horizon and is applied again, exactly, at every tick: filters commute with the row-local operators above
/// them, because those neither see nor change the row's own time.
public final class LegSplitter {
    private let functions: any FunctionCatalog
    private var nextColumn: ColumnID
    private var drafts: [Draft] = []
    private var shared: [Int: SharedPlan] = [:]
    private var suffixUsesNow = false

    private struct Draft {
        var table: String
        var source: [BoundColumn]
        var plan: Plan
        var horizon: [BoundExpr] = []
        var timeColumn: ColumnID?
    }

    private enum Visit {
        case prefix(Draft)
        case suffix(Plan)
    }

    private init(functions: any FunctionCatalog, nextColumn: ColumnID) {
        self.functions = functions
        self.nextColumn = nextColumn
    }

    /// Splits `plan`. `needed` names the result columns that anybody will read (nil: all); `nextColumnID` is where new identities start.
    public static func split(
        _ plan: Plan, needed: Set<ColumnID>? = nil, nextColumnID: ColumnID, functions: any FunctionCatalog
    ) -> SplitQuery {
        let splitter = LegSplitter(functions: functions, nextColumn: nextColumnID)
        let visited = splitter.visit(plan)
        var suffix = splitter.finish(visited)
        if let needed {
            let kept = suffix.columns.filter { needed.contains($0.id) }
            suffix = Plan(
                .project(suffix, kept.map { BoundExpr(.column($0.id), $0.type, suffix.range) }), columns: kept, range: suffix.range)
        }
        suffix = PlanRewriter.prune(suffix)
        var leaves: [String: [BoundColumn]] = [:]
        PlanTools.forEachTable(suffix) { name, columns in
            var seen = leaves[name] ?? []
            for c in columns where !seen.contains(where: { $0.id == c.id }) { seen.append(c) }
            leaves[name] = seen
        }
        let legs = splitter.drafts.enumerated().map { index, draft -> Leg in
            let kept = leaves[Leg.storeName(index)] ?? []
            var prefix = draft.plan
            let same = kept.map(\.id) == prefix.columns.map(\.id)
            if !same {
                prefix = Plan(
                    .project(prefix, kept.map { BoundExpr(.column($0.id), $0.type, prefix.range) }), columns: kept, range: prefix.range)
            }
            prefix = PlanRewriter.prune(prefix)
            var source: [BoundColumn] = []
            PlanTools.forEachTable(prefix) { _, columns in source = columns }
            return Leg(
                index: index, table: draft.table, source: source, prefix: prefix, horizon: draft.horizon, timeColumn: draft.timeColumn)
        }
        return SplitQuery(
            legs: legs, suffix: suffix, suffixUsesNow: splitter.suffixUsesNow, emptyGivesEmpty: PlanTools.emptyGivesEmpty(suffix))
    }

    private func finish(_ visit: Visit) -> Plan {
        switch visit {
        case .suffix(let plan): return plan
        case .prefix(let draft):
            let index = drafts.count
            drafts.append(draft)
            return Plan(.table(name: Leg.storeName(index)), columns: draft.plan.columns, range: draft.plan.range)
        }
    }

    private func traits(_ e: BoundExpr) -> ExpressionTraits { ExpressionTraits(e, functions: functions) }

    private func visit(_ plan: Plan) -> Visit {
        switch plan.kind {
        case .table(let name):
            let time = plan.columns.first { $0.name == "TimeGenerated" && $0.type == .datetime }?.id
            return .prefix(Draft(table: name, source: plan.columns, plan: plan, timeColumn: time))

        case .filter(let input, let predicate):
            let below = visit(input)
            guard case .prefix(var draft) = below else {
                if case .suffix(let p) = below, let pushed = distribute(plan, over: p) { return .suffix(pushed) }
                return .suffix(Plan(.filter(finish(below), suffix(predicate)), columns: plan.columns, range: plan.range))
            }
            var local: [BoundExpr] = []
            var rest: [BoundExpr] = []
            for c in predicate.conjuncts {
                let t = traits(c)
                if t.isRowLocal {
                    local.append(c)
                } else if let time = draft.timeColumn, t.columns == [time], t.usesNow, !t.hasSubquery, !t.isVolatile {
                    draft.horizon.append(c)
                } else {
                    rest.append(c)
                }
            }
            if let condition = BoundExpr.conjunction(local) {
                draft.plan = Plan(.filter(draft.plan, condition), columns: plan.columns, range: plan.range)
            }
            guard let remaining = BoundExpr.conjunction(rest) else { return .prefix(draft) }
            return .suffix(Plan(.filter(finish(.prefix(draft)), suffix(remaining)), columns: plan.columns, range: plan.range))

        case .project(let input, let exprs):
            let below = visit(input)
            if case .prefix(var draft) = below, exprs.allSatisfy({ traits($0).isRowLocal }) {
                draft.plan = Plan(.project(draft.plan, exprs), columns: plan.columns, range: plan.range)
                return .prefix(draft)
            }
            if case .suffix(let p) = below, let pushed = distribute(plan, over: p) { return .suffix(pushed) }
            return .suffix(Plan(.project(finish(below), exprs.map { suffix($0) }), columns: plan.columns, range: plan.range))

        case .mvExpand(let input, let items, let outputs, let limit, let bag):
            let below = visit(input)
            if case .prefix(var draft) = below, items.allSatisfy({ traits($0.expr).isRowLocal }),
                limit.map({ traits($0).isRowLocal }) ?? true
            {
                draft.plan = Plan(
                    .mvExpand(draft.plan, items, outputs: outputs, limit: limit, bagArrays: bag), columns: plan.columns, range: plan.range)
                return .prefix(draft)
            }
            return .suffix(
                Plan(
                    .mvExpand(
                        finish(below), items.map { BoundMvItem(expr: suffix($0.expr), type: $0.type) }, outputs: outputs, limit: limit,
                        bagArrays: bag), columns: plan.columns, range: plan.range))

        case .parse(let input, let parse, let outputs):
            let below = visit(input)
            if case .prefix(var draft) = below, traits(parse.source).isRowLocal {
                draft.plan = Plan(.parse(draft.plan, parse, outputs: outputs), columns: plan.columns, range: plan.range)
                return .prefix(draft)
            }
            return .suffix(Plan(.parse(finish(below), parse, outputs: outputs), columns: plan.columns, range: plan.range))

        case .shared(let s):
            let again: SharedPlan
            if let known = shared[s.id] {
                again = known
            } else {
                let below = visit(s.plan)
                again = SharedPlan(id: s.id, plan: finish(below))
                shared[s.id] = again
            }
            return .suffix(Plan(.shared(again), columns: plan.columns, range: plan.range))

        default:
            return .suffix(PlanTools.mapChildren(plan, plans: { child in finish(visit(child)) }, exprs: { suffix($0) }))
        }
    }

    /// Rewrites an expression that stays in the suffix: plans inside it have legs of their own.
    private func suffix(_ e: BoundExpr) -> BoundExpr {
        let t = traits(e)
        if t.usesNow { suffixUsesNow = true }
        guard t.hasSubquery else { return e }
        return e.replacing(columns: [:]) { plan in
            let v = visit(plan)
            return finish(v)
        }
    }

    /// Moves a row-local filter or project above a union into its branches, so that they become part of the legs' prefixes.
    private func distribute(_ plan: Plan, over below: Plan) -> Plan? {
        guard case .union(let branches, let map, nil) = below.kind else { return nil }
        // Only a branch that is a bare leg gains from it, and only then may its draft still grow.
        guard branches.allSatisfy({ legIndex($0) != nil }) else { return nil }
        switch plan.kind {
        case .filter(_, let predicate):
            var local: [BoundExpr] = []
            var rest: [BoundExpr] = []
            var horizon: [BoundExpr] = []
            for c in predicate.conjuncts {
                if traits(c).isRowLocal {
                    local.append(c)
                } else if isLowerBound(c, union: below, branches, map) {
                    horizon.append(c)
                } else {
                    rest.append(c)
                }
            }
            if local.isEmpty, horizon.isEmpty { return nil }
            for (i, branch) in branches.enumerated() where !horizon.isEmpty {
                guard let leg = legIndex(branch) else { return nil }
                let substitution = substitution(union: below, branch: branch, map: map[i])
                drafts[leg].horizon += horizon.map { $0.replacing(columns: substitution) { $0 } }
            }
            if let condition = BoundExpr.conjunction(local) {
                for (i, branch) in branches.enumerated() {
                    guard let leg = legIndex(branch) else { return nil }
                    let substitution = substitution(union: below, branch: branch, map: map[i])
                    let mine = condition.replacing(columns: substitution) { $0 }
                    drafts[leg].plan = Plan(.filter(drafts[leg].plan, mine), columns: drafts[leg].plan.columns, range: plan.range)
                }
            }
            guard let remaining = BoundExpr.conjunction(rest) else { return below }
            return Plan(.filter(below, suffix(remaining)), columns: plan.columns, range: plan.range)
        case .project(_, let exprs):
            guard exprs.allSatisfy({ traits($0).isRowLocal }) else { return nil }
            var newBranches: [Plan] = []
            for (i, branch) in branches.enumerated() {
                guard let leg = legIndex(branch) else { return nil }
                let substitution = substitution(union: below, branch: branch, map: map[i])
                var columns: [BoundColumn] = []
                for c in plan.columns {
                    columns.append(BoundColumn(id: nextColumn, name: c.name, type: c.type))
                    nextColumn += 1
                }
                drafts[leg].plan = Plan(
                    .project(drafts[leg].plan, exprs.map { $0.replacing(columns: substitution) { $0 } }), columns: columns,
                    range: plan.range)
                newBranches.append(Plan(.table(name: Leg.storeName(leg)), columns: columns, range: branch.range))
            }
            let identity = Array(plan.columns.indices.map { Optional($0) })
            return Plan(
                .union(newBranches, map: Array(repeating: identity, count: branches.count), source: nil), columns: plan.columns,
                range: plan.range)
        default:
            return nil
        }
    }

    /// `time > now() - x` over a union, where the time is the unmodified one of every branch: it bounds each leg's view, as it would if it
    /// stood in the branches. Upper bounds stay above the union: a leg with one is taken for the past that a rule compares with.
    private func isLowerBound(_ e: BoundExpr, union: Plan, _ branches: [Plan], _ map: [[Int?]]) -> Bool {
        guard case .call(let op, let sides) = e.kind, sides.count == 2, case .column(let id) = sides[op.hasPrefix(">") ? 0 : 1].kind,
            [">", ">=", "<", "<="].contains(op), let at = union.columns.firstIndex(where: { $0.id == id })
        else { return false }
        let t = traits(e)
        guard t.columns == [id], t.usesNow, !t.hasSubquery, !t.isVolatile else { return false }
        return branches.indices.allSatisfy { i in
            guard let leg = legIndex(branches[i]), let position = map[i][at], let time = drafts[leg].timeColumn else { return false }
            return branches[i].columns[position].id == time
        }
    }

    private func legIndex(_ plan: Plan) -> Int? {
        guard case .table(let name) = plan.kind else { return nil }
        return drafts.indices.last { Leg.storeName($0) == name }
    }

    private func substitution(union: Plan, branch: Plan, map: [Int?]) -> [ColumnID: BoundExpr] {
        var result: [ColumnID: BoundExpr] = [:]
        for (j, column) in union.columns.enumerated() {
            if let position = map[j] {
                result[column.id] = BoundExpr(.column(branch.columns[position].id), column.type, branch.range)
            } else {
                result[column.id] = BoundExpr(.constant(.missing(column.type)), column.type, branch.range)
            }
        }
        return result
    }
}
