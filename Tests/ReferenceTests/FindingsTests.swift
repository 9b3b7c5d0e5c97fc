import Columnar
import Evaluation
import KQL
import Testing

/// What the random runs found, each by itself.
@Suite struct FindingsTests {
    private func rows(_ query: String, _ columns: [SchemaColumn], _ cells: [Column]) throws -> [String] {
        var tables = MemoryTables()
        tables.add(TableSchema(name: "T", columns: columns), batches: [Batch(columns: cells, count: cells.first?.count ?? 0)])
        let bound = KQLCompiler.bind(query, functions: FunctionRegistry.standard, schemas: tables)
        let plan = try #require(bound.plan, "\(bound.diagnostics)")
        let out = try Executor(provider: tables, context: EvaluationContext(now: 0)).collect(plan)
        return out.batches.flatMap { b in (0..<b.count).map { row in Shown.row(b.columns.map { $0.value(row) }) } }
    }

    @Test func emptyTextInJSONWithBlanks() throws {
        var b = ColumnBuilder(.dynamic)
        for text in ["\"\"", " \"\" ", "\n\"\"", "\"a\"", "{}", " [] ", "\" \""] { b.append(json: text) }
        let got = try rows("T | project x = isempty(d), y = isnotempty(d)", [SchemaColumn("d", .dynamic)], [b.finish()])
        #expect(got == ["true | false", "true | false", "true | false"] + Array(repeating: "false | true", count: 4))
    }
}
