import CKernels
import Columnar
import KQL
import Synchronization

/// The tables of the catalogue. A table's columns are parsed from its generated string when they are first asked for: most runs need few.
enum KnownTables {
    /// Names and texts, in no order.
    private static let texts: [String: StaticString] = {
        var out: [String: StaticString] = [:]
        out.reserveCapacity(KnownSchemas1.all.count + KnownSchemas2.all.count + KnownSchemas3.all.count)
        for part in [KnownSchemas1.all, KnownSchemas2.all, KnownSchemas3.all] {
            for (name, columns) in part { out[name.description] = columns }
        }
        return out
    }()
    private static let parsed = Mutex<[String: TableSchema]>([:])

    static var names: [String] { Array(texts.keys) }
    static func exists(_ name: String) -> Bool { texts[name] != nil }

    static func schema(_ name: String) -> TableSchema? {
        if let known = parsed.withLock({ $0[name] }) { return known }
        guard let text = texts[name] else { return nil }
        let schema = TableSchema(name: name, columns: parse(text.description), isOpen: WorkspaceCatalog.isOpenName(name))
        parsed.withLock { $0[name] = schema }
        return schema
    }

    private static func parse(_ text: String) -> [SchemaColumn] {
        // By bytes: every start parses the tables that it reads, and characters take ten times as long.
        text.utf8.split(separator: UInt8(ascii: " ")).compactMap { word in
            guard let colon = word.lastIndex(of: UInt8(ascii: ":")), let code = word[word.index(after: colon)...].first else { return nil }
            let type: ScalarType? =
                switch code {
                case UInt8(ascii: "s"): .string
                case UInt8(ascii: "o"): .dynamic
                case UInt8(ascii: "t"): .datetime
                case UInt8(ascii: "r"): .real
                case UInt8(ascii: "b"): .bool
                case UInt8(ascii: "i"): .int
                case UInt8(ascii: "l"): .long
                case UInt8(ascii: "g"): .guid
                case UInt8(ascii: "p"): .timespan
                case UInt8(ascii: "m"): .decimal
                default: nil
                }
            return type.map { SchemaColumn(String(Substring(word[..<colon])), $0) }
        }
    }
}

/// The tables that a query may name: those of the catalogue, and those declared or inferred.
///
/// A value: a change makes a new catalogue, and whoever holds the old one keeps it. Known tables bind strictly; open tables
/// (AzureDiagnostics and names that end in `_CL`) also take columns that nobody declared (`docs/semantics.md`, "Known tables").
public struct WorkspaceCatalog: SchemaCatalog {
    private var declared: [String: TableSchema] = [:]
    private var fed: Set<String>?
    /// Saved functions, watchlists and external data that queries over these tables may use.
    public private(set) var content: (any WorkspaceContent)?

    /// The tables of the catalogue, none of them blind.
    public init() {}

    /// Adds a table, or replaces the columns of a known one. An open name stays open whatever the schema says.
    public mutating func declare(_ schema: TableSchema) {
        declared[schema.name] = TableSchema(
            name: schema.name, columns: schema.columns, isOpen: schema.isOpen || Self.isOpenName(schema.name), isBlind: schema.isBlind)
    }

    /// This catalogue with one more table.
    public func declaring(_ schema: TableSchema) -> WorkspaceCatalog {
        var copy = self
        copy.declare(schema)
        return copy
    }

    /// This catalogue with the content of a workspace.
    public func holding(_ content: any WorkspaceContent) -> WorkspaceCatalog {
        var copy = self
        copy.content = content
        return copy
    }

    /// This catalogue with every table blind that is not in `tables`; nil: none is blind.
    public func feeding(_ tables: Set<String>?) -> WorkspaceCatalog {
        var copy = self
        copy.fed = tables
        return copy
    }

    /// This catalogue with every table blind that no native form fills, that `inputs` do not name, and that is no custom table.
    public func feeding(inputs: Set<String>) -> WorkspaceCatalog {
        feeding(ShapeRegistry.tables.union(inputs).union(tableNames.filter { $0.hasSuffix("_CL") }))
    }

    public func table(_ name: String) -> TableSchema? {
        guard let schema = declared[name] ?? KnownTables.schema(name) else { return nil }
        let blind = fed.map { !$0.contains(name) } ?? schema.isBlind
        return blind == schema.isBlind ? schema : TableSchema(name: name, columns: schema.columns, isOpen: schema.isOpen, isBlind: blind)
    }

    public var tableNames: [String] {
        var names = KnownTables.names
        for name in declared.keys where !KnownTables.exists(name) { names.append(name) }
        return names.sorted()
    }

    /// Equal for catalogues of one program that have equal tables; ``content`` is not part of it.
    public var fingerprint: String {
        var w = PackedWriter()
        for (name, t) in declared.sorted(by: { ByteText.precedes($0.key, $1.key) }) {
            w.text(name)
            w.bool(t.isOpen)
            w.bool(t.isBlind)
            w.texts(t.columns.flatMap { [$0.name, $0.type.rawValue] })
        }
        w.byte(fed == nil ? 0xFE : 0xFF)
        w.texts((fed ?? []).sorted(by: ByteText.precedes))
        let h = w.bytes.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        return String(h.high, radix: 16) + "-" + String(h.low, radix: 16)
    }

    /// The type of a column: as declared; in an open table also by its suffix (`_s`, `_d`, `_b`, `_t`, `_g`), else dynamic. Nil when the
    /// table does not have it.
    public func type(of column: String, in table: String) -> ScalarType? {
        let schema = self.table(table)
        if let declared = schema?.columns.first(where: { $0.name == column }) { return declared.type }
        guard schema?.isOpen ?? Self.isOpenName(table) else { return nil }
        return Self.suffixType(column) ?? Self.standardColumns[column] ?? .dynamic
    }

    /// Whether a table of this name takes undeclared columns.
    public static func isOpenName(_ name: String) -> Bool { name == "AzureDiagnostics" || name.hasSuffix("_CL") }

    /// The type that a name's suffix stands for in open tables.
    public static func suffixType(_ column: String) -> ScalarType? {
        guard column.utf8.count > 2 else { return nil }
        return switch column.suffix(2) {
        case "_s": .string
        case "_d": .real
        case "_b": .bool
        case "_t": .datetime
        case "_g": .guid
        default: nil
        }
    }

    /// Columns that every table of a workspace has, declared or not.
    static let standardColumns: [String: ScalarType] = [
        "TimeGenerated": .datetime, "Type": .string, "TenantId": .string, "SourceSystem": .string, "_ResourceId": .string,
        "_SubscriptionId": .string, "_IsBillable": .string, "_BilledSize": .real,
    ]
}
