import CKernels
import Columnar
import Glibc

/// What is known of the values of one column: which atoms hold for each. Bounded; one a worker thread and column.
///
/// Open addressing over XXH3 of the bytes; equal hashes are told apart by comparing the bytes. When `capacity` values are held the memo
/// is emptied: streams repeat their values within minutes, so the rebuild is short.
struct ValueMemo {
    /// Most values remembered.
    static let capacity = 1 << 16
    /// Longer values are not remembered.
    static let maximumLength = 4096

    private var slots = ContiguousArray<Int32>(repeating: -1, count: 1024)
    private var hashes = ContiguousArray<UInt64>()
    private var values = ByteStrings()
    /// Number of the value's atom list; 0: no atom holds.
    private var wakes = ContiguousArray<Int32>()

    var count: Int { hashes.count }

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
        if count >= ValueMemo.capacity { self = ValueMemo() }
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
