import CKernels
import Testing

@testable import Ingest

/// Compression: every form gives the same records, whatever way the raw bytes come in.
@Suite struct DecodingTests {
    static let plain = bytes(lines(0..<400))

    static func forms() throws -> [(name: String, bytes: [UInt8])] {
        let a = bytes(lines(0..<150))
        let b = Array(plain[a.count...])
        // A cut inside a record, so that one record spans two members.
        let cut = a.count + 17
        return [
            ("plain", plain), ("gzip", try gzip(plain)), ("stored", try gzip([(plain, VK_FLUSH_FINISH)], level: 0)),
            ("members", try gzip(a) + gzip(b)), ("split record", try gzip(Array(plain[..<cut])) + gzip(Array(plain[cut...]))),
            ("empty members", try gzip([]) + gzip(a) + gzip([]) + gzip(b) + gzip([])),
            ("padded", try gzip(a) + [UInt8](repeating: 0, count: 700) + gzip(b) + [0, 0, 0]),
            ("flushed", try gzip([(a, VK_FLUSH_SYNC), (b, VK_FLUSH_FULL), ([], VK_FLUSH_FINISH)])),
            ("zstd", try zstd(plain)), ("zstd frames", try zstd(a) + zstd(b)), ("gzip then zstd", try gzip(a) + zstd(b)),
            ("zstd then gzip", try zstd(a) + gzip(b)),
        ]
    }

    @Test func everyFormGivesTheSameRecords() throws {
        let expected = lines(0..<400)
        for (name, raw) in try DecodingTests.forms() {
            for piece in [1, 2, 3, 7, 100, 4096, Int.max] {
                let h = try Harvest.of(raw, piece: piece)
                #expect(h.texts == expected, "\(name), pieces of \(piece)")
                #expect(h.reasons.isEmpty, "\(name), pieces of \(piece)")
            }
            var random = Random(state: UInt64(raw.count))
            let h = try Harvest.of(MemoryInput(raw, piece: { 1 + random.below(300) }), early: true)
            #expect(h.texts == expected, "\(name), random pieces")
        }
    }

    /// Thousands of streams may be followed: one that has nothing more for now holds no buffer, and one that has keeps the one it holds.
    @Test func aStarvedStreamHoldsNoBuffer() throws {
        let raw = try gzip([(DecodingTests.plain, VK_FLUSH_SYNC)])
        let decoder = StreamDecoder(limits: IngestLimits())
        var (at, produced) = (0, 0)
        var out = [UInt8](repeating: 0, count: 1000)
        func step() throws -> StreamDecoder.Outcome {
            try out.withUnsafeMutableBytes { room in
                try decoder.decode(into: room, final: false) { buffer in
                    let n = min(buffer.count, raw.count - at, 300)
                    buffer.copyBytes(from: raw[at..<(at + n)])
                    at += n
                    return n
                }
            }
        }
        while case .produced(let n) = try step() {
            produced += n
            #expect(decoder.holdsBuffer)
        }
        #expect(produced == DecodingTests.plain.count)
        #expect(!decoder.holdsBuffer)
    }

    @Test func flushedPiecesAppearWithoutWaiting() throws {
        let writer = try #require(vk_gzip_writer_new(6))
        defer { vk_gzip_writer_free(writer) }
        let input = MemoryInput([])
        let reader = RecordReader(input)
        let chunk = Chunk()
        #expect(try reader.next(into: chunk, final: false) == .waiting)
        for round in 0..<50 {
            let piece = lines(round * 10..<round * 10 + 10)
            let raw = bytes(piece)
            #expect(vk_gzip_write(writer, raw, raw.count, round % 7 == 6 ? VK_FLUSH_FINISH : VK_FLUSH_SYNC))
            var n = 0
            let out = vk_gzip_output(writer, &n)
            input.content += UnsafeBufferPointer(start: out, count: n)
            vk_gzip_clear_output(writer)
            var h = Harvest()
            try h.drain(reader, final: false)
            #expect(h.texts == piece, "round \(round)")
            #expect(try reader.next(into: chunk, final: false) == .waiting)
        }
    }

    @Test func truncationAtEveryByte() throws {
        let all = lines(0..<36)
        for (name, raw) in [
            ("gzip", try gzip(bytes(all))), ("members", try gzip(bytes(Array(all[..<18]))) + gzip(bytes(Array(all[18...])))),
            ("zstd", try zstd(bytes(all))),
        ] {
            for cut in 0..<raw.count {
                let h = try Harvest.of(Array(raw[..<cut]))
                #expect(h.texts.elementsEqual(all.prefix(h.texts.count)), "\(name) cut at \(cut)")
                let atEdge = cut == 0 || (name == "members" && h.texts.count == 18 && h.reasons.isEmpty)
                #expect(!h.reasons.isEmpty || atEdge, "\(name) cut at \(cut)")
                // The rest may still come: nothing is said before the end is final, and nothing is lost.
                let input = MemoryInput(Array(raw[..<cut]))
                let reader = RecordReader(input)
                var growing = Harvest()
                try growing.drain(reader, final: false)
                #expect(growing.reasons.isEmpty, "\(name) cut at \(cut)")
                input.content = raw
                try growing.drain(reader)
                #expect(growing.texts == all && growing.reasons.isEmpty, "\(name) cut at \(cut)")
            }
        }
    }

    @Test func aByteChangedNeverCrashesAndIsSaid() throws {
        let all = lines(0..<30)
        let raw = try gzip(bytes(all))
        var random = Random(state: 7)
        for at in 0..<raw.count {
            var bad = raw
            bad[at] ^= UInt8(1 + random.below(255))
            let h = try Harvest.of(bad)
            // Modification time, extra flags and system of the header mean nothing.
            // Nor do code lengths of symbols that do not occur.
            if !(4..<10).contains(at), h.texts != all { #expect(!h.reasons.isEmpty, "byte \(at)") }
        }
    }

    @Test func trailingGarbageIsReported() throws {
        let all = lines(0..<10)
        let h = try Harvest.of(try gzip(bytes(all)) + Array("what is this".utf8))
        #expect(h.texts == all)
        #expect(h.reasons.count == 1 && h.reasons[0].contains("no member"))
    }

    @Test func nothingInNothing() throws {
        for raw in [[], Array("   \n\n \t\r\n  ".utf8), try gzip([]), try gzip(Array("\n \n".utf8)), [0xEF, 0xBB, 0xBF]] as [[UInt8]] {
            #expect(try Harvest.of(raw) == Harvest())
        }
    }

    @Test func garbage() throws {
        let h = try Harvest.of(Array("hello\nworld\n{\"a\":1}\n\u{0}\u{1}\u{2}\n{\"b\":2}\n".utf8))
        #expect(h.texts == ["{\"a\":1}", "{\"b\":2}"])
        #expect(h.reasons == ["not JSON", "not JSON", "not JSON"])
        #expect(h.problems.map(\.length) == [5, 5, 3])
    }

    @Test func zipBombStopsByRatio() throws {
        let writer = try #require(vk_gzip_writer_new(9))
        defer { vk_gzip_writer_free(writer) }
        let blank = [UInt8](repeating: 0x20, count: 1 << 20)
        for _ in 0..<200 { #expect(vk_gzip_write(writer, blank, blank.count, VK_FLUSH_NONE)) }
        #expect(vk_gzip_write(writer, [], 0, VK_FLUSH_FINISH))
        var n = 0
        let out = vk_gzip_output(writer, &n)
        let raw = Array(UnsafeBufferPointer(start: out, count: n))
        let reader = RecordReader(MemoryInput(raw), limits: IngestLimits(expansionRatio: 100))
        var h = Harvest()
        try h.drain(reader)
        #expect(h.reasons.count == 1 && h.reasons[0].contains("100 times"))
        #expect(reader.inflatedOffset < 70 << 20)
        #expect(try Harvest.of(raw, limits: IngestLimits(expansionRatio: 2000)).reasons.isEmpty)
    }

    @Test func membersOfProblemsAreCounted() throws {
        let h = try Harvest.of(try gzip(bytes(["{}", "x"])) + gzip(bytes(["y"])) + gzip(bytes(["{}", "{}", "z"])))
        #expect(h.problems.map(\.member) == [0, 1, 2])
    }

    @Test func anIOErrorComesAfterWhatWasRead() throws {
        final class Failing: RawInput {
            var left: [[UInt8]] = []
            var broken = true
            func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
                guard let next = left.popLast() else {
                    if broken { throw IngestError("input/output error") }
                    return 0
                }
                buffer.copyBytes(from: next)
                return next.count
            }
            func seek(to offset: UInt64) throws -> Bool { false }
        }
        let input = Failing()
        input.left = [bytes(lines(0..<5))]
        let reader = RecordReader(input)
        let chunk = Chunk()
        #expect(try reader.next(into: chunk, final: true) == .chunk)
        #expect(chunk.records.count == 5)
        #expect(throws: IngestError.self) { try reader.next(into: chunk, final: true) }
        input.broken = false
        input.left = [bytes(lines(5..<7))]
        #expect(try reader.next(into: chunk, final: true) == .chunk)
        #expect(chunk.records.count == 2)
    }
}
