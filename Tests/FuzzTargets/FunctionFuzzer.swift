import Columnar
import Evaluation
import KQL

/// One call, computed over columns, over dictionaries, row by row and over constants.
enum FunctionFuzzer {
    private static let functions = FunctionRegistry.standard.functions.filter {
        $0.signature.isRowLocal && $0.signature.isDeterministic && !["now", "ingestion_time"].contains($0.signature.name)
    }
    private static let context = EvaluationContext(
        now: KustoTime.unixEpoch + 17_000_000_000_000_000, seed: 7, limits: EvaluationLimits(heldRows: 20_000, resultRows: 20_000))

    private enum Argument {
        case column([Value])
        case constant(Value)
        func value(_ row: Int) -> Value {
            switch self {
            case .column(let v): v[row]
            case .constant(let v): v
            }
        }
    }

    static func run(_ input: FuzzBytes) throws(FuzzFinding) {
        var b = input
        let f = b.pick(functions).signature
        let required = f.parameters.count { !$0.isOptional }
        let most = f.isVariadic ? f.parameters.count + 3 : f.parameters.count
        let count = required + b.below(most - required + 1)
        let rows = 1 + b.below(5)
        var arguments: [Argument] = []
        for i in 0..<count {
            let kind = i < f.parameters.count ? f.parameters[i].kind : (f.parameters.last?.kind ?? .any)
            let type = type(of: kind, &b)
            if isConstant(kind) || b.byte() % 4 == 0 {
                arguments.append(.constant(ValueFuzzer.value(type, &b)))
            } else {
                arguments.append(.column((0..<rows).map { _ in ValueFuzzer.value(type, &b) }))
            }
        }
        let varies = arguments.contains { if case .column = $0 { true } else { false } }
        try check(f.name, arguments, varies ? rows : 1)
    }

    private static func isConstant(_ kind: ParameterKind) -> Bool {
        switch kind {
        case .constantString, .constantInteger, .constant: true
        default: false
        }
    }

    private static func type(of kind: ParameterKind, _ b: inout FuzzBytes) -> ScalarType {
        if b.byte() % 16 == 0 { return b.pick(ValueFuzzer.types) }
        switch kind {
        case .string, .constantString: return .string
        case .numeric: return b.pick([.long, .real, .int, .decimal])
        case .integer, .constantInteger: return b.pick([.long, .int])
        case .summable: return b.pick([.long, .real, .timespan, .datetime, .decimal, .int])
        case .dynamic: return .dynamic
        case .bool: return .bool
        case .datetime: return .datetime
        case .timespan: return .timespan
        case .exactly(let t): return t
        default: return b.pick(ValueFuzzer.types)
        }
    }

    private enum Outcome {
        case refused
        case failed(String)
        case values([ScalarType], [String])
    }

    private static func check(_ name: String, _ arguments: [Argument], _ rows: Int) throws(FuzzFinding) {
        func text() -> String {
            let shown = arguments.map { a in
                switch a {
                case .constant(let v): "const \(v)"
                case .column(let v): "\(v)"
                }
            }
            return "\(name)(\(shown.joined(separator: ", ")))"
        }
        let whole = evaluate(name, arguments, 0..<rows, dictionary: false)
        let coded = evaluate(name, arguments, 0..<rows, dictionary: true)
        switch (whole, coded) {
        case (.refused, .refused): return
        case (.failed, .failed): break
        case (.values(_, let a), .values(_, let c)) where a == c: break
        default: throw FuzzFinding("\(text()): plain gives \(whole), dictionary \(coded)")
        }
        var anyFailed = false
        for row in 0..<rows {
            let single = evaluate(name, arguments, row..<(row + 1), dictionary: false)
            switch (whole, single) {
            case (.failed, .values): break
            case (.failed, .failed): anyFailed = true
            case (.values(_, let a), .values(_, let s)) where s == [a[row]]: break
            default: throw FuzzFinding("\(text()): row \(row) alone gives \(single), all rows \(whole)")
            }
            // Constants may be refused or decide the type, but may not give another value.
            let fixed = evaluate(name, arguments.map { .constant($0.value(row)) }, 0..<1, dictionary: false)
            // (`project` gives all results of a function with several, `print` the one that is named.)
            if case .values(let t, let a) = fixed, case .values(let u, let s) = single, t == u, a != s {
                throw FuzzFinding("\(text()): row \(row) gives \(s), as constants \(a)")
            }
        }
        if case .failed(let message) = whole, !anyFailed, rows > 0 {
            throw FuzzFinding("\(text()): fails with \(message) though no row does")
        }
    }

    private static func evaluate(_ name: String, _ arguments: [Argument], _ rows: Range<Int>, dictionary: Bool) -> Outcome {
        var parameters: [String: Value] = [:]
        var declared: [String] = []
        var columns: [SchemaColumn] = []
        var cells: [Column] = []
        var terms: [String] = []
        for (i, a) in arguments.enumerated() {
            switch a {
            case .constant(let v):
                parameters["p\(i)"] = v
                declared.append("p\(i):\(v.type.rawValue)")
                terms.append("p\(i)")
            case .column(let values):
                guard let type = values.first?.type else { return .refused }
                columns.append(SchemaColumn("c\(i)", type))
                terms.append("c\(i)")
                var builder = ColumnBuilder(type)
                for r in rows { builder.append(values[r]) }
                let column = builder.finish()
                cells.append(dictionary ? coded(column) : column)
            }
        }
        var tables = MemoryTables()
        let batch = Batch(columns: cells, count: rows.count)
        tables.add(TableSchema(name: "T", columns: columns), batches: [batch])
        let call = "\(name)(\(terms.joined(separator: ", ")))"
        let query =
            (declared.isEmpty ? "" : "declare query_parameters(\(declared.joined(separator: ", "))); ")
            + (columns.isEmpty ? "print x = \(call)" : "T | project x = \(call)")
        let options = BinderOptions(fold: dictionary ? ConstantFolder.fold : nil, parameters: parameters)
        let bound = KQLCompiler.bind(query, functions: FunctionRegistry.standard, schemas: tables, options: options)
        guard let plan = bound.plan else { return .refused }
        do {
            let out = try Executor(provider: tables, context: context).collect(plan)
            return .values(
                plan.columns.map(\.type),
                out.batches.flatMap { b in
                    (0..<b.count).map { row in b.columns.map { shown($0.value(row)) }.joined(separator: "|") }
                })
        } catch let e as EvaluationError {
            return .failed(e.message)
        } catch {
            return .failed("\(error)")
        }
    }

    static func shown(_ v: Value) -> String {
        switch v {
        case .real(let d): d.isNaN ? "nan" : "\(d)"
        case .decimal(let d): d.description
        case .dynamic(let d): JSONText.compact(d)
        default: "\(v)"
        }
    }

    /// The column as a dictionary one: repeated values share a code, and one value is used by no row.
    static func coded(_ column: Column) -> Column {
        func dictionary(_ s: StringColumn) -> StringColumn {
            var values = ByteStrings()
            values.append("\"unused\"")
            var codes = ContiguousArray<UInt32>()
            var known: [[UInt8]: UInt32] = [:]
            for row in 0..<s.count {
                let text = s.withBytes(row) { Array($0) }
                if let code = known[text] {
                    codes.append(code)
                } else {
                    let code = UInt32(values.count)
                    known[text] = code
                    codes.append(code)
                    text.withUnsafeBytes { values.append($0) }
                }
            }
            return StringColumn(codes: codes, values: values)
        }
        switch column.data {
        case .strings(let s): return Column(.string, .strings(dictionary(s)))
        case .dynamics(let s): return Column(.dynamic, .dynamics(dictionary(s)), validity: column.validity)
        default: return column
        }
    }
}
