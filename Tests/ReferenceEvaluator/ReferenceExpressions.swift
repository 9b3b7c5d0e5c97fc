import Columnar
import KQL

/// What the reference does not know: tests must not use it.
public struct ReferenceGap: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// The plain, slow evaluator of bound expressions: one value at a time, by the definition of each operator. It shares the plan and value
/// types with the engine and nothing else; where it and the engine differ, one of them is wrong.
struct ReferenceExpressions {
    let now: Int64
    /// Runs the plan of a sub-query.
    let subquery: (Plan) throws -> [[Value]]

    func evaluate(_ e: BoundExpr, _ row: [ColumnID: Value]) throws -> Value {
        switch e.kind {
        case .constant(let v): return v
        case .column(let id):
            guard let v = row[id] else { throw ReferenceGap("column \(id)") }
            return v
        case .member(let base, let key): return ReferenceValues.member(try evaluate(base, row), .string(key))
        case .element(let base, let index): return ReferenceValues.member(try evaluate(base, row), try evaluate(index, row))
        case .scalarQuery(let plan):
            let first = try subquery(plan).first?.first
            return ReferenceValues.convert(ReferenceValues.present(first, plan.columns.first?.type ?? e.type), to: e.type)
        case .inQuery(let op, let left, let plan):
            let items = try subquery(plan).compactMap(\.first)
            return try list(op, try evaluate(left, row), items)
        case .call(let name, let arguments):
            return ReferenceValues.convert(try call(name, arguments, e.type, row), to: e.type)
        }
    }

    private func call(_ name: String, _ arguments: [BoundExpr], _ type: ScalarType, _ row: [ColumnID: Value]) throws -> Value {
        switch name {
        case "and", "or":
            // Three-valued: the deciding value wins over null.
            let decides = name == "or"
            var anyNull = false
            for a in arguments {
                switch ReferenceValues.convert(try evaluate(a, row), to: .bool) {
                case .bool(decides): return .bool(decides)
                case .bool: break
                default: anyNull = true
                }
            }
            return anyNull ? .null(.bool) : .bool(!decides)
        case "iff", "iif", "case":
            var i = 0
            while i + 1 < arguments.count {
                if ReferenceValues.convert(try evaluate(arguments[i], row), to: .bool) == .bool(true) {
                    return try evaluate(arguments[i + 1], row)
                }
                i += 2
            }
            return try evaluate(arguments[arguments.count - 1], row)
        case "now": return .datetime(now)
        default:
            let values = try arguments.map { try evaluate($0, row) }
            if let op = ListOperator(rawValue: name) { return try list(op, values[0], Array(values.dropFirst())) }
            if let op = BinaryOperator(rawValue: name) { return try binary(op, values[0], values[1], type) }
            return try ReferenceFunctions.call(name, values, type)
        }
    }

    // MARK: Operators

    private func binary(_ op: BinaryOperator, _ a: Value, _ b: Value, _ type: ScalarType) throws -> Value {
        switch op {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: return ReferenceValues.compare(op, a, b)
        case .add, .subtract, .multiply, .divide, .modulo: return try ReferenceValues.arithmetic(op, a, b, type)
        default:
            guard let predicate = ReferenceText.predicate(op.rawValue) else { throw ReferenceGap("operator \(op.rawValue)") }
            return .bool(predicate(ReferenceValues.text(a), ReferenceValues.text(b)))
        }
    }

    /// `in` and its relations. Arrays among the items stand for their elements; nulls are equal to nothing.
    private func list(_ op: ListOperator, _ left: Value, _ items: [Value]) throws -> Value {
        var flat: [Value] = []
        for item in items {
            if case .dynamic(.array(let elements)) = item {
                flat += elements.map { $0 == .null ? .null(.dynamic) : .dynamic($0) }
            } else {
                flat.append(item)
            }
        }
        let text = ReferenceValues.text(left)
        switch op {
        case .hasAny: return .bool(flat.contains { ReferenceText.has(text, ReferenceValues.text($0), ignoreCase: true) })
        case .hasAll: return .bool(flat.allSatisfy { ReferenceText.has(text, ReferenceValues.text($0), ignoreCase: true) })
        case .isInIgnoringCase, .notInIgnoringCase:
            let found = flat.contains { !$0.isNull && ReferenceText.folded(ReferenceValues.text($0)) == ReferenceText.folded(text) }
            return .bool(found == (op == .isInIgnoringCase))
        default:
            let found = flat.contains { ReferenceValues.compare(.equal, left, $0) == .bool(true) }
            return .bool(found == (op == .isIn))
        }
    }
}
