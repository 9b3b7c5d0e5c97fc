import Columnar
import KQL
import Tables
import Testing

/// Rows in Log Analytics form, forced tables and unknown JSON.
@Suite struct RowFormTests {
    @Test func rowsThatNameTheirTable() throws {
        let record =
            #"{"Type":"SigninLogs","TimeGenerated":"2026-03-02T10:00:00.0000000Z","UserPrincipalName":"eve@contoso.example","ResultType":"0","DeviceDetail":"{\"os\":\"x\"}","Status":{"errorCode":0},"AuthenticationDetails":[{"a": 1}],"TenantId":"ws","IsInteractive":"true","userPrincipalName":"other","DurationMs":"12"}"#
        let row = try #require(rows(of: "SigninLogs", from: [record]).first)
        #expect(
            mismatches(
                row,
                [
                    "UserPrincipalName": "eve@contoso.example", "TenantId": "ws", "AuthenticationDetails": #"[{"a":1}]"#,
                    "Type": "SigninLogs",
                ])
                == [])
        #expect(row["DeviceDetail"] == json(#"{"os":"x"}"#))
        #expect(row["Status"] == json(#"{"errorCode":0}"#))
        #expect(row["IsInteractive"] == .bool(true))
        #expect(row["DurationMs"] == .long(12))
    }

    @Test func activityRowsAreNotTakenForNativeRecords() throws {
        let record =
            #"{"TimeGenerated":"2026-03-02T10:00:00Z","OperationNameValue":"A/B","Category":"Administrative","ResourceId":"/subscriptions/s","ActivityStatusValue":"Succeeded","Properties":"{\"a\":1}","Caller":"eve"}"#
        let forced = try #require(rows(of: "AzureActivity", from: [record], forced: "AzureActivity").first)
        #expect(
            mismatches(forced, ["ActivityStatusValue": "Succeeded", "Caller": "eve", "Properties": #"{"a":1}"#, "Type": "AzureActivity"])
                == [])
        #expect(rows(of: "AzureActivity", from: [record]).isEmpty)
    }

    @Test func forcedTable() throws {
        // A native record that fills the table is mapped; what does not fill it is a row as it stands.
        let native = rows(of: "AWSCloudTrail", from: [Native.trail()], forced: "AWSCloudTrail")
        #expect(native.first?["EventName"] == .string("ConsoleLogin"))
        let plain = rows(
            of: "Syslog", from: [#"{"time":"2026-03-02T10:00:00Z","SyslogMessage":"m","ProcessID":"7"}"#, Native.trail()], forced: "Syslog")
        #expect(plain.count == 2)
        #expect(plain.first?["SyslogMessage"] == .string("m"))
        #expect(plain.first?["TimeGenerated"] == time("2026-03-02T10:00:00Z"))
    }

    @Test func unknownJSON() throws {
        let records = [
            #"{"ts":1772445600,"user":"a","n":1,"ok":true,"o":{"k":[1, 2]},"t":"2026-03-02T10:00:00Z","x y":"blank"}"#,
            #"{"ts":1772445660.5,"user":"b","n":"2","ok":"yes","o":"text","t":"soon"}"#,
        ]
        var inference = SchemaInference()
        Array(records[0].utf8).withUnsafeBytes { inference.add(table: "my_app_CL", record: $0) }
        var catalog = WorkspaceCatalog()
        for schema in inference.schemas() { catalog.declare(schema) }
        let all = rows(of: "my_app_CL", from: records, catalog: catalog, path: "/var/log/my-app.json.gz")
        #expect(all.count == 2)
        #expect(all[0]["TimeGenerated"] == time("2026-03-02T10:00:00Z"))
        #expect(all[1]["TimeGenerated"] == time("2026-03-02T10:01:00.5Z"))
        #expect(mismatches(all[0], ["user": "a", "x y": "blank", "Type": "my_app_CL"]) == [])
        #expect(all[0]["o"] == json(#"{"k":[1,2]}"#))
        #expect(all[1]["o"] == .dynamic(.string("text")))
        #expect(all[1]["n"] == .long(2))
        #expect(all[1]["ok"] == .null(.bool))
        #expect(all[1]["t"] == .null(.datetime))
    }

    @Test func conflictsAreCounted() {
        let catalog = WorkspaceCatalog().declaring(
            TableSchema(name: "a_CL", columns: [SchemaColumn("n", .long), SchemaColumn("s", .string)]))
        let normalizer = Normalizer(catalog: catalog, needs: ["a_CL": ["n", "s"]])
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: "a.json")
        let batches = session.rows(of: [#"{"n":"x","s":1}"#, #"{"n":tru}"#, #"{"n":null}"#, #"{"n":""}"#, #"{"n":1.0}"#], &stream)
        // A malformed scalar, a null and an empty string are no values, so no conflicts.
        #expect(batches.first?.conflicts == [1, 0])
        #expect(
            batches.first.map { batch in (0..<5).map { batch.batch.columns[0].value($0) } } == [
                .null(.long), .null(.long), .null(.long), .null(.long), .long(1),
            ])
    }

    @Test(arguments: [
        ("/a/b/app.json.gz", "app_CL"), ("app-2026.03.jsonl", "app_2026_03_CL"), ("-", "stdin_CL"), ("2026.log", "T2026_CL"),
        ("x_CL.json", "x_CL"),
        (".json", "_json_CL"), ("", "stdin_CL"), ("über.txt", "_ber_CL"),
    ]) func customTableNames(path: String, name: String) {
        #expect(Normalizer.customTable(path: path) == name)
    }

    @Test func recognition() {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: [:])
        let stream = normalizer.stream(path: "logs/app.json")
        func tables(_ record: String) -> [String] { normalizer.recognize(record, stream: stream).tables }
        #expect(tables(Native.activity()) == ["AzureActivity"])
        #expect(tables(Native.vault(claims: "", properties: "{}")) == ["AzureDiagnostics", "AZKVAuditLogs"])
        #expect(tables(FlowLogTests.nsg) == ["AzureNetworkAnalytics_CL"])
        #expect(normalizer.recognize(#"{"Type":"Heartbeat"}"#, stream: stream) == .row(table: "Heartbeat"))
        #expect(normalizer.recognize(#"{"Type":"Some_CL"}"#, stream: stream) == .row(table: "Some_CL"))
        #expect(normalizer.recognize(#"{"Type":"Whatever"}"#, stream: stream) == .custom(table: "app_CL"))
        #expect(normalizer.recognize(#"{"a":1"#, stream: stream) == .unreadable(RecordProblem.unbalanced))
        let forced = normalizer.stream(path: "x", table: "Mine_CL")
        #expect(normalizer.recognize(#"{"a":1}"#, stream: forced) == .row(table: "Mine_CL"))
    }

    /// Look-alikes that must not be taken for a native form.
    @Test(arguments: [
        #"{"category":"Administrative","message":"x"}"#, #"{"category":"SignInLogs"}"#,
        #"{"time":"2026-03-02T10:00:00Z","category":"food"}"#,
        #"{"eventSource":"a","eventVersion":"1"}"#, #"{"Workload":"x","RecordType":1}"#, #"{"detail-type":"EC2 State-change","detail":{}}"#,
        #"{"createdDateTime":"2026-03-02T10:00:00Z"}"#, #"{"arn":"arn:aws:s3:::b"}"#, #"{"protoPayload":{"@type":"x"}}"#, "{}",
        #"{"Type":"Event","what":"else"}"#, #"{"Type":7}"#,
    ]) func lookAlikes(record: String) {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: [:])
        #expect(normalizer.recognize(record, stream: normalizer.stream(path: "a.json")) == .custom(table: "a_CL"))
    }
}
