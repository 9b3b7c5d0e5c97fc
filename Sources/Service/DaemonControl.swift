import Synchronization

/// What asks the daemon to stop or to reload: set from signal handlers (nothing here allocates or locks), read by the loop.
public final class DaemonControl: Sendable {
    private let stop = Atomic<Bool>(false)
    private let reload = Atomic<Bool>(false)
    public init() {}
    public func requestStop() { stop.store(true, ordering: .relaxed) }
    public func requestReload() { reload.store(true, ordering: .relaxed) }
    public var isStopping: Bool { stop.load(ordering: .relaxed) }
    func takeReload() -> Bool { reload.exchange(false, ordering: .relaxed) }
}

/// How a run ended.
public struct DaemonOutcome: Sendable {
    public let deadLetters: UInt64
    public let alerts: Int
}
