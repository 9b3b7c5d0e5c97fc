import Columnar
import KQL

/// Rows of tables in memory, keyed: from records of any form, through the same path as files. For rule tests and small hunts.
public struct TableRows: Sendable {
    /// Rows by table, columns as the normaliser's needs, with row keys.
    public let batches: [String: Batch]
    /// Time of each record that has one, in the order of the records.
    public let times: [Int64]
    /// Records that gave no row because they cannot be read.
    public let problems: [(index: Int, problem: RecordProblem)]
    /// Records of no known form.
    public let unrecognized: Int

    /// Serialises the records and normalises them as one stream.
    public static func make(from records: [Dynamic], normalizer: Normalizer, path: String? = nil, table: String? = nil) -> TableRows {
        make(fromJSON: records.map { JSONText.compact($0) }, normalizer: normalizer, path: path, table: table)
    }

    /// Normalises records given as JSON text, as one stream.
    public static func make(fromJSON records: [String], normalizer: Normalizer, path: String? = nil, table: String? = nil) -> TableRows {
        var bytes: [UInt8] = []
        var slices: [RecordSlice] = []
        for record in records {
            slices.append(RecordSlice(offset: bytes.count, length: record.utf8.count))
            bytes.append(contentsOf: record.utf8)
            bytes.append(0x0A)
        }
        let length = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: 64))
        let session = normalizer.makeSession()
        var stream = normalizer.stream(path: path, table: table)
        var problems: [(index: Int, problem: RecordProblem)] = []
        var batches: [String: Batch] = [:]
        var times: [Int64] = []
        bytes.withUnsafeBytes { all in
            let chunk = UnsafeRawBufferPointer(rebasing: all[..<length])
            session.normalize(chunk: chunk, records: slices, stream: &stream) { problems.append(($0, $1)) }
            times = session.recordTimes.filter { $0 > 0 }
            for rows in session.finish() { batches[rows.name] = rows.keyed(in: chunk) }
        }
        return TableRows(batches: batches, times: times, problems: problems, unrecognized: stream.unrecognized)
    }
}
