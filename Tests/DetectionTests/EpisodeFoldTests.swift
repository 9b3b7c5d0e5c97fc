import Columnar
import Rules
import Testing

@testable import Detection

@Suite struct EpisodeFoldTests {
    /// Every hour over two.
    static func fold(every: Int64 = 60, over: Int64 = 120, suppression: Int64? = nil) -> EpisodeFold {
        EpisodeFold(
            rule: rule { $0.suppression = suppression.map { $0 * minute } }, frequency: every * minute, period: over * minute,
            identify: { "\($0)@\(($1 - start) / minute)" })
    }

    static func group(_ name: String, _ rows: [Int], users: [String] = [], details: [String] = [], severity: AnalyticsRule.Severity = .low)
        -> GroupResult
    {
        GroupResult(
            key: name, lineage: lineage(rows.map { key($0) }), resultCount: rows.count,
            content: AlertContent(
                name: "n", description: "d", severity: severity, tactics: [], techniques: [],
                entities: users.map { Entity(type: "Account", identifiers: [.init("Name", .string($0))]) }, droppedEntities: 0,
                details: details.isEmpty ? [] : [Alert.Detail(key: "k", values: details)], properties: []))
    }

    /// Ticks in minutes with their groups.
    static func results(_ ticks: [(Int, [GroupResult])], amended: Set<Int> = []) -> [(tick: Int64, result: TickResult)] {
        ticks.map {
            (
                at($0.0),
                TickResult(groups: $0.1, isWindowComplete: true, isHistoryComplete: true, isAmended: amended.contains($0.0))
            )
        }
    }

    /// Ticks at which one group fires, with its rows.
    static func alone(_ ticks: [(Int, [Int])]) -> [(tick: Int64, result: TickResult)] { results(ticks.map { ($0.0, [group("g", $0.1)]) }) }

    @Test func opening() throws {
        let (alerts, state) = EpisodeFoldTests.fold().fold(
            .init(), EpisodeFoldTests.results([(60, [EpisodeFoldTests.group("g", [40, 20, 30])])]))
        let a = try #require(alerts["g@60"])
        #expect(alerts.count == 1 && a.revision == 1 && a.status == .open && !a.isAmended)
        #expect(a.firstTick == start + 60 * minute && a.lastTick == a.firstTick)
        #expect(a.startTime == start + 20 * minute && a.endTime == start + 40 * minute)
        #expect(a.eventCount == 3 && a.evidence.map(\.key) == [key(20), key(30), key(40)])
        #expect(state.open[ByteKey("g")]?.alert == a)
    }

    @Test("what nothing contributed to spans the window") func absence() throws {
        let (alerts, _) = EpisodeFoldTests.fold().fold(.init(), EpisodeFoldTests.results([(180, [EpisodeFoldTests.group("g", [])])]))
        let a = try #require(alerts["g@180"])
        #expect(a.startTime == start + 60 * minute && a.endTime == start + 180 * minute && a.eventCount == 0 && a.evidence.isEmpty)
    }

    @Test(
        "only rows that came make a revision",
        arguments: [
            ([10, 20], [10, 20], 1), ([10, 20], [20], 1), ([10, 20], [20, 90], 2), ([10, 20], [10, 20, 90], 2), ([10, 20], [90], 2),
            // A late row before the others.
            ([10, 20], [5, 10, 20], 2),
        ] as [([Int], [Int], Int)])
    func revision(_ c: (first: [Int], second: [Int], revision: Int)) throws {
        let (alerts, state) = EpisodeFoldTests.fold().fold(
            .init(),
            EpisodeFoldTests.results([(60, [EpisodeFoldTests.group("g", c.first)]), (120, [EpisodeFoldTests.group("g", c.second)])]))
        let a = try #require(alerts["g@60"])
        #expect(alerts.count == 1 && a.revision == c.revision)
        #expect(a.lastTick == at(c.revision == 1 ? 60 : 120))
        let rows = c.revision == 1 ? c.first : c.first + c.second
        #expect(a.startTime == at(rows.min() ?? 0) && a.endTime == at(rows.max() ?? 0))
        // Evidence of earlier revisions stays.
        #expect(a.evidence.map(\.key) == Set(rows).sorted().map { key($0) })
        #expect(state.open[ByteKey("g")]?.lastTick == start + 120 * minute)
    }

    @Test("a revision adds entities, details and severity, and takes nothing away") func growth() throws {
        let (alerts, _) = EpisodeFoldTests.fold().fold(
            .init(),
            EpisodeFoldTests.results([
                (60, [EpisodeFoldTests.group("g", [10], users: ["a", "b"], details: ["x"], severity: .medium)]),
                (120, [EpisodeFoldTests.group("g", [10, 90], users: ["c", "b"], details: ["x", "y"], severity: .low)]),
                (180, [EpisodeFoldTests.group("g", [90, 150], users: ["d"], details: ["e\u{301}", "\u{e9}"], severity: .high)]),
            ]))
        let a = try #require(alerts["g@60"])
        #expect(a.revision == 3 && a.severity == .high)
        #expect(a.entities.compactMap { $0["Name"] } == ["a", "b", "c", "d"])
        // Equal to a reader, but of other bytes: four values.
        #expect(a.customDetails.first?.values.map { Array($0.utf8) } == ["x", "y", "e\u{301}", "\u{e9}"].map { Array($0.utf8) })
    }

    @Test("no more entities than an alert may have; the others are counted") func entityLimit() throws {
        let many = (0..<EntityMapper.limit - 1).map { "u\($0)" }
        let (alerts, _) = EpisodeFoldTests.fold().fold(
            .init(),
            EpisodeFoldTests.results([
                (60, [EpisodeFoldTests.group("g", [10], users: many)]),
                (120, [EpisodeFoldTests.group("g", [10, 90], users: ["x", "y", "z"])]),
            ]))
        let a = try #require(alerts["g@60"])
        #expect(a.entities.count == EntityMapper.limit && a.entities.last?["Name"] == "x" && a.droppedEntities == 2)
    }

    @Test("an episode closes at the first tick without its group", arguments: [false, true]) func closing(_ othersFire: Bool) throws {
        let between = othersFire ? [(120, [EpisodeFoldTests.group("h", [100])])] : []
        let (alerts, state) = EpisodeFoldTests.fold().fold(
            .init(),
            EpisodeFoldTests.results([(60, [EpisodeFoldTests.group("g", [10])])] + between + [(180, [EpisodeFoldTests.group("g", [170])])]))
        #expect(alerts["g@60"]?.status == .closed && alerts["g@60"]?.revision == 1)
        #expect(alerts["g@180"]?.status == .open)
        #expect(alerts.count == (othersFire ? 3 : 2))
        #expect(state.open.keys.map(\.text) == ["g"])
    }

    @Test("the passing of time closes", arguments: [(60, true), (120, false)]) func closedByTime(_ c: (final: Int, isOpen: Bool)) {
        let fold = EpisodeFoldTests.fold()
        var (alerts, state) = fold.fold(.init(), EpisodeFoldTests.results([(60, [EpisodeFoldTests.group("g", [10])])]))
        fold.closeBefore(start + Int64(c.final) * minute, &state, &alerts)
        #expect(alerts["g@60"]?.status == (c.isOpen ? .open : .closed) && state.open.isEmpty == !c.isOpen)
    }

    @Test(
        "an episode spans no more than the largest of period, frequency and a day",
        arguments: [(5, 5, 1440), (60, 1440, 1440), (1440, 1440, 1440), (60, 2880, 2880), (1440, 14 * 1440, 14 * 1440), (2880, 2880, 2880)]
            as [(Int, Int, Int)])
    func span(_ c: (every: Int, over: Int, span: Int)) throws {
        let fold = EpisodeFoldTests.fold(every: Int64(c.every), over: Int64(c.over))
        #expect(fold.maximumSpan == Int64(c.span) * minute)
        // A new row at each tick.
        let ticks = (0...(2 * c.span / c.every)).map { (n: Int) -> (Int, [GroupResult]) in
            (n * c.every, [EpisodeFoldTests.group("g", [n * c.every])])
        }
        let (alerts, _) = fold.fold(.init(), EpisodeFoldTests.results(ticks))
        #expect(Set(alerts.keys) == ["g@0", "g@\(c.span)", "g@\(2 * c.span)"])
        #expect(alerts["g@0"]?.status == .closed && alerts["g@0"]?.revision == c.span / c.every)
        #expect(alerts["g@0"]?.lastTick == start + Int64(c.span - c.every) * minute)
        #expect(alerts["g@\(2 * c.span)"]?.status == .open)
    }

    @Test("after a full span, another needs rows that the old one had not") func noReopeningWithoutNews() throws {
        let fold = EpisodeFoldTests.fold(every: 360, over: 1440)
        // The rows at 0 and 1300 keep the rule firing past the span; at 2160 only the older rows have left.
        let quiet: [(Int, [Int])] = [
            (0, [0]), (360, [0]), (720, [0]), (1080, [0]), (1440, [0, 1300]), (1800, [1300]), (2160, [1300]), (2520, [1300]),
        ]
        let (first, _) = fold.fold(.init(), EpisodeFoldTests.alone(quiet))
        #expect(Set(first.keys) == ["g@0", "g@1440"])
        let older: [(Int, [Int])] = [
            (0, [0]), (360, [0, 10]), (720, [0, 10]), (1080, [0, 10]), (1440, [0, 10]), (1800, [10]), (2160, [10]),
        ]
        let (alerts, state) = fold.fold(.init(), EpisodeFoldTests.alone(older))
        #expect(Set(alerts.keys) == ["g@0"])
        #expect(alerts["g@0"]?.status == .closed)
        #expect(state.open[ByteKey("g")]?.isFull == true)
        // The fold goes on from its state: a new row opens, and so does any row after a tick without.
        let next = fold.fold(
            state,
            EpisodeFoldTests.results([(2520, [EpisodeFoldTests.group("g", [10])]), (2880, [EpisodeFoldTests.group("g", [10, 2600])])]))
        #expect(next.alerts["g@2880"]?.status == .open && next.alerts["g@2520"] == nil)
        let gap = fold.fold(state, EpisodeFoldTests.results([(2880, [EpisodeFoldTests.group("g", [10])])]))
        #expect(gap.alerts["g@2880"]?.status == .open)
    }

    @Test(
        "suppression looks at openings, both ends of its interval as documented",
        arguments: [
            // (suppression, ticks that fire alone, openings, swallowed)
            (nil, [60, 180, 300], [60, 180, 300], 0), (120, [60, 180, 300], [60, 300], 1), (119, [60, 180, 300], [60, 180, 300], 0),
            (240, [60, 180, 300, 420], [60, 420], 2), (1, [60, 180], [60, 180], 0),
        ] as [(Int64?, [Int], [Int], Int)])
    func suppression(_ c: (suppression: Int64?, ticks: [Int], openings: [Int], swallowed: Int)) {
        let (alerts, state) = EpisodeFoldTests.fold(suppression: c.suppression).fold(
            .init(), EpisodeFoldTests.results(c.ticks.map { ($0, [EpisodeFoldTests.group("g", [$0 - 1])]) }))
        #expect(Set(alerts.keys) == Set(c.openings.map { "g@\($0)" }))
        #expect(state.suppressedOpenings == c.swallowed)
    }

    @Test("groups of one tick do not suppress each other, and revisions go on") func suppressionAndGroups() {
        let (alerts, state) = EpisodeFoldTests.fold(suppression: 600).fold(
            .init(),
            EpisodeFoldTests.results([
                (60, [EpisodeFoldTests.group("g", [10]), EpisodeFoldTests.group("h", [11])]),
                (120, [EpisodeFoldTests.group("g", [10, 100]), EpisodeFoldTests.group("i", [101])]),
            ]))
        #expect(Set(alerts.keys) == ["g@60", "h@60"])
        #expect(alerts["g@60"]?.revision == 2 && alerts["h@60"]?.status == .closed && state.suppressedOpenings == 1)
    }

    @Test("an amended tick marks the alert that it opens or revises", arguments: [60, 120, 180]) func amended(_ tick: Int) {
        let (alerts, _) = EpisodeFoldTests.fold().fold(
            .init(),
            EpisodeFoldTests.results(
                [(60, [EpisodeFoldTests.group("g", [10])]), (120, [EpisodeFoldTests.group("g", [10])])], amended: [tick]))
        #expect(alerts["g@60"]?.isAmended == (tick < 180))
    }

    @Test("groups are told apart by their bytes") func bytes() {
        let (alerts, state) = EpisodeFoldTests.fold().fold(
            .init(),
            EpisodeFoldTests.results([
                (60, [EpisodeFoldTests.group("e\u{301}", [10])]),
                (120, [EpisodeFoldTests.group("e\u{301}", [10]), EpisodeFoldTests.group("\u{e9}", [100])]),
                (180, [EpisodeFoldTests.group("\u{e9}", [100])]),
            ]))
        #expect(
            alerts.values.map { Array($0.groupKey.utf8) }.sorted { $0.count < $1.count } == [Array("\u{e9}".utf8), Array("e\u{301}".utf8)])
        #expect(state.open.keys.map { Array($0.text.utf8) } == [Array("\u{e9}".utf8)])
    }

    @Test("evidence is the first five and the last five, whatever the order", arguments: [0, 1, 9, 10, 11, 40]) func sample(_ count: Int) {
        var random = SplitMix(UInt64(count))
        let keys = (0..<count).map { key($0 / 2, hash: UInt64($0 % 2)) }
        let expected = count <= 10 ? keys : Array(keys.prefix(5) + keys.suffix(5))
        for _ in 0..<5 {
            let shuffled = keys.shuffled(using: &random)
            #expect(EpisodeFold.sample(shuffled).map(\.key) == expected)
            #expect((lineage(shuffled)?.sample ?? []) == expected)
        }
    }
}
