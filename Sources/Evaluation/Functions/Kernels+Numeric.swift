import CKernels
import Columnar

// Hot file: loops over whole columns through unsafe buffers.
// Invariant: every operand column has exactly `rows` cells (the frame guarantees it), and each pointer is used only inside the closure
// that lends it.

/// One side of a columnar loop.
enum Operand<Element> {
    case constant(Element)
    case column(ContiguousArray<Element>)
}

@inline(__always)
func zipOperands<A, B, R>(_ a: Operand<A>, _ b: Operand<B>, rows: Int, _ f: (A, B) -> R) -> ContiguousArray<R> {
    ContiguousArray(unsafeUninitializedCapacity: rows) { out, count in
        guard let target = out.baseAddress else { return }
        switch (a, b) {
        case (.constant(let x), .constant(let y)):
            for i in 0..<rows { (target + i).initialize(to: f(x, y)) }
        case (.column(let x), .constant(let y)):
            x.withUnsafeBufferPointer { p in for i in 0..<min(rows, p.count) { (target + i).initialize(to: f(p[i], y)) } }
        case (.constant(let x), .column(let y)):
            y.withUnsafeBufferPointer { q in for i in 0..<min(rows, q.count) { (target + i).initialize(to: f(x, q[i])) } }
        case (.column(let x), .column(let y)):
            x.withUnsafeBufferPointer { p in
                y.withUnsafeBufferPointer { q in
                    for i in 0..<min(rows, min(p.count, q.count)) { (target + i).initialize(to: f(p[i], q[i])) }
                }
            }
        }
        count = rows
    }
}

/// Integer-backed cells of a datum that is not a null constant; nil for other storage.
func longOperand(_ datum: Datum) -> Operand<Int64>? {
    switch datum {
    case .constant(let v): return v.integer.map(Operand.constant)
    case .column(let c):
        if case .longs(let a) = c.data { return .column(a) }
        return nil
    }
}

func realOperand(_ datum: Datum) -> Operand<Double>? {
    switch datum {
    case .constant(let v): return v.double.map(Operand.constant)
    case .column(let c):
        switch c.data {
        case .reals(let a): return .column(a)
        case .longs(let a) where c.type.isNumeric: return .column(ContiguousArray(a.lazy.map { Double($0) }))
        default: return nil
        }
    }
}

/// The six comparisons, in the numbering of the kernels.
enum Comparison: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="

    var code: vk_compare {
        switch self {
        case .equal: VK_EQ
        case .notEqual: VK_NE
        case .less: VK_LT
        case .lessOrEqual: VK_LE
        case .greater: VK_GT
        case .greaterOrEqual: VK_GE
        }
    }

    /// The comparison with its sides exchanged.
    var mirrored: Comparison {
        switch self {
        case .less: .greater
        case .lessOrEqual: .greaterOrEqual
        case .greater: .less
        case .greaterOrEqual: .lessOrEqual
        default: self
        }
    }

    /// The answer for an order: negative, zero, positive.
    func holds(_ order: Int) -> Bool {
        switch self {
        case .equal: order == 0
        case .notEqual: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        case .greaterOrEqual: order >= 0
        }
    }
}

func fillBits(_ rows: Int, _ fill: (UnsafeMutablePointer<UInt64>) -> Void) -> Bitmap {
    let words = (rows + 63) >> 6
    let array = ContiguousArray<UInt64>(unsafeUninitializedCapacity: words) { out, count in
        if let p = out.baseAddress {
            p.initialize(repeating: 0, count: words)
            fill(p)
        }
        count = words
    }
    return Bitmap(words: array, count: rows)
}

func compareLongs(_ op: Comparison, _ a: Operand<Int64>, _ b: Operand<Int64>, rows: Int) -> Bitmap {
    switch (a, b) {
    case (.constant(let x), .constant(let y)):
        return Bitmap(repeating: op.holds(x < y ? -1 : (x > y ? 1 : 0)), count: rows)
    case (.column(let x), .constant(let y)):
        return x.withUnsafeBufferPointer { p in fillBits(rows) { vk_compare_i64(op.code, p.baseAddress, p.count, y, $0) } }
    case (.constant(let x), .column(let y)):
        return y.withUnsafeBufferPointer { p in fillBits(rows) { vk_compare_i64(op.mirrored.code, p.baseAddress, p.count, x, $0) } }
    case (.column(let x), .column(let y)):
        return x.withUnsafeBufferPointer { p in
            y.withUnsafeBufferPointer { q in
                fillBits(rows) { vk_compare_columns_i64(op.code, p.baseAddress, q.baseAddress, min(p.count, q.count), $0) }
            }
        }
    }
}

func compareReals(_ op: Comparison, _ a: Operand<Double>, _ b: Operand<Double>, rows: Int) -> Bitmap {
    switch (a, b) {
    case (.constant(let x), .constant(let y)):
        let holds = x.isNaN || y.isNaN ? op == .notEqual : op.holds(x < y ? -1 : (x > y ? 1 : 0))
        return Bitmap(repeating: holds, count: rows)
    case (.column(let x), .constant(let y)):
        return x.withUnsafeBufferPointer { p in fillBits(rows) { vk_compare_f64(op.code, p.baseAddress, p.count, y, $0) } }
    case (.constant(let x), .column(let y)):
        return y.withUnsafeBufferPointer { p in fillBits(rows) { vk_compare_f64(op.mirrored.code, p.baseAddress, p.count, x, $0) } }
    case (.column(let x), .column(let y)):
        return x.withUnsafeBufferPointer { p in
            y.withUnsafeBufferPointer { q in
                fillBits(rows) { vk_compare_columns_f64(op.code, p.baseAddress, q.baseAddress, min(p.count, q.count), $0) }
            }
        }
    }
}

/// Bits of a table, one per dictionary value, laid out per row.
func spreadBits(_ table: Bitmap, codes: ContiguousArray<UInt32>) -> Bitmap {
    codes.withUnsafeBufferPointer { c in
        table.words.withUnsafeBufferPointer { t in
            fillBits(c.count) { vk_code_lookup_bits(c.baseAddress, c.count, t.baseAddress, table.count, $0) }
        }
    }
}

/// The test of a string column against one needle. A dictionary is tested once per value.
func matchText(_ op: vk_text_op, ignoreCase: Bool, _ column: StringColumn, needle: [UInt8]) -> Bitmap {
    let values = column.values
    if let codes = column.codes, values.count > 2 * codes.count {
        var out = Bitmap(repeating: false, count: codes.count)
        for (row, code) in codes.enumerated() {
            let hit = values.withBytes(Int(code)) { matchOne(op, ignoreCase: ignoreCase, $0, needle) }
            if hit { out[row] = true }
        }
        return out
    }
    let table = values.bytes.withUnsafeBufferPointer { b in
        values.offsets.withUnsafeBufferPointer { o in
            needle.withUnsafeBufferPointer { n in
                fillBits(values.count) {
                    vk_text_match(op, ignoreCase, b.baseAddress, o.baseAddress, values.count, n.baseAddress, n.count, $0)
                }
            }
        }
    }
    return column.codes.map { spreadBits(table, codes: $0) } ?? table
}

func matchOne(_ op: vk_text_op, ignoreCase: Bool, _ text: UnsafeRawBufferPointer, _ needle: [UInt8]) -> Bool {
    let bytes = text.bindMemory(to: UInt8.self)
    return needle.withUnsafeBufferPointer { vk_text_match_one(op, ignoreCase, bytes.baseAddress, bytes.count, $0.baseAddress, $0.count) }
}

/// The position of a needle at or behind `start`; nil if there is none.
func firstIndex(of needle: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
    let hit = bytes.withUnsafeBufferPointer { b in
        needle.withUnsafeBufferPointer { n in vk_text_index(b.baseAddress, b.count, start, n.baseAddress, n.count, false) }
    }
    // The kernel's "none" is the greatest size, which is negative as an Int.
    return hit >= 0 && hit <= bytes.count - needle.count ? hit : nil
}

/// Cells rounded down to multiples of a positive size.
func binned(_ cells: ContiguousArray<Int64>, _ size: Int64) -> ContiguousArray<Int64> {
    ContiguousArray(unsafeUninitializedCapacity: cells.count) { out, count in
        cells.withUnsafeBufferPointer { vk_bin_i64($0.baseAddress, $0.count, size, out.baseAddress) }
        count = cells.count
    }
}

/// Cells rounded down to the greatest point at or below that lies a multiple of a positive size from `fixed`; nil if that cannot be told
/// for some valid cell, by overflow or because the result is no time.
func binned(_ cells: ContiguousArray<Int64>, _ size: Int64, at fixed: Int64, valid: Bitmap?, isTime: Bool) -> ContiguousArray<Int64>? {
    let n = cells.count
    guard valid.map({ $0.count == n }) ?? true else { return nil }
    var fits = true
    let distances = ContiguousArray<Int64>(unsafeUninitializedCapacity: n) { out, count in
        cells.withUnsafeBufferPointer { c in
            for i in 0..<n {
                let (d, overflow) = c[i].subtractingReportingOverflow(fixed)
                out[i] = d
                if overflow, valid?[i] ?? true { fits = false }
            }
        }
        count = n
    }
    guard fits else { return nil }
    var out = binned(distances, size)
    out.withUnsafeMutableBufferPointer { o in
        for i in 0..<o.count {
            o[i] = o[i] &+ fixed
            if isTime, o[i] < 0 || o[i] > KustoTime.maximum, valid?[i] ?? true { fits = false }
        }
    }
    return fits ? out : nil
}
