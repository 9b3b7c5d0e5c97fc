import ArgumentParser
import Columnar
import Evaluation
import Glibc
import Ingest
import KQL
import Matcher
import Pipeline
import Service
import Tables

struct Hunt: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "One KQL query over historical logs.",
        discussion: """
            Tables are filled from the records' own form; unknown JSON becomes a custom table named after its file (x.json.gz: x_CL). \
            A query without a table needs no data.

              vedette hunt 'AWSCloudTrail | summarize count() by EventName | top 10 by count_' --data logs/
              vedette hunt --query-file q.kql --data SigninLogs=export.jsonl --at latest --format csv
              vedette hunt 'print now()'
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json, jsonl, csv }

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
    @Option(help: "table, json (Kusto REST v1), jsonl or csv.")
    var format: Format = .table
    @OptionGroup(title: "Content") var content: ContentOptions
    @OptionGroup(title: "Limits") var limits: LimitOptions

    /// Operators in a row that a hunt takes, and the stack on which they are bound, run and dropped.
    private static let levelLimit = 20_000
    private static let stackBytes = 512 << 20

    func run() throws { try LargeStack.run(bytes: Hunt.stackBytes) { try hunt() } }

    private func hunt() throws {
        let text = try queryText()
        var inputs: [HuntInput] = []
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
        if failed, inputs.isEmpty { throw ExitStatus.io }

        let store = try content.store()
        let tree = SyntaxTree.parse(text)
        let catalog = HuntTables.inferring(WorkspaceCatalog().holding(store), from: inputs, limits: IngestLimits())
        var now = WallClock.now
        if at == "latest" {
            now = try latest(catalog, inputs)
        } else if let t = try Times.parse(at, "--at") {
            now = t
        }
        var context = EvaluationContext(now: now, seed: 0, limits: limits.apply())
        // One clock for all that the query needs, plugins that look at the data first included.
        context.watch = QueryWatch(context.limits)
        var options = BinderOptions(fold: { ConstantFolder.fold(name: $0, args: $1) }, levelLimit: Hunt.levelLimit)
        options.severalResults = true
        // Standard input cannot be read twice.
        if !inputs.contains(where: { $0.file.path == "-" }) {
            options.probe = { [inputs, context] plan in
                let tables = HuntTables(inputs: inputs, catalog: catalog)
                tables.expect(PlanRewriter.prune(plan))
                return try Executor(provider: tables, context: context, options: ExecutorOptions(stableTake: false)).collect(plan).batches
            }
        }
        let bound = Binder(functions: FunctionRegistry.standard, schemas: catalog, options: options).bind(tree)
        let renderer = DiagnosticRenderer(source: text, file: queryFile)
        let errors = bound.diagnostics.filter { $0.severity == .error }
        for d in store.shown(bound.diagnostics) where d.severity != .note { Terminal.err(renderer.render(d, content: store)) }
        guard let plan = bound.plan, errors.isEmpty else { throw ExitStatus.invalid }
        if inputs.isEmpty, readsTables(plan) { throw fail("the query reads a table: name its data with --data PATH", ExitStatus.usage) }

        let bar = ProgressBar(total: Int(inputs.reduce(0) { $0 + $1.file.size }))
        let threads = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        let tables = HuntTables(inputs: inputs, catalog: catalog, threads: threads, progress: { bar.add($0) })
        let executor = Executor(
            provider: tables, context: context, options: ExecutorOptions(stableTake: false, threads: threads, sheddingKeys: true))
        let pruned = PlanRewriter.prune(plan)
        tables.expect(pruned, keyed: PlanOrder.readsKeys(pruned))
        let printers = printers(plan, bound.resultNames)
        do {
            var done = 0
            try executor.runResults(plan) { i, batch in
                while done < i {
                    printers[done].finish()
                    done += 1
                }
                printers[i].add(batch)
                return true
            }
            for p in printers[done...] { p.finish() }
        } catch let e as EvaluationError {
            bar.finish()
            let d = Diagnostic(.error, "VK0400", e.message, at: e.range ?? plan.range)
            Terminal.err(e.range == nil ? "vedette: \(e.message)" : renderer.render(d, content: store))
            throw ExitStatus.invalid
        } catch { throw fail("\(error)", ExitStatus.io) }
        bar.finish()
        let figures = tables.figures
        for p in figures.problems { Terminal.err("vedette: \(p)") }
        if figures.deadLetters > 0 { Terminal.err("vedette: \(Figures.count(figures.deadLetters, "record")) could not be read") }
        if at == nil, figures.newest > 0, WallClock.now - figures.newest > KustoTime.ticksPerHour, usesNow(plan) {
            Terminal.err(
                "vedette: the query looks back from now, but the newest record is of \(KustoTime.isoString(figures.newest)); --at latest looks back from there"
            )
        }
        if failed || !figures.problems.isEmpty { throw ExitStatus.io }
    }

    private func queryText() throws -> String {
        if let queryFile {
            if let query, data.isEmpty, query.contains(where: { $0 == "|" || $0 == " " }) {
                throw fail("give the query or --query-file, not both", ExitStatus.usage)
            }
            do { return try TextFile.read(queryFile == "-" ? "/dev/stdin" : queryFile, limit: 4 << 20) } catch {
                throw fail("\(error)", ExitStatus.io)
            }
        }
        guard let query else { throw fail("a query is needed: vedette hunt 'KQL' --data PATH", ExitStatus.usage) }
        return query
    }

    private func printers(_ plan: Plan, _ names: [String?]) -> [ResultPrinter] {
        guard case .custom("results", let inputs, _, _) = plan.kind else { return [ResultPrinter(format: format, columns: plan.columns)] }
        return inputs.enumerated().map { i, p in
            ResultPrinter(
                format: format, columns: p.columns, name: names.indices.contains(i) ? names[i] : nil, index: i, of: inputs.count)
        }
    }

    /// The newest event time of all data: a scan of its own.
    private func latest(_ catalog: WorkspaceCatalog, _ inputs: [HuntInput]) throws -> Int64 {
        guard !inputs.contains(where: { $0.file.path == "-" }) else {
            throw fail("--at latest cannot look ahead in standard input", ExitStatus.usage)
        }
        let probe = HuntTables(inputs: inputs, catalog: catalog, threads: max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
        let context = EvaluationContext(now: 0)
        do { try probe.scan(table: "AzureActivity", columns: [], filters: [], context: context) { _ in true } } catch {
            throw fail("\(error)", ExitStatus.io)
        }
        let newest = probe.figures.newest
        return newest > 0 ? newest : WallClock.now
    }

    private func readsTables(_ plan: Plan) -> Bool {
        var found = false
        PlanTools.forEachNode(plan) { node in if case .table = node.kind { found = true } }
        return found
    }

    private func usesNow(_ plan: Plan) -> Bool {
        var found = false
        PlanInspection.forEachExpression(plan) { e in if case .call("now", _) = e.kind { found = true } }
        return found
    }
}
