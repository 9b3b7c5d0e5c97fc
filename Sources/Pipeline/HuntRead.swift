import Columnar
import Evaluation
import KQL
import Matcher
import Tables

/// One place where a plan reads a table.
struct HuntRead {
    /// The identities of the columns: every reference to a table has its own. The table's name stands for reads without columns.
    struct ID: Hashable, Comparable {
        let table: String
        let columns: [ColumnID]
        static func < (a: ID, b: ID) -> Bool { a.table == b.table ? a.columns.lexicographicallyPrecedes(b.columns) : a.table < b.table }
    }

    let table: String
    let columns: [BoundColumn]
    /// Conditions right above the read.
    let filters: [BoundExpr]

    var id: ID { ID(table: table, columns: columns.map(\.id)) }

    /// The reads of a plan, those inside shared plans and sub-queries included.
    static func reads(of plan: Plan) -> [ID: HuntRead] {
        var out: [ID: HuntRead] = [:]
        // Nodes come from the top: the inner filters of a stack are seen with the outermost.
        var inner: Set<ObjectIdentifier> = []
        func add(_ read: HuntRead) { if (out[read.id]?.filters.count ?? -1) < read.filters.count { out[read.id] = read } }
        PlanTools.forEachNode(plan) { node in
            if inner.remove(ObjectIdentifier(node)) != nil { return }
            var filters: [BoundExpr] = []
            var base = node
            while case .filter(let input, let condition) = base.kind {
                filters.append(condition)
                base = input
                inner.insert(ObjectIdentifier(base))
            }
            if case .table(let name) = base.kind { add(HuntRead(table: name, columns: base.columns, filters: filters.reversed())) }
        }
        return out
    }

    /// The columns that any of the reads wants of a table, each once, in order of appearance.
    static func columns(of reads: [HuntRead], table: String) -> [SchemaColumn] {
        var seen: Set<String> = []
        return reads.filter { $0.table == table }.flatMap(\.columns).filter { seen.insert($0.name).inserted }.map {
            SchemaColumn($0.name, $0.type)
        }
    }
}

/// Takes a read's columns from batches that hold those of several reads.
struct HuntPicker {
    private let table: Int?
    private let positions: [Int?]
    private let types: [BoundColumn]

    init(_ read: HuntRead, normalizer: Normalizer) {
        table = normalizer.tables.firstIndex { $0.name == read.table }
        let columns = table.map { normalizer.tables[$0].columns } ?? []
        positions = read.columns.map { wanted in columns.firstIndex { $0.name == wanted.name } }
        types = read.columns
    }

    /// The rows of a batch, if it is of the read's table.
    func pick(_ batch: Batch, of index: Int) -> Batch? {
        guard index == table else { return nil }
        let columns = zip(positions, types).map { p, c in p.map { batch.columns[$0] } ?? Column.nulls(c.type, count: batch.count) }
        return Batch(columns: columns, count: batch.count, keys: batch.keys)
    }
}

/// Rows that a scan takes along for others.
final class HuntShelf {
    private struct Place {
        let read: HuntRead
        let filters: [CompiledExpression]
        var picker: HuntPicker?
        /// Nil: they were too many.
        var batches: [Batch]? = []
        var bytes = 0
    }
    private var places: [Place]
    private let context: EvaluationContext
    private var room: Int

    init(_ reads: [HuntRead], context: EvaluationContext, limit: Int) {
        self.context = context
        room = limit
        places = reads.map { read in
            // A condition that cannot be decided here is decided later: it runs again above the scan.
            let filters = read.filters.compactMap { e in
                HuntShelf.isRepeatable(e) ? try? CompiledExpression(e, input: read.columns, subqueries: NoSubqueries()) : nil
            }
            return Place(read: read, filters: filters)
        }
    }

    /// Whether nothing is taken along.
    var isEmpty: Bool { places.allSatisfy { $0.batches == nil } }

    /// What was kept, of those reads that fitted.
    var rows: [HuntRead.ID: [Batch]] {
        places.reduce(into: [:]) { out, place in if let batches = place.batches { out[place.read.id] = batches } }
    }

    func add(_ batch: Batch, of table: Int, _ normalizer: Normalizer) throws {
        for i in places.indices where places[i].batches != nil {
            if places[i].picker == nil { places[i].picker = HuntPicker(places[i].read, normalizer: normalizer) }
            guard var rows = places[i].picker?.pick(batch, of: table) else { continue }
            for filter in places[i].filters where rows.count > 0 { rows = rows.filter(try filter.select(rows, context)) }
            guard rows.count > 0 else { continue }
            let bytes = rows.bytes
            room -= bytes
            if room < 0 {
                room += bytes + places[i].bytes
                places[i].batches = nil
            } else {
                places[i].bytes += bytes
                places[i].batches?.append(rows)
            }
        }
    }

    private static func isRepeatable(_ e: BoundExpr) -> Bool {
        if PlanRewriter.hasSubquery(e) { return false }
        var result = true
        func visit(_ e: BoundExpr) {
            switch e.kind {
            case .call(let name, let arguments):
                if name == "rand" || name == "new_guid" { result = false }
                for a in arguments { visit(a) }
            case .member(let base, _): visit(base)
            case .element(let base, let index):
                visit(base)
                visit(index)
            case .inQuery, .scalarQuery: result = false
            case .constant, .column: break
            }
        }
        visit(e)
        return result
    }
}

extension Batch {
    /// Memory of the cells, roughly.
    var bytes: Int {
        columns.reduce(count * MemoryLayout<RowKey>.stride) { sum, column in
            switch column.data {
            case .bools: sum + count / 8
            case .longs, .reals: sum + count * 8
            case .decimals: sum + count * MemoryLayout<Decimal128>.stride
            case .guids: sum + count * 16
            case .strings(let s), .dynamics(let s): sum + s.values.bytes.count + 4 * s.values.count + 4 * (s.codes?.count ?? 0)
            }
        }
    }
}
