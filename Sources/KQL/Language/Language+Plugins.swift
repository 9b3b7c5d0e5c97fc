private func plugin(
    _ name: String, _ syntax: String, _ summary: String, _ example: String = "", support: LanguageElement.Support = .supported,
    notes: String = ""
) -> LanguageElement {
    LanguageElement(.plugin, name, "evaluate " + syntax, summary, example, support: support, notes: notes)
}

private let outside = LanguageElement.Support.refused(
    code: "VK0201", reason: "it runs other languages or calls services, which a detection engine does not do")

private func away(_ name: String, _ summary: String) -> LanguageElement {
    plugin(name, "\(name)(...)", summary, "print x = 1 | evaluate \(name)('a')", support: outside)
}

private func refused(_ name: String, _ summary: String, _ reason: String) -> LanguageElement {
    plugin(
        name, "\(name)(...)", summary, "print x = 1, t = now() | evaluate \(name)(x, t)", support: .refused(code: "VK0201", reason: reason))
}

/// Two ids with a state each at times of one day.
private let activity =
    "datatable(u: string, t: datetime, k: string)['a', datetime(2026-01-01 10:00), 'x', 'a', datetime(2026-01-01 10:30), 'y', "
    + "'b', datetime(2026-01-01 11:00), 'x'] "

extension Language {
    /// Plugins of `evaluate`.
    static let plugins: [LanguageElement] = [
        plugin(
            "bag_unpack",
            "bag_unpack(column [, prefix] [, columnsConflict='error|replace_source|keep_source'] [, ignoredProperties]) [: (column: type, ...)]",
            "Turns the properties of a bag into columns.",
            "datatable(d: dynamic)[dynamic({'a': 1, 'b': 'x'})] | evaluate bag_unpack(d) : (a: long, b: string)",
            notes: "rules must declare the columns; hunts look at the data"),
        plugin(
            "pivot", "pivot(column [, aggregate] [, group, ...]) [: (column: type, ...)]", "Turns the values of a column into columns.",
            "datatable(u: string, r: string)['a', 'ok', 'a', 'bad'] | evaluate pivot(r, count(), u) : (u: string, ok: long, bad: long)",
            notes: "rules must declare the columns; hunts look at the data"),
        plugin("narrow", "narrow()", "Turns every cell into a row.", "print a = 1, b = 'x' | evaluate narrow()"),
        plugin(
            "ipv4_lookup", "ipv4_lookup(table, source_key, table_key [, return_unmatched])",
            "Finds the network that an IPv4 address lies in.",
            "print ip = '10.1.2.3' | evaluate ipv4_lookup((datatable(net: string)['10.0.0.0/8']), ip, net)",
            notes: ""),
        plugin(
            "ipv6_lookup", "ipv6_lookup(table, source_key, table_key [, return_unmatched])",
            "Finds the network that an IPv6 address lies in.",
            "print ip = '2001:db8::1' | evaluate ipv6_lookup((datatable(net: string)['2001:db8::/32']), ip, net)",
            notes: ""),
        plugin(
            "dcount_intersect", "dcount_intersect(hll, hll, ...)",
            "Sizes of intersections of hll sketches: of the first two, the first three ...",
            "range x from 1 to 12 step 1 | summarize a = hll(x % 4), b = hll(x % 3) | evaluate dcount_intersect(a, b)",
            notes: "2 to 8 sketches; exact as long as they are"),
        plugin(
            "schema_merge", "schema_merge([PreserveOrder])", "Merges rows of getschema into one schema.",
            "union (print a = 1 | getschema), (print a = 1, b = 'x' | getschema) | evaluate schema_merge()",
            notes: "a column of several types is an error"),
        plugin(
            "rolling_percentile", "rolling_percentile(column, percentile, axis, bin_size, bins [, group, ...])",
            "Percentiles over a moving window.",
            "range x from 1 to 5 step 1 | evaluate rolling_percentile(x, 50, x, 1, 3)"),
        plugin(
            "geo_line_lookup", "geo_line_lookup(table, line, longitude, latitude, radius [, return_unmatched] [, ...])",
            "Finds the lines that a point lies near.",
            "print lon = 1.0, lat = 1.0 | evaluate geo_line_lookup((print line = dynamic({'type': 'LineString', 'coordinates': [[0, 1], [2, 1]]})), line, lon, lat, 100)"
        ),
        plugin(
            "geo_polygon_lookup", "geo_polygon_lookup(table, polygon, longitude, latitude [, return_unmatched] [, ...])",
            "Finds the polygons that a point lies in.",
            "print lon = 1.0, lat = 1.0 | evaluate geo_polygon_lookup((print area = dynamic({'type': 'Polygon', 'coordinates': [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]})), area, lon, lat)"
        ),
        plugin(
            "autocluster", "autocluster([size_weight, weight_column, num_seeds, wildcard, ...])", "Common patterns of discrete columns.",
            "datatable(a: string, b: string)['x', 'p', 'x', 'q', 'x', 'p', 'y', 'p'] | evaluate autocluster()"),
        plugin(
            "basket", "basket([threshold, weight_column, max_dimensions, wildcard, ...])", "Frequent patterns of discrete columns.",
            "datatable(a: string, b: string)['x', 'p', 'x', 'q', 'x', 'p', 'y', 'p'] | evaluate basket(0.5)"),
        plugin(
            "diffpatterns", "diffpatterns(split_column, value_a, value_b [, weight_column, threshold, max_dimensions, wildcard, ...])",
            "Patterns in which two sets of rows differ.",
            "datatable(a: string, r: string)['x', 'ok', 'x', 'ok', 'y', 'bad', 'y', 'bad'] | evaluate diffpatterns(r, 'ok', 'bad')"),
        plugin(
            "sequence_detect", "sequence_detect(timeline, max_step, max_span, name = condition, ..., [dimension, ...])",
            "Sequences of rows that meet conditions one after the other.",
            activity + "| evaluate sequence_detect(t, 1h, 2h, first = (k == 'x'), second = (k == 'y'), u)"),
        plugin(
            "funnel_sequence_completion", "funnel_sequence_completion(id, timeline, start, end, bin, state_column, sequence, max_steps)",
            "How many ids complete the steps of a sequence in time.",
            activity
                + "| evaluate funnel_sequence_completion(u, t, datetime(2026-01-01), datetime(2026-01-02), 1d, k, dynamic(['x', 'y']), "
                + "dynamic([1h]))"),
        plugin(
            "activity_counts_metrics", "activity_counts_metrics(id, timeline, start, end, window [, dimension, ...])",
            "Counts of activity by period.",
            activity + "| evaluate activity_counts_metrics(u, t, datetime(2026-01-01), datetime(2026-01-02), 1d)"),
        plugin(
            "activity_engagement", "activity_engagement(id, timeline, [start, end,] inner_window, outer_window [, dimension, ...])",
            "Ids of an inner window against those of an outer one.",
            activity + "| evaluate activity_engagement(u, t, datetime(2026-01-01), datetime(2026-01-02), 1d, 7d)"),
        plugin(
            "activity_metrics", "activity_metrics(id, timeline, [start, end,] window [, dimension, ...])", "Retention and churn by period.",
            activity + "| evaluate activity_metrics(u, t, datetime(2026-01-01), datetime(2026-01-02), 1d)"),
        plugin(
            "active_users_count", "active_users_count(id, timeline, start, end, lookback, period, active_periods, bin [, dimension, ...])",
            "Ids that are active in several periods.",
            activity + "| evaluate active_users_count(u, t, datetime(2026-01-01), datetime(2026-01-02), 1d, 1d, 1, 1d)"),
        plugin(
            "new_activity_metrics", "new_activity_metrics(id, timeline, start, end, window [, cohort] [, dimension, ...] [, lookback])",
            "Retention and churn of new ids.",
            activity + "| evaluate new_activity_metrics(u, t, datetime(2026-01-01), datetime(2026-01-02), 1d)"),
        plugin(
            "session_count", "session_count(id, timeline, start, end, bin, lookback [, dimension, ...])",
            "Counts of sessions over a timeline.",
            activity + "| evaluate session_count(u, t, datetime(2026-01-01), datetime(2026-01-02), 1h, 3h)"),
        plugin(
            "sliding_window_counts", "sliding_window_counts(id, timeline, start, end, lookback, bin [, dimension, ...])",
            "Counts and distinct counts over a sliding window.",
            activity + "| evaluate sliding_window_counts(u, t, datetime(2026-01-01), datetime(2026-01-02), 2d, 1d)"),
        plugin(
            "preview", "preview(rows)", "The first rows, and their number as a second table.", activity + "| evaluate preview(1)",
            notes: "several results: in hunts, at the end of the query"),
        refused(
            "funnel_sequence", "What happens before and after a sequence.", "it gives three tables; funnel_sequence_completion gives one"),
        refused("diffpatterns_text", "Patterns of texts in which two sets of rows differ.", "its method is not published"),
        refused("rows_near", "Rows near those that meet a condition.", "Kusto documents it no longer; mark them with prev() and next()"),
        refused("infer_storage_schema", "The schema of stored files.", "files are read by --data, which infers their schema"),
        refused(
            "infer_storage_schema_with_suggestions", "The schema of stored files.", "files are read by --data, which infers their schema"),
        refused("row_window_session", "Sessions of rows.", "it is a function over serialized rows"),
        away("python", "Runs a Python program."), away("r", "Runs an R program."), away("sql_request", "Queries an SQL server."),
        away("mysql_request", "Queries a MySQL server."),
        away("postgresql_request", "Queries a PostgreSQL server."), away("cosmosdb_sql_request", "Queries Cosmos DB."),
        away("http_request", "Calls a web address."),
        away("http_request_post", "Posts to a web address."), away("azure_digital_twins_query_request", "Queries Digital Twins."),
        away("ai_embeddings", "Calls a language model."),
        away("ai_embed_text", "Calls a language model."), away("ai_chat_completion", "Calls a language model."),
        away("ai_chat_completion_prompt", "Calls a language model."),
    ]
}
