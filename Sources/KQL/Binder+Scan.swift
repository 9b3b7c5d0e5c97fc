import Columnar

// `scan`: steps over rows in order, with values of earlier rows as `step.column`.

/// The state that conditions and assignments of a scan may read.
final class ScanScope {
    let steps: [String: Int]
    let columns: [BoundColumn]
    /// Declared columns behind those of the input, with what they hold before anything is assigned.
    let declared: [(column: BoundColumn, initial: Value)]
    /// The step whose condition or assignments are being bound.
    var current = 0
    /// Values read: number of the step, position among the input's and declared columns.
    private(set) var slots: [(step: Int, position: Int, column: BoundColumn)] = []

    init(steps: [String: Int], columns: [BoundColumn], declared: [(column: BoundColumn, initial: Value)]) {
        self.steps = steps
        self.columns = columns
        self.declared = declared
    }

    func column(_ step: Int, _ position: Int, _ session: BindingSession) -> BoundColumn {
        if let known = slots.first(where: { $0.step == step && $0.position == position }) { return known.column }
        let base = position < columns.count ? columns[position] : declared[position - columns.count].column
        let c = session.column("\(step).\(base.name)", base.type)
        slots.append((step, position, c))
        return c
    }
}

extension BindingSession {
    /// `custom("scan")`: the rows; conditions and assignments over the input's columns and the slots, step by step (a condition, then one
    /// expression for every declared column). Options: `slots`, what the state's columns hold, as `[step, position]` with positions among
    /// the input's and the declared columns; `slotIDs`, their identities; `initial`, what declared columns hold at first; `outputs`, of each
    /// step `all`, `last` or `none`; `assigned`, of each step the positions of the declared columns that it assigns; `matchID`.
    func bindScan(_ clause: ScanClause, _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        var input = input
        var scope = scope
        if !clause.partitionBy.isEmpty {
            error(
                .unsupportedOption, "`partition by` inside `scan` is not supported", clause.partitionBy[0].range,
                mend: "write `partition by column (sort by time asc | scan ...)`")
            return unknownRelation(op.range)
        }
        if let e = op.parameter("with_step_name") {
            error(
                .unsupportedOption, "`with_step_name` is not supported", e.range, mend: "declare a column and assign the name in each step")
            return unknownRelation(op.range)
        }
        if !clause.orderBy.isEmpty {
            guard let keys = sortKeys(clause.orderBy, scope) else { return unknownRelation(op.range) }
            input = input.with(Plan(.sort(input.plan, keys), columns: input.columns, range: op.range)).serialized(true)
            scope = Scope(scope.env, row: row(input))
        }
        guard input.isSerialized else {
            error(
                .notSerialized, "`scan` goes over rows in order and needs them in a defined order", op.keyword.range,
                mend: "put `| sort by ...` before it")
            return unknownRelation(op.range)
        }
        guard let declared = declaredColumns(clause, input, scope), let steps = stepNumbers(clause) else {
            return unknownRelation(op.range)
        }
        let state = ScanScope(steps: steps, columns: input.columns, declared: declared)
        let stepRow = row(input)
        stepRow.scan = state
        let inner = Scope(scope.env, row: stepRow)
        var arguments: [BoundExpr] = []
        var replaced: Set<Int> = []
        var assigned: [Dynamic] = []
        var failed = false
        for (k, step) in clause.steps.enumerated() {
            state.current = k
            if step.isOptional {
                error(
                    .unsupportedOption, "optional steps are not supported: what they match is not documented", step.name.range,
                    mend: "write two scans, with the step and without it")
                failed = true
            }
            if let c = condition(step.condition, inner, "the condition of a step") { arguments.append(c) } else { failed = true }
            guard let (positions, values) = assignments(step, state, inner) else {
                failed = true
                continue
            }
            arguments += values
            assigned.append(.array(positions.map { .long(Int64($0)) }))
            replaced.formUnion(positions)
        }
        if failed { return unknownRelation(op.range) }
        var p = Projection()
        let none = constant(.null(.dynamic), op.range)
        for (i, c) in input.columns.enumerated() {
            p.add(replaced.contains(declared.count + i) ? column(c.name, c.type) : c, none)
        }
        for d in declared { p.add(d.column, none) }
        if let e = op.parameter("with_match_id") {
            let name = parameterText(e)
            if p.contains(name) {
                error(.duplicateColumn, "there is a column `\(name)` already", e.range, mend: "choose another name")
                return unknownRelation(op.range)
            }
            p.add(column(name, .long), none)
        }
        let options: [String: Value] = [
            "slots": .dynamic(.array(state.slots.map { .array([.long(Int64($0.step)), .long(Int64($0.position))]) })),
            "slotIDs": .dynamic(.array(state.slots.map { .long(Int64($0.column.id)) })),
            "outputs": .dynamic(.array(clause.steps.map { .string($0.output.rawValue) })),
            "assigned": .dynamic(.array(assigned)), "declared": .long(Int64(declared.count)),
            "matchID": .bool(op.parameter("with_match_id") != nil),
        ]
        // What declared columns hold at first is of their own types, which dynamic options would lose: constants behind the rest.
        arguments += declared.map { constant($0.initial, op.range) }
        return input.with(
            Plan(.custom(name: "scan", inputs: [input.plan], arguments: arguments, options: options), columns: p.columns, range: op.range)
        ).serialized(true)
    }

    private func declaredColumns(_ clause: ScanClause, _ input: Relation, _ scope: Scope) -> [(column: BoundColumn, initial: Value)]? {
        var out: [(column: BoundColumn, initial: Value)] = []
        var failed = false
        for d in clause.declared {
            guard case .scalar(let declaredType) = d.kind, let type = declaredType else {
                error(.argumentType, "a declared column must have a scalar type", d.name.range)
                failed = true
                continue
            }
            if input.columns.contains(where: { $0.name == d.name.text }) || out.contains(where: { $0.column.name == d.name.text }) {
                error(.duplicateColumn, "there is a column `\(d.name.text)` already", d.name.range, mend: "choose another name")
                failed = true
                continue
            }
            var initial = Value.missing(type)
            if let e = d.defaultValue {
                guard let b = bind(e, Scope(scope.env)), let fitted = assign(b, to: type) else {
                    failed = true
                    continue
                }
                guard let v = constantValue(fitted) else {
                    error(.notConstant, "what a declared column holds at first must be a constant", e.range)
                    failed = true
                    continue
                }
                initial = v
            }
            out.append((column(d.name.text, type), initial))
        }
        return failed ? nil : out
    }

    private func stepNumbers(_ clause: ScanClause) -> [String: Int]? {
        var out: [String: Int] = [:]
        for (i, s) in clause.steps.enumerated() {
            if out.updateValue(i, forKey: s.name.text) != nil {
                error(.scanStep, "there are two steps named `\(s.name.text)`", s.name.range, mend: "name each step differently")
                return nil
            }
        }
        return clause.steps.isEmpty ? nil : out
    }

    /// Positions of the columns that a step assigns, declared ones first, with the values.
    private func assignments(_ step: ScanStep, _ state: ScanScope, _ scope: Scope) -> ([Int], [BoundExpr])? {
        var positions: [Int] = []
        var values: [BoundExpr] = []
        var failed = false
        for a in step.assignments {
            guard case .named(let names, let value) = a.kind, names.count == 1, let name = names.first else {
                error(.scanStep, "an assignment `column = value` is expected", a.range)
                failed = true
                continue
            }
            // Behind the declared columns: those of the input, whose values in the output are replaced.
            let columns = state.declared.map(\.column) + state.columns
            guard let at = columns.firstIndex(where: { $0.name == name.text }) else {
                unknown(.unknownColumn, "column", name.text, name.range, among: columns.map(\.name))
                failed = true
                continue
            }
            if positions.contains(at) {
                error(.duplicateColumn, "`\(name.text)` is assigned twice", name.range)
                failed = true
                continue
            }
            guard let bound = bind(value, scope), let fitted = assign(bound, to: columns[at].type) else {
                failed = true
                continue
            }
            positions.append(at)
            values.append(fitted)
        }
        return failed ? nil : (positions, values)
    }

    /// A value of the state `step.column`; `.some(nil)` where it was reported, nil if `base` is no step.
    func scanMember(_ base: Expr, _ name: Name, _ range: SourceRange, _ scope: Scope) -> BoundExpr?? {
        guard case .name(let s) = base.kind, let state = scope.row?.scan, let step = state.steps[s.text] else { return nil }
        if step > state.current {
            error(
                .scanStep, "step `\(s.text)` comes later: a step sees itself and those before it", range,
                mend: "move the condition to step `\(s.text)`")
            return .some(nil)
        }
        let names = state.columns.map(\.name) + state.declared.map(\.column.name)
        guard let position = names.firstIndex(of: name.text) else {
            let tables = scope.row?.relation.open.first ?? []
            if !tables.isEmpty {
                let type = OpenColumns.type(of: name.text)
                for t in tables { open.add(SchemaColumn(name.text, type), to: t, usedAt: range) }
                return .some(constant(.missing(type), range))
            }
            unknown(.unknownColumn, "column", name.text, name.range, among: names)
            return .some(nil)
        }
        if position < state.columns.count, poisoned.contains(state.columns[position].id) { return .some(nil) }
        let c = state.column(step, position, self)
        return .some(BoundExpr(.column(c.id), c.type, range))
    }

    /// A declared column without its step; `.some(nil)` after reporting.
    func scanName(_ n: Name, _ range: SourceRange, _ scope: Scope) -> BoundExpr?? {
        guard let state = scope.row?.scan, state.declared.contains(where: { $0.column.name == n.text }) else { return nil }
        error(.scanStep, "`\(n.text)` is a declared column: say of which step", range, mend: "write `step.\(n.text)`")
        return .some(nil)
    }
}
