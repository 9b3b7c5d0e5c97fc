import CKernels
import Testing

/// Kernels of grouping against plain loops.
@Suite(.serialized) struct GroupTests {
    static let sizes = [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 300, 1_000]

    /// Validity of some shape; nil: all rows count. Bits behind the last row are zero.
    private func validity(_ shape: Int, _ n: Int, _ random: inout Random) -> [Bool]? {
        switch shape {
        case 0: return nil
        case 1: return Array(repeating: false, count: n)
        case 2: return Array(repeating: true, count: n)
        // Whole words of one kind between mixed ones.
        case 3: return (0..<n).map { $0 / 64 % 3 == 0 || ($0 / 64 % 3 == 1 && $0 % 3 == 0) }
        default: return (0..<n).map { _ in random.below(3) > 0 }
        }
    }

    private func withBits<R>(_ rows: [Bool]?, _ body: (UnsafePointer<UInt64>?) -> R) -> R {
        guard let rows else { return body(nil) }
        var bits = [UInt64](repeating: 0, count: (rows.count + 63) / 64)
        for (i, bit) in rows.enumerated() where bit { bits[i / 64] |= 1 << UInt64(i % 64) }
        return bits.withUnsafeBufferPointer { body($0.baseAddress) }
    }

    @Test("one group: sums and extremes of the rows that count", arguments: [true, false])
    func oneGroup(simd: Bool) {
        vk_set_simd(simd)
        defer { vk_set_simd(true) }
        var random = Random(state: 5)
        let few: [Int64] = [.min, .max, 0, -1, 1, 1 << 40, -(1 << 40)]
        for n in GroupTests.sizes {
            for shape in 0..<5 {
                let valid = validity(shape, n, &random)
                let values = (0..<n).map { _ in few[random.below(few.count)] }
                let counted = zip(values, valid ?? Array(repeating: true, count: n)).filter(\.1).map(\.0)
                var sum: Int128 = -5
                var best: (Int64, Int64) = (0, 0)
                var known: (UInt8, UInt8) = (0, 0)
                var rows: Int64 = 3
                withBits(valid) {
                    vk_group_sum_i64(nil, n, $0, values, &sum)
                    vk_group_extreme_i64(nil, n, $0, values, true, &best.0, &known.0)
                    vk_group_extreme_i64(nil, n, $0, values, false, &best.1, &known.1)
                    vk_group_count(nil, n, $0, &rows)
                }
                #expect(sum == counted.reduce(-5) { $0 + Int128($1) })
                #expect(known.0 == (counted.isEmpty ? 0 : 1) && known.1 == known.0)
                #expect(best.0 == counted.max() ?? 0 && best.1 == counted.min() ?? 0)
                #expect(rows == 3 + Int64(counted.count))
            }
        }
    }

    @Test("one group: sums of doubles are exact, and leave alone what they cannot take", arguments: [true, false])
    func oneGroupOfDoubles(simd: Bool) {
        vk_set_simd(simd)
        defer { vk_set_simd(true) }
        var random = Random(state: 6)
        for n in GroupTests.sizes {
            for shape in 0..<5 {
                let valid = validity(shape, n, &random)
                let counts = valid ?? Array(repeating: true, count: n)
                // Sums of quarters up to 2^20 are exact in any order; a null may cover anything.
                var values = (0..<n).map { _ in Double(random.below(1 << 20)) / 4 - 1_000 }
                for i in 0..<n where !counts[i] { values[i] = [.nan, .infinity, 1e300, -0.0][random.below(4)] }
                let counted = zip(values, counts).filter(\.1).map(\.0)
                var pair = [1e18, 0.25]
                let done = withBits(valid) { vk_group_sum_f64(nil, 0, n, $0, values, &pair) }
                #expect(done == n)
                let exact = counted.reduce(Int64(4e18) + 1) { $0 + Int64($1 * 4) }
                #expect(Int64(pair[0] * 4) + Int64(pair[1] * 4) == exact, "\(n) \(shape)")
                guard let at = counts.lastIndex(of: true) else { continue }
                values[at] = .nan
                var before = [0.0, 0.0]
                #expect(withBits(valid) { vk_group_sum_f64(nil, 0, n, $0, values, &before) } == at)
                #expect(before[0] + before[1] == counted.dropLast().reduce(0, +))
            }
        }
    }

    @Test func dividesRows() {
        var random = Random(state: 7)
        for n in GroupTests.sizes {
            for bits: UInt32 in [1, 3, 7] {
                let keys = (0..<n).map { _ in UInt64(random.below(50)) }
                var hashes = [UInt64](repeating: 0, count: n)
                vk_words_hash(keys, nil, n, true, &hashes)
                var rows = [Int32](repeating: -1, count: n)
                var starts = [UInt32](repeating: 0, count: 1 << Int(bits) + 1)
                vk_rows_divide(hashes, n, bits, &rows, &starts)
                #expect(starts.first == 0 && Int(starts.last ?? 9) == n && starts == starts.sorted())
                #expect(rows.sorted() == (0..<n).map { Int32($0) })
                for part in 0..<(1 << Int(bits)) {
                    let own = rows[Int(starts[part])..<Int(starts[part + 1])]
                    #expect(Array(own) == own.sorted() && own.allSatisfy { hashes[Int($0)] >> UInt64(64 - bits) == UInt64(part) })
                }
            }
        }
    }

    @Test("hashes are equal for equal keys of several columns, whatever stands under nulls")
    func hashesOfKeys() {
        let (a, b): ([UInt64], [UInt64]) = ([1, 2, 1, 9, 7, 2], [5, 5, 5, 5, 5, 1])
        var hashes = [UInt64](repeating: 0, count: 6)
        vk_words_hash(a, [0b100111], 6, true, &hashes)
        vk_words_hash(b, nil, 6, false, &hashes)
        #expect(hashes[0] == hashes[2] && hashes[3] == hashes[4])
        #expect(Set(hashes).count == 4)
    }

    @Test func ordersWords() {
        var random = Random(state: 8)
        for n in GroupTests.sizes {
            for most in [1, 10, 5_000, 1 << 40] {
                let words = (0..<n).map { _ in UInt64(random.below(most)) }
                var (sorted, spare) = (words, words)
                var order = [UInt32](repeating: 0, count: n)
                var spareOrder = order
                vk_words_order(&sorted, &spare, &order, &spareOrder, n)
                #expect(sorted == words.sorted())
                // Equal ones keep their order.
                #expect(order.map { Int($0) } == words.indices.sorted { words[$0] == words[$1] ? $0 < $1 : words[$0] < words[$1] })
            }
        }
    }
}
