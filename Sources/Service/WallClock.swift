import Columnar
import Glibc

/// The machine's clock, in datetime ticks.
public enum WallClock {
    public static var now: Int64 {
        var t = timespec()
        clock_gettime(CLOCK_REALTIME, &t)
        return KustoTime.unixEpoch + Int64(t.tv_sec) * KustoTime.ticksPerSecond + Int64(t.tv_nsec) / 100
    }

    /// Monotonic, for intervals.
    public static var monotonic: Int64 {
        var t = timespec()
        clock_gettime(CLOCK_MONOTONIC, &t)
        return Int64(t.tv_sec) * KustoTime.ticksPerSecond + Int64(t.tv_nsec) / 100
    }
}
