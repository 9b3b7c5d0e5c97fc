import Columnar
import Evaluation
import KQL
import Matcher

/// How a rule's suffix is evaluated from panes instead of rows (`docs/semantics.md`, "State, checkpoint, delivery").
///
/// A `summarize` over legs, through row-local operators only, becomes a table of the remaining suffix whose rows are the groups of the tick's
/// window. Conservative: a summarize that is not proved to be a function of the multiset of its legs' rows reads rows, as everything else.
struct PanePlan: Sendable {
    /// A summarize that is kept by panes.
    struct Node: Sendable {
        let plan: Plan
        /// Legs that it reads, with the way of their rows; in the order of a union's branches.
        let inputs: [(leg: Int, input: PaneInput)]
        /// Names of the aggregates, and the number of keys.
        var aggregates: [String] { if case .summarize(_, _, let a) = plan.kind { a.map(\.name) } else { [] } }
        var keys: Int { if case .summarize(_, let k, _) = plan.kind { k.count } else { 0 } }
        static func name(_ index: Int) -> String { "$panes\(index)" }
    }

    let nodes: [Node]
    /// Joins whose sides are rows of legs.
    let joins: [JoinPlan]
    /// The suffix over the nodes' groups, the joins' sides and the legs that keep rows.
    let suffix: Plan
    /// The suffix over legs alone, pruned as ``suffix`` is.
    let rowSuffix: Plan
    /// Over the same rows the suffix gives the same at any tick.
    let isRepeatable: Bool
    /// For each leg, what a tick sees of it; nil where its horizon is none of fixed bounds.
    let views: [PaneView?]
    let clocks: [PaneClock]
    /// Legs whose rows the suffix reads itself.
    let rowLegs: Set<Int>
    /// Why a summarize reads rows, in words; nil if none does.
    let obstacle: String?
    /// Why a join reads all rows of its sides at each tick, in words.
    let joinObstacles: [String]

    /// The plan of a split query; without nodes where nothing is decomposable.
    init(_ split: SplitQuery, clock: TickClock, functions: any FunctionCatalog) {
        views = split.legs.map { PanePlan.view($0, clock) }
        clocks = views.map { v in
            PaneClock(anchor: clock.anchor, frequency: clock.frequency, offsets: (v?.bounds ?? []).map(\.offset))
        }
        let cutter = PaneCutter(split, views: views, functions: functions)
        let cut = cutter.cut(split.suffix)
        nodes = cutter.nodes
        suffix = PlanRewriter.prune(cut)
        rowSuffix = PlanRewriter.prune(split.suffix)
        isRepeatable = views.allSatisfy { $0 != nil } && PanePlan.isRepeatable(split.suffix, functions: functions)
        joins = cutter.joins
        obstacle = cutter.obstacle
        joinObstacles = cutter.joinObstacles
        var read: Set<Int> = Set(cutter.joins.flatMap { $0.sides.flatMap { $0.inputs.map(\.leg) } })
        PlanTools.forEachTable(cut) { name, _ in
            for leg in split.legs where Leg.storeName(leg.index) == name { read.insert(leg.index) }
        }
        rowLegs = read
    }

    private static func isRepeatable(_ plan: Plan, functions: any FunctionCatalog) -> Bool {
        var result = true
        PlanTools.forEachNode(plan) { node in
            switch node.kind {
            case .sample, .custom: result = false
            default: break
            }
            for e in PlanTools.expressions(node) {
                let t = ExpressionTraits(e, functions: functions)
                if t.usesNow || t.isVolatile { result = false }
            }
        }
        return result
    }

    // MARK: Words

    /// The strategy in a line, and what it is made of in further ones.
    func description(_ split: SplitQuery, clock: TickClock, isRowLocal: Bool) -> [String] {
        if isRowLocal { return ["row-local: each row that matches alerts; rows are kept for the window, to find episodes"] }
        let rows = rowLegs.sorted().map { split.legs[$0] }
        var out: [String] = []
        if nodes.isEmpty {
            out.append("rows: the query is run over the window's rows at each tick")
        } else if rows.isEmpty {
            out.append("panes: groups are kept, no rows; a tick merges panes")
        } else {
            out.append("panes and rows: groups are kept where they can be, rows for the rest")
        }
        for n in nodes {
            let tables = n.inputs.map { "\(split.legs[$0.leg].table) \(PanePlan.words(views[$0.leg]))" }
            let holds = n.aggregates.isEmpty ? "distinct keys" : n.aggregates.joined(separator: ", ")
            out.append("groups of \(tables.joined(separator: ", ")): \(holds) by \(n.keys) keys")
        }
        for leg in rows { out.append("rows of \(leg.table) \(PanePlan.words(views[leg.index])): \(leg.columns.count) columns") }
        let ticks = clock.ticksOfRow
        out += joins.map {
            ticks >= DetectionOptions().joinIndexTicks
                ? $0.words(split.legs)
                : "join kind=\($0.kind) of rows: all rows are read at each tick: only \(ticks) ticks read a row, which costs less than an index"
        }
        out += joinObstacles
        if let obstacle { out.append("why rows: \(obstacle)") }
        if PanePlan.countsDistinct(split.suffix) {
            out.append(
                "dcount: exact up to 100,000 values a group, then an estimate whose standard error is 1.6, 0.8, 0.4, 0.28 or 0.2 % at accuracy 0 to 4 (1 where none is given)"
            )
        }
        return out
    }

    private static func countsDistinct(_ plan: Plan) -> Bool {
        var found = false
        PlanTools.forEachNode(plan) { node in
            if case .summarize(_, _, let aggregates) = node.kind { found = found || aggregates.contains { $0.name.hasPrefix("dcount") } }
        }
        return found
    }

    private static func words(_ view: PaneView?) -> String {
        guard let view else { return "in the window, by a horizon that is evaluated for each row" }
        func span(_ t: Int64) -> String { KustoTime.timespanString(t.magnitude > Int64.max ? 0 : Swift.abs(t)) }
        let low = view.bounds.filter(\.isLower).map(\.offset).max() ?? 0
        let high = view.bounds.filter { !$0.isLower }.map(\.offset).min() ?? 0
        return "from \(span(low)) to \(high == 0 ? "0" : span(high)) before the tick"
    }

    // MARK: Views

    /// The window and the leg's horizon as bounds at fixed distances from the tick.
    private static func view(_ leg: Leg, _ clock: TickClock) -> PaneView? {
        var bounds = [
            PaneView.Bound(offset: -clock.period, isLower: true, isClosed: true),
            PaneView.Bound(offset: 0, isLower: false, isClosed: true),
        ]
        for h in leg.horizon {
            guard let time = leg.timeColumn, let more = PanePlan.bounds(h, time) else { return nil }
            bounds += more
        }
        return PaneView(bounds)
    }

    private static func bounds(_ e: BoundExpr, _ time: ColumnID) -> [PaneView.Bound]? {
        guard case .call(let op, let args) = e.kind else { return nil }
        func isTime(_ e: BoundExpr) -> Bool { if case .column(time) = e.kind { true } else { false } }
        switch op {
        case "and":
            var all: [PaneView.Bound] = []
            for a in args {
                guard let more = bounds(a, time) else { return nil }
                all += more
            }
            return all
        case "<", "<=", ">", ">=":
            guard args.count == 2 else { return nil }
            let timeFirst = isTime(args[0])
            guard timeFirst != isTime(args[1]), let offset = offset(timeFirst ? args[1] : args[0]) else { return nil }
            return [PaneView.Bound(offset: offset, isLower: op.hasPrefix(">") == timeFirst, isClosed: op.hasSuffix("="))]
        case "between":
            guard args.count == 3, isTime(args[0]), let low = offset(args[1]), let high = offset(args[2]) else { return nil }
            return [
                PaneView.Bound(offset: low, isLower: true, isClosed: true), PaneView.Bound(offset: high, isLower: false, isClosed: true),
            ]
        default: return nil
        }
    }

    /// The distance from now of an expression that is now plus a constant.
    private static func offset(_ e: BoundExpr) -> Int64? {
        guard e.type == .datetime, case .call(let op, let args) = e.kind else { return nil }
        if op == "now", args.isEmpty { return 0 }
        guard op == "+" || op == "-", args.count == 2, let base = offset(args[0]), case .constant(.timespan(let span)) = args[1].kind else {
            return nil
        }
        let (sum, overflow) = op == "+" ? base.addingReportingOverflow(span) : base.subtractingReportingOverflow(span)
        // Farther than any log: the arithmetic of ticks must not overflow.
        return overflow || sum.magnitude > UInt64(Int64.max / 8) ? nil : sum
    }
}

/// Finds the summarizes of a suffix that can be kept by panes, and puts tables in their place.
private final class PaneCutter {
    private let split: SplitQuery
    private let views: [PaneView?]
    private let functions: any FunctionCatalog
    private(set) var nodes: [PanePlan.Node] = []
    private(set) var joins: [JoinPlan] = []
    private(set) var obstacle: String?
    private(set) var joinObstacles: [String] = []
    private var shared: [Int: SharedPlan] = [:]

    init(_ split: SplitQuery, views: [PaneView?], functions: any FunctionCatalog) {
        self.split = split
        self.views = views
        self.functions = functions
    }

    func cut(_ plan: Plan) -> Plan {
        switch plan.kind {
        case .summarize(let input, let keys, let aggregates):
            if let inputs = inputs(input), reason(keys, aggregates) == nil {
                nodes.append(PanePlan.Node(plan: plan, inputs: inputs))
                return Plan(.table(name: PanePlan.Node.name(nodes.count - 1)), columns: plan.columns, range: plan.range)
            }
            if obstacle == nil, readsLeg(input) {
                obstacle = reason(keys, aggregates) ?? "a summarize stands over more than row-local operators"
            }
        case .shared(let s):
            let again = shared[s.id] ?? SharedPlan(id: s.id, plan: cut(s.plan))
            shared[s.id] = again
            return Plan(.shared(again), columns: plan.columns, range: plan.range)
        case .join(let kind, let left, let right, let keys):
            if let plan = indexed(plan, kind, left, right, keys) { return plan }
        default: break
        }
        return PlanTools.mapChildren(plan, plans: { self.cut($0) }, exprs: { self.cut($0) })
    }

    private func cut(_ e: BoundExpr) -> BoundExpr {
        ExpressionTraits(e, functions: functions).hasSubquery ? e.replacing(columns: [:]) { self.cut($0) } : e
    }

    // MARK: Joins

    /// A join whose sides are rows of legs, over tables that may leave out rows without a partner; nil for any other.
    private func indexed(_ plan: Plan, _ kind: JoinKind, _ left: Plan, _ right: Plan, _ keys: [JoinKey]) -> Plan? {
        let known = obstacle
        defer { obstacle = known }
        guard let a = rowPaths(left), let b = rowPaths(right) else {
            let rows = [left, right].contains { rowPaths($0) != nil }
            if rows { joinObstacles.append("join kind=\(kind): all rows are read at each tick: the other side is no rows of tables") }
            return nil
        }
        guard kind != .fullouter else {
            joinObstacles.append("join kind=fullouter: all rows are read at each tick: all are results")
            return nil
        }
        let usable = keys.allSatisfy { k in
            k.left.type == k.right.type && [k.left, k.right].allSatisfy { ExpressionTraits($0, functions: functions).isRowLocal }
        }
        guard !keys.isEmpty, usable else {
            joinObstacles.append(
                "join kind=\(kind): all rows are read at each tick: its keys are not of one type, or not of their rows alone")
            return nil
        }
        let number = joins.count
        func side(_ n: Int, _ paths: [(leg: Int, steps: [PaneInput.Step])], _ plan: Plan, _ keys: [BoundExpr]) -> JoinPlan.Side {
            JoinPlan.Side(
                inputs: paths.map { ($0.leg, PaneInput(steps: $0.steps)) }, columns: plan.columns, keys: keys,
                isReduced: JoinPlan.reduces(kind, side: n))
        }
        let join = JoinPlan(kind: kind, left: side(0, a, left, keys.map(\.left)), right: side(1, b, right, keys.map(\.right)))
        joins.append(join)
        func source(_ n: Int, _ plan: Plan, _ side: JoinPlan.Side) -> Plan {
            guard side.isReduced else { return cut(plan) }
            var input = 0
            return renamed(plan) {
                defer { input += 1 }
                return JoinPlan.name(number, side: n, input: input)
            }
        }
        return Plan(
            .join(kind, source(0, left, join.left), source(1, right, join.right), keys: keys), columns: plan.columns, range: plan.range)
    }

    /// As ``paths(_:)``, where rows cannot be had by panes: their horizons do not matter.
    private func rowPaths(_ plan: Plan) -> [(leg: Int, steps: [PaneInput.Step])]? { paths(plan, anyHorizon: true) }

    /// The plan of a side with other names for its tables, in the order of ``paths(_:anyHorizon:)``. What is shared is its own from here on:
    /// others read the same rows whole.
    private func renamed(_ plan: Plan, _ name: () -> String) -> Plan {
        switch plan.kind {
        case .table: return Plan(.table(name: name()), columns: plan.columns, range: plan.range)
        case .shared(let s):
            let inner = renamed(s.plan, name)
            let columns = zip(s.plan.columns, plan.columns).map { from, _ in BoundExpr(.column(from.id), from.type, plan.range) }
            return Plan(.project(inner, columns), columns: plan.columns, range: plan.range)
        default: return PlanTools.mapChildren(plan, plans: { renamed($0, name) }, exprs: { $0 })
        }
    }

    private func readsLeg(_ plan: Plan) -> Bool {
        var found = false
        PlanTools.forEachTable(plan) { _, _ in found = true }
        return found
    }

    /// Why a summarize is no function of its rows alone.
    private func reason(_ keys: [BoundExpr], _ aggregates: [BoundAggregate]) -> String? {
        for e in keys + aggregates.flatMap(\.arguments) {
            let t = ExpressionTraits(e, functions: functions)
            if t.usesNow { return "a summarize reads now()" }
            if t.hasSubquery { return "a summarize reads another query" }
            if t.isVolatile { return "a summarize is not deterministic" }
        }
        return nil
    }

    /// The legs under a summarize's input, if only row-local operators and unions lie between.
    private func inputs(_ plan: Plan) -> [(leg: Int, input: PaneInput)]? {
        guard let paths = paths(plan) else { return nil }
        return paths.map { ($0.leg, PaneInput(steps: $0.steps)) }
    }

    private func paths(_ plan: Plan, anyHorizon: Bool = false) -> [(leg: Int, steps: [PaneInput.Step])]? {
        switch plan.kind {
        case .table(let name):
            guard let leg = split.legs.first(where: { Leg.storeName($0.index) == name }), anyHorizon || views[leg.index] != nil else {
                if obstacle == nil { obstacle = "a horizon is not at a fixed distance from now()" }
                return nil
            }
            let positions = plan.columns.map { c in leg.columns.firstIndex { $0.id == c.id } }
            if positions == Array(leg.columns.indices) { return [(leg.index, [])] }
            return [(leg.index, [.pick(positions: positions, types: plan.columns.map(\.type))])]
        case .shared(let s):
            // Columns correspond by position.
            return s.plan.columns.map(\.type) == plan.columns.map(\.type) ? paths(s.plan, anyHorizon: anyHorizon) : nil
        case .filter(let input, let predicate):
            guard ExpressionTraits(predicate, functions: functions).isRowLocal else { return nil }
            return paths(input, anyHorizon: anyHorizon)?.map { ($0.leg, $0.steps + [.filter(predicate, input.columns)]) }
        case .project(let input, let exprs):
            guard exprs.allSatisfy({ ExpressionTraits($0, functions: functions).isRowLocal }) else { return nil }
            return paths(input, anyHorizon: anyHorizon)?.map { ($0.leg, $0.steps + [.project(exprs, input.columns)]) }
        case .union(let branches, let map, nil):
            var all: [(leg: Int, steps: [PaneInput.Step])] = []
            for (i, branch) in branches.enumerated() {
                guard map.indices.contains(i), let below = paths(branch, anyHorizon: anyHorizon) else { return nil }
                let pick = PaneInput.Step.pick(positions: map[i], types: plan.columns.map(\.type))
                all += below.map { ($0.leg, $0.steps + [pick]) }
            }
            return all
        default: return nil
        }
    }
}
