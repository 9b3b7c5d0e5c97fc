/// One KQL scalar outside a column: literals, constants, parameters, and results of functions without a columnar kernel.
///
/// A null carries its type. `string` is never null in KQL: the empty string stands for it, so `.null(.string)` is not used.
/// Equal are values of one type with the same content: strings by bytes (``ByteText``), reals by `==` except that NaN equals itself.
public enum Value: Sendable, Hashable {
    case null(ScalarType)
    case bool(Bool)
    /// 32-bit integer, kept in range by whoever makes it.
    case int(Int32)
    case long(Int64)
    case real(Double)
    case decimal(Decimal128)
    case string(String)
    /// Ticks of 100 ns since 0001-01-01T00:00:00Z (``KustoTime``).
    case datetime(Int64)
    /// Ticks of 100 ns.
    case timespan(Int64)
    case guid(UInt128)
    /// A dynamic value that is not null.
    case dynamic(Dynamic)

    /// The type; nulls keep theirs.
    public var type: ScalarType {
        switch self {
        case .null(let type): type
        case .bool: .bool
        case .int: .int
        case .long: .long
        case .real: .real
        case .decimal: .decimal
        case .string: .string
        case .datetime: .datetime
        case .timespan: .timespan
        case .guid: .guid
        case .dynamic: .dynamic
        }
    }

    /// True for a null of any type. The empty string is not null.
    public var isNull: Bool {
        if case .null = self { return true }
        return false
    }

    /// The integer behind int, long, datetime and timespan.
    public var integer: Int64? {
        switch self {
        case .int(let v): Int64(v)
        case .long(let v), .datetime(let v), .timespan(let v): v
        default: nil
        }
    }

    /// The value as a double, for numeric values only.
    public var double: Double? {
        switch self {
        case .int(let v): Double(v)
        case .long(let v): Double(v)
        case .real(let v): v
        case .decimal(let v): v.doubleValue
        default: nil
        }
    }

    /// Makes the value of an integer-backed type.
    public static func integer(_ v: Int64, as type: ScalarType) -> Value {
        switch type {
        case .int: Int32(exactly: v).map(Value.int) ?? .null(.int)
        case .datetime: .datetime(v)
        case .timespan: .timespan(v)
        default: .long(v)
        }
    }

    /// The null of a type; the empty string for `string`, as KQL has no null strings.
    public static func missing(_ type: ScalarType) -> Value {
        type == .string ? .string("") : .null(type)
    }
}

extension Value {
    public static func == (a: Value, b: Value) -> Bool {
        switch (a, b) {
        case (.null(let x), .null(let y)): x == y
        case (.bool(let x), .bool(let y)): x == y
        case (.int(let x), .int(let y)): x == y
        case (.long(let x), .long(let y)): x == y
        case (.real(let x), .real(let y)): x == y || (x.isNaN && y.isNaN)
        case (.decimal(let x), .decimal(let y)): x == y
        case (.string(let x), .string(let y)): ByteText.equal(x, y)
        case (.datetime(let x), .datetime(let y)): x == y
        case (.timespan(let x), .timespan(let y)): x == y
        case (.guid(let x), .guid(let y)): x == y
        case (.dynamic(let x), .dynamic(let y)): x == y
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        switch self {
        case .null: hasher.combine(false)
        case .bool(let v): hasher.combine(v)
        case .int(let v): hasher.combine(v)
        case .long(let v), .datetime(let v), .timespan(let v): hasher.combine(v)
        case .real(let v): hasher.combine(v.isNaN ? .nan : v)
        case .decimal(let v): hasher.combine(v)
        case .string(let v): ByteText.hash(v, into: &hasher)
        case .guid(let v): hasher.combine(v)
        case .dynamic(let v): hasher.combine(v)
        }
    }
}
