import Columnar
import KQL

private func parameter(_ name: String, _ kind: ParameterKind, optional: Bool = false) -> SignatureParameter {
    SignatureParameter(name, kind, optional: optional)
}

/// The type of a sum.
private let sumType = ResultRule.custom { types, _ in
    switch types.first {
    case .int?, .long?, .bool?: .long
    case .real?, .dynamic?: .real
    case .decimal?: .decimal
    case .timespan?: .timespan
    default: nil
    }
}

/// The type of a mean.
private let meanType = ResultRule.custom { types, _ in
    switch types.first {
    case .int?, .long?, .bool?, .real?, .dynamic?: .real
    case .decimal?: .decimal
    case .timespan?: .timespan
    case .datetime?: .datetime
    default: nil
    }
}

extension AggregateRegistry {
    static let all: [AggregateFunction] = counting + sums + extremes + collections + percentiles + moments + sketches

    private static let counting: [AggregateFunction] = {
        let counted = parameter("expr", .any, optional: true)
        let rows = AggregateFunction("count", [], .type(.long), .fixed("count_"), "The number of rows.") { _ in CountAccumulator() }
        // `count(x)` counts the rows where x is null too.
        let count = AggregateFunction("count", [counted], .type(.long), .prefixed("count"), "The number of rows.") { _ in
            CountAccumulator()
        }
        let dcount = AggregateFunction(
            "dcount", [parameter("expr", .any), parameter("accuracy", .constantInteger, optional: true)], .type(.long), .prefixed("dcount"),
            "The number of distinct values, exact up to 100,000 a group, estimated beyond with an error by accuracy (0 to 4)."
        ) { try DistinctCountAccumulator($0) }
        let distinct = AggregateFunction(
            "count_distinct", [parameter("expr", .any)], .type(.long), .prefixed("count_distinct"), "The exact number of distinct values."
        ) { ExactDistinctAccumulator($0) }
        return [
            count, rows.filtered("countif", .fixed("countif_"), predicate: 0, "The number of rows where the predicate holds."),
            dcount, dcount.filtered("dcountif", .prefixed("dcountif"), predicate: 1, "dcount over the rows where the predicate holds."),
            distinct,
            distinct.filtered(
                "count_distinctif", .prefixed("count_distinctif"), predicate: 1, "count_distinct over the rows where the predicate holds."),
        ]
    }()

    private static let sums: [AggregateFunction] = {
        let sum = AggregateFunction(
            "sum", [parameter("expr", .summable)], sumType, .prefixed("sum"), "The sum of the values; 0 for none. Reals are summed exactly."
        ) { SumAccumulator($0, average: false) }
        let avg = AggregateFunction(
            "avg", [parameter("expr", .summable)], meanType, .prefixed("avg"), "The mean of the values that are not null."
        ) { SumAccumulator($0, average: true) }
        func binary(_ name: String, _ operation: BinaryAllAccumulator.Operation, _ text: String) -> AggregateFunction {
            AggregateFunction(name, [parameter("expr", .integer)], .type(.long), .columns, text) { _ in
                BinaryAllAccumulator(operation)
            }
        }
        return [
            sum, sum.filtered("sumif", .prefixed("sumif"), predicate: 1, "The sum over the rows where the predicate holds."),
            avg, avg.filtered("avgif", .prefixed("avgif"), predicate: 1, "The mean over the rows where the predicate holds."),
            binary("binary_all_and", .and, "The bitwise and of all values."),
            binary("binary_all_or", .or, "The bitwise or of all values."),
            binary("binary_all_xor", .xor, "The bitwise exclusive or of all values."),
        ]
    }()

    private static let extremes: [AggregateFunction] = {
        let least = AggregateFunction("min", [parameter("expr", .any)], .argument(0), .prefixed("min"), "The least value that is not null.")
        {
            ExtremeAccumulator($0, greatest: false)
        }
        let greatest = AggregateFunction(
            "max", [parameter("expr", .any)], .argument(0), .prefixed("max"), "The greatest value that is not null."
        ) {
            ExtremeAccumulator($0, greatest: true)
        }
        let returned = [parameter("expr", .any), parameter("returned", .any, optional: true)]
        let any = AggregateFunction(
            "take_any", [parameter("expr", .any)], variadic: true, .argument(0), .columns, aliases: ["any"],
            "The first row of the group, in row order; for a single column the first that is not null."
        ) { setup -> any Accumulator in
            if setup.argumentTypes.count > 1 { return WinnerAccumulator(setup, choice: .any) }
            return AnyAccumulator(setup)
        }
        return [
            least, least.filtered("minif", .prefixed("minif"), predicate: 1, "The least value where the predicate holds."),
            greatest, greatest.filtered("maxif", .prefixed("maxif"), predicate: 1, "The greatest value where the predicate holds."),
            AggregateFunction(
                "arg_max", returned, variadic: true, .argument(0), .argExtreme, aliases: ["argmax"],
                "The row with the greatest value, ties to the first in row order."
            ) { WinnerAccumulator($0, choice: .greatest) },
            AggregateFunction(
                "arg_min", returned, variadic: true, .argument(0), .argExtreme, aliases: ["argmin"],
                "The row with the least value, ties to the first in row order."
            ) { WinnerAccumulator($0, choice: .least) },
            any,
            AggregateFunction(
                "take_anyif", [parameter("expr", .any), parameter("predicate", .bool)], .argument(0), .columns, aliases: ["anyif"],
                "take_any over the rows where the predicate holds."
            ) { FilteredAccumulator(AnyAccumulator($0.removing(1)), predicate: 1) },
        ]
    }()

    /// The size that the old spellings `makelist` and `makeset` stop at.
    private static let legacySize: Int64 = 128

    private static let collections: [AggregateFunction] = {
        let parameters = [parameter("expr", .any), parameter("maxSize", .constantInteger, optional: true)]
        let list = AggregateFunction(
            "make_list", parameters, .type(.dynamic), .prefixed("list"), "The values as an array, in row order; nulls are left out."
        ) {
            try ListAccumulator($0, keepsNulls: false)
        }
        let set = AggregateFunction(
            "make_set", parameters, .type(.dynamic), .prefixed("set"), "The distinct values as an array; the elements of arrays one by one."
        ) { try SetAccumulator($0) }
        let bag = AggregateFunction(
            "make_bag", [parameter("expr", .dynamic), parameter("maxSize", .constantInteger, optional: true)], .type(.dynamic),
            .prefixed("bag"),
            aliases: ["make_dictionary"], "The properties of all bags as one bag; of several values of a key the first in row order."
        ) { try BagAccumulator($0) }
        @Sendable func legacy(_ setup: AggregateSetup) -> AggregateSetup {
            guard setup.constant(1) == nil else { return setup }
            return AggregateSetup(
                name: setup.name, argumentTypes: setup.argumentTypes, constants: [setup.constant(0), .long(legacySize)],
                outputTypes: setup.outputTypes, limits: setup.limits)
        }
        return [
            list, set, bag,
            AggregateFunction(
                "buildschema", [parameter("expr", .dynamic)], .type(.dynamic), .prefixed("schema"),
                "The least schema that admits all values: names of types, arrays of alternatives, properties, and \"`indexer`\" for the elements of arrays."
            ) { SchemaAccumulator($0) },
            list.filtered("make_list_if", .prefixed("list"), predicate: 1, "make_list over the rows where the predicate holds."),
            set.filtered("make_set_if", .prefixed("set"), predicate: 1, "make_set over the rows where the predicate holds."),
            bag.filtered("make_bag_if", .prefixed("bag"), predicate: 1, "make_bag over the rows where the predicate holds."),
            AggregateFunction(
                "make_list_with_nulls", [parameter("expr", .any)], .type(.dynamic), .prefixed("list"),
                "The values as an array, nulls included."
            ) { try ListAccumulator($0, keepsNulls: true) },
            AggregateFunction("makelist", parameters, .type(.dynamic), .prefixed("list"), "make_list, by default of at most 128 values.") {
                try ListAccumulator(legacy($0), keepsNulls: false)
            },
            AggregateFunction("makeset", parameters, .type(.dynamic), .prefixed("set"), "make_set, by default of at most 128 values.") {
                try SetAccumulator(legacy($0))
            },
        ]
    }()

    private static let percentiles: [AggregateFunction] = {
        let value = parameter("expr", .summable)
        let weight = parameter("weight", .numeric)
        let rank = parameter("percentile", .constant)
        func type(_ i: Int) -> ResultRule { .argument(i) }
        return [
            AggregateFunction("percentile", [value, rank], type(0), .percentiles, "The value at the nearest rank of a percentile.") {
                try PercentileAccumulator($0, shape: .columns, weighted: false)
            },
            AggregateFunction("percentiles", [value, rank], variadic: true, type(0), .percentiles, "The values at several percentiles.") {
                try PercentileAccumulator($0, shape: .columns, weighted: false)
            },
            AggregateFunction(
                "percentiles_array", [value, rank], variadic: true, .type(.dynamic), .prefixed("percentiles"), "Percentiles as an array."
            ) { try PercentileAccumulator($0, shape: .array, weighted: false) },
            AggregateFunction(
                "percentilew", [value, weight, rank], type(0), .percentiles, "A percentile of values that stand for several."
            ) {
                try PercentileAccumulator($0, shape: .columns, weighted: true)
            },
            AggregateFunction(
                "percentilesw", [value, weight, rank], variadic: true, type(0), .percentiles,
                "Percentiles of values that stand for several."
            ) { try PercentileAccumulator($0, shape: .columns, weighted: true) },
            AggregateFunction(
                "percentilesw_array", [value, weight, rank], variadic: true, .type(.dynamic), .prefixed("percentile"),
                "Percentiles of values that stand for several, as an array."
            ) { try PercentileAccumulator($0, shape: .array, weighted: true) },
        ]
    }()

    private static let moments: [AggregateFunction] = {
        func one(_ name: String, _ naming: String, population: Bool, root: Bool, _ text: String) -> [AggregateFunction] {
            let f = AggregateFunction(name, [parameter("expr", .numeric)], .type(.real), .prefixed(naming), text) { _ in
                MomentAccumulator(covariance: false, population: population, root: root)
            }
            return [f, f.filtered(name + "if", .prefixed(name + "if"), predicate: 1, "\(name) over the rows where the predicate holds.")]
        }
        func two(_ name: String, population: Bool, _ text: String) -> [AggregateFunction] {
            let f = AggregateFunction(name, [parameter("x", .numeric), parameter("y", .numeric)], .type(.real), .prefixed(name), text) {
                _ in
                MomentAccumulator(covariance: true, population: population, root: false)
            }
            return [f, f.filtered(name + "if", .prefixed(name + "if"), predicate: 2, "\(name) over the rows where the predicate holds.")]
        }
        return one("stdev", "stdev", population: false, root: true, "The standard deviation of a sample.")
            + one("stdevp", "stdevp", population: true, root: true, "The standard deviation of a population.")
            + one("variance", "variance", population: false, root: false, "The variance of a sample.")
            + one("variancep", "variance", population: true, root: false, "The variance of a population.")
            + two("covariance", population: false, "The covariance of a sample.")
            + two("covariancep", population: true, "The covariance of a population.")
    }()
}
