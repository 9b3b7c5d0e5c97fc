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

/// The data of a hunt, and one query after the other over it.
final class HuntSession {
    let inputs: [HuntInput]
    let catalog: WorkspaceCatalog
    let store: WorkspaceStore
    let limits: EvaluationLimits
    let at: String?
    var format: Hunt.Format
    let output: String?
    let explain: Bool
    let lint: Bool
    let saveTable: String?
    let tablesFolder: String

    /// Operators in a row that a hunt takes.
    private static let levelLimit = 20_000

    init(
        inputs: [HuntInput], catalog: WorkspaceCatalog, store: WorkspaceStore, limits: EvaluationLimits, at: String?, format: Hunt.Format,
        output: String?, explain: Bool, lint: Bool, saveTable: String?, tablesFolder: String
    ) {
        (self.inputs, self.catalog, self.store, self.limits, self.at) = (inputs, catalog, store, limits, at)
        (self.format, self.output, self.explain, self.lint) = (format, output, explain, lint)
        (self.saveTable, self.tablesFolder) = (saveTable, tablesFolder)
    }

    private var threads: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
    private var readsPipe: Bool { inputs.contains { $0.file.path == "-" } }

    func binder(_ context: EvaluationContext) -> Binder {
        var options = BinderOptions(fold: { ConstantFolder.fold(name: $0, args: $1) }, levelLimit: HuntSession.levelLimit)
        options.severalResults = true
        // Standard input cannot be read twice.
        if !readsPipe {
            options.probe = { [inputs, catalog] plan in
                let tables = HuntTables(inputs: inputs, catalog: catalog)
                tables.expect(PlanRewriter.prune(plan))
                return try Executor(provider: tables, context: context, options: ExecutorOptions(stableTake: false)).collect(plan).batches
            }
        }
        return Binder(functions: FunctionRegistry.standard, schemas: catalog, options: options)
    }

    /// Runs a query and prints its result. Throws the exit code of what went wrong, which was said.
    func run(_ text: String, file: String?) throws {
        Interrupt.arm(true)
        defer { Interrupt.arm(false) }
        var now = WallClock.now
        if at == "latest" {
            now = try latest()
        } else if let t = try Times.parse(at, "--at") {
            now = t
        }
        var context = EvaluationContext(now: now, seed: 0, limits: limits)
        let endsAtFirst = Switch()
        // One clock for all that the query needs, plugins that look at the data first included.
        context.watch = QueryWatch(context.limits) { Interrupt.wantsEnd || (endsAtFirst.isSet && Interrupt.wantsPartial) }
        let bound = binder(context).bind(SyntaxTree.parse(text))
        let renderer = DiagnosticRenderer(source: text, file: file)
        let errors = bound.diagnostics.filter { $0.severity == .error }
        for d in store.shown(bound.diagnostics) where d.severity != .note { Terminal.err(renderer.render(d, content: store)) }
        guard let plan = bound.plan, errors.isEmpty else { throw ExitStatus.invalid }
        if lint { for d in Lints.findings(plan, use: .hunt) { Terminal.err(renderer.render(d, content: store)) } }
        let readsTables = readsTables(plan)
        if inputs.isEmpty, readsTables { throw fail("the query reads a table: name its data with --data PATH", ExitStatus.usage) }
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
            if explain { try show(profile, tables, text, Double(WallClock.monotonic - began) / 1e7) }
        } catch let e as EvaluationError {
            bar.finish()
            let d = Diagnostic(.error, "VK0400", e.message, at: e.range ?? plan.range)
            Terminal.err(e.range == nil ? "vedette: \(e.message)" : renderer.render(d, content: store))
            throw ExitStatus.invalid
        } catch let e as ExitCode {
            bar.finish()
            throw e
        } catch is ExecutionCancelled {
            bar.finish()
            throw fail("stopped", ExitCode(Interrupt.exitCode))
        } catch {
            bar.finish()
            throw fail("\(error)", ExitStatus.io)
        }
        try conclude(tables.figures, plan)
    }

    /// What there is to say of the data behind a result.
    private func conclude(_ figures: HuntFigures, _ plan: Plan) throws {
        for p in figures.problems { Terminal.err("vedette: \(p)") }
        if figures.deadLetters > 0 { Terminal.err("vedette: \(Figures.count(figures.deadLetters, "record")) could not be read") }
        if figures.isPartial {
            Terminal.err("vedette: the result is partial: reading was stopped after \(Figures.count(figures.records, "record"))")
            throw ExitCode(Interrupt.exitCode)
        }
        if at == nil, figures.newest > 0, WallClock.now - figures.newest > KustoTime.ticksPerHour, usesNow(plan) {
            Terminal.err(
                "vedette: the query looks back from now, but the newest record is of \(KustoTime.isoString(figures.newest)); --at latest looks back from there"
            )
        }
        if !figures.problems.isEmpty { throw ExitStatus.io }
    }

    private func show(_ profile: ExecutionProfile, _ tables: HuntTables, _ text: String, _ seconds: Double) throws {
        let report = ExplainReport(
            query: text, profile: profile, scans: tables.scans, figures: tables.figures, seconds: seconds, threads: threads)
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
    private func latest() throws -> Int64 {
        guard !readsPipe else { throw fail("--at latest cannot look ahead in standard input", ExitStatus.usage) }
        let probe = HuntTables(inputs: inputs, catalog: catalog, threads: threads, isCancelled: { Interrupt.wantsPartial })
        let context = EvaluationContext(now: 0)
        do { try probe.scan(table: "AzureActivity", columns: [], filters: [], context: context) { _ in true } } catch {
            throw fail("\(error)", ExitStatus.io)
        }
        if Interrupt.wantsPartial { throw fail("stopped", ExitCode(Interrupt.exitCode)) }
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
