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

    /// What makes alerts of result rows; made for the first of them.
    var builder: AlertBuilder {
        if let known = made.withLock({ $0.builder }) { return known.value }
        let new = Shared(AlertBuilder(rule, columns: split.suffix.columns))
        return made.withLock { m in
            if m.builder == nil { m.builder = new }
            return m.builder ?? new
        }.value
    }

    /// What is kept by panes instead of rows; made when the rule first takes a row.
    var panes: PanePlan {
        if let known = made.withLock({ $0.panes }) { return known.value }
        let new = Shared(PanePlan(split, clock: clock, functions: functions))
        return made.withLock { m in
            if m.panes == nil { m.panes = new }
            return m.panes ?? new
        }.value
    }

    /// For each leg, its horizon conditions over the single column `TimeGenerated`.
    var horizons: [[CompiledExpression]] {
        if let known = made.withLock({ $0.horizons }) { return known }
        let new: [[CompiledExpression]]
        do { new = try RuleProgram.horizons(of: split.legs) } catch {
            // They could be compiled once, so this is for the impossible: the rule fails, and says so.
            let failing = CompiledExpression(failing: (error as? EvaluationError) ?? EvaluationError("\(error)"))
            new = split.legs.map { _ in [failing] }
        }
        return made.withLock { m in
            if m.horizons == nil { m.horizons = new }
            return m.horizons ?? new
        }
    }

    /// Expressions of the suffix.
    var prepared: PreparedExpressions {
        made.withLock { m in
            if let known = m.prepared { return known }
            let new = PreparedExpressions()
            m.prepared = new
            return new
        }
    }

    var document: Shared<AnalyticsRule> {
        made.withLock { m in
            if let known = m.rule { return known }
            let new = Shared(stored.read())
            m.rule = new
            return new
        }
    }
}
