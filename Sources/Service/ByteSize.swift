/// Amounts of memory as people write them.
public enum ByteSize {
    private static let units: [String: Int] = [
        "": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20, "g": 1 << 30,
        "gb": 1 << 30, "gib": 1 << 30, "t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40,
    ]

    /// `4096`, `512k`, `512MiB`, `2 GB` (units of 1024); nil for anything else and for what is more than 2^62 bytes.
    public static func parse(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        guard let n = Int(digits), let factor = units[unit] else { return nil }
        let (bytes, overflow) = n.multipliedReportingOverflow(by: factor)
        return overflow || bytes > 1 << 62 ? nil : bytes
    }
}
