import Columnar

// mv-expand, mv-apply and parse: operators that turn one row into several, or one cell into several columns.

extension BindingSession {
    /// Items and columns of mv-expand and mv-apply.
    private struct Expansion {
        var items: [BoundMvItem] = []
        var columns: [BoundColumn]
        var outputs: [MvOutput]
        var failed = false
    }

    private func expansion(_ items: [MvItem], _ input: Relation, _ scope: Scope, _ op: Operator) -> Expansion {
        var x = Expansion(columns: input.columns, outputs: input.columns.indices.map { .input($0) })
        for item in items {
            var value = item.expr
            var given: Name?
            if case .named(let n, let v) = item.expr.kind { (given, value) = (n.first, v) }
            let source = referencedColumn(value, scope)
            let name =
                given?.text ?? source?.name ?? resultName(value, scope).flatMap { $0.isEmpty ? nil : $0 }
                ?? defaultName { n in x.columns.contains { $0.name == n } }
            guard let e = bind(value, scope) else {
                x.failed = true
                place(poison(name), .item(x.items.count), in: &x)
                x.items.append(BoundMvItem(expr: constant(.null(.dynamic), value.range), type: .dynamic))
                continue
            }
            guard e.type == .dynamic else {
                error(
                    .expandType, "`\(op.keyword.text)` needs a dynamic value, not a \(e.type.rawValue)", value.range,
                    mend: e.type == .string ? "parse it first: parse_json(...), or split it" : "make an array of it: pack_array(...)")
                x.failed = true
                place(poison(name), .item(x.items.count), in: &x)
                x.items.append(BoundMvItem(expr: constant(.null(.dynamic), value.range), type: .dynamic))
                continue
            }
            let type = item.type?.type ?? .dynamic
            place(column(name, type), .item(x.items.count), in: &x)
            x.items.append(BoundMvItem(expr: e, type: type))
        }
        if let index = op.parameter("with_itemindex") {
            place(column(parameterText(index), .long), .index, in: &x)
        }
        return x
    }

    /// A column takes the place of one with its name, or comes last.
    private func place(_ c: BoundColumn, _ output: MvOutput, in x: inout Expansion) {
        if let at = x.columns.firstIndex(where: { $0.name == c.name }) {
            x.columns[at] = c
            x.outputs[at] = output
        } else {
            x.columns.append(c)
            x.outputs.append(output)
        }
    }

    func bindMvExpand(_ items: [MvItem], _ limit: Expr?, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        let x = expansion(items, input, scope, op)
        // The spelling without a hyphen is the older operator, which gives 128 rows at most for each row unless told otherwise.
        let most =
            limit.flatMap { rowCount($0, scope) } ?? (op.keyword.text == "mvexpand" && limit == nil ? constant(.long(128), op.range) : nil)
        var bagArrays = false
        if let kind = op.parameter("bagexpansion") ?? op.parameter("kind") {
            switch parameterText(kind) {
            case "array": bagArrays = true
            case "bag": break
            case let other: unknown(.badParameter, "kind", other, kind.range, among: ["array", "bag"])
            }
        }
        return input.with(
            Plan(
                .mvExpand(input.plan, x.items, outputs: x.outputs, limit: most, bagArrays: bagArrays), columns: x.columns, range: op.range))
    }

    func bindMvApply(
        _ items: [MvItem], _ limit: Expr?, _ body: [Operator], _ input: Relation, _ scope: Scope, _ op: Operator
    ) -> Relation {
        let x = expansion(items, input, scope, op)
        let most = limit.flatMap { rowCount($0, scope) }
        var inner = input.with(Plan(.subquerySource, columns: x.columns, range: op.range)).serialized(true)
        var env = scope.env
        for o in body {
            guard admit(o.range) else { break }
            inner = apply(o, inner, &env)
        }
        if inner.isUnknown, !input.isUnknown { return inner }
        // The input's columns, then those that the body adds; what the body hands on keeps its place.
        var p = Projection()
        let none = constant(.null(.dynamic), op.range)
        let produced = Dictionary(inner.columns.map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
        // `extend b = a` gives two columns of one identity: each keeps its own name.
        func handed(_ c: BoundColumn) -> BoundColumn? { inner.columns.first { $0.id == c.id && $0.name == c.name } ?? produced[c.id] }
        let expanded = Set(x.columns.map(\.id))
        for (i, c) in input.columns.enumerated() {
            let current = x.columns[i]
            if current.id == c.id {
                // A column that the body computes takes the place of the input's of that name.
                p.add(handed(c) ?? inner.columns.first { $0.name == c.name } ?? c, none)
            } else if let kept = handed(current), expanded.contains(current.id) {
                p.add(kept, none)
            }
        }
        let placed = Set(p.columns.map(\.id))
        for c in inner.columns where !placed.contains(c.id) { p.add(c, none) }
        return input.with(
            Plan(
                .mvApply(input.plan, x.items, outputs: x.outputs, limit: most, body: inner.plan), columns: p.columns, range: op.range)
        ).serialized(false)
    }

    // MARK: Parse

    func bindParse(_ e: Expr, _ segments: [ParseSegment], _ filters: Bool, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var mode = BoundParse.Mode.simple
        if let kind = op.parameter("kind") {
            switch parameterText(kind) {
            case "simple": break
            case "relaxed": mode = .relaxed
            case "regex":
                let flags = op.parameter("flags")
                let text = flags.map(parameterText) ?? ""
                if let flags, let wrong = text.first(where: { !"Uims".contains($0) }) {
                    error(
                        .badParameter, "unknown flag `\(wrong)` of regular expressions", flags.range,
                        mend: "there are `U` (ungreedy), `i` (any case), `m` (lines) and `s` (the dot matches line ends)")
                }
                mode = .regex(flags: text)
            case let other: unknown(.badParameter, "kind", other, kind.range, among: ["regex", "relaxed", "simple"])
            }
        }
        var source: BoundExpr?
        if let bound = bind(e, scope) {
            if bound.type == .string || bound.type == .dynamic {
                source = convert(bound, to: .string)
            } else {
                error(
                    .notText, "`\(op.keyword.text)` needs a string, not a \(bound.type.rawValue)", e.range,
                    mend: "convert it with tostring()")
            }
        }
        var x = Expansion(columns: input.columns, outputs: input.columns.indices.map { .input($0) })
        var parts: [BoundParse.Segment] = []
        var number = 0
        var names: Set<String> = []
        for s in segments {
            switch s {
            case .text(let t, _): parts.append(.text(t))
            case .star: parts.append(.star)
            case .column(let c):
                let type = c.type ?? .string
                if !names.insert(c.name.text).inserted {
                    error(.duplicateColumn, "column `\(c.name.text)` is given twice", c.name.range)
                }
                parts.append(.column(number, type))
                place(source == nil ? poison(c.name.text) : column(c.name.text, type), .item(number), in: &x)
                number += 1
            }
        }
        let parse = BoundParse(source: source ?? constant(.string(""), e.range), mode: mode, segments: parts, filters: filters)
        return input.with(Plan(.parse(input.plan, parse, outputs: x.outputs), columns: x.columns, range: op.range))
    }

    func bindParseKv(_ e: Expr, _ declared: [TypedName], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        guard let bound = bind(e, scope) else { return unknownRelation(op.range) }
        guard bound.type == .string || bound.type == .dynamic else {
            error(.notText, "`parse-kv` needs a string, not a \(bound.type.rawValue)", e.range, mend: "convert it with tostring()")
            return unknownRelation(op.range)
        }
        var options: [String: Value] = [:]
        for p in op.parameters {
            guard let v = bind(p.value, Scope(scope.env)).flatMap(constantValue) else { continue }
            // `quote` and `escape` may be given several times.
            guard case .string(let more) = v, let known = options[p.name.text] else {
                options[p.name.text] = v
                continue
            }
            switch known {
            case .string(let first): options[p.name.text] = .dynamic(.array([.string(first), .string(more)]))
            case .dynamic(.array(let several)): options[p.name.text] = .dynamic(.array(several + [.string(more)]))
            default: break
            }
        }
        if options["regex"] == nil, (options["pair_delimiter"] == nil) != (options["kv_delimiter"] == nil) {
            error(
                .badParameter, "`parse-kv` takes `pair_delimiter` and `kv_delimiter` together, or neither", op.keyword.range,
                mend: "give the other one as well")
        }
        var p = Projection()
        let none = constant(.null(.dynamic), op.range)
        for c in input.columns { p.add(c, none) }
        for c in declared { p.add(column(c.name.text, c.type ?? .string), none) }
        // Options name the keys in order; the new columns are the last ones.
        options["keys"] = .dynamic(.array(declared.map { .string($0.name.text) }))
        return input.with(
            Plan(
                .custom(name: "parse-kv", inputs: [input.plan], arguments: [convert(bound, to: .string)], options: options),
                columns: p.columns, range: op.range))
    }
}
