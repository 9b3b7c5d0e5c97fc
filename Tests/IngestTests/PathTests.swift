import Columnar
import Glibc
import Testing

@testable import Ingest

@Suite struct PathTests {
    static func tree() throws -> Folder {
        let f = try Folder()
        for p in ["a/b/c", "AWSLogs/1/CloudTrail-Digest/x", "AWSLogs/1/CloudTrail/x", ".hidden", "a/.git"] { f.make(p) }
        for p in [
            "top.json", "a/one.json.gz", "a/b/two.json", "a/b/c/three.json.gz", "AWSLogs/1/CloudTrail-Digest/x/d.json.gz",
            "AWSLogs/1/CloudTrail/x/t.json.gz", ".hidden/h.json", "a/.git/g.json", "a/.h.json", "a/README.md", "a/x.yaml", "a/y.tmp",
            "a/z.py",
            "a/ground-truth.json", "a/w~",
        ] {
            try f.write(p, ["{}"])
        }
        return f
    }

    func expand(_ f: Folder, _ patterns: String...) -> [String] {
        InputPaths.expand(patterns.map { f[$0] }).files.map { String($0.path.dropFirst(f.path.count + 1)) }
    }

    @Test func folders() throws {
        let f = try PathTests.tree()
        let all = ["AWSLogs/1/CloudTrail/x/t.json.gz", "a/b/c/three.json.gz", "a/b/two.json", "a/one.json.gz", "top.json"]
        #expect(expand(f, ".").map { String($0.drop { "./".contains($0) }) } == all)
        #expect(expand(f, "a", "a/b", "a/one.json.gz") == ["a/b/c/three.json.gz", "a/b/two.json", "a/one.json.gz"])
        // What is named is read, whatever its name.
        #expect(expand(f, "a/README.md", "a/.h.json") == ["a/.h.json", "a/README.md"])
    }

    @Test func patterns() throws {
        let f = try PathTests.tree()
        #expect(expand(f, "*.json") == ["top.json"])
        #expect(expand(f, "a/*.json*") == ["a/ground-truth.json", "a/one.json.gz"])
        #expect(expand(f, "a/?") == ["a/b/c/three.json.gz", "a/b/two.json"])
        #expect(
            expand(f, "**/*.gz") == [
                "AWSLogs/1/CloudTrail-Digest/x/d.json.gz", "AWSLogs/1/CloudTrail/x/t.json.gz", "a/b/c/three.json.gz", "a/one.json.gz",
            ])
        #expect(expand(f, "a/**/*.json") == ["a/b/two.json", "a/ground-truth.json"])
        #expect(expand(f, "a/**/b/*.json") == ["a/b/two.json"])
        #expect(expand(f, "*/**/c/three*") == ["a/b/c/three.json.gz"])
        #expect(expand(f, "a/**") == ["a/b/c/three.json.gz", "a/b/two.json", "a/one.json.gz"])
        #expect(expand(f, "**/b/**/three.json.gz") == ["a/b/c/three.json.gz"])
    }

    @Test func linksDoNotLeadInCircles() throws {
        let f = try PathTests.tree()
        for (to, at) in [(".", "a/self"), ("..", "a/b/up"), ("../..", "a/b/c/top"), ("b", "a/other")] { #expect(symlink(to, f[at]) == 0) }
        #expect(symlink("one.json.gz", f["a/again.json.gz"]) == 0)
        #expect(symlink("nowhere", f["a/dangling.json"]) == 0)
        let files = InputPaths.expand([f["a"]]).files
        #expect(Set(files.map(\.size)) == [3])
        // Every file once, whatever its names are.
        #expect(files.map { String($0.path.dropFirst(f.path.count)) } == ["/a/again.json.gz", "/a/b/c/three.json.gz", "/a/b/two.json"])
        #expect(expand(f, "a/**/three.json.gz").count == 1)
        #expect(link(f["top.json"], f["hard.json"]) == 0)
        #expect(expand(f, "hard.json", "top.json") == ["hard.json"])
    }

    @Test func problems() throws {
        let f = try PathTests.tree()
        f.make("empty")
        let (files, problems) = InputPaths.expand([f["none"], f["*.none"], f["**/none"], f["empty"], f["top.json"]])
        #expect(files.count == 1 && problems.map(\.path) == [f["none"], f["*.none"], f["**/none"], f["empty"]])
        #expect(problems.map(\.reason) == ["No such file or directory", "no file matches", "no file matches", "holds no files"])
        #expect(problems.map(\.isEmpty) == [true, true, true, true])
        if geteuid() != 0 {
            chmod(f["a/b"], 0)
            let closed = InputPaths.expand([f["a"]])
            #expect(closed.files.count == 1 && closed.problems.map(\.path) == [f["a/b"]])
            chmod(f["a/b"], 0o755)
        }
        // A pipe inside a folder is not waited for.
        #expect(mkfifo(f["a/pipe"], 0o600) == 0)
        #expect(expand(f, "a").count == 3)
        #expect(throws: IngestError.self) { try FileInput(path: f["a"]) }
        #expect(throws: IngestError.self) { try FileInput(path: f["none"]) }
    }

    @Test(arguments: [
        ("/l/y=2026/m=03/d=02/h=10/m=00/PT1H.json", "2026-03-01T00:00:00Z"),
        ("AWSLogs/1/CloudTrail/eu/2026/03/02/f.gz", "2026-03-01T00:00:00Z"),
        ("/x/2026/02/31/f", nil), ("/x/y=2026/m=13/d=01/f", nil), ("/x/f.json", nil), ("/20260302/f", nil), ("/2026/3/2/f", nil),
        ("/y=2026/m=03/f", nil), ("", nil),
    ])
    func dates(_ path: String, _ expected: String?) {
        let ticks = InputPaths.dateInPath(path)
        #expect(ticks == (expected == nil ? nil : KustoTime.ticks(year: 2026, month: 3, day: 1)))
    }

    @Test func expandedFilesHaveBounds() throws {
        let f = try Folder()
        f.make("y=2026/m=03/d=02/h=01/m=00")
        try f.write("y=2026/m=03/d=02/h=01/m=00/PT1H.json", ["{}"])
        #expect(InputPaths.expand([f.path]).files.map(\.lowerBound) == [KustoTime.ticks(year: 2026, month: 3, day: 1)])
    }
}

@Suite struct PipeTests {
    @Test func pipes() throws {
        for (name, raw) in try DecodingTests.forms() {
            var ends: [Int32] = [0, 0]
            try #require(pipe(&ends) == 0)
            let (readEnd, writeEnd) = (ends[0], ends[1])
            // Less than what a pipe holds, in several writes.
            try #require(raw.count < 60_000)
            for part in 0..<3 {
                let piece = Array(raw[raw.count * part / 3..<raw.count * (part + 1) / 3])
                #expect(write(writeEnd, piece, piece.count) == piece.count)
            }
            close(writeEnd)
            #expect(try Harvest.of(PipeInput(descriptor: readEnd)).texts == lines(0..<400), "\(name)")
            close(readEnd)
        }
    }

    @Test func recordsDoNotWaitForTheChunk() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for e in ends { close(e) } }
        let reader = RecordReader(PipeInput(descriptor: ends[0]))
        reader.returnsEarly = true
        let chunk = Chunk()
        for i in 0..<3 {
            let raw = bytes(lines(i..<i + 1))
            #expect(write(ends[1], raw, raw.count) == raw.count)
            #expect(try reader.next(into: chunk, final: true) == .chunk)
            #expect(chunk.records.count == 1)
        }
    }

    /// A look at the beginning reads and inflates little, and gives the same records as a whole chunk.
    @Test func chunksMayBeSmall() throws {
        let raw = bytes(lines(0..<4_000))
        for content in [raw, try gzip(raw), try zstd(raw)] {
            let reader = RecordReader(MemoryInput(content, piece: { 4_096 }))
            reader.chunkSize = 8 << 10
            let chunk = Chunk()
            var all = Harvest()
            while try reader.next(into: chunk, final: true) == .chunk {
                #expect(chunk.produced <= 8 << 10)
                all.take(chunk)
            }
            #expect(all.texts == lines(0..<4_000))
        }
    }

    @Test func aSignalEndsTheWait() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for e in ends { close(e) } }
        let raw = bytes(lines(0..<3))
        #expect(write(ends[1], raw, raw.count) == raw.count)
        let deadline = ContinuousClock.now + .milliseconds(300)
        let input = PipeInput(descriptor: ends[0], isCancelled: { ContinuousClock.now > deadline })
        #expect(try Harvest.of(input).texts == lines(0..<3))
        #expect(try input.seek(to: 0) == false)
    }

    @Test func aBadDescriptorIsSaid() {
        #expect(throws: IngestError.self) { try Harvest.of(PipeInput(descriptor: 9999)) }
    }
}
