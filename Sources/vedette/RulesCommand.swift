import ArgumentParser
import Columnar
import Detection
import Evaluation
import Glibc
import KQL
import Rules
import Service
import Tables

struct RulesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules", abstract: "Checks, lists, tests and explains analytics rules.",
        subcommands: [Check.self, List.self, Test.self, Explain.self, Cost.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Says everything that is wrong with rules: file, line, column, cause, mend.")
        enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, sarif }
        @Argument(help: "Rule files or folders.") var paths: [String]
        @Option(help: "text, json, or sarif (for code scanning in CI).") var format: Format = .text
        @Flag(help: "Warnings fail too.") var strict = false
        @Flag(help: "Show notes as well.") var notes = false
        @OptionGroup(title: "Content") var content: ContentOptions
        @OptionGroup(title: "Cache") var cacheOptions: CacheOptions

        func run() throws {
            let store = try content.store()
            let book = try RuleBook.load(paths, catalog: WorkspaceCatalog().holding(store).feeding(inputs: []), cache: cacheOptions.cache)
            let errors = book.entries.reduce(0) { $0 + $1.findings.filter { $0.severity == .error }.count }
            let warnings = book.entries.reduce(0) { $0 + $1.findings.filter { $0.severity == .warning }.count }
            if format == .sarif {
                Terminal.out(JSONText.compact(SarifReport.log(book, notes: notes)))
            } else if format == .json {
                let list: [Dynamic] = book.entries.flatMap { e in
                    e.findings.filter { notes || $0.severity != .note }.map { f in
                        .object([
                            .init("file", .string(f.file ?? e.file)), .init("rule", .string(e.name)), .init("line", .long(Int64(f.line))),
                            .init("column", .long(Int64(f.column))), .init("severity", .string(f.severity.rawValue)),
                            .init("code", .string(f.code)), .init("message", .string(f.message)),
                            .init("mend", f.mend.map { .string($0) } ?? .null),
                            .init("end_line", f.end.map { .long(Int64($0.line)) } ?? .null),
                            .init("end_column", f.end.map { .long(Int64($0.column)) } ?? .null),
                        ])
                    }
                }
                Terminal.out(
                    JSONText.compact(
                        .object([
                            .init("rules", .long(Int64(book.entries.count))), .init("errors", .long(Int64(errors))),
                            .init("warnings", .long(Int64(warnings))), .init("findings", .array(list)),
                        ])))
            } else {
                for e in book.entries {
                    let text = e.rendered(notes: notes)
                    if !text.isEmpty { Terminal.out(text + "\n") }
                }
                Terminal.out(
                    "\(Figures.count(book.entries.count, "rule")) checked: \(book.refused.count) refused, "
                        + "\(Figures.count(errors, "error")), \(Figures.count(warnings, "warning"))")
            }
            if book.entries.isEmpty { throw fail("no rule found in \(paths.joined(separator: ", "))", ExitStatus.io) }
            if book.programs.isEmpty, book.isUnreadable { throw ExitStatus.io }
            if errors > 0 || !store.findings.isEmpty || (strict && warnings > 0) { throw ExitStatus.invalid }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Lists rules: loaded, blind (no input feeds their tables), refused.")
        enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }
        @Argument(help: "Rule files or folders.") var paths: [String]
        @Option(help: "table or json.") var format: Format = .table
        @OptionGroup(title: "Content") var content: ContentOptions
        @OptionGroup(title: "Cache") var cacheOptions: CacheOptions

        func run() throws {
            let store = try content.store()
            let book = try RuleBook.load(paths, catalog: WorkspaceCatalog().holding(store).feeding(inputs: []), cache: cacheOptions.cache)
            if format == .json {
                Terminal.out(
                    JSONText.compact(
                        .array(
                            book.entries.map { e in
                                .object([
                                    .init("name", .string(e.name)), .init("state", .string(e.state.rawValue)),
                                    .init("file", .string(e.file)),
                                    .init("id", .string(e.rule?.id ?? "")), .init("severity", .string(e.rule?.severity.rawValue ?? "")),
                                    .init("techniques", .array((e.rule?.techniques ?? []).map { .string($0) })),
                                    .init("tables", .array((e.program?.tables.sorted() ?? []).map { .string($0) })),
                                ])
                            })))
                try end(book)
                return
            }
            var t = TextTable(["RULE", "STATE", "SEVERITY", "TECHNIQUES", "TABLES", "EVERY", "OVER"])
            for e in book.entries {
                t.rows.append([
                    e.name, e.state.rawValue, e.rule?.severity.rawValue ?? "", e.rule?.techniques.joined(separator: " ") ?? "",
                    e.program?.tables.sorted().joined(separator: " ") ?? e.firstError,
                    e.rule.map { Durations.describe($0.queryFrequency) } ?? "",
                    e.rule.map { Durations.describe($0.queryPeriod) } ?? "",
                ])
            }
            Terminal.out(t.render(width: Terminal.width))
            Terminal.out("\(book.programs.count - book.blind.count) loaded, \(book.blind.count) blind, \(book.refused.count) refused")
            try end(book)
        }

        private func end(_ book: RuleBook) throws {
            if book.entries.isEmpty { throw fail("no rule found in \(paths.joined(separator: ", "))", ExitStatus.io) }
            if book.programs.isEmpty, book.isUnreadable { throw ExitStatus.io }
        }
    }
}

extension RulesCommand {
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "test", abstract: "Runs the tests that stand beside rules (NAME.test.yaml).",
            discussion:
                "Each case replays its events against the rule alone and compares the alerts. A rule without a test file is reported.")
        @Argument(help: "Rule files or folders.") var paths: [String]
        @Flag(help: "Name every case.") var verbose = false
        @OptionGroup(title: "Content") var content: ContentOptions
        @OptionGroup(title: "Cache") var cacheOptions: CacheOptions

        func run() throws {
            let store = try content.store()
            let book = try RuleBook.load(paths, catalog: WorkspaceCatalog().holding(store).feeding(inputs: []), cache: cacheOptions.cache)
            book.reportRefused()
            let tester = RuleTester(functions: book.functions, catalog: book.catalog)
            var passed = 0
            var failed = book.refused.count
            var untested: [String] = []
            for e in book.entries {
                guard let rule = e.rule, let program = e.program else { continue }
                guard let path = RuleTestFile.path(forRule: e.file), access(path, R_OK) == 0 else {
                    untested.append(e.file)
                    continue
                }
                do {
                    for outcome in try tester.run(try RuleTestFile(contentsOf: path), rule: rule, program: program) {
                        if outcome.isPassed {
                            passed += 1
                            if verbose { Terminal.out("\(Terminal.styled("ok", .green))    \(rule.name): \(outcome.name)") }
                        } else {
                            failed += 1
                            Terminal.out("\(Terminal.styled("FAIL", .red))  \(path):\(outcome.line): \(outcome.name)")
                            for d in outcome.differences { Terminal.out("        \(d)") }
                        }
                    }
                } catch {
                    failed += 1
                    Terminal.out("\(Terminal.styled("FAIL", .red))  \(error)")
                }
            }
            for u in untested { Terminal.out("no tests: \(u)") }
            Terminal.out("\(passed) passed, \(failed) failed")
            if book.entries.isEmpty { throw fail("no rule found in \(paths.joined(separator: ", "))", ExitStatus.io) }
            if book.programs.isEmpty, book.isUnreadable { throw ExitStatus.io }
            if failed > 0 { throw ExitStatus.invalid }
        }
    }
}
