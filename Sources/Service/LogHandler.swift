import Columnar
import Glibc
import Logging

/// Writes log lines to standard error: readable text, or one JSON object a line.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    let json: Bool

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let text = line(event.level, event.message.description, event.metadata ?? [:], time: WallClock.now)
        // One write a line: lines of several threads do not mix.
        let bytes = Array((text + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// One line without its end. What an event brings goes before what the handler has.
    func line(_ level: Logger.Level, _ message: String, _ own: Logger.Metadata, time: Int64) -> String {
        let fields = metadata.merging(own) { $1 }.sorted { $0.key < $1.key }
        let time = KustoTime.isoString(time).prefix(23) + "Z"
        if json {
            var o: [Dynamic.Member] = [
                .init("time", .string(String(time))), .init("level", .string(level.rawValue)), .init("message", .string(message)),
            ]
            for (k, v) in fields { o.append(.init(k, .string(v.description))) }
            return JSONText.compact(.object(o))
        }
        let name = StandardErrorLog.names[level] ?? "INFO "
        return "\(time) \(name) \(message)\(fields.map { " \($0.key)=\(StandardErrorLog.quoted($0.value.description))" }.joined())"
    }

    private static let names: [Logger.Level: String] = [
        .trace: "TRACE", .debug: "DEBUG", .info: "INFO ", .notice: "NOTE ", .warning: "WARN ", .error: "ERROR", .critical: "CRIT ",
    ]

    /// Values with blanks or control characters are quoted: a file's name must not forge a line.
    private static func quoted(_ value: String) -> String {
        guard value.isEmpty || value.unicodeScalars.contains(where: { $0.value <= 0x20 || $0 == "\"" || $0.value == 0x7F }) else {
            return value
        }
        var out = ""
        JSONText.appendQuoted(value, to: &out)
        return out
    }
}

public enum VedetteLog {
    /// A logger for the daemon. `level` and `format` as in the configuration.
    public static func make(level: String, format: String) -> Logger {
        let l = Logger.Level(rawValue: level) ?? .info
        return Logger(label: "vedette") { _ in StandardErrorLog(logLevel: l, json: format == "json") }
    }
}
