/// Text of dynamic cells: parsing into ``Dynamic`` and Kusto's compact printing.
///
/// Parsing is lenient the way Kusto's is strict: anything that is not one well-formed JSON value gives nil; duplicate keys keep the last value
/// at the place of the first; integers outside `Int64` become reals. Depth is bounded by ``maximumDepth``.
public enum JSONText {
    /// Deeper nesting is not parsed (nil), so that recursion is bounded on hostile input.
    public static let maximumDepth = 256

    public static func parse(_ text: String) -> Dynamic? {
        var text = text
        return text.withUTF8 { parse(UnsafeRawBufferPointer($0)) }
    }

    public static func parse(_ bytes: UnsafeRawBufferPointer) -> Dynamic? {
        var p = JSONParser(bytes: bytes)
        p.skipBlanks()
        guard let v = p.value(depth: 0) else { return nil }
        p.skipBlanks()
        return p.position == bytes.count ? v : nil
    }

    /// Kusto's form: no blanks, keys in order, reals with a point (`1.0`), strings escaped minimally.
    public static func compact(_ value: Dynamic) -> String {
        var out = ""
        append(value, to: &out)
        return out
    }

    public static func append(_ value: Dynamic, to out: inout String) {
        switch value {
        case .null: out += "null"
        case .bool(let b): out += b ? "true" : "false"
        case .long(let v): out += String(v)
        case .real(let v): out += real(v)
        case .string(let s): appendQuoted(s, to: &out)
        case .array(let a):
            out += "["
            for (i, v) in a.enumerated() {
                if i > 0 { out += "," }
                append(v, to: &out)
            }
            out += "]"
        case .object(let members):
            out += "{"
            for (i, m) in members.enumerated() {
                if i > 0 { out += "," }
                appendQuoted(m.key, to: &out)
                out += ":"
                append(m.value, to: &out)
            }
            out += "}"
        }
    }

    /// A real inside JSON: shortest digits that read back, with `.0` for whole numbers; NaN and infinities as strings, as Kusto does.
    public static func real(_ v: Double) -> String {
        if v.isNaN { return "\"NaN\"" }
        if v.isInfinite { return v < 0 ? "\"-Infinity\"" : "\"Infinity\"" }
        return KustoNumber.real(v, wholeSuffix: true)
    }
}

/// Printing of numbers as Kusto's engine prints them (.NET "R" form).
public enum KustoNumber {
    /// Shortest round-trip digits; plain notation for exponents -4...14 and scientific (`1E+15`, `1E-05`) outside, as .NET does.
    public static func real(_ v: Double, wholeSuffix: Bool) -> String {
        if v.isNaN { return "NaN" }
        if v.isInfinite { return v < 0 ? "-Infinity" : "Infinity" }
        if v == 0 { return v.sign == .minus ? (wholeSuffix ? "-0.0" : "-0") : (wholeSuffix ? "0.0" : "0") }
        // Swift's description has the shortest digits; take them apart and lay them out again.
        let text = "\(v.magnitude)"
        var digits: [UInt8] = []
        var pointAt = 0
        var exponent = 0
        var seenPoint = false
        var rest = Array(text.utf8)[...]
        while let c = rest.first {
            if c == 0x2E {
                seenPoint = true
            } else if c == 0x65 {
                exponent = Int(String(decoding: rest.dropFirst(), as: UTF8.self)) ?? 0
                break
            } else {
                digits.append(c)
                if !seenPoint { pointAt += 1 }
            }
            rest.removeFirst()
        }
        pointAt += exponent
        while digits.count > 1, digits.first == 0x30 {
            digits.removeFirst()
            pointAt -= 1
        }
        while digits.count > 1, digits.last == 0x30 { digits.removeLast() }
        let d = String(decoding: digits, as: UTF8.self)
        let sign = v < 0 ? "-" : ""
        let scientific = pointAt - 1
        if scientific >= 15 || scientific < -4 {
            let magnitude = String(abs(scientific))
            let e = (scientific < 0 ? "-" : "+") + (magnitude.utf8.count < 2 ? "0" + magnitude : magnitude)
            return sign + String(d.prefix(1)) + (d.utf8.count > 1 ? "." + d.dropFirst() : "") + "E" + e
        }
        if pointAt <= 0 { return sign + "0." + String(repeating: "0", count: -pointAt) + d }
        if d.utf8.count <= pointAt { return sign + d + String(repeating: "0", count: pointAt - d.utf8.count) + (wholeSuffix ? ".0" : "") }
        return sign + d.prefix(pointAt) + "." + d.dropFirst(pointAt)
    }
}

/// A cursor over JSON bytes. Bounds are checked at each step; it never reads past `bytes`.
struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    var position = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func skipBlanks() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    mutating func eat(_ c: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == c else { return false }
        position += 1
        return true
    }

    mutating func eat(word: StaticString) -> Bool {
        let n = word.utf8CodeUnitCount
        guard position + n <= bytes.count else { return false }
        for i in 0..<n where bytes[position + i] != word.utf8Start[i] { return false }
        position += n
        return true
    }

    mutating func value(depth: Int) -> Dynamic? {
        guard position < bytes.count, depth <= JSONText.maximumDepth else { return nil }
        switch bytes[position] {
        case 0x7B: return object(depth: depth)
        case 0x5B: return array(depth: depth)
        case 0x22: return string().map(Dynamic.string)
        case 0x74: return eat(word: "true") ? .bool(true) : nil
        case 0x66: return eat(word: "false") ? .bool(false) : nil
        case 0x6E: return eat(word: "null") ? .null : nil
        default: return number()
        }
    }

    private mutating func object(depth: Int) -> Dynamic? {
        position += 1
        var members: [Dynamic.Member] = []
        var places: [ByteKey: Int] = [:]
        skipBlanks()
        if eat(0x7D) { return .object([]) }
        while true {
            skipBlanks()
            guard position < bytes.count, bytes[position] == 0x22, let key = string() else { return nil }
            skipBlanks()
            guard eat(0x3A) else { return nil }
            skipBlanks()
            guard let v = value(depth: depth + 1) else { return nil }
            if let place = places[ByteKey(key)] {
                members[place].value = v
            } else {
                places[ByteKey(key)] = members.count
                members.append(Dynamic.Member(key, v))
            }
            skipBlanks()
            if eat(0x2C) { continue }
            return eat(0x7D) ? .object(members) : nil
        }
    }

    private mutating func array(depth: Int) -> Dynamic? {
        position += 1
        var items: [Dynamic] = []
        skipBlanks()
        if eat(0x5D) { return .array([]) }
        while true {
            skipBlanks()
            guard let v = value(depth: depth + 1) else { return nil }
            items.append(v)
            skipBlanks()
            if eat(0x2C) { continue }
            return eat(0x5D) ? .array(items) : nil
        }
    }

    mutating func string() -> String? {
        position += 1
        let start = position
        while position < bytes.count, bytes[position] != 0x22, bytes[position] != 0x5C {
            if bytes[position] < 0x20 { return nil }
            position += 1
        }
        guard position < bytes.count else { return nil }
        if bytes[position] == 0x22 {
            let s = String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
            position += 1
            return s
        }
        var out = Array(bytes[start..<position])
        while position < bytes.count {
            let c = bytes[position]
            position += 1
            switch c {
            case 0x22: return String(decoding: out, as: UTF8.self)
            case 0x5C:
                guard position < bytes.count else { return nil }
                let e = bytes[position]
                position += 1
                switch e {
                case 0x22, 0x5C, 0x2F: out.append(e)
                case 0x62: out.append(8)
                case 0x66: out.append(12)
                case 0x6E: out.append(10)
                case 0x72: out.append(13)
                case 0x74: out.append(9)
                case 0x75:
                    guard var scalar = hex4() else { return nil }
                    if scalar >= 0xD800, scalar < 0xDC00 {
                        let mark = position
                        if eat(0x5C), eat(0x75), let low = hex4(), low >= 0xDC00, low < 0xE000 {
                            scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                        } else {
                            position = mark
                        }
                    }
                    let u = Unicode.Scalar(scalar) ?? "\u{FFFD}"
                    out.append(contentsOf: String(Character(u)).utf8)
                default: return nil
                }
            default:
                guard c >= 0x20 else { return nil }
                out.append(c)
            }
        }
        return nil
    }

    private mutating func hex4() -> UInt32? {
        guard position + 4 <= bytes.count else { return nil }
        var v: UInt32 = 0
        for i in 0..<4 {
            let c = bytes[position + i]
            switch c {
            case 0x30...0x39: v = v << 4 | UInt32(c - 0x30)
            case 0x41...0x46: v = v << 4 | UInt32(c - 0x37)
            case 0x61...0x66: v = v << 4 | UInt32(c - 0x57)
            default: return nil
            }
        }
        position += 4
        return v
    }

    private mutating func number() -> Dynamic? {
        let start = position
        var isReal = false
        _ = eat(0x2D)
        let first = position
        while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 { position += 1 }
        guard position > first, !(bytes[first] == 0x30 && position - first > 1) else { return nil }
        if eat(0x2E) {
            isReal = true
            let fraction = position
            while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 { position += 1 }
            guard position > fraction else { return nil }
        }
        if position < bytes.count, bytes[position] == 0x65 || bytes[position] == 0x45 {
            isReal = true
            position += 1
            if !eat(0x2B) { _ = eat(0x2D) }
            let digits = position
            while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 { position += 1 }
            guard position > digits else { return nil }
        }
        let text = String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
        if !isReal, let v = Int64(text) { return .long(v) }
        return Double(text).map(Dynamic.real)
    }
}
