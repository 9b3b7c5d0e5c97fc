/// Kusto's `decimal`: a signed integer mantissa times a power of ten, at most 34 significant digits kept.
///
/// Equality and hashing are numeric (`1.0 == 1.00`): values are kept normalised, without trailing zeros in the mantissa.
public struct Decimal128: Sendable, Hashable, Comparable {
    /// Invariant: `mantissa % 10 != 0` or `mantissa == 0 && exponent == 0`; `|mantissa| < 10^35`.
    public let mantissa: Int128
    public let exponent: Int32

    /// Normalises and rounds half away from zero to 34 digits.
    public init(mantissa: Int128, exponent: Int) {
        var m = mantissa
        var e = exponent
        let limit = Decimal128.limit
        // One rounding over all the digits that go: rounding digit by digit would carry 0.45 up to 1.
        var divisor: Int128 = 1
        while m / divisor >= limit || m / divisor <= -limit {
            divisor *= 10
            e += 1
        }
        if divisor > 1 {
            let (quotient, rest) = m.quotientAndRemainder(dividingBy: divisor)
            m = quotient
            if rest.magnitude >= (divisor / 2).magnitude { m += rest < 0 ? -1 : 1 }
            // All nines have become the limit itself, which loses its zeros below.
        }
        if m == 0 {
            e = 0
        } else {
            while m % 10 == 0 {
                m /= 10
                e += 1
            }
        }
        self.mantissa = m
        self.exponent = Int32(clamping: e)
    }

    static let limit: Int128 = 10_000_000_000_000_000_000_000_000_000_000_000

    public init(_ v: Int64) { self.init(mantissa: Int128(v), exponent: 0) }

    /// The shortest decimal that prints as the double does; nil for infinities and NaN.
    public init?(_ v: Double) {
        guard v.isFinite else { return nil }
        self.init(text: "\(v)")
    }

    /// Parses `[-+]ddd[.ddd][e[-+]dd]`; nil for anything else.
    public init?(text: some StringProtocol) {
        var mantissa: Int128 = 0
        var exponent = 0
        var negative = false
        var digits = 0
        var kept = 0
        var seenPoint = false
        var bytes = Array(text.utf8)[...]
        if let first = bytes.first, first == 0x2D || first == 0x2B {
            negative = first == 0x2D
            bytes.removeFirst()
        }
        while let c = bytes.first {
            if c == 0x2E, !seenPoint {
                seenPoint = true
            } else if c >= 0x30, c <= 0x39 {
                digits += 1
                if kept < 36 {
                    mantissa = mantissa * 10 + Int128(c - 0x30)
                    if mantissa != 0 { kept += 1 }
                    if seenPoint { exponent -= 1 }
                } else if !seenPoint {
                    exponent += 1
                }
            } else {
                break
            }
            bytes.removeFirst()
        }
        guard digits > 0 else { return nil }
        if let c = bytes.first {
            guard c == 0x65 || c == 0x45 else { return nil }
            guard let e = Int(String(decoding: bytes.dropFirst(), as: UTF8.self)), abs(e) < 100_000 else { return nil }
            exponent += e
        }
        self.init(mantissa: negative ? -mantissa : mantissa, exponent: exponent)
    }

    public var doubleValue: Double { Double(description) ?? .nan }

    public static func < (a: Decimal128, b: Decimal128) -> Bool { compare(a, b) < 0 }

    /// -1, 0 or 1.
    public static func compare(_ a: Decimal128, _ b: Decimal128) -> Int {
        if a == b { return 0 }
        let sa = a.mantissa.signum(), sb = b.mantissa.signum()
        if sa != sb { return sa < sb ? -1 : 1 }
        // Same sign: compare magnitudes by the position of the leading digit, then digit by digit.
        let da = a.digits, db = b.digits
        let pa = da.count + Int(a.exponent), pb = db.count + Int(b.exponent)
        var order = 0
        if pa != pb {
            order = pa < pb ? -1 : 1
        } else {
            for i in 0..<max(da.count, db.count) {
                let x = i < da.count ? da[i] : 0x30
                let y = i < db.count ? db[i] : 0x30
                if x != y {
                    order = x < y ? -1 : 1
                    break
                }
            }
        }
        return sa < 0 ? -order : order
    }

    private var digits: [UInt8] { Array(String(mantissa.magnitude).utf8) }
}

extension Decimal128: CustomStringConvertible {
    /// Plain digits where that is short, else scientific, as .NET's SqlDecimal prints.
    public var description: String {
        let sign = mantissa < 0 ? "-" : ""
        let d = String(mantissa.magnitude)
        let e = Int(exponent)
        if e >= 0 {
            return e <= 60 ? sign + d + String(repeating: "0", count: e) : "\(sign)\(d)E+\(e)"
        }
        let point = d.utf8.count + e
        if point > 0 { return sign + d.prefix(point) + "." + d.suffix(-e) }
        return -point <= 60 ? sign + "0." + String(repeating: "0", count: -point) + d : "\(sign)\(d)E\(e)"
    }
}
