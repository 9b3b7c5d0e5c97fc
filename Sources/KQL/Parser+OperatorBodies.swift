import Columnar

extension Parser {
    /// What follows an operator's name.
    mutating func operatorBody(_ text: String) -> Body {
        switch text {
        case "where", "filter":
            let p = parameters([])
            return (.filter(predicate()), p)
        case "extend": return (.extend(expressionList { $0.namedExpression() }), [])
        case "project": return (.project(endsOperator ? [] : expressionList { $0.namedExpression() }), [])
        case "project-away": return (.projectAway(endsOperator ? [] : expressionList { $0.columnPattern() }), [])
        case "project-keep": return (.projectKeep(expressionList { $0.columnPattern() }), [])
        case "project-rename": return (.projectRename(endsOperator ? [] : expressionList { $0.namedExpression() }), [])
        case "project-reorder": return (.projectReorder(expressionList { $0.reorderItem() }), [])
        case "project-by-names": return (.projectByNames(expressionList { $0.byNamesItem() }), [])
        case "take", "limit":
            let p = parameters([])
            return (.take(expression()), p)
        case "top": return top()
        case "sort", "order":
            let p = parameters([])
            guard clause("by", of: text, mend: "write `\(text) by column`") else { return (.sort(endsOperator ? [] : sortKeys()), p) }
            return (.sort(sortKeys()), p)
        case "distinct":
            let p = parameters([])
            return (.distinct(expressionList { $0.distinctItem() }), p)
        case "count": return (.count(as: eat("as") ? requireName("A column name") : nil), [])
        case "summarize": return summarize()
        case "join", "lookup": return join(text)
        case "union":
            let p = parameters(["kind", "withsource", "with_source", "isfuzzy"], strict: true)
            return (.union(expressionList { $0.tableOperand() }), p)
        case "mv-expand", "mvexpand": return mvExpand()
        case "mv-apply", "mvapply": return mvApply()
        case "parse", "parse-where": return parsePattern(filters: text == "parse-where")
        case "parse-kv": return parseKv()
        case "print": return (.print(expressionList { $0.namedExpression() }), [])
        case "range": return rangeSource()
        case "datatable": return datatable()
        case "externaldata": return externaldata()
        case "serialize":
            let p = parameters([])
            return (.serialize(endsOperator ? [] : expressionList { $0.namedExpression() }), p)
        case "evaluate":
            let p = parameters([])
            let call = postfix()
            return (.evaluate(call, schema: eat(":") ? schema(star: true) : nil), p)
        case "invoke": return (.invoke(postfix()), [])
        case "as":
            let p = parameters([])
            return (.alias(requireName("A name")), p)
        case "getschema": return (.getschema, parameters(["kind"]))
        case "sample":
            let p = parameters([])
            return (.sample(expression()), p)
        case "sample-distinct":
            let p = parameters([])
            let count = expression()
            _ = clause("of", of: text, mend: "write `sample-distinct 10 of column`")
            return (.sampleDistinct(count, of: expression()), p)
        case "consume": return (.consume, parameters(["decodeblocks"]))
        case "render": return render()
        case "make-series": return makeSeries()
        case "partition": return partition()
        case "fork": return fork()
        case "facet": return facet()
        case "top-nested": return topNested()
        case "top-hitters":
            let count = expression()
            _ = clause("of", of: text, mend: "write `top-hitters 5 of column`")
            let of = namedExpression()
            return (.topHitters(count, of: of, by: eat("by") ? namedExpression() : nil), [])
        case "search": return search()
        case "find": return find()
        case "reduce": return reduce()
        case "scan": return scan()
        case "assert-schema": return (.assertSchema(schema()), [])
        case "make-graph": return makeGraph()
        case "graph-match": return graphPattern(text)
        case "graph-shortest-paths": return graphPattern(text)
        case "graph-mark-components": return (.graphMarkComponents, parameters(["kind", "with_component_id"]))
        case "graph-to-table": return graphToTable()
        case "graph-where-nodes": return (.graphWhere(nodes: true, expression()), [])
        case "graph-where-edges": return (.graphWhere(nodes: false, expression()), [])
        default:
            skipToBoundary()
            return (.other([]), [])
        }
    }

    /// Nothing follows that the operator could take.
    var endsOperator: Bool { isAtEnd || at("|") || at(";") || at(")") || at("}") || at("]") }

    private mutating func predicate() -> Expr {
        if isName(), word(nameLength()) == "=" {
            let e = columnPath()
            let equals = current.range
            unexpected()
            advance()
            let right = expression()
            return make(.binary(.equal, e, right), SourceRange(e.range.lower, max(equals.upper, previousEnd)))
        }
        return expression()
    }

    private mutating func reorderItem() -> Expr {
        let e = columnPattern()
        let (descending, nullsFirst) = ordering()
        guard let descending else { return e }
        return make(.ordered(e, descending: descending, nullsFirst: nullsFirst), range(from: e.range.lower))
    }

    private mutating func byNamesItem() -> Expr {
        if let p = pattern() { return make(p.text == "*" ? .star : .name(p), p.range) }
        return postfix()
    }

    private mutating func distinctItem() -> Expr {
        if at("*"), !isTight(1) || token(1).kind == .punctuation || token(1).kind == .endOfText {
            let r = current.range
            advance()
            return make(.star, r)
        }
        return namedExpression()
    }

    private mutating func top() -> Body {
        let p = parameters([])
        let count = expression()
        guard clause("by", of: "top", mend: "write `top 10 by column`") else { return (.top(count, []), p) }
        return (.top(count, sortKeys()), p)
    }

    private mutating func summarize() -> Body {
        let p = parameters([])
        var aggregates: [Expr] = []
        if !at("by"), !endsOperator {
            repeat {
                if at("by") {
                    error("VK0010", "An aggregate is expected before `by`", current.range, mend: "remove the comma before `by`")
                    break
                }
                aggregates.append(namedExpression())
            } while !gaveUp && eat(",")
        }
        guard eat("by") else { return (.summarize(aggregates: aggregates, keys: []), p) }
        if at("*"), word(1) != "(" {
            let r = current.range
            advance()
            return (.summarize(aggregates: aggregates, keys: [make(.star, r)]), p)
        }
        return (.summarize(aggregates: aggregates, keys: expressionList { $0.namedExpression() }), p)
    }

    private mutating func join(_ text: String) -> Body {
        let p = parameters(["kind"], strict: true)
        let right: Expr
        if at("on") || endsOperator {
            error("VK0010", "`\(text)` needs a table to join with, not \(shown)", here, mend: "write `\(text) (Table) on column`")
            right = missing(current.range.lower)
        } else {
            right = tableOperand()
        }
        var on: [Expr] = []
        if clause("on", of: text, mend: "write `on column`, or `on $left.a == $right.b`") { on = expressionList { $0.expression() } }
        return (text == "join" ? .join(right: right, on: on) : .lookup(right: right, on: on), p)
    }

    // MARK: Expanding and parsing

    private mutating func mvItems() -> [MvItem] {
        var items: [MvItem] = []
        repeat {
            let e = namedExpression()
            items.append(MvItem(expr: e, type: toType()))
        } while !gaveUp && eat(",")
        return items
    }

    /// `to typeof(type)`.
    private mutating func toType() -> TypedName? {
        guard eat("to") else { return nil }
        let start = current.range
        guard at("typeof"), word(1) == "(" else {
            error("VK0023", "`to` needs `typeof(type)`, not \(shown)", start, mend: "write `to typeof(string)`")
            return nil
        }
        guard case .typeOf(let columns) = postfix().kind else { return nil }
        return columns.first
    }

    /// Settings before the columns; a column may have the name of one (`mv-expand kind = f(x)`).
    private mutating func mvSettings() -> [OperatorParameter] {
        var allowed: Set<String> = ["with_itemindex"]
        if ["bag", "array"].contains(word(2)) { allowed.formUnion(["bagexpansion", "kind"]) }
        let first = parameters(allowed)
        if first.isEmpty { return first }
        return first + mvSettings()
    }

    /// `limit n`; a sample of the pages has `take n`.
    private mutating func rowLimit() -> Expr? { eat("limit") || eat("take") ? expression() : nil }

    private mutating func mvExpand() -> Body {
        let p = mvSettings()
        let items = mvItems()
        return (.mvExpand(items, limit: rowLimit()), p)
    }

    private mutating func mvApply() -> Body {
        let p = mvSettings()
        let items = mvItems()
        let limit = rowLimit()
        if at("id"), token(1).kind == .typedLiteral {
            advance()
            advance()
        }
        guard clause("on", of: "mv-apply", mend: "write `mv-apply x on (where ... | ...)`") else {
            return (.mvApply(items, limit: limit, body: []), p)
        }
        return (.mvApply(items, limit: limit, body: parenthesisedBody()), p)
    }

    /// `(operator | operator ...)`.
    mutating func parenthesisedBody() -> [Operator] {
        let open = current
        guard expect("(") else { return [] }
        if at(")") {
            error("VK0012", "An operator is expected in the parentheses", current.range)
            advance()
            return []
        }
        let body = bodyOperators()
        close(")", opened: open)
        return body
    }

    private mutating func parsePattern(filters: Bool) -> Body {
        let p = parameters(["kind", "flags"])
        let e = expression()
        var segments: [ParseSegment] = []
        guard clause("with", of: filters ? "parse-where" : "parse", mend: "write `parse column with * \"text\" name:type *`") else {
            skipToBoundary()
            return (.parse(e, segments, filters: filters), p)
        }
        while !gaveUp {
            if current.kind == .string {
                let start = current.range.lower
                if case .literal(.string(let text)) = stringLiteral().kind { segments.append(.text(text, range(from: start))) }
            } else if at("*") {
                segments.append(.star(current.range))
                advance()
            } else if isName(), let n = name() {
                if eat(":") {
                    let (type, r) = type()
                    segments.append(.column(TypedName(name: n, type: type, typeRange: r)))
                } else {
                    let end = SourceRange(n.range.upper, n.range.upper)
                    segments.append(.column(TypedName(name: n, type: .string, typeRange: end)))
                }
            } else {
                break
            }
        }
        if segments.isEmpty {
            error("VK0027", "A pattern is expected after `with`, not \(shown)", here, mend: "write `* \"text\" name:type *`")
        }
        return (.parse(e, segments, filters: filters), p)
    }

    private mutating func parseKv() -> Body {
        let e = expression()
        guard clause("as", of: "parse-kv", mend: "write `parse-kv column as (name: type, ...)`") else { return (.parseKv(e, []), []) }
        let columns = schema()
        let p = eat("with") ? properties() : []
        return (.parseKv(e, columns), p)
    }

    // MARK: Sources

    private mutating func rangeSource() -> Body {
        let n = requireName("A column name")
        func part(_ keyword: String, _ parser: inout Parser) -> Expr {
            guard parser.clause(keyword, of: "range", mend: "write `range x from 1 to 10 step 1`") else {
                return parser.missing(parser.current.range.lower)
            }
            return parser.expression()
        }
        let from = part("from", &self)
        let to = part("to", &self)
        let step = part("step", &self)
        return (.range(n, from: from, to: to, step: step), [])
    }

    private mutating func datatable() -> Body {
        let p = parameters([])
        let columns = schema()
        let open = current
        guard expect("[", after: "the columns") else { return (.datatable(columns, []), p) }
        let values = bracketed(open)
        return (.datatable(columns, values), p)
    }

    /// Items up to `]`; a comma may end them.
    private mutating func bracketed(_ open: Token) -> [Expr] {
        var values: [Expr] = []
        while !at("]"), !isAtEnd, !gaveUp {
            let before = index
            values.append(expression())
            if eat(",") { continue }
            if at("]") { break }
            error("VK0011", "`,` or `]` is expected, not \(shown)", here)
            // A comma was forgotten: the value that follows is still one.
            if index == before || at(";") || at("|") || at(")") || at("}") { break }
        }
        close("]", opened: open)
        return values
    }

    private mutating func externaldata() -> Body {
        let p = parameters([])
        let columns = schema()
        let open = current
        guard expect("[", after: "the columns") else { return (.externaldata(columns, []), p) }
        let addresses = bracketed(open)
        return (.externaldata(columns, addresses), p + (eat("with") ? properties() : []))
    }
}
