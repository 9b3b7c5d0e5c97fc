import KQL

/// A law that an input breaks. Traps and sanitizer reports are findings too.
public struct FuzzFinding: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// The fuzzers: each takes any bytes. The same code runs under libFuzzer (`Tools/fuzz.sh`) and in the tests (`FuzzTests`).
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// Lexer and parser: tokens tile the text, findings lie within it.
    case parser
    /// Binder over any text against the workspace's schemas, then the analyses that rules go through.
    case binder
    /// Every scalar function with any arguments: columns, dictionaries, single rows and constants give one result.
    case functions
    /// Whole queries over a small table: batch size, threads and spilling do not show.
    case query
    /// JSON index, walker and the reader of dynamic cells against simdjson.
    case json
    /// Compression, framing, resume: how the input is cut does not show.
    case ingest
    /// Rule files, rule tests, saved functions, delimited text.
    case yaml

    /// Throws ``FuzzFinding`` if a law is broken.
    public func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFinding) {
        switch self {
        case .parser: try ParserFuzzer.run(String(decoding: bytes, as: UTF8.self))
        case .binder: try BinderFuzzer.run(String(decoding: bytes, as: UTF8.self))
        case .functions: try FunctionFuzzer.run(FuzzBytes(bytes))
        case .query: try QueryFuzzer.run(String(decoding: bytes, as: UTF8.self))
        case .json: try JSONFuzzer.run(bytes)
        case .ingest: try IngestFuzzer.run(FuzzBytes(bytes))
        case .yaml: try DocumentFuzzer.run(String(decoding: bytes, as: UTF8.self))
        }
    }
}

/// Reads decisions from bytes; zeros behind their end.
struct FuzzBytes {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: UnsafeRawBufferPointer) { rest = Array(bytes)[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func word() -> UInt64 { (0..<8).reduce(0) { w, _ in w << 8 | UInt64(byte()) } }

    mutating func below(_ n: Int) -> Int {
        if n <= 1 { return 0 }
        return n <= 256 ? Int(byte()) % n : (Int(byte()) << 8 | Int(byte())) % n
    }

    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }

    mutating func take(_ n: Int) -> ArraySlice<UInt8> {
        defer { rest = rest.dropFirst(n) }
        return rest.prefix(n)
    }
}
