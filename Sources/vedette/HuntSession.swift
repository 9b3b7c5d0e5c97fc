import ArgumentParser
import Charts
import Columnar
import Detection
import Evaluation
import Glibc
import Ingest
import KQL
import Matcher
import Pipeline
import Service
import Tables

/// A catalogue in which wildcards find no table, but names do.
private struct NamedTables: SchemaCatalog {
    let base: WorkspaceCatalog
    func table(_ name: String) -> TableSchema? { base.table(name) }
    var tableNames: [String] { [] }
    var content: (any WorkspaceContent)? { base.content }
}

/// The data of a hunt, and one query after the other over it.
final class HuntSession {
    let inputs: [HuntInput]
    let catalog: WorkspaceCatalog
    let store: WorkspaceStore
    let limits: EvaluationLimits
    let at: String?
    var format: Hunt.Format
    let output: String?
    let threads: Int
    let explain: Bool
    /// Shows what would be done, and reads nothing.
    let dryRun: Bool
    let lint: Bool
    let saveTable: String?
    let tablesFolder: String

    /// Operators in a row that a hunt takes.
    private static let levelLimit = 20_000

    init(
        inputs: [HuntInput], catalog: WorkspaceCatalog, store: WorkspaceStore, limits: EvaluationLimits, at: String?, format: Hunt.Format,
        output: String?, threads: Int, explain: Bool, dryRun: Bool = false, lint: Bool, saveTable: String?, tablesFolder: String
    ) {
        (self.threads, self.dryRun) = (threads, dryRun)
        (self.inputs, self.catalog, self.store, self.limits, self.at) = (inputs, catalog, store, limits, at)
        (self.format, self.output, self.explain, self.lint) = (format, output, explain, lint)
        (self.saveTable, self.tablesFolder) = (saveTable, tablesFolder)
    }

    private var readsPipe: Bool { inputs.contains { $0.file.path == "-" } }

    func binder(_ context: EvaluationContext, wildcards: Bool = true) -> Binder {
        var options = BinderOptions(fold: { ConstantFolder.fold(name: $0, args: $1) }, levelLimit: HuntSession.levelLimit)
        options.severalResults = true
        // Standard input cannot be read twice.
        if !readsPipe, !dryRun {
            options.probe = { [inputs, catalog] plan in
                let tables = HuntTables(inputs: inputs, catalog: catalog)
                tables.expect(PlanRewriter.prune(plan))
                return try Executor(provider: tables, context: context, options: ExecutorOptions(stableTake: false)).collect(plan).batches
            }
        }
        return Binder(
            functions: FunctionRegistry.standard, schemas: wildcards ? catalog : NamedTables(base: catalog), options: options)
    }

    /// Runs a query and prints its result. Throws the exit code of what went wrong, which was said.
    func run(_ text: String, file: String?) throws {
        Interrupt.arm(true)
        defer { Interrupt.arm(false) }
        let out = HuntDiagnostics(query: text, file: file, content: store, isJSON: format == .json || format == .jsonl)
        var now = WallClock.now
        if at == "latest" {
            now = try latest(out)
        } else if let t = try Times.parse(at, "--at") {
            now = t
        }
        var context = EvaluationContext(now: now, seed: 0, limits: limits)
        let endsAtFirst = Switch()
        // One clock for all that the query needs, plugins that look at the data first included.
        context.watch = QueryWatch(context.limits) { Interrupt.wantsEnd || (endsAtFirst.isSet && Interrupt.wantsPartial) }
        let tree = SyntaxTree.parse(text)
        var bound = binder(context).bind(tree)
        // Without data, `union *` and `search` mean the views of the query.
        if inputs.isEmpty, !dryRun, let plan = bound.plan, readsTables(plan) {
            let narrow = binder(context, wildcards: false).bind(tree)
            if let plan = narrow.plan, !readsTables(plan), !narrow.diagnostics.contains(where: { $0.severity == .error }) { bound = narrow }
        }
        let errors = bound.diagnostics.filter { $0.severity == .error }
        for d in store.shown(bound.diagnostics) where d.severity != .note { out.say(d) }
        guard let plan = bound.plan, errors.isEmpty else { throw ExitStatus.invalid }
        if lint { for d in Lints.findings(plan, use: .hunt) { out.say(d) } }
        if dryRun {
            try show(planned(plan, context))
            return
        }
        let readsTables = readsTables(plan)
        if inputs.isEmpty, readsTables { throw out.fail("the query reads a table: name its data with --data PATH", ExitStatus.usage) }
        // What is only computed has no part to show.
        if !readsTables { endsAtFirst.set() }

        let bar = ProgressBar(total: Int(inputs.reduce(0) { $0 + $1.file.size }))
        let tables = HuntTables(
            inputs: inputs, catalog: catalog, threads: threads, progress: { bar.add($0) }, isCancelled: { Interrupt.wantsPartial })
        var options = ExecutorOptions(stableTake: false, threads: threads, sheddingKeys: true)
        let profile = ExecutionProfile()
        if explain { options.profile = profile }
        let executor = Executor(provider: tables, context: context, options: options)
        let pruned = PlanRewriter.prune(plan)
        tables.expect(pruned, keyed: PlanOrder.readsKeys(pruned))
        let began = WallClock.monotonic
        do {
            let result = try HuntResult(self, bound, plan, query: text)
            try executor.runResults(plan) { i, batch in
                bar.add(rows: batch.count)
                return try result.add(batch, of: i)
            }
            bar.finish()
            result.isPartial = tables.figures.isPartial
            if tables.figures.isPartial {
                result.notes.append("partial: reading was stopped after \(Figures.count(tables.figures.files, "file"))")
            }
            try result.finish()
            if explain {
                let run = ExplainReport.Run(
                    profile: profile, figures: tables.figures, seconds: Double(WallClock.monotonic - began) / 1e7, threads: threads)
                try show(ExplainReport(roots: profile.roots, run: run, scans: tables.scans))
            }
        } catch let e as EvaluationError {
            bar.finish()
            if let range = e.range { out.say(Diagnostic(.error, "VK0400", e.message, at: range)) } else { out.say(.error, e.message) }
            throw ExitStatus.invalid
        } catch let e as ExitCode {
            bar.finish()
            throw e
        } catch is ExecutionCancelled {
            bar.finish()
            throw out.fail("stopped", ExitCode(Interrupt.exitCode))
        } catch {
            bar.finish()
            throw out.fail("\(error)", ExitStatus.io)
        }
        try conclude(tables.figures, plan, out)
    }

    /// What a query would do, without reading.
    private func planned(_ plan: Plan, _ context: EvaluationContext) -> ExplainReport {
        let tables = HuntTables(inputs: inputs, catalog: catalog)
        let note = tables.outline(PlanRewriter.prune(plan), context: context)
        return ExplainReport(roots: Executor.rewritten(plan), run: nil, scans: note.map { [$0] } ?? [])
    }

    /// What there is to say of the data behind a result.
    private func conclude(_ figures: HuntFigures, _ plan: Plan, _ out: HuntDiagnostics) throws {
        for p in figures.problems { out.say(.error, p) }
        if figures.deadLetters > 0 { out.say(.warning, "\(Figures.count(figures.deadLetters, "record")) could not be read") }
        if figures.isPartial {
            out.say(.warning, "the result is partial: reading was stopped after \(Figures.count(figures.records, "record"))")
            throw ExitCode(Interrupt.exitCode)
        }
        if at == nil, figures.newest > 0, WallClock.now - figures.newest > KustoTime.ticksPerHour, usesNow(plan) {
            out.say(
                .note,
                "the query looks back from now, but the newest record is of \(KustoTime.isoString(figures.newest)); --at latest looks back from there"
            )
        }
        if !figures.problems.isEmpty { throw ExitStatus.io }
    }

    private func show(_ report: ExplainReport) throws {
        let shown = format == .json || format == .jsonl ? JSONText.compact(report.json) : report.text(width: Terminal.width)
        guard let output else {
            Terminal.out(shown)
            return
        }
        let file = try OutputFile(output)
        try file.write(Array((shown + "\n").utf8))
        try file.finish()
    }

    /// The newest event time of all data: a scan of its own.
    private func latest(_ out: HuntDiagnostics) throws -> Int64 {
        guard !dryRun else { throw out.fail("--dry-run reads nothing: give --at a time instead of `latest`", ExitStatus.usage) }
        guard !readsPipe else { throw out.fail("--at latest cannot look ahead in standard input", ExitStatus.usage) }
        let probe = HuntTables(inputs: inputs, catalog: catalog, threads: threads, isCancelled: { Interrupt.wantsPartial })
        let context = EvaluationContext(now: 0)
        do { try probe.scan(table: "AzureActivity", columns: [], filters: [], context: context) { _ in true } } catch {
            throw out.fail("\(error)", ExitStatus.io)
        }
        if Interrupt.wantsPartial { throw out.fail("stopped", ExitCode(Interrupt.exitCode)) }
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
