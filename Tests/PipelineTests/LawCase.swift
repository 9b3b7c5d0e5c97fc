import Columnar
import Detection
import Evaluation
import KQL
import Matcher
import Rules
import Synchronization
import Tables

/// Rules over a log, with everything that follows from the seed.
struct LawCase {
    let seed: UInt64
    let log: RandomLog
    let rules: [AnalyticsRule]
    let programs: [RuleProgram]
    /// What the queries mean, bound without any folding.
    let plans: [Plan]
    let mode: DetectionOptions.Mode
    let coldRaise: Bool
    /// The logs are said to be complete up to here; nil: unknown.
    let completeThrough: Int64?
    /// Compiled literals, which all engines after the first read back.
    let literals = LiteralMemory()

    static let functions = FunctionRegistry.standard
    static let catalog = LogGenerator.catalog

    struct Unbound: Error, CustomStringConvertible {
        let description: String
    }

    /// A query that does not bind is a flaw of the generator and throws.
    init(seed: UInt64, rules count: Int) throws {
        var g = Generator(seed)
        let scale = g.chance(75) ? TimeScale.minutes : .hours
        var logs = LogGenerator(seed: g.next(), scale: scale)
        let log = logs.log()
        // Some rules read tables that bring nothing.
        let brought = Set(log.sources.joined().map(\.table)).sorted()
        var rules = RuleGenerator(seed: g.next(), scale: scale, tables: brought + brought + brought + [g.pick(RuleGenerator.tableNames)])
        let highest = log.sources.joined().map(\.time).max() ?? log.start
        try self.init(
            seed: seed, log: log, rules: (0..<count).map { rules.rule($0) }, mode: g.chance(15) ? .parity : .streaming,
            coldRaise: g.chance(40), completeThrough: g.chance(25) ? highest + g.upTo(20) * scale.unit : nil)
    }

    /// A rule of each shape, as a cache gives them back.
    init(seed: UInt64, shapes: [RuleShape], dense: Bool = false) throws {
        var g = Generator(seed)
        let scale = g.chance(75) ? TimeScale.minutes : .hours
        var logs = LogGenerator(seed: g.next(), scale: scale)
        let log = logs.log(dense: dense)
        let brought = Set(log.sources.joined().map(\.table)).sorted()
        var rules = RuleGenerator(seed: g.next(), scale: scale, tables: brought)
        rules.isLoose = true
        try self.init(
            seed: seed, log: log, rules: shapes.enumerated().map { rules.rule($0.offset, shape: $0.element) },
            mode: g.chance(15) ? .parity : .streaming, isCached: true)
    }

    /// `stale`: what the cache gives for a rule, by position, as if the rule had not changed.
    init(
        seed: UInt64, log: RandomLog, rules: [AnalyticsRule], mode: DetectionOptions.Mode = .streaming, coldRaise: Bool = true,
        completeThrough: Int64? = nil, isCached: Bool? = nil, stale: [Int: AnalyticsRule]? = nil
    ) throws {
        self.seed = seed
        self.log = log
        self.rules = rules
        self.mode = mode
        self.coldRaise = coldRaise
        self.completeThrough = completeThrough
        let stale = stale ?? [:]
        let compiler = RuleCompiler(functions: LawCase.functions, schemas: LawCase.catalog)
        var programs: [RuleProgram] = []
        var plans: [Plan] = []
        for rule in rules {
            let compiled = compiler.compile(stale[programs.count] ?? rule)
            let bound = Binder(functions: LawCase.functions, schemas: LawCase.catalog).bind(SyntaxTree.parse(rule.query))
            guard let program = compiled.program, let plan = bound.plan else {
                throw Unbound(
                    description: "seed \(seed): " + compiled.diagnostics.map { "\($0.code) \($0.message)" }.joined(separator: "; ") + "\n"
                        + rule.query)
            }
            // Every other case runs programs as a cache gives them back.
            programs.append(isCached ?? seed.isMultiple(of: 2) ? try LawCase.reread(program) : program)
            plans.append(plan)
        }
        self.programs = programs
        self.plans = plans
    }

    private static func reread(_ program: RuleProgram) throws -> RuleProgram {
        var w = PackedWriter()
        try program.write(to: &w)
        var r = PackedReader(w.bytes)
        var parts = StoredParts()
        return try RuleProgram(from: &r, of: w.bytes, file: program.rule.file, functions: functions, parts: &parts)
    }

    var options: DetectionOptions {
        var o = DetectionOptions()
        o.mode = mode
        // Whatever it costs: indexes are to be seen.
        o.joinIndexTicks = 0
        o.coldRaise = coldRaise
        return o
    }

    /// What a failure says of a rule.
    func describe(_ rule: Int) -> String {
        let r = rules[rule]
        let p = programs[rule]
        func units(_ t: Int64) -> String { "\(Double(t) / Double(log.scale.unit))\(log.scale.suffix)" }
        return """
            seed \(seed), rule \(rule), \(mode.rawValue), \(log.recordCount) records in \(log.sources.count) sources, lateness \(units(log.lateness))
            \(r.kind.rawValue) every \(units(r.queryFrequency)) over \(units(r.queryPeriod)), trigger \(r.triggerOperator.rawValue) \
            \(r.triggerThreshold), \(r.grouping.rawValue), suppression \(r.suppression.map(units) ?? "off"), monotone \(p.isMonotone), \
            row-local \(p.isRowLocal), baseline \(p.isBaseline), empty ticks \(p.needsEmptyTicks)
            \(r.query)
            """
    }
}

/// Keeps compiled literals as the rule cache does, without a folder.
final class LiteralMemory: LiteralStore {
    private let known = Mutex<[String: [UInt8]]>([:])
    func load(_ name: String) -> [UInt8]? { known.withLock { $0[name] } }
    func save(_ name: String, _ bytes: [UInt8]) { known.withLock { $0[name] = bytes } }
}

/// Cells, rows and alerts as text that is equal exactly when they are.
enum Canonical {
    static func cell(_ v: Value) -> String {
        switch v {
        case .null: "null"
        case .real(let d): "\(d)"
        case .dynamic(let d): JSONText.compact(d)
        case .guid(let g): String(g, radix: 16)
        case .datetime(let t): KustoTime.isoString(t)
        case .string(let s): "'" + s + "'"
        default: "\(v)"
        }
    }

    /// The rows as sorted texts, columns with name and type.
    static func rows(_ columns: [BoundColumn], _ batches: [Batch], only names: [String]? = nil) -> [String] {
        let positions = (names ?? columns.map(\.name)).compactMap { n in columns.firstIndex { $0.name == n } }
        return batches.flatMap { b in
            (0..<b.count).map { row in
                positions.map { "\(columns[$0].name):\(columns[$0].type.rawValue)=\(cell(b.columns[$0].value(row)))" }
                    .joined(separator: " ")
            }
        }.sorted()
    }

    /// Everything of an alert that does not depend on when its rows arrived.
    static func alert(_ a: Alert, revision: Bool) -> String {
        var a = a
        if !revision { a.revision = 0 }
        a.evidence = a.evidence.map { Evidence(key: $0.key, table: "", raw: nil) }
        return a.jsonLine
    }
}
