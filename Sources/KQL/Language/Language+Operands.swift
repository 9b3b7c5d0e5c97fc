extension Language {
    private static func join(_ name: String, aliases: [String] = [], _ summary: String) -> LanguageElement {
        let t = "datatable(k: string)['a', 'b']"
        return LanguageElement(
            .joinKind, name, aliases: aliases, "join kind=\(name) (table) on key", summary,
            "\(t) | join kind=\(name) (\(t) | where k == 'a') on k")
    }

    /// What `kind=` of join may be.
    static let joinKinds: [LanguageElement] = [
        join("innerunique", "One left row for each key, with every match; what `join` does without a kind."),
        join("inner", "Every pair of matching rows."), join("leftouter", "As inner, and left rows without a match."),
        join("rightouter", "As inner, and right rows without a match."),
        join("fullouter", "As inner, and the rows of both sides without a match."),
        join("leftanti", aliases: ["anti", "leftantisemi"], "Left rows without a match."),
        join("rightanti", aliases: ["rightantisemi"], "Right rows without a match."),
        join("leftsemi", "Left rows with a match, once each."), join("rightsemi", "Right rows with a match, once each."),
    ]

    private static func text(_ name: String, _ syntax: String, _ summary: String, _ example: String, notes: String = "") -> LanguageElement
    {
        LanguageElement(.textOperator, name, syntax, summary, example, notes: notes)
    }

    /// Names, meaning and an example of an operator and its variants: negated, and telling letter cases apart.
    private static func family(_ name: String, _ summary: String, _ right: String) -> [LanguageElement] {
        [false, true].flatMap { cased -> [LanguageElement] in
            let n = cased ? name + "_cs" : name
            let sense = cased ? "; letter cases count" : "; letter cases do not count"
            return [
                text(n, "text \(n) part", "Whether the text \(summary)\(sense).", "print 'Some text' \(n) '\(right)'"),
                text("!" + n, "text !\(n) part", "The contrary of \(n).", "print 'Some text' !\(n) '\(right)'"),
            ]
        }
    }

    /// String operators and those with a list on the right.
    static let textOperators: [LanguageElement] =
        [
            text("==", "a == b", "Whether two values are equal; letter cases count.", "print 'a' == 'A'"),
            text("!=", "a != b", "The contrary of ==.", "print 'a' != 'A'"),
            text("=~", "a =~ b", "Whether two texts are equal; letter cases do not count.", "print 'a' =~ 'A'"),
            text("!~", "a !~ b", "The contrary of =~.", "print 'a' !~ 'A'"),
        ] + family("has", "holds a term (letters and digits in a row)", "text") + family("hasprefix", "holds a term that begins so", "te")
        + family("hassuffix", "holds a term that ends so", "xt") + family("contains", "holds a part", "ex")
        + family("startswith", "begins so", "Some")
        + family("endswith", "ends so", "text") + [
            text(
                "matches regex", "text matches regex pattern", "Whether a regular expression (RE2) matches somewhere.",
                "print 'ab12' matches regex '[0-9]+'"),
            text("in", "value in (list)", "Whether the value is one of a list, an array or a column of rows.", "print 'a' in ('a', 'b')"),
            text("!in", "value !in (list)", "The contrary of in.", "print 'a' !in ('a', 'b')"),
            text("in~", "text in~ (list)", "As in; letter cases do not count.", "print 'a' in~ ('A', 'B')"),
            text("!in~", "text !in~ (list)", "The contrary of in~.", "print 'a' !in~ ('A', 'B')"),
            text("has_any", "text has_any (list)", "Whether the text holds one of several terms.", "print 'a b' has_any ('b', 'c')"),
            text("has_all", "text has_all (list)", "Whether the text holds all terms.", "print 'a b' has_all ('a', 'b')"),
            text(
                "between", "value between (low .. high)", "Whether the value lies within bounds, ends included.", "print 5 between (1 .. 5)"
            ),
            text("!between", "value !between (low .. high)", "The contrary of between.", "print 5 !between (1 .. 5)"),
        ]

    private static func statement(
        _ name: String, _ syntax: String, _ summary: String, _ example: String, support: LanguageElement.Support = .supported,
        notes: String = ""
    ) -> LanguageElement {
        LanguageElement(.statement, name, syntax, summary, example, support: support, notes: notes)
    }

    static let statements: [LanguageElement] = [
        statement(
            "let", "let name = expr; | let name = ([parameters]) { body };", "Names a value, a table or a function.",
            "let n = 2; let f = (x: long = 1) { x * n }; print f(4)"),
        statement(
            "set", "set option [= value];", "An option of Kusto's service.", "set notruncation; print 1",
            notes: "accepted without effect, which a warning says, but for query_bin_auto_size and query_bin_auto_at"),
        statement(
            "declare query_parameters", "declare query_parameters (name: type [= default], ...);",
            "Parameters that are given with the query.",
            "declare query_parameters (n: long = 3); print n"),
        statement(
            "declare pattern", "declare pattern name = (name: string, ...) [[path: string]] { ('text', ...) [.['text']] = { rows }; ... };",
            "Texts that stand for rows.",
            "declare pattern app = (id: string)[scope: string] { ('a').['x'] = { print 1 }; }; app('a').x"),
        statement(
            "alias", "alias database name = cluster(...).database(...);", "Another name of a database.",
            "alias database d = cluster('c').database('x'); print 1",
            support: .refused(code: "VK0203", reason: "there are no other databases")),
        statement(
            "restrict", "restrict access to (table, ...);", "Limits what the rest of the query may read.",
            "restrict access to (T); print 1",
            support: .refused(code: "VK0203", reason: "it is for services in front of Kusto")),
        statement(
            "management command", ".show | .create | .set ...", "Commands to Kusto's service.", ".show tables",
            support: .refused(code: "VK0028", reason: "only queries are run here")),
    ]

    private static func source(
        _ name: String, aliases: [String] = [], _ syntax: String, _ summary: String, _ example: String,
        support: LanguageElement.Support = .supported, notes: String = ""
    ) -> LanguageElement {
        LanguageElement(.source, name, aliases: aliases, syntax, summary, example, support: support, notes: notes)
    }

    private static let remote = LanguageElement.Support.refused(
        code: "VK0204", reason: "other clusters, databases and workspaces cannot be reached")

    /// Functions that give rows, or take them.
    static let sources: [LanguageElement] = [
        source(
            "materialize", "materialize(query)", "Computes rows once for all places that read them.",
            "let t = materialize(range x from 1 to 3 step 1); t | join kind=inner t on x"),
        source("toscalar", "toscalar(query)", "The first value of a query's rows.", "print toscalar(range x from 4 to 9 step 1)"),
        source(
            "totable", "toscalar kind=nooptimization (query)", "As toscalar, not simplified beforehand.",
            "print toscalar kind=nooptimization (print 1)"),
        source("table", "table('name')", "A table by its name.", "table('SigninLogs') | take 1"),
        source(
            "view", "let name = view () { query };", "A function without parameters that wildcards and `search` see.",
            "let V = view () { print x = 1 }; union V*"),
        source(
            "_GetWatchlist", "_GetWatchlist('alias')", "The items of a watchlist.", "_GetWatchlist('vips') | project SearchKey",
            notes: "watchlists are files given by the configuration"),
        source("_GetWatchlistAlias", "_GetWatchlistAlias", "The aliases of all watchlists.", "_GetWatchlistAlias"),
        source(
            "cluster", "cluster('name').database('name').T", "A table elsewhere.", "cluster('c').database('d').T | take 1", support: remote),
        source("database", "database('name').T", "A table of another database.", "database('d').T | take 1", support: remote),
        source("workspace", "workspace('name').T", "A table of another workspace.", "workspace('w').T | take 1", support: remote),
        source("app", "app('name').T", "A table of an application.", "app('a').requests | take 1", support: remote),
        source("resource", "resource('id').T", "The tables of a resource.", "resource('r').T | take 1", support: remote),
        source("adx", "adx('address').T", "A table of a cluster.", "adx('https://c/d').T | take 1", support: remote),
        source("arg", "arg('').T", "A table of the resource graph.", "arg('').Resources | take 1", support: remote),
        source(
            "external_table", "external_table('name')", "A table outside of the database.", "external_table('t') | take 1",
            support: .refused(code: "VK0202", reason: "remote sources are not reachable")),
        source("materialized_view", "materialized_view('name')", "A stored summary.", "materialized_view('v') | take 1", support: remote),
        source(
            "stored_query_result", "stored_query_result('name')", "A stored result.", "stored_query_result('r') | take 1",
            support: .refused(code: "VK0202", reason: "there are no stored results")),
        source(
            "graph", "graph('name')", "A stored graph.", "graph('g') | graph-match (a)-[e]->(b) project 1",
            support: .refused(code: "VK0204", reason: "only graphs made in the query are supported")),
    ]

    private static func function(
        _ name: String, aliases: [String] = [], _ syntax: String, _ summary: String, _ example: String, notes: String = ""
    ) -> LanguageElement {
        LanguageElement(.function, name, aliases: aliases, syntax, summary, example, notes: notes)
    }

    /// Functions that the binder writes out over the columns in scope.
    static let columnFunctions: [LanguageElement] = [
        function(
            "column_ifexists", aliases: ["columnifexists"], "column_ifexists(name, default)",
            "A column if there is one of that name, else the default.",
            "print a = 1 | project b = column_ifexists('b', 7)"),
        function(
            "bin_auto", "bin_auto(value)", "As bin or bin_at, with the size and the point that `set` statements name.",
            "set query_bin_auto_size = 1h; set query_bin_auto_at = datetime(2017-01-01 00:05); print bin_auto(datetime(2017-01-01 02:00))"),
        function("pack_all", "pack_all([ignore_empty])", "A bag of all columns.", "print a = 1, b = 'x' | extend all = pack_all()"),
        function(
            "bag_pack_columns", "bag_pack_columns(column, ...)", "A bag of columns under their names.",
            "print a = 1, b = 'x' | extend bag = bag_pack_columns(a, b)"),
        function(
            "column_names_of", "column_names_of(table)", "The names of the columns of rows, as an array.",
            "let T = datatable(a: long, b: string)[]; print names = column_names_of(T)"),
    ]

    private static func graph(
        _ name: String, _ syntax: String, _ summary: String, _ use: String, condition: String = "true", notes: String = ""
    ) -> LanguageElement {
        LanguageElement(
            .graphFunction, name, syntax, summary,
            "datatable(s: string, t: string)['a', 'b', 'b', 'c'] | make-graph s --> t with_node_id=id | graph-match (x)-[e*1..3]->(y) where \(condition) project r = \(use)",
            notes: notes)
    }

    /// Functions over the elements of a graph pattern.
    static let graphFunctions: [LanguageElement] = [
        graph("map", "map(edge | inner_nodes(edge), expr)", "An array of a value of each element of a path.", "map(e, t)"),
        graph(
            "all", "all(edge | inner_nodes(edge), condition)", "Whether a condition holds for all elements of a path.", "1",
            condition: "all(e, s != 'c')"),
        graph(
            "any", "any(edge | inner_nodes(edge), condition)", "Whether a condition holds for some element of a path.", "1",
            condition: "any(e, s == 'a')"),
        graph("inner_nodes", "inner_nodes(edge)", "The nodes between the ends of a path.", "map(inner_nodes(e), id)"),
        graph("node_degree_in", "node_degree_in([node])", "The number of edges that end at a node.", "node_degree_in(y)"),
        graph("node_degree_out", "node_degree_out([node])", "The number of edges that begin at a node.", "node_degree_out(x)"),
        graph("node_id", "node_id([node])", "The identity of a node.", "node_id(x)"),
        graph(
            "labels", "labels([node | edge])", "The labels of an element.", "labels(x)",
            notes: "graphs of a query have no labels: an empty array"),
        graph("array_length", "array_length(edge)", "The number of edges of a path.", "array_length(e)"),
    ]
}
