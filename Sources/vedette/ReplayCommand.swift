import ArgumentParser
import CKernels
import Columnar
import Detection
import Glibc
import Ingest
import KQL
import Matcher
import Pipeline
import Rules
import Service
import Sinks
import Tables

struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Evaluates rules over historical logs, in event time.",
        discussion: """
            Files, folders (walked), globs, or - for standard input; gzip, zstd or plain; JSON lines, arrays, {"records": [...]} envelopes. \
            The records' form is recognised. The alerts are those that the daemon would have given.

              vedette replay --rules AnalyticsRules logs/
              vedette replay --rules rule.yaml --format jsonl --from 2026-03-02 --to 2026-03-03 'logs/**/*.json.gz'
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, jsonl, json }
    enum Mode: String, ExpressibleByArgument, CaseIterable { case streaming, parity }

    @Option(name: .long, help: ArgumentHelp("Rule files or folders.", valueName: "path"))
    var rules: [String]
    @Option(help: "streaming: one alert an episode. parity: the rhythm and the limits of Microsoft Sentinel.")
    var mode: Mode = .streaming
    @Option(help: "How alerts are printed: table, jsonl (one object a line) or json (one array).")
    var format: Format = .table
    @Option(help: ArgumentHelp("Leave out rows before this time (ISO 8601).", valueName: "time"))
    var from: String?
    @Option(help: ArgumentHelp("Leave out rows after this time, and take every window up to it as complete.", valueName: "time"))
    var to: String?
    @Option(help: ArgumentHelp("Allowed disorder: a duration, or Table=duration, separated by commas.", valueName: "duration"))
    var lateness: String?
    @Option(help: ArgumentHelp("Take records as rows of this table, unless they have a native form that fills it.", valueName: "table"))
    var table: String?
    @Option(help: ArgumentHelp("Threads; 0 takes one a processor.", valueName: "n"))
    var threads = 0
    @Option(help: ArgumentHelp("Write unreadable records to this file.", valueName: "path"))
    var deadLetter: String?
    @Option(help: ArgumentHelp("Write records that came too late for every window to this file.", valueName: "path"))
    var late: String?
    @Option(help: ArgumentHelp("Largest record in bytes.", valueName: "bytes"))
    var recordBytes = 1 << 20
    @Flag(help: "Baseline rules raise even though their history is not in the logs.")
    var coldRaise = false
    @Flag(help: "A rule that is not valid makes the command fail.")
    var strict = false
    @Flag(help: "Exit with 1 if a record could not be read.")
    var failOnDeadLetter = false
    @Flag(help: "Print the matcher's counters after the summary.")
    var counters = false
    @OptionGroup(title: "Content") var content: ContentOptions
    @OptionGroup(title: "Cache") var cacheOptions: CacheOptions
    @Argument(help: ArgumentHelp("Files, folders, globs, or -.", valueName: "path"))
    var paths: [String]

    func run() throws {
        let cache = cacheOptions.cache
        let book = try RuleBook.load(rules, catalog: WorkspaceCatalog().holding(content.store()), cache: cache)
        book.reportRefused()
        if book.programs.isEmpty { throw noRules(book, rules) }
        if strict, !book.refused.isEmpty { throw ExitStatus.invalid }
        try TableNames.check([table].compactMap { $0 }, "--table")

        var settings = VedetteConfiguration()
        do {
            if let lateness { try settings.set("lateness", lateness, origin: "--lateness") }
            if threads != 0 { try settings.set("threads", String(threads), origin: "--threads") }
            try settings.set("limits.record_bytes", String(recordBytes), origin: "--record-bytes")
        } catch { throw fail("\(error)", ExitStatus.usage) }
        try TableNames.check(settings.lateness.keys.filter { $0 != "default" }.sorted(), "--lateness")
        var options = ReplayOptions()
        options.threads = settings.effectiveThreads
        options.limits = settings.limits
        options.from = try Times.parse(from, "--from")
        options.to = try Times.parse(to, "--to")
        if let from = options.from, let to = options.to, from > to { throw fail("--from lies after --to", ExitStatus.usage) }
        options.table = table
        var detection = DetectionOptions()
        detection.mode = mode == .parity ? .parity : .streaming
        detection.coldRaise = coldRaise
        detection.takesCheckpoints = false
        if let folder = getenv("TMPDIR") { detection.spillDirectory = String(cString: folder) }

        let (files, problems) = InputPaths.expand(paths.filter { $0 != "-" })
        for p in problems { Terminal.err("vedette: \(p.path): \(p.reason)") }
        let pipe = paths.contains("-")
        if files.isEmpty, !pipe { throw fail("nothing to read", ExitStatus.io) }

        let engine: DetectionEngine
        do {
            engine = try DetectionEngine(
                book.programs, options: detection, functions: book.functions, literals: cache, lateness: settings.latenessOf)
        } catch { throw fail("\(error)", ExitStatus.invalid) }
        ProcessLife.keep(engine, Box(book))
        let letters = deadLetter.map { DeadLetterFile(path: $0) }
        let lateFile = late.map { LineFile(path: $0, maximumBytes: 64 << 20, maximumFiles: 4) }
        let bar = ProgressBar(total: pipe ? 0 : Int(files.reduce(0) { $0 + $1.size }))
        let start = WallClock.monotonic
        let shown = LetterPrinter()
        let replay = Pipeline.Replay(catalog: book.catalog, options: options)
        let events: [AlertEvent]
        let summary: ReplaySummary
        do {
            (events, summary) = try replay.run(
                files: files, standardInput: pipe, engine: engine,
                deadLetter: { letter in
                    letters?.append(letter)
                    shown.note(letter)
                }, late: { record, source in lateFile?.append(record.jsonLine(source: source)) }, progress: { bar.add($0) })
        } catch { throw fail("\(error)", ExitStatus.invalid) }
        bar.finish()
        let seconds = Double(WallClock.monotonic - start) / 1e7
        let alerts = FinalAlerts.select(events)
        print(alerts, threads: options.threads)
        shown.finish(file: deadLetter)
        for p in summary.problems { Terminal.err("vedette: \(p)") }
        for path in summary.unrecognizedFiles {
            Terminal.err("vedette: \(path): no record was recognised; name its table with --table if its rows belong to one")
        }
        let figures = engine.figures
        report(summary, alerts, figures, seconds, cache)
        if let problem = letters?.failure { throw fail("dead letters: \(problem)", ExitStatus.io) }
        if let problem = lateFile?.failure { throw fail("late records: \(problem)", ExitStatus.io) }
        if !summary.problems.isEmpty || !problems.isEmpty { throw ExitStatus.io }
        if figures.contains(where: { $0.failure != nil }) { throw ExitStatus.invalid }
        if failOnDeadLetter, summary.deadLetters > 0 { throw ExitStatus.invalid }
    }

    private func print(_ alerts: [Alert], threads: Int) {
        switch format {
        case .jsonl:
            // On all threads, a part at a time: the records of their evidence are parsed and printed again.
            let part = 128
            for start in stride(from: 0, to: alerts.count, by: part) {
                let some = Array(alerts[start..<min(alerts.count, start + part)])
                let lines = Concurrently.map(some, together: max(8, (part + threads - 1) / threads)) { $0.jsonLine }
                Terminal.out(bytes: lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] })
            }
        case .json: Terminal.out(JSONText.compact(.array(alerts.map(\.json))))
        case .table: if !alerts.isEmpty { Terminal.out(AlertTable.render(alerts)) }
        }
    }

    /// The summary goes to standard error unless the table is printed: machines read standard output.
    private func report(_ s: ReplaySummary, _ alerts: [Alert], _ rules: [RuleFigures], _ seconds: Double, _ cache: RuleCache?) {
        let cpu = Double(vk_process_cpu_ns()) / 1e9
        let rate = seconds > 0 ? Double(s.rawBytes) / seconds : 0
        var lines = [
            "\(Figures.count(s.files, "file")), \(Figures.count(s.records, "event")), \(Figures.bytes(Double(s.rawBytes))) raw (\(Figures.bytes(Double(s.compressedBytes))) read) in \(Figures.seconds(seconds)): \(Figures.bytes(rate))/s",
            "\(Figures.count(alerts.count, "alert")) from \(Set(alerts.map(\.ruleID)).count) of \(rules.count) rules, \(Figures.count(s.lateRows, "late row")), \(Figures.count(s.deadLetters, "dead letter"))",
        ]
        if s.lateRecords > 0 {
            lines.append(
                "\(Figures.count(s.lateRecords, "record")) came too late for every window: "
                    + (late.map { "they are in \($0)" } ?? "--late FILE keeps them, --lateness waits longer"))
        }
        let held = rules.filter { $0.heldTicks > 0 }
        if !held.isEmpty {
            lines.append("held for want of history (--cold-raise raises): " + held.map(\.name).sorted().joined(separator: "; "))
        }
        let silent = rules.filter { $0.skippedTicks > 0 }
        if !silent.isEmpty {
            lines.append(
                "the logs have a hole, in which these rules were evaluated in the first 10,000 ticks only: "
                    + silent.map(\.name).sorted().joined(separator: "; "))
        }
        let open = rules.filter { $0.incompleteTick != nil }
        if !open.isEmpty {
            lines.append("last window incomplete, not evaluated (--to completes it): " + open.map(\.name).sorted().joined(separator: "; "))
        }
        for f in rules { if let failure = f.failure { lines.append("rule `\(f.name)` failed: \(failure)") } }
        if s.futureTimes > 0 { lines.append("\(Figures.count(s.futureTimes)) records were ahead of their source's time") }
        if counters {
            let c = s.counters
            if let f = cache?.figures { lines.append("cache: \(f.found) rule files compiled before, \(f.compiled) compiled now") }
            lines.append(
                "matcher: \(c.rows) rows, \(c.batches) batches, \(c.atomKernels) atom kernels, \(c.valuesTested) values tested, \(c.memoHits) memo hits, \(c.residualRows) residual rows in \(c.residualRuns) runs, \(c.survivors) survivors"
            )
            lines.append(
                "state: \(rules.reduce(0) { $0 + $1.retainedRows }) rows kept, \(rules.reduce(0) { $0 + $1.stateBytes }) bytes of state, \(rules.reduce(0) { $0 + $1.evidenceBytes }) bytes of evidence"
            )
            lines.append(
                "cpu: \(round(cpu * 1000) / 1000) s, \(cpu > 0 ? Figures.bytes(Double(s.rawBytes) / cpu) : "-") raw per CPU-second; peak memory \(Figures.bytes(Double(vk_peak_resident_bytes())))"
            )
        }
        for l in lines { if format == .table { Terminal.out(l) } else { Terminal.err(l) } }
    }

    private func round(_ v: Double) -> Double { v.rounded() }
}

private final class Box {
    private let value: RuleBook
    init(_ value: RuleBook) { self.value = value }
}

/// Times on the command line.
enum Times {
    static func parse(_ text: String?, _ option: String) throws -> Int64? {
        guard let text else { return nil }
        guard let t = KustoTime.parseISO(text) else {
            throw fail("\(option): `\(text)` is no time; write 2026-03-02 or 2026-03-02T10:00:00Z", ExitStatus.usage)
        }
        return t
    }
}

/// The unmerged alerts of a replay, final revision, by (first tick, rule id, id).
enum FinalAlerts {
    static func select(_ events: [AlertEvent]) -> [Alert] {
        var last: [String: Alert] = [:]
        for e in events { last[e.alert.id] = e.alert }
        return last.values.filter { $0.status != .merged }.sorted { ($0.firstTick, $0.ruleID, $0.id) < ($1.firstTick, $1.ruleID, $1.id) }
    }
}

/// Says the first dead letters on standard error, and how many more there were.
final class LetterPrinter {
    private var count = 0
    private static let shown = 5

    func note(_ letter: DeadLetter) {
        count += 1
        guard count <= LetterPrinter.shown else { return }
        let p = letter.problem
        Terminal.err("vedette: \(letter.source): byte \(p.position)\(p.index > 0 ? ", element \(p.index)" : ""): \(p.reason)")
    }

    func finish(file: String?) {
        guard count > 0 else { return }
        let more = count > LetterPrinter.shown ? "\(count - LetterPrinter.shown) more records could not be read; " : ""
        if !more.isEmpty || file == nil {
            Terminal.err("vedette: \(more)\(file.map { "all are in \($0)" } ?? "--dead-letter FILE keeps them")")
        }
    }
}

enum AlertTable {
    static func render(_ alerts: [Alert]) -> String {
        var t = TextTable(["TIME", "SEVERITY", "ALERT", "TECHNIQUES", "ENTITIES"])
        for a in alerts {
            let names = a.entities.map(\.shortText)
            let entities = names.prefix(4).joined(separator: ", ") + (names.count > 4 ? " +\(names.count - 4)" : "")
            t.rows.append([
                String(KustoTime.isoString(a.endTime).prefix(19)).replacing("T", with: " "), a.severity.rawValue, a.name,
                a.techniques.joined(separator: " "), entities,
            ])
        }
        t.style = { row, column, text in column == 1 ? Terminal.styled(text, color(alerts[row].severity)) : text }
        return t.render(width: Terminal.width)
    }

    static func color(_ s: AnalyticsRule.Severity) -> Terminal.Style {
        switch s {
        case .high: .red
        case .medium: .yellow
        case .low: .cyan
        case .informational: .dim
        }
    }
}
