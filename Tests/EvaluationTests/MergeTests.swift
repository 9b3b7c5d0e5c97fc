import Columnar
import KQL
import Testing

@testable import Evaluation

/// States of parts of the rows merge to the state of all rows: what panes of windows rest on.
@Suite struct MergeTests {
    private static let rows = 240
    private static let groupCount = 5

    private static func column(_ kind: ParameterKind, _ shift: Int, of name: String) -> Column? {
        let range = 0..<rows
        func builder(_ type: ScalarType, _ value: (Int) -> Value) -> Column {
            var b = ColumnBuilder(type)
            for i in range { b.append((i + shift) % 11 == 0 ? .missing(type) : value((i * 37 + shift * 5) % 53 + 53 * (i % 5))) }
            return b.finish()
        }
        switch kind {
        case .numeric, .summable: return builder(.real) { .real(Double($0) * 0.1 - 1) }
        case .integer: return builder(.long) { .long(Int64($0)) }
        case .any, .string, .exactly: return builder(.string) { .string("v\($0 / 53)-\($0 % 9)") }
        case .dynamic where name == "hll_merge":
            return builder(.dynamic) { n in
                var h = HyperLogLog(bits: [12, 14][n % 2])
                h.insert(UInt64(n) &* 0x9E37_79B9_7F4A_7C15)
                return .dynamic(h.value)
            }
        case .dynamic where name == "tdigest_merge":
            return builder(.dynamic) { n in
                var d = Digest()
                _ = d.add(Int64(n), .long, weight: Double(n % 4 + 1))
                return d.value
            }
        case .dynamic: return builder(.dynamic) { .dynamic(.object([Dynamic.Member("k\($0 % 7)", .long(Int64($0)))])) }
        case .bool: return builder(.bool) { .bool($0 % 3 != 0) }
        case .datetime, .timespan: return builder(.timespan) { .timespan(Int64($0) * KustoTime.ticksPerMinute) }
        case .constant, .constantString, .constantInteger: return nil
        }
    }

    @Test("merged parts equal the whole", arguments: AggregateRegistry.functions.map(\.signature.name))
    func merge(name: String) throws {
        let f = try #require(AggregateRegistry.function(name))
        var arguments: [Datum] = []
        for (i, p) in f.signature.parameters.enumerated() where !p.isOptional || p.kind == .any {
            if let c = MergeTests.column(p.kind, i, of: name) {
                arguments.append(.column(c))
            } else {
                arguments.append(.constant(.long(40)))
            }
        }
        let types = arguments.map(\.type)
        let constants = arguments.map { d -> Value? in if case .constant(let v) = d { v } else { nil } }
        let result: ScalarType
        switch f.signature.result {
        case .type(let t): result = t
        case .argument(let i): result = types[i]
        case .common(let from): result = types[from]
        case .custom(let rule): result = try #require(rule(types, constants))
        }
        let setup = AggregateSetup(
            name: name, argumentTypes: types, constants: constants, outputTypes: [result] + types.dropFirst(), limits: EvaluationLimits())
        // Orders that are not those of arrival, some of them equal.
        let order = ContiguousArray((0..<MergeTests.rows).map { RowKey.ordinal(($0 * 101) % 120) })
        let groups = ContiguousArray((0..<MergeTests.rows).map { UInt32($0 % MergeTests.groupCount) })

        func state(_ chosen: [Int], map: [UInt32]) throws -> any Accumulator {
            let a = try f.make(setup)
            a.resize(MergeTests.groupCount)
            let rows = ContiguousArray(chosen.map { Int32($0) })
            let part = arguments.map { d -> Datum in if case .column(let c) = d { .column(c.gather(rows)) } else { d } }
            let input = AggregateInput(
                rows: rows.count, groups: ContiguousArray(chosen.map { map[Int(groups[$0])] }),
                order: ContiguousArray(chosen.map { order[$0] }))
            try a.add(part, input)
            return a
        }
        let plain: [UInt32] = [0, 1, 2, 3, 4]
        func finished(_ a: any Accumulator) throws -> [String] {
            try a.seal()
            return try a.finish(ContiguousArray(plain)).flatMap { c in (0..<c.count).map { text(c.value($0)) } }
        }
        let whole = try finished(try state(Array(0..<MergeTests.rows), map: plain))
        #expect(whole.count >= MergeTests.groupCount)
        #expect(Set(whole).count > 1 || name.contains("count") || name.hasPrefix("min") || name.hasPrefix("binary_all"))
        for cut in [0, 1, 77, 240] {
            let left = try state(Array(0..<cut), map: plain)
            // The other part numbers its groups otherwise.
            let right = try state(Array(cut..<MergeTests.rows), map: [4, 3, 2, 1, 0])
            try left.merge(right, into: [4, 3, 2, 1, 0])
            #expect(try finished(left) == whole, "cut at \(cut)")
        }
    }
}
