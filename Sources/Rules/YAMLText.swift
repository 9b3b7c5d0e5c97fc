import Yams

/// What keeps a text from being read as YAML.
struct YAMLProblem: Error {
    let message: String
    let line: Int
    let column: Int
    var mend: String?
}

/// Documents of a YAML text, with what could harm the reader kept away from it: aliases, which let a few lines stand for more values than
/// memory holds, and deep nesting, which the reader follows on its stack.
enum YAMLText {
    /// Levels of lists and maps.
    static let maximumDepth = 100

    static func documents(_ text: String) throws(YAMLProblem) -> [Node] {
        var guardian = YAMLGuard(text)
        if let problem = guardian.run() { throw problem }
        var nodes: [Node] = []
        do {
            // Scalars are read as text, so their types need not be guessed: that is a regular expression a scalar.
            let parser = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8)
            while let node = try parser.nextRoot() { nodes.append(node) }
        } catch let e as YamlError {
            throw problem(e)
        } catch {
            throw YAMLProblem(message: "\(error)", line: 1, column: 1)
        }
        return nodes
    }

    private static func problem(_ e: YamlError) -> YAMLProblem {
        switch e {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _), .composer(_, let text, let mark, _):
            YAMLProblem(message: text, line: max(1, mark.line), column: max(1, mark.column))
        case .duplicatedKeysInMapping(let keys, let context):
            YAMLProblem(
                message: "the field \(keys.map { "`\($0)`" }.joined(separator: ", ")) stands twice", line: max(1, context.mark.line),
                column: max(1, context.mark.column))
        case .reader(let text, _, _, _): YAMLProblem(message: text, line: 1, column: 1)
        default: YAMLProblem(message: "\(e)", line: 1, column: 1)
        }
    }
}

/// Follows YAML just far enough to tell values from text: quotes, comments, blocks, indentation and brackets.
private struct YAMLGuard {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var lineStart = 0
    /// The quote that is open: `"`, `'` or 0.
    private var quote: UInt8 = 0
    private var brackets = 0
    /// A value may begin here.
    private var atValue = true
    /// Columns of the lists and maps that are open outside brackets.
    private var indents: [Int] = []
    /// A plain text that lines with more indentation than this continue; nil if the last line did not end in one.
    private var plainIndent: Int?
    /// Lines with more indentation than this belong to a `|` or `>` block.
    private var blockIndent: Int?

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func run() -> YAMLProblem? {
        while position < bytes.count {
            lineStart = position
            if let problem = oneLine() { return problem }
            while position < bytes.count, bytes[position] != 0x0A { position += 1 }
            position += 1
            line += 1
        }
        return nil
    }

    private func byte(_ at: Int) -> UInt8 { at < bytes.count && bytes[at] != 0x0D ? bytes[at] : 0x0A }
    private var here: UInt8 { byte(position) }
    private func isBlank(_ at: Int) -> Bool { byte(at) == 0x20 || byte(at) == 0x09 || byte(at) == 0x0A }
    private var column: Int { position - lineStart }

    private mutating func oneLine() -> YAMLProblem? {
        if quote == 0, here == 0x2D, byte(position + 1) == 0x2D, byte(position + 2) == 0x2D, isBlank(position + 3) {
            // A new document.
            position += 3
            (brackets, atValue, indents, plainIndent, blockIndent) = (0, true, [], nil, nil)
            return rest()
        }
        while here == 0x20 { position += 1 }
        let isEmpty = here == 0x0A
        if let block = blockIndent {
            if isEmpty || column > block { return nil }
            blockIndent = nil
        }
        if isEmpty { return nil }
        if quote == 0, brackets == 0 {
            let continues = plainIndent.map { column > $0 } ?? false
            atValue = !continues
            plainIndent = continues ? plainIndent : nil
            if !continues, let problem = open(column) { return problem }
        }
        return rest()
    }

    /// A list or map whose items stand at a column: it lies within those further left.
    private mutating func open(_ column: Int) -> YAMLProblem? {
        while let last = indents.last, last >= column { indents.removeLast() }
        indents.append(column)
        return deep()
    }

    private func deep() -> YAMLProblem? {
        guard indents.count + brackets > YAMLText.maximumDepth else { return nil }
        return YAMLProblem(message: "values are nested deeper than \(YAMLText.maximumDepth) levels", line: line, column: column + 1)
    }

    /// From the position to the end of the line.
    private mutating func rest() -> YAMLProblem? {
        while here != 0x0A {
            let c = here
            if quote != 0 {
                inQuote(c)
                continue
            }
            switch c {
            case 0x20, 0x09: position += 1
            case 0x23 where column == 0 || isBlank(position - 1): return nil
            case 0x5B where atValue, 0x7B where atValue:
                brackets += 1
                position += 1
                if let problem = deep() { return problem }
            case 0x5B, 0x7B: plain()
            case 0x5D where brackets > 0, 0x7D where brackets > 0:
                brackets -= 1
                position += 1
                atValue = false
            case 0x2C where brackets > 0:
                position += 1
                atValue = true
            case 0x3A where isBlank(position + 1) || (brackets > 0 && !atValue):
                position += 1
                atValue = true
                plainIndent = nil
            default:
                guard atValue else {
                    plain()
                    continue
                }
                if let problem = value(c) { return problem }
                if blockIndent != nil { return nil }
            }
        }
        return nil
    }

    private mutating func inQuote(_ c: UInt8) {
        position += 1
        if c == 0x5C, quote == 0x22, here != 0x0A {
            position += 1
        } else if c == quote {
            if quote == 0x27, here == 0x27 { position += 1 } else { quote = 0 }
        }
    }

    /// What begins where a value may.
    private mutating func value(_ c: UInt8) -> YAMLProblem? {
        switch c {
        case 0x22, 0x27:
            quote = c
            atValue = false
            position += 1
        case 0x2A where !isBlank(position + 1):
            return YAMLProblem(message: "YAML aliases are not read", line: line, column: column + 1, mend: "write the value out")
        case 0x26, 0x21:  // An anchor or a tag: the value comes after it.
            while !isBlank(position), !(brackets > 0 && (here == 0x2C || here == 0x5D || here == 0x7D)) { position += 1 }
        case _ where (c == 0x2D || c == 0x3F) && isBlank(position + 1) && brackets == 0:
            position += 1
            while here == 0x20 { position += 1 }
            return here == 0x0A ? nil : open(column)
        case 0x7C where brackets == 0, 0x3E where brackets == 0: blockIndent = indents.last ?? -1
        default: plain()
        }
        return nil
    }

    /// Text without quotes, up to what ends it on this line.
    private mutating func plain() {
        atValue = false
        if brackets == 0 { plainIndent = indents.last ?? 0 }
        while here != 0x0A {
            let c = here
            if c == 0x3A, isBlank(position + 1) { return }
            if c == 0x23, column > 0, isBlank(position - 1) { return }
            if brackets > 0, c == 0x2C || c == 0x5D || c == 0x7D || c == 0x5B || c == 0x7B { break }
            position += 1
        }
        // A bracket inside a plain text of a flow list: read it as its opening.
        if brackets > 0, here == 0x5B || here == 0x7B { atValue = true }
    }
}
