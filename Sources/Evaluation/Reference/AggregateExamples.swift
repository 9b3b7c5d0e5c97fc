import KQL

/// A query for each aggregate: written for those whose arguments say something, else made from the parameters.
enum AggregateExamples {
    private static let written: [String: String] = [
        "arg_max": "arg_max(x, s)", "arg_min": "arg_min(x, *)", "take_any": "take_any(s)", "take_anyif": "take_anyif(s, x > 2)",
        "percentile": "percentile(x, 95)", "percentiles": "percentiles(x, 50, 95)", "percentiles_array": "percentiles_array(x, 50, 95)",
        "percentilew": "percentilew(x, w, 50)", "percentilesw": "percentilesw(x, w, 50, 95)",
        "percentilesw_array": "percentilesw_array(x, w, 50, 95)", "make_bag": "make_bag(bag_pack(s, x))",
        "make_bag_if": "make_bag_if(bag_pack(s, x), x > 2)", "covariance": "covariance(x, w)", "covarianceif": "covarianceif(x, w, x > 2)",
        "covariancep": "covariancep(x, w)", "covariancepif": "covariancepif(x, w, x > 2)", "make_list": "make_list(s, 10)",
        "make_set": "make_set(s, 10)", "dcount": "dcount(s)", "count_distinct": "count_distinct(s)", "count": "count()",
    ]

    /// Those that merge what another one makes.
    private static let merged = ["hll_merge": "hll(x)", "tdigest_merge": "tdigest(x)"]

    static func query(of f: AggregateFunction) -> String {
        if let made = merged[f.signature.name] {
            return "range x from 1 to 5 step 1 | summarize part = \(made) by x % 2 | summarize r = \(f.signature.name)(part)"
        }
        let call = written[f.signature.name] ?? "\(f.signature.name)(\(arguments(f.signature)))"
        return "range x from 1 to 5 step 1 | extend s = strcat('v', x % 2), w = 2 * x | summarize r = \(call)"
    }

    private static func arguments(_ s: AggregateSignature) -> String {
        s.parameters.filter { !$0.isOptional }.map { p in
            switch p.kind {
            case .bool: "x > 2"
            case .constant, .constantInteger: "50"
            case .constantString: "'a'"
            case .dynamic: "bag_pack(s, x)"
            case .string: "s"
            default: p.name == "weight" ? "w" : "x"
            }
        }.joined(separator: ", ")
    }
}
