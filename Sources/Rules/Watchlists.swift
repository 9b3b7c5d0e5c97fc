import CKernels
import Columnar
import Glibc
import KQL

/// The watchlists of a folder: `alias.csv` (a header, then items) or `alias.json` (an array of objects).
///
/// Columns are those that Microsoft Sentinel gives: `_DTItemId`, `LastUpdatedTimeUTC`, `SearchKey`, then one string column for each column of
/// the file. `_DTItemId` is made of the alias, the item and its number among equal ones, so it is the same at each reading;
/// `LastUpdatedTimeUTC` is the file's own time.
public struct Watchlists: Sendable {
    /// Larger files are refused.
    public static let maximumFileBytes = 64 << 20
    public static let maximumColumns = 200

    private var lists: [String: Result<ReferenceTable, ContentRefusal>] = [:]
    /// Aliases as files spell them, sorted.
    public private(set) var aliases: [String] = []
    public private(set) var findings: [RuleFinding] = []

    public init() {}

    /// A watchlist by alias, letter case ignored.
    public func list(_ alias: String) -> Result<ReferenceTable, ContentRefusal>? { lists[alias.lowercased()] }

    /// Reads the watchlists of folders or files. `keys`: the column that is `SearchKey`, by alias; the first one where nothing is said.
    public init(_ paths: [String], keys: [String: String] = [:]) {
        let wanted = Dictionary(keys.map { ($0.key.lowercased(), $0.value) }) { _, last in last }
        for path in paths {
            let (files, problem) = ContentFiles.list(path, endings: [".csv", ".json"])
            if let problem { report("the watchlists cannot be read: \(problem)", path) }
            for file in files {
                let name = file.split(separator: "/").last.map(String.init) ?? file
                guard let dot = name.lastIndex(of: ".") else {
                    report("a watchlist's file ends in .csv or .json", file)
                    continue
                }
                let alias = String(name[..<dot])
                let key = alias.lowercased()
                if lists[key] != nil {
                    report("there is already a watchlist `\(alias)`", file)
                    continue
                }
                let outcome = Watchlists.read(file, alias: alias, searchKey: wanted[key])
                if case .failure(let refusal) = outcome { report(refusal.message, file, mend: refusal.mend) }
                lists[key] = outcome
                aliases.append(alias)
            }
        }
        for alias in keys.keys.sorted() where lists[alias.lowercased()] == nil {
            report("a search key is set for watchlist `\(alias)`, which does not exist", paths.first ?? alias)
        }
        aliases.sort()
    }

    private mutating func report(_ message: String, _ file: String, mend: String? = nil) {
        findings.append(RuleFinding(.error, "VR0104", message, line: 1, column: 1, mend: mend, file: file, text: ""))
    }

    private static func read(_ file: String, alias: String, searchKey: String?) -> Result<ReferenceTable, ContentRefusal> {
        let text: String
        switch ContentFiles.read(file, limit: maximumFileBytes) {
        case .success(let t): text = t
        case .failure(let refusal): return .failure(refusal)
        }
        var s = stat()
        guard stat(file, &s) == 0 else { return .failure(ContentRefusal(String(cString: strerror(errno)))) }
        let seconds = Int64(s.st_mtim.tv_sec).multipliedReportingOverflow(by: KustoTime.ticksPerSecond)
        let updated = seconds.overflow ? KustoTime.unixEpoch : KustoTime.unixEpoch &+ seconds.partialValue
        return make(text, isJSON: file.hasSuffix(".json"), alias: alias, searchKey: searchKey, updated: updated)
    }

    /// A watchlist from its text. `updated`: what `LastUpdatedTimeUTC` is, in ticks.
    static func make(_ text: String, isJSON: Bool, alias: String, searchKey: String?, updated: Int64) -> Result<
        ReferenceTable, ContentRefusal
    > {
        let header: [String]
        let items: [[String]]
        switch isJSON ? json(text) : csv(text) {
        case .success(let t): (header, items) = t
        case .failure(let refusal): return .failure(refusal)
        }
        var seen: Set<String> = ["_DTItemId", "LastUpdatedTimeUTC", "SearchKey"]
        let searchIndex: Int
        if let searchKey {
            guard let at = header.firstIndex(of: searchKey) ?? header.firstIndex(where: { $0.lowercased() == searchKey.lowercased() })
            else {
                return .failure(
                    ContentRefusal(
                        "the search key `\(searchKey)` is no column",
                        mend: Suggestions.nearest(searchKey, in: header).map { "did you mean `\($0)`?" } ?? "correct `watchlist_keys`"))
            }
            searchIndex = at
        } else {
            searchIndex = header.firstIndex(of: "SearchKey") ?? 0
        }
        guard header.count <= maximumColumns else { return .failure(ContentRefusal("there are more than \(maximumColumns) columns")) }
        // A file exported from a workspace carries the system columns; ours stand for them.
        var kept: [Int] = []
        for (i, name) in header.enumerated() {
            if name.isEmpty { return .failure(ContentRefusal("column \(i + 1) has no name")) }
            if ["_DTItemId", "LastUpdatedTimeUTC", "SearchKey"].contains(name) { continue }
            guard seen.insert(name).inserted else { return .failure(ContentRefusal("column `\(name)` stands twice in the header")) }
            kept.append(i)
        }
        let columns =
            [SchemaColumn("_DTItemId", .string), SchemaColumn("LastUpdatedTimeUTC", .datetime), SchemaColumn("SearchKey", .string)]
            + kept.map { SchemaColumn(header[$0], .string) }
        var counts: [String: Int] = [:]
        var rows: [[Value]] = []
        rows.reserveCapacity(items.count)
        var version = hash("")
        for item in items {
            let content = item.joined(separator: "\u{1F}")
            let count = counts[content, default: 0]
            counts[content] = count + 1
            let id = hash("\(alias.lowercased())\u{1E}\(content)\u{1E}\(count)")
            version = hash(version + id)
            var row: [Value] = [.string(id), .datetime(updated), .string(item[searchIndex])]
            for i in kept { row.append(.string(item[i])) }
            rows.append(row)
        }
        return .success(
            ReferenceTable(name: alias, columns: columns, rows: rows, version: version + String(updated) + String(searchIndex)))
    }

    /// A hash in the form of a GUID.
    private static func hash(_ text: String) -> String {
        var text = text
        let h = text.withUTF8 { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        func hex(_ v: UInt64) -> String {
            let s = String(v, radix: 16)
            return String(repeating: "0", count: 16 - s.count) + s
        }
        let all = Array(hex(h.high) + hex(h.low))
        return [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map { String(all[$0.0..<$0.1]) }.joined(separator: "-")
    }

    private static func csv(_ text: String) -> Result<([String], [[String]]), ContentRefusal> {
        let rows: [DelimitedText.Row]
        do { rows = try DelimitedText.rows(text) } catch {
            return .failure(ContentRefusal("line \(error.line): \(error.message)"))
        }
        guard let first = rows.first else {
            return .failure(ContentRefusal("the file is empty", mend: "begin it with a line of column names"))
        }
        let header = first.cells.map { $0.trimmed }
        for r in rows.dropFirst() where r.cells.count != header.count {
            return .failure(ContentRefusal("line \(r.line) has \(r.cells.count) cells, the header \(header.count)"))
        }
        return .success((header, rows.dropFirst().map(\.cells)))
    }

    private static func json(_ text: String) -> Result<([String], [[String]]), ContentRefusal> {
        guard case .array(let items)? = JSONText.parse(text) else {
            return .failure(ContentRefusal("the file is no JSON array of objects"))
        }
        var header: [String] = []
        var places: [String: Int] = [:]
        var rows: [[String]] = []
        for (i, item) in items.enumerated() {
            guard case .object(let members) = item else { return .failure(ContentRefusal("item \(i + 1) is no object")) }
            for m in members where places[m.key] == nil {
                places[m.key] = header.count
                header.append(m.key)
                if header.count > maximumColumns { return .failure(ContentRefusal("there are more than \(maximumColumns) columns")) }
            }
            var row: [String] = []
            for m in members {
                guard let at = places[m.key] else { continue }
                while row.count <= at { row.append("") }
                switch m.value {
                case .null: break
                case .string(let s): row[at] = s
                default: row[at] = JSONText.compact(m.value)
                }
            }
            rows.append(row)
        }
        guard !header.isEmpty else { return .failure(ContentRefusal("the file holds no item, so its columns are not known")) }
        return .success((header, rows.map { $0 + Array(repeating: "", count: header.count - $0.count) }))
    }
}
