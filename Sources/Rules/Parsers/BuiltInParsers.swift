/// The parsers that are shipped: KQL texts in the form of saved functions, after Microsoft's documentation of the Advanced Security
/// Information Model (ASIM).
///
/// For each schema there are parsers by source (`_ASim_<Schema>_<Source>()`, and `_Im_<Schema>_<Source>(...)` with the filtering parameters)
/// and the unifying ones over them (`_ASim_<Schema>`, `_Im_<Schema>`, also under the names `ASim<Schema>` and `im<Schema>` of parsers that a
/// workspace deploys). Every parser of a schema gives the same columns in the same order with the same types, so that their union is one
/// row-local leg a table: conditions of a rule reach the tables.
enum BuiltInParsers {
    static let texts: [String] =
        schema("Authentication", AuthenticationParsers.sources, AuthenticationParsers.filter)
        + schema("AuditEvent", AuditEventParsers.sources, AuditEventParsers.filter)
        + schema("NetworkSession", NetworkSessionParsers.sources, NetworkSessionParsers.filter)

    /// The filtering parameters of a schema and the conditions that they stand for.
    struct Filter: Sendable {
        /// `name: type = default`, one a line.
        let parameters: [String]
        let condition: String

        var names: [String] { parameters.map { String($0.prefix { $0 != ":" }) } }
    }

    struct Source: Sendable {
        let name: String
        /// A query that gives the schema's columns.
        let query: String
    }

    private static func schema(_ name: String, _ sources: [Source], _ filter: Filter) -> [String] {
        let parameters = filter.parameters.joined(separator: ",\n    ")
        let passed = filter.names.map { "\($0)=\($0)" }.joined(separator: ", ")
        var out: [String] = []
        for s in sources {
            out.append(
                """
                // \(name) events of \(s.name) in the ASIM \(name) schema.
                .create function _ASim_\(name)_\(s.name)(disabled: bool = false) {
                \(s.query)
                | where not(disabled)
                }
                """)
            out.append(
                """
                // \(name) events of \(s.name) in the ASIM \(name) schema, filtered.
                .create function _Im_\(name)_\(s.name)(
                    \(parameters),
                    disabled: bool = false
                ) {
                _ASim_\(name)_\(s.name)(disabled)
                \(filter.condition)
                }
                """)
        }
        let all = sources.map { "_ASim_\(name)_\($0.name)()" }.joined(separator: ", ")
        let filtered = sources.map { "_Im_\(name)_\($0.name)(\(passed))" }.joined(separator: ",\n    ")
        for form in ["_ASim_\(name)", "ASim\(name)"] {
            out.append(
                "// \(name) events of all known sources in the ASIM \(name) schema.\n.create function \(form)(pack: bool = false) { union \(all) }"
            )
        }
        for form in ["_Im_\(name)", "im\(name)"] {
            out.append(
                """
                // \(name) events of all known sources in the ASIM \(name) schema, filtered.
                .create function \(form)(
                    \(parameters),
                    pack: bool = false
                ) {
                union
                    \(filtered)
                }
                """)
        }
        return out
    }
}
