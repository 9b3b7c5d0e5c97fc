import Columnar
import GRDB
import Rules
import Testing

@testable import Detection
@testable import Storage

@Suite struct AlertStoreTests {
    static func store(_ f: Folder, _ alerts: [Alert], now: Int64 = 1) throws -> StateStore {
        let store = try StateStore(directory: f.path)
        var c = Checkpoint()
        c.alerts = alerts
        try store.commit(c, now: now)
        return store
    }

    @Test func laterRevisionsWin() throws {
        let f = try Folder()
        let store = try AlertStoreTests.store(f, [alert("0a", revision: 3, end: 50), alert("0a", revision: 2, end: 40)])
        #expect(try store.alerts().map(\.revision) == [3] && store.alerts().map(\.endTime) == [50])
        var c = Checkpoint()
        c.alerts = [alert("0a", revision: 3, status: .open, end: 60)]
        try store.commit(c, now: 2)
        #expect(try store.alerts().map(\.status) == ["open"])
    }

    @Test func filters() throws {
        let f = try Folder()
        let store = try AlertStoreTests.store(
            f,
            [
                alert("0a", rule: "Disk 100% gone", end: 100), alert("0b", rule: "Lock removed", severity: .low, end: 200),
                alert("1c", rule: "Lock_removed", end: 300),
            ])
        func ids(_ rows: [StateStore.AlertRow]) -> [String] { rows.map(\.id) }
        #expect(try ids(store.alerts()) == ["1c", "0b", "0a"])
        #expect(try ids(store.alerts(limit: 1)) == ["1c"])
        #expect(try ids(store.alerts(severity: "low")) == ["0b"])
        // A part of the name, in any case; wild cards of SQL stand for themselves.
        #expect(try ids(store.alerts(rule: "LOCK")) == ["1c", "0b"])
        #expect(try ids(store.alerts(rule: "100%")) == ["0a"] && ids(store.alerts(rule: "k_r")) == ["1c"])
        #expect(try ids(store.alerts(rule: "r-Lock removed")) == ["0b"])
        #expect(try ids(store.alerts(since: 200)) == ["1c", "0b"] && ids(store.alerts(until: 190)) == ["0b", "0a"])
        #expect(try ids(store.alerts(idPrefix: "0")) == ["0a", "0b"] && ids(store.alerts(idPrefix: "0A")) == ["0a"])
        for nothing in ["", "%", "nothing", "_a", "' OR 1=1"] { #expect(try store.alerts(idPrefix: nothing).isEmpty) }
    }

    @Test("last alerts come from the index, not from the alerts with their evidence") func lastAlerts() throws {
        let f = try Folder()
        let store = try AlertStoreTests.store(
            f, [alert("0a", rule: "one", end: 100), alert("0b", rule: "one", end: 300), alert("1c", rule: "two", end: 200)])
        #expect(try store.lastAlertTimes() == ["r-one": 300, "r-two": 200])
        let plan = try store.queue.read {
            try Row.fetchAll($0, sql: "EXPLAIN QUERY PLAN SELECT rule_id, max(end_time) FROM alert GROUP BY rule_id").map {
                $0["detail"] as String
            }
        }
        #expect(plan == ["SCAN alert USING COVERING INDEX alert_by_rule"])
    }

    @Test func retentionOfAlerts() throws {
        let f = try Folder()
        let store = try AlertStoreTests.store(f, [alert("01"), alert("02", status: .open), alert("03", status: .merged)], now: 100)
        var c = Checkpoint()
        c.alerts = [alert("04", end: 1)]
        try store.commit(c, now: 200)
        #expect(try store.prune(alertsBefore: nil, evidenceBefore: nil) == (0, 0))
        #expect(try store.prune(alertsBefore: 100, evidenceBefore: nil) == (0, 0))
        // When it was written counts, not when its events were: logs of last year give alerts of today.
        #expect(try store.prune(alertsBefore: 101, evidenceBefore: nil) == (2, 0))
        #expect(try store.alerts().map(\.id).sorted() == ["02", "04"])
    }

    @Test func retentionOfEvidence() throws {
        let f = try Folder()
        let store = try AlertStoreTests.store(
            f, [alert("01", raw: #"{"user":"eve","n":[1,2.50,1e400,null]}"#), alert("02", raw: nil), alert("03", status: .open)], now: 100)
        var c = Checkpoint()
        c.alerts = [alert("04", raw: "no json {")]
        try store.commit(c, now: 150)
        #expect(try store.prune(alertsBefore: nil, evidenceBefore: 151) == (0, 2))
        #expect(try store.prune(alertsBefore: nil, evidenceBefore: 151) == (0, 0))
        for row in try store.alerts() {
            let json = try #require(JSONText.parse(row.json))
            guard case .array(let items)? = json["evidence"] else {
                Issue.record("no evidence")
                continue
            }
            #expect(items.count == 1 && items[0]["record_hash"] == .string("00000000000000010000000000000002"))
            #expect(items[0]["record"] == .null || row.id == "03")
            // All else stays as it was.
            let before = [alert("01", raw: nil), alert("02", raw: nil), alert("03", status: .open), alert("04", raw: nil)]
            #expect(row.json == before.first { $0.id == row.id }?.jsonLine)
        }
        // A later revision brings new evidence, which ages anew.
        c.alerts = [alert("01", revision: 2)]
        try store.commit(c, now: 300)
        #expect(try store.prune(alertsBefore: nil, evidenceBefore: 300) == (0, 0))
        #expect(try store.prune(alertsBefore: nil, evidenceBefore: 301) == (0, 1))
    }

    @Test func pruningIsBoundedATime() throws {
        let f = try Folder()
        let n = StateStore.pruneBatch + 7
        let store = try AlertStoreTests.store(f, (0..<n).map { alert(String($0, radix: 16)) })
        #expect(try store.prune(alertsBefore: nil, evidenceBefore: 2) == (0, StateStore.pruneBatch))
        #expect(try store.prune(alertsBefore: 2, evidenceBefore: 2).deleted == StateStore.pruneBatch)
        #expect(try store.prune(alertsBefore: 2, evidenceBefore: 2).deleted == 7)
    }

    @Test func stateOfRulesThatAreGone() throws {
        let f = try Folder()
        let store = try StateStore(directory: f.path)
        var c = Checkpoint()
        c.delta.rules = [("a", [1]), ("b", [2])]
        c.delta.added = [(.init(fingerprint: "a", leg: 0, id: 1), [1]), (.init(fingerprint: "b", leg: 0, id: 1), [2])]
        try store.commit(c, now: 1)
        func rules() throws -> [String] { try store.savedState().rules.keys.sorted() }
        #expect(try store.retire(rulesExcept: ["a"], now: 100, after: 50) == 0)
        #expect(try store.retire(rulesExcept: ["a"], now: 149, after: 50) == 0)
        #expect(try rules() == ["a", "b"])
        // Back in time: it counts anew.
        #expect(try store.retire(rulesExcept: ["a", "b"], now: 149, after: 50) == 0)
        #expect(try store.retire(rulesExcept: ["a"], now: 160, after: 50) == 0)
        #expect(try store.retire(rulesExcept: ["a"], now: 210, after: 50) == 1)
        #expect(try rules() == ["a"] && store.savedState().segments.map(\.id.rule) == ["a"])
    }
}
