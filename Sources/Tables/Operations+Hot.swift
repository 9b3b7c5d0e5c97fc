import CKernels
import Columnar

// Hot file: the operations of the mappings (`Operation`).
//
// Invariant: `fill` appends exactly one cell to the sink, whatever the record holds.

extension RecordState {
    @inline(__always)
    mutating func fill(_ c: CompiledColumn, _ sink: UnsafeMutablePointer<ColumnSink>) {
        if c.operation == .value {
            append(first(c), sink)
        } else {
            fillSpecial(c, sink)
        }
    }

    private mutating func fillSpecial(_ c: CompiledColumn, _ sink: UnsafeMutablePointer<ColumnSink>) {
        switch c.operation {
        case .value: append(first(c), sink)
        case .missing: sink.pointee.appendNull()
        case .constant: appendText(view.constant(c.argument), sink)
        case .time: if time > 0 { sink.pointee.append(time) } else { sink.pointee.appendNull() }
        case .lower: appendFolded(text(first(c)), upper: false, sink)
        case .upper: appendFolded(text(first(c)), upper: true, sink)
        case .stripPort: appendText(withoutPort(text(first(c))), sink)
        case .capitalized:
            build.count = 0
            build.append(text(first(c)))
            if build.count > 0 { build.p[0] = asciiUpper(build.p[0]) }
            appendText(build.text, sink)
        case .mapped:
            let cell = first(c)
            let found = Self.isThere(cell) ? view.maps[Int(c.argument)].find(text(cell)) : -1
            if found >= 0 { appendText(view.constant(found), sink) } else { append(cell, sink) }
        case .suffixed: fillSuffixed(c, sink)
        case .record: sink.pointee.appendText(base, length)
        case .recordGuid:
            let cell = first(c)
            if Self.isThere(cell) { append(cell, sink) } else { appendRecordGUID(sink) }
        case .resourceIdLower: appendFolded(resourceID(), upper: false, sink)
        case .resourceIdUpper: appendFolded(resourceID(), upper: true, sink)
        case .subscription: appendFolded(part(.subscription, or: c), upper: false, sink)
        case .resourceGroup: appendText(part(.group, or: c), sink)
        case .resourceGroupUpper: appendFolded(part(.group, or: c), upper: true, sink)
        case .provider: appendFolded(provider(c), upper: true, sink)
        case .resource: appendText(part(.name, or: c), sink)
        case .resourceUpper: appendFolded(part(.name, or: c), upper: true, sink)
        case .resourceTypeUpper: appendResourceType(sink)
        case .activityCategory: appendText(activityCategory(c), sink)
        case .activitySubstatus: appendText(substatus(leaf(c, 0), leaf(c, 1)), sink)
        case .activitySubstatusDisplay: appendSubstatusDisplay(c, sink)
        case .activityOperation:
            let name = view.maps[Int(c.argument)].find(text(leaf(c, 0)))
            if name >= 0 {
                appendText(view.constant(name), sink)
            } else {
                let message = leaf(c, 1)
                append(Self.isThere(message) ? message : leaf(c, 0), sink)
            }
        case .activityProperties: appendActivityProperties(c, sink)
        case .flow: fillFlow(FlowField(rawValue: UInt8(truncatingIfNeeded: c.argument)), sink)
        }
    }

    /// Text into a column of any type (bool and number columns read it as a string would be read).
    @inline(__always)
    mutating func appendText(_ t: Text, _ sink: UnsafeMutablePointer<ColumnSink>) {
        if sink.pointee.type == .string {
            sink.pointee.appendText(t.p, t.n)
        } else {
            appendTextTyped(t, sink)
        }
    }

    private mutating func appendTextTyped(_ t: Text, _ sink: UnsafeMutablePointer<ColumnSink>) {
        guard !t.isEmpty else { return sink.pointee.appendNull() }
        switch sink.pointee.type {
        case .bool: if t.isFolded("true") { sink.pointee.append(true) } else { sink.pointee.append(false) }
        case .guid: if let v = parseGUID(t) { sink.pointee.append(guid: v) } else { sink.pointee.appendConflict() }
        case .int, .long, .real:
            let v = vk_json_scalar(t.p, t.n)
            guard v.type == VK_CELL_INTEGER || v.type == VK_CELL_REAL else { return sink.pointee.appendConflict() }
            if sink.pointee.type == .real {
                sink.pointee.append(v.type == VK_CELL_INTEGER ? Double(v.integer) : v.real)
            } else if v.type == VK_CELL_INTEGER {
                sink.pointee.append(v.integer)
            } else {
                sink.pointee.appendConflict()
            }
        case .datetime: if let v = TimeForms.parse(t.p, t.n, &memo) { sink.pointee.append(v) } else { sink.pointee.appendConflict() }
        case .dynamic:
            quoted.count = 0
            quoted.appendQuoted(t)
            sink.pointee.appendText(UnsafePointer(quoted.p), quoted.count)
        default: sink.pointee.appendNull()
        }
    }

    private mutating func appendFolded(_ t: Text, upper: Bool, _ sink: UnsafeMutablePointer<ColumnSink>) {
        build.count = 0
        build.reserve(t.n)
        if upper {
            for i in 0..<t.n { build.p[i] = asciiUpper(t.p[i]) }
        } else {
            for i in 0..<t.n { build.p[i] = asciiLower(t.p[i]) }
        }
        build.count = t.n
        appendText(build.text, sink)
    }

    /// `1.2.3.4:5`, `[::1]:5` and `[::1]` without port and brackets.
    private func withoutPort(_ t: Text) -> Text {
        guard t.n > 2 else { return t }
        if t.p[0] == 0x5B, let close = t.index(of: 0x5D) { return t.part(1, close - 1) }
        guard let colon = t.index(of: 0x3A), colon > 0, t.part(colon + 1, t.n - colon - 1).index(of: 0x3A) == nil, t.index(of: 0x2E) != nil
        else { return t }
        return t.part(0, colon)
    }

    private mutating func appendRecordGUID(_ sink: UnsafeMutablePointer<ColumnSink>) {
        let hash = vk_xxh3_128(original.p, original.n, 0)
        build.count = 0
        for i in 0..<32 {
            if i == 8 || i == 12 || i == 16 || i == 20 { build.append(0x2D) }
            let word = i < 16 ? hash.high : hash.low
            let digit = UInt8(truncatingIfNeeded: word >> UInt64((15 - i % 16) * 4)) & 15
            build.append(digit < 10 ? 0x30 &+ digit : 0x57 &+ digit)
        }
        appendText(build.text, sink)
    }

    // MARK: resource ids

    private mutating func resourceID() -> Text {
        parseResource()
        return resourceText.text
    }

    @inline(__always)
    mutating func parseResource() {
        if resourceReady { return }
        resourceReady = true
        resourceText.count = 0
        if isString(.resourceID) { resourceText.append(text(cell(.resourceID))) }
        resource = ResourceParts(resourceText.text)
    }

    /// A part of the resource id; the column's own value when the id has none.
    private mutating func part(_ part: ResourceParts.Part, or c: CompiledColumn) -> Text {
        parseResource()
        let found = resource[part, of: resourceText.text]
        return found.isEmpty ? text(first(c)) : found
    }

    /// The provider of the resource id, else the text before the first `/` of the column's own value.
    private mutating func provider(_ c: CompiledColumn) -> Text {
        parseResource()
        let found = resource[.provider, of: resourceText.text]
        if !found.isEmpty { return found }
        let own = text(first(c))
        return own.part(0, own.index(of: 0x2F) ?? own.n)
    }

    /// The types of the resource, without the names between them.
    private mutating func appendResourceType(_ sink: UnsafeMutablePointer<ColumnSink>) {
        parseResource()
        let typed = resource[.typed, of: resourceText.text]
        build.count = 0
        var isType = true
        for i in 0..<typed.n {
            if typed.p[i] == 0x2F {
                isType.toggle()
                if isType { build.append(0x2F) }
            } else if isType {
                build.append(asciiUpper(typed.p[i]))
            }
        }
        appendText(build.text, sink)
    }

    // MARK: AzureDiagnostics

    /// The first value whose kind is that of the suffix.
    private mutating func fillSuffixed(_ c: CompiledColumn, _ sink: UnsafeMutablePointer<ColumnSink>) {
        for i in 0..<Int(c.leafCount) {
            let cell = leaf(c, i)
            if Self.isThere(cell), suffix(of: cell) == UInt8(truncatingIfNeeded: c.argument) { return append(cell, sink) }
        }
        sink.pointee.appendNull()
    }

    /// The letter behind which Azure stores a value.
    private mutating func suffix(of c: vk_cell) -> UInt8 {
        switch c.type {
        case VK_CELL_INTEGER, VK_CELL_REAL: return 0x64
        case VK_CELL_TRUE, VK_CELL_FALSE: return 0x62
        case VK_CELL_ARRAY: return 0x73
        case VK_CELL_STRING, VK_CELL_STRING_ESCAPED:
            let t = text(c)
            if t.n == 36, parseGUID(t) != nil { return 0x67 }
            if t.n >= 19, t.n <= 33, t.p[4] == 0x2D, t.p[10] == 0x54, TimeForms.parse(t.p, t.n, &memo) != nil { return 0x74 }
            return 0x73
        default: return 0
        }
    }

    // MARK: Azure Activity

    private mutating func activityCategory(_ c: CompiledColumn) -> Text {
        for i in 0..<Int(c.leafCount) {
            let cell = leaf(c, i)
            guard Self.isString(cell), cell.length > 0 else { continue }
            let t = text(cell)
            if !t.isFolded("write"), !t.isFolded("delete"), !t.isFolded("action") { return t }
        }
        let fallback: StaticString = "Administrative"
        return Text(fallback.utf8Start, fallback.utf8CodeUnitCount)
    }

    /// The status code, else what follows the dot of `Succeeded.OK`.
    private mutating func substatus(_ code: vk_cell, _ signature: vk_cell) -> Text {
        if Self.isThere(code), code.length > 0 { return text(code) }
        guard Self.isThere(signature) else { return Text(base, 0) }
        let t = text(signature)
        guard let dot = t.index(of: 0x2E) else { return t }
        return t.part(dot + 1, t.n - dot - 1)
    }

    private mutating func appendSubstatusDisplay(_ c: CompiledColumn, _ sink: UnsafeMutablePointer<ColumnSink>) {
        let name = substatus(leaf(c, 0), leaf(c, 1))
        let number = view.maps[Int(c.argument)].find(name)
        build.count = 0
        build.append(name)
        if number >= 0 {
            build.append(" (HTTP Status Code: ")
            build.append(view.constant(number))
            build.append(0x29)
        }
        appendText(build.text, sink)
    }

    /// `properties` with the keys that Log Analytics adds. Leaves: see `AzureActivityForms.propertiesSource`.
    private mutating func appendActivityProperties(_ c: CompiledColumn, _ sink: UnsafeMutablePointer<ColumnSink>) {
        let given = leaf(c, 0)
        build.count = 0
        var isEmpty = true
        if given.type == VK_CELL_OBJECT {
            // A dynamic cell need not be compact, a string must be.
            let compact = sink.pointee.type == .string ? compactJSON(raw(given), &scratch) : raw(given)
            build.append(compact.part(0, compact.n - 1))
            isEmpty = jsonStart(compact.part(1, compact.n - 1)) == 0x7D
        } else {
            build.append(0x7B)
        }
        parseResource()
        let id = resourceText.text
        add("resource", resource[.name, of: id], at: 0, c, &isEmpty)
        add("resourceGroup", resource[.group, of: id], at: 1, c, &isEmpty)
        add("resourceProviderValue", resource[.provider, of: id], at: 2, c, &isEmpty)
        add("subscriptionId", resource[.subscription, of: id], at: 3, c, &isEmpty)
        add("activityStatusValue", text(leaf(c, 1)), at: 4, c, &isEmpty)
        add("activitySubstatusValue", substatus(leaf(c, 2), leaf(c, 3)), at: 5, c, &isEmpty)
        var caller = vk_cell()
        for i in (5 + AzureActivityForms.addedKeys.count)..<Int(c.leafCount) {
            caller = leaf(c, i)
            if Self.isThere(caller), caller.length > 0 { break }
        }
        add("caller", text(caller), at: 6, c, &isEmpty)
        add("httpRequest", text(leaf(c, 4)), at: 7, c, &isEmpty)
        build.append(0x7D)
        sink.pointee.appendText(UnsafePointer(build.p), build.count)
    }

    /// Appends `,"key":"value"` unless the value is empty or `properties` has the key.
    private mutating func add(_ key: StaticString, _ value: Text, at place: Int, _ c: CompiledColumn, _ isEmpty: inout Bool) {
        if value.isEmpty || Self.isThere(leaf(c, 5 + place)) { return }
        if !isEmpty { build.append(0x2C) }
        isEmpty = false
        build.append(0x22)
        build.append(key)
        build.append("\":")
        build.appendQuoted(value)
    }
}
