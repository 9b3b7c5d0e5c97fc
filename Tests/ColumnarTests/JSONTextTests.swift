import Columnar
import Testing

@Suite struct JSONTextTests {
    @Test(arguments: [
        ("null", "null"), (" true ", "true"), ("[ 1 , 2.50 ,\t-3e2 ]", "[1,2.5,-300.0]"), ("{\"a\" : {\"b\":[]}}", "{\"a\":{\"b\":[]}}"),
        ("\"\\u00e9\\ud83d\\ude00\\/\"", "\"é😀/\""), ("\"\\ud83d\"", "\"\u{FFFD}\""), ("\"\\ud83dx\"", "\"\u{FFFD}x\""),
        ("9223372036854775807", "9223372036854775807"), ("9223372036854775808", "9.223372036854776E+18"), ("-0", "0"),
        ("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"), ("1e400", "\"Infinity\""), ("\"a\\u0000b\"", "\"a\\u0000b\""),
        ("{\"\u{e9}\":1,\"e\u{301}\":2}", "{\"\u{e9}\":1,\"e\u{301}\":2}"), ("{}", "{}"), ("\"\"", "\"\""),
    ])
    func readAndPrint(text: String, expected: String) throws {
        let d = try #require(JSONText.parse(text))
        #expect(ByteText.equal(JSONText.compact(d), expected), "\(JSONText.compact(d))")
    }

    @Test(arguments: [
        "", " ", "nul", "tru", "True", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "'a'", "01", "-", "1.", ".5", "1e",
        "+1",
        "\"a", "\"a\nb\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "[", "{", "1 2", "[]]", "NaN", "Infinity", "\"\\", "--1",
    ])
    func refused(_ text: String) { #expect(JSONText.parse(text) == nil) }

    @Test func depth() {
        func nested(_ n: Int) -> String { String(repeating: "[", count: n) + String(repeating: "]", count: n) }
        #expect(JSONText.parse(nested(JSONText.maximumDepth + 1)) != nil)
        #expect(JSONText.parse(nested(JSONText.maximumDepth + 2)) == nil)
        #expect(JSONText.parse(nested(1_000_000)) == nil)
        #expect(JSONText.parse(String(repeating: "{\"a\":", count: 100_000)) == nil)
    }

    @Test(arguments: 0..<12)
    func roundTrip(seed: Int) throws {
        var g = Seeded(UInt64(seed) &* 7919)
        for _ in 0..<100 {
            let d = g.dynamic(depth: 4)
            let text = JSONText.compact(d)
            let back = try #require(JSONText.parse(text), "\(text)")
            #expect(back == d, "\(text)")
            #expect(ByteText.equal(JSONText.compact(back), text))
        }
    }

    /// Every beginning of a text is refused or a value of its own; nothing is read past its end.
    @Test(arguments: 0..<4)
    func prefixes(seed: Int) {
        var g = Seeded(UInt64(seed) &+ 40)
        for _ in 0..<20 {
            let bytes = Array(JSONText.compact(g.dynamic(depth: 4)).utf8)
            for end in 0..<bytes.count {
                let parsed = bytes[..<end].withUnsafeBytes { JSONText.parse($0) }
                if let parsed { #expect(!JSONText.compact(parsed).isEmpty) }
            }
        }
    }

    /// Random bytes, mostly of JSON's alphabet.
    @Test(arguments: 0..<4)
    func noise(seed: Int) {
        var g = Seeded(UInt64(seed) &+ 400)
        let alphabet = Array("{}[]\",:\\u0123456789.eE+-truefalsn \u{e9}".utf8) + [0xFF, 0xC0, 0x80, 0x00]
        for _ in 0..<2000 {
            let bytes = (0..<g.below(24)).map { _ in g.pick(alphabet) }
            if let d = bytes.withUnsafeBytes({ JSONText.parse($0) }) { #expect(JSONText.parse(JSONText.compact(d)) == d) }
        }
    }

    @Test func quoting() {
        var out = ""
        JSONText.appendQuoted("a\"\\\n\r\t\u{8}\u{c}\u{1f}é", to: &out)
        #expect(out == "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u001fé\"")
        out = ""
        // One character for Swift, two for JSON.
        JSONText.appendQuoted("\r\n", to: &out)
        #expect(out == "\"\\r\\n\"")
        #expect(JSONText.real(.nan) == "\"NaN\"" && JSONText.real(-.infinity) == "\"-Infinity\"" && JSONText.real(3) == "3.0")
    }
}
