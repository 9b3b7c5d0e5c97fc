import Columnar
import Dispatch
import KQL
import Synchronization

extension Execution {
    /// The parts in which the rows of a plan can be made at the same time; nil if they cannot, or if there is one thread.
    ///
    /// That is so for chains of operators that look at one row at a time, over a table whose source can be read in parts. Everything such a
    /// chain shares is made ready here, on one thread: sub-queries run once.
    func partitions(of plan: Plan, _ environment: Environment) throws -> [Environment]? {
        guard options.threads > 1, environment.part == nil, environment.source == nil, environment.graph == nil, plan.levels <= 100,
            provider is any DividedTableProvider,
            try prepare(plan)
        else { return nil }
        return (0..<options.threads).map { i in
            var e = environment
            e.part = ScanPart(index: i, count: options.threads)
            return e
        }
    }

    /// Whether a chain can be divided; compiles its expressions.
    private func prepare(_ plan: Plan) throws -> Bool {
        var node = plan
        while true {
            switch node.kind {
            case .table: return true
            case .filter(let input, let predicate):
                if RowFunctions.appear(in: predicate) { return false }
                _ = try compiled(predicate, of: node, over: input.columns)
                node = input
            case .project(let input, let exprs):
                if exprs.contains(where: RowFunctions.appear) { return false }
                for e in exprs { _ = try compiled(e, of: node, over: input.columns) }
                node = input
            case .mvExpand(let input, let items, _, let limit, _):
                for item in items { _ = try compiled(item.expr, of: node, over: input.columns) }
                if let limit { _ = try constant(limit, of: node) }
                node = input
            case .parse(let input, let parse, _):
                _ = try compiled(parse.source, of: node, over: input.columns)
                node = input
            case .join(let kind, let left, let right, let keys):
                // First whether the left side divides: a held side made for nothing is dear.
                guard try prepare(left), try prepareJoin(node, kind, left, right, keys) else { return false }
                return true
            default: return false
            }
        }
    }

    /// Runs a body for each part on threads of its own; results in the order of the parts. The error of the first part that failed is thrown.
    func inParallel<R>(_ parts: [Environment], _ body: (Environment) throws -> R) throws -> [R] {
        let results = Mutex<[Int: Result<Sent<R>, any Error>]>([:])
        // The closure does not outlive this call: all iterations end before `concurrentPerform` returns.
        withoutActuallyEscaping(body) { body in
            let sent = Sent(value: body)
            let environments = Sent(value: parts)
            DispatchQueue.concurrentPerform(iterations: parts.count) { i in
                let result = Result { Sent(value: try sent.value(environments.value[i])) }
                results.withLock { $0[i] = result }
            }
        }
        let all = results.withLock { $0 }
        return try (0..<parts.count).compactMap { try all[$0]?.get().value }
    }
}

/// A value handed from one thread to another, used by one at a time.
private struct Sent<T>: @unchecked Sendable {
    let value: T
}

/// What decides the order of a plan's rows, and what hangs on it.
public enum PlanOrder {
    /// Aggregates whose results are functions of the values alone.
    private static let unordered: Set<String> = [
        "count", "countif", "sum", "sumif", "avg", "avgif", "min", "minif", "max", "maxif", "dcount", "dcountif", "count_distinct",
        "count_distinctif", "stdev", "stdevif", "stdevp", "variance", "varianceif", "variancep", "covariance", "covariancep",
        "binary_all_and", "binary_all_or", "binary_all_xor", "percentile", "percentiles", "percentiles_array", "percentilew",
        "percentilesw", "percentilesw_array",
    ]

    /// Whether row keys decide which rows or values a plan gives (not only in what order).
    public static func readsKeys(_ plan: Plan) -> Bool {
        switch plan.kind {
        case .table, .rows, .range, .getschema: return false
        case .print(let exprs): return exprs.contains(where: readsKeys)
        case .filter(let input, let predicate): return readsKeys(predicate) || readsKeys(input)
        case .project(let input, let exprs): return exprs.contains(where: readsKeys) || readsKeys(input)
        case .summarize(let input, let keys, let aggregates):
            return aggregates.contains { !unordered.contains($0.name) || $0.arguments.contains(where: readsKeys) }
                || keys.contains(where: readsKeys) || readsKeys(input)
        case .join(let kind, let left, let right, let keys):
            return kind == .innerunique || keys.contains { readsKeys($0.left) || readsKeys($0.right) } || readsKeys(left)
                || readsKeys(right)
        case .union(let branches, _, _): return branches.contains(where: readsKeys)
        case .mvExpand(let input, let items, _, _, _): return items.contains { readsKeys($0.expr) } || readsKeys(input)
        case .parse(let input, let parse, _): return readsKeys(parse.source) || readsKeys(input)
        case .take(let input, _): return readsKeys(input)
        // Series are laid out by their bins; only the order of the series follows that of the rows.
        case .custom("make-series", let inputs, _, _): return inputs.contains(where: readsKeys)
        // The first rows among equals follow the source's order when there are no keys: which they are would change.
        case .sort, .top, .serialize, .sample, .mvApply, .subquerySource, .shared, .custom: return true
        }
    }

    private static func readsKeys(_ expr: BoundExpr) -> Bool {
        switch expr.kind {
        case .call(let name, let arguments):
            return ["rand", "new_guid", "ingestion_time"].contains(name) || arguments.contains(where: readsKeys)
        case .member(let base, _): return readsKeys(base)
        case .element(let base, let index): return readsKeys(base) || readsKeys(index)
        case .inQuery, .scalarQuery: return true
        case .constant, .column: return false
        }
    }
}
