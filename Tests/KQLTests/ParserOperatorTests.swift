import Testing

@testable import KQL

@Suite struct ParserOperatorTests {
    @Test(arguments: [
        ("where a == 1", "where {a == 1}"), ("where * has 'x'", "where {* has \"x\"}"), ("filter a", "filter a"),
        ("extend a = 1, b", "extend a=1, b"), ("project a, b = c.d, e", "project a, b=c.d, e"),
        ("project", "project"),
        ("project-away a, b*, *_s, ['x y']", "project-away a, b*, *_s, ['x y']"), ("project-keep Sign*In, c", "project-keep Sign*In, c"),
        ("project-rename a = b, c = d", "project-rename a=b, c=d"),
        ("project-reorder a, b* asc, * desc", "project-reorder a, b* asc, * desc"),
        ("project-by-names 'a', dynamic(['b']), c*", "project-by-names \"a\", dynamic([\"b\"]), c*"),
        ("take 10", "take 10"), ("limit n", "limit n"), ("count", "count"), ("count as n", "count n"), ("consume", "consume"),
        ("getschema", "getschema"),
        ("top 5 by a", "top 5 by a desc"), ("top 5 by a asc nulls first, b", "top 5 by a asc nulls-first, b desc"),
        ("sort by a", "sort a desc"), ("order by a asc, b desc nulls last", "order a asc, b desc nulls-last"),
        ("sort by strlen(a) asc", "sort strlen(a) asc"),
        ("distinct *", "distinct *"), ("distinct a, tostring(b)", "distinct a, tostring(b)"),
        ("summarize count()", "summarize [count()] by []"), ("summarize by a", "summarize [] by [a]"),
        (
            "summarize hint.shufflekey=a c = count(), (x, y) = arg_max(t, *) by bin(t, 1h), k = b",
            "summarize <hint.shufflekey:a> [c=count(), x&y=arg_max(t, *)] by [bin(t, <01:00:00>), k=b]"
        ),
        ("join (T2) on a", "join (T2) on [a]"), ("join kind=leftouter T2 on a, b", "join <kind:leftouter> T2 on [a, b]"),
        (
            "join kind = inner hint.strategy=broadcast (T2 | where x) on $left.a == $right.b and c == d",
            "join <kind:inner hint.strategy:broadcast> (T2 | where x) on [{{$left.a == $right.b} and {c == d}}]"
        ),
        ("join f(1) on a", "join f(1) on [a]"), ("lookup kind=leftouter W on a", "lookup <kind:leftouter> W on [a]"),
        ("union A, B*, (C | take 1), f(x), database('d').E*", "union A, B*, (C | take 1), f(x), database(\"d\").E*"),
        ("union kind=outer withsource=S isfuzzy=true *", "union <kind:outer withsource:S isfuzzy:true> *"),
        ("mv-expand a", "mv-expand a"), ("mvexpand a.b", "mvexpand a.b"),
        (
            "mv-expand bagexpansion=array with_itemindex=i a = b to typeof(string), c limit 5",
            "mv-expand <bagexpansion:array with_itemindex:i> a=b to string, c limit 5"
        ),
        ("mv-expand kind = array a", "mv-expand <kind:array> a"),
        (
            "mv-apply a to typeof(long) on (where a > 1 | summarize sum(a))",
            "mv-apply a to long on (where {a > 1} | summarize [sum(a)] by [])"
        ),
        ("mv-apply with_itemindex=i x = a, b limit 3 on (take 1)", "mv-apply <with_itemindex:i> x=a, b limit 3 on (take 1)"),
        ("parse a with * 'x' b 'y' c:long *", "parse a with * \"x\" b:string \"y\" c:long *"),
        ("parse kind=regex flags=Ui a with 'x' ['b c']:datetime", "parse <kind:regex flags:Ui> a with \"x\" ['b c']:datetime"),
        ("parse-where kind=relaxed a with b ':' c:real", "parse-where <kind:relaxed> a where with b:string \":\" c:real"),
        ("parse tostring(a) with 'x' 'y' alias:string ','", "parse tostring(a) with \"xy\" alias:string \",\""),
        (
            "parse-kv a as (b: string, ['c d']: long) with (pair_delimiter=' ', kv_delimiter='=', quote='\"')",
            "parse-kv <pair_delimiter:\" \" kv_delimiter:\"=\" quote:\"\\\"\"> a as (b:string, ['c d']:long)"
        ),
        ("serialize", "serialize"), ("serialize r = row_number(), p = prev(a)", "serialize r=row_number(), p=prev(a)"),
        ("evaluate bag_unpack(d, 'p_')", "evaluate bag_unpack(d, \"p_\")"),
        ("evaluate hint.distribution=single pivot(a) : (*, b: long)", "evaluate <hint.distribution:single> pivot(a) : (*:?, b:long)"),
        ("invoke f(1, x='y')", "invoke f(1, x=\"y\")"), ("as X", "as X"), ("as hint.materialized=true X", "as <hint.materialized:true> X"),
        ("sample 5", "sample 5"), ("sample-distinct 5 of a", "sample-distinct 5 of a"),
        ("render timechart", "render timechart"),
        ("render timechart with (title='x', ycolumns=a, b)", "render <title:\"x\" ycolumns:a ycolumns:b> timechart"),
        ("render columnchart kind=stacked title='x' by a, b", "render <kind:stacked title:\"x\" by:a by:b> columnchart"),
        (
            "make-series c = count() default=0, avg(x) on t from a to b step 1h by k",
            "make-series [c=count() default 0, avg(x)] on t a b <01:00:00> by [k]"
        ),
        ("make-series kind=nonempty count() on t step 1d", "make-series <kind:nonempty> [count()] on t - - <1.00:00:00> by []"),
        ("make-series count() on t in range(a, b, 1h)", "make-series <in range:true> [count()] on t a b <01:00:00> by []"),
        ("partition by a (top 1 by b)", "partition by a (@ | top 1 by b desc)"),
        ("partition hint.strategy=native by a.b (where c | take 1)", "partition <hint.strategy:native> by a.b (@ | where c | take 1)"),
        ("partition by a { T | where x }", "partition by a (T | where x)"),
        ("fork (where a | take 1) x = (count)", "fork @ | where a | take 1, x=@ | count"),
        ("facet by a, b with (where c | take 1)", "facet by a, b (where c | take 1)"),
        ("facet by a", "facet by a ()"),
        ("top-nested 3 of a by sum(x)", "top-nested 3 of a by sum(x)"),
        (
            "top-nested 3 of a with others='o' by sum(x) desc, top-nested of b by count()",
            "top-nested 3 of a others \"o\" by sum(x) desc, - of b by count()"
        ),
        ("top-hitters 5 of a by b", "top-hitters 5 of a by b"), ("reduce by a", "reduce a"),
        ("reduce kind=source by a with threshold=0.3, characters='x'", "reduce <kind:source threshold:real(0.3) characters:\"x\"> a"),
        ("search 'x' and a:'y'", "search [] {\"x\" and {a has \"y\"}}"), ("assert-schema (a: string)", "assert-schema (a:string)"),
        ("scan with (step s: true;)", "scan order [] partition [] declare [] steps [s all: true => ]"),
        (
            "scan with_match_id=m order by t asc partition by k declare (a: long = 0, b: string) with (step s optional output=last: x > 1 => a = s.a + 1, b = 'y'; step q output=none: true)",
            "scan <with_match_id:m> order [t asc] partition [k] declare [a:long=0, b:string] steps [s? last: {x > 1} => a={s.a + 1}, b=\"y\"; q none: true => ]"
        ),
        ("make-graph s --> t with N on id, (M | take 1) on m", "make-graph s -> t [N on id, (M | take 1) on m]"),
        ("make-graph s --> t with_node_id=n", "make-graph <with_node_id:n> s -> t []"),
        (
            "make-graph s --> t with N on id partitioned-by k (graph-match (a)-->(b) project a.x)",
            "make-graph s -> t [N on id] by k (graph-match (a)->(b) where - project [a.x])"
        ),
        (
            "graph-match cycles=none (a)-[e*1..3]->(b)<-[f]-(c)--(d)<--()-[g]-(h), (a)-[]->(h) where a.x == 1 project a.id, n = b.x",
            "graph-match <cycles:none> (a)-e*1..3>(b)<f-(c)--(d)<-()-g-(h), (a)->(h) where {a.x == 1} project [a.id, n=b.x]"
        ),
        (
            "graph-shortest-paths output=all (a)-[e*1..5]->(b) where a.id == 'A' project p = e.k",
            "graph-shortest-paths <output:all> (a)-e*1..5>(b) where {a.id == \"A\"} project [p=e.k]"
        ),
        ("graph-mark-components kind=weak with_component_id=c", "graph-mark-components <kind:weak with_component_id:c>"),
        ("graph-to-table nodes as N with_node_id=n, edges as E", "graph-to-table nodes as N with_node_id:n, edges as E"),
        ("graph-where-nodes a == 1", "graph-where-nodes nodes {a == 1}"),
        ("where a // comment | where b\n| take 1", "where a | take 1"),
    ])
    func pipedOperators(source: String, expected: String) {
        #expect(TreeText.operators(source) == expected)
    }

    @Test func everyOperatorIsCovered() {
        // `macro-expand` is read over; the rest has a row above or below.
        #expect(Parser.operatorNames.count == 59)
        #expect(TreeText.operators("macro-expand E as X (X.T | count)") == "macro-expand")
    }

    @Test(arguments: [
        ("T", "T"), ("['my table'] | count", "['my table'] | count"), ("(T | take 1) | count", "(T | take 1) | count"),
        ("print 1, a = 2", "print 1, a=2"), ("print ['a'] = 1", "print ['a']=1"), ("print print = 1", "print print=1"),
        ("range x from 1 to 10 step 2 | count", "range x 1 10 2 | count"),
        ("range ['a b'] from a to b step 1d", "range ['a b'] a b <1.00:00:00>"),
        ("datatable(a: int, b: string)[1, 'x', 2, 'y',]", "datatable (a:int, b:string)[1, \"x\", 2, \"y\"]"),
        ("datatable(a: real)[-1.5, +2]", "datatable (a:real)[real(-1.5), 2]"), ("datatable(a: string)['x']", "datatable (a:string)[\"x\"]"),
        ("datatable(a: int)[] | count", "datatable (a:int)[] | count"),
        (
            "externaldata (a: string)[@'https://a/b', h'c'] with (format='csv', ignoreFirstRecord=true)",
            "externaldata <format:\"csv\" ignoreFirstRecord:true> (a:string)[\"https://a/b\", \"c\"]"
        ),
        ("union A, B", "union A, B"), ("union isfuzzy=true (A | where x), B | take 1", "union <isfuzzy:true> (A | where x), B | take 1"),
        ("union withsource=T *", "union <withsource:T> *"), ("search 'x'", "search [] \"x\""),
        ("search in (A, B*) a == 1", "search [A, B*] {a == 1}"),
        ("search kind=case_sensitive * has 'x' or c:'y'", "search <kind:case_sensitive> [] {{* has \"x\"} or {c has \"y\"}}"),
        ("search *", "search [] *"),
        ("find in (A, B*) where x == 1 project a, b: string, pack(*)", "find [A, B*] {x == 1} project [a, typeof(b:string), pack(*)]"),
        ("find withsource=S where 'x' project-smart", "find <withsource:S> [] \"x\" project []"), ("find 'x'", "find [] \"x\" project []"),
        ("evaluate f(x)", "evaluate f(x)"), ("range(1, 10, 1)", "range(1, 10, 1)"), ("print | take 1", "print | take 1"),
        ("search | count", "search | count"),
        ("let a = 1; let b = a + 1; T | where x == b", "let a = 1; let b = {a + 1}; T | where {x == b}"),
        ("let T1 = T | where a; T1", "let T1 = T | where a; T1"), ("let l = dynamic(['a']); T", "let l = dynamic([\"a\"]); T"),
        ("let t = datatable(a: int)[1]; t | count;", "let t = datatable (a:int)[1]; t | count"),
        ("let m = materialize(T | take 1); m", "let m = materialize(T | take 1); m"),
        ("let f = (a: string, b: long = 5) { a + b }; f('x')", "let f = (a:string, b:long=5) {{a + b}}; f(\"x\")"),
        (
            "let f = (T: (x: string, y: datetime), U: (*)) { T | join U on x; }; T",
            "let f = (T:(x:string, y:datetime), U:(*)) {T | join U on [x]}; T"
        ),
        (
            "let f = () { let a = 1; let g = (n: int) { n * a }; g(2) }; print f()",
            "let f = () {let a = 1; let g = (n:int) {{n * a}}; g(2)}; print f()"
        ),
        ("let v = view () { T | take 1 }; v", "let v = () {T | take 1}; v"), ("let x = (1 + 2); print x", "let x = ({1 + 2}); print x"),
        ("let x = (T | take 1); x", "let x = (T | take 1); x"), ("let ['a b'] = 1; print ['a b']", "let ['a b'] = 1; print ['a b']"),
        ("set querytrace; set a = 5; set b = x; T", "set querytrace; set a = 5; set b = x; T"),
        ("set query_now = datetime(2024-01-01);\nT", "set query_now = 2024-01-01T00:00:00.0000000Z; T"),
        ("declare query_parameters(a: string, b: long = 5); T", "declare(a:string, b:long=5); T"),
        (
            "declare pattern p = (a: string) { ('x') = { T | take 1; } ; }; T",
            "pattern p = (a:string) {(x) = T | take 1}; T"
        ),
        (
            "declare pattern p = (a: string, b: string)[c: string] { ('x', 'y').['z'] = { T } }; p('x', 'y').z",
            "pattern p = (a:string, b:string)[c:string] {(x, y).[z] = T}; p(\"x\", \"y\").z"
        ),
        ("declare pattern p; T", "pattern p = () {}; T"),
        ("alias database d = cluster('c').database('x'); T", "other alias; T"),
        ("restrict access to (A, B*); T", "other restrict; T"), ("T; U | count", "T; U | count"), (";;T;;", "T"),
        ("// only a remark\nT // and another", "T"), ("let view = 1; print view", "let view = 1; print view"),
        ("let set = 1; print set", "let set = 1; print set"),
        ("T | where a in (U | where b | project a) | take 1", "T | where {a in [U | where b | project a]} | take 1"),
        ("T | join kind=inner (U | join (V) on a | take 1) on a", "T | join <kind:inner> (U | join (V) on [a] | take 1) on [a]"),
        ("entity_group [database('a'), database('b')]", "entity_group(database(\"a\"), database(\"b\"))"),
    ])
    func statements(source: String, expected: String) {
        #expect(TreeText.text(source) == expected)
    }

    /// Texts in the style of public detections, of which every one must read without a finding.
    @Test(arguments: [
        """
        let lookback = 14d;
        let allow = dynamic(["svc-a", 'svc-b']);
        let Base = materialize(AuditLogs
            | where TimeGenerated > ago(lookback)
            | where OperationName has_any ("Add member", "Add eligible member"));
        let Known = Base | where TimeGenerated < ago(1d) | distinct tostring(InitiatedBy.user.userPrincipalName);
        Base
        | where TimeGenerated >= ago(1d)
        | extend Actor = tostring(parse_json(tostring(InitiatedBy.user)).userPrincipalName), Target = TargetResources[0]
        | mv-expand Props = Target.modifiedProperties
        | where Actor !in~ (allow) and Actor !in (Known)
        | extend New = trim('"', tostring(Props.newValue)), Dev = tostring(AdditionalDetails[0]["value"])
        | summarize StartTime = min(TimeGenerated), EndTime = max(TimeGenerated), Roles = make_set(New, 100), n = count() by Actor, IP = tostring(InitiatedBy.user.ipAddress)
        | extend Name = tostring(split(Actor, '@', 0)[0]), UPNSuffix = tostring(split(Actor, '@', 1)[0])
        | project-reorder StartTime, Actor, *
        """,
        """
        let aadFunc = (tableName: string) {
            table(tableName)
            | where TimeGenerated between (startofday(ago(7d)) .. endofday(now()))
            | extend type_ = Type, DeviceDetail = todynamic(DeviceDetail)
        };
        let A = aadFunc("SigninLogs");
        let B = aadFunc("AADNonInteractiveUserSignInLogs");
        union isfuzzy=true A, B
        | where ResultType in (50126, 50053) or ResultType in ("0")
        | make-series Count = count() default = 0 on TimeGenerated in range(startofday(ago(7d)), now(), 1h) by IPAddress
        | extend (anomalies, score, baseline) = series_decompose_anomalies(Count, 3.0, -1, 'linefit')
        | mv-expand anomalies to typeof(double), TimeGenerated to typeof(datetime)
        | where anomalies > 0
        """,
        """
        AWSCloudTrail
        | where EventName == "CreateAccessKey" and isempty(ErrorCode)
        | extend Params = parse_json(RequestParameters), User = iff(UserIdentityType == "AssumedRole", tostring(split(UserIdentityArn, '/')[-1]), UserIdentityUserName)
        | where not(ipv4_is_private(SourceIpAddress)) and SourceIpAddress matches regex @"^\\d{1,3}(\\.\\d{1,3}){3}$"
        | parse kind=relaxed UserAgent with * "(" Agent:string ";" *
        | join kind=leftouter (
            IdentityInfo
            | summarize arg_max(TimeGenerated, *) by AccountUPN
          ) on $left.User == $right.AccountUPN
        | extend timestamp = TimeGenerated, AccountCustomEntity = User
        """,
    ])
    func detectionStyle(source: String) {
        let tree = SyntaxTree.parse(source)
        #expect(tree.diagnostics.isEmpty, "\(DiagnosticRenderer(source: source).render(tree.diagnostics))")
    }
}
