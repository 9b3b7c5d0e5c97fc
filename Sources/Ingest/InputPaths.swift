import Columnar
import Glibc

/// A file to read, found by expanding what the user named.
public struct InputFile: Sendable, Hashable {
    public let path: String
    /// Raw bytes.
    public let size: UInt64
    /// No record is expected before this event time (ticks): from the first record, else from the date in the path; 0 if unknown.
    public var lowerBound: Int64 = 0
    /// What the system knows the file by, and when it was last written (nanoseconds).
    let identity: FileKey
    let modified: Int64
    let isRegular: Bool

    /// A file named without being looked at (standard input).
    public init(path: String, size: UInt64, lowerBound: Int64 = 0) {
        self.init(path: path, size: size, identity: FileKey(device: 0, inode: 0), modified: 0, isRegular: false)
        self.lowerBound = lowerBound
    }

    init(path: String, size: UInt64, identity: FileKey, modified: Int64, isRegular: Bool) {
        self.path = path
        self.size = size
        self.identity = identity
        self.modified = modified
        self.isRegular = isRegular
    }
}

/// (device, inode).
struct FileKey: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64

    init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }

    init(_ s: stat) { self.init(device: UInt64(s.st_dev), inode: UInt64(s.st_ino)) }
}

/// Expands files, globs and directories.
public enum InputPaths {
    /// A path that could not be used.
    public struct Problem: Sendable, Hashable {
        public let path: String
        public let reason: String
        /// Nothing is there (yet), as against something that cannot be read.
        public var isEmpty = false
    }

    /// Every regular file meant by `paths`, sorted by path, once each whatever names it has. Directories are walked; hidden files,
    /// documentation and digests of CloudTrail in them are passed over. A path without a match is a problem.
    public static func expand(_ paths: [String]) -> (files: [InputFile], problems: [Problem]) {
        var (files, problems) = list(paths)
        for i in files.indices { files[i].lowerBound = dateInPath(files[i].path) ?? 0 }
        return (files, problems)
    }

    /// As ``expand(_:)``, without the dates.
    static func list(_ paths: [String]) -> (files: [InputFile], problems: [Problem]) {
        var walk = Walk()
        for path in paths {
            let before = (walk.seen, walk.problems.count)
            var s = stat()
            if stat(path, &s) == 0 {
                walk.visit(path, s, explicit: true)
            } else if !isPattern(path) {
                walk.problems.append(Problem(path: path, reason: FileInput.reason(errno), isEmpty: errno == ENOENT))
                continue
            } else {
                for m in glob(path) where stat(m, &s) == 0 { walk.visit(m, s, explicit: true) }
            }
            if before == (walk.seen, walk.problems.count) {
                walk.problems.append(Problem(path: path, reason: isPattern(path) ? "no file matches" : "holds no files", isEmpty: true))
            }
        }
        return (walk.found.values.sorted { $0.path < $1.path }, walk.problems)
    }

    /// The dateless core of a walk over folders.
    private struct Walk {
        var found: [FileKey: InputFile] = [:]
        var problems: [Problem] = []
        /// Files met, those met before included.
        var seen = 0
        private var folders: Set<FileKey> = []

        mutating func visit(_ path: String, _ s: stat, explicit: Bool) {
            switch s.st_mode & S_IFMT {
            case S_IFREG, S_IFIFO, S_IFCHR:
                let isRegular = s.st_mode & S_IFMT == S_IFREG
                guard explicit || (isRegular && !InputPaths.isIgnored(InputPaths.name(of: path))) else { return }
                seen += 1
                let key = FileKey(s)
                // Of several names for one file the first in order stands.
                if let other = found[key], other.path <= path { return }
                found[key] = InputFile(
                    path: path, size: isRegular ? UInt64(max(0, s.st_size)) : 0, identity: key,
                    modified: Int64(s.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(s.st_mtim.tv_nsec), isRegular: isRegular)
            case S_IFDIR:
                // A link may lead back to where we are.
                guard InputPaths.name(of: path) != "CloudTrail-Digest", folders.insert(FileKey(s)).inserted else { return }
                guard let names = InputPaths.entries(path) else {
                    problems.append(Problem(path: path, reason: FileInput.reason(errno)))
                    return
                }
                for n in names where !InputPaths.isIgnored(n) {
                    let p = InputPaths.join(path, n)
                    var child = stat()
                    if stat(p, &child) == 0 {
                        visit(p, child, explicit: false)
                    } else if errno != ENOENT {
                        problems.append(Problem(path: p, reason: FileInput.reason(errno)))
                    }
                }
            default:
                if explicit { problems.append(Problem(path: path, reason: "is no file")) }
            }
        }
    }

    /// Names inside directories that are never logs.
    static func isIgnored(_ name: String) -> Bool {
        name.utf8.first == UInt8(ascii: ".") || name == "ground-truth.json" || name.hasSuffix(".md") || name.hasSuffix(".py")
            || name.hasSuffix(".yaml") || name.hasSuffix(".tmp") || name.hasSuffix("~")
    }

    public static func isPattern(_ path: String) -> Bool { path.utf8.contains { "*?[".utf8.contains($0) } }

    public static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : folder.utf8.last == UInt8(ascii: "/") ? folder + name : folder + "/" + name
    }

    /// The names in a folder, sorted; nil (and errno) if it cannot be read.
    static func entries(_ folder: String) -> [String]? {
        guard let d = opendir(folder.isEmpty ? "." : folder) else { return nil }
        defer { closedir(d) }
        var names: [String] = []
        while let e = readdir(d) {
            let name = withUnsafePointer(to: &e.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    // MARK: Patterns

    /// Files and folders that match a shell pattern, sorted; `**` stands for any number of folders, and hidden names match only a pattern
    /// that begins with a dot.
    public static func glob(_ pattern: String) -> [String] {
        let parts = pattern.split(separator: "/").map(String.init)
        if parts.contains("**") {
            var out: Set<String> = []
            var folders: Set<String> = []
            match(parts[...], in: pattern.utf8.first == UInt8(ascii: "/") ? "/" : "", [], &folders, &out)
            return out.sorted()
        }
        var g = glob_t()
        defer { globfree(&g) }
        guard Glibc.glob(pattern, 0, nil, &g) == 0 else { return [] }
        return (0..<Int(g.gl_pathc)).compactMap { g.gl_pathv[$0].map { String(cString: $0) } }
    }

    /// `above`: the folders on the way here, so that a link cannot lead in circles; `done`: folders and rests already matched.
    private static func match(
        _ parts: ArraySlice<String>, in folder: String, _ above: Set<FileKey>, _ done: inout Set<String>, _ out: inout Set<String>
    ) {
        guard let first = parts.first else { return }
        let rest = parts.dropFirst()
        var s = stat()
        guard stat(folder.isEmpty ? "." : folder, &s) == 0, s.st_mode & S_IFMT == S_IFDIR,
            done.insert("\(parts.count) \(folder)").inserted
        else { return }
        if first == "**" {
            guard !above.contains(FileKey(s)) else { return }
            if !rest.isEmpty { match(rest, in: folder, above, &done, &out) }
            for name in entries(folder) ?? [] where !isIgnored(name) {
                let path = join(folder, name)
                var child = stat()
                guard stat(path, &child) == 0 else { continue }
                if child.st_mode & S_IFMT == S_IFDIR {
                    match(parts, in: path, above.union([FileKey(s)]), &done, &out)
                } else if rest.isEmpty {
                    out.insert(path)
                }
            }
            return
        }
        let names = isPattern(first) ? (entries(folder) ?? []).filter { fnmatch(first, $0, FNM_PERIOD) == 0 } : [first]
        for name in names {
            let path = join(folder, name)
            var child = stat()
            guard stat(path, &child) == 0 else { continue }
            if rest.isEmpty { out.insert(path) } else { match(rest, in: path, above, &done, &out) }
        }
    }

    // MARK: Dates

    /// The least time that a path's date folders name (`y=2026/m=03/d=02/h=10`, `2026/03/02`); nil without.
    ///
    /// Azure writes records into the folder of their arrival hour, so a day is taken off.
    public static func dateInPath(_ path: String) -> Int64? {
        let parts = path.split(separator: "/").map(String.init)
        var year: Int?
        var month: Int?
        var day: Int?
        for p in parts {
            if p.hasPrefix("y="), let v = Int(p.dropFirst(2)), v > 1900, v < 3000 { year = v }
            // The second `m=` is the minute.
            if p.hasPrefix("m="), month == nil, let v = Int(p.dropFirst(2)), (1...12).contains(v) { month = v }
            if p.hasPrefix("d="), let v = Int(p.dropFirst(2)), (1...31).contains(v) { day = v }
        }
        if year == nil || month == nil || day == nil {
            (year, month, day) = (nil, nil, nil)
            for i in parts.indices.dropLast(2) {
                if parts[i].count == 4, let y = Int(parts[i]), y > 1900, y < 3000, parts[i + 1].count == 2, let m = Int(parts[i + 1]),
                    parts[i + 2].count == 2, let d = Int(parts[i + 2])
                {
                    (year, month, day) = (y, m, d)
                }
            }
        }
        guard let year, let month, let day, let t = KustoTime.ticks(year: year, month: month, day: day) else { return nil }
        return t - KustoTime.ticksPerDay
    }
}
