import Columnar
import KQL
import Rules

/// A result row of one tick with what it was made of.
struct ResultRow {
    let batch: Batch
    let row: Int
    let key: RowKey
    /// Nil if no row of a table contributed.
    let lineage: Lineage?

    /// The rows of a result in the order of their keys: what alerts are made of must not depend on arrival.
    static func ordered(_ batches: [Batch]) -> [ResultRow] {
        var rows: [ResultRow] = []
        rows.reserveCapacity(batches.reduce(0) { $0 + $1.count })
        for batch in batches {
            for r in 0..<batch.count {
                let key = batch.keys.map { $0[r] } ?? .ordinal(rows.count)
                let lineage = batch.lineage.map { $0[r] }
                rows.append(ResultRow(batch: batch, row: r, key: key, lineage: (lineage?.count ?? 0) > 0 ? lineage : nil))
            }
        }
        rows.sort { $0.key < $1.key }
        return rows
    }
}

/// Puts the result rows of a triggering tick into the groups that alerts are about (`docs/semantics.md`, "Alerts").
struct TickGrouping {
    let program: RuleProgram
    let options: DetectionOptions

    /// `rows` as ``ResultRow/ordered(_:)`` gives them.
    func groups(_ rows: [ResultRow]) -> [GroupResult] {
        if program.rule.grouping == .singleAlert { return [group("", rows)] }
        var order: [ByteKey] = []
        var members: [ByteKey: [ResultRow]] = [:]
        for (i, r) in rows.enumerated() {
            let key = ByteKey(options.mode == .parity ? "row\(i)" : groupKey(r))
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(r)
        }
        let cap = options.mode == .parity ? (program.rule.kind == .nrt ? 30 : 150) : options.alertsPerTick
        if options.mode == .streaming { order.sort() }
        guard order.count > cap, cap > 0 else { return order.map { group($0.text, members[$0] ?? []) } }
        let overflow = order.dropFirst(cap - 1).flatMap { members[$0] ?? [] }
        return order.prefix(cap - 1).map { group($0.text, members[$0] ?? []) } + [group("\u{1}overflow", overflow)]
    }

    private func groupKey(_ r: ResultRow) -> String {
        if let columns = program.groupColumns {
            return TickGrouping.join(columns.map { CellText.text(r.batch.columns[$0].value(r.row)) })
        }
        let entities = program.builder.mapper.columns
        let values = entities.map { CellText.text(r.batch.columns[$0].value(r.row)) }
        if values.contains(where: { !$0.isEmpty }) { return TickGrouping.join(values) }
        return "\(r.key.time):\(r.key.hashHigh):\(r.key.hashLow):\(r.key.path)"
    }

    /// The values of a key as one text. Different values give different texts: a separator inside a value is escaped.
    static func join(_ values: [String]) -> String {
        guard values.count > 1 else { return values.first ?? "" }
        return values.map { v in
            guard v.utf8.contains(where: { $0 == 0x1F || $0 == 0x1B }) else { return v }
            var out = ""
            for c in v.unicodeScalars {
                if c == "\u{1f}" || c == "\u{1b}" { out.unicodeScalars.append("\u{1b}") }
                out.unicodeScalars.append(c == "\u{1f}" ? "u" : c)
            }
            return out
        }.joined(separator: "\u{1f}")
    }

    private func group(_ key: String, _ rows: [ResultRow]) -> GroupResult {
        var lineage: Lineage?
        for r in rows {
            guard let l = r.lineage else { continue }
            if lineage == nil { lineage = l } else { lineage?.merge(l) }
        }
        return GroupResult(
            key: key, lineage: lineage, resultCount: rows.count, content: program.builder.content(rows.map { ($0.batch, $0.row) }))
    }
}

/// What one evaluation of a rule at a tick gave, for tests of the law and for traces.
package struct TickObservation {
    package let ruleID: String
    package let tick: Int64
    /// The window had closed: this is the tick's final result, unless a late row brings another.
    package let isComplete: Bool
    package let columns: [BoundColumn]
    package let batches: [Batch]
}
