import CKernels
import Columnar
import Glibc

// Hot file: cells are appended here, one by one, for every needed column of every record.
//
// Invariants. A sink is a trivial struct in memory owned by `TableBuilder`; pointers of one sink are never shared with another.
// `fixed`, `valid` and `codes` have room for `capacity` rows, and `TableBuilder.beginRow` keeps rows < capacity before any append.
// Every column of a builder gets exactly one append a row. `offsets` has room for `valueCapacity + 1` entries, `bytes` for `byteCapacity`;
// both are checked on each append. `slots` is empty or has a power of two of entries, at most half of them used.

/// The storage behind a column that is being filled.
enum SinkStorage: UInt8 {
    case bools, longs, reals, guids, decimals, strings
}

struct ColumnSink {
    let type: ScalarType
    let storage: SinkStorage
    var rows = 0
    var capacity = 0
    var nulls = 0
    /// Values that were there but did not fit the type.
    var conflicts = 0
    /// Cells of a fixed width (``width``); codes for strings.
    var cells: UnsafeMutableRawPointer
    /// One byte a row, 0 = null.
    var valid: UnsafeMutablePointer<UInt8>
    // Strings: distinct values in order of appearance, found again through `slots`.
    var values = 0
    var valueCapacity = 0
    var offsets: UnsafeMutablePointer<UInt32>
    var bytes: UnsafeMutablePointer<UInt8>
    var byteCount = 0
    var byteCapacity = 0
    /// High half: hash; low half: value index + 1; 0 = free.
    var slots: UnsafeMutablePointer<UInt64>
    var slotMask = 0
    /// Values are looked up in `slots`. Off for columns that hardly repeat.
    var looksUp = true
    /// Batches left without a dictionary before it is tried again.
    var plainBatches = 0

    /// Longer values are stored without looking for an equal one.
    static let longestLookedUp = 512
    /// Rows after which a column of mostly distinct values gives up its dictionary.
    static let probeRows = 128

    init(_ type: ScalarType) {
        self.type = type
        storage =
            switch type {
            case .bool: .bools
            case .int, .long, .datetime, .timespan: .longs
            case .real: .reals
            case .guid: .guids
            case .decimal: .decimals
            case .string, .dynamic: .strings
            }
        cells = .allocate(byteCount: 16, alignment: 16)
        valid = .allocate(capacity: 1)
        offsets = .allocate(capacity: 1)
        offsets[0] = 0
        bytes = .allocate(capacity: 1)
        slots = .allocate(capacity: 1)
    }

    func free() {
        cells.deallocate()
        valid.deallocate()
        offsets.deallocate()
        bytes.deallocate()
        slots.deallocate()
    }

    private var width: Int {
        switch storage {
        case .bools: 1
        case .longs, .reals: 8
        case .guids: 16
        case .decimals: MemoryLayout<Decimal128>.stride
        case .strings: 4
        }
    }

    mutating func grow(to n: Int) {
        let newCells = UnsafeMutableRawPointer.allocate(byteCount: n * width, alignment: 16)
        newCells.copyMemory(from: cells, byteCount: rows * width)
        cells.deallocate()
        cells = newCells
        let newValid = UnsafeMutablePointer<UInt8>.allocate(capacity: n)
        newValid.update(from: valid, count: rows)
        valid.deallocate()
        valid = newValid
        capacity = n
    }

    // MARK: appending

    /// A null; the empty string in a string column.
    @inline(__always)
    mutating func appendNull() {
        switch storage {
        case .bools: cells.storeBytes(of: 0, toByteOffset: rows, as: UInt8.self)
        case .longs: cells.storeBytes(of: 0, toByteOffset: rows &* 8, as: Int64.self)
        case .reals: cells.storeBytes(of: 0, toByteOffset: rows &* 8, as: Double.self)
        case .guids: cells.storeBytes(of: 0, toByteOffset: rows &* 16, as: UInt128.self)
        case .decimals: cells.storeBytes(of: Decimal128(0), toByteOffset: rows &* MemoryLayout<Decimal128>.stride, as: Decimal128.self)
        case .strings:
            appendText(UnsafePointer(bytes), 0)
            if type == .string { return }
            rows &-= 1
        }
        valid[rows] = 0
        nulls &+= 1
        rows &+= 1
    }

    /// A null that stands for a value which did not fit.
    mutating func appendConflict() {
        conflicts &+= 1
        appendNull()
    }

    @inline(__always)
    mutating func append(_ v: Bool) {
        cells.storeBytes(of: v ? 1 : 0, toByteOffset: rows, as: UInt8.self)
        valid[rows] = 1
        rows &+= 1
    }

    @inline(__always)
    mutating func append(_ v: Int64) {
        cells.storeBytes(of: v, toByteOffset: rows &* 8, as: Int64.self)
        valid[rows] = 1
        rows &+= 1
    }

    @inline(__always)
    mutating func append(_ v: Double) {
        cells.storeBytes(of: v, toByteOffset: rows &* 8, as: Double.self)
        valid[rows] = 1
        rows &+= 1
    }

    @inline(__always)
    mutating func append(guid v: UInt128) {
        cells.storeBytes(of: v, toByteOffset: rows &* 16, as: UInt128.self)
        valid[rows] = 1
        rows &+= 1
    }

    mutating func append(_ v: Decimal128) {
        cells.storeBytes(of: v, toByteOffset: rows &* MemoryLayout<Decimal128>.stride, as: Decimal128.self)
        valid[rows] = 1
        rows &+= 1
    }

    /// Text of a string column, or JSON text of a dynamic one. `text` must not lie in this sink.
    @inline(__always)
    mutating func appendText(_ text: UnsafePointer<UInt8>, _ count: Int) {
        let code = looksUp && count <= Self.longestLookedUp ? lookUp(text, count) : addValue(text, count)
        cells.storeBytes(of: code, toByteOffset: rows &* 4, as: UInt32.self)
        valid[rows] = 1
        rows &+= 1
    }

    // MARK: values of strings

    private mutating func addValue(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
        if values == valueCapacity {
            let n = max(64, valueCapacity &* 2)
            let grown = UnsafeMutablePointer<UInt32>.allocate(capacity: n + 1)
            grown.update(from: offsets, count: values + 1)
            offsets.deallocate()
            offsets = grown
            valueCapacity = n
        }
        if byteCapacity &- byteCount < count {
            let n = max(1024, byteCapacity &* 2, byteCount &+ count)
            let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: n)
            grown.update(from: bytes, count: byteCount)
            bytes.deallocate()
            bytes = grown
            byteCapacity = n
        }
        memcpy(bytes + byteCount, text, count)
        byteCount &+= count
        let code = UInt32(truncatingIfNeeded: values)
        values &+= 1
        offsets[values] = UInt32(truncatingIfNeeded: byteCount)
        return code
    }

    @inline(__always)
    private mutating func lookUp(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
        if values &* 2 >= slotMask { widenSlots() }
        let hash = hotHash(text, count)
        let tag = hash & ~0xFFFF_FFFF
        var at = Int(truncatingIfNeeded: hash & 0xFFFF_FFFF) & slotMask
        while true {
            let slot = slots[at]
            if slot == 0 { break }
            if slot & ~0xFFFF_FFFF == tag {
                let i = Int(truncatingIfNeeded: slot & 0xFFFF_FFFF) &- 1
                let start = Int(offsets[i])
                if Int(offsets[i &+ 1]) &- start == count, memcmp(bytes + start, text, count) == 0 { return UInt32(truncatingIfNeeded: i) }
            }
            at = (at &+ 1) & slotMask
        }
        let code = addValue(text, count)
        slots[at] = tag | UInt64(code &+ 1)
        if rows >= Self.probeRows, values &* 4 > rows &* 3 {
            looksUp = false
            plainBatches = 16
        }
        return code
    }

    private mutating func widenSlots() {
        let n = max(256, (slotMask + 1) * 2)
        slots.deallocate()
        slots = .allocate(capacity: n)
        slots.initialize(repeating: 0, count: n)
        slotMask = n - 1
        for i in 0..<values {
            let start = Int(offsets[i])
            let hash = hotHash(UnsafePointer(bytes) + start, Int(offsets[i + 1]) - start)
            var at = Int(truncatingIfNeeded: hash & 0xFFFF_FFFF) & slotMask
            while slots[at] != 0 { at = (at + 1) & slotMask }
            slots[at] = (hash & ~0xFFFF_FFFF) | UInt64(i + 1)
        }
    }

    // MARK: finishing

    /// The column so far; the sink is empty afterwards and keeps its memory.
    mutating func finish() -> Column {
        let n = rows
        var validity: Bitmap?
        if nulls > 0, type != .string { validity = bits(valid, n) }
        let data: ColumnData =
            switch storage {
            case .bools: .bools(bits(cells.assumingMemoryBound(to: UInt8.self), n))
            case .longs: .longs(copy(Int64.self, n))
            case .reals: .reals(copy(Double.self, n))
            case .guids: .guids(copy(UInt128.self, n))
            case .decimals: .decimals(copy(Decimal128.self, n))
            case .strings: type == .string ? .strings(text(n)) : .dynamics(text(n))
            }
        reset()
        return Column(type, data, validity: validity)
    }

    private func copy<T>(_: T.Type, _ n: Int) -> ContiguousArray<T> {
        ContiguousArray(unsafeUninitializedCapacity: n) { buffer, count in
            if let base = buffer.baseAddress {
                UnsafeMutableRawPointer(base).copyMemory(from: cells, byteCount: n * MemoryLayout<T>.stride)
            }
            count = n
        }
    }

    private func bits(_ flags: UnsafeMutablePointer<UInt8>, _ n: Int) -> Bitmap {
        var words = ContiguousArray<UInt64>(repeating: 0, count: (n + 63) >> 6)
        for i in 0..<n where flags[i] != 0 { words[i >> 6] |= 1 << UInt64(i & 63) }
        return Bitmap(words: words, count: n)
    }

    private func text(_ n: Int) -> StringColumn {
        let ends = ContiguousArray<UInt32>(unsafeUninitializedCapacity: values + 1) { buffer, count in
            buffer.baseAddress?.update(from: offsets, count: values + 1)
            count = values + 1
        }
        let text = ContiguousArray<UInt8>(unsafeUninitializedCapacity: byteCount) { buffer, count in
            if byteCount > 0 { buffer.baseAddress?.update(from: bytes, count: byteCount) }
            count = byteCount
        }
        let strings = ByteStrings(offsets: ends, bytes: text)
        return values == n ? StringColumn(strings) : StringColumn(codes: copy(UInt32.self, n), values: strings)
    }

    private mutating func reset() {
        rows = 0
        nulls = 0
        conflicts = 0
        if !looksUp {
            plainBatches -= 1
            looksUp = plainBatches <= 0
        }
        if values > 0, slotMask > 0 { slots.update(repeating: 0, count: slotMask + 1) }
        values = 0
        byteCount = 0
    }
}

/// A hash of bytes for tables in memory: multiply and fold over words of 8, overlapping reads at the end. Not stable across versions.
@inline(__always)
func hotHash(_ p: UnsafePointer<UInt8>, _ n: Int) -> UInt64 {
    let raw = UnsafeRawPointer(p)
    var h = UInt64(truncatingIfNeeded: n) &* 0x9E37_79B9_7F4A_7C15
    @inline(__always) func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let m = (a ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: b ^ 0xE703_7ED1_A0B4_28DB)
        return m.high ^ m.low
    }
    if n >= 8 {
        var i = 0
        while i &+ 16 <= n {
            h = mix(h ^ raw.loadUnaligned(fromByteOffset: i, as: UInt64.self), raw.loadUnaligned(fromByteOffset: i &+ 8, as: UInt64.self))
            i &+= 16
        }
        if i &+ 8 <= n { h = mix(h, raw.loadUnaligned(fromByteOffset: i, as: UInt64.self)) }
        return mix(h, raw.loadUnaligned(fromByteOffset: n &- 8, as: UInt64.self))
    }
    if n >= 4 {
        let a = UInt64(raw.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        return mix(h, a << 32 | UInt64(raw.loadUnaligned(fromByteOffset: n &- 4, as: UInt32.self)))
    }
    if n == 0 { return mix(h, 1) }
    return mix(h, UInt64(p[0]) | UInt64(p[n >> 1]) << 8 | UInt64(p[n &- 1]) << 16)
}
