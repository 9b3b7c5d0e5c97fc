/// The cells of one column of a batch, by storage class.
public enum ColumnData: Sendable {
    /// `bool`.
    case bools(Bitmap)
    /// `int`, `long`, `datetime` (ticks) and `timespan` (ticks).
    case longs(ContiguousArray<Int64>)
    case reals(ContiguousArray<Double>)
    case decimals(ContiguousArray<Decimal128>)
    case guids(ContiguousArray<UInt128>)
    case strings(StringColumn)
    /// JSON text a cell, well formed, not necessarily compact (``JSONText`` prints Kusto's compact form). Null cells have empty text.
    case dynamics(StringColumn)
}

/// A typed column: cells plus validity.
///
/// Invariants: `data` matches `type`; `validity` is nil (all valid) or has `count` bits, 0 = null; a `string` column has no validity,
/// because KQL strings are never null; cells under a null hold a zero of their class (empty text for dynamics).
public struct Column: Sendable {
    public let type: ScalarType
    public let data: ColumnData
    public let validity: Bitmap?

    public init(_ type: ScalarType, _ data: ColumnData, validity: Bitmap? = nil) {
        self.type = type
        self.data = data
        self.validity = type == .string ? nil : (validity.map { $0.isFull ? nil : $0 } ?? nil)
    }

    public var count: Int {
        switch data {
        case .bools(let b): b.count
        case .longs(let a): a.count
        case .reals(let a): a.count
        case .decimals(let a): a.count
        case .guids(let a): a.count
        case .strings(let s), .dynamics(let s): s.count
        }
    }

    @inlinable
    public func isNull(_ row: Int) -> Bool { validity.map { !$0[row] } ?? false }

    /// One cell as a value. Slow: for output, tests and kernels without a columnar form.
    public func value(_ row: Int) -> Value {
        if isNull(row) { return .null(type) }
        switch data {
        case .bools(let b): return .bool(b[row])
        case .longs(let a): return .integer(a[row], as: type)
        case .reals(let a): return .real(a[row])
        case .decimals(let a): return .decimal(a[row])
        case .guids(let a): return .guid(a[row])
        case .strings(let s): return .string(s[row])
        case .dynamics(let s):
            let tree = s.withBytes(row) { JSONText.parse($0) }
            switch tree {
            case nil, .null?: return .null(.dynamic)
            case let t?: return .dynamic(t)
            }
        }
    }

    /// `count` rows of one value, of the value's type.
    public init(repeating value: Value, count: Int) {
        func repeated<T>(_ cell: T) -> ContiguousArray<T> { ContiguousArray(repeating: cell, count: count) }
        let type = value.type
        switch value {
        case .string(let s): self.init(.string, .strings(StringColumn(repeating: s, count: count)))
        case .dynamic(.null): self = Column.nulls(.dynamic, count: count)
        case .dynamic(let d): self.init(.dynamic, .dynamics(StringColumn(repeating: JSONText.compact(d), count: count)))
        case .bool(let v): self.init(type, .bools(Bitmap(repeating: v, count: count)))
        case .int(let v): self.init(type, .longs(repeated(Int64(v))))
        case .long(let v), .datetime(let v), .timespan(let v): self.init(type, .longs(repeated(v)))
        case .real(let v): self.init(type, .reals(repeated(v)))
        case .decimal(let v): self.init(type, .decimals(repeated(v)))
        case .guid(let v): self.init(type, .guids(repeated(v)))
        case .null(let type): self = Column.nulls(type, count: count)
        }
    }

    /// This column's rows, then the other's; both of one type.
    public func concatenated(_ other: Column) -> Column {
        var b = ColumnBuilder(type)
        b.reserve(count + other.count)
        b.append(contentsOf: self)
        b.append(contentsOf: other)
        return b.finish()
    }

    /// A column of nulls (of empty strings for `string`). No cell is visited one by one.
    public static func nulls(_ type: ScalarType, count: Int) -> Column {
        func zeros<T>(_ zero: T) -> ContiguousArray<T> { ContiguousArray(repeating: zero, count: count) }
        let none = Bitmap(repeating: false, count: count)
        switch type {
        case .bool: return Column(type, .bools(none), validity: none)
        case .int, .long, .datetime, .timespan: return Column(type, .longs(zeros(0)), validity: none)
        case .real: return Column(type, .reals(zeros(0)), validity: none)
        case .decimal: return Column(type, .decimals(zeros(Decimal128(0))), validity: none)
        case .guid: return Column(type, .guids(zeros(0)), validity: none)
        case .string: return Column(type, .strings(StringColumn(repeating: "", count: count)))
        case .dynamic: return Column(type, .dynamics(StringColumn(repeating: "", count: count)), validity: none)
        }
    }
}

/// Builds a column a cell at a time.
public struct ColumnBuilder: Sendable {
    public let type: ScalarType
    public private(set) var count = 0
    private var validity = Bitmap(count: 0)
    private var anyNull = false
    private var bools = Bitmap(count: 0)
    private var longs = ContiguousArray<Int64>()
    private var reals = ContiguousArray<Double>()
    private var decimals = ContiguousArray<Decimal128>()
    private var guids = ContiguousArray<UInt128>()
    private var strings = ByteStrings()

    public init(_ type: ScalarType) { self.type = type }

    public mutating func reserve(_ n: Int) {
        switch type {
        case .int, .long, .datetime, .timespan: longs.reserveCapacity(n)
        case .real: reals.reserveCapacity(n)
        case .string, .dynamic: strings.reserve(strings: n, bytes: n * 16)
        default: break
        }
    }

    private mutating func mark(_ valid: Bool) {
        if !valid, !anyNull {
            anyNull = true
            validity = Bitmap(repeating: true, count: count)
        }
        if anyNull { validity.append(valid) }
        count += 1
    }

    /// Appends a null; the empty string in a string column.
    public mutating func appendNull() {
        switch type {
        case .bool: bools.append(false)
        case .int, .long, .datetime, .timespan: longs.append(0)
        case .real: reals.append(0)
        case .decimal: decimals.append(Decimal128(0))
        case .guid: guids.append(0)
        case .string, .dynamic: strings.append("")
        }
        mark(type == .string)
    }

    /// Appends a value of this column's type; a value of another type is a broken promise of the caller and becomes a null.
    public mutating func append(_ value: Value) {
        switch (type, value) {
        case (.bool, .bool(let v)): append(v)
        case (.int, .int), (.long, .long), (.datetime, .datetime), (.timespan, .timespan):
            longs.append(value.integer ?? 0)
            mark(true)
        case (.long, .int(let v)):
            longs.append(Int64(v))
            mark(true)
        case (.real, .real(let v)): append(v)
        case (.real, .long(let v)): append(Double(v))
        case (.real, .int(let v)): append(Double(v))
        case (.decimal, .decimal(let v)):
            decimals.append(v)
            mark(true)
        case (.guid, .guid(let v)):
            guids.append(v)
            mark(true)
        case (.string, .string(let v)): append(v)
        case (.dynamic, .dynamic(let v)):
            if case .null = v { appendNull() } else { append(json: JSONText.compact(v)) }
        default:
            assert(value.isNull, "ColumnBuilder: \(value.type) into \(type)")
            appendNull()
        }
    }

    public mutating func append(_ v: Bool) {
        bools.append(v)
        mark(true)
    }

    /// Appends to an int, long, datetime or timespan column.
    public mutating func append(_ v: Int64) {
        longs.append(v)
        mark(true)
    }

    public mutating func append(_ v: Double) {
        reals.append(v)
        mark(true)
    }

    public mutating func append(_ v: String) {
        strings.append(v)
        mark(true)
    }

    /// Appends bytes to a string column. UTF-8 is the caller's promise.
    public mutating func append(utf8 v: UnsafeRawBufferPointer) {
        strings.append(v)
        mark(true)
    }

    /// Appends well-formed JSON text, not `null`, to a dynamic column.
    public mutating func append(json v: String) {
        strings.append(v)
        mark(true)
    }

    /// Appends well-formed JSON text, not `null`, to a dynamic column.
    public mutating func append(json v: UnsafeRawBufferPointer) {
        strings.append(v)
        mark(true)
    }

    /// Appends one cell of a column of the same type.
    public mutating func append(_ column: Column, row: Int) {
        if column.isNull(row) { return appendNull() }
        switch column.data {
        case .bools(let b): append(b[row])
        case .longs(let a): append(a[row])
        case .reals(let a): append(a[row])
        case .decimals(let a):
            decimals.append(a[row])
            mark(true)
        case .guids(let a):
            guids.append(a[row])
            mark(true)
        case .strings(let s), .dynamics(let s):
            strings.append(s.values, at: s.code(row))
            mark(true)
        }
    }

    public mutating func append(contentsOf column: Column) {
        for r in 0..<column.count { append(column, row: r) }
    }

    /// The column built; the builder must not be used after.
    public mutating func finish() -> Column {
        let v = anyNull ? validity : nil
        switch type {
        case .bool: return Column(type, .bools(bools), validity: v)
        case .int, .long, .datetime, .timespan: return Column(type, .longs(longs), validity: v)
        case .real: return Column(type, .reals(reals), validity: v)
        case .decimal: return Column(type, .decimals(decimals), validity: v)
        case .guid: return Column(type, .guids(guids), validity: v)
        case .string: return Column(type, .strings(StringColumn(strings)))
        case .dynamic: return Column(type, .dynamics(StringColumn(strings)), validity: v)
        }
    }
}
