import Columnar
import Detection
import Glibc
import Testing

@testable import Sinks

@Suite struct FileSinkTests {
    static func ids(_ lines: [String]) -> [String] {
        lines.map { if case .string(let id)? = JSONText.parse($0)?["id"] { id } else { "?" } }
    }

    @Test func writesLinesAndKnowsItsLength() throws {
        let f = try Folder()
        let sink = try FileSink(path: f["a"], format: .jsonl, committed: nil)
        #expect(sink.name == "file:" + f["a"] && !sink.isRemote && sink.mark?.length == 0)
        try sink.deliver([alert("1", name: "two\nlines"), alert("2")])
        try sink.flush()
        #expect(f.lines("a") == [alert("1", name: "two\nlines").jsonLine, alert("2").jsonLine])
        #expect(sink.mark?.length == UInt64(f.text("a").utf8.count))
        try sink.deliver([])
        #expect(f.lines("a").count == 2)
    }

    @Test func tableFormatIsOneLineAnAlert() throws {
        let f = try Folder()
        let entities = (0..<5).map {
            Entity(type: "Account", identifiers: [.init("Name", .string("u\($0)")), .init("UPNSuffix", .string("x"))])
        }
        try FileSink(path: f["a"], format: .table, committed: nil).deliver([alert("0123456789abcdef", entities: entities)])
        let line = try #require(f.lines("a").first)
        #expect(line.contains("HIGH  n  [T1485]  u0@x, u1@x, u2@x +2  (0123456789ab r1)"))
    }

    /// A crash between delivery and commit: what came after the mark is cut off, byte for byte.
    @Test(arguments: [0, 1, 2, 3])
    func cutsBackToTheMark(_ kept: Int) throws {
        let f = try Folder()
        var mark: (inode: UInt64, length: UInt64)?
        do {
            let sink = try FileSink(path: f["a"], format: .jsonl, committed: nil)
            if kept == 0 { mark = sink.mark }
            for i in 1...3 {
                try sink.deliver([alert("\(i)")])
                if i == kept { mark = sink.mark }
            }
        }
        let sink = try FileSink(path: f["a"], format: .jsonl, committed: mark)
        #expect(FileSinkTests.ids(f.lines("a")) == (1...3).prefix(kept).map(String.init))
        #expect(sink.mark?.length == mark?.length && sink.mark?.inode == mark?.inode)
        try sink.deliver([alert("9")])
        #expect(FileSinkTests.ids(f.lines("a")).last == "9" && f.lines("a").count == kept + 1)
    }

    @Test func aFileOfSomebodyElseIsNotCut() throws {
        let f = try Folder()
        let mark = try FileSink(path: f["a"], format: .jsonl, committed: nil).mark
        rename(f["a"], f["b"])
        f.write("a", "precious and long\n")
        _ = try FileSink(path: f["a"], format: .jsonl, committed: mark)
        #expect(f.text("a") == "precious and long\n")
        // From before inodes were kept: the length alone counts.
        _ = try FileSink(path: f["a"], format: .jsonl, committed: (0, 9))
        #expect(f.text("a") == "precious ")
        // Shorter than the mark (truncated by somebody): nothing to cut, nothing to fill up.
        _ = try FileSink(path: f["a"], format: .jsonl, committed: (0, 90))
        #expect(f.text("a") == "precious ")
    }

    @Test func reopensAfterARename() throws {
        let f = try Folder()
        let sink = try FileSink(path: f["a"], format: .jsonl, committed: nil)
        try sink.deliver([alert("1")])
        rename(f["a"], f["a.1"])
        // Until it is told, it stays with the file it has.
        try sink.deliver([alert("2")])
        #expect(FileSinkTests.ids(f.lines("a.1")) == ["1", "2"] && f.lines("a").isEmpty)
        let before = sink.mark
        try sink.reopen()
        #expect(sink.mark?.length == 0 && sink.mark?.inode != before?.inode)
        try sink.deliver([alert("3")])
        #expect(FileSinkTests.ids(f.lines("a")) == ["3"] && f.lines("a.1").count == 2)
    }

    @Test func survivesCopyTruncate() throws {
        let f = try Folder()
        let sink = try FileSink(path: f["a"], format: .jsonl, committed: nil)
        try sink.deliver([alert("1"), alert("2")])
        truncate(f["a"], 0)
        #expect(sink.mark?.length == 0)
        try sink.deliver([alert("3")])
        #expect(FileSinkTests.ids(f.lines("a")) == ["3"])
    }

    @Test func reopenThatFailsRecovers() throws {
        let f = try Folder()
        mkdir(f["d"], 0o755)
        let sink = try FileSink(path: f["d/a"], format: .jsonl, committed: nil)
        unlink(f["d/a"])
        rmdir(f["d"])
        #expect(throws: SinkError.self) { try sink.reopen() }
        let error = #expect(throws: SinkError.self) { try sink.deliver([alert("1")]) }
        #expect(error?.description.contains(f["d/a"]) == true && error?.delivered == 0 && sink.mark == nil)
        mkdir(f["d"], 0o755)
        try sink.deliver([alert("1")])
        #expect(f.lines("d/a").count == 1)
        unlink(f["d/a"])
        rmdir(f["d"])
    }

    @Test func fullDevice() throws {
        let sink = try FileSink(path: "/dev/full", format: .jsonl, committed: nil)
        let error = #expect(throws: SinkError.self) { try sink.deliver([alert("1")]) }
        #expect(error?.description.contains("No space left") == true)
    }

    /// The disk takes half of a delivery: nothing of it stays.
    @Test func halfAWriteIsTakenBack() throws {
        let f = try Folder()
        // Nothing else in this process comes near this size.
        let limit: off_t = 1 << 33
        signal(SIGXFSZ, SIG_IGN)
        var old = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old)
        f.write("a", "")
        try #require(truncate(f["a"], limit - 100) == 0)
        let sink = try FileSink(path: f["a"], format: .jsonl, committed: nil)
        var small = rlimit(rlim_cur: rlim_t(limit), rlim_max: old.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &small)
        defer { setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old) }
        let error = #expect(throws: SinkError.self) { try sink.deliver([alert("1")]) }
        #expect(error?.description.contains("too large") == true && sink.mark?.length == UInt64(limit - 100))
        try #require(truncate(f["a"], 0) == 0)
        try sink.deliver([alert("1")])
        #expect(FileSinkTests.ids(f.lines("a")) == ["1"])
    }

    @Test func missingFolder() {
        let error = #expect(throws: SinkError.self) { try FileSink(path: "/no/such/folder/a", format: .jsonl, committed: nil) }
        #expect(error?.description.contains("/no/such/folder/a: No such file") == true)
    }
}
