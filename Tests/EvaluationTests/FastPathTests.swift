import Columnar
import KQL
import TestSupport
import Testing

@testable import Evaluation

/// Fast kernels against plain ones over random columns: nulls, empty batches, dictionaries, non-ASCII text, extreme numbers.
@Suite struct FastPathTests {
    struct Dice: SeededGenerator {
        var state: UInt64
    }

    static let types: [ScalarType] = [.bool, .int, .long, .datetime, .timespan, .real, .decimal, .guid, .string, .dynamic]

    static func value(_ type: ScalarType, _ dice: inout Dice, distinct: Int) -> Value {
        if Int.random(in: 0..<7, using: &dice) == 0 { return .missing(type) }
        let n = Int64.random(in: 0..<Int64(distinct), using: &dice)
        switch type {
        case .bool: return .bool(n % 2 == 0)
        case .int: return .int(Int32(n) - 3)
        case .long: return .long(n == 1 ? .min : n == 2 ? .max : (n - 3) &* 0x1_0000_0001)
        case .datetime: return .datetime(n &* 863_999_999_999)
        case .timespan: return .timespan((n - 5) &* 36_000_000_000)
        case .real: return .real([0.0, -0.0, .nan, 1e300, -1e300, .infinity, 0.1, 1e-300][Int(n) % 8] * Double(n / 8 + 1))
        case .decimal: return .decimal(Decimal128(mantissa: Int128(n) - 2, exponent: Int(n % 3) - 1))
        case .guid: return .guid(UInt128(n) << 64 | UInt128(n * 7))
        case .string: return .string(["", "a", "é", "e\u{301}", "long text that passes eight bytes \(n)", "名前\(n)", "x\(n)"][Int(n) % 7])
        case .dynamic: return .dynamic([.long(n), .string("s\(n)"), .array([.long(n)]), .bool(true)][Int(n) % 4])
        }
    }

    /// A column, as a dictionary one in some draws of the text types.
    static func column(_ type: ScalarType, rows: Int, _ dice: inout Dice, distinct: Int = 30) -> Column {
        var b = ColumnBuilder(type)
        for _ in 0..<rows { b.append(value(type, &dice, distinct: distinct)) }
        let plain = b.finish()
        guard rows > 0, type == .string, Bool.random(using: &dice), case .strings(let s) = plain.data else { return plain }
        // Values in a dictionary need not be distinct nor all be used.
        let codes = ContiguousArray((0..<rows).map { _ in UInt32.random(in: 0..<UInt32(rows), using: &dice) })
        return Column(.string, .strings(StringColumn(codes: codes, values: s.values)))
    }

    static func texts(_ c: Column) -> [String] { (0..<c.count).map { text(c.value($0)) } }

    @Test("rows selected, rows that are none, and columns joined equal the cells one by one", arguments: types)
    func selection(type: ScalarType) throws {
        var dice = Dice(state: UInt64(type.rawValue.utf8.count) + 1)
        for rows in [0, 1, 63, 64, 65, 300] {
            let c = FastPathTests.column(type, rows: rows, &dice)
            let chosen = ContiguousArray((0..<(rows == 0 ? 0 : 130)).map { _ in Int32.random(in: 0..<Int32(rows), using: &dice) })
            #expect(FastPathTests.texts(c.gather(chosen)) == chosen.map { text(c.value(Int($0))) })
            let outer = chosen + [-1, -1]
            #expect(FastPathTests.texts(c.gather(outer)) == outer.map { $0 < 0 ? text(.missing(type)) : text(c.value(Int($0))) })
            let d = FastPathTests.column(type, rows: 70, &dice)
            let joined = try #require(Column.joined([c, d, c], type: type))
            #expect(FastPathTests.texts(joined) == FastPathTests.texts(c) + FastPathTests.texts(d) + FastPathTests.texts(c))
            let bits = Bitmap((0..<rows).map { _ in Bool.random(using: &dice) })
            #expect(Array(bits.indices) == (0..<rows).filter { bits[$0] }.map { Int32($0) })
        }
        #expect(FastPathTests.texts(Column.nulls(type, count: 67)) == Array(repeating: text(.missing(type)), count: 67))
        let one = FastPathTests.value(type, &dice, distinct: 30)
        #expect(FastPathTests.texts(Column(repeating: one, count: 66)) == Array(repeating: text(one), count: 66))
    }

    @Test("group ids are dense, equal for equal keys and lead back to them", arguments: types)
    func groups(type: ScalarType) throws {
        var dice = Dice(state: 99)
        var table = GroupTable(types: [type, .long, .string])
        var seen: [ByteKey: UInt32] = [:]
        for rows in [0, 1, 64, 500, 3, 2000] {
            let columns = [
                FastPathTests.column(type, rows: rows, &dice, distinct: 200), FastPathTests.column(.long, rows: rows, &dice, distinct: 9),
                FastPathTests.column(.string, rows: rows, &dice, distinct: 9),
            ]
            let unknown = table.find(columns)
            let known = seen
            let ids = try table.intern(columns)
            for i in 0..<rows {
                let whole = ByteKey(columns.map { key(of: $0.value(i)) }.joined(separator: "|"))
                let before = seen[whole]
                #expect(unknown[i] == known[whole].map { Int64($0) } ?? -1)
                if let before { #expect(ids[i] == before) } else { seen[whole] = ids[i] }
            }
            #expect(table.count == seen.count)
            let back = table.columns(ids)
            for i in 0..<rows { for c in 0..<3 { #expect(key(of: back[c].value(i)) == key(of: columns[c].value(i))) } }
        }
        #expect(Set(seen.values).count == seen.count && (seen.values.max() ?? 0) < UInt32(seen.count))
    }

    /// A text that is equal for values that group together: one zero, one NaN.
    private func key(of v: Value) -> String {
        if case .real(let d) = v { return d.isNaN ? "nan" : String(d == 0 ? 0 : d) }
        return text(v)
    }

    @Test("many keys: tables grow without losing any")
    func growth() throws {
        var words = IntTable()
        var bytes = ByteTable()
        for round in 0..<2 {
            for start in stride(from: 0, to: 200_000, by: 5_000) {
                let keys = ContiguousArray((start..<(start + 5_000)).map { UInt64($0) &* 0x10_0001 })
                #expect(words.intern(keys) == ContiguousArray((start..<(start + 5_000)).map { UInt32($0) }))
                if start % 20_000 == 0 {
                    var list = ByteStrings()
                    for i in start..<(start + 5_000) { list.append("key-\(i)") }
                    var out = ContiguousArray<UInt32>(repeating: 0, count: 5_000)
                    try out.withUnsafeMutableBufferPointer { try bytes.intern(list, try #require($0.baseAddress)) }
                    #expect(out[0] == UInt32(start / 4) && out[4_999] == UInt32(start / 4 + 4_999), "round \(round)")
                    #expect(bytes.find(list).map { UInt32($0) } == Array(out))
                }
            }
        }
        #expect(words.count == 200_000 && bytes.count == 50_000)
        #expect(words.find(UInt64(3)) == nil && words.find(ContiguousArray([0, 0x10_0001, 5])) == [0, 1, -1])
    }

    @Test("aggregates of groups equal those of each group's values alone", arguments: [ScalarType.int, .long, .timespan, .real, .bool])
    func aggregates(type: ScalarType) throws {
        var dice = Dice(state: 5)
        for name in ["count", "sum", "avg", "min", "max", "dcount", "count_distinct", "variance"] {
            if type == .bool, name == "variance" { continue }
            let f = try #require(AggregateRegistry.function(name))
            let rows = 700
            let groupCount = 7
            let c = FastPathTests.column(type, rows: rows, &dice)
            let groups = ContiguousArray((0..<rows).map { _ in UInt32.random(in: 0..<UInt32(groupCount), using: &dice) })
            let outputs: ScalarType =
                name.contains("count") ? .long : name == "avg" || name == "variance" ? .real : type == .bool ? .long : type
            let output = name == "avg" && type == .timespan ? .timespan : name == "sum" && type == .int ? .long : outputs
            let setup = AggregateSetup(
                name: name, argumentTypes: name == "count" ? [] : [type], constants: [nil], outputTypes: [output],
                limits: EvaluationLimits())
            func results(_ chosen: [(row: Int, group: UInt32)], groups n: Int, single: Bool, parts: Int) throws -> [String] {
                let state = try f.make(setup)
                state.resize(n)
                for p in 0..<parts {
                    let part = chosen.indices.filter { $0 % parts == p }.map { chosen[$0] }
                    let cells = c.gather(ContiguousArray(part.map { Int32($0.row) }))
                    try state.add(
                        name == "count" ? [] : [.column(cells)],
                        AggregateInput(
                            rows: part.count, groups: ContiguousArray(part.map(\.group)),
                            order: ContiguousArray(part.map { .ordinal($0.row) }),
                            isSingle: single))
                }
                try state.seal()
                let all = ContiguousArray((0..<n).map { UInt32($0) })
                return try FastPathTests.texts(#require(try state.finish(all).first))
            }
            let all = (0..<rows).map { (row: $0, group: groups[$0]) }
            let together = try results(all, groups: groupCount, single: false, parts: 1)
            #expect(try results(all.reversed(), groups: groupCount, single: false, parts: 3) == together, "\(name) in parts")
            for g in 0..<groupCount {
                let own = all.filter { $0.group == UInt32(g) }.map { (row: $0.row, group: UInt32(0)) }
                #expect(try results(own, groups: 1, single: true, parts: 2) == [together[g]], "\(name) of group \(g)")
            }
        }
    }

    @Test("sums of doubles are exact whatever the order, also where two doubles do not hold them")
    func sums() throws {
        var dice = Dice(state: 17)
        for _ in 0..<200 {
            let n = Int.random(in: 1..<60, using: &dice)
            let values = (0..<n).map { _ in
                Double.random(in: -1...1, using: &dice)
                    * Double(sign: .plus, exponent: Int.random(in: -300...300, using: &dice), significand: 1)
            }
            var exact = ExactSum()
            for v in values { exact.add(v) }
            for order in [values, values.reversed(), values.sorted(), values.shuffled(using: &dice)] {
                let f = try #require(AggregateRegistry.function("sum"))
                let s = try f.make(
                    AggregateSetup(name: "sum", argumentTypes: [.real], constants: [nil], outputTypes: [.real], limits: EvaluationLimits()))
                s.resize(1)
                try s.add(
                    [.column(Column(.real, .reals(ContiguousArray(order))))],
                    AggregateInput(rows: n, groups: ContiguousArray(repeating: 0, count: n), order: [], isSingle: true))
                #expect(try s.finish([0])[0].value(0) == .real(exact.value))
            }
        }
    }

    @Test("bins below zero, at the ends of the range and of unsorted values")
    func bins() {
        var dice = Dice(state: 3)
        for size in [Int64(1), 7, 36_000_000_000, .max] {
            let cells = ContiguousArray(
                (0..<500).map { _ in Int64.random(in: -40...40, using: &dice) &* (size / 3 &+ 1) } + [.min, .max, .min, 0, -1, .max, 1])
            let plain = cells.map { x in
                let rest = x % size
                return x &- (rest < 0 ? rest &+ size : rest)
            }
            #expect(Array(binned(cells, size)) == plain)
        }
    }

    @Test("bins aligned to a point, by column and one by one")
    func binsAt() throws {
        var dice = Dice(state: 5)
        for fixed in [Int64(0), 3, -1_000_003, .max, .min] {
            for size in [Int64(1), 7, 36_000_000_000, .max] {
                var cells = ContiguousArray((0..<300).map { _ in Int64.random(in: -40...40, using: &dice) &* (size / 7 &+ 1) })
                func plain() -> [Int64]? {
                    var out: [Int64] = []
                    for x in cells {
                        let (d, overflow) = x.subtractingReportingOverflow(fixed)
                        if overflow { return nil }
                        let rest = d % size
                        out.append(x &- (rest < 0 ? rest &+ size : rest))
                    }
                    return out
                }
                #expect(binned(cells, size, at: fixed, valid: nil, isTime: false).map(Array.init) == plain())
                cells.append(fixed < 0 ? .max : .min)
                if fixed != 0, fixed != 3 || size != 1 {
                    #expect(binned(cells, size, at: fixed, valid: nil, isTime: false).map(Array.init) == plain())
                }
            }
        }
        // Cells under nulls do not count; times before the first do.
        var valid = Bitmap(repeating: true, count: 2)
        #expect(binned([5, -5], 10, at: 0, valid: valid, isTime: true) == nil)
        valid[1] = false
        #expect(binned([5, -5], 10, at: 0, valid: valid, isTime: true)?.first == 0)
        #expect(binned([5, 15], 10, at: 4, valid: nil, isTime: true).map(Array.init) == [4, 14])
    }

    @Test("arrays that move to large pages keep what they hold")
    func largeArrays() {
        var small = ContiguousArray<Int64>()
        var mixed = ContiguousArray<Bool>()
        for n in [0, 1, 1000, 300_000, 300_001, 900_000, 3_000_000] {
            small.grow(to: n, Int64(n))
            mixed.grow(to: n, n % 2 == 1)
            #expect(small.count == n && mixed.count == n)
            if n > 0 { #expect(small[0] == 1 && small[n - 1] == Int64(n) && mixed[n - 1] == (n % 2 == 1)) }
            small.grow(to: n / 2, 7)
            #expect(small.count == n)
        }
        #expect(small[999] == 1000 && small[299_999] == 300_000 && small[300_000] == 300_001 && small[900_000] == 3_000_000)
        #expect(mixed[0] && !mixed[1] && mixed[300_000] && !mixed[900_000])
    }

    @Test("innerunique keeps the least left row of each key, whatever the order in which rows come")
    func innerUnique() throws {
        var dice = Dice(state: 17)
        let schema = TableSchema(name: "L", columns: [SchemaColumn("k", .long), SchemaColumn("v", .long)])
        let rows = (0..<4000).map { i in [Value.long(Int64.random(in: 0..<40, using: &dice)), .long(Int64(i))] }
        for arrangement in 0..<3 {
            // Ascending, descending and mixed orders: in the second every row takes the place of one before.
            let order: [Int]
            switch arrangement {
            case 0: order = Array(0..<rows.count)
            case 1: order = (0..<rows.count).reversed()
            default: order = (0..<rows.count).shuffled(using: &dice)
            }
            var tables = MemoryTables()
            tables.add(schema, rows: rows, keys: order.map { .ordinal($0) }, batchRows: 50)
            tables.add(
                TableSchema(name: "R", columns: [SchemaColumn("k", .long)]),
                rows: (0..<20).map { [.long(Int64($0 * 3))] } + [[.long(6)], [.null(.long)]])
            var runner = QueryRunner(tables: tables)
            runner.options = ExecutorOptions(batchRows: 16)
            var least: [Int64: Int] = [:]
            for (i, row) in rows.enumerated() {
                guard let k = row[0].integer, k % 3 == 0, k < 60 else { continue }
                if let known = least[k], order[known] < order[i] { continue }
                least[k] = i
            }
            let expected = least.flatMap { k, i in Array(repeating: "\(k)|\(i)", count: k == 6 ? 2 : 1) }.sorted()
            for heldBytes in [1 << 30, 1] {
                runner.limits.heldBytes = heldBytes
                #expect(try runner.rows("L | join R on k | project k, v").sorted() == expected)
            }
            runner.limits = EvaluationLimits(heldRows: 200)
            #expect(try runner.rows("L | join R on k | project k, v").sorted() == expected, "about as many rows are held as there are keys")
        }
    }

    private func sorted(_ rows: [String]) -> [ByteKey] { rows.map { ByteKey($0) }.sorted() }

    static func tables(rows: Int) -> MemoryTables {
        var dice = Dice(state: 23)
        var tables = MemoryTables()
        let schema = TableSchema(
            name: "T",
            columns: [
                SchemaColumn("k", .long), SchemaColumn("s", .string), SchemaColumn("t", .datetime), SchemaColumn("r", .real),
                SchemaColumn("d", .dynamic), SchemaColumn("b", .bool),
            ])
        func all(_ n: Int) -> [[Value]] {
            (0..<n).map { _ in schema.columns.map { FastPathTests.value($0.type, &dice, distinct: $0.type == .real ? 8 : 40) } }
        }
        tables.add(schema, rows: all(rows), batchRows: 37)
        tables.add(TableSchema(name: "U", columns: schema.columns), rows: all(rows / 3), batchRows: 11)
        return tables
    }

    static let queries = [
        "T | summarize n = count(), a = sum(k), b = min(t), c = max(s), e = avg(r) by s",
        "T | summarize count(), dcount(s), sum(r)",
        "T | where k > 3 | summarize n = count() by bin(t, 1d), s",
        "T | where k > 3 and s != 'a' | project k, s, t",
        "T | where s has 'a' | summarize by k, b",
        "T | summarize arg_max(t, k, s) by b",
        "T | summarize make_set(k), take_any(s) by b",
        "T | mv-expand d | summarize count() by tostring(d)",
        "T | parse s with 'x' n:long | summarize sum(n) by b",
        "T | extend z = k + 1 | where z > 2 | summarize countif(b), sumif(k, b) by s",
        "T | join kind=inner U on k | summarize n = count(), sum(k1) by s",
        "T | join kind=leftouter U on k, s | project k, s, k1, t1",
        "T | join kind=fullouter (U | where k > 5) on s | summarize count() by k, k1",
        "T | join kind=rightouter U on b | summarize count() by s1",
        "T | join U on k | project k, s, s1",
        "T | make-series n = count(), a = sum(r), l = make_list(s) on t step 1d by s",
        "T | where k between (-50 .. 50) | make-series n = count() default = -1, m = max(t) on k from -20 to 40 step 7 by b",
        "T | where k between (-50 .. 50) | make-series kind=nonempty n = count() on k from -20 to 40 step 7",
        "T | project k, x = bin_at(k, 7, 3), y = bin_at(t, 1d, datetime(2024-01-01 07:00)), z = bin_at(r, 0.5, 0.1)",
        "T | join kind=innerunique U on s | project k, s, k1",
        "T | join kind=innerunique (U | where b) on b | project k, s, k1",
        "T | join kind=leftanti U on s",
        "T | join kind=rightsemi U on k | summarize count() by s",
        "T | where k in ((U | project k)) | summarize count() by s | sort by s asc",
        "T | top 20 by t desc, k asc | project t, k, s",
        "T | sort by s asc, t desc | project s, t",
        "T | summarize percentile(r, 50), stdev(k) by b",
        "union T, U | summarize count() by k, s",
        "T | where k > 1000000 | summarize count()",
        "T | where k > 1000000 | summarize count() by s",
    ]

    @Test("threads, batches and keys do not show", arguments: queries)
    func threads(query: String) throws {
        for rows in [0, 1, 400] {
            let tables = FastPathTests.tables(rows: rows)
            var plain = QueryRunner(tables: tables)
            plain.options = ExecutorOptions(keys: true, batchRows: 7)
            let expected = try plain.rows(query)
            for threads in [1, 2, 5] {
                for shedding in [false, true] {
                    var runner = QueryRunner(tables: tables)
                    runner.options = ExecutorOptions(batchRows: 64, threads: threads, sheddingKeys: shedding)
                    let got = try runner.rows(query)
                    // Without keys, rows of several sources come in the sources' order.
                    let orders = shedding && (query.contains("join") || query.contains("union"))
                    #expect(
                        (orders ? sorted(got) : got.map { ByteKey($0) }) == (orders ? sorted(expected) : expected.map { ByteKey($0) }),
                        "\(threads) threads, \(rows) rows, shedding \(shedding)")
                }
            }
        }
    }

    static let manyGroups = [
        "T | summarize n = count(), a = sum(k), b = min(t), e = avg(r), f = max(r), g = min(b) by k, s, t",
        "T | summarize n = count(), a = sumif(k, b), c = countif(b), e = avgif(r, b), x = binary_all_xor(k) by t, k",
        "T | summarize by r, t", "T | summarize count() by s, t, b", "T | where k > 3 | summarize a = sum(r), m = max(t) by tostring(d), t",
        "T | summarize count(), c = sum(1) by t | summarize count() by count_",
        "T | join kind=inner U on k | summarize n = count(), sum(k1) by t, t1",
        "T | summarize max(s) by t, k", "T | summarize dcount(s) by t, k", "T | where k > 1000000 | summarize count() by s, k",
    ]

    @Test("groups divided by key are those of one table, in its order", arguments: manyGroups)
    func divided(query: String) throws {
        for rows in [0, 1, 40, 900] {
            let tables = FastPathTests.tables(rows: rows)
            var plain = QueryRunner(tables: tables)
            plain.options = ExecutorOptions(batchRows: 7, sheddingKeys: true)
            let expected = try plain.rows(query)
            for threads in [2, 3, 8] {
                for looks in [1, 50, 200, 2_000] {
                    // The least limit makes them try once more, with rows put aside.
                    for heldBytes in [1 << 30, 300_000, 1_000] {
                        var runner = QueryRunner(tables: tables)
                        runner.options = ExecutorOptions(batchRows: 64, threads: threads, sheddingKeys: true)
                        runner.options.looksAtRows = looks
                        runner.limits.heldBytes = heldBytes
                        let got = try runner.rows(query)
                        let isSame =
                            heldBytes == 1 << 30 ? got.map { ByteKey($0) } == expected.map { ByteKey($0) } : sorted(got) == sorted(expected)
                        #expect(isSame, "\(threads) threads, \(rows) rows, \(looks) looked at, \(heldBytes) bytes")
                    }
                }
            }
        }
    }

    @Test("divided groups keep to the limits")
    func dividedLimits() throws {
        var runner = QueryRunner(tables: FastPathTests.tables(rows: 900))
        runner.options = ExecutorOptions(batchRows: 64, threads: 2, sheddingKeys: true)
        runner.options.looksAtRows = 1
        runner.limits.heldRows = 100
        #expect(throws: EvaluationError.self) { try runner.rows("T | summarize count() by t, k") }
        runner.limits.heldRows = 20_000_000
        runner.limits.memoryBytes = 1_000
        #expect(throws: EvaluationError.self) { try runner.rows("T | summarize count() by t, k") }
    }
}
