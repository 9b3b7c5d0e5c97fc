import Columnar

/// The total orders of cells that sort, top, min, max and the arg functions use.
enum CellOrder {
    /// Bytes as unsigned numbers, shorter first when one begins with the other: Kusto's ordinal order.
    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let n = min(a.count, b.count)
        for i in 0..<n where a[i] != b[i] { return a[i] < b[i] ? -1 : 1 }
        return a.count == b.count ? 0 : (a.count < b.count ? -1 : 1)
    }

    /// An integer with the order of the double; NaN is least, the zeros are equal.
    static func word(_ v: Double) -> Int64 {
        if v.isNaN { return Int64.min }
        let bits = Int64(bitPattern: (v == 0 ? 0 : v).bitPattern)
        return bits >= 0 ? bits : Int64.min &- bits
    }

    /// The double behind ``word(_:)``.
    static func real(_ word: Int64) -> Double {
        if word == Int64.min { return .nan }
        return Double(bitPattern: UInt64(bitPattern: word >= 0 ? word : Int64.min &- word))
    }

    static func compare<T: Comparable>(_ a: T, _ b: T) -> Int { a == b ? 0 : (a < b ? -1 : 1) }

    static func isNaN(_ column: Column, _ i: Int) -> Bool {
        if case .reals(let x) = column.data { x[i].isNaN } else { false }
    }

    /// Two cells of columns of one type, neither null: -1, 0 or 1.
    static func compare(_ a: Column, _ i: Int, _ b: Column, _ j: Int) -> Int {
        switch (a.data, b.data) {
        case (.longs(let x), .longs(let y)): return compare(x[i], y[j])
        case (.reals(let x), .reals(let y)): return compare(word(x[i]), word(y[j]))
        case (.bools(let x), .bools(let y)): return compare(x[i] ? 1 : 0, y[j] ? 1 : 0)
        case (.guids(let x), .guids(let y)): return compare(x[i], y[j])
        case (.decimals(let x), .decimals(let y)): return Decimal128.compare(x[i], y[j])
        case (.strings(let x), .strings(let y)): return x.withBytes(i) { p in y.withBytes(j) { compare(p, $0) } }
        case (.dynamics(let x), .dynamics(let y)):
            return compare(x.withBytes(i) { JSONText.parse($0) } ?? .null, y.withBytes(j) { JSONText.parse($0) } ?? .null)
        default: return 0
        }
    }

    /// Dynamic values: numbers before strings before the rest, each in its own order, the rest by text.
    static func compare(_ a: Dynamic, _ b: Dynamic) -> Int {
        func rank(_ d: Dynamic) -> Int {
            switch d {
            case .null: 0
            case .bool: 1
            case .long, .real: 2
            case .string: 3
            case .array, .object: 4
            }
        }
        switch (a, b) {
        case (.bool(let x), .bool(let y)): return compare(x ? 1 : 0, y ? 1 : 0)
        case (.long(let x), .long(let y)): return compare(x, y)
        case (.long(let x), .real(let y)): return compare(word(Double(x)), word(y))
        case (.real(let x), .long(let y)): return compare(word(x), word(Double(y)))
        case (.real(let x), .real(let y)): return compare(word(x), word(y))
        case (.string(let x), .string(let y)): return compareText(x, y)
        default:
            let (ra, rb) = (rank(a), rank(b))
            return ra == rb ? compareText(JSONText.compact(a), JSONText.compact(b)) : compare(ra, rb)
        }
    }

    static func compareText(_ a: String, _ b: String) -> Int {
        var (a, b) = (a, b)
        return a.withUTF8 { x in b.withUTF8 { compare(UnsafeRawBufferPointer(x), UnsafeRawBufferPointer($0)) } }
    }
}
