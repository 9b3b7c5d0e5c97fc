/// Streams that are not open now: of the last run, ended, or parked because nothing happens in them. By file and by rotation family.
struct TailMemory {
    final class Entry {
        var saved: SavedStream
        let family: String
        let rungs: [UInt64]
        /// Records of the one document that the stream consisted of, which may be rewritten; nil if it was another kind of stream.
        let documentRecords: UInt64?
        /// The file as it was when the stream was closed at its end: while it stays so, there is nothing to read.
        var parked: (size: UInt64, modified: Int64)?
        /// The last scan that met its file.
        var seen: UInt64 = 0
        fileprivate let order: UInt64
        fileprivate var key: FileKey?

        fileprivate init(_ saved: SavedStream, order: UInt64) {
            self.saved = saved
            self.order = order
            family = TailSet.family(saved.path)
            let fields = try? RecordReader.Saved(saved.resume)
            rungs = fields?.rungs ?? []
            documentRecords = RecordReader.memory(in: saved.resume)?.count
        }
    }

    /// Streams whose files are gone are forgotten beyond this number, the oldest first.
    static let capacity = 10_000
    var capacity = TailMemory.capacity

    private(set) var entries: [String: Entry] = [:]
    private var byKey: [FileKey: Entry] = [:]
    private var byFamily: [String: [Entry]] = [:]
    private var order: UInt64 = 0
    /// Streams taken out for good since this was last emptied.
    var forgotten: Set<String> = []

    func entry(of key: FileKey) -> Entry? { byKey[key] }

    /// Members of a family, the newest first.
    func family(_ name: String) -> [Entry] { (byFamily[name] ?? []).reversed() }

    /// What is known of the document under a name: of several versions, which only grow, the longest.
    func document(at path: String) -> Entry? {
        family(TailSet.family(path)).filter { $0.saved.path == path && $0.documentRecords != nil }
            .max { ($0.documentRecords ?? 0, $0.order) < ($1.documentRecords ?? 0, $1.order) }
    }

    @discardableResult
    mutating func add(_ saved: SavedStream, bound: Bool) -> Entry {
        if let old = entries[saved.id] { remove(old) }
        order += 1
        let e = Entry(saved, order: order)
        entries[saved.id] = e
        byFamily[e.family, default: []].append(e)
        if bound {
            let key = FileKey(device: saved.device, inode: saved.inode)
            byKey[key]?.key = nil
            byKey[key] = e
            e.key = key
        }
        forgotten.remove(saved.id)
        return e
    }

    /// The file holds other data now.
    mutating func unbind(_ e: Entry) {
        if let key = e.key { byKey[key] = nil }
        e.key = nil
        e.parked = nil
    }

    mutating func remove(_ e: Entry) {
        unbind(e)
        entries[e.saved.id] = nil
        byFamily[e.family]?.removeAll { $0 === e }
        if byFamily[e.family]?.isEmpty == true { byFamily[e.family] = nil }
    }

    /// Keeps the number of streams whose files are gone within bounds.
    mutating func trim(scan: UInt64) {
        guard entries.count > capacity else { return }
        let gone = entries.values.filter { $0.seen + 1 < scan }.sorted { $0.order < $1.order }
        guard gone.count > capacity + capacity / 10 else { return }
        for e in gone.dropLast(capacity) { forget(e) }
    }

    mutating func forget(_ e: Entry) {
        forgotten.insert(e.saved.id)
        remove(e)
    }
}
