import Columnar
import Evaluation
import KQL

/// Whole queries over small tables: whatever is bound runs to its end or to an `EvaluationError`, and how it is run does not show.
enum QueryFuzzer {
    static let columns: [SchemaColumn] = [
        SchemaColumn("s", .string), SchemaColumn("n", .long), SchemaColumn("i", .int), SchemaColumn("r", .real), SchemaColumn("b", .bool),
        SchemaColumn("t", .datetime), SchemaColumn("d", .dynamic), SchemaColumn("p", .timespan), SchemaColumn("g", .guid),
        SchemaColumn("m", .decimal),
    ]

    /// `T` has all types, `U` shares some of its values.
    static let tables: MemoryTables = {
        var tables = MemoryTables()
        var state: UInt64 = 1
        func bytes(_ n: Int) -> [UInt8] {
            (0..<n).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 33)
            }
        }
        for (name, count) in [("T", 40), ("U", 15)] {
            var rows: [[Value]] = []
            for _ in 0..<count {
                let row = columns.map { c in
                    bytes(64).withUnsafeBytes { raw in
                        var b = FuzzBytes(raw)
                        return ValueFuzzer.value(c.type, &b)
                    }
                }
                rows.append(row)
            }
            tables.add(TableSchema(name: name, columns: columns), rows: rows, batchRows: 9)
        }
        return tables
    }()

    static func run(_ source: String) throws(FuzzFinding) {
        var options = BinderOptions(fold: ConstantFolder.fold)
        // Plans that anybody would write, so that a run takes no longer than the fuzzer waits.
        options.operatorLimit = 300
        options.levelLimit = 200
        let bound = KQLCompiler.bind(source, functions: FunctionRegistry.standard, schemas: tables, options: options)
        guard let plan = bound.plan else { return }
        let plain = execute(plan, ExecutorOptions(), heldBytes: 1 << 30)
        let cut = execute(plan, ExecutorOptions(batchRows: 3, threads: 2), heldBytes: 1 << 30)
        let spilt = execute(plan, ExecutorOptions(batchRows: 7), heldBytes: 1 << 12)
        // Which order rows come in after spilling is open, unless the query says.
        let bags = [("small batches and threads", plain, cut), ("spilling", plain?.sorted(), spilt?.sorted())]
        for (name, plain, other) in bags {
            if let plain, let other, plain != other {
                let at = zip(plain, other).first { $0 != $1 }
                throw FuzzFinding("\(name) show: \(plain.count) and \(other.count) rows, first \(at.map { "\($0)" } ?? "missing")")
            }
        }
    }

    /// The rows as text; nil where a limit was reached or an expression failed.
    private static func execute(_ plan: Plan, _ options: ExecutorOptions, heldBytes: Int) -> [String]? {
        let limits = EvaluationLimits(heldRows: 20_000, resultRows: 20_000, heldBytes: heldBytes)
        let context = EvaluationContext(now: KustoTime.unixEpoch + 17_000_000_000_000_000, seed: 7, limits: limits)
        guard let out = try? Executor(provider: tables, context: context, options: options).collect(plan) else { return nil }
        return out.batches.flatMap { b in
            (0..<b.count).map { row in b.columns.map { FunctionFuzzer.shown($0.value(row)) }.joined(separator: "|") }
        }
    }
}
