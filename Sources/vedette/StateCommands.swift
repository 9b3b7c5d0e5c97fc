import ArgumentParser
import Columnar
import Rules
import Service
import Storage

struct StateOption: ParsableArguments {
    @Option(help: ArgumentHelp("The daemon's state directory.", valueName: "dir"))
    var stateDir = "/var/lib/vedette"

    func open() throws -> StateStore {
        do { return try StateStore(directory: stateDir, readOnly: true) } catch { throw fail("\(error)", ExitStatus.io) }
    }
}

struct AlertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts", abstract: "Alerts that the daemon has stored.", subcommands: [List.self, Show.self],
        defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists alerts, newest first.")
        enum Format: String, ExpressibleByArgument, CaseIterable { case table, jsonl }
        @OptionGroup var state: StateOption
        @Option(help: "Only this severity.") var severity: String?
        @Option(help: ArgumentHelp("Only this rule: its id, or a part of its name.", valueName: "rule")) var rule: String?
        @Option(help: ArgumentHelp("Only alerts that ended at or after this time.", valueName: "time")) var since: String?
        @Option(help: ArgumentHelp("Only alerts that started at or before this time.", valueName: "time")) var until: String?
        @Option(help: ArgumentHelp("At most so many.", valueName: "n")) var limit = 100
        @Option(help: "table or jsonl.") var format: Format = .table

        func run() throws {
            let (from, to) = (try Times.parse(since, "--since"), try Times.parse(until, "--until"))
            if let severity, !AnalyticsRule.Severity.allCases.contains(where: { $0.rawValue.lowercased() == severity.lowercased() }) {
                throw fail("--severity: `\(severity)` is not Informational, Low, Medium or High", ExitStatus.usage)
            }
            guard limit > 0 else { throw fail("--limit: `\(limit)` is not a whole number above 0", ExitStatus.usage) }
            let store = try state.open()
            let rows: [StateStore.AlertRow]
            do { rows = try store.alerts(severity: severity, rule: rule, since: from, until: to, limit: limit) } catch {
                throw fail("\(error)", ExitStatus.io)
            }
            if format == .jsonl {
                for r in rows { Terminal.out(r.json) }
                return
            }
            var t = TextTable(["TIME", "SEVERITY", "STATUS", "RULE", "TECHNIQUES", "ID", "REV"])
            for r in rows {
                t.rows.append([
                    String(KustoTime.isoString(r.endTime).prefix(19)).replacing("T", with: " "), r.severity, r.status, r.ruleName,
                    r.techniques,
                    String(r.id.prefix(12)), String(r.revision),
                ])
            }
            Terminal.out(rows.isEmpty ? "no alerts" : t.render(width: Terminal.width))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows one alert, evidence included, as JSON.")
        @OptionGroup var state: StateOption
        @Argument(help: "The alert's id, or the beginning of it.") var id: String

        func run() throws {
            let store = try state.open()
            let rows: [StateStore.AlertRow]
            do { rows = try store.alerts(idPrefix: id) } catch { throw fail("\(error)", ExitStatus.io) }
            guard let first = rows.first else { throw fail("no alert begins with `\(id)`", ExitStatus.invalid) }
            guard rows.count == 1 else {
                throw fail(
                    "`\(id)` is the beginning of \(rows.count) alerts: " + rows.map { String($0.id.prefix(16)) }.joined(separator: ", "),
                    ExitStatus.invalid)
            }
            Terminal.out(PrettyJSON.render(first.json))
        }
    }
}

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "What the daemon was doing at its last checkpoint.")
    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }
    @OptionGroup var state: StateOption
    @Option(help: "table or json.") var format: Format = .table

    func run() throws {
        let store = try state.open()
        let text: String?
        do { text = try store.status() } catch { throw fail("\(error)", ExitStatus.io) }
        guard let text, let written = JSONText.parse(text) else {
            throw fail("no daemon has written its status to \(state.stateDir) yet", ExitStatus.io)
        }
        let status = withLastAlerts(written, store)
        if format == .json {
            Terminal.out(JSONText.compact(status))
            return
        }
        func s(_ d: Dynamic?) -> String {
            switch d {
            case .string(let v)?: v
            case .null?, nil: "-"
            case let v?: JSONText.compact(v)
            }
        }
        func time(_ d: Dynamic?) -> String { let t = s(d); return t.count > 19 ? String(t.prefix(19)).replacing("T", with: " ") : t }
        func number(_ d: Dynamic?) -> Int64 { if case .long(let n)? = d { n } else { 0 } }
        var lines = [
            "written \(time(status["written"])) by process \(s(status["pid"])): \(s(status["records"])) records, \(s(status["alerts"])) alerts, \(s(status["dead_letters"])) dead letters, \(s(status["late_records"])) late records, \(s(status["outbox"])) alerts waiting for outputs"
        ]
        if case .string(let why)? = status["paused"] { lines.append("READING PAUSES: \(why)") }
        for (what, lost, deleted) in [
            ("dead letters", "dead_letters_lost", "dead_letter_files_deleted"), ("late records", "late_records_lost", "late_files_deleted"),
        ] {
            if number(status[lost]) > 0 { lines.append("\(number(status[lost])) \(what) could not be written") }
            if number(status[deleted]) > 0 { lines.append("\(number(status[deleted])) files of \(what) were deleted at their cap") }
        }
        Terminal.out(lines.joined(separator: "\n") + "\n")
        if case .array(let list)? = status["outputs"] {
            var t = TextTable(
                ["OUTPUT", "DELIVERED", "WAITING", "BYTES", "DROPPED", "FAILURE"], alignment: [.left, .right, .right, .right, .right])
            for o in list {
                t.rows.append([
                    s(o["name"]), s(o["delivered"]), s(o["waiting"]), s(o["waiting_bytes"]), s(o["dropped"]), s(o["failure"]),
                ])
            }
            Terminal.out(t.render(width: Terminal.width) + "\n")
        }
        if case .array(let list)? = status["sources"] {
            var t = TextTable(
                ["SOURCE", "POSITION", "LAG", "RECORDS", "DEAD", "LATE", "EVENT TIME", "IDLE"],
                alignment: [.left, .right, .right, .right, .right, .right])
            for o in list {
                t.rows.append([
                    s(o["path"]), s(o["position"]), s(o["lag_bytes"]), s(o["records"]), s(o["dead_letters"]), s(o["late_records"]),
                    time(o["event_time"]), s(o["idle"]),
                ])
            }
            Terminal.out(t.render(width: Terminal.width) + "\n")
        }
        if case .array(let list)? = status["rules"] {
            var t = TextTable(
                ["RULE", "ROWS KEPT", "ON DISK", "STATE", "EVIDENCE", "OPEN", "LATE", "HELD", "LAST ALERT", "FAILURE"],
                alignment: [.left, .right, .right, .right, .right, .right, .right, .right])
            for o in list {
                t.rows.append([
                    s(o["name"]), s(o["retained_rows"]), s(o["spilled_rows"]), s(o["state_bytes"]), s(o["evidence_bytes"]),
                    s(o["open_alerts"]),
                    s(o["late_rows"]), s(o["held_ticks"]),
                    time(o["last_alert"]), s(o["failure"]),
                ])
            }
            Terminal.out(t.render(width: Terminal.width))
        }
    }

    /// A rule's last alert outlives the process that raised it: where this one has none, the alert store is asked.
    private func withLastAlerts(_ status: Dynamic, _ store: StateStore) -> Dynamic {
        guard case .object(let members) = status, let last = try? store.lastAlertTimes() else { return status }
        return .object(
            members.map { m in
                guard m.key == "rules", case .array(let rules) = m.value else { return m }
                return .init("rules", .array(rules.map { withLastAlert($0, last) }))
            })
    }

    private func withLastAlert(_ rule: Dynamic, _ times: [String: Int64]) -> Dynamic {
        guard case .object(let members) = rule, case .string(let id)? = rule["id"], case .null? = rule["last_alert"], let time = times[id]
        else { return rule }
        return .object(members.map { $0.key == "last_alert" ? .init("last_alert", .string(KustoTime.isoString(time))) : $0 })
    }
}

/// JSON over several lines, for reading.
enum PrettyJSON {
    static func render(_ text: String) -> String {
        guard let d = JSONText.parse(text) else { return text }
        var out = ""
        write(d, 0, &out)
        return out
    }

    private static func write(_ d: Dynamic, _ depth: Int, _ out: inout String) {
        let indent = String(repeating: "  ", count: depth + 1)
        switch d {
        case .array(let items) where !items.isEmpty:
            out += "[\n"
            for (i, v) in items.enumerated() {
                out += indent
                write(v, depth + 1, &out)
                out += i + 1 < items.count ? ",\n" : "\n"
            }
            out += indent.dropLast(2) + "]"
        case .object(let members) where !members.isEmpty:
            out += "{\n"
            for (i, m) in members.enumerated() {
                out += indent
                JSONText.appendQuoted(m.key, to: &out)
                out += ": "
                write(m.value, depth + 1, &out)
                out += i + 1 < members.count ? ",\n" : "\n"
            }
            out += indent.dropLast(2) + "}"
        default: JSONText.append(d, to: &out)
        }
    }
}
