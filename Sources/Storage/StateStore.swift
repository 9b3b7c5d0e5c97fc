import Columnar
import Detection
import Foundation
import GRDB
import Glibc
import Ingest

/// Where a file that the daemon writes ended at a checkpoint. What stands behind it came later and is cut off after a crash.
public struct FileMark: Sendable, Hashable {
    public let inode: UInt64
    public let length: UInt64
    public init(inode: UInt64, length: UInt64) {
        self.inode = inode
        self.length = length
    }
}

/// What changed in the outbox of one sink.
public struct OutboxDelta: Sendable, Hashable {
    public let sink: String
    /// Every alert up to this number was taken (or given up).
    public var takenThrough: Int64
    /// Alerts that wait, by number, ascending (`AlertCodec`, one each).
    public var added: [OutboxItem]
    public init(sink: String, takenThrough: Int64, added: [OutboxItem]) {
        self.sink = sink
        self.takenThrough = takenThrough
        self.added = added
    }
}

/// An alert that waits for a sink.
public struct OutboxItem: Sendable, Hashable {
    /// Ascending within the sink.
    public let number: Int64
    public let bytes: [UInt8]
    public init(number: Int64, bytes: [UInt8]) {
        self.number = number
        self.bytes = bytes
    }
}

/// Everything that becomes durable together.
public struct Checkpoint: Sendable {
    public var delta = CheckpointDelta()
    public var streams: [StreamRecord] = []
    public var forgottenStreams: [String] = []
    /// Fingerprints of rules that were taken out while the daemon ran.
    public var forgottenRules: [String] = []
    public var alerts: [Alert] = []
    /// Name of a file → where it ends once these alerts, dead letters and late records are in it.
    public var fileMarks: [String: FileMark] = [:]
    public var outbox: [OutboxDelta] = []
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
    let queue: DatabaseQueue
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
            // Raw records are in it: not for everybody, whatever the umask. SQLite gives its other files the same mode.
            if !readOnly { chmod(path, 0o640) }
            let applied = try queue.read { try StateStore.migrator.appliedIdentifiers($0) }
            if let later = applied.subtracting(StateStore.migrator.migrations).sorted().first {
                throw StorageError("it was written by a later version of this program (schema \(later))")
            }
            if readOnly {
                guard applied.isSuperset(of: StateStore.migrator.migrations) else {
                    throw StorageError("it was written by an earlier version; `vedette run` brings it up to date")
                }
            } else {
                try StateStore.migrator.migrate(queue)
            }
        } catch { throw StateStore.problem("cannot open the state in", path, error) }
    }

    /// An error with what an operator can do about it.
    static func problem(_ what: String, _ path: String, _ error: any Error) -> StorageError {
        let advice =
            switch (error as? DatabaseError)?.resultCode {
            case .SQLITE_CORRUPT?, .SQLITE_NOTADB?:
                "; the database is damaged: restore it from a backup, or move it away (the daemon then starts as on its first day)"
            case .SQLITE_FULL?: "; the disk is full: make room and start again, nothing that was committed is lost"
            case .SQLITE_IOERR?: "; the disk is full or failing: nothing that was committed is lost"
            case .SQLITE_READONLY?, .SQLITE_CANTOPEN?: "; check that the directory is there and belongs to the daemon's user"
            case .SQLITE_BUSY?: "; another process holds the database"
            default: ""
            }
        return StorageError("\(what) \(path): \(error)\(advice)")
    }

    func wrap<T>(_ what: String, _ body: () throws -> T) throws -> T {
        do { return try body() } catch { throw StateStore.problem(what, path, error) }
    }

    static func data(_ bytes: [UInt8]) -> DatabaseValue { BlobData(bytes).databaseValue }

    /// GRDB stores `Data`; this keeps Foundation out of the public signatures.
    struct Blob: DatabaseValueConvertible {
        let bytes: [UInt8]
        var databaseValue: DatabaseValue { BlobData(bytes).databaseValue }
        static func fromDatabaseValue(_ v: DatabaseValue) -> Blob? { BlobData.fromDatabaseValue(v).map { Blob(bytes: Array($0)) } }
    }

    // MARK: Schema

    static var migrator: DatabaseMigrator {
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
        // One row an alert, so that an output that is down does not have its whole backlog written again with each new alert; files are
        // known by inode, so that a file put in the place of ours is never cut; `evidence` finds the alerts whose records may age out.
        m.registerMigration("2") { db in
            try db.execute(
                sql: """
                    CREATE TABLE outbox_item (sink TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (sink, number));
                    CREATE TABLE file_mark (name TEXT PRIMARY KEY, inode INTEGER NOT NULL, length INTEGER NOT NULL);
                    ALTER TABLE alert ADD COLUMN evidence INTEGER NOT NULL DEFAULT 1;
                    ALTER TABLE rule_state ADD COLUMN unused_since INTEGER;
                    ALTER TABLE stream DROP COLUMN size;
                    ALTER TABLE stream ADD COLUMN last_time INTEGER NOT NULL DEFAULT 0;
                    CREATE INDEX alert_by_writing ON alert (written);
                    CREATE INDEX alert_with_evidence ON alert (written) WHERE evidence = 1;
                    """)
            for row in try Row.fetchAll(db, sql: "SELECT sink, bytes FROM outbox") {
                let sink: String = row[0]
                let blob: Blob = row[1]
                for (i, alert) in try AlertCodec.decode(blob.bytes).enumerated() {
                    try db.execute(
                        sql: "INSERT INTO outbox_item VALUES (?, ?, ?)", arguments: [sink, i + 1, data(AlertCodec.encode([alert]))])
                }
            }
            // An inode of 0 stands for any file, until the first checkpoint knows it.
            try db.execute(
                sql: """
                    INSERT INTO file_mark SELECT name, 0, length FROM sink;
                    DROP TABLE outbox;
                    DROP TABLE sink;
                    """)
        }
        // The last alert of each rule without a look at the alerts, which hold their evidence.
        m.registerMigration("3") { try $0.execute(sql: "CREATE INDEX alert_by_rule ON alert (rule_id, end_time)") }
        return m
    }
}
