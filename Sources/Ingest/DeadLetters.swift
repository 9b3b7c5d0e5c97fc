import CKernels
import Columnar

/// A record that could not be read, with its stream.
public struct DeadLetter: Sendable {
    public let source: String
    public let problem: RecordProblem
    public init(source: String, problem: RecordProblem) {
        self.source = source
        self.problem = problem
    }

    /// SHA-256 of the whole record, in hexadecimal; nil if parts of it were not seen.
    public var sha256: String? {
        var digest = problem.sha256
        if digest == nil, UInt64(problem.bytes.count) == problem.length {
            let all = Digester()
            problem.bytes.withUnsafeBytes { all?.take($0) }
            digest = all?.finish()
        }
        return digest.map { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
    }

    /// One line of JSON: source, position, reason, length and SHA-256 of the whole (null if unknown), how many of its bytes are kept (at
    /// most 64 KiB) and these, as `text` where they are UTF-8, else as `base64`.
    public var jsonLine: String {
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
            .init("sha256", sha256.map { .string($0) } ?? .null),
            .init("kept", .long(Int64(problem.bytes.count))),
        ]
        // A character that the limit cuts in two does not make the rest unreadable.
        let isCut = UInt64(problem.bytes.count) < problem.length
        let text = (0...(isCut ? min(3, problem.bytes.count) : 0)).lazy.compactMap {
            String(validating: problem.bytes.dropLast($0), as: UTF8.self)
        }.first
        if let text {
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
        for i in stride(from: 0, to: bytes.count, by: 3) {
            let b1 = i + 1 < bytes.count ? UInt32(bytes[i + 1]) : 0
            let b2 = i + 2 < bytes.count ? UInt32(bytes[i + 2]) : 0
            let v = UInt32(bytes[i]) << 16 | b1 << 8 | b2
            out.append(alphabet[Int(v >> 18 & 63)])
            out.append(alphabet[Int(v >> 12 & 63)])
            out.append(i + 1 < bytes.count ? alphabet[Int(v >> 6 & 63)] : UInt8(ascii: "="))
            out.append(i + 2 < bytes.count ? alphabet[Int(v & 63)] : UInt8(ascii: "="))
        }
        return String(decoding: out, as: UTF8.self)
    }
}
