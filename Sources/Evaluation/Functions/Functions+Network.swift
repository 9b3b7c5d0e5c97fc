import Columnar
import KQL

/// Two addresses cut to the shortest of the prefixes.
private func compareV4(_ a: [Value]) -> Int? {
    guard let x = IPAddress.parseV4(text(a, 0)), let y = IPAddress.parseV4(text(a, 1)) else { return nil }
    let asked = long(a, 2, default: 32)
    guard (0...32).contains(asked) else { return nil }
    let mask = IPAddress.mask(min(x.prefix, y.prefix, Int(asked)))
    let (p, q) = (x.address & mask, y.address & mask)
    return p == q ? 0 : (p < q ? -1 : 1)
}

/// `::1.2.3.4`, the old way to write an IPv4 address, is the mapped one to Kusto where masks are applied.
private func mapped(_ v: IPAddress.V6) -> UInt128 { v.isV4 && v.address >> 32 == 0 ? v.address | UInt128(0xFFFF) << 32 : v.address }

private func compareV6(_ a: [Value]) -> Int? {
    guard var x = IPAddress.parseV6(text(a, 0)), var y = IPAddress.parseV6(text(a, 1)) else { return nil }
    var asked = Int(clamping: long(a, 2, default: 128))
    guard (0...128).contains(asked) else { return nil }
    if x.isV4, y.isV4, asked <= 32 { asked += 96 }
    x.prefix = min(x.prefix, y.prefix, asked)
    y.prefix = x.prefix
    x.address = mapped(x)
    y.address = mapped(y)
    return x.masked == y.masked ? 0 : (x.masked < y.masked ? -1 : 1)
}

private func inRangeV4(_ ip: String, _ range: String) -> Bool? {
    guard let x = IPAddress.parseV4(ip), let r = IPAddress.parseV4(range) else { return nil }
    return x.address & IPAddress.mask(min(r.prefix, x.prefix)) == r.address & IPAddress.mask(min(r.prefix, x.prefix))
}

private func inRangeV6(_ ip: String, _ range: String) -> Bool? {
    guard var x = IPAddress.parseV6(ip), let r = IPAddress.parseV6(range) else { return nil }
    x.prefix = r.prefix
    return x.masked == r.masked
}

/// The texts of all arguments from a position on, arrays taken apart.
private func texts(_ a: [Value], from: Int) -> [String] {
    var out: [String] = []
    for i in a.indices.dropFirst(from) {
        if let items = array(a, i) { out += items.map(dynamicText) } else { out.append(text(a, i)) }
    }
    return out
}

private func anyRange(_ a: [Value], _ test: (String, String) -> Bool?) -> Value {
    var known = false
    for range in texts(a, from: 1) {
        switch test(text(a, 0), range) {
        case true?: return .bool(true)
        case false?: known = true
        case nil: break
        }
    }
    return known ? .bool(false) : .null(.bool)
}

extension Functions {
    static let network: [ScalarFunction] = [
        ScalarFunction(
            "geo_info_from_ip_address", "IpAddress:string", .type(.dynamic),
            "Country, state, city, latitude and longitude of an address, as far as the MaxMind database that is configured knows them.",
            "geo_info_from_ip_address(\"192.0.2.1\")", .compiled),
        ScalarFunction(
            "parse_user_agent", "user_agent:string look_for:any", .type(.dynamic),
            "Browser, operating system and device (\"browser\", \"os\", \"device\", or an array of them) of a user agent, by the patterns of uap-core.",
            "parse_user_agent(\"Mozilla/5.0 (Windows; U; en-US) AppleWebKit/531.9 (KHTML, like Gecko) AdobeAIR/2.5.1\", \"browser\")",
            .compiled),
        ScalarFunction(
            "parse_ipv4", "ip:string", .type(.long), "An IPv4 address, masked by its prefix, as a number.",
            "parse_ipv4(\"127.0.0.1\") == 2130706433",
            .strict { a in optional(IPAddress.parseV4(text(a, 0)), { .long(Int64($0.masked)) }, .long) }),
        ScalarFunction(
            "parse_ipv4_mask", "ip:string prefix:integer", .type(.long), "An IPv4 address, masked by a prefix, as a number.",
            "parse_ipv4_mask(\"127.0.0.1\", 24) == 2130706432",
            .strict { a in
                guard let ip = IPAddress.parseV4(text(a, 0)), (0...32).contains(long(a, 1)) else { return .null(.long) }
                return .long(Int64(ip.address & IPAddress.mask(min(ip.prefix, Int(long(a, 1))))))
            }),
        ScalarFunction(
            "parse_ipv6", "ip:string", .type(.string), "An IPv6 or IPv4 address in full IPv6 form, masked by its prefix.",
            "parse_ipv6(\"127.0.0.1\") == \"0000:0000:0000:0000:0000:ffff:7f00:0001\"",
            .strict { a in .string(IPAddress.parseV6(text(a, 0)).map { IPAddress.print($0.masked) } ?? "") }),
        ScalarFunction(
            "parse_ipv6_mask", "ip:string prefix:integer", .type(.string), "An IPv6 or IPv4 address in full IPv6 form, masked by a prefix.",
            "parse_ipv6_mask(\"fe80::1\", 64)",
            .strict { a in
                guard var ip = IPAddress.parseV6(text(a, 0)), (0...128).contains(long(a, 1)) else { return .string("") }
                ip.address = mapped(ip)
                ip.prefix = min(ip.prefix, Int(long(a, 1)))
                return .string(IPAddress.print(ip.masked))
            }),
        ScalarFunction(
            "ipv4_compare", "Expr1:string Expr2:string PrefixMask:integer?", .type(.long),
            "-1, 0 or 1 for two IPv4 addresses under their prefixes.",
            "ipv4_compare(\"1.2.3.4\", \"1.2.3.4\") == 0", .strict { a in optional(compareV4(a), { .long(Int64($0)) }, .long) }),
        ScalarFunction(
            "ipv4_is_match", "ip1:string ip2:string prefix:integer?", .type(.bool),
            "Whether two IPv4 addresses agree under their prefixes.",
            "ipv4_is_match(\"192.168.1.1/24\", \"192.168.1.255\") == true",
            .strict { a in optional(compareV4(a), { .bool($0 == 0) }, .bool) }),
        ScalarFunction(
            "ipv4_is_in_range", "Ipv4Address:string Ipv4Range:string", .type(.bool), "Whether an IPv4 address is in a range.",
            "ipv4_is_in_range(\"192.168.1.6\", \"192.168.1.1/24\") == true",
            .strict { a in optional(inRangeV4(text(a, 0), text(a, 1)), Value.bool, .bool) }),
        ScalarFunction(
            "ipv4_is_in_any_range", "Ipv4Address:string Ipv4Ranges:any ...", .type(.bool),
            "Whether an IPv4 address is in one of the ranges.",
            "ipv4_is_in_any_range(\"192.168.1.6\", \"10.0.0.0/8\", \"192.168.1.1/24\") == true", .lenient { a in anyRange(a, inRangeV4) }),
        ScalarFunction(
            "ipv4_is_private", "ip:string", .type(.bool), "Whether an IPv4 address is in a private network (RFC 1918).",
            "ipv4_is_private(\"10.1.2.3\") == true",
            .strict { a in
                guard let ip = IPAddress.parseV4(text(a, 0)) else { return .null(.bool) }
                let blocks: [(UInt32, Int)] = [(0x0A00_0000, 8), (0xAC10_0000, 12), (0xC0A8_0000, 16)]
                return .bool(blocks.contains { ip.prefix >= $0.1 && ip.address & IPAddress.mask($0.1) == $0.0 })
            }),
        ScalarFunction(
            "ipv4_netmask_suffix", "ip:string", .type(.long), "The prefix length written behind an IPv4 address, 32 if there is none.",
            "ipv4_netmask_suffix(\"192.168.1.1/24\") == 24",
            .strict { a in optional(IPAddress.parseV4(text(a, 0)), { .long(Int64($0.prefix)) }, .long) }),
        ScalarFunction(
            "ipv4_range_to_cidr_list", "StartAddress:string EndAddress:string", .type(.dynamic),
            "The networks that together make a range of IPv4 addresses.",
            "ipv4_range_to_cidr_list(\"1.1.128.0\", \"1.1.140.255\")",
            .strict { a in
                guard let x = IPAddress.parseV4(text(a, 0)), let y = IPAddress.parseV4(text(a, 1)), x.address <= y.address else {
                    return .null(.dynamic)
                }
                var out: [Dynamic] = []
                var at = UInt64(x.address)
                while at <= UInt64(y.address) {
                    var size = at == 0 ? UInt64(1) << 32 : at & (0 &- at)
                    while at + size - 1 > UInt64(y.address) { size >>= 1 }
                    out.append(.string(IPAddress.print(UInt32(at)) + "/\(32 - size.trailingZeroBitCount)"))
                    at += size
                }
                return .dynamic(.array(out))
            }),
        ScalarFunction(
            "format_ipv4", "ip:any prefix:integer?", .type(.string), "An IPv4 address (text or number), masked, as text.",
            "format_ipv4(\"192.168.1.255\", 24) == \"192.168.1.0\"", .strict { a in formatted(a, withMask: false) }),
        ScalarFunction(
            "format_ipv4_mask", "ip:any prefix:integer?", .type(.string), "An IPv4 address, masked, with its prefix.",
            "format_ipv4_mask(\"192.168.1.255\", 24) == \"192.168.1.0/24\"", .strict { a in formatted(a, withMask: true) }),
        ScalarFunction(
            "ipv6_compare", "ip1:string ip2:string prefix:integer?", .type(.long),
            "-1, 0 or 1 for two IPv6 or IPv4 addresses under their prefixes.",
            "ipv6_compare(\"::1\", \"::1\") == 0", .strict { a in optional(compareV6(a), { .long(Int64($0)) }, .long) }),
        ScalarFunction(
            "ipv6_is_match", "ip1:string ip2:string prefix:integer?", .type(.bool),
            "Whether two IPv6 or IPv4 addresses agree under their prefixes.",
            "ipv6_is_match(\"::1\", \"::1\") == true", .strict { a in optional(compareV6(a), { .bool($0 == 0) }, .bool) }),
        ScalarFunction(
            "ipv6_is_in_range", "Ipv6Address:string Ipv6Range:string", .type(.bool), "Whether an IPv6 or IPv4 address is in a range.",
            "ipv6_is_in_range(\"a5e:f127:8a9d:146d:e102:b5d3:c755:abcd\", \"a5e:f127:8a9d:146d:e102:b5d3:c755:0/112\") == true",
            .strict { a in optional(inRangeV6(text(a, 0), text(a, 1)), Value.bool, .bool) }),
        ScalarFunction(
            "ipv6_is_in_any_range", "Ipv6Address:string Ipv6Ranges:any ...", .type(.bool),
            "Whether an IPv6 or IPv4 address is in one of the ranges.",
            "ipv6_is_in_any_range(\"::1\", \"::/8\") == true", .lenient { a in anyRange(a, inRangeV6) }),
        ScalarFunction(
            "has_ipv4", "source:string ip_address:string", .type(.bool),
            "Whether a text has an IPv4 address, set apart by other characters than letters and digits.",
            "has_ipv4(\"from 127.0.0.1 on\", \"127.0.0.1\") == true",
            .strict { a in .bool(hasAddress(text(a, 0), [text(a, 1)], prefix: false)) }),
        ScalarFunction(
            "has_any_ipv4", "source:string ip_address:any ...", .type(.bool), "Whether a text has one of the IPv4 addresses.",
            "has_any_ipv4(\"from 127.0.0.1 on\", \"10.0.0.1\", \"127.0.0.1\") == true",
            .lenient { a in .bool(hasAddress(text(a, 0), texts(a, from: 1), prefix: false)) }),
        ScalarFunction(
            "has_ipv4_prefix", "source:string ip_address_prefix:string", .type(.bool),
            "Whether a text has an IPv4 address that begins so; a prefix ends with a dot or is whole.",
            "has_ipv4_prefix(\"from 127.0.0.1 on\", \"127.0.\") == true",
            .strict { a in .bool(hasAddress(text(a, 0), [text(a, 1)], prefix: true)) }),
        ScalarFunction(
            "has_any_ipv4_prefix", "source:string ip_address_prefix:any ...", .type(.bool),
            "Whether a text has an IPv4 address that begins as one of the prefixes.",
            "has_any_ipv4_prefix(\"from 127.0.0.1 on\", \"127.0.\") == true",
            .lenient { a in .bool(hasAddress(text(a, 0), texts(a, from: 1), prefix: true)) }),
    ]

    private static func hasAddress(_ source: String, _ wanted: [String], prefix: Bool) -> Bool {
        let usable = wanted.filter { $0.hasSuffix(".") && prefix || IPAddress.parseV4($0) != nil }
        if usable.isEmpty { return false }
        let found = IPAddress.addresses(in: source)
        return found.contains { ip in usable.contains { prefix && $0.hasSuffix(".") ? ip.hasPrefix($0) : ip == $0 } }
    }

    private static func formatted(_ a: [Value], withMask: Bool) -> Value {
        var ip: IPAddress.V4
        if let number = a[0].integer {
            guard let bits = UInt32(exactly: number) else { return .string("") }
            ip = IPAddress.V4(address: bits, prefix: 32)
        } else {
            guard let parsed = IPAddress.parseV4(text(a, 0)) else { return .string("") }
            ip = parsed
        }
        if a.count > 1 {
            guard (0...32).contains(long(a, 1)) else { return .string("") }
            ip.prefix = min(ip.prefix, Int(long(a, 1)))
        }
        return .string(IPAddress.print(ip.masked) + (withMask ? "/\(ip.prefix)" : ""))
    }
}
