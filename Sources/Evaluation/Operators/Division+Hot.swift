import CKernels
import Columnar

// Hot file: rows divided by the hash of their keys, over the kernels of `vk_group.h`.
//
// Invariants: hashes, row numbers and ordinals of a batch have as many entries as it has rows; `starts` ascend from 0 to that number and
// have one entry more than there are divisions; group ids are below the length of `firsts`. Pointers stay inside the closure that lends
// them.

/// A batch whose rows stand division by division, each in its old order.
struct DividedBatch {
    /// log2 of the number of divisions.
    static let bits: UInt32 = 7
    static let divisions = 1 << Int(bits)

    let columns: [Column]
    /// The place of the first row among all rows of the part.
    let base: Int
    /// The rows' numbers in the batch before it was divided.
    let rows: ContiguousArray<Int32>
    /// Where each division begins; one more for the end.
    let starts: ContiguousArray<UInt32>

    /// `keys` are the key cells of the batch, `columns` what is kept of it.
    init(keys: [Column], columns: [Column], count: Int, base: Int) {
        let hashes = DividedBatch.hashes(of: keys, count: count)
        var starts = ContiguousArray<UInt32>(repeating: 0, count: DividedBatch.divisions + 1)
        let rows = ContiguousArray<Int32>(unsafeUninitializedCapacity: count) { out, used in
            hashes.withUnsafeBufferPointer { h in
                starts.withUnsafeMutableBufferPointer {
                    vk_rows_divide(h.baseAddress, count, DividedBatch.bits, out.baseAddress, $0.baseAddress)
                }
            }
            used = count
        }
        self.columns = columns.map { $0.gather(rows) }
        self.base = base
        self.rows = rows
        self.starts = starts
    }

    func range(_ division: Int) -> Range<Int> { Int(starts[division])..<Int(starts[division + 1]) }

    /// Memory in use, roughly.
    var bytes: Int { columns.reduce(rows.count * 4 + starts.count * 4) { $0 + $1.bytes } }

    /// Equal for equal keys, as ``GroupTable`` knows them.
    private static func hashes(of keys: [Column], count: Int) -> ContiguousArray<UInt64> {
        var hashes = ContiguousArray<UInt64>(repeating: 0, count: count)
        for (k, column) in keys.enumerated() {
            let words = WordKeys.of(column) ?? CellHash.hashes(column)
            precondition(words.count == count, "DividedBatch: a key column of another length")
            hashes.withUnsafeMutableBufferPointer { h in
                words.withUnsafeBufferPointer { w in
                    if let valid = column.validity {
                        valid.words.withUnsafeBufferPointer { vk_words_hash(w.baseAddress, $0.baseAddress, count, k == 0, h.baseAddress) }
                    } else {
                        vk_words_hash(w.baseAddress, nil, count, k == 0, h.baseAddress)
                    }
                }
            }
        }
        return hashes
    }

    /// The rows of one division in several batches: a column of them one after the other. Nil when its text passes 4 GiB.
    static func joined(_ batches: [DividedBatch], column: Int, division: Int) -> Column? {
        guard let type = batches.first?.columns[column].type else { return nil }
        return joined(batches.map { ($0.columns[column], $0.range(division)) }, type: type)
    }

    /// Rows of several columns of one type, one after the other. Nil when their text passes 4 GiB or their number 2^31.
    static func joined(_ parts: [(column: Column, rows: Range<Int>)], type: ScalarType) -> Column? {
        if parts.allSatisfy({ $0.column.validity == nil }) {
            switch type {
            case .int, .long, .datetime, .timespan:
                return Column(type, .longs(cells(parts, 0) { if case .longs(let a) = $0 { a } else { nil } }))
            case .real: return Column(type, .reals(cells(parts, 0) { if case .reals(let a) = $0 { a } else { nil } }))
            default: break
            }
        }
        let chosen = parts.filter { !$0.rows.isEmpty }.map { c, rows in
            rows.count == c.count ? c : c.gather(ContiguousArray(rows.lazy.map { Int32(truncatingIfNeeded: $0) }))
        }
        return Column.joined(chosen, type: type)
    }

    private static func cells<T: BitwiseCopyable>(
        _ parts: [(column: Column, rows: Range<Int>)], _ zero: T, _ pick: (ColumnData) -> ContiguousArray<T>?
    ) -> ContiguousArray<T> {
        LargeMemory.array(count: parts.reduce(0) { $0 + $1.rows.count }) { out in
            var used = 0
            for (column, rows) in parts {
                // A column of another type, which there is none, counts as zeros.
                guard let cells = pick(column.data) else {
                    (out + used).initialize(repeating: zero, count: rows.count)
                    used += rows.count
                    continue
                }
                precondition(rows.upperBound <= cells.count, "DividedBatch: rows out of range")
                cells.withUnsafeBufferPointer {
                    if let from = $0.baseAddress { (out + used).initialize(from: from + rows.lowerBound, count: rows.count) }
                }
                used += rows.count
            }
        }
    }

    /// The places of one division's rows among all rows of the part.
    static func ordinals(_ batches: [DividedBatch], division: Int, count: Int, part: Int) -> ContiguousArray<UInt64> {
        ContiguousArray(unsafeUninitializedCapacity: count) { out, used in
            for b in batches {
                let rows = b.range(division)
                precondition(rows.upperBound <= b.rows.count && used + rows.count <= count, "DividedBatch: rows out of range")
                let first = RowPlaces.place(part: part, row: b.base)
                b.rows.withUnsafeBufferPointer { from in
                    for i in rows {
                        out[used] = first &+ UInt64(truncatingIfNeeded: from[i])
                        used += 1
                    }
                }
            }
        }
    }
}

/// Places of rows among those of all parts, and of groups by their first rows.
enum RowPlaces {
    /// Places ascend with the parts, and with the rows of each.
    static func place(part: Int, row: Int) -> UInt64 { UInt64(truncatingIfNeeded: part) << 44 | UInt64(truncatingIfNeeded: row) }

    /// Lowers the first place of each group to the least of its rows.
    static func note(_ groups: ContiguousArray<UInt32>, _ places: ContiguousArray<UInt64>, in firsts: inout ContiguousArray<UInt64>) {
        precondition(groups.count == places.count && groups.limit <= firsts.count, "RowPlaces: groups out of range")
        firsts.withUnsafeMutableBufferPointer { f in
            groups.withUnsafeBufferPointer { g in
                places.withUnsafeBufferPointer { p in for i in 0..<g.count { f[Int(g[i])] = min(f[Int(g[i])], p[i]) } }
            }
        }
    }

    /// The positions of places in ascending order. `rows`: how many rows each part has.
    static func order(_ places: ContiguousArray<UInt64>, rows: [Int]) -> ContiguousArray<UInt32> {
        // Without the gaps between parts the numbers are short, and there are fewer digits to sort by.
        var before: [UInt64] = [0]
        for n in rows { before.append(before[before.count - 1] &+ UInt64(truncatingIfNeeded: n)) }
        let mask: UInt64 = 1 << 44 - 1
        var words = LargeMemory.array(count: places.count) { out in
            for i in 0..<places.count { out[i] = before[Int(truncatingIfNeeded: places[i] >> 44)] &+ (places[i] & mask) }
        }
        var spare = LargeMemory.array([], count: words.count, filling: UInt64(0), capacity: words.count)
        var spareOrder = LargeMemory.array([], count: words.count, filling: UInt32(0), capacity: words.count)
        return LargeMemory.array(count: words.count) { out in
            words.withUnsafeMutableBufferPointer { w in
                spare.withUnsafeMutableBufferPointer { s in
                    spareOrder.withUnsafeMutableBufferPointer {
                        vk_words_order(w.baseAddress, s.baseAddress, out, $0.baseAddress, w.count)
                    }
                }
            }
        }
    }
}
