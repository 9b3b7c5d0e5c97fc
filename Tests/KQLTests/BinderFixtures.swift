import Columnar
import KQL

/// A small catalogue in the shape of the real one, so that these tests depend on the binder alone.
struct FixtureFunctions: FunctionCatalog {
    func scalar(_ name: String) -> ScalarSignature? { FixtureFunctions.scalars[name] }
    func aggregate(_ name: String) -> AggregateSignature? { FixtureFunctions.aggregates[name] }
    func refusal(_ name: String) -> String? { name == "geo_info_from_ip_address" ? "there is no geolocation database" : nil }
    var names: [String] { (Array(FixtureFunctions.scalars.keys) + Array(FixtureFunctions.aggregates.keys)).sorted() }

    private static let scalars: [String: ScalarSignature] = {
        var table: [String: ScalarSignature] = [:]
        func add(
            _ name: String, _ kinds: [ParameterKind], _ result: ResultRule, optional: Int = 0, variadic: Bool = false,
            tuple: [SchemaColumn] = []
        ) {
            table[name] = ScalarSignature(
                name: name, parameters: parameters(kinds, optional), isVariadic: variadic, result: result,
                isDeterministic: name != "rand", tuple: tuple)
        }
        for t in ScalarType.allCases { add(conversion(t), [.any], .type(t)) }
        add("parse_json", [.any], .type(.dynamic))
        add("strcat", [.any], .type(.string), variadic: true)
        add("tolower", [.string], .type(.string))
        for n in ["isempty", "isnotempty", "isnull", "isnotnull"] { add(n, [.any], .type(.bool)) }
        add("strlen", [.string], .type(.long))
        add("split", [.string, .string, .integer], .type(.dynamic), optional: 1)
        add("substring", [.string, .integer, .integer], .type(.string), optional: 1)
        add(
            "extract", [.constantString, .integer, .string, .any],
            .custom { _, values in
                guard values.count == 4, case .string(let name)? = values[3] else { return .string }
                return ScalarType(kqlName: name)
            }, optional: 1)
        add(
            "bin", [.summable, .summable],
            .custom { types, _ in types[0] == .datetime || types[0] == .timespan ? types[0] : types[0] == .int ? .long : types[0] })
        add("bin_at", [.summable, .summable, .summable], .argument(0))
        add("array_length", [.dynamic], .type(.long))
        add("bag_pack", [.any], .type(.dynamic), variadic: true)
        add("pack_array", [.any], .type(.dynamic), variadic: true)
        add("coalesce", [.any], .common(from: 0), variadic: true)
        add("round", [.numeric, .integer], .argument(0), optional: 1)
        add("startofday", [.datetime, .integer], .type(.datetime), optional: 1)
        add("datetime_diff", [.constantString, .datetime, .datetime], .type(.long))
        add("array_sort_asc", [.dynamic, .any], .type(.dynamic), optional: 1, variadic: true)
        add("rand", [], .type(.real))
        add(
            "series_fit_line", [.dynamic], .type(.dynamic), tuple: [SchemaColumn("rsquare", .real), SchemaColumn("slope", .real)])
        return table
    }()

    private static let aggregates: [String: AggregateSignature] = {
        var table: [String: AggregateSignature] = [:]
        func add(
            _ name: String, _ kinds: [ParameterKind], _ result: ResultRule, _ naming: AggregateNaming, optional: Int = 0,
            variadic: Bool = false, canonical: String? = nil
        ) {
            table[name] = AggregateSignature(
                name: canonical ?? name, parameters: parameters(kinds, optional), isVariadic: variadic, result: result, naming: naming)
        }
        add("count", [], .type(.long), .fixed("count_"))
        add("countif", [.bool], .type(.long), .prefixed("countif"))
        add("sum", [.summable], .custom { types, _ in types[0] == .int ? .long : types[0] }, .prefixed("sum"))
        add("avg", [.summable], .type(.real), .prefixed("avg"))
        add("min", [.any], .argument(0), .prefixed("min"))
        add("max", [.any], .argument(0), .prefixed("max"))
        add("dcount", [.any, .integer], .type(.long), .prefixed("dcount"), optional: 1)
        add("make_set", [.any, .integer], .type(.dynamic), .prefixed("set"), optional: 1)
        add("make_list", [.any, .integer], .type(.dynamic), .prefixed("list"), optional: 1)
        add("arg_max", [.any, .any], .type(.dynamic), .argExtreme, optional: 1, variadic: true)
        add("argmax", [.any, .any], .type(.dynamic), .argExtreme, optional: 1, variadic: true, canonical: "arg_max")
        add("take_any", [.any], .argument(0), .columns, variadic: true)
        add("any", [.any], .argument(0), .columns, variadic: true, canonical: "take_any")
        add("covariance", [.numeric, .numeric], .type(.real), .prefixed("covariance"))
        add("percentiles", [.numeric, .numeric], .argument(0), .percentiles, variadic: true)
        return table
    }()

    private static func parameters(_ kinds: [ParameterKind], _ optional: Int) -> [SignatureParameter] {
        kinds.enumerated().map { SignatureParameter("p\($0.offset)", $0.element, optional: $0.offset >= kinds.count - optional) }
    }

    private static func conversion(_ t: ScalarType) -> String {
        switch t {
        case .real: "todouble"
        default: "to\(t.rawValue)"
        }
    }
}

struct FixtureSchemas: SchemaCatalog {
    static let tables: [TableSchema] = [
        TableSchema(
            name: "T",
            columns: [
                SchemaColumn("TimeGenerated", .datetime), SchemaColumn("a", .long), SchemaColumn("b", .string), SchemaColumn("d", .dynamic),
                SchemaColumn("r", .real), SchemaColumn("f", .bool), SchemaColumn("g", .guid), SchemaColumn("i", .int),
            ]),
        TableSchema(
            name: "U",
            columns: [
                SchemaColumn("TimeGenerated", .datetime), SchemaColumn("a", .long), SchemaColumn("b", .long), SchemaColumn("u", .string),
            ]),
        TableSchema(name: "Small", columns: [SchemaColumn("k", .string), SchemaColumn("v", .long)]),
        TableSchema(name: "SmallToo", columns: [SchemaColumn("k", .string), SchemaColumn("v", .real)]),
        TableSchema(name: "Blind", columns: [SchemaColumn("k", .string)], isBlind: true),
        TableSchema(name: "Open_CL", columns: [SchemaColumn("TimeGenerated", .datetime)], isOpen: true),
    ]
    func table(_ name: String) -> TableSchema? { FixtureSchemas.tables.first { $0.name == name } }
    var tableNames: [String] { FixtureSchemas.tables.map(\.name).sorted() }
}

func bindFixture(_ text: String, options: BinderOptions = BinderOptions()) -> BoundQuery {
    KQLCompiler.bind(text, functions: FixtureFunctions(), schemas: FixtureSchemas(), options: options)
}

extension BoundQuery {
    /// `a:long, b:string`, or what went wrong.
    var schema: String {
        guard let plan else { return diagnostics.map { "\($0.code) \($0.message)" }.joined(separator: "; ") }
        return plan.columns.map { "\($0.name):\($0.type.rawValue)" }.joined(separator: ", ")
    }

    /// The expressions of the last operator, as text.
    var expressions: String {
        guard let plan else { return schema }
        switch plan.kind {
        case .filter(_, let e): return e.dump()
        case .project(_, let e), .print(let e): return e.map { $0.dump() }.joined(separator: ", ")
        default: return plan.dump()
        }
    }
}
