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

    /// A file that may hold rules.
    public struct File: Sendable {
        public let path: String
        /// It was named itself, not found in a folder.
        public let isNamed: Bool
        /// As it was when it was found.
        public let identity: FileIdentity
    }

    /// What a rule file holds.
    public struct Content: Sendable {
        public let text: String
        /// As it was before it was read; nil where that cannot be told.
        public let identity: FileIdentity?
        /// ``FileIdentity/clock`` before it was read.
        public let readAt: Int64
    }

    /// Why a file's text cannot be had, as the document that is refused for it.
    public struct Refusal: Error, Sendable { public let rule: LoadedRule }

    /// The files of `paths` (folders are searched for `*.yaml` and `*.yml` without `*.test.yaml`), sorted by path; and the paths that are
    /// not there.
    public static func files(_ paths: [String]) -> (files: [File], missing: [LoadedRule]) {
        var files: [File] = []
        var missing: [LoadedRule] = []
        for p in paths {
            var s = stat()
            guard stat(p, &s) == 0 else {
                missing.append(refused(p, "VR0005", "\(String(cString: strerror(errno)))"))
                continue
            }
            if s.st_mode & S_IFMT == S_IFDIR {
                walk(p, 0, &files)
            } else {
                files.append(File(path: p, isNamed: true, identity: FileIdentity(s)))
            }
        }
        files.sort { $0.path < $1.path }
        // Equal paths stand side by side; the one that was asked for first stays.
        var distinct: [File] = []
        distinct.reserveCapacity(files.count)
        for f in files where distinct.last?.path != f.path { distinct.append(f) }
        return (distinct, missing)
    }

    /// Every rule in `paths`, sorted by path. A document that is no rule at all (it has neither `query` nor `id`) is passed over inside
    /// folders.
    ///
    /// Files are read by all cores; the result does not depend on it.
    public static func load(_ paths: [String]) -> [LoadedRule] {
        let (files, missing) = files(paths)
        var out = missing
        var ids: [String: String] = [:]
        let documents = Concurrently.map(files) { f -> [LoadedRule] in
            switch text(f.path) {
            case .success(let text): decode(text, file: f.path, explicit: f.isNamed)
            case .failure(let refusal): [refusal.rule]
            }
        }
        for (f, all) in zip(files, documents) {
            for loaded in all {
                if let rule = loaded.rule {
                    let key = rule.id.lowercased()
                    if let other = ids[key] {
                        out.append(alreadyUsed(rule, in: other, file: f.path, text: loaded.text))
                        continue
                    }
                    ids[key] = f.path
                }
                out.append(loaded)
            }
        }
        return out
    }

    /// What stands for a rule whose id another file's rule has.
    public static func alreadyUsed(_ rule: AnalyticsRule, in other: String, file: String, text: String) -> LoadedRule {
        refused(file, "VR0006", "the id \(rule.id) is already used in \(other)", text: text, name: rule.name)
    }

    private static func refused(_ path: String, _ code: String, _ message: String, text: String = "", name: String = "") -> LoadedRule {
        LoadedRule(
            file: path, text: text, rule: nil, findings: [RuleFinding(.error, code, message, line: 1, column: 1)],
            name: name.isEmpty ? path : name)
    }

    private static func walk(_ folder: String, _ depth: Int, _ files: inout [File]) {
        guard depth < 32, let d = opendir(folder) else { return }
        defer { closedir(d) }
        let descriptor = dirfd(d)
        let parent = folder.hasSuffix("/") ? folder : folder + "/"
        while let e = readdir(d) {
            let name = withUnsafePointer(to: &e.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.utf8.first != UInt8(ascii: ".") else { continue }
            let isRule = isRuleFile(name)
            if !isRule, Int(e.pointee.d_type) == Int(DT_REG) { continue }
            var s = stat()
            guard fstatat(descriptor, name, &s, 0) == 0 else { continue }
            if s.st_mode & S_IFMT == S_IFDIR {
                walk(parent + name, depth + 1, &files)
            } else if isRule {
                files.append(File(path: parent + name, isNamed: false, identity: FileIdentity(s)))
            }
        }
    }

    private static func isRuleFile(_ name: String) -> Bool {
        func ends(_ ending: String) -> Bool { name.utf8.suffix(ending.utf8.count).elementsEqual(ending.utf8) }
        return (ends(".yaml") && !ends(".test.yaml")) || (ends(".yml") && !ends(".test.yml"))
    }

    /// A rule file's text.
    public static func text(_ path: String) -> Result<String, Refusal> { content(path).map(\.text) }

    /// A rule file's text, and which file that was.
    public static func content(_ path: String) -> Result<Content, Refusal> {
        func refusal(_ code: String, _ message: String) -> Result<Content, Refusal> {
            .failure(Refusal(rule: refused(path, code, message)))
        }
        let f = open(path, O_RDONLY | O_CLOEXEC)
        guard f >= 0 else { return refusal("VR0005", String(cString: strerror(errno))) }
        defer { close(f) }
        let now = FileIdentity.clock
        var s = stat()
        let identity = fstat(f, &s) == 0 ? FileIdentity(s) : nil
        var bytes = [UInt8](repeating: 0, count: 8 << 10)
        var filled = 0
        while true {
            if filled == bytes.count { bytes.append(contentsOf: repeatElement(0, count: bytes.count)) }
            let n = bytes.withUnsafeMutableBytes { Glibc.read(f, $0.baseAddress.map { $0 + filled }, $0.count - filled) }
            if n < 0, errno == EINTR { continue }
            if n <= 0 { break }
            filled += n
            if filled > maximumFileBytes { return refusal("VR0007", "the file is larger than \(maximumFileBytes) bytes") }
        }
        guard let text = String(validating: bytes[..<filled], as: UTF8.self) else { return refusal("VR0008", "the file is not UTF-8") }
        return .success(Content(text: text, identity: identity, readAt: now))
    }

    /// The rules of one file's text.
    public static func decode(_ text: String, file: String, explicit: Bool = true) -> [LoadedRule] {
        let nodes: [Node]
        do {
            nodes = try YAMLText.documents(text)
        } catch {
            let finding = RuleFinding(
                .error, "VR0009", "not YAML: \(error.message)", line: error.line, column: error.column, mend: error.mend)
            return [LoadedRule(file: file, text: text, rule: nil, findings: [finding], name: file)]
        }
        let lines = TextLines(text)
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
