import Columnar
import Testing

@Suite struct Decimal128Tests {
    @Test(arguments: [
        ("0", "0"), ("-0", "0"), ("1.50", "1.5"), ("+2", "2"), ("1e3", "1000"), ("1.5E-3", "0.0015"), (".5", "0.5"), ("5.", "5"),
        ("00012.3400", "12.34"), ("-123456789012345678901234567890.1234", "-123456789012345678901234567890.1234"),
        ("1e60", "1" + String(repeating: "0", count: 60)), ("1e61", "1E+61"), ("12e-70", "12E-70"),
    ])
    func textAndPrint(text: String, expected: String) throws {
        let d = try #require(Decimal128(text: text))
        expect(d.description == expected)
    }

    @Test(arguments: ["", "-", ".", "e5", "1e", "1e+", "1x", "1..2", "1e100000", "1e-100000", "1e99999999999999999999", "0x1", "१"])
    func refused(_ text: String) { expect(Decimal128(text: text) == nil) }

    /// 34 digits are kept, the rest decides by one rounding, half away from zero.
    @Test(arguments: [
        ("1234567890123456789012345678901234", "1234567890123456789012345678901234"),
        ("12345678901234567890123456789012344", "12345678901234567890123456789012340"),
        ("12345678901234567890123456789012345", "12345678901234567890123456789012350"),
        ("-12345678901234567890123456789012345", "-12345678901234567890123456789012350"),
        // Digit by digit this would become ...350.
        ("123456789012345678901234567890123445", "123456789012345678901234567890123400"),
        ("99999999999999999999999999999999999", "100000000000000000000000000000000000"),
        ("0.33333333333333333333333333333333333333", "0.3333333333333333333333333333333333"),
    ])
    func rounding(text: String, expected: String) throws { expect(try #require(Decimal128(text: text)).description == expected) }

    @Test func numericEquality() throws {
        let a = try #require(Decimal128(text: "1.0")), b = try #require(Decimal128(text: "1.00")), c = try #require(Decimal128(text: "1e0"))
        expect(a == b && b == c && hash(a) == hash(b) && a == Decimal128(1))
        expect(try #require(Decimal128(text: "0e50")) == Decimal128(0))
    }

    @Test func doubles() throws {
        expect(Decimal128(Double.nan) == nil && Decimal128(Double.infinity) == nil && Decimal128(-Double.infinity) == nil)
        expect(try #require(Decimal128(0.1)).description == "0.1")
        var g = Seeded(3)
        for _ in 0..<300 {
            let d = Double(Int(g.below(2_000_001)) - 1_000_000) / 1024
            expect(try #require(Decimal128(d)).doubleValue == d)
        }
    }

    @Test(arguments: 0..<4)
    func orderIsTotal(seed: Int) {
        var g = Seeded(UInt64(seed) &+ 9)
        let values = (0..<40).map { _ in g.decimal() } + [Decimal128(0), Decimal128(1), Decimal128(-1)]
        for a in values {
            expect(Decimal128.compare(a, a) == 0)
            for b in values {
                expect(Decimal128.compare(a, b) == -Decimal128.compare(b, a))
                expect((Decimal128.compare(a, b) == 0) == (a == b))
                // Where doubles tell them apart, they agree.
                if a.doubleValue != b.doubleValue { expect((a < b) == (a.doubleValue < b.doubleValue), "\(a) \(b)") }
                for c in values where a < b && b < c { expect(a < c) }
            }
        }
    }

    @Test(arguments: 0..<4)
    func textRoundTrip(seed: Int) throws {
        var g = Seeded(UInt64(seed) &+ 77)
        for _ in 0..<300 {
            let d = Decimal128(mantissa: Int128(g.long()) * Int128(g.below(1_000_000)), exponent: g.below(300) - 150)
            expect(try #require(Decimal128(text: d.description)) == d)
        }
    }
}

@Suite struct KustoNumberTests {
    @Test(arguments: [
        (0.0, "0", "0.0"), (-0.0, "-0", "-0.0"), (1.0, "1", "1.0"), (-2.5, "-2.5", "-2.5"), (0.1, "0.1", "0.1"), (100.0, "100", "100.0"),
        (123_456_789_012_345.0, "123456789012345", "123456789012345.0"), (1e15, "1E+15", "1E+15"), (1.5e300, "1.5E+300", "1.5E+300"),
        (1e-5, "1E-05", "1E-05"), (0.0001, "0.0001", "0.0001"), (1.25e-7, "1.25E-07", "1.25E-07"), (.nan, "NaN", "NaN"),
        (.infinity, "Infinity", "Infinity"), (-.infinity, "-Infinity", "-Infinity"), (.leastNonzeroMagnitude, "5E-324", "5E-324"),
    ])
    func forms(_ v: Double, _ plain: String, _ whole: String) {
        expect(KustoNumber.real(v, wholeSuffix: false) == plain)
        expect(KustoNumber.real(v, wholeSuffix: true) == whole)
    }

    @Test(arguments: 0..<4)
    func readsBack(seed: Int) {
        var g = Seeded(UInt64(seed) &+ 1000)
        for _ in 0..<1000 {
            let v = g.real()
            expect(Double(KustoNumber.real(v, wholeSuffix: true)) == v)
            expect(Double(KustoNumber.real(v, wholeSuffix: false)) == v)
        }
    }
}
