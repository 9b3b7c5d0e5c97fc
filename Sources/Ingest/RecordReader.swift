import CKernels

/// Reads one stream chunk by chunk: decompression and record framing. One thread at a time.
public final class RecordReader {
    public enum Outcome: Sendable, Hashable {
        /// The chunk has records or problems, or at least bytes were consumed.
        case chunk
        /// Nothing new now; a growing stream may have more later.
        case waiting
        /// The stream has ended and everything was handed out.
        case ended
    }

    /// How many inflated bytes at the start of a stream identify its content.
    public static let identityBytes = 64 << 10
    /// How many bytes before a position must agree for a stream to be taken up under another name.
    public static let boundaryBytes = 4 << 10

    let input: any RawInput
    let limits: IngestLimits
    let decoder: StreamDecoder
    var framer = vk_framer()
    /// Bytes of an unfinished record, from the end of the last chunk.
    var carry: [UInt8] = []
    /// The beginning of a record or of garbage that is passed over without being kept.
    var discard: Discard?
    /// Inflated bytes before the position, of a compressed stream.
    var inflatedTail: [UInt8] = []
    /// The first inflated bytes: they recognise the same data under another name.
    var head = StreamHead()
    /// Records of the first document, while the stream has no other; nil once it has.
    var memory: DocumentMemory? = DocumentMemory()
    var document: UInt64?
    var filter: RewriteFilter?
    var cachedPoint: ResumePoint?
    private var finished = false
    private var pendingFailure: (any Error)?
    /// The end was reached once: before anything more is read, what was read is compared with what stands there now.
    var mustCompare = false
    /// Where members begin in the present chunk.
    private var members: [(begin: UInt64, member: UInt64)] = [(0, 0)]

    /// Hand out what is there instead of filling a chunk: for pipes whose records should not wait.
    public var returnsEarly = false
    /// Inflated bytes that a chunk aims at, and the most that is read for it at a time. Less, for looking at the beginning of a stream; each
    /// call of the decoder copies its window.
    public var chunkSize = Chunk.targetSize
    /// Records handed out so far.
    public internal(set) var recordCount: UInt64 = 0
    /// The last record stood in an envelope or array: such documents may be rewritten in place.
    public internal(set) var isEnvelope = false
    /// Grows whenever the resume point changes.
    public private(set) var version: UInt64 = 0

    public init(_ input: any RawInput, limits: IngestLimits = IngestLimits()) {
        self.input = input
        self.limits = limits
        decoder = StreamDecoder(limits: limits)
        resetFramer()
    }

    /// Inflated bytes framed so far.
    public var inflatedOffset: UInt64 { vk_framer_offset(&framer) }
    /// Raw bytes consumed so far.
    public var rawOffset: UInt64 { decoder.rawOffset }
    /// Raw bytes taken from the input so far, consumed or not.
    public var readOffset: UInt64 { decoder.readOffset }
    /// The stream is not compressed.
    public var isPlain: Bool { decoder.form == .plain }
    /// No record is begun.
    public var isIdle: Bool { vk_framer_is_idle(&framer) }
    /// Nothing more can be decoded from this stream, however it grows.
    public var isDamaged: Bool { decoder.failure != nil && decoder.failure != StreamDecoder.endsEarly }
    /// A hash of the first inflated bytes read, and how many these are (at most ``identityBytes``).
    public var headHash: String { head.hash }
    public var headLength: Int { head.length }
    var headRungs: [UInt64] { head.rungs }
    /// All that was read belongs to one document, which may be rewritten.
    var isSingleDocument: Bool { memory != nil && document != nil }

    func resetFramer() {
        vk_framer_init(&framer, 0, UInt32(clamping: max(1, limits.depth)), UInt64(max(1, limits.recordBytes)), 0)
    }

    func noteMember() { members = [(inflatedOffset, decoder.member)] }

    /// Reads the next chunk. `final`: an end of the raw input is the end of the stream; otherwise the stream may still grow.
    ///
    /// Throws ``IngestError`` on I/O errors, and ``ContentChanged`` when a stream that had been read to its end was replaced by other data
    /// (a document rewritten in place is read again, without the records that were handed out before).
    public func next(into chunk: Chunk, final: Bool) throws -> Outcome {
        chunk.reset()
        if finished { return .ended }
        while true {
            do { return try step(chunk, final: final) } catch let change as ContentChanged {
                guard let memory, isIdle, carry.isEmpty, try input.seek(to: 0) else { throw change }
                rewind(expecting: filter?.merged(with: memory) ?? memory)
                chunk.reset()
            }
        }
    }

    /// Begins anew, hiding the records that are known.
    func rewind(expecting known: DocumentMemory) {
        decoder.reset()
        resetFramer()
        carry = []
        discard = nil
        inflatedTail = []
        head = StreamHead()
        memory = DocumentMemory()
        document = nil
        filter = RewriteFilter(known)
        mustCompare = false
        changed()
        noteMember()
    }

    private func changed() {
        cachedPoint = nil
        version += 1
    }

    private func read(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let n = try input.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(chunkSize)))
        if n > 0, mustCompare {
            let expected = decoder.rawBoundary
            if !expected.isEmpty, let now = try input.bytes(at: decoder.rawOffset - UInt64(expected.count), count: expected.count),
                now != expected
            {
                throw ContentChanged(holdsLess: false)
            }
            mustCompare = false
        }
        return n
    }

    private func step(_ chunk: Chunk, final: Bool) throws -> Outcome {
        let base = vk_framer_offset(&framer) - UInt64(carry.count)
        let rawBefore = decoder.rawOffset
        let carried = carry.count
        chunk.append(carry)
        while members.count > 1, members[1].begin <= base { members.removeFirst() }
        if let failure = pendingFailure {
            pendingFailure = nil
            throw failure
        }
        // At least as much again as was carried, so that a long record is not copied over and over.
        let target = max(chunkSize, 2 * carried)
        var outcome = StreamDecoder.Outcome.starved
        fill: while chunk.count < target {
            let at = base + UInt64(chunk.count)
            do {
                outcome = try decoder.decode(into: chunk.spare(target - chunk.count), final: final, read: read)
            } catch  where chunk.count > carried {
                // What was decoded before is handed out first.
                pendingFailure = error
                break fill
            }
            switch outcome {
            case .produced(let n):
                if members.last?.member != decoder.member { members.append((at, decoder.member)) }
                chunk.advance(n)
                if returnsEarly { break fill }
            case .starved, .ended, .failed: break fill
            }
        }
        carry = []
        let fresh = chunk.count - carried
        chunk.produced = fresh
        chunk.consumed = Int(clamping: decoder.rawOffset &- rawBefore)
        if fresh > 0 || decoder.rawOffset != rawBefore { changed() }
        note(chunk, carried)
        frame(chunk, from: carried, base: base)

        var ended = false
        switch outcome {
        case .ended: ended = true
        case .failed(let reason):
            ended = true
            chunk.problems.append(
                RecordProblem(position: inflatedOffset, member: decoder.member, index: 0, reason: reason, length: 0, bytes: []))
        case .starved: mustCompare = true
        case .produced: break
        }
        if ended {
            changed()
            var last = vk_frame_event()
            if vk_framer_finish(&framer, &last, 1) > 0 { take(last, chunk, base: base) }
            finished = true
            discard = nil
        } else {
            let pending = vk_framer_pending(&framer)
            if pending != .max, pending >= base { carry = chunk.copy(Int(pending - base)..<chunk.count) }
            pass(chunk, carried, base: base, pending: pending)
        }
        recordCount += UInt64(chunk.records.count)
        if !chunk.records.isEmpty || !chunk.problems.isEmpty || fresh > 0 { return .chunk }
        return ended ? .ended : .waiting
    }

    private func note(_ chunk: Chunk, _ carried: Int) {
        let fresh = UnsafeRawBufferPointer(rebasing: chunk.data[carried...])
        guard !fresh.isEmpty else { return }
        if !head.isComplete { head.take(fresh) }
        if decoder.form == .plain { return }
        let keep = RecordReader.boundaryBytes
        let last = Array(fresh.suffix(keep))
        inflatedTail = last.count == keep ? last : Array((inflatedTail + last).suffix(keep))
    }

    /// The last inflated bytes framed, at most ``boundaryBytes``.
    var boundary: [UInt8] { decoder.form == .plain ? decoder.rawBoundary : inflatedTail }

    // MARK: Records

    private func frame(_ chunk: Chunk, from start: Int, base: UInt64) {
        withUnsafeTemporaryAllocation(of: vk_frame_event.self, capacity: 1024) { events in
            var at = start
            while at < chunk.count {
                var found = 0
                let fed = vk_framer_feed_indexed(
                    &framer, (chunk.bytes + at).assumingMemoryBound(to: UInt8.self), chunk.count - at, events.baseAddress, events.count,
                    &found, &chunk.frames)
                for i in 0..<found { take(events[i], chunk, base: base) }
                at += fed
                if fed == 0, found == 0 { break }
            }
        }
    }

    private func take(_ e: vk_frame_event, _ chunk: Chunk, base: UInt64) {
        let isWhole = e.begin >= base && e.end >= e.begin && e.end - base <= UInt64(chunk.count)
        if e.kind == VK_FRAME_VALUE, isWhole {
            let offset = Int(e.begin - base)
            let length = Int(e.end - e.begin)
            let isEmpty = e.flags & UInt8(VK_FRAME_FLAG_EMPTY_ENVELOPE) != 0 && isBareEnvelope(chunk, offset, length)
            let isKnown = memory != nil && remember(e, chunk, offset, length, isEmptyEnvelope: isEmpty)
            if isKnown || isEmpty { return }
            isEnvelope = e.container != VK_CONTAINER_NONE
            let hasStructure = e.flags & UInt8(VK_FRAME_FLAG_INDEXED) != 0
            chunk.records.append(
                Chunk.Record(
                    offset: offset, length: length, position: e.begin, index: e.index,
                    structure: hasStructure ? e.index_begin..<(e.index_begin + e.index_count) : 0..<0,
                    mayHaveNonASCII: e.flags & UInt8(VK_FRAME_FLAG_NON_ASCII) != 0))
            return
        }
        if memory != nil, remember(e, chunk, 0, 0, isEmptyEnvelope: false) { return }
        chunk.problems.append(problem(e, chunk, base: base))
    }

    /// `{"records":[]}` and the like is no record, but an object with more in it is one.
    private func isBareEnvelope(_ chunk: Chunk, _ offset: Int, _ length: Int) -> Bool {
        guard length <= 4096 else { return false }
        let text = chunk.data[offset..<(offset + length)].filter { !" \t\r\n".utf8.contains($0) }
        for key in ["records", "Records", "value", "Events", "logEvents"] where text.elementsEqual("{\"\(key)\":[]}".utf8) { return true }
        return text.starts(with: "{\"@odata.".utf8)
    }

    /// Keeps the hash of a record of the stream's first document. True if it was handed out before the document was rewritten.
    private func remember(_ e: vk_frame_event, _ chunk: Chunk, _ offset: Int, _ length: Int, isEmptyEnvelope: Bool) -> Bool {
        let inDocument = e.container != VK_CONTAINER_NONE || isEmptyEnvelope
        guard inDocument, document == nil || document == e.document else {
            // Garbage and bare records: a stream of lines, where nothing is put before what was read.
            memory = nil
            filter = nil
            return false
        }
        document = e.document
        if isEmptyEnvelope { return false }
        guard filter != nil || (memory?.hashes.count ?? 0) < DocumentMemory.bound else {
            memory?.note(0)
            return false
        }
        let hash: UInt64
        if e.kind == VK_FRAME_VALUE, length > 0 {
            hash = vk_xxh3_64(chunk.bytes + offset, length, 0)
        } else {
            // What cannot be kept is known by where it stands.
            hash = (e.begin &* 0x9E37_79B9_7F4A_7C15) ^ (e.end &* 0xC2B2_AE3D_27D4_EB4F) ^ UInt64(e.kind.rawValue)
        }
        memory?.note(hash)
        return filter?.skips(hash) ?? false
    }

    // MARK: Problems

    /// Bytes passed over without being kept: the first of them, and a digest of all.
    struct Discard {
        let begin: UInt64
        var kept: [UInt8]
        var length: UInt64
        /// nil: a part was seen before a restart, so the whole cannot be hashed any more.
        var digester: Digester?
    }

    /// Follows what is open but not kept, at the end of a chunk.
    private func pass(_ chunk: Chunk, _ carried: Int, base: UInt64, pending: UInt64) {
        guard pending == .max, !isIdle else {
            discard = nil
            return
        }
        // The framer's state is plain data; where the open value began is all that is read from it.
        let begin = framer.record
        var from = carried
        if discard?.begin != begin {
            guard begin >= base, begin - base <= UInt64(chunk.count) else {
                discard = nil
                return
            }
            discard = Discard(begin: begin, kept: [], length: 0, digester: Digester())
            from = Int(begin - base)
        }
        discard?.take(UnsafeRawBufferPointer(rebasing: chunk.data[from...]))
    }

    private func problem(_ e: vk_frame_event, _ chunk: Chunk, base: UInt64) -> RecordProblem {
        let reason: String
        switch e.kind {
        case VK_FRAME_VALUE: reason = "record could not be kept together"
        case VK_FRAME_TOO_LONG: reason = "record of \(e.end &- e.begin) bytes; the limit is \(limits.recordBytes)"
        case VK_FRAME_TOO_DEEP: reason = "nested deeper than \(limits.depth) levels"
        case VK_FRAME_GARBAGE: reason = "not JSON"
        case VK_FRAME_UNCLOSED: reason = "record ends before its brackets close"
        case VK_FRAME_UNCLOSED_STRING: reason = "a string does not close before the end of its line"
        case VK_FRAME_UNBALANCED: reason = "a closing bracket that opens nowhere"
        default: reason = "unreadable"
        }
        let to = Int(clamping: min(e.end > base ? e.end - base : 0, UInt64(chunk.count)))
        let member = members.last { $0.begin <= e.begin }?.member ?? members.first?.member ?? 0
        var kept: [UInt8]
        var digest: [UInt8]?
        if e.begin >= base {
            let from = min(Int(clamping: e.begin - base), to)
            kept = chunk.copy(from..<min(to, from + RecordProblem.keptBytes))
            if to - from > kept.count {
                let whole = Digester()
                whole?.take(UnsafeRawBufferPointer(rebasing: chunk.data[from..<to]))
                digest = whole?.finish()
            }
        } else if var open = discard, open.begin == e.begin {
            // What was carried into this chunk was taken by then.
            open.take(UnsafeRawBufferPointer(rebasing: chunk.data[min(chunk.count - chunk.produced, to)..<to]))
            kept = open.kept
            digest = open.digester?.finish()
            discard = nil
        } else {
            kept = chunk.copy(0..<min(to, RecordProblem.keptBytes))
        }
        return RecordProblem(
            position: e.begin, member: member, index: e.index, reason: reason, length: e.end &- e.begin, bytes: kept, sha256: digest)
    }
}

extension RecordReader {
    /// The record that is begun and whose end is not there (yet), as a problem; nil if there is none. Reading can go on behind this.
    public func unfinished() -> RecordProblem? {
        guard !finished else { return nil }
        var copy = framer
        var e = vk_frame_event()
        guard vk_framer_finish(&copy, &e, 1) > 0 else { return nil }
        let chunk = Chunk()
        chunk.append(carry)
        chunk.produced = 0
        let open = discard
        // Its digest goes on with what comes.
        discard?.digester = nil
        defer { discard = open }
        return problem(e, chunk, base: inflatedOffset - UInt64(carry.count))
    }
}

extension RecordReader.Discard {
    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        if kept.count < RecordProblem.keptBytes { kept += bytes.prefix(RecordProblem.keptBytes - kept.count) }
        length += UInt64(bytes.count)
        digester?.take(bytes)
    }
}

/// SHA-256 of bytes that come in pieces.
final class Digester {
    private let state: OpaquePointer

    init?() {
        guard let state = vk_digester_new(VK_DIGEST_SHA256) else { return nil }
        self.state = state
    }

    deinit { vk_digester_free(state) }

    func take(_ bytes: UnsafeRawBufferPointer) { _ = vk_digester_update(state, bytes.baseAddress, bytes.count) }

    /// The digest; the next bytes begin another.
    func finish() -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: 32)
        return vk_digester_finish(state, &out) ? out : nil
    }
}
