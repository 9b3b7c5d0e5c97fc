private func op(
    _ name: String, aliases: [String] = [], _ syntax: String, _ summary: String, _ example: String,
    support: LanguageElement.Support = .supported, notes: String = ""
) -> LanguageElement {
    LanguageElement(.tabularOperator, name, aliases: aliases, syntax, summary, example, support: support, notes: notes)
}

private let people = "datatable(user: string, n: long)['a', 1, 'a', 2, 'b', 3] "

extension Language {
    /// Tabular operators: what may follow a bar or start a query. The parser knows no others.
    static let operators: [LanguageElement] = rowOperators + groupOperators + tableOperators + expandingOperators + graphOperators

    private static let rowOperators = [
        op(
            "where", aliases: ["filter"], "where predicate", "Keeps the rows for which the predicate is true.",
            "range x from 1 to 5 step 1 | where x > 3"),
        op(
            "extend", "extend [name =] expr, ...", "Adds columns, or replaces those of the same name.",
            "range x from 1 to 3 step 1 | extend y = x * 2"),
        op(
            "project", "project [name =] expr, ...", "Keeps and computes the columns that are listed, in this order.",
            people + "| project n, who = user"),
        op("project-away", "project-away column, ...", "Drops columns; names may have wildcards.", people + "| project-away n*"),
        op(
            "project-keep", "project-keep column, ...", "Keeps columns in their order; names may have wildcards.",
            people + "| project-keep n"),
        op("project-rename", "project-rename new = old, ...", "Renames columns.", people + "| project-rename who = user"),
        op(
            "project-reorder", "project-reorder column [asc|desc|granny-asc|granny-desc], ...", "Moves columns to the front.",
            people + "| project-reorder n"),
        op(
            "project-by-names", "project-by-names name, ...", "Keeps columns by names, wildcards and arrays of names.",
            people + "| project-by-names 'n', dynamic(['user'])"),
        op("take", aliases: ["limit"], "take rows", "Keeps some rows: here the first in row order.", people + "| take 2"),
        op("top", "top rows by expr [asc|desc] [nulls first|last], ...", "Keeps the first rows of an order.", people + "| top 1 by n"),
        op(
            "sort", aliases: ["order"], "sort by expr [asc|desc] [nulls first|last], ...",
            "Orders the rows; descending unless said otherwise.",
            people + "| sort by user asc, n desc"),
        op(
            "serialize", "serialize [name = expr, ...]", "Fixes the order of rows, so that functions may look at other rows.",
            people + "| serialize before = prev(n)"),
        op(
            "sample", "sample rows", "Keeps rows chosen at random; the choice is a function of the seed and the rows.",
            people + "| sample 2"),
        op(
            "sample-distinct", "sample-distinct values of column", "Keeps some distinct values of a column.",
            people + "| sample-distinct 2 of user"),
        op(
            "parse", "parse [kind=simple|relaxed|regex] [flags=f] expr with * 'text' column[:type] ...",
            "Takes a text apart by a pattern; rows that do not match get nulls.",
            "print s = 'user=bob port=22' | parse s with 'user=' user ' port=' port: int"),
        op(
            "parse-where", "parse-where [kind=...] expr with ...", "As parse, but drops rows that do not match.",
            "print s = 'user=bob' | parse-where s with 'user=' user"),
        op(
            "parse-kv", "parse-kv expr as (key: type, ...) with (pair_delimiter=..., kv_delimiter=..., quote=..., regex=...)",
            "Takes keys and values out of a text.",
            "print s = 'a=1;b=x' | parse-kv s as (a: long, b: string) with (pair_delimiter=';', kv_delimiter='=')"),
        op(
            "scan", "scan [order by ...] [partition by ...] [declare (...)] with (step name: condition => column = expr, ...; ...)",
            "Matches sequences of rows, step by step.",
            "range x from 1 to 4 step 1 | scan declare (total: long = 0) with (step s: true => total = x + s.total;)",
            notes: "`partition by` inside scan, `with_step_name` and optional steps are refused (VK0205)"),
        op(
            "invoke", "invoke function(arguments)", "Calls a function whose first parameter is the table.",
            "let f = (t: (n: long)) { t | where n > 1 }; " + people + "| invoke f()"),
        op(
            "as", "as name", "Names the table, for later use in the query and for `withsource`.",
            people + "| as T | where n == toscalar(T | summarize max(n))"),
        op("consume", "consume", "Reads all rows and gives none.", people + "| consume"),
        op("getschema", "getschema", "Gives one row for each column: name, place, types.", people + "| getschema"),
        op(
            "assert-schema", "assert-schema (column: type, ...)", "Fails unless the table has these columns.",
            people + "| assert-schema (user: string, n: long)", support: .refused(code: "VK0200", reason: "it is not supported yet")),
        op(
            "render", "render kind [with (title=..., ...)]", "Says how the result is drawn; the rows stay as they are.",
            people + "| render piechart"),
    ]

    private static let groupOperators = [
        op(
            "summarize", "summarize [name =] aggregate, ... [by [name =] expr, ...]", "Gives one row for each group of rows.",
            people + "| summarize count(), total = sum(n) by user"),
        op("count", "count [as name]", "Gives the number of rows.", people + "| count"),
        op("distinct", "distinct column, ...", "Gives the distinct combinations of columns.", people + "| distinct user"),
        op(
            "make-series", "make-series [name =] aggregate [default=value], ... on axis [from start] [to end] step size [by expr, ...]",
            "Gives arrays of aggregated values over equal steps of an axis.",
            "range t from datetime(2026-01-01) to datetime(2026-01-03) step 1d | make-series n = count() default=0 on t from datetime(2026-01-01) to datetime(2026-01-05) step 1d"
        ),
        op(
            "top-nested", "top-nested [rows] of [name =] expr [with others=value] by [name =] aggregate, ...",
            "The greatest groups, and within each the greatest of the next level.",
            people + "| top-nested 1 of user by sum(n), top-nested 1 of n by max(n)"),
        op(
            "top-hitters", "top-hitters rows of expr [by number]", "The most frequent values, or those with the greatest sum.",
            people + "| top-hitters 1 of user", notes: "exact, not approximate"),
        op(
            "reduce", "reduce [kind=source] by expr [with threshold=..., characters=...]",
            "Groups texts by patterns with `*` for what varies.",
            "datatable(s: string)['login of bob', 'login of ann'] | reduce by s"),
        op(
            "partition", "partition [hint.strategy=...] by column (operators)", "Runs operators over the rows of each value of a column.",
            people + "| partition by user (top 1 by n)"),
        op(
            "facet", "facet by column, ... [with (operators)]", "Gives one table of values for each column.", people + "| facet by user, n",
            notes: "several results: in hunts, at the end of the query"),
        op(
            "fork", "fork [name =] (operators) ...", "Runs several branches over the same rows.", people + "| fork (count) (where n > 1)",
            notes: "several results: in hunts, at the end of the query"),
    ]

    private static let tableOperators = [
        op(
            "join", "join [kind=...] (table) on key, ... | $left.a == $right.b", "Pairs the rows of two tables that have equal keys.",
            people + "| join kind=inner (datatable(user: string, age: long)['a', 30]) on user"),
        op(
            "lookup", "lookup [kind=leftouter|inner] (table) on key, ...", "Adds the columns of a small table to rows with equal keys.",
            people + "| lookup (datatable(user: string, age: long)['a', 30]) on user"),
        op(
            "union", "union [kind=inner|outer] [withsource=name] [isfuzzy=true] table, ...", "Gives the rows of all tables.",
            "union withsource=T (print x = 1), (print x = 2)"),
        op("search", "search [kind=...] [in (table, ...)] predicate", "Looks for texts in all columns of tables.", people + "| search 'a'"),
        op(
            "find", "find [withsource=name] [in (table, ...)] where predicate [project ...]",
            "Gives the rows of several tables that meet a condition.",
            "let T = view () { print x = 1 }; find in (T) where x == 1 project x", notes: "only at the start of a query"),
        op("print", "print [name =] expr, ...", "Gives one row of computed values.", "print x = 1 + 1"),
        op("range", "range name from start to end step size", "Gives rows with evenly spaced values.", "range x from 1 to 10 step 2"),
        op("datatable", "datatable (column: type, ...) [value, ...]", "Gives rows that are written in the query.", people),
        op(
            "externaldata", "externaldata (column: type, ...) ['address', ...] [with (format=..., ...)]",
            "Reads a table from files or addresses.",
            "externaldata (ip: string) ['https://feeds.example/list.csv'] with (format='csv') | where isnotempty(ip)",
            notes: "addresses must be allowed by the configuration (VK0212)"),
        op("evaluate", "evaluate plugin(arguments) [: (column: type, ...)]", "Calls a plugin.", people + "| evaluate narrow()"),
        op(
            "macro-expand", "macro-expand entity_group as name (operators)", "Runs a query over several databases.",
            "macro-expand entity_group [cluster('c').database('d')] as X (X.T)",
            support: .refused(code: "VK0200", reason: "there are no other databases")),
    ]

    private static let expandingOperators = [
        op(
            "mv-expand", aliases: ["mvexpand"],
            "mv-expand [kind=bag|array] [with_itemindex=name] [name =] expr [to typeof(type)], ... [limit rows]",
            "Gives one row for each element of an array or property of a bag.", "print a = dynamic([1, 2]) | mv-expand a to typeof(long)"),
        op(
            "mv-apply", aliases: ["mvapply"], "mv-apply [name =] expr [to typeof(type)], ... [limit rows] on (operators)",
            "Runs operators over the elements of each row's array.",
            "print a = dynamic([3, 1, 2]) | mv-apply a to typeof(long) on (top 1 by a)"),
    ]

    private static let edges = "datatable(s: string, t: string)['a', 'b', 'b', 'c'] | make-graph s --> t with_node_id=id "

    private static let graphOperators = [
        op(
            "make-graph", "make-graph source --> target [with nodes on key | with_node_id=name]", "Makes a graph of a table of edges.",
            edges + "| graph-to-table nodes"),
        op(
            "graph-match", "graph-match [cycles=...] pattern [where condition] project expr, ...", "Finds patterns of nodes and edges.",
            edges + "| graph-match (x)-[e]->(y) where x.id == 'a' project y.id"),
        op(
            "graph-shortest-paths", "graph-shortest-paths [output=any|all] pattern [where condition] project expr, ...",
            "Finds the shortest paths between nodes.",
            edges + "| graph-shortest-paths (x)-[e*1..3]->(y) where x.id == 'a' and y.id == 'c' project hops = array_length(e)",
            notes: "some conditions on the path, and `cycles`, are refused (VK0205)"),
        op(
            "graph-mark-components", "graph-mark-components [kind=weak|strong] [with_component_id=name]",
            "Numbers the connected parts of a graph.",
            edges + "| graph-mark-components | graph-to-table nodes"),
        op(
            "graph-to-table", "graph-to-table nodes [as name], edges [as name]", "Turns a graph into tables.",
            edges + "| graph-to-table edges"),
        op(
            "graph-where-nodes", "graph-where-nodes predicate", "Keeps nodes and the edges between them.",
            edges + "| graph-where-nodes id != 'a' | graph-to-table nodes",
            support: .refused(code: "VK0200", reason: "its results are not documented; filter before make-graph")),
        op(
            "graph-where-edges", "graph-where-edges predicate", "Keeps edges.",
            edges + "| graph-where-edges s != 'a' | graph-to-table edges",
            support: .refused(code: "VK0200", reason: "its results are not documented; filter before make-graph")),
    ]
}
