import Columnar

/// Findings about queries that are right but slow, or that probably do not say what is meant. They are warnings, each with its reason; none
/// changes what a query gives.
///
/// What is looked at is the bound plan: names are resolved, lets and functions are inlined.
public struct Lints {
    /// Where the query runs, which decides what bounds its time.
    public enum Use: Sendable, Hashable {
        /// A scheduled rule: the host restricts every table to the last `period` (100 ns).
        case rule(period: Int64)
        /// A query over stored logs: nothing but the query restricts its time.
        case hunt
    }

    enum Code: String, CaseIterable {
        case containsTerm = "VK0500"
        case unboundedJoin = "VK0501"
        case noTimeFilter = "VK0502"
        case beyondPeriod = "VK0503"
        case caseSensitive = "VK0504"
        case foldedComparison = "VK0505"
        case plainRegex = "VK0506"
    }

    /// The lints of a plan, in order of place, each once however often its text is used.
    public static func findings(_ plan: Plan, use: Use) -> [Diagnostic] {
        var lints = Lints(use: use)
        lints.walk(plan, hasTimeFilter: false)
        var seen: Set<Diagnostic> = []
        return lints.found.filter { seen.insert($0).inserted }.sorted { ($0.range.lower, $0.code) < ($1.range.lower, $1.code) }
    }

    private let use: Use
    private var found: [Diagnostic] = []
    /// The tables that are read, with their columns: what comes unchanged from a table is found there by its identity.
    private var tables: [(name: String, columns: [BoundColumn])] = []
    /// Columns of references to shared plans that come from a table.
    private var passedOn: [ColumnID: (table: String, column: String, type: ScalarType)] = [:]
    private var shared: Set<Int> = []
    /// Inside the condition of a `where`, which is what an index of terms could serve.
    private var isInFilter = false

    private init(use: Use) { self.use = use }

    /// Where a column comes from; nil if no table has it.
    private func origin(_ id: ColumnID) -> (table: String, column: String, type: ScalarType)? {
        if let known = passedOn[id] { return known }
        for table in tables.reversed() {
            if let c = table.columns.first(where: { $0.id == id }) { return (table.name, c.name, c.type) }
        }
        return nil
    }

    private mutating func warn(_ code: Code, _ message: String, _ range: SourceRange, mend: String) {
        found.append(Diagnostic(.warning, code.rawValue, message, at: range, mend: mend))
    }

    // MARK: Plans

    /// `hasTimeFilter`: an operator above has restricted the time of the rows.
    private mutating func walk(_ plan: Plan, hasTimeFilter: Bool) {
        switch plan.kind {
        case .table(let name):
            tables.append((name, plan.columns))
            if use == .hunt, !hasTimeFilter, plan.columns.contains(where: { $0.type == .datetime }) {
                warn(
                    .noTimeFilter, "every row of `\(name)` is read: nothing restricts its time", plan.range,
                    mend: "add where TimeGenerated between (...) next to the table, so that files outside are skipped")
            }
        case .rows, .subquerySource: break
        case .print(let exprs): for e in exprs { walk(e) }
        case .range(let a, let b, let c): for e in [a, b, c] { walk(e) }
        case .filter(let input, let condition):
            walk(input, hasTimeFilter: hasTimeFilter || restrictsTime(condition, input))
            check(condition: condition)
        case .project(let input, let exprs):
            walk(input, hasTimeFilter: hasTimeFilter)
            for e in exprs { walk(e) }
        case .summarize(let input, let keys, let aggregates):
            walk(input, hasTimeFilter: hasTimeFilter)
            for e in keys { walk(e) }
            for a in aggregates { for e in a.arguments { walk(e) } }
        case .sort(let input, _), .top(let input, _, _), .take(let input, _), .serialize(let input), .getschema(let input),
            .sample(let input, _):
            walk(input, hasTimeFilter: hasTimeFilter)
        case .join(let kind, let left, let right, let keys):
            walk(left, hasTimeFilter: hasTimeFilter)
            walk(right, hasTimeFilter: hasTimeFilter)
            check(join: kind, left, right)
            for k in keys {
                walk(k.left)
                walk(k.right)
            }
        case .union(let branches, _, _): for b in branches { walk(b, hasTimeFilter: hasTimeFilter) }
        case .mvExpand(let input, let items, _, _, _):
            walk(input, hasTimeFilter: hasTimeFilter)
            for i in items { walk(i.expr) }
        case .mvApply(let input, let items, _, _, let body):
            walk(input, hasTimeFilter: hasTimeFilter)
            for i in items { walk(i.expr) }
            walk(body, hasTimeFilter: true)
        case .parse(let input, let parse, _):
            walk(input, hasTimeFilter: hasTimeFilter)
            walk(parse.source)
        case .shared(let s):
            if shared.insert(s.id).inserted { walk(s.plan, hasTimeFilter: hasTimeFilter) }
            for (here, there) in zip(plan.columns, s.plan.columns) { passedOn[here.id] = origin(there.id) }
        case .custom(let name, let inputs, let arguments, _):
            for (i, p) in inputs.enumerated() { walk(p, hasTimeFilter: hasTimeFilter || (name == "make-series" && i == 0)) }
            for e in arguments { walk(e) }
        }
    }

    /// A side of a join that is a table as it stands.
    private mutating func check(join kind: JoinKind, _ left: Plan, _ right: Plan) {
        for side in [left, right] {
            guard let table = bareTable(side) else { continue }
            warn(
                .unboundedJoin,
                "every row of `\(table.name)` is held and compared: no condition, summarize or distinct stands before the join",
                table.range, mend: "filter it, or keep one row a key with summarize or distinct, before the join")
        }
    }

    /// The table whose rows a plan gives all and unchanged in number.
    private func bareTable(_ plan: Plan) -> (name: String, range: SourceRange)? {
        switch plan.kind {
        case .table(let name): (name, plan.range)
        case .project(let input, _), .sort(let input, _), .serialize(let input), .parse(let input, _, _): bareTable(input)
        case .filter(let input, let condition):
            // Time alone bounds the window that the rows come from, not the rows of the window.
            conjuncts(condition).allSatisfy { isTimeBound($0) } ? bareTable(input) : nil
        case .shared(let s): bareTable(s.plan)
        default: nil
        }
    }

    // MARK: Time

    private func restrictsTime(_ condition: BoundExpr, _ input: Plan) -> Bool { conjuncts(condition).contains { isTimeBound($0) } }

    private func conjuncts(_ e: BoundExpr) -> [BoundExpr] {
        if case .call("and", let parts) = e.kind { return parts.flatMap(conjuncts) }
        return [e]
    }

    private func isTimeBound(_ e: BoundExpr) -> Bool {
        guard case .call(let op, let args) = e.kind, ["<", "<=", ">", ">=", "==", "between"].contains(op) else { return false }
        return args.contains { if case .column = $0.kind { $0.type == .datetime } else { false } }
    }

    /// The distance from now() of an expression that is now() and constants; nil for any other.
    private func offset(_ e: BoundExpr) -> Int64? {
        guard case .call(let name, let args) = e.kind else { return nil }
        func length(_ e: BoundExpr) -> Int64? { if case .constant(.timespan(let t)) = e.kind { t } else { nil } }
        func sum(_ a: Int64?, _ b: Int64?, _ combine: (Int64, Int64) -> (partialValue: Int64, overflow: Bool)) -> Int64? {
            guard let a, let b else { return nil }
            let r = combine(a, b)
            return r.overflow ? nil : r.partialValue
        }
        switch (name, args.count) {
        case ("now", 0): return 0
        case ("now", 1): return length(args[0])
        case ("ago", 1): return sum(0, length(args[0])) { $0.subtractingReportingOverflow($1) }
        case ("-", 2): return sum(offset(args[0]), length(args[1])) { $0.subtractingReportingOverflow($1) }
        case ("+", 2): return sum(offset(args[0]), length(args[1])) { $0.addingReportingOverflow($1) }
        default: return nil
        }
    }

    private mutating func check(horizon e: BoundExpr) {
        guard case .rule(let period) = use, case .call(let op, let args) = e.kind else { return }
        guard let first = args.first, case .column(let id) = first.kind, origin(id)?.column == "TimeGenerated" else { return }
        guard [">", ">=", "between"].contains(op), args.count >= 2, let start = offset(args[1]), start < 0, start != .min else { return }
        guard -start > period else { return }
        warn(
            .beyondPeriod,
            "the condition asks for \(KustoTime.timespanString(-start)) of rows, the rule's queryPeriod gives \(KustoTime.timespanString(period))",
            e.range, mend: "raise queryPeriod, or ask for less")
    }

    // MARK: Expressions

    private mutating func check(condition e: BoundExpr) {
        isInFilter = true
        defer { isInFilter = false }
        for c in conjuncts(e) {
            check(horizon: c)
            walk(c)
        }
    }

    private mutating func walk(_ e: BoundExpr) {
        switch e.kind {
        case .constant, .column: return
        case .member(let base, _): walk(base)
        case .element(let base, let index):
            walk(base)
            walk(index)
        case .scalarQuery(let plan): walk(plan, hasTimeFilter: false)
        case .inQuery(let op, let left, let plan):
            walk(left)
            checkCase(op.rawValue, left, hasLetters: true, e.range)
            walk(plan, hasTimeFilter: false)
        case .call(let op, let args):
            for a in args { walk(a) }
            check(call: op, args, e.range)
        }
    }

    private mutating func check(call op: String, _ args: [BoundExpr], _ range: SourceRange) {
        guard let left = args.first, args.count >= 2 else { return }
        let texts = args.dropFirst().compactMap { a -> String? in if case .constant(.string(let s)) = a.kind { s } else { nil } }
        guard !texts.isEmpty else { return }
        switch op {
        case "contains", "!contains", "contains_cs", "!contains_cs":
            guard isInFilter, let needle = texts.first, isWords(needle) else { return }
            let has = op.replacingPrefix("contains", with: "has").replacingPrefix("!contains", with: "!has")
            warn(
                .containsTerm, "`\(op)` looks inside words, past the index of terms", range,
                mend: "if whole words are meant, `\(has)` is faster and finds no parts of other words")
        case "==", "!=", "in", "!in", "has_cs", "startswith_cs", "endswith_cs":
            if case .call(let fold, _) = left.kind, fold == "tolower" || fold == "toupper" {
                let insensitive = ["==": "=~", "!=": "!~", "in": "in~", "!in": "!in~"][op] ?? String(op.dropLast(3))
                warn(
                    .foldedComparison, "`\(fold)()` makes a new text of every row's to compare it", range,
                    mend: "compare with `\(insensitive)`, which ignores case")
                return
            }
            checkCase(op, left, hasLetters: texts.contains { $0.utf8.contains { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a } }, range)
        case "matches regex":
            guard let pattern = texts.first, !pattern.isEmpty, pattern.utf8.allSatisfy(Lints.isPlain) else { return }
            warn(
                .plainRegex, "the regular expression is a plain text", range,
                mend: "use `contains_cs`, or `has_cs` if it is whole words")
        default: return
        }
    }

    private mutating func checkCase(_ op: String, _ left: BoundExpr, hasLetters: Bool, _ range: SourceRange) {
        guard hasLetters, case .column(let id) = left.kind, let origin = origin(id), origin.type == .string else { return }
        guard let insensitive = Lints.insensitive[op], Lints.varying.contains(origin.column) else { return }
        warn(
            .caseSensitive, "`\(origin.column)` of `\(origin.table)` comes in different letter cases, and `\(op)` tells them apart", range,
            mend: "use `\(insensitive)`")
    }

    private static let insensitive: [String: String] = [
        "==": "=~", "!=": "!~", "in": "in~", "!in": "!in~", "has_cs": "has", "startswith_cs": "startswith", "endswith_cs": "endswith",
        "contains_cs": "contains",
    ]

    /// Columns whose values the sources write in upper, lower and mixed case: operations and resource identifiers of Azure Resource Manager,
    /// and names of users as they were typed.
    private static let varying: Set<String> = [
        "OperationNameValue", "ResourceId", "_ResourceId", "ResourceGroup", "ResourceProvider", "ResourceProviderValue",
        "UserPrincipalName", "UserId", "Caller", "AccountUPN",
    ]

    /// Several letters and digits that stand between marks: what could be whole words.
    private func isWords(_ s: String) -> Bool {
        func isTerm(_ b: UInt8) -> Bool { (0x30...0x39).contains(b) || (0x61...0x7a).contains(b | 0x20) }
        guard s.utf8.count >= 4, let first = s.utf8.first, let last = s.utf8.last else { return false }
        return isTerm(first) && isTerm(last)
    }

    private static func isPlain(_ b: UInt8) -> Bool {
        (0x30...0x39).contains(b) || (0x61...0x7a).contains(b | 0x20) || [0x20, 0x5f, 0x2d, 0x3a, 0x2f, 0x40, 0x3d].contains(b)
    }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with new: String) -> String {
        hasPrefix(prefix) ? new + dropFirst(prefix.count) : self
    }
}
