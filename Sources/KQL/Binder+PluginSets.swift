import Columnar

// `dcount_intersect` and `schema_merge`, written out as other KQL (`Binder+Templates.swift`).

extension BindingSession {
    /// Sketches that `dcount_intersect` takes: it counts the unions of all their combinations.
    private static let mostSketches = 8

    /// `dcount_intersect(hll, hll, ...)`: columns `s0`, `s1` ...: the distinct values of the first sketch, of the first two together, and so
    /// on, by inclusion and exclusion over the sizes of unions, and no other columns. Exact as long as the sketches are.
    func bindDistinctIntersection(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        guard (2...BindingSession.mostSketches).contains(args.count) else {
            error(
                .argumentCount, "`\(name.text)` takes 2 to \(BindingSession.mostSketches) sketches of hll here, not \(args.count)", op.range
            )
            return unknownRelation(op.range)
        }
        for a in args {
            guard let sketch = bind(a, scope) else { return unknownRelation(op.range) }
            guard sketch.type == .dynamic else {
                error(.argumentType, "`\(name.text)` takes sketches of hll, not a \(sketch.type.rawValue)", a.range)
                return unknownRelation(op.range)
            }
        }
        let sketches = args.enumerated().map { "_x_h\($0) = \(words($1))" }
        var unions: [String] = []
        var sizes = args.indices.map { _ in [String]() }
        for mask in 1..<(1 << args.count) {
            let members = args.indices.filter { mask & (1 << $0) != 0 }
            let union = members.map { "_x_h\($0)" }.joined(separator: ", ")
            unions.append("_x_u\(mask) = dcount_hll(" + (members.count == 1 ? union : "hll_merge(\(union))") + ")")
            for i in (members.last ?? 0)..<args.count { sizes[i].append((members.count % 2 == 1 ? "+" : "-") + " _x_u\(mask)") }
        }
        let results = sizes.enumerated().map { i, terms in
            "s\(i) = max_of(0, 0 " + terms.joined(separator: " ") + ")"
        }
        return expand(
            """
            _x_T | extend \(sketches.joined(separator: ", ")) | extend \(unions.joined(separator: ", "))
            | project \(results.joined(separator: ", "))
            """, [("_x_T", input)], scope.env, op)
    }

    /// `schema_merge([PreserveOrder])` over rows of `getschema`: each column once, in the order of its greatest place. With `PreserveOrder`
    /// (the default) a column that has several places is an error in its row. What Kusto makes of several types is not published: an error.
    func bindSchemaMerge(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        var keepsOrder = true
        if let first = args.first {
            var value = first
            if case .named(let names, let v) = first.kind {
                guard names.first?.text == "PreserveOrder" else {
                    unknown(.badParameter, "setting", names.first?.text ?? "", first.range, among: ["PreserveOrder"])
                    return unknownRelation(op.range)
                }
                value = v
            }
            guard args.count == 1, case .bool(let b)? = bind(value, Scope(scope.env)).flatMap(constantValue) else {
                error(.notConstant, "`\(name.text)` takes true or false", first.range)
                return unknownRelation(op.range)
            }
            keepsOrder = b
        }
        for (column, type) in [("ColumnName", ScalarType.string), ("ColumnOrdinal", .int), ("DataType", .string), ("ColumnType", .string)] {
            guard input.columns.first(where: { $0.name == column })?.type == type else {
                error(
                    .argumentType, "`\(name.text)` takes rows of `getschema`; there is no column `\(column)` of type \(type.rawValue)",
                    op.range)
                return unknownRelation(op.range)
            }
        }
        return expand(
            """
            let _x_S = materialize(_x_T | summarize _x_l = min(ColumnOrdinal), _x_h = max(ColumnOrdinal), _x_t = min(ColumnType),
                _x_n = dcount(ColumnType), _x_d = take_any(DataType) by ColumnName);
            let _x_A = assert(toscalar(_x_S | summarize countif(_x_n > 1)) == 0, 'schema_merge: a column has several types');
            _x_S | where _x_A | sort by _x_h asc, _x_l asc, ColumnName asc | extend _x_i = row_number(0), _x_e = \(keepsOrder) and _x_l != _x_h
            | project ColumnName, ColumnOrdinal = iff(_x_e, int(-1), toint(_x_i)),
                DataType = iff(_x_e, 'ERROR(unknown CSL type:ERROR(columns are out of order))', _x_d),
                ColumnType = iff(_x_e, 'ERROR(columns are out of order)', _x_t)
            """, [("_x_T", input)], scope.env, op)
    }
}
