import CKernels
import Columnar
import KQL

// `zlib_…` and `gzip_…`: compressed text in base64. What is unpacked is limited, so that a few bytes do not become gigabytes.

/// Bytes that a value may unpack to.
private let mostUnpacked = 16 << 20

private func packed(_ text: String, gzip: Bool) -> Value? {
    let bytes = Array(text.utf8)
    var out = [UInt8](repeating: 0, count: bytes.count + bytes.count / 1000 + 64)
    let n = bytes.withUnsafeBufferPointer { b in vk_deflate_value(b.baseAddress, b.count, gzip, &out, out.count) }
    return n > 0 && n <= out.count ? .string(base64Encode(Array(out.prefix(n)))) : nil
}

private func unpacked(_ text: String, gzip: Bool) -> Value? {
    guard let bytes = base64Decode(text), !bytes.isEmpty else { return nil }
    var size = max(1024, min(mostUnpacked, bytes.count * 8))
    while true {
        var out = [UInt8](repeating: 0, count: size)
        let n = bytes.withUnsafeBufferPointer { b in vk_inflate_value(b.baseAddress, b.count, gzip, &out, out.count) }
        // -1: broken, or too large for now.
        if n >= 0, n <= out.count { return String(validating: out.prefix(n), as: UTF8.self).map { .string($0) } }
        guard size < mostUnpacked else { return nil }
        size = min(mostUnpacked, size * 8)
    }
}

private func compression(_ name: String, _ summary: String, _ example: String, _ body: @escaping @Sendable (String) -> Value?)
    -> ScalarFunction
{
    ScalarFunction(
        name, "text:string", .type(.string), summary, example,
        .strict { a in
            guard let found = body(text(a, 0)) else { return .missing(.string) }
            return found
        })
}

extension Functions {
    static let compression: [ScalarFunction] = [
        Evaluation.compression(
            "gzip_compress_to_base64_string", "The text in gzip and base64.",
            "gzip_decompress_from_base64_string(gzip_compress_to_base64_string(\"abc\")) == \"abc\""
        ) { packed($0, gzip: true) },
        Evaluation.compression(
            "gzip_decompress_from_base64_string", "The text of gzip in base64; empty if it is none, no UTF-8, or of more than 16 MiB.",
            "gzip_decompress_from_base64_string(\"H4sIAAAAAAAA/wEUAOv/MTIzNDU2Nzg5MHF3ZXJ0eXVpb3A6m7f2FAAAAA==\") == \"1234567890qwertyuiop\""
        ) { unpacked($0, gzip: true) },
        Evaluation.compression(
            "zlib_compress_to_base64_string", "The text in zlib's format and base64.",
            "zlib_decompress_from_base64_string(zlib_compress_to_base64_string(\"abc\")) == \"abc\""
        ) { packed($0, gzip: false) },
        Evaluation.compression(
            "zlib_decompress_from_base64_string",
            "The text of zlib's format in base64; empty if it is none, no UTF-8, or of more than 16 MiB.",
            "zlib_decompress_from_base64_string(\"eJwLSS0uUSguKcrMS1cwNDIGACxqBQ4=\") == \"Test string 123\""
        ) { unpacked($0, gzip: false) },
    ]
}
