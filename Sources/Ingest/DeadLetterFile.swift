/// The dead-letter file: JSON lines, rotated at a size, capped in number. Reaching the cap is counted, and said once.
public final class DeadLetterFile {
    public let file: LineFile
    public var path: String { file.path }
    /// Letters written, and letters that could not be.
    public var written: Int { file.written }
    public var dropped: Int { file.dropped }
    /// Old files (and their bytes) that were deleted because the cap was reached.
    public var discardedFiles: Int { file.discardedFiles }
    public var discardedBytes: Int { file.discardedBytes }
    /// The first failure to write, for the log.
    public var failure: String? { file.failure }

    /// `maximumBytes` a file and `maximumFiles` in all: the oldest is deleted when another begins.
    public init(path: String, maximumBytes: Int = 64 << 20, maximumFiles: Int = 4) {
        file = LineFile(path: path, maximumBytes: maximumBytes, maximumFiles: maximumFiles)
    }

    /// Closes the file, so that the next letter opens it anew (log rotation by others).
    public func reopen() { file.reopen() }

    /// Appends a letter. What cannot be written is counted in ``dropped``; ``failure`` says why.
    public func append(_ letter: DeadLetter) { file.append(letter.jsonLine) }
}
