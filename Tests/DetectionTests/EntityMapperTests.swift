import Columnar
import Rules
import Testing

@testable import Detection

@Suite struct EntityMapperTests {
    static func texts(_ mappings: [AnalyticsRule.EntityMapping], _ table: ResultTable, arrays: [String] = []) -> [[String]] {
        let mapper = EntityMapper(
            rule {
                $0.entityMappings = mappings
                $0.sentinelEntityColumns = arrays
            }, columns: table.columns)
        return (0..<table.batch.count).map { row in
            mapper.entities(table.batch, row: row).map { e in
                e.type + " " + e.identifiers.map { "\($0.key)=\(CellText.text(.dynamic($0.value)))" }.joined(separator: ",")
            }
        }
    }

    @Test(
        "compatibility names are taken apart",
        arguments: [
            ("Account", "eve@contoso.example", "Account Name=eve,UPNSuffix=contoso.example"),
            ("Account", "a@b@contoso.example", "Account Name=a@b,UPNSuffix=contoso.example"),
            ("Account", "CORP\\eve", "Account Name=eve,NTDomain=CORP"), ("Account", "eve", "Account Name=eve"),
            ("Account", "@contoso.example", "Account UPNSuffix=contoso.example"), ("Account", "eve@", "Account Name=eve"),
            ("Host", "web1.corp.example", "Host HostName=web1,DnsDomain=corp.example"), ("Host", "web1", "Host HostName=web1"),
            ("Host", "web1.", "Host HostName=web1"), ("IP", "10.0.0.1", "IP FullName=10.0.0.1"),
        ])
    func fullName(_ c: (type: String, text: String, expected: String)) {
        #expect(EntityMapperTests.texts([mapping(c.type, [("FullName", "C")])], ResultTable(["C"], [[c.text]])) == [[c.expected]])
    }

    @Test(
        "names that identify nobody give no account",
        arguments: ["SYSTEM", "system", "Administrator", "NT AUTHORITY\\SYSTEM", "root@localhost"])
    func generic(_ name: String) {
        let table = ResultTable(["C"], [[name]])
        #expect(EntityMapperTests.texts([mapping("Account", [("FullName", "C")])], table) == [[]])
        // Elsewhere they are values like others.
        #expect(EntityMapperTests.texts([mapping("Host", [("HostName", "C")])], table) == [["Host HostName=\(name)"]])
    }

    @Test("several mappings of one type, empty cells, missing columns") func severalMappings() {
        let table = ResultTable(["A", "B", "C"], [["1.1.1.1", "2.2.2.2", "eve"], ["", "2.2.2.2", ""], ["", "", ""]])
        let mappings = [
            mapping("IP", [("Address", "A")]), mapping("IP", [("Address", "B")]),
            mapping("Account", [("Name", "C"), ("UPNSuffix", "Missing")]), mapping("Host", [("HostName", "Gone")]),
        ]
        #expect(
            EntityMapperTests.texts(mappings, table) == [
                ["IP Address=1.1.1.1", "IP Address=2.2.2.2", "Account Name=eve"], ["IP Address=2.2.2.2"], [],
            ])
    }

    @Test("cells of every type as text") func cellTypes() {
        let time = at(60)
        let cells: [(ScalarType, Value, String)] = [
            (.long, .long(-5), "-5"), (.int, .int(7), "7"), (.bool, .bool(true), "true"), (.real, .real(1.5), "1.5"),
            (.datetime, .datetime(time), "2026-03-02T01:00:00.0000000Z"), (.timespan, .timespan(minute), "00:01:00"),
            (.guid, .guid(0xAB), "00000000-0000-0000-0000-0000000000ab"), (.dynamic, .dynamic(.string("x")), "x"),
            (.dynamic, .dynamic(.array([.long(1), .string("a")])), "[1,\"a\"]"),
        ]
        for (type, value, text) in cells {
            let table = ResultTable([("C", type)], [[value], [.missing(type)]])
            #expect(EntityMapperTests.texts([mapping("URL", [("Url", "C")])], table) == [["URL Url=\(text)"], []], "\(type)")
        }
    }

    @Test("a long value stays whole") func longValue() {
        let long = String(repeating: "\u{e9}", count: 100_000)
        #expect(EntityMapperTests.texts([mapping("URL", [("Url", "C")])], ResultTable(["C"], [[long]])) == [["URL Url=\(long)"]])
    }

    @Test("columns with whole entities")
    func wholeEntities() {
        let text =
            #"[{"$id":"1","Type":"account","Name":"eve"},{"type":"ip","Address":"1.1.1.1"},{"Name":"x"},{"Type":"","Name":"y"},7,null]"#
        let expected = ["account $id=1,Name=eve", "ip Address=1.1.1.1", "Unknown Name=x", "Unknown Name=y"]
        #expect(
            EntityMapperTests.texts([], ResultTable(["E"], [[text], ["no json"], ["{}"], [""]]), arrays: ["E"]) == [expected, [], [], []])
        let dynamic = JSONText.parse(text).map { Value.dynamic($0) } ?? .null(.dynamic)
        #expect(
            EntityMapperTests.texts([], ResultTable([("E", .dynamic)], [[dynamic], [.null(.dynamic)]]), arrays: ["E", "Gone"]) == [
                expected, [],
            ])
    }

    @Test("without mappings the legacy columns count; with mappings they do not") func legacy() {
        let table = ResultTable(
            ["AccountCustomEntity", "HostCustomEntity", "IPCustomEntity", "URLCustomEntity"],
            [["eve@a.example", "h.b.example", "1.1.1.1", ""]])
        #expect(
            EntityMapperTests.texts([], table)
                == [["Account Name=eve,UPNSuffix=a.example", "Host HostName=h,DnsDomain=b.example", "IP Address=1.1.1.1"]])
        #expect(EntityMapperTests.texts([mapping("IP", [("Address", "IPCustomEntity")])], table) == [["IP Address=1.1.1.1"]])
    }
}
