import Columnar
import KQL
import Tables
import Testing

@Suite struct AWSTests {
    @Test func cloudTrail() throws {
        let row = try #require(rows(of: "AWSCloudTrail", from: [Native.trail()]).first)
        #expect(
            mismatches(
                row,
                [
                    "EventName": "ConsoleLogin", "EventSource": "signin.amazonaws.com", "SourceIpAddress": "203.0.113.7",
                    "UserIdentityType": "IAMUser",
                    "UserIdentityPrincipalid": "AIDA1", "RequestParameters": "", "ResponseElements": #"{"ConsoleLogin":"Success"}"#,
                    "AdditionalEventData": #"{"MFAUsed":"No"}"#, "OperationName": "CloudTrail", "AwsEventId": "e-1", "AwsRequestId_": "r-1",
                    "SessionIssuerType": "Role", "Category": "Management", "EventTypeName": "AwsConsoleSignIn", "ErrorCode": "",
                ]) == [])
        #expect(row["SessionMfaAuthenticated"] == .bool(false))
        #expect(row["ReadOnly"] == .bool(false))
        #expect(row["SessionCreationDate"] == time("2026-03-02T09:00:00Z"))
        #expect(row["TimeGenerated"] == time("2026-03-02T10:00:00Z"))
    }

    @Test func envelopes() throws {
        let event = Native.trail(name: "StopLogging")
        let bridge =
            #"{"version":"0","id":"i","detail-type":"AWS API Call via CloudTrail","source":"aws.cloudtrail","time":"2026-03-02T10:00:09Z","region":"us-east-1","detail":\#(event)}"#
        let lookup =
            #"{"EventId":"e-1","EventName":"StopLogging","EventTime":"2026-03-02T10:00:00Z","CloudTrailEvent":\#(JSONText.compact(.string(event)))}"#
        for record in [event, bridge, lookup] {
            let row = try #require(rows(of: "AWSCloudTrail", from: [record]).first)
            #expect(
                mismatches(
                    row, ["EventName": "StopLogging", "UserIdentityUserName": "eve", "ResponseElements": #"{"ConsoleLogin":"Success"}"#])
                    == [])
            #expect(row["TimeGenerated"] == time("2026-03-02T10:00:00Z"))
        }
    }

    @Test func guardDuty() throws {
        let finding =
            #"{"schemaVersion":"2.0","accountId":"111122223333","region":"eu-west-1","partition":"aws","id":"f","arn":"arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/f","type":"Recon:EC2/PortProbeUnprotectedPort","resource":{"resourceType":"Instance"},"service":{"serviceName":"guardduty"},"severity":5.3,"createdAt":"2026-03-02T09:00:00.1Z","updatedAt":"2026-03-02T10:00:00.1Z","title":"T","description":"D"}"#
        let bridge = #"{"detail-type":"GuardDuty Finding","time":"2026-03-02T10:00:09Z","detail":\#(finding)}"#
        for record in [finding, bridge] {
            let row = try #require(rows(of: "AWSGuardDuty", from: [record]).first)
            #expect(mismatches(row, ["ActivityType": "Recon:EC2/PortProbeUnprotectedPort", "Region": "eu-west-1", "Id": "f"]) == [])
            #expect(row["Severity"] == .int(5))
            #expect(row["TimeGenerated"] == time("2026-03-02T10:00:00.1Z"))
            #expect(row["ResourceDetails"] == json(#"{"resourceType":"Instance"}"#))
        }
    }
}

@Suite struct OfficeAndAlertTests {
    @Test func office() throws {
        let mailbox =
            #"{"CreationTime":"2026-03-02T10:00:00","Id":"o1","Operation":"New-InboxRule","OrganizationId":"org","RecordType":1,"ResultStatus":"True","UserKey":"k","UserType":2,"Version":1,"Workload":"Exchange","ClientIP":"203.0.113.9:4001","ObjectId":"eve\\rule","UserId":"eve@contoso.example","Parameters":[{"Name":"ForwardTo","Value":"x@evil.example"}],"LogonType":0,"ExternalAccess":false}"#
        let file =
            #"{"CreationTime":"2026-03-02T11:00:00","Id":"o2","Operation":"FileDownloaded","RecordType":6,"UserType":0,"Workload":"SharePoint","ClientIP":"2001:db8::1","SiteUrl":"https://s/","SourceFileName":"a.docx","UserId":"bob@contoso.example","ObjectId":"https://s/a.docx"}"#
        let all = rows(of: "OfficeActivity", from: [mailbox, file])
        #expect(
            mismatches(
                all.first,
                [
                    "RecordType": "ExchangeAdmin", "UserType": "Admin", "OfficeWorkload": "Exchange", "ClientIP": "203.0.113.9:4001",
                    "OfficeObjectId": #"eve\rule"#, "Parameters": #"[{"Name":"ForwardTo","Value":"x@evil.example"}]"#,
                    "Logon_Type": "Owner",
                    "ExternalAccess": "false", "OfficeId": "o1",
                ]) == [])
        #expect(all.first?["TimeGenerated"] == time("2026-03-02T10:00:00Z"))
        #expect(
            mismatches(
                all.last,
                ["RecordType": "SharePointFileOperation", "UserType": "Regular", "Site_Url": "https://s/", "SourceFileName": "a.docx"])
                == [])
    }

    @Test func alerts() throws {
        let export =
            #"{"VendorName":"Microsoft","AlertType":"VM_X","ProductName":"Azure Security Center","StartTimeUtc":"2026-03-02T09:00:00Z","EndTimeUtc":"2026-03-02T09:30:00Z","TimeGenerated":"2026-03-02T09:31:00Z","Severity":"High","AlertDisplayName":"Bad","SystemAlertId":"sa","Intent":"Execution","Entities":[{"$id":"1","Type":"host"}],"ExtendedProperties":{"k":"v"},"Status":"New"}"#
        let graph =
            #"{"id":"ga","createdDateTime":"2026-03-02T09:31:00Z","firstActivityDateTime":"2026-03-02T09:00:00Z","title":"Bad","severity":"high","status":"new","category":"Execution","serviceSource":"microsoftDefenderForEndpoint","detectionSource":"antivirus","alertWebUrl":"https://a/","mitreTechniques":["T1059"]}"#
        let all = rows(of: "SecurityAlert", from: [export, graph])
        #expect(all.count == 2)
        for row in all {
            #expect(mismatches(row, ["AlertName": "Bad", "AlertSeverity": "High", "Tactics": "Execution"]) == [])
            #expect(row["StartTime"] == time("2026-03-02T09:00:00Z"))
            #expect(row["TimeGenerated"] == time("2026-03-02T09:31:00Z"))
        }
        #expect(
            mismatches(
                all.first, ["Entities": #"[{"$id":"1","Type":"host"}]"#, "ExtendedProperties": #"{"k":"v"}"#, "SystemAlertId": "sa"]) == [])
        #expect(mismatches(all.last, ["Techniques": #"["T1059"]"#, "Status": "New", "SystemAlertId": "ga"]) == [])
    }

    @Test func googleCloud() throws {
        let record =
            #"{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"iam.googleapis.com","methodName":"SetIamPolicy","authenticationInfo":{"principalEmail":"eve@x.example"},"status":{}},"insertId":"i","resource":{"type":"project","labels":{"project_id":"p1"}},"timestamp":"2026-03-02T10:00:00.123456789Z","severity":"NOTICE","logName":"l"}"#
        let row = try #require(rows(of: "GCPAuditLogs", from: [record]).first)
        #expect(
            mismatches(
                row, ["MethodName": "SetIamPolicy", "PrincipalEmail": "eve@x.example", "ProjectId": "p1", "GCPResourceType": "project"])
                == [])
        #expect(row["TimeGenerated"] == time("2026-03-02T10:00:00.1234567Z"))
    }
}
