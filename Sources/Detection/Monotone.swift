import Columnar
import KQL
import Matcher

/// Decides whether a plan's rows can only grow as input rows are added, so that a tick may raise before its window has closed.
///
/// Conservative: true only where proved. "Grow" means that a result row, told by its stable columns, stays once it is there; columns
/// that may still change are tracked as increasing or unstable, and a filter may read them only as a lower bound on an increasing one.
struct MonotoneAnalysis {
    enum Stability: Sendable { case stable, increasing, unstable }

    private let functions: any FunctionCatalog
    private var classes: [ColumnID: Stability] = [:]
    /// Some column is a distinct count, which is estimated where it is large.
    private var hasEstimates = false
    /// Bounds up to which an estimate cannot fall below what was counted exactly: half of the count from which `dcount` estimates, far
    /// more than its error.
    private static let estimateBound: Int64 = 50_000

    private init(functions: any FunctionCatalog) { self.functions = functions }

    /// `groups` are the columns whose values tell alerts apart: one that still changes would take back the alert of its former value.
    /// Nil: alerts go by the rows' own keys, which have to stay, too.
    static func isMonotone(_ plan: Plan, groups: [BoundColumn]?, functions: any FunctionCatalog) -> Bool {
        var analysis = MonotoneAnalysis(functions: functions)
        guard analysis.grows(plan) else { return false }
        guard let groups else { return keepsKeys(plan) }
        return groups.allSatisfy { analysis.classes[$0.id] ?? .stable == .stable }
    }

    /// Whether a result row keeps its row key when others are added.
    private static func keepsKeys(_ plan: Plan) -> Bool {
        switch plan.kind {
        case .table: true
        case .filter(let p, _), .project(let p, _), .mvExpand(let p, _, _, _, _), .parse(let p, _, _), .sort(let p, _): keepsKeys(p)
        case .join(.inner, let l, let r, _): keepsKeys(l) && keepsKeys(r)
        case .join(.leftsemi, let l, _, _): keepsKeys(l)
        case .join(.rightsemi, _, let r, _): keepsKeys(r)
        case .union(let branches, _, _): branches.allSatisfy(keepsKeys)
        default: false
        }
    }

    /// Nil: no class fits, because the value depends on other rows or on a plan.
    private func stability(_ e: BoundExpr) -> Stability? {
        switch e.kind {
        case .constant: return .stable
        case .column(let id): return classes[id] ?? .stable
        case .call(let name, let args):
            if let f = functions.scalar(name), !f.isRowLocal { return nil }
            var all = Stability.stable
            for a in args {
                guard let s = stability(a) else { return nil }
                if s != .stable { all = .unstable }
            }
            return all
        case .member(let b, _):
            guard let s = stability(b) else { return nil }
            return s == .stable ? .stable : .unstable
        case .element(let b, let i):
            guard let s = stability(b), let t = stability(i) else { return nil }
            return s == .stable && t == .stable ? .stable : .unstable
        case .scalarQuery, .inQuery: return nil
        }
    }

    private mutating func acceptable(_ condition: BoundExpr) -> Bool {
        if case .inQuery(let op, let value, let plan) = condition.kind {
            guard op == .isIn || op == .isInIgnoringCase || op == .hasAny, stability(value) == .stable else { return false }
            // A value that still changes may leave the list again.
            guard grows(plan), let first = plan.columns.first else { return false }
            return classes[first.id] ?? .stable == .stable
        }
        guard let s = stability(condition) else { return false }
        if s == .stable { return true }
        guard case .call(let op, let args) = condition.kind, args.count == 2, let left = stability(args[0]), let right = stability(args[1])
        else { return false }
        let isColumn = { (e: BoundExpr) -> Bool in if case .column = e.kind { true } else { false } }
        if op == ">" || op == ">=" { return left == .increasing && isColumn(args[0]) && right == .stable && isSafeBound(args[1]) }
        if op == "<" || op == "<=" { return right == .increasing && isColumn(args[1]) && left == .stable && isSafeBound(args[0]) }
        return false
    }

    private func isSafeBound(_ e: BoundExpr) -> Bool {
        guard hasEstimates else { return true }
        switch e.kind {
        case .constant(.int(let n)): return n <= MonotoneAnalysis.estimateBound
        case .constant(.long(let n)): return n <= MonotoneAnalysis.estimateBound
        case .constant(.real(let d)): return d <= Double(MonotoneAnalysis.estimateBound)
        default: return false
        }
    }

    private mutating func grows(_ plan: Plan) -> Bool {
        switch plan.kind {
        case .table, .rows, .print, .range: return true
        case .filter(let input, let predicate):
            guard grows(input) else { return false }
            for c in predicate.conjuncts { guard acceptable(c) else { return false } }
            return true
        case .project(let input, let exprs):
            guard grows(input) else { return false }
            for (column, e) in zip(plan.columns, exprs) { classes[column.id] = stability(e) ?? .unstable }
            return true
        case .summarize(let input, let keys, let aggregates):
            guard grows(input) else { return false }
            for k in keys { guard stability(k) == .stable else { return false } }
            for a in aggregates {
                let arguments = a.arguments.map { stability($0) ?? .unstable }
                let stable = arguments.allSatisfy { $0 == .stable }
                let s: Stability
                switch a.name {
                case "count": s = .increasing
                case "countif", "count_distinct", "count_distinctif": s = stable ? .increasing : .unstable
                case "dcount", "dcountif":
                    s = stable ? .increasing : .unstable
                    hasEstimates = true
                case "max", "maxif": s = stable || arguments.first == .increasing ? .increasing : .unstable
                default: s = .unstable
                }
                for o in a.outputs { classes[o.id] = s }
            }
            return true
        case .join(let kind, let left, let right, let keys):
            guard grows(left), grows(right) else { return false }
            for k in keys { guard stability(k.left) == .stable, stability(k.right) == .stable else { return false } }
            let leftKeys = Set(keys.compactMap { k -> ColumnID? in if case .column(let id) = k.left.kind { id } else { nil } })
            switch kind {
            case .inner, .leftsemi, .rightsemi: return true
            case .innerunique:
                // A late row may become the one that stands for its key.
                for c in left.columns where !leftKeys.contains(c.id) { classes[c.id] = .unstable }
                return true
            case .leftouter:
                for c in right.columns { classes[c.id] = .unstable }
                return true
            case .rightouter:
                for c in left.columns { classes[c.id] = .unstable }
                return true
            case .fullouter, .leftanti, .rightanti: return false
            }
        case .union(let branches, let map, _):
            for b in branches { guard grows(b) else { return false } }
            for (j, column) in plan.columns.enumerated() {
                var worst = Stability.stable
                for (i, b) in branches.enumerated() {
                    guard let position = map[i][j], case let s = classes[b.columns[position].id] ?? .stable, s != .stable else { continue }
                    worst = worst == .stable || worst == s ? s : .unstable
                }
                classes[column.id] = worst
            }
            return true
        case .mvExpand(let input, let items, let outputs, let limit, _):
            guard grows(input), limit == nil else { return false }
            for i in items { guard stability(i.expr) == .stable else { return false } }
            carry(plan, input, outputs)
            return true
        case .parse(let input, let parse, let outputs):
            guard grows(input), stability(parse.source) == .stable else { return false }
            carry(plan, input, outputs)
            return true
        case .sort(let input, _): return grows(input)
        case .shared(let s):
            guard grows(s.plan) else { return false }
            for (mine, theirs) in zip(plan.columns, s.plan.columns) { classes[mine.id] = classes[theirs.id] ?? .stable }
            return true
        case .top, .take, .mvApply, .subquerySource, .serialize, .getschema, .sample, .custom: return false
        }
    }

    private mutating func carry(_ plan: Plan, _ input: Plan, _ outputs: [MvOutput]) {
        for (column, output) in zip(plan.columns, outputs) {
            if case .input(let i) = output { classes[column.id] = classes[input.columns[i].id] ?? .stable }
        }
    }
}
