import CKernels
import Testing

@Suite struct TextTests {
    static let operations: [vk_text_op] = [
        VK_TEXT_EQUALS, VK_TEXT_CONTAINS, VK_TEXT_STARTS, VK_TEXT_ENDS, VK_TEXT_HAS, VK_TEXT_HASPREFIX, VK_TEXT_HASSUFFIX,
    ]

    static func folded(_ bytes: [UInt8]) -> [UInt8] { bytes.map { (65...90).contains($0) ? $0 + 32 : $0 } }

    static func isTerm(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte >= 128
    }

    /// The definitions of the header, spelled out.
    static func naive(_ op: vk_text_op, _ ignoreCase: Bool, _ row: [UInt8], _ needle: [UInt8]) -> Bool {
        let s = ignoreCase ? folded(row) : row
        let n = ignoreCase ? folded(needle) : needle
        if op == VK_TEXT_EQUALS { return s == n }
        guard let first = n.first, let last = n.last else { return true }
        guard s.count >= n.count else { return false }
        if op == VK_TEXT_STARTS { return s.starts(with: n) }
        if op == VK_TEXT_ENDS { return s.suffix(n.count) == n[...] }
        for at in 0...(s.count - n.count) where s[at..<(at + n.count)] == n[...] {
            let end = at + n.count
            let left = !isTerm(first) || at == 0 || !isTerm(s[at - 1])
            let right = !isTerm(last) || end == s.count || !isTerm(s[end])
            switch op {
            case VK_TEXT_CONTAINS: return true
            case VK_TEXT_HAS: if left && right { return true }
            case VK_TEXT_HASPREFIX: if left { return true }
            default: if right { return true }
            }
        }
        return false
    }

    @Test(arguments: operations, [true, false])
    func agreesWithNaive(op: vk_text_op, ignoreCase: Bool) {
        var random = Random(state: UInt64(op.rawValue) + (ignoreCase ? 100 : 0))
        let alphabet = Array("aAbB1. -".utf8) + [0xC3, 0xA9, 0xC9, 0x00]
        for round in 0..<150 {
            let count = random.below(200)
            let narrow = round % 2 == 0 ? alphabet : Array("aAb ".utf8)
            let needle = random.bytes(random.below(round % 10 == 0 ? 80 : 5), of: narrow)
            var rows: [[UInt8]] = []
            for _ in 0..<count {
                var row = random.bytes(random.below(random.chance(20) ? 200 : 12), of: narrow)
                if random.chance(40) { row.insert(contentsOf: needle, at: random.below(row.count + 1)) }
                if random.chance(10) { row = needle }
                rows.append(row)
            }
            // The column does not begin at the first byte and has bytes behind its end.
            let bytes = [97, 65] + Array(rows.joined()) + [97, 98, 97]
            var offsets: [UInt32] = [2]
            for row in rows { offsets.append((offsets.last ?? 0) + UInt32(row.count)) }
            let expected = rows.map { Self.naive(op, ignoreCase, $0, needle) }
            var bits = words(count)
            vk_text_match(op, ignoreCase, bytes, offsets, count, needle, needle.count, &bits)
            #expect(booleans(bits, count) == expected)
            if count % 64 > 0 { #expect(bits[count / 64] >> UInt64(count % 64) == 0) }
            var portable = words(count)
            vk_text_match_portable(op, ignoreCase, bytes, offsets, count, needle, needle.count, &portable)
            #expect(portable == bits)
            for (row, answer) in zip(rows, expected) {
                #expect(vk_text_match_one(op, ignoreCase, row, row.count, needle, needle.count) == answer)
            }
        }
    }

    @Test(arguments: [
        ("a-b", "b", true), ("a-bc", "b", false), ("abc", "", true), ("x.exe", ".exe", true), ("caf\u{E9}s", "caf", false),
        ("", "a", false),
        ("foo bar", "FOO BAR", true), ("xfoo bar", "foo bar", false), ("foo_bar", "bar", true),
    ]) func hasTerm(_ sample: (String, String, Bool)) {
        let row = Array(sample.0.utf8)
        let needle = Array(sample.1.utf8)
        #expect(vk_text_match_one(VK_TEXT_HAS, true, row, row.count, needle, needle.count) == sample.2)
    }

    @Test func indexFindsFirst() {
        var random = Random(state: 2)
        for _ in 0..<400 {
            let s = random.bytes(random.below(300), of: Array("aAbB".utf8))
            let needle = random.bytes(1 + random.below(4), of: Array("aAbB".utf8))
            for fold in [true, false] {
                let from = random.below(s.count + 1)
                let hay = fold ? Self.folded(s) : s
                let n = fold ? Self.folded(needle) : needle
                let expected = (from..<max(from, s.count)).first { hay[$0...].starts(with: n) } ?? -1
                #expect(vk_text_index(s, s.count, from, needle, needle.count, fold) == expected)
            }
        }
        #expect(vk_text_index([1, 2], 2, 2, nil, 0, false) == 2)
        #expect(vk_text_index([1, 2], 2, 3, nil, 0, false) == -1)
    }

    @Test func bytes() {
        let all = Array(UInt8.min...UInt8.max)
        var out = all
        vk_text_lower(all, 256, &out)
        #expect(out == Self.folded(all))
        vk_text_upper(all, 256, &out)
        #expect(out == all.map { (97...122).contains($0) ? $0 - 32 : $0 })
        #expect(all.map { vk_text_is_term_byte($0) } == all.map { Self.isTerm($0) })
        for length in 0..<40 {
            var s = [UInt8](repeating: 65, count: length)
            #expect(vk_text_is_ascii(s, length))
            for place in 0..<length {
                s[place] = 0x80
                #expect(!vk_text_is_ascii(s, length))
                s[place] = 65
            }
        }
        #expect(vk_text_compare_ignoring_case([65, 66], 2, [97, 98], 2) == 0)
        #expect(vk_text_compare_ignoring_case([65], 1, [97, 98], 2) == -1)
        #expect(vk_text_compare_ignoring_case([99], 1, [66, 98], 2) == 1)
        let mixed = Array("a\u{E9}\u{20AC}\u{1F600}".utf8)
        #expect(vk_text_is_utf8(mixed, mixed.count))
        #expect(vk_text_code_points(mixed, mixed.count) == 4)
        #expect(!vk_text_is_utf8(mixed, mixed.count - 1))
        #expect(!vk_text_is_utf8([0xC0, 0x80], 2))
        #expect(!vk_text_is_utf8([0xED, 0xA0, 0x80], 3))
        #expect(vk_text_is_utf8(nil, 0))
    }
}
