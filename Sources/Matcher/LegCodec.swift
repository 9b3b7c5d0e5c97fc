import Columnar
import KQL

// Compiled legs as bytes. What every run needs (tables, columns, witnesses) stands in the open; trees, which are looked at when a row may
// survive, stand in blocks that are read then.

extension SplitQuery {
    /// Throws for a plan that cannot be written.
    public func write(to w: inout PackedWriter) throws {
        w.count(legs.count)
        for leg in legs { try leg.write(to: &w) }
        w.bool(suffixUsesNow)
        w.bool(emptyGivesEmpty)
        var p = PlanWriter()
        try p.plan(suffix)
        Stored.write(p, levels: suffix.levels, to: &w)
    }

    /// Reads what ``write(to:)`` wrote into `bytes`, which are kept for the trees.
    public init(from r: inout PackedReader, of bytes: [UInt8]) throws {
        var index = -1
        let legs = try r.list { r -> Leg in
            index += 1
            return try Leg.read(index, &r, bytes)
        }
        let suffixUsesNow = try r.bool()
        let emptyGivesEmpty = try r.bool()
        let place = try Stored.place(&r)
        let tree = Once {
            Stored.read(bytes, place, otherwise: Stored.damaged) { try $0.plan() }
        }
        self.init(legs: legs, tree: tree, suffixUsesNow: suffixUsesNow, emptyGivesEmpty: emptyGivesEmpty)
    }

    /// Reads every tree, so that what cannot be read is found at once. Throws if something cannot.
    public static func verify(_ bytes: [UInt8]) throws {
        var r = PackedReader(bytes)
        let split = try SplitQuery(from: &r, of: bytes)
        var again = PackedWriter()
        try split.write(to: &again)
        guard again.bytes == bytes else { throw PackedError("the plan changes when it is written") }
    }
}

enum Stored {
    /// Stands for a plan that cannot be read: whoever runs it gets an error.
    static var damaged: Plan {
        Plan(.custom(name: "damaged", inputs: [], arguments: [], options: [:]), columns: [], range: SourceRange(0, 0))
    }

    /// A block with the depth of its deepest tree before it.
    struct Place: Sendable {
        let levels: Int
        let block: Range<Int>
    }

    static func write(_ p: PlanWriter, levels: Int, to w: inout PackedWriter) {
        w.int(levels)
        w.block(p.bytes)
    }

    static func place(_ r: inout PackedReader) throws -> Place {
        let levels = try r.int()
        return Place(levels: levels, block: try r.block())
    }

    /// One document of a block. The bytes were checked when they were loaded, so `otherwise` is for the impossible.
    static func read<T: Sendable>(_ bytes: [UInt8], _ place: Place, otherwise: T, _ body: (inout PlanReader) throws -> T) -> T {
        let result = try? withStack(levels: place.levels) { () throws -> T in
            var r = PlanReader(bytes, in: place.block)
            let v = try body(&r)
            try r.end()
            return v
        }
        return result ?? otherwise
    }

    /// Work on trees by recursion: most are flat and need no stack of their own.
    static func withStack<T>(levels: Int, _ body: () throws -> T) throws -> T {
        levels > 64 ? try LargeStack.run(bytes: 64 << 20, body) : try body()
    }
}

extension Leg {
    fileprivate func write(to w: inout PackedWriter) throws {
        w.text(table)
        var sources = PlanWriter()
        sources.columns(source)
        w.block(sources.bytes)
        w.bool(timeColumn != nil)
        w.int(timeColumn ?? 0)
        guard let clauses = knownClauses else { throw PackedError("the leg has not been checked") }
        w.count(clauses.count)
        for c in clauses {
            w.word(c.cost.bitPattern)
            w.count(c.atoms.count)
            for a in c.atoms { try a.write(to: &w) }
        }
        var p = PlanWriter()
        try p.plan(prefix)
        try p.exprs(horizon)
        Stored.write(p, levels: max(prefix.levels, horizon.map(\.levels).max() ?? 0), to: &w)
    }

    fileprivate static func read(_ index: Int, _ r: inout PackedReader, _ bytes: [UInt8]) throws -> Leg {
        let table = try r.text()
        var sources = PlanReader(bytes, in: try r.block())
        let source = try sources.columns()
        let hasTime = try r.bool()
        let time = try r.int()
        let clauses = try r.list { r -> Clause in
            let cost = Double(bitPattern: try r.word())
            return Clause(atoms: try r.list { try Atom(from: &$0, bytes) }, cost: cost)
        }
        let place = try Stored.place(&r)
        let trees = Once {
            Stored.read(bytes, place, otherwise: Leg.Trees(prefix: Stored.damaged, horizon: [])) {
                let prefix = try $0.plan()
                return Leg.Trees(prefix: prefix, horizon: try $0.expressions())
            }
        }
        return Leg(index: index, table: table, source: source, timeColumn: hasTime ? time : nil, clauses: clauses, trees: trees)
    }
}

extension Atom {
    fileprivate func write(to w: inout PackedWriter) throws {
        w.text(column)
        w.text(type.rawValue)
        w.text(fingerprint)
        w.optionalText(subjectFingerprint)
        switch form {
        case .equals(let texts, let ignoringCase):
            w.byte(ignoringCase ? 1 : 0)
            w.texts(texts)
        case .literals(let texts):
            w.byte(2)
            w.texts(texts)
        case .general: w.byte(3)
        }
        let t = trees.value
        var p = PlanWriter()
        try p.expr(t.expr)
        p.column(t.input)
        try p.exprs(t.subject.map { [$0] } ?? [])
        Stored.write(p, levels: max(t.expr.levels, t.subject?.levels ?? 0), to: &w)
    }

    fileprivate init(from r: inout PackedReader, _ bytes: [UInt8]) throws {
        let column = try r.text()
        guard let type = ScalarType(rawValue: try r.text()) else { throw PackedError("an atom of no type") }
        let fingerprint = try r.text()
        let subjectFingerprint = try r.optionalText()
        let form: AtomForm
        switch try r.byte() {
        case 0: form = .equals(try r.texts(), ignoringCase: false)
        case 1: form = .equals(try r.texts(), ignoringCase: true)
        case 2: form = .literals(try r.texts())
        case 3: form = .general
        case let code: throw PackedError("no form has the number \(code)")
        }
        let place = try Stored.place(&r)
        let trees = Once {
            // An atom that always holds lets too many rows through, never too few.
            let open = Trees(
                expr: BoundExpr(.constant(.bool(true)), .bool, SourceRange(0, 0)), input: BoundColumn(id: 0, name: column, type: type),
                subject: nil)
            return Stored.read(bytes, place, otherwise: open) { p in
                let expr = try p.expr()
                let input = try p.column()
                return Trees(expr: expr, input: input, subject: try p.expressions().first)
            }
        }
        self.init(column: column, type: type, trees: trees, form: form, fingerprint: fingerprint, subjectFingerprint: subjectFingerprint)
    }
}
