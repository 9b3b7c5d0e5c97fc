import CKernels
import Columnar

// Hot file: a JSON value becomes a cell of a typed column. What is there but does not fit becomes null and counts as a conflict.
//
// Invariant: each function appends exactly one cell to the sink.

extension RecordState {
    /// A value as ticks; nil when it is no time.
    @inline(__always)
    mutating func ticks(_ c: vk_cell) -> Int64? {
        switch c.type {
        case VK_CELL_STRING: return TimeForms.parse(base + Int(c.offset), Int(c.length), &memo)
        case VK_CELL_STRING_ESCAPED:
            let t = text(c)
            return TimeForms.parse(t.p, t.n, &memo)
        case VK_CELL_INTEGER: return TimeForms.epoch(c.integer)
        case VK_CELL_REAL: return TimeForms.epoch(c.real)
        default: return nil
        }
    }

    /// Appends a value converted to the sink's type.
    @inline(__always)
    mutating func append(_ c: vk_cell, _ sink: UnsafeMutablePointer<ColumnSink>) {
        if sink.pointee.type == .string {
            let t = text(c)
            sink.pointee.appendText(t.p, t.n)
        } else {
            appendTyped(c, sink)
        }
    }

    private mutating func appendTyped(_ c: vk_cell, _ sink: UnsafeMutablePointer<ColumnSink>) {
        guard Self.isThere(c) else { return sink.pointee.appendNull() }
        switch sink.pointee.type {
        case .string: sink.pointee.appendNull()
        case .dynamic: appendDynamic(c, sink)
        case .datetime:
            if let t = ticks(c) { sink.pointee.append(t) } else { appendMisfit(c, sink) }
        case .int, .long:
            if let v = integer(c), sink.pointee.type == .long || Int32(exactly: v) != nil {
                sink.pointee.append(v)
            } else {
                appendMisfit(c, sink)
            }
        case .real:
            if let v = real(c) { sink.pointee.append(v) } else { appendMisfit(c, sink) }
        case .bool:
            if let v = bool(c) { sink.pointee.append(v) } else { appendMisfit(c, sink) }
        case .guid:
            if Self.isString(c), let v = parseGUID(text(c)) { sink.pointee.append(guid: v) } else { appendMisfit(c, sink) }
        case .timespan:
            if Self.isString(c), let v = KustoTime.parseTimespan(text(c).string) { sink.pointee.append(v) } else { appendMisfit(c, sink) }
        case .decimal:
            if let v = Decimal128(text: text(c).string) { sink.pointee.append(v) } else { appendMisfit(c, sink) }
        }
    }

    /// An empty string is how many exports write "no value": null, but no conflict.
    private func appendMisfit(_ c: vk_cell, _ sink: UnsafeMutablePointer<ColumnSink>) {
        if Self.isString(c), c.length == 0 { sink.pointee.appendNull() } else { sink.pointee.appendConflict() }
    }

    /// JSON as it stands; a string that holds an object or array is taken as that.
    private mutating func appendDynamic(_ c: vk_cell, _ sink: UnsafeMutablePointer<ColumnSink>) {
        if Self.isString(c) {
            if c.length >= 2 {
                let t = text(c)
                if let first = jsonStart(t), first == 0x7B || first == 0x5B, vk_json_validate(t.p, t.n, 128) == VK_JSON_OK {
                    sink.pointee.appendText(t.p, t.n)
                    return
                }
            }
            // With its quotes, which stand around the slice.
            sink.pointee.appendText(base + Int(c.offset) - 1, Int(c.length) + 2)
            return
        }
        let t = raw(c)
        sink.pointee.appendText(t.p, t.n)
    }

    /// A string's content as a number, if it is one.
    private mutating func number(_ c: vk_cell) -> vk_cell {
        let t = text(c)
        var from = 0
        var to = t.n
        while from < to, t.p[from] == 0x20 { from += 1 }
        while to > from, t.p[to - 1] == 0x20 { to -= 1 }
        if from < to, t.p[from] == 0x2B { from += 1 }
        guard from < to, to - from <= 64 else { return vk_cell() }
        return vk_json_scalar(t.p + from, to - from)
    }

    private mutating func integer(_ c: vk_cell) -> Int64? {
        switch c.type {
        case VK_CELL_INTEGER: return c.integer
        case VK_CELL_REAL: return Int64(exactly: c.real.rounded(.towardZero))
        case VK_CELL_TRUE: return 1
        case VK_CELL_FALSE: return 0
        case VK_CELL_STRING, VK_CELL_STRING_ESCAPED:
            let v = number(c)
            return v.type == VK_CELL_INTEGER ? v.integer : v.type == VK_CELL_REAL ? Int64(exactly: v.real.rounded(.towardZero)) : nil
        default: return nil
        }
    }

    private mutating func real(_ c: vk_cell) -> Double? {
        switch c.type {
        case VK_CELL_INTEGER: return Double(c.integer)
        case VK_CELL_REAL: return c.real
        case VK_CELL_STRING, VK_CELL_STRING_ESCAPED:
            let v = number(c)
            return v.type == VK_CELL_INTEGER ? Double(v.integer) : v.type == VK_CELL_REAL ? v.real : nil
        default: return nil
        }
    }

    private mutating func bool(_ c: vk_cell) -> Bool? {
        switch c.type {
        case VK_CELL_TRUE: return true
        case VK_CELL_FALSE: return false
        case VK_CELL_INTEGER: return c.integer != 0
        case VK_CELL_STRING, VK_CELL_STRING_ESCAPED:
            let t = text(c)
            if t.isFolded("true") || t.isFolded("1") { return true }
            if t.isFolded("false") || t.isFolded("0") { return false }
            return nil
        default: return nil
        }
    }
}

/// A GUID's 128 bits, the first digit the most significant: with dashes, without, or in braces. Nil for anything else.
func parseGUID(_ text: Text) -> UInt128? {
    var t = text
    if t.n == 38, t.p[0] == 0x7B, t.p[37] == 0x7D { t = t.part(1, 36) }
    guard t.n == 36 || t.n == 32 else { return nil }
    var v: UInt128 = 0
    for i in 0..<t.n {
        let c = t.p[i]
        if t.n == 36, i == 8 || i == 13 || i == 18 || i == 23 {
            if c != 0x2D { return nil }
            continue
        }
        switch c {
        case 0x30...0x39: v = v << 4 | UInt128(c &- 0x30)
        case 0x41...0x46: v = v << 4 | UInt128(c &- 0x37)
        case 0x61...0x66: v = v << 4 | UInt128(c &- 0x57)
        default: return nil
        }
    }
    return v
}
