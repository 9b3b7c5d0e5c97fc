/// An analytics rule as Microsoft Sentinel defines it, decoded and valid.
///
/// This is the seam between the rule documents (`Rules`) and the rule runtime (`Detection`): durations are in ticks of 100 ns.
public struct AnalyticsRule: Sendable {
    public enum Kind: String, Sendable, Hashable { case scheduled = "Scheduled", nrt = "NRT" }

    public enum Severity: String, Sendable, Hashable, CaseIterable, Comparable {
        case informational = "Informational", low = "Low", medium = "Medium", high = "High"

        var rank: Int {
            switch self {
            case .informational: 0
            case .low: 1
            case .medium: 2
            case .high: 3
            }
        }
        public static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }
    }

    public enum TriggerOperator: String, Sendable, Hashable { case greaterThan = "gt", lessThan = "lt", equal = "eq", notEqual = "ne" }

    /// `eventGroupingSettings.aggregationKind`.
    public enum Grouping: String, Sendable, Hashable { case singleAlert = "SingleAlert", alertPerResult = "AlertPerResult" }

    public struct FieldMapping: Sendable, Hashable {
        /// Canonical spelling (`Name`, `UPNSuffix`, `Address` ...).
        public let identifier: String
        public let columnName: String
        public init(identifier: String, columnName: String) {
            self.identifier = identifier
            self.columnName = columnName
        }
    }

    public struct EntityMapping: Sendable, Hashable {
        /// Canonical spelling (`Account`, `IP`, `AzureResource` ...).
        public let entityType: String
        public let fields: [FieldMapping]
        public init(entityType: String, fields: [FieldMapping]) {
            self.entityType = entityType
            self.fields = fields
        }
    }

    public struct DetailsOverride: Sendable, Hashable {
        public var displayNameFormat: String?
        public var descriptionFormat: String?
        public var severityColumn: String?
        public var tacticsColumn: String?
        /// `alertProperty` → column name, in order.
        public var dynamicProperties: [FieldMapping] = []
        public init() {}
    }

    public var id: String
    public var name: String
    public var description = ""
    public var severity = Severity.medium
    public var kind = Kind.scheduled
    public var query: String
    /// Ticks between evaluations; one minute for NRT.
    public var queryFrequency: Int64
    /// Ticks that an evaluation looks back; one minute for NRT.
    public var queryPeriod: Int64
    public var triggerOperator = TriggerOperator.greaterThan
    public var triggerThreshold = 0
    /// First run, in datetime ticks: the anchor of the rule's clock.
    public var startTime: Int64?
    /// Canonical tactic names, as the rule gives them.
    public var tactics: [String] = []
    /// Technique and sub-technique ids (`T1098.001`), revoked ones mapped to their successors where the catalogue knows one.
    public var techniques: [String] = []
    public var entityMappings: [EntityMapping] = []
    /// Columns that hold whole entity arrays.
    public var sentinelEntityColumns: [String] = []
    /// Detail key → column name, in order of the document.
    public var customDetails: [FieldMapping] = []
    public var detailsOverride: DetailsOverride?
    public var grouping = Grouping.singleAlert
    /// Ticks; nil when suppression is off.
    public var suppression: Int64?
    public var isEnabled = true
    public var version: String?
    /// Where the rule came from, for messages.
    public var file = ""
    /// Where the query's text stands in the file: what `DiagnosticRenderer` needs to point into it.
    public var queryLine = 1
    public var queryColumn = 1

    public init(id: String, name: String, query: String, queryFrequency: Int64, queryPeriod: Int64) {
        self.id = id
        self.name = name
        self.query = query
        self.queryFrequency = queryFrequency
        self.queryPeriod = queryPeriod
    }
}
