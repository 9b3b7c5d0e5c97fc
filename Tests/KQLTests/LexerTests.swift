import Testing

@testable import KQL

@Suite struct LexerTests {
    /// Kind and text of the tokens of a text, the last (empty) one left out.
    private func tokens(_ source: String) -> [String] {
        let bytes = Array(source.utf8)
        return Lexer.tokens(of: source).tokens.dropLast().map {
            "\($0.kind) " + String(decoding: bytes[$0.range.lower..<$0.range.upper], as: UTF8.self)
        }
    }

    @Test(arguments: [
        ("a _b $left a1", ["identifier a", "identifier _b", "identifier $left", "identifier a1"]),
        ("3rdParty 2fa 1day1", ["identifier 3rdParty", "identifier 2fa", "identifier 1day1"]),
        ("1 0x1F 0Xff 007", ["long 1", "long 0x1F", "long 0Xff", "long 007"]),
        ("1.5 1e3 1.5E-3 .5 2.", ["real 1.5", "real 1e3", "real 1.5E-3", "real .5", "real 2."]),
        ("1..5", ["long 1", "punctuation ..", "long 5"]),
        ("1d..2.5h", ["timespan 1d", "punctuation ..", "timespan 2.5h"]),
        (
            "5ms 6microseconds 7tick 8ticks 10seconds 2days 3hr 4min",
            [
                "timespan 5ms", "timespan 6microseconds", "timespan 7tick", "timespan 8ticks", "timespan 10seconds", "timespan 2days",
                "timespan 3hr", "timespan 4min",
            ]
        ),
        ("a.b.5", ["identifier a", "punctuation .", "identifier b", "punctuation .", "long 5"]),
        (
            "a=~b !~ != <> <= >= == =>",
            [
                "identifier a", "punctuation =~", "identifier b", "punctuation !~", "punctuation !=", "punctuation <>", "punctuation <=",
                "punctuation >=", "punctuation ==", "punctuation =>",
            ]
        ),
        ("in in~ !in !in~ !has_cs", ["identifier in", "punctuation in~", "punctuation !in", "punctuation !in~", "punctuation !has_cs"]),
        ("project-away", ["identifier project", "punctuation -", "identifier away"]),
        (
            "'a' \"b\" @'c''d' h'e' H\"f\" h@'g'",
            ["string 'a'", "string \"b\"", "string @'c''d'", "string h'e'", "string H\"f\"", "string h@'g'"]
        ),
        ("'a\\'b' @'a\\'", ["string 'a\\'b'", "string @'a\\'"]),
        ("```a\n'b``` ~~~c\n~~~", ["string ```a\n'b```", "string ~~~c\n~~~"]),
        ("h host hhh", ["identifier h", "identifier host", "identifier hhh"]),
        ("datetime(2024-01-02 03:04) long (null)", ["typedLiteral datetime(2024-01-02 03:04)", "typedLiteral long (null)"]),
        ("dynamic({\"a)\":[1,')']}) x", ["typedLiteral dynamic({\"a)\":[1,')']})", "identifier x"]),
        (
            "a:datetime, todatetime(x)",
            [
                "identifier a", "punctuation :", "identifier datetime", "punctuation ,", "identifier todatetime", "punctuation (",
                "identifier x", "punctuation )",
            ]
        ),
        ("a // b | c\n| d", ["identifier a", "punctuation |", "identifier d"]),
        ("größe naïve", ["identifier größe", "identifier naïve"]),
        ("a\u{00A0}b\u{FEFF}", ["identifier a", "identifier b"]),
    ])
    func kinds(source: String, expected: [String]) {
        #expect(tokens(source) == expected)
        #expect(Lexer.tokens(of: source).diagnostics.isEmpty)
    }

    @Test(arguments: [
        ("'abc", "VK0004"), ("\"abc\nx", "VK0004"), ("@'abc", "VK0004"), ("```abc", "VK0004"), ("'a\\q'", "VK0005"), ("'\\u12'", "VK0005"),
        ("'\\x4'", "VK0005"), ("datetime(2024", "VK0006"), ("dynamic([1, 2", "VK0006"), ("1.5q", "VK0003"), ("1e3x", "VK0003"),
        ("#", "VK0001"), ("a ? b", "VK0001"), ("\u{2713}", "VK0001"), ("\u{201C}a\u{201D}", "VK0001"), ("a && b", "VK0002"),
        ("a || b", "VK0002"),
        ("\u{1}", "VK0001"),
    ])
    func findings(source: String, code: String) {
        let result = Lexer.tokens(of: source)
        #expect(result.diagnostics.map(\.code) == [code])
        #expect(LexerTests.tiles(source, result.tokens))
    }

    /// Do the tokens with their trivia cover the text without gap or overlap?
    static func tiles(_ source: String, _ tokens: [Token]) -> Bool {
        var place = 0
        for t in tokens {
            guard t.triviaStart == place, t.range.lower >= t.triviaStart, t.range.upper >= t.range.lower else { return false }
            place = t.range.upper
        }
        return place == source.utf8.count && tokens.last?.kind == .endOfText
    }
}
