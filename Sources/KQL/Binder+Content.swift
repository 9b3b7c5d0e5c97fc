import Columnar

// Saved functions, watchlists and external data: what a workspace holds besides its tables.

extension BindingSession {
    /// What a name stands for: what the query declared, then a saved function. The language's own functions and tables are not hidden by
    /// saved ones.
    func lookup(_ name: String, _ env: Environment?) -> Environment.Entry? {
        if let entry = env?.lookup(name) { return entry }
        guard let content = schemas.content else { return nil }
        if let known = savedEntries[name] { return known }
        guard !BindingSession.builtinScalars.contains(name), !BindingSession.tabularFunctions.contains(name), schemas.table(name) == nil,
            scalarSignature(name) == nil, functions.aggregate(name) == nil, let saved = content.savedFunction(name)
        else { return nil }
        let entry = Environment.Entry.function(saved.parameters, saved.body, Environment.root)
        savedEntries[name] = entry
        savedBodies[ObjectIdentifier(saved.body)] = saved
        return entry
    }

    /// Notes that a function's body is being bound; false, after reporting, if it is a saved function that is being bound already.
    func expand(_ name: Name, _ body: FunctionBody) -> Bool {
        if let saved = savedBodies[ObjectIdentifier(body)] {
            if let first = savedStack.firstIndex(of: saved.name) {
                let cycle = (savedStack[first...] + [saved.name]).joined(separator: " → ")
                error(
                    .recursion, "saved function `\(saved.name)` calls itself: \(cycle)", name.range,
                    mend: "KQL has no recursion; let one of them read its tables itself")
                return false
            }
            savedStack.append(saved.name)
            sources.insert(saved.name + "\n" + saved.source.text)
        }
        expanding.append(name.text)
        return true
    }

    func leave(_ body: FunctionBody) {
        if savedBodies[ObjectIdentifier(body)] != nil { savedStack.removeLast() }
        expanding.removeLast()
    }

    /// `and`, `or`. In saved functions constant sides fall away: parameters that stand at their defaults (`eventresult == '*' or ...`) then
    /// cost nothing, and leave nothing that would hide the rest of a condition.
    func logical(_ op: BinaryOperator, _ a: BoundExpr, _ b: BoundExpr, _ range: SourceRange) -> BoundExpr {
        if !savedStack.isEmpty {
            let absorbing = op == .or
            for (side, other) in [(a, b), (b, a)] {
                guard let known = truth(side) else { continue }
                return known == absorbing ? constant(.bool(known), range) : other
            }
        }
        return BoundExpr(.call(op.rawValue, [a, b]), .bool, range)
    }

    /// The value of a condition that is the same for every row; nil if it is not, or not known.
    func truth(_ e: BoundExpr) -> Bool? {
        switch e.kind {
        case .constant(.bool(let b)): return b
        case .call(let name, let arguments):
            guard let values = constants(arguments), case .bool(let b)? = options.fold?(name, values) else { return nil }
            return b
        default: return nil
        }
    }

    /// Arguments that must be texts which are known here; nil after reporting the first that is none.
    func constantTexts(_ args: [Expr], _ env: Environment?, else message: String) -> [String]? {
        var texts: [String] = []
        for a in args {
            guard let v = bind(a, Scope(env)) else { return nil }
            guard case .string(let s)? = constantValue(v) else {
                error(.notConstant, message, a.range)
                return nil
            }
            texts.append(s)
        }
        return texts
    }

    // MARK: Watchlists

    /// `_GetWatchlist('alias')`, `_GetWatchlist('alias', dynamic(['key', ...]))`: the items, with their columns as strings.
    func bindWatchlist(_ name: Name, _ args: [Expr], _ range: SourceRange, _ env: Environment?) -> Relation? {
        guard let first = args.first, args.count <= 2 else {
            error(.argumentCount, "`_GetWatchlist` takes an alias and, if wanted, the search keys", range)
            return nil
        }
        var values: [BoundExpr] = []
        for a in args {
            var value = a
            if case .named(_, let inner) = a.kind { value = inner }
            guard let v = bind(value, Scope(env)) else { return nil }
            values.append(v)
        }
        guard case .string(let alias)? = constantValue(values[0]) else {
            error(.notConstant, "the alias of a watchlist must be a constant text", first.range)
            return nil
        }
        guard let content = schemas.content, let outcome = content.watchlist(alias) else {
            let known = schemas.content?.watchlistAliases ?? []
            let near = Suggestion.nearest(alias, in: known)
            error(
                .unknownWatchlist, "there is no watchlist `\(alias)`", first.range,
                mend: near.map { "did you mean `\($0)`?" }
                    ?? (known.isEmpty
                        ? "put \(alias).csv into a folder and name it with --watchlists or `watchlists:`"
                        : "known watchlists are \(known.prefix(20).map { "`\($0)`" }.joined(separator: ", "))"),
                fixIts: near.map { [Diagnostic.FixIt(range: first.range, replacement: "'\($0)'")] } ?? [])
            return nil
        }
        let table: ReferenceTable
        switch outcome {
        case .success(let t): table = t
        case .failure(let refusal):
            error(.badWatchlist, "watchlist `\(alias)` cannot be read: \(refusal.message)", first.range, mend: refusal.mend)
            return nil
        }
        sources.insert("watchlist \(table.name) " + table.columns.map { "\($0.name):\($0.type.rawValue)" }.joined(separator: ","))
        versions.insert("watchlist \(table.name) \(table.version)")
        var rows = table.rows
        if values.count == 2 {
            guard case .dynamic(.array(let items))? = constantValue(values[1]) else {
                error(.notConstant, "the search keys must be a constant array, for example dynamic(['a', 'b'])", args[1].range)
                return nil
            }
            let keys = Set(items.map { item in if case .string(let s) = item { s } else { JSONText.compact(item) } })
            if !keys.isEmpty, let at = table.columns.firstIndex(where: { $0.name == "SearchKey" }) {
                rows = rows.filter { row in if case .string(let s) = row[at] { keys.contains(s) } else { false } }
            }
        }
        let columns = table.columns.map { column($0.name, $0.type) }
        return Relation(plan: Plan(.rows(rows), columns: columns, range: range))
    }

    /// `_GetWatchlistAlias`: one row a watchlist.
    func watchlistAliases(_ range: SourceRange) -> Relation {
        let names = schemas.content?.watchlistAliases ?? []
        versions.insert("aliases " + names.joined(separator: ","))
        return Relation(
            plan: Plan(.rows(names.map { [.string($0)] }), columns: [column("WatchlistAlias", .string)], range: range))
    }

    // MARK: External data

    func bindExternalData(_ declared: [TypedName], _ addresses: [Expr], _ op: Operator, _ env: Environment?) -> Relation? {
        var columns: [BoundColumn] = []
        for d in declared {
            guard let type = d.type else { return nil }
            if columns.contains(where: { $0.name == d.name.text }) {
                error(.duplicateColumn, "column `\(d.name.text)` is declared twice", d.name.range)
                return nil
            }
            columns.append(column(d.name.text, type))
        }
        guard !columns.isEmpty else {
            error(.datatableCells, "externaldata needs at least one column", op.range)
            return nil
        }
        guard let texts = constantTexts(addresses, env, else: "an address of externaldata must be a constant text") else { return nil }
        guard !texts.isEmpty else {
            error(.externalData, "externaldata needs an address", op.range)
            return nil
        }
        var format: ExternalRequest.Format?
        var ignoresFirst = false
        for p in op.parameters {
            let text = parameterText(p.value)
            switch p.name.text.lowercased() {
            case "format":
                guard let f = ExternalRequest.Format(rawValue: text.lowercased()) else {
                    error(
                        .unsupportedOption, "externaldata cannot read format `\(text)`", p.value.range,
                        mend: "it reads \(ExternalRequest.Format.allCases.map(\.rawValue).joined(separator: ", "))")
                    return nil
                }
                format = f
            case "ignorefirstrecord": ignoresFirst = text.lowercased() == "true"
            default:
                error(
                    .unsupportedOption, "externaldata has no option `\(p.name.text)` here", p.name.range,
                    mend: "it takes format and ignoreFirstRecord")
                return nil
            }
        }
        guard let content = schemas.content else {
            error(.externalData, "external data is not available here", op.keyword.range, mend: "inline the data with `datatable`")
            return nil
        }
        let request = ExternalRequest(
            columns: columns.map { SchemaColumn($0.name, $0.type) }, addresses: texts, format: format, ignoresFirstRecord: ignoresFirst)
        switch content.externalData(request) {
        case .success(let rows):
            versions.insert("external \(texts.joined(separator: " ")) \(ReferenceVersion.of(rows))")
            return Relation(plan: Plan(.rows(rows), columns: columns, range: op.range))
        case .failure(let refusal):
            error(.externalData, refusal.message, addresses.first?.range ?? op.range, mend: refusal.mend)
            return nil
        }
    }
}

/// A short text that is equal for equal rows.
public enum ReferenceVersion {
    public static func of(_ rows: [[Value]]) -> String {
        // FNV-1a over the printed cells: it tells versions apart, nobody attacks it.
        var h: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ b: UInt8) { h = (h ^ UInt64(b)) &* 0x100_0000_01b3 }
        for row in rows {
            for v in row {
                for b in "\(v)".utf8 { add(b) }
                add(0)
            }
            add(1)
        }
        return String(h, radix: 16)
    }
}
