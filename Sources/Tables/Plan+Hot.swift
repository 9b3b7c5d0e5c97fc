import CKernels
import Columnar
import KQL

// Hot file: what the record loop reads. Everything here is immutable after `NormalizerPlan.init`, so any number of threads may read it.
//
// Invariants: leaf indices are below the cell count of the shape that uses them; column, target and leaf ranges lie inside their arrays;
// the plan outlives every session (sessions hold it).

/// One column of one table of one shape.
struct CompiledColumn {
    let operation: Operation
    /// Index of the table's sink.
    let sink: Int32
    let firstLeaf: Int32
    let leafCount: Int32
    /// Index of a constant or a map, or a plain number.
    let argument: Int32
}

struct CompiledTarget {
    /// Index of the builder.
    let table: Int32
    let firstColumn: Int32
    let columnCount: Int32
}

struct CompiledShape {
    let trie: OpaquePointer
    let cellCount: Int
    let firstTime: Int32
    let timeCount: Int32
    let firstTarget: Int32
    let targetCount: Int32
    let treatment: RecordTreatment
    /// Tables (by their number for counting) that the shape fills, needed or not; -1 for none.
    let counted: (Int32, Int32)
}

/// Values that tell forms apart; each has this leaf in every trie.
enum Discriminator: Int, CaseIterable {
    case time, category, resourceID, operationName, eventCategory, properties, identity, log
    case eventTimestamp, eventSource, eventVersion, awsRegion, detailType, detail, cloudTrailEvent
    case workload, recordType, creationTime, systemAlertID, alertType, productName, protoType, type
    case arn, createdDateTime, activityDateTime, initiatedBy, conditionalAccessStatus
    case vendorInformation, alertWebURL, flowRecords, authorization, timeGenerated

    var path: (keys: [String], exact: Bool) {
        switch self {
        case .time: (["time"], false)
        case .category: (["category"], false)
        case .resourceID: (["resourceId"], false)
        case .operationName: (["operationName"], false)
        case .eventCategory: (["properties", "eventCategory"], false)
        case .properties: (["properties"], false)
        case .identity: (["identity"], false)
        case .log: (["properties", "log"], false)
        case .eventTimestamp: (["eventTimestamp"], false)
        case .eventSource: (["eventSource"], true)
        case .eventVersion: (["eventVersion"], true)
        case .awsRegion: (["awsRegion"], true)
        case .detailType: (["detail-type"], true)
        case .detail: (["detail"], true)
        case .cloudTrailEvent: (["CloudTrailEvent"], true)
        case .workload: (["Workload"], true)
        case .recordType: (["RecordType"], true)
        case .creationTime: (["CreationTime"], true)
        case .systemAlertID: (["SystemAlertId"], true)
        case .alertType: (["AlertType"], true)
        case .productName: (["ProductName"], true)
        case .protoType: (["protoPayload", "@type"], true)
        case .type: (["Type"], true)
        case .arn: (["arn"], true)
        case .createdDateTime: (["createdDateTime"], true)
        case .activityDateTime: (["activityDateTime"], true)
        case .initiatedBy: (["initiatedBy"], true)
        case .conditionalAccessStatus: (["conditionalAccessStatus"], true)
        case .vendorInformation: (["vendorInformation"], true)
        case .alertWebURL: (["alertWebUrl"], true)
        case .flowRecords: (["flowRecords"], true)
        case .authorization: (["identity", "authorization"], false)
        case .timeGenerated: (["TimeGenerated"], true)
        }
    }
}

/// Gives leaves to paths and builds the trie.
private final class TrieBuilder {
    private struct Key: Hashable {
        let keys: [String]
        let exact: Bool
    }
    private var leaves: [Key: Int32] = [:]
    private(set) var count: Int32 = 0
    let trie: OpaquePointer?

    init() {
        trie = vk_trie_new()
        for d in Discriminator.allCases {
            let (keys, exact) = d.path
            let leaf = self.leaf(keys, exact: exact)
            precondition(leaf == nil || leaf == Int32(d.rawValue), "discriminators come first")
        }
    }

    /// The leaf of a path; nil when the trie does not take it.
    func leaf(_ keys: [String], exact: Bool) -> Int32? {
        let key = Key(keys: exact ? keys : keys.map { $0.lowercased() }, exact: exact)
        if let known = leaves[key] { return known }
        guard let trie, !keys.isEmpty else { return nil }
        let flat: [UInt8] = Array(keys.joined().utf8) + [0]
        let lengths: [Int] = keys.map { $0.utf8.count }
        let added = flat.withUnsafeBufferPointer { (buffer: UnsafeBufferPointer<UInt8>) -> Int32 in
            var at = 0
            var segments: [UnsafePointer<UInt8>?] = []
            for n in lengths {
                segments.append(buffer.baseAddress.map { $0 + at })
                at += n
            }
            return vk_trie_add(trie, segments, lengths, keys.count, UInt32(count), exact ? 0 : UInt32(VK_TRIE_IGNORE_CASE))
        }
        guard added >= 0 else { return nil }
        leaves[key] = added
        if added == count { count += 1 }
        return added
    }
}

/// The compiled form of all shapes for one set of needed columns.
final class NormalizerPlan: @unchecked Sendable {
    let tables: [NormalizedTable]
    /// Names for counting; needed tables come first, in the order of `tables`.
    let countedNames: [String]
    let options: NormalizerOptions
    let shapeNames: [String]
    let shapeTables: [[String]]

    let view: PlanView
    private let tries: [OpaquePointer]
    private let maps: [ByteMap]

    init(catalog: WorkspaceCatalog, tables: [NormalizedTable], options: NormalizerOptions) {
        self.tables = tables
        self.options = options
        let numbers = Dictionary(tables.enumerated().map { ($1.name, Int32($0)) }) { a, _ in a }
        var names = tables.map(\.name)
        for name in catalog.tableNames where numbers[name] == nil { names.append(name) }
        countedNames = names
        let counted = Dictionary(names.enumerated().map { ($1, Int32($0)) }) { a, _ in a }

        var shapes: [CompiledShape] = []
        var targets: [CompiledTarget] = []
        var columns: [CompiledColumn] = []
        var leaves: [Int32] = []
        var constants: [String] = []
        var mapNames: [String] = []
        var maps: [ByteMap] = []
        var tries: [OpaquePointer] = []
        var forms: [(name: String, tables: [String])] = []

        func constant(_ text: String) -> Int32 {
            if let i = constants.firstIndex(of: text) { return Int32(i) }
            constants.append(text)
            return Int32(constants.count - 1)
        }
        func map(_ name: String) -> Int32 {
            if let i = mapNames.firstIndex(of: name) { return Int32(i) }
            mapNames.append(name)
            maps.append(ByteMap(ValueMaps.entries(name, options: options).map { ($0.0, constant($0.1)) }))
            return Int32(mapNames.count - 1)
        }
        func argument(of source: Source) -> Int32 {
            switch source.operation {
            case .constant: constant(source.argument)
            case .mapped: map(source.argument)
            case .activityOperation: map("activityOperations")
            case .activitySubstatusDisplay: map("httpStatus")
            case .suffixed: Int32(source.argument.utf8.first ?? 0)
            case .flow: Int32(source.argument) ?? 0
            default: 0
            }
        }

        // Shapes that fill no needed table share one trie, which knows every shape's time only.
        let bare = TrieBuilder()
        func timeLeaves(_ shape: Shape, _ builder: TrieBuilder) -> (Int32, Int32) {
            let first = Int32(leaves.count)
            for path in shape.time { if let leaf = builder.leaf(path, exact: false) { leaves.append(leaf) } }
            return (first, Int32(leaves.count) - first)
        }
        func compile(_ shape: Shape) -> Int32 {
            let wanted = shape.mappings.filter { numbers[$0.table] != nil }
            let builder = wanted.isEmpty ? bare : TrieBuilder()
            let time = timeLeaves(shape, builder)
            let firstTarget = Int32(targets.count)
            for mapping in wanted {
                guard let table = numbers[mapping.table] else { continue }
                let firstColumn = Int32(columns.count)
                for (i, column) in tables[Int(table)].columns.enumerated() {
                    let source = Self.source(mapping, column, options)
                    let firstLeaf = Int32(leaves.count)
                    for path in source.paths { leaves.append(builder.leaf(path, exact: source.exact) ?? -1) }
                    columns.append(
                        CompiledColumn(
                            operation: source.operation, sink: Int32(i), firstLeaf: firstLeaf,
                            leafCount: Int32(source.paths.count), argument: argument(of: source)))
                }
                targets.append(CompiledTarget(table: table, firstColumn: firstColumn, columnCount: Int32(columns.count) - firstColumn))
            }
            let trie = builder.trie ?? bare.trie
            guard let trie else { return 0 }
            if builder !== bare { tries.append(trie) }
            let fills = shape.mappings.compactMap { counted[$0.table] }
            shapes.append(
                CompiledShape(
                    trie: trie, cellCount: builder === bare ? -1 : Int(builder.count), firstTime: time.0, timeCount: time.1,
                    firstTarget: firstTarget, targetCount: Int32(targets.count) - firstTarget, treatment: shape.treatment,
                    counted: (fills.first ?? -1, fills.count > 1 ? fills[1] : -1)))
            forms.append((shape.name, shape.mappings.map(\.table)))
            return Int32(shapes.count - 1)
        }

        var ids = ShapeIDs()
        var categories: [(String, Int32)] = ShapeIDs.specialCategories
        ids.row = compile(Shape("row", time: RowForms.time, []))
        for (path, shape) in ShapeRegistry.named { ids[keyPath: path] = compile(shape) }
        for (category, shape) in ShapeRegistry.byCategory { categories.append((category, compile(shape))) }
        var rows: [Int32] = []
        for name in names { rows.append(numbers[name] == nil ? ids.row : compile(RowForms.shape(table: name))) }

        if let trie = bare.trie {
            tries.append(trie)
            for i in shapes.indices where shapes[i].cellCount < 0 {
                let s = shapes[i]
                shapes[i] = CompiledShape(
                    trie: trie, cellCount: Int(bare.count), firstTime: s.firstTime, timeCount: s.timeCount, firstTarget: s.firstTarget,
                    targetCount: s.targetCount, treatment: s.treatment, counted: s.counted)
            }
        }
        // A trie that cannot freeze (no memory) makes every extraction fail with a status, so records become dead letters.
        for trie in tries { _ = vk_trie_freeze(trie) }
        self.tries = tries
        self.maps = maps
        shapeNames = forms.map(\.name)
        shapeTables = forms.map(\.tables)
        view = PlanView(
            shapes: shapes, targets: targets, columns: columns, leaves: leaves, constants: constants, maps: maps, rows: rows,
            categories: ByteMap(categories), types: ByteMap(names.enumerated().map { ($1, Int32($0)) }), ids: ids)
    }

    deinit {
        for trie in tries { vk_trie_free(trie) }
        for map in maps { map.free() }
        view.free()
    }

    /// Columns that every table has come first; then the mapping decides.
    private static func source(_ mapping: Mapping, _ column: SchemaColumn, _ options: NormalizerOptions) -> Source {
        switch column.name {
        case "TimeGenerated": return .time
        case "Type": return .constant(mapping.table)
        case "TenantId":
            if let own = mapping.source(column), own.exact { return own }
            return options.workspaceID.isEmpty ? .missing : .constant(options.workspaceID)
        case "_IsBillable", "_BilledSize": return mapping.source(column).flatMap { $0.exact ? $0 : nil } ?? .missing
        default: return mapping.source(column) ?? .missing
        }
    }

    /// The row shape for a table's number, as counted.
    func rowShape(_ counted: Int32) -> Int32 { view.rows[Int(counted)] }
}

/// Pointers into a plan. Trivial, so that the record loop holds it without reference counting.
struct PlanView {
    let shapes: UnsafeMutablePointer<CompiledShape>
    let shapeCount: Int
    let targets: UnsafeMutablePointer<CompiledTarget>
    let columns: UnsafeMutablePointer<CompiledColumn>
    let leaves: UnsafeMutablePointer<Int32>
    let constantBytes: UnsafeMutablePointer<UInt8>
    let constantOffsets: UnsafeMutablePointer<Int32>
    let maps: UnsafeMutablePointer<ByteMap>
    /// Shape of rows of a table, by the table's number.
    let rows: UnsafeMutablePointer<Int32>
    let categories: ByteMap
    let types: ByteMap
    let ids: ShapeIDs
    let maximumCells: Int

    init(
        shapes: [CompiledShape], targets: [CompiledTarget], columns: [CompiledColumn], leaves: [Int32], constants: [String],
        maps: [ByteMap],
        rows: [Int32], categories: ByteMap, types: ByteMap, ids: ShapeIDs
    ) {
        func copy<T>(_ array: [T]) -> UnsafeMutablePointer<T> {
            let p = UnsafeMutablePointer<T>.allocate(capacity: max(1, array.count))
            for (i, v) in array.enumerated() { (p + i).initialize(to: v) }
            return p
        }
        self.shapes = copy(shapes)
        shapeCount = shapes.count
        self.targets = copy(targets)
        self.columns = copy(columns)
        self.leaves = copy(leaves)
        constantBytes = copy(constants.flatMap { Array($0.utf8) })
        var offsets: [Int32] = [0]
        for c in constants { offsets.append((offsets.last ?? 0) + Int32(c.utf8.count)) }
        constantOffsets = copy(offsets)
        self.maps = copy(maps)
        self.rows = copy(rows)
        self.categories = categories
        self.types = types
        self.ids = ids
        maximumCells = shapes.map(\.cellCount).max() ?? 1
    }

    func free() {
        shapes.deallocate()
        targets.deallocate()
        columns.deallocate()
        leaves.deallocate()
        constantBytes.deallocate()
        constantOffsets.deallocate()
        maps.deallocate()
        rows.deallocate()
        categories.free()
        types.free()
    }

    @inline(__always)
    func constant(_ i: Int32) -> Text {
        let start = Int(constantOffsets[Int(i)])
        return Text(UnsafePointer(constantBytes) + start, Int(constantOffsets[Int(i) + 1]) - start)
    }
}

extension Normalizer {
    /// Whether every value that a text column of a needed table can have stands in the record's own bytes, or in a text inside it with
    /// escapes: no constant, no translation, no other letter case.
    ///
    /// A record without a backslash that does not hold some text then has no row whose cell holds it.
    public func isVerbatim(column: String, table: String) -> Bool {
        guard let t = tables.firstIndex(where: { $0.name == table }),
            let sink = tables[t].columns.firstIndex(where: { $0.name == column }), tables[t].columns[sink].type == .string
        else { return false }
        let view = plan.view
        for s in 0..<view.shapeCount {
            let shape = view.shapes[s]
            for i in 0..<Int(shape.targetCount) {
                let target = view.targets[Int(shape.firstTarget) + i]
                guard Int(target.table) == t else { continue }
                for c in 0..<Int(target.columnCount) {
                    let filled = view.columns[Int(target.firstColumn) + c]
                    if Int(filled.sink) == sink, filled.operation != .value, filled.operation != .missing { return false }
                }
            }
        }
        return true
    }
}
