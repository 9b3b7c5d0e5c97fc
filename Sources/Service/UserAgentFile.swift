import CKernels
import Evaluation
import Glibc
import Ingest
import KQL
import Yams

/// A `regexes.yaml` of uap-core, whose rules are those of its `docs/specification.md`.
enum UserAgentFile {
    /// The file of Debian's package uap-core; nil where it is not installed.
    static var installed: String? {
        let path = "/usr/share/uap-core/regexes.yaml"
        return access(path, R_OK) == 0 ? path : nil
    }

    private static let maximumBytes = 8 << 20

    /// Reads the patterns, or gives the open ones of equal text. Throws a ``ContentRefusal``.
    static func open(_ path: String) throws -> UserAgentPatterns {
        func refusal(_ why: String) -> ContentRefusal { ContentRefusal("the patterns of user agents \(path) cannot be used: \(why)") }
        let text: String
        do { text = try TextFile.read(path, limit: maximumBytes) } catch { throw refusal("\(error)") }
        let hash = Array(text.utf8).withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        return try UserAgentPatterns.open(key: String(hash.high, radix: 16) + "-" + String(hash.low, radix: 16)) {
            let root: Node?
            do { root = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot() } catch { throw refusal("\(error)") }
            guard let root = root?.mapping else { throw refusal("it is no map of lists") }
            var lists: [UserAgentPatterns.Part: [UserAgentPatterns.Pattern]] = [:]
            for part in UserAgentPatterns.Part.allCases {
                let (name, fields) = keys(part)
                guard let list = root[name]?.sequence else { throw refusal("it has no list `\(name)`") }
                lists[part] = try list.map { item in
                    guard let map = item.mapping, let regex = map["regex"]?.scalar?.string else {
                        throw refusal("line \(item.mark?.line ?? 1): there is no `regex`")
                    }
                    return UserAgentPatterns.Pattern(
                        regex: regex, ignoresCase: map["regex_flag"]?.scalar?.string == "i",
                        replacements: fields.map { map[$0]?.scalar?.string })
                }
            }
            return lists
        }
    }

    /// The name of a part's list in the file, and the names of its replacements by the position of their fields.
    private static func keys(_ part: UserAgentPatterns.Part) -> (list: String, replacements: [String]) {
        switch part {
        case .browser: ("user_agent_parsers", ["family_replacement", "v1_replacement", "v2_replacement", "v3_replacement"])
        case .os:
            (
                "os_parsers",
                ["os_replacement", "os_v1_replacement", "os_v2_replacement", "os_v3_replacement", "os_v4_replacement"]
            )
        case .device: ("device_parsers", ["device_replacement", "brand_replacement", "model_replacement"])
        }
    }
}
