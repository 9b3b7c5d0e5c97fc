import Ingest
import Testing

@testable import Pipeline

/// Bytes in memory; reading fails at `failsAt`.
private final class Input: RawInput {
    private let content: [UInt8]
    private let failsAt: Int
    private var at = 0

    init(_ content: [UInt8], failsAt: Int = .max) {
        self.content = content
        self.failsAt = failsAt
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if at >= failsAt { throw IngestError("broken") }
        let n = min(buffer.count, content.count - at, 100_000)
        guard n > 0 else { return 0 }
        content.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[at..<(at + n)])) }
        at += n
        return n
    }

    func seek(to offset: UInt64) throws -> Bool { false }
    func bytes(at offset: UInt64, count: Int) throws -> [UInt8]? { nil }
}

@Suite struct ReadAheadTests {
    private static let lines: [UInt8] = Array(
        (0..<40_000).map { "{\"n\":\($0),\"text\":\"\(String(repeating: "x", count: $0 % 200))\"}\n" }.joined().utf8)

    /// The offsets of all records, with as many spare cores as given.
    private func positions(_ input: Input, spare: SpareCores, upTo limit: Int = .max) throws -> [UInt64] {
        let chunks = ReadAhead(RecordReader(input), chunk: Chunk(), spare: spare)
        defer { chunks.finish() }
        var out: [UInt64] = []
        while out.count < limit, let chunk = try chunks.next() {
            // The data must be those of this chunk although another is being filled.
            for r in chunk.records where chunk.data[r.offset] == UInt8(ascii: "{") { out.append(r.position) }
        }
        return out
    }

    @Test(arguments: [0, 1, 3]) func givesTheSameChunksInOrder(spare: Int) throws {
        let cores = SpareCores(spare)
        let found = try positions(Input(Self.lines), spare: cores)
        #expect(found.count == 40_000)
        #expect(found == found.sorted())
        // Every core that was taken came back.
        for _ in 0..<spare { #expect(cores.take()) }
        #expect(!cores.take())
    }

    @Test(arguments: [0, 1]) func anErrorComesBehindWhatWasRead(spare: Int) throws {
        let cores = SpareCores(spare)
        var seen = 0
        let chunks = ReadAhead(RecordReader(Input(Self.lines, failsAt: 2_500_000)), chunk: Chunk(), spare: cores)
        #expect(throws: IngestError.self) {
            while let chunk = try chunks.next() { seen += chunk.records.count }
        }
        chunks.finish()
        #expect(seen > 10_000)
    }

    @Test func stoppingEarlyWaitsForTheReader() throws {
        let cores = SpareCores(1)
        for limit in [1, 5_000] { #expect(try positions(Input(Self.lines), spare: cores, upTo: limit).count >= limit) }
        #expect(cores.take())
    }
}
