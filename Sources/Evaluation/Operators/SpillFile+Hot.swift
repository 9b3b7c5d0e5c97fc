import Columnar
import Glibc

// Hot file: batches to bytes and back.
//
// Invariants: only trivial cells are copied as memory (integers, doubles, decimals, guids, row keys); the file is this process's alone and
// has no name from its creation on, so what is read is what was written. Counts are checked against the bytes that are left all the same.

/// Rows put aside on disk: a file without a name, gone when it is closed, however the process ends.
final class SpillFile {
    private var descriptor: Int32 = -1
    private let directory: String
    private var buffer: [UInt8] = []
    /// Bytes written and not yet in the file are sent from this size on.
    private static let portion = 1 << 20
    private(set) var rows = 0
    /// `O_TMPFILE`, which the headers give as a compound macro: a file without a name.
    private static let temporary: Int32 = 0o20000000 | O_DIRECTORY

    /// Throws when no file can be made in the directory.
    init(directory: String) throws {
        self.directory = directory
        descriptor = open(directory, O_RDWR | O_CLOEXEC | SpillFile.temporary, 0o600)
        if descriptor < 0 {
            // Not every file system makes files without names: one with a name loses it at once.
            var name = Array((directory + "/vedette-XXXXXX").utf8CString)
            descriptor = mkstemp(&name)
            if descriptor >= 0 {
                unlink(name)
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            }
        }
        if descriptor < 0 { throw failure("make") }
    }

    /// Writes to what the path leads to (tests).
    init(writingTo path: String) throws {
        directory = path
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        if descriptor < 0 { throw failure("open") }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private func failure(_ what: String) -> EvaluationError {
        let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
        return EvaluationError("cannot \(what) a temporary file in \(directory) for rows that do not fit the memory limit: \(reason)")
    }

    // MARK: writing

    /// Adds a batch; its lineage is not kept.
    func append(_ batch: Batch) throws {
        if batch.count == 0 { return }
        rows += batch.count
        put(batch.count)
        put(batch.keys == nil ? 0 : 1)
        if let keys = batch.keys { put(keys) }
        for c in batch.columns { put(c) }
        if buffer.count >= SpillFile.portion { try flush() }
    }

    private func flush() throws {
        let done = buffer.withUnsafeBytes { bytes -> Bool in
            var at = 0
            while at < bytes.count {
                let n = write(descriptor, bytes.baseAddress.map { $0 + at }, bytes.count - at)
                if n < 0 && errno == EINTR { continue }
                if n <= 0 { return false }
                at += n
            }
            return true
        }
        if !done { throw failure("write") }
        buffer.removeAll(keepingCapacity: true)
    }

    private func put(_ n: Int) { withUnsafeBytes(of: n) { buffer.append(contentsOf: $0) } }

    private func put<T>(_ cells: ContiguousArray<T>) {
        put(cells.count)
        cells.withUnsafeBytes { buffer.append(contentsOf: $0) }
    }

    private func put(_ column: Column) {
        if let v = column.validity {
            put(1)
            put(v.words)
        } else {
            put(0)
        }
        switch column.data {
        case .bools(let b): put(b.words)
        case .longs(let a): put(a)
        case .reals(let a): put(a)
        case .decimals(let a): put(a)
        case .guids(let a): put(a)
        case .strings(let s), .dynamics(let s):
            // Without its dictionary, which may be that of a far larger batch.
            let plain = s.plain
            put(plain.values.offsets)
            put(plain.values.bytes)
        }
    }

    // MARK: reading

    /// Ends writing; the batches in the order in which they were added.
    func reader(_ types: [ScalarType]) throws -> Reader {
        if !buffer.isEmpty { try flush() }
        buffer = []
        return Reader(self, types)
    }

    /// Reads a file from its beginning, a batch at a time. Several readers of one file do not disturb each other.
    final class Reader {
        private let file: SpillFile
        private let types: [ScalarType]
        private var offset = 0

        fileprivate init(_ file: SpillFile, _ types: [ScalarType]) {
            self.file = file
            self.types = types
        }

        /// The next batch; nil at the end.
        func next() throws -> Batch? {
            var probe: UInt8 = 0
            guard pread(file.descriptor, &probe, 1, offset) == 1 else { return nil }
            let count = try number()
            let keys: ContiguousArray<RowKey>? = try number() == 1 ? try cells() : nil
            var columns: [Column] = []
            columns.reserveCapacity(types.count)
            for type in types { columns.append(try column(type, count)) }
            return Batch(columns: columns, count: count, keys: keys)
        }

        private func column(_ type: ScalarType, _ count: Int) throws -> Column {
            let validity: Bitmap? = try number() == 1 ? Bitmap(words: try cells(), count: count) : nil
            switch type {
            case .bool: return Column(type, .bools(Bitmap(words: try cells(), count: count)), validity: validity)
            case .int, .long, .datetime, .timespan: return Column(type, .longs(try cells()), validity: validity)
            case .real: return Column(type, .reals(try cells()), validity: validity)
            case .decimal: return Column(type, .decimals(try cells()), validity: validity)
            case .guid: return Column(type, .guids(try cells()), validity: validity)
            case .string: return Column(type, .strings(try strings()))
            case .dynamic: return Column(type, .dynamics(try strings()), validity: validity)
            }
        }

        private func strings() throws -> StringColumn {
            let offsets: ContiguousArray<UInt32> = try cells()
            let bytes: ContiguousArray<UInt8> = try cells()
            return StringColumn(ByteStrings(offsets: offsets, bytes: bytes))
        }

        private func number() throws -> Int {
            var n = 0
            try withUnsafeMutableBytes(of: &n) { try fill($0) }
            return n
        }

        private func cells<T>() throws -> ContiguousArray<T> {
            let n = try number()
            guard n >= 0, n <= Int(Int32.max) * 2 else { throw file.failure("read") }
            return try ContiguousArray(unsafeUninitializedCapacity: n) { out, count in
                try fill(UnsafeMutableRawBufferPointer(out))
                count = n
            }
        }

        private func fill(_ out: UnsafeMutableRawBufferPointer) throws {
            var at = 0
            while at < out.count {
                let n = pread(file.descriptor, out.baseAddress.map { $0 + at }, out.count - at, offset)
                if n < 0 && errno == EINTR { continue }
                if n <= 0 { throw file.failure("read") }
                at += n
                offset += n
            }
        }
    }
}

extension StringColumn {
    /// The same rows without a dictionary.
    fileprivate var plain: StringColumn {
        guard let codes else { return self }
        var b = ByteStrings()
        for c in codes { b.append(values, at: Int(c)) }
        return StringColumn(b)
    }
}
