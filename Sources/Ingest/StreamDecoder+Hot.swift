import CKernels

/// Turns the raw bytes of a file or pipe into plain bytes: gzip (members one after another, still growing, truncated), zstd, or plain.
///
/// Invariant: `input[begin..<end]` are raw bytes read but not consumed; `rawOffset` counts raw bytes consumed. The decoder never reads ahead
/// of what it consumed in a way that a snapshot would lose: unconsumed raw bytes are read again after a resume.
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

    private(set) var form = Form.unknown
    private var inflater: OpaquePointer?
    private var input = [UInt8](repeating: 0, count: 256 << 10)
    private var begin = 0
    private var end = 0
    private(set) var rawOffset: UInt64 = 0
    private(set) var member: UInt64 = 0
    private(set) var outTotal: UInt64 = 0
    /// A member has ended and what follows is not known yet.
    private var betweenMembers = false
    private var failure: String?
    private var atEnd = false
    /// Inflated bytes still to drop after a restore.
    private var skip: UInt64 = 0
    private let limits: IngestLimits
    private let kind: vk_inflate_kind
    /// Trailing bytes behind the last member that are no member: reported once.
    private(set) var trailingGarbage: UInt64 = 0

    init(limits: IngestLimits, kind: vk_inflate_kind = VK_INFLATE_GZIP_ISAL) {
        self.limits = limits
        self.kind = kind
    }

    deinit { vk_inflater_free(inflater) }

    /// Inside a compressed member: an end of input here is a truncation.
    var isInsideMember: Bool { (form == .gzip || form == .zstd) && !betweenMembers && failure == nil }

    /// Decodes into `out`. `read` fills a buffer with the next raw bytes: >0 bytes, 0 at the end (for now), and throws on I/O errors.
    /// `final`: the end that `read` reports is the end for good.
    func decode(
        into out: UnsafeMutableRawBufferPointer, final: Bool, read: (UnsafeMutableRawBufferPointer) throws -> Int
    ) throws -> Outcome {
        if let failure { return .failed(failure) }
        while true {
            if begin == end {
                begin = 0
                end = try input.withUnsafeMutableBytes { try read($0) }
                if end == 0, betweenMembers || form == .unknown || form == .plain {
                    return final ? .ended : .starved
                }
            }
            let outcome: Outcome?
            switch form {
            case .unknown: outcome = try detect(final: final, read: read)
            case .plain: outcome = copy(out)
            case .gzip, .zstd: outcome = betweenMembers ? nextMember(final: final) : inflate(out, final: final)
            }
            if case .failed(let reason)? = outcome { failure = reason }
            if let outcome { return outcome }
        }
    }

    private func detect(final: Bool, read: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Outcome? {
        // Up to four bytes tell the form; short reads at the start of a growing file wait for more.
        while end - begin < 4 {
            let had = end
            let n = try input.withUnsafeMutableBytes { buffer -> Int in
                try read(UnsafeMutableRawBufferPointer(rebasing: buffer[had...]))
            }
            if n == 0 {
                if !final { return .starved }
                break
            }
            end += n
        }
        switch follow(final: true) {
        case VK_FOLLOW_GZIP: form = .gzip
        case VK_FOLLOW_ZSTD: form = .zstd
        default: form = .plain
        }
        if form != .plain {
            inflater = vk_inflater_new(form == .gzip ? kind : VK_INFLATE_ZSTD)
            if inflater == nil { return .failed("no memory for a decoder") }
        }
        return nil
    }

    private func follow(final: Bool) -> vk_inflate_follow {
        input.withUnsafeBufferPointer { p in
            vk_inflate_following(p.baseAddress.map { $0 + begin }, end - begin, final)
        }
    }

    private func copy(_ out: UnsafeMutableRawBufferPointer) -> Outcome? {
        let n = min(out.count, end - begin)
        guard n > 0 else { return .starved }
        input.withUnsafeBytes { out.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[begin..<(begin + n)])) }
        begin += n
        rawOffset += UInt64(n)
        outTotal += UInt64(n)
        return .produced(n)
    }

    private func nextMember(final: Bool) -> Outcome? {
        switch follow(final: final) {
        case VK_FOLLOW_NEED_MORE: return final ? .ended : .starved
        case VK_FOLLOW_GZIP where form == .gzip, VK_FOLLOW_ZSTD where form == .zstd:
            guard vk_inflate_next_member(inflater).rawValue >= 0 else { return .failed("cannot begin another compressed member") }
            member += 1
            betweenMembers = false
            return nil
        case VK_FOLLOW_ZEROS:
            while begin < end, input[begin] == 0 {
                begin += 1
                rawOffset += 1
            }
            return nil
        default:
            trailingGarbage += UInt64(end - begin)
            return .failed("\(end - begin) or more bytes behind the last compressed member are no member")
        }
    }

    private func inflate(_ out: UnsafeMutableRawBufferPointer, final: Bool) -> Outcome? {
        var consumed = 0
        var produced = 0
        let had = end - begin
        let status = input.withUnsafeBufferPointer { p in
            vk_inflate_step(
                inflater, p.baseAddress.map { $0 + begin }, had, &consumed, out.baseAddress?.assumingMemoryBound(to: UInt8.self), out.count,
                &produced)
        }
        begin += consumed
        rawOffset += UInt64(consumed)
        outTotal += UInt64(produced)
        if status.rawValue < 0 {
            if produced > 0 {
                failure = String(cString: vk_inflate_status_text(status))
                return deliver(produced, out)
            }
            return .failed(String(cString: vk_inflate_status_text(status)))
        }
        if status == VK_INFLATE_MEMBER_END { betweenMembers = true }
        if outTotal > IngestLimits.expansionGrace, outTotal / UInt64(max(1, limits.expansionRatio)) > rawOffset {
            failure = "expands to more than \(limits.expansionRatio) times its size"
        }
        if produced > 0 { return deliver(produced, out) }
        if let failure { return .failed(failure) }
        if had == 0, status == VK_INFLATE_MORE_INPUT {
            return final ? .failed("the compressed data ends too early") : .starved
        }
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

    /// Where decoding goes on, and the decoder's own state there. `snapshot` is empty where the stream must be decoded from its beginning
    /// (zstd) or needs none (plain).
    struct State: Sendable, Hashable {
        var form: UInt8
        var rawOffset: UInt64
        var outTotal: UInt64
        var member: UInt64
        var betweenMembers: Bool
        var snapshot: [UInt8]
    }

    var state: State {
        var snapshot: [UInt8] = []
        if form == .gzip, let inflater {
            let size = vk_inflate_snapshot(inflater, nil, 0)
            if size > 0 {
                snapshot = [UInt8](repeating: 0, count: size)
                let written = snapshot.withUnsafeMutableBufferPointer { vk_inflate_snapshot(inflater, $0.baseAddress, $0.count) }
                if written != size { snapshot = [] }
            }
        }
        return State(
            form: form.rawValue, rawOffset: rawOffset, outTotal: outTotal, member: member, betweenMembers: betweenMembers, snapshot: snapshot)
    }

    /// Takes up a state. Returns the raw offset from which the caller must read: that of the state, or an earlier one when the snapshot
    /// cannot be used (bytes up to the state's output are then decoded again and dropped).
    func restore(_ s: State) -> UInt64 {
        guard let form = Form(rawValue: s.form) else { return 0 }
        self.form = form
        begin = 0
        end = 0
        if form == .plain || form == .unknown {
            rawOffset = s.rawOffset
            outTotal = s.outTotal
            return s.rawOffset
        }
        guard let fresh = vk_inflater_new(form == .gzip ? kind : VK_INFLATE_ZSTD) else { return 0 }
        inflater = fresh
        if !s.snapshot.isEmpty {
            var at = vk_inflate_position()
            let known = s.snapshot.withUnsafeBufferPointer { vk_inflate_snapshot_position($0.baseAddress, $0.count, &at) }
            if known.rawValue >= 0, at.out_total <= s.outTotal,
                s.snapshot.withUnsafeBufferPointer({ vk_inflate_restore(fresh, $0.baseAddress, $0.count) }).rawValue >= 0
            {
                skip = s.outTotal - at.out_total
                rawOffset = at.in_total
                outTotal = at.out_total
                member = at.member
                betweenMembers = s.betweenMembers && skip == 0
                return at.in_total
            }
            vk_inflater_reset(fresh)
        }
        skip = s.outTotal
        rawOffset = 0
        outTotal = 0
        member = 0
        betweenMembers = false
        return 0
    }
}
