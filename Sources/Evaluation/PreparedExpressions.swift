import KQL
import Synchronization

/// Compiled expressions of a plan that is executed again and again, as a rule's suffix is: they are compiled at the first execution.
///
/// Expressions with sub-queries are not kept: they hold what a sub-query gave.
public final class PreparedExpressions: Sendable {
    private struct Key: Hashable {
        let plan: ObjectIdentifier
        let expr: ObjectIdentifier
        let input: Int
    }
    private struct Known {
        let compiled: CompiledExpression
        /// Keyed by identity, so they must stay alive.
        let plan: Plan
        let expr: BoundExpr
    }
    private let known = Mutex<[Key: Known]>([:])
    /// Operators that make plans while they run must not fill memory.
    private static let most = 10_000

    public init() {}

    /// Nil for an expression with a sub-query.
    func compiled(_ expr: BoundExpr, of plan: Plan, over input: [BoundColumn], side: Int) throws -> CompiledExpression? {
        let key = Key(plan: ObjectIdentifier(plan), expr: ObjectIdentifier(expr), input: side)
        if let k = known.withLock({ $0[key] }) { return k.compiled }
        if PlanRewriter.hasSubquery(expr) { return nil }
        let made = try CompiledExpression(expr, input: input, subqueries: NoSubqueries())
        known.withLock { if $0.count < PreparedExpressions.most { $0[key] = Known(compiled: made, plan: plan, expr: expr) } }
        return made
    }
}
