import Columnar
import KQL
import Tables
import Testing

@Suite struct WorkspaceCatalogTests {
    let catalog = WorkspaceCatalog()

    @Test func everyTableOfTheCatalogue() throws {
        #expect(catalog.tableNames.count == 94)
        #expect(catalog.tableNames == catalog.tableNames.sorted())
        #expect(catalog.tableNames.reduce(0) { $0 + (catalog.table($1)?.columns.count ?? 0) } == 4095)
        for name in catalog.tableNames {
            let table = try #require(catalog.table(name))
            #expect(Set(table.columns.map(\.name)).count == table.columns.count, "\(name) repeats a column")
            #expect(table.columns.contains { $0.name == "TimeGenerated" && $0.type == .datetime }, "\(name) has no time")
            #expect(table.isOpen == (name == "AzureDiagnostics" || name.hasSuffix("_CL")))
            #expect(!table.isBlind)
        }
        #expect(catalog.table("Nope") == nil)
        #expect(catalog.table("azureactivity") == nil)
    }

    @Test func typesOfColumns() {
        #expect(catalog.type(of: "Properties_d", in: "AzureActivity") == .dynamic)
        #expect(catalog.type(of: "DeviceDetail", in: "SigninLogs") == .dynamic)
        #expect(catalog.type(of: "DeviceDetail", in: "AADNonInteractiveUserSignInLogs") == .string)
        #expect(catalog.type(of: "Nope", in: "AzureActivity") == nil)
        #expect(catalog.type(of: "anything_d", in: "AzureDiagnostics") == .real)
        #expect(catalog.type(of: "anything_g", in: "Mine_CL") == .guid)
        #expect(catalog.type(of: "anything", in: "Mine_CL") == .dynamic)
        #expect(catalog.type(of: "TimeGenerated", in: "Mine_CL") == .datetime)
        #expect(catalog.type(of: "_s", in: "Mine_CL") == .dynamic)
    }

    @Test func valueSemantics() {
        var mine = catalog
        mine.declare(TableSchema(name: "Mine_CL", columns: [SchemaColumn("x", .long)]))
        mine.declare(TableSchema(name: "AzureActivity", columns: [SchemaColumn("y", .long)]))
        #expect(mine.table("Mine_CL")?.isOpen == true)
        #expect(mine.tableNames.count == 95)
        #expect(mine.table("AzureActivity")?.columns.count == 1)
        #expect(catalog.table("Mine_CL") == nil)
        #expect((catalog.table("AzureActivity")?.columns.count ?? 0) > 30)
        let fed = mine.feeding(["Mine_CL"])
        #expect(fed.table("Mine_CL")?.isBlind == false)
        #expect(fed.table("SigninLogs")?.isBlind == true)
        #expect(fed.feeding(nil).table("SigninLogs")?.isBlind == false)
    }
}

@Suite struct SchemaInferenceTests {
    func infer(_ records: [String]) -> [String: ScalarType] {
        var inference = SchemaInference()
        for record in records { Array(record.utf8).withUnsafeBytes { inference.add(table: "x_CL", record: $0) } }
        return Dictionary(uniqueKeysWithValues: inference.schemas().first?.columns.map { ($0.name, $0.type) } ?? [])
    }

    @Test(arguments: [
        (["1", "2"], ScalarType.long), (["1", "2.5"], .real), (["null", "null"], .string), (["null", "true"], .bool),
        (["1", "\"a\""], .dynamic),
        (["\"2026-03-02T10:00:00Z\""], .datetime), (["\"2026-03-02T10:00:00Z\"", "\"later\""], .string), (["\"2026\""], .string),
        (["{\"a\":1}", "[1]"], .dynamic), (["true", "1"], .dynamic), (["9223372036854775808"], .real),
        (["\"\"", "\"2026-03-02T10:00:00Z\""], .string),
    ]) func widening(values: [String], type: ScalarType) {
        #expect(infer(values.map { "{\"k\":\($0)}" })["k"] == type)
    }

    @Test func shapeOfTheSchema() {
        var inference = SchemaInference()
        for record in ["{\"b\":1,\"a\":2}", "not json", "[1]", "{\"c\":true,\"\":1}"] {
            Array(record.utf8).withUnsafeBytes { inference.add(table: "x_CL", record: $0) }
        }
        #expect(inference.recordCount == 2)
        #expect(inference.schemas().first?.columns.map(\.name) == ["TimeGenerated", "Type", "b", "a", "c"])
        #expect(inference.schemas().first?.isOpen == true)
    }
}
