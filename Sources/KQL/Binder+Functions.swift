import Columnar

// Calls: what the language itself resolves (`iff`, `ago`, `toscalar` ...), then the catalogue.

extension BindingSession {
    /// Functions that give rows.
    static let tabularFunctions = Language.names(Language.sources.filter { $0.name != "toscalar" && $0.name != "totable" })

    /// Scalar functions that the binder resolves before it asks the catalogue.
    static let builtinScalars: Set<String> = [
        "now", "ago", "not", "iff", "iif", "case", "toscalar", "column_ifexists", "columnifexists", "ingestion_time", "pack_all",
        "bag_pack_columns", "column_names_of", "bin_auto", "estimate_data_size",
    ]

    /// Functions that look at other rows. The executor computes them while it runs a projection, so a catalogue may lack them.
    private static let rowFunctions: [String: ScalarSignature] = {
        func f(_ name: String, _ parameters: [SignatureParameter], _ result: ResultRule) -> (String, ScalarSignature) {
            (name, ScalarSignature(name: name, parameters: parameters, result: result, isRowLocal: false))
        }
        let neighbour: [SignatureParameter] = [
            SignatureParameter("column", .any), SignatureParameter("offset", .integer, optional: true),
            SignatureParameter("default", .any, optional: true),
        ]
        let restart = SignatureParameter("restart", .bool, optional: true)
        return Dictionary(
            uniqueKeysWithValues: [
                f("prev", neighbour, .argument(0)), f("next", neighbour, .argument(0)),
                f("row_number", [SignatureParameter("start", .integer, optional: true), restart], .type(.long)),
                f("row_cumsum", [SignatureParameter("term", .summable), restart], .custom { t, _ in t.first == .int ? .long : t.first }),
                f("row_rank_dense", [SignatureParameter("term", .any), restart], .type(.long)),
                f("row_rank_min", [SignatureParameter("term", .any), restart], .type(.long)),
                f(
                    "row_window_session",
                    [
                        SignatureParameter("time", .datetime), SignatureParameter("maxFromFirst", .timespan),
                        SignatureParameter("maxBetween", .timespan), restart,
                    ], .type(.datetime)),
            ])
    }()

    /// A scalar function's signature: row functions by the binder's own, all others by the catalogue's.
    func scalarSignature(_ name: String) -> ScalarSignature? { BindingSession.rowFunctions[name] ?? functions.scalar(name) }

    func bindCall(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        switch lookup(name.text, scope.env) {
        case .function(let p, let body, let home)?:
            return callScalarFunction(name, p, body, home, args, scope, range)
        case .pattern?:
            error(.notScalar, "pattern `\(name.text)` gives rows where a value is needed", range, mend: "wrap the call in toscalar()")
            return nil
        case .failed?: return nil
        default: break
        }
        if let found = graphCall(name, args, range, scope) { return found }
        if let collector = scope.aggregates, let sig = functions.aggregate(name.text) {
            guard let aggregate = bindAggregate(sig, name, args, range, scope) else { return nil }
            guard aggregate.outputs.count == 1, let out = aggregate.outputs.first else {
                error(.aggregateOutside, "`\(name.text)` gives several columns and cannot be part of an expression", range)
                return nil
            }
            collector.aggregates.append(aggregate)
            return BoundExpr(.column(out.id), out.type, range)
        }
        if BindingSession.builtinScalars.contains(name.text) { return bindBuiltin(name, args, range, scope) }
        if let sig = scalarSignature(name.text) {
            guard let call = bindScalar(sig, name, args, range, scope) else { return nil }
            if sig.name == BindingSession.geoInfo { return withGeoDatabase(call, name) }
            if sig.name == BindingSession.userAgent { return withUserAgents(call, name) }
            if sig.tuple.isEmpty { return call }
            return tupleItem(call, 0, sig.tuple[0].type, range)
        }
        if functions.aggregate(name.text) != nil {
            error(
                scope.row == nil ? .aggregateOutside : .nestedAggregate, "aggregate function `\(name.text)` is not allowed here", range,
                mend: "use it in summarize")
            return nil
        }
        refuse(name, tabular: false)
        return nil
    }

    /// Reports a function that is not known or not supported.
    func refuse(_ name: Name, tabular: Bool) {
        if let reason = functions.refusal(name.text) {
            error(.unsupportedFunction, "function `\(name.text)` is not supported: \(reason)", name.range)
        } else if expanding.contains(name.text) {
            error(.recursion, "function `\(name.text)` calls itself, which KQL does not allow", name.range)
        } else if let reason = schemas.content?.brokenFunction(name.text) {
            error(.unsupportedSource, "the saved function `\(name.text)` cannot be used: \(reason)", name.range)
        } else if name.text.hasPrefix("_Im_") || name.text.hasPrefix("_ASim_") || name.text.hasPrefix("im") && name.text.count > 4
            || name.text.hasPrefix("ASim") || name.text.hasPrefix("vim")
        {
            error(
                .unsupportedSource, "there is no ASIM parser `\(name.text)`", name.range,
                mend: Suggestion.nearest(name.text, in: schemas.content?.savedFunctionNames ?? []).map { "did you mean `\($0)`?" }
                    ?? "save it as a function, or query the source table itself")
        } else if BindingSession.tabularFunctions.contains(name.text) {
            error(.unsupportedSource, "`\(name.text)()` is not supported: only tables of this workspace can be read", name.range)
        } else {
            unknown(
                .unknownFunction, "function", name.text, name.range,
                among: functions.names + Array(BindingSession.builtinScalars) + (schemas.content?.savedFunctionNames ?? []))
        }
    }

    // MARK: Catalogue functions

    func bindScalar(_ sig: ScalarSignature, _ name: Name, _ given: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        guard let args = inOrder(given, sig, name) else { return nil }
        var bound: [BoundExpr] = []
        var types: Set<Int> = []
        var failed = false
        for a in args {
            if case .star = a.kind {
                guard let row = scope.row, !row.relation.isUnknown else { return nil }
                for c in row.columns { if let e = reference(c, a.range) { bound.append(e) } }
            } else if case .typeOf(let t) = a.kind {
                guard let type = t.first?.type else { return nil }
                types.insert(bound.count)
                bound.append(constant(.string(type.rawValue), a.range))
            } else if let b = bind(a, scope) {
                bound.append(b)
            } else {
                failed = true
            }
        }
        if failed { return nil }
        if !sig.isRowLocal, let row = scope.row, !row.relation.isSerialized, !row.relation.isUnknown {
            error(
                .notSerialized, "`\(name.text)` looks at other rows and needs them in a defined order", range,
                mend: "put `| serialize` or `| sort by ...` before it")
            return nil
        }
        guard checkCount(name, bound.count, sig.parameters, sig.isVariadic) else { return nil }
        return finishCall(sig, name, bound, types, range)
    }

    /// The arguments in the order of the parameters, where some are given by name: `pow(base = 2, exponent = 3)`.
    private func inOrder(_ args: [Expr], _ sig: ScalarSignature, _ name: Name) -> [Expr]? {
        func isNamed(_ e: Expr) -> Bool { if case .named = e.kind { true } else { false } }
        guard args.contains(where: isNamed) else { return args }
        var places: [Int: Expr] = [:]
        for (i, a) in args.enumerated() {
            guard case .named(let names, let value) = a.kind, let n = names.first else {
                places[i] = a
                continue
            }
            guard names.count == 1, let at = sig.parameters.firstIndex(where: { $0.name == n.text }) else {
                let known = sig.parameters.map { "`\($0.name)`" }.joined(separator: ", ")
                error(.namedArgument, "`\(name.text)` has no parameter `\(n.text)`", n.range, mend: "it has \(known)")
                return nil
            }
            guard places.updateValue(value, forKey: at) == nil else {
                error(.namedArgument, "`\(n.text)` is given twice", n.range)
                return nil
            }
        }
        let ordered = (0..<places.count).compactMap { places[$0] }
        guard ordered.count == places.count else {
            error(.namedArgument, "an argument before the last is not given", name.range, mend: "give all arguments up to the last")
            return nil
        }
        return ordered
    }

    private func checkCount(_ name: Name, _ n: Int, _ parameters: [SignatureParameter], _ variadic: Bool) -> Bool {
        let least = parameters.filter { !$0.isOptional }.count
        if n < least {
            error(.argumentCount, "`\(name.text)` needs at least \(count(least, "argument")), not \(n)", name.range)
            return false
        }
        if !variadic, n > parameters.count {
            error(.argumentCount, "`\(name.text)` takes at most \(count(parameters.count, "argument")), not \(n)", name.range)
            return false
        }
        return true
    }

    /// Fits the arguments to a signature's parameters; positions in `types` are `typeof` arguments and pass as they are.
    private func fitAll(
        _ name: Name, _ bound: [BoundExpr], _ parameters: [SignatureParameter], _ types: Set<Int> = []
    ) -> [BoundExpr]? {
        var fitted: [BoundExpr] = []
        var failed = false
        for (i, b) in bound.enumerated() {
            guard !types.contains(i), let p = i < parameters.count ? parameters[i] : parameters.last else {
                fitted.append(b)
                continue
            }
            if let f = fit(b, to: p, name) { fitted.append(f) } else { failed = true }
        }
        return failed ? nil : fitted
    }

    private func finishCall(
        _ sig: ScalarSignature, _ name: Name, _ bound: [BoundExpr], _ types: Set<Int>, _ range: SourceRange
    ) -> BoundExpr? {
        guard var fitted = fitAll(name, bound, sig.parameters, types) else { return nil }
        let type: ScalarType
        switch sig.result {
        case .type(let t): type = t
        case .argument(let i): type = i < fitted.count ? fitted[i].type : .dynamic
        case .common(let from):
            let rest = fitted.dropFirst(from)
            guard let t = commonType(Array(rest)) else {
                reportNoCommonType(name, Array(rest), range)
                return nil
            }
            for i in fitted.indices where i >= from { fitted[i] = convertToCommon(fitted[i], t) }
            type = t
        case .custom(let rule):
            guard let t = rule(fitted.map(\.type), fitted.map(constantValue)) else {
                error(.argumentType, "`\(name.text)` is not defined for (\(fitted.map(\.type.rawValue).joined(separator: ", ")))", range)
                return nil
            }
            type = t
        }
        if sig.isDeterministic, sig.isRowLocal, let values = constants(fitted), let v = options.fold?(sig.name, values) {
            if v.type == type { return constant(v, range) }
            if v.isNull { return constant(.missing(type), range) }
        }
        return BoundExpr(.call(sig.name, fitted), type, range)
    }

    func constants(_ args: [BoundExpr]) -> [Value]? {
        var out: [Value] = []
        for a in args {
            guard let v = constantValue(a) else { return nil }
            out.append(v)
        }
        return out
    }

    /// One result of a call with several.
    func tupleItem(_ call: BoundExpr, _ i: Int, _ type: ScalarType, _ range: SourceRange) -> BoundExpr {
        convert(BoundExpr(.element(call, constant(.long(Int64(i)), range)), .dynamic, range), to: type)
    }

    // MARK: Arguments

    /// An argument as its parameter takes it, converted where KQL converts implicitly.
    func fit(_ e: BoundExpr, to p: SignatureParameter, _ name: Name) -> BoundExpr? {
        func mismatch(_ wanted: String, _ function: String?) -> BoundExpr? {
            error(
                .argumentType, "argument `\(p.name)` of `\(name.text)` must be \(wanted), not \(e.type.rawValue)", e.range,
                mend: function.map { "convert it with \($0)()" })
            return nil
        }
        func notConstant() -> BoundExpr? {
            error(.notConstant, "argument `\(p.name)` of `\(name.text)` must be a constant", e.range)
            return nil
        }
        if let v = constantValue(e), v.isNull, e.type != .string {
            switch p.kind {
            case .exactly(let t): return constant(.missing(t), e.range)
            case .string, .constantString: return constant(.string(""), e.range)
            case .dynamic: return constant(.null(.dynamic), e.range)
            case .bool: return constant(.null(.bool), e.range)
            case .datetime: return constant(.null(.datetime), e.range)
            case .timespan: return constant(.null(.timespan), e.range)
            default: return e
            }
        }
        switch p.kind {
        case .any: return e
        case .constant: return usesColumns(e) ? notConstant() : e
        case .exactly(let t):
            if e.type == t { return e }
            if let from = e.type.numericRank, let to = t.numericRank, from <= to || (e.type.isInteger && t.isInteger) {
                return convert(e, to: t)
            }
            if e.type == .dynamic { return convert(e, to: t) }
            if let v = literal(e, as: t) { return v }
            if t == .string, e.type == .guid { return convert(e, to: .string) }
            if t == .bool, e.type.isInteger { return convert(e, to: .bool) }
            return mismatch(t.rawValue, t == .dynamic ? "todynamic" : t.conversionFunction)
        case .string, .constantString:
            if p.kind == .constantString, usesColumns(e) { return notConstant() }
            return convert(e, to: .string)
        case .numeric:
            if e.type.isNumeric { return e }
            if e.type == .dynamic { return convert(e, to: .real) }
            if e.type == .bool { return convert(e, to: .long) }
            return mismatch("a number", "todouble")
        case .integer, .constantInteger:
            if p.kind == .constantInteger, usesColumns(e) { return notConstant() }
            if e.type.isInteger { return e }
            if e.type == .dynamic { return convert(e, to: .long) }
            if case .constant(.real(let d)) = e.kind, d == d.rounded(), abs(d) < 9e15 { return constant(.long(Int64(d)), e.range) }
            return mismatch("an integer", "tolong")
        case .summable:
            if e.type == .bool { return convert(e, to: .long) }
            if e.type.isNumeric || e.type == .datetime || e.type == .timespan { return e }
            return mismatch("a number, datetime or timespan", "todouble")
        case .dynamic:
            if e.type == .dynamic { return e }
            return mismatch("dynamic", e.type == .string ? "parse_json" : "pack_array")
        case .bool:
            if e.type == .bool { return e }
            if e.type == .dynamic || e.type.isInteger { return convert(e, to: .bool) }
            return mismatch("a bool", "tobool")
        case .datetime:
            if e.type == .datetime { return e }
            if e.type == .dynamic { return convert(e, to: .datetime) }
            return literal(e, as: .datetime) ?? mismatch("a datetime", "todatetime")
        case .timespan:
            if e.type == .timespan { return e }
            if e.type == .dynamic { return convert(e, to: .timespan) }
            return literal(e, as: .timespan) ?? mismatch("a timespan", "totimespan")
        }
    }

    /// As ``fit(_:to:_:)``, for the arguments of an aggregate.
    func fitAggregate(_ sig: AggregateSignature, _ name: Name, _ bound: [BoundExpr]) -> [BoundExpr]? {
        guard checkCount(name, bound.count, sig.parameters, sig.isVariadic) else { return nil }
        return fitAll(name, bound, sig.parameters)
    }

    // MARK: Common types

    /// The common type of alternatives; typed nulls fit any type.
    func commonType(_ alternatives: [BoundExpr]) -> ScalarType? {
        let typed = alternatives.filter { !(constantValue($0)?.isNull ?? false) }
        return TypeRules.common((typed.isEmpty ? alternatives : typed).map(\.type))
    }

    func convertToCommon(_ e: BoundExpr, _ t: ScalarType) -> BoundExpr {
        if let v = constantValue(e), v.isNull { return constant(.missing(t), e.range) }
        return convert(e, to: t)
    }

    private func reportNoCommonType(_ name: Name, _ args: [BoundExpr], _ range: SourceRange) {
        var types: [String] = []
        for t in args.map(\.type.rawValue) where !types.contains(t) { types.append(t) }
        error(
            .noCommonType, "the results of `\(name.text)` have no common type (\(types.joined(separator: ", ")))", range,
            mend: "convert them to one type, for example with tostring()")
    }

    // MARK: Functions of the language

    /// `bin_auto(value)`: `bin_at` with the size and the point that `set` statements say.
    private func bindAutomaticBin(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        guard args.count == 1 else {
            error(.argumentCount, "`\(name.text)` takes 1 argument, not \(args.count)", range)
            return nil
        }
        guard let size = autoBins.size else {
            error(
                .missingParameter, "`\(name.text)` needs the option query_bin_auto_size", range,
                mend: "write `set query_bin_auto_size = 1h;` before the query")
            return nil
        }
        let target = Name(autoBins.origin == nil ? "bin" : "bin_at", range: name.range)
        guard let sig = scalarSignature(target.text) else { return nil }
        return bindScalar(sig, target, args + [size] + (autoBins.origin.map { [$0] } ?? []), range, scope)
    }

    private func bindBuiltin(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        func arguments(_ allowed: ClosedRange<Int>) -> [BoundExpr]? {
            guard allowed.contains(args.count) else {
                let wanted =
                    allowed.lowerBound == allowed.upperBound ? "\(allowed.lowerBound)" : "\(allowed.lowerBound) to \(allowed.upperBound)"
                error(.argumentCount, "`\(name.text)` takes \(wanted) arguments, not \(args.count)", range)
                return nil
            }
            let bound = args.map { bind($0, scope) }
            return bound.contains { $0 == nil } ? nil : bound.compactMap { $0 }
        }
        switch name.text {
        case "now", "ago":
            guard let a = arguments(name.text == "now" ? 0...1 : 1...1) else { return nil }
            let now = BoundExpr(.call("now", []), .datetime, range)
            guard let first = a.first else { return now }
            guard let span = fit(first, to: SignatureParameter("offset", .timespan), name) else { return nil }
            return BoundExpr(.call(name.text == "now" ? "+" : "-", [now, span]), .datetime, range)
        case "not":
            guard let a = arguments(1...1), let b = asBool(a[0], "the argument of `not`") else { return nil }
            return BoundExpr(.call("not", [b]), .bool, range)
        case "iff", "iif":
            guard let a = arguments(3...3), let c = asBool(a[0], "the condition of `\(name.text)`") else { return nil }
            guard let t = commonType([a[1], a[2]]) else {
                reportNoCommonType(name, [a[1], a[2]], range)
                return nil
            }
            return BoundExpr(.call("iff", [c, convertToCommon(a[1], t), convertToCommon(a[2], t)]), t, range)
        case "case":
            return bindCase(name, args, range, scope)
        case "toscalar":
            return bindToScalar(name, args, range, scope)
        case "bin_auto":
            return bindAutomaticBin(name, args, range, scope)
        case "column_ifexists", "columnifexists":
            return bindColumnIfExists(name, args, range, scope)
        case "column_names_of":
            guard args.count == 1, isTabular(args[0], scope.env) else {
                error(.notTabular, "`column_names_of` takes rows", range)
                return nil
            }
            guard let r = bindTabular(args[0], scope.env), !r.isUnknown else { return nil }
            return constant(.dynamic(.array(r.columns.map { .string($0.name) })), range)
        case "estimate_data_size": return bindDataSize(name, args, range, scope)
        case "ingestion_time":
            guard arguments(0...0) != nil else { return nil }
            let time = scope.row?.column("TimeGenerated").flatMap { $0.type == .datetime ? reference($0, range) : nil }
            return BoundExpr(.call("ingestion_time", time.map { [$0] } ?? []), .datetime, range)
        case "pack_all":
            guard let a = arguments(0...1), let row = scope.row, !row.relation.isUnknown else { return nil }
            var skipsEmpty = false
            if let first = a.first {
                guard case .constant(.bool(let b)) = first.kind else {
                    error(.notConstant, "the argument of `pack_all` must be true or false", first.range)
                    return nil
                }
                skipsEmpty = b
            }
            if skipsEmpty, functions.scalar("bag_pack_nonempty") == nil {
                error(.unsupportedOption, "`pack_all(true)` is not supported yet", range, mend: "use pack_all()")
                return nil
            }
            return pack(row.columns, skipsEmpty ? "bag_pack_nonempty" : "bag_pack", range)
        default:
            return bindBagPackColumns(name, args, range, scope)
        }
    }

    private func pack(_ columns: [BoundColumn], _ function: String, _ range: SourceRange) -> BoundExpr? {
        var pairs: [BoundExpr] = []
        for c in columns {
            guard let e = reference(c, range) else { return nil }
            pairs += [constant(.string(c.name), range), e]
        }
        return BoundExpr(.call(function, pairs), .dynamic, range)
    }

    /// `estimate_data_size(*)` or of columns. The size of a dynamic value depends on the form in which Kusto holds it, which is not documented.
    private func bindDataSize(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        var values: [BoundExpr] = []
        for a in args {
            if case .star = a.kind {
                guard let row = scope.row, !row.relation.isUnknown else { return nil }
                values += row.columns.compactMap { reference($0, a.range) }
            } else {
                guard let e = bind(a, scope) else { return nil }
                values.append(e)
            }
        }
        guard !values.isEmpty else {
            error(.argumentCount, "`\(name.text)` needs columns, or `*` for all", range)
            return nil
        }
        if let dynamic = values.first(where: { $0.type == .dynamic }) {
            error(
                .unsupportedOption, "`\(name.text)` is not supported for dynamic values: their size in Kusto is not documented",
                dynamic.range, mend: "name the columns of other types, or convert it with tostring()")
            return nil
        }
        return BoundExpr(.call(name.text, values), .long, range)
    }

    private func bindBagPackColumns(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        var pairs: [BoundExpr] = []
        for a in args {
            if case .star = a.kind {
                guard let row = scope.row, let all = pack(row.columns, "bag_pack", range), case .call(_, let items) = all.kind else {
                    return nil
                }
                pairs += items
                continue
            }
            guard let e = bind(a, scope) else { return nil }
            guard let n = resultName(a, scope) else {
                error(.notColumn, "`bag_pack_columns` takes columns", a.range)
                return nil
            }
            pairs += [constant(.string(n), a.range), e]
        }
        return BoundExpr(.call("bag_pack", pairs), .dynamic, range)
    }

    private func bindCase(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        guard args.count >= 3, args.count % 2 == 1 else {
            error(.argumentCount, "`case` takes pairs of a condition and a value, then a default: an odd number of arguments", range)
            return nil
        }
        var out: [BoundExpr] = []
        var failed = false
        for (i, a) in args.enumerated() {
            let isCondition = i % 2 == 0 && i < args.count - 1
            if let b = isCondition ? condition(a, scope, "a condition of `case`") : bind(a, scope) {
                out.append(b)
            } else {
                failed = true
            }
        }
        if failed { return nil }
        let values = out.indices.filter { $0 % 2 == 1 || $0 == out.count - 1 }
        guard let t = commonType(values.map { out[$0] }) else {
            reportNoCommonType(name, values.map { out[$0] }, range)
            return nil
        }
        for i in values { out[i] = convertToCommon(out[i], t) }
        return BoundExpr(.call("case", out), t, range)
    }

    private func bindToScalar(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        guard args.count == 1 else {
            error(.argumentCount, "`toscalar` takes one argument", range)
            return nil
        }
        guard isTabular(args[0], scope.env) else { return bind(args[0], scope) }
        guard let r = bindTabular(args[0], scope.env), !r.isUnknown else { return nil }
        guard let c = r.columns.first else {
            error(.notScalar, "the query in toscalar() has no columns", range)
            return nil
        }
        if poisoned.contains(c.id) { return nil }
        return BoundExpr(.scalarQuery(r.plan), c.type, range)
    }

    private func bindColumnIfExists(_ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundExpr? {
        guard args.count == 2 else {
            error(.argumentCount, "`\(name.text)` takes a column's name and a default", range)
            return nil
        }
        guard let n = bind(args[0], scope) else { return nil }
        guard case .constant(.string(let wanted)) = n.kind else {
            error(.notConstant, "the column's name in `\(name.text)` must be a constant string", args[0].range)
            return nil
        }
        if let c = scope.row?.column(wanted) { return reference(c, range) }
        if scope.row?.relation.isUnknown ?? false { return nil }
        return bind(args[1], scope)
    }
}
