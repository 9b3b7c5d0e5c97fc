import Columnar
import Rules

/// An entity of an alert: its type and identifiers in Sentinel's spelling.
public struct Entity: Sendable, Hashable {
    public let type: String
    /// Identifier → value, in the order of the mapping.
    public let identifiers: [Dynamic.Member]

    public init(type: String, identifiers: [Dynamic.Member]) {
        self.type = type
        self.identifiers = identifiers
    }

    public subscript(identifier: String) -> String? {
        for m in identifiers where m.key == identifier { if case .string(let s) = m.value { return s } }
        return nil
    }

    var json: Dynamic { .object([Dynamic.Member("type", .string(type))] + identifiers) }
}

/// A contributing record, as kept with an alert.
public struct Evidence: Sendable, Hashable {
    public let key: RowKey
    public let table: String
    /// The raw record (at most 64 KiB); nil if the evidence budget had dropped it.
    public let raw: String?

    public init(key: RowKey, table: String, raw: String?) {
        self.key = key
        self.table = table
        self.raw = raw
    }
}

/// An alert: one episode of a rule and group (`docs/semantics.md`, "Alerts"); in parity mode, one result of one tick.
public struct Alert: Sendable, Hashable {
    public enum Status: String, Sendable, Hashable { case open, closed, merged }

    /// H(rule id, group key, first tick): equal for equal input.
    public var id: String
    /// 1 for the opening, then counted up by each later version.
    public var revision: Int
    public var status: Status
    public var mergedInto: String?
    /// An already final tick was run again because of a late row.
    public var isAmended = false

    public var ruleID: String
    public var ruleName: String
    public var ruleVersion: String?
    public var name: String
    public var description: String
    public var severity: AnalyticsRule.Severity
    public var tactics: [String]
    public var techniques: [String]
    public var entities: [Entity]
    /// Entities beyond the limit of 500.
    public var droppedEntities = 0
    /// Detail → distinct values.
    public var customDetails: [(key: String, values: [String])] {
        get { details.map { ($0.key, $0.values) } }
        set { details = newValue.map { Detail(key: $0.key, values: $0.values) } }
    }
    struct Detail: Sendable, Hashable {
        var key: String
        var values: [String]
    }
    var details: [Detail] = []
    public var dynamicProperties: [Dynamic.Member] = []

    /// Least and greatest contributing event time, in datetime ticks; the window's ends when no row contributed.
    public var startTime: Int64
    public var endTime: Int64
    public var firstTick: Int64
    public var lastTick: Int64
    public var period: Int64
    public var frequency: Int64
    public var isWindowComplete: Bool
    public var isHistoryComplete: Bool
    /// Result rows at the last contributing tick.
    public var resultCount: Int
    /// Contributing source rows at the last contributing tick.
    public var eventCount: Int64
    public var evidence: [Evidence]
    public var groupKey: String

    /// The alert as documented in `docs/alert-schema.json`, keys in a fixed order.
    public var json: Dynamic {
        func text(_ t: Int64) -> Dynamic { .string(KustoTime.isoString(t)) }
        var o: [Dynamic.Member] = [
            .init("id", .string(id)),
            .init("revision", .long(Int64(revision))),
            .init("status", .string(status.rawValue)),
            .init("time", text(endTime)),
            .init("rule_id", .string(ruleID)),
            .init("rule_name", .string(ruleName)),
            .init("rule_version", ruleVersion.map { .string($0) } ?? .null),
            .init("name", .string(name)),
            .init("description", .string(description)),
            .init("severity", .string(severity.rawValue)),
            .init("tactics", .array(tactics.map { .string($0) })),
            .init("techniques", .array(techniques.map { .string($0) })),
            .init("entities", .array(entities.map(\.json))),
            .init("start_time", text(startTime)),
            .init("end_time", text(endTime)),
            .init(
                "window",
                .object([
                    .init("start", text(firstTick - period)), .init("end", text(lastTick)), .init("first_tick", text(firstTick)),
                    .init("last_tick", text(lastTick)), .init("frequency", .string(KustoTime.timespanString(frequency))),
                    .init("period", .string(KustoTime.timespanString(period))),
                ])),
            .init("window_complete", .bool(isWindowComplete)),
            .init("history_complete", .bool(isHistoryComplete)),
            .init("result_count", .long(Int64(resultCount))),
            .init("event_count", .long(eventCount)),
            .init("custom_details", .object(details.map { .init($0.key, .array($0.values.map { .string($0) })) })),
            .init("evidence", .array(evidence.map(\.json))),
        ]
        if !dynamicProperties.isEmpty { o.append(.init("properties", .object(dynamicProperties))) }
        if droppedEntities > 0 { o.append(.init("entities_dropped", .long(Int64(droppedEntities)))) }
        if let mergedInto { o.append(.init("merged_into", .string(mergedInto))) }
        if isAmended { o.append(.init("amended", .bool(true))) }
        return .object(o)
    }

    /// One line of JSON, without a line end.
    public var jsonLine: String { JSONText.compact(json) }
}

extension Evidence {
    var json: Dynamic {
        var o: [Dynamic.Member] = [
            .init("time", .string(KustoTime.isoString(key.time))), .init("table", .string(table)),
            .init("record_hash", .string(Evidence.hex(key.hashHigh) + Evidence.hex(key.hashLow))),
        ]
        if let raw { o.append(.init("record", JSONText.parse(raw) ?? .string(raw))) } else { o.append(.init("record", .null)) }
        return .object(o)
    }

    static func hex(_ v: UInt64) -> String {
        let s = String(v, radix: 16)
        return String(repeating: "0", count: 16 - s.utf8.count) + s
    }
}
