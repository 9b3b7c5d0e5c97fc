import CKernels
import Columnar
import Evaluation
import KQL
import Rules
import Tables

/// Where saved functions, watchlists and external data come from.
public struct ContentSettings: Sendable, Hashable {
    /// Files or folders of saved functions.
    public var functions: [String] = []
    /// Folders (or files) of watchlists.
    public var watchlists: [String] = []
    /// The column that is the search key, by watchlist alias.
    public var watchlistKeys: [String: String] = [:]
    /// A MaxMind database of places; nil: there is none.
    public var geoDatabase: String?
    /// The patterns of user agents; nil: those of the package uap-core, if it is installed.
    public var userAgents: String?
    /// What `externaldata` may read.
    public var external = ExternalSettings()

    public init() {}
}

/// Saved functions, watchlists and external data of an installation. Functions and watchlists are read once, when it is made: another
/// version is another value, so that all rules of a set see the same one.
public final class WorkspaceStore: WorkspaceContent {
    /// The shipped functions are read when a query first names something that may be one.
    public var functions: FunctionLibrary { library.value }
    private let library: Once<FunctionLibrary>
    /// There are none but the shipped functions.
    private let isPlain: Bool
    public let watchlists: Watchlists
    private let external: ExternalData
    private let geoPath: String?
    private let places: Result<GeoDatabase, ContentRefusal>?
    private let agentsPath: String?
    /// Read when a query first asks.
    private let agents: Once<Result<UserAgentPatterns, ContentRefusal>?>

    /// Reads what the settings name. `external` keeps what was fetched across stores.
    public init(_ settings: ContentSettings, external: ExternalData? = nil) {
        isPlain = settings.functions.isEmpty
        if isPlain {
            library = Once { FunctionLibrary.builtIn }
        } else {
            var all = FunctionLibrary.builtIn
            all.load(settings.functions)
            library = Once(known: all)
        }
        watchlists = Watchlists(settings.watchlists, keys: settings.watchlistKeys)
        self.external = external ?? ExternalData(settings.external)
        let agentsPath = settings.userAgents
        self.agentsPath = agentsPath
        agents = Once {
            guard let path = agentsPath ?? UserAgentFile.installed else { return nil }
            do { return .success(try UserAgentFile.open(path)) } catch {
                return .failure(error as? ContentRefusal ?? ContentRefusal("\(error)"))
            }
        }
        geoPath = settings.geoDatabase
        places = settings.geoDatabase.map { path in
            do { return .success(try GeoDatabase.open(path)) } catch {
                return .failure(error as? ContentRefusal ?? ContentRefusal("\(error)"))
            }
        }
    }

    /// Equal where saved functions are equal and watchlists have equal names, for one program.
    var fingerprint: String {
        var w = PackedWriter()
        w.texts(isPlain ? [] : functions.texts)
        w.texts(isPlain ? [] : functions.findings.map(\.message))
        w.texts(watchlists.aliases)
        let h = w.bytes.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        return String(h.high, radix: 16) + "-" + String(h.low, radix: 16)
    }

    /// What is wrong with the files of functions and watchlists.
    public var findings: [RuleFinding] {
        var out = (isPlain ? [] : functions.findings) + watchlists.findings
        if let path = geoPath, case .failure(let refusal)? = places {
            out.append(RuleFinding(.error, "VK0213", refusal.message, line: 1, column: 1, file: path))
        }
        if let path = agentsPath, case .failure(let refusal)? = agents.value {
            out.append(RuleFinding(.error, "VK0214", refusal.message, line: 1, column: 1, file: path))
        }
        return out
    }
    public var geoDatabase: Result<String, ContentRefusal>? { places?.map(\.key) }
    public var userAgents: Result<String, ContentRefusal>? { agents.value?.map(\.key) }

    public func savedFunction(_ name: String) -> SavedFunction? { functions.function(name) }
    public func brokenFunction(_ name: String) -> String? { functions.brokenReason(name) }
    public var savedFunctionNames: [String] { functions.names }
    public func librarySource(of range: SourceRange) -> LibrarySource? { functions.source(of: range) }
    public func watchlist(_ alias: String) -> Result<ReferenceTable, ContentRefusal>? { watchlists.list(alias) }
    public var watchlistAliases: [String] { watchlists.aliases }
    public func externalData(_ request: ExternalRequest) -> Result<[[Value]], ContentRefusal> { external.rows(request) }

    /// One finding with its place and an excerpt, for people.
    public static func render(_ f: RuleFinding) -> String {
        let file = f.file ?? ""
        var out = "\(file):\(f.line):\(f.column): \(f.severity.rawValue)[\(f.code)]: \(f.message)"
        if let text = f.text, !text.isEmpty {
            let lines = SourceText(text)
            if f.line >= 1, f.line <= lines.lineCount {
                let source = lines.text(ofLine: f.line)
                let gutter = String(f.line)
                out += "\n \(gutter) | \(source)\n \(String(repeating: " ", count: gutter.count)) | "
                out += String(source.prefix(max(0, f.column - 1)).map { $0 == "\t" ? "\t" : " " }) + "^"
            }
        }
        if let mend = f.mend { out += "\n   = help: \(mend)" }
        return out
    }
}

extension DiagnosticRenderer {
    /// A query's finding as text; one inside a saved function points into that function's file.
    public func render(_ d: Diagnostic, content: (any WorkspaceContent)?) -> String {
        guard let source = content?.librarySource(of: d.range) else { return render(d) }
        return DiagnosticRenderer(source: source.text, file: source.file, origin: source.origin).render(source.local(d))
    }
}
