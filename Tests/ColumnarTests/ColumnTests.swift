import Columnar
import Testing

@Suite struct BitmapTests {
    static let sizes = [0, 1, 7, 63, 64, 65, 127, 128, 129, 1000]

    @Test(arguments: sizes)
    func tailIsClear(n: Int) {
        for b in [Bitmap(repeating: true, count: n), ~Bitmap(repeating: false, count: n), Bitmap((0..<n).map { _ in true })] {
            expect(b.popcount == n && b.isFull && b.isEmpty == (n == 0) && b.count == n)
            expect(b == Bitmap(words: ContiguousArray(repeating: ~0, count: (n + 63) / 64), count: n))
        }
    }

    /// Against arrays of Bool.
    @Test(arguments: sizes)
    func model(n: Int) {
        var g = Seeded(UInt64(n))
        for _ in 0..<20 {
            let x = (0..<n).map { _ in g.chance(3) }, y = (0..<n).map { _ in g.chance(2) }
            let a = Bitmap(x), b = Bitmap(y)
            func bits(_ m: Bitmap) -> [Bool] { (0..<n).map { m[$0] } }
            expect(bits(a) == x)
            expect(bits(a & b) == zip(x, y).map { $0 && $1 } && bits(a | b) == zip(x, y).map { $0 || $1 } && bits(~a) == x.map { !$0 })
            var c = a
            c.formAndNot(b)
            expect(bits(c) == zip(x, y).map { $0 && !$1 })
            expect(a.popcount == x.filter { $0 }.count && a.indices.map(Int.init) == x.indices.filter { x[$0] })
            expect((~(~a)) == a && ((a & b) | (a & ~b)) == a)
            var grown = Bitmap(count: 0)
            for bit in x { grown.append(bit) }
            expect(grown == a && hash(grown) == hash(a))
            guard n > 0 else { continue }
            let rows = ContiguousArray((0..<50).map { _ in Int32(g.below(n)) })
            let gathered = a.gather(rows)
            expect((0..<50).allSatisfy { gathered[$0] == x[Int(rows[$0])] })
            var written = a
            let i = g.below(n)
            written[i] = !x[i]
            expect(written != a && written[i] == !x[i])
            written[i] = x[i]
            expect(written == a)
        }
    }
}

@Suite struct StringColumnTests {
    @Test func byteStrings() {
        var b = ByteStrings()
        for s in ["", "a", "é", "\r\n", "中😀"] { b.append(s) }
        expect(b.count == 5 && (0..<5).map { b[$0] } == ["", "a", "é", "\r\n", "中😀"])
        expect(b.length(0) == 0 && b.length(2) == 2 && b.length(4) == 7)
        var c = ByteStrings()
        c.append(b, at: 4)
        c.append(contentsOf: b)
        expect(c.count == 6 && c[0] == "中😀" && c[5] == "中😀" && c[3] == "é")
    }

    /// The same rows by dictionary and without read alike, whatever is done with them.
    @Test(arguments: 0..<6)
    func dictionaryOrNot(seed: Int) {
        var g = Seeded(UInt64(seed) &+ 60)
        let values = (0..<5).map { _ in g.text() }
        let n = 1 + g.below(60)
        let codes = ContiguousArray((0..<n).map { _ in UInt32(g.below(5)) })
        var dictionary = ByteStrings()
        for v in values { dictionary.append(v) }
        let coded = StringColumn(codes: codes, values: dictionary)
        let plain = StringColumn(codes.map { values[Int($0)] })
        func texts(_ c: StringColumn) -> [ByteKey] { (0..<c.count).map { ByteKey(c[$0]) } }
        expect(coded.count == n && texts(coded) == texts(plain))
        for take in [1, 3, n] {
            let rows = ContiguousArray((0..<take).map { _ in Int32(g.below(n)) })
            expect(texts(coded.gather(rows)) == texts(plain.gather(rows)))
            expect(texts(coded.gather(rows)) == rows.map { texts(plain)[Int($0)] })
        }
        expect(texts(coded.concatenated(plain)) == texts(plain) + texts(plain))
        expect(texts(plain.concatenated(coded)) == texts(plain) + texts(plain))
        expect((0..<n).allSatisfy { i in coded.withBytes(i) { Array($0) } == Array(plain[i].utf8) })
        expect(texts(StringColumn(repeating: values[0], count: 3)) == Array(repeating: ByteKey(values[0]), count: 3))
    }

    /// A few rows of a large dictionary do not keep it.
    @Test func smallSelectionsLetGo() {
        var big = ByteStrings()
        for i in 0..<10_000 { big.append("value \(i)") }
        let column = StringColumn(codes: ContiguousArray((0..<10_000).map { UInt32($0) }), values: big)
        let few = column.gather([5, 7])
        expect(few.values.count == 2 && few[1] == "value 7")
    }
}

@Suite struct ColumnTests {
    /// A column gives back what was put in.
    @Test(arguments: ScalarType.allCases)
    func buildAndRead(_ type: ScalarType) {
        var g = Seeded(11)
        for n in [0, 1, 63, 64, 65, 200] {
            let values = (0..<n).map { _ in g.value(type) }
            let c = column(type, values)
            expect(c.type == type && c.count == n)
            for (i, v) in values.enumerated() {
                expect(c.value(i) == v)
                expect(c.isNull(i) == v.isNull)
            }
            if type == .string { expect(c.validity == nil) }
        }
    }

    private func column(_ type: ScalarType, _ values: [Value]) -> Column {
        var b = ColumnBuilder(type)
        b.reserve(values.count)
        for v in values { b.append(v) }
        return b.finish()
    }

    private func values(_ c: Column) -> [Value] { (0..<c.count).map { c.value($0) } }

    @Test(arguments: ScalarType.allCases)
    func gatherAndConcatenate(_ type: ScalarType) {
        var g = Seeded(12)
        for _ in 0..<10 {
            let x = (0..<(1 + g.below(80))).map { _ in g.value(type) }, y = (0..<g.below(80)).map { _ in g.value(type) }
            let a = column(type, x), b = column(type, y)
            expect(values(a.concatenated(b)) == x + y)
            expect(values(b.concatenated(a)) == y + x)
            let rows = ContiguousArray((0..<30).map { _ in Int32(g.below(x.count)) })
            expect(values(a.gather(rows)) == rows.map { x[Int($0)] })
            // -1 is a row that an outer join has not.
            let outer = ContiguousArray(rows.map { $0 % 3 == 0 ? Int32(-1) : $0 })
            expect(values(a.gather(outer)) == outer.map { $0 < 0 ? .missing(type) : x[Int($0)] })
            expect(values(a.gather([])).isEmpty)
        }
    }

    @Test(arguments: ScalarType.allCases)
    func repeated(_ type: ScalarType) {
        var g = Seeded(13)
        for _ in 0..<8 {
            let v = g.value(type)
            expect(values(Column(repeating: v, count: 5)) == Array(repeating: v, count: 5))
        }
        expect(values(Column.nulls(type, count: 4)) == Array(repeating: .missing(type), count: 4))
        expect(Column(repeating: .missing(type), count: 0).count == 0)
    }

    @Test func widening() {
        var longs = ColumnBuilder(.long)
        longs.append(.int(-5))
        expect(longs.finish().value(0) == .long(-5))
        var reals = ColumnBuilder(.real)
        reals.append(.int(2))
        reals.append(.long(3))
        expect(values(reals.finish()) == [.real(2), .real(3)])
        var dynamics = ColumnBuilder(.dynamic)
        dynamics.append(.dynamic(.null))
        dynamics.append(json: "[1]")
        expect(values(dynamics.finish()) == [.null(.dynamic), .dynamic(.array([.long(1)]))])
    }

    /// A full validity is none; cells under a null are zero.
    @Test func invariants() {
        let full = Column(.long, .longs([1, 2]), validity: Bitmap(repeating: true, count: 2))
        expect(full.validity == nil)
        var b = ColumnBuilder(.long)
        b.append(Int64(7))
        b.appendNull()
        let c = b.finish()
        guard case .longs(let cells) = c.data else {
            Issue.record("a long column holds \(c.data)")
            return
        }
        expect(cells == [7, 0] && c.validity?.popcount == 1)
        // Text that is no JSON reads as null, whatever put it there.
        expect(Column(.dynamic, .dynamics(StringColumn(["{", "null", "1"]))).value(0) == .null(.dynamic))
    }
}

@Suite struct BatchTests {
    private func batch(_ values: [Int64], keys: Bool = true, lineage: Bool = false) -> Batch {
        var b = ColumnBuilder(.long)
        for v in values { b.append(v) }
        let k = ContiguousArray(values.map { RowKey.ordinal(Int(truncatingIfNeeded: $0)) })
        return Batch(
            columns: [b.finish(), Column(repeating: .string("x"), count: values.count)], count: values.count, keys: keys ? k : nil,
            lineage: lineage ? ContiguousArray(k.map { Lineage($0) }) : nil)
    }

    private func cells(_ b: Batch) -> [Int64] { (0..<b.count).compactMap { b.columns[0].value($0).integer } }

    @Test func concatenation() {
        let joined = batch([1, 2], lineage: true).appending(batch([3], lineage: true))
        expect(cells(joined) == [1, 2, 3] && joined.count == 3 && joined.columns[1].count == 3)
        expect(joined.keys?.count == 3 && joined.lineage?.count == 3)
        // What one side lacks cannot be made up.
        expect(batch([1]).appending(batch([2], keys: false)).keys == nil)
        expect(batch([1], lineage: true).appending(batch([2])).lineage == nil)
        expect(cells(batch([]).appending(batch([]))) == [])
        // Associative.
        let (a, b, c) = (batch([1, 2]), batch([]), batch([3, 4]))
        expect(cells(a.appending(b).appending(c)) == cells(a.appending(b.appending(c))))
    }

    @Test func selection() {
        let b = batch([10, 11, 12, 13], lineage: true)
        let picked = b.filter(Bitmap([true, false, false, true]))
        expect(cells(picked) == [10, 13] && picked.keys == [.ordinal(10), .ordinal(13)] && picked.lineage?.count == 2)
        expect(b.filter(Bitmap(repeating: true, count: 4)).count == 4 && b.filter(Bitmap(repeating: false, count: 4)).count == 0)
        expect(cells(b.gather([3, 3, 0])) == [13, 13, 10])
    }
}
