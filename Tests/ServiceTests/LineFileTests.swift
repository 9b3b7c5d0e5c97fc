import Columnar
import Glibc
import Ingest
import Testing

/// The files of dead letters and late records as a crash finds them.
@Suite struct LineFileTests {
    static func file(_ f: Folder, files: Int = 4) -> LineFile {
        let file = LineFile(path: f["x"], maximumBytes: 4096, maximumFiles: files)
        return file
    }
    static func line(_ n: Int) -> String { "line \(n) " + String(repeating: "x", count: 492) }
    static func numbers(_ f: Folder) -> [Int] {
        ["x.3", "x.2", "x.1", "x"].flatMap { f.lines($0) }.compactMap { Int($0.split(separator: " ").dropFirst().first ?? "") }
    }

    /// Any number of lines before the mark and after it, over rotations: exactly those after it go, and can come again.
    @Test(arguments: [0, 1, 7, 8, 9, 16, 23], [0, 1, 7, 8, 9, 17])
    func cutsBackToTheMark(_ before: Int, _ after: Int) throws {
        let f = try Folder()
        var mark: LineFile.Mark?
        do {
            let file = LineFileTests.file(f)
            file.prepare()
            for i in 0..<before { #expect(file.append(LineFileTests.line(i))) }
            mark = file.mark()
            for i in 0..<after { file.append(LineFileTests.line(before + i)) }
        }
        let file = LineFileTests.file(f)
        file.restore(to: try #require(mark))
        file.prepare()
        let kept = LineFileTests.numbers(f)
        // The cap takes the oldest for good; nothing else is missing, and nothing stands twice.
        #expect(kept == Array((0..<before).suffix(kept.count)))
        #expect(kept.count == before || before + after > 24)
        for i in before..<(before + after) { file.append(LineFileTests.line(i)) }
        let all = LineFileTests.numbers(f)
        #expect(all == Array((0..<(before + after)).suffix(all.count)) && all.count >= min(before + after, 24))
        #expect(file.failure == nil && file.dropped == 0)
    }

    @Test func filesOfOthersAreLeftAlone() throws {
        let f = try Folder()
        let mark: LineFile.Mark?
        do {
            let file = LineFileTests.file(f)
            file.append(LineFileTests.line(1))
            mark = file.mark()
        }
        rename(f["x"], f["elsewhere"])
        f.write("x", "not ours\n")
        f.write("x.1", "nor this\n")
        let file = LineFileTests.file(f)
        file.restore(to: try #require(mark))
        file.append("more")
        #expect(f.lines("x") == ["not ours", "more"] && f.lines("x.1") == ["nor this"])
    }

    @Test func aMarkOfTheLastByteChangesNothing() throws {
        let f = try Folder()
        let file = LineFileTests.file(f)
        #expect(file.mark() == nil)
        file.append("a")
        let mark = try #require(file.mark())
        #expect(mark.length == 2)
        let again = LineFileTests.file(f)
        again.restore(to: mark)
        #expect(f.lines("x") == ["a"])
        // Cut by somebody else: there is less than the mark says.
        truncate(f["x"], 0)
        LineFileTests.file(f).restore(to: mark)
        #expect(f.lines("x").isEmpty && again.failure == nil)
    }

    @Test func aFullDeviceIsCounted() {
        let file = LineFile(path: "/dev/full", maximumBytes: 4096, maximumFiles: 2)
        #expect(!file.append("a") && file.dropped == 1 && file.failure?.contains("No space") == true)
    }

    // MARK: Unfinished records

    final class Bytes: RawInput {
        var content: [UInt8]
        var position = 0
        init(_ text: String) { content = Array(text.utf8) }
        func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            let n = min(buffer.count, content.count - position)
            buffer.copyBytes(from: content[position..<(position + n)])
            position += n
            return n
        }
        func seek(to offset: UInt64) throws -> Bool {
            position = Int(offset)
            return true
        }
    }

    /// What is begun is told without being consumed: when its end comes, the record is whole.
    @Test(
        arguments: [
            ("{\"a\":1}\n", "", nil), ("{\"a\":1}\n{\"b\":", "2}\n", 8), ("{\"a\":\"x", "y\"}\n", 0), ("", "{\"a\":1}\n", nil),
            ("{\"a\":1}", "\n", nil), ("{\"a\":1}\n  \n", "", nil),
        ] as [(String, String, UInt64?)])
    func unfinishedRecords(_ first: String, _ rest: String, _ at: UInt64?) throws {
        let input = Bytes(first)
        let reader = RecordReader(input)
        let chunk = Chunk()
        var whole = 0
        while try reader.next(into: chunk, final: false) == .chunk { whole += chunk.records.count }
        for _ in 0..<2 {
            let problem = reader.unfinished()
            #expect(problem?.position == at)
            if let problem, let at {
                let open = String(decoding: problem.bytes, as: UTF8.self)
                #expect(open == first.dropFirst(Int(at)) && problem.length == UInt64(open.utf8.count))
            }
        }
        input.content += Array(rest.utf8)
        while try reader.next(into: chunk, final: false) == .chunk {
            whole += chunk.records.count
            #expect(chunk.problems.isEmpty)
        }
        #expect(reader.unfinished() == nil)
        #expect(whole == (first + rest).split(separator: "\n").filter { $0.contains("{") }.count)
    }

    /// A record over the limit that is still open: the kept part and the length are told, and its digest is not spoilt.
    @Test func unfinishedRecordOverTheLimit() throws {
        let body = "{\"a\":\"" + String(repeating: "x", count: 300_000)
        let input = Bytes(body)
        let reader = RecordReader(input, limits: IngestLimits(recordBytes: 100_000))
        let chunk = Chunk()
        while try reader.next(into: chunk, final: false) == .chunk {}
        let open = try #require(reader.unfinished())
        #expect(
            open.position == 0 && open.length == UInt64(body.utf8.count) && open.sha256 == nil
                && open.bytes.count == RecordProblem.keptBytes)
        input.content += Array("\"}\n".utf8)
        var problems: [RecordProblem] = []
        while try reader.next(into: chunk, final: true) == .chunk { problems += chunk.problems }
        let plain = RecordReader(Bytes(body + "\"}\n"), limits: IngestLimits(recordBytes: 100_000))
        var expected: [RecordProblem] = []
        while try plain.next(into: chunk, final: true) == .chunk { expected += chunk.problems }
        #expect(problems == expected && problems.first?.sha256 != nil)
    }
}
