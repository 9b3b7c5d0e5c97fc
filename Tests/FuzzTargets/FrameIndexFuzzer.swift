import CKernels

/// The structural index that the framer makes on its way, at each level of vector instructions and however the bytes are cut: the extractor
/// reads the same cells with it as without, and the records are those of the plain framer.
enum FrameIndexFuzzer {
    static func run(_ input: [UInt8], _ trie: OpaquePointer, _ parser: OpaquePointer) throws(FuzzFinding) {
        defer { vk_limit_simd(3) }
        let records = plain(input)
        let cut = 1 + Int(input.first ?? 0)
        for level: Int32 in 1...3 {
            vk_limit_simd(level)
            for piece in [input.count, cut] {
                let found = try indexed(input, piece, trie, parser)
                if found != records { throw FuzzFinding("level \(level), pieces of \(piece): records \(found), expected \(records)") }
            }
        }
    }

    private static func plain(_ input: [UInt8]) -> [Range<Int>] {
        var framer = vk_framer()
        vk_framer_init(&framer, 0, 0, 0, 0)
        var events = [vk_frame_event](repeating: vk_frame_event(), count: 4)
        var records: [Range<Int>] = []
        var at = 0
        input.withUnsafeBufferPointer { p in
            while at < p.count {
                var count = 0
                at += vk_framer_feed_portable(&framer, p.baseAddress.map { $0 + at }, p.count - at, &events, events.count, &count)
                for e in events[..<count] where e.kind == VK_FRAME_VALUE { records.append(Int(e.begin)..<Int(e.end)) }
            }
        }
        return records
    }

    private static func indexed(
        _ input: [UInt8], _ piece: Int, _ trie: OpaquePointer, _ parser: OpaquePointer
    ) throws(FuzzFinding) -> [Range<Int>] {
        var framer = vk_framer()
        vk_framer_init(&framer, 0, 0, 0, 0)
        let padded = input + [UInt8](repeating: UInt8(ascii: "\""), count: Int(VK_JSON_PADDING))
        var events = [vk_frame_event](repeating: vk_frame_event(), count: 4)
        var positions = [UInt32](repeating: 0xDEAD_BEEF, count: piece + 256)
        var records: [Range<Int>] = []
        var at = 0
        while at < input.count {
            let end = min(at + piece, input.count)
            var index = vk_frame_index()
            index.capacity = positions.count
            vk_frame_index_reset(&index)
            while at < end {
                var count = 0
                at += positions.withUnsafeMutableBufferPointer { memory in
                    index.positions = memory.baseAddress
                    return padded.withUnsafeBufferPointer { p in
                        vk_framer_feed_indexed(&framer, p.baseAddress.map { $0 + at }, end - at, &events, events.count, &count, &index)
                    }
                }
                guard index.count <= positions.count else { throw FuzzFinding("the index is longer than its memory") }
                for e in events[..<count] where e.kind == VK_FRAME_VALUE {
                    let record = Int(e.begin)..<Int(e.end)
                    records.append(record)
                    guard e.flags & UInt8(VK_FRAME_FLAG_INDEXED) != 0 else { continue }
                    let own = positions[Int(e.index_begin)..<Int(e.index_begin + e.index_count)]
                    try same(padded, record, Array(own), e.flags & UInt8(VK_FRAME_FLAG_NON_ASCII) != 0, trie, parser)
                }
            }
        }
        return records
    }

    private static func same(
        _ padded: [UInt8], _ record: Range<Int>, _ index: [UInt32], _ hasNonASCII: Bool, _ trie: OpaquePointer, _ parser: OpaquePointer
    ) throws(FuzzFinding) {
        let n = vk_trie_cell_count(trie)
        var (first, second) = ([vk_cell](repeating: vk_cell(), count: n), [vk_cell](repeating: vk_cell(), count: n))
        let (a, b) = padded.withUnsafeBufferPointer { p in
            let start = p.baseAddress.map { $0 + record.lowerBound }
            return (
                vk_json_extract(parser, trie, start, record.count, p.count - record.lowerBound, &first, n),
                vk_json_extract_indexed(parser, trie, start, record.count, index, index.count, hasNonASCII, &second, n)
            )
        }
        guard a == b else { throw FuzzFinding("status \(a.rawValue) without the framer's index, \(b.rawValue) with it") }
        for i in 0..<n {
            let (x, y) = (first[i], second[i])
            if x.type != y.type || x.offset != y.offset || x.length != y.length || x.integer != y.integer {
                throw FuzzFinding("cell \(i) is of type \(x.type.rawValue) without the framer's index, \(y.type.rawValue) with it")
            }
        }
    }
}
