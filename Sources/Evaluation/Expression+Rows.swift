import Columnar

/// A function of single values. Arguments come in the order of the call.
typealias ValueFunction = @Sendable ([Value]) throws -> Value

/// Runs a function of values over constants and columns. Strict functions give null when any argument is null.
///
/// Where one argument is a dictionary column and the others are constants, the function runs once per dictionary value and the codes are
/// mapped; otherwise once per row.
func applyRows(_ arguments: [Datum], rows: Int, type: ScalarType, strict: Bool, _ function: ValueFunction) throws -> Datum {
    func call(_ values: [Value]) throws -> Value {
        if strict { for v in values where v.isNull { return .missing(type) } }
        let result = try function(values)
        return result.type == type ? result : coerceValue(result, to: type)
    }
    var values: [Value] = []
    var columns: [(index: Int, column: Column)] = []
    for (i, argument) in arguments.enumerated() {
        switch argument {
        case .constant(let v): values.append(v)
        case .column(let c):
            values.append(.null(c.type))
            columns.append((i, c))
        }
    }
    if columns.isEmpty { return .constant(try call(values)) }
    if columns.count == 1, let (index, column) = columns.first {
        if let (codes, distinct) = dictionary(of: column), distinct.count <= rows {
            var builder = ColumnBuilder(type)
            builder.reserve(distinct.count)
            for i in 0..<distinct.count {
                values[index] = distinct.value(i)
                builder.append(try call(values))
            }
            return .column(spread(builder.finish(), codes: codes))
        }
    }
    var builder = ColumnBuilder(type)
    builder.reserve(rows)
    for row in 0..<rows {
        for (index, column) in columns { values[index] = column.value(row) }
        builder.append(try call(values))
    }
    return .column(builder.finish())
}

/// The codes of a dictionary column and a column of its values; nil for other layouts. An empty text among dynamic values is null.
func dictionary(of column: Column) -> (codes: ContiguousArray<UInt32>, values: Column)? {
    switch column.data {
    case .strings(let s):
        guard let codes = s.codes else { return nil }
        return (codes, Column(.string, .strings(StringColumn(s.values))))
    case .dynamics(let s):
        guard let codes = s.codes else { return nil }
        return (codes, Column(.dynamic, .dynamics(StringColumn(s.values)), validity: filled(s.values)))
    default: return nil
    }
}

/// Bits of the strings that are not empty; nil when none is.
private func filled(_ values: ByteStrings) -> Bitmap? {
    var bits = Bitmap(repeating: true, count: values.count)
    for i in 0..<values.count where values.length(i) == 0 { bits[i] = false }
    return bits.isFull ? nil : bits
}

/// A column computed per dictionary value, laid out per row.
func spread(_ values: Column, codes: ContiguousArray<UInt32>) -> Column {
    func rows() -> ContiguousArray<Int32> { ContiguousArray(codes.lazy.map { Int32(truncatingIfNeeded: $0) }) }
    switch values.data {
    case .strings(let s) where s.codes == nil:
        return Column(.string, .strings(StringColumn(codes: codes, values: s.values)))
    case .dynamics(let s) where s.codes == nil:
        return Column(
            .dynamic, .dynamics(StringColumn(codes: codes, values: s.values)), validity: values.validity.map { $0.gather(rows()) })
    default:
        return values.gather(rows())
    }
}

/// A bool datum as bits: where it is true, and where it is known (nil: everywhere).
struct Truth {
    var yes: Bitmap
    var known: Bitmap?

    var datum: Datum { .column(Column(.bool, .bools(yes), validity: known)) }
}

/// Reads a datum as truth. Numbers are true when not zero, dynamics when they hold `true`; strings are never true.
func truth(_ datum: Datum, rows: Int) -> Truth {
    switch datum {
    case .constant(let v):
        switch convertValue(v, to: .bool) {
        case .bool(let b): return Truth(yes: Bitmap(repeating: b, count: rows), known: nil)
        default: return Truth(yes: Bitmap(repeating: false, count: rows), known: Bitmap(repeating: false, count: rows))
        }
    case .column(let c):
        if case .bools(let b) = c.data {
            if let v = c.validity { return Truth(yes: b & v, known: v) }
            return Truth(yes: b, known: nil)
        }
        return truth(castDatum(datum, to: .bool, rows: rows), rows: rows)
    }
}

/// Validity of a datum that is not a constant null: nil for all valid.
func validity(_ datum: Datum) -> Bitmap? {
    if case .column(let c) = datum { return c.validity }
    return nil
}

func bothValid(_ a: Bitmap?, _ b: Bitmap?) -> Bitmap? {
    guard let a else { return b }
    guard let b else { return a }
    return a & b
}

extension Datum {
    var constantValue: Value? {
        if case .constant(let v) = self { return v }
        return nil
    }

    var isConstantNull: Bool { constantValue?.isNull ?? false }

    /// One cell. Slow.
    func value(_ row: Int) -> Value {
        switch self {
        case .constant(let v): v
        case .column(let c): c.value(row)
        }
    }
}
