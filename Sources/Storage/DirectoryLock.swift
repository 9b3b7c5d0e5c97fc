import Glibc

/// Holds a state directory for one process: a second instance is refused, also across containers that share the folder.
public final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// Creates the directory if needed (mode 0750) and locks it. Throws with the holder's process id when it is taken.
    public init(directory: String) throws {
        if mkdir(directory, 0o750) != 0, errno != EEXIST {
            throw StorageError("cannot create the state directory \(directory): \(String(cString: strerror(errno)))")
        }
        let path = directory + "/lock"
        let d = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard d >= 0 else { throw StorageError("cannot open \(path): \(String(cString: strerror(errno)))") }
        if flock(d, LOCK_EX | LOCK_NB) != 0 {
            var text = [UInt8](repeating: 0, count: 32)
            let n = max(0, read(d, &text, 32))
            close(d)
            let holder = String(decoding: text.prefix(n).prefix { $0 >= 0x30 && $0 <= 0x39 }, as: UTF8.self)
            throw StorageError(
                "the state directory \(directory) is in use\(holder.isEmpty ? "" : " by process \(holder)"); stop that instance or use another --state-dir"
            )
        }
        let pid = Array("\(getpid())\n".utf8)
        ftruncate(d, 0)
        _ = pid.withUnsafeBytes { write(d, $0.baseAddress, $0.count) }
        descriptor = d
    }

    deinit { close(descriptor) }
}
