import Columnar
import Glibc

// Hot file: every record's time passes here.
//
// Invariant: nothing is read outside `[p, p + n)`.

/// The forms of time that logs carry, to ticks.
enum TimeForms {
    /// The date of the last time read and its ticks: streams stay on one day for long.
    struct DayMemo {
        var date: (UInt64, UInt16) = (0, 0)
        var ticks: Int64 = -1
    }

    /// Text to ticks: ISO 8601 (any fraction, `Z`, offset or no zone = UTC), the same with `/` in the date, `M/d/yyyy h:mm[:ss] [AM|PM]`,
    /// `/Date(ms)/`, and numbers of the Unix epoch. Nil for anything else.
    @inline(__always)
    static func parse(_ p: UnsafePointer<UInt8>, _ n: Int, _ memo: inout DayMemo) -> Int64? {
        if n >= 19, n <= 33, let t = fast(p, n, &memo) { return t }
        return slow(p, n)
    }

    /// `yyyy-MM-ddTHH:mm:ss[.f…](Z|+00:00|nothing)`.
    @inline(__always)
    private static func fast(_ p: UnsafePointer<UInt8>, _ n: Int, _ memo: inout DayMemo) -> Int64? {
        let raw = UnsafeRawPointer(p)
        let date = (raw.loadUnaligned(as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        if date != memo.date {
            guard let day = KustoTime.parseISO(UnsafeRawBufferPointer(start: p, count: 10)) else { return nil }
            memo.date = date
            memo.ticks = day
        }
        @inline(__always) func two(_ at: Int) -> Int64 {
            let a = p[at] &- 0x30, b = p[at &+ 1] &- 0x30
            return a > 9 || b > 9 ? 1000 : Int64(a) &* 10 &+ Int64(b)
        }
        let h = two(11), m = two(14), s = two(17)
        guard p[10] == 0x54 || p[10] == 0x20, p[13] == 0x3A, p[16] == 0x3A, h < 24, m < 60, s < 60 else { return nil }
        var ticks = memo.ticks &+ ((h &* 60 &+ m) &* 60 &+ s) &* KustoTime.ticksPerSecond
        var i = 19
        if i < n, p[i] == 0x2E {
            i &+= 1
            let first = i
            var scale = KustoTime.ticksPerSecond
            while i < n {
                let d = p[i] &- 0x30
                if d > 9 { break }
                scale /= 10
                ticks &+= Int64(d) &* scale
                i &+= 1
            }
            if i == first { return nil }
        }
        if i == n || (i &+ 1 == n && (p[i] == 0x5A || p[i] == 0x7A)) { return ticks }
        if i &+ 6 == n, p[i] == 0x2B, p[i &+ 1] == 0x30, p[i &+ 2] == 0x30, p[i &+ 3] == 0x3A, p[i &+ 4] == 0x30, p[i &+ 5] == 0x30 {
            return ticks
        }
        return nil
    }

    /// A number of the Unix epoch, in seconds, milliseconds, microseconds or nanoseconds by its size. Nil when it is no time after 1970.
    static func epoch(_ v: Double) -> Int64? {
        guard v > 0, v < 1e19 else { return nil }
        let scale: Double = v < 1e11 ? 1e7 : v < 1e14 ? 1e4 : v < 1e17 ? 10 : 0.01
        let ticks = (v * scale).rounded()
        guard ticks >= 0, ticks < 3e18 else { return nil }
        let t = KustoTime.unixEpoch &+ Int64(ticks)
        return t <= KustoTime.maximum ? t : nil
    }

    /// Like ``epoch(_:)-(Double)``, exact.
    static func epoch(_ v: Int64) -> Int64? {
        guard v > 0 else { return nil }
        let ticks: Int64
        if v < 100_000_000_000 {
            ticks = v &* 10_000_000
        } else if v < 100_000_000_000_000 {
            ticks = v &* 10_000
        } else if v < 100_000_000_000_000_000 {
            ticks = v &* 10
        } else {
            ticks = v / 100
        }
        let t = KustoTime.unixEpoch &+ ticks
        return t <= KustoTime.maximum ? t : nil
    }

    private static func slow(_ p: UnsafePointer<UInt8>, _ n: Int) -> Int64? {
        var bytes = UnsafeRawBufferPointer(start: p, count: n)
        while let c = bytes.first, c == 0x20 { bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst()) }
        while let c = bytes.last, c == 0x20 { bytes = UnsafeRawBufferPointer(rebasing: bytes.dropLast()) }
        guard bytes.count >= 8, bytes.count <= 64 else { return nil }
        if let t = KustoTime.parseISO(bytes) { return t }
        let text = String(decoding: bytes, as: UTF8.self)
        if text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2E }) {
            guard text.utf8.count >= 9 else { return nil }
            return Int64(text).map { epoch($0) } ?? Double(text).flatMap { epoch($0) }
        }
        if text.hasPrefix("/Date("), text.hasSuffix(")/") {
            let digits = text.dropFirst(6).dropLast(2).prefix { $0 != "+" }
            guard let ms = Int64(digits), ms.magnitude < 100_000_000_000_000 else { return nil }
            return KustoTime.unixEpoch + ms * KustoTime.ticksPerMillisecond
        }
        guard text.contains("/") else { return nil }
        if bytes[4] == 0x2F { return KustoTime.parseISO(String(text.map { $0 == "/" ? "-" : $0 })) }
        return american(text)
    }

    /// `M/d/yyyy h:mm[:ss] [AM|PM]`, the form that .NET services print in the default culture.
    private static func american(_ text: String) -> Int64? {
        let parts = text.split(separator: " ")
        guard parts.count == 2 || parts.count == 3 else { return nil }
        let date = parts[0].split(separator: "/").map { Int($0) }
        let clock = parts[1].split(separator: ":").map { Int($0) }
        guard date.count == 3, clock.count == 2 || clock.count == 3, let month = date[0], let day = date[1], let year = date[2],
            var hour = clock[0], let minute = clock[1], let second = clock.count == 3 ? clock[2] : 0
        else { return nil }
        if parts.count == 3 {
            guard (1...12).contains(hour) else { return nil }
            switch parts[2].lowercased() {
            case "am": hour = hour == 12 ? 0 : hour
            case "pm": hour = hour == 12 ? 12 : hour + 12
            default: return nil
            }
        }
        return KustoTime.ticks(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }
}
