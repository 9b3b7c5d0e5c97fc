import CKernels
import TestSupport
import Testing

@Suite struct InflateTests {
    static let gzipKinds: [vk_inflate_kind] = [VK_INFLATE_GZIP_ISAL, VK_INFLATE_GZIP_ZLIB]

    func zstd(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: vk_zstd_bound(bytes.count))
        let count = vk_zstd_compress(bytes, bytes.count, 3, &out, out.count)
        return Array(out[..<count])
    }

    @Test(arguments: gzipKinds, [0, 1, 6, 9] as [Int32])
    func roundTrips(kind: vk_inflate_kind, level: Int32) throws {
        for size in [0, 1, 100, 32768, 700_001] {
            let text = logText(size)
            let result = Inflated.of(kind, try gzip(text, level: level), inSize: 1000, outSize: 3000)
            #expect(result.status == VK_INFLATE_MEMBER_END)
            #expect(result.output == text)
        }
    }

    @Test(arguments: gzipKinds)
    func everySplitAndEveryTruncation(kind: vk_inflate_kind) throws {
        let text = logText(900)
        let packed = try gzip(text)
        for size in 1...packed.count {
            #expect(Inflated.of(kind, packed, inSize: size, outSize: 1 + size % 17).output == text)
            let cut = Inflated.of(kind, Array(packed[..<(size - 1)]))
            #expect(cut.status == VK_INFLATE_MORE_INPUT)
            #expect(text.starts(with: cut.output))
        }
        for split in 0...packed.count {
            let inflater = try #require(vk_inflater_new(kind))
            defer { vk_inflater_free(inflater) }
            let first = Inflated.run(inflater, Array(packed[..<split]))
            let second = split == packed.count ? Inflated() : Inflated.run(inflater, Array(packed[split...]))
            #expect(first.output + second.output == text)
            let position = vk_inflater_position(inflater)
            #expect(position.in_total == UInt64(packed.count))
            #expect(position.out_total == UInt64(text.count))
        }
    }

    @Test(arguments: gzipKinds)
    func damageIsSeen(kind: vk_inflate_kind) throws {
        let text = logText(2000)
        let packed = try gzip(text)
        for index in packed.indices where index > 9 || index < 4 {
            var damaged = packed
            damaged[index] ^= 0x10
            // A flag bit may turn a header field on: then the data differs or ends early.
            let result = Inflated.of(kind, damaged)
            // The padding bits behind the last block mean nothing.
            #expect(result.status != VK_INFLATE_MEMBER_END || result.output == text, "byte \(index)")
        }
        var wrongCheck = packed
        wrongCheck[packed.count - 6] ^= 1
        #expect(Inflated.of(kind, wrongCheck).status == VK_INFLATE_ERR_CHECKSUM)
        var wrongLength = packed
        wrongLength[packed.count - 1] ^= 1
        #expect(Inflated.of(kind, wrongLength).status == VK_INFLATE_ERR_CHECKSUM)
        #expect(Inflated.of(kind, Array("{\"a\":1}".utf8)).status == VK_INFLATE_ERR_HEADER)
        #expect(Inflated.of(kind, [0x1F, 0x8B, 7]).status == VK_INFLATE_ERR_UNSUPPORTED)
    }

    @Test(arguments: gzipKinds)
    func randomInputNeverMisbehaves(kind: vk_inflate_kind) throws {
        var random = Random(state: 7)
        let packed = try gzip(logText(5000))
        for round in 0..<400 {
            var input = round % 2 == 0 ? packed : [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + random.bytes(300, of: Array(0...255))
            for _ in 0..<(1 + random.below(4)) { input[random.below(input.count)] = UInt8(random.below(256)) }
            let result = Inflated.of(kind, input, inSize: 1 + random.below(100))
            #expect(result.consumed <= input.count)
        }
    }

    /// However the input and the room for output are cut, a damaged stream yields the same bytes, and these stand before the damage.
    @Test(arguments: gzipKinds + [VK_INFLATE_ZSTD])
    func damageShowsTheSameInAllCuts(kind: vk_inflate_kind) throws {
        var random = Random(state: 11)
        let text = logText(150_000)
        let packed = kind == VK_INFLATE_ZSTD ? zstd(text) : try gzip(text)
        var failed = 0
        var lenient = 0
        for round in 0..<300 {
            var input = packed
            var random0 = random.bytes(60, of: Array(0...255))
            random0[0] = random0[0] & 0xF8 | 2
            switch round % 3 {
            case 0: input = Array(packed.prefix(10 + random.below(40))) + random0
            case 1 where kind != VK_INFLATE_ZSTD: input = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + random0
            default: for _ in 0..<(1 + random.below(3)) { input[12 + random.below(input.count - 12)] ^= 1 << UInt8(random.below(8)) }
            }
            let whole = Inflated.of(kind, input, outSize: 400_000)
            let cut = Inflated.of(kind, input, inSize: 1 + random.below(300), outSize: 1 + random.below(5000))
            #expect(whole.output == cut.output && whole.status == cut.status, "round \(round): \(whole.output.count), \(cut.output.count)")
            guard whole.status.rawValue < 0 else { continue }
            failed += 1
            // What zlib makes is exact to the bit; a byte can hold the end of eight matches.
            let exact = Inflated.of(kind == VK_INFLATE_ZSTD ? kind : VK_INFLATE_GZIP_ZLIB, input)
            if exact.output.starts(with: whole.output), exact.output.count - whole.output.count <= 8 * 258 { continue }
            // isa-l takes tables that leave codes unused, until one of those comes; zlib refuses them.
            #expect(whole.output.starts(with: exact.output), "round \(round)")
            lenient += 1
        }
        #expect(failed > 150 && lenient < 5, "\(failed), \(lenient)")
    }

    /// Cut inside the header of a block, where the decoder holds a part of the input apart, and damaged just behind the cut.
    @Test(
        arguments: [
            (
                "1f8b08000000000004032a03000000ffff05c1411200100c03c0bff660341c44866a5f6e77454e3853bbd9c3e9bcb39c70298505559e415d18146374fb515e803a31000000",
                [6, 11, 20, 26, 37, 44]
            ),
            (
                "1f8b080000000000040304c10101000008c3a0acccf7cf20d85da4ac160db7535c2c57bb070000ffff2cc1010100000883b0ae07fa67d08da8349bf8d8243c000000ffff4b4e4a4c04003df2a5854a000000",
                [2, 6, 13, 20, 27, 33, 38, 43, 48, 50, 53, 54]
            ),
            (
                "1f8b08000000000004030cc1010100000883b0ac07fa67d04da6d95217aca51981b1191465b919d5266f76000000ffff05c1010100000082a0ad6aff370cb5021d530b2db7958821d99049ba992d44811d7a75fcee85000000",
                [1, 6, 10, 13, 16, 17, 22, 25, 27, 28, 33, 38, 40, 42, 45, 50, 51, 56, 58, 61, 65]
            ),
            (
                "1f8b08000000000000034acfcc4c294b04000000ffff04c1c10dc0200c03c059fdc17284682f2531305defea89c52fef3ed81e65647bb64884e87b8821508050b48582fb0d3b29fd000000ffff22597f26447f565679794926aa7e00000000ffff0300be453aeb8f000000",
                [2, 5, 12, 16, 29, 35, 42, 45, 59]
            ),
        ])
    func damageBehindACutInAHeader(hex: String, ends: [Int]) throws {
        let digits = Array(hex.utf8).map { $0 < 0x3A ? $0 - 0x30 : $0 - 0x57 }
        let input = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        let inflater = try #require(vk_inflater_new(VK_INFLATE_GZIP_ISAL))
        defer { vk_inflater_free(inflater) }
        var cut = Inflated()
        for end in ends + [input.count] where cut.status.rawValue >= 0 {
            let part = Inflated.run(inflater, Array(input[cut.consumed..<end]), members: false)
            cut = Inflated(output: cut.output + part.output, status: part.status, consumed: cut.consumed + part.consumed)
        }
        #expect(cut == Inflated.of(VK_INFLATE_GZIP_ISAL, input))
    }

    @Test(arguments: gzipKinds)
    func headerFields(kind: vk_inflate_kind) throws {
        let text = logText(500)
        let packed = try gzip(text)
        var header: [UInt8] = [0x1F, 0x8B, 8, 4 | 8 | 16 | 2, 1, 2, 3, 4, 0, 3]
        header += [5, 0, 9, 9, 9, 9, 9] + Array("name".utf8) + [0] + Array("comment".utf8) + [0]
        // CRC-16 of the header: the low half of its CRC-32.
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in header {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        crc = ~crc
        let full = header + [UInt8(crc & 0xFF), UInt8(crc >> 8 & 0xFF)] + packed[10...]
        for size in [1, 3, 1000] { #expect(Inflated.of(kind, full, inSize: size).output == text) }
        #expect(Inflated.of(kind, header + [UInt8(crc & 0xFF) ^ 1, UInt8(crc >> 8 & 0xFF)]).status == VK_INFLATE_ERR_CHECKSUM)
        #expect(Inflated.of(kind, [0x1F, 0x8B, 8, 0x20]).status == VK_INFLATE_ERR_UNSUPPORTED)
    }

    @Test(arguments: gzipKinds)
    func membersFollowEachOther(kind: vk_inflate_kind) throws {
        let parts = (1...5).map { logText($0 * 333, seed: UInt64($0)) }
        let packed = try parts.flatMap { try gzip($0) }
        for size in [1, 10, 100_000] {
            let result = Inflated.of(kind, packed, inSize: size)
            #expect(result.output == parts.flatMap { $0 })
            #expect(result.status == VK_INFLATE_MEMBER_END)
        }
        let one = try gzip(parts[0])
        let inflater = try #require(vk_inflater_new(kind))
        defer { vk_inflater_free(inflater) }
        let result = Inflated.run(inflater, one + [0, 0, 0], members: false)
        #expect(result.consumed == one.count)
        var consumed = 0
        var produced = 0
        #expect(vk_inflate_step(inflater, one, one.count, &consumed, nil, 0, &produced) == VK_INFLATE_ERR_STATE)
        #expect(vk_inflate_next_member(inflater) == VK_INFLATE_MORE_INPUT)
        let position = vk_inflater_position(inflater)
        #expect(position.member == 1)
        #expect(position.member_in_begin == UInt64(one.count))
        #expect(position.member_out_begin == UInt64(parts[0].count))
    }

    @Test(arguments: gzipKinds, [VK_FLUSH_PARTIAL, VK_FLUSH_SYNC, VK_FLUSH_FULL])
    func flushedDataIsVisible(kind: vk_inflate_kind, flush: vk_flush) throws {
        let writer = try #require(vk_gzip_writer_new(6))
        defer { vk_gzip_writer_free(writer) }
        let inflater = try #require(vk_inflater_new(kind))
        defer { vk_inflater_free(inflater) }
        var random = Random(state: 3)
        for round in 0..<300 {
            let text = logText(1 + random.below(round % 10 == 0 ? 60000 : 300), seed: random.next())
            #expect(vk_gzip_write(writer, text, text.count, flush))
            var count = 0
            let output = vk_gzip_output(writer, &count)
            let packed = Array(UnsafeBufferPointer(start: output, count: count))
            vk_gzip_clear_output(writer)
            let result = Inflated.run(inflater, packed, outSize: 1 + random.below(5000))
            #expect(result.status == VK_INFLATE_MORE_INPUT)
            #expect(result.output == text, "round \(round)")
        }
    }

    @Test func zstdFrames() {
        let text = logText(300_000)
        let packed = zstd(text)
        for size in [1, 777, 1_000_000] {
            let result = Inflated.of(VK_INFLATE_ZSTD, packed + packed, inSize: size)
            #expect(result.output == text + text)
            #expect(result.status == VK_INFLATE_MEMBER_END)
        }
        #expect(Inflated.of(VK_INFLATE_ZSTD, Array(packed[..<1000])).status == VK_INFLATE_MORE_INPUT)
        #expect(Inflated.of(VK_INFLATE_ZSTD, Array("no zstd at all".utf8)).status == VK_INFLATE_ERR_HEADER)
        var damaged = packed
        damaged[packed.count - 1] ^= 1
        #expect(Inflated.of(VK_INFLATE_ZSTD, damaged).status == VK_INFLATE_ERR_CHECKSUM)
        #expect(Inflated.of(VK_INFLATE_ZSTD, []).status == VK_INFLATE_MORE_INPUT)
    }

    @Test func whatFollows() {
        #expect(vk_inflate_following([0x1F, 0x8B, 8, 0], 4, false) == VK_FOLLOW_GZIP)
        #expect(vk_inflate_following([0x1F, 0x8B], 2, false) == VK_FOLLOW_NEED_MORE)
        #expect(vk_inflate_following([0x1F, 0x8B], 2, true) == VK_FOLLOW_OTHER)
        #expect(vk_inflate_following([0x28, 0xB5, 0x2F, 0xFD], 4, false) == VK_FOLLOW_ZSTD)
        #expect(vk_inflate_following([0x53, 0x2A, 0x4D, 0x18], 4, false) == VK_FOLLOW_ZSTD)
        #expect(vk_inflate_following([0, 0x1F], 2, false) == VK_FOLLOW_ZEROS)
        #expect(vk_inflate_following([0x7B], 1, false) == VK_FOLLOW_OTHER)
        #expect(vk_inflate_following(nil, 0, false) == VK_FOLLOW_NEED_MORE)
    }

    func snapshot(_ inflater: OpaquePointer) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: vk_inflate_snapshot(inflater, nil, 0))
        let count = vk_inflate_snapshot(inflater, &bytes, bytes.count)
        return Array(bytes[..<count])
    }

    /// Stops at many places, takes a snapshot, goes on in a fresh decoder from the position the snapshot names.
    @Test(arguments: gzipKinds, [0, 1, 9] as [Int32])
    func snapshotsResume(kind: vk_inflate_kind, level: Int32) throws {
        let first = logText(70_000, seed: 2)
        let second = logText(2_600_000, seed: 5)
        let all = first + second
        let packed = try gzip(first, level: level) + gzip([(second, VK_FLUSH_SYNC), ([], VK_FLUSH_FINISH)], level: level)
        let inflater = try #require(vk_inflater_new(kind))
        defer { vk_inflater_free(inflater) }
        let fresh = try #require(vk_inflater_new(kind))
        defer { vk_inflater_free(fresh) }
        var random = Random(state: UInt64(level) + 11)
        var fed = 0
        var produced = 0
        var latest: UInt64 = 0
        while fed < packed.count {
            let step = fed < 40 ? 1 : min(1 + random.below(packed.count / 12), packed.count - fed)
            let piece = Inflated.run(inflater, Array(packed[fed..<(fed + step)]), outSize: 1 + random.below(100_000))
            fed += piece.consumed
            produced += piece.output.count
            let saved = snapshot(inflater)
            var position = vk_inflate_position()
            #expect(vk_inflate_snapshot_position(saved, saved.count, &position) == VK_INFLATE_MORE_INPUT)
            #expect(position.in_total <= UInt64(fed) && position.out_total <= UInt64(produced))
            if kind == VK_INFLATE_GZIP_ISAL { #expect(position.in_total == UInt64(fed) && position.out_total == UInt64(produced)) }
            latest = max(latest, position.out_total)
            #expect(vk_inflate_restore(fresh, saved, saved.count) == VK_INFLATE_MORE_INPUT)
            #expect(vk_inflater_position(fresh).member == position.member)
            if Int(position.in_total) == packed.count { continue }
            let rest = Inflated.run(fresh, Array(packed[Int(position.in_total)...]), inSize: 100_000, outSize: 50_000)
            #expect(rest.status == VK_INFLATE_MEMBER_END, "fed \(fed)")
            #expect(rest.output == Array(all[Int(position.out_total)...]), "fed \(fed)")
        }
        #expect(produced == all.count)
        #expect(latest > 1_000_000)
    }

    @Test(arguments: gzipKinds)
    func badSnapshotsAreRefused(kind: vk_inflate_kind) throws {
        let packed = try gzip(logText(100_000))
        let inflater = try #require(vk_inflater_new(kind))
        defer { vk_inflater_free(inflater) }
        _ = Inflated.run(inflater, Array(packed[..<(packed.count / 2)]))
        let saved = snapshot(inflater)
        let other = try #require(vk_inflater_new(kind == VK_INFLATE_GZIP_ISAL ? VK_INFLATE_GZIP_ZLIB : VK_INFLATE_GZIP_ISAL))
        defer { vk_inflater_free(other) }
        #expect(vk_inflate_restore(other, saved, saved.count) == VK_INFLATE_ERR_SNAPSHOT)
        var random = Random(state: 1)
        for index in Array(0..<min(200, saved.count)) + (0..<200).map({ _ in random.below(saved.count) }) {
            var damaged = saved
            damaged[index] ^= UInt8(1 << random.below(8))
            #expect(vk_inflate_restore(inflater, damaged, damaged.count) == VK_INFLATE_ERR_SNAPSHOT, "byte \(index)")
        }
        for length in [0, 1, 7, 100, saved.count - 1] {
            #expect(vk_inflate_restore(inflater, saved, length) == VK_INFLATE_ERR_SNAPSHOT)
        }
        #expect(vk_inflate_restore(inflater, saved + [0], saved.count + 1) == VK_INFLATE_ERR_SNAPSHOT)
        // After a refusal the decoder is at a beginning.
        #expect(Inflated.run(inflater, packed).output == logText(100_000))
        let frames = try #require(vk_inflater_new(VK_INFLATE_ZSTD))
        defer { vk_inflater_free(frames) }
        #expect(vk_inflate_snapshot(frames, nil, 0) == 0)
        #expect(vk_inflate_restore(frames, saved, saved.count) == VK_INFLATE_ERR_SNAPSHOT)
    }
}
