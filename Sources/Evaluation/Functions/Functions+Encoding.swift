import Columnar
import KQL

private let base64Digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

func base64Encode(_ bytes: [UInt8]) -> String {
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    var i = 0
    while i < bytes.count {
        let n = min(3, bytes.count - i)
        let v = UInt32(bytes[i]) << 16 | (n > 1 ? UInt32(bytes[i + 1]) << 8 : 0) | (n > 2 ? UInt32(bytes[i + 2]) : 0)
        out.append(base64Digits[Int(v >> 18)])
        out.append(base64Digits[Int(v >> 12 & 63)])
        out.append(n > 1 ? base64Digits[Int(v >> 6 & 63)] : 0x3D)
        out.append(n > 2 ? base64Digits[Int(v & 63)] : 0x3D)
        i += 3
    }
    return String(decoding: out, as: UTF8.self)
}

/// Strict: padded to fours, no other characters. Nil for anything else.
func base64Decode(_ text: String) -> [UInt8]? {
    let bytes = Array(trimmed(text).utf8)
    guard bytes.count % 4 == 0 else { return nil }
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count / 4 * 3)
    var v: UInt32 = 0
    var bits = 0
    for (i, c) in bytes.enumerated() {
        let d: UInt32
        switch c {
        case 0x41...0x5A: d = UInt32(c - 0x41)
        case 0x61...0x7A: d = UInt32(c - 0x61) + 26
        case 0x30...0x39: d = UInt32(c - 0x30) + 52
        case 0x2B: d = 62
        case 0x2F: d = 63
        case 0x3D:
            guard i >= bytes.count - 2, bytes[(i)...].allSatisfy({ $0 == 0x3D }) else { return nil }
            return out
        default: return nil
        }
        v = (v << 6 | d) & 0xFF_FFFF
        bits += 6
        if bits >= 8 {
            bits -= 8
            out.append(UInt8(truncatingIfNeeded: v >> UInt32(bits)))
        }
    }
    return out
}

/// The text of bytes that are UTF-8; nil if they are not.
private func validText(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self) }

private func urlEncode(_ s: String, plus: Bool) -> String {
    var out: [UInt8] = []
    let hex = Array("0123456789abcdef".utf8)
    for c in s.utf8 {
        switch c {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x21, 0x2A, 0x28, 0x29: out.append(c)
        case 0x20 where plus: out.append(0x2B)
        default: out += [0x25, hex[Int(c >> 4)], hex[Int(c & 15)]]
        }
    }
    return String(decoding: out, as: UTF8.self)
}

/// Percent escapes decoded; a malformed one stays as it is.
func urlDecode(_ s: String, plus: Bool = true) -> String {
    let bytes = Array(s.utf8)
    var out: [UInt8] = []
    var i = 0
    while i < bytes.count {
        if bytes[i] == 0x25, i + 2 < bytes.count, let h = hexDigit(bytes[i + 1]), let l = hexDigit(bytes[i + 2]) {
            out.append(h << 4 | l)
            i += 3
        } else {
            out.append(plus && bytes[i] == 0x2B ? 0x20 : bytes[i])
            i += 1
        }
    }
    return String(decoding: out, as: UTF8.self)
}

/// RFC 3492.
enum Punycode {
    private static func adapt(_ delta: Int, _ points: Int, first: Bool) -> Int {
        var d = first ? delta / 700 : delta / 2
        d += d / points
        var k = 0
        while d > 455 {
            d /= 35
            k += 36
        }
        return k + 36 * d / (d + 38)
    }

    static func decode(_ text: String) -> String? {
        let input = Array(text.utf8)
        guard input.allSatisfy({ $0 < 0x80 }), input.count < 1024 else { return nil }
        var output: [UInt32] = []
        var at = 0
        if let last = input.lastIndex(of: 0x2D) {
            output = input[..<last].map { UInt32($0) }
            at = last + 1
        }
        var n = 128, i = 0, bias = 72
        while at < input.count {
            let before = i
            var weight = 1
            var k = 36
            while true {
                guard at < input.count else { return nil }
                let digit: Int
                switch input[at] {
                case 0x30...0x39: digit = Int(input[at]) - 0x30 + 26
                case 0x41...0x5A: digit = Int(input[at]) - 0x41
                case 0x61...0x7A: digit = Int(input[at]) - 0x61
                default: return nil
                }
                at += 1
                i += digit * weight
                let t = min(max(k - bias, 1), 26)
                if digit < t { break }
                weight *= 36 - t
                guard weight < 1 << 40, i < 1 << 40 else { return nil }
                k += 36
            }
            bias = adapt(i - before, output.count + 1, first: before == 0)
            n += i / (output.count + 1)
            i %= output.count + 1
            guard n < 0x110000 else { return nil }
            output.insert(UInt32(n), at: i)
            i += 1
        }
        var view = String.UnicodeScalarView()
        for c in output {
            guard let u = Unicode.Scalar(c) else { return nil }
            view.append(u)
        }
        return String(view)
    }

    static func encode(_ text: String) -> String {
        let input = text.unicodeScalars.map { Int($0.value) }
        var output = input.filter { $0 < 128 }.map { UInt8($0) }
        let basic = output.count
        if basic > 0 { output.append(0x2D) }
        var n = 128, delta = 0, bias = 72, handled = basic
        while handled < input.count {
            let m = input.filter { $0 >= n }.min() ?? n
            delta += (m - n) * (handled + 1)
            n = m
            for c in input {
                if c < n { delta += 1 }
                if c == n {
                    var q = delta
                    var k = 36
                    while true {
                        let t = min(max(k - bias, 1), 26)
                        if q < t { break }
                        let d = t + (q - t) % (36 - t)
                        output.append(UInt8(d < 26 ? d + 0x61 : d - 26 + 0x30))
                        q = (q - t) / (36 - t)
                        k += 36
                    }
                    output.append(UInt8(q < 26 ? q + 0x61 : q - 26 + 0x30))
                    bias = adapt(delta, handled + 1, first: handled == basic)
                    delta = 0
                    handled += 1
                }
            }
            delta += 1
            n += 1
        }
        return String(decoding: output, as: UTF8.self)
    }
}

/// A guid's bytes in the order .NET stores them: the first three groups little-endian.
private func guidBytes(_ g: UInt128) -> [UInt8] {
    let b = (0..<16).map { UInt8(truncatingIfNeeded: g >> UInt128(120 - 8 * $0)) }
    return [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]] + b[8...]
}

extension Functions {
    static let encoding: [ScalarFunction] = [
        ScalarFunction(
            "base64_encode_tostring", "string:string", .type(.string), aliases: ["base64_encodestring"], "Base64 of the UTF-8 bytes.",
            "base64_encode_tostring(\"Kusto\") == \"S3VzdG8=\"", .strict { a in .string(base64Encode(Array(text(a, 0).utf8))) }),
        ScalarFunction(
            "base64_decode_tostring", "base64_string:string", .type(.string), aliases: ["base64_decodestring"],
            "The text that base64 stands for; empty if it is malformed or no UTF-8.", "base64_decode_tostring(\"S3VzdG8=\") == \"Kusto\"",
            .strict { a in .string(base64Decode(text(a, 0)).flatMap(validText) ?? "") }),
        ScalarFunction(
            "base64_decode_toarray", "base64_string:string", .type(.dynamic), "The bytes that base64 stands for, as an array of numbers.",
            "base64_decode_toarray(\"S3VzdG8=\")[0] == 75",
            .strict { a in optional(base64Decode(text(a, 0)), { .dynamic(.array($0.map { .long(Int64($0)) })) }, .dynamic) }),
        ScalarFunction(
            "base64_encode_fromarray", "base64_string_decoded_as_a_byte_array:dynamic", .type(.string), "Base64 of an array of bytes.",
            "base64_encode_fromarray(dynamic([75]))",
            .lenient { a in
                var bytes: [UInt8] = []
                for d in array(a, 0) ?? [] {
                    guard case .long(let v) = d, let b = UInt8(exactly: v) else { return .string("") }
                    bytes.append(b)
                }
                return .string(base64Encode(bytes))
            }),
        ScalarFunction(
            "base64_encode_fromguid", "guid:guid", .type(.string), "Base64 of a guid's bytes.",
            "base64_encode_fromguid(toguid(\"ae3133f2-6e22-49ae-b06a-16e6a9b212eb\")) == \"8jMxriJurkmwahbmqbIS6w==\"",
            .strict { a in
                if case .guid(let g) = a[0] { return .string(base64Encode(guidBytes(g))) }
                return .string("")
            }),
        ScalarFunction(
            "base64_decode_toguid", "base64_string:string", .type(.guid), "The guid whose bytes base64 stands for.",
            "base64_decode_toguid(\"8jMxriJurkmwahbmqbIS6w==\")",
            .strict { a in
                guard let b = base64Decode(text(a, 0)), b.count == 16 else { return .null(.guid) }
                return .guid(([b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]] + b[8...]).reduce(0) { $0 << 8 | UInt128($1) })
            }),
        ScalarFunction(
            "url_encode", "url:string", .type(.string), "Escaped for a URL; blanks become `+`.", "url_encode(\"a b\") == \"a+b\"",
            .strict { a in .string(urlEncode(text(a, 0), plus: true)) }),
        ScalarFunction(
            "url_encode_component", "url:string", .type(.string), "Escaped for a URL; blanks become `%20`.",
            "url_encode_component(\"a b\") == \"a%20b\"",
            .strict { a in .string(urlEncode(text(a, 0), plus: false)) }),
        ScalarFunction(
            "url_decode", "encoded_url:string", .type(.string), "Percent escapes of a URL decoded.", "url_decode(\"a%20b\") == \"a b\"",
            .strict { a in .string(urlDecode(text(a, 0))) }),
        ScalarFunction(
            "punycode_from_string", "input_string:string", .type(.string), "A text in punycode.",
            "punycode_from_string(\"académie-française\")",
            .strict { a in .string(Punycode.encode(text(a, 0))) }),
        ScalarFunction(
            "punycode_to_string", "input_string:string", .type(.string), "The text that punycode stands for.",
            "punycode_to_string(\"acadmie-franaise-npb1a\")",
            .strict { a in .string(Punycode.decode(text(a, 0)) ?? "") }),
        ScalarFunction(
            "punycode_domain_from_string", "encoded_string:string", .type(.string), "A domain name with its `xn--` labels decoded.",
            "punycode_domain_from_string(\"xn--Ge-mia.Bulg.edu\")",
            .strict { a in
                let labels = splitText(text(a, 0), ".").map { label in
                    label.lowercased().hasPrefix("xn--") ? Punycode.decode(String(label.dropFirst(4))) ?? label : label
                }
                return .string(labels.joined(separator: "."))
            }),
        ScalarFunction(
            "punycode_domain_to_string", "domain:string", .type(.string), "A domain name with its other labels in punycode.",
            "punycode_domain_to_string(\"Gáe.Bulg.edu\")",
            .strict { a in
                let labels = splitText(text(a, 0), ".").map { label in
                    label.utf8.allSatisfy { $0 < 0x80 } ? label : "xn--" + Punycode.encode(label)
                }
                return .string(labels.joined(separator: "."))
            }),
        ScalarFunction(
            "strcmp", "string1:string string2:string", .type(.long), "-1, 0 or 1 by the order of two texts.", "strcmp(\"a\", \"b\") == -1",
            .strict { a in .long(Int64(orderTexts(text(a, 0), text(a, 1)))) }),
    ]
}
