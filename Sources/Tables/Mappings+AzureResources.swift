import Columnar
import KQL

/// Resource logs of Azure services: the wide AzureDiagnostics table and the tables of single services.
enum AzureResourceForms {
    // MARK: AzureDiagnostics

    static let diagnosticsColumns: [String: Source] = [
        "Category": .at("category"),
        "OperationName": .at("operationName"),
        "OperationVersion": .at("operationVersion"),
        "ResultType": .at("resultType"),
        "ResultSignature": .at("resultSignature"),
        "ResultDescription": .at("resultDescription"),
        "CorrelationId": .at("correlationId"),
        "Level": .at("level"),
        "DurationMs": .at("durationMs"),
        "CallerIPAddress": .at("callerIpAddress"),
        "Message": .at("properties.message"),
        "ResourceId": .computed(.resourceIdUpper),
        "_ResourceId": .computed(.resourceIdLower),
        "_SubscriptionId": .computed(.subscription),
        "SubscriptionId": .computed(.subscription),
        "ResourceGroup": .computed(.resourceGroupUpper),
        "ResourceProvider": .computed(.provider),
        "ResourceType": .computed(.resourceTypeUpper),
        "Resource": .computed(.resourceUpper),
        "SourceSystem": .constant("Azure"),
        "AdditionalFields": .missing,
    ]

    static let diagnostics = Mapping("AzureDiagnostics", diagnosticsColumns) { column in
        guard WorkspaceCatalog.suffixType(column.name) != nil else {
            return Source(paths: [["properties", column.name], [column.name]]).exactly
        }
        return Source(
            paths: flattenedPaths(String(column.name.dropLast(2))), operation: .suffixed, argument: String(column.name.suffix(1)),
            exact: true)
    }

    /// For records whose `properties.log` was unwrapped: `log_s` is its text again.
    static let diagnosticsWithLog = Mapping("AzureDiagnostics") { $0.name == "log_s" ? .at("properties.log") : diagnostics.source($0) }

    static let claimURLs = [
        "http://schemas.microsoft.com/identity/claims/objectidentifier", "http://schemas.microsoft.com/identity/claims/tenantid",
        "http://schemas.microsoft.com/identity/claims/scope", "http://schemas.microsoft.com/claims/authnclassreference",
        "http://schemas.microsoft.com/claims/authnmethodsreferences", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
    ]

    /// A key as it appears in a flattened column name: every run of other characters than letters, digits and `_` is one `_`.
    static func flattened(_ key: String) -> String {
        var out = ""
        var gap = false
        for c in key.unicodeScalars {
            if c.isASCII, c == "_" || c.properties.isAlphabetic || c.properties.numericType != nil {
                out.unicodeScalars.append(c)
                gap = false
            } else if !gap {
                out += "_"
                gap = true
            }
        }
        return out
    }

    /// The paths whose flattened name is `name`: flattening joins keys by `_`, which keys may contain themselves, so every way to split is
    /// a candidate (fewest keys first). `properties` is dropped from names, other parents are kept.
    static func flattenedPaths(_ name: String) -> [[String]] {
        for parent in ["identity_claim_", "identity_claims_"] where name.hasPrefix(parent) {
            let rest = String(name.dropFirst(parent.count))
            let keys = claimURLs.filter { flattened($0) == rest } + [rest]
            return ["claim", "claims"].filter { parent == "identity_\($0)_" }.flatMap { claim in keys.map { ["identity", claim, $0] } }
        }
        let words = name.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
        let gaps = min(words.count - 1, 5)
        var splits: [[String]] = []
        for mask in 0..<(1 << gaps) {
            var keys: [String] = []
            for (i, word) in words.enumerated() {
                if i > 0, i > gaps || mask >> (i - 1) & 1 == 0 { keys[keys.count - 1] += "_" + word } else { keys.append(word) }
            }
            if !keys.contains("") { splits.append(keys) }
        }
        splits.sort { $0.count < $1.count }
        // A key right below `properties` may spell its own separators differently (`status-code`, `client.ip`): not reachable by name.
        return splits.map { ["properties"] + $0 } + splits
    }

    // MARK: tables of single services

    /// Columns of every resource-specific table; the others are keys of `properties`, by name.
    static let resourceColumns: [String: Source] = [
        "Category": .at("category"),
        "OperationName": .at("operationName"),
        "OperationVersion": .at("operationVersion"),
        "CorrelationId": .at("correlationId"),
        "DurationMs": .at("durationMs", "properties.durationMs"),
        "CallerIpAddress": .at("callerIpAddress"),
        "Location": .at("location"),
        "Identity": .at("identity"),
        "_ResourceId": .computed(.resourceIdLower),
        "_SubscriptionId": .computed(.subscription),
        "SourceSystem": .constant("Azure"),
    ]

    static func resource(_ table: String, _ columns: [String: Source] = [:]) -> Mapping {
        Mapping(table, resourceColumns.merging(columns) { $1 }, else: { Source(paths: [["properties", $0.name], [$0.name]]) })
    }

    static let keyVault = resource(
        "AZKVAuditLogs",
        [
            "ResultType": .at("resultType"), "ResultSignature": .at("resultSignature"), "ResultDescription": .at("resultDescription"),
            "Properties": .at("properties"), "VaultProperties": .at("properties.properties", "properties.vaultProperties"),
        ])

    static let storageColumns: [String: Source] = [
        "StatusCode": .at("statusCode"), "StatusText": .at("statusText"), "SchemaVersion": .at("schemaVersion"), "Uri": .at("uri"),
        "Protocol": .at("protocol"), "AuthenticationType": .at("identity.type"), "AuthenticationHash": .at("identity.tokenHash"),
        "AuthorizationDetails": .at("identity.authorization"), "RequesterAppId": .at("identity.requester.appId"),
        "RequesterAudience": .at("identity.requester.audience"), "RequesterObjectId": .at("identity.requester.objectId"),
        "RequesterTenantId": .at("identity.requester.tenantId"), "RequesterTokenIssuer": .at("identity.requester.tokenIssuer"),
        "RequesterUpn": .at("identity.requester.upn"), "RequesterUserName": .at("identity.requester.userName"),
    ]

    /// Column by column the same for blobs, files, queues and tables.
    static func storage(_ table: String) -> Shape {
        Shape("Azure Storage, \(table)", time: ["time"], treatment: .azure, [resource(table, storageColumns)])
    }

    static let aksColumns: [String: Source] = [
        "AuditId": .at("properties.log.auditID"), "Level": .at("properties.log.level"), "Stage": .at("properties.log.stage"),
        "RequestUri": .at("properties.log.requestURI"), "Verb": .at("properties.log.verb"), "User": .at("properties.log.user"),
        "SourceIps": .at("properties.log.sourceIPs"), "UserAgent": .at("properties.log.userAgent"),
        "ObjectRef": .at("properties.log.objectRef"), "ResponseStatus": .at("properties.log.responseStatus"),
        "RequestObject": .at("properties.log.requestObject"), "ResponseObject": .at("properties.log.responseObject"),
        "RequestReceivedTime": .at("properties.log.requestReceivedTimestamp"),
        "StageReceivedTime": .at("properties.log.stageTimestamp"), "Annotations": .at("properties.log.annotations"),
        "PodName": .at("properties.pod"),
    ]

    static let aksControlPlane = resource(
        "AKSControlPlane",
        [
            "Message": .at("properties.log"), "PodName": .at("properties.pod"), "Stream": .at("properties.stream"),
            "Level": .at("level", "properties.level"),
        ])

    /// Streams whose category alone names the form.
    static let categories: [(category: String, shape: Shape)] =
        [
            "AZFWNetworkRule", "AZFWApplicationRule", "AZFWThreatIntel", "AZFWIdpsSignature", "AZFWNatRule", "AZFWDnsQuery",
            "AZFWFlowTrace",
        ].map { ($0.lowercased(), Shape("Azure Firewall, \($0)", time: ["time"], treatment: .azure, [resource($0)])) }
        + [("kube-audit", "AKSAudit"), ("kube-audit-admin", "AKSAuditAdmin")].map {
            ($0.0, Shape("AKS \($0.0)", time: ["time"], treatment: .azureLog, [resource($0.1, aksColumns), diagnosticsWithLog]))
        }
        + ["guard", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "cluster-autoscaler", "cloud-controller-manager"].map {
            ($0, Shape("AKS \($0)", time: ["time"], treatment: .azure, [aksControlPlane, diagnostics]))
        }

    static let keyVaultShape = Shape("Key Vault audit", time: ["time"], treatment: .azure, [diagnostics, keyVault])
    static let diagnosticsShape = Shape("Azure resource log", time: ["time", "properties.time"], treatment: .azure, [diagnostics])
}

/// Defender XDR through the streaming API: `properties` are the columns.
enum DefenderForms {
    static let tables = [
        "AlertEvidence", "AlertInfo", "CloudAppEvents", "DeviceEvents", "DeviceFileCertificateInfo", "DeviceFileEvents",
        "DeviceImageLoadEvents", "DeviceInfo", "DeviceLogonEvents", "DeviceNetworkEvents", "DeviceNetworkInfo", "DeviceProcessEvents",
        "DeviceRegistryEvents", "DeviceTvmSoftwareInventory", "DeviceTvmSoftwareVulnerabilities", "EmailAttachmentInfo", "EmailEvents",
        "EmailPostDeliveryEvents", "EmailUrlInfo", "IdentityDirectoryEvents", "IdentityLogonEvents", "IdentityQueryEvents",
        "UrlClickEvents",
    ]

    static let categories: [(category: String, shape: Shape)] = tables.map { table in
        let mapping = Mapping(table, [:], else: { Source(paths: [["properties", $0.name]]) })
        return (
            "advancedhunting-" + table.lowercased(), Shape("Defender XDR, \(table)", time: ["properties.Timestamp", "time"], [mapping])
        )
    }
}
