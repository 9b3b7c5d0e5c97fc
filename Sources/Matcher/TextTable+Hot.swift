import CKernels
import Columnar

// Hot file: every new value of a column with equalities passes here.
//
// Invariants: everything is set in `init`. `slots` has a power of two of entries, at most half of them used; the low half of a used one is
// the number of a key + 1, the high half that of the key's hash. The atoms of key n are `atoms[starts[n]..<starts[n + 1]]`. Pointers are
// used inside the closures that lend them.

/// Texts, and for each the atoms that hold for it: one look-up decides all equalities of all rules over a value.
struct TextTable: Sendable {
    private let keys: ByteStrings
    private let atoms: ContiguousArray<Int32>
    private let starts: ContiguousArray<Int32>
    private let slots: ContiguousArray<UInt64>
    /// Bit `length`, at most 63, of every key: most values fail here.
    private let lengths: UInt64

    /// A text and an atom that holds for it.
    typealias Entry = (text: String, atom: Int32)

    /// Entries of one atom stand together, and atoms ascend; one that comes twice counts once.
    init(_ entries: [Entry]) {
        var keys = ByteStrings()
        var size = 2
        while size < entries.count * 2 { size *= 2 }
        var slots = ContiguousArray<UInt64>(repeating: 0, count: size)
        var lengths: UInt64 = 0
        // The key of each entry, -1 for one that is there already; the last atom of each key, and how many it has.
        var keyOf = ContiguousArray<Int32>()
        keyOf.reserveCapacity(entries.count)
        var last = ContiguousArray<Int32>()
        var counts = ContiguousArray<Int32>()
        for var entry in entries {
            entry.text.withUTF8 { text in
                let bytes = UnsafeRawBufferPointer(text)
                let hash = vk_xxh3_64(bytes.baseAddress, bytes.count, 0)
                var n = TextTable.number(bytes, hash, keys, slots)
                if n < 0 {
                    n = keys.count
                    keys.append(bytes)
                    last.append(-1)
                    counts.append(0)
                    lengths |= TextTable.bit(bytes.count)
                    var at = Int(truncatingIfNeeded: hash) & (size - 1)
                    while slots[at] != 0 { at = (at + 1) & (size - 1) }
                    slots[at] = hash & ~0xFFFF_FFFF | UInt64(n + 1)
                }
                let isNew = last[n] != entry.atom
                keyOf.append(isNew ? Int32(n) : -1)
                if isNew {
                    last[n] = entry.atom
                    counts[n] += 1
                }
            }
        }
        var starts = ContiguousArray<Int32>()
        starts.reserveCapacity(counts.count + 1)
        var sum: Int32 = 0
        for c in counts {
            starts.append(sum)
            sum += c
        }
        starts.append(sum)
        var next = starts
        var atoms = ContiguousArray<Int32>(repeating: 0, count: Int(sum))
        for (entry, key) in zip(entries, keyOf) where key >= 0 {
            atoms[Int(next[Int(key)])] = entry.atom
            next[Int(key)] += 1
        }
        self.keys = keys
        self.atoms = atoms
        self.starts = starts
        self.slots = slots
        self.lengths = lengths
    }

    var isEmpty: Bool { atoms.isEmpty }

    private static func bit(_ length: Int) -> UInt64 { 1 << UInt64(min(length, 63)) }

    /// Hands over the atoms of a text.
    @inline(__always)
    func find(_ bytes: UnsafeRawBufferPointer, _ body: (Int32) -> Void) {
        if lengths & TextTable.bit(bytes.count) == 0 { return }
        let n = number(bytes)
        if n >= 0 { for i in starts[n]..<starts[n + 1] { body(atoms[Int(i)]) } }
    }

    /// Hands over the atoms of a text in lower case; the keys are ASCII.
    @inline(__always)
    func findFolded(_ bytes: UnsafeRawBufferPointer, _ body: (Int32) -> Void) {
        let text = bytes.assumingMemoryBound(to: UInt8.self)
        let n: Int
        if vk_text_is_ascii(text.baseAddress, text.count) {
            if lengths & TextTable.bit(bytes.count) == 0 { return }
            n = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, text.count)) { folded in
                vk_text_lower(text.baseAddress, text.count, folded.baseAddress)
                return number(UnsafeRawBufferPointer(start: folded.baseAddress, count: text.count))
            }
        } else {
            // Some letters beyond ASCII have a small one in it.
            var lower = String(decoding: bytes, as: UTF8.self).lowercased()
            n = lower.withUTF8 { number(UnsafeRawBufferPointer($0)) }
        }
        if n >= 0 { for i in starts[n]..<starts[n + 1] { body(atoms[Int(i)]) } }
    }

    private func number(_ bytes: UnsafeRawBufferPointer) -> Int {
        TextTable.number(bytes, vk_xxh3_64(bytes.baseAddress, bytes.count, 0), keys, slots)
    }

    /// The key of these bytes; -1: there is none.
    @inline(__always)
    private static func number(
        _ bytes: UnsafeRawBufferPointer, _ hash: UInt64, _ keys: ByteStrings, _ slots: ContiguousArray<UInt64>
    ) -> Int {
        let mask = slots.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while true {
            let slot = slots[at]
            if slot == 0 { return -1 }
            if (slot ^ hash) >> 32 == 0 {
                let n = Int(truncatingIfNeeded: slot & 0xFFFF_FFFF) - 1
                if keys.withBytes(n, { ByteText.equal($0, bytes) }) { return n }
            }
            at = (at + 1) & mask
        }
    }
}
