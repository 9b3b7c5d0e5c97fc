import Columnar
import Rules

extension StateWriter {
    mutating func lineage(_ l: Lineage?) {
        bool(l != nil)
        guard let l else { return }
        key(l.least)
        key(l.greatest)
        i64(l.count)
        int(l.sample.count)
        for k in l.sample { key(k) }
    }

    mutating func texts(_ a: [String]) {
        int(a.count)
        for t in a { text(t) }
    }

    mutating func alert(_ a: Alert) {
        text(a.id)
        int(a.revision)
        text(a.status.rawValue)
        optionalText(a.mergedInto)
        bool(a.isAmended)
        text(a.ruleID)
        text(a.ruleName)
        optionalText(a.ruleVersion)
        text(a.name)
        text(a.description)
        text(a.severity.rawValue)
        texts(a.tactics)
        texts(a.techniques)
        int(a.entities.count)
        for e in a.entities {
            text(e.type)
            text(JSONText.compact(.object(e.identifiers)))
        }
        int(a.droppedEntities)
        int(a.details.count)
        for d in a.details {
            text(d.key)
            texts(d.values)
        }
        text(JSONText.compact(.object(a.dynamicProperties)))
        for t in [a.startTime, a.endTime, a.firstTick, a.lastTick, a.period, a.frequency, a.eventCount] { i64(t) }
        bool(a.isWindowComplete)
        bool(a.isHistoryComplete)
        int(a.resultCount)
        int(a.evidence.count)
        for e in a.evidence { key(e.key) }
        text(a.groupKey)
    }
}

extension StateReader {
    mutating func lineage() throws -> Lineage? {
        guard try bool() else { return nil }
        let least = try key()
        let greatest = try key()
        let count = try i64()
        var sample: [RowKey] = []
        for _ in 0..<(try self.count(of: 32)) { sample.append(try key()) }
        return Lineage(least: least, greatest: greatest, count: count, sample: sample)
    }

    mutating func texts() throws -> [String] {
        var a: [String] = []
        for _ in 0..<(try count(of: 8)) { a.append(try text()) }
        return a
    }

    private mutating func members() throws -> [Dynamic.Member] {
        guard case .object(let m)? = JSONText.parse(try text()) else { throw StateError("state has a damaged object") }
        return m
    }

    /// Evidence comes back as keys: raw records are looked up again when the alert is emitted.
    mutating func alert() throws -> Alert {
        let id = try text()
        let revision = try int()
        guard let status = Alert.Status(rawValue: try text()) else { throw StateError("state has an unknown alert status") }
        let mergedInto = try optionalText()
        let amended = try bool()
        let ruleID = try text()
        let ruleName = try text()
        let ruleVersion = try optionalText()
        let name = try text()
        let description = try text()
        guard let severity = AnalyticsRule.Severity(rawValue: try text()) else { throw StateError("state has an unknown severity") }
        let tactics = try texts()
        let techniques = try texts()
        var entities: [Entity] = []
        for _ in 0..<(try count(of: 16)) {
            let type = try text()
            entities.append(Entity(type: type, identifiers: try members()))
        }
        let dropped = try int()
        var details: [Alert.Detail] = []
        for _ in 0..<(try count(of: 16)) {
            let key = try text()
            details.append(Alert.Detail(key: key, values: try texts()))
        }
        let properties = try members()
        let start = try i64(), end = try i64(), first = try i64(), last = try i64()
        let period = try i64(), frequency = try i64(), events = try i64()
        let complete = try bool(), history = try bool()
        let results = try int()
        var evidence: [Evidence] = []
        for _ in 0..<(try count(of: 32)) { evidence.append(Evidence(key: try key(), table: "", raw: nil)) }
        return Alert(
            id: id, revision: revision, status: status, mergedInto: mergedInto, isAmended: amended, ruleID: ruleID, ruleName: ruleName,
            ruleVersion: ruleVersion, name: name, description: description, severity: severity, tactics: tactics, techniques: techniques,
            entities: entities, droppedEntities: dropped, details: details, dynamicProperties: properties, startTime: start, endTime: end,
            firstTick: first, lastTick: last, period: period, frequency: frequency, isWindowComplete: complete, isHistoryComplete: history,
            resultCount: results, eventCount: events, evidence: evidence, groupKey: try text())
    }
}

/// Alerts as bytes, evidence included: the outbox of sinks that could not take them yet.
public enum AlertCodec {
    public static func encode(_ alerts: [Alert]) -> [UInt8] {
        var w = StateWriter()
        w.u8(2)
        w.int(alerts.count)
        for a in alerts {
            w.alert(a)
            for e in a.evidence {
                w.text(e.table)
                w.optionalText(e.raw)
            }
        }
        return w.sealed()
    }

    public static func decode(_ bytes: [UInt8]) throws -> [Alert] {
        var r = try StateReader(sealed: bytes, version: 2, unsealed: 1, "alert list")
        var out: [Alert] = []
        for _ in 0..<(try r.count(of: 64)) {
            var a = try r.alert()
            var evidence: [Evidence] = []
            for e in a.evidence { evidence.append(Evidence(key: e.key, table: try r.text(), raw: try r.optionalText())) }
            a.evidence = evidence
            out.append(a)
        }
        try r.end()
        return out
    }
}
