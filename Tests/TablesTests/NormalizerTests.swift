import Columnar
import KQL
import Tables
import Testing

extension NormalizerSession {
    /// Normalises records laid one after another in a chunk, and finishes.
    func rows(of records: [String], _ stream: inout StreamState) -> [TableBatch] {
        var bytes: [UInt8] = []
        var slices: [RecordSlice] = []
        for record in records {
            slices.append(RecordSlice(offset: bytes.count, length: record.utf8.count))
            bytes += Array(record.utf8) + [0x0A]
        }
        let length = bytes.count
        bytes += [UInt8](repeating: 0, count: 64)
        return bytes.withUnsafeBytes {
            normalize(chunk: UnsafeRawBufferPointer(rebasing: $0[..<length]), records: slices, stream: &stream) { _, _ in }
            return finish()
        }
    }
}

@Suite struct NormalizerTests {
    /// Every form in one stream, so that each record mispredicts the next.
    static let mixed: [String] = {
        var out: [String] = []
        for i in 0..<40 {
            out.append(Native.activity(operation: "OP/\(i % 7)/ACTION", time: "2026-03-02T10:00:\(10 + i).5Z"))
            out.append(Native.trail(#","x":\#(i)"#, name: "Event\(i)"))
            out.append(EntraTests.signIn("SignInLogs", result: "\(i)"))
            out.append(EntraTests.audit)
            out.append(
                #"{"Type":"AzureActivity","TimeGenerated":"2026-03-02T12:00:00Z","OperationNameValue":"row\#(i)","Caller":"c\\\#(i)"}"#)
            out.append(FlowLogTests.nsg)
            out.append(#"{"unknown":\#(i)}"#)
            out.append(Native.activity(properties: JSONText.compact(.string(#"{"eventCategory":"Policy","message":"\#(i)"}"#))))
        }
        return out
    }()

    static let needs: [String: Set<String>] = [
        "AzureActivity": ["TimeGenerated", "OperationNameValue", "Caller", "Properties", "CategoryValue", "EventDataId"],
        "AWSCloudTrail": ["EventName", "TimeGenerated", "ReadOnly"], "SigninLogs": ["ResultType", "DeviceDetail", "TimeGenerated"],
        "AzureNetworkAnalytics_CL": ["DestPort_d", "NSGRule_s"], "mixed_CL": ["unknown", "TimeGenerated"],
    ]

    /// All rows as text with their keys, by table.
    static func dump(_ records: [String], cuts: [Int], warm: Bool = false) -> [String: [String]] {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: needs)
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: "mixed.json")
        if warm {
            var other = normalizer.stream(path: "other.json")
            _ = session.rows(of: [FlowLogTests.nsg, Native.trail()], &other)
        }
        var out: [String: [String]] = [:]
        var from = 0
        for cut in cuts + [records.count] where cut > from {
            var bytes: [UInt8] = []
            var slices: [RecordSlice] = []
            for record in records[from..<cut] {
                slices.append(RecordSlice(offset: bytes.count, length: record.utf8.count))
                bytes += Array(record.utf8) + [0x0A]
            }
            from = cut
            let length = bytes.count
            bytes += [UInt8](repeating: 0x7B, count: 64)
            bytes.withUnsafeBytes { all in
                let chunk = UnsafeRawBufferPointer(rebasing: all[..<length])
                session.normalize(chunk: chunk, records: slices, stream: &stream) { i, p in out["dead", default: []].append("\(i) \(p)") }
                for batch in session.finish() {
                    let keyed = batch.keyed(in: chunk)
                    for row in 0..<batch.count {
                        let cells = keyed.columns.map { "\($0.value(row))" }.joined(separator: "|")
                        out[batch.name, default: []].append("\(keyed.keys.map { "\($0[row])" } ?? "-") \(cells)")
                    }
                }
            }
        }
        return out
    }

    @Test(arguments: [1, 2, 3, 7, 64]) func resultsDoNotDependOnTheCut(size: Int) {
        let whole = Self.dump(Self.mixed, cuts: [])
        #expect(whole["AzureActivity"]?.count == 120)
        #expect(whole["AzureNetworkAnalytics_CL"]?.count == 160)
        #expect(whole["mixed_CL"]?.count == 40)
        #expect(whole["dead"] == nil)
        let cut = Self.dump(Self.mixed, cuts: Array(stride(from: size, to: Self.mixed.count, by: size)), warm: true)
        #expect(cut == whole)
    }

    @Test func predictionIsOnlyAHint() {
        let alone = Self.mixed[..<8].map { Self.dump([$0], cuts: []) }
        for (i, record) in Self.mixed[..<8].enumerated() {
            for before in Self.mixed[..<8] {
                let both = Self.dump([before, record], cuts: [1])
                for (table, lines) in alone[i] where table != "mixed_CL" { #expect(Array(both[table]?.suffix(lines.count) ?? []) == lines) }
            }
        }
    }

    @Test func unreadableRecordsDoNotStopTheOthers() {
        let deep = String(repeating: "{\"a\":", count: 10_000) + "1" + String(repeating: "}", count: 10_000)
        let bad: [(String, String)] = [
            ("", "empty record"), ("   ", "empty record"), (#"{"a":1"#, "brackets that do not balance"), ("[1,2]", "not a JSON object"),
            (#"{"a":"x"#, "a string that does not close"), ("nonsense", "not JSON"), (#"{"a":1} x"#, "bytes behind the JSON value"),
            (deep, "nested too deeply"), (#"{"a" 1}"#, "not JSON"), ("\"text\"", "not a JSON object"),
        ]
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: ["AzureActivity": ["OperationNameValue"]])
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: "a")
        let records = bad.flatMap { [$0.0, Native.activity()] }
        var bytes: [UInt8] = []
        var slices: [RecordSlice] = []
        for record in records {
            slices.append(RecordSlice(offset: bytes.count, length: record.utf8.count))
            bytes += Array(record.utf8) + [0x0A]
        }
        slices.append(RecordSlice(offset: bytes.count, length: 5))
        slices.append(RecordSlice(offset: -1, length: 1))
        let length = bytes.count
        bytes += [UInt8](repeating: 0, count: 64)
        var dead: [(Int, String)] = []
        bytes.withUnsafeBytes { all in
            session.normalize(chunk: UnsafeRawBufferPointer(rebasing: all[..<length]), records: slices, stream: &stream) {
                dead.append(($0, $1.reason))
            }
        }
        #expect(session.recordTimes.count == slices.count)
        #expect(dead.prefix(bad.count).map(\.0) == bad.indices.map { $0 * 2 })
        // The reader may find another fault first; empty, deep and non-objects have one only.
        for i in [0, 1, 3, 7, 9] { #expect(dead[i].1 == bad[i].1, "\(bad[i].0.prefix(20))") }
        #expect(dead.count == bad.count + 2)
        #expect(session.finish().first?.count == bad.count)
        #expect(session.takeCounts().deadLetters == bad.count + 2)
    }

    @Test func badUTF8IsADeadLetter() {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: [:])
        let session = normalizer.makeSession()
        var bytes = Array(#"{"a":"x"}"#.utf8)
        bytes[6] = 0xFF
        #expect(bytes.withUnsafeBytes { session.recognize($0, stream: normalizer.stream(path: nil)) }.tables.isEmpty)
    }

    @Test func recordsWithoutTime() throws {
        let records = [
            #"{"k":0}"#, #"{"k":1,"time":"2026-03-02T10:00:00Z"}"#, #"{"k":2}"#, #"{"k":3,"time":"soon"}"#,
            #"{"k":4,"time":"2026-03-02T09:00:00Z"}"#,
            #"{"k":5,"time":null}"#,
        ]
        let catalog = WorkspaceCatalog().declaring(TableSchema(name: "t_CL", columns: [SchemaColumn("k", .long)]))
        let normalizer = Normalizer(catalog: catalog, needs: ["t_CL": ["TimeGenerated", "k"]])
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: "t.json")
        let batch = try #require(session.rows(of: records, &stream).first)
        let ten = KustoTime.parseISO("2026-03-02T10:00:00Z") ?? 0, nine = KustoTime.parseISO("2026-03-02T09:00:00Z") ?? 0
        #expect(Array(batch.times) == [0, ten, ten, ten, nine, nine])
        #expect(batch.batch.columns[0].value(0) == .null(.datetime))
        #expect(batch.inheritedTimes?.indices == [2, 3, 5])
        #expect(stream.inheritedTimes == 4)
        // The state goes on into the next chunk.
        let next = try #require(session.rows(of: [#"{"k":6}"#], &stream).first)
        #expect(Array(next.times) == [nine])
    }

    @Test func lastDuplicateKeyWinsAndMalformedScalarsAreNull() throws {
        let record = Native.trail(#","readOnly":true,"managementEvent":tru,"errorCode":01"#)
        let row = try #require(rows(of: "AWSCloudTrail", from: [record]).first)
        #expect(row["ReadOnly"] == .bool(true))
        #expect(row["ManagementEvent"] == .null(.bool))
        #expect(row["ErrorCode"] == .string(""))
    }

    @Test func countsKnowEveryTable() {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: ["AWSCloudTrail": ["EventName"]])
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: "a.json")
        _ = session.rows(of: Self.mixed + ["oops", #"{"Type":"Other_CL"}"#], &stream)
        let counts = session.takeCounts()
        #expect(
            counts.records == [
                "AzureActivity": 120, "AWSCloudTrail": 40, "SigninLogs": 40, "AuditLogs": 40, "AzureNetworkAnalytics_CL": 40,
                "(other _CL tables)": 1,
            ])
        #expect(counts.unrecognized == 40)
        #expect(counts.deadLetters == 1)
        #expect(session.takeCounts().records.isEmpty)
        #expect(stream.unrecognized == 40)
        #expect(stream.recognized == 281)
    }

    @Test func keysFollowTheBytes() throws {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: ["AWSCloudTrail": []])
        func keys(_ records: [String]) -> [RowKey] {
            Array(TableRows.make(fromJSON: records, normalizer: normalizer).batches["AWSCloudTrail"]?.keys ?? [])
        }
        let one = try #require(keys([Native.trail()]).first)
        let more = keys(["{}", Native.trail(), Native.trail(), Native.trail(name: "X")])
        #expect(more[0] == one && more[1] == one)
        #expect(more[2] != one)
        #expect(one.time == KustoTime.parseISO("2026-03-02T10:00:00Z"))
        #expect(one.path == 0)
    }

    @Test func columnsKeepTheGivenOrderAndType() throws {
        let table = NormalizedTable(
            name: "AWSCloudTrail", columns: [SchemaColumn("UserAgent", .string), SchemaColumn("EventName", .dynamic)])
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: [table])
        let batch = try #require(TableRows.make(fromJSON: [Native.trail()], normalizer: normalizer).batches["AWSCloudTrail"])
        #expect(batch.columns.map(\.type) == [.string, .dynamic])
        #expect(batch.columns[1].value(0) == .dynamic(.string("ConsoleLogin")))
    }

    @Test func dynamicRecords() {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: ["AWSCloudTrail": ["EventName"]])
        let records = [JSONText.parse(Native.trail()), JSONText.parse(#"{"a":1}"#)].compactMap { $0 }
        let made = TableRows.make(from: records, normalizer: normalizer)
        #expect(made.batches["AWSCloudTrail"]?.count == 1)
        #expect(made.unrecognized == 1)
        // The second record has no time of its own and takes over the first one's.
        let ten = KustoTime.parseISO("2026-03-02T10:00:00Z") ?? 0
        #expect(made.times == [ten, ten])
    }
}

@Suite struct ValueTests {
    static let columns: [SchemaColumn] = ScalarType.allCases.map { SchemaColumn("\($0.rawValue)_", $0) } + [SchemaColumn("v", .string)]

    /// The value of key `v` read as each type.
    func convert(_ text: String) -> [ScalarType: Value] {
        var out: [ScalarType: Value] = [:]
        for type in ScalarType.allCases {
            let normalizer = Normalizer(
                catalog: WorkspaceCatalog(), needs: [NormalizedTable(name: "v_CL", columns: [SchemaColumn("v", type)])])
            out[type] = TableRows.make(fromJSON: ["{\"v\":\(text)}"], normalizer: normalizer, path: "v.json").batches["v_CL"]?.columns[0]
                .value(0)
        }
        return out
    }

    @Test func conversions() {
        let seven = convert("7")
        #expect(seven[.long] == .long(7) && seven[.int] == .int(7) && seven[.real] == .real(7) && seven[.string] == .string("7"))
        #expect(seven[.bool] == .bool(true) && seven[.dynamic] == .dynamic(.long(7)) && seven[.guid] == .null(.guid))
        #expect(seven[.decimal] == .decimal(Decimal128(7)))
        let text = convert(#"" +7.9 ""#)
        #expect(text[.long] == .long(7) && text[.real] == .real(7.9) && text[.bool] == .null(.bool) && text[.string] == .string(" +7.9 "))
        let big = convert("99999999999")
        #expect(big[.int] == .null(.int) && big[.long] == .long(99_999_999_999))
        let huge = convert("1e300")
        #expect(huge[.long] == .null(.long) && huge[.real] == .real(1e300))
        let yes = convert(#""True""#)
        #expect(yes[.bool] == .bool(true) && yes[.long] == .null(.long) && yes[.dynamic] == .dynamic(.string("True")))
        let span = convert(#""1.02:03:04.5""#)
        #expect(span[.timespan] == .timespan(937_845_000_000))
        let null = convert("null")
        for type in ScalarType.allCases { #expect(null[type] == .missing(type)) }
        let object = convert(#"{ "a" : "x \" y" , "b":[ 1 , 2 ] }"#)
        #expect(object[.string] == .string(#"{"a":"x \" y","b":[1,2]}"#))
        #expect(object[.long] == .null(.long))
        let escaped = convert(#""a\u00e9\n\ud83d\ude00""#)
        #expect(escaped[.string] == .string("aé\n😀") && escaped[.dynamic] == .dynamic(.string("aé\n😀")))
        let guid = convert(#""{0F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0}""#)
        #expect(guid[.guid] == .guid(0x0f1e_2d3c_4b5a_6978_8796_a5b4_c3d2_e1f0))
    }

    @Test(arguments: [
        (#""2026-03-02T10:00:00.1234567Z""#, "2026-03-02T10:00:00.1234567Z"),
        (#""2026-03-02T10:00:00.123456789Z""#, "2026-03-02T10:00:00.1234567Z"),
        (#""2026-03-02T10:00:00+00:00""#, "2026-03-02T10:00:00Z"), (#""2026-03-02T10:00:00.5+02:00""#, "2026-03-02T08:00:00.5Z"),
        (#""2026-03-02T10:00:00""#, "2026-03-02T10:00:00Z"), (#""2026-03-02 10:00:00.25""#, "2026-03-02T10:00:00.25Z"),
        (#""2026-03-02""#, "2026-03-02T00:00:00Z"), ("1772445600", "2026-03-02T10:00:00Z"), ("1772445600123", "2026-03-02T10:00:00.123Z"),
        ("1772445600.5", "2026-03-02T10:00:00.5Z"), (#""1772445600123""#, "2026-03-02T10:00:00.123Z"),
        ("1772445600123456", "2026-03-02T10:00:00.123456Z"),
        (#""/Date(1772445600123)/""#, "2026-03-02T10:00:00.123Z"), (#""\/Date(1772445600000)\/""#, "2026-03-02T10:00:00Z"),
        (#""3/2/2026 1:02:03 PM""#, "2026-03-02T13:02:03Z"), (#""3/2/2026 12:02 AM""#, "2026-03-02T00:02:00Z"),
        (#""2026/03/02 10:00:00.5""#, "2026-03-02T10:00:00.5Z"), (#"" 2026-03-02T10:00:00Z ""#, "2026-03-02T10:00:00Z"),
    ]) func timeForms(text: String, expected: String) {
        #expect(convert(text)[.datetime] == time(expected))
    }

    @Test(arguments: [
        #""""#, #""soon""#, #""2026-13-02T10:00:00Z""#, #""2026-03-02T25:00:00Z""#, #""2026-03-02T10:00:00.Z""#, #""2026-03-02T10:00:0xZ""#,
        "-5", "0", "true",
        #""99999999999999999999999""#, #""2026-02-30T10:00:00Z""#, #""13/13/2026 1:00 PM""#, #""2026-03-02T10:00:00+99:00""#, "1e300",
    ]) func noTimes(text: String) {
        #expect(convert(text)[.datetime] == .null(.datetime))
    }

    /// Columns of many and of few distinct values give back what went in, whatever storage they choose.
    @Test(arguments: [1, 3, 500, 100_000]) func distinctValues(distinct: Int) throws {
        let values = (0..<3000).map { i in String(repeating: "v", count: i % 11) + String((i &* 7919) % distinct) }
        let long = String(repeating: "x", count: 700)
        let catalog = WorkspaceCatalog().declaring(
            TableSchema(name: "d_CL", columns: [SchemaColumn("a", .string), SchemaColumn("b", .string)]))
        let normalizer = Normalizer(catalog: catalog, needs: ["d_CL": ["a", "b"]])
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: "d.json")
        for _ in 0..<3 {
            let batch = try #require(session.rows(of: values.map { #"{"a":"\#($0)","b":"\#(long)"}"# }, &stream).first)
            #expect((0..<3000).allSatisfy { batch.batch.columns[0].value($0) == .string(values[$0]) })
            #expect(batch.batch.columns[1].value(2999) == .string(long))
            guard case .strings(let strings) = batch.batch.columns[0].data else {
                Issue.record("not strings")
                return
            }
            if distinct <= 3 { #expect(strings.values.count <= 33) }
        }
    }
}
