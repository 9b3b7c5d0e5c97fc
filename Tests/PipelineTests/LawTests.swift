import Detection
import Glibc
import Testing

/// The law of the house (`docs/semantics.md`): at every tick, what the streaming runtime finally yields is what the plain query yields
/// over all rows of the window, whatever the order of arrival within lateness, the batches, the threads, and the crashes.
///
/// `VEDETTE_LAW_SEEDS=N` runs N cases instead of the usual ones, `VEDETTE_LAW_SEED=S` case S alone (or the first of N).
@Suite struct LawTests {
    static let usual = 40
    static let rulesPerCase = 3

    static func variable(_ name: String) -> UInt64? {
        guard let text = getenv(name) else { return nil }
        return UInt64(String(cString: text))
    }

    static var seeds: [UInt64] {
        let first = variable("VEDETTE_LAW_SEED")
        let count = variable("VEDETTE_LAW_SEEDS") ?? (first == nil ? UInt64(usual) : 1)
        let start = first ?? 1
        return Array(start..<(start + count))
    }

    /// Always the three batch sizes on one thread, and four threads; then barriers, early alerts and other arrivals.
    static func configurations(_ seed: UInt64) -> [LawConfiguration] {
        var g = Generator(seed &+ 5)
        let sizes = [1, 7, 1024]
        var out = sizes.map { LawConfiguration(batch: $0) }
        out.append(LawConfiguration(batch: g.pick(sizes), threads: 4, arrival: seed))
        out.append(LawConfiguration(batch: g.pick([1, 3, 7]), kills: 3, watermarkByTable: g.chance(50), isTight: true))
        out.append(LawConfiguration(batch: g.pick([1, 5, 20]), raisesEarly: true, arrival: seed &+ 1))
        out.append(
            LawConfiguration(batch: g.pick([2, 7]), threads: 4, kills: 2, raisesEarly: true, watermarkByTable: true, arrival: seed &+ 2))
        return out
    }

    static func check(_ harness: LawHarness, _ configurations: [LawConfiguration]) throws -> [String] {
        let lawCase = harness.lawCase
        var out: [String] = []
        for c in configurations {
            var c = c
            // Sentinel's rhythm has no early alerts, and a daemon is never told where its logs end.
            if lawCase.mode == .parity || lawCase.completeThrough != nil { c.raisesEarly = false }
            let outcome = try LawRun(lawCase, c).run()
            out += harness.differences(outcome, raisesEarly: c.raisesEarly).map { "[\(c)] " + $0 }
            // One way of going wrong is enough to look at.
            if !out.isEmpty { return out }
        }
        for threads in [1, 4] where out.isEmpty {
            out += harness.differences(try LawRun.replay(lawCase, threads: threads)).map { "[replay on \(threads) threads] " + $0 }
        }
        return out
    }

    /// The seeds in parts that run beside each other.
    static var parts: [ArraySlice<UInt64>] {
        let all = seeds
        let size = (all.count + 3) / 4
        return stride(from: 0, to: all.count, by: size).map { all[$0..<min(all.count, $0 + size)] }
    }

    @Test("streaming equals batch", arguments: parts) func law(_ seeds: ArraySlice<UInt64>) throws {
        var rows = 0
        var ticks = 0
        var alerts = 0
        var failing = 0
        var paned = 0
        var rowless = 0
        var rules = 0
        for seed in seeds {
            let harness: LawHarness
            do { harness = try LawHarness(try LawCase(seed: seed, rules: LawTests.rulesPerCase)) } catch {
                Issue.record("seed \(seed): \(error)")
                continue
            }
            let found = try LawTests.check(harness, LawTests.configurations(seed))
            for text in found { Issue.record("\(text)\n(again with VEDETTE_LAW_SEED=\(seed))") }
            failing += found.isEmpty ? 0 : 1
            rows += harness.rowCount
            ticks += harness.tickCount
            alerts += harness.alertCount
            for p in harness.lawCase.programs {
                rules += 1
                if p.strategy == .panes || p.strategy == .panesAndRows { paned += 1 }
                if p.strategy == .panes { rowless += 1 }
            }
        }
        print(
            "law: seeds \(seeds.first ?? 0)...\(seeds.last ?? 0), \(ticks) ticks, \(rows) result rows, \(alerts) alerts, \(failing) failing; of \(rules) rules \(paned) in panes, \(rowless) of them without rows"
        )
        // A law over empty results would hold for any engine.
        if seeds.count >= LawTests.usual / 4 {
            #expect(rows > 10 * seeds.count)
            #expect(alerts > seeds.count)
            // Both ways of keeping state are to be seen.
            #expect(paned > rules / 4)
            #expect(rowless > rules / 8)
            #expect(paned < rules * 9 / 10)
        }
    }
}
