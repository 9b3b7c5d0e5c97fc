import Columnar

// The plugins of user analytics, written out as KQL over their arguments. All of them cut a timeline into periods and count distinct ids.

/// The arguments that these plugins share.
struct ActivityArguments {
    /// Columns, quoted.
    let id: String
    let time: String
    let dimensions: [String]
    /// The analysed part of the timeline, as KQL.
    let start: String
    let end: String
    /// The arguments between `end` and the dimensions, as KQL.
    let settings: [String]
    /// `week`, `month` or `year` where a setting is one of these words.
    let calendar: [String?]
    /// The type of the timeline: datetime, long or real.
    let type: ScalarType

    /// Names of the dimensions inside the templates.
    var keys: [String] { dimensions.indices.map { "_x_d\($0)" } }

    /// `keys` in front of others, as a list.
    func list(_ others: String...) -> String { (keys + others).joined(separator: ", ") }

    /// `_x_d0 = ['dim'], ...`, for the first projection.
    var renamed: [String] { zip(keys, dimensions).map { "\($0) = \($1)" } }
    /// `['dim'] = _x_d0, ...`, for the last one.
    var named: [String] { zip(keys, dimensions).map { "\($1) = \($0)" } }

    /// The start of the period that `value` falls into.
    func period(_ value: String, _ n: Int) -> String {
        calendar[n].map { "startof\($0)(\(value))" } ?? "bin_at(\(value), \(settings[n]), _x_S)"
    }

    /// The start of the `k`-th period after that which starts at `value`.
    func later(_ value: String, _ k: String, _ n: Int) -> String {
        calendar[n].map { "startof\($0)(\(value), \(k))" } ?? "(\(value) + \(k) * \(settings[n]))"
    }

    /// How long a period is at least.
    func length(_ n: Int) -> String {
        switch calendar[n] {
        case "week"?: "7d"
        case "month"?: "28d"
        case "year"?: "365d"
        default: settings[n]
        }
    }

    /// A value of the timeline in its type.
    func converted(_ value: String) -> String {
        switch type {
        case .long: "tolong(\(value))"
        case .real: "toreal(\(value))"
        default: value
        }
    }

    /// The columns of `_x_B`: dimensions, `_x_i` (the id) and what is given, of rows with `_x_t` in a part of the timeline.
    func base(from: String, _ columns: String...) -> String {
        "_x_T | where \(time) between (\(from) .. _x_E) and isnotnull(\(id)) | extend _x_t = \(time) | project "
            + (renamed + ["_x_i = \(id)", "_x_t"] + columns).joined(separator: ", ")
    }
}

extension BindingSession {
    /// Binds one of these plugins; nil if `name` is none.
    func bindActivity(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation? {
        let query: (ActivityArguments) -> String
        var settings = 1
        var optionalRange = false
        var calendarAt = 0
        switch name.text {
        case "activity_counts_metrics": query = BindingSession.activityCounts
        case "activity_metrics": (query, optionalRange) = (BindingSession.activityMetrics, true)
        case "activity_engagement": (query, settings, optionalRange, calendarAt) = (BindingSession.activityEngagement, 2, true, -1)
        case "active_users_count": (query, settings, calendarAt) = (BindingSession.activeUsers, 4, 3)
        case "session_count": (query, settings) = (BindingSession.sessionCount, 2)
        case "sliding_window_counts": (query, settings, calendarAt) = (BindingSession.slidingWindow, 2, 1)
        case "new_activity_metrics": return bindNewActivity(name, args, input, scope, op)
        default: return nil
        }
        if input.isUnknown { return input }
        guard let a = activityArguments(name, args, settings, optionalRange, scope, op, calendarAt: calendarAt) else {
            return unknownRelation(op.range)
        }
        return expand(BindingSession.limits(a) + query(a), [("_x_T", input)], scope.env, op)
    }

    private static func limits(_ a: ActivityArguments) -> String { "let _x_S = \(a.start); let _x_E = \(a.end);\n" }

    /// The arguments; nil after reporting. `settings` is the number of those behind the end; the one at `calendarAt` may be a word.
    private func activityArguments(
        _ name: Name, _ args: [Expr], _ settings: Int, _ optionalRange: Bool, _ scope: Scope, _ op: Operator, calendarAt: Int
    ) -> ActivityArguments? {
        let least = 2 + settings + (optionalRange ? 0 : 2)
        guard args.count >= least, let ends = columnArguments(args[0...1], name, scope) else {
            if args.count < least {
                error(.argumentCount, "`\(name.text)` takes at least \(least) arguments, the first two an id and a time", op.range)
            }
            return nil
        }
        let (id, time) = (ends[0], ends[1])
        guard time.type == .datetime || time.type.isNumeric else {
            error(.argumentType, "the timeline of `\(name.text)` is a datetime or a number, not a \(time.type.rawValue)", args[1].range)
            return nil
        }
        func isColumn(_ i: Int) -> Bool { i < args.count && referencedColumn(args[i], scope) != nil }
        var hasRange = true
        if optionalRange {
            // Start and end are there if what follows them is the last setting, or the first of them is a point in time.
            guard let third = bind(args[2], scope) else { return nil }
            hasRange =
                time.type == .datetime
                ? third.type == .datetime
                : args.count >= least + 2 && !(2..<(4 + settings)).contains(where: isColumn)
        }
        let first = hasRange ? 4 : 2
        guard args.count >= first + settings else {
            error(.argumentCount, "`\(name.text)` takes \(count(settings, "setting")) behind the end of the timeline", op.range)
            return nil
        }
        var calendar: [String?] = []
        for i in (hasRange ? 2 : first)..<(first + settings) {
            guard let v = bind(args[i], scope) else { return nil }
            guard !usesColumns(v) else {
                error(.notConstant, "this argument of `\(name.text)` must not depend on the row", args[i].range)
                return nil
            }
            if i < first {
                guard v.type == time.type || (v.type.isNumeric && time.type.isNumeric) else {
                    error(.argumentType, "the timeline is a \(time.type.rawValue), this a \(v.type.rawValue)", args[i].range)
                    return nil
                }
                continue
            }
            if v.type == .string {
                guard time.type == .datetime, case .string(let word)? = constantValue(v), ["week", "month", "year"].contains(word),
                    calendarAt == i - first
                else {
                    error(
                        .badParameter, "this is a span of time" + (calendarAt == i - first ? ", 'week', 'month' or 'year'" : ""),
                        args[i].range)
                    return nil
                }
                calendar.append(word)
                continue
            }
            if let known = constantValue(v) {
                let isPositive = (known.double ?? known.integer.map(Double.init) ?? BindingSession.ticks(known).map(Double.init) ?? 1) > 0
                guard isPositive else {
                    error(.badParameter, "this must be more than zero", args[i].range)
                    return nil
                }
            }
            calendar.append(nil)
        }
        guard let dimensions = columnArguments(args[(first + settings)...], name, scope) else { return nil }
        let q = BindingSession.quoted
        let t = q(time.name)
        return ActivityArguments(
            id: q(id.name), time: t, dimensions: dimensions.map { q($0.name) },
            start: hasRange ? words(args[2]) : "toscalar(_x_T | summarize min(\(t)))",
            end: hasRange ? words(args[3]) : "toscalar(_x_T | summarize max(\(t)))",
            settings: (first..<(first + settings)).map { "(" + words(args[$0]) + ")" }, calendar: calendar,
            type: time.type.isInteger ? .long : time.type == .datetime ? .datetime : .real)
    }

    private static func ticks(_ v: Value) -> Int64? { if case .timespan(let t) = v { t } else { nil } }

    // MARK: The templates

    /// Rows, distinct ids, ids never seen before, and ids seen so far, by period.
    private static func activityCounts(_ a: ActivityArguments) -> String {
        """
        let _x_I = _x_T | where \(a.time) between (_x_S .. _x_E)
            | summarize _x_c = count() by \((a.renamed + ["_x_i = \(a.id)", "_x_w = " + a.period(a.time, 0)]).joined(separator: ", "));
        union (_x_I | project \(a.list("_x_w", "_x_c", "_x_u = tolong(isnotnull(_x_i))", "_x_n = 0"))),
            (_x_I | where isnotnull(_x_i) | summarize _x_w = min(_x_w) by \(a.list("_x_i"))
                | project \(a.list("_x_w", "_x_c = 0", "_x_u = 0", "_x_n = 1")))
        | summarize _x_c = sum(_x_c), _x_u = sum(_x_u), _x_n = sum(_x_n) by \(a.list("_x_w"))
        | extend _x_g = tostring(pack_array(\((a.keys + ["0"]).joined(separator: ", ")))) | sort by _x_g asc, _x_w asc
        | extend _x_a = row_cumsum(_x_n, _x_g != prev(_x_g)) | sort by _x_w asc, _x_g asc
        | project \((["\(a.time) = _x_w"] + a.named).joined(separator: ", ")), ['count'] = _x_c, ['dcount'] = _x_u, new_dcount = _x_n,
            aggregated_dcount = _x_a
        """
    }

    /// Ids of each period beside those of the period right before.
    private static func activityMetrics(_ a: ActivityArguments) -> String {
        """
        let _x_I = \(a.base(from: "_x_S")) | distinct \(a.list("_x_i", "_x_w = " + a.period("_x_t", 0)));
        union (_x_I | extend _x_c = 1, _x_p = 0), (_x_I | extend _x_w = \(a.later("_x_w", "1", 0)), _x_c = 0, _x_p = 1)
        | summarize _x_c = max(_x_c), _x_p = max(_x_p) by \(a.list("_x_i", "_x_w"))
        | summarize _x_v = sum(_x_c), _x_n = countif(_x_c == 1 and _x_p == 0), _x_r = countif(_x_c == 1 and _x_p == 1), _x_b = sum(_x_p)
            by \(a.list("_x_w"))
        | where _x_v > 0 | sort by \((["_x_w"] + a.keys).map { $0 + " asc" }.joined(separator: ", "))
        | project \(a.time) = _x_w, dcount_values = _x_v, dcount_newvalues = _x_n, retention_rate = toreal(_x_r) / toreal(_x_b),
            churn_rate = toreal(_x_b - _x_r) / toreal(_x_b)\(a.named.map { ", " + $0 }.joined())
        """
    }

    /// Ids of each inner period beside those of the outer one that ends with it.
    private static func activityEngagement(_ a: ActivityArguments) -> String {
        """
        let _x_I = \(a.base(from: "(_x_S - \(a.settings[1]) + \(a.settings[0]))")) | distinct \(a.list("_x_i", "_x_w = " + a.period("_x_t", 0)));
        union (_x_I | extend _x_c = 1),
            (_x_I | extend _x_k = range(1, tolong(\(a.settings[1]) / \(a.settings[0])) - 1, 1) | mv-expand _x_k to typeof(long)
                | where isnotnull(_x_k) | extend _x_w = _x_w + _x_k * \(a.settings[0]), _x_c = 0 | project-away _x_k)
        | where _x_w between (_x_S .. _x_E) | summarize _x_c = max(_x_c) by \(a.list("_x_i", "_x_w"))
        | summarize _x_n = sum(_x_c), _x_o = count() by \(a.list("_x_w")) | where _x_n > 0
        | sort by \((["_x_w"] + a.keys).map { $0 + " asc" }.joined(separator: ", "))
        | project \(a.time) = _x_w, dcount_activities_inner = _x_n, dcount_activities_outer = _x_o,
            activity_ratio = toreal(_x_n) / toreal(_x_o)\(a.named.map { ", " + $0 }.joined())
        """
    }

    /// Settings: the look-back, the period, how many periods, the step.
    private static func activeUsers(_ a: ActivityArguments) -> String {
        let period = a.settings[1]
        return """
            let _x_I = \(a.base(from: "(_x_S - \(a.settings[0]))")) | distinct \(a.list("_x_i", "_x_w = " + a.period("_x_t", 1)));
            union (_x_I | extend _x_h = 1, _x_n = 1),
                (_x_I | extend _x_k = range(1, tolong(\(a.settings[0]) / \(period)), 1) | mv-expand _x_k to typeof(long)
                    | where isnotnull(_x_k) and _x_k * \(period) < \(a.settings[0])
                    | extend _x_w = _x_w + _x_k * \(period), _x_h = 0, _x_n = 1 | project-away _x_k)
            | summarize _x_h = max(_x_h), _x_n = sum(_x_n) by \(a.list("_x_i", "_x_w"))
            | where _x_h == 1 and _x_n >= \(a.settings[2]) and _x_w >= _x_S
            | distinct \(a.list("_x_i", "_x_b = " + a.period("_x_w", 3)))
            | summarize _x_n = count() by \(a.list("_x_b")) | sort by \((["_x_b"] + a.keys).map { $0 + " asc" }.joined(separator: ", "))
            | project \((["\(a.time) = _x_b"] + a.named + ["['dcount'] = _x_n"]).joined(separator: ", "))
            """
    }

    /// Settings: the step, the look-back. A row opens a session if its id was not seen within the look-back.
    private static func sessionCount(_ a: ActivityArguments) -> String {
        """
        \(a.base(from: "(_x_S - \(a.settings[1]))")) | extend _x_g = tostring(pack_array(\(a.list("_x_i")))) | sort by _x_g asc, _x_t asc
        | extend _x_s = row_cumsum(tolong(_x_g != prev(_x_g) or _x_t - prev(_x_t) > \(a.settings[1])))
        | where _x_t >= _x_S | distinct \(a.list("_x_s", "_x_w = " + a.period("_x_t", 0)))
        | summarize _x_n = count() by \(a.list("_x_w")) | sort by \((["_x_w"] + a.keys).map { $0 + " asc" }.joined(separator: ", "))
        | project \((["\(a.time) = _x_w"] + a.named + ["count_sessions = _x_n"]).joined(separator: ", "))
        """
    }

    /// Settings: the look-back, the step. A period counts the rows of those that lie within the look-back, its own included.
    private static func slidingWindow(_ a: ActivityArguments) -> String {
        """
        _x_T | where \(a.time) between ((_x_S - \(a.settings[0])) .. _x_E)
        | summarize _x_c = count() by \((a.renamed + ["_x_i = \(a.id)", "_x_w = " + a.period(a.time, 1)]).joined(separator: ", "))
        | extend _x_k = range(0, tolong(\(a.settings[0]) / \(a.length(1))) + 1, 1) | mv-expand _x_k to typeof(long)
        | extend _x_p = \(a.later("_x_w", "_x_k", 1)) | where _x_p < _x_w + \(a.settings[0]) and _x_p between (\(a.period("_x_S", 1)) .. _x_E)
        | summarize _x_c = sum(_x_c) by \(a.list("_x_i", "_x_p"))
        | summarize _x_c = sum(_x_c), _x_n = countif(isnotnull(_x_i)) by \(a.list("_x_p"))
        | sort by \((["_x_p"] + a.keys).map { $0 + " asc" }.joined(separator: ", "))
        | project \((["\(a.time) = _x_p"] + a.named + ["Count = _x_c", "Dcount = _x_n"]).joined(separator: ", "))
        """
    }

    // MARK: new_activity_metrics

    /// `new_activity_metrics(id, time, start, end, window [, cohort] [, dimensions ...] [, lookback])`: what became of the ids first seen in
    /// each period, in each later one.
    private func bindNewActivity(_ name: Name, _ args: [Expr], _ input: Relation, _ scope: Scope, _ op: Operator) -> Relation {
        if input.isUnknown { return input }
        var rest = args
        var lookback: Relation?
        if args.count > 5, let last = args.last, isTabular(last, scope.env), referencedColumn(last, scope) == nil {
            guard let r = bindTabular(last, scope.env), !r.isUnknown else { return unknownRelation(op.range) }
            lookback = r
            rest.removeLast()
        }
        var cohort: String?
        if rest.count > 5, referencedColumn(rest[5], scope) == nil {
            guard bind(rest[5], scope) != nil else { return unknownRelation(op.range) }
            cohort = "(" + words(rest[5]) + ")"
            rest.remove(at: 5)
        }
        guard let a = activityArguments(name, rest, 1, false, scope, op, calendarAt: 0) else { return unknownRelation(op.range) }
        let q = BindingSession.quoted
        var known = ""
        if let l = lookback {
            // The ids stand in the column of the id's name, or in the first one.
            guard let c = l.columns.first(where: { q($0.name) == a.id }) ?? l.columns.first else { return unknownRelation(op.range) }
            known = " | where _x_i !in ((_x_L | project \(q(c.name))))"
        }
        let columnName = columnArguments(rest[1...1], name, scope)?.first?.name ?? ""
        let type = a.type.rawValue
        func expanded(_ column: String) -> String { "extend \(column) = _x_P | mv-expand \(column) to typeof(\(type))" }
        let query = """
            let _x_S = \(a.start); let _x_E = \(a.end); let _x_S0 = \(a.period("_x_S", 0));
            let _x_P = toscalar(range _x_k from 0 to tolong((_x_E - _x_S0) / \(a.length(0))) step 1
                | project _x_p = \(a.later("_x_S0", "_x_k", 0)) | where _x_p <= _x_E | summarize make_list(_x_p));
            let _x_A = \(a.base(from: "_x_S")) | distinct \(a.list("_x_i", "_x_w = \(a.converted(a.period("_x_t", 0)))"));
            let _x_M = _x_A\(known) | summarize _x_ws = make_set(_x_w), _x_f = min(_x_w) by \(a.list("_x_i"))
                | mv-expand _x_w = _x_ws to typeof(\(type)) | summarize _x_n = count() by \(a.list("_x_f", "_x_w"));
            union
                (_x_A | distinct \(a.keys.isEmpty ? "_x_z = 0" : a.keys.joined(separator: ", ")) | \(expanded("_x_f")) | \(expanded("_x_w"))
                    | where _x_w >= _x_f | project \(a.list("_x_f", "_x_w", "_x_n = 0", "_x_r = 0", "_x_c = 0"))),
                (_x_M | project \(a.list("_x_f", "_x_w", "_x_n = iff(_x_f == _x_w, _x_n, 0)", "_x_r = _x_n", "_x_c = 0"))),
                (_x_M | extend _x_o = _x_f | \(expanded("_x_f")) | where _x_f < _x_o
                    | project \(a.list("_x_f", "_x_w", "_x_n", "_x_r = 0", "_x_c = 0"))),
                (_x_M | where _x_w == _x_f | extend _x_c = _x_n | \(expanded("_x_w")) | where _x_w >= _x_f
                    | project \(a.list("_x_f", "_x_w", "_x_n = 0", "_x_r = 0", "_x_c")))
            | summarize _x_n = sum(_x_n), _x_r = sum(_x_r), _x_c = sum(_x_c) by \(a.list("_x_f", "_x_w"))
            \(cohort.map { "| where _x_f == " + a.converted(a.period($0, 0)) } ?? "")
            | sort by \((["_x_f", "_x_w"] + a.keys).map { $0 + " asc" }.joined(separator: ", "))
            | project \(q("from_" + columnName)) = _x_f, \(q("to_" + columnName)) = _x_w, dcount_new_values = _x_n,
                dcount_retained_values = _x_r, dcount_churn_values = _x_c - _x_r, retention_rate = toreal(_x_r) / toreal(_x_c),
                churn_rate = toreal(_x_c - _x_r) / toreal(_x_c)\(a.named.map { ", " + $0 }.joined())
            """
        return expand(query, [("_x_T", input)] + (lookback.map { [("_x_L", $0)] } ?? []), scope.env, op)
    }
}
