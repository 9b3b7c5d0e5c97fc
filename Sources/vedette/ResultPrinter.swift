import Columnar
import Detection
import KQL

/// Prints the rows of a hunt's result, or of one of several.
final class ResultPrinter {
    private let format: Hunt.Format
    private let columns: [BoundColumn]
    /// The result's name where there are several, its number and theirs.
    private let name: String?
    private let index: Int
    private let total: Int
    private var rows: [[String]] = []
    private var count = 0
    private var started = false
    private var buffer = ""
    private let write: (String) throws -> Void

    init(
        format: Hunt.Format, columns: [BoundColumn], name: String? = nil, index: Int = 0, of total: Int = 1,
        write: @escaping (String) throws -> Void = { Terminal.out($0, terminator: "") }
    ) {
        self.write = write
        self.format = format
        self.columns = columns
        self.name = name
        self.index = index
        self.total = total
    }

    /// What a result is called: by the query, or by its number.
    private var title: String { name ?? "Table_\(index)" }

    func add(_ batch: Batch) throws {
        for r in 0..<batch.count {
            switch format {
            case .table, .html, .svg, .png: rows.append(batch.columns.map { CellText.text($0.value(r)) })
            case .list:
                if count == 0, total > 1 { buffer += (index > 0 ? "\n" : "") + Terminal.styled(title, .bold) + "\n" }
                buffer += (count > 0 ? "\n" : "") + Terminal.styled("row \(Figures.count(count + 1))", .dim) + "\n"
                let margin = columns.map(\.name.count).max() ?? 0
                for (i, c) in batch.columns.enumerated() {
                    let name = columns[i].name
                    let text = Terminal.harmless(CellText.text(c.value(r)), keepingLines: true).replacing(
                        "\n", with: "\n" + String(repeating: " ", count: margin + 2))
                    buffer += Terminal.styled(name, .bold) + String(repeating: " ", count: margin + 2 - name.count) + text + "\n"
                }
            case .json:
                if !started { begin() }
                buffer += count > 0 ? ",[" : "["
                for (i, c) in batch.columns.enumerated() {
                    if i > 0 { buffer += "," }
                    buffer += ResultPrinter.rest(c.value(r))
                }
                buffer += "]"
            case .jsonl:
                var members: [Dynamic.Member] = total > 1 ? [.init("$table", .string(title))] : []
                for (i, c) in batch.columns.enumerated() { members.append(.init(columns[i].name, ResultPrinter.json(c.value(r)))) }
                buffer += JSONText.compact(.object(members)) + "\n"
            case .csv:
                if !started {
                    started = true
                    buffer += columns.map { ResultPrinter.quoted($0.name) }.joined(separator: ",") + "\r\n"
                }
                for (i, c) in batch.columns.enumerated() {
                    if i > 0 { buffer += "," }
                    buffer += ResultPrinter.quoted(CellText.text(c.value(r)))
                }
                buffer += "\r\n"
            }
            count += 1
            if buffer.utf8.count > 1 << 16 { try flush() }
        }
    }

    private func flush() throws {
        try write(buffer)
        buffer = ""
    }

    private func begin() {
        started = true
        buffer += index == 0 ? "{\"Tables\":[" : ","
        buffer += "{\"TableName\":"
        JSONText.appendQuoted(title, to: &buffer)
        buffer += ",\"Columns\":["
        for (i, c) in columns.enumerated() {
            if i > 0 { buffer += "," }
            buffer += "{\"ColumnName\":"
            JSONText.appendQuoted(c.name, to: &buffer)
            buffer += ",\"DataType\":\"\(c.type.dataTypeName)\",\"ColumnType\":\"\(c.type.rawValue)\"}"
        }
        buffer += "],\"Rows\":["
    }

    func finish() throws {
        switch format {
        case .json:
            if !started { begin() }
            buffer += index == total - 1 ? "]}]}\n" : "]}"
        case .csv:
            if !started { buffer += columns.map { ResultPrinter.quoted($0.name) }.joined(separator: ",") + "\r\n" }
        case .jsonl: break
        case .list: buffer += Terminal.styled("\(Figures.count(count)) row\(count == 1 ? "" : "s")", .dim) + "\n"
        case .table, .html, .svg, .png:
            if total > 1 { buffer += (index > 0 ? "\n" : "") + Terminal.styled(title, .bold) + "\n" }
            var t = TextTable(
                columns.map(\.name), alignment: columns.map { $0.type.isNumeric || $0.type == .timespan ? .right : .left })
            t.rows = rows
            buffer += t.render(width: Terminal.width) + "\n"
            buffer += Terminal.styled("\(Figures.count(count)) row\(count == 1 ? "" : "s")", .dim) + "\n"
            if t.isCut(width: Terminal.width) {
                Terminal.err("vedette: cells were cut to the terminal's width (…); --format list shows them whole")
            }
        }
        if format == .csv, index < total - 1 { buffer += "\r\n" }
        if !buffer.isEmpty { try flush() }
    }

    /// A CSV field (RFC 4180). By bytes: a comma with an accent behind it is a comma all the same, and whole characters are slow to find.
    static func quoted(_ s: String) -> String {
        guard s.utf8.contains(where: { $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }) else { return s }
        var out = "\""
        for scalar in s.unicodeScalars {
            if scalar == "\"" { out += "\"" }
            out.unicodeScalars.append(scalar)
        }
        return out + "\""
    }

    /// A cell of the REST v1 shape: bool as true/false, dynamic as its value, times as text.
    static func rest(_ v: Value) -> String {
        switch v {
        case .null: return "null"
        case .bool(let b): return b ? "true" : "false"
        case .int(let i): return String(i)
        case .long(let i): return String(i)
        case .real(let d): return d.isFinite ? KustoNumber.real(d, wholeSuffix: true) : JSONText.real(d)
        case .datetime(let t): return "\"\(KustoTime.restString(t))\""
        case .dynamic(let d): return JSONText.compact(d)
        default:
            var out = ""
            JSONText.appendQuoted(CellText.text(v), to: &out)
            return out
        }
    }

    static func json(_ v: Value) -> Dynamic {
        switch v {
        case .null: .null
        case .bool(let b): .bool(b)
        case .int(let i): .long(Int64(i))
        case .long(let i): .long(i)
        case .real(let d): .real(d)
        case .dynamic(let d): d
        default: .string(CellText.text(v))
        }
    }
}
