import Columnar
import KQL

/// Settings of saved functions, watchlists and external data.
extension VedetteConfiguration {
    static func isContent(_ key: String) -> Bool {
        ["functions", "watchlists", "watchlist_keys", "geo_database", "user_agents"].contains(key)
            || (key.hasPrefix("external.") && keys.contains(key))
    }

    mutating func setContent(_ key: String, _ values: [String], origin: String) throws {
        let items = values.filter { !$0.isEmpty }
        let text = values.joined(separator: ",")
        func bad(_ wanted: String) -> ConfigurationError { ConfigurationError("\(origin): `\(text)` is not \(wanted)") }
        if lists(key), items.isEmpty { throw ConfigurationError("\(origin): the list is empty") }
        switch key {
        case "functions": content.functions = items
        case "watchlists": content.watchlists = items
        case "geo_database":
            guard !text.isEmpty else { throw bad("the path of a MaxMind database") }
            content.geoDatabase = text
        case "user_agents":
            guard !text.isEmpty else { throw bad("the path of a regexes.yaml") }
            content.userAgents = text
        case "watchlist_keys":
            for item in items {
                let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2 else { throw bad("alias=column") }
                content.watchlistKeys[parts[0]] = parts[1]
            }
        case "external.allow":
            for item in items where item.contains("://") && WebAddress(item) == nil {
                throw ConfigurationError("\(origin): `\(item)` is no http(s) address that others can begin with")
            }
            content.external.allowed = items
        case "external.allow_private":
            switch text.lowercased() {
            case "true", "yes", "on", "1": content.external.allowsPrivate = true
            case "false", "no", "off", "0": content.external.allowsPrivate = false
            default: throw bad("true or false")
            }
        case "external.refresh", "external.timeout":
            guard let d = Durations.parse(text), d >= KustoTime.ticksPerSecond else { throw bad("a duration of a second or more") }
            if key == "external.refresh" {
                content.external.refresh = d
            } else {
                guard d <= 10 * KustoTime.ticksPerMinute else { throw bad("a duration of 10 minutes at most") }
                content.external.timeout = d
            }
        case "external.max_bytes":
            guard let n = Int(text), (1024...1 << 30).contains(n) else { throw bad("a whole number from 1024 to \(1 << 30)") }
            content.external.maximumBytes = n
        default: throw ConfigurationError("\(origin): \(VedetteConfiguration.unknown(key))")
        }
    }

    private func lists(_ key: String) -> Bool { VedetteConfiguration.lists.contains(key) }
}
