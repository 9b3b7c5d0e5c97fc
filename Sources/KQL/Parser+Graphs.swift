import Columnar

extension Parser {
    mutating func makeGraph() -> Body {
        var p = parameters([])
        let source = columnPath()
        if at("-"), word(1) == "-", word(2) == ">" {
            for _ in 0..<3 { advance() }
        } else {
            error(
                "VK0011", "`-->` is expected after the source column, not \(shown)", here,
                mend: "write `make-graph Source --> Target with Nodes on Id`")
        }
        let target = columnPath()
        var nodes: [GraphNodeTable] = []
        p += parameters(["with_node_id"])
        if eat("with") {
            repeat {
                let table = tableOperand()
                guard clause("on", of: "make-graph", mend: "write `with Nodes on Id`") else { break }
                nodes.append(GraphNodeTable(table: table, id: columnPath()))
            } while !gaveUp && eat(",")
        }
        p += parameters(["with_node_id"])
        var by: Expr?
        var body: [Operator] = []
        if at("partitioned"), word(1) == "-", word(2) == "by" {
            for _ in 0..<3 { advance() }
            by = columnPath()
            body = parenthesisedBody()
        }
        return (.makeGraph(MakeGraphClause(source: source, target: target, nodes: nodes, partitionedBy: by, body: body)), p)
    }

    /// `graph-match` and `graph-shortest-paths`.
    mutating func graphPattern(_ text: String) -> Body {
        let p = parameters(["cycles", "output"])
        var patterns: [[GraphPatternElement]] = []
        repeat { patterns.append(graphPath()) } while !gaveUp && eat(",")
        let predicate: Expr? = eat("where") ? expression() : nil
        let columns = eat("project") ? expressionList { $0.namedExpression() } : []
        let parts = GraphPatternClause(patterns: patterns, predicate: predicate, project: columns)
        return (text == "graph-match" ? .graphMatch(parts) : .graphShortestPaths(parts), p)
    }

    private mutating func graphPath() -> [GraphPatternElement] {
        var path: [GraphPatternElement] = []
        guard let first = graphNode() else { return path }
        path.append(first)
        while at("-") || at("<"), !gaveUp {
            guard let edge = graphEdge() else { break }
            path.append(edge)
            guard let node = graphNode() else { break }
            path.append(node)
        }
        return path
    }

    private mutating func graphNode() -> GraphPatternElement? {
        let open = current
        guard expect("(", after: "an edge or the start of the pattern") else {
            skipToBoundary()
            return nil
        }
        let n = name()
        close(")", opened: open)
        return .node(n, range(from: open.range.lower))
    }

    /// `-->`, `<--`, `--`, `-[e]->`, `<-[e]-`, `-[e*1..3]-`.
    private mutating func graphEdge() -> GraphPatternElement? {
        let start = current.range.lower
        let backward = eat("<")
        func expected(_ parser: inout Parser) -> GraphPatternElement? {
            parser.error(
                "VK0011", "An edge is expected, not \(parser.shown)", parser.current.range, mend: "write `-[e]->`, `<-[e]-`, `-->` or `--`")
            parser.skipToBoundary()
            return nil
        }
        guard eat("-") else { return expected(&self) }
        var n: Name?
        var hops: GraphHops?
        if at("[") {
            let open = current
            advance()
            n = name()
            if eat("*") {
                let low = postfix()
                expect("..", after: "the least number of steps")
                let high = postfix()
                hops = GraphHops(low: low, high: high)
            }
            close("]", opened: open)
        }
        guard eat("-") else { return expected(&self) }
        let forward = !backward && eat(">")
        return .edge(n, backward ? .backward : forward ? .forward : .any, hops: hops, range(from: start))
    }

    mutating func graphToTable() -> Body {
        var tables: [GraphTable] = []
        repeat {
            let isNodes = at("nodes")
            if !isNodes, !at("edges") {
                error("VK0023", "`graph-to-table` needs `nodes` or `edges`, not \(shown)", here, mend: "write `graph-to-table nodes`")
                skipToBoundary()
                break
            }
            advance()
            let n: Name? = eat("as") ? requireName("A name") : nil
            tables.append(
                GraphTable(isNodes: isNodes, name: n, parameters: parameters(["with_node_id", "with_source_id", "with_target_id"])))
        } while !gaveUp && eat(",")
        return (.graphToTable(tables), [])
    }
}
