import Columnar
import Evaluation
import Glibc
import KQL
import ReferenceEvaluator
import Testing

/// The engine against the reference evaluator: random queries over random tables, run in every way that the engine knows.
///
/// `VEDETTE_PROPERTY_CASES=N` raises the number of cases, `VEDETTE_PROPERTY_SEED=S` sets the first seed; a failing case prints its own.
@Suite struct ReferenceTests {
    static func setting(_ name: String, _ standard: Int) -> Int { getenv(name).flatMap { Int(String(cString: $0)) } ?? standard }

    @Test func engineEqualsReference() throws {
        let cases = ReferenceTests.setting("VEDETTE_PROPERTY_CASES", 150)
        let first = ReferenceTests.setting("VEDETTE_PROPERTY_SEED", 1)
        var (compared, refused, gaps) = (0, 0, [String: Int]())
        var failures = 0
        for seed in first..<(first + cases) {
            var dice = Dice(seed: UInt64(seed))
            let data = RandomTables(&dice)
            var generator = QueryGenerator(dice)
            let (query, isOrdered) = generator.query()
            dice = generator.dice
            switch run(query, isOrdered: isOrdered, data, &dice) {
            case .same: compared += 1
            case .refused(let why):
                refused += 1
                if setting("VEDETTE_PROPERTY_VERBOSE") { print("seed \(seed) refused: \(why)\n\(query)") }
            case .gap(let why): gaps[why, default: 0] += 1
            case .differs(let how):
                failures += 1
                Issue.record("seed \(seed), \(data.rows["T"]?.count ?? 0) rows:\n\(query)\n\(how)")
                if failures == 10 { return }
            }
        }
        print("reference: \(compared) queries compared from seed \(first), \(refused) refused by the binder, gaps \(gaps)")
        #expect(compared * 10 >= cases * 8, "too few of the queries say something")
    }

    private func setting(_ name: String) -> Bool { getenv(name) != nil }

    private enum Outcome {
        case same
        case refused(String)
        case gap(String)
        case differs(String)
    }

    private func run(_ query: String, isOrdered: Bool, _ data: RandomTables, _ dice: inout Dice) -> Outcome {
        let tables = data.tables(&dice)
        let bound = KQLCompiler.bind(
            query, functions: FunctionRegistry.standard, schemas: tables,
            options: dice.chance(2) ? BinderOptions(fold: ConstantFolder.fold) : BinderOptions())
        guard let plan = bound.plan else { return .refused(bound.diagnostics.map(\.message).joined(separator: "; ")) }
        let now = KustoTime.unixEpoch + 17_000_000_000_000_000
        let expected: [String]
        do {
            let reference = ReferenceEvaluator(
                tables: data.rows.mapValues { (columns: RandomTables.columns, rows: $0) }, now: now)
            expected = try reference.run(plan).rows.map(Shown.row)
        } catch { return .gap("\(error)") }

        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var divided = ExecutorOptions(batchRows: dice.pick([5, 100]), threads: dice.pick([2, 3]), sheddingKeys: true)
        divided.looksAtRows = dice.pick([1, 20])
        let ways: [(String, ExecutorOptions, Int)] = [
            ("as it is", ExecutorOptions(), 1 << 30),
            ("in small batches on two threads", ExecutorOptions(batchRows: dice.pick([1, 7, 64, 100]), threads: 2), 1 << 30),
            ("spilling", ExecutorOptions(batchRows: 50), 1 << 11),
            ("without keys", ExecutorOptions(keys: false, stableTake: false), 1 << 30),
            ("with lineage", ExecutorOptions(lineage: true), 1 << 30),
            ("shedding keys", ExecutorOptions(threads: 2, sheddingKeys: true), 1 << 30),
            ("groups divided", divided, dice.pick([1 << 30, 1 << 12])),
        ]
        for (name, options, heldBytes) in ways {
            let limits = EvaluationLimits(heldBytes: heldBytes, temporaryFolder: folder)
            let executor = Executor(provider: tables, context: EvaluationContext(now: now, seed: 7, limits: limits), options: options)
            let got: [String]
            do {
                got = try executor.collect(plan).batches.flatMap { b in
                    (0..<b.count).map { row in Shown.row(b.columns.map { $0.value(row) }) }
                }
            } catch { return .differs("\(name): fails with \(error)") }
            let (a, b) = isOrdered ? (expected, got) : (expected.sorted(), got.sorted())
            if a == b { continue }
            let at = zip(a, b).enumerated().first { $0.element.0 != $0.element.1 }
            let first = at.map { "row \($0.offset): expected \($0.element.0)\n            got \($0.element.1)" } ?? ""
            return .differs("\(name), \(isOrdered ? "in order" : "as a bag"): \(a.count) rows expected, \(b.count) given; \(first)")
        }
        return .same
    }
}

/// Values as text that is equal for results that count as equal: one zero, one NaN.
enum Shown {
    static func row(_ values: [Value]) -> String { values.map(value).joined(separator: " | ") }

    static func value(_ v: Value) -> String {
        switch v {
        case .null: "null"
        case .real(let d): d.isNaN ? "nan" : d == 0 ? "0.0" : "\(d)"
        case .dynamic(let d): JSONText.compact(d)
        case .string(let s): "'\(s)'"
        case .datetime(let t): KustoTime.isoString(t)
        case .timespan(let t): KustoTime.timespanString(t)
        case .bool(let b): "\(b)"
        case .int(let i): "\(i)"
        case .long(let i): "\(i)"
        case .decimal(let d): d.description
        case .guid(let g): String(g, radix: 16)
        }
    }
}
