import CKernels
import KQL
import Synchronization

/// What one execution may use. A limit that is reached is an ``EvaluationError`` that names it; no answer is ever cut short.
public struct EvaluationLimits: Sendable {
    /// The limits that a user can raise.
    public enum Name: String, Sendable, CaseIterable {
        case resultRows, heldRows, memoryBytes, seconds
    }

    /// Rows that any one operator may hold at a time (sort, join, summarize, range ...).
    public var heldRows: Int
    /// Rows of the result.
    public var resultRows: Int
    /// Memory that `summarize`, `join` and `sort` each hold, roughly, before they put rows aside in temporary files.
    public var heldBytes: Int
    /// Memory that may be used; nil: no limit. See ``countsProcess``.
    public var memoryBytes: Int?
    /// Whether ``memoryBytes`` is compared with the memory of the whole process (a hunt), or with what each operator holds (a rule).
    public var countsProcess = false
    /// Time that the execution may take; nil: no limit.
    public var seconds: Double?
    /// The folder of temporary files; nil: `TMPDIR`, or `/tmp`.
    public var temporaryFolder: String?
    /// The option or setting that raises a limit, for the error's text.
    public var settings: [Name: String] = [:]

    public init(
        heldRows: Int = 20_000_000, resultRows: Int = 5_000_000, heldBytes: Int = 1 << 30, temporaryFolder: String? = nil
    ) {
        self.heldRows = heldRows
        self.resultRows = resultRows
        self.heldBytes = heldBytes
        self.temporaryFolder = temporaryFolder
    }

    /// The error of a limit that is reached: what happened, the limit's name, and how it is raised.
    func reached(_ name: Name, _ what: String, at range: SourceRange? = nil) -> EvaluationError {
        EvaluationError(
            what + " (limit \(name.rawValue))" + (settings[name].map { "; raise it with \($0)" } ?? ""), at: range, isLimit: true)
    }

    /// Throws when an operator holds more rows than it may.
    func check(held: Int, by name: String) throws {
        if held > heldRows { throw reached(.heldRows, "\(name) holds more than \(heldRows) rows") }
    }

    /// Throws when an operator that cannot put its rows aside holds more memory than it may.
    func check(bytes: Int, by name: String) throws {
        guard !countsProcess, let memoryBytes, bytes > memoryBytes else { return }
        throw reached(.memoryBytes, "\(name) holds more than \(memoryBytes >> 20) MiB of memory")
    }
}

/// The clock and the memory of one execution.
public final class QueryWatch: Sendable {
    private let limits: EvaluationLimits
    /// Monotonic nanoseconds; nil: no end.
    private let deadline: UInt64?
    /// When the memory is looked at next: it costs more than the clock.
    private let nextLook: Atomic<UInt64>
    private let isCancelled: (@Sendable () -> Bool)?

    /// Time between two looks at the process's memory.
    private static let lookEvery: UInt64 = 5_000_000

    /// Starts now. Nil if neither time nor the memory of the process is limited and nobody can cancel.
    public init?(_ limits: EvaluationLimits, isCancelled: (@Sendable () -> Bool)? = nil) {
        guard limits.seconds != nil || (limits.countsProcess && limits.memoryBytes != nil) || isCancelled != nil else { return nil }
        self.isCancelled = isCancelled
        self.limits = limits
        let now = QueryWatch.now
        deadline = limits.seconds.map { now &+ UInt64(min(max($0, 0), 1e9) * 1e9) }
        nextLook = Atomic(now)
    }

    /// Throws when the time is over, the process has grown past its limit, or ``ExecutionCancelled`` when somebody wants no answer any
    /// more. Cheap: meant for every batch.
    public func check() throws {
        if isCancelled?() == true { throw ExecutionCancelled() }
        let now = QueryWatch.now
        if let deadline, now > deadline {
            let seconds = limits.seconds ?? 0
            let text = seconds == seconds.rounded() ? "\(Int64(seconds))" : "\(seconds)"
            throw limits.reached(.seconds, "the query takes longer than \(text) s")
        }
        guard limits.countsProcess, let most = limits.memoryBytes, now >= nextLook.load(ordering: .relaxed) else { return }
        nextLook.store(now &+ QueryWatch.lookEvery, ordering: .relaxed)
        if let used = ProcessMemory.resident, used > most {
            throw limits.reached(.memoryBytes, "the query needs more than \(most >> 20) MiB of memory")
        }
    }

    private static var now: UInt64 { vk_monotonic_ns() }
}

/// An execution was given up by whoever asked for it.
public struct ExecutionCancelled: Error, Sendable { public init() {} }
