import Columnar
import Detection
import Ingest
import KQL
import Pipeline
import Rules
import Tables

/// How one case of a rule test ended.
public struct RuleTestOutcome: Sendable {
    public let rule: String
    public let file: String
    /// Where the case stands in the file.
    public let line: Int
    public let name: String
    /// What is not as expected, readable; empty: the case passed.
    public let differences: [String]
    /// The alerts raised, final versions, in the order of their first tick.
    public let alerts: [Alert]
    /// Rows that the events gave to tables that the rule reads.
    public let rows: Int

    public var isPassed: Bool { differences.isEmpty }
}

/// Runs rule tests: each case through the rule alone, in streaming mode, the way from bytes to alerts that a file takes.
public struct RuleTester {
    /// Ticks that a case of a rule that must look at empty windows may span.
    static let maximumTicks: Int64 = 1_000_000

    private let functions: any FunctionCatalog
    private let catalog: WorkspaceCatalog
    private let latenessOf: @Sendable (String) -> Int64

    /// `latenessOf`: allowed disorder by table, in ticks.
    public init(
        functions: any FunctionCatalog, catalog: WorkspaceCatalog, latenessOf: @escaping @Sendable (_ table: String) -> Int64 = { _ in 0 }
    ) {
        self.functions = functions
        self.catalog = catalog
        self.latenessOf = latenessOf
    }

    /// Runs every case. What is wrong with a case's events is a difference of that case; throws if the rule itself cannot run.
    public func run(_ file: RuleTestFile, rule: AnalyticsRule, program: RuleProgram) throws -> [RuleTestOutcome] {
        var normalizer: Normalizer?
        var outcomes: [RuleTestOutcome] = []
        for test in file.cases {
            var options = DetectionOptions()
            options.mode = .streaming
            options.coldRaise = test.coldRaise
            options.takesCheckpoints = false
            let engine = try DetectionEngine([program], options: options, functions: functions, lateness: latenessOf)
            let shared = normalizer ?? ChunkProcessor.normalizer(for: engine.ruleSet, catalog: catalog)
            normalizer = shared
            let run = try replay(test, engine, shared, program)
            var differences = run.problems
            for f in engine.figures { if let failure = f.failure { differences.append("the rule failed: \(failure)") } }
            let compared = AlertComparison.differences(expected: test.expected, alerts: run.alerts)
            differences += compared
            if !compared.isEmpty, run.alerts.count < test.expected.count, engine.figures.contains(where: { $0.heldTicks > 0 }) {
                differences.append("held for want of history: give the case older events, or `coldRaise: true`")
            }
            outcomes.append(
                RuleTestOutcome(
                    rule: rule.name, file: file.file, line: test.line, name: test.name, differences: differences, alerts: run.alerts,
                    rows: run.rows))
        }
        return outcomes
    }

    private struct Run {
        var alerts: [Alert] = []
        var problems: [String] = []
        var rows = 0
    }

    private func replay(_ test: RuleTestFile.Case, _ engine: DetectionEngine, _ normalizer: Normalizer, _ program: RuleProgram) throws
        -> Run
    {
        var run = Run()
        var text = ""
        for e in test.events {
            JSONText.append(e, to: &text)
            text += "\n"
        }
        let processor = ChunkProcessor(rules: engine.ruleSet, normalizer: normalizer)
        let reader = RecordReader(MemoryInput(Array(text.utf8)))
        let chunk = Chunk()
        var stream = normalizer.stream(path: nil)
        var events: [AlertEvent] = []
        while try reader.next(into: chunk, final: true) == .chunk {
            let result = try processor.process(chunk, stream: &stream)
            run.rows += result.rows
            for p in result.problems { run.problems.append("an event cannot be read: \(p.reason)") }
            for (table, t) in result.times { engine.observe(table: table, least: t.least, greatest: t.greatest) }
            events += engine.accept(result.survivors)
        }
        if stream.unrecognized > 0 {
            run.problems.append("\(stream.unrecognized) events have no known form: rows name their table with `Type`")
        }
        if let highest = engine.highestTime, let lowest = engine.lowestTime {
            let end = test.until ?? program.clock.first(atOrAfter: highest)
            if program.needsEmptyTicks, end > lowest, (end - lowest) / program.clock.frequency > RuleTester.maximumTicks {
                run.problems.append("the case spans more than \(RuleTester.maximumTicks) evaluations")
            } else {
                events += engine.finish(to: end)
            }
        }
        var last: [String: Alert] = [:]
        for e in events { last[e.alert.id] = e.alert }
        run.alerts = last.values.filter { $0.status != .merged }.sorted { ($0.firstTick, $0.id) < ($1.firstTick, $1.id) }
        return run
    }
}

/// Bytes in memory, read like a file.
private final class MemoryInput: RawInput {
    private let content: [UInt8]
    private var position = 0

    init(_ content: [UInt8]) { self.content = content }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let n = min(buffer.count, content.count - position)
        guard n > 0 else { return 0 }
        buffer.copyBytes(from: content[position..<(position + n)])
        position += n
        return n
    }

    func seek(to offset: UInt64) throws -> Bool {
        position = min(Int(clamping: offset), content.count)
        return true
    }

    func bytes(at offset: UInt64, count: Int) throws -> [UInt8]? {
        let from = min(Int(clamping: offset), content.count)
        return Array(content[from...].prefix(max(0, count)))
    }
}

/// Holds the alerts raised against those expected.
enum AlertComparison {
    /// Empty if each expectation has its own alert and no alert is left over.
    static func differences(expected: [RuleTestFile.ExpectedAlert], alerts: [Alert]) -> [String] {
        var out: [String] = []
        if expected.count != alerts.count {
            out.append(
                expected.isEmpty
                    ? "expected no alert, got \(alerts.count)"
                    : "expected \(counted(expected.count)), got \(alerts.isEmpty ? "none" : "\(alerts.count)")")
        }
        let holders = assign(expected, alerts)
        let met = Set(holders.compactMap { $0 })
        var free = alerts.indices.filter { holders[$0] == nil }
        for (i, e) in expected.enumerated() where !met.contains(i) {
            // The nearest alert that no other expectation has taken says best what is wrong.
            var best: (at: Int, problems: [String])?
            for at in free {
                let problems = mismatches(e, alerts[at])
                if problems.count < best?.problems.count ?? .max { best = (at, problems) }
            }
            if let best {
                free.removeAll { $0 == best.at }
                out.append("line \(e.line): " + best.problems.joined(separator: "; ") + "\n  got \(describe(alerts[best.at]))")
            } else {
                out.append("line \(e.line): not raised: \(describe(e))")
            }
        }
        for at in free { out.append("not expected: \(describe(alerts[at]))") }
        return out
    }

    private static func counted(_ n: Int) -> String { n == 1 ? "1 alert" : "\(n) alerts" }

    /// For each alert, the expectation it meets: as many as possible, by augmenting paths.
    private static func assign(_ expected: [RuleTestFile.ExpectedAlert], _ alerts: [Alert]) -> [Int?] {
        let edges = expected.map { e in alerts.indices.filter { mismatches(e, alerts[$0]).isEmpty } }
        var holder = [Int?](repeating: nil, count: alerts.count)
        func place(_ e: Int, _ visited: inout Set<Int>) -> Bool {
            for a in edges[e] where visited.insert(a).inserted {
                if let other = holder[a], !place(other, &visited) { continue }
                holder[a] = e
                return true
            }
            return false
        }
        for e in expected.indices {
            var visited: Set<Int> = []
            _ = place(e, &visited)
        }
        return holder
    }

    /// What keeps an alert from being the expected one.
    static func mismatches(_ e: RuleTestFile.ExpectedAlert, _ a: Alert) -> [String] {
        var out: [String] = []
        if let techniques = e.techniques, techniques != Set(a.techniques) {
            out.append("expected techniques \(list(techniques.sorted())), got \(list(a.techniques.sorted()))")
        }
        if let severity = e.severity, severity != a.severity {
            out.append("expected severity \(severity.rawValue), got \(a.severity.rawValue)")
        }
        if let name = e.name, name != a.name { out.append("expected name `\(name)`, got `\(a.name)`") }
        if let n = e.resultCount, n != a.resultCount { out.append("expected resultCount \(n), got \(a.resultCount)") }
        for entity in e.entities where !a.entities.contains(where: { has($0, entity) }) {
            out.append("expected entity \(describe(entity))")
        }
        return out
    }

    private static func has(_ entity: Entity, _ expected: RuleTestFile.ExpectedEntity) -> Bool {
        guard entity.type == expected.type else { return false }
        return expected.identifiers.allSatisfy { wanted in
            entity.identifiers.contains { $0.key == wanted.name && text($0.value) == wanted.value }
        }
    }

    private static func text(_ v: Dynamic) -> String {
        if case .string(let s) = v { return s }
        return JSONText.compact(v)
    }

    // MARK: Wording

    private static func list(_ names: [String]) -> String { "[" + names.joined(separator: ", ") + "]" }

    private static func describe(_ e: RuleTestFile.ExpectedEntity) -> String {
        e.type + "(" + e.identifiers.map { "\($0.name): \($0.value)" }.joined(separator: ", ") + ")"
    }

    private static func describe(_ e: Entity) -> String {
        e.type + "(" + e.identifiers.map { "\($0.key): \(text($0.value))" }.joined(separator: ", ") + ")"
    }

    private static func describe(_ e: RuleTestFile.ExpectedAlert) -> String {
        var parts: [String] = []
        if let n = e.name { parts.append("`\(n)`") }
        if let s = e.severity { parts.append("severity \(s.rawValue)") }
        if let t = e.techniques { parts.append("techniques \(list(t.sorted()))") }
        if let n = e.resultCount { parts.append("resultCount \(n)") }
        if !e.entities.isEmpty { parts.append("entities " + e.entities.map { describe($0) }.joined(separator: ", ")) }
        return parts.isEmpty ? "any alert" : parts.joined(separator: ", ")
    }

    private static func describe(_ a: Alert) -> String {
        let entities = a.entities.prefix(20).map { describe($0) }.joined(separator: ", ") + (a.entities.count > 20 ? ", ..." : "")
        return "`\(a.name)`, severity \(a.severity.rawValue), techniques \(list(a.techniques)), resultCount \(a.resultCount), "
            + "entities \(entities.isEmpty ? "none" : entities), tick \(KustoTime.isoString(a.firstTick))"
    }
}
