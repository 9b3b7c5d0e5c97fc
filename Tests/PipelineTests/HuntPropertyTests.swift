import Columnar
import Evaluation
import Glibc
import Ingest
import KQL
import ReferenceEvaluator
import Tables
import TestSupport
import Testing

@testable import Pipeline

/// What hunts save (records not taken apart, columns not read, files read in parts) against the reference evaluator over all rows of the
/// same files. `VEDETTE_PROPERTY_CASES` and `VEDETTE_PROPERTY_SEED` as for `ReferenceTests`.
@Suite struct HuntPropertyTests {
    private struct Dice: SeededGenerator {
        var state: UInt64
        mutating func below(_ n: Int) -> Int { Int(next() % UInt64(max(1, n))) }
        mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
    }

    private static let names = ["DeleteTrail", "deletetrail", "PutObject", "GetObject", "École", "école", "Delete Trail", "e1", "True", ""]
    private static let agents = ["aws-cli/2.15", "Boto3 DeleteTrail", "say \\\"hi\\\"", "é", "a\\\\b", "null", "12", "console.example.com"]

    /// A text as a writer may put it: now and then with a letter escaped.
    private static func written(_ text: String, _ dice: inout Dice) -> String {
        guard dice.below(6) == 0, let first = text.unicodeScalars.first, first != "\\" else { return text }
        let hex = String(first.value, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex + String(text.unicodeScalars.dropFirst())
    }

    private static func record(_ i: Int, _ dice: inout Dice) -> String {
        let name = written(dice.pick(names), &dice), agent = dice.pick(agents), user = dice.below(5)
        let code = dice.below(3) == 0 ? ",\"errorCode\":\(dice.pick(["\"AccessDenied\"", "null", "404", "true"]))" : ""
        let minute = dice.below(60)
        return
            "{\"eventVersion\":\"1.11\",\"eventTime\":\"2026-03-02T0\(dice.below(4)):\(minute < 10 ? "0" : "")\(minute):00Z\","
            + "\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"\(name)\",\"awsRegion\":\"\(dice.pick(["eu-west-1", "us-east-1"]))\","
            + "\"userAgent\":\"\(agent)\",\"sourceIPAddress\":\"198.18.0.\(dice.below(9))\","
            + "\"userIdentity\":{\"arn\":\"arn:aws:iam::1:user/u\(user)\"}\(code),\"eventID\":\"id-\(i)\"}"
    }

    private static func condition(_ dice: inout Dice, _ depth: Int) -> String {
        if depth > 0 {
            switch dice.below(5) {
            case 0: return "(\(condition(&dice, depth - 1)) and \(condition(&dice, depth - 1)))"
            case 1: return "(\(condition(&dice, depth - 1)) or \(condition(&dice, depth - 1)))"
            case 2: return "not(\(condition(&dice, depth - 1)))"
            default: break
            }
        }
        let column = dice.pick(["EventName", "EventName", "UserAgent", "SourceIpAddress", "UserIdentityArn", "ErrorCode", "AWSRegion"])
        let literal = dice.pick([
            "'DeleteTrail'", "'deletetrail'", "'delete'", "'Trail'", "'École'", "'é'", "'198.18.0.3'", "'user/u2'", "'u2'",
            "'AccessDenied'", "''",
            "'aws'", "'404'", "'true'", "'hi'", "'west'", "'a\\\\b'", "'e1'", "'null'",
        ])
        switch dice.below(8) {
        case 0: return "\(column) in (\(literal), 'PutObject')"
        case 1: return "\(column) has_any (\(literal), 'nothing')"
        case 2: return "\(column) in~ (\(literal))"
        case 3: return dice.pick(["isempty", "isnotempty"]) + "(\(column))"
        default:
            let op = dice.pick([
                "==", "!=", "=~", "!~", "has", "!has", "has_cs", "contains", "!contains", "contains_cs", "startswith", "endswith",
                "hasprefix",
                "hassuffix", "startswith_cs", "endswith_cs",
            ])
            return "\(column) \(op) \(literal)"
        }
    }

    private static func setting(_ name: String, _ standard: Int) -> Int { getenv(name).flatMap { Int(String(cString: $0)) } ?? standard }

    @Test func huntsEqualReference() throws {
        var template = Array("/tmp/vedette-hunt-property-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        let folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { system("rm -r \(folder)") }
        let seed = HuntPropertyTests.setting("VEDETTE_PROPERTY_SEED", 1)
        var dice = Dice(state: UInt64(seed))
        let inputs = (0..<3).map { f in
            let lines = (0..<120).map { HuntPropertyTests.record(f * 1000 + $0, &dice) }
            let path = "\(folder)/part-\(f).json"
            let text = lines.joined(separator: "\n") + "\n"
            if let file = fopen(path, "wb") {
                fputs(text, file)
                fclose(file)
            }
            return HuntInput(file: InputFile(path: path, size: UInt64(text.utf8.count)), table: nil)
        }
        let columns = ["EventName", "UserAgent", "SourceIpAddress", "UserIdentityArn", "ErrorCode", "AWSRegion", "AwsEventId"]
        let all = try rows("AWSCloudTrail | project \(columns.joined(separator: ", "))", inputs, threads: 1)
        #expect(all.count == 360)
        let reference = ReferenceEvaluator(
            tables: ["AWSCloudTrail": (columns: columns.map { SchemaColumn($0, .string) }, rows: all)], now: 0)
        for n in 0..<HuntPropertyTests.setting("VEDETTE_PROPERTY_CASES", 60) {
            let query =
                "AWSCloudTrail | where \(HuntPropertyTests.condition(&dice, 2))"
                + dice.pick([
                    " | project AwsEventId", " | summarize n = count() by UserIdentityArn",
                    " | where AwsEventId has 'id' | project AwsEventId",
                ])
            let plan = try bound(query)
            let expected = try reference.run(plan).rows.map { "\($0)" }.sorted()
            let got = try rows(query, inputs, threads: dice.pick([1, 3])).map { "\($0)" }.sorted()
            #expect(expected == got, "seed \(seed), case \(n): \(query)")
        }
    }

    private func bound(_ query: String) throws -> Plan {
        let result = KQLCompiler.bind(
            query, functions: FunctionRegistry.standard, schemas: WorkspaceCatalog(), options: BinderOptions(fold: ConstantFolder.fold))
        return try #require(result.plan, "\(query): \(result.diagnostics)")
    }

    private func rows(_ query: String, _ inputs: [HuntInput], threads: Int) throws -> [[Value]] {
        let plan = try bound(query)
        let tables = HuntTables(inputs: inputs, catalog: WorkspaceCatalog(), threads: threads)
        let pruned = PlanRewriter.prune(plan)
        tables.expect(pruned, keyed: PlanOrder.readsKeys(pruned))
        let executor = Executor(
            provider: tables, context: EvaluationContext(now: KustoTime.unixEpoch + 17_724_000_000_000_000),
            options: ExecutorOptions(stableTake: false, threads: threads, sheddingKeys: true))
        var out: [[Value]] = []
        try executor.run(plan) { b in
            for r in 0..<b.count { out.append(b.columns.map { $0.value(r) }) }
            return true
        }
        return out
    }
}
