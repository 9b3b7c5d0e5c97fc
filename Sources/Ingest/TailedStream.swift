/// What the daemon was told to follow.
public struct TailSpec: Sendable, Hashable {
    /// A file, a folder (walked), or a shell pattern.
    public let pattern: String
    /// Records are rows of this table; nil: recognised.
    public let table: String?
    public init(pattern: String, table: String? = nil) {
        self.pattern = pattern
        self.table = table
    }
}

/// What a tail noticed, for the log.
public enum TailEvent: Sendable, Hashable {
    case opened(path: String, from: String)
    case rotated(from: String, to: String)
    case truncated(path: String)
    case finished(path: String)
    case unreadable(path: String, reason: String)
    case noMatch(pattern: String)
}

/// One followed stream: an open file and the place reached in it.
///
/// Its identity is random at first sight and bound to (device, inode); a rotated copy takes it over only if its data agrees.
public final class TailedStream {
    public let id: String
    public internal(set) var path: String
    public let table: String?
    public let input: FileInput
    public let reader: RecordReader
    /// No more data will come: the file vanished, was replaced or truncated.
    public internal(set) var isClosing = false
    /// Everything was read after closing.
    public internal(set) var isFinished = false
    /// Dead letters so far.
    public var deadLetters: UInt64 = 0
    public var watermark: Int64 = 0
    /// Event time of the last record, in ticks: a record without a time takes it over.
    public var lastTime: Int64 = 0

    /// Other data stands where this stream's was.
    var isReplaced = false
    /// When its file was first missed, and how much of it had been read then.
    var vanished: (at: UInt64, size: UInt64)?
    /// Size and time of last writing at the last scan.
    var size: UInt64 = 0
    var modified: Int64 = 0
    /// What the last checkpoint holds of it.
    var checkpointed: Mark?

    struct Mark: Equatable {
        var version: UInt64
        var path: String
        var deadLetters: UInt64
        var watermark: Int64
        var isFinished: Bool
    }

    init(id: String, path: String, table: String?, input: FileInput, reader: RecordReader) {
        self.id = id
        self.path = path
        self.table = table
        self.input = input
        self.reader = reader
    }

    private var firstLook: StreamHead?

    /// The beginning of the file, while nothing was read yet.
    func look(_ limits: IngestLimits) -> StreamHead {
        if let firstLook { return firstLook }
        let head = StreamHead()
        if let bytes = try? RecordReader.peek(try input.again(), limits: limits) { bytes.withUnsafeBytes { head.take($0) } }
        if head.length > 0 { firstLook = head }
        return head
    }

    var key: FileKey { FileKey(device: input.device, inode: input.inode) }

    var mark: Mark {
        Mark(version: reader.version, path: path, deadLetters: deadLetters, watermark: watermark, isFinished: isFinished)
    }

    /// Bytes of the file that were not read yet.
    public var lag: UInt64 {
        let size = input.size
        return size > reader.rawOffset ? size - reader.rawOffset : 0
    }

    /// The next chunk, if there is one. Throws ``IngestError`` on I/O errors.
    public func next(into chunk: Chunk) throws -> RecordReader.Outcome {
        if isFinished { return .ended }
        // What was replaced is left alone until the next scan deals with it.
        if isReplaced { return .waiting }
        do {
            let outcome = try reader.next(into: chunk, final: isClosing)
            if outcome == .ended || (isClosing && outcome == .waiting) { isFinished = true }
            return outcome
        } catch is ContentChanged {
            isReplaced = true
            return .waiting
        }
    }
}

/// A stream as it was saved.
public struct SavedStream: Sendable {
    public let id: String
    public let path: String
    public let device: UInt64
    public let inode: UInt64
    public let resume: ResumePoint
    public let isFinished: Bool
    /// Hash of the first inflated bytes read, and how many these were.
    public let headHash: String
    public let headLength: Int
    public let deadLetters: UInt64
    public let watermark: Int64
    public let lastTime: Int64
    public init(
        id: String, path: String, device: UInt64, inode: UInt64, resume: ResumePoint, isFinished: Bool, headHash: String, headLength: Int,
        deadLetters: UInt64, watermark: Int64, lastTime: Int64
    ) {
        self.id = id
        self.path = path
        self.device = device
        self.inode = inode
        self.resume = resume
        self.isFinished = isFinished
        self.headHash = headHash
        self.headLength = headLength
        self.deadLetters = deadLetters
        self.watermark = watermark
        self.lastTime = lastTime
    }
}
