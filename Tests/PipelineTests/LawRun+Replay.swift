import Detection
import Glibc
import Ingest
import Pipeline
import Synchronization
import Tables

extension LawRun {
    /// The log as files of JSON lines through `Replay`, as the command runs it.
    static func replay(_ lawCase: LawCase, threads: Int) throws -> LawOutcome {
        let directory = try ScratchDirectory()
        var files: [InputFile] = []
        for (i, records) in lawCase.log.sources.enumerated() {
            let text = records.map { $0.json + "\n" }.joined()
            files.append(InputFile(path: try directory.write("source\(i).json", text), size: UInt64(text.utf8.count)))
        }
        let engine = try LawRun.makeEngine(lawCase, takesCheckpoints: false)
        var outcome = LawOutcome()
        // The replay calls the engine, and so the observer, from one thread at a time.
        let observed = Mutex<[TickObservation]>([])
        engine.observer = { o in observed.withLock { $0.append(o) } }
        var options = ReplayOptions()
        options.threads = threads
        options.to = lawCase.completeThrough
        let result = try Replay(catalog: LawCase.catalog, options: options).run(
            files: files, standardInput: false, engine: engine, deadLetter: { _ in }, progress: { _ in })
        for e in result.events { outcome.alerts[e.alert.id] = e.alert }
        outcome.observations = observed.withLock { $0 }
        outcome.lateRows = result.summary.lateRows
        outcome.failures = engine.figures.compactMap(\.failure) + result.summary.problems
        return outcome
    }
}

/// A directory that lives as long as its value.
final class ScratchDirectory {
    let path: String
    private var files: [String] = []

    struct Failure: Error {}

    init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((base + "/vedette-law-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else { throw Failure() }
        path = String(cString: made)
    }

    func write(_ name: String, _ text: String) throws -> String {
        let file = path + "/" + name
        guard let f = fopen(file, "w") else { throw Failure() }
        defer { fclose(f) }
        let bytes = Array(text.utf8)
        guard fwrite(bytes, 1, bytes.count, f) == bytes.count else { throw Failure() }
        files.append(file)
        return file
    }

    deinit {
        for f in files { unlink(f) }
        rmdir(path)
    }
}
