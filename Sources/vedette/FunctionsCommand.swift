import ArgumentParser
import Evaluation
import KQL

struct FunctionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "functions", abstract: "Lists the functions of KQL that can be used.")
    @Argument(help: "Only this function.") var name: String?

    func run() throws {
        let registry = FunctionRegistry.standard
        if let name {
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
                "there is no function `\(name)`" + (Suggestions.nearest(name, in: registry.names).map { "; did you mean `\($0)`?" } ?? ""),
                ExitStatus.invalid)
        }
        var t = TextTable(["FUNCTION", "WHAT IT GIVES"])
        for f in registry.functions.sorted(by: { $0.signature.name < $1.signature.name }) {
            t.rows.append([signature(f.signature), f.summary])
        }
        Terminal.out(t.render(width: Terminal.width))
    }

    private func parameter(_ p: SignatureParameter) -> String { p.isOptional ? "[\(p.name)]" : p.name }
    private func signature(_ s: ScalarSignature) -> String {
        "\(s.name)(\(s.parameters.map { parameter($0) }.joined(separator: ", "))\(s.isVariadic ? ", ..." : ""))"
    }
}
