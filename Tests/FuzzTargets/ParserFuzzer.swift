import KQL

enum ParserFuzzer {
    static func run(_ source: String) throws(FuzzFinding) {
        let tree = SyntaxTree.parse(source)
        let bytes = Array(source.utf8)
        var place = 0
        var printed: [UInt8] = []
        for t in tree.tokens {
            guard t.triviaStart == place, t.range.lower >= place, t.range.upper >= t.range.lower, t.range.upper <= bytes.count else {
                throw FuzzFinding("tokens do not tile the text at \(place): \(t)")
            }
            printed += bytes[t.triviaStart..<t.range.upper]
            place = t.range.upper
        }
        guard printed == bytes else { throw FuzzFinding("the tree does not print back") }
        guard tree.tokens.last?.kind == .endOfText else { throw FuzzFinding("no end of text") }
        for d in tree.diagnostics {
            guard d.range.lower >= 0, d.range.lower <= d.range.upper, d.range.upper <= bytes.count else {
                throw FuzzFinding("a finding lies outside of the text: \(d)")
            }
        }
        for s in tree.statements where s.range.lower < 0 || s.range.upper > bytes.count || s.range.lower > s.range.upper {
            throw FuzzFinding("a statement lies outside of the text: \(s.range)")
        }
        if !tree.isValid, tree.diagnostics.isEmpty { throw FuzzFinding("refused without a finding") }
        _ = DiagnosticRenderer(source: source).render(Array(tree.diagnostics.prefix(20)))
    }
}
