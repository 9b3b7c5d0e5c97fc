import CKernels
import Columnar
import Glibc

/// What is known of the values of one column: which atoms hold for each. Bounded; one a worker thread and column.
///
/// Open addressing over XXH3 of the bytes; equal hashes are told apart by comparing the bytes. A full memo grows if values came again while
/// it filled; if they did not (identifiers of requests never do) it is emptied, so that what is of no use takes little memory.
struct ValueMemo {
    /// Most values remembered.
    static let capacity = 1 << 16
    /// Values that every memo may hold.
    static let firstLimit = 1 << 12
    /// Longer values are not remembered.
    static let maximumLength = 4096

    private var slots = ContiguousArray<Int32>(repeating: -1, count: 1024)
    private var hashes = ContiguousArray<UInt64>()
    private var values = ByteStrings()
    /// Number of the value's atom list; 0: no atom holds.
    private var wakes = ContiguousArray<Int32>()

    var count: Int { hashes.count }
    /// Values that may be held now.
    private(set) var limit = ValueMemo.firstLimit
    /// Values found since the memo was empty or grew.
    private var hits = 0

    /// Notes how often values were found, and makes room for others where the memo is full.
    mutating func settle(found: Int) {
        hits += found
        guard count >= limit else { return }
        let isUseful = hits >= count / 4
        let next = isUseful ? ValueMemo.capacity : ValueMemo.firstLimit
        // A full one starts over: streams repeat their values within minutes, so the rebuild is short.
        if !isUseful || limit == ValueMemo.capacity { self = ValueMemo() }
        limit = next
        hits = 0
    }

    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 { vk_xxh3_64(bytes.baseAddress, bytes.count, 0) }

    /// The wake list of a value; nil if it is not known.
    func find(_ bytes: UnsafeRawBufferPointer, hash: UInt64) -> Int32? {
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: hash) & mask
        while true {
            let e = slots[i]
            if e < 0 { return nil }
            if hashes[Int(e)] == hash,
                values.withBytes(Int(e), { ValueMemo.equal($0, bytes) })
            {
                return wakes[Int(e)]
            }
            i = (i + 1) & mask
        }
    }

    private static func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count else { return false }
        guard let p = a.baseAddress, let q = b.baseAddress else { return true }
        return memcmp(p, q, a.count) == 0
    }

    mutating func insert(_ bytes: UnsafeRawBufferPointer, hash: UInt64, wake: Int32) {
        let index = Int32(count)
        hashes.append(hash)
        values.append(bytes)
        wakes.append(wake)
        if count * 2 > slots.count {
            slots = ContiguousArray(repeating: -1, count: slots.count * 2)
            for e in hashes.indices { place(Int32(e), hashes[e]) }
        } else {
            place(index, hash)
        }
    }

    private mutating func place(_ entry: Int32, _ hash: UInt64) {
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: hash) & mask
        while slots[i] >= 0 { i = (i + 1) & mask }
        slots[i] = entry
    }
}
