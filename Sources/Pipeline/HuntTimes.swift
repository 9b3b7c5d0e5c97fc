import Columnar
import Evaluation
import KQL

/// What times the rows of a read have, as its conditions tell.
struct HuntTimes {
    /// Closed interval of TimeGenerated outside of which no row passes. Rows without a time pass no condition on it.
    private(set) var least = Int64.min
    private(set) var greatest = Int64.max

    var isBounded: Bool { least != .min || greatest != .max }

    /// From conjuncts like `TimeGenerated > ago(1d)`: comparisons with what does not depend on the row.
    init(_ read: HuntRead, context: EvaluationContext) {
        guard let time = read.columns.first(where: { $0.name == "TimeGenerated" && $0.type == .datetime }) else { return }
        func isTime(_ e: BoundExpr) -> Bool { if case .column(time.id) = e.kind { true } else { false } }
        func instant(_ e: BoundExpr) -> Int64? {
            guard e.type == .datetime, HuntShelf.isRepeatable(e), PlanRewriter.columns(of: e).isEmpty,
                let compiled = try? CompiledExpression(e, input: [], subqueries: NoSubqueries()),
                let value = try? compiled.evaluate(Batch(columns: [], count: 1), context).materialized(rows: 1).value(0),
                case .datetime(let ticks) = value
            else { return nil }
            return ticks
        }
        for filter in read.filters.flatMap(PlanRewriter.conjuncts) {
            guard case .call(let name, let arguments) = filter.kind else { continue }
            switch (name, arguments.count) {
            case ("between", 3) where isTime(arguments[0]) && arguments[2].type == .datetime:
                if let t = instant(arguments[1]) { least = max(least, t) }
                if let t = instant(arguments[2]) { greatest = min(greatest, t) }
            case (">", 2), (">=", 2), ("<", 2), ("<=", 2), ("==", 2):
                let mirrored = isTime(arguments[1])
                guard mirrored || isTime(arguments[0]), let t = instant(arguments[mirrored ? 0 : 1]) else { continue }
                if name == "==" || name.hasPrefix(mirrored ? "<" : ">") { least = max(least, t) }
                if name == "==" || name.hasPrefix(mirrored ? ">" : "<") { greatest = min(greatest, t) }
            default: continue
            }
        }
    }

    /// Whether some row with a time in the closed interval may pass.
    func meets(_ low: Int64, _ high: Int64) -> Bool { low <= greatest && high >= least }

    // MARK: names of files

    /// How far a record's time may lie behind the moment at which its file was named: clocks differ.
    static let slack = KustoTime.ticksPerHour

    /// The moment up to which the cloud had received the records of a file, by its name; nil for names that do not tell.
    ///
    /// Azure Monitor's export writes `.../y=2026/m=03/d=02/h=14/m=00/PT1H.json` (the hour in which the records arrived), CloudTrail
    /// `111122223333_CloudTrail_eu-west-1_20260302T1405Z_x.json.gz` (the time of delivery). Records arrive after they happen, by any
    /// time: a name says how late a record can be, never how early.
    static func arrival(path: String) -> Int64? {
        let parts = path.split(separator: "/").map(String.init)
        if let y = parts.lastIndex(where: { $0.hasPrefix("y=") }), y + 3 < parts.count {
            func number(_ i: Int, _ name: String) -> Int? { parts[i].hasPrefix(name) ? Int(parts[i].dropFirst(name.utf8.count)) : nil }
            if let year = number(y, "y="), let month = number(y + 1, "m="), let day = number(y + 2, "d="), let hour = number(y + 3, "h=") {
                return moment(year, month, day, hour, 0).map { $0 &+ KustoTime.ticksPerHour }
            }
        }
        guard let name = parts.last, let mark = name.range(of: "_CloudTrail_") else { return nil }
        for field in name[mark.upperBound...].split(separator: "_") {
            let c = Array(field.utf8)
            guard c.count == 14, c[8] == 0x54, c[13] == 0x5A else { continue }
            func number(_ from: Int, _ n: Int) -> Int? { Int(String(decoding: c[from..<(from + n)], as: UTF8.self)) }
            guard let year = number(0, 4), let month = number(4, 2), let day = number(6, 2), let hour = number(9, 2),
                let minute = number(11, 2)
            else { return nil }
            return moment(year, month, day, hour, minute).map { $0 &+ KustoTime.ticksPerMinute }
        }
        return nil
    }

    private static func moment(_ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int) -> Int64? {
        guard (1...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0...23).contains(hour),
            (0...59).contains(minute),
            day <= KustoTime.daysInMonth(year, month)
        else { return nil }
        return KustoTime.ticks(year: year, month: month, day: day, hour: hour, minute: minute)
    }
}

extension String {
    /// The first place of a text, by bytes.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        guard !text.isEmpty else { return nil }
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(text) { return at..<index(at, offsetBy: text.count) }
            at = index(after: at)
        }
        return nil
    }
}
