import Columnar
import KQL
import Testing

/// Conversions made explicit, lists flattened, lets inlined. Columns of `T`: #0 TimeGenerated, #1 a (long), #2 b (string), #3 d (dynamic),
/// #4 r (real), #5 f (bool), #6 g (guid), #7 i (int).
@Suite struct BinderExpressionTests {
    static let conditions: [(String, String)] = [
        ("a == 1", "==(#1, 1)"),
        ("a > 1.5", ">(todouble(#1), 1.5)"),
        ("i == 5", "==(tolong(#7), 5)"),
        ("a == '7'", "==(#1, 7)"),
        ("b == 7", "==(#2, '7')"),
        ("f == 'true'", "==(#5, true)"),
        ("f == 1", "==(tolong(#5), 1)"),
        ("TimeGenerated > '2024-01-02'", ">(#0, 2024-01-02T00:00:00.0000000Z)"),
        ("g == '12345678-1234-1234-1234-123456789012'", "==(#6, 12345678-1234-1234-1234-123456789012)"),
        ("g == b", "==(tostring(#6), #2)"),
        ("d.x == 'u'", "==(#3.x, 'u')"),
        ("d.x > 5", ">(#3.x, 5)"),
        ("d.t > now()", ">(todatetime(#3.t), now())"),
        ("d['a b'][0] == 1", "==(#3['a b'][0], 1)"),
        ("b has d.x", "has(#2, tostring(#3.x))"),
        ("d.x contains 'u'", "contains(tostring(#3.x), 'u')"),
        ("b matches regex 'x.*'", "matches regex(#2, 'x.*')"),
        ("f", "#5"),
        ("d.flag", "tobool(#3.flag)"),
        ("f and not(f) or a == 1", "or(and(#5, not(#5)), ==(#1, 1))"),
        ("TimeGenerated > ago(1d)", ">(#0, -(now(), 1.00:00:00))"),
        ("TimeGenerated between (ago(2h) .. now())", "between(#0, -(now(), 02:00:00), now())"),
        ("TimeGenerated between (datetime(2024-01-01) .. 1d)", "between(#0, 2024-01-01T00:00:00.0000000Z, 2024-01-02T00:00:00.0000000Z)"),
        ("a !between (1 .. 2.5)", "!between(todouble(#1), 1.0, 2.5)"),
        ("a in (1, 2)", "in(#1, 1, 2)"),
        ("a in (1, 2.5)", "in(todouble(#1), 1.0, 2.5)"),
        ("a in ('1', 2)", "in(#1, 1, 2)"),
        ("b in~ ('x', 'y')", "in~(#2, 'x', 'y')"),
        ("b in (dynamic(['x', 'y']))", "in(#2, 'x', 'y')"),
        ("b in (dynamic(['x', 5]), 'z')", "in(#2, 'x', 'z')"),
        ("a in (dynamic([1, 2]))", "in(#1, 1, 2)"),
        ("d.x in ('a', 'b')", "in(tostring(#3.x), 'a', 'b')"),
        ("d.x in (1, 2)", "in(#3.x, dynamic(1), dynamic(2))"),
        ("b in (d.list)", "in(#2, #3.list)"),
        ("b has_any ('x', 1)", "has_any(#2, 'x', '1')"),
        ("b has_any (dynamic(['x', 'y']))", "has_any(#2, 'x', 'y')"),
        ("d has_all ('x')", "has_all(tostring(#3), 'x')"),
        ("a + 1 > 2 * 3", ">(+(#1, 1), 6)"),
        ("now() - TimeGenerated > 1h", ">(-(now(), #0), 01:00:00)"),
        ("* has 'x'", "or(has(#2, 'x'), has(tostring(#3), 'x'))"),
        ("isnotempty(d.x) and array_length(d.l) > 0", "and(isnotempty(#3.x), >(array_length(#3.l), 0))"),
    ]

    @Test(arguments: conditions)
    func condition(_ text: String, _ expected: String) {
        #expect(bindFixture("T | where \(text)").expressions == expected)
    }

    @Test(arguments: [
        ("let n = 5; T | where a > n", ">(#1, 5)"),
        ("let n = 2 * 3 + 1; T | where a > n", ">(#1, 7)"),
        ("let words = dynamic(['x', 'y']); T | where b in (words)", "in(#2, 'x', 'y')"),
        ("let words = dynamic(['x', 'y']); T | where b has_any (words)", "has_any(#2, 'x', 'y')"),
        ("let from = ago(1d); T | where TimeGenerated > from", ">(#0, -(now(), 1.00:00:00))"),
        ("let o = dynamic({'k': [4, 5]}); T | where a == o.k[1]", "==(#1, dynamic(5))"),
        ("let big = (x: long) { x > 10 }; T | where big(a)", ">(#1, 10)"),
        ("let big = (x: real) { x > 10.5 }; T | where big(a)", ">(todouble(#1), 10.5)"),
        ("declare query_parameters(p: long = 3); T | where a > p", ">(#1, 3)"),
    ])
    func lets(_ query: String, _ expected: String) {
        #expect(bindFixture(query).expressions == expected)
    }

    @Test func queryParameters() {
        let options = BinderOptions(parameters: ["p": .long(9)])
        #expect(bindFixture("declare query_parameters(p: long); T | where a > p", options: options).expressions == ">(#1, 9)")
        #expect(bindFixture("declare query_parameters(p: long); T | where a > p").schema.hasPrefix("VK0173"))
    }

    @Test func foldHook() {
        let options = BinderOptions(fold: { name, values in
            guard name == "strcat" else { return nil }
            return .string(values.map { if case .string(let s) = $0 { s } else { "?" } }.joined())
        })
        #expect(bindFixture("T | where b == strcat('x', 'y')", options: options).expressions == "==(#2, 'xy')")
        #expect(bindFixture("datatable(s: string)[strcat('x', 'y')]", options: options).plan != nil)
        #expect(bindFixture("T | where b == strcat('x', b)", options: options).expressions == "==(#2, strcat('x', #2))")
        // Without the hook the call stays.
        #expect(bindFixture("T | where b == strcat('x', 'y')").expressions == "==(#2, strcat('x', 'y'))")
    }

    @Test func tabularMembership() throws {
        let plan = try #require(bindFixture("T | where b in ((U | project u, a)) and a !in ((U | project a))").plan)
        let text = plan.dump()
        #expect(text.contains("and(in(#2, {project"))
        #expect(text.contains("!in(#1, {project"))
        // An int is looked up among longs.
        #expect(bindFixture("T | where i in ((U | project a))").expressions.hasPrefix("in(tolong(#7), {"))
        // Dynamic text meets strings.
        #expect(bindFixture("T | where d.x in ((U | project u))").expressions.hasPrefix("in(tostring(#3.x), {"))
    }

    @Test func identities() throws {
        let query = "let q = T | where a > 1; q | join (q | project a, x = b) on a"
        let plan = try #require(bindFixture(query).plan)
        guard case .join(_, let left, let right, _) = plan.kind else {
            Issue.record("no join: \(plan.dump())")
            return
        }
        #expect(Set(left.columns.map(\.id)).isDisjoint(with: right.columns.map(\.id)))
        // A renamed column keeps its identity through the project.
        guard case .project(let inner, _) = right.kind else { return }
        #expect(right.columns.map(\.id) == inner.columns.filter { ["a", "b"].contains($0.name) }.map(\.id))
    }

    @Test func materializeIsShared() throws {
        let plan = try #require(bindFixture("let m = materialize(T | where a > 1); union m, (m | where a > 2)").plan)
        guard case .union(let branches, _, _) = plan.kind, case .shared(let first) = branches[0].kind,
            case .filter(let inner, _) = branches[1].kind, case .shared(let second) = inner.kind
        else {
            Issue.record("unexpected shape: \(plan.dump())")
            return
        }
        #expect(first === second)
        #expect(Set(branches[0].columns.map(\.id)).isDisjoint(with: inner.columns.map(\.id)))
    }

    @Test func nestedMaterializeIsShared() throws {
        let plan = try #require(bindFixture("let m = materialize(T) | where a > 1; union m, m").plan)
        #expect(plan.dump().components(of: "shared 0") == 2)
    }

    @Test func sortDefaults() throws {
        let text = try #require(bindFixture("T | sort by a, b asc, r desc nulls first").plan).dump()
        #expect(text.hasPrefix("sort #1 desc nulls last, #2 asc nulls first, #4 desc nulls first"))
    }

    @Test func rowFunctionsInFilters() throws {
        let text = try #require(bindFixture("Small | sort by v asc | where prev(k) != k").plan).dump()
        #expect(text.contains("filter #"))
        #expect(text.contains("!=(prev(#0), #0)"))
        #expect(!text.split(separator: "\n")[1].contains("prev"))
    }

    @Test func renderIsRecorded() {
        #expect(bindFixture("T | count | render timechart").render == RenderSpec(kind: "timechart"))
        let full = bindFixture(
            "T | count | render columnchart with (title='a b', xcolumn=A, ycolumns=B, C, series=D, kind=stacked, ymin=-1, ymax=2.5, legend=hidden, yaxis=log, accumulate=true)"
        )
        var spec = RenderSpec(kind: "columnchart")
        spec.title = "a b"
        spec.xColumn = "A"
        spec.yColumns = ["B", "C"]
        spec.series = ["D"]
        spec.layout = "stacked"
        (spec.yMin, spec.yMax) = (-1, 2.5)
        (spec.showsLegend, spec.isLogarithmic, spec.accumulates) = (false, true, true)
        #expect(full.render == spec)
        #expect(full.diagnostics.isEmpty)
        let wrong = bindFixture("T | count | render timchart with (titel='x', legend=maybe)").diagnostics
        #expect(wrong.map(\.code) == ["VK0184", "VK0184", "VK0184"])
        #expect(wrong.allSatisfy { $0.severity == .warning })
        #expect(wrong.first?.mend == "did you mean `timechart`?")
        #expect(bindFixture("T | count").render == nil)
    }
}

extension String {
    fileprivate func components(of needle: String) -> Int {
        var n = 0
        var rest = self[...]
        while let r = rest.firstRange(of: needle) {
            n += 1
            rest = rest[r.upperBound...]
        }
        return n
    }
}
