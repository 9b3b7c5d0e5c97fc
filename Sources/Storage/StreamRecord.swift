import Ingest

/// The position of one stream, as it survives a restart.
public struct StreamRecord: Sendable, Hashable {
    /// Random at first sight.
    public var id: String
    public var path: String
    public var device: UInt64
    public var inode: UInt64
    public var resume: ResumePoint
    /// Records read so far. Storage keeps the largest number that it was told.
    public var records: UInt64
    public var deadLetters: UInt64
    /// Highest credible event time, in ticks; 0 before the first.
    public var watermark: Int64
    /// Event time of the last record, in ticks; 0 before the first.
    public var lastTime: Int64
    /// Everything was read and the file was seen to be gone or replaced.
    public var isFinished: Bool
    /// Hash of the first consumed inflated bytes (up to 64 KiB) and how many they were: tells the same data under another name.
    public var headHash: String
    public var headLength: Int

    public init(
        id: String, path: String, device: UInt64, inode: UInt64, resume: ResumePoint, records: UInt64, deadLetters: UInt64,
        watermark: Int64, lastTime: Int64, isFinished: Bool, headHash: String, headLength: Int
    ) {
        self.id = id
        self.path = path
        self.device = device
        self.inode = inode
        self.resume = resume
        self.records = records
        self.deadLetters = deadLetters
        self.watermark = watermark
        self.lastTime = lastTime
        self.isFinished = isFinished
        self.headHash = headHash
        self.headLength = headLength
    }
}
