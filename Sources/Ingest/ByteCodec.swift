import CKernels

/// Writes the saved form of a position: little-endian, with a checksum at the end.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func u8(_ v: UInt8) { bytes.append(v) }
    mutating func u64(_ v: UInt64) { withUnsafeBytes(of: v.littleEndian) { bytes += $0 } }
    mutating func blob(_ b: [UInt8]) {
        u64(UInt64(b.count))
        bytes += b
    }
    mutating func words(_ w: [UInt64]) {
        u64(UInt64(w.count))
        for v in w { u64(v) }
    }
    mutating func text(_ s: String) { blob(Array(s.utf8)) }
    mutating func memory(_ m: DocumentMemory) {
        u64(m.count)
        words(m.hashes)
    }

    mutating func sealed() -> [UInt8] {
        u64(bytes.withUnsafeBytes { vk_xxh3_64($0.baseAddress, $0.count, ByteReader.seed) })
        // A copy without spare room: positions of streams that are gone are remembered by the thousand.
        var exact: [UInt8] = []
        exact.reserveCapacity(bytes.count)
        exact += bytes
        return exact
    }
}

/// Reads what ``ByteWriter`` wrote. Everything that does not fit throws ``IngestError``.
struct ByteReader {
    static let seed: UInt64 = 0x7665_6465_7474_65
    static var damaged: IngestError { IngestError("the saved position is damaged") }

    private let bytes: ArraySlice<UInt8>
    private var at: Int

    /// Checks the seal.
    init(_ sealed: [UInt8]) throws {
        guard sealed.count >= 8 else { throw ByteReader.damaged }
        let body = sealed.dropLast(8)
        let sum = body.withUnsafeBytes { vk_xxh3_64($0.baseAddress, $0.count, ByteReader.seed) }
        var written: UInt64 = 0
        for (i, b) in sealed.suffix(8).enumerated() { written |= UInt64(b) << UInt64(8 * i) }
        guard sum == written else { throw ByteReader.damaged }
        bytes = body
        at = body.startIndex
    }

    mutating func u8() throws -> UInt8 {
        guard at < bytes.endIndex else { throw ByteReader.damaged }
        defer { at += 1 }
        return bytes[at]
    }
    mutating func u64() throws -> UInt64 {
        guard bytes.endIndex - at >= 8 else { throw ByteReader.damaged }
        var v: UInt64 = 0
        for i in 0..<8 { v |= UInt64(bytes[at + i]) << UInt64(8 * i) }
        at += 8
        return v
    }
    /// A number of items of `size` bytes each that are really there.
    mutating func count(of size: Int) throws -> Int {
        let n = try u64()
        guard n <= UInt64((bytes.endIndex - at) / size) else { throw ByteReader.damaged }
        return Int(n)
    }
    mutating func blob() throws -> [UInt8] {
        let n = try count(of: 1)
        defer { at += n }
        return Array(bytes[at..<(at + n)])
    }
    mutating func words() throws -> [UInt64] {
        var out: [UInt64] = []
        for _ in 0..<(try count(of: 8)) { out.append(try u64()) }
        return out
    }
    mutating func text() throws -> String { String(decoding: try blob(), as: UTF8.self) }
    mutating func memory() throws -> DocumentMemory {
        let count = try u64()
        return DocumentMemory(hashes: try words(), count: count)
    }
}
