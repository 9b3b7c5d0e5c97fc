import Columnar
import KQL

/// Common scalar functions, written again plainly.
enum ReferenceFunctions {
    static func call(_ name: String, _ a: [Value], _ type: ScalarType) throws -> Value {
        switch name {
        // These look at nulls.
        case "not":
            if case .bool(let b) = ReferenceValues.convert(a[0], to: .bool) { return .bool(!b) }
            return .null(.bool)
        case "isnull": return .bool(a[0].isNull)
        case "isnotnull": return .bool(!a[0].isNull)
        case "isempty": return .bool(ReferenceValues.text(a[0]).isEmpty)
        case "isnotempty": return .bool(!ReferenceValues.text(a[0]).isEmpty)
        case "coalesce":
            for v in a where !v.isNull && v != .string("") { return v }
            return .missing(type)
        case "strcat": return .string(a.map(ReferenceValues.text).joined())
        case "strcat_delim": return .string(a.dropFirst().map(ReferenceValues.text).joined(separator: ReferenceValues.text(a[0])))
        case "between", "!between":
            var high = a[2]
            if case .datetime(let start) = a[1], case .timespan(let length) = high {
                let (end, overflow) = start.addingReportingOverflow(length)
                high = overflow || end < 0 || end > KustoTime.maximum ? .null(.datetime) : .datetime(end)
            }
            let low = ReferenceValues.compare(.greaterOrEqual, a[0], a[1]), up = ReferenceValues.compare(.lessOrEqual, a[0], high)
            // Either bound may be unknown; then the whole is.
            guard case .bool(let x) = low, case .bool(let y) = up else { return .null(.bool) }
            return .bool((x && y) == (name == "between"))
        case "tostring": return ReferenceValues.convert(a[0], to: .string)
        case "tolong": return ReferenceValues.convert(a[0], to: .long)
        case "toint": return ReferenceValues.convert(a[0], to: .int)
        case "todouble", "toreal": return ReferenceValues.convert(a[0], to: .real)
        case "tobool": return ReferenceValues.convert(a[0], to: .bool)
        case "pack_array": return .dynamic(.array(a.map(element)))
        case "bag_pack":
            var members: [Dynamic.Member] = []
            for i in stride(from: 0, to: a.count - 1, by: 2) { members.append(.init(ReferenceValues.text(a[i]), element(a[i + 1]))) }
            return .dynamic(.object(members))
        default:
            if a.contains(where: \.isNull) { return .missing(type) }
            return try strict(name, a, type)
        }
    }

    private static func element(_ v: Value) -> Dynamic {
        if case .dynamic(let d) = ReferenceValues.convert(v, to: .dynamic) { return d }
        return .null
    }

    /// Functions that give null when an argument is null.
    private static func strict(_ name: String, _ a: [Value], _ type: ScalarType) throws -> Value {
        let text = ReferenceValues.text(a[0])
        let characters = Array(text.unicodeScalars)
        func string(_ c: some Sequence<Unicode.Scalar>) -> Value {
            var s = String.UnicodeScalarView()
            s.append(contentsOf: c)
            return .string(String(s))
        }
        switch name {
        case "strlen": return .long(Int64(characters.count))
        case "tolower": return .string(ReferenceText.folded(text))
        case "toupper": return .string(ReferenceText.raised(text))
        case "reverse": return string(characters.reversed())
        case "substring":
            var start = a[1].integer ?? 0
            if start < 0 { start = max(0, Int64(characters.count) + start) }
            let from = min(Int(start), characters.count)
            var length = characters.count - from
            if a.count > 2, let n = a[2].integer { length = n < 0 ? length : min(length, Int(n)) }
            return string(characters[from..<(from + length)])
        case "indexof":
            let needle = Array(ReferenceValues.text(a[1]).unicodeScalars)
            guard characters.count >= needle.count else { return .long(-1) }
            for at in 0...(characters.count - needle.count) where Array(characters[at..<(at + needle.count)]) == needle {
                return .long(Int64(at))
            }
            return .long(-1)
        case "replace_string":
            let (from, to) = (ReferenceValues.text(a[1]), ReferenceValues.text(a[2]))
            return .string(from.isEmpty ? text : pieces(text, from).joined(separator: to))
        case "countof":
            let needle = ReferenceValues.text(a[1])
            guard !needle.isEmpty else { throw ReferenceGap("countof of nothing") }
            // Occurrences may overlap.
            let (t, n) = (Array(text.utf8), Array(needle.utf8))
            guard t.count >= n.count else { return .long(0) }
            return .long(Int64((0...(t.count - n.count)).count { Array(t[$0..<($0 + n.count)]) == n }))
        case "split":
            let separator = ReferenceValues.text(a[1])
            guard !separator.isEmpty else { throw ReferenceGap("split by nothing") }
            return .dynamic(.array(pieces(text, separator).map { .string($0) }))
        case "abs":
            if case .real(let d) = a[0] { return .real(abs(d)) }
            let v = a[0].integer ?? 0
            return v < 0 ? .integer(0 &- v, as: type) : .integer(v, as: type)
        case "sign":
            let d = a[0].double ?? 0
            return .long(d < 0 ? -1 : d > 0 ? 1 : 0)
        case "negate":
            if case .real(let d) = a[0] { return .real(-d) }
            return .integer(0 &- (a[0].integer ?? 0), as: type)
        case "bin":
            if let x = a[0].integer, let step = a[1].integer {
                guard step > 0 else { return .missing(type) }
                let (v, s) = (Int128(x), Int128(step))
                let r = v % s
                return .integer(Int64(truncatingIfNeeded: v - (r < 0 ? r + s : r)), as: a[0].type == .int ? .long : a[0].type)
            }
            guard let x = a[0].double, let step = a[1].double, step > 0 else { return .missing(type) }
            return .real((x / step).rounded(.down) * step)
        case "startofday":
            guard case .datetime(let t) = a[0], a.count == 1 else { throw ReferenceGap(name) }
            return .datetime(t - t % 864_000_000_000)
        case "hourofday":
            guard case .datetime(let t) = a[0] else { throw ReferenceGap(name) }
            return .long(t / 36_000_000_000 % 24)
        case "dayofweek":
            // The first day of the calendar was a Monday.
            guard case .datetime(let t) = a[0] else { throw ReferenceGap(name) }
            return .timespan((t / 864_000_000_000 + 1) % 7 * 864_000_000_000)
        case "array_length":
            guard case .dynamic(.array(let items)) = a[0] else { return .null(.long) }
            return .long(Int64(items.count))
        case "bag_keys":
            guard case .dynamic(.object(let members)) = a[0] else { return .null(.dynamic) }
            return .dynamic(.array(members.map { .string($0.key) }))
        default: throw ReferenceGap("function \(name)")
        }
    }

    /// The text between the occurrences of a separator.
    private static func pieces(_ text: String, _ separator: String) -> [String] {
        let (t, s) = (Array(text.utf8), Array(separator.utf8))
        var out: [String] = []
        var piece: [UInt8] = []
        var i = 0
        while i < t.count {
            if i + s.count <= t.count, Array(t[i..<(i + s.count)]) == s {
                out.append(String(decoding: piece, as: UTF8.self))
                piece = []
                i += s.count
            } else {
                piece.append(t[i])
                i += 1
            }
        }
        return out + [String(decoding: piece, as: UTF8.self)]
    }
}
