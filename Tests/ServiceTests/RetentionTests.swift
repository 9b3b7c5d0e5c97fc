import Columnar
import Glibc
import KQL
import TestSupport
import Testing

@testable import Detection

/// What a rule retains: segments that are merged, expire, are spilled, saved and restored. A plain list of rows is the measure.
@Suite struct RetentionTests {
    struct Dice: SeededGenerator {
        var state: UInt64
    }

    static let columns = [BoundColumn(id: 1, name: "Text", type: .string), BoundColumn(id: 2, name: "N", type: .long)]

    static func batch(_ rows: [(time: Int64, number: Int)]) -> Batch {
        var text = ColumnBuilder(.string)
        var n = ColumnBuilder(.long)
        for r in rows {
            text.append(.string("row \(r.number)"))
            n.append(.long(Int64(r.number)))
        }
        return Batch(
            columns: [text.finish(), n.finish()], count: rows.count,
            keys: ContiguousArray(rows.map { RowKey(time: $0.time, hashHigh: 7, hashLow: UInt64($0.number)) }))
    }

    /// Everything in a store as (time, number), sorted; checks that cells and keys belong together.
    static func content(_ s: LegStore) throws -> [[Int64]] {
        var out: [[Int64]] = []
        for segment in s.segments {
            let rows = try segment.rows()
            #expect(rows.count == segment.count && segment.times == ContiguousArray((rows.keys ?? []).map(\.time)))
            for (i, k) in (rows.keys ?? []).enumerated() {
                #expect(rows.columns[0].value(i) == .string("row \(k.hashLow)") && rows.columns[1].value(i) == .long(Int64(k.hashLow)))
                out.append([k.time, Int64(k.hashLow)])
            }
        }
        return out.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) }
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func agreesWithAPlainList(_ seed: UInt64) throws {
        let f = try Folder()
        let file = SpillFile(directory: f.path)
        var dice = Dice(state: seed)
        var store = LegStore()
        var plain: [(time: Int64, number: Int)] = []
        var disk: [Int64: [UInt8]] = [:]
        var number = 0
        var now: Int64 = 0
        var floor: Int64 = .min
        for _ in 0..<400 {
            now += Int64.random(in: 0...20, using: &dice)
            switch Int.random(in: 0..<20, using: &dice) {
            case 0:
                floor = max(floor, now - 600)
                store.expire(before: floor)
            case 1: if seed % 2 == 0 { try store.spillOldest(to: file) }
            case 2:
                for id in store.added { disk[id] = try store.encoded(id) }
                for id in store.dropped { disk[id] = nil }
                store.checkpointed()
            case 3:
                // Killed: what was not saved comes again.
                var again = LegStore()
                for (id, bytes) in disk.sorted(by: { $0.key < $1.key }) {
                    try again.restore(id: id, bytes: bytes, columns: RetentionTests.columns)
                }
                let known = Set(try RetentionTests.content(again))
                store = again
                store.append(
                    RetentionTests.batch(plain.filter { $0.time >= floor && !known.contains([$0.time, Int64($0.number)]) }), raw: [:])
            default:
                let rows = (0..<Int.random(in: 1...6, using: &dice)).map { _ -> (time: Int64, number: Int) in
                    number += 1
                    return (now - Int64.random(in: 0...300, using: &dice), number)
                }
                plain += rows
                store.append(RetentionTests.batch(rows), raw: [:])
            }
            let live = plain.filter { $0.time >= floor }
            let from = now - Int64.random(in: 0...700, using: &dice)
            let to = from + Int64.random(in: 0...50, using: &dice)
            // Questions are only asked of times that did not expire.
            if from >= floor {
                #expect(store.hasRows(from: from, to: to) == live.contains { $0.time >= from && $0.time <= to })
                #expect(store.nextTime(atOrAfter: from) == live.map(\.time).filter { $0 >= from }.min())
            }
            #expect(store.segments.filter { !$0.isSpilled }.count <= LegStore.mergeAbove + 1)
        }
        let want = plain.filter { $0.time >= floor }.map { [$0.time, Int64($0.number)] }.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) }
        #expect(try RetentionTests.content(store).filter { $0[0] >= floor } == want)
    }

    /// A stream without end: what is retained stays near what the window holds, and rows are not copied over and over.
    @Test func retainedRowsFollowTheWindow() throws {
        var store = LegStore()
        let window: Int64 = 1000
        var most = 0
        var segments: Set<Int64> = []
        var copied = 0
        for t in 0..<Int64(20_000) {
            store.append(RetentionTests.batch([(t, Int(t))]), raw: [RecordHash(high: 7, low: UInt64(t)): "raw"])
            if t % 50 == 0 { store.expire(before: t - window) }
            for s in store.segments where segments.insert(s.id).inserted { copied += s.count }
            if t > window { most = max(most, store.rowCount) }
        }
        #expect(most <= 2 * Int(window) + 100, "\(most)")
        #expect(store.rawBytes == 3 * store.rowCount)
        // Each row is copied a few times, not once for every merge of others.
        #expect(copied < 20 * 20_000, "\(copied)")
    }

    @Test func volumesGiveTheirSpaceBack() throws {
        let f = try Folder()
        let file = SpillFile(directory: f.path, volumeBytes: 100_000)
        var store = LegStore()
        for t in 0..<Int64(40) { store.append(RetentionTests.batch((0..<500).map { (t, Int(t) * 1000 + $0) }), raw: [:]) }
        for _ in 0..<30 { try store.spillOldest(to: file) }
        #expect(store.residentRows == 10 * 500 && store.rowCount == 40 * 500)
        let full = file.openVolumes
        #expect(full > 5)
        store.expire(before: 15)
        #expect((full / 2 - 1...full / 2 + 2).contains(file.openVolumes))
        #expect(try RetentionTests.content(store).count == 25 * 500)
        store.expire(before: 30)
        #expect(file.openVolumes <= 1 && store.rowCount == 10 * 500)
        try store.spillOldest(to: file)
        #expect(try RetentionTests.content(store).count == 10 * 500)
        // The files have no names.
        let folder = try #require(opendir(f.path))
        var names = 0
        while readdir(folder) != nil { names += 1 }
        closedir(folder)
        #expect(names == 2)
    }

    @Test func aPlaceThatCannotBeWrittenChangesNothing() throws {
        var store = LegStore()
        store.append(RetentionTests.batch([(1, 1)]), raw: [:])
        let error = #expect(throws: StateError.self) { try store.spillOldest(to: SpillFile(directory: "/no/such/folder")) }
        #expect(error?.description.contains("/no/such/folder") == true)
        #expect(store.residentRows == 1 && store.segments.count == 1)
    }
}
