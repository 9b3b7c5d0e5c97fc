import Columnar
import KQL

/// A graph of one execution: properties in columns, nodes and edges by number, edges by the node they leave and enter.
///
/// Nodes are numbered in the order in which they appear: in the tables of nodes, then in the edges, source before target.
final class Graph {
    /// Properties of the nodes, then their identifier, incoming and outgoing edges (``GraphShape``).
    let nodes: Batch
    let edges: Batch
    let source: ContiguousArray<Int32>
    let target: ContiguousArray<Int32>
    /// Edges by source: those of node `n` are `outEdges[outStarts[n]..<outStarts[n + 1]]`, in order of their number.
    let outStarts: ContiguousArray<Int>
    let outEdges: ContiguousArray<Int32>
    let inStarts: ContiguousArray<Int>
    let inEdges: ContiguousArray<Int32>
    /// The partition of each node, where the graph has partitions; their number.
    let partitions: ContiguousArray<UInt32>?
    let partitionCount: Int

    var nodeCount: Int { nodes.count }
    var edgeCount: Int { edges.count }

    /// `properties` are the nodes' without the three hidden columns; `ids` their identifiers.
    init(
        properties: Batch, ids: Column, edges: Batch, source: ContiguousArray<Int32>, target: ContiguousArray<Int32>,
        partitions: ContiguousArray<UInt32>? = nil, partitionCount: Int = 0
    ) {
        self.edges = edges
        self.source = source
        self.target = target
        self.partitions = partitions
        self.partitionCount = partitionCount
        let n = properties.count
        (outStarts, outEdges) = Graph.adjacency(source, nodes: n)
        (inStarts, inEdges) = Graph.adjacency(target, nodes: n)
        func degrees(_ starts: ContiguousArray<Int>) -> Column {
            Column(.long, .longs(ContiguousArray((0..<n).lazy.map { Int64(starts[$0 + 1] - starts[$0]) })))
        }
        nodes = Batch(
            columns: properties.columns + [ids, degrees(inStarts), degrees(outStarts)], count: n, keys: properties.keys,
            lineage: properties.lineage)
    }

    private static func adjacency(_ ends: ContiguousArray<Int32>, nodes: Int) -> (ContiguousArray<Int>, ContiguousArray<Int32>) {
        var starts = ContiguousArray(repeating: 0, count: nodes + 1)
        for e in ends { starts[Int(e) + 1] += 1 }
        for i in 0..<nodes { starts[i + 1] += starts[i] }
        var next = starts
        var edges = ContiguousArray<Int32>(repeating: 0, count: ends.count)
        for (i, e) in ends.enumerated() {
            edges[next[Int(e)]] = Int32(truncatingIfNeeded: i)
            next[Int(e)] += 1
        }
        return (starts, edges)
    }

    func out(_ node: Int32) -> ArraySlice<Int32> { ArraySlice(outEdges[outStarts[Int(node)]..<outStarts[Int(node) + 1]]) }
    func into(_ node: Int32) -> ArraySlice<Int32> { ArraySlice(inEdges[inStarts[Int(node)]..<inStarts[Int(node) + 1]]) }

    /// The graph of some nodes and the edges between them.
    func induced(_ chosen: ContiguousArray<Int32>) -> Graph {
        var number = ContiguousArray<Int32>(repeating: -1, count: nodeCount)
        for (i, n) in chosen.enumerated() { number[Int(n)] = Int32(truncatingIfNeeded: i) }
        let kept = ContiguousArray(
            (0..<edgeCount).lazy.filter { number[Int(self.source[$0])] >= 0 && number[Int(self.target[$0])] >= 0 }
                .map { Int32(truncatingIfNeeded: $0) })
        let properties = Batch(
            columns: Array(nodes.columns.dropLast(GraphShapeColumns.hidden)), count: nodeCount, keys: nodes.keys, lineage: nodes.lineage)
        return Graph(
            properties: properties.gather(chosen), ids: nodes.columns[nodes.columns.count - GraphShapeColumns.hidden].gather(chosen),
            edges: edges.gather(kept), source: ContiguousArray(kept.lazy.map { number[Int(self.source[Int($0)])] }),
            target: ContiguousArray(kept.lazy.map { number[Int(self.target[Int($0)])] }))
    }

    /// The same graph with a further property of the nodes.
    func adding(_ property: Column) -> Graph {
        let at = nodes.columns.count - GraphShapeColumns.hidden
        let properties = Batch(
            columns: Array(nodes.columns[..<at]) + [property], count: nodeCount, keys: nodes.keys, lineage: nodes.lineage)
        return Graph(
            properties: properties, ids: nodes.columns[at], edges: edges, source: source, target: target, partitions: partitions,
            partitionCount: partitionCount)
    }

    // MARK: Components

    /// The component of each node, ignoring directions; numbered in the order of their first nodes.
    func weakComponents() -> ContiguousArray<Int64> {
        var parent = ContiguousArray((0..<Int32(truncatingIfNeeded: nodeCount)))
        func root(_ n: Int32) -> Int32 {
            var n = n
            while parent[Int(n)] != n {
                parent[Int(n)] = parent[Int(parent[Int(n)])]
                n = parent[Int(n)]
            }
            return n
        }
        for i in 0..<edgeCount {
            let a = root(source[i]), b = root(target[i])
            if a != b { parent[Int(max(a, b))] = min(a, b) }
        }
        return numbered(ContiguousArray((0..<Int32(truncatingIfNeeded: nodeCount)).map(root)))
    }

    /// The component of each node whose nodes all reach each other.
    func strongComponents() -> ContiguousArray<Int64> {
        // Tarjan's algorithm with its own stack.
        var index = ContiguousArray<Int32>(repeating: -1, count: nodeCount)
        var low = index
        var component = index
        var onStack = ContiguousArray(repeating: false, count: nodeCount)
        var stack = ContiguousArray<Int32>()
        var calls: [(node: Int32, next: Int)] = []
        var counter: Int32 = 0
        for start in 0..<Int32(truncatingIfNeeded: nodeCount) where index[Int(start)] < 0 {
            calls.append((start, outStarts[Int(start)]))
            while let (node, next) = calls.last {
                let v = Int(node)
                if index[v] < 0 {
                    index[v] = counter
                    low[v] = counter
                    counter += 1
                    stack.append(node)
                    onStack[v] = true
                }
                if next < outStarts[v + 1] {
                    calls[calls.count - 1].next += 1
                    let w = Int(target[Int(outEdges[next])])
                    if index[w] < 0 {
                        calls.append((Int32(truncatingIfNeeded: w), outStarts[w]))
                    } else if onStack[w] {
                        low[v] = min(low[v], index[w])
                    }
                    continue
                }
                calls.removeLast()
                if let caller = calls.last { low[Int(caller.node)] = min(low[Int(caller.node)], low[v]) }
                if low[v] == index[v] {
                    while let w = stack.popLast() {
                        onStack[Int(w)] = false
                        component[Int(w)] = node
                        if w == node { break }
                    }
                }
            }
        }
        return numbered(component)
    }

    private func numbered(_ representatives: ContiguousArray<Int32>) -> ContiguousArray<Int64> {
        var numbers = ContiguousArray<Int64>(repeating: -1, count: nodeCount)
        var next: Int64 = 0
        return ContiguousArray(
            representatives.map { r in
                if numbers[Int(r)] < 0 {
                    numbers[Int(r)] = next
                    next += 1
                }
                return numbers[Int(r)]
            })
    }
}

/// How many columns every node has behind its properties: its identifier, incoming and outgoing edges.
enum GraphShapeColumns {
    static let hidden = 3
}
