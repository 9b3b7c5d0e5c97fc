import CKernels
import KQL
import Synchronization

/// What each operator of an execution did: rows, batches and time. Kept only when ``ExecutorOptions/profile`` asks for it.
public final class ExecutionProfile: Sendable {
    public struct Figures: Sendable {
        /// Rows that the operator handed over.
        public var rows = 0
        public var batches = 0
        /// Nanoseconds of the operator and all below it, on all threads, without what was done with its rows.
        public var nanoseconds: UInt64 = 0
        /// How often it ran: more than once inside `mv-apply`, `partition` and on several threads.
        public var runs = 0
    }

    private struct State {
        var figures: [ObjectIdentifier: Figures] = [:]
        var roots: [Plan] = []
    }
    private let state = Mutex(State())

    public init() {}

    /// The plans that ran, rewritten as the executor saw them.
    public var roots: [Plan] { state.withLock { $0.roots } }

    /// The figures of a node of those plans; nil for one that ran as a part of the operator above it, or not at all.
    public func figures(_ plan: Plan) -> Figures? { state.withLock { $0.figures[ObjectIdentifier(plan)] } }

    func began(_ root: Plan) { state.withLock { $0.roots.append(root) } }

    func add(_ plan: Plan, _ more: Figures) {
        state.withLock { s in
            var f = s.figures[ObjectIdentifier(plan)] ?? Figures()
            f.rows += more.rows
            f.batches += more.batches
            f.nanoseconds &+= more.nanoseconds
            f.runs += 1
            s.figures[ObjectIdentifier(plan)] = f
        }
    }

    static var now: UInt64 { vk_monotonic_ns() }
}
