import Glibc

struct TestError: Error { let text: String }

/// A folder that goes away with the test.
final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/vedette-service-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestError(text: "mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Folder.remove(path) }

    private static func remove(_ path: String) {
        guard let list = opendir(path) else {
            unlink(path)
            return
        }
        while let entry = readdir(list) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { remove(path + "/" + name) }
        }
        closedir(list)
        rmdir(path)
    }

    subscript(name: String) -> String { path + "/" + name }

    /// Writes a file, making its folders, and gives its path.
    @discardableResult
    func write(_ name: String, _ text: String, append: Bool = false) -> String {
        var at = path
        for part in name.split(separator: "/").dropLast() {
            at += "/" + part
            mkdir(at, 0o755)
        }
        let d = open(self[name], O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0o644)
        let all = Array(text.utf8)
        _ = Glibc.write(d, all, all.count)
        close(d)
        return self[name]
    }

    func lines(_ name: String) -> [String] {
        let d = open(self[name], O_RDONLY)
        guard d >= 0 else { return [] }
        defer { close(d) }
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let n = Glibc.read(d, &buffer, buffer.count)
            if n <= 0 { return String(decoding: out, as: UTF8.self).split(separator: "\n").map(String.init) }
            out += buffer.prefix(n)
        }
    }
}
