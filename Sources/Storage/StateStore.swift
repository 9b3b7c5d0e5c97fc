import Columnar
import Detection
import Foundation
import GRDB
import Ingest
import Rules

/// The position of one stream, as it survives a restart.
public struct StreamRecord: Sendable, Hashable {
    /// Random at first sight.
    public var id: String
    public var path: String
    public var device: UInt64
    public var inode: UInt64
    public var resume: ResumePoint
    public var records: UInt64
    public var deadLetters: UInt64
    /// Highest credible event time, in ticks; 0 before the first.
    public var watermark: Int64
    /// Size of the file when last read.
    public var size: UInt64
    /// Everything was read and the file was seen to be gone or replaced.
    public var isFinished: Bool
    /// Hash of the first consumed inflated bytes (up to 64 KiB) and how many they were: tells the same data under another name.
    public var headHash: String
    public var headLength: Int

    public init(
        id: String, path: String, device: UInt64, inode: UInt64, resume: ResumePoint, records: UInt64, deadLetters: UInt64,
        watermark: Int64,
        size: UInt64, isFinished: Bool, headHash: String, headLength: Int
    ) {
        self.id = id
        self.path = path
        self.device = device
        self.inode = inode
        self.resume = resume
        self.records = records
        self.deadLetters = deadLetters
        self.watermark = watermark
        self.size = size
        self.isFinished = isFinished
        self.headHash = headHash
        self.headLength = headLength
    }
}

/// Everything that becomes durable together.
public struct Checkpoint: Sendable {
    public var delta = CheckpointDelta()
    public var streams: [StreamRecord] = []
    public var forgottenStreams: [String] = []
    public var alerts: [Alert] = []
    /// Name of a file sink → its length once these alerts are in it.
    public var sinkLengths: [String: UInt64] = [:]
    /// Name of a sink → alerts that it has not taken yet (`AlertCodec`); empty: none.
    public var outbox: [String: [UInt8]] = [:]
    /// JSON for `vedette status`.
    public var status: String?
    public init() {}
}

/// A problem with the state directory, said so that an operator can mend it.
public struct StorageError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// The state database: alerts, evidence, retained rows, resume positions. One transaction a checkpoint, so after a crash all of it is of
/// one moment.
public final class StateStore: Sendable {
    private let queue: DatabaseQueue
    public let path: String

    /// Opens `directory/vedette.db`, creating it. With `readOnly` it must exist.
    public init(directory: String, readOnly: Bool = false) throws {
        path = directory + "/vedette.db"
        do {
            var configuration = Configuration()
            configuration.readonly = readOnly
            configuration.busyMode = .timeout(10)
            configuration.prepareDatabase { db in
                if !readOnly {
                    try db.execute(sql: "PRAGMA journal_mode = WAL")
                    // A power cut may cost the last checkpoint, never consistency; the input is read again from the one before.
                    try db.execute(sql: "PRAGMA synchronous = NORMAL")
                }
            }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            if !readOnly { try StateStore.migrator.migrate(queue) }
        } catch {
            throw StorageError("cannot open the state in \(path): \(error)")
        }
    }

    private static var migrator: DatabaseMigrator {
        var m = DatabaseMigrator()
        m.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE alert (
                        id TEXT PRIMARY KEY, revision INTEGER NOT NULL, status TEXT NOT NULL, rule_id TEXT NOT NULL, rule_name TEXT NOT NULL,
                        severity TEXT NOT NULL, techniques TEXT NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER NOT NULL,
                        first_tick INTEGER NOT NULL, json TEXT NOT NULL, written INTEGER NOT NULL) WITHOUT ROWID;
                    CREATE INDEX alert_by_time ON alert (end_time);
                    CREATE TABLE segment (rule TEXT NOT NULL, leg INTEGER NOT NULL, id INTEGER NOT NULL, bytes BLOB NOT NULL,
                        PRIMARY KEY (rule, leg, id));
                    CREATE TABLE rule_state (rule TEXT PRIMARY KEY, bytes BLOB NOT NULL);
                    CREATE TABLE stream (
                        id TEXT PRIMARY KEY, path TEXT NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL, raw_offset INTEGER NOT NULL,
                        inflated INTEGER NOT NULL, resume BLOB NOT NULL, records INTEGER NOT NULL, dead_letters INTEGER NOT NULL,
                        watermark INTEGER NOT NULL, size INTEGER NOT NULL, finished INTEGER NOT NULL, head_hash TEXT NOT NULL,
                        head_length INTEGER NOT NULL);
                    CREATE TABLE sink (name TEXT PRIMARY KEY, length INTEGER NOT NULL);
                    CREATE TABLE outbox (sink TEXT PRIMARY KEY, bytes BLOB NOT NULL);
                    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
                    """)
        }
        return m
    }

    private func wrap<T>(_ what: String, _ body: () throws -> T) throws -> T {
        do { return try body() } catch { throw StorageError("\(what) \(path): \(error)") }
    }

    /// Writes a checkpoint in one transaction. `now`: wall clock in ticks, for retention.
    public func commit(_ c: Checkpoint, now: Int64) throws {
        try wrap("cannot write the state to") {
            try queue.write { db in
                for a in c.alerts { try StateStore.write(a, db, now) }
                for s in c.delta.added {
                    try db.execute(
                        sql: "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?)",
                        arguments: [s.id.rule, s.id.leg, s.id.id, StateStore.data(s.bytes)])
                }
                for s in c.delta.dropped {
                    try db.execute(sql: "DELETE FROM segment WHERE rule = ? AND leg = ? AND id = ?", arguments: [s.rule, s.leg, s.id])
                }
                for r in c.delta.rules {
                    try db.execute(
                        sql: "INSERT OR REPLACE INTO rule_state VALUES (?, ?)", arguments: [r.fingerprint, StateStore.data(r.bytes)])
                }
                if !c.delta.engine.isEmpty { try StateStore.meta("engine", c.delta.engine, db) }
                if let status = c.status { try StateStore.meta("status", Array(status.utf8), db) }
                for s in c.streams { try StateStore.write(s, db) }
                for id in c.forgottenStreams { try db.execute(sql: "DELETE FROM stream WHERE id = ?", arguments: [id]) }
                for (name, bytes) in c.outbox {
                    if bytes.isEmpty {
                        try db.execute(sql: "DELETE FROM outbox WHERE sink = ?", arguments: [name])
                    } else {
                        try db.execute(sql: "INSERT OR REPLACE INTO outbox VALUES (?, ?)", arguments: [name, StateStore.data(bytes)])
                    }
                }
                for (name, length) in c.sinkLengths {
                    try db.execute(sql: "INSERT OR REPLACE INTO sink VALUES (?, ?)", arguments: [name, Int64(clamping: length)])
                }
            }
        }
    }

    private static func data(_ bytes: [UInt8]) -> DatabaseValue {
        bytes.withUnsafeBytes { buffer in Blob(buffer).databaseValue }
    }

    /// GRDB stores `Data`; this keeps Foundation out of the signatures above.
    private struct Blob: DatabaseValueConvertible {
        let bytes: [UInt8]
        init(_ b: UnsafeRawBufferPointer) { bytes = Array(b) }
        var databaseValue: DatabaseValue { BlobData(bytes).databaseValue }
        static func fromDatabaseValue(_ v: DatabaseValue) -> Blob? {
            BlobData.fromDatabaseValue(v).map { d in d.withUnsafeBytes { Blob($0) } }
        }
    }

    private static func meta(_ key: String, _ bytes: [UInt8], _ db: Database) throws {
        try db.execute(sql: "INSERT OR REPLACE INTO meta VALUES (?, ?)", arguments: [key, data(bytes)])
    }

    private static func write(_ a: Alert, _ db: Database, _ now: Int64) throws {
        try db.execute(
            sql: """
                INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, status = excluded.status, severity = excluded.severity,
                    start_time = excluded.start_time, end_time = excluded.end_time, json = excluded.json, written = excluded.written
                    WHERE excluded.revision >= alert.revision
                """,
            arguments: [
                a.id, a.revision, a.status.rawValue, a.ruleID, a.ruleName, a.severity.rawValue, a.techniques.joined(separator: " "),
                a.startTime, a.endTime, a.firstTick, a.jsonLine, now,
            ])
    }

    private static func write(_ s: StreamRecord, _ db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                s.id, s.path, Int64(bitPattern: s.device), Int64(bitPattern: s.inode), Int64(clamping: s.resume.rawOffset),
                Int64(clamping: s.resume.inflated), data(s.resume.bytes), Int64(clamping: s.records), Int64(clamping: s.deadLetters),
                s.watermark, Int64(clamping: s.size), s.isFinished, s.headHash, s.headLength,
            ])
    }

    /// State of the rule runtime.
    public func savedState() throws -> SavedState {
        try wrap("cannot read the state in") {
            try queue.read { db in
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
    }

    public func streams() throws -> [StreamRecord] {
        try wrap("cannot read the state in") {
            try queue.read { db in
                try Row.fetchAll(db, sql: "SELECT * FROM stream ORDER BY path, id").map { row in
                    let blob: Blob = row["resume"]
                    let device: Int64 = row["device"], inode: Int64 = row["inode"], raw: Int64 = row["raw_offset"]
                    let inflated: Int64 = row["inflated"], records: Int64 = row["records"], dead: Int64 = row["dead_letters"]
                    let size: Int64 = row["size"]
                    return StreamRecord(
                        id: row["id"], path: row["path"], device: UInt64(bitPattern: device), inode: UInt64(bitPattern: inode),
                        resume: ResumePoint(rawOffset: UInt64(max(0, raw)), inflated: UInt64(max(0, inflated)), bytes: blob.bytes),
                        records: UInt64(max(0, records)), deadLetters: UInt64(max(0, dead)), watermark: row["watermark"],
                        size: UInt64(max(0, size)), isFinished: row["finished"], headHash: row["head_hash"], headLength: row["head_length"])
                }
            }
        }
    }

    /// The committed length of a file sink; nil if it never wrote.
    public func sinkLength(_ name: String) throws -> UInt64? {
        try wrap("cannot read the state in") {
            try queue.read { db in
                try Int64.fetchOne(db, sql: "SELECT length FROM sink WHERE name = ?", arguments: [name]).map { UInt64(max(0, $0)) }
            }
        }
    }

    /// Alerts that a sink had not taken at the last checkpoint.
    public func outbox(_ sink: String) throws -> [UInt8]? {
        try wrap("cannot read the state in") {
            try queue.read { db in try Blob.fetchOne(db, sql: "SELECT bytes FROM outbox WHERE sink = ?", arguments: [sink])?.bytes }
        }
    }

    public func status() throws -> String? {
        try wrap("cannot read the state in") {
            try queue.read { db in
                try Blob.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'status'").map { String(decoding: $0.bytes, as: UTF8.self) }
            }
        }
    }

    /// What `alerts list` shows of an alert.
    public struct AlertRow: Sendable, Hashable {
        public let id: String
        public let revision: Int
        public let status: String
        public let ruleName: String
        public let severity: String
        public let techniques: String
        public let startTime: Int64
        public let endTime: Int64
        /// The alert as JSON (`docs/alert-schema.json`).
        public let json: String
    }

    /// Alerts by descending end time. Filters that are nil do not apply; times in ticks.
    public func alerts(severity: String? = nil, rule: String? = nil, since: Int64? = nil, until: Int64? = nil, limit: Int = 1000) throws
        -> [AlertRow]
    {
        var conditions: [String] = []
        var arguments = StatementArguments()
        if let severity {
            conditions.append("severity = ? COLLATE NOCASE")
            arguments += [severity]
        }
        if let rule {
            conditions.append("(rule_id = ? OR rule_name LIKE ?)")
            arguments += [rule, "%" + rule + "%"]
        }
        if let since {
            conditions.append("end_time >= ?")
            arguments += [since]
        }
        if let until {
            conditions.append("start_time <= ?")
            arguments += [until]
        }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        arguments += [limit]
        return try fetch(
            "SELECT id, revision, status, rule_name, severity, techniques, start_time, end_time, json FROM alert \(filter) ORDER BY end_time DESC, id LIMIT ?",
            arguments)
    }

    /// Alerts whose id begins with `prefix`.
    public func alerts(idPrefix prefix: String) throws -> [AlertRow] {
        let escaped = prefix.filter { $0.isHexDigit }
        return try fetch(
            "SELECT id, revision, status, rule_name, severity, techniques, start_time, end_time, json FROM alert WHERE id LIKE ? ORDER BY id LIMIT 20",
            [escaped + "%"])
    }

    private func fetch(_ sql: String, _ arguments: StatementArguments) throws -> [AlertRow] {
        try wrap("cannot read the state in") {
            try queue.read { db in
                try Row.fetchAll(db, sql: sql, arguments: arguments).map { row in
                    AlertRow(
                        id: row[0], revision: row[1], status: row[2], ruleName: row[3], severity: row[4], techniques: row[5],
                        startTime: row[6], endTime: row[7], json: row[8])
                }
            }
        }
    }

    /// Deletes alerts that ended before a time, and finished streams whose files are gone; the numbers deleted.
    public func prune(alertsBefore: Int64?) throws -> Int {
        guard let alertsBefore else { return 0 }
        return try wrap("cannot write the state to") {
            try queue.write { db in
                try db.execute(sql: "DELETE FROM alert WHERE end_time < ? AND status != 'open'", arguments: [alertsBefore])
                return db.changesCount
            }
        }
    }
}
