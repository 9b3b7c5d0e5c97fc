import Columnar
import KQL

/// `min` and `max`: nulls are skipped; no value gives null.
final class ExtremeAccumulator: Accumulator {
    private let type: ScalarType
    private let output: ScalarType
    private let greatest: Bool
    /// Order-preserving integers of the types that have them.
    private var words = ContiguousArray<Int64>()
    private var values = ContiguousArray<Column?>()
    private var known = ContiguousArray<Bool>()
    private var usesWords: Bool { CellCode.isWord(type) }

    init(_ setup: AggregateSetup, greatest: Bool) {
        type = setup.type(0)
        output = setup.output()
        self.greatest = greatest
    }

    var readsOrder: Bool { false }
    var bytes: Int { known.count * (usesWords ? 9 : 64) }
    var isFixedSize: Bool { usesWords }

    func resize(_ groups: Int) {
        known.grow(to: groups, false)
        if usesWords { words.grow(to: groups, 0) } else { values.grow(to: groups, nil) }
    }

    private func note(_ g: Int, _ word: Int64) {
        if !known[g] || (greatest ? word > words[g] : word < words[g]) {
            words[g] = word
            known[g] = true
        }
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        let valid = column.validity
        switch column.data {
        case .longs(let a): input.extreme(a, valid, greatest: greatest, into: &words, &known)
        case .reals(let a): input.extreme(Int64.words(a), valid, greatest: greatest, into: &words, &known)
        case .bools(let b): for i in 0..<input.rows where valid?[i] ?? true { note(Int(input.groups[i]), b[i] ? 1 : 0) }
        default: addGeneral(column, input)
        }
    }

    /// One batch: finds the best row a group, then copies the winners out.
    private func addGeneral(_ column: Column, _ input: AggregateInput) {
        var best: [UInt32: Int] = [:]
        for i in 0..<input.rows where !column.isNull(i) {
            let g = input.groups[i]
            if let b = best[g] {
                let order = CellOrder.compare(column, i, column, b)
                if greatest ? order > 0 : order < 0 { best[g] = i }
            } else {
                best[g] = i
            }
        }
        for (g, row) in best { offer(Int(g), column, row) }
    }

    private func offer(_ g: Int, _ column: Column, _ row: Int) {
        if let current = values[g] {
            let order = CellOrder.compare(column, row, current, 0)
            guard greatest ? order > 0 : order < 0 else { return }
        }
        var b = ColumnBuilder(column.type)
        b.append(column, row: row)
        values[g] = b.finish()
        known[g] = true
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? ExtremeAccumulator, other.type == type else { throw EvaluationError.unlikeStates }
        for (f, t) in zip(from, to) where other.known[Int(f)] {
            if usesWords {
                note(Int(t), other.words[Int(f)])
            } else if let v = other.values[Int(f)] {
                offer(Int(t), v, 0)
            }
        }
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(type)
        for group in groups {
            let g = Int(group)
            guard known[g] else {
                b.appendNull()
                continue
            }
            switch type {
            case .bool: b.append(words[g] != 0)
            case .real: b.append(CellOrder.real(words[g]))
            default:
                if usesWords { b.append(words[g]) } else if let v = values[g] { b.append(v, row: 0) } else { b.appendNull() }
            }
        }
        let column = b.finish()
        return [type == output ? column : castDatum(.column(column), to: output, rows: groups.count).materialized(rows: groups.count)]
    }
}

/// `arg_max`, `arg_min` and `take_any`: one whole row a group.
///
/// The arg functions take the row with the extreme first argument, ties to the least order; a null loses to every value, and where all are
/// null the least row is taken. `take_any` of several columns takes the least row.
final class WinnerAccumulator: Accumulator {
    enum Choice { case greatest, least, any }
    private let choice: Choice
    private let types: [ScalarType]
    /// Candidates: winners so far and rows that have lost since; compacted when the lost ones outnumber the groups.
    private var store: [[Column]] = []
    private var storeRows = 0
    private var winners = ContiguousArray<(part: Int32, row: Int32)>()
    private var orders = ContiguousArray<RowKey>()

    init(_ setup: AggregateSetup, choice: Choice) {
        self.choice = choice
        types = setup.argumentTypes
    }

    func resize(_ groups: Int) {
        winners.grow(to: groups, (-1, -1))
        orders.grow(to: groups, RowKey(time: 0, hashHigh: 0, hashLow: 0))
    }

    /// Whether row `i` of `a` beats row `j` of `b`.
    private func beats(_ a: Column, _ i: Int, _ x: RowKey, _ b: Column, _ j: Int, _ y: RowKey) -> Bool {
        if choice != .any {
            let (nullA, nullB) = (a.isNull(i), b.isNull(j))
            if nullA != nullB { return nullB }
            if !nullA {
                let order = CellOrder.compare(a, i, b, j)
                if order != 0 { return choice == .greatest ? order > 0 : order < 0 }
            }
        }
        return x < y
    }

    private func consider(_ columns: [Column], _ order: ContiguousArray<RowKey>, _ groups: ContiguousArray<UInt32>) {
        guard let key = columns.first else { return }
        var best: [UInt32: Int32] = [:]
        for i in 0..<groups.count {
            let g = groups[i]
            if let b = best[g] {
                if beats(key, i, order[i], key, Int(b), order[Int(b)]) { best[g] = Int32(truncatingIfNeeded: i) }
            } else {
                best[g] = Int32(truncatingIfNeeded: i)
            }
        }
        var rows = ContiguousArray<Int32>()
        for (g, row) in best {
            let w = winners[Int(g)]
            if w.part >= 0, !beats(key, Int(row), order[Int(row)], store[Int(w.part)][0], Int(w.row), orders[Int(g)]) { continue }
            winners[Int(g)] = (Int32(truncatingIfNeeded: store.count), Int32(truncatingIfNeeded: rows.count))
            orders[Int(g)] = order[Int(row)]
            rows.append(row)
        }
        if rows.isEmpty { return }
        store.append(columns.map { $0.gather(rows) })
        storeRows += rows.count
        if storeRows > 4 * winners.count + 4096 || store.count > winners.count / 4 + 256 { compact() }
    }

    private func compact() {
        let (columns, count, kept) = gatherWinners((0..<winners.count).map { $0 }.filter { winners[$0].part >= 0 })
        for (i, g) in kept.enumerated() { winners[g] = (0, Int32(truncatingIfNeeded: i)) }
        store = [columns]
        storeRows = count
    }

    private func gatherWinners(_ groups: [Int]) -> ([Column], Int, [Int]) {
        let columns = types.indices.map { c in
            var b = ColumnBuilder(types[c])
            b.reserve(groups.count)
            for g in groups {
                let w = winners[g]
                if w.part >= 0 { b.append(store[Int(w.part)][c], row: Int(w.row)) } else { b.appendNull() }
            }
            return b.finish()
        }
        return (columns, groups.count, groups)
    }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        consider(arguments.map { $0.materialized(rows: input.rows) }, input.order, input.groups)
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? WinnerAccumulator else { throw EvaluationError.unlikeStates }
        let known = from.indices.filter { other.winners[Int(from[$0])].part >= 0 }
        let (columns, _, won) = other.gatherWinners(known.map { Int(from[$0]) })
        consider(columns, ContiguousArray(won.lazy.map { other.orders[$0] }), ContiguousArray(known.lazy.map { to[$0] }))
    }

    var bytes: Int { winners.count * 40 + store.reduce(0) { $0 + $1.reduce(64) { $0 + $1.bytes } } }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] { gatherWinners(groups.map { Int($0) }).0 }
}

/// `take_any` of one column: the value of the least row that has one.
final class AnyAccumulator: Accumulator {
    private let winner: WinnerAccumulator

    init(_ setup: AggregateSetup) { winner = WinnerAccumulator(setup, choice: .any) }

    func resize(_ groups: Int) { winner.resize(groups) }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        guard let valid = column.validity else { return try winner.add([.column(column)], input) }
        let rows = valid.indices
        if !rows.isEmpty { try winner.add([.column(column.gather(rows))], input.gather(rows)) }
    }

    func merge(_ other: any Accumulator, _ from: ContiguousArray<UInt32>, into to: ContiguousArray<UInt32>) throws {
        guard let other = other as? AnyAccumulator else { throw EvaluationError.unlikeStates }
        try winner.merge(other.winner, from, into: to)
    }

    var bytes: Int { winner.bytes }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] { try winner.finish(groups) }
}
