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

    /// Reads what ``write(to:)`` wrote into `bytes`, which are kept for the trees. `parts`: what was read from the same bytes before.
    public init(from r: inout PackedReader, of bytes: [UInt8], parts: inout StoredParts) throws {
        let number = try r.count()
        var legs: [Leg] = []
        legs.reserveCapacity(number)
        for index in 0..<number { legs.append(try Leg.read(index, &r, bytes, &parts)) }
        let suffixUsesNow = try r.bool()
        let emptyGivesEmpty = try r.bool()
        let tree = SuffixTree(stored: StoredTree(bytes: bytes, place: try Stored.place(&r)))
        self.init(legs: legs, tree: tree, suffixUsesNow: suffixUsesNow, emptyGivesEmpty: emptyGivesEmpty)
    }

    /// Reads every tree, so that what cannot be read is found at once. Throws if something cannot.
    public static func verify(_ bytes: [UInt8]) throws {
        var r = PackedReader(bytes)
        var parts = StoredParts(sharesAtoms: false)
        let split = try SplitQuery(from: &r, of: bytes, parts: &parts)
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

    fileprivate static func read(_ index: Int, _ r: inout PackedReader, _ bytes: [UInt8], _ parts: inout StoredParts) throws -> Leg {
        let table = try parts.name(&r, bytes)
        let input = try parts.source(try r.block(), bytes)
        let hasTime = try r.bool()
        let time = try r.int()
        let number = try r.count()
        var clauses: [Clause] = []
        clauses.reserveCapacity(number)
        for _ in 0..<number {
            let cost = Double(bitPattern: try r.word())
            let width = try r.count()
            var atoms: [Atom] = []
            atoms.reserveCapacity(width)
            for _ in 0..<width {
                let head = try r.block()
                atoms.append(try parts.atom(head, tree: try Stored.place(&r), bytes))
            }
            clauses.append(Clause(atoms: atoms, cost: cost))
        }
        let stored = StoredTree(bytes: bytes, place: try Stored.place(&r))
        return Leg(index: index, table: table, input: input, timeColumn: hasTime ? time : nil, clauses: clauses, stored: stored)
    }
}

extension Atom {
    /// A head, by which equal atoms are known, and the trees.
    fileprivate func write(to w: inout PackedWriter) throws {
        var head = PackedWriter()
        digest.write(to: &head)
        head.text(fingerprint)
        head.text(column)
        head.text(type.rawValue)
        head.optionalText(subjectFingerprint)
        switch form {
        case .equals(let texts, let ignoringCase):
            head.byte(ignoringCase ? 1 : 0)
            head.texts(texts)
        case .literals(let texts):
            head.byte(2)
            head.texts(texts)
        case .general: head.byte(3)
        }
        w.block(head.bytes)
        let t = trees
        var p = PlanWriter()
        try p.expr(t.expr)
        p.column(t.input)
        try p.exprs(t.subject.map { [$0] } ?? [])
        Stored.write(p, levels: max(t.expr.levels, t.subject?.levels ?? 0), to: &w)
    }
}
