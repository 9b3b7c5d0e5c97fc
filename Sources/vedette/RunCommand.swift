import ArgumentParser
import Detection
import Evaluation
import Glibc
import Ingest
import Logging
import Matcher
import Rules
import Service
import Tables

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "The daemon: follows logs, detects, keeps its state.",
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
    @Option(help: ArgumentHelp("File for records that came too late for every window.", valueName: "path"))
    var latePath: String?
    @Option(help: ArgumentHelp("Size at which the late file is rotated.", valueName: "bytes"))
    var lateMaxBytes: String?
    @Option(help: ArgumentHelp("Late files kept.", valueName: "n"))
    var lateMaxFiles: String?
    @Option(help: ArgumentHelp("Alerts that may wait for an output that is down.", valueName: "n"))
    var outboxMaxAlerts: String?
    @Option(help: ArgumentHelp("Bytes of alerts that may wait for an output.", valueName: "bytes"))
    var outboxMaxBytes: String?
    @Option(help: ArgumentHelp("What happens then: pause (reading stops, nothing is lost) or drop_oldest.", valueName: "action"))
    var outboxWhenFull: String?
    @Option(help: ArgumentHelp("Largest record.", valueName: "bytes"))
    var limitsRecordBytes: String?
    @Option(help: ArgumentHelp("Deepest nesting of a record.", valueName: "n"))
    var limitsDepth: String?
    @Option(help: ArgumentHelp("Largest ratio of inflated to compressed bytes.", valueName: "n"))
    var limitsExpansionRatio: String?
    @Option(help: ArgumentHelp("Rows that one rule may retain in memory; the oldest beyond go to the disk.", valueName: "n"))
    var limitsRuleRows: String?
    @Option(help: ArgumentHelp("Percent of a processor that one rule's own work may take before it is reported.", valueName: "percent"))
    var limitsRuleCpu: String?
    @Option(help: ArgumentHelp("Rows that one rule may retain on the disk; beyond, it refuses rows.", valueName: "n"))
    var limitsSpilledRows: String?
    @Option(help: ArgumentHelp("Most rows of one evaluation of a rule's query.", valueName: "rows"))
    var limitsQueryRows: String?
    @Option(help: ArgumentHelp("Most memory that one operator of a rule's query may hold; 0: no limit.", valueName: "bytes"))
    var limitsQueryBytes: String?
    @Option(help: ArgumentHelp("Most time of one evaluation of a rule's query; 0s: no limit.", valueName: "duration"))
    var limitsQueryTime: String?
    @Option(help: ArgumentHelp("Most memory of one regular expression.", valueName: "bytes"))
    var limitsRegexBytes: String?
    @Option(help: ArgumentHelp("Bytes of raw records kept for evidence.", valueName: "bytes"))
    var limitsEvidenceBytes: String?
    @Option(help: ArgumentHelp("Files that are gone and whose copies are still recognised.", valueName: "n"))
    var limitsRememberedFiles: String?
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
    @Option(help: ArgumentHelp("How often the files of functions and watchlists are looked at for changes.", valueName: "duration"))
    var contentCheck: String?
    @OptionGroup(title: "Content") var content: ContentOptions
    @Flag(help: "Compile every rule anew, and keep nothing for the next start.")
    var noCache = false
    @Option(help: .hidden)
    var checkpoints: String?

    private func one(_ value: String?) -> [String] { value.map { [$0] } ?? [] }

    private func settings() throws -> VedetteConfiguration {
        var c = VedetteConfiguration()
        if let config { try c.apply(file: config) }
        var environment: [String: String] = [:]
        for key in VedetteConfiguration.keys {
            let name = VedetteConfiguration.variable(key)
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        try c.apply(environment: environment)
        let flags: [(key: String, values: [String])] = [
            ("rules", rules.flatMap { $0.split(separator: ",").map(String.init) }),
            ("inputs", inputs.flatMap { $0.split(separator: ",").map(String.init) }), ("input", one(input)),
            ("state_dir", one(stateDir)), ("start_at", one(startAt)), ("mode", one(mode)), ("idle_timeout", one(idleTimeout)),
            ("lateness", lateness.map { $0.split(separator: ",").map(String.init) } ?? []),
            ("outputs", outputs.flatMap { $0.split(separator: ",").map(String.init) }),
            ("dead_letter.path", one(deadLetterPath)), ("dead_letter.max_bytes", one(deadLetterMaxBytes)),
            ("dead_letter.max_files", one(deadLetterMaxFiles)), ("late.path", one(latePath)), ("late.max_bytes", one(lateMaxBytes)),
            ("late.max_files", one(lateMaxFiles)), ("outbox.max_alerts", one(outboxMaxAlerts)), ("outbox.max_bytes", one(outboxMaxBytes)),
            ("outbox.when_full", one(outboxWhenFull)), ("limits.record_bytes", one(limitsRecordBytes)), ("limits.depth", one(limitsDepth)),
            ("limits.expansion_ratio", one(limitsExpansionRatio)), ("limits.rule_rows", one(limitsRuleRows)),
            ("limits.rule_cpu", one(limitsRuleCpu)),
            ("limits.spilled_rows", one(limitsSpilledRows)), ("limits.query_rows", one(limitsQueryRows)),
            ("limits.query_bytes", one(limitsQueryBytes)), ("limits.query_time", one(limitsQueryTime)),
            ("limits.regex_bytes", one(limitsRegexBytes)),
            ("limits.evidence_bytes", one(limitsEvidenceBytes)), ("limits.remembered_files", one(limitsRememberedFiles)),
            ("log.level", one(logLevel)), ("log.format", one(logFormat)),
            ("retention.alerts", one(retentionAlerts)), ("retention.evidence", one(retentionEvidence)),
            ("checkpoint_interval", one(checkpointInterval)), ("threads", one(threads)), ("checkpoints", one(checkpoints)),
            ("strict", strict ? ["true"] : []), ("cold_raise", coldRaise ? ["true"] : []),
            ("fail_on_dead_letter", failOnDeadLetter ? ["true"] : []), ("content_check", one(contentCheck)),
        ]
        if input == "-", !inputs.isEmpty { throw ConfigurationError("--input - and --inputs exclude each other") }
        for (key, values) in flags where !values.isEmpty {
            if key == "input", values == ["-"] { c.inputs = [] }
            if key == "inputs" { c.readsStandardInput = false }
            try c.set(key, values, origin: "--" + key.map { $0 == "_" || $0 == "." ? "-" : String($0) }.joined())
        }
        for s in content.settings where !s.values.isEmpty { try c.set(s.key, s.values, origin: s.flag) }
        try c.validate()
        return c
    }

    func run() throws {
        let c: VedetteConfiguration
        do { c = try settings() } catch { throw fail("\(error)", ExitStatus.usage) }
        let named = c.inputs.compactMap(\.table)
        try TableNames.check(named, "inputs")
        try TableNames.check(c.lateness.keys.filter { $0 != "default" }.sorted(), "lateness")
        let log = VedetteLog.make(level: c.logLevel, format: c.logFormat)
        RegexLimit.set(bytes: c.regexBytes)
        let external = ExternalData(c.content.external)
        let cache =
            checkConfig || noCache
            ? nil : RuleCache.daemon(stateDirectory: c.stateDirectory, note: { log.debug("rule cache", metadata: ["reason": "\($0)"]) })
        let load: @Sendable () throws -> RuleBook = {
            let store = WorkspaceStore(c.content, external: external)
            for f in store.findings {
                log.error("content is not valid", metadata: ["place": "\(f.file ?? ""):\(f.line):\(f.column)", "reason": "\(f.message)"])
            }
            return try RuleBook.load(c.rules, catalog: WorkspaceCatalog().holding(store).feeding(inputs: Set(named)), cache: cache)
        }
        let book: RuleBook
        do { book = try load() } catch { throw fail("\(error)", ExitStatus.io) }
        if checkConfig {
            book.reportRefused()
            let names = book.blind.map(\.name).joined(separator: ", ")
            let blind = names.isEmpty ? "" : "; blind, because no input feeds their tables: \(names)"
            Terminal.out("configuration is valid; \(book.programs.count) rules load, \(book.refused.count) are refused\(blind)")
            if book.programs.isEmpty, book.isUnreadable { throw ExitStatus.io }
            if !book.refused.isEmpty { throw ExitStatus.invalid }
            return
        }
        for r in book.refused { log.error("rule is refused", metadata: ["file": "\(r.file)", "reason": "\(r.firstError)"]) }
        for r in book.blind {
            log.warning(
                "rule is blind: no input feeds its tables",
                metadata: ["file": "\(r.file)", "tables": "\(r.program?.tables.sorted().joined(separator: " ") ?? "")"])
        }
        if book.programs.isEmpty { throw noRules(book, c.rules) }
        if c.isStrict, !book.refused.isEmpty { throw ExitStatus.invalid }

        let watch = ContentWatch(c, external: external) { Signals.control.requestReload() }
        watch.start()
        defer { watch.stop() }
        let outcome: DaemonOutcome
        do {
            let daemon = try Daemon(
                configuration: c, rules: book, log: log, control: Signals.control, exitWhenIdle: exitWhenIdle, cache: cache, loadRules: load
            )
            outcome = try daemon.run()
        } catch let error as ConfigurationError { throw fail("\(error)", ExitStatus.usage) } catch {
            throw fail("\(error)", ExitStatus.io)
        }
        if c.failOnDeadLetter, outcome.deadLetters > 0 { throw ExitStatus.invalid }
    }
}

/// SIGTERM, SIGINT and SIGHUP of the daemon.
enum Signals {
    static let control = DaemonControl()

    /// Called before anything else: from here on a stop that is asked for ends in a clean one, however early it comes.
    static func install() {
        // A handler must not be the first to touch it.
        _ = control
        let handler: @convention(c) (Int32) -> Void = { number in
            let e = errno
            if number == SIGHUP { Signals.control.requestReload() } else { Signals.control.requestStop() }
            errno = e
        }
        for number in [SIGTERM, SIGINT, SIGHUP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = handler
            action.sa_flags = SA_RESTART
            sigaction(number, &action, nil)
        }
    }
}
