import KQL
import Rules

enum DocumentFuzzer {
    static func run(_ text: String) throws(FuzzFinding) {
        for loaded in RuleLoader.decode(text, file: "a.yaml") {
            let errors = loaded.findings.filter { $0.severity == .error }
            if loaded.rule == nil, errors.isEmpty { throw FuzzFinding("neither a rule nor an error") }
            if loaded.rule != nil, !errors.isEmpty { throw FuzzFinding("a rule in spite of \(errors[0])") }
            for f in loaded.findings where f.line < 1 || f.column < 1 { throw FuzzFinding("a finding without a place: \(f)") }
        }
        _ = try? RuleTestFile(text: text, file: "a.test.yaml")
        var library = FunctionLibrary()
        library.addKQL(text, file: "f.kql")
        for separator in [UInt8(ascii: ","), UInt8(ascii: "\t")] {
            _ = try? DelimitedText.rows(text, separator: separator, mostRows: 1000)
        }
    }
}
