import Columnar
import KQL

/// A range of panes: 8^level of them, from `index` x 8^level on.
struct PaneNodeID: Hashable {
    let level: Int
    let index: Int64
}

/// What is known of the panes of a range together.
struct PaneNode {
    /// The groups were merged into cells of the node's own; else they are those of its children.
    var isBuilt: Bool
    var cells: ContiguousArray<UInt32>
    static let empty = PaneNode(isBuilt: false, cells: [])
}

// The tree over the panes of an input, eight children a node.
//
// A node gets cells of its own only if they are at most half as many as its children have to show for it. So nodes take no more memory than
// the panes, and reading a node costs less than twice its groups. Nodes are made when a view first needs them, over panes that are not
// expected to change any more, and forgotten when one of their panes does.
extension PaneAggregation {
    private static let bits: Int64 = 3
    private static let mostLevels = 7
    /// Merging fewer cells is not worth a node.
    private static let leastCells = 4

    /// The cells of a range of panes: each group in the order of two cells a node.
    func cover(_ range: ClosedRange<Int64>, through: Int64, input: Int) throws -> ContiguousArray<UInt32> {
        var out = ContiguousArray<UInt32>()
        var at = position(range.lowerBound, input)
        // Panes of no row cost nothing: the range begins and ends with panes that exist.
        guard at < inputs[input].all.count, inputs[input].all[at].number <= range.upperBound else { return out }
        var low = holdsEveryRow ? inputs[input].all[at].number : max(range.lowerBound, inputs[input].all[0].number)
        let high = min(range.upperBound, inputs[input].all[inputs[input].all.count - 1].number)
        while low <= high {
            let level = holdsEveryRow ? 0 : largest(low, min(high, through))
            try append(PaneNodeID(level: level, index: low >> (Int64(level) * PaneAggregation.bits)), input, to: &out)
            let next = low + (1 << (Int64(level) * PaneAggregation.bits))
            // On to the next pane that exists, but not past the start of a node that may hold it.
            at = position(next, input)
            guard at < inputs[input].all.count else { break }
            low = level == 0 && holdsEveryRow ? inputs[input].all[at].number : next
            if low < inputs[input].all[at].number {
                let gap = inputs[input].all[at].number
                // Skip whole empty nodes of the level that the gap allows.
                low = aligned(low, gap)
            }
        }
        return out
    }

    /// The level of the largest node that begins at a pane and ends at or before `high`.
    private func largest(_ low: Int64, _ high: Int64) -> Int {
        var level = 0
        while level < PaneAggregation.mostLevels {
            let size = Int64(1) << (Int64(level + 1) * PaneAggregation.bits)
            guard low & (size - 1) == 0, low <= high - (size - 1) else { break }
            level += 1
        }
        return level
    }

    /// The start of the largest node that holds `pane` and begins at or after `low`.
    private func aligned(_ low: Int64, _ pane: Int64) -> Int64 {
        var best = pane
        for level in 1...PaneAggregation.mostLevels {
            let start = (pane >> (Int64(level) * PaneAggregation.bits)) << (Int64(level) * PaneAggregation.bits)
            if start < low { break }
            best = start
        }
        return best
    }

    /// Adds the cells of a node: its own, or those of its children.
    private func append(_ id: PaneNodeID, _ input: Int, to out: inout ContiguousArray<UInt32>) throws {
        if id.level == 0 {
            let at = position(id.index, input)
            if at < inputs[input].all.count, inputs[input].all[at].number == id.index { out += inputs[input].all[at].cells }
            return
        }
        // A node over one pane or none is that pane.
        let first = id.index << (Int64(id.level) * PaneAggregation.bits)
        let last = first + (1 << (Int64(id.level) * PaneAggregation.bits)) - 1
        let at = position(first, input)
        guard at < inputs[input].all.count, inputs[input].all[at].number <= last else { return }
        if at + 1 == inputs[input].all.count || inputs[input].all[at + 1].number > last {
            out += inputs[input].all[at].cells
            return
        }
        if let known = inputs[input].nodes[id], known.isBuilt {
            out += known.cells
            return
        }
        let known = inputs[input].nodes[id]
        let start = out.count
        for child in 0..<(Int64(1) << PaneAggregation.bits) {
            try append(PaneNodeID(level: id.level - 1, index: (id.index << PaneAggregation.bits) + child), input, to: &out)
        }
        // Known and not built: it was not worth it.
        if known != nil { return }
        let cells = ContiguousArray(out[start...])
        var node = PaneNode.empty
        if cells.count >= PaneAggregation.leastCells {
            beginMarks()
            var groups = ContiguousArray<UInt32>()
            let to = ContiguousArray<UInt32>(
                cells.map { c in
                    let g = groupOf[Int(c)]
                    let n = number(g)
                    if Int(n) == groups.count { groups.append(g) }
                    return n
                })
            if 2 * groups.count <= cells.count {
                node = PaneNode(isBuilt: true, cells: try mergeCells(cells, to, groups))
                out.removeSubrange(start...)
                out += node.cells
            }
        }
        inputs[input].nodes[id] = node
        inputs[input].coveredThrough = max(inputs[input].coveredThrough, last)
    }

    /// Forgets the nodes over a pane.
    func forgetNodes(over number: Int64, _ input: Int) {
        for level in 1...PaneAggregation.mostLevels {
            let id = PaneNodeID(level: level, index: number >> (Int64(level) * PaneAggregation.bits))
            if let node = inputs[input].nodes.removeValue(forKey: id), node.isBuilt { drop(node.cells.count) }
        }
    }

    /// Forgets the nodes that begin before a pane: some of their panes are gone.
    func forgetNodes(startingBefore number: Int64, _ input: Int) {
        for (id, node) in inputs[input].nodes where id.index << (Int64(id.level) * PaneAggregation.bits) < number {
            inputs[input].nodes[id] = nil
            if node.isBuilt { drop(node.cells.count) }
        }
        if inputs[input].nodes.isEmpty { inputs[input].coveredThrough = .min }
    }
}
