import ArgumentParser
import Evaluation
import KQL
import Rules
import Service

struct FunctionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "functions", abstract: "Lists the functions of KQL that can be used.")
    @Argument(help: "Only this function.") var name: String?
    @OptionGroup(title: "Content") var content: ContentOptions

    func run() throws {
        let registry = FunctionRegistry.standard
        let saved = try content.store().functions
        if let name {
            if let f = saved.function(name) {
                Terminal.out("\(f.signature)  (saved function, \(f.source.file))" + (f.summary.isEmpty ? "" : "\n\n\(f.summary)"))
                return
            }
            if let f = registry.function(name) {
                Terminal.out("\(signature(f.signature))\n\n\(f.summary)\n\nExample: \(f.example)")
                return
            }
            if let a = registry.aggregate(name) {
                Terminal.out("\(a.name)(\(a.parameters.map { parameter($0) }.joined(separator: ", ")))  (aggregate)")
                return
            }
            if let reason = registry.refusal(name) { throw fail("`\(name)` is not supported: \(reason)", ExitStatus.invalid) }
            throw fail(
                "there is no function `\(name)`"
                    + (Suggestions.nearest(name, in: registry.names + saved.names).map { "; did you mean `\($0)`?" } ?? ""),
                ExitStatus.invalid)
        }
        var t = TextTable(["FUNCTION", "WHAT IT GIVES"])
        for f in registry.functions.sorted(by: { $0.signature.name < $1.signature.name }) {
            t.rows.append([signature(f.signature), f.summary])
        }
        for f in saved.all { t.rows.append([f.signature, f.summary.isEmpty ? "A saved function." : f.summary]) }
        Terminal.out(t.render(width: Terminal.width))
    }

    private func parameter(_ p: SignatureParameter) -> String { p.isOptional ? "[\(p.name)]" : p.name }
    private func signature(_ s: ScalarSignature) -> String {
        "\(s.name)(\(s.parameters.map { parameter($0) }.joined(separator: ", "))\(s.isVariadic ? ", ..." : ""))"
    }
}
