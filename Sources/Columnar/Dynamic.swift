/// A dynamic (JSON-like) value as a tree, for literals and for functions that build or take apart single cells.
///
/// Columns do not hold trees: they hold JSON text (``Column``), parsed lazily.
/// KQL's `dynamic` distinguishes long from real by the text of the number, and objects keep the order of their keys. Strings and keys are
/// equal by bytes (``ByteText``), and NaN equals itself.
public indirect enum Dynamic: Sendable, Hashable {
    case null
    case bool(Bool)
    case long(Int64)
    case real(Double)
    case string(String)
    case array([Dynamic])
    /// Keys in order of appearance; a repeated key has been replaced by its last value.
    case object([Member])

    /// One property of an object.
    public struct Member: Sendable, Hashable {
        public var key: String
        public var value: Dynamic
        public init(_ key: String, _ value: Dynamic) {
            self.key = key
            self.value = value
        }

        public static func == (a: Member, b: Member) -> Bool { ByteText.equal(a.key, b.key) && a.value == b.value }

        public func hash(into hasher: inout Hasher) {
            ByteText.hash(key, into: &hasher)
            hasher.combine(value)
        }
    }

    /// The value of a property, exact case; nil if this is no object or has no such key.
    public subscript(key: String) -> Dynamic? {
        guard case .object(let members) = self else { return nil }
        return members.last { ByteText.equal($0.key, key) }?.value
    }

    /// Kusto's `gettype` name.
    public var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "bool"
        case .long: "long"
        case .real: "double"
        case .string: "string"
        case .array: "array"
        case .object: "dictionary"
        }
    }
}

extension Dynamic {
    public static func == (a: Dynamic, b: Dynamic) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let x), .bool(let y)): x == y
        case (.long(let x), .long(let y)): x == y
        case (.real(let x), .real(let y)): x == y || (x.isNaN && y.isNaN)
        case (.string(let x), .string(let y)): ByteText.equal(x, y)
        case (.array(let x), .array(let y)): x == y
        case (.object(let x), .object(let y)): x == y
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let v):
            hasher.combine(1)
            hasher.combine(v)
        case .long(let v):
            hasher.combine(2)
            hasher.combine(v)
        case .real(let v):
            hasher.combine(3)
            hasher.combine(v.isNaN ? .nan : v)
        case .string(let v):
            hasher.combine(4)
            ByteText.hash(v, into: &hasher)
        case .array(let v):
            hasher.combine(5)
            hasher.combine(v)
        case .object(let v):
            hasher.combine(6)
            hasher.combine(v)
        }
    }
}
