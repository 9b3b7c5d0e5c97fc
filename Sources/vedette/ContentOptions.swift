import ArgumentParser
import Glibc
import KQL
import Service

/// Options that say whether and where compiled rules are kept.
struct CacheOptions: ParsableArguments {
    @Flag(help: "Compile every rule anew, and keep nothing for the next start.")
    var noCache = false
    @Option(help: ArgumentHelp("Keep compiled rules here ($XDG_CACHE_HOME/vedette, else ~/.cache/vedette).", valueName: "dir"))
    var cacheDir: String?

    /// Nil where nothing is to be kept.
    var cache: RuleCache? {
        if noCache { return nil }
        return (cacheDir ?? RuleCache.userFolder).map { folder in
            RuleCache(folder: folder, note: { line in if getenv("VEDETTE_CACHE_DEBUG") != nil { Terminal.err("vedette: cache: \(line)") } })
        }
    }
}

/// Options that say where saved functions, watchlists and external data come from.
struct ContentOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Files or folders of saved functions (*.yaml, *.kql).", valueName: "path"))
    var functions: [String] = []
    @Option(help: ArgumentHelp("Folders of watchlists (ALIAS.csv, ALIAS.json).", valueName: "dir"))
    var watchlists: [String] = []
    @Option(help: ArgumentHelp("The search key of a watchlist; its first column otherwise.", valueName: "alias=column"))
    var watchlistKeys: [String] = []
    @Option(help: ArgumentHelp("What externaldata may read: http(s) addresses that begin so, files below a folder.", valueName: "prefix"))
    var allowExternal: [String] = []
    @Option(help: ArgumentHelp("A MaxMind database of places, for geo_info_from_ip_address.", valueName: "file"))
    var geoDatabase: String?
    @Option(help: ArgumentHelp("A regexes.yaml of uap-core, for parse_user_agent (that of the package, if installed).", valueName: "file"))
    var userAgents: String?
    @Flag(help: "externaldata may connect to addresses of private networks.")
    var allowPrivate = false

    /// The same as settings of a configuration.
    var settings: [(key: String, flag: String, values: [String])] {
        func list(_ values: [String]) -> [String] { values.flatMap { $0.split(separator: ",").map(String.init) } }
        return [
            ("functions", "--functions", list(functions)), ("watchlists", "--watchlists", list(watchlists)),
            ("watchlist_keys", "--watchlist-keys", list(watchlistKeys)), ("external.allow", "--allow-external", list(allowExternal)),
            ("geo_database", "--geo-database", geoDatabase.map { [$0] } ?? []),
            ("user_agents", "--user-agents", userAgents.map { [$0] } ?? []),
            ("external.allow_private", "--allow-private", allowPrivate ? ["true"] : []),
        ]
    }

    /// Reads functions and watchlists, and says on standard error what is wrong with them.
    func store() throws -> WorkspaceStore {
        var c = VedetteConfiguration()
        do {
            for s in settings where !s.values.isEmpty { try c.set(s.key, s.values, origin: s.flag) }
        } catch { throw fail("\(error)", ExitStatus.usage) }
        let store = WorkspaceStore(c.content)
        for f in store.findings { Terminal.err(WorkspaceStore.render(f)) }
        return store
    }
}
