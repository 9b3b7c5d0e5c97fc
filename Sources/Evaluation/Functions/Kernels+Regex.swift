import CKernels
import Columnar
import Synchronization

// Hot file: calls the regular-expression kernel with borrowed buffers.
// Invariant: each pointer is used only inside the closure that lends it, and offsets from the kernel are checked against the text.

/// What one regular expression may take, compiled and with its cache of states.
public enum RegexLimit {
    /// For the whole process.
    package static let bytes = Atomic<Int>(8 << 20)

    /// Sets the limit for what is compiled from now on.
    public static func set(bytes n: Int) { bytes.store(n, ordering: .relaxed) }
}

/// A compiled regular expression. Safe to share: matching does not change it.
final class Regex2: @unchecked Sendable {
    // RE2 objects are immutable after construction and matching is thread-safe, which the compiler cannot see through the C handle.
    private let handle: OpaquePointer
    /// Copies for threads that match columns at the same time: matching is thread-safe, but the threads wait for each other in RE2's cache
    /// of states.
    private let spares = Mutex<[Spare]>([])

    private final class Spare: @unchecked Sendable {
        let handle: OpaquePointer
        init(_ handle: OpaquePointer) { self.handle = handle }
        deinit { vk_re2_free(handle) }
    }
    private let isTaken = Atomic<Bool>(false)
    private let bytes: [UInt8]
    private let flags: UInt32
    private let memory: UInt64

    /// Hands over a handle that no other column match uses meanwhile.
    private func withOwnHandle<R>(_ body: (OpaquePointer) -> R) -> R {
        if !isTaken.exchange(true, ordering: .acquiring) {
            defer { isTaken.store(false, ordering: .releasing) }
            return body(handle)
        }
        let spare =
            spares.withLock { $0.popLast() }
            ?? bytes.withUnsafeBufferPointer { vk_re2_new($0.baseAddress, $0.count, flags, memory, nil, 0) }
            .map(Spare.init)
        guard let spare else { return body(handle) }
        defer { spares.withLock { $0.append(spare) } }
        return body(spare.handle)
    }

    /// Throws `EvaluationError` with RE2's reason when the pattern is malformed.
    init(_ pattern: String, flags: UInt32 = 0) throws {
        var reason = [CChar](repeating: 0, count: 256)
        let bytes = Regex2.translated(Array(pattern.utf8))
        let memory = UInt64(RegexLimit.bytes.load(ordering: .relaxed))
        let made = bytes.withUnsafeBufferPointer { vk_re2_new($0.baseAddress, $0.count, flags, memory, &reason, reason.count) }
        guard let made else {
            let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix("pattern too large") || text == "out of memory" {
                throw EvaluationError(
                    "The regular expression `\(pattern.prefix(60))` needs more than \(memory >> 10) KiB (limit regexBytes); raise it with "
                        + "--max-regex-memory or `limits.regex_bytes`, or repeat less", isLimit: true)
            }
            throw EvaluationError("The regular expression `\(pattern)` cannot be compiled: \(text)")
        }
        handle = made
        self.bytes = bytes
        self.flags = flags
        self.memory = memory
    }

    deinit { vk_re2_free(handle) }

    /// Named groups as older RE2 spells them: `(?<name>` becomes `(?P<name>`. Escapes and character classes are left alone.
    private static func translated(_ pattern: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var inClass = false
        var i = 0
        while i < pattern.count {
            let c = pattern[i]
            if c == 0x5C, i + 1 < pattern.count {
                out += [c, pattern[i + 1]]
                i += 2
                continue
            }
            if inClass {
                inClass = c != 0x5D
            } else if c == 0x5B {
                inClass = true
                out.append(c)
                i += 1
                // A bracket right behind the opening one, or its `^`, is a literal.
                if i < pattern.count, pattern[i] == 0x5E {
                    out.append(0x5E)
                    i += 1
                }
                if i < pattern.count, pattern[i] == 0x5D {
                    out.append(0x5D)
                    i += 1
                }
                continue
            } else if c == 0x28, pattern[i...].starts(with: [0x28, 0x3F, 0x3C]), i + 3 < pattern.count, pattern[i + 3] != 0x3D,
                pattern[i + 3] != 0x21
            {
                out += [0x28, 0x3F, 0x50, 0x3C]
                i += 3
                continue
            }
            out.append(c)
            i += 1
        }
        return out
    }

    var groupCount: Int { Int(vk_re2_group_count(handle)) }

    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        let b = text.bindMemory(to: UInt8.self)
        return vk_re2_match(handle, b.baseAddress, b.count)
    }

    func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { vk_re2_match(handle, $0.baseAddress, $0.count) }
    }

    /// Ranges of group 0 and up to `groups` further ones of the first match at or behind `start`; a group without part is nil.
    func captures(_ text: [UInt8], from start: Int, groups: Int) -> [Range<Int>?]? {
        var out = [vk_re2_group](repeating: vk_re2_group(begin: -1, end: -1), count: groups + 1)
        let found = text.withUnsafeBufferPointer { vk_re2_captures(handle, $0.baseAddress, $0.count, start, &out, out.count) }
        guard found else { return nil }
        return out.map { g in
            g.begin >= 0 && g.end >= g.begin && g.end <= Int64(text.count) ? Int(g.begin)..<Int(g.end) : nil
        }
    }

    /// The test of a string column; a dictionary is tested once per value.
    func match(_ column: StringColumn) -> Bitmap {
        let values = column.values
        if let codes = column.codes, values.count > 2 * codes.count {
            var out = Bitmap(repeating: false, count: codes.count)
            for (row, code) in codes.enumerated() where values.withBytes(Int(code), matches) { out[row] = true }
            return out
        }
        let table = values.bytes.withUnsafeBufferPointer { b in
            values.offsets.withUnsafeBufferPointer { o in
                withOwnHandle { own in
                    fillBits(values.count) { vk_re2_match_column(own, b.baseAddress, o.baseAddress, values.count, $0) }
                }
            }
        }
        return column.codes.map { spreadBits(table, codes: $0) } ?? table
    }
}
