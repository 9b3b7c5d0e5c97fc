import Columnar
import KQL
import Tables
import Testing

@Suite struct EntraTests {
    static let audit = #"""
        {"time":"2026-03-02T10:00:00.0000000Z","resourceId":"/tenants/t1/providers/Microsoft.aadiam","operationName":"Update application – Certificates and secrets management ","operationVersion":"1.0","category":"AuditLogs","tenantId":"t1","resultSignature":"None","durationMs":0,"callerIpAddress":"198.51.100.2","correlationId":"co","identity":"Eve","level":"Informational","properties":{"id":"Directory_1","category":"ApplicationManagement","correlationId":"co","result":0,"resultReason":"","activityDisplayName":"Update application – Certificates and secrets management ","activityDateTime":"2026-03-02T10:00:00.0000000+00:00","loggedByService":"Core Directory","operationType":"Update","initiatedBy":{"user":{"id":"u","userPrincipalName":"eve@contoso.example","ipAddress":"198.51.100.2"}},"targetResources":[{"id":"app","type":"Application","modifiedProperties":[{"displayName":"KeyDescription","oldValue":"[]","newValue":"[\"k\"]"}]}],"additionalDetails":[{"key":"User-Agent","value":"x"}]}}
        """#

    static func signIn(_ category: String, result: String = #""50126""#) -> String {
        #"""
        {"time":"2026-03-02T10:00:00Z","resourceId":"/tenants/t1/providers/Microsoft.aadiam","operationName":"Sign-in activity","operationVersion":"1.0","category":"\#(category)","tenantId":"t1","resultType":\#(result),"resultDescription":"Invalid username or password","durationMs":"0","callerIpAddress":"203.0.113.5","correlationId":"c","identity":"Eve","Level":4,"location":"DE","properties":{"id":"i1","createdDateTime":"2026-03-02T09:59:59.5Z","userPrincipalName":"eve@contoso.example","userId":"u1","appId":"a1","appDisplayName":"Portal","ipAddress":"203.0.113.5","status":{"errorCode":50126,"failureReason":"bad"},"deviceDetail":{"deviceId":"","operatingSystem":"Linux"},"location":{"city":"Berlin","countryOrRegion":"DE"},"riskEventTypes_v2":["unfamiliarFeatures"],"autonomousSystemNumber":64500,"isInteractive":true,"resourceId":"r1","resourceDisplayName":"Azure","appliedConditionalAccessPolicies":[{"id":"p","result":"failure"}],"servicePrincipalName":"sp","servicePrincipalId":"spid","userAgent":"curl/8","clientAppUsed":"Browser"}}
        """#
    }

    @Test func auditLog() throws {
        let row = try #require(rows(of: "AuditLogs", from: [Self.audit]).first)
        #expect(
            mismatches(
                row,
                [
                    "OperationName": "Update application – Certificates and secrets management ", "Category": "ApplicationManagement",
                    "Result": "success", "AADOperationType": "Update", "LoggedByService": "Core Directory", "AADTenantId": "t1",
                    "Identity": "Eve", "CorrelationId": "co", "Id": "Directory_1", "Resource": "Microsoft.aadiam", "Type": "AuditLogs",
                    "ResultReason": "",
                ]) == [])
        #expect(row["DurationMs"] == .long(0))
        #expect(row["ActivityDateTime"] == time("2026-03-02T10:00:00Z"))
        guard case .dynamic(let by)? = row["InitiatedBy"], case .dynamic(.array(let targets))? = row["TargetResources"] else {
            Issue.record("dynamic columns")
            return
        }
        #expect(by["user"]?["userPrincipalName"] == .string("eve@contoso.example"))
        guard case .array(let modified)? = targets.first?["modifiedProperties"] else {
            Issue.record("modifiedProperties")
            return
        }
        // JSON inside the string stays a string.
        #expect(modified.first?["newValue"] == .string(#"["k"]"#))
    }

    @Test(arguments: [
        ("SignInLogs", "SigninLogs"), ("NonInteractiveUserSignInLogs", "AADNonInteractiveUserSignInLogs"),
        ("ServicePrincipalSignInLogs", "AADServicePrincipalSignInLogs"), ("ManagedIdentitySignInLogs", "AADManagedIdentitySignInLogs"),
        ("signinlogs", "SigninLogs"),
    ]) func signIns(category: String, table: String) throws {
        let row = try #require(rows(of: table, from: [Self.signIn(category)]).first)
        #expect(
            mismatches(
                row,
                [
                    "ResultType": "50126", "Location": "DE", "IPAddress": "203.0.113.5", "AADTenantId": "t1", "AppId": "a1",
                    "OperationName": "Sign-in activity", "Category": category, "ResourceIdentity": "r1", "Level": "4", "Type": table,
                ]) == [])
        #expect(row["CreatedDateTime"] == time("2026-03-02T09:59:59.5Z"))
        #expect(row["DurationMs"] == .long(0))
    }

    @Test func typesDifferByTable() throws {
        let interactive = try #require(rows(of: "SigninLogs", from: [Self.signIn("SignInLogs", result: "50126")]).first)
        let silent = try #require(rows(of: "AADNonInteractiveUserSignInLogs", from: [Self.signIn("NonInteractiveUserSignInLogs")]).first)
        #expect(interactive["DeviceDetail"] == json(#"{"deviceId":"","operatingSystem":"Linux"}"#))
        #expect(silent["DeviceDetail"] == .string(#"{"deviceId":"","operatingSystem":"Linux"}"#))
        #expect(interactive["Status"] == json(#"{"errorCode":50126,"failureReason":"bad"}"#))
        #expect(silent["LocationDetails"] == .string(#"{"city":"Berlin","countryOrRegion":"DE"}"#))
        #expect(interactive["RiskEventTypes_V2"] == .string(#"["unfamiliarFeatures"]"#))
        #expect(interactive["AutonomousSystemNumber"] == .string("64500"))
        #expect(interactive["ResultType"] == .string("50126"))
        #expect(interactive["IsInteractive"] == .bool(true))
        #expect(interactive["ConditionalAccessPolicies"] == json(#"[{"id":"p","result":"failure"}]"#))
        #expect(silent["ConditionalAccessPolicies"] == .string(#"[{"id":"p","result":"failure"}]"#))
    }

    @Test func graphForms() throws {
        let signIn =
            #"{"id":"g1","createdDateTime":"2026-03-02T08:00:00Z","userPrincipalName":"bob@contoso.example","appDisplayName":"Mail","ipAddress":"198.51.100.9","conditionalAccessStatus":"notApplied","status":{"errorCode":0,"failureReason":"Other."},"location":{"countryOrRegion":"FR"},"deviceDetail":{"browser":"x"}}"#
        let audit =
            #"{"id":"d1","category":"RoleManagement","correlationId":"k","result":"success","activityDisplayName":"Add member to role","activityDateTime":"2026-03-02T08:00:01Z","loggedByService":"Core Directory","operationType":"Assign","initiatedBy":{"user":{"userPrincipalName":"eve@contoso.example"}},"targetResources":[]}"#
        let s = try #require(rows(of: "SigninLogs", from: [signIn]).first)
        #expect(
            mismatches(s, ["ResultType": "0", "Location": "FR", "IPAddress": "198.51.100.9", "UserPrincipalName": "bob@contoso.example"])
                == [])
        let a = try #require(rows(of: "AuditLogs", from: [audit]).first)
        #expect(
            mismatches(
                a, ["OperationName": "Add member to role", "Category": "RoleManagement", "AADOperationType": "Assign", "Result": "success"])
                == [])
        #expect(a["TimeGenerated"] == time("2026-03-02T08:00:01Z"))
    }

    @Test func riskAndGraphActivity() throws {
        let risk =
            #"{"time":"2026-03-02T10:00:00Z","resourceId":"/tenants/t/providers/microsoft.aadiam","operationName":"User Risk Detection","category":"UserRiskEvents","tenantId":"t","properties":{"id":"r","userPrincipalName":"u@x.example","riskEventType":"anonymizedIPAddress","location":{"city":"X"},"additionalInfo":"[{\"Key\":\"a\"}]"}}"#
        let graph =
            #"{"time":"2026-03-02T10:00:00Z","resourceId":"/TENANTS/T/PROVIDERS/MICROSOFT.AADIAM","category":"MicrosoftGraphActivityLogs","tenantId":"t","properties":{"requestMethod":"GET","responseStatusCode":200,"requestUri":"https://graph/","ipAddress":"1.2.3.4","durationMs":77,"roles":"a b","appId":"app"}}"#
        let r = try #require(rows(of: "AADUserRiskEvents", from: [risk]).first)
        #expect(r["RiskEventType"] == .string("anonymizedIPAddress"))
        #expect(r["AdditionalInfo"] == json(#"[{"Key":"a"}]"#))
        let g = try #require(rows(of: "MicrosoftGraphActivityLogs", from: [graph]).first)
        #expect(g["ResponseStatusCode"] == .int(200))
        #expect(g["DurationMs"] == .int(77))
        #expect(mismatches(g, ["IPAddress": "1.2.3.4", "AadTenantId": "t", "Roles": "a b"]) == [])
    }
}
