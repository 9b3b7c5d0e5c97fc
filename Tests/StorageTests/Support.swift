import Columnar
import Glibc
import Rules

@testable import Detection
@testable import Storage

/// A folder that goes away with the test.
final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/vedette-storage-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw StorageError("mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        guard let list = opendir(path) else { return }
        while let entry = readdir(list) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { unlink(path + "/" + name) }
        }
        closedir(list)
        rmdir(path)
    }

    subscript(name: String) -> String { path + "/" + name }

    func read(_ name: String) throws -> [UInt8] {
        let d = open(self[name], O_RDONLY)
        guard d >= 0 else { throw StorageError("no \(name)") }
        defer { close(d) }
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let n = Glibc.read(d, &buffer, buffer.count)
            if n <= 0 { return out }
            out += buffer.prefix(n)
        }
    }

    func write(_ name: String, _ bytes: some Collection<UInt8>) throws {
        let d = open(self[name], O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard d >= 0 else { throw StorageError("cannot write \(name)") }
        defer { close(d) }
        let all = Array(bytes)
        guard Glibc.write(d, all, all.count) == all.count else { throw StorageError("cannot write \(name)") }
    }
}

/// A small alert; `raw`: its evidence.
func alert(
    _ id: String, revision: Int = 1, status: Alert.Status = .closed, rule: String = "rule one", severity: AnalyticsRule.Severity = .high,
    end: Int64 = 1_000, raw: String? = #"{"a":1}"#
) -> Alert {
    Alert(
        id: id, revision: revision, status: status, ruleID: "r-" + rule, ruleName: rule, ruleVersion: nil, name: rule, description: "",
        severity: severity, tactics: ["Impact"], techniques: ["T1485"], entities: [], details: [], startTime: end - 10, endTime: end,
        firstTick: end, lastTick: end, period: 10, frequency: 10, isWindowComplete: true, isHistoryComplete: true, resultCount: 1,
        eventCount: 1,
        evidence: [Evidence(key: RowKey(time: end, hashHigh: 1, hashLow: 2), table: "AzureActivity", raw: raw)], groupKey: "g")
}
