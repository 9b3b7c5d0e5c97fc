import KQL
import Matcher

/// Looks into plans for whoever has no business with the matcher.
public enum PlanInspection {
    /// Calls `body` for every expression of a plan and of its parts.
    public static func forEachExpression(_ plan: Plan, _ body: (BoundExpr) -> Void) {
        PlanTools.forEachNode(plan) { node in for e in PlanTools.expressions(node) { visit(e, body) } }
    }

    private static func visit(_ e: BoundExpr, _ body: (BoundExpr) -> Void) {
        body(e)
        switch e.kind {
        case .constant, .column, .scalarQuery: break
        case .call(_, let args): for a in args { visit(a, body) }
        case .member(let b, _): visit(b, body)
        case .element(let b, let i):
            visit(b, body)
            visit(i, body)
        case .inQuery(_, let v, _): visit(v, body)
        }
    }
}
