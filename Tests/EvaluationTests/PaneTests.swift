import Columnar
import KQL
import TestSupport
import Testing

@testable import Evaluation

/// Groups that are kept by panes against the plain summarize over the rows of a view.
@Suite struct PaneTests {
    private struct Dice: SeededGenerator {
        var state: UInt64
        mutating func below(_ n: Int) -> Int { Int(next() % UInt64(n)) }
    }

    private static let schema = TableSchema(
        name: "T",
        columns: [
            SchemaColumn("TimeGenerated", .datetime), SchemaColumn("User", .string), SchemaColumn("Host", .string),
            SchemaColumn("Count", .long), SchemaColumn("Score", .real), SchemaColumn("Tags", .dynamic), SchemaColumn("Price", .decimal),
        ])

    private static let queries = [
        "count() by User", "count()", "dcount(Host), countif(Count > 3) by User", "sum(Count), sum(Score), avg(Score), sum(Price) by User",
        "min(Host), max(Count), min(Score), max(Price) by User", "make_set(Host), make_set(Tags, 3) by User", "make_list(Count, 5) by User",
        "arg_max(Count, *) by User", "arg_min(Score, Host, Tags) by User", "take_any(Host), take_any(User, Count)",
        "percentiles(Count, 5, 50, 95) by User", "stdev(Score), variance(Count) by User", "make_bag(bag_pack(Host, Count)) by User",
        "count_distinct(Host), binary_all_or(Count) by User, bin(TimeGenerated, 1m)", "by User, Host",
        "n = count() by tolower(User), Count % 3",
    ]

    private static let minute = KustoTime.ticksPerMinute
    private static let start = KustoTime.unixEpoch + 20_000 * KustoTime.ticksPerDay

    private static func row(_ dice: inout Dice, _ serial: Int, around: Int64) -> (key: RowKey, values: [Value]) {
        let jitter = Int64(dice.below(7)) * minute / 2 + Int64([0, 0, 0, 1, 77].randomElement(using: &dice) ?? 0)
        let time = around + jitter
        let key = RowKey(time: time, hashHigh: UInt64(dice.below(3)), hashLow: UInt64(serial))
        func maybe(_ v: Value) -> Value { dice.below(9) == 0 ? .missing(v.type) : v }
        let tags = Dynamic.array((0..<dice.below(3)).map { _ in .string("t\(dice.below(4))") })
        return (
            key,
            [
                .datetime(time), maybe(.string(["ann", "Ann", "bob", ""][dice.below(4)])), maybe(.string("h\(dice.below(6))")),
                maybe(.long(Int64(dice.below(8)))), maybe(.real(Double(dice.below(1000)) * 0.1)), maybe(.dynamic(tags)),
                maybe(.decimal(Decimal128(Int64(dice.below(50))))),
            ]
        )
    }

    private static func batch(_ rows: [(key: RowKey, values: [Value])]) -> Batch {
        let columns = schema.columns.indices.map { c in
            var b = ColumnBuilder(schema.columns[c].type)
            for r in rows { b.append(r.values[c]) }
            return b.finish()
        }
        return Batch(columns: columns, count: rows.count, keys: ContiguousArray(rows.map(\.key)))
    }

    private static func texts(_ batches: [Batch]) -> [String] {
        batches.flatMap { b in
            (0..<b.count).map { r in
                let lineage = b.lineage.map { $0[r] }
                return b.columns.map { "\($0.value(r))" }.joined(separator: " | ") + " key \(b.keys.map { $0[r] } ?? .ordinal(0))"
                    + ((lineage?.count ?? 0) > 0 ? " of \(lineage.map { "\($0)" } ?? "")" : "")
            }
        }
    }

    @Test("panes give what the rows give", arguments: queries, [1, 2, 3] as [UInt64])
    func equality(query: String, seed: UInt64) throws {
        var dice = Dice(state: seed &* 977)
        var tables = MemoryTables()
        tables.add(PaneTests.schema, rows: [])
        let bound = Binder(functions: FunctionRegistry.standard, schemas: tables).bind(SyntaxTree.parse("T | summarize \(query)"))
        let plan = try #require(bound.plan, "\(bound.diagnostics)")
        var summarize: Plan?
        func find(_ p: Plan) { if case .summarize = p.kind { summarize = p } else if case .project(let q, _) = p.kind { find(q) } }
        find(plan)
        let node = try #require(summarize)

        let period = Int64([5, 12, 40, 90].randomElement(using: &dice) ?? 5) * PaneTests.minute
        let near = PaneTests.minute * Int64(1 + dice.below(4)) + 1
        let views = [
            PaneView([.init(offset: -period, isLower: true, isClosed: true), .init(offset: 0, isLower: false, isClosed: true)]),
            PaneView([.init(offset: -near, isLower: true, isClosed: false), .init(offset: 0, isLower: false, isClosed: true)]),
            PaneView([.init(offset: -period, isLower: true, isClosed: true), .init(offset: -near, isLower: false, isClosed: seed == 1)]),
        ]
        let clock = PaneClock(anchor: PaneTests.start, frequency: PaneTests.minute, offsets: views.flatMap { $0.bounds.map(\.offset) })
        let panes = try PaneAggregation(node, inputs: [PaneInput(steps: [])], clocks: [clock], limits: EvaluationLimits())
        var all: [(key: RowKey, values: [Value])] = []
        var most = 0
        for step in 0..<160 {
            let tick = PaneTests.start + Int64(step) * PaneTests.minute
            // Rows around the tick; some come late.
            let late = dice.below(6) == 0 ? Int64(dice.below(30)) * PaneTests.minute : 0
            let rows = (0..<dice.below(9)).map { n in PaneTests.row(&dice, step * 100 + n, around: tick - 3 * PaneTests.minute - late) }
            all += rows
            panes.add(PaneTests.batch(rows), input: 0)
            if dice.below(4) == 0 { panes.cool(before: clock.pane(of: tick - 5 * PaneTests.minute), input: 0) }
            most = max(most, panes.cells)
            guard dice.below(3) == 0 else { continue }
            for view in views {
                let range = view.panes(at: tick, clock)
                let seen = all.filter { r in
                    view.bounds.allSatisfy { b in
                        let end = tick + b.offset
                        if r.key.time == end { return b.isClosed }
                        return b.isLower ? r.key.time > end : r.key.time < end
                    }
                }
                // Some rows may stand outside of the panes.
                let stable = clock.pane(of: tick - Int64(dice.below(5)) * PaneTests.minute)
                let found = try panes.evaluate([range], through: [stable])
                var source = MemoryTables()
                source.add(PaneTests.schema, batches: [PaneTests.batch(seen)])
                var options = ExecutorOptions()
                options.lineage = true
                let context = EvaluationContext(now: tick)
                let expected = try Executor(provider: source, context: context, options: options).collect(node).batches
                #expect(PaneTests.texts(found) == PaneTests.texts(expected), "tick \(step)")
                let bare = try panes.evaluate([range], through: [stable], lineage: false)
                #expect(bare.map(\.keys) == found.map(\.keys))
                #expect(bare.allSatisfy { $0.lineage == nil })
            }
            let horizon = tick - period
            panes.expire(before: clock.pane(of: horizon), input: 0)
            all.removeAll { $0.key.time < horizon }
        }
        #expect(panes.bytes > 0)
        // Everything goes.
        panes.expire(before: .max, input: 0)
        #expect(panes.isEmpty && panes.cells == 0 && panes.groups == 0)
        if !query.contains("list"), !query.contains("percentile"), !query.contains("bag"), !query.contains("bin("),
            period > 30 * PaneTests.minute
        {
            #expect(panes.nodesBuilt > 0)
        }
    }

    @Test("rows elsewhere count as those in panes") func extra() throws {
        var dice = Dice(state: 5)
        var tables = MemoryTables()
        tables.add(PaneTests.schema, rows: [])
        let bound = Binder(functions: FunctionRegistry.standard, schemas: tables)
            .bind(SyntaxTree.parse("T | summarize count(), make_set(Host), sum(Score), arg_max(Count, Tags) by User"))
        let node = try #require(bound.plan)
        let clock = PaneClock(anchor: PaneTests.start, frequency: PaneTests.minute, offsets: [])
        let panes = try PaneAggregation(node, inputs: [PaneInput(steps: [])], clocks: [clock], limits: EvaluationLimits())
        let rows = (0..<60).map { PaneTests.row(&dice, $0, around: PaneTests.start + Int64($0) * PaneTests.minute) }
        panes.add(PaneTests.batch(Array(rows[..<40])), input: 0)
        let all = Int64.min...Int64.max
        let mixed = try panes.evaluate([all], through: [.max], extra: [[PaneTests.batch(Array(rows[40...]))]])
        panes.add(PaneTests.batch(Array(rows[40...])), input: 0)
        let whole = try panes.evaluate([all], through: [.max])
        #expect(PaneTests.texts(mixed) == PaneTests.texts(whole))
    }

    @Test("panes begin and end where views do") func clock() {
        let clock = PaneClock(anchor: 100, frequency: 10, offsets: [0, -25, -7])
        // Edges at residues 0, 3 (-7) and 5 (-25).
        #expect([100, 103, 105, 110].map { clock.pane(of: $0) } == [0, 2, 4, 6])
        #expect([101, 102, 104, 106, 109, 99].map { clock.pane(of: $0) } == [1, 1, 3, 5, 5, -1])
        let view = PaneView([.init(offset: -25, isLower: true, isClosed: false), .init(offset: -7, isLower: false, isClosed: true)])
        let range = view.panes(at: 130, clock)
        #expect(range == clock.pane(of: 106)...clock.pane(of: 123))
        #expect(
            PaneView([.init(offset: 0, isLower: true, isClosed: false), .init(offset: 0, isLower: false, isClosed: true)]).panes(
                at: 130, clock) == nil)
    }
}
