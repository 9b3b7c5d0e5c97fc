import Columnar
import KQL

/// How a scalar function is computed.
enum Kernel: Sendable {
    /// By value; null when any argument is null.
    case strict(ValueFunction)
    /// By value; nulls are passed on.
    case lenient(ValueFunction)
    /// By value, made for one call: constant arguments (nil where they vary) and the result's type are known, patterns are compiled.
    case prepared(strict: Bool, @Sendable (CallSite) throws -> ValueFunction)
    /// Over columns.
    case columns(price: Int, @Sendable ([Datum], KernelContext) throws -> Datum)
    /// By value, with the row's key and the seed: random functions.
    case seeded(@Sendable ([Value], RowKey, UInt64) throws -> Value)
    /// The compiler knows it by name (`iff`, `now` ...).
    case compiled
}

/// What is known of a call when it is compiled.
struct CallSite: Sendable {
    let type: ScalarType
    let argumentTypes: [ScalarType]
    /// Nil where the argument varies.
    let constants: [Value?]
}

/// A scalar function of the language: signature, documentation and kernel.
public struct ScalarFunction: Sendable {
    public let signature: ScalarSignature
    public let aliases: [String]
    /// One sentence.
    public let summary: String
    /// A call and its result.
    public let example: String
    let kernel: Kernel

    /// Parameters are written `name:kind`, `?` after the kind for optional ones, `...` at the end where the last repeats.
    init(
        _ name: String, _ parameters: String, _ result: ResultRule, aliases: [String] = [], deterministic: Bool = true,
        rowLocal: Bool = true, tuple: [SchemaColumn] = [], _ summary: String, _ example: String, _ kernel: Kernel
    ) {
        var parsed: [SignatureParameter] = []
        var variadic = false
        // By bytes: every start reads all of them.
        for part in parameters.utf8.split(separator: UInt8(ascii: " ")) {
            guard let colon = part.firstIndex(of: UInt8(ascii: ":")) else {
                variadic = variadic || part.elementsEqual("...".utf8)
                continue
            }
            var kind = part[part.index(after: colon)...]
            let optional = kind.last == UInt8(ascii: "?")
            if optional { kind.removeLast() }
            parsed.append(
                SignatureParameter(String(Substring(part[..<colon])), ScalarFunction.kind(Substring(kind)), optional: optional))
        }
        signature = ScalarSignature(
            name: name, parameters: parsed, isVariadic: variadic, result: result, isDeterministic: deterministic,
            isRowLocal: rowLocal, tuple: tuple)
        self.aliases = aliases
        self.summary = summary
        self.example = example
        self.kernel = kernel
    }

    private static func kind(_ text: Substring) -> ParameterKind {
        switch text {
        case "string": .string
        case "numeric": .numeric
        case "integer": .integer
        case "summable": .summable
        case "dynamic": .dynamic
        case "bool": .bool
        case "datetime": .datetime
        case "timespan": .timespan
        case "cstring": .constantString
        case "cinteger": .constantInteger
        case "constant": .constant
        case "long": .exactly(.long)
        case "real": .exactly(.real)
        case "guid": .exactly(.guid)
        default: .any
        }
    }

    /// The parameter that an argument goes to.
    func parameter(_ i: Int) -> SignatureParameter? {
        i < signature.parameters.count ? signature.parameters[i] : (signature.isVariadic ? signature.parameters.last : nil)
    }
}

/// The functions that the engine can compute, and those of the language that it refuses by name.
public struct FunctionRegistry: FunctionCatalog {
    public static let standard = FunctionRegistry()

    private let byName: [String: ScalarFunction]
    private let refused: [String: String]
    /// Functions of the language, computed or not.
    private static let known = Set(FunctionNames.scalar)
    private let all: [ScalarFunction]
    /// Every scalar function, by canonical name.
    public var functions: [ScalarFunction] { all.sorted { $0.signature.name < $1.signature.name } }
    public var names: [String] { (Array(byName.keys) + AggregateRegistry.names).sorted() }

    init() {
        let all = [
            Functions.conversion, Functions.conditional, Functions.strings, Functions.regex, Functions.encoding, Functions.parsing,
            Functions.math, Functions.distributions, Functions.bits,
            Functions.dates, Functions.dateParts, Functions.arrays, Functions.sets, Functions.bags, Functions.network, Functions.hashing,
            Functions.units, Functions.rows, Functions.seriesElements, Functions.seriesProducts, Functions.seriesFilters,
            Functions.seriesFits, Functions.seriesPatterns, Functions.geoPoints, Functions.geoShapes, Functions.geoCells,
            Functions.geoHexagons, Functions.compression, Functions.sketches,
        ].flatMap { $0 }
        var table: [String: ScalarFunction] = [:]
        table.reserveCapacity(2 * all.count)
        for f in all {
            for name in [f.signature.name] + f.aliases {
                assert(table[name] == nil, "FunctionRegistry: \(name) twice")
                table[name] = f
            }
        }
        byName = table
        self.all = all
        refused = Functions.refused
    }

    public func scalar(_ name: String) -> ScalarSignature? { byName[name]?.signature }

    public func aggregate(_ name: String) -> AggregateSignature? { AggregateRegistry.signature(name) }

    public func refusal(_ name: String) -> String? {
        if byName[name] != nil { return nil }
        if let reason = refused[name] { return reason }
        for (prefix, reason) in Functions.refusedPrefixes where name.hasPrefix(prefix) { return reason }
        return FunctionRegistry.known.contains(name) ? "it is not supported yet" : nil
    }

    /// Functions that are refused with a reason of their own.
    var refusedNames: [String] { refused.keys.filter { byName[$0] == nil && FunctionNames.scalar.contains($0) } }

    /// The entry of a function, by name or alias: signature, documentation.
    public func function(_ name: String) -> ScalarFunction? { byName[name] }
}

/// Folds constant calls for the binder.
public enum ConstantFolder {
    /// The value of a call of a deterministic function with these arguments; nil if it has none or cannot be computed now.
    public static func fold(name: String, args: [Value]) -> Value? {
        let registry = FunctionRegistry.standard
        let types = args.map(\.type)
        var result: ScalarType?
        if let signature = registry.scalar(name) {
            guard signature.isDeterministic, signature.isRowLocal else { return nil }
            result = resultType(signature.result, types, args.map { $0 })
        } else if let op = ArithmeticOperator(rawValue: name) {
            result = args.count == 2 ? op.resultType(types[0], types[1]) : nil
        } else if name == "negate" {
            result = types.first
        } else {
            result = .bool
        }
        guard let result, name != "now", name != "ingestion_time" else { return nil }
        let range = SourceRange(0, 0)
        let call = BoundExpr(
            .call(registry.scalar(name)?.name ?? name, args.map { BoundExpr(.constant($0), $0.type, range) }), result, range)
        return (try? CompiledExpression(call, input: [], subqueries: NoSubqueries()))?.constant
    }

    static func resultType(_ rule: ResultRule, _ types: [ScalarType], _ constants: [Value?]) -> ScalarType? {
        switch rule {
        case .type(let t): return t
        case .argument(let i): return i < types.count ? types[i] : nil
        case .custom(let f): return f(types, constants)
        case .common(let from):
            var common: ScalarType?
            for t in types.dropFirst(from) { common = common.map { commonType($0, t) } ?? t }
            return common
        }
    }
}

/// int < long < real < decimal; equal types; else dynamic.
func commonType(_ a: ScalarType, _ b: ScalarType) -> ScalarType {
    if a == b { return a }
    let order: [ScalarType] = [.int, .long, .real, .decimal]
    if let i = order.firstIndex(of: a), let j = order.firstIndex(of: b) { return order[max(i, j)] }
    return .dynamic
}

extension ArithmeticOperator {
    /// The type of a result as Kusto announces it: integers give long, times combine to times.
    func resultType(_ a: ScalarType, _ b: ScalarType) -> ScalarType? {
        switch (self, a, b) {
        case (.subtract, .datetime, .datetime): return .timespan
        case (.add, .datetime, .timespan), (.subtract, .datetime, .timespan), (.add, .timespan, .datetime): return .datetime
        case (.add, .timespan, .timespan), (.subtract, .timespan, .timespan), (.modulo, .timespan, .timespan): return .timespan
        case (.divide, .timespan, .timespan): return .real
        case (.multiply, .timespan, _) where b.isNumeric, (.divide, .timespan, _) where b.isNumeric: return .timespan
        case (.multiply, _, .timespan) where a.isNumeric: return .timespan
        default:
            guard a.isNumeric, b.isNumeric else { return nil }
            let common = commonType(a, b)
            return common == .int ? .long : common
        }
    }
}

extension ExpressionCompiler {
    /// A call of a registered function.
    func compileFunction(_ name: String, _ arguments: [any ExpressionNode], _ expr: BoundExpr) throws -> any ExpressionNode {
        if name == "geo_info_from_ip_address" { return try geoInfo(arguments, expr) }
        if name == "parse_user_agent" { return try userAgent(arguments, expr) }
        guard let function = FunctionRegistry.standard.function(name) else {
            let reason = FunctionRegistry.standard.refusal(name).map { ": \($0)" } ?? ""
            throw EvaluationError("The function `\(name)` cannot be computed\(reason)", at: expr.range)
        }
        let required = function.signature.parameters.count { !$0.isOptional }
        guard arguments.count >= required, function.signature.isVariadic || arguments.count <= function.signature.parameters.count else {
            throw EvaluationError("`\(name)` is called with \(arguments.count) arguments", at: expr.range)
        }
        let fitted = arguments.enumerated().map { i, node in fit(node, function.parameter(i)?.kind ?? .any) }
        switch function.kernel {
        case .strict(let f): return valueNode(fitted, expr.type, strict: true, f)
        case .lenient(let f): return valueNode(fitted, expr.type, strict: false, f)
        case .prepared(let strict, let make):
            let site = CallSite(
                type: expr.type, argumentTypes: fitted.map(\.type), constants: fitted.map { ($0 as? ConstantNode)?.value })
            return valueNode(fitted, expr.type, strict: strict, try make(site))
        case .columns(let price, let f):
            let node = KernelNode(arguments: fitted, type: expr.type, price: price, kernel: f)
            return function.signature.isDeterministic ? fold(node) : node
        case .seeded(let f):
            let type = expr.type
            // Two calls in one query draw different numbers.
            let salt = UInt64(truncatingIfNeeded: expr.range.lower) &* 0x2545_F491_4F6C_DD1D
            return KernelNode(arguments: fitted, type: type, price: 16) { values, c in
                var builder = ColumnBuilder(type)
                for row in 0..<c.rows {
                    let result = try f(values.map { $0.value(row) }, c.frame.key(row), c.context.seed ^ salt)
                    builder.append(coerceValue(result, to: type))
                }
                return .column(builder.finish())
            }
        case .compiled:
            throw EvaluationError("`\(name)` cannot be called like this", at: expr.range)
        }
    }

    /// Converts an argument where its type is not what the parameter takes.
    private func fit(_ node: any ExpressionNode, _ kind: ParameterKind) -> any ExpressionNode {
        let t = node.type
        switch kind {
        case .exactly(let type): return converted(node, to: type)
        case .string, .constantString: return converted(node, to: .string)
        case .numeric: return t == .dynamic || t == .string ? converted(node, to: .real) : (t == .bool ? converted(node, to: .long) : node)
        case .integer, .constantInteger: return t == .int || t == .long ? node : converted(node, to: .long)
        case .summable: return t == .dynamic || t == .string ? converted(node, to: .real) : node
        case .dynamic: return converted(node, to: .dynamic)
        case .bool: return converted(node, to: .bool)
        case .datetime: return converted(node, to: .datetime)
        case .timespan: return converted(node, to: .timespan)
        case .constant, .any: return node
        }
    }
}

/// The lists of functions, one per family; each in its own file.
enum Functions {
    /// Functions that look at other rows: the operators compute them over a serialised input.
    static let rows: [ScalarFunction] = [
        ScalarFunction(
            "prev", "column:any offset:integer? default_value:any?", .argument(0), rowLocal: false, "The value of an earlier row.",
            "prev(x, 1)",
            .compiled),
        ScalarFunction(
            "next", "column:any offset:integer? default_value:any?", .argument(0), rowLocal: false, "The value of a later row.",
            "next(x, 1)",
            .compiled),
        ScalarFunction(
            "row_number", "StartingIndex:integer? Restart:bool?", .type(.long), rowLocal: false, "The number of the row.", "row_number(1)",
            .compiled),
        ScalarFunction(
            "row_cumsum", "term:summable restart:bool?", .argument(0), rowLocal: false, "The sum up to the row.", "row_cumsum(x)", .compiled
        ),
        ScalarFunction(
            "row_rank_dense", "Term:any restart:bool?", .type(.long), rowLocal: false,
            "The rank of the row; equal values share it, without gaps.",
            "row_rank_dense(x)", .compiled),
        ScalarFunction(
            "row_rank_min", "Term:any restart:bool?", .type(.long), rowLocal: false, "The rank of the row; equal values share the least.",
            "row_rank_min(x)", .compiled),
        ScalarFunction(
            "row_window_session", "time:datetime from_first:timespan between:timespan restart:bool?", .type(.datetime), rowLocal: false,
            "The start of the session that the row belongs to.", "row_window_session(t, 1h, 5m, false)", .compiled),
    ]
}
