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
        let leg: Leg
        /// Positions in the table's columns of the prefix's source columns.
        let positions: [Int]
        /// A candidate row satisfies each of these; none: every row is a candidate.
        let clauses: [[AtomPlace]]
        /// The clause to look at first, before rows were counted.
        let firstClause: Int
    }

    /// An atom and the column index that knows it.
    struct AtomPlace: Sendable {
        let atom: Int32
        let index: Int32
    }

    /// Where an atom stands: a clause of a leg.
    struct Occurrence: Sendable {
        let leg: Int32
        let clause: Int32
    }

    /// Atoms over one text: the column's own, or one extracted from it.
    struct Subject: Sendable {
        /// Over the column alone; nil: the column itself.
        let expression: CompiledExpression?
        /// Exact texts → atoms.
        let exact: TextTable
        /// Lower-case ASCII texts → atoms.
        let folded: TextTable
        let literals: LiteralSet?
        /// Atoms whose literals ``literals`` finds.
        let literalAtoms: [Int]
    }

    struct ColumnIndex: Sendable {
        let position: Int
        let type: ScalarType
        let subjects: [Subject]
        /// Atoms evaluated by a kernel over the new values.
        let general: [Int]
    }

    struct Table: Sendable {
        let name: String
        let columns: [SchemaColumn]
        let legs: [LegEntry]
        /// Legs without a witness: every row is a candidate.
        let always: [Int]
        let indexes: [ColumnIndex]
        let occurrences: [[Occurrence]]
        /// The exact test of an atom over its column alone; nil where a look-up decides.
        let predicates: [Atom?]
    }

    let tables: [String: Table]

    /// For each table, the columns that some leg reads: what the normaliser must materialise.
    public let needs: [String: Set<String>]
    public let atomCount: Int
    public let legCount: Int

    /// Indexes the legs, whose prefixes were checked (``check(_:functions:)``). `store` keeps compiled literals. Throws if what a dynamic
    /// column is asked for cannot be compiled.
    public init(_ legs: [(LegReference, Leg)], functions: any FunctionCatalog, store: (any LiteralStore)? = nil) throws {
        var byTable: [String: [(LegReference, Leg)]] = [:]
        for entry in legs { byTable[entry.1.table, default: []].append(entry) }
        // Each table's literals are one database to compile, which takes longer than the rest: tables are done side by side.
        let built = Concurrently.map(Array(byTable), stack: RuleSet.stackBytes, together: 1) { entry in
            Result { try RuleSet.table(entry.key, entry.value, functions, store) }
        }
        var tables: [String: Table] = [:]
        for result in built {
            let table = try result.get()
            tables[table.name] = table
        }
        self.tables = tables
        needs = tables.mapValues { Set($0.columns.map(\.name)) }
        atomCount = tables.values.reduce(0) { $0 + $1.occurrences.count }
        legCount = legs.count
    }

    /// As much as the compiling of a rule has.
    private static let stackBytes = 64 << 20

    private static func table(
        _ name: String, _ entries: [(LegReference, Leg)], _ functions: any FunctionCatalog, _ store: (any LiteralStore)?
    ) throws -> Table {
        var types: [String: ScalarType] = [:]
        // By what a leg reads: where that stands among the table's columns.
        var places: [ObjectIdentifier: [Int]] = [:]
        for (_, leg) in entries where places.updateValue([], forKey: ObjectIdentifier(leg.input)) == nil {
            for c in leg.source { types[c.name] = c.type }
        }
        let columns = types.sorted { $0.key < $1.key }.map { SchemaColumn($0.key, $0.value) }
        var positions: [String: Int] = [:]
        for (i, c) in columns.enumerated() { positions[c.name] = i }
        for (_, leg) in entries where places[ObjectIdentifier(leg.input)]?.isEmpty ?? true {
            places[ObjectIdentifier(leg.input)] = leg.source.compactMap { positions[$0.name] }
        }

        var atoms = AtomTable()
        // For each leg, its clauses' atoms by number.
        var found: [[NumberedClause]] = []
        found.reserveCapacity(entries.count)
        for (_, leg) in entries {
            found.append(leg.clauses(functions).map { c in NumberedClause(atoms: c.atoms.map { atoms.add($0) }, cost: c.cost) })
        }
        let (indexes, indexOf, predicates) = try RuleSet.index(atoms.atoms, positions: positions, store)
        var occurrences = [[Occurrence]](repeating: [], count: atoms.atoms.count)
        var compiled: [LegEntry] = []
        compiled.reserveCapacity(entries.count)
        for (number, ((reference, leg), clauses)) in zip(entries, found).enumerated() {
            var wanted: [[AtomPlace]] = []
            wanted.reserveCapacity(clauses.count)
            for (c, clause) in clauses.enumerated() {
                let numbers = clause.atoms.count == 1 ? clause.atoms : Set(clause.atoms).sorted()
                for n in numbers { occurrences[n].append(Occurrence(leg: Int32(number), clause: Int32(c))) }
                wanted.append(numbers.map { AtomPlace(atom: Int32($0), index: Int32(indexOf[$0])) })
            }
            compiled.append(
                LegEntry(
                    reference: reference, leg: leg,
                    positions: places[ObjectIdentifier(leg.input)] ?? [],
                    clauses: wanted, firstClause: atoms.rarest(clauses)))
        }
        return Table(
            name: name, columns: columns, legs: compiled, always: compiled.indices.filter { compiled[$0].clauses.isEmpty },
            indexes: indexes, occurrences: occurrences, predicates: predicates)
    }

    private struct NumberedClause {
        let atoms: [Int]
        let cost: Double
    }

    /// The distinct atoms of a table's legs.
    private struct AtomTable {
        private(set) var atoms: [Atom] = []
        private var uses: [Int] = []
        private var numbers: [Digest128: Int] = [:]

        /// The atom's number; equal atoms have one.
        mutating func add(_ atom: Atom) -> Int {
            if let n = numbers[atom.digest] {
                if atoms[n].isSame(atom) {
                    uses[n] += 1
                    return n
                }
            } else {
                numbers[atom.digest] = atoms.count
            }
            atoms.append(atom)
            uses.append(1)
            return atoms.count - 1
        }

        /// What many rules ask for is likely what many rows have: the telling condition is a rule's own.
        func rarest(_ clauses: [NumberedClause]) -> Int {
            if clauses.count <= 1 { return 0 }
            func cost(_ c: NumberedClause) -> Double { c.cost * Double(c.atoms.map { uses[$0] }.max() ?? 1) }
            return clauses.indices.min { cost(clauses[$0]) < cost(clauses[$1]) } ?? 0
        }
    }

    private static func index(
        _ atoms: [Atom], positions: [String: Int], _ store: (any LiteralStore)?
    ) throws -> (indexes: [ColumnIndex], indexOf: [Int], predicates: [Atom?]) {
        var byColumn: [String: [Int]] = [:]
        for (i, a) in atoms.enumerated() { byColumn[a.column, default: []].append(i) }
        var result: [ColumnIndex] = []
        var indexOf = [Int](repeating: 0, count: atoms.count)
        var predicates = [Atom?](repeating: nil, count: atoms.count)
        for (column, members) in byColumn.sorted(by: { $0.key < $1.key }) {
            guard let position = positions[column], let first = members.first else { continue }
            var general: [Int] = []
            var bySubject: [ByteKey: [Int]] = [:]
            for m in members {
                indexOf[m] = result.count
                if case .equals = atoms[m].form {
                } else {
                    predicates[m] = atoms[m]
                }
                if case .general = atoms[m].form {
                    general.append(m)
                } else {
                    bySubject[ByteKey(atoms[m].subjectFingerprint ?? ""), default: []].append(m)
                }
            }
            var subjects: [Subject] = []
            for (_, group) in bySubject.sorted(by: { $0.key < $1.key }) {
                let (subject, untestable) = try RuleSet.subject(group, atoms, store)
                subjects.append(subject)
                general += untestable
            }
            result.append(ColumnIndex(position: position, type: atoms[first].type, subjects: subjects, general: general.sorted()))
        }
        return (result, indexOf, predicates)
    }

    /// Atoms of one subject; those for which this machine has no scanner are given back.
    private static func subject(
        _ members: [Int], _ atoms: [Atom], _ store: (any LiteralStore)?
    ) throws -> (Subject, untestable: [Int]) {
        var exact: [TextTable.Entry] = []
        var folded: [TextTable.Entry] = []
        var literals: [String: [Int]] = [:]
        var literalAtoms: [Int] = []
        for m in members {
            switch atoms[m].form {
            case .equals(let texts, let ignoringCase):
                for t in texts {
                    if ignoringCase { folded.append((t, Int32(m))) } else { exact.append((t, Int32(m))) }
                }
            case .literals(let texts):
                literalAtoms.append(m)
                for t in texts.count == 1 ? texts : Array(Set(texts)) { literals[t, default: []].append(m) }
            case .general: break
            }
        }
        let set = LiteralSet(literals.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, store: store)
        let extracted: CompiledExpression? = try members.first.flatMap { m in
            guard atoms[m].subjectFingerprint != nil, let subject = atoms[m].trees.subject else { return nil }
            return try CompiledExpression(subject, input: [atoms[m].trees.input], subqueries: NoSubqueries())
        }
        return (
            Subject(
                expression: extracted, exact: TextTable(exact), folded: TextTable(folded), literals: set,
                literalAtoms: set == nil ? [] : literalAtoms),
            set == nil ? literalAtoms : []
        )
    }

    /// Compiles what the leg needs now and later. Throws if its prefix cannot be compiled.
    public static func check(_ leg: Leg, functions: any FunctionCatalog) throws {
        _ = try leg.compiled()
        _ = leg.clauses(functions)
    }

    /// The columns of a table in the order that ``MatchWorker/evaluate(_:table:context:key:)`` expects; nil if no leg reads it.
    public func columns(of table: String) -> [SchemaColumn]? { tables[table]?.columns }
}
