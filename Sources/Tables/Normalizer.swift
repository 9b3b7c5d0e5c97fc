import CKernels
import Columnar
import KQL

/// What may differ between installations.
public struct NormalizerOptions: Sendable {
    /// The workspace id that fills `TenantId`; empty: the column is empty.
    public var workspaceID: String
    /// ActivityStatusValue holds the long words of the legacy connector (Started, Succeeded, Failed, Accepted) instead of the stream's own
    /// (Start, Success, Failure, Accept).
    public var longActivityStatus: Bool
    /// Records nested deeper are refused.
    public var maximumDepth: Int

    public init(workspaceID: String = "", longActivityStatus: Bool = false, maximumDepth: Int = 128) {
        self.workspaceID = workspaceID
        self.longActivityStatus = longActivityStatus
        self.maximumDepth = maximumDepth
    }
}

/// A table to materialise, with the columns that are needed, in the order of the batches' columns.
public struct NormalizedTable: Sendable {
    public let name: String
    public let columns: [SchemaColumn]
    public init(name: String, columns: [SchemaColumn]) {
        self.name = name
        self.columns = columns
    }
}

/// A record inside a chunk, in bytes from the chunk's beginning.
public struct RecordSlice: Sendable, Hashable {
    public var offset: Int
    public var length: Int
    /// Where the record's structural index lies among the positions given with the chunk; empty: it is made anew.
    public var structure: Range<UInt32>
    /// Without this, the record is ASCII. Looked at only with a structural index.
    public var mayHaveNonASCII: Bool

    public init(offset: Int, length: Int, structure: Range<UInt32> = 0..<0, mayHaveNonASCII: Bool = true) {
        self.offset = offset
        self.length = length
        self.structure = structure
        self.mayHaveNonASCII = mayHaveNonASCII
    }
}

/// Why a record gives no row.
public struct RecordProblem: Error, Sendable, Hashable, CustomStringConvertible {
    public let reason: String
    public var description: String { reason }

    init(_ status: vk_json_status) {
        reason =
            switch status {
            case VK_JSON_EMPTY: "empty record"
            case VK_JSON_BAD_UTF8: "not UTF-8"
            case VK_JSON_UNCLOSED_STRING: "a string that does not close"
            case VK_JSON_UNBALANCED: "brackets that do not balance"
            case VK_JSON_TOO_DEEP: "nested too deeply"
            case VK_JSON_NOT_OBJECT: "not a JSON object"
            case VK_JSON_BAD_GRAMMAR: "not JSON"
            case VK_JSON_TRAILING: "bytes behind the JSON value"
            case VK_JSON_TOO_LONG: "record too long"
            case VK_JSON_NO_MEMORY: "out of memory"
            default: "cannot be read"
            }
    }

    init(reason: String) { self.reason = reason }

    /// A record whose brackets do not balance or close.
    public static let unbalanced = RecordProblem(VK_JSON_UNBALANCED)
}

/// What the normaliser keeps about one stream of records between chunks. Belongs to one stream, in record order.
public struct StreamState: Sendable {
    /// The table that the configuration names, if any.
    public let configuredTable: String?
    /// Where records of no known form go: `<file stem>_CL`.
    public let customTable: String
    /// Time of the last record that had one; a record without takes it over. 0: none yet. Part of a checkpoint.
    public var lastTime: Int64 = 0
    /// Records of a known form, or rows that name their table or were told it.
    public var recognized = 0
    /// Records of no known form (rows of the custom table).
    public var unrecognized = 0
    /// Records that took over their predecessor's time.
    public var inheritedTimes = 0

    /// Shape of the last record: tried first on the next. A hint only; any value is safe.
    var shape: Int32 = 0
    var forcedTable: Int32 = -1
    /// Whatever a record looks like, it is a row of the configured table.
    var isTableCertain = false
    var forcedShape: Int32 = -1
    var customShape: Int32 = 0
    var customCounted: Int32 = -1
}

/// What a single record is, for messages and for `hunt`'s schema inference.
public enum Recognition: Sendable, Hashable {
    /// A known form, and the tables that it fills.
    case known(form: String, tables: [String])
    /// Already a row of this table.
    case row(table: String)
    /// Of no known form: a row of the stream's custom table.
    case custom(table: String)
    case unreadable(RecordProblem)

    /// The tables that get a row.
    public var tables: [String] {
        switch self {
        case .known(_, let tables): tables
        case .row(let table), .custom(let table): [table]
        case .unreadable: []
        }
    }
}

/// Compiled mappings from native records to the needed columns of tables. Immutable; shared by threads, each with a session of its own.
///
/// Every record is recognised, checked and counted whatever is needed; rows are made for the tables given only.
public final class Normalizer: Sendable {
    let plan: NormalizerPlan
    public let catalog: WorkspaceCatalog

    /// The tables materialised, in the order in which `TableBatch.table` counts them.
    public var tables: [NormalizedTable] { plan.tables }

    /// Columns come out in the order given and with the types given; one that no mapping fills is null (empty for strings).
    public init(catalog: WorkspaceCatalog, needs: [NormalizedTable], options: NormalizerOptions = NormalizerOptions()) {
        self.catalog = catalog
        plan = NormalizerPlan(catalog: catalog, tables: needs, options: options)
    }

    /// Tables and columns by name, typed by the catalogue; sorted by name. Columns that a strict table does not have are left out.
    public convenience init(catalog: WorkspaceCatalog, needs: [String: Set<String>], options: NormalizerOptions = NormalizerOptions()) {
        let tables = needs.keys.sorted().map { table in
            NormalizedTable(
                name: table,
                columns: (needs[table] ?? []).sorted().compactMap { name in
                    catalog.type(of: name, in: table).map { SchemaColumn(name, $0) }
                })
        }
        self.init(catalog: catalog, needs: tables, options: options)
    }

    /// The state of a new stream. `path` gives the custom table's name; `table` is the table that the user named for this stream: records
    /// of a native form which fills it are mapped, all others are taken as its rows.
    public func stream(path: String?, table: String? = nil, isTableCertain: Bool = false) -> StreamState {
        var state = StreamState(configuredTable: table, customTable: Self.customTable(path: path ?? "stdin"))
        state.customShape = plan.view.ids.row
        if let i = plan.countedNames.firstIndex(of: state.customTable) {
            state.customCounted = Int32(i)
            state.customShape = plan.rowShape(Int32(i))
        }
        if let table {
            let i = plan.countedNames.firstIndex(of: table).map(Int32.init)
            state.forcedTable = i ?? -2
            state.forcedShape = i.map { plan.rowShape($0) } ?? plan.view.ids.row
            state.isTableCertain = isTableCertain
        }
        return state
    }

    /// The name of the custom table for a file: its stem without the extensions of logs and compression, other characters than letters,
    /// digits and `_` as `_`, then `_CL`.
    public static func customTable(path: String) -> String {
        var stem = path.split(separator: "/").last.map(String.init) ?? "stdin"
        if stem == "-" { stem = "stdin" }
        let extensions = ["gz", "zst", "json", "jsonl", "ndjson", "log", "txt"]
        while let dot = stem.lastIndex(of: "."), dot > stem.startIndex, extensions.contains(stem[stem.index(after: dot)...].lowercased()) {
            stem = String(stem[..<dot])
        }
        let name = String(
            stem.unicodeScalars.map { c in c.isASCII && (c.properties.isAlphabetic || c.properties.numericType != nil) ? Character(c) : "_"
            })
        let safe = name.first.map { $0.isNumber } ?? true ? "T" + name : name
        return safe.hasSuffix("_CL") ? safe : safe + "_CL"
    }

    /// A session for one thread.
    public func makeSession() -> NormalizerSession { NormalizerSession(self) }
}

/// Rows of one table from one chunk.
///
/// The batch's cells are copies; `offsets` and `lengths` refer to the chunk, which must still be there when raw bytes or keys are
/// asked for.
public struct TableBatch: Sendable {
    /// Index into `Normalizer.tables`.
    public let table: Int
    public let name: String
    /// The needed columns in order; no keys.
    public let batch: Batch
    /// TimeGenerated in ticks; 0 for rows that have none.
    public let times: ContiguousArray<Int64>
    /// Where the raw record of a row lies in the chunk.
    public let offsets: ContiguousArray<UInt32>
    public let lengths: ContiguousArray<UInt32>
    /// Index of the row among those of its record in this table; -1 when the form gives one row a record.
    public let children: ContiguousArray<Int32>
    /// Rows whose time was taken over from the record before.
    public let inheritedTimes: Bitmap?
    /// For each column, values that were there but did not fit its type (and are null).
    public let conflicts: [Int]

    public var count: Int { batch.count }
}

/// Counts of a session since it was made or last asked.
public struct NormalizerCounts: Sendable {
    /// Records by table, needed or not; a record that fills two tables counts in both.
    public var records: [String: Int] = [:]
    /// Records of no known form, in the stream's custom table.
    public var unrecognized = 0
    public var deadLetters = 0
    public var inheritedTimes = 0
}
