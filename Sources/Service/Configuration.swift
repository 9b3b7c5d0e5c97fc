import Columnar
import Detection
import Evaluation
import Glibc
import Ingest
import KQL
import Sinks

/// A mistake in the configuration: which key, what is wrong, where.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Everything that `vedette run` can be told: by flag, by environment, by file, in this order of precedence.
public struct VedetteConfiguration: Sendable {
    public struct Output: Sendable, Hashable {
        public enum Kind: Sendable, Hashable {
            case stdout
            case file(path: String)
            case syslog(SyslogSink.Address)
        }
        public var kind: Kind
        public var format: AlertFormat
    }

    public var rules: [String] = []
    /// Saved functions, watchlists, external data.
    public var content = ContentSettings()
    /// Ticks of wall time after which the files of functions and watchlists are looked at for changes.
    public var contentCheck: Int64 = KustoTime.ticksPerMinute
    public var inputs: [TailSpec] = []
    /// `-`: read standard input until it ends, instead of following files.
    public var readsStandardInput = false
    public var stateDirectory = "/var/lib/vedette"
    public var startAt = TailSet.StartAt.end
    public var mode = DetectionOptions.Mode.streaming
    /// Ticks by table; `default` for all others.
    public var lateness: [String: Int64] = VedetteConfiguration.defaultLateness
    /// Ticks of wall time after which a silent source stops holding back the others.
    public var idleTimeout: Int64 = 10 * KustoTime.ticksPerMinute
    public var outputs: [Output] = []
    public var deadLetterPath: String?
    public var deadLetterBytes = 64 << 20
    public var deadLetterFiles = 4
    public var latePath: String?
    public var lateBytes = 64 << 20
    public var lateFiles = 4
    public var outbox = OutboxLimits()
    public var limits = IngestLimits()
    /// Rows that one rule may retain in memory and on the disk, and bytes of raw records kept for evidence by all.
    /// Percent of one processor that a rule's own work may take before it is reported.
    public var ruleProcessorPercent = 20
    public var ruleRows = DetectionOptions().retainedRowsPerRule
    public var spilledRows = DetectionOptions().spilledRowsPerRule
    public var evidenceBytes = DetectionOptions().evidenceBudget
    /// What one evaluation of a rule's query may use: rows of its result, bytes that an operator may hold (nil: no limit), seconds.
    public var queryRows = EvaluationLimits().resultRows
    public var queryBytes: Int?
    public var querySeconds: Double? = 600
    /// What one regular expression may take.
    public var regexBytes = 8 << 20
    /// Files that are gone and whose data is still known.
    public var rememberedFiles = 10_000
    public var logLevel = "info"
    public var logFormat = "text"
    /// Ticks of wall time that an alert is kept after it was last written, and that the raw records in it are; nil: for ever.
    public var alertRetention: Int64?
    public var evidenceRetention: Int64?
    public var checkpointInterval: Int64 = KustoTime.ticksPerSecond
    /// 0: one a processor.
    public var threads = 0
    public var isStrict = false
    public var coldRaise = false
    public var failOnDeadLetter = false
    /// Off only in tests that prove what checkpoints are for.
    public var checkpoints = true

    public init() {}

    /// `docs/semantics.md`, "Streaming, lateness, absence".
    public static let defaultLateness: [String: Int64] = [
        "default": 5 * KustoTime.ticksPerMinute, "SigninLogs": 30 * KustoTime.ticksPerMinute, "AuditLogs": 30 * KustoTime.ticksPerMinute,
        "AADNonInteractiveUserSignInLogs": 30 * KustoTime.ticksPerMinute, "AADServicePrincipalSignInLogs": 30 * KustoTime.ticksPerMinute,
        "AADManagedIdentitySignInLogs": 30 * KustoTime.ticksPerMinute, "AWSCloudTrail": 20 * KustoTime.ticksPerMinute,
    ]

    /// The lateness of a table.
    public var latenessOf: @Sendable (String) -> Int64 {
        let table = lateness
        return { table[$0] ?? table["default"] ?? 0 }
    }

    /// What one evaluation of a rule's query may use.
    public var queryLimits: EvaluationLimits {
        var limits = EvaluationLimits(resultRows: queryRows)
        limits.memoryBytes = queryBytes
        limits.seconds = querySeconds
        limits.settings = [.resultRows: "limits.query_rows", .memoryBytes: "limits.query_bytes", .seconds: "limits.query_time"]
        return limits
    }

    public var effectiveThreads: Int { threads > 0 ? threads : max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    // MARK: Settings by name

    /// Keys that take one value; the flag is the key with dashes, the variable `VEDETTE_` and the key in capitals, dots as underscores.
    public static let keys = [
        "rules", "inputs", "input", "state_dir", "start_at", "mode", "lateness", "idle_timeout", "outputs", "dead_letter.path",
        "dead_letter.max_bytes", "dead_letter.max_files", "late.path", "late.max_bytes", "late.max_files", "outbox.max_alerts",
        "outbox.max_bytes", "outbox.when_full", "limits.record_bytes", "limits.depth", "limits.expansion_ratio", "limits.rule_rows",
        "limits.rule_cpu", "limits.spilled_rows", "limits.evidence_bytes", "limits.query_rows", "limits.query_bytes", "limits.query_time",
        "limits.regex_bytes",
        "limits.remembered_files", "log.level", "log.format", "retention.alerts",
        "retention.evidence", "checkpoint_interval", "threads", "strict", "cold_raise",
        "fail_on_dead_letter", "checkpoints", "functions", "watchlists", "watchlist_keys", "geo_database", "user_agents", "content_check",
        "external.allow",
        "external.allow_private", "external.refresh", "external.timeout", "external.max_bytes",
    ]

    /// The environment variable of a key.
    public static func variable(_ key: String) -> String {
        "VEDETTE_" + String(key.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// Keys that take a list.
    static let lists: Set<String> = [
        "rules", "inputs", "outputs", "lateness", "functions", "watchlists", "watchlist_keys", "external.allow",
    ]

    /// Sets a key from text. Lists take values separated by commas. `origin` stands in the error: a flag, a variable, a file and line.
    public mutating func set(_ key: String, _ text: String, origin: String) throws {
        try set(key, VedetteConfiguration.lists.contains(key) ? text.split(separator: ",").map(String.init) : [text], origin: origin)
    }

    /// Sets a key from its values: one, but for lists.
    public mutating func set(_ key: String, _ values: [String], origin: String) throws {
        let text = values.joined(separator: ",")
        func bad(_ wanted: String) -> ConfigurationError { ConfigurationError("\(origin): `\(text)` is not \(wanted)") }
        func list() throws -> [String] {
            let items = values.filter { !$0.isEmpty }
            guard !items.isEmpty else { throw ConfigurationError("\(origin): the list is empty") }
            return items
        }
        func duration() throws -> Int64 {
            guard let d = Durations.parse(text) else { throw bad("a duration such as 30s, 5m, 2h or 7d") }
            return d
        }
        func number(_ range: ClosedRange<Int>) throws -> Int {
            guard let n = Int(text), range.contains(n) else { throw bad("a whole number from \(range.lowerBound) to \(range.upperBound)") }
            return n
        }
        func path() throws -> String {
            guard !text.isEmpty, !text.utf8.contains(0) else { throw bad("a path") }
            return text
        }
        func flag() throws -> Bool {
            switch text.lowercased() {
            case "true", "yes", "on", "1": return true
            case "false", "no", "off", "0": return false
            default: throw bad("true or false")
            }
        }
        switch key {
        case "rules": rules = try list()
        case "inputs":
            inputs = try list().map { item in
                guard let eq = item.firstIndex(of: "="), item[..<eq].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else {
                    return TailSpec(pattern: item)
                }
                return TailSpec(pattern: String(item[item.index(after: eq)...]), table: String(item[..<eq]))
            }
        case "input":
            if text == "-" { readsStandardInput = true } else { inputs = [TailSpec(pattern: try path())] }
        case "state_dir": stateDirectory = try path()
        case "start_at":
            guard let v = TailSet.StartAt(rawValue: text) else { throw bad("end or beginning") }
            startAt = v
        case "mode":
            guard let v = DetectionOptions.Mode(rawValue: text) else { throw bad("streaming or parity") }
            mode = v
        case "lateness":
            for item in try list() {
                let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
                guard let last = parts.last, let d = Durations.parse(last) else { throw bad("a duration, or Table=duration") }
                if parts.count == 2 {
                    lateness[parts[0]] = d
                } else {
                    // A bare duration is meant for every table.
                    lateness = ["default": d]
                }
            }
        case "idle_timeout": idleTimeout = try duration()
        case "outputs": outputs = try list().map { try VedetteConfiguration.output($0, origin: origin) }
        case "dead_letter.path": deadLetterPath = try path()
        case "dead_letter.max_bytes": deadLetterBytes = try number(4096...1 << 40)
        case "dead_letter.max_files": deadLetterFiles = try number(1...1000)
        case "late.path": latePath = try path()
        case "late.max_bytes": lateBytes = try number(4096...1 << 40)
        case "late.max_files": lateFiles = try number(1...1000)
        case "outbox.max_alerts": outbox.alerts = try number(1...100_000_000)
        case "outbox.max_bytes": outbox.bytes = try number(4096...1 << 40)
        case "outbox.when_full":
            guard let v = OutboxLimits.WhenFull(rawValue: text) else { throw bad("pause or drop_oldest") }
            outbox.whenFull = v
        case "limits.record_bytes": limits.recordBytes = try number(1024...256 << 20)
        case "limits.depth": limits.depth = try number(4...1000)
        case "limits.expansion_ratio": limits.expansionRatio = try number(2...1_000_000)
        case "limits.rule_cpu": ruleProcessorPercent = try number(1...100_000)
        case "limits.rule_rows": ruleRows = try number(1...1 << 40)
        case "limits.spilled_rows": spilledRows = try number(0...1 << 40)
        case "limits.evidence_bytes": evidenceBytes = try number(0...1 << 40)
        case "limits.query_rows": queryRows = try number(1...1 << 40)
        case "limits.query_bytes":
            let n = try number(0...1 << 45)
            queryBytes = n == 0 ? nil : n
        case "limits.query_time":
            let ticks = try duration()
            querySeconds = ticks == 0 ? nil : Double(ticks) / Double(KustoTime.ticksPerSecond)
        case "limits.regex_bytes": regexBytes = try number(64 << 10...1 << 32)
        case "limits.remembered_files": rememberedFiles = try number(0...10_000_000)
        case "log.level":
            guard ["debug", "info", "notice", "warning", "error"].contains(text) else { throw bad("debug, info, notice, warning or error") }
            logLevel = text
        case "log.format":
            guard ["text", "json"].contains(text) else { throw bad("text or json") }
            logFormat = text
        case "retention.alerts": alertRetention = try duration()
        case "retention.evidence": evidenceRetention = try duration()
        case "checkpoint_interval": checkpointInterval = try duration()
        case "threads": threads = try number(0...1024)
        case "strict": isStrict = try flag()
        case "cold_raise": coldRaise = try flag()
        case "fail_on_dead_letter": failOnDeadLetter = try flag()
        case "checkpoints": checkpoints = try flag()
        case "content_check": contentCheck = try duration()
        case _ where VedetteConfiguration.isContent(key): try setContent(key, values, origin: origin)
        default: throw ConfigurationError("\(origin): \(VedetteConfiguration.unknown(key))")
        }
    }

    static func unknown(_ key: String) -> String {
        "there is no setting `\(key)`; "
            + (Suggestions.nearest(key, in: keys).map { "did you mean `\($0)`?" } ?? "the settings are " + keys.joined(separator: ", "))
    }

    /// `stdout`, `stdout:table`, `file:PATH`, `syslog:unix:/dev/log`.
    static func output(_ text: String, origin: String) throws -> Output {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        switch parts[0] {
        case "stdout" where parts.count == 1: return Output(kind: .stdout, format: .jsonl)
        case "stdout":
            if let format = AlertFormat(rawValue: parts[1]) { return Output(kind: .stdout, format: format) }
        case "file" where parts.count == 2: return Output(kind: .file(path: parts[1]), format: .jsonl)
        case "syslog" where parts.count == 2:
            if let a = SyslogSink.Address(parts[1]) { return Output(kind: .syslog(a), format: .jsonl) }
        default: break
        }
        throw ConfigurationError(
            "\(origin): `\(text)` is not stdout, stdout:table, file:PATH, syslog:unix:PATH, syslog:udp:HOST:PORT or syslog:tcp:HOST:PORT")
    }

    /// Takes every `VEDETTE_…` variable. Others are left alone: the prefix is not ours alone.
    public mutating func apply(environment: [String: String]) throws {
        for key in VedetteConfiguration.keys {
            let name = VedetteConfiguration.variable(key)
            if let text = environment[name] { try set(key, text, origin: name) }
        }
    }

    /// What is missing or contradictory before a start.
    public func validate() throws {
        if rules.isEmpty { throw ConfigurationError("no rules: name rule files or folders with `rules:` or --rules") }
        if !readsStandardInput, inputs.isEmpty {
            throw ConfigurationError("nothing to read: name files with `inputs:` or --inputs, or use --input -")
        }
        var names: Set<Output.Kind> = []
        for o in outputs where !names.insert(o.kind).inserted {
            throw ConfigurationError("two outputs write to the same place: every one needs its own")
        }
        if readsStandardInput, !inputs.isEmpty { throw ConfigurationError("`input: -` and `inputs` exclude each other") }
    }
}
