import Columnar

// Operators and plugins that are other KQL: their text is bound over the rows at hand.

extension BindingSession {
    /// A column's name as KQL text.
    static func quoted(_ name: String) -> String { "['" + escaped(name) + "']" }
    /// A text literal.
    static func literal(_ text: String) -> String { "'" + escaped(text) + "'" }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for c in text.unicodeScalars {
            switch c {
            case "\\", "'": out += "\\" + String(c)
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default: out.unicodeScalars.append(c)
            }
        }
        return out
    }

    /// The query's own text of an expression.
    func words(_ e: Expr) -> String {
        let low = max(0, min(e.range.lower, text.count))
        return String(decoding: text[low..<max(low, min(e.range.upper, text.count))], as: UTF8.self)
    }

    /// Binds KQL text in which the given names are rows; other names are those of `env`.
    func expand(_ query: String, _ rows: [(name: String, relation: Relation)], _ env: Environment?, _ op: Operator) -> Relation {
        var inner = env
        for r in rows {
            if r.relation.isUnknown { return unknownRelation(op.range) }
            inner = Environment(r.name, .shared(share(r.relation.plan), r.relation), parent: inner)
        }
        let tree = SyntaxTree.parse(query)
        guard !tree.diagnostics.contains(where: { $0.severity == .error }) else {
            error(.unsupportedOption, "`\(op.keyword.text)` cannot be written out over these arguments", op.range)
            return unknownRelation(op.range)
        }
        let outer = text
        let before = diagnostics.count
        text = Array(query.utf8)
        defer { text = outer }
        var result: Relation?
        for s in tree.statements {
            if case .expression(let e) = s.kind { result = bindTabular(e, inner) } else { inner = declare(s, inner) }
        }
        // What is said of the text is said of the operator.
        for i in diagnostics.indices.dropFirst(before) {
            let d = diagnostics[i]
            diagnostics[i] = Diagnostic(d.severity, d.code, d.message, at: op.range, mend: d.mend)
        }
        return result ?? unknownRelation(op.range)
    }

    // MARK: top-nested, top-hitters

    /// Each level keeps the values with the greatest aggregate within each combination of the levels above; `others` adds one value for
    /// the rest.
    func bindTopNested(_ levels: [TopNestedLevel], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        struct Level {
            var name: String
            let value: String
            let aggregate: String
            var aggregateName: String
            let count: String?
            let others: String?
            let ascending: Bool
        }
        var made: [Level] = []
        for l in levels {
            var value = l.of
            var name = resultName(l.of, scope)
            if case .named(let names, let e) = l.of.kind { (name, value) = (names.first?.text, e) }
            guard let bound = bind(value, scope) else { return unknownRelation(op.range) }
            if bound.type == .dynamic {
                error(.dynamicKey, "a level of `top-nested` must not be dynamic", l.of.range, mend: "convert it first with tostring()")
                return unknownRelation(op.range)
            }
            var by = l.by
            var ascending = false
            if case .ordered(let e, let descending, _) = by.kind { (by, ascending) = (e, !descending) }
            let level = name.flatMap { $0.isEmpty ? nil : $0 } ?? "Column\(made.count + 1)"
            var aggregateName = "aggregated_\(level)"
            if case .named(let names, let e) = by.kind, let given = names.first { (aggregateName, by) = (given.text, e) }
            made.append(
                Level(
                    name: level, value: words(value), aggregate: words(by), aggregateName: aggregateName, count: l.count.map(words),
                    others: l.others.map(words), ascending: ascending))
        }
        // Equal names are numbered, in the order of the columns, as Kusto's own parser does it.
        var taken: Set<String> = []
        func unique(_ name: String) -> String {
            var n = 0
            while !taken.insert(n == 0 ? name : "\(name)\(n)").inserted { n += 1 }
            return n == 0 ? name : "\(name)\(n)"
        }
        for i in made.indices {
            made[i].name = unique(made[i].name)
            made[i].aggregateName = unique(made[i].aggregateName)
        }
        let q = BindingSession.quoted
        var query = "let _x_T0 = _x_T | extend " + made.enumerated().map { i, l in "_x_v\(i) = \(l.value)" }.joined(separator: ", ") + ";\n"
        var columns: [String] = []
        for (i, l) in made.enumerated() {
            let keys = (0...i).map { "_x_v\($0)" }
            let above = Array(keys.dropLast())
            // The rows under the values kept above.
            let rows = i == 0 ? "_x_T0" : "_x_T\(i)"
            query += "let _x_A\(i) = \(rows) | summarize _x_a\(i) = \(l.aggregate) by \(keys.joined(separator: ", "));\n"
            if let count = l.count {
                let order = (above.map { "\($0) asc" } + ["_x_a\(i) \(l.ascending ? "asc" : "desc")", "_x_v\(i) asc"]).joined(
                    separator: ", ")
                let differs = above.map { "not(coalesce(tostring(prev(\($0))), '') == coalesce(tostring(\($0)), ''))" }
                let restart = above.isEmpty ? "false" : differs.joined(separator: " or ")
                query += "let _x_R\(i) = _x_A\(i) | sort by \(order) | extend _x_n = row_number(1, \(restart));\n"
                query += "let _x_K\(i) = _x_R\(i) | where _x_n <= \(count) | project-away _x_n;\n"
            } else {
                query += "let _x_K\(i) = _x_A\(i);\n"
            }
            let on = keys.joined(separator: ", ")
            var next = "\(rows) | join kind=leftsemi _x_K\(i) on \(on)"
            if let others = l.others {
                let rest = "\(rows) | join kind=leftanti _x_K\(i) on \(on) | extend _x_v\(i) = \(others)"
                next = "union (\(next)), (\(rest))"
                let restOf = "\(rest) | summarize _x_a\(i) = \(l.aggregate) by \(on)"
                query += "let _x_L\(i) = union _x_K\(i), (\(restOf));\n"
            } else {
                query += "let _x_L\(i) = _x_K\(i);\n"
            }
            query += "let _x_T\(i + 1) = \(next);\n"
            columns += ["\(q(l.name)) = _x_v\(i)", "\(q(l.aggregateName)) = _x_a\(i)"]
        }
        let last = made.count - 1
        query += "_x_L\(last)"
        for i in (0..<last).reversed() {
            let on = (0...i).map { "_x_v\($0)" }.joined(separator: ", ")
            query += " | lookup kind=inner _x_L\(i) on \(on)"
        }
        query += " | project " + columns.joined(separator: ", ")
        return expand(query, [("_x_T", input)], scope.env, op)
    }

    /// The values that occur most often, or with the greatest sum; exact, where Kusto estimates.
    func bindTopHitters(_ n: Expr, _ of: Expr, _ by: Expr?, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        let name = resultName(of, scope).flatMap { $0.isEmpty ? nil : $0 } ?? "Column1"
        var value = of
        if case .named(_, let e) = of.kind { value = e }
        let q = BindingSession.quoted
        var aggregate = "count()"
        var aggregateName = "approximate_count_\(name)"
        if let by {
            var summed = by
            if case .named(let names, let e) = by.kind {
                summed = e
                aggregateName = names.first?.text ?? aggregateName
            } else {
                aggregateName = "approximate_sum_\(resultName(by, scope) ?? "")"
            }
            aggregate = "sum(\(words(summed)))"
        }
        return expand(
            "_x_T | summarize \(q(aggregateName)) = \(aggregate) by \(q(name)) = \(words(value)) | top \(words(n)) by \(q(aggregateName)) desc, "
                + "\(q(name)) asc", [("_x_T", input)], scope.env, op)
    }

    // MARK: reduce

    /// `custom("reduce")`: the texts; options `threshold` and `characters`. Columns: those of the input and `Pattern` with `kind=source`,
    /// which is the option `source`; else `Pattern`, `Count`, `Representative`.
    func bindReduce(_ e: Expr, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        var value = e
        if case .named(_, let inner) = e.kind { value = inner }
        guard let bound = bind(value, scope) else { return unknownRelation(op.range) }
        guard bound.type == .string else {
            error(.argumentType, "`reduce` is by text, not by a \(bound.type.rawValue)", value.range, mend: "convert it with tostring()")
            return unknownRelation(op.range)
        }
        var options: [String: Value] = [:]
        if let kind = op.parameter("kind") {
            let text = parameterText(kind)
            if text != "source" { unknown(.badParameter, "kind", text, kind.range, among: ["source"]) }
            options["source"] = .bool(true)
        }
        for p in op.parameters where ["threshold", "characters"].contains(p.name.text) {
            guard let v = bind(p.value, Scope(scope.env)).flatMap(constantValue) else {
                error(.notConstant, "`\(p.name.text)` must be a constant", p.value.range)
                return unknownRelation(op.range)
            }
            options[p.name.text] = v
        }
        if let t = options["threshold"] {
            guard let d = t.double ?? t.integer.map(Double.init), d > 0, d < 1 else {
                error(.badParameter, "`threshold` lies between 0 and 1", op.parameter("threshold")?.range ?? op.range)
                return unknownRelation(op.range)
            }
        }
        if input.isUnknown { return input }
        let pattern = column("Pattern", .string)
        if options["source"] != nil, input.columns.contains(where: { $0.name == pattern.name }) {
            error(.duplicateColumn, "there is a column `Pattern` already", op.range, mend: "rename it before")
            return unknownRelation(op.range)
        }
        let columns =
            options["source"] != nil ? input.columns + [pattern] : [pattern, column("Count", .long), column("Representative", .string)]
        return Relation(
            plan: Plan(
                .custom(name: "reduce", inputs: [input.plan], arguments: [bound], options: options), columns: columns, range: op.range))
    }
}
