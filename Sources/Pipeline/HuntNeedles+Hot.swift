import CKernels
import Columnar
import Evaluation
import Glibc
import Ingest
import KQL
import Tables

// Hot file: looks at the bytes of every record.
//
// Invariant: a record's range lies inside the chunk (``Chunk``), and pointers into it are used only while it is there.

/// Text that a record must hold if one of its rows is to pass some conditions of a scan: records without are not taken apart.
///
/// Only conditions on columns whose values stand in the record as they are count (``Normalizer/isVerbatim(column:table:)``). Values may be
/// written with escapes, and whole records as text inside others: a record with a backslash is always taken apart.
struct HuntNeedles: Sendable {
    /// Letters, digits and underscores, one letter other than `e` among them: neither escapes nor the forms of numbers bear on it.
    struct Needle: Sendable, Equatable {
        let bytes: [UInt8]
        let ignoresCase: Bool
    }

    /// A row passes only if its record holds one of these.
    let alternatives: [Needle]
    private static let mostAlternatives = 8

    /// Nil when some read's conditions ask for no text.
    init?(_ reads: [HuntRead], _ normalizer: Normalizer) {
        var all: [Needle] = []
        for read in reads {
            let options = read.filters.flatMap(PlanRewriter.conjuncts).compactMap { HuntNeedles.alternatives($0, read, normalizer) }
            // The condition whose shortest text is longest tells most.
            func length(_ needles: [Needle]) -> Int { needles.map(\.bytes.count).min() ?? 0 }
            guard let best = options.max(by: { length($0) < length($1) }) else { return nil }
            all += best
        }
        guard !all.isEmpty, all.count <= HuntNeedles.mostAlternatives else { return nil }
        alternatives = all
    }

    private static func alternatives(_ e: BoundExpr, _ read: HuntRead, _ normalizer: Normalizer) -> [Needle]? {
        guard case .call(let name, let arguments) = e.kind, arguments.count >= 2, case .column(let id) = arguments[0].kind,
            let column = read.columns.first(where: { $0.id == id }), normalizer.isVerbatim(column: column.name, table: read.table)
        else { return nil }
        let ignoresCase: Bool
        switch name {
        case "==", "in", "has_cs", "contains_cs", "startswith_cs", "endswith_cs", "hasprefix_cs", "hassuffix_cs": ignoresCase = false
        case "=~", "has", "contains", "startswith", "endswith", "hasprefix", "hassuffix", "has_any": ignoresCase = true
        default: return nil
        }
        if name != "in", name != "has_any", arguments.count != 2 { return nil }
        var out: [Needle] = []
        for a in arguments.dropFirst() {
            guard case .constant(.string(let text)) = a.kind, let n = needle(text, ignoresCase: ignoresCase) else { return nil }
            out.append(n)
        }
        return out
    }

    /// The longest run of plain characters of a text; nil if there is none of use.
    static func needle(_ text: String, ignoresCase: Bool) -> Needle? {
        // Without case, other letters than ASCII's may stand for each other.
        if ignoresCase, !text.utf8.allSatisfy({ $0 < 0x80 }) { return nil }
        let runs = Array(text.utf8).split(whereSeparator: { !isPlain($0) })
        guard let longest = runs.max(by: { $0.count < $1.count }), longest.count >= 3,
            longest.contains(where: { $0 > 0x40 && $0 != 0x5F && $0 | 0x20 != 0x65 })
        else { return nil }
        return Needle(bytes: Array(longest), ignoresCase: ignoresCase)
    }

    private static func isPlain(_ c: UInt8) -> Bool {
        (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5A) || (c >= 0x61 && c <= 0x7A) || c == 0x5F
    }

    /// The records that have to be taken apart: those that may pass, and the last one, whose time others may take over.
    func candidates(_ chunk: Chunk) -> [RecordSlice] {
        var out: [RecordSlice] = []
        guard let base = chunk.data.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return out }
        for (i, r) in chunk.records.enumerated() {
            if i == chunk.records.count - 1 || mayPass(base + r.offset, r.length) {
                out.append(RecordSlice(r))
            }
        }
        return out
    }

    private func mayPass(_ record: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        for needle in alternatives {
            let found = needle.bytes.withUnsafeBufferPointer {
                vk_text_index(record, length, 0, $0.baseAddress, $0.count, needle.ignoresCase)
            }
            if found >= 0 { return true }
        }
        return memchr(record, 0x5C, length) != nil
    }
}
