// Quoting is most of what an alert with its raw records costs, so it works on bytes.
//
// Invariant: the target has room for every source byte, `extra` more and two quotes; `extra` is the sum of what each escape adds, counted
// over the same bytes before, so no write goes past the end. Source bytes are valid UTF-8, and only whole ASCII bytes are replaced.

extension JSONText {
    /// Appends a string with its quotes; quotes, backslashes and control characters are escaped, nothing else is.
    public static func appendQuoted(_ s: String, to out: inout String) {
        var s = s
        let quoted = s.withUTF8 { source in
            var extra = 0
            for b in source where b < 0x20 || b == UInt8(ascii: "\"") || b == UInt8(ascii: "\\") { extra += shortEscape(b) == nil ? 5 : 1 }
            return String(unsafeUninitializedCapacity: source.count + extra + 2) { target in
                var n = 0
                func put(_ b: UInt8) {
                    target[n] = b
                    n += 1
                }
                put(UInt8(ascii: "\""))
                for b in source {
                    guard b < 0x20 || b == UInt8(ascii: "\"") || b == UInt8(ascii: "\\") else {
                        put(b)
                        continue
                    }
                    put(UInt8(ascii: "\\"))
                    if let letter = shortEscape(b) {
                        put(letter)
                    } else {
                        put(UInt8(ascii: "u"))
                        put(UInt8(ascii: "0"))
                        put(UInt8(ascii: "0"))
                        put(UInt8(ascii: "0") + b >> 4)
                        let low = b & 15
                        put(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
                    }
                }
                put(UInt8(ascii: "\""))
                return n
            }
        }
        out += quoted
    }

    /// The letter behind the backslash; nil for control characters that have none.
    private static func shortEscape(_ b: UInt8) -> UInt8? {
        switch b {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): b
        case UInt8(ascii: "\n"): UInt8(ascii: "n")
        case UInt8(ascii: "\r"): UInt8(ascii: "r")
        case UInt8(ascii: "\t"): UInt8(ascii: "t")
        case 0x08: UInt8(ascii: "b")
        case 0x0C: UInt8(ascii: "f")
        default: nil
        }
    }
}
