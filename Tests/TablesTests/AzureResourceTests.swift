import Columnar
import KQL
import Tables
import Testing

@Suite struct AzureResourceTests {
    static let oid = "11112222-3333-4444-5555-666677778888"

    @Test func keyVaultFillsBothTables() throws {
        let record = Native.vault(
            claims:
                #""http://schemas.microsoft.com/identity/claims/objectidentifier":"\#(Self.oid)","http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"eve@contoso.example","appid":"\#(Self.oid)","ipaddr":"198.51.100.4""#,
            properties:
                #"{"clientInfo":"curl","requestUri":"https://kv-prod.vault.example/secrets/s","id":"https://kv-prod.vault.example/secrets/s/1","httpStatusCode":200,"isAccessPolicyMatch":true,"addresses":["a"],"sku":{"Family":"A"}}"#
        )
        let names = [
            "ResourceType", "Resource", "ResourceGroup", "ResourceProvider", "OperationName", "ResultType", "CallerIPAddress", "Category",
            "id_s",
            "requestUri_s", "clientInfo_s", "httpStatusCode_d", "httpStatusCode_s", "isAccessPolicyMatch_b", "identity_claim_appid_g",
            "identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g",
            "identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s", "DurationMs", "ResourceId", "_ResourceId",
            "addresses_s",
            "sku_Family_s", "nothing_here_s", "SubscriptionId", "Type",
        ]
        let row = try #require(rows(of: "AzureDiagnostics", from: [record], columns: names).first)
        #expect(
            mismatches(
                row,
                [
                    "ResourceType": "VAULTS", "Resource": "KV-PROD", "ResourceGroup": "RG-SEC", "ResourceProvider": "MICROSOFT.KEYVAULT",
                    "OperationName": "SecretGet", "CallerIPAddress": "198.51.100.4", "id_s": "https://kv-prod.vault.example/secrets/s/1",
                    "clientInfo_s": "curl", "httpStatusCode_s": "", "addresses_s": #"["a"]"#, "sku_Family_s": "A", "nothing_here_s": "",
                    "identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s": "eve@contoso.example",
                ]) == [])
        #expect(row["httpStatusCode_d"] == .real(200))
        #expect(row["isAccessPolicyMatch_b"] == .bool(true))
        #expect(row["DurationMs"] == .long(35))
        #expect(row["identity_claim_appid_g"] == .guid(0x1111_2222_3333_4444_5555_6666_7777_8888))
        #expect(
            row["identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g"]
                == .guid(0x1111_2222_3333_4444_5555_6666_7777_8888))

        let specific = try #require(rows(of: "AZKVAuditLogs", from: [record]).first)
        #expect(mismatches(specific, ["OperationName": "SecretGet", "CallerIpAddress": "198.51.100.4", "ResultType": "Success"]) == [])
        #expect(specific["HttpStatusCode"] == .int(200))
        guard case .dynamic(let identity)? = specific["Identity"] else {
            Issue.record("Identity")
            return
        }
        #expect(identity["claim"]?["appid"] == .string(Self.oid))
    }

    @Test(arguments: [
        ("blobServices", "StorageBlobLogs", "StorageRead"), ("queueServices", "StorageQueueLogs", "StorageWrite"),
        ("tableServices", "StorageTableLogs", "StorageDelete"), ("fileServices", "StorageFileLogs", "StorageRead"),
    ]) func storage(service: String, table: String, category: String) throws {
        let record =
            #"{"time":"2026-03-02T10:00:00.5Z","resourceId":"/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/acct/\#(service)/default","category":"\#(category)","operationName":"GetBlob","operationVersion":"2017-04-17","schemaVersion":"1.0","statusCode":206,"statusText":"Success","durationMs":5,"callerIpAddress":"203.0.113.8:51234","correlationId":"c","identity":{"type":"OAuth","tokenHash":"h","requester":{"appId":"a","objectId":"o","upn":"eve@contoso.example"},"authorization":[{"action":"x"}]},"location":"westeurope","uri":"https://acct.blob.example/c/b","protocol":"HTTPS","properties":{"accountName":"acct","userAgentHeader":"azcopy","serviceType":"blob","responseBodySize":1048576,"objectKey":"/acct/c/b","serverLatencyMs":4,"lastModifiedTime":"2026/03/01 08:00:00.25","tlsVersion":"TLS 1.2"}}"#
        let row = try #require(rows(of: table, from: [record]).first)
        #expect(
            mismatches(
                row,
                [
                    "OperationName": "GetBlob", "StatusCode": "206", "CallerIpAddress": "203.0.113.8:51234", "AuthenticationType": "OAuth",
                    "RequesterUpn": "eve@contoso.example", "AccountName": "acct", "ObjectKey": "/acct/c/b",
                    "Uri": "https://acct.blob.example/c/b",
                    "Location": "westeurope", "_SubscriptionId": "s-1", "Category": category,
                ]) == [])
        #expect(row["ResponseBodySize"] == .long(1_048_576))
        #expect(row["DurationMs"] == .real(5))
        #expect(row["LastModifiedTime"] == time("2026-03-01T08:00:00.25Z"))
        #expect(row["AuthorizationDetails"] == json(#"[{"action":"x"}]"#))
    }

    @Test func firewallNewAndOld() throws {
        let new =
            #"{"time":"2026-03-02T10:00:00Z","resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.NETWORK/AZUREFIREWALLS/FW","category":"AZFWNetworkRule","properties":{"Protocol":"TCP","SourceIp":"10.0.0.1","SourcePort":50000,"DestinationIp":"198.51.100.3","DestinationPort":"443","Action":"Deny"}}"#
        let old =
            #"{"time":"2026-03-02T10:00:00Z","resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.NETWORK/AZUREFIREWALLS/FW","category":"AzureFirewallNetworkRule","operationName":"AzureFirewallNetworkRuleLog","properties":{"msg":"TCP request from 10.0.0.1:50000 to 198.51.100.3:443. Action: Deny"}}"#
        let a = try #require(rows(of: "AZFWNetworkRule", from: [new, old]).first)
        #expect(a["DestinationPort"] == .int(443))
        #expect(a["SourceIp"] == .string("10.0.0.1"))
        let b = rows(of: "AzureDiagnostics", from: [new, old], columns: ["msg_s", "Category", "ResourceType"])
        #expect(b.count == 1)
        #expect(
            mismatches(
                b.first,
                [
                    "msg_s": "TCP request from 10.0.0.1:50000 to 198.51.100.3:443. Action: Deny", "Category": "AzureFirewallNetworkRule",
                    "ResourceType": "AZUREFIREWALLS",
                ]) == [])
    }

    @Test func suffixFollowsTheValue() throws {
        let record =
            #"{"time":"2026-03-02T10:00:00Z","resourceId":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Sql/servers/srv/databases/db","category":"SQLSecurityAuditEvents","properties":{"v":"2026-03-02T09:00:00Z","g":"\#(Self.oid)","n":"12","q":12,"f":false,"deep":{"er":{"x_y":"z"}}}}"#
        let names = ["v_t", "v_s", "g_g", "g_s", "n_s", "n_d", "q_d", "q_s", "f_b", "f_s", "deep_er_x_y_s", "ResourceType"]
        let row = try #require(rows(of: "AzureDiagnostics", from: [record], columns: names).first)
        #expect(row["v_t"] == time("2026-03-02T09:00:00Z"))
        #expect(row["q_d"] == .real(12))
        #expect(row["n_d"] == .null(.real))
        #expect(row["f_b"] == .bool(false))
        #expect(
            mismatches(
                row, ["v_s": "", "g_s": "", "n_s": "12", "q_s": "", "f_s": "", "deep_er_x_y_s": "z", "ResourceType": "SERVERS/DATABASES"])
                == [])
    }

    @Test func kubernetesAuditInsideText() throws {
        let event =
            #"{"kind":"Event","auditID":"aud","verb":"create","stage":"ResponseComplete","requestURI":"/api/v1/pods","user":{"username":"eve"},"sourceIPs":["10.1.1.1"],"objectRef":{"resource":"pods"},"requestReceivedTimestamp":"2026-03-02T09:59:58.000001Z"}"#
        let record =
            #"{"time":"2026-03-02T10:00:00Z","resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/AKS","category":"kube-audit","properties":{"log":\#(JSONText.compact(.string(event))),"pod":"kube-apiserver-1","stream":"stdout"}}"#
        let row = try #require(rows(of: "AKSAudit", from: [record]).first)
        #expect(mismatches(row, ["AuditId": "aud", "Verb": "create", "PodName": "kube-apiserver-1", "RequestUri": "/api/v1/pods"]) == [])
        #expect(row["User"] == json(#"{"username":"eve"}"#))
        #expect(row["RequestReceivedTime"] == time("2026-03-02T09:59:58.000001Z"))
        let wide = rows(of: "AzureDiagnostics", from: [record], columns: ["log_s", "pod_s"]).first
        #expect(wide?["log_s"] == .string(event))
    }

    @Test func defenderStreaming() throws {
        let record =
            #"{"time":"2026-03-02T10:00:05Z","tenantId":"t","operationName":"Publish","category":"AdvancedHunting-DeviceProcessEvents","properties":{"Timestamp":"2026-03-02T09:59:00Z","DeviceName":"pc1","FileName":"powershell.exe","ProcessId":42}}"#
        let row = try #require(rows(of: "DeviceProcessEvents", from: [record]).first)
        #expect(row["DeviceName"] == .string("pc1"))
        #expect(row["ProcessId"] == .long(42))
        #expect(row["TimeGenerated"] == time("2026-03-02T09:59:00Z"))
    }
}

@Suite struct FlowLogTests {
    static let nsg =
        #"{"time":"2026-03-02T10:01:00.0Z","systemId":"sys","macAddress":"000D3A","category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/\#(Native.subscription.uppercased())/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/NSG1","operationName":"NetworkSecurityGroupFlowEvents","properties":{"Version":2,"flows":[{"rule":"DefaultRule_AllowInternetOutBound","flows":[{"mac":"000D3A1","flowTuples":["1772445600,10.0.0.4,198.51.100.7,50000,443,T,O,A,B,,,,","1772445630,10.0.0.4,198.51.100.7,50000,443,T,O,A,E,10,1000,20,4000"]}]},{"flows":[{"mac":"000D3A2","flowTuples":["1772445640,203.0.113.66,10.0.0.4,44444,3389,T,I,D,B,,,,"]}],"rule":"UserRule_DenyRDP"},{"rule":"UserRule_Inner","flows":[{"mac":"000D3A3","flowTuples":["1772445650,10.0.0.5,10.0.0.4,1,22,U,I,A,C,1,2,3,4"]}]}]}}"#

    @Test func networkSecurityGroup() throws {
        let all = rows(of: "AzureNetworkAnalytics_CL", from: [Self.nsg])
        #expect(all.count == 4)
        #expect(all.allSatisfy { $0["TimeGenerated"] == time("2026-03-02T10:01:00Z") && $0["SubType_s"] == .string("FlowLog") })
        #expect(
            mismatches(
                all[1],
                [
                    "SrcIP_s": "", "DestIP_s": "", "VMIP_s": "10.0.0.4", "DestPublicIPs_s": "198.51.100.7|0|1|10|20|1000|4000",
                    "SrcPublicIPs_s": "",
                    "FlowType_s": "ExternalPublic", "L4Protocol_s": "T", "FlowDirection_s": "O", "FlowStatus_s": "A",
                    "NSGRule_s": "DefaultRule_AllowInternetOutBound", "NSGRuleType_s": "Default", "MACAddress_s": "000D3A1",
                    "NSGRules_s": "0|DefaultRule_AllowInternetOutBound|O|A|1", "NSGList_s": "\(Native.subscription)/rg/nsg1",
                ]) == [])
        #expect(all[1]["OutboundBytes_d"] == .real(1000))
        #expect(all[1]["InboundBytes_d"] == .real(4000))
        #expect(all[1]["CompletedFlows_d"] == .real(1))
        #expect(all[0]["AllowedOutFlows_d"] == .real(1))
        #expect(all[1]["AllowedOutFlows_d"] == .real(0))
        #expect(all[0]["DestPort_d"] == .real(443))
        #expect(all[0]["FlowStartTime_t"] == time("2026-03-02T10:00:00Z"))
        // The rule stands behind its flows here.
        #expect(
            mismatches(all[2], ["NSGRule_s": "UserRule_DenyRDP", "FlowStatus_s": "D", "SrcPublicIPs_s": "203.0.113.66|1|0|0|0|0|0"]) == [])
        #expect(all[2]["DeniedInFlows_d"] == .real(1))
        #expect(mismatches(all[3], ["SrcIP_s": "10.0.0.5", "DestIP_s": "10.0.0.4", "FlowType_s": "IntraVNet", "L4Protocol_s": "U"]) == [])
        #expect(all[3]["Subscription_g"] == .guid(0x0f1e_2d3c_4b5a_6978_8796_a5b4_c3d2_e1f0))
    }

    @Test func virtualNetwork() throws {
        let record =
            #"{"time":"2026-03-02T10:01:00Z","flowLogVersion":4,"flowLogGUID":"g","macAddress":"00224871","category":"FlowLogFlowEvent","flowLogResourceID":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/NW/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/N/FLOWLOGS/F","targetResourceID":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v","operationName":"FlowLogFlowEvent","flowRecords":{"flows":[{"aclID":"/subscriptions/S1/resourceGroups/RG/providers/Microsoft.Network/networkSecurityGroups/N1","flowGroups":[{"rule":"DenyAll","flowTuples":["1772445600123,203.0.113.9,10.0.0.4,4000,22,6,I,D,NX,0,0,0,0","1772445601000,10.0.0.4,10.0.0.5,4001,53,17,O,E,NX,1,60,1,120"]}]}]}}"#
        let all = rows(of: "NTANetAnalytics", from: [record])
        #expect(all.count == 2)
        #expect(
            mismatches(
                all.first,
                [
                    "SrcIp": "", "DestIp": "10.0.0.4", "L4Protocol": "T", "FlowDirection": "I", "FlowStatus": "D", "FlowEncryption": "NX",
                    "NsgList": "s1/rg/n1", "AclRule": "DenyAll", "MacAddress": "00224871", "SubType": "FlowLog",
                ]) == [])
        #expect(all.first?["FlowStartTime"] == time("2026-03-02T10:00:00.123Z"))
        #expect(all.first?["DestPort"] == .int(22))
        #expect(all.first?["DeniedInFlows"] == .long(1))
        #expect(all.last?["BytesDestToSrc"] == .long(120))
        #expect(mismatches(all.last, ["SrcIp": "10.0.0.4", "DestIp": "10.0.0.5", "L4Protocol": "U", "FlowStatus": "A"]) == [])
    }

    @Test func versionOneAndOddTuples() {
        let one =
            #"{"time":"2026-03-02T10:01:00Z","category":"NetworkSecurityGroupFlowEvent","resourceId":"/subscriptions/s","properties":{"Version":1,"flows":[{"rule":"r","flows":[{"mac":"m","flowTuples":["1772445600,10.0.0.4,10.0.0.5,1,2,T,O,A","short","",7,null,"1772445600,10.0.0.4,10.0.0.5,1,notaport,T,O,A"]}]},{"rule":"x"},{"rule":"y","flows":{}}]}}"#
        let all = rows(of: "AzureNetworkAnalytics_CL", from: [one], columns: ["DestPort_d", "AllowedOutFlows_d", "OutboundBytes_d"])
        #expect(all.map { $0["DestPort_d"] } == [.real(2), .null(.real)])
        #expect(all.first?["AllowedOutFlows_d"] == .real(1))
        #expect(all.first?["OutboundBytes_d"] == .real(0))
    }

    @Test func everyTupleHasItsOwnKey() {
        let normalizer = Normalizer(catalog: WorkspaceCatalog(), needs: ["AzureNetworkAnalytics_CL": ["DestPort_d"]])
        let keys = TableRows.make(fromJSON: [Self.nsg], normalizer: normalizer).batches["AzureNetworkAnalytics_CL"]?.keys ?? []
        #expect(Set(keys).count == 4)
        #expect(Array(keys) == keys.sorted())
    }
}
