import Columnar

// Plugins that look for patterns of values (autocluster, basket, diffpatterns) and for sequences in time.

extension BindingSession {
    /// A positional argument that may be left to its default with `~`.
    private func isDefault(_ e: Expr) -> Bool { if case .literal(.string("~")) = e.kind { true } else { false } }

    /// A constant number between two bounds; `fallback` for `~` and for what is not given. Nil after reporting.
    private func number(_ args: [Expr], _ i: Int, _ what: String, _ range: ClosedRange<Double>, _ fallback: Double) -> Double? {
        guard i < args.count, !isDefault(args[i]) else { return fallback }
        guard let bound = bind(args[i], Scope(nil)) else { return nil }
        guard let v = constantValue(bound), let d = v.double ?? v.integer.map(Double.init), range.contains(d) else {
            error(.badParameter, "\(what) is a number from \(range.lowerBound) to \(range.upperBound), or '~'", args[i].range)
            return nil
        }
        return d
    }

    /// A column given by itself or by its name in quotes; `.some(nil)` for `~` and for what is not given, nil after reporting.
    private func weightColumn(_ args: [Expr], _ i: Int, _ input: Relation, _ scope: Scope) -> BoundColumn?? {
        guard i < args.count, !isDefault(args[i]) else { return .some(nil) }
        var found = referencedColumn(args[i], scope)
        if found == nil, case .literal(.string(let name)) = args[i].kind { found = input.columns.first { $0.name == name } }
        guard let found else {
            if bind(args[i], scope) != nil { error(.notColumn, "the weight is a column, or '~'", args[i].range) }
            return nil
        }
        guard found.type.isNumeric else {
            error(.argumentType, "the weight is a number, not a \(found.type.rawValue)", args[i].range)
            return nil
        }
        return .some(found)
    }

    /// `custom("patterns")`. Arguments: the columns whose values make patterns; of `diffpatterns` before them the text that splits the rows;
    /// last the weight if option `weighted` is true. Options: `kind`, `threshold` (basket, diffpatterns), `dimensions`, `size` and `seeds`
    /// (autocluster), `a` and `b` (diffpatterns), and `wildcard.TYPE`.
    func bindPatterns(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        let unknown = unknownRelation(op.range)
        var settings: [String: Value] = ["kind": .string(name.text)]
        var at = 0
        var arguments: [BoundExpr] = []
        var left: Set<ColumnID> = []
        if name.text == "diffpatterns" {
            guard args.count >= 3 else {
                error(.argumentCount, "`diffpatterns` takes a column and two of its values", op.range)
                return unknown
            }
            guard let split = columnArguments(args[0...0], name, scope)?.first, let text = reference(split, args[0].range) else {
                return unknown
            }
            for (key, a) in zip(["a", "b"], args[1...2]) {
                guard let bound = bind(a, Scope(scope.env)) else { return unknown }
                guard constantValue(bound) != nil, case .string(let s)? = constantValue(convert(bound, to: .string)) else {
                    error(.notConstant, "a value of the column must be a constant", a.range)
                    return unknown
                }
                settings[key] = .string(s)
            }
            arguments.append(convert(text, to: .string))
            left.insert(split.id)
            at = 3
        }
        // The order of what follows: size and weight first, or weight first.
        let most = 100.0
        let weight: BoundColumn?
        switch name.text {
        case "autocluster":
            guard let size = number(args, at, "the weight of the size", 0...1, 0.5), let w = weightColumn(args, at + 1, input, scope),
                let seeds = number(args, at + 2, "the number of seeds", 1...1000, 25)
            else { return unknown }
            settings["size"] = .real(size)
            settings["seeds"] = .long(Int64(seeds))
            weight = w
        case "basket":
            guard let threshold = number(args, at, "the threshold", 0.015...1, 0.05), let w = weightColumn(args, at + 1, input, scope),
                let dimensions = number(args, at + 2, "the number of dimensions", 1...most, 5)
            else { return unknown }
            settings["threshold"] = .real(threshold)
            settings["dimensions"] = .long(Int64(dimensions))
            weight = w
        default:
            guard let w = weightColumn(args, at, input, scope), let threshold = number(args, at + 1, "the threshold", 0.015...1, 0.05),
                let dimensions = number(args, at + 2, "the number of dimensions", 1...most, most)
            else { return unknown }
            settings["threshold"] = .real(threshold)
            settings["dimensions"] = .long(Int64(dimensions))
            weight = w
        }
        for a in args.dropFirst(at + 3) where !isDefault(a) {
            guard let bound = bind(a, Scope(scope.env)) else { return unknown }
            guard let v = constantValue(bound) else {
                error(.notConstant, "a wildcard must be a constant", a.range)
                return unknown
            }
            settings["wildcard." + v.type.rawValue] = v
        }
        if let weight { left.insert(weight.id) }
        let dimensions = input.columns.filter { !left.contains($0.id) }
        guard !dimensions.isEmpty else {
            error(.badParameter, "there are no columns whose values could make patterns", op.range)
            return unknown
        }
        for c in dimensions + (weight.map { [$0] } ?? []) {
            guard let e = reference(c, op.range) else { return unknown }
            arguments.append(e)
        }
        settings["weighted"] = .bool(weight != nil)
        var columns = [column("SegmentId", .long)]
        if name.text == "diffpatterns" {
            columns += [
                column("CountA", .long), column("CountB", .long), column("PercentA", .real), column("PercentB", .real),
                column("PercentDiffAB", .real),
            ]
        } else {
            columns += [column("Count", .long), column("Percent", .real)]
        }
        columns += dimensions.map { column($0.name, $0.type) }
        return Relation(
            plan: Plan(
                .custom(name: "patterns", inputs: [input.plan], arguments: arguments, options: settings), columns: columns,
                range: op.range))
    }

    // MARK: sequence_detect

    /// `custom("sequence_detect")`. Arguments: the time, the steps' conditions, the dimensions. Options: `steps` (how many), and in ticks or
    /// numbers of the timeline `step` (from one step to the next) and `span` (from the first to the last).
    func bindSequence(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        let unknown = unknownRelation(op.range)
        guard args.count >= 4 else {
            error(.argumentCount, "`sequence_detect` takes a time, two windows, and conditions", op.range)
            return unknown
        }
        guard let time = timeline(name, args[0], scope) else { return unknown }
        var settings: [String: Value] = [:]
        for (key, a) in zip(["step", "span"], args[1...2]) {
            guard let n = windowArgument(a, time, scope) else { return unknown }
            settings[key] = .long(n)
        }
        var arguments: [BoundExpr] = []
        guard let t = reference(time, args[0].range) else { return unknown }
        arguments.append(t)
        var columns: [BoundColumn] = []
        var steps: [BoundColumn] = []
        var dimensions: [BoundExpr] = []
        for (i, a) in args.dropFirst(3).enumerated() {
            var value = a
            var given: String?
            if case .named(let names, let inner) = a.kind { (given, value) = (names.first?.text, inner) }
            guard let e = bind(value, scope) else { return unknown }
            let title = given ?? resultName(value, scope).flatMap { $0.isEmpty ? nil : $0 }
            // Conditions first; from the first value that is none on, dimensions.
            if e.type == .bool, dimensions.isEmpty {
                arguments.append(e)
                steps.append(column("\(title ?? "Column\(i + 1)")_\(time.name)", time.type))
            } else {
                dimensions.append(e)
                columns.append(column(title ?? "Column\(i + 1)", e.type))
            }
        }
        guard !steps.isEmpty else {
            error(.argumentType, "`sequence_detect` needs at least one condition", args[3].range)
            return unknown
        }
        guard steps.count <= 16 else {
            error(.argumentCount, "`sequence_detect` takes at most 16 conditions", op.range)
            return unknown
        }
        let all = columns + steps
        guard Set(all.map(\.name)).count == all.count else {
            error(.duplicateColumn, "two columns of the result have the same name", op.range, mend: "name the conditions")
            return unknown
        }
        settings["steps"] = .long(Int64(steps.count))
        let duration = column("Duration", time.type == .datetime ? .timespan : .long)
        return Relation(
            plan: Plan(
                .custom(name: "sequence_detect", inputs: [input.plan], arguments: arguments + dimensions, options: settings),
                columns: all + [duration], range: op.range))
    }

    /// The column of a timeline: a datetime or a whole number. Nil after reporting.
    func timeline(_ name: Name, _ e: Expr, _ scope: Scope) -> BoundColumn? {
        guard let time = columnArguments([e], name, scope)?.first else { return nil }
        guard time.type == .datetime || time.type.isInteger else {
            error(.argumentType, "the timeline of `\(name.text)` is a datetime or an integer, not a \(time.type.rawValue)", e.range)
            return nil
        }
        return time
    }

    /// A constant length on a timeline, in ticks or numbers; nil after reporting.
    func windowArgument(_ e: Expr, _ time: BoundColumn, _ scope: Scope) -> Int64? {
        guard let bound = bind(e, Scope(scope.env)) else { return nil }
        switch constantValue(bound) {
        case .timespan(let n)? where time.type == .datetime && n >= 0: return n
        case .int(let n)? where time.type.isInteger && n >= 0: return Int64(n)
        case .long(let n)? where time.type.isInteger && n >= 0: return n
        default:
            error(
                .badParameter, "this is a constant \(time.type == .datetime ? "timespan" : "integer"), zero or more", e.range)
            return nil
        }
    }

    // MARK: funnel_sequence_completion

    /// `custom("funnel_completion")`. Arguments: id, time, state as text, start and end (without columns). Options: `step` of the timeline,
    /// `sequence` (texts), `periods` (ticks or numbers); the columns are the time, the state, the period and the count.
    func bindFunnelCompletion(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        let unknown = unknownRelation(op.range)
        guard args.count == 8 else {
            error(
                .argumentCount,
                "`\(name.text)` takes an id, a time, start, end, step, a column of states, their sequence and an array of windows", op.range
            )
            return unknown
        }
        guard let id = columnArguments(args[0...0], name, scope)?.first, let time = timeline(name, args[1], scope),
            let state = columnArguments(args[5...5], name, scope)?.first, let step = windowArgument(args[4], time, scope)
        else { return unknown }
        guard step > 0 else {
            error(.badParameter, "the step must be more than zero", args[4].range)
            return unknown
        }
        var settings: [String: Value] = ["step": .long(step)]
        var ends: [BoundExpr] = []
        for a in args[2...3] {
            guard let bound = bind(a, Scope(scope.env)) else { return unknown }
            guard bound.type == time.type || (bound.type.isInteger && time.type.isInteger) else {
                error(.argumentType, "the timeline is a \(time.type.rawValue), this a \(bound.type.rawValue)", a.range)
                return unknown
            }
            ends.append(convert(bound, to: time.type))
        }
        guard case .dynamic(.array(let states))? = bind(args[6], Scope(scope.env)).flatMap(constantValue), !states.isEmpty,
            states.count <= 64
        else {
            error(.notConstant, "the sequence is a constant array of 1 to 64 states", args[6].range)
            return unknown
        }
        guard case .dynamic(.array(let windows))? = bind(args[7], Scope(scope.env)).flatMap(constantValue), !windows.isEmpty,
            windows.count <= 64
        else {
            error(.notConstant, "the windows are a constant array of 1 to 64 lengths", args[7].range)
            return unknown
        }
        var periods: [Dynamic] = []
        for w in windows {
            switch w {
            case .long(let n) where time.type.isInteger && n >= 0: periods.append(.long(n))
            case .string(let s) where time.type == .datetime:
                guard case .timespan(let n)? = options.fold?("totimespan", [.string(s)]), n >= 0 else { fallthrough }
                periods.append(.long(n))
            default:
                error(.badParameter, "`\(JSONText.compact(w))` is no length on this timeline", args[7].range)
                return unknown
            }
        }
        settings["sequence"] = .dynamic(
            .array(states.map { s in if case .string = s { s } else { .string(JSONText.compact(s)) } }))
        settings["periods"] = .dynamic(.array(periods))
        var arguments: [BoundExpr] = []
        for c in [id, time, state] {
            guard let e = reference(c, op.range) else { return unknown }
            arguments.append(e)
        }
        arguments[2] = convert(arguments[2], to: .string)
        arguments += ends
        let columns = [
            column(time.name, time.type), column(state.name, .string), column("Period", time.type == .datetime ? .timespan : .long),
            column("dcount", .long),
        ]
        return Relation(
            plan: Plan(
                .custom(name: "funnel_completion", inputs: [input.plan], arguments: arguments, options: settings), columns: columns,
                range: op.range))
    }
}
