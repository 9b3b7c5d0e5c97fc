import Columnar
import Evaluation
import Glibc
import Ingest
import KQL
import Tables
import Testing

@testable import Pipeline

/// What a hunt reads: all rows in any number of threads, no file twice, no file that cannot hold what is asked for.
@Suite struct HuntTests {
    /// A folder that is removed with its files.
    private final class Folder {
        let path: String
        private var files: [String] = []
        init() {
            var name = Array("/tmp/vedette-hunt-test-XXXXXX".utf8CString)
            _ = mkdtemp(&name)
            path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        func add(_ name: String, _ lines: [String]) -> HuntInput {
            let file = path + "/" + name
            var at = path
            for part in name.split(separator: "/").dropLast() {
                at += "/" + part
                mkdir(at, 0o700)
            }
            let text = lines.joined(separator: "\n") + "\n"
            if let f = fopen(file, "wb") {
                fputs(text, f)
                fclose(f)
            }
            files.append(file)
            return HuntInput(file: InputFile(path: file, size: UInt64(text.utf8.count)), table: nil)
        }
        deinit { system("rm -r \(path)") }
    }

    private static func record(_ i: Int, hour: Int, name: String, extra: String = "", time: Bool = true) -> String {
        let minute = i % 60 < 10 ? "0\(i % 60)" : "\(i % 60)"
        let clock = time ? "\"eventTime\":\"2026-03-02T\(hour < 10 ? "0" : "")\(hour):\(minute):00Z\"," : ""
        return
            "{\"eventVersion\":\"1.11\",\(clock)\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"\(name)\",\"awsRegion\":\"eu-west-1\","
            + "\"sourceIPAddress\":\"198.18.0.\(i % 200)\",\"userIdentity\":{\"arn\":\"arn:user/u\(i % 7)\"}\(extra),\"eventID\":\"id-\(i)\"}"
    }

    private static func run(_ query: String, _ inputs: [HuntInput], threads: Int) throws -> (rows: [String], figures: HuntFigures) {
        let catalog = WorkspaceCatalog()
        let options = BinderOptions(fold: { ConstantFolder.fold(name: $0, args: $1) })
        let bound = Binder(functions: FunctionRegistry.standard, schemas: catalog, options: options).bind(SyntaxTree.parse(query))
        let plan = try #require(bound.plan)
        let tables = HuntTables(inputs: inputs, catalog: catalog, threads: threads)
        let pruned = PlanRewriter.prune(plan)
        tables.expect(pruned, keyed: PlanOrder.readsKeys(pruned))
        let now = try #require(KustoTime.ticks(year: 2026, month: 3, day: 3))
        let executor = Executor(
            provider: tables, context: EvaluationContext(now: now),
            options: ExecutorOptions(stableTake: false, threads: threads, sheddingKeys: true))
        var rows: [String] = []
        try executor.run(plan) { b in
            for r in 0..<b.count { rows.append(b.columns.map { "\($0.value(r))" }.joined(separator: "|")) }
            return true
        }
        return (rows, tables.figures)
    }

    private static func sample(_ folder: Folder) -> [HuntInput] {
        (0..<6).map { f in
            folder.add(
                "part-\(f).json",
                (0..<300).map { i in
                    switch i % 50 {
                    case 7: record(i, hour: f, name: "DeleteTrail")
                    case 8: record(i, hour: f, name: "Delete\\u0054rail")
                    case 9: record(i, hour: f, name: "deletetrail")
                    case 10: record(i, hour: f, name: "DeleteTrail", time: false)
                    case 11: "{ not JSON DeleteTrail"
                    default: record(i, hour: f, name: ["PutObject", "GetObject"][i % 2], extra: i % 3 == 0 ? ",\"note\":\"a\\\\b\"" : "")
                    }
                })
        }
    }

    static let queries = [
        "AWSCloudTrail | where EventName == 'DeleteTrail' | project TimeGenerated, EventName, AwsEventId",
        "AWSCloudTrail | where EventName has 'deletetrail' | summarize count() by bin(TimeGenerated, 1h)",
        "AWSCloudTrail | where EventName in ('DeleteTrail', 'NoSuchEvent') | count",
        "AWSCloudTrail | where EventName =~ 'DELETETRAIL' | count",
        "AWSCloudTrail | where EventName startswith 'Del' and SourceIpAddress == '198.18.0.7' | project AwsEventId",
        "AWSCloudTrail | summarize count() by UserIdentityArn, bin(TimeGenerated, 1h)", "AWSCloudTrail | project AwsEventId",
        "AWSCloudTrail | where EventName == 'DeleteTrail' | join kind=inner (AWSCloudTrail | where EventName has 'GetObject') on UserIdentityArn | count",
        "AWSCloudTrail | where EventName != 'DeleteTrail' | count",
        "AWSCloudTrail | summarize arg_max(TimeGenerated, AwsEventId) by EventName",
        "AWSCloudTrail | where UserIdentityArn contains 'user/u3' | top 5 by TimeGenerated desc, AwsEventId asc | project AwsEventId",
    ]

    /// The same conditions in a form that no text search serves.
    private static func plain(_ query: String) -> String {
        query.replacing(
            "where ", with: "where strlen(EventName) >= 0 and 1 == 1 | where tostring(strcat(EventName, '')) != '' | extend z = 1 | where ")
    }

    @Test("threads, files read at once and text searches do not show", arguments: queries)
    func sameRows(query: String) throws {
        let folder = Folder()
        let inputs = HuntTests.sample(folder)
        let expected = try HuntTests.run(HuntTests.plain(query), inputs, threads: 1)
        #expect(!expected.rows.isEmpty)
        for threads in [1, 2, 5] {
            let got = try HuntTests.run(query, inputs, threads: threads)
            #expect(got.rows == expected.rows, "\(threads) threads")
            #expect(got.figures.records == expected.figures.records && got.figures.files == 6)
        }
    }

    @Test("a hunt that has enough ends, whatever still reads")
    func earlyEnd() throws {
        let folder = Folder()
        let inputs = (0..<8).map { f in folder.add("f\(f).json", (0..<2000).map { HuntTests.record($0, hour: f, name: "GetObject") }) }
        for threads in [1, 2, 8] {
            let got = try HuntTests.run("AWSCloudTrail | take 3 | project AwsEventId", inputs, threads: threads)
            #expect(got.rows == ["string(\"id-0\")", "string(\"id-1\")", "string(\"id-2\")"])
            let none = try HuntTests.run("AWSCloudTrail | take 0", inputs, threads: threads)
            #expect(none.rows.isEmpty && none.figures.files == 0)
        }
    }

    @Test("a file that cannot be read is a problem, not an end")
    func problems() throws {
        let folder = Folder()
        var inputs = [folder.add("a.json", [HuntTests.record(1, hour: 1, name: "A")])]
        inputs.append(HuntInput(file: InputFile(path: folder.path + "/none.json", size: 0), table: nil))
        inputs.append(folder.add("b.json", [HuntTests.record(2, hour: 1, name: "B")]))
        for threads in [1, 3] {
            let got = try HuntTests.run("AWSCloudTrail | project EventName", inputs, threads: threads)
            #expect(got.rows == ["string(\"A\")", "string(\"B\")"])
            #expect(got.figures.problems.count == 1)
        }
    }

    @Test("files whose names say that all records are too old are left alone")
    func oldFiles() throws {
        let folder = Folder()
        let old = "1_CloudTrail_eu-west-1_20260302T0105Z_x.json"
        let inputs = [
            folder.add(old, [HuntTests.record(1, hour: 1, name: "Old")]),
            folder.add("y=2026/m=03/d=02/h=02/m=00/PT1H.json", [HuntTests.record(2, hour: 2, name: "Older")]),
            folder.add("1_CloudTrail_eu-west-1_20260302T2305Z_x.json", [HuntTests.record(3, hour: 23, name: "New")]),
            folder.add("plain.json", [HuntTests.record(4, hour: 3, name: "Plain"), HuntTests.record(5, hour: 22, name: "Late")]),
        ]
        for (query, names, skipped) in [
            ("AWSCloudTrail | where TimeGenerated > ago(6h) | project EventName", ["New", "Late"], 2),
            (
                "AWSCloudTrail | where TimeGenerated between (datetime(2026-03-02 20:00) .. datetime(2026-03-03)) | project EventName",
                ["New", "Late"], 2
            ),
            ("AWSCloudTrail | where datetime(2026-03-02 02:30) <= TimeGenerated | project EventName", ["New", "Plain", "Late"], 1),
            ("AWSCloudTrail | where TimeGenerated < datetime(2026-03-02 02:30) | project EventName", ["Old", "Older"], 0),
            ("AWSCloudTrail | where TimeGenerated > ago(6h) or EventName == 'Old' | project EventName", ["Old", "New", "Late"], 0),
            (
                "union (AWSCloudTrail | where TimeGenerated > ago(6h)), (AWSCloudTrail | where EventName == 'Old') | project EventName",
                ["New", "Late", "Old"], 0
            ),
        ] {
            let got = try HuntTests.run(query, inputs, threads: 2)
            #expect(got.rows == names.map { "string(\"\($0)\")" }, "\(query)")
            #expect(got.figures.skippedFiles == skipped, "\(query)")
        }
    }

    @Test(
        "the time that a name tells",
        arguments: [
            ("a/y=2026/m=03/d=02/h=14/m=00/PT1H.json", "2026-03-02T15:00:00.0000000Z"),
            ("1_CloudTrail_eu-west-1_20260302T1405Z_abc.json.gz", "2026-03-02T14:06:00.0000000Z"), ("y=2026/m=13/d=02/h=14/x", nil),
            ("y=2026/m=02/d=30/h=14/x", nil), ("1_CloudTrail_eu_2026-03-02.gz", nil), ("20260302T1405Z.gz", nil), ("", nil),
            ("y=2026/m=03/d=02", nil), ("1_CloudTrail__99999999T9999Z_", nil),
        ] as [(String, String?)])
    func names(path: String, time: String?) { #expect(HuntTimes.arrival(path: path).map(KustoTime.isoString) == time) }

    @Test(
        "the part of a text that a record must hold",
        arguments: [
            ("DeleteTrail", false, "DeleteTrail"), ("arn:aws:iam::role/x-y", false, "role"), ("12345", false, nil), ("1e5", false, nil),
            ("ab", true, nil),
            ("naïveté-login", true, nil), ("naïveté-login", false, "login"), ("a\"quoted word", false, "quoted"), ("", false, nil),
            ("eee", false, nil),
        ] as [(String, Bool, String?)])
    func needles(text: String, ignoresCase: Bool, expected: String?) {
        #expect(HuntNeedles.needle(text, ignoresCase: ignoresCase)?.bytes == expected.map { Array($0.utf8) })
    }
}
