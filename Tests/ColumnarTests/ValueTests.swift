import Columnar
import Testing

@Suite struct ByteTextTests {
    @Test func bytesDecide() {
        // Swift's own equality holds them equal: what these tests are about.
        expect(composed == decomposed)
        expect(!ByteText.equal(composed, decomposed))
        expect(ByteKey(composed) != ByteKey(decomposed))
        expect(Set([ByteKey(composed), ByteKey(decomposed), ByteKey("\u{e9}")]).count == 2)
        expect(ByteText.equal("", "") && ByteText.equal("a\u{0}b", "a\u{0}b") && !ByteText.equal("a", "a\u{0}"))
    }

    @Test(arguments: 0..<8)
    func agreesWithByteArrays(seed: Int) {
        var g = Seeded(UInt64(seed))
        for _ in 0..<400 {
            let a = g.text(), b = g.chance(3) ? a : g.text()
            let x = Array(a.utf8), y = Array(b.utf8)
            expect(ByteText.equal(a, b) == (x == y))
            expect(ByteText.precedes(a, b) == x.lexicographicallyPrecedes(y))
            expect((ByteKey(a) < ByteKey(b)) == x.lexicographicallyPrecedes(y))
            expect(ByteText.contains(b, in: a + b + a) && ByteText.contains("", in: a))
            let isInside = (0...x.count).contains { x[$0...].starts(with: y) }
            expect(ByteText.contains(b, in: a) == isInside)
            if x == y { expect(hash(ByteKey(a)) == hash(ByteKey(b))) }
        }
    }

    /// A substring's storage and a literal's differ; their bytes do not.
    @Test func storageDoesNotMatter() {
        let long = String("xx\(String(repeating: "é", count: 40))yy".dropFirst(2).dropLast(2))
        let same = String(repeating: "é", count: 40)
        expect(ByteText.equal(long, same) && hash(ByteKey(long)) == hash(ByteKey(same)))
    }
}

@Suite struct ValueTests {
    @Test(arguments: ScalarType.allCases)
    func typesAndNulls(_ type: ScalarType) {
        expect(Value.null(type).type == type && Value.null(type).isNull)
        expect(Value.missing(type).type == type)
        expect(Value.missing(type).isNull == (type != .string))
        var g = Seeded(7)
        for _ in 0..<50 { expect(g.value(type).type == type) }
    }

    @Test func equality() {
        expect(Value.string(composed) != .string(decomposed))
        expect(Value.dynamic(.string(composed)) != .dynamic(.string(decomposed)))
        expect(Value.null(.long) != .null(.int) && Value.null(.long) == .null(.long))
        expect(Value.int(1) != .long(1) && Value.datetime(1) != .timespan(1) && Value.long(1) != .real(1))
        expect(Value.real(.nan) == .real(.nan) && Value.real(.nan) == .real(-.nan) && Value.real(.nan) != .real(0))
        expect(Value.real(0) == .real(-0.0) && hash(Value.real(0)) == hash(Value.real(-0.0)))
        expect(Set([Value.real(.nan), .real(.signalingNaN)]).count == 1)
        expect(Set([Value.string(composed), .string(decomposed)]).count == 2)
    }

    /// Reflexive, symmetric, and equal values have equal hashes.
    @Test(arguments: 0..<6)
    func laws(seed: Int) {
        var g = Seeded(UInt64(seed) &* 977)
        var values: [Value] = []
        for type in ScalarType.allCases { for _ in 0..<12 { values.append(g.value(type)) } }
        values += [.real(.nan), .real(.infinity), .dynamic(.real(.nan)), .dynamic(.array([.real(.nan)]))]
        for a in values {
            expect(a == a)
            for b in values {
                expect((a == b) == (b == a))
                if a == b { expect(hash(a) == hash(b)) }
                if a.type != b.type { expect(a != b) }
            }
        }
    }

    @Test func integers() {
        expect(Value.integer(5, as: .int) == .int(5))
        expect(Value.integer(Int64(Int32.max) + 1, as: .int) == .null(.int))
        expect(Value.integer(5, as: .datetime) == .datetime(5) && Value.integer(-5, as: .timespan) == .timespan(-5))
        expect(Value.integer(5, as: .long) == .long(5))
        expect(Value.datetime(9).integer == 9 && Value.int(-3).integer == -3 && Value.real(3).integer == nil)
        expect(Value.decimal(Decimal128(3)).double == 3 && Value.string("3").double == nil && Value.int(2).double == 2)
    }

    @Test(arguments: [
        ("bool", ScalarType.bool), ("Boolean", .bool), ("int", .int), ("INT32", .int), ("int64", .long), ("double", .real),
        ("date", .datetime),
        ("time", .timespan), ("uuid", .guid), ("uniqueid", .guid), ("dynamic", .dynamic), ("decimal", .decimal), ("string", .string),
    ])
    func typeNames(name: String, type: ScalarType) {
        expect(ScalarType(kqlName: name) == type)
        expect(ScalarType(kqlName: name + "x") == nil)
    }

    @Test func typeProperties() {
        expect(ScalarType.allCases.filter(\.isNumeric) == [.int, .long, .real, .decimal])
        expect(ScalarType.allCases.filter(\.isIntegerBacked) == [.int, .long, .datetime, .timespan])
        for t in ScalarType.allCases { expect(ScalarType(kqlName: t.rawValue) == t) }
        expect(Set(ScalarType.allCases.map(\.dataTypeName)).count == ScalarType.allCases.count)
    }
}

@Suite struct DynamicTests {
    @Test func properties() {
        let d = Dynamic.object([.init(composed, .long(1)), .init(decomposed, .long(2)), .init("a", .array([.null]))])
        expect(d[composed] == .long(1) && d[decomposed] == .long(2))
        expect(d["A"] == nil && d["a"] == .array([.null]) && Dynamic.long(1)["a"] == nil)
    }

    @Test(arguments: [
        (Dynamic.null, "null"), (.bool(true), "bool"), (.long(1), "long"), (.real(1), "double"), (.string(""), "string"),
        (.array([]), "array"),
        (.object([]), "dictionary"),
    ])
    func typeNames(_ d: Dynamic, _ name: String) { expect(d.typeName == name) }

    @Test func equality() {
        expect(Dynamic.long(1) != .real(1))
        expect(Dynamic.object([.init("a", .long(1)), .init("b", .long(2))]) != .object([.init("b", .long(2)), .init("a", .long(1))]))
        expect(Dynamic.object([.init(composed, .null)]) != .object([.init(decomposed, .null)]))
        expect(Dynamic.array([.real(.nan)]) == .array([.real(.nan)]))
        expect(Dynamic.array([]) != .object([]) && Dynamic.null != .bool(false))
    }

    @Test(arguments: 0..<6)
    func laws(seed: Int) {
        var g = Seeded(UInt64(seed) &* 31 &+ 5)
        let values = (0..<60).map { _ in g.dynamic() }
        for a in values {
            expect(a == a)
            for b in values where a == b { expect(hash(a) == hash(b) && b == a) }
            // Equal are exactly those that print alike, reals of equal value aside.
            if !JSONText.compact(a).contains("-0.0") {
                for b in values where JSONText.compact(a) == JSONText.compact(b) && !ByteText.equal("", JSONText.compact(b)) {
                    expect((a == b) == ByteText.equal(JSONText.compact(a), JSONText.compact(b)))
                }
            }
        }
    }
}
