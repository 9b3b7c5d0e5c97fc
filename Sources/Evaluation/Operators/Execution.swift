import Columnar
import KQL
import Synchronization

/// What an operator sees besides its input: the rows of the enclosing mv-apply or partition.
struct Environment {
    var source: [Batch]?
    /// The part of the table at the bottom that is read; nil: all of it.
    var part: ScanPart?
    /// The columns of the next node's result that are looked at; nil: all of them. Others may hold anything of their type.
    var needed: Set<ColumnID>?
    /// The graph of the enclosing `partitioned-by`.
    var graph: Graph?
}

/// One execution of a plan: compiled expressions, results of shared plans and sub-queries.
///
/// Parts of a plan may run on several threads (`Execution+Parallel.swift`); what they share is behind a lock.
final class Execution: SubqueryResolver, @unchecked Sendable {
    let provider: any TableProvider
    let context: EvaluationContext
    let options: ExecutorOptions

    private struct ExpressionKey: Hashable {
        let plan: ObjectIdentifier
        let expr: ObjectIdentifier
        let input: Int
    }
    private struct Caches {
        var expressions: [ExpressionKey: CompiledExpression] = [:]
        var shared: [Int: [Batch]] = [:]
        var firstColumns: [ObjectIdentifier: Column] = [:]
        /// Held sides of joins whose left sides are read in parts.
        var joins: [ObjectIdentifier: JoinTable] = [:]
        /// Cached by identity, so they must stay alive.
        var retained: [AnyObject] = []
    }
    private let caches = Mutex(Caches())
    /// Graphs of shared plans; used by the run alone.
    private var graphs: [Int: Graph] = [:]

    /// The keys of the partitions around, by the identity that the binder gave them.
    let partitionKeys: [Int64: Value]

    /// Set where a body (`Execution+Bodies.swift`) gives its own rows a name.
    let body: BodyRows?

    init(
        provider: any TableProvider, context: EvaluationContext, options: ExecutorOptions, partitionKeys: [Int64: Value] = [:],
        body: BodyRows? = nil
    ) {
        self.partitionKeys = partitionKeys
        self.provider = provider
        self.context = context
        self.options = options
        self.body = body
    }

    var limits: EvaluationLimits { context.limits }

    /// An expression of a plan node over one of its inputs, compiled once an execution.
    func compiled(_ expr: BoundExpr, of plan: Plan, over input: [BoundColumn], side: Int = 0) throws -> CompiledExpression {
        if let known = try options.prepared?.compiled(expr, of: plan, over: input, side: side) { return known }
        let key = ExpressionKey(plan: ObjectIdentifier(plan), expr: ObjectIdentifier(expr), input: side)
        if let known = caches.withLock({ $0.expressions[key] }) { return known }
        let made = try CompiledExpression(expr, input: input, subqueries: self)
        caches.withLock {
            $0.expressions[key] = made
            $0.retained.append(plan)
            $0.retained.append(expr)
        }
        return made
    }

    func preparedJoin(_ plan: Plan) -> JoinTable? { caches.withLock { $0.joins[ObjectIdentifier(plan)] } }

    func prepareJoin(_ plan: Plan, _ table: JoinTable) {
        caches.withLock {
            $0.joins[ObjectIdentifier(plan)] = table
            $0.retained.append(plan)
        }
    }

    /// The value of an expression without columns.
    func constant(_ expr: BoundExpr, of plan: Plan) throws -> Value {
        let e = try compiled(expr, of: plan, over: [], side: -1)
        return try e.evaluate(Batch(columns: [], count: 1), context).materialized(rows: 1).value(0)
    }

    /// A count from an expression without columns: null and negative numbers are errors.
    func count(_ expr: BoundExpr, of plan: Plan, name: String) throws -> Int {
        guard let n = try constant(expr, of: plan).integer, n >= 0 else {
            throw EvaluationError("\(name) needs a number of rows that is not negative", at: expr.range)
        }
        return Int(n)
    }

    func firstColumn(of plan: Plan) throws -> Column {
        if let known = caches.withLock({ $0.firstColumns[ObjectIdentifier(plan)] }) { return known }
        if let body, BodyRows.names(in: plan).isDisjoint(with: body.names) { return try body.outer.firstColumn(of: plan) }
        var b = ColumnBuilder(plan.columns.first?.type ?? .dynamic)
        try run(plan, Environment()) { batch in
            if let c = batch.columns.first { b.append(contentsOf: c) }
            try limits.check(held: b.count, by: "a sub-query")
            return true
        }
        let column = b.finish()
        caches.withLock {
            $0.firstColumns[ObjectIdentifier(plan)] = column
            $0.retained.append(plan)
        }
        return column
    }

    /// The rows of a shared plan, computed at its first use.
    func shared(_ s: SharedPlan) throws -> [Batch] {
        if let known = caches.withLock({ $0.shared[s.id] }) { return known }
        if let body, !body.names.contains(s.id) { return try body.outer.shared(s) }
        let batches = try collect(s.plan, Environment(source: body?.rows), by: "materialize")
        caches.withLock { $0.shared[s.id] = batches }
        return batches
    }

    /// The graph of a shared plan, made at its first use.
    func sharedGraph(_ s: SharedPlan, _ make: () throws -> Graph) throws -> Graph {
        if let known = graphs[s.id] { return known }
        let made = try make()
        graphs[s.id] = made
        return made
    }

    func collect(_ plan: Plan, _ environment: Environment, by name: String) throws -> [Batch] {
        try store(plan, environment, by: name).batches
    }

    func store(_ plan: Plan, _ environment: Environment, by name: String) throws -> RowStore {
        var store = RowStore(plan.columns)
        try run(plan, environment) {
            try store.append($0, limits, by: name)
            return true
        }
        return store
    }

    /// Runs a plan node; returns false if `emit` wanted no more rows.
    @discardableResult
    func run(
        _ plan: Plan, _ environment: Environment, needed: Set<ColumnID>? = nil, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        var inner = environment
        inner.needed = needed
        if let profile = options.profile {
            return try withoutActuallyEscaping(emit) { try profiled(plan, inner, Receiver(emit: $0), profile) }
        }
        guard let watch = context.watch else { return try withoutActuallyEscaping(emit) { try dispatch(plan, inner, Receiver(emit: $0)) } }
        return try withoutActuallyEscaping(emit) { emit in
            try dispatch(
                plan, inner,
                Receiver { batch in
                    try watch.check()
                    return try emit(batch)
                })
        }
    }

    @inline(never)
    private func profiled(_ plan: Plan, _ environment: Environment, _ receiver: Receiver, _ profile: ExecutionProfile) throws -> Bool {
        var figures = ExecutionProfile.Figures()
        var downstream: UInt64 = 0
        let watch = context.watch
        let start = ExecutionProfile.now
        defer {
            figures.nanoseconds = ExecutionProfile.now &- start &- downstream
            profile.add(plan, figures)
        }
        return try withoutActuallyEscaping({ (batch: Batch) throws -> Bool in
            try watch?.check()
            figures.rows += batch.count
            figures.batches += 1
            let handed = ExecutionProfile.now
            defer { downstream &+= ExecutionProfile.now &- handed }
            return try receiver.emit(batch)
        }) { try dispatch(plan, environment, Receiver(emit: $0)) }
    }

    /// Carries a closure as an object. Operators call `run` with closures that call `run` again: handed on as closures, the optimiser of
    /// Swift 6.3 specialises the operators for every chain of them, without end.
    private final class Receiver {
        let emit: (Batch) throws -> Bool
        init(emit: @escaping (Batch) throws -> Bool) { self.emit = emit }
    }

    @inline(never)
    private func dispatch(_ plan: Plan, _ environment: Environment, _ receiver: Receiver) throws -> Bool {
        let emit = receiver.emit
        switch plan.kind {
        case .table(let name): return try table(plan, name, [], environment, emit)
        case .rows(let rows): return try literalRows(plan, rows, emit)
        case .print(let exprs): return try printRow(plan, exprs, emit)
        case .range(let from, let to, let step): return try rangeRows(plan, from, to, step, emit)
        case .filter(let input, let predicate): return try filter(plan, input, predicate, environment, emit)
        case .project(let input, let exprs): return try project(plan, input, exprs, environment, emit)
        case .summarize(let input, let keys, let aggregates):
            return try summarize(plan, input, keys, aggregates, environment, emit)
        case .sort(let input, let keys): return try sort(plan, input, keys, environment, emit)
        case .top(let input, let n, let keys): return try top(plan, input, n, keys, environment, emit)
        case .take(let input, let n): return try take(plan, input, n, environment, emit)
        case .join(let kind, let left, let right, let keys):
            return try join(plan, kind, left, right, keys, environment, emit)
        case .union(let branches, let map, let source): return try union(plan, branches, map, source, environment, emit)
        case .mvExpand(let input, let items, let outputs, let limit, let bagArrays):
            return try mvExpand(plan, input, items, outputs, limit, bagArrays, environment, emit)
        case .mvApply(let input, let items, let outputs, let limit, let body):
            return try mvApply(plan, input, items, outputs, limit, body, environment, emit)
        case .subquerySource:
            guard let source = environment.source else { throw EvaluationError("a sub-query has no rows to run over", at: plan.range) }
            for b in source where b.count > 0 { if try !emit(b) { return false } }
            return true
        case .parse(let input, let parse, let outputs): return try self.parse(plan, input, parse, outputs, environment, emit)
        case .serialize(let input): return try serialize(plan, input, environment, emit)
        case .shared(let s):
            for b in try shared(s) { if try !emit(b) { return false } }
            return true
        case .getschema(let input): return try getschema(plan, input, emit)
        case .sample(let input, let n): return try sample(plan, input, n, environment, emit)
        case .custom(let name, let inputs, let arguments, let options):
            return try custom(plan, name, inputs, arguments, options, environment, emit)
        }
    }

    /// Whether the rows of a plan come in a meaningful order (after `sort`, `top`, `serialize`, `range` ...), which then decides instead of
    /// row keys.
    func isOrdered(_ plan: Plan) -> Bool {
        switch plan.kind {
        case .sort, .top, .serialize, .range, .rows, .print: return true
        case .filter(let input, _), .project(let input, _), .take(let input, _), .parse(let input, _, _),
            .mvExpand(let input, _, _, _, _), .mvApply(let input, _, _, _, _):
            return isOrdered(input)
        case .shared(let s): return isOrdered(s.plan)
        case .subquerySource, .getschema: return true
        case .custom(let name, let inputs, _, _):
            return ["bag_unpack", "parse-kv", "narrow"].contains(name) && inputs.first.map(isOrdered) ?? false
        case .table, .summarize, .join, .union, .sample: return false
        }
    }

    /// The orders of a batch's rows for aggregates and winners; `start` is the number of its first row.
    func orders(_ batch: Batch, positional: Bool, start: Int) -> ContiguousArray<RowKey> {
        if !positional, let keys = batch.keys { return keys }
        return ContiguousArray((0..<batch.count).lazy.map { .ordinal(start + $0) })
    }
}
