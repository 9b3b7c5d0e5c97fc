import Columnar
import Evaluation
import KQL
import Testing

/// Expressions over every column type; each must mean the same in every layout and batch size.
private let expressions = [
    "s", "s == u", "s != 'alpha'", "s =~ u", "s has 'beta'", "s !has u", "s contains 'É'", "s startswith_cs u", "s in ('alpha', '12', '')",
    "s !in~ ('ALPHA', 'école normale')",
    "s has_any ('beta', 'x', 'école')", "s has_all ('alpha', 'beta')", "s matches regex @'^[a-z]+$'", "s matches regex u == true",
    "strcmp(s, u) < 0", "tolower(s)", "toupper(u)", "strlen(s)",
    "substring(s, 1, 2)", "strcat(s, '-', u, n)", "strcat('<', s, '>')", "split(s, '.')", "replace_string(s, 'a', 'b')",
    "extract(@'(\\d+)', 1, s)", "countof(s, 'a')",
    "indexof(s, u)", "isempty(s)", "isnotempty(s)", "parse_json(s)", "parse_json(s).k", "toint(s)", "todouble(s)", "tobool(s)",
    "todatetime(s)", "parse_ipv4(s)",
    "n + 1", "n - i", "n * 2", "n / i", "n % 7", "-n", "r + n", "r / 0", "r * r", "i + i", "m + 1", "m * m", "n > 5", "n <= i", "r < n",
    "r == r", "n == i", "n != 7",
    "n in (1, 7, 42)", "r in (1.5, 7)", "n between (0 .. 100)", "t between (datetime(2000-01-01) .. datetime(2040-01-01))",
    "n !between (0 .. 100)", "isnull(n)",
    "bin(n, 10)", "bin(r, 0.5)", "bin(t, 1h)", "bin(p, 1m)", "floor(n, 3)", "round(r, 1)", "abs(n)", "sign(r)", "sqrt(r)",
    "n > 5 and r < 10", "n > 5 or b", "not(b) and n < 50",
    "(n > 5 and s has 'alpha') or (b and u contains 'e') or r > 1", "n > 40 and s has 'beta' and u has 'alpha' and d.k == 'alpha'",
    "iff(b, s, u)", "iff(n > 5, n, long(null))", "iff(b, d, dynamic(null))", "case(n > 40, 'high', n > 5, s, strcat(u, '!'))",
    "case(b, r, n > 0, 1.5, real(null))",
    "coalesce(s, u, 'none')", "coalesce(n, 0)", "coalesce(tostring(d.k), s)", "iff(b, t, datetime(2020-01-01))",
    "iff(n > 1, m, decimal(1))", "iff(n > 1, g, guid(null))",
    "t + p", "t - datetime(2020-01-01)", "p / 1h", "p * 2", "p * 1.5", "t - 1d", "t > datetime(2001-01-01)", "startofday(t)",
    "datetime_part('month', t)", "format_datetime(t, 'yyyy-MM-dd HH:mm')",
    "dayofweek(t)", "hourofday(t)", "tostring(t)", "tolong(p)", "d.k", "d.n", "d['k']", "d[0]", "d[-1]", "d.k['in'][0].z", "d[n]",
    "tostring(d)", "tostring(d.k)", "tolong(d.n)", "d.k == 'alpha'",
    "d.k != 'alpha'", "d.n > 5", "d.n == 7.5", "d == u", "d.k in ('alpha', 'beta')", "d has 'alpha'", "array_length(d)", "bag_keys(d)",
    "gettype(d)", "isnull(d.k)", "isempty(d)", "isnotnull(d)",
    "d.ab", "pack_array(s, n, r, b, t, d)", "bag_pack('a', s, 'b', d.n)", "tostring(g)", "g == guid(00000000-0000-0000-0000-000000000001)",
    "m > 3", "max_of(n, 5)", "min_of(r, n)", "hash(s)",
    "hash_sha256(u)", "s has s", "url_encode(s)", "ipv4_is_private(s)", "b == true", "b != (n > 5)", "iff(b, 1, 2) + n",
    "array_concat(pack_array(n), pack_array(s))", "n + toint(s)",
]

@Suite struct ExpressionTests {
    /// Whole batches in both layouts, batches of one row, and constants in place of columns give the same values.
    @Test(arguments: expressions)
    func layoutsAgree(_ text: String) throws {
        let (expr, input) = try boundExpression(text)
        let rows = randomRows(173, seed: UInt64(text.utf8.count) &* 31)
        let compiled = try CompiledExpression(expr, input: input, subqueries: NoSubqueries())
        let plain = try compiled.evaluate(batch(rows, layout: .plain), testContext).materialized(rows: rows.count)
        let coded = try compiled.evaluate(batch(rows, layout: .dictionary), testContext).materialized(rows: rows.count)
        #expect(plain.type == expr.type)
        #expect(plain.count == rows.count)
        let columnOf = Dictionary(uniqueKeysWithValues: input.enumerated().map { ($0.element.id, $0.offset) })
        for (i, row) in rows.enumerated() {
            let expected = show(plain.value(i))
            #expect(show(coded.value(i)) == expected, "row \(i)")
            let single = try compiled.evaluate(batch([row], layout: .plain), testContext).materialized(rows: 1)
            #expect(show(single.value(0)) == expected, "row \(i) alone")
            if i < 40 {
                let folded = try CompiledExpression(substitute(expr, columnOf, row), input: [], subqueries: NoSubqueries())
                #expect(folded.constant.map(show) == expected, "row \(i) as constants")
            }
        }
    }

    private func substitute(_ e: BoundExpr, _ columns: [ColumnID: Int], _ row: [Value]) -> BoundExpr {
        func inner(_ x: BoundExpr) -> BoundExpr { substitute(x, columns, row) }
        return switch e.kind {
        case .column(let id): columns[id].map { BoundExpr(.constant(row[$0]), e.type, e.range) } ?? e
        case .call(let name, let arguments): BoundExpr(.call(name, arguments.map(inner)), e.type, e.range)
        case .member(let base, let key): BoundExpr(.member(inner(base), key), e.type, e.range)
        case .element(let base, let index): BoundExpr(.element(inner(base), inner(index)), e.type, e.range)
        case .constant, .scalarQuery, .inQuery: e
        }
    }

    /// `select` is the rows where the value is true, under any order of operands.
    @Test(arguments: [
        "n > 5 and s has 'alpha'", "s has 'alpha' and n > 5", "not(n > 5)", "n > 5 or d.k == 'alpha'", "b",
        "s in ('alpha') and b and r > 0", "isnull(n) or n == 7",
    ])
    func selectsTrueRows(_ text: String) throws {
        let (expr, input) = try boundExpression(text)
        let rows = randomRows(500, seed: 11)
        let compiled = try CompiledExpression(expr, input: input, subqueries: NoSubqueries())
        for layout in [Layout.plain, .dictionary] {
            let data = batch(rows, layout: layout)
            let values = try compiled.evaluate(data, testContext).materialized(rows: rows.count)
            let selected = try compiled.select(data, testContext)
            #expect(selected.count == rows.count)
            for i in rows.indices { #expect(selected[i] == (values.value(i) == .bool(true)), "row \(i)") }
            #expect(selected.popcount > 0 && selected.popcount < rows.count)
        }
    }

    @Test func emptyBatches() throws {
        for text in expressions {
            let (expr, input) = try boundExpression(text)
            let compiled = try CompiledExpression(expr, input: input, subqueries: NoSubqueries())
            #expect(try compiled.evaluate(batch([], layout: .plain), testContext).materialized(rows: 0).count == 0, "\(text)")
        }
    }

    private struct OneColumn: SubqueryResolver {
        let column: Column
        func firstColumn(of plan: Plan) throws -> Column { column }
    }

    @Test func subqueriesAreRead() throws {
        let plan = Plan(.rows([]), columns: [BoundColumn(id: 90, name: "v", type: .string)], range: SourceRange(0, 0))
        let input = [BoundColumn(id: 1, name: "s", type: .string)]
        let left = BoundExpr(.column(1), .string, SourceRange(0, 0))
        let column = Column(.string, .strings(StringColumn(["alpha", "beta"])))
        let data = Batch(columns: [Column(.string, .strings(StringColumn(["alpha", "Beta", "x"])))], count: 3)
        let resolver = OneColumn(column: column)
        func rows(_ op: ListOperator) throws -> [Int32] {
            let e = try CompiledExpression(
                BoundExpr(.inQuery(op, left, plan), .bool, SourceRange(0, 0)), input: input, subqueries: resolver)
            return Array(try e.select(data, testContext).indices)
        }
        #expect(try rows(.isIn) == [0])
        #expect(try rows(.isInIgnoringCase) == [0, 1])
        #expect(try rows(.notIn) == [1, 2])
        #expect(try rows(.hasAny) == [0, 1])
        let scalar = BoundExpr(.scalarQuery(plan), .string, SourceRange(0, 0))
        #expect(try CompiledExpression(scalar, input: [], subqueries: resolver).constant == .string("alpha"))
        #expect(throws: EvaluationError.self) { _ = try CompiledExpression(scalar, input: [], subqueries: NoSubqueries()) }
    }

    @Test func unknownNamesAreErrors() {
        let range = SourceRange(3, 9)
        let input: [BoundColumn] = []
        #expect(throws: EvaluationError.self) {
            _ = try CompiledExpression(BoundExpr(.column(5), .long, range), input: input, subqueries: NoSubqueries())
        }
        do {
            _ = try CompiledExpression(BoundExpr(.call("geo_x", []), .real, range), input: input, subqueries: NoSubqueries())
            Issue.record("a refused function was compiled")
        } catch let error as EvaluationError {
            #expect(error.range == range)
        } catch {
            Issue.record("\(error)")
        }
    }
}
