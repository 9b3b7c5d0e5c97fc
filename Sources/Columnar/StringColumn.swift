/// Byte strings one after another: string `i` is `bytes[offsets[i] ..< offsets[i + 1]]`, UTF-8.
public struct ByteStrings: Sendable, Hashable {
    /// Invariant: never empty, ascending, first 0, last `bytes.count`.
    public private(set) var offsets: ContiguousArray<UInt32>
    public private(set) var bytes: ContiguousArray<UInt8>

    public init() {
        offsets = [0]
        bytes = []
    }

    /// From parts; the invariants of ``offsets`` are the caller's promise, of which the ends are checked.
    public init(offsets: ContiguousArray<UInt32>, bytes: ContiguousArray<UInt8>) {
        precondition(offsets.first == 0 && Int(offsets[offsets.count - 1]) == bytes.count, "ByteStrings: offsets do not fit the bytes")
        self.offsets = offsets
        self.bytes = bytes
    }

    public var count: Int { offsets.count - 1 }

    public mutating func reserve(strings: Int, bytes n: Int) {
        offsets.reserveCapacity(strings + 1)
        bytes.reserveCapacity(n)
    }

    /// Appends one string. A column's bytes may not pass 4 GiB: batches are far smaller.
    public mutating func append(_ s: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: s)
        offsets.append(UInt32(bytes.count))
    }

    public mutating func append(_ s: String) {
        bytes.append(contentsOf: s.utf8)
        offsets.append(UInt32(bytes.count))
    }

    public mutating func append(_ other: ByteStrings, at i: Int) {
        bytes.append(contentsOf: other.bytes[Int(other.offsets[i])..<Int(other.offsets[i + 1])])
        offsets.append(UInt32(bytes.count))
    }

    public mutating func append(contentsOf other: ByteStrings) {
        let base = UInt32(bytes.count)
        bytes.append(contentsOf: other.bytes)
        for o in other.offsets.dropFirst() { offsets.append(base + o) }
    }

    @inlinable
    public func length(_ i: Int) -> Int { Int(offsets[i + 1] - offsets[i]) }

    /// The bytes of one string, valid inside `body` only.
    @inlinable
    public func withBytes<R>(_ i: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let start = Int(offsets[i])
        let end = Int(offsets[i + 1])
        return try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
    }

    public subscript(i: Int) -> String { withBytes(i) { String(decoding: $0, as: UTF8.self) } }
}

/// A column of strings: either one byte string a row, or codes into a dictionary of values.
///
/// Invariant: with codes, every code is below `values.count`; without, row `i` is `values[i]`. Dictionary values need not be distinct
/// and need not all be used. A kernel that depends on the string alone runs once over `values` and maps the codes.
public struct StringColumn: Sendable {
    public let codes: ContiguousArray<UInt32>?
    public let values: ByteStrings

    public init(_ values: ByteStrings) {
        codes = nil
        self.values = values
    }

    public init(codes: ContiguousArray<UInt32>, values: ByteStrings) {
        self.codes = codes
        self.values = values
    }

    public init(_ strings: some Sequence<String>) {
        var b = ByteStrings()
        for s in strings { b.append(s) }
        self.init(b)
    }

    /// `count` rows of the same string.
    public init(repeating s: String, count: Int) {
        var b = ByteStrings()
        b.append(s)
        self.init(codes: ContiguousArray(repeating: 0, count: count), values: b)
    }

    public var count: Int { codes?.count ?? values.count }

    /// Index into `values` of a row.
    @inlinable
    public func code(_ row: Int) -> Int { codes.map { Int($0[row]) } ?? row }

    @inlinable
    public func withBytes<R>(_ row: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try values.withBytes(code(row), body)
    }

    public subscript(row: Int) -> String { values[code(row)] }

    public func concatenated(_ other: StringColumn) -> StringColumn {
        var b = ByteStrings()
        if codes == nil { b = values } else { for i in 0..<count { b.append(values, at: code(i)) } }
        if other.codes == nil {
            b.append(contentsOf: other.values)
        } else {
            for i in 0..<other.count { b.append(other.values, at: other.code(i)) }
        }
        return StringColumn(b)
    }
}
