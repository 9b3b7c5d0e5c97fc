import Glibc
import KQL
import Yams

/// One rule document of a file: a rule, or what keeps it from being one.
public struct LoadedRule: Sendable {
    public let file: String
    /// The file's text, for excerpts.
    public let text: String
    public let rule: AnalyticsRule?
    /// What could be read of a rule that is refused, so that its query is checked all the same.
    public var draft: AnalyticsRule?
    public let findings: [RuleFinding]
    /// Name for messages when there is no rule.
    public let name: String
}

/// Reads rule files.
public enum RuleLoader {
    /// Larger files are refused.
    public static let maximumFileBytes = 1 << 20

    /// Every rule in `paths` (files; folders are searched for `*.yaml` and `*.yml` without `*.test.yaml`), sorted by path. A document that is
    /// no rule at all (it has neither `query` nor `id`) is passed over inside folders.
    ///
    /// Files are read by all cores; the result does not depend on it.
    public static func load(_ paths: [String]) -> [LoadedRule] {
        var files: [(path: String, explicit: Bool)] = []
        var out: [LoadedRule] = []
        for p in paths {
            var s = stat()
            guard stat(p, &s) == 0 else {
                out.append(refused(p, "VR0005", "\(String(cString: strerror(errno)))"))
                continue
            }
            if s.st_mode & S_IFMT == S_IFDIR { walk(p, 0, &files) } else { files.append((p, true)) }
        }
        var seen: Set<String> = []
        var ids: [String: String] = [:]
        let distinct = files.sorted(by: { $0.path < $1.path }).filter { seen.insert($0.path).inserted }
        let documents = Concurrently.map(distinct) { read($0.path, explicit: $0.explicit) }
        for (f, all) in zip(distinct, documents) {
            for loaded in all {
                if let rule = loaded.rule {
                    let key = rule.id.lowercased()
                    if let other = ids[key] {
                        out.append(
                            refused(f.path, "VR0006", "the id \(rule.id) is already used in \(other)", text: loaded.text, name: rule.name))
                        continue
                    }
                    ids[key] = f.path
                }
                out.append(loaded)
            }
        }
        return out
    }

    private static func refused(_ path: String, _ code: String, _ message: String, text: String = "", name: String = "") -> LoadedRule {
        LoadedRule(
            file: path, text: text, rule: nil, findings: [RuleFinding(.error, code, message, line: 1, column: 1)],
            name: name.isEmpty ? path : name)
    }

    private static func walk(_ folder: String, _ depth: Int, _ files: inout [(path: String, explicit: Bool)]) {
        guard depth < 32, let d = opendir(folder) else { return }
        defer { closedir(d) }
        while let e = readdir(d) {
            let name = withUnsafePointer(to: &e.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            let path = folder.hasSuffix("/") ? folder + name : folder + "/" + name
            var s = stat()
            guard stat(path, &s) == 0 else { continue }
            if s.st_mode & S_IFMT == S_IFDIR {
                walk(path, depth + 1, &files)
            } else if (name.hasSuffix(".yaml") || name.hasSuffix(".yml")) && !name.hasSuffix(".test.yaml") && !name.hasSuffix(".test.yml") {
                files.append((path, false))
            }
        }
    }

    private static func read(_ path: String, explicit: Bool) -> [LoadedRule] {
        guard let f = fopen(path, "rb") else { return [refused(path, "VR0005", String(cString: strerror(errno)))] }
        defer { fclose(f) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let n = fread(&buffer, 1, buffer.count, f)
            if n == 0 { break }
            bytes += buffer.prefix(n)
            if bytes.count > maximumFileBytes { return [refused(path, "VR0007", "the file is larger than \(maximumFileBytes) bytes")] }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { return [refused(path, "VR0008", "the file is not UTF-8")] }
        return decode(text, file: path, explicit: explicit)
    }

    /// The rules of one file's text.
    public static func decode(_ text: String, file: String, explicit: Bool = true) -> [LoadedRule] {
        // By bytes: Swift takes CR LF for one character, which is no line feed.
        let lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { Substring($0) }
        let nodes: [Node]
        do {
            nodes = try YAMLText.documents(text)
        } catch {
            let finding = RuleFinding(
                .error, "VR0009", "not YAML: \(error.message)", line: error.line, column: error.column, mend: error.mend)
            return [LoadedRule(file: file, text: text, rule: nil, findings: [finding], name: file)]
        }
        var out: [LoadedRule] = []
        for node in nodes {
            guard let map = node.mapping else {
                if explicit { out.append(refused(file, "VR0001", "the document is no map of rule fields", text: text)) }
                continue
            }
            let keys = Set(map.compactMap { $0.key.string?.lowercased() })
            if !explicit, keys.isDisjoint(with: ["query", "id", "properties", "resources"]) { continue }
            var decoder = RuleDecoder(lines: lines)
            let rule = decoder.decode(node, file: file)
            let name = rule?.name ?? map.first { $0.key.string?.lowercased() == "name" }?.value.string ?? file
            out.append(
                LoadedRule(
                    file: file, text: text, rule: rule, draft: rule == nil ? decoder.draft : nil, findings: decoder.findings, name: name))
        }
        return out
    }
}
