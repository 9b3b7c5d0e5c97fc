import Columnar

// Plugins that are other KQL, written out over their arguments (`Binder+Templates.swift`).

extension BindingSession {
    /// The columns that arguments name; nil after reporting.
    func columnArguments(_ args: ArraySlice<Expr>, _ plugin: Name, _ scope: Scope) -> [BoundColumn]? {
        var out: [BoundColumn] = []
        for a in args {
            guard let c = referencedColumn(a, scope) else {
                if bind(a, scope) != nil { error(.notColumn, "`\(plugin.text)` takes a column here", a.range) }
                return nil
            }
            out.append(c)
        }
        return out
    }

    /// `rolling_percentile(value, percentile, index, bin, bins [, dimension, ...])`: the percentile over each bin and those before it.
    func bindRollingPercentile(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        guard args.count >= 5 else {
            error(
                .argumentCount, "`rolling_percentile` takes a value, a percentile, an index, a bin size and a number of bins", op.range)
            return unknownRelation(op.range)
        }
        guard let value = columnArguments(args[0...0], name, scope)?.first, let index = columnArguments(args[2...2], name, scope)?.first,
            let dimensions = columnArguments(args.dropFirst(5), name, scope)
        else { return unknownRelation(op.range) }
        var numbers: [Int: Value] = [:]
        for i in [1, 4] {
            guard let v = bind(args[i], Scope(scope.env)).flatMap(constantValue), v.double ?? v.integer.map(Double.init) != nil else {
                error(.notConstant, "a constant number is needed here", args[i].range)
                return unknownRelation(op.range)
            }
            numbers[i] = v
        }
        let bins = numbers[4]?.integer ?? 0
        guard (1...10_000).contains(bins) else {
            error(.badParameter, "the number of bins lies between 1 and 10,000", args[4].range)
            return unknownRelation(op.range)
        }
        let q = BindingSession.quoted
        let by = dimensions.map { q($0.name) }
        let keys = (by + ["_x_w"]).joined(separator: ", ")
        let size = words(args[3])
        let percentile = words(args[1]).filter { !$0.isWhitespace }
        let result = "rolling_\(bins)_percentile_\(value.name)_\(percentile)"
        let query = """
            let _x_B = _x_T | extend _x_w = bin(\(q(index.name)), \(size));
            _x_B | project \((by + ["_x_v = \(q(value.name))", "_x_w"]).joined(separator: ", ")), _x_k = range(0, \(bins - 1), 1)
            | mv-expand _x_k to typeof(long)
            | extend _x_w = _x_w + _x_k * \(size)
            | join kind=leftsemi (_x_B | distinct \(keys)) on \(keys)
            | summarize \(q(result)) = percentile(_x_v, \(words(args[1]))) by \(keys)
            | project \((by + ["\(q(index.name)) = _x_w", q(result)]).joined(separator: ", "))
            | sort by \((by + [q(index.name)]).map { $0 + " asc" }.joined(separator: ", "))
            """
        return expand(query, [("_x_T", input)], scope.env, op)
    }

    /// `geo_line_lookup(table, line, longitude, latitude, radius [, return_unmatched] [, lookup_area_radius] [, return_lookup_key])` and
    /// `geo_polygon_lookup`, which has no radius. The key may also stand behind the places, as in the plugins' first version; then it is
    /// returned.
    func bindGeoLookup(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        let isLine = name.text == "geo_line_lookup"
        var positional: [Expr] = []
        var switches: [String: Bool] = [:]
        for a in args {
            guard case .named(let n, let v) = a.kind, let given = n.first?.text else {
                positional.append(a)
                continue
            }
            switch given {
            case "return_unmatched", "return_lookup_key":
                guard case .bool(let b)? = bind(v, Scope(scope.env)).flatMap(constantValue) else {
                    error(.notConstant, "`\(given)` is true or false", v.range)
                    return unknownRelation(op.range)
                }
                switches[given] = b
            // They say how to search, not what is found.
            case "lookup_area_radius", "join_hint": break
            case "radius": positional.append(v)
            default:
                unknown(.badParameter, "setting", given, a.range, among: ["lookup_area_radius", "return_lookup_key", "return_unmatched"])
                return unknownRelation(op.range)
            }
        }
        let needed = isLine ? 5 : 4
        guard positional.count >= needed, let table = bindTabular(positional[0], scope.env) else {
            error(
                .argumentCount,
                "`\(name.text)` takes a table, its column of \(isLine ? "lines" : "polygons"), a longitude, a latitude\(isLine ? " and a radius" : "")",
                op.range)
            return unknownRelation(op.range)
        }
        if table.isUnknown || input.isUnknown { return unknownRelation(op.range) }
        let flags = positional.dropFirst(needed)
        for (flag, a) in zip(["return_unmatched", "lookup_area_radius", "return_lookup_key"], flags) {
            if case .literal(.bool(let b)) = a.kind { switches[flag] = b }
        }
        let lookupScope = Scope(scope.env, row: row(table))
        var keyAt = 1
        if referencedColumn(positional[1], lookupScope)?.type != .dynamic, referencedColumn(positional[3], lookupScope)?.type == .dynamic {
            keyAt = 3
        }
        let places = keyAt == 1 ? positional[2...3] : positional[1...2]
        guard let ends = columnArguments(places, name, scope),
            let key = columnArguments(positional[keyAt...keyAt], name, lookupScope)?.first
        else { return unknownRelation(op.range) }
        let q = BindingSession.quoted
        let place = ends.map { "todouble(\(q($0.name)))" }.joined(separator: ", ")
        let test =
            isLine
            ? "geo_distance_point_to_line(\(place), _x_g) <= \(words(positional[4]))" : "geo_point_in_polygon(\(place), _x_g)"
        // As `lookup` gives them: the table's columns that the input has not.
        let returnsKey = switches["return_lookup_key"] ?? (keyAt == 3)
        let taken = table.columns.filter { c in
            !input.columns.contains { $0.name == c.name } && (returnsKey || c.id != key.id)
        }
        let columns = (input.columns + taken).map { q($0.name) }.joined(separator: ", ")
        let other = (taken.map { q($0.name) } + ["_x_g = \(q(key.name))", "_x_k = 1"]).joined(separator: ", ")
        let matched = "_x_M | project \(columns)"
        let query = """
            let _x_A = _x_T | serialize _x_r = row_number() | extend _x_k = 1;
            let _x_M = _x_A | join kind=inner (_x_L | project \(other)) on _x_k | where \(test);
            \(switches["return_unmatched"] == true
                ? "union kind=outer (\(matched)), (_x_A | join kind=leftanti _x_M on _x_r | project \(input.columns.map { q($0.name) }.joined(separator: ", ")))"
                : matched)
            """
        return expand(query, [("_x_T", input), ("_x_L", table)], scope.env, op)
    }
}
