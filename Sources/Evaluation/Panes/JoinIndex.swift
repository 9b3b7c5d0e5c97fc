import Columnar
import KQL

/// The retained rows of both sides of an equi-join by key, kept while rows come and go, so that a tick reads the rows that have a partner
/// and not the window.
///
/// A superset filter: a row is left out only if no retained row of the other side has its key. What the join makes of the rest (order,
/// duplicates, outer rows, exact windows) is the join's own, so results are those over all rows.
///
/// Rows are known by segments: batches that are added and removed as a whole. One thread at a time.
///
/// - Complexity: adding and removing a segment costs its rows; ``partnered(_:)`` costs the rows that it gives.
public final class JoinIndex {
    /// One side: the ways of its legs' rows to the join's input (filters on them are not applied), and its keys.
    public struct Side: Sendable {
        public let inputs: [PaneInput]
        public let columns: [BoundColumn]
        public let keys: [BoundExpr]
        public init(inputs: [PaneInput], columns: [BoundColumn], keys: [BoundExpr]) {
            self.inputs = inputs
            self.columns = columns
            self.keys = keys
        }
    }

    /// Names a segment of an input.
    public struct SegmentID: Hashable, Sendable {
        public let input: Int
        public let id: Int64
        public init(input: Int, id: Int64) {
            self.input = input
            self.id = id
        }
    }

    /// A row: its key's group, its segment, and the next older row of the same group and side (-1: none).
    private struct Entry {
        let group: UInt32
        let slot: UInt32
        let next: Int32
    }

    private struct Slot {
        let segment: SegmentID
        /// Its rows' entries, in row order.
        let entries: Range<Int>
        var isLive = true
    }

    private struct Rows {
        var steps: [PaneSteps]
        var keys: [CompiledExpression]
        var entries = ContiguousArray<Entry>()
        var slots: [Slot] = []
        var places: [SegmentID: Int] = [:]
        /// By group: the newest entry (-1: none), and the live rows.
        var heads = ContiguousArray<Int32>()
        var counts = ContiguousArray<Int32>()
        var liveRows = 0
        /// Live rows whose group has rows on the other side too.
        var partnered = 0
        var count: Int { liveRows }
    }

    private let keyTypes: [ScalarType]
    private let context: EvaluationContext
    private var table: GroupTable
    /// Left, right.
    private var sides: [Rows]
    /// Groups with rows on both sides, and the place of each among them (-1: none).
    private var shared = ContiguousArray<UInt32>()
    private var places = ContiguousArray<Int32>()

    /// Throws ``EvaluationError`` if an expression cannot be compiled, or the types of the keys differ.
    public init(left: Side, right: Side, limits: EvaluationLimits) throws {
        keyTypes = right.keys.map(\.type)
        guard !keyTypes.isEmpty, left.keys.map(\.type) == keyTypes else { throw EvaluationError("only a join by equal types has an index") }
        context = EvaluationContext(now: 0, limits: limits)
        sides = try [left, right].map { side in
            Rows(
                steps: try side.inputs.map { try PaneSteps($0, filters: false) },
                keys: try side.keys.map { try CompiledExpression($0, input: side.columns, subqueries: NoSubqueries()) })
        }
        table = GroupTable(types: keyTypes)
    }

    // MARK: Figures

    /// Rows of a side (0: left, 1: right).
    public func rows(_ side: Int) -> Int { sides[side].liveRows }
    /// Of these, rows whose key the other side has too.
    public func partneredRows(_ side: Int) -> Int { sides[side].partnered }
    /// Memory, roughly: 12 bytes a row, and for each key 20 bytes and what the keys take.
    public var bytes: Int {
        sides.reduce(table.bytes + (shared.capacity + places.capacity) * 4) {
            $0 + $1.entries.capacity * MemoryLayout<Entry>.stride + ($1.heads.capacity + $1.counts.capacity) * 4 + $1.slots.capacity * 48
        }
    }

    // MARK: Segments

    /// Brings a side up to date: segments that are not named go, those that are not known are read and come. Whatever it throws, the index
    /// is of no use any more.
    public func update(_ side: Int, _ segments: [(id: SegmentID, rows: () throws -> Batch)]) throws {
        let wanted = Set(segments.map(\.id))
        for (id, slot) in sides[side].places where !wanted.contains(id) { remove(side, id, slot) }
        for s in segments where sides[side].places[s.id] == nil { try add(side, s.id, try s.rows()) }
        if isWasteful(side) { try rebuild() }
    }

    private func add(_ side: Int, _ id: SegmentID, _ batch: Batch) throws {
        guard sides[side].steps.indices.contains(id.input) else { throw EvaluationError("a join has no such input") }
        let rows = try sides[side].steps[id.input].run(batch, context)
        let keys = try sides[side].keys.map { try $0.evaluate(rows, context).materialized(rows: rows.count) }
        try place(side, id, try table.intern(keys))
    }

    private func place(_ side: Int, _ id: SegmentID, _ groups: ContiguousArray<UInt32>) throws {
        let first = sides[side].entries.count
        guard first + groups.count < Int(Int32.max) else { throw EvaluationError("a join keeps too many rows") }
        for s in sides.indices {
            sides[s].heads.grow(to: table.count, -1)
            sides[s].counts.grow(to: table.count, 0)
        }
        places.grow(to: table.count, -1)
        let slot = sides[side].slots.count
        sides[side].entries.reserveCapacity(first + groups.count)
        for (i, group) in groups.enumerated() {
            let g = Int(group)
            sides[side].entries.append(Entry(group: group, slot: UInt32(truncatingIfNeeded: slot), next: sides[side].heads[g]))
            sides[side].heads[g] = Int32(truncatingIfNeeded: first + i)
            count(side, g, by: 1)
        }
        sides[side].slots.append(Slot(segment: id, entries: first..<(first + groups.count)))
        sides[side].places[id] = slot
    }

    private func remove(_ side: Int, _ id: SegmentID, _ slot: Int) {
        sides[side].slots[slot].isLive = false
        sides[side].places[id] = nil
        for e in sides[side].slots[slot].entries { count(side, Int(sides[side].entries[e].group), by: -1) }
    }

    /// A row of a group comes or goes.
    private func count(_ side: Int, _ g: Int, by n: Int32) {
        let other = 1 - side
        let before = sides[side].counts[g]
        sides[side].counts[g] = before + n
        sides[side].liveRows += Int(n)
        let others = sides[other].counts[g]
        guard others > 0 else { return }
        sides[side].partnered += Int(n)
        if before == 0 {
            sides[other].partnered += Int(others)
            places[g] = Int32(truncatingIfNeeded: shared.count)
            shared.append(UInt32(truncatingIfNeeded: g))
        } else if before + n == 0 {
            sides[other].partnered -= Int(others)
            let at = Int(places[g])
            let last = shared[shared.count - 1]
            shared[at] = last
            places[Int(last)] = Int32(truncatingIfNeeded: at)
            shared.removeLast()
            places[g] = -1
        }
    }

    // MARK: Waste

    /// More entries of removed segments than of live ones, or mostly keys that no row has.
    private func isWasteful(_ side: Int) -> Bool {
        let rows = sides[side]
        if rows.entries.count > 2 * rows.liveRows + 1024 { return true }
        return table.count > 2 * (sides[0].liveRows + sides[1].liveRows) + 1024
    }

    /// Only what is live, numbered anew.
    private func rebuild() throws {
        var old: [[(id: SegmentID, groups: ContiguousArray<UInt32>)]] = []
        for s in sides.indices {
            old.append(
                sides[s].slots.filter(\.isLive).map { slot in
                    (slot.segment, ContiguousArray(sides[s].entries[slot.entries].lazy.map(\.group)))
                })
        }
        let used = ContiguousArray(
            (0..<table.count).lazy.filter { g in self.sides.contains { $0.counts[g] > 0 } }.map { UInt32(truncatingIfNeeded: $0) })
        var fresh = GroupTable(types: keyTypes)
        let ids = used.isEmpty ? [] : try fresh.intern(table.columns(used))
        var map = ContiguousArray<UInt32>(repeating: 0, count: table.count)
        for (from, to) in zip(used, ids) { map[Int(from)] = to }
        table = fresh
        shared = []
        places = []
        for s in sides.indices {
            sides[s].entries = []
            sides[s].slots = []
            sides[s].places = [:]
            sides[s].heads = []
            sides[s].counts = []
            sides[s].liveRows = 0
            sides[s].partnered = 0
        }
        for s in sides.indices { for slot in old[s] { try place(s, slot.id, ContiguousArray(slot.groups.lazy.map { map[Int($0)] })) } }
    }

    // MARK: Ticks

    /// The rows of a side that have a partner, ascending in each segment; nil if that is most of them and looking for them does not pay.
    public func partnered(_ side: Int) -> [SegmentID: ContiguousArray<Int32>]? {
        let rows = sides[side]
        if 2 * rows.partnered > rows.liveRows { return nil }
        var found: [ContiguousArray<Int32>] = Array(repeating: [], count: rows.slots.count)
        for g in shared {
            var at = Int(rows.heads[Int(g)])
            while at >= 0 {
                let e = rows.entries[at]
                let slot = rows.slots[Int(e.slot)]
                if slot.isLive { found[Int(e.slot)].append(Int32(truncatingIfNeeded: at - slot.entries.lowerBound)) }
                at = Int(e.next)
            }
        }
        var out: [SegmentID: ContiguousArray<Int32>] = [:]
        for (i, slot) in rows.slots.enumerated() where !found[i].isEmpty {
            found[i].sort()
            out[slot.segment] = found[i]
        }
        return out
    }
}
