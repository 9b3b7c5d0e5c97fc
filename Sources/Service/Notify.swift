import CKernels
import Glibc
import Synchronization

/// sd_notify: readiness, status and watchdog for systemd; silent elsewhere.
final class Notify: Sendable {
    private let socket: String?
    /// Microseconds within which systemd expects a sign of life.
    private let interval: Int64?
    private let lastBeat = Atomic<Int64>(.min)

    init(socket: String?, watchdog interval: Int64?) {
        self.socket = socket
        self.interval = interval
    }

    /// What systemd has put into the environment.
    convenience init() {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        let interval = variable("WATCHDOG_USEC").flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil }
        let isForUs = variable("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
        self.init(socket: variable("NOTIFY_SOCKET"), watchdog: isForUs ? interval : nil)
    }

    func send(_ message: String) {
        guard let socket else { return }
        _ = vk_sd_notify(socket, message)
    }

    /// Sends WATCHDOG=1 at a third of the interval that systemd asks for. `now`: monotonic, in ticks.
    func watchdog(_ now: Int64) {
        guard let interval else { return }
        let last = lastBeat.load(ordering: .relaxed)
        guard last == .min || (now - last) / 10 > interval / 3 else { return }
        lastBeat.store(now, ordering: .relaxed)
        send("WATCHDOG=1")
    }
}
