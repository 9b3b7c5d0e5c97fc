import Columnar
import KQL
import Tables
import Testing

@Suite struct AzureActivityTests {
    @Test func resourceLogForm() throws {
        let row = try #require(rows(of: "AzureActivity", from: [Native.activity()]).first)
        #expect(row["TimeGenerated"] == time("2026-03-02T10:00:00.1234567Z"))
        let expected = [
            "Type": "AzureActivity", "OperationNameValue": "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE",
            "OperationName": "Create role assignment", "CategoryValue": "Administrative", "Category": "Administrative",
            "ActivityStatusValue": "Start", "ActivityStatus": "Started", "ActivitySubstatusValue": "Created",
            "ActivitySubstatus": "Created (HTTP Status Code: 201)", "Level": "Informational", "Caller": "eve@contoso.example",
            "CallerIpAddress": "203.0.113.9", "CorrelationId": "c0ffee00-0000-4000-8000-000000000001",
            "SubscriptionId": Native.subscription,
            "_SubscriptionId": Native.subscription, "ResourceGroup": "RG-PROD", "ResourceProviderValue": "MICROSOFT.AUTHORIZATION",
            "Resource": "7C8D", "Hierarchy": "t/mg/s", "TenantId": "", "SourceSystem": "Azure",
            "OperationId": "c0ffee00-0000-4000-8000-000000000001",
        ]
        #expect(mismatches(row, expected) == [])
        guard case .dynamic(let properties)? = row["Properties_d"], case .dynamic(let authorization)? = row["Authorization_d"] else {
            Issue.record("no dynamic properties")
            return
        }
        #expect(properties["requestbody"] == .string(#"{"Properties":{"PrincipalId":"p1"}}"#))
        #expect(properties["resourceGroup"] == .string("RG-PROD"))
        #expect(properties["activityStatusValue"] == .string("Start"))
        #expect(properties["caller"] == .string("eve@contoso.example"))
        #expect(properties["subscriptionId"] == .string(Native.subscription.uppercased()))
        #expect(authorization["evidence"]?["role"] == .string("Owner"))
        #expect(row["Properties"] == .string(JSONText.compact(properties)))
        #expect(
            row["_ResourceId"]
                == .string(
                    "/subscriptions/\(Native.subscription)/resourcegroups/rg-prod/providers/microsoft.compute/virtualmachines/vm1/providers/microsoft.authorization/roleassignments/7c8d"
                ))
    }

    @Test func managementAPIForm() throws {
        let record = #"""
            {"authorization":{"action":"Microsoft.Compute/virtualMachines/runCommand/action","scope":"/s"},"caller":"ops@contoso.example","claims":{"name":"Ops","ipaddr":"198.51.100.1"},"correlationId":"cc","eventDataId":"ed","eventName":{"value":"EndRequest","localizedValue":"End request"},"category":{"value":"Administrative","localizedValue":"Administrative"},"eventTimestamp":"2026-03-02T11:22:33.5Z","submissionTimestamp":"2026-03-02T11:25:00Z","level":"Warning","operationId":"op1","operationName":{"value":"Microsoft.Compute/virtualMachines/runCommand/action","localizedValue":"Run Command on Virtual Machine"},"resourceGroupName":"rg1","resourceProviderName":{"value":"Microsoft.Compute"},"resourceId":"/subscriptions/AB-1/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/vm9","status":{"value":"Succeeded","localizedValue":"Succeeded"},"subStatus":{"value":"OK","localizedValue":"OK (HTTP Status Code: 200)"},"httpRequest":{"clientRequestId":"q","clientIpAddress":"198.51.100.7","method":"POST"},"properties":{"statusCode":"OK"},"subscriptionId":"AB-1","tenantId":"t"}
            """#
        let row = try #require(rows(of: "AzureActivity", from: [record]).first)
        let expected = [
            "OperationNameValue": "Microsoft.Compute/virtualMachines/runCommand/action", "OperationName": "Run Command on Virtual Machine",
            "ActivityStatusValue": "Succeeded", "ActivitySubstatusValue": "OK", "ActivitySubstatus": "OK (HTTP Status Code: 200)",
            "Caller": "ops@contoso.example", "CallerIpAddress": "198.51.100.7", "EventDataId": "ed", "OperationId": "op1",
            "ResourceGroup": "rg1", "ResourceProviderValue": "MICROSOFT.COMPUTE", "SubscriptionId": "ab-1", "Level": "Warning",
            "HTTPRequest": #"{"clientRequestId":"q","clientIpAddress":"198.51.100.7","method":"POST"}"#,
        ]
        #expect(mismatches(row, expected) == [])
        #expect(row["TimeGenerated"] == time("2026-03-02T11:22:33.5Z"))
        #expect(row["EventSubmissionTimestamp"] == time("2026-03-02T11:25:00Z"))
    }

    @Test func oldCategoriesAndCases() throws {
        let old = Native.activity(properties: #"{"eventCategory":"Administrative"}"#)
            .replacing(#""category":"Administrative""#, with: #""category":"Write""#)
        let bare = Native.activity(properties: "{}").replacing(#""category":"Administrative""#, with: #""category":"Delete""#)
        let cased = Native.activity().replacing("\"operationName\"", with: "\"OperationName\"")
            .replacing("\"callerIpAddress\"", with: "\"CallerIpAddress\"").replacing("\"properties\"", with: "\"Properties\"")
            .replacing("\"resourceId\"", with: "\"ResourceId\"").replacing("\"category\"", with: "\"Category\"")
        let none = Native.activity().replacing(#""category":"Administrative","#, with: "")
        let all = rows(of: "AzureActivity", from: [old, bare, cased, none])
        #expect(all.count == 4)
        for row in all {
            #expect(
                mismatches(
                    row,
                    [
                        "CategoryValue": "Administrative", "OperationNameValue": "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE",
                        "CallerIpAddress": "203.0.113.9", "SubscriptionId": Native.subscription,
                    ]) == [])
        }
    }

    @Test func propertiesAsTextAndEscapedSlashes() throws {
        let inner = #"{"eventCategory":"Administrative","message":"m","statusCode":"Forbidden"}"#
        let quoted = JSONText.compact(.string(inner))
        let record = Native.activity(properties: quoted).replacing("/SUBSCRIPTIONS/", with: #"\/SUBSCRIPTIONS\/"#)
        let row = try #require(rows(of: "AzureActivity", from: [record]).first)
        #expect(
            mismatches(row, ["ActivitySubstatusValue": "Forbidden", "SubscriptionId": Native.subscription, "ResourceGroup": "RG-PROD"])
                == [])
        guard case .dynamic(let properties)? = row["Properties_d"] else {
            Issue.record("Properties_d is no object")
            return
        }
        #expect(properties["message"] == .string("m"))
    }

    @Test(arguments: [
        (#""http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"a@b.example","name":"A""#, "a@b.example"),
        (#""http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name":"live.com#g@x.example""#, "live.com#g@x.example"),
        (#""http://schemas.microsoft.com/identity/claims/objectidentifier":"oid-1","appid":"app-1""#, "oid-1"),
        (#""http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"","appid":"app-1""#, "app-1"),
        ("", ""),
    ]) func callers(claims: String, expected: String) {
        let row = rows(of: "AzureActivity", from: [Native.activity(identity: #"{"claims":{\#(claims)}}"#)], columns: ["Caller"]).first
        #expect(row?["Caller"] == .string(expected))
    }

    @Test func missingPartsGiveEmptyStringsAndNulls() throws {
        let record =
            #"{"time":"2026-03-02T10:00:00Z","resourceId":"/SUBSCRIPTIONS/S/","operationName":"X/Y/ACTION","category":"Administrative"}"#
        let row = try #require(rows(of: "AzureActivity", from: [record]).first)
        #expect(
            mismatches(row, ["Caller": "", "CallerIpAddress": "", "Claims": "", "ResourceGroup": "", "ResourceProviderValue": "X"]) == [])
        #expect(row["Claims_d"] == .null(.dynamic))
        #expect(row["_BilledSize"] == .null(.real))
        guard case .string(let id)? = row["EventDataId"] else {
            Issue.record("no EventDataId")
            return
        }
        #expect(id.utf8.count == 36)
    }

    @Test func keysAreAddedToEmptyProperties() throws {
        let all = rows(
            of: "AzureActivity", from: [Native.activity(properties: "{ }"), Native.activity(properties: #"{ "caller" : "own" }"#)])
        for row in all {
            guard case .dynamic(let properties)? = row["Properties_d"] else {
                Issue.record("not an object")
                return
            }
            #expect(row["Properties"] == .string(JSONText.compact(properties)))
            #expect(properties["resourceProviderValue"] == .string("MICROSOFT.AUTHORIZATION"))
        }
        guard case .dynamic(let own)? = all.last?["Properties_d"] else { return }
        #expect(own["caller"] == .string("own"))
    }

    @Test func options() throws {
        let record = Native.activity(result: "Success")
        let row = rows(
            of: "AzureActivity", from: [record], columns: ["ActivityStatusValue", "TenantId"],
            options: NormalizerOptions(workspaceID: "ws-1", longActivityStatus: true)
        ).first
        #expect(mismatches(row, ["ActivityStatusValue": "Succeeded", "TenantId": "ws-1"]) == [])
    }
}
