import Columnar
import KQL

/// Runs the sub-queries of an expression: `toscalar(...)` and `in (query)`.
public protocol SubqueryResolver: Sendable {
    /// The first column of the plan's result.
    func firstColumn(of plan: Plan) throws -> Column
}

/// A resolver for expressions that cannot hold sub-queries; it refuses every one.
public struct NoSubqueries: SubqueryResolver {
    public init() {}
    public func firstColumn(of plan: Plan) throws -> Column {
        throw EvaluationError("A sub-query cannot be used here", at: plan.range)
    }
}

/// A scalar expression made ready to run over batches.
///
/// Compilation resolves columns to positions, folds constant parts, compiles constant patterns, hashes constant sets and runs sub-queries
/// (once: compile anew for each execution whose sub-queries may give other rows). Safe to share between threads.
public final class CompiledExpression: Sendable {
    let root: any ExpressionNode
    /// The type of the results.
    public let type: ScalarType

    /// Throws `EvaluationError` if the expression names an unknown function or column, if a constant pattern is malformed, or if a
    /// sub-query fails.
    public init(_ expr: BoundExpr, input: [BoundColumn], subqueries: any SubqueryResolver) throws {
        var compiler = ExpressionCompiler(input: input, subqueries: subqueries)
        root = try compiler.compile(expr)
        type = expr.type
    }

    /// An expression that gives an error wherever it is evaluated.
    public init(failing error: EvaluationError) {
        root = FailingNode(error: error)
        type = .bool
    }

    /// The expression without columns, `now` and randomness has this value at every row; nil if it depends on something.
    public var constant: Value? { (root as? ConstantNode)?.value }

    /// The value of every row. Columns of the batch stand at the positions they have in `input`.
    public func evaluate(_ batch: Batch, _ context: EvaluationContext) throws -> Datum {
        let result = try root.run(ExpressionFrame(batch: batch, context: context))
        return result.type == type ? result : castDatum(result, to: type, rows: batch.count)
    }

    /// The rows where the expression is true. Null counts as false; a numeric result is true when it is not zero.
    public func select(_ batch: Batch, _ context: EvaluationContext) throws -> Bitmap {
        truth(try root.run(ExpressionFrame(batch: batch, context: context)), rows: batch.count).yes
    }
}

/// The rows that a node works on: a batch, or some of its rows. Columns are narrowed when first asked for.
final class ExpressionFrame {
    let batch: Batch
    let context: EvaluationContext
    let selection: ContiguousArray<Int32>?
    private var narrowed: [Int: Column] = [:]

    init(batch: Batch, context: EvaluationContext, selection: ContiguousArray<Int32>? = nil) {
        self.batch = batch
        self.context = context
        self.selection = selection
    }

    var rows: Int { selection?.count ?? batch.count }

    func column(_ position: Int) -> Column {
        guard let selection else { return batch.columns[position] }
        if let known = narrowed[position] { return known }
        let column = batch.columns[position].gather(selection)
        narrowed[position] = column
        return column
    }

    /// The rows given of this frame's rows.
    func narrow(_ rows: ContiguousArray<Int32>) -> ExpressionFrame {
        let composed = selection.map { s in ContiguousArray(rows.lazy.map { s[Int($0)] }) } ?? rows
        return ExpressionFrame(batch: batch, context: context, selection: composed)
    }

    /// The identity of a row; rows without one are numbered.
    func key(_ row: Int) -> RowKey {
        let position = selection.map { Int($0[row]) } ?? row
        return batch.keys.map { $0[position] } ?? .ordinal(position)
    }
}

/// One step of a compiled expression.
protocol ExpressionNode: Sendable {
    var type: ScalarType { get }
    /// Rough price of a row: 0 for constants and columns, 1 for arithmetic, 4 for text over plain columns, more for row-wise calls.
    var cost: Int { get }
    func run(_ frame: ExpressionFrame) throws -> Datum
}

struct FailingNode: ExpressionNode {
    let error: EvaluationError
    var type: ScalarType { .bool }
    var cost: Int { 0 }
    func run(_ frame: ExpressionFrame) throws -> Datum { throw error }
}

struct ConstantNode: ExpressionNode {
    let value: Value
    var type: ScalarType { value.type }
    var cost: Int { 0 }
    func run(_ frame: ExpressionFrame) throws -> Datum { .constant(value) }
}

struct ColumnNode: ExpressionNode {
    let position: Int
    let type: ScalarType
    var cost: Int { 0 }
    func run(_ frame: ExpressionFrame) throws -> Datum {
        guard position < frame.batch.columns.count else { throw EvaluationError("The batch lacks column \(position)") }
        return .column(frame.column(position))
    }
}

/// A call of a columnar kernel.
struct KernelNode: ExpressionNode {
    let arguments: [any ExpressionNode]
    let type: ScalarType
    let price: Int
    let kernel: @Sendable ([Datum], KernelContext) throws -> Datum

    var cost: Int { arguments.reduce(price) { $0 + $1.cost } }

    func run(_ frame: ExpressionFrame) throws -> Datum {
        let values = try arguments.map { try $0.run(frame) }
        return try kernel(values, KernelContext(rows: frame.rows, type: type, context: frame.context, frame: frame))
    }
}

/// What a columnar kernel knows besides its arguments.
struct KernelContext {
    let rows: Int
    /// The type of the result.
    let type: ScalarType
    let context: EvaluationContext
    let frame: ExpressionFrame
}

/// Builds nodes from bound expressions.
struct ExpressionCompiler {
    private var positions: [ColumnID: (position: Int, type: ScalarType)] = [:]
    let subqueries: any SubqueryResolver

    init(input: [BoundColumn], subqueries: any SubqueryResolver) {
        for (i, c) in input.enumerated() { positions[c.id] = (i, c.type) }
        self.subqueries = subqueries
    }

    mutating func compile(_ expr: BoundExpr) throws -> any ExpressionNode {
        switch expr.kind {
        case .constant(let value):
            return ConstantNode(value: value)
        case .column(let id):
            guard let (position, type) = positions[id] else {
                throw EvaluationError("Column \(id) is not part of the input", at: expr.range)
            }
            return ColumnNode(position: position, type: type)
        case .call(let name, let arguments):
            do {
                return try compileCall(name, arguments.map { try compile($0) }, expr)
            } catch let error as EvaluationError where error.range == nil {
                throw EvaluationError(error.message, at: expr.range)
            }
        case .member(let base, let key):
            return fold(path(try compile(base), .key(key)))
        case .element(let base, let index):
            let baseNode = try compile(base)
            let indexNode = try compile(index)
            if let constant = (indexNode as? ConstantNode)?.value {
                if case .string(let key) = constant { return fold(path(baseNode, .key(key))) }
                if let i = constant.integer { return fold(path(baseNode, .index(Int(clamping: i)))) }
                if case .dynamic(.string(let key)) = constant { return fold(path(baseNode, .key(key))) }
                if case .dynamic(.long(let i)) = constant { return fold(path(baseNode, .index(Int(clamping: i)))) }
            }
            return valueNode([baseNode, indexNode], .dynamic, strict: true) { arguments in
                guard case .dynamic(let d) = arguments[0] else { return .null(.dynamic) }
                return dynamicValue(dynamicElement(d, arguments[1]))
            }
        case .scalarQuery(let plan):
            let column = try subqueries.firstColumn(of: plan)
            let value = column.count > 0 ? column.value(0) : .missing(column.type)
            return ConstantNode(value: value.type == expr.type ? value : convertValue(value, to: expr.type))
        case .inQuery(let op, let left, let plan):
            let column = try subqueries.firstColumn(of: plan)
            var items: [Value] = []
            items.reserveCapacity(column.count)
            for row in 0..<column.count { items.append(column.value(row)) }
            return try compileList(op, try compile(left), items: items)
        }
    }

    /// A chain of accesses becomes one node.
    private func path(_ base: any ExpressionNode, _ step: DynamicPath.Step) -> any ExpressionNode {
        if let inner = base as? PathNode {
            return PathNode(base: inner.base, path: DynamicPath(steps: inner.path.steps + [step]))
        }
        return PathNode(base: base, path: DynamicPath(steps: [step]))
    }

    /// A node over constants alone is computed now. Errors are left to the execution.
    func fold(_ node: any ExpressionNode) -> any ExpressionNode {
        let arguments: [any ExpressionNode]
        switch node {
        case let k as KernelNode: arguments = k.arguments
        case let p as PathNode: arguments = [p.base]
        default: return node
        }
        guard arguments.allSatisfy({ $0 is ConstantNode }) else { return node }
        let frame = ExpressionFrame(batch: Batch(columns: [], count: 1), context: EvaluationContext(now: 0))
        guard let datum = try? node.run(frame) else { return node }
        switch datum {
        case .constant(let v): return ConstantNode(value: v)
        case .column(let c): return c.count == 1 ? ConstantNode(value: c.value(0)) : node
        }
    }

    /// A row-wise function as a node, run once a dictionary value where one argument is a dictionary column.
    func valueNode(
        _ arguments: [any ExpressionNode], _ type: ScalarType, strict: Bool, _ function: @escaping ValueFunction
    ) -> any ExpressionNode {
        fold(
            KernelNode(arguments: arguments, type: type, price: 16) { values, c in
                try applyRows(values, rows: c.rows, type: type, strict: strict, function)
            })
    }

    /// The node with its result converted to a type, as the explicit conversion functions do.
    func converted(_ node: any ExpressionNode, to type: ScalarType) -> any ExpressionNode {
        if node.type == type { return node }
        return fold(KernelNode(arguments: [node], type: type, price: 2) { values, c in castDatum(values[0], to: type, rows: c.rows) })
    }
}
