import Columnar
import Matcher
import Rules

/// A record whose rows came when no rule could take them into a window any more: every tick that covers them is final and forgotten.
///
/// It is written to the late file, after stateless rules have seen it (`docs/semantics.md`, "Streaming, lateness, absence").
public struct LateRow: Sendable, Hashable {
    /// Event time of its first row, in ticks.
    public let time: Int64
    public let table: String
    public let hash: RecordHash
    /// Rows of the record that were late.
    public let rows: Int
    /// Names of the rules that can no longer see it.
    public let missedBy: [String]
    /// Names of the stateless rules that were evaluated for it all the same.
    public let evaluatedBy: [String]
    /// The record (at most 64 KiB).
    public let raw: String?

    /// One line of JSON: `source`, `time`, `table`, `record_hash`, `rows`, `missed_by`, `evaluated_by`, `record`.
    public func jsonLine(source: String) -> String {
        JSONText.compact(
            .object([
                .init("source", .string(source)), .init("time", .string(KustoTime.isoString(time))), .init("table", .string(table)),
                .init("record_hash", .string(Evidence.hex(hash.high) + Evidence.hex(hash.low))), .init("rows", .long(Int64(rows))),
                .init("missed_by", .array(missedBy.map { .string($0) })), .init("evaluated_by", .array(evaluatedBy.map { .string($0) })),
                .init("record", raw.map { JSONText.parse($0) ?? .string($0) } ?? .null),
            ]))
    }

    /// What one leg could not take.
    struct Refusal {
        /// Position of the survivors among those of the chunk.
        let survivors: Int
        let program: RuleProgram
        let keys: [RowKey]
    }

    /// The records of a chunk that no leg took. What a rule refused but another one retains is not among them.
    static func collect(_ refusals: [Refusal], of survivors: [SurvivorRows]) -> [LateRow] {
        struct Found {
            var time = Int64.max
            var table = ""
            var rows = 0
            var missed: Set<String> = []
            var evaluated: Set<String> = []
            var raw: String?
        }
        var found: [RecordHash: Found] = [:]
        var refused: [Int: [RowKey: Int]] = [:]
        for r in refusals {
            var rows: [RecordHash: Int] = [:]
            for k in r.keys {
                let hash = RecordHash(k)
                rows[hash, default: 0] += 1
                refused[r.survivors, default: [:]][k, default: 0] += 1
                var f = found[hash] ?? Found()
                f.time = min(f.time, k.time)
                f.rows = max(f.rows, rows[hash] ?? 0)
                f.table = r.program.split.legs[survivors[r.survivors].matches.leg.leg].table
                if r.program.isRowLocal { f.evaluated.insert(r.program.rule.name) } else { f.missed.insert(r.program.rule.name) }
                f.raw = f.raw ?? survivors[r.survivors].raw[hash]
                found[hash] = f
            }
        }
        for (i, s) in survivors.enumerated() {
            for k in s.matches.rows.keys ?? [] where refused[i]?[k] == nil { found[RecordHash(k)] = nil }
        }
        return found.map { hash, f in
            LateRow(
                time: f.time, table: f.table, hash: hash, rows: f.rows, missedBy: f.missed.sorted(), evaluatedBy: f.evaluated.sorted(),
                raw: f.raw)
        }.sorted { ($0.time, $0.hash.high, $0.hash.low) < ($1.time, $1.hash.high, $1.hash.low) }
    }
}
