import Columnar
import KQL
import Rules

/// Turns result cells into entities as Sentinel's mappings do.
struct EntityMapper: Sendable {
    private struct Mapping: Sendable {
        let type: String
        let fields: [(identifier: String, column: Int)]
    }
    private let mappings: [Mapping]
    private let arrays: [Int]

    /// Names that Sentinel drops from Account entities because they identify nobody.
    static let genericAccounts: Set<String> = [
        "ADMIN", "ADMINISTRATOR", "SYSTEM", "ROOT", "ANONYMOUS", "AUTHENTICATED USER", "NETWORK", "NULL", "LOCAL SYSTEM", "LOCALSYSTEM",
        "NETWORK SERVICE",
    ]
    /// Entities an alert carries at most; those beyond are counted.
    static let limit = 500

    /// Columns that the legacy form maps when a rule has no `entityMappings`.
    static let legacy: [(column: String, type: String, identifier: String)] = [
        ("AccountCustomEntity", "Account", "FullName"), ("HostCustomEntity", "Host", "FullName"), ("IPCustomEntity", "IP", "Address"),
        ("URLCustomEntity", "URL", "Url"), ("ProcessCustomEntity", "Process", "CommandLine"), ("FileHashCustomEntity", "FileHash", "Value"),
    ]

    /// Every mapping that a rule has, the legacy form included.
    static func effectiveMappings(_ rule: AnalyticsRule) -> [AnalyticsRule.EntityMapping] {
        if !rule.entityMappings.isEmpty { return rule.entityMappings }
        return legacy.map {
            AnalyticsRule.EntityMapping(
                entityType: $0.type, fields: [AnalyticsRule.FieldMapping(identifier: $0.identifier, columnName: $0.column)])
        }
    }

    init(_ rule: AnalyticsRule, columns: [BoundColumn]) {
        var mappings: [Mapping] = []
        for m in EntityMapper.effectiveMappings(rule) {
            var fields: [(String, Int)] = []
            for f in m.fields { if let i = columns.firstIndex(where: { $0.name == f.columnName }) { fields.append((f.identifier, i)) } }
            if !fields.isEmpty { mappings.append(Mapping(type: m.entityType, fields: fields)) }
        }
        self.mappings = mappings
        arrays = rule.sentinelEntityColumns.compactMap { name in columns.firstIndex { $0.name == name } }
    }

    var columns: [Int] { mappings.flatMap { $0.fields.map(\.column) } + arrays }

    /// The entities of one result row; a row whose mapped cells are all empty gives none.
    func entities(_ batch: Batch, row: Int) -> [Entity] {
        var out: [Entity] = []
        for m in mappings {
            var identifiers: [Dynamic.Member] = []
            for f in m.fields {
                let text = CellText.text(batch.columns[f.column].value(row))
                if !text.isEmpty { identifiers += EntityMapper.expand(m.type, f.identifier, text).filter { $0.value != .string("") } }
            }
            guard !identifiers.isEmpty else { continue }
            let e = Entity(type: m.type, identifiers: identifiers)
            if m.type == "Account", let name = e["Name"], EntityMapper.genericAccounts.contains(name.uppercased()) { continue }
            out.append(e)
        }
        for a in arrays {
            guard case .dynamic(let cell) = EntityMapper.asDynamic(batch.columns[a].value(row)), case .array(let items) = cell else {
                continue
            }
            for item in items {
                guard case .object(let members) = item else { continue }
                var type = "Unknown"
                if case .string(let t)? = item["Type"] ?? item["type"], !t.isEmpty { type = t }
                out.append(Entity(type: type, identifiers: members.filter { $0.key.lowercased() != "type" }))
            }
        }
        return out
    }

    private static func asDynamic(_ v: Value) -> Value {
        if case .string(let s) = v, let d = JSONText.parse(s) { return .dynamic(d) }
        return v
    }

    /// `FullName` is a compatibility identifier: it is taken apart into the schema's own ones.
    static func expand(_ type: String, _ identifier: String, _ text: String) -> [Dynamic.Member] {
        guard identifier == "FullName" else { return [.init(identifier, .string(text))] }
        switch type {
        case "Account":
            if let at = text.lastIndex(of: "@") {
                return [.init("Name", .string(String(text[..<at]))), .init("UPNSuffix", .string(String(text[text.index(after: at)...])))]
            }
            if let slash = text.firstIndex(of: "\\") {
                return [
                    .init("Name", .string(String(text[text.index(after: slash)...]))), .init("NTDomain", .string(String(text[..<slash]))),
                ]
            }
            return [.init("Name", .string(text))]
        case "Host":
            if let dot = text.firstIndex(of: ".") {
                return [
                    .init("HostName", .string(String(text[..<dot]))), .init("DnsDomain", .string(String(text[text.index(after: dot)...]))),
                ]
            }
            return [.init("HostName", .string(text))]
        default: return [.init(identifier, .string(text))]
        }
    }
}

/// Text of a cell as alerts and hunts show it: strings and dynamic strings bare, everything else as KQL's `tostring`, null as "".
public enum CellText {
    public static func text(_ v: Value) -> String {
        switch v {
        case .null: ""
        case .bool(let b): b ? "true" : "false"
        case .int(let i): String(i)
        case .long(let i): String(i)
        case .real(let d): KustoNumber.real(d, wholeSuffix: false)
        case .decimal(let d): d.description
        case .string(let s): s
        case .datetime(let t): KustoTime.isoString(t)
        case .timespan(let t): KustoTime.timespanString(t)
        case .guid(let g): guid(g)
        case .dynamic(.string(let s)): s
        case .dynamic(let d): JSONText.compact(d)
        }
    }

    static func guid(_ g: UInt128) -> String {
        let hex = String(g, radix: 16)
        let h = Array(String(repeating: "0", count: 32 - hex.utf8.count) + hex)
        return String(h[0..<8]) + "-" + String(h[8..<12]) + "-" + String(h[12..<16]) + "-" + String(h[16..<20]) + "-" + String(h[20..<32])
    }
}
