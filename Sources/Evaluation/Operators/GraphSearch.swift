import Columnar
import KQL

/// What a pattern asks of a graph, decoded from its plan (`Binder+GraphPatterns.swift`), with every expression over nodes and edges
/// computed once for all of them.
final class GraphRequest {
    struct Edge {
        let from: Int
        let to: Int
        /// 0 forward, 1 backward, 2 any.
        let direction: Int
        /// Nil: exactly one edge.
        let hops: ClosedRange<Int>?
    }
    enum Cell {
        /// A column of the nodes or edges, of the element that a pattern's node or edge stands for.
        case node(Int, Column)
        case edge(Int, Column)
        /// The array of a column along a path: of its edges or its inner nodes.
        case along(Int, Column, nodes: Bool)
        case every(Int, [Bool], nodes: Bool)
        case some(Int, [Bool], nodes: Bool)
        case length(Int)
    }
    enum Cycles: String { case all, none, uniqueEdges = "unique_edges" }

    let graph: Graph
    let nodeCount: Int
    let edges: [Edge]
    let cells: [Cell]
    let types: [ScalarType]
    let cycles: Cycles
    let wantsAll: Bool
    /// What a node, an edge, an edge of a path and an inner node of a path must meet; nil: nothing.
    private(set) var nodeTests: [[Bool]?]
    private(set) var edgeTests: [[Bool]?]
    private(set) var innerTests: [[Bool]?]
    let range: SourceRange

    init(
        _ execution: Execution, _ plan: Plan, _ graph: Graph, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value]
    ) throws {
        self.graph = graph
        range = plan.range
        let properties = Int(settings["properties"]?.integer ?? 0)
        let split = properties + GraphShapeColumns.hidden
        func broken() -> EvaluationError { EvaluationError("the plan of the pattern is damaged", at: plan.range) }
        func lists(_ name: String) throws -> [[Dynamic]] {
            guard case .dynamic(.array(let items))? = settings[name] else { throw broken() }
            return try items.map {
                guard case .array(let parts) = $0 else { throw broken() }
                return parts
            }
        }
        func number(_ d: Dynamic) -> Int { if case .long(let v) = d { Int(clamping: v) } else { 0 } }
        func word(_ d: Dynamic) -> String { if case .string(let s) = d { s } else { "" } }
        let patternNodes = Int(settings["nodes"]?.integer ?? 0)
        nodeCount = patternNodes
        edges = try lists("pattern").map { p in
            guard p.count == 5 else { throw broken() }
            let (low, high) = (number(p[3]), number(p[4]))
            return Edge(from: number(p[0]), to: number(p[1]), direction: number(p[2]), hops: low < 0 ? nil : low...max(low, high))
        }
        guard patternNodes > 0,
            edges.allSatisfy({ (0..<patternNodes).contains($0.from) && (0..<patternNodes).contains($0.to) })
        else {
            throw broken()
        }
        if case .string(let c)? = settings["cycles"] { cycles = Cycles(rawValue: c) ?? .uniqueEdges } else { cycles = .uniqueEdges }
        wantsAll = settings["all"] == .bool(true)
        types = plan.columns.map(\.type)

        let nodeColumns = Array(input.columns.prefix(split))
        let edgeColumns = Array(input.columns.dropFirst(split))
        func values(_ argument: Int, nodes: Bool) throws -> Column {
            guard arguments.indices.contains(argument) else { throw broken() }
            let batch = nodes ? graph.nodes : graph.edges
            return try execution.compiled(arguments[argument], of: plan, over: nodes ? nodeColumns : edgeColumns, side: nodes ? 0 : 1)
                .evaluate(batch, execution.context).materialized(rows: batch.count)
        }
        func tests(_ argument: Int, nodes: Bool) throws -> [Bool] {
            let column = try values(argument, nodes: nodes)
            return (0..<column.count).map { column.value($0) == .bool(true) }
        }
        cells = try lists("columns").map { parts in
            guard parts.count == 3 else { throw broken() }
            let (kind, n, at) = (word(parts[0]), number(parts[1]), number(parts[2]))
            func column() throws -> Column {
                if at >= split, at - split < graph.edges.columns.count { return graph.edges.columns[at - split] }
                guard at >= 0, at < min(split, graph.nodes.columns.count) else { throw broken() }
                return graph.nodes.columns[at]
            }
            switch kind {
            case "node": return .node(n, try column())
            case "edge": return .edge(n, try column())
            case "path": return .along(n, try column(), nodes: false)
            case "length": return .length(n)
            case "map-edges": return .along(n, try values(at, nodes: false), nodes: false)
            case "map-nodes": return .along(n, try values(at, nodes: true), nodes: true)
            case "all-edges": return .every(n, try tests(at, nodes: false), nodes: false)
            case "all-nodes": return .every(n, try tests(at, nodes: true), nodes: true)
            case "any-edges": return .some(n, try tests(at, nodes: false), nodes: false)
            case "any-nodes": return .some(n, try tests(at, nodes: true), nodes: true)
            default: throw broken()
            }
        }
        nodeTests = Array(repeating: nil, count: nodeCount)
        edgeTests = Array(repeating: nil, count: edges.count)
        innerTests = edgeTests
        for f in try lists("filters") {
            guard f.count == 3 else { throw broken() }
            let n = number(f[1])
            switch word(f[0]) {
            case "node":
                guard nodeTests.indices.contains(n) else { throw broken() }
                nodeTests[n] = GraphRequest.both(nodeTests[n], try tests(number(f[2]), nodes: true))
            case "edge", "path-edges":
                guard edgeTests.indices.contains(n) else { throw broken() }
                edgeTests[n] = GraphRequest.both(edgeTests[n], try tests(number(f[2]), nodes: false))
            case "path-nodes":
                guard innerTests.indices.contains(n) else { throw broken() }
                innerTests[n] = GraphRequest.both(innerTests[n], try tests(number(f[2]), nodes: true))
            default: throw broken()
            }
        }
    }

    private static func both(_ a: [Bool]?, _ b: [Bool]) -> [Bool] { a.map { zip($0, b).map { $0 && $1 } } ?? b }

    func admitsNode(_ pattern: Int, _ node: Int32) -> Bool { nodeTests[pattern]?[Int(node)] ?? true }
    func admitsEdge(_ pattern: Int, _ edge: Int32) -> Bool { edgeTests[pattern]?[Int(edge)] ?? true }
    func admitsInner(_ pattern: Int, _ node: Int32) -> Bool { innerTests[pattern]?[Int(node)] ?? true }

    /// The edges at a node in a direction, with the node at their other end. A loop counts once.
    func steps(_ node: Int32, _ direction: Int) -> [(edge: Int32, node: Int32)] {
        var out: [(edge: Int32, node: Int32)] = []
        if direction != 1 { for e in graph.out(node) { out.append((e, graph.target[Int(e)])) } }
        if direction != 0 {
            for e in graph.into(node) where direction == 1 || graph.source[Int(e)] != node { out.append((e, graph.source[Int(e)])) }
        }
        return out
    }
}

/// A path: its edges, and the nodes between them.
struct GraphPath {
    var edges: [Int32] = []
    var inner: [Int32] = []
}

/// Turns matches into batches.
final class GraphSink {
    private let request: GraphRequest
    private let limits: EvaluationLimits
    private let watch: QueryWatch?
    private let keys: Bool
    private let wantsLineage: Bool
    private let batchRows: Int
    private let emit: (Batch) throws -> Bool
    private var builders: [ColumnBuilder]
    private var lineage: ContiguousArray<Lineage> = []
    private var count = 0
    private var total = 0
    private var steps = 0
    /// The consumer wants no more.
    private(set) var isClosed = false

    /// Edges that one search may look at: what takes longer than minutes is an error, not a wait.
    static let mostSteps = 400_000_000

    init(
        _ request: GraphRequest, limits: EvaluationLimits, watch: QueryWatch?, keys: Bool, lineage: Bool, batchRows: Int,
        _ emit: @escaping (Batch) throws -> Bool
    ) {
        self.request = request
        self.limits = limits
        self.watch = watch
        self.keys = keys
        wantsLineage = lineage
        self.batchRows = batchRows
        self.emit = emit
        builders = request.types.map { ColumnBuilder($0) }
    }

    func step(_ n: Int = 1) throws {
        let before = steps
        steps += n
        if steps >> 14 != before >> 14 { try watch?.check() }
        guard steps <= GraphSink.mostSteps else {
            throw EvaluationError(
                "the pattern needs more than \(GraphSink.mostSteps) steps through the graph: narrow its lengths or its ends",
                at: request.range)
        }
    }

    func add(nodes: [Int32], single: [Int32], paths: [GraphPath]) throws {
        for (i, cell) in request.cells.enumerated() {
            switch cell {
            case .node(let n, let c): builders[i].append(c, row: Int(nodes[n]))
            case .edge(let n, let c): builders[i].append(c, row: Int(single[n]))
            case .along(let n, let c, let inner):
                let rows = inner ? paths[n].inner : paths[n].edges
                builders[i].append(.dynamic(.array(rows.map { wrapDynamic(c.value(Int($0))) })))
            case .every(let n, let t, let inner):
                builders[i].append(.bool((inner ? paths[n].inner : paths[n].edges).allSatisfy { t[Int($0)] }))
            case .some(let n, let t, let inner):
                builders[i].append(.bool((inner ? paths[n].inner : paths[n].edges).contains { t[Int($0)] }))
            case .length(let n): builders[i].append(.long(Int64(paths[n].edges.count)))
            }
        }
        if wantsLineage { lineage.append(origin(nodes, single, paths)) }
        count += 1
        total += 1
        try limits.check(held: total, by: "graph-match")
        if count >= batchRows { try flush() }
    }

    private func origin(_ nodes: [Int32], _ single: [Int32], _ paths: [GraphPath]) -> Lineage {
        var out = Lineage.none
        func merge(_ batch: Batch, _ row: Int32) {
            guard row >= 0 else { return }
            if let l = batch.lineage { out.merge(l[Int(row)]) } else if let k = batch.keys { out.merge(Lineage(k[Int(row)])) }
        }
        if request.graph.nodes.lineage != nil {
            for n in nodes { merge(request.graph.nodes, n) }
            for p in paths { for n in p.inner { merge(request.graph.nodes, n) } }
        }
        for e in single { merge(request.graph.edges, e) }
        for p in paths { for e in p.edges { merge(request.graph.edges, e) } }
        return out
    }

    private func flush() throws {
        guard count > 0 else { return }
        let columns = builders.indices.map { builders[$0].finish() }
        builders = request.types.map { ColumnBuilder($0) }
        let first = total - count
        let batch = Batch(
            columns: columns, count: count, keys: keys ? ContiguousArray((first..<total).lazy.map { .ordinal($0) }) : nil,
            lineage: wantsLineage ? lineage : nil)
        lineage = []
        count = 0
        if try !emit(batch) { isClosed = true }
    }

    /// Hands on what is left; false if the consumer wanted no more.
    func finish() throws -> Bool {
        if !isClosed { try flush() }
        return !isClosed
    }
}

/// Every match of a pattern, by search with backtracking: the pattern's edges one after another, each at a node that is known.
struct PatternSearch {
    private let request: GraphRequest
    private let sink: GraphSink
    /// The pattern's edges in the order of the search; `reversed`: its end is known, not its beginning.
    private var order: [(edge: Int, reversed: Bool)] = []
    private var nodes: [Int32]
    private var single: [Int32]
    private var paths: [GraphPath]
    private var usedEdges: Set<Int32> = []
    /// How often each node of the graph stands in the match; for `cycles=none`.
    private var usedNodes: [Int32: Int] = [:]

    init(_ request: GraphRequest, _ sink: GraphSink) {
        self.request = request
        self.sink = sink
        nodes = Array(repeating: -1, count: request.nodeCount)
        single = Array(repeating: -1, count: request.edges.count)
        paths = Array(repeating: GraphPath(), count: request.edges.count)
        var known: Set<Int> = [0]
        var open = Set(request.edges.indices)
        while let next = open.sorted().first(where: { known.contains(request.edges[$0].from) || known.contains(request.edges[$0].to) }) {
            let e = request.edges[next]
            order.append((next, !known.contains(e.from)))
            known.formUnion([e.from, e.to])
            open.remove(next)
        }
    }

    mutating func run() throws {
        for n in 0..<Int32(truncatingIfNeeded: request.graph.nodeCount) where request.admitsNode(0, n) {
            bind(0, n)
            try extend(0)
            unbind(0, n)
            if sink.isClosed { return }
        }
    }

    private mutating func bind(_ pattern: Int, _ node: Int32) {
        nodes[pattern] = node
        usedNodes[node, default: 0] += 1
    }

    private mutating func unbind(_ pattern: Int, _ node: Int32) {
        nodes[pattern] = -1
        release(node)
    }

    private mutating func release(_ node: Int32) {
        let n = (usedNodes[node] ?? 1) - 1
        usedNodes[node] = n == 0 ? nil : n
    }

    private mutating func extend(_ level: Int) throws {
        if sink.isClosed { return }
        guard level < order.count else { return try sink.add(nodes: nodes, single: single, paths: paths) }
        let (index, reversed) = order[level]
        let edge = request.edges[index]
        let (here, there) = reversed ? (edge.to, edge.from) : (edge.from, edge.to)
        let direction = edge.direction == 2 ? 2 : (edge.direction == 0) != reversed ? 0 : 1
        guard let hops = edge.hops else {
            for s in request.steps(nodes[here], direction) {
                try sink.step()
                guard request.admitsEdge(index, s.edge), request.cycles == .all || !usedEdges.contains(s.edge) else { continue }
                single[index] = s.edge
                usedEdges.insert(s.edge)
                try arrive(there, s.node, level)
                usedEdges.remove(s.edge)
                if sink.isClosed { return }
            }
            single[index] = -1
            return
        }
        try walk(index, hops, nodes[here], there, direction, reversed, level, GraphPath())
        paths[index] = GraphPath()
    }

    /// The other end of an edge is a node of the graph.
    private mutating func arrive(_ pattern: Int, _ node: Int32, _ level: Int) throws {
        if nodes[pattern] >= 0 {
            if nodes[pattern] == node { try extend(level + 1) }
            return
        }
        guard request.admitsNode(pattern, node), request.cycles != .none || usedNodes[node] == nil else { return }
        bind(pattern, node)
        try extend(level + 1)
        unbind(pattern, node)
    }

    /// Paths of an edge of variable length from a node on, in the order of the search; a reversed one is turned round at its end.
    private mutating func walk(
        _ index: Int, _ hops: ClosedRange<Int>, _ at: Int32, _ there: Int, _ direction: Int, _ reversed: Bool, _ level: Int,
        _ path: GraphPath
    ) throws {
        if hops.contains(path.edges.count) {
            let isEmpty = path.edges.isEmpty
            // A path back to a node of the match is a cycle, except the empty one.
            if request.cycles != .none || isEmpty || usedNodes[at] == nil || (nodes[there] == at && usedNodes[at] == 1 && !closes(path, at))
            {
                paths[index] = reversed ? GraphPath(edges: path.edges.reversed(), inner: path.inner.reversed()) : path
                if isEmpty, nodes[there] < 0 {
                    if request.admitsNode(there, at) {
                        bind(there, at)
                        try extend(level + 1)
                        unbind(there, at)
                    }
                } else {
                    try arrive(there, at, level)
                }
                if sink.isClosed { return }
            }
        }
        guard path.edges.count < hops.upperBound else { return }
        let isStart = path.edges.isEmpty
        // What was an end so far becomes an inner node.
        if !isStart {
            guard request.admitsInner(index, at), request.cycles != .none || usedNodes[at] == nil else { return }
            usedNodes[at, default: 0] += 1
        }
        defer { if !isStart { release(at) } }
        for s in request.steps(at, direction) {
            try sink.step()
            guard request.admitsEdge(index, s.edge), request.cycles == .all || !usedEdges.contains(s.edge) else { continue }
            usedEdges.insert(s.edge)
            var longer = path
            if !isStart { longer.inner.append(at) }
            longer.edges.append(s.edge)
            try walk(index, hops, s.node, there, direction, reversed, level, longer)
            usedEdges.remove(s.edge)
            if sink.isClosed { return }
        }
    }

    /// Whether the path ends where it began.
    private func closes(_ path: GraphPath, _ at: Int32) -> Bool {
        guard let first = path.edges.first else { return true }
        let (s, t) = (request.graph.source[Int(first)], request.graph.target[Int(first)])
        // The first edge's end that is not the path's next node is where it began.
        let next = path.inner.first ?? at
        return (s == next ? t : s) == at
    }
}

/// Shortest paths between every two nodes that the ends of the pattern admit.
struct ShortestPaths {
    private let request: GraphRequest
    private let sink: GraphSink
    private let edge: GraphRequest.Edge
    private let hops: ClosedRange<Int>

    init(_ request: GraphRequest, _ sink: GraphSink) throws {
        guard let edge = request.edges.first, let hops = edge.hops, request.edges.count == 1 else {
            throw EvaluationError("shortest paths need one edge of variable length", at: request.range)
        }
        self.request = request
        self.sink = sink
        self.edge = edge
        self.hops = hops
    }

    mutating func run() throws {
        let n = request.graph.nodeCount
        var distance = [Int32](repeating: -1, count: n)
        var before = [[(edge: Int32, node: Int32)]](repeating: [], count: n)
        for start in 0..<Int32(truncatingIfNeeded: n) where request.admitsNode(edge.from, start) {
            var reached: [Int32] = [start]
            distance[Int(start)] = 0
            var level = [start]
            for d in 1...max(1, hops.upperBound) where !level.isEmpty {
                var next: [Int32] = []
                for v in level where v == start || request.admitsInner(0, v) {
                    for s in request.steps(v, edge.direction) {
                        try sink.step()
                        guard request.admitsEdge(0, s.edge) else { continue }
                        let known = distance[Int(s.node)]
                        if known < 0 {
                            distance[Int(s.node)] = Int32(truncatingIfNeeded: d)
                            reached.append(s.node)
                            next.append(s.node)
                        } else if known != d || s.node == start || !request.wantsAll {
                            continue
                        }
                        before[Int(s.node)].append((s.edge, v))
                    }
                }
                level = next
            }
            for end in reached.sorted() where request.admitsNode(edge.to, end) {
                let d = Int(distance[Int(end)])
                if d >= hops.lowerBound {
                    try emit(start, end, before)
                } else if end != start {
                    try longer(start, end, from: max(hops.lowerBound, d + 1))
                }
                if sink.isClosed { return }
            }
            for v in reached {
                distance[Int(v)] = -1
                before[Int(v)] = []
            }
        }
    }

    /// Paths back from the end through the nodes before.
    private func emit(_ start: Int32, _ end: Int32, _ before: [[(edge: Int32, node: Int32)]]) throws {
        // Edges and inner nodes so far, last first.
        var open: [(node: Int32, path: GraphPath)] = [(end, GraphPath())]
        while let (node, path) = open.popLast() {
            if node == start {
                let found = GraphPath(edges: path.edges.reversed(), inner: path.inner.reversed())
                try add(start, end, found)
                if sink.isClosed || !request.wantsAll { return }
                continue
            }
            for b in before[Int(node)].reversed() {
                var longer = path
                longer.edges.append(b.edge)
                if b.node != start { longer.inner.append(b.node) }
                open.append((b.node, longer))
                try sink.step()
            }
        }
    }

    /// The shortest are too short: those of the least length that is allowed, without meeting a node twice.
    private func longer(_ start: Int32, _ end: Int32, from least: Int) throws {
        for length in stride(from: least, through: hops.upperBound, by: 1) {
            var found: [GraphPath] = []
            var visited: Set<Int32> = [start]
            try simple(start, end, length, GraphPath(), &visited, &found)
            for p in found.prefix(request.wantsAll ? found.count : 1) { try add(start, end, p) }
            if !found.isEmpty || sink.isClosed { return }
        }
    }

    private func simple(
        _ at: Int32, _ end: Int32, _ left: Int, _ path: GraphPath, _ visited: inout Set<Int32>, _ found: inout [GraphPath]
    ) throws {
        for s in request.steps(at, edge.direction) {
            try sink.step()
            guard request.admitsEdge(0, s.edge), !visited.contains(s.node) else { continue }
            var longer = path
            longer.edges.append(s.edge)
            if left == 1 {
                if s.node == end { found.append(longer) }
            } else if s.node != end, request.admitsInner(0, s.node) {
                longer.inner.append(s.node)
                visited.insert(s.node)
                try simple(s.node, end, left - 1, longer, &visited, &found)
                visited.remove(s.node)
            }
            if !found.isEmpty, !request.wantsAll { return }
        }
    }

    private func add(_ start: Int32, _ end: Int32, _ path: GraphPath) throws {
        var nodes = [Int32](repeating: start, count: request.nodeCount)
        nodes[edge.from] = start
        nodes[edge.to] = end
        try sink.add(nodes: nodes, single: [-1], paths: [path])
    }
}
