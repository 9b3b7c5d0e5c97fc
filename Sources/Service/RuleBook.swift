import Columnar
import Detection
import Evaluation
import Glibc
import KQL
import Rules
import Tables

/// The rules of an installation: those that run, and those that are refused with the reasons.
public struct RuleBook: Sendable {
    public struct Entry: Sendable {
        public enum State: String, Sendable { case loaded, blind, refused, disabled }
        public let file: String
        public let name: String
        public let state: State
        public let rule: AnalyticsRule?
        public let program: RuleProgram?
        public let findings: [RuleFinding]
        let text: String

        /// The first error in one line; empty if there is none.
        public var firstError: String {
            findings.first { $0.severity == .error }.map { "\($0.file ?? file):\($0.line):\($0.column): \($0.code): \($0.message)" } ?? ""
        }

        /// Every finding from a severity on, each with an excerpt.
        public func rendered(notes: Bool) -> String {
            let own = SourceText(text)
            return findings.filter { notes || $0.severity != .note }.map { f in
                let (file, text) = (f.file ?? file, f.text ?? text)
                let lines = f.text.map { SourceText($0) } ?? own
                var out = "\(file):\(f.line):\(f.column): \(f.severity.rawValue)[\(f.code)]: \(f.message)"
                if f.line >= 1, f.line <= lines.lineCount, !text.isEmpty {
                    let source = lines.text(ofLine: f.line)
                    let gutter = String(f.line)
                    out += "\n \(gutter) | \(source)\n \(String(repeating: " ", count: gutter.count)) | "
                    out += String(source.prefix(max(0, f.column - 1)).map { $0 == "\t" ? "\t" : " " })
                    let last = f.end.map { $0.line == f.line ? $0.column : source.count + 1 } ?? 0
                    out += String(repeating: "^", count: max(1, min(last, source.count + 1) - f.column))
                }
                if let mend = f.mend { out += "\n   = help: \(mend)" }
                return out
            }.joined(separator: "\n")
        }
    }

    public let entries: [Entry]
    public let functions: FunctionRegistry
    public let catalog: WorkspaceCatalog

    public var programs: [RuleProgram] { entries.compactMap { $0.state == .loaded || $0.state == .blind ? $0.program : nil } }
    public var refused: [Entry] { entries.filter { $0.state == .refused } }
    /// Rules none of whose tables is fed.
    public var blind: [Entry] { entries.filter { $0.state == .blind } }
    /// Whether all that keeps rules from loading is that files cannot be read.
    public var isUnreadable: Bool { refused.allSatisfy { $0.findings.allSatisfy { $0.code == "VR0005" } } }

    /// Reads and compiles every rule of the paths. `cache` has what was compiled before.
    public static func load(_ paths: [String], catalog: WorkspaceCatalog, cache: RuleCache? = nil) throws -> RuleBook {
        // Without any other content the functions that are shipped are there all the same.
        let catalog = catalog.content == nil ? catalog.holding(WorkspaceStore(ContentSettings())) : catalog
        let functions = FunctionRegistry.standard
        let compiler = RuleCompiler(functions: functions, schemas: catalog)
        let shelf = cache?.shelf(paths, catalog)
        let (files, missing) = RuleLoader.files(paths)
        let read = Concurrently.map(files, stack: RuleCompiler.stackBytes + (1 << 20)) { file -> File in
            switch RuleLoader.text(file.path) {
            case .failure(let refusal): return File(path: file.path, documents: [compile(refusal.rule, compiler, catalog)])
            case .success(let text):
                guard let shelf else { return compile(text, file, compiler, catalog) }
                let key = RuleCache.Shelf.Key(Array(text.utf8), isNamed: file.isNamed)
                if let known = shelf.documents(key, file: file.path) {
                    return File(path: file.path, text: text, documents: known, key: key, isKnown: true)
                }
                var new = compile(text, file, compiler, catalog)
                new.key = key
                new.encoded = RuleCache.encode(new.documents)
                return new
            }
        }
        if let shelf {
            shelf.keep(
                read.compactMap { $0.isKnown ? $0.key : nil },
                new: read.compactMap { f in f.key.flatMap { key in f.encoded.map { (key, $0) } } })
            cache?.count(found: 0, compiled: read.count { !$0.isKnown })
        }
        let refused = missing.map { File(path: $0.file, text: $0.text, documents: [compile($0, compiler, catalog)]) }
        return RuleBook(entries: entries(of: refused + read, catalog), functions: functions, catalog: catalog)
    }

    /// One file, compiled.
    private struct File: Sendable {
        let path: String
        var text = ""
        let documents: [CompiledDocument]
        var key: RuleCache.Shelf.Key?
        /// Its documents were found in the cache.
        var isKnown = false
        /// Its documents as the cache keeps them.
        var encoded: [UInt8]?
    }

    private static func compile(
        _ text: String, _ file: RuleLoader.File, _ compiler: RuleCompiler, _ catalog: WorkspaceCatalog
    ) -> File {
        let loaded = RuleLoader.decode(text, file: file.path, explicit: file.isNamed)
        return File(path: file.path, text: text, documents: loaded.map { compile($0, compiler, catalog) })
    }

    private static func compile(_ loaded: LoadedRule, _ compiler: RuleCompiler, _ catalog: WorkspaceCatalog) -> CompiledDocument {
        guard let rule = loaded.rule else {
            // All errors of a rule are told at once, those of its query too.
            let query = loaded.draft.map { draft in shown(compiler.compile(draft).1, draft, catalog) } ?? []
            return CompiledDocument(name: loaded.name, rule: nil, program: nil, findings: inOrder(loaded.findings + query))
        }
        let (program, diagnostics) = compiler.compile(rule)
        return CompiledDocument(
            name: loaded.name, rule: rule, program: program, findings: inOrder(loaded.findings + shown(diagnostics, rule, catalog)))
    }

    private static func entries(of files: [File], _ catalog: WorkspaceCatalog) -> [Entry] {
        var ids: [String: String] = [:]
        var out: [Entry] = []
        for file in files {
            for d in file.documents {
                guard let rule = d.rule else {
                    out.append(
                        Entry(
                            file: file.path, name: d.name, state: .refused, rule: nil, program: nil, findings: d.findings, text: file.text))
                    continue
                }
                let id = rule.id.lowercased()
                if let other = ids[id] {
                    let twice = RuleLoader.alreadyUsed(rule, in: other, file: file.path, text: file.text)
                    out.append(
                        Entry(
                            file: file.path, name: twice.name, state: .refused, rule: nil, program: nil, findings: twice.findings,
                            text: file.text))
                    continue
                }
                ids[id] = file.path
                let state: Entry.State
                if d.program == nil {
                    state = .refused
                } else if !rule.isEnabled {
                    state = .disabled
                } else {
                    state = d.program?.tables.allSatisfy { catalog.table($0)?.isBlind ?? false } ?? false ? .blind : .loaded
                }
                out.append(
                    Entry(
                        file: file.path, name: rule.name, state: state, rule: rule, program: d.program, findings: d.findings,
                        text: file.text)
                )
            }
        }
        return out
    }

    /// As they stand in the file; where several stand at one place, as they were found.
    private static func inOrder(_ findings: [RuleFinding]) -> [RuleFinding] {
        findings.enumerated().sorted { ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset) }
            .map(\.element)
    }

    /// A query's diagnostics where they stand: in the rule's file, or in that of a saved function.
    private static func shown(_ diagnostics: [Diagnostic], _ rule: AnalyticsRule, _ catalog: WorkspaceCatalog) -> [RuleFinding] {
        guard let content = catalog.content else { return diagnostics.map { place($0, rule) } }
        return content.shown(diagnostics).map { d in
            guard let source = content.librarySource(of: d.range) else { return place(d, rule) }
            let local = source.local(d)
            let renderer = DiagnosticRenderer(source: source.text, file: source.file, origin: source.origin)
            let (start, end) = (renderer.position(at: local.range.lower), renderer.position(at: local.range.upper))
            return RuleFinding(
                d.severity, d.code, d.message, line: start.line, column: start.column, mend: d.mend, end: end, file: source.file,
                text: source.fileText)
        }
    }

    /// A query's diagnostic in the coordinates of the file that holds the query as a block.
    private static func place(_ d: Diagnostic, _ rule: AnalyticsRule) -> RuleFinding {
        let text = SourceText(rule.query)
        func inFile(_ offset: Int) -> SourceText.Position {
            let p = text.position(at: offset)
            return SourceText.Position(line: rule.queryLine + p.line - 1, column: rule.queryColumn + p.column - 1)
        }
        let start = inFile(d.range.lower)
        return RuleFinding(
            d.severity, d.code, d.message, line: start.line, column: start.column, mend: d.mend, end: inFile(d.range.upper))
    }

    /// Tells standard error which rules are refused and why.
    public func reportRefused() {
        for e in refused {
            let bytes = Array((e.rendered(notes: false) + "\n").utf8)
            _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
    }
}
