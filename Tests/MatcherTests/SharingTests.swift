import Columnar
import Testing

@testable import Matcher

/// Work that many rules have in common is done once: shown by the matcher's own counters.
@Suite struct SharingTests {
    private let operations = (0..<40).map { "Microsoft.Thing/type\($0)/write" }

    private func events(_ n: Int) -> [Event] {
        (0..<n).map { i in
            Event(
                operation: operations[i % 40], actor: "user\(i % 25)@contoso.example", status: i % 2 == 0 ? "Success" : "Failure",
                properties: #"{"app":"tool \#(i % 10)","n":\#(i % 3)}"#)
        }
    }

    /// Clones of five rules, each with a literal of its own beside common conditions; none of the own literals occurs.
    private func clones(_ n: Int) -> [String] {
        (0..<n).map { i in
            switch i % 5 {
            case 0: "Events | where Operation == 'Microsoft.Other/absent\(i)/delete' and Status =~ 'success'"
            case 1: "Events | where Operation endswith '/write' | where Actor has 'robot\(i)x'"
            case 2: "Events | where Actor in ('nobody\(i)', 'noone\(i)')"
            case 3: "Events | where tostring(Properties.app) == 'absent \(i)'"
            default: "Events | where Actor contains 'ghost\(i)y' or Operation startswith 'Absent\(i)'"
            }
        }
    }

    private func counters(_ queries: [String], batches: Int, rows: Int = 200) throws -> MatchCounters {
        let rules = try ruleSet(queries)
        let worker = MatchWorker(rules)
        _ = try survivors(events(batches * rows), rules, batchRows: rows, dictionary: true, worker: worker)
        return worker.counters
    }

    @Test func everyDistinctValueIsTestedOnceWhateverTheNumberOfRulesAndBatches() throws {
        // 40 operations, 25 actors, 2 statuses, and 30 bags (10 tools x 3 numbers), over four columns.
        let distinct: Int64 = 40 + 25 + 2 + 30
        for clones in [clones(40), clones(400)] {
            for batches in [1, 10] {
                #expect(try counters(clones, batches: batches).valuesTested == distinct)
            }
        }
    }

    @Test func tenTimesTheRulesAddNoKernelCall() throws {
        let few = try counters(clones(40), batches: 10)
        let many = try counters(clones(400), batches: 10)
        #expect(few.atomKernels > 0)
        #expect(many.atomKernels == few.atomKernels)
    }

    @Test func identicalRulesShareTheirAtoms() throws {
        let one = try ruleSet(["Events | where Actor matches regex '^a.*[0-9]+b$'"])
        let many = try ruleSet(Array(repeating: "Events | where Actor matches regex '^a.*[0-9]+b$'", count: 400))
        #expect(one.atomCount == 1)
        #expect(many.atomCount == 1)
        #expect(many.legCount == 400)
    }

    @Test func aLegWithoutWitnessHitEvaluatesNoRow() throws {
        let c = try counters(clones(400), batches: 10)
        #expect(c.rows == 2000)
        #expect(c.residualRows == 0)
        #expect(c.residualRuns == 0)
        #expect(c.survivors == 0)
    }

    @Test func onlyRowsThatSatisfyEveryClauseAreCandidates() throws {
        let rules = try ruleSet(["Events | where Status == 'Success' and Actor == 'user3@contoso.example' and Count >= 0"])
        let worker = MatchWorker(rules)
        let found = try survivors(events(1000), rules, batchRows: 100, dictionary: true, worker: worker)
        // Every second row succeeds, every 25th is user3's: both for one in fifty.
        #expect(found[0]?.count == 20)
        #expect(worker.counters.residualRows == 20)
    }

    @Test func aSecondPassOverKnownValuesCallsNoKernel() throws {
        let rules = try ruleSet(clones(100))
        let worker = MatchWorker(rules)
        _ = try survivors(events(400), rules, batchRows: 400, dictionary: true, worker: worker)
        let before = worker.counters
        _ = try survivors(events(400), rules, batchRows: 400, dictionary: true, worker: worker)
        #expect(worker.counters.atomKernels == before.atomKernels)
        #expect(worker.counters.valuesTested == before.valuesTested)
        #expect(worker.counters.memoHits > before.memoHits)
    }

    @Test func theMemoStaysBoundedAndRight() throws {
        let rules = try ruleSet(["Events | where Actor endswith '7'"])
        let worker = MatchWorker(rules)
        let n = ValueMemo.capacity + 5000
        let many = (0..<n).map { Event(actor: "a\($0)") }
        let first = try survivors(many, rules, batchRows: 1000, dictionary: true, worker: worker)
        let again = try survivors(many, rules, batchRows: 1000, dictionary: true, worker: worker)
        #expect(first[0]?.count == many.count { $0.actor.hasSuffix("7") })
        #expect(again == first)
    }

    @Test(arguments: [(found: 0, held: 0, limit: ValueMemo.firstLimit), (ValueMemo.firstLimit, ValueMemo.firstLimit, ValueMemo.capacity)])
    func aFullMemoGrowsOnlyIfValuesCameAgain(found: Int, held: Int, limit: Int) {
        var memo = ValueMemo()
        for n in 0..<ValueMemo.firstLimit {
            Array("v\(n)".utf8).withUnsafeBytes { memo.insert($0, hash: ValueMemo.hash($0), wake: 1) }
        }
        memo.settle(found: found)
        #expect(memo.count == held)
        #expect(memo.limit == limit)
    }

    @Test func aMemoOfMostValuesStartsOver() {
        var memo = ValueMemo()
        for n in 0..<ValueMemo.capacity {
            Array("v\(n)".utf8).withUnsafeBytes { memo.insert($0, hash: ValueMemo.hash($0), wake: 1) }
            memo.settle(found: 1)
        }
        #expect(memo.count == 0)
        #expect(memo.limit == ValueMemo.capacity)
    }
}
