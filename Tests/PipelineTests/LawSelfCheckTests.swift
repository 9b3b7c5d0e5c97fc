import Columnar
import KQL
import Testing

/// The harness itself: it must find an engine, a window or a store that is wrong.
@Suite struct LawSelfCheckTests {
    /// Cases enough that each flaw shows in some of them.
    static let seeds: ClosedRange<UInt64> = 1...14

    private func found(_ body: (LawCase, UInt64) throws -> [String]) throws -> Int {
        var n = 0
        for seed in LawSelfCheckTests.seeds {
            if !(try body(LawCase(seed: seed, rules: LawTests.rulesPerCase), seed)).isEmpty { n += 1 }
        }
        return n
    }

    @Test("a record that gets lost is noticed") func lostRecord() throws {
        let n = try found { lawCase, seed in
            let run = try LawRun(lawCase, LawConfiguration(batch: 7))
            var passed = 0
            run.spoil = { record in
                passed += 1
                return passed % 4 == 0 ? nil : record
            }
            return try LawHarness(lawCase).differences(try run.run())
        }
        #expect(n > 1)
    }

    @Test("a record that is read twice is noticed") func doubledRecord() throws {
        let n = try found { lawCase, seed in
            let run = try LawRun(lawCase, LawConfiguration(batch: 7))
            var passed = 0
            run.spoil = { record in
                passed += 1
                return passed % 4 == 0 ? LogRecord(time: record.time, table: record.table, json: record.json + "\n" + record.json) : record
            }
            return try LawHarness(lawCase).differences(try run.run())
        }
        #expect(n > 1)
    }

    @Test("a window with an open end is noticed", arguments: LawOracle.Flaw.allCases) func window(_ flaw: LawOracle.Flaw) throws {
        let n = try found { lawCase, seed in
            try LawHarness(lawCase, flaw: flaw).differences(try LawRun(lawCase, LawConfiguration(batch: 1024)).run())
        }
        #expect(n > 1)
    }

    @Test("a retained segment that is lost in a crash is noticed") func lostSegment() throws {
        let n = try found { lawCase, seed in
            let run = try LawRun(lawCase, LawConfiguration(batch: 3, kills: 4))
            run.losesSegment = true
            return try LawHarness(lawCase).differences(try run.run())
        }
        #expect(n > 1)
    }

    @Test("less lateness than the disorder is noticed") func latecomers() throws {
        let n = try found { lawCase, seed in
            var log = lawCase.log
            guard log.lateness > 0 else { return [] }
            log = RandomLog(sources: log.sources, scale: log.scale, start: log.start, lateness: 0)
            let hasty = try LawCase(seed: seed, log: log, rules: lawCase.rules, mode: lawCase.mode, coldRaise: lawCase.coldRaise)
            return try LawHarness(hasty).differences(try LawRun(hasty, LawConfiguration(batch: 1)).run())
        }
        #expect(n > 1)
    }
}
