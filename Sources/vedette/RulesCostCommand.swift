import ArgumentParser
import Columnar
import Detection
import Evaluation
import Glibc
import Ingest
import KQL
import Matcher
import Pipeline
import Rules
import Service
import Storage
import Tables

/// What rules cost over given logs.
struct RuleTrial {
    let costs: [RuleCost]
    let summary: ReplaySummary
    let programs: [RuleProgram]

    /// Replays the logs and forgets the alerts.
    init(_ book: RuleBook, _ paths: [String], _ cache: RuleCache?) throws {
        let (files, problems) = InputPaths.expand(paths)
        for p in problems { Terminal.err("vedette: \(p.path): \(p.reason)") }
        if files.isEmpty { throw fail("nothing to read", ExitStatus.io) }
        var options = ReplayOptions()
        options.threads = VedetteConfiguration().effectiveThreads
        var detection = DetectionOptions()
        detection.coldRaise = true
        detection.takesCheckpoints = false
        if let folder = getenv("TMPDIR") { detection.spillDirectory = String(cString: folder) }
        do {
            let engine = try DetectionEngine(
                book.programs, options: detection, functions: book.functions, literals: cache, lateness: { _ in 0 })
            let (_, summary) = try Pipeline.Replay(catalog: book.catalog, options: options).run(
                files: files, standardInput: false, engine: engine, deadLetter: { _ in }, progress: { _ in })
            costs = engine.costs(summary.costs)
            self.summary = summary
            programs = engine.programs
        } catch { throw fail("\(error)", ExitStatus.invalid) }
    }
}

extension RulesCommand {
    struct Cost: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cost", abstract: "Lists rules by what they cost: CPU, rows kept, state.",
            discussion: """
                Over logs that are given, or as the daemon counted since its start. What rules share (reading, atoms, memos) is nobody's.

                  vedette rules cost --rules AnalyticsRules logs/
                  vedette rules cost --state-dir /var/lib/vedette
                """)
        enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }
        @Option(name: .long, help: ArgumentHelp("Rule files or folders, for logs that are given.", valueName: "path")) var rules: [String] =
            []
        @OptionGroup var state: StateOption
        @Option(help: "table or json.") var format: Format = .table
        @Option(help: ArgumentHelp("At most so many; 0: all.", valueName: "n")) var limit = 20
        @OptionGroup(title: "Content") var content: ContentOptions
        @OptionGroup(title: "Cache") var cacheOptions: CacheOptions
        @Argument(help: ArgumentHelp("Logs: files, folders, globs.", valueName: "path")) var paths: [String] = []

        func run() throws {
            guard limit >= 0 else { throw fail("--limit: `\(limit)` is no whole number from 0", ExitStatus.usage) }
            guard rules.isEmpty == paths.isEmpty else { throw fail("--rules and logs belong together", ExitStatus.usage) }
            let list = rules.isEmpty ? try counted() : try tried()
            let shown = limit == 0 ? list : Array(list.prefix(limit))
            if format == .json {
                Terminal.out(JSONText.compact(.array(shown)))
                return
            }
            var t = TextTable(
                ["RULE", "CPU MS", "ROWS TESTED", "SURVIVORS", "EVALUATIONS", "ROWS KEPT", "STATE", "EVIDENCE", "BUDGET"],
                alignment: [.left, .right, .right, .right, .right, .right, .right, .right])
            func text(_ d: Dynamic?) -> String {
                switch d {
                case .string(let s)?: s
                case .null?, nil: "-"
                case let v?: JSONText.compact(v)
                }
            }
            for r in shown {
                func bytes(_ key: String) -> String { if case .long(let n)? = r[key] { Figures.bytes(Double(n)) } else { "-" } }
                t.rows.append([
                    text(r["name"]), text(r["cpu_ms"]), text(r["tested_rows"]), text(r["survivors"]), text(r["evaluations"]),
                    text(r["retained_rows"]), bytes("state_bytes"), bytes("evidence_bytes"),
                    r["over_budget"] == .bool(true) ? "OVER" : "",
                ])
            }
            Terminal.out(t.render(width: Terminal.width))
            if shown.count < list.count { Terminal.out("\(list.count - shown.count) more rules; --limit 0 lists all") }
        }

        private func tried() throws -> [Dynamic] {
            let cache = cacheOptions.cache
            let book = try RuleBook.load(rules, catalog: WorkspaceCatalog().holding(content.store()), cache: cache)
            book.reportRefused()
            if book.programs.isEmpty { throw noRules(book, rules) }
            return try RuleTrial(book, paths, cache).costs.map(\.json)
        }

        /// From the daemon's status, dearest first.
        private func counted() throws -> [Dynamic] {
            let store = try state.open()
            let text: String?
            do { text = try store.status() } catch { throw fail("\(error)", ExitStatus.io) }
            guard let text, let written = JSONText.parse(text), case .array(let list)? = written["rules"] else {
                throw fail("no daemon has written its status to \(state.stateDir) yet", ExitStatus.io)
            }
            func cpu(_ d: Dynamic) -> Double {
                switch d["cpu_ms"] {
                case .real(let v)?: v
                case .long(let v)?: Double(v)
                default: 0
                }
            }
            return list.enumerated().sorted { (cpu($1.element), $0.offset) < (cpu($0.element), $1.offset) }.map(\.element)
        }
    }

    struct Explain: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "explain", abstract: "Says how a rule is run: legs, witnesses, horizons, strategy; and what it costs.",
            discussion: """
                  vedette rules explain rule.yaml
                  vedette rules explain rule.yaml --data logs/      also what it cost over these logs
                """)
        @Argument(help: "A rule file.") var rule: String
        @Option(help: ArgumentHelp("Logs to measure it over: files, folders, globs.", valueName: "path")) var data: [String] = []
        @OptionGroup(title: "Content") var content: ContentOptions
        @OptionGroup(title: "Cache") var cacheOptions: CacheOptions

        func run() throws {
            let cache = cacheOptions.cache
            let book = try RuleBook.load([rule], catalog: WorkspaceCatalog().holding(content.store()), cache: cache)
            book.reportRefused()
            let programs = book.entries.compactMap(\.program)
            if programs.isEmpty { throw noRules(book, [rule]) }
            let trial = data.isEmpty ? nil : try RuleTrial(book, data, cache)
            for p in programs {
                Terminal.out(Explain.text(p, book.functions))
                guard let trial, let c = trial.costs.first(where: { $0.id == p.rule.id }) else { continue }
                Terminal.out(Explain.observed(c, trial.summary))
            }
        }

        static func text(_ p: RuleProgram, _ functions: FunctionRegistry) -> String {
            var out = [
                "\(p.rule.name) (\(p.rule.id))",
                "every \(Durations.describe(p.rule.queryFrequency)) over \(Durations.describe(p.rule.queryPeriod))", "",
            ]
            var expected = 0.0
            for (n, leg) in p.split.legs.enumerated() {
                let e = leg.explained(functions)
                expected += e.expectedNanoseconds
                out.append("leg \(n + 1) of \(p.split.legs.count): \(e.table)")
                out.append("  reads      " + e.columns.joined(separator: ", "))
                out += Explain.list(
                    "  wakes on   ", e.witnesses.isEmpty ? ["every row: nothing in its condition can be looked for"] : e.witnesses)
                out += Explain.list("  prefix     ", e.prefix)
                if !e.horizon.isEmpty { out += Explain.list("  horizon    ", e.horizon) }
                out.append(
                    "  expected   \(Explain.number(e.expectedNanoseconds)) ns an event of \(e.table), about \(e.rowBytes) bytes a row that is kept"
                )
                out.append("")
            }
            out += Explain.list("strategy     ", p.strategyDescription.split(separator: "\n").map(String.init))
            let flags = [
                p.isMonotone ? "raises before a window closes: its result can only grow" : "raises when a window has closed",
                p.isBaseline ? "compares with the past: held until the history is there" : nil,
                p.needsEmptyTicks ? "is evaluated over empty windows too" : nil,
            ].compactMap { $0 }
            out += Explain.list("clock        ", flags)
            return out.joined(separator: "\n")
        }

        static func observed(_ c: RuleCost, _ s: ReplaySummary) -> String {
            let perEvent = s.records > 0 ? c.nanoseconds / Double(s.records) : 0
            let perRow = c.retainedRows > 0 ? ", \(c.stateBytes / max(1, c.retainedRows)) bytes a row kept" : ""
            func ms(_ d: Duration) -> String { number(RuleCost.nanoseconds(d) / 1e6) }
            return """
                observed     over \(Figures.count(s.records, "event")): \(number(perEvent)) ns an event
                               matching \(ms(c.matchTime)) ms: \(Figures.count(Int(c.testedRows), "candidate row")), \(Figures.count(Int(c.survivors))) of them survived
                               taking rows in \(ms(c.acceptTime)) ms, \(Figures.count(c.evaluations, "evaluation")) \(ms(c.evaluationTime)) ms
                               at the end \(Figures.count(c.retainedRows, "row")) and \(Figures.count(c.groups, "group")) kept, \(Figures.bytes(Double(c.stateBytes))) of state\(perRow), \(Figures.bytes(Double(c.evidenceBytes))) of evidence

                """
        }

        private static func number(_ v: Double) -> String {
            v >= 100 ? String(Int(v.rounded())) : String((v * 100).rounded() / 100)
        }

        private static func list(_ head: String, _ lines: [String]) -> [String] {
            lines.enumerated().map { ($0.offset == 0 ? head : String(repeating: " ", count: head.count)) + $0.element }
        }
    }
}

extension RuleCost {
    /// With the names of `vedette status --format json`.
    var json: Dynamic {
        .object([
            .init("id", .string(id)), .init("name", .string(name)), .init("cpu_ms", .real((nanoseconds / 1e4).rounded() / 100)),
            .init("tested_rows", .long(testedRows)), .init("survivors", .long(survivors)), .init("evaluations", .long(Int64(evaluations))),
            .init("retained_rows", .long(Int64(retainedRows))), .init("groups", .long(Int64(groups))),
            .init("state_bytes", .long(Int64(stateBytes))), .init("evidence_bytes", .long(Int64(evidenceBytes))),
            .init("over_budget", .bool(false)),
        ])
    }
}
