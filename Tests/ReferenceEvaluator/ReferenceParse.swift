import Columnar
import KQL

/// `parse` with plain patterns: text pieces found one after the other, columns between them.
enum ReferenceParse {
    /// Whether the pattern matched, and the columns found by number.
    static func match(_ text: String, _ parse: BoundParse) throws -> (Bool, [Int: Value]) {
        guard case .simple = parse.mode else { throw ReferenceGap("parse kind") }
        let bytes = Array(text.utf8)
        var at = 0
        var found: [Int: Value] = [:]
        var open: (Int, ScalarType)?
        var isOpen = false
        func close(_ end: Int, _ from: Int) -> Bool {
            guard let (column, type) = open else { return true }
            let piece = String(decoding: bytes[from..<end], as: UTF8.self)
            guard type == .string else { return false }
            found[column] = .string(piece)
            return true
        }
        for segment in parse.segments {
            switch segment {
            case .star:
                open = nil
                isOpen = true
            case .column(let n, let type):
                guard type == .string else { throw ReferenceGap("parse to \(type)") }
                open = (n, type)
                isOpen = true
            case .text(let t):
                let needle = Array(t.utf8)
                let last = bytes.count - needle.count
                var place: Int?
                if last >= at {
                    for i in isOpen ? Array(at...last) : [at] where Array(bytes[i..<(i + needle.count)]) == needle {
                        place = i
                        break
                    }
                }
                guard let place else { return (false, [:]) }
                guard close(place, at) else { return (false, [:]) }
                at = place + needle.count
                open = nil
                isOpen = false
            }
        }
        if isOpen { _ = close(bytes.count, at) }
        return (true, found)
    }
}
