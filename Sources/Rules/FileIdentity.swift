import Columnar
import Glibc

/// What a file system says of a file. On a local one it changes with every change of the content: nobody sets the time of the last change.
public struct FileIdentity: Sendable, Hashable {
    public let device: UInt64
    public let inode: UInt64
    /// Bytes.
    public let size: Int64
    /// Last change of the content, in nanoseconds since 1970; whoever may write the file can set it.
    public let modified: Int64
    /// Last change of anything about the file, in nanoseconds since 1970.
    public let changed: Int64

    init(_ s: stat) {
        device = UInt64(s.st_dev)
        inode = UInt64(s.st_ino)
        size = Int64(s.st_size)
        modified = FileIdentity.nanoseconds(s.st_mtim)
        changed = FileIdentity.nanoseconds(s.st_ctim)
    }

    private static func nanoseconds(_ t: timespec) -> Int64 { Int64(t.tv_sec) &* 1_000_000_000 &+ Int64(t.tv_nsec) }

    /// The clock that stamps changes, in nanoseconds since 1970.
    public static var clock: Int64 {
        var t = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &t)
        return nanoseconds(t)
    }

    package init(from r: inout PackedReader) throws {
        device = try r.word()
        inode = try r.word()
        size = Int64(bitPattern: try r.word())
        modified = Int64(bitPattern: try r.word())
        changed = Int64(bitPattern: try r.word())
    }

    package func write(to w: inout PackedWriter) {
        for v in [device, inode, UInt64(bitPattern: size), UInt64(bitPattern: modified), UInt64(bitPattern: changed)] { w.word(v) }
    }
}
