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

/// The chunks of one stream in order. While the caller is busy with one, the next is inflated and framed on a spare core, if there is one.
///
/// Used by one thread. The reader and the chunk being read belong to the other thread from the start of a read until `done` is signalled.
final class ReadAhead {
    /// What a read gave, for the thread that waits for it.
    private final class Read: @unchecked Sendable {
        // Written before `done` is signalled, read after it was waited for.
        var outcome: Result<RecordReader.Outcome, any Error> = .success(.ended)
        let done = DispatchSemaphore(value: 0)
    }

    private let reader: RecordReader
    private let spare: SpareCores
    private var current: Chunk
    private var other: Chunk?
    private var pending: Read?

    /// `chunk` is used for reading; it must not be used by others until this object is gone.
    init(_ reader: RecordReader, chunk: Chunk, spare: SpareCores) {
        self.reader = reader
        self.spare = spare
        current = chunk
    }

    /// The next chunk, valid until the next call; nil at the end of the stream.
    func next() throws -> Chunk? {
        if let read = pending, let filled = other {
            pending = nil
            read.done.wait()
            guard try read.outcome.get() == .chunk else { return nil }
            other = current
            current = filled
        } else {
            guard try reader.next(into: current, final: true) == .chunk else { return nil }
        }
        if spare.take() { start() }
        return current
    }

    private func start() {
        let chunk = other ?? Chunk()
        other = chunk
        let read = Read()
        pending = read
        let work = Unchecked((reader: reader, chunk: chunk))
        DispatchQueue.global(qos: .userInitiated).async { [spare] in
            read.outcome = Result { try work.value.reader.next(into: work.value.chunk, final: true) }
            spare.give()
            read.done.signal()
        }
    }

    /// Waits for a read that is under way.
    func finish() {
        pending?.done.wait()
        pending = nil
    }
}
