import CKernels

extension RecordReader {
    /// The fields of a point's bytes.
    struct Saved {
        var state: StreamDecoder.State
        var isDamaged: Bool
        var framer: vk_framer
        var carry: [UInt8]
        var headHash: String
        var headLength: Int
        var rungs: [UInt64]
        var rawBoundaryHash: String
        var rawBoundaryLength: Int
        var boundaryHash: String
        var boundaryLength: Int
        var isEnvelope: Bool
        var recordCount: UInt64
        var memory: DocumentMemory?
        var document: UInt64?
        var filter: RewriteFilter?
        var discard: Discard?

        init(_ point: ResumePoint) throws {
            var r = try ByteReader(point.bytes)
            guard try r.u8() == Saved.version else { throw ByteReader.damaged }
            state = StreamDecoder.State(
                form: try r.u8(), betweenMembers: try r.u8() != 0, rawOffset: try r.u64(), outTotal: try r.u64(), skip: try r.u64(),
                member: try r.u64(), memberRaw: try r.u64(), memberOut: try r.u64(), inBase: try r.u64(), outBase: try r.u64(),
                snapshot: try r.blob())
            isDamaged = try r.u8() != 0
            let raw = try r.blob()
            guard raw.count == MemoryLayout<vk_framer>.size else { throw ByteReader.damaged }
            framer = vk_framer()
            withUnsafeMutableBytes(of: &framer) { $0.copyBytes(from: raw) }
            guard vk_framer_is_valid(&framer) else { throw ByteReader.damaged }
            carry = try r.blob()
            guard UInt64(carry.count) <= vk_framer_offset(&framer) else { throw ByteReader.damaged }
            headHash = try r.text()
            headLength = Int(clamping: try r.u64())
            rungs = try r.words()
            rawBoundaryHash = try r.text()
            rawBoundaryLength = Int(clamping: try r.u64())
            boundaryHash = try r.text()
            boundaryLength = Int(clamping: try r.u64())
            guard headLength <= RecordReader.identityBytes, rawBoundaryLength <= RecordReader.boundaryBytes,
                UInt64(rawBoundaryLength) <= state.rawOffset, boundaryLength <= RecordReader.boundaryBytes
            else { throw ByteReader.damaged }
            isEnvelope = try r.u8() != 0
            recordCount = try r.u64()
            if try r.u8() != 0 { document = try r.u64() }
            if try r.u8() != 0 { memory = try r.memory() }
            if try r.u8() != 0 { filter = try RewriteFilter(from: &r) }
            if try r.u8() != 0 {
                discard = Discard(begin: try r.u64(), kept: try r.blob(), length: try r.u64(), digester: nil)
            }
        }

        static let version: UInt8 = 2
    }

    /// Where to go on after the last chunk handed out. Cheap while nothing was read since it was last asked for.
    public func resumePoint() -> ResumePoint {
        if let cachedPoint { return cachedPoint }
        var w = ByteWriter()
        let s = decoder.state
        w.u8(Saved.version)
        w.u8(s.form)
        w.u8(s.betweenMembers ? 1 : 0)
        for v in [s.rawOffset, s.outTotal, s.skip, s.member, s.memberRaw, s.memberOut, s.inBase, s.outBase] { w.u64(v) }
        w.blob(s.snapshot)
        w.u8(isDamaged ? 1 : 0)
        w.blob(withUnsafeBytes(of: framer) { Array($0) })
        w.blob(carry)
        w.text(head.hash)
        w.u64(UInt64(head.length))
        w.words(head.rungs)
        for b in [decoder.rawBoundary, boundary] {
            w.text(StreamHead.hash(b))
            w.u64(UInt64(b.count))
        }
        w.u8(isEnvelope ? 1 : 0)
        w.u64(recordCount)
        w.u8(document == nil ? 0 : 1)
        if let document { w.u64(document) }
        w.u8(memory == nil ? 0 : 1)
        if let memory { w.memory(memory) }
        w.u8(filter == nil ? 0 : 1)
        if let filter { filter.write(to: &w) }
        w.u8(discard == nil ? 0 : 1)
        if let discard {
            w.u64(discard.begin)
            w.blob(discard.kept)
            w.u64(discard.length)
        }
        let point = ResumePoint(rawOffset: s.rawOffset, inflated: vk_framer_offset(&framer), bytes: w.sealed())
        cachedPoint = point
        return point
    }

    /// A reader that goes on at a point.
    ///
    /// The input's beginning and the bytes before the position are compared with what was read. Throws ``ContentChanged`` when they are
    /// others, and ``IngestError`` if the point is damaged or the input cannot seek; the caller then reads from the beginning.
    ///
    /// `fresh`: the input is another file that should hold the same data (a rotated, perhaps compressed copy). It is decoded from its
    /// beginning and compared.
    public convenience init(_ input: any RawInput, limits: IngestLimits, from point: ResumePoint, fresh: Bool = false) throws {
        self.init(input, limits: limits)
        let saved = try Saved(point)
        framer = saved.framer
        // The limits of today hold from here on.
        framer.max_depth = UInt32(clamping: max(1, limits.depth))
        framer.max_record = UInt64(max(1, limits.recordBytes))
        carry = saved.carry
        isEnvelope = saved.isEnvelope
        recordCount = saved.recordCount
        memory = saved.memory
        document = saved.document
        filter = saved.filter
        discard = saved.discard
        if fresh { try adopt(saved) } else { try restore(saved) }
        noteMember()
    }

    private func seek(_ offset: UInt64) throws {
        guard try input.seek(to: offset) else { throw IngestError("the input cannot go back to byte \(offset)") }
    }

    private func restore(_ saved: Saved) throws {
        try seek(0)
        let first = StreamDecoder(limits: limits)
        _ = try decode(first, upTo: UInt64(saved.headLength)) { head.take($0) }
        guard head.length == saved.headLength else { throw ContentChanged(holdsLess: true) }
        guard head.hash == saved.headHash else { throw ContentChanged(holdsLess: false) }
        let n = saved.rawBoundaryLength
        try seek(saved.state.rawOffset - UInt64(n))
        var before = [UInt8](repeating: 0, count: n)
        var done = 0
        while done < n {
            let got = try before.withUnsafeMutableBytes { try input.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[done...])) }
            if got == 0 { throw ContentChanged(holdsLess: true) }
            done += got
        }
        guard StreamHead.hash(before) == saved.rawBoundaryHash else { throw ContentChanged(holdsLess: false) }
        guard let offset = decoder.restore(saved.state, boundary: before) else { throw ByteReader.damaged }
        try seek(offset)
        mustCompare = true
    }

    /// Decodes up to the framer's position from the beginning, checking that the data is the one that was read before.
    private func adopt(_ saved: Saved) throws {
        try seek(0)
        var last: [UInt8] = []
        let keep = RecordReader.boundaryBytes
        let target = vk_framer_offset(&framer)
        let done = try decode(decoder, upTo: target) { piece in
            if head.length < saved.headLength {
                head.take(UnsafeRawBufferPointer(rebasing: piece.prefix(saved.headLength - head.length)))
            }
            last = Array((last + piece.suffix(keep)).suffix(keep))
        }
        guard head.length < saved.headLength || head.hash == saved.headHash else { throw ContentChanged(holdsLess: false) }
        guard done == target else { throw ContentChanged(holdsLess: true) }
        guard StreamHead.hash(last.suffix(saved.boundaryLength)) == saved.boundaryHash else { throw ContentChanged(holdsLess: false) }
        inflatedTail = last
    }

    /// Decodes until `target` inflated bytes came out or there are no more for now. Returns their number.
    private func decode(_ decoder: StreamDecoder, upTo target: UInt64, _ body: (UnsafeRawBufferPointer) -> Void) throws -> UInt64 {
        var done: UInt64 = 0
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { room.deallocate() }
        while done < target {
            let part = UnsafeMutableRawBufferPointer(rebasing: room.prefix(Int(clamping: min(UInt64(room.count), target - done))))
            guard case .produced(let n) = try decoder.decode(into: part, final: false, read: { try input.read(into: $0) }) else { break }
            body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(part).prefix(n)))
            done += UInt64(n)
        }
        return done
    }

    /// A reader from the beginning of an input that may be a new version of a document read before: the records that the point knows are
    /// not handed out again. nil if the point knows none.
    convenience init?(_ input: any RawInput, limits: IngestLimits, rewriting point: ResumePoint) {
        guard let known = RecordReader.memory(in: point), (try? input.seek(to: 0)) == true else { return nil }
        self.init(input, limits: limits)
        rewind(expecting: known)
    }

    /// The records of the document that a stream consisted of.
    static func memory(in point: ResumePoint) -> DocumentMemory? {
        guard let saved = try? Saved(point), saved.document != nil else { return nil }
        // A version that was not read to its end knows less than the one before it did.
        if let filter = saved.filter, let memory = saved.memory { return filter.merged(with: memory) }
        return saved.memory
    }

    /// Skips everything that is there now: what a tail's first start with `start_at: end` does. Compressed streams are decoded to their end.
    ///
    /// A record that is not complete yet is handed out whole when the rest of it comes.
    public func skipToEnd() throws {
        let chunk = Chunk()
        while try next(into: chunk, final: false) == .chunk {}
    }

    /// The first inflated bytes of an input, for comparing it with streams known; empty if it cannot be decoded.
    static func peek(_ input: any RawInput, limits: IngestLimits) throws -> [UInt8] {
        guard try input.seek(to: 0) else { return [] }
        var out: [UInt8] = []
        let reader = RecordReader(input, limits: limits)
        _ = try reader.decode(reader.decoder, upTo: UInt64(identityBytes)) { out += $0 }
        return out
    }
}
