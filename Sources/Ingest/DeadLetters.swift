import CKernels
import Columnar
import Glibc

/// A record that could not be read, with its stream.
public struct DeadLetter: Sendable {
    public let source: String
    public let problem: RecordProblem
    public init(source: String, problem: RecordProblem) {
        self.source = source
        self.problem = problem
    }

    /// One line of JSON: source, position, reason, up to 64 KiB of the bytes (as text where they are UTF-8, else base64), length, SHA-256.
    public var jsonLine: String {
        var digest = [UInt8](repeating: 0, count: 32)
        let ok = problem.bytes.withUnsafeBufferPointer { b in
            digest.withUnsafeMutableBufferPointer { vk_sha256(b.baseAddress, b.count, $0.baseAddress) }
        }
        let hex = ok ? digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() : ""
        var o: [Dynamic.Member] = [
            .init("source", .string(source)),
            .init(
                "position",
                .object([
                    .init("member", .long(Int64(clamping: problem.member))), .init("offset", .long(Int64(clamping: problem.position))),
                    .init("index", .long(Int64(clamping: problem.index))),
                ])),
            .init("reason", .string(problem.reason)),
            .init("length", .long(Int64(clamping: problem.length))),
            .init("kept", .long(Int64(problem.bytes.count))),
            .init("sha256_of_kept", .string(hex)),
        ]
        if let text = String(validating: problem.bytes, as: UTF8.self) {
            o.append(.init("text", .string(text)))
        } else {
            o.append(.init("base64", .string(DeadLetter.base64(problem.bytes))))
        }
        return JSONText.compact(.object(o))
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var i = 0
        while i < bytes.count {
            let b0 = UInt32(bytes[i]), b1 = i + 1 < bytes.count ? UInt32(bytes[i + 1]) : 0, b2 = i + 2 < bytes.count ? UInt32(bytes[i + 2]) : 0
            let v = b0 << 16 | b1 << 8 | b2
            out.append(alphabet[Int(v >> 18 & 63)])
            out.append(alphabet[Int(v >> 12 & 63)])
            out.append(i + 1 < bytes.count ? alphabet[Int(v >> 6 & 63)] : 0x3D)
            out.append(i + 2 < bytes.count ? alphabet[Int(v & 63)] : 0x3D)
            i += 3
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// The dead-letter file: JSON lines, rotated at a size, capped in number. Reaching the cap is counted, and said once.
public final class DeadLetterFile {
    public let path: String
    private let maximumBytes: Int
    private let maximumFiles: Int
    private var descriptor: Int32 = -1
    private var size = 0
    /// Letters written, and letters that were not because all files are full or the disk is.
    public private(set) var written = 0
    public private(set) var dropped = 0
    /// The first failure to write, for the log.
    public private(set) var failure: String?

    /// `maximumBytes` a file and `maximumFiles` in all: the oldest is deleted when another begins.
    public init(path: String, maximumBytes: Int = 64 << 20, maximumFiles: Int = 4) {
        self.path = path
        self.maximumBytes = max(4096, maximumBytes)
        self.maximumFiles = max(1, maximumFiles)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private func openFile() -> Bool {
        if descriptor >= 0 { return true }
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            if failure == nil { failure = "\(path): \(FileInput.reason(errno))" }
            return false
        }
        var s = stat()
        size = fstat(descriptor, &s) == 0 ? Int(s.st_size) : 0
        return true
    }

    /// Closes the file, so that the next letter opens it anew (log rotation by others).
    public func reopen() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    private func rotate() {
        reopen()
        for i in stride(from: maximumFiles - 1, through: 1, by: -1) {
            rename(i == 1 ? path : "\(path).\(i - 1)", "\(path).\(i)")
        }
        if maximumFiles == 1 { unlink(path) }
    }

    public func append(_ letter: DeadLetter) {
        guard openFile() else {
            dropped += 1
            return
        }
        let line = Array((letter.jsonLine + "\n").utf8)
        if size > 0, size + line.count > maximumBytes {
            rotate()
            guard openFile() else {
                dropped += 1
                return
            }
        }
        var done = 0
        while done < line.count {
            let n = line.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, line.count - done) }
            if n < 0 {
                if errno == EINTR { continue }
                if failure == nil { failure = "\(path): \(FileInput.reason(errno))" }
                dropped += 1
                return
            }
            done += n
        }
        size += line.count
        written += 1
    }
}
