import CKernels
import Columnar
import Glibc
import Ingest
import KQL
import Pipeline
import Service

/// Tables that hunts saved: `NAME.jsonl.gz` with its columns in `NAME.schema.json`, in one folder.
enum SavedTables {
    /// Adds the tables of a folder to a hunt's inputs and gives their schemas.
    static func load(_ folder: String, into inputs: inout [HuntInput]) throws -> [TableSchema] {
        let (files, problems) = InputPaths.expand([folder])
        if let p = problems.first { throw fail("\(p.path): \(p.reason)", ExitStatus.io) }
        var schemas: [TableSchema] = []
        for f in files where f.path.hasSuffix(".jsonl.gz") {
            let stem = String(f.path.dropLast(".jsonl.gz".utf8.count))
            let text: String
            do { text = try TextFile.read(stem + ".schema.json", limit: 1 << 20) } catch { throw fail("\(error)", ExitStatus.io) }
            guard let schema = parse(text) else { throw fail("\(stem).schema.json: not the schema of a saved table", ExitStatus.io) }
            schemas.append(schema)
            inputs.append(HuntInput(file: f, table: schema.name, isTableCertain: true))
        }
        return schemas
    }

    private static func parse(_ text: String) -> TableSchema? {
        guard case .object(let members)? = JSONText.parse(text),
            case .string(let name)? = members.first(where: { $0.key == "name" })?.value,
            case .array(let items)? = members.first(where: { $0.key == "columns" })?.value
        else { return nil }
        var columns: [SchemaColumn] = []
        for item in items {
            guard case .object(let c) = item, case .string(let n)? = c.first(where: { $0.key == "name" })?.value,
                case .string(let t)? = c.first(where: { $0.key == "type" })?.value, let type = ScalarType(rawValue: t)
            else { return nil }
            columns.append(SchemaColumn(n, type))
        }
        return TableSchema(name: name, columns: columns)
    }

    /// Letters, digits and underscores, beginning with a letter: what a query can name.
    static func isName(_ s: String) -> Bool {
        guard let first = s.utf8.first, first != UInt8(ascii: "_"), !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return s.utf8.count <= 100
            && s.utf8.allSatisfy {
                $0 == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
            }
    }
}

/// Writes a result as a table of its own: complete or not at all, by renaming at the end.
final class TableWriter {
    private let folder: String
    private let name: String
    private let columns: [BoundColumn]
    private let writer: OpaquePointer?
    private let file: OutputFile
    private var lines = ""
    private(set) var rows = 0

    init(_ name: String, folder: String, columns: [BoundColumn]) throws {
        self.name = name
        self.folder = folder
        self.columns = columns
        if mkdir(folder, 0o755) != 0, errno != EEXIST { throw fail("\(folder): \(String(cString: strerror(errno)))", ExitStatus.io) }
        file = try OutputFile("\(folder)/\(name).jsonl.gz")
        writer = vk_gzip_writer_new(6)
    }

    deinit { vk_gzip_writer_free(writer) }

    func add(_ batch: Batch) throws {
        for r in 0..<batch.count {
            let members = zip(columns, batch.columns).map { Dynamic.Member($0.name, ResultPrinter.json($1.value(r))) }
            // Nulls are left out: they are read as nulls again.
            lines += JSONText.compact(.object(members.filter { $0.value != .null })) + "\n"
            rows += 1
            if lines.utf8.count > 1 << 18 { try flush(VK_FLUSH_NONE) }
        }
    }

    func finish() throws {
        try flush(VK_FLUSH_FINISH)
        let schema = Dynamic.object([
            .init("name", .string(name)),
            .init("columns", .array(columns.map { .object([.init("name", .string($0.name)), .init("type", .string($0.type.rawValue))]) })),
        ])
        let description = try OutputFile("\(folder)/\(name).schema.json")
        try description.write(Array((JSONText.compact(schema) + "\n").utf8))
        try description.finish()
        try file.finish()
    }

    private func flush(_ kind: vk_flush) throws {
        let bytes = Array(lines.utf8)
        lines = ""
        guard let writer, bytes.withUnsafeBufferPointer({ vk_gzip_write(writer, $0.baseAddress, $0.count, kind) }) else {
            throw fail("there is no memory for compressing \(name)", ExitStatus.io)
        }
        var n = 0
        let out = vk_gzip_output(writer, &n)
        try file.write(Array(UnsafeBufferPointer(start: out, count: n)))
        vk_gzip_clear_output(writer)
    }
}

/// A file that appears under its name once it is complete.
final class OutputFile {
    private let path: String
    private let temporary: String
    private var descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        temporary = "\(path).\(getpid()).part"
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw fail("\(path): \(String(cString: strerror(errno)))", ExitStatus.io) }
    }

    deinit {
        if descriptor >= 0 {
            close(descriptor)
            unlink(temporary)
        }
    }

    func write(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let n = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
            if n < 0 {
                if errno == EINTR { continue }
                throw fail("\(path): \(String(cString: strerror(errno)))", ExitStatus.io)
            }
            done += n
        }
    }

    /// `suffix`: what is added to the name, for a file that is not what was asked for.
    func finish(suffix: String = "") throws {
        guard close(descriptor) == 0, rename(temporary, path + suffix) == 0 else {
            descriptor = -1
            let why = String(cString: strerror(errno))
            unlink(temporary)
            throw fail("\(path): \(why)", ExitStatus.io)
        }
        descriptor = -1
    }
}
