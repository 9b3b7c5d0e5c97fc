import Columnar
import Glibc
import Rules
import Testing

@testable import Detection

/// Alerts against `docs/alert-schema.json`, which other programs rely on.
@Suite struct AlertJSONTests {
    let schema: Dynamic

    init() throws {
        let path = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/docs/alert-schema.json"
        let file = try #require(fopen(path, "r"), "\(path)")
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let n = fread(&bytes, 1, bytes.count, file)
        schema = try #require(JSONText.parse(String(decoding: bytes.prefix(n), as: UTF8.self)))
    }

    private func keys(_ d: Dynamic?) -> [String] { if case .object(let m)? = d { m.map(\.key) } else { [] } }
    private func strings(_ d: Dynamic?) -> [String] {
        guard case .array(let items)? = d else { return [] }
        return items.compactMap { if case .string(let s) = $0 { s } else { nil } }
    }

    @Test("every field of the schema, in its order, and nothing else") func fullAlert() {
        let json = StateCodecTests.alert(2, full: true).json
        #expect(keys(json) == keys(schema["properties"]))
        for part in ["window", "evidence"] {
            let object: Dynamic?
            if case .array(let items)? = json[part] { object = items.first } else { object = json[part] }
            #expect(keys(object) == keys(schema["$defs"]?[part]?["properties"]), "\(part)")
        }
    }

    @Test("what a bare alert leaves out is optional") func bareAlert() {
        let json = StateCodecTests.alert(2, full: false).json
        #expect(Set(keys(json)) == Set(strings(schema["required"])))
        #expect(json["rule_version"] == .null && json["custom_details"] == .object([]) && json["evidence"] == .array([]))
    }

    @Test func values() throws {
        let bench = try Bench([
            rule("Events | summarize n = count() by User", every: 5, over: 90) {
                $0.entityMappings = [mapping("Account", [("FullName", "User")])]
                $0.customDetails = [field("Count", "n")]
                $0.severity = .low
                $0.techniques = ["T1098.001"]
            }
        ])
        try bench.feed([Event(1, "eve@contoso.example"), Event(2, "eve@contoso.example")])
        bench.advance(to: 5)
        let alert = try #require(bench.alerts.values.first)
        let json = try #require(JSONText.parse(alert.jsonLine))
        #expect(!alert.jsonLine.contains("\n"))
        let expected: [(String, String)] = [
            ("id", "\"\(alert.id)\""), ("revision", "1"), ("status", "\"open\""), ("time", "\"2026-03-02T00:02:00.0000000Z\""),
            ("severity", "\"Low\""),
            ("techniques", "[\"T1098.001\"]"), ("entities", #"[{"type":"Account","Name":"eve","UPNSuffix":"contoso.example"}]"#),
            ("start_time", "\"2026-03-02T00:01:00.0000000Z\""), ("end_time", "\"2026-03-02T00:02:00.0000000Z\""),
            (
                "window",
                #"{"start":"2026-03-01T22:35:00.0000000Z","end":"2026-03-02T00:05:00.0000000Z","first_tick":"2026-03-02T00:05:00.0000000Z","last_tick":"2026-03-02T00:05:00.0000000Z","frequency":"00:05:00","period":"01:30:00"}"#
            ),
            ("window_complete", "true"), ("history_complete", "false"), ("result_count", "1"), ("event_count", "2"),
            ("custom_details", #"{"Count":["2"]}"#),
            (
                "evidence",
                #"[{"time":"2026-03-02T00:01:00.0000000Z","table":"Events","record_hash":"00000000000000070000000000000001","record":{"n":1}},{"time":"2026-03-02T00:02:00.0000000Z","table":"Events","record_hash":"00000000000000070000000000000002","record":{"n":2}}]"#
            ),
        ]
        for (name, text) in expected { #expect(json[name].map { JSONText.compact($0) } == text, "\(name)") }
    }

    @Test(
        "a record that is no JSON stays text; a lost one is null",
        arguments: [("not json", "\"not json\""), ("{\"a\":", "\"{\\\"a\\\":\""), (nil, "null")] as [(String?, String)])
    func records(_ c: (raw: String?, expected: String)) {
        #expect(Evidence(key: key(0), table: "T", raw: c.raw).json["record"].map { JSONText.compact($0) } == c.expected)
    }

    @Test(arguments: [(0, "0000000000000000"), (0xAB, "00000000000000ab"), (.max, "ffffffffffffffff")] as [(UInt64, String)])
    func hex(_ c: (value: UInt64, text: String)) { #expect(Evidence.hex(c.value) == c.text) }
}
