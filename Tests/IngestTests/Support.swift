import CKernels
import Glibc
import TestSupport
import Testing

@testable import Ingest

/// A small deterministic generator.
struct Random: SeededGenerator {
    var state: UInt64

    mutating func below(_ n: Int) -> Int { Int(next() % UInt64(max(n, 1))) }
}

/// Bytes in memory, handed out in pieces of a size; `grow` adds more, as a writer would.
final class MemoryInput: RawInput {
    var content: [UInt8]
    var at = 0
    var piece: () -> Int
    var canSeek = true

    init(_ content: [UInt8], piece: @escaping () -> Int = { .max }) {
        self.content = content
        self.piece = piece
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let n = min(buffer.count, content.count - at, max(1, piece()))
        guard n > 0 else { return 0 }
        content.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[at..<(at + n)])) }
        at += n
        return n
    }

    func seek(to offset: UInt64) throws -> Bool {
        guard canSeek, offset <= UInt64(content.count) else { return false }
        at = Int(offset)
        return true
    }

    func bytes(at offset: UInt64, count: Int) throws -> [UInt8]? {
        guard canSeek else { return nil }
        let from = min(Int(offset), content.count)
        return Array(content[from..<min(content.count, from + count)])
    }
}

/// What a reader made of an input.
struct Harvest: Equatable {
    struct Item: Hashable {
        let text: String
        let position: UInt64
        let index: UInt64
    }
    var records: [Item] = []
    var reasons: [String] = []
    var problems: [RecordProblem] = []

    var texts: [String] { records.map(\.text) }

    mutating func take(_ chunk: Chunk) {
        for r in chunk.records {
            records.append(
                Item(
                    text: String(decoding: chunk.data[r.offset..<(r.offset + r.length)], as: UTF8.self), position: r.position,
                    index: r.index))
        }
        reasons += chunk.problems.map(\.reason)
        problems += chunk.problems
    }

    mutating func drain(_ reader: RecordReader, final: Bool = true) throws {
        let chunk = Chunk()
        while try reader.next(into: chunk, final: final) == .chunk { take(chunk) }
    }

    static func of(_ input: any RawInput, limits: IngestLimits = IngestLimits(), early: Bool = false) throws -> Harvest {
        var h = Harvest()
        let reader = RecordReader(input, limits: limits)
        reader.returnsEarly = early
        try h.drain(reader)
        return h
    }

    static func of(_ bytes: [UInt8], limits: IngestLimits = IngestLimits(), piece: Int = .max) throws -> Harvest {
        try of(MemoryInput(bytes, piece: { piece }), limits: limits)
    }
}

func lines(_ range: Range<Int>, padding: Int = 20) -> [String] {
    range.map { "{\"n\":\($0),\"text\":\"\(String(repeating: String($0, radix: 36), count: padding / 4 + $0 % 7))\"}" }
}

func bytes(_ lines: [String]) -> [UInt8] { Array(lines.map { $0 + "\n" }.joined().utf8) }

func gzip(_ parts: [(bytes: [UInt8], flush: vk_flush)], level: Int32 = 6) throws -> [UInt8] {
    let writer = try #require(vk_gzip_writer_new(level))
    defer { vk_gzip_writer_free(writer) }
    for part in parts {
        let written = vk_gzip_write(writer, part.bytes, part.bytes.count, part.flush)
        #expect(written)
    }
    var count = 0
    let output = vk_gzip_output(writer, &count)
    return Array(UnsafeBufferPointer(start: output, count: count))
}

func gzip(_ bytes: [UInt8]) throws -> [UInt8] { try gzip([(bytes, VK_FLUSH_FINISH)]) }

func zstd(_ bytes: [UInt8]) throws -> [UInt8] {
    var out = [UInt8](repeating: 0, count: vk_zstd_bound(bytes.count))
    let n = vk_zstd_compress(bytes, bytes.count, 3, &out, out.count)
    try #require(n > 0)
    return Array(out.prefix(n))
}

/// A folder that goes with its owner.
final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/vedette-ingest-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkdtemp($0) != nil } }
        try #require(made == true)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Folder.remove(path) }

    private static func remove(_ path: String) {
        chmod(path, 0o700)
        for n in InputPaths.entries(path) ?? [] {
            let p = path + "/" + n
            var s = stat()
            if lstat(p, &s) == 0, s.st_mode & S_IFMT == S_IFDIR { remove(p) } else { unlink(p) }
        }
        rmdir(path)
    }

    subscript(_ name: String) -> String { path + "/" + name }

    func make(_ folder: String) {
        var at = path
        for part in folder.split(separator: "/") {
            at += "/" + part
            mkdir(at, 0o755)
        }
    }

    func write(_ name: String, _ bytes: [UInt8]) throws { try put(name, bytes, O_TRUNC) }
    func write(_ name: String, _ lines: [String]) throws { try put(name, joined(lines), O_TRUNC) }
    func append(_ name: String, _ bytes: [UInt8]) throws { try put(name, bytes, O_APPEND) }
    func append(_ name: String, _ lines: [String]) throws { try put(name, joined(lines), O_APPEND) }
    func append(_ name: String, _ text: String) throws { try put(name, Array(text.utf8), O_APPEND) }

    private func joined(_ l: [String]) -> [UInt8] { bytes(l) }

    private func put(_ name: String, _ bytes: [UInt8], _ flag: Int32) throws {
        let d = open(self[name], O_WRONLY | O_CREAT | flag, 0o644)
        try #require(d >= 0)
        defer { close(d) }
        let n = bytes.withUnsafeBytes { Glibc.write(d, $0.baseAddress, $0.count) }
        #expect(n == bytes.count)
    }

    func read(_ name: String) throws -> [UInt8] {
        let input = try FileInput(path: self[name])
        return try #require(try input.bytes(at: 0, count: Int(input.size)))
    }

    func rename(_ from: String, _ to: String) { #expect(Glibc.rename(self[from], self[to]) == 0) }
    func remove(_ name: String) { #expect(unlink(self[name]) == 0) }
    func truncate(_ name: String) { #expect(Glibc.truncate(self[name], 0) == 0) }
    func copy(_ from: String, _ to: String) throws { try write(to, try read(from)) }
    func compress(_ from: String, _ to: String) throws {
        try write(to, try gzip(try read(from)))
        remove(from)
    }
}
