import CKernels
import Columnar

// Hot file: the door to the record loop.
//
// Invariants: `state` is allocated at init and freed at deinit, and only this session uses it. Rows refer to the chunk by offset; `finish`
// must be called before another chunk is given, which `normalize` checks.

/// Turns records into rows. For one thread; keeps its buffers from chunk to chunk.
public final class NormalizerSession {
    private let normalizer: Normalizer
    private let state: UnsafeMutablePointer<RecordState>
    /// TimeGenerated of each record since the last `finish`, in order; 0 where none is known. Dead letters have the entry `Int64.min`.
    public private(set) var recordTimes = ContiguousArray<Int64>()
    private var chunk: UnsafeRawPointer?
    private var deadLetters = 0

    init(_ normalizer: Normalizer) {
        self.normalizer = normalizer
        state = .allocate(capacity: 1)
        state.initialize(to: RecordState(normalizer.plan))
    }

    deinit {
        state.pointee.free()
        state.deallocate()
    }

    /// Recognises every record and appends the rows of needed tables; `finish` hands them over. May be called several times for one chunk.
    ///
    /// - Parameters:
    ///   - chunk: inflated bytes, at most 4 GiB. The 64 bytes behind it must be readable.
    ///   - records: slices of the chunk; one outside of it is a dead letter.
    ///   - positions: what the framer made of the same bytes (`Chunk.positions`): the `structure` of every record lies in it.
    ///   - stream: what is remembered from record to record of one source.
    ///   - deadLetter: called with the index in `records` and the reason, in order, for each record that gives no row.
    public func normalize(
        chunk: UnsafeRawBufferPointer, records: [RecordSlice], positions: UnsafePointer<UInt32>? = nil, stream: inout StreamState,
        deadLetter: (Int, RecordProblem) -> Void
    ) {
        normalize(chunk: chunk, records: records[...], positions: positions, stream: &stream, deadLetter: deadLetter)
    }

    /// The same for a part of an array: for batches smaller than a chunk. Indices of dead letters count from the slice's beginning.
    public func normalize(
        chunk: UnsafeRawBufferPointer, records: ArraySlice<RecordSlice>, positions: UnsafePointer<UInt32>? = nil,
        stream: inout StreamState, deadLetter: (Int, RecordProblem) -> Void
    ) {
        precondition(self.chunk == nil || self.chunk == chunk.baseAddress, "NormalizerSession: a new chunk before finish()")
        guard let start = chunk.baseAddress else { return }
        self.chunk = start
        let bytes = start.assumingMemoryBound(to: UInt8.self)
        // Held by this call, so that an append is no access to a class.
        var times = ContiguousArray<Int64>()
        swap(&times, &recordTimes)
        defer { swap(&times, &recordTimes) }
        times.reserveCapacity(times.count + records.count)
        var index = 0
        for slice in records {
            defer { index &+= 1 }
            guard slice.offset >= 0, slice.length >= 0, slice.offset <= chunk.count, slice.length <= chunk.count - slice.offset,
                slice.offset < Int(UInt32.max)
            else {
                fail(index, RecordProblem(reason: "record outside of its chunk"), &times, deadLetter)
                continue
            }
            let capacity = chunk.count - slice.offset + Int(VK_JSON_PADDING)
            let structure = RecordStructure(
                positions: slice.structure.isEmpty ? nil : positions.map { $0 + Int(slice.structure.lowerBound) },
                count: slice.structure.count, mayHaveNonASCII: slice.mayHaveNonASCII)
            let status = state.pointee.add(
                bytes + slice.offset, slice.length, capacity: capacity, structure: structure,
                offset: UInt32(truncatingIfNeeded: slice.offset), &stream)
            if status == VK_JSON_OK { times.append(state.pointee.time) } else { fail(index, RecordProblem(status), &times, deadLetter) }
        }
    }

    private func fail(
        _ index: Int, _ problem: RecordProblem, _ times: inout ContiguousArray<Int64>, _ deadLetter: (Int, RecordProblem) -> Void
    ) {
        times.append(.min)
        deadLetters += 1
        deadLetter(index, problem)
    }

    /// The rows so far, a batch a table that has any, in the order of `Normalizer.tables`; the session is empty afterwards.
    public func finish() -> [TableBatch] {
        chunk = nil
        recordTimes.removeAll(keepingCapacity: true)
        var out: [TableBatch] = []
        for i in 0..<state.pointee.tableCount where state.pointee.builders[i].rows > 0 {
            let b = state.pointee.builders + i
            let n = b.pointee.rows
            var columns: [Column] = []
            var conflicts: [Int] = []
            columns.reserveCapacity(b.pointee.sinkCount)
            for c in 0..<b.pointee.sinkCount {
                conflicts.append(b.pointee.sinks[c].conflicts)
                columns.append(b.pointee.sinks[c].finish())
            }
            func copy<T>(_ p: UnsafeMutablePointer<T>) -> ContiguousArray<T> { ContiguousArray(UnsafeBufferPointer(start: p, count: n)) }
            let flags = b.pointee.flags
            out.append(
                TableBatch(
                    table: i, name: normalizer.tables[i].name, batch: Batch(columns: columns, count: n), times: copy(b.pointee.times),
                    offsets: copy(b.pointee.offsets), lengths: copy(b.pointee.lengths), children: copy(b.pointee.children),
                    inheritedTimes: b.pointee.inherited == 0 ? nil : Bitmap((0..<n).map { flags[$0] != 0 }), conflicts: conflicts))
            b.pointee.rows = 0
            b.pointee.inherited = 0
        }
        return out
    }

    /// Counts since the last call.
    public func takeCounts() -> NormalizerCounts {
        var out = NormalizerCounts()
        let names = normalizer.plan.countedNames
        for (i, name) in names.enumerated() where state.pointee.counts[i] > 0 {
            out.records[name] = state.pointee.counts[i]
            state.pointee.counts[i] = 0
        }
        if state.pointee.otherRows > 0 { out.records["(other _CL tables)"] = state.pointee.otherRows }
        out.unrecognized = state.pointee.unrecognized
        out.inheritedTimes = state.pointee.inheritedTimes
        out.deadLetters = deadLetters
        state.pointee.otherRows = 0
        state.pointee.unrecognized = 0
        state.pointee.inheritedTimes = 0
        deadLetters = 0
        return out
    }

    /// What one record is. Makes no rows and counts nothing. `record` needs no padding.
    public func recognize(_ record: UnsafeRawBufferPointer, stream: StreamState) -> Recognition {
        state.pointee.recognition(record, stream, normalizer.plan)
    }
}

extension Normalizer {
    /// What one record is, in a session of its own: for single look-ups.
    public func recognize(_ record: String, stream: StreamState) -> Recognition {
        let bytes = Array(record.utf8)
        let session = makeSession()
        return bytes.withUnsafeBytes { session.recognize($0, stream: stream) }
    }
}

extension RecordState {
    mutating func recognition(_ record: UnsafeRawBufferPointer, _ stream: StreamState, _ plan: NormalizerPlan) -> Recognition {
        guard let start = record.baseAddress, record.count > 0 else { return .unreadable(RecordProblem(VK_JSON_EMPTY)) }
        // A padded copy, so that the same code as for chunks can run on it.
        var copy = Scratch(capacity: record.count)
        defer { copy.free() }
        copy.append(Text(start.assumingMemoryBound(to: UInt8.self), record.count))
        var stream = stream
        let status = prepare(UnsafePointer(copy.p), record.count, capacity: record.count + Int(VK_JSON_PADDING), structure: .none, &stream)
        guard status == VK_JSON_OK else { return .unreadable(RecordProblem(status)) }
        let shape = Int(stream.shape)
        switch kind {
        case .known: return .known(form: plan.shapeNames[shape], tables: plan.shapeTables[shape])
        case .row:
            if counted >= 0 { return .row(table: plan.countedNames[Int(counted)]) }
            if let name = stream.configuredTable, stream.forcedTable != -1, stream.isTableCertain || !isString(.type) {
                return .row(table: name)
            }
            return .row(table: text(cell(.type)).string)
        case .custom: return .custom(table: stream.customTable)
        }
    }
}

extension TableBatch {
    /// The identity of a row: time, hash of the raw record, child index. `chunk` is the one given to `normalize`.
    public func rowKey(_ row: Int, in chunk: UnsafeRawBufferPointer) -> RowKey {
        let bytes = rawRecord(row, in: chunk)
        let hash = vk_xxh3_128(bytes.baseAddress, bytes.count, 0)
        let key = RowKey(time: times[row], hashHigh: hash.high, hashLow: hash.low)
        return children[row] < 0 ? key : key.expanded(Int(children[row]))
    }

    /// The bytes of a row's record; empty when they do not lie in `chunk`.
    public func rawRecord(_ row: Int, in chunk: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let start = Int(offsets[row]), count = Int(lengths[row])
        guard start <= chunk.count, count <= chunk.count - start else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: chunk[start..<(start + count)])
    }

    /// The batch with keys for all its rows: for hunts, where every row is a candidate.
    public func keyed(in chunk: UnsafeRawBufferPointer) -> Batch {
        var keys = ContiguousArray<RowKey>()
        keys.reserveCapacity(count)
        for row in 0..<count { keys.append(rowKey(row, in: chunk)) }
        var copy = batch
        copy.keys = keys
        return copy
    }
}
