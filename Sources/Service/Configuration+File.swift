import Columnar
import Ingest
import Sinks
import Yams

/// The configuration file.
extension VedetteConfiguration {
    /// Reads a configuration file over the present values. Every error names file, line and column.
    public mutating func apply(file path: String) throws {
        let text = try TextFile.read(path, limit: 1 << 20)
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch let error as YamlError { throw VedetteConfiguration.described(error, path) } catch
        {
            throw ConfigurationError("\(path): \(error)")
        }
        guard let node, !["", "~", "null"].contains(node.scalar?.string ?? "-") else { return }
        guard let root = node.mapping else { throw ConfigurationError("\(VedetteConfiguration.place(path, node)): not a map of settings") }
        for (keyNode, value) in root {
            let key = keyNode.string ?? ""
            let origin = "\(VedetteConfiguration.place(path, keyNode)): \(key)"
            switch key {
            case "rules", "functions", "watchlists": try set(key, try VedetteConfiguration.strings(value, origin), origin: origin)
            case "inputs":
                inputs = try (value.sequence.map(Array.init) ?? [value]).map { try VedetteConfiguration.input($0, path) }
            case "outputs":
                outputs = try (value.sequence.map(Array.init) ?? [value]).map { try VedetteConfiguration.outputNode($0, path) }
            case "lateness":
                guard let map = value.mapping else {
                    try set(key, try VedetteConfiguration.string(value, origin), origin: origin)
                    continue
                }
                for (table, d) in map {
                    guard let name = table.string, let s = d.string, let ticks = Durations.parse(s) else {
                        throw ConfigurationError("\(VedetteConfiguration.place(path, table)): every table needs a duration such as 20m")
                    }
                    lateness[name] = ticks
                }
            case "watchlist_keys":
                guard let map = value.mapping else { throw ConfigurationError("\(origin): expected a map of aliases to columns") }
                try set(
                    key,
                    try map.map {
                        "\(try VedetteConfiguration.string($0.key, origin))=\(try VedetteConfiguration.string($0.value, origin))"
                    }, origin: origin)
            case "dead_letter", "late", "outbox", "limits", "log", "retention", "external":
                guard let map = value.mapping else { throw ConfigurationError("\(origin): expected a map") }
                for (sub, v) in map {
                    let name = "\(key).\(sub.string ?? "")"
                    let place = VedetteConfiguration.place(path, sub)
                    guard VedetteConfiguration.keys.contains(name) else {
                        throw ConfigurationError("\(place): \(VedetteConfiguration.unknown(name))")
                    }
                    let here = "\(place): \(name)"
                    let given =
                        VedetteConfiguration.lists.contains(name)
                        ? try VedetteConfiguration.strings(v, here) : [try VedetteConfiguration.string(v, here)]
                    try set(name, given, origin: here)
                }
            default:
                guard VedetteConfiguration.keys.contains(key), !key.contains(".") else {
                    throw ConfigurationError("\(VedetteConfiguration.place(path, keyNode)): \(VedetteConfiguration.unknown(key))")
                }
                try set(key, [try VedetteConfiguration.string(value, origin)], origin: origin)
            }
        }
    }

    /// `path:line:column` of a node.
    private static func place(_ path: String, _ node: Node) -> String {
        "\(path):\(node.mark.map { "\($0.line):\($0.column)" } ?? "1:1")"
    }

    /// A mistake in the YAML itself.
    private static func described(_ error: YamlError, _ path: String) -> ConfigurationError {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            ConfigurationError("\(path):\(mark.line):\(mark.column): \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            ConfigurationError(
                "\(path):\(context.mark.line):\(context.mark.column): given twice: \(keys.map { "\($0)" }.joined(separator: ", "))")
        default: ConfigurationError("\(path): \(error)")
        }
    }

    private static func string(_ node: Node, _ origin: String) throws -> String {
        guard let s = node.scalar?.string else { throw ConfigurationError("\(origin): expected a single value") }
        return s
    }

    private static func strings(_ node: Node, _ origin: String) throws -> [String] {
        guard let list = node.sequence else { return [try string(node, origin)] }
        return try list.map { try string($0, origin) }
    }

    /// The members of a map, all of them known.
    private static func members(_ map: Node.Mapping, of what: String, _ known: [String], _ path: String) throws -> [String: String] {
        var out: [String: String] = [:]
        for (k, v) in map {
            let key = k.string ?? ""
            guard known.contains(key) else {
                throw ConfigurationError("\(place(path, k)): \(what) has no `\(key)`; it takes \(known.joined(separator: ", "))")
            }
            out[key] = try string(v, "\(place(path, k)): \(key)")
        }
        return out
    }

    private static func input(_ node: Node, _ path: String) throws -> TailSpec {
        if let s = node.scalar?.string, !s.isEmpty { return TailSpec(pattern: s) }
        let origin = place(path, node)
        guard let map = node.mapping else { throw ConfigurationError("\(origin): an input is a path, or a map with `path`") }
        let m = try members(map, of: "an input", ["path", "table", "format"], path)
        guard let pattern = m["path"], !pattern.isEmpty else { throw ConfigurationError("\(origin): an input needs a `path`") }
        if let format = m["format"], format != "auto" {
            throw ConfigurationError(
                "\(origin): format `\(format)` is not supported; `auto` finds JSON lines, arrays and envelopes by itself")
        }
        return TailSpec(pattern: pattern, table: m["table"])
    }

    private static func outputNode(_ node: Node, _ path: String) throws -> Output {
        let origin = place(path, node)
        if let s = node.scalar?.string { return try output(s, origin: origin) }
        guard let map = node.mapping else { throw ConfigurationError("\(origin): an output is a map with `type`, or text such as stdout") }
        let m = try members(map, of: "an output", ["type", "path", "address", "format"], path)
        var out: Output
        switch m["type"] {
        case "stdout"?: out = Output(kind: .stdout, format: .jsonl)
        case "file"?:
            guard let path = m["path"], !path.isEmpty else { throw ConfigurationError("\(origin): a file output needs a `path`") }
            out = Output(kind: .file(path: path), format: .jsonl)
        case "syslog"?:
            guard let a = m["address"].flatMap({ SyslogSink.Address($0) }) else {
                throw ConfigurationError("\(origin): a syslog output needs an `address`: unix:/dev/log, udp:host:port or tcp:host:port")
            }
            out = Output(kind: .syslog(a), format: .jsonl)
        case nil: throw ConfigurationError("\(origin): an output needs a `type`: stdout, file or syslog")
        case let type?: throw ConfigurationError("\(origin): output type `\(type)` is not stdout, file or syslog")
        }
        if let f = m["format"] {
            guard let format = AlertFormat(rawValue: f) else {
                throw ConfigurationError("\(origin): output format `\(f)` is not jsonl or table")
            }
            if case .syslog = out.kind, format != .jsonl {
                throw ConfigurationError("\(origin): syslog carries JSON; it has no other format")
            }
            out.format = format
        }
        return out
    }
}
