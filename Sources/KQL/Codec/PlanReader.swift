import Columnar

/// Reads one document of ``PlanWriter``. Damaged bytes give an error, never a trap; deep trees need the stack that their writer had.
public struct PlanReader {
    private var input: PackedReader
    private var plans: [Plan] = []
    private var exprs: [BoundExpr] = []
    private var shared: [SharedPlan] = []

    public init(_ bytes: [UInt8], in range: Range<Int>? = nil) { input = PackedReader(bytes, in: range) }

    /// Throws unless everything has been read.
    public func end() throws { guard input.isAtEnd else { throw PackedError("bytes are left over") } }

    mutating func type() throws -> ScalarType { try PlanCodes.type(try input.byte()) }

    mutating func range() throws -> SourceRange {
        let lower = try input.int()
        let (upper, overflow) = lower.addingReportingOverflow(try input.int())
        guard !overflow, upper >= lower else { throw PackedError("an impossible range") }
        return SourceRange(lower, upper)
    }

    public mutating func column() throws -> BoundColumn {
        let id = try input.int()
        let name = try input.text()
        return BoundColumn(id: id, name: name, type: try type())
    }

    public mutating func columns() throws -> [BoundColumn] { try list { try $0.column() } }

    mutating func list<T>(_ item: (inout PlanReader) throws -> T) throws -> [T] {
        let n = try input.count()
        var out: [T] = []
        out.reserveCapacity(n)
        for _ in 0..<n { out.append(try item(&self)) }
        return out
    }

    mutating func text() throws -> String { try input.text() }
    mutating func bool() throws -> Bool { try input.bool() }
    mutating func byte() throws -> UInt8 { try input.byte() }
    mutating func texts() throws -> [String] { try input.texts() }
    /// A position among items elsewhere: it may exceed the bytes that are left.
    mutating func number() throws -> Int {
        guard let n = Int(exactly: try input.unsigned()) else { throw PackedError("an impossible number") }
        return n
    }

    mutating func raw<T: RawRepresentable<String>>(_: T.Type) throws -> T {
        let text = try input.text()
        guard let v = T(rawValue: text) else { throw PackedError("`\(text)` is not known") }
        return v
    }

    mutating func value() throws -> Value {
        switch try input.byte() {
        case 0: return .null(try type())
        case 1: return .bool(try input.bool())
        case 2:
            guard let i = Int32(exactly: try input.integer()) else { throw PackedError("an int out of range") }
            return .int(i)
        case 3: return .long(try input.integer())
        case 4: return .real(Double(bitPattern: try input.word()))
        case 5:
            let low = try input.word()
            let high = try input.word()
            let mantissa = Int128(truncatingIfNeeded: high) << 64 | Int128(low)
            return .decimal(Decimal128(mantissa: mantissa, exponent: Int(try input.integer())))
        case 6: return .string(try input.text())
        case 7: return .datetime(try input.integer())
        case 8: return .timespan(try input.integer())
        case 9:
            let low = try input.word()
            return .guid(UInt128(try input.word()) << 64 | UInt128(low))
        case 10: return .dynamic(try dynamic(depth: 0))
        case let code: throw PackedError("no value has the number \(code)")
        }
    }

    private mutating func dynamic(depth: Int) throws -> Dynamic {
        guard depth < 1000 else { throw PackedError("a value is nested too deep") }
        switch try input.byte() {
        case 0: return .null
        case 1: return .bool(try input.bool())
        case 2: return .long(try input.integer())
        case 3: return .real(Double(bitPattern: try input.word()))
        case 4: return .string(try input.text())
        case 5: return .array(try list { try $0.dynamic(depth: depth + 1) })
        case 6:
            return .object(
                try list { r in
                    let key = try r.text()
                    return Dynamic.Member(key, try r.dynamic(depth: depth + 1))
                })
        case let code: throw PackedError("no dynamic value has the number \(code)")
        }
    }

    public mutating func expressions() throws -> [BoundExpr] { try list { try $0.expr() } }

    public mutating func expr() throws -> BoundExpr {
        let kind: BoundExpr.Kind
        switch try input.byte() {
        case 0:
            let n = try number()
            guard exprs.indices.contains(n) else { throw PackedError("an expression refers to one that is not there") }
            return exprs[n]
        case 1: kind = .constant(try value())
        case 2: kind = .column(try input.int())
        case 3:
            let name = try input.text()
            kind = .call(name, try expressions())
        case 4:
            let base = try expr()
            kind = .member(base, try input.text())
        case 5:
            let base = try expr()
            kind = .element(base, try expr())
        case 6: kind = .scalarQuery(try plan())
        case 7:
            let op = try raw(ListOperator.self)
            let left = try expr()
            kind = .inQuery(op, left, try plan())
        case let code: throw PackedError("no expression has the number \(code)")
        }
        let type = try type()
        let e = BoundExpr(kind, type, try range())
        exprs.append(e)
        return e
    }

    public mutating func plan() throws -> Plan {
        let code = try input.byte()
        if code == 0 {
            let n = try number()
            guard plans.indices.contains(n) else { throw PackedError("a plan refers to one that is not there") }
            return plans[n]
        }
        let kind = try operation(code)
        let columns = try columns()
        let p = Plan(kind, columns: columns, range: try range())
        plans.append(p)
        return p
    }

    mutating func sharedPlan() throws -> SharedPlan {
        let n = try number()
        if n > 0 {
            guard shared.indices.contains(n - 1) else { throw PackedError("a plan refers to one that is not there") }
            return shared[n - 1]
        }
        let id = try input.int()
        let s = SharedPlan(id: id, plan: try plan())
        shared.append(s)
        return s
    }
}
