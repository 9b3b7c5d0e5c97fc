import ArgumentParser
import Columnar
import KQL
import Service

/// What a hunt has to say on standard error: for people, or one JSON object a line where the rows are JSON as well.
struct HuntDiagnostics {
    let query: String
    let file: String?
    let content: WorkspaceStore
    let isJSON: Bool

    /// A finding at a place of the query, or of a saved function that it calls.
    func say(_ d: Diagnostic) {
        let renderer = DiagnosticRenderer(source: query, file: file)
        guard isJSON else {
            Terminal.err(renderer.render(d, content: content))
            return
        }
        if let source = content.librarySource(of: d.range) {
            let place = DiagnosticRenderer(source: source.text, file: source.file, origin: source.origin)
            Terminal.err(JSONText.compact(HuntDiagnostics.json(source.local(d), place)))
        } else {
            Terminal.err(JSONText.compact(HuntDiagnostics.json(d, renderer)))
        }
    }

    /// Something without a place.
    func say(_ severity: Diagnostic.Severity, _ message: String) {
        guard isJSON else {
            Terminal.err("vedette: \(message)")
            return
        }
        Terminal.err(JSONText.compact(.object([.init("severity", .string(severity.rawValue)), .init("message", .string(message))])))
    }

    func fail(_ message: String, _ code: ExitCode) -> ExitCode {
        say(.error, message)
        return code
    }

    private static func json(_ d: Diagnostic, _ renderer: DiagnosticRenderer) -> Dynamic {
        func place(_ offset: Int) -> Dynamic {
            let p = renderer.position(at: offset)
            return .object([
                .init("line", .long(Int64(p.line))), .init("column", .long(Int64(p.column))), .init("offset", .long(Int64(offset))),
            ])
        }
        var members: [Dynamic.Member] = [
            .init("severity", .string(d.severity.rawValue)), .init("code", .string(d.code)), .init("message", .string(d.message)),
        ]
        if let mend = d.mend { members.append(.init("mend", .string(mend))) }
        if let file = renderer.file { members.append(.init("file", .string(file))) }
        members += [.init("start", place(d.range.lower)), .init("end", place(d.range.upper))]
        if !d.fixIts.isEmpty {
            let fixes = d.fixIts.map { f -> Dynamic in
                .object([
                    .init("start", place(f.range.lower)), .init("end", place(f.range.upper)), .init("replacement", .string(f.replacement)),
                ])
            }
            members.append(.init("fixes", .array(fixes)))
        }
        return .object(members)
    }
}
