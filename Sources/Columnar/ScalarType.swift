/// The scalar types of the Kusto Query Language.
///
/// Raw values are the names that KQL itself prints (`getschema`, the REST `ColumnType`).
public enum ScalarType: String, Sendable, Hashable, CaseIterable {
    case bool
    case int
    case long
    case real
    case decimal
    case string
    case datetime
    case timespan
    case guid
    case dynamic

    /// The .NET type name that the Kusto REST v1 shape prints as `DataType`.
    public var dataTypeName: String {
        switch self {
        case .bool: "SByte"
        case .int: "Int32"
        case .long: "Int64"
        case .real: "Double"
        case .decimal: "SqlDecimal"
        case .string: "String"
        case .datetime: "DateTime"
        case .timespan: "TimeSpan"
        case .guid: "Guid"
        case .dynamic: "Object"
        }
    }

    /// Parses a KQL type name, aliases included (`boolean`, `double`, `date`, `time`, `int64` ...); nil for anything else.
    public init?(kqlName name: some StringProtocol) {
        switch name.lowercased() {
        case "bool", "boolean": self = .bool
        case "int", "int32": self = .int
        case "long", "int64": self = .long
        case "real", "double": self = .real
        case "decimal": self = .decimal
        case "string": self = .string
        case "datetime", "date": self = .datetime
        case "timespan", "time": self = .timespan
        case "guid", "uuid", "uniqueid": self = .guid
        case "dynamic": self = .dynamic
        default: return nil
        }
    }

    /// int, long, real or decimal.
    public var isNumeric: Bool {
        switch self {
        case .int, .long, .real, .decimal: true
        default: false
        }
    }

    /// Types stored as 64-bit integers: int, long, datetime (ticks) and timespan (ticks).
    public var isIntegerBacked: Bool {
        switch self {
        case .int, .long, .datetime, .timespan: true
        default: false
        }
    }
}
