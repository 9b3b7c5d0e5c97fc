import CKernels
import Columnar
import KQL
import Synchronization

/// A string operator: the kernel's test, whether case counts, and whether the answer is negated.
struct TextPredicate: Sendable {
    let op: vk_text_op
    let ignoreCase: Bool
    let negated: Bool

    /// By the operator's spelling. `==` and `!=` are comparisons, not here.
    static let byName: [String: TextPredicate] = {
        var table: [String: TextPredicate] = [
            "=~": TextPredicate(op: VK_TEXT_EQUALS, ignoreCase: true, negated: false),
            "!~": TextPredicate(op: VK_TEXT_EQUALS, ignoreCase: true, negated: true),
        ]
        let kinds: [(String, vk_text_op)] = [
            ("has", VK_TEXT_HAS), ("hasprefix", VK_TEXT_HASPREFIX), ("hassuffix", VK_TEXT_HASSUFFIX), ("contains", VK_TEXT_CONTAINS),
            ("startswith", VK_TEXT_STARTS), ("endswith", VK_TEXT_ENDS),
        ]
        for (name, op) in kinds {
            table[name] = TextPredicate(op: op, ignoreCase: true, negated: false)
            table["!" + name] = TextPredicate(op: op, ignoreCase: true, negated: true)
            table[name + "_cs"] = TextPredicate(op: op, ignoreCase: false, negated: false)
            table["!" + name + "_cs"] = TextPredicate(op: op, ignoreCase: false, negated: true)
        }
        return table
    }()

    /// The test of one string, before negation.
    func matches(_ text: String, _ needle: String) -> Bool {
        if ignoreCase, !(needle.utf8.allSatisfy { $0 < 0x80 }) {
            return TextPredicate(op: op, ignoreCase: false, negated: false).matches(foldCase(text), foldCase(needle))
        }
        var text = text
        let bytes = Array(needle.utf8)
        return text.withUTF8 { matchOne(op, ignoreCase: ignoreCase, UnsafeRawBufferPointer($0), bytes) }
    }

    /// The test of a column against one needle, before negation.
    func matches(_ column: StringColumn, _ needle: String) -> Bitmap {
        if ignoreCase, !(needle.utf8.allSatisfy { $0 < 0x80 }) {
            return matchText(op, ignoreCase: false, foldCase(column), needle: Array(foldCase(needle).utf8))
        }
        return matchText(op, ignoreCase: ignoreCase, column, needle: Array(needle.utf8))
    }
}

/// Letters to lower case one character at a time (simple mapping), as an ordinal comparison that ignores case needs.
func foldCase(_ text: String) -> String {
    var out = String.UnicodeScalarView()
    for u in text.unicodeScalars {
        if u.value < 0x80 {
            out.append(u.value >= 0x41 && u.value <= 0x5A ? Unicode.Scalar(UInt8(u.value | 0x20)) : u)
        } else {
            let lower = u.properties.lowercaseMapping.unicodeScalars
            out.append(lower.count == 1 ? lower.first ?? u : u)
        }
    }
    return String(out)
}

private func foldCase(_ column: StringColumn) -> StringColumn {
    var out = ByteStrings()
    out.reserve(strings: column.values.count, bytes: column.values.bytes.count)
    for i in 0..<column.values.count { out.append(foldCase(column.values[i])) }
    return column.codes.map { StringColumn(codes: $0, values: out) } ?? StringColumn(out)
}

/// Compiled patterns by text, for patterns that come from rows. Bounded: it starts over when full.
final class RegexCache: Sendable {
    private let known = Mutex<[TextKey: Regex2]>([:])

    /// Nil for a malformed pattern: text from rows is data, so it does not match instead of ending the query. One that is too large does.
    func regex(_ pattern: String) throws -> Regex2? {
        if let r = known.withLock({ $0[TextKey(pattern)] }) { return r }
        let made: Regex2
        do { made = try Regex2(pattern) } catch let error as EvaluationError {
            if error.isLimit { throw error }
            return nil
        }
        known.withLock {
            if $0.count >= 256 { $0.removeAll() }
            $0[TextKey(pattern)] = made
        }
        return made
    }
}

extension ExpressionCompiler {
    func compilePredicate(_ predicate: TextPredicate, _ left: any ExpressionNode, _ right: any ExpressionNode) -> any ExpressionNode {
        let arguments = [converted(left, to: .string), converted(right, to: .string)]
        return KernelNode(arguments: arguments, type: .bool, price: 4) { v, c in
            switch (v[0], v[1]) {
            case (.constant(let a), .constant(let b)):
                return .constant(.bool(predicate.matches(textValue(a), textValue(b)) != predicate.negated))
            case (.column(let a), .constant(let b)):
                guard case .strings(let s) = a.data else { return .constant(.bool(predicate.negated)) }
                var bits = predicate.matches(s, textValue(b))
                if predicate.negated { bits.invert() }
                return .column(Column(.bool, .bools(bits)))
            default:
                return try applyRows(v, rows: c.rows, type: .bool, strict: false) {
                    .bool(predicate.matches(textValue($0[0]), textValue($0[1])) != predicate.negated)
                }
            }
        }
    }

    func compileList(_ op: ListOperator, _ left: any ExpressionNode, _ items: [any ExpressionNode]) throws -> any ExpressionNode {
        let constants = items.compactMap { ($0 as? ConstantNode)?.value }
        if constants.count == items.count { return try compileList(op, left, items: constants) }
        return valueNode([left] + items, .bool, strict: false) { a in
            .bool(ListTest(op, leftType: a[0].type, items: Array(a.dropFirst())).holds(a[0]))
        }
    }

    func compileList(_ op: ListOperator, _ left: any ExpressionNode, items: [Value]) throws -> any ExpressionNode {
        let test = ListTest(op, leftType: left.type, items: items)
        let argument = test.readsText ? converted(left, to: .string) : left
        return fold(
            KernelNode(arguments: [argument], type: .bool, price: test.readsText ? 5 : 2) { v, c in
                switch v[0] {
                case .constant(let value): .constant(.bool(test.holds(value)))
                case .column(let column): .column(Column(.bool, .bools(test.bits(column, rows: c.rows))))
                }
            })
    }
}

/// The test of an operator with a list on its right, hashed once.
struct ListTest: Sendable {
    private let op: ListOperator
    private var texts: Set<TextKey> = []
    private var needles: [String] = []
    private var integers: Set<Int64> = []
    private var others: [Value] = []
    private let predicate = TextPredicate(op: VK_TEXT_HAS, ignoreCase: true, negated: false)
    private let ignoreCase: Bool
    private let negated: Bool
    /// The left side is tested by its text.
    let readsText: Bool

    init(_ op: ListOperator, leftType: ScalarType, items: [Value]) {
        self.op = op
        ignoreCase = op == .isInIgnoringCase || op == .notInIgnoringCase
        negated = op == .notIn || op == .notInIgnoringCase
        var flat: [Value] = []
        for item in items {
            if case .dynamic(.array(let elements)) = item {
                for e in elements { flat.append(unwrapped(dynamicValue(e))) }
            } else {
                flat.append(unwrapped(item))
            }
        }
        switch op {
        case .hasAny, .hasAll:
            readsText = true
            var seen = Set<TextKey>()
            for item in flat where seen.insert(TextKey(textValue(item))).inserted { needles.append(textValue(item)) }
        default:
            let holdsText = flat.contains { $0.type == .string }
            readsText = leftType == .string || ignoreCase || (leftType == .dynamic && (holdsText || flat.isEmpty))
            for item in flat where !item.isNull {
                if readsText {
                    texts.insert(TextKey(ignoreCase ? foldCase(textValue(item)) : textValue(item)))
                } else if leftType.isIntegerBacked {
                    if item.type == .real || item.type == .decimal {
                        others.append(item)
                    } else if let v = convertValue(item, to: leftType).integer {
                        integers.insert(v)
                    }
                } else {
                    others.append(leftType == .dynamic || item.type.isNumeric ? item : convertValue(item, to: leftType))
                }
            }
        }
    }

    func holds(_ value: Value) -> Bool {
        switch op {
        case .hasAny:
            let text = textValue(value)
            return needles.contains { predicate.matches(text, $0) }
        case .hasAll:
            let text = textValue(value)
            return needles.allSatisfy { predicate.matches(text, $0) }
        default: return contains(value) != negated
        }
    }

    private func contains(_ value: Value) -> Bool {
        if readsText {
            let text = textValue(value)
            return texts.contains(TextKey(ignoreCase ? foldCase(text) : text))
        }
        if value.isNull { return false }
        if let v = value.integer, integers.contains(v) { return true }
        return others.contains { compareValues(.equal, value, $0) == .bool(true) }
    }

    func bits(_ column: Column, rows: Int) -> Bitmap {
        var out: Bitmap
        switch column.data {
        case .strings(let s):
            switch op {
            case .hasAny:
                out = Bitmap(repeating: false, count: rows)
                for needle in needles {
                    out.formOr(predicate.matches(s, needle))
                    if out.isFull { break }
                }
                return out
            case .hasAll:
                out = Bitmap(repeating: true, count: rows)
                for needle in needles {
                    out.formAnd(predicate.matches(s, needle))
                    if out.isEmpty { break }
                }
                return out
            default:
                if !ignoreCase, texts.count == 1, let only = texts.first {
                    out = matchText(VK_TEXT_EQUALS, ignoreCase: false, s, needle: Array(only.text.utf8))
                } else {
                    var table = Bitmap(repeating: false, count: s.values.count)
                    for i in 0..<s.values.count where contains(.string(s.values[i])) { table[i] = true }
                    out = s.codes.map { spreadBits(table, codes: $0) } ?? table
                }
            }
        case .longs(let a) where others.isEmpty:
            out = Bitmap(repeating: false, count: rows)
            for (row, v) in a.enumerated() where integers.contains(v) { out[row] = true }
            if let valid = column.validity { out.formAnd(valid) }
        default:
            out = Bitmap(repeating: false, count: rows)
            for row in 0..<rows where contains(column.value(row)) { out[row] = true }
        }
        if negated { out.invert() }
        return out
    }
}

/// A string equal by its bytes (Swift's own equality is by canonical equivalence).
typealias TextKey = ByteKey

/// A comparison of strings, which are never null.
func compareTextDatums(_ op: Comparison, _ a: Datum, _ b: Datum, rows: Int) -> Datum {
    switch (a, b) {
    case (.constant(let x), .constant(let y)):
        return .constant(.bool(op.holds(orderTexts(textValue(x), textValue(y)))))
    case (.column(let x), .constant(let y)) where op == .equal || op == .notEqual:
        return equality(x, textValue(y), negated: op == .notEqual)
    case (.constant(let x), .column(let y)) where op == .equal || op == .notEqual:
        return equality(y, textValue(x), negated: op == .notEqual)
    default:
        if case .column(let x) = a, case .column(let y) = b, case .strings(let s) = x.data, case .strings(let t) = y.data {
            var out = Bitmap(repeating: false, count: rows)
            for row in 0..<rows {
                let order = s.withBytes(row) { p in t.withBytes(row) { q in orderBytes(p, q) } }
                if op.holds(order) { out[row] = true }
            }
            return .column(Column(.bool, .bools(out)))
        }
        let function: ValueFunction = { .bool(op.holds(orderTexts(textValue($0[0]), textValue($0[1])))) }
        return (try? applyRows([a, b], rows: rows, type: .bool, strict: false, function)) ?? .constant(.null(.bool))
    }
}

private func equality(_ column: Column, _ needle: String, negated: Bool) -> Datum {
    guard case .strings(let s) = column.data else { return .constant(.bool(negated)) }
    var bits = matchText(VK_TEXT_EQUALS, ignoreCase: false, s, needle: Array(needle.utf8))
    if negated { bits.invert() }
    return .column(Column(.bool, .bools(bits)))
}

func orderBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    for i in 0..<min(a.count, b.count) where a[i] != b[i] { return a[i] < b[i] ? -1 : 1 }
    return a.count == b.count ? 0 : (a.count < b.count ? -1 : 1)
}
