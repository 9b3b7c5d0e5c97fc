import Columnar
import Evaluation
import KQL
import TestSupport
import Testing

@testable import Matcher

/// The one table of these tests.
struct EventSchemas: SchemaCatalog {
    static let columns: [SchemaColumn] = [
        SchemaColumn("Actor", .string), SchemaColumn("Count", .long), SchemaColumn("Operation", .string),
        SchemaColumn("Properties", .dynamic),
        SchemaColumn("Status", .string), SchemaColumn("TimeGenerated", .datetime),
    ]
    var tableNames: [String] { ["Events"] }
    func table(_ name: String) -> TableSchema? { name == "Events" ? TableSchema(name: "Events", columns: EventSchemas.columns) : nil }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
}

func split(_ query: String) throws -> SplitQuery {
    let bound = KQLCompiler.bind(
        query, functions: FunctionRegistry.standard, schemas: EventSchemas(), options: BinderOptions(fold: ConstantFolder.fold))
    guard let plan = bound.plan, !bound.diagnostics.contains(where: { $0.severity == .error }) else {
        throw TestFailure(description: "\(query): \(bound.diagnostics.map(\.message))")
    }
    return LegSplitter.split(plan, nextColumnID: bound.nextColumnID, functions: FunctionRegistry.standard)
}

func ruleSet(_ queries: [String]) throws -> RuleSet {
    let legs = try queries.enumerated().flatMap { n, q in
        try split(q).legs.map { (LegReference(rule: n, leg: $0.index), $0) }
    }
    return try RuleSet(legs, functions: FunctionRegistry.standard)
}

/// A row of ``EventSchemas``; nil properties are null.
struct Event {
    var operation = ""
    var actor = ""
    var status = ""
    var properties: String?
    var count: Int64 = 0
}

/// Rows as the pipeline delivers them: the columns that the rules read, texts in a dictionary or row by row.
func batch(_ events: [Event], for rules: RuleSet, dictionary: Bool, from first: Int = 0) -> Batch {
    func text(_ values: [String], dynamic: Bool = false) -> Column {
        let valid = Bitmap(values.map { !dynamic || !$0.isEmpty })
        var column = StringColumn(values)
        if dictionary {
            var distinct = ByteStrings()
            var numbers: [[UInt8]: UInt32] = [:]
            var codes = ContiguousArray<UInt32>()
            for v in values {
                let key = Array(v.utf8)
                if numbers[key] == nil {
                    numbers[key] = UInt32(distinct.count)
                    distinct.append(v)
                }
                codes.append(numbers[key] ?? 0)
            }
            column = StringColumn(codes: codes, values: distinct)
        }
        return dynamic ? Column(.dynamic, .dynamics(column), validity: valid.isFull ? nil : valid) : Column(.string, .strings(column))
    }
    let columns = (rules.columns(of: "Events") ?? []).map { c -> Column in
        switch c.name {
        case "Operation": text(events.map(\.operation))
        case "Actor": text(events.map(\.actor))
        case "Status": text(events.map(\.status))
        case "Properties": text(events.map { $0.properties ?? "" }, dynamic: true)
        case "Count": Column(.long, .longs(ContiguousArray(events.map(\.count))))
        default: Column(.datetime, .longs(ContiguousArray(events.indices.map { Int64(first + $0) })))
        }
    }
    return Batch(columns: columns, count: events.count)
}

func key(_ n: Int) -> RowKey { RowKey(time: Int64(n), hashHigh: 1, hashLow: UInt64(n)) }

/// The survivors of each leg as the matcher finds them, batch by batch: rule → times of the keys.
func survivors(_ events: [Event], _ rules: RuleSet, batchRows: Int, dictionary: Bool, worker: MatchWorker? = nil) throws -> [Int: [Int64]] {
    let worker = worker ?? MatchWorker(rules)
    var out: [Int: [Int64]] = [:]
    var first = 0
    while first < events.count {
        let part = Array(events[first..<min(first + batchRows, events.count)])
        let start = first
        let found = try worker.evaluate(
            batch(part, for: rules, dictionary: dictionary, from: first), table: "Events", context: EvaluationContext(now: 0)
        ) { key(start + $0) }
        for m in found { out[m.leg.rule, default: []] += (m.rows.keys ?? []).map(\.time) }
        first += part.count
    }
    return out
}

/// The survivors by running every prefix over every row: no witness, no memo, no scan.
func plainSurvivors(_ events: [Event], _ queries: [String]) throws -> [Int: [Int64]] {
    var out: [Int: [Int64]] = [:]
    for (n, q) in queries.enumerated() {
        for leg in try split(q).legs {
            let alone = try RuleSet([(LegReference(rule: n, leg: leg.index), leg)], functions: FunctionRegistry.standard)
            let rows = batch(events, for: alone, dictionary: false)
            let prefix = try CompiledPrefix(leg)
            let positions = leg.source.compactMap { c in alone.columns(of: "Events")?.firstIndex { $0.name == c.name } }
            let input = Batch(columns: positions.map { rows.columns[$0] }, count: rows.count)
            let all = ContiguousArray(0..<Int32(events.count))
            if let found = try prefix.run(input, rows: all, context: EvaluationContext(now: 0), key: key) {
                out[n, default: []] += (found.survivors.keys ?? []).map(\.time)
            }
        }
    }
    return out
}

/// A generator of numbers that a seed fixes.
struct SplitMix: SeededGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func below(_ n: Int) -> Int { Int.random(in: 0..<n, using: &self) }
    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
}
