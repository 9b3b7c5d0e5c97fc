import Columnar

// `geo_info_from_ip_address` and `parse_user_agent`: their answers come from files that the configuration names.

extension BindingSession {
    static let geoInfo = "geo_info_from_ip_address"
    static let userAgent = "parse_user_agent"

    /// The bound call with the database's key behind its argument, or nil after reporting that there is no database.
    func withGeoDatabase(_ call: BoundExpr, _ name: Name) -> BoundExpr? {
        withFile(
            call, name, schemas.content?.geoDatabase, "geo database", .noGeoDatabase,
            lack: "needs a MaxMind database, and none is configured",
            mend: "name one (GeoLite2-City.mmdb for example) with --geo-database FILE or `geo_database: FILE`")
    }

    /// The bound call with the patterns' key behind its arguments, or nil after reporting that there are no patterns.
    func withUserAgents(_ call: BoundExpr, _ name: Name) -> BoundExpr? {
        withFile(
            call, name, schemas.content?.userAgents, "user agents", .noUserAgents,
            lack: "needs the patterns of uap-core, and there are none",
            mend: "install the package uap-core, or name a regexes.yaml with --user-agents FILE or `user_agents: FILE`")
    }

    private func withFile(
        _ call: BoundExpr, _ name: Name, _ file: Result<String, ContentRefusal>?, _ kind: String, _ code: BinderCode, lack: String,
        mend: String
    ) -> BoundExpr? {
        guard case .call(let function, let arguments) = call.kind else { return call }
        switch file {
        case nil:
            error(code, "`\(name.text)` \(lack)", name.range, mend: mend)
            return nil
        case .failure(let refusal)?:
            error(code, "`\(name.text)` cannot be computed: \(refusal.message)", name.range, mend: refusal.mend)
            return nil
        case .success(let key)?:
            versions.insert("\(kind) \(key)")
            return BoundExpr(.call(function, arguments + [constant(.string(key), call.range)]), call.type, call.range)
        }
    }
}
