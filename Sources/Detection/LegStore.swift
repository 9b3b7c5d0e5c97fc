import Columnar
import KQL

/// The 128-bit hash of a raw record: the part of a ``RowKey`` that finds its evidence.
public struct RecordHash: Sendable, Hashable {
    public let high: UInt64
    public let low: UInt64
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    public init(_ key: RowKey) { self.init(high: key.hashHigh, low: key.hashLow) }
}

/// Retained survivors of one leg, in segments as they arrived, with their raw records while the evidence budget lasts.
struct LegStore {
    struct Segment {
        /// Unique within the leg, ascending; the key under which storage keeps it.
        let id: Int64
        var rows: Batch
        var least: Int64
        var greatest: Int64
        var raw: [RecordHash: String]
        var rawBytes: Int
    }

    /// More segments than this are merged into one, so that a tick does not walk thousands of tiny batches.
    static let mergeAbove = 64

    private(set) var segments: [Segment] = []
    private var nextID: Int64 = 1
    /// Changes since the last checkpoint.
    private(set) var added: Set<Int64> = []
    private(set) var dropped: Set<Int64> = []

    var rowCount: Int { segments.reduce(0) { $0 + $1.rows.count } }
    var rawBytes: Int { segments.reduce(0) { $0 + $1.rawBytes } }
    var earliest: Int64? { segments.map(\.least).min() }

    mutating func append(_ rows: Batch, raw: [RecordHash: String]) {
        guard rows.count > 0, let keys = rows.keys else { return }
        var least = Int64.max
        var greatest = Int64.min
        for k in keys {
            least = min(least, k.time)
            greatest = max(greatest, k.time)
        }
        add(
            Segment(
                id: nextID, rows: rows, least: least, greatest: greatest, raw: raw, rawBytes: raw.values.reduce(0) { $0 + $1.utf8.count }))
        if segments.count > LegStore.mergeAbove { merge() }
    }

    private mutating func add(_ s: Segment) {
        segments.append(s)
        added.insert(s.id)
        nextID = max(nextID, s.id) + 1
    }

    private mutating func merge() {
        guard let first = segments.first else { return }
        var builders = first.rows.columns.map { ColumnBuilder($0.type) }
        var keys = ContiguousArray<RowKey>()
        var raw: [RecordHash: String] = [:]
        for s in segments {
            for i in builders.indices { builders[i].append(contentsOf: s.rows.columns[i]) }
            keys += s.rows.keys ?? []
            raw.merge(s.raw) { a, _ in a }
        }
        let merged = Batch(columns: builders.indices.map { builders[$0].finish() }, count: keys.count, keys: keys)
        for s in segments { drop(s.id) }
        segments = []
        append(merged, raw: raw)
    }

    private mutating func drop(_ id: Int64) {
        if added.remove(id) == nil { dropped.insert(id) }
    }

    /// Forgets segments that lie wholly before a time.
    mutating func expire(before time: Int64) {
        for s in segments where s.greatest < time { drop(s.id) }
        segments.removeAll { $0.greatest < time }
    }

    /// Gives up the raw records of the oldest segment that has any; the bytes freed.
    mutating func shedRaw() -> Int {
        guard let i = segments.indices.filter({ segments[$0].rawBytes > 0 }).min(by: { segments[$0].greatest < segments[$1].greatest })
        else {
            return 0
        }
        let freed = segments[i].rawBytes
        segments[i].raw = [:]
        segments[i].rawBytes = 0
        added.insert(segments[i].id)
        return freed
    }

    func raw(_ hash: RecordHash) -> String? {
        for s in segments { if let r = s.raw[hash] { return r } }
        return nil
    }

    /// Whether any row's time lies in the closed interval.
    func hasRows(from: Int64, to: Int64) -> Bool {
        for s in segments where s.greatest >= from && s.least <= to {
            if s.least >= from || s.greatest <= to { return true }
            if let keys = s.rows.keys, keys.contains(where: { $0.time >= from && $0.time <= to }) { return true }
        }
        return false
    }

    /// The least row time that is at or after a time.
    func nextTime(atOrAfter time: Int64) -> Int64? {
        var best: Int64?
        for s in segments where s.greatest >= time {
            if s.least >= time {
                best = min(best ?? .max, s.least)
            } else {
                for k in s.rows.keys ?? [] where k.time >= time { best = min(best ?? .max, k.time) }
            }
        }
        return best
    }

    // MARK: Checkpoints

    mutating func checkpointed() {
        added = []
        dropped = []
    }

    func encoded(_ id: Int64) -> [UInt8]? {
        guard let s = segments.first(where: { $0.id == id }) else { return nil }
        var w = StateWriter()
        w.u8(1)
        w.batch(s.rows)
        w.int(s.raw.count)
        for (h, text) in s.raw.sorted(by: { ($0.key.high, $0.key.low) < ($1.key.high, $1.key.low) }) {
            w.u64(h.high)
            w.u64(h.low)
            w.text(text)
        }
        return w.bytes
    }

    mutating func restore(id: Int64, bytes: [UInt8], columns: [BoundColumn]) throws {
        var r = StateReader(bytes)
        guard try r.u8() == 1 else { throw StateError("segment of an unknown version") }
        let rows = try r.batch()
        guard rows.columns.map(\.type) == columns.map(\.type) else { throw StateError("segment of another schema") }
        var raw: [RecordHash: String] = [:]
        for _ in 0..<(try r.count(of: 24)) {
            let h = RecordHash(high: try r.u64(), low: try r.u64())
            raw[h] = try r.text()
        }
        guard let keys = rows.keys, let least = keys.map(\.time).min(), let greatest = keys.map(\.time).max() else { return }
        segments.append(
            Segment(id: id, rows: rows, least: least, greatest: greatest, raw: raw, rawBytes: raw.values.reduce(0) { $0 + $1.utf8.count }))
        nextID = max(nextID, id + 1)
    }
}
