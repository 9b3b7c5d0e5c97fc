import Columnar

// Type rules of the language: which types go together, what comes out, and which conversion makes them fit.

extension ScalarType {
    /// Canonical name of the function that converts a value to this type.
    public var conversionFunction: String {
        switch self {
        case .bool: "tobool"
        case .int: "toint"
        case .long: "tolong"
        case .real: "todouble"
        case .decimal: "todecimal"
        case .string: "tostring"
        case .datetime: "todatetime"
        case .timespan: "totimespan"
        case .guid: "toguid"
        case .dynamic: "todynamic"
        }
    }

    /// Place in the order of numeric promotion (int < long < real < decimal); nil for other types.
    var numericRank: Int? {
        switch self {
        case .int: 0
        case .long: 1
        case .real: 2
        case .decimal: 3
        default: nil
        }
    }

    /// int or long.
    var isInteger: Bool { self == .int || self == .long }
}

/// Results of operators by operand types, as documented for Kusto's numerical, datetime and comparison operators.
enum TypeRules {
    /// The wider of two numeric types; nil if one is not numeric.
    static func widest(_ a: ScalarType, _ b: ScalarType) -> ScalarType? {
        guard let x = a.numericRank, let y = b.numericRank else { return nil }
        return x >= y ? a : b
    }

    /// The type that all can be given implicitly: equal types, numeric promotion, and dynamic yields to any scalar. Nil: none.
    static func common(_ types: [ScalarType]) -> ScalarType? {
        var result: ScalarType?
        for t in types {
            guard let r = result else {
                result = t
                continue
            }
            if r == t || t == .dynamic { continue }
            if r == .dynamic {
                result = t
            } else if let w = widest(r, t) {
                result = w
            } else {
                return nil
            }
        }
        return result
    }

    /// Operand types after conversion and the result of an arithmetic operator.
    struct Arithmetic: Equatable {
        let left: ScalarType
        let right: ScalarType
        let result: ScalarType
        init(_ left: ScalarType, _ right: ScalarType, _ result: ScalarType) {
            self.left = left
            self.right = right
            self.result = result
        }
    }

    /// Nil: the operator is not defined for these types.
    static func arithmetic(_ op: BinaryOperator, _ l: ScalarType, _ r: ScalarType) -> Arithmetic? {
        if let w = widest(l, r) {
            // Arithmetic of two ints is a long.
            let t: ScalarType = w == .int ? .long : w
            return Arithmetic(t, t, t)
        }
        switch (op, l, r) {
        case (_, .dynamic, .dynamic): return Arithmetic(.dynamic, .dynamic, .dynamic)
        case (_, .dynamic, .int), (_, .int, .dynamic): return Arithmetic(.long, .long, .long)
        case (_, .dynamic, let t) where t.isNumeric: return Arithmetic(t, t, t)
        case (_, let t, .dynamic) where t.isNumeric: return Arithmetic(t, t, t)
        case (.subtract, .dynamic, .datetime): return Arithmetic(.datetime, .datetime, .timespan)
        case (.add, .dynamic, .timespan), (.subtract, .dynamic, .timespan): return Arithmetic(.timespan, .timespan, .timespan)
        case (.add, .dynamic, .datetime): return Arithmetic(.timespan, .datetime, .datetime)
        case (.add, .datetime, .dynamic), (.subtract, .datetime, .dynamic): return Arithmetic(.datetime, .timespan, .datetime)
        case (.add, .timespan, .dynamic), (.subtract, .timespan, .dynamic): return Arithmetic(.timespan, .timespan, .timespan)
        case (.divide, .dynamic, .timespan), (.divide, .timespan, .dynamic): return Arithmetic(.timespan, .timespan, .real)

        case (.add, .timespan, .timespan), (.subtract, .timespan, .timespan): return Arithmetic(.timespan, .timespan, .timespan)
        case (.add, .datetime, .timespan), (.subtract, .datetime, .timespan): return Arithmetic(.datetime, .timespan, .datetime)
        case (.add, .timespan, .datetime): return Arithmetic(.timespan, .datetime, .datetime)
        case (.subtract, .datetime, .datetime): return Arithmetic(.datetime, .datetime, .timespan)
        case (.divide, .timespan, .timespan): return Arithmetic(.timespan, .timespan, .real)
        case (.divide, .datetime, .timespan): return Arithmetic(.datetime, .timespan, .real)
        case (.modulo, .timespan, .timespan): return Arithmetic(.timespan, .timespan, .timespan)
        case (.modulo, .datetime, .timespan): return Arithmetic(.datetime, .timespan, .timespan)
        case (.multiply, .timespan, let t) where t.isNumeric, (.divide, .timespan, let t) where t.isNumeric:
            return Arithmetic(.timespan, t.isInteger ? .long : .real, .timespan)
        case (.multiply, let t, .timespan) where t.isNumeric:
            return Arithmetic(t.isInteger ? .long : .real, .timespan, .timespan)
        default: return nil
        }
    }
}
