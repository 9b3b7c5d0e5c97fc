import CKernels
import Columnar
import Evaluation
import KQL
import Synchronization

/// A predicate over one source column: the unit of sharing between rules.
///
/// Two atoms are one if table, column and fingerprint agree, whichever rules they come from.
final class Atom: Sendable {
    let column: String
    let type: ScalarType
    let form: AtomForm
    /// The fingerprint; nil: it stands in the head that the atom was read from.
    private let written: String?
    /// Equal for equal subjects; nil where the subject is the column itself.
    let subjectFingerprint: String?
    /// Of column and fingerprint.
    let digest: Digest128
    private let stored: StoredAtom?
    private let read: Mutex<Trees?>
    // The exact test is made when a value first needs it: most rules never see one.
    private let tested = Mutex<Test>(.unmade)

    private enum Test: Sendable {
        case unmade
        case made(CompiledExpression?)
    }

    struct Trees: Sendable {
        /// Over a single input column; decides where ``Atom/form`` leaves doubt.
        let expr: BoundExpr
        let input: BoundColumn
        /// The text that ``Atom/form`` speaks of, where that is not the column itself: many atoms share one extraction from a dynamic column.
        let subject: BoundExpr?

        /// Stands for trees that cannot be read: an atom that always holds lets too many rows through, never too few.
        static func open(_ column: String, _ type: ScalarType) -> Trees {
            Trees(
                expr: BoundExpr(.constant(.bool(true)), .bool, SourceRange(0, 0)), input: BoundColumn(id: 0, name: column, type: type),
                subject: nil)
        }
    }

    init(column: String, type: ScalarType, trees: Trees, form: AtomForm, fingerprint: String, subjectFingerprint: String?) {
        self.column = column
        self.type = type
        self.form = form
        written = fingerprint
        self.subjectFingerprint = subjectFingerprint
        digest = Atom.digest(column, fingerprint)
        stored = nil
        read = Mutex(trees)
    }

    /// An atom that was made before: its trees are read when they are needed.
    init(column: String, type: ScalarType, form: AtomForm, subjectFingerprint: String?, digest: Digest128, stored: StoredAtom) {
        self.column = column
        self.type = type
        self.form = form
        written = nil
        self.subjectFingerprint = subjectFingerprint
        self.digest = digest
        self.stored = stored
        read = Mutex(nil)
    }

    static func digest(_ column: String, _ fingerprint: String) -> Digest128 {
        Digest128(Array(column.utf8) + [0] + Array(fingerprint.utf8))
    }

    var fingerprint: String { written ?? stored?.fingerprint ?? "" }

    /// Its trees, which are looked at when a value may satisfy it.
    var trees: Trees {
        read.withLock { known in
            if let known { return known }
            let new = stored?.tree.atomTrees(column, type) ?? Trees.open(column, type)
            known = new
            return new
        }
    }

    /// Whether both ask the same of the same column.
    func isSame(_ other: Atom) -> Bool {
        self === other
            || digest == other.digest && ByteText.equal(column, other.column) && ByteText.equal(fingerprint, other.fingerprint)
    }

    /// Nil where it cannot be compiled.
    private var predicate: CompiledExpression? {
        tested.withLock { t in
            if case .made(let known) = t { return known }
            let trees = trees
            let new = try? Stored.withStack(levels: trees.expr.levels) {
                try CompiledExpression(trees.expr, input: [trees.input], subqueries: NoSubqueries())
            }
            t = .made(new)
            return new
        }
    }

    /// The rows for which the atom holds. An atom that cannot be compiled holds for all: candidates may be too many, never too few.
    func select(_ batch: Batch, _ context: EvaluationContext) throws -> Bitmap {
        guard let predicate else { return Bitmap(repeating: true, count: batch.count) }
        return try predicate.select(batch, context)
    }
}

enum AtomForm: Sendable {
    /// True only for these strings; with `ignoringCase`, ASCII letters fold (all texts are ASCII then, and lower case).
    case equals([String], ignoringCase: Bool)
    /// True only for texts with one of these ASCII literals in them, case aside; ``Atom/expr`` decides which of those.
    case literals([String])
    case general
}

/// A necessary condition: a row for which none of the atoms holds cannot survive the prefix.
struct Clause: Sendable {
    var atoms: [Atom]
    /// Expected selectivity class; smaller is rarer. Observed figures replace it.
    var cost: Double
}

/// Finds the witness of a prefix: clauses, all of which a surviving row satisfies.
///
/// Soundness contract: the analysis may only ever weaken. Every step keeps "row survives ⇒ each clause has an atom that holds": a
/// conjunction may drop sides, a disjunction needs an atom set for each side, anything else that is not a predicate over one traceable
/// column gives up (no clause: every row is a candidate). The residual prefix is always evaluated exactly afterwards.
struct WitnessFinder {
    let functions: any FunctionCatalog
    private var definitions: [ColumnID: BoundExpr] = [:]
    private var sources: [ColumnID: BoundColumn] = [:]
    private var conditions: [BoundExpr] = []

    /// Clauses beyond these are left to the residual.
    static let mostClauses = 4
    /// A clause beside the first must be cheap to test: text over a dictionary.
    static let mostCost = 10.0

    init(functions: any FunctionCatalog) { self.functions = functions }

    static func find(_ leg: Leg, functions: any FunctionCatalog) -> [Clause] {
        var finder = WitnessFinder(functions: functions)
        finder.collect(leg.prefix)
        let found = finder.conditions.flatMap(\.conjuncts).compactMap(finder.clause).sorted { $0.cost < $1.cost }
        guard let best = found.first else { return [] }
        let others = found.dropFirst().filter { c in
            c.cost <= mostCost && c.atoms.allSatisfy { $0.type == .string || $0.type == .dynamic }
        }
        return [best] + others.prefix(mostClauses - 1)
    }

    /// Gathers the conjuncts of every filter, traced back to source columns. Columns made by mv-expand and parse stay untraceable.
    private mutating func collect(_ plan: Plan) {
        switch plan.kind {
        case .table:
            for c in plan.columns { sources[c.id] = c }
        case .filter(let input, let predicate):
            collect(input)
            conditions += predicate.conjuncts.map(trace)
        case .project(let input, let exprs):
            collect(input)
            for (column, e) in zip(plan.columns, exprs) where sources[column.id] == nil {
                let traced = trace(e)
                if size(traced) <= 64 { definitions[column.id] = traced }
            }
        case .mvExpand(let input, _, _, _, _), .parse(let input, _, _): collect(input)
        default: break
        }
    }

    private func trace(_ e: BoundExpr) -> BoundExpr { e.replacing(columns: definitions) { $0 } }

    private func size(_ e: BoundExpr) -> Int {
        switch e.kind {
        case .call(_, let args): args.reduce(1) { $0 + size($1) }
        case .member(let b, _): 1 + size(b)
        case .element(let b, let i): 1 + size(b) + size(i)
        default: 1
        }
    }

    private func clause(_ e: BoundExpr) -> Clause? {
        if case .call(let name, let args) = e.kind {
            if name == "and" {
                return args.compactMap(clause).min { $0.cost < $1.cost }
            }
            if name == "or", singleColumn(e) == nil {
                var all = Clause(atoms: [], cost: 0)
                for a in args {
                    guard let c = clause(a) else { return nil }
                    all.atoms += c.atoms
                    all.cost += c.cost
                }
                return all
            }
        }
        guard let column = singleColumn(e) else { return nil }
        let cost = WitnessFinder.cost(e)
        guard cost < WitnessFinder.useless else { return nil }
        let (subject, form) = form(e)
        let atom = Atom(
            column: column.name, type: column.type, trees: Atom.Trees(expr: e, input: column, subject: subject), form: form,
            fingerprint: e.fingerprint { _ in "$" }, subjectFingerprint: subject?.fingerprint { _ in "$" })
        return Clause(atoms: [atom], cost: cost)
    }

    private func singleColumn(_ e: BoundExpr) -> BoundColumn? {
        let t = ExpressionTraits(e, functions: functions)
        guard t.isRowLocal, t.columns.count == 1, let id = t.columns.first else { return nil }
        return sources[id]
    }

    /// What can be said of an atom by looking at a text, and which text; the subject is nil for the column itself.
    private func form(_ e: BoundExpr) -> (subject: BoundExpr?, form: AtomForm) {
        guard case .call(let op, let args) = e.kind, let first = args.first else { return (nil, .general) }
        var subject: BoundExpr? = first
        if case .column = first.kind { subject = nil }
        guard first.type == .string, let values = WitnessFinder.texts(args.dropFirst()), !values.isEmpty else { return (nil, .general) }
        switch op {
        case "==", "in":
            return (subject, .equals(values, ignoringCase: false))
        case "=~", "in~":
            guard values.allSatisfy(WitnessFinder.isASCII) else { return (nil, .general) }
            return (subject, .equals(values.map { $0.lowercased() }, ignoringCase: true))
        case "has", "has_cs", "has_any", "contains", "contains_cs", "startswith", "startswith_cs", "endswith", "endswith_cs", "hasprefix",
            "hasprefix_cs", "hassuffix", "hassuffix_cs":
            return literals(values, subject)
        case "has_all":
            return literals([values.max { $0.utf8.count < $1.utf8.count } ?? ""], subject)
        case "matches regex":
            guard values.count == 1, let literal = WitnessFinder.requiredLiteral(values[0]) else { return (nil, .general) }
            return literals([literal], subject)
        default: return (nil, .general)
        }
    }

    private func literals(_ texts: [String], _ subject: BoundExpr?) -> (BoundExpr?, AtomForm) {
        guard texts.allSatisfy({ !$0.isEmpty && WitnessFinder.isASCII($0) }) else { return (nil, .general) }
        return (subject, .literals(texts.map { $0.lowercased() }))
    }

    /// The constant strings that arguments give, lists in dynamic constants included; nil if some argument is something else.
    private static func texts(_ args: ArraySlice<BoundExpr>) -> [String]? {
        var values: [String] = []
        for a in args {
            switch a.kind {
            case .constant(.string(let s)), .constant(.dynamic(.string(let s))): values.append(s)
            default: return nil
            }
        }
        return values
    }

    private static func isASCII(_ s: String) -> Bool { s.utf8.allSatisfy { $0 < 0x80 } }

    private static func requiredLiteral(_ pattern: String) -> String? {
        var pattern = pattern
        return pattern.withUTF8 { bytes -> String? in
            guard let re = vk_re2_new(bytes.baseAddress, bytes.count, 0, 0, nil, 0) else { return nil }
            defer { vk_re2_free(re) }
            return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { out in
                let n = vk_re2_required_literal(re, out.baseAddress, out.count)
                return n == 0 ? nil : String(decoding: out[..<n], as: UTF8.self)
            }
        }
    }

    static let useless = 100.0

    /// A rough rank of predicates by how many rows they let through.
    static func cost(_ e: BoundExpr) -> Double {
        guard case .call(let op, let args) = e.kind else { return useless }
        switch op {
        case "==", "=~": return args.contains { isEmptyText($0) } ? useless : 1
        case "in", "in~": return 1 + 0.02 * Double(args.count)
        case "has", "has_cs", "has_any", "has_all", "contains", "contains_cs", "startswith", "startswith_cs", "endswith", "endswith_cs",
            "hasprefix", "hasprefix_cs", "hassuffix", "hassuffix_cs":
            return 3 + 0.02 * Double(args.count)
        case "matches regex": return 5
        case "and": return args.map(cost).min() ?? useless
        case "or": return args.map(cost).reduce(0, +)
        case ">", ">=", "<", "<=", "between": return 20
        case "not", "!=", "!~", "isnotempty", "isempty", "isnull", "isnotnull", "!in", "!in~": return useless
        default: return op.hasPrefix("!") ? useless : 10
        }
    }

    private static func isEmptyText(_ e: BoundExpr) -> Bool {
        if case .constant(.string("")) = e.kind { return true }
        return false
    }
}
