import Columnar
import Glibc
import KQL
import Testing

/// Queries that are short to write and large or deep once they are bound: an answer or a finding, in little time, on any stack.
@Suite struct BinderLimitTests {
    private let wide = BinderOptions(levelLimit: 20_000)

    private func codes(_ b: BoundQuery) -> [String] { b.diagnostics.map(\.code) }

    @Test(arguments: [
        "where a > 1", "extend a = a + 1", "project a, b", "take 5", "sort by a asc", "distinct a, b", "count | extend a = Count",
    ])
    func chains(op: String) throws {
        func chain(_ n: Int) -> String { "T" + String(repeating: " | " + op, count: n) }
        #expect(bindFixture(chain(100)).plan != nil)
        // Past the standard, refused; with a limit of its own, and a stack to drop it on, bound.
        #expect(codes(bindFixture(chain(1_000))) == ["VK0172"])
        let text = chain(2_000)
        let options = BinderOptions(levelLimit: 20_000)
        let levels = try LargeStack.run(bytes: 256 << 20) { bindFixture(text, options: options).plan?.levels }
        #expect((levels ?? 0) >= 2_000)
    }

    @Test func operatorsAreCounted() {
        let branches = Array(repeating: "(print x = 1)", count: 25_000).joined(separator: ",")
        #expect(codes(bindFixture("union " + branches)) == ["VK0172"])
        #expect(bindFixture("union " + Array(repeating: "(print x = 1)", count: 5_000).joined(separator: ",")).plan != nil)
        let lets = (0..<25_000).map { "let a\($0) = 1;" }.joined()
        #expect(codes(bindFixture(lets + "print a0")) == ["VK0172"])
    }

    /// Frames of lets are linked: neither using nor dropping a long chain may recurse.
    @Test func manyLets() {
        let scalars = "let a0 = 1;" + (1...5_000).map { "let a\($0) = a\($0 - 1) + 1;" }.joined()
        #expect(bindFixture(scalars + "print x = a5000").schema == "x:long")
        let tables = "let t0 = T;" + (1...400).map { "let t\($0) = t\($0 - 1) | where a > \($0);" }.joined()
        #expect(codes(bindFixture(tables + "t400")).allSatisfy { $0 == "VK0172" })
        #expect(bindFixture("let t0 = T;" + (1...100).map { "let t\($0) = t\($0 - 1) | where a > \($0);" }.joined() + "t100").plan != nil)
    }

    /// Each let doubles the one before.
    @Test func doublingLets() {
        let text = "let a0 = now();" + (1...60).map { "let a\($0) = iff(a\($0 - 1) > now(), a\($0 - 1), now());" }.joined()
        #expect(codes(bindFixture(text + "print a60")) == ["VK0172"])
        #expect(
            bindFixture(
                "let a0 = now();" + (1...10).map { "let a\($0) = iff(a\($0 - 1) > now(), a\($0 - 1), now());" }.joined() + "print a10"
            ).plan != nil)
    }

    /// Each function calls the one before twice.
    @Test func doublingFunctions() {
        let scalars = "let f0 = (x: long) { x };" + (1...50).map { "let f\($0) = (x: long) { f\($0 - 1)(x) + f\($0 - 1)(x) };" }.joined()
        #expect(codes(bindFixture(scalars + "print f50(1)")) == ["VK0172"])
        let tables = "let f0 = () { T };" + (1...50).map { "let f\($0) = () { let u = f\($0 - 1)(); let v = f\($0 - 1)(); v };" }.joined()
        #expect(codes(bindFixture(tables + "f50()")).contains("VK0172"))
        #expect(bindFixture(tables + "f5()").plan != nil)
    }

    @Test func longChainsOfFunctions() {
        for tail in ["f4000()", "print f4000()", "f4000() | count"] {
            let text = "let f0 = () { 1 };" + (1...4_000).map { "let f\($0) = () { f\($0 - 1)() };" }.joined()
            let bound = bindFixture(text + tail)
            #expect(bound.plan == nil && codes(bound).allSatisfy { ["VK0106", "VK0103", "VK0172"].contains($0) })
        }
    }

    @Test(arguments: [
        String(repeating: "(", count: 5_000) + "1" + String(repeating: ")", count: 5_000),
        String(repeating: "abs(", count: 5_000) + "1" + String(repeating: ")", count: 5_000),
        Array(repeating: "1", count: 5_000).joined(separator: " + "), Array(repeating: "1", count: 5_000).joined(separator: " * "),
        String(repeating: "- ", count: 5_000) + "1", "dynamic([1])" + String(repeating: "[0]", count: 5_000),
        "dynamic({})" + String(repeating: ".a", count: 5_000),
        (0..<5_000).map { "iff(now() > datetime(2020), \($0), " }.joined() + "0" + String(repeating: ")", count: 5_000),
    ])
    func deepExpressions(text: String) {
        let bound = bindFixture("print x = " + text)
        #expect(bound.plan == nil && codes(bound) == ["VK0016"])
    }

    @Test(arguments: ["and", "or"])
    func longConditions(op: String) {
        let bound = bindFixture("T | where " + (0..<5_000).map { "a == \($0)" }.joined(separator: " \(op) "))
        #expect(bound.plan != nil && (bound.plan?.levels ?? 0) < 40)
    }

    @Test func sizes() throws {
        let plan = try #require(bindFixture("T | where a > 1 and b == 'x' | extend c = a + 1 | where c > 2").plan)
        #expect(plan.levels == 6 && plan.weight > plan.levels)
        let sub = try #require(bindFixture("T | where a in (T | where a > 5 | project a)").plan)
        #expect(sub.levels > 4)
    }

    @Test func largeStacks() throws {
        func depth(_ n: Int) -> Int { n == 0 ? 0 : 1 + depth(n - 1) }
        // More than any ordinary stack holds.
        #expect(try LargeStack.run(bytes: 512 << 20) { depth(1_000_000) } == 1_000_000)
        #expect(throws: Stop.self) { try LargeStack.run(bytes: 1) { throw Stop() } }
        var seen = 0
        try LargeStack.run(bytes: 1 << 20) { seen += 1 }
        try LargeStack.run(bytes: 1 << 20) { try LargeStack.run(bytes: 1 << 20) { seen += 1 } }
        #expect(seen == 2)
    }

    private struct Stop: Error {}
}
