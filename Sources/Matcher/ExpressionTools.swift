import Columnar
import Evaluation
import KQL

/// What an expression depends on: decides on which side of the prefix/suffix cut it may stand.
public struct ExpressionTraits: Sendable {
    /// Column identities that are read.
    public var columns: Set<ColumnID> = []
    /// Reads the evaluation time.
    public var usesNow = false
    /// Contains `toscalar` or membership in a query.
    public var hasSubquery = false
    /// `rand`, `new_guid`, or looks at other rows.
    public var isVolatile = false

    /// May run as events arrive: same row, same result, at any tick.
    public var isRowLocal: Bool { !usesNow && !hasSubquery && !isVolatile }

    public init() {}

    public init(_ expr: BoundExpr, functions: any FunctionCatalog) { visit(expr, functions) }

    private mutating func visit(_ expr: BoundExpr, _ functions: any FunctionCatalog) {
        switch expr.kind {
        case .constant: break
        case .column(let id): columns.insert(id)
        case .call(let name, let args):
            if name == "now" || name == "ago" {
                usesNow = true
            } else if let signature = functions.scalar(name), !(signature.isDeterministic && signature.isRowLocal) {
                isVolatile = true
            }
            for a in args { visit(a, functions) }
        case .member(let base, _): visit(base, functions)
        case .element(let base, let index):
            visit(base, functions)
            visit(index, functions)
        case .scalarQuery: hasSubquery = true
        case .inQuery(_, let value, _):
            hasSubquery = true
            visit(value, functions)
        }
    }
}

extension BoundExpr {
    /// The operands of a chain of `and`.
    public var conjuncts: [BoundExpr] {
        if case .call("and", let args) = kind { return args.flatMap(\.conjuncts) }
        return [self]
    }

    /// `and` of several conditions; nil for none.
    public static func conjunction(_ parts: [BoundExpr]) -> BoundExpr? {
        guard var result = parts.first else { return nil }
        for p in parts.dropFirst() { result = BoundExpr(.call("and", [result, p]), .bool, result.range.union(p.range)) }
        return result
    }

    /// The expression with every column reference replaced where `map` has an entry, and every plan inside it by `plans`.
    public func replacing(columns map: [ColumnID: BoundExpr], plans: (Plan) throws -> Plan) rethrows -> BoundExpr {
        switch kind {
        case .constant: return self
        case .column(let id): return map[id] ?? self
        case .call(let name, let args):
            return BoundExpr(.call(name, try args.map { try $0.replacing(columns: map, plans: plans) }), type, range)
        case .member(let base, let key): return BoundExpr(.member(try base.replacing(columns: map, plans: plans), key), type, range)
        case .element(let base, let index):
            return BoundExpr(
                .element(try base.replacing(columns: map, plans: plans), try index.replacing(columns: map, plans: plans)), type, range)
        case .scalarQuery(let plan): return BoundExpr(.scalarQuery(try plans(plan)), type, range)
        case .inQuery(let op, let value, let plan):
            return BoundExpr(.inQuery(op, try value.replacing(columns: map, plans: plans), try plans(plan)), type, range)
        }
    }

    /// A text that is equal for expressions of equal meaning: the key under which work is shared. Columns are named by `name`.
    public func fingerprint(_ name: (ColumnID) -> String) -> String {
        switch kind {
        case .constant(let v): return BoundExpr.fingerprint(v)
        case .column(let id): return name(id)
        case .call(let f, let args): return "\(f)(" + args.map { $0.fingerprint(name) }.joined(separator: ",") + ")"
        case .member(let base, let key):
            var quoted = ""
            JSONText.appendQuoted(key, to: &quoted)
            return "\(base.fingerprint(name)).\(quoted)"
        case .element(let base, let index): return "\(base.fingerprint(name))[\(index.fingerprint(name))]"
        case .scalarQuery(let p): return "toscalar#\(ObjectIdentifier(p).hashValue)"
        case .inQuery(let op, let v, let p): return "\(op.rawValue)(\(v.fingerprint(name)),#\(ObjectIdentifier(p).hashValue))"
        }
    }

    /// Without the reflection that describing an enumeration takes.
    private static func fingerprint(_ v: Value) -> String {
        var text = v.type.rawValue
        text += ":"
        switch v {
        case .null: text += "null"
        case .bool(let b): text += b ? "true" : "false"
        case .int(let i): text += String(i)
        case .long(let i), .datetime(let i), .timespan(let i): text += String(i)
        case .real(let r): text += String(r.bitPattern)
        case .string(let s): JSONText.appendQuoted(s, to: &text)
        case .guid(let g): text += String(g)
        case .decimal, .dynamic: text += "\(v)"
        }
        return text
    }
}
