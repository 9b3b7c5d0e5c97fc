import Columnar

/// IPv4 and IPv6 addresses in text, with an optional `/prefix`.
enum IPAddress {
    /// An address and its prefix length (32 or 128 when none is written).
    struct V4: Equatable {
        var address: UInt32
        var prefix: Int
        var masked: UInt32 { address & mask(prefix) }
    }

    struct V6: Equatable {
        var address: UInt128
        var prefix: Int
        /// Written as, or with, dotted IPv4.
        var isV4: Bool
        var masked: UInt128 { prefix <= 0 ? 0 : address & (UInt128.max << UInt128(128 - min(prefix, 128))) }
    }

    static func mask(_ prefix: Int) -> UInt32 { prefix <= 0 ? 0 : UInt32.max << UInt32(32 - min(prefix, 32)) }

    /// Four decimal parts, each at most 255; blanks around are allowed.
    static func parseV4(_ text: String) -> V4? {
        let bytes = Array(trimmed(text).utf8)
        guard let (head, prefix) = split(bytes[...], most: 32) else { return nil }
        return quad(head).map { V4(address: $0, prefix: prefix ?? 32) }
    }

    private static func split(_ bytes: ArraySlice<UInt8>, most: Int) -> (ArraySlice<UInt8>, Int?)? {
        guard let slash = bytes.firstIndex(of: 0x2F) else { return (bytes, nil) }
        let digits = bytes[(slash + 1)...]
        guard !digits.isEmpty, digits.count <= 3, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        let n = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        return n <= most ? (bytes[..<slash], n) : nil
    }

    static func quad(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        var address: UInt32 = 0
        var parts = 0
        for part in bytes.split(separator: 0x2E, omittingEmptySubsequences: false) {
            guard !part.isEmpty, part.count <= 3, parts < 4 else { return nil }
            var v: UInt32 = 0
            for c in part {
                guard c >= 0x30, c <= 0x39 else { return nil }
                v = v * 10 + UInt32(c - 0x30)
            }
            guard v <= 255 else { return nil }
            address = address << 8 | v
            parts += 1
        }
        return parts == 4 ? address : nil
    }

    /// IPv6, or IPv4 as its mapped form; a prefix behind dotted text counts IPv4 bits.
    static func parseV6(_ text: String) -> V6? {
        let bytes = Array(trimmed(text).utf8)
        if !bytes.contains(0x3A) {
            guard let v4 = parseV4(text) else { return nil }
            return V6(address: UInt128(0xFFFF) << 32 | UInt128(v4.address), prefix: 96 + v4.prefix, isV4: true)
        }
        guard let (whole, prefix) = split(bytes[...], most: 128) else { return nil }
        // A zone (`%eth0`) does not take part.
        let head = whole.prefix { $0 != 0x25 }
        guard let (address, dotted) = groups(head) else { return nil }
        if dotted, let prefix {
            guard prefix <= 32 else { return V6(address: address, prefix: prefix, isV4: true) }
            return V6(address: address, prefix: 96 + prefix, isV4: true)
        }
        return V6(address: address, prefix: prefix ?? 128, isV4: dotted)
    }

    private static func groups(_ bytes: ArraySlice<UInt8>) -> (UInt128, Bool)? {
        var left: [UInt16] = []
        var right: [UInt16] = []
        var seenGap = false
        var dotted = false
        var rest = bytes
        if rest.starts(with: [0x3A, 0x3A]) {
            seenGap = true
            rest = rest.dropFirst(2)
        } else if rest.first == 0x3A {
            return nil
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != 0x3A }
            rest = rest.dropFirst(part.count)
            if part.contains(0x2E) {
                guard rest.isEmpty, let v4 = quad(part) else { return nil }
                dotted = true
                let pair = [UInt16(v4 >> 16), UInt16(v4 & 0xFFFF)]
                if seenGap { right += pair } else { left += pair }
                break
            }
            guard !part.isEmpty, part.count <= 4 else { return nil }
            var v: UInt16 = 0
            for c in part {
                guard let h = hexDigit(c) else { return nil }
                v = v << 4 | UInt16(h)
            }
            if seenGap { right.append(v) } else { left.append(v) }
            if rest.isEmpty { break }
            rest = rest.dropFirst()
            if rest.first == 0x3A {
                guard !seenGap else { return nil }
                seenGap = true
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        let count = left.count + right.count
        guard seenGap ? count < 8 : count == 8 else { return nil }
        var address: UInt128 = 0
        for g in left + Array(repeating: 0, count: 8 - count) + right { address = address << 16 | UInt128(g) }
        return (address, dotted)
    }

    static func print(_ v: UInt32) -> String { "\(v >> 24).\(v >> 16 & 255).\(v >> 8 & 255).\(v & 255)" }

    /// Eight full groups.
    static func print(_ v: UInt128) -> String {
        var out: [String] = []
        for i in 0..<8 {
            let g = String(UInt16(truncatingIfNeeded: v >> UInt128(112 - 16 * i)), radix: 16)
            out.append(String(repeating: "0", count: 4 - g.utf8.count) + g)
        }
        return out.joined(separator: ":")
    }

    /// The IPv4 addresses that stand in a text between characters that are neither letters nor digits.
    static func addresses(in text: String) -> [String] {
        let bytes = Array(text.utf8)
        var out: [String] = []
        func isWord(_ c: UInt8) -> Bool { (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5A) || (c >= 0x61 && c <= 0x7A) || c >= 0x80 }
        var at = 0
        while at < bytes.count {
            guard bytes[at] >= 0x30, bytes[at] <= 0x39, at == 0 || !isWord(bytes[at - 1]) else {
                at += 1
                continue
            }
            var end = at
            var dots = 0
            while end < bytes.count {
                if bytes[end] == 0x2E {
                    if dots == 3 { break }
                    dots += 1
                } else if bytes[end] < 0x30 || bytes[end] > 0x39 {
                    break
                }
                end += 1
            }
            if end == bytes.count || !isWord(bytes[end]), quad(bytes[at..<end]) != nil {
                out.append(String(decoding: bytes[at..<end], as: UTF8.self))
                at = end
            } else {
                while at < bytes.count, isWord(bytes[at]) { at += 1 }
            }
        }
        return out
    }
}
