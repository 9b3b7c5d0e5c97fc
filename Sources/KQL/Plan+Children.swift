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
