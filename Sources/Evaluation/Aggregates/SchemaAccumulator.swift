import Columnar
import KQL

/// What values of dynamic columns look like: the alternatives for one place, in the order in which they were met.
private struct DynamicSchema {
    private(set) var primitives: [(name: String, rank: Int)] = []
    /// Objects and arrays are one container; the elements of arrays are its member ``indexer``.
    private var container: Container?
    private var rank = 0

    private final class Container {
        var rank = 0
        var names: [String] = []
        var members: [TextKey: DynamicSchema] = [:]

        func add(_ key: String, _ value: Dynamic?) {
            let known = TextKey(key)
            if members[known] == nil {
                names.append(key)
                members[known] = DynamicSchema()
            }
            if let value { members[known]?.add(value) }
        }
    }

    static let indexer = "`indexer`"

    mutating func add(_ value: Dynamic) {
        switch value {
        // A null fits every schema.
        case .null: break
        case .bool: note("bool")
        case .long: note("long")
        case .real: note("double")
        case .string: note("string")
        case .object(let members): for m in members { opened().add(m.key, m.value) }
        case .array(let items):
            opened().add(DynamicSchema.indexer, nil)
            for item in items { opened().add(DynamicSchema.indexer, item) }
        }
    }

    private mutating func note(_ name: String) {
        guard !primitives.contains(where: { $0.name == name }) else { return }
        primitives.append((name, rank))
        rank += 1
    }

    private mutating func opened() -> Container {
        if let container { return container }
        let made = Container()
        made.rank = rank
        rank += 1
        container = made
        return made
    }

    /// A type's name, a container, or an array of alternatives.
    var value: Dynamic {
        var all: [(rank: Int, type: Dynamic)] = primitives.map { ($0.rank, .string($0.name)) }
        if let container {
            let members = container.names.map { Dynamic.Member($0, container.members[TextKey($0)]?.value ?? .array([])) }
            all.append((container.rank, .object(members)))
        }
        all.sort { $0.rank < $1.rank }
        return all.count == 1 ? all[0].type : .array(all.map(\.type))
    }
}

/// `buildschema`: the least schema that admits all values of a group.
final class SchemaAccumulator: ElementAccumulator {
    var store = ElementStore()
    var groupCount = 0
    private let limits: EvaluationLimits

    init(_ setup: AggregateSetup) { limits = setup.limits }

    func add(_ arguments: [Datum], _ input: AggregateInput) throws {
        guard let column = arguments.first?.materialized(rows: input.rows) else { return }
        for i in 0..<input.rows where !column.isNull(i) {
            try store.append(Cells.json(column, i), group: input.groups[i], order: input.order[i])
        }
        try limits.check(held: store.groups.count, by: "buildschema")
    }

    func finish(_ groups: ContiguousArray<UInt32>) throws -> [Column] {
        var b = ColumnBuilder(.dynamic)
        for g in groups {
            var schema = DynamicSchema()
            for i in store.elements(g) { if let d = JSONText.parse(store.texts[Int(i)]) { schema.add(d) } }
            b.append(.dynamic(schema.value))
        }
        return [b.finish()]
    }
}
