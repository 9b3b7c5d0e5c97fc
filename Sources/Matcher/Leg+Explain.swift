import Columnar
import KQL

/// What a leg looks for and what it keeps, in words.
public struct LegExplanation: Sendable {
    public let table: String
    public let columns: [String]
    /// The row-local operators, the last one first, indented as they nest.
    public let prefix: [String]
    /// What wakes the leg, one line a clause, the one that is looked for first at the top; empty: every row does.
    public let witnesses: [String]
    /// Conditions on the row's time at a tick.
    public let horizon: [String]
    /// Nanoseconds an event of the table that the leg adds by itself, by the kind of its witness; a rough expectation.
    public let expectedNanoseconds: Double
    /// Bytes of a row that is kept, key included; a rough expectation.
    public let rowBytes: Int
}

extension Leg {
    public func explained(_ functions: any FunctionCatalog) -> LegExplanation {
        let clauses = clauses(functions)
        let names = Dictionary((source + columns).map { ($0.id, $0.name) }) { a, _ in a }
        return LegExplanation(
            table: table, columns: source.map { "\($0.name): \($0.type.rawValue)" },
            prefix: prefix.outline().split(separator: "\n").map(String.init),
            witnesses: clauses.map { c in c.atoms.map(\.words).joined(separator: "  or  ") }, horizon: horizon.map { $0.text(names) },
            expectedNanoseconds: Leg.expected(clauses, operators: prefix.levels), rowBytes: Leg.rowBytes(columns))
    }

    /// Measured on one machine with the rules of the benchmark: what one more rule with such a witness adds to an event of its table.
    private static func expected(_ clauses: [Clause], operators: Int) -> Double {
        guard let first = clauses.first else { return 40 * Double(max(1, operators)) }
        func price(_ a: Atom) -> Double {
            switch a.form {
            case .equals: 0.02
            case .literals: 0.05
            case .general: a.type == .string || a.type == .dynamic ? 2 : 10
            }
        }
        return first.atoms.reduce(0) { $0 + price($1) }
    }

    private static func rowBytes(_ columns: [BoundColumn]) -> Int {
        columns.reduce(MemoryLayout<RowKey>.stride) { sum, c in
            switch c.type {
            case .string: sum + 28
            case .dynamic: sum + 72
            case .guid, .decimal: sum + 16
            default: sum + 8
            }
        }
    }
}

extension Atom {
    /// What is looked for in which column.
    var words: String {
        func list(_ texts: [String]) -> String {
            let shown = texts.prefix(6).map { "'\($0)'" }.joined(separator: ", ")
            return texts.count > 6 ? "\(shown) and \(texts.count - 6) more" : shown
        }
        let place = subjectFingerprint == nil ? column : "a value inside \(column)"
        switch form {
        case .equals(let texts, let ignoringCase): return "\(place) is \(list(texts))\(ignoringCase ? ", case aside" : "") (look-up)"
        case .literals(let texts): return "\(place) has \(list(texts)) in it (one scan for all rules, then the exact test)"
        case .general: return "\(trees.expr.dump()) over \(column) (tested on each new value)"
        }
    }
}
