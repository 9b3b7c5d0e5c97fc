import Columnar
import KQL

/// What makes two values one group or one key: nulls are one, NaNs are one, zeros are one; texts by their bytes.
struct ReferenceKey: Hashable {
    let text: String.UTF8View.SubSequence
    init(_ v: Value) {
        let shown: String
        switch v {
        case .real(let d): shown = d.isNaN ? "nan" : d == 0 ? "0" : "\(d.bitPattern)"
        case .decimal(let d): shown = d.description
        case .dynamic(let d): shown = JSONText.compact(d)
        default: shown = ReferenceValues.text(v)
        }
        text = ((v.isNull ? "null" : "value ") + shown).utf8[...]
    }
    static func == (a: ReferenceKey, b: ReferenceKey) -> Bool { a.text.elementsEqual(b.text) }
    func hash(into h: inout Hasher) { for b in text { h.combine(b) } }
}

/// The total order of sort, min and max.
enum ReferenceOrder {
    /// Of two values of one type, neither null: negative, 0 or positive. NaN is least. Dynamics: truth before numbers before texts before
    /// the rest, by their printed form.
    static func total(_ a: Value, _ b: Value) -> Int {
        switch (a, b) {
        case (.real(let x), .real(let y)):
            if x.isNaN || y.isNaN { return (x.isNaN ? 0 : 1) - (y.isNaN ? 0 : 1) }
            return x < y ? -1 : x > y ? 1 : 0
        case (.dynamic(let x), .dynamic(let y)):
            let (p, q) = (rank(x), rank(y))
            if p != q { return p - q }
            if case .real(let m) = asNumber(x), case .real(let n) = asNumber(y) {
                if case .long(let i) = x, case .long(let j) = y { return i < j ? -1 : i > j ? 1 : 0 }
                return total(.real(m), .real(n))
            }
            if case .string(let s) = x, case .string(let t) = y { return total(.string(s), .string(t)) }
            return total(.string(JSONText.compact(x)), .string(JSONText.compact(y)))
        default:
            switch ReferenceValues.order(a, b) {
            case .before: return -1
            case .after: return 1
            default: return 0
            }
        }
    }

    private static func asNumber(_ d: Dynamic) -> Dynamic {
        if case .long(let i) = d { return .real(Double(i)) }
        return d
    }

    private static func rank(_ d: Dynamic) -> Int {
        switch d {
        case .null: 0
        case .bool: 1
        case .long, .real: 2
        case .string: 3
        case .array, .object: 4
        }
    }
}
