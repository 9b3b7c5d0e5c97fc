import Columnar
import Evaluation
import KQL

/// A predicate over one source column: the unit of sharing between rules.
///
/// Two atoms are one if table, column and fingerprint agree, whichever rules they come from.
struct Atom: Sendable {
    let column: String
    let type: ScalarType
    /// Over a single input column; ``AtomForm/general`` predicates are evaluated through it.
    let expr: BoundExpr
    let input: BoundColumn
    let form: AtomForm
    let fingerprint: String
}

enum AtomForm: Sendable {
    /// True for exactly these strings; with `ignoringCase`, ASCII letters fold (all texts are ASCII then, and lower case).
    case equals([String], ignoringCase: Bool)
    case general
}

/// A necessary condition for a leg: if none of the atoms holds for a row, the row cannot survive the prefix.
struct Witness: Sendable {
    var atoms: [Atom]
    /// Expected selectivity class; smaller is rarer. Learned figures may replace it.
    var cost: Double
}

/// Finds the witness of a prefix.
///
/// Soundness contract: the analysis may only ever weaken. Every step keeps "row survives ⇒ some atom holds": a conjunction may drop all
/// sides but one, a disjunction needs an atom set for each side, anything else that is not a predicate over one traceable column gives
/// up (nil: every row is a candidate). The residual prefix is always evaluated exactly afterwards.
struct WitnessFinder {
    let functions: any FunctionCatalog
    private var definitions: [ColumnID: BoundExpr] = [:]
    private var sources: [ColumnID: BoundColumn] = [:]
    private var conditions: [BoundExpr] = []

    init(functions: any FunctionCatalog) { self.functions = functions }

    static func find(_ leg: Leg, functions: any FunctionCatalog) -> Witness? {
        var finder = WitnessFinder(functions: functions)
        finder.collect(leg.prefix)
        var best: Witness?
        for condition in finder.conditions {
            if let w = finder.witness(condition), w.cost < best?.cost ?? .infinity { best = w }
        }
        return best
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

    private func witness(_ e: BoundExpr) -> Witness? {
        if case .call(let name, let args) = e.kind {
            if name == "and" {
                return args.compactMap(witness).min { $0.cost < $1.cost }
            }
            if name == "or", singleColumn(e) == nil {
                var all = Witness(atoms: [], cost: 0)
                for a in args {
                    guard let w = witness(a) else { return nil }
                    all.atoms += w.atoms
                    all.cost += w.cost
                }
                return all
            }
        }
        guard let column = singleColumn(e) else { return nil }
        let cost = WitnessFinder.cost(e)
        guard cost < WitnessFinder.useless else { return nil }
        let (form, text) = form(e, column)
        return Witness(
            atoms: [Atom(column: column.name, type: column.type, expr: e, input: column, form: form, fingerprint: text)], cost: cost)
    }

    private func singleColumn(_ e: BoundExpr) -> BoundColumn? {
        let t = ExpressionTraits(e, functions: functions)
        guard t.isRowLocal, t.columns.count == 1, let id = t.columns.first else { return nil }
        return sources[id]
    }

    private func form(_ e: BoundExpr, _ column: BoundColumn) -> (AtomForm, String) {
        let text = e.fingerprint { _ in "$" }
        guard column.type == .string, case .call(let op, let args) = e.kind, let first = args.first, case .column = first.kind else {
            return (.general, text)
        }
        var values: [String] = []
        for a in args.dropFirst() {
            guard case .constant(.string(let s)) = a.kind else { return (.general, text) }
            values.append(s)
        }
        switch op {
        case "==", "in": return (.equals(values, ignoringCase: false), text)
        case "=~", "in~":
            guard values.allSatisfy({ $0.utf8.allSatisfy { $0 < 0x80 } }) else { return (.general, text) }
            return (.equals(values.map { $0.lowercased() }, ignoringCase: true), text)
        default: return (.general, text)
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
