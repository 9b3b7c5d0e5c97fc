import Columnar
import Ingest

/// Durations as people write them.
public enum Durations {
    /// `90s`, `5m`, `2h`, `30d`, `250ms`, or `hh:mm:ss`; in ticks. Nil for anything else, negative ones included.
    public static func parse(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit: Int64
        switch text.dropFirst(digits.count) {
        case "ms": unit = KustoTime.ticksPerMillisecond
        case "s": unit = KustoTime.ticksPerSecond
        case "m", "min": unit = KustoTime.ticksPerMinute
        case "h": unit = KustoTime.ticksPerHour
        case "d": unit = KustoTime.ticksPerDay
        default: return text.contains(":") ? KustoTime.parseTimespan(text).flatMap { $0 >= 0 ? $0 : nil } : nil
        }
        guard let n = Int64(digits) else { return nil }
        let (ticks, overflow) = n.multipliedReportingOverflow(by: unit)
        return overflow ? nil : ticks
    }

    /// `3d 4h`, `5m`, `12s`: the two largest units.
    public static func describe(_ ticks: Int64) -> String {
        var rest = max(0, ticks)
        var parts: [String] = []
        for (name, unit) in [
            ("d", KustoTime.ticksPerDay), ("h", KustoTime.ticksPerHour), ("m", KustoTime.ticksPerMinute), ("s", KustoTime.ticksPerSecond),
        ] {
            let n = rest / unit
            if n > 0 { parts.append("\(n)\(name)") }
            rest %= unit
        }
        return parts.isEmpty ? "0s" : parts.prefix(2).joined(separator: " ")
    }
}

/// Small text files, read whole.
public enum TextFile {
    /// Throws with the path and the reason; larger files than `limit` bytes are refused.
    public static func read(_ path: String, limit: Int) throws -> String {
        let input: FileInput
        do { input = try FileInput(path: path) } catch { throw ConfigurationError("\(error)") }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        var all: [UInt8] = []
        while true {
            let n: Int
            do { n = try bytes.withUnsafeMutableBytes { try input.read(into: $0) } } catch { throw ConfigurationError("\(error)") }
            if n == 0 { break }
            all += bytes.prefix(n)
            if all.count > limit { throw ConfigurationError("\(path): longer than \(limit) bytes") }
        }
        guard let text = String(validating: all, as: UTF8.self) else { throw ConfigurationError("\(path): not UTF-8") }
        return text
    }
}
