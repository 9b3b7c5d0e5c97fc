/// What was delivered of a stream's first document, while nothing followed it: some writers (flow logs) rewrite one `{"records":[...]}`
/// in place, putting new records before its closing brackets. Reading it again, records known by their hashes are skipped.
struct DocumentMemory: Sendable, Hashable {
    /// Hashes kept; of longer documents the records behind are known by their number only.
    static let bound = 8192

    private(set) var hashes: [UInt64] = []
    private(set) var count: UInt64 = 0

    init() {}

    init(hashes: [UInt64], count: UInt64) {
        self.hashes = hashes
        self.count = count
    }

    mutating func note(_ hash: UInt64) {
        if hashes.count < DocumentMemory.bound { hashes.append(hash) }
        count += 1
    }
}

/// Skips the records of a rewritten document that were delivered before. As a rule they come first and in order; where they do not, each
/// known hash hides one record. Byte-identical records stay separate: as many are hidden as were delivered.
struct RewriteFilter: Sendable, Hashable {
    private let known: DocumentMemory
    private var next: UInt64 = 0
    /// Known records not met again, once the order was left.
    private var rest: [UInt64: Int]?
    private var isOver = false

    init(_ known: DocumentMemory) { self.known = known }

    /// Whether the document's next record, by its hash, was delivered before.
    mutating func skips(_ hash: UInt64) -> Bool {
        if isOver { return false }
        if var rest {
            guard let left = rest[hash], left > 0 else { return false }
            rest[hash] = left - 1
            self.rest = rest
            return true
        }
        if next < UInt64(known.hashes.count) {
            if known.hashes[Int(next)] == hash {
                next += 1
                return true
            }
            if next == 0 {
                // Another document from its first record on: nothing is known of it.
                isOver = true
                return false
            }
            var counts: [UInt64: Int] = [:]
            for h in known.hashes[Int(next)...] { counts[h, default: 0] += 1 }
            rest = counts
            return skips(hash)
        }
        guard next < known.count else {
            isOver = true
            return false
        }
        next += 1
        return true
    }

    /// What is known once `read` of a later version was read: a version that is cut short knows less than the one before it did.
    func merged(with read: DocumentMemory) -> DocumentMemory {
        if isOver || read.count >= known.count { return read }
        var counts: [UInt64: Int] = [:]
        for h in known.hashes { counts[h, default: 0] += 1 }
        var merged = known
        for h in read.hashes {
            if let left = counts[h], left > 0 { counts[h] = left - 1 } else { merged.note(h) }
        }
        return merged
    }

    // MARK: Saved form

    func write(to w: inout ByteWriter) {
        w.u8(isOver ? 2 : rest == nil ? 0 : 1)
        w.u64(next)
        w.memory(known)
        guard let rest else { return }
        w.u64(UInt64(rest.count))
        for (hash, left) in rest.sorted(by: { $0.key < $1.key }) {
            w.u64(hash)
            w.u64(UInt64(max(0, left)))
        }
    }

    init(from r: inout ByteReader) throws {
        let mode = try r.u8()
        next = try r.u64()
        known = try r.memory()
        isOver = mode == 2
        guard mode == 1 else { return }
        var counts: [UInt64: Int] = [:]
        for _ in 0..<(try r.count(of: 16)) { counts[try r.u64()] = Int(clamping: try r.u64()) }
        rest = counts
    }
}
