import Detection
import Dispatch
import KQL
import Rules
import Synchronization
import Testing

/// Alerts of the whole runtime, with every shortcut that it knows, are those of the plain evaluator with none.
///
/// With them: byte tables, dictionaries, memos of values and clauses, literal sets read back from a store, witnesses in learned order, rule
/// programs read back as from the cache, panes and their trees, joins by index, lineage on demand, windows that are not evaluated again.
/// Without: the query as it is written, bound without folding, over all rows of each window (``LawOracle``).
///
/// An alert is compared as it is written out: rule, status, times, severity, tactics, techniques, entities, details, counts and the keys of
/// its evidence. `VEDETTE_PROPERTY_CASES=N` and `VEDETTE_PROPERTY_SEED=S` say how many cases and from where.
@Suite struct ShortcutTests {
    static let usual: UInt64 = 36
    static let batches = [1, 7, 64, 4096]
    static let threads = [1, 4]
    static let rulesPerCase = 4

    static var seeds: ClosedRange<UInt64> {
        let first = max(1, LawTests.variable("VEDETTE_PROPERTY_SEED") ?? 1)
        return first...(first + max(1, LawTests.variable("VEDETTE_PROPERTY_CASES") ?? usual) - 1)
    }

    /// Every shape comes in every third case.
    static func shapes(_ seed: UInt64) -> [RuleShape] {
        let all = RuleShape.allCases
        return (0..<rulesPerCase).map { all[(Int(seed % 1_000_000) * rulesPerCase + $0) % all.count] }
    }

    /// One case in fifty has more records than the largest batch holds.
    static func makeCase(_ seed: UInt64) throws -> LawCase { try LawCase(seed: seed, shapes: shapes(seed), dense: seed % 50 == 25) }

    /// Another arrival for each number of threads; four of them then have as many sources to work on as the case allows.
    static func configurations(_ seed: UInt64) -> [LawConfiguration] {
        threads.flatMap { n in batches.map { LawConfiguration(batch: $0, threads: n, arrival: n == 1 ? 0 : seed) } }
    }

    static func differences(_ harness: LawHarness, _ configurations: [LawConfiguration]) throws -> [String] {
        for c in configurations {
            let found = harness.alertDifferences(try LawRun(harness.lawCase, c).run())
            // One way of going wrong is enough to look at.
            if !found.isEmpty { return found.map { "[\(c)] " + $0 } }
        }
        return []
    }

    private struct Tally {
        var alerts: [RuleShape: Int] = [:]
        var strategies: [RuleProgram.Strategy: Int] = [:]
        var problems: [String] = []
    }

    @Test("alerts with all shortcuts are those without") func property() throws {
        let seeds = Array(ShortcutTests.seeds)
        let tally = Mutex(Tally())
        DispatchQueue.concurrentPerform(iterations: seeds.count) { i in
            let seed = seeds[i]
            do {
                let harness = try LawHarness(try ShortcutTests.makeCase(seed))
                let found = try ShortcutTests.differences(harness, ShortcutTests.configurations(seed))
                tally.withLock { t in
                    t.problems += found.map { $0 + "\n(again with VEDETTE_PROPERTY_CASES=1 VEDETTE_PROPERTY_SEED=\(seed))" }
                    for (shape, answer) in zip(ShortcutTests.shapes(seed), harness.answers) {
                        t.alerts[shape, default: 0] += answer.alerts.count
                    }
                    for p in harness.lawCase.programs { t.strategies[p.strategy, default: 0] += 1 }
                }
            } catch { tally.withLock { $0.problems.append("seed \(seed): \(error)") } }
        }
        let t = tally.withLock { $0 }
        for text in t.problems { Issue.record("\(text)") }
        let counts = RuleShape.allCases.map { "\($0) \(t.alerts[$0] ?? 0)" }
        let kept = RuleProgram.Strategy.allCases.map { "\($0.rawValue) \(t.strategies[$0] ?? 0)" }
        print("shortcuts: \(seeds.count) cases; alerts: \(counts.joined(separator: ", ")); rules: \(kept.joined(separator: ", "))")
        // Equal sets of no alerts would prove nothing.
        guard seeds.count >= ShortcutTests.usual else { return }
        for shape in RuleShape.allCases { #expect((t.alerts[shape] ?? 0) > 0, "no rule of the shape \(shape) alerted") }
        for s in RuleProgram.Strategy.allCases { #expect((t.strategies[s] ?? 0) > 0, "no rule was kept as \(s.rawValue)") }
    }

    // MARK: The comparison can fail

    private func found(_ body: (LawCase) throws -> [String]) throws -> Int {
        var n = 0
        for seed in UInt64(1)...12 where !(try body(ShortcutTests.makeCase(seed))).isEmpty { n += 1 }
        return n
    }

    @Test("a witness that misses rows is noticed") func brokenWitness() throws {
        let n = try found { lawCase in
            let run = try LawRun(lawCase, LawConfiguration(batch: 7))
            run.losesSurvivors = true
            return try LawHarness(lawCase).alertDifferences(try run.run())
        }
        #expect(n > 3)
    }

    @Test("a cache that gives back another program is noticed") func staleCache() throws {
        let n = try found { lawCase in
            var old = lawCase.rules[0]
            old.query += "\n| take 1"
            let stale = try LawCase(
                seed: lawCase.seed, log: lawCase.log, rules: lawCase.rules, mode: lawCase.mode, isCached: true, stale: [0: old])
            return try LawHarness(stale).alertDifferences(try LawRun(stale, LawConfiguration(batch: 64)).run())
        }
        #expect(n > 1)
    }
}
