/// Lines and columns of a text. Columns count characters (grapheme clusters), from 1, as editors show them.
public struct SourceText: Sendable {
    /// A place as people name it: the first line and the first character are 1.
    public struct Position: Sendable, Hashable {
        public var line: Int
        public var column: Int
        public init(line: Int, column: Int) {
            self.line = line
            self.column = column
        }
    }

    private let bytes: [UInt8]
    /// Offsets where lines start.
    private let starts: [Int]

    public init(_ text: String) {
        bytes = Array(text.utf8)
        var starts = [0]
        for (i, c) in bytes.enumerated() {
            // CR LF is one line end; a lone CR is one as well.
            if c == 0x0A || (c == 0x0D && !(i + 1 < bytes.count && bytes[i + 1] == 0x0A)) { starts.append(i + 1) }
        }
        self.starts = starts
    }

    public var lineCount: Int { starts.count }

    /// The line that holds a UTF-8 offset, from 1; offsets outside the text are clamped.
    public func line(at offset: Int) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// Line and column of a UTF-8 offset, clamped to the text.
    public func position(at offset: Int) -> Position {
        let offset = min(max(0, offset), bytes.count)
        let line = line(at: offset)
        return Position(line: line, column: String(decoding: bytes[starts[line - 1]..<offset], as: UTF8.self).count + 1)
    }

    /// A line's text without its end; empty outside the text.
    public func text(ofLine line: Int) -> String {
        guard line >= 1, line <= starts.count else { return "" }
        var end = line < starts.count ? starts[line] : bytes.count
        let start = starts[line - 1]
        while end > start, bytes[end - 1] == 0x0A || bytes[end - 1] == 0x0D { end -= 1 }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    /// Offset of a line's start; the end of the text for lines beyond it.
    public func start(ofLine line: Int) -> Int { line <= starts.count ? starts[max(1, line) - 1] : bytes.count }
}
