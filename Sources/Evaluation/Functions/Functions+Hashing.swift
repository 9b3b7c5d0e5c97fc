import CKernels
import Columnar
import KQL

/// The digest of bytes in lower-case hexadecimal; nil when the library refuses the kind.
private func digest(_ kind: vk_digest_kind, _ s: String) -> String? {
    let bytes = Array(s.utf8)
    var out = [UInt8](repeating: 0, count: vk_digest_size(kind))
    let done = bytes.withUnsafeBytes { vk_digest(kind, $0.baseAddress, $0.count, &out) }
    guard done else { return nil }
    return out.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// XXH64 of a value: of a text's UTF-8, of other scalars' little-endian storage.
private func xxhash(_ value: Value) -> Int64 {
    func hash(_ bytes: [UInt8]) -> Int64 { bytes.withUnsafeBytes { Int64(bitPattern: vk_xxh64($0.baseAddress, $0.count, 0)) } }
    switch value {
    case .bool(let b): return hash([b ? 1 : 0])
    case .int(let v): return hash(withUnsafeBytes(of: v.littleEndian) { Array($0) })
    case .long(let v), .datetime(let v), .timespan(let v): return hash(withUnsafeBytes(of: v.littleEndian) { Array($0) })
    case .real(let v): return hash(withUnsafeBytes(of: v.bitPattern.littleEndian) { Array($0) })
    default: return hash(Array(textValue(value).utf8))
    }
}

private func bounded(_ h: Int64, _ a: [Value]) -> Value {
    guard a.count > 1 else { return .long(h) }
    guard let m = a[1].integer, m > 0 else { return .null(.long) }
    return .long(Int64(UInt64(bitPattern: h) % UInt64(m)))
}

private func digestFunction(_ name: String, _ kind: vk_digest_kind) -> ScalarFunction {
    ScalarFunction(
        name, "value:any", .type(.string), "The \(name.dropFirst(5).uppercased()) digest of the value's text; empty for the empty text.",
        "\(name)(\"World\")",
        .lenient { a in
            let s = textValue(a[0])
            if s.isEmpty { return .string("") }
            guard let d = digest(kind, s) else { throw EvaluationError("`\(name)` is refused by the cryptographic library of this system") }
            return .string(d)
        })
}

extension Functions {
    static let hashing: [ScalarFunction] = [
        digestFunction("hash_md5", VK_DIGEST_MD5), digestFunction("hash_sha1", VK_DIGEST_SHA1),
        digestFunction("hash_sha256", VK_DIGEST_SHA256),
        ScalarFunction(
            "hash", "source:any mod:integer?", .type(.long), aliases: ["hash_xxhash64"],
            "The XXH64 hash of a value, optionally below a bound.",
            "hash(\"World\") == 1846988464401551951", .lenient { a in a[0].isNull ? .null(.long) : bounded(xxhash(a[0]), a) }),
    ]
}
