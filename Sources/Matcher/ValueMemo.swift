import CKernels
import Columnar

/// What is known of the values of one column: which atoms hold for each. Bounded; one a worker thread and column.
///
/// There are two generations. New values go into the young one, and so do values of the old one that come again; when the young one is full
/// it becomes the old one, and what was old and did not come again is forgotten. So a memo holds what came lately, however long the stream.
/// A young generation that fills up may grow if values came again while it filled; if they did not (identifiers of requests never do) the memo
/// is emptied, so that what is of no use takes little memory.
struct ValueMemo {
    /// Most values of a generation.
    static let generation = 1 << 15
    /// Most bytes of the values of a generation; the batch that passes it is still taken up.
    static let generationBytes = 4 << 20
    /// Values that a generation of every memo may hold.
    static let firstLimit = 1 << 12
    /// Longer values are not remembered.
    static let maximumLength = 4096

    private var young = Generation()
    private var old = Generation()

    /// Values remembered.
    var count: Int { young.count + old.count }
    /// Memory, roughly.
    var bytes: Int { young.bytes + old.bytes }
    /// Values that the young generation may hold now.
    private(set) var limit = ValueMemo.firstLimit
    /// Values found since the young generation was empty or may grow.
    private var hits = 0

    /// Notes how often values were found, and makes room for others where the memo is full.
    mutating func settle(found: Int) {
        hits += found
        let isLarge = young.values.bytes.count >= ValueMemo.generationBytes
        guard young.count >= limit || isLarge else { return }
        guard hits >= young.count / 4 else {
            self = ValueMemo()
            return
        }
        if isLarge || limit == ValueMemo.generation { age() }
        limit = ValueMemo.generation
        hits = 0
    }

    /// Forgets the values that did not come since the last time; the others count as old.
    mutating func age() {
        old = young.count > 0 ? young : Generation()
        // As large as the last one became, so that memory does not go up and down with every generation.
        young = Generation(as: old)
        hits = 0
    }

    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 { vk_xxh3_64(bytes.baseAddress, bytes.count, 0) }

    /// The wake list of a young value: number of the value's atom list, 0 where no atom holds; nil if it is not known.
    func find(_ bytes: UnsafeRawBufferPointer, hash: UInt64) -> Int32? { young.find(bytes, hash) }

    /// The same for an old value, which is young from now on.
    mutating func revive(_ bytes: UnsafeRawBufferPointer, hash: UInt64) -> Int32? {
        guard let wake = old.find(bytes, hash) else { return nil }
        young.insert(bytes, hash, wake)
        return wake
    }

    mutating func insert(_ bytes: UnsafeRawBufferPointer, hash: UInt64, wake: Int32) { young.insert(bytes, hash, wake) }

    /// Open addressing over XXH3 of the bytes; equal hashes are told apart by comparing the bytes. Without values it holds no memory.
    private struct Generation {
        private var slots = ContiguousArray<Int32>()
        private var hashes = ContiguousArray<UInt64>()
        private(set) var values = ByteStrings()
        private var wakes = ContiguousArray<Int32>()

        init() {}

        /// An empty one with room for the values of another.
        init(as other: Generation) {
            guard other.count > 0 else { return }
            slots = ContiguousArray(repeating: -1, count: other.slots.count)
            hashes.reserveCapacity(other.count)
            wakes.reserveCapacity(other.count)
            values.reserve(strings: other.count, bytes: other.values.bytes.count)
        }

        var count: Int { hashes.count }
        var bytes: Int { slots.count * 4 + count * 16 + values.bytes.count }

        func find(_ bytes: UnsafeRawBufferPointer, _ hash: UInt64) -> Int32? {
            if hashes.isEmpty { return nil }
            let mask = slots.count - 1
            var i = Int(truncatingIfNeeded: hash) & mask
            while true {
                let e = slots[i]
                if e < 0 { return nil }
                if hashes[Int(e)] == hash, values.withBytes(Int(e), { ByteText.equal($0, bytes) }) { return wakes[Int(e)] }
                i = (i + 1) & mask
            }
        }

        mutating func insert(_ bytes: UnsafeRawBufferPointer, _ hash: UInt64, _ wake: Int32) {
            let index = Int32(count)
            hashes.append(hash)
            values.append(bytes)
            wakes.append(wake)
            if count * 2 > slots.count {
                slots = ContiguousArray(repeating: -1, count: max(256, slots.count * 2))
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
}
