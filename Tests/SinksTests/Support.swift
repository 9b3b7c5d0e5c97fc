import Columnar
import Glibc
import Rules

@testable import Detection

struct TestError: Error { let text: String }

/// A folder that goes away with the test.
final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/vedette-sinks-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestError(text: "mkdtemp: \(errno)") }
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

    func text(_ name: String) -> String {
        let d = open(self[name], O_RDONLY)
        guard d >= 0 else { return "" }
        defer { close(d) }
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let n = Glibc.read(d, &buffer, buffer.count)
            if n <= 0 { return String(decoding: out, as: UTF8.self) }
            out += buffer.prefix(n)
        }
    }

    func lines(_ name: String) -> [String] { text(name).split(separator: "\n").map(String.init) }

    func write(_ name: String, _ text: String) {
        let d = open(self[name], O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        let all = Array(text.utf8)
        _ = Glibc.write(d, all, all.count)
        close(d)
    }
}

/// A small alert; `raw`: its evidence.
func alert(
    _ id: String, revision: Int = 1, name: String = "n", description: String = "d", severity: AnalyticsRule.Severity = .high,
    raw: String? = #"{"a":1}"#, entities: [Entity] = [], properties: [Dynamic.Member] = []
) -> Alert {
    let time = KustoTime.unixEpoch + 20_000 * KustoTime.ticksPerDay + 1_234_567
    return Alert(
        id: id, revision: revision, status: .open, ruleID: "r", ruleName: "rule", ruleVersion: nil, name: name, description: description,
        severity: severity, tactics: ["Impact"], techniques: ["T1485"], entities: entities, details: [], dynamicProperties: properties,
        startTime: time, endTime: time, firstTick: time, lastTick: time, period: 10, frequency: 10, isWindowComplete: true,
        isHistoryComplete: true, resultCount: 1, eventCount: 1,
        evidence: [Evidence(key: RowKey(time: time, hashHigh: 1, hashLow: 2), table: "AzureActivity", raw: raw)], groupKey: "g")
}

/// A socket that listens, and what came in. Blocking calls end after five seconds.
final class Server {
    let descriptor: Int32
    private(set) var port: UInt16 = 0
    private let file: String?

    /// TCP or UDP on the loopback address; `port` 0: any free one.
    init(_ type: __socket_type, port wanted: UInt16 = 0) throws {
        file = nil
        descriptor = socket(AF_INET, Int32(type.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = wanted.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let ok = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard ok else { throw TestError(text: "bind: \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        try prepare(type)
    }

    /// A Unix socket.
    init(_ type: __socket_type, path: String) throws {
        file = path
        descriptor = socket(AF_UNIX, Int32(type.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let ok = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
        }
        guard ok else { throw TestError(text: "bind: \(errno)") }
        try prepare(type)
    }

    private func prepare(_ type: __socket_type) throws {
        Server.limit(descriptor)
        if type == SOCK_STREAM, listen(descriptor, 5) != 0 { throw TestError(text: "listen: \(errno)") }
    }

    static func limit(_ d: Int32) {
        var wait = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(d, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    }

    func close() { Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }

    deinit {
        Glibc.close(descriptor)
        if let file { unlink(file) }
    }

    /// The next datagram.
    func receive() throws -> String { try Server.receive(descriptor) }

    static func receive(_ d: Int32) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        let n = recv(d, &buffer, buffer.count, 0)
        guard n >= 0 else { throw TestError(text: "recv: \(errno)") }
        return String(decoding: buffer.prefix(n), as: UTF8.self)
    }

    func accept() throws -> Peer {
        let d = Glibc.accept(descriptor, nil, nil)
        guard d >= 0 else { throw TestError(text: "accept: \(errno)") }
        Server.limit(d)
        return Peer(d)
    }
}

final class Peer {
    private let descriptor: Int32
    private var pending: [UInt8] = []

    init(_ d: Int32) { descriptor = d }
    deinit { Glibc.close(descriptor) }

    private func more() throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let n = recv(descriptor, &buffer, buffer.count, 0)
        guard n > 0 else { throw TestError(text: "recv: \(n) \(errno)") }
        pending += buffer.prefix(n)
    }

    /// The next message, framed by octet counting.
    func counted() throws -> String {
        while true {
            if let blank = pending.firstIndex(of: 0x20), let n = Int(String(decoding: pending[..<blank], as: UTF8.self)),
                pending.count >= blank + 1 + n
            {
                defer { pending.removeFirst(blank + 1 + n) }
                return String(decoding: pending[(blank + 1)..<(blank + 1 + n)], as: UTF8.self)
            }
            try more()
        }
    }

    func line() throws -> String {
        while true {
            if let end = pending.firstIndex(of: 0x0A) {
                defer { pending.removeFirst(end + 1) }
                return String(decoding: pending[..<end], as: UTF8.self)
            }
            try more()
        }
    }
}
