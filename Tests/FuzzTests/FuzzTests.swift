import FuzzTargets
import Glibc
import TestSupport
import Testing

/// The fuzzers' short run: every input of the corpus, every fixture (an input that once broke something), and mutations of them with a
/// fixed seed. `VEDETTE_FUZZ_SECONDS=60` mutates for so long per target instead; `VEDETTE_FUZZ_SEED` sets another seed. The long runs are
/// libFuzzer's: `Tools/fuzz.sh`.
///
/// An input that traps ends the process: it is then in the file `vedette-fuzz-TARGET` of the temporary folder.
@Suite(.serialized) struct FuzzTests {
    private static let folder = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex))

    @Test(arguments: FuzzTarget.allCases)
    func shortRun(target: FuzzTarget) throws {
        var corpus = FuzzTests.files("\(FuzzTests.folder)/Corpus/\(target.rawValue)")
        try #require(!corpus.isEmpty, "no corpus")
        corpus += FuzzTests.files("\(FuzzTests.folder)/Fixtures/\(target.rawValue)")
        for (name, bytes) in corpus { try check(target, bytes, name) }

        let seed = getenv("VEDETTE_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
        let words = FuzzTests.dictionary("\(FuzzTests.folder)/Dictionaries/\(target.rawValue).dict")
        var mutator = Mutator(seed: seed, corpus: corpus.map(\.bytes), words: words)
        let seconds = getenv("VEDETTE_FUZZ_SECONDS").flatMap { Double(String(cString: $0)) }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds ?? 2)
        var cases = 0
        while seconds == nil ? cases < 300 && clock.now < end : clock.now < end {
            try check(target, mutator.next(), "case \(cases) of seed \(seed)")
            cases += 1
        }
        print("fuzz \(target.rawValue): \(corpus.count) inputs, \(cases) mutations, seed \(seed)")
    }

    private func check(_ target: FuzzTarget, _ bytes: [UInt8], _ name: String) throws {
        let place = "\(FuzzTests.temporary)/vedette-fuzz-\(target.rawValue)"
        FuzzTests.write(bytes, to: place)
        do { try bytes.withUnsafeBytes { try target.run($0) } } catch {
            Issue.record("\(target.rawValue), \(name): \(error)")
        }
        unlink(place)
    }

    // MARK: Files

    private static let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"

    private static func files(_ folder: String) -> [(name: String, bytes: [UInt8])] {
        guard let d = opendir(folder) else { return [] }
        defer { closedir(d) }
        var names: [String] = []
        while let e = readdir(d) {
            let name = withUnsafePointer(to: &e.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted().map { ($0, read("\(folder)/\($0)")) }
    }

    private static func read(_ path: String) -> [UInt8] {
        guard let f = fopen(path, "rb") else { return [] }
        defer { fclose(f) }
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let n = fread(&buffer, 1, buffer.count, f)
            if n == 0 { return out }
            out += buffer.prefix(n)
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) {
        guard let f = fopen(path, "wb") else { return }
        fwrite(bytes, 1, bytes.count, f)
        fclose(f)
    }

    /// The words of a libFuzzer dictionary.
    private static func dictionary(_ path: String) -> [[UInt8]] {
        read(path).split(separator: 0x0A).compactMap { line in
            guard line.first == 0x22, line.last == 0x22, line.count > 2 else { return nil }
            var out: [UInt8] = []
            var escaped = false
            for b in line.dropFirst().dropLast() {
                if b == 0x5C, !escaped {
                    escaped = true
                } else {
                    out.append(b)
                    escaped = false
                }
            }
            return out
        }
    }
}

/// Changes inputs at random: bytes, pieces, words of the dictionary, pieces of other inputs.
private struct Mutator {
    private var random: Random
    private let corpus: [[UInt8]]
    private let words: [[UInt8]]

    private struct Random: SeededGenerator {
        var state: UInt64
    }

    init(seed: UInt64, corpus: [[UInt8]], words: [[UInt8]]) {
        random = Random(state: seed)
        self.corpus = corpus
        self.words = words.isEmpty ? [[0], [0xFF], Array("0".utf8)] : words
    }

    private mutating func below(_ n: Int) -> Int { n <= 0 ? 0 : Int.random(in: 0..<n, using: &random) }

    mutating func next() -> [UInt8] {
        var bytes = corpus[below(corpus.count)]
        for _ in 0...below(5) {
            let at = below(bytes.count + 1)
            let end = min(bytes.count, at + below(12))
            switch below(7) {
            case 0: bytes.removeSubrange(at..<end)
            case 1: bytes.insert(contentsOf: words[below(words.count)], at: at)
            case 2: bytes.replaceSubrange(at..<end, with: words[below(words.count)])
            case 3: bytes.insert(contentsOf: Array(bytes[at..<end]), at: below(bytes.count + 1))
            case 4: if at < bytes.count { bytes[at] = UInt8(below(256)) }
            case 5:
                let other = corpus[below(corpus.count)]
                let from = below(other.count)
                bytes.insert(contentsOf: other[from..<min(other.count, from + below(40))], at: at)
            default: if at < bytes.count { bytes[at] ^= 1 << UInt8(below(8)) }
            }
        }
        return Array(bytes.prefix(4096))
    }
}
