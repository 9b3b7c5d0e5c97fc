import Glibc

/// Runs recursive work on a thread with a stack of its own.
///
/// Trees of queries are walked by recursion, and how deep they are is up to whoever writes the query. Limits bound the depth; this gives
/// the room that the limits promise, whatever stack the caller's thread has (2 MiB are usual where `ulimit -s` is unlimited).
public enum LargeStack {
    /// Runs `body` on a new thread and waits for it. The stack is reserved, not used: pages that are not touched cost nothing. Where the
    /// system gives no such thread, `body` runs here.
    public static func run<T>(bytes: Int, _ body: () throws -> T) throws -> T {
        try withoutActuallyEscaping(body) { body in
            let job = Job(body)
            var attributes = pthread_attr_t()
            guard pthread_attr_init(&attributes) == 0 else { return try body() }
            defer { pthread_attr_destroy(&attributes) }
            var thread = pthread_t()
            let argument = Unmanaged.passRetained(job as AnyJob)
            guard pthread_attr_setstacksize(&attributes, max(bytes, 1 << 20)) == 0,
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

    private class AnyJob { func run() {} }

    private final class Job<T>: AnyJob {
        private var body: (() throws -> T)?
        private var result: Result<T, any Error>?

        init(_ body: @escaping () throws -> T) { self.body = body }

        override func run() {
            guard let body else { return }
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
