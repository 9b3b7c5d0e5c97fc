import CKernels
import Glibc

/// Follows files: new ones, growing ones, rotated ones. One thread at a time.
///
/// The caller loops: ``scan()`` (when ``wantsScan`` says so), read every stream to its end with ``TailedStream/next(into:)``,
/// ``removeFinished()``, ``wait(milliseconds:)``. Positions are saved with ``checkpoint()``.
public final class TailSet {
    public enum StartAt: String, Sendable, CaseIterable { case end, beginning }

    /// How long things are given to settle, in nanoseconds.
    struct Patience {
        /// A file that is gone may still be written to by whoever has it open.
        var vanished: UInt64 = 5_000_000_000
        /// A file that agrees with the beginning of a known one may be a copy in the making.
        var copy: UInt64 = 10_000_000_000
        /// A file that waits is looked into again.
        var again: UInt64 = 1_000_000_000
        /// Names are looked for again, even if no change was notified.
        var scan: UInt64 = 1_000_000_000
    }

    /// A file that is not opened yet because it may be a copy of another.
    struct Waiting {
        var size: UInt64
        var modified: Int64
        var since: UInt64
        var looked: UInt64
        var epoch: UInt64
    }

    let limits: IngestLimits
    let startAt: StartAt
    let log: (TailEvent) -> Void
    private let specs: [TailSpec]
    private let watch = DirectoryWatch()
    var clock: () -> UInt64 = { vk_monotonic_ns() }
    var patience = Patience()
    /// Files open at a time; others wait until some are read to their end and parked.
    var maximumOpen = 512

    public internal(set) var streams: [TailedStream] = []
    var known: [FileKey: TailedStream] = [:]
    var memory = TailMemory()
    var waiting: [FileKey: Waiting] = [:]
    private var families: [String: [TailedStream]] = [:]
    /// Streams that are remembered but not taken out yet: nothing takes their identities over until then.
    private(set) var retired: Set<String> = []
    private var complained: Set<String> = []
    /// Files of the first scan that could not be opened then: they start as those did.
    var initial: Set<FileKey> = []
    var isFirstScan = true
    /// There was saved state: files seen for the first time now appeared while the daemon was down, and are read from the beginning.
    let hasHistory: Bool
    /// Counts scans, and changes to the set of streams.
    var generation: UInt64 = 1
    var epoch: UInt64 = 0
    private var lastScan: UInt64 = 0
    /// Files wait for others to be closed.
    var hasBacklog = false

    /// How many streams whose files are gone are remembered, so that a copy of one is not read again.
    public var remembered: Int {
        get { memory.capacity }
        set { memory.capacity = max(0, newValue) }
    }

    /// `saved`: the streams of the last run. `hasHistory`: there was a last run, even if it saw no stream (default: if any was saved).
    public init(
        specs: [TailSpec], startAt: StartAt, limits: IngestLimits, saved: [SavedStream], hasHistory: Bool? = nil,
        log: @escaping (TailEvent) -> Void
    ) {
        self.specs = specs
        self.startAt = startAt
        self.limits = limits
        self.log = log
        self.hasHistory = hasHistory ?? !saved.isEmpty
        for s in saved { memory.add(s, bound: true) }
    }

    /// Streams that are not open: copies of them are not read again.
    public var ancestors: [SavedStream] { memory.entries.values.map(\.saved) }

    /// Waits for a change, at most `milliseconds`. True if there is something to look at.
    public func wait(milliseconds: Int32) -> Bool {
        watch.wait(milliseconds: hasBacklog ? min(milliseconds, 20) : milliseconds) || hasBacklog
    }

    /// Names changed, files wait to be opened, or the last scan is a second ago.
    public var wantsScan: Bool { hasBacklog || watch.hasNewNames || clock() &- lastScan >= patience.scan }

    /// Looks for new, renamed, truncated and vanished files.
    public func scan() {
        generation += 1
        lastScan = clock()
        watch.noteScan()
        hasBacklog = false
        var met: Set<FileKey> = []
        for spec in specs {
            let (files, problems) = InputPaths.list([spec.pattern])
            for p in problems where complained.insert(p.path).inserted {
                log(p.isEmpty && p.path == spec.pattern ? .noMatch(pattern: p.path) : .unreadable(path: p.path, reason: p.reason))
            }
            if !files.isEmpty { complained.remove(spec.pattern) }
            watchFolders(of: spec.pattern)
            var folder = ""
            for f in files where f.isRegular && met.insert(f.identity).inserted {
                let its = TailSet.folder(of: f.path)
                if its != folder {
                    folder = its
                    watch.watch(folder)
                }
                visit(f, spec)
            }
        }
        for s in streams where !s.isFinished {
            if met.contains(s.key) { s.vanished = nil } else { miss(s) }
        }
        if waiting.contains(where: { !met.contains($0.key) }) { waiting = waiting.filter { met.contains($0.key) } }
        memory.trim(scan: generation)
        isFirstScan = false
    }

    /// A file is gone. Its descriptor is kept until nobody seems to write to it any more.
    private func miss(_ s: TailedStream) {
        if s.isReplaced {
            end(s)
            return
        }
        let size = s.input.size
        guard let vanished = s.vanished, vanished.size == size else {
            s.vanished = (lastScan, size)
            if patience.vanished == 0 { s.isClosing = true }
            return
        }
        if lastScan &- vanished.at >= patience.vanished { s.isClosing = true }
    }

    private func visit(_ f: InputFile, _ spec: TailSpec) {
        if let s = known[f.identity], !s.isFinished {
            if s.isReplaced || f.size < s.reader.readOffset {
                // Cut in place: what was read is gone (or copied elsewhere), the file begins anew.
                log(.truncated(path: f.path))
                end(s)
                return discover(f, spec)
            }
            s.size = f.size
            s.modified = f.modified
            if s.path != f.path {
                log(.rotated(from: s.path, to: f.path))
                rename(s, f.path)
            }
            s.isClosing = false
            return
        }
        if known[f.identity] != nil { return }
        if let e = memory.entry(of: f.identity) {
            e.seen = generation
            if let parked = e.parked, parked == (f.size, f.modified) {
                if e.saved.path != f.path { move(e, f) }
                return
            }
            if resume(f, e, spec) { return }
        }
        discover(f, spec)
    }

    /// A parked file was renamed.
    private func move(_ e: TailMemory.Entry, _ f: InputFile) {
        log(.rotated(from: e.saved.path, to: f.path))
        let s = e.saved
        let parked = e.parked
        let moved = memory.add(
            SavedStream(
                id: s.id, path: f.path, device: s.device, inode: s.inode, resume: s.resume, isFinished: s.isFinished, headHash: s.headHash,
                headLength: s.headLength, deadLetters: s.deadLetters, watermark: s.watermark, lastTime: s.lastTime), bound: true)
        moved.parked = parked
        moved.seen = generation
        moves[s.id] = moved.saved
    }

    /// Parked streams that changed since the last checkpoint.
    private var moves: [String: SavedStream] = [:]

    // MARK: Streams

    func add(_ s: TailedStream, _ f: InputFile) {
        s.size = f.size
        s.modified = f.modified
        streams.append(s)
        known[s.key] = s
        families[TailSet.family(s.path), default: []].append(s)
        waiting[f.identity] = nil
        epoch += 1
    }

    func family(_ name: String) -> [TailedStream] { families[name] ?? [] }

    private func rename(_ s: TailedStream, _ path: String) {
        leaveFamily(s)
        s.path = path
        families[TailSet.family(path), default: []].append(s)
    }

    private func leaveFamily(_ s: TailedStream) {
        let name = TailSet.family(s.path)
        families[name]?.removeAll { $0 === s }
        if families[name]?.isEmpty == true { families[name] = nil }
    }

    /// Remembers a stream that is not to be read any more; ``removeFinished()`` takes it out. `bound`: its file still holds its data.
    @discardableResult
    private func retire(_ s: TailedStream, bound: Bool) -> TailMemory.Entry {
        let e = memory.add(TailSet.saved(s), bound: bound)
        e.seen = generation
        moves[s.id] = e.saved
        leaveFamily(s)
        if known[s.key] === s { known[s.key] = nil }
        retired.insert(s.id)
        epoch += 1
        return e
    }

    /// Ends a stream whose file was cut or replaced.
    private func end(_ s: TailedStream) {
        s.isClosing = true
        s.isFinished = true
        retire(s, bound: false)
    }

    /// Many files are open, nothing happens in this one, and all of it was read.
    private func canPark(_ s: TailedStream) -> Bool {
        (streams.count > maximumOpen * 3 / 4 || hasBacklog) && s.vanished == nil && !s.isReplaced && s.reader.isIdle
            && s.reader.readOffset == s.size
    }

    /// Takes streams out of the set that have ended, and, when many files are open, those in which nothing happens (`isFinished` is false;
    /// they come back under the same identity once there is more). Their positions are to be saved with what was read of them.
    public func removeFinished() -> [TailedStream] {
        var gone: [TailedStream] = []
        var left: [TailedStream] = []
        for s in streams {
            let isParking = !s.isFinished && canPark(s)
            guard s.isFinished || isParking else {
                left.append(s)
                continue
            }
            gone.append(s)
            if retired.contains(s.id) { continue }
            if s.isFinished { log(.finished(path: s.path)) }
            // A damaged one may still stand there; it is not read again unless it changes.
            retire(s, bound: true).parked = s.vanished == nil ? (s.size, s.modified) : nil
        }
        streams = left
        retired = []
        return gone
    }

    // MARK: Saving

    public static func saved(_ s: TailedStream) -> SavedStream {
        SavedStream(
            id: s.id, path: s.path, device: s.input.device, inode: s.input.inode, resume: s.reader.resumePoint(), isFinished: s.isFinished,
            headHash: s.reader.headHash, headLength: s.reader.headLength, deadLetters: s.deadLetters, watermark: s.watermark,
            lastTime: s.lastTime)
    }

    /// What changed since the last call: streams to save, and identities to delete. To be asked when all that was read is processed.
    public func checkpoint() -> (changed: [SavedStream], forgotten: [String]) {
        var changed: [SavedStream] = []
        for s in streams where s.checkpointed != s.mark {
            changed.append(TailSet.saved(s))
            s.checkpointed = s.mark
            moves[s.id] = nil
        }
        changed += moves.values.sorted { $0.id < $1.id }
        moves = [:]
        let forgotten = memory.forgotten.sorted()
        memory.forgotten = []
        return (changed, forgotten)
    }

    // MARK: Names

    func openInput(_ path: String) -> FileInput? {
        do {
            let input = try FileInput(path: path)
            complained.remove(path)
            return input
        } catch {
            complain(path, "\(error)")
            return nil
        }
    }

    func complain(_ path: String, _ reason: String) {
        if complained.insert(path).inserted { log(.unreadable(path: path, reason: reason)) }
    }

    static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private func watchFolders(of pattern: String) {
        var s = stat()
        if stat(pattern, &s) == 0, s.st_mode & S_IFMT == S_IFDIR { return watch.watch(pattern) }
        var root = pattern
        while InputPaths.isPattern(root) { root = TailSet.folder(of: root) }
        watch.watch(root == pattern ? TailSet.folder(of: root) : root)
    }

    static func newID() -> String {
        var g = SystemRandomNumberGenerator()
        return String(g.next(), radix: 16) + String(g.next(), radix: 16)
    }

    /// Folder and name without what rotation adds: numbers, dates, `old`, compression suffixes.
    static func family(_ path: String) -> String {
        var parts = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        while parts.count > 1, let last = parts.last,
            last == "gz" || last == "zst" || last == "old"
                || (!last.isEmpty && last.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F })
        {
            parts.removeLast()
        }
        var name = parts.joined(separator: ".")
        // `x.log-20260302`
        while let dash = name.lastIndex(of: "-"), name[name.index(after: dash)...].count >= 6,
            name[name.index(after: dash)...].allSatisfy({ $0.isNumber })
        {
            name = String(name[..<dash])
        }
        return name
    }
}
