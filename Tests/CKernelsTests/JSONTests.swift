import CKernels
import Testing

/// A naive reader with the rules of vk_json.h, to compare with. A value is its cell; objects keep the last of duplicate keys.
struct NaiveJSON {
    enum Value: Equatable {
        case cell(UInt8, Range<Int>)
        indirect case object(Range<Int>, [String: Value])

        var summary: (type: UInt8, range: Range<Int>) {
            switch self {
            case .cell(let type, let range): (type, range)
            case .object(let range, _): (VK_CELL_OBJECT.rawValue, range)
            }
        }
    }

    struct Bad: Error {}

    var bytes: [UInt8]
    var at = 0
    var maxDepth = 128

    static func parse(_ bytes: [UInt8]) -> Value? {
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var reader = NaiveJSON(bytes: bytes)
        guard let value = try? reader.value(depth: 1) else { return nil }
        reader.blanks()
        guard reader.at == bytes.count, case .object = value else { return nil }
        return value
    }

    mutating func blanks() {
        while at < bytes.count, [32, 10, 13, 9].contains(bytes[at]) { at += 1 }
    }

    mutating func expect(_ c: Character) throws {
        guard at < bytes.count, bytes[at] == c.asciiValue else { throw Bad() }
        at += 1
    }

    /// The range inside the quotes.
    mutating func string() throws -> Range<Int> {
        try expect("\"")
        let begin = at
        while at < bytes.count, bytes[at] != 34 { at += bytes[at] == 92 ? 2 : 1 }
        guard at < bytes.count else { throw Bad() }
        at += 1
        return begin..<(at - 1)
    }

    mutating func value(depth: Int) throws -> Value {
        blanks()
        guard at < bytes.count else { throw Bad() }
        let begin = at
        switch bytes[at] {
        case 0x7B:
            guard depth <= maxDepth else { throw Bad() }
            at += 1
            var members: [String: Value] = [:]
            blanks()
            if at < bytes.count, bytes[at] == 0x7D {
                at += 1
                return .object(begin..<at, [:])
            }
            while true {
                blanks()
                let key = try string()
                blanks()
                try expect(":")
                members[unescaped(Array(bytes[key]))] = try value(depth: depth + 1)
                blanks()
                guard at < bytes.count else { throw Bad() }
                if bytes[at] == 0x7D {
                    at += 1
                    return .object(begin..<at, members)
                }
                try expect(",")
            }
        case 0x5B:
            guard depth <= maxDepth else { throw Bad() }
            at += 1
            blanks()
            if at < bytes.count, bytes[at] == 0x5D {
                at += 1
                return .cell(VK_CELL_ARRAY.rawValue, begin..<at)
            }
            while true {
                _ = try value(depth: depth + 1)
                blanks()
                guard at < bytes.count else { throw Bad() }
                if bytes[at] == 0x5D {
                    at += 1
                    return .cell(VK_CELL_ARRAY.rawValue, begin..<at)
                }
                try expect(",")
            }
        case 0x22:
            let range = try string()
            let escaped = bytes[range].contains(92)
            return .cell(escaped ? VK_CELL_STRING_ESCAPED.rawValue : VK_CELL_STRING.rawValue, range)
        default:
            while at < bytes.count, !"{}[],\"".utf8.contains(bytes[at]) {
                let escapes = bytes[at] == 92 && at + 1 < bytes.count && [34, 92].contains(bytes[at + 1])
                at += escapes ? 2 : 1
            }
            var end = at
            while end > begin, [32, 10, 13, 9].contains(bytes[end - 1]) { end -= 1 }
            guard end > begin else { throw Bad() }
            return .cell(Self.scalarType(String(decoding: bytes[begin..<end], as: UTF8.self)).rawValue, begin..<end)
        }
    }

    static func scalarType(_ text: String) -> vk_cell_type {
        switch text {
        case "null": return VK_CELL_NULL
        case "true": return VK_CELL_TRUE
        case "false": return VK_CELL_FALSE
        default: break
        }
        guard text.wholeMatch(of: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/) != nil else { return VK_CELL_BAD_SCALAR }
        return Int64(text) != nil ? VK_CELL_INTEGER : VK_CELL_REAL
    }

    func unescaped(_ raw: [UInt8]) -> String {
        var out = [UInt8](repeating: 0, count: raw.count)
        let count = vk_json_unescape(raw, raw.count, &out, out.count)
        return String(decoding: out[..<count], as: UTF8.self)
    }
}

/// A trie and a parser over paths.
final class Extractor {
    let trie: OpaquePointer
    let parser: OpaquePointer
    var cells: [vk_cell]

    init(_ paths: [[String]], ignoreCase: Bool = false, maxDepth: UInt32 = 0) throws {
        trie = try #require(vk_trie_new())
        parser = try #require(vk_parser_new(maxDepth))
        cells = Array(repeating: vk_cell(), count: paths.count)
        for (index, path) in paths.enumerated() {
            let leaf = Self.add(trie, path, UInt32(index), ignoreCase ? UInt32(VK_TRIE_IGNORE_CASE) : 0)
            #expect(leaf == Int32(index))
        }
        #expect(vk_trie_freeze(trie))
    }

    deinit {
        vk_trie_free(trie)
        vk_parser_free(parser)
    }

    static func add(_ trie: OpaquePointer, _ path: [String], _ leaf: UInt32, _ flags: UInt32) -> Int32 {
        let bytes = path.map { Array($0.utf8) }
        let flat: [UInt8] = Array(bytes.joined()) + [0]
        return flat.withUnsafeBufferPointer { buffer in
            var segments: [UnsafePointer<UInt8>?] = []
            var at = 0
            for segment in bytes {
                segments.append(buffer.baseAddress.map { $0 + at })
                at += segment.count
            }
            return vk_trie_add(trie, segments, bytes.map(\.count), path.count, leaf, flags)
        }
    }

    /// Padded with bytes that would change the result if they were looked at.
    func extract(_ bytes: [UInt8], padded: Bool = true) -> vk_json_status {
        let all = padded ? bytes + Array(repeating: UInt8(ascii: "\""), count: Int(VK_JSON_PADDING)) : bytes
        return vk_json_extract(parser, trie, all, bytes.count, all.count, &cells, cells.count)
    }

    func extract(_ text: String, padded: Bool = true) -> vk_json_status { extract(Array(text.utf8), padded: padded) }

    func text(_ index: Int, in record: String) -> String {
        let begin = Int(cells[index].offset)
        return String(decoding: Array(record.utf8)[begin..<(begin + Int(cells[index].length))], as: UTF8.self)
    }
}

@Suite(.serialized) struct JSONTests {
    @Test(arguments: [true, false]) func cells(padded: Bool) throws {
        let record = """
            {"s":"plain","e":"a\\nb","t":true,"f" : false , "n":null,"i":-42,"big":9223372036854775808,"r":1.5e3,
            "a":[1,{"s":2}],"o":{"x":{"y":"deep"},"z":1},"bad":tru,"zero":01,"nan":NaN,"two":1.2.3,"min":-9223372036854775808}
            """
        let names = ["s", "e", "t", "f", "n", "i", "big", "r", "a", "o", "bad", "zero", "nan", "two", "min", "missing"]
        let extractor = try Extractor(names.map { [$0] } + [["o", "x", "y"], ["o", "x"], ["s", "x"], ["a", "s"]])
        #expect(extractor.extract(record, padded: padded) == VK_JSON_OK)
        let bad = VK_CELL_BAD_SCALAR
        let expected = [
            VK_CELL_STRING, VK_CELL_STRING_ESCAPED, VK_CELL_TRUE, VK_CELL_FALSE, VK_CELL_NULL, VK_CELL_INTEGER, VK_CELL_REAL,
            VK_CELL_REAL, VK_CELL_ARRAY, VK_CELL_OBJECT, bad, bad, bad, bad, VK_CELL_INTEGER, VK_CELL_MISSING, VK_CELL_STRING,
            VK_CELL_OBJECT, VK_CELL_MISSING, VK_CELL_MISSING,
        ]
        #expect(extractor.cells.map(\.type) == expected)
        #expect(extractor.text(0, in: record) == "plain")
        #expect(extractor.cells[5].integer == -42)
        #expect(extractor.cells[6].real == 9_223_372_036_854_775_808)
        #expect(extractor.cells[7].real == 1500)
        #expect(extractor.cells[14].integer == .min)
        #expect(extractor.text(8, in: record) == "[1,{\"s\":2}]")
        #expect(extractor.text(9, in: record) == "{\"x\":{\"y\":\"deep\"},\"z\":1}")
        #expect(extractor.text(12, in: record) == "NaN")
        #expect(extractor.text(16, in: record) == "deep")
        #expect(extractor.text(17, in: record) == "{\"y\":\"deep\"}")
    }

    static let statuses: [(String, vk_json_status)] = [
        ("{}", VK_JSON_OK), (" {\"a\":1} \n", VK_JSON_OK), ("", VK_JSON_EMPTY), (" \n", VK_JSON_EMPTY),
        ("{\"a\":\"x}", VK_JSON_UNCLOSED_STRING), ("{\"a\":1", VK_JSON_UNBALANCED), ("{\"a\":[1}", VK_JSON_UNBALANCED),
        ("{\"a\":1}}", VK_JSON_UNBALANCED), ("{\"a\":[1]]}", VK_JSON_UNBALANCED), ("}", VK_JSON_UNBALANCED), ("{", VK_JSON_UNBALANCED),
        ("{\"a\":1} x", VK_JSON_TRAILING), ("{}{}", VK_JSON_TRAILING), ("[1]", VK_JSON_NOT_OBJECT), ("12", VK_JSON_NOT_OBJECT),
        ("\"s\"", VK_JSON_NOT_OBJECT), ("tru", VK_JSON_BAD_GRAMMAR), ("{\"a\" 1}", VK_JSON_BAD_GRAMMAR), ("{\"a\":}", VK_JSON_BAD_GRAMMAR),
        ("{\"a\":1,}", VK_JSON_BAD_GRAMMAR), ("{,}", VK_JSON_BAD_GRAMMAR), ("{\"a\":1 \"b\":2}", VK_JSON_BAD_GRAMMAR),
        ("{\"a\":\"x\"y}", VK_JSON_BAD_GRAMMAR), ("{a:1}", VK_JSON_BAD_GRAMMAR), ("{\"a\":[1,]}", VK_JSON_BAD_GRAMMAR),
        ("{\"a\":[1,,2]}", VK_JSON_BAD_GRAMMAR), ("{\"x\":{\"y\":[}]}}", VK_JSON_UNBALANCED), ("{\"a\":1 2}", VK_JSON_OK),
        ("{\"a\":{}x}", VK_JSON_BAD_GRAMMAR), ("{\"a\"", VK_JSON_UNBALANCED), ("{\"a\":", VK_JSON_UNBALANCED),
    ]

    /// Whatever is asked, the verdict is the same.
    @Test(arguments: statuses) func verdicts(_ sample: (String, vk_json_status)) throws {
        for paths in [[["a"]], [["none"]], [["x", "y"], ["a", "b"]]] {
            let extractor = try Extractor(paths)
            #expect(extractor.extract(sample.0) == sample.1)
            #expect(extractor.extract(sample.0, padded: false) == sample.1)
            if sample.1 != VK_JSON_OK { #expect(extractor.cells.allSatisfy { $0.type == VK_CELL_MISSING }) }
        }
        let validated = vk_json_validate(Array(sample.0.utf8), sample.0.utf8.count, 0)
        #expect(validated == (sample.1 == VK_JSON_NOT_OBJECT ? VK_JSON_OK : sample.1))
    }

    @Test func encodingAndDepth() throws {
        let extractor = try Extractor([["a"]])
        #expect(extractor.extract([0x7B, 0x22, 0x61, 0x22, 0x3A, 0x22, 0xFF, 0x22, 0x7D]) == VK_JSON_BAD_UTF8)
        #expect(extractor.extract("{\"a\":\"\u{E9}\u{1F600}\"}") == VK_JSON_OK)
        func nested(_ n: Int) -> String { "{\"b\":" + String(repeating: "[", count: n) + String(repeating: "]", count: n) + "}" }
        #expect(extractor.extract(nested(127)) == VK_JSON_OK)
        #expect(extractor.extract(nested(128)) == VK_JSON_TOO_DEEP)
        #expect(extractor.extract(nested(10_000)) == VK_JSON_TOO_DEEP)
        #expect(extractor.extract("{\"b\":" + String(repeating: "{\"b\":", count: 10_000)) == VK_JSON_TOO_DEEP)
        #expect(try Extractor([["a"]], maxDepth: 1024).extract(nested(1023)) == VK_JSON_OK)
    }

    @Test func lastDuplicateWins() throws {
        let extractor = try Extractor([["a", "b"], ["a", "c"], ["a"], ["k"]])
        #expect(extractor.extract("{\"k\":1,\"a\":{\"b\":1},\"k\":2,\"a\":{\"c\":2}}") == VK_JSON_OK)
        #expect(extractor.cells.map(\.type) == [VK_CELL_MISSING, VK_CELL_INTEGER, VK_CELL_OBJECT, VK_CELL_INTEGER])
        #expect(extractor.cells[3].integer == 2)
        #expect(extractor.extract("{\"a\":{\"b\":1,\"b\":3},\"\\u0061\":5}") == VK_JSON_OK)
        #expect(extractor.cells.map(\.type) == [VK_CELL_MISSING, VK_CELL_MISSING, VK_CELL_INTEGER, VK_CELL_MISSING])
        // A stamp of the record before must not linger.
        #expect(extractor.extract("{\"a\":{\"b\":7}}") == VK_JSON_OK)
        #expect(extractor.cells[0].integer == 7)
    }

    @Test func foldedKeys() throws {
        let trie = try #require(vk_trie_new())
        defer { vk_trie_free(trie) }
        let parser = try #require(vk_parser_new(0))
        defer { vk_parser_free(parser) }
        let fold = UInt32(VK_TRIE_IGNORE_CASE)
        #expect(Extractor.add(trie, ["Props", "Name"], 0, fold) == 0)
        #expect(Extractor.add(trie, ["props", "name"], 1, 0) == 1)
        #expect(Extractor.add(trie, ["PROPS", "name"], 9, fold) == 0)
        #expect(Extractor.add(trie, ["props"], 2, fold) == 2)
        #expect(Extractor.add(trie, [], 3, 0) == -1)
        var cells = [vk_cell](repeating: vk_cell(), count: 3)
        let probe = Array("{}".utf8)
        #expect(vk_json_extract(parser, trie, probe, 2, 2, &cells, 3) == VK_JSON_BAD_ARGUMENT)
        #expect(vk_trie_freeze(trie))
        #expect(Extractor.add(trie, ["late"], 3, 0) == -1)
        #expect(vk_trie_cell_count(trie) == 3)
        #expect(vk_json_extract(parser, trie, probe, 2, 2, &cells, 2) == VK_JSON_BAD_ARGUMENT)
        func run(_ text: String) -> [Int64] {
            let bytes = Array(text.utf8)
            #expect(vk_json_extract(parser, trie, bytes, bytes.count, bytes.count, &cells, 3) == VK_JSON_OK)
            return cells.map { $0.type == VK_CELL_MISSING ? -1 : $0.integer }
        }
        #expect(run("{\"props\":{\"NAME\":1,\"name\":2}}") == [2, 2, 0])
        #expect(run("{\"props\":{\"name\":2,\"NAME\":1}}") == [1, 2, 0])
        #expect(run("{\"pRops\":{\"name\":5}}") == [5, -1, 0])
        #expect(run("{\"props\":{\"name\":5},\"PROPS\":7}") == [-1, 5, 7])
        #expect(run("{\"x\":1}") == [-1, -1, -1])
    }

    @Test func numbers() {
        func cell(_ text: String) -> vk_cell { vk_json_scalar(Array(text.utf8), text.utf8.count) }
        for text in ["0", "-0", "1", "-1", "9223372036854775807", "123456789012345678"] {
            #expect(cell(text).type == VK_CELL_INTEGER)
            #expect(cell(text).integer == Int64(text))
        }
        for text in ["0.1", "1e5", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1E-7", "-0.0", "5e-324"] {
            #expect(cell(text).type == VK_CELL_REAL)
            #expect(cell(text).real == Double(text))
        }
        #expect(cell("1e999").real == .infinity)
        #expect(cell("-123.5e400").real == -.infinity)
        #expect(cell("1e-999").real == 0)
        #expect(cell("0.000001e-400").real == 0)
        for text in ["", "01", "+1", "1.", ".5", "1e", "1e+", "--1", "0x1", "1 2", "-", "Infinity", "nulll", "True"] {
            #expect(cell(text).type == (text.isEmpty ? VK_CELL_MISSING : VK_CELL_BAD_SCALAR), "\(text)")
        }
        #expect(vk_json_kind(Array(" [1] ".utf8), 5) == VK_CELL_ARRAY)
        #expect(vk_json_kind(Array("\"a\\n\"".utf8), 5) == VK_CELL_STRING_ESCAPED)
    }

    @Test(arguments: [
        ("plain", "plain"), ("a\\nb\\t\\\"\\\\\\/", "a\nb\t\"\\/"), ("\\u00e9\\u20AC", "\u{E9}\u{20AC}"), ("\\ud83d\\ude00", "\u{1F600}"),
        ("\\ud83dx", "\u{FFFD}x"), ("\\ude00\\ud83d", "\u{FFFD}\u{FFFD}"), ("\\ud83d\\u0041", "\u{FFFD}A"), ("\\q", "q"),
        ("\\u12", "\u{FFFD}"),
        ("\\", "\\"), ("", ""), ("\\u0000", "\0"),
    ]) func unescapes(_ sample: (String, String)) {
        let raw = Array(sample.0.utf8)
        var out = [UInt8](repeating: 0, count: raw.count)
        let count = vk_json_unescape(raw, raw.count, &out, out.count)
        #expect(String(decoding: out[..<min(count, out.count)], as: UTF8.self) == sample.1)
        if count > 0 { #expect(vk_json_unescape(raw, raw.count, &out, count - 1) == -1) }
    }

    @Test func escapesAndBack() {
        var random = Random(state: 4)
        for _ in 0..<500 {
            let raw = random.bytes(random.below(40), of: Array(0...127))
            var escaped = [UInt8](repeating: 0, count: raw.count * 6)
            let count = vk_json_escape(raw, raw.count, &escaped, escaped.count)
            var back = [UInt8](repeating: 0, count: count)
            #expect(vk_json_unescape(escaped, count, &back, count) == raw.count)
            #expect(Array(back[..<raw.count]) == raw)
            #expect(vk_json_validate([34] + escaped[..<count] + [34], count + 2, 0) == VK_JSON_OK)
        }
    }

    @Test func plainRunsEndAtTheFirstByteThatIsNot() {
        var random = Random(state: 4)
        for _ in 0..<2000 {
            var bytes = random.bytes(random.below(70), of: Array("ab {}\u{7F}\u{E9}\u{1F600} ".utf8))
            for _ in 0..<random.below(3) where !bytes.isEmpty {
                bytes[random.below(bytes.count)] = [0, 0x1F, 0x20, 0x22, 0x5C][random.below(5)]
            }
            let expected = bytes.firstIndex { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C } ?? bytes.count
            #expect(vk_json_plain_run(bytes, bytes.count) == expected)
        }
    }

    /// Random documents, sound and damaged, against the naive reader: all kernels, padded or not.
    @Test(arguments: 0..<24) func agreesWithNaiveReader(seed: Int) throws {
        var random = Random(state: UInt64(seed) &* 77 &+ 5)
        let keys = ["a", "b", "ab", "c", "k\\u0061", "k\\n", "long key that spans more than sixty-four bytes of the record for sure"]
        func blank() -> String { random.chance(80) ? "" : [" ", "\n ", "\t", "\r\n"][random.below(4)] }
        func value(_ depth: Int) -> String {
            switch random.below(depth > 4 ? 4 : 7) {
            case 0: return ["1", "-7", "2.5", "1e3", "null", "true", "false", "tru", "01", "1 2", "99999999999999999999"][random.below(11)]
            case 1: return "\"" + String(repeating: "x", count: random.below(90)) + "\""
            case 2: return ["\"q\\\"\"", "\"\\\\\"", "\"{,}[:]\"", "\"\\u00e9\"", "\"\u{E9}\u{1F600}\"", "\"\""][random.below(6)]
            case 3, 4: return "[" + (0..<random.below(4)).map { _ in blank() + value(depth + 1) + blank() }.joined(separator: ",") + "]"
            default: return object(depth + 1)
            }
        }
        func object(_ depth: Int) -> String {
            let members = (0..<random.below(6)).map { _ in
                blank() + "\"" + keys[random.below(keys.count)] + "\"" + blank() + ":" + blank() + value(depth) + blank()
            }
            return "{" + members.joined(separator: ",") + "}"
        }
        let names = ["a", "b", "ab", "c", "ka", "k\n", keys[6]]
        let paths =
            names.map { [$0] } + names.flatMap { first in names.prefix(4).map { [first, $0] } } + [["a", "b", "c"], ["b", "a", "a", "a"]]
        let extractor = try Extractor(paths)
        var sound = 0
        defer { vk_set_simd(true) }
        for _ in 0..<120 {
            var bytes = Array(object(0).utf8)
            if random.chance(50) {
                for _ in 0..<(1 + random.below(3)) {
                    let place = random.below(bytes.count)
                    switch random.below(3) {
                    case 0: bytes[place] = Array("{}[],:\"\\ x\n\u{E9}".utf8)[random.below(13)]
                    case 1: if bytes.count > 1 { bytes.remove(at: place) }
                    default: bytes.insert(Array("{}[],:\"\\1".utf8)[random.below(9)], at: place)
                    }
                }
            }
            let expected = NaiveJSON.parse(bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            for simd in 1...3 {
                vk_limit_simd(Int32(simd))
                let status = extractor.extract(bytes, padded: random.chance(50))
                #expect((status == VK_JSON_OK) == (expected != nil), "\(status) \(text)")
                guard status == VK_JSON_OK, let expected else { continue }
                sound += 1
                for (path, cell) in zip(paths, extractor.cells) {
                    var found: NaiveJSON.Value? = expected
                    for key in path {
                        if case .object(_, let members)? = found { found = members[key] } else { found = nil }
                    }
                    #expect(cell.type.rawValue == found?.summary.type ?? 0, "\(path) in \(text)")
                    if let found { #expect(found.summary.range == Int(cell.offset)..<Int(cell.offset + cell.length), "\(path) in \(text)") }
                }
            }
        }
        #expect(sound > 60)
    }

    @Test func randomBytesNeverMisbehave() throws {
        let extractor = try Extractor([["a"], ["a", "b"]])
        var random = Random(state: 12)
        for round in 0..<3000 {
            let alphabet: [UInt8] = round % 2 == 0 ? Array(0...255) : Array("{}[]\",:\\a1 ".utf8)
            let bytes = random.bytes(random.below(200), of: alphabet)
            let status = extractor.extract(bytes, padded: round % 3 == 0)
            #expect((status == VK_JSON_OK) == (NaiveJSON.parse(bytes) != nil))
        }
    }
}
