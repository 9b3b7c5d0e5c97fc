import ArgumentParser
import CKernels
import Columnar
import Glibc
import KQL
import Service
import Tables

/// The prompt of `vedette hunt` without a query: editing, history, completion, one query after the other.
final class Prompt {
    private let session: HuntSession
    private var history: PromptHistory

    init(_ session: HuntSession) {
        self.session = session
        history = PromptHistory()
    }

    private static let help = """
        A query ends with an empty line, or with ; at the end of a line. One that is complete on its line (`T | count;`) runs at once.
          .tables            tables of the data and the workspace that are not empty of columns
          .schema TABLE      columns of a table
          .format FORMAT     table, list, json, jsonl, csv
          .help  .quit       Ctrl-D quits too
        Tab completes tables, columns, functions and operators. Ctrl-C gives up a line, or stops a query and shows what is known so far.
        """

    func run() throws {
        Interrupt.install(staysAlive: true)
        PromptCompletion.catalog.use(session)
        let edits = vk_line_open { line, word in
            guard let line, let word else { return nil }
            let found = PromptCompletion.catalog.candidates(line: String(cString: line), word: String(cString: word))
            return strdup(found.joined(separator: "\n"))
        }
        for line in history.load() { vk_line_remember(line) }
        Terminal.out("vedette hunt: \(Figures.count(session.inputs.count, "file")). .help tells more.")
        if !edits { Terminal.out("(install libedit2 for editing, history and completion)") }
        var lines: [String] = []
        while true {
            var interrupted = false
            let prompt = lines.isEmpty ? "kql> " : "...> "
            PromptCompletion.catalog.set(earlier: lines)
            guard let raw = vk_line_read(prompt, &interrupted) else {
                let pressed = Interrupt.takePress()
                if interrupted || pressed {
                    Terminal.out("")
                    lines = []
                    continue
                }
                Terminal.out("")
                return
            }
            let line = String(cString: raw)
            free(raw)
            if Interrupt.takePress() {
                lines = []
                continue
            }
            let trimmed = line.drop { $0 == " " || $0 == "\t" }
            if lines.isEmpty, trimmed.hasPrefix(".") {
                remember(String(trimmed))
                if command(String(trimmed)) { return }
                continue
            }
            let isBlank = trimmed.isEmpty
            if isBlank, lines.isEmpty { continue }
            if !isBlank { lines.append(line) }
            let ends = isBlank || (line.trimmingBlanks.hasSuffix(";") && !lines.joined(separator: "\n").opensLet)
            guard ends else { continue }
            var query = lines.joined(separator: "\n").trimmingBlanks
            lines = []
            while query.hasSuffix(";") { query = String(query.dropLast()).trimmingBlanks }
            remember(query)
            // What went wrong was said; the prompt goes on.
            do { try session.run(query, file: nil) } catch is ExitCode {} catch { Terminal.err("vedette: \(error)") }
        }
    }

    private func remember(_ text: String) {
        // A comment would swallow what is joined behind it.
        let lines = text.split(separator: "\n").map(String.init)
        for line in text.contains("//") ? lines : [lines.joined(separator: " ")] {
            vk_line_remember(line)
            history.add(line)
        }
    }

    /// True: quit.
    private func command(_ text: String) -> Bool {
        let words = text.split(separator: " ").map(String.init)
        switch words.first ?? "" {
        case ".quit", ".exit", ".q": return true
        case ".help", ".?": Terminal.out(Prompt.help)
        case ".tables":
            Terminal.out(session.catalog.tableNames.joined(separator: "\n"))
        case ".schema":
            guard words.count == 2 else {
                Terminal.err("vedette: .schema TABLE")
                return false
            }
            guard let table = session.catalog.table(words[1]) else {
                let near = Suggestions.nearest(words[1], in: session.catalog.tableNames).map { "; did you mean \($0)?" } ?? ""
                Terminal.err("vedette: there is no table \(words[1])\(near)")
                return false
            }
            var t = TextTable(["COLUMN", "TYPE"])
            for c in table.columns { t.rows.append([c.name, c.type.rawValue]) }
            Terminal.out(t.render(width: Terminal.width))
        case ".format":
            guard words.count == 2, let f = Hunt.Format(rawValue: words[1]), !f.isPicture else {
                Terminal.err("vedette: .format takes table, list, json, jsonl or csv")
                return false
            }
            session.format = f
        default:
            Terminal.err("vedette: there is no \(words.first ?? ""); .help lists what there is")
        }
        return false
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var s = Substring(self)
        while let c = s.last, c.isWhitespace { s.removeLast() }
        while let c = s.first, c.isWhitespace { s.removeFirst() }
        return String(s)
    }

    /// Whether the last statement is a `let` or `set`: a query must still come behind its semicolon.
    fileprivate var opensLet: Bool {
        let statements = split(separator: ";", omittingEmptySubsequences: true).map { String($0).trimmingBlanks }.filter { !$0.isEmpty }
        guard let last = statements.last else { return false }
        return last.hasPrefix("let ") || last.hasPrefix("set ") || last.hasPrefix("declare ")
    }
}

/// The lines of earlier sessions, in the user's state folder, readable by the user alone.
struct PromptHistory {
    private let path: String?
    private static let most = 1000

    init() {
        func variable(_ name: String) -> String? {
            guard let v = getenv(name) else { return nil }
            let s = String(cString: v)
            return s.hasPrefix("/") ? s : nil
        }
        let folder = variable("XDG_STATE_HOME") ?? variable("HOME").map { $0 + "/.local/state" }
        path = folder.map { $0 + "/vedette/history" }
    }

    func load() -> [String] {
        guard let path, let text = try? TextFile.read(path, limit: 4 << 20) else { return [] }
        return Array(text.split(separator: "\n").map(String.init).suffix(PromptHistory.most))
    }

    /// A history that cannot be written is no reason to stop.
    func add(_ line: String) {
        guard let path else { return }
        var at = path.startIndex
        while let slash = path[at...].dropFirst().firstIndex(of: "/") {
            mkdir(String(path[..<slash]), 0o700)
            at = slash
        }
        // Above a size the oldest half goes.
        var mode = O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND
        var text = line + "\n"
        var s = stat()
        if stat(path, &s) == 0, s.st_size > 1 << 20 {
            text = (load().suffix(PromptHistory.most / 2) + [line]).joined(separator: "\n") + "\n"
            mode = O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC
        }
        let f = open(path, mode, 0o600)
        guard f >= 0 else { return }
        defer { close(f) }
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(f, $0.baseAddress, bytes.count) }
    }
}
