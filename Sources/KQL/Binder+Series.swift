import Columnar

// make-series and partition: operators that work on groups of rows.

extension BindingSession {
    /// `make-series`: the rows are grouped by the keys and the axis' bin, then `custom("make-series")` lays the groups out as arrays.
    ///
    /// Its input has the keys, the bin and one column an aggregate; its arguments are from, to (null constants where not given) and step;
    /// option `keys` is the number of keys, `defaults` the value of an empty bin for each aggregate, `kind` is `nonempty` or absent. Its
    /// columns are the keys, a dynamic array for each aggregate, and the array of bins.
    ///
    /// With `in range(start, stop, step)` the bins are those of `bin()`, from that of `start` to that of `stop`, both included.
    func bindMakeSeries(
        _ items: [Expr], on: Expr, from: Expr?, to: Expr?, step: Expr?, keys: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator
    ) -> Relation {
        var p = Projection()
        for (i, k) in keys.enumerated() { addItem(k, i, into: &p, scope, .project) }
        for (c, e) in zip(p.columns, p.exprs) where e.type == .dynamic && !poisoned.contains(c.id) {
            error(
                .dynamicKey, "group key `\(c.name)` is dynamic, which cannot be grouped by", e.range,
                mend: "convert it: tostring(\(c.name))")
        }
        let keyColumns = p.columns, keyExprs = p.exprs
        guard let axis = bindAxis(on, from, to, step, scope, op) else {
            for item in items { _ = bindSeriesItem(item, scope, AggregateCollector(keyColumns: []), []) }
            return unknownRelation(op.range)
        }
        let collector = AggregateCollector(keyColumns: [])
        var defaults: [Dynamic] = []
        var names: [String] = []
        var results: [BoundExpr] = []
        var failed = false
        for item in items {
            guard let s = bindSeriesItem(item, scope, collector, keyColumns.map(\.name) + names) else {
                failed = true
                continue
            }
            names.append(s.name)
            results.append(s.value)
            defaults.append(s.standard)
        }
        if failed || input.isUnknown { return unknownRelation(op.range) }
        // Rows outside [from, to) belong to no bin.
        var source = input.plan
        let isRange = op.parameter("in range") != nil
        for (bound, test) in [(axis.from, BinaryOperator.greaterOrEqual), (axis.to, isRange ? .lessOrEqual : .less)] {
            guard let b = bound else { continue }
            let c = BoundExpr(.call(test.rawValue, [axis.value, b]), .bool, b.range)
            source = Plan(.filter(source, c), columns: source.columns, range: op.range)
        }
        func binned(_ e: BoundExpr) -> BoundExpr { BoundExpr(.call("bin", [e, axis.step]), axis.value.type, e.range) }
        let bin: BoundExpr
        var (first, end) = (axis.from, axis.to)
        if let from = axis.from, !isRange {
            bin = BoundExpr(.call("bin_at", [axis.value, axis.step, from]), axis.value.type, on.range)
        } else {
            bin = binned(axis.value)
            first = first.map(binned)
            end = end.map { BoundExpr(.call(BinaryOperator.add.rawValue, [binned($0), axis.step]), axis.value.type, $0.range) }
        }
        if !isRange { end = axis.to }
        let binColumn = column(axis.name ?? "Column1", axis.value.type)
        let outputs = collector.aggregates.flatMap(\.outputs)
        var grouped = Plan(
            .summarize(source, keys: keyExprs + [bin], aggregates: collector.aggregates), columns: keyColumns + [binColumn] + outputs,
            range: op.range)
        let ahead = (keyColumns + [binColumn]).map { BoundExpr(.column($0.id), $0.type, op.range) }
        let values = zip(names, results).map { column($0, for: $1) }
        grouped = Plan(.project(grouped, ahead + results), columns: keyColumns + [binColumn] + values, range: op.range)
        let none = constant(.null(.dynamic), op.range)
        var out = Projection()
        for c in keyColumns { out.add(c, none) }
        for n in names { out.add(column(n, .dynamic), none) }
        out.add(column(axis.name ?? defaultName(avoiding: out.contains), .dynamic), none)
        var options: [String: Value] = ["keys": .long(Int64(keyColumns.count)), "defaults": .dynamic(.array(defaults))]
        if let kind = op.parameter("kind") { options["kind"] = .string(parameterText(kind)) }
        let null = constant(.null(axis.value.type), op.range)
        return Relation(
            plan: Plan(
                .custom(
                    name: "make-series", inputs: [grouped], arguments: [first ?? null, end ?? null, axis.step], options: options),
                columns: out.columns, range: op.range))
    }

    private struct Axis {
        let name: String?
        let value: BoundExpr
        let from: BoundExpr?
        let to: BoundExpr?
        let step: BoundExpr
    }

    private func bindAxis(_ on: Expr, _ from: Expr?, _ to: Expr?, _ step: Expr?, _ scope: Scope, _ op: Operator) -> Axis? {
        var value = on
        if case .named(_, let v) = on.kind { value = v }
        let name = resultName(on, scope).flatMap { $0.isEmpty ? nil : $0 }
        guard let step else {
            error(.rangeTypes, "`make-series` needs a step", op.keyword.range)
            return nil
        }
        let outer = Scope(scope.env)
        let boundValue = bind(value, scope)
        let boundFrom = from.map { bind($0, outer) }, boundTo = to.map { bind($0, outer) }
        guard let v = boundValue, let s = bind(step, outer), boundFrom.map({ $0 != nil }) ?? true, boundTo.map({ $0 != nil }) ?? true else {
            return nil
        }
        let stepType: ScalarType
        switch (v.type, s.type) {
        case (.datetime, .timespan), (.timespan, .timespan): stepType = .timespan
        case (let a, let b) where a.isNumeric && b.isNumeric:
            stepType = TypeRules.widest(a, b) == .int ? .long : TypeRules.widest(a, b) ?? .long
        default:
            error(
                .rangeTypes, "`make-series` is not defined on a \(v.type.rawValue) with a step of \(s.type.rawValue)", step.range,
                mend: v.type == .dynamic ? "convert the axis first, for example with todatetime()" : "use a timespan as step")
            return nil
        }
        let type = v.type.isNumeric ? stepType : v.type
        func edge(_ e: BoundExpr??) -> BoundExpr?? {
            guard case .some(.some(let b)) = e else { return .some(nil) }
            return assign(b, to: type).map { .some($0) }
        }
        guard let f = edge(boundFrom), let t = edge(boundTo) else { return nil }
        return Axis(name: name, value: convert(v, to: type), from: f, to: t, step: convert(s, to: stepType))
    }

    private func bindSeriesItem(
        _ item: Expr, _ scope: Scope, _ collector: AggregateCollector, _ taken: [String]
    ) -> (name: String, value: BoundExpr, standard: Dynamic)? {
        var value = item
        var given: Expr?
        var name: Name?
        while true {
            if case .defaulted(let e, let d) = value.kind {
                (value, given) = (e, d)
            } else if case .named(let n, let e) = value.kind {
                (name, value) = (n.first, e)
            } else if case .paren(let e) = value.kind {
                value = e
            } else {
                break
            }
        }
        var inner = scope
        inner.aggregates = collector
        guard let bound = bind(value, inner) else { return nil }
        var standard: Dynamic = bound.type.isNumeric ? .long(0) : .null
        if let given {
            guard let d = bind(given, Scope(scope.env)) else { return nil }
            guard let v = constantValue(d), let c = ConstantFold.dynamic(v) else {
                error(.notConstant, "the default of a series must be a constant", given.range)
                return nil
            }
            standard = c
        }
        // A whole number among reals is written as the reals are.
        if bound.type == .real, case .long(let whole) = standard { standard = .real(Double(whole)) }
        var suggested = resultName(value, inner).flatMap { $0.isEmpty ? nil : $0 }
        // `percentile(x, 50)` names its column itself.
        if suggested == nil, case .call(let function, _) = value.kind, functions.aggregate(function.text) != nil,
            case .column(let id) = bound.kind
        {
            suggested = collector.aggregates.flatMap(\.outputs).first { $0.id == id }?.name
        }
        let own = name?.text ?? suggested ?? defaultName(avoiding: taken.contains)
        return (own, bound, standard)
    }

    // MARK: Partition

    /// The names of a partition's body that is a whole query: the key is a value there, `custom("partition-key")`, the current one.
    private func keyEnvironment(_ by: Expr, _ key: BoundExpr, _ scope: Scope, _ id: ColumnID) -> Environment? {
        guard let name = resultName(by, scope) else { return scope.env }
        let current = Plan(
            .custom(name: "partition-key", inputs: [], arguments: [], options: ["id": .long(Int64(id))]), columns: [column(name, key.type)],
            range: by.range)
        return Environment(name, .scalar(BoundExpr(.scalarQuery(current), key.type, by.range), row: nil), parent: scope.env)
    }

    /// `partition by column (operators)`: `custom("partition")` hands the rows of each key to its second input, whose source they are.
    func bindPartition(_ by: Expr, _ body: Expr, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        guard let key = bind(by, scope) else { return unknownRelation(op.range) }
        if let strategy = op.parameter("hint.strategy") {
            let text = parameterText(strategy)
            if !["native", "shuffle", "legacy"].contains(text) {
                unknown(.badParameter, "strategy", text, strategy.range, among: ["legacy", "native", "shuffle"])
            }
        }
        if key.type == .dynamic {
            error(.dynamicKey, "a partition key must not be dynamic", by.range, mend: "convert it first with tostring()")
            return unknownRelation(op.range)
        }
        if input.isUnknown { return input }
        guard case .query(let q) = body.kind, case .input = q.source else {
            let id = column("$key", key.type).id
            guard let r = bindTabular(body, keyEnvironment(by, key, scope, id)), !r.isUnknown else { return unknownRelation(op.range) }
            return Relation(
                plan: Plan(
                    .custom(name: "partition", inputs: [input.plan, r.plan], arguments: [key], options: ["id": .long(Int64(id))]),
                    columns: r.columns,
                    range: op.range), open: r.open)
        }
        var inner = input.with(Plan(.subquerySource, columns: input.columns, range: op.range))
        var env = scope.env
        for o in q.operators {
            guard admit(o.range) else { break }
            inner = apply(o, inner, &env)
        }
        if inner.isUnknown { return inner }
        guard inner.graph == nil else {
            error(.graphKind, "the operators of `partition` must give rows", body.range, mend: "end them with `graph-to-table`")
            return unknownRelation(op.range)
        }
        return Relation(
            plan: Plan(
                .custom(name: "partition", inputs: [input.plan, inner.plan], arguments: [key], options: [:]), columns: inner.columns,
                range: op.range), open: inner.open)
    }
}
