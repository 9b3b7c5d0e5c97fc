import CKernels
import Columnar
import Detection
import Glibc
import Ingest
import Logging
import Matcher
import Pipeline
import Rules
import Storage

extension Daemon {
    private static func time(_ t: Int64?) -> Dynamic { t.map { $0 > 0 ? .string(KustoTime.isoString($0)) : .null } ?? .null }

    /// The JSON that `vedette status` prints.
    func status() -> String {
        var counters = retired
        for p in processors { counters.add(p.counters) }
        let remembered = processors.map(\.remembered)
        let letters = deadLetters.file
        let o: Dynamic = .object([
            .init("written", Daemon.time(WallClock.now)), .init("pid", .long(Int64(getpid()))),
            .init("records", .long(Int64(totals.records))), .init("rows", .long(Int64(totals.rows))),
            .init("raw_bytes", .long(Int64(totals.raw))), .init("dead_letters", .long(Int64(clamping: totals.dead))),
            .init("dead_letters_lost", .long(Int64(letters.dropped))),
            .init("dead_letter_files_deleted", .long(Int64(letters.discardedFiles))),
            .init("late_records", .long(Int64(totals.late))), .init("late_records_lost", .long(Int64(lateRecords.dropped))),
            .init("late_files_deleted", .long(Int64(lateRecords.discardedFiles))),
            .init("alerts", .long(Int64(totals.alerts))), .init("outbox", .long(Int64(sinks.waitingCount))),
            .init("paused", sinks.blocking.map { .string("the outbox of \($0) is full") } ?? .null),
            .init("outputs", sinks.status), .init("sources", sourceStatus), .init("rules", ruleStatus),
            .init(
                "matcher",
                .object([
                    .init("batches", .long(counters.batches)), .init("atom_kernels", .long(counters.atomKernels)),
                    .init("values_tested", .long(counters.valuesTested)), .init("memo_hits", .long(counters.memoHits)),
                    .init("residual_rows", .long(counters.residualRows)), .init("survivors", .long(counters.survivors)),
                    .init("memo_values", .long(Int64(remembered.reduce(0) { $0 + $1.values }))),
                ])),
            .init(
                "memory",
                .object([
                    .init("resident_bytes", .long(Int64(clamping: vk_resident_bytes()))),
                    .init("allocated_bytes", .long(Int64(clamping: vk_allocated_bytes()))),
                    .init("memo_bytes", .long(Int64(remembered.reduce(0) { $0 + $1.bytes }))),
                ])),
        ])
        return JSONText.compact(o)
    }

    private var sourceStatus: Dynamic {
        let streams = Dictionary((tails?.streams ?? []).map { ($0.id, $0) }) { a, _ in a }
        // Files that are followed, but have brought nothing since the start.
        let quiet = streams.values.filter { sources[$0.id] == nil }.map { s in
            (
                s.path,
                Dynamic.object([
                    .init("path", .string(s.path)), .init("position", .long(Int64(clamping: s.reader.rawOffset))),
                    .init("lag_bytes", .long(Int64(clamping: s.lag))),
                    .init("records", .long(Int64(clamping: (try? store.recordCount(ofStream: s.id)) ?? 0))),
                    .init("dead_letters", .long(Int64(clamping: s.deadLetters))), .init("late_records", .long(0)),
                    .init("event_time", Daemon.time(s.watermark)), .init("future_times", .long(0)), .init("idle", .bool(true)),
                    .init("tables", .array([])),
                ])
            )
        }
        let active = sources.filter { !$0.value.isDone }.map { id, s in
            let stream = streams[id]
            return (
                stream?.path ?? s.path,
                Dynamic.object([
                    .init("path", .string(stream?.path ?? s.path)),
                    .init("position", .long(Int64(clamping: stream?.reader.rawOffset ?? 0))),
                    .init("lag_bytes", .long(Int64(clamping: stream?.lag ?? 0))), .init("records", .long(Int64(clamping: s.records))),
                    .init("dead_letters", .long(Int64(clamping: stream?.deadLetters ?? 0))),
                    .init("late_records", .long(Int64(s.late))), .init("event_time", Daemon.time(s.clock.watermark)),
                    .init("future_times", .long(Int64(s.clock.futureTimes))), .init("idle", .bool(s.isIdle)),
                    .init("tables", .array(s.tables.sorted().map { .string($0) })),
                ])
            )
        }
        return .array((quiet + active).sorted { $0.0 < $1.0 }.map(\.1))
    }

    /// What each rule took since the start, dearest first.
    func ruleCosts() -> [RuleCost] {
        var legs: [LegReference: LegCost] = [:]
        for p in processors { for (leg, cost) in p.costs { legs[leg, default: LegCost()].add(cost) } }
        guard !retiredCosts.isEmpty else { return engine.costs(legs) }
        return engine.costs(legs).map { c in
            var c = c
            if let old = retiredCosts[c.id] {
                c.testedRows += old.rows
                c.survivors += old.survivors
                c.matchTime += old.time
            }
            return c
        }
    }

    /// Finds the rules whose own work took more of a processor than ``VedetteConfiguration/ruleProcessorPercent`` since the last look, and
    /// says so once each time a rule goes above. It is not slowed down and loses nothing.
    private func checkBudgets(_ costs: [RuleCost]) {
        let now = WallClock.monotonic
        let wall = Double(now - lookedAt.time) * 100
        // A share of a moment says nothing.
        guard wall >= 1e9 else { return }
        var above: Set<String> = []
        for c in costs {
            let spent = c.nanoseconds - (lookedAt.spent[c.id] ?? 0)
            let percent = 100 * spent / wall
            guard percent > Double(configuration.ruleProcessorPercent) else { continue }
            above.insert(c.id)
            guard !overBudget.contains(c.id) else { continue }
            log.warning(
                "rule is over its budget",
                metadata: [
                    "rule": "\(c.name)", "percent": "\(Int(percent))", "limit": "\(configuration.ruleProcessorPercent)",
                    "tested_rows": "\(c.testedRows)", "survivors": "\(c.survivors)", "retained_rows": "\(c.retainedRows)",
                ])
        }
        overBudget = above
        lookedAt = (
            now, Dictionary(costs.lazy.filter { $0.nanoseconds > 0 }.map { ($0.id, $0.nanoseconds) }, uniquingKeysWith: { a, _ in a })
        )
    }

    private var ruleStatus: Dynamic {
        let costs = ruleCosts()
        checkBudgets(costs)
        let byID = Dictionary(costs.map { ($0.id, $0) }, uniquingKeysWith: { a, _ in a })
        return .array(
            engine.figures.map { f in
                .object([
                    .init("id", .string(f.id)), .init("name", .string(f.name)), .init("retained_rows", .long(Int64(f.retainedRows))),
                    .init("spilled_rows", .long(Int64(f.spilledRows))), .init("groups", .long(Int64(f.groups))),
                    .init("cells", .long(Int64(f.cells))), .init("state_bytes", .long(Int64(f.stateBytes))),
                    .init("evidence_bytes", .long(Int64(f.evidenceBytes))), .init("open_alerts", .long(Int64(f.openEpisodes))),
                    .init("late_rows", .long(Int64(f.lateRows))), .init("held_ticks", .long(Int64(f.heldTicks))),
                    .init("suppressed", .long(Int64(f.suppressedOpenings))), .init("evaluations", .long(Int64(f.evaluations))),
                    .init("last_alert", Daemon.time(f.lastAlert)), .init("failure", f.failure.map { .string($0) } ?? .null),
                    .init("cpu_ms", .real(((byID[f.id]?.nanoseconds ?? 0) / 1e4).rounded() / 100)),
                    .init("tested_rows", .long(byID[f.id]?.testedRows ?? 0)), .init("survivors", .long(byID[f.id]?.survivors ?? 0)),
                    .init("over_budget", .bool(overBudget.contains(f.id))),
                ])
            })
    }
}
