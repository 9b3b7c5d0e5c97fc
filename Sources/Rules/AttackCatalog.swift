import Synchronization

/// A tactic as Sentinel rules name it, and the newer names of ATT&CK.
public enum Tactic: String, Sendable, Hashable, CaseIterable {
    case reconnaissance = "Reconnaissance"
    case resourceDevelopment = "ResourceDevelopment"
    case initialAccess = "InitialAccess"
    case execution = "Execution"
    case persistence = "Persistence"
    case privilegeEscalation = "PrivilegeEscalation"
    case defenseEvasion = "DefenseEvasion"
    /// ATT&CK 19: what remains of Defense Evasion (TA0005).
    case stealth = "Stealth"
    /// ATT&CK 19: split out of Defense Evasion (TA0112).
    case defenseImpairment = "DefenseImpairment"
    case credentialAccess = "CredentialAccess"
    case discovery = "Discovery"
    case lateralMovement = "LateralMovement"
    case collection = "Collection"
    case commandAndControl = "CommandAndControl"
    case exfiltration = "Exfiltration"
    case impact = "Impact"
    /// Legacy: what came before Initial Access.
    case preAttack = "PreAttack"
    /// ATT&CK for ICS.
    case impairProcessControl = "ImpairProcessControl"
    case inhibitResponseFunction = "InhibitResponseFunction"
    case evasion = "Evasion"

    /// The tactic of a name in any spelling: Sentinel's, ATT&CK's with blanks or dashes, any case, or its TA number.
    public init?(name: some StringProtocol) {
        let key = Tactic.key(name)
        guard let tactic = Tactic.byKey[key] else { return nil }
        self = tactic
    }

    private static func key(_ name: some StringProtocol) -> String {
        name.lowercased().filter { $0 != " " && $0 != "-" && $0 != "_" }
    }

    private static let byKey: [String: Tactic] = {
        var table: [String: Tactic] = [:]
        for tactic in Tactic.allCases {
            table[key(tactic.rawValue)] = tactic
            if let id = tactic.attackID { table[id.lowercased()] = tactic }
        }
        // TA0005 was Defense Evasion for the longest time, and Sentinel still says so.
        table["ta0005"] = .defenseEvasion
        table["c2"] = .commandAndControl
        return table
    }()

    /// The TA number; nil for the legacy one.
    public var attackID: String? {
        switch self {
        case .reconnaissance: "TA0043"
        case .resourceDevelopment: "TA0042"
        case .initialAccess: "TA0001"
        case .execution: "TA0002"
        case .persistence: "TA0003"
        case .privilegeEscalation: "TA0004"
        case .defenseEvasion, .stealth: "TA0005"
        case .defenseImpairment: "TA0112"
        case .credentialAccess: "TA0006"
        case .discovery: "TA0007"
        case .lateralMovement: "TA0008"
        case .collection: "TA0009"
        case .commandAndControl: "TA0011"
        case .exfiltration: "TA0010"
        case .impact: "TA0040"
        case .impairProcessControl: "TA0106"
        case .inhibitResponseFunction: "TA0107"
        case .evasion: "TA0103"
        case .preAttack: nil
        }
    }

    /// The tactic under which versions before 19 and Sentinel know this one: Defense Evasion for its two successors.
    public var family: Tactic {
        switch self {
        case .stealth, .defenseImpairment: .defenseEvasion
        default: self
        }
    }
}

/// A technique or sub-technique of ATT&CK Enterprise.
public struct Technique: Sendable, Hashable {
    /// `T1098` or `T1098.001`.
    public let id: String
    public let name: String
    /// The name up to version 18.1 where it was another one.
    public let formerName: String?
    /// Tactics in version 19.
    public let tactics: [Tactic]
    /// Tactics in version 18.1; empty for techniques that are newer.
    public let formerTactics: [Tactic]
    public let isDeprecated: Bool
    /// The technique that took this one's place.
    public let successor: String?

    public var isSubtechnique: Bool { id.utf8.contains(0x2E) }
    /// The technique above a sub-technique; a technique itself.
    public var parent: String { String(id.prefix { $0 != "." }) }

    /// Does it serve a tactic, in either version, old and new names of one family counting as equal?
    public func serves(_ tactic: Tactic) -> Bool {
        tactics.contains { $0.family == tactic.family } || formerTactics.contains { $0.family == tactic.family }
    }
}

/// Techniques of MITRE ATT&CK Enterprise 19 and 18.1, and what became of revoked ones.
public enum AttackCatalog {
    /// By identifier; revoked and deprecated ones included.
    public static func technique(_ id: String) -> Technique? {
        let id = id.uppercased()
        if let read = read.withLock({ $0[id] }) { return read }
        guard let technique = AttackLines.line(of: id).map(parsed) else { return nil }
        read.withLock { $0[id] = technique }
        return technique
    }

    /// The techniques that were asked for, by identifier: rules name few of hundreds, and those again and again.
    private static let read = Mutex<[String: Technique]>([:])

    /// What an identifier means today.
    public enum Resolution: Sendable, Hashable {
        case current(Technique)
        /// Revoked: the technique that stands for it now.
        case replaced(by: Technique, old: Technique)
        /// Withdrawn without a successor; kept as written.
        case deprecated(Technique)
        case unknown
    }

    public static func resolve(_ id: String) -> Resolution {
        guard let found = technique(id) else { return .unknown }
        var now = found
        // The table has no chains today; a few steps are allowed so that a later one may.
        for _ in 0..<8 {
            guard let next = now.successor.flatMap(technique) else { break }
            now = next
        }
        if now.id != found.id { return .replaced(by: now, old: found) }
        return found.isDeprecated ? .deprecated(found) : .current(found)
    }

    /// Every identifier, sorted: for suggestions.
    public static let identifiers: [String] = AttackTable.techniques.split(separator: "\n").map { String($0.prefix { $0 != "|" }) }

    /// `T` and four digits, with or without a dot and three digits, any case.
    public static func isWellFormed(_ id: String) -> Bool {
        let b = Array(id.utf8)
        guard b.count == 5 || b.count == 9, b[0] | 0x20 == 0x74 else { return false }
        func digits(_ range: Range<Int>) -> Bool { b[range].allSatisfy { $0 >= 0x30 && $0 <= 0x39 } }
        return digits(1..<5) && (b.count == 5 || (b[5] == 0x2E && digits(6..<9)))
    }

    private static func parsed(_ line: Substring) -> Technique {
        let fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        func field(_ i: Int) -> String { i < fields.count ? fields[i] : "" }
        let tactics = list(field(2))
        return Technique(
            id: field(0), name: field(1), formerName: field(5).isEmpty ? nil : field(5), tactics: tactics,
            formerTactics: field(6).isEmpty ? tactics : list(field(6)), isDeprecated: field(3) == "d",
            successor: field(4).isEmpty ? nil : field(4))
    }

    private static func list(_ text: String) -> [Tactic] { text.split(separator: ";").compactMap { Tactic(name: $0) } }
}

/// The lines of the generated table, which are in the order of their identifiers: a rule names a few of hundreds, so none is read before it
/// is asked for.
enum AttackLines {
    private static let newline: UInt8 = 0x0A
    private static let bar: UInt8 = 0x7C

    /// The line of a technique.
    static func line(of id: String) -> Substring? {
        let text = AttackTable.techniques.utf8
        let id = id.utf8
        // Lines that begin before `low` come before the one that is looked for, those at `high` and later behind it.
        var (low, high) = (text.startIndex, text.endIndex)
        while low < high {
            var start = text.index(low, offsetBy: text.distance(from: low, to: high) / 2)
            while start > low, text[text.index(before: start)] != newline { start = text.index(before: start) }
            let end = text[start...].firstIndex(of: newline) ?? text.endIndex
            let found = text[start..<(text[start..<end].firstIndex(of: bar) ?? end)]
            if found.elementsEqual(id) { return Substring(text[start..<end]) }
            if found.lexicographicallyPrecedes(id) {
                low = end < text.endIndex ? text.index(after: end) : end
            } else {
                high = start
            }
        }
        return nil
    }
}
