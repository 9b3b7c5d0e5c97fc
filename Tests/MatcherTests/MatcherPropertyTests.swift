import Columnar
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
