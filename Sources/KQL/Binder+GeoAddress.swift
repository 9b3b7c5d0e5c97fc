import Columnar

// `geo_info_from_ip_address` and `parse_user_agent`: their answers come from files that the configuration names.

extension BindingSession {
    static let geoInfo = "geo_info_from_ip_address"

    /// The bound call with the database's key behind its argument, or nil after reporting that there is no database.
    func withGeoDatabase(_ call: BoundExpr, _ name: Name) -> BoundExpr? {
        guard case .call(let function, let arguments) = call.kind else { return call }
        switch schemas.content?.geoDatabase {
        case nil:
            error(
                .noGeoDatabase, "`\(name.text)` needs a MaxMind database, and none is configured", name.range,
                mend: "name one (GeoLite2-City.mmdb for example) with --geo-database FILE or `geo_database: FILE`")
            return nil
        case .failure(let refusal)?:
            error(.noGeoDatabase, "`\(name.text)` cannot be computed: \(refusal.message)", name.range, mend: refusal.mend)
            return nil
        case .success(let key)?:
            versions.insert("geo database \(key)")
            return BoundExpr(.call(function, arguments + [constant(.string(key), call.range)]), call.type, call.range)
        }
    }

    static let userAgent = "parse_user_agent"

    /// The bound call with the patterns' key behind its arguments, or nil after reporting that there are no patterns.
    func withUserAgents(_ call: BoundExpr, _ name: Name) -> BoundExpr? {
        guard case .call(let function, let arguments) = call.kind else { return call }
        switch schemas.content?.userAgents {
        case nil:
            error(
                .noUserAgents, "`\(name.text)` needs the patterns of uap-core, and there are none", name.range,
                mend: "install the package uap-core, or name a regexes.yaml with --user-agents FILE or `user_agents: FILE`")
            return nil
        case .failure(let refusal)?:
            error(.noUserAgents, "`\(name.text)` cannot be computed: \(refusal.message)", name.range, mend: refusal.mend)
            return nil
        case .success(let key)?:
            versions.insert("user agents \(key)")
            return BoundExpr(.call(function, arguments + [constant(.string(key), call.range)]), call.type, call.range)
        }
    }
}
