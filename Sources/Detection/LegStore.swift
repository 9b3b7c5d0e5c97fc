import Columnar
import KQL

/// The 128-bit hash of a raw record: the part of a `RowKey` that finds its evidence.
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
///
/// Of a leg that is read through panes only (``PaneState``), the storage is the one who keeps rows: a segment of ``releaseFrom`` rows or more
/// leaves memory when it has been saved, and comes back at a restart alone.
struct LegStore {
    struct Segment: Sendable {
        fileprivate enum Content: Sendable {
            case memory(Batch)
            case spilled(SpilledRows, times: ContiguousArray<Int64>)
            /// In the storage only.
            case released
        }

        /// Unique within the leg, ascending; the key under which storage keeps it.
        let id: Int64
        let count: Int
        fileprivate var content: Content
        let least: Int64
        let greatest: Int64
        var raw: [RecordHash: String]
        var rawBytes: Int

        fileprivate init?(id: Int64, rows: Batch, raw: [RecordHash: String]) {
            guard rows.count > 0, let keys = rows.keys, let least = keys.map(\.time).min(), let greatest = keys.map(\.time).max() else {
                return nil
            }
            self.id = id
            count = rows.count
            content = .memory(rows)
            self.least = least
            self.greatest = greatest
            self.raw = raw
            rawBytes = raw.values.reduce(0) { $0 + $1.utf8.count }
        }

        var isSpilled: Bool { if case .spilled = content { true } else { false } }
        var isInMemory: Bool { if case .memory = content { true } else { false } }

        /// Memory of the rows, roughly.
        var bytes: Int {
            switch content {
            case .memory(let rows): rows.bytes + 200
            case .spilled(_, let times): times.count * 8 + 200
            case .released: 200
            }
        }

        /// The rows, read back if they were spilled. Throws ``StateError`` if that fails.
        func rows() throws -> Batch {
            switch content {
            case .memory(let rows): rows
            case .spilled(let piece, _): try piece.read()
            case .released: throw StateError("rows of a saved segment were asked for")
            }
        }

        /// The rows' event times, in no order. Always at hand.
        var times: ContiguousArray<Int64> {
            switch content {
            case .memory(let rows): ContiguousArray((rows.keys ?? []).lazy.map(\.time))
            case .spilled(_, let times): times
            case .released: []
            }
        }

        /// Whether a row's time lies in the closed interval.
        func hasRow(from: Int64, to: Int64) -> Bool {
            guard greatest >= from, least <= to else { return false }
            if least >= from || greatest <= to { return true }
            switch content {
            case .memory(let rows): return rows.keys?.contains { $0.time >= from && $0.time <= to } ?? false
            case .spilled(_, let times): return times.contains { $0 >= from && $0 <= to }
            case .released: return false
            }
        }
    }

    /// Of more segments in memory than this, the smaller half is merged into one, so that a tick does not walk thousands of tiny batches.
    static let mergeAbove = 64
    /// Rows of a segment that need not stay in memory once it is saved.
    static let releaseFrom = 128

    /// The suffix reads the rows; else they only wait to be saved.
    let keepsRows: Bool

    init(keepsRows: Bool = true) { self.keepsRows = keepsRows }

    private(set) var segments: [Segment] = []
    private var nextID: Int64 = 1
    /// Changes since the last checkpoint.
    private(set) var added: Set<Int64> = []
    private(set) var dropped: Set<Int64> = []
    /// Segments that the store has in some version.
    private var saved: Set<Int64> = []

    var rowCount: Int { segments.reduce(0) { $0 + $1.count } }
    var residentRows: Int { segments.reduce(0) { $0 + ($1.isInMemory ? $1.count : 0) } }
    var spilledRows: Int { segments.reduce(0) { $0 + ($1.isSpilled ? $1.count : 0) } }
    var bytes: Int { segments.reduce(0) { $0 + $1.bytes } }
    var rawBytes: Int { segments.reduce(0) { $0 + $1.rawBytes } }
    var earliest: Int64? { segments.map(\.least).min() }

    mutating func append(_ rows: Batch, raw: [RecordHash: String]) {
        guard let s = Segment(id: nextID, rows: rows, raw: raw) else { return }
        add(s)
        if segments.count > LegStore.mergeAbove { merge() }
    }

    private mutating func add(_ s: Segment) {
        segments.append(s)
        added.insert(s.id)
        nextID = max(nextID, s.id) + 1
    }

    /// Each row is merged as often as the number of segments has doubled: large segments, which are the old ones, stay as they are.
    private mutating func merge() {
        let resident = segments.filter { $0.isInMemory && (keepsRows || $0.count < LegStore.releaseFrom) }
        guard resident.count > LegStore.mergeAbove else { return }
        let chosen = resident.sorted { ($0.count, $0.id) < ($1.count, $1.id) }.prefix(resident.count / 2 + 1)
        var builders: [ColumnBuilder] = []
        var keys = ContiguousArray<RowKey>()
        var lineage: ContiguousArray<Lineage>?
        var raw: [RecordHash: String] = [:]
        for s in chosen {
            guard case .memory(let rows) = s.content else { continue }
            // Not told by the builders: a leg may have no columns at all.
            if keys.isEmpty {
                builders = rows.columns.map { ColumnBuilder($0.type) }
                lineage = rows.lineage == nil ? nil : []
            }
            // All segments have lineage or none has: it follows from the leg.
            if let l = rows.lineage { lineage?.append(contentsOf: l) }
            for i in builders.indices { builders[i].append(contentsOf: rows.columns[i]) }
            keys += rows.keys ?? []
            raw.merge(s.raw) { a, _ in a }
        }
        let merged = Batch(columns: builders.indices.map { builders[$0].finish() }, count: keys.count, keys: keys, lineage: lineage)
        let gone = Set(chosen.map(\.id))
        for id in gone { drop(id) }
        segments.removeAll { gone.contains($0.id) }
        if let s = Segment(id: nextID, rows: merged, raw: raw) { add(s) }
    }

    private mutating func drop(_ id: Int64) {
        added.remove(id)
        if saved.contains(id) { dropped.insert(id) }
    }

    /// Forgets what lies before a time: whole segments, and the rows of a segment in memory if they are more than half of it.
    mutating func expire(before time: Int64) {
        for s in segments where s.greatest < time { drop(s.id) }
        segments.removeAll { $0.greatest < time }
        for s in segments where s.least < time && (time - s.least) > (s.greatest - s.least) / 2 {
            guard case .memory(let rows) = s.content, let keys = rows.keys else { continue }
            let left = ContiguousArray(keys.indices.filter { keys[$0].time >= time }.map { Int32(truncatingIfNeeded: $0) })
            guard 2 * left.count <= keys.count else { continue }
            let kept = rows.gather(left)
            let hashes = Set((kept.keys ?? []).map { RecordHash($0) })
            drop(s.id)
            segments.removeAll { $0.id == s.id }
            if let fresh = Segment(id: nextID, rows: kept, raw: s.raw.filter { hashes.contains($0.key) }) { add(fresh) }
        }
    }

    /// The time up to which the oldest segment in memory reaches; nil if there is none.
    var oldestResident: Int64? { segments.lazy.filter(\.isInMemory).map(\.greatest).min() }

    /// Moves the oldest segment in memory to a file; its raw records stay. Throws ``StateError``, and then nothing has changed.
    mutating func spillOldest(to file: SpillFile) throws {
        guard let i = segments.indices.filter({ segments[$0].isInMemory }).min(by: { segments[$0].greatest < segments[$1].greatest }),
            case .memory(let rows) = segments[i].content
        else { return }
        let times = segments[i].times
        segments[i].content = .spilled(try file.write(rows), times: times)
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
    func hasRows(from: Int64, to: Int64) -> Bool { segments.contains { $0.hasRow(from: from, to: to) } }

    /// The least row time that is at or after a time.
    func nextTime(atOrAfter time: Int64) -> Int64? {
        var best: Int64?
        for s in segments where s.greatest >= time && s.least < best ?? .max {
            if s.least >= time {
                best = s.least
            } else {
                for t in s.times where t >= time { best = min(best ?? .max, t) }
            }
        }
        return best
    }

    // MARK: Checkpoints

    mutating func checkpointed() {
        saved.formUnion(added)
        saved.subtract(dropped)
        added = []
        dropped = []
        if !keepsRows { for i in segments.indices where segments[i].count >= LegStore.releaseFrom { release(i) } }
    }

    private mutating func release(_ i: Int) {
        segments[i].content = .released
        segments[i].raw = [:]
        segments[i].rawBytes = 0
    }

    /// A segment as storage keeps it; nil if there is none. Throws ``StateError`` if it was spilled and cannot be read back.
    func encoded(_ id: Int64) throws -> [UInt8]? {
        guard let s = segments.first(where: { $0.id == id }) else { return nil }
        var w = StateWriter()
        w.u8(3)
        w.batch(try s.rows())
        w.int(s.raw.count)
        for (h, text) in s.raw.sorted(by: { ($0.key.high, $0.key.low) < ($1.key.high, $1.key.low) }) {
            w.u64(h.high)
            w.u64(h.low)
            w.text(text)
        }
        return w.sealed()
    }

    mutating func restore(id: Int64, bytes: [UInt8], columns: [BoundColumn]) throws {
        var r = try StateReader(sealed: bytes, version: 3, unsealed: 2, "segment")
        let rows = try r.batch()
        guard rows.columns.map(\.type) == columns.map(\.type) else { throw StateError("segment of another schema") }
        var raw: [RecordHash: String] = [:]
        for _ in 0..<(try r.count(of: 24)) {
            let h = RecordHash(high: try r.u64(), low: try r.u64())
            raw[h] = try r.text()
        }
        try r.end()
        guard let s = Segment(id: id, rows: rows, raw: raw) else { return }
        segments.append(s)
        nextID = max(nextID, id + 1)
        saved.insert(id)
    }

    /// The rows and raw records of a segment, before ``checkpointed()`` lets go of them.
    func content(_ id: Int64) throws -> (rows: Batch, raw: [RecordHash: String])? {
        try segments.first { $0.id == id }.map { (try $0.rows(), $0.raw) }
    }

    /// After a restart: what came from the storage and was taken up elsewhere.
    mutating func releaseRestored() {
        if !keepsRows { for i in segments.indices where segments[i].count >= LegStore.releaseFrom { release(i) } }
    }
}
