import Columnar
import KQL

/// Entra ID: the streams of its diagnostic settings, and the same objects as Microsoft Graph returns them.
enum EntraForms {
    /// Columns of every diagnostic stream, filled from the top level first.
    static let top: [String: Source] = [
        "Category": .at("category", "properties.category"),
        "OperationName": .at("operationName", "properties.operationName"),
        "OperationVersion": .at("operationVersion", "properties.operationVersion"),
        "ResultType": .at("resultType", "properties.resultType"),
        "ResultSignature": .at("resultSignature", "properties.resultSignature"),
        "ResultDescription": .at("resultDescription", "properties.resultDescription", "properties.status.failureReason"),
        "CorrelationId": .at("correlationId", "properties.correlationId"),
        "DurationMs": .at("durationMs", "properties.durationMs"),
        "Identity": .at("identity", "properties.identity"),
        "Level": .at("level", "properties.level"),
        "AADTenantId": .at("tenantId", "properties.tenantId"),
        "AadTenantId": .at("tenantId", "properties.tenantId"),
        "ResourceId": .at("resourceId"),
        "ResourceGroup": .computed(.resource),
        "Resource": .computed(.resource),
        "SourceSystem": .constant("Azure AD"),
    ]

    /// Any other column: the key of the same name, below `properties` first.
    static let byName: @Sendable (SchemaColumn) -> Source? = { Source(paths: [["properties", $0.name], [$0.name]]) }

    static func diagnostic(_ table: String, _ columns: [String: Source] = [:]) -> Mapping {
        Mapping(table, top.merging(columns) { $1 }, else: byName)
    }

    static let audit = diagnostic(
        "AuditLogs",
        [
            "Category": .at("properties.category", "category"),
            "Result": .mapped("auditResult", "properties.result"),
            "AADOperationType": .at("properties.operationType"),
            "OperationName": .at("operationName", "properties.activityDisplayName"),
            "Location": .at("location"),
        ])

    static let auditGraph = Mapping(
        "AuditLogs",
        [
            "OperationName": .at("activityDisplayName"),
            "AADOperationType": .at("operationType"),
            "Result": .mapped("auditResult", "result"),
            "SourceSystem": .constant("Azure AD"),
        ], else: { Source(paths: [[$0.name]]) })

    static let signInColumns: [String: Source] = [
        "Location": .at("location", "properties.location.countryOrRegion"),
        "LocationDetails": .at("properties.location"),
        "IPAddress": .at("callerIpAddress", "properties.ipAddress", operation: .stripPort),
        "Status": .at("properties.status"),
        "ResultType": .at("resultType", "properties.status.errorCode"),
        "ResourceIdentity": .at("properties.resourceId"),
        "ConditionalAccessPolicies": .at("properties.appliedConditionalAccessPolicies", "properties.conditionalAccessPolicies"),
        "Resource": .computed(.resource),
        "ProcessingTimeInMs": .at("properties.processingTimeInMs", "properties.processingTimeInMilliseconds"),
    ]

    static let signInGraph = Mapping(
        "SigninLogs",
        [
            "Location": .at("location.countryOrRegion"),
            "LocationDetails": .at("location"),
            "IPAddress": .at("ipAddress", operation: .stripPort),
            "ResultType": .at("status.errorCode"),
            "ResultDescription": .at("status.failureReason"),
            "OperationName": .constant("Sign-in activity"),
            "Category": .constant("SignInLogs"),
            "ResourceIdentity": .at("resourceId"),
            "ResourceId": .missing,
            "ConditionalAccessPolicies": .at("appliedConditionalAccessPolicies"),
            "Identity": .at("userDisplayName"),
            "SourceSystem": .constant("Azure AD"),
        ], else: { Source(paths: [[$0.name]]) })

    static let time = ["time", "properties.activityDateTime", "properties.createdDateTime"]

    /// Streams whose category alone names the form.
    static let categories: [(category: String, shape: Shape)] =
        [
            ("signinlogs", "SigninLogs"), ("noninteractiveusersigninlogs", "AADNonInteractiveUserSignInLogs"),
            ("serviceprincipalsigninlogs", "AADServicePrincipalSignInLogs"), ("managedidentitysigninlogs", "AADManagedIdentitySignInLogs"),
            ("adfssigninlogs", "ADFSSignInLogs"),
        ].map { ($0.0, Shape("Entra sign-in, \($0.1)", time: time, treatment: .azure, [diagnostic($0.1, signInColumns)])) }
        + [
            ("provisioninglogs", "AADProvisioningLogs"), ("riskyusers", "AADRiskyUsers"), ("userriskevents", "AADUserRiskEvents"),
            ("riskyserviceprincipals", "AADRiskyServicePrincipals"), ("serviceprincipalriskevents", "AADServicePrincipalRiskEvents"),
            ("networkaccesstrafficlogs", "NetworkAccessTraffic"),
            ("microsoftgraphactivitylogs", "MicrosoftGraphActivityLogs"),
        ].map {
            let columns: [String: Source] =
                $0.1 == "MicrosoftGraphActivityLogs" ? ["DurationMs": .at("properties.durationMs", "durationMs")] : [:]
            return ($0.0, Shape("Entra, \($0.1)", time: time, treatment: .azure, [diagnostic($0.1, columns)]))
        }

    static let auditShape = Shape("Entra audit", time: time, treatment: .azure, [audit])
    static let auditGraphShape = Shape("Entra audit, Microsoft Graph form", time: ["activityDateTime"], [auditGraph])
    static let signInGraphShape = Shape("Entra sign-in, Microsoft Graph form", time: ["createdDateTime"], [signInGraph])
}
