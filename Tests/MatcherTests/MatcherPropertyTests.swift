import Columnar
import Evaluation
import Testing

@testable import Matcher

/// All shortcuts together (witness clauses, look-up tables, literal scan, memo) find what the prefixes find alone.
@Suite struct MatcherPropertyTests {
    /// Texts with what the shortcuts may get wrong: case, term borders, letters that fold to ASCII, other forms of one letter, escapes.
    static let texts = [
        "", "admin", "Admin", "ADMIN-1", "an admin here", "administrator", "sub.admin@contoso.example", "\u{212A}ey", "key", "KEY",
        "ke\u{301}y",
        "k\u{E9}y", "mu\u{308}ller", "m\u{FC}ller", "M\u{DC}LLER", "\u{17F}uccess", "success", "SUCCESS", "\u{130}stanbul", "istanbul",
        "a\"b\\c/d",
        "write", "x/write", "x/WRITE/y", "10.0.0.1", "ip 10.0.0.1:443", "\u{1F600}", "tab\tin",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    ]

    static func condition(_ r: inout SplitMix, depth: Int = 0) -> String {
        func quoted(_ s: String) -> String {
            "\"" + s.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\t", with: "\\t") + "\""
        }
        let subject = r.pick(["Operation", "Actor", "Status", "tostring(Properties.a)", "tostring(Properties.b.c)", "tostring(Properties)"])
        let literal = quoted(r.pick(texts))
        switch r.below(depth < 2 ? 16 : 13) {
        case 0, 1: return "\(subject) == \(literal)"
        case 2: return "\(subject) =~ \(literal)"
        case 3: return "\(subject) in (\(literal), \(quoted(r.pick(texts))))"
        case 4: return "\(subject) in~ (\(literal), \(quoted(r.pick(texts))))"
        case 5: return "\(subject) \(r.pick(["has", "has_cs", "hasprefix", "hassuffix", "!has"])) \(literal)"
        case 6: return "\(subject) \(r.pick(["contains", "contains_cs", "!contains"])) \(literal)"
        case 7: return "\(subject) \(r.pick(["startswith", "endswith", "startswith_cs", "endswith_cs", "!startswith"])) \(literal)"
        case 8: return "\(subject) has_any (\(literal), \(quoted(r.pick(texts))))"
        case 9: return "\(subject) has_all (\(literal), \(quoted(r.pick(texts))))"
        case 10:
            return "\(subject) matches regex @'\(r.pick(["(?i)admin", "^k.y$", "wri(te|ting)", "[0-9]+", "s[a-z]ccess", "a*", "m.ller"]))'"
        case 11: return "Count \(r.pick([">", "<=", "==", "!="])) \(r.below(4))"
        case 12:
            return r.pick(["isempty(\(subject))", "isnotempty(\(subject))", "toint(Properties.n) == \(r.below(3))", "isnull(Properties)"])
        case 13: return "(\(condition(&r, depth: depth + 1)) and \(condition(&r, depth: depth + 1)))"
        case 14: return "(\(condition(&r, depth: depth + 1)) or \(condition(&r, depth: depth + 1)))"
        default: return "not(\(condition(&r, depth: depth + 1)))"
        }
    }

    static func query(_ r: inout SplitMix) -> String {
        var q = "Events"
        for _ in 0..<(1 + r.below(3)) {
            switch r.below(8) {
            case 0: q += " | extend Actor = strcat(Actor, \"x\")"
            case 1: q += " | extend Renamed = Operation | where Renamed has \"admin\""
            default: q += " | where " + condition(&r)
            }
        }
        return q + " | project TimeGenerated, Actor, Count"
    }

    static func event(_ r: inout SplitMix) -> Event {
        func escaped(_ s: String) -> String {
            s.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\t", with: "\\t")
        }
        let bag: String? =
            switch r.below(5) {
            case 0: nil
            case 1: "{\"a\":\"\(escaped(r.pick(texts)))\",\"n\":\(r.below(3))}"
            case 2: "{\"b\":{\"c\":\"\(escaped(r.pick(texts)))\"}}"
            case 3: "[1,\"\(escaped(r.pick(texts)))\"]"
            default: "\"\(escaped(r.pick(texts)))\""
            }
        return Event(operation: r.pick(texts), actor: r.pick(texts), status: r.pick(texts), properties: bag, count: Int64(r.below(4)))
    }

    @Test(arguments: 1...40) func shortcutsChangeNothing(seed: Int) throws {
        var r = SplitMix(UInt64(seed))
        let queries = (0..<12).map { _ in MatcherPropertyTests.query(&r) }
        let events = (0..<160).map { _ in MatcherPropertyTests.event(&r) }
        let rules = try ruleSet(queries)
        let expected = try plainSurvivors(events, queries)
        for batchRows in [1, 7, 64, 4096] {
            for dictionary in [true, false] {
                let found = try survivors(events, rules, batchRows: batchRows, dictionary: dictionary)
                for n in queries.indices where found[n] ?? [] != expected[n] ?? [] {
                    Issue.record(
                        """
                        seed \(seed), batches of \(batchRows), dictionary \(dictionary): \(queries[n])
                        found \(found[n] ?? []), expected \(expected[n] ?? [])
                        """)
                }
            }
        }
    }

    /// Workers of one rule set, each with every fourth batch, find together what the prefixes find alone: as many memos, witness orders that
    /// differ from worker to worker, one shared set of literals.
    @Test(arguments: 1...10) func fourThreadsChangeNothing(seed: Int) async throws {
        var r = SplitMix(UInt64(seed) &* 7919)
        let queries = (0..<24).map { _ in MatcherPropertyTests.query(&r) }
        let events = (0..<640).map { _ in MatcherPropertyTests.event(&r) }
        let rules = try ruleSet(queries)
        let expected = try plainSurvivors(events, queries)
        for (batchRows, threads) in [1, 7, 64, 4096].flatMap({ rows in [1, 4].map { (rows, $0) } }) {
            let found = try await withThrowingTaskGroup(of: [Int: [Int64]].self) { group in
                for thread in 0..<threads {
                    group.addTask {
                        let worker = MatchWorker(rules)
                        var mine: [Int: [Int64]] = [:]
                        for first in stride(from: thread * batchRows, to: events.count, by: threads * batchRows) {
                            let part = Array(events[first..<min(first + batchRows, events.count)])
                            let rows = batch(part, for: rules, dictionary: (first / batchRows) % 3 != 0, from: first)
                            let matches = try worker.evaluate(rows, table: "Events", context: EvaluationContext(now: 0)) { key(first + $0) }
                            for m in matches { mine[m.leg.rule, default: []] += (m.rows.keys ?? []).map(\.time) }
                        }
                        return mine
                    }
                }
                var all: [Int: [Int64]] = [:]
                for try await part in group { all.merge(part) { $0 + $1 } }
                return all.mapValues { $0.sorted() }
            }
            for n in queries.indices where found[n] ?? [] != expected[n] ?? [] {
                Issue.record("seed \(seed), batches of \(batchRows), \(threads) threads: \(queries[n])")
            }
        }
    }

    /// Every equality of a table is found, and nothing else, whatever the case and length of the text.
    @Test(arguments: 1...20) func theTextTableFindsWhatIsThere(seed: Int) {
        var r = SplitMix(UInt64(seed) &* 131)
        func word() -> String { String((0..<r.below(70)).map { _ in r.pick(Array("abCD-\u{E9}")) }) }
        let texts = Set((0..<(1 + r.below(80))).map { _ in word() }).sorted()
        let exact = TextTable(texts.enumerated().map { ($0.element, Int32($0.offset)) })
        let small = Set(texts.filter { $0.utf8.allSatisfy { $0 < 0x80 } }.map { $0.lowercased() }).sorted()
        let folded = TextTable(
            small.enumerated().map { ($0.element, Int32($0.offset)) } + (small + small).map { ($0, 7000) })
        for text in texts + (0..<100).map({ _ in word() }) + MatcherPropertyTests.texts + small {
            var found: [Int32] = []
            var ignoringCase: [Int32] = []
            var copy = text
            copy.withUTF8 { bytes in
                exact.find(UnsafeRawBufferPointer(bytes)) { found.append($0) }
                folded.findFolded(UnsafeRawBufferPointer(bytes)) { ignoringCase.append($0) }
            }
            #expect(found == texts.indices.filter { texts[$0].utf8.elementsEqual(text.utf8) }.map { Int32($0) })
            let lower = Array(text.lowercased().utf8)
            #expect(ignoringCase == small.indices.filter { small[$0].utf8.elementsEqual(lower) }.flatMap { [Int32($0), 7000] })
        }
        #expect(TextTable([]).isEmpty)
    }

    @Test(arguments: 1...30) func theLiteralScanFindsWhatIsThere(seed: Int) {
        var r = SplitMix(UInt64(seed) &* 977)
        let alphabet = Array("abcABC/-. 01")
        func word(_ n: Int) -> String { String((0..<n).map { _ in r.pick(alphabet) }) }
        let literals = Set((0..<(1 + r.below(60))).map { _ in word(1 + r.below(6)).lowercased() }).sorted()
        guard let set = LiteralSet(literals.enumerated().map { ($0.element, [$0.offset]) }), let scanner = LiteralScanner(set) else {
            // Machines without the engine test atom by atom; the property above covers them.
            return
        }
        for length in [0, 1, 5, 63, 64, 65, 1000] {
            let text = word(length)
            var found = Set<Int>()
            var copy = text
            let known = copy.withUTF8 { bytes in scanner.scan(UnsafeRawBufferPointer(bytes)) { found.insert($0) } }
            #expect(known)
            let expected = Set(literals.indices.filter { text.lowercased().contains(literals[$0]) })
            #expect(found == expected, "seed \(seed): \(text)")
        }
        var foreign = "k\u{E9}y"
        let known = foreign.withUTF8 { bytes in scanner.scan(UnsafeRawBufferPointer(bytes)) { _ in } }
        #expect(!known)
    }
}
