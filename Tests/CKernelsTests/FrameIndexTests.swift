import CKernels
import Testing

/// The structural index that the framer makes on its way gives the same cells as the extractor's own.
@Suite(.serialized) struct FrameIndexTests {
    static let keys = ["a", "b", "ab", "records", "k\\u0061", "a key that is longer than the sixty-four bytes of one block of the scan"]

    static func value(_ r: inout Random, _ depth: Int) -> String {
        switch r.below(depth > 4 ? 4 : 7) {
        case 0: return ["1", "-7.5", "null", "true", "tru", "\\1", "1 2"][r.below(7)]
        case 1: return "\"" + String(repeating: "x", count: r.below(150)) + "\""
        case 2:
            let slashes = String(repeating: "\\\\", count: r.below(40))
            return ["\"q\\\"\"", "\"\(slashes)\"", "\"\(slashes)\\\"{\"", "\"{,}[:]\"", "\"\u{E9}\u{1F600}\"", "\"\""][r.below(6)]
        case 3, 4: return "[" + (0..<r.below(4)).map { _ in blank(&r) + value(&r, depth + 1) }.joined(separator: ",") + "]"
        default: return object(&r, depth + 1)
        }
    }

    static func blank(_ r: inout Random) -> String { r.chance(80) ? "" : [" ", "\n  ", "\t", "\r\n"][r.below(4)] }

    static func object(_ r: inout Random, _ depth: Int) -> String {
        let members = (0..<r.below(7)).map { _ in
            "\(blank(&r))\"\(keys[r.below(keys.count)])\":\(blank(&r))\(value(&r, depth))"
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    static func stream(_ r: inout Random) -> [UInt8] {
        var text = ""
        for _ in 0..<(1 + r.below(8)) {
            let one = object(&r, 0)
            switch r.below(6) {
            case 0: text += "[\(one),\(object(&r, 0)), 3, \"x\"]"
            case 1: text += "{\"n\":[1],\"records\":[\(one),\n\(object(&r, 0))],\"b\":{}}\n"
            case 2: text += "{\"records\":[]}" + one
            case 3: text += one + (r.chance(20) ? "oops\n" : "")
            default: text += one.replacing("\n", with: "") + "\n"
            }
        }
        var bytes = Array(text.utf8)
        if r.chance(30) {
            for _ in 0..<(1 + r.below(3)) { bytes[r.below(bytes.count)] = Array("{}[],:\"\\ x\n".utf8)[r.below(11)] }
        }
        return bytes
    }

    /// Frames `bytes` in pieces and compares each record's cells; returns how many records there were, and how many had an index.
    static func compare(_ bytes: [UInt8], pieces: [Int], capacity: Int, _ extractor: Extractor, seed: Int) -> (records: Int, indexed: Int) {
        var framer = vk_framer()
        vk_framer_init(&framer, 0, 0, 0, 0)
        let padded = bytes + Array(repeating: UInt8(ascii: "\""), count: Int(VK_JSON_PADDING))
        var events = [vk_frame_event](repeating: vk_frame_event(), count: 3)
        var positions = [UInt32](repeating: 0xDEAD_BEEF, count: capacity)
        var counts = (records: 0, indexed: 0)
        var at = 0
        for piece in pieces + [bytes.count] {
            let end = min(at + piece, bytes.count)
            positions.withUnsafeMutableBufferPointer { memory in
                var index = vk_frame_index()
                index.positions = memory.baseAddress
                index.capacity = memory.count
                vk_frame_index_reset(&index)
                while at < end {
                    var count = 0
                    at += padded.withUnsafeBufferPointer { p in
                        vk_framer_feed_indexed(
                            &framer, p.baseAddress.map { $0 + at }, end - at, &events, events.count, &count, &index)
                    }
                    #expect(index.count <= memory.count)
                    for e in events[..<count] where e.kind == VK_FRAME_VALUE {
                        counts.records += 1
                        let record = Array(bytes[Int(e.begin)..<Int(e.end)])
                        guard e.flags & UInt8(VK_FRAME_FLAG_INDEXED) != 0 else { continue }
                        counts.indexed += 1
                        let status = extractor.extract(record)
                        let expected = extractor.cells
                        let found = padded.withUnsafeBufferPointer { p in
                            vk_json_extract_indexed(
                                extractor.parser, extractor.trie, p.baseAddress.map { $0 + Int(e.begin) }, record.count,
                                memory.baseAddress.map { UnsafePointer($0 + Int(e.index_begin)) }, Int(e.index_count),
                                e.flags & UInt8(VK_FRAME_FLAG_NON_ASCII) != 0, &extractor.cells, extractor.cells.count)
                        }
                        let text = String(decoding: record, as: UTF8.self)
                        #expect(found == status, "seed \(seed): \(text)")
                        for (a, b) in zip(extractor.cells, expected) {
                            let same = a.type == b.type && a.offset == b.offset && a.length == b.length && a.integer == b.integer
                            #expect(same, "seed \(seed): \(text)")
                        }
                    }
                }
            }
        }
        return counts
    }

    @Test(arguments: 0..<40) func givesTheSameCells(seed: Int) throws {
        var r = Random(state: UInt64(seed) &* 31 &+ 7)
        let names = ["a", "b", "ab", "ka", "records", Self.keys[5]]
        let extractor = try Extractor(names.map { [$0] } + names.flatMap { first in names.map { [first, $0] } })
        defer { vk_limit_simd(3) }
        for _ in 0..<30 {
            let bytes = Self.stream(&r)
            var seen = Set<Int>()
            for level in 1...3 {
                vk_limit_simd(Int32(level))
                let whole = Self.compare(bytes, pieces: [], capacity: bytes.count + 256, extractor, seed: seed)
                seen.insert(whole.records)
                // Only scalars and strings in arrays have no index.
                #expect(whole.indexed <= whole.records)
                let cuts = (0..<r.below(6)).map { _ in r.below(200) }
                let parts = Self.compare(bytes, pieces: cuts, capacity: bytes.count + 256, extractor, seed: seed)
                #expect(parts.records == whole.records && parts.indexed <= whole.indexed)
                #expect(parts.indexed >= whole.indexed - cuts.count)
                // Too little room: records without an index, and nothing written past the end.
                _ = Self.compare(bytes, pieces: [], capacity: 81 + r.below(200), extractor, seed: seed)
            }
            #expect(seen.count == 1)
        }
    }

    @Test func everyObjectAndArrayHasOne() throws {
        let extractor = try Extractor([["a"]])
        let text = "{\"a\":1}\n{\"records\":[{\"a\":\"\u{E9}\"},[1]]}\n[{},2,\"x\"]\n{\"value\":[]}"
        for level in 1...3 {
            vk_limit_simd(Int32(level))
            let counts = Self.compare(Array(text.utf8), pieces: [], capacity: 512, extractor, seed: 0)
            #expect(counts.records == 7)
            #expect(counts.indexed == 5)
        }
        vk_limit_simd(3)
    }

    @Test func anIndexOfSomethingElseIsNotUsed() throws {
        let extractor = try Extractor([["a"]])
        let record = Array("{\"a\":1}".utf8) + Array(repeating: UInt8(ascii: " "), count: Int(VK_JSON_PADDING))
        for wrong: [UInt32] in [[], [0], [1, 6], [0, 5], [0, 7], [0, 1, 2, 3, 4, 5, 6, 7, 8]] {
            let status = vk_json_extract_indexed(
                extractor.parser, extractor.trie, record, 7, wrong, wrong.count, false, &extractor.cells, extractor.cells.count)
            #expect(status == VK_JSON_OK)
            #expect(extractor.cells[0].integer == 1)
        }
    }
}
