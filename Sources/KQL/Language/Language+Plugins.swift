private func plugin(
    _ name: String, _ syntax: String, _ summary: String, _ example: String = "", support: LanguageElement.Support = .supported,
    notes: String = ""
) -> LanguageElement {
    LanguageElement(.plugin, name, "evaluate " + syntax, summary, example, support: support, notes: notes)
}

private let outside = LanguageElement.Support.refused(
    code: "VK0201", reason: "it runs other languages or calls services, which a detection engine does not do")
private let missing = LanguageElement.Support.refused(code: "VK0201", reason: "it is not supported yet")

private func away(_ name: String, _ summary: String) -> LanguageElement {
    plugin(name, "\(name)(...)", summary, "print x = 1 | evaluate \(name)('a')", support: outside)
}

private func planned(_ name: String, _ summary: String) -> LanguageElement {
    plugin(name, "\(name)(...)", summary, "print x = 1, t = now() | evaluate \(name)(x, t)", support: missing)
}

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
            notes: "further keys are refused (VK0205)"),
        plugin(
            "ipv6_lookup", "ipv6_lookup(table, source_key, table_key [, return_unmatched])",
            "Finds the network that an IPv6 address lies in.",
            "print ip = '2001:db8::1' | evaluate ipv6_lookup((datatable(net: string)['2001:db8::/32']), ip, net)",
            notes: "further keys are refused (VK0205)"),
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
        planned("autocluster", "Common patterns of discrete columns."), planned("basket", "Frequent patterns of discrete columns."),
        planned("diffpatterns", "Patterns in which two sets of rows differ."),
        planned("diffpatterns_text", "Patterns of texts in which two sets of rows differ."),
        planned("sequence_detect", "Sequences of events."), planned("funnel_sequence", "What happens before and after a sequence."),
        planned("funnel_sequence_completion", "How many complete the steps of a sequence in time."),
        planned("activity_counts_metrics", "Counts of activity by period."),
        planned("activity_engagement", "Activity of an inner against an outer window."),
        planned("activity_metrics", "Retention and churn by period."), planned("active_users_count", "Values active in several periods."),
        planned("new_activity_metrics", "Retention and churn of new values."),
        planned("session_count", "Counts of sessions over a timeline."),
        planned("sliding_window_counts", "Counts over a sliding window."),
        planned("dcount_intersect", "Sizes of intersections of hll sketches."),
        planned("preview", "The first rows, and their number."), planned("infer_storage_schema", "The schema of stored files."),
        planned("schema_merge", "Merges schemas."),
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
