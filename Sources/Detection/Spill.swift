import Columnar
import Glibc

/// Where a rule puts the oldest of its retained rows when they are more than memory may hold: temporary files without a name, which go
/// away with the process. They hold nothing that the state database does not get as well.
///
/// Rows go into volumes; a volume's space is given back when nobody needs any of its rows. One thread at a time.
final class SpillFile {
    /// An open file without a name.
    fileprivate final class Volume: Sendable {
        let descriptor: Int32

        init(directory: String) throws {
            var template = Array((directory + "/spill-XXXXXX").utf8CString)
            let d = mkstemp(&template)
            guard d >= 0 else { throw SpillFile.problem("cannot make a temporary file in \(directory)") }
            unlink(template)
            _ = fcntl(d, F_SETFD, FD_CLOEXEC)
            descriptor = d
        }

        deinit { close(descriptor) }
    }

    private struct Known { weak var volume: Volume? }

    private let directory: String
    private let volumeBytes: Int64
    private var current: Volume?
    private var end: Int64 = 0
    private var known: [Known] = []

    init(directory: String, volumeBytes: Int64 = 64 << 20) {
        self.directory = directory
        self.volumeBytes = volumeBytes
    }

    fileprivate static func problem(_ what: String) -> StateError { StateError("\(what): \(String(cString: strerror(errno)))") }

    /// Volumes that take space.
    var openVolumes: Int { known.count { $0.volume != nil } }

    /// Writes the rows. They stay until the result is let go of. Throws ``StateError``.
    func write(_ rows: Batch) throws -> SpilledRows {
        if end >= volumeBytes { current = nil }
        let volume: Volume
        if let current {
            volume = current
        } else {
            volume = try Volume(directory: directory)
            current = volume
            end = 0
            known.removeAll { $0.volume == nil }
            known.append(Known(volume: volume))
        }
        var w = StateWriter()
        w.batch(rows)
        var done = 0
        while done < w.bytes.count {
            let n = w.bytes.withUnsafeBytes {
                pwrite(volume.descriptor, $0.baseAddress.map { $0 + done }, w.bytes.count - done, off_t(end) + off_t(done))
            }
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { throw SpillFile.problem("cannot write a temporary file in \(directory)") }
            done += n
        }
        defer { end += Int64(w.bytes.count) }
        return SpilledRows(volume: volume, offset: end, length: w.bytes.count)
    }
}

/// Rows that stand in a ``SpillFile``.
struct SpilledRows: Sendable {
    fileprivate let volume: SpillFile.Volume
    fileprivate let offset: Int64
    fileprivate let length: Int

    /// Reads the rows back. Throws ``StateError``.
    func read() throws -> Batch {
        var bytes = [UInt8](repeating: 0, count: length)
        var done = 0
        while done < length {
            let n = bytes.withUnsafeMutableBytes {
                pread(volume.descriptor, $0.baseAddress.map { $0 + done }, length - done, off_t(offset) + off_t(done))
            }
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { throw SpillFile.problem("cannot read a temporary file") }
            done += n
        }
        var r = StateReader(bytes)
        return try r.batch()
    }
}
