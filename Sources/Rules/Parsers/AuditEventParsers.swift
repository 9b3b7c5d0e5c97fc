/// Changes of configuration: the Azure activity log, the directory audit log of Microsoft Entra ID, and AWS CloudTrail.
enum AuditEventParsers {
    static let filter = BuiltInParsers.Filter(
        parameters: [
            "starttime: datetime = datetime(null)", "endtime: datetime = datetime(null)",
            "srcipaddr_has_any_prefix: dynamic = dynamic([])", "eventtype_in: dynamic = dynamic([])", "eventresult: string = '*'",
            "actorusername_has_any: dynamic = dynamic([])", "operation_has_any: dynamic = dynamic([])",
            "object_has_any: dynamic = dynamic([])", "newvalue_has_any: dynamic = dynamic([])",
        ],
        condition: """
            | where (isnull(starttime) or TimeGenerated >= starttime)
                and (isnull(endtime) or TimeGenerated <= endtime)
            | where (array_length(srcipaddr_has_any_prefix) == 0 or has_any_ipv4_prefix(SrcIpAddr, srcipaddr_has_any_prefix))
                and (array_length(eventtype_in) == 0 or EventType in~ (eventtype_in))
                and (eventresult == '*' or EventResult =~ eventresult)
                and (array_length(actorusername_has_any) == 0 or ActorUsername has_any (actorusername_has_any))
                and (array_length(operation_has_any) == 0 or Operation has_any (operation_has_any))
                and (array_length(object_has_any) == 0 or Object has_any (object_has_any))
                and (array_length(newvalue_has_any) == 0 or NewValue has_any (newvalue_has_any))
            """)

    static let sources = [
        BuiltInParsers.Source(name: "AzureActivity", query: azureActivity),
        BuiltInParsers.Source(name: "AuditLogs", query: auditLogs),
        BuiltInParsers.Source(name: "AWSCloudTrail", query: cloudTrail),
    ]

    private static let aliases = """
        | extend User = ActorUsername, Src = SrcIpAddr, IpAddr = SrcIpAddr, Value = NewValue, Dvc = EventVendor
        """

    private static let azureActivity = """
        AzureActivity
        | extend _authorization = todynamic(Authorization)
        | project TimeGenerated, Type = 'AzureActivity', EventCount = int(1), EventStartTime = TimeGenerated, EventEndTime = TimeGenerated,
            EventType = case(OperationNameValue endswith '/delete', 'Delete', OperationNameValue endswith '/write', 'Set',
                OperationNameValue endswith '/read', 'Read', OperationNameValue endswith '/action', 'Execute', 'Other'),
            EventResult = case(ActivityStatusValue in~ ('Success', 'Succeeded', 'Accept', 'Accepted'), 'Success',
                ActivityStatusValue in~ ('Start', 'Started'), 'NA', ActivityStatusValue in~ ('Failure', 'Failed'), 'Failure', 'NA'),
            EventResultDetails = '', EventOriginalType = CategoryValue, EventOriginalResultDetails = ActivitySubstatusValue,
            EventOriginalUid = EventDataId,
            EventSeverity = case(Level =~ 'Critical', 'High', Level =~ 'Error', 'Low', Level =~ 'Warning', 'Low', 'Informational'),
            EventVendor = 'Microsoft', EventProduct = 'Azure', EventSchema = 'AuditEvent', EventSchemaVersion = '0.1',
            Operation = OperationNameValue, Object = _ResourceId, ObjectId = _ResourceId, ObjectType = 'Cloud Resource',
            OldValue = '', NewValue = '', ValueType = '',
            ActorUsername = iff(Caller contains '@', Caller, ''), ActorUsernameType = iff(Caller contains '@', 'UPN', ''),
            ActorUserId = iff(Caller contains '@', '', Caller), ActorUserIdType = iff(Caller contains '@', '', 'EntraID'),
            ActorUserType = iff(Caller contains '@', 'Regular', 'Application'), ActorSessionId = CorrelationId,
            ActingAppId = '', ActingAppName = '', TargetAppName = 'Azure', SrcIpAddr = CallerIpAddress,
            SrcHostname = '', HttpUserAgent = '', AdditionalFields = _authorization
        \(aliases)
        """

    private static let auditLogs = """
        AuditLogs
        | extend _user = InitiatedBy.user, _app = InitiatedBy.app, _target = TargetResources[0]
        | extend _change = _target.modifiedProperties[0]
        | project TimeGenerated, Type = 'AuditLogs', EventCount = int(1), EventStartTime = TimeGenerated, EventEndTime = TimeGenerated,
            EventType = case(AADOperationType in~ ('Add', 'Create'), 'Create', AADOperationType =~ 'Assign', 'Set',
                AADOperationType =~ 'Update', 'Set', AADOperationType in~ ('Delete', 'Remove', 'Unassign'), 'Delete', 'Other'),
            EventResult = case(Result =~ 'success', 'Success', Result in~ ('failure', 'timeout'), 'Failure', 'NA'),
            EventResultDetails = '', EventOriginalType = Category, EventOriginalResultDetails = ResultReason, EventOriginalUid = Id,
            EventSeverity = 'Informational',
            EventVendor = 'Microsoft', EventProduct = 'Entra ID', EventSchema = 'AuditEvent', EventSchemaVersion = '0.1',
            Operation = OperationName,
            Object = coalesce(tostring(_target.displayName), tostring(_target.userPrincipalName), tostring(_target.id)),
            ObjectId = tostring(_target.id), ObjectType = 'Directory Service Object',
            OldValue = tostring(_change.oldValue), NewValue = tostring(_change.newValue), ValueType = 'Other',
            ActorUsername = coalesce(tostring(_user.userPrincipalName), tostring(_app.displayName)),
            ActorUsernameType = iff(isnotempty(_user.userPrincipalName), 'UPN', 'Simple'),
            ActorUserId = coalesce(tostring(_user.id), tostring(_app.servicePrincipalId)), ActorUserIdType = 'EntraID',
            ActorUserType = iff(isnotempty(_user.userPrincipalName), 'Regular', 'Application'), ActorSessionId = CorrelationId,
            ActingAppId = tostring(_app.appId), ActingAppName = tostring(_app.displayName), TargetAppName = LoggedByService,
            SrcIpAddr = coalesce(tostring(_user.ipAddress), tostring(_app.ipAddress)), SrcHostname = '', HttpUserAgent = '',
            AdditionalFields = AdditionalDetails
        \(aliases)
        """

    private static let cloudTrail = """
        AWSCloudTrail
        | where ReadOnly == false and EventName !in ('ConsoleLogin', 'AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
        | project TimeGenerated, Type = 'AWSCloudTrail', EventCount = int(1), EventStartTime = TimeGenerated, EventEndTime = TimeGenerated,
            EventType = case(EventName startswith 'Create' or EventName startswith 'Run', 'Create',
                EventName startswith 'Delete' or EventName startswith 'Remove' or EventName startswith 'Terminate', 'Delete',
                EventName startswith 'Put' or EventName startswith 'Update' or EventName startswith 'Modify' or EventName startswith 'Set'
                    or EventName startswith 'Attach' or EventName startswith 'Detach' or EventName startswith 'Add', 'Set',
                EventName startswith 'Enable', 'Enable', EventName startswith 'Disable', 'Disable',
                EventName startswith 'Stop', 'Stop', EventName startswith 'Start', 'Start', 'Other'),
            EventResult = iff(isempty(ErrorCode), 'Success', 'Failure'), EventResultDetails = '', EventOriginalType = EventTypeName,
            EventOriginalResultDetails = coalesce(ErrorMessage, ErrorCode), EventOriginalUid = AwsEventId,
            EventSeverity = iff(isempty(ErrorCode), 'Informational', 'Low'),
            EventVendor = 'AWS', EventProduct = 'CloudTrail', EventSchema = 'AuditEvent', EventSchemaVersion = '0.1',
            Operation = EventName, Object = EventSource, ObjectId = '', ObjectType = 'Cloud Resource', OldValue = '',
            NewValue = RequestParameters, ValueType = 'Other',
            ActorUsername = case(UserIdentityType == 'Root', 'root', UserIdentityType == 'AssumedRole',
                tostring(split(UserIdentityArn, '/')[-1]), UserIdentityUserName), ActorUsernameType = 'Simple',
            ActorUserId = tostring(split(UserIdentityPrincipalid, ':')[0]), ActorUserIdType = 'AWSId',
            ActorUserType = case(UserIdentityType == 'Root', 'Admin', UserIdentityType in ('IAMUser', 'FederatedUser'), 'Regular',
                UserIdentityType == 'AssumedRole', 'Service', UserIdentityType == 'AWSService', 'Application', 'Other'),
            ActorSessionId = '', ActingAppId = '', ActingAppName = UserIdentityInvokedBy, TargetAppName = EventSource,
            SrcIpAddr = SourceIpAddress, SrcHostname = '', HttpUserAgent = UserAgent, AdditionalFields = todynamic(AdditionalEventData)
        \(aliases)
        """
}
