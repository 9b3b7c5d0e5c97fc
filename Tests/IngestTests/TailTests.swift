import CKernels
import Glibc
import Testing

@testable import Ingest

/// A tail with a clock of its own, as the daemon drives it.
final class Daemon {
    let folder: Folder
    let pattern: String
    var startAt = TailSet.StartAt.beginning
    var now: UInt64 = 1_000_000_000_000
    var events: [TailEvent] = []
    var texts: [String] = []
    var problems: [String] = []
    var maximumOpen = 512
    /// The streams as the state store has them.
    var store: [String: SavedStream] = [:]
    /// Saves what is open and what ends, instead of what ``TailSet/checkpoint()`` names.
    var savesEverything = false
    private var saved: (texts: [String], problems: [String]) = ([], [])
    private(set) var tail: TailSet?

    init(_ folder: Folder, _ pattern: String, startAt: TailSet.StartAt = .beginning) {
        self.folder = folder
        self.pattern = pattern
        self.startAt = startAt
        start()
    }

    func start() {
        let tail = TailSet(
            specs: [TailSpec(pattern: folder[pattern])], startAt: startAt, limits: IngestLimits(), saved: Array(store.values)
        ) { [unowned self] in events.append($0) }
        tail.clock = { [unowned self] in now }
        tail.maximumOpen = maximumOpen
        self.tail = tail
    }

    /// Everything since the last checkpoint is as if it had not been.
    func crash() {
        (texts, problems) = saved
        start()
    }

    func restart() {
        checkpoint()
        start()
    }

    func checkpoint() {
        guard let tail else { return }
        saved = (texts, problems)
        if savesEverything {
            for s in tail.streams { store[s.id] = TailSet.saved(s) }
            return
        }
        let (changed, forgotten) = tail.checkpoint()
        for s in changed { store[s.id] = s }
        for id in forgotten { store[id] = nil }
    }

    func read() throws {
        let chunk = Chunk()
        for s in tail?.streams ?? [] {
            while try s.next(into: chunk) == .chunk {
                var h = Harvest()
                h.take(chunk)
                texts += h.texts
                problems += h.reasons
            }
        }
        for s in tail?.removeFinished() ?? [] where savesEverything {
            store[s.id] = TailSet.saved(s)
            checkpoint()
        }
    }

    func round(seconds: UInt64 = 1) throws {
        now += seconds * 1_000_000_000
        tail?.scan()
        try read()
    }

    /// Rounds until everything has settled.
    func settle() throws { for _ in 0..<16 { try round() } }

    func path(_ name: String) -> String { folder[name] }
}

@Suite struct TailTests {
    @Test func newFilesAndGrowth() throws {
        let f = try Folder()
        let d = Daemon(f, "*.log")
        try d.round()
        #expect(d.events == [.noMatch(pattern: f["*.log"])])
        try d.round()
        #expect(d.events.count == 1)
        try f.write("a.log", lines(0..<3))
        try d.round()
        #expect(d.texts == lines(0..<3))
        #expect(d.events.last == .opened(path: f["a.log"], from: "beginning"))
        try f.append("a.log", "{\"n\":")
        try d.round()
        try f.append("a.log", "77}\n")
        try f.write("b.log", lines(5..<6))
        try d.round()
        #expect(d.texts == lines(0..<3) + ["{\"n\":77}"] + lines(5..<6))
        #expect(d.problems.isEmpty && d.tail?.streams.count == 2)
    }

    @Test func renameRotationInsideAndOutsideThePattern() throws {
        for pattern in ["x.log*", "x.log"] {
            let f = try Folder()
            let d = Daemon(f, pattern)
            try f.write("x.log", lines(0..<10))
            try d.round()
            try f.append("x.log", lines(10..<12))
            f.rename("x.log", "x.log.1")
            try f.write("x.log", lines(20..<25))
            try d.round()
            // The writer still has the old file open for a while.
            try f.append("x.log.1", lines(12..<14))
            try d.round()
            try d.settle()
            #expect(d.texts.sorted() == (lines(0..<14) + lines(20..<25)).sorted(), "\(pattern)")
            #expect(d.problems.isEmpty)
            if pattern == "x.log*" {
                #expect(d.events.contains(.rotated(from: f["x.log"], to: f["x.log.1"])))
            } else {
                #expect(d.events.contains(.finished(path: f["x.log"])))
            }
        }
    }

    @Test func renameThenCompress() throws {
        let f = try Folder()
        let d = Daemon(f, "x.log*")
        try f.write("x.log", lines(0..<3000))
        try d.round()
        try f.append("x.log", lines(3000..<3010))
        f.rename("x.log", "x.log.1")
        try f.write("x.log", lines(4000..<4010))
        try d.round()
        // The compressor writes piece by piece, beside its source.
        let packed = try gzip(try f.read("x.log.1"))
        for part in 0..<4 {
            try f.append("x.log.1.gz", Array(packed[packed.count * part / 4..<packed.count * (part + 1) / 4]))
            try d.round()
        }
        f.remove("x.log.1")
        try d.settle()
        // And the next turn of the wheel.
        f.rename("x.log.1.gz", "x.log.2.gz")
        try f.compress("x.log", "x.log.1.gz")
        try d.settle()
        d.restart()
        try d.settle()
        #expect(d.texts.sorted() == (lines(0..<3010) + lines(4000..<4010)).sorted())
        #expect(d.problems.isEmpty)
    }

    @Test func aLargeCopyComesSlowlyWhenTheSourceIsGone() throws {
        let f = try Folder()
        let d = Daemon(f, "x.log*")
        let all = lines(0..<8000, padding: 120)
        try f.write("x.log", Array(all[..<7990]))
        try d.round()
        try f.append("x.log", Array(all[7990...]))
        let copy = try f.read("x.log")
        // The last lines are gone with the file as long as nobody has it open; the copy has them.
        d.restart()
        f.remove("x.log")
        try d.settle()
        for part in 0..<6 {
            try f.append("x.log.1", Array(copy[copy.count * part / 6..<copy.count * (part + 1) / 6]))
            try d.settle()
        }
        let isExact = d.texts == all
        #expect(isExact && d.problems.isEmpty, "\(d.texts.count) records of \(all.count)")
    }

    @Test func copyTruncate() throws {
        for regrown in [0, 5, 500] {
            let f = try Folder()
            let d = Daemon(f, "x.log*")
            try f.write("x.log", lines(0..<100))
            try d.round()
            try f.append("x.log", lines(100..<120))
            try f.copy("x.log", "x.log.1")
            if regrown == 5 { try d.round() }
            f.truncate("x.log")
            try f.append("x.log", lines(1000..<1000 + regrown))
            try d.settle()
            #expect(d.texts.sorted() == (lines(0..<120) + lines(1000..<1000 + regrown)).sorted(), "\(regrown) lines behind the cut")
            #expect(d.problems.isEmpty)
            #expect(d.events.contains(.truncated(path: f["x.log"])))
        }
    }

    @Test func thingsThatHappenWhileDown() throws {
        let f = try Folder()
        let d = Daemon(f, "x.log*")
        try f.write("x.log", lines(0..<200))
        try d.round()
        d.checkpoint()
        // Growth.
        try f.append("x.log", lines(200..<210))
        d.start()
        try d.round()
        #expect(d.texts == lines(0..<210))
        #expect(d.events.contains { if case .opened(f["x.log"], let from) = $0 { from.contains("resumed") } else { false } })
        // Rotation.
        d.checkpoint()
        try f.append("x.log", lines(210..<220))
        f.rename("x.log", "x.log.1")
        try f.write("x.log", lines(300..<310))
        d.start()
        try d.settle()
        #expect(d.texts.sorted() == (lines(0..<220) + lines(300..<310)).sorted())
        // Rotation with compression.
        d.checkpoint()
        try f.append("x.log", lines(310..<320))
        f.rename("x.log.1", "x.log.2")
        try f.compress("x.log", "x.log.1.gz")
        try f.write("x.log", lines(400..<405))
        d.start()
        try d.settle()
        #expect(d.texts.sorted() == (lines(0..<220) + lines(300..<320) + lines(400..<405)).sorted())
        // Truncation, with less and with more than there was.
        d.checkpoint()
        f.truncate("x.log")
        try f.append("x.log", lines(500..<502))
        d.start()
        try d.settle()
        d.checkpoint()
        f.truncate("x.log")
        try f.append("x.log", lines(600..<700))
        d.start()
        try d.settle()
        #expect(
            d.texts.sorted()
                == (lines(0..<220) + lines(300..<320) + lines(400..<405) + lines(500..<502) + lines(600..<700)).sorted())
        #expect(d.problems.isEmpty)
    }

    @Test func vanishedAndReplacedFiles() throws {
        let f = try Folder()
        let d = Daemon(f, "*.log")
        try f.write("a.log", lines(0..<5))
        try d.round()
        try f.append("a.log", lines(5..<7))
        try f.append("a.log", "{\"cut\":")
        f.remove("a.log")
        try d.round()
        #expect(d.texts == lines(0..<7) && d.tail?.streams.count == 1)
        try d.settle()
        #expect(d.problems == ["record ends before its brackets close"] && d.tail?.streams.isEmpty == true)
        // A tool that fetches the whole file anew and renames it into place.
        try f.write("b.log", lines(100..<200))
        try d.round()
        try f.write("new", lines(100..<230))
        f.rename("new", "b.log")
        try d.settle()
        #expect(d.texts == lines(0..<7) + lines(100..<230))
    }

    @Test func unreadableFiles() throws {
        let f = try Folder()
        let d = Daemon(f, "*.log")
        try f.write("a.log", lines(0..<2))
        chmod(f["a.log"], 0)
        try f.write("b.log", lines(2..<4))
        try d.round()
        try d.round()
        if geteuid() != 0 {
            #expect(d.texts == lines(2..<4))
            #expect(d.events.filter { if case .unreadable = $0 { true } else { false } }.count == 1)
        }
        chmod(f["a.log"], 0o600)
        try d.round()
        #expect(d.texts.sorted() == lines(0..<4).sorted())
        // A link to itself cannot be opened by anybody.
        #expect(symlink("loop.log", f["loop.log"]) == 0)
        let loop = Daemon(f, "loop.log")
        try loop.round()
        try loop.round()
        #expect(loop.events.count == 1)
        if case .unreadable(let path, let reason)? = loop.events.first {
            #expect(path == f["loop.log"] && reason.contains("symbolic links"))
        } else {
            Issue.record("\(loop.events)")
        }
        // Something that cannot be a log.
        let single = Daemon(f, "no/such/file")
        try single.round()
        try single.round()
        #expect(single.events == [.noMatch(pattern: f["no/such/file"])])
    }

    @Test func damagedFilesAreReportedOnce() throws {
        let f = try Folder()
        let d = Daemon(f, "*.gz")
        var raw = try gzip(bytes(lines(0..<50)))
        raw[raw.count - 6] ^= 1
        try f.write("a.gz", raw)
        try d.settle()
        d.restart()
        try d.settle()
        try f.append("a.gz", [1, 2, 3])
        try d.settle()
        #expect(d.texts == lines(0..<50))
        #expect(d.problems.count == 1 && d.problems[0].contains("checksum"))
    }

    @Test func startAtTheEnd() throws {
        let f = try Folder()
        try f.write("a.log", lines(0..<10))
        try f.append("a.log", "{\"n\":")
        try f.write("b.gz", try gzip([(bytes(lines(0..<10)), VK_FLUSH_SYNC)]))
        try f.write("c.log", [UInt8]())
        let d = Daemon(f, "*", startAt: .end)
        try d.round()
        #expect(d.texts.isEmpty)
        try f.append("a.log", "1}\n{\"n\":2}\n")
        try f.append("c.log", lines(50..<51))
        try f.write("d.log", lines(60..<61))
        let more = try gzip([(bytes(lines(0..<10)), VK_FLUSH_SYNC), (bytes(lines(10..<12)), VK_FLUSH_FINISH)])
        try f.write("b.gz", more)
        try d.settle()
        #expect(d.texts.sorted() == (["{\"n\":1}", "{\"n\":2}"] + lines(10..<12) + lines(50..<51) + lines(60..<61)).sorted())
        #expect(d.problems.isEmpty)
        #expect(d.events.contains(.opened(path: f["a.log"], from: "end")))
        // What appears while the daemon is down is read from its beginning.
        d.checkpoint()
        try f.write("e.log", lines(70..<73))
        d.start()
        try d.settle()
        #expect(d.texts.suffix(3) == lines(70..<73)[...])
    }

    @Test func resumeInsideAGrowingMember() throws {
        let f = try Folder()
        let d = Daemon(f, "*.gz")
        let writer = try #require(vk_gzip_writer_new(6))
        defer { vk_gzip_writer_free(writer) }
        var ahead = 0
        for round in 0..<20 {
            let raw = bytes(lines(round * 20..<round * 20 + 20))
            #expect(vk_gzip_write(writer, raw, raw.count, VK_FLUSH_SYNC))
            var n = 0
            let out = vk_gzip_output(writer, &n)
            let part = Array(UnsafeBufferPointer(start: out, count: n))
            vk_gzip_clear_output(writer)
            try f.append("a.gz", part)
            try d.round()
            #expect(d.texts == lines(0..<round * 20 + 20))
            d.restart()
            ahead += d.store.values.filter { $0.resume.rawOffset > 0 }.count
        }
        #expect(ahead == 20 && d.problems.isEmpty)
    }

    @Test func documentsRewrittenInPlace() throws {
        for (name, replace) in [("in place", false), ("by rename", true)] {
            let f = try Folder()
            let d = Daemon(f, "y=2026/**")
            f.make("y=2026/m=03/d=02/h=10/m=00")
            let path = "y=2026/m=03/d=02/h=10/m=00/PT1H.json"
            for minute in 1...12 {
                let document = ResumeTests.document(0..<minute * 3)
                if replace {
                    try f.write("new", document)
                    f.rename("new", path)
                } else if minute % 4 == 3 {
                    // Cut and written in two parts.
                    f.truncate(path)
                    try d.round()
                    try f.append(path, Array(document.prefix(50)))
                    try d.round()
                    try f.append(path, Array(document.dropFirst(50)))
                } else {
                    try f.write(path, document)
                }
                if minute % 5 == 0 { d.restart() }
                try d.settle()
                let isExact = d.texts == lines(0..<minute * 3)
                #expect(isExact, "\(name), minute \(minute)")
            }
            #expect(d.problems.isEmpty, "\(name)")
        }
    }

    @Test func similarFilesAreNotCopies() throws {
        let f = try Folder()
        let d = Daemon(f, "x.log*")
        // The same first line, in files of one family that are not copies.
        try f.write("x.log", ["{\"start\":true}"] + lines(0..<5))
        try f.write("x.log.1", ["{\"start\":true}"] + lines(10..<40))
        try f.write("x.log.2", ["{\"start\":true}"])
        try d.settle()
        try d.settle()
        let expected = lines(0..<5) + lines(10..<40) + [String](repeating: "{\"start\":true}", count: 2)
        // One that holds nothing but what the others begin with may be a copy in the making; it is told once it grows.
        #expect(d.texts.sorted() == expected.sorted())
        try f.append("x.log.2", lines(50..<52))
        try d.settle()
        #expect(d.texts.sorted() == (expected + ["{\"start\":true}"] + lines(50..<52)).sorted())
    }

    @Test func manyFilesWithFewOpen() throws {
        let f = try Folder()
        let d = Daemon(f, "*.log")
        d.maximumOpen = 8
        d.start()
        for i in 0..<60 { try f.write("f\(i).log", lines(i * 10..<i * 10 + 5)) }
        try d.settle()
        #expect(d.texts.count == 300 && (d.tail?.streams.count ?? 99) <= 8)
        for i in 0..<60 { try f.append("f\(i).log", lines(i * 10 + 5..<i * 10 + 10)) }
        f.rename("f3.log", "g3.log")
        try d.settle()
        d.restart()
        try d.settle()
        #expect(d.texts.sorted() == lines(0..<600).sorted())
        let (changed, _) = d.tail?.checkpoint() ?? ([], [])
        try d.settle()
        #expect(!changed.isEmpty || d.store.count == 60)
        #expect(d.tail?.checkpoint().changed.isEmpty == true)
        #expect(d.store.values.contains { $0.path == f["g3.log"] })
    }

    @Test func scansAreLinear() throws {
        let f = try Folder()
        func cost(_ n: Int) throws -> UInt64 {
            for i in 0..<n { try f.write("s\(i).log", ["{\"n\":\(i)}"]) }
            let d = Daemon(f, "*.log")
            for _ in 0..<(n / 300 + 4) { try d.round() }
            #expect(d.texts.count >= n)
            let start = vk_thread_cpu_ns()
            for _ in 0..<3 { try d.round() }
            return (vk_thread_cpu_ns() - start) / 3
        }
        let few = try cost(500)
        let many = try cost(5000)
        #expect(many < few * 40 + 50_000_000, "500 files: \(few / 1000) us, 5,000 files: \(many / 1000) us")
        #expect(many < 1_000_000_000)
    }

    @Test func aFamilyOfManyIsNotQuadratic() throws {
        let f = try Folder()
        for i in 0..<400 { try f.write("x.log.\(i)", lines(i * 3..<i * 3 + 3)) }
        let d = Daemon(f, "x.log*")
        let start = vk_thread_cpu_ns()
        try d.settle()
        #expect(d.texts.count == 1200)
        #expect(vk_thread_cpu_ns() - start < 20_000_000_000)
    }

    @Test func wakesUp() throws {
        let f = try Folder()
        let tail = TailSet(
            specs: [TailSpec(pattern: f["*.log"])], startAt: .beginning, limits: IngestLimits(), saved: []
        ) { _ in }
        #expect(tail.wantsScan)
        tail.scan()
        #expect(!tail.wantsScan)
        try f.write("a.log", lines(0..<1))
        #expect(tail.wait(milliseconds: 5000) && tail.wantsScan)
        tail.scan()
        #expect(tail.streams.count == 1)
        _ = tail.wait(milliseconds: 10)
        try f.append("a.log", lines(1..<2))
        let start = vk_monotonic_ns()
        #expect(tail.wait(milliseconds: 5000))
        #expect(vk_monotonic_ns() - start < 4_000_000_000)
        #expect(!tail.wait(milliseconds: 1))
    }

    @Test(arguments: [
        ("/l/x.log", "/l/x.log"), ("/l/x.log.1", "/l/x.log"), ("/l/x.log.12.gz", "/l/x.log"), ("/l/x.log-20260302", "/l/x.log"),
        ("/l/x.log-20260302.gz", "/l/x.log"), ("/l/x.log.2026-03-02.zst", "/l/x.log"), ("/l/x.log.old", "/l/x.log"),
        ("/data.2026/x", "/data.2026/x"), ("/l/x-1.json", "/l/x-1.json"),
    ])
    func families(_ path: String, _ family: String) { #expect(TailSet.family(path) == family) }
}
