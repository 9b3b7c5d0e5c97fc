import Columnar

/// Settings of a ``Binder``.
public struct BinderOptions: Sendable {
    /// Computes a deterministic function of constants by canonical name; nil where it cannot. `Evaluation` supplies it from its kernels.
    public var fold: (@Sendable (String, [Value]) -> Value?)?
    /// Values for `declare query_parameters`, by name; a parameter without one takes its default.
    public var parameters: [String: Value]
    /// How many operators, table references and statements one query may come to after lets and functions are inlined.
    public var operatorLimit: Int
    /// How many levels the plan may have, operators and expressions within each other: a chain of n operators has about n. The standard fits
    /// any thread's stack; more takes a ``LargeStack`` for everything that is done with the plan.
    public var levelLimit: Int
    /// Whether the query may give several tables (`fork`, `facet`, statements one after the other): a hunt's may, a rule's may not.
    public var severalResults = false
    /// Runs a plan and gives its rows, so that plugins whose result columns depend on the data learn them: hunts have one, rules do not.
    /// Nil: the rows cannot be had, which was said elsewhere.
    public var probe: (@Sendable (Plan) throws -> [Batch])?
    /// Whether there is nothing to read: then wildcards and `search` mean the query's views where it has any, and not the tables beside them.
    public var withoutData = false

    public init(
        fold: (@Sendable (String, [Value]) -> Value?)? = nil, parameters: [String: Value] = [:], operatorLimit: Int = 20_000,
        levelLimit: Int = 300
    ) {
        self.fold = fold
        self.parameters = parameters
        self.operatorLimit = operatorLimit
        self.levelLimit = levelLimit
    }
}

/// Resolves names and types of a parsed query as Kusto does and gives its plan. Every finding carries its range; one wrong name is reported
/// once, without follow-ups.
public struct Binder: Sendable {
    private let functions: any FunctionCatalog
    private let schemas: any SchemaCatalog
    private let options: BinderOptions

    public init(functions: any FunctionCatalog, schemas: any SchemaCatalog, options: BinderOptions = BinderOptions()) {
        self.functions = functions
        self.schemas = schemas
        self.options = options
    }

    /// Stack of the binding itself, whose depth ``BindingSession/deeper(_:_:)`` bounds.
    private static let stackBytes = 64 << 20

    /// Binds the query of a tree. The diagnostics are those of the tree, then the binder's; the plan is nil if any of them is an error.
    public func bind(_ tree: SyntaxTree) -> BoundQuery {
        // A long chain of operators is unwound link by link when it is dropped.
        let bytes = max(Binder.stackBytes, options.levelLimit << 10)
        do { return try LargeStack.run(bytes: bytes) { bindHere(tree) } } catch {
            let d = Diagnostic(.error, BinderCode.tooLarge.rawValue, "the query could not be bound: \(error)", at: SourceRange(0, 0))
            return BoundQuery(plan: nil, diagnostics: tree.diagnostics + [d])
        }
    }

    private func bindHere(_ tree: SyntaxTree) -> BoundQuery {
        // A reference to an undeclared column of an open table adds that column to the table's schema; then the query is bound again.
        var open = OpenColumns()
        while true {
            let session = BindingSession(functions: functions, schemas: schemas, options: options, open: open)
            session.text = Array(tree.source.utf8)
            let plan = session.bindTree(tree)
            if session.open.count > open.count, session.open.count < 2000 {
                open = session.open
                continue
            }
            let diagnostics = tree.diagnostics + session.diagnostics
            let failed = diagnostics.contains { $0.severity == .error }
            return BoundQuery(
                plan: failed ? nil : plan, diagnostics: diagnostics, render: session.render, nextColumnID: session.nextColumn,
                resultNames: session.resultNames, sources: session.sources.sorted(), versions: session.versions.sorted())
        }
    }
}

/// Columns that a query reads from open tables without their being declared, by table, in order of appearance.
struct OpenColumns {
    private(set) var byTable: [String: [(column: SchemaColumn, firstUse: SourceRange)]] = [:]
    private(set) var count = 0

    mutating func add(_ column: SchemaColumn, to table: String, usedAt range: SourceRange) {
        if byTable[table]?.contains(where: { $0.column.name == column.name }) ?? false { return }
        byTable[table, default: []].append((column, range))
        count += 1
    }

    /// The type that a name's suffix gives it in an open table, as the ingestion of Log Analytics does; dynamic without.
    static func type(of name: String) -> ScalarType {
        if name.hasSuffix("_s") { return .string }
        if name.hasSuffix("_d") { return .real }
        if name.hasSuffix("_b") { return .bool }
        if name.hasSuffix("_t") { return .datetime }
        if name.hasSuffix("_g") { return .guid }
        return .dynamic
    }
}

/// What a name in scope stands for. Frames are immutable and linked, so that a later let shadows an earlier one only for what follows it.
final class Environment {
    enum Entry {
        /// A scalar let or parameter, inlined where it is used; `row` is the row scope its columns belong to, nil without columns.
        case scalar(BoundExpr, row: Int?)
        /// A tabular let or argument, bound anew at each use.
        case tabular(Expr, Environment)
        /// A plan computed once: `materialize`, `as`, the input of `invoke`.
        case shared(SharedPlan, Relation)
        case function([Parameter], FunctionBody, Environment)
        case pattern(PatternDeclaration, Environment)
        /// Bound with errors, already reported.
        case failed
        /// Stands in while only the kind of an expression is asked for.
        case marker(isTabular: Bool)
    }

    let name: String
    let entry: Entry
    private(set) var parent: Environment?

    init(_ name: String, _ entry: Entry, parent: Environment?) {
        self.name = name
        self.entry = entry
        self.parent = parent
    }

    deinit {
        // A query may have thousands of lets: their frames are taken down in a loop, not each by the next.
        var next = parent
        parent = nil
        while isKnownUniquelyReferenced(&next) {
            let after = next?.parent
            next?.parent = nil
            next = after
        }
    }

    /// Names of the views without parameters, innermost first.
    var views: [String] {
        var out: [String] = []
        var seen: Set<String> = []
        var frame: Environment? = self
        while let f = frame {
            if seen.insert(f.name).inserted, case .function(let p, let body, _) = f.entry, p.isEmpty, body.isView { out.append(f.name) }
            frame = f.parent
        }
        return out
    }

    func lookup(_ name: String) -> Entry? {
        var frame: Environment? = self
        while let f = frame {
            if f.name == name { return f.entry }
            frame = f.parent
        }
        return nil
    }

    var names: [String] {
        var out: [String] = []
        var frame: Environment? = self
        while let f = frame {
            if !f.name.isEmpty { out.append(f.name) }
            frame = f.parent
        }
        return out
    }
}

/// A plan under construction with what the binder knows beyond its schema.
struct Relation {
    var plan: Plan
    /// Open tables whose undeclared columns are still reachable: an unknown name is added to every table of the first group.
    var open: [[String]] = []
    /// The source could not be bound: unknown columns are not reported.
    var isUnknown = false
    /// The order of rows is defined, so that row functions may be used.
    var isSerialized = false
    /// Set for a graph: the plan's columns are then those of its nodes and edges.
    var graph: GraphShape?
    /// The name that a closing `as` gave the rows, for `withsource`, `$table` and `source_`.
    var alias: String?

    var columns: [BoundColumn] { plan.columns }
}

/// The columns that a scalar expression sees.
final class RowScope {
    let serial: Int
    let relation: Relation
    /// Where names stand, the first of equal ones; made when many were asked for: most scopes are asked for a few, and looking through the
    /// columns for those costs less than hashing all of them.
    private var byName: [String: Int]?
    private var asked = 0
    /// `$left` and `$right` of a join condition.
    let sides: (left: RowScope, right: RowScope)?
    /// The variables of a graph pattern.
    var graph: GraphNames?
    /// The steps of a scan.
    var scan: ScanScope?

    init(_ relation: Relation, serial: Int, sides: (left: RowScope, right: RowScope)? = nil) {
        self.relation = relation
        self.serial = serial
        self.sides = sides
    }

    var columns: [BoundColumn] { relation.columns }
    func column(_ name: String) -> BoundColumn? { position(name).map { columns[$0] } }

    func position(_ name: String) -> Int? {
        if let byName { return byName[name] }
        let columns = columns
        asked += 1
        guard asked > 16, columns.count > 16 else { return columns.firstIndex { $0.name == name } }
        let names = Dictionary(columns.enumerated().map { ($0.element.name, $0.offset) }) { first, _ in first }
        byName = names
        return names[name]
    }
}

/// Where an expression stands: names, row, and whether aggregates are allowed.
struct Scope {
    var env: Environment?
    var row: RowScope?
    /// Set while the aggregates of a summarize are bound outside their arguments.
    var aggregates: AggregateCollector?

    init(_ env: Environment?, row: RowScope? = nil, aggregates: AggregateCollector? = nil) {
        self.env = env
        self.row = row
        self.aggregates = aggregates
    }

    /// The scope of an aggregate's arguments.
    var insideAggregate: Scope { Scope(env, row: row) }
}

/// The state of binding one query. Methods are spread over `Binder+*.swift` by topic; those that give an optional return nil after having
/// reported why.
final class BindingSession {
    let functions: any FunctionCatalog
    let schemas: any SchemaCatalog
    let options: BinderOptions
    var open: OpenColumns
    var diagnostics: [Diagnostic] = []
    var render: RenderSpec?
    /// The query's own text.
    var text: [UInt8] = []
    /// Names of the tables of a query with several.
    var resultNames: [String?] = []
    var nextColumn: ColumnID = 0
    private var reported: Set<Diagnostic> = []
    private var nextShared = 0
    private var nextRow = 0
    private var unnamed = 0
    /// Columns whose expression failed: what uses them fails silently.
    var poisoned: Set<ColumnID> = []
    /// Operators and table references bound so far.
    private var operators = 0
    /// Levels of expressions and queries that are being bound: nested functions multiply what the parser limits.
    private var depth = 0
    /// Expressions and queries bound so far: functions that call functions multiply them.
    private var steps = 0
    private var isTooLarge = false
    /// Whether functions give rows, by body and home (kept alive as long as they are known here).
    var functionKinds: [FunctionKey: (isTabular: Bool, home: Environment)] = [:]
    var kindDepth = 0
    /// Let functions being expanded, innermost last.
    var expanding: [String] = []
    /// Saved functions being expanded, innermost last, and those met, each with one environment so that it is looked into once.
    var savedStack: [String] = []
    var savedEntries: [String: Environment.Entry] = [:]
    var savedBodies: [ObjectIdentifier: SavedFunction] = [:]
    var sources: Set<String> = []
    var versions: Set<String> = []
    /// `set query_bin_auto_size` and `set query_bin_auto_at`: what `bin_auto` rounds to.
    var autoBins: (size: Expr?, origin: Expr?)
    /// `materialize` calls outside functions, by syntax node: every use reads the same plan.
    var materialized: [ObjectIdentifier: (SharedPlan, Relation)] = [:]

    init(functions: any FunctionCatalog, schemas: any SchemaCatalog, options: BinderOptions, open: OpenColumns) {
        self.functions = functions
        self.schemas = schemas
        self.options = options
        self.open = open
    }

    func column(_ name: String, _ type: ScalarType) -> BoundColumn {
        defer { nextColumn += 1 }
        return BoundColumn(id: nextColumn, name: name, type: type)
    }

    /// The column of an expression: that of a column passed on unchanged, else a new one.
    func column(_ name: String, for e: BoundExpr) -> BoundColumn {
        if case .column(let id) = e.kind { return BoundColumn(id: id, name: name, type: e.type) }
        return column(name, e.type)
    }

    /// The same value under another name.
    func renamed(_ c: BoundColumn, _ name: String) -> BoundColumn {
        c.name == name ? c : BoundColumn(id: c.id, name: name, type: c.type)
    }

    /// A column that stands for one that could not be bound.
    func poison(_ name: String) -> BoundColumn {
        let c = column(name, .dynamic)
        poisoned.insert(c.id)
        return c
    }

    func share(_ plan: Plan) -> SharedPlan {
        defer { nextShared += 1 }
        return SharedPlan(id: nextShared, plan: plan)
    }

    func row(_ relation: Relation) -> RowScope {
        nextRow += 1
        return RowScope(relation, serial: nextRow)
    }

    func row(left: RowScope, right: RowScope) -> RowScope {
        nextRow += 1
        let both = Relation(
            plan: Plan(.rows([]), columns: left.columns + right.columns, range: left.relation.plan.range),
            open: left.relation.open + right.relation.open, isUnknown: left.relation.isUnknown || right.relation.isUnknown)
        return RowScope(both, serial: nextRow, sides: (left, right))
    }

    /// `Column1`, `Column2` ...: names for expressions that suggest none.
    func defaultName(avoiding taken: (String) -> Bool) -> String {
        repeat { unnamed += 1 } while taken("Column\(unnamed)")
        return "Column\(unnamed)"
    }

    /// Counts an operator or source; false when the query has grown past its limit (reported once).
    func admit(_ range: SourceRange) -> Bool {
        operators += 1
        if operators == options.operatorLimit + 1 {
            error(
                .tooLarge, "the query comes to more than \(options.operatorLimit) operators once lets and functions are inlined", range,
                mend: "use materialize() for a let that is read several times")
        }
        return operators <= options.operatorLimit
    }

    /// Runs `body` one level deeper; nil when the levels, functions included, are too many for the stack, or the steps for anyone's patience.
    func deeper<T>(_ range: SourceRange, _ body: () -> T?) -> T? {
        depth += 1
        steps += 1
        defer { depth -= 1 }
        guard depth <= 800, steps <= 500_000 else { return tooLarge("the query is nested too deeply once functions are inlined", range) }
        return body()
    }

    /// An expression, unless it has grown past what can be walked.
    func checked(_ e: BoundExpr?) -> BoundExpr? {
        guard let e, e.levels > options.levelLimit || e.weight > 1_000_000 else { return e }
        return tooLarge("the expression is too large once lets and functions are inlined", e.range)
    }

    /// Rows, unless their plan has more levels than whoever runs it can take.
    func checked(_ r: Relation?, _ range: SourceRange) -> Relation? {
        guard let r, r.plan.levels > options.levelLimit else { return r }
        return tooLarge("the query has more than \(options.levelLimit) operators in a row once lets and functions are inlined", range)
    }

    /// Reports once that the query is too large.
    private func tooLarge<T>(_ message: String, _ range: SourceRange) -> T? {
        if !isTooLarge { error(.tooLarge, message, range) }
        isTooLarge = true
        return nil
    }

    // MARK: Diagnostics

    func report(_ d: Diagnostic) {
        // A let is bound at each use, so the same finding comes again.
        if reported.insert(d).inserted { diagnostics.append(d) }
    }

    func error(_ code: BinderCode, _ message: String, _ range: SourceRange, mend: String? = nil, fixIts: [Diagnostic.FixIt] = []) {
        report(Diagnostic(.error, code.rawValue, message, at: range, mend: mend, fixIts: fixIts))
    }

    func warning(_ code: BinderCode, _ message: String, _ range: SourceRange, mend: String? = nil) {
        report(Diagnostic(.warning, code.rawValue, message, at: range, mend: mend))
    }

    /// An unknown name with the nearest known one as its mend.
    func unknown(_ code: BinderCode, _ what: String, _ name: String, _ range: SourceRange, among known: [String]) {
        if let near = Suggestion.nearest(name, in: known) {
            error(
                code, "unknown \(what) `\(name)`", range, mend: "did you mean `\(near)`?",
                fixIts: [Diagnostic.FixIt(range: range, replacement: near)])
        } else {
            error(code, "unknown \(what) `\(name)`", range)
        }
    }
}

/// A function by its body and the environment it was made in.
struct FunctionKey: Hashable {
    let body: ObjectIdentifier
    let home: ObjectIdentifier
}

/// Nearest names for mends.
enum Suggestion {
    /// The name that differs in case only, else the nearest within a third of its length in edits; nil if none is near.
    static func nearest(_ name: String, in known: [String]) -> String? {
        let lower = name.lowercased()
        var best: (distance: Int, name: String)?
        let a = Array(lower.utf8.prefix(64))
        let limit = max(1, a.count / 3)
        for candidate in known {
            let k = candidate.lowercased()
            if k == lower { return candidate }
            let b = Array(k.utf8.prefix(64))
            if abs(a.count - b.count) > limit { continue }
            let d = distance(a, b, limit: limit)
            if d <= limit, best.map({ d < $0.distance || (d == $0.distance && candidate < $0.name) }) ?? true { best = (d, candidate) }
        }
        return best?.name
    }

    /// Edits (insertions, deletions, replacements, swaps of neighbours) between two short texts; more than `limit` counts as one more.
    private static func distance(_ a: [UInt8], _ b: [UInt8], limit: Int) -> Int {
        var before: [Int] = []
        var previous = Array(0...b.count)
        for i in 0..<a.count {
            var current = [i + 1]
            current.reserveCapacity(b.count + 1)
            for j in 0..<b.count {
                var d = min(previous[j] + (a[i] == b[j] ? 0 : 1), previous[j + 1] + 1, current[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { d = min(d, before[j - 1] + 1) }
                current.append(d)
            }
            if (current.min() ?? 0) > limit { return limit + 1 }
            before = previous
            previous = current
        }
        return previous.last ?? 0
    }
}

/// Parsing and binding in one step.
public enum KQLCompiler {
    /// The bound form of a query's text, with the findings of both steps.
    public static func bind(
        _ text: String, functions: any FunctionCatalog, schemas: any SchemaCatalog, options: BinderOptions = BinderOptions()
    ) -> BoundQuery {
        Binder(functions: functions, schemas: schemas, options: options).bind(SyntaxTree.parse(text))
    }
}
