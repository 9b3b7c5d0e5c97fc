import Columnar
import Glibc
import KQL
import Yams

/// Saved functions: those that are shipped, and those of the files that the configuration names.
///
/// A file holds one function: YAML in the saved-function or ASIM parser form, or KQL with a `// name(parameters)` line at its top or as
/// `.create function name(parameters) { body }`. A function of a file replaces a shipped one of its name.
public struct FunctionLibrary: Sendable {
    /// Larger files are refused.
    public static let maximumFileBytes = 1 << 20

    private var functions: [String: SavedFunction] = [:]
    private var broken: [String: String] = [:]
    private var sources: [LibrarySource] = []
    /// Names given by files, by file: a name given twice is refused.
    private var owners: [String: String] = [:]
    /// What is wrong with the files, with the file's text for excerpts.
    public private(set) var findings: [RuleFinding] = []

    /// Name and text of every file that was read, in order: libraries of one program with equal texts are equal.
    public private(set) var texts: [String] = []

    public init() {}

    /// The shipped functions, read once.
    public static let builtIn: FunctionLibrary = {
        var library = FunctionLibrary()
        for text in BuiltInParsers.texts { library.addKQL(text, file: "built-in", isBuiltIn: true) }
        library.owners = [:]
        return library
    }()

    public func function(_ name: String) -> SavedFunction? { functions[name] }
    public func brokenReason(_ name: String) -> String? { broken[name] }
    public var names: [String] { functions.keys.sorted() }
    public var all: [SavedFunction] { functions.values.sorted { $0.name < $1.name } }

    public func source(of range: SourceRange) -> LibrarySource? {
        guard range.lower >= LibrarySource.firstBase else { return nil }
        let index = (range.lower - LibrarySource.firstBase) / LibrarySource.span
        return sources.indices.contains(index) ? sources[index] : nil
    }

    /// Reads every function file of the paths (files; folders are searched for `*.yaml`, `*.yml`, `*.kql`, `*.csl`), sorted by path.
    public mutating func load(_ paths: [String]) {
        for path in paths {
            let (files, problem) = ContentFiles.list(path, endings: [".yaml", ".yml", ".kql", ".csl"])
            if let problem { report("VR0101", "the functions cannot be read: \(problem)", file: path) }
            for file in files { addFile(file) }
        }
    }

    private mutating func addFile(_ path: String) {
        let text: String
        switch ContentFiles.read(path, limit: FunctionLibrary.maximumFileBytes) {
        case .success(let t): text = t
        case .failure(let refusal): return report("VR0101", "the function cannot be read: \(refusal.message)", file: path)
        }
        texts += [path, text]
        if path.hasSuffix(".kql") || path.hasSuffix(".csl") { addKQL(text, file: path) } else { addYAML(text, file: path) }
    }

    private mutating func report(
        _ code: String, _ message: String, file: String, line: Int = 1, column: Int = 1, mend: String? = nil, text: String = ""
    ) {
        findings.append(RuleFinding(.error, code, message, line: line, column: column, mend: mend, file: file, text: text))
    }

    // MARK: KQL files

    /// Adds the function of a KQL text.
    public mutating func addKQL(_ text: String, file: String, isBuiltIn: Bool = false) {
        let stem = file.split(separator: "/").last.map(String.init) ?? file
        let base = newBase
        let form = KQLFunctionForm(text, fallback: stem.lastIndex(of: ".").map { String(stem[..<$0]) } ?? stem)
        let source = LibrarySource(
            file: isBuiltIn ? "built-in function \(form.name)" : file, text: text, base: base, isBuiltIn: isBuiltIn)
        sources.append(source)
        let (body, bodyFindings) = SavedFunction.body(form.body.text, base: base + form.body.offset)
        let (parameters, parameterFindings) = form.parameters.map { SavedFunction.parameters($0.text, base: base + $0.offset) } ?? ([], [])
        add([form.name], parameters, body, source, form.summary, parameterFindings + bodyFindings, fileText: text)
    }

    // MARK: YAML files

    private mutating func addYAML(_ text: String, file: String) {
        let nodes: [Node]
        do { nodes = try YAMLText.documents(text) } catch {
            return report(
                "VR0101", "not YAML: \(error.message)", file: file, line: error.line, column: error.column, mend: error.mend, text: text)
        }
        for node in nodes {
            guard let map = node.mapping else { continue }
            var fields: [String: Node] = [:]
            for (k, v) in map { fields[k.string?.lowercased() ?? ""] = v }
            // The REST form keeps everything below `properties`.
            if let inner = fields["properties"]?.mapping { for (k, v) in inner { fields[k.string?.lowercased() ?? ""] = v } }
            guard let body = ["functionquery", "parserquery", "query"].lazy.compactMap({ fields[$0] }).first, let query = body.string else {
                report("VR0102", "there is no `FunctionQuery` or `ParserQuery`: this is no function", file: file, text: text)
                continue
            }
            let named = ["functionalias", "functionname", "parsername", "equivalentbuiltinparser"].compactMap { fields[$0]?.string }
            let names = named.map { $0.trimmed }.filter { !$0.isEmpty }
            guard !names.isEmpty else {
                report("VR0102", "the function has no name: `FunctionName` or `FunctionAlias` is missing", file: file, text: text)
                continue
            }
            var unique: [String] = []
            for n in names where !unique.contains(n) { unique.append(n) }
            let place = FunctionLibrary.place(of: body, in: text)
            let source = LibrarySource(
                file: file, text: query, base: newBase,
                origin: .init(line: place.line, firstColumn: place.column - 1, indent: place.column - 1), fileText: text)
            sources.append(source)
            let (parsed, bodyFindings) = SavedFunction.body(query, base: source.base)
            var parameters: [Parameter] = []
            var parameterFindings: [Diagnostic] = []
            if let list = parameterText(fields) {
                let mark = list.node.mark
                let own = LibrarySource(
                    file: file, text: list.text, base: newBase, origin: .init(line: mark?.line ?? 1, firstColumn: (mark?.column ?? 1) - 1),
                    fileText: text)
                sources.append(own)
                (parameters, parameterFindings) = SavedFunction.parameters(list.text, base: own.base)
            }
            let summary = fields["description"]?.string?.split(separator: "\n").first.map(String.init) ?? ""
            add(unique, parameters, parsed, source, summary.trimmed, parameterFindings + bodyFindings, fileText: text)
        }
    }

    /// The parameters of a YAML form as KQL writes them.
    private func parameterText(_ fields: [String: Node]) -> (text: String, node: Node)? {
        if let node = fields["functionparameters"], let s = node.string {
            let inner = s.trimmed
            return inner.isEmpty ? nil : (inner.hasPrefix("(") && inner.hasSuffix(")") ? inner : "(\(inner))", node)
        }
        guard let node = fields["parserparams"] ?? fields["functionparams"] ?? fields["functionparameters"], let list = node.sequence,
            !list.isEmpty
        else { return nil }
        let items = list.map { item -> String in
            var m: [String: Node] = [:]
            for (k, v) in item.mapping ?? [:] { m[k.string?.lowercased() ?? ""] = v }
            let type = m["type"]?.string?.trimmed ?? "dynamic"
            var out = "\(m["name"]?.string?.trimmed ?? ""):\(type.lowercased().hasPrefix("table") ? String(type.dropFirst(5)) : type)"
            if let d = m["default"]?.string {
                let t = d.trimmed
                let isQuoted = t.count >= 2 && (t.hasPrefix("'") && t.hasSuffix("'") || t.hasPrefix("\"") && t.hasSuffix("\""))
                if type.lowercased() == "string", !isQuoted {
                    out += "='" + t.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
                } else {
                    out += "=" + t
                }
            }
            return out
        }
        return ("(" + items.joined(separator: ", ") + ")", node)
    }

    /// Where the first character of a text value stands in the file.
    private static func place(of node: Node, in text: String) -> SourceText.Position {
        guard case .scalar(let s) = node, let mark = s.mark else { return .init(line: 1, column: 1) }
        guard s.style == .literal || s.style == .folded else {
            return .init(line: mark.line, column: mark.column + (s.style == .singleQuoted || s.style == .doubleQuoted ? 1 : 0))
        }
        let lines = SourceText(text)
        var line = mark.line + 1
        while line <= lines.lineCount {
            let content = lines.text(ofLine: line)
            let indent = content.prefix { $0 == " " }.count
            // Blank lines before it belong to the text.
            if indent < content.count { return .init(line: mark.line + 1, column: indent + 1) }
            line += 1
        }
        return .init(line: mark.line, column: mark.column)
    }

    // MARK: Entering

    private var newBase: Int { LibrarySource.firstBase + sources.count * LibrarySource.span }

    private mutating func add(
        _ names: [String], _ parameters: [Parameter], _ body: FunctionBody?, _ source: LibrarySource, _ summary: String,
        _ problems: [Diagnostic], fileText: String
    ) {
        for d in problems {
            guard let of = self.source(of: d.range) else { continue }
            let local = of.local(d)
            let renderer = DiagnosticRenderer(source: of.text, file: of.file, origin: of.origin)
            let (start, end) = (renderer.position(at: local.range.lower), renderer.position(at: local.range.upper))
            findings.append(
                RuleFinding(
                    d.severity, d.code, d.message, line: start.line, column: start.column, mend: d.mend, end: end, file: of.file,
                    text: fileText))
        }
        let error = problems.first { $0.severity == .error }
        for name in names {
            guard let first = name.unicodeScalars.first, first.properties.isAlphabetic || first == "_",
                name.utf8.allSatisfy({ FunctionLibrary.isNameByte($0) })
            else {
                report(
                    "VR0102", "`\(name)` is no function name", file: source.file, mend: "use letters, digits and underscores",
                    text: fileText)
                continue
            }
            if let other = owners[name] {
                report(
                    "VR0103", "a function `\(name)` is already saved in \(other)", file: source.file, mend: "rename one of them",
                    text: fileText)
                continue
            }
            owners[name] = source.file
            if let error {
                functions[name] = nil
                broken[name] = "\(source.file): \(error.message)"
            } else if let body {
                broken[name] = nil
                functions[name] = SavedFunction(name: name, parameters: parameters, body: body, source: source, summary: summary)
            }
        }
    }

    static func isNameByte(_ b: UInt8) -> Bool {
        (0x30...0x39).contains(b) || (0x41...0x5A).contains(b) || (0x61...0x7A).contains(b) || b == 0x5F || b >= 0x80
    }
}

/// The parts of a KQL text that is one function, with their offsets.
struct KQLFunctionForm {
    struct Part {
        var text: String
        var offset: Int
    }
    var name: String
    var parameters: Part?
    var body: Part
    var summary = ""

    /// `fallback`: the name of a text that gives none.
    init(_ text: String, fallback: String) {
        name = fallback
        body = Part(text: text, offset: 0)
        let bytes = Array(text.utf8)
        var at = 0
        // Comments at the top: `// name(parameters)` first, what it gives in the next.
        var isFirst = true
        while at < bytes.count {
            while at < bytes.count, bytes[at] <= 0x20 { at += 1 }
            guard at + 1 < bytes.count, bytes[at] == 0x2F, bytes[at + 1] == 0x2F else { break }
            var end = at
            while end < bytes.count, bytes[end] != 0x0A { end += 1 }
            var start = at + 2
            while start < end, bytes[start] == 0x20 || bytes[start] == 0x2F { start += 1 }
            let line = String(decoding: bytes[start..<end], as: UTF8.self).trimmed
            if isFirst, let found = KQLFunctionForm.header(bytes, start, end) {
                name = found.name
                parameters = found.parameters
            } else if summary.isEmpty {
                summary = line
            }
            isFirst = false
            at = end
        }
        guard at < bytes.count, bytes[at] == 0x2E else { return }
        // .create-or-alter function [ifnotexists] [with (...)] Name(parameters) { body }
        guard let word = KQLFunctionForm.find("function", bytes, at) else { return }
        var p = word
        func blanks() { while p < bytes.count, bytes[p] <= 0x20 { p += 1 } }
        blanks()
        while true {
            let start = p
            while p < bytes.count, FunctionLibrary.isNameByte(bytes[p]) { p += 1 }
            let found = String(decoding: bytes[start..<p], as: UTF8.self)
            blanks()
            if found.lowercased() == "ifnotexists" { continue }
            if found.lowercased() == "with", p < bytes.count, bytes[p] == 0x28 {
                guard let close = KQLFunctionForm.close(bytes, p) else { return }
                p = close + 1
                blanks()
                continue
            }
            guard !found.isEmpty, p < bytes.count, bytes[p] == 0x28, let close = KQLFunctionForm.close(bytes, p) else { return }
            name = found
            parameters = Part(text: String(decoding: bytes[p...close], as: UTF8.self), offset: p)
            p = close + 1
            blanks()
            guard p < bytes.count, bytes[p] == 0x7B, let last = bytes.lastIndex(of: 0x7D), last > p else { return }
            body = Part(text: String(decoding: bytes[(p + 1)..<last], as: UTF8.self), offset: p + 1)
            return
        }
    }

    /// `name(parameters)` between two offsets.
    private static func header(_ bytes: [UInt8], _ start: Int, _ end: Int) -> (name: String, parameters: Part)? {
        var p = start
        while p < end, FunctionLibrary.isNameByte(bytes[p]) { p += 1 }
        guard p > start, p < end, bytes[p] == 0x28, let last = close(bytes, p), last < end else { return nil }
        guard bytes[(last + 1)..<end].allSatisfy({ $0 <= 0x20 }) else { return nil }
        return (
            String(decoding: bytes[start..<p], as: UTF8.self), Part(text: String(decoding: bytes[p...last], as: UTF8.self), offset: p)
        )
    }

    /// The offset behind a word that follows blanks or letters of a command; nil if the line has none.
    private static func find(_ word: String, _ bytes: [UInt8], _ from: Int) -> Int? {
        let w = Array(word.utf8)
        var p = from
        while p + w.count <= bytes.count, bytes[p] != 0x28, bytes[p] != 0x7B {
            if Array(bytes[p..<(p + w.count)]) == w { return p + w.count }
            p += 1
        }
        return nil
    }

    /// The parenthesis that closes the one at an offset; quoted text is stepped over.
    private static func close(_ bytes: [UInt8], _ open: Int) -> Int? {
        var depth = 0
        var p = open
        while p < bytes.count {
            switch bytes[p] {
            case 0x28: depth += 1
            case 0x29:
                depth -= 1
                if depth == 0 { return p }
            case 0x22, 0x27:
                let quote = bytes[p]
                p += 1
                while p < bytes.count, bytes[p] != quote { p += bytes[p] == 0x5C ? 2 : 1 }
            default: break
            }
            p += 1
        }
        return nil
    }
}

extension StringProtocol {
    /// Without blanks and line ends around it.
    var trimmed: String {
        let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0.isNewline }
        guard let first = firstIndex(where: { !blank($0) }), let last = lastIndex(where: { !blank($0) }) else { return "" }
        return String(self[first...last])
    }
}
