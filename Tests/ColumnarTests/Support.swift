import Columnar
import TestSupport
import Testing

/// A small generator with a seed: the same seed gives the same values on every machine.
struct Seeded: SeededGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func below(_ n: Int) -> Int { Int.random(in: 0..<n, using: &self) }
    mutating func chance(_ n: Int) -> Bool { below(n) == 0 }
    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }

    /// Any bits, the ends of the range and small numbers more often.
    mutating func long() -> Int64 {
        switch below(4) {
        case 0: Int64(below(21)) - 10
        case 1: pick([.min, .max, .min + 1, .max - 1, 0, 1 << 53, -(1 << 53)])
        default: Int64(bitPattern: next())
        }
    }

    mutating func real() -> Double {
        switch below(4) {
        case 0: Double(below(2001) - 1000) / 8
        case 1:
            pick([
                0, -0.0, 1e15, 1e14, 1e-5, 1e-6, 0.1, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .leastNormalMagnitude, 123_456.789,
            ])
        default:
            {
                let d = Double(bitPattern: next())
                return d.isFinite ? d : 1.5
            }()
        }
    }

    /// Texts with quotes, controls, several planes, composed and decomposed accents.
    mutating func text() -> String {
        let pieces = [
            "a", "B", "0", " ", "\"", "\\", "\n", "\r\n", "\t", "\u{1}", "é", "e\u{301}", "ß", "中", "😀", "\u{FFFD}", "/", "{", "\u{7f}",
        ]
        var out = ""
        for _ in 0..<below(6) { out += pick(pieces) }
        return out
    }

    mutating func decimal() -> Decimal128 { Decimal128(mantissa: Int128(long()), exponent: below(41) - 20) }

    mutating func dynamic(depth: Int = 3) -> Dynamic {
        switch below(depth > 0 ? 8 : 5) {
        case 0: return .null
        case 1: return .bool(chance(2))
        case 2: return .long(long())
        case 3: return .real(real())
        case 4, 5: return .string(text())
        case 6: return .array((0..<below(4)).map { _ in dynamic(depth: depth - 1) })
        default:
            var members: [Dynamic.Member] = []
            for i in 0..<below(4) { members.append(.init("\(i)" + text(), dynamic(depth: depth - 1))) }
            return .object(members)
        }
    }

    /// A value of a type, null one time in six.
    mutating func value(_ type: ScalarType) -> Value {
        if type != .string, chance(6) { return .null(type) }
        switch type {
        case .bool: return .bool(chance(2))
        case .int: return .int(Int32(truncatingIfNeeded: long()))
        case .long: return .long(long())
        case .real: return .real(real())
        case .decimal: return .decimal(decimal())
        case .string: return .string(text())
        case .datetime: return .datetime(Int64.random(in: 0...KustoTime.maximum, using: &self))
        case .timespan: return .timespan(long())
        case .guid: return .guid(UInt128(next()) << 64 | UInt128(next()))
        case .dynamic:
            let d = dynamic()
            return d == .null ? .null(.dynamic) : .dynamic(d)
        }
    }
}

/// Hash of a value with this process's seed.
func hash(_ v: some Hashable) -> Int {
    var h = Hasher()
    h.combine(v)
    return h.finalize()
}

let composed = "\u{e9}"
let decomposed = "e\u{301}"

/// `#expect` on a condition that is computed outside: the closures in which the macro wraps its operands misalign values of 16-byte
/// alignment (`Value`, `Decimal128`) in debug builds of Swift 6.3.1, which then traps.
func expect(_ holds: Bool, _ comment: @autoclosure () -> String = "", at location: SourceLocation = #_sourceLocation) {
    if !holds { Issue.record("\(comment())", sourceLocation: location) }
}
