import Columnar
import KQL

/// How the cell of a column is made from the values found at its paths. Raw values are what the compiled plan holds.
enum Operation: UInt8, Sendable {
    /// Never filled: null, or the empty string.
    case missing
    /// The first value that is there, converted to the column's type. An empty string counts as absent while another path is left.
    case value
    /// The constant of the argument.
    case constant
    /// The row's time, as found by the shape.
    case time
    case lower
    case upper
    /// An address without its port and brackets.
    case stripPort
    /// First letter upper case (`high` → `High`).
    case capitalized
    /// Translated through the map of the argument; a text that is not in the map stays as it is.
    case mapped
    /// Like `value`, but only for a JSON type that stands behind the suffix of the argument: `s`, `d`, `b`, `t`, `g` (AzureDiagnostics).
    case suffixed
    /// The whole record.
    case record
    /// A GUID made of the record's bytes, for identifiers that the stream does not carry.
    case recordGuid
    // Parts of the record's resourceId.
    case resourceIdLower, resourceIdUpper, subscription, resourceGroup, resourceGroupUpper, provider, resource, resourceUpper
    case resourceTypeUpper
    // Azure Activity (`Mappings+AzureActivity.swift`).
    case activityCategory, activitySubstatus, activitySubstatusDisplay, activityOperation, activityProperties
    /// A field of the flow tuple at hand; the argument is a `FlowField`.
    case flow
}

/// Where a column's value comes from.
struct Source: Sendable {
    /// Keys from the record's root; the first path with a value wins.
    var paths: [[String]]
    var operation: Operation = .value
    /// Constant text or name of a map (`ValueMaps`).
    var argument = ""
    /// Whether the keys' letter case counts.
    var exact = false

    static let missing = Source(paths: [], operation: .missing)
    static let time = Source(paths: [], operation: .time)

    static func constant(_ text: String) -> Source { Source(paths: [], operation: .constant, argument: text) }
    static func computed(_ operation: Operation) -> Source { Source(paths: [], operation: operation) }
    static func flow(_ field: FlowField) -> Source { Source(paths: [], operation: .flow, argument: String(field.rawValue)) }

    /// Paths written with dots, letter case ignored.
    static func at(_ dotted: String..., operation: Operation = .value, argument: String = "") -> Source {
        Source(paths: dotted.map(path), operation: operation, argument: argument)
    }

    static func mapped(_ map: String, _ dotted: String...) -> Source {
        Source(paths: dotted.map(path), operation: .mapped, argument: map)
    }

    static func path(_ dotted: String) -> [String] { dotted.split(separator: ".").map(String.init) }

    /// The same source below `prefix`, letter case as it was.
    func below(_ prefix: [String]) -> Source {
        var copy = self
        copy.paths = paths.map { prefix + $0 }
        return copy
    }

    /// The same source with letter case counting.
    var exactly: Source {
        var copy = self
        copy.exact = true
        return copy
    }
}

/// The mapping of one native form to one table.
struct Mapping: Sendable {
    let table: String
    /// The source of a column; nil for a column that this form never fills. Asked while a plan is compiled only.
    let source: @Sendable (SchemaColumn) -> Source?

    init(_ table: String, _ source: @escaping @Sendable (SchemaColumn) -> Source?) {
        self.table = table
        self.source = source
    }

    /// Columns by name, the others by a rule.
    init(_ table: String, _ columns: [String: Source], else rule: @escaping @Sendable (SchemaColumn) -> Source? = { _ in nil }) {
        self.init(table) { columns[$0.name] ?? rule($0) }
    }
}

/// What has to be done with a record of a form before, or instead of, filling one row.
enum RecordTreatment: UInt8, Sendable {
    case none
    /// `properties` and `identity` may be JSON text inside a string.
    case azure
    /// As `azure`; besides, `properties.log` is JSON text inside a string.
    case azureLog
    /// One row a flow tuple, NSG form.
    case nsgFlow
    /// One row a flow tuple, virtual network form.
    case vnetFlow
    /// `CloudTrailEvent` holds the record as JSON text.
    case cloudTrailText
}

/// A native form of records.
struct Shape: Sendable {
    let name: String
    let mappings: [Mapping]
    /// Where the time is; the first path that parses wins.
    let time: [[String]]
    var treatment = RecordTreatment.none

    init(_ name: String, time: [String], treatment: RecordTreatment = .none, _ mappings: [Mapping]) {
        self.name = name
        self.mappings = mappings
        self.time = time.map(Source.path)
        self.treatment = treatment
    }
}
