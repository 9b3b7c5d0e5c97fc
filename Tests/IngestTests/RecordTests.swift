import CKernels
import Testing

@testable import Ingest

/// Limits, envelopes and what becomes of records that cannot be read.
@Suite struct RecordTests {
    static func sha256(_ b: [UInt8]) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: 32)
        return vk_digest(VK_DIGEST_SHA256, b, b.count, &out) ? out : nil
    }

    @Test(arguments: [
        "{\"records\":[{\"a\":1},{\"a\":2},{\"a\":3}]}", "{\"Records\": [\n{\"a\":1},\n{\"a\":2},\n{\"a\":3}\n]}\n",
        "[{\"a\":1},{\"a\":2},{\"a\":3}]", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}", "{\"a\":1}{\"a\":2},{\"a\":3}",
        "[{\"records\":[{\"a\":1},{\"a\":2}]},{\"a\":3}]", "\u{FEFF}{\"value\":[{\"a\":1},{\"a\":2}],\"x\":1}\r\n{\"a\":3}\r\n",
        "{\"records\":[]}\n{\"a\":1}\n{\"records\":[{\"a\":2},{\"a\":3}]}\n{\"value\":[]}",
    ])
    func wrappings(_ text: String) throws {
        for piece in 1...max(1, text.utf8.count) {
            let h = try Harvest.of(Array(text.utf8), piece: piece)
            #expect(h.texts == ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"])
            #expect(h.reasons.isEmpty)
        }
    }

    @Test func anObjectWithAnEmptyListIsARecord() throws {
        let text = "{\"time\":\"2026-03-02T00:00:00Z\",\"value\":[]}"
        #expect(try Harvest.of(Array(text.utf8)).texts == [text])
        #expect(try Harvest.of(Array("{\"@odata.context\":\"x\",\"value\":[]}".utf8)).texts.isEmpty)
    }

    @Test func prettyPrinted() throws {
        let one = "{\n  \"a\": {\n    \"b\": [\n      1,\n      2\n    ]\n  }\n}"
        #expect(try Harvest.of(Array((one + "\n" + one + "\n").utf8)).texts == [one, one])
    }

    @Test func badUTF8IsHandedOn() throws {
        let raw: [UInt8] = Array("{\"a\":\"".utf8) + [0xFF, 0xC0, 0x80] + Array("\"}\n".utf8)
        let chunk = Chunk()
        #expect(try RecordReader(MemoryInput(raw)).next(into: chunk, final: true) == .chunk)
        #expect(chunk.records.map { Array(chunk.data[$0.offset..<$0.offset + $0.length]) } == [Array(raw.dropLast())])
    }

    @Test func recordLimit() throws {
        func record(_ n: Int) -> String { "{\"x\":\"" + String(repeating: "y", count: n - 8) + "\"}" }
        for limit in [100, 5000, 70_000, 1 << 20, 3 << 20] {
            let raw = bytes([record(limit), record(limit + 1), record(limit - 1)])
            for piece in [977, 65_536, Int.max] {
                let h = try Harvest.of(raw, limits: IngestLimits(recordBytes: limit), piece: piece)
                #expect(h.texts.map(\.utf8.count) == [limit, limit - 1])
                let problem = try #require(h.problems.first)
                #expect(h.problems.count == 1)
                #expect(problem.length == UInt64(limit + 1) && problem.position == UInt64(limit + 1))
                let whole = Array(record(limit + 1).utf8)
                #expect(problem.bytes == Array(whole.prefix(64 << 10)))
                #expect(problem.reason == "record of \(limit + 1) bytes; the limit is \(limit)")
                let letter = DeadLetter(source: "s", problem: problem)
                #expect(letter.sha256 == RecordTests.sha256(whole)?.map { String(Int($0) + 256, radix: 16).dropFirst() }.joined())
            }
        }
    }

    @Test func depthLimit() throws {
        func nested(_ n: Int) -> String { String(repeating: "{\"a\":", count: n) + "1" + String(repeating: "}", count: n) }
        let h = try Harvest.of(bytes([nested(128), nested(129), nested(10_000), nested(5)]))
        #expect(h.texts == [nested(128), nested(5)])
        #expect(h.reasons == ["nested deeper than 128 levels", "nested deeper than 128 levels"])
        // A limit of its own, and an envelope that does not count.
        let e = try Harvest.of(Array("{\"records\":[\(nested(3)),\(nested(4))]}".utf8), limits: IngestLimits(depth: 3))
        #expect(e.texts == [nested(3)] && e.reasons == ["nested deeper than 3 levels"])
    }

    /// Makes its bytes on the fly: a prologue, `count` times a middle, an epilogue.
    final class Generated: RawInput {
        let prologue: [UInt8]
        let epilogue: [UInt8]
        let middle: (Int) -> [UInt8]
        let count: Int
        var at = -1
        var rest: ArraySlice<UInt8> = []
        init(_ prologue: String, _ count: Int, _ epilogue: String, middle: @escaping (Int) -> [UInt8]) {
            self.prologue = Array(prologue.utf8)
            self.epilogue = Array(epilogue.utf8)
            self.count = count
            self.middle = middle
        }
        func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            if rest.isEmpty, at <= count {
                rest = (at < 0 ? prologue : at < count ? middle(at) : epilogue)[...]
                at += 1
            }
            let n = min(buffer.count, rest.count)
            rest.prefix(n).withUnsafeBytes { buffer.copyMemory(from: $0) }
            rest = rest.dropFirst(n)
            return n
        }
        func seek(to offset: UInt64) throws -> Bool { false }
    }

    @Test func aHugeRecordIsNotHeld() throws {
        let block = [UInt8](repeating: UInt8(ascii: "y"), count: 50_000)
        let input = Generated("{\"a\":1}\n{\"x\":\"", 1000, "\"}\n{\"b\":2}\n") { _ in block }
        let reader = RecordReader(input)
        let chunk = Chunk()
        var h = Harvest()
        var widest = 0
        while try reader.next(into: chunk, final: true) == .chunk {
            h.take(chunk)
            widest = max(widest, chunk.capacity)
        }
        #expect(h.texts == ["{\"a\":1}", "{\"b\":2}"])
        let problem = try #require(h.problems.first)
        #expect(problem.length == 50_000_008 && problem.bytes.count == 64 << 10 && problem.position == 8)
        #expect(problem.bytes.starts(with: "{\"x\":\"yyy".utf8))
        var all = Array("{\"x\":\"".utf8)
        for _ in 0..<1000 { all += block }
        #expect(problem.sha256 == RecordTests.sha256(all + Array("\"}".utf8)))
        #expect(widest <= 4 << 20)
    }

    @Test func aHugeLineOfGarbageIsNotHeld() throws {
        let block = [UInt8](repeating: UInt8(ascii: "y"), count: 50_000)
        let h = try Harvest.of(Generated("{\"a\":1}\n", 200, "\n{\"b\":2}\n") { _ in block })
        #expect(h.texts == ["{\"a\":1}", "{\"b\":2}"])
        #expect(h.problems.map(\.length) == [10_000_000] && h.problems[0].bytes.count == 64 << 10)
        #expect(h.problems[0].sha256 == RecordTests.sha256([UInt8](repeating: UInt8(ascii: "y"), count: 10_000_000)))
    }

    @Test func aHugeEnvelopeStreams() throws {
        // 200 MB in one line.
        let text = String(repeating: "z", count: 970)
        let count = 204_800
        let input = Generated("{\"records\":[", count, "]}") { i in Array("\(i == 0 ? "" : ","){\"n\":\(i),\"t\":\"\(text)\"}".utf8) }
        let reader = RecordReader(input)
        let chunk = Chunk()
        var seen = 0
        var total = 0
        var widest = 0
        var widestPoint = 0
        while try reader.next(into: chunk, final: true) == .chunk {
            for r in chunk.records {
                #expect(r.index == UInt64(seen))
                seen += 1
                total += r.length
            }
            #expect(chunk.problems.isEmpty)
            widest = max(widest, chunk.capacity)
            if seen % 50 == 0 { widestPoint = max(widestPoint, reader.resumePoint().bytes.count) }
        }
        #expect(seen == count && total > 200_000_000)
        #expect(widest <= 2 << 20)
        #expect(widestPoint < 200 << 10)
    }

    @Test func recordsThatAreCut() throws {
        let h = try Harvest.of(Array("{\"a\":1}\n{\"b\":\n{\"c\":3}\n{\"d\":\"x\n{\"e\":5}\n{\"f\":".utf8))
        #expect(h.texts.first == "{\"a\":1}" && h.texts.contains("{\"e\":5}"))
        #expect(h.reasons.last == "record ends before its brackets close")
        #expect(h.problems.last?.bytes == Array("{\"f\":".utf8))
    }
}
