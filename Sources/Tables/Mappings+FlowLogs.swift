import Columnar
import KQL

/// What a flow tuple gives (`FlowTuples+Hot.swift`).
enum FlowField: UInt8, Sendable {
    /// Empty in flows with a public address (NSG table).
    case sourceIP, destinationIP
    /// Empty only if the address itself is public (virtual network table).
    case privateSourceIP, privateDestinationIP
    case vmIP, sourcePublic, destinationPublic
    case destinationPort, sourcePort, protocolLetter, direction, decision, flowType
    case rule, ruleEntry, ruleType, aclGroup, nsgList, encryption, mac
    case inboundPackets, outboundPackets, inboundBytes, outboundBytes
    case packetsSourceToDestination, packetsDestinationToSource, bytesSourceToDestination, bytesDestinationToSource
    case allowedIn, deniedIn, allowedOut, deniedOut, completed, one
    case start, intervalEnd, subscription, resourceGroup
}

/// Flow logs as Traffic Analytics tables. Each tuple is a row; Traffic Analytics itself adds tuples up over 10 or 60 minutes
/// (`docs/tables.md`, "Flow logs").
enum FlowForms {
    static let nsg = Mapping(
        "AzureNetworkAnalytics_CL",
        [
            "SubType_s": .constant("FlowLog"), "FASchemaVersion_s": .constant("2"), "SourceSystem": .constant("Azure"),
            "FlowStartTime_t": .flow(.start), "FlowEndTime_t": .flow(.start), "FlowIntervalStartTime_t": .time,
            "FlowIntervalEndTime_t": .flow(.intervalEnd), "TimeProcessed_t": .time, "SrcIP_s": .flow(.sourceIP),
            "DestIP_s": .flow(.destinationIP), "VMIP_s": .flow(.vmIP), "SrcPublicIPs_s": .flow(.sourcePublic),
            "DestPublicIPs_s": .flow(.destinationPublic), "DestPort_d": .flow(.destinationPort), "L4Protocol_s": .flow(.protocolLetter),
            "FlowDirection_s": .flow(.direction), "FlowStatus_s": .flow(.decision), "FlowType_s": .flow(.flowType),
            "NSGList_s": .flow(.nsgList), "NSGRules_s": .flow(.ruleEntry), "NSGRule_s": .flow(.rule), "NSGRuleType_s": .flow(.ruleType),
            "InboundPackets_d": .flow(.inboundPackets), "OutboundPackets_d": .flow(.outboundPackets),
            "InboundBytes_d": .flow(.inboundBytes), "OutboundBytes_d": .flow(.outboundBytes), "CompletedFlows_d": .flow(.completed),
            "AllowedInFlows_d": .flow(.allowedIn), "DeniedInFlows_d": .flow(.deniedIn), "AllowedOutFlows_d": .flow(.allowedOut),
            "DeniedOutFlows_d": .flow(.deniedOut), "FlowCount_d": .flow(.one), "MACAddress_s": .flow(.mac),
            "Subscription_g": .flow(.subscription),
        ])

    static let vnet = Mapping(
        "NTANetAnalytics",
        [
            "SubType": .constant("FlowLog"), "FaSchemaVersion": .constant("3"), "SourceSystem": .constant("Azure"),
            "FlowStartTime": .flow(.start), "FlowEndTime": .flow(.start), "FlowIntervalStartTime": .time,
            "FlowIntervalEndTime": .flow(.intervalEnd), "TimeProcessed": .time, "SrcIp": .flow(.privateSourceIP),
            "DestIp": .flow(.privateDestinationIP), "SrcPublicIps": .flow(.sourcePublic), "DestPublicIps": .flow(.destinationPublic),
            "DestPort": .flow(.destinationPort), "SrcPorts": .flow(.sourcePort), "L4Protocol": .flow(.protocolLetter),
            "FlowDirection": .flow(.direction), "FlowStatus": .flow(.decision), "FlowType": .flow(.flowType),
            "FlowEncryption": .flow(.encryption), "NsgList": .flow(.nsgList), "NsgRule": .flow(.rule), "NsgRuleType": .flow(.ruleType),
            "AclGroup": .flow(.aclGroup), "AclRule": .flow(.rule),
            "PacketsSrcToDest": .flow(.packetsSourceToDestination), "PacketsDestToSrc": .flow(.packetsDestinationToSource),
            "BytesSrcToDest": .flow(.bytesSourceToDestination), "BytesDestToSrc": .flow(.bytesDestinationToSource),
            "CompletedFlows": .flow(.completed), "AllowedInFlows": .flow(.allowedIn), "DeniedInFlows": .flow(.deniedIn),
            "AllowedOutFlows": .flow(.allowedOut), "DeniedOutFlows": .flow(.deniedOut), "RecordCount": .flow(.one),
            "MacAddress": .flow(.mac), "FlowLogResourceId": .at("flowLogResourceID"), "TargetResourceId": .at("targetResourceID"),
        ])

    static let nsgShape = Shape("NSG flow log", time: ["time"], treatment: .nsgFlow, [nsg])
    static let vnetShape = Shape("Virtual network flow log", time: ["time"], treatment: .vnetFlow, [vnet])
}
