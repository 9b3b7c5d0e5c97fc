import Columnar
import Evaluation
import KQL
import Matcher
import Rules
import Synchronization

// What a program makes when it is first asked for. Of thousands of rules at a start few are ever asked.

extension RuleProgram {
    /// A value that many hold.
    final class Shared<Value: Sendable>: Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }

    struct Made: Sendable {
        var rule: Shared<AnalyticsRule>?
        var builder: Shared<AlertBuilder>?
        var panes: Shared<PanePlan>?
        var horizons: [[CompiledExpression]]?
        var prepared: PreparedExpressions?
    }

    /// Where a rule that was compiled before stands.
    struct StoredRule: Sendable {
        let bytes: [UInt8]
        let place: Range<Int>
        let file: String

        func read() -> AnalyticsRule {
            var r = PackedReader(bytes, in: place)
            if let rule = try? AnalyticsRule(from: &r, file: file) { return rule }
            // The bytes were checked when they were loaded, so this is for the impossible.
            return AnalyticsRule(
                id: file, name: file, query: "", queryFrequency: KustoTime.ticksPerHour, queryPeriod: KustoTime.ticksPerHour)
        }
    }

    /// What rules whose alerts look alike have in common.
    struct Presentation: Sendable, Hashable {
        let rule: Digest128
        /// Of the data that the query reads besides logs.
        let versions: [String]
    }

    /// A part that is made at most once for all: of two threads that make it at a time, both get the one that was there first.
    private func made<Part: Sendable>(_ part: WritableKeyPath<Made, Part?>, _ make: () -> Part) -> Part {
        if let known = made.withLock({ $0[keyPath: part] }) { return known }
        let new = make()
        return made.withLock { m in
            if let known = m[keyPath: part] { return known }
            m[keyPath: part] = new
            return new
        }
    }

    /// What makes alerts of result rows; made for the first of them.
    var builder: AlertBuilder { made(\.builder) { Shared(AlertBuilder(rule, columns: split.suffix.columns)) }.value }

    /// What is kept by panes instead of rows; made when the rule first takes a row.
    var panes: PanePlan { made(\.panes) { Shared(PanePlan(split, clock: clock, functions: functions)) }.value }

    /// For each leg, its horizon conditions over the single column `TimeGenerated`.
    var horizons: [[CompiledExpression]] {
        made(\.horizons) {
            do { return try RuleProgram.horizons(of: split.legs) } catch {
                // They could be compiled once, so this is for the impossible: the rule fails, and says so.
                let failing = CompiledExpression(failing: (error as? EvaluationError) ?? EvaluationError("\(error)"))
                return split.legs.map { _ in [failing] }
            }
        }
    }

    /// Expressions of the suffix.
    var prepared: PreparedExpressions { made(\.prepared) { PreparedExpressions() } }

    var document: Shared<AnalyticsRule> { made(\.rule) { Shared(stored.read()) } }
}
