import Columnar
import Detection
import Glibc
import Ingest
import Sinks
import Yams

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
    public var limits = IngestLimits()
    public var logLevel = "info"
    public var logFormat = "text"
    /// Ticks that closed alerts are kept; nil: for ever.
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

    public var effectiveThreads: Int { threads > 0 ? threads : max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    // MARK: Settings by name

    /// Keys that take one value; the flag is the key with dashes, the variable `VEDETTE_` and the key in capitals, dots as underscores.
    public static let keys = [
        "rules", "inputs", "input", "state_dir", "start_at", "mode", "lateness", "idle_timeout", "outputs", "dead_letter.path",
        "dead_letter.max_bytes", "dead_letter.max_files", "limits.record_bytes", "limits.depth", "limits.expansion_ratio", "log.level",
        "log.format", "retention.alerts", "retention.evidence", "checkpoint_interval", "threads", "strict", "cold_raise",
        "fail_on_dead_letter", "checkpoints",
    ]

    /// The environment variable of a key.
    public static func variable(_ key: String) -> String {
        "VEDETTE_" + String(key.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// Sets a key from text. Lists take values separated by commas. `origin` stands in the error: a flag, a variable, a file and line.
    public mutating func set(_ key: String, _ text: String, origin: String) throws {
        func bad(_ wanted: String) -> ConfigurationError { ConfigurationError("\(origin): `\(text)` is not \(wanted)") }
        func list() -> [String] { text.split(separator: ",").map { String($0) }.filter { !$0.isEmpty } }
        func duration() throws -> Int64 {
            guard let d = Durations.parse(text) else { throw bad("a duration such as 30s, 5m, 2h or 7d") }
            return d
        }
        func number(_ range: ClosedRange<Int>) throws -> Int {
            guard let n = Int(text), range.contains(n) else { throw bad("a whole number from \(range.lowerBound) to \(range.upperBound)") }
            return n
        }
        func flag() throws -> Bool {
            switch text.lowercased() {
            case "true", "yes", "on", "1": return true
            case "false", "no", "off", "0": return false
            default: throw bad("true or false")
            }
        }
        switch key {
        case "rules": rules = list()
        case "inputs":
            inputs = list().map { item in
                guard let eq = item.firstIndex(of: "="), item[..<eq].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else {
                    return TailSpec(pattern: item)
                }
                return TailSpec(pattern: String(item[item.index(after: eq)...]), table: String(item[..<eq]))
            }
        case "input":
            if text == "-" { readsStandardInput = true } else { inputs = [TailSpec(pattern: text)] }
        case "state_dir": stateDirectory = text
        case "start_at":
            guard let v = TailSet.StartAt(rawValue: text) else { throw bad("end or beginning") }
            startAt = v
        case "mode":
            guard let v = DetectionOptions.Mode(rawValue: text) else { throw bad("streaming or parity") }
            mode = v
        case "lateness":
            for item in list() {
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
        case "dead_letter.path": deadLetterPath = text
        case "dead_letter.max_bytes": deadLetterBytes = try number(4096...1 << 40)
        case "dead_letter.max_files": deadLetterFiles = try number(1...1000)
        case "limits.record_bytes": limits.recordBytes = try number(1024...256 << 20)
        case "limits.depth": limits.depth = try number(4...1000)
        case "limits.expansion_ratio": limits.expansionRatio = try number(2...1_000_000)
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
        default: throw ConfigurationError("\(origin): there is no setting `\(key)`")
        }
    }

    /// `stdout`, `stdout:table`, `file:PATH`, `syslog:unix:/dev/log`.
    static func output(_ text: String, origin: String) throws -> Output {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        switch parts[0] {
        case "stdout": return Output(kind: .stdout, format: parts.count > 1 ? AlertFormat(rawValue: parts[1]) ?? .jsonl : .jsonl)
        case "file" where parts.count == 2: return Output(kind: .file(path: parts[1]), format: .jsonl)
        case "syslog" where parts.count == 2:
            if let a = SyslogSink.Address(parts[1]) { return Output(kind: .syslog(a), format: .jsonl) }
        default: break
        }
        throw ConfigurationError(
            "\(origin): `\(text)` is not stdout, file:PATH, syslog:unix:PATH, syslog:udp:HOST:PORT or syslog:tcp:HOST:PORT")
    }

    /// Takes every `VEDETTE_…` variable; an unknown one is a mistake worth telling.
    public mutating func apply(environment: [String: String]) throws {
        for key in VedetteConfiguration.keys {
            let name = VedetteConfiguration.variable(key)
            if let text = environment[name] { try set(key, text, origin: name) }
        }
    }

    // MARK: The file

    /// Reads a configuration file over the present values.
    public mutating func apply(file path: String) throws {
        let text = try TextFile.read(path, limit: 1 << 20)
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch { throw ConfigurationError("\(path): \(error)") }
        guard let node else { return }
        guard let root = node.mapping else { throw ConfigurationError("\(path): not a map of settings") }
        for (keyNode, value) in root {
            let key = keyNode.string ?? ""
            let origin = "\(path):\(keyNode.mark.map { "\($0.line):\($0.column)" } ?? "1:1"): \(key)"
            switch key {
            case "rules": rules = try VedetteConfiguration.strings(value, origin)
            case "inputs":
                inputs = try (value.sequence.map(Array.init) ?? [value]).map { try VedetteConfiguration.input($0, origin) }
            case "outputs":
                outputs = try (value.sequence.map(Array.init) ?? [value]).map { try VedetteConfiguration.outputNode($0, origin) }
            case "lateness":
                if let map = value.mapping {
                    for (table, d) in map {
                        guard let name = table.string, let s = d.string, let ticks = Durations.parse(s) else {
                            throw ConfigurationError("\(origin): every table needs a duration such as 20m")
                        }
                        lateness[name] = ticks
                    }
                } else {
                    try set(key, value.string ?? "", origin: origin)
                }
            case "dead_letter", "limits", "log", "retention":
                guard let map = value.mapping else { throw ConfigurationError("\(origin): expected a map") }
                for (sub, v) in map {
                    let name = "\(key).\(sub.string ?? "")"
                    guard VedetteConfiguration.keys.contains(name) else {
                        throw ConfigurationError(
                            "\(path):\(sub.mark.map { "\($0.line):\($0.column)" } ?? "1:1"): there is no setting `\(name)`")
                    }
                    try set(name, v.string ?? "", origin: origin + "." + (sub.string ?? ""))
                }
            default:
                guard VedetteConfiguration.keys.contains(key), let s = value.string else {
                    throw ConfigurationError(
                        "\(path):\(keyNode.mark.map { "\($0.line):\($0.column)" } ?? "1:1"): there is no setting `\(key)`; the settings are "
                            + VedetteConfiguration.keys.joined(separator: ", "))
                }
                try set(key, s, origin: origin)
            }
        }
    }

    private static func strings(_ node: Node, _ origin: String) throws -> [String] {
        if let s = node.string { return [s] }
        guard let list = node.sequence else { throw ConfigurationError("\(origin): expected a list") }
        return try list.map {
            guard let s = $0.string else { throw ConfigurationError("\(origin): expected a list of texts") }
            return s
        }
    }

    private static func input(_ node: Node, _ origin: String) throws -> TailSpec {
        if let s = node.string { return TailSpec(pattern: s) }
        guard let map = node.mapping, let path = map["path"]?.string else { throw ConfigurationError("\(origin): an input needs a `path`") }
        for (k, _) in map where !["path", "table", "format"].contains(k.string ?? "") {
            throw ConfigurationError("\(origin): an input has no `\(k.string ?? "")`; it takes path, table and format")
        }
        if let format = map["format"]?.string, format != "auto" {
            throw ConfigurationError(
                "\(origin): format `\(format)` is not supported; `auto` finds JSON lines, arrays and envelopes by itself")
        }
        return TailSpec(pattern: path, table: map["table"]?.string)
    }

    private static func outputNode(_ node: Node, _ origin: String) throws -> Output {
        if let s = node.string { return try output(s, origin: origin) }
        guard let map = node.mapping, let type = map["type"]?.string else {
            throw ConfigurationError("\(origin): an output needs a `type`")
        }
        var out: Output
        switch type {
        case "stdout": out = Output(kind: .stdout, format: .jsonl)
        case "file":
            guard let path = map["path"]?.string else { throw ConfigurationError("\(origin): a file output needs a `path`") }
            out = Output(kind: .file(path: path), format: .jsonl)
        case "syslog":
            guard let a = map["address"]?.string.flatMap({ SyslogSink.Address($0) }) else {
                throw ConfigurationError("\(origin): a syslog output needs an `address`: unix:/dev/log, udp:host:port or tcp:host:port")
            }
            out = Output(kind: .syslog(a), format: .jsonl)
        default: throw ConfigurationError("\(origin): output type `\(type)` is not stdout, file or syslog")
        }
        if let f = map["format"]?.string {
            guard let format = AlertFormat(rawValue: f) else {
                throw ConfigurationError("\(origin): output format `\(f)` is not jsonl or table")
            }
            out.format = format
        }
        return out
    }

    /// What is missing or contradictory before a start.
    public func validate() throws {
        if rules.isEmpty { throw ConfigurationError("no rules: name rule files or folders with `rules:` or --rules") }
        if !readsStandardInput, inputs.isEmpty {
            throw ConfigurationError("nothing to read: name files with `inputs:` or --inputs, or use --input -")
        }
        if readsStandardInput, !inputs.isEmpty { throw ConfigurationError("`input: -` and `inputs` exclude each other") }
    }
}

/// Durations as people write them.
public enum Durations {
    /// `90s`, `5m`, `2h`, `30d`, `250ms`, or `hh:mm:ss`; in ticks. Nil for anything else, negative ones included.
    public static func parse(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit: Int64
        switch text.dropFirst(digits.count) {
        case "ms": unit = KustoTime.ticksPerMillisecond
        case "s": unit = KustoTime.ticksPerSecond
        case "m", "min": unit = KustoTime.ticksPerMinute
        case "h": unit = KustoTime.ticksPerHour
        case "d": unit = KustoTime.ticksPerDay
        default: return text.contains(":") ? KustoTime.parseTimespan(text).flatMap { $0 >= 0 ? $0 : nil } : nil
        }
        guard let n = Int64(digits) else { return nil }
        let (ticks, overflow) = n.multipliedReportingOverflow(by: unit)
        return overflow ? nil : ticks
    }

    /// `3d 4h`, `5m`, `12s`: the two largest units.
    public static func describe(_ ticks: Int64) -> String {
        var rest = max(0, ticks)
        var parts: [String] = []
        for (name, unit) in [
            ("d", KustoTime.ticksPerDay), ("h", KustoTime.ticksPerHour), ("m", KustoTime.ticksPerMinute), ("s", KustoTime.ticksPerSecond),
        ] {
            let n = rest / unit
            if n > 0 { parts.append("\(n)\(name)") }
            rest %= unit
        }
        return parts.isEmpty ? "0s" : parts.prefix(2).joined(separator: " ")
    }
}

/// Small text files, read whole.
public enum TextFile {
    /// Throws with the path and the reason; larger files than `limit` bytes are refused.
    public static func read(_ path: String, limit: Int) throws -> String {
        let input: FileInput
        do { input = try FileInput(path: path) } catch { throw ConfigurationError("\(error)") }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        var all: [UInt8] = []
        while true {
            let n: Int
            do { n = try bytes.withUnsafeMutableBytes { try input.read(into: $0) } } catch { throw ConfigurationError("\(error)") }
            if n == 0 { break }
            all += bytes.prefix(n)
            if all.count > limit { throw ConfigurationError("\(path): longer than \(limit) bytes") }
        }
        guard let text = String(validating: all, as: UTF8.self) else { throw ConfigurationError("\(path): not UTF-8") }
        return text
    }
}
