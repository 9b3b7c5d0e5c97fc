/// Sign-ins: the tables of Microsoft Entra ID, and console sign-ins and assumed roles of AWS CloudTrail.
enum AuthenticationParsers {
    static let filter = BuiltInParsers.Filter(
        parameters: [
            "starttime: datetime = datetime(null)", "endtime: datetime = datetime(null)", "username_has_any: dynamic = dynamic([])",
            "targetappname_has_any: dynamic = dynamic([])", "srcipaddr_has_any_prefix: dynamic = dynamic([])",
            "srchostname_has_any: dynamic = dynamic([])", "eventtype_in: dynamic = dynamic([])",
            "eventresultdetails_in: dynamic = dynamic([])", "eventresult: string = '*'", "targetusername_has: string = '*'",
        ],
        condition: """
            | where (isnull(starttime) or TimeGenerated >= starttime)
                and (isnull(endtime) or TimeGenerated <= endtime)
            | where (array_length(username_has_any) == 0 or TargetUsername has_any (username_has_any))
                and (targetusername_has == '*' or TargetUsername has targetusername_has)
                and (array_length(targetappname_has_any) == 0 or TargetAppName has_any (targetappname_has_any))
                and (array_length(srcipaddr_has_any_prefix) == 0 or has_any_ipv4_prefix(SrcIpAddr, srcipaddr_has_any_prefix))
                and (array_length(srchostname_has_any) == 0 or SrcHostname has_any (srchostname_has_any))
                and (array_length(eventtype_in) == 0 or EventType in~ (eventtype_in))
                and (array_length(eventresultdetails_in) == 0 or EventResultDetails in~ (eventresultdetails_in))
                and (eventresult == '*' or EventResult =~ eventresult)
            """)

    static let sources = [
        BuiltInParsers.Source(
            name: "SigninLogs", query: entra("SigninLogs", subType: "Interactive", user: user, app: targetApp, device: device)),
        BuiltInParsers.Source(
            name: "AADNonInteractiveUserSignInLogs",
            query: entra("AADNonInteractiveUserSignInLogs", subType: "NonInteractive", user: user, app: targetApp, device: device)),
        BuiltInParsers.Source(
            name: "AADServicePrincipalSignInLogs",
            query: entra("AADServicePrincipalSignInLogs", subType: "Service", user: principal, app: targetApp, device: noDevice)),
        BuiltInParsers.Source(
            name: "AADManagedIdentitySignInLogs",
            query: entra("AADManagedIdentitySignInLogs", subType: "Service", user: principal, app: targetApp, device: noDevice)),
        BuiltInParsers.Source(name: "AWSCloudTrail", query: aws),
    ]

    /// Why a sign-in failed, from the error codes of the security token service (`AADSTS...`).
    private static let details = """
        case(
                ResultType == '0', '',
                ResultType in ('50034', '51004', '90072', '90094'), 'No such user',
                ResultType in ('50126', '50059', '50064', '70043', '7000215', '7000222', '700016'), 'No such user or password',
                ResultType == '50056', 'Incorrect password',
                ResultType == '50053', 'User locked',
                ResultType == '50057', 'User disabled',
                ResultType in ('50055', '50144', '50133'), 'Password expired',
                ResultType in ('50132', '50173', '70008', '70044', '700082', '50078'), 'Session expired',
                ResultType in ('50005', '50020', '50072', '50074', '50076', '50079', '50105', '50158', '53000', '53001', '53002', '53003',
                    '53004', '530032', '500121', '80012'), 'Logon violates policy',
                'Other')
        """

    private static let user = """
            TargetUserId = UserId, TargetUserIdType = 'EntraID', TargetUsername = UserPrincipalName, TargetUsernameType = 'UPN',
            TargetUserType = case(UserType =~ 'Guest', 'Guest', UserType =~ 'Member', 'Regular', ''),
            LogonMethod = case(AuthenticationRequirement =~ 'multiFactorAuthentication', 'Multi factor authentication',
                AuthenticationRequirement =~ 'singleFactorAuthentication', 'Username & password', ''),
            LogonProtocol = AuthenticationProtocol, ActingAppId = AppId, ActingAppName = AppDisplayName
        """

    private static let principal = """
            TargetUserId = ServicePrincipalId, TargetUserIdType = 'EntraID', TargetUsername = ServicePrincipalName,
            TargetUsernameType = 'Simple', TargetUserType = 'Application', LogonMethod = 'Service Principal', LogonProtocol = '',
            ActingAppId = AppId, ActingAppName = ServicePrincipalName
        """

    private static let targetApp = "TargetAppId = ResourceIdentity, TargetAppName = ResourceDisplayName"

    private static let device = """
            SrcHostname = tostring(_device.displayName), SrcDvcId = tostring(_device.deviceId),
            SrcDvcOs = tostring(_device.operatingSystem)
        """

    private static let noDevice = "SrcHostname = '', SrcDvcId = '', SrcDvcOs = ''"

    /// A sign-in table of Microsoft Entra ID.
    private static func entra(_ table: String, subType: String, user: String, app: String, device: String) -> String {
        """
        \(table)
        | extend _location = todynamic(LocationDetails)\(device == noDevice ? "" : ", _device = todynamic(DeviceDetail)")
        | project TimeGenerated, Type = '\(table)', EventCount = int(1), EventStartTime = TimeGenerated, EventEndTime = TimeGenerated,
            EventType = 'Logon', EventSubType = '\(subType)',
            EventResult = iff(ResultType == '0', 'Success', 'Failure'),
            EventResultDetails = \(details),
            EventOriginalType = OperationName,
            EventOriginalResultDetails = coalesce(ResultDescription, ResultType), EventOriginalUid = Id,
            EventSeverity = iff(ResultType == '0', 'Informational', 'Low'),
            EventVendor = 'Microsoft', EventProduct = 'Entra ID', EventSchema = 'Authentication', EventSchemaVersion = '0.1.3',
            Dvc = 'Microsoft',
            \(user),
            TargetSessionId = CorrelationId,
            \(app),
            SrcIpAddr = IPAddress,
            \(device),
            SrcGeoCountry = tostring(_location.countryOrRegion), SrcGeoRegion = tostring(_location.state),
            SrcGeoCity = tostring(_location.city), SrcGeoLatitude = toreal(_location.geoCoordinates.latitude),
            SrcGeoLongitude = toreal(_location.geoCoordinates.longitude),
            HttpUserAgent = UserAgent
        \(aliases)
        """
    }

    private static let aliases = """
        | extend User = TargetUsername, LogonTarget = TargetAppName, Application = TargetAppName, Src = SrcIpAddr, IpAddr = SrcIpAddr
        """

    private static let aws = """
        AWSCloudTrail
        | where EventName in ('ConsoleLogin', 'AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
        | extend _console = EventName == 'ConsoleLogin', _request = todynamic(RequestParameters), _more = todynamic(AdditionalEventData)
        | extend _ok = iff(_console, tostring(todynamic(ResponseElements).ConsoleLogin) =~ 'Success', isempty(ErrorCode))
        | project TimeGenerated, Type = 'AWSCloudTrail', EventCount = int(1), EventStartTime = TimeGenerated, EventEndTime = TimeGenerated,
            EventType = iff(_console, 'Logon', 'Elevate'), EventSubType = iff(_console, 'Interactive', 'AssumeRole'),
            EventResult = iff(_ok, 'Success', 'Failure'),
            EventResultDetails = case(_ok, '', ErrorMessage =~ 'No username found in supplied account', 'No such user',
                ErrorMessage =~ 'Failed authentication', 'No such user or password', ErrorCode =~ 'AccessDenied', 'Logon violates policy',
                'Other'),
            EventOriginalType = EventName, EventOriginalResultDetails = coalesce(ErrorMessage, ErrorCode), EventOriginalUid = AwsEventId,
            EventSeverity = iff(_ok, 'Informational', 'Low'),
            EventVendor = 'AWS', EventProduct = 'CloudTrail', EventSchema = 'Authentication', EventSchemaVersion = '0.1.3',
            Dvc = 'AWS',
            TargetUserId = tostring(split(UserIdentityPrincipalid, ':')[0]), TargetUserIdType = 'AWSId',
            TargetUsername = case(UserIdentityUserName == 'HIDDEN_DUE_TO_SECURITY_REASONS', '', UserIdentityType == 'Root', 'root',
                UserIdentityType == 'AssumedRole', tostring(split(UserIdentityArn, '/')[-1]), UserIdentityUserName),
            TargetUsernameType = 'Simple',
            TargetUserType = case(UserIdentityType == 'Root', 'Admin', UserIdentityType in ('IAMUser', 'FederatedUser'), 'Regular',
                UserIdentityType in ('AssumedRole', 'Role'), 'Service', UserIdentityType == 'AWSAccount', 'Guest',
                UserIdentityType == 'AWSService', 'Application', isempty(UserIdentityType), '', 'Other'),
            LogonMethod = iff(tostring(_more.MFAUsed) =~ 'Yes', 'MFA', ''), LogonProtocol = 'HTTPS', ActingAppId = '',
            ActingAppName = UserIdentityInvokedBy, TargetSessionId = '', TargetAppId = '',
            TargetAppName = iff(_console, 'AWS Console', tostring(_request.roleArn)), SrcIpAddr = SourceIpAddress, SrcHostname = '',
            SrcDvcId = '', SrcDvcOs = '', SrcGeoCountry = '', SrcGeoRegion = '', SrcGeoCity = '', SrcGeoLatitude = real(null),
            SrcGeoLongitude = real(null), HttpUserAgent = UserAgent
        \(aliases)
        """
}
