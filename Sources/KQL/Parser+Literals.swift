import Columnar

/// Values of literal tokens. Each function gets the token's bytes and answers nil (or a reason) where they have no value.
enum LiteralReader {
    typealias Bytes = ArraySlice<UInt8>

    static func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }

    static func trimmed(_ bytes: Bytes) -> Bytes {
        var b = bytes
        while let f = b.first, f == 0x20 || (f >= 0x09 && f <= 0x0D) { b.removeFirst() }
        while let l = b.last, l == 0x20 || (l >= 0x09 && l <= 0x0D) { b.removeLast() }
        return b
    }

    // MARK: Strings

    /// The content of a string token in any form, escapes resolved. Wrong escapes, which the lexer reports, stand for themselves.
    static func string(_ token: Bytes) -> String {
        var b = token
        if let f = b.first, f == 0x68 || f == 0x48 { b.removeFirst() }
        guard let first = b.first else { return "" }
        if first == 0x60 || first == 0x7E {
            b = b.dropFirst(3)
            if b.count >= 3, b.suffix(3).allSatisfy({ $0 == first }) { b = b.dropLast(3) }
            return text(b)
        }
        let verbatim = first == 0x40
        if verbatim { b.removeFirst() }
        guard let quote = b.first else { return "" }
        b.removeFirst()
        if let last = b.last, last == quote { b.removeLast() }
        return verbatim ? unverbatim(b, quote: quote) : unescaped(b)
    }

    private static func unverbatim(_ content: Bytes, quote: UInt8) -> String {
        guard content.contains(quote) else { return text(content) }
        var out: [UInt8] = []
        var skip = false
        for c in content {
            if skip, c == quote {
                skip = false
                continue
            }
            skip = c == quote
            out.append(c)
        }
        return text(out[...])
    }

    private static func unescaped(_ content: Bytes) -> String {
        guard content.contains(0x5C) else { return text(content) }
        var out: [UInt8] = []
        var b = content
        // A UTF-16 high surrogate that waits for its low half.
        var high: UInt32?
        func append(_ value: UInt32, to out: inout [UInt8]) {
            var v = value
            if let h = high {
                high = nil
                if v >= 0xDC00, v < 0xE000 {
                    v = 0x10000 + ((h - 0xD800) << 10) + (v - 0xDC00)
                } else {
                    out.append(contentsOf: "\u{FFFD}".utf8)
                }
            }
            if v >= 0xD800, v < 0xDC00 {
                high = v
            } else {
                out.append(contentsOf: String(Unicode.Scalar(v) ?? "\u{FFFD}").utf8)
            }
        }
        func flush(_ out: inout [UInt8]) {
            if high != nil { out.append(contentsOf: "\u{FFFD}".utf8) }
            high = nil
        }
        while let c = b.first {
            b.removeFirst()
            guard c == 0x5C, let e = b.first else {
                flush(&out)
                out.append(c)
                continue
            }
            b.removeFirst()
            switch e {
            case 0x75, 0x55, 0x78:
                let wanted = e == 0x75 ? 4 : e == 0x55 ? 8 : 2
                var value: UInt32 = 0
                var digits = 0
                while digits < wanted, let d = b.first.flatMap(Lexer.hexDigit) {
                    value = value << 4 | d
                    b.removeFirst()
                    digits += 1
                }
                append(digits == wanted ? value : 0xFFFD, to: &out)
                continue
            case 0x30...0x37:
                var value = UInt32(e - 0x30)
                var digits = 1
                while digits < (e <= 0x33 ? 3 : 2), let d = b.first, d >= 0x30, d <= 0x37 {
                    value = value << 3 | UInt32(d - 0x30)
                    b.removeFirst()
                    digits += 1
                }
                append(value, to: &out)
                continue
            default: flush(&out)
            }
            switch e {
            case 0x61: out.append(7)
            case 0x62: out.append(8)
            case 0x66: out.append(12)
            case 0x6E: out.append(10)
            case 0x72: out.append(13)
            case 0x74: out.append(9)
            case 0x76: out.append(11)
            case 0x5C, 0x22, 0x27: out.append(e)
            default: out.append(contentsOf: [0x5C, e])
            }
        }
        flush(&out)
        return text(out[...])
    }

    // MARK: Numbers

    /// Decimal or hexadecimal, `negative` for a minus that belongs to it.
    static func long(_ token: Bytes, negative: Bool = false) -> Int64? {
        if token.count > 2, token.first == 0x30, let x = token.dropFirst().first, x == 0x78 || x == 0x58 {
            guard let bits = UInt64(text(token.dropFirst(2)), radix: 16) else { return nil }
            let value = Int64(bitPattern: bits)
            return negative ? 0 &- value : value
        }
        return Int64((negative ? "-" : "") + text(token))
    }

    /// A real literal; `1.` and `.5` included.
    static func real(_ token: Bytes) -> Double? {
        var t = text(token)
        if t.hasPrefix(".") { t = "0" + t }
        if t.hasSuffix(".") { t += "0" }
        if let v = Double(t) { return v.isFinite ? v : nil }
        return Double(t.replacingFirst(".e", with: ".0e").replacingFirst(".E", with: ".0e"))
    }

    /// `1.5h`, `90minutes`; nil beyond the range of timespan.
    static func timespan(_ token: Bytes) -> Int64? {
        guard let unitStart = token.firstIndex(where: { !Lexer.isDigit($0) && $0 != 0x2E }) else { return nil }
        let unit = text(token[unitStart...])
        guard let ticks = Lexer.timespanUnits[unit] else { return nil }
        let number = text(token[..<unitStart])
        if ticks > 0, let whole = Int64(number) {
            let (value, overflow) = whole.multipliedReportingOverflow(by: ticks)
            return overflow ? nil : value
        }
        guard let v = real(token[..<unitStart]) else { return nil }
        let scaled = (ticks > 0 ? v * Double(ticks) : v / 100).rounded()
        return Int64(exactly: scaled)
    }

    // MARK: Typed literals

    enum Outcome {
        case value(Value)
        /// What is wrong, and how to mend it.
        case wrong(String, mend: String?)
    }

    /// The value of `name(content)`.
    static func typed(name: String, content: Bytes, depth: Int = 0) -> Outcome {
        guard let type = ScalarType(kqlName: name) else { return .wrong("`\(name)` is not a type", mend: nil) }
        let inner = trimmed(content)
        let raw = text(inner)
        if type == .dynamic {
            var reader = DynamicReader(inner, depth: depth)
            return reader.read()
        }
        if raw == "null" { return .value(.missing(type)) }
        // Quotes around the content are allowed: datetime('2024-01-01').
        let plain = inner.first == 0x22 || inner.first == 0x27 ? string(inner) : raw
        switch type {
        case .bool:
            switch plain.lowercased() {
            case "true": return .value(.bool(true))
            case "false": return .value(.bool(false))
            default:
                if let n = Int64(plain) { return .value(.bool(n != 0)) }
                return .wrong("`\(raw)` is not a bool", mend: "use `true`, `false` or `bool(null)`")
            }
        case .int:
            if let v = integer(plain), let small = Int32(exactly: v) { return .value(.int(small)) }
            return .wrong("`\(raw)` is not a 32-bit integer", mend: conversionMend(raw, "toint"))
        case .long:
            if let v = integer(plain) { return .value(.long(v)) }
            return .wrong("`\(raw)` is not a 64-bit integer", mend: conversionMend(raw, "tolong"))
        case .real:
            switch plain.lowercased() {
            case "nan": return .value(.real(.nan))
            case "inf", "+inf": return .value(.real(.infinity))
            case "-inf": return .value(.real(-.infinity))
            default:
                if let f = plain.utf8.first, Lexer.isDigit(f) || f == 0x2D || f == 0x2B || f == 0x2E, let v = signedReal(plain) {
                    return .value(.real(v))
                }
                return .wrong("`\(raw)` is not a real number", mend: conversionMend(raw, "toreal"))
            }
        case .decimal:
            if let v = Decimal128(text: plain) { return .value(.decimal(v)) }
            return .wrong("`\(raw)` is not a decimal number", mend: conversionMend(raw, "todecimal"))
        case .datetime:
            if let v = DateTimeText.parse(plain, isLiteral: true) { return .value(.datetime(v)) }
            return .wrong(
                "`\(raw)` is not a datetime", mend: conversionMend(raw, "todatetime") ?? "write it as `datetime(2024-03-31 14:30:00)`")
        case .timespan:
            if let v = timespanText(plain) { return .value(.timespan(v)) }
            return .wrong(
                "`\(raw)` is not a timespan", mend: conversionMend(raw, "totimespan") ?? "write it as `1d`, `90m` or `timespan(1.02:03:04)`"
            )
        case .guid:
            if let v = guid(plain) { return .value(.guid(v)) }
            return .wrong("`\(raw)` is not a guid", mend: conversionMend(raw, "toguid"))
        case .string, .dynamic:
            return .wrong("`\(name)` makes no literal", mend: nil)
        }
    }

    /// For content that looks like an expression: literals take none, but there is a function for it.
    private static func conversionMend(_ raw: String, _ function: String) -> String? {
        guard let f = raw.utf8.first, Lexer.startsWord(f) else { return nil }
        return "a typed literal takes no expression: to convert a value write `\(function)(\(raw))`"
    }

    private static func integer(_ text: String) -> Int64? {
        var b = Array(text.utf8)[...]
        let negative = b.first == 0x2D
        if negative || b.first == 0x2B { b.removeFirst() }
        guard let f = b.first, Lexer.isDigit(f) else { return nil }
        return long(b, negative: negative)
    }

    private static func signedReal(_ text: String) -> Double? {
        var b = Array(text.utf8)[...]
        let negative = b.first == 0x2D
        if negative || b.first == 0x2B { b.removeFirst() }
        guard let f = b.first, Lexer.isDigit(f) || f == 0x2E, let v = real(b) else { return nil }
        return negative ? -v : v
    }

    /// What may stand in `timespan(...)`: `1d`, `-2.5h`, `1.02:03:04`, `12:30`, a bare number of days.
    static func timespanText(_ text: String) -> Int64? {
        if let v = KustoTime.parseTimespan(text) { return v }
        var b = trimmed(Array(text.utf8)[...])
        let negative = b.first == 0x2D
        if negative { b.removeFirst() }
        let parts = b.split(whereSeparator: { $0 == 0x20 })
        // "1 day" beside "1day".
        guard let f = b.first, Lexer.isDigit(f), parts.count <= 2, let v = timespan(Array(parts.joined())[...]) else { return nil }
        return negative ? 0 &- v : v
    }

    /// 32 hexadecimal digits, with dashes in the usual places or without, braces allowed.
    static func guid(_ text: String) -> UInt128? {
        var b = Array(text.utf8)[...]
        if b.first == 0x7B, b.last == 0x7D { b = b.dropFirst().dropLast() }
        guard b.count == 36 || b.count == 32 else { return nil }
        var value: UInt128 = 0
        for (i, c) in b.enumerated() {
            if b.count == 36, i == 8 || i == 13 || i == 18 || i == 23 {
                guard c == 0x2D else { return nil }
                continue
            }
            guard let d = Lexer.hexDigit(c) else { return nil }
            value = value << 4 | UInt128(d)
        }
        return value
    }
}

extension String {
    fileprivate func replacingFirst(_ what: String, with other: String) -> String {
        guard let dot = utf8.firstIndex(of: 0x2E), self[dot...].hasPrefix(what) else { return self }
        return self[..<dot] + other + self[dot...].dropFirst(what.count)
    }
}
