import CKernels
import Testing

@testable import Ingest

/// Taking streams up again, at every place and under every circumstance.
@Suite struct ResumeTests {
    /// Reads with a restart after each chunk. Returns what came out and how many restarts began behind byte 0.
    static func restarting(
        _ raw: [UInt8], piece: Int, limits: IngestLimits = IngestLimits(), isExact: Bool = true
    ) throws -> (Harvest, Int) {
        var h = Harvest()
        var ahead = 0
        var input = MemoryInput(raw, piece: { piece })
        var reader = RecordReader(input, limits: limits)
        let chunk = Chunk()
        while true {
            reader.returnsEarly = true
            guard try reader.next(into: chunk, final: true) == .chunk else { break }
            h.take(chunk)
            if input.at == raw.count { continue }
            let point = reader.resumePoint()
            #expect(reader.resumePoint() == point)
            if point.rawOffset > 0 { ahead += 1 }
            input = MemoryInput(raw, piece: { piece })
            reader = try RecordReader(input, limits: limits, from: point)
            // No byte is decoded twice, but of zstd frames.
            if isExact { #expect(UInt64(input.at) == point.rawOffset) }
        }
        return (h, ahead)
    }

    @Test func everyBoundaryOfEveryForm() throws {
        let expected = try Harvest.of(DecodingTests.plain)
        for (name, raw) in try DecodingTests.forms() {
            for piece in [61, 300, 1500] {
                let (h, ahead) = try ResumeTests.restarting(raw, piece: piece, isExact: !name.contains("zstd"))
                #expect(h.texts == expected.texts, "\(name), pieces of \(piece)")
                #expect(h.records.map(\.position) == expected.records.map(\.position), "\(name)")
                #expect(h.reasons.isEmpty, "\(name)")
                #expect(ahead > 0 || name.hasPrefix("zstd") || piece == 1500, "\(name), pieces of \(piece)")
            }
        }
    }

    @Test func oneRestartAnywhere() throws {
        for (name, raw) in try DecodingTests.forms() {
            let input = MemoryInput(raw, piece: { 97 })
            let reader = RecordReader(input)
            reader.returnsEarly = true
            let chunk = Chunk()
            var h = Harvest()
            while try reader.next(into: chunk, final: true) == .chunk {
                h.take(chunk)
                let point = reader.resumePoint()
                let again = MemoryInput(raw)
                let other = try RecordReader(again, limits: IngestLimits(), from: point)
                if !name.contains("zstd") { #expect(UInt64(again.at) == point.rawOffset, "\(name)") }
                guard input.at < raw.count else { continue }
                var rest = h
                try rest.drain(other)
                #expect(rest.texts == lines(0..<400) && rest.reasons.isEmpty, "\(name), from byte \(point.rawOffset)")
            }
        }
    }

    @Test func problemsSurviveRestarts() throws {
        let long = "{\"x\":\"" + String(repeating: "abc", count: 1000) + "\"}"
        let raw = bytes(["{\"a\":1}", "garbage of some length that is cut", long, "{\"b\":[[[[1]]]]}", "{\"c\":3}"])
        let limits = IngestLimits(recordBytes: 500, depth: 4)
        let whole = try Harvest.of(raw, limits: limits)
        #expect(whole.texts == ["{\"a\":1}", "{\"c\":3}"] && whole.reasons.count == 3)
        for piece in [7, 13, 100] {
            let (h, _) = try ResumeTests.restarting(raw, piece: piece, limits: limits)
            #expect(h.records == whole.records && h.reasons == whole.reasons)
            #expect(h.problems.map(\.bytes) == whole.problems.map(\.bytes))
            #expect(h.problems.map(\.length) == whole.problems.map(\.length))
        }
    }

    @Test func chunkBoundariesOfALargeStream() throws {
        let all = lines(0..<40_000, padding: 80)
        let raw = try gzip(bytes(all))
        var texts: [String] = []
        let chunk = Chunk()
        var reader = RecordReader(MemoryInput(raw))
        var restarts = 0
        var least = UInt64.max
        while try reader.next(into: chunk, final: true) == .chunk {
            var h = Harvest()
            h.take(chunk)
            texts += h.texts
            let point = reader.resumePoint()
            if reader.inflatedOffset < UInt64(bytes(all).count) { least = min(least, point.rawOffset) }
            let input = MemoryInput(raw)
            reader = try RecordReader(input, limits: IngestLimits(), from: point)
            restarts += 1
            // The decoder goes on in the middle: nothing before the place is fed again.
            #expect(UInt64(input.at) == point.rawOffset)
        }
        #expect(texts == all && restarts > 2 && least > 0)
    }

    @Test func zlibSnapshotsAndUnusableOnesGiveTheSame() throws {
        let all = lines(0..<30_000, padding: 80)
        let raw = try gzip(bytes(Array(all[..<1000]))) + gzip(bytes(Array(all[1000...])))
        for spoil in [false, true] {
            for kind in [VK_INFLATE_GZIP_ISAL, VK_INFLATE_GZIP_ZLIB] {
                var out: [UInt8] = []
                var decoder = StreamDecoder(limits: IngestLimits(), kind: kind)
                var input = MemoryInput(raw, piece: { 40_000 })
                let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 50_000, alignment: 16)
                defer { room.deallocate() }
                var rounds = 0
                reading: while true {
                    switch try decoder.decode(into: room, final: true, read: { try input.read(into: $0) }) {
                    case .produced(let n): out += room.prefix(n)
                    case .failed(let why):
                        Issue.record("\(why)")
                        break reading
                    case .starved, .ended: break reading
                    }
                    rounds += 1
                    guard rounds % 9 == 0 else { continue }
                    var state = decoder.state
                    if spoil, !state.snapshot.isEmpty { state.snapshot[state.snapshot.count / 2] ^= 1 }
                    decoder = StreamDecoder(limits: IngestLimits(), kind: kind)
                    input = MemoryInput(raw, piece: { 40_000 })
                    let offset = try #require(decoder.restore(state, boundary: []))
                    #expect(offset >= state.memberRaw)
                    _ = try input.seek(to: offset)
                }
                #expect(out == bytes(all), "spoiled: \(spoil), kind \(kind.rawValue)")
            }
        }
    }

    @Test func damagedPointsAreRefused() throws {
        let raw = try gzip(bytes(lines(0..<500)))
        let input = MemoryInput(raw, piece: { 500 })
        let reader = RecordReader(input)
        reader.returnsEarly = true
        _ = try reader.next(into: Chunk(), final: false)
        _ = try reader.next(into: Chunk(), final: false)
        let point = reader.resumePoint()
        var random = Random(state: 3)
        for i in 0..<300 {
            var bad = point
            if i < 100 {
                bad.bytes.removeLast(1 + random.below(bad.bytes.count - 1))
            } else {
                bad.bytes[random.below(bad.bytes.count)] ^= UInt8(1 + random.below(255))
            }
            #expect(throws: IngestError.self) { try RecordReader(MemoryInput(raw), limits: IngestLimits(), from: bad) }
            #expect(throws: IngestError.self) { try RecordReader(MemoryInput(raw), limits: IngestLimits(), from: bad, fresh: true) }
        }
        #expect(throws: IngestError.self) {
            try RecordReader(MemoryInput(raw), limits: IngestLimits(), from: ResumePoint(rawOffset: 0, inflated: 0, bytes: []))
        }
        let pipe = MemoryInput(raw)
        pipe.canSeek = false
        #expect(throws: IngestError.self) { try RecordReader(pipe, limits: IngestLimits(), from: point) }
    }

    @Test func copiesAreAdoptedOnlyIfTheyAgree() throws {
        let all = lines(0..<2000)
        let plain = bytes(all)
        for (name, raw) in try DecodingTests.forms().filter({ $0.name != "padded" }).prefix(3).map({ $0 }) + [("long", plain)] {
            let full = name == "long" ? all : lines(0..<400)
            let input = MemoryInput(Array(raw.prefix(raw.count / 2)), piece: { 700 })
            let reader = RecordReader(input)
            var h = Harvest()
            try h.drain(reader, final: false)
            let point = reader.resumePoint()
            let content = bytes(full)
            for copy in [content, try gzip(content), try zstd(content), try gzip(Array(content[..<100])) + gzip(Array(content[100...]))] {
                let next = try RecordReader(MemoryInput(copy, piece: { 999 }), limits: IngestLimits(), from: point, fresh: true)
                var rest = Harvest()
                try rest.drain(next)
                #expect(h.texts + rest.texts == full, "\(name)")
            }
            // Shorter, and other data: at the beginning, and just before the place.
            let done = Int(point.inflated)
            try #require(done > 200)
            #expect {
                try RecordReader(MemoryInput(Array(content[..<(done - 1)])), limits: IngestLimits(), from: point, fresh: true)
            } throws: {
                ($0 as? ContentChanged)?.holdsLess == true
            }
            for at in [0, done - 1] {
                var other = content
                other[at] ^= 1
                #expect { try RecordReader(MemoryInput(other), limits: IngestLimits(), from: point, fresh: true) } throws: {
                    ($0 as? ContentChanged)?.holdsLess == false
                }
            }
        }
    }

    @Test func theSameFileIsComparedToo() throws {
        let content = bytes(lines(0..<3000))
        let reader = RecordReader(MemoryInput(Array(content[..<90_000])))
        try reader.skipToEnd()
        let point = reader.resumePoint()
        #expect(try Harvest.of(MemoryInput(content)).records.count == 3000)
        _ = try RecordReader(MemoryInput(content), limits: IngestLimits(), from: point)
        for at in [0, 60_000, 89_999] {
            var other = content
            other[at] ^= 1
            #expect(throws: ContentChanged.self) { try RecordReader(MemoryInput(other), limits: IngestLimits(), from: point) }
        }
    }

    @Test func pointsAreCheapWhileNothingHappens() throws {
        let input = MemoryInput(try gzip([(bytes(lines(0..<3000)), VK_FLUSH_SYNC)]))
        let reader = RecordReader(input)
        var h = Harvest()
        try h.drain(reader, final: false)
        let version = reader.version
        let point = reader.resumePoint()
        let chunk = Chunk()
        let start = vk_thread_cpu_ns()
        for _ in 0..<1000 {
            #expect(try reader.next(into: chunk, final: false) == .waiting)
            #expect(reader.resumePoint().rawOffset == point.rawOffset)
        }
        #expect(reader.version == version)
        #expect(vk_thread_cpu_ns() - start < 500_000_000)
        // A plain stream's point does not hold what it read.
        let plain = RecordReader(MemoryInput(bytes(lines(0..<3000))))
        try plain.skipToEnd()
        #expect(plain.resumePoint().bytes.count < 1000 && plain.headLength == 64 << 10)
    }

    @Test func skippingToTheEndKeepsTheUnfinishedLine() throws {
        for raw in [
            bytes(lines(0..<100)) + Array("{\"n\":100".utf8), try gzip([(bytes(lines(0..<100)) + Array("{\"n\":100".utf8), VK_FLUSH_SYNC)]),
        ] {
            let input = MemoryInput(raw)
            let reader = RecordReader(input)
            try reader.skipToEnd()
            if reader.isPlain {
                input.content += Array("}\n{\"n\":101}\n".utf8)
                var h = Harvest()
                try h.drain(reader, final: false)
                #expect(h.texts == ["{\"n\":100}", "{\"n\":101}"] && h.reasons.isEmpty)
            }
            #expect(!reader.isIdle || reader.isPlain)
        }
    }

    @Test func limitsOfTodayHold() throws {
        let raw = bytes(lines(0..<10)) + bytes(["{\"x\":\"" + String(repeating: "y", count: 300) + "\"}"])
        let reader = RecordReader(MemoryInput(Array(raw.prefix(60))))
        try reader.skipToEnd()
        let again = try RecordReader(MemoryInput(raw), limits: IngestLimits(recordBytes: 200), from: reader.resumePoint())
        var h = Harvest()
        try h.drain(again)
        #expect(h.reasons == ["record of 308 bytes; the limit is 200"])
    }

    // MARK: Documents rewritten in place

    static func document(_ range: Range<Int>) -> [UInt8] {
        Array("{\"records\":[".utf8) + Array(lines(range).joined(separator: ",").utf8) + Array("]}".utf8)
    }

    @Test(arguments: [1, 50, 9000])
    func aDocumentThatGrowsInPlace(_ step: Int) throws {
        for packed in [false, true] {
            let input = MemoryInput([])
            var reader = RecordReader(input)
            var h = Harvest()
            var count = 0
            for round in 0..<5 {
                count += step
                input.content = packed ? try gzip(ResumeTests.document(0..<count)) : ResumeTests.document(0..<count)
                try h.drain(reader, final: false)
                #expect(h.texts == lines(0..<count), "step \(step), round \(round), packed \(packed)")
                #expect(h.reasons.isEmpty)
                if round % 2 == 1 {
                    // A restart between two versions, and one that finds the next version.
                    let point = reader.resumePoint()
                    let again = MemoryInput(input.content)
                    reader = try RecordReader(again, limits: IngestLimits(), from: point)
                    try h.drain(reader, final: false)
                    reader = try RecordReader(input, limits: IngestLimits(), from: point)
                }
            }
        }
    }

    @Test func repeatedAndReorderedRecords() throws {
        func text(_ r: [String]) -> [UInt8] { Array("{\"records\":[\(r.joined(separator: ","))]}".utf8) }
        let a = "{\"a\":1}", b = "{\"b\":2}", c = "{\"c\":3}"
        let input = MemoryInput(text([a, a, b]))
        let reader = RecordReader(input)
        var h = Harvest()
        try h.drain(reader, final: false)
        input.content = text([a, c, a, b, a])
        try h.drain(reader, final: false)
        #expect(h.texts == [a, a, b, c, a])
        // Another document altogether is read whole.
        input.content = text([c, a, b, c, a, b, c, "{\"longer\":true}"])
        try h.drain(reader, final: false)
        #expect(h.texts == [a, a, b, c, a] + [c, a, b, c, a, b, c, "{\"longer\":true}"])
    }

    @Test func aRestartWhileARewrittenDocumentIsRead() throws {
        let old = ResumeTests.document(0..<30)
        let new = ResumeTests.document(0..<90)
        let reader = RecordReader(MemoryInput(old))
        var h = Harvest()
        try h.drain(reader, final: false)
        let saved = reader.resumePoint()
        #expect(throws: ContentChanged.self) { try RecordReader(MemoryInput(new), limits: IngestLimits(), from: saved) }
        for piece in [40, 333, 2000] {
            var rest = Harvest()
            var next = try #require(RecordReader(MemoryInput(new, piece: { piece }), limits: IngestLimits(), rewriting: saved))
            let chunk = Chunk()
            while true {
                next.returnsEarly = true
                guard try next.next(into: chunk, final: false) == .chunk else { break }
                rest.take(chunk)
                next = try RecordReader(MemoryInput(new, piece: { piece }), limits: IngestLimits(), from: next.resumePoint())
            }
            #expect(rest.texts == lines(30..<90))
        }
        // Cut short while it is rewritten: what was known stays known.
        let cut = MemoryInput(Array(new.prefix(400)))
        let half = try #require(RecordReader(cut, limits: IngestLimits(), rewriting: saved))
        var part = Harvest()
        try part.drain(half, final: false)
        #expect(part.texts.isEmpty)
        let after = try #require(RecordReader(MemoryInput(new), limits: IngestLimits(), rewriting: half.resumePoint()))
        try part.drain(after)
        #expect(part.texts == lines(30..<90))
    }

    @Test func replacedLinesAreNotMistakenForGrowth() throws {
        let input = MemoryInput(bytes(lines(0..<10)))
        let reader = RecordReader(input)
        var h = Harvest()
        try h.drain(reader, final: false)
        input.content = bytes(lines(500..<900))
        #expect(throws: ContentChanged.self) { try h.drain(reader, final: false) }
        #expect(h.texts == lines(0..<10))
    }
}
