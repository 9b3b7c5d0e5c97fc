import CKernels

/// Where raw bytes come from.
public protocol RawInput: AnyObject {
    /// Reads up to `buffer.count` bytes: 0 at the present end. Throws ``IngestError`` on I/O errors.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
    /// Moves to an absolute raw offset; false if this input cannot (a pipe).
    func seek(to offset: UInt64) throws -> Bool
}

/// A failing system call or an unusable input.
public struct IngestError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// Where a stream can be taken up again: everything that ``RecordReader`` needs to go on with the next record.
public struct ResumePoint: Sendable, Hashable {
    /// Raw offset behind which nothing was consumed.
    public var rawOffset: UInt64
    /// Inflated bytes consumed.
    public var inflated: UInt64
    /// Opaque: decoder snapshot, framer state, bytes of an unfinished record.
    public var bytes: [UInt8]
    public init(rawOffset: UInt64, inflated: UInt64, bytes: [UInt8]) {
        self.rawOffset = rawOffset
        self.inflated = inflated
        self.bytes = bytes
    }
}

/// Reads one stream chunk by chunk: decompression and record framing. One thread at a time.
public final class RecordReader {
    public enum Outcome: Sendable, Hashable {
        /// The chunk has records or problems.
        case chunk
        /// Nothing new now; a growing stream may have more later.
        case waiting
        /// The stream has ended and everything was handed out.
        case ended
    }

    private let input: any RawInput
    private let limits: IngestLimits
    private let decoder: StreamDecoder
    private var framer = vk_framer()
    private var events = [vk_frame_event](repeating: vk_frame_event(), count: 4096)
    /// Bytes of an unfinished record, from the end of the last chunk.
    private var carry: [UInt8] = []
    /// Hand out what is there instead of filling a chunk: for pipes whose records should not wait.
    public var returnsEarly = false
    private var finished = false
    private var reportedFailure = false
    /// Records handed out so far.
    public private(set) var recordCount: UInt64 = 0
    /// Hash of the first inflated bytes: recognises the same data under another name.
    private var headHash: [UInt8] = []

    /// How many inflated bytes at the start of a stream identify its content.
    public static let identityBytes = 64 << 10

    public init(_ input: any RawInput, limits: IngestLimits = IngestLimits()) {
        self.input = input
        self.limits = limits
        decoder = StreamDecoder(limits: limits)
        vk_framer_init(&framer, 0, UInt32(clamping: limits.depth), UInt64(limits.recordBytes), 0)
    }

    /// Inflated bytes framed so far.
    public var inflatedOffset: UInt64 { vk_framer_offset(&framer) }
    public var rawOffset: UInt64 { decoder.rawOffset }
    /// The first inflated bytes of the stream, at most ``identityBytes``; complete only when that many were read.
    public var head: [UInt8] { headHash }

    /// Reads the next chunk. `final`: an end of the raw input is the end of the stream; otherwise the stream may still grow.
    public func next(into chunk: Chunk, final: Bool) throws -> Outcome {
        chunk.reset()
        if finished { return .ended }
        let base = vk_framer_offset(&framer) - UInt64(carry.count)
        let rawBefore = decoder.rawOffset
        chunk.append(carry)
        let carried = carry.count
        carry = []
        var outcome = StreamDecoder.Outcome.starved
        fill: while chunk.count < Chunk.targetSize || chunk.count == carried {
            let room = max(64 << 10, Chunk.targetSize - chunk.count)
            outcome = try decoder.decode(into: chunk.spare(room), final: final) { try input.read(into: $0) }
            switch outcome {
            case .produced(let n):
                chunk.advance(n)
                if returnsEarly { break fill }
            case .starved, .ended, .failed: break fill
            }
        }
        let fresh = chunk.count - carried
        chunk.produced = fresh
        chunk.consumed = Int(decoder.rawOffset - rawBefore)
        noteHead(chunk, carried)
        frame(chunk, from: carried, base: base)

        var ended = false
        switch outcome {
        case .ended: ended = true
        case .failed(let reason):
            ended = true
            if !reportedFailure {
                reportedFailure = true
                chunk.problems.append(
                    RecordProblem(
                        position: vk_framer_offset(&framer), member: decoder.member, index: 0, reason: reason, length: 0, bytes: []))
            }
        default: break
        }
        if ended {
            var count = 0
            var last = [vk_frame_event](repeating: vk_frame_event(), count: 2)
            count = last.withUnsafeMutableBufferPointer { vk_framer_finish(&framer, $0.baseAddress, $0.count) }
            for e in last.prefix(count) { take(e, chunk, base: base) }
            finished = true
        } else {
            let pending = vk_framer_pending(&framer)
            if pending != .max, pending >= base { carry = chunk.copy(Int(pending - base)..<chunk.count) }
        }
        recordCount += UInt64(chunk.records.count)
        if !chunk.records.isEmpty || !chunk.problems.isEmpty || fresh > 0 { return .chunk }
        return ended ? .ended : .waiting
    }

    private func noteHead(_ chunk: Chunk, _ carried: Int) {
        guard headHash.count < RecordReader.identityBytes else { return }
        headHash += chunk.copy(carried..<min(chunk.count, carried + RecordReader.identityBytes - headHash.count))
    }

    private func frame(_ chunk: Chunk, from start: Int, base: UInt64) {
        var at = start
        while at < chunk.count {
            var found = 0
            let fed = events.withUnsafeMutableBufferPointer { out in
                vk_framer_feed(
                    &framer, (chunk.bytes + at).assumingMemoryBound(to: UInt8.self), chunk.count - at, out.baseAddress, out.count, &found)
            }
            for e in events.prefix(found) { take(e, chunk, base: base) }
            at += fed
            if fed == 0, found == 0 { break }
        }
    }

    private func take(_ e: vk_frame_event, _ chunk: Chunk, base: UInt64) {
        let reason: String
        switch e.kind {
        case VK_FRAME_VALUE:
            if e.flags & UInt8(VK_FRAME_FLAG_EMPTY_ENVELOPE) != 0 { return }
            if e.begin >= base, e.end - base <= UInt64(chunk.count) {
                chunk.records.append(
                    Chunk.Record(offset: Int(e.begin - base), length: Int(e.end - e.begin), position: e.begin, index: e.index))
                return
            }
            reason = "record could not be kept together"
        case VK_FRAME_TOO_LONG: reason = "record of \(e.end - e.begin) bytes; the limit is \(limits.recordBytes)"
        case VK_FRAME_TOO_DEEP: reason = "nested deeper than \(limits.depth) levels"
        case VK_FRAME_GARBAGE: reason = "not JSON"
        case VK_FRAME_UNCLOSED: reason = "record ends before its brackets close"
        case VK_FRAME_UNCLOSED_STRING: reason = "a string does not close before the end of its line"
        case VK_FRAME_UNBALANCED: reason = "a closing bracket that opens nowhere"
        default: reason = "unreadable"
        }
        let from = Int(max(e.begin, base) - base)
        let to = Int(clamping: e.end > base ? e.end - base : 0)
        let kept = chunk.copy(min(from, chunk.count)..<min(max(from, to), chunk.count, from + RecordProblem.keptBytes))
        chunk.problems.append(
            RecordProblem(position: e.begin, member: decoder.member, index: e.index, reason: reason, length: e.end - e.begin, bytes: kept))
    }

    // MARK: Resume

    /// Where to go on after the last chunk handed out.
    public func resumePoint() -> ResumePoint {
        var w: [UInt8] = [1]
        func u64(_ v: UInt64) { for i in 0..<8 { w.append(UInt8(truncatingIfNeeded: v >> UInt64(8 * i))) } }
        func blob(_ b: [UInt8]) {
            u64(UInt64(b.count))
            w += b
        }
        let s = decoder.state
        w.append(s.form)
        u64(s.rawOffset)
        u64(s.outTotal)
        u64(s.member)
        w.append(s.betweenMembers ? 1 : 0)
        blob(s.snapshot)
        blob(withUnsafeBytes(of: framer) { Array($0) })
        blob(carry)
        blob(headHash)
        u64(recordCount)
        return ResumePoint(rawOffset: s.rawOffset, inflated: vk_framer_offset(&framer), bytes: w)
    }

    /// A reader that goes on at a point. Throws ``IngestError`` if the point is damaged; the caller then reads from the beginning.
    public convenience init(_ input: any RawInput, limits: IngestLimits, from point: ResumePoint) throws {
        self.init(input, limits: limits)
        var at = 0
        let b = point.bytes
        func damaged() -> IngestError { IngestError("the saved position is damaged") }
        func u8() throws -> UInt8 {
            guard at < b.count else { throw damaged() }
            defer { at += 1 }
            return b[at]
        }
        func u64() throws -> UInt64 {
            var v: UInt64 = 0
            for i in 0..<8 { v |= UInt64(try u8()) << UInt64(8 * i) }
            return v
        }
        func blob() throws -> [UInt8] {
            let n = try u64()
            guard n <= UInt64(b.count - at) else { throw damaged() }
            defer { at += Int(n) }
            return Array(b[at..<(at + Int(n))])
        }
        guard try u8() == 1 else { throw damaged() }
        let state = StreamDecoder.State(
            form: try u8(), rawOffset: try u64(), outTotal: try u64(), member: try u64(), betweenMembers: try u8() != 0, snapshot: try blob())
        let framerBytes = try blob()
        guard framerBytes.count == MemoryLayout<vk_framer>.size else { throw damaged() }
        var restored = vk_framer()
        withUnsafeMutableBytes(of: &restored) { $0.copyBytes(from: framerBytes) }
        guard vk_framer_is_valid(&restored) else { throw damaged() }
        framer = restored
        carry = try blob()
        headHash = try blob()
        recordCount = try u64()
        guard UInt64(carry.count) <= vk_framer_offset(&framer) else { throw damaged() }
        let offset = decoder.restore(state)
        guard try input.seek(to: offset) else { throw IngestError("the input cannot go back to byte \(offset)") }
    }
}
