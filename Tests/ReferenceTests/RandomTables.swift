import Columnar
import Evaluation
import KQL
import TestSupport

/// A generator with a seed.
struct Dice: SeededGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func below(_ n: Int) -> Int { n <= 1 ? 0 : Int(next() % UInt64(n)) }
    mutating func chance(_ n: Int) -> Bool { below(n) == 0 }
    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
}

/// Random tables: nulls, extremes, texts of all lengths and alphabets, dynamics as a log has them.
struct RandomTables {
    static let columns: [SchemaColumn] = [
        SchemaColumn("id", .long), SchemaColumn("s", .string), SchemaColumn("u", .string), SchemaColumn("n", .long),
        SchemaColumn("i", .int), SchemaColumn("r", .real), SchemaColumn("b", .bool), SchemaColumn("t", .datetime),
        SchemaColumn("p", .timespan), SchemaColumn("d", .dynamic), SchemaColumn("g", .guid),
    ]
    let rows: [String: [[Value]]]

    init(_ dice: inout Dice) {
        // Lengths around the words and batches of the kernels, and all short ones.
        let length = dice.pick([dice.below(201), dice.pick([0, 1, 63, 64, 65, 127, 128, 129]), dice.below(40), dice.below(40)])
        let count = dice.chance(40) ? dice.pick([1023, 1024, 1025, 2047, 2048, 2049]) : length
        rows = ["T": RandomTables.rows(count, &dice), "U": RandomTables.rows(dice.below(30), &dice)]
    }

    private static let words = [
        "alpha", "Beta", "GAMMA", "d", "e1", "école", "É", "straße", "日本", "a_b", "x-y", "1.2.3.4", "admin", "Administrator", "😀", ".", " ",
        "-",
        "/", "", "\\", "\"", "user@example.com",
    ]

    static func text(_ dice: inout Dice) -> String {
        switch dice.below(8) {
        case 0: return ""
        case 1...4: return dice.pick(words)
        case 5, 6: return (0..<(1 + dice.below(5))).map { _ in dice.pick(words) }.joined(separator: dice.pick([" ", ".", "", "-"]))
        default: return String(repeating: dice.pick(["a", "ab ", "é"]), count: dice.below(70)) + dice.pick(words)
        }
    }

    static func dynamic(_ dice: inout Dice, depth: Int = 0) -> Dynamic {
        switch dice.below(depth > 1 ? 6 : 9) {
        case 0: return .null
        case 1: return .bool(dice.chance(2))
        case 2: return .long(Int64(dice.below(7)))
        case 3: return .real(Double(dice.below(9)) / 4 + 0.125)
        case 4, 5: return .string(dice.pick(words))
        case 6: return .array((0..<dice.below(4)).map { _ in dynamic(&dice, depth: depth + 1) })
        default:
            return .object(["k", "v", "w"].prefix(dice.below(4)).map { .init($0, dynamic(&dice, depth: depth + 1)) })
        }
    }

    static func value(_ type: ScalarType, _ dice: inout Dice) -> Value {
        if dice.chance(6) { return .missing(type) }
        switch type {
        case .bool: return .bool(dice.chance(2))
        case .int: return .int(dice.pick([0, 1, -1, 2, 3, 5, .max, .min]))
        case .long: return .long(dice.chance(3) ? dice.pick([.min, .max, .min + 1, 1 << 53, -5, 1_000_000]) : Int64(dice.below(8)) - 2)
        case .real:
            return .real(dice.chance(4) ? dice.pick([.nan, .infinity, -.infinity, -0.0, 1e300, 5e-324]) : Double(dice.below(33) - 16) / 8)
        case .string: return .string(text(&dice))
        case .datetime: return .datetime(KustoTime.unixEpoch + 17_000_000_000_000_000 + Int64(dice.below(50)) * 17_999_999_999)
        case .timespan: return .timespan((Int64(dice.below(11)) - 5) * 9_000_000_001)
        case .guid: return .guid(UInt128(dice.below(3)) << 100 | UInt128(dice.below(3)))
        case .dynamic:
            let d = dynamic(&dice)
            return d == .null ? .null(.dynamic) : .dynamic(d)
        case .decimal: return .missing(type)
        }
    }

    private static func rows(_ count: Int, _ dice: inout Dice) -> [[Value]] {
        // Few distinct rows make groups, keys and dictionaries that repeat.
        let pool = (0..<max(1, dice.pick([3, 20, count]))).map { _ in columns.map { value($0.type, &dice) } }
        return (0..<count).map { id in
            var row = dice.chance(3) ? dice.pick(pool) : columns.indices.map { dice.pick(pool)[$0] }
            row[0] = .long(Int64(id))
            return row
        }
    }

    /// As tables of the engine, cut into batches at random; texts row by row or, for some batches, in a dictionary with unused and repeated
    /// values; dynamics not always in their compact form.
    func tables(_ dice: inout Dice) -> MemoryTables {
        var out = MemoryTables()
        for (name, all) in rows.sorted(by: { $0.key < $1.key }) {
            var batches: [Batch] = []
            var at = 0
            let size = dice.pick([1, 7, 64, 100, 2048, 5000])
            while at < all.count {
                let part = all[at..<min(all.count, at + size)]
                let coded = dice.chance(2)
                let columns = RandomTables.columns.indices.map { c -> Column in
                    var builder = ColumnBuilder(RandomTables.columns[c].type)
                    for row in part { append(row[c], to: &builder, &dice) }
                    let column = builder.finish()
                    return coded ? dictionary(column) : column
                }
                batches.append(Batch(columns: columns, count: part.count))
                at += size
            }
            out.add(TableSchema(name: name, columns: RandomTables.columns), batches: batches)
        }
        return out
    }

    private func append(_ v: Value, to builder: inout ColumnBuilder, _ dice: inout Dice) {
        guard case .dynamic(let d) = v, dice.chance(3) else { return builder.append(v) }
        // JSON as logs have it: blanks, escapes.
        let text = JSONText.compact(d)
        builder.append(json: dice.chance(2) ? " \(text) " : text.replacing("\"k\":", with: "\"\\u006b\" : "))
    }

    private func dictionary(_ column: Column) -> Column {
        func coded(_ s: StringColumn) -> StringColumn {
            var values = ByteStrings()
            values.append("\"unused\"")
            var codes = ContiguousArray<UInt32>()
            var known: [[UInt8]: UInt32] = [:]
            for row in 0..<s.count {
                let bytes = s.withBytes(row) { Array($0) }
                if let code = known[bytes], row % 5 != 0 {
                    codes.append(code)
                    continue
                }
                known[bytes] = UInt32(values.count)
                codes.append(UInt32(values.count))
                bytes.withUnsafeBytes { values.append($0) }
            }
            return StringColumn(codes: codes, values: values)
        }
        switch column.data {
        case .strings(let s): return Column(.string, .strings(coded(s)))
        case .dynamics(let s): return Column(.dynamic, .dynamics(coded(s)), validity: column.validity)
        default: return column
        }
    }
}
