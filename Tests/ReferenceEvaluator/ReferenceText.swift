/// Kusto's string operators by their definition, over arrays of characters.
enum ReferenceText {
    typealias Characters = [Unicode.Scalar]

    /// Letters without case, one character at a time (simple mappings).
    static func folded(_ s: String) -> String {
        var out = ""
        for c in s.unicodeScalars {
            let lower = c.properties.lowercaseMapping.unicodeScalars
            out.unicodeScalars.append(lower.count == 1 ? lower.first ?? c : c)
        }
        return out
    }

    /// The same towards capital letters: ß stays, as it has no capital of one character.
    static func raised(_ s: String) -> String {
        var out = ""
        for c in s.unicodeScalars {
            let upper = c.properties.uppercaseMapping.unicodeScalars
            out.unicodeScalars.append(upper.count == 1 ? upper.first ?? c : c)
        }
        return out
    }

    /// Letters, digits, and every character beyond ASCII belong to terms.
    static func isTerm(_ c: Unicode.Scalar) -> Bool {
        !c.isASCII || (c >= "a" && c <= "z") || (c >= "A" && c <= "Z") || (c >= "0" && c <= "9")
    }

    /// Whether the needle stands in the text with the edges asked for: where the needle's own edge is a term character, its neighbour
    /// must not be one.
    private static func occurs(_ text: String, _ needle: String, ignoreCase: Bool, left: Bool, right: Bool) -> Bool {
        let t = Characters((ignoreCase ? folded(text) : text).unicodeScalars)
        let n = Characters((ignoreCase ? folded(needle) : needle).unicodeScalars)
        guard let first = n.first, let last = n.last else { return true }
        guard t.count >= n.count else { return false }
        for at in 0...(t.count - n.count) where Array(t[at..<(at + n.count)]) == n {
            if left, isTerm(first), at > 0, isTerm(t[at - 1]) { continue }
            if right, isTerm(last), at + n.count < t.count, isTerm(t[at + n.count]) { continue }
            return true
        }
        return false
    }

    static func has(_ text: String, _ needle: String, ignoreCase: Bool) -> Bool {
        occurs(text, needle, ignoreCase: ignoreCase, left: true, right: true)
    }

    /// The operator of a spelling, negation and `_cs` included; nil for those that are not about text.
    static func predicate(_ name: String) -> ((String, String) -> Bool)? {
        if name == "=~" { return { folded($0).utf8.elementsEqual(folded($1).utf8) } }
        if name == "!~" { return { !folded($0).utf8.elementsEqual(folded($1).utf8) } }
        let negated = name.hasPrefix("!")
        var base = negated ? String(name.dropFirst()) : name
        let ignoreCase = !base.hasSuffix("_cs")
        if !ignoreCase { base = String(base.dropLast(3)) }
        let test: (String, String) -> Bool
        switch base {
        case "has": test = { has($0, $1, ignoreCase: ignoreCase) }
        case "hasprefix": test = { occurs($0, $1, ignoreCase: ignoreCase, left: true, right: false) }
        case "hassuffix": test = { occurs($0, $1, ignoreCase: ignoreCase, left: false, right: true) }
        case "contains": test = { occurs($0, $1, ignoreCase: ignoreCase, left: false, right: false) }
        case "startswith": test = { Array((ignoreCase ? folded($0) : $0).utf8).starts(with: (ignoreCase ? folded($1) : $1).utf8) }
        case "endswith":
            test = { Array((ignoreCase ? folded($0) : $0).utf8).reversed().starts(with: (ignoreCase ? folded($1) : $1).utf8.reversed()) }
        default: return nil
        }
        return { test($0, $1) != negated }
    }
}
