import Columnar
import KQL
import Tables

/// The unit in which a case counts time: rules of minutes over hours of logs, or rules of hours over days.
struct TimeScale: Sendable {
    let unit: Int64
    /// As KQL writes one unit.
    let suffix: String
    static let minutes = TimeScale(unit: KustoTime.ticksPerMinute, suffix: "m")
    static let hours = TimeScale(unit: KustoTime.ticksPerHour, suffix: "h")
}

/// One record as its source writes it.
struct LogRecord: Sendable {
    /// Ticks; what the record says of its time.
    let time: Int64
    let table: String
    let json: String
}

/// A random log: sources with their records in the order in which they arrive.
struct RandomLog: Sendable {
    var sources: [[LogRecord]]
    let scale: TimeScale
    let start: Int64
    let lateness: Int64
    /// Some records have no time of their own: the order within a source then matters.
    var hasTimeless = false

    var recordCount: Int { sources.reduce(0) { $0 + $1.count } }
}

/// Makes logs over four tables with small value domains, so that conditions hold, keys meet and ties happen.
struct LogGenerator {
    /// 2026-03-02T10:00:00Z, a whole multiple of every frequency used.
    static let start = KustoTime.unixEpoch + 1_772_445_600 * KustoTime.ticksPerSecond

    static let users = ["alice", "bob", "Bob", "çelik", "root", ""]
    static let addresses = ["10.0.0.1", "10.0.0.2", "192.0.2.66", "2001:db8::1", ""]
    static let events = ["ConsoleLogin", "DeleteTrail", "StopLogging", "GetObject", "putBucketPolicy"]
    static let errors = ["", "AccessDenied", "UnauthorizedOperation"]
    static let operations = [
        "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE", "Microsoft.Compute/virtualMachines/delete",
        "MICROSOFT.KEYVAULT/VAULTS/WRITE",
    ]
    static let results = ["0", "50126", "50053"]
    static let countries = ["NL", "DE", "PA", "", "Łódź"]

    /// The row-form table: every type of column.
    static let custom = TableSchema(
        name: "Law_CL",
        columns: [
            SchemaColumn("TimeGenerated", .datetime), SchemaColumn("User", .string), SchemaColumn("Host", .string),
            SchemaColumn("Count", .long), SchemaColumn("Level", .int), SchemaColumn("Score", .real), SchemaColumn("Ok", .bool),
            SchemaColumn("Tags", .dynamic), SchemaColumn("Bag", .dynamic), SchemaColumn("Seen", .datetime),
            SchemaColumn("Took", .timespan), SchemaColumn("Session", .guid), SchemaColumn("Type", .string),
        ])

    static var catalog: WorkspaceCatalog { WorkspaceCatalog().declaring(custom) }

    private var g: Generator
    private let scale: TimeScale
    private var serial = 0

    init(seed: UInt64, scale: TimeScale) {
        g = Generator(seed)
        self.scale = scale
    }

    /// `dense`: thousands of records from one source, so that the largest batches are filled; else some dozens from up to four.
    mutating func log(dense: Bool = false) -> RandomLog {
        let span = scale.unit == KustoTime.ticksPerMinute ? Int64(g.pick([30, 90, 150])) : Int64(g.pick([24, 60, 96]))
        let lateness = scale.unit * Int64(g.pick([0, 1, 5, 20]))
        let tables = g.some(["AWSCloudTrail", "SigninLogs", "AzureActivity", "Law_CL"], 2 + g.below(3))
        let rows = dense ? 4_500 : g.pick([12, 50, 90, 150])
        let sourceCount = dense ? 1 : 1 + g.below(4)
        var sources: [[(record: LogRecord, arrival: Int64, order: Int)]] = Array(repeating: [], count: sourceCount)
        // Quiet stretches and bursts: rows gather around a few centres.
        let centres = (0..<(1 + g.below(5))).map { _ in g.upTo(span) }
        for i in 0..<rows {
            let time = LogGenerator.start + instant(span, centres)
            let table = g.pick(tables)
            let json = record(table, time)
            let jitter = g.chance(40) ? g.upTo(lateness) : 0
            let copies = g.chance(6) ? 2 : 1
            let source = g.below(sourceCount)
            for _ in 0..<copies {
                sources[source].append((LogRecord(time: time, table: table, json: json), time + jitter, i))
            }
        }
        var ordered = sources.map { s in
            s.sorted { ($0.arrival, $0.order) < ($1.arrival, $1.order) }.map(\.record)
        }.filter { !$0.isEmpty }
        let hasTimeless = g.chance(12)
        if hasTimeless { for i in ordered.indices { ordered[i] = withTimeless(ordered[i]) } }
        return RandomLog(
            sources: ordered, scale: scale, start: LogGenerator.start, lateness: lateness, hasTimeless: hasTimeless)
    }

    /// Puts records without a readable time between the others: they take over that of the record before.
    private mutating func withTimeless(_ records: [LogRecord]) -> [LogRecord] {
        var out: [LogRecord] = []
        for r in records {
            out.append(r)
            if g.chance(15) { out.append(LogRecord(time: r.time, table: "Law_CL", json: row(g.pick(["null", "\"soon\"", "true"])))) }
        }
        return out
    }

    /// Ticks after the start; many on whole units (window and tick edges), some a tick of 100 ns beside one.
    private mutating func instant(_ span: Int64, _ centres: [Int64]) -> Int64 {
        let around = g.chance(70) ? max(0, min(span, g.pick(centres) + g.upTo(8) - 4)) : g.upTo(span)
        let whole = around * scale.unit
        switch g.below(10) {
        case 0...3: return whole
        case 4: return (around / 5) * 5 * scale.unit
        case 5: return max(0, whole - 1)
        case 6: return whole + 1
        case 7: return whole + scale.unit / 2
        default: return whole + g.upTo(scale.unit - 1)
        }
    }

    private mutating func record(_ table: String, _ time: Int64) -> String {
        serial += 1
        let text = JSONText.compact(.string(KustoTime.isoString(time)))
        switch table {
        case "AWSCloudTrail": return cloudTrail(text)
        case "SigninLogs": return signIn(text)
        case "AzureActivity": return activity(text)
        default: return row(text)
        }
    }

    private func quoted(_ s: String) -> String { JSONText.compact(.string(s)) }

    /// A few records share their serial, so that identical rows differ in time alone.
    private mutating func identity() -> Int { g.chance(30) ? 1 : serial }

    private mutating func cloudTrail(_ time: String) -> String {
        var parts = [
            "\"eventVersion\":\"1.08\"", "\"eventTime\":\(time)", "\"eventSource\":\"\(g.pick(["iam", "s3"])).amazonaws.com\"",
            "\"eventName\":\(quoted(g.pick(LogGenerator.events)))", "\"awsRegion\":\"eu-west-1\"",
            "\"userIdentity\":{\"type\":\"IAMUser\",\"userName\":\(quoted(g.pick(LogGenerator.users)))}", "\"eventID\":\"e-\(identity())\"",
        ]
        if g.chance(80) { parts.append("\"sourceIPAddress\":\(quoted(g.pick(LogGenerator.addresses)))") }
        if g.chance(50) { parts.append("\"errorCode\":\(g.chance(10) ? "17" : quoted(g.pick(LogGenerator.errors)))") }
        if g.chance(70) { parts.append("\"readOnly\":\(g.pick(["true", "false", "null", "\"yes\""]))") }
        if g.chance(60) {
            parts.append(
                "\"requestParameters\":{\"name\":\(quoted(g.pick(LogGenerator.users))),\"size\":\(g.pick(["1", "20", "null", "\"3\""]))}")
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    private mutating func signIn(_ time: String) -> String {
        let user = g.pick(LogGenerator.users)
        var inner = [
            "\"id\":\"s-\(identity())\"", "\"userPrincipalName\":\(quoted(user.isEmpty ? "" : user + "@contoso.example"))",
            "\"appDisplayName\":\(quoted(g.pick(["Office", "Portal", "office"])))", "\"isInteractive\":\(g.pick(["true", "false"]))",
        ]
        if g.chance(60) {
            inner.append(
                "\"location\":{\"city\":\(quoted(g.pick(LogGenerator.countries))),\"geoCoordinates\":{\"latitude\":\(g.pick(["52.1", "null", "8"]))}}"
            )
        }
        if g.chance(60) { inner.append("\"status\":{\"errorCode\":\(g.pick(["0", "50126"]))}") }
        if g.chance(50) {
            inner.append("\"appliedConditionalAccessPolicies\":\(g.pick(["[]", "[{\"result\":\"success\"},{\"result\":\"failure\"}]"]))")
        }
        if g.chance(50) { inner.append("\"networkLocationDetails\":\(g.pick(["[]", "[\"a\",\"b\"]", "{\"x\":1}", "\"text\""]))") }
        return "{\"time\":\(time),\"category\":\"SignInLogs\",\"operationName\":\"Sign-in activity\","
            + "\"resultType\":\(quoted(g.pick(LogGenerator.results))),\"callerIpAddress\":\(quoted(g.pick(LogGenerator.addresses))),"
            + "\"durationMs\":\(g.pick(["0", "5", "12", "\"x\"", "null"])),\"location\":\(quoted(g.pick(LogGenerator.countries))),"
            + "\"properties\":{" + inner.joined(separator: ",") + "}}"
    }

    private mutating func activity(_ time: String) -> String {
        "{\"time\":\(time),\"resourceId\":\"/SUBSCRIPTIONS/900E514D-3936-42F2-8AB4-B475ED3FCAE2/RESOURCEGROUPS/RG-\(g.below(3))\","
            + "\"operationName\":\(quoted(g.pick(LogGenerator.operations))),\"category\":\"Administrative\","
            + "\"resultType\":\(quoted(g.pick(["Start", "Success", "Failure"]))),\"resultSignature\":\"Started.\","
            + "\"callerIpAddress\":\(quoted(g.pick(LogGenerator.addresses))),\"correlationId\":\"c-\(identity())\","
            + "\"identity\":{\"authorization\":{\"scope\":\"/rg\(g.below(3))\",\"evidence\":{\"role\":\(quoted(g.pick(["Owner", "Reader", ""])))}},"
            + "\"claims\":{\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn\":\(quoted(g.pick(LogGenerator.users)))}}}"
    }

    private mutating func row(_ time: String) -> String {
        var parts = ["\"Type\":\"Law_CL\"", "\"TimeGenerated\":\(time)"]
        func maybe(_ g: inout Generator, _ name: String, _ percent: Int, _ values: [String]) {
            if g.chance(percent) { parts.append("\"\(name)\":\(g.pick(values))") }
        }
        maybe(&g, "User", 85, LogGenerator.users.map(quoted) + ["null", "7"])
        maybe(&g, "Host", 80, ["\"web-1\"", "\"web-2\"", "\"DB 1\"", "\"größe\""])
        maybe(&g, "Count", 80, ["0", "1", "2", "3", "5", "-4", "9223372036854775807", "null", "\"x\"", "2.5"])
        maybe(&g, "Level", 80, ["0", "1", "2", "3", "4", "null", "\"3\""])
        maybe(&g, "Score", 80, ["0.1", "0.2", "0.3", "1e300", "-2.5", "null", "3"])
        maybe(&g, "Ok", 70, ["true", "false", "null", "\"true\""])
        maybe(
            &g, "Tags", 70,
            ["[\"a\",\"b\"]", "[]", "[\"b\"]", "[1,2,2]", "null", "\"a\"", "{\"k\":1}", "[\"a\",null,{\"n\":3}]", "\"[1,2]\""])
        maybe(
            &g, "Bag", 70,
            [
                "{\"k\":\"v\",\"n\":1}", "{\"n\":2.5,\"k\":\"w\"}", "{}", "null", "{\"k\":{\"d\":[1]}}", "\"{\\\"k\\\":\\\"v\\\"}\"",
                "{\"n\": 1 , \"k\":\"v\"}",
            ])
        maybe(&g, "Seen", 50, ["\"2026-03-02T09:00:00Z\"", "\"2026-03-01\"", "\"never\"", "null"])
        maybe(&g, "Took", 50, ["\"00:00:05\"", "\"1.02:00:00\"", "\"soon\"", "null"])
        maybe(&g, "Session", 40, ["\"18ff50e3-3662-4ff7-b2c5-d3f482a0415a\"", "\"no\"", "null"])
        if g.chance(40) { parts.append("\"extra\":\(serial)") }
        return "{" + parts.joined(separator: ",") + "}"
    }
}
