import CKernels
import Columnar
import KQL
import Testing

@testable import Tables

/// The small parts of the record loop, alone.
@Suite struct PartsTests {
    func withText<R>(_ s: String, _ body: (Text) -> R) -> R {
        Array(s.utf8 + [0]).withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { body(Text($0, buffer.count - 1)) } ?? body(FlowTuple.empty)
        }
    }

    @Test(arguments: [
        ("{}", "{}"), (#"{"a":1}"#, #"{"a":1}"#), (#"{ "a" : 1 , "b" : [ ] }"#, #"{"a":1,"b":[]}"#),
        (#"{"a b": "c  d"}"#, #"{"a b":"c  d"}"#),
        (#"{"a": "x\" y", "b": "\\"}"#, #"{"a":"x\" y","b":"\\"}"#), ("[1,\n\t2,\r\n 3]", "[1,2,3]"),
        (#"["\\\\" , "\\\" "]"#, #"["\\\\","\\\" "]"#),
    ]) func compaction(source: String, expected: String) {
        var scratch = Scratch(capacity: 4)
        defer { scratch.free() }
        #expect(withText(source) { compactJSON($0, &scratch).string } == expected)
    }

    @Test(arguments: [
        ("/subscriptions/S/resourceGroups/G/providers/P/t/n", ["S", "G", "P", "t/n", "n"]),
        ("/SUBSCRIPTIONS/S/RESOURCEGROUPS/G", ["S", "G", "", "", "G"]), ("/subscriptions/S", ["S", "", "", "", "S"]),
        ("", ["", "", "", "", ""]),
        ("/subscriptions/S/resourcegroups/G/providers/A/t/n/providers/B/u/m", ["S", "G", "B", "u/m", "m"]),
        ("/providers/Microsoft.Management/managementGroups/mg", ["", "", "Microsoft.Management", "managementGroups/mg", "mg"]),
        ("/tenants/T/providers/Microsoft.aadiam", ["", "", "Microsoft.aadiam", "", "Microsoft.aadiam"]),
        ("//subscriptions//S/", ["S", "", "", "", "S"]),
        ("plain", ["", "", "", "", "plain"]), ("/subscriptions/", ["", "", "", "", "subscriptions"]),
    ]) func resourceIDs(id: String, parts: [String]) {
        withText(id) { text in
            let p = ResourceParts(text)
            #expect([ResourceParts.Part.subscription, .group, .provider, .typed, .name].map { p[$0, of: text].string } == parts)
        }
    }

    @Test(arguments: [
        ("10.1.2.3", true), ("172.15.0.1", false), ("172.16.0.1", true), ("172.32.0.1", false), ("192.168.1.1", true),
        ("192.169.1.1", false),
        ("100.64.0.1", true), ("100.128.0.1", false), ("169.254.1.1", true), ("8.8.8.8", false), ("fe80::1", true), ("fd00::1", true),
        ("2001:db8::1", false), ("::1", true), ("", true), ("host", true), ("99999999999999999999.1.1.1", false),
    ]) func privateAddresses(address: String, expected: Bool) {
        #expect(withText(address) { isPrivateAddress($0) } == expected)
    }

    @Test func byteMap() {
        let entries = (0..<500).map { ("Key\($0)", Int32($0)) } + [("key7", 1007)]
        let map = ByteMap(entries)
        defer { map.free() }
        for i in 0..<500 { #expect(withText("kEY\(i)") { map.find($0) } == (i == 7 ? 1007 : Int32(i))) }
        #expect(withText("key500") { map.find($0) } == -1)
        #expect(withText("") { map.find($0) } == -1)
        #expect(withText(String(repeating: "k", count: 200)) { map.find($0) } == -1)
    }

    @Test func arrayElements() {
        func elements(_ s: String) -> [String] {
            withText(s) { text in
                var out: [String] = []
                var e = ArrayElements(text)
                while let next = e.next() { out.append(next.string) }
                return out
            }
        }
        #expect(elements("[]") == [])
        #expect(elements(#"[1, "a,]\"" ,{"x":[1,2]}, [3,4] ]"#).map { $0.trimmingBlanks } == ["1", #""a,]\"""#, #"{"x":[1,2]}"#, "[3,4]"])
    }

    @Test func flattenedNames() {
        #expect(
            AzureResourceForms.flattened("http://schemas.microsoft.com/identity/claims/objectidentifier")
                == "http_schemas_microsoft_com_identity_claims_objectidentifier")
        #expect(AzureResourceForms.flattenedPaths("a_b") == [["properties", "a_b"], ["properties", "a", "b"], ["a_b"], ["a", "b"]])
        #expect(AzureResourceForms.flattenedPaths("x").first == ["properties", "x"])
        #expect(AzureResourceForms.flattenedPaths(String(repeating: "a_", count: 40) + "b").count == 64)
        #expect(AzureResourceForms.flattenedPaths("__").allSatisfy { !$0.contains("") })
        #expect(AzureResourceForms.flattenedPaths("identity_claim_appid") == [["identity", "claim", "appid"]])
    }

    /// A column that a mapping names but the table does not have is a typing error.
    @Test func mappingsNameRealColumns() {
        let catalog = WorkspaceCatalog()
        let named: [(String, [String])] = [
            ("AzureActivity", Array(AzureActivityForms.common.keys)), ("AWSCloudTrail", Array(AWSForms.trailColumns.keys)),
            ("AWSGuardDuty", Array(AWSForms.guardDutyColumns.keys)), ("OfficeActivity", Array(OfficeForms.columns.keys)),
            ("GCPAuditLogs", Array(GCPForms.columns.keys)), ("AKSAudit", Array(AzureResourceForms.aksColumns.keys)),
            ("StorageFileLogs", Array(AzureResourceForms.storageColumns.keys)), ("SigninLogs", Array(EntraForms.top.keys)),
        ]
        // Shared dictionaries may name columns of other tables of their family.
        let shared: Set<String> = ["AadTenantId"]
        for (table, columns) in named {
            let known = Set(catalog.table(table)?.columns.map(\.name) ?? [])
            #expect(Set(columns).subtracting(known).subtracting(shared) == [], "\(table)")
        }
        for shape in ShapeRegistry.named.map(\.1) + ShapeRegistry.byCategory.map(\.shape) {
            for mapping in shape.mappings { #expect(catalog.table(mapping.table) != nil, "\(shape.name): \(mapping.table)") }
        }
    }

    /// Records with random damage never do more than become dead letters or rows of the right width.
    @Test(arguments: [1, 2, 3, 4]) func damagedRecords(seed: UInt64) {
        var state = seed
        func random(_ n: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(max(1, n)))
        }
        let catalog = WorkspaceCatalog()
        let tables = [
            "AzureActivity", "AWSCloudTrail", "AzureNetworkAnalytics_CL", "NTANetAnalytics", "SigninLogs", "AKSAudit", "AzureDiagnostics",
        ]
        let needs = Dictionary(uniqueKeysWithValues: tables.map { t in (t, Set(catalog.table(t)?.columns.map(\.name) ?? [])) })
        let normalizer = Normalizer(catalog: catalog, needs: needs)
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: "x")
        let good = [
            Native.activity(), Native.trail(), FlowLogTests.nsg, EntraTests.audit,
            Native.vault(claims: #""a":"b""#, properties: #"{"x":1}"#),
            Native.activity(properties: JSONText.compact(.string(#"{"eventCategory":"Policy"}"#))),
        ].map { Array($0.utf8) }
        let spice = Array(#"{}[]",:\/0e-ntf "#.utf8) + [0, 0x80, 0xFF, 0x0A]
        for _ in 0..<300 {
            var record = good[random(good.count)]
            for _ in 0...random(4) {
                let at = random(record.count)
                switch random(4) {
                case 0: record.remove(at: at)
                case 1: record.insert(spice[random(spice.count)], at: at)
                case 2: record[at] = spice[random(spice.count)]
                default: record.removeSubrange(at..<min(record.count, at + random(60)))
                }
                if record.isEmpty { record = [0x7B] }
            }
            let length = record.count
            record += [UInt8](repeating: spice[random(spice.count)], count: 64)
            var dead = 0
            record.withUnsafeBytes { all in
                let chunk = UnsafeRawBufferPointer(rebasing: all[..<length])
                session.normalize(chunk: chunk, records: [RecordSlice(offset: 0, length: length)], stream: &stream) { _, _ in dead += 1 }
                for batch in session.finish() {
                    #expect(batch.batch.columns.allSatisfy { $0.count == batch.count })
                    #expect(batch.keyed(in: chunk).keys?.count == batch.count)
                }
            }
            #expect(dead <= 1)
        }
    }
}

extension String {
    var trimmingBlanks: String {
        var s = Substring(self)
        while s.last == " " { s.removeLast() }
        return String(s)
    }
}
