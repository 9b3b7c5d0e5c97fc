import Columnar
import Glibc

/// A file to read, found by expanding what the user named.
public struct InputFile: Sendable, Hashable {
    public let path: String
    /// Raw bytes.
    public let size: UInt64
    /// No record is expected before this event time (ticks): from the first record, else from the date in the path; 0 if unknown.
    public var lowerBound: Int64 = 0
}

/// Expands files, globs and directories.
public enum InputPaths {
    /// A path that could not be used.
    public struct Problem: Sendable, Hashable {
        public let path: String
        public let reason: String
    }

    /// Names inside directories that are never logs.
    private static func isIgnored(_ name: String) -> Bool {
        name.hasPrefix(".") || name == "ground-truth.json" || name.hasSuffix(".md") || name.hasSuffix(".py") || name.hasSuffix(".yaml")
            || name.hasSuffix(".tmp") || name.hasSuffix("~")
    }

    /// Every regular file meant by `paths`, sorted by path, once each. Directories are walked; hidden files, documentation and digests of
    /// CloudTrail in them are passed over. A path without a match is a problem.
    public static func expand(_ paths: [String]) -> (files: [InputFile], problems: [Problem]) {
        var found: [String: InputFile] = [:]
        var problems: [Problem] = []
        for path in paths {
            var s = stat()
            if stat(path, &s) == 0 {
                visit(path, s, explicit: true, depth: 0, &found, &problems)
                continue
            }
            let matches = glob(path)
            if matches.isEmpty {
                problems.append(Problem(path: path, reason: isPattern(path) ? "no file matches" : FileInput.reason(errno)))
            }
            for m in matches {
                var s = stat()
                if stat(m, &s) == 0 { visit(m, s, explicit: true, depth: 0, &found, &problems) }
            }
        }
        return (found.values.sorted { $0.path < $1.path }, problems)
    }

    public static func isPattern(_ path: String) -> Bool { path.contains { "*?[".contains($0) } }

    /// Files that match a shell pattern, `**` standing for any number of folders.
    public static func glob(_ pattern: String) -> [String] {
        if let range = range(of: "**", in: pattern) {
            var root = String(pattern[..<range.lowerBound])
            if root.isEmpty { root = "." }
            let rest = String(pattern[range.upperBound...].drop { $0 == "/" })
            var all: [String] = []
            walk(root, depth: 0) { all.append($0) }
            return all.filter { rest.isEmpty || fnmatch("*" + rest, $0, 0) == 0 || fnmatch(rest, name(of: $0), 0) == 0 }.sorted()
        }
        var g = glob_t()
        defer { globfree(&g) }
        guard Glibc.glob(pattern, 0, nil, &g) == 0 else { return [] }
        return (0..<Int(g.gl_pathc)).compactMap { g.gl_pathv[$0].map { String(cString: $0) } }
    }

    private static func range(of mark: String, in s: String) -> Range<String.Index>? {
        var i = s.startIndex
        while i < s.endIndex {
            if s[i...].hasPrefix(mark) { return i..<s.index(i, offsetBy: mark.count) }
            i = s.index(after: i)
        }
        return nil
    }

    public static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    private static func walk(_ folder: String, depth: Int, _ body: (String) -> Void) {
        guard depth < 64 else { return }
        for n in entries(folder) where !isIgnored(n) {
            let p = folder.hasSuffix("/") ? folder + n : folder + "/" + n
            var s = stat()
            guard lstat(p, &s) == 0 else { continue }
            if s.st_mode & S_IFMT == S_IFDIR { walk(p, depth: depth + 1, body) } else { body(p) }
        }
    }

    private static func entries(_ folder: String) -> [String] {
        guard let d = opendir(folder) else { return [] }
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

    private static func visit(
        _ path: String, _ s: stat, explicit: Bool, depth: Int, _ found: inout [String: InputFile], _ problems: inout [Problem]
    ) {
        switch s.st_mode & S_IFMT {
        case S_IFREG:
            if explicit || !isIgnored(name(of: path)) {
                found[path] = InputFile(path: path, size: UInt64(max(0, s.st_size)), lowerBound: dateInPath(path) ?? 0)
            }
        case S_IFDIR:
            guard depth < 64, name(of: path) != "CloudTrail-Digest" else { return }
            for n in entries(path) where !isIgnored(n) {
                let p = path.hasSuffix("/") ? path + n : path + "/" + n
                var child = stat()
                guard stat(p, &child) == 0 else {
                    problems.append(Problem(path: p, reason: FileInput.reason(errno)))
                    continue
                }
                visit(p, child, explicit: false, depth: depth + 1, &found, &problems)
            }
        case S_IFIFO, S_IFCHR:
            found[path] = InputFile(path: path, size: 0)
        default:
            problems.append(Problem(path: path, reason: "is no file"))
        }
    }

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
            if p.hasPrefix("m="), month == nil, let v = Int(p.dropFirst(2)), (1...12).contains(v) { month = v }
            if p.hasPrefix("d="), let v = Int(p.dropFirst(2)), (1...31).contains(v) { day = v }
        }
        if year == nil {
            for i in parts.indices.dropLast(2) {
                if parts[i].count == 4, let y = Int(parts[i]), y > 1900, y < 3000, parts[i + 1].count == 2, let m = Int(parts[i + 1]),
                    parts[i + 2].count == 2, let d = Int(parts[i + 2])
                {
                    year = y
                    month = m
                    day = d
                }
            }
        }
        guard let year, let month, let day, let t = KustoTime.ticks(year: year, month: month, day: day) else { return nil }
        return t - KustoTime.ticksPerDay
    }
}
