import ArgumentParser
import Columnar
import Evaluation
import KQL
import Rules
import Service

struct FunctionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "functions", abstract: "Lists and explains what there is of KQL: operators, functions, aggregates, plugins ...",
        discussion: """
              vedette functions bin
              vedette functions mv-expand
              vedette functions --kind aggregate
              vedette functions --refused --format json
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json, markdown }

    /// What `--kind` takes: the kinds, with dashes.
    struct Kind: ExpressibleByArgument {
        let kind: LanguageElement.Kind
        init?(argument: String) {
            let text = String(argument.map { $0 == "-" ? " " : $0 })
            guard let kind = LanguageElement.Kind(rawValue: text) else { return nil }
            self.kind = kind
        }
        static var allValueStrings: [String] { LanguageElement.Kind.allCases.map { String($0.rawValue.map { $0 == " " ? "-" : $0 }) } }
    }

    @Argument(help: "Only what has this name.") var name: String?
    @Option(help: "Only this kind.") var kind: Kind?
    @Flag(help: "Only what is refused, with the reasons.") var refused = false
    @Option(help: "table, json or markdown.") var format: Format = .table
    @OptionGroup(title: "Content") var content: ContentOptions

    func run() throws {
        let saved = try content.store().functions
        if let name { return try explain(name, saved) }
        let kinds = kind.map { [$0.kind] } ?? LanguageElement.Kind.allCases
        let elements = kinds.flatMap { LanguageReference.elements(of: $0) }.filter { !refused || !$0.isSupported }
        switch format {
        case .markdown: Terminal.out(LanguageReference.markdown(kinds))
        case .json: Terminal.out(json(elements))
        case .table:
            var t = TextTable(["NAME", "KIND", refused ? "WHY NOT" : "WHAT IT DOES"])
            for e in elements where refused || e.isSupported {
                t.rows.append([e.syntax, e.kind.rawValue, refused ? e.refusal ?? "" : e.summary])
            }
            if !refused, kind == nil || kind?.kind == .function {
                for f in saved.all { t.rows.append([f.signature, "saved function", f.summary.isEmpty ? "A saved function." : f.summary]) }
            }
            Terminal.out(t.render(width: Terminal.width))
        }
    }

    private func explain(_ name: String, _ saved: FunctionLibrary) throws {
        if let f = saved.function(name) {
            Terminal.out("\(f.signature)  (saved function, \(f.source.file))" + (f.summary.isEmpty ? "" : "\n\n\(f.summary)"))
            return
        }
        let found = LanguageReference.named(name).filter { kind == nil || $0.kind == kind?.kind }
        guard !found.isEmpty else {
            throw fail(
                "there is no `\(name)` in KQL"
                    + (Suggestions.nearest(name, in: LanguageReference.names + saved.names).map { "; did you mean `\($0)`?" } ?? ""),
                ExitStatus.invalid)
        }
        if format == .json { return Terminal.out(json(found)) }
        // Without any that is supported, the name is refused as a query would be.
        if let reason = found.first?.refusal, !found.contains(where: \.isSupported) {
            throw fail("`\(name)` is not supported: \(reason)", ExitStatus.invalid)
        }
        Terminal.out(found.map(text).joined(separator: "\n\n"))
    }

    private func text(_ e: LanguageElement) -> String {
        var lines = ["\(e.syntax)  (\(e.kind.rawValue))", "", e.summary]
        if !e.aliases.isEmpty { lines.append("Also written: \(e.aliases.joined(separator: ", "))") }
        if let reason = e.refusal { lines.append("Not supported: \(reason)") }
        if !e.notes.isEmpty { lines.append("Note: \(e.notes)") }
        lines += ["", "Example: \(e.example)"]
        return lines.joined(separator: "\n")
    }

    /// One object a line.
    private func json(_ elements: [LanguageElement]) -> String {
        func list(_ texts: [String]) -> Dynamic { .array(texts.map { .string($0) }) }
        let lines = elements.map { e -> String in
            var members: [Dynamic.Member] = [
                .init("name", .string(e.name)), .init("aliases", list(e.aliases)), .init("kind", .string(e.kind.rawValue)),
                .init("syntax", .string(e.syntax)), .init("summary", .string(e.summary)), .init("example", .string(e.example)),
                .init("supported", .bool(e.isSupported)),
            ]
            if case .refused(let code, let reason) = e.support {
                members += [.init("code", .string(code)), .init("reason", .string(reason))]
            }
            if !e.notes.isEmpty { members.append(.init("notes", .string(e.notes))) }
            return "  " + JSONText.compact(.object(members))
        }
        return "[\n" + lines.joined(separator: ",\n") + "\n]"
    }
}
