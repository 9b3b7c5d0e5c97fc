import Columnar
import KQL

/// Amazon Web Services.
enum AWSForms {
    /// Columns by the event's own keys; letter case as AWS writes it.
    static let trailColumns: [String: Source] = [
        "EventName": .at("eventName"), "EventSource": .at("eventSource"), "EventTypeName": .at("eventType"),
        "EventVersion": .at("eventVersion"), "AWSRegion": .at("awsRegion"), "SourceIpAddress": .at("sourceIPAddress"),
        "UserAgent": .at("userAgent"), "ErrorCode": .at("errorCode"), "ErrorMessage": .at("errorMessage"),
        "RequestParameters": .at("requestParameters"), "ResponseElements": .at("responseElements"),
        "AdditionalEventData": .at("additionalEventData"), "Resources": .at("resources"), "ServiceEventDetails": .at("serviceEventDetails"),
        "AwsEventId": .at("eventID"), "AwsRequestId_": .at("requestID"), "AwsRequestId": .at("requestID"), "APIVersion": .at("apiVersion"),
        "TlsVersion": .at("tlsDetails.tlsVersion"), "CipherSuite": .at("tlsDetails.cipherSuite"),
        "ClientProvidedHostHeader": .at("tlsDetails.clientProvidedHostHeader"),
        "CidrIp": .at("requestParameters.cidrIp"), "IpProtocol": .at("requestParameters.ipProtocol"),
        "SourcePort": .at("requestParameters.fromPort"), "DestinationPort": .at("requestParameters.toPort"),
        "UserIdentityType": .at("userIdentity.type"), "UserIdentityPrincipalid": .at("userIdentity.principalId"),
        "UserIdentityArn": .at("userIdentity.arn"), "UserIdentityAccountId": .at("userIdentity.accountId"),
        "UserIdentityAccessKeyId": .at("userIdentity.accessKeyId"), "UserIdentityUserName": .at("userIdentity.userName"),
        "UserIdentityInvokedBy": .at("userIdentity.invokedBy"), "UserIdentityUserId": .at("userIdentity.onBehalfOf.userId"),
        "UserIdentityStoreArn": .at("userIdentity.onBehalfOf.identityStoreArn"),
        "SessionMfaAuthenticated": .at("userIdentity.sessionContext.attributes.mfaAuthenticated"),
        "SessionCreationDate": .at("userIdentity.sessionContext.attributes.creationDate"),
        "SessionIssuerType": .at("userIdentity.sessionContext.sessionIssuer.type"),
        "SessionIssuerPrincipalId": .at("userIdentity.sessionContext.sessionIssuer.principalId"),
        "SessionIssuerArn": .at("userIdentity.sessionContext.sessionIssuer.arn"),
        "SessionIssuerAccountId": .at("userIdentity.sessionContext.sessionIssuer.accountId"),
        "SessionIssuerUserName": .at("userIdentity.sessionContext.sessionIssuer.userName"),
        "EC2RoleDelivery": .at("userIdentity.sessionContext.ec2RoleDelivery"), "Category": .at("eventCategory"),
        "ManagementEvent": .at("managementEvent"), "ReadOnly": .at("readOnly"), "RecipientAccountId": .at("recipientAccountId"),
        "SharedEventId": .at("sharedEventID"), "VpcEndpointId": .at("vpcEndpointId"),
    ]

    static let guardDutyColumns: [String: Source] = [
        "AccountId": .at("accountId"), "Region": .at("region"), "Id": .at("id"), "Arn": .at("arn"), "ActivityType": .at("type"),
        "Title": .at("title"), "Description": .at("description"), "Severity": .at("severity"), "TimeCreated": .at("createdAt"),
        "ResourceDetails": .at("resource"), "ServiceDetails": .at("service"), "SchemaVersion": .at("schemaVersion"),
        "Partition": .at("partition"),
    ]

    static func mapping(_ table: String, _ columns: [String: Source], below prefix: [String], constants: [String: Source]) -> Mapping {
        Mapping(table, columns.mapValues { $0.below(prefix).exactly }.merging(constants) { $1 })
    }

    static let trailConstants: [String: Source] = ["OperationName": .constant("CloudTrail"), "SourceSystem": .constant("AWS")]
    static let trail = mapping("AWSCloudTrail", trailColumns, below: [], constants: trailConstants)
    static let trailEnvelope = mapping("AWSCloudTrail", trailColumns, below: ["detail"], constants: trailConstants)
    static let guardDutyConstants: [String: Source] = ["SourceSystem": .constant("AWS")]

    static let trailShape = Shape("CloudTrail", time: ["eventTime"], [trail])
    static let trailEnvelopeShape = Shape("CloudTrail in an EventBridge envelope", time: ["detail.eventTime", "time"], [trailEnvelope])
    static let trailTextShape = Shape("CloudTrail as lookup-events returns it", time: ["EventTime"], treatment: .cloudTrailText, [trail])
    static let guardDutyShape = Shape(
        "GuardDuty", time: ["updatedAt", "createdAt"], [mapping("AWSGuardDuty", guardDutyColumns, below: [], constants: guardDutyConstants)]
    )
    static let guardDutyEnvelopeShape = Shape(
        "GuardDuty in an EventBridge envelope", time: ["detail.updatedAt", "time"],
        [mapping("AWSGuardDuty", guardDutyColumns, below: ["detail"], constants: guardDutyConstants)])
}

/// Microsoft 365 audit records of the Management Activity API.
enum OfficeForms {
    static let columns: [String: Source] = [
        "OfficeId": .at("Id"), "RecordType": .mapped("officeRecordType", "RecordType"), "OfficeWorkload": .at("Workload"),
        "UserType": .mapped("officeUserType", "UserType"), "OfficeObjectId": .at("ObjectId"), "ClientIP": .at("ClientIP"),
        "Client_IPAddress": .at("ClientIPAddress"), "Site_Url": .at("SiteUrl"), "Source_Name": .at("SourceName"),
        "Event_Data": .at("EventData"), "Site_": .at("Site"), "Start_Time": .at("StartTime"),
        "Logon_Type": .mapped("officeLogonType", "LogonType"), "AzureActiveDirectory_EventType": .at("AzureActiveDirectoryEventType"),
        "OfficeTenantId": .at("OrganizationId"), "SourceSystem": .constant("OfficeActivityManager"),
    ]
    static let shape = Shape(
        "Microsoft 365 audit", time: ["CreationTime"], [Mapping("OfficeActivity", columns, else: { Source(paths: [[$0.name]]) })])
}

/// Alerts of Microsoft products.
enum SecurityAlertForms {
    static let export = Mapping(
        "SecurityAlert",
        [
            "StartTime": .at("StartTimeUtc", "StartTime"), "EndTime": .at("EndTimeUtc", "EndTime"),
            "ProcessingEndTime": .at("ProcessingEndTimeUtc", "ProcessingEndTime"),
            "AlertName": .at("AlertDisplayName", "AlertName", "DisplayName"),
            "DisplayName": .at("AlertDisplayName", "DisplayName", "AlertName"), "AlertSeverity": .at("Severity", "AlertSeverity"),
            "VendorOriginalId": .at("ProviderAlertId", "VendorOriginalId"), "AlertLink": .at("AlertUri", "AlertLink"),
            "Tactics": .at("Intent", "Tactics"), "ResourceId": .at("AzureResourceId", "ResourceId"),
            "Status": .at("Status", "AlertStatus"), "SourceSystem": .constant("Detection"),
        ], else: { Source(paths: [[$0.name]]) })

    static let graph2 = Mapping(
        "SecurityAlert",
        [
            "StartTime": .at("firstActivityDateTime"), "EndTime": .at("lastActivityDateTime"),
            "ProcessingEndTime": .at("lastUpdateDateTime"),
            "AlertName": .at("title"), "DisplayName": .at("title"), "AlertType": .at("detectorId"),
            "AlertSeverity": .at("severity", operation: .capitalized), "Description": .at("description"), "SystemAlertId": .at("id"),
            "VendorOriginalId": .at("providerAlertId"), "ProviderName": .at("detectionSource", "serviceSource"),
            "ProductName": .at("productName", "serviceSource"), "VendorName": .constant("Microsoft"),
            "Status": .at("status", operation: .capitalized), "CompromisedEntity": .missing, "Tactics": .at("category"),
            "Techniques": .at("mitreTechniques"), "Entities": .at("evidence"), "ExtendedProperties": .at("additionalData"),
            "RemediationSteps": .at("recommendedActions"), "AlertLink": .at("alertWebUrl"), "IsIncident": .constant("false"),
            "SourceSystem": .constant("Detection"),
        ])

    static let graph1 = Mapping(
        "SecurityAlert",
        [
            "StartTime": .at("eventDateTime"), "EndTime": .at("eventDateTime"), "ProcessingEndTime": .at("lastModifiedDateTime"),
            "AlertName": .at("title"), "DisplayName": .at("title"), "AlertType": .at("category"),
            "AlertSeverity": .at("severity", operation: .capitalized), "Description": .at("description"), "SystemAlertId": .at("id"),
            "ProviderName": .at("vendorInformation.provider"), "ProductName": .at("vendorInformation.subProvider"),
            "VendorName": .at("vendorInformation.vendor"), "Status": .at("status", operation: .capitalized), "Tactics": .at("category"),
            "RemediationSteps": .at("recommendedActions"), "IsIncident": .constant("false"), "SourceSystem": .constant("Detection"),
        ])

    static let exportShape = Shape(
        "Security alert", time: ["TimeGenerated", "TimeGeneratedUtc", "ProcessingEndTimeUtc", "EndTimeUtc", "StartTimeUtc"], [export])
    static let graph2Shape = Shape("Security alert, Graph alerts_v2", time: ["createdDateTime"], [graph2])
    static let graph1Shape = Shape("Security alert, Graph alerts", time: ["createdDateTime", "eventDateTime"], [graph1])
}

/// Google Cloud audit logs.
enum GCPForms {
    static let columns: [String: Source] = [
        "InsertId": .at("insertId"), "LogName": .at("logName"), "Severity": .at("severity"), "Timestamp": .at("timestamp"),
        "ProjectId": .at("resource.labels.project_id"), "GCPResourceType": .at("resource.type"),
        "ServiceName": .at("protoPayload.serviceName"), "MethodName": .at("protoPayload.methodName"),
        "GCPResourceName": .at("protoPayload.resourceName"), "AuthenticationInfo": .at("protoPayload.authenticationInfo"),
        "PrincipalEmail": .at("protoPayload.authenticationInfo.principalEmail"),
        "AuthorizationInfo": .at("protoPayload.authorizationInfo"), "RequestMetadata": .at("protoPayload.requestMetadata"),
        "Request": .at("protoPayload.request"), "Response": .at("protoPayload.response"), "ServiceData": .at("protoPayload.serviceData"),
        "Metadata": .at("protoPayload.metadata"), "Status": .at("protoPayload.status"), "StatusMessage": .at("protoPayload.status.message"),
        "ResourceLocation": .at("protoPayload.resourceLocation"), "NumResponseItems": .at("protoPayload.numResponseItems"),
        "ResourceOriginalState": .at("protoPayload.resourceOriginalState"), "SourceSystem": .constant("GCP"),
    ]
    static let shape = Shape("Google Cloud audit", time: ["timestamp", "receiveTimestamp"], [Mapping("GCPAuditLogs", columns)])
}
