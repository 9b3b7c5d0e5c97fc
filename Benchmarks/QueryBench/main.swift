import Columnar
import Evaluation
import Glibc
import KQL

// Runs queries over tables in memory, for `Benchmarks/queries.py`.
//
// Usage: query-bench FOLDER BATCHROWS. The folder holds `schema.txt` (a line a column: table, column, type) and a file a column:
// `table.column` with 8 bytes a cell, or `table.column` with UTF-8 text and `table.column.offsets` with 4 bytes an offset. Then, a line
// a command on standard input, an answer in JSON a command on standard output:
//
//     run THREADS QUERY          wall and CPU seconds of one execution, rows of the result
//     write PATH QUERY           the result as lines of tab-separated cells

struct Problem: Error { let text: String }

func fail(_ text: String) -> Never {
    print("{\"error\": \"\(text)\"}")
    exit(2)
}

func contents(_ path: String) throws -> ContiguousArray<UInt8> {
    guard let file = fopen(path, "rb") else { throw Problem(text: "cannot read \(path)") }
    defer { fclose(file) }
    var status = stat()
    guard fstat(fileno(file), &status) == 0 else { throw Problem(text: "cannot read \(path)") }
    let size = Int(status.st_size)
    let bytes = ContiguousArray<UInt8>(unsafeUninitializedCapacity: size) { buffer, count in
        count = size > 0 ? fread(buffer.baseAddress, 1, size, file) : 0
    }
    guard bytes.count == size else { throw Problem(text: "cannot read all of \(path)") }
    return bytes
}

func cells<T>(_ bytes: ContiguousArray<UInt8>, _: T.Type) -> ContiguousArray<T> {
    bytes.withUnsafeBytes { raw in
        ContiguousArray(unsafeUninitializedCapacity: raw.count / MemoryLayout<T>.stride) { buffer, count in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: raw)
            count = raw.count / MemoryLayout<T>.stride
        }
    }
}

/// A column cut into parts of `rows` rows.
func parts(_ type: ScalarType, path: String, rows: Int) throws -> [Column] {
    let bytes = try contents(path)
    var out: [Column] = []
    switch type {
    case .string, .dynamic:
        let offsets = cells(try contents(path + ".offsets"), UInt32.self)
        var at = 0
        while at + 1 < offsets.count {
            let end = min(offsets.count - 1, at + rows)
            var strings = ByteStrings()
            strings.reserve(strings: end - at, bytes: Int(offsets[end] - offsets[at]))
            bytes.withUnsafeBytes { raw in
                for i in at..<end { strings.append(UnsafeRawBufferPointer(rebasing: raw[Int(offsets[i])..<Int(offsets[i + 1])])) }
            }
            let column = StringColumn(strings)
            out.append(Column(type, type == .string ? .strings(column) : .dynamics(column)))
            at = end
        }
    case .real:
        let all = cells(bytes, Double.self)
        for at in stride(from: 0, to: all.count, by: rows) {
            out.append(Column(type, .reals(ContiguousArray(all[at..<min(all.count, at + rows)]))))
        }
    default:
        let all = cells(bytes, Int64.self)
        for at in stride(from: 0, to: all.count, by: rows) {
            out.append(Column(type, .longs(ContiguousArray(all[at..<min(all.count, at + rows)]))))
        }
    }
    return out
}

func load(_ folder: String, batchRows: Int) throws -> MemoryTables {
    var tables = MemoryTables()
    let text = String(decoding: try contents(folder + "/schema.txt"), as: UTF8.self)
    var columns: [String: [SchemaColumn]] = [:]
    var names: [String] = []
    for line in text.split(separator: "\n") {
        let words = line.split(separator: " ").map(String.init)
        guard words.count == 3, let type = ScalarType(rawValue: words[2]) else { throw Problem(text: "schema.txt: \(line)") }
        if columns[words[0]] == nil { names.append(words[0]) }
        columns[words[0], default: []].append(SchemaColumn(words[1], type))
    }
    for name in names {
        let schema = TableSchema(name: name, columns: columns[name] ?? [])
        let cut = try schema.columns.map { try parts($0.type, path: "\(folder)/\(name).\($0.name)", rows: batchRows) }
        let batches = (cut.first ?? []).indices.map { i in Batch(columns: cut.map { $0[i] }, count: cut[0][i].count) }
        tables.add(schema, batches: batches)
    }
    return tables
}

func plan(_ query: String, _ tables: MemoryTables) throws -> Plan {
    let tree = SyntaxTree.parse(query)
    let options = BinderOptions(fold: { ConstantFolder.fold(name: $0, args: $1) })
    let bound = Binder(functions: FunctionRegistry.standard, schemas: tables, options: options).bind(tree)
    if let error = bound.diagnostics.first(where: { $0.severity == .error }) { throw Problem(text: error.message) }
    guard let plan = bound.plan else { throw Problem(text: "no plan") }
    return plan
}

func seconds(_ clock: clockid_t) -> Double {
    var t = timespec()
    clock_gettime(clock, &t)
    return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
}

func cpuSeconds() -> Double { seconds(CLOCK_PROCESS_CPUTIME_ID) }
func wallSeconds() -> Double { seconds(CLOCK_MONOTONIC) }

func text(_ value: Value) -> String {
    switch value {
    case .null: ""
    case .bool(let b): b ? "1" : "0"
    case .int(let v): String(v)
    case .long(let v), .datetime(let v), .timespan(let v): String(v)
    case .real(let v): String(v)
    case .string(let s): s
    case .dynamic(let d): JSONText.compact(d)
    case .decimal(let d): d.description
    case .guid(let g): String(g, radix: 16)
    }
}

func answer(_ line: String, _ tables: MemoryTables) throws -> String {
    let words = line.split(separator: " ", maxSplits: 2).map(String.init)
    guard words.count == 3 else { throw Problem(text: "a command has three words") }
    let plan = try plan(words[2], tables)
    let context = EvaluationContext(now: 0)
    switch words[0] {
    case "run":
        guard let threads = Int(words[1]) else { throw Problem(text: "run THREADS QUERY") }
        let options = ExecutorOptions(stableTake: false, batchRows: 8192, threads: threads, sheddingKeys: true)
        let executor = Executor(provider: tables, context: context, options: options)
        var rows = 0
        let (cpu, wall) = (cpuSeconds(), wallSeconds())
        try executor.run(plan) {
            rows += $0.count
            return true
        }
        return "{\"cpu\": \(cpuSeconds() - cpu), \"wall\": \(wallSeconds() - wall), \"rows\": \(rows)}"
    case "write":
        guard let file = fopen(words[1], "wb") else { throw Problem(text: "cannot write \(words[1])") }
        defer { fclose(file) }
        let executor = Executor(provider: tables, context: context, options: ExecutorOptions(stableTake: false, sheddingKeys: true))
        var rows = 0
        try executor.run(plan) { batch in
            rows += batch.count
            for row in 0..<batch.count { fputs(batch.columns.map { text($0.value(row)) }.joined(separator: "\t") + "\n", file) }
            return true
        }
        return "{\"rows\": \(rows)}"
    default: throw Problem(text: "no command \(words[0])")
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 3, let batchRows = Int(arguments[2]), batchRows > 0 else { fail("usage: query-bench FOLDER BATCHROWS") }
do {
    let tables = try load(arguments[1], batchRows: batchRows)
    print("{\"ready\": true}")
    fflush(nil)
    while let line = readLine() {
        do { print(try answer(line, tables)) } catch {
            let reason = (error as? Problem)?.text ?? "\(error)"
            print("{\"error\": \"\(reason.filter { $0 != "\"" && $0 != "\\" })\"}")
        }
        fflush(nil)
    }
} catch { fail((error as? Problem)?.text ?? "\(error)") }
