import Columnar
import Glibc
import Testing

@testable import Ingest

@Suite struct DeadLetterTests {
    static func letter(_ n: Int, _ text: String = "bad", bytes: [UInt8]? = nil, length: UInt64? = nil) -> DeadLetter {
        let b = bytes ?? Array(text.utf8)
        return DeadLetter(
            source: "a \"b\"\n.log",
            problem: RecordProblem(
                position: UInt64(n), member: 2, index: 7, reason: "not JSON", length: length ?? UInt64(b.count), bytes: b))
    }

    /// Member → compact JSON of a line's top-level object.
    static func fields(_ line: String) throws -> [String: String] {
        guard case .object(let members)? = JSONText.parse(line) else {
            Issue.record("no JSON object: \(line)")
            return [:]
        }
        return Dictionary(members.map { ($0.key, JSONText.compact($0.value)) }) { _, last in last }
    }

    static func letters(_ f: Folder, _ name: String) throws -> [String] {
        String(decoding: try f.read(name), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func oneLineOfJSON() throws {
        let line = DeadLetterTests.letter(5, "ab\u{0}c\nd\u{1F600}\\").jsonLine
        #expect(!line.contains("\n"))
        let f = try DeadLetterTests.fields(line)
        #expect(f["source"] == "\"a \\\"b\\\"\\n.log\"")
        #expect(f["position"] == "{\"member\":2,\"offset\":5,\"index\":7}")
        #expect(f["length"] == "11" && f["kept"] == "11" && f["base64"] == nil)
        #expect(try DeadLetterTests.fields("{\"text\":\"ab\\u0000c\\nd\u{1F600}\\\\\"}")["text"] == f["text"])
        // Known digests.
        #expect(
            try DeadLetterTests.fields(DeadLetterTests.letter(0, "abc").jsonLine)["sha256"]
                == "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"")
        #expect(
            try DeadLetterTests.fields(DeadLetterTests.letter(0, "").jsonLine)["sha256"]
                == "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"")
        #expect(try DeadLetterTests.fields(DeadLetterTests.letter(0, "abc", length: 9).jsonLine)["sha256"] == "null")
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func base64(_ plain: String, _ coded: String) { #expect(DeadLetter.base64(Array(plain.utf8)) == coded) }

    @Test func bytesThatAreNoText() throws {
        let f = try DeadLetterTests.fields(DeadLetterTests.letter(0, bytes: [0xFF, 0xFE, 0x41]).jsonLine)
        #expect(f["base64"] == "\"//5B\"" && f["text"] == nil)
        // A character cut by the limit.
        let cut = try DeadLetterTests.fields(DeadLetterTests.letter(0, bytes: Array("ab\u{1F600}".utf8).dropLast(), length: 100).jsonLine)
        #expect(cut["text"] == "\"ab\"" && cut["kept"] == "5")
    }

    @Test func rotationAndCap() throws {
        let f = try Folder()
        let file = DeadLetterFile(path: f["d.jsonl"], maximumBytes: 4096, maximumFiles: 3)
        let text = String(repeating: "x", count: 700)
        for i in 0..<30 { file.append(DeadLetterTests.letter(i, text)) }
        #expect(file.written == 30 && file.dropped == 0 && file.failure == nil)
        var kept: [String] = []
        for name in ["d.jsonl.2", "d.jsonl.1", "d.jsonl"] {
            let all = try DeadLetterTests.letters(f, name)
            #expect(try f.read(name).count <= 4096 && all.count > 1)
            kept += all
        }
        #expect(InputPaths.entries(f.path)?.sorted() == ["d.jsonl", "d.jsonl.1", "d.jsonl.2"])
        // What is kept are the last ones, whole and in order; what is not was counted.
        let offsets = try kept.map { try DeadLetterTests.fields($0)["position"] }
        #expect(offsets == (30 - kept.count..<30).map { "{\"member\":2,\"offset\":\($0),\"index\":7}" })
        #expect(file.discardedFiles > 0 && file.discardedBytes > 0 && kept.count < 30)
    }

    @Test func aSingleFile() throws {
        let f = try Folder()
        let file = DeadLetterFile(path: f["d"], maximumBytes: 4096, maximumFiles: 1)
        for i in 0..<20 { file.append(DeadLetterTests.letter(i, String(repeating: "x", count: 700))) }
        #expect(try f.read("d").count <= 4096 && file.discardedFiles > 0 && file.written == 20)
        #expect(InputPaths.entries(f.path) == ["d"])
    }

    @Test func fullDisk() {
        let file = DeadLetterFile(path: "/dev/full")
        for i in 0..<3 { file.append(DeadLetterTests.letter(i)) }
        #expect(file.written == 0 && file.dropped == 3)
        #expect(file.failure?.contains("No space left") == true)
    }

    @Test func noFolder() throws {
        let f = try Folder()
        let file = DeadLetterFile(path: f["no/d"])
        file.append(DeadLetterTests.letter(0))
        #expect(file.dropped == 1 && file.failure?.contains("No such file") == true)
        f.make("no")
        file.append(DeadLetterTests.letter(1))
        #expect(file.written == 1)
    }

    @Test func reopenAndLinesCutByACrash() throws {
        let f = try Folder()
        let file = DeadLetterFile(path: f["d"])
        file.append(DeadLetterTests.letter(0))
        f.rename("d", "d.old")
        file.append(DeadLetterTests.letter(1))
        file.reopen()
        file.append(DeadLetterTests.letter(2))
        #expect(try DeadLetterTests.letters(f, "d.old").count == 2 && DeadLetterTests.letters(f, "d").count == 1)
        try f.append("d", "{\"source\":\"cut")
        DeadLetterFile(path: f["d"]).append(DeadLetterTests.letter(3))
        let all = try DeadLetterTests.letters(f, "d")
        #expect(all.count == 3 && JSONText.parse(all[2]) != nil && JSONText.parse(all[1]) == nil)
    }
}
