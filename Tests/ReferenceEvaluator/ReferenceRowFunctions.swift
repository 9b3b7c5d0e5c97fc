import Columnar
import KQL

/// Functions that look at other rows of an ordered input, at the top of an expression.
enum ReferenceRowFunctions {
    private static let names: Set<String> = ["prev", "next", "row_number", "row_cumsum"]

    static func appear(_ e: BoundExpr) -> Bool {
        switch e.kind {
        case .call(let name, let arguments): names.contains(name) || arguments.contains(where: appear)
        case .member(let base, _): appear(base)
        case .element(let base, let index): appear(base) || appear(index)
        default: false
        }
    }

    static func project(_ rows: [[Value]], _ exprs: [BoundExpr], _ value: (BoundExpr, [Value]) throws -> Value) throws -> [[Value]] {
        let columns = try exprs.map { e -> [Value] in
            guard case .call(let name, let a) = e.kind, names.contains(name) else {
                if appear(e) { throw ReferenceGap("a row function inside an expression") }
                return try rows.map { try value(e, $0) }
            }
            switch name {
            case "row_number":
                let start = try a.first.map { try value($0, []).integer ?? 1 } ?? 1
                return rows.indices.map { .long(start + Int64($0)) }
            case "row_cumsum":
                guard a.count == 1, e.type != .real else { throw ReferenceGap(name) }
                var sum: Int64 = 0
                return try rows.map { row in
                    sum &+= try value(a[0], row).integer ?? 0
                    return .integer(sum, as: e.type)
                }
            default:
                let offset = a.count > 1 ? Int(try value(a[1], []).integer ?? 1) : 1
                return try rows.indices.map { i in
                    let from = name == "prev" ? i - offset : i + offset
                    if rows.indices.contains(from) { return try value(a[0], rows[from]) }
                    return a.count > 2 ? try value(a[2], rows[i]) : .missing(e.type)
                }
            }
        }
        return rows.indices.map { i in columns.map { $0[i] } }
    }
}
