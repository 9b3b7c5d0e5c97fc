import Columnar
import Testing

@Suite struct RowKeyTests {
    private func key(_ g: inout Seeded) -> RowKey {
        RowKey(time: Int64(g.below(4)), hashHigh: UInt64(g.below(3)), hashLow: UInt64(g.below(3)), path: UInt64(g.below(3)))
    }

    @Test(arguments: 0..<4)
    func orderIsTotal(seed: Int) {
        var g = Seeded(UInt64(seed) &+ 3)
        let keys = (0..<40).map { _ in key(&g) }
        for a in keys {
            #expect(!(a < a))
            for b in keys {
                #expect((a == b) == (!(a < b) && !(b < a)))
                if a == b { #expect(hash(a) == hash(b)) }
                for c in keys where a < b && b < c { #expect(a < c) }
            }
        }
    }

    @Test func timeComesFirst() {
        let early = RowKey(time: 1, hashHigh: .max, hashLow: .max, path: .max)
        #expect(early < RowKey(time: 2, hashHigh: 0, hashLow: 0))
        #expect((0..<100).map(RowKey.ordinal).sorted() == (0..<100).map(RowKey.ordinal))
    }

    @Test func expansionKeepsOrderAndIdentity() {
        let parent = RowKey(time: 5, hashHigh: 1, hashLow: 2)
        let children = (0..<1000).map { parent.expanded($0) }
        #expect(children == children.sorted() && Set(children).count == 1000)
        #expect(children.allSatisfy { $0.time == 5 && $0.hashHigh == 1 })
        // Grandchildren follow their parents.
        let grand = (0..<20).flatMap { i in (0..<20).map { parent.expanded(i).expanded($0) } }
        #expect(grand == grand.sorted() && Set(grand).count == 400)
        // Deep paths still tell rows apart.
        var deep: Set<RowKey> = []
        for n in 0..<3125 {
            let digits = [n % 5, n / 5 % 5, n / 25 % 5, n / 125 % 5, n / 625]
            deep.insert(digits.reduce(parent) { $0.expanded($1) })
        }
        #expect(deep.count == 3125)
    }

    @Test func joinedRowsDiffer() {
        let left = (0..<30).map { RowKey(time: Int64($0), hashHigh: 9, hashLow: 9) }
        let right = (0..<30).map { RowKey(time: 3, hashHigh: UInt64($0), hashLow: 1) }
        let pairs = left.flatMap { l in right.map { l.joined($0) } }
        #expect(Set(pairs).count == 900)
        for (i, l) in left.enumerated() where i > 0 { #expect(left[i - 1].joined(right[29]) < l.joined(right[0])) }
    }
}

@Suite struct LineageTests {
    private func lineage(_ keys: [Int]) -> Lineage? {
        keys.map { Lineage(.ordinal($0)) }.reduce(nil as Lineage?) { sum, next in
            guard var s = sum else { return next }
            s.merge(next)
            return s
        }
    }

    @Test func sample() throws {
        let l = try #require(lineage(Array(0..<100)))
        #expect(l.count == 100 && l.least == .ordinal(0) && l.greatest == .ordinal(99))
        #expect(l.sample == ([0, 1, 2, 3, 4, 95, 96, 97, 98, 99].map { RowKey.ordinal($0) }))
        let few = try #require(lineage([3, 1, 2]))
        #expect(few.sample == [1, 2, 3].map { RowKey.ordinal($0) })
    }

    /// Order and grouping of merges do not matter.
    @Test(arguments: 0..<20)
    func merging(seed: Int) throws {
        var g = Seeded(UInt64(seed) &+ 17)
        let keys = (0..<(1 + g.below(60))).map { _ in g.below(1000) }
        let whole = try #require(lineage(keys.sorted()))
        #expect(try #require(lineage(keys.shuffled(using: &g))) == whole)
        let cut = g.below(keys.count)
        if cut > 0 {
            var left = try #require(lineage(Array(keys[..<cut])))
            var right = try #require(lineage(Array(keys[cut...])))
            let other = left
            left.merge(right)
            right.merge(other)
            #expect(left == whole && right == whole)
        }
    }
}
