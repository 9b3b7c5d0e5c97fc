import CKernels
import Columnar
import Evaluation
import KQL
import Matcher
import Rules
import Synchronization

/// A rule ready to run: its query cut into legs and suffix, its clock, and what follows from its shape. Immutable.
public final class RuleProgram: Sendable {
    /// Of a program that was compiled before, read when first asked for: most rules of a start are never looked at.
    public var rule: AnalyticsRule { document.value }
    /// Of the rule, without asking for it.
    public let isEnabled: Bool
    /// The rule's id, case aside; equal ids have equal digests.
    public let identifier: Digest128
    public let split: SplitQuery
    public let clock: TickClock
    /// Equal for rules that behave alike: state survives a reload exactly when this does.
    public var fingerprint: String { behaviour.text }
    let behaviour: Digest128
    /// Equal for rules whose alerts look alike: what a reload changes without loss of state.
    let presentation: Presentation
    /// May raise for a tick before the watermark has passed it.
    public let isMonotone: Bool
    /// Every operator is row-local: one leg and no suffix to speak of.
    public let isRowLocal: Bool
    /// Compares a recent window with an older one: meaningless until the history is there.
    public let isBaseline: Bool
    /// Ticks whose windows are empty must be evaluated too (absence rules).
    public let needsEmptyTicks: Bool
    /// Positions of the group key in the result's columns, where the query's own shape gives one.
    let groupColumns: [Int]?
    let functions: any FunctionCatalog
    /// Where the rule stands in the bytes that the program was read from.
    let stored: StoredRule
    /// What is made when it is first asked for.
    let made = Mutex(Made())

    /// What the plan says may depend on data that neither rules nor saved functions hold: watchlists, external data.
    public let readsReferenceData: Bool
    public let tables: Set<String>

    /// How the rule's state is kept and evaluated.
    public enum Strategy: String, Sendable, Hashable, CaseIterable {
        /// Each matching row alerts by itself.
        case rowLocal = "row-local"
        /// The suffix is run over the window's rows at each tick.
        case rows
        /// Groups are kept by panes, and no rows.
        case panes
        /// Groups by panes for some views, rows for others.
        case panesAndRows = "panes and rows"
    }
    public var strategy: Strategy {
        if isRowLocal { return .rowLocal }
        if panes.nodes.isEmpty { return .rows }
        return panes.rowLegs.isEmpty ? .panes : .panesAndRows
    }
    /// The strategy in words: what is kept of which table for how long, and why rows are, if they are.
    public var strategyDescription: String {
        panes.description(split, clock: clock, isRowLocal: isRowLocal).joined(separator: "\n")
    }
    public var columns: [BoundColumn] { split.suffix.columns }

    /// `sources`, `versions`: as in ``BoundQuery``.
    init(
        rule: AnalyticsRule, plan: Plan, nextColumnID: ColumnID, functions: any FunctionCatalog, sources: [String] = [],
        versions: [String] = []
    ) throws {
        stored = StoredRule(bytes: [], place: 0..<0, file: rule.file)
        self.functions = functions
        isEnabled = rule.isEnabled
        identifier = RuleProgram.identifier(rule)
        let groupIDs = RuleProgram.groupKey(plan)
        let wanted = AlertBuilder.columnNames(rule)
        let needed = Set(plan.columns.filter { wanted.contains($0.name) || (groupIDs?.contains($0.id) ?? false) }.map(\.id))
        split = LegSplitter.split(plan, needed: needed, nextColumnID: nextColumnID, functions: functions)
        tables = Set(split.legs.map(\.table))
        clock = TickClock(
            anchor: rule.startTime ?? KustoTime.unixEpoch, frequency: rule.queryFrequency, period: rule.queryPeriod)
        let triggersOnEmpty = RuleProgram.triggers(rule, count: 0)
        needsEmptyTicks = triggersOnEmpty || !split.emptyGivesEmpty
        let growing = rule.triggerOperator == .greaterThan || (rule.triggerOperator == .notEqual && rule.triggerThreshold == 0)
        isRowLocal = RuleProgram.isRowLocal(split.suffix) && split.legs.count == 1 && growing && rule.triggerThreshold == 0
        isBaseline = split.legs.count > 1 && split.legs.contains { $0.horizon.contains(where: RuleProgram.isUpperBound) }
        let columns = split.suffix.columns
        let positions = groupIDs.map { ids in ids.compactMap { id in columns.firstIndex { $0.id == id } } }
        groupColumns = positions.flatMap { $0.isEmpty ? nil : $0 }
        let builder = AlertBuilder(rule, columns: columns)
        // What alerts of this rule are told apart by: nothing, columns, or (nil) also the rows themselves.
        var groups: [BoundColumn]?
        if rule.grouping == .singleAlert { groups = [] } else { groups = groupColumns?.map { columns[$0] } }
        isMonotone = growing && !triggersOnEmpty && MonotoneAnalysis.isMonotone(split.suffix, groups: groups, functions: functions)
        let horizons = try RuleProgram.horizons(of: split.legs)
        var w = StateWriter()
        for part in [rule.id, rule.query, rule.kind.rawValue, rule.triggerOperator.rawValue, rule.grouping.rawValue] { w.text(part) }
        for n in [rule.queryFrequency, rule.queryPeriod, Int64(rule.triggerThreshold), rule.startTime ?? 0, rule.suppression ?? 0] {
            w.i64(n)
        }
        for c in columns { w.text(c.name + ":" + c.type.rawValue) }
        for leg in split.legs { for c in leg.columns { w.text(c.name + ":" + c.type.rawValue) } }
        // Entities tell alerts apart where nothing in the query does.
        if rule.grouping == .alertPerResult, groupColumns == nil { for i in builder.mapper.columns { w.int(i) } }
        for s in sources { w.text(s) }
        readsReferenceData =
            !versions.isEmpty
            || (sources + [rule.query]).contains { text in
                let lower = text.lowercased()
                return RuleProgram.foreign.contains { ByteText.contains($0, in: lower) }
            }
        behaviour = Digest128(w.bytes)
        // Other rows in a watchlist change what a rule finds from now on, not what it has retained.
        presentation = Presentation(rule: RuleProgram.presentation(rule), versions: versions)
        made.withLock { $0 = Made(rule: Shared(rule), builder: Shared(builder), horizons: horizons) }
    }

    /// Words of queries that name such data.
    private static let foreign = ["watchlist", "externaldata", "geo_info_from", "parse_user_agent"]

    /// A program that was compiled before, of a rule of `file`; ``write(to:)`` wrote it into `bytes`, which are kept for what is read later.
    package init(
        from r: inout PackedReader, of bytes: [UInt8], file: String, functions: any FunctionCatalog, parts: inout StoredParts
    ) throws {
        self.functions = functions
        identifier = try Digest128(from: &r)
        isEnabled = try r.bool()
        let anchor = try r.integer()
        let frequency = try r.integer()
        clock = TickClock(anchor: anchor, frequency: frequency, period: try r.integer())
        stored = StoredRule(bytes: bytes, place: try r.block(), file: file)
        split = try SplitQuery(from: &r, of: bytes, parts: &parts)
        tables = parts.tables(of: split)
        behaviour = try Digest128(from: &r)
        presentation = Presentation(rule: try Digest128(from: &r), versions: [])
        isMonotone = try r.bool()
        isRowLocal = try r.bool()
        isBaseline = try r.bool()
        needsEmptyTicks = try r.bool()
        readsReferenceData = try r.bool()
        let isGrouped = try r.bool()
        let positions = try r.list { try $0.int() }
        groupColumns = isGrouped ? positions : nil
    }

    /// The program with its rule. Throws for a plan that cannot be written, and for a program that depends on other data.
    package func write(to w: inout PackedWriter) throws {
        guard presentation.versions.isEmpty else { throw PackedError("the program depends on other data") }
        identifier.write(to: &w)
        w.bool(isEnabled)
        for n in [clock.anchor, clock.frequency, clock.period] { w.integer(n) }
        var document = PackedWriter()
        rule.write(to: &document)
        w.block(document.bytes)
        try split.write(to: &w)
        behaviour.write(to: &w)
        presentation.rule.write(to: &w)
        for flag in [isMonotone, isRowLocal, isBaseline, needsEmptyTicks, readsReferenceData] { w.bool(flag) }
        w.bool(groupColumns != nil)
        w.count(groupColumns?.count ?? 0)
        for c in groupColumns ?? [] { w.int(c) }
    }

    static func horizons(of legs: [Leg]) throws -> [[CompiledExpression]] {
        try legs.map { leg in
            guard let time = leg.timeColumn, !leg.horizon.isEmpty else { return [] }
            let input = [BoundColumn(id: time, name: "TimeGenerated", type: .datetime)]
            return try leg.horizon.map { try CompiledExpression($0, input: input, subqueries: NoPlans()) }
        }
    }

    private static func presentation(_ rule: AnalyticsRule) -> Digest128 {
        var w = StateWriter()
        func fields(_ all: [AnalyticsRule.FieldMapping]) { w.texts(all.flatMap { [$0.identifier, $0.columnName] }) }
        for part in [rule.name, rule.description, rule.severity.rawValue, rule.version ?? ""] { w.text(part) }
        w.texts(rule.tactics)
        w.texts(rule.techniques)
        w.int(rule.entityMappings.count)
        for m in rule.entityMappings {
            w.text(m.entityType)
            fields(m.fields)
        }
        w.texts(rule.sentinelEntityColumns)
        fields(rule.customDetails)
        if let o = rule.detailsOverride {
            for part in [o.displayNameFormat, o.descriptionFormat, o.severityColumn, o.tacticsColumn] { w.optionalText(part) }
            fields(o.dynamicProperties)
        }
        return Digest128(w.bytes)
    }

    private struct NoPlans: SubqueryResolver {
        func firstColumn(of plan: Plan) throws -> Column { throw EvaluationError("a horizon has a sub-query") }
    }

    /// The digest of a rule's id. Ids are equal if they are so case aside.
    package static func identifier(_ rule: AnalyticsRule) -> Digest128 { Digest128(Array(rule.id.lowercased().utf8)) }

    /// The identity of an alert: H(rule id, group key, first tick).
    func alertID(_ group: String, _ tick: Int64) -> String {
        var w = StateWriter()
        w.text(rule.id)
        w.text(group)
        w.i64(tick)
        return Digest128(w.bytes).text
    }

    static func triggers(_ rule: AnalyticsRule, count: Int) -> Bool {
        switch rule.triggerOperator {
        case .greaterThan: count > rule.triggerThreshold
        case .lessThan: count < rule.triggerThreshold
        case .equal: count == rule.triggerThreshold
        case .notEqual: count != rule.triggerThreshold
        }
    }

    private static func isRowLocal(_ plan: Plan) -> Bool {
        switch plan.kind {
        case .table: true
        case .project(let p, _), .sort(let p, _): isRowLocal(p)
        default: false
        }
    }

    /// `TimeGenerated < x`, `<= x` or `between (a .. b)`: the leg looks at the past only.
    private static func isUpperBound(_ e: BoundExpr) -> Bool {
        guard case .call(let op, let args) = e.kind, let first = args.first else { return false }
        let timeFirst = if case .column = first.kind { true } else { false }
        switch op {
        case "<", "<=": return timeFirst
        case ">", ">=": return !timeFirst
        case "between": return timeFirst
        default: return false
        }
    }

    /// The identities that the last `by`, `distinct` or join keys give to result rows.
    private static func groupKey(_ plan: Plan) -> [ColumnID]? {
        switch plan.kind {
        case .filter(let p, _), .project(let p, _), .sort(let p, _), .top(let p, _, _), .take(let p, _), .serialize(let p),
            .parse(let p, _, _):
            return groupKey(p)
        case .summarize(_, let keys, _): return plan.columns.prefix(keys.count).map(\.id)
        case .join(_, _, _, let keys):
            let ids = keys.flatMap { k -> [ColumnID] in
                [k.left, k.right].compactMap { if case .column(let id) = $0.kind { id } else { nil } }
            }
            return ids.isEmpty ? nil : ids
        default: return nil
        }
    }
}

/// Compiles rules, collecting everything that is wrong with them.
public struct RuleCompiler: Sendable {
    public let functions: any FunctionCatalog
    public let schemas: any SchemaCatalog

    public init(functions: any FunctionCatalog, schemas: any SchemaCatalog) {
        self.functions = functions
        self.schemas = schemas
    }

    /// Plans are walked by recursion, as deep as the limits allow: the stack that this takes, whatever the caller has.
    public static let stackBytes = 64 << 20

    /// A program, or nil with at least one error. Ranges are offsets into the rule's query.
    public func compile(_ rule: AnalyticsRule) -> (program: RuleProgram?, diagnostics: [Diagnostic]) {
        do { return try LargeStack.run(bytes: RuleCompiler.stackBytes) { compileHere(rule) } } catch {
            return (nil, [Diagnostic(.error, "VK0300", "\(error)", at: SourceRange(0, 0))])
        }
    }

    private func compileHere(_ rule: AnalyticsRule) -> (program: RuleProgram?, diagnostics: [Diagnostic]) {
        let tree = SyntaxTree.parse(rule.query)
        let bound = Binder(functions: functions, schemas: schemas, options: BinderOptions(fold: ConstantFolder.fold)).bind(tree)
        var diagnostics = bound.diagnostics
        guard let plan = bound.plan, !diagnostics.contains(where: { $0.severity == .error }) else { return (nil, diagnostics) }
        let names = Set(plan.columns.map(\.name))
        let legacy = Set(EntityMapper.legacy.map(\.column))
        for missing in AlertBuilder.columnNames(rule).subtracting(names).subtracting(legacy).sorted() {
            diagnostics.append(
                Diagnostic(
                    .warning, "VK0301", "the rule maps column `\(missing)`, which its query does not return", at: plan.range,
                    mend: Suggestions.nearest(missing, in: plan.columns.map(\.name)).map { "did you mean `\($0)`?" }
                        ?? "return it from the query, or remove the mapping"))
        }
        do {
            let program = try RuleProgram(
                rule: rule, plan: plan, nextColumnID: bound.nextColumnID, functions: functions, sources: bound.sources,
                versions: bound.versions)
            for leg in program.split.legs { try RuleSet.check(leg, functions: functions) }
            diagnostics += Lints.findings(plan, use: .rule(period: rule.queryPeriod))
            return (program, diagnostics)
        } catch {
            diagnostics.append(Diagnostic(.error, "VK0300", "\(error)", at: (error as? EvaluationError)?.range ?? plan.range))
            return (nil, diagnostics)
        }
    }
}
