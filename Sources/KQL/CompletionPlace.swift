/// What may stand at the end of an unfinished query: for completion while it is typed.
public struct CompletionPlace: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Behind a pipe: an operator's name.
        case tabularOperator
        /// A table, a let name or a function that gives rows.
        case source
        /// A value: columns, let names, functions.
        case value
        /// A form of `render`.
        case chart
    }

    public let kind: Kind
    /// The statements before and the pipeline up to the last pipe: a query whose columns are those that may be named here. Nil where no
    /// pipeline was begun.
    public let query: String?
    /// Names that `let` statements before declare, in order.
    public let letNames: [String]
    /// Names that stand left of a `=` before: columns made, should the query not be readable.
    public let assigned: [String]

    /// - Parameter text: everything before the word that is completed, of all lines.
    public init(_ text: String) {
        let bytes = Array(text.utf8)
        let frames = CompletionPlace.frames(bytes)
        func string(_ from: Int, _ to: Int) -> String { String(decoding: bytes[min(from, to)..<to], as: UTF8.self) }
        let statement = frames.first?.start ?? 0
        let before = string(0, statement)
        letNames = CompletionPlace.names(before, behind: "let")
        assigned = CompletionPlace.assigned(text)
        guard let at = frames.lastIndex(where: { $0.pipe != nil }), let pipe = frames[at].pipe else {
            query = nil
            kind = .source
            return
        }
        var pipeline = string(frames[at].start, pipe)
        if at == 0, let body = CompletionPlace.letBody(pipeline) { pipeline = body }
        query = before + pipeline
        let tail = CompletionPlace.words(string(pipe + 1, bytes.count))
        guard let first = tail.first else {
            kind = .tabularOperator
            return
        }
        let opensBracket = bytes.last { $0 != 0x20 && $0 != 0x0A && $0 != 0x09 && $0 != 0x0D } == 0x28
        let takesRows = ["join", "lookup", "union", "search", "find"].contains(first) && !tail.contains("on") && !tail.contains("where")
        if first == "render" {
            kind = tail.count == 1 ? .chart : .value
        } else if first == "union" || (opensBracket && (takesRows || ["in", "toscalar", "materialize"].contains(tail.last ?? ""))) {
            kind = .source
        } else {
            kind = .value
        }
    }

    private struct Frame {
        /// Where its text begins.
        var start: Int
        /// The last pipe in it.
        var pipe: Int?
    }

    /// The statement that is open at the end, and the brackets open in it, outermost first. Texts and comments are passed over.
    private static func frames(_ b: [UInt8]) -> [Frame] {
        var frames = [Frame(start: 0)]
        var i = 0
        while i < b.count {
            switch b[i] {
            case 0x22, 0x27:
                let isVerbatim = i > 0 && b[i - 1] == 0x40
                let quote = b[i]
                i += 1
                while i < b.count, b[i] != quote {
                    if b[i] == 0x5C, !isVerbatim { i += 1 }
                    i += 1
                }
            case 0x2F where i + 1 < b.count && b[i + 1] == 0x2F:
                while i < b.count, b[i] != 0x0A { i += 1 }
            case 0x28, 0x5B, 0x7B: frames.append(Frame(start: i + 1))
            case 0x29, 0x5D, 0x7D: if frames.count > 1 { frames.removeLast() }
            case 0x3B:
                // Inside a function's body a statement ends as well.
                frames[frames.count - 1] = Frame(start: i + 1)
            case 0x7C: frames[frames.count - 1].pipe = i
            default: break
            }
            i += 1
        }
        return frames
    }

    private static func words(_ text: String) -> [String] {
        text.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" || $0 == "$") }.map(String.init)
    }

    /// What stands behind `let name =`; nil for anything else.
    private static func letBody(_ statement: String) -> String? {
        guard words(statement).first == "let", let equals = statement.firstIndex(of: "=") else { return nil }
        return String(statement[statement.index(after: equals)...])
    }

    private static func names(_ text: String, behind keyword: String) -> [String] {
        let all = words(text)
        return zip(all, all.dropFirst()).filter { $0.0 == keyword }.map(\.1)
    }

    private static func assigned(_ text: String) -> [String] {
        let characters = Array(text)
        var out: [String] = []
        for (i, c) in characters.enumerated() where c == "=" {
            let next = i + 1 < characters.count ? characters[i + 1] : " "
            guard next != "=", next != "~", next != ">", i > 0, !"=!<>".contains(characters[i - 1]) else { continue }
            var end = i
            while end > 0, characters[end - 1].isWhitespace { end -= 1 }
            var start = end
            while start > 0, characters[start - 1].isLetter || characters[start - 1].isNumber || characters[start - 1] == "_" { start -= 1 }
            let name = String(characters[start..<end])
            if !name.isEmpty, !out.contains(name) { out.append(name) }
        }
        return out
    }
}
