import Columnar
import KQL
import Testing

/// Names and types of results, as Kusto derives them.
@Suite struct BinderSchemaTests {
    static let cases: [(String, String)] = [
        // Default names
        ("print 1, x = 'a', strcat('a', 'b'), now()", "print_0:long, x:string, print_2:string, print_3:datetime"),
        ("T | project a, d.x.y, d['k'], d.list[0], tostring(d.z)", "a:long, d_x_y:dynamic, d_k:dynamic, d_list_0:dynamic, d_z:string"),
        (
            "T | project bin(TimeGenerated, 1h), strlen(b), a + 1, tolower(b)",
            "TimeGenerated:datetime, strlen_b:long, Column1:long, Column2:string"
        ),
        ("T | project parse_json(b).x, tolower(b), x = 1, split(b, '.')[1]", "b_x:dynamic, Column1:string, x:long, b_1:dynamic"),
        ("T | project (a), ['b'], round(r, 2)", "a:long, b:string, r:real"),
        ("T | project a, todouble(a), tolong(i)", "a:long, a1:real, i:long"),
        ("T | project a | extend a + 1, a * 2, Column2 = 'x'", "a:long, Column1:long, Column2:string"),
        ("T | project a | extend bin(a, 10)", "a:long"),
        // Each list of columns counts for itself, however often a let is bound.
        ("T | project a + 1 | project Column1 + 1, -Column1", "Column1:long, Column2:long"),
        ("T | project a + 1 | extend Column1 + 1", "Column1:long, Column2:long"),
        ("T | project a + 1 | project Column1 + 1, Column1", "Column2:long, Column1:long"),
        ("T | project a + 1, Column1 = 'x' | project Column1, -Column2", "Column1:string, Column2:long"),
        ("let A = T | project a + 1; let B = T | project a * 2; union A, B", "Column1:long"),
        ("let A = T | project a + 1; A | join kind=inner A on Column1", "Column1:long, Column11:long"),
        ("T | where toscalar(T | project a + 1 | take 1) > 0 | project -a", "Column1:long"),
        ("T | project b | extend n = strlen(b), b = 'z'", "b:string, n:long"),
        // Types
        ("T | project i + 1, x = i + i, a / 2, a / 2.0, r % 2", "Column1:long, x:long, Column2:long, Column3:real, Column4:real"),
        (
            "T | project x = TimeGenerated - 1h, y = now() - TimeGenerated, z = 1h / 1m, w = 2 * 1h, v = 1h / 2",
            "x:datetime, y:timespan, z:real, w:timespan, v:timespan"
        ),
        ("T | project x = d.n + 1, y = d.n * 2.5, z = d.a + d.b, w = TimeGenerated - d.t", "x:long, y:real, z:dynamic, w:datetime"),
        ("T | project x = -i, y = -r, z = -1h, w = -d.n", "x:long, y:real, z:timespan, w:dynamic"),
        ("T | project x = a > 1 and f, y = b has 'x', z = a in (1, 2), w = not(f)", "x:bool, y:bool, z:bool, w:bool"),
        (
            "T | project x = iff(f, 1, 2.5), y = iff(f, d.x, 'n'), z = case(f, i, a), w = case(a == 1, 1h, 2h)",
            "x:real, y:string, z:long, w:timespan"
        ),
        (
            "T | project x = coalesce(i, a), y = coalesce(b, 'x'), z = iff(f, long(null), 'x'), w = iff(f, b, '')",
            "x:long, y:string, z:string, w:string"
        ),
        ("T | project x = extract('a(.)', 1, b, typeof(long)), y = extract('a(.)', 1, b)", "x:long, y:string"),
        // Columns
        ("T | project-away a*, d, T*", "b:string, r:real, f:bool, g:guid, i:int"),
        ("T | project-keep i, a", "a:long, i:int"),
        ("T | project-rename z = a, y = b | project y, z", "y:string, z:long"),
        ("T | project a, b, r, i | project-reorder r, * desc", "r:real, i:int, b:string, a:long"),
        ("T | project a, b, r | project-reorder b", "b:string, a:long, r:real"),
        ("T | distinct a, x = b", "a:long, x:string"),
        ("T | count", "Count:long"),
        ("T | count as n", "n:long"),
        ("Small | getschema", "ColumnName:string, ColumnOrdinal:int, DataType:string, ColumnType:string"),
        ("Small | project-by-names dynamic(['v', 'zz']), 'k'", "v:long, k:string"),
        ("T | sample-distinct 5 of b", "b:string"),
        // Summarize
        (
            "T | summarize count(), count(), dcount(b), x = sum(i), avg(r), max(b) by a",
            "a:long, count_:long, count_1:long, dcount_b:long, x:long, avg_r:real, max_b:string"
        ),
        ("T | summarize by a, bin(TimeGenerated, 1h)", "a:long, TimeGenerated:datetime"),
        (
            "T | summarize countif(a > 1), make_set(b), make_list(d.x, 10), min(d.t) by k = strlen(b)",
            "k:long, countif_:long, set_b:dynamic, list_d_x:dynamic, min_d_t:dynamic"
        ),
        ("Small | summarize arg_max(v, *) by k", "k:string, v:long"),
        ("Small | summarize arg_max(v, k)", "v:long, k:string"),
        ("Small | summarize x = arg_max(v, *)", "x:long, k:string"),
        ("Small | summarize (x, y) = arg_max(v, k)", "x:long, y:string"),
        ("Small | summarize arg_max(v + 1, k, strcat(k, 'x'))", "max_:long, k:string, max__arg2:string"),
        ("Small | summarize argmax(v, k)", "max_v:long, max_v_k:string"),
        ("Small | summarize take_any(*) by k", "k:string, v:long"),
        ("Small | summarize take_any(v, k), any(v), any(k, v)", "v:long, k:string, any_v:long, k1:string, v1:long"),
        ("T | summarize percentiles(r, 5, 99.9)", "percentile_r_5:real, percentile_r_99_9:real"),
        (
            "T | summarize ratio = 1.0 * countif(f) / count(), round(avg(r), 2), sum(a) + 1 by b",
            "b:string, ratio:real, avg_r:real, Column1:long"
        ),
        ("T | summarize tostring(make_set(b)), strcat('n', count())", "set_b:string, Column1:string"),
        // Joins
        ("Small | join kind=inner SmallToo on k", "k:string, v:long, k1:string, v1:real"),
        ("Small | join SmallToo on $left.k == $right.k | project k, k1", "k:string, k1:string"),
        ("Small | join kind=leftanti SmallToo on k", "k:string, v:long"),
        ("Small | join kind=rightsemi SmallToo on k", "k:string, v:real"),
        ("Small | join kind=anti (SmallToo | where v > 1) on k, $left.v == $right.v", "k:string, v:long"),
        ("Small | join kind=leftouter hint.strategy=shuffle (Small | project k, n = v) on k", "k:string, v:long, k1:string, n:long"),
        ("Small | lookup SmallToo on k", "k:string, v:long, v1:real"),
        ("Small | lookup kind=inner (U | project u, a) on $left.k == $right.u", "k:string, v:long, a:long"),
        // Unions
        ("union Small, (Small | extend x = 1)", "k:string, v:long, x:long"),
        ("union Small, SmallToo", "k:string, v_long:long, v_real:real"),
        ("union kind=inner Small, SmallToo", "k:string"),
        ("Small | union withsource=Src SmallToo", "Src:string, k:string, v_long:long, v_real:real"),
        ("union Small*", "k:string, v_long:long, v_real:real"),
        ("union isfuzzy=true Small, Missing, (AlsoMissing | where x > 1)", "k:string, v:long"),
        (
            "let v1 = view () { print x = 1 }; let v2 = view () { print x = toint(2) }; let v3 = view () { print x_long = 3 }; union v1, v2, v3",
            "x_long1:long, x_int:int, x_long:long"
        ),
        // Expansion and parsing
        ("T | project a, d | mv-expand d", "a:long, d:dynamic"),
        ("T | project a, d | mv-expand e = d to typeof(long), d.x", "a:long, d:dynamic, e:long, d_x:dynamic"),
        ("T | project d | mv-expand with_itemindex=n d", "d:dynamic, n:long"),
        ("T | project a, d | mv-apply e = d to typeof(long) on (top 1 by e)", "a:long, d:dynamic, e:long"),
        ("T | project a, d | mv-apply d on (summarize n = count())", "a:long, n:long"),
        ("T | project a, d | mv-apply d on (where d.x == 'y' | extend z = tostring(d.z))", "a:long, d:dynamic, z:string"),
        ("Small | parse k with 'a' x:long * 'b' v", "k:string, v:string, x:long"),
        ("Small | parse-where kind=regex k with 'a' x:real '.*'", "k:string, v:long, x:real"),
        // Sources
        ("range x from 1 to 10 step 1", "x:long"),
        ("range x from 1 to 10 step 0.5", "x:real"),
        ("range x from ago(1d) to now() step 1h", "x:datetime"),
        ("datatable(a: string, t: datetime)['x', datetime(2020-01-01), 'y', '2021-02-03']", "a:string, t:datetime"),
        ("table('Small') | take 1", "k:string, v:long"),
        // Lets and functions
        ("let n = 5; let big = T | where a > n; big | project a", "a:long"),
        ("let f = (x: long, y: string = 'q') { strcat(x, y) }; T | project z = f(a), w = f(y='p', x=i)", "z:string, w:string"),
        ("let f = (t: (a: long), n: long) { t | where a > n | project a }; f(T, 3)", "a:long"),
        ("let f = (t: (*)) { t | take 1 }; Small | invoke f()", "k:string, v:long"),
        ("let f = (x: long) { let y = x * 2; y + 1 }; T | project z = f(a)", "z:long"),
        (
            "let Va = view () { print x = 1 }; let Vb = view () { print y = 'a' }; let W = view () { print z = 1 }; union V*",
            "x:long, y:string"
        ),
        ("let v = view () { Small }; v | project k", "k:string"),
        ("let x = 1; let x = 'a'; print x", "print_0:string"),
        ("let a = 'shadowed'; T | project a", "a:long"),
        ("let m = materialize(Small); m | join (m | project k) on k", "k:string, v:long, k1:string"),
        ("Small | as S | union (S | project k)", "k:string, v:long"),
        ("print x = toscalar(Small | summarize max(v)), y = toscalar(1)", "x:long, y:long"),
        ("T | project column_ifexists('a', ''), x = column_ifexists('zz', 'none')", "a:long, x:string"),
        ("T | where ingestion_time() > ago(1h) | project x = ingestion_time()", "x:datetime"),
        ("T | project x = pack_all(), y = bag_pack_columns(a, b)", "x:dynamic, y:dynamic"),
        // Row functions
        ("Small | serialize n = row_number(), p = prev(v)", "k:string, v:long, n:long, p:long"),
        ("Small | sort by v | where v > prev(v)", "k:string, v:long"),
        // Plugins and series
        ("T | project a, d | evaluate bag_unpack(d) : (*, k: string)", "a:long, k:string"),
        ("T | project a, b | evaluate pivot(b, count()) : (a: long, x: long, y: long)", "a:long, x:long, y:long"),
        ("Small | evaluate ipv4_lookup(U, k, u)", "k:string, v:long, TimeGenerated:datetime, a:long, b:long, u:string"),
        (
            "T | make-series n = count() default = 0, avg(r) on TimeGenerated from ago(1d) to now() step 1h by b",
            "b:string, n:dynamic, avg_r:dynamic, TimeGenerated:dynamic"
        ),
        ("T | partition by b (top 1 by a | project a, b)", "a:long, b:string"),
        ("T | project series_fit_line(d)", "series_fit_line_d_rsquare:real, series_fit_line_d_slope:real"),
        ("T | project d | extend (x, y) = series_fit_line(d)", "d:dynamic, x:real, y:real"),
        ("T | project array_sort_asc(d), z = array_sort_asc(d.x)", "d_sorted:dynamic, z:dynamic"),
        ("T | project array_sort_asc(d, d.x)", "d_sorted:dynamic, d_x_sorted:dynamic"),
        ("T | summarize percentiles(i, 50), covariance(a, r)", "percentile_i_50:long, covariance_a_r:real"),
    ]

    @Test(arguments: cases)
    func schema(_ query: String, _ expected: String) {
        #expect(bindFixture(query).schema == expected, "\(query)")
    }

    /// What holds of every plan: columns resolve in the input, lists have the schema's length, operand types agree.
    @Test(arguments: cases.map(\.0))
    func invariants(_ query: String) throws {
        let bound = bindFixture(query)
        let plan = try #require(bound.plan)
        var checker = PlanChecker(limit: bound.nextColumnID)
        checker.check(plan, source: nil)
        #expect(checker.problems == [], "\(query)\n\(plan.dump())")
    }
}

/// Checks the invariants that `Bound.swift` states.
struct PlanChecker {
    let limit: ColumnID
    var problems: [String] = []

    init(limit: ColumnID) { self.limit = limit }

    mutating func check(_ plan: Plan, source: [BoundColumn]?) {
        if Set(plan.columns.map(\.name)).count != plan.columns.count { problems.append("names repeat: \(plan.columns.map(\.name))") }
        for c in plan.columns where c.id >= limit { problems.append("identity \(c.id) is not below \(limit)") }
        switch plan.kind {
        case .table, .rows: break
        case .print(let e): expect(e, [], plan)
        case .range(let f, let t, let s): for e in [f, t, s] { check(e, []) }
        case .filter(let p, let e):
            same(p, plan, "filter")
            check(e, p.columns)
            if e.type != .bool { problems.append("filter is \(e.type)") }
            check(p, source: source)
        case .project(let p, let e):
            expect(e, p.columns, plan)
            check(p, source: source)
        case .summarize(let p, let keys, let aggregates):
            let outputs = aggregates.flatMap(\.outputs)
            if plan.columns.count != keys.count + outputs.count { problems.append("summarize has \(plan.columns.count) columns") }
            if Array(plan.columns.suffix(outputs.count)) != outputs { problems.append("summarize outputs differ") }
            for e in keys + aggregates.flatMap(\.arguments) { check(e, p.columns) }
            check(p, source: source)
        case .sort(let p, let keys), .top(let p, _, let keys):
            same(p, plan, "sort")
            for k in keys { check(k.expr, p.columns) }
            check(p, source: source)
        case .take(let p, let e), .sample(let p, let e):
            same(p, plan, "take")
            check(e, [])
            check(p, source: source)
        case .join(let kind, let l, let r, let keys):
            for k in keys {
                check(k.left, l.columns)
                check(k.right, r.columns)
                if k.left.type != k.right.type { problems.append("join key types differ") }
            }
            let ids: [ColumnID]
            switch kind {
            case .leftanti, .leftsemi: ids = l.columns.map(\.id)
            case .rightanti, .rightsemi: ids = r.columns.map(\.id)
            default: ids = (l.columns + r.columns).map(\.id)
            }
            if plan.columns.map(\.id) != ids { problems.append("join columns differ") }
            if !Set(l.columns.map(\.id)).isDisjoint(with: r.columns.map(\.id)) { problems.append("sides share identities") }
            check(l, source: source)
            check(r, source: source)
        case .union(let branches, let map, let names):
            if map.count != branches.count || (names.map { $0.count != branches.count } ?? false) { problems.append("union map") }
            for (b, m) in zip(branches, map) {
                if m.count != plan.columns.count { problems.append("union map width") }
                for (j, at) in m.enumerated() {
                    if let at, b.columns[at].type != plan.columns[j].type { problems.append("union type at \(j)") }
                }
                check(b, source: source)
            }
        case .mvExpand(let p, let items, let outputs, _, _):
            expand(p, items, outputs, plan.columns)
            check(p, source: source)
        case .mvApply(let p, let items, let outputs, _, let body):
            var leaf = body
            while let inner = PlanChecker.input(leaf) { leaf = inner }
            if case .subquerySource = leaf.kind { expand(p, items, outputs, leaf.columns) }
            let known = Set((p.columns + body.columns).map(\.id))
            for c in plan.columns where !known.contains(c.id) { problems.append("mv-apply column \(c.name) has no source") }
            check(p, source: source)
            check(body, source: leaf.columns)
        case .subquerySource:
            if source == nil { problems.append("subquery source outside") }
        case .parse(let p, let parse, let outputs):
            check(parse.source, p.columns)
            if parse.source.type != .string { problems.append("parse of \(parse.source.type)") }
            if outputs.count != plan.columns.count { problems.append("parse outputs") }
            check(p, source: source)
        case .serialize(let p):
            same(p, plan, "serialize")
            check(p, source: source)
        case .shared(let s):
            if s.plan.columns.map(\.type) != plan.columns.map(\.type) { problems.append("shared columns differ") }
            if !Set(s.plan.columns.map(\.id)).isDisjoint(with: plan.columns.map(\.id)) { problems.append("shared identities repeat") }
            check(s.plan, source: source)
        case .getschema(let p): check(p, source: source)
        case .custom(let name, let inputs, let arguments, _):
            if name != "ipv4_lookup" { for a in arguments { check(a, inputs.first?.columns ?? []) } }
            for (i, p) in inputs.enumerated() { check(p, source: name == "partition" && i == 1 ? inputs[0].columns : source) }
        }
    }

    private static func input(_ p: Plan) -> Plan? {
        switch p.kind {
        case .filter(let i, _), .project(let i, _), .summarize(let i, _, _), .sort(let i, _), .top(let i, _, _), .take(let i, _),
            .serialize(let i):
            i
        default: nil
        }
    }

    private mutating func same(_ p: Plan, _ plan: Plan, _ what: String) {
        if p.columns != plan.columns { problems.append("\(what) changes columns") }
    }

    private mutating func expect(_ e: [BoundExpr], _ input: [BoundColumn], _ plan: Plan) {
        if e.count != plan.columns.count { problems.append("\(e.count) expressions for \(plan.columns.count) columns") }
        for (x, c) in zip(e, plan.columns) {
            if x.type != c.type { problems.append("column \(c.name) is \(c.type), its expression \(x.type)") }
            if case .column(let id) = x.kind, id != c.id { problems.append("column \(c.name) passes unchanged but has a new identity") }
            check(x, input)
        }
    }

    private mutating func expand(_ p: Plan, _ items: [BoundMvItem], _ outputs: [MvOutput], _ columns: [BoundColumn]) {
        if outputs.count != columns.count { problems.append("expansion outputs") }
        for (o, c) in zip(outputs, columns) {
            switch o {
            case .input(let i): if p.columns[i].id != c.id { problems.append("expansion input \(i)") }
            case .item(let i): if items[i].type != c.type { problems.append("expansion item \(i)") }
            case .index: if c.type != .long { problems.append("expansion index") }
            }
        }
        for i in items {
            check(i.expr, p.columns)
            if i.expr.type != .dynamic { problems.append("expansion of \(i.expr.type)") }
        }
    }

    private mutating func check(_ e: BoundExpr, _ input: [BoundColumn]) {
        switch e.kind {
        case .constant(let v): if v.type != e.type { problems.append("constant \(v.type) typed \(e.type)") }
        case .column(let id):
            guard let c = input.first(where: { $0.id == id }) else {
                problems.append("column #\(id) is not in the input")
                return
            }
            if c.type != e.type { problems.append("column #\(id) is \(c.type), read as \(e.type)") }
        case .call(let name, let args):
            for a in args { check(a, input) }
            if ["==", "!=", "<", "<=", ">", ">=", "between", "!between"].contains(name) {
                let types = Set(args.map(\.type)).subtracting([.dynamic])
                if types.count > 1 { problems.append("\(name) over \(types)") }
            }
            if ["has", "contains", "startswith", "=~", "has_any", "matches regex"].contains(name), args.first?.type != .string {
                problems.append("\(name) of \(args.first?.type.rawValue ?? "nothing")")
            }
            if ["and", "or", "not"].contains(name), !args.allSatisfy({ $0.type == .bool }) { problems.append("\(name) of no bool") }
        case .member(let b, _):
            if b.type != .dynamic { problems.append("member of \(b.type)") }
            check(b, input)
        case .element(let b, let i):
            check(b, input)
            check(i, input)
        case .scalarQuery(let p): check(p, source: nil)
        case .inQuery(_, let l, let p):
            check(l, input)
            check(p, source: nil)
        }
    }
}
