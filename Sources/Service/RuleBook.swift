import Columnar
import Detection
import Evaluation
import Glibc
import KQL
import Matcher
import Rules
import Tables

/// The rules of an installation: those that run, and those that are refused with the reasons.
public struct RuleBook: Sendable {
    public struct Entry: Sendable {
        public enum State: String, Sendable { case loaded, blind, refused, disabled }
        public let file: String
        public let state: State
        let document: CompiledDocument
        let text: String

        public var name: String { document.name }
        public var rule: AnalyticsRule? { document.rule }
        public var program: RuleProgram? { document.program }
        public var findings: [RuleFinding] { document.findings }

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
        // What is known is read by one thread: the objects of two would be counted back and forth between the cores.
        var read = shelf.map { unchanged(files, $0) } ?? Array(repeating: nil, count: files.count)
        let others = files.indices.filter { read[$0] == nil }
        let made = Concurrently.map(others, stack: RuleCompiler.stackBytes + (1 << 20)) { n -> File in
            let file = files[n]
            switch RuleLoader.content(file.path) {
            case .failure(let refusal): return File(path: file.path, documents: [compile(refusal.rule, compiler, catalog)])
            case .success(let content):
                let loaded = { RuleLoader.decode(content.text, file: file.path, explicit: file.isNamed) }
                let compiled = { File(path: file.path, text: content.text, documents: loaded().map { compile($0, compiler, catalog) }) }
                guard let shelf else { return compiled() }
                let key = RuleCache.Shelf.Key(digest: Digest128(Array(content.text.utf8)), isNamed: file.isNamed)
                let identity = SettledFile.identity(of: content)
                var parts = StoredParts()
                if let entry = shelf.entry(of: key), let known = shelf.documents(entry, file: file.path, parts: &parts) {
                    return File(
                        path: file.path, text: content.text, documents: known,
                        kept: .init(key: key, documents: .entry(entry), identity: identity))
                }
                var new = compiled()
                new.kept = RuleCache.encode(new.documents).map { .init(key: key, documents: .new($0), identity: identity) }
                return new
            }
        }
        for (n, file) in zip(others, made) { read[n] = file }
        let all = read.compactMap { $0 }
        if let shelf {
            shelf.keep(vouchedFor(all))
            cache?.count(found: 0, compiled: all.count { $0.kept?.entry == nil })
        }
        let refused = missing.map { File(path: $0.file, text: $0.text, documents: [compile($0, compiler, catalog)]) }
        return RuleBook(entries: entries(of: refused + all, catalog), functions: functions, catalog: catalog)
    }

    /// One file, compiled.
    private struct File: Sendable {
        let path: String
        /// Nil: it was not read.
        var text: String? = ""
        let documents: [CompiledDocument]
        /// What the cache is to keep of it.
        var kept: RuleCache.Shelf.Kept?
    }

    /// The files that are known and were not changed since; nil for the others.
    private static func unchanged(_ files: [RuleLoader.File], _ shelf: RuleCache.Shelf) -> [File?] {
        var parts = StoredParts()
        var next = 0
        return files.map { file in
            guard let entry = shelf.entry(of: file, next: &next), let documents = shelf.documents(entry, file: file.path, parts: &parts)
            else { return nil }
            let key = shelf.key(entry)
            var text: String?
            if documents.contains(where: { !$0.findings.isEmpty }) {
                // Findings quote the file.
                guard case .success(let found) = RuleLoader.text(file.path), Digest128(Array(found.utf8)) == key.digest else { return nil }
                text = found
            }
            return File(
                path: file.path, text: text, documents: documents,
                kept: .init(key: key, documents: .entry(entry), identity: file.identity))
        }
    }

    /// What the cache is to keep, with the identities of files on file systems that vouch for them.
    private static func vouchedFor(_ read: [File]) -> [RuleCache.Shelf.Kept] {
        var devices: [UInt64: Bool] = [:]
        return read.compactMap { file in
            guard var kept = file.kept else { return nil }
            // An unread file was vouched for before.
            if file.text != nil, let identity = kept.identity {
                let known = devices[identity.device] ?? SettledFile.isVouchedFor(file.path)
                devices[identity.device] = known
                if !known { kept.identity = nil }
            }
            return kept
        }
    }

    private static func compile(_ loaded: LoadedRule, _ compiler: RuleCompiler, _ catalog: WorkspaceCatalog) -> CompiledDocument {
        guard let rule = loaded.rule else {
            // All errors of a rule are told at once, those of its query too.
            let query = loaded.draft.map { draft in shown(compiler.compile(draft).1, draft, catalog) } ?? []
            return CompiledDocument(
                content: .refused(name: loaded.name, rule: nil), findings: inOrder(loaded.findings + query))
        }
        let (program, diagnostics) = compiler.compile(rule)
        return CompiledDocument(
            content: program.map { .program($0) } ?? .refused(name: loaded.name, rule: rule),
            findings: inOrder(loaded.findings + shown(diagnostics, rule, catalog)))
    }

    private static func entries(of files: [File], _ catalog: WorkspaceCatalog) -> [Entry] {
        // By the digest of a rule's id: the entry that has it.
        var ids: [Digest128: Int] = [:]
        ids.reserveCapacity(files.count)
        var blind: [Set<String>: Bool] = [:]
        var out: [Entry] = []
        out.reserveCapacity(files.count)
        for file in files {
            for d in file.documents {
                guard let id = d.identifier else {
                    out.append(Entry(file: file.path, state: .refused, document: d, text: file.text ?? ""))
                    continue
                }
                if let other = ids[id].map({ out[$0] }) {
                    if let rule = d.rule, other.rule?.id.lowercased() == rule.id.lowercased() {
                        let text = file.text ?? (try? RuleLoader.text(file.path).get()) ?? ""
                        let twice = RuleLoader.alreadyUsed(rule, in: other.file, file: file.path, text: text)
                        let document = CompiledDocument(content: .refused(name: twice.name, rule: nil), findings: twice.findings)
                        out.append(Entry(file: file.path, state: .refused, document: document, text: text))
                        continue
                    }
                } else {
                    ids[id] = out.count
                }
                let state: Entry.State
                switch d.content {
                case .refused: state = .refused
                case .program(let p) where !p.isEnabled: state = .disabled
                case .program(let p):
                    let known = blind[p.tables]
                    let isBlind = known ?? p.tables.allSatisfy { catalog.table($0)?.isBlind ?? false }
                    if known == nil { blind[p.tables] = isBlind }
                    state = isBlind ? .blind : .loaded
                }
                out.append(Entry(file: file.path, state: state, document: d, text: file.text ?? ""))
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
