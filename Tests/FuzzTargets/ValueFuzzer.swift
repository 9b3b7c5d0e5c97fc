import Columnar

/// Values of any type out of bytes: the ends of ranges, odd texts and deep dynamics more often than chance would give.
enum ValueFuzzer {
    static let types: [ScalarType] = [.string, .long, .dynamic, .real, .datetime, .timespan, .int, .bool, .decimal, .guid]

    static let texts: [String] = [
        "", " ", "a", "alpha", "Alpha beta", "beta.gamma", "ÉCOLE", "école", "e\u{301}", "ß", "İ", "日本語 text", "😀", "\u{0}", "x\\y\"z",
        "\n",
        "192.168.1.7", "10.0.0.1/8", "300.1.1.1", "fe80::1%eth0", "::ffff:1.2.3.4", "2001:db8::/129", "https://u:p@a.example:99/x?y=1#f",
        "{\"k\":1}", "[1,2", "12", "-7.5", "1e999", "0x1F", "9223372036854775808", "-9223372036854775808", "true", "2024-05-06T07:08:09Z",
        "2024-02-30", "0001-01-01", "9999-12-31T23:59:59.9999999Z", "1.02:03:04.5", "-1d", "P1D", "yyyy-MM-dd HH:mm:ss.fffffff",
        "dd/MM/yy h tt",
        "(a+)+$", "([a-z]+)-(\\d*)", "[", "(?P<x>a)|b", "\\p{L}", ".*", "x{1000}", "a|b|", "%41%zz", "YWJj", "YW=j", "////", "H4sIAAAA",
        "xn--mnchen-3ya",
        "day", "hour", "minute", "week", "nanosecond", "month", "US/Pacific", "Europe/Paris", "$.a[0].b", "$..x", "$['k']", ",", ";",
        "k=v, k2='v 2'",
        "<a b='1'>x<c/></a>", "<a>", "1.2.3.4", "1.2.3.", "C:\\x\\y.exe:s", "/a/b/c.txt", "{\"type\":\"Point\",\"coordinates\":[1,2]}",
        "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[10,0],[10,10],[0,0]]]}", "89c25a31", "8f2830828052d25", "u4pruydqqvj",
        "74be16979710d4c4e7c6647856088456", "00000000-0000-0000-0000-000000000001",
    ]

    static func integer(_ b: inout FuzzBytes) -> Int64 {
        switch b.below(4) {
        case 0: Int64(b.byte()) - 100
        case 1:
            b.pick([
                0, 1, -1, 2, 64, .max, .min, .max - 1, .min + 1, 1 << 31, -(1 << 31), 1 << 32, 1 << 53, 10_000, 100_000_000, 1_700_000_000,
            ])
        case 2: Int64(truncatingIfNeeded: b.word())
        default: Int64(b.byte())
        }
    }

    static func real(_ b: inout FuzzBytes) -> Double {
        switch b.below(4) {
        case 0: Double(Int(b.byte()) - 128) / 8
        case 1:
            b.pick([
                0, -0.0, .nan, .infinity, -.infinity, 1e308, -1e308, 5e-324, 0.1, 1e15, 9.3e18, -9.3e18, 180, -180, 90, -90, 0.5, 1, 1e-300,
            ])
        case 2: Double(bitPattern: b.word())
        default: Double(b.byte())
        }
    }

    static func text(_ b: inout FuzzBytes) -> String {
        switch b.below(4) {
        case 0:
            let n = Int(b.byte()) % 40
            return String(decoding: b.take(n), as: UTF8.self)
        case 1:
            let (a, c) = (b.pick(texts), b.pick(texts))
            return a + c
        case 2:
            let (a, n) = (b.pick(texts), b.pick([2, 7, 8, 15, 16, 17, 63, 64, 65, 200]))
            return String(repeating: a, count: n)
        default: return b.pick(texts)
        }
    }

    static func dynamic(_ b: inout FuzzBytes, depth: Int = 0) -> Dynamic {
        switch b.below(depth > 6 ? 6 : 10) {
        case 0: return .null
        case 1: return .bool(b.byte() % 2 == 0)
        case 2: return .long(integer(&b))
        case 3:
            let d = real(&b)
            return d.isFinite ? .real(d) : .string("NaN")
        case 4, 5: return .string(text(&b))
        case 6, 7: return .array((0..<b.below(6)).map { _ in dynamic(&b, depth: depth + 1) })
        case 8:
            if b.byte() % 16 == 0 {
                // Nested deeply, but within what a cell may hold.
                return (0..<b.pick([10, 60, 120, 200])).reduce(.long(1)) { d, _ in .array([d]) }
            }
            return .array((0..<b.pick([1, 8, 64, 300])).map { .long(Int64($0)) })
        default:
            var members: [Dynamic.Member] = []
            for i in 0..<b.below(5) {
                let key = b.byte() % 4 == 0 ? "k" : "\(i)" + b.pick(texts)
                members.removeAll { ByteText.equal($0.key, key) }
                members.append(.init(key, dynamic(&b, depth: depth + 1)))
            }
            return .object(members)
        }
    }

    static func value(_ type: ScalarType, _ b: inout FuzzBytes) -> Value {
        if b.byte() % 7 == 0 { return .missing(type) }
        switch type {
        case .bool: return .bool(b.byte() % 2 == 0)
        case .int: return .int(Int32(truncatingIfNeeded: integer(&b)))
        case .long: return .long(integer(&b))
        case .real: return .real(real(&b))
        case .decimal: return .decimal(Decimal128(mantissa: Int128(integer(&b)), exponent: b.below(61) - 30))
        case .string: return .string(text(&b))
        case .datetime:
            let t = b.byte() % 2 == 0 ? KustoTime.unixEpoch &+ integer(&b) : integer(&b)
            return .datetime(min(max(t, 0), KustoTime.maximum))
        case .timespan: return .timespan(b.byte() % 2 == 0 ? integer(&b) &* 864_000_000_000 : integer(&b))
        case .guid: return .guid(UInt128(b.word()) << 64 | UInt128(b.word()))
        case .dynamic:
            let d = dynamic(&b)
            return d == .null ? .null(.dynamic) : .dynamic(d)
        }
    }
}
