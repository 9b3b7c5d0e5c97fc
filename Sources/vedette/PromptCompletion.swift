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
    }
    private let names = Mutex(Names())

    private static let operators = [
        "as", "consume", "count", "distinct", "evaluate", "extend", "facet", "find", "fork", "getschema", "graph-match", "invoke", "join",
        "limit", "lookup", "make-graph", "make-series", "mv-apply", "mv-expand", "order", "parse", "parse-kv", "parse-where", "partition",
        "project", "project-away", "project-keep", "project-rename", "project-reorder", "reduce", "render", "sample", "sample-distinct",
        "scan",
        "search", "serialize", "sort", "summarize", "take", "top", "top-hitters", "top-nested", "union", "where",
    ]
    private static let commands = [".exit", ".format", ".help", ".quit", ".schema", ".tables"]

    func use(_ session: HuntSession) {
        let functions = FunctionRegistry.standard.names + session.store.functions.names
        names.withLock {
            $0.catalog = session.catalog
            $0.tables = session.catalog.tableNames
            $0.functions = functions.sorted()
        }
    }

    /// The names that may stand where the word is: operators behind a pipe, else columns of the tables that the line names, functions,
    /// tables.
    func candidates(line: String, word: String) -> [String] {
        names.withLock { n in
            let before = line.hasSuffix(word) ? String(line.dropLast(word.count)) : line
            let lead = before.split(whereSeparator: { $0 == " " || $0 == "\t" }).last.map(String.init)
            var known: [String]
            if line.hasPrefix("."), !before.contains(" ") {
                return PromptCompletion.commands.filter { $0.dropFirst().hasPrefix(word) || $0.hasPrefix(word) }
            } else if line.hasPrefix(".schema") {
                known = n.tables
            } else if lead == "|" || lead?.hasSuffix("|") == true {
                known = PromptCompletion.operators
            } else if lead == nil || lead == "(" || lead == "union" || lead == "from" {
                known = n.tables + n.functions
            } else if lead == "render" {
                known = RenderSpec.kinds
            } else {
                let words = Set(line.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "_") }).map(String.init))
                let columns = Set(n.tables.filter(words.contains).flatMap { n.catalog.table($0)?.columns.map(\.name) ?? [] })
                known =
                    columns.sorted() + n.functions + n.tables + [
                        "asc", "by", "desc", "has", "has_any", "contains", "startswith", "in", "on",
                    ]
            }
            let exact = known.filter { $0.hasPrefix(word) }
            if !exact.isEmpty || word.isEmpty { return exact }
            // A word in another case is taken too.
            let lower = word.lowercased()
            return known.filter { $0.lowercased().hasPrefix(lower) }
        }
    }
}
