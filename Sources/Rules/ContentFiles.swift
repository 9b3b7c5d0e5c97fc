import Glibc
import KQL

/// Files of saved functions and watchlists.
enum ContentFiles {
    /// The files of a path with one of the endings, sorted: the path itself if it is a file, else those below it.
    static func list(_ path: String, endings: [String]) -> (files: [String], problem: String?) {
        var s = stat()
        guard stat(path, &s) == 0 else { return ([], String(cString: strerror(errno))) }
        if s.st_mode & S_IFMT != S_IFDIR { return ([path], nil) }
        var out: [String] = []
        walk(path, 0, endings, &out)
        return (out.sorted(), nil)
    }

    private static func walk(_ folder: String, _ depth: Int, _ endings: [String], _ out: inout [String]) {
        guard depth < 16, let d = opendir(folder) else { return }
        defer { closedir(d) }
        while let e = readdir(d) {
            let name = withUnsafePointer(to: &e.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            let path = folder.hasSuffix("/") ? folder + name : folder + "/" + name
            var s = stat()
            guard stat(path, &s) == 0 else { continue }
            if s.st_mode & S_IFMT == S_IFDIR {
                walk(path, depth + 1, endings, &out)
            } else if endings.contains(where: { name.hasSuffix($0) }) {
                out.append(path)
            }
        }
    }

    /// A file's text, without a byte order mark.
    static func read(_ path: String, limit: Int) -> Result<String, ContentRefusal> {
        guard let f = fopen(path, "rb") else { return .failure(ContentRefusal(String(cString: strerror(errno)))) }
        defer { fclose(f) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let n = fread(&buffer, 1, buffer.count, f)
            if n == 0 { break }
            bytes += buffer.prefix(n)
            if bytes.count > limit { return .failure(ContentRefusal("the file is larger than \(limit) bytes")) }
        }
        if ferror(f) != 0 { return .failure(ContentRefusal("reading failed")) }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        guard let text = String(validating: bytes, as: UTF8.self) else { return .failure(ContentRefusal("the file is not UTF-8")) }
        return .success(text)
    }
}
