import Columnar
import KQL
import Tables

/// A row by column name.
typealias Row = [String: Value]

/// Normalises records with every column of the catalogue, or those given, and returns the rows of one table in order.
func rows(
    of table: String, from records: [String], columns: [String]? = nil, catalog: WorkspaceCatalog = WorkspaceCatalog(),
    options: NormalizerOptions = NormalizerOptions(), path: String? = "log.json", forced: String? = nil
) -> [Row] {
    let names = columns ?? catalog.table(table)?.columns.map(\.name) ?? []
    let normalizer = Normalizer(catalog: catalog, needs: [table: Set(names)], options: options)
    let made = TableRows.make(fromJSON: records, normalizer: normalizer, path: path, table: forced)
    return unpack(made.batches[table], normalizer.tables[0].columns)
}

func unpack(_ batch: Batch?, _ columns: [SchemaColumn]) -> [Row] {
    guard let batch else { return [] }
    return (0..<batch.count).map { row in
        Dictionary(uniqueKeysWithValues: zip(columns, batch.columns).map { ($0.name, $1.value(row)) })
    }
}

func time(_ text: String) -> Value { KustoTime.parseISO(text).map { .datetime($0) } ?? .null(.datetime) }

func json(_ text: String) -> Value { JSONText.parse(text).map { .dynamic($0) } ?? .null(.dynamic) }

/// Checks string columns; the failure names the column.
func mismatches(_ row: Row?, _ expected: [String: String]) -> [String] {
    expected.compactMap { name, text in
        let value = row?[name]
        return value == .string(text) ? nil : "\(name): \(value.map { "\($0)" } ?? "absent"), expected \(text)"
    }
}

enum Native {
    static let subscription = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

    static func activity(
        operation: String = "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE", result: String = "Start", properties: String? = nil,
        identity: String? = nil, time: String = "2026-03-02T10:00:00.1234567Z", extra: String = ""
    ) -> String {
        let claims =
            #""http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"eve@contoso.example","appid":"c44b4083-0000-0000-0000-974e53cbdf3c""#
        let evidence = #""evidence":{"role":"Owner","principalId":"aaaabbbbccccddddeeeeffff00001111","principalType":"User"}"#
        let who =
            identity
            ?? #"{"authorization":{"scope":"/subscriptions/x","action":"Microsoft.Authorization/roleAssignments/write",\#(evidence)},"claims":{\#(claims)}}"#
        let what =
            properties
            ?? #"{"requestbody":"{\"Properties\":{\"PrincipalId\":\"p1\"}}","eventCategory":"Administrative","entity":"/subscriptions/x","message":"Microsoft.Authorization/roleAssignments/write","hierarchy":"t/mg/s"}"#
        return #"""
            {"RoleLocation":"West Europe","time":"\#(time)","resourceId":"/SUBSCRIPTIONS/\#(subscription.uppercased())/RESOURCEGROUPS/RG-PROD/PROVIDERS/MICROSOFT.COMPUTE/VIRTUALMACHINES/VM1/PROVIDERS/MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/7C8D","operationName":"\#(operation)","category":"Administrative","resultType":"\#(result)","resultSignature":"Succeeded.Created","durationMs":"12","callerIpAddress":"203.0.113.9","correlationId":"c0ffee00-0000-4000-8000-000000000001","identity":\#(who),"level":"Information","properties":\#(what),"tenantId":"entra-tenant"\#(extra)}
            """#
    }

    static func trail(_ extra: String = "", name: String = "ConsoleLogin") -> String {
        #"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::111122223333:user/eve","accountId":"111122223333","userName":"eve","sessionContext":{"attributes":{"mfaAuthenticated":"false","creationDate":"2026-03-02T09:00:00Z"},"sessionIssuer":{"type":"Role","arn":"arn:r"}}},"eventTime":"2026-03-02T10:00:00Z","eventSource":"signin.amazonaws.com","eventName":"\#(name)","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2","requestParameters":null,"responseElements":{"ConsoleLogin": "Success"},"additionalEventData":{"MFAUsed":"No"},"eventID":"e-1","requestID":"r-1","readOnly":false,"managementEvent":true,"eventType":"AwsConsoleSignIn","recipientAccountId":"111122223333","eventCategory":"Management"\#(extra)}"#
    }

    static func vault(claims: String, properties: String) -> String {
        #"{"time":"2026-03-02T10:00:00Z","category":"AuditEvent","operationName":"SecretGet","resultType":"Success","resultSignature":"OK","durationMs":"35","callerIpAddress":"198.51.100.4","correlationId":"k","identity":{"claim":{\#(claims)}},"properties":\#(properties),"resourceId":"/SUBSCRIPTIONS/\#(subscription.uppercased())/RESOURCEGROUPS/rg-sec/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/kv-prod"}"#
    }
}
