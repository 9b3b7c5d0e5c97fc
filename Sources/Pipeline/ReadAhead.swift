import Dispatch
import Ingest
import Synchronization

/// Cores that have no stream of their own: a worker may have its next chunk read by one of them.
final class SpareCores: Sendable {
    private let count: Atomic<Int>

    init(_ count: Int) { self.count = Atomic(max(0, count)) }

    func give() { count.add(1, ordering: .releasing) }

    func take() -> Bool {
        var n = count.load(ordering: .acquiring)
        while n > 0 {
            let (exchanged, now) = count.compareExchange(expected: n, desired: n - 1, ordering: .acquiringAndReleasing)
            if exchanged { return true }
            n = now
        }
        return false
    }
}

/// The chunks of one stream in order. While the caller is busy with one, the next ones are inflated and framed on a spare core, if there is
/// one: a few, so that neither side has to wake the other for each chunk.
///
/// Used by one thread. The reader belongs to the other thread while `State.isReading` is set.
final class ReadAhead {
    /// What both threads know; under the mutex. A chunk is in one place only: `free`, `filled`, or in a thread's hands.
    private struct State: @unchecked Sendable {
        var free: [Chunk]
        var filled: [Chunk] = []
        /// What ended the stream, behind the chunks that are filled.
        var end: Result<Void, any Error>?
        var isReading = false
        var isStopped = false
        /// Chunks that there are.
        var made = 1
    }

    private final class Shared: Sendable {
        let state: Mutex<State>
        /// Signalled for each chunk that the other thread filled, for the end, and when it stops.
        let moved = DispatchSemaphore(value: 0)

        init(_ chunk: Chunk) { state = Mutex(State(free: [chunk])) }
    }

    /// Chunks that may be filled at a time, beside the caller's.
    private static let depth = 3

    private let reader: RecordReader
    private let spare: SpareCores
    private let shared: Shared
    private var current: Chunk?

    /// `chunk` is used for reading; it must not be used by others until this object is gone.
    init(_ reader: RecordReader, chunk: Chunk, spare: SpareCores) {
        self.reader = reader
        self.spare = spare
        shared = Shared(chunk)
    }

    private enum Step {
        case filled(Chunk)
        case read(Chunk)
        case wait
        case end(Result<Void, any Error>)
    }

    /// The next chunk, valid until the next call; nil at the end of the stream.
    func next() throws -> Chunk? {
        let back = Unchecked(current)
        current = nil
        shared.state.withLock { s in if let chunk = back.value { s.free.append(chunk) } }
        while true {
            let step = shared.state.withLock { s -> Unchecked<Step> in
                if !s.filled.isEmpty { return Unchecked(.filled(s.filled.removeFirst())) }
                if s.isReading { return Unchecked(.wait) }
                if let end = s.end { return Unchecked(.end(end)) }
                if let chunk = s.free.popLast() { return Unchecked(.read(chunk)) }
                s.made += 1
                return Unchecked(.read(Chunk()))
            }
            switch step.value {
            case .wait: shared.moved.wait()
            case .end(let end):
                try end.get()
                return nil
            case .filled(let chunk):
                current = chunk
                readAhead()
                return chunk
            case .read(let chunk):
                current = chunk
                guard try reader.next(into: chunk, final: true) == .chunk else {
                    shared.state.withLock { $0.end = .success(()) }
                    return nil
                }
                readAhead()
                return chunk
            }
        }
    }

    /// Has chunks read where few are left and a core is free.
    private func readAhead() {
        let isWanted = shared.state.withLock { !$0.isReading && $0.end == nil && $0.filled.count < 2 }
        guard isWanted, spare.take() else { return }
        shared.state.withLock { $0.isReading = true }
        let reader = Unchecked(reader)
        DispatchQueue.global(qos: .userInitiated).async { [shared, spare] in
            while let chunk = ReadAhead.place(shared) {
                let outcome = Unchecked(Result { try reader.value.next(into: chunk.value, final: true) })
                shared.state.withLock { s in
                    switch outcome.value {
                    case .success(.chunk): s.filled.append(chunk.value)
                    case .success: s.end = .success(())
                    case .failure(let error): s.end = .failure(error)
                    }
                }
                shared.moved.signal()
            }
            spare.give()
            shared.state.withLock { $0.isReading = false }
            shared.moved.signal()
        }
    }

    /// A chunk to be filled; nil if reading is to stop.
    private static func place(_ shared: Shared) -> Unchecked<Chunk>? {
        let (free, isMissing) = shared.state.withLock { s -> (Unchecked<Chunk>?, Bool) in
            if s.isStopped || s.end != nil { return (nil, false) }
            if let chunk = s.free.popLast() { return (Unchecked(chunk), false) }
            guard s.made <= ReadAhead.depth else { return (nil, false) }
            s.made += 1
            return (nil, true)
        }
        return isMissing ? Unchecked(Chunk()) : free
    }

    /// Waits for a read that is under way.
    func finish() {
        shared.state.withLock { $0.isStopped = true }
        while shared.state.withLock({ $0.isReading }) { shared.moved.wait() }
    }
}
