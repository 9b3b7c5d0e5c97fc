import Columnar
import Rules
import Testing

@Suite struct AttackCatalogTests {
    @Test(arguments: [
        ("CredentialAccess", Tactic.credentialAccess), ("credential-access", .credentialAccess), ("Credential Access", .credentialAccess),
        ("TA0006", .credentialAccess), ("CommandandControl", .commandAndControl), ("Command and Control", .commandAndControl),
        ("DefenseEvasion", .defenseEvasion), ("TA0005", .defenseEvasion), ("Stealth", .stealth), ("defense-impairment", .defenseImpairment),
        ("ta0112", .defenseImpairment), ("PreAttack", .preAttack), ("ImpairProcessControl", .impairProcessControl), ("Evasion", .evasion),
    ])
    func tacticNames(name: String, expected: Tactic) { #expect(Tactic(name: name) == expected) }

    @Test(arguments: ["", "Hacking", "TA9999", "Defence Evasion", "T1098"]) func noTactics(name: String) {
        #expect(Tactic(name: name) == nil)
    }

    @Test(arguments: Tactic.allCases) func everyTacticReadsItself(tactic: Tactic) {
        #expect(Tactic(name: tactic.rawValue) == tactic)
        #expect(Tactic(name: tactic.rawValue.uppercased()) == tactic)
        if let id = tactic.attackID { #expect(Tactic(name: id)?.family == tactic.family) }
        #expect(tactic.family.family == tactic.family)
    }

    @Test func theTableIsSound() {
        let ids = AttackCatalog.identifiers
        #expect(ids.count == 858)
        #expect(Set(ids).count == ids.count)
        for id in ids {
            guard let t = AttackCatalog.technique(id) else {
                Issue.record("no \(id)")
                continue
            }
            #expect(AttackCatalog.isWellFormed(id) && t.id == id && !t.name.isEmpty)
            #expect(t.isSubtechnique == (t.parent != t.id))
            switch AttackCatalog.resolve(id) {
            case .current: #expect(!t.tactics.isEmpty && t.successor == nil, "\(id)")
            case .replaced(let now, let old): #expect(old.id == id && now.successor == nil && !now.tactics.isEmpty, "\(id)")
            case .deprecated: #expect(t.isDeprecated && t.successor == nil)
            case .unknown: Issue.record("\(id) is unknown")
            }
            if t.isSubtechnique, t.successor == nil, !t.isDeprecated { #expect(AttackCatalog.technique(t.parent) != nil, "\(id)") }
        }
    }

    /// Lines are looked for by halving, which needs their order.
    @Test func everyLineIsFound() {
        let all = AttackCatalog.identifiers
        #expect(zip(all, all.dropFirst()).allSatisfy { ByteText.precedes($0, $1) })
        for id in all { #expect(AttackCatalog.technique(id)?.id == id) }
        for id in ["", "T", "T0", "T1", "T1001.", "T1001.0001", "T9999", "U1", "|", "\n"] { #expect(AttackCatalog.technique(id) == nil) }
    }

    @Test func revokedOnesHaveSuccessors() {
        for (old, new) in [("T1086", "T1059.001"), ("T1002", "T1560"), ("T1015", "T1546.008"), ("t1022", "T1560")] {
            guard case .replaced(let now, let was) = AttackCatalog.resolve(old) else {
                Issue.record("\(old) was not replaced")
                continue
            }
            #expect(now.id == new && was.id == old.uppercased())
        }
        #expect(AttackCatalog.resolve("T9999") == .unknown)
        if case .deprecated(let t) = AttackCatalog.resolve("T1026") {
            #expect(t.name == "Multiband Communication")
        } else {
            Issue.record("T1026")
        }
    }

    @Test func bothVersionsCount() throws {
        // Defense Evasion in 18.1, Stealth in 19.
        let t = try #require(AttackCatalog.technique("T1027"))
        #expect(t.tactics == [.stealth] && t.formerTactics == [.defenseEvasion])
        #expect(t.serves(.defenseEvasion) && t.serves(.stealth) && t.serves(.defenseImpairment) && !t.serves(.impact))
        let renamed = try #require(AttackCatalog.technique("T1222.001"))
        #expect(renamed.name == "Windows Permissions" && renamed.formerName != nil)
        // New in 19: unknown to 18.1.
        let new = try #require(AttackCatalog.technique("T1684"))
        #expect(new.formerTactics.isEmpty && new.tactics == [.stealth])
    }

    @Test(arguments: [
        ("T1098", true), ("t1098.001", true), ("T109", false), ("T1098.1", false), ("X1098", false), ("T1098-001", false),
        ("T10981001", false), ("", false),
    ])
    func forms(id: String, isGood: Bool) { #expect(AttackCatalog.isWellFormed(id) == isGood) }

    @Test func entityTypesAndIdentifiers() throws {
        #expect(EntityCatalog.names.count == 19)
        #expect(EntityCatalog.type("ip")?.name == "IP" && EntityCatalog.type("Url")?.name == "URL")
        #expect(try #require(EntityCatalog.type("ACCOUNT")).identifiers.contains("UPNSuffix"))
        #expect(EntityCatalog.type("User") == nil)
        for name in EntityCatalog.names {
            let e = try #require(EntityCatalog.type(name))
            #expect(!e.identifiers.isEmpty && Set(e.identifiers).count == e.identifiers.count)
        }
    }

    private static let minute: Int64 = 600_000_000

    @Test(
        arguments: [
            ("5m", 5), ("1h", 60), ("14d", 14 * 1440), ("1 h", 60), ("00:05:00", 5), ("01:30:00", 90), ("1.00:00:00", 1440),
            ("1.02:30:00", 1590),
            ("PT5M", 5), ("PT5H", 300), ("P1D", 1440), ("PT24H", 1440), ("P7D", 7 * 1440), ("P1DT2H30M", 1590), ("P2W", 14 * 1440),
            ("PT300S", 5),
            // A bare number is read as .NET reads it: days.
            ("1", 1440),
        ] as [(String, Int64)])
    func durations(text: String, minutes: Int64) { #expect(RuleDurations.parse(text) == minutes * AttackCatalogTests.minute) }

    @Test(arguments: [
        "", "h", "5", "5y", "-5m", "0m", "1.5h", "PT", "P", "PT5", "P5H", "5:", "25:00:00", "999999999999999999d", "P9999999D", "m5", "٥m",
    ])
    func noDurations(text: String) {
        if text == "5" {
            #expect(RuleDurations.parse(text) == 5 * 1440 * AttackCatalogTests.minute)
        } else {
            #expect(RuleDurations.parse(text) == nil)
        }
    }
}
