import Columnar

// Operators with clauses of their own.
extension Parser {
    mutating func render() -> Body {
        let kind: Name? = current.kind == .identifier && !at("with") ? name() : nil
        var p: [OperatorParameter] = []
        if at("with"), word(1) == "(" {
            advance()
            return (.render(kind), properties())
        }
        while current.kind == .identifier, !gaveUp {
            guard let n = name() else { break }
            if n.text == "by" || n.text == "with" {
                let values = expressionList { $0.binary(.additive) }
                p += values.map { OperatorParameter(name: n, value: $0) }
            } else if eat("=") {
                p.append(OperatorParameter(name: n, value: binary(.additive)))
            } else {
                error("VK0013", "Unexpected `\(n.text)`", n.range, mend: "write `render timechart with (title=\"...\")`")
                skipToBoundary()
                break
            }
            _ = eat(",")
        }
        return (.render(kind), p)
    }

    mutating func makeSeries() -> Body {
        var p = parameters(["kind"])
        var aggregates: [Expr] = []
        repeat {
            let e = namedExpression()
            if at("default"), word(1) == "=" {
                advance()
                advance()
                let value = expression()
                aggregates.append(make(.defaulted(e, value: value), range(from: e.range.lower)))
            } else {
                aggregates.append(e)
            }
        } while !gaveUp && eat(",")
        var from: Expr?
        var to: Expr?
        var step: Expr?
        guard clause("on", of: "make-series", mend: "write `make-series count() on TimeGenerated from a to b step 1h`") else {
            skipToBoundary()
            return (.makeSeries(aggregates: aggregates, on: missing(current.range.lower), from: nil, to: nil, step: nil, keys: []), p)
        }
        // Tighter than `in`, which may follow.
        let on = isName() && word(nameLength()) == "=" ? namedExpression() : binary(.additive)
        if at("in"), word(1) == "range" {
            // Known to the binder as a parameter: this form bins otherwise and takes its end in.
            let place = current.range
            p.append(OperatorParameter(name: Name("in range", range: place), value: make(.literal(.bool(true)), place)))
            advance()
            advance()
            let items = at("(") ? arguments(named: false) : []
            if items.count != 3 {
                error("VK0023", "`in range` takes start, end and step", range(from: on.range.upper), mend: "write `in range(a, b, 1h)`")
            }
            from = items.first
            to = items.count > 1 ? items[1] : nil
            step = items.count > 2 ? items[2] : nil
        } else {
            if eat("from") { from = expression() }
            if eat("to") { to = expression() }
            if clause("step", of: "make-series", mend: "write `step 1h`") { step = expression() }
        }
        let keys = eat("by") ? expressionList { $0.namedExpression() } : []
        return (.makeSeries(aggregates: aggregates, on: on, from: from, to: to, step: step, keys: keys), p)
    }

    mutating func partition() -> Body {
        let p = parameters(["id"])
        _ = clause("by", of: "partition", mend: "write `partition by column (operators)`")
        let by = columnPath()
        if eat("in") { _ = postfix() }
        let start = current.range.lower
        if at("{") {
            let open = current
            advance()
            let e = pipeExpression()
            close("}", opened: open)
            return (.partition(by: by, body: e), p)
        }
        let body = parenthesisedBody()
        let r = range(from: start)
        return (.partition(by: by, body: make(.query(Query(source: .input, operators: body, range: r)), r)), p)
    }

    mutating func fork() -> Body {
        var bodies: [Expr] = []
        while at("(") || (isName() && word(nameLength()) == "="), !gaveUp {
            let start = current.range.lower
            var n: Name?
            if !at("(") {
                n = name()
                advance()
            }
            let bodyStart = current.range.lower
            let operators = parenthesisedBody()
            let r = range(from: bodyStart)
            let e = make(.query(Query(source: .input, operators: operators, range: r)), r)
            bodies.append(n.map { make(.named([$0], e), range(from: start)) } ?? e)
        }
        if bodies.isEmpty {
            error("VK0023", "`fork` needs branches in parentheses, not \(shown)", here, mend: "write `fork (where a) (where b)`")
        }
        return (.fork(bodies), [])
    }

    mutating func facet() -> Body {
        _ = clause("by", of: "facet", mend: "write `facet by column`")
        let columns = expressionList { $0.columnPath() }
        guard eat("with") else { return (.facet(columns, with: []), []) }
        return (.facet(columns, with: at("(") ? parenthesisedBody() : bodyOperators()), [])
    }

    mutating func topNested() -> Body {
        var levels: [TopNestedLevel] = []
        while !gaveUp {
            let count: Expr? = at("of") ? nil : expression()
            _ = clause("of", of: "top-nested", mend: "write `top-nested 3 of column by sum(x)`")
            let of = namedExpression()
            var others: Expr?
            if at("with"), word(1) == "others" {
                advance()
                advance()
                expect("=")
                others = expression()
            }
            _ = clause("by", of: "top-nested", mend: "write `by sum(x)`")
            let start = current.range.lower
            var by = namedExpression()
            let (descending, nullsFirst) = ordering()
            if let descending { by = make(.ordered(by, descending: descending, nullsFirst: nullsFirst), range(from: start)) }
            levels.append(TopNestedLevel(count: count, of: of, others: others, by: by))
            guard at(",") else { break }
            advance()
            guard at("top"), word(1) == "-", word(2) == "nested" else {
                error("VK0023", "`top-nested` is expected after the comma, not \(shown)", here)
                break
            }
            for _ in 0..<3 { advance() }
        }
        return (.topNested(levels), [])
    }

    private mutating func inTables() -> [Expr] {
        guard at("in"), word(1) == "(" else { return [] }
        advance()
        let open = current
        advance()
        let tables = at(")") ? [] : expressionList { $0.tableOperand() }
        close(")", opened: open)
        return tables
    }

    mutating func search() -> Body {
        let p = parameters(["kind", "datascope"])
        let tables = inTables()
        let outer = isSearching
        isSearching = true
        defer { isSearching = outer }
        return (.search(expression(), in: tables), p)
    }

    mutating func find() -> Body {
        let p = parameters(["withsource", "with_source", "datascope"])
        let tables = inTables()
        _ = eat("where")
        let outer = isSearching
        isSearching = true
        let e = expression()
        isSearching = outer
        var columns: [Expr] = []
        if at("project"), word(1) == "-", word(2) == "smart" {
            for _ in 0..<3 { advance() }
        } else if at("project"), word(1) != "-", eat("project") {
            columns = expressionList {
                let item = $0.namedExpression()
                // `column: type` asks for a type that tables may lack.
                guard $0.eat(":") else { return item }
                let (type, r) = $0.type()
                guard case .name(let n) = item.kind else { return item }
                return $0.make(.typeOf([TypedName(name: n, type: type, typeRange: r)]), $0.range(from: item.range.lower))
            }
        }
        if at("project"), word(1) == "-", word(2) == "away" {
            error(
                "VK0205", "`project-away` of `find` is not supported: it is not documented", current.range,
                mend: "write `| project-away ...` behind it")
            skipToBoundary()
        }
        return (.find(in: tables, predicate: e, project: columns), p)
    }

    mutating func reduce() -> Body {
        var p = parameters(["kind"])
        _ = clause("by", of: "reduce", mend: "write `reduce by column`")
        let e = namedExpression()
        if eat("with") {
            if at("(") {
                p += properties()
            } else {
                repeat {
                    let n = requireName("A property")
                    expect("=")
                    p.append(OperatorParameter(name: n, value: binary(.additive)))
                } while !gaveUp && eat(",")
            }
        }
        return (.reduce(e), p)
    }

    // MARK: Scan

    mutating func scan() -> Body {
        var p = parameters(["with_match_id", "with_step_name"])
        var orderBy: [SortKey] = []
        var partitionBy: [Expr] = []
        var declared: [Parameter] = []
        if at("order"), word(1) == "by" {
            advance()
            advance()
            orderBy = sortKeys()
        }
        if at("partition"), word(1) == "by" {
            advance()
            advance()
            partitionBy = expressionList { $0.expression() }
        }
        p += parameters(["with_match_id", "with_step_name"])
        if eat("declare") { declared = parameterList() }
        guard clause("with", of: "scan", mend: "write `scan with (step s: condition => column = value;)`") else {
            skipToBoundary()
            return (.scan(ScanClause(orderBy: orderBy, partitionBy: partitionBy, declared: declared, steps: [])), p)
        }
        let open = current
        expect("(")
        var steps: [ScanStep] = []
        while at("step"), !gaveUp {
            steps.append(scanStep())
            if !eat(";"), !at(")") { break }
        }
        if steps.isEmpty { error("VK0023", "`scan` needs a step, not \(shown)", here, mend: "write `step s: condition;`") }
        close(")", opened: open)
        return (.scan(ScanClause(orderBy: orderBy, partitionBy: partitionBy, declared: declared, steps: steps)), p)
    }

    private mutating func scanStep() -> ScanStep {
        advance()
        let n = requireName("A step name")
        let isOptional = eat("optional")
        var output = ScanStep.Output.all
        if at("output"), word(1) == "=" {
            advance()
            advance()
            if let o = ScanStep.Output(rawValue: word) {
                output = o
            } else {
                error("VK0022", "\(shown) is no output of a step", current.range, mend: "use `all`, `last` or `none`")
            }
            advance()
        }
        expect(":", after: "the step's name")
        let condition = expression()
        var assignments: [Expr] = []
        if eat("=>") { assignments = expressionList { $0.namedExpression() } }
        return ScanStep(name: n, isOptional: isOptional, output: output, condition: condition, assignments: assignments)
    }
}
