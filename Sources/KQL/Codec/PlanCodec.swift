import Columnar

/// Writes bound trees as bytes, with everything that ``Plan`` and ``BoundExpr`` hold. Nodes that are used in several places are written once,
/// so that what is read back is shared as it was.
///
/// One writer is one document: plans and expressions written through it may share nodes with each other.
public struct PlanWriter {
    public private(set) var out = PackedWriter()
    private var plans: [ObjectIdentifier: Int] = [:]
    private var exprs: [ObjectIdentifier: Int] = [:]
    private var shared: [ObjectIdentifier: Int] = [:]
    /// What was numbered stays alive, so that no other object takes its address.
    private var kept: [AnyObject] = []

    public init() {}

    public var bytes: [UInt8] { out.bytes }

    mutating func type(_ t: ScalarType) { out.byte(PlanCodes.code(t)) }

    mutating func range(_ r: SourceRange) {
        out.int(r.lower)
        out.int(r.upper - r.lower)
    }

    public mutating func column(_ c: BoundColumn) {
        out.int(c.id)
        out.text(c.name)
        type(c.type)
    }

    public mutating func columns(_ all: [BoundColumn]) {
        out.count(all.count)
        for c in all { column(c) }
    }

    mutating func value(_ v: Value) throws {
        switch v {
        case .null(let t):
            out.byte(0)
            type(t)
        case .bool(let b):
            out.byte(1)
            out.bool(b)
        case .int(let i):
            out.byte(2)
            out.integer(Int64(i))
        case .long(let i):
            out.byte(3)
            out.integer(i)
        case .real(let r):
            out.byte(4)
            out.word(r.bitPattern)
        case .decimal(let d):
            out.byte(5)
            out.word(UInt64(truncatingIfNeeded: d.mantissa))
            out.word(UInt64(truncatingIfNeeded: d.mantissa >> 64))
            out.integer(Int64(d.exponent))
        case .string(let s):
            out.byte(6)
            out.text(s)
        case .datetime(let t):
            out.byte(7)
            out.integer(t)
        case .timespan(let t):
            out.byte(8)
            out.integer(t)
        case .guid(let g):
            out.byte(9)
            out.word(UInt64(truncatingIfNeeded: g))
            out.word(UInt64(truncatingIfNeeded: g >> 64))
        case .dynamic(let d):
            out.byte(10)
            dynamic(d)
        }
    }

    mutating func dynamic(_ d: Dynamic) {
        switch d {
        case .null: out.byte(0)
        case .bool(let b):
            out.byte(1)
            out.bool(b)
        case .long(let i):
            out.byte(2)
            out.integer(i)
        case .real(let r):
            out.byte(3)
            out.word(r.bitPattern)
        case .string(let s):
            out.byte(4)
            out.text(s)
        case .array(let items):
            out.byte(5)
            out.count(items.count)
            for i in items { dynamic(i) }
        case .object(let members):
            out.byte(6)
            out.count(members.count)
            for m in members {
                out.text(m.key)
                dynamic(m.value)
            }
        }
    }

    public mutating func exprs(_ all: [BoundExpr]) throws {
        out.count(all.count)
        for e in all { try expr(e) }
    }

    /// 0 and a number for a node that was written before; else its kind, its parts, its type and range.
    public mutating func expr(_ e: BoundExpr) throws {
        let key = ObjectIdentifier(e)
        if let known = exprs[key] {
            out.byte(0)
            out.count(known)
            return
        }
        switch e.kind {
        case .constant(let v):
            out.byte(1)
            try value(v)
        case .column(let id):
            out.byte(2)
            out.int(id)
        case .call(let name, let arguments):
            out.byte(3)
            out.text(name)
            try exprs(arguments)
        case .member(let base, let member):
            out.byte(4)
            try expr(base)
            out.text(member)
        case .element(let base, let index):
            out.byte(5)
            try expr(base)
            try expr(index)
        case .scalarQuery(let p):
            out.byte(6)
            try plan(p)
        case .inQuery(let op, let left, let p):
            out.byte(7)
            out.text(op.rawValue)
            try expr(left)
            try plan(p)
        }
        type(e.type)
        range(e.range)
        exprs[key] = exprs.count
        kept.append(e)
    }

    /// Throws for an operator that this writer does not know.
    public mutating func plan(_ p: Plan) throws {
        let key = ObjectIdentifier(p)
        if let known = plans[key] {
            out.byte(0)
            out.count(known)
            return
        }
        try operation(p)
        columns(p.columns)
        range(p.range)
        plans[key] = plans.count
        kept.append(p)
    }

    /// The number of a shared plan, whose operators are written where it appears first.
    mutating func sharedPlan(_ s: SharedPlan) throws {
        let key = ObjectIdentifier(s)
        if let known = shared[key] {
            out.count(known + 1)
            return
        }
        out.count(0)
        out.int(s.id)
        try plan(s.plan)
        shared[key] = shared.count
        kept.append(s)
    }

    mutating func with(_ body: (inout PackedWriter) -> Void) { body(&out) }
}

/// Numbers of the enumerations' cases in the bytes.
enum PlanCodes {
    static func code(_ t: ScalarType) -> UInt8 {
        switch t {
        case .bool: 0
        case .int: 1
        case .long: 2
        case .real: 3
        case .decimal: 4
        case .string: 5
        case .datetime: 6
        case .timespan: 7
        case .guid: 8
        case .dynamic: 9
        }
    }

    static func type(_ code: UInt8) throws -> ScalarType {
        switch code {
        case 0: return .bool
        case 1: return .int
        case 2: return .long
        case 3: return .real
        case 4: return .decimal
        case 5: return .string
        case 6: return .datetime
        case 7: return .timespan
        case 8: return .guid
        case 9: return .dynamic
        default: throw PackedError("no type has the number \(code)")
        }
    }
}
