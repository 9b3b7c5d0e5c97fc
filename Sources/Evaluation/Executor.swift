import Columnar
import KQL

/// How a plan is executed.
public struct ExecutorOptions: Sendable {
    /// Carry `Batch/lineage` through every operator.
    public var lineage: Bool
    /// Carry row keys. Without them rows are ordered as they arrive, which suits a hunt over files in a fixed order.
    public var keys: Bool
    /// `take` of unordered rows keeps the least by row key, so that arrival does not matter; else it keeps the first and stops the scan.
    public var stableTake: Bool
    /// Rows of a batch that operators make.
    public var batchRows: Int
    /// Threads on which operators may work; results do not depend on it.
    public var threads: Int
    /// Rows of sources that keep one order may go without keys in plans whose results do not hang on them (``PlanOrder``): rows and groups
    /// then come in the source's order instead of that of the keys.
    public var sheddingKeys: Bool
    /// Notes what each operator does; nil: nothing is noted.
    public var profile: ExecutionProfile?
    /// For plans that are executed again and again. They must have been pruned (``PlanRewriter/prune(_:)``).
    public var prepared: PreparedExpressions?
    /// Rows of a part of a `summarize` after which it is decided how its groups are held; what comes out does not depend on it.
    package var looksAtRows = AggregationPart.looks

    public init(
        lineage: Bool = false, keys: Bool = true, stableTake: Bool = true, batchRows: Int = 2048, threads: Int = 1,
        sheddingKeys: Bool = false
    ) {
        self.lineage = lineage
        self.keys = keys || lineage
        self.stableTake = stableTake
        self.batchRows = max(1, batchRows)
        self.threads = max(1, threads)
        self.sheddingKeys = sheddingKeys
    }
}

/// Executes bound plans over tables, in columnar batches.
///
/// Results depend on the rows alone (`docs/semantics.md`, "Rows and order"): ties of every order-sensitive operator are broken by
/// `RowKey`, sums of reals are exact, and batch boundaries do not show.
public struct Executor: Sendable {
    private let provider: any TableProvider
    private let context: EvaluationContext
    private let options: ExecutorOptions

    public init(provider: any TableProvider, context: EvaluationContext, options: ExecutorOptions = ExecutorOptions()) {
        self.provider = provider
        self.context = context
        self.options = options
    }

    /// Runs a plan and hands over its rows until `emit` returns false. Columns are those of the plan, in its order.
    ///
    /// Throws `EvaluationError` when a limit is reached, an expression cannot be computed or an operator is not supported, and whatever
    /// the table provider or `emit` throws.
    public func run(_ plan: Plan, emit: (Batch) throws -> Bool) throws {
        // Operators run within each other: long chains need more stack than a thread may have.
        guard plan.levels > 100 else { return try runHere(plan, emit: emit) }
        try LargeStack.run(bytes: 8 << 20 + plan.levels << 14) { try runHere(plan, emit: emit) }
    }

    private func runHere(_ plan: Plan, emit: (Batch) throws -> Bool) throws {
        let pruned = options.prepared == nil ? PlanRewriter.prune(plan) : plan
        options.profile?.began(pruned)
        var options = options
        if options.sheddingKeys, !options.lineage, !PlanOrder.readsKeys(pruned) { options.keys = false }
        let execution = Execution(provider: provider, context: watched, options: options)
        var rows = 0
        try execution.run(pruned, Environment()) { batch in
            if batch.count == 0 { return true }
            rows += batch.count
            try check(resultRows: rows)
            return try emit(batch)
        }
    }

    /// The context with its watch, which starts now unless the caller's runs already.
    private var watched: EvaluationContext {
        var c = context
        if c.watch == nil { c.watch = QueryWatch(c.limits) }
        return c
    }

    private func check(resultRows rows: Int) throws {
        let limit = context.limits.resultRows
        if rows > limit { throw context.limits.reached(.resultRows, "the result has more than \(limit) rows") }
    }

    /// Runs a plan of several results (`BoundQuery/resultNames`) one after the other, or any other as the only one. What they share is
    /// computed once. Errors are those of ``run(_:emit:)``; a result is left early when `emit` returns false for it.
    public func runResults(_ plan: Plan, emit: (_ result: Int, Batch) throws -> Bool) throws {
        guard case .custom("results", _, _, _) = plan.kind else { return try run(plan) { try emit(0, $0) } }
        try LargeStack.run(bytes: 8 << 20 + plan.levels << 14) {
            let execution = Execution(provider: provider, context: watched, options: options)
            guard case .custom(_, let inputs, _, _) = PlanRewriter.prune(plan).kind else { return }
            for input in inputs { options.profile?.began(input) }
            for (i, input) in inputs.enumerated() {
                var rows = 0
                try execution.run(input, Environment()) { batch in
                    if batch.count == 0 { return true }
                    rows += batch.count
                    try check(resultRows: rows)
                    return try emit(i, batch)
                }
            }
        }
    }

    /// The plans that ``runResults(_:emit:)`` would run, as it rewrites them.
    public static func rewritten(_ plan: Plan) -> [Plan] {
        let pruned = PlanRewriter.prune(plan)
        guard case .custom("results", let inputs, _, _) = pruned.kind else { return [pruned] }
        return inputs
    }

    /// Runs a plan and returns all its rows.
    public func collect(_ plan: Plan) throws -> (columns: [BoundColumn], batches: [Batch]) {
        var batches: [Batch] = []
        try run(plan) {
            batches.append($0)
            return true
        }
        return (plan.columns, batches)
    }
}
