/// Prints findings for people: place, message, the line with a marker under it, and how to mend it.
///
///     rules/a.yaml:14:20: error[VK0012]: `projct` is not an operator
///        14 |   | projct A, B
///           |     ^^^^^^
///           = help: did you mean `project`?
public struct DiagnosticRenderer: Sendable {
    /// Where the query begins in the file that holds it.
    ///
    /// In a YAML block scalar each line of the query stands on one line of the file, with `indent` blanks before it.
    public struct Origin: Sendable, Hashable {
        /// Line of the file on which the query's first line stands, from 1.
        public var line: Int
        /// Characters before the query's text on its first line.
        public var firstColumn: Int
        /// Characters before the query's text on its other lines.
        public var indent: Int
        public init(line: Int = 1, firstColumn: Int = 0, indent: Int = 0) {
            self.line = line
            self.firstColumn = firstColumn
            self.indent = indent
        }
    }

    public let file: String?
    public let origin: Origin
    private let text: SourceText

    /// - Parameters:
    ///   - source: the query's own text, to which diagnostics' ranges refer.
    ///   - file: a name to print before the place; nil for `query`.
    ///   - origin: where the text begins in the file.
    public init(source: String, file: String? = nil, origin: Origin = Origin()) {
        text = SourceText(source)
        self.file = file
        self.origin = origin
    }

    /// Line and column in the file of a UTF-8 offset into the query.
    public func position(at offset: Int) -> SourceText.Position {
        var p = text.position(at: offset)
        p.column += p.line == 1 ? origin.firstColumn : origin.indent
        p.line += origin.line - 1
        return p
    }

    /// One finding, several lines, without a final line break.
    public func render(_ diagnostic: Diagnostic) -> String {
        let place = position(at: diagnostic.range.lower)
        var out =
            "\(file ?? "query"):\(place.line):\(place.column): \(diagnostic.severity.rawValue)[\(diagnostic.code)]: \(diagnostic.message)"
        let line = text.line(at: diagnostic.range.lower)
        let content = text.text(ofLine: line)
        let number = String(place.line)
        let gutter = String(repeating: " ", count: max(0, 5 - number.count))
        let empty = String(repeating: " ", count: max(5, number.count))
        let (shown, lead, width) = excerpt(content, diagnostic.range, line)
        out += "\n\(gutter)\(number) | \(shown)\n\(empty) | \(lead)\(String(repeating: "^", count: width))"
        if let mend = diagnostic.mend { out += "\n\(empty) = help: \(mend)" }
        return out
    }

    /// All findings, one after the other with an empty line between, in order of place.
    public func render(_ diagnostics: [Diagnostic]) -> String {
        diagnostics.sorted { $0.range.lower < $1.range.lower }.map(render).joined(separator: "\n\n")
    }

    /// The line as printed (long ones cut around the marker), the blanks before the marker, and its width.
    private func excerpt(_ content: String, _ range: SourceRange, _ line: Int) -> (String, String, Int) {
        let start = text.position(at: range.lower).column - 1
        let end = text.position(at: range.upper)
        let characters = content.map { $0 == "\t" ? " " : $0 }
        let last = end.line == line ? end.column - 1 : characters.count
        let limit = 120
        let from = start > limit - 30 ? start - (limit - 40) : 0
        let to = min(characters.count, from + limit)
        let width = max(1, min(last, to) - start)
        let prefix = from > 0 ? "…" : ""
        let suffix = to < characters.count ? "…" : ""
        let lead = String(repeating: " ", count: start - from + prefix.count)
        return (prefix + String(characters[min(from, to)..<to]) + suffix, lead, width)
    }
}

/// Names near to a misspelt one.
public enum Suggestions {
    /// The candidate that `name` was probably meant to be: equal but for case, or at most a third of its letters away (counting a swap
    /// of neighbours as one change). Of equally near ones, the first in alphabetical order. Nil if none is near.
    public static func nearest(_ name: String, in candidates: [String]) -> String? {
        let wanted = Array(name.lowercased().utf8.prefix(80))
        guard !wanted.isEmpty else { return nil }
        let most = max(1, wanted.count / 3)
        var best: (distance: Int, name: String)?
        for candidate in candidates {
            let bound = best?.distance ?? most
            let other = Array(candidate.lowercased().utf8.prefix(81))
            guard abs(other.count - wanted.count) <= bound else { continue }
            let d = distance(wanted, other)
            guard d <= most else { continue }
            if let b = best, (b.distance, b.name) <= (d, candidate) { continue }
            best = (d, candidate)
        }
        return best?.name
    }

    /// Changes, insertions, removals and swaps of neighbours that turn one into the other (optimal string alignment).
    static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i]
            row.reserveCapacity(b.count + 1)
            for j in 1...b.count {
                let same = a[i - 1] == b[j - 1]
                var d = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { d = min(d, beforeLast[j - 2] + 1) }
                row.append(d)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
