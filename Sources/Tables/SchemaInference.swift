import Columnar
import KQL

/// Infers the columns of tables that nobody declared, from the records themselves.
///
/// Keys become columns under their own names. Types: bool, long, real, datetime (every string of the column is an ISO time), string,
/// dynamic for objects and arrays. Conflicts widen: long and real give real; datetime and string give string; anything else gives dynamic.
/// A column of nulls only is a string. Columns stand in order of first appearance, after `TimeGenerated` and `Type`.
public struct SchemaInference: Sendable {
    private var tables: [String: Columns] = [:]
    /// Records added, of all tables.
    public private(set) var recordCount = 0

    private struct Columns {
        var order: [String] = []
        var types: [String: Kind] = [:]
    }

    private enum Kind {
        case nothing, bool, long, real, datetime, string, dynamic

        func widened(_ other: Kind) -> Kind {
            switch (self, other) {
            case (.nothing, let k), (let k, .nothing): k
            case let (a, b) where a == b: a
            case (.long, .real), (.real, .long): .real
            case (.datetime, .string), (.string, .datetime): .string
            default: .dynamic
            }
        }

        var type: ScalarType {
            switch self {
            case .bool: .bool
            case .long: .long
            case .real: .real
            case .datetime: .datetime
            case .nothing, .string: .string
            case .dynamic: .dynamic
            }
        }
    }

    public init() {}

    /// Adds one record of a table. What is no JSON object adds nothing.
    public mutating func add(table: String, record: UnsafeRawBufferPointer) {
        guard case .object(let members)? = JSONText.parse(record) else { return }
        recordCount += 1
        var columns = tables.removeValue(forKey: table) ?? Columns()
        for member in members {
            if member.key.isEmpty { continue }
            if columns.types[member.key] == nil { columns.order.append(member.key) }
            columns.types[member.key] = (columns.types[member.key] ?? .nothing).widened(Self.kind(member.value))
        }
        tables[table] = columns
    }

    /// The schemas so far, by table name in order.
    public func schemas() -> [TableSchema] {
        tables.keys.sorted().map { name in
            var out = [SchemaColumn("TimeGenerated", .datetime), SchemaColumn("Type", .string)]
            for key in tables[name]?.order ?? [] where key != "TimeGenerated" && key != "Type" {
                out.append(SchemaColumn(key, tables[name]?.types[key]?.type ?? .dynamic))
            }
            return TableSchema(name: name, columns: out, isOpen: true)
        }
    }

    private static func kind(_ value: Dynamic) -> Kind {
        switch value {
        case .null: return .nothing
        case .bool: return .bool
        case .long: return .long
        case .real: return .real
        case .array, .object: return .dynamic
        case .string(let s):
            // An empty string is how many exports write "no value" in a column of times.
            if s.isEmpty { return .string }
            return s.utf8.count >= 10 && s.utf8.first.map { $0 >= 0x30 && $0 <= 0x39 } == true && KustoTime.parseISO(s) != nil
                ? .datetime : .string
        }
    }
}
