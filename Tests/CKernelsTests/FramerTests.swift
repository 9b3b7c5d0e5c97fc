import CKernels
import Testing

/// An event with its text, for comparison.
struct Frame: Equatable, CustomStringConvertible {
    var kind: vk_frame_kind
    var text: String
    var index: UInt64
    var container: vk_frame_container
    var document: UInt64

    var description: String { "\(kind.rawValue):\(text)[\(index)/\(container.rawValue)]@\(document)" }
}

struct Framing {
    var maxDepth: UInt32 = 0
    var maxRecord: UInt64 = 0
    var options: UInt32 = 0
    var portable = false
    var capacity = 8

    /// The events of a stream fed in the given pieces (the last one takes the rest).
    func frames(_ bytes: [UInt8], pieces: [Int] = []) -> [Frame] {
        var framer = vk_framer()
        vk_framer_init(&framer, 1000, maxDepth, maxRecord, options)
        var frames: [Frame] = []
        var events = [vk_frame_event](repeating: vk_frame_event(), count: capacity)
        func take(_ count: Int) {
            for event in events[..<count] {
                let text = String(decoding: bytes[Int(event.begin - 1000)..<Int(event.end - 1000)], as: UTF8.self)
                frames.append(
                    Frame(kind: event.kind, text: text, index: event.index, container: event.container, document: event.document - 1000))
            }
        }
        var at = 0
        for piece in pieces + [bytes.count] {
            let end = min(at + piece, bytes.count)
            while at < end {
                var count = 0
                let slice = Array(bytes[at..<end])
                at +=
                    portable
                    ? vk_framer_feed_portable(&framer, slice, slice.count, &events, capacity, &count)
                    : vk_framer_feed(&framer, slice, slice.count, &events, capacity, &count)
                take(count)
                #expect(vk_framer_is_valid(&framer))
                #expect(vk_framer_offset(&framer) == UInt64(1000 + at))
            }
        }
        take(vk_framer_finish(&framer, &events, capacity))
        #expect(vk_framer_is_idle(&framer))
        return frames
    }

    func values(_ text: String) -> [String] {
        frames(Array(text.utf8)).map { $0.kind == VK_FRAME_VALUE ? $0.text : "!\($0.kind.rawValue):\($0.text)" }
    }
}

@Suite struct FramerTests {
    static let shapes: [(String, [String])] = [
        ("", []),
        (" \r\n\n", []),
        ("{\"a\":1}\n{\"b\":2}\r\n", ["{\"a\":1}", "{\"b\":2}"]),
        ("{\"a\":1}{\"b\":{}} {\"c\":[]},{}", ["{\"a\":1}", "{\"b\":{}}", "{\"c\":[]}", "{}"]),
        ("\u{FEFF}{\"a\":1}", ["{\"a\":1}"]),
        (
            "{\n  \"a\": {\n    \"b\": [\n      {\n}\n    ]\n  }\n}\n{\"x\":1}",
            ["{\n  \"a\": {\n    \"b\": [\n      {\n}\n    ]\n  }\n}", "{\"x\":1}"]
        ),
        ("[{\"a\":1},\n{\"b\":[2]} , 3, \"x]\\\"\", [4], true]", ["{\"a\":1}", "{\"b\":[2]}", "3", "\"x]\\\"\"", "[4]", "true"]),
        ("[]\n[\n]", []),
        ("{\"records\":[{\"a\":1},{\"b\":2}]}", ["{\"a\":1}", "{\"b\":2}"]),
        (
            "{\"z\":{\"q\":[1]},\"s\":\"]}\", \"Records\" :\n [ {\"a\":1}\n,{\"b\":2} ],\"n\":{\"m\":[3]}}\n{\"c\":1}",
            ["{\"a\":1}", "{\"b\":2}", "{\"c\":1}"]
        ),
        ("{\"records\":[\n{\"a\":1},\n{\"b\":2}\n]}\n", ["{\"a\":1}", "{\"b\":2}"]),
        ("{\"value\":[1,2]}", ["{\"value\":[1,2]}"]),
        ("{\"value\":[]}", ["{\"value\":[]}"]),
        ("{\"x\":{\"records\":[{}]}}", ["{\"x\":{\"records\":[{}]}}"]),
        ("{\"x\\\"records\":[{}]}", ["{\"x\\\"records\":[{}]}"]),
        ("{\"x\":\"records\",\"y\":[{}]}", ["{\"x\":\"records\",\"y\":[{}]}"]),
        ("[{\"Records\":[{\"a\":1}]},{\"Events\":[{\"b\":2}]},{\"c\":3}]", ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]),
        ("{\"logEvents\":[{\"a\":1}],\"value\":[{\"b\":1},5]}", ["{\"a\":1}", "{\"b\":1}", "5"]),
        ("{\"s\":\"\\\\\",\"t\":\"\\\\\\\"}\"}{}", ["{\"s\":\"\\\\\",\"t\":\"\\\\\\\"}\"}", "{}"]),
        // Damage.
        ("oops\n{\"a\":1}\nhttp://x {\n{\"b\":2}", ["!4:oops", "{\"a\":1}", "!4:http://x {", "{\"b\":2}"]),
        ("{\"a\":1}\n{\"b\":\"cut\n{\"c\":3}\n", ["{\"a\":1}", "!6:{\"b\":\"cut", "{\"c\":3}"]),
        ("{\"b\":\"cut\nrest of it\n  {\"no\":1}\n{\"c\":3}\n", ["!6:{\"b\":\"cut", "!4:\nrest of it\n  {\"no\":1}\n", "{\"c\":3}"]),
        ("{\"a\":1}\n{\"b\":[1,\n{\"c\":3}\n", ["{\"a\":1}", "!5:{\"b\":[1,", "{\"c\":3}"]),
        ("{\"b\":{\"x\":1\n{\"c\":3}\n", ["!5:{\"b\":{\"x\":1", "{\"c\":3}"]),
        ("{\"records\":[\n{\"a\":{\"b\":1\n{\"c\":3},\n{\"d\":4}\n]}", ["!5:{\"a\":{\"b\":1", "{\"c\":3}", "{\"d\":4}"]),
        ("{\"a\":1", ["!5:{\"a\":1"]),
        ("{\"a\":\"x", ["!6:{\"a\":\"x"]),
        ("[{\"a\":1},", ["{\"a\":1}", "!5:,"]),
        ("[{\"a\":1}}\n{\"b\":1}", ["{\"a\":1}", "!7:}", "{\"b\":1}"]),
        ("{\"a\":1}}\n{\"b\":1}", ["{\"a\":1}", "!4:}", "{\"b\":1}"]),
    ]

    @Test(arguments: shapes) func recognises(_ shape: (String, [String])) {
        #expect(Framing().values(shape.0) == shape.1)
        #expect(Framing(portable: true).values(shape.0) == shape.1)
    }

    /// Two cuts at every pair of places of the short shapes, each cut of the long ones: the events stay the same.
    @Test(arguments: shapes) func splits(_ shape: (String, [String])) {
        // Spaces move the text across the blocks of the SIMD scan.
        for lead in [0, 61] {
            let bytes = [UInt8](repeating: 0x20, count: lead) + Array(shape.0.utf8) + (lead > 0 ? Array(repeating: 0x20, count: 70) : [])
            let whole = Framing().frames(bytes)
            #expect(Framing(portable: true).frames(bytes) == whole)
            for first in 0...bytes.count {
                #expect(Framing(capacity: 2).frames(bytes, pieces: [first]) == whole)
                if bytes.count < 60 {
                    for second in 1...3 { #expect(Framing().frames(bytes, pieces: [first, second]) == whole) }
                }
            }
            #expect(Framing(capacity: 2).frames(bytes, pieces: Array(repeating: 1, count: bytes.count)) == whole)
        }
    }

    @Test func positionsInsideContainers() {
        let frames = Framing().frames(Array("{}\n{\"k\":1,\"records\":[{\"a\":1},{\"b\":2}]}\n[7,{}]".utf8))
        #expect(frames.map(\.index) == [0, 0, 1, 0, 1])
        #expect(frames.map(\.document) == [0, 3, 3, 39, 39])
        let kinds = [VK_CONTAINER_NONE, VK_CONTAINER_ENVELOPE, VK_CONTAINER_ENVELOPE, VK_CONTAINER_ARRAY, VK_CONTAINER_ARRAY]
        #expect(frames.map(\.container) == kinds)
    }

    @Test func options() {
        let text = "{\"records\":[{\"a\":1}]}[1]"
        #expect(Framing(options: UInt32(VK_FRAMER_NO_ENVELOPES)).values(text) == ["{\"records\":[{\"a\":1}]}", "1"])
        #expect(Framing(options: UInt32(VK_FRAMER_NO_ARRAYS)).values(text) == ["{\"a\":1}", "[1]"])
    }

    @Test func limits() {
        let long = "{\"a\":\"" + String(repeating: "x", count: 500) + "\"}"
        #expect(Framing(maxRecord: 100).values(long + "\n{\"b\":1}") == ["!2:" + long, "{\"b\":1}"])
        // An envelope may be longer than a record.
        let many = (0..<100).map { "{\"n\":\($0)}" }
        #expect(Framing(maxRecord: 100).values("{\"pad\":\(long),\"records\":[" + many.joined(separator: ",") + "]}") == many)
        let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
        #expect(Framing().values("{\"a\":\(deep)}{}") == ["!3:{\"a\":\(deep)}", "{}"])
        #expect(Framing(maxDepth: 3).values("{\"a\":[[1]]}{\"a\":[[[1]]]}") == ["{\"a\":[[1]]}", "!3:{\"a\":[[[1]]]}"])
        // Also where one block holds all brackets.
        #expect(Framing(maxDepth: 3).values("{\"a\":[[[]]]}" + String(repeating: " ", count: 80)) == ["!3:{\"a\":[[[]]]}"])
        let open = Array(("{\"a\":" + String(repeating: "[", count: 10_000)).utf8)
        #expect(Framing().frames(open).map(\.kind) == [VK_FRAME_UNCLOSED])
    }

    @Test func pendingTellsWhatToKeep() {
        var framer = vk_framer()
        var events = [vk_frame_event](repeating: vk_frame_event(), count: 4)
        var count = 0
        func feed(_ text: String) -> UInt64 {
            let bytes = Array(text.utf8)
            _ = vk_framer_feed(&framer, bytes, bytes.count, &events, 4, &count)
            return vk_framer_pending(&framer)
        }
        vk_framer_init(&framer, 0, 0, 50, 0)
        #expect(feed(" ") == .max)
        #expect(feed("{\"k\":1") == 1)
        #expect(feed(",\"records\":[") == 1)
        #expect(feed("{") == 19)
        #expect(count == 0)
        #expect(feed("}") == .max)
        #expect(count == 1)
        #expect(feed(",{\"b\":\"" + String(repeating: "x", count: 60)) == .max)
        #expect(feed("\"}]}\n") == .max)
        #expect(count == 1 && events[0].kind == VK_FRAME_TOO_LONG)
        #expect(vk_framer_is_idle(&framer))
    }

    @Test func emptyEnvelopeIsFlagged() {
        var framer = vk_framer()
        var events = [vk_frame_event](repeating: vk_frame_event(), count: 4)
        var count = 0
        vk_framer_init(&framer, 0, 0, 0, 0)
        let bytes = Array("{\"value\":[ ]}{\"value\":1}".utf8)
        _ = vk_framer_feed(&framer, bytes, bytes.count, &events, 4, &count)
        #expect(events[..<count].map(\.flags) == [1, 0])
    }

    /// Anything at all: no crash, SIMD equals portable, cuts do not matter, events are in order and do not overlap.
    @Test(arguments: 0..<40) func randomBytes(seed: Int) {
        var random = Random(state: UInt64(seed))
        let alphabet = Array("{}[]\"\\,: \nx1".utf8)
        let pieces = ["{\"records\":[", "{\"a\":1}", "\n", "{\"b\":\"", "\"", "]}", "\n{", "[", ",", "\\\"", "   ", "{\"v\":[{}]}\n", "]"]
        for _ in 0..<40 {
            var bytes: [UInt8] = []
            if random.chance(50) {
                bytes = random.bytes(random.below(400), of: alphabet)
            } else {
                for _ in 0..<random.below(60) { bytes += Array(pieces[random.below(pieces.count)].utf8) }
            }
            let whole = Framing(maxDepth: 6).frames(bytes)
            #expect(Framing(maxDepth: 6, portable: true).frames(bytes) == whole)
            let cuts = (0..<random.below(12)).map { _ in random.below(90) }
            #expect(Framing(maxDepth: 6, capacity: 2).frames(bytes, pieces: cuts) == whole)
        }
    }

    @Test func storedStatesAreChecked() {
        var framer = vk_framer()
        #expect(!vk_framer_is_valid(&framer))
        vk_framer_init(&framer, 5, 0, 0, 0)
        #expect(vk_framer_is_valid(&framer))
        framer.phase = 200
        #expect(!vk_framer_is_valid(&framer))
    }

    @Test func newlines() {
        var random = Random(state: 9)
        for length in [0, 1, 63, 64, 65, 1000, 5000] {
            let bytes = random.bytes(length, of: [10, 32, 65, 11, 9])
            let expected = bytes.indices.filter { bytes[$0] == 10 }.map { UInt32($0) }
            var offsets = [UInt32](repeating: 0, count: length + 1)
            var scanned = 0
            let count = vk_scan_newlines(bytes, length, &offsets, offsets.count, &scanned)
            #expect(Array(offsets[..<count]) == expected)
            #expect(scanned == length)
            #expect(vk_count_newlines(bytes, length) == expected.count)
            if expected.count > 3 {
                #expect(vk_scan_newlines(bytes, length, &offsets, 3, &scanned) == 3)
                #expect(scanned == Int(expected[2]) + 1)
            }
        }
    }
}
