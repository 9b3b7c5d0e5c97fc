/// Network sessions: flow logs of Azure (both generations of traffic analytics) and of Amazon VPC.
enum NetworkSessionParsers {
    static let filter = BuiltInParsers.Filter(
        parameters: [
            "starttime: datetime = datetime(null)", "endtime: datetime = datetime(null)",
            "srcipaddr_has_any_prefix: dynamic = dynamic([])", "dstipaddr_has_any_prefix: dynamic = dynamic([])",
            "ipaddr_has_any_prefix: dynamic = dynamic([])", "dstportnumber: int = int(null)",
            "hostname_has_any: dynamic = dynamic([])", "dvcaction: dynamic = dynamic([])", "eventresult: string = '*'",
        ],
        condition: """
            | where (isnull(starttime) or TimeGenerated >= starttime)
                and (isnull(endtime) or TimeGenerated <= endtime)
            | where (array_length(srcipaddr_has_any_prefix) == 0 or has_any_ipv4_prefix(SrcIpAddr, srcipaddr_has_any_prefix))
                and (array_length(dstipaddr_has_any_prefix) == 0 or has_any_ipv4_prefix(DstIpAddr, dstipaddr_has_any_prefix))
                and (array_length(ipaddr_has_any_prefix) == 0 or has_any_ipv4_prefix(SrcIpAddr, ipaddr_has_any_prefix)
                    or has_any_ipv4_prefix(DstIpAddr, ipaddr_has_any_prefix))
                and (isnull(dstportnumber) or DstPortNumber == dstportnumber)
                and (array_length(hostname_has_any) == 0 or SrcHostname has_any (hostname_has_any)
                    or DstHostname has_any (hostname_has_any))
                and (array_length(dvcaction) == 0 or DvcAction in~ (dvcaction))
                and (eventresult == '*' or EventResult =~ eventresult)
            """)

    static let sources = [
        BuiltInParsers.Source(name: "NTANetAnalytics", query: virtualNetwork),
        BuiltInParsers.Source(name: "AzureNSG", query: securityGroup),
        BuiltInParsers.Source(name: "AWSVPC", query: vpc),
    ]

    private static let aliases = """
        | extend Src = SrcIpAddr, Dst = DstIpAddr, IpAddr = SrcIpAddr, Dvc = coalesce(DvcId, EventProduct)
        """

    private static let virtualNetwork = """
        NTANetAnalytics
        | where SubType =~ 'FlowLog'
        | extend _denied = FlowStatus =~ 'Denied'
        | project TimeGenerated, Type = 'NTANetAnalytics', EventCount = int(1), EventStartTime = FlowStartTime, EventEndTime = FlowEndTime,
            EventType = 'NetworkSession', EventResult = iff(_denied, 'Failure', 'Success'),
            EventSeverity = iff(_denied, 'Low', 'Informational'),
            EventVendor = 'Microsoft', EventProduct = 'VNet Flow Logs', EventSchema = 'NetworkSession', EventSchemaVersion = '0.2.6',
            DvcAction = iff(_denied, 'Deny', 'Allow'), DvcId = TargetResourceId, NetworkRuleName = AclRule,
            SrcIpAddr = coalesce(SrcIp, tostring(split(tostring(split(SrcPublicIps, ' ')[0]), '|')[0])), SrcPortNumber = int(null),
            SrcHostname = SrcVm, SrcGeoCountry = '',
            DstIpAddr = coalesce(DestIp, tostring(split(tostring(split(DestPublicIps, ' ')[0]), '|')[0])), DstPortNumber = DestPort,
            DstHostname = DestVm, DstGeoCountry = '',
            NetworkProtocol = case(L4Protocol =~ 'T', 'TCP', L4Protocol =~ 'U', 'UDP', toupper(L4Protocol)),
            NetworkApplicationProtocol = L7Protocol,
            NetworkDirection = case(FlowDirection startswith 'I', 'Inbound', FlowDirection startswith 'O', 'Outbound', 'NA'),
            SrcBytes = BytesSrcToDest, DstBytes = BytesDestToSrc, NetworkBytes = BytesSrcToDest + BytesDestToSrc,
            SrcPackets = PacketsSrcToDest, DstPackets = PacketsDestToSrc, NetworkPackets = PacketsSrcToDest + PacketsDestToSrc
        \(aliases)
        """

    private static let securityGroup = """
        AzureNetworkAnalytics_CL
        | where SubType_s =~ 'FlowLog'
        | extend _denied = FlowStatus_s =~ 'D', _in = FlowDirection_s =~ 'I'
        | extend _toSource = tolong(iff(_in, OutboundBytes_d, InboundBytes_d)), _toTarget = tolong(iff(_in, InboundBytes_d, OutboundBytes_d)),
            _packetsToSource = tolong(iff(_in, OutboundPackets_d, InboundPackets_d)),
            _packetsToTarget = tolong(iff(_in, InboundPackets_d, OutboundPackets_d))
        | project TimeGenerated, Type = 'AzureNetworkAnalytics_CL', EventCount = int(1), EventStartTime = FlowStartTime_t,
            EventEndTime = FlowEndTime_t,
            EventType = 'NetworkSession', EventResult = iff(_denied, 'Failure', 'Success'),
            EventSeverity = iff(_denied, 'Low', 'Informational'),
            EventVendor = 'Microsoft', EventProduct = 'Azure NSG flows', EventSchema = 'NetworkSession', EventSchemaVersion = '0.2.6',
            DvcAction = iff(_denied, 'Deny', 'Allow'), DvcId = NSGList_s, NetworkRuleName = NSGRule_s,
            SrcIpAddr = coalesce(SrcIP_s, tostring(split(tostring(split(SrcPublicIPs_s, ' ')[0]), '|')[0])), SrcPortNumber = int(null),
            SrcHostname = VM1_s, SrcGeoCountry = '',
            DstIpAddr = coalesce(DestIP_s, tostring(split(tostring(split(DestPublicIPs_s, ' ')[0]), '|')[0])),
            DstPortNumber = toint(DestPort_d), DstHostname = VM2_s, DstGeoCountry = '',
            NetworkProtocol = case(L4Protocol_s =~ 'T', 'TCP', L4Protocol_s =~ 'U', 'UDP', toupper(L4Protocol_s)),
            NetworkApplicationProtocol = L7Protocol_s,
            NetworkDirection = case(FlowDirection_s =~ 'I', 'Inbound', FlowDirection_s =~ 'O', 'Outbound', 'NA'),
            SrcBytes = _toTarget, DstBytes = _toSource, NetworkBytes = _toSource + _toTarget, SrcPackets = _packetsToTarget,
            DstPackets = _packetsToSource, NetworkPackets = _packetsToSource + _packetsToTarget
        \(aliases)
        """

    private static let vpc = """
        AWSVPCFlow
        | where LogStatus != 'NODATA'
        | extend _allowed = Action == 'ACCEPT'
        | project TimeGenerated, Type = 'AWSVPCFlow', EventCount = int(1), EventStartTime = coalesce(Start, TimeGenerated),
            EventEndTime = coalesce(End, TimeGenerated),
            EventType = 'NetworkSession', EventResult = iff(_allowed, 'Success', 'Failure'),
            EventSeverity = iff(_allowed, 'Informational', 'Low'),
            EventVendor = 'AWS', EventProduct = 'VPC', EventSchema = 'NetworkSession', EventSchemaVersion = '0.2.6',
            DvcAction = iff(_allowed, 'Allow', 'Deny'), DvcId = VpcId, NetworkRuleName = '',
            SrcIpAddr = SrcAddr, SrcPortNumber = SrcPort, SrcHostname = '', SrcGeoCountry = '',
            DstIpAddr = DstAddr, DstPortNumber = DstPort, DstHostname = '', DstGeoCountry = '',
            NetworkProtocol = case(Protocol == 6, 'TCP', Protocol == 17, 'UDP', Protocol == 1, 'ICMP', Protocol == 58, 'IPv6-ICMP',
                Protocol == 47, 'GRE', Protocol == 50, 'ESP', isnull(Protocol), '', tostring(Protocol)),
            NetworkApplicationProtocol = '',
            NetworkDirection = case(FlowDirection =~ 'ingress', 'Inbound', FlowDirection =~ 'egress', 'Outbound', 'NA'),
            SrcBytes = long(null), DstBytes = long(null), NetworkBytes = Bytes,
            SrcPackets = long(null), DstPackets = long(null), NetworkPackets = tolong(Packets)
        \(aliases)
        """
}
