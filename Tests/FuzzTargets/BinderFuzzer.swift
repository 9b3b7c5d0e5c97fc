import Columnar
import Evaluation
import KQL
import Matcher
import Rules
import Tables

enum BinderFuzzer {
    private static let schemas = WorkspaceCatalog()

    static func run(_ source: String) throws(FuzzFinding) {
        var options = BinderOptions(fold: ConstantFolder.fold)
        options.severalResults = source.utf8.count % 2 == 0
        let bound = KQLCompiler.bind(source, functions: FunctionRegistry.standard, schemas: schemas, options: options)
        let errors = bound.diagnostics.filter { $0.severity == .error }
        guard let plan = bound.plan else {
            if errors.isEmpty { throw FuzzFinding("no plan and no error") }
            _ = DiagnosticRenderer(source: source).render(Array(bound.diagnostics.prefix(20)))
            return
        }
        if !errors.isEmpty { throw FuzzFinding("a plan in spite of \(errors[0])") }
        let length = source.utf8.count
        for d in bound.diagnostics where d.range.lower < 0 || d.range.lower > d.range.upper || d.range.upper > length {
            throw FuzzFinding("a finding lies outside of the text: \(d)")
        }
        _ = Lints.findings(plan, use: .rule(period: 36_000_000_000))
        let pruned = PlanRewriter.prune(plan)
        if pruned.columns.map(\.name) != plan.columns.map(\.name) || pruned.columns.map(\.type) != plan.columns.map(\.type) {
            throw FuzzFinding("pruning changes the columns of the result")
        }
        guard bound.resultNames.isEmpty else { return }
        let split = LegSplitter.split(plan, nextColumnID: bound.nextColumnID, functions: FunctionRegistry.standard)
        if split.suffix.columns.map(\.name) != plan.columns.map(\.name) { throw FuzzFinding("splitting changes the columns of the result") }
        let legs = split.legs.map { (LegReference(rule: 0, leg: $0.index), $0) }
        _ = try? RuleSet(legs, functions: FunctionRegistry.standard)
    }
}
