import CKernels
import Columnar

// Hot file: scatters a batch's cells into the states of groups.
//
// Invariants: `input.groups` has `input.rows` entries, each below the length of the state (``Accumulator/resize(_:)`` came before);
// columns and their validity have `input.rows` rows. Both are checked once a call; pointers live inside the closure that lends them.

extension AggregateInput {
    /// Hands the groups to a kernel: nil when all rows are of group 0. `states`: the length of the kernel's target.
    @inline(__always)
    func withGroups<R>(_ valid: Bitmap?, states: Int, _ body: (UnsafePointer<UInt32>?, UnsafePointer<UInt64>?) throws -> R) rethrows -> R {
        precondition(states > 0 && (isSingle || (groups.count == rows && groupLimit <= states)), "AggregateInput: groups out of range")
        precondition(valid.map { $0.count == rows } ?? true, "AggregateInput: validity of another length")
        return try groups.withUnsafeBufferPointer { g in
            let base = isSingle ? nil : g.baseAddress
            guard let valid else { return try body(base, nil) }
            return try valid.words.withUnsafeBufferPointer { try body(base, $0.baseAddress) }
        }
    }

    /// counts[group] += 1 for valid rows.
    func count(_ valid: Bitmap?, into counts: inout ContiguousArray<Int64>) {
        if rows == 0 { return }
        counts.withUnsafeMutableBufferPointer { c in
            withGroups(valid, states: c.count) { vk_group_count($0, rows, $1, c.baseAddress) }
        }
    }

    /// sums[group] += value for valid rows.
    func sum(_ values: ContiguousArray<Int64>, _ valid: Bitmap?, into sums: inout ContiguousArray<Int128>) {
        if rows == 0 { return }
        precondition(values.count == rows, "AggregateInput: values of another length")
        sums.withUnsafeMutableBufferPointer { s in
            values.withUnsafeBufferPointer { v in
                withGroups(valid, states: s.count) { vk_group_sum_i64($0, rows, $1, v.baseAddress, s.baseAddress) }
            }
        }
    }

    /// Adds doubles to exact sums of two doubles a group. `slow` takes those that two doubles cannot hold.
    func sum(
        _ values: ContiguousArray<Double>, _ valid: Bitmap?, into pairs: inout ContiguousArray<Double>,
        slow: (_ group: Int, _ value: Double, _ pairs: inout ContiguousArray<Double>) -> Void
    ) {
        precondition(values.count == rows, "AggregateInput: values of another length")
        var row = 0
        while row < rows {
            row = pairs.withUnsafeMutableBufferPointer { p in
                values.withUnsafeBufferPointer { v in
                    withGroups(valid, states: p.count / 2) { vk_group_sum_f64($0, row, rows, $1, v.baseAddress, p.baseAddress) }
                }
            }
            if row == rows { return }
            slow(isSingle ? 0 : Int(groups[row]), values[row], &pairs)
            row += 1
        }
    }

    /// The greatest or least value of each group.
    func extreme(
        _ values: ContiguousArray<Int64>, _ valid: Bitmap?, greatest: Bool, into best: inout ContiguousArray<Int64>,
        _ known: inout ContiguousArray<Bool>
    ) {
        if rows == 0 { return }
        precondition(values.count == rows && best.count == known.count, "AggregateInput: values of another length")
        best.withUnsafeMutableBufferPointer { b in
            known.withUnsafeMutableBytes { k in
                values.withUnsafeBufferPointer { v in
                    withGroups(valid, states: b.count) {
                        vk_group_extreme_i64(
                            $0, rows, $1, v.baseAddress, greatest, b.baseAddress, k.bindMemory(to: UInt8.self).baseAddress)
                    }
                }
            }
        }
    }
}

extension ContiguousArray where Element == UInt32 {
    /// The greatest entry + 1; 0 for none.
    var limit: Int {
        withUnsafeBufferPointer { p in
            var greatest: UInt32 = 0
            for v in p { greatest = Swift.max(greatest, v) }
            return p.isEmpty ? 0 : Int(greatest) + 1
        }
    }
}

extension Int64 {
    /// The words of a column of doubles whose order is that of the doubles (``CellOrder/word(_:)``).
    static func words(_ values: ContiguousArray<Double>) -> ContiguousArray<Int64> {
        ContiguousArray(unsafeUninitializedCapacity: values.count) { out, n in
            values.withUnsafeBufferPointer { v in for i in 0..<v.count { out[i] = CellOrder.word(v[i]) } }
            n = values.count
        }
    }
}
