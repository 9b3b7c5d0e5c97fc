import Columnar
import Evaluation
import KQL
import Testing

/// Runs KQL text over tables in memory and gives rows as text, for tests of operators and aggregates.
struct QueryRunner {
    var tables = MemoryTables()
    var options = ExecutorOptions()
    var now: Int64 = KustoTime.unixEpoch
    var limits = EvaluationLimits()

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    func plan(_ query: String) throws -> Plan {
        let bound = KQLCompiler.bind(
            query, functions: FunctionRegistry.standard, schemas: tables, options: BinderOptions(fold: ConstantFolder.fold))
        guard let plan = bound.plan else { throw Failure(description: bound.diagnostics.map(\.message).joined(separator: "; ")) }
        return plan
    }

    func collect(_ query: String) throws -> (columns: [BoundColumn], batches: [Batch]) {
        try Executor(provider: tables, context: EvaluationContext(now: now, seed: 7, limits: limits), options: options).collect(plan(query))
    }

    /// Rows in order, cells joined by `|`; nulls as `null`.
    func rows(_ query: String) throws -> [String] {
        try collect(query).batches.flatMap { b in (0..<b.count).map { row in b.columns.map { text($0.value(row)) }.joined(separator: "|") }
        }
    }

    func names(_ query: String) throws -> [String] { try plan(query).columns.map(\.name) }
}

func text(_ v: Value) -> String {
    switch v {
    case .null: "null"
    case .bool(let b): String(b)
    case .int(let i): String(i)
    case .long(let i): String(i)
    case .real(let d): KustoNumber.real(d, wholeSuffix: false)
    case .decimal(let d): d.description
    case .string(let s): s
    case .datetime(let t): KustoTime.isoString(t)
    case .timespan(let t): KustoTime.timespanString(t)
    case .guid(let g): String(g, radix: 16)
    case .dynamic(let d): JSONText.compact(d)
    }
}

/// A query with its rows, in order unless `anyOrder`.
struct QueryCase: Sendable, CustomTestStringConvertible {
    let query: String
    let rows: [String]
    let anyOrder: Bool
    init(_ query: String, _ rows: [String], anyOrder: Bool = false) {
        self.query = query
        self.rows = rows
        self.anyOrder = anyOrder
    }
    var testDescription: String { query }
}

/// Checks a case with batches of 1, 7 and 2048 rows: boundaries must not show.
func check(_ c: QueryCase, tables: MemoryTables = MemoryTables()) throws {
    for size in [1, 7, 2048] {
        for keys in [true, false] {
            var runner = QueryRunner(tables: tables)
            runner.options.batchRows = size
            runner.options.keys = keys
            let got = try runner.rows(c.query)
            if c.anyOrder {
                #expect(got.sorted() == c.rows.sorted(), "batches of \(size), keys \(keys)")
            } else {
                #expect(got == c.rows, "batches of \(size), keys \(keys)")
            }
        }
    }
}
