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

    /// Reads and compiles every rule of the paths.
    public static func load(_ paths: [String], catalog: WorkspaceCatalog) throws -> RuleBook {
        // Without any other content the functions that are shipped are there all the same.
        let catalog = catalog.content == nil ? catalog.holding(WorkspaceStore(ContentSettings())) : catalog
        let functions = FunctionRegistry.standard
        let compiler = RuleCompiler(functions: functions, schemas: catalog)
        let entries = Concurrently.map(RuleLoader.load(paths), stack: RuleCompiler.stackBytes + (1 << 20)) { loaded -> Entry in
            guard let rule = loaded.rule else {
                // All errors of a rule are told at once, those of its query too.
                let query = loaded.draft.map { draft in shown(compiler.compile(draft).1, draft, catalog) } ?? []
                return Entry(
                    file: loaded.file, name: loaded.name, state: .refused, rule: nil, program: nil,
                    findings: inOrder(loaded.findings + query), text: loaded.text)
            }
            let (program, diagnostics) = compiler.compile(rule)
            let findings = inOrder(loaded.findings + shown(diagnostics, rule, catalog))
            let state: Entry.State
            if program == nil {
                state = .refused
            } else if !rule.isEnabled {
                state = .disabled
            } else {
                state = program?.tables.allSatisfy { catalog.table($0)?.isBlind ?? false } ?? false ? .blind : .loaded
            }
            return Entry(
                file: loaded.file, name: rule.name, state: state, rule: rule, program: program, findings: findings, text: loaded.text)
        }
        return RuleBook(entries: entries, functions: functions, catalog: catalog)
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
