import Glibc

/// Runs recursive work on a thread with a stack of its own.
///
/// Trees of queries are walked by recursion, and how deep they are is up to whoever writes the query. Limits bound the depth; this gives
/// the room that the limits promise, whatever stack the caller's thread has (2 MiB are usual where `ulimit -s` is unlimited).
public enum LargeStack {
    /// Runs `body` on a new thread and waits for it, or here if this thread was started so and has as much room left. The stack is
    /// reserved, not used: pages that are not touched cost nothing. Where the system gives no such thread, `body` runs here.
    public static func run<T>(bytes: Int, _ body: () throws -> T) throws -> T {
        if hasRoom(bytes) { return try body() }
        return try withoutActuallyEscaping(body) { body in
            let size = max(bytes, 1 << 20) + margin
            let job = Job(size, body)
            var attributes = pthread_attr_t()
            guard pthread_attr_init(&attributes) == 0 else { return try body() }
            defer { pthread_attr_destroy(&attributes) }
            var thread = pthread_t()
            let argument = Unmanaged.passRetained(job as AnyJob)
            guard pthread_attr_setstacksize(&attributes, size) == 0,
                pthread_create(
                    &thread, &attributes,
                    { pointer in
                        if let pointer { Unmanaged<AnyJob>.fromOpaque(pointer).takeRetainedValue().run() }
                        return nil
                    }, argument.toOpaque()) == 0
            else {
                argument.release()
                return try body()
            }
            pthread_join(thread, nil)
            // The thread has ended: nobody else sees the job, and its result is there.
            return try job.take()
        }
    }

    /// Added to what is asked for, so that work within work of the same size finds its room.
    private static let margin = 1 << 20

    /// The lowest address of this thread's stack, if ``run(bytes:_:)`` started it.
    private static let floor: pthread_key_t? = {
        var key = pthread_key_t()
        return pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    private static func hasRoom(_ bytes: Int) -> Bool {
        guard let floor, let lowest = pthread_getspecific(floor) else { return false }
        var here = 0
        return withUnsafePointer(to: &here) { UnsafeRawPointer($0) - UnsafeRawPointer(lowest) >= bytes }
    }

    /// Notes how far this thread's stack of `bytes` reaches down.
    private static func noteFloor(_ bytes: Int) {
        var here = 0
        guard let floor else { return }
        withUnsafePointer(to: &here) { _ = pthread_setspecific(floor, UnsafeRawPointer($0) - (bytes - margin / 2)) }
    }

    private class AnyJob { func run() {} }

    private final class Job<T>: AnyJob {
        private var body: (() throws -> T)?
        private var result: Result<T, any Error>?
        private let size: Int

        init(_ size: Int, _ body: @escaping () throws -> T) {
            self.size = size
            self.body = body
        }

        override func run() {
            guard let body else { return }
            noteFloor(size)
            result = Result(catching: body)
            // Not after this thread: the closure must not outlive the call.
            self.body = nil
        }

        func take() throws -> T {
            guard let result else { throw NoResult() }
            return try result.get()
        }
    }

    private struct NoResult: Error {}
}
