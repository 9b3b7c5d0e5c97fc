import Columnar
import Evaluation
import KQL
import TestSupport

/// A table `T` to bind expressions against.
struct OneTable: SchemaCatalog {
    static let columns: [SchemaColumn] = [
        SchemaColumn("s", .string), SchemaColumn("u", .string), SchemaColumn("n", .long), SchemaColumn("i", .int), SchemaColumn("r", .real),
        SchemaColumn("b", .bool), SchemaColumn("t", .datetime), SchemaColumn("d", .dynamic), SchemaColumn("p", .timespan),
        SchemaColumn("g", .guid), SchemaColumn("m", .decimal),
    ]
    var tableNames: [String] { ["T"] }
    func table(_ name: String) -> TableSchema? { name == "T" ? TableSchema(name: "T", columns: OneTable.columns) : nil }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
}

let testContext = EvaluationContext(now: KustoTime.unixEpoch + 1_700_000_000 * KustoTime.ticksPerSecond, seed: 7)

/// The bound expression of `T | project x = TEXT`, with the columns below it.
func boundExpression(_ text: String) throws -> (expr: BoundExpr, input: [BoundColumn]) {
    let query = KQLCompiler.bind(
        "T | project x = " + text, functions: FunctionRegistry.standard, schemas: OneTable(),
        options: BinderOptions(fold: ConstantFolder.fold))
    guard let plan = query.plan, case .project(let input, let exprs) = plan.kind, let expr = exprs.first else {
        throw TestFailure(description: "\(text): \(query.diagnostics.map(\.message))")
    }
    return (expr, input.columns)
}

/// The value of an expression without columns. With `fold` false the binder computes nothing beforehand.
func evaluateConstant(_ text: String, fold: Bool = true) throws -> Value {
    let options = fold ? BinderOptions(fold: ConstantFolder.fold) : BinderOptions()
    let query = KQLCompiler.bind("print x = " + text, functions: FunctionRegistry.standard, schemas: OneTable(), options: options)
    guard let plan = query.plan, case .print(let exprs) = plan.kind, let expr = exprs.first else {
        throw TestFailure(description: "\(text): \(query.diagnostics.map(\.message))")
    }
    let compiled = try CompiledExpression(expr, input: [], subqueries: NoSubqueries())
    return try compiled.evaluate(Batch(columns: [], count: 1), testContext).materialized(rows: 1).value(0)
}

/// A value as tests write it: text quoted nowhere, null as `null`.
func show(_ value: Value) -> String {
    switch value {
    case .null: "null"
    case .bool(let b): b ? "true" : "false"
    case .int(let v): String(v)
    case .long(let v): String(v)
    case .real(let v): KustoNumber.real(v, wholeSuffix: true)
    case .decimal(let v): v.description
    case .string(let s): s
    case .datetime(let t): KustoTime.isoString(t)
    case .timespan(let t): KustoTime.timespanString(t)
    case .guid(let g): String(g, radix: 16)
    case .dynamic(let d): JSONText.compact(d)
    }
}

/// A small generator with a fixed sequence.
struct TestRandom: SeededGenerator {
    var state: UInt64
}

enum Layout { case plain, dictionary }

/// Rows of `T` with nulls, empty strings, non-ASCII text, JSON of all kinds and extreme numbers.
func randomRows(_ count: Int, seed: UInt64) -> [[Value]] {
    var g = TestRandom(state: seed)
    let texts = [
        "", " ", "alpha", "Alpha beta", "beta.gamma", "ÉCOLE", "école normale", "a_b-c", "192.168.1.7", "10.0.0.1/8",
        "https://a.example/x?y=1",
        "{\"k\":1}", "12", "-7.5", "true", "2024-05-06T07:08:09Z", "naïve Straße", "日本語 text", "x\\y\"z", "aaa",
    ]
    let jsons = [
        "{\"k\":\"alpha\",\"n\":5}", "{\"k\":null,\"n\":7.5}", "[1,2,\"x\"]", "[]", "{}", "\"alpha\"", "12", "1.50", "true",
        "{ \"k\" : { \"in\" : [ {\"z\":\"ü\"} ] } }",
        "{\"k\":1,\"k\":2}", "{\"a\\u0062\":\"esc\\\"aped\"}", "[[1],[2,3]]",
    ]
    func maybe(_ v: Value) -> Value { g.next() % 5 == 0 ? .missing(v.type) : v }
    return (0..<count).map { _ in
        let json = jsons[Int(g.next() % UInt64(jsons.count))]
        return [
            .string(texts[Int(g.next() % UInt64(texts.count))]), .string(texts[Int(g.next() % UInt64(texts.count))]),
            maybe(.long([0, 1, -1, 7, 42, Int64.max, Int64.min, 1_700_000_000][Int(g.next() % 8)])),
            maybe(.int([0, 3, -3, Int32.max, Int32.min][Int(g.next() % 5)])),
            maybe(.real([0, 1.5, -2.25, 1e300, .nan, .infinity, 7][Int(g.next() % 7)])), maybe(.bool(g.next() % 2 == 0)),
            maybe(.datetime(KustoTime.unixEpoch + Int64(g.next() % 2_000_000_000) * 10_000_001)),
            maybe(JSONText.parse(json).map(Value.dynamic) ?? .null(.dynamic)),
            maybe(.timespan(Int64(g.next() % 1_000_000_000_000) - 500_000_000_000)),
            maybe(.guid(UInt128(g.next()))), maybe(.decimal(Decimal128(Int64(g.next() % 1000) - 500))),
        ]
    }
}

/// The rows as columns in one of the two layouts of text.
func batch(_ rows: [[Value]], layout: Layout) -> Batch {
    var columns: [Column] = []
    for (i, c) in OneTable.columns.enumerated() {
        var builder = ColumnBuilder(c.type)
        for row in rows { builder.append(row[i]) }
        let column = builder.finish()
        guard layout == .dictionary else {
            columns.append(column)
            continue
        }
        switch column.data {
        case .strings(let s): columns.append(Column(.string, .strings(coded(s))))
        case .dynamics(let s): columns.append(Column(.dynamic, .dynamics(coded(s)), validity: column.validity))
        default: columns.append(column)
        }
    }
    return Batch(columns: columns, count: rows.count)
}

private func coded(_ s: StringColumn) -> StringColumn {
    var values = ByteStrings()
    // An unused and a repeated value: both are allowed.
    values.append("\"unused\"")
    var codes = ContiguousArray<UInt32>()
    var known: [String: UInt32] = [:]
    for row in 0..<s.count {
        let text = s[row]
        if let code = known[text], row % 7 != 0 {
            codes.append(code)
        } else {
            known[text] = UInt32(values.count)
            codes.append(UInt32(values.count))
            values.append(text)
        }
    }
    return StringColumn(codes: codes, values: values)
}
