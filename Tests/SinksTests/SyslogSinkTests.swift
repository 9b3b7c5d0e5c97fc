import Columnar
import Detection
import Glibc
import Rules
import Testing

@testable import Sinks

@Suite struct SyslogSinkTests {
    // MARK: Addresses

    @Test(arguments: [
        ("unix:/dev/log", SyslogSink.Address.unix("/dev/log")), ("udp:logs.example:514", .udp(host: "logs.example", port: 514)),
        ("tcp:10.0.0.1:601", .tcp(host: "10.0.0.1", port: 601)), ("tcp:[::1]:601", .tcp(host: "::1", port: 601)),
    ])
    func addresses(_ text: String, _ address: SyslogSink.Address) {
        #expect(SyslogSink.Address(text) == address)
        // The name under which waiting alerts are kept reads as it was written.
        #expect("\(address)" == text && SyslogSink(address: address).name == "syslog:" + text)
    }

    @Test(arguments: [
        "", "unix", "unix:", "unix:relative", "unix:/" + String(repeating: "x", count: 120), "udp:host", "udp::514", "udp:host:0",
        "udp:host:65536",
        "udp:host:-1", "tcp:host:x", "http:host:80", "tcp:", ":514",
    ])
    func noAddresses(_ text: String) { #expect(SyslogSink.Address(text) == nil) }

    // MARK: Messages

    @Test(arguments: [(AnalyticsRule.Severity.high, 130), (.medium, 131), (.low, 132), (.informational, 133)])
    func priorities(_ severity: AnalyticsRule.Severity, _ value: Int) throws {
        let text = String(decoding: SyslogSink.message(alert("1", severity: severity), hostName: "h", limit: nil), as: UTF8.self)
        #expect(text.hasPrefix("<\(value)>1 2024-10-04T00:00:00.123456Z h vedette - alert - {"))
    }

    /// The message is one line, whatever is in the alert.
    @Test func linesInsideAreEscaped() throws {
        let a = alert("1", name: "a\nb\r\u{0}\u{7F}\"\\\u{1F600}")
        let bytes = SyslogSink.message(a, hostName: "h", limit: nil)
        #expect(!bytes.contains { $0 < 0x20 })
        let text = String(decoding: bytes, as: UTF8.self)
        let json = try #require(JSONText.parse(String(text.drop { $0 != "{" })))
        #expect(json["name"] == .string("a\nb\r\u{0}\u{7F}\"\\\u{1F600}"))
    }

    @Test func longMessagesGiveUpWhatCanBeFoundElsewhere() throws {
        func json(_ a: Alert) throws -> Dynamic {
            let bytes = SyslogSink.message(a, hostName: "h", limit: 8192)
            #expect(bytes.count <= 8192)
            let text = String(decoding: bytes, as: UTF8.self)
            return try #require(JSONText.parse(String(text.drop { $0 != "{" })))
        }
        let long = String(repeating: "x", count: 9000)
        let first = try json(alert("1", raw: "\"\(long)\""))
        #expect(first["evidence"] == .array([]) && first["id"] == .string("1") && first["entities"] == .array([]))
        let many = (0..<500).map { Entity(type: "Host", identifiers: [.init("HostName", .string("host-\($0)"))]) }
        guard case .array(let entities)? = try json(alert("2", entities: many))["entities"] else {
            Issue.record("no entities")
            return
        }
        #expect(entities.count == 5)
        // What no cutting makes small enough is still told.
        let reference = try json(alert("3", revision: 4, properties: [.init("p", .string(long))]))
        #expect(reference["id"] == .string("3") && reference["revision"] == .long(4) && reference["truncated"] == .bool(true))
        #expect(reference["techniques"] == .array([.string("T1485")]))
    }

    // MARK: Transport

    @Test func udp() throws {
        let server = try Server(SOCK_DGRAM)
        let sink = SyslogSink(address: .udp(host: "127.0.0.1", port: server.port))
        #expect(sink.isRemote && sink.mark == nil)
        try sink.deliver([alert("1"), alert("2")])
        for id in ["1", "2"] { #expect(try server.receive().contains("{\"id\":\"\(id)\"")) }
    }

    @Test func unixDatagramAndItsRestart() throws {
        let f = try Folder()
        let sink = SyslogSink(address: .unix(f["s"]))
        let down = #expect(throws: SinkError.self) { try sink.deliver([alert("1")]) }
        #expect(down?.delivered == 0 && down?.description.contains(f["s"]) == true)
        do {
            let server = try Server(SOCK_DGRAM, path: f["s"])
            try sink.deliver([alert("1")])
            #expect(try server.receive().contains("\"id\":\"1\""))
        }
        #expect(throws: SinkError.self) { try sink.deliver([alert("2")]) }
        // A new server under the same name: the old connection leads nowhere.
        let server = try Server(SOCK_DGRAM, path: f["s"])
        try sink.deliver([alert("2")])
        #expect(try server.receive().contains("\"id\":\"2\""))
    }

    @Test func unixStreamIsFramedByLines() throws {
        let f = try Folder()
        let server = try Server(SOCK_STREAM, path: f["s"])
        let sink = SyslogSink(address: .unix(f["s"]))
        try sink.deliver([alert("1", name: "two\nlines"), alert("2")])
        let peer = try server.accept()
        #expect(try peer.line().contains("\"id\":\"1\""))
        #expect(try peer.line().contains("\"id\":\"2\""))
    }

    @Test func tcpCountsOctets() throws {
        let server = try Server(SOCK_STREAM)
        let sink = SyslogSink(address: .tcp(host: "127.0.0.1", port: server.port))
        let alerts = [alert("1", name: "ünï\u{1F600}"), alert("2", raw: "\"" + String(repeating: "y", count: 40_000) + "\""), alert("3")]
        try sink.deliver(alerts)
        let peer = try server.accept()
        for a in alerts {
            let message = try peer.counted()
            #expect(message.hasSuffix(a.jsonLine), "nothing is cut over a stream")
        }
    }

    @Test func tcpServerThatCloses() throws {
        let server = try Server(SOCK_STREAM)
        let sink = SyslogSink(address: .tcp(host: "127.0.0.1", port: server.port))
        try sink.deliver([alert("1")])
        do {
            let peer = try server.accept()
            #expect(try peer.counted().contains("\"id\":\"1\""))
        }
        // The peer has closed. The kernel would take another message and lose it; the sink connects anew.
        usleep(50_000)
        try sink.deliver([alert("2"), alert("3")])
        let peer = try server.accept()
        #expect(try peer.counted().contains("\"id\":\"2\""))
        #expect(try peer.counted().contains("\"id\":\"3\""))
    }

    @Test func tcpServerThatIsDownAndComesBack() throws {
        let port: UInt16
        do { port = try Server(SOCK_STREAM).port }
        let sink = SyslogSink(address: .tcp(host: "127.0.0.1", port: port))
        for _ in 0..<2 {
            let error = #expect(throws: SinkError.self) { try sink.deliver([alert("1")]) }
            #expect(error?.description.contains("Connection refused") == true && error?.delivered == 0)
        }
        let server = try Server(SOCK_STREAM, port: port)
        try sink.deliver([alert("1")])
        #expect(try server.accept().counted().contains("\"id\":\"1\""))
    }

    /// A server that takes connections but reads nothing: the send times out, and what was taken is known.
    @Test func tcpServerThatDoesNotRead() throws {
        let server = try Server(SOCK_STREAM)
        let sink = SyslogSink(address: .tcp(host: "127.0.0.1", port: server.port), patience: 1)
        let big = "\"" + String(repeating: "z", count: 60_000) + "\""
        let error = #expect(throws: SinkError.self) { try sink.deliver((0..<300).map { alert("\($0)", raw: big) }) }
        let taken = try #require(error?.delivered)
        #expect(taken > 0 && taken < 300 && error?.description.contains("timed out") == true)
        // The first connection ended inside a message; the next one begins with a whole one.
        let first = try server.accept()
        #expect(try first.counted().contains("\"id\":\"0\""))
        try sink.deliver([alert("again")])
        #expect(try server.accept().counted().contains("\"id\":\"again\""))
    }

    @Test func unknownHost() {
        let sink = SyslogSink(address: .tcp(host: "no-such-host.invalid", port: 601))
        #expect(throws: SinkError.self) { try sink.deliver([alert("1")]) }
    }
}
