import CKernels
import Columnar
import KQL

// Hot file: the state of the record loop, as one trivial struct behind a pointer that the session owns. A struct behind a pointer, because
// stored properties of a class pay for exclusivity checks at each access.
//
// Invariants. `cells` has `view.maximumCells` entries; after a successful extraction with the trie of shape S, cells [0, S.cellCount) are
// set and every slice in them lies in `[base, base + length)`. `base` is the chunk or one of the two rewrite buffers; 64 bytes behind
// `base + length` are readable. Texts made by `text(_:)` are valid until the next call of it.

/// The rows of one needed table that are being filled.
struct TableBuilder {
    let sinks: UnsafeMutablePointer<ColumnSink>
    let sinkCount: Int
    var rows = 0
    var capacity = 0
    var inherited = 0
    var times: UnsafeMutablePointer<Int64>
    var offsets: UnsafeMutablePointer<UInt32>
    var lengths: UnsafeMutablePointer<UInt32>
    var children: UnsafeMutablePointer<Int32>
    var flags: UnsafeMutablePointer<UInt8>

    init(_ columns: [ScalarType]) {
        sinks = .allocate(capacity: max(1, columns.count))
        sinkCount = columns.count
        for (i, type) in columns.enumerated() { (sinks + i).initialize(to: ColumnSink(type)) }
        times = .allocate(capacity: 1)
        offsets = .allocate(capacity: 1)
        lengths = .allocate(capacity: 1)
        children = .allocate(capacity: 1)
        flags = .allocate(capacity: 1)
    }

    func free() {
        for i in 0..<sinkCount { sinks[i].free() }
        sinks.deallocate()
        times.deallocate()
        offsets.deallocate()
        lengths.deallocate()
        children.deallocate()
        flags.deallocate()
    }

    @inline(__always)
    mutating func beginRow(time: Int64, inherited: Bool, offset: UInt32, length: UInt32, child: Int32) {
        if rows == capacity { grow() }
        times[rows] = time
        offsets[rows] = offset
        lengths[rows] = length
        children[rows] = child
        flags[rows] = inherited ? 1 : 0
        if inherited { self.inherited &+= 1 }
        rows &+= 1
    }

    private mutating func grow() {
        func grown<T>(_ p: UnsafeMutablePointer<T>, _ n: Int) -> UnsafeMutablePointer<T> {
            let q = UnsafeMutablePointer<T>.allocate(capacity: n)
            q.update(from: p, count: rows)
            p.deallocate()
            return q
        }
        let n = max(256, capacity * 2)
        times = grown(times, n)
        offsets = grown(offsets, n)
        lengths = grown(lengths, n)
        children = grown(children, n)
        flags = grown(flags, n)
        for i in 0..<sinkCount { sinks[i].grow(to: n) }
        capacity = n
    }
}

/// The structural index of a record that somebody made before; `positions` nil: there is none.
struct RecordStructure {
    var positions: UnsafePointer<UInt32>?
    var count: Int
    var mayHaveNonASCII: Bool

    static var none: RecordStructure { RecordStructure(positions: nil, count: 0, mayHaveNonASCII: true) }
}

/// What a record turned out to be.
enum RecordKind { case known, row, custom }

struct RecordState {
    let view: PlanView
    let parser: OpaquePointer?
    let cells: UnsafeMutablePointer<vk_cell>
    let builders: UnsafeMutablePointer<TableBuilder>
    let tableCount: Int
    /// Records by counted table.
    let counts: UnsafeMutablePointer<Int>
    /// Rows that name a custom table which is neither declared nor needed.
    var otherRows = 0
    var unrecognized = 0
    var inheritedTimes = 0

    // The record at hand.
    var base: UnsafePointer<UInt8>
    var length = 0
    /// Readable bytes from `base` on.
    var readable = 0
    /// Of the bytes at `base`.
    var structure = RecordStructure.none
    /// Where it came from: the bytes of evidence and key.
    var original: Text
    var chunkOffset: UInt32 = 0
    var kind = RecordKind.custom
    var counted: Int32 = -1
    var time: Int64 = 0
    var timeInherited = false
    var resource = ResourceParts()
    var resourceReady = false

    var memo = TimeForms.DayMemo()
    var scratch = Scratch()
    var build = Scratch()
    var resourceText = Scratch(capacity: 1024)
    var quoted = Scratch(capacity: 1024)
    var rewriteA = Scratch(capacity: 65_536)
    var rewriteB = Scratch(capacity: 65_536)
    var flow = FlowTuple()
    var flowWork: FlowWork

    init(_ plan: NormalizerPlan) {
        view = plan.view
        parser = vk_parser_new(UInt32(max(1, min(1024, plan.options.maximumDepth))))
        cells = .allocate(capacity: max(1, view.maximumCells))
        cells.initialize(repeating: vk_cell(), count: max(1, view.maximumCells))
        tableCount = plan.tables.count
        builders = .allocate(capacity: max(1, tableCount))
        for (i, table) in plan.tables.enumerated() { (builders + i).initialize(to: TableBuilder(table.columns.map(\.type))) }
        counts = .allocate(capacity: max(1, plan.countedNames.count))
        counts.initialize(repeating: 0, count: max(1, plan.countedNames.count))
        base = UnsafePointer(rewriteA.p)
        original = rewriteA.text
        flowWork = FlowWork()
    }

    func free() {
        vk_parser_free(parser)
        cells.deallocate()
        for i in 0..<tableCount { builders[i].free() }
        builders.deallocate()
        counts.deallocate()
        for s in [scratch, build, resourceText, quoted, rewriteA, rewriteB] { s.free() }
        flowWork.free()
    }

    // MARK: values

    @inline(__always)
    func cell(_ d: Discriminator) -> vk_cell { cells[d.rawValue] }

    @inline(__always)
    func isString(_ d: Discriminator) -> Bool { Self.isString(cells[d.rawValue]) }

    @inline(__always)
    static func isString(_ c: vk_cell) -> Bool { c.type == VK_CELL_STRING || c.type == VK_CELL_STRING_ESCAPED }

    @inline(__always)
    static func isThere(_ c: vk_cell) -> Bool { c.type != VK_CELL_MISSING && c.type != VK_CELL_NULL && c.type != VK_CELL_BAD_SCALAR }

    @inline(__always)
    func isThere(_ d: Discriminator) -> Bool { Self.isThere(cells[d.rawValue]) }

    @inline(__always)
    func raw(_ c: vk_cell) -> Text { Text(base + Int(c.offset), Int(c.length)) }

    /// The value as text: strings unescaped, scalars as written, containers as compact JSON; empty for what is not there.
    @inline(__always)
    mutating func text(_ c: vk_cell) -> Text {
        if c.type == VK_CELL_STRING { return raw(c) }
        return slowText(c)
    }

    private mutating func slowText(_ c: vk_cell) -> Text {
        switch c.type {
        case VK_CELL_STRING_ESCAPED:
            scratch.count = 0
            scratch.reserve(Int(c.length))
            let n = vk_json_unescape(base + Int(c.offset), Int(c.length), scratch.p, scratch.capacity)
            scratch.count = min(n, scratch.capacity)
            return scratch.text
        case VK_CELL_STRING, VK_CELL_INTEGER, VK_CELL_REAL, VK_CELL_TRUE, VK_CELL_FALSE: return raw(c)
        case VK_CELL_ARRAY, VK_CELL_OBJECT: return compactJSON(raw(c), &scratch)
        default: return Text(base, 0)
        }
    }

    /// The first leaf of a column with a value; the empty string counts only when nothing else follows. MISSING if there is none.
    @inline(__always)
    func first(_ c: CompiledColumn) -> vk_cell {
        var empty = vk_cell()
        for i in 0..<Int(c.leafCount) {
            let leaf = view.leaves[Int(c.firstLeaf) &+ i]
            if leaf < 0 { continue }
            let cell = cells[Int(leaf)]
            if !Self.isThere(cell) { continue }
            if cell.length == 0 {
                empty = cell
                continue
            }
            return cell
        }
        return empty
    }

    /// Leaf `i` of a column.
    @inline(__always)
    func leaf(_ c: CompiledColumn, _ i: Int) -> vk_cell {
        guard i < Int(c.leafCount) else { return vk_cell() }
        let leaf = view.leaves[Int(c.firstLeaf) &+ i]
        return leaf < 0 ? vk_cell() : cells[Int(leaf)]
    }

    // MARK: the record

    /// Makes the rows of one record. `capacity`: readable bytes from `p` on.
    mutating func add(
        _ p: UnsafePointer<UInt8>, _ n: Int, capacity: Int, structure: RecordStructure, offset: UInt32, _ stream: inout StreamState
    ) -> vk_json_status {
        let status = prepare(p, n, capacity: capacity, structure: structure, &stream)
        guard status == VK_JSON_OK else { return status }
        chunkOffset = offset
        let shape = stream.shape
        count(shape, &stream)
        findTime(shape, &stream)
        let compiled = view.shapes[Int(shape)]
        for t in 0..<Int(compiled.targetCount) {
            let target = view.targets[Int(compiled.firstTarget) &+ t]
            switch compiled.treatment {
            case .nsgFlow, .vnetFlow: addFlows(target, virtualNetwork: compiled.treatment == .vnetFlow)
            default: addRow(target, child: -1)
            }
        }
        return VK_JSON_OK
    }

    /// Checks, recognises and extracts a record: `cells`, `kind`, `counted` and `stream.shape` are set.
    @inline(__always)
    mutating func prepare(
        _ p: UnsafePointer<UInt8>, _ n: Int, capacity: Int, structure: RecordStructure, _ stream: inout StreamState
    ) -> vk_json_status {
        base = p
        length = n
        readable = capacity
        self.structure = structure
        original = Text(p, n)
        resourceReady = false
        var current = stream.shape
        if current < 0 || current >= Int32(view.shapeCount) { current = view.ids.row }
        let status = extract(current)
        guard status == VK_JSON_OK else { return status }
        if isString(.properties) || isString(.identity), !isThere(.timeGenerated), !isThere(.type),
            isThere(.category) || isThere(.resourceID)
        {
            unwrap(.properties, current)
            unwrap(.identity, current)
        }
        var shape = recognize(stream)
        if shape != current { extract(shape, unless: current) }
        switch view.shapes[Int(shape)].treatment {
        case .azureLog: unwrap(.log, shape)
        case .cloudTrailText:
            if unwrapWhole(.cloudTrailEvent, current: shape) {
                shape = view.ids.trail
                extract(shape, unless: -1)
            }
        case .none, .azure, .nsgFlow, .vnetFlow: break
        }
        stream.shape = shape
        return VK_JSON_OK
    }

    @inline(__always)
    mutating func addRow(_ target: CompiledTarget, child: Int32) {
        let builder = builders + Int(target.table)
        builder.pointee.beginRow(
            time: time, inherited: timeInherited, offset: chunkOffset, length: UInt32(truncatingIfNeeded: original.n), child: child)
        let sinks = builder.pointee.sinks
        let columns = view.columns + Int(target.firstColumn)
        for i in 0..<Int(target.columnCount) { fill(columns[i], sinks + Int(columns[i].sink)) }
    }

    private mutating func count(_ shape: Int32, _ stream: inout StreamState) {
        switch kind {
        case .known:
            let counted = view.shapes[Int(shape)].counted
            if counted.0 >= 0 { counts[Int(counted.0)] &+= 1 }
            if counted.1 >= 0 { counts[Int(counted.1)] &+= 1 }
            stream.recognized &+= 1
        case .row:
            if counted >= 0 { counts[Int(counted)] &+= 1 } else { otherRows &+= 1 }
            stream.recognized &+= 1
        case .custom:
            if counted >= 0 { counts[Int(counted)] &+= 1 }
            unrecognized &+= 1
            stream.unrecognized &+= 1
        }
    }

    private mutating func findTime(_ shape: Int32, _ stream: inout StreamState) {
        let compiled = view.shapes[Int(shape)]
        for i in 0..<Int(compiled.timeCount) {
            let c = cells[Int(view.leaves[Int(compiled.firstTime) &+ i])]
            if c.type == VK_CELL_MISSING { continue }
            if let t = ticks(c) {
                time = t
                timeInherited = false
                stream.lastTime = t
                return
            }
        }
        time = stream.lastTime
        timeInherited = time > 0
        stream.inheritedTimes &+= 1
        inheritedTimes &+= 1
    }

    // MARK: JSON inside strings

    /// Fills the cells with the trie of `shape`, unless that of shape `filled` is the same. The record is known to be valid.
    @inline(__always)
    private mutating func extract(_ shape: Int32, unless filled: Int32) {
        let s = view.shapes[Int(shape)]
        if filled >= 0, view.shapes[Int(filled)].trie == s.trie { return }
        _ = extract(shape)
    }

    @inline(__always)
    private mutating func extract(_ shape: Int32) -> vk_json_status {
        let s = view.shapes[Int(shape)]
        if let positions = structure.positions, readable >= length &+ Int(VK_JSON_PADDING) {
            return vk_json_extract_indexed(
                parser, s.trie, base, length, positions, structure.count, structure.mayHaveNonASCII, cells, s.cellCount)
        }
        return vk_json_extract(parser, s.trie, base, length, readable, cells, s.cellCount)
    }

    /// Replaces a string that holds a JSON object or array by its content, and extracts again. Leaves the record alone otherwise.
    private mutating func unwrap(_ d: Discriminator, _ shape: Int32) {
        let c = cell(d)
        guard Self.isString(c), c.length >= 2, c.offset >= 1 else { return }
        let inner = text(c)
        guard let first = jsonStart(inner), first == 0x7B || first == 0x5B, vk_json_validate(inner.p, inner.n, 128) == VK_JSON_OK else {
            return
        }
        let before = raw(vk_cell(offset: 0, length: c.offset - 1, type: VK_CELL_STRING, integer: 0, real: 0))
        let end = Int(c.offset) + Int(c.length) + 1
        let after = Text(base + end, length - end)
        // The other buffer than the one that holds the record now.
        let useA = base != UnsafePointer(rewriteA.p)
        if useA { rewriteA.count = 0 } else { rewriteB.count = 0 }
        for part in [before, inner, after] {
            if useA { rewriteA.append(part) } else { rewriteB.append(part) }
        }
        base = useA ? UnsafePointer(rewriteA.p) : UnsafePointer(rewriteB.p)
        length = useA ? rewriteA.count : rewriteB.count
        noteRewritten()
        extract(shape, unless: -1)
    }

    /// Takes the object in a string as the record. False if the string holds none.
    private mutating func unwrapWhole(_ d: Discriminator, current: Int32) -> Bool {
        let inner = text(cell(d))
        guard jsonStart(inner) == 0x7B, vk_json_validate(inner.p, inner.n, 128) == VK_JSON_OK else { return false }
        rewriteA.count = 0
        rewriteA.append(inner)
        base = UnsafePointer(rewriteA.p)
        length = rewriteA.count
        noteRewritten()
        return true
    }

    /// `base` is one of the rewrite buffers now.
    private mutating func noteRewritten() {
        structure = .none
        readable = length + Int(VK_JSON_PADDING)
    }
}

/// The first byte that is no blank.
@inline(__always)
func jsonStart(_ t: Text) -> UInt8? {
    var i = 0
    while i < t.n {
        switch t.p[i] {
        case 0x20, 0x09, 0x0A, 0x0D: i += 1
        default: return t.p[i]
        }
    }
    return nil
}
