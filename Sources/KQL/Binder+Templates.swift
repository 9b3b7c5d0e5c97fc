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

    /// The text of an expression, as its author wrote it.
    func words(_ e: Expr) -> String { String(decoding: written(e.range), as: UTF8.self) }

    /// What stands at a range: of the query, of the text that an operator is written out to, or of a saved function's body.
    func written(_ range: SourceRange) -> [UInt8] {
        var (bytes, base) = (text, 0)
        if range.lower >= LibrarySource.firstBase {
            let places = savedBodies.values.lazy.map(\.source)
            guard let source = places.first(where: { ($0.base..<($0.base + LibrarySource.span)).contains(range.lower) }) else { return [] }
            (bytes, base) = (Array(source.text.utf8), source.base)
        }
        let low = max(0, min(range.lower - base, bytes.count))
        return Array(bytes[low..<max(low, min(range.upper - base, bytes.count))])
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
        var made: [NestedLevel] = []
        for l in levels {
            var value = l.of
            var name = resultName(l.of, scope)
            if case .named(let names, let e) = l.of.kind { (name, value) = (names.first?.text, e) }
            guard let bound = bind(value, scope) else { return unknownRelation(op.range) }
            if bound.type == .dynamic {
                error(.dynamicKey, "a level of `top-nested` must not be dynamic", l.of.range, mend: "convert it first with tostring()")
                return unknownRelation(op.range)
            }
            if let others = l.others {
                guard let other = bind(others, Scope(scope.env)), assign(other, to: bound.type) != nil else {
                    return unknownRelation(op.range)
                }
            }
            var by = l.by
            var ascending = false
            if case .ordered(let e, let descending, _) = by.kind { (by, ascending) = (e, !descending) }
            let level = name.flatMap { $0.isEmpty ? nil : $0 } ?? "Column\(made.count + 1)"
            var aggregateName = "aggregated_\(level)"
            if case .named(let names, let e) = by.kind, let given = names.first { (aggregateName, by) = (given.text, e) }
            made.append(
                NestedLevel(
                    name: level, value: words(value), type: bound.type, aggregate: words(by), aggregateName: aggregateName,
                    count: l.count.map(words), others: l.others.map(words), ascending: ascending))
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
        return expand(nestedQuery(made), [("_x_T", input)], scope.env, op)
    }

    /// One level of `top-nested`, its parts as KQL text.
    private struct NestedLevel {
        var name: String
        let value: String
        let type: ScalarType
        let aggregate: String
        var aggregateName: String
        let count: String?
        let others: String?
        let ascending: Bool
    }

    /// `top-nested` written out. `_x_v` are the values of the levels, `_x_a` the aggregates, `_x_f` whether a row is one of the others from
    /// that level on: there its value is that of `with others`, or null at a level without. Rows that no level's others take are left out.
    private func nestedQuery(_ levels: [NestedLevel]) -> String {
        let hasOthers = levels.contains { $0.others != nil }
        func keys(_ i: Int) -> String {
            ((0...i).map { "_x_v\($0)" } + (hasOthers ? (0...i).map { "_x_f\($0)" } : [])).joined(separator: ", ")
        }
        var query = "let _x_T0 = _x_T | extend " + levels.enumerated().map { "_x_v\($0) = \($1.value)" }.joined(separator: ", ") + ";\n"
        for (i, l) in levels.enumerated() {
            let values = (0...i).map { "_x_v\($0)" }
            let active = hasOthers && i > 0 ? "_x_T\(i) | where not(_x_f\(i - 1))" : "_x_T\(i)"
            let unmarked = hasOthers ? " | extend " + (0...i).map { "_x_f\($0) = false" }.joined(separator: ", ") : ""
            query += "let _x_A\(i) = \(active) | summarize _x_a\(i) = \(l.aggregate) by \(values.joined(separator: ", "));\n"
            query += "let _x_K\(i) = materialize(_x_A\(i)\(first(l, i))\(unmarked));\n"
            let on = values.joined(separator: ", ")
            let mark = hasOthers ? " | extend _x_f\(i) = false" : ""
            var next = ["(\(active) | join kind=leftsemi _x_K\(i) on \(on)\(mark))"]
            let value =
                l.others.map { "\(BindingSession.conversion(l.type))(\($0))" } ?? (l.type == .string ? "''" : "\(l.type.rawValue)(null)")
            let asOther = " | extend _x_v\(i) = \(value), _x_f\(i) = true"
            if levels[i...].contains(where: { $0.others != nil }) {
                next.append("(\(active) | join kind=leftanti _x_K\(i) on \(on)\(asOther))")
            }
            if hasOthers, i > 0 { next.append("(_x_T\(i) | where _x_f\(i - 1)\(asOther))") }
            query += "let _x_T\(i + 1) = materialize(union \(next.joined(separator: ", ")));\n"
            if next.count > 1 {
                let aggregate = l.others == nil ? "" : "_x_a\(i) = \(l.aggregate) "
                query += "let _x_L\(i) = union _x_K\(i), (_x_T\(i + 1) | where _x_f\(i) | summarize \(aggregate)by \(keys(i)));\n"
            } else {
                query += "let _x_L\(i) = _x_K\(i);\n"
            }
        }
        let last = levels.count - 1
        query += "_x_L\(last)"
        for i in (0..<last).reversed() { query += " | lookup kind=inner _x_L\(i) on \(keys(i))" }
        let q = BindingSession.quoted
        let columns = levels.enumerated().map { i, l in "\(q(l.name)) = _x_v\(i), \(q(l.aggregateName)) = _x_a\(i)" }
        return query + " | project " + columns.joined(separator: ", ")
    }

    /// The operators that keep the first values of a level within each combination of those above.
    private func first(_ l: NestedLevel, _ i: Int) -> String {
        guard let count = l.count else { return "" }
        let above = (0..<i).map { "_x_v\($0)" }
        let order = above.map { "\($0) asc" } + ["_x_a\(i) \(l.ascending ? "asc" : "desc")", "_x_v\(i) asc"]
        let differs = above.map { "not(coalesce(tostring(prev(\($0))), '') == coalesce(tostring(\($0)), ''))" }
        let restart = above.isEmpty ? "false" : differs.joined(separator: " or ")
        return
            " | sort by \(order.joined(separator: ", ")) | extend _x_n = row_number(1, \(restart)) | where _x_n <= \(count) | project-away _x_n"
    }

    /// The function that converts to a type.
    private static func conversion(_ type: ScalarType) -> String {
        switch type {
        case .real: "todouble"
        case .timespan: "totimespan"
        default: "to\(type.rawValue)"
        }
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
