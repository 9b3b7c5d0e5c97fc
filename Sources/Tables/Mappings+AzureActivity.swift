import Columnar
import KQL

/// Azure Activity in its two forms: the resource-log form (diagnostic settings, Event Hubs) and that of the management API.
enum AzureActivityForms {
    /// Claims that name the caller, best first: users by UPN or mail, service principals by object id.
    static let callerClaims = [
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "http://schemas.microsoft.com/identity/claims/objectidentifier", "appid",
    ]

    /// Keys that Log Analytics adds to `properties`; the places of their values in the source of `activityProperties`.
    static let addedKeys = [
        "resource", "resourceGroup", "resourceProviderValue", "subscriptionId", "activityStatusValue", "activitySubstatusValue", "caller",
        "httpRequest",
    ]

    /// `properties` first, then status, substatus (two places), the HTTP request, the keys that may be there already, and the caller.
    static func propertiesSource(status: String, substatus: String, caller: [[String]]) -> Source {
        Source(
            paths: [["properties"], [status], ["properties", "statusCode"], [substatus], ["httpRequest"]]
                .map { $0.flatMap(Source.path) } + addedKeys.map { ["properties", $0] } + caller,
            operation: .activityProperties)
    }

    static let streamCaller = callerClaims.map { ["identity", "claims", $0] } + [["properties", "caller"], ["caller"]]
    static let restCaller = [["caller"]] + callerClaims.map { ["claims", $0] }

    static let common: [String: Source] = [
        "SubscriptionId": .computed(.subscription),
        "_SubscriptionId": .computed(.subscription),
        "_ResourceId": .computed(.resourceIdLower),
        "ResourceGroup": .computed(.resourceGroup),
        "ResourceProvider": Source(paths: [["operationName"], ["operationName", "value"]], operation: .provider),
        "ResourceProviderValue": Source(paths: [["operationName"], ["operationName", "value"]], operation: .provider),
        "Resource": .computed(.resource),
        "ResourceId": .at("resourceId"),
        "CorrelationId": .at("correlationId"),
        "Level": .mapped("activityLevel", "level"),
        "SourceSystem": .constant("Azure"),
    ]

    static let stream = Mapping(
        "AzureActivity",
        common.merging([
            "OperationNameValue": .at("operationName"),
            "OperationName": .at("operationName", "properties.message", operation: .activityOperation),
            "CategoryValue": .at("properties.eventCategory", "category", operation: .activityCategory),
            "Category": .at("properties.eventCategory", "category", operation: .activityCategory),
            "ActivityStatusValue": .mapped("activityStatusValue", "resultType"),
            "ActivityStatus": .mapped("activityStatus", "resultType"),
            "ActivitySubstatusValue": .at("properties.statusCode", "resultSignature", operation: .activitySubstatus),
            "ActivitySubstatus": .at("properties.statusCode", "resultSignature", operation: .activitySubstatusDisplay),
            "Caller": Source(paths: streamCaller),
            "CallerIpAddress": .at("callerIpAddress", operation: .stripPort),
            "OperationId": .at("properties.operationId", "correlationId"),
            "EventDataId": .at("properties.eventDataId", "eventDataId", operation: .recordGuid),
            "EventSubmissionTimestamp": .at("properties.submissionTimestamp", "submissionTimestamp", "time"),
            "Authorization": .at("identity.authorization", "properties.authorization"),
            "Authorization_d": .at("identity.authorization", "properties.authorization"),
            "Claims": .at("identity.claims"),
            "Claims_d": .at("identity.claims"),
            "HTTPRequest": .at("properties.httpRequest", "httpRequest"),
            "Hierarchy": .at("properties.hierarchy"),
            "Properties": propertiesSource(status: "resultType", substatus: "resultSignature", caller: streamCaller),
            "Properties_d": propertiesSource(status: "resultType", substatus: "resultSignature", caller: streamCaller),
        ]) { $1 })

    static let rest = Mapping(
        "AzureActivity",
        common.merging([
            "OperationNameValue": .at("operationName.value", "operationName"),
            "OperationName": .at("operationName.localizedValue", "operationName.value"),
            "CategoryValue": .at("category.value", "properties.eventCategory", "category", operation: .activityCategory),
            "Category": .at("category.value", "properties.eventCategory", "category", operation: .activityCategory),
            "ActivityStatusValue": .mapped("activityStatusValue", "status.value", "status"),
            "ActivityStatus": .mapped("activityStatus", "status.value", "status"),
            "ActivitySubstatusValue": .at("subStatus.value", "properties.statusCode"),
            "ActivitySubstatus": .at("subStatus.localizedValue", "subStatus.value"),
            "Caller": Source(paths: restCaller),
            "CallerIpAddress": .at("httpRequest.clientIpAddress", "claims.ipaddr", "callerIpAddress", operation: .stripPort),
            "OperationId": .at("operationId", "correlationId"),
            "EventDataId": .at("eventDataId", operation: .recordGuid),
            "EventSubmissionTimestamp": .at("submissionTimestamp", "eventTimestamp"),
            "SubscriptionId": .at("subscriptionId", operation: .subscription),
            "_SubscriptionId": .at("subscriptionId", operation: .subscription),
            "ResourceGroup": .at("resourceGroupName", operation: .resourceGroup),
            "ResourceProvider": .at("resourceProviderName.value", "operationName.value", operation: .provider),
            "ResourceProviderValue": .at("resourceProviderName.value", "operationName.value", operation: .provider),
            "Authorization": .at("authorization"),
            "Authorization_d": .at("authorization"),
            "Claims": .at("claims"),
            "Claims_d": .at("claims"),
            "HTTPRequest": .at("httpRequest"),
            "Hierarchy": .at("properties.hierarchy"),
            "Properties": propertiesSource(status: "status.value", substatus: "subStatus.value", caller: restCaller),
            "Properties_d": propertiesSource(status: "status.value", substatus: "subStatus.value", caller: restCaller),
        ]) { $1 })

    static let shapes = [
        Shape("Azure Activity, resource-log form", time: ["time", "eventTimestamp"], treatment: .azure, [stream]),
        Shape("Azure Activity, management API form", time: ["eventTimestamp", "submissionTimestamp", "time"], treatment: .azure, [rest]),
    ]
}
