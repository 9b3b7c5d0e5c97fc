import CKernels
import Columnar
import KQL
import Synchronization

/// Patterns that tell browser, system and device of a user agent, as the lists of uap-core say them. They never change; regular
/// expressions are compiled when their list is first asked.
public final class UserAgentPatterns: Sendable {
    /// One pattern of a list. What is replaced stands by position: family first, then the parts of a version, or brand and model.
    public struct Pattern: Sendable, Hashable {
        public var regex: String
        public var ignoresCase: Bool
        /// Nil where the file says nothing.
        public var replacements: [String?]
        public init(regex: String, ignoresCase: Bool, replacements: [String?]) {
            self.regex = regex
            self.ignoresCase = ignoresCase
            self.replacements = replacements
        }
    }

    /// What can be looked for: Kusto's word for it, the name of its bag, and the bag's fields.
    public enum Part: String, Sendable, CaseIterable {
        case browser, os, device

        var bag: String {
            switch self {
            case .browser: "Browser"
            case .os: "OperatingSystem"
            case .device: "Device"
            }
        }

        /// The fields by position, as ``Pattern/replacements`` has them.
        public var fields: [String] {
            switch self {
            case .browser: ["Family", "MajorVersion", "MinorVersion", "Patch"]
            case .os: ["Family", "MajorVersion", "MinorVersion", "Patch", "PatchMinor"]
            case .device: ["Family", "Brand", "Model"]
            }
        }
    }

    /// Equal for equal patterns. Plans name the patterns by it.
    public let key: String
    private let lists: [Part: Once<Result<[Compiled], EvaluationError>>]
    private let known = Mutex<[Part: [String: Dynamic]]>([:])
    /// User agents remembered for each part.
    private static let remembered = 8192

    private init(key: String, lists: [Part: [Pattern]]) {
        self.key = key
        self.lists = lists.mapValues { patterns in
            Once {
                do { return .success(try patterns.map(Compiled.init)) } catch {
                    return .failure(error as? EvaluationError ?? EvaluationError("\(error)"))
                }
            }
        }
    }

    private static let opened = Mutex<[UserAgentPatterns]>([])
    private static let kept = 4

    /// The patterns of a key, made of `lists` unless they are there already. Older ones stay while rules of an older reading may ask.
    public static func open(key: String, lists: () throws -> [Part: [Pattern]]) rethrows -> UserAgentPatterns {
        if let found = named(key) { return found }
        let fresh = UserAgentPatterns(key: key, lists: try lists())
        opened.withLock { all in
            all.append(fresh)
            if all.count > kept { all.removeFirst() }
        }
        return fresh
    }

    /// The patterns that a plan names; nil if they are not open any more.
    static func named(_ key: String) -> UserAgentPatterns? { opened.withLock { $0.last { $0.key == key } } }

    /// The bags of the parts of one user agent, each under its name. Throws where a pattern of the list cannot be compiled.
    public func parse(_ agent: String, _ parts: [Part]) throws -> Dynamic {
        .object(try parts.map { Dynamic.Member($0.bag, try bag(agent, $0)) })
    }

    private func bag(_ agent: String, _ part: Part) throws -> Dynamic {
        if let seen = known.withLock({ $0[part]?[agent] }) { return seen }
        let made = try find(agent, part)
        known.withLock { all in
            if all[part, default: [:]].count >= UserAgentPatterns.remembered { all[part] = [:] }
            all[part, default: [:]][agent] = made
        }
        return made
    }

    /// By the first pattern that matches; without one the family is `Other`.
    private func find(_ agent: String, _ part: Part) throws -> Dynamic {
        let bytes = Array(agent.utf8)
        let list = try lists[part]?.value.get() ?? []
        var texts = ["Other"]
        for pattern in list {
            guard let groups = pattern.regex.captures(bytes, from: 0, groups: pattern.groups) else { continue }
            texts = pattern.texts(groups.map { $0.map { String(decoding: bytes[$0], as: UTF8.self) } }, part)
            break
        }
        return .object(part.fields.enumerated().map { i, name in Dynamic.Member(name, .string(i < texts.count ? texts[i] : "")) })
    }

    private struct Compiled: Sendable {
        let regex: Regex2
        let groups: Int
        let replacements: [String?]

        init(_ pattern: Pattern) throws {
            regex = try Regex2(pattern.regex, flags: pattern.ignoresCase ? UInt32(VK_RE2_IGNORE_CASE) : 0)
            groups = regex.groupCount
            replacements = pattern.replacements
        }

        /// The fields of a match: as the replacement says, else the group of the field's position. A device without a model of its own
        /// has its family's group; it has a brand only where one is named.
        func texts(_ groups: [String?], _ part: Part) -> [String] {
            part.fields.indices.map { i in
                if i < replacements.count, let template = replacements[i] { return Compiled.filled(template, groups) }
                let group = part == .device ? (i == 1 ? nil : 1) : i + 1
                guard let group, group < groups.count else { return "" }
                return trimmed(groups[group] ?? "")
            }
        }

        /// The template with `$1` to `$9` replaced by groups, without white space around it.
        private static func filled(_ template: String, _ groups: [String?]) -> String {
            guard template.contains("$") else { return template }
            var out = ""
            var rest = Substring(template)
            while let c = rest.first {
                rest.removeFirst()
                if c == "$", let digit = rest.first?.wholeNumberValue, (1...9).contains(digit) {
                    rest.removeFirst()
                    out += digit < groups.count ? groups[digit] ?? "" : ""
                } else {
                    out.append(c)
                }
            }
            return trimmed(out)
        }
    }
}

extension ExpressionCompiler {
    /// `parse_user_agent(agent, look_for)`: the binder adds the key of the patterns.
    func userAgent(_ arguments: [any ExpressionNode], _ expr: BoundExpr) throws -> any ExpressionNode {
        guard arguments.count == 3, case .string(let key)? = (arguments[2] as? ConstantNode)?.value,
            let patterns = UserAgentPatterns.named(key)
        else { throw EvaluationError("the patterns of user agents of this query are not open", at: expr.range) }
        let agent = converted(arguments[0], to: .string)
        if let constant = (arguments[1] as? ConstantNode)?.value, !constant.isNull {
            let parts = try wantedParts(constant)
            return valueNode([agent], .dynamic, strict: true) { a in .dynamic(try patterns.parse(text(a, 0), parts)) }
        }
        return valueNode([agent, arguments[1]], .dynamic, strict: true) { a in
            .dynamic(try patterns.parse(text(a, 0), try wantedParts(a[1])))
        }
    }
}

/// One of `browser`, `os`, `device`, or an array of them.
private func wantedParts(_ value: Value) throws -> [UserAgentPatterns.Part] {
    let words = array([value], 0)?.map(dynamicText) ?? [text([value], 0)]
    return try words.map { word in
        guard let part = UserAgentPatterns.Part(rawValue: word) else {
            throw EvaluationError("`parse_user_agent` looks for \"browser\", \"os\" or \"device\", not `\(word)`")
        }
        return part
    }
}
