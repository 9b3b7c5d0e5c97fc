import CKernels
import Testing

@testable import Ingest

/// Random histories of a log that is written, flushed, rotated and compressed, with a daemon that reads, rests, restarts
/// and crashes. No record is
/// lost and none is read twice.
@Suite struct TailPropertyTests {
    enum Rotation: CaseIterable { case rename, renameCompress, copyTruncate }

    @Test(arguments: Array(0..<60) as [UInt64])
    func nothingLostNothingTwice(_ seed: UInt64) throws {
        var random = Random(state: seed &* 7919)
        let f = try Folder()
        let d = Daemon(f, "x.log*")
        let style = Rotation.allCases[random.below(3)]
        d.savesEverything = random.below(2) == 0
        if random.below(4) == 0 { d.maximumOpen = 2 }
        d.start()
        var written = 0
        var pending = ""
        var trace: [String] = []

        func write() throws {
            let n = 1 + random.below(random.below(8) == 0 ? 2000 : 12)
            let fresh = lines(written..<written + n, padding: 4 + random.below(60))
            expected += fresh
            var text = pending + fresh.joined(separator: "\n") + "\n"
            pending = ""
            written += n
            if random.below(4) == 0 {
                // The last line is cut where the buffer of the writer ended.
                let cut = 1 + random.below(8)
                pending = String(text.suffix(cut))
                text = String(text.dropLast(cut))
                if pending == "\n" || pending.isEmpty { (text, pending) = (text + pending, "") }
            }
            try f.append("x.log", text)
            trace.append("write \(n), \(pending.utf8.count) held back")
        }
        var expected: [String] = []

        func exists(_ name: String) -> Bool { (try? FileInput(path: f[name])) != nil }

        func rotate() throws {
            if !pending.isEmpty {
                try f.append("x.log", pending)
                pending = ""
            }
            guard exists("x.log") else { return }
            for i in stride(from: 6, through: 1, by: -1) {
                for ending in ["", ".gz"] where exists("x.log.\(i)\(ending)") { f.rename("x.log.\(i)\(ending)", "x.log.\(i + 1)\(ending)") }
            }
            switch style {
            case .rename: f.rename("x.log", "x.log.1")
            case .renameCompress:
                f.rename("x.log", "x.log.1")
                if random.below(2) == 0 {
                    if random.below(2) == 0 { try d.round() }
                    let packed = try gzip(try f.read("x.log.1"))
                    let cut = random.below(packed.count)
                    try f.write("x.log.1.gz", Array(packed[..<cut]))
                    if random.below(2) == 0 { try d.round() }
                    try f.append("x.log.1.gz", Array(packed[cut...]))
                    if random.below(2) == 0 { try d.round() }
                    f.remove("x.log.1")
                }
            case .copyTruncate:
                let all = try f.read("x.log")
                let cut = random.below(all.count)
                try f.write("x.log.1", Array(all[..<cut]))
                if random.below(2) == 0 { try d.round() }
                try f.append("x.log.1", Array(all[cut...]))
                if random.below(2) == 0 { try d.round() }
                f.truncate("x.log")
            }
            trace.append("rotate")
        }

        var rotations = 0
        for _ in 0..<40 {
            switch random.below(11) {
            case 10:
                d.crash()
                trace.append("crash")
            case 0..<4: try write()
            case 4..<7:
                try d.round(seconds: UInt64(random.below(4)))
                trace.append("round")
            case 7:
                d.restart()
                trace.append("restart")
            case 8 where rotations < 5:
                try rotate()
                rotations += 1
            default:
                d.checkpoint()
                trace.append("checkpoint")
            }
        }
        if !pending.isEmpty { try f.append("x.log", pending) }
        try d.settle()
        try d.settle()
        let lost = Set(expected).subtracting(d.texts).count
        let doubled = d.texts.count - Set(d.texts).count
        let strange = Set(d.texts).subtracting(expected).count
        #expect(lost == 0 && doubled == 0 && strange == 0, "seed \(seed), \(style): \(trace)")
        #expect(d.problems.isEmpty, "seed \(seed), \(style)")
    }

    /// The same for a gzip file that grows, with flushes and members at random places.
    @Test(arguments: Array(100..<120) as [UInt64])
    func growingGzip(_ seed: UInt64) throws {
        var random = Random(state: seed)
        let f = try Folder()
        let d = Daemon(f, "*.gz")
        let writer = try #require(vk_gzip_writer_new(1 + Int32(random.below(9))))
        defer { vk_gzip_writer_free(writer) }
        var written = 0
        for _ in 0..<60 {
            switch random.below(9) {
            case 8: d.crash()
            case 0..<4:
                let n = 1 + random.below(300)
                let raw = bytes(lines(written..<written + n))
                written += n
                let flush = [VK_FLUSH_NONE, VK_FLUSH_SYNC, VK_FLUSH_FULL, VK_FLUSH_FINISH, VK_FLUSH_PARTIAL][random.below(5)]
                #expect(vk_gzip_write(writer, raw, raw.count, flush))
                var count = 0
                let out = vk_gzip_output(writer, &count)
                let part = Array(UnsafeBufferPointer(start: out, count: count))
                vk_gzip_clear_output(writer)
                let cut = random.below(part.count + 1)
                try f.append("a.gz", Array(part[..<cut]))
                if random.below(2) == 0 { try d.round() }
                try f.append("a.gz", Array(part[cut...]))
            case 4..<6: try d.round()
            case 6: d.restart()
            default: d.checkpoint()
            }
        }
        #expect(vk_gzip_write(writer, [], 0, VK_FLUSH_FINISH))
        var count = 0
        let out = vk_gzip_output(writer, &count)
        try f.append("a.gz", Array(UnsafeBufferPointer(start: out, count: count)))
        try d.settle()
        let isExact = d.texts == lines(0..<written)
        #expect(isExact, "seed \(seed): \(d.texts.count) of \(written) records")
        #expect(d.problems.isEmpty, "seed \(seed)")
    }
}
