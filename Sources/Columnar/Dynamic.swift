/// A dynamic (JSON-like) value as a tree, for literals and for functions that build or take apart single cells.
///
/// Columns do not hold trees: they hold JSON text (``Column``), parsed lazily.
/// KQL's `dynamic` distinguishes long from real by the text of the number, and objects keep the order of their keys.
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
    }

    /// The value of a property, exact case; nil if this is no object or has no such key.
    public subscript(key: String) -> Dynamic? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
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
