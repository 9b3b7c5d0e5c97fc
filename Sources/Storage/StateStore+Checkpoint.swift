import Columnar
import Detection
import GRDB
import Ingest
import Rules

extension StateStore {
    /// Writes a checkpoint in one transaction. `now`: wall clock in ticks, for retention. `changes` hands over, one at a time, further
    /// documents of the rule runtime, besides those in the checkpoint's own delta.
    public func commit(
        _ c: Checkpoint, now: Int64, changes: ((_ write: (CheckpointDelta.Change) throws -> Void) throws -> Void)? = nil
    ) throws {
        try wrap("cannot write the state to") {
            try queue.write { db in
                for a in c.alerts { try StateStore.write(a, db, now) }
                try c.delta.forEachChange { try StateStore.write($0, db) }
                try changes? { try StateStore.write($0, db) }
                for f in c.forgottenRules { try StateStore.forget(rule: f, db) }
                if let status = c.status { try StateStore.meta("status", Array(status.utf8), db) }
                for s in c.streams { try StateStore.write(s, db) }
                for id in c.forgottenStreams { try db.execute(sql: "DELETE FROM stream WHERE id = ?", arguments: [id]) }
                for o in c.outbox {
                    try db.execute(sql: "DELETE FROM outbox_item WHERE sink = ? AND number <= ?", arguments: [o.sink, o.takenThrough])
                    for item in o.added {
                        try db.execute(
                            sql: "INSERT OR REPLACE INTO outbox_item VALUES (?, ?, ?)",
                            arguments: [o.sink, item.number, StateStore.data(item.bytes)])
                    }
                }
                for (name, mark) in c.fileMarks {
                    try db.execute(
                        sql: "INSERT OR REPLACE INTO file_mark VALUES (?, ?, ?)",
                        arguments: [name, Int64(bitPattern: mark.inode), Int64(clamping: mark.length)])
                }
            }
        }
    }

    private static func write(_ change: CheckpointDelta.Change, _ db: Database) throws {
        switch change {
        case .added(let s, let bytes):
            try db.execute(
                sql: "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?)", arguments: [s.rule, s.leg, s.id, data(bytes)])
        case .dropped(let s):
            try db.execute(sql: "DELETE FROM segment WHERE rule = ? AND leg = ? AND id = ?", arguments: [s.rule, s.leg, s.id])
        case .rule(let fingerprint, let bytes):
            try db.execute(sql: "INSERT OR REPLACE INTO rule_state VALUES (?, ?, NULL)", arguments: [fingerprint, data(bytes)])
        case .engine(let bytes): try meta("engine", bytes, db)
        }
    }

    private static func forget(rule: String, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM segment WHERE rule = ?", arguments: [rule])
        try db.execute(sql: "DELETE FROM rule_state WHERE rule = ?", arguments: [rule])
    }

    /// Deletes the state of rules that have not been loaded for so many ticks of wall time. A rule whose file was broken for a day finds its
    /// windows again. Returns how many were deleted.
    @discardableResult
    public func retire(rulesExcept loaded: Set<String>, now: Int64, after grace: Int64) throws -> Int {
        try wrap("cannot write the state to") {
            try queue.write { db in
                var gone = 0
                for row in try Row.fetchAll(db, sql: "SELECT rule, unused_since FROM rule_state") {
                    let rule: String = row[0], since: Int64? = row[1]
                    if loaded.contains(rule) {
                        if since != nil {
                            try db.execute(sql: "UPDATE rule_state SET unused_since = NULL WHERE rule = ?", arguments: [rule])
                        }
                    } else if let since, now - since >= grace {
                        try StateStore.forget(rule: rule, db)
                        gone += 1
                    } else if since == nil {
                        try db.execute(sql: "UPDATE rule_state SET unused_since = ? WHERE rule = ?", arguments: [now, rule])
                    }
                }
                return gone
            }
        }
    }

    private static func meta(_ key: String, _ bytes: [UInt8], _ db: Database) throws {
        try db.execute(sql: "INSERT OR REPLACE INTO meta VALUES (?, ?)", arguments: [key, data(bytes)])
    }

    private static func write(_ a: Alert, _ db: Database, _ now: Int64) throws {
        try db.execute(
            sql: """
                INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, status = excluded.status, severity = excluded.severity,
                    start_time = excluded.start_time, end_time = excluded.end_time, json = excluded.json, written = excluded.written,
                    evidence = excluded.evidence
                    WHERE excluded.revision >= alert.revision
                """,
            arguments: [
                a.id, a.revision, a.status.rawValue, a.ruleID, a.ruleName, a.severity.rawValue, a.techniques.joined(separator: " "),
                a.startTime, a.endTime, a.firstTick, a.jsonLine, now, a.evidence.contains { $0.raw != nil },
            ])
    }

    private static func write(_ s: StreamRecord, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO stream VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET path = excluded.path, device = excluded.device, inode = excluded.inode,
                    raw_offset = excluded.raw_offset, inflated = excluded.inflated, resume = excluded.resume,
                    records = max(records, excluded.records), dead_letters = excluded.dead_letters, watermark = excluded.watermark,
                    finished = excluded.finished, head_hash = excluded.head_hash, head_length = excluded.head_length,
                    last_time = excluded.last_time
                """,
            arguments: [
                s.id, s.path, Int64(bitPattern: s.device), Int64(bitPattern: s.inode), Int64(clamping: s.resume.rawOffset),
                Int64(clamping: s.resume.inflated), data(s.resume.bytes), Int64(clamping: s.records), Int64(clamping: s.deadLetters),
                s.watermark, s.isFinished, s.headHash, s.headLength, s.lastTime,
            ])
    }

    private func read<T>(_ body: (Database) throws -> T) throws -> T { try wrap("cannot read the state in") { try queue.read(body) } }

    /// State of the rule runtime.
    public func savedState() throws -> SavedState {
        try read { db in
            var state = SavedState()
            for row in try Row.fetchAll(db, sql: "SELECT rule, leg, id, bytes FROM segment ORDER BY rule, leg, id") {
                let blob: Blob = row[3]
                state.segments.append((CheckpointDelta.SegmentID(fingerprint: row[0], leg: row[1], id: row[2]), blob.bytes))
            }
            for row in try Row.fetchAll(db, sql: "SELECT rule, bytes FROM rule_state") {
                let blob: Blob = row[1]
                state.rules[row[0]] = blob.bytes
            }
            state.engine = try Blob.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'engine'")?.bytes
            return state
        }
    }

    /// A daemon has committed here before, whether or not it saw a stream.
    public func hasHistory() throws -> Bool { try read { try Int.fetchOne($0, sql: "SELECT count(*) FROM meta") ?? 0 > 0 } }

    public func streams() throws -> [StreamRecord] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM stream ORDER BY path, id").map { row in
                let blob: Blob = row["resume"]
                let device: Int64 = row["device"], inode: Int64 = row["inode"], raw: Int64 = row["raw_offset"]
                let inflated: Int64 = row["inflated"], records: Int64 = row["records"], dead: Int64 = row["dead_letters"]
                return StreamRecord(
                    id: row["id"], path: row["path"], device: UInt64(bitPattern: device), inode: UInt64(bitPattern: inode),
                    resume: ResumePoint(rawOffset: UInt64(max(0, raw)), inflated: UInt64(max(0, inflated)), bytes: blob.bytes),
                    records: UInt64(max(0, records)), deadLetters: UInt64(max(0, dead)), watermark: row["watermark"],
                    lastTime: row["last_time"],
                    isFinished: row["finished"], headHash: row["head_hash"], headLength: row["head_length"])
            }
        }
    }

    /// Records read of a stream until the last checkpoint; 0 for an unknown one.
    public func recordCount(ofStream id: String) throws -> UInt64 {
        try read { db in
            UInt64(max(0, try Int64.fetchOne(db, sql: "SELECT records FROM stream WHERE id = ?", arguments: [id]) ?? 0))
        }
    }

    /// Where a file that the daemon writes ended at the last checkpoint; nil if it never wrote it.
    public func fileMark(_ name: String) throws -> FileMark? {
        try read { db in
            try Row.fetchOne(db, sql: "SELECT inode, length FROM file_mark WHERE name = ?", arguments: [name]).map { row in
                let inode: Int64 = row[0], length: Int64 = row[1]
                return FileMark(inode: UInt64(bitPattern: inode), length: UInt64(max(0, length)))
            }
        }
    }

    /// Alerts that a sink had not taken at the last checkpoint, in order.
    public func outbox(_ sink: String) throws -> [OutboxItem] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT number, bytes FROM outbox_item WHERE sink = ? ORDER BY number", arguments: [sink]).map {
                row in
                let blob: Blob = row[1]
                return OutboxItem(number: row[0], bytes: blob.bytes)
            }
        }
    }

    /// How many alerts wait, by sink.
    public func outboxCounts() throws -> [String: Int] {
        try read { db in
            var counts: [String: Int] = [:]
            for row in try Row.fetchAll(db, sql: "SELECT sink, count(*) FROM outbox_item GROUP BY sink") { counts[row[0]] = row[1] }
            return counts
        }
    }

    public func status() throws -> String? {
        try read { db in
            try Blob.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'status'").map { String(decoding: $0.bytes, as: UTF8.self) }
        }
    }
}
