extension Plan {
    /// The plans below, in the order of evaluation; those of shared plans and of bodies (`mv-apply`, `partition`) included, those inside
    /// expressions not.
    public var children: [Plan] {
        switch kind {
        case .table, .rows, .print, .range, .subquerySource: []
        case .filter(let p, _), .project(let p, _), .summarize(let p, _, _), .sort(let p, _), .top(let p, _, _), .take(let p, _),
            .mvExpand(let p, _, _, _, _), .parse(let p, _, _), .serialize(let p), .getschema(let p), .sample(let p, _):
            [p]
        case .mvApply(let p, _, _, _, let body): [p, body]
        case .join(_, let left, let right, _): [left, right]
        case .union(let branches, _, _): branches
        case .shared(let s): [s.plan]
        case .custom(_, let inputs, _, _): inputs
        }
    }

    /// The expressions of the operator itself, in the order in which they are written.
    public var expressions: [BoundExpr] {
        switch kind {
        case .table, .rows, .subquerySource, .union, .serialize, .shared, .getschema: []
        case .print(let e), .project(_, let e): e
        case .range(let a, let b, let c): [a, b, c]
        case .filter(_, let e), .take(_, let e), .sample(_, let e): [e]
        case .summarize(_, let keys, let aggregates): keys + aggregates.flatMap(\.arguments)
        case .sort(_, let keys): keys.map(\.expr)
        case .top(_, let n, let keys): [n] + keys.map(\.expr)
        case .join(_, _, _, let keys): keys.flatMap { [$0.left, $0.right] }
        case .mvExpand(_, let items, _, let limit, _): items.map(\.expr) + (limit.map { [$0] } ?? [])
        case .mvApply(_, let items, _, let limit, _): items.map(\.expr) + (limit.map { [$0] } ?? [])
        case .parse(_, let parse, _): [parse.source]
        case .custom(_, _, let arguments, _): arguments
        }
    }

    /// What the operator is called.
    public var word: String {
        switch kind {
        case .table(let name): name
        case .rows: "rows"
        case .print: "print"
        case .range: "range"
        case .filter: "where"
        case .project: "project"
        case .summarize: "summarize"
        case .sort: "sort"
        case .top: "top"
        case .take: "take"
        case .join(let kind, _, _, _): "join kind=\(kind.rawValue)"
        case .union: "union"
        case .mvExpand: "mv-expand"
        case .mvApply: "mv-apply"
        case .subquerySource: "rows of the outer operator"
        case .parse: "parse"
        case .serialize: "serialize"
        case .shared: "shared"
        case .getschema: "getschema"
        case .sample: "sample"
        case .custom(let name, _, _, _): name
        }
    }
}
