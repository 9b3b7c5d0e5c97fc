import Columnar
import KQL

private func item(_ i: Int64, of items: [Dynamic]) -> Dynamic { i >= 0 && i < Int64(items.count) ? items[Int(i)] : .null }

/// A position counted from the end when negative.
private func place(_ i: Int64, _ count: Int) -> Int64 { i < 0 ? Int64(count) &+ i : i }

private func arrayFunction(
    _ name: String, _ parameters: String, aliases: [String] = [], _ summary: String, _ example: String,
    _ f: @escaping @Sendable ([Dynamic], [Value]) throws -> Dynamic?
) -> ScalarFunction {
    ScalarFunction(
        name, parameters, .type(.dynamic), aliases: aliases, summary, example,
        .lenient { a in
            guard let items = array(a, 0) else { return .null(.dynamic) }
            return try f(items, a).map(dynamicValue) ?? .null(.dynamic)
        })
}

extension Functions {
    static let arrays: [ScalarFunction] = [
        ScalarFunction(
            "array_length", "array:dynamic", .type(.long), aliases: ["arraylength"],
            "The number of elements; null for anything but arrays.",
            "array_length(dynamic([1,2])) == 2",
            .columns(price: 4) { v, c in
                guard case .column(let column) = v[0], case .dynamics(let s) = column.data else {
                    return try applyRows(v, rows: c.rows, type: .long, strict: true) { a in
                        optional(array(a, 0), { .long(Int64($0.count)) }, .long)
                    }
                }
                var cells = ContiguousArray<Int64>(repeating: 0, count: s.values.count)
                var valid = Bitmap(repeating: true, count: s.values.count)
                for i in 0..<s.values.count {
                    let n = s.values.withBytes(i) { bytes in
                        var cursor = JSONCursor(bytes)
                        return cursor.countElements()
                    }
                    if let n { cells[i] = Int64(n) } else { valid[i] = false }
                }
                let values = Column(.long, .longs(cells), validity: valid)
                return .column(s.codes.map { spread(values, codes: $0) } ?? values)
            }),
        arrayFunction(
            "array_concat", "array:dynamic ...", "The arrays one after another.",
            "array_length(array_concat(dynamic([1]), dynamic([2]))) == 2"
        ) { _, a in
            var out: [Dynamic] = []
            for i in a.indices { out += array(a, i) ?? [] }
            return .array(out)
        },
        arrayFunction(
            "array_slice", "array:dynamic start:integer end:integer",
            "The elements from a position through another (negative from the end).", "array_slice(dynamic([1,2,3]), 1, 2)"
        ) { items, a in
            guard !a[1].isNull, !a[2].isNull else { return nil }
            let low = max(0, place(long(a, 1), items.count)), high = min(Int64(items.count) - 1, place(long(a, 2), items.count))
            return .array(low <= high ? Array(items[Int(low)...Int(high)]) : [])
        },
        arrayFunction(
            "array_split", "array:dynamic index:any", "Cut at positions into an array of arrays.", "array_split(dynamic([1,2,3]), 1)"
        ) { items, a in
            var cuts: [Int64] = []
            if let several = array(a, 1) {
                for p in several { if case .long(let i) = p { cuts.append(i) } }
            } else if let one = convertDynamic(dynamic(a, 1), to: .long).integer {
                cuts = [one]
            }
            var out: [Dynamic] = []
            var from = 0
            for cut in cuts {
                let to = Int(min(max(place(cut, items.count), Int64(from)), Int64(items.count)))
                out.append(.array(Array(items[from..<to])))
                from = to
            }
            out.append(.array(Array(items[from...])))
            return .array(out)
        },
        ScalarFunction(
            "array_index_of", "array:dynamic value:any start:integer? length:integer? occurrence:integer?", .type(.long),
            "The position of a value, -1 if it is absent.", "array_index_of(dynamic([\"a\",\"b\"]), \"b\") == 1",
            .lenient { a in
                guard let items = array(a, 0) else { return .null(.long) }
                let start = max(0, place(long(a, 2), items.count))
                let length = long(a, 3, default: -1), occurrence = long(a, 4, default: 1)
                guard length >= -1, occurrence >= 1 else { return .null(.long) }
                let end = length < 0 ? Int64(items.count) : min(Int64(items.count), start &+ length)
                var seen: Int64 = 0
                var i = start
                while i < end {
                    if compareValues(.equal, dynamicValue(items[Int(i)]), a[1]) == .bool(true) {
                        seen += 1
                        if seen == occurrence { return .long(i) }
                    }
                    i += 1
                }
                return .long(-1)
            }),
        arrayFunction("array_reverse", "array:dynamic", "The elements in reverse order.", "array_reverse(dynamic([1,2]))") { items, _ in
            .array(items.reversed())
        },
        arrayFunction(
            "array_rotate_left", "array:dynamic rotate_count:integer", "Rotated to the left.", "array_rotate_left(dynamic([1,2,3]), 1)"
        ) { items, a in .array(rotate(items, long(a, 1))) },
        arrayFunction(
            "array_rotate_right", "array:dynamic rotate_count:integer", "Rotated to the right.", "array_rotate_right(dynamic([1,2,3]), 1)"
        ) { items, a in .array(rotate(items, 0 &- long(a, 1))) },
        arrayFunction(
            "array_shift_left", "array:dynamic shift_count:integer default_value:any?", "Shifted to the left; the free places are filled.",
            "array_shift_left(dynamic([1,2,3]), 1)"
        ) { items, a in .array(shift(items, long(a, 1), a)) },
        arrayFunction(
            "array_shift_right", "array:dynamic shift_count:integer default_value:any?",
            "Shifted to the right; the free places are filled.",
            "array_shift_right(dynamic([1,2,3]), 1)"
        ) { items, a in .array(shift(items, 0 &- long(a, 1), a)) },
        ScalarFunction(
            "array_iff", "condition_array:dynamic when_true:any when_false:any", .type(.dynamic), aliases: ["array_iif"],
            "Element by element one of two arrays' (or constants') values.", "array_iff(dynamic([true,false]), 1, 2)",
            .lenient { a in
                guard let conditions = array(a, 0) else { return .null(.dynamic) }
                func pick(_ which: Int, _ i: Int) -> Dynamic { array(a, which).map { item(Int64(i), of: $0) } ?? dynamic(a, which) }
                let isScalar = array(a, 1) == nil && array(a, 2) == nil
                let count = isScalar ? conditions.count : conditions.count
                return .dynamic(
                    .array(
                        (0..<count).map { i in
                            switch conditions[i] {
                            case .bool(let b): pick(b ? 1 : 2, i)
                            case .long(let v): pick(v != 0 ? 1 : 2, i)
                            case .real(let v): pick(v != 0 ? 1 : 2, i)
                            default: .null
                            }
                        }))
            }),
        ScalarFunction(
            "array_sum", "array:dynamic", .type(.real), "The sum of the elements.", "array_sum(dynamic([1,2])) == 3.0",
            .lenient { a in
                guard let items = array(a, 0) else { return .null(.real) }
                var sum = 0.0
                for i in items {
                    guard let v = unwrapped(dynamicValue(i)).double else { return .null(.real) }
                    sum += v
                }
                return .real(sum)
            }),
        ScalarFunction(
            "array_sort_asc", "array:dynamic array:any? ...", .type(.dynamic), "Sorted; further arrays are ordered alongside.",
            "array_sort_asc(dynamic([2,1]))",
            .lenient { a in sortArrays(a, descending: false) }),
        ScalarFunction(
            "array_sort_desc", "array:dynamic array:any? ...", .type(.dynamic), "Sorted downwards; further arrays are ordered alongside.",
            "array_sort_desc(dynamic([1,2]))", .lenient { a in sortArrays(a, descending: true) }),
        ScalarFunction(
            "range", "start:any stop:any step:any?", .type(.dynamic), "The values from start to stop, as an array.", "range(1, 3)[2] == 3",
            .strict { a in try rangeArray(a) }),
        ScalarFunction(
            "pack_array", "value:any ...", .type(.dynamic), "The arguments as an array.", "pack_array(1, \"a\")",
            .lenient { a in .dynamic(.array(a.map(wrapDynamic))) }),
        ScalarFunction(
            "zip", "array:dynamic array:dynamic ...", .type(.dynamic), "An array of the arrays' elements side by side.",
            "zip(dynamic([1]), dynamic([2]))",
            .lenient { a in
                let columns = a.indices.map { array(a, $0) ?? [dynamic(a, $0)] }
                let n = columns.map(\.count).max() ?? 0
                return .dynamic(.array((0..<n).map { i in .array(columns.map { item(Int64(i), of: $0) }) }))
            }),
    ]

    static let sets: [ScalarFunction] = [
        ScalarFunction(
            "set_union", "set:dynamic set:dynamic ...", .type(.dynamic), "The distinct elements of all sets.",
            "set_union(dynamic([1]), dynamic([2]))",
            .lenient { a in
                guard let sets = allArrays(a) else { return .null(.dynamic) }
                return .dynamic(.array(distinct(sets.flatMap { $0 })))
            }),
        ScalarFunction(
            "set_intersect", "set:dynamic set:dynamic ...", .type(.dynamic), "The elements that are in all sets.",
            "set_intersect(dynamic([1,2]), dynamic([2]))",
            .lenient { a in
                guard let sets = allArrays(a), let first = sets.first else { return .null(.dynamic) }
                let others = sets.dropFirst().map { Set($0.map(setKey)) }
                return .dynamic(.array(distinct(first).filter { e in others.allSatisfy { $0.contains(setKey(e)) } }))
            }),
        ScalarFunction(
            "set_difference", "set:dynamic set:dynamic ...", .type(.dynamic), "The elements of the first set that are in no other.",
            "set_difference(dynamic([1,2]), dynamic([2]))",
            .lenient { a in
                guard let sets = allArrays(a), let first = sets.first else { return .null(.dynamic) }
                let others = sets.dropFirst().map { Set($0.map(setKey)) }
                return .dynamic(.array(distinct(first).filter { e in !others.contains { $0.contains(setKey(e)) } }))
            }),
        ScalarFunction(
            "set_equals", "set1:dynamic set2:dynamic", .type(.bool), "Whether two sets hold the same elements.",
            "set_equals(dynamic([1,2]), dynamic([2,1])) == true",
            .lenient { a in
                guard let x = array(a, 0), let y = array(a, 1) else { return .null(.bool) }
                return .bool(Set(x.map(setKey)) == Set(y.map(setKey)))
            }),
        ScalarFunction(
            "set_has_element", "set:dynamic value:any", .type(.bool), "Whether a set holds a value.",
            "set_has_element(dynamic([1,2]), 2) == true",
            .lenient { a in
                guard let items = array(a, 0) else { return .null(.bool) }
                return .bool(items.contains { compareValues(.equal, dynamicValue($0), a[1]) == .bool(true) })
            }),
        ScalarFunction(
            "jaccard_index", "set1:dynamic set2:dynamic", .type(.real), "The size of the intersection over that of the union.",
            "jaccard_index(dynamic([1,2]), dynamic([2])) == 0.5",
            .lenient { a in
                guard let x = array(a, 0), let y = array(a, 1) else { return .null(.real) }
                let p = Set(x.map(setKey)), q = Set(y.map(setKey))
                return .real(Double(p.intersection(q).count) / Double(p.union(q).count))
            }),
    ]

    private static func allArrays(_ a: [Value]) -> [[Dynamic]]? {
        var out: [[Dynamic]] = []
        for i in a.indices {
            guard let items = array(a, i) else { return nil }
            out.append(items)
        }
        return out
    }

    private static func rotate(_ items: [Dynamic], _ by: Int64) -> [Dynamic] {
        guard !items.isEmpty else { return items }
        let n = Int64(items.count)
        let k = Int(((by % n) + n) % n)
        return Array(items[k...] + items[..<k])
    }

    private static func shift(_ items: [Dynamic], _ by: Int64, _ a: [Value]) -> [Dynamic] {
        let fill = dynamic(a, 2)
        return items.indices.map { i in
            let (from, overflow) = Int64(i).addingReportingOverflow(by)
            return !overflow && from >= 0 && from < Int64(items.count) ? items[Int(from)] : fill
        }
    }

    private static func sortArrays(_ a: [Value], descending: Bool) -> Value {
        var nullsLast = true
        var arrays: [[Dynamic]?] = []
        for v in a {
            if case .bool(let b) = v { nullsLast = b } else { arrays.append(array([v], 0)) }
        }
        guard let keys = arrays.first ?? nil else { return .null(.dynamic) }
        let order = keys.indices.sorted { i, j in
            let x = keys[i], y = keys[j]
            switch (x, y) {
            case (.null, .null): return i < j
            case (.null, _): return !nullsLast
            case (_, .null): return nullsLast
            default:
                let c = orderDynamics(x, y)
                return c == 0 ? i < j : (descending ? c > 0 : c < 0)
            }
        }
        let sorted = arrays.map { items -> Dynamic in
            guard let items, items.count == keys.count else { return .null }
            return .array(order.map { items[$0] })
        }
        return dynamicValue(sorted.count == 1 ? sorted[0] : .array(sorted))
    }

    private static func rangeArray(_ a: [Value]) throws -> Value {
        let limit = 1_048_576
        let start = unwrapped(a[0]), stop = unwrapped(a[1])
        if start.type == .real || stop.type == .real || (a.count > 2 && unwrapped(a[2]).type == .real) {
            let step = a.count > 2 ? real([unwrapped(a[2])], 0) : 1
            guard step != 0, step.isFinite, let from = start.double, let to = stop.double else { return .null(.dynamic) }
            let n = ((to - from) / step).rounded(.down)
            guard n >= 0 else { return .dynamic(.array([])) }
            guard n < Double(limit) else { throw EvaluationError("range: more than \(limit) values") }
            return .dynamic(.array((0...Int(n)).map { .real(from + Double($0) * step) }))
        }
        let isTime = start.type == .datetime || start.type == .timespan
        let step = a.count > 2 ? unwrapped(a[2]).integer ?? 0 : (isTime ? KustoTime.ticksPerHour : 1)
        guard step != 0, let from = start.integer, let to = stop.integer else { return .null(.dynamic) }
        guard step > 0 ? from <= to : from >= to else { return .dynamic(.array([])) }
        // Before the first is made: in `UInt64`, where no difference overflows.
        let span = step > 0 ? UInt64(bitPattern: to &- from) : UInt64(bitPattern: from &- to)
        guard span / step.magnitude < UInt64(limit) else { throw EvaluationError("range: more than \(limit) values") }
        var out: [Dynamic] = []
        var at = from
        while step > 0 ? at <= to : at >= to {
            out.append(isTime ? wrapDynamic(.integer(at, as: start.type)) : .long(at))
            let (next, overflow) = at.addingReportingOverflow(step)
            if overflow { break }
            at = next
        }
        return .dynamic(.array(out))
    }
}

/// The identity of an element in a set: its compact text.
func setKey(_ d: Dynamic) -> TextKey { TextKey(JSONText.compact(d)) }

func distinct(_ items: [Dynamic]) -> [Dynamic] {
    var seen = Set<TextKey>()
    return items.filter { seen.insert(setKey($0)).inserted }
}

/// Numbers by size, strings by bytes; other kinds stand apart in a fixed order.
func orderDynamics(_ a: Dynamic, _ b: Dynamic) -> Int {
    func rank(_ d: Dynamic) -> Int {
        switch d {
        case .null: 0
        case .bool: 1
        case .long, .real: 2
        case .string: 3
        case .array: 4
        case .object: 5
        }
    }
    if rank(a) != rank(b) { return rank(a) < rank(b) ? -1 : 1 }
    let order = orderValues(unwrapped(dynamicValue(a)), unwrapped(dynamicValue(b))) ?? 0
    return order == .min ? 0 : order
}
