import CKernels
import Columnar

// Hot file: a flow-log record becomes one row a tuple.
//
// Invariants: element slices lie inside the record; the fields of a tuple lie inside the tuple's text, which lives in the
// record until the row is filled. Tuples hold no escapes (digits, addresses, letters); one that does gives rows with its raw text.

/// One tuple with what surrounds it. Absent fields are empty.
struct FlowTuple {
    var fields: (Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Text, Text)
    var count = 0
    var isVirtualNetwork = false
    var rule: Text
    var acl: Text
    var mac: Text
    var sourceIsPublic = false
    var destinationIsPublic = false
    var inbound = false
    var denied = false

    init() {
        let empty = FlowTuple.empty
        fields = (empty, empty, empty, empty, empty, empty, empty, empty, empty, empty, empty, empty, empty)
        rule = empty
        acl = empty
        mac = empty
    }

    static var empty: Text {
        let s: StaticString = ""
        return Text(s.utf8Start, 0)
    }

    /// Splits at commas; fields past the thirteenth are dropped.
    mutating func split(_ t: Text) {
        let empty = FlowTuple.empty
        fields = (empty, empty, empty, empty, empty, empty, empty, empty, empty, empty, empty, empty, empty)
        count = 0
        var from = 0
        withUnsafeMutableBytes(of: &fields) { raw in
            let slots = raw.bindMemory(to: Text.self)
            while from <= t.n, count < 13 {
                let rest = t.part(from, t.n - from)
                let n = rest.index(of: 0x2C) ?? rest.n
                slots[count] = rest.part(0, n)
                count += 1
                from += n + 1
            }
        }
    }

    var time: Text { fields.0 }
    var source: Text { fields.1 }
    var destination: Text { fields.2 }
    /// The letter or word of the state; `B` (begin) where version 1 has none.
    var state: Text { isVirtualNetwork ? fields.7 : fields.8 }
    var packetsOut: Text { fields.9 }
    var bytesOut: Text { fields.10 }
    var packetsIn: Text { fields.11 }
    var bytesIn: Text { fields.12 }

    func isLetter(_ t: Text, _ c: UInt8) -> Bool { t.n >= 1 && t.p[0] == c }
}

/// Tries and cells for the levels inside a record.
struct FlowWork {
    let outer: OpaquePointer?
    let inner: OpaquePointer?
    let outerCells: UnsafeMutablePointer<vk_cell>
    let innerCells: UnsafeMutablePointer<vk_cell>
    let elementParser: OpaquePointer?
    /// `properties.flows` and `flowRecords.flows`, found by a trie of their own.
    let flows: OpaquePointer?
    let flowsCells: UnsafeMutablePointer<vk_cell>

    init() {
        outer = Self.trie([["rule"], ["aclID"], ["flows"], ["flowGroups"]])
        inner = Self.trie([["mac"], ["rule"], ["flowTuples"]])
        flows = Self.trie([["properties", "flows"], ["flowRecords", "flows"], ["macAddress"]])
        outerCells = .allocate(capacity: 4)
        innerCells = .allocate(capacity: 3)
        flowsCells = .allocate(capacity: 3)
        elementParser = vk_parser_new(64)
    }

    func free() {
        vk_trie_free(outer)
        vk_trie_free(inner)
        vk_trie_free(flows)
        vk_parser_free(elementParser)
        outerCells.deallocate()
        innerCells.deallocate()
        flowsCells.deallocate()
    }

    private static func trie(_ paths: [[StaticString]]) -> OpaquePointer? {
        guard let trie = vk_trie_new() else { return nil }
        for (leaf, path) in paths.enumerated() {
            let segments: [UnsafePointer<UInt8>?] = path.map { $0.utf8Start }
            _ = vk_trie_add(trie, segments, path.map(\.utf8CodeUnitCount), path.count, UInt32(leaf), UInt32(VK_TRIE_IGNORE_CASE))
        }
        _ = vk_trie_freeze(trie)
        return trie
    }
}

/// Steps through the elements of a JSON array that is known to be well formed.
struct ArrayElements {
    private let array: Text
    private var at = 1

    init(_ array: Text) { self.array = array }

    mutating func next() -> Text? {
        let p = array.p, n = array.n
        while at < n, p[at] == 0x20 || p[at] == 0x2C || p[at] == 0x0A || p[at] == 0x0D || p[at] == 0x09 { at += 1 }
        guard at < n - 1 else { return nil }
        let start = at
        var depth = 0
        while at < n - 1 {
            switch p[at] {
            case 0x22:
                at += 1
                while at < n, p[at] != 0x22 { at += p[at] == 0x5C ? 2 : 1 }
            case 0x7B, 0x5B: depth += 1
            case 0x7D, 0x5D: depth -= 1
            case 0x2C where depth == 0: return array.part(start, at - start)
            default: break
            }
            at += 1
        }
        at = min(at, n)
        return array.part(start, at - start)
    }
}

extension RecordState {
    mutating func addFlows(_ target: CompiledTarget, virtualNetwork: Bool) {
        var child: Int32 = 0
        let recordTime = time
        let recordInherited = timeInherited
        let readable = length + Int(VK_JSON_PADDING)
        guard vk_json_extract(parser, flowWork.flows, base, length, readable, flowWork.flowsCells, 3) == VK_JSON_OK else { return }
        let list = flowWork.flowsCells[virtualNetwork ? 1 : 0]
        guard list.type == VK_CELL_ARRAY else { return }
        let recordMAC = raw(flowWork.flowsCells[2])
        flow.isVirtualNetwork = virtualNetwork
        var outer = ArrayElements(raw(list))
        while let group = outer.next() {
            guard extractElement(group, flowWork.outer, flowWork.outerCells, 4) else { continue }
            flow.rule = slice(flowWork.outerCells[0], group)
            flow.acl = slice(flowWork.outerCells[1], group)
            let middle = flowWork.outerCells[virtualNetwork ? 3 : 2]
            guard middle.type == VK_CELL_ARRAY else { continue }
            var inner = ArrayElements(slice(middle, group))
            while let entry = inner.next() {
                guard extractElement(entry, flowWork.inner, flowWork.innerCells, 3) else { continue }
                flow.mac = virtualNetwork ? recordMAC : slice(flowWork.innerCells[0], entry)
                if flow.mac.isEmpty { flow.mac = recordMAC }
                if virtualNetwork { flow.rule = slice(flowWork.innerCells[1], entry) }
                guard flowWork.innerCells[2].type == VK_CELL_ARRAY else { continue }
                var tuples = ArrayElements(slice(flowWork.innerCells[2], entry))
                while let quoted = tuples.next() {
                    guard quoted.n > 2, quoted.p[0] == 0x22 else { continue }
                    flow.split(quoted.part(1, quoted.n - 2))
                    guard flow.count >= 8 else { continue }
                    classify()
                    if recordTime == 0 || recordInherited, let t = TimeForms.parse(flow.time.p, flow.time.n, &memo) {
                        time = t
                        timeInherited = false
                    }
                    addRow(target, child: child)
                    child &+= 1
                }
            }
        }
        time = recordTime
        timeInherited = recordInherited
    }

    private func extractElement(_ t: Text, _ trie: OpaquePointer?, _ cells: UnsafeMutablePointer<vk_cell>, _ n: Int) -> Bool {
        // The element lies inside the record, so at least the record's own padding is readable behind it.
        vk_json_extract(flowWork.elementParser, trie, t.p, t.n, t.n + Int(VK_JSON_PADDING), cells, n) == VK_JSON_OK
    }

    private func slice(_ c: vk_cell, _ element: Text) -> Text {
        c.type == VK_CELL_MISSING ? FlowTuple.empty : element.part(Int(c.offset), Int(c.length))
    }

    private mutating func classify() {
        flow.sourceIsPublic = !isPrivateAddress(flow.source)
        flow.destinationIsPublic = !isPrivateAddress(flow.destination)
        flow.inbound = flow.isLetter(flow.fields.6, 0x49)
        flow.denied = flow.isLetter(flow.fields.7, 0x44)
    }

    mutating func fillFlow(_ field: FlowField?, _ sink: UnsafeMutablePointer<ColumnSink>) {
        let external = flow.sourceIsPublic || flow.destinationIsPublic
        let empty = FlowTuple.empty
        switch field {
        case nil: sink.pointee.appendNull()
        case .sourceIP: appendText(external ? empty : flow.source, sink)
        case .destinationIP: appendText(external ? empty : flow.destination, sink)
        case .privateSourceIP: appendText(flow.sourceIsPublic ? empty : flow.source, sink)
        case .privateDestinationIP: appendText(flow.destinationIsPublic ? empty : flow.destination, sink)
        case .vmIP: appendText(flow.inbound ? flow.destination : flow.source, sink)
        case .sourcePublic: appendPublic(flow.sourceIsPublic ? flow.source : empty, sink)
        case .destinationPublic: appendPublic(flow.destinationIsPublic ? flow.destination : empty, sink)
        case .destinationPort: appendText(flow.fields.4, sink)
        case .sourcePort: appendText(flow.fields.3, sink)
        case .protocolLetter: appendText(protocolLetter(), sink)
        case .direction: appendText(flow.fields.6.part(0, min(1, flow.fields.6.n)), sink)
        case .decision: appendStatic(flow.denied ? "D" : "A", sink)
        case .flowType: appendStatic(external ? "ExternalPublic" : "IntraVNet", sink)
        case .rule: appendText(flow.rule, sink)
        case .ruleEntry: appendRuleEntry(sink)
        case .ruleType: appendStatic(flow.rule.startsFolded("defaultrule") ? "Default" : "User Defined", sink)
        case .aclGroup: appendText(flow.acl, sink)
        case .nsgList: appendNSG(sink)
        case .encryption: appendText(flow.isVirtualNetwork ? flow.fields.8 : empty, sink)
        case .mac: appendText(flow.mac, sink)
        case .inboundPackets: appendCount(flow.inbound ? flow.packetsOut : flow.packetsIn, sink)
        case .outboundPackets: appendCount(flow.inbound ? flow.packetsIn : flow.packetsOut, sink)
        case .inboundBytes: appendCount(flow.inbound ? flow.bytesOut : flow.bytesIn, sink)
        case .outboundBytes: appendCount(flow.inbound ? flow.bytesIn : flow.bytesOut, sink)
        case .packetsSourceToDestination: appendCount(flow.packetsOut, sink)
        case .packetsDestinationToSource: appendCount(flow.packetsIn, sink)
        case .bytesSourceToDestination: appendCount(flow.bytesOut, sink)
        case .bytesDestinationToSource: appendCount(flow.bytesIn, sink)
        case .allowedIn: appendStatic(begins && flow.inbound && !flow.denied ? "1" : "0", sink)
        case .deniedIn: appendStatic(flow.inbound && flow.denied ? "1" : "0", sink)
        case .allowedOut: appendStatic(begins && !flow.inbound && !flow.denied ? "1" : "0", sink)
        case .deniedOut: appendStatic(!flow.inbound && flow.denied ? "1" : "0", sink)
        case .completed: appendStatic(flow.isLetter(flow.state, 0x45) ? "1" : "0", sink)
        case .one: appendStatic("1", sink)
        case .start: appendText(flow.time, sink)
        case .intervalEnd: if time > 0 { sink.pointee.append(time &+ KustoTime.ticksPerMinute) } else { sink.pointee.appendNull() }
        case .subscription:
            parseResource()
            appendText(resource[.subscription, of: resourceText.text], sink)
        case .resourceGroup:
            parseResource()
            appendText(resource[.group, of: resourceText.text], sink)
        }
    }

    /// A flow is counted when it begins; version 1 has no states, there every tuple is a flow.
    private var begins: Bool { flow.state.isEmpty || flow.isLetter(flow.state, 0x42) }

    private mutating func appendStatic(_ s: StaticString, _ sink: UnsafeMutablePointer<ColumnSink>) {
        appendText(Text(s.utf8Start, s.utf8CodeUnitCount), sink)
    }

    /// A volume; empty (begin tuples) counts as 0.
    private mutating func appendCount(_ t: Text, _ sink: UnsafeMutablePointer<ColumnSink>) {
        if t.isEmpty { appendStatic("0", sink) } else { appendText(t, sink) }
    }

    private func protocolLetter() -> Text {
        guard flow.isVirtualNetwork else { return flow.fields.5 }
        let letter: StaticString? = flow.fields.5.isFolded("6") ? "T" : flow.fields.5.isFolded("17") ? "U" : nil
        return letter.map { Text($0.utf8Start, $0.utf8CodeUnitCount) } ?? flow.fields.5
    }

    /// `ip|flowStarted|flowEnded|outPackets|inPackets|outBytes|inBytes`.
    private mutating func appendPublic(_ ip: Text, _ sink: UnsafeMutablePointer<ColumnSink>) {
        build.count = 0
        if !ip.isEmpty {
            build.append(ip)
            build.append(begins ? "|1|" : "|0|")
            build.append(flow.isLetter(flow.state, 0x45) ? "1" : "0")
            appendVolume(flow.packetsOut)
            appendVolume(flow.packetsIn)
            appendVolume(flow.bytesOut)
            appendVolume(flow.bytesIn)
        }
        appendText(build.text, sink)
    }

    private mutating func appendVolume(_ t: Text) {
        build.append(0x7C)
        if t.isEmpty { build.append("0") } else { build.append(t) }
    }

    /// `index|rule|direction|status|count`.
    private mutating func appendRuleEntry(_ sink: UnsafeMutablePointer<ColumnSink>) {
        build.count = 0
        build.append("0|")
        build.append(flow.rule)
        build.append(flow.inbound ? "|I|" : "|O|")
        build.append(flow.denied ? "D|1" : "A|1")
        appendText(build.text, sink)
    }

    /// `subscription/group/name` of the network security group, lower case: the resource of an NSG log, the ACL of a VNet log.
    private mutating func appendNSG(_ sink: UnsafeMutablePointer<ColumnSink>) {
        var id = flow.acl
        var parts = ResourceParts()
        if flow.isVirtualNetwork {
            parts = ResourceParts(id)
        } else {
            parseResource()
            id = resourceText.text
            parts = resource
        }
        build.count = 0
        guard !parts[.provider, of: id].isEmpty else { return appendText(build.text, sink) }
        build.append(parts[.subscription, of: id])
        build.append(0x2F)
        build.append(parts[.group, of: id])
        build.append(0x2F)
        build.append(parts[.name, of: id])
        for i in 0..<build.count { build.p[i] = asciiLower(build.p[i]) }
        appendText(build.text, sink)
    }
}

/// Whether an address is of a private, shared, link-local or loopback range. What is no address counts as private.
func isPrivateAddress(_ t: Text) -> Bool {
    if t.index(of: 0x3A) != nil {
        return t.startsFolded("fc") || t.startsFolded("fd") || t.startsFolded("fe8") || t.startsFolded("fe9") || t.startsFolded("fea")
            || t.startsFolded("feb") || t.isFolded("::1") || t.isFolded("::")
    }
    var octets: (Int, Int) = (0, 0)
    var part = 0
    for i in 0..<t.n {
        let c = t.p[i]
        if c == 0x2E {
            part += 1
            if part > 1 { break }
        } else if c &- 0x30 < 10 {
            if part == 0 {
                octets.0 = min(1000, octets.0 * 10 + Int(c &- 0x30))
            } else {
                octets.1 = min(1000, octets.1 * 10 + Int(c &- 0x30))
            }
        } else {
            return true
        }
    }
    if part == 0 { return true }
    switch octets.0 {
    case 0, 10, 127: return true
    case 100: return (64...127).contains(octets.1)
    case 169: return octets.1 == 254
    case 172: return (16...31).contains(octets.1)
    case 192: return octets.1 == 168
    default: return false
    }
}
