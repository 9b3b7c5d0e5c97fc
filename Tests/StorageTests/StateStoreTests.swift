import Columnar
import GRDB
import Glibc
import Ingest
import Testing

@testable import Detection
@testable import Storage

@Suite struct StateStoreTests {
    static func stream(_ id: String, raw: UInt64 = 5, records: UInt64 = 3) -> StreamRecord {
        StreamRecord(
            id: id, path: "/l/" + id, device: .max, inode: 1 << 63,
            resume: ResumePoint(rawOffset: raw, inflated: raw & 0xFFFF, bytes: [1, 0, 255]),
            records: records, deadLetters: 1, watermark: 77, lastTime: 78, isFinished: false, headHash: "ab-cd", headLength: 9)
    }

    @Test func everythingComesBack() throws {
        let f = try Folder()
        var c = Checkpoint()
        c.delta.added = [
            (CheckpointDelta.SegmentID(fingerprint: "f", leg: 1, id: 7), [9, 8]), (.init(fingerprint: "f", leg: 0, id: 2), []),
        ]
        c.delta.rules = [("f", [5])]
        c.delta.engine = [4, 4]
        c.streams = [StateStoreTests.stream("s"), StateStoreTests.stream("t", raw: UInt64(Int64.max))]
        c.alerts = [alert("0a"), alert("0b")]
        c.fileMarks = ["file:/x": FileMark(inode: .max, length: 12)]
        c.outbox = [
            OutboxDelta(sink: "syslog:x", takenThrough: 0, added: [OutboxItem(number: 1, bytes: [1]), OutboxItem(number: 2, bytes: [])])
        ]
        c.status = "{\"a\":1}"
        do {
            let store = try StateStore(directory: f.path)
            #expect(try !store.hasHistory() && store.status() == nil && store.fileMark("file:/x") == nil)
            try store.commit(c, now: 100)
        }
        let store = try StateStore(directory: f.path)
        let state = try store.savedState()
        #expect(state.segments.map(\.id) == [.init(fingerprint: "f", leg: 0, id: 2), .init(fingerprint: "f", leg: 1, id: 7)])
        #expect(state.segments.map(\.bytes) == [[], [9, 8]])
        #expect(state.rules == ["f": [5]] && state.engine == [4, 4])
        #expect(try store.streams() == c.streams)
        #expect(try store.fileMark("file:/x") == FileMark(inode: .max, length: 12))
        #expect(try store.outbox("syslog:x") == c.outbox[0].added && store.outboxCounts() == ["syslog:x": 2])
        #expect(try store.outbox("other").isEmpty)
        #expect(try store.status() == c.status && store.hasHistory())
        #expect(try store.alerts().map(\.id) == ["0a", "0b"])

        var d = Checkpoint()
        d.delta.dropped = [.init(fingerprint: "f", leg: 1, id: 7)]
        d.forgottenStreams = ["t"]
        d.outbox = [OutboxDelta(sink: "syslog:x", takenThrough: 1, added: [OutboxItem(number: 3, bytes: [3])])]
        d.streams = [StateStoreTests.stream("s", raw: 9, records: 0)]
        try store.commit(d, now: 101)
        #expect(try store.savedState().segments.map(\.id.id) == [2])
        #expect(try store.outbox("syslog:x").map(\.number) == [2, 3])
        #expect(try store.streams().map(\.id) == ["s"])
        // A number of records that is not known does not overwrite one that was.
        #expect(try store.recordCount(ofStream: "s") == 3 && store.streams()[0].resume.rawOffset == 9)
        #expect(try store.recordCount(ofStream: "t") == 0)
        d = Checkpoint()
        d.forgottenRules = ["f"]
        try store.commit(d, now: 102)
        #expect(try store.savedState().segments.isEmpty && store.savedState().rules.isEmpty)
    }

    @Test func documentsCanBeHandedOverOneAtATime() throws {
        let f = try Folder()
        let store = try StateStore(directory: f.path)
        let id = CheckpointDelta.SegmentID(fingerprint: "f", leg: 1, id: 7)
        var c = Checkpoint()
        c.delta.rules = [("g", [1])]
        try store.commit(c, now: 1) { write in
            try write(.added(id, [9, 8]))
            try write(.rule("f", [5]))
            try write(.engine([4]))
        }
        let state = try store.savedState()
        #expect(state.segments.map(\.id) == [id] && state.segments.map(\.bytes) == [[9, 8]])
        #expect(state.rules == ["f": [5], "g": [1]] && state.engine == [4])
        // What is handed over after the first few cannot be made: none of it is kept.
        #expect(throws: StorageError.self) {
            try store.commit(Checkpoint(), now: 2) { write in
                try write(.dropped(id))
                throw StateError("planted failure")
            }
        }
        #expect(try store.savedState().segments.map(\.id) == [id])
    }

    // MARK: Atomicity

    @Test func aCheckpointIsAllOrNothing() throws {
        let f = try Folder()
        let store = try StateStore(directory: f.path)
        var c = Checkpoint()
        c.alerts = [alert("0a")]
        c.streams = [StateStoreTests.stream("s")]
        try store.commit(c, now: 1)
        // The last statement of a commit fails.
        try store.queue.write { db in
            try db.execute(
                sql: "CREATE TRIGGER no BEFORE INSERT ON file_mark BEGIN SELECT RAISE(ABORT, 'planted failure'); END")
        }
        var d = Checkpoint()
        d.alerts = [alert("0a", revision: 2), alert("0b")]
        d.streams = [StateStoreTests.stream("s", raw: 99)]
        d.delta.added = [(.init(fingerprint: "f", leg: 0, id: 1), [1])]
        d.outbox = [OutboxDelta(sink: "x", takenThrough: 0, added: [OutboxItem(number: 1, bytes: [1])])]
        d.fileMarks = ["file:/x": FileMark(inode: 1, length: 1)]
        let error = #expect(throws: StorageError.self) { try store.commit(d, now: 2) }
        #expect(error?.description.contains("planted failure") == true && error?.description.contains(store.path) == true)
        #expect(try store.alerts().map(\.revision) == [1])
        #expect(try store.streams().map(\.resume.rawOffset) == [5])
        #expect(try store.savedState().segments.isEmpty && store.outboxCounts().isEmpty)
        try store.queue.write { try $0.execute(sql: "DROP TRIGGER no") }
        try store.commit(d, now: 3)
        #expect(try store.alerts().map(\.revision) == [2, 1] && store.outboxCounts() == ["x": 1])
    }

    /// What a crash leaves is a log cut at any byte: whatever it is, all parts of the state are of one checkpoint.
    @Test func aCrashAtAnyByteLeavesOneCheckpoint() throws {
        let f = try Folder()
        let store = try StateStore(directory: f.path)
        try store.queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        let count = 12
        for k in 1...count {
            var c = Checkpoint()
            c.alerts = [alert("a\(k)", raw: String(repeating: "x", count: 300 * (k % 4)))]
            c.streams = [StateStoreTests.stream("s", raw: UInt64(k), records: UInt64(k))]
            c.delta.added = [(.init(fingerprint: "f", leg: 0, id: Int64(k)), [UInt8](repeating: UInt8(k), count: 900))]
            c.fileMarks = ["file:/x": FileMark(inode: 1, length: UInt64(k))]
            c.outbox = [OutboxDelta(sink: "x", takenThrough: Int64(k - 1), added: [OutboxItem(number: Int64(k), bytes: [UInt8(k)])])]
            try store.commit(c, now: Int64(k))
        }
        let (db, log) = (try f.read("vedette.db"), try f.read("vedette.db-wal"))
        #expect(log.count > 20_000)
        var dice = SystemRandomNumberGenerator()
        var seen: Set<UInt64> = []
        for i in 0..<60 {
            let cut = i == 0 ? log.count : Int.random(in: 0...log.count, using: &dice)
            let g = try Folder()
            try g.write("vedette.db", db)
            try g.write("vedette.db-wal", log.prefix(cut))
            let after = try StateStore(directory: g.path)
            let k = try after.fileMark("file:/x")?.length ?? 0
            seen.insert(k)
            #expect(try after.alerts().count == Int(k), "cut at \(cut)")
            #expect(try after.streams().first?.resume.rawOffset ?? 0 == k, "cut at \(cut)")
            #expect(try after.savedState().segments.count == Int(k), "cut at \(cut)")
            #expect(try after.outbox("x").map(\.number) == (k == 0 ? [] : [Int64(k)]), "cut at \(cut)")
        }
        #expect(seen.contains(UInt64(count)) && seen.count > 4)
    }

    @Test func aFullDiskStopsTheCheckpointAndLosesNothing() throws {
        let f = try Folder()
        let store = try StateStore(directory: f.path)
        var c = Checkpoint()
        c.alerts = [alert("0a")]
        try store.commit(c, now: 1)
        let pages = try store.queue.read { try Int.fetchOne($0, sql: "PRAGMA page_count") ?? 0 }
        try store.queue.write { try $0.execute(sql: "PRAGMA max_page_count = \(pages + 2)") }
        var d = Checkpoint()
        d.streams = [StateStoreTests.stream("s")]
        d.delta.added = [(.init(fingerprint: "f", leg: 0, id: 1), [UInt8](repeating: 1, count: 1 << 20))]
        let error = #expect(throws: StorageError.self) { try store.commit(d, now: 2) }
        #expect(error?.description.contains("the disk is full") == true)
        #expect(try store.streams().isEmpty && store.alerts().count == 1)
        try store.queue.write { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
        try store.commit(d, now: 3)
        #expect(try store.savedState().segments.first?.bytes.count == 1 << 20)
    }

    // MARK: Damage and versions

    @Test(arguments: [0, 18, 100])
    func damagedDatabase(_ at: Int) throws {
        let f = try Folder()
        do {
            let store = try StateStore(directory: f.path)
            var c = Checkpoint()
            c.alerts = (0..<200).map { alert("\($0)", raw: String(repeating: "x", count: 500)) }
            try store.commit(c, now: 1)
        }
        var bytes = try f.read("vedette.db")
        // Header, format numbers, or the root of the schema.
        for i in at..<min(bytes.count, at + 400) { bytes[i] = 0xA5 }
        try f.write("vedette.db", bytes)
        let error = #expect(throws: StorageError.self) { try StateStore(directory: f.path).alerts() }
        #expect(error?.description.contains("vedette.db") == true)
        #expect(error?.description.contains("restore it from a backup") == true, "\(error?.description ?? "")")
    }

    @Test func damagedPagesAreErrorsNotTraps() throws {
        let f = try Folder()
        do {
            let store = try StateStore(directory: f.path)
            var c = Checkpoint()
            c.alerts = (0..<400).map { alert("\($0)", raw: String(repeating: "x", count: 500)) }
            c.streams = (0..<50).map { StateStoreTests.stream("s\($0)") }
            try store.commit(c, now: 1)
        }
        let whole = try f.read("vedette.db")
        var failures = 0
        for page in stride(from: 4096, to: whole.count - 4096, by: 4096 * 5) {
            var bytes = whole
            for i in page..<(page + 64) { bytes[i] = UInt8(truncatingIfNeeded: i &* 31) }
            try f.write("vedette.db", bytes)
            do {
                let store = try StateStore(directory: f.path)
                _ = try store.alerts(limit: 10_000)
                _ = try store.streams()
                _ = try store.savedState()
            } catch is StorageError { failures += 1 }
        }
        #expect(failures > 0)
    }

    /// The first version's layout, as its migration wrote it.
    @Test func firstVersionIsBroughtUpToDate() throws {
        let f = try Folder()
        do {
            let old = try DatabaseQueue(path: f["vedette.db"])
            try StateStore.migrator.migrate(old, upTo: "1")
            let waiting = AlertCodec.encode([alert("01"), alert("02")])
            try old.write { db in
                try db.execute(sql: "INSERT INTO outbox VALUES ('syslog:x', ?)", arguments: [StateStore.data(waiting)])
                try db.execute(sql: "INSERT INTO sink VALUES ('file:/a', 42)")
                try db.execute(sql: "INSERT INTO rule_state VALUES ('f', x'01')")
                try db.execute(sql: "INSERT INTO stream VALUES ('s', '/p', 1, 2, 3, 4, x'05', 6, 7, 8, 9, 0, 'h', 10)")
                try db.execute(
                    sql: "INSERT INTO alert VALUES ('aa', 1, 'closed', 'r', 'n', 'High', 'T1', 1, 2, 3, ?, 4)",
                    arguments: [alert("aa").jsonLine])
            }
            try old.close()
        }
        #expect(throws: StorageError.self) { try StateStore(directory: f.path, readOnly: true) }
        let store = try StateStore(directory: f.path)
        let items = try store.outbox("syslog:x")
        #expect(items.map(\.number) == [1, 2])
        #expect(try items.flatMap { try AlertCodec.decode($0.bytes) } == [alert("01"), alert("02")])
        #expect(try store.fileMark("file:/a") == FileMark(inode: 0, length: 42))
        #expect(try store.streams().map(\.records) == [6] && store.savedState().rules == ["f": [1]])
        #expect(try store.prune(alertsBefore: nil, evidenceBefore: 5).stripped == 1)
        #expect(throws: Never.self) { try StateStore(directory: f.path, readOnly: true) }
    }

    @Test func laterVersionIsRefused() throws {
        let f = try Folder()
        try StateStore(directory: f.path).queue.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99')") }
        for readOnly in [true, false] {
            let error = #expect(throws: StorageError.self) { try StateStore(directory: f.path, readOnly: readOnly) }
            #expect(error?.description.contains("later version") == true)
        }
    }

    @Test func missingOrForeignPlaces() throws {
        let f = try Folder()
        #expect(throws: StorageError.self) { try StateStore(directory: f.path, readOnly: true) }
        let error = #expect(throws: StorageError.self) { try StateStore(directory: f["no/where"]) }
        #expect(error?.description.contains("directory is there") == true)
        try f.write("vedette.db", Array("this is a text file and no database, whatever its name says".utf8))
        let foreign = #expect(throws: StorageError.self) { try StateStore(directory: f.path) }
        #expect(foreign?.description.contains("damaged") == true)
    }

    // MARK: Lock

    @Test func oneHolderADirectory() throws {
        let f = try Folder()
        var first: DirectoryLock? = try DirectoryLock(directory: f.path)
        let error = #expect(throws: StorageError.self) { try DirectoryLock(directory: f.path) }
        #expect(error?.description.contains("in use by process \(getpid())") == true)
        withExtendedLifetime(first) {}
        first = nil
        #expect(throws: Never.self) { try DirectoryLock(directory: f.path) }
        #expect(throws: StorageError.self) { try DirectoryLock(directory: f["no/where"]) }
    }
}
