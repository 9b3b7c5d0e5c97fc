import Columnar
import Evaluation
import KQL
import Testing

@testable import Detection

/// The rows of a join by key, against a look at all of them.
@Suite struct JoinIndexTests {
    private static let columns = [BoundColumn(id: 1, name: "User", type: .string), BoundColumn(id: 2, name: "Count", type: .long)]

    private static func side(keys: [Int]) -> JoinIndex.Side {
        JoinIndex.Side(
            inputs: [PaneInput(steps: [])], columns: columns,
            keys: keys.map { BoundExpr(.column(columns[$0].id), columns[$0].type, SourceRange(0, 0)) })
    }

    private struct Row: Hashable {
        let user: String?
        let count: Int64
    }

    private static func batch(_ rows: [Row]) -> Batch {
        var (users, counts) = (ColumnBuilder(.string), ColumnBuilder(.long))
        for r in rows {
            users.append(r.user.map { .string($0) } ?? .null(.string))
            counts.append(r.count < 0 ? .null(.long) : .long(r.count))
        }
        return Batch(columns: [users.finish(), counts.finish()], count: rows.count)
    }

    @Test("what has a partner is found, and nothing else", arguments: 1...40) func property(_ seed: UInt64) throws {
        var g = SplitMix(seed)
        let keys = seed.isMultiple(of: 2) ? [0] : [0, 1]
        let index = try JoinIndex(left: JoinIndexTests.side(keys: keys), right: JoinIndexTests.side(keys: keys), limits: EvaluationLimits())
        var held: [[Int64: [Row]]] = [[:], [:]]
        var next: Int64 = 0
        func key(_ r: Row) -> Row { keys.count == 1 ? Row(user: r.user ?? "", count: 0) : Row(user: r.user ?? "", count: r.count) }
        for round in 0..<60 {
            let side = Int.random(in: 0...1, using: &g)
            for _ in 0..<Int.random(in: 0...3, using: &g) {
                // Keys drift, so that most go in the end; few are common.
                let rows = (0..<Int.random(in: 1...40, using: &g)).map { _ in
                    Row(
                        user: Int.random(in: 0...20, using: &g) == 0 ? nil : "u\(round / 8 * 100 + Int.random(in: 0...90, using: &g))",
                        count: Int64.random(in: -1...2, using: &g))
                }
                held[side][next] = rows
                next += 1
            }
            for id in held[side].keys.sorted() where Int.random(in: 0...5, using: &g) == 0 { held[side][id] = nil }
            try index.update(
                side,
                held[side].sorted { $0.key < $1.key }.map { id, rows in
                    (JoinIndex.SegmentID(input: 0, id: id), { JoinIndexTests.batch(rows) })
                })
            let others = (0...1).map { s in Set(held[1 - s].values.joined().map(key)) }
            for s in 0...1 {
                let all = held[s].mapValues { rows in rows.indices.filter { others[s].contains(key(rows[$0])) } }
                #expect(index.rows(s) == held[s].values.reduce(0) { $0 + $1.count })
                #expect(index.partneredRows(s) == all.values.reduce(0) { $0 + $1.count })
                // Nil: most have one, and all are read.
                guard let found = index.partnered(s) else {
                    #expect(2 * index.partneredRows(s) > index.rows(s))
                    continue
                }
                let expected = all.filter { !$0.value.isEmpty }
                #expect(found.count == expected.count)
                for (id, rows) in found { #expect(rows.map(Int.init) == expected[id.id], "seed \(seed), round \(round)") }
            }
        }
    }

    @Test("keys of other types have no index") func types() {
        let other = JoinIndex.Side(
            inputs: [PaneInput(steps: [])], columns: JoinIndexTests.columns,
            keys: [BoundExpr(.column(2), .long, SourceRange(0, 0))])
        #expect(throws: EvaluationError.self) {
            try JoinIndex(left: JoinIndexTests.side(keys: [0]), right: other, limits: EvaluationLimits())
        }
    }

    @Test("nothing is left of rows that have gone") func memory() throws {
        let index = try JoinIndex(left: JoinIndexTests.side(keys: [0]), right: JoinIndexTests.side(keys: [0]), limits: EvaluationLimits())
        var most = 0
        for round in 0..<200 {
            let rows = (0..<500).map { Row(user: "u\(round * 500 + $0)", count: 0) }
            try index.update(0, [(JoinIndex.SegmentID(input: 0, id: Int64(round)), { JoinIndexTests.batch(rows) })])
            most = max(most, index.bytes)
        }
        #expect(index.rows(0) == 500)
        #expect(most < 500_000)
    }
}
