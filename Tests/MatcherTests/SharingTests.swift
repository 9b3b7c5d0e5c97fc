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
        let n = 2 * ValueMemo.generation + 5000
        let many = (0..<n).map { Event(actor: "a\($0)") }
        let first = try survivors(many, rules, batchRows: 1000, dictionary: true, worker: worker)
        let again = try survivors(many, rules, batchRows: 1000, dictionary: true, worker: worker)
        #expect(first[0]?.count == many.count { $0.actor.hasSuffix("7") })
        #expect(again == first)
    }

    // MARK: The memo

    private func bytes<R>(_ n: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R { Array("v\(n)".utf8).withUnsafeBytes(body) }

    private func insert(_ values: Range<Int>, _ memo: inout ValueMemo) {
        for n in values { bytes(n) { memo.insert($0, hash: ValueMemo.hash($0), wake: Int32(n % 7)) } }
    }

    private func look(_ n: Int, _ memo: inout ValueMemo) -> Int32? {
        bytes(n) { memo.find($0, hash: ValueMemo.hash($0)) ?? memo.revive($0, hash: ValueMemo.hash($0)) }
    }

    @Test(arguments: [
        (found: 0, held: 0, limit: ValueMemo.firstLimit), (ValueMemo.firstLimit, ValueMemo.firstLimit, ValueMemo.generation),
    ])
    func aFullMemoGrowsOnlyIfValuesCameAgain(found: Int, held: Int, limit: Int) {
        var memo = ValueMemo()
        insert(0..<ValueMemo.firstLimit, &memo)
        memo.settle(found: found)
        #expect(memo.count == held)
        #expect(memo.limit == limit)
    }

    @Test func aMemoOfMostValuesForgetsTheOlderHalf() {
        var memo = ValueMemo()
        for n in 0..<(2 * ValueMemo.generation) {
            insert(n..<(n + 1), &memo)
            memo.settle(found: 1)
            #expect(memo.count <= 2 * ValueMemo.generation)
        }
        #expect(memo.count == ValueMemo.generation && memo.limit == ValueMemo.generation)
        #expect(look(0, &memo) == nil && look(ValueMemo.generation - 1, &memo) == nil)
        for n in [ValueMemo.generation, 2 * ValueMemo.generation - 1] { #expect(look(n, &memo) == Int32(n % 7)) }
    }

    @Test func whatComesAgainOutlivesTheRest() {
        var memo = ValueMemo()
        insert(0..<500, &memo)
        for round in 1...5 {
            memo.age()
            for n in 0..<100 { #expect(look(n, &memo) == Int32(n % 7)) }
            // A second look finds it among the young.
            #expect(bytes(0) { memo.find($0, hash: ValueMemo.hash($0)) } == 0)
            #expect(memo.count == (round == 1 ? 600 : 200))
        }
        memo.age()
        memo.age()
        #expect(memo.count == 0 && memo.bytes == 0 && look(0, &memo) == nil)
    }

    @Test func longValuesFillAMemoByTheirBytes() {
        var memo = ValueMemo()
        var largest = 0
        for n in 0..<6000 {
            var value = [UInt8](repeating: 0x61, count: ValueMemo.maximumLength - 8)
            value += Array(String(10_000_000 + n).utf8)
            value.withUnsafeBytes { memo.insert($0, hash: ValueMemo.hash($0), wake: 0) }
            memo.settle(found: 1)
            largest = max(largest, memo.bytes)
        }
        #expect(largest > ValueMemo.generationBytes && largest < 2 * ValueMemo.generationBytes + (1 << 18))
    }

    @Test func aWorkerForgetsWhatNoLongerComes() throws {
        let rules = try ruleSet(["Events | where Actor endswith '7'"])
        let worker = MatchWorker(rules)
        let many = (0..<900).map { Event(actor: "a\($0)") }
        let few = (0..<30).map { Event(actor: "a\($0)") }
        let first = try survivors(many, rules, batchRows: 300, dictionary: true, worker: worker)
        let full = worker.remembered
        #expect(full.values >= 900 && full.bytes > 0)
        worker.forgetUnused()
        let tested = worker.counters.valuesTested
        _ = try survivors(few, rules, batchRows: 300, dictionary: true, worker: worker)
        #expect(worker.counters.valuesTested == tested)
        worker.forgetUnused()
        #expect(worker.remembered.values < full.values && worker.remembered.values >= 30)
        #expect(try survivors(many, rules, batchRows: 300, dictionary: true, worker: worker) == first)
    }
}
