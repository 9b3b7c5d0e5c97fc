/// Entity types that mappings may name, with their identifiers in Sentinel's spelling.
public enum EntityCatalog {
    public struct Entity: Sendable {
        public let name: String
        public let identifiers: [String]
    }

    /// An entity type by name, any case.
    public static func type(_ name: String) -> Entity? { all[name.lowercased()] }
    public static var names: [String] { all.values.map(\.name).sorted() }

    private static let all: [String: Entity] = {
        var out: [String: Entity] = [:]
        for line in table {
            let words = line.split(separator: " ").map(String.init)
            if let name = words.first { out[name.lowercased()] = Entity(name: name, identifiers: Array(words.dropFirst())) }
        }
        return out
    }()

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
        "MailMessage NetworkMessageId Recipient Urls Threats Sender P1Sender P1SenderDisplayName P1SenderDomain SenderIP P2Sender P2SenderDisplayName P2SenderDomain ReceivedDate InternetMessageId Subject DeliveryAction DeliveryLocation Language ThreatDetectionMethods",
        "SubmissionMail SubmissionId NetworkMessageId Recipient Submitter Timestamp Sender SenderIp Subject ReportType SubmissionDate",
    ]
}
