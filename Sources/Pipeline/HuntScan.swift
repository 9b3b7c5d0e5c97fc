import Columnar
import Dispatch
import Evaluation
import Ingest
import Synchronization
import Tables

/// Rows of one read that a portion of a file gave.
struct HuntRows: Sendable {
    /// Index into the reads of the scan.
    let read: Int
    let batch: Batch
}

/// What a file was, once read.
struct HuntFile: Sendable {
    var records = 0
    var bytes = 0
    var dead = 0
    /// Records that were taken apart, and the rows that were made of them, by number of the table.
    var takenApart = 0
    var made: [Int: Int] = [:]
    /// The newest record's time; 0: none has one.
    var newest: Int64 = 0
    /// Least and greatest time of the rows that were made; greatest below least: none.
    var least = Int64.max
    var greatest = Int64.min
    /// Tables of its records.
    var tables: Set<String> = []
    var problem: String?
    /// Read to its end, or to where it cannot be read further.
    var isComplete = false
}

/// Reads files on several threads and hands their rows over in the order of the files.
///
/// Threads take files in order; what they make waits in a queue a file. The file that is being handed over may add while less than
/// ``queuedBytes`` of it wait, the others while less than that of all files wait: memory is bounded, and nobody waits for ever.
final class HuntScan: Sendable {
    enum Portion: Sendable {
        case rows([HuntRows], consumed: Int)
        case end(HuntFile)
    }

    private struct State {
        var next = 0
        /// The file whose rows are handed over.
        var current = 0
        var queues: [Int: [Portion]] = [:]
        /// Bytes that wait, of each file and of all.
        var fileBytes: [Int: Int] = [:]
        var waitingBytes = 0
        var blocked = 0
        var failure: (file: Int, error: any Error)?
        var isStopped = false
    }

    static let queuedBytes = 64 << 20
    private let files: [HuntInput]
    private let state = Mutex(State())
    /// Signalled for every portion of the current file and every failure.
    private let news = DispatchSemaphore(value: 0)
    /// Signalled for threads that wait for room.
    private let room = DispatchSemaphore(value: 0)
    private let done = DispatchGroup()

    init(_ files: [HuntInput]) { self.files = files }

    /// Reads the files with `read`, which is called on threads with the file and what to do with each portion (false: stop). `take` gets
    /// the portions on this thread, file by file; it returns false to end the scan. Throws the first error of either.
    func run(
        threads: Int, read: @escaping @Sendable (_ file: HuntInput, _ portion: (Portion) throws -> Bool) throws -> Void,
        take: (_ file: Int, _ portion: Portion) throws -> Bool
    ) throws {
        let workers = min(threads, files.count)
        if workers <= 1 { return try runHere(read, take) }
        let queue = DispatchQueue(label: "vedette.hunt", attributes: .concurrent)
        for _ in 0..<workers { queue.async(group: done) { self.work(read) } }
        defer {
            stop()
            done.wait()
        }
        for file in files.indices {
            state.withLock { $0.current = file }
            releaseBlocked()
            var isOpen = true
            while isOpen {
                for portion in try portions(of: file) {
                    if case .end = portion { isOpen = false }
                    guard try take(file, portion) else { return }
                }
            }
        }
    }

    private func runHere(
        _ read: @escaping (_ file: HuntInput, _ portion: (Portion) throws -> Bool) throws -> Void,
        _ take: (Int, Portion) throws -> Bool
    ) throws {
        var goesOn = true
        for (i, file) in files.enumerated() where goesOn {
            try read(file) {
                goesOn = try take(i, $0) && goesOn
                return goesOn
            }
        }
    }

    // MARK: the taking side

    /// What waits of a file, at least one portion.
    private func portions(of file: Int) throws -> [Portion] {
        while true {
            let found = try state.withLock { s -> [Portion] in
                let waiting = s.queues.removeValue(forKey: file) ?? []
                // An error counts once all before it was handed over: what is thrown does not depend on threads.
                if waiting.isEmpty, let failure = s.failure, failure.file <= file { throw failure.error }
                s.waitingBytes -= s.fileBytes.removeValue(forKey: file) ?? 0
                return waiting
            }
            if !found.isEmpty {
                releaseBlocked()
                return found
            }
            news.wait()
        }
    }

    private func releaseBlocked() {
        let n = state.withLock { s -> Int in
            defer { s.blocked = 0 }
            return s.blocked
        }
        for _ in 0..<n { room.signal() }
    }

    private func stop() {
        state.withLock { $0.isStopped = true }
        releaseBlocked()
    }

    // MARK: the reading side

    private func work(_ read: (_ file: HuntInput, _ portion: (Portion) throws -> Bool) throws -> Void) {
        while true {
            let file = state.withLock { s -> Int? in
                guard !s.isStopped, s.failure == nil, s.next < files.count else { return nil }
                defer { s.next += 1 }
                return s.next
            }
            guard let file else { return }
            do { try read(files[file]) { add($0, file) } } catch {
                state.withLock { s in if (s.failure?.file ?? .max) > file { s.failure = (file, error) } }
                news.signal()
                return
            }
        }
    }

    /// Adds a portion of a file once there is room; false when the scan was ended.
    private func add(_ portion: Portion, _ file: Int) -> Bool {
        let bytes = HuntScan.bytes(portion)
        while true {
            enum Step { case added, wait, stopped }
            let step = state.withLock { s -> Step in
                if s.isStopped { return .stopped }
                // Others leave room for the current file, which is taken out as it comes.
                if (file == s.current ? s.fileBytes[file] ?? 0 : s.waitingBytes) > HuntScan.queuedBytes {
                    s.blocked += 1
                    return .wait
                }
                s.queues[file, default: []].append(portion)
                s.waitingBytes += bytes
                s.fileBytes[file, default: 0] += bytes
                return .added
            }
            switch step {
            case .added:
                news.signal()
                return true
            case .stopped: return false
            case .wait: room.wait()
            }
        }
    }

    private static func bytes(_ portion: Portion) -> Int {
        guard case .rows(let rows, _) = portion else { return 0 }
        return rows.reduce(0) { $0 + $1.batch.bytes }
    }
}
