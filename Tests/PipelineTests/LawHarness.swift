import Columnar
import KQL
import Rules
import Testing

@testable import Detection

/// Compares runs with the oracle; every difference is one text that says how to find it again.
struct LawHarness {
    let lawCase: LawCase
    let answers: [LawOracle.Answer]

    init(_ lawCase: LawCase, flaw: LawOracle.Flaw? = nil) throws {
        self.lawCase = lawCase
        let oracle = LawOracle(lawCase, flaw: flaw)
        answers = try lawCase.rules.indices.map { try oracle.answer($0) }
    }

    var alertCount: Int { answers.reduce(0) { $0 + $1.alerts.count } }
    var tickCount: Int { answers.reduce(0) { $0 + $1.results.count } }
    var rowCount: Int { answers.reduce(0) { $0 + $1.results.values.reduce(0) { $0 + $1.count } } }

    /// The differences between a run and the law, at most one a rule.
    func differences(_ outcome: LawOutcome, raisesEarly: Bool = false) -> [String] {
        var out: [String] = []
        if outcome.lateRows > 0 { out.append("seed \(lawCase.seed): \(outcome.lateRows) rows were taken for late") }
        for f in outcome.failures { out.append("seed \(lawCase.seed): a rule failed: \(f)") }
        var numbers: [String: Int] = [:]
        for (i, r) in lawCase.rules.enumerated() { numbers[r.id] = i }
        var seen: [Int: Set<Int64>] = [:]
        var told: Set<Int> = []
        for o in outcome.observations {
            guard let rule = numbers[o.ruleID], !told.contains(rule) else { continue }
            if let text = difference(o, rule) {
                out.append(text + "\n" + lawCase.describe(rule))
                told.insert(rule)
            }
            if o.isComplete { seen[rule, default: []].insert(o.tick) }
        }
        for (rule, answer) in answers.enumerated() where !told.contains(rule) {
            let program = lawCase.programs[rule]
            for tick in answer.ticks where !(seen[rule]?.contains(tick) ?? false) {
                guard program.needsEmptyTicks || (answer.results[tick]?.count ?? 0) > 0 else { continue }
                out.append(
                    "tick \(KustoTime.isoString(tick)) was not evaluated, but the query gives:\n"
                        + (answer.results[tick]?.rows.prefix(5).joined(separator: "\n") ?? "") + "\n" + lawCase.describe(rule))
                told.insert(rule)
                break
            }
        }
        for (rule, answer) in answers.enumerated() where !told.contains(rule) {
            if let text = alertDifference(answer, outcome, lawCase.rules[rule].id, raisesEarly) {
                out.append(text + "\n" + lawCase.describe(rule))
            }
        }
        return out
    }

    /// The differences between a run's alerts and those of the plain evaluator, at most one a rule: nothing else is looked at.
    func alertDifferences(_ outcome: LawOutcome) -> [String] {
        var out = outcome.failures.map { "seed \(lawCase.seed): a rule failed: \($0)" }
        for (rule, answer) in answers.enumerated() {
            if let text = alertDifference(answer, outcome, lawCase.rules[rule].id, false) {
                out.append(text + "\n" + lawCase.describe(rule))
            }
        }
        return out
    }

    private func difference(_ o: TickObservation, _ rule: Int) -> String? {
        let answer = answers[rule]
        let at = KustoTime.isoString(o.tick)
        guard let expected = answer.results[o.tick] else {
            return o.isComplete ? "tick \(at) was evaluated, but lies before the first row or after the last" : nil
        }
        if !o.isComplete {
            // Early, some rows may be missing; but what fires early must fire in the end.
            let count = o.batches.reduce(0) { $0 + $1.count }
            guard RuleProgram.triggers(lawCase.rules[rule], count: count) else { return nil }
            if RuleProgram.triggers(lawCase.rules[rule], count: expected.count) { return nil }
            return "tick \(at) fired early with \(count) rows, in the end it has \(expected.count)"
        }
        if o.tick == answer.open { return "tick \(at) was taken for final, but its window is open" }
        let rows = Canonical.rows(o.columns, o.batches)
        guard rows != expected.rows else { return nil }
        let (missing, extra) = (LawHarness.subtract(expected.rows, rows), LawHarness.subtract(rows, expected.rows))
        return "tick \(at): \(expected.rows.count) rows expected, \(rows.count) found\n"
            + missing.prefix(4).map { "  missing \($0)\n" }.joined() + extra.prefix(4).map { "  extra   \($0)\n" }.joined()
    }

    private func alertDifference(_ answer: LawOracle.Answer, _ outcome: LawOutcome, _ ruleID: String, _ raisesEarly: Bool) -> String? {
        func texts(_ alerts: some Sequence<Alert>) -> [String] {
            alerts.filter { $0.status != .merged }.map { Canonical.alert($0, revision: !raisesEarly) }.sorted()
        }
        let found = outcome.alerts.values.filter { $0.ruleID == ruleID }
        let (expected, actual) = (texts(answer.alerts.values), texts(found))
        if expected != actual {
            let (missing, extra) = (LawHarness.subtract(expected, actual), LawHarness.subtract(actual, expected))
            return "\(expected.count) alerts expected, \(actual.count) found\n"
                + missing.prefix(2).map { "  missing \($0)\n" }.joined() + extra.prefix(2).map { "  extra   \($0)\n" }.joined()
        }
        for a in found where a.status == .merged {
            guard let into = a.mergedInto, outcome.alerts[into] != nil else {
                return "an alert was raised and taken back: \(Canonical.alert(a, revision: false))"
            }
        }
        return nil
    }

    /// `a` without `b`, as multisets.
    static func subtract(_ a: [String], _ b: [String]) -> [String] {
        var counts: [String: Int] = [:]
        for x in b { counts[x, default: 0] += 1 }
        return a.filter { x in
            guard let n = counts[x], n > 0 else { return true }
            counts[x] = n - 1
            return false
        }
    }
}
