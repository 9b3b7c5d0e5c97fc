import Columnar
import KQL

/// An aggregate function: how it is called, what it means, and what computes it.
public struct AggregateFunction: Sendable {
    public let signature: AggregateSignature
    /// Other names that mean the same.
    public let aliases: [String]
    /// What it gives, for the reader of a function list.
    public let summary: String
    /// Makes the state.
    let make: @Sendable (AggregateSetup) throws -> any Accumulator

    init(
        _ name: String, _ parameters: [SignatureParameter], variadic: Bool = false, _ result: ResultRule, _ naming: AggregateNaming,
        aliases: [String] = [], _ summary: String, make: @escaping @Sendable (AggregateSetup) throws -> any Accumulator
    ) {
        signature = AggregateSignature(name: name, parameters: parameters, isVariadic: variadic, result: result, naming: naming)
        self.aliases = aliases
        self.summary = summary
        self.make = make
    }

    /// The form that only sees rows whose predicate holds; the predicate is the argument at `position`.
    func filtered(
        _ name: String, _ naming: AggregateNaming, predicate position: Int, aliases: [String] = [], _ summary: String
    ) -> AggregateFunction {
        var parameters = signature.parameters
        parameters.insert(SignatureParameter("predicate", .bool), at: min(position, parameters.count))
        let base = make
        return AggregateFunction(name, parameters, variadic: signature.isVariadic, signature.result, naming, aliases: aliases, summary) {
            setup in
            FilteredAccumulator(try base(setup.removing(position)), predicate: position)
        }
    }
}

/// All aggregate functions, by name.
public enum AggregateRegistry {
    /// In alphabetical order of their names.
    public static let functions: [AggregateFunction] = all.sorted { $0.signature.name < $1.signature.name }

    private static let byName: [String: AggregateFunction] = {
        var table: [String: AggregateFunction] = [:]
        for f in functions {
            for name in [f.signature.name] + f.aliases {
                assert(table[name] == nil, "AggregateRegistry: \(name) twice")
                table[name] = f
            }
        }
        return table
    }()

    /// Every callable name, sorted.
    public static let names: [String] = byName.keys.sorted()

    /// The function of a name or alias; exact case.
    public static func function(_ name: String) -> AggregateFunction? { byName[name] }

    /// The signature of a name or alias; exact case.
    public static func signature(_ name: String) -> AggregateSignature? { byName[name]?.signature }

    /// Makes the state of a bound aggregate.
    static func accumulator(
        _ aggregate: BoundAggregate, constants: [Value?], limits: EvaluationLimits, isLasting: Bool = false
    ) throws -> any Accumulator {
        guard let f = byName[aggregate.name] else {
            throw EvaluationError("unknown aggregate \(aggregate.name)")
        }
        return try f.make(
            AggregateSetup(
                name: aggregate.name, argumentTypes: aggregate.arguments.map(\.type), constants: constants,
                outputTypes: aggregate.outputs.map(\.type), limits: limits, isLasting: isLasting))
    }
}
