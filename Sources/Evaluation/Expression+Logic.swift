import Columnar

/// `and` / `or` over any number of operands, in three-valued logic. Cheap operands run first; rows that are decided drop out of the
/// frame before expensive ones.
struct LogicNode: ExpressionNode {
    let operands: [any ExpressionNode]
    let isAnd: Bool
    var type: ScalarType { .bool }
    var cost: Int { operands.reduce(1) { $0 + $1.cost } }

    init(_ operands: [any ExpressionNode], isAnd: Bool) {
        self.isAnd = isAnd
        var flat: [any ExpressionNode] = []
        for o in operands {
            if let inner = o as? LogicNode, inner.isAnd == isAnd { flat += inner.operands } else { flat.append(o) }
        }
        self.operands = flat.enumerated().sorted { ($0.element.cost, $0.offset) < ($1.element.cost, $1.offset) }.map(\.element)
    }

    func run(_ frame: ExpressionFrame) throws -> Datum {
        let rows = frame.rows
        var result = Truth(yes: Bitmap(repeating: isAnd, count: rows), known: nil)
        for (i, operand) in operands.enumerated() {
            if i == 0 {
                result = truth(try operand.run(frame), rows: rows)
                continue
            }
            // Open rows: those that the operands so far have not decided.
            var open = isAnd ? result.yes : ~result.yes
            if isAnd, let known = result.known { open.formOr(~known) }
            let count = open.popcount
            if count == 0 { break }
            let next: Truth
            if operand.cost >= 4, count * 2 < rows {
                let indices = open.indices
                let part = truth(try operand.run(frame.narrow(indices)), rows: indices.count)
                next = scatter(part, indices, rows: rows)
            } else {
                next = truth(try operand.run(frame), rows: rows)
            }
            result = isAnd ? conjunction(result, next) : disjunction(result, next)
        }
        return result.datum
    }

    /// Rows outside take the neutral value; they are decided already.
    private func scatter(_ part: Truth, _ indices: ContiguousArray<Int32>, rows: Int) -> Truth {
        var yes = Bitmap(repeating: isAnd, count: rows)
        var known = part.known.map { _ in Bitmap(repeating: true, count: rows) }
        for (i, row) in indices.enumerated() {
            yes[Int(row)] = part.yes[i]
            if let k = part.known, !k[i] { known?[Int(row)] = false }
        }
        return Truth(yes: yes, known: known)
    }
}

private func conjunction(_ a: Truth, _ b: Truth) -> Truth {
    let yes = a.yes & b.yes
    guard a.known != nil || b.known != nil else { return Truth(yes: yes, known: nil) }
    let all = Bitmap(repeating: true, count: yes.count)
    let (ka, kb) = (a.known ?? all, b.known ?? all)
    var known = ka & kb
    var noA = ka, noB = kb
    noA.formAndNot(a.yes)
    noB.formAndNot(b.yes)
    known.formOr(noA)
    known.formOr(noB)
    return Truth(yes: yes, known: known)
}

private func disjunction(_ a: Truth, _ b: Truth) -> Truth {
    let yes = a.yes | b.yes
    guard a.known != nil || b.known != nil else { return Truth(yes: yes, known: nil) }
    let all = Bitmap(repeating: true, count: yes.count)
    return Truth(yes: yes, known: ((a.known ?? all) & (b.known ?? all)) | yes)
}

/// `iff` and `case`: branch `i` where condition `i` is the first that is true; the last branch elsewhere.
struct CaseNode: ExpressionNode {
    let conditions: [any ExpressionNode]
    /// One more than the conditions.
    let branches: [any ExpressionNode]
    let type: ScalarType
    var cost: Int { conditions.reduce(2) { $0 + $1.cost } + branches.reduce(0) { $0 + $1.cost } }

    func run(_ frame: ExpressionFrame) throws -> Datum {
        let rows = frame.rows
        var open = Bitmap(repeating: true, count: rows)
        var pieces: [Piece] = []
        for (i, condition) in conditions.enumerated() {
            let count = open.popcount
            if count == 0 { break }
            let taken: Bitmap
            if i > 0, condition.cost >= 4, count * 2 < rows {
                let indices = open.indices
                let part = truth(try condition.run(frame.narrow(indices)), rows: indices.count).yes
                var bits = Bitmap(repeating: false, count: rows)
                part.forEachSet { bits[Int(indices[$0])] = true }
                taken = bits
            } else {
                taken = truth(try condition.run(frame), rows: rows).yes & open
            }
            if taken.isEmpty { continue }
            if taken.isFull { return try whole(branches[i], frame) }
            pieces.append(try piece(branches[i], taken, frame))
            open.formAndNot(taken)
        }
        if let last = branches.last, !open.isEmpty {
            if open.isFull { return try whole(last, frame) }
            pieces.append(try piece(last, open, frame))
        }
        return .column(assemble(pieces, rows: rows, type: type))
    }

    private func whole(_ branch: any ExpressionNode, _ frame: ExpressionFrame) throws -> Datum {
        castDatum(try branch.run(frame), to: type, rows: frame.rows)
    }

    private func piece(_ branch: any ExpressionNode, _ taken: Bitmap, _ frame: ExpressionFrame) throws -> Piece {
        let target = taken.indices
        if branch.cost <= 1 || target.count * 2 > frame.rows {
            return Piece(datum: castDatum(try branch.run(frame), to: type, rows: frame.rows), target: target, isPacked: false)
        }
        let datum = try branch.run(frame.narrow(target))
        return Piece(datum: castDatum(datum, to: type, rows: target.count), target: target, isPacked: true)
    }
}

/// `coalesce`: the first argument that is not null (not empty, for strings).
struct CoalesceNode: ExpressionNode {
    let arguments: [any ExpressionNode]
    let type: ScalarType
    var cost: Int { arguments.reduce(2) { $0 + $1.cost } }

    func run(_ frame: ExpressionFrame) throws -> Datum {
        let rows = frame.rows
        var open = Bitmap(repeating: true, count: rows)
        var pieces: [Piece] = []
        for argument in arguments {
            if open.isEmpty { break }
            let target = open.indices
            let isPacked = argument.cost > 1 && target.count * 2 < rows
            let n = isPacked ? target.count : rows
            let raw = try argument.run(isPacked ? frame.narrow(target) : frame)
            let datum = castDatum(raw, to: type, rows: n)
            // Before the conversion: an empty string holds nothing, as a dynamic value it would.
            let present = presence(raw, rows: n)
            var taken = ContiguousArray<Int32>()
            var source = ContiguousArray<Int32>()
            for (i, row) in target.enumerated() {
                let position = isPacked ? i : Int(row)
                if present[position] {
                    taken.append(row)
                    source.append(Int32(truncatingIfNeeded: position))
                    open[Int(row)] = false
                }
            }
            if taken.count == rows { return datum }
            pieces.append(Piece(datum: datum, target: taken, isPacked: false, source: source))
        }
        return .column(assemble(pieces, rows: rows, type: type))
    }
}

/// Where a datum has something: not null, and not the empty string.
func presence(_ datum: Datum, rows: Int) -> Bitmap {
    switch datum {
    case .constant(let v):
        if case .string(let s) = v { return Bitmap(repeating: !s.isEmpty, count: rows) }
        return Bitmap(repeating: !v.isNull, count: rows)
    case .column(let c):
        if case .strings(let s) = c.data {
            var table = Bitmap(repeating: false, count: s.values.count)
            for i in 0..<s.values.count where s.values.length(i) > 0 { table[i] = true }
            return s.codes.map { spreadBits(table, codes: $0) } ?? table
        }
        return c.validity ?? Bitmap(repeating: true, count: rows)
    }
}

/// Cells for some rows of a column under construction.
struct Piece {
    let datum: Datum
    /// The rows that it fills, ascending.
    let target: ContiguousArray<Int32>
    /// Cell `i` is for `target[i]`; else the cell for a row stands at that row, or at `source`.
    let isPacked: Bool
    var source: ContiguousArray<Int32>?

    func position(_ i: Int) -> Int { source.map { Int($0[i]) } ?? (isPacked ? i : Int(target[i])) }
}

/// A column from pieces with disjoint targets; rows without a piece are null. All pieces have the type.
func assemble(_ pieces: [Piece], rows: Int, type: ScalarType) -> Column {
    switch type {
    case .string, .dynamic: return assembleText(pieces, rows: rows, type: type)
    case .bool:
        var out = Bitmap(repeating: false, count: rows)
        let valid = assembleValidity(pieces, rows: rows)
        for p in pieces {
            switch p.datum {
            case .constant(.bool(true)): for row in p.target { out[Int(row)] = true }
            case .column(let c):
                if case .bools(let b) = c.data { for (i, row) in p.target.enumerated() where b[p.position(i)] { out[Int(row)] = true } }
            default: break
            }
        }
        return Column(.bool, .bools(out & valid), validity: valid)
    case .int, .long, .datetime, .timespan:
        let out = fill(pieces, rows: rows, zero: Int64(0), constant: { $0.integer }) { data in
            if case .longs(let a) = data { return a }
            return nil
        }
        return Column(type, .longs(out), validity: assembleValidity(pieces, rows: rows))
    case .real:
        let out = fill(pieces, rows: rows, zero: 0.0, constant: { $0.double }) { data in
            if case .reals(let a) = data { return a }
            return nil
        }
        return Column(type, .reals(out), validity: assembleValidity(pieces, rows: rows))
    case .decimal, .guid:
        var values = [Value](repeating: .null(type), count: rows)
        for p in pieces { for (i, row) in p.target.enumerated() { values[Int(row)] = p.datum.value(p.position(i)) } }
        var builder = ColumnBuilder(type)
        for v in values { builder.append(v) }
        return builder.finish()
    }
}

private func fill<T>(
    _ pieces: [Piece], rows: Int, zero: T, constant: (Value) -> T?, cells: (ColumnData) -> ContiguousArray<T>?
) -> ContiguousArray<T> {
    var out = ContiguousArray(repeating: zero, count: rows)
    for p in pieces {
        switch p.datum {
        case .constant(let v):
            if let x = constant(v) { for row in p.target { out[Int(row)] = x } }
        case .column(let c):
            if let a = cells(c.data) { for (i, row) in p.target.enumerated() { out[Int(row)] = a[p.position(i)] } }
        }
    }
    return out
}

private func assembleValidity(_ pieces: [Piece], rows: Int) -> Bitmap {
    var valid = Bitmap(repeating: false, count: rows)
    for p in pieces {
        switch p.datum {
        case .constant(let v):
            if !v.isNull { for row in p.target { valid[Int(row)] = true } }
        case .column(let c):
            for (i, row) in p.target.enumerated() where !c.isNull(p.position(i)) { valid[Int(row)] = true }
        }
    }
    return valid
}

/// Text pieces share one dictionary: the values of the pieces one after another, so no cell is copied per row.
private func assembleText(_ pieces: [Piece], rows: Int, type: ScalarType) -> Column {
    var values = ByteStrings()
    values.append("")
    var codes = ContiguousArray<UInt32>(repeating: 0, count: rows)
    for p in pieces {
        let base = UInt32(values.count)
        switch p.datum {
        case .constant(let v):
            switch v {
            case .string(let s): values.append(s)
            case .dynamic(let d): values.append(JSONText.compact(d))
            default: continue
            }
            for row in p.target { codes[Int(row)] = base }
        case .column(let c):
            switch c.data {
            case .strings(let s), .dynamics(let s):
                values.append(contentsOf: s.values)
                for (i, row) in p.target.enumerated() { codes[Int(row)] = base + UInt32(s.code(p.position(i))) }
            default: continue
            }
        }
    }
    let text = StringColumn(codes: codes, values: values)
    if type == .string { return Column(.string, .strings(text)) }
    return Column(.dynamic, .dynamics(text), validity: assembleValidity(pieces, rows: rows))
}
