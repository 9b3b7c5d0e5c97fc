/// Entity types that mappings may name, with their identifiers in Sentinel's spelling.
public enum EntityCatalog {
    public struct Entity: Sendable {
        public let name: String
        public let identifiers: [String]
        /// Sets of identifiers of which a mapping should have one whole: without, the entity cannot be told from others.
        public let required: [[String]]
    }

    /// An entity type by name, any case.
    public static func type(_ name: String) -> Entity? { all[name.lowercased()] }
    public static var names: [String] { all.values.map(\.name).sorted() }

    private static let all: [String: Entity] = {
        var out: [String: Entity] = [:]
        for line in table {
            let words = line.split(separator: " ").map(String.init)
            guard let name = words.first else { continue }
            let sets = (required[name] ?? "").split(separator: " ").map { $0.split(separator: "+").map(String.init) }
            out[name.lowercased()] = Entity(name: name, identifiers: Array(words.dropFirst()), required: sets)
        }
        return out
    }()

    /// Alternatives by type; `+` joins what must come together.
    private static let required = [
        "Account": "Name FullName Sid AadUserId PUID ObjectGuid", "Host": "HostName FullName NetBiosName AzureID OMSAgentID",
        "IP": "Address", "URL": "Url", "AzureResource": "ResourceId", "CloudApplication": "AppId Name", "DNS": "DomainName",
        "File": "Name", "FileHash": "Algorithm+Value", "Malware": "Name", "Process": "ProcessId CommandLine", "RegistryKey": "Hive Key",
        "RegistryValue": "Name", "SecurityGroup": "DistinguishedName SID ObjectGuid", "IoTDevice": "DeviceId",
        "Mailbox": "MailboxPrimaryAddress", "MailCluster": "Query Source", "MailMessage": "NetworkMessageId Recipient",
        "SubmissionMail": "SubmissionId NetworkMessageId Recipient Submitter",
    ]

    private static let table = [
        "Account Name FullName NTDomain DnsDomain UPNSuffix Sid AadTenantId AadUserId PUID IsDomainJoined DisplayName ObjectGuid CloudAppAccountId",
        "Host DnsDomain NTDomain HostName FullName NetBiosName AzureID OMSAgentID OSFamily OSVersion IsDomainJoined",
        "IP Address AddressScope", "URL Url", "AzureResource ResourceId", "CloudApplication AppId Name InstanceName",
        "DNS DomainName DnsServerIp HostIpAddress", "File Directory Name", "FileHash Algorithm Value", "Malware Name Category",
        "Process ProcessId CommandLine ElevationToken CreationTimeUtc", "RegistryKey Hive Key", "RegistryValue Name Value ValueType",
        "SecurityGroup DistinguishedName SID ObjectGuid",
        "IoTDevice DeviceId DeviceName Manufacturer Model FirmwareVersion OperatingSystem MacAddress Protocols SerialNumber Source IoTSecurityAgentId DeviceType",
        "Mailbox MailboxPrimaryAddress DisplayName Upn ExternalDirectoryObjectId RiskLevel",
        "MailCluster Query Source NetworkMessageIds CountByDeliveryStatus CountByThreatType CountByProtectionStatus Threats QueryTime MailCount IsVolumeAnomaly ClusterSourceIdentifier ClusterSourceType ClusterQueryStartTime ClusterQueryEndTime ClusterGroup",
        "MailMessage NetworkMessageId Recipient Urls Threats Sender P1Sender P1SenderDisplayName P1SenderDomain SenderIP P2Sender P2SenderDisplayName P2SenderDomain ReceivedDate InternetMessageId Subject BodyFingerprintBin1 BodyFingerprintBin2 BodyFingerprintBin3 BodyFingerprintBin4 BodyFingerprintBin5 AntispamDirection DeliveryAction DeliveryLocation Language ThreatDetectionMethods",
        "SubmissionMail SubmissionId NetworkMessageId Recipient Submitter Timestamp Sender SenderIp Subject ReportType SubmissionDate",
    ]
}
