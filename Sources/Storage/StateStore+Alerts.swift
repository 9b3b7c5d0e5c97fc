import Columnar
import GRDB

extension StateStore {
    /// What `alerts list` shows of an alert.
    public struct AlertRow: Sendable, Hashable {
        public let id: String
        public let revision: Int
        public let status: String
        public let ruleName: String
        public let severity: String
        public let techniques: String
        public let startTime: Int64
        public let endTime: Int64
        /// The alert as JSON (`docs/alert-schema.json`).
        public let json: String
    }

    /// Alerts by descending end time. Filters that are nil do not apply; times in ticks.
    public func alerts(severity: String? = nil, rule: String? = nil, since: Int64? = nil, until: Int64? = nil, limit: Int = 1000) throws
        -> [AlertRow]
    {
        var conditions: [String] = []
        var arguments = StatementArguments()
        if let severity {
            conditions.append("severity = ? COLLATE NOCASE")
            arguments += [severity]
        }
        if let rule {
            conditions.append("(rule_id = ? OR instr(lower(rule_name), lower(?)) > 0)")
            arguments += [rule, rule]
        }
        if let since {
            conditions.append("end_time >= ?")
            arguments += [since]
        }
        if let until {
            conditions.append("start_time <= ?")
            arguments += [until]
        }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        arguments += [limit]
        return try fetch(
            "SELECT id, revision, status, rule_name, severity, techniques, start_time, end_time, json FROM alert \(filter) ORDER BY end_time DESC, id LIMIT ?",
            arguments)
    }

    /// When the last alert of each rule ended, in ticks, by the rule's id; of rules that have alerts.
    public func lastAlertTimes() throws -> [String: Int64] {
        try wrap("cannot read the state in") {
            try queue.read { db in
                var times: [String: Int64] = [:]
                for row in try Row.fetchAll(db, sql: "SELECT rule_id, max(end_time) FROM alert GROUP BY rule_id") { times[row[0]] = row[1] }
                return times
            }
        }
    }

    /// Alerts whose id begins with `prefix`.
    public func alerts(idPrefix prefix: String) throws -> [AlertRow] {
        guard !prefix.isEmpty, prefix.allSatisfy(\.isHexDigit) else { return [] }
        return try fetch(
            "SELECT id, revision, status, rule_name, severity, techniques, start_time, end_time, json FROM alert WHERE id LIKE ? ORDER BY id LIMIT 20",
            [prefix + "%"])
    }

    private func fetch(_ sql: String, _ arguments: StatementArguments) throws -> [AlertRow] {
        try wrap("cannot read the state in") {
            try queue.read { db in
                try Row.fetchAll(db, sql: sql, arguments: arguments).map { row in
                    AlertRow(
                        id: row[0], revision: row[1], status: row[2], ruleName: row[3], severity: row[4], techniques: row[5],
                        startTime: row[6], endTime: row[7], json: row[8])
                }
            }
        }
    }

    /// How many rows one transaction of ``prune(alertsBefore:evidenceBefore:)`` touches, so that checkpoints do not wait for it.
    static let pruneBatch = 500

    /// Deletes alerts that were last written before a time, and takes the raw records out of those last written before another; open alerts
    /// are left alone. Wall time, in ticks; nil keeps everything. Returns the numbers of alerts deleted and stripped: at most
    /// `pruneBatch` each, to be called again while there is more.
    public func prune(alertsBefore: Int64?, evidenceBefore: Int64?) throws -> (deleted: Int, stripped: Int) {
        try wrap("cannot write the state to") {
            try queue.write { db in
                var deleted = 0
                if let alertsBefore {
                    try db.execute(
                        sql: "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE written < ? AND status != 'open' LIMIT ?)",
                        arguments: [alertsBefore, StateStore.pruneBatch])
                    deleted = db.changesCount
                }
                guard let evidenceBefore else { return (deleted, 0) }
                let rows = try Row.fetchAll(
                    db, sql: "SELECT id, json FROM alert WHERE evidence = 1 AND written < ? AND status != 'open' LIMIT ?",
                    arguments: [evidenceBefore, StateStore.pruneBatch])
                for row in rows {
                    let (id, json): (String, String) = (row[0], row[1])
                    try db.execute(
                        sql: "UPDATE alert SET json = ?, evidence = 0 WHERE id = ?", arguments: [StateStore.withoutRecords(json), id])
                }
                return (deleted, rows.count)
            }
        }
    }

    /// The alert with every evidence's `record` null; times, tables and hashes stay.
    static func withoutRecords(_ json: String) -> String {
        guard case .object(let members)? = JSONText.parse(json) else { return json }
        let stripped = members.map { m -> Dynamic.Member in
            guard m.key == "evidence", case .array(let items) = m.value else { return m }
            return .init(
                m.key,
                .array(
                    items.map { item in
                        guard case .object(let fields) = item else { return item }
                        return .object(fields.map { $0.key == "record" ? .init("record", .null) : $0 })
                    }))
        }
        return JSONText.compact(.object(stripped))
    }
}
