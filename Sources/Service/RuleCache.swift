import CKernels
import Columnar
import Glibc
import KQL
import Matcher
import Rules
import Synchronization
import Tables

/// Keeps compiled rules and literals from run to run, so that a start reads them instead of compiling them anew.
///
/// A folder of files that can be deleted at any time. What was compiled is found again by the content of the rule's file (which is not read
/// where the file system vouches that it has not changed), and only by the same program over the same tables, saved functions and watchlists.
/// A file that is damaged, cut short, written by somebody else or writable by others is not used. Rules whose plans hold data from elsewhere
/// (watchlists, `externaldata`) are always compiled.
public final class RuleCache: LiteralStore {
    /// Bytes of one file that is read.
    static let maximumBytes = 512 << 20
    /// Files beyond this number are deleted, those unused for longest first.
    static let mostFiles = 64

    public let folder: String
    /// Told what is not used and why.
    private let note: @Sendable (String) -> Void
    private let counts = Mutex((found: 0, compiled: 0))

    private let makesParents: Bool

    /// `note` gets a line for each file that is not used or cannot be written. `makesParents`: folders above are made where they are
    /// missing.
    public init(folder: String, makesParents: Bool = true, note: @escaping @Sendable (String) -> Void = { _ in }) {
        self.folder = folder
        self.makesParents = makesParents
        self.note = note
    }

    /// The folder that the user's settings name: `$XDG_CACHE_HOME/vedette`, or `~/.cache/vedette`; nil without a home.
    public static var userFolder: String? {
        func variable(_ name: String) -> String? {
            guard let value = getenv(name) else { return nil }
            let text = String(cString: value)
            return text.hasPrefix("/") ? text : nil
        }
        return variable("XDG_CACHE_HOME").map { $0 + "/vedette" } ?? variable("HOME").map { $0 + "/.cache/vedette" }
    }

    /// The cache of a daemon, in its state directory, which is made like the daemon makes it.
    public static func daemon(stateDirectory: String, note: @escaping @Sendable (String) -> Void) -> RuleCache {
        mkdir(stateDirectory, 0o750)
        return RuleCache(folder: stateDirectory + "/cache", makesParents: false, note: note)
    }

    /// Rule files found in the cache and compiled anew, since this was made.
    public var figures: (found: Int, compiled: Int) { counts.withLock { $0 } }

    func count(found: Int, compiled: Int) {
        counts.withLock {
            $0.found += found
            $0.compiled += compiled
        }
    }

    // MARK: Files

    private static let magic: [UInt8] = Array("VDTCACHE1".utf8)

    /// The program: where its code lies, and that file's identity and time. Another build is another program.
    private static let program: [UInt8] = {
        var w = PackedWriter()
        var s = stat()
        let path = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer -> String in
            guard let base = buffer.baseAddress, vk_program_path(base, buffer.count) else { return "" }
            return String(cString: base)
        }
        // The main program's own name may be relative to a folder that was left.
        for candidate in [path, "/proc/self/exe"] where !candidate.isEmpty && stat(candidate, &s) == 0 {
            w.word(UInt64(s.st_dev))
            w.word(UInt64(s.st_ino))
            w.integer(Int64(s.st_size))
            w.integer(Int64(s.st_mtim.tv_sec))
            w.integer(Int64(s.st_mtim.tv_nsec))
            break
        }
        return w.bytes
    }()

    private static func checksum(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let all = Array(bytes)
        let h = all.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        var w = PackedWriter()
        w.word(h.high)
        w.word(h.low)
        return w.bytes
    }

    /// What a file holds behind its header, and where it begins; nil if it is not this program's, not whole, or not there.
    func read(_ name: String, for purpose: [UInt8]) -> (bytes: [UInt8], start: Int)? {
        guard !RuleCache.program.isEmpty, let bytes = contents(name) else { return nil }
        let header = RuleCache.header(purpose)
        guard bytes.count >= header.count + 16, bytes.starts(with: header) else {
            note("\(folder)/\(name) is of another program or of other settings and is not used")
            return nil
        }
        let start = header.count + 16
        let h = bytes.withUnsafeBytes { all -> vk_hash128 in
            let body = UnsafeRawBufferPointer(rebasing: all[start...])
            return vk_xxh3_128(body.baseAddress, body.count, 0)
        }
        var sum = PackedReader(bytes, in: header.count..<start)
        guard (try? sum.word()) == h.high, (try? sum.word()) == h.low else {
            note("\(folder)/\(name) is damaged and is not used")
            return nil
        }
        return (bytes, start)
    }

    private static func header(_ purpose: [UInt8]) -> [UInt8] {
        var w = PackedWriter()
        w.block(magic)
        w.block(program)
        w.block(purpose)
        return w.bytes
    }

    /// The bytes of a file that only its owner, who runs this program, can have written.
    private func contents(_ name: String) -> [UInt8]? {
        let path = "\(folder)/\(name)"
        let f = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard f >= 0 else { return nil }
        defer { close(f) }
        var s = stat()
        guard fstat(f, &s) == 0, s.st_mode & S_IFMT == S_IFREG, s.st_size > 0, s.st_size <= RuleCache.maximumBytes else { return nil }
        guard s.st_uid == geteuid(), s.st_mode & 0o022 == 0 else {
            note("\(path) belongs to somebody else or can be written by others and is not used")
            return nil
        }
        let size = Int(s.st_size)
        var filled = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while filled < size, let base = buffer.baseAddress {
                let n = Glibc.read(f, base + filled, size - filled)
                if n < 0, errno == EINTR { continue }
                if n <= 0 { break }
                filled += n
            }
            count = filled
        }
        return filled == size ? bytes : nil
    }

    /// Writes a file beside its place and moves it there, so that nobody sees a part of it.
    func write(_ name: String, for purpose: [UInt8], body: [UInt8]) {
        guard !RuleCache.program.isEmpty, prepare() else { return }
        let path = "\(folder)/\(name)"
        let temporary = "\(folder)/.\(name).\(getpid())"
        let f = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard f >= 0 else { return note("\(temporary) cannot be written: \(String(cString: strerror(errno)))") }
        let all = RuleCache.header(purpose) + RuleCache.checksum(body) + body
        var done = 0
        let isWritten = all.withUnsafeBytes { buffer -> Bool in
            while done < buffer.count, let base = buffer.baseAddress {
                let n = Glibc.write(f, base + done, buffer.count - done)
                if n < 0, errno == EINTR { continue }
                if n <= 0 { return false }
                done += n
            }
            return true
        }
        let isClosed = close(f) == 0
        guard isWritten, isClosed, rename(temporary, path) == 0 else {
            note("\(path) cannot be written: \(String(cString: strerror(errno)))")
            unlink(temporary)
            return
        }
        prune(keeping: name)
    }

    /// Makes the folder, for its owner only.
    private func prepare() -> Bool {
        var path = ""
        if !makesParents {
            if mkdir(folder, 0o700) == 0 || errno == EEXIST { return true }
            note("\(folder) cannot be made: \(String(cString: strerror(errno)))")
            return false
        }
        for part in folder.split(separator: "/") {
            path += "/" + part
            if mkdir(path, 0o700) != 0, errno != EEXIST {
                note("\(path) cannot be made: \(String(cString: strerror(errno)))")
                return false
            }
        }
        return !path.isEmpty
    }

    private func prune(keeping name: String) {
        guard let d = opendir(folder) else { return }
        defer { closedir(d) }
        var files: [(time: Int, path: String)] = []
        while let e = readdir(d) {
            let file = withUnsafePointer(to: &e.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard file != name, file.hasSuffix(RuleCache.ending) else { continue }
            var s = stat()
            if stat("\(folder)/\(file)", &s) == 0 { files.append((s.st_mtim.tv_sec, "\(folder)/\(file)")) }
        }
        guard files.count >= RuleCache.mostFiles else { return }
        for f in files.sorted(by: { $0.time < $1.time }).prefix(files.count + 1 - RuleCache.mostFiles) { unlink(f.path) }
    }

    static let ending = ".vdc"

    // MARK: Literals

    public func load(_ name: String) -> [UInt8]? {
        read("literals-\(name)\(RuleCache.ending)", for: Array(name.utf8)).map { Array($0.bytes[$0.start...]) }
    }

    public func save(_ name: String, _ bytes: [UInt8]) { write("literals-\(name)\(RuleCache.ending)", for: Array(name.utf8), body: bytes) }
}
