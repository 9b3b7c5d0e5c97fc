import ArgumentParser
import Columnar
import Evaluation
import Service

/// What a hunt may use. A limit that is reached is an error that names its option.
struct LimitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Most rows of the result.", valueName: "rows"))
    var maxRows: Int = EvaluationLimits().resultRows
    @Option(help: ArgumentHelp("Most rows that one operator may hold (sort, join, range ...).", valueName: "rows"))
    var maxHeldRows: Int = EvaluationLimits().heldRows
    @Option(
        help: ArgumentHelp("Most memory of the process: 4GiB, 512M; 0 for no limit (default: 3/4 of the machine's).", valueName: "size"))
    var maxMemory: String?
    @Option(help: ArgumentHelp("Most time: 90s, 5m (default: no limit).", valueName: "time"))
    var timeout: String?
    @Option(help: ArgumentHelp("Most memory of one regular expression.", valueName: "size"))
    var maxRegexMemory: String = "8MiB"

    func validate() throws {
        if maxRows < 1 || maxHeldRows < 1 { throw ValidationError("--max-rows and --max-held-rows take a positive number") }
        if let maxMemory, ByteSize.parse(maxMemory) == nil {
            throw ValidationError("--max-memory takes a size like 4GiB or 512M, not `\(maxMemory)`")
        }
        if let timeout, Durations.parse(timeout).map({ $0 > 0 }) != true {
            throw ValidationError("--timeout takes a time like 90s or 5m, not `\(timeout)`")
        }
        guard let bytes = ByteSize.parse(maxRegexMemory), (64 << 10...1 << 32).contains(bytes) else {
            throw ValidationError("--max-regex-memory takes a size from 64k to 4GiB, not `\(maxRegexMemory)`")
        }
    }

    /// The limits of the query; also sets that of regular expressions.
    func apply() -> EvaluationLimits {
        RegexLimit.set(bytes: ByteSize.parse(maxRegexMemory) ?? 8 << 20)
        var limits = EvaluationLimits(heldRows: maxHeldRows, resultRows: maxRows)
        let memory = maxMemory.flatMap(ByteSize.parse) ?? ProcessMemory.installed / 4 * 3
        if memory > 0 {
            limits.memoryBytes = memory
            // What can be put aside is put aside before that.
            limits.heldBytes = min(limits.heldBytes, memory / 4)
        }
        limits.countsProcess = true
        limits.seconds = timeout.flatMap(Durations.parse).map { Double($0) / Double(KustoTime.ticksPerSecond) }
        limits.settings = [
            .resultRows: "--max-rows", .heldRows: "--max-held-rows", .memoryBytes: "--max-memory", .seconds: "--timeout",
        ]
        return limits
    }
}
