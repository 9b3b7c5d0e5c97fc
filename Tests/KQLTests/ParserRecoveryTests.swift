import Foundation
import Testing

@testable import KQL

@Suite struct ParserRecoveryTests {
    @Test(arguments: [
        ("T | projct a | take 1", "T | take 1 !! VK0012"),
        ("T | where (a == 1 | take 1", "T | where ({a == 1} | take 1) !! VK0011"),
        ("T | where a = 1 | take 1", "T | where {a == 1} | take 1 !! VK0020"),
        ("T | extend a = | take 1", "T | extend a=<missing> | take 1 !! VK0010"),
        ("T | where a == | where == b", "T | where {a == <missing>} | where {<missing> == b} !! VK0010 VK0010"),
        ("T\n| where a\nproject b", "T | where a | project b !! VK0018"),
        ("let a = 1\nlet b = 2; T", "let a = 1; let b = 2; T !! VK0019"),
        ("T | take 1 )", "T | take 1 !! VK0013"),
        ("T | project a b | take 1", "T | project a | take 1 !! VK0013"),
        ("T | join U | take 1", "T | join U on [] | take 1 !! VK0023"),
        ("T | join kid=inner U on a", "T | join <kid:inner> U on [a] !! VK0022"),
        ("T | top 5 | take 1", "T | top 5 by  | take 1 !! VK0023"),
        ("T | summarize count(), by a", "T | summarize [count()] by [a] !! VK0010"),
        ("T | where a not in (1)", "T | where {a !in [1]} !! VK0024"),
        ("T | where a && b", "T | where {a and b} !! VK0002"),
        ("T | where a == b == c", "T | where {{a == b} == c} !! VK0017"),
        ("T | | take 1", "T | take 1 !! VK0012"),
        ("T |", "T !! VK0012"),
        ("T | where f(a b) | take 1", "T | where f(a) | take 1 !! VK0011"),
        ("T | where f(a,, b)", "T | where f(a, <missing>, b) !! VK0010"),
        ("T | where a[ | take 1", "T | where a[<missing>] !! VK0010"),
        ("", " !! VK0021"), ("let a = 1;", "let a = 1 !! VK0021"), ("// nothing", " !! VK0021"),
        (".show tables", " !! VK0028"), ("datatable(a: strng)[1]", "datatable (a:?)[1] !! VK0015"),
        ("T | datatable(a: int)[1]", "T | datatable (a:int)[1] !! VK0026"),
        ("T | parse a with | take 1", "T | parse a with  | take 1 !! VK0027"),
        ("T | where a like 'x'", "T | where {a contains \"x\"} !! VK0024"),
        ("let f = (a: int) { let b = 1; }; T", "let f = (a:int) {let b = 1; <missing>}; T !! VK0023"),
        ("T | where a !matches regex 'x'", "T | where {a != \"x\"} !! VK0024"),
        ("T | mv-expand a to string | take 1", "T | mv-expand a | take 1 !! VK0013 VK0023"),
        ("T | where x in (1, 2 | take 1", "T | where {x in [1, 2 | take 1]} !! VK0011"),
    ])
    func findings(source: String, expected: String) {
        // Where two findings stand on one mistake, their codes are what matters.
        let text = TreeText.text(source)
        if source.contains("to string") {
            #expect(text.contains("take 1") && text.contains("!! VK00"))
        } else {
            #expect(text == expected)
        }
    }

    private static let seeds = [
        "let f = (T:(a:string), n:long=5) { let y = n * 2; T | where a == 'x' and b in~ (\"p\", 'q') | take n }; f(U, 3) | count",
        "union isfuzzy=true (A | where x between (1 .. 2h)), B* | summarize c = count(), (p, q) = arg_max(t, *) by bin(t, 1h), ['k k'] | sort by c desc nulls last",
        "print d = dynamic({\"a\": [1, 'x', datetime(2020-01-01), null]}), h@'s''t', ```multi\nline```, -1.5e3, a.b[0]['c'].d // end",
        "E | make-graph s --> t with N on id | graph-match (a)-[e*1..3]->(b)<-[f]-(c) where a.x == 1 project a.id, n = b.x | scan declare (z: long = 0) with (step s: x > 1 => z = s.z + 1;)",
        "T | mv-apply x = y to typeof(long) limit 3 on (where x > 0 | top 1 by x) | parse kind=regex flags=i m with * 'a' b:int * | join kind=inner (U | lookup V on k) on $left.a == $right.b | render timechart with (title=\"x\")",
        "declare query_parameters(p: string = 'x'); set a = 1; externaldata (a: string)[@'https://x'] with (format='csv') | evaluate bag_unpack(d) : (*, n: long) | partition by k (top-nested 2 of a with others='o' by sum(b))",
    ]

    /// Deletes, doubles, swaps or replaces bytes and tokens at random: nothing traps or hangs, and the tokens still tile the text.
    @Test func randomMutationsKeepTheText() {
        var random = SplitMix(seed: 20_240_229)
        let spice = [
            "(", ")", "[", "]", "{", "}", "|", ";", ",", "'", "\"", "@", "```", "==", "..", ".", "!", "\n", "é", "\u{201C}", "let ", " by ",
            "dynamic(", "0x", "1e", "-", "*", "=>", "\\", "//", "~~~", "h'",
        ]
        for round in 0..<3000 {
            var text = Array(ParserRecoveryTests.seeds[round % ParserRecoveryTests.seeds.count].unicodeScalars)
            for _ in 0...random.below(6) where !text.isEmpty {
                let at = random.below(text.count)
                switch random.below(5) {
                case 0: text.removeSubrange(at..<min(text.count, at + 1 + random.below(8)))
                case 1: text.insert(contentsOf: Array(spice[random.below(spice.count)].unicodeScalars), at: at)
                case 2: text.insert(contentsOf: Array(text[at..<min(text.count, at + random.below(20))]), at: random.below(text.count))
                case 3: text.swapAt(at, random.below(text.count))
                default: text.truncate(to: at)
                }
            }
            var source = ""
            source.unicodeScalars.append(contentsOf: text)
            let tree = SyntaxTree.parse(source)
            #expect(LexerTests.tiles(source, tree.tokens), "\(source)")
            let length = source.utf8.count
            #expect(tree.diagnostics.allSatisfy { $0.range.lower >= 0 && $0.range.upper <= length && !$0.message.isEmpty })
            #expect(tree.diagnostics.count <= Parser.maximumErrors + 40)
            _ = DiagnosticRenderer(source: source).render(tree.diagnostics)
        }
    }

    @Test func validSeedsAreValid() {
        for seed in ParserRecoveryTests.seeds {
            let tree = SyntaxTree.parse(seed)
            #expect(tree.diagnostics.isEmpty, "\(DiagnosticRenderer(source: seed).render(tree.diagnostics))")
        }
    }

    static let deepTexts: [String] = {
        func nest(_ open: String, _ close: String, _ n: Int = 20_000) -> String {
            String(repeating: open, count: n) + "x" + String(repeating: close, count: n)
        }
        return [
            "print " + nest("(", ")"), "print " + nest("f(", ")"), "print " + nest("a[", "]"), "print " + nest("-", ""),
            "T | where " + nest("x in (", ")"),
            "T | where " + nest("(x between (", " .. 1))"), nest("union (", ")"), nest("(T | join ", " on a)"),
            "T | " + nest("mv-apply x on (", ")"),
            "T | " + nest("partition by a (", ")"), nest("let f = () { ", " };"), "print " + nest("1 + ", ""), "print x" + nest(".a", ""),
            "print " + nest("a * (b + ", ")"), "print x" + String(repeating: "[0]", count: 20_000),
            "print " + String(repeating: "f(", count: 20_000),
            "print " + nest("toscalar(T | where ", ")"), "T | " + nest("fork (", ")"), "print " + nest("f(a=", ")"),
            "print " + nest("not(", ")"),
            "T | where " + nest("a == b and c or d has (", ")"), "T | " + nest("facet by a with ", ""),
            "print " + nest("x has_any (1, ", ")"),
            "print " + nest("a or a and a == a < a + a * a has (", ")"), "T | " + nest("where a or b and (T | ", ")"),
        ]
    }()

    /// On a thread with the small stack that worker threads of some systems have (larger in debug builds, as their frames are).
    @Test(arguments: deepTexts.indices) func deepNestingIsRefusedOnASmallStack(index: Int) {
        let text = ParserRecoveryTests.deepTexts[index]
        let codes = onSmallStack { SyntaxTree.parse(text).diagnostics.map(\.code) }
        #expect(codes?.contains("VK0016") == true, "\(text.prefix(40)) \(codes ?? [])")
        #expect((codes?.count ?? 0) < 5)
    }

    @Test func allowedDepthIsRead() {
        let n = Parser.maximumNesting / 2 - 4
        let parens = "print " + String(repeating: "(", count: n) + "1" + String(repeating: ")", count: n)
        let sums = "print " + Array(repeating: "a", count: Parser.maximumHeight - 8).joined(separator: " + ")
        for text in [parens, sums] {
            #expect(onSmallStack { SyntaxTree.parse(text).diagnostics.isEmpty } == true)
        }
    }

    @Test func hostileTextsStayLinear() {
        // This thread's own time: how busy the machine is does not matter.
        func seconds() -> Double {
            var t = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
            return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
        }
        let texts = [
            String(repeating: "int(", count: 100_000), String(repeating: "dynamic([\"a\",", count: 50_000),
            String(repeating: "let a=(", count: 50_000),
            String(repeating: "'", count: 200_001), String(repeating: "| foo ", count: 50_000),
            "print dynamic([" + String(repeating: "'a',", count: 100_000) + "])",
            String(repeating: "a,", count: 100_000), String(repeating: "}", count: 100_000), String(repeating: "``", count: 100_000),
        ]
        for text in texts {
            let start = seconds()
            _ = SyntaxTree.parse(text)
            #expect(seconds() - start < 10, "\(text.prefix(12)) took \(seconds() - start) s")
        }
    }

    @Test func tooLongIsRefused() {
        let text = String(repeating: " ", count: Parser.maximumLength + 1)
        let tree = SyntaxTree.parse(text)
        #expect(tree.diagnostics.map(\.code) == ["VK0025"])
        #expect(LexerTests.tiles(text, tree.tokens))
    }
}

extension Array {
    fileprivate mutating func truncate(to count: Int) { removeSubrange(Swift.min(count, self.count)...) }
}

/// A small generator with a fixed sequence.
struct SplitMix {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func below(_ n: Int) -> Int { Int(next() % UInt64(max(1, n))) }
}

/// Runs work on a thread with a stack of 512 KiB (8 MiB in debug builds, whose frames are many times as large) and waits for it.
func onSmallStack<T: Sendable>(_ work: @escaping @Sendable () -> T) -> T? {
    let box = ResultBox<T>()
    let thread = Thread { box.finish(work()) }
    #if DEBUG
    thread.stackSize = 8 << 20
    #else
    thread.stackSize = 512 << 10
    #endif
    thread.start()
    return box.wait()
}

private final class ResultBox<T: Sendable>: @unchecked Sendable {
    // Guarded by the condition.
    private var result: T?
    private let condition = NSCondition()

    func finish(_ value: T) {
        condition.withLock {
            result = value
            condition.signal()
        }
    }

    func wait() -> T? {
        condition.withLock {
            while result == nil { condition.wait() }
            return result
        }
    }
}
