import Columnar
import Detection
import Ingest
import Sinks
import Testing

@testable import Service

@Suite struct ConfigurationTests {
    static let minute = KustoTime.ticksPerMinute

    static func configuration(_ yaml: String) throws -> VedetteConfiguration {
        let f = try Folder()
        var c = VedetteConfiguration()
        try c.apply(file: f.write("v.yaml", yaml))
        return c
    }

    /// What a file's mistake says, its folder cut off.
    static func mistake(_ yaml: String) throws -> String {
        let f = try Folder()
        var c = VedetteConfiguration()
        do {
            try c.apply(file: f.write("v.yaml", yaml))
            return "accepted"
        } catch let e as ConfigurationError { return e.description.replacing(f.path + "/", with: "") }
    }

    // MARK: Every key

    /// Key, a value, and how the configuration then shows it.
    static let values: [(key: String, text: String, shown: @Sendable (VedetteConfiguration) -> String, want: String)] = [
        ("rules", "a,b/c", { "\($0.rules)" }, #"["a", "b/c"]"#),
        (
            "inputs", "/l/*.log,SigninLogs=/s", { "\($0.inputs.map { $0.pattern + "|" + ($0.table ?? "") })" },
            #"["/l/*.log|", "/s|SigninLogs"]"#
        ),
        ("input", "-", { "\($0.readsStandardInput)" }, "true"), ("input", "/x", { $0.inputs.first?.pattern ?? "" }, "/x"),
        ("state_dir", "/s", { $0.stateDirectory }, "/s"), ("start_at", "beginning", { $0.startAt.rawValue }, "beginning"),
        ("mode", "parity", { $0.mode.rawValue }, "parity"),
        ("lateness", "2h", { "\($0.latenessOf("SigninLogs") / minute) \($0.latenessOf("X") / minute)" }, "120 120"),
        ("lateness", "X=2h", { "\($0.latenessOf("SigninLogs") / minute) \($0.latenessOf("X") / minute)" }, "30 120"),
        ("idle_timeout", "90s", { "\($0.idleTimeout / KustoTime.ticksPerSecond)" }, "90"),
        (
            "outputs", "stdout:table,file:/a:b,syslog:tcp:h:1", { "\($0.outputs.map { "\($0.kind) \($0.format)" })" },
            #"["stdout table", "file(path: \"/a:b\") jsonl", "syslog(tcp:h:1) jsonl"]"#
        ),
        ("dead_letter.path", "/d", { $0.deadLetterPath ?? "" }, "/d"),
        ("dead_letter.max_bytes", "4096", { "\($0.deadLetterBytes)" }, "4096"),
        ("dead_letter.max_files", "9", { "\($0.deadLetterFiles)" }, "9"), ("late.path", "/d", { $0.latePath ?? "" }, "/d"),
        ("late.max_bytes", "5000", { "\($0.lateBytes)" }, "5000"), ("late.max_files", "1", { "\($0.lateFiles)" }, "1"),
        ("outbox.max_alerts", "7", { "\($0.outbox.alerts)" }, "7"), ("outbox.max_bytes", "4097", { "\($0.outbox.bytes)" }, "4097"),
        ("outbox.when_full", "drop_oldest", { $0.outbox.whenFull.rawValue }, "drop_oldest"),
        ("limits.record_bytes", "2048", { "\($0.limits.recordBytes)" }, "2048"), ("limits.depth", "64", { "\($0.limits.depth)" }, "64"),
        ("limits.expansion_ratio", "50", { "\($0.limits.expansionRatio)" }, "50"),
        ("limits.spilled_rows", "0", { "\($0.spilledRows)" }, "0"), ("limits.rule_rows", "12", { "\($0.ruleRows)" }, "12"),
        ("limits.rule_cpu", "7", { "\($0.ruleProcessorPercent)" }, "7"),
        ("limits.query_rows", "7", { "\($0.queryRows)" }, "7"),
        ("limits.query_bytes", "4096", { "\($0.queryBytes ?? 0)" }, "4096"),
        ("limits.query_time", "1500ms", { "\($0.querySeconds ?? 0)" }, "1.5"),
        ("limits.query_time", "0s", { "\($0.querySeconds ?? -1)" }, "-1.0"),
        ("limits.regex_bytes", "65536", { "\($0.regexBytes)" }, "65536"),
        ("limits.evidence_bytes", "0", { "\($0.evidenceBytes)" }, "0"),
        ("limits.remembered_files", "0", { "\($0.rememberedFiles)" }, "0"), ("log.level", "debug", { $0.logLevel }, "debug"),
        ("log.format", "json", { $0.logFormat }, "json"),
        ("retention.alerts", "30d", { "\(($0.alertRetention ?? 0) / KustoTime.ticksPerDay)" }, "30"),
        ("retention.evidence", "1d", { "\(($0.evidenceRetention ?? 0) / KustoTime.ticksPerDay)" }, "1"),
        ("checkpoint_interval", "250ms", { "\($0.checkpointInterval / KustoTime.ticksPerMillisecond)" }, "250"),
        ("threads", "3", { "\($0.threads) \($0.effectiveThreads)" }, "3 3"), ("strict", "yes", { "\($0.isStrict)" }, "true"),
        ("cold_raise", "on", { "\($0.coldRaise)" }, "true"), ("fail_on_dead_letter", "1", { "\($0.failOnDeadLetter)" }, "true"),
        ("checkpoints", "false", { "\($0.checkpoints)" }, "false"),
        ("functions", "/f,g.kql", { "\($0.content.functions)" }, #"["/f", "g.kql"]"#),
        ("watchlists", "/w", { "\($0.content.watchlists)" }, #"["/w"]"#),
        ("watchlist_keys", "vips=UPN", { "\($0.content.watchlistKeys)" }, #"["vips": "UPN"]"#),
        ("geo_database", "/g.mmdb", { "\($0.content.geoDatabase ?? "-")" }, "/g.mmdb"),
        ("user_agents", "/r.yaml", { "\($0.content.userAgents ?? "-")" }, "/r.yaml"),
        ("content_check", "5s", { "\($0.contentCheck / KustoTime.ticksPerSecond)" }, "5"),
        ("external.allow", "https://h/p,/d", { "\($0.content.external.allowed)" }, #"["https://h/p", "/d"]"#),
        ("external.allow_private", "true", { "\($0.content.external.allowsPrivate)" }, "true"),
        ("external.refresh", "2m", { "\($0.content.external.refresh / minute)" }, "2"),
        ("external.timeout", "7s", { "\($0.content.external.timeout / KustoTime.ticksPerSecond)" }, "7"),
        ("external.max_bytes", "4096", { "\($0.content.external.maximumBytes)" }, "4096"),
    ]

    @Test func everyKeyIsTriedHere() { #expect(Set(ConfigurationTests.values.map(\.key)) == Set(VedetteConfiguration.keys)) }

    @Test(arguments: values.indices) func keyAsText(_ i: Int) throws {
        let v = ConfigurationTests.values[i]
        var c = VedetteConfiguration()
        try c.set(v.key, v.text, origin: "--x")
        #expect(v.shown(c) == v.want)
        #expect(v.shown(VedetteConfiguration()) != v.want, "the value must differ from the default")
    }

    @Test(arguments: values.indices) func keyAsVariable(_ i: Int) throws {
        let v = ConfigurationTests.values[i]
        var c = VedetteConfiguration()
        let name = "VEDETTE_" + v.key.replacing(".", with: "_").uppercased()
        #expect(VedetteConfiguration.variable(v.key) == name)
        try c.apply(environment: [name: v.text, "VEDETTE_SOMETHING_ELSE": "x", "HOME": "/"])
        #expect(v.shown(c) == v.want)
    }

    @Test(arguments: values.indices) func keyInAFile(_ i: Int) throws {
        let v = ConfigurationTests.values[i]
        var value = v.text
        if v.key == "inputs" { value = "[/l/*.log, { path: /s, table: SigninLogs, format: auto }]" }
        if v.key == "rules" { value = "[a, b/c]" }
        if v.key == "functions" { value = "[/f, g.kql]" }
        if v.key == "external.allow" { value = "['https://h/p', /d]" }
        if v.key == "watchlist_keys" { value = "{ vips: UPN }" }
        if v.key == "lateness", value.contains("=") { value = "{ X: 2h }" }
        if v.key == "outputs" {
            value = "[{ type: stdout, format: table }, 'file:/a:b', { type: syslog, address: 'tcp:h:1' }]"
        }
        if value == "-" { value = "'-'" }
        let parts = v.key.split(separator: ".")
        let yaml = parts.count == 2 ? "\(parts[0]):\n  \(parts[1]): \(value)\n" : "\(v.key): \(value)\n"
        #expect(v.shown(try ConfigurationTests.configuration(yaml)) == v.want)
    }

    // MARK: Mistakes

    @Test(arguments: [
        ("start_at", "middle", "end or beginning"), ("mode", "fast", "streaming or parity"), ("idle_timeout", "5", "a duration"),
        ("idle_timeout", "-5m", "a duration"), ("lateness", "X=soon", "Table=duration"), ("outputs", "email:x", "is not stdout"),
        ("outputs", "stdout:xml", "is not stdout"), ("outputs", "syslog:tcp:h", "is not stdout"), ("outputs", "", "the list is empty"),
        ("rules", ",,", "the list is empty"), ("state_dir", "", "a path"), ("dead_letter.max_bytes", "1", "from 4096"),
        ("dead_letter.max_files", "0", "from 1"), ("limits.record_bytes", "1e6", "a whole number"),
        ("limits.depth", "1001", "from 4 to 1000"),
        ("threads", "-1", "from 0"), ("log.level", "loud", "debug, info"), ("log.format", "xml", "text or json"),
        ("strict", "maybe", "true or false"), ("outbox.when_full", "panic", "pause or drop_oldest"),
        ("checkpoint_interval", "99999999999999999999s", "a duration"), ("retention.alerts", "", "a duration"),
    ])
    func badValues(_ key: String, _ text: String, _ words: String) {
        var c = VedetteConfiguration()
        let error = #expect(throws: ConfigurationError.self) { try c.set(key, text, origin: "VEDETTE_X") }
        #expect(
            error?.description.hasPrefix("VEDETTE_X: ") == true && error?.description.contains(words) == true, "\(error?.description ?? "")"
        )
    }

    /// Each names the file, the line and the column, and what would be right.
    @Test(arguments: [
        ("rules: a\nlatenes: 5m\n", "v.yaml:2:1: there is no setting `latenes`; did you mean `lateness`?"),
        ("completely_different: 1\n", "v.yaml:1:1: there is no setting `completely_different`; the settings are rules, "),
        ("limits:\n  depht: 3\n", "v.yaml:2:3: there is no setting `limits.depht`; did you mean `limits.depth`?"),
        ("limits:\n  record_bytes: 4096\n  depth: much\n", "v.yaml:3:3: limits.depth: `much` is not a whole number"),
        ("limits: 5\n", "v.yaml:1:1: limits: expected a map"),
        ("dead_letter.path: /x\n", "v.yaml:1:1: there is no setting `dead_letter.path`"),
        ("mode: [streaming]\n", "v.yaml:1:1: mode: expected a single value"),
        ("mode: loud\n", "v.yaml:1:1: mode: `loud` is not streaming or parity"),
        ("rules:\n  - a\n  - {b: c}\n", "v.yaml:1:1: rules: expected a single value"),
        ("lateness:\n  default: 5m\n  SigninLogs: soon\n", "v.yaml:3:3: every table needs a duration"),
        ("inputs:\n  - path: /a\n    tabel: X\n", "v.yaml:3:5: an input has no `tabel`; it takes path, table, format"),
        ("inputs:\n  - table: X\n", "v.yaml:2:5: an input needs a `path`"),
        ("inputs:\n  - path: /a\n    format: csv\n", "format `csv` is not supported"),
        ("inputs:\n  - [a]\n", "v.yaml:2:5: an input is a path"), ("outputs:\n  - path: /a\n", "v.yaml:2:5: an output needs a `type`"),
        ("outputs:\n  - type: file\n", "a file output needs a `path`"), ("outputs:\n  - type: pigeon\n", "output type `pigeon` is not"),
        ("outputs:\n  - type: syslog\n    address: nowhere\n", "a syslog output needs an `address`"),
        ("outputs:\n  - type: syslog\n    address: unix:/dev/log\n    format: table\n", "syslog carries JSON"),
        ("outputs:\n  - type: stdout\n    colour: red\n", "v.yaml:3:5: an output has no `colour`"),
        ("outputs:\n  - smoke\n", "v.yaml:2:5: `smoke` is not stdout"),
        ("rules: a\nrules: b\n", "given twice: rules"), ("rules: [a\n", "v.yaml:2:1: "), ("\trules: a\n", "v.yaml:1:"),
        ("- a\n", "not a map of settings"),
    ])
    func badFiles(_ yaml: String, _ words: String) throws {
        let said = try ConfigurationTests.mistake(yaml)
        #expect(said.hasPrefix("v.yaml") && said.contains(words), "\(said)")
    }

    @Test func emptyFilesSayNothing() throws {
        for yaml in ["", "# only a comment\n", "~\n", "---\n"] { #expect(try ConfigurationTests.mistake(yaml) == "accepted") }
    }

    @Test func unreadableFiles() throws {
        let f = try Folder()
        var c = VedetteConfiguration()
        #expect(throws: ConfigurationError.self) { try c.apply(file: f["none.yaml"]) }
        #expect(throws: ConfigurationError.self) { try c.apply(file: f.path) }
        let error = #expect(throws: ConfigurationError.self) {
            try c.apply(file: f.write("long.yaml", "rules: " + String(repeating: "x", count: 1 << 20)))
        }
        #expect(error?.description.contains("longer than") == true)
    }

    // MARK: The whole

    @Test func laterSettingsWin() throws {
        var c = try ConfigurationTests.configuration("threads: 1\nmode: parity\nstart_at: beginning\nrules: f\n")
        try c.apply(environment: ["VEDETTE_THREADS": "2", "VEDETTE_MODE": "streaming"])
        try c.set("threads", "3", origin: "--threads")
        #expect(c.threads == 3 && c.mode == .streaming && c.startAt == .beginning && c.rules == ["f"])
    }

    @Test(arguments: [
        ("inputs: /a\n", "no rules"), ("rules: r\n", "nothing to read"), ("rules: r\ninputs: /a\ninput: '-'\n", "exclude each other"),
        ("rules: r\ninputs: /a\noutputs: [stdout, {type: stdout, format: table}]\n", "the same place"), ("rules: r\ninput: '-'\n", ""),
        ("rules: r\ninputs: /a\noutputs: [stdout, 'file:/a', 'file:/b']\n", ""),
    ])
    func validation(_ yaml: String, _ words: String) throws {
        let c = try ConfigurationTests.configuration(yaml)
        if words.isEmpty {
            try c.validate()
        } else {
            let error = #expect(throws: ConfigurationError.self) { try c.validate() }
            #expect(error?.description.contains(words) == true)
        }
    }

    @Test(
        arguments: [
            ("250ms", 2_500_000), ("90s", 900_000_000), ("5m", 3_000_000_000), ("5min", 3_000_000_000), ("2h", 72_000_000_000),
            ("1d", 864_000_000_000),
            ("00:01:30", 900_000_000), ("0s", 0),
        ] as [(String, Int64)])
    func durations(_ text: String, _ ticks: Int64) { #expect(Durations.parse(text) == ticks) }

    @Test(arguments: ["", "5", "m", "-1s", "1.5h", "5 m", "1w", "9223372036854775807d", "-00:01:00", "٣s"])
    func noDurations(_ text: String) { #expect(Durations.parse(text) == nil) }

    @Test func durationsForPeople() {
        #expect(Durations.describe(0) == "0s" && Durations.describe(90 * KustoTime.ticksPerSecond) == "1m 30s")
        #expect(Durations.describe(KustoTime.ticksPerDay * 3 + KustoTime.ticksPerHour * 4 + 7) == "3d 4h")
    }
}
