import Columnar
import KQL

// Hot file: walks the bytes of JSON arrays.
//
// Invariants: the text of a dynamic cell that is not null is well-formed JSON (``ColumnData/dynamics``); positions stay inside the buffer
// whatever it holds, because every step checks its end.

/// The elements of JSON arrays as slices of their text, without making values of them.
enum JSONElements {
    /// Hands over the range of each element of an array; false for any other value. `body` returns false to end the walk.
    @inline(__always)
    static func forEach(_ b: UnsafeRawBufferPointer, _ body: (Int, Int) -> Bool) -> Bool {
        var i = blanks(b, 0)
        guard i < b.count, b[i] == 0x5B else { return false }
        i = blanks(b, i + 1)
        while i < b.count, b[i] != 0x5D {
            let start = i
            i = end(b, i)
            var last = i
            while last > start, isBlank(b[last - 1]) { last -= 1 }
            if !body(start, last) { return true }
            if i < b.count, b[i] == 0x2C { i = blanks(b, i + 1) }
        }
        return true
    }

    @inline(__always)
    private static func isBlank(_ c: UInt8) -> Bool { c == 0x20 || (c >= 0x09 && c <= 0x0D) }

    @inline(__always)
    private static func blanks(_ b: UnsafeRawBufferPointer, _ from: Int) -> Int {
        var i = from
        while i < b.count, isBlank(b[i]) { i += 1 }
        return i
    }

    /// Behind the value that begins at `from`: at the comma or bracket that follows it.
    @inline(__always)
    private static func end(_ b: UnsafeRawBufferPointer, _ from: Int) -> Int {
        var i = from
        var depth = 0
        while i < b.count {
            switch b[i] {
            case 0x22:
                i += 1
                while i < b.count, b[i] != 0x22 { i += b[i] == 0x5C ? 2 : 1 }
                i = min(i, b.count)
            case 0x5B, 0x7B: depth += 1
            case 0x5D, 0x7D:
                if depth == 0 { return i }
                depth -= 1
            case 0x2C where depth == 0: return i
            default: break
            }
            i += 1
        }
        return min(i, b.count)
    }

    /// Appends an element, cast as `to typeof` casts it. Common forms need no value; all others are parsed.
    @inline(__always)
    static func append(_ e: UnsafeRawBufferPointer, to column: inout ColumnBuilder) {
        switch column.type {
        case .string:
            if e.count >= 2, e[0] == 0x22, e[e.count - 1] == 0x22, !e.contains(0x5C) {
                return column.append(utf8: UnsafeRawBufferPointer(rebasing: e[1..<(e.count - 1)]))
            }
        case .dynamic:
            if let first = e.first, first == 0x22 || first == 0x7B || first == 0x5B || (first >= 0x30 && first <= 0x39) {
                return column.append(json: e)
            }
        case .long:
            if let v = digits(e) { return column.append(v) }
        default: break
        }
        let d = JSONText.parse(e) ?? .null
        if column.type == .dynamic, d == .null { return column.appendNull() }
        column.append(Execution.cast(d, to: column.type))
    }

    /// A number of at most 18 digits without sign, fraction and leading zero.
    @inline(__always)
    private static func digits(_ e: UnsafeRawBufferPointer) -> Int64? {
        guard e.count >= 1, e.count <= 18, e[0] != 0x30 || e.count == 1 else { return nil }
        var v: Int64 = 0
        for c in e {
            guard c >= 0x30, c <= 0x39 else { return nil }
            v = v &* 10 &+ Int64(c &- 0x30)
        }
        return v
    }
}

extension Execution {
    /// `mv-expand` of one dynamic column: elements go from the array's text into the column, a row at a time.
    func expandSlices(
        _ batch: Batch, _ column: Column, _ texts: StringColumn, _ type: ScalarType, _ most: Int, _ bagArrays: Bool,
        _ outputs: [MvOutput], _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let batchRows = options.batchRows
        var rows = ContiguousArray<Int32>()
        var indices = ContiguousArray<Int64>()
        var builder = ColumnBuilder(type)
        func flush() throws -> Bool {
            if rows.isEmpty { return true }
            let item = builder.finish()
            builder = ColumnBuilder(type)
            let columns = outputs.map { output -> Column in
                switch output {
                case .input(let p): batch.columns[p].gather(rows)
                case .index: Column(.long, .longs(indices))
                case .item: item
                }
            }
            let keys = batch.keys.map { k in ContiguousArray(zip(rows, indices).map { k[Int($0)].expanded(Int($1)) }) }
            let lineage = batch.lineage.map { l in ContiguousArray(rows.map { l[Int($0)] }) }
            let out = Batch(columns: columns, count: rows.count, keys: keys, lineage: lineage)
            rows.removeAll(keepingCapacity: true)
            indices.removeAll(keepingCapacity: true)
            return try emit(out)
        }
        for row in 0..<batch.count {
            var n = 0
            var isArray = false
            if !column.isNull(row), most > 0 {
                isArray = texts.withBytes(row) { bytes in
                    JSONElements.forEach(bytes) { start, end in
                        JSONElements.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), to: &builder)
                        n += 1
                        return n < most
                    }
                }
            }
            if !isArray {
                for d in Execution.elements(column.value(row), bagArrays).prefix(most) {
                    let v = Execution.cast(d, to: type)
                    builder.append(v)
                    n += 1
                }
            }
            for i in 0..<n {
                rows.append(Int32(truncatingIfNeeded: row))
                indices.append(Int64(i))
            }
            if rows.count >= batchRows, try !flush() { return false }
        }
        return try flush()
    }
}
