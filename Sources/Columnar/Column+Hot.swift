import CKernels

// Hot file: selection of rows through unsafe buffers.
//
// Invariants: `rows` are below the column's row count or negative (checked once a call by their maximum); every target has exactly
// `rows.count` cells, all of which the kernel writes; pointers are used only inside the closure that lends them.

extension Column {
    /// The rows given, in that order. Rows must be in range; -1 gives a null (an empty string), for outer joins.
    public func gather(_ rows: ContiguousArray<Int32>) -> Column {
        let range = RowRange(rows)
        precondition(range.greatest < count, "Column: row \(range.greatest) of \(count)")
        var v = validity?.gathered(rows)
        if range.least < 0, v == nil, type != .string {
            // Only the rows that do not exist are null.
            v = Bitmap(repeating: true, count: count).gathered(rows)
        }
        switch data {
        case .bools(let b): return Column(type, .bools(b.gathered(rows)), validity: v)
        case .longs(let a): return Column(type, .longs(gathered(a, rows, vk_gather_64)), validity: v)
        case .reals(let a): return Column(type, .reals(gathered(a, rows, vk_gather_64)), validity: v)
        case .decimals(let a):
            return Column(type, .decimals(ContiguousArray(rows.lazy.map { $0 < 0 ? Decimal128(0) : a[Int($0)] })), validity: v)
        case .guids(let a): return Column(type, .guids(gathered(a, rows, vk_gather_128)), validity: v)
        case .strings(let s): return Column(type, .strings(s.gathered(rows, hasNone: range.least < 0)))
        case .dynamics(let s): return Column(type, .dynamics(s.gathered(rows, hasNone: range.least < 0)), validity: v)
        }
    }
}

/// The least and the greatest of some row numbers; 0 and -1 for none.
private struct RowRange {
    var least: Int = 0
    var greatest: Int = -1

    init(_ rows: ContiguousArray<Int32>) {
        rows.withUnsafeBufferPointer { p in
            var low = Int32.max
            var high = Int32(-1)
            for r in p {
                low = min(low, r)
                high = max(high, r)
            }
            if p.count > 0 { (least, greatest) = (Int(low), Int(high)) }
        }
    }
}

private func gathered<T>(
    _ cells: ContiguousArray<T>, _ rows: ContiguousArray<Int32>,
    _ kernel: (UnsafeRawPointer?, UnsafePointer<Int32>?, Int, UnsafeMutableRawPointer?) -> Void
) -> ContiguousArray<T> {
    ContiguousArray(unsafeUninitializedCapacity: rows.count) { out, count in
        cells.withUnsafeBufferPointer { from in
            rows.withUnsafeBufferPointer { kernel(UnsafeRawPointer(from.baseAddress), $0.baseAddress, $0.count, out.baseAddress) }
        }
        count = rows.count
    }
}

extension Bitmap {
    /// The set indices, ascending.
    public var indices: ContiguousArray<Int32> {
        let total = popcount
        return ContiguousArray(unsafeUninitializedCapacity: total) { out, count in
            guard let to = out.baseAddress, total > 0 else { return }
            words.withUnsafeBufferPointer { p in
                to.withMemoryRebound(to: UInt32.self, capacity: total) { count = vk_bits_indices(p.baseAddress, p.count, $0) }
            }
        }
    }

    /// The bits at the rows given, in that order.
    public func gather(_ rows: ContiguousArray<Int32>) -> Bitmap {
        let range = RowRange(rows)
        precondition(range.greatest < count, "Bitmap: row \(range.greatest) of \(count)")
        return gathered(rows)
    }

    /// Rows are in range or negative.
    fileprivate func gathered(_ rows: ContiguousArray<Int32>) -> Bitmap {
        let n = (rows.count + 63) >> 6
        let bits = ContiguousArray<UInt64>(unsafeUninitializedCapacity: n) { out, count in
            words.withUnsafeBufferPointer { from in
                rows.withUnsafeBufferPointer { vk_gather_bits(from.baseAddress, $0.baseAddress, $0.count, out.baseAddress) }
            }
            count = n
        }
        return Bitmap(words: bits, count: rows.count)
    }
}

extension StringColumn {
    /// The rows given, in that order; keeps the dictionary when it has one and rows are many enough.
    public func gather(_ rows: ContiguousArray<Int32>) -> StringColumn {
        let range = RowRange(rows)
        precondition(range.greatest < count, "StringColumn: row \(range.greatest) of \(count)")
        return gathered(rows, hasNone: range.least < 0)
    }

    /// Rows are in range or negative; a negative one gives an empty string.
    fileprivate func gathered(_ rows: ContiguousArray<Int32>, hasNone: Bool) -> StringColumn {
        // A small selection from a large dictionary is copied out, so that a survivor does not keep a whole batch alive.
        if let codes, !hasNone, values.count <= 2 * rows.count + 16 {
            return StringColumn(codes: Columnar.gathered(codes, rows, vk_gather_32), values: values)
        }
        var total = 0
        let offsets = ContiguousArray<UInt32>(unsafeUninitializedCapacity: rows.count + 1) { out, count in
            withParts { _, offsets, codes in
                rows.withUnsafeBufferPointer { total = vk_gather_offsets(offsets, codes, $0.baseAddress, $0.count, out.baseAddress) }
            }
            count = rows.count + 1
        }
        precondition(total >= 0, "StringColumn: more than 4 GiB of text in one column")
        let bytes = ContiguousArray<UInt8>(unsafeUninitializedCapacity: total) { out, count in
            withParts { bytes, from, codes in
                rows.withUnsafeBufferPointer { r in
                    offsets.withUnsafeBufferPointer {
                        vk_gather_bytes(bytes, from, codes, r.baseAddress, r.count, $0.baseAddress, out.baseAddress)
                    }
                }
            }
            count = total
        }
        return StringColumn(ByteStrings(offsets: offsets, bytes: bytes))
    }

    private func withParts(_ body: (UnsafePointer<UInt8>?, UnsafePointer<UInt32>?, UnsafePointer<UInt32>?) -> Void) {
        values.bytes.withUnsafeBufferPointer { b in
            values.offsets.withUnsafeBufferPointer { o in
                if let codes {
                    codes.withUnsafeBufferPointer { body(b.baseAddress, o.baseAddress, $0.baseAddress) }
                } else {
                    body(b.baseAddress, o.baseAddress, nil)
                }
            }
        }
    }
}

extension ByteStrings {
    /// The strings of several lists one after the other. Their bytes together must stay below 4 GiB.
    public static func joined(_ parts: [ByteStrings]) -> ByteStrings {
        var out = ByteStrings()
        out.reserve(strings: parts.reduce(0) { $0 + $1.count }, bytes: parts.reduce(0) { $0 + $1.bytes.count })
        for p in parts { out.append(contentsOf: p) }
        return out
    }
}

extension Column {
    /// The rows of several columns of one type, one after the other; nil when their text would pass 4 GiB or their rows 2^31.
    public static func joined(_ parts: [Column], type: ScalarType) -> Column? {
        if parts.count == 1 { return parts[0] }
        let total = parts.reduce(0) { $0 + $1.count }
        guard total < Int(Int32.max) else { return nil }
        var validity: Bitmap?
        if parts.contains(where: { $0.validity != nil }) {
            var bits = Bitmap(repeating: true, count: total)
            var at = 0
            for p in parts {
                if let v = p.validity { for i in 0..<p.count where !v[i] { bits[at + i] = false } }
                at += p.count
            }
            validity = bits
        }
        func cells<T>(_ pick: (ColumnData) -> ContiguousArray<T>?) -> ContiguousArray<T> {
            var out = ContiguousArray<T>()
            out.reserveCapacity(total)
            for p in parts { if let a = pick(p.data) { out.append(contentsOf: a) } }
            return out
        }
        func texts() -> StringColumn? {
            let columns = parts.compactMap { part -> StringColumn? in
                switch part.data {
                case .strings(let s), .dynamics(let s): s
                default: nil
                }
            }
            guard columns.reduce(0, { $0 + $1.values.bytes.count }) < Int(UInt32.max) else { return nil }
            let values = ByteStrings.joined(columns.map(\.values))
            if columns.allSatisfy({ $0.codes == nil }) { return StringColumn(values) }
            var codes = ContiguousArray<UInt32>()
            codes.reserveCapacity(total)
            var base: UInt32 = 0
            for c in columns {
                if let own = c.codes {
                    codes.append(contentsOf: own.lazy.map { $0 &+ base })
                } else {
                    codes.append(contentsOf: (0..<UInt32(c.values.count)).lazy.map { $0 &+ base })
                }
                base &+= UInt32(c.values.count)
            }
            return StringColumn(codes: codes, values: values)
        }
        switch type {
        case .bool:
            var bits = Bitmap(repeating: false, count: total)
            var at = 0
            for p in parts {
                if case .bools(let b) = p.data { b.forEachSet { bits[at + $0] = true } }
                at += p.count
            }
            return Column(type, .bools(bits), validity: validity)
        case .int, .long, .datetime, .timespan:
            return Column(type, .longs(cells { if case .longs(let a) = $0 { a } else { nil } }), validity: validity)
        case .real: return Column(type, .reals(cells { if case .reals(let a) = $0 { a } else { nil } }), validity: validity)
        case .decimal: return Column(type, .decimals(cells { if case .decimals(let a) = $0 { a } else { nil } }), validity: validity)
        case .guid: return Column(type, .guids(cells { if case .guids(let a) = $0 { a } else { nil } }), validity: validity)
        case .string: return texts().map { Column(type, .strings($0)) }
        case .dynamic: return texts().map { Column(type, .dynamics($0), validity: validity) }
        }
    }
}
