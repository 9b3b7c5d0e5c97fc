import ArgumentParser
import Dispatch
import Glibc
import Logging
import Matcher
import Service
import Tables

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The daemon: follows logs, detects, keeps its state.",
        discussion: """
            Every setting is a key of the configuration file, a flag, and an environment variable (VEDETTE_STATE_DIR for --state-dir); \
            a flag wins over the environment, the environment over the file.

            SIGTERM drains and stops. SIGHUP reads the rules again (a bad file is reported and the old set stays) and reopens outputs. \
            State (positions, windows, alerts) is in the state directory and survives kill -9.

              vedette run --config /etc/vedette/vedette.yaml
              journalctl -f -o cat | vedette run --rules rules/ --input - --state-dir /tmp/v --outputs stdout
            """)

    @Option(help: ArgumentHelp("Configuration file (YAML).", valueName: "path"))
    var config: String?
    @Flag(help: "Check configuration and rules, then exit.")
    var checkConfig = false
    @Flag(help: "Stop when everything that is there has been read, finishing all windows as replay does.")
    var exitWhenIdle = false

    @Option(help: ArgumentHelp("Rule files or folders.", valueName: "path"))
    var rules: [String] = []
    @Option(help: ArgumentHelp("Files, folders or globs to follow; Table=path names their table.", valueName: "path"))
    var inputs: [String] = []
    @Option(help: ArgumentHelp("- reads standard input until it ends.", valueName: "-"))
    var input: String?
    @Option(help: ArgumentHelp("Where the state is kept.", valueName: "dir"))
    var stateDir: String?
    @Option(help: ArgumentHelp("Where files seen for the first time are read from: end or beginning.", valueName: "place"))
    var startAt: String?
    @Option(help: ArgumentHelp("streaming or parity.", valueName: "mode"))
    var mode: String?
    @Option(help: ArgumentHelp("Allowed disorder: a duration, or Table=duration, separated by commas.", valueName: "duration"))
    var lateness: String?
    @Option(help: ArgumentHelp("A silent source stops holding back others after this time.", valueName: "duration"))
    var idleTimeout: String?
    @Option(help: ArgumentHelp("stdout, file:PATH, syslog:unix:PATH, syslog:udp:HOST:PORT, syslog:tcp:HOST:PORT.", valueName: "output"))
    var outputs: [String] = []
    @Option(help: ArgumentHelp("File for records that cannot be read.", valueName: "path"))
    var deadLetterPath: String?
    @Option(help: ArgumentHelp("Size at which the dead-letter file is rotated.", valueName: "bytes"))
    var deadLetterMaxBytes: String?
    @Option(help: ArgumentHelp("Dead-letter files kept.", valueName: "n"))
    var deadLetterMaxFiles: String?
    @Option(help: ArgumentHelp("Largest record.", valueName: "bytes"))
    var limitsRecordBytes: String?
    @Option(help: ArgumentHelp("Deepest nesting of a record.", valueName: "n"))
    var limitsDepth: String?
    @Option(help: ArgumentHelp("Largest ratio of inflated to compressed bytes.", valueName: "n"))
    var limitsExpansionRatio: String?
    @Option(help: ArgumentHelp("debug, info, notice, warning or error.", valueName: "level"))
    var logLevel: String?
    @Option(help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat: String?
    @Option(help: ArgumentHelp("How long alerts are kept.", valueName: "duration"))
    var retentionAlerts: String?
    @Option(help: ArgumentHelp("How long evidence is kept.", valueName: "duration"))
    var retentionEvidence: String?
    @Option(help: ArgumentHelp("Most time between checkpoints.", valueName: "duration"))
    var checkpointInterval: String?
    @Option(help: ArgumentHelp("Threads; 0 takes one a processor.", valueName: "n"))
    var threads: String?
    @Flag(help: "A rule that is not valid makes the start fail.")
    var strict = false
    @Flag(help: "Baseline rules raise even without their history.")
    var coldRaise = false
    @Flag(help: "Exit with 1 if a record could not be read.")
    var failOnDeadLetter = false
    @Option(help: .hidden)
    var checkpoints: String?

    private func settings() throws -> VedetteConfiguration {
        var c = VedetteConfiguration()
        if let config { try c.apply(file: config) }
        var environment: [String: String] = [:]
        for key in VedetteConfiguration.keys {
            let name = VedetteConfiguration.variable(key)
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        try c.apply(environment: environment)
        let flags: [(String, String?)] = [
            ("rules", rules.isEmpty ? nil : rules.joined(separator: ",")), ("inputs", inputs.isEmpty ? nil : inputs.joined(separator: ",")),
            ("input", input), ("state_dir", stateDir), ("start_at", startAt), ("mode", mode), ("lateness", lateness),
            ("idle_timeout", idleTimeout), ("outputs", outputs.isEmpty ? nil : outputs.joined(separator: ",")),
            ("dead_letter.path", deadLetterPath), ("dead_letter.max_bytes", deadLetterMaxBytes),
            ("dead_letter.max_files", deadLetterMaxFiles),
            ("limits.record_bytes", limitsRecordBytes), ("limits.depth", limitsDepth), ("limits.expansion_ratio", limitsExpansionRatio),
            ("log.level", logLevel), ("log.format", logFormat), ("retention.alerts", retentionAlerts),
            ("retention.evidence", retentionEvidence), ("checkpoint_interval", checkpointInterval), ("threads", threads),
            ("checkpoints", checkpoints), ("strict", strict ? "true" : nil), ("cold_raise", coldRaise ? "true" : nil),
            ("fail_on_dead_letter", failOnDeadLetter ? "true" : nil),
        ]
        for (key, value) in flags {
            if let value {
                if key == "input", value == "-" { c.inputs = [] }
                if key == "inputs" { c.readsStandardInput = false }
                try c.set(key, value, origin: "--" + key.map { $0 == "_" || $0 == "." ? "-" : String($0) }.joined())
            }
        }
        try c.validate()
        return c
    }

    func run() throws {
        let c: VedetteConfiguration
        do { c = try settings() } catch { throw fail("\(error)", ExitStatus.usage) }
        let log = VedetteLog.make(level: c.logLevel, format: c.logFormat)
        let load: @Sendable () throws -> RuleBook = { try RuleBook.load(c.rules, catalog: .init()) }
        let book = try load()
        if checkConfig {
            book.reportRefused()
            Terminal.out("configuration is valid; \(book.programs.count) rules load, \(book.refused.count) are refused")
            if !book.refused.isEmpty { throw ExitStatus.invalid }
            return
        }
        for r in book.refused { log.error("rule is refused", metadata: ["file": "\(r.file)", "reason": "\(r.firstError)"]) }
        if book.programs.isEmpty { throw fail("no rule could be loaded from \(c.rules.joined(separator: ", "))", ExitStatus.invalid) }
        if c.isStrict, !book.refused.isEmpty { throw ExitStatus.invalid }

        let control = DaemonControl()
        var sources: [any DispatchSourceSignal] = []
        for (number, action) in [(SIGTERM, control.requestStop), (SIGINT, control.requestStop), (SIGHUP, control.requestReload)] {
            signal(number, SIG_IGN)
            let s = DispatchSource.makeSignalSource(signal: number, queue: .global())
            s.setEventHandler { action() }
            s.resume()
            sources.append(s)
        }
        defer { for s in sources { s.cancel() } }
        let outcome: DaemonOutcome
        do {
            let daemon = try Daemon(configuration: c, log: log, control: control, exitWhenIdle: exitWhenIdle, loadRules: load)
            outcome = try daemon.run()
        } catch { throw fail("\(error)", ExitStatus.io) }
        if c.failOnDeadLetter, outcome.deadLetters > 0 { throw ExitStatus.invalid }
    }
}
