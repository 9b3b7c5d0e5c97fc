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
        let isGapped = gap.map { $0.least <= window.to && $0.greatest >= window.from } ?? false
        if isGapped, !program.isMonotone { return nil }
        evaluations += 1
        let began = ContinuousClock.now
        defer { evaluationTime += began.duration(to: .now) }
        prepare()
        do {
            let stable = complete ? tick : finalThrough ?? .min
            // Most ticks trigger nothing: what results were made of is only asked for when there are some.
            var batches = try run(window, stable: stable, lineage: triggered)
            let count = batches.reduce(0) { $0 + $1.count }
            let triggers = RuleProgram.triggers(program.rule, count: count)
            if triggers, !triggered { batches = try run(window, stable: stable, lineage: true) }
            triggered = triggers
            observer?(
                TickObservation(
                    ruleID: program.rule.id, tick: tick, isComplete: complete, columns: program.split.suffix.columns, batches: batches))
            guard triggers else { return nil }
            let hasHistory = earliest.map { $0 <= window.from } ?? true
            if program.isBaseline, !hasHistory, !options.coldRaise {
                heldTicks += 1
                return nil
            }
            return TickResult(
                groups: TickGrouping(program: program, options: options).groups(ResultRow.ordered(batches)),
                isWindowComplete: complete && !isGapped,
                isHistoryComplete: hasHistory, isAmended: amended)
        } catch {
            failure = "\(error)"
            return nil
        }
    }

    /// The suffix over a window, whose end is the tick. Rows up to `stable` are all there, as far as is known.
    private func run(_ window: (from: Int64, to: Int64), stable: Int64, lineage: Bool) throws -> [Batch] {
        let context = EvaluationContext(now: window.to, seed: UInt64(bitPattern: window.to), limits: options.limits)
        let provider = WindowProvider(
            program, stores, panes, from: window.from, to: window.to, stable: stable, lineage: lineage, context: context)
        var executorOptions = ExecutorOptions()
        executorOptions.lineage = lineage
        executorOptions.stableTake = true
        var batches: [Batch] = []
        let suffix = panes == nil ? program.split.suffix : program.panes.suffix
        try Executor(provider: provider, context: context, options: executorOptions).run(suffix) { batch in
            batches.append(batch)
            return true
        }
        return batches
    }
}
