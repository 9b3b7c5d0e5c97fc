import Glibc
import Synchronization

/// Ctrl-C of a hunt: the first asks for what is known so far, the second ends.
enum Interrupt {
    private static let presses = Atomic<Int>(0)
    /// At a prompt the second press gives up the query only.
    private static let staysAlive = Atomic<Bool>(false)
    /// A query runs.
    private static let isArmed = Atomic<Bool>(false)

    /// The thread that waits at the prompt; 0 without one. Signals may come to any thread, and only this one's reading is to be interrupted.
    private static let reader = Atomic<UInt>(0)

    static let exitCode: Int32 = 130

    static func install(staysAlive alive: Bool = false) {
        staysAlive.store(alive, ordering: .relaxed)
        presses.store(0, ordering: .relaxed)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in Interrupt.pressed() }
        // Without SA_RESTART: a prompt that waits for input must notice.
        sigaction(SIGINT, &action, nil)
        if alive { reader.store(UInt(pthread_self()), ordering: .relaxed) }
    }

    /// A query begins (its presses count from here) or has ended.
    static func arm(_ armed: Bool) {
        presses.store(0, ordering: .relaxed)
        isArmed.store(armed, ordering: .relaxed)
    }

    /// Sends a signal on to the thread at the prompt; false if it is there.
    private static func handsOn(_ signal: Int32) -> Bool {
        let thread = reader.load(ordering: .relaxed)
        guard thread != 0, thread != UInt(pthread_self()) else { return false }
        return pthread_kill(pthread_t(thread), signal) == 0
    }

    /// Only what a signal handler may do: atomics and system calls.
    private static func pressed() {
        if handsOn(SIGINT) { return }
        let n = presses.add(1, ordering: .relaxed).newValue
        guard isArmed.load(ordering: .relaxed) else {
            // A reading prompt notices by itself.
            if !staysAlive.load(ordering: .relaxed) { _exit(exitCode) }
            return
        }
        if n == 1 {
            let text: StaticString = "\nvedette: stopping: what is known so far follows; Ctrl-C again ends at once\n"
            _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
        } else if !staysAlive.load(ordering: .relaxed) {
            _exit(exitCode)
        }
    }

    /// What was read is to be made the most of.
    static var wantsPartial: Bool { presses.load(ordering: .relaxed) > 0 }
    /// Nothing is wanted any more.
    static var wantsEnd: Bool { presses.load(ordering: .relaxed) > 1 }
    /// A press since the last query, while waiting for input.
    static func takePress() -> Bool { presses.exchange(0, ordering: .relaxed) > 0 }
}
