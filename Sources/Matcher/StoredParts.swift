import CKernels
import Columnar
import KQL

/// Trees that are read when they are first asked for.
struct StoredTree: Sendable {
    let bytes: [UInt8]
    let place: Stored.Place

    func plan() -> Plan { Stored.read(bytes, place, otherwise: Stored.damaged) { try $0.plan() } }

    func legTrees() -> Leg.Trees {
        Stored.read(bytes, place, otherwise: Leg.Trees(prefix: Stored.damaged, horizon: [])) {
            let prefix = try $0.plan()
            return Leg.Trees(prefix: prefix, horizon: try $0.expressions())
        }
    }

    func atomTrees(_ column: String, _ type: ScalarType) -> Atom.Trees {
        Stored.read(bytes, place, otherwise: .open(column, type)) { p in
            let expr = try p.expr()
            let input = try p.column()
            return Atom.Trees(expr: expr, input: input, subject: try p.expressions().first)
        }
    }
}

/// What of an atom stays in the bytes that it was read from.
struct StoredAtom: Sendable {
    let tree: StoredTree
    let fingerprintPlace: Range<Int>

    var fingerprint: String { String(decoding: tree.bytes[fingerprintPlace], as: UTF8.self) }
}

/// What legs have in common, found by the bytes that it is written in and read once: rules of one set ask for the same columns of the same
/// tables, and many ask the same of them. For one array of bytes.
public struct StoredParts {
    private var names: [UInt64: (place: Range<Int>, name: String)] = [:]
    private var sources: [UInt64: (place: Range<Int>, source: SourceColumns)] = [:]
    private var atoms: [UInt64: (place: Range<Int>, atom: Atom)] = [:]
    private var tableSets: [String: Set<String>] = [:]
    private let sharesAtoms: Bool

    /// `sharesAtoms`: equal atoms are one, with the trees of the first; without, each has its own.
    public init(sharesAtoms: Bool = true) { self.sharesAtoms = sharesAtoms }

    private static func hash(_ place: Range<Int>, _ bytes: [UInt8]) -> UInt64 {
        bytes[place].withUnsafeBytes { vk_xxh3_64($0.baseAddress, $0.count, 0) }
    }

    private static func areEqual(_ a: Range<Int>, _ b: Range<Int>, _ bytes: [UInt8]) -> Bool {
        bytes[a].withUnsafeBytes { first in bytes[b].withUnsafeBytes { ByteText.equal(first, $0) } }
    }

    /// A text that is likely to come again.
    mutating func name(_ r: inout PackedReader, _ bytes: [UInt8]) throws -> String {
        let place = try r.block()
        let hash = StoredParts.hash(place, bytes)
        if let known = names[hash], StoredParts.areEqual(known.place, place, bytes) { return known.name }
        let name = String(decoding: bytes[place], as: UTF8.self)
        names[hash] = (place, name)
        return name
    }

    mutating func source(_ place: Range<Int>, _ bytes: [UInt8]) throws -> SourceColumns {
        let hash = StoredParts.hash(place, bytes)
        if let known = sources[hash], StoredParts.areEqual(known.place, place, bytes) { return known.source }
        var reader = PlanReader(bytes, in: place)
        let source = SourceColumns(try reader.columns())
        sources[hash] = (place, source)
        return source
    }

    /// The atom of a head. Atoms of equal heads are one, so the trees of the first do for all.
    mutating func atom(_ head: Range<Int>, tree: Stored.Place, _ bytes: [UInt8]) throws -> Atom {
        let hash = StoredParts.hash(head, bytes)
        if sharesAtoms, let known = atoms[hash], StoredParts.areEqual(known.place, head, bytes) { return known.atom }
        var r = PackedReader(bytes, in: head)
        let digest = try Digest128(from: &r)
        let fingerprint = try r.block()
        let column = try name(&r, bytes)
        guard let type = ScalarType(rawValue: try name(&r, bytes)) else { throw PackedError("an atom of no type") }
        let subject = try r.bool() ? try name(&r, bytes) : nil
        let form: AtomForm
        switch try r.byte() {
        case 0: form = .equals(try r.texts(), ignoringCase: false)
        case 1: form = .equals(try r.texts(), ignoringCase: true)
        case 2: form = .literals(try r.texts())
        case 3: form = .general
        case let code: throw PackedError("no form has the number \(code)")
        }
        let atom = Atom(
            column: column, type: type, form: form, subjectFingerprint: subject, digest: digest,
            stored: StoredAtom(tree: StoredTree(bytes: bytes, place: tree), fingerprintPlace: fingerprint))
        atoms[hash] = (head, atom)
        return atom
    }

    /// The tables of a query: one set for all rules over the same one.
    public mutating func tables(of split: SplitQuery) -> Set<String> {
        guard let first = split.legs.first?.table, split.legs.allSatisfy({ $0.table == first }) else { return Set(split.legs.map(\.table)) }
        if let known = tableSets[first] { return known }
        tableSets[first] = [first]
        return [first]
    }
}
