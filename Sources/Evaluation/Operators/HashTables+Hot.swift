import CKernels
import Columnar

// Hot file: hash tables of grouping and joining, over the kernels of `vk_group.h`.
//
// Invariants: `slots.count` is a power of two, `keys.count` is half of it, and `count` keys are in use, each in one slot. Batches of keys
// and ids have equal lengths. Pointers are used only inside the closure that lends them.

/// 64-bit keys to dense ids, in order of first sight. Open addressing, linear probing, at most half full.
struct IntTable: Sendable {
    /// Key by id; longer than `count`.
    private var room = ContiguousArray<UInt64>(repeating: 0, count: 32)
    private var slots = ContiguousArray<vk_word_slot>(repeating: vk_word_slot(), count: 64)
    private(set) var count = 0

    /// Key by id.
    var keys: ArraySlice<UInt64> { room[0..<count] }

    @inline(__always)
    func key(_ id: Int) -> UInt64 { room[id] }

    /// The id of a key; a new one gets the next id.
    mutating func intern(_ key: UInt64) -> UInt32 {
        var id: UInt32 = 0
        withUnsafePointer(to: key) { key in withUnsafeMutablePointer(to: &id) { intern(key, 1, $0) } }
        return id
    }

    /// The ids of keys; new ones get the next ids.
    mutating func intern(_ keys: ContiguousArray<UInt64>) -> ContiguousArray<UInt32> {
        ContiguousArray(unsafeUninitializedCapacity: keys.count) { out, n in
            keys.withUnsafeBufferPointer { if let from = $0.baseAddress, let to = out.baseAddress { intern(from, $0.count, to) } }
            n = keys.count
        }
    }

    mutating func intern(_ keys: UnsafePointer<UInt64>, _ n: Int, _ out: UnsafeMutablePointer<UInt32>) {
        var done = 0
        while true {
            let mask = slots.count - 1
            done += slots.withUnsafeMutableBufferPointer { s in
                room.withUnsafeMutableBufferPointer { r in
                    vk_words_intern(keys + done, n - done, s.baseAddress, mask, r.baseAddress, &count, out + done)
                }
            }
            if done == n { return }
            grow()
        }
    }

    /// The id of a key, or nil.
    func find(_ key: UInt64) -> UInt32? {
        var id: Int64 = -1
        withUnsafePointer(to: key) { key in withUnsafeMutablePointer(to: &id) { find(key, 1, $0) } }
        return id < 0 ? nil : UInt32(truncatingIfNeeded: id)
    }

    /// The ids of keys; -1 for unknown ones.
    func find(_ keys: ContiguousArray<UInt64>) -> ContiguousArray<Int64> {
        ContiguousArray(unsafeUninitializedCapacity: keys.count) { out, n in
            keys.withUnsafeBufferPointer { if let from = $0.baseAddress, let to = out.baseAddress { find(from, $0.count, to) } }
            n = keys.count
        }
    }

    func find(_ keys: UnsafePointer<UInt64>, _ n: Int, _ out: UnsafeMutablePointer<Int64>) {
        slots.withUnsafeBufferPointer { vk_words_find(keys, n, $0.baseAddress, $0.count - 1, out) }
    }

    /// Makes room for so many keys.
    mutating func reserve(_ n: Int) {
        var size = slots.count
        while size / 2 < n { size *= 2 }
        if size > slots.count { grow(to: size) }
    }

    private mutating func grow() {
        // Small tables grow faster: they are filled again most often.
        grow(to: slots.count * (slots.count < 1 << 16 ? 4 : 2))
    }

    private mutating func grow(to size: Int) {
        slots = []
        slots = LargeMemory.array([], count: size, filling: vk_word_slot(), capacity: size)
        room = LargeMemory.array(room, count: size / 2, filling: 0, capacity: size / 2)
        slots.withUnsafeMutableBufferPointer { s in
            room.withUnsafeBufferPointer { vk_words_fill($0.baseAddress, count, s.baseAddress, size - 1) }
        }
    }

    /// Memory in use.
    var bytes: Int { room.count * 8 + slots.count * MemoryLayout<vk_word_slot>.stride }
}

/// Byte strings to dense ids, in order of first sight.
struct ByteTable: Sendable {
    private(set) var strings = ByteStrings()
    private var hashes = ContiguousArray<UInt64>()
    private var slots = ContiguousArray<vk_byte_slot>(repeating: vk_byte_slot(), count: 64)

    var count: Int { strings.count }

    /// Memory in use.
    var bytes: Int { strings.bytes.count + strings.count * 12 + slots.count * 8 }

    /// The id of a string; a new one gets the next id. Throws when the distinct strings pass 4 GiB.
    mutating func intern(_ bytes: UnsafeRawBufferPointer) throws -> UInt32 {
        guard bytes.count <= Int(UInt32.max) else { throw ByteTable.full }
        let offsets = (UInt32(0), UInt32(bytes.count))
        let hash = vk_xxh3_64(bytes.baseAddress, bytes.count, 0)
        var id: UInt32 = 0
        var slot = 0
        let text = bytes.bindMemory(to: UInt8.self).baseAddress
        let known = withUnsafeBytes(of: offsets) { o in
            withUnsafePointer(to: hash) { h in
                look(text, o.bindMemory(to: UInt32.self).baseAddress, h, from: 0, 1, &id, &slot)
            }
        }
        if known == 1 { return id }
        return try add(bytes, hash, slot)
    }

    /// The id of one string of a list.
    mutating func intern(_ list: ByteStrings, at i: Int) throws -> UInt32 { try list.withBytes(i) { try intern($0) } }

    /// The ids of all strings of a list, into `out` (room for `list.count`).
    mutating func intern(_ list: ByteStrings, _ out: UnsafeMutablePointer<UInt32>) throws {
        let n = list.count
        let listHashes = ByteTable.hashes(of: list)
        try list.bytes.withUnsafeBufferPointer { text in
            try list.offsets.withUnsafeBufferPointer { offsets in
                try listHashes.withUnsafeBufferPointer { h in
                    var at = 0
                    while true {
                        var slot = 0
                        at = look(text.baseAddress, offsets.baseAddress, h.baseAddress, from: at, n, out, &slot)
                        if at == n { return }
                        let start = Int(offsets[at])
                        let one = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: text[start..<Int(offsets[at + 1])]))
                        out[at] = try add(one, h[at], slot)
                        at += 1
                    }
                }
            }
        }
    }

    /// The ids of all strings of a list, -1 for unknown ones.
    func find(_ list: ByteStrings) -> ContiguousArray<Int64> {
        let listHashes = ByteTable.hashes(of: list)
        return ContiguousArray(unsafeUninitializedCapacity: list.count) { out, n in
            list.bytes.withUnsafeBufferPointer { text in
                list.offsets.withUnsafeBufferPointer { offsets in
                    withParts { s, b, o in
                        listHashes.withUnsafeBufferPointer { h in
                            vk_strings_find(
                                text.baseAddress, offsets.baseAddress, h.baseAddress, h.count, s.baseAddress, s.count - 1, b, o,
                                out.baseAddress)
                        }
                    }
                }
            }
            n = list.count
        }
    }

    func find(_ bytes: UnsafeRawBufferPointer) -> UInt32? {
        guard bytes.count <= Int(UInt32.max) else { return nil }
        let offsets = (UInt32(0), UInt32(bytes.count))
        let hash = vk_xxh3_64(bytes.baseAddress, bytes.count, 0)
        var id: UInt32 = 0
        var slot = 0
        let text = bytes.bindMemory(to: UInt8.self).baseAddress
        let known = withUnsafeBytes(of: offsets) { o in
            withUnsafePointer(to: hash) { h in
                look(text, o.bindMemory(to: UInt32.self).baseAddress, h, from: 0, 1, &id, &slot)
            }
        }
        return known == 1 ? id : nil
    }

    /// XXH3 of every string.
    static func hashes(of list: ByteStrings) -> ContiguousArray<UInt64> {
        ContiguousArray(unsafeUninitializedCapacity: list.count) { out, n in
            list.bytes.withUnsafeBufferPointer { b in
                list.offsets.withUnsafeBufferPointer { vk_strings_hash(b.baseAddress, $0.baseAddress, list.count, out.baseAddress) }
            }
            n = list.count
        }
    }

    private static var full: EvaluationError { EvaluationError("the distinct values of one column take more than 4 GiB") }

    private func withParts(
        _ body: (UnsafeBufferPointer<vk_byte_slot>, UnsafePointer<UInt8>?, UnsafePointer<UInt32>?) -> Void
    ) {
        slots.withUnsafeBufferPointer { s in
            strings.bytes.withUnsafeBufferPointer { b in
                strings.offsets.withUnsafeBufferPointer { body(s, b.baseAddress, $0.baseAddress) }
            }
        }
    }

    private func look(
        _ text: UnsafePointer<UInt8>?, _ offsets: UnsafePointer<UInt32>?, _ listHashes: UnsafePointer<UInt64>?, from: Int, _ n: Int,
        _ out: UnsafeMutablePointer<UInt32>, _ slot: inout Int
    ) -> Int {
        var done = n
        withParts { s, b, o in
            done = vk_strings_intern(text, offsets, listHashes, from, n, s.baseAddress, s.count - 1, b, o, out, &slot)
        }
        return done
    }

    private mutating func add(_ bytes: UnsafeRawBufferPointer, _ hash: UInt64, _ slot: Int) throws -> UInt32 {
        guard strings.bytes.count + bytes.count <= Int(UInt32.max) else { throw ByteTable.full }
        strings.append(bytes)
        hashes.append(hash)
        slots[slot] = vk_byte_slot(tag: UInt32(truncatingIfNeeded: hash >> 32), id: UInt32(truncatingIfNeeded: strings.count))
        if strings.count * 2 > slots.count { grow() }
        return UInt32(truncatingIfNeeded: strings.count - 1)
    }

    private mutating func grow() {
        let size = slots.count * (slots.count < 1 << 16 ? 4 : 2)
        slots = []
        slots = LargeMemory.array([], count: size, filling: vk_byte_slot(), capacity: size)
        slots.withUnsafeMutableBufferPointer { s in
            hashes.withUnsafeBufferPointer { vk_strings_fill($0.baseAddress, $0.count, s.baseAddress, size - 1) }
        }
    }
}

/// Keys as words: cells of a column whose values are compared by 64 bits.
enum WordKeys {
    /// The words of a column of a word type, 0 under nulls; nil for other types.
    static func of(_ column: Column) -> ContiguousArray<UInt64>? {
        switch column.data {
        case .longs(let a):
            return ContiguousArray(unsafeUninitializedCapacity: a.count) { out, n in
                a.withUnsafeBytes { UnsafeMutableRawBufferPointer(out).copyMemory(from: $0) }
                n = a.count
            }
        case .reals(let a):
            return ContiguousArray(unsafeUninitializedCapacity: a.count) { out, n in
                for i in 0..<a.count { out[i] = CellCode.bits(a[i]) }
                n = a.count
            }
        case .bools(let b):
            return ContiguousArray(unsafeUninitializedCapacity: b.count) { out, n in
                for i in 0..<b.count { out[i] = b[i] ? 1 : 0 }
                n = b.count
            }
        case .decimals, .guids, .strings, .dynamics: return nil
        }
    }

    /// Pairs of ids as words.
    static func pairs(_ high: ContiguousArray<UInt32>, _ low: ContiguousArray<UInt32>) -> ContiguousArray<UInt64> {
        ContiguousArray(unsafeUninitializedCapacity: high.count) { out, n in
            high.withUnsafeBufferPointer { h in
                low.withUnsafeBufferPointer { l in for i in 0..<min(h.count, l.count) { out[i] = UInt64(h[i]) << 32 | UInt64(l[i]) } }
            }
            n = high.count
        }
    }
}
