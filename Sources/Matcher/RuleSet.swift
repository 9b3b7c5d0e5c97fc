import Columnar
import Evaluation
import KQL

/// A leg as the matcher knows it: who it belongs to and what wakes it.
public struct LegReference: Sendable, Hashable {
    /// Number of the rule in the set.
    public let rule: Int
    /// Number of the leg in the rule.
    public let leg: Int
    public init(rule: Int, leg: Int) {
        self.rule = rule
        self.leg = leg
    }
}

/// The legs of all rules, compiled and indexed by table; immutable, shared by all workers.
public final class RuleSet: Sendable {
    struct LegEntry: Sendable {
        let reference: LegReference
        let prefix: CompiledPrefix
        /// Positions in the table's columns of the prefix's source columns.
        let positions: [Int]
    }

    struct ColumnIndex: Sendable {
        let position: Int
        let type: ScalarType
        /// Exact texts → atoms.
        let exact: [String: [Int]]
        /// Lower-case ASCII texts → atoms.
        let folded: [String: [Int]]
        /// Atoms evaluated by a kernel over the new values.
        let general: [(atom: Int, predicate: CompiledExpression)]
    }

    struct Table: Sendable {
        let name: String
        let columns: [SchemaColumn]
        let legs: [LegEntry]
        /// Legs without a witness: every row is a candidate.
        let always: [Int]
        let indexes: [ColumnIndex]
        /// For each atom, the legs (positions in `legs`) that it wakes.
        let wakes: [[Int32]]
    }

    let tables: [String: Table]

    /// For each table, the columns that some leg reads: what the normaliser must materialise.
    public let needs: [String: Set<String>]
    public let atomCount: Int
    public let legCount: Int

    /// Compiles the legs. Throws the first prefix that cannot be compiled.
    public init(_ legs: [(LegReference, Leg)], functions: any FunctionCatalog) throws {
        var byTable: [String: [(LegReference, Leg)]] = [:]
        for entry in legs { byTable[entry.1.table, default: []].append(entry) }
        var tables: [String: Table] = [:]
        var needs: [String: Set<String>] = [:]
        var atomTotal = 0
        for (name, entries) in byTable {
            var types: [String: ScalarType] = [:]
            for (_, leg) in entries { for c in leg.source { types[c.name] = c.type } }
            let columns = types.sorted { $0.key < $1.key }.map { SchemaColumn($0.key, $0.value) }
            var positions: [String: Int] = [:]
            for (i, c) in columns.enumerated() { positions[c.name] = i }
            needs[name] = Set(types.keys)

            var atoms: [Atom] = []
            var atomNumbers: [String: Int] = [:]
            var wakes: [[Int32]] = []
            var compiled: [LegEntry] = []
            var always: [Int] = []
            for (reference, leg) in entries {
                let number = compiled.count
                compiled.append(
                    LegEntry(reference: reference, prefix: try CompiledPrefix(leg), positions: leg.source.compactMap { positions[$0.name] })
                )
                guard let witness = WitnessFinder.find(leg, functions: functions) else {
                    always.append(number)
                    continue
                }
                for atom in witness.atoms {
                    let key = atom.column + "\u{0}" + atom.fingerprint
                    let n: Int
                    if let known = atomNumbers[key] {
                        n = known
                    } else {
                        n = atoms.count
                        atomNumbers[key] = n
                        atoms.append(atom)
                        wakes.append([])
                    }
                    if wakes[n].last != Int32(number) { wakes[n].append(Int32(number)) }
                }
            }
            atomTotal += atoms.count
            tables[name] = Table(
                name: name, columns: columns, legs: compiled, always: always, indexes: try RuleSet.index(atoms, positions: positions),
                wakes: wakes)
        }
        self.tables = tables
        self.needs = needs
        atomCount = atomTotal
        legCount = legs.count
    }

    private static func index(_ atoms: [Atom], positions: [String: Int]) throws -> [ColumnIndex] {
        var byColumn: [String: [Int]] = [:]
        for (i, a) in atoms.enumerated() { byColumn[a.column, default: []].append(i) }
        var result: [ColumnIndex] = []
        for (column, members) in byColumn.sorted(by: { $0.key < $1.key }) {
            guard let position = positions[column], let first = members.first else { continue }
            var exact: [String: [Int]] = [:]
            var folded: [String: [Int]] = [:]
            var general: [(Int, CompiledExpression)] = []
            for m in members {
                switch atoms[m].form {
                case .equals(let texts, let ignoringCase):
                    for t in Set(texts) { if ignoringCase { folded[t, default: []].append(m) } else { exact[t, default: []].append(m) } }
                case .general:
                    general.append((m, try CompiledExpression(atoms[m].expr, input: [atoms[m].input], subqueries: NoSubqueries())))
                }
            }
            result.append(
                ColumnIndex(position: position, type: atoms[first].type, exact: exact, folded: folded, general: general))
        }
        return result
    }

    /// The columns of a table in the order that ``MatchWorker/evaluate(_:table:context:key:)`` expects; nil if no leg reads it.
    public func columns(of table: String) -> [SchemaColumn]? { tables[table]?.columns }
}
