import Columnar

// summarize: group keys, aggregates and expressions over aggregates.

/// The aggregates found in one summarize, in order of appearance.
final class AggregateCollector {
    var aggregates: [BoundAggregate] = []
    /// Input columns that are group keys as they are; `*` in an aggregate leaves them out.
    let keyColumns: Set<ColumnID>
    init(keyColumns: Set<ColumnID>) { self.keyColumns = keyColumns }
}

extension BindingSession {
    func bindSummarize(_ items: [Expr], _ keys: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var p = Projection()
        for (i, k) in keys.enumerated() {
            addItem(k, i, into: &p, scope, .project)
        }
        for (c, e) in zip(p.columns, p.exprs) where e.type == .dynamic && !poisoned.contains(c.id) {
            error(
                .dynamicKey, "group key `\(c.name)` is dynamic, which cannot be grouped by", e.range,
                mend: "convert it: tostring(\(c.name))")
        }
        let keyExprs = p.exprs
        let keyColumns = p.columns
        let collector = AggregateCollector(
            keyColumns: Set(keyExprs.compactMap { if case .column(let id) = $0.kind { id } else { nil } }))
        var inner = scope
        inner.aggregates = collector
        // Results as expressions over keys and aggregates; most are single columns of one aggregate.
        for item in items { addAggregateItem(item, into: &p, inner, collector) }
        let outputs = collector.aggregates.flatMap(\.outputs)
        let results = p.columns.dropFirst(keyColumns.count)
        let isDirect = zip(results, p.exprs.dropFirst(keyColumns.count)).elementsEqual(outputs) { result, out in
            if case .column(let id) = result.1.kind { return id == out.id && result.0.id == out.id }
            return false
        }
        if isDirect {
            // Final names belong to the aggregates' outputs themselves.
            let names = Dictionary(results.map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
            let aggregates = collector.aggregates.map { a in
                BoundAggregate(name: a.name, arguments: a.arguments, outputs: a.outputs.map { names[$0.id] ?? $0 })
            }
            return Relation(
                plan: Plan(.summarize(input.plan, keys: keyExprs, aggregates: aggregates), columns: p.columns, range: op.range))
        }
        let summarized = Plan(
            .summarize(input.plan, keys: keyExprs, aggregates: collector.aggregates), columns: keyColumns + outputs, range: op.range)
        let exprs = keyColumns.map { BoundExpr(.column($0.id), $0.type, op.range) } + p.exprs.dropFirst(keyColumns.count)
        return Relation(plan: Plan(.project(summarized, exprs), columns: p.columns, range: op.range))
    }

    private func addAggregateItem(_ item: Expr, into p: inout Projection, _ scope: Scope, _ collector: AggregateCollector) {
        var names: [Name] = []
        var value = item
        if case .named(let n, let v) = item.kind { (names, value) = (n, v) }
        while case .paren(let x) = value.kind { value = x }
        // A call of an aggregate gives its own columns.
        if case .call(let name, let args) = value.kind, let sig = functions.aggregate(name.text), !isFunction(name.text, scope) {
            guard let a = bindAggregate(sig, name, args, value.range, scope) else {
                let suggested = names.first?.text ?? resultName(value, scope) ?? name.text
                p.add(poison(suggested.isEmpty ? name.text : suggested), constant(.null(.dynamic), item.range))
                for n in names.dropFirst() { p.add(poison(n.text), constant(.null(.dynamic), item.range)) }
                return
            }
            collector.aggregates.append(a)
            if names.count > a.outputs.count {
                error(.tupleNames, "`\(name.text)` gives \(count(a.outputs.count, "column")) for \(count(names.count, "name"))", item.range)
            }
            for (i, out) in a.outputs.enumerated() {
                let e = BoundExpr(.column(out.id), out.type, value.range)
                if i < names.count {
                    guard declare(names[i], p) else { continue }
                    p.add(renamed(out, names[i].text), e, declared: true)
                } else {
                    p.add(out, e)
                }
            }
            return
        }
        if names.count > 1 {
            error(.tupleNames, "the expression gives one value for \(count(names.count, "name"))", item.range)
            return
        }
        let bound = bind(value, scope)
        let name = names.first?.text ?? resultName(value, scope).flatMap { $0.isEmpty ? nil : $0 } ?? defaultName { p.contains($0) }
        if let n = names.first, !declare(n, p) { return }
        if let bound {
            p.add(column(name, for: bound), bound, declared: !names.isEmpty)
        } else {
            p.add(poison(name), constant(.null(.dynamic), item.range), declared: !names.isEmpty)
        }
    }

    private func isFunction(_ name: String, _ scope: Scope) -> Bool {
        if case .function? = lookup(name, scope.env) { return true }
        return false
    }

    private func declare(_ n: Name, _ p: Projection) -> Bool {
        if p.isDeclared(n.text) {
            error(.duplicateColumn, "column `\(n.text)` is given twice", n.range, mend: "give one of them another name")
            return false
        }
        return true
    }

    // MARK: Aggregates

    /// Binds one aggregate. For `arg_max`, `arg_min` and `take_any`, output `i` is the value of argument `i` in the chosen row.
    func bindAggregate(_ sig: AggregateSignature, _ name: Name, _ args: [Expr], _ range: SourceRange, _ scope: Scope) -> BoundAggregate? {
        let inner = scope.insideAggregate
        switch sig.naming {
        case .argExtreme: return bindArgExtreme(sig, name, args, range, inner, scope)
        case .columns where sig.isVariadic || args.contains(where: { if case .star = $0.kind { true } else { false } }):
            return bindTakeAny(sig, name, args, range, inner, scope)
        default: break
        }
        var bound: [BoundExpr] = []
        var failed = false
        for a in args {
            if let b = bind(a, inner) { bound.append(b) } else { failed = true }
        }
        guard !failed, let fitted = fitAggregate(sig, name, bound) else { return nil }
        let first = args.first.flatMap { resultName($0, inner) } ?? ""
        switch sig.naming {
        case .percentiles:
            return bindPercentiles(sig, name, first, fitted, range)
        default:
            guard let type = resultType(sig, fitted, name, range) else { return nil }
            let out: String
            switch sig.naming {
            case .prefixed(let prefix) where sig.name.hasPrefix("covariance") && args.count > 1:
                out = "\(prefix)_\(first)_\(resultName(args[1], inner) ?? "")"
            case .prefixed(let prefix): out = "\(prefix)_\(first)"
            case .fixed(let fixed): out = fixed
            default: out = first.isEmpty ? "\(sig.name)_" : first
            }
            return BoundAggregate(name: sig.name, arguments: fitted, outputs: [column(out, type)])
        }
    }

    private func resultType(_ sig: AggregateSignature, _ args: [BoundExpr], _ name: Name, _ range: SourceRange) -> ScalarType? {
        switch sig.result {
        case .type(let t): return t
        case .argument(let i): return i < args.count ? args[i].type : .dynamic
        case .common(let from):
            if let t = commonType(Array(args.dropFirst(from))) { return t }
        case .custom(let rule):
            if let t = rule(args.map(\.type), args.map(constantValue)) { return t }
        }
        error(
            .argumentType, "`\(name.text)` is not defined for (\(args.map(\.type.rawValue).joined(separator: ", ")))", range,
            mend: args.first?.type == .dynamic ? "convert the argument, for example with todouble() or tostring()" : nil)
        return nil
    }

    private func bindPercentiles(
        _ sig: AggregateSignature, _ name: Name, _ first: String, _ args: [BoundExpr], _ range: SourceRange
    ) -> BoundAggregate? {
        guard var type = resultType(sig, args, name, range) else { return nil }
        let isWeighted = sig.name.hasPrefix("percentilew") || sig.name.hasPrefix("percentilesw")
        if sig.name.hasSuffix("_array") {
            let out = isWeighted ? "percentile_\(first)" : "percentiles_\(first)"
            return BoundAggregate(name: sig.name, arguments: args, outputs: [column(out, type)])
        }
        // Percentiles of ints are longs, of decimals reals.
        if type == .int { type = .long }
        if type == .decimal { type = .real }
        var outputs: [BoundColumn] = []
        for p in args.dropFirst(isWeighted ? 2 : 1) {
            guard let v = constantValue(p) else {
                error(.notConstant, "a percentile must be a constant", p.range)
                return nil
            }
            let text: String
            switch v {
            case .real(let d): text = d == d.rounded() && abs(d) < 1e6 ? String(Int(d)) : "\(d)"
            default: text = v.integer.map { String($0) } ?? "0"
            }
            let fragment = String(text.map { $0.isLetter || $0.isNumber ? $0 : "_" })
            outputs.append(column("percentile_\(first)_\(fragment)", type))
        }
        return BoundAggregate(name: sig.name, arguments: args, outputs: outputs)
    }

    /// The columns that `*` stands for: all but the group keys and those given already.
    private func starColumns(_ scope: Scope, _ taken: Set<ColumnID>) -> [BoundColumn] {
        (scope.row?.columns ?? []).filter { !taken.contains($0.id) && !(scope.aggregates?.keyColumns.contains($0.id) ?? false) }
    }

    private func bindArgExtreme(
        _ sig: AggregateSignature, _ name: Name, _ args: [Expr], _ range: SourceRange, _ inner: Scope, _ scope: Scope
    ) -> BoundAggregate? {
        guard let primary = args.first else {
            error(.argumentCount, "`\(name.text)` needs the expression to be compared", range)
            return nil
        }
        let prefix = sig.name == "arg_min" ? "min" : "max"
        // The legacy spellings prefix their columns.
        let isLegacy = name.text == "argmax" || name.text == "argmin"
        var taken: Set<ColumnID> = []
        var arguments: [BoundExpr] = []
        var outputs: [BoundColumn] = []
        let primaryName = resultName(primary, inner)
        for (i, a) in args.enumerated() {
            if case .star = a.kind {
                if inner.row?.relation.isUnknown ?? false { return nil }
                for c in starColumns(scope, taken) {
                    guard let e = reference(c, a.range) else { continue }
                    taken.insert(c.id)
                    arguments.append(e)
                    outputs.append(column(isLegacy ? "\(prefix)_\(primaryName ?? "")_\(c.name)" : c.name, c.type))
                }
                continue
            }
            var value = a
            var given: String?
            if case .named(let n, let v) = a.kind { (given, value) = (n.first?.text, v) }
            guard let e = bind(value, inner) else { return nil }
            if let c = referencedColumn(value, inner) {
                let hasStar = args.contains { if case .star = $0.kind { true } else { false } }
                if i > 0, hasStar, taken.contains(c.id) || (scope.aggregates?.keyColumns.contains(c.id) ?? false) { continue }
                taken.insert(c.id)
            }
            let own = given ?? resultName(value, inner)
            let out: String
            if isLegacy {
                out = i == 0 ? "\(prefix)_\(own ?? "")" : "\(prefix)_\(primaryName ?? "")_\(own ?? "arg\(i)")"
            } else {
                out = own ?? (i == 0 ? "\(prefix)_" : "\(prefix)_\(primaryName ?? "")_arg\(i)")
            }
            if i == 0, e.type == .dynamic || e.type == .bool || e.type == .guid, e.type == .guid {
                error(.notOrdered, "`\(name.text)` cannot order a \(e.type.rawValue)", a.range)
                return nil
            }
            arguments.append(e)
            outputs.append(column(out, e.type))
        }
        return BoundAggregate(name: sig.name, arguments: arguments, outputs: outputs)
    }

    private func bindTakeAny(
        _ sig: AggregateSignature, _ name: Name, _ args: [Expr], _ range: SourceRange, _ inner: Scope, _ scope: Scope
    ) -> BoundAggregate? {
        var taken: Set<ColumnID> = []
        var arguments: [BoundExpr] = []
        var outputs: [BoundColumn] = []
        // `any(x)` of old named its column `any_x`; several arguments keep their names in both.
        let isLegacy = name.text == "any" && args.count == 1
        for (i, a) in args.enumerated() {
            if case .star = a.kind {
                if inner.row?.relation.isUnknown ?? false { return nil }
                for c in starColumns(scope, taken) {
                    guard let e = reference(c, a.range) else { continue }
                    taken.insert(c.id)
                    arguments.append(e)
                    outputs.append(column(c.name, c.type))
                }
                continue
            }
            var value = a
            var given: String?
            if case .named(let n, let v) = a.kind { (given, value) = (n.first?.text, v) }
            guard let e = bind(value, inner) else { return nil }
            if let c = referencedColumn(value, inner) { taken.insert(c.id) }
            let own = given ?? resultName(value, inner) ?? (name.text == "any" ? "arg\(i)" : "any_arg\(i)")
            arguments.append(e)
            outputs.append(column(isLegacy ? "any_\(own)" : own, e.type))
        }
        guard !arguments.isEmpty else {
            error(.argumentCount, "`\(name.text)` needs a column", range)
            return nil
        }
        return BoundAggregate(name: sig.name, arguments: arguments, outputs: outputs)
    }
}
