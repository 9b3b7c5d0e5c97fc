import Columnar
import Evaluation
import KQL
import Matcher
import Rules
import TestSupport
import Testing

@testable import Detection

/// Two tables, for rules over one and over both.
struct EventSchemas: SchemaCatalog {
    static let columns: [SchemaColumn] = [
        SchemaColumn("Count", .long), SchemaColumn("Tags", .dynamic), SchemaColumn("TimeGenerated", .datetime),
        SchemaColumn("User", .string), SchemaColumn("Where", .string),
    ]
    var tableNames: [String] { ["Events", "Others"] }
    func table(_ name: String) -> TableSchema? {
        tableNames.contains(name) ? TableSchema(name: name, columns: EventSchemas.columns) : nil
    }
}

let minute = KustoTime.ticksPerMinute
/// 2026-03-02: a whole day, so that it is a tick of every clock used here.
let start = KustoTime.unixEpoch + 20_514 * KustoTime.ticksPerDay

/// Minutes after the start.
func at(_ minutes: Int) -> Int64 { start + Int64(minutes) * minute }

func key(_ n: Int, hash: UInt64 = 0) -> RowKey {
    RowKey(time: start + Int64(n) * minute, hashHigh: hash, hashLow: UInt64(bitPattern: Int64(n)))
}

func lineage(_ keys: [RowKey]) -> Lineage? {
    guard let first = keys.first else { return nil }
    var all = Lineage(first)
    for k in keys.dropFirst() { all.merge(Lineage(k)) }
    return all
}

/// `every` and `over` in minutes.
func rule(_ query: String = "Events", every: Int64 = 5, over: Int64 = 5, _ change: (inout AnalyticsRule) -> Void = { _ in })
    -> AnalyticsRule
{
    var r = AnalyticsRule(
        id: "00000000-0000-4000-8000-000000000001", name: "Rule", query: query, queryFrequency: every * minute, queryPeriod: over * minute)
    change(&r)
    return r
}

func compile(_ rule: AnalyticsRule) throws -> RuleProgram {
    let compiled = RuleCompiler(functions: FunctionRegistry.standard, schemas: EventSchemas()).compile(rule)
    return try #require(compiled.program, "\(rule.query): \(compiled.diagnostics.map(\.message))")
}

func field(_ identifier: String, _ column: String) -> AnalyticsRule.FieldMapping {
    AnalyticsRule.FieldMapping(identifier: identifier, columnName: column)
}

func mapping(_ type: String, _ fields: [(String, String)]) -> AnalyticsRule.EntityMapping {
    AnalyticsRule.EntityMapping(entityType: type, fields: fields.map { field($0.0, $0.1) })
}

/// Result rows of a query, by hand.
struct ResultTable {
    let columns: [BoundColumn]
    let batch: Batch

    init(_ columns: [(name: String, type: ScalarType)], _ rows: [[Value]]) {
        self.columns = columns.enumerated().map { BoundColumn(id: $0.offset + 1, name: $0.element.name, type: $0.element.type) }
        let cells = columns.enumerated().map { i, c in
            var b = ColumnBuilder(c.type)
            for r in rows { b.append(r[i]) }
            return b.finish()
        }
        batch = Batch(columns: cells, count: rows.count, keys: ContiguousArray(rows.indices.map { key($0) }))
    }

    /// Columns of texts.
    init(_ names: [String], _ rows: [[String]]) { self.init(names.map { ($0, .string) }, rows.map { $0.map { .string($0) } }) }

    var rows: [(batch: Batch, row: Int)] { (0..<batch.count).map { (batch, $0) } }
}

/// One record of ``EventSchemas``, `at` in minutes after the start.
struct Event {
    var at: Int
    var user = ""
    var place = ""
    var count: Int64 = 0
    var tags: String?

    init(_ at: Int, _ user: String = "", place: String = "", count: Int64 = 0, tags: String? = nil) {
        (self.at, self.user, self.place, self.count, self.tags) = (at, user, place, count, tags)
    }
}

/// An engine that is fed through the matcher, as the pipeline does it.
final class Bench {
    let engine: DetectionEngine
    /// Last version of each alert.
    private(set) var alerts: [String: Alert] = [:]
    private var fed: UInt64 = 0

    init(_ rules: [AnalyticsRule], lateness: Int64 = 0, _ change: (inout DetectionOptions) -> Void = { _ in }) throws {
        var options = DetectionOptions()
        change(&options)
        engine = try DetectionEngine(rules.map(compile), options: options, functions: FunctionRegistry.standard) { _ in lateness * minute }
    }

    /// Each event has a hash of its own.
    @discardableResult func feed(_ events: [Event], table: String = "Events", early: Bool = false, raw keepsRaw: Bool = true) throws
        -> [AlertEvent]
    {
        let keys = events.map { e in
            fed += 1
            return RowKey(time: start + Int64(e.at) * minute, hashHigh: 7, hashLow: fed)
        }
        let columns = (engine.ruleSet.columns(of: table) ?? []).map { c in
            var b = ColumnBuilder(c.type)
            for (e, k) in zip(events, keys) {
                switch c.name {
                case "User": b.append(.string(e.user))
                case "Where": b.append(.string(e.place))
                case "Count": b.append(.long(e.count))
                case "Tags": b.append(e.tags.flatMap { JSONText.parse($0) }.map { .dynamic($0) } ?? .null(.dynamic))
                default: b.append(.datetime(k.time))
                }
            }
            return b.finish()
        }
        for k in keys { engine.observe(table: table, least: k.time, greatest: k.time) }
        let found = try MatchWorker(engine.ruleSet).evaluate(
            Batch(columns: columns, count: events.count), table: table, context: EvaluationContext(now: 0)
        ) { keys[$0] }
        var raw: [RecordHash: String] = [:]
        if keepsRaw { for k in keys { raw[RecordHash(k)] = "{\"n\":\(k.hashLow)}" } }
        return note(engine.accept(found.map { SurvivorRows(matches: $0, raw: raw) }) + (early ? engine.raiseEarly() : []))
    }

    /// `to` in minutes after the start.
    @discardableResult func advance(to: Int) -> [AlertEvent] { note(engine.advance { _ in start + Int64(to) * minute + 1 }) }

    private func note(_ events: [AlertEvent]) -> [AlertEvent] {
        for e in events { alerts[e.alert.id] = e.alert }
        return events
    }

    /// Minutes of the first ticks of unmerged alerts, ascending.
    var firstTicks: [Int] { alerts.values.filter { $0.status != .merged }.map { Int(($0.firstTick - start) / minute) }.sorted() }
    var groups: [String] { alerts.values.map(\.groupKey).sorted { ByteText.precedes($0, $1) } }
}

/// A generator of numbers that a seed fixes.
struct SplitMix: SeededGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
}
