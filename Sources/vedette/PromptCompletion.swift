import Evaluation
import KQL
import Rules
import Service
import Synchronization
import Tables

/// What Tab offers at the prompt.
final class PromptCompletion: Sendable {
    /// The editor calls back without context, so there is one.
    static let catalog = PromptCompletion()

    private struct Names {
        var catalog = WorkspaceCatalog()
        var tables: [String] = []
        var functions: [String] = []
        var earlier = ""
    }
    private let names = Mutex(Names())

    private static let operators = [
        "as", "consume", "count", "distinct", "evaluate", "extend", "facet", "find", "fork", "getschema", "graph-match", "invoke", "join",
        "limit", "lookup", "make-graph", "make-series", "mv-apply", "mv-expand", "order", "parse", "parse-kv", "parse-where", "partition",
        "project", "project-away", "project-keep", "project-rename", "project-reorder", "reduce", "render", "sample", "sample-distinct",
        "scan",
        "search", "serialize", "sort", "summarize", "take", "top", "top-hitters", "top-nested", "union", "where",
    ]
    private static let keywords = ["asc", "by", "desc", "has", "has_any", "contains", "startswith", "in", "on"]
    private static let commands = [".exit", ".format", ".help", ".quit", ".schema", ".tables"]

    func use(_ session: HuntSession) {
        let functions = FunctionRegistry.standard.names + session.store.functions.names
        names.withLock {
            $0.catalog = session.catalog
            $0.tables = session.catalog.tableNames
            $0.functions = functions.sorted()
        }
    }

    /// The lines of the query before the one that is edited.
    func set(earlier: [String]) { names.withLock { $0.earlier = earlier.map { $0 + "\n" }.joined() } }

    /// The names that may stand where the word is: operators behind a pipe; tables, lets and functions where rows are wanted; else the
    /// columns that the query has up to there, lets and functions.
    func candidates(line: String, word: String) -> [String] {
        names.withLock { n in
            let before = line.hasSuffix(word) ? String(line.dropLast(word.count)) : line
            if n.earlier.isEmpty, line.hasPrefix("."), !before.contains(" ") {
                return PromptCompletion.commands.filter { $0.dropFirst().hasPrefix(word) || $0.hasPrefix(word) }
            }
            let known = n.earlier.isEmpty && line.hasPrefix(".schema") ? n.tables : offers(n.earlier + before, n)
            let exact = known.filter { $0.hasPrefix(word) }
            if !exact.isEmpty || word.isEmpty { return exact }
            // A word in another case is taken too.
            let lower = word.lowercased()
            return known.filter { $0.lowercased().hasPrefix(lower) }
        }
    }

    private func offers(_ text: String, _ n: Names) -> [String] {
        let place = CompletionPlace(text)
        switch place.kind {
        case .tabularOperator: return PromptCompletion.operators
        case .chart: return RenderSpec.kinds
        case .source: return place.letNames + n.tables + n.functions + (place.query.map { columns($0, place, n) } ?? [])
        case .value:
            return (place.query.map { columns($0, place, n) } ?? []) + place.letNames + n.functions + n.tables + PromptCompletion.keywords
        }
    }

    /// The columns of the query up to the last pipe; where it cannot be read, those of the tables that it names and those that it makes.
    private func columns(_ query: String, _ place: CompletionPlace, _ n: Names) -> [String] {
        let bound = Binder(functions: FunctionRegistry.standard, schemas: n.catalog).bind(SyntaxTree.parse(query))
        if let plan = bound.plan { return plan.columns.map(\.name) }
        let words = Set(query.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "_") }).map(String.init))
        let columns = Set(n.tables.filter(words.contains).flatMap { n.catalog.table($0)?.columns.map(\.name) ?? [] })
        return columns.union(place.assigned).subtracting(place.letNames).sorted()
    }
}
