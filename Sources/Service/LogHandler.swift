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
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = KustoTime.isoString(WallClock.now).prefix(23) + "Z"
        let line: String
        if json {
            var o: [Dynamic.Member] = [
                .init("time", .string(String(time))), .init("level", .string(event.level.rawValue)),
                .init("message", .string(event.message.description)),
            ]
            for (k, v) in fields { o.append(.init(k, .string(v.description))) }
            line = JSONText.compact(.object(o))
        } else {
            let tail = fields.map { " \($0.key)=\($0.value)" }.joined()
            line = "\(time) \(event.level.rawValue.uppercased().prefix(5)) \(event.message)\(tail)"
        }
        // One write a line: lines of several threads do not mix.
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

public enum VedetteLog {
    /// A logger for the daemon. `level` and `format` as in the configuration.
    public static func make(level: String, format: String) -> Logger {
        let l = Logger.Level(rawValue: level) ?? .info
        return Logger(label: "vedette") { _ in StandardErrorLog(logLevel: l, json: format == "json") }
    }
}
