import ArgumentParser
import CKernels
import Glibc
import KQL
import Rules
import Service
import Tables

/// The exit codes of every command.
enum ExitStatus {
    static let done = ExitCode(0)
    /// A rule or a query is wrong (or dead letters occurred, where asked to fail on them).
    static let invalid = ExitCode(1)
    /// The command line or the configuration is wrong.
    static let usage = ExitCode(2)
    /// Input, output or state failed.
    static let io = ExitCode(3)
}

// Each command says its name: finding it out from the type's costs as much as the parsing of all options.
@main
struct Vedette: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vedette",
        abstract: "Detects attacks in cloud logs with Microsoft Sentinel analytics rules, as a stream, on one machine.",
        discussion: """
            Vedette reads gzip-compressed activity and audit logs (Azure, Entra, Microsoft 365, AWS), brings them into the form of the \
            Sentinel tables, and evaluates analytics rules (YAML, KQL) unchanged. Alerts carry MITRE ATT&CK technique ids.

              vedette replay --rules AnalyticsRules logs/          historical logs, in event time
              vedette run --config /etc/vedette/vedette.yaml       the daemon
              zcat x.json.gz | vedette replay --rules r.yaml -     from a pipe
              vedette hunt 'AWSCloudTrail | count' --data logs/    one KQL query
              vedette rules check AnalyticsRules                   what is wrong with rules

            Exit codes: 0 done, 1 rule or query error, 2 usage, 3 input or output failed.
            """,
        version: "vedette 0.1.0",
        subcommands: [
            Replay.self, Run.self, Hunt.self, RulesCommand.self, AlertsCommand.self, StatusCommand.self, FunctionsCommand.self,
            BenchCommand.self,
        ])

    /// Usage errors exit with 2, as documented; ArgumentParser's own code would be 64.
    static func main() {
        vk_heap_settle()
        signal(SIGPIPE, SIG_IGN)
        // A file that reaches its limit is a failing write, with a message.
        signal(SIGXFSZ, SIG_IGN)
        if CommandLine.arguments.dropFirst().first == "run", !CommandLine.arguments.contains("--check-config") { Signals.install() }
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            let text = fullMessage(for: error)
            if code.rawValue == 0 {
                if !text.isEmpty { Terminal.out(text) }
                Glibc.exit(0)
            }
            if error is ExitCode {
                Glibc.exit((error as? ExitCode)?.rawValue ?? 1)
            }
            if !text.isEmpty { Terminal.err(text) }
            Glibc.exit(code == .validationFailure ? ExitStatus.usage.rawValue : code.rawValue == 1 ? ExitStatus.io.rawValue : code.rawValue)
        }
    }
}

/// What lives as long as the process: taking thousands of rules apart at the very end would cost time and give nothing back.
enum ProcessLife {
    static func keep(_ objects: AnyObject...) { for o in objects { _ = Unmanaged.passRetained(o) } }
}

/// Prints a problem and gives the code to exit with.
func fail(_ message: String, _ code: ExitCode) -> ExitCode {
    Terminal.err("vedette: \(message)")
    return code
}

/// That no rule of the paths can run: because they cannot be read, or because they are wrong.
func noRules(_ book: RuleBook, _ paths: [String]) -> ExitCode {
    fail("no rule could be loaded from \(paths.joined(separator: ", "))", book.isUnreadable ? ExitStatus.io : ExitStatus.invalid)
}

/// Tables that records are said to be rows of.
enum TableNames {
    /// Rules read known and custom tables only: another name is a slip.
    static func check(_ names: [String], _ origin: String) throws {
        let catalog = WorkspaceCatalog()
        for name in names where catalog.table(name) == nil && !WorkspaceCatalog.isOpenName(name) {
            let hint = Suggestions.nearest(name, in: catalog.tableNames).map { "did you mean `\($0)`?" } ?? "custom tables end in `_CL`"
            throw fail("\(origin): there is no table `\(name)`; \(hint)", ExitStatus.usage)
        }
    }
}
