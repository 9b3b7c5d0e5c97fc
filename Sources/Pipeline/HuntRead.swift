import Columnar
import Evaluation
import KQL
import Matcher
import Tables

/// One place where a plan reads a table.
struct HuntRead: Sendable {
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
struct HuntPicker: Sendable {
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

/// A read with its conditions made ready: what a reading thread does to a batch.
struct HuntSieve: Sendable {
    let read: HuntRead
    private let filters: [CompiledExpression]
    private let picker: HuntPicker
    private let context: EvaluationContext

    init(_ read: HuntRead, normalizer: Normalizer, context: EvaluationContext) {
        self.read = read
        self.context = context
        // A condition that cannot be decided here is decided later: all run again above the scan.
        filters = read.filters.compactMap { e in
            HuntShelf.isRepeatable(e) ? try? CompiledExpression(e, input: read.columns, subqueries: NoSubqueries()) : nil
        }
        picker = HuntPicker(read, normalizer: normalizer)
    }

    /// The rows of a batch that the read wants; nil if there are none. Keys are made for those rows alone.
    func rows(_ whole: TableBatch, in chunk: UnsafeRawBufferPointer, keyed: Bool) throws -> Batch? {
        guard var rows = picker.pick(whole.batch, of: whole.table) else { return nil }
        var places: ContiguousArray<Int32>?
        for filter in filters where rows.count > 0 {
            let chosen = try filter.select(rows, context)
            if chosen.isFull { continue }
            let kept = chosen.indices
            places = places.map { p in ContiguousArray(kept.lazy.map { p[Int($0)] }) } ?? kept
            rows = rows.gather(kept)
        }
        if rows.count == 0 { return nil }
        if keyed {
            if let places {
                rows.keys = ContiguousArray(places.lazy.map { whole.rowKey(Int($0), in: chunk) })
            } else {
                rows.keys = ContiguousArray((0..<whole.count).lazy.map { whole.rowKey($0, in: chunk) })
            }
        }
        return rows
    }
}

/// Rows that a scan takes along for others.
struct HuntShelf {
    private var places: [HuntRead.ID: (batches: [Batch]?, bytes: Int)]
    private var room: Int

    init(_ reads: [HuntRead], limit: Int) {
        room = limit
        places = Dictionary(reads.map { ($0.id, ([], 0)) }) { a, _ in a }
    }

    /// Whether nothing is taken along.
    var isEmpty: Bool { places.values.allSatisfy { $0.batches == nil } }

    /// What was kept, of those reads that fitted.
    var rows: [HuntRead.ID: [Batch]] { places.compactMapValues(\.batches) }

    mutating func add(_ rows: Batch, of read: HuntRead.ID) {
        guard var place = places[read], place.batches != nil else { return }
        let bytes = rows.bytes
        room -= bytes
        if room < 0 {
            // Too many: they are read again.
            room += bytes + place.bytes
            places[read] = (nil, 0)
            return
        }
        places[read] = nil
        place.bytes += bytes
        place.batches?.append(rows)
        places[read] = place
    }

    /// Whether a condition gives the same for a row wherever it is asked, and asks for nothing but its cells.
    static func isRepeatable(_ e: BoundExpr) -> Bool {
        if PlanRewriter.hasSubquery(e) { return false }
        var result = true
        func visit(_ e: BoundExpr) {
            switch e.kind {
            case .call(let name, let arguments):
                if name == "rand" || name == "new_guid" || (name == "ingestion_time" && arguments.isEmpty) { result = false }
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
