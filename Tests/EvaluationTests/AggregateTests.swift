import Columnar
import KQL
import TestSupport
import Testing

@testable import Evaluation

private let numbers = "datatable(g:string, x:long, r:real)['a',1,0.5, 'b',2,1.5, 'a',long(null),real(null), 'a',3,2.5, 'b',2,-1.0]"
private let empty = "datatable(x:long, s:string, d:dynamic, r:real)[]"

@Suite struct AggregateTests {
    @Test(arguments: [
        QueryCase("\(numbers) | summarize count()", ["5"]),
        QueryCase("datatable(x:long)[1, long(null)] | summarize count(x), avg(x) | extend n = count_x", ["2|1|2"]),
        QueryCase("datatable(x:long)[long(null)] | summarize a = avg(x) | project isnan(a)", ["true"]),
        QueryCase("datatable(x:timespan)[timespan(null)] | summarize a = avg(x) | project isnull(a)", ["true"]),
        QueryCase("\(numbers) | summarize count() by g", ["a|3", "b|2"]),
        QueryCase("\(numbers) | summarize countif(x > 1), sumif(x, x > 1), avgif(x, x > 1) by g", ["a|1|3|3", "b|2|4|2"]),
        QueryCase("\(numbers) | summarize sum(x), avg(x), min(x), max(x)", ["8|2|1|3"]),
        QueryCase("\(numbers) | summarize sum(r), min(r), max(r) by g", ["a|3|0.5|2.5", "b|0.5|-1|1.5"]),
        QueryCase("\(numbers) | summarize dcount(x), count_distinct(x), dcountif(x, g == 'b')", ["3|3|1"]),
        QueryCase("\(numbers) | summarize minif(x, g == 'b'), maxif(r, g == 'b')", ["2|1.5"]),
        QueryCase("\(numbers) | summarize make_list(x), make_list_with_nulls(x), make_set(x)", ["[1,2,3,2]|[1,2,null,3,2]|[1,2,3]"]),
        QueryCase(
            "\(numbers) | summarize make_list(x, 2), make_set(x, 1), make_list_if(x, g == 'b'), make_set_if(x, g == 'b')",
            ["[1,2]|[1]|[2,2]|[2]"]),
        QueryCase("\(numbers) | summarize make_set(g) by x", ["1|[\"a\"]", "2|[\"b\"]", "null|[\"a\"]", "3|[\"a\"]"]),
        QueryCase("\(numbers) | summarize binary_all_and(x), binary_all_or(x), binary_all_xor(x)", ["0|3|2"]),
        QueryCase("\(numbers) | sort by x desc | summarize make_list(x)", ["[3,2,2,1]"]),
        QueryCase("range x from 1 to 5 step 1 | summarize variance(x), variancep(x), stdevp(x)", ["2.5|2|1.4142135623730951"]),
        QueryCase("range x from 1 to 100 step 1 | summarize percentile(x, 50), percentile(x, 0), percentile(x, 100)", ["50|1|100"]),
        QueryCase("range x from 1 to 1000 step 1 | summarize percentiles(x, 5, 50, 99.9)", ["50|500|999"]),
        QueryCase("range x from 1 to 10 step 1 | summarize percentiles_array(x, 10, 90)", ["[1,9]"]),
        QueryCase(
            "datatable(n:long, v:long)[8,10, 6,20, 3,30, 1,40] | summarize percentilesw_array(v, n, dynamic([50, 75, 99.9]))",
            ["[20,20,40]"]),
        QueryCase(
            "datatable(x:real, y:real)[1,14, 2,10, 3,17, 4,20, 5,50] | summarize covariance(x, y), covariancep(x, y)", ["20.5|16.4"]),
        QueryCase("datatable(t:timespan)[1d, 3d] | summarize sum(t), avg(t)", ["4.00:00:00|2.00:00:00"]),
        QueryCase(
            "datatable(t:datetime)[datetime(2024-01-01), datetime(2024-01-03)] | summarize avg(t), min(t)",
            ["2024-01-02T00:00:00.0000000Z|2024-01-01T00:00:00.0000000Z"]),
        QueryCase("datatable(d:decimal)[decimal(0.1), decimal(0.2)] | summarize sum(d), avg(d), max(d)", ["0.3|0.15|0.2"]),
        QueryCase("datatable(s:string)['b','a','B'] | summarize min(s), max(s)", ["B|b"]),
    ])
    func value(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase("\(empty) | summarize count(), countif(x > 0), dcount(x), sum(x), stdev(x), variance(r)", ["0|0|0|0|0|0"]),
        QueryCase("\(empty) | summarize min(x), max(x), avg(x), take_any(x), percentile(x, 50)", ["null|null|NaN|null|null"]),
        QueryCase("\(empty) | summarize make_list(x), make_set(s), make_bag(d)", ["[]|[]|{}"]),
        QueryCase("\(empty) | summarize arg_max(x, s)", ["null|"]),
        QueryCase("\(empty) | summarize count() by s", []),
        QueryCase("\(empty) | distinct s", []),
        QueryCase("datatable(x:int)[int(null), int(null)] | summarize sum(x), max(x), count(), make_set(x)", ["0|null|2|[]"]),
    ])
    func empties(_ c: QueryCase) throws { try check(c) }

    private static let versions =
        "datatable(f:string, c:string, v:long)['Apple','Red',1, 'Apple','Green',5, 'Banana','Yellow',6, 'Banana','Green',6, 'Pear','Brown',long(null)]"

    @Test(arguments: [
        QueryCase("\(versions) | summarize arg_max(v, c) by f", ["Apple|5|Green", "Banana|6|Yellow", "Pear|null|Brown"]),
        QueryCase("\(versions) | summarize arg_min(v, *) by f", ["Apple|1|Red", "Banana|6|Yellow", "Pear|null|Brown"]),
        QueryCase("\(versions) | summarize arg_max(v, *) by f | project f, c", ["Apple|Green", "Banana|Yellow", "Pear|Brown"]),
        QueryCase("\(versions) | summarize take_any(c) by f", ["Apple|Red", "Banana|Yellow", "Pear|Brown"]),
        QueryCase("\(versions) | summarize take_any(*) by f | project f, v", ["Apple|1", "Banana|6", "Pear|null"]),
        QueryCase("\(versions) | summarize take_any(v) by isnull(v)", ["false|1", "true|null"]),
        QueryCase("\(versions) | summarize arg_max(c, v)", ["Yellow|6"]),
    ])
    func extremes(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase(
            "datatable(d:dynamic)[dynamic(['A1','A2']), dynamic('A2'), dynamic(['C1',null]), dynamic(null)] | summarize make_set(d)",
            ["[\"A1\",\"A2\",\"C1\"]"]),
        QueryCase("datatable(d:dynamic)[dynamic([1]), dynamic(2)] | summarize make_list(d)", ["[[1],2]"]),
        QueryCase(
            """
            datatable(value: dynamic)[dynamic({"x":1, "y":3.5}), dynamic({"x":"somevalue", "z":[1, 2, 3]}),
              dynamic({"y":{"w":"zzz"}, "t":["aa", "bb"], "z":["foo"]})] | summarize buildschema(value)
            """,
            [#"{"x":["long","string"],"y":["double",{"w":"string"}],"z":{"`indexer`":["long","string"]},"t":{"`indexer`":"string"}}"#]),
        QueryCase(
            "datatable(d:dynamic)[dynamic(null), dynamic(true), dynamic([]), dynamic([{'a':null}])] | summarize buildschema(d)",
            [#"["bool",{"`indexer`":{"a":[]}}]"#]),
        QueryCase(
            "datatable(d:dynamic)[dynamic({'a':1}), dynamic({'a':2,'b':3}), dynamic(4)] | summarize make_bag(d)", ["{\"a\":1,\"b\":3}"]),
        QueryCase(
            "datatable(d:dynamic, p:bool)[dynamic({'a':1}), false, dynamic({'b':3}), true] | summarize make_bag_if(d, p)", ["{\"b\":3}"]),
        QueryCase(
            "datatable(t:timespan, g:datetime)[1h, datetime(2020-01-01)] | summarize make_list(t), make_set(g)",
            ["[\"01:00:00\"]|[\"2020-01-01T00:00:00.0000000Z\"]"]),
        QueryCase(
            "range x from 1 to 300 step 1 | summarize array_length(makeset(x)), array_length(make_set(x)), array_length(makelist(x))",
            ["128|300|128"]),
    ])
    func collections(_ c: QueryCase) throws { try check(c) }

    @Test(arguments: [
        QueryCase(
            "datatable(r:real)[0.0, -0.0, real(nan), real(nan), 1.0, real(null)] | summarize count() by r",
            ["0|2", "NaN|2", "1|1", "null|1"]),
        QueryCase(
            "datatable(a:string, b:long)['x',1, 'X',1, 'x',2, 'x',1, '',long(null), '',long(null)] | distinct a, b",
            ["x|1", "X|1", "x|2", "|null"]),
        QueryCase("datatable(d:decimal)[decimal(1.0), decimal(1), decimal(1.5)] | summarize count() by d", ["1|2", "1.5|1"]),
        QueryCase(
            "datatable(b:bool, x:int)[true,1, bool(null),2, false,3, true,4] | summarize sum(x) by b", ["true|5", "null|2", "false|3"]),
        QueryCase(
            "datatable(a:long, b:long)[long(null),1, 1,long(null), long(null),1, 2,2] | summarize count() by a, b",
            ["null|1|2", "1|null|1", "2|2|1"]),
    ])
    func groupKeys(_ c: QueryCase) throws { try check(c) }

    @Test("dcount is exact to its limit and within 3 % beyond")
    func manyDistinct() throws {
        let runner = QueryRunner()
        #expect(try runner.rows("range x from 1 to 100000 step 1 | summarize dcount(x)") == ["100000"])
        let estimate = try #require(Double(try runner.rows("range x from 1 to 150000 step 1 | summarize dcount(x)")[0]))
        #expect(abs(estimate - 150_000) / 150_000 < 0.03)
        #expect(try runner.rows("range x from 1 to 20000 step 1 | summarize count_distinct(x / 2)") == ["10001"])
    }

    @Test("the registry documents every aggregate once")
    func registry() {
        #expect(AggregateRegistry.names.count >= 45)
        for f in AggregateRegistry.functions {
            #expect(!f.summary.isEmpty)
            #expect(AggregateRegistry.signature(f.signature.name)?.name == f.signature.name)
        }
        #expect(AggregateRegistry.signature("any")?.name == "take_any")
        #expect(AggregateRegistry.signature("nonsense") == nil)
    }

    @Test("limits name themselves")
    func limits() {
        var runner = QueryRunner()
        runner.limits = EvaluationLimits(heldRows: 100, resultRows: 50)
        #expect(throws: EvaluationError.self) { try runner.rows("range x from 1 to 99 step 1 | extend y = x") }
        for query in [
            "range x from 1 to 200 step 1 | count",
            "range x from 1 to 60 step 1 | mv-expand y = range(1, 3) to typeof(long) | sort by y | count",
            "range x from 1 to 60 step 1 | mv-expand y = range(1, 3) to typeof(long) | summarize make_list(x) by y",
        ] {
            do {
                _ = try runner.rows(query)
                Issue.record("\(query) passed the limit")
            } catch {
                #expect("\(error)".contains("heldRows"), "\(error)")
            }
        }
    }
}

@Suite struct ExactSumTests {
    private struct Generator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state
        }
    }

    @Test("any order and any split give the same sum", arguments: 1...20)
    func orderDoesNotMatter(seed: UInt64) {
        var random = Generator(state: seed)
        var values = (0..<400).map { _ -> Double in
            let exponent = Int(random.next() >> 33 % 120) - 60
            let sign = random.next() >> 40 & 1 == 0 ? 1.0 : -1.0
            return sign * Double(sign: .plus, exponent: exponent, significand: 1 + Double(random.next() >> 12) / Double(1 << 52))
        }
        func sum(_ part: ArraySlice<Double>) -> ExactSum {
            var s = ExactSum()
            for v in part { s.add(v) }
            return s
        }
        let whole = sum(values[...]).value
        for _ in 0..<5 {
            for i in values.indices.dropFirst() { values.swapAt(i, Int(random.next() >> 33) % (i + 1)) }
            let cut = Int(random.next() >> 33) % values.count
            var a = sum(values[..<cut])
            a.add(sum(values[cut...]))
            #expect(a.value == whole)
            #expect(sum(values[...]).value == whole)
        }
    }

    @Test func knownSums() {
        func sum(_ values: [Double]) -> Double {
            var s = ExactSum()
            for v in values { s.add(v) }
            return s.value
        }
        #expect(sum([1e100, 1, -1e100]) == 1)
        #expect(sum(Array(repeating: 0.1, count: 10)) == 1)
        #expect(sum([1, 0x1p-53]) == 1)
        #expect(sum([1, 0x1p-53, 0x1p-106]) == 1 + 0x1p-52)
        #expect(sum([1e308, 1e308, -1e308]) == 1e308)
        #expect(sum([1e308, 1e308]) == .infinity)
        #expect(sum([.infinity, 1]) == .infinity)
        #expect(sum([.infinity, -.infinity]).isNaN)
        #expect(sum([]) == 0)
    }

    @Test func decimals() {
        var s = ExactDecimalSum()
        for i in 1...1000 {
            let d = Decimal128(mantissa: Int128(i), exponent: -(i % 5))
            s.add(mantissa: d.mantissa, exponent: d.exponent)
        }
        var expected = 0.0
        for i in 1...1000 { expected += Double(i) / [1, 10, 100, 1000, 10000][i % 5] }
        let (m, e) = s.value
        #expect(abs(Decimal128(mantissa: m, exponent: e).doubleValue - expected) < 1e-6)
        #expect(Decimal128(10).divided(by: 4) == Decimal128(text: "2.5"))
        #expect(Decimal128(1).divided(by: 3).doubleValue == 1.0 / 3.0)
    }
}
