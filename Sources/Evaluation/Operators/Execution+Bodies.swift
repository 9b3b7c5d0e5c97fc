import Columnar
import KQL

/// The rows of one group that the body of `partition` or `mv-apply` has given a name with `as`, so that its sub-queries read them.
///
/// Each group has an execution of its own: what is shared or cached there depends on the group. What does not is the outer execution's.
final class BodyRows: Sendable {
    let outer: Execution
    let rows: [Batch]
    /// Shared plans of this body that read its rows.
    let names: Set<Int>

    init(outer: Execution, rows: [Batch], names: Set<Int>) {
        self.outer = outer
        self.rows = rows
        self.names = names
    }

    /// The shared plans that a plan and its sub-queries read and that read the rows of a body, those inside inner bodies left out.
    static func names(in plan: Plan) -> Set<Int> {
        var out: Set<Int> = []
        _ = collect(plan, into: &out)
        return out
    }

    /// Whether the plan reads a body's rows, directly or through a shared plan, which is then noted.
    private static func collect(_ plan: Plan, into out: inout Set<Int>) -> Bool {
        var reads = false
        var inputs = plan.children
        switch plan.kind {
        case .subquerySource: return true
        case .shared(let s):
            if out.contains(s.id) { return true }
            guard collect(s.plan, into: &out) else { return false }
            out.insert(s.id)
            return true
        case .mvApply(let input, _, _, _, _): inputs = [input]
        case .custom("partition", let all, _, let options) where options["id"] == nil: inputs = Array(all.prefix(1))
        default: break
        }
        for p in inputs where collect(p, into: &out) { reads = true }
        for e in plan.expressions { for p in subqueries(e) where collect(p, into: &out) { reads = true } }
        return reads
    }

    private static func subqueries(_ expr: BoundExpr) -> [Plan] {
        switch expr.kind {
        case .scalarQuery(let p): [p]
        case .inQuery(_, let left, let p): subqueries(left) + [p]
        case .call(_, let arguments): arguments.flatMap(subqueries)
        case .member(let base, _): subqueries(base)
        case .element(let base, let index): subqueries(base) + subqueries(index)
        case .constant, .column: []
        }
    }
}

extension Execution {
    /// Runs a body over the rows of one group. `names` are those of ``BodyRows/names(in:)`` that the outer executions do not know.
    func run(body: Plan, over rows: [Batch], names: Set<Int>, _ emit: (Batch) throws -> Bool) throws -> Bool {
        let environment = Environment(source: rows)
        if names.isEmpty { return try run(body, environment, emit) }
        let inner = Execution(
            provider: provider, context: context, options: options, partitionKeys: partitionKeys,
            body: BodyRows(outer: self, rows: rows, names: names))
        return try inner.run(body, environment, emit)
    }

    /// The names that a body gives its own rows.
    func ownNames(of body: Plan) -> Set<Int> {
        var names = BodyRows.names(in: body)
        var outer = self.body
        while let b = outer {
            names.subtract(b.names)
            outer = b.outer.body
        }
        return names
    }
}
