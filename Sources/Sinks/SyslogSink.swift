import Columnar
import Detection
import Glibc
import Rules

/// Sends alerts to syslog in the form of RFC 5424: over a Unix socket, UDP (RFC 5426) or TCP with octet counting (RFC 6587).
public final class SyslogSink: AlertSink {
    /// Where to send.
    public enum Address: Sendable, Hashable, CustomStringConvertible {
        case unix(String)
        case udp(host: String, port: UInt16)
        case tcp(host: String, port: UInt16)

        /// As it is written in the configuration.
        public var description: String {
            switch self {
            case .unix(let path): "unix:" + path
            case .udp(let host, let port): "udp:" + Address.endpoint(host, port)
            case .tcp(let host, let port): "tcp:" + Address.endpoint(host, port)
            }
        }

        private static func endpoint(_ host: String, _ port: UInt16) -> String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

        /// Parses `unix:/dev/log`, `udp:host:514`, `tcp:[::1]:601`; nil for anything else.
        public init?(_ text: String) {
            guard let colon = text.firstIndex(of: ":") else { return nil }
            let scheme = text[..<colon]
            let rest = text[text.index(after: colon)...]
            if scheme == "unix" {
                guard rest.hasPrefix("/"), rest.utf8.count < 108 else { return nil }
                self = .unix(String(rest))
                return
            }
            guard let last = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: last)...]), port > 0 else { return nil }
            var host = String(rest[..<last])
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            guard !host.isEmpty else { return nil }
            switch scheme {
            case "udp": self = .udp(host: host, port: port)
            case "tcp": self = .tcp(host: host, port: port)
            default: return nil
            }
        }
    }

    /// How one message is told from the next: by the datagram, by octet counting (TCP), by a line end (Unix stream sockets).
    private enum Framing { case datagram, count, line }

    /// Longest message sent over datagrams; the alert's evidence is left out first.
    static let datagramBytes = 8192

    public let name: String
    private let address: Address
    private var descriptor: Int32 = -1
    private var framing = Framing.datagram
    private var timedOut = false
    private let hostName: String
    private let patience: Int

    /// `patience`: seconds that a healthy server takes at most to connect, and to take a message.
    public init(address: Address, patience: Int = 5) {
        self.address = address
        self.patience = patience
        name = "syslog:\(address)"
        var text = [CChar](repeating: 0, count: 256)
        gethostname(&text, 255)
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        hostName = host.isEmpty ? "-" : host
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Severity of RFC 5424 (facility local0): High is critical, Medium error, Low warning, Informational notice.
    static func priority(_ s: AnalyticsRule.Severity) -> Int {
        let level =
            switch s {
            case .high: 2
            case .medium: 3
            case .low: 4
            case .informational: 5
            }
        return 16 * 8 + level
    }

    /// One message, without framing.
    static func message(_ a: Alert, hostName: String, limit: Int?) -> [UInt8] {
        let header = "<\(priority(a.severity))>1 \(KustoTime.isoString(a.endTime).prefix(26))Z \(hostName) vedette - alert - "
        var body = a.jsonLine
        if let limit, header.utf8.count + body.utf8.count > limit {
            var small = a
            small.evidence = []
            small.description = ""
            body = small.jsonLine
            if header.utf8.count + body.utf8.count > limit {
                small.entities = Array(small.entities.prefix(5))
                small.customDetails = []
                body = small.jsonLine
            }
            // A message that no datagram can carry would hold up all others for ever.
            if header.utf8.count + body.utf8.count > limit { body = SyslogSink.reference(a) }
        }
        return Array((header + body).utf8)
    }

    /// What finds an alert in the store.
    private static func reference(_ a: Alert) -> String {
        JSONText.compact(
            .object([
                .init("id", .string(a.id)), .init("revision", .long(Int64(a.revision))), .init("status", .string(a.status.rawValue)),
                .init("time", .string(KustoTime.isoString(a.endTime))), .init("rule_id", .string(String(a.ruleID.prefix(200)))),
                .init("rule_name", .string(String(a.ruleName.prefix(200)))), .init("severity", .string(a.severity.rawValue)),
                .init("techniques", .array(a.techniques.prefix(20).map { .string($0) })), .init("truncated", .bool(true)),
            ]))
    }

    public var isRemote: Bool { true }

    public func deliver(_ alerts: [Alert]) throws {
        if isHungUp { close() }
        var done = 0
        do {
            for a in alerts {
                // A connection that was made before may be stale: the server may have been restarted. One more try over a new one, unless
                // the server is there and takes nothing.
                let isOld = descriptor >= 0
                do { try send(a) } catch {
                    close()
                    guard isOld, !timedOut else { throw error }
                    try send(a)
                }
                done += 1
            }
        } catch {
            // After half a message the rest of it would be taken for another.
            close()
            throw SinkError("\(error)", delivered: done)
        }
    }

    /// The server has closed the connection: what is sent now would be lost without a word.
    private var isHungUp: Bool {
        guard descriptor >= 0, case .tcp = address else { return false }
        var byte: UInt8 = 0
        while true {
            let n = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT))
            if n > 0 { continue }
            return n == 0 || (errno != EAGAIN && errno != EINTR)
        }
    }

    private func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    private func problem(_ what: String) -> SinkError { SinkError("syslog \(address): \(what): \(String(cString: strerror(errno)))") }

    private func send(_ a: Alert) throws {
        if descriptor < 0 { try connectSocket() }
        var bytes = SyslogSink.message(a, hostName: hostName, limit: framing == .datagram ? SyslogSink.datagramBytes : nil)
        switch framing {
        case .datagram: break
        case .count: bytes = Array("\(bytes.count) ".utf8) + bytes
        case .line: bytes.append(UInt8(ascii: "\n"))
        }
        var done = 0
        timedOut = false
        while done < bytes.count {
            let n = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            if n < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    timedOut = true
                    errno = ETIMEDOUT
                }
                throw problem("cannot send")
            }
            done += n
        }
    }

    private func connectSocket() throws {
        switch address {
        case .unix(let path):
            for type in [SOCK_DGRAM, SOCK_STREAM] {
                let s = socket(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                guard s >= 0 else { throw problem("cannot make a socket") }
                limitSending(s)
                var target = sockaddr_un()
                target.sun_family = sa_family_t(AF_UNIX)
                let size = MemoryLayout.size(ofValue: target.sun_path)
                withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix(size - 1))) }
                let ok = withUnsafePointer(to: &target) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(s, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
                }
                if ok {
                    descriptor = s
                    framing = type == SOCK_STREAM ? .line : .datagram
                    return
                }
                let e = errno
                Glibc.close(s)
                errno = e
                if e != EPROTOTYPE { break }
            }
            throw problem("cannot connect")
        case .udp(let host, let port): try connectInternet(host, port, SOCK_DGRAM)
        case .tcp(let host, let port): try connectInternet(host, port, SOCK_STREAM)
        }
    }

    private func limitSending(_ s: Int32) {
        var wait = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    }

    private func connectInternet(_ host: String, _ port: UInt16, _ type: __socket_type) throws {
        var hints = addrinfo()
        hints.ai_socktype = Int32(type.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { throw SinkError("syslog \(address): \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var next = list
        errno = EADDRNOTAVAIL
        while let info = next?.pointee {
            let s = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
            if s >= 0 {
                // Also limits how long a connection may take.
                limitSending(s)
                if connect(s, info.ai_addr, info.ai_addrlen) == 0 {
                    descriptor = s
                    framing = type == SOCK_STREAM ? .count : .datagram
                    return
                }
                let e = errno
                Glibc.close(s)
                errno = e == EINPROGRESS ? ETIMEDOUT : e
            }
            next = info.ai_next
        }
        throw problem("cannot connect")
    }
}
