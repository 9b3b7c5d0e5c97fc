import Columnar
import Evaluation
import KQL
import Matcher
import Rules

// One tick: the suffix over the window.
extension RuleRuntime {
    func evaluate(_ tick: Int64, complete: Bool, earliest: Int64?, amended: Bool) -> TickResult? {
        let window = (from: tick - program.clock.period, to: tick)
        if !program.needsEmptyTicks, !hasRows(from: window.from, to: window.to) { return nil }
        // Rows of this window were refused: what only grows with them is still true, all else is not known.
        // What was found while all were there stands.
        let isGapped = isGapped(tick)
        if isGapped, !program.isMonotone { return results[tick] }
        evaluations += 1
        let began = ContinuousClock.now
        defer { evaluationTime += began.duration(to: .now) }
        prepare()
        do {
            let stable = complete ? tick : finalThrough ?? .min
            var batches: [Batch] = []
            var groups: [GroupResult]?
            var triggers = triggered
            if let latest, seesTheSame(at: tick, as: latest.tick) {
                (batches, groups) = (latest.batches, latest.groups)
                repeats += 1
            } else {
                // Most ticks trigger nothing: what results were made of is only asked for when there are some.
                batches = try run(window, stable: stable, lineage: triggered)
                triggers = RuleProgram.triggers(program.rule, count: batches.reduce(0) { $0 + $1.count })
                if triggers, !triggered { batches = try run(window, stable: stable, lineage: true) }
                triggered = triggers
            }
            latest = (tick, batches, groups)
            observer?(
                TickObservation(
                    ruleID: program.rule.id, tick: tick, isComplete: complete, columns: program.split.suffix.columns, batches: batches))
            guard triggers else { return isGapped ? results[tick] : nil }
            let hasHistory = earliest.map { $0 <= window.from } ?? true
            if program.isBaseline, !hasHistory, !options.coldRaise {
                heldTicks += 1
                return nil
            }
            let found = groups ?? TickGrouping(program: program, options: options).groups(ResultRow.ordered(batches))
            latest?.groups = found
            return TickResult(
                groups: found,
                isWindowComplete: complete && !isGapped,
                isHistoryComplete: hasHistory, isAmended: amended)
        } catch {
            failure = "\(error); the tick \(KustoTime.isoString(tick)) has no result"
            return results[tick]
        }
    }

    /// Whether a tick is known to see the rows that an earlier or later one saw: none lies where an end of a view has passed.
    private func seesTheSame(at tick: Int64, as other: Int64) -> Bool {
        if tick == other { return true }
        guard program.panes.isRepeatable, options.mode == .streaming else { return false }
        let (low, high) = (min(tick, other), max(tick, other))
        return program.panes.views.indices.allSatisfy { leg in
            (program.panes.views[leg]?.bounds ?? []).allSatisfy { b in !hasRows(leg: leg, from: low + b.offset, to: high + b.offset) }
        }
    }

    /// The suffix over a window, whose end is the tick. Rows up to `stable` are all there, as far as is known.
    private func run(_ window: (from: Int64, to: Int64), stable: Int64, lineage: Bool) throws -> [Batch] {
        let context = EvaluationContext(now: window.to, seed: UInt64(bitPattern: window.to), limits: options.limits)
        joins?.update(stores)
        let provider = WindowProvider(
            program, stores, panes, joins, from: window.from, to: window.to, stable: stable, lineage: lineage, context: context)
        var executorOptions = ExecutorOptions()
        executorOptions.prepared = program.prepared
        executorOptions.lineage = lineage
        executorOptions.stableTake = true
        var batches: [Batch] = []
        let suffix = panes == nil && !program.panes.nodes.isEmpty ? program.panes.rowSuffix : program.panes.suffix
        try Executor(provider: provider, context: context, options: executorOptions).run(suffix) { batch in
            batches.append(batch)
            return true
        }
        return batches
    }
}
