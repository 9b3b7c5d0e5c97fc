/// Rules over the same tables. Their clock is read once for all of them, and rules that hold nothing are passed over: what the passing of
/// time would change in them is only how far they are final, which they catch up with when a row comes.
///
/// So time costs the rules that hold rows, results or open episodes, and not those that wait.
struct ClockGroup {
    private struct Active {
        /// Position among the engine's runtimes.
        let rule: Int
        let runtime: RuleRuntime
        /// The least watermark that changes anything.
        var due: Int64
    }

    let tables: Set<String>
    let lateness: Int64
    /// The highest watermark so far; idle rules are final up to it.
    private(set) var mark: Int64?
    /// Ascending by rule.
    private var active: [Active] = []
    private var due = Int64.min

    init(tables: Set<String>, lateness: Int64, mark: Int64?) {
        self.tables = tables
        self.lateness = lateness
        self.mark = mark
    }

    /// Adds a rule; in ascending order of `rule`.
    mutating func add(_ rule: Int, _ runtime: RuleRuntime) {
        guard !runtime.isIdle else { return }
        active.append(Active(rule: rule, runtime: runtime, due: .min))
        due = .min
    }

    /// To be called before a rule takes rows. `earliest` is the least event time of the tables.
    mutating func wake(_ rule: Int, _ runtime: RuleRuntime, earliest: Int64?) {
        due = .min
        var low = 0
        var high = active.count
        while low < high {
            let middle = (low + high) / 2
            if active[middle].rule < rule { low = middle + 1 } else { high = middle }
        }
        if low < active.count, active[low].rule == rule {
            active[low].due = .min
            return
        }
        catchUp(runtime, earliest: earliest)
        active.insert(Active(rule: rule, runtime: runtime, due: .min), at: low)
    }

    /// Makes an idle rule as final as the group is.
    func catchUp(_ runtime: RuleRuntime, earliest: Int64?) {
        guard runtime.isIdle, let mark else { return }
        _ = runtime.advance(watermark: mark, lateness: lateness, earliest: earliest)
    }

    mutating func advance(watermark: Int64, earliest: Int64?, into events: inout [AlertEvent]) {
        if watermark > mark ?? .min { mark = watermark }
        // Before the tables bring their first row, no rule has a tick.
        guard watermark >= due, earliest != nil else { return }
        var next = Int64.max
        var hasIdle = false
        for i in active.indices where watermark >= active[i].due {
            events += active[i].runtime.advance(watermark: watermark, lateness: lateness, earliest: earliest)
            active[i].due = active[i].runtime.due(lateness: lateness)
            hasIdle = hasIdle || active[i].runtime.isIdle
        }
        if hasIdle { active.removeAll { $0.runtime.isIdle } }
        for a in active { next = min(next, a.due) }
        due = next
    }

    mutating func raiseEarly(earliest: Int64?, into events: inout [AlertEvent]) {
        for a in active where a.runtime.hasFreshRows { events += a.runtime.raiseEarly(earliest: earliest) }
    }

    /// Bytes of raw records that the rules keep; idle rules keep none.
    var rawBytes: Int { active.reduce(0) { $0 + $1.runtime.rawBytes } }
    var richest: RuleRuntime? { active.max { $0.runtime.rawBytes < $1.runtime.rawBytes }?.runtime }
}
