import CKernels

/// Turns the raw bytes of a file or pipe into plain bytes: gzip (members one after another, still growing, truncated), zstd, or plain.
///
/// Invariants: `buffer` is nil or one allocation of `capacity` bytes, of which `begin..<end` were read but not consumed (both are 0
/// without a buffer); `rawOffset` counts raw bytes consumed. A resumed decoder reads unconsumed raw bytes again. The buffer is given
/// back when the stream has nothing more for now, so that thousands of idle streams cost little. Used by one thread at a time.
final class StreamDecoder {
    enum Form: UInt8 { case unknown = 0, plain = 1, gzip = 2, zstd = 3 }
    enum Outcome {
        /// Bytes were written.
        case produced(Int)
        /// Nothing now; more raw bytes may come.
        case starved
        /// Nothing more will come.
        case ended
        /// The stream is damaged from here on.
        case failed(String)
    }
    typealias Read = (UnsafeMutableRawBufferPointer) throws -> Int

    static let endsEarly = "the compressed data ends too early"
    private static let capacity = 256 << 10

    private(set) var form = Form.unknown
    private var inflater: OpaquePointer?
    private var buffer: UnsafeMutableRawPointer?
    private var begin = 0
    private var end = 0
    private(set) var rawOffset: UInt64 = 0
    /// gzip member or zstd frame, from 0.
    private(set) var member: UInt64 = 0
    private(set) var outTotal: UInt64 = 0
    /// Where the current member began, raw and inflated: decoding can always start over from there.
    private var memberRaw: UInt64 = 0
    private(set) var memberOut: UInt64 = 0
    /// What the inflater's own totals lack: it may have been made in mid-stream, and it does not see padding between members.
    private var inBase: UInt64 = 0
    private var outBase: UInt64 = 0
    /// A member has ended and what follows is not known yet.
    private var betweenMembers = false
    /// Why nothing more can be decoded.
    private(set) var failure: String?
    /// Inflated bytes still to drop after a restore.
    private var skip: UInt64 = 0
    /// Raw bytes that were consumed before the buffer's first byte, at most ``RecordReader/boundaryBytes``.
    private var tail: [UInt8] = []
    private let limits: IngestLimits
    private let kind: vk_inflate_kind

    init(limits: IngestLimits, kind: vk_inflate_kind = VK_INFLATE_GZIP_ISAL) {
        self.limits = limits
        self.kind = kind
    }

    deinit {
        vk_inflater_free(inflater)
        buffer?.deallocate()
    }

    var holdsBuffer: Bool { buffer != nil }

    /// Raw bytes taken from the input, whether consumed yet or not.
    var readOffset: UInt64 { rawOffset + UInt64(end - begin) }

    /// The last raw bytes consumed, at most ``RecordReader/boundaryBytes``.
    var rawBoundary: [UInt8] {
        guard let buffer, begin > 0 else { return tail }
        let n = min(begin, RecordReader.boundaryBytes)
        let fresh = Array(UnsafeRawBufferPointer(start: buffer + (begin - n), count: n))
        return n == RecordReader.boundaryBytes ? fresh : Array((tail + fresh).suffix(RecordReader.boundaryBytes))
    }

    /// Decodes into `out`. `read` fills a buffer with the next raw bytes: >0 bytes, 0 at the end (for now), and throws on I/O errors.
    /// `final`: the end that `read` reports is the end for good.
    func decode(into out: UnsafeMutableRawBufferPointer, final: Bool, read: Read) throws -> Outcome {
        while true {
            if let failure { return .failed(failure) }
            if begin == end {
                if form == .plain { return try pass(out, final: final, read: read) }
                if try refill(read) == 0, form == .unknown || betweenMembers {
                    rest()
                    return final ? .ended : .starved
                }
            }
            let outcome: Outcome?
            switch form {
            case .unknown: outcome = try detect(final: final, read: read)
            case .plain: outcome = copy(out)
            case .gzip, .zstd: outcome = betweenMembers ? try nextMember(final: final, read: read) : inflate(out, final: final)
            }
            if case .failed(let reason)? = outcome { failure = reason }
            if let outcome {
                // Who was given something comes again at once: only a stream with nothing more gives its buffer back.
                if case .produced = outcome { return outcome }
                if begin == end { releaseBuffer() }
                return outcome
            }
        }
    }

    // MARK: Raw bytes

    private func releaseBuffer() {
        guard let held = buffer else { return }
        tail = rawBoundary
        held.deallocate()
        buffer = nil
        begin = 0
        end = 0
    }

    /// Frees what an idle stream does not need.
    private func rest() {
        releaseBuffer()
        if betweenMembers {
            vk_inflater_free(inflater)
            inflater = nil
        }
    }

    /// Adds raw bytes to those not consumed. Returns their number.
    private func refill(_ read: Read) throws -> Int {
        let base = buffer ?? UnsafeMutableRawPointer.allocate(byteCount: StreamDecoder.capacity, alignment: 64)
        if buffer != nil {
            tail = rawBoundary
            if begin > 0, end > begin { base.copyMemory(from: base + begin, byteCount: end - begin) }
        }
        buffer = base
        end -= begin
        begin = 0
        let n = try read(UnsafeMutableRawBufferPointer(start: base + end, count: StreamDecoder.capacity - end))
        end += n
        return n
    }

    /// A plain stream goes straight into the caller's memory.
    private func pass(_ out: UnsafeMutableRawBufferPointer, final: Bool, read: Read) throws -> Outcome {
        releaseBuffer()
        let n = try read(out)
        if n == 0 { return final ? .ended : .starved }
        let keep = RecordReader.boundaryBytes
        let fresh = Array(out[max(0, n - keep)..<n])
        tail = fresh.count == keep ? fresh : Array((tail + fresh).suffix(keep))
        rawOffset += UInt64(n)
        outTotal += UInt64(n)
        return .produced(n)
    }

    private func copy(_ out: UnsafeMutableRawBufferPointer) -> Outcome? {
        let n = min(out.count, end - begin)
        guard n > 0, let buffer else { return .starved }
        out.copyMemory(from: UnsafeRawBufferPointer(start: buffer + begin, count: n))
        begin += n
        rawOffset += UInt64(n)
        outTotal += UInt64(n)
        return .produced(n)
    }

    private func follow() -> vk_inflate_follow {
        vk_inflate_following(buffer.map { ($0 + begin).assumingMemoryBound(to: UInt8.self) }, end - begin, false)
    }

    private var firstByte: UInt8 { begin < end ? buffer?.load(fromByteOffset: begin, as: UInt8.self) ?? 0 : 0 }

    // MARK: Members

    private func detect(final: Bool, read: Read) throws -> Outcome? {
        while true {
            switch follow() {
            case VK_FOLLOW_NEED_MORE:
                if try refill(read) > 0 { continue }
                if !final { return .starved }
                if firstByte == 0x1F { return .failed(StreamDecoder.endsEarly) }
                form = .plain
                return nil
            case VK_FOLLOW_GZIP: return begin(.gzip)
            case VK_FOLLOW_ZSTD: return begin(.zstd)
            default:
                form = .plain
                return nil
            }
        }
    }

    /// Begins a member of either compressed form at the present place.
    private func begin(_ next: Form) -> Outcome? {
        if inflater == nil || form != next || vk_inflate_next_member(inflater).rawValue < 0 {
            vk_inflater_free(inflater)
            inflater = vk_inflater_new(next == .gzip ? kind : VK_INFLATE_ZSTD)
            if inflater == nil { return .failed("no memory for a decoder") }
            inBase = rawOffset
            outBase = outTotal
        } else {
            // Padding may have been passed that the inflater did not see.
            inBase = rawOffset &- vk_inflater_position(inflater).in_total
        }
        if form != .unknown { member += 1 }
        form = next
        memberRaw = rawOffset
        memberOut = outTotal
        betweenMembers = false
        return nil
    }

    private func nextMember(final: Bool, read: Read) throws -> Outcome? {
        switch follow() {
        case VK_FOLLOW_NEED_MORE:
            if try refill(read) > 0 { return nil }
            return final ? .failed(StreamDecoder.endsEarly) : .starved
        case VK_FOLLOW_GZIP: return begin(.gzip)
        case VK_FOLLOW_ZSTD: return begin(.zstd)
        case VK_FOLLOW_ZEROS:
            while begin < end, firstByte == 0 {
                begin += 1
                rawOffset += 1
            }
            return nil
        default:
            return .failed("what follows the compressed member that ends at raw byte \(rawOffset) is no member")
        }
    }

    private func inflate(_ out: UnsafeMutableRawBufferPointer, final: Bool) -> Outcome? {
        var consumed = 0
        var produced = 0
        let had = end - begin
        let status = vk_inflate_step(
            inflater, buffer.map { ($0 + begin).assumingMemoryBound(to: UInt8.self) }, had, &consumed,
            out.baseAddress?.assumingMemoryBound(to: UInt8.self), out.count, &produced)
        begin += consumed
        rawOffset += UInt64(consumed)
        outTotal += UInt64(produced)
        if status.rawValue < 0 { failure = "\(String(cString: vk_inflate_status_text(status))) (near raw byte \(rawOffset))" }
        if status == VK_INFLATE_MEMBER_END { betweenMembers = true }
        if failure == nil, outTotal > IngestLimits.expansionGrace, outTotal / UInt64(max(1, limits.expansionRatio)) > rawOffset {
            failure = "expands to more than \(limits.expansionRatio) times its size"
        }
        if produced > 0 { return deliver(produced, out) }
        if had == 0, failure == nil, status == VK_INFLATE_MORE_INPUT { return final ? .failed(StreamDecoder.endsEarly) : .starved }
        return nil
    }

    /// Drops what a restore has to skip.
    private func deliver(_ produced: Int, _ out: UnsafeMutableRawBufferPointer) -> Outcome? {
        guard skip > 0 else { return .produced(produced) }
        let dropped = Int(min(UInt64(produced), skip))
        skip -= UInt64(dropped)
        let rest = produced - dropped
        guard rest > 0 else { return nil }
        if let base = out.baseAddress { base.copyMemory(from: base + dropped, byteCount: rest) }
        return .produced(rest)
    }

    // MARK: Resume

    /// Where decoding goes on, and the decoder's own state there. `snapshot` is empty where none is needed (plain, between members) or
    /// possible (zstd: the frame is decoded again).
    struct State: Sendable, Hashable {
        var form: UInt8
        var betweenMembers: Bool
        var rawOffset: UInt64
        var outTotal: UInt64
        var skip: UInt64
        var member: UInt64
        var memberRaw: UInt64
        var memberOut: UInt64
        var inBase: UInt64
        var outBase: UInt64
        var snapshot: [UInt8]
    }

    var state: State {
        var snapshot: [UInt8] = []
        if form == .gzip, !betweenMembers, let inflater {
            let size = vk_inflate_snapshot(inflater, nil, 0)
            if size > 0 {
                snapshot = [UInt8](repeating: 0, count: size)
                let written = snapshot.withUnsafeMutableBufferPointer { vk_inflate_snapshot(inflater, $0.baseAddress, $0.count) }
                if written != size { snapshot = [] }
            }
        }
        return State(
            form: form.rawValue, betweenMembers: betweenMembers, rawOffset: rawOffset, outTotal: outTotal, skip: skip, member: member,
            memberRaw: memberRaw, memberOut: memberOut, inBase: inBase, outBase: outBase, snapshot: snapshot)
    }

    /// Takes up a state; `boundary` are the raw bytes before it. Returns the raw offset from which the caller must read: that of the
    /// state, or an earlier one when the snapshot cannot be used (the member's output up to the state is then made again and dropped).
    func restore(_ s: State, boundary: [UInt8]) -> UInt64? {
        guard let form = Form(rawValue: s.form), s.memberRaw <= s.rawOffset, s.memberOut <= s.outTotal else { return nil }
        reset()
        self.form = form
        member = s.member
        memberRaw = s.memberRaw
        memberOut = s.memberOut
        betweenMembers = s.betweenMembers
        rawOffset = s.rawOffset
        outTotal = s.outTotal
        skip = s.skip
        tail = boundary
        if form == .plain || form == .unknown || betweenMembers { return rawOffset }
        inflater = vk_inflater_new(form == .gzip ? kind : VK_INFLATE_ZSTD)
        guard inflater != nil else { return nil }
        if restoreSnapshot(s) { return rawOffset }
        vk_inflater_reset(inflater)
        rawOffset = s.memberRaw
        outTotal = s.memberOut
        inBase = s.memberRaw
        outBase = s.memberOut
        skip = s.skip &+ (s.outTotal - s.memberOut)
        tail = []
        return rawOffset
    }

    private func restoreSnapshot(_ s: State) -> Bool {
        var at = vk_inflate_position()
        guard !s.snapshot.isEmpty,
            s.snapshot.withUnsafeBufferPointer({ vk_inflate_snapshot_position($0.baseAddress, $0.count, &at) }).rawValue >= 0
        else { return false }
        let raw = at.in_total &+ s.inBase
        let out = at.out_total &+ s.outBase
        guard raw <= s.rawOffset, raw >= s.memberRaw, out <= s.outTotal, out >= s.memberOut,
            s.snapshot.withUnsafeBufferPointer({ vk_inflate_restore(inflater, $0.baseAddress, $0.count) }).rawValue >= 0
        else { return false }
        if raw != s.rawOffset { tail = [] }
        rawOffset = raw
        outTotal = out
        inBase = s.inBase
        outBase = s.outBase
        skip = s.skip &+ (s.outTotal - out)
        return true
    }

    /// Back to the beginning of an unknown stream.
    func reset() {
        vk_inflater_free(inflater)
        inflater = nil
        buffer?.deallocate()
        buffer = nil
        (begin, end) = (0, 0)
        form = .unknown
        (rawOffset, outTotal, member, memberRaw, memberOut, inBase, outBase, skip) = (0, 0, 0, 0, 0, 0, 0, 0)
        betweenMembers = false
        failure = nil
        tail = []
    }
}
