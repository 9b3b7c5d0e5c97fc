import CKernels
import TestSupport
import Testing

/// A small deterministic generator.
struct Random: SeededGenerator {
    var state: UInt64

    mutating func below(_ n: Int) -> Int { Int(next() % UInt64(max(n, 1))) }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    mutating func bytes(_ n: Int, of alphabet: [UInt8]) -> [UInt8] { (0..<n).map { _ in alphabet[below(alphabet.count)] } }
}

/// Pieces to compress, each with the flush behind it.
func gzip(_ parts: [(bytes: [UInt8], flush: vk_flush)], level: Int32 = 6) throws -> [UInt8] {
    let writer = try #require(vk_gzip_writer_new(level))
    defer { vk_gzip_writer_free(writer) }
    for part in parts {
        let written = vk_gzip_write(writer, part.bytes, part.bytes.count, part.flush)
        #expect(written)
    }
    var count = 0
    let output = vk_gzip_output(writer, &count)
    return Array(UnsafeBufferPointer(start: output, count: count))
}

func gzip(_ bytes: [UInt8], level: Int32 = 6) throws -> [UInt8] { try gzip([(bytes, VK_FLUSH_FINISH)], level: level) }

/// Log-like text that compresses well but not trivially.
func logText(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = Random(state: seed)
    var out: [UInt8] = []
    while out.count < count {
        out += Array(
            "{\"time\":\"2026-03-02T10:00:0\(random.below(10))Z\",\"id\":\(random.next()),\"user\":\"u\(random.below(50))\"}\n".utf8)
    }
    return Array(out.prefix(count))
}

/// What a decoder made of some input.
struct Inflated: Equatable {
    var output: [UInt8] = []
    var status = VK_INFLATE_MORE_INPUT
    var consumed = 0
}

extension Inflated {
    /// Feeds `input` in pieces of `inSize`, with `outSize` bytes of room, through all members.
    static func run(_ inflater: OpaquePointer, _ input: [UInt8], inSize: Int = .max, outSize: Int = 4096, members: Bool = true) -> Inflated
    {
        var result = Inflated()
        var room = [UInt8](repeating: 0, count: outSize)
        while true {
            let end = input.count - result.consumed > inSize ? result.consumed + inSize : input.count
            var consumed = 0
            var produced = 0
            result.status = input.withUnsafeBufferPointer { buffer in
                vk_inflate_step(
                    inflater, buffer.baseAddress.map { $0 + result.consumed }, end - result.consumed, &consumed, &room, outSize, &produced)
            }
            result.consumed += consumed
            result.output += room[..<produced]
            switch result.status {
            case VK_INFLATE_MORE_OUTPUT: continue
            case VK_INFLATE_MORE_INPUT:
                if result.consumed == input.count { return result }
            case VK_INFLATE_MEMBER_END:
                if !members || result.consumed == input.count { return result }
                guard vk_inflate_next_member(inflater) == VK_INFLATE_MORE_INPUT else { return result }
            default: return result
            }
        }
    }

    static func of(_ kind: vk_inflate_kind, _ input: [UInt8], inSize: Int = .max, outSize: Int = 4096) -> Inflated {
        guard let inflater = vk_inflater_new(kind) else { return Inflated() }
        defer { vk_inflater_free(inflater) }
        return run(inflater, input, inSize: inSize, outSize: outSize)
    }
}

/// Bits of a bitmap as booleans.
func booleans(_ words: [UInt64], _ rows: Int) -> [Bool] { (0..<rows).map { words[$0 / 64] >> UInt64($0 % 64) & 1 == 1 } }

func words(_ rows: Int) -> [UInt64] { [UInt64](repeating: 0xAAAA_AAAA_AAAA_AAAA, count: (rows + 63) / 64) }
