import ArgumentParser
import Columnar
import Evaluation
import Glibc
import Ingest
import KQL
import Pipeline
import Service
import Tables

struct Hunt: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hunt", abstract: "One KQL query over historical logs.",
        discussion: """
            Tables are filled from the records' own form; unknown JSON becomes a custom table named after its file (x.json.gz: x_CL). \
            A query without a table needs no data. Without a query, on a terminal, a prompt takes one after the other.

              vedette hunt 'AWSCloudTrail | summarize count() by EventName | top 10 by count_' --data logs/
              vedette hunt 'SigninLogs | summarize count() by bin(TimeGenerated, 1h) | render timechart' --data logs/
              vedette hunt --query-file q.kql --data SigninLogs=export.jsonl --at latest --format csv --output result.csv
              vedette hunt '...' --data logs/ --explain                  what was read, and what each operator cost
              vedette hunt '...' --data logs/ --dry-run                  the plan alone, and what would be read
              vedette hunt '...' --data logs/ --save-table Suspects      then: vedette hunt 'Suspects | ...' --tables saved-tables
              vedette hunt --data logs/                                  the prompt: .help there

            Ctrl-C stops reading and prints what is known so far (exit code 130); a second one ends at once.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, list, json, jsonl, csv, html, svg, png
        /// Needs all rows at once, and gives one file.
        var isPicture: Bool { self == .html || self == .svg || self == .png }
    }

    @Argument(help: ArgumentHelp("The query, unless --query-file gives it.", valueName: "kql"))
    var query: String?
    @Argument(help: ArgumentHelp("More data, as after --data.", valueName: "path"))
    var more: [String] = []
    @Option(help: ArgumentHelp("Read the query from a file; - for standard input.", valueName: "path"))
    var queryFile: String?
    @Option(help: ArgumentHelp("Files, folders or globs; Table=path names the table of their records.", valueName: "path"))
    var data: [String] = []
    @Option(help: ArgumentHelp("What now() is: a time, or `latest` for the newest event time.", valueName: "time"))
    var at: String?
    @Option(help: "table, list (a column a line), json (Kusto REST v1), jsonl, csv, html, svg or png (the chart of `render`).")
    var format: Format = .table
    @Option(help: ArgumentHelp("Write the result to a file; it appears once it is complete.", valueName: "path"))
    var output: String?
    @Flag(help: "Show the plan, what was pushed down, and rows and time of each operator (JSON with --format json) instead of the rows.")
    var explain = false
    @Flag(help: "Show the plan and what would be pushed down to the reader, as --explain does, without reading the data.")
    var dryRun = false
    @Option(help: ArgumentHelp("Also save the rows as a table, to be read with --tables.", valueName: "name"))
    var saveTable: String?
    @Option(help: ArgumentHelp("The folder of saved tables.", valueName: "dir"))
    var tables: String?
    @Flag(help: "Also warn of what is slow or probably not meant so.")
    var lint = false
    @Option(help: ArgumentHelp("Threads; 0 takes one a processor.", valueName: "n"))
    var threads = 0
    @OptionGroup(title: "Content") var content: ContentOptions
    @OptionGroup(title: "Limits") var limits: LimitOptions

    /// The stack on which a query is bound, run and dropped.
    private static let stackBytes = 512 << 20
    static let tablesFolder = "saved-tables"

    func validate() throws {
        if let saveTable, !SavedTables.isName(saveTable) {
            throw ValidationError("--save-table takes letters, digits and underscores, a letter first, not `\(saveTable)`")
        }
        if explain || dryRun, saveTable != nil {
            throw ValidationError("\(explain ? "--explain" : "--dry-run") shows no rows: --save-table would have none to save")
        }
        if format == .png, output == nil, Terminal.isOutputTerminal {
            throw ValidationError("a PNG does not go to a terminal: add --output FILE")
        }
    }

    func run() throws { try LargeStack.run(bytes: Hunt.stackBytes) { try hunt() } }

    private func hunt() throws {
        let text = try queryText()
        if text == nil, isatty(STDIN_FILENO) != 1 {
            throw fail("a query is needed: vedette hunt 'KQL' --data PATH (a prompt needs a terminal)", ExitStatus.usage)
        }
        var inputs: [HuntInput] = []
        let failed = try find(&inputs)
        if failed, inputs.isEmpty { throw ExitStatus.io }
        let store = try content.store()
        var catalog = WorkspaceCatalog().holding(store)
        if let saveTable, catalog.table(saveTable) != nil {
            throw fail("--save-table: \(saveTable) is a table of the workspace; take another name", ExitStatus.usage)
        }
        var saved: [TableSchema] = []
        if let tables, access(tables, F_OK) == 0 || saveTable == nil { saved = try SavedTables.load(tables, into: &inputs) }
        for s in saved { catalog.declare(s) }
        catalog = HuntTables.inferring(catalog, from: inputs, limits: IngestLimits())
        var settings = VedetteConfiguration()
        if threads != 0 {
            do { try settings.set("threads", String(threads), origin: "--threads") } catch { throw fail("\(error)", ExitStatus.usage) }
        }
        let session = HuntSession(
            inputs: inputs, catalog: catalog, store: store, limits: limits.apply(), at: at, format: format, output: output,
            threads: settings.effectiveThreads, explain: explain, dryRun: dryRun, lint: lint,
            saveTable: saveTable, tablesFolder: tables ?? Hunt.tablesFolder)
        guard let text else {
            try Prompt(session).run()
            return
        }
        Interrupt.install()
        try session.run(text, file: queryFile)
        if failed { throw ExitStatus.io }
    }

    /// Fills in the files; true if some could not be found.
    private func find(_ inputs: inout [HuntInput]) throws -> Bool {
        var failed = false
        // With --query-file, the first argument is no query.
        for d in data + (queryFile == nil ? [] : [query].compactMap { $0 }) + more {
            var path = d
            var table: String?
            if let eq = d.firstIndex(of: "="), !d[..<eq].isEmpty, d[..<eq].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) {
                table = String(d[..<eq])
                path = String(d[d.index(after: eq)...])
            }
            if path == "-" {
                inputs.append(HuntInput(file: InputFile(path: "-", size: 0), table: table))
                continue
            }
            let (files, problems) = InputPaths.expand([path])
            for p in problems {
                Terminal.err("vedette: \(p.path): \(p.reason)")
                failed = true
            }
            inputs += files.map { HuntInput(file: $0, table: table) }
        }
        return failed
    }

    private func queryText() throws -> String? {
        guard let queryFile else { return query }
        if let query, data.isEmpty, query.contains(where: { $0 == "|" || $0 == " " }) {
            throw fail("give the query or --query-file, not both", ExitStatus.usage)
        }
        do { return try TextFile.read(queryFile == "-" ? "/dev/stdin" : queryFile, limit: 4 << 20) } catch {
            throw fail("\(error)", ExitStatus.io)
        }
    }
}
