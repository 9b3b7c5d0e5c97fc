import CKernels
import Columnar
import Ingest

/// Bytes in memory, handed out in pieces.
private final class PiecewiseInput: RawInput {
    let content: [UInt8]
    let piece: Int
    var at = 0

    init(_ content: [UInt8], piece: Int) {
        self.content = content
        self.piece = max(1, piece)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let n = min(buffer.count, content.count - at, piece)
        guard n > 0 else { return 0 }
        content.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[at..<(at + n)])) }
        at += n
        return n
    }

    func seek(to offset: UInt64) throws -> Bool {
        guard offset <= UInt64(content.count) else { return false }
        at = Int(offset)
        return true
    }

    func bytes(at offset: UInt64, count: Int) throws -> [UInt8]? {
        guard offset <= UInt64(content.count) else { return [] }
        return Array(content[Int(offset)...].prefix(count))
    }
}

enum IngestFuzzer {
    private struct Harvest: Equatable {
        var records: [[UInt8]] = []
        var reasons: [String] = []
    }

    private static let limits = IngestLimits(recordBytes: 4096, depth: 32, expansionRatio: 200)

    static func run(_ input: FuzzBytes) throws(FuzzFinding) {
        var b = input
        let mode = b.byte() % 4
        let piece = Int(b.byte()) % 40 + 1
        let damage = (at: Int(b.word() % 4096), mask: b.byte())
        let body = Array(b.rest)
        var file = body
        if mode == 1 || mode == 2 { file = gzip(body, members: mode == 2) }
        if mode == 3 { file = zstd(body) }
        let clean = harvest(file, piece: .max)
        let cut = harvest(file, piece: piece)
        guard clean == cut else { throw FuzzFinding("pieces of \(piece) bytes show: \(clean) / \(cut)") }
        if mode != 0, !body.isEmpty {
            let plain = harvest(body, piece: .max)
            // A body that itself begins like a compressed file, or that is inflated too far, is another matter.
            let magic = body.starts(with: [0x1F]) || body.starts(with: [0x28]) || body.first.map { (0x50...0x5F).contains($0) } ?? false
            if !magic, plain.reasons.isEmpty, clean.reasons.isEmpty, plain.records != clean.records {
                throw FuzzFinding("compression shows: \(plain) / \(clean)")
            }
        }
        if damage.mask != 0, !file.isEmpty {
            file[damage.at % file.count] ^= damage.mask
            let broken = harvest(file, piece: .max)
            let again = harvest(file, piece: piece)
            guard broken == again else {
                throw FuzzFinding("pieces of \(piece) bytes show in a damaged file: \(broken) / \(again)")
            }
        }
    }

    private static func harvest(_ bytes: [UInt8], piece: Int) -> Harvest {
        var out = Harvest()
        let reader = RecordReader(PiecewiseInput(bytes, piece: piece), limits: limits)
        let chunk = Chunk()
        var rounds = 0
        while rounds < 100_000, let outcome = try? reader.next(into: chunk, final: true), outcome == .chunk {
            rounds += 1
            for r in chunk.records { out.records.append(Array(chunk.data[r.offset..<(r.offset + r.length)])) }
            // Where damage was noticed depends on the cut.
            out.reasons += chunk.problems.map { String($0.reason.split(separator: "(").first ?? "") }
        }
        return out
    }

    private static func gzip(_ body: [UInt8], members: Bool) -> [UInt8] {
        guard let writer = vk_gzip_writer_new(6) else { return body }
        defer { vk_gzip_writer_free(writer) }
        let half = body.count / 2
        let parts = members ? [body[..<half], body[half...]] : [body[...]]
        for p in parts { _ = vk_gzip_write(writer, Array(p), p.count, VK_FLUSH_FINISH) }
        var n = 0
        guard let out = vk_gzip_output(writer, &n) else { return body }
        return Array(UnsafeBufferPointer(start: out, count: n))
    }

    private static func zstd(_ body: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: vk_zstd_bound(body.count))
        let n = vk_zstd_compress(body, body.count, 3, &out, out.count)
        return Array(out.prefix(n))
    }
}
