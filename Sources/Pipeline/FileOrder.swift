import Dispatch
import Ingest
import KQL
import Tables

/// The order in which the files of a replay start: by the time of their first record, then by path.
///
/// A file's first record bounds what the file may still bring (semantics: "Reading"), so each is looked at before anything is read. Little of
/// it is read for that: this happens before the other work can begin, and thousands of files are common.
struct FileOrder: Sendable {
    /// What of a file is read and inflated at a time.
    private static let piece = 32 << 10
    /// Inflated bytes in which a first record is looked for.
    private static let reach = Chunk.targetSize
    /// Files below which another thread would cost more than it saves.
    private static let filesPerThread = 8

    let normalizer: Normalizer
    let options: ReplayOptions

    /// The files in order, each with the lower bound of its times where one is known.
    func sorted(_ files: [InputFile]) -> [InputFile] {
        guard files.count > 1 else { return files }
        let threads = max(1, min(options.threads, files.count / FileOrder.filesPerThread))
        let share = (files.count + threads - 1) / threads
        let parts = stride(from: 0, to: files.count, by: share).map { files[$0..<min(files.count, $0 + share)] }
        return Concurrently.map(parts, together: 1) { looked(at: $0) }.flatMap { $0 }
            .sorted { ($0.lowerBound, $0.path) < ($1.lowerBound, $1.path) }
    }

    private func looked(at files: ArraySlice<InputFile>) -> [InputFile] {
        let chunk = Chunk(capacity: FileOrder.piece)
        let session = normalizer.makeSession()
        return files.map { file in
            var file = file
            if let time = firstTime(file.path, chunk, session) { file.lowerBound = time }
            return file
        }
    }

    /// The event time of the first record; nil if it has none, or none can be read.
    private func firstTime(_ path: String, _ chunk: Chunk, _ session: NormalizerSession) -> Int64? {
        guard let input = try? FileInput(path: path) else { return nil }
        let reader = RecordReader(input, limits: options.limits)
        reader.chunkSize = FileOrder.piece
        while (try? reader.next(into: chunk, final: true)) == .chunk {
            if let first = chunk.records.first {
                var stream = normalizer.stream(path: path, table: options.table)
                session.normalize(
                    chunk: chunk.data, records: [RecordSlice(offset: first.offset, length: first.length)], stream: &stream
                ) { _, _ in }
                _ = session.finish()
                return stream.lastTime > 0 ? stream.lastTime : nil
            }
            if reader.inflatedOffset >= FileOrder.reach { return nil }
        }
        return nil
    }
}
