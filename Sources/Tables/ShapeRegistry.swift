import Columnar
import KQL

/// Every native form, by the way it is recognised.
enum ShapeRegistry {
    /// Forms that the recogniser names itself.
    static var named: [(WritableKeyPath<ShapeIDs, Int32>, Shape)] {
        [
            (\.activity, AzureActivityForms.shapes[0]), (\.activityREST, AzureActivityForms.shapes[1]), (\.audit, EntraForms.auditShape),
            (\.auditGraph, EntraForms.auditGraphShape), (\.signInGraph, EntraForms.signInGraphShape),
            (\.keyVault, AzureResourceForms.keyVaultShape), (\.diagnostics, AzureResourceForms.diagnosticsShape),
            (\.nsgFlow, FlowForms.nsgShape), (\.vnetFlow, FlowForms.vnetShape), (\.trail, AWSForms.trailShape),
            (\.trailEnvelope, AWSForms.trailEnvelopeShape), (\.trailText, AWSForms.trailTextShape), (\.guardDuty, AWSForms.guardDutyShape),
            (\.guardDutyEnvelope, AWSForms.guardDutyEnvelopeShape), (\.office, OfficeForms.shape),
            (\.alertExport, SecurityAlertForms.exportShape), (\.alertGraph2, SecurityAlertForms.graph2Shape),
            (\.alertGraph1, SecurityAlertForms.graph1Shape), (\.gcp, GCPForms.shape),
            (\.storageBlob, AzureResourceForms.storage("StorageBlobLogs")), (\.storageFile, AzureResourceForms.storage("StorageFileLogs")),
            (\.storageQueue, AzureResourceForms.storage("StorageQueueLogs")),
            (\.storageTable, AzureResourceForms.storage("StorageTableLogs")),
        ]
    }

    /// Every table that some form fills.
    static let tables = Set((named.map(\.1) + byCategory.map(\.shape)).flatMap { $0.mappings.map(\.table) })

    /// Forms whose category is enough.
    static let byCategory: [(category: String, shape: Shape)] =
        EntraForms.categories + AzureResourceForms.categories + DefenderForms.categories
}

/// Numbers of the compiled shapes.
struct ShapeIDs: Sendable {
    var row: Int32 = 0
    var activity: Int32 = 0, activityREST: Int32 = 0, audit: Int32 = 0, auditGraph: Int32 = 0, signInGraph: Int32 = 0
    var keyVault: Int32 = 0, diagnostics: Int32 = 0, nsgFlow: Int32 = 0, vnetFlow: Int32 = 0
    var trail: Int32 = 0, trailEnvelope: Int32 = 0, trailText: Int32 = 0, guardDuty: Int32 = 0, guardDutyEnvelope: Int32 = 0
    var office: Int32 = 0, alertExport: Int32 = 0, alertGraph2: Int32 = 0, alertGraph1: Int32 = 0, gcp: Int32 = 0
    var storageBlob: Int32 = 0, storageFile: Int32 = 0, storageQueue: Int32 = 0, storageTable: Int32 = 0

    // What a category stands for when it is not yet a shape.
    static let activityCategory: Int32 = 1 << 20
    static let auditCategory: Int32 = activityCategory + 1
    static let storageCategory: Int32 = activityCategory + 2
    static let auditEventCategory: Int32 = activityCategory + 3
    static let nsgFlowCategory: Int32 = activityCategory + 4
    static let vnetFlowCategory: Int32 = activityCategory + 5

    static let specialCategories: [(String, Int32)] =
        [
            "administrative", "policy", "security", "servicehealth", "resourcehealth", "alert", "autoscale", "recommendation", "write",
            "delete", "action",
        ].map { ($0, activityCategory) }
        + [
            ("auditlogs", auditCategory), ("audit", auditCategory), ("storageread", storageCategory), ("storagewrite", storageCategory),
            ("storagedelete", storageCategory), ("auditevent", auditEventCategory),
            ("networksecuritygroupflowevent", nsgFlowCategory), ("flowlogflowevent", vnetFlowCategory),
        ]
}

/// Records that are rows already: their keys are column names.
enum RowForms {
    /// Keys that may hold the time, best first.
    static let time = [
        "TimeGenerated", "Timestamp", "time", "@timestamp", "eventTime", "datetime", "date", "ts", "_time", "createdAt", "created_at",
        "createdDateTime", "CreationTime", "published", "startTime",
    ]

    static func shape(table: String) -> Shape {
        Shape("rows of \(table)", time: time, [Mapping(table, [:], else: { Source(paths: [[$0.name]]).exactly })])
    }
}
