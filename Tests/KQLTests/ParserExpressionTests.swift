import Columnar
import Testing

@testable import KQL

@Suite struct ParserExpressionTests {
    @Test(arguments: [
        ("a or b and c", "{a or {b and c}}"),
        ("a and b or c", "{{a and b} or c}"),
        ("a == 1 and b != 2", "{{a == 1} and {b != 2}}"),
        ("a + b * c - d", "{{a + {b * c}} - d}"),
        ("a - b - c", "{{a - b} - c}"),
        ("a / b % c * d", "{{{a / b} % c} * d}"),
        ("a + 1 < b * 2", "{{a + 1} < {b * 2}}"),
        ("a < b == c", "{{a < b} == c}"),
        ("a has 'x' == true", "{{a has \"x\"} == true}"),
        ("1 + a has 'x'", "{1 + {a has \"x\"}}"),
        ("-a.b", "{-a.b}"),
        ("-1", "-1"),
        ("- 1.5", "real(-1.5)"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("5 - -3", "{5 - -3}"),
        ("-(5)", "{-(5)}"),
        ("+a", "{+a}"),
        ("--a", "{-{-a}}"),
        ("a <> b", "{a != b}"),
        ("a =~ 'x' and b !~ 'y'", "{{a =~ \"x\"} and {b !~ \"y\"}}"),
        ("a notcontains 'x'", "{a !contains \"x\"}"),
        ("a containscs 'x'", "{a contains_cs \"x\"}"),
        ("a matches regex @'\\d'", "{a matches regex \"\\\\d\"}"),
        ("a in (1, 2)", "{a in [1, 2]}"),
        ("a !in~ ('x', b)", "{a !in~ [\"x\", b]}"),
        ("a in (T | project x)", "{a in [T | project x]}"),
        ("a in ((T | project x))", "{a in [(T | project x)]}"),
        ("a has_any (list)", "{a has_any [list]}"),
        ("a has_all (dynamic(['x']))", "{a has_all [dynamic([\"x\"])]}"),
        ("a in list", "{a in [list]}"),
        ("a between (1 .. 2)", "{a between 1..2}"),
        ("a !between (ago(1d) .. now() - 1h) and b", "{{a !between ago(<1.00:00:00>)..{now() - <01:00:00>}} and b}"),
        ("not(a) and not (b)", "{not(a) and not(b)}"),
        ("(a or b) and c", "{({a or b}) and c}"),
    ])
    func operators(source: String, expected: String) {
        #expect(TreeText.expression(source) == expected)
    }

    @Test(arguments: BinaryOperator.allCases) func everyBinaryOperatorReads(op: BinaryOperator) {
        #expect(TreeText.expression("a \(op.rawValue) b") == "{a \(op.rawValue) b}")
    }

    @Test(arguments: ListOperator.allCases) func everyListOperatorReads(op: ListOperator) {
        #expect(TreeText.expression("a \(op.rawValue) (b, 'c')") == "{a \(op.rawValue) [b, \"c\"]}")
    }

    @Test(arguments: [
        ("a.b.c", "a.b.c"),
        ("a.b[0]['c'].d", "a.b[0][\"c\"].d"),
        ("a['b']", "a[\"b\"]"),
        ("a.['b c'].d", "a.['b c'].d"),
        ("a[-1]", "a[-1]"),
        ("a[b + 1]", "a[{b + 1}]"),
        ("['a b'].c", "['a b'].c"),
        ("[\"a\"]", "['a']"),
        ("$left.x == $right.y", "{$left.x == $right.y}"),
        ("f()", "f()"),
        ("f(a, b=1, *)", "f(a, b=1, *)"),
        ("f (a)", "f(a)"),
        ("f(a)[0].b", "f(a)[0].b"),
        ("cluster('c').database('d').T", "cluster(\"c\").database(\"d\").T"),
        ("cluster('c').database('d').f(1)", "cluster(\"c\").database(\"d\").f(1)"),
        ("toscalar(T | count)", "toscalar(T | count)"),
        ("toscalar kind=nooptimization (T | count)", "toscalar(T | count)"),
        ("iff(a == 1, 'x', 'y')", "iff({a == 1}, \"x\", \"y\")"),
        ("typeof(long)", "typeof(:long)"),
        ("typeof(a: string, ['b c']: int)", "typeof(a:string, ['b c']:int)"),
        ("a = 1", "a=1"),
        ("(a, b) = f()", "a&b=f()"),
        ("['x y'] = 1", "['x y']=1"),
        (
            "kind, type, count, Type, range, print, from, to, step, on, with, limit, top",
            "kind, type, count, Type, range, print, from, to, step, on, with, limit, top"
        ),
        ("kind = 1, where = 2, has = 3, in = 4", "kind=1, where=2, has=3, in=4"),
        ("dynamic([1])[0]", "dynamic([1])[0]"),
        ("'a' \"b\" @'c'", "\"abc\""),
        ("datatable(a:int)[1]", "datatable (a:int)[1]"),
    ])
    func operands(source: String, expected: String) {
        #expect(TreeText.expression(source) == expected)
    }

    @Test func thousandsOfAlternativesStayLow() {
        let source = "T | where " + (0..<5000).map { "a == \($0)" }.joined(separator: " or ")
        let tree = SyntaxTree.parse(source)
        #expect(tree.diagnostics.isEmpty)
        guard case .expression(let e)? = tree.statements.first?.kind else {
            Issue.record("no expression")
            return
        }
        #expect(e.height < 30)
    }

    @Test func rangesCoverTheText() {
        let source = "print a + f(b)[0].c"
        let tree = SyntaxTree.parse(source)
        guard case .expression(let e)? = tree.statements.first?.kind, case .query(let q) = e.kind, case .generator(let op) = q.source,
            case .print(let items) = op.kind, let sum = items.first, case .binary(_, let left, let right) = sum.kind
        else {
            Issue.record("unexpected tree")
            return
        }
        #expect(tree.text(sum.range) == "a + f(b)[0].c")
        #expect(tree.text(left.range) == "a")
        #expect(tree.text(right.range) == "f(b)[0].c")
    }
}
