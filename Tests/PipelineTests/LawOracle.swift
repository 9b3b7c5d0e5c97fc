import Columnar
import KQL
import Rules
import Tables

@testable import Detection
@testable import Evaluation

/// The plain reading of the law: at each tick the original query runs over all rows of the window, with nothing prepared, cut or kept.
struct LawOracle {
    struct Tick {
        let rows: [String]
        let batches: [Batch]
        let count: Int
    }

    struct Answer {
        /// Ticks that must be evaluated finally, ascending.
        var ticks: [Int64] = []
        /// A tick whose window is still open when the input ends.
        var open: Int64?
        var results: [Int64: Tick] = [:]
        /// By id, in the final version.
        var alerts: [String: Alert] = [:]
    }

    /// Deliberately wrong readings, to prove that a difference would be found.
    enum Flaw: String, Sendable, CaseIterable { case openStart, openEnd, earlyNow }

    let lawCase: LawCase
    private let flaw: Flaw?
    private let tables: [(schema: TableSchema, batch: Batch)]
    let highest: Int64

    init(_ lawCase: LawCase, flaw: Flaw? = nil) {
        self.lawCase = lawCase
        self.flaw = flaw
        var needs: [String: Set<String>] = [:]
        for name in RuleGenerator.tableNames { needs[name] = Set(LawCase.catalog.table(name)?.columns.map(\.name) ?? []) }
        let normalizer = Normalizer(catalog: LawCase.catalog, needs: needs)
        var whole: [String: Batch] = [:]
        for source in lawCase.log.sources {
            // One stream: a record without a time has that of the one before it.
            for (name, batch) in TableRows.make(fromJSON: source.map(\.json), normalizer: normalizer).batches {
                whole[name] = whole[name].map { $0.appending(batch) } ?? batch
            }
        }
        tables = normalizer.tables.map { t in
            let none = Batch(columns: t.columns.map { Column.nulls($0.type, count: 0) }, count: 0, keys: [])
            return (TableSchema(name: t.name, columns: t.columns), whole[t.name] ?? none)
        }
        highest = lawCase.log.sources.joined().map(\.time).max() ?? 0
    }

    private func earliest(_ program: RuleProgram) -> Int64? {
        let mine = tables.filter { program.tables.contains($0.schema.name) }.flatMap { ($0.batch.keys ?? []).map(\.time) }.min()
        return mine ?? lawCase.log.sources.joined().map(\.time).min()
    }

    /// The query's rows at a tick.
    func result(_ rule: Int, at tick: Int64) throws -> Tick {
        let program = lawCase.programs[rule]
        let plan = lawCase.plans[rule]
        let from = tick - program.clock.period + (flaw == .openStart ? 1 : 0)
        let to = tick - (flaw == .openEnd ? 1 : 0)
        var window = MemoryTables()
        for (schema, batch) in tables {
            let keys = batch.keys ?? []
            let rows = ContiguousArray(keys.indices.filter { keys[$0].time >= from && keys[$0].time <= to }.map { Int32($0) })
            window.add(schema, batches: [batch.gather(rows)])
        }
        let context = EvaluationContext(now: flaw == .earlyNow ? tick - program.clock.period / 3 : tick, seed: UInt64(bitPattern: tick))
        let execution = Execution(
            provider: window, context: context, options: ExecutorOptions(lineage: true, stableTake: true, batchRows: 5))
        let wanted = program.columns.map(\.name)
        let positions = wanted.compactMap { n in plan.columns.firstIndex { $0.name == n } }
        var batches: [Batch] = []
        try execution.run(plan, Environment()) { b in
            if b.count > 0 {
                batches.append(Batch(columns: positions.map { b.columns[$0] }, count: b.count, keys: b.keys, lineage: b.lineage))
            }
            return true
        }
        return Tick(
            rows: Canonical.rows(positions.map { plan.columns[$0] }, batches), batches: batches, count: batches.reduce(0) { $0 + $1.count })
    }

    func answer(_ rule: Int) throws -> Answer {
        let program = lawCase.programs[rule]
        let clock = program.clock
        var answer = Answer()
        guard let earliest = earliest(program) else { return answer }
        let through = lawCase.completeThrough ?? highest
        var tick = clock.first(atOrAfter: earliest)
        while tick <= through {
            answer.ticks.append(tick)
            tick += clock.frequency
        }
        if lawCase.completeThrough == nil, tick == clock.first(atOrAfter: highest), tick > highest { answer.open = tick }
        var folded: [(tick: Int64, result: TickResult)] = []
        for t in answer.ticks + (answer.open.map { [$0] } ?? []) {
            let result = try result(rule, at: t)
            answer.results[t] = result
            guard RuleProgram.triggers(program.rule, count: result.count) else { continue }
            if t == answer.open, !program.isMonotone { continue }
            let hasHistory = earliest <= t - clock.period
            if program.isBaseline, !hasHistory, !lawCase.coldRaise { continue }
            folded.append(
                (
                    t,
                    TickResult(
                        groups: TickGrouping(program: program, options: lawCase.options).groups(ResultRow.ordered(result.batches)),
                        isWindowComplete: t != answer.open, isHistoryComplete: hasHistory, isAmended: false)
                ))
        }
        answer.alerts = alerts(program, folded, final: clock.last(atOrBefore: through))
        return answer
    }

    private func alerts(_ program: RuleProgram, _ results: [(tick: Int64, result: TickResult)], final: Int64) -> [String: Alert] {
        let fold = EpisodeFold(
            rule: program.rule, frequency: program.clock.frequency, period: program.clock.period,
            identify: { program.alertID($0, $1) })
        if lawCase.mode == .streaming {
            var (alerts, state) = fold.fold(EpisodeFold.State(), results)
            fold.closeBefore(final, &state, &alerts)
            return alerts
        }
        var alerts: [String: Alert] = [:]
        var quietUntil = Int64.min
        for (tick, result) in results where tick > quietUntil {
            for g in result.groups {
                var a = fold.alert(g, tick, result)
                a.status = .closed
                alerts[a.id] = a
            }
            if !result.groups.isEmpty, let d = program.rule.suppression { quietUntil = tick + d }
        }
        return alerts
    }
}
