import Columnar

/// What a query may name besides tables and the functions of the language: saved functions, watchlists and external data. `Rules` and
/// `Service` implement it from files and addresses that the configuration names.
public protocol WorkspaceContent: Sendable {
    /// A saved function by exact name.
    func savedFunction(_ name: String) -> SavedFunction?
    /// Why a saved function of this name cannot be used although it exists; nil if that is not so.
    func brokenFunction(_ name: String) -> String?
    var savedFunctionNames: [String] { get }
    /// The text that holds a range's offset; nil for ranges of the query itself.
    func librarySource(of range: SourceRange) -> LibrarySource?
    /// A watchlist by alias, letter case ignored; nil if there is none.
    func watchlist(_ alias: String) -> Result<ReferenceTable, ContentRefusal>?
    var watchlistAliases: [String] { get }
    /// The rows of `externaldata`, as the request's columns.
    func externalData(_ request: ExternalRequest) -> Result<[[Value]], ContentRefusal>
    /// The key of the open database that says where addresses are; nil if none is configured.
    var geoDatabase: Result<String, ContentRefusal>? { get }
    /// The key of the patterns that tell user agents apart; nil if there are none.
    var userAgents: Result<String, ContentRefusal>? { get }
}

/// Why content cannot be given.
public struct ContentRefusal: Error, Sendable, Hashable {
    public let message: String
    public let mend: String?
    public init(_ message: String, mend: String? = nil) {
        self.message = message
        self.mend = mend
    }
}

/// Rows of reference data with their columns.
public struct ReferenceTable: Sendable {
    public let name: String
    public let columns: [SchemaColumn]
    /// One value a column, of that column's type.
    public let rows: [[Value]]
    /// Equal for equal rows.
    public let version: String
    public init(name: String, columns: [SchemaColumn], rows: [[Value]], version: String) {
        self.name = name
        self.columns = columns
        self.rows = rows
        self.version = version
    }
}

/// What `externaldata (columns) [addresses] with (...)` asks for.
public struct ExternalRequest: Sendable {
    public enum Format: String, Sendable, CaseIterable { case csv, tsv, scsv, psv, json, multijson, txt, raw }
    public let columns: [SchemaColumn]
    public let addresses: [String]
    /// Nil: from the addresses' endings, else csv.
    public let format: Format?
    public let ignoresFirstRecord: Bool
    public init(columns: [SchemaColumn], addresses: [String], format: Format?, ignoresFirstRecord: Bool) {
        self.columns = columns
        self.addresses = addresses
        self.format = format
        self.ignoresFirstRecord = ignoresFirstRecord
    }
}

/// One text of saved functions. Its offsets start at ``base``, so that a range says by itself which text it belongs to.
public struct LibrarySource: Sendable {
    /// The first offset of any library: queries are far shorter.
    public static let firstBase = 1 << 32
    /// Offsets that one text may take.
    public static let span = 1 << 24

    /// File name for messages.
    public let file: String
    public let text: String
    public let base: Int
    public let origin: DiagnosticRenderer.Origin
    /// Shipped with the program: warnings in it are not its user's business.
    public let isBuiltIn: Bool
    /// The whole file, of which ``text`` is a part, for excerpts.
    public let fileText: String

    public init(
        file: String, text: String, base: Int, origin: DiagnosticRenderer.Origin = .init(), isBuiltIn: Bool = false, fileText: String? = nil
    ) {
        self.file = file
        self.text = text
        self.base = base
        self.origin = origin
        self.isBuiltIn = isBuiltIn
        self.fileText = fileText ?? text
    }

    /// A diagnostic with offsets into ``text``. Mends by edits are left out: they are not edits of the query.
    public func local(_ d: Diagnostic) -> Diagnostic {
        let range = SourceRange(d.range.lower - base, min(d.range.upper - base, text.utf8.count))
        return Diagnostic(d.severity, d.code, d.message, at: range, mend: d.mend)
    }
}

/// A function kept outside queries, callable by name.
public final class SavedFunction: Sendable {
    public let name: String
    public let parameters: [Parameter]
    public let body: FunctionBody
    public let source: LibrarySource
    /// What it gives, one line; empty if nobody said.
    public let summary: String

    public init(name: String, parameters: [Parameter], body: FunctionBody, source: LibrarySource, summary: String = "") {
        self.name = name
        self.parameters = parameters
        self.body = body
        self.source = source
        self.summary = summary
    }

    /// `name(a: string, b: long = 5)`.
    public var signature: String {
        let list = parameters.map { p -> String in
            switch p.kind {
            case .scalar(let t): "\(p.name.text): \(t?.rawValue ?? "dynamic")" + (p.defaultValue == nil ? "" : " = ...")
            case .tabular: "\(p.name.text): (*)"
            }
        }
        return "\(name)(\(list.joined(separator: ", ")))"
    }

    /// Reads a body: statements, then an expression. Nil if it cannot be read; findings have offsets from `base` on.
    public static func body(_ text: String, base: Int) -> (body: FunctionBody?, findings: [Diagnostic]) {
        var parser = Parser(text, base: base)
        return parser.savedBody()
    }

    /// Reads a parameter list in parentheses.
    public static func parameters(_ text: String, base: Int) -> (parameters: [Parameter], findings: [Diagnostic]) {
        var parser = Parser(text, base: base)
        let list = parser.parameterList()
        if !parser.isAtEnd { parser.unexpected() }
        return (list, parser.diagnostics)
    }
}

extension Parser {
    /// The whole text as a function's body without its braces.
    mutating func savedBody() -> (body: FunctionBody?, findings: [Diagnostic]) {
        var statements = gaveUp ? [] : statementList(inBody: false)
        guard let last = statements.last, case .expression(let result) = last.kind else {
            let end = current.range.lower
            if !diagnostics.contains(where: { $0.severity == .error }) {
                error("VK0023", "This function has no result", SourceRange(end, end), mend: "end its body with an expression")
            }
            return (nil, diagnostics)
        }
        statements.removeLast()
        let failed = gaveUp || diagnostics.contains { $0.severity == .error }
        return (failed ? nil : FunctionBody(statements: statements, result: result), diagnostics)
    }
}

/// The bytes of a text whose offsets start at `base`.
struct BasedBytes {
    let storage: [UInt8]
    let base: Int
    /// Indices of the slice are those of the storage.
    subscript(range: Range<Int>) -> ArraySlice<UInt8> { storage[(range.lowerBound - base)..<(range.upperBound - base)] }
}

extension SchemaCatalog {
    public var content: (any WorkspaceContent)? { nil }
}

extension WorkspaceContent {
    public var geoDatabase: Result<String, ContentRefusal>? { nil }
    public var userAgents: Result<String, ContentRefusal>? { nil }

    /// What its reader should see: warnings inside functions that are shipped are left out.
    public func shown(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        diagnostics.filter { $0.severity == .error || !(librarySource(of: $0.range)?.isBuiltIn ?? false) }
    }
}

extension SourceRange {
    func moved(by n: Int) -> SourceRange { SourceRange(lower + n, upper + n) }
}

extension Token {
    func moved(by n: Int) -> Token { Token(kind: kind, triviaStart: triviaStart + n, range: range.moved(by: n)) }
}

extension Diagnostic {
    func moved(by n: Int) -> Diagnostic { Diagnostic(severity, code, message, at: range.moved(by: n), mend: mend) }
}
